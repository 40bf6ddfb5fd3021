"""What the programs on speech share: the recordings, what a model sees of them, batches of them, their picture."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import common
import numpy as np
from scipy.signal import resample_poly

from lstmcore.audio import mel_spectrogram, pad_features
from lstmcore.callbacks import LearningRateScheduler
from lstmcore.utils import PyDataset, pad_sequences

RATE = 8000
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
SPEAKERS = ["george", "jackson", "lucas", "nicolas", "theo", "yweweler"]
CHARACTERS = "_ efghinorstuvwxz"  # the blank of CTC, a space, and what the words are spelled with
STRIDES = 2  # of the models' convolutions: steps of the outputs are 20 ms


class Recordings(NamedTuple):
    """Spoken digits: samples of full scale 1, the digit, the number of the speaker, whether it is a test."""

    samples: list[np.ndarray]
    digits: np.ndarray
    speakers: np.ndarray
    is_test: np.ndarray

    def chosen(self, which: np.ndarray) -> Recordings:
        """Return those where ``which`` is True."""
        samples = [s for s, w in zip(self.samples, which, strict=True) if w]
        return Recordings(samples, self.digits[which], self.speakers[which], self.is_test[which])


def load(folder: str | None, held_out: str | None = None) -> tuple[Recordings, Recordings]:
    """Return those to train on and those to test: numbers 0 to 4 of each, or all of a speaker held out."""
    with np.load(common.data_file("fsdd_int16_8k.npz", folder)) as file:
        audio, offsets, speakers = file["audio"], file["offsets"], file["speaker"]
        assert file["speakers"].tolist() == SPEAKERS
        is_test = file["index"] < 5 if held_out is None else speakers == SPEAKERS.index(held_out)
        samples = np.split(audio.astype("float32") / 32768, offsets[1:-1])
        whole = Recordings(samples, file["digit"].astype("int64"), speakers, is_test)
    return whole.chosen(~is_test), whole.chosen(is_test)


def add_held_out(parser: argparse.ArgumentParser) -> None:
    """Add the option of speakers that the model doesn't hear before it is tested."""
    parser.add_argument(
        "--held-out", choices=[*SPEAKERS, "each"], help="test on a speaker not trained on, or on each in turn"
    )


def splits(held_out: str | None) -> list[str | None]:
    """Return what to hold out, one after the other."""
    return list(SPEAKERS) if held_out == "each" else [held_out]


