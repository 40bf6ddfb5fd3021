"""Training of minGRU, minLSTM and sLSTM beside our LSTM and PyTorch, in one process: calls of each in turn.

python benchmarks/min_and_slstm.py                       all cases, with 1 thread and with all CPUs
python benchmarks/min_and_slstm.py min_gru --threads 2
python benchmarks/min_and_slstm.py slstm --unroll 100    compile all steps of a case at once, which takes minutes
python benchmarks/min_and_slstm.py --no-compile --seconds 2
"""

from __future__ import annotations

import argparse
import functools
import os
import pathlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
import torch._inductor.config
from machine import circumstances, fma_limit
from run import OURS, save, show, thread_counts
from torch_forms import min_gru, min_lstm, slstm, slstm_steps

import lstmcore
from lstmcore import functional

CPUS = sorted(os.sched_getaffinity(0))
GATES = {"lstm": 4, "min_gru": 2, "min_lstm": 3, "slstm": 4}
LSTM, TORCH, COMPILED = "lstmcore's LSTM", "torch", "torch compiled"

# Aims: how many times as long the others should take, with all CPUs.
AIMS = {
    "min_gru": {LSTM: 3.0, TORCH: 5.0},
    "slstm": {LSTM: 1 / 1.5, TORCH: 10.0, COMPILED: 2.0},
}

# How far results may be from ours, relative to the greatest: in float64, up to the rounding of our float32, and outputs
# in float32, where the parallel forms take the differences of sums of thousands of logarithms.
TOLERANCES = {"float64": 1e-5, "float32": 1e-3}

Call = Callable[[], list[np.ndarray]]


class Case(NamedTuple):
    """A layer of a cell, forward and backward, with the gradients of the inputs and of all weights."""

    kind: str
    batch: int
    steps: int
    inputs: int
    units: int
    heads: int = 1

    @property
    def description(self) -> str:
        """What it is, in a few words."""
        heads = f" heads {self.heads}" if self.kind == "slstm" else ""
        return f"{self.kind} train  B{self.batch} T{self.steps} I{self.inputs} H{self.units}{heads}"

    @property
    def flops(self) -> float:
        """2 B T G H (I + H / heads), without H where there is no recurrent kernel; three times that to train."""
        recurrent = 0 if self.kind.startswith("min_") else self.units // self.heads
        return 6.0 * self.batch * self.steps * GATES[self.kind] * self.units * (self.inputs + recurrent)

    def arrays(self) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """Return x, the gradient of the outputs, and the weights as lstmcore has them."""
        rng = np.random.default_rng(0)

        def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
            return (scale * rng.standard_normal(shape)).astype(np.float32)

        width = GATES[self.kind] * self.units
        weights = [normal(self.inputs, width, scale=self.inputs**-0.5), normal(width, scale=0.1)]
        if not self.kind.startswith("min_"):
            part = self.units // self.heads
            weights.insert(1, normal(part, width, scale=part**-0.5))
        return normal(self.batch, self.steps, self.inputs), normal(self.batch, self.steps, self.units), weights


CASES = [
    Case("min_gru", 8, 4096, 256, 256),
    Case("min_lstm", 8, 4096, 256, 256),
    Case("slstm", 32, 100, 128, 256, heads=1),
    Case("slstm", 32, 100, 128, 256, heads=4),
]
KINDS = list(dict.fromkeys(case.kind for case in CASES))


def ours(case: Case) -> Call:
    """Return a call of ours; weights are arranged anew in each, as training changes them."""
    x, dy, weights = case.arrays()
    run, backward = getattr(functional, case.kind), getattr(functional, f"{case.kind}_backward")
    options = {
        "lstm": functional.LSTMOptions(),
        "min_gru": functional.MinGRUOptions(log_space=True),
        "min_lstm": functional.MinLSTMOptions(log_space=True),
        "slstm": functional.SLSTMOptions(heads=case.heads),
    }[case.kind]

    def call() -> list[np.ndarray]:
        y, _, cache = run(x, weights, options=options, training=True)
        dx, d_weights, _ = backward(cache, dy)
        return [y, dx, *d_weights]

    return call


