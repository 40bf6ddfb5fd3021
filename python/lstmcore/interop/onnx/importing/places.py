"""Steps and rows by their numbers: masks of lengths, the last step that counts, rows in the order of their lengths."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ....graph.symbol import Symbol
from ....layers import Arithmetic, SequenceMask, TakeStep
from .errors import UnsupportedError
from .nodes import Node
from .sizes import BATCH, Numbers, Sizes
from .values import Value, counted, reshaped


class Order(NamedTuple):
    """The order of rows by their lengths, the longest first, or with ``inverse`` the way back."""

    lengths: Any  # the key of their symbol
    inverse: bool = False


class Places(NamedTuple):
    """For each row of the batch its own number and a place along the next axis."""

    value: Value


def numbers_of(constant: Any) -> Any:
    """Return the size that a constant counts to, which is 0, 1, … up to a size that is not known; None for others."""
    if not isinstance(constant, np.ndarray) or constant.dtype != object or constant.size != 1:
        return None
    only = constant.reshape(-1)[0]
    return only.size if isinstance(only, Numbers) else None


def _are_rows(constant: Any, sizes: Sizes) -> bool:
    """Return whether a constant is the numbers of the rows."""
    if numbers_of(constant) == BATCH:
        return True
    known = isinstance(constant, np.ndarray) and constant.dtype.kind in "iu" and sizes.rows == constant.size
    return known and bool((constant.reshape(-1) == np.arange(sizes.rows or 0)).all())


def sequence_mask(node: Node, sizes: Sizes) -> Value:
    """Return where the number of a step is less than the length of its row."""
    steps, lengths = node.inputs if node.operator == "Less" else node.inputs[::-1]
    if node.operator not in ("Less", "Greater") or not isinstance(lengths, Value):
        raise UnsupportedError("numbers of steps that are compared with other than lengths")
    found = sizes.symbol(numbers_of(steps))
    fits = lengths.axes[-2:] == ((0,), ()) and not any(lengths.axes[:-2]) and lengths.symbol.ndim == 1
    if not fits or lengths.symbol.dtype.kind not in "iu" or found is None:
        raise UnsupportedError("numbers of steps that are compared with other than lengths")
    mask = SequenceMask()([found, lengths.symbol])
    return Value(mask, ((),) * (max(steps.ndim, len(lengths.axes)) - 2) + ((0,), (1,)))


def places(node: Node, sizes: Sizes) -> Places | None:
    """Return what a Concat of the numbers of the rows and others is; None if it is not that."""
    if len(node.inputs) != 2 or not isinstance(node.inputs[1], Value):
        return None
    rows, value = node.inputs
    last = node.get("axis") in (-1, 1) and value.axes == ((0,), ()) and value.symbol.ndim == 1
    return Places(value) if last and getattr(rows, "ndim", 0) == 2 and _are_rows(rows, sizes) else None


def gather_nd(node: Node) -> Value:
    """Return one step of each row."""
    data, given = node.inputs
    if node.get("batch_dims", 0) == 1 and isinstance(given, Value) and given.axes == ((0,), ()):
        given = Places(given)
    elif not isinstance(given, Places) or node.get("batch_dims", 0):
        raise UnsupportedError("indices other than one step for each row")
    if data.axes[:2] != ((0,), (1,)) or given.value.symbol.ndim != 1:
        raise UnsupportedError("indices other than one step for each row")
    made = TakeStep()([data.symbol, given.value.symbol])
    return Value(made, ((0,), *(_without_steps(own) for own in data.axes[2:])))


def gather_elements(node: Node, sizes: Sizes) -> Value:
    """Return one step of each row, which is said anew for each of its features."""
    data, given = node.inputs
    axis = counted(node.get("axis", 0), len(data.axes))
    if not isinstance(given, Value) or data.axes[axis] != (1,):
        raise UnsupportedError("other than one step for each row")
    symbol = given.symbol
    while type(symbol.call.layer) is Arithmetic and not symbol.call.layer.constant.any():
        if symbol.call.layer.operation != "add":
            break
        before = symbol.call.inputs  # that is spread out by adding nothing
        assert isinstance(before, Symbol)
        symbol = before
    own, whole = given.shape(sizes), data.shape(sizes)
    same = all(k == axis or n == m for k, (n, m) in enumerate(zip(own, whole, strict=True)))
    if math.prod(n or 0 for n in symbol.shape[1:]) != 1 or own[axis] != 1 or not same or given.batch != data.batch:
        raise UnsupportedError("other than one step for each row")
    made = TakeStep()([data.symbol, reshaped(symbol, ())])
    return Value(made, tuple(() if k == axis else _without_steps(own) for k, own in enumerate(data.axes)))


def _without_steps(own: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a - (a > 1) for a in own)


def top_k(node: Node, sizes: Sizes) -> list[Any]:
    """Return lengths, the largest first, and the order that this is."""
    value, count = node.inputs[0], node.constant(1, "K")
    whole = count is not None and count.size == 1 and count.reshape(-1)[0] in (BATCH, sizes.rows)
    if value.axes != ((0,),) or value.symbol.ndim != 1 or not whole or not node.get("largest", 1):
        raise UnsupportedError("other than all rows by their lengths")
    return [value, Order(value.symbol.key)]


def reordered(node: Node, sizes: Sizes) -> Any:
    """Return what an operator makes of an order of rows; for a Gather of rows, these as they are: see `order_after`."""
    order = next(one for one in node.inputs if isinstance(one, Order))
    if node.operator in ("Identity", "Cast"):
        return order
    if node.operator == "Shape":
        return np.array([BATCH], object)
    if node.operator == "ScatterElements" and node.inputs[1] is order and _are_rows(node.inputs[2], sizes):
        return Order(order.lengths, not order.inverse)
    value = node.inputs[0]
    along = isinstance(value, Value) and value.axes[counted(node.get("axis", 0), len(value.axes))]
    if node.operator == "Gather" and node.inputs[1] is order and along == (0,):
        return value
    raise UnsupportedError("an order of rows")


def order_after(node: Node, before: set[Order | None]) -> Order | None:
    """Return the order of the rows that an operator makes of rows in such orders.

    What our layers make of a row does not depend on the others, so that rows in another order stay as they are, if only
    all that is put together is of one order, and the way back comes in the end.
    """
    if len(before) > 1:
        raise UnsupportedError("rows in different orders")
    own = next(iter(before), None)
    if node.operator == "TopK" and isinstance(node.inputs[0], Value):
        if own is not None:
            raise UnsupportedError("rows that are in another order already")
        return Order(node.inputs[0].symbol.key)
    order = next((one for one in node.inputs if isinstance(one, Order)), None)
    if order is None or node.operator != "Gather":
        return own
    if own is None and not order.inverse:
        return order
    if own == Order(order.lengths) and order.inverse:
        return None
    raise UnsupportedError("rows in different orders")
