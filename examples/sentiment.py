"""Tell from a film review whether it is favourable, and draw how the opinion forms word by word.

IMDB (Maas et al. 2011): 25,000 reviews to learn from, as many to validate, each a sequence of the ranks of
its words. Two set-ups with published numbers: "bidirectional", two layers of 64 on the last 200 words
(Keras's example, 0.8428 after two epochs), and "lstm", one of 100 on the last 500 (J. Brownlee, "Sequence
Classification with LSTM Recurrent Neural Networks in Python with Keras", 0.8679 after three). With --dropout
and --recurrent-dropout, whole words or states are left out in training, the same ones at all steps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import common
import numpy as np

import lstmcore
from lstmcore.datasets import imdb
from lstmcore.layers import LSTM, Bidirectional, Dense, Embedding
from lstmcore.models import Sequential
from lstmcore.utils import pad_sequences


@dataclasses.dataclass(frozen=True)
class Setup:
    """What belongs to a published number."""

    words: int
    length: int
    batch_size: int
    epochs: int
    accuracy: float


SETUPS = {
    "bidirectional": Setup(words=20_000, length=200, batch_size=32, epochs=2, accuracy=0.8428),
    "lstm": Setup(words=5_000, length=500, batch_size=64, epochs=3, accuracy=0.8679),
}


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train, print the accuracy, save the picture; return the accuracy."""
    parser = common.parser(__doc__, "sentiment.png", epochs=0, verbose=1)
    parser.set_defaults(epochs=None)
    parser.add_argument("--setup", default="bidirectional", choices=list(SETUPS), help="which published set-up")
    parser.add_argument("--dropout", type=float, default=0.0, help="of the inputs of the recurrent layers")
    parser.add_argument("--recurrent-dropout", type=float, default=0.0, help="of their states")
    parser.add_argument("--reviews", type=int, help="learn from so many reviews alone, and validate on as many")
    options = parser.parse_args(argv)

    setup = SETUPS[options.setup]
    common.choose_data(options.data)
    try:
        (x_train, y_train), (x_test, y_test) = imdb.load_data(num_words=setup.words)
    except FileNotFoundError as error:
        raise SystemExit(str(error)) from None
    x_train, y_train, x_test, y_test = (part[: options.reviews] for part in (x_train, y_train, x_test, y_test))
    x, x_valid = (pad_sequences(reviews, maxlen=setup.length) for reviews in (x_train, x_test))

    lstmcore.utils.set_random_seed(options.seed)
    model = build(setup, options.setup, {"dropout": options.dropout, "recurrent_dropout": options.recurrent_dropout})
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    history = model.fit(
        x,
        y_train,
        batch_size=setup.batch_size,
        epochs=options.epochs or setup.epochs,
        validation_data=(x_valid, y_test),
        verbose=options.verbose,
    )

    accuracies = history.history["val_accuracy"]
    rows = {
        f"{options.setup}, epoch {len(accuracies)}": [accuracies[-1]],
        f"published, epoch {setup.epochs}": [setup.accuracy],
        "the more frequent answer": [max(np.mean(y_test), 1 - np.mean(y_test))],
    }
    common.print_table(f"{len(y_test):,} reviews to validate", ["accuracy"], rows, 4)
    if options.picture:
        draw(options.picture, model, x_test, y_test, setup)
    return {"accuracy": accuracies[-1]}


def build(setup: Setup, kind: str, dropout: dict[str, float]) -> Sequential:
    """Return the model of a set-up."""
    if kind == "bidirectional":
        layers = [
            Embedding(setup.words, 128),
            Bidirectional(LSTM(64, return_sequences=True, **dropout)),
            Bidirectional(LSTM(64, **dropout)),
        ]
    else:
        layers = [Embedding(setup.words, 32), LSTM(100, **dropout)]
    return Sequential([*layers, Dense(1, activation="sigmoid")])


def draw(path: str, model: Sequential, reviews: Sequence[list[int]], answers: np.ndarray, setup: Setup) -> None:
    """Save a picture of the model's opinion after every word of a few reviews."""
    figure, axes = common.canvas(
        "An opinion forms as the review is read", "words read", "probability of a favourable review"
    )
    short = [k for k in range(len(reviews)) if 60 <= len(reviews[k]) <= setup.length]
    for answer, color, name in ((1, common.BLUE, "favourable"), (0, common.ORANGE, "unfavourable")):
        for number, k in enumerate([k for k in short if answers[k] == answer][:5]):
            begun = pad_sequences([reviews[k][:words] for words in range(1, len(reviews[k]) + 1)], maxlen=setup.length)
            opinion = model.predict(begun, verbose=0)[:, 0]
            axes.plot(np.arange(1, len(opinion) + 1), opinion, color=color, lw=1.4, label=None if number else name)
    axes.set_xlim(1, None)
    axes.set_ylim(0, 1)
    axes.legend(loc="upper right", title="the reviews are")
    common.save(figure, path)


if __name__ == "__main__":
    main()
