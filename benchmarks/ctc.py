"""CTC loss and gradient beside PyTorch's, in one process: calls of each in turn, so that both meet the same machine.

python benchmarks/ctc.py                        both sizes, with 1 thread and with 2
python benchmarks/ctc.py --seconds 10 --threads 1
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
from run import OURS, save


class Size(NamedTuple):
    """A batch: every row has all steps and all labels."""

    steps: int
    batch: int
    classes: int
    labels: int

    def arrays(self) -> tuple[Any, Any]:
        """Return logits (batch, steps, classes) and labels (batch, labels)."""
        rng = np.random.default_rng(0)
        x = rng.standard_normal((self.batch, self.steps, self.classes), "float32")
        return x, rng.integers(1, self.classes, (self.batch, self.labels))


SIZES = (Size(200, 16, 29, 30), Size(500, 64, 101, 60))


def ours(size: Size, threads: int) -> Callable[[], Any]:
    """Return a call of ours, from logits."""
    import lstmcore
    from lstmcore import functional

    x, labels = size.arrays()
    lstmcore.set_num_threads(threads)
    return lambda: functional.ctc_loss_and_gradient(x, labels, reduction="sum")


def torchs(size: Size, threads: int, from_logits: bool) -> Callable[[], Any]:
    """Return a call of PyTorch's, from logits or from what it takes itself, log-probabilities."""
    import torch

    torch.set_num_threads(threads)
    x, labels = size.arrays()
    z, targets = torch.tensor(x.transpose(1, 0, 2).copy()), torch.tensor(labels)
    z = (z if from_logits else torch.log_softmax(z, -1)).requires_grad_()
    steps, counts = torch.full((size.batch,), size.steps), torch.full((size.batch,), size.labels)

    def call() -> Any:
        z.grad = None
        y = torch.log_softmax(z, -1) if from_logits else z
        loss = torch.nn.functional.ctc_loss(y, targets, steps, counts, reduction="sum")
        loss.backward()
        return loss.item(), z.grad.numpy().transpose(1, 0, 2)

    return call


def measure(calls: dict[str, Callable[[], Any]], seconds: float) -> dict[str, float]:
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
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=5.0, help="for each line (default 5)")
    parser.add_argument("--json", type=pathlib.Path, help="where to write the results (default benchmarks/results)")
    options = parser.parse_args()
    titles = f"{OURS:>10} {'torch':>10} {'from log':>10} {'ratios':>11}"
    print(f"{'steps x batch x classes, labels':34} {'threads':>7} {titles}")
    rows = []
    for size in SIZES:
        for threads in options.threads:
            calls = {
                OURS: ours(size, threads),
                "torch": torchs(size, threads, True),
                "torch from log-probabilities": torchs(size, threads, False),
            }
            (loss, gradient), (other, d_other) = calls[OURS](), calls["torch"]()
            np.testing.assert_allclose(loss, other, rtol=1e-4)
            np.testing.assert_allclose(gradient, d_other, atol=1e-2)  # it sums logarithms of 2000, in float32
            found = measure(calls, options.seconds)
            ratios = [t / found[OURS] for t in found.values()][1:]
            columns = "".join(f" {f'{t * 1e3:.2f} ms':>10}" for t in found.values())
            what = f"{size.steps} x {size.batch} x {size.classes}, {size.labels}"
            print(f"{what:34} {threads:>7}{columns} {' '.join(f'{r:5.1f}' for r in ratios):>11}", flush=True)
            rows.append({"size": size._asdict(), "threads": threads, "seconds": found, "ratios": ratios})
    save(options.json, "-ctc", rows=rows)


if __name__ == "__main__":
    main()
