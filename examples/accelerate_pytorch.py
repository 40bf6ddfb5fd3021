"""Make a PyTorch program faster by one line: the adding problem trained without it and with it, times and losses.

The program is PyTorch's alone: a module, an optimizer, a loop. It learns to add two numbers of a sequence that are
marked, which needs memory (S. Hochreiter and J. Schmidhuber 1997). `lstmcore.torch.accelerate` then makes the same
module run on lstmcore's kernels. Both start with the same weights and see the same sequences; the losses of the two
stay together up to rounding, which training makes larger by and by.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from typing import NamedTuple

import common

try:
    import torch
except ImportError as error:
    raise SystemExit("this program needs PyTorch: pip install 'lstmcore[torch,plot]'") from error

import lstmcore
import lstmcore.torch


class Adder(torch.nn.Module):
    """Sequences of numbers and marks, (batch, steps, 2), to the sum of the two numbers that are marked."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.encoder = torch.nn.GRU(2, units, batch_first=True)
        self.head = torch.nn.Linear(units, 1)

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """Return the sums, (batch,)."""
        _, state = self.encoder(sequences)
        return self.head(state[-1]).squeeze(-1)


def questions(count: int, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return sequences, of which one number of each half is marked, and the sums of these two."""
    numbers, marks = torch.rand(count, steps), torch.zeros(count, steps)
    for begin, end in (0, steps // 2), (steps // 2, steps):
        marks[torch.arange(count), torch.randint(begin, end, (count,))] = 1
    return torch.stack((numbers, marks), -1), (numbers * marks).sum(1)


class Curve(NamedTuple):
    """The loss of each step of training, and when it was over, in seconds from the beginning."""

    losses: list[float]
    times: list[float]


def train(model: torch.nn.Module, inputs: torch.Tensor, sums: torch.Tensor, epochs: int, rate: float = 5e-3) -> Curve:
    """Train a model on batches of 50, as any PyTorch program does."""
    optimizer = torch.optim.Adam(model.parameters(), rate)
    curve = Curve([], [])
    start = time.perf_counter()
    for _ in range(epochs):
        for x, y in zip(inputs.split(50), sums.split(50), strict=True):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            curve.losses.append(loss.item())
            curve.times.append(time.perf_counter() - start)
    return curve


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train twice, print times and losses, save the picture; return the seconds of both."""
    parser = common.parser(__doc__, "accelerate_pytorch.png", epochs=20, data=False, verbose=0)
    parser.add_argument("--steps", type=int, default=50, help="of a sequence")
    parser.add_argument("--units", type=int, default=64, help="of the GRU")
    parser.add_argument("--questions", type=int, default=2000, help="to learn from")
    parser.add_argument("--threads", type=int, default=1, help="of either library")
    options = parser.parse_args(argv)
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    lstmcore.set_num_threads(options.threads)

    before = Adder(options.units)
    after = copy.deepcopy(before)
    lstmcore.torch.accelerate(after)  # the line

    inputs, sums = questions(options.questions, options.steps)
    test, test_sums = questions(1000, options.steps)
    curves, errors = {}, {}
    for name, model in {"torch.nn": before, "accelerated": after}.items():
        curves[name] = train(model, inputs, sums, options.epochs)
        with torch.inference_mode():
            errors[name] = torch.nn.functional.mse_loss(model(test), test_sums).item()
    seconds = {name: curve.times[-1] for name, curve in curves.items()}
    rows: dict[str, list[float | None]] = {name: [seconds[name], errors[name]] for name in curves}
    rows["saying 1 always"] = [None, torch.nn.functional.mse_loss(torch.ones(1000), test_sums).item()]
    common.print_table(f"{len(test)} sums of the test", ["seconds", "squared error"], rows, 4)
    apart = max(abs(a - b) for a, b in zip(*(curve.losses[:50] for curve in curves.values()), strict=True))
    ratio = seconds["torch.nn"] / seconds["accelerated"]
    print(f"\n{ratio:.1f} times as fast; the losses of the first 50 steps are at most {apart:.0e} apart")
    if options.picture:
        draw(options.picture, curves)
    return seconds


def draw(path: str, curves: dict[str, Curve]) -> None:
    """Save a picture of the losses over time."""
    figure, axes = common.canvas("One line: the same training in less time", "seconds", "loss")
    for (name, curve), color in zip(curves.items(), (common.GREY, common.BLUE), strict=True):
        axes.plot(curve.times, curve.losses, color=color, lw=1.2, label=f"{name}: {curve.times[-1]:.1f} s")
        axes.axvline(curve.times[-1], color=color, ls=":", lw=1.2)
    axes.set_yscale("log")
    axes.legend()
    common.save(figure, path)


if __name__ == "__main__":
    main()
