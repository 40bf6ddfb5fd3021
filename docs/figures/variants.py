"""What is left of an LSTM without each of its parts: the adding problem, learnt by every variant."""

import sys

import _common
import numpy as np

import lstmcore
from lstmcore import Sequential, layers

STEPS, UNITS, SEEDS = 20, 16, 3
VARIANTS = {
    "LSTM": lambda: layers.LSTM(UNITS),
    "with peepholes": lambda: layers.LSTM(UNITS, peepholes=True),
    "input and forget gate coupled": lambda: layers.LSTM(UNITS, coupled=True),
    "without output activation": lambda: layers.LSTM(UNITS, output_activation=False),
    "without input gate": lambda: layers.LSTM(UNITS, input_gate=False),
    "without output gate": lambda: layers.LSTM(UNITS, output_gate=False),
    "without forget gate": lambda: layers.LSTM(UNITS, forget_gate=False),
    "GRU": lambda: layers.GRU(UNITS),
    "SimpleRNN": lambda: layers.SimpleRNN(UNITS),
}


def add(rows, rng):
    """Return numbers of which two are marked, and their sums (Hochreiter & Schmidhuber 1997)."""
    x = np.zeros((rows, STEPS, 2), "float32")
    x[..., 0] = rng.uniform(0, 1, (rows, STEPS))
    first, second = rng.integers(0, STEPS // 2, rows), rng.integers(STEPS // 2, STEPS, rows)
    every = np.arange(rows)
    x[every, first, 1] = x[every, second, 1] = 1
    return x, x.prod(axis=2).sum(axis=1, keepdims=True)


def main(path):
    """Train every variant from some seeds, draw the errors."""
    train, test = add(4000, np.random.default_rng(0)), add(1000, np.random.default_rng(1))
    errors = {}
    for name, make in VARIANTS.items():
        errors[name] = []
        for seed in range(SEEDS):
            lstmcore.utils.set_random_seed(seed)
            model = Sequential([layers.Input((STEPS, 2)), make(), layers.Dense(1)])
            model.compile(lstmcore.optimizers.Adam(0.01, clipnorm=1.0), "mse")
            model.fit(*train, epochs=10, batch_size=50, verbose=0)
            errors[name].append(model.evaluate(*test, verbose=0))
        print(f"{name:32}" + "".join(f"{error:10.5f}" for error in errors[name]))

    figure, axes = _common.canvas(
        "The adding problem, learnt by variants of the LSTM", "mean squared error of the test"
    )
    names = list(errors)[::-1]
    axes.grid(axis="y", lw=0)
    axes.grid(axis="x", color=_common.LIGHT, lw=0.8)
    for k, name in enumerate(names):
        color = _common.BLUE if "LSTM" in name or "with" in name or "coupled" in name else _common.ORANGE
        axes.plot(errors[name], [k] * SEEDS, "o", color=color, ms=8, alpha=0.75)
    blind = float(np.var(test[1]))
    axes.axvline(blind, color=_common.GREY, lw=1, ls=(0, (2, 3)))
    axes.text(blind, len(names) - 0.4, "always the mean", color=_common.GREY, ha="center")
    axes.set_yticks(range(len(names)), names)
    axes.set_xscale("log")
    _common.save(figure, path)


if __name__ == "__main__":
    main(sys.argv[1])
