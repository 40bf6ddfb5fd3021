"""Losses of margins: nothing to pay beyond a distance of one on the right side."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .elementwise import Elementwise

Array = NDArray[Any]


class Hinge(Elementwise):
    """max(1 - y_true y_pred, 0), labels -1 and 1; 0 and 1 are taken for them.

    >>> from lstmcore.losses import Hinge
    >>> Hinge()([[0, 1]], [[-0.5, 3.0]])
    0.25
    """

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """max(1 - y_true y_pred, 0)"""
        return np.asarray(np.maximum(1 - _signs(y_true) * y_pred, 0))

    def slopes(self, y_true: Array, y_pred: Array, scale: float | Array) -> Array:
        """-y_true where y_true y_pred < 1"""
        y = _signs(y_true)
        return np.asarray(-y * (y * y_pred < 1) * scale)


class SquaredHinge(Hinge):
    """max(1 - y_true y_pred, 0)², labels -1 and 1; 0 and 1 are taken for them.

    >>> from lstmcore.losses import SquaredHinge
    >>> SquaredHinge()([[0, 1]], [[-0.5, 3.0]])
    0.125
    """

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """m², m = max(1 - y_true y_pred, 0)"""
        return np.asarray(super().terms(y_true, y_pred) ** 2)

    def slopes(self, y_true: Array, y_pred: Array, scale: float | Array) -> Array:
        """-2 m y_true"""
        return np.asarray(super().terms(y_true, y_pred) * _signs(y_true) * (-2 * scale))


class CategoricalHinge(Elementwise):
    """max(1 + the largest output of a wrong class - the output of the right one, 0), labels one-hot.

    >>> from lstmcore.losses import CategoricalHinge
    >>> CategoricalHinge()([[0, 1, 0]], [[0.5, 1.0, -1.0]])
    0.5
    """

    averages = False

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """max(1 + max((1 - y) p) - Σ y p, 0)"""
        wrong = np.maximum.reduce((1 - y_true) * y_pred, axis=-1, keepdims=True)
        right = np.add.reduce(y_true * y_pred, axis=-1, keepdims=True)
        return np.asarray(np.maximum(1 + wrong - right, 0))

    def slopes(self, y_true: Array, y_pred: Array, scale: float | Array) -> Array:
        """(1 - y) at the largest - y, where there is something to pay"""
        others = (1 - y_true) * y_pred
        largest = np.arange(y_pred.shape[-1]) == np.argmax(others, axis=-1)[..., None]
        slopes = ((1 - y_true) * largest - y_true) * (self.terms(y_true, y_pred) > 0)
        return np.asarray(slopes * scale)


def _signs(y: Array) -> Array:
    """Return labels 0 and 1 as -1 and 1, and those that are neither as they are."""
    return 2 * y - 1 if ((y == 0) | (y == 1)).all() else y
