"""``check``: whether the kernels of this installation compute what the reference does, and models come back."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import _core

_BATCH, _STEPS, _INPUTS, _UNITS = 5, 13, 7, 19
_GATES = {"lstm": 4, "gru": 3, "rnn": 1}
_LENGTHS = np.array([13, 1, 0, 7, 12])
# Roundings that may add up: sums of some 30 products through 13 steps, there and back.
_ROUNDINGS = 200


def add(subcommands: Any) -> None:
    """Add the subcommand."""
    words = "test this installation against the NumPy reference, with each instruction set that the CPU has"
    parser = subcommands.add_parser("check", help=words, description=words)
    parser.add_argument("--this", action="store_true", help="only the instruction set in use")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each check; 1 if any has failed."""
    config = _core.config()
    print(f"instruction set {config['instruction_set']}")
    bad = 0
    for name, error, limit in checks():
        good = error <= limit  # not a number is not good
        bad += not good
        print(f"  {name:44} {'ok' if good else 'FAILED':6} {error:.1e} (limit {limit:.1e})", flush=True)
    if not arguments.this:
        for other in config["available_instruction_sets"]:
            if other != config["instruction_set"]:
                bad += _in_a_process_with(other)
        print("all is well" if not bad else f"{bad} of the checks failed; please report this with what info prints")
    return int(bad > 0)


def _in_a_process_with(instruction_set: str) -> int:
    command = [sys.executable, "-m", "lstmcore", "check", "--this"]
    done = subprocess.run(command, env={**os.environ, "LSTMCORE_ISA": instruction_set}, capture_output=True, text=True)
    print(done.stdout, end="", flush=True)
    if done.returncode:
        print(done.stderr, end="", file=sys.stderr)
    return done.stdout.count("FAILED") or int(done.returncode != 0)


def checks() -> Iterator[tuple[str, float, float]]:
    """Run them: what each is called, the largest error, and how large it may be."""
    for cell in _GATES:
        for dtype in ("float32", "float64"):
            limit = _ROUNDINGS * float(np.finfo(dtype).eps)
            ours, theirs = _results(cell, dtype)
            yield f"{cell}, {dtype}: outputs and gradients", _difference(ours, theirs), limit
    yield "one thread and all: the same bits", _of_threads(), 0.0
    yield "a model saved and loaded: the same bits", _of_a_file(), 0.0


def _results(cell: str, dtype: str) -> tuple[list[Any], list[Any]]:
    """Return outputs, states and gradients of the kernels in a dtype and of the reference in float64."""
    from .. import functional, reference

    rng = np.random.default_rng(0)
    width = _GATES[cell] * _UNITS
    shapes = [(_BATCH, _STEPS, _INPUTS), (_INPUTS, width), (_UNITS, width), (width,), (_BATCH, _STEPS, _UNITS)]
    x, *weights, dy = (rng.uniform(-0.5, 0.5, shape).astype(dtype) for shape in shapes)
    if cell == "gru":
        weights[-1] = np.stack([weights[-1], -weights[-1]])  # one for each of its two products

    def of(module: Any, kind: str) -> list[Any]:
        forward, backward = getattr(module, cell), getattr(module, f"{cell}_backward")
        options = {"training": True, "lengths": _LENGTHS}
        outputs, state, cache = forward(x.astype(kind), [w.astype(kind) for w in weights], **options)
        d_inputs, d_weights, _ = backward(cache, dy.astype(kind))
        return [outputs, *(state if isinstance(state, tuple) else (state,)), d_inputs, *d_weights]

    return of(functional, dtype), of(reference, "float64")


def _difference(ours: list[Any], theirs: list[Any]) -> float:
    """Return the largest error, relative to the largest number of its array where that is more than one."""
    return max(float(np.abs(a - b).max() / max(1.0, np.abs(b).max())) for a, b in zip(ours, theirs, strict=True))


def _of_threads() -> float:
    from .. import functional, get_num_threads, threads

    rng = np.random.default_rng(1)
    x = rng.standard_normal((64, 16, 32)).astype(np.float32)
    weights = [rng.uniform(-0.2, 0.2, shape).astype(np.float32) for shape in ((32, 256), (64, 256), (256,))]
    with threads(1):
        alone = functional.lstm(x, weights)[0]
    with threads(max(2, get_num_threads())):
        together = functional.lstm(x, weights)[0]
    return float(np.count_nonzero(alone.view(np.uint32) != together.view(np.uint32)))


def _of_a_file() -> float:
    import tempfile

    from .. import Input, Sequential, layers, models

    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((32, 6, 3)).astype(np.float32), rng.standard_normal((32, 1)).astype(np.float32)
    model = Sequential([Input((6, 3)), layers.LSTM(8), layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(x, y, epochs=2, verbose=0)
    with tempfile.TemporaryDirectory() as directory:
        file = os.path.join(directory, "model.safetensors")
        model.save(file)
        again = models.load_model(file)
    before, after = model.predict(x, verbose=0), again.predict(x, verbose=0)
    return float(np.count_nonzero(before.view(np.uint32) != after.view(np.uint32)))
