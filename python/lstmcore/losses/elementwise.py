"""Losses that are a sum or a mean of terms along one axis: all of ours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .loss import Loss
from .targets import Shape, matching
from .weights import total, without_masked

Array = NDArray[Any]


class Elementwise(Loss):
    """Base of losses made of terms, whose derivatives stand beneath them.

    A subclass defines `terms` and `slopes`. A sample's loss is the mean of the terms along the last axis, or their sum
    where it says ``averages = False``. Losses that have an ``axis`` meet it as the last one.
    """

    averages = True
    axis = -1

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = None, dtype: DTypeLike | None = None
    ) -> None:
        super().__init__(name, reduction, dtype)  # the order is Keras's, of both

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """Return the terms, in a new array."""
        raise NotImplementedError

    def slopes(self, y_true: Array, y_pred: Array, scale: float | Array) -> Array:
        """Return the derivatives of the terms' sum by the outputs, times ``scale``, in a new array."""
        raise NotImplementedError

    def terms_of_logits(self, y_true: Array, y_pred: Array, logits: Array) -> Array:
        """Return the terms where the outputs are the activation that the loss `fuses`, of these logits."""
        raise NotImplementedError

    def slopes_of_logits(self, y_true: Array, y_pred: Array, scale: float | Array) -> Array:
        """Return the derivatives by the logits of these outputs, times ``scale``."""
        raise NotImplementedError

    def targets(self, y: ArrayLike, y_pred_shape: Shape, dtype: DTypeLike, name: str = "y") -> Array:
        """Return targets as the loss takes them, for outputs of that shape and dtype; errors begin with ``name``."""
        self._check_axis(y_pred_shape)
        return matching(name, y, y_pred_shape, np.dtype(dtype))

    def _check_axis(self, y_pred_shape: Shape) -> None:
        if not -len(y_pred_shape) <= self.axis < len(y_pred_shape):
            raise ValueError(f"{self.name}: axis: expected an axis of outputs of shape {y_pred_shape}, got {self.axis}")

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return the loss of each sample."""
        if self.axis != -1:
            y_true, y_pred = self._last(y_true, y_pred.ndim), self._last(y_pred, y_pred.ndim)
        losses = np.add.reduce(self.terms(y_true, y_pred), axis=-1)
        return np.asarray(losses / y_pred.shape[-1] if self.averages else losses)

    def gradient(self, y_true: Array, y_pred: Array) -> Array:
        """Return the derivatives of each sample's loss by that sample's outputs."""
        if self.axis != -1:
            y_true, y_pred = self._last(y_true, y_pred.ndim), self._last(y_pred, y_pred.ndim)
        slopes = self.slopes(y_true, y_pred, 1 / y_pred.shape[-1] if self.averages else 1.0)
        return slopes if self.axis == -1 else np.moveaxis(slopes, -1, self.axis)

    def gradient_by_targets(self, y_true: Array, y_pred: Array) -> Array:
        """Return the derivatives of each sample's loss by that sample's targets."""
        if self.by_targets == "symmetric":
            return self.gradient(y_pred, y_true)
        pred = self._last(y_pred, y_pred.ndim)  # of what is linear, it is what one more makes more
        slopes = self.terms(np.ones_like(pred), pred) - self.terms(np.zeros_like(pred), pred)
        return np.moveaxis(slopes / pred.shape[-1] if self.averages else slopes, -1, self.axis)

    def value(self, y_true: Array, y_pred: Array, weights: Array | None = None, logits: Array | None = None) -> float:
        """Return what `value_and_gradient` does without the gradient."""
        if self.axis != -1:
            y_true, y_pred = self._last(y_true, y_pred.ndim), self._last(y_pred, y_pred.ndim)
            logits = None if logits is None else self._last(logits, y_pred.ndim)
        scale = self._term_factor(y_pred, weights)
        terms = self.terms(y_true, y_pred) if logits is None else self.terms_of_logits(y_true, y_pred, logits)
        return total(terms, scale)

    def value_and_gradient(
        self, y_true: Array, y_pred: Array, weights: Array | None = None, logits: Array | None = None
    ) -> tuple[float, Array]:
        """Return the loss of a batch and its gradient; see `Loss.value_and_gradient`."""
        if self.axis != -1:
            y_true, y_pred = self._last(y_true, y_pred.ndim), self._last(y_pred, y_pred.ndim)
            logits = None if logits is None else self._last(logits, y_pred.ndim)
        scale = self._term_factor(y_pred, weights)
        if logits is None:
            value, slopes = total(self.terms(y_true, y_pred), scale), self.slopes(y_true, y_pred, scale)
        else:
            value = total(self.terms_of_logits(y_true, y_pred, logits), scale)
            slopes = self.slopes_of_logits(y_true, y_pred, scale)
        slopes = without_masked(slopes, scale)
        return value, slopes if self.axis == -1 else np.moveaxis(slopes, -1, self.axis)

    def _term_factor(self, y_pred: Array, weights: Array | None) -> float | Array:
        scale = self._factor(y_pred.shape[:-1], weights, y_pred.dtype)
        if not isinstance(scale, float):
            scale = scale[..., None]
        return scale / y_pred.shape[-1] if self.averages else scale

    def _last(self, array: Array, ndim: int) -> Array:
        # Labels have no axis of classes.
        return np.moveaxis(array, self.axis, -1) if array.ndim == ndim else array
