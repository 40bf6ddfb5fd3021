"""Operators that move numbers about, and those of two arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .... import layers
from .folding import Node, bounded, part, slices
from .values import Size, Sizes, UnsupportedError, Value, batch_first, counted, in_axes, laid_out, reshaped

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


def reshape(node: Node, sizes: Sizes) -> Value:
    """Return a value in another shape, whose batch stays an axis or is merged with the steps."""
    value = node.inputs[0]
    target = node.inputs[1] if len(node.inputs) > 1 else np.asarray(node.get("shape"))
    if not isinstance(target, np.ndarray):
        raise UnsupportedError("a shape that is computed")
    if node.get("allowzero") and any(_is(n, 0) for n in target):
        raise UnsupportedError("sizes of 0")
    shape = value.shape(sizes)
    wanted = [shape[k] if _is(n, 0) and k < len(shape) else n for k, n in enumerate(target)]
    merged = [own for own in value.axes if 0 in own and len(own) > 1]
    if not merged and (found := _rows(value, shape, wanted)) is not None:
        return found
    if merged:
        value = _parted(value, wanted)
        shape = value.shape(sizes)
        if len(wanted) == len(shape):
            return value
    return _behind_batch(value, wanted, sizes)


def _is(n: Any, number: int) -> bool:
    return not isinstance(n, Size) and int(n) == number


def _rows(value: Value, shape: list[Any], wanted: list[Any]) -> Value | None:
    """Return all axes but the last merged into one, as a product with a matrix takes them; None if it is not that."""
    last = value.axes[-1]
    if len(wanted) != 2 or len(value.axes) < 3 or len(last) != 1 or last == (0,) or value.batch > 1:
        return None
    features = value.symbol.shape[last[0]]
    if features is None or isinstance(wanted[1], Size) or int(wanted[1]) != features:
        return None
    if not (wanted[0] is not shape[value.batch] if isinstance(wanted[0], Size) else int(wanted[0]) == -1):
        return None
    return Value(value.symbol, (tuple(k for own in value.axes[:-1] for k in own), last))


def _parted(value: Value, wanted: list[Any]) -> Value:
    """Return what was merged with the batch as axes of their own again."""
    found: list[tuple[int, ...]] = []
    for own in value.axes:
        found += [(k,) for k in own] if 0 in own else [own]
    if len(found) < len(wanted) - 1:
        raise UnsupportedError("Reshape of the batch and the steps together")
    return Value(value.symbol, tuple(found))


def _behind_batch(value: Value, wanted: list[Any], sizes: Sizes) -> Value:
    """Return a value, the batch of which is an axis of its own, in another shape that leaves the batch alone."""
    batch, shape = value.batch, value.shape(sizes)
    if len(wanted) <= batch or any(a is not b and a != b for a, b in zip(wanted[:batch], shape[:batch], strict=True)):
        raise UnsupportedError("Reshape across the batch")
    symbol = batch_first(value)
    goal = _goal(list(symbol.shape[1:]), [n for k, n in enumerate(wanted) if k != batch], wanted[batch])
    places: list[tuple[int, ...]] = [(k + 1,) for k in range(len(goal))]
    places.insert(batch, (0,))
    return Value(reshaped(symbol, tuple(goal)), tuple(places))


def _goal(own: list[int | None], wanted: list[Any], rows: Any) -> list[int | None]:
    """Return the sizes behind the batch that are wanted, None for those that are not known."""
    goal = [None if isinstance(n, Size) or n == -1 else int(n) for n in wanted]
    known, fixed = (math.prod(n for n in part if n is not None) for part in (own, goal))
    # The rows may be what is left, which is the batch if everything else stays.
    left = not isinstance(rows, Size) and (rows == -1 or -1 not in [n for n in wanted if not isinstance(n, Size)])
    if left and (own.count(None) != goal.count(None) or known != fixed):
        raise UnsupportedError("Reshape of the batch and others together")
    if None not in own and goal.count(None) == 1:
        return [known // max(1, fixed) if n is None else n for n in goal]
    if own.count(None) == 1 and goal.count(None) == 2 and any(isinstance(n, Size) for n in wanted):
        # A size that is computed is that of the steps; the other is what is left.
        return [
            known // max(1, fixed) if not isinstance(n, Size) and n == -1 else g
            for n, g in zip(wanted, goal, strict=True)
        ]
    return goal


def flatten(node: Node) -> Value:
    """Return all axes but the batch as one."""
    value = node.inputs[0]
    if counted(node.get("axis", 1), len(value.axes)) != 1 or value.batch != 0:
        raise UnsupportedError("Flatten of other than the axes behind the batch")
    symbol = batch_first(value)
    return Value.plain(symbol if symbol.ndim == 2 else layers.Flatten(dtype=None)(symbol))


def expand(node: Node, sizes: Sizes) -> Value:
    """Return a value that is broadcast to the shape that it has."""
    value, target = node.inputs
    if not isinstance(target, np.ndarray):
        raise UnsupportedError("a shape that is computed")
    shape = value.shape(sizes)
    if len(target) > len(shape) or any(
        n is not m and not _is(n, 1) and n != m for n, m in zip(target[::-1], shape[::-1], strict=False)
    ):
        raise UnsupportedError("Expand of what is not a constant")
    return value  # type: ignore[no-any-return]


def pad(node: Node, dtype: Any) -> Value:
    """Return zeros before and behind the steps."""
    value = node.inputs[0]
    pads = node.get("pads") if node.opset < 11 else node.constant(1, "pads")
    fill = node.get("value", 0.0) if node.opset < 11 else node.constant(2, "constant_value")
    if node.get("mode", "constant") != "constant" or (fill is not None and np.any(fill)) or pads is None:
        raise UnsupportedError("Pad with other than zeros")
    count = len(value.axes)
    wanted = [(int(pads[k]), int(pads[k + count])) for k in range(count)]
    bounded([abs(n) for pair in wanted for n in pair if n])
    used = [k for k, pair in enumerate(wanted) if pair != (0, 0)]
    if not used:
        return value  # type: ignore[no-any-return]
    if len(used) > 1 or value.symbol.ndim != 3 or value.axis(used[0], "Pad") != 1 or min(wanted[used[0]]) < 0:
        raise UnsupportedError("Pad of other than the steps")
    return Value(layers.ZeroPadding1D(wanted[used[0]], dtype=dtype)(value.symbol), value.axes)


def elementwise(node: Node, dtype: Any) -> Value:
    """Return a sum, product or their kind, of values or with a constant."""
    values = [one for one in node.inputs if isinstance(one, Value)]
    if len(values) == 1 and len(node.inputs) == 2 and node.operator in _ARITHMETIC:
        value = values[0]
        reverse = not isinstance(node.inputs[0], Value)
        constant = node.inputs[0 if reverse else 1]
        if constant.dtype == object:
            raise UnsupportedError("sizes that are not known among the numbers")
        own = in_axes(constant, value)
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
    first = values[0]
    if not all(v.axes == first.axes and v.symbol.ndim == first.symbol.ndim for v in values):
        count = max(len(v.axes) for v in values)
        wide = [Value(v.symbol, ((),) * (count - len(v.axes)) + v.axes) for v in values]
        values = [laid_out(v) for v in wide]
        if any(v.batch != values[0].batch for v in values):
            raise UnsupportedError(f"{node.operator} of values with the batch along different axes")
    outputs = _MERGING[node.operator](dtype=dtype)([v.symbol for v in values])
    return Value(outputs, values[0].axes)


def matmul(node: Node, dtype: Any) -> Value:
    """Return products of matrices, batch by batch."""
    first, second = (laid_out(value) for value in node.inputs)
    if first.batch or second.batch:
        raise UnsupportedError("MatMul along the batch")
    return Value.plain(layers.Matmul(dtype=dtype)([first.symbol, second.symbol]))
