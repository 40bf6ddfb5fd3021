"""Learn to add numbers of three digits from 45,000 written questions and answers, and draw how.

An encoder reads the question, such as "535+61", backwards and a character a step (Sutskever, Vinyals &
Le 2014 found that to help); its last state is repeated for the four characters of the answer, which a
decoder spells (Zaremba & Sutskever 2014, "Learning to Execute"). Keras's example of the name has the same
set-up and gives a validation accuracy of 0.9883, over characters, after 30 epochs.
"""

from __future__ import annotations

from collections.abc import Sequence

import common
import numpy as np

import lstmcore
from lstmcore.layers import LSTM, Dense, RepeatVector
from lstmcore.models import Sequential
from lstmcore.utils import to_categorical

ALPHABET = "0123456789+ "
DIGITS, QUESTION, ANSWER = 3, 7, 4
PUBLISHED = 0.9883


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train, print the accuracies and some answers, save the picture; return the accuracies."""
    parser = common.parser(__doc__, "addition.png", epochs=30, data=False)
    parser.add_argument("--units", type=int, default=128, help="width of encoder and decoder")
    parser.add_argument("--questions", type=int, default=50_000, help="all different; a tenth is kept to validate")
    options = parser.parse_args(argv)

    rng = np.random.default_rng(options.seed)
    questions, answers = ask(options.questions, rng)
    x, y = encode([q[::-1] for q in questions]), encode(answers)
    split = len(x) - len(x) // 10

    lstmcore.utils.set_random_seed(options.seed)
    model = Sequential(
        [
            LSTM(options.units, input_shape=(QUESTION, len(ALPHABET))),
            RepeatVector(ANSWER),
            LSTM(options.units, return_sequences=True),
            Dense(len(ALPHABET), activation="softmax"),
        ]
    )
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    history = model.fit(
        x[:split],
        y[:split],
        batch_size=32,
        epochs=options.epochs,
        validation_data=(x[split:], y[split:]),
        verbose=options.verbose,
    )

    right = model.predict(x[split:], batch_size=1000, verbose=0).argmax(-1)
    truth = y[split:].argmax(-1)
    frequent = to_categorical(y[:split].sum(axis=0).argmax(-1), len(ALPHABET)).argmax(-1)
    rows: dict[str, tuple[float | None, ...]] = {
        "encoder and decoder": (float((right == truth).mean()), float((right == truth).all(axis=1).mean())),
        "the most frequent characters": (
            float((frequent == truth).mean()),
            float((frequent == truth).all(axis=1).mean()),
        ),
        "published": (PUBLISHED, None),
    }
    for question, answer, said in zip(questions[split : split + 5], answers[split:], right, strict=False):
        print(f"{question} = {''.join(ALPHABET[k] for k in said)} ({answer.strip()})")
    common.print_table(f"{len(truth):,} questions not trained on", ["characters", "whole answers"], rows, 4)
    if options.picture:
        draw(options.picture, history.history)
    characters, whole = rows["encoder and decoder"]
    return {"accuracy": characters, "answers": whole}


def ask(count: int, rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """Return different questions and their answers, padded with spaces; numbers of one, two and three digits alike.

    a+b and b+a count as the same question.
    """
    questions: dict[tuple[int, int], str] = {}
    while len(questions) < count:
        a, b = (int(rng.integers(10 ** rng.integers(1, DIGITS + 1))) for _ in range(2))
        questions.setdefault((min(a, b), max(a, b)), f"{a}+{b}")
    texts = [text.ljust(QUESTION) for text in questions.values()]
    return texts, [str(sum(pair)).ljust(ANSWER) for pair in questions]


def encode(texts: Sequence[str]) -> np.ndarray:
    """Return each character as a row with a single 1."""
    return to_categorical([[ALPHABET.index(c) for c in text] for text in texts], len(ALPHABET))


def draw(path: str, history: dict[str, list[float]]) -> None:
    """Save a picture of the accuracies."""
    figure, axes = common.canvas("Adding numbers of three digits", "epoch", "characters right")
    epochs = np.arange(1, len(history["accuracy"]) + 1)
    axes.plot(epochs, history["accuracy"], color=common.BLUE, lw=2, label="questions trained on")
    axes.plot(epochs, history["val_accuracy"], color=common.ORANGE, lw=2, label="questions not met")
    axes.axhline(PUBLISHED, color=common.GREY, ls="--", lw=1.6, label="published, after 30 epochs")
    axes.set_ylim(None, 1)
    axes.legend(loc="lower right")
    common.save(figure, path)


if __name__ == "__main__":
    main()
