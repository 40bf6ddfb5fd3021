"""Activation functions in NumPy, accurate in the tails, each with its derivative.

``x`` is what goes in, ``y = act(x)``. Those of a whole row (softmax and its kin) have a gradient of their own
instead of a derivative. `get` finds them by name, for the cells.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Activation:
    """``y = act(x)`` and, from both, ``dy/dx = act.derivative(x, y)``."""

    function: Callable[[Array], Array]
    derivative: Callable[[Array, Array], Array]

    def __call__(self, x: Array) -> Array:
        """act(x)"""
        return np.asarray(self.function(x), x.dtype)

    def backward(self, x: Array, y: Array, dy: Array) -> Array:
        """dx = dy act'(x)"""
        return np.asarray(dy * np.asarray(self.derivative(x, y), y.dtype))


@dataclass(frozen=True)
class RowActivation:
    """``y = act(x)``, each number from its whole row, and ``dx = act.backward(x, y, dy)``."""

    function: Callable[[Array], Array]
    gradient: Callable[[Array, Array, Array], Array]

    def __call__(self, x: Array) -> Array:
        """act(x)"""
        return np.asarray(self.function(x), x.dtype)

    def backward(self, x: Array, y: Array, dy: Array) -> Array:
        """The gradient of x"""
        return np.asarray(self.gradient(x, y, dy), x.dtype)


@dataclass(frozen=True)
class Clipped:
    """``y = act(x)`` for x held between -limit and limit; the slope is zero beyond."""

    act: Any
    limit: float

    def __call__(self, x: Array) -> Array:
        """act(clip(x))"""
        return np.asarray(self.act(np.clip(x, -self.limit, self.limit)))

    def backward(self, x: Array, y: Array, dy: Array) -> Array:
        """The gradient of x"""
        inside = ~(np.abs(x) > self.limit)
        return np.asarray(self.act.backward(np.clip(x, -self.limit, self.limit), y, dy * inside))


# With numbers of their own


def hard_sigmoid(alpha: float, beta: float) -> Activation:
    """alpha x + beta, no less than 0 and no more than 1; Keras 3: 1/6 and 1/2."""
    return Activation(lambda x: np.clip(alpha * x + beta, 0, 1), lambda x, y: alpha * ((y > 0) & (y < 1)))


def elu(alpha: float, beta: float = 0) -> Activation:
    """x above 0, alpha (e^x - 1) below"""
    return Activation(
        lambda x: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
        lambda x, y: np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0))),
    )


def leaky_relu(alpha: float, beta: float = 0) -> Activation:
    """x above 0, alpha x below"""
    return Activation(lambda x: np.where(x > 0, x, alpha * x), lambda x, y: np.where(x > 0, 1, alpha))


def threshold(alpha: float, beta: float) -> Activation:
    """x above alpha, beta up to there"""
    return Activation(lambda x: np.where(x <= alpha, beta, x), lambda x, y: x > alpha)


def affine(alpha: float, beta: float) -> Activation:
    """alpha x + beta"""
    return Activation(lambda x: alpha * x + beta, lambda x, y: np.full_like(x, alpha))


def scaled_tanh(alpha: float, beta: float) -> Activation:
    """alpha tanh(beta x)"""
    return Activation(lambda x: alpha * np.tanh(beta * x), lambda x, y: alpha * beta * (1 - np.tanh(beta * x) ** 2))


# From exponentials


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x), written so that no exponential overflows."""
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1 / (1 + e), e / (1 + e)), dtype=x.dtype)


def softplus(x: Array) -> Array:
    """log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)"""
    return np.asarray(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


def normal(x: Array) -> Array:
    """The normal distribution function, erfc(-x / sqrt 2) / 2."""
    return np.asarray(np.vectorize(math.erfc, otypes=[x.dtype])(-x / math.sqrt(2)) / 2, x.dtype)


def density(x: Array) -> Array:
    """The normal density, e^(-x^2 / 2) / sqrt(2 pi)."""
    return np.asarray(np.exp(-(np.clip(x, -40, 40) ** 2) / 2) / math.sqrt(2 * math.pi))


def mish(x: Array) -> Array:
    """x tanh(log(1 + e^x))"""
    return np.asarray(x * np.tanh(softplus(x)))


def d_mish(x: Array, y: Array) -> Array:
    """t + x (1 - t^2) sigmoid(x),  t = tanh(log(1 + e^x))"""
    t = np.tanh(softplus(x))
    return np.asarray(t + x * (1 - t**2) * sigmoid(x))


SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # Klambauer et al. 2017


def selu(x: Array) -> Array:
    """scale x above 0, scale alpha (e^x - 1) below"""
    return np.asarray(SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0))))


def d_selu(x: Array, y: Array) -> Array:
    """scale above 0, scale alpha e^x below"""
    return np.asarray(SELU_SCALE * np.where(x > 0, 1, SELU_ALPHA * np.exp(np.minimum(x, 0))))


def positive(x: Array) -> Array:
    """x + 1/2 above 0, sigmoid(x) below (Feng et al. 2024, appendix B)."""
    return np.where(x >= 0, x + 0.5, sigmoid(x))


def d_positive(x: Array, y: Array) -> Array:
    """1 above 0, sigmoid'(x) below"""
    return np.where(x >= 0, 1, y * (1 - y))


# Of a row


def softmax(x: Array) -> Array:
    """e^x / sum(e^x)"""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def softmax_backward(x: Array, y: Array, dy: Array) -> Array:
    """dx = y (dy - sum(dy y))"""
    return np.asarray(y * (dy - (dy * y).sum(axis=-1, keepdims=True)))


