"""WAV files of 16-bit samples."""

from __future__ import annotations

import math
import os
import struct
import wave
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._arguments import as_array, integer, path
from ._scipy import scipy

_PCM, _EXTENSIBLE = 1, 0xFFFE
_FORMATS = {2: "ADPCM", 3: "floating-point numbers", 6: "A-law", 7: "mu-law", 17: "IMA ADPCM", 85: "MP3"}
# What follows the number of the format where that is _EXTENSIBLE (Microsoft's GUID of a format with a number).
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
# A rate outside is an error in the file; within, resampling needs no more than some 60 MB for its filter.
_LOWEST, _HIGHEST = 1_000, 384_000


def read_wav(
    path_or_file: str | os.PathLike[str] | IO[bytes], sample_rate: int | None = None
) -> tuple[NDArray[np.float32], int]:
    """Return the samples of a WAV file, float32 in [-1, 1), and their rate in Hz.

    >>> import io
    >>> from lstmcore.audio import read_wav, write_wav
    >>> file = io.BytesIO()
    >>> write_wav(file, [0.0, 0.5, -1.0], 8000)
    >>> file.seek(0)
    0
    >>> read_wav(file)
    (array([ 0. ,  0.5, -1. ], dtype=float32), 8000)

    The file is RIFF/WAVE with 16-bit PCM samples. Several channels are averaged. What is not sound
    (titles, markers) is skipped.

    Parameters
    ----------
    path_or_file : a path, or a file opened for reading bytes.
    sample_rate : of the samples returned, in Hz: those of another rate are resampled with
        `scipy.signal.resample_poly`, after which some may lie a little beyond 1. By default the file's.

    Raises
    ------
    ValueError
        The file is none of these, is truncated or has no samples; the message names it and says why.
    OSError
        It cannot be opened.
    ImportError
        SciPy is absent and samples have to be resampled.
    """
    if sample_rate is not None:
        sample_rate = rate_of("sample_rate", sample_rate)
    if isinstance(path_or_file, (str, os.PathLike)):
        name = path("path_or_file", path_or_file)
        with open(name, "rb") as file:
            data = file.read()
    elif hasattr(path_or_file, "read"):
        name = str(getattr(path_or_file, "name", "WAV file"))
        data = path_or_file.read()
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"path_or_file: expected a file of bytes, got one of {type(data).__name__}")
    else:
        raise TypeError(f"path_or_file: expected a path or a file, got {path_or_file!r}")
    try:
        samples, rate = _decode(memoryview(data))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if sample_rate is not None and sample_rate != rate:
        common = math.gcd(sample_rate, rate)
        resampled = scipy("signal").resample_poly(samples, sample_rate // common, rate // common)
        samples, rate = np.asarray(resampled, np.float32), sample_rate
    return samples, rate


def write_wav(path_or_file: str | os.PathLike[str] | IO[bytes], samples: ArrayLike, sample_rate: int) -> None:
    """Write a WAV file of one channel with 16-bit PCM samples.

    What `read_wav` returned becomes the same file again.

    Parameters
    ----------
    path_or_file : a path, or a file opened for writing bytes.
    samples : one-dimensional: floats, full scale 1, those beyond cut off; or integers of 16 bits as they are.
    sample_rate : in Hz.

    Raises
    ------
    ValueError, TypeError
        An argument is none of these; nothing has been written then.
    """
    array = samples_of(samples)
    sample_rate = rate_of("sample_rate", sample_rate)
    whole = np.clip(np.rint(array.astype(np.float64) * 32768), -32768, 32767).astype("<i2")
    if hasattr(path_or_file, "write"):
        _write(path_or_file, whole, sample_rate)
    else:
        with open(path("path_or_file", path_or_file), "wb") as file:
            _write(file, whole, sample_rate)


def _write(file: Any, samples: NDArray[np.int16], sample_rate: int) -> None:
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(sample_rate)
        wav.writeframes(samples.tobytes())


def samples_of(samples: ArrayLike) -> NDArray[np.float32]:
    """Return samples as float32 of full scale 1, checked: one-dimensional, finite."""
    array = as_array("samples", samples)
    if array.ndim != 1:
        raise ValueError(f"samples: expected one dimension, got shape {array.shape}")
    if array.dtype == np.int16:
        return array.astype(np.float32) / np.float32(32768)
    if array.dtype.kind != "f":
        raise TypeError(f"samples: expected floats of full scale 1, or int16, got {array.dtype}")
    array = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(array).all():
        raise ValueError("samples: expected finite numbers, got NaN or infinity among them")
    return array


def rate_of(name: str, value: Any) -> int:
    """Return a rate in Hz, checked."""
    rate = integer(name, value)
    if not _LOWEST <= rate <= _HIGHEST:
        raise ValueError(f"{name}: expected {_LOWEST} to {_HIGHEST} Hz, got {rate}")
    return rate


# Files are taken apart here rather than by the standard library's wave, which takes truncated ones without a word and,
# before Python 3.12, none of the extensible format; or by scipy.io.wavfile, which allocates what a header asks for.


def _decode(data: memoryview) -> tuple[NDArray[np.float32], int]:
    if len(data) == 0:
        raise ValueError("expected a WAV file, got an empty one")
    if len(data) < 12 or bytes(data[:4]) != b"RIFF" or bytes(data[8:12]) != b"WAVE":
        raise ValueError(f"expected a WAV file, beginning with RIFF…WAVE, got {bytes(data[:12])!r}")
    header: tuple[int, int] | None = None
    for kind, chunk, missing in _chunks(data):
        if missing and kind in (b"fmt ", b"data"):
            raise ValueError(f"truncated: {missing} of {len(chunk) + missing} bytes of the chunk {kind!r} are missing")
        if kind == b"fmt ":
            header = _header(chunk)
        elif kind == b"data":
            if header is None:
                raise ValueError("expected the chunk b'fmt ' before b'data', got none")
            channels, rate = header
            if len(chunk) % (2 * channels):
                raise ValueError(f"expected whole frames of {2 * channels} bytes, got {len(chunk)} bytes of samples")
            if not len(chunk):
                raise ValueError("expected samples, got none")
            samples = np.frombuffer(chunk, "<i2").reshape(-1, channels)
            # Sums of up to 2^16 channels are exact in float64.
            mean = samples[:, 0].astype(np.float32) if channels == 1 else samples.mean(1, np.float64)
            return np.asarray(mean / 32768, np.float32), rate
    raise ValueError("expected a chunk b'data' with samples, got none; the file may be truncated")


def _chunks(data: memoryview) -> Iterator[tuple[bytes, memoryview, int]]:
    """Give the name of each chunk, what there is of it, and how many bytes are missing."""
    begin = 12
    while begin + 8 <= len(data):
        (size,) = struct.unpack_from("<I", data, begin + 4)
        chunk = data[begin + 8 : begin + 8 + size]
        yield bytes(data[begin : begin + 4]), chunk, size - len(chunk)
        begin += 8 + size + size % 2  # chunks begin at even places


def _header(chunk: memoryview) -> tuple[int, int]:
    """Return the number of channels and the rate."""
    if len(chunk) < 16:
        raise ValueError(f"expected at least 16 bytes of the chunk b'fmt ', got {len(chunk)}")
    kind, channels, rate, _, frame, bits = struct.unpack_from("<HHIIHH", chunk)
    if kind == _EXTENSIBLE:
        if len(chunk) < 40 or chunk[26:40] != _GUID_TAIL:
            raise ValueError("expected PCM samples, got an extensible format without a known number")
        (kind,) = struct.unpack_from("<H", chunk, 24)
    if kind != _PCM:
        raise ValueError(f"expected PCM samples (format 1), got {_FORMATS.get(kind, 'others')} (format {kind})")
    if bits != 16:
        raise ValueError(f"expected 16 bits a sample, got {bits}")
    if channels == 0 or frame != 2 * channels:
        raise ValueError(f"expected a channel or more of 2 bytes each, got {channels} in {frame} bytes")
    return channels, rate_of("sample rate", rate)
