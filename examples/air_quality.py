"""Forecast the fine dust in Beijing an hour ahead from dust and weather of the last day, and draw it.

Five years of hourly PM2.5 at the US embassy with the weather at the airport (Liang et al. 2015, UCI): a year to
learn from, its last fifth to know when to stop, and four years to test. Dust drifts, so persistence (as this
hour) is the forecast to beat, and hard to: the network forecasts the change, and Huber's loss keeps the few
storms from deciding everything.

With --published the set-up is that of a number often quoted (J. Brownlee, "Multivariate Time Series Forecasting
with LSTMs in Keras", RMSE 26.496): this hour alone; missing dust counts as none, wind directions are numbered by
name, everything is scaled to 0..1; mean absolute error, batches of 72 in order.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import common
import numpy as np

import lstmcore
from lstmcore.callbacks import EarlyStopping, History
from lstmcore.layers import LSTM, Dense
from lstmcore.models import Sequential

TRAINED = 365 * 24  # hours
LEARNT = TRAINED * 4 // 5  # of these, to learn from; with the rest it is decided when to stop
PUBLISHED = 26.496
WIND = 4  # column of the wind's direction


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train, print the errors, save the picture; return the errors."""
    parser = common.parser(__doc__, "air_quality.png", epochs=50)
    parser.add_argument("--published", action="store_true", help="the set-up of the published number")
    parser.add_argument("--hours", type=int, default=24, help="to forecast from, without --published")
    options = parser.parse_args(argv)

    hours, values = load(options.data)
    lstmcore.utils.set_random_seed(options.seed)
    forecast = as_published if options.published else from_a_day
    predicted, history = forecast(values, options)
    actual, before = values[TRAINED + 1 :, 0], values[TRAINED:-1, 0]

    rows: dict[str, tuple[float | None, ...]] = {}
    for name, numbers in {"LSTM": predicted, "persistence": before}.items():
        error = numbers - actual
        rows[name] = (float(np.sqrt(np.mean(error**2))), float(np.mean(np.abs(error))))
    print(f"{len(actual)} hours of {hours[TRAINED + 1].year} to {hours[-1].year}")
    common.print_table("error in µg/m³", ["RMSE", "MAE"], rows | {"published LSTM": (PUBLISHED, None)}, 3)
    if options.picture:
        draw(options.picture, hours[TRAINED + 1 :], actual, predicted, history.history)
    rmse, mae = rows["LSTM"]
    return {"rmse": rmse, "mae": mae}


def from_a_day(values: np.ndarray, options: argparse.Namespace) -> tuple[np.ndarray, History]:
    """Return the forecasts of the hours tested, made from the change forecast for the hour after each window."""
    directions = np.eye(int(values[:, WIND].max()) + 1)[values[:, WIND].astype(int)]
    known = np.column_stack([np.delete(values, WIND, axis=1), directions])
    mean, deviation = known[:LEARNT].mean(axis=0), known[:LEARNT].std(axis=0)
    scaled = ((known - mean) / deviation).astype("float32")
    n = options.hours
    x = np.lib.stride_tricks.sliding_window_view(scaled[:-1], n, axis=0).transpose(0, 2, 1)
    y = scaled[n:, :1] - scaled[n - 1 : -1, :1]
    learnt, trained = LEARNT - n, TRAINED - n + 1  # windows whose next hour is in these parts

    model = Sequential([LSTM(50, input_shape=x.shape[1:]), Dense(1, kernel_initializer="zeros")])
    model.compile(loss="huber", optimizer="adam")
    history = model.fit(
        x[:learnt],
        y[:learnt],
        epochs=options.epochs,
        batch_size=72,
        validation_data=(x[learnt:trained], y[learnt:trained]),
        callbacks=[EarlyStopping(patience=4, restore_best_weights=True)],
        verbose=options.verbose,
    )
    change = model.predict(x[trained:], verbose=0)[:, 0] * deviation[0]
    return values[TRAINED:-1, 0] + change, history


def as_published(values: np.ndarray, options: argparse.Namespace) -> tuple[np.ndarray, History]:
    """Return the forecasts of the hours tested, in the published set-up."""
    low, high = values.min(axis=0), values.max(axis=0)
    scaled = ((values - low) / (high - low)).astype("float32")
    x, y = scaled[:-1, None, :], scaled[1:, :1]
    model = Sequential([LSTM(50, input_shape=x.shape[1:]), Dense(1)])
    model.compile(loss="mae", optimizer="adam")
    history = model.fit(
        x[:TRAINED],
        y[:TRAINED],
        epochs=options.epochs,
        batch_size=72,
        validation_data=(x[TRAINED:], y[TRAINED:]),
        shuffle=False,
        verbose=options.verbose,
    )
    return model.predict(x[TRAINED:], verbose=0)[:, 0] * (high[0] - low[0]) + low[0], history


def load(folder: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the hours and their values (hours, 8): dust first, then weather; without the first day, which has none."""
    table = np.genfromtxt(common.data_file("pollution.csv", folder), delimiter=",", skip_header=1, dtype=str)[24:]
    dust, weather, wind = table[:, 5], table[:, 6:9], table[:, 9]
    number = np.unique(wind, return_inverse=True)[1]
    dust = np.where(dust == "NA", "0", dust)
    values = np.column_stack([dust.astype(float), weather.astype(float), number, table[:, 10:].astype(float)])
    dates = ["{}-{:0>2}-{:0>2}T{:0>2}".format(*row) for row in table[:, 1:5]]
    return np.array(dates, dtype="datetime64[h]").astype(object), values


def draw(
    path: str, hours: np.ndarray, actual: np.ndarray, predicted: np.ndarray, history: dict[str, list[float]]
) -> None:
    """Save a picture of two weeks of forecasts and of the losses."""
    figure, (above, below) = common.canvas(
        "Fine dust in Beijing, an hour ahead", "epoch", panels=2, height_ratios=[3, 2]
    )
    part = slice(24 * 7, 24 * 21)
    above.plot(hours[part], actual[part], color=common.INK, lw=1.6, label="actual")
    above.plot(hours[part], predicted[part], color=common.ORANGE, lw=1.2, label="forecast an hour before")
    above.set_xlim(hours[part][0], hours[part][-1])
    above.set_ylabel("PM2.5, µg/m³")
    above.legend(loc="upper right", ncols=2)
    epochs = np.arange(1, len(history["loss"]) + 1)
    below.plot(epochs, history["loss"], color=common.BLUE, lw=2, label="trained on")
    below.plot(epochs, history["val_loss"], color=common.ORANGE, lw=2, label="validation")
    below.set_ylabel("loss, scaled")
    below.legend(loc="upper right")
    common.save(figure, path)


if __name__ == "__main__":
    main()
