"""Whole programs: steps of training through the Keras-like API, beside Keras where it is installed.

python benchmarks/programs.py                       all, with all CPUs, lstmcore and tensorflow.keras
python benchmarks/programs.py T1 forecast --threads 1 --packages lstmcore keras

The same program runs with either package: only the name of the module differs. (`keras` takes its backend from
KERAS_BACKEND.) Packages have turns, in fresh processes; a time is the median over the turns. "forecast" is held against
a loop written by hand in PyTorch too, where that is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from run import HERE, OURS, THREAD_VARIABLES, save

Step = Callable[[], Any]


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _sentiment(keras: Any, **dropout: float) -> Step:
    L = keras.layers
    model = keras.models.Sequential(
        [
            L.Embedding(10000, 128),
            L.Bidirectional(L.LSTM(64, return_sequences=True, **dropout)),
            L.Bidirectional(L.LSTM(32, **dropout)),
            L.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    x, y = _rng().integers(0, 10000, (32, 500)), _rng().integers(0, 2, (32, 1))
    return lambda: model.train_on_batch(x, y)


def sentiment(keras: Any) -> Step:
    """Sentiment, a training step: B32 T500, embedding of 128, bidirectional LSTM 64 and 32."""
    return _sentiment(keras)


def sentiment_dropout(keras: Any) -> Step:
    """The same with dropout 0.3 and recurrent dropout 0.2."""
    return _sentiment(keras, dropout=0.3, recurrent_dropout=0.2)


def speech(keras: Any) -> Step:
    """Speech, a training step: B16, 400 frames of 40, three Conv1D, two bidirectional LSTM of 256, 29 classes."""
    L = keras.layers
    layers = []
    for filters, strides in ((64, 2), (128, 1), (256, 1)):
        layers += [L.Conv1D(filters, 11, strides=strides, padding="same", activation="relu"), L.BatchNormalization()]
    for _ in range(2):
        layers += [L.Bidirectional(L.LSTM(256, return_sequences=True)), L.BatchNormalization()]
    model = keras.models.Sequential([*layers, L.TimeDistributed(L.Dense(29, activation="softmax"))])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    x = _rng().standard_normal((16, 400, 40), dtype="float32")
    y = _rng().integers(0, 29, (16, 200))
    return lambda: model.train_on_batch(x, y)


def _forecast_model(keras: Any) -> Any:
    L = keras.layers
    model = keras.models.Sequential(
        [keras.Input(shape=(12, 1)), L.LSTM(50, return_sequences=True), L.LSTM(50), L.Dense(1)]
    )
    model.compile(optimizer="adam", loss="mse")
    return model


def t1(keras: Any) -> Step:
    """T1 with its optimizer, a training step: B32 T12, two LSTM of 50, Dense."""
    model = _forecast_model(keras)
    x, y = _rng().standard_normal((32, 12, 1), dtype="float32"), np.ones((32, 1), "float32")
    return lambda: model.train_on_batch(x, y)


def forecast(keras: Any) -> Step:
    """Air passengers, fit: 84 windows of 12, batches of 32, 100 epochs with validation."""
    x, y = _rng().standard_normal((105, 12, 1), dtype="float32"), _rng().standard_normal((105, 1), dtype="float32")
    model = _forecast_model(keras)
    return lambda: model.fit(x, y, epochs=100, batch_size=32, validation_split=0.2, verbose=0)


def forecast_by_hand(torch: Any) -> Step:
    """The same as a loop written by hand in PyTorch."""
    from torch_programs import Forecaster

    x, y = torch.randn(105, 12, 1), torch.randn(105, 1)
    model, loss_of = Forecaster(1, 50), torch.nn.functional.mse_loss
    optimizer = torch.optim.Adam(model.parameters())

    def fit() -> None:
        for _ in range(100):
            for rows in torch.randperm(84).split(32):
                optimizer.zero_grad()
                loss_of(model(x[rows]), y[rows]).backward()
                optimizer.step()
            with torch.inference_mode():
                loss_of(model(x[84:]), y[84:]).item()

    return fit


BY_HAND = {"forecast": forecast_by_hand}
PROGRAMS = {"T1": t1, "forecast": forecast, "sentiment": sentiment, "dropout": sentiment_dropout, "speech": speech}


def core_of_t1() -> Step:
    """The core's part of T1's step: what `functional`, two products, and the optimizer take."""
    from lstmcore import _core, functional

    f32 = "float32"
    rng = _rng()
    x, d = rng.standard_normal((32, 12, 1), dtype=f32), np.ones((32, 50), f32)
    weights = [
        [rng.standard_normal((n, 200), dtype=f32), rng.standard_normal((50, 200), dtype=f32), np.zeros(200, f32)]
        for n in (1, 50)
    ]
    gradients = [[np.zeros_like(w) for w in layer] for layer in weights]
    kernel, bias, d_kernel = rng.standard_normal((50, 1), dtype=f32), np.zeros(1, f32), np.zeros((50, 1), f32)
    error = np.ones((32, 1), f32)
    flat = [np.zeros(sum(w.size for layer in weights for w in layer) + 51, f32) for _ in range(4)]

    def step() -> None:
        packed = [functional.pack_lstm(w, training=True) for w in weights]
        h, _, first = functional.lstm(x, packed[0], training=True)
        last, _, second = functional.lstm(h, packed[1], training=True, return_sequences=False)
        _core.matmul(last, kernel, bias)
        _core.matmul(last.T, error, None, d_kernel, True)
        _core.matmul(error, kernel.T)
        d_h, *_ = functional.lstm_backward(second, d, d_weights=gradients[1])
        functional.lstm_backward(first, d_h, need_d_inputs=False, d_weights=gradients[0])
        _core.optimizer_step("adam", flat[0], flat[1], flat[2:], [1e-3, 0.1, 0.001, 1e-7])

    return step


def measure(step: Step, seconds: float) -> float:
    """Return the median time of a call, in seconds, after some to warm up."""
    times: list[float] = []
    start = time.perf_counter()
    for k in range(10**6):
        before = time.perf_counter()
        step()
        times.append(time.perf_counter() - before)
        if k >= 3 and time.perf_counter() - start > seconds:
            break
    return statistics.median(times[max(1, len(times) // 10) :])


def work(package: str, name: str, threads: int, seconds: float) -> None:
    """Measure one program in this process and print the time."""
    if package == "core":
        step = core_of_t1()
    else:
        if package == "tensorflow.keras":
            import tensorflow as tf

            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        module = importlib.import_module(package)
        if package == "torch":
            module.set_num_threads(threads)
        step = (BY_HAND if package == "torch" else PROGRAMS)[name](module)
    print("\n" + json.dumps(measure(step, seconds)))


def main() -> None:
    """Parse the command line, measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="*", help=f"some of {', '.join(PROGRAMS)} (default: all)")
    parser.add_argument("--packages", nargs="+", default=[OURS, "tensorflow.keras"], help="modules to run them with")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: all CPUs")
    parser.add_argument("--turns", type=int, default=3, help="processes of each package (default 3)")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each (default 4)")
    parser.add_argument("--json", type=pathlib.Path, help="where to write the results (default benchmarks/results)")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(*options.work, options.threads, options.seconds)
        return
    unknown = set(options.programs) - set(PROGRAMS)
    if unknown:
        parser.error(f"programs: expected some of {', '.join(PROGRAMS)}, got {', '.join(sorted(unknown))}")
    cpus = sorted(os.sched_getaffinity(0))[: options.threads]
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(options.threads))}
    rows = []
    for name in options.programs or PROGRAMS:
        by_hand = name in BY_HAND and importlib.util.find_spec("torch")
        packages = [*options.packages, *(["torch"] if by_hand else []), *(["core"] if name == "T1" else [])]
        times: dict[str, list[float]] = {package: [] for package in packages}
        for _ in range(options.turns):
            for package in packages:
                command = [sys.executable, str(HERE / "programs.py"), "--work", package, name]
                command += ["--threads", str(options.threads), "--seconds", str(options.seconds)]
                done = subprocess.run(
                    command,
                    env=environment,
                    capture_output=True,
                    text=True,
                    preexec_fn=lambda: os.sched_setaffinity(0, cpus),
                )
                if done.returncode == 0:
                    times[package].append(json.loads(done.stdout.splitlines()[-1]))
                elif package == OURS:
                    raise SystemExit(done.stderr)
        medians = {package: statistics.median(found) for package, found in times.items() if found}
        print(f"\n{name}, {options.threads} threads: {PROGRAMS[name].__doc__}")
        for package, seconds in medians.items():
            print(f"  {package:18} {1e3 * seconds:9.2f} ms {seconds / medians[OURS]:7.2f} of ours")
        rows.append({"program": name, "threads": options.threads, "seconds": medians, "turns": times})
    save(options.json, "-programs", rows=rows)


if __name__ == "__main__":
    main()
