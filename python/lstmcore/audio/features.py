"""What recognisers look at: the power in bands of the mel scale, and cepstra of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from .._arguments import as_array, flag, float_array, items, number, positive_integer
from ._scipy import scipy
from .wav import rate_of, samples_of

Array = NDArray[np.float32]

# Frames transformed at a time: their windows, 25 ms of 16 kHz each, then take 1.6 MB.
_CHUNK = 1024


class _Frames:
    """Frames of samples and their bands; what `mel_spectrogram` and `MelStream` share."""

    def __init__(
        self,
        sample_rate: int,
        window_seconds: float,
        step_seconds: float,
        bands: int,
        low: float,
        high: float | None,
        log: bool,
        pre_emphasis: float,
        floor: float,
    ) -> None:
        rate = rate_of("sample_rate", sample_rate)
        self.window = round(number("window_seconds", window_seconds, "(0, 10]") * rate)
        self.step = round(number("step_seconds", step_seconds, "(0, 10]") * rate)
        for name, samples in (("window_seconds", self.window), ("step_seconds", self.step)):
            if samples < 1:
                raise ValueError(f"{name}: expected a sample or more at {rate} Hz, got {samples}")
        self.log = flag("log", log)
        self.pre_emphasis = np.float32(number("pre_emphasis", pre_emphasis, "[0, 1]"))
        self.floor = np.float32(number("floor", floor, "(0, 1]"))
        self.size = 1 << (self.window - 1).bit_length()
        self.filters = mel_filters(rate, self.size, bands, low, high)
        self.bands = self.filters.shape[1]
        self.fft = scipy("fft")
        hann = 0.5 - 0.5 * np.cos(2 * np.pi / self.window * np.arange(self.window))
        self.hann = np.asarray(hann / hann.sum(), np.float32)

    def emphasised(self, samples: Array, before: np.float32) -> Array:
        """Return x[t] - pre_emphasis x[t-1], ``before`` being the sample before the first."""
        if self.pre_emphasis == 0:
            return samples
        earlier = np.concatenate([[before], samples[:-1]]).astype(np.float32)
        return np.asarray(samples - self.pre_emphasis * earlier)

    def count(self, samples: int) -> int:
        """Return how many windows lie within so many samples."""
        return max(0, (samples - self.window) // self.step + 1)

    def __call__(self, samples: Array) -> Array:
        """Return the bands of every window that lies within the samples."""
        count = self.count(len(samples))
        outputs = np.empty((count, self.bands), np.float32)
        if not count:
            return outputs
        windows = np.lib.stride_tricks.sliding_window_view(samples, self.window)[:: self.step]
        for begin in range(0, count, _CHUNK):
            spectrum = self.fft.rfft(windows[begin : begin + _CHUNK] * self.hann, self.size)
            power = np.square(spectrum.real) + np.square(spectrum.imag)
            # The core's product gives a row the same bits whichever rows are beside it: a stream depends on that.
            _core.matmul(power, self.filters, None, outputs[begin : begin + _CHUNK])
        if self.log:
            np.log(np.maximum(outputs, self.floor, out=outputs), out=outputs)
        return outputs


def mel_spectrogram(
    samples: ArrayLike,
    sample_rate: int,
    window_seconds: float = 0.025,
    step_seconds: float = 0.01,
    bands: int = 40,
    low: float = 20.0,
    high: float | None = None,
    log: bool = True,
    pre_emphasis: float = 0.97,
    floor: float = 1e-10,
) -> Array:
    """Return the power of a recording in bands of the mel scale over time, (frames, bands) of float32.

    >>> import numpy as np
    >>> from lstmcore.audio import mel_filters, mel_spectrogram
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000)  # a second of 1000 Hz
    >>> spectrogram = mel_spectrogram(tone, sample_rate=8000)
    >>> spectrogram.shape
    (98, 40)
    >>> int(spectrogram.mean(0).argmax())  # the band that 1000 Hz lies in
    18

    Frame t is of the samples from ``t * step_seconds`` on, ``window_seconds`` long, under Hann's window,
    filled up with zeros to a power of two. There are ``1 + (samples - window) // step`` of them: only whole
    windows count, except that of a recording shorter than one, which is filled up. A band is the sum of
    |DFT|^2 under a triangle of height one, between points evenly spaced in mel = 2595 log10(1 + Hz / 700).
    The window sums to one, so that a sine of amplitude a has the power a^2 / 4 at its own frequency,
    whatever window and rate are.

    Parameters
    ----------
    samples : one-dimensional, full scale 1 (or int16).
    sample_rate : in Hz.
    window_seconds, step_seconds : length of a window, and from one to the next; rounded to samples.
    bands : how many.
    low, high : where the first begins and the last ends, in Hz; ``high`` is half the rate by default.
    log : whether to return natural logarithms.
    pre_emphasis : 0 for none; otherwise x[t] - pre_emphasis x[t-1] stands for x[t], which lifts the weak
        high frequencies of speech.
    floor : the least power a logarithm is taken of.

    Raises
    ------
    ValueError, TypeError
        An argument is not of its kind, or a band is narrower than the transform can tell; the message
        names the argument.
    ImportError
        SciPy is absent.

    References
    ----------
    Young et al., The HTK Book (3.4), section 5.4: the mel scale, pre-emphasis. O'Shaughnessy, Speech
    Communication, 1987: the scale's formula.
    """
    frames = _Frames(sample_rate, window_seconds, step_seconds, bands, low, high, log, pre_emphasis, floor)
    array = samples_of(samples)
    if not len(array):
        raise ValueError("samples: expected one or more, got none")
    array = frames.emphasised(array, array[0])
    if len(array) < frames.window:
        array = np.pad(array, (0, frames.window - len(array)))
    return frames(array)


def mfcc(samples: ArrayLike, sample_rate: int, coefficients: int = 13, **options: Any) -> Array:
    """Return mel frequency cepstral coefficients over time, (frames, coefficients) of float32.

    >>> import numpy as np
    >>> from lstmcore.audio import mfcc
    >>> mfcc(np.zeros(8000), sample_rate=8000).shape
    (98, 13)

    They are the first of the orthonormal discrete cosine transform (II) of a log mel spectrogram:
    c[k] = s sqrt(2 / bands) sum over b of log_mel[b] cos(pi k (b + 1/2) / bands), s = sqrt(1/2) for k = 0
    and 1 for the others. Number 0 is the loudness; there is no lifter.

    Parameters
    ----------
    samples, sample_rate : as of `mel_spectrogram`.
    coefficients : how many, up to the number of bands.
    **options : the other arguments of `mel_spectrogram` but ``log``.

    Raises
    ------
    ValueError, TypeError, ImportError
        As `mel_spectrogram` does.

    References
    ----------
    Davis and Mermelstein, Comparison of parametric representations for monosyllabic word recognition in
    continuously spoken sentences, IEEE Transactions on Acoustics, Speech and Signal Processing 28, 1980.
    """
    coefficients = positive_integer("coefficients", coefficients)
    if "log" in options:
        raise TypeError("log: cepstra are of logarithms; expected no such argument")
    spectrogram = mel_spectrogram(samples, sample_rate, **options)
    if coefficients > spectrogram.shape[1]:
        raise ValueError(f"coefficients: expected at most the {spectrogram.shape[1]} bands, got {coefficients}")
    cepstra = scipy("fft").dct(spectrogram, type=2, norm="ortho", axis=1)
    return np.ascontiguousarray(cepstra[:, :coefficients], np.float32)


def mel_filters(sample_rate: int, size: int, bands: int = 40, low: float = 20.0, high: float | None = None) -> Array:
    """Return the weight of every frequency in every band, (size // 2 + 1, bands) of float32.

    Row k is the frequency ``k * sample_rate / size`` Hz. Band b is a triangle of height one, from the
    middle of band b - 1 to that of band b + 1; see `mel_spectrogram`.

    Parameters
    ----------
    sample_rate : in Hz.
    size : samples of the transform.
    bands, low, high : as of `mel_spectrogram`.

    Raises
    ------
    ValueError, TypeError
        An argument is not of its kind, or a band has no frequency in it.
    """
    rate, size = positive_integer("sample_rate", sample_rate), positive_integer("size", size)
    bands = positive_integer("bands", bands)
    if bands > size:
        raise ValueError(f"bands: expected at most the {size} samples of the transform, got {bands}")
    low = number("low", low, f"[0, {rate / 2})")
    high = rate / 2 if high is None else number("high", high, f"({low}, {rate / 2}]")
    edges = _hertz(np.linspace(_mel(low), _mel(high), bands + 2))
    frequencies = np.arange(size // 2 + 1)[:, None] * (rate / size)
    rising = (frequencies - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies) / (edges[2:] - edges[1:-1])
    filters: Array = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    empty = np.flatnonzero(~filters.any(0))
    if len(empty):
        raise ValueError(
            f"bands: expected each to have a frequency of the transform in it, {rate / size:.1f} Hz apart, but number "
            f"{empty[0]} of {bands} from {low:g} to {high:g} Hz has none; use fewer bands or a longer window"
        )
    return filters


def _mel(hertz: Any) -> Any:
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


def _hertz(mel: Any) -> Any:
    return 700 * (10 ** (mel / 2595) - 1)


class MelStream:
    """`mel_spectrogram` of a recording that comes in pieces of any length.

    >>> import numpy as np
    >>> from lstmcore.audio import MelStream, mel_spectrogram
    >>> samples = np.random.default_rng(0).uniform(-1, 1, 4000)
    >>> stream = MelStream(8000)
    >>> pieces = [stream(piece) for piece in np.array_split(samples, 9)]
    >>> bool((np.concatenate(pieces) == mel_spectrogram(samples, 8000)).all())
    True

    A call returns the frames whose last sample has come, (frames, bands), none or more. Bit for bit they
    are those of the whole recording.

    Parameters
    ----------
    sample_rate, window_seconds, step_seconds, bands, low, high, log, pre_emphasis, floor : as of
        `mel_spectrogram`.
    """

    def __init__(
        self,
        sample_rate: int,
        window_seconds: float = 0.025,
        step_seconds: float = 0.01,
        bands: int = 40,
        low: float = 20.0,
        high: float | None = None,
        log: bool = True,
        pre_emphasis: float = 0.97,
        floor: float = 1e-10,
    ) -> None:
        self._frames = _Frames(sample_rate, window_seconds, step_seconds, bands, low, high, log, pre_emphasis, floor)
        self._waiting = np.empty(0, np.float32)  # samples that are part of windows to come
        self._last: np.float32 | None = None  # sample
        self._skip = 0  # samples before the next window

    def __call__(self, samples: ArrayLike) -> Array:
        """Return the frames that these samples complete."""
        array, frames = samples_of(samples), self._frames
        if len(array):
            last = array[0] if self._last is None else self._last
            self._last = array[-1]
            self._waiting = np.concatenate([self._waiting, frames.emphasised(array, last)])
        skipped = min(self._skip, len(self._waiting))  # steps may be longer than windows
        self._skip -= skipped
        self._waiting = self._waiting[skipped:]
        outputs = frames(self._waiting)
        seen = len(outputs) * frames.step
        self._skip += max(0, seen - len(self._waiting))
        self._waiting = self._waiting[seen:]
        return outputs

    @property
    def state(self) -> list[Array]:
        """All that it remembers, as copies: samples of windows to come, the sample before, how many are to be left out.

        Set, on a stream with the same arguments, it goes on from there.
        """
        last = np.array([] if self._last is None else [self._last], np.float32)
        return [self._waiting.copy(), last, np.array([self._skip])]

    @state.setter
    def state(self, values: Sequence[ArrayLike]) -> None:
        given = items("state", values, "a list of arrays")
        if len(given) != 3:
            raise ValueError(f"state: expected 3 arrays, got {len(given)}")
        waiting, last = (float_array(f"state[{k}]", given[k], np.dtype(np.float32)) for k in (0, 1))
        skip = as_array("state[2]", given[2])
        for k, (array, fits) in enumerate(((waiting, True), (last, last.size <= 1), (skip, skip.size == 1))):
            if array.ndim != 1 or not fits:
                expected = ("samples", "one sample, or none,", "one number")[k]
                raise ValueError(f"state[{k}]: expected {expected} in an array of one axis, got shape {array.shape}")
        if skip.dtype.kind not in "iu" or skip[0] < 0:
            raise ValueError(f"state[2]: expected an integer from 0 on, got {skip[0]}")
        self._waiting, self._last = waiting.copy(), np.float32(last[0]) if last.size else None
        self._skip = int(skip[0])

    def reset(self) -> None:
        """Forget what came before: begin a new recording."""
        self._waiting, self._last, self._skip = np.empty(0, np.float32), None, 0


def pad_features(
    features: Sequence[ArrayLike], value: float = 0.0, multiple: int = 1
) -> tuple[Array, NDArray[np.int64]]:
    """Return features of several recordings as one array (recordings, frames, bands), and the length of each.

    >>> import numpy as np
    >>> from lstmcore.audio import pad_features
    >>> batch, lengths = pad_features([np.ones((3, 40)), np.ones((5, 40))], multiple=2)
    >>> batch.shape, lengths.tolist()
    ((2, 6, 40), [3, 5])
    >>> mask = np.arange(batch.shape[1]) < lengths[:, None]  # True where a frame counts

    Padding is behind. A `layers.Masking` with the same value finds the mask, so choose one that no whole
    frame consists of.

    Parameters
    ----------
    features : arrays (frames, bands), each with a frame or more.
    value : what to pad with.
    multiple : the number of frames becomes a multiple of it: the product of a model's strides, so that
        convolutions lie the same in every batch.

    Raises
    ------
    ValueError, TypeError
        There are none, or they are not of one number of bands.
    """
    given = items("features", features, "a list of arrays")
    arrays = [float_array(f"features[{k}]", f, np.dtype(np.float32)) for k, f in enumerate(given)]
    value, multiple = number("value", value), positive_integer("multiple", multiple)
    if not arrays:
        raise ValueError("features: expected one or more, got none")
    for k, array in enumerate(arrays):
        if array.ndim != 2 or not len(array) or array.shape[1:] != arrays[0].shape[1:]:
            bands = arrays[0].shape[1] if arrays[0].ndim == 2 else "bands"
            raise ValueError(f"features[{k}]: expected shape (frames, {bands}), got {array.shape}")
    lengths = np.array([len(array) for array in arrays])
    frames = -(-int(lengths.max()) // multiple) * multiple
    batch = np.full((len(arrays), frames, arrays[0].shape[1]), value, np.float32)
    for own, array in zip(batch, arrays, strict=True):
        own[: len(array)] = array
    return batch, lengths
