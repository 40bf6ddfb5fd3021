"""Activation functions of the dense layers, each with its derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _core

__all__ = ["Activation", "get", "linear", "relu", "sigmoid", "tanh"]

Array = NDArray[Any]


class Activation(NamedTuple):
    """A function, its derivative as a factor from its *output*, and the function done in place."""

    name: str
    function: Callable[[Array], Array]
    derivative: Callable[[Array], Array]
    in_place: Callable[[Array], Any]

    def __call__(self, x: Array) -> Array:
        """Return the function's value."""
        return self.function(x)


linear = Activation("linear", lambda x: x, np.ones_like, lambda x: None)
tanh = Activation("tanh", _core.tanh, lambda y: 1 - y * y, lambda x: _core.tanh(x, x))
sigmoid = Activation("sigmoid", _core.sigmoid, lambda y: y * (1 - y), lambda x: _core.sigmoid(x, x))
relu = Activation(
    "relu", lambda x: np.maximum(x, 0), lambda y: (y > 0).astype(y.dtype), lambda x: np.maximum(x, 0, out=x)
)

_BY_NAME = {a.name: a for a in (linear, tanh, sigmoid, relu)}


def get(identifier: str | Activation | None) -> Activation:
    """Return the activation of that name; None is linear."""
    if identifier is None:
        return linear
    if isinstance(identifier, Activation):
        return identifier
    if identifier not in _BY_NAME:
        raise ValueError(f"activation: expected one of {', '.join(_BY_NAME)} or None, got {identifier!r}")
    return _BY_NAME[identifier]
