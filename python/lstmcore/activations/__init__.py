"""Activation functions of the layers, under Keras's names, each with its derivative.

>>> import numpy as np
>>> from lstmcore import activations
>>> x = np.array([-2.0, 0.0, 2.0])
>>> activations.relu(x, negative_slope=0.5)
array([-1.,  0.,  2.])
>>> softplus = activations.get("softplus")
>>> y = softplus(x)
>>> softplus.backward(x, y, np.ones(3)).round(4)
array([0.1192, 0.5   , 0.8808])

The recurrent layers take them too: those that the core has are applied within its kernels, with the others the
layer runs step by step in NumPy; its `kernel_info` says which.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _not_offered
from . import piecewise, smooth, softmaxes
from .base import Activation, Function
from .piecewise import (
    affine,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    leaky_relu,
    linear,
    relu,
    relu6,
    soft_shrink,
    sparse_plus,
    sparse_sigmoid,
    threshold,
)
from .smooth import (
    celu,
    elu,
    exponential,
    gelu,
    log_sigmoid,
    mish,
    scaled_tanh,
    selu,
    sigmoid,
    silu,
    softplus,
    softsign,
    squareplus,
    tanh,
    tanh_shrink,
)
from .softmaxes import glu, log_softmax, softmax, sparsemax

__all__ = [
    "Activation",
    "affine",
    "celu",
    "elu",
    "exponential",
    "gelu",
    "get",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "piecewise",
    "relu",
    "relu6",
    "scaled_tanh",
    "selu",
    "sigmoid",
    "silu",
    "smooth",
    "soft_shrink",
    "softmax",
    "softmaxes",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]

swish, hard_swish = silu, hard_silu

_BY_NAME: dict[str, Activation] = {
    a.name: a for module in (piecewise, smooth, softmaxes) for a in vars(module).values() if isinstance(a, Activation)
} | {"swish": silu, "hard_swish": hard_silu}


def get(identifier: str | Activation | Callable[..., Any] | None) -> Activation:
    """Return the activation of that name; None is linear.

    Of a layer that is nothing but an activation, such as ``layers.LeakyReLU()``, that is taken. A function of the
    user's is taken as it is. It is trained through if it is written with `autograd.numpy` (the extra ``grad``), or has
    an attribute ``backward``: a function of its inputs, its outputs and their gradient that returns the gradient of the
    inputs.

    >>> from lstmcore import activations
    >>> activations.get("swish").name
    'silu'

    Raises
    ------
    ValueError
        There is no activation of that name, or it is no function.
    """
    if identifier is None:
        return linear
    if isinstance(identifier, Activation):
        return identifier
    if isinstance(identifier, str):
        if identifier not in _BY_NAME:
            raise ValueError(f"activation: expected one of {', '.join(sorted(_BY_NAME))} or None, got {identifier!r}")
        return _BY_NAME[identifier]
    if hasattr(identifier, "as_activation"):
        return identifier.as_activation()  # type: ignore[no-any-return]
    if callable(identifier):
        return Function(identifier)
    raise ValueError(f"activation: expected a name, a function or None, got {identifier!r}")


def plain_name(activation: Activation) -> str | None:
    """Return the name by which `get` finds an activation; None if it is another object than that."""
    return activation.name if _BY_NAME.get(activation.name) is activation else None


_not_offered.answer_for(__name__)
