"""Forecast a transformer's oil temperature for the next 24 hours and warn of heavy load, with one model; draw both.

The data and months are those of energy.py. The model has two inputs: the seven series over the last 96 hours, and
what is known of each of the next 24: hour and weekday, and what load and temperature were at that hour yesterday
and on average in the last week. An encoder reads the first; a decoder, which begins with the encoder's state, the
second. It has two outputs for each of the 24 hours: how far the temperature will be from its last value, and the
probability that the load (HUFL) exceeds what a tenth of the hours learnt from exceeded. Both learn together,
each with its own loss.

Beside it stand persistence (as now), the same hour of the day before, the mean course of the last seven days (for the
load, the share of them that were heavy at that hour) and, for the temperature, the linear regression of energy.py,
which a network does not beat here. The Brier score is the mean squared error of probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import common
import numpy as np
from energy import AHEAD, HISTORY, TEST, TRAIN, VALIDATION, linear, load, scale

import lstmcore
from lstmcore import Input, Model
from lstmcore.callbacks import EarlyStopping
from lstmcore.layers import GRU, Concatenate, Dense, Dropout
from lstmcore.metrics import AUC

LOAD, OIL = 0, 6  # columns of the load HUFL and of the oil temperature
DAYS = 24 * np.arange(1, 8)[:, None, None]  # hours back to the same hour of the last seven days
QUANTILE = 0.9  # of the load in the hours learnt from: more is heavy
Arrays = dict[str, np.ndarray]


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train, print the errors, save the picture; return the errors."""
    parser = common.parser(__doc__, "oil_and_load.png", epochs=20)
    parser.add_argument("--units", type=int, default=16, help="width of encoder and decoder")
    options = parser.parse_args(argv)

    raw = load(options.data)
    series = scale(raw)
    heavy = raw[:, LOAD] > np.quantile(raw[slice(*TRAIN), LOAD], QUANTILE)

    lstmcore.utils.set_random_seed(options.seed)
    x, y = examples(series, heavy, TRAIN)
    model = make(options.units, x)
    model.compile(
        optimizer="adam",
        loss={"temperature": "mse", "heavy": "binary_crossentropy"},
        loss_weights={"heavy": 0.2},  # a crossentropy is the larger number; thus neither drowns the other
        metrics={"temperature": ["mae"], "heavy": [AUC(name="auc")]},
    )
    model.fit(
        x,
        y,
        validation_data=examples(series, heavy, VALIDATION),
        batch_size=64,
        epochs=options.epochs,
        callbacks=[EarlyStopping(monitor="val_loss", patience=3, restore_best_weights=True)],
        verbose=options.verbose,
    )

    first = origins(TEST)
    temperatures, warnings = baselines(raw[:, OIL], heavy, first)
    degrees = raw[slice(*TRAIN), OIL].std()
    now = raw[first - 1, OIL][:, None]
    change = linear(series[:, OIL], first) - series[first - 1, OIL][:, None]
    temperatures["linear regression"] = now + degrees * change
    told = model.predict(examples(series, heavy, TEST)[0], verbose=0)
    temperatures = {"encoder and decoder": now + degrees * told["temperature"][..., 0]} | temperatures
    warnings = {"encoder and decoder": told["heavy"][..., 0]} | warnings

    hours = first[:, None] + np.arange(AHEAD)
    rows: dict[str, tuple[float | None, ...]] = {}
    for name, forecast in temperatures.items():
        of_load = quality(heavy[hours], warnings[name]) if name in warnings else (None, None)
        rows[name] = (*errors(raw[hours, OIL], forecast), *of_load)
    print(f"{len(first)} forecasts of 24 hours, {np.mean(heavy[hours]):.1%} of them with heavy load")
    common.print_table("temperature in °C, heavy load", ["RMSE", "MAE", "Brier score", "AUC"], rows, 3)
    if options.picture:
        draw(options.picture, raw, first, told["heavy"][..., 0], temperatures["encoder and decoder"])
    rmse, mae, brier, auc = (number for number in rows["encoder and decoder"] if number is not None)
    return {"rmse": rmse, "mae": mae, "brier": brier, "auc": auc}


def origins(part: tuple[int, int]) -> np.ndarray:
    """Return the first hour of each forecast whose 24 hours lie in a part; a week must lie before it, in any part."""
    return np.arange(max(part[0], DAYS.max()), part[1] - AHEAD + 1)


def examples(series: np.ndarray, heavy: np.ndarray, part: tuple[int, int]) -> tuple[Arrays, Arrays]:
    """Return the inputs and targets of all forecasts of a part; levels, which drift, count from their last value."""
    first = origins(part)
    last = series[first - 1, None]
    past = series[first[:, None] + np.arange(-HISTORY, 0)] - last
    past[..., :OIL] /= 5  # the loads speak softly, as in energy.py
    hours = first[:, None] + np.arange(AHEAD)
    day, week = 2 * np.pi * hours / 24, 2 * np.pi * hours / (7 * 24)
    calendar = np.stack([np.sin(day), np.cos(day), np.sin(week), np.cos(week)], axis=-1)
    before = series[hours - DAYS][..., [LOAD, OIL]]
    before[..., 1] -= last[..., OIL]
    x = {"past": past, "ahead": np.concatenate([calendar, before[0], before.mean(axis=0)], axis=-1)}
    y = {"temperature": series[hours, OIL] - last[..., OIL], "heavy": heavy[hours]}
    return (
        {name: array.astype("float32") for name, array in x.items()},
        {name: array[..., None].astype("float32") for name, array in y.items()},
    )


