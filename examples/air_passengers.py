"""Forecast the airline passengers of the next month with a stacked LSTM, and draw the result.

The 144 monthly totals of Box & Jenkins are cut into windows of a year; from each, the model tells
the month that follows. It learns from the first 80 % of the windows. Beside it stands the naive
seasonal forecast, the same month of last year, plain and scaled by the growth over the year.

With --published, it is the set-up of a number often quoted (J. Brownlee, "Time Series Prediction with
LSTM Recurrent Neural Networks in Python with Keras"): 4 units that see the last month alone, a step
for every window, two thirds to learn from. Its test RMSE is 47.53, no better than saying "as this
month": a window of one month has no seasons.
"""

from __future__ import annotations

from collections.abc import Sequence

import common
import numpy as np

import lstmcore
from lstmcore.datasets import air_passengers
from lstmcore.layers import LSTM, Dense
from lstmcore.models import Sequential
from lstmcore.optimizers import Adam

PUBLISHED = {"train_rmse": 22.93, "test_rmse": 47.53}


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train, print the errors in passengers, save the picture; return the errors."""
    parser = common.parser(__doc__, "air_passengers.png", epochs=100, data=False, verbose=0)
    parser.add_argument("--published", action="store_true", help="the set-up of the published RMSE of 47.53")
    options = parser.parse_args(argv)

    window = 1 if options.published else 12
    months, passengers, windows, targets = load(window)
    if options.published:  # 96 months and 48, each of which that program ends a window early
        train, test = slice(0, 94), slice(96, 142)
    else:
        train, test = slice(0, int(0.8 * len(windows))), slice(int(0.8 * len(windows)), None)

    lstmcore.utils.set_random_seed(options.seed)
    model = published_model() if options.published else stacked_model(window)
    history = model.fit(
        windows[train],
        targets[train],
        epochs=options.epochs,
        batch_size=1 if options.published else 32,
        validation_split=0 if options.published else 0.2,
        verbose=options.verbose,
    )
    predicted = passengers_of(model.predict(windows, verbose=0)[:, 0], passengers)
    actual = passengers[window:]

    def before(lag: int) -> np.ndarray:
        """Return what is known for every target of so many months before; nan where nothing is."""
        return np.concatenate([np.full(lag, np.nan), passengers[:-lag]])[window:]

    forecasts = {
        "LSTM": predicted,
        "the month before": before(1),
        "same month last year": before(12),
        "  times the growth since then": before(12) * before(1) / before(13),
    }
    rows = {}
    for name, forecast in forecasts.items():
        error = forecast - actual
        rows[name] = [rmse(error[train]), rmse(error[test]), float(np.nanmean(np.abs(error[test])))]
    print(f"trained for {options.epochs} epochs: loss {history.history['loss'][-1]:.5f}")
    published = {"published LSTM": [*PUBLISHED.values(), None]} if options.published else {}
    common.print_table(
        "error in thousand passengers", ["train RMSE", "test RMSE", "test MAE"], rows | published, 1 + options.published
    )
    if options.picture:
        draw(options.picture, months, passengers, months[window:], predicted, train, test)
    return dict(zip(PUBLISHED, rows["LSTM"], strict=False))


def load(window: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the months, the passengers in thousands, and windows and targets scaled to 0..1."""
    months, passengers = air_passengers.load_data()
    scaled = (passengers - passengers.min()) / np.ptp(passengers)
    windows = np.lib.stride_tricks.sliding_window_view(scaled[:-1], window)
    return months, passengers, windows[:, :, None], scaled[window:, None]


def passengers_of(scaled: np.ndarray, passengers: np.ndarray) -> np.ndarray:
    """Return scaled numbers as passengers."""
    return scaled * np.ptp(passengers) + passengers.min()


def stacked_model(window: int) -> Sequential:
    """Return two layers of 50 units."""
    model = Sequential([LSTM(50, input_shape=(window, 1), return_sequences=True), LSTM(50), Dense(1)])
    model.compile(optimizer=Adam(learning_rate=0.001), loss="mse")
    return model


def published_model() -> Sequential:
    """Return the model of the published number."""
    model = Sequential([LSTM(4, input_shape=(1, 1)), Dense(1)])
    model.compile(optimizer="adam", loss="mse")
    return model


def rmse(error: np.ndarray) -> float:
    """Return the root of the mean square of the errors there are."""
    return float(np.sqrt(np.nanmean(error**2)))


def draw(
    path: str,
    months: np.ndarray,
    passengers: np.ndarray,
    targets: np.ndarray,
    predicted: np.ndarray,
    train: slice,
    test: slice,
) -> None:
    """Save a picture of actual against predicted passengers."""
    blue, orange = common.BLUE, common.ORANGE
    figure, axes = common.canvas("Airline passengers, one month ahead", ylabel="thousand passengers a month")
    begin = targets[test][0]
    axes.axvspan(begin, months[-1], color=orange, alpha=0.07, lw=0)
    axes.plot(months, passengers, color=common.INK, lw=1.6, label="actual", zorder=3)
    axes.plot(targets[train], predicted[train], color=blue, lw=1.6, label="predicted, months trained on", zorder=4)
    axes.plot(targets[test], predicted[test], color=orange, lw=2, label="predicted, held-out months", zorder=4)
    axes.text(begin + np.timedelta64(1, "M"), 1.01 * passengers.max(), "held out", color=orange, fontsize=10)
    axes.set_xlim(months[0], months[-1])
    axes.set_ylim(0, None)
    axes.legend(loc="upper left")
    common.save(figure, path)


if __name__ == "__main__":
    main()
