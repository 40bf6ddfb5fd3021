"""Milliseconds per utterance of the CTC decoders, on one thread.

    python benchmarks/decoders.py

200 steps, 29 classes. "peaked" is what a trained network puts out: nearly all of each step on one class, mostly the
blank. "flat" is the worst case: logits drawn from a normal distribution, where every step asks for every extension.
"""

from __future__ import annotations

import time
from functools import partial

import numpy as np

import lstmcore
from lstmcore import decoders

STEPS, CLASSES, BATCH, WIDTH = 200, 29, 16, 25
LABELS = "_ 'abcdefghijklmnopqrstuvwxyz"
TEXT = ["the quick brown fox jumps over the lazy dog", "pack my box with five dozen liquor jugs"]


def logits(kind: str) -> np.ndarray:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCH, STEPS, CLASSES), dtype="float32")
    if kind == "peaked":
        said = np.where(rng.random((BATCH, STEPS)) < 0.7, 0, rng.integers(1, CLASSES, (BATCH, STEPS)))
        x += 9 * np.eye(CLASSES, dtype="float32")[said]
    return x


def best_of(call, repeats: int = 9) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times) / BATCH * 1e3


def main() -> None:
    characters = decoders.NGram.from_text(TEXT, order=3)
    words = decoders.NGram.from_text(TEXT, order=2, words=True)
    cases = {
        "greedy": lambda x: decoders.greedy(x),
        f"beam {WIDTH}": lambda x: decoders.beam_search(x, beam_width=WIDTH),
        f"beam {WIDTH}, characters": lambda x: decoders.beam_search(x, beam_width=WIDTH, lm=characters, labels=LABELS),
        f"beam {WIDTH}, words": lambda x: decoders.beam_search(
            x, beam_width=WIDTH, lm=words, labels=LABELS, separator=1
        ),
        f"beam {WIDTH}, Python": lambda x: decoders.beam_search(x, beam_width=WIDTH, lm=lambda prefix, label: -3.3),
        "beam 100": lambda x: decoders.beam_search(x, beam_width=100),
    }
    print(f"{'ms per utterance':24}{'peaked':>10}{'flat':>10}")
    with lstmcore.threads(1):
        for name, call in cases.items():
            times = [best_of(partial(call, logits(kind))) for kind in ("peaked", "flat")]
            print(f"{name:24}{times[0]:10.3f}{times[1]:10.3f}")


if __name__ == "__main__":
    main()
