"""Products of bfloat16 and int8: what docs/low_precision.md says of them, in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .activations import Array

Matmul = Callable[[Array, Array], Array]


def bfloat16(x: ArrayLike) -> Array:
    """Round to bfloat16, the upper half of a float32, to nearest even; infinities and NaN stay.

    >>> from lstmcore import reference
    >>> reference.bfloat16([1.0, 1.001, 1.004, 1.006])
    array([1.       , 1.       , 1.0078125, 1.0078125])

    Parameters
    ----------
    x : numbers, which are rounded to float32 first.

    Returns
    -------
    The numbers that bfloat16 has, in the dtype that ``x`` had.
    """
    given = np.asarray(x)
    with np.errstate(over="ignore"):
        numbers = given.astype(np.float32)
    bits = np.atleast_1d(numbers).view(np.uint32)
    # Half of what is lost, and a bit more where what stays is odd: a carry makes the next number of what stays.
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1)).astype(np.uint32)) & np.uint32(0xFFFF0000)
    result = np.where(np.isnan(numbers), numbers, rounded.view(np.float32).reshape(numbers.shape))
    return np.asarray(result.astype(given.dtype if given.dtype.kind == "f" else np.float64))


def int8(x: ArrayLike, axis: int, least: float = 0.0) -> tuple[Array, Array]:
    """Return whole numbers from -127 to 127, and their scale for all along an axis: together nearly ``x``.

    ::

        scale = max(|x|, least) / 127        q = x / scale, to nearest even        in float32

    >>> from lstmcore import reference
    >>> q, scale = reference.int8([[0.5, -2.0, 1.0]], axis=1)
    >>> q
    array([[  32., -127.,   64.]])
    >>> scale.round(4)
    array([[0.0157]], dtype=float32)

    Parameters
    ----------
    x : numbers, which are rounded to float32 first.
    axis : along which there is one scale: 0 for that of each column, 1 for that of each row.
    least : what the largest number is at least taken for.
    """
    numbers = np.asarray(x, np.float32)
    largest = np.maximum(np.abs(numbers).max(axis, keepdims=True, initial=0), np.float32(least))
    with np.errstate(invalid="ignore"):
        scale = largest / np.float32(127) + (largest - largest)  # there is none for infinity
        scale = np.where(scale < np.finfo(np.float32).tiny, np.float32(0), scale)
        q = np.rint(numbers / np.where(scale == 0, np.float32(1), scale))
    return q.astype(np.float64), scale


def of_bfloat16(matmul: Matmul) -> Matmul:
    """Return a product whose operands are rounded to bfloat16."""

    def product(a: Array, b: Array) -> Array:
        return matmul(bfloat16(a), bfloat16(b))

    return product


def _of_int8(least: float) -> Matmul:
    def product(a: Array, b: Array) -> Array:
        if not np.isfinite(b).all():
            raise ValueError("weights: expected finite numbers, for precision 'int8'")
        (q, of_rows), (p, of_columns) = int8(a, 1, least), int8(b, 0)
        return np.asarray(((q @ p) * (of_rows * of_columns)).astype(a.dtype))

    return product


def products(precision: str, options: Any, matmul: Matmul, training: bool) -> tuple[Matmul, Matmul]:
    """Return the product of the inputs and that of h, with which a cell of those options computes.

    h is within -1 and 1 but with relu and linear, and where a state it begins with is not.
    """
    if precision == "float32":
        return matmul, matmul
    if precision == "bfloat16":
        return of_bfloat16(matmul), of_bfloat16(matmul)
    if precision != "int8":
        raise ValueError(f"precision: expected 'float32', 'bfloat16' or 'int8', got {precision!r}")
    if training:
        raise ValueError("precision: 'int8' is for inference, got training=True")
    bounded = getattr(options, "activation", None) not in ("relu", "linear")
    return _of_int8(0.0), _of_int8(1.0 if bounded else 0.0)
