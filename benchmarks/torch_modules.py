"""The modules of `lstmcore.torch` beside those of `torch.nn` in one process: calls, and whole training programs.

python benchmarks/torch_modules.py                     the grid, odd shapes, cells and programs, 1 and all CPUs
python benchmarks/torch_modules.py grid programs --threads 1 --seconds 5
"""

from __future__ import annotations

import argparse
import os
import pathlib
import time
from collections.abc import Callable
from typing import Any

# Threads that spin between calls would take the other library's time.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import torch
from cells import GRID, ODD, Cell
from ctc import measure
from run import OURS, save, thread_counts
from torch_programs import PROGRAMS

import lstmcore
import lstmcore.torch

CPUS = sorted(os.sched_getaffinity(0))
# One step of a stream, and of a loop over steps that trains.
STEPS = [
    Cell(kind, kind, 20, 1, 64, 64, train=train)
    for kind in ("LSTMCell", "GRUCell", "RNNCell")
    for train in (False, True)
]


def modules(cell: Cell) -> tuple[torch.nn.Module, torch.nn.Module, tuple[int, ...]]:
    """Return our module and PyTorch's with equal weights, and the shape of their inputs, steps first."""
    torch.manual_seed(0)
    if cell in STEPS:
        theirs = getattr(torch.nn, cell.kind)(cell.inputs, cell.units)
        shape: tuple[int, ...] = (cell.batch, cell.inputs)
    else:
        theirs = getattr(torch.nn, cell.kind.upper())(
            cell.inputs, cell.units, num_layers=cell.layers, bidirectional=cell.directions > 1
        )
        shape = (cell.steps, cell.batch, cell.inputs)
    ours = getattr(lstmcore.torch, type(theirs).__name__)(
        *(theirs.input_size, theirs.hidden_size),
        **({} if cell in STEPS else {"num_layers": cell.layers, "bidirectional": cell.directions > 1}),
    )
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs, shape


def call_of(module: torch.nn.Module, x: torch.Tensor, train: bool) -> Callable[[], list[torch.Tensor]]:
    """Return a call: forward, or forward and backward with the gradients of inputs and weights."""
    x = x.clone().requires_grad_(train)

    def forward() -> list[torch.Tensor]:
        with torch.inference_mode():
            return [first(module(x))]

    def training() -> list[torch.Tensor]:
        module.zero_grad()
        x.grad = None
        y = first(module(x))
        y.backward(torch.ones_like(y))
        return [y.detach(), x.grad, *(p.grad for p in module.parameters())]

    return training if train else forward


def first(results: Any) -> torch.Tensor:
    """Return the outputs, or of cells the next h."""
    return results[0] if isinstance(results, tuple) else results


def measure_cells(title: str, cells: list[Cell], threads: int, seconds: float) -> list[dict[str, Any]]:
    """Print the table of some cells and return it."""
    print(f"\n{title + f', {threads} thread' + 's'[: threads > 1]:44} {OURS:>12} {'torch':>12} {'torch/ours':>10}")
    rows = []
    for cell in cells:
        *both, shape = modules(cell)
        x = torch.randn(shape)
        calls = {name: call_of(module, x, cell.train) for name, module in zip((OURS, "torch"), both, strict=True)}
        for one, other in zip(*(call() for call in calls.values()), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * max(1.0, float(other.abs().max())))
        found = measure(calls, seconds)
        ratio = found["torch"] / found[OURS]
        columns = "".join(f" {f'{t * 1e6:.1f} µs':>12}" for t in found.values())
        print(f"{f'{cell.name} {cell.description}':44}{columns} {ratio:>10.2f}", flush=True)
        rows.append({"cell": cell.name, "what": cell.description, "threads": threads, "seconds": found, "ratio": ratio})
    mean = float(np.exp(np.mean([np.log(row["ratio"]) for row in rows])))
    print(f"{'geometric mean':44} {'':25} {mean:>10.2f}")
    return rows


def measure_program(name: str, threads: int, seconds: float) -> dict[str, Any]:
    """Print the line of a program and return it: steps of both in turn, their losses compared."""
    steps = {
        OURS: PROGRAMS[name](lambda model: lstmcore.torch.accelerate(model, verbose=False)),
        "torch": PROGRAMS[name](lambda model: None),
    }
    times: dict[str, list[float]] = {side: [] for side in steps}
    losses: dict[str, list[float]] = {side: [] for side in steps}
    start = time.perf_counter()
    while time.perf_counter() - start < seconds or len(losses[OURS]) < 8:
        for side, step in steps.items():
            before = time.perf_counter()
            losses[side].append(step(len(losses[side])))
            times[side].append(time.perf_counter() - before)
    found = {side: float(np.median(values[2:])) for side, values in times.items()}
    ratio = found["torch"] / found[OURS]
    apart = float(np.max(np.abs(np.subtract(losses[OURS], losses["torch"]))))
    columns = "".join(f" {f'{t * 1e3:.2f} ms':>12}" for t in found.values())
    print(f"{name:44}{columns} {ratio:>10.2f} {apart:>12.1e} in {len(losses[OURS])} steps", flush=True)
    return {"program": name, "threads": threads, "seconds": found, "ratio": ratio, "losses": losses, "apart": apart}


def main() -> None:
    """Parse the command line, measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tables = {"grid": GRID, "odd": ODD, "cells": STEPS}
    parser.add_argument("what", nargs="*", help=f"some of {', '.join(tables)}, programs (default: all)")
    parser.add_argument("--threads", default="", help="numbers of threads, e.g. 1,2 (default: 1 and all CPUs)")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each line; programs take five times as long")
    parser.add_argument("--json", type=pathlib.Path, help="where to write the results (default benchmarks/results)")
    options = parser.parse_args()
    unknown = set(options.what) - {*tables, "programs"}
    if unknown:
        parser.error(f"what: expected some of {', '.join(tables)}, programs, got {', '.join(sorted(unknown))}")
    rows: list[dict[str, Any]] = []
    programs: list[dict[str, Any]] = []
    for threads in thread_counts(parser, options.threads):
        for task in os.listdir("/proc/self/task"):
            os.sched_setaffinity(int(task), CPUS[:threads])
        lstmcore.set_num_threads(threads)
        torch.set_num_threads(threads)
        for title, cells in tables.items():
            if not options.what or title in options.what:
                rows += measure_cells(title, cells, threads, options.seconds)
        if not options.what or "programs" in options.what:
            print(f"\n{'a training step':44} {OURS:>12} {'torch':>12} {'torch/ours':>10} {'losses apart':>12}")
            programs += [measure_program(name, threads, 5 * options.seconds) for name in PROGRAMS]
    save(options.json, "-torch-modules", torch=torch.__version__, rows=rows, programs=programs)


if __name__ == "__main__":
    main()
