"""Losses, under Keras's names: a number to make small, and its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Loss", "MeanAbsoluteError", "MeanSquaredError", "get", "mae", "mse"]

Array = NDArray[Any]


class Loss:
    """The mean over all elements of a function of the error, or over those that a mask leaves.

    A subclass defines `values` and `slopes`. A mask (batch, steps) is True where a step counts.
    """

    name: str

    def values(self, error: Array) -> Array:
        """Return the loss of each element, from ``y_pred - y_true``."""
        raise NotImplementedError

    def slopes(self, error: Array) -> Array:
        """Return the derivative of each element's loss."""
        raise NotImplementedError

    def __call__(self, y_true: Array, y_pred: Array, mask: Array | None = None) -> float:
        """Return the loss."""
        values = self.values(y_pred - y_true)
        if mask is None:
            return float(np.mean(values))
        weights = _weights(mask, values)
        return float(np.sum(values, where=weights)) / max(1, int(np.count_nonzero(weights)))

    def gradient(self, y_true: Array, y_pred: Array, mask: Array | None = None) -> Array:
        """Return the gradient with respect to ``y_pred``."""
        slopes = self.slopes(y_pred - y_true)
        if mask is None:
            return np.asarray(slopes * y_pred.dtype.type(1 / y_pred.size))
        weights = _weights(mask, slopes)
        return np.where(weights, slopes * y_pred.dtype.type(1 / max(1, int(np.count_nonzero(weights)))), 0)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def _weights(mask: Array, values: Array) -> Array:
    """Return the mask in the shape of the values."""
    if mask.shape != values.shape[: mask.ndim]:
        raise ValueError(f"mask: expected shape {values.shape[:2]} (batch, steps), got {mask.shape}")
    return np.broadcast_to(mask.reshape(mask.shape + (1,) * (values.ndim - mask.ndim)), values.shape)


class MeanSquaredError(Loss):
    """mean((y_pred - y_true)^2)

    >>> import numpy as np
    >>> from lstmcore.losses import MeanSquaredError
    >>> MeanSquaredError()(np.array([0.0, 1.0]), np.array([1.0, 3.0]))
    2.5
    """

    name = "mse"

    def values(self, error: Array) -> Array:
        """Return the loss of each element."""
        return error * error

    def slopes(self, error: Array) -> Array:
        """Return the derivative of each element's loss."""
        return 2 * error


class MeanAbsoluteError(Loss):
    """mean(|y_pred - y_true|), its gradient zero where they are equal."""

    name = "mae"

    def values(self, error: Array) -> Array:
        """Return the loss of each element."""
        return np.abs(error)

    def slopes(self, error: Array) -> Array:
        """Return the derivative of each element's loss."""
        return np.sign(error)


mse = MeanSquaredError()
mae = MeanAbsoluteError()

_BY_NAME: dict[str, Loss] = {"mse": mse, "mean_squared_error": mse, "mae": mae, "mean_absolute_error": mae}


def get(identifier: str | Loss) -> Loss:
    """Return the loss of that name, or the one given."""
    if isinstance(identifier, Loss):
        return identifier
    key = identifier.lower() if isinstance(identifier, str) else identifier
    if key not in _BY_NAME:
        raise ValueError(f"loss: expected one of {', '.join(_BY_NAME)} or a Loss, got {identifier!r}")
    return _BY_NAME[key]