class Features:
    """Log mel spectrograms, the mean over a recording taken away, divided by the deviation over all.

    What is fainter than a recording's loudest by more than ``depth`` (natural logarithms of power) is noise of the room
    and cut off. With ``causal`` nothing is, and the mean is that of all recordings: nothing of a recording has to be
    known beforehand.
    """

    def __init__(self, samples: Sequence[np.ndarray], depth: float = np.inf, causal: bool = False) -> None:
        self.depth, self.causal = np.float32(depth), causal
        self.mean, self.deviation = np.float32(0), np.float32(1)
        frames = np.concatenate([self(s) for s in samples])
        if causal:
            self.mean = frames.mean(0)
        self.deviation = frames.std(0)

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Return the features, (frames, bands), of a recording."""
        return self.scaled(mel_spectrogram(samples, RATE))

    def scaled(self, spectrogram: np.ndarray) -> np.ndarray:
        """Return the features of a spectrogram."""
        if self.causal:
            return (spectrogram - self.mean) / self.deviation
        spectrogram = np.maximum(spectrogram, spectrogram.max() - self.depth)
        return (spectrogram - spectrogram.mean(0)) / self.deviation


def at_other_speeds(recordings: Recordings) -> Recordings:
    """Return recordings with copies that are a tenth slower, and a tenth faster: other voices."""
    speeds = [9, 10, 11]
    samples = [resample_poly(s, 10, speed).astype("float32") for speed in speeds for s in recordings.samples]
    others = [np.tile(array, len(speeds)) for array in recordings[1:]]
    return Recordings(samples, *others)


class Batches(PyDataset):
    """Batches of features of about one length, with what is said; other batches, in another order, in every epoch."""

    def __init__(
        self, features: Sequence[np.ndarray], targets: Sequence[Any], size: int, rng: np.random.Generator
    ) -> None:
        super().__init__()
        self.features, self.targets, self.size, self.rng = features, targets, size, rng
        self.on_epoch_begin()

    def on_epoch_begin(self) -> None:
        """Draw the batches of an epoch."""
        lengths = np.array([len(f) for f in self.features])
        # Lengths are not compared exactly, so that neighbours are not the same in every epoch.
        order = np.argsort(lengths * self.rng.uniform(0.8, 1.2, len(lengths)))
        rows = [order[k : k + self.size] for k in range(0, len(order), self.size)]
        self.rows = [rows[k] for k in self.rng.permutation(len(rows))]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self.rows[index]
        x, _ = pad_features([self.features[k] for k in rows], multiple=STRIDES)
        targets = [self.targets[k] for k in rows]
        return x, np.array(targets) if np.ndim(targets[0]) == 0 else pad_sequences(targets, padding="post")


def falling(rate: float, epochs: int) -> LearningRateScheduler:
    """Return a callback that lets the learning rate fall along a line, to a hundredth."""
    return LearningRateScheduler(lambda epoch: rate * (1 - 0.99 * epoch / epochs))


def predict(model: Any, features: Sequence[np.ndarray], size: int = 32) -> Iterator[np.ndarray]:
    """Give the outputs of the model for each of the features; if it has any for every step, those that count."""
    for begin in range(0, len(features), size):
        x, lengths = pad_features(features[begin : begin + size], multiple=STRIDES)
        for outputs, frames in zip(model(x), lengths, strict=True):
            yield outputs if outputs.ndim == 1 else outputs[: -(-frames // STRIDES)]


def join(recordings: Recordings, count: int, rng: np.random.Generator) -> tuple[list[np.ndarray], list[str]]:
    """Return so many sequences of two to five digits of one speaker, with pauses, and what is said in them."""
    sequences, texts = [], []
    for _ in range(count):
        own = np.flatnonzero(recordings.speakers == rng.choice(recordings.speakers))
        chosen = rng.choice(own, rng.integers(2, 6))
        pieces = [pause(rng)]
        for k in chosen:
            pieces += [recordings.samples[k], pause(rng)]
        whole = np.concatenate(pieces)
        # The noise of a quiet room, so that a pause is not of zeros.
        sequences.append(whole + rng.normal(0, 10 ** rng.uniform(-4, -3), len(whole)).astype("float32"))
        texts.append(" ".join(WORDS[recordings.digits[k]] for k in chosen))
    return sequences, texts


def pause(rng: np.random.Generator) -> np.ndarray:
    """Return 0.05 to 0.3 seconds of silence."""
    return np.zeros(int(rng.uniform(0.05, 0.3) * RATE), "float32")


def spell(text: str) -> list[int]:
    """Return the classes of the characters."""
    return [CHARACTERS.index(c) for c in text]


def read(labels: Sequence[int]) -> str:
    """Return the characters of classes."""
    return "".join(CHARACTERS[k] for k in labels)


def draw(
    path: str,
    title: str,
    spectrogram: np.ndarray,
    posteriors: np.ndarray,
    names: Sequence[str],
    step_seconds: float,
    text: str,
) -> None:
    """Save a picture of a spectrogram, of the posteriors (steps, classes) below it, and of the text read from them."""
    figure, (above, below) = common.canvas(title, xlabel="seconds", panels=2, sharex=True)
    seconds = len(spectrogram) * 0.01
    above.imshow(
        spectrogram.T, origin="lower", aspect="auto", cmap="Greys", extent=(0, seconds, 0, spectrogram.shape[1])
    )
    above.set_ylabel("mel band")
    above.grid(False)
    end = len(posteriors) * step_seconds
    below.imshow(
        posteriors.T, origin="upper", aspect="auto", cmap="Blues", vmin=0, vmax=1, extent=(0, end, len(names), 0)
    )
    below.set_yticks(np.arange(len(names)) + 0.5, names, fontsize=7)
    below.set_ylabel("posterior")
    below.grid(False)
    below.set_xlim(0, seconds)
    above.text(1, 1.04, f"read: {text}", transform=above.transAxes, ha="right", color=common.ORANGE, fontsize=12)
    common.save(figure, path)
