"""Reshape: of many, nothing is computed, for they say in other words which axes of a symbol make those of the file."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .folding import Node
from .values import BATCH, Size, Sizes, UnsupportedError, Value, batch_first, reshaped


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
    axes = _regrouped(value, wanted, sizes)
    if axes is not None:
        return Value(value.symbol, axes)
    value = separate(value)
    return _behind_batch(value, wanted, sizes)


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
