"""``bench``: a minute's look at what this machine can do, and how near we and others come to it."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from typing import Any

from .._config import get_num_threads

_BAR = 24  # characters of the longest bar
_MEASURES = 20  # about as many as there are of libraries and shapes


def add(subcommands: Any) -> None:
    """Add the subcommand."""
    words = "measure this machine and our speed at typical shapes, beside PyTorch, ONNX Runtime and Keras if installed"
    parser = subcommands.add_parser("bench", help=words, description=words)
    parser.add_argument("--seconds", type=_seconds, default=45.0, help="to measure for, about (default %(default)s)")
    parser.add_argument("--only", action="store_true", help="lstmcore alone")
    parser.add_argument("--picture", metavar="FILE", help="also draw it: .png, .svg or .pdf; needs matplotlib")
    parser.set_defaults(run=run)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"expected seconds above 0, got {text}")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Measure and print a table with bars."""
    from . import limits
    from .workers import LIBRARIES

    if arguments.picture is not None:
        _check_picture(arguments.picture)
    threads = get_num_threads()
    peak = limits.fma_limit(threads)
    print(f"{limits.cpu_name()}, {threads} thread{'s' if threads > 1 else ''}")
    print(f"multiply-adds in registers: {peak / 1e9:.0f} GFLOP/s in float32")
    reads = ", ".join(f"{level} {rate / 1e9:.0f}" for level, rate in limits.read_limits().items())
    print(f"one thread reads, GB/s: {reads}", flush=True)
    found: dict[str, dict[str, Any]] = {}
    for name in LIBRARIES:
        if name != "lstmcore" and (arguments.only or importlib.util.find_spec(name) is None):
            continue
        done = _measured(name, threads, arguments.seconds / _MEASURES)
        if done is not None:
            found[name] = done
            print(f"{name} {done['version']}: measured", flush=True)
    _print_table(found, max(peak, limits.fma_limit(threads)))  # others may have had the CPUs the first time
    if arguments.picture is not None:
        _draw(found, arguments.picture)
        print(f"drawn: {arguments.picture}")
    return int("lstmcore" not in found)


def _measured(name: str, threads: int, seconds: float) -> dict[str, Any] | None:
    """Return what a process of its own has measured; None, with a word on stderr, if it could not."""
    command = [sys.executable, "-m", "lstmcore.cli.workers", name, str(seconds)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        print(f"{name} could not be measured: {reason}", file=sys.stderr)
        return None
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _print_table(found: dict[str, dict[str, Any]], peak: float) -> None:
    """Print for each shape the time of each library, the part of the machine's limit, and a bar: shorter is better."""
    from .workers import SHAPES

    for shape in SHAPES:
        times = {name: done["seconds"][shape.name] for name, done in found.items() if shape.name in done["seconds"]}
        if not times:
            continue
        print(
            f"\n{shape.name}: {shape.cell.upper()}, batch {shape.batch}, {shape.steps} steps, "
            f"{shape.inputs} inputs, {shape.units} units"
        )
        for name, time in times.items():
            bar = "█" * max(1, round(_BAR * time / max(times.values())))
            part = f"{100 * shape.operations / time / peak:.0f} % of the limit"
            print(f"  {name:12} {1e3 * time:9.3f} ms  {part:>18}  {bar}")


def _check_picture(file: str) -> None:
    """Refuse, before a minute is spent, what could not be drawn."""
    if os.path.splitext(file)[1].lower() not in (".png", ".svg", ".pdf"):
        raise ValueError(f"--picture: expected a name that ends in .png, .svg or .pdf, got {file!r}")
    folder = os.path.dirname(file) or "."
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"--picture: there is no directory {folder!r}")
    if os.path.isdir(file):
        raise IsADirectoryError(f"--picture: expected the name of a file, got the directory {file!r}")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(f"--picture: nothing can be written in {folder!r}: {error.strerror}") from error
    if importlib.util.find_spec("matplotlib") is None:
        raise ImportError('--picture needs matplotlib: pip install "lstmcore[plot]"')


def _draw(found: dict[str, dict[str, Any]], file: str) -> None:
    from matplotlib.figure import Figure

    from .workers import SHAPES

    figure = Figure(figsize=(8, 1 + 0.9 * len(SHAPES)), layout="constrained")
    axes = figure.add_subplot()
    height = 0.8 / len(found)
    for k, (name, done) in enumerate(found.items()):
        rows = [(j, done["seconds"][s.name]) for j, s in enumerate(SHAPES) if s.name in done["seconds"]]
        bars = axes.barh(
            [j + (k - (len(found) - 1) / 2) * height for j, _ in rows],
            [1e3 * seconds for _, seconds in rows],
            height,
            label=f"{name} {done['version']}",
        )
        axes.bar_label(bars, fmt="%.3g", padding=3, fontsize="small")
    axes.set_yticks(range(len(SHAPES)), [s.name for s in SHAPES])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("milliseconds a call (less is better)")
    axes.margins(x=0.15)
    axes.legend()
    figure.savefig(file)
