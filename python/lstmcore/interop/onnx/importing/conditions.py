"""Operators of what is true or false."""

from __future__ import annotations

from typing import Any

import numpy as np

from .... import layers
from .errors import UnsupportedError
from .nodes import Node
from .shapes import together, with_constant
from .values import Constant, Value, reshaped

COMPARED = {
    "Equal": "equal",
    "Less": "less",
    "LessOrEqual": "less_equal",
    "Greater": "greater",
    "GreaterOrEqual": "greater_equal",
    "And": "and",
    "Or": "or",
}
_SWAPPED = {
    "less": "greater",
    "less_equal": "greater_equal",
    "greater": "less",
    "greater_equal": "less_equal",
}


def compare(node: Node, dtype: Any) -> Value:
    """Return where one array is less than another, or equal, or what else it is."""
    operation, (first, second) = COMPARED[node.operator], node.inputs
    if isinstance(first, Value) and isinstance(second, Value):
        one, other = together(node.operator, [first, second])
        return Value(layers.Compare(operation, dtype=dtype)([one.symbol, other.symbol]), one.axes)
    if not isinstance(first, Value):
        first, second, operation = second, first, _SWAPPED.get(operation, operation)
    value, constant = with_constant(first, second)
    return Value(layers.Compare(operation, constant, dtype=dtype)(value.symbol), value.axes)


def invert(node: Node, dtype: Any) -> Value:
    """Return where something is not so."""
    value: Value = node.inputs[0]
    return Value(layers.Compare("equal", False, dtype=dtype)(value.symbol), value.axes)


def where(node: Node, dtype: Any) -> Value:
    """Return numbers of one array where a condition is true, and of another elsewhere."""
    condition, first, second = node.inputs
    if not isinstance(condition, Value):
        if condition.size and (condition.all() or not condition.any()):
            taken, other = (first, second) if condition.all() else (second, first)
            if isinstance(taken, Value) and len(taken.axes) >= condition.ndim and getattr(other, "size", 1) == 1:
                return taken
        condition = _same_for_all_rows(condition, [first, second], dtype)
        node = Node("Where", {}, [condition, first, second], node.outputs, node.opset)
    if any(isinstance(v, Value) and v.symbol.dtype.kind != "f" for v in (first, second)):
        raise UnsupportedError("Where of integers")
    if isinstance(first, Value) and isinstance(second, np.ndarray) and second.size == 1:
        shape = max(second.ndim, len(condition.axes), len(first.axes))
        if shape == max(len(condition.axes), len(first.axes)):
            one, other = together("Where", [condition, first])
            made = layers.Where(float(second.reshape(-1)[0]), dtype=dtype)([one.symbol, other.symbol])
            return Value(made, one.axes)
    sides = [v if isinstance(v, Value) else _of_constant(condition, v, dtype) for v in (first, second)]
    values = together("Where", [condition, *sides])
    return Value(layers.Where(dtype=dtype)([v.symbol for v in values]), values[0].axes)


def _same_for_all_rows(constant: Constant, sides: list[Any], dtype: Any) -> Value:
    """Return a condition that is a constant, such as which steps another one sees, as a symbol.

    Its numbers are compared with one that is above all that are True and below all that are False: a size.
    """
    values = [side for side in sides if isinstance(side, Value)]
    value = max(values, key=lambda side: len(side.axes))
    if constant.dtype != bool or constant.ndim > len(value.axes):
        raise UnsupportedError("a condition that is a constant of more axes than the numbers")
    value, own = with_constant(value, constant)
    size = layers.Size(1, dtype=dtype)(value.symbol)
    wide = reshaped(size, (1,) * (value.symbol.ndim - 1))
    limits = np.where(own, np.float32(-1), np.finfo(np.float32).max)
    return Value(layers.Compare("greater", limits, dtype=dtype)(wide), value.axes)


def _of_constant(condition: Value, constant: Constant, dtype: Any) -> Value:
    """Return a constant as a symbol of the condition's rows."""
    if constant.dtype.kind != "f":
        raise UnsupportedError("Where of integers")
    value, own = with_constant(condition, constant)
    nothing = layers.Arithmetic("multiply", 0.0, dtype=dtype)(layers.Cast(dtype=dtype)(value.symbol))
    return Value(layers.Arithmetic("add", own, dtype=dtype)(nothing), value.axes)
