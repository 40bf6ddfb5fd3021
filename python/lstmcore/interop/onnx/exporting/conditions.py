"""Layers of what is true or false, of functions of single numbers, and of steps by their numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .context import Context

_COMPARED = {
    "equal": "Equal",
    "less": "Less",
    "less_equal": "LessOrEqual",
    "greater": "Greater",
    "greater_equal": "GreaterOrEqual",
    "and": "And",
    "or": "Or",
}
_FUNCTIONS = {
    "erf": "Erf",
    "log": "Log",
    "sqrt": "Sqrt",
    "sin": "Sin",
    "cos": "Cos",
    "sign": "Sign",
    "floor": "Floor",
    "ceil": "Ceil",
    "round": "Round",
}


def elementwise(context: Context) -> tuple[str, Any]:
    """Write a function of single numbers."""
    return context.writer.add(_FUNCTIONS[context.layer.function], context.x), context.mask


def compare(context: Context) -> tuple[str, None]:
    """Write where numbers are larger, less or equal."""
    layer, writer = context.layer, context.writer
    if layer.constant is None:
        sides = context.aligned()
    else:
        if context.inputs.dtype.kind in "iu" and layer.constant.dtype.kind == "f":
            raise NotImplementedError("integers that are compared with no integer")
        sides = [context.x, writer.constant(layer.constant.astype(context.inputs.dtype))]
    found = writer.add(_COMPARED[layer.operation], *sides)
    return writer.add("Not", found) if layer.invert else found, None


def where(context: Context) -> tuple[str, None]:
    """Write numbers of one array where a condition is true, and of another elsewhere."""
    layer, writer = context.layer, context.writer
    other = [] if layer.otherwise is None else [writer.number(layer.otherwise)]
    return writer.add("Where", *context.aligned(), *other), None


def cast(context: Context) -> tuple[str, None]:
    """Write numbers of the layer's dtype."""
    return context.writer.cast(context.x, context.layer.dtype), None


def parameter(context: Context) -> tuple[str, None]:
    """Write an array for each row of the batch."""
    writer, value = context.writer, context.layer.value.numpy()
    shape = writer.add("Concat", writer.size(context.x, 0), writer.integers(value.shape), axis=0)
    return writer.add("Expand", writer.constant(value[None], "value"), shape), None


def sequence_mask(context: Context) -> tuple[str, None]:
    """Write the mask that lengths make."""
    writer, (sequences, lengths) = context.writer, context.parts()
    steps = writer.positions(sequences.name)
    return writer.add("Less", steps, writer.unsqueeze(writer.cast(lengths.name, np.int64), 1)), None


def count(context: Context) -> tuple[str, None]:
    """Write how many are true, or not 0.

    The integers are of 32 bits, which those of a mask into a recurrent layer are not: so they are told apart.
    """
    layer, writer = context.layer, context.writer
    axes, found = writer.integers([axis % context.axes for axis in layer.axis]), context.x
    if context.inputs.dtype.kind != "b":
        nothing = writer.constant(np.zeros((), context.inputs.dtype))
        found = writer.add("Not", writer.add("Equal", found, nothing))
    counts = writer.add("ReduceSum", writer.cast(found, np.int32), axes, keepdims=int(layer.keepdims))
    return writer.cast(counts, np.int64), None


def size(context: Context) -> tuple[str, None]:
    """Write the size of an axis for each row."""
    layer, writer = context.layer, context.writer
    number = writer.cast(writer.size(context.x, layer.axis % context.axes), layer.dtype)
    return writer.add("Expand", number, writer.size(context.x, 0)), None


def take_step(context: Context) -> tuple[str, None]:
    """Write one step of each row."""
    writer, (sequences, places) = context.writer, context.parts()
    indices = writer.unsqueeze(writer.cast(places.name, np.int64), 1)
    return writer.add("GatherND", sequences.name, indices, batch_dims=1), None


def not_equal(context: Context) -> tuple[str, Any]:
    """Write where inputs differ from a value."""
    layer, writer = context.layer, context.writer
    value = writer.constant(np.asarray(layer.value, context.inputs.dtype))
    differs = writer.add("Not", writer.add("Equal", context.x, value))
    if not layer.any_feature:
        return differs, context.mask
    most = writer.add("ReduceMax", writer.cast(differs, writer.dtype), axes=[-1], keepdims=0)
    return writer.add("Greater", most, writer.number(0)), context.mask
