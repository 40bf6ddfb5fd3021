"""Class numbers as one-hot vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._arguments import filled, positive_integer, real_array


def to_categorical(x: ArrayLike, num_classes: int | None = None) -> NDArray[Any]:
    """Return one-hot vectors for class numbers, the classes on a new last axis.

    >>> from lstmcore.utils import to_categorical
    >>> to_categorical([0, 2, 1])
    array([[1., 0., 0.],
           [0., 0., 1.],
           [0., 1., 0.]])

    Parameters
    ----------
    x : whole numbers from 0 on, of any shape; a last axis of length 1 is dropped.
    num_classes : the number of classes; by default the largest number plus one.

    Raises
    ------
    TypeError
        The labels are no numbers.
    ValueError
        A label is negative, no whole number, or no smaller than ``num_classes``.
    """
    given = real_array("x", x, "whole numbers")
    if given.dtype.kind == "f" and not np.array_equal(given, np.trunc(given)):
        raise ValueError(f"x: expected whole numbers, got {given[given != np.trunc(given)].flat[0]}")
    labels = given.astype(np.int64)
    shape = labels.shape[:-1] if labels.ndim > 1 and labels.shape[-1] == 1 else labels.shape
    labels = labels.reshape(-1)
    if num_classes is not None:
        classes = positive_integer("num_classes", num_classes)
    elif labels.size:
        classes = int(labels.max()) + 1
    else:
        raise ValueError("x: expected at least one label, or a num_classes, got none")
    wrong = labels[(labels < 0) | (labels >= classes)]
    if wrong.size:
        known = f"from 0 to {classes - 1} (num_classes={classes})" if num_classes is not None else "from 0 on"
        raise ValueError(f"x: expected labels {known}, got {wrong[0]}")
    result = filled("num_classes", (labels.size, classes), 0, np.float64)
    result[np.arange(labels.size), labels] = 1
    return result.reshape(*shape, classes)
