"""Layers that have layers within: these are written one after the other."""

from __future__ import annotations

from typing import Any

from .context import Context
from .writer import Value


def time_distributed(context: Context) -> tuple[str, Any]:
    """Write a layer of single steps: all steps of all rows are rows to it."""
    writer, layer = context.writer, context.layer.layer
    _, _, *inner = context.inputs.shape
    if None in inner:
        raise NotImplementedError("sizes behind the steps that are not known")
    if context.states is not None and getattr(layer, "state_names", None):
        raise NotImplementedError("states of a layer within")
    rows = Value(writer.add("Reshape", context.x, writer.integers([-1, *inner])), (None, *inner), context.inputs.dtype)
    shape = layer.compute_output_shape((None, *inner))
    outputs, mask = context.write(layer, rows, None, {}, shape)
    if mask is not None:
        raise NotImplementedError("a mask that is made within")
    sizes = writer.add("Slice", writer.add("Shape", context.x), writer.integers([0]), writer.integers([2]))
    whole = writer.add("Concat", sizes, writer.integers([int(n) for n in shape[1:]]), axis=0)
    return writer.add("Reshape", outputs, whole), context.mask


def residual(context: Context) -> tuple[str, Any]:
    """Write a chain of layers and the sum with its inputs."""
    writer, layer = context.writer, context.layer
    value, mask = context.inputs, context.mask
    for part in layer.layers:
        shape = part.compute_output_shape(value.shape)
        name, mask = context.write(part, value, mask, {}, shape)
        value = Value(name, shape, layer.dtype)
    beside = context.x
    if layer.projection is not None:
        beside, _ = context.write(layer.projection, context.inputs, None, {}, value.shape)
    return writer.add("Add", beside, value.name), mask if context.mask is None else context.mask


def model(context: Context) -> tuple[Any, Any]:
    """Write a model that is a layer of another."""
    return context.draw(context.layer.drawn(), context.parts(), context.mask)
