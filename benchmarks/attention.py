"""Attention, forward and with its gradient, beside PyTorch's in one process: calls of each in turn.

python benchmarks/attention.py                        all cases, with 1 thread and with all CPUs
python benchmarks/attention.py --seconds 10 --threads 1
"""

from __future__ import annotations

import argparse
import os
import pathlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

# Threads that spin between calls would take the other library's time.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import torch
from machine import fma_limit
from run import OURS, save, thread_counts

import lstmcore
from lstmcore import functional

CPUS = sorted(os.sched_getaffinity(0))
Call = Callable[[], list[np.ndarray]]


class Case(NamedTuple):
    """Queries that look at keys and take the mean of values as wide as these; float32."""

    batch: int
    queries: int
    keys: int
    width: int
    gradient: bool
    mask: str = "none"  # or "causal", or "padding": the last quarter of the keys of every second row

    @property
    def description(self) -> str:
        """What it is, in a few words."""
        what = "with gradient" if self.gradient else "forward"
        return f"B{self.batch} Q{self.queries} K{self.keys} W{self.width}, mask {self.mask}, {what}"

    @property
    def flops(self) -> float:
        """Two products forward and four back, without the softmax, and without leaving out what is masked."""
        return (6 if self.gradient else 2) * 2.0 * self.batch * self.queries * self.keys * self.width

    def arrays(self) -> list[np.ndarray]:
        """Return query, value, key and the gradient of the outputs."""
        rng = np.random.default_rng(0)
        steps = (self.queries, self.keys, self.keys, self.queries)
        return [rng.standard_normal((self.batch, n, self.width), "float32") for n in steps]

    def padding(self) -> np.ndarray:
        """Return which keys count, (batch, keys)."""
        counts = np.ones((self.batch, self.keys), bool)
        counts[::2, self.keys - self.keys // 4 :] = False
        return counts


SIZES = ((32, 100, 100, 128), (64, 30, 50, 256))
CASES = [
    Case(*size, gradient, mask)
    for size in SIZES
    for mask in ("none", "causal", "padding")
    for gradient in (False, True)
]


def ours(case: Case) -> Call:
    """Return a call of ours."""
    query, value, key, dy = case.arrays()
    options: dict[str, Any] = {"causal": case.mask == "causal"}
    if case.mask == "padding":
        options["value_mask"] = case.padding()

    def forward() -> list[np.ndarray]:
        return [functional.attention(query, value, key, **options)[0]]

    def train() -> list[np.ndarray]:
        y, _, cache = functional.attention(query, value, key, **options, training=True)
        return [y, *functional.attention_backward(cache, dy)[:3]]

    return train if case.gradient else forward


def torchs(case: Case, heads: bool) -> Call:
    """Return a call of PyTorch's, of (batch, steps, width) or of (batch, 1, steps, width): it has a kernel for each."""
    leaves = [torch.tensor(array, requires_grad=case.gradient) for array in case.arrays()[:3]]
    dy = torch.tensor(case.arrays()[3])
    mask = None
    if case.mask == "padding":
        mask = torch.tensor(case.padding())[:, None]
        mask = mask[:, None] if heads else mask

    def forward() -> list[np.ndarray]:
        query, value, key = (leaf[:, None] if heads else leaf for leaf in leaves)
        y = torch.nn.functional.scaled_dot_product_attention(query, key, value, mask, is_causal=case.mask == "causal")
        return [y[:, 0] if heads else y]

    def train() -> list[np.ndarray]:
        for leaf in leaves:
            leaf.grad = None
        y = forward()[0]
        y.backward(dy)
        return [y.detach().numpy(), *(leaf.grad.numpy() for leaf in leaves)]

    return train if case.gradient else lambda: [forward()[0].numpy()]


def measure(calls: dict[str, Call], seconds: float) -> dict[str, float]:
    """Return the median time of each, in seconds."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    start = time.perf_counter()
    while time.perf_counter() - start < seconds or len(times[OURS]) < 5:
        for name, call in calls.items():
            before = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - before)
    return {name: float(np.median(t)) for name, t in times.items()}


def main() -> None:
    """Parse the command line, measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", default="", help="numbers of threads, e.g. 1,2 (default: 1 and all CPUs)")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each line (default 3)")
    parser.add_argument("--json", type=pathlib.Path, help="where to write the results (default benchmarks/results)")
    options = parser.parse_args()
    print(f"{'':52} {'threads':>7} {OURS:>10} {'of limit':>8} {'torch':>10} {'4 axes':>10} {'ratios':>11}")
    rows = []
    for threads in thread_counts(parser, options.threads):
        for task in os.listdir("/proc/self/task"):
            os.sched_setaffinity(int(task), CPUS[:threads])
        lstmcore.set_num_threads(threads)
        torch.set_num_threads(threads)
        limit = fma_limit(threads)
        for case in CASES:
            calls = {OURS: ours(case), "torch": torchs(case, False), "torch, 4 axes": torchs(case, True)}
            expected = calls[OURS]()
            for call in calls.values():
                for one, other in zip(call(), expected, strict=True):
                    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
            found = measure(calls, options.seconds)
            ratios = [t / found[OURS] for t in found.values()][1:]
            mine, *others = (f"{t * 1e3:.2f} ms" for t in found.values())
            of_limit = case.flops / limit / found[OURS]
            columns = f"{mine:>10} {of_limit:>8.0%} {' '.join(f'{t:>10}' for t in others)}"
            print(
                f"{case.description:52} {threads:>7} {columns} {' '.join(f'{r:5.2f}' for r in ratios):>11}", flush=True
            )
            rows.append({"case": case._asdict(), "threads": threads, "seconds": found, "ratios": ratios})
    save(options.json, "-attention", torch=torch.__version__, rows=rows)


if __name__ == "__main__":
    main()
