"""Find the words in text without spaces, with a conditional random field and without one, and draw what it sees.

Lines of tinyshakespeare lose their spaces, capitals and punctuation; every letter is to be tagged as the beginning (B),
inside (I) or last (L) of a word, or as a word by itself (U). That is how Chinese is split into words (Xue 2003), and
BiLSTM-CRF models (Huang, Xu & Yu 2015) tag names in sentences. Without the CRF, each tag is the most likely one by
itself, whether or not it can stand beside its neighbours. Both are held beside the longest known word at every place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import common
import numpy as np

import lstmcore
from lstmcore.layers import CRF, LSTM, Bidirectional, Dense, Dropout, Embedding
from lstmcore.metrics import TagF1Score
from lstmcore.models import Sequential
from lstmcore.optimizers import Adam
from lstmcore.utils import pad_sequences, tag_spans

TAGS = ["O", "B", "I", "L", "U"]  # O is for padding
LETTERS = "_abcdefghijklmnopqrstuvwxyz"  # the first is padding


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train both, print the scores, save the picture; return the F1 of words."""
    parser = common.parser(__doc__, "bilstm_crf_tagger.png", epochs=10)
    parser.add_argument("--lines", type=int, default=25000, help="to train on")
    parser.add_argument("--tests", type=int, default=2000, help="lines to test on, from the end of the text")
    parser.add_argument("--units", type=int, default=64, help="of the LSTM in each direction")
    options = parser.parse_args(argv)

    lines = read(common.data_file("tinyshakespeare.txt", options.data))
    train, test = lines[: options.lines], lines[-options.tests :]
    (x, y), (x_test, y_test) = tagged(train), tagged(test)
    baseline = of_spans(longest(train, test), y_test, x_test)
    rows: dict[str, tuple[float | None, ...]] = {}
    curves: dict[str, list[float]] = {}
    models: dict[str, Sequential] = {}
    for name in ("BiLSTM", "BiLSTM-CRF"):
        lstmcore.utils.set_random_seed(options.seed)
        model = models[name] = build(options.units, with_crf=name == "BiLSTM-CRF")
        model.compile(
            Adam(0.005, clipnorm=1.0),
            "crf" if name == "BiLSTM-CRF" else "sparse_categorical_crossentropy",
            metrics=["accuracy", TagF1Score(TAGS, scheme="BILOU")],
        )
        history = model.fit(
            x, y, batch_size=64, epochs=options.epochs, validation_data=(x_test, y_test), verbose=options.verbose
        ).history
        found = model.predict(x_test, verbose=0)
        tags = found if found.ndim == 2 else found.argmax(-1)
        rows[name] = (*of_spans(tags, y_test, x_test), history["val_accuracy"][-1])
        curves[name] = history["val_tag_f1_score"]

    rows["longest known word"] = (*baseline, None)
    columns = ["F1 of words", "lines right", "not words", "tags right"]
    common.print_table(f"{len(test)} lines", columns, rows, 4)
    if options.picture:
        draw(options.picture, curves, baseline[0], models["BiLSTM-CRF"], test)
    return {name: float(row[0] or 0.0) for name, row in rows.items()}


def read(path: object) -> list[list[str]]:
    """Return the words of every line that somebody says, small letters only; short lines are left out."""
    with open(str(path), encoding="utf-8") as file:
        said = [line for line in file if not line.rstrip().endswith(":")]
    lines = [re.findall("[a-z]+", line.lower().replace("'", "")) for line in said]
    return [words for words in lines if len(words) > 3]


def tagged(lines: list[list[str]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the letters of lines (lines, steps) and their tags, both as integers with 0 for padding."""
    letters = [[LETTERS.index(letter) for word in words for letter in word] for words in lines]
    tags = [
        [TAGS.index(tag) for word in words for tag in ("U" if len(word) == 1 else "B" + "I" * (len(word) - 2) + "L")]
        for words in lines
    ]
    return pad_sequences(letters, padding="post"), pad_sequences(tags, padding="post")


def build(units: int, with_crf: bool) -> Sequential:
    """Return a model that tags letters: with the CRF or, without, by probabilities."""
    below = [
        Embedding(len(LETTERS), 24, mask_zero=True, input_shape=(None,)),
        Bidirectional(LSTM(units, return_sequences=True)),
        Dropout(0.2),
    ]
    if with_crf:
        return Sequential([*below, Dense(len(TAGS)), CRF(TAGS, constraints="BILOU")])
    return Sequential([*below, Dense(len(TAGS), activation="softmax")])


def longest(train: list[list[str]], test: list[list[str]]) -> np.ndarray:
    """Return the tags that come of always taking the longest word seen in training, or else a letter."""
    known = {word for words in train for word in words}
    most = max(map(len, known))
    lines = []
    for words in test:
        text, at, split = "".join(words), 0, []
        while at < len(text):
            size = next((n for n in range(most, 1, -1) if text[at : at + n] in known and at + n <= len(text)), 1)
            split.append(text[at : at + size])
            at += size
        lines.append(split)
    return tagged(lines)[1]


def of_spans(tags: np.ndarray, truth: np.ndarray, letters: np.ndarray) -> tuple[float, float, float]:
    """Return the F1 of words, the share of lines that are right, and that of spans that are no words by their tags."""
    mask = letters != 0
    f1 = TagF1Score(TAGS, scheme="BILOU")(truth, tags, mask)
    right = float(((tags == truth) | ~mask).all(axis=1).mean())
    found, proper = (
        sum(map(len, tag_spans(tags, TAGS, "BILOU", mask=mask, strict=strict))) for strict in (False, True)
    )
    return f1, right, 1 - proper / found


def draw(path: str, curves: dict[str, list[float]], baseline: float, model: Sequential, test: list[list[str]]) -> None:
    """Save a picture of the scores by epoch, and of the probability of every tag along a line."""
    words = next((w for w in test if 30 <= sum(map(len, w)) <= 45), test[0])
    letters, _ = tagged([words])
    *below, crf = model.layers
    emissions = letters
    for layer in below:  # a layer is called on what another returns; the mask goes with it
        emissions = layer(emissions)
    probabilities = crf.marginals(emissions)[0]

    figure, (above, beneath) = common.canvas("Words found in text without spaces", panels=2)
    for (name, scores), color in zip(curves.items(), (common.BLUE, common.ORANGE), strict=True):
        above.plot(range(1, len(scores) + 1), scores, color=color, lw=2, marker="o", label=name)
    above.axhline(baseline, color=common.GREY, ls="--", lw=1.2, label="longest known word")
    above.set_ylabel("F1 of words")
    above.set_xlabel("epoch")
    above.legend(loc="center right")
    beneath.imshow(probabilities[:, 1:].T, aspect="auto", cmap="Blues", vmin=0, vmax=1)
    beneath.set_yticks(range(4), TAGS[1:])
    beneath.set_xticks(range(letters.shape[1]), "".join(words))
    beneath.set_ylabel("probability of tags")
    beneath.grid(False)
    for end in np.cumsum([len(word) for word in words])[:-1]:
        beneath.axvline(end - 0.5, color=common.ORANGE, lw=1.2)
    beneath.set_xlabel("a line of the test; lines where words end")
    common.save(figure, path)


if __name__ == "__main__":
    main()
