"""Losses of the error e = y_pred - y_true."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .._arguments import integer, items, number
from .elementwise import Elementwise
from .targets import Shape, aligned, matching

Array = NDArray[Any]

EPSILON = 1e-7  # Keras's


class MeanSquaredError(Elementwise):
    """e²

    >>> from lstmcore.losses import MeanSquaredError
    >>> MeanSquaredError()([[0.0, 1.0]], [[1.0, 3.0]])
    2.5
    """

    by_targets = "symmetric"

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """e²"""
        error = y_pred - y_true
        return np.asarray(error * error)

    def slopes(self, y_true: Array, y_pred: Array, scale: float | Array) -> Array:
        """2 e"""
        return np.asarray((y_pred - y_true) * (2 * scale))


class MeanAbsoluteError(Elementwise):
    """|e|

    >>> from lstmcore.losses import MeanAbsoluteError
    >>> MeanAbsoluteError()([[0.0, 1.0]], [[1.0, 3.0]], sample_weight=[0.5])
    0.75
    """

    by_targets = "symmetric"

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """|e|"""
        return np.asarray(np.abs(y_pred - y_true))

    def slopes(self, y_true: Array, y_pred: Array, scale: float | Array) -> Array:
        """sign(e), zero at zero"""
        return np.asarray(np.sign(y_pred - y_true) * scale)


class MeanAbsolutePercentageError(Elementwise):
    """100 |e| / max(|y_true|, 1e-7)

    >>> from lstmcore.losses import MeanAbsolutePercentageError
    >>> MeanAbsolutePercentageError()([[2.0, 4.0]], [[1.0, 5.0]])
    37.5
    """

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """100 |e| / max(|y_true|, 1e-7)"""
        return np.asarray(100 * np.abs(y_pred - y_true) / np.maximum(np.abs(y_true), EPSILON))

    def slopes(self, y_true: Array, y_pred: Array, scale: float | Array) -> Array:
        """100 sign(e) / max(|y_true|, 1e-7)"""
        return np.asarray(np.sign(y_pred - y_true) / np.maximum(np.abs(y_true), EPSILON) * (100 * scale))


class MeanSquaredLogarithmicError(Elementwise):
    """(log(1 + y_pred) - log(1 + y_true))², both at least 1e-7

    >>> from lstmcore.losses import MeanSquaredLogarithmicError
    >>> round(MeanSquaredLogarithmicError()([[0.0, 1.0]], [[1.0, 1.0]]), 6)
    0.240226
    """

    by_targets = "symmetric"

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """d², d = log(1 + max(y_pred, 1e-7)) - log(1 + max(y_true, 1e-7))"""
        return np.asarray(self._difference(y_true, y_pred) ** 2)

    def slopes(self, y_true: Array, y_pred: Array, scale: float | Array) -> Array:
        """2 d / (1 + y_pred), zero where y_pred < 1e-7"""
        slopes = self._difference(y_true, y_pred) / (np.maximum(y_pred, EPSILON) + 1) * (2 * scale)
        return np.where(y_pred >= EPSILON, slopes, 0)

    def _difference(self, y_true: Array, y_pred: Array) -> Array:
        return np.asarray(np.log(np.maximum(y_pred, EPSILON) + 1) - np.log(np.maximum(y_true, EPSILON) + 1))


class Huber(Elementwise):
    """e²/2 near zero, delta |e| - delta²/2 where |e| > delta (Huber 1964).

    >>> from lstmcore.losses import Huber
    >>> Huber(delta=1.0)([[0.0, 1.0]], [[0.5, 4.0]])
    1.3125

    Parameters
    ----------
    delta : where the parabola becomes a line, at least 0.
    """

    by_targets = "symmetric"

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.delta = number("Huber: delta", delta, "[0, inf)")

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """c (|e| - c/2), c = min(|e|, delta)"""
        error = np.abs(y_pred - y_true)
        near = np.minimum(error, self.delta)
        return np.asarray(near * (error - near / 2))

    def slopes(self, y_true: Array, y_pred: Array, scale: float | Array) -> Array:
        """e, cut at ±delta"""
        return np.asarray(np.clip(y_pred - y_true, -self.delta, self.delta) * scale)


class LogCosh(Elementwise):
    """log(cosh(e)): e²/2 near zero, |e| - log 2 far away.

    >>> from lstmcore.losses import LogCosh
    >>> round(LogCosh()([[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [0.0, 0.0]]), 6)
    0.108445
    """

    by_targets = "symmetric"

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """|e| + log(1 + exp(-2 |e|)) - log 2"""
        error = np.abs(y_pred - y_true)
        return np.asarray(error + np.log1p(np.exp(-2 * error)) - math.log(2))

    def slopes(self, y_true: Array, y_pred: Array, scale: float | Array) -> Array:
        """tanh(e)"""
        return np.asarray(np.tanh(y_pred - y_true) * scale)


class Quantile(Elementwise):
    """max(q u, (q - 1) u) with u = y_true - y_pred: the pinball loss of quantile regression, not in Keras.

    The output that makes it least is the q-quantile of the targets (Koenker & Bassett 1978).

    >>> from lstmcore.losses import Quantile
    >>> Quantile(0.9)([[10.0]], [[8.0]])  # too low costs 9 times as much as too high
    1.8
    >>> Quantile([0.1, 0.5, 0.9])([10.0], [[8.0, 10.0, 13.0]], sample_weight=[3.0])
    0.5

    Parameters
    ----------
    q : strictly between 0 and 1; or a list, one quantile for each output along the last axis. Targets may then be of
        the outputs' shape, or have one number for all quantiles: (batch,) or (batch, 1) for outputs
        (batch, quantiles).
    """

    def __init__(
        self,
        q: float | Sequence[float] = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.q: float | list[float]
        if isinstance(q, (list, tuple)) or np.ndim(q) == 1:
            self.q = [self._level(v) for v in items("Quantile: q", q, "a list of numbers")]
        else:
            self.q = self._level(q)

    @staticmethod
    def _level(q: Any) -> float:
        q = number("Quantile: q", q, "[0, 1]")
        if q in (0, 1):
            raise ValueError(f"Quantile: q: expected a number between 0 and 1, got {q!r}")
        return float(q)

    def targets(self, y: ArrayLike, y_pred_shape: Shape, dtype: DTypeLike, name: str = "y") -> Array:
        """Return targets as the loss takes them, for outputs of that shape and dtype; errors begin with ``name``."""
        if not isinstance(self.q, list):
            return super().targets(y, y_pred_shape, dtype, name)
        if y_pred_shape[-1] != len(self.q):
            raise ValueError(f"y_pred: expected {len(self.q)} outputs, one for each of q, got shape {y_pred_shape}")
        one = aligned(name, y, (*y_pred_shape[:-1], 1))
        if one.ndim == len(y_pred_shape) and one.shape[-1] == 1:
            return matching(name, one, (*y_pred_shape[:-1], 1), np.dtype(dtype))
        return super().targets(y, y_pred_shape, dtype, name)

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """max(q u, (q - 1) u), u = y_true - y_pred"""
        u = y_true - y_pred
        q = np.asarray(self.q, y_pred.dtype)
        return np.asarray(np.maximum(q * u, (q - 1) * u))

    def slopes(self, y_true: Array, y_pred: Array, scale: float | Array) -> Array:
        """-q where u > 0, 1 - q where u < 0, zero at zero"""
        u = y_true - y_pred
        q = np.asarray(self.q, y_pred.dtype)
        return np.asarray(((u < 0) * (1 - q) - (u > 0) * q) * scale)


Pinball = Quantile


class Poisson(Elementwise):
    """y_pred - y_true log(y_pred + 1e-7): counts y_true whose expectation is y_pred.

    >>> from lstmcore.losses import Poisson
    >>> round(Poisson()([[0.0, 1.0]], [[1.0, 2.0]]), 6)
    1.153426
    """

    by_targets = "linear"

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """y_pred - y_true log(y_pred + 1e-7)"""
        return np.asarray(y_pred - y_true * np.log(y_pred + EPSILON))

    def slopes(self, y_true: Array, y_pred: Array, scale: float | Array) -> Array:
        """1 - y_true / (y_pred + 1e-7)"""
        return np.asarray((1 - y_true / (y_pred + EPSILON)) * scale)


class CosineSimilarity(Elementwise):
    """Minus the cosine of the angle between y_true and y_pred: -1 for the same direction, 0 if one is zero.

    >>> from lstmcore.losses import CosineSimilarity
    >>> CosineSimilarity()([[0.0, 1.0]], [[0.0, 5.0]])
    -1.0

    Parameters
    ----------
    axis : of the vectors.
    """

    by_targets = "symmetric"

    averages = False

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.axis = integer("CosineSimilarity: axis", axis)

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """-u_true u_pred, u = y / max(|y|, 1e-7)"""
        return np.asarray(-(y_true / _length(y_true)) * (y_pred / _length(y_pred)))

    def slopes(self, y_true: Array, y_pred: Array, scale: float | Array) -> Array:
        """(c u_pred - u_true) / max(|y_pred|, 1e-7), c the cosine, or 0 where |y_pred| < 1e-7"""
        length = _length(y_pred)
        u_true, u_pred = y_true / _length(y_true), y_pred / length
        cosine = np.add.reduce(u_true * u_pred, axis=-1, keepdims=True)
        return np.asarray((np.where(length > EPSILON, cosine, 0) * u_pred - u_true) / length * scale)


def _length(y: Array) -> Array:
    # Divided by the largest first, so that no square overflows or vanishes.
    largest = np.maximum(np.maximum.reduce(np.abs(y), axis=-1, keepdims=True), EPSILON)
    length = largest * np.sqrt(np.add.reduce((y / largest) ** 2, axis=-1, keepdims=True))
    return np.asarray(np.maximum(length, EPSILON))
