"""Layers of several inputs, and those that operators on symbols stand for."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .context import Context

_OPERATORS = {
    "Add": "Add",
    "Subtract": "Sub",
    "Multiply": "Mul",
    "Divide": "Div",
    "Maximum": "Max",
    "Minimum": "Min",
    "Average": "Mean",
}
_ARITHMETIC = {"add": "Add", "subtract": "Sub", "multiply": "Mul", "true_divide": "Div", "power": "Pow"}


def _masks(context: Context) -> list[Any]:
    count = len(context.parts())
    return context.mask if isinstance(context.mask, list) else [context.mask] * count


def elementwise(context: Context) -> tuple[str, Any]:
    """Write sums, products and their kind of several inputs."""
    layer, writer = context.layer, context.writer
    kind, masks = type(layer).__name__, _masks(context)
    if any(masks) and kind in ("Multiply", "Divide", "Maximum", "Minimum"):
        raise NotImplementedError("a mask")
    names = context.aligned()
    outputs = writer.add(_OPERATORS[kind], names[0], names[1]) if len(names) == 2 and kind != "Average" else None
    if outputs is None and kind in ("Maximum", "Minimum", "Average"):
        outputs = writer.add(_OPERATORS[kind], *names)
    if outputs is None:  # of two at a time in ONNX
        outputs = names[0]
        for name in names[1:]:
            outputs = writer.add(_OPERATORS[kind], outputs, name)
    axes = max(len(part.shape) for part in context.parts())
    of_steps = [m for m, part in zip(masks, context.parts(), strict=True) if len(part.shape) == axes]
    return outputs, _any_of(context, of_steps)


def _any_of(context: Context, masks: list[Any]) -> Any:
    """Return the mask of steps that count in any of several; None where one of them has none."""
    if any(m is None for m in masks):
        return None
    return functools.reduce(lambda together, mask: context.writer.add("Or", together, mask), masks)


def concatenate(context: Context) -> tuple[str, Any]:
    """Write inputs side by side."""
    layer, writer, masks = context.layer, context.writer, _masks(context)
    outputs = writer.add("Concat", *(part.name for part in context.parts()), axis=layer.axis)
    if not any(masks):
        return outputs, None
    axes = len(context.parts()[0].shape)
    axis = layer.axis % axes
    if axis == 1:
        if any(m is None for m in masks):
            raise NotImplementedError("masks of some inputs along the steps")
        return outputs, writer.add("Concat", *masks, axis=1)
    return outputs, _any_of(context, masks)


def arithmetic(context: Context) -> tuple[str, Any]:
    """Write an operation with a constant."""
    layer, writer = context.layer, context.writer
    if context.mask is not None and layer.operation in ("true_divide", "power"):
        raise NotImplementedError("a mask")
    constant = writer.constant(layer.constant.astype(context.inputs.dtype))
    sides = (constant, context.x) if layer.reverse else (context.x, constant)
    return writer.add(_ARITHMETIC[layer.operation], *sides), context.mask


def negative(context: Context) -> tuple[str, Any]:
    """Write the other sign."""
    return context.writer.add("Neg", context.x), context.mask


def absolute(context: Context) -> tuple[str, Any]:
    """Write no sign."""
    return context.writer.add("Abs", context.x), context.mask


def matmul(context: Context) -> tuple[str, Any]:
    """Write products of matrices."""
    return context.writer.add("MatMul", *(part.name for part in context.parts())), None


def item(context: Context) -> tuple[str, Any]:
    """Write a part of the inputs."""
    writer, name, mask = context.writer, context.x, context.mask
    axis = 0
    for part in context.layer._whole(context.axes):
        if part is None:
            name = writer.unsqueeze(name, axis)
            if mask is not None and axis == 1:
                raise NotImplementedError("a mask with a new axis before the steps")
            axis += 1
        elif isinstance(part, slice):
            if part != slice(None):
                step = 1 if part.step is None else part.step
                ends = (0, np.iinfo(np.int64).max) if step > 0 else (-1, np.iinfo(np.int64).min + 1)
                start, stop = (
                    end if given is None else given for end, given in zip(ends, (part.start, part.stop), strict=True)
                )
                name = writer.slice(name, axis, start, stop, step)
                if mask is not None and axis == 1:
                    mask = writer.slice(mask, axis, start, stop, step)
            axis += 1
        else:
            name = writer.add("Gather", name, writer.integers(part), axis=axis)
            mask = None if axis == 1 else mask
    return name, mask
