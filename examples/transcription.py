"""Spell what is said, letter by letter, without being told where in the recording each letter is, and draw it.

Two to five digits of a speaker, joined with pauses, become "three one four". The model is a convolution that halves the
steps, batch normalisation, a bidirectional LSTM and a Dense layer at every step, trained with CTC; it is read greedily
and by beam search. Train and test sequences are of different recordings (numbers 0 to 4 are the official test), or,
with --held-out, of different speakers.
"""

from __future__ import annotations

from collections.abc import Sequence

import common
import numpy as np
import speech

import lstmcore
from lstmcore.decoders import beam_search, greedy
from lstmcore.layers import LSTM, BatchNormalization, Bidirectional, Conv1D, Dense, Dropout, Masking
from lstmcore.losses import CTC
from lstmcore.metrics import character_error_rate, word_error_rate
from lstmcore.models import Sequential
from lstmcore.optimizers import Adam

RATE = 0.003  # of learning
DEPTH = 10.0  # 43 dB below the loudest


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train, print the error rates, save the picture; return the character error rate of beam search, and others."""
    parser = common.parser(__doc__, "transcription.png", epochs=15)
    parser.add_argument("--sequences", type=int, default=1500, help="to train on")
    parser.add_argument("--tests", type=int, default=300, help="sequences to test on")
    parser.add_argument("--units", type=int, default=64, help="of the convolution, and of the LSTM in each direction")
    parser.add_argument("--beam", type=int, default=25, help="prefixes kept by beam search")
    speech.add_held_out(parser)
    options = parser.parse_args(argv)

    rows: dict[str, list[float | None]] = {}
    for held_out in speech.splits(options.held_out):
        train, test = speech.load(options.data, held_out)
        if held_out:  # more voices
            train = speech.at_other_speeds(train)
        lstmcore.utils.set_random_seed(options.seed)
        rng = np.random.default_rng(options.seed)
        sequences, texts = speech.join(train, options.sequences, rng)
        heard, said = speech.join(test, options.tests, rng)
        features = speech.Features(sequences, DEPTH)
        model = build(options.units)
        model.compile(Adam(RATE, clipnorm=1.0), CTC())
        batches = speech.Batches([features(s) for s in sequences], [speech.spell(t) for t in texts], 16, rng)
        model.fit(
            batches, epochs=options.epochs, verbose=options.verbose, callbacks=[speech.falling(RATE, options.epochs)]
        )

        logits = list(speech.predict(model, [features(s) for s in heard]))
        ways = {
            "greedy": [speech.read(greedy(z[None])[0][0]) for z in logits],
            "beam search": [speech.read(beam_search(z[None], beam_width=options.beam)[0][0][0]) for z in logits],
        }
        for way, read in ways.items():
            name = way if held_out is None else f"{held_out} held out, {way}"
            rows[name] = [100 * character_error_rate(said, read), 100 * word_error_rate(said, read)]
        print(f"said {said[0]!r}, read {ways['beam search'][0]!r}")

    columns = ["characters wrong, %", "words wrong, %"]
    means = {way: np.mean([row for name, row in rows.items() if name.endswith(way)], axis=0) for way in ways}
    if len(rows) > len(ways):
        rows |= {f"mean, {way}": list(mean) for way, mean in means.items()}
    rows["always the same"] = always_the_same(said)
    common.print_table(f"{options.tests} sequences each", columns, rows, 2)
    if options.picture:
        spectrogram, z = features(heard[0]), logits[0]
        title = f'"{said[0]}", letter by letter'
        speech.draw(options.picture, title, spectrogram, softmax(z), names(), 0.01 * speech.STRIDES, read[0])
    return {
        "character_error_rate": float(means["beam search"][0] / 100),
        "word_error_rate": float(means["beam search"][1] / 100),
        "greedy_character_error_rate": float(means["greedy"][0] / 100),
    }


def build(units: int) -> Sequential:
    """Return the model: from frames, logits of the characters at every second step."""
    return Sequential(
        [
            Masking(input_shape=(None, 40)),
            Conv1D(units, 5, strides=speech.STRIDES, padding="same", activation="relu"),
            BatchNormalization(),
            Bidirectional(LSTM(units, return_sequences=True)),
            Dropout(0.2),
            Dense(len(speech.CHARACTERS)),
        ]
    )


def always_the_same(said: Sequence[str]) -> list[float]:
    """Return the error rates, in %, of the one text that is the nearest to all that was said."""
    rates = {text: character_error_rate(said, [text] * len(said)) for text in set(said)}
    best = min(rates, key=lambda text: rates[text])
    return [100 * rates[best], 100 * word_error_rate(said, [best] * len(said))]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def names() -> list[str]:
    """Return the characters as they stand in the picture."""
    return ["(none)", "(space)", *speech.CHARACTERS[2:]]


if __name__ == "__main__":
    main()
