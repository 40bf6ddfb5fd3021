"""Recognise spoken digits, of speakers heard before or, with --held-out, of others, and draw what is heard in one.

The Free Spoken Digit Dataset: 3,000 recordings of six speakers. Tested are numbers 0 to 4 of each digit and speaker,
or all 500 of the speaker held out; then what is trained on is also played a tenth slower and faster. Published:
97.33 % with 39 cepstral coefficients and a bidirectional LSTM(50), on a random tenth of the recordings.
"""

from __future__ import annotations

from collections.abc import Sequence

import common
import numpy as np
import speech

import lstmcore
from lstmcore.layers import LSTM, BatchNormalization, Bidirectional, Conv1D, Dense, Dropout, Masking
from lstmcore.models import Sequential
from lstmcore.optimizers import Adam

RATE = 0.002  # of learning
DEPTH = 6.0  # 26 dB below the loudest
LONGEST = 100  # frames: of longer recordings, the loudest second


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train, print the accuracies, save the picture; return the accuracy, that of each speaker held out and all."""
    parser = common.parser(__doc__, "spoken_digits.png", epochs=20)
    parser.add_argument("--units", type=int, default=64, help="of the convolution, and of the LSTM in each direction")
    speech.add_held_out(parser)
    options = parser.parse_args(argv)

    rows: dict[str, list[float | None]] = {}
    for held_out in speech.splits(options.held_out):
        train, test = speech.load(options.data, held_out)
        epochs = options.epochs
        if held_out:  # more voices; three times the recordings
            train, epochs = speech.at_other_speeds(train), max(1, epochs // 2)
        lstmcore.utils.set_random_seed(options.seed)
        features = speech.Features(train.samples, DEPTH)
        model = build(options.units)
        model.compile(Adam(RATE), "sparse_categorical_crossentropy", metrics=["accuracy"])
        rng = np.random.default_rng(options.seed)
        batches = speech.Batches([loudest(features(s)) for s in train.samples], train.digits, 32, rng)
        model.fit(batches, epochs=epochs, verbose=options.verbose, callbacks=[speech.falling(RATE, epochs)])
        said = [p.argmax() for p in speech.predict(model, [loudest(features(s)) for s in test.samples])]
        accuracy = float(np.mean(said == test.digits))
        name = "bidirectional LSTM" if held_out is None else f"{held_out}, held out"
        rows[name] = [accuracy]
        print(f"{name}: {accuracy:.3f} of {len(said)} recordings")
    scores = {"accuracy": float(np.mean([row[0] for row in rows.values()]))}
    if options.held_out:
        scores |= {name.split(",")[0]: row[0] for name, row in rows.items()}
    if len(rows) > 1:
        rows["mean"] = [scores["accuracy"]]
    rows |= {"chance": [0.1], "published, random split": [0.9733]}
    common.print_table(f"{len(test.digits)} recordings each", ["accuracy"], rows, 4)
    if options.picture:
        draw(options.picture, model, features, test)
    return scores


def build(units: int) -> Sequential:
    """Return the model: digits from frames."""
    return Sequential(
        [
            Masking(input_shape=(None, 40)),
            Conv1D(units, 5, strides=speech.STRIDES, padding="same", activation="relu"),
            BatchNormalization(),
            Dropout(0.3),
            Bidirectional(LSTM(units)),
            Dropout(0.3),
            Dense(10, activation="softmax"),
        ]
    )


def loudest(frames: np.ndarray) -> np.ndarray:
    """Return the LONGEST frames that are loudest together."""
    if len(frames) <= LONGEST:
        return frames
    begin = np.convolve(frames.mean(1), np.ones(LONGEST), "valid").argmax()
    return frames[begin : begin + LONGEST]


def draw(path: str, model: Sequential, features: speech.Features, test: speech.Recordings) -> None:
    """Save a picture of a recording and of what the model makes of its first frames, more and more of them."""
    k = int(np.flatnonzero(test.digits == 7)[0])
    frames = loudest(features(test.samples[k]))
    heard = [frames[:end] for end in range(speech.STRIDES, len(frames) + 1, speech.STRIDES)]
    posteriors = np.array(list(speech.predict(model, heard)))
    title = f'"{speech.WORDS[test.digits[k]]}", and what it could be after so much of it'
    read = speech.WORDS[posteriors[-1].argmax()]
    speech.draw(path, title, frames, posteriors, speech.WORDS, speech.STRIDES * 0.01, read)


if __name__ == "__main__":
    main()
