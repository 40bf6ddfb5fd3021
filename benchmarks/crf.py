"""Loss and gradient of a conditional random field beside PyTorch's loops over steps, in one process, taking turns.

python benchmarks/crf.py                        all sizes, with 1 thread and with 2
python benchmarks/crf.py --seconds 10 --threads 1

PyTorch has no such layer. Its form here is that of the common packages (pytorch-crf, torchcrf): a step of the forward
algorithm is a logsumexp over a (batch, tags, tags) sum, and the gradient that of autograd.
"""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from ctc import measure
from run import OURS, save


class Size(NamedTuple):
    """A batch: every row has all steps."""

    batch: int
    steps: int
    tags: int

    def arrays(self) -> tuple[Any, ...]:
        """Return emissions, labels, transitions, start and end."""
        rng = np.random.default_rng(0)

        def scores(*shape: int) -> Any:
            return rng.standard_normal(shape, "float32")

        labels = rng.integers(0, self.tags, (self.batch, self.steps))
        return scores(*self), labels, scores(self.tags, self.tags), scores(self.tags), scores(self.tags)


SIZES = (Size(32, 50, 20), Size(32, 50, 9), Size(1, 50, 20), Size(128, 100, 50))


def ours(size: Size, threads: int) -> Callable[[], Any]:
    """Return a call of ours: the loss and the gradients of emissions, transitions, start and end."""
    import lstmcore
    from lstmcore import functional

    arrays = size.arrays()
    lstmcore.set_num_threads(threads)
    return lambda: functional.crf_loss_and_gradient(*arrays, reduction="sum")


def torchs(size: Size, threads: int) -> Callable[[], Any]:
    """Return a call of PyTorch's that does the same."""
    import torch

    torch.set_num_threads(threads)
    x, labels, *scores = size.arrays()
    given = [torch.tensor(array).requires_grad_() for array in (x, *scores)]
    path = torch.tensor(labels)
    rows = torch.arange(size.batch)

    def call() -> Any:
        for tensor in given:
            tensor.grad = None
        emissions, transitions, start, end = given
        alpha = start + emissions[:, 0]
        score = start[path[:, 0]] + emissions[rows, 0, path[:, 0]]
        for t in range(1, size.steps):
            alpha = torch.logsumexp(alpha[:, :, None] + transitions + emissions[:, t, None], dim=1)
            score = score + transitions[path[:, t - 1], path[:, t]] + emissions[rows, t, path[:, t]]
        loss = (torch.logsumexp(alpha + end, dim=1) - score - end[path[:, -1]]).sum()
        loss.backward()
        return loss.item(), tuple(tensor.grad.numpy() for tensor in given)

    return call


def decoding(size: Size, threads: int) -> Callable[[], Any]:
    """Return a call of ours that finds the best paths."""
    import lstmcore
    from lstmcore import functional

    x, _, *scores = size.arrays()
    lstmcore.set_num_threads(threads)
    return lambda: functional.crf_decode(x, *scores)


def main() -> None:
    """Parse the command line, measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=5.0, help="for each line (default 5)")
    parser.add_argument("--json", type=pathlib.Path, help="where to write the results (default benchmarks/results)")
    options = parser.parse_args()
    print(f"{'batch x steps x tags':22} {'threads':>7} {OURS:>10} {'torch':>10} {'ratio':>7} {'best paths':>11}")
    rows = []
    for size in SIZES:
        for threads in options.threads:
            calls = {OURS: ours(size, threads), "torch": torchs(size, threads), "decoding": decoding(size, threads)}
            (loss, gradients), (other, d_other) = calls[OURS](), calls["torch"]()
            np.testing.assert_allclose(loss, other, rtol=1e-4)
            for gradient, d in zip(gradients, d_other, strict=True):
                np.testing.assert_allclose(gradient, d, rtol=1e-3, atol=1e-2)  # of sums of thousands, in float32
            found = measure(calls, options.seconds)
            columns = [f"{found[name] * 1e3:.3f} ms" for name in calls]
            ratio = found["torch"] / found[OURS]
            what = " x ".join(map(str, size))
            print(
                f"{what:22} {threads:>7} {columns[0]:>10} {columns[1]:>10} {ratio:>7.1f} {columns[2]:>11}", flush=True
            )
            rows.append({"size": size._asdict(), "threads": threads, "seconds": found, "ratio": ratio})
    save(options.json, "-crf", rows=rows)


if __name__ == "__main__":
    main()
