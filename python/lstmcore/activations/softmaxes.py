"""Activations of a whole axis: numbers as probabilities, or as logarithms of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._arguments import axes_of, integers
from .base import Activation, Array


def checked_axis(name: str, axis: Any) -> int | tuple[int, ...]:
    """Return the argument ``axis`` as an int or a tuple of them."""
    axes = integers(f"{name}: axis", axis)
    return axes if isinstance(axis, Sequence) or len(axes) != 1 else axes[0]


class Softmax(Activation):
    """exp(x) / sum(exp(x)), the sum over one axis or several."""

    name = "softmax"
    needs_input = False

    def __init__(self, axis: int | Sequence[int] = -1) -> None:
        self.axis = checked_axis(self.name, axis)

    def value(self, x: Array) -> Array:
        """Return the function's value."""
        y = np.array(x)
        self.in_place(y)
        return y

    def in_place(self, x: Array) -> None:
        """Write the function's value over ``x``."""
        axis = axes_of("softmax: axis", self.axis, x)
        x -= np.maximum.reduce(x, axis=axis, keepdims=True, initial=-np.inf)
        np.exp(x, out=x)
        x /= np.add.reduce(x, axis=axis, keepdims=True)

    def backward(self, x: Any, y: Array, dy: Array) -> Array:
        """Return the gradient of the inputs."""
        dx = dy - np.add.reduce(dy * y, axis=self.axis, keepdims=True)
        dx *= y
        return dx


class LogSoftmax(Activation):
    """x - log(sum(exp(x))), the sum over one axis or several."""

    name = "log_softmax"
    needs_input = False

    def __init__(self, axis: int | Sequence[int] = -1) -> None:
        self.axis = checked_axis(self.name, axis)

    def value(self, x: Array) -> Array:
        """Return the function's value."""
        axis = axes_of("log_softmax: axis", self.axis, x)
        y: Array = x - np.maximum.reduce(x, axis=axis, keepdims=True, initial=-np.inf)
        y -= np.log(np.add.reduce(np.exp(y), axis=axis, keepdims=True))
        return y

    def backward(self, x: Any, y: Array, dy: Array) -> Array:
        """Return the gradient of the inputs."""
        dx: Array = dy - np.exp(y) * np.add.reduce(dy, axis=self.axis, keepdims=True)
        return dx


softmax = Softmax()
log_softmax = LogSoftmax()
