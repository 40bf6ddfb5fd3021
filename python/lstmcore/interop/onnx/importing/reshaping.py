"""Reshape: of many, nothing is computed, for they say in other words which axes of a symbol make those of the file."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .errors import UnsupportedError
from .nodes import Node
from .sizes import BATCH, Size, Sizes
from .values import Value, batch_first, reshaped


def reshape(node: Node, sizes: Sizes) -> Value:
    """Return a value in another shape, whose batch stays an axis or is merged with the steps."""
    value = node.inputs[0]
    target = node.inputs[1] if len(node.inputs) > 1 else np.asarray(node.get("shape"))
    if not isinstance(target, np.ndarray):
        raise UnsupportedError("a shape that is computed")
    if node.get("allowzero") and any(not isinstance(n, Size) and n == 0 for n in target):
        raise UnsupportedError("sizes of 0")
    shape = value.shape(sizes)
    wanted = [shape[k] if n == 0 and k < len(shape) else n for k, n in enumerate(target.tolist())]
    finer: Value | None = value
    while finer is not None:
        axes = _regrouped(finer, wanted, sizes)
        if axes is not None:
            return Value(finer.symbol, axes)
        finer = _refined(finer, wanted, sizes)
    return _behind_batch(separate(value), wanted, sizes)


def flatten(node: Node, sizes: Sizes) -> Value:
    """Return the axes before one, and those from it on, as one each."""
    value: Value = node.inputs[0]
    axis = node.get("axis", 1)
    if not -len(value.axes) <= axis <= len(value.axes):
        raise ValueError(f"Flatten: axis: expected one of {len(value.axes)} axes, got {axis}")
    shape = value.shape(sizes)
    ends = [math.prod(part) for part in (shape[: axis % (len(shape) + 1)], shape[axis % (len(shape) + 1) :])]
    if axis < 0:
        ends = [math.prod(part) for part in (shape[:axis], shape[axis:])]
    return reshape(Node("Reshape", {}, [value, np.array(ends, object)], node.outputs, node.opset), sizes)


def _regrouped(value: Value, wanted: list[Any], sizes: Sizes) -> tuple[tuple[int, ...], ...] | None:
    """Return the axes of the symbol that make those wanted, if each of these is a product of some in their order."""
    left = [k for own in value.axes for k in own]
    known = [sizes.of(value.symbol, k) for k in left]
    at = next((k for k, n in enumerate(wanted) if not isinstance(n, Size) and n == -1), len(wanted))
    before = _taken(known, wanted[:at], sizes)
    if before is None:
        return None
    start = sum(before)
    behind = _taken(known[start:][::-1], wanted[:at:-1], sizes)
    if behind is None:
        return None
    end = len(left) - sum(behind)
    counts = [*before, *([end - start] if at < len(wanted) else []), *reversed(behind)]
    if at == len(wanted) and end != start:
        if not counts or any(n != 1 for n in known[start:end]):
            return None
        counts[-1] += end - start
    parts = iter(left)
    return tuple(tuple(next(parts) for _ in range(count)) for count in counts)


def _refined(value: Value, wanted: list[Any], sizes: Sizes) -> Value | None:
    """Return a value with an axis of its symbol as two where shapes ask for a part of it, such as a head of attention.

    None where no part alone is asked for.
    """
    at = next((k for k, n in enumerate(wanted) if not isinstance(n, Size) and n == -1), len(wanted))
    own = [k for axes in value.axes for k in axes]
    known = [sizes.of(value.symbol, k) for k in own]
    place = 0
    for n in wanted[:at]:
        product: Any = 1
        while place < len(known) and not _same(product, n, sizes):
            size, part = known[place], _rest(n, product, sizes)
            if part is not None and _is_part(part, size):
                return _split(value, own[place], part)
            if part is not None and isinstance(size, Size) and own[place] and product == 1:
                return _fixed(value, own[place], part)
            product = product * size
            place += 1
        if not _same(product, n, sizes):
            return None
    end = len(known)
    for n in wanted[:at:-1]:
        product = 1
        while end > place and not _same(product, n, sizes):
            end -= 1
            part = _rest(n, product, sizes)
            if part is not None and _is_part(part, known[end]):
                return _split(value, own[end], known[end] // part)
            product = product * known[end]
    return None


def _is_part(part: int, size: Any) -> bool:
    return not isinstance(size, Size) and 1 < part < size and size % part == 0


def _rest(whole: Any, product: Any, sizes: Sizes) -> int | None:
    """Return which number a product is to be multiplied with; None if there is none."""
    if sizes.rows is not None and not isinstance(whole, Size):
        product = _number(product, sizes.rows)
    if product is None or (isinstance(product, Size) and not isinstance(whole, Size)):
        return None
    if not isinstance(whole, Size):
        return int(whole) // product if product and whole % product == 0 else None
    rest = whole // product
    return None if isinstance(rest, Size) else int(rest)


def _fixed(value: Value, axis: int, size: int) -> Value:
    """Return a value of just so many elements along an axis of which the file is written for that many alone."""
    shape = value.symbol.shape
    return Value(reshaped(value.symbol, (*shape[1:axis], size, *shape[axis + 1 :])), value.axes)


def _split(value: Value, axis: int, first: int) -> Value:
    """Return a value with an axis of its symbol as two, the first of them of a size."""
    shape = value.symbol.shape
    whole = shape[axis]
    assert whole is not None
    symbol = reshaped(value.symbol, (*shape[1:axis], first, whole // first, *shape[axis + 1 :]))
    axes = tuple(tuple(b for a in own for b in ((a, a + 1) if a == axis else (a + (a > axis),))) for own in value.axes)
    return Value(symbol, axes)


def _taken(known: list[Any], wanted: list[Any], sizes: Sizes) -> list[int] | None:
    """Return of how many of the sizes that are known, one after the other, each that is wanted is the product."""
    counts, place = [], 0
    for n in wanted:
        begin, product = place, 1
        while not _same(product, n, sizes) and place < len(known):
            product = product * known[place]
            place += 1
        if not _same(product, n, sizes):
            return None
        if place == begin and place < len(known) and known[place] == 1:
            place += 1
        counts.append(place - begin)
    return counts


def _same(a: Any, b: Any, sizes: Sizes) -> bool:
    """Return whether two sizes are the same, the batch also as the number that the file was written for."""
    if a == b:
        return True
    rows = sizes.rows
    return rows is not None and _number(a, rows) is not None and _number(a, rows) == _number(b, rows)


def _number(size: Any, rows: int) -> int | None:
    if not isinstance(size, Size):
        return int(size)
    return size.times * rows if size.factors == BATCH.factors else None


def separate(value: Value) -> Value:
    """Return a value whose batch is an axis by itself: those that it was merged with are axes of their own again."""
    found: list[tuple[int, ...]] = []
    for own in value.axes:
        found += [(k,) for k in own] if 0 in own else [own]
    return Value(value.symbol, tuple(found))


def _behind_batch(value: Value, wanted: list[Any], sizes: Sizes) -> Value:
    """Return a value, the batch of which is an axis of its own, in another shape that leaves the batch alone."""
    shape = value.shape(sizes)
    batch = _place_of_batch(value.batch, shape, wanted, sizes)
    rows = wanted[batch]
    if rows != -1 and not _same(rows, BATCH, sizes) and (-1 in wanted or isinstance(rows, Size)):
        raise UnsupportedError("Reshape of the batch and others together")
    if any(isinstance(n, Size) and n not in shape for n in wanted):
        raise UnsupportedError("Reshape to a size that is computed")
    symbol = batch_first(value)
    goal = _goal(list(symbol.shape[1:]), [n for k, n in enumerate(wanted) if k != batch], rows)
    places: list[tuple[int, ...]] = [(k + 1,) for k in range(len(goal))]
    places.insert(batch, (0,))
    return Value(reshaped(symbol, tuple(goal)), tuple(places))


def _place_of_batch(batch: int, shape: list[Any], wanted: list[Any], sizes: Sizes) -> int:
    """Return which of the axes that are wanted is the batch: that before which there is what was before it."""
    pairs = list(zip(wanted[:batch], shape[:batch], strict=False))
    # A number where the size is not known asks for just that many, which our layer then does too.
    if len(wanted) > batch and all(a == b or (isinstance(b, Size) and a != -1) for a, b in pairs):
        return batch
    before = math.prod(shape[:batch])
    for k, n in enumerate(wanted):
        if -1 not in wanted[:k] and math.prod(wanted[:k]) == before and (n == -1 or _same(n, BATCH, sizes)):
            return k
    raise UnsupportedError("Reshape across the batch")


def _goal(own: list[int | None], wanted: list[Any], rows: Any) -> list[int | None]:
    """Return the sizes behind the batch that are wanted, None for those that are not known."""
    goal = [None if isinstance(n, Size) or n == -1 else int(n) for n in wanted]
    known, fixed = (math.prod(n for n in part if n is not None) for part in (own, goal))
    # The rows may be what is left, which is the batch if everything else stays.
    left = not isinstance(rows, Size) and (rows == -1 or -1 not in [n for n in wanted if not isinstance(n, Size)])
    exact = own.count(None) == 1 and None not in goal and known and fixed % known == 0  # one that is asked for
    if left and not exact and (own.count(None) != goal.count(None) or known != fixed):
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
