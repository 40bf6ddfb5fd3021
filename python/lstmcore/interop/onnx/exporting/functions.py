"""Activations in ONNX's operators: as nodes of the graph, and as attributes of its recurrent operators."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .... import activations
from ....activations import Activation
from .writer import Writer

# Operators that are the same function, without attributes.
_OPERATORS = {
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "exponential": "Exp",
    "hard_silu": "HardSwish",
}

_Function = Callable[[Writer, str, Any], str]


def applied(writer: Writer, activation: Activation, name: str, axes: int) -> str:
    """Return the name of what an activation makes of an array with so many axes."""
    kind = activation.name
    if type(activation).__module__ != "lstmcore.activations." + type(activation).__module__.rpartition(".")[2]:
        raise NotImplementedError(f"activation {kind!r}: a function of your own")
    if kind == "linear":
        return name
    if kind in _OPERATORS:
        return writer.add(_OPERATORS[kind], name)
    if kind in ("softmax", "log_softmax"):
        axis: Any = activation.axis
        if not isinstance(axis, int):
            if len(axis) > 1:
                raise NotImplementedError(f"activation {kind!r} over several axes")
            axis = axis[0]
        return writer.add("Softmax" if kind == "softmax" else "LogSoftmax", name, axis=axis % axes)
    if kind not in _COMPOSED:
        raise NotImplementedError(f"activation {kind!r}")
    return _COMPOSED[kind](writer, name, activation)


def _relu(writer: Writer, x: str, a: Any) -> str:
    if a.plain:
        return writer.add("Relu", x)
    if a.threshold:
        low = writer.add("Mul", writer.add("Sub", x, writer.number(a.threshold)), writer.number(a.negative_slope))
        outputs = writer.add("Where", writer.add("Less", x, writer.number(a.threshold)), low, x)
    elif a.negative_slope:
        outputs = writer.add("LeakyRelu", x, alpha=float(a.negative_slope))
    else:
        outputs = writer.add("Relu", x)
    return outputs if a.max_value is None else writer.add("Min", outputs, writer.number(a.max_value))


def _gelu(writer: Writer, x: str, a: Any) -> str:
    if a.approximate:
        cube = writer.add("Mul", writer.add("Mul", writer.add("Mul", x, x), x), writer.number(0.044715))
        inner = writer.add("Mul", writer.add("Add", x, cube), writer.number(math.sqrt(2 / math.pi)))
        share = writer.add("Tanh", inner)
    else:
        share = writer.add("Erf", writer.add("Mul", x, writer.number(math.sqrt(0.5))))
    half = writer.add("Mul", x, writer.number(0.5))
    return writer.add("Mul", half, writer.add("Add", share, writer.number(1)))


def _threshold(writer: Writer, x: str, a: Any) -> str:
    above = writer.add("Greater", x, writer.number(a.threshold))
    return writer.add("Where", above, x, writer.number(a.default_value))


def _squareplus(writer: Writer, x: str, a: Any) -> str:
    root = writer.add("Sqrt", writer.add("Add", writer.add("Mul", x, x), writer.number(a.b)))
    return writer.add("Mul", writer.add("Add", x, root), writer.number(0.5))


def _celu(writer: Writer, x: str, a: Any) -> str:
    if writer.dtype == np.float32:
        return writer.add("Celu", x, alpha=float(a.alpha))
    alpha = writer.number(a.alpha)  # the operator is one of float32 alone
    return writer.add("Mul", writer.add("Elu", writer.add("Div", x, alpha)), alpha)


_COMPOSED: dict[str, _Function] = {
    "relu": _relu,
    "relu6": _relu,
    "leaky_relu": _relu,
    "gelu": _gelu,
    "threshold": _threshold,
    "squareplus": _squareplus,
    "hard_sigmoid": lambda w, x, a: w.add("HardSigmoid", x, alpha=float(a.alpha), beta=float(a.beta)),
    "affine": lambda w, x, a: w.add("Add", w.add("Mul", x, w.number(a.alpha)), w.number(a.beta)),
    "scaled_tanh": lambda w, x, a: w.add("Mul", w.add("Tanh", w.add("Mul", x, w.number(a.beta))), w.number(a.alpha)),
    "hard_tanh": lambda w, x, a: w.add("Clip", x, w.number(-1), w.number(1)),
    "silu": lambda w, x, a: w.add("Mul", x, w.add("Sigmoid", x)),
    "log_sigmoid": lambda w, x, a: w.add("Neg", w.add("Softplus", w.add("Neg", x))),
    "mish": lambda w, x, a: w.add("Mul", x, w.add("Tanh", w.add("Softplus", x))),
    "tanh_shrink": lambda w, x, a: w.add("Sub", x, w.add("Tanh", x)),
    "elu": lambda w, x, a: w.add("Elu", x, alpha=float(a.alpha)),
    "celu": _celu,
    "selu": lambda w, x, a: w.add("Selu", x),
    "soft_shrink": lambda w, x, a: w.add("Shrink", x, lambd=float(a.threshold), bias=float(a.threshold)),
    "hard_shrink": lambda w, x, a: w.add("Shrink", x, lambd=float(a.threshold), bias=0.0),
}


def of_recurrent(given: list[Any]) -> dict[str, Any]:
    """Return the attributes that name the activations of a recurrent operator, in its order.

    Parameters
    ----------
    given : activations, or their names.
    """
    said = [_of_recurrent(activations.get(one)) for one in given]
    attributes: dict[str, Any] = {"activations": [name for name, _, _ in said]}
    # Each is a list of those of the functions that have such a number, in the order of the functions.
    for key, index in (("activation_alpha", 1), ("activation_beta", 2)):
        numbers = [one[index] for one in said if one[index] is not None]
        if numbers:
            attributes[key] = numbers
    return attributes


# What ONNX calls an activation of the core's, and how many numbers of its own it has there.
_RECURRENT = {
    "tanh": ("Tanh", 0),
    "sigmoid": ("Sigmoid", 0),
    "relu": ("Relu", 0),
    "softsign": ("Softsign", 0),
    "softplus": ("Softplus", 0),
    "elu": ("Elu", 1),
    "leaky_relu": ("LeakyRelu", 1),
    "threshold": ("ThresholdedRelu", 1),
    "affine": ("Affine", 2),
    "hard_sigmoid": ("HardSigmoid", 2),
    "scaled_tanh": ("ScaledTanh", 2),
}


def _of_recurrent(activation: Any) -> tuple[str, float | None, float | None]:
    if activation.in_core is None:
        raise NotImplementedError(f"activation {activation.name!r} within a recurrent layer")
    kind, *numbers = activation.in_core
    if kind == "linear":
        kind, numbers = "affine", [1.0, 0.0]
    if kind == "threshold" and numbers[1]:
        raise NotImplementedError(f"activation 'threshold' with default_value={numbers[1]} within a recurrent layer")
    name, count = _RECURRENT[kind]
    alpha, beta = (float(np.float32(n)) if k < count else None for k, n in enumerate(numbers))
    return name, alpha, beta
