"""Learn the harmony of Bach's chorales: which notes sound next. Draw a chorale and what the model expected.

JSB Chorales (Boulanger-Lewandowski et al. 2012): 382 pieces, each a frame of 88 keys for every quarter
note, split into training, validation and test. At each frame the model gives the probability of every key
in the next; the score is the negative log-likelihood of a whole frame in nats, summed over the keys, as in
Bai, Kolter & Koltun 2018 (arXiv:1803.01271, table 1). The pieces differ in length: padding is masked,
and the exact score is worked out from the frames there are. When the validation pieces no longer gain by
training, its steps get smaller, then it stops and the best weights come back.
"""

from __future__ import annotations

from collections.abc import Sequence

import common
import numpy as np

import lstmcore
from lstmcore.callbacks import EarlyStopping, ReduceLROnPlateau
from lstmcore.layers import GRU, LSTM, Dense, Dropout, Masking
from lstmcore.models import Sequential
from lstmcore.optimizers import Adam
from lstmcore.utils import pad_sequences

KEYS, PADDING = 88, -1.0
PUBLISHED = {"published LSTM": [8.45], "published GRU": [8.43], "published simple RNN": [8.91]}


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train, print the scores, save the picture; return them."""
    parser = common.parser(__doc__, "music.png", epochs=400)
    parser.add_argument("--cell", default="LSTM", choices=("LSTM", "GRU"), help="the recurrent layer")
    parser.add_argument("--units", type=int, default=300, help="its width")
    parser.add_argument("--pieces", type=int, help="learn from the first so many alone")
    options = parser.parse_args(argv)

    pieces = load(options.data)
    train, valid, test = pieces["train"][: options.pieces], pieces["valid"], pieces["test"]
    layer = {"LSTM": LSTM, "GRU": GRU}[options.cell]

    lstmcore.utils.set_random_seed(options.seed)
    model = Sequential(
        [
            Masking(PADDING, input_shape=(None, KEYS)),
            Dropout(0.1),
            layer(options.units, return_sequences=True),
            Dropout(0.5),
            Dense(KEYS, activation="sigmoid"),
        ]
    )
    model.compile(optimizer=Adam(learning_rate=0.003, clipnorm=1.0), loss="binary_crossentropy")
    history = model.fit(
        *batch(train),
        validation_data=batch(valid),
        epochs=options.epochs,
        batch_size=16,
        callbacks=[
            ReduceLROnPlateau(monitor="val_loss", factor=0.3, patience=10),
            EarlyStopping(monitor="val_loss", patience=25, restore_best_weights=True),
        ],
        verbose=options.verbose,
    )

    rates = np.concatenate([piece[1:] for piece in train]).mean(axis=0)  # how often each key sounds
    rows = {
        options.cell: [score(test, probabilities(model, test))],
        "by whether the key sounds now": [score(test, by_last(train, test))],
        "by how often the key sounds": [score(test, [np.tile(rates, (len(p) - 1, 1)) for p in test])],
    }
    print(f"{len(train)} pieces to learn from, {len(history.epoch)} epochs; {len(test)} pieces of the test")
    common.print_table("negative log-likelihood of a frame", ["nats"], rows | PUBLISHED, 3)
    if options.picture:
        draw(options.picture, test[0], probabilities(model, test[:1])[0])
    return {"nats": rows[options.cell][0]}


def load(folder: str | None) -> dict[str, list[np.ndarray]]:
    """Return the pieces of each part, (frames, keys) of 0 and 1."""
    with np.load(common.data_file("JSB_Chorales.npz", folder)) as file:
        names = {part: [n for n in file.files if n.startswith(part)] for part in ("train", "valid", "test")}
        return {part: [file[f"{part}data_{k}"] for k in range(len(names[part]))] for part in names}


def batch(pieces: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return all frames but the last and all but the first, padded to one length."""
    inputs = pad_sequences([piece[:-1] for piece in pieces], dtype="float32", padding="post", value=PADDING)
    return inputs, pad_sequences([piece[1:] for piece in pieces], dtype="float32", padding="post")


def probabilities(model: Sequential, pieces: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the probability of every key at each frame but the first, piece by piece."""
    predicted = model.predict(batch(pieces)[0], verbose=0)
    return [p[: len(piece) - 1] for p, piece in zip(predicted, pieces, strict=True)]


def by_last(train: Sequence[np.ndarray], test: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return for every key how often it sounds in training, after frames with and without it."""
    before, after = (np.concatenate([p[part] for p in train]) for part in (slice(-1), slice(1, None)))
    rates = [(after * (before == on)).sum(axis=0) + 0.1 for on in (0, 1)]
    rates = [rate / ((before == on).sum(axis=0) + 0.2) for rate, on in zip(rates, (0, 1), strict=True)]
    return [np.where(piece[:-1], rates[1], rates[0]) for piece in test]


def score(pieces: Sequence[np.ndarray], predicted: Sequence[np.ndarray]) -> float:
    """Return the negative log-likelihood of a frame, in nats, over all frames of all pieces."""
    truth = np.concatenate([piece[1:] for piece in pieces]).astype(bool)
    chance = np.where(truth, np.concatenate(predicted), 1 - np.concatenate(predicted).astype(float))
    return float(-np.log(np.maximum(chance, 1e-9)).sum(axis=1).mean())


def draw(path: str, piece: np.ndarray, predicted: np.ndarray) -> None:
    """Save a picture of the piano roll above what was expected at each frame from those before."""
    figure, panels = common.canvas("A chorale, and what the model expected", "quarter note", panels=2, sharex=True)
    sounding = np.flatnonzero(piece.any(axis=0))
    low, high = sounding[0] - 3, sounding[-1] + 4
    for axes, roll, name in zip(panels, (piece[1:], predicted), ("written by Bach", "probability"), strict=True):
        axes.imshow(
            roll[:, low:high].T,
            aspect="auto",
            origin="lower",
            cmap="Blues" if roll is predicted else "Greys",
            vmin=0,
            vmax=1,
            interpolation="nearest",
            extent=(0.5, len(roll) + 0.5, low + 20.5, high + 20.5),  # the first key is MIDI note 21
        )
        axes.set_ylabel(f"{name}\nMIDI note")
        axes.grid(False)
    common.save(figure, path)


if __name__ == "__main__":
    main()
