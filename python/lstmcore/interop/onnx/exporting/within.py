"""Layers that have layers within: these are written one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .context import Context
from .writer import Value, Writer


def time_distributed(context: Context) -> tuple[str, Any]:
    """Write a layer of single steps: all steps of all rows are rows to it."""
    writer, layer = context.writer, context.layer.layer
    _, _, *inner = context.inputs.shape
    if context.states is not None and getattr(layer, "state_names", None):
        raise NotImplementedError("states of a layer within")
    sizes = writer.slice(writer.add("Shape", context.x), 0, 0, 2)
    rows = Value(_merged(writer, context.x, inner), (None, *inner), context.inputs.dtype)
    mask = context.mask
    if mask is not None:
        axes = writer.axes_of(mask)
        mask = writer.mask(_merged(writer, mask, inner[: axes - 2]), axes - 1)
    shape = layer.compute_output_shape((None, *inner))
    outer, writer.within_rows = writer.within_rows, True
    try:
        outputs, left = context.write(layer, rows, mask, {}, shape)
    finally:
        writer.within_rows = outer
    if left is None:
        return _apart(writer, outputs, sizes, shape[1:]), None
    axes = writer.axes_of(left)
    if left == mask:
        return _apart(writer, outputs, sizes, shape[1:]), context.mask
    return _apart(writer, outputs, sizes, shape[1:]), writer.mask(_apart(writer, left, sizes, shape[1:axes]), axes + 1)


def _merged(writer: Writer, name: str, inner: Sequence[int | None]) -> str:
    """Return the name of an array whose batch and steps are one axis, before those of such sizes."""
    if None not in inner:
        return writer.add("Reshape", name, writer.integers([-1, *(int(n or 0) for n in inner)]))
    behind = writer.slice(writer.add("Shape", name), 0, 2, 2 + len(inner))
    return writer.add("Reshape", name, writer.add("Concat", writer.integers([-1]), behind, axis=0))


def _apart(writer: Writer, name: str, sizes: str, inner: Sequence[int | None]) -> str:
    """Return the name of an array whose rows are steps again, of so many ``sizes``: the way back of `_merged`."""
    if None not in inner:
        behind = writer.integers([int(n or 0) for n in inner])
    else:
        behind = writer.slice(writer.add("Shape", name), 0, 1, 1 + len(inner))
    return writer.add("Reshape", name, writer.add("Concat", sizes, behind, axis=0))


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
