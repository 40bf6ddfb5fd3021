"""Search for a good model of the airline passengers, and draw the trials.

The data, the split and the layers are those of air_passengers.py; how many layers, how wide and how fast they
learn is left to a search (Bayesian: the next trial is where the last ones make a good score likely), which
sees training months alone. The errors on held-out months are worked out once, at the end, for the best model and
for the one that air_passengers.py takes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import Any

import air_passengers
import common
import numpy as np

import lstmcore
from lstmcore.callbacks import EarlyStopping
from lstmcore.layers import LSTM, Dense
from lstmcore.models import Sequential
from lstmcore.optimizers import Adam
from lstmcore.tuner import BayesianOptimization

WINDOW = 12


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Search, print the best trials and the errors, save the picture; return the errors."""
    parser = common.parser(__doc__, "hyperparameters.png", epochs=100, data=False, verbose=0)
    parser.add_argument("--trials", type=int, default=20, help="models to try")
    parser.add_argument("--directory", help="where the trials are kept, to go on with later; a temporary one if None")
    options = parser.parse_args(argv)

    _, passengers, windows, targets = air_passengers.load(WINDOW)
    split = int(0.8 * len(windows))
    known = {"x": windows[:split], "y": targets[:split], "validation_split": 0.2}

    def training() -> dict[str, Any]:
        stop = EarlyStopping(monitor="val_loss", patience=15, restore_best_weights=True)
        return {"epochs": options.epochs, "batch_size": 32, "callbacks": [stop], "verbose": options.verbose, **known}

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
        tuner.search(**training())
        best = tuner.get_best_models(1)[0]
        trials = tuner.oracle.get_best_trials(options.trials)

    by_hand = air_passengers.stacked_model(WINDOW)
    by_hand.fit(**training())
    columns = ["layers", "units", "learning_rate"]
    rows = {
        f"trial {trial.trial_id}": [*(trial.hyperparameters.get(c) for c in columns), trial.score] for trial in trials
    }
    common.print_table("best trials", [*columns, "val_loss"], dict(list(rows.items())[:5]), 4)
    actual, last_year = passengers[WINDOW + split :], passengers[split:-WINDOW]
    errors = {"same month last year": air_passengers.rmse(last_year - actual)}
    for name, model in {"best trial": best, "by hand": by_hand}.items():
        predicted = air_passengers.passengers_of(model.predict(windows[split:], verbose=0)[:, 0], passengers)
        errors[name] = air_passengers.rmse(predicted - actual)
    common.print_table("held-out months, thousand passengers", ["RMSE"], {k: [v] for k, v in errors.items()})
    if options.picture:
        draw(options.picture, np.array(list(rows.values()), dtype=float))
    return {"rmse": errors["best trial"], "val_loss": trials[0].score}


def build(hp: Any) -> Sequential:
    """Return a model with what the search chooses."""
    layers = hp.Int("layers", 1, 3)
    units = hp.Int("units", 16, 128, step=16)
    rate = hp.Float("learning_rate", 1e-4, 3e-2, sampling="log")
    model = Sequential()
    for k in range(layers):
        first = {} if k else {"input_shape": (WINDOW, 1)}
        model.add(LSTM(units, return_sequences=k < layers - 1, **first))
    model.add(Dense(1))
    model.compile(optimizer=Adam(learning_rate=rate), loss="mse")
    return model


def draw(path: str, trials: np.ndarray) -> None:
    """Save a picture of the trials: learning rate, score, layers and width."""
    figure, axes = common.canvas(
        "Trials of a search: airline passengers", "learning rate", "error on validation months (mse)"
    )
    for layers, color in zip((1, 2, 3), (common.BLUE, common.ORANGE, common.INK), strict=True):
        _, units, rates, losses = trials[trials[:, 0] == layers].T
        label = f"{layers} layer{'s' * (layers > 1)}"
        axes.scatter(rates, losses, s=2 * units, color=color, alpha=0.7, lw=0, label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.legend(loc="upper right", title="area: units")
    common.save(figure, path)


if __name__ == "__main__":
    main()
