"""Operators along axes: sums and their kind, and where the largest number stands."""

from __future__ import annotations

from typing import Any

from .... import layers
from .errors import UnsupportedError
from .nodes import Node
from .values import Value, counted

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


def reduce(node: Node, dtype: Any) -> Value:
    """Return the sum, or its kind, along axes; of what is true or false, how many are true."""
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
    counted_up = node.operator == "ReduceSum" and value.symbol.dtype.kind == "b"
    layer = layers.Count(own) if counted_up else layers.Reduction(REDUCTIONS[node.operator], own, dtype=dtype)
    made = layer(value.symbol)
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
