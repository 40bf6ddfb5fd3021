"""Layers over steps: convolution, pooling, padding, and what makes masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....layers import MaxPooling1D
from .context import Context
from .functions import applied


def conv1d(context: Context) -> tuple[str, Any]:
    """Write a convolution; steps that do not count are zeros to it."""
    layer, writer = context.layer, context.writer
    x = context.x if context.mask is None else writer.masked(context.x, context.mask, 3)
    kernel = layer.kernel.numpy()  # (size, channels / groups, filters), ONNX's (filters, channels / groups, size)
    inputs = [writer.transpose(x, 0, 2, 1), writer.constant(kernel.transpose(2, 1, 0), "W")]
    if layer.use_bias:
        inputs.append(writer.constant(layer.bias.numpy(), "B"))
    padding = _padding(context, layer._windows)
    sums = writer.add_several(
        "Conv",
        inputs,
        1,
        kernel_shape=[layer.kernel_size],
        strides=[layer.strides],
        dilations=[layer.dilation_rate],
        group=layer.groups,
        pads=padding,
    )[0]
    outputs = applied(writer, layer.activation, writer.transpose(sums, 0, 2, 1), 3)
    return outputs, _mask_of_convolution(context)


def _padding(context: Context, windows: Any) -> list[int]:
    """Return the steps of zeros before and behind."""
    if windows.padding == "valid":
        return [0, 0]
    if windows.padding == "causal":
        return [windows.span - 1, 0]
    steps = context.inputs.shape[1]
    if steps is None:
        if windows.strides > 1:
            raise NotImplementedError("padding='same' with strides and a number of steps that is not known")
        steps = windows.span
    before = windows.before(steps)
    last = (steps - 1) // windows.strides * windows.strides
    return [before, max(0, last + windows.span - steps - before)]


def _mask_of_convolution(context: Context) -> Any:
    layer, writer = context.layer, context.writer
    if context.mask is None:
        return None
    if layer.padding != "valid":
        if layer.strides == 1:
            return context.mask
        return writer.slice(context.mask, 1, 0, np.iinfo(np.int64).max, layer.strides)
    # A window counts where none of its steps is left out.
    left_out = writer.cast(writer.add("Not", context.mask), layer.dtype)
    ones = writer.constant(np.ones((1, 1, layer.kernel_size), layer.dtype))
    options = {"strides": [layer.strides], "dilations": [layer.dilation_rate]}
    counts = writer.add("Conv", writer.unsqueeze(left_out, 1), ones, **options)
    return writer.add("Less", writer.squeeze(counts, 1), writer.number(0.5))


def pooling(context: Context) -> tuple[str, Any]:
    """Write a pooling over windows."""
    layer, writer = context.layer, context.writer
    if context.mask is not None:
        raise NotImplementedError("a mask")
    largest = isinstance(layer, MaxPooling1D)
    outputs = writer.add(
        "MaxPool" if largest else "AveragePool",
        writer.transpose(context.x, 0, 2, 1),
        kernel_shape=[layer.pool_size],
        strides=[layer.strides],
        pads=_padding(context, layer._windows),
    )
    return writer.transpose(outputs, 0, 2, 1), None


def global_max(context: Context) -> tuple[str, Any]:
    """Write the largest value over all steps."""
    return context.writer.add("ReduceMax", context.x, axes=[1], keepdims=int(context.layer.keepdims)), None


def global_average(context: Context) -> tuple[str, Any]:
    """Write the mean over all steps that count."""
    layer, writer, keepdims = context.layer, context.writer, int(context.layer.keepdims)
    if context.mask is None:
        return writer.add("ReduceMean", context.x, axes=[1], keepdims=keepdims), None
    left_in = writer.masked(context.x, context.mask, 3)
    sums = writer.add("ReduceSum", left_in, writer.integers([1]), keepdims=keepdims)
    marks = writer.unsqueeze(writer.cast(context.mask, layer.dtype), 2)
    counts = writer.add("ReduceSum", marks, writer.integers([1]), keepdims=keepdims)
    return writer.add("Div", sums, writer.add("Max", counts, writer.number(1))), None


def masking(context: Context) -> tuple[str, str]:
    """Write what masks steps by their value."""
    writer, value = context.writer, context.writer.number(context.layer.mask_value)
    differs = writer.cast(writer.add("Not", writer.add("Equal", context.x, value)), writer.dtype)
    most = writer.add("ReduceMax", differs, axes=[-1], keepdims=0)
    own = writer.mask(writer.add("Greater", most, writer.number(0)), context.axes - 1)
    return writer.masked(context.x, own, context.axes), writer.both(own, context.mask)


def embedding(context: Context) -> tuple[str, Any]:
    """Write vectors of integers, and the mask that zeros among these make."""
    layer, writer = context.layer, context.writer
    indices = context.x if context.inputs.dtype.kind in "iu" else writer.cast(context.x, np.int64)
    outputs = writer.add("Gather", writer.constant(layer.embeddings.numpy(), "embeddings"), indices, axis=0)
    if not layer.mask_zero:
        return outputs, context.mask
    zero = writer.constant(np.zeros((), context.inputs.dtype if indices == context.x else np.int64))
    own = writer.mask(writer.add("Not", writer.add("Equal", indices, zero)), context.axes)
    return outputs, writer.both(own, context.mask)


def zero_padding(context: Context) -> tuple[str, Any]:
    """Write steps of zeros before and behind."""
    writer, (before, behind) = context.writer, context.layer.padding
    if context.mask is not None:
        raise NotImplementedError("a mask")
    pads = writer.integers([0, before, 0, 0, behind, 0])
    return writer.add("Pad", context.x, pads, writer.number(0)), None


def cropping(context: Context) -> tuple[str, Any]:
    """Write the steps without the first and the last."""
    before, behind = context.layer.cropping

    def cut(name: str) -> str:
        return context.writer.slice(name, 1, before, -behind if behind else np.iinfo(np.int64).max)

    return cut(context.x), None if context.mask is None else cut(context.mask)


def repeat(context: Context) -> tuple[str, Any]:
    """Write a vector as a sequence of the same."""
    writer = context.writer
    shape = writer.integers([1, context.layer.n, 1])
    return writer.add("Expand", writer.unsqueeze(context.x, 1), shape), None


def up_sampling(context: Context) -> tuple[str, Any]:
    """Write every step several times."""
    writer, size = context.writer, context.layer.size
    if context.mask is not None:
        raise NotImplementedError("a mask")
    wide = writer.add("Expand", writer.unsqueeze(context.x, 2), writer.integers([1, 1, size, 1]))
    features = context.inputs.shape[2]
    if features is None:
        raise NotImplementedError("a number of features that is not known")
    steps = writer.add("Mul", writer.size(context.x, 1), writer.integers([size]))
    shape = writer.add("Concat", writer.size(context.x, 0), steps, writer.integers([features]), axis=0)
    return writer.add("Reshape", wide, shape), None
