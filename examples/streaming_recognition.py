"""Spell what is said while it is being said: a model run a tenth of a second at a time.

It sees nothing of what comes later: a causal convolution, two LSTM and a Dense layer at every step, trained with CTC on
two to five digits joined with pauses. Chunks of samples become frames (MelStream), the frames logits (model.stream()),
the logits letters, exactly those of the whole recording at once; each chunk's time is taken.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import common
import numpy as np
import speech
import transcription

import lstmcore
from lstmcore.audio import MelStream, mel_spectrogram
from lstmcore.decoders import greedy
from lstmcore.layers import LSTM, BatchNormalization, Conv1D, Dense, Input, Masking
from lstmcore.losses import CTC
from lstmcore.metrics import character_error_rate, word_error_rate
from lstmcore.models import Sequential
from lstmcore.optimizers import Adam

RATE = 0.003  # of learning


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train, recognise chunk by chunk, print error rates and times, save the picture; return them."""
    parser = common.parser(__doc__, "streaming_recognition.png", epochs=15)
    parser.add_argument("--sequences", type=int, default=1500, help="to train on")
    parser.add_argument("--tests", type=int, default=100, help="sequences to test on")
    parser.add_argument("--units", type=int, default=64, help="of the convolution and of each LSTM")
    parser.add_argument("--chunk", type=float, default=0.1, help="seconds")
    options = parser.parse_args(argv)
    if not 0.01 <= options.chunk <= 10:
        parser.error(f"--chunk: expected 0.01 to 10 seconds, got {options.chunk}")

    train, test = speech.load(options.data)
    lstmcore.utils.set_random_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    sequences, texts = speech.join(train, options.sequences, rng)
    features = speech.Features(sequences, causal=True)
    trained = Sequential([Masking(input_shape=(None, 40)), *layers(options.units)])
    trained.compile(Adam(RATE, clipnorm=1.0), CTC())
    batches = speech.Batches([features(s) for s in sequences], [speech.spell(t) for t in texts], 16, rng)
    trained.fit(
        batches, epochs=options.epochs, verbose=options.verbose, callbacks=[speech.falling(RATE, options.epochs)]
    )

    # A stream has no padding, so the model that runs needs no Masking.
    model = Sequential([Input(shape=(None, 40)), *layers(options.units)])
    model.set_weights(trained.get_weights())
    heard, said = speech.join(test, options.tests, rng)
    recogniser = Recogniser(model, features, options.chunk)
    read, times = [], []
    for samples in heard:
        recogniser.reset()
        for begin in range(0, len(samples), recogniser.samples):
            start = time.perf_counter()
            recogniser(samples[begin : begin + recogniser.samples])
            times.append(time.perf_counter() - start)
        whole = model(features.scaled(mel_spectrogram(samples, speech.RATE))[None])
        assert np.array_equal(np.concatenate(recogniser.logits), whole[0]), "chunks differ from the whole"
        assert recogniser.text == speech.read(greedy(whole)[0][0])
        read.append(recogniser.text)
    print(f"said {said[0]!r}, read {read[0]!r}; all {len(heard)} sequences: bit for bit as the whole at once")

    errors = [100 * character_error_rate(said, read), 100 * word_error_rate(said, read)]
    common.print_table(
        f"{options.tests} sequences",
        ["characters wrong, %", "words wrong, %"],
        {"LSTM, in chunks": errors, "always the same": transcription.always_the_same(said)},
        2,
    )
    milliseconds = 1000 * np.array(times)
    spent: dict[str, Sequence[float | None]] = {
        "median": [float(np.median(milliseconds))],
        "99 of 100 within": [float(np.percentile(milliseconds, 99))],
        "the chunk itself": [1000 * options.chunk],
    }
    common.print_table(f"{len(times)} chunks", ["ms"], spent, 3)
    if options.picture:
        frames = features.scaled(mel_spectrogram(heard[0], speech.RATE))
        posteriors = transcription.softmax(model(frames[None])[0])
        title = f'"{said[0]}", {1000 * options.chunk:.0f} ms at a time'
        speech.draw(options.picture, title, frames, posteriors, transcription.names(), 0.01, read[0])
    return {
        "character_error_rate": errors[0] / 100,
        "word_error_rate": errors[1] / 100,
        "milliseconds": spent["median"][0] or 0.0,
    }


def layers(units: int) -> list[lstmcore.layers.Layer]:
    """Return the layers of a model that sees nothing of what comes later."""
    return [
        Conv1D(units, 5, padding="causal", activation="relu"),
        BatchNormalization(),
        LSTM(units, return_sequences=True),
        LSTM(units, return_sequences=True),
        Dense(len(speech.CHARACTERS)),
    ]


class Recogniser:
    """Text from samples that come in chunks."""

    def __init__(self, model: Sequential, features: speech.Features, seconds: float) -> None:
        self.samples = round(seconds * speech.RATE)
        self.features = features
        self.mel = MelStream(speech.RATE)
        self.model = model.stream(steps=self.samples // 80 + 1)
        self.reset()

    def reset(self) -> None:
        """Begin a new recording."""
        self.mel.reset()
        self.model.reset()
        self.logits: list[np.ndarray] = []
        self.text, self.last = "", 0

    def __call__(self, samples: np.ndarray) -> str:
        """Return the text after these samples too."""
        frames = self.mel(samples)
        if len(frames):
            logits = self.model(self.features.scaled(frames)[None])[0]
            self.logits.append(logits)
            for label in logits.argmax(1):
                if label not in (0, self.last):
                    self.text += speech.CHARACTERS[label]
                self.last = label
        return self.text


if __name__ == "__main__":
    main()
