"""Layers of numbers by themselves and of features: dense, normalising, activations, shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....layers import RMSNormalization
from ....layers._normalization import axes_of
from .context import Context
from .functions import applied


def identity(context: Context) -> tuple[str, Any]:
    """Write nothing: the layer is for training."""
    return context.x, context.mask


def dense(context: Context) -> tuple[str, Any]:
    """Write a product with a matrix."""
    layer, writer = context.layer, context.writer
    sums = writer.add("MatMul", context.x, writer.constant(layer.kernel.numpy(), "kernel"))
    if layer.use_bias:
        sums = writer.add("Add", sums, writer.constant(layer.bias.numpy(), "bias"))
    return applied(writer, layer.activation, sums, context.axes), context.mask


def activation(context: Context) -> tuple[str, Any]:
    """Write an activation."""
    return applied(context.writer, context.layer.activation, context.x, context.axes), context.mask


def prelu(context: Context) -> tuple[str, Any]:
    """Write a rectifier with slopes of its own."""
    slope = context.writer.constant(context.layer.alpha.numpy(), "alpha")
    return context.writer.add("PRelu", context.x, slope), context.mask


def batch_normalization(context: Context) -> tuple[str, Any]:
    """Write a normalisation by averages: a factor and a summand for each feature, which are computed here."""
    layer, writer = context.layer, context.writer
    mean, variance = layer.moving_mean.numpy(), layer.moving_variance.numpy()
    factor = 1 / np.sqrt(variance + layer.dtype.type(layer.epsilon))
    if layer.gamma is not None:
        factor = factor * layer.gamma.numpy()
    shift = -mean * factor if layer.beta is None else layer.beta.numpy() - mean * factor
    shape = [1] * context.axes
    shape[layer.axis % context.axes] = -1
    scaled = writer.add("Mul", context.x, writer.constant(factor.reshape(shape), "gamma"))
    return writer.add("Add", scaled, writer.constant(shift.reshape(shape), "beta")), context.mask


def row_normalization(context: Context) -> tuple[str, Any]:
    """Write a normalisation of every row by itself."""
    layer, writer = context.layer, context.writer
    axes = list(axes_of(layer.name, layer.axis, context.inputs.shape))
    sizes = [context.inputs.shape[a] if a in axes else 1 for a in range(context.axes)]
    measured = context.x
    if not isinstance(layer, RMSNormalization):
        mean = writer.add("ReduceMean", context.x, axes=axes)
        measured = writer.add("Sub", context.x, mean)
    variance = writer.add("ReduceMean", writer.add("Mul", measured, measured), axes=axes)
    root = writer.add("Sqrt", writer.add("Add", variance, writer.number(layer.epsilon)))
    outputs = writer.add("Div", measured if layer.subtracts_mean else context.x, root)
    if layer.gamma is not None:
        outputs = writer.add("Mul", outputs, writer.constant(layer.gamma.numpy().reshape(sizes), "gamma"))
    if layer.beta is not None:
        outputs = writer.add("Add", outputs, writer.constant(layer.beta.numpy().reshape(sizes), "beta"))
    return outputs, context.mask


def layer_normalization(context: Context) -> tuple[str, Any]:
    """Write ONNX's own operator where it says the same, over the last axis with a mean."""
    layer, writer = context.layer, context.writer
    axes = axes_of(layer.name, layer.axis, context.inputs.shape)
    # In float64 runtimes compute the mean in float32, as the operator says.
    if axes != (context.axes - 1,) or not layer.subtracts_mean or layer.dtype == np.float64:
        return row_normalization(context)
    features = context.inputs.shape[-1]
    gamma = np.ones(features, layer.dtype) if layer.gamma is None else layer.gamma.numpy()
    names = [context.x, writer.constant(gamma, "gamma")]
    if layer.beta is not None:
        names.append(writer.constant(layer.beta.numpy(), "beta"))
    return writer.add_several("LayerNormalization", names, 1, axis=-1, epsilon=float(layer.epsilon))[0], context.mask


def rescaling(context: Context) -> tuple[str, Any]:
    """Write a factor and a summand."""
    layer, writer = context.layer, context.writer
    outputs = writer.add("Mul", context.x, writer.constant(layer.scale, "scale"))
    return writer.add("Add", outputs, writer.constant(layer.offset, "offset")), context.mask


def normalization(context: Context) -> tuple[str, Any]:
    """Write a normalisation by what is known of the data."""
    layer, writer = context.layer, context.writer
    mean, deviation = writer.constant(layer.mean, "mean"), writer.constant(layer._deviation(), "deviation")
    if layer.invert:
        return writer.add("Add", writer.add("Mul", context.x, deviation), mean), context.mask
    return writer.add("Div", writer.add("Sub", context.x, mean), deviation), context.mask


def unit_normalization(context: Context) -> tuple[str, Any]:
    """Write a division by the Euclidean length."""
    writer, axis = context.writer, context.layer.axis
    axes = [k % context.axes for k in ([axis] if isinstance(axis, int) else axis)]
    if 0 in axes:
        raise NotImplementedError("UnitNormalization along the batch")
    length = writer.add("ReduceL2", context.x, axes=axes, keepdims=1)
    return writer.add("Div", context.x, writer.add("Max", length, writer.number(1e-12))), context.mask


def flatten(context: Context) -> tuple[str, Any]:
    """Write all numbers of a row side by side."""
    return context.writer.add("Flatten", context.x, axis=1), None


def reshape(context: Context) -> tuple[str, Any]:
    """Write the numbers of a row in another shape."""
    # 0 takes the batch as it is.
    return context.writer.add("Reshape", context.x, context.writer.integers([0, *context.layer.target_shape])), None


def permute(context: Context) -> tuple[str, Any]:
    """Write other axes in the place of these."""
    return context.writer.transpose(context.x, 0, *context.layer.dims), None


_REDUCTIONS = {"l1": "L1", "l2": "L2", "log_sum": "LogSum", "log_sum_exp": "LogSumExp", "sum_square": "SumSquare"}


def reduction(context: Context) -> tuple[str, Any]:
    """Write a sum, or its kind, along axes."""
    layer, writer = context.layer, context.writer
    axes, keepdims = [axis % context.axes for axis in layer.axis], int(layer.keepdims)
    if layer.operation == "sum":  # the only one whose axes are an input in this opset
        return writer.add("ReduceSum", context.x, writer.integers(axes), keepdims=keepdims), None
    kind = _REDUCTIONS.get(layer.operation, layer.operation.capitalize())
    return writer.add(f"Reduce{kind}", context.x, axes=axes, keepdims=keepdims), None


def arg_max(context: Context) -> tuple[str, Any]:
    """Write where the largest number stands."""
    layer, writer = context.layer, context.writer
    return writer.add("ArgMax", context.x, axis=layer.axis % context.axes, keepdims=int(layer.keepdims)), None


def clip(context: Context) -> tuple[str, Any]:
    """Write numbers kept between two."""
    limits = (context.layer.min_value, context.layer.max_value)
    names = ["" if limit is None else context.writer.number(limit) for limit in limits]
    return context.writer.add("Clip", context.x, *names), context.mask
