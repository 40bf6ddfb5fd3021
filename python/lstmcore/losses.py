"""Losses, under Keras's names: a number to make small, and its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Loss", "MeanAbsoluteError", "MeanSquaredError", "get", "mae", "mse"]

Array = NDArray[Any]


class Loss:
    """The mean over all elements of a function of the error."""

    name: str

    def __call__(self, y_true: Array, y_pred: Array) -> float:
        """Return the loss."""
        raise NotImplementedError

    def gradient(self, y_true: Array, y_pred: Array) -> Array:
        """Return the gradient with respect to ``y_pred``."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class MeanSquaredError(Loss):
    """mean((y_pred - y_true)^2)

    >>> import numpy as np
    >>> from lstmcore.losses import MeanSquaredError
    >>> MeanSquaredError()(np.array([0.0, 1.0]), np.array([1.0, 3.0]))
    2.5
    """

    name = "mse"

    def __call__(self, y_true: Array, y_pred: Array) -> float:
        """Return the loss."""
        error = y_pred - y_true
        return float(np.mean(error * error))

    def gradient(self, y_true: Array, y_pred: Array) -> Array:
        """Return the gradient with respect to ``y_pred``."""
        return np.asarray((y_pred - y_true) * y_pred.dtype.type(2 / y_pred.size))


class MeanAbsoluteError(Loss):
    """mean(|y_pred - y_true|), its gradient zero where they are equal."""

    name = "mae"

    def __call__(self, y_true: Array, y_pred: Array) -> float:
        """Return the loss."""
        return float(np.mean(np.abs(y_pred - y_true)))

    def gradient(self, y_true: Array, y_pred: Array) -> Array:
        """Return the gradient with respect to ``y_pred``."""
        return np.asarray(np.sign(y_pred - y_true) * y_pred.dtype.type(1 / y_pred.size))


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
