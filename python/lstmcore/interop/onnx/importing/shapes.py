"""Operators that move numbers about, and those of two arrays."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .... import layers
from .errors import UnsupportedError
from .nodes import Node, part, slices
from .sizes import Size, Sizes
from .values import Constant, Value, counted, in_axes, laid_out, reshaped, widened

_ARITHMETIC = {"Add": "add", "Sub": "subtract", "Mul": "multiply", "Div": "true_divide", "Pow": "power"}
_MERGING = {
    "Add": layers.Add,
    "Sum": layers.Add,
    "Sub": layers.Subtract,
    "Mul": layers.Multiply,
    "Div": layers.Divide,
    "Max": layers.Maximum,
    "Min": layers.Minimum,
    "Mean": layers.Average,
}


def transpose(node: Node) -> Value:
    """Return the axes in another order, for which nothing is computed."""
    value = node.inputs[0]
    order = node.get("perm") or list(reversed(range(len(value.axes))))
    if sorted(order) != list(range(len(value.axes))):
        raise ValueError(f"Transpose: perm: expected {len(value.axes)} axes, got {order}")
    return Value(value.symbol, tuple(value.axes[k] for k in order))


def squeeze(node: Node) -> Value:
    """Return a value without axes of size 1."""
    axes = node.axes()
    value: Value = node.inputs[0]
    count = len(value.axes)
    if axes is None:
        axes = [k for k, own in enumerate(value.axes) if math.prod(value.symbol.shape[a] or 0 for a in own) == 1]
    for k in sorted((counted(axis, count) for axis in axes), reverse=True):
        sizes = [value.symbol.shape[a] for a in value.axes[k]]
        if None in sizes:
            raise UnsupportedError("Squeeze of an axis of unknown size")
        if math.prod(sizes) != 1:  # type: ignore[arg-type]
            raise ValueError(f"Squeeze: axes: expected axes of size 1, got {sizes}")
        value = without(value, k, 0)
    return value


def without(value: Value, axis: int, index: int) -> Value:
    """Return one element along an axis, which is then gone."""
    rest = [own for k, own in enumerate(value.axes) if k != axis]
    if not value.axes[axis]:
        if index not in (0, -1):
            raise ValueError(f"expected an index of the only element along axis {axis}, got {index}")
        return Value(value.symbol, tuple(rest))
    own = value.axis(axis, "one element")
    symbol = layers.GetItem([slice(None)] * own + [index], dtype=None)(value.symbol)
    return Value(symbol, tuple(tuple(a - (a > own) for a in axes) for axes in rest))


def unsqueeze(node: Node) -> Value:
    """Return a value with further axes of size 1."""
    value, given = node.inputs[0], node.axes() or []
    count = len(value.axes) + len(given)
    new = {counted(k, count) for k in given}
    if len(new) < len(given):
        raise ValueError(f"Unsqueeze: axes: expected different ones, got {given}")
    rest = iter(value.axes)
    return Value(value.symbol, tuple(() if k in new else next(rest) for k in range(count)))


def gather(node: Node) -> Value:
    """Return elements along an axis: one, or several that follow one another."""
    value, indices = node.inputs
    axis = counted(node.get("axis", 0), len(value.axes))
    if indices.ndim == 0:
        return without(value, axis, int(indices))
    if indices.ndim != 1 or not indices.size:
        raise UnsupportedError(f"Gather of indices of shape {indices.shape}")
    if indices.size == 1:
        kept = without(value, axis, int(indices[0]))
        return Value(kept.symbol, (*kept.axes[:axis], (), *kept.axes[axis:]))
    steps = set(np.diff(indices).tolist())
    if len(steps) != 1 or steps == {0} or (indices < 0).any():
        raise UnsupportedError("Gather of indices that do not follow one another")
    step = steps.pop()
    last = int(indices[-1]) + step
    return sliced(value, axis, slice(int(indices[0]), None if last < 0 else last, step))


def sliced(value: Value, axis: int, key: slice) -> Value:
    """Return a part along an axis."""
    if key == slice(None):
        return value
    if not value.axes[axis]:
        if len(range(*key.indices(1))) != 1:
            raise UnsupportedError("Slice that leaves nothing")
        return value
    own = value.axis(axis, "Slice")
    first = key.start or 0
    if value.symbol.shape[own] is None and key.step is None and key.stop == (first + 1 or None):
        one = without(value, axis, first)  # of as many as there may be
        return Value(one.symbol, (*one.axes[:axis], (), *one.axes[axis:]))
    return Value(layers.GetItem([slice(None)] * own + [key])(value.symbol), value.axes)


def slice_(node: Node, sizes: Sizes) -> Value:
    """Return parts along axes."""
    value: Value = node.inputs[0]
    count = len(value.axes)
    shape = value.shape(sizes)
    for start, end, axis, step in zip(*slices(node, count), strict=True):
        key = part(start, end, step)
        if step == 1 and not start and not isinstance(shape[axis], Size) and end >= shape[axis]:
            key = slice(None)
        value = sliced(value, axis, key)
    return value


def reverse_sequence(node: Node, sizes: Sizes) -> Value:
    """Return all steps from the last to the first."""
    value, lengths = node.inputs
    axis = counted(node.get("time_axis", 0), len(value.axes))
    steps = value.shape(sizes)[axis]
    if not isinstance(lengths, np.ndarray) or any(n != steps for n in lengths.flat):
        raise UnsupportedError("lengths other than all steps")
    return sliced(value, axis, slice(None, None, -1))


def split(node: Node, sizes: Sizes) -> list[Value]:
    """Return parts along an axis."""
    value = node.inputs[0]
    axis = counted(node.get("axis", 0), len(value.axes))
    given = node.get("split") if node.opset < 13 else node.constant(1, "split")
    whole = value.shape(sizes)[axis]
    if given is None:
        if isinstance(whole, Size):
            raise UnsupportedError("Split of an axis of unknown size")
        each = -(-whole // len(node.outputs))
        given = [each] * (len(node.outputs) - 1) + [whole - each * (len(node.outputs) - 1)]
    ends = np.cumsum(np.asarray(given)).tolist()
    return [sliced(value, axis, slice(a, b)) for a, b in zip([0, *ends[:-1]], ends, strict=True)]


class Pieces(NamedTuple):
    """A value whose elements along an axis are the arrays of a sequence, as an unrolled loop of PyTorch takes them."""

    value: Value
    axis: int
    keepdims: bool

    @classmethod
    def of(cls, node: Node) -> Pieces:
        """Return what SplitToSequence makes."""
        if len(node.inputs) > 1 and node.inputs[1] is not None:
            raise UnsupportedError("pieces of sizes of their own")
        value = node.inputs[0]
        return cls(value, counted(node.get("axis", 0), len(value.axes)), bool(node.get("keepdims", 1)))

    def at(self, node: Node) -> Value:
        """Return what SequenceAt takes."""
        index = node.constant(1, "position")
        if index is None or index.dtype == object:
            raise UnsupportedError("a position that is not known")
        piece = without(self.value, self.axis, int(index.reshape(-1)[0]))
        if not self.keepdims:
            return piece
        return Value(piece.symbol, (*piece.axes[: self.axis], (), *piece.axes[self.axis :]))


def concat(node: Node, sizes: Sizes) -> Value:
    """Return values side by side."""
    values = node.inputs
    if not all(isinstance(value, Value) for value in values):
        raise UnsupportedError("Concat with constants")
    if len(values) == 1:
        return values[0]  # type: ignore[no-any-return]
    axis = counted(node.get("axis"), len(values[0].axes))
    first = values[0]
    alike = all(v.axes == first.axes and v.symbol.ndim == first.symbol.ndim for v in values)
    if not alike or len(first.axes[axis]) != 1:
        values = [laid_out(value) for value in values]
        first = values[0]
        if any(v.batch != first.batch for v in values):
            raise UnsupportedError("Concat of values with the batch along different axes")
    own = first.axis(axis, "Concat")
    return Value(layers.Concatenate(own, dtype=None)([v.symbol for v in values]), first.axes)


def with_constant(value: Value, constant: Constant) -> tuple[Value, Constant]:
    """Return a value and a constant that it is merged with, broadcast to the value's symbol."""
    if constant.dtype == object:
        raise UnsupportedError("sizes that are not known among the numbers")
    value = widened(value, constant.ndim)
    spread = zip(reversed(constant.shape), reversed(value.axes), strict=False)
    if any(n != 1 and not own for n, own in spread):
        value = laid_out(value)
    return value, in_axes(constant, value)


