"""Forecast the oil temperature of a transformer for the next 24 hours from seven hourly series, and draw it.

ETTh1 (Zhou et al. 2021, "Informer", AAAI): six loads and the oil temperature of an electricity
transformer, split as there into 12 months to learn from, 4 to validate and 4 to test, in units of the
standard deviation of the first part. The model reads how much each series changed in each of the last 96
hours, with the time of day, and tells how far the temperature will be from its last value in each of
the next 24: levels, which drift from year to year, appear nowhere. The windows are views of the series
and are gathered batch by batch; no copy of all of them is made.

Beside it stand persistence (as now), the same hour of the day before, a linear regression on a week
of temperatures, and what the paper gives for forecasts from the temperature alone (--alone): a rule of one
line is better than those.
"""

from __future__ import annotations

from collections.abc import Sequence

import common
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import lstmcore
from lstmcore.callbacks import EarlyStopping
from lstmcore.layers import LSTM, Dense
from lstmcore.models import Sequential
from lstmcore.utils import timeseries_dataset_from_array

HISTORY, AHEAD, MONTH = 96, 24, 30 * 24
TRAIN, VALIDATION, TEST = (0, 12 * MONTH), (12 * MONTH, 16 * MONTH), (16 * MONTH, 20 * MONTH)
PUBLISHED = {"published LSTM with attention": (0.114, 0.272), "published ARIMA": (0.108, 0.284)}


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train, print the errors, save the picture; return the errors."""
    parser = common.parser(__doc__, "energy.png", epochs=10)
    parser.add_argument("--units", type=int, default=32, help="width of the LSTM")
    parser.add_argument("--alone", action="store_true", help="from the oil temperature alone, as the published numbers")
    options = parser.parse_args(argv)

    series = scale(load(options.data))
    temperature = series[:, -1]
    changes = np.diff(series, axis=0, prepend=series[:1])[:, -1 if options.alone else 0 :]
    changes /= changes[slice(*TRAIN)].std(axis=0)
    changes[:, :-1] /= 5  # the loads speak softly: what they foretell in one year holds less in the next
    angle = 2 * np.pi * (np.arange(len(series)) % 24) / 24
    features = np.column_stack([changes, np.sin(angle), np.cos(angle)]).astype("float32")
    # Row k: from the last hour of the window that begins at hour k to each of the 24 hours after it.
    targets = sliding_window_view(temperature, AHEAD)[HISTORY:] - temperature[HISTORY - 1 : -AHEAD, None]

    def windows(part: tuple[int, int], shuffle: bool = False) -> object:
        """Return the batches of all windows whose 24 hours lie in a part; their histories may begin before it."""
        begin, end = max(0, part[0] - HISTORY), part[1] - AHEAD
        rows = slice(begin, end - HISTORY + 1)
        return timeseries_dataset_from_array(
            features[begin:end], targets[rows], HISTORY, batch_size=64, shuffle=shuffle, seed=options.seed
        )

    lstmcore.utils.set_random_seed(options.seed)
    model = Sequential([LSTM(options.units, input_shape=(HISTORY, features.shape[1])), Dense(AHEAD)])
    model.compile(optimizer="adam", loss="mse")
    model.fit(
        windows(TRAIN, shuffle=True),
        validation_data=windows(VALIDATION),
        epochs=options.epochs,
        callbacks=[EarlyStopping(monitor="val_loss", patience=2, restore_best_weights=True)],
        verbose=options.verbose,
    )

    origins = np.arange(TEST[0], TEST[1] - AHEAD + 1)  # the first hour of each forecast
    now, hours = temperature[origins - 1, None], origins[:, None] + np.arange(AHEAD)
    actual = temperature[hours]
    forecasts = {
        "LSTM": now + model.predict(windows(TEST), verbose=0),
        "persistence": np.repeat(now, AHEAD, axis=1),
        "same hour of the day before": temperature[hours - AHEAD],
        "linear regression": linear(temperature, origins),
    }
    rows = {
        name: (float(np.mean((f - actual) ** 2)), float(np.mean(np.abs(f - actual)))) for name, f in forecasts.items()
    }
    print(f"{len(origins)} forecasts of 24 hours, from {'one' if options.alone else 'seven'} series")
    common.print_table("oil temperature, standard deviations", ["MSE", "MAE"], rows | PUBLISHED, 4)
    if options.picture:
        draw(options.picture, temperature, origins, forecasts)
    return dict(zip(("mse", "mae"), rows["LSTM"], strict=True))


def load(folder: str | None) -> np.ndarray:
    """Return the series (hours, 7), the oil temperature last."""
    return np.genfromtxt(common.data_file("ETTh1.csv", folder), delimiter=",", skip_header=1, usecols=range(1, 8))


def scale(series: np.ndarray) -> np.ndarray:
    """Return series by mean and standard deviation of the first part."""
    first = series[slice(*TRAIN)]
    return (series - first.mean(axis=0)) / first.std(axis=0)


def linear(temperature: np.ndarray, origins: np.ndarray) -> np.ndarray:
    """Return forecasts by ridge regression of the changes to come on those from each hour of a week until now."""
    week = 7 * 24

    def past(origins: np.ndarray) -> np.ndarray:
        changes = temperature[origins[:, None] - np.arange(2, week + 1)] - temperature[origins - 1, None]
        return np.column_stack([changes, temperature[origins - 1], np.ones(len(origins))])

    known = np.arange(week, TRAIN[1] - AHEAD + 1)
    x, y = past(known), temperature[known[:, None] + np.arange(AHEAD)] - temperature[known - 1, None]
    weights = np.linalg.solve(x.T @ x + 10 * np.eye(x.shape[1]), x.T @ y)
    return temperature[origins - 1, None] + past(origins) @ weights


def draw(path: str, temperature: np.ndarray, origins: np.ndarray, forecasts: dict[str, np.ndarray]) -> None:
    """Save a picture of two weeks of forecasts, one made every midnight, and of the error by how far ahead."""
    figure, (above, below) = common.canvas(
        "Oil temperature, 24 hours ahead", "hours ahead", panels=2, height_ratios=[3, 2]
    )
    midnights = [k for k, hour in enumerate(origins) if hour % 24 == 0][30:44]
    begin, end = origins[midnights[0]], origins[midnights[-1]] + AHEAD
    above.plot(np.arange(begin, end), temperature[begin:end], color=common.INK, lw=1.6, label="actual")
    for k in midnights:
        hours = origins[k] + np.arange(AHEAD)
        label = "forecast at midnight" if k == midnights[0] else None
        above.plot(hours, forecasts["LSTM"][k], color=common.ORANGE, lw=2, label=label)
    above.set_xlim(begin, end)
    above.set_xticks([origins[k] for k in midnights], [f"day {k + 1}" for k in range(len(midnights))])
    above.set_ylabel("standard deviations")
    above.legend(loc="upper right", ncols=2)
    colors = [common.ORANGE, common.INK, common.GREY, common.BLUE]
    actual = temperature[origins[:, None] + np.arange(AHEAD)]
    for (name, forecast), color in zip(forecasts.items(), colors, strict=True):
        below.plot(np.arange(1, AHEAD + 1), np.mean((forecast - actual) ** 2, axis=0), color=color, lw=2, label=name)
    below.set_xlim(1, AHEAD)
    below.set_ylim(0, None)
    below.set_ylabel("MSE")
    below.legend(loc="lower right", ncols=2)
    common.save(figure, path)


if __name__ == "__main__":
    main()
