"""Forecast the fine dust in Beijing an hour ahead from dust and weather of this hour, and draw it.

Five years of hourly PM2.5 at the US embassy with the weather at the airport (Liang et al. 2015, UCI).
The set-up is that of a number often quoted (J. Brownlee, "Multivariate Time Series Forecasting with LSTMs
in Keras"): missing dust counts as none, wind directions are numbered by name, everything is scaled to
0..1; 50 units, mean absolute error, batches of 72 in order; a year to learn from, four to test. Its RMSE
is 26.496. Persistence (as this hour) is the forecast to beat, and hard to: dust drifts.
"""

from __future__ import annotations

from collections.abc import Sequence

import common
import numpy as np

import lstmcore
from lstmcore.layers import LSTM, Dense
from lstmcore.models import Sequential

TRAINED = 365 * 24  # hours
PUBLISHED = 26.496


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train, print the errors, save the picture; return the errors."""
    options = common.parser(__doc__, "air_quality.png", epochs=50).parse_args(argv)

    hours, values = load(options.data)
    low, high = values.min(axis=0), values.max(axis=0)
    scaled = ((values - low) / (high - low)).astype("float32")
    x, y = scaled[:-1, None, :], scaled[1:, :1]

    lstmcore.utils.set_random_seed(options.seed)
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
    predicted = model.predict(x[TRAINED:], verbose=0)[:, 0] * (high[0] - low[0]) + low[0]
    actual, before = values[TRAINED + 1 :, 0], values[TRAINED:-1, 0]

    rows: dict[str, tuple[float | None, ...]] = {}
    for name, forecast in {"LSTM": predicted, "persistence": before}.items():
        error = forecast - actual
        rows[name] = (float(np.sqrt(np.mean(error**2))), float(np.mean(np.abs(error))))
    print(f"{len(actual)} hours of {hours[TRAINED + 1].year} to {hours[-1].year}")
    common.print_table("error in µg/m³", ["RMSE", "MAE"], rows | {"published LSTM": (PUBLISHED, None)}, 3)
    if options.picture:
        draw(options.picture, hours[TRAINED + 1 :], actual, predicted, history.history)
    rmse, mae = rows["LSTM"]
    return {"rmse": rmse, "mae": mae}


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
    below.plot(epochs, history["loss"], color=common.BLUE, lw=2, label="the year trained on")
    below.plot(epochs, history["val_loss"], color=common.ORANGE, lw=2, label="the four years after")
    below.set_ylabel("mean absolute error, scaled")
    below.legend(loc="upper right")
    common.save(figure, path)


if __name__ == "__main__":
    main()
