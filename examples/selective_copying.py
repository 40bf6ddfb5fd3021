"""Say again what stood among blanks, in order: LSTM, GRU and newer cells of as many weights. Draw how fast they learn.

Selective copying (Jing et al. 2019; Gu & Dao 2023, "Mamba", section 4.1): a few tokens stand at random places of a
long sequence of blanks, and have to be said in their order where markers at its end ask for them. What is
to be kept must be chosen by what it is, since where it stands tells nothing. The models learn on short sequences
first, then on long ones; they are judged by long ones throughout.

The gates of minGRU and minLSTM (Feng et al. 2024) do not see what the cell has gathered: a layer alone cannot know how
many tokens came before, so there are three, each normalised. LSTM, GRU and sLSTM (Beck et al. 2024) do see it: they are
two plain layers (normalised, an LSTM learns more slowly). Widths are such that all have as many weights as the LSTM.
"""

from __future__ import annotations

import bisect
import time
from collections.abc import Sequence
from typing import Any

import common
import numpy as np

import lstmcore
from lstmcore.callbacks import Callback
from lstmcore.layers import (
    GRU,
    LSTM,
    SLSTM,
    Dense,
    Input,
    Layer,
    LayerNormalization,
    MinGRU,
    MinLSTM,
)
from lstmcore.models import Sequential
from lstmcore.optimizers import Adam
from lstmcore.utils import PyDataset, to_categorical

PLAIN = {"LSTM": LSTM, "GRU": GRU, "sLSTM": SLSTM}
MINIMAL = {"minGRU": MinGRU, "minLSTM": MinLSTM}
COLORS = {"LSTM": common.BLUE, "GRU": common.INK, "sLSTM": "#8a62b0", "minGRU": common.ORANGE, "minLSTM": "#3c9a79"}
ALPHABET, TOKENS = 8, 8
BLANK, MARKER = ALPHABET, ALPHABET + 1
BATCH, BATCHES = 32, 100
GOAL = 0.95  # how much of the tokens counts as learnt


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train a model of every cell, print the accuracies, save the picture; return them."""
    parser = common.parser(__doc__, "selective_copying.png", epochs=40, data=False)
    parser.add_argument("--long-epochs", type=int, default=10, help="the last of the epochs, on long sequences")
    parser.add_argument("--short", type=int, default=100, help="steps among which the tokens stand at first")
    parser.add_argument("--cells", nargs="+", choices=COLORS, default=list(COLORS), help="some of them")
    parser.add_argument("--length", type=int, default=1000, help="and in long sequences")
    parser.add_argument("--units", type=int, default=64, help="width of the two layers of the LSTM")
    parser.add_argument("--tests", type=int, default=200, help="long sequences to judge by, after every epoch")
    options = parser.parse_args(argv)

    weights = make("LSTM", options.units).count_params()
    tests = ask(options.tests, options.length, np.random.default_rng((options.seed, 1)))
    rows: dict[str, tuple[float | None, ...]] = {}
    curves: dict[str, tuple[list[float], list[float]]] = {}
    for cell in options.cells:
        units = width(cell, weights)
        lstmcore.utils.set_random_seed(options.seed)
        model = make(cell, units)
        model.compile(
            loss="sparse_categorical_crossentropy",
            optimizer=Adam(learning_rate=0.003, clipnorm=1.0),
            metrics=["accuracy"],
        )
        clock = Clock()
        right: list[float] = []
        changes = max(0, options.epochs - options.long_epochs)
        for length, begin, end in ((options.short, 0, changes), (options.length, changes, options.epochs)):
            history = model.fit(
                Questions(length, options.seed),
                initial_epoch=begin,
                epochs=end,
                validation_data=tests,
                callbacks=[clock],
                verbose=options.verbose,
            )
            right += history.history.get("val_accuracy", [])
        said = model.predict(tests[0], verbose=0).argmax(-1)
        whole = float((said == tests[1]).all(axis=1).mean())
        reached = next((BATCHES * k for k, share in enumerate(right, 1) if share >= GOAL), None)
        rows[cell] = (units, model.count_params(), right[-1], whole, reached, clock.seconds[-1])
        curves[cell] = (clock.seconds, right)

    rows["by chance"] = (None, None, 1 / ALPHABET, ALPHABET**-TOKENS, None, None)
    columns = ["units", "weights", "tokens", "whole answers", f"steps to {GOAL}", "seconds"]
    common.print_table(f"{TOKENS} tokens among {options.length} steps", columns, rows, 3)
    if options.picture:
        draw(options.picture, curves, options.length, changes)
    return {cell: right[-1] for cell, (_, right) in curves.items()}


def make(cell: str, units: int) -> Sequential:
    """Return a model that answers at the markers, whatever the length."""
    layers: list[Layer] = [Input((None, ALPHABET + 2))]
    if cell in PLAIN:
        layers += [PLAIN[cell](units, return_sequences=True) for _ in range(2)]
    else:
        for _ in range(3):
            layers += [MINIMAL[cell](units, log_space=True, return_sequences=True), LayerNormalization()]
    return Sequential([*layers, Answers(), Dense(ALPHABET, activation="softmax")])


class Answers(Layer):
    """What a sequence gives at its markers."""

    def forward(self, inputs: np.ndarray, training: bool = False) -> np.ndarray:
        """Return the last steps."""
        self.steps = inputs.shape[1]
        return inputs[:, -TOKENS:]

    def backward(self, d_outputs: np.ndarray, need_d_inputs: bool = True) -> np.ndarray:
        """Return gradients that are zero at the other steps."""
        return np.pad(d_outputs, ((0, 0), (self.steps - TOKENS, 0), (0, 0)))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return (batch, TOKENS, features)."""
        return (input_shape[0], TOKENS, input_shape[2])