def together(what: str, values: list[Value]) -> list[Value]:
    """Return values with the same axes, so that their symbols can be merged number by number."""
    count = max(len(v.axes) for v in values)
    values = [widened(v, count) for v in values]
    if not all(v.axes == values[0].axes and v.symbol.ndim == values[0].symbol.ndim for v in values):
        values = [laid_out(v) for v in values]
        if any(v.batch != values[0].batch for v in values):
            raise UnsupportedError(f"{what} of values with the batch along different axes")
    return values


def with_size(value: Value, constant: Any, sizes: Sizes, dtype: Any) -> Any:
    """Return a constant as it is, or as a value with the axes of another if it is a size that is not known."""
    if not isinstance(constant, np.ndarray) or constant.dtype != object:
        return constant
    if constant.size != 1 or constant.ndim > len(value.axes) or value.symbol.dtype.kind != "f":
        raise UnsupportedError("sizes that are not known among the numbers")
    number = sizes.number(constant.reshape(-1)[0], dtype)
    return Value(reshaped(number, (1,) * (value.symbol.ndim - 1)), value.axes)


def elementwise(node: Node, dtype: Any, sizes: Sizes) -> Value:
    """Return a sum, product or their kind, of values or with a constant."""
    values = [one for one in node.inputs if isinstance(one, Value)]
    if len(values) == 1 and len(node.inputs) == 2 and node.operator in _MERGING:
        node.inputs = [with_size(values[0], one, sizes, dtype) for one in node.inputs]
        values = [one for one in node.inputs if isinstance(one, Value)]
    if len(values) == 1 and len(node.inputs) == 2 and node.operator in _ARITHMETIC:
        reverse = not isinstance(node.inputs[0], Value)
        constant = node.inputs[0 if reverse else 1]
        value, own = with_constant(values[0], constant)
        number = own.item() if own.ndim == 0 else own
        return Value(layers.Arithmetic(_ARITHMETIC[node.operator], number, reverse)(value.symbol), value.axes)
    if len(values) == 1 and len(node.inputs) == 2 and node.operator in ("Max", "Min"):
        limit = next(one for one in node.inputs if not isinstance(one, Value))
        if limit.size != 1 or limit.ndim > len(values[0].axes):
            raise UnsupportedError(f"{node.operator} with several constants")
        limits = {"min_value" if node.operator == "Max" else "max_value": float(limit.reshape(-1)[0])}
        return Value(layers.Clip(**limits, dtype=dtype)(values[0].symbol), values[0].axes)
    whole = [v for v in values if v.symbol.dtype.kind in "iu"]
    if whole and node.operator in ("Div", "Pow", "Mean"):
        raise UnsupportedError(f"{node.operator} of integers")
    if len(values) < len(node.inputs) or node.operator not in _MERGING:
        raise UnsupportedError(f"{node.operator} of these inputs")
    if len(values) == 1:
        return values[0]
    values = together(node.operator, values)
    outputs = _MERGING[node.operator](dtype=dtype)([v.symbol for v in values])
    return Value(outputs, values[0].axes)


def matmul(node: Node, dtype: Any) -> Value:
    """Return products of matrices: batch by batch, or for all that an axis is merged of, as the heads of attention."""
    first, second = (laid_out(value) for value in node.inputs)
    if len(first.axes) > 2 and first.axes[:-2] == second.axes[:-2] and 0 in sum(first.axes[:-2], ()):
        made = layers.Matmul(dtype=dtype)([first.symbol, second.symbol])
        return Value(made, (*first.axes[:-2], (made.ndim - 2,), (made.ndim - 1,)))
    if first.axes[0] != (0,) or second.axes[0] != (0,):
        raise UnsupportedError("MatMul along the batch")
    return Value.plain(layers.Matmul(dtype=dtype)([first.symbol, second.symbol]))
