"""Expand and Tile: axes of size 1 that become longer, by a number or up to the size of another array."""

from __future__ import annotations

from typing import Any

import numpy as np

from .... import layers
from .errors import UnsupportedError
from .nodes import Node, bounded
from .shapes import with_constant
from .sizes import Size, Sizes
from .values import Value, laid_out, widened

_MOST_COPIES = 1000


def expand(node: Node, sizes: Sizes) -> Value:
    """Return a value that is broadcast to a shape."""
    value, target = node.inputs
    if not isinstance(target, np.ndarray):
        raise UnsupportedError("a shape that is computed")
    return _spread(widened(value, len(target)), list(target), sizes)


def tile(node: Node, sizes: Sizes) -> Value:
    """Return a value several times along axes."""
    value: Value = node.inputs[0]
    times = node.constant(1, "repeats")
    if times is None or len(times) != len(value.axes):
        raise ValueError(f"Tile: repeats: expected {len(value.axes)} numbers, got {times}")
    shape = value.shape(sizes)
    for axis, (count, size) in enumerate(zip(times, shape, strict=True)):
        if isinstance(size, Size) or size != 1:
            value = _copies(value, axis, count)
    target = [
        count if not isinstance(size, Size) and size == 1 else 1 for count, size in zip(times, shape, strict=True)
    ]
    return _spread(value, target, sizes)


def _copies(value: Value, axis: int, count: Any) -> Value:
    if isinstance(count, Size) or not 1 <= count <= _MOST_COPIES:
        raise UnsupportedError(f"copies other than 1 to {_MOST_COPIES}")
    if count == 1:
        return value
    if len(value.axes[axis]) > 1:
        value = laid_out(value)
    own = value.axis(axis, "copies")
    return Value(layers.Concatenate(own, dtype=None)([value.symbol] * int(count)), value.axes)


def _spread(value: Value, target: list[Any], sizes: Sizes) -> Value:
    """Return a value whose axes of size 1 have the sizes of a shape, where these are others."""
    shape = value.shape(sizes)
    spread, along = [], []
    for k, (n, m) in enumerate(zip([1] * (len(shape) - len(target)) + target, shape, strict=True)):
        spread.append(1)
        if n in (m, 1) or (value.axes[k] == (0,) and n == sizes.rows):
            continue
        if m != 1 or (isinstance(n, Size) and sizes.axis(n) is None):
            raise UnsupportedError("another size, or one that is computed, of an axis, or of several batches")
        if isinstance(n, Size):
            along.append((k, n))
        else:
            spread[k] = int(n)
    bounded(spread)
    if set(spread) != {1}:
        if value.symbol.dtype.kind == "b":
            raise UnsupportedError("conditions along an axis that they do not have")
        value, nothing = with_constant(value, np.zeros(spread, value.symbol.dtype))
        value = Value(layers.Arithmetic("add", nothing)(value.symbol), value.axes)
    for k, n in along:
        value = _along(value, k, n, sizes)
    return value


def _along(value: Value, axis: int, size: Size, sizes: Sizes) -> Value:
    """Return a value that is the same all along an axis, which has the size that another symbol has there.

    The choice between a value and itself has the shape of the condition, whatever that is.
    """
    found = sizes.axis(size)
    if found is None or value.symbol.dtype.kind != "f":
        raise UnsupportedError("integers up to a size that is not known")
    other, place = found
    value = laid_out(value)
    own = value.axis(axis, "Expand")
    key: list[Any] = [slice(None)] + [slice(None) if k == place else 0 for k in range(1, other.ndim)]
    line = other if other.ndim == 2 else layers.GetItem(key)(other)
    condition = layers.Compare("equal", 0)(line)
    shape = [-1 if k == own else 1 for k in range(1, value.symbol.ndim)]
    if len(shape) > 1:
        condition = layers.Reshape(shape)(condition)
    dtype = value.symbol.dtype
    return Value(layers.Where(dtype=dtype)([condition, value.symbol, value.symbol]), value.axes)
