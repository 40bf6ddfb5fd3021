"""Shapes that become one, as NumPy's do; sizes may be unknown, and the batch is no matter of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arguments import ArgumentTypeError
from .._tree import leaves

Array = NDArray[Any]
Shape = tuple[int | None, ...]


def shapes_of(name: str, input_shape: Any, least: int = 1, most: int | None = None) -> list[Shape]:
    """Return the shapes of several inputs, which may come in a list or dict, after counting them."""
    given = list(input_shape.values()) if isinstance(input_shape, dict) else input_shape
    if not isinstance(given, (list, tuple)) or not all(isinstance(one, (list, tuple)) for one in given):
        raise ValueError(f"{name}: inputs: expected a list of arrays, got one of shape {input_shape}")
    if len(given) < least or (most is not None and len(given) > most):
        said = f"{least}" if most == least else f"at least {least}"
        raise ValueError(f"{name}: inputs: expected {said} array{'s' * (least > 1)}, got {len(given) or 'none'}")
    if not all(given):
        raise ValueError(f"{name}: inputs: expected arrays with the batch first, got a number")
    return [tuple(shape) for shape in given]


def refuse_others(name: str, dtype: Any, symbols: Any) -> None:
    """Refuse symbols of another dtype: floats, and integers alone, which would become floats."""
    given = list(leaves(symbols))
    alone = all(symbol.dtype.kind != "f" for symbol in given)
    for symbol in given:
        if symbol.dtype != dtype and (alone or symbol.dtype.kind == "f"):
            raise ArgumentTypeError(f"{name}: inputs: expected {dtype}, got {symbol!r}")


def common(name: str, shapes: Sequence[Shape]) -> Shape:
    """Return the shape that arrays of these shapes have together: behind the batch, 1 fits every size.

    Of arrays with fewer axes than others, those that are missing come behind the batch.
    """
    most = max(map(len, shapes))
    batches = {shape[0] for shape in shapes} - {None}
    columns = zip(*((1,) * (most - len(shape)) + tuple(shape[1:]) for shape in shapes), strict=True)
    sizes: list[int | None] = []
    for column in columns:
        larger = {size for size in column if size not in (1, None)}
        if len(larger) > 1 or len(batches) > 1:
            raise ValueError(f"{name}: inputs: expected shapes that fit each other, got {', '.join(map(str, shapes))}")
        sizes.append(next(iter(larger)) if larger else None if None in column else 1)
    return (next(iter(batches), None), *sizes)


def aligned(array: Array, axes: int) -> Array:
    """Return an array with so many axes: those that are missing behind the batch."""
    missing = axes - array.ndim
    return array.reshape(array.shape[0], *(1,) * missing, *array.shape[1:]) if missing else array


def reduced(d: Array, shape: tuple[int, ...]) -> Array:
    """Return the gradient of an array of that shape, from that of what it was spread out to."""
    missing = d.ndim - len(shape)
    whole = (shape[0], *(1,) * missing, *shape[1:]) if missing and shape else (1,) * missing + tuple(shape)
    spread = tuple(k for k, (n, m) in enumerate(zip(whole, d.shape, strict=True)) if n != m)
    return d.sum(axis=spread, keepdims=True).reshape(shape) if spread else d.reshape(shape)


def expanded(mask: Array, axes: int) -> Array:
    """Return a mask with that many axes: those that are missing behind its own."""
    return mask.reshape(mask.shape + (1,) * (axes - mask.ndim))


def where(mask: Array | None, array: Array, otherwise: float) -> Array:
    """Return an array with another number where a mask is False."""
    return array if mask is None else np.where(mask, array, array.dtype.type(otherwise))
