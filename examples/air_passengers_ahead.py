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
from typing import Any

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
TRAIN = slice(0, TRAINED - HISTORY - AHEAD + 1)  # forecasts that end in 1957 or before
TEST = slice(TRAINED - HISTORY, None)  # forecasts that begin in 1958 or later


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train, print the errors by how far ahead, save the picture; return the error."""
    parser = common.parser(__doc__, "air_passengers_ahead.png", epochs=300, data=False, verbose=0)
    options = parser.parse_args(argv)

    histories, changes = load()
    lstmcore.utils.set_random_seed(options.seed)
    model = Sequential([LSTM(16, input_shape=(HISTORY, 1)), Dense(AHEAD)])
    model.compile(optimizer=Adam(learning_rate=0.003), loss="mse")
    model.fit(histories[TRAIN], changes[TRAIN], epochs=options.epochs, batch_size=16, verbose=options.verbose)

    errors = {"LSTM": error(model.predict(histories, verbose=0)), **baselines()}
    rows = {name: [*rmse(each[:, [0, 2, 5, 11]], 0), rmse(each)] for name, each in errors.items()}
    print(f"{len(errors['LSTM'])} forecasts of the years 1958 to 1960; root mean square of their errors")
    common.print_table("thousand passengers", ["1 month", "3 months", "6 months", "12 months", "all twelve"], rows)
    if options.picture:
        draw(options.picture, errors["LSTM"][::12])
    return {"rmse": float(rows["LSTM"][-1])}


def load() -> tuple[np.ndarray, np.ndarray]:
    """Return what each forecast knows, (forecasts, HISTORY, 1), and what it should tell, (forecasts, AHEAD)."""
    logs = np.log(air_passengers.load_data()[1])
    histories = sliding_window_view(logs[:-AHEAD], HISTORY)
    changes = sliding_window_view((logs[12:] - logs[:-12])[HISTORY - 12 :], AHEAD)
    return (histories - histories[:, -1:])[:, :, None], changes


def years(offset: int) -> np.ndarray:
    """Return the passengers of the twelve months told, or of those so many months before, of the forecasts tested."""
    return sliding_window_view(air_passengers.load_data()[1], AHEAD)[TRAINED - offset :][: 144 - AHEAD - TRAINED + 1]


def error(changes: np.ndarray) -> np.ndarray:
    """Return the errors, in passengers, of the forecasts tested, from what is told of all."""
    return years(12) * np.exp(changes[TEST]) - years(0)


def baselines() -> dict[str, np.ndarray]:
    """Return the errors of forecasts without a model."""
    growth = years(12).sum(1, keepdims=True) / years(24).sum(1, keepdims=True)
    return {
        "same month last year": years(12) - years(0),
        "  times the growth of the year": years(12) * growth - years(0),
    }


def rmse(errors: np.ndarray, axis: int | None = None) -> Any:
    """Return the root of the mean square."""
    return np.sqrt(np.mean(errors**2, axis))


def draw(path: str, errors: np.ndarray) -> None:
    """Save a picture of the forecasts made at the ends of 1957, 1958 and 1959, from their errors."""
    months, passengers = air_passengers.load_data()
    figure, axes = common.canvas("Airline passengers, a year ahead", ylabel="thousand passengers a month")
    axes.axvspan(months[TRAINED], months[-1], color=common.ORANGE, alpha=0.07, lw=0)
    axes.plot(months, passengers, color=common.INK, lw=1.6, label="actual", zorder=3)
    for k, year in enumerate(errors + years(0)[::12]):
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
