"""Training over several processes: measured on this machine, and estimated for many of them.

python benchmarks/distributed.py                          1, 2 and 4 processes here, and the estimate, drawn
python benchmarks/distributed.py --cells T2 --steps 5     of some cells, with fewer steps

The estimate: a step of N machines takes as long as the shards that one of them computes, one after the other, and what
it sends, 2 (N - 1) / N times the gradients, at the speed of its link, and 2 log2(N) + 4 times the latency. The time of
a shard is measured here, by one process with all cores; nothing is assumed to overlap. One machine alone computes the
batch as a whole, which is faster than in small shards.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import time
from typing import Any

import numpy as np
from machine import circumstances

LATENCY = 30e-6  # seconds, of a message between machines, as of Ethernet
SPEEDS = {"10 Gbit/s": 10e9 / 8, "100 Gbit/s": 100e9 / 8}  # bytes a second
MACHINES = [1, 2, 4, 8, 16, 32, 64]
# rows of a batch, steps, features, units, and whether there are two directions
CELLS = {"air passengers": (32, 12, 1, 50, 1), "T2": (32, 500, 128, 64, 2), "T3": (64, 100, 256, 256, 1)}
LARGE = {"small": (512, 50, 32, 64, 1), "middle": (512, 50, 128, 256, 1), "large": (512, 50, 256, 512, 1)}


def model_of(steps: int, features: int, units: int, directions: int) -> Any:
    """Return a model that is ready to be trained."""
    import lstmcore
    from lstmcore import Sequential, layers

    lstmcore.utils.set_random_seed(1)
    layer: Any = layers.LSTM(units)
    first = layers.Bidirectional(layer) if directions == 2 else layer
    model = Sequential([lstmcore.Input((steps, features)), first, layers.Dense(1)])
    model.compile("adam", "mse")
    return model


def seconds_of_steps(shape: tuple[int, ...], shards: int, count: int) -> tuple[float, float, int]:
    """Return the median time of a step, the bytes that one sends, and those of the weights; in this process."""
    rows, steps, features, units, directions = shape
    model = model_of(steps, features, units, directions)
    if shards:
        model.distribute(shards=shards)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((rows, steps, features), np.float32), rng.standard_normal((rows, 1), np.float32)
    model.train_on_batch(x, y)
    link = model.distribution.communicator if shards else None
    before, times = getattr(link, "sent", 0), []
    for _ in range(count):
        begun = time.perf_counter()
        model.train_on_batch(x, y)
        times.append(time.perf_counter() - begun)
    own = float(np.median(times)), (getattr(link, "sent", 0) - before) / count, model.parameters.values.nbytes
    return own if link is None else max(link.gather(own))


def measured(name: str, processes: int, threads: int, shards: int, count: int) -> dict[str, Any]:
    """Return the same of so many processes that mpiexec starts."""
    command = [sys.executable, __file__, "--worker", name, "--shards", str(shards), "--steps", str(count)]
    if shards:
        mpiexec = shutil.which("mpiexec", path=f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}")
        command = [mpiexec or "mpiexec", "-n", str(processes), *command]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    ended = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    seconds, sent, weights = json.loads(ended.stdout)
    return {
        "cell": name,
        "processes": processes,
        "threads": threads,
        "shards": shards,
        "seconds": seconds,
        "sent / weights": sent / weights,
    }


def estimated(name: str, count: int) -> list[dict[str, Any]]:
    """Return the time of a step of many machines, by the model of the network at the top."""
    shards, shape = max(MACHINES), LARGE[name]
    alone, _, _ = seconds_of_steps(shape, 0, count)  # the whole batch at once, as who has one machine would
    shard, _, weights = seconds_of_steps((shape[0] // shards, *shape[1:]), 0, count)
    rows = []
    for link, speed in SPEEDS.items():
        for n in MACHINES:
            talk = 0.0 if n == 1 else 2 * (n - 1) / n * weights / speed + (2 * math.log2(n) + 4) * LATENCY
            seconds = alone if n == 1 else shard * shards / n + talk
            rows.append({"model": name, "link": link, "machines": n, "seconds": seconds, "wire": talk})
    return rows


def pays_until(rows: list[dict[str, Any]]) -> int:
    """Return the last number of machines that took at most 1 / 1.5 of the time of half as many; 1 if none did."""
    return max(
        [1, *(two["machines"] for one, two in itertools.pairwise(rows) if one["seconds"] >= 1.5 * two["seconds"])]
    )


def draw(rows: list[dict[str, Any]], path: pathlib.Path) -> None:
    """Draw how many times faster many machines are than one."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(SPEEDS), figsize=(10, 4), sharey=True)
    for axis, link in zip(axes, SPEEDS, strict=True):
        for name in LARGE:
            line = [row for row in rows if (row["link"], row["model"]) == (link, name)]
            axis.plot(MACHINES, [line[0]["seconds"] / row["seconds"] for row in line], marker="o", label=name)
        axis.plot(MACHINES, MACHINES, color="0.7", zorder=0)
        axis.set(title=link, xlabel="machines", xscale="log", yscale="log", xticks=MACHINES, xticklabels=MACHINES)
    axes[0].set_ylabel("times as fast as one, estimated")
    axes[0].legend()
    figure.savefig(path, dpi=120, bbox_inches="tight")


def main() -> None:
    """Parse the command line, measure, estimate, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", nargs="*", default=list(CELLS), help=f"of {', '.join(CELLS)}")
    parser.add_argument("--steps", type=int, default=20, help="steps of each, of which the median is taken")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--shards", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=pathlib.Path, help="where to write the results, and a drawing beside it")
    options = parser.parse_args()
    if options.worker:
        told = json.dumps(seconds_of_steps(CELLS[options.worker], options.shards, options.steps))
        if os.environ.get("PMI_RANK", os.environ.get("OMPI_COMM_WORLD_RANK", "0")) == "0":
            print(told, flush=True)
        return
    found = []
    # One process without shards has two threads, as two processes have together; four share the same two cores.
    for name in options.cells:
        for processes, threads, shards in (1, 2, 0), (1, 2, 2), (2, 1, 2), (1, 2, 4), (4, 1, 4):
            row = measured(name, processes, threads, shards, options.steps)
            found.append(row)
            print(
                f"{name:15} {processes} processes of {threads} threads, {shards or 'no'} shards: "
                f"{1e3 * row['seconds']:8.2f} ms a step, sends {row['sent / weights']:.2f} times the weights",
                flush=True,
            )
    rows = [row for name in LARGE for row in estimated(name, max(3, options.steps // 4))]
    until = {}
    for name in LARGE:
        for link in SPEEDS:
            line = [row for row in rows if (row["link"], row["model"]) == (link, name)]
            until[f"{name}, {link}"] = pays_until(line)
            speed = ", ".join(f"{row['machines']}: {line[0]['seconds'] / row['seconds']:.1f}" for row in line)
            print(f"{name:8} {link:10} times as fast with machines {speed}; pays until {until[f'{name}, {link}']}")
    if options.json:
        options.json.write_text(
            json.dumps({**circumstances(), "measured": found, "estimated": rows, "pays until": until}, indent=1) + "\n"
        )
        draw(rows, options.json.with_suffix(".png"))


if __name__ == "__main__":
    main()
