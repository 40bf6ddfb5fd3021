"""Vectors of unit length."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._arguments import integer, number, real_array


def normalize(x: ArrayLike, axis: int = -1, order: float = 2) -> NDArray[Any]:
    """Return the array divided by its norms along an axis; what is zero stays zero.

    >>> from lstmcore.utils import normalize
    >>> normalize([[3.0, 4.0], [0.0, 0.0]])
    array([[0.6, 0.8],
           [0. , 0. ]])

    Parameters
    ----------
    x : an array.
    axis : along which to measure.
    order : 2 for the Euclidean norm, 1 for the sum of magnitudes, ``numpy.inf`` for the largest.
    """
    array = real_array("x", x)
    if array.dtype.kind != "f":
        array = array.astype(np.float64)
    axis, order = integer("axis", axis), number("order", order, "[-inf, inf]")
    if not -array.ndim <= axis < array.ndim:
        raise ValueError(f"axis: expected one of the {array.ndim} of x, got {axis}")
    norm = np.linalg.norm(array, order, axis, keepdims=True)
    return np.asarray(array / np.where(norm == 0, 1, norm))
