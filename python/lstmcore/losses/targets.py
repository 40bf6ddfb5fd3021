"""Targets as a loss takes them: dtype, shape and range, with errors that say what was expected."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._arguments import real_array

Array = NDArray[Any]
Shape = tuple[int | None, ...]


def aligned(name: str, value: ArrayLike, shape: Shape) -> Array:
    """Return numbers, with a last axis of one added or taken away where that makes the number of axes fit."""
    array = real_array(name, value)
    if array.ndim == len(shape) - 1 and shape[-1] == 1:
        return array[..., None]
    if array.ndim == len(shape) + 1 and array.shape[-1] == 1:
        return array[..., 0]
    return array


def fits(array: Array, shape: Shape) -> bool:
    """Whether an array has that shape; None is any size."""
    return array.shape == shape or (
        array.ndim == len(shape) and all(m is None or n == m for n, m in zip(array.shape, shape, strict=True))
    )


def matching(name: str, value: ArrayLike, shape: Shape, dtype: np.dtype[Any], hint: str = "") -> Array:
    """Return targets of the outputs' shape and dtype. What NumPy would broadcast is refused: it is a slip."""
    array = aligned(name, value, shape)
    if not fits(array, shape):
        raise ValueError(f"{name}: expected shape {shape}, that of the outputs, got {np.shape(value)}{hint}")
    return array if array.dtype == dtype else array.astype(dtype)


def probabilities(name: str, value: ArrayLike, shape: Shape, dtype: np.dtype[Any], hint: str = "") -> Array:
    """Return targets from 0 to 1 of the outputs' shape and dtype."""
    array = matching(name, value, shape, dtype, hint)
    if array.size:
        low, high = np.minimum.reduce(array, axis=None), np.maximum.reduce(array, axis=None)
        if low < 0 or high > 1:
            raise ValueError(f"{name}: expected numbers from 0 to 1, got {float(low if low < 0 else high):g}")
    return array


def labels(name: str, value: ArrayLike, shape: Shape, ignored: int | None = None) -> Array:
    """Return class labels, for outputs of that shape with the classes along the last axis, as integers.

    ``ignored`` is a label that stands for none and may lie outside the classes.
    """
    array = real_array(name, value, "whole numbers (class labels)").copy()  # another thread may change them meanwhile
    if array.ndim == len(shape) and array.shape[-1] == 1:
        array = array[..., 0]
    if not fits(array, shape[:-1]):
        hint = "; for one-hot targets use categorical_crossentropy" if fits(array, shape) else ""
        raise ValueError(f"{name}: expected class labels of shape {shape[:-1]}, got shape {np.shape(value)}{hint}")
    if array.dtype.kind == "f":
        wrong = np.flatnonzero((array != np.floor(array)) | np.isinf(array))  # NaN too
        if wrong.size:
            raise ValueError(f"{name}: expected whole numbers (class labels), got {array.flat[wrong[0]]!s}")
    # Compared before the conversion, which could wrap large numbers around.
    classes = shape[-1]
    if array.size and classes is not None:
        low, high = np.minimum.reduce(array, axis=None), np.maximum.reduce(array, axis=None)
        if low < 0 or high >= classes:
            wrong = np.flatnonzero(((array < 0) | (array >= classes)) & (array != ignored))
            if wrong.size:
                hint = "; for outputs of one unit use binary_crossentropy" if classes == 1 else ""
                raise ValueError(
                    f"{name}: expected class labels from 0 to {classes - 1} (the outputs have {classes} classes), "
                    f"got {int(array.flat[wrong[0]])}{hint}"
                )
    return array if array.dtype == np.intp else array.astype(np.intp)