def width(cell: str, weights: int) -> int:
    """Return the least number of units with at least so many weights."""
    return 1 + bisect.bisect_left(range(1, 1000), weights, key=lambda units: make(cell, units).count_params())


def ask(count: int, length: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return sequences (count, length + TOKENS, ALPHABET + 2), each step a row with a single 1, and their tokens."""
    tokens = rng.integers(0, ALPHABET, (count, TOKENS))
    places = np.sort(rng.random((count, length)).argsort(axis=1)[:, :TOKENS], axis=1)
    steps = np.full((count, length + TOKENS), BLANK)
    np.put_along_axis(steps, places, tokens, axis=1)
    steps[:, length:] = MARKER
    return to_categorical(steps, ALPHABET + 2), tokens


class Questions(PyDataset):
    """Batches that no epoch has seen before; their order is the seed's."""

    def __init__(self, length: int, seed: int) -> None:
        super().__init__()
        self.length = length
        self.rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        return BATCHES

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return new sequences, whatever the index."""
        return ask(BATCH, self.length, self.rng)


class Clock(Callback):
    """How many seconds have gone into steps of training, at the end of every epoch: without questions and tests."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self.spent = self.began = 0.0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Start."""
        self.began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stop."""
        self.spent += time.perf_counter() - self.began

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Note it."""
        self.seconds.append(self.spent)


def draw(path: str, curves: dict[str, tuple[list[float], list[float]]], length: int, changes: int) -> None:
    """Save a picture of the accuracies over steps and over time; ``changes`` is the first epoch of long sequences."""
    figure, (by_step, by_time) = common.canvas(
        f"{TOKENS} tokens among {length} steps, said again in order", "seconds of training", "tokens right", panels=2
    )
    for cell, (seconds, right) in curves.items():
        by_step.plot(BATCHES * np.arange(1, len(right) + 1), right, color=COLORS[cell], lw=2, label=cell)
        by_time.plot(seconds, right, color=COLORS[cell], lw=2)
    by_step.set_xlabel("steps of training")
    by_step.axvline(BATCHES * changes, color=common.GREY, lw=1.2, label="long from here")
    for axes in (by_step, by_time):
        axes.axhline(1 / ALPHABET, color=common.GREY, ls="--", lw=1.2, label="by chance")
        axes.set_xlim(0, None)
        axes.set_ylim(0, 1.02)
    by_step.legend(loc="upper left", bbox_to_anchor=(1, 1))
    common.save(figure, path)


if __name__ == "__main__":
    main()
