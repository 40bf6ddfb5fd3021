"""Activation functions in NumPy, accurate in the tails, each with its derivative in terms of its value y."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Activation:
    """``y = act(x)`` and, from y, ``dy/dx = act.derivative(y)``."""

    function: Callable[[Array], Array]
    derivative: Callable[[Array], Array]

    def __call__(self, x: Array) -> Array:
        """act(x)"""
        return self.function(x)


def tanh(x: Array) -> Array:
    """Hyperbolic tangent."""
    return np.asarray(np.tanh(x))


def d_tanh(y: Array) -> Array:
    """1 - y^2"""
    return np.asarray(1 - y**2)


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x), written so that no exponential overflows."""
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1 / (1 + e), e / (1 + e)), dtype=x.dtype)


def d_sigmoid(y: Array) -> Array:
    """y (1 - y)"""
    return np.asarray(y * (1 - y))


def hard_sigmoid(x: Array) -> Array:
    """x/6 + 1/2, no less than 0 and no more than 1 (Keras 3)."""
    return np.asarray(np.clip(x / 6 + 0.5, 0, 1))


def d_hard_sigmoid(y: Array) -> Array:
    """1/6 where 0 < y < 1, else 0"""
    return np.asarray(((y > 0) & (y < 1)) / 6, dtype=y.dtype)


def relu(x: Array) -> Array:
    """max(x, 0)"""
    return np.maximum(x, 0)


def d_relu(y: Array) -> Array:
    """1 where y > 0, else 0"""
    return (y > 0).astype(y.dtype)


def linear(x: Array) -> Array:
    """x"""
    return x


def d_linear(y: Array) -> Array:
    """1"""
    return np.ones_like(y)


def softsign(x: Array) -> Array:
    """x / (1 + |x|)"""
    return np.asarray(x / (1 + np.abs(x)))


def d_softsign(y: Array) -> Array:
    """(1 - |y|)^2, which is 1 / (1 + |x|)^2"""
    return np.asarray((1 - np.abs(y)) ** 2)


ACTIVATIONS = {
    "tanh": Activation(tanh, d_tanh),
    "sigmoid": Activation(sigmoid, d_sigmoid),
    "hard_sigmoid": Activation(hard_sigmoid, d_hard_sigmoid),
    "relu": Activation(relu, d_relu),
    "linear": Activation(linear, d_linear),
    "softsign": Activation(softsign, d_softsign),
}
