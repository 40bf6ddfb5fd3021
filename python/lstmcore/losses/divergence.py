"""The distance of a predicted distribution from the true one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .elementwise import Elementwise
from .regression import EPSILON

Array = NDArray[Any]


class KLDivergence(Elementwise):
    """Σ y_true log(y_true / y_pred), both put between 1e-7 and 1 (Kullback & Leibler 1951).

    >>> from lstmcore.losses import KLDivergence
    >>> round(KLDivergence()([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]]), 5)
    0.45814
    """

    averages = False

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """y_true log(y_true / y_pred)"""
        y = np.clip(y_true, EPSILON, 1)
        return np.asarray(y * np.log(y / np.clip(y_pred, EPSILON, 1)))

    def slopes(self, y_true: Array, y_pred: Array, scale: float | Array) -> Array:
        """-y_true / y_pred, zero where y_pred was cut"""
        p = np.clip(y_pred, EPSILON, 1)
        return np.asarray(np.clip(y_true, EPSILON, 1) / p * (p == y_pred) * -scale)
