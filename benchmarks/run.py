"""Measure lstmcore beside the other libraries that are installed, interleaved in one run.

python benchmarks/run.py                      the grid, one thread and all CPUs
python benchmarks/run.py T3 I2 --threads 1    some cells
python benchmarks/run.py odd                  odd shapes
python benchmarks/run.py --precision bfloat16 int8    what can be computed so, beside the peers at that precision
python benchmarks/run.py gru:infer:B=4,T=20,I=300,H=300
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from typing import Any

import numpy as np
from cells import BITS, GRID, LONG, ODD, PAIRS, Cell, select
from machine import circumstances, fma_limit, read_limits
from peers import PEERS

# How far apart results may be, of the greatest. Rounding of float32 through hundreds of steps stays well below the
# first; a wrong gate order does not. The others are held against float32's.
APART = {"float32": 1e-3, "bfloat16": 0.05, "int8": 0.15}
HERE = pathlib.Path(__file__).resolve().parent
OURS = "lstmcore"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class Worker:
    """A library in its own pinned process, stopped dead between its turns so that it cannot spin."""

    def __init__(self, peer: str, threads: int) -> None:
        cpus = sorted(os.sched_getaffinity(0))[:threads]
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "worker.py"), peer, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))},
            preexec_fn=lambda: os.sched_setaffinity(0, cpus),
            start_new_session=True,
        )
        self.greeting = self._read()
        self._signal(signal.SIGSTOP)

    def _signal(self, number: int) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"unable": "the process died"}

    def ask(self, **request: Any) -> dict[str, Any]:
        """Wake it, ask, wait for the answer, put it to sleep."""
        self._signal(signal.SIGCONT)
        try:
            assert self.process.stdin is not None
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            return self._read()
        except BrokenPipeError:
            return {"unable": "the process died"}
        finally:
            self._signal(signal.SIGSTOP)

    def close(self) -> None:
        """End it."""
        self._signal(signal.SIGKILL)
        self.process.wait()


def start(peers: list[str], threads: int) -> dict[str, Worker]:
    """Start the libraries; those that are absent are left out."""
    workers = {}
    for peer in peers:
        worker = Worker(peer, threads)
        if "version" in worker.greeting:
            workers[peer] = worker
        else:
            worker.close()
    return workers


def prepare(cell: Cell, workers: dict[str, Worker]) -> tuple[list[str], dict[str, str]]:
    """Make every library ready for the cell. Returns those whose results agree with ours, and why others do not run."""
    ready, refused, expected = [], {}, None
    with tempfile.TemporaryDirectory() as folder:

        def results_of(name: str, precision: str) -> list[np.ndarray] | None:
            path = os.path.join(folder, name + ".npz")
            reply = workers[name].ask(cell=cell.name, precision=precision, save=path)
            if "unable" in reply:
                refused[name] = reply["unable"]
                return None
            with np.load(path) as values:
                return list(values.values())

        if cell.precision != "float32":
            expected = results_of(OURS, "float32")
        for name in workers:
            results = results_of(name, cell.precision)
            if results is None:
                continue
            if name == OURS and cell.precision == "float32":
                expected = results
            if expected is None:  # ours failed: there is nothing to hold the others against
                break
            errors = [float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(results, expected, strict=True)]
            if max(errors) < APART[cell.precision]:
                ready.append(name)
            else:
                refused[name] = f"differs from lstmcore by {max(errors):.1e}"
    return ready, refused


def take_turns(workers: dict[Any, Worker], rounds: int, seconds: float) -> dict[Any, dict[str, float]]:
    """Return the quartiles of the times of each, measured in turns."""
    times: dict[Any, list[float]] = {key: [] for key in workers}
    for _ in range(rounds):
        for key, worker in workers.items():
            reply = worker.ask(seconds=seconds)
            if "times" in reply:
                # The first call of a turn meets cold caches and sleeping threads.
                times[key] += reply["times"][1:]
    names = ("low", "median", "high")
    return {key: dict(zip(names, np.percentile(t, [25, 50, 75]).tolist(), strict=True)) for key, t in times.items()}


def limit_seconds(cell: Cell, threads: int, fma: float, reads: dict[str, float]) -> float:
    """The machine's own limit: the multiply-adds and, where rows are few, reading weights at every step.

    Those are the recurrent weights, once forward and once backward (the other products are over all
    steps at once); all weights if there is a single step. Narrower numbers are multiplied as many more at a time
    (the dot products of pairs and quads of AVX-512 BF16 and VNNI) and take so much less to read.
    """
    fma *= 32 // BITS[cell.precision]
    again = cell.recurrent_weights if cell.steps > 1 else cell.weights
    networks = cell.layers * cell.directions if cell.steps > 1 else 1
    share = BITS[cell.precision] / 8 * again / networks / threads
    sizes = {"L1": 32 << 10, "L2": 1 << 20, "L3": 32 << 20, "memory": math.inf}
    level = next(level for level, size in sizes.items() if share <= size)
    times = (2 if cell.train else 1) * cell.steps
    reading = times * networks * share / reads[level]
    meanwhile = times * 2.0 * cell.batch * again / fma
    return cell.flops / fma + max(0.0, reading - meanwhile)


def measure(
    cells: list[Cell], threads: int, peers: list[str], rounds: int, seconds: float
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return a row for each cell at this number of threads, and what the machine and the libraries are."""
    fma, reads = fma_limit(threads), read_limits()
    levels = ", ".join(f"{level} {speed / 1e9:.0f}" for level, speed in reads.items())
    print(f"\n{threads} thread{'s'[: threads > 1]}: {fma / 1e9:.0f} GFLOP/s of float32 FMA; one reads GB/s: {levels}")
    workers = start(peers, threads)
    for name, worker in workers.items():
        print(f"  {name} {worker.greeting['version']}")
    others = [name for name in workers if name != OURS]
    header = f"{'cell':4} {'what':46} {OURS:>17} " + "".join(f"{name:>17} " for name in others)
    print(header + f"{'best/ours':>10} {'GFLOP/s':>8} {'of limit':>8}")
    rows = []
    try:
        for cell in cells:
            ready, refused = prepare(cell, workers)
            if OURS not in ready:
                print(f"{cell.name}: lstmcore: {refused[OURS]}")
                continue
            summary = take_turns({name: workers[name] for name in ready}, rounds, seconds)
            ours = summary[OURS]["median"]
            best = min((n for n in summary if n != OURS), key=lambda n: summary[n]["median"], default=None)
            limit = limit_seconds(cell, threads, fma, reads)
            row = {
                "cell": cell.name,
                "precision": cell.precision,
                "description": cell.description,
                "threads": threads,
                "seconds": summary,
                "refused": refused,
                "best_peer": best,
                "ratio": summary[best]["median"] / ours if best else None,
                "gflops": cell.flops / ours / 1e9,
                "limit_seconds": limit,
                "of_limit": limit / ours,
            }
            rows.append(row)
            columns = "".join(f"{show(summary.get(name)):>17} " for name in (OURS, *others))
            ratio = f"{row['ratio']:.2f}" if best else "-"
            label = cell.name if len(cell.name) <= 4 else "-"
            print(
                f"{label:4} {cell.description:46} {columns}{ratio:>10} {row['gflops']:8.1f} {row['of_limit']:8.0%}",
                flush=True,
            )
            for name, reason in refused.items():
                if not reason.startswith("not offered"):
                    print(f"     {name}: {reason[:150]}")
    finally:
        for worker in workers.values():
            worker.close()
    compared = [row for row in rows if row["ratio"]]
    if compared:
        mean = statistics.geometric_mean(row["ratio"] for row in compared)
        worst = min(compared, key=lambda row: row["ratio"])
        print(f"best peer's time over ours: geometric mean {mean:.2f}, least {worst['ratio']:.2f} ({worst['cell']})")
    return rows, {
        "fma_flops": fma,
        "read_bytes": reads,
        "versions": {n: w.greeting["version"] for n, w in workers.items()},
    }


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what all programs here are told."""
    parser.add_argument("--threads", default="", help="numbers of threads, e.g. 1,2 (default: 1 and all CPUs)")
    parser.add_argument("--rounds", type=int, default=5, help="turns each library gets at a cell (default 5)")
    parser.add_argument("--seconds", type=float, default=0.6, help="length of a turn (default 0.6)")
    parser.add_argument("--json", type=pathlib.Path, help="where to write the results (default benchmarks/results)")


def thread_counts(parser: argparse.ArgumentParser, text: str) -> list[int]:
    """Return the numbers of threads asked for."""
    cpus = len(os.sched_getaffinity(0))
    counts = sorted({int(n) for n in text.split(",")} if text else {1, cpus})
    if not 1 <= counts[0] <= counts[-1] <= cpus:
        parser.error(f"--threads: expected numbers from 1 to {cpus}, got {text}")
    return counts


def save(path: pathlib.Path | None, ending: str, **values: Any) -> pathlib.Path:
    """Write results and circumstances as JSON, beside the others by default, and return where."""
    path = path or HERE / "results" / f"{datetime.date.today().isoformat()}{ending}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**circumstances(), **values}, indent=1) + "\n", encoding="utf-8")
    print(f"\nsaved {path}")
    return path


def show(summary: dict[str, float] | None) -> str:
    """A median with half its interquartile range, in a readable unit."""
    if summary is None:
        return "-"
    unit, factor = ("ms", 1e3) if summary["median"] >= 1e-3 else ("µs", 1e6)
    spread = factor * (summary["high"] - summary["low"]) / 2
    return f"{factor * summary['median']:.4g} ±{spread:.2g} {unit}"


def draw(path: pathlib.Path, rows: list[dict[str, Any]], machine: str) -> None:
    """Save a chart: every library's time relative to lstmcore's, a panel for each number of threads."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    colors = {
        "torch": "#d9593d",
        "onnxruntime": "#7a7f87",
        "openvino": "#8a62b0",
        "tensorflow": "#e7a13a",
        "jax": "#3c9a79",
    }
    ink = "#33373d"
    counts = sorted({row["threads"] for row in rows})
    cells = list(dict.fromkeys(row["cell"] for row in rows))
    figure, panels = plt.subplots(
        1, len(counts), figsize=(7.5 * len(counts), 1.4 + 0.62 * len(cells)), dpi=140, sharey=True, squeeze=False
    )
    for axes, threads in zip(panels[0], counts, strict=True):
        here = [row for row in rows if row["threads"] == threads]
        for row in here:
            place = cells.index(row["cell"])
            ours = row["seconds"][OURS]["median"]
            others = [n for n in colors if n in row["seconds"]]
            height = 0.8 / max(1, len(others))
            for k, name in enumerate(others):
                ratio = row["seconds"][name]["median"] / ours
                y = place - 0.4 + (k + 0.5) * height
                axes.barh(y, ratio, 0.86 * height, color=colors[name])
                axes.text(ratio * 1.04, y, f"{ratio:.2g}×", va="center", fontsize=7, color=ink)
            limit = row["limit_seconds"] / ours
            axes.plot([limit, limit], [place - 0.42, place + 0.42], color=ink, lw=1.4, ls=(0, (2, 1.5)))
        axes.axvline(1, color="#2b62a8", lw=2, zorder=3)
        axes.set_xscale("log")
        axes.set_xlim(0.25, None)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
        axes.set_title(f"{threads} thread{'s'[: threads > 1]}", loc="left", fontsize=12, fontweight="bold", color=ink)
        axes.set_xlabel("time, lstmcore = 1 (logarithmic)", color=ink)
        axes.grid(axis="x", color="#e4e6e9", lw=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(length=0, colors=ink)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
    labels = {row["cell"]: row["description"].split("  ") for row in rows}
    panels[0][0].set_yticks(
        range(len(cells)),
        [f"{c}  {labels[c][0]}\n{labels[c][1]}" if len(c) <= 4 else "\n".join(labels[c]) for c in cells],
        fontsize=8,
    )
    panels[0][0].invert_yaxis()
    present = [n for n in colors if any(n in row["seconds"] for row in rows)]
    handles = [plt.Rectangle((0, 0), 1, 1, color=colors[n]) for n in present]
    handles += [plt.Line2D([], [], color="#2b62a8", lw=2), plt.Line2D([], [], color=ink, lw=1.4, ls=(0, (2, 1.5)))]
    figure.legend(
        handles, [*present, OURS, "the machine's limit"], loc="upper center", ncols=len(handles), frameon=False
    )
    figure.text(0.995, 0.005, machine, ha="right", va="bottom", fontsize=7, color="#7a7f87")
    figure.tight_layout(rect=(0, 0.015, 1, 0.95))
    figure.savefig(path)
    print(f"saved {path}")


def main() -> None:
    """Parse the command line, measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", nargs="*", help="names, odd, or lstm|gru|rnn:infer|train:B=..,T=..,I=..,H=..")
    parser.add_argument("--list", action="store_true", help="print the named cells and stop")
    parser.add_argument(
        *("--precision", "-p"),
        nargs="+",
        default=["float32"],
        choices=list(BITS),
        help="of the products (default float32)",
    )
    parser.add_argument("--peers", default=",".join(PEERS), help="libraries to measure (default: all installed)")
    add_options(parser)
    parser.add_argument("--chart", type=pathlib.Path, help="where to save the chart (default beside the results)")
    options = parser.parse_args()
    if options.list:
        groups = {"the grid": GRID, "odd": ODD, "pairs, for cases.py": PAIRS, "long, for memory.py": LONG}
        for heading, cells in groups.items():
            print(heading)
            for cell in cells:
                print(f"  {cell.name:12} {cell.description}")
        return
    cells = select(options.cells) or GRID
    counts = thread_counts(parser, options.threads)
    unknown = set(options.peers.split(",")) - set(PEERS)
    if unknown:
        parser.error(f"--peers: expected some of {', '.join(PEERS)}, got {', '.join(sorted(unknown))}")
    peers = [OURS, *(name for name in options.peers.split(",") if name != OURS)]

    rows, machines = [], {}
    for threads in counts:
        for precision in options.precision:
            narrow = [replace(cell, precision=precision) for cell in cells if precision != "int8" or not cell.train]
            if precision != "float32":
                print(f"\n{precision}:", end="")
            more, machines[threads] = measure(narrow, threads, peers, options.rounds, options.seconds)
            rows += more
    path = save(options.json, "", machine=machines, rows=rows)
    here = circumstances()
    if options.precision != ["float32"]:
        return  # the chart is one of float32
    try:
        draw(options.chart or path.with_suffix(".png"), rows, f"{here['cpu']}, {here['config']['instruction_set']}")
    except ImportError:
        print("no chart: matplotlib is not installed")


if __name__ == "__main__":
    main()