def torchs(
    case: Case, compile_it: Callable[..., Any] | None = None, unroll: int = 1, dtype: torch.dtype = torch.float32
) -> Call:
    """Return a call of PyTorch's, compiled or not."""
    x, dy, weights = case.arrays()
    leaves = [torch.tensor(array, dtype=dtype, requires_grad=True) for array in (x, *weights)]
    d_outputs = torch.tensor(dy, dtype=dtype)
    if case.kind == "slstm":
        steps, at_once = (compile_it(slstm_steps), unroll) if compile_it else (slstm_steps, case.steps)
        form = functools.partial(slstm, heads=case.heads, steps=steps, at_once=at_once)
    else:
        form = {"min_gru": min_gru, "min_lstm": min_lstm}[case.kind]
        form = compile_it(form) if compile_it else form

    def call() -> list[np.ndarray]:
        for leaf in leaves:
            leaf.grad = None
        y = form(*leaves)
        y.backward(d_outputs)
        return [y.detach().numpy(), *(leaf.grad.numpy() for leaf in leaves)]

    return call


def compiler(threads: int) -> Callable[..., Any]:
    """Return torch.compile for this number of threads, which its loops have written in them."""
    torch._dynamo.reset()
    torch._inductor.config.cpp.threads = threads
    return functools.partial(torch.compile, dynamic=False)


def differences(results: list[np.ndarray], ours: list[np.ndarray]) -> dict[str, float]:
    """Return by how much outputs and gradients differ from ours, relative to the greatest of them."""
    parts = [float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(results, ours, strict=True)]
    return {"outputs": parts[0], "gradients": float(np.max(parts[1:]))}  # NaN, if any is


def check(case: Case) -> None:
    """End the program if PyTorch's form of the cell, in float64, is not what ours computes; on a single row."""
    row = case._replace(batch=1)
    found = differences(torchs(row, dtype=torch.float64)(), ours(row)())
    if not max(found.values()) < TOLERANCES["float64"]:
        raise SystemExit(f"{row.description}: lstmcore and PyTorch in float64 differ: {found}")


def contenders(case: Case, makers: dict[str, Callable[[], Call]]) -> tuple[dict[str, Call], dict[str, Any]]:
    """Return the calls to hold against ours, and by how much their results differ or why they are left out."""
    expected = ours(case)()
    calls: dict[str, Call] = {}
    remarks: dict[str, Any] = {}
    for name, make in makers.items():
        try:
            results = (call := make())()
        except Exception as reason:  # what cannot be compiled here is left out, and the others go on
            remarks[name] = f"{type(reason).__name__}: {reason}".splitlines()[0]
            continue
        remarks[name] = differences(results, expected)
        if remarks[name]["outputs"] < TOLERANCES["float32"]:
            calls[name] = call
    return calls, remarks