def log_softmax(x: Array) -> Array:
    """x - log(sum(e^x))"""
    z = x - x.max(axis=-1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(axis=-1, keepdims=True)))


def log_softmax_backward(x: Array, y: Array, dy: Array) -> Array:
    """dx = dy - e^y sum(dy)"""
    return np.asarray(dy - np.exp(y) * dy.sum(axis=-1, keepdims=True))


def sparsemax(x: Array) -> Array:
    """max(x - tau, 0), tau such that a row's sum is 1 (Martins & Astudillo 2016)."""
    z = -np.sort(-x, axis=-1)
    k = np.arange(1, x.shape[-1] + 1)
    above = z * k > np.cumsum(z, axis=-1) - 1
    count = above.sum(axis=-1, keepdims=True)
    tau = (np.where(above, z, 0).sum(axis=-1, keepdims=True) - 1) / count
    return np.asarray(np.maximum(x - tau, 0))


def sparsemax_backward(x: Array, y: Array, dy: Array) -> Array:
    """dx = dy - mean of dy over y > 0, where y > 0; else 0"""
    inside = y > 0
    mean = np.where(inside, dy, 0).sum(axis=-1, keepdims=True) / inside.sum(axis=-1, keepdims=True)
    return np.where(inside, dy - mean, 0)


ACTIVATIONS: dict[str, Activation | RowActivation] = {
    "tanh": Activation(np.tanh, lambda x, y: 1 - y**2),
    "sigmoid": Activation(sigmoid, lambda x, y: y * (1 - y)),
    "hard_sigmoid": hard_sigmoid(1 / 6, 0.5),
    "relu": Activation(lambda x: np.maximum(x, 0), lambda x, y: y > 0),
    "linear": Activation(lambda x: x, lambda x, y: np.ones_like(y)),
    "softsign": Activation(lambda x: x / (1 + np.abs(x)), lambda x, y: (1 - np.abs(y)) ** 2),
    "softplus": Activation(softplus, lambda x, y: sigmoid(x)),
    "elu": elu(1),
    "leaky_relu": leaky_relu(0.2),
    "threshold": threshold(0, 0),
    "affine": affine(1, 0),
    "scaled_tanh": scaled_tanh(1.7159, 2 / 3),  # LeCun et al. 1998
    "exponential": Activation(np.exp, lambda x, y: y),
    "log_sigmoid": Activation(lambda x: -softplus(-x), lambda x, y: sigmoid(-x)),
    "silu": Activation(lambda x: x * sigmoid(x), lambda x, y: sigmoid(x) * (1 + x * sigmoid(-x))),
    "gelu": Activation(lambda x: x * normal(x), lambda x, y: normal(x) + x * density(x)),
    "mish": Activation(mish, d_mish),
    "celu": elu(1),  # the same with Keras's default of alpha, 1
    "selu": Activation(selu, d_selu),
    "squareplus": Activation(lambda x: (x + np.sqrt(x**2 + 4)) / 2, lambda x, y: y / np.sqrt(x**2 + 4)),
    "tanh_shrink": Activation(lambda x: x - np.tanh(x), lambda x, y: np.tanh(x) ** 2),
    "relu6": Activation(lambda x: np.clip(x, 0, 6), lambda x, y: (x > 0) & (x < 6)),
    "hard_silu": Activation(
        lambda x: x * np.clip(x / 6 + 0.5, 0, 1), lambda x, y: np.where(np.abs(x) < 3, (2 * x + 3) / 6, x > 0)
    ),
    "hard_tanh": Activation(lambda x: np.clip(x, -1, 1), lambda x, y: np.abs(x) < 1),
    "hard_shrink": Activation(lambda x: np.where(np.abs(x) > 0.5, x, 0), lambda x, y: np.abs(x) > 0.5),
    "soft_shrink": Activation(lambda x: x - np.clip(x, -0.5, 0.5), lambda x, y: np.abs(x) > 0.5),
    "sparse_plus": Activation(
        lambda x: np.where(x > 1, x, (np.clip(x, -1, 1) + 1) ** 2 / 4), lambda x, y: (np.clip(x, -1, 1) + 1) / 2
    ),
    "sparse_sigmoid": Activation(lambda x: np.clip(x + 1, 0, 2) / 2, lambda x, y: (np.abs(x) < 1) / 2),
    "softmax": RowActivation(softmax, softmax_backward),
    "log_softmax": RowActivation(log_softmax, log_softmax_backward),
    "sparsemax": RowActivation(sparsemax, sparsemax_backward),
}

POSITIVE = Activation(positive, d_positive)  # of the minimal cells alone: it has no name in Keras


WITH_NUMBERS = {
    "hard_sigmoid": hard_sigmoid,
    "elu": elu,
    "leaky_relu": leaky_relu,
    "threshold": threshold,
    "affine": affine,
    "scaled_tanh": scaled_tanh,
}


def get(activation: Any, clip: float | None = None) -> Any:
    """Return an activation of inputs that are held within ``clip``, if that is not None.

    ``activation`` is a name, one of the library's with numbers of its own (``in_core``), or what is one already:
    callable, with ``backward(x, y, dy)``.
    """
    if isinstance(activation, str):
        found: Any = ACTIVATIONS[activation]
    elif core := getattr(activation, "in_core", None):
        name, *numbers = core
        found = WITH_NUMBERS[name](*numbers) if name in WITH_NUMBERS else ACTIVATIONS[name]
    else:
        found = activation
    return found if clip is None else Clipped(found, clip)
