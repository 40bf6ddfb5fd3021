"""Tell from the radio of a moving person whether they are about to change rooms, and draw some paths.

Four anchors in the corners of two rooms receive a sensor worn on the chest, eight times a second (Bacciu
et al. 2014, Neural Computing and Applications 24; UCI). A trace ends before the fork, where one either
goes on to the other room or turns back; 314 traces of 19 to 129 steps, padded and masked. With so few, every trace
is tested once: ten models, each learning from nine tenths of the traces. Beside their accuracy stands that of
the more frequent answer, and of the answer to the trace most like it over its last 16 steps.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

import common
import numpy as np

import lstmcore
from lstmcore.layers import LSTM, Dense, Masking
from lstmcore.models import Sequential
from lstmcore.optimizers import Adam
from lstmcore.utils import pad_sequences

PADDING, LAST = 9.0, 16  # signals lie in -1..1


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train, print the accuracies, save the picture; return that of the models."""
    parser = common.parser(__doc__, "movement.png", epochs=60, verbose=0)
    parser.add_argument("--folds", type=int, default=10, help="parts that the traces are cut into, 2 or more")
    options = parser.parse_args(argv)

    traces, changed = load(options.data)
    x = pad_sequences(traces, dtype="float32", padding="post", value=PADDING)
    lstmcore.utils.set_random_seed(options.seed)
    order = np.random.default_rng(options.seed).permutation(len(x))
    predicted, alike = np.zeros(len(x)), np.zeros(len(x))
    for fold in range(options.folds):
        test = order[fold :: options.folds]
        train = np.setdiff1d(order, test)
        model = Sequential([Masking(PADDING, input_shape=x.shape[1:]), LSTM(32), Dense(1, activation="sigmoid")])
        model.compile(optimizer=Adam(learning_rate=0.005, clipnorm=1.0), loss="binary_crossentropy")
        model.fit(x[train], changed[train], epochs=options.epochs, batch_size=16, verbose=options.verbose)
        predicted[test] = model.predict(x[test], verbose=0)[:, 0]
        alike[test] = nearest(traces, changed, train, test)
        right = np.mean((predicted[test] > 0.5) == changed[test])
        print(f"part {fold + 1}: {right:.3f} of {len(test)} traces right")

    rows = {
        "LSTM": [float(np.mean((predicted > 0.5) == changed))],
        "the more frequent answer": [float(max(changed.mean(), 1 - changed.mean()))],
        "the trace most like it": [float(np.mean(alike == changed))],
    }
    common.print_table(f"{len(x)} traces, each by a model that has not met it", ["accuracy"], rows, 3)
    if options.picture:
        draw(options.picture, traces, changed, predicted)
    return {"accuracy": rows["LSTM"][0]}


def load(folder: str | None) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the traces, (steps, 4) each, and 1 where the room was changed."""
    with zipfile.ZipFile(common.data_file("IndoorMovement.zip", folder)) as archive:

        def table(name: str) -> np.ndarray:
            text = archive.read(f"dataset/MovementAAL_{name}.csv").decode()
            return np.loadtxt(io.StringIO(text), delimiter=",", ndmin=2)

        labels = table("target")
        return [table(f"RSS_{int(number)}") for number in labels[:, 0]], (labels[:, 1] > 0).astype("float32")


def nearest(traces: list[np.ndarray], changed: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return the answer to the trace trained on that ends most like each of those tested."""
    ends = np.array([trace[-LAST:].ravel() for trace in traces])
    distances = np.linalg.norm(ends[test][:, None] - ends[train], axis=2)
    return changed[train][distances.argmin(axis=1)]


def draw(path: str, traces: list[np.ndarray], changed: np.ndarray, predicted: np.ndarray) -> None:
    """Save a picture of two traces and of all answers."""
    figure, panels = common.canvas("Will they change rooms?", panels=3, height_ratios=[2, 2, 3])
    shades = ["#1b3f6b", common.BLUE, "#8db4e2", common.GREY]
    for axes, answer in zip(panels, (1, 0), strict=False):
        k = next(k for k in range(len(traces)) if changed[k] == answer and len(traces[k]) > 30)
        for anchor, color in enumerate(shades):
            axes.plot(np.arange(len(traces[k])) / 8, traces[k][:, anchor], color=color, lw=1.6)
        axes.set_ylabel("signal")
        said = f"{'they did' if answer else 'they did not'}; the model: {predicted[k]:.0%}"
        axes.text(1, 1.02, said, transform=axes.transAxes, ha="right", fontsize=10)
        axes.set_xlim(0, None)
    panels[1].set_xlabel("seconds")
    edges = np.linspace(0, 1, 26)
    parts = [predicted[changed == 0], predicted[changed == 1]]
    panels[2].hist(parts, edges, stacked=True, color=[common.GREY, common.ORANGE], label=["stayed", "changed rooms"])
    panels[2].set_xlabel("probability of a change given by the model")
    panels[2].set_ylabel("traces")
    panels[2].legend(loc="upper center")
    common.save(figure, path)


if __name__ == "__main__":
    main()
