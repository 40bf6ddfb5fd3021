"""Sequences of different lengths as one array."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .._arguments import positive_integer


def pad_sequences(
    sequences: Any,
    maxlen: int | None = None,
    dtype: DTypeLike = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: float | str = 0.0,
) -> NDArray[Any]:
    """Return an array of shape (sequences, maxlen), shorter sequences padded and longer ones cut.

    >>> from lstmcore.utils import pad_sequences
    >>> pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2)
    array([[0, 1],
           [2, 3],
           [5, 6]], dtype=int32)

    Parameters
    ----------
    sequences : a list of sequences of numbers, or of vectors of one shape; the array then has the
        vectors' axes after those two.
    maxlen : the length of all; by default that of the longest.
    dtype : of the array; what does not fit is converted, floats cut to integers. ``object`` holds strings.
    padding, truncating : "pre" pads or cuts at the beginning, "post" at the end.
    value : what to pad with.

    Raises
    ------
    ValueError
        An argument is none of these, or the vectors differ in shape.
    """
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in ("pre", "post"):
            raise ValueError(f"{name}: expected 'pre' or 'post', got {side!r}")
    kind = np.dtype(dtype)
    if isinstance(value, str) and kind.kind not in "OUS":
        raise ValueError(f"value: expected a number for dtype {kind}, got {value!r}; dtype=object holds strings")
    if not hasattr(sequences, "__len__"):
        raise ValueError(f"sequences: expected a list of sequences, got {sequences!r}")
    lengths = [_length(k, sequence) for k, sequence in enumerate(sequences)]
    if maxlen is None:
        if not lengths:
            raise ValueError("sequences: expected at least one, or a maxlen, got none")
        maxlen = max(lengths)
    else:
        maxlen = positive_integer("maxlen", maxlen)

    first = next((s for s, n in zip(sequences, lengths, strict=True) if n), ())
    shape = _vectors(first, kind).shape[1:]
    result: NDArray[Any] = np.full((len(lengths), maxlen, *shape), value, kind)
    for k, (sequence, length) in enumerate(zip(sequences, lengths, strict=True)):
        if not length:
            continue
        kept = _vectors(sequence[-maxlen:] if truncating == "pre" else sequence[:maxlen], kind)
        if kept.shape[1:] != shape:
            raise ValueError(f"sequences: expected vectors of shape {shape}, got {kept.shape[1:]} in number {k}")
        if padding == "pre":
            result[k, maxlen - len(kept) :] = kept
        else:
            result[k, : len(kept)] = kept
    return result


def _vectors(sequence: Any, kind: np.dtype[Any]) -> NDArray[Any]:
    try:
        return np.asarray(sequence, kind)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"sequences: expected what {kind} can hold, got {sequence!r} ({error})") from None


def _length(k: int, sequence: Any) -> int:
    try:
        return len(sequence)
    except TypeError:
        raise ValueError(f"sequences: expected a list of sequences, got {sequence!r} as number {k}") from None
