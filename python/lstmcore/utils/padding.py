"""Sequences of different lengths as one array."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .._arguments import filled, positive_integer, real_array


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
        if not isinstance(side, str) or side not in ("pre", "post"):
            raise ValueError(f"{name}: expected 'pre' or 'post', got {side!r}")
    try:
        kind = np.dtype(dtype)
    except (TypeError, ValueError):
        raise ValueError(f"dtype: expected a data type of NumPy's, got {dtype!r}") from None
    filler = _converted("value", value, kind)
    if filler.ndim:
        raise ValueError(f"value: expected one number, got {value!r}")
    if not hasattr(sequences, "__len__") or not getattr(sequences, "ndim", 1):
        raise ValueError(f"sequences: expected a list of sequences, got {sequences!r}")
    lengths = [_length(k, sequence) for k, sequence in enumerate(sequences)]
    if maxlen is None:
        if not lengths:
            raise ValueError("sequences: expected at least one, or a maxlen, got none")
        maxlen = max(lengths)
    else:
        maxlen = positive_integer("maxlen", maxlen)

    first = next((s for s, n in zip(sequences, lengths, strict=True) if n), ())
    shape = _converted("sequences", first[:1], kind).shape[1:]
    result = filled("maxlen", (len(lengths), maxlen, *shape), filler, kind)
    for k, (sequence, length) in enumerate(zip(sequences, lengths, strict=True)):
        if not length:
            continue
        kept = _converted("sequences", sequence[-maxlen:] if truncating == "pre" else sequence[:maxlen], kind)
        if kept.shape[1:] != shape:
            raise ValueError(f"sequences: expected vectors of shape {shape}, got {kept.shape[1:]} in number {k}")
        if padding == "pre":
            result[k, maxlen - len(kept) :] = kept
        else:
            result[k, : len(kept)] = kept
    return result


def _converted(name: str, value: Any, kind: np.dtype[Any]) -> NDArray[Any]:
    """Return an array of that type, or raise ValueError; integers that it cannot hold are not wrapped around."""
    try:
        # Of Python's own integers NumPy refuses what is too large.
        if kind.kind not in "fiu" or (type(value) is list and set(map(type, value)) == {int}):
            return np.asarray(value, kind)
        array = real_array(name, value)
        if kind.kind in "iu" and array.size and array.dtype != kind:
            low, high, bounds = array.min(), array.max(), np.iinfo(kind)
            if not (bounds.min <= low and high <= bounds.max):  # NaN neither
                raise OverflowError(f"its numbers go from {low} to {high}")
        with np.errstate(over="raise"):
            return array.astype(kind, copy=False)
    except (TypeError, ValueError, OverflowError, FloatingPointError) as error:
        raise ValueError(f"{name}: expected what {kind} can hold, got {value!r} ({error})") from None


def _length(k: int, sequence: Any) -> int:
    if not isinstance(sequence, (str, bytes)) and hasattr(sequence, "__getitem__"):
        with contextlib.suppress(TypeError):
            return len(sequence)
    raise ValueError(f"sequences: expected a list of sequences, got {sequence!r} as number {k}")
