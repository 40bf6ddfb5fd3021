"""Operators of single arrays: products with matrices, rows of tables, functions of every number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .... import layers
from ....activations import piecewise, smooth
from ....activations.softmaxes import LogSoftmax
from .errors import UnsupportedError
from .nodes import Node, bounded
from .values import Constant, Value, counted, in_axes, laid_out

_ACTIVATIONS = {
    "Relu": "relu",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Exp": "exponential",
    "HardSwish": "hard_silu",
    "Mish": "mish",
    "Selu": "selu",
}
ACTIVATIONS = (*_ACTIVATIONS, "LeakyRelu", "Elu", "Celu", "Gelu", "ThresholdedRelu", "Shrink")

FUNCTIONS = {
    "Erf": "erf",
    "Log": "log",
    "Sqrt": "sqrt",
    "Sin": "sin",
    "Cos": "cos",
    "Sign": "sign",
    "Floor": "floor",
    "Ceil": "ceil",
    "Round": "round",
}
_OF_SELU = {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875}  # as the operator has them


def same_axes(value: Value, layer: Any) -> Value:
    """Return what a layer makes of every number by itself, wherever the axes are."""
    return Value(layer(value.symbol), value.axes)


def dense(node: Node, bias: Constant | None, dtype: Any, given: tuple[Any, ...] = ()) -> Value:
    """Return the product with a matrix of weights, over the last axis.

    Products with the same arrays, in ``given`` if these are others than the matrix and the vector, are calls of the
    same layer, as in a loop that is unrolled.
    """
    value, kernel = node.inputs[0], node.inputs[1]
    if kernel.ndim != 2:
        raise UnsupportedError("a constant of other than two axes")
    last = value.axes[-1]
    if last != (value.symbol.ndim - 1,) or value.symbol.ndim < 2:
        if value.batch == len(value.axes) - 1:
            raise UnsupportedError("a product along the batch")
        value = laid_out(value)
    if value.symbol.shape[-1] not in (None, kernel.shape[0]):
        raise ValueError(f"{node.operator}: expected {value.symbol.shape[-1]} rows of weights, got {kernel.shape}")
    arrays = given or (kernel, bias)
    key = (node.operator, *map(id, arrays), *sorted(node.attributes.items()))
    if key in node.shared:
        return Value(node.shared[key][0](value.symbol), value.axes)
    layer = layers.Dense(kernel.shape[1], use_bias=bias is not None, dtype=dtype)
    outputs = layer(value.symbol)
    layer.set_weights([kernel] if bias is None else [kernel, np.broadcast_to(bias.reshape(-1), kernel.shape[1:])])
    node.shared[key] = (layer, arrays)  # which stay, so that nothing else has their place
    return Value(outputs, value.axes)


def gemm(node: Node, dtype: Any) -> Value:
    """Return a product with a matrix and a sum with a vector."""
    kernel, bias = node.constant(1, "B"), node.constant(2, "C")
    if kernel is None or node.get("transA", 0):
        raise UnsupportedError("transA")
    kernel = kernel.T if node.get("transB", 0) else kernel
    kernel = kernel * kernel.dtype.type(node.get("alpha", 1.0))
    if bias is not None:
        bias = bias * bias.dtype.type(node.get("beta", 1.0))
        if bias.ndim > 2 or bias.shape[-1:] not in ((), (1,), (kernel.shape[1],)) or bias.shape[:-1] not in ((), (1,)):
            raise UnsupportedError("C with rows")
    own = Node("Gemm", node.attributes, [node.inputs[0], kernel], node.outputs, node.opset)
    own.shared = node.shared
    return dense(own, bias, dtype, tuple(node.inputs[1:]))


def embedding(node: Node, dtype: Any) -> Value:
    """Return the rows of a constant that integers say."""
    table, value = node.inputs
    if table.ndim != 2 or node.get("axis", 0) != 0:
        raise UnsupportedError("Gather of other than rows")
    layer = layers.Embedding(*table.shape, dtype=dtype)
    outputs = layer(value.symbol)
    layer.set_weights([table])
    return Value(outputs, (*value.axes, (outputs.ndim - 1,)))


def one_hot(node: Node, dtype: Any, cast: bool, computed: Callable[[list[Constant]], list[Constant]]) -> Value:
    """Return vectors in which one number stands out: the rows of a matrix that is not trained.

    ``cast`` says that they become floats, if they are integers; ``computed`` counts what the file does not hold.
    """
    value, depth, values = node.inputs[0], node.constant(1, "depth"), node.constant(2, "values")
    if not isinstance(value, Value) or value.symbol.dtype.kind not in "iu" or depth is None or values is None:
        raise UnsupportedError("OneHot of other than integers")
    if values.dtype.kind != "f" and not cast:
        raise UnsupportedError("integers that are not made floats")
    if depth.dtype == object or depth.size != 1 or values.size != 2:
        raise UnsupportedError("OneHot of a depth that is not known, or of other than two values")
    size = int(depth.reshape(-1)[0])
    off, on = values.astype(dtype).tolist()
    bounded([size, size])
    key = ("OneHot", size, off, on)
    if key in node.shared:
        outputs = node.shared[key](value.symbol)
    else:
        rows = computed([np.where(np.eye(size, dtype=bool), on, off).astype(dtype)])
        node.shared[key] = layer = layers.Embedding(size, size, "zeros", dtype=dtype, trainable=False)
        outputs = layer(value.symbol)
        layer.set_weights(rows)
    axis = counted(node.get("axis", -1), len(value.axes) + 1)
    return Value(outputs, (*value.axes[:axis], (outputs.ndim - 1,), *value.axes[axis:]))


def activation(node: Node, dtype: Any) -> Value:
    """Return an activation of each number."""
    return same_axes(node.inputs[0], layers.Activation(_activation(node), dtype=dtype))


def _activation(node: Node) -> Any:
    kind, alpha = node.operator, node.get("alpha")
    if kind == "Selu" and any(abs(node.get(name, own) - own) > 1e-6 for name, own in _OF_SELU.items()):
        raise UnsupportedError("numbers of its own")
    if kind in _ACTIVATIONS:
        return _ACTIVATIONS[kind]
    if kind == "LeakyRelu":
        return piecewise.LeakyReLU(0.01 if alpha is None else alpha)
    if kind == "Elu":
        return smooth.ELU(1.0 if alpha is None else alpha)
    if kind == "Celu":
        return smooth.CELU(1.0 if alpha is None else alpha)
    if kind == "Gelu":
        return smooth.GELU(node.get("approximate", "none") == "tanh")
    if kind == "ThresholdedRelu":
        return piecewise.Threshold(1.0 if alpha is None else alpha)
    if kind == "Shrink":
        limit, bias = node.get("lambd", 0.5), node.get("bias", 0.0)
        if bias not in (0, limit):
            raise UnsupportedError("a bias other than 0 and lambd")
        return piecewise.SoftShrink(limit) if bias else piecewise.HardShrink(limit)
    raise UnsupportedError(kind)


def function(node: Node, dtype: Any) -> Value:
    """Return a function of each number that is no activation."""
    return same_axes(node.inputs[0], layers.Elementwise(FUNCTIONS[node.operator], dtype=dtype))


def is_nan(node: Node, dtype: Any) -> Value:
    """Return where there is no number, which alone differs from itself."""
    value: Value = node.inputs[0]
    return Value(layers.Compare("equal", invert=True, dtype=dtype)([value.symbol, value.symbol]), value.axes)


def is_infinite(node: Node, dtype: Any) -> Value:
    """Return where numbers are infinite."""
    if not (node.get("detect_negative", 1) and node.get("detect_positive", 1)):
        raise UnsupportedError("IsInf of one sign")
    value: Value = node.inputs[0]
    size = layers.Absolute(dtype=dtype)(value.symbol)
    return Value(layers.Compare("equal", np.inf, dtype=dtype)(size), value.axes)


def reciprocal(node: Node, dtype: Any) -> Value:
    """Return 1 / x."""
    return same_axes(node.inputs[0], layers.Arithmetic("true_divide", 1.0, True, dtype=dtype))


def hard_sigmoid(node: Node, dtype: Any) -> Value:
    """Return max(0, min(1, alpha x + beta))."""
    alpha, beta = node.get("alpha", 0.2), node.get("beta", 0.5)
    plain = abs(alpha - 1 / 6) < 1e-6 and beta == 0.5
    function: Any = "hard_sigmoid" if plain else piecewise.HardSigmoid(alpha, beta)
    return same_axes(node.inputs[0], layers.Activation(function, dtype=dtype))


def clip(node: Node, dtype: Any) -> Value:
    """Return numbers no smaller and no larger than two."""
    given = [node.get(name) if node.opset < 11 else node.constant(k, name) for k, name in ((1, "min"), (2, "max"))]
    low, high = (None if one is None else float(np.ravel(one)[0]) for one in given)
    return same_axes(node.inputs[0], layers.Clip(low, high, dtype=dtype))


def softmax(node: Node, dtype: Any) -> Value:
    """Return probabilities, or their logarithms, along an axis."""
    value = node.inputs[0]
    axis = counted(node.get("axis", 1 if node.opset < 13 else -1), len(value.axes))
    if node.opset < 13 and axis != len(value.axes) - 1:
        raise UnsupportedError(f"{node.operator} over all axes from {axis} on")
    own = value.axis(axis, node.operator)
    if node.operator == "LogSoftmax":
        return same_axes(value, layers.Activation(LogSoftmax(own), dtype=dtype))
    return same_axes(value, layers.Softmax(own, dtype=dtype))


def prelu(node: Node, dtype: Any) -> Value:
    """Return a rectifier with slopes of its own."""
    value, slope = node.inputs[0], node.constant(1, "slope")
    assert slope is not None
    own = in_axes(slope, value)
    sizes = (1,) * (value.symbol.ndim - 1 - own.ndim) + own.shape
    layer = layers.PReLU(shared_axes=[k for k, n in enumerate(sizes, 1) if n == 1], dtype=dtype)
    outputs = layer(value.symbol)
    layer.set_weights([own.reshape(sizes)])
    return Value(outputs, value.axes)
