"""Forecast the airline passengers of the next twelve months at once, and draw the forecasts.

From two years of monthly totals the model tells the year that follows, all twelve months together.
Passengers multiply rather than add up, so it reads logarithms, counted from the last month known,
and tells what must be added to those of the same months a year ago. It learns from 1949 to 1957;
every forecast that begins later is a test. A forecast may use nothing after its beginning, nor may
the baselines: the same month a year ago, plain and scaled by the growth of the last twelve months over
the twelve before.
"""

from __future__ import annotations

from collections.abc import Sequence

import common
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import lstmcore
from lstmcore.datasets import air_passengers
from lstmcore.layers import LSTM, Dense
from lstmcore.models import Sequential
from lstmcore.optimizers import Adam

HISTORY, AHEAD = 24, 12
TRAINED = 9 * 12  # the months of 1949 to 1957


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train, print the errors by how far ahead, save the picture; return the errors."""
    parser = common.parser(__doc__, "air_passengers_ahead.png", epochs=300, data=False, verbose=0)
    options = parser.parse_args(argv)

    months, passengers = air_passengers.load_data()
    logs = np.log(passengers)
    last = logs[HISTORY - 1 : -AHEAD, None]  # the last month known to each forecast
    histories = (sliding_window_view(logs[:-AHEAD], HISTORY) - last)[:, :, None]
    year_before, year, actual = (sliding_window_view(passengers, 12)[skip:][: len(last)] for skip in (0, 12, HISTORY))
    changes = np.log(actual / year)
    train = TRAINED - HISTORY - AHEAD + 1  # forecasts that end in 1957
    test = TRAINED - HISTORY  # the first that begins in 1958

    lstmcore.utils.set_random_seed(options.seed)
    model = Sequential([LSTM(16, input_shape=(HISTORY, 1)), Dense(AHEAD)])
    model.compile(optimizer=Adam(learning_rate=0.003), loss="mse")
    model.fit(histories[:train], changes[:train], epochs=options.epochs, batch_size=16, verbose=options.verbose)
    predicted = year * np.exp(model.predict(histories, verbose=0))

    growth = year.sum(1, keepdims=True) / year_before.sum(1, keepdims=True)
    forecasts = {"LSTM": predicted, "same month last year": year, "  times the growth of the year": year * growth}
    rows = {}
    for name, forecast in forecasts.items():
        squares = (forecast - actual)[test:] ** 2
        rows[name] = [*np.sqrt(squares.mean(0)[[0, 2, 5, 11]]), float(np.sqrt(squares.mean()))]
    print(f"{len(actual) - test} forecasts of the years 1958 to 1960; root mean square of their errors")
    common.print_table("thousand passengers", ["1 month", "3 months", "6 months", "12 months", "all twelve"], rows)
    if options.picture:
        draw(options.picture, months, passengers, predicted[test::12])
    return {"rmse": rows["LSTM"][-1]}


def draw(path: str, months: np.ndarray, passengers: np.ndarray, years: np.ndarray) -> None:
    """Save a picture of the forecasts made at the ends of 1957, 1958 and 1959."""
    figure, axes = common.canvas("Airline passengers, a year ahead", ylabel="thousand passengers a month")
    axes.axvspan(months[TRAINED], months[-1], color=common.ORANGE, alpha=0.07, lw=0)
    axes.plot(months, passengers, color=common.INK, lw=1.6, label="actual", zorder=3)
    for k, year in enumerate(years):
        begin = TRAINED + k * 12
        span = slice(begin - 1, begin + AHEAD)  # from the last month known
        label = "told at the end of the year before" if k == 0 else None
        axes.plot(months[span], [passengers[begin - 1], *year], color=common.ORANGE, lw=2, label=label, zorder=4)
        axes.plot(months[begin - 1], passengers[begin - 1], "o", color=common.ORANGE, ms=5, zorder=5)
    axes.set_xlim(months[0], months[-1])
    axes.set_ylim(0, None)
    axes.legend(loc="upper left")
    common.save(figure, path)


if __name__ == "__main__":
    main()
