"""Masks into recurrent layers, in files of our own: see `exporting.recurrent.Masked` for what is written.

There, the steps that count are moved to the front, the operator is told how many they are, and its outputs are moved
back. Here these are marks, each of which is followed until a layer is called with the mask itself; outputs repeat over
steps that do not count, as ours do. What is used in any other way is refused.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ....layers import Cast, Compare, Reduction
from .errors import UnsupportedError
from .nodes import Node
from .places import numbers_of
from .sizes import BATCH, Size, Sizes
from .values import Value, counted


class OfMask(NamedTuple):
    """Integers that are made of a mask (batch, steps), by what they are for, and their shape."""

    what: str
    mask: Value
    shape: tuple[Any, ...]
    reverse: bool = False


class Moved(NamedTuple):
    """Marks arrays whose steps that count, according to a mask, stand first; of outputs, the direction is known."""

    mask: Any
    reverse: bool | None = None


_KEEPING = (
    "Transpose",
    "Squeeze",
    "LSTM",
    "GRU",
    "RNN",
    "GatherElements",
    "Shape",
)  # what may be done to what is moved


def of_mask(value: Value, sizes: Sizes) -> OfMask:
    """Return a mask as integers."""
    if value.axes != ((0,), (1,)) or value.symbol.ndim != 2:
        raise UnsupportedError("from bool to integers")
    return OfMask("counted", value, tuple(value.shape(sizes)))


def followed(node: Node, sizes: Sizes, dtype: Any) -> Any:
    """Return what an operator makes of the integers of a mask."""
    mark = next(one for one in node.inputs if isinstance(one, OfMask))
    first, *rest = node.inputs
    other: Any = rest[0] if rest else None
    only = other.reshape(-1)[0] if isinstance(other, np.ndarray) and other.size == 1 and other.ndim < 2 else None
    steps, kind = mark.mask.shape(sizes)[1], node.operator
    if kind in ("Cast", "Identity"):
        return mark
    if first is mark and kind == "Unsqueeze":
        axis = counted((node.axes() or [0])[0], len(mark.shape) + 1)
        return mark._replace(shape=(*mark.shape[:axis], 1, *mark.shape[axis:]))
    wide = first is mark and kind == "Expand" and isinstance(other, np.ndarray) and len(other) == len(mark.shape)
    if wide and all(n == 1 or _may_be(n, m) for n, m in zip(mark.shape, other, strict=True)):
        return mark._replace(shape=tuple(other))
    made = (
        {
            ("counted", "ReduceSum"): "counts" if kind == "ReduceSum" and node.axes() == [1] else None,
            ("counted", "Mul"): "scaled" if only == steps else None,
            ("scaled", "Sub"): "key" if _counts_to(other, steps) else None,
            ("key", "TopK"): "order" if only == steps and node.get("axis") == 1 and node.get("largest", 1) else None,
            ("counted", "CumSum"): "last" if only == 1 and not node.get("exclusive", 0) else None,
            ("last", "Sub"): "place" if only == 1 and not mark.reverse else None,
            ("counts", "Sub"): "place"
            if isinstance(other, OfMask) and (other.what, other.reverse) == ("last", True)
            else None,
            ("place", "Max"): "place" if only == 0 else None,
            ("place", "Min"): "place"
            if isinstance(only, Size) or (not isinstance(steps, Size) and only == steps - 1)
            else None,
            ("last", "Greater"): "begun" if only == 0 else None,
            ("counts", "Greater"): "some" if only == 0 else None,
        }.get((mark.what, kind))
        if first is mark
        else None
    )
    if mark.what == "counts" and mark.shape != ((BATCH, 1) if kind == "Sub" else (BATCH,)):
        made = None
    if made is None:
        raise UnsupportedError("integers that are made of a mask")
    if made == "counts":
        return OfMask(made, mark.mask, (BATCH, 1) if node.get("keepdims", 1) else (BATCH,))
    if made == "order":
        return [None, OfMask(made, mark.mask, mark.shape)]
    if made == "some":
        numbers = Reduction("max", 1, dtype=dtype)(Cast(dtype=dtype)(mark.mask.symbol))
        return Value(Compare("greater", 0.5, dtype=dtype)(numbers), ((0,),))
    if made == "last":
        return mark._replace(what=made, reverse=bool(node.get("reverse", 0)))
    if mark.what == "counts":
        return other._replace(what=made)
    return mark._replace(what=made)


def _counts_to(constant: Any, steps: Any) -> bool:
    """Return whether a constant is 0, 1, … up to the number of steps."""
    if isinstance(steps, Size):
        return bool(numbers_of(constant) == steps) and constant.ndim == 1
    return (
        isinstance(constant, np.ndarray) and constant.shape == (steps,) and np.array_equal(constant, np.arange(steps))
    )


def _may_be(a: Any, b: Any) -> bool:
    """Return whether two sizes are the same, or both not known: then the layers that are made say so when they run."""
    return bool(a == b) or (isinstance(a, Size) and isinstance(b, Size))


def moved(node: Node, sizes: Sizes) -> Value:
    """Return an array whose steps are moved, or are moved back, which is the array itself: see `order_after`."""
    data, mark = node.inputs
    plain = isinstance(data, Value) and data.axes == ((0,), (1,), (2,)) and node.get("axis", 0) == 1
    fits = plain and all(map(_may_be, data.shape(sizes), mark.shape))
    if not fits or len(mark.shape) != 3 or mark.what not in ("order", "place"):
        raise UnsupportedError("indices of other arrays")
    return data  # type: ignore[no-any-return]


def begun(node: Node) -> Value:
    """Return outputs that are 0 until the first step that counts, as ours are."""
    condition, value, zero = node.inputs
    fits = condition.what == "begun" and isinstance(value, Value) and isinstance(zero, np.ndarray) and not zero.any()
    if not fits or len(condition.shape) != 3:
        raise UnsupportedError("integers that are made of a mask")
    return value  # type: ignore[no-any-return]


def order_after(node: Node, before: set[Any]) -> Any:
    """Return the mark of what an operator makes, which moves steps, moves them back, or leaves them; see `Moved`."""
    marks = [one for one in node.inputs if isinstance(one, OfMask)]
    own = next((one for one in before if isinstance(one, Moved)), None)
    if own is not None and node.operator not in _KEEPING:
        raise UnsupportedError("steps that are moved")
    if node.operator == "GatherElements" and marks:
        if marks[0].what == "order" and before == {None}:
            return Moved(marks[0].mask.symbol.key)
        if own == Moved(marks[0].mask.symbol.key, marks[0].reverse) and marks[0].what == "place":
            return None
        raise UnsupportedError("steps that are moved otherwise")
    if node.operator in ("LSTM", "GRU", "RNN") and (own is not None or marks):
        if (
            not marks
            or own != Moved(marks[0].mask.symbol.key)
            or (marks[0].what, marks[0].shape) != ("counts", (BATCH,))
        ):
            raise UnsupportedError("steps that are moved, or lengths of other sequences")
        return Moved(own.mask, node.get("direction", "forward") == "reverse")
    return own
