"""Operators that normalise: by averages, and by the numbers of a row or a channel themselves."""

from __future__ import annotations

from typing import Any

import numpy as np

from .... import layers
from .errors import UnsupportedError
from .nodes import Node
from .reshaping import reshape
from .shapes import with_constant
from .sizes import Sizes
from .values import Constant, Value, counted


def batch_normalization(node: Node, dtype: Any) -> Value:
    """Return a normalisation by averages."""
    value = node.inputs[0]
    if node.get("training_mode", 0):
        raise UnsupportedError("training_mode")
    given = [node.constant(k, name) for k, name in enumerate(("scale", "B", "mean", "var"), 1)]
    vectors = [vector for vector in given if vector is not None]
    layer = layers.BatchNormalization(
        value.axis(1, "BatchNormalization"),
        momentum=node.get("momentum", 0.9),
        epsilon=node.get("epsilon", 1e-5),
        dtype=dtype,
    )
    outputs = layer(value.symbol)
    layer.set_weights(vectors)
    return Value(outputs, value.axes)


def instance_normalization(node: Node, dtype: Any) -> Value:
    """Return a normalisation of every channel by itself, over all axes behind it."""
    value, gamma, beta = node.inputs[0], node.constant(1, "scale"), node.constant(2, "B")
    own = sorted(k for axes in value.axes[2:] for k in axes)
    if value.axes[0] != (0,) or not own or gamma is None or beta is None:
        raise UnsupportedError("InstanceNormalization of other than the axes behind batch and channels")
    x = value.symbol
    centred = x - layers.Reduction("mean", own, keepdims=True, dtype=dtype)(x)
    variance = layers.Reduction("mean", own, keepdims=True, dtype=dtype)(centred * centred)
    made = Value(centred / layers.Elementwise("sqrt", dtype=dtype)(variance + node.get("epsilon", 1e-5)), value.axes)
    return _scaled(made, gamma, beta, dtype)


def _scaled(value: Value, gamma: Constant, beta: Constant, dtype: Any) -> Value:
    """Return channels, each with a factor and a summand of its own."""
    wide = (-1,) + (1,) * (len(value.axes) - 2)
    for operation, vector, nothing in (("multiply", gamma, 1), ("add", beta, 0)):
        if (vector != nothing).any():
            value, constant = with_constant(value, vector.reshape(wide))
            value = Value(layers.Arithmetic(operation, constant, dtype=dtype)(value.symbol), value.axes)
    return value


def group_normalization(node: Node, dtype: Any, sizes: Sizes) -> Value:
    """Return a normalisation of every group of channels by itself."""
    value, gamma, beta = node.inputs[0], node.constant(1, "scale"), node.constant(2, "bias")
    groups, shape = node.get("num_groups"), value.shape(sizes)
    if gamma is None or beta is None or len(gamma) != shape[1]:  # before opset 21, one for each group
        raise UnsupportedError("GroupNormalization with other than a number for each channel")
    apart = reshape(Node("Reshape", {}, [value, np.array([0, groups, -1])], [], node.opset), sizes)
    ones, zeros = np.ones(groups, dtype), np.zeros(groups, dtype)
    inner = Node("InstanceNormalization", node.attributes, [apart, ones, zeros], [], node.opset)
    target = np.array([0, *shape[1:]], object)
    whole = reshape(Node("Reshape", {}, [instance_normalization(inner, dtype), target], [], node.opset), sizes)
    return _scaled(whole, gamma, beta, dtype)


def rms_normalization(node: Node, dtype: Any) -> Value:
    """Return a division of every row by its root mean square."""
    value, gamma = node.inputs[0], node.constant(1, "scale")
    axis = counted(node.get("axis", -1), len(value.axes))
    axes = [value.axis(k, "RMSNormalization") for k in range(axis, len(value.axes))]
    if axes != sorted(axes) or gamma is None:
        raise UnsupportedError("RMSNormalization over axes in another order")
    layer = layers.RMSNormalization(axes, node.get("epsilon", 1e-5), dtype=dtype)
    outputs = layer(value.symbol)
    layer.set_weights([np.broadcast_to(gamma, [value.symbol.shape[a] for a in axes])])
    return Value(outputs, value.axes)


def layer_normalization(node: Node, dtype: Any) -> Value:
    """Return a normalisation of every row by itself."""
    value, gamma, beta = node.inputs[0], node.constant(1, "Scale"), node.constant(2, "B")
    axis = counted(node.get("axis", -1), len(value.axes))
    axes = [value.axis(k, "LayerNormalization") for k in range(axis, len(value.axes))]
    if axes != sorted(axes) or gamma is None:
        raise UnsupportedError("LayerNormalization over axes in another order")
    layer = layers.LayerNormalization(axes, node.get("epsilon", 1e-5), center=beta is not None, dtype=dtype)
    outputs = layer(value.symbol)
    sizes = [value.symbol.shape[a] for a in axes]
    layer.set_weights([np.broadcast_to(part, sizes) for part in (gamma, beta) if part is not None])
    return Value(outputs, value.axes)
