"""A step of training of a sentiment model in Keras, through Keras alone and with `lstmcore.keras.accelerate`.

KERAS_BACKEND=torch python benchmarks/keras_accelerated.py                       100 steps, batch 32
KERAS_BACKEND=torch python benchmarks/keras_accelerated.py --steps 200 --batch 64

Both have turns; a time is the median over the turns, and of each turn the shortest of its steps. Threads are those that
OMP_NUM_THREADS gives.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np

import lstmcore.keras


def sentiment(steps: int, batch: int, words: int) -> Callable[[], Any]:
    """Return a step of training of bidirectional LSTMs over words, of which some rows have fewer than others."""
    keras.utils.set_random_seed(0)
    L = keras.layers
    model = keras.Sequential(
        [
            L.Embedding(words, 128, mask_zero=True),
            L.Bidirectional(L.LSTM(64, return_sequences=True)),
            L.Bidirectional(L.LSTM(32)),
            L.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy")
    random = np.random.default_rng(0)
    texts = random.integers(1, words, (batch, steps))
    texts[np.arange(steps) < random.integers(0, steps // 2, (batch, 1))] = 0  # in front, as pad_sequences does
    labels = random.integers(0, 2, (batch, 1)).astype("float32")
    return lambda: model.train_on_batch(texts, labels)


def seconds(step: Callable[[], Any], count: int) -> float:
    """Return the shortest time of some steps."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--words", type=int, default=10000, help="of which each has a vector that is trained")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    sizes = options.steps, options.batch, options.words
    ways: dict[str, Any] = {"keras": nullcontext, "accelerated": lstmcore.keras.accelerate}
    programs, losses, found = {}, {}, {name: [] for name in ways}
    for name, way in ways.items():  # on JAX, a program stays what it was compiled to be
        with way():
            programs[name] = sentiment(*sizes)
            losses[name] = float(np.ravel(programs[name]())[0])
    np.testing.assert_allclose(losses["accelerated"], losses["keras"], atol=1e-4)
    for _ in range(options.turns):
        for name, way in ways.items():
            with way():
                found[name].append(seconds(programs[name], 2 if name == "keras" else 8))
    theirs, mine = (statistics.median(times) for times in found.values())
    print(f"batch {options.batch}, {options.steps} steps, {options.words} words, backend {keras.backend.backend()}")
    print(f"keras {theirs * 1e3:.1f} ms, accelerated {mine * 1e3:.1f} ms: {theirs / mine:.1f} times as fast")


if __name__ == "__main__":
    main()