def make(units: int, x: Mapping[str, np.ndarray]) -> Model:
    """Return the model: what is known of an hour reaches its outputs through the decoder and directly."""
    past, ahead = (Input(x[name].shape[1:], name=name) for name in ("past", "ahead"))
    state = GRU(units, name="encoder")(past)
    decoded = GRU(units, return_sequences=True, name="decoder")(ahead, initial_state=state)
    seen = Concatenate()([Dropout(0.3)(decoded), ahead])
    outputs = {
        "temperature": Dense(1, kernel_initializer="zeros")(seen),  # begins as persistence
        "heavy": Dense(1, activation="sigmoid", kernel_initializer="zeros")(seen),
    }
    return Model({"past": past, "ahead": ahead}, outputs)


def baselines(temperature: np.ndarray, heavy: np.ndarray, first: np.ndarray) -> tuple[Arrays, Arrays]:
    """Return forecasts (forecast, hour) by rules of a line: of temperatures, and of probabilities of heavy load."""
    now, hours = first[:, None] - 1, first[:, None] + np.arange(AHEAD)
    course = np.mean(temperature[hours - DAYS] - temperature[now - DAYS], axis=0)
    temperatures = {
        "persistence": np.repeat(temperature[now], AHEAD, axis=1),
        "same hour of the day before": temperature[hours - 24],
        "mean course of the last week": temperature[now] + course,
    }
    warnings = {
        "persistence": np.repeat(heavy[now], AHEAD, axis=1),
        "same hour of the day before": heavy[hours - 24],
        "mean course of the last week": heavy[hours - DAYS].mean(axis=0),
    }
    return temperatures, {name: told.astype(float) for name, told in warnings.items()}


def errors(actual: np.ndarray, forecast: np.ndarray) -> tuple[float, float]:
    """Return the root mean squared error and the mean absolute one."""
    return float(np.sqrt(np.mean((forecast - actual) ** 2))), float(np.mean(np.abs(forecast - actual)))


def quality(happened: np.ndarray, probability: np.ndarray) -> tuple[float, float]:
    """Return the Brier score of probabilities, and how well they tell the hours apart: the area under the ROC curve."""
    area = AUC(num_thresholds=1000)
    area.update_state(happened.ravel(), probability.ravel())
    return float(np.mean((probability - happened) ** 2)), float(area.result())


def draw(path: str, raw: np.ndarray, first: np.ndarray, probability: np.ndarray, temperature: np.ndarray) -> None:
    """Save a picture of two weeks of forecasts, one made every midnight: of the temperature, of heavy load."""
    figure, (above, below) = common.canvas("Oil temperature and heavy load, 24 hours ahead", panels=2, sharex=True)
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Patch

    midnights = np.flatnonzero(first % 24 == 0)[44:58]  # without gaps in the data; as often heavy as the rest
    hours = np.arange(first[midnights[0]], first[midnights[-1]] + AHEAD)
    above.plot(hours, raw[hours, OIL], color=common.INK, lw=1.6, label="actual")
    for k in midnights:
        label = "forecast at midnight" if k == midnights[0] else None
        above.plot(first[k] + np.arange(AHEAD), temperature[k], color=common.ORANGE, lw=2, label=label)
    above.set_ylabel("oil, °C")
    beside = {"loc": "lower right", "bbox_to_anchor": (1, 0.97)}
    above.legend(ncols=2, **beside)

    load, limit = raw[hours, LOAD], np.quantile(raw[slice(*TRAIN), LOAD], QUANTILE)
    low, high = load.min() - 2, load.max() + 2
    shades = LinearSegmentedColormap.from_list("probability", ["white", common.ORANGE])
    extent = (hours[0] - 0.5, hours[-1] + 0.5, low, high)
    below.imshow(probability[midnights].reshape(1, -1), cmap=shades, vmin=0, vmax=1, aspect="auto", extent=extent)
    (line,) = below.plot(hours, load, color=common.INK, lw=1.4, label="actual")
    edge = below.axhline(limit, color=common.BLUE, lw=1.2, ls="--", label="heavy above this")
    swatches = [Patch(color=shades(p), label=f"probability {p}") for p in (0.25, 0.5, 0.75)]
    below.legend(handles=[line, edge, *swatches], ncols=5, **beside)
    below.set_ylim(low, high)
    below.set_ylabel("load HUFL")
    below.grid(visible=False)
    dates = [np.datetime64("2016-07-01") + int(first[k]) // 24 for k in midnights]
    below.set_xticks(first[midnights], [f"{date.item().day} {date.item():%b}" for date in dates], ha="left")
    below.set_xlim(hours[0], hours[-1])
    common.save(figure, path)


if __name__ == "__main__":
    main()
