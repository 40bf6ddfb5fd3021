"""Forecast the airline passengers of the next month with a stacked LSTM, and draw the result.

The 144 monthly totals of Box & Jenkins are cut into windows of a year; from each, the model tells
the month that follows. It learns from the first 80 % of the windows. Beside it stands the naive
seasonal forecast, the same month of last year, plain and scaled by the growth over the year.
"""

from __future__ import annotations

import argparse

import numpy as np

import lstmcore
from lstmcore.datasets import air_passengers
from lstmcore.layers import LSTM, Dense
from lstmcore.models import Sequential
from lstmcore.optimizers import Adam

WINDOW = 12


def main() -> None:
    """Train, print the errors in passengers, save the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=100, help="passes over the training windows")
    parser.add_argument("--seed", type=int, default=0, help="of the initial weights and the shuffling")
    parser.add_argument("--verbose", type=int, default=0, choices=(0, 1, 2), help="what fit shows")
    parser.add_argument("--picture", default="air_passengers.png", help="where to save it; '' for none")
    options = parser.parse_args()

    months, passengers = air_passengers.load_data()
    low, high = passengers.min(), passengers.max()
    scaled = ((passengers - low) / (high - low))[:, None]
    windows = np.lib.stride_tricks.sliding_window_view(scaled[:-1, 0], WINDOW)[:, :, None]
    targets = scaled[WINDOW:]
    split = int(0.8 * len(windows))

    lstmcore.utils.set_random_seed(options.seed)
    model = Sequential([LSTM(50, input_shape=(WINDOW, 1), return_sequences=True), LSTM(50), Dense(1)])
    model.compile(optimizer=Adam(learning_rate=0.001), loss="mse")
    history = model.fit(
        windows[:split],
        targets[:split],
        epochs=options.epochs,
        batch_size=32,
        validation_split=0.2,
        verbose=options.verbose,
    )
    predicted = model.predict(windows)[:, 0] * (high - low) + low
    actual = passengers[WINDOW:]
    # Baselines that know as much: the month forecast is unknown, all before it are known.
    last_year = passengers[:-WINDOW]
    growth = np.ones_like(last_year)
    growth[1:] = passengers[WINDOW:-1] / passengers[: -WINDOW - 1]

    print(f"trained on {split} windows for {options.epochs} epochs: loss {history.history['loss'][-1]:.5f}\n")
    print("error in thousand passengers     train RMSE   test RMSE   test MAE")
    for name, forecast in (
        ("LSTM", predicted),
        ("same month last year", last_year),
        ("  times the growth since then", last_year * growth),
    ):
        error = forecast - actual
        train, test = error[:split], error[split:]
        print(
            f"{name:31} {np.sqrt(np.mean(train**2)):11.1f} {np.sqrt(np.mean(test**2)):11.1f} "
            f"{np.mean(np.abs(test)):10.1f}"
        )
    if options.picture:
        draw(options.picture, months, passengers, predicted, split)
        print(f"\nsaved {options.picture}")


def draw(path: str, months: np.ndarray, passengers: np.ndarray, predicted: np.ndarray, split: int) -> None:
    """Save a picture of actual against predicted passengers."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    ink, blue, orange = "#33373d", "#3274c2", "#e07b2e"
    plt.rcParams.update({"font.family": "DejaVu Sans", "text.color": ink, "axes.labelcolor": ink})
    figure, axes = plt.subplots(figsize=(11, 5.5), dpi=150)
    targets = months[WINDOW:]
    axes.axvspan(targets[split], months[-1], color=orange, alpha=0.07, lw=0)
    axes.plot(months, passengers, color=ink, lw=1.6, label="actual", zorder=3)
    axes.plot(targets[:split], predicted[:split], color=blue, lw=1.6, label="predicted, months trained on", zorder=4)
    axes.plot(targets[split:], predicted[split:], color=orange, lw=2, label="predicted, held-out months", zorder=4)
    axes.text(targets[split] + np.timedelta64(1, "M"), 1.01 * passengers.max(), "held out", color=orange, fontsize=10)
    axes.set_title("Airline passengers, one month ahead", loc="left", fontsize=15, fontweight="bold", pad=14)
    axes.set_ylabel("thousand passengers a month")
    axes.set_xlim(months[0], months[-1])
    axes.set_ylim(0, None)
    axes.grid(axis="y", color="#e4e6e9", lw=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0, colors=ink)
    axes.legend(frameon=False, loc="upper left")
    figure.tight_layout()
    figure.savefig(path)


if __name__ == "__main__":
    main()
