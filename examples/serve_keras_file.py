"""Serve a .keras file without TensorFlow or Keras: how long the first answer takes, how long the next ones, over HTTP.

Without ``--file`` the program makes one, as ``keras.Model.save`` would: an LSTM learns to tell a noisy sine, square and
sawtooth wave, and ``model.save("waves.keras")`` writes it. Then a new Python loads the file and answers, stage by stage
with its times, and so does this one, request by request. ``--serve`` goes on answering:

    python examples/serve_keras_file.py --serve --port 8000 &
    curl http://localhost:8000 -d '{"inputs": [[[0.1], [0.9], [0.2]]]}'
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import common
import numpy as np

from lstmcore import Input, Sequential, layers, models
from lstmcore.utils import set_random_seed

WAVES = ("sine", "square", "sawtooth")
LONGEST = 1 << 20  # bytes of a request

# What a program that has nothing else to do runs, and the time after each of its stages.
STAGES = {
    "Python and NumPy": "import numpy",
    "h5py": "import h5py",
    "lstmcore": "from lstmcore import models",
    "the file": "model = models.load_model(sys.argv[1])",
    "the first answer": (
        "model.predict(numpy.zeros([1, *(size or 50 for size in model.input_shape[1:])], 'float32'), verbose=0)"
    ),
}


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Time the answers, print and draw the times, serve if asked to; return the times in seconds."""
    parser = common.parser(__doc__, "serve_keras_file.png", epochs=15, data=False, verbose=0)
    parser.add_argument("--file", help="a .keras or .h5 file; by default one of waves that is made first")
    parser.add_argument("--starts", type=int, default=5, help="new Pythons that are timed")
    parser.add_argument("--requests", type=int, default=500, help="requests that are timed")
    parser.add_argument("--serve", action="store_true", help="answer HTTP requests on localhost until Ctrl-C")
    parser.add_argument("--port", type=int, default=8000, help="where to serve; 0 for any that is free")
    options = parser.parse_args(argv)

    file = options.file or make(options.epochs, options.seed, options.verbose)
    model = models.load_model(file, compile=False)
    if len(model.inputs) != 1:
        raise SystemExit(f"{file}: expected a model of one input, got one of {len(model.inputs)}")
    stages = cold_starts(file, options.starts)
    requests = answers(model, options.requests)
    rows = {stage: [1e3 * seconds] for stage, seconds in stages.items()}
    rows["cold start, all of it"] = [1e3 * sum(stages.values())]
    rows["a request, later"] = [1e3 * statistics.median(requests)]
    common.print_table(f"{file}, median of {options.starts} starts", ["ms"], rows, 3)
    if options.picture:
        draw(options.picture, stages, requests)
    if options.serve:
        serve(model, options.port)
    return {"cold start": sum(stages.values()), "request": statistics.median(requests)}


def waves(count: int, rng: np.random.Generator, steps: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Return waves (count, steps, 1) of different lengths and beginnings with noise, and which kind each is."""
    kinds = rng.integers(0, len(WAVES), count)
    turns = rng.random((count, 1)) + np.arange(steps) * rng.uniform(0.04, 0.12, (count, 1))
    sine = np.sin(2 * np.pi * turns)
    shapes = np.stack([sine, np.sign(sine), 2 * (turns % 1) - 1])
    clean = shapes[kinds, np.arange(count)]
    return (clean + rng.normal(0, 0.2, clean.shape)).astype("float32")[..., None], kinds


def make(epochs: int, seed: int, verbose: int, path: str = "waves.keras") -> str:
    """Train a classifier of waves, print how often it is right, and return the path of its file."""
    set_random_seed(seed)
    rng = np.random.default_rng(seed)
    (x, y), (x_test, y_test) = waves(3000, rng), waves(1000, rng)
    model = Sequential([Input((None, 1)), layers.LSTM(32), layers.Dense(len(WAVES), activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=64, epochs=epochs, verbose=verbose)
    rows = {"LSTM": [model.evaluate(x_test, y_test, verbose=0)[1]]}
    rows["always the most frequent"] = [float(np.bincount(y_test).max() / len(y_test))]
    common.print_table(f"{len(x_test)} waves", ["accuracy"], rows, 3)
    model.save(path)
    return path


def cold_starts(file: str, starts: int) -> dict[str, float]:
    """Return the median seconds of each stage from the start of a new Python to its first answer."""
    clock = "print(time.perf_counter() - began)"
    program = "\n".join(
        ["import sys, time", "began = float(sys.argv[2])", *(f"{do}\n{clock}" for do in STAGES.values())]
    )
    taken = []
    for _ in range(starts + 1):  # the first of which may compile what the others import
        # The clock of perf_counter is that of the machine, so that the new Python's start counts too.
        command = [sys.executable, "-c", program, file, str(time.perf_counter())]
        ended = subprocess.run(command, capture_output=True, text=True, check=True)
        taken.append(np.diff([0.0, *map(float, ended.stdout.split())]))
    return dict(zip(STAGES, np.median(taken[1:], axis=0).tolist(), strict=True))


def answers(model: Any, count: int) -> list[float]:
    """Return the seconds that each of some requests of one sequence takes."""
    inputs = np.zeros([1, *(size or 50 for size in model.input_shape[1:])], "float32")
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        model.predict(inputs, verbose=0)
        taken.append(time.perf_counter() - began)
    return taken


def serve(model: Any, port: int) -> None:
    """Answer ``{"inputs": [...]}`` with ``{"outputs": [...]}``, one request after the other, until Ctrl-C."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            try:
                length = int(self.headers.get("Content-Length") or 0)
                if not 0 < length <= LONGEST:
                    raise ValueError(f"expected 1 to {LONGEST} bytes, got {length}")
                inputs = np.asarray(json.loads(self.rfile.read(length))["inputs"], "float32")
                outputs = model.predict(inputs, verbose=0).tolist()
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                return self.answer(400, {"error": f"{type(error).__name__}: {error}"})
            return self.answer(200, {"outputs": outputs})

        def answer(self, status: int, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing of each request."""

    with HTTPServer(("127.0.0.1", port), Handler) as server:
        print(f"serving on http://127.0.0.1:{server.server_port}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("done")


def draw(path: str, stages: dict[str, float], requests: list[float]) -> None:
    """Save a picture of the stages of a cold start, one behind the other, and what a request takes then."""
    figure, axes = common.canvas("A Keras file served: until the first answer", "milliseconds since Python's start", "")
    left = 0.0
    for k, seconds in enumerate(stages.values()):
        axes.barh(-k, 1e3 * seconds, left=left, color=common.ORANGE if k > 1 else common.GREY)
        left += 1e3 * seconds
        axes.annotate(f" {1e3 * seconds:.1f}", (left, -k), va="center", color=common.INK)
    axes.barh(-len(stages), 1e3 * statistics.median(requests), color=common.BLUE)
    axes.annotate(f" {1e3 * statistics.median(requests):.2f}", (0, -len(stages)), va="center", color=common.INK)
    axes.set_yticks([-k for k in range(len(stages) + 1)], [*stages, "each later answer"])
    axes.margins(x=0.12)
    common.save(figure, path)


if __name__ == "__main__":
    main()
