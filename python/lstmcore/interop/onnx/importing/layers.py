"""Operators of single arrays: products with matrices, normalisation, activations, windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from .... import layers
from ....activations import piecewise, smooth
from ....activations.softmaxes import LogSoftmax
from .folding import Node
from .values import Constant, OtherBatchError, UnsupportedError, Value, batch_first, counted, in_axes, laid_out

REDUCTIONS = {
    "ReduceSum": "sum",
    "ReduceMean": "mean",
    "ReduceMax": "max",
    "ReduceMin": "min",
    "ReduceProd": "prod",
    "ReduceL1": "l1",
    "ReduceL2": "l2",
    "ReduceLogSum": "log_sum",
    "ReduceLogSumExp": "log_sum_exp",
    "ReduceSumSquare": "sum_square",
}
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


_OF_SELU = {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875}  # as the operator has them


def same_axes(value: Value, layer: Any) -> Value:
    """Return what a layer makes of every number by itself, wherever the axes are."""
    return Value(layer(value.symbol), value.axes)


def dense(node: Node, bias: Constant | None, dtype: Any) -> Value:
    """Return the product with a matrix of weights, over the last axis."""
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
    layer = layers.Dense(kernel.shape[1], use_bias=bias is not None, dtype=dtype)
    outputs = layer(value.symbol)
    layer.set_weights([kernel] if bias is None else [kernel, np.broadcast_to(bias.reshape(-1), kernel.shape[1:])])
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
    own = Node("Gemm", {}, [node.inputs[0], kernel], node.outputs, node.opset)
    return dense(own, bias, dtype)


def embedding(node: Node, dtype: Any) -> Value:
    """Return the rows of a constant that integers say."""
    table, value = node.inputs
    if table.ndim != 2 or node.get("axis", 0) != 0:
        raise UnsupportedError("Gather of other than rows")
    layer = layers.Embedding(*table.shape, dtype=dtype)
    outputs = layer(value.symbol)
    layer.set_weights([table])
    return Value(outputs, (*value.axes, (outputs.ndim - 1,)))


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
    raise UnsupportedError(kind)


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


# --- over steps: ONNX has (batch, channels, steps) ---


def _steps_last(value: Any) -> Any:
    """Return the symbol (batch, steps, channels) of a value (batch, channels, steps)."""
    if len(value.axes) != 3:
        raise UnsupportedError(f"windows over {len(value.axes) - 2} axes")
    if value.axes[0] != (0,):
        raise OtherBatchError(0, value)
    if value.axes == ((0,), (2,), (1,)):
        return value.symbol
    return layers.Permute((2, 1))(batch_first(value))


def _channels_first(symbol: Any) -> Value:
    return Value(symbol, ((0,), (2,), (1,)))


def _pads(node: Node, symbol: Any, size: int) -> tuple[int, int]:
    kind = node.get("auto_pad", "NOTSET")
    stride = node.get("strides", [1])[0]
    if kind in ("SAME_UPPER", "SAME_LOWER"):
        steps = symbol.shape[1]
        if steps is None and stride > 1:
            raise UnsupportedError(f"{kind} with strides and a number of steps that is not known")
        whole = size - 1 if steps is None else max(0, (-(-steps // stride) - 1) * stride + size - steps)
        less, more = whole // 2, whole - whole // 2
        return (less, more) if kind == "SAME_UPPER" else (more, less)
    pads = node.get("pads", [0, 0])
    return (0, 0) if kind == "VALID" else (pads[0], pads[1])


def conv(node: Node, dtype: Any) -> Value:
    """Return a convolution over steps."""
    kernel, bias = node.constant(1, "W"), node.constant(2, "B")
    if kernel is None or kernel.ndim != 3:
        raise UnsupportedError(f"Conv over {0 if kernel is None else kernel.ndim - 2} axes")
    if node.get("kernel_shape", [kernel.shape[2]]) != [kernel.shape[2]]:
        raise ValueError(f"kernel_shape: expected [{kernel.shape[2]}], as W has it, got {node.get('kernel_shape')}")
    symbol = _steps_last(node.inputs[0])
    dilation, stride = node.get("dilations", [1])[0], node.get("strides", [1])[0]
    pads = _pads(node, symbol, (kernel.shape[2] - 1) * dilation + 1)
    if any(pads):
        symbol = layers.ZeroPadding1D(pads, dtype=dtype)(symbol)
    layer = layers.Conv1D(
        kernel.shape[0],
        kernel.shape[2],
        strides=stride,
        dilation_rate=dilation,
        groups=node.get("group", 1),
        use_bias=bias is not None,
        dtype=dtype,
    )
    outputs = layer(symbol)
    layer.set_weights([kernel.transpose(2, 1, 0), *([] if bias is None else [bias])])
    return _channels_first(outputs)


def pool(node: Node, dtype: Any) -> Value:
    """Return a pooling over windows of steps."""
    symbol = _steps_last(node.inputs[0])
    size, stride = node.get("kernel_shape")[0], node.get("strides", [1])[0]
    if node.get("dilations", [1])[0] != 1 or node.get("ceil_mode", 0):
        raise UnsupportedError("dilations or ceil_mode of pooling")
    kind = layers.MaxPooling1D if node.operator == "MaxPool" else layers.AveragePooling1D
    pads = _pads(node, symbol, size)
    padding = "valid"
    if any(pads):
        steps = symbol.shape[1]
        whole = size - 1 if steps is None else max(0, (-(-steps // stride) - 1) * stride + size - steps)
        if pads != (whole // 2, whole - whole // 2) or (steps is None and stride > 1) or node.get("count_include_pad"):
            raise UnsupportedError(f"pads {pads} of pooling")
        padding = "same"
    return _channels_first(kind(size, stride, padding, dtype=dtype)(symbol))


def global_pool(node: Node, dtype: Any) -> Value:
    """Return the largest value or the mean of all steps."""
    kind = layers.GlobalMaxPooling1D if node.operator == "GlobalMaxPool" else layers.GlobalAveragePooling1D
    return Value(kind(dtype=dtype)(_steps_last(node.inputs[0])), ((0,), (1,), ()))


# --- along axes ---


def reduce(node: Node, dtype: Any) -> Value:
    """Return the sum, or its kind, along axes."""
    value, axes = node.inputs[0], node.axes()
    if axes is None and node.get("noop_with_empty_axes", 0):
        return value  # type: ignore[no-any-return]
    if axes is None:
        raise UnsupportedError(f"{node.operator} along the batch")
    gone = sorted({counted(k, len(value.axes)) for k in axes})
    own = [value.axis(k, node.operator) for k in gone if value.axes[k]]
    if len(own) < len(gone) and REDUCTIONS[node.operator] not in ("sum", "mean", "max", "min", "prod"):
        raise UnsupportedError(f"{node.operator} along an axis of size 1")
    if not own:
        return Value(value.symbol, _left(value, gone, [], bool(node.get("keepdims", 1))))
    made = layers.Reduction(REDUCTIONS[node.operator], own, dtype=dtype)(value.symbol)
    return Value(made, _left(value, gone, own, bool(node.get("keepdims", 1))))


def arg_max(node: Node, dtype: Any) -> Value:
    """Return where the largest number along an axis stands."""
    value = node.inputs[0]
    if node.get("select_last_index", 0):
        raise UnsupportedError("ArgMax of the last of equal numbers")
    at = counted(node.get("axis", 0), len(value.axes))
    own = value.axis(at, "ArgMax")
    made = layers.ArgMax(own, dtype=dtype)(value.symbol)
    return Value(made, _left(value, [at], [own], bool(node.get("keepdims", 1))))


def _left(value: Value, gone: list[int], own: list[int], keepdims: bool) -> tuple[tuple[int, ...], ...]:
    """Return the axes of what has lost some of the file's, which are some of the symbol's own."""
    axes = [() if k in gone else tuple(a - sum(o < a for o in own) for a in axis) for k, axis in enumerate(value.axes)]
    return tuple(axis for k, axis in enumerate(axes) if keepdims or k not in gone)
