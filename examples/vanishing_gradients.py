"""Measure how far back a new recurrent layer can learn: the gradient of its last output at every step before.

A sequence of random numbers goes through a layer that has not been trained. The backward pass then
tells how much the last output would change with the input of each step. What is multiplied at every
step decides: in a simple layer the recurrent weights and the slope of tanh, in a GRU its gate z
(1/2 at first), in an LSTM its forget gate (sigmoid(1) = 0.73 with the usual bias of 1). Gates make
the rate a matter of a bias: begun open (Tallec & Ollivier 2018), they carry the gradient all the way.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import common
import numpy as np

import lstmcore
from lstmcore.layers import GRU, LSTM, Layer, SimpleRNN

FEATURES, ROWS = 8, 64
LAGS = (1, 10, 30, 100)


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Measure, print the norms, save the picture; return the norms of the first step."""
    parser = common.parser(__doc__, "vanishing_gradients.png", data=False)
    parser.add_argument("--units", type=int, default=64, help="width of the layers")
    parser.add_argument("--steps", type=int, default=100, help="length of the sequences")
    parser.add_argument("--seeds", type=int, default=5, help="number of initial weights to average over")
    options = parser.parse_args(argv)

    units, steps = options.units, options.steps
    layers: dict[str, Callable[[], Layer]] = {
        "SimpleRNN": lambda: SimpleRNN(units, dtype="float64"),
        "GRU": lambda: GRU(units, dtype="float64"),
        "LSTM": lambda: LSTM(units, dtype="float64"),
        "GRU, open gates": lambda: GRU(units, bias_initializer=open_gates(1, steps), dtype="float64"),
        "LSTM, open gates": lambda: LSTM(
            units, bias_initializer=open_gates(2, steps), unit_forget_bias=False, dtype="float64"
        ),
    }
    norms = {name: average_norms(make, steps, options.seeds) for name, make in layers.items()}

    lags = [lag for lag in LAGS if lag <= steps]
    print("norm of the gradient of the last output, by how many steps ago the input came\n")
    print(f"{'':18}" + "".join(f"{lag:>10}" for lag in lags))
    for name, values in norms.items():
        print(f"{name:18}" + "".join(f"{values[lag - 1]:10.1e}" for lag in lags))
    if options.picture:
        draw(options.picture, norms)
    return {name: float(values[-1]) for name, values in norms.items()}


def open_gates(gates: int, steps: int) -> Callable[..., np.ndarray]:
    """Return an initializer of the bias that makes units remember, each for another time of up to so many steps.

    A gate of 1 - 1/T forgets over T steps; that is a bias of log(T - 1). Of two gates, the input and the
    forget gate of an LSTM, the first is 1/T.
    """

    def initializer(shape: tuple[int, ...], dtype: str) -> np.ndarray:
        bias = np.zeros(shape, dtype)
        first = bias[0] if len(shape) == 2 else bias  # a GRU has two rows
        units = len(first) // (4 if gates == 2 else 3)
        forget = np.log(np.random.default_rng(0).uniform(1, max(2, steps - 1), units))
        first[(gates - 1) * units : gates * units] = forget
        if gates == 2:
            first[:units] = -forget
        return bias

    return initializer


def average_norms(make: Callable[[], Layer], steps: int, seeds: int) -> np.ndarray:
    """Return the norm of the gradient at each step, the last step first, averaged over rows and seeds."""
    total = np.zeros(steps)
    for seed in range(seeds):
        lstmcore.utils.set_random_seed(seed)
        rng = np.random.default_rng(seed)
        layer = make()
        last = layer(rng.standard_normal((ROWS, steps, FEATURES)), training=True)
        # The gradient of the output in a random direction, another for every row.
        direction = rng.standard_normal(last.shape)
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        gradient = layer.backward(direction)
        total += np.linalg.norm(gradient, axis=2).mean(axis=0)[::-1] / seeds
    return total


def draw(path: str, norms: dict[str, np.ndarray]) -> None:
    """Save a picture of the norms on a logarithmic axis."""
    grey, blue, orange = common.GREY, common.BLUE, common.ORANGE
    style = {
        "SimpleRNN": (grey, "-"),
        "GRU": (orange, "-"),
        "LSTM": (blue, "-"),
        "GRU, open gates": (orange, (0, (4, 2))),
        "LSTM, open gates": (blue, (0, (4, 2))),
    }
    figure, axes = common.canvas(
        "How far back a new layer can learn", "steps since the input came", "norm of the gradient of the last output"
    )
    ends = [np.log10(values[-1]) for values in norms.values()]
    lowest, highest = np.floor(min(ends)) - 1, 0.5
    places = spread(ends, (highest - lowest) / 17)
    for (name, values), place in zip(norms.items(), places, strict=True):
        color, line = style[name]
        ago = np.arange(1, len(values) + 1)
        axes.semilogy(ago, values, color=color, ls=line, lw=2.2, zorder=3, solid_capstyle="round")
        axes.text(1.012 * len(values), 10**place, name, color=color, fontsize=11, va="center")
    axes.set_xlim(1, len(values))
    axes.set_ylim(10**lowest, 10**highest)
    axes.set_xticks([1, *np.linspace(0, len(values), 6)[1:].round()])
    axes.minorticks_off()
    common.save(figure, path)


def spread(places: list[float], apart: float) -> np.ndarray:
    """Return the places of labels, pushed apart where two would stand too close to each other."""
    moved, order = np.array(places), np.argsort(places)
    for _ in range(100):
        for below, above in itertools.pairwise(order):
            lack = max(0.0, apart - (moved[above] - moved[below]))
            moved[below] -= lack / 2
            moved[above] += lack / 2
    return moved


if __name__ == "__main__":
    main()
