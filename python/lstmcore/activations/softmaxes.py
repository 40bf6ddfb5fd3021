"""Activations of a whole axis: numbers as probabilities, or as logarithms of them; one half as gates of the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _core
from .._arguments import axes_of, integer, integers
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
        return self.in_place(np.array(x))

    def in_place(self, x: Array) -> Array:
        """Write the function's value over ``x``."""
        axis = axes_of("softmax: axis", self.axis, x)
        x -= np.maximum.reduce(x, axis=axis, keepdims=True, initial=-np.inf)
        np.exp(x, out=x)
        x /= np.add.reduce(x, axis=axis, keepdims=True)
        return x

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
        if not x.size:
            return x.copy()
        y: Array = x - np.maximum.reduce(x, axis=axis, keepdims=True)
        y -= np.log(np.add.reduce(np.exp(y), axis=axis, keepdims=True))
        return y

    def backward(self, x: Any, y: Array, dy: Array) -> Array:
        """Return the gradient of the inputs."""
        dx: Array = dy - np.exp(y) * np.add.reduce(dy, axis=self.axis, keepdims=True)
        return dx


class Sparsemax(Activation):
    """max(x - t, 0), with t such that the sum over an axis is 1 (Martins & Astudillo 2016): probabilities, many of
    them zero.
    """

    name = "sparsemax"
    needs_input = False

    def __init__(self, axis: int = -1) -> None:
        self.axis: int = integer("sparsemax: axis", axis)

    def value(self, x: Array) -> Array:
        """Return the function's value."""
        axis = axes_of("sparsemax: axis", self.axis, x)
        if not x.size:
            return x.copy()
        x = x - np.maximum.reduce(x, axis=axis, keepdims=True)  # which t follows, and sums lose no digits
        largest = np.moveaxis(-np.sort(-x, axis=self.axis), self.axis, -1)
        sums = np.cumsum(largest, axis=-1, dtype=np.float64) - 1
        # Of the k largest alone t would be sums[k] / k; those above theirs are the ones that stay.
        k = np.arange(1, largest.shape[-1] + 1)
        stay = np.add.reduce(k * largest > sums, axis=-1, keepdims=True)
        t = np.take_along_axis(sums, np.maximum(stay, 1) - 1, axis=-1) / np.maximum(stay, 1)
        y: Array = np.maximum(x - np.moveaxis(t, -1, self.axis).astype(x.dtype), 0)
        return y

    def backward(self, x: Any, y: Array, dy: Array) -> Array:
        """Return the gradient of the inputs: that of the ones that stay, less its mean."""
        stay = y > 0
        count = np.maximum(np.add.reduce(stay, axis=self.axis, keepdims=True), 1).astype(y.dtype)
        mean = np.add.reduce(dy * stay, axis=self.axis, keepdims=True) / count
        dx: Array = (dy - mean) * stay
        return dx


class GLU(Activation):
    """a sigmoid(b), a and b the two halves of x along an axis (Dauphin et al. 2017)."""

    name = "glu"

    def __init__(self, axis: int = -1) -> None:
        self.axis: int = integer("glu: axis", axis)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of a half."""
        size = shape[self.axis] if -len(shape) <= self.axis < len(shape) else 1
        if size is not None and size % 2:
            raise ValueError(f"glu: inputs: expected an even size of axis {self.axis}, got shape {shape}")
        axis = self.axis % len(shape)
        return (*shape[:axis], None if size is None else size // 2, *shape[axis + 1 :])

    def _halves(self, x: Array) -> tuple[Array, Array]:
        axes_of("glu: axis", self.axis, x)
        self.compute_output_shape(x.shape)
        a, b = np.split(x, 2, axis=self.axis)
        return a, b

    def value(self, x: Array) -> Array:
        """Return the function's value."""
        a, b = self._halves(x)
        y: Array = a * _core.sigmoid(b)
        return y

    def in_place(self, x: Array) -> Array:
        """Write the function's value over the first half of ``x``."""
        a, b = self._halves(x)
        a *= _core.sigmoid(b)
        return a

    def backward(self, x: Any, y: Array, dy: Array) -> Array:
        """Return the gradient of the inputs."""
        a, b = self._halves(x)
        gate, rest = _core.sigmoid(b), _core.sigmoid(-b)
        return np.concatenate([dy * gate, dy * a * gate * rest], axis=self.axis)


softmax = Softmax()
log_softmax = LogSoftmax()
sparsemax = Sparsemax()
glu = GLU()