def take_turns(calls: dict[str, Call], seconds: float) -> dict[str, dict[str, float]]:
    """Return the quartiles of the times of single calls, each at least five times."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    start = time.perf_counter()
    while time.perf_counter() - start < seconds or len(times[OURS]) < 5:
        for name, call in calls.items():
            time.sleep(0.02)  # threads that wait for more work spin for some milliseconds before they sleep
            before = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - before)
    names = ("low", "median", "high")
    return {name: dict(zip(names, np.percentile(t, [25, 50, 75]).tolist(), strict=True)) for name, t in times.items()}


def pin(threads: int) -> None:
    """Give this process, with the threads that it has, so many CPUs, and each library as many threads."""
    for task in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(task), CPUS[:threads])
    lstmcore.set_num_threads(threads)
    torch.set_num_threads(threads)


def measure(case: Case, threads: int, fma: float, options: argparse.Namespace) -> dict[str, Any]:
    """Measure a case, print it, return it."""
    makers = {TORCH: lambda: torchs(case)}
    if not options.no_compile:
        makers[COMPILED] = lambda: torchs(case, compiler(threads), options.unroll)
    check(case)
    calls, remarks = contenders(case, makers)
    lstm = ours(case._replace(kind="lstm", heads=1))
    summary = take_turns({OURS: ours(case), LSTM: lstm, **calls}, options.seconds)
    mine, limit = summary[OURS]["median"], case.flops / fma
    ratios = {name: times["median"] / mine for name, times in summary.items() if name != OURS}
    print(f"\n{case.description}, {threads} thread{'s'[: threads > 1]}")
    print(f"  {OURS:16}{show(summary[OURS]):>18}   {limit / mine:.0%} of the limit, {limit * 1e3:.1f} ms")
    for name in (LSTM, *makers):
        if name not in ratios:
            print(f"  {name:16}left out: {remarks[name]}")
            continue
        aim = AIMS.get(case.kind, {}).get(name) if threads == len(CPUS) else None
        verdict = "" if aim is None else f", aim {aim:.2f}: {'reached' if ratios[name] >= aim else 'missed'}"
        away = "".join(f", {part} {by:.0e} off" for part, by in remarks.get(name, {}).items())
        print(f"  {name:16}{show(summary[name]):>18}   {ratios[name]:.2f} times as long{verdict}{away}", flush=True)
    return {
        "case": case._asdict(),
        "description": case.description,
        "threads": threads,
        "seconds": summary,
        "ratios": ratios,
        "torch_differs": remarks,
        "limit_seconds": limit,
        "of_limit": limit / mine,
    }


def draw(path: pathlib.Path, rows: list[dict[str, Any]], machine: str) -> None:
    """Save a chart: the others' times relative to ours, a panel for each number of threads."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    colors = {LSTM: "#3274c2", TORCH: "#d9593d", COMPILED: "#e7a13a"}
    counts = sorted({row["threads"] for row in rows})
    labels = list(dict.fromkeys(row["description"] for row in rows))
    figure, panels = plt.subplots(
        1, len(counts), figsize=(6.5 * len(counts), 1.6 + 0.9 * len(labels)), dpi=140, sharey=True, squeeze=False
    )
    for axes, threads in zip(panels[0], counts, strict=True):
        for row in (row for row in rows if row["threads"] == threads):
            for k, (name, color) in enumerate(colors.items()):
                if ratio := row["ratios"].get(name):
                    place = labels.index(row["description"]) - 0.27 + 0.27 * k
                    axes.barh(place, ratio, 0.24, color=color)
                    axes.text(ratio * 1.04, place, f"{ratio:.2g}×", va="center", fontsize=8)
        axes.axvline(1, color="#33373d", lw=1.5)
        axes.set_xscale("log")
        axes.set_xlim(0.5, None)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
        axes.tick_params(which="both", length=0)
        axes.set_xlabel("time, the new cell in lstmcore = 1 (logarithmic)")
        axes.set_title(f"{threads} thread{'s'[: threads > 1]}", loc="left", fontweight="bold")
        axes.spines[["top", "right", "left"]].set_visible(False)
    panels[0][0].set_yticks(range(len(labels)), [label.replace("  ", "\n") for label in labels])
    panels[0][0].invert_yaxis()
    handles = [plt.Rectangle((0, 0), 1, 1, color=color) for color in colors.values()]
    figure.legend(handles, list(colors), loc="upper center", ncols=len(colors), frameon=False)
    figure.text(0.995, 0.005, machine, ha="right", va="bottom", fontsize=7, color="#7a7f87")
    figure.tight_layout(rect=(0, 0.015, 1, 0.93))
    figure.savefig(path)
    print(f"saved {path}")


def main() -> None:
    """Parse the command line, measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", help=f"some of {', '.join(KINDS)}; all if none")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--unroll", type=int, default=10, help="steps of the sLSTM compiled together (default 10)")
    parser.add_argument("--threads", default="", help="numbers of threads, e.g. 1,2 (default: 1 and all CPUs)")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each case (default 3), or five turns if longer")
    parser.add_argument("--json", type=pathlib.Path, help="where to write the results (default benchmarks/results)")
    options = parser.parse_args()
    unknown = set(options.kinds) - set(KINDS)
    if unknown:
        parser.error(f"kinds: expected some of {', '.join(KINDS)}, got {', '.join(sorted(unknown))}")
    rows, machines = [], {}
    for threads in thread_counts(parser, options.threads):
        pin(threads)
        machines[threads] = {"fma_flops": fma_limit(threads)}
        for case in CASES:
            if case.kind in (options.kinds or KINDS):
                rows.append(measure(case, threads, machines[threads]["fma_flops"], options))
    path = save(
        options.json, "-min-and-slstm", torch=torch.__version__, unroll=options.unroll, machine=machines, rows=rows
    )
    here = circumstances()
    draw(path.with_suffix(".png"), rows, f"{here['cpu']}, {here['config']['instruction_set']}, {here['date'][:10]}")


if __name__ == "__main__":
    main()
