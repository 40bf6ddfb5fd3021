"""Search for a good model of the airline passengers a year ahead, and draw the trials.

The data and the split are those of air_passengers_ahead.py; how many layers, how wide, how much dropout and how fast
they learn is left to a search (Bayesian: the next trial is where the last ones make a good score likely), which
sees the years until 1957 alone and validates on the last quarter of their forecasts. The errors in the years after
are worked out once, at the end, for the best model.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import Any

import air_passengers_ahead as ahead
import common
import numpy as np

import lstmcore
from lstmcore.callbacks import EarlyStopping
from lstmcore.layers import LSTM, Dense
from lstmcore.models import Sequential
from lstmcore.optimizers import Adam
from lstmcore.tuner import BayesianOptimization

COLUMNS = ["layers", "units", "dropout", "learning_rate"]


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Search, print the best trials and the errors, save the picture; return the errors."""
    parser = common.parser(__doc__, "hyperparameters.png", epochs=300, data=False, verbose=0)
    parser.add_argument("--trials", type=int, default=20, help="models to try")
    parser.add_argument("--directory", help="where the trials are kept, to go on with later; a temporary one if None")
    options = parser.parse_args(argv)

    histories, changes = ahead.load()
    lstmcore.utils.set_random_seed(options.seed)
    with tempfile.TemporaryDirectory() as temporary:
        tuner = BayesianOptimization(
            build,
            objective="val_loss",
            max_trials=options.trials,
            seed=options.seed,
            directory=options.directory or temporary,
            project_name="air_passengers",
        )
        tuner.search(
            histories[ahead.TRAIN],
            changes[ahead.TRAIN],
            validation_split=0.25,
            epochs=options.epochs,
            batch_size=16,
            callbacks=[EarlyStopping(monitor="val_loss", patience=30, restore_best_weights=True)],
            verbose=options.verbose,
        )
        best = tuner.get_best_models(1)[0]
        trials = tuner.oracle.get_best_trials(options.trials)

    rows = {f"trial {t.trial_id}": [*(t.hyperparameters.get(c) for c in COLUMNS), t.score] for t in trials}
    common.print_table("best trials", [*COLUMNS, "val_loss"], dict(list(rows.items())[:5]), 5)
    errors = {"best trial": ahead.error(best.predict(histories, verbose=0)), **ahead.baselines()}
    scores = {name: [ahead.rmse(each)] for name, each in errors.items()}
    common.print_table("1958 to 1960, a year ahead, thousand passengers", ["RMSE"], scores)
    if options.picture:
        draw(options.picture, np.array(list(rows.values()), dtype=float))
    return {"rmse": float(scores["best trial"][0]), "val_loss": trials[0].score}


def build(hp: Any) -> Sequential:
    """Return a model with what the search chooses."""
    layers = hp.Int("layers", 1, 2)
    units = hp.Int("units", 4, 64, sampling="log")
    dropout = hp.Float("dropout", 0, 0.5, step=0.1)
    rate = hp.Float("learning_rate", 1e-3, 3e-2, sampling="log")
    model = Sequential()
    for k in range(layers):
        first = {} if k else {"input_shape": (ahead.HISTORY, 1)}
        model.add(LSTM(units, return_sequences=k < layers - 1, dropout=dropout, **first))
    model.add(Dense(ahead.AHEAD))
    model.compile(optimizer=Adam(learning_rate=rate), loss="mse")
    return model


def draw(path: str, trials: np.ndarray) -> None:
    """Save a picture of the trials, a row each: learning rate, score, layers and width."""
    figure, axes = common.canvas(
        "Trials of a search: airline passengers a year ahead", "learning rate", "validation loss (mse)"
    )
    colors = {1: common.BLUE, 2: common.ORANGE}
    for layers in np.unique(trials[:, 0]).astype(int):
        _, units, _, rates, losses = trials[trials[:, 0] == layers].T
        label = "1 layer" if layers == 1 else f"{layers} layers"
        axes.scatter(rates, losses, s=4 * units, color=colors[layers], alpha=0.7, lw=0, label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.legend(loc="upper right", title="area: units")
    common.save(figure, path)


if __name__ == "__main__":
    main()
