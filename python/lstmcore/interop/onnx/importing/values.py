"""What stands for the arrays of a file: constants, and symbols of our layers.

Our layers have the batch first, ONNX's operators have it where they like. So a value is a symbol, batch first, and how
the axes in the file are made of those of the symbol: transpositions are then no layers.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ....graph.symbol import Symbol
from ....layers import Permute, Reshape
from .errors import UnsupportedError
from .sizes import Sizes

Constant = NDArray[Any]


class OtherBatchError(Exception):
    """An input of the file has its batch along another axis than was thought."""

    def __init__(self, axis: int, value: Value) -> None:
        super().__init__(f"batch expected along axis {axis}")
        self.axis, self.value = axis, value


def counted(axis: int, count: int) -> int:
    """Return an axis of so many as a number from 0 on, which may be given from the end."""
    if not -count <= axis < count:
        raise ValueError(f"axis: expected one of {count} axes, got {axis}")
    return axis % count


class Value(NamedTuple):
    """A symbol, and which of its axes make those of the array in the file.

    ``axes`` has, for each axis in the file, those of the symbol: none for one of size 1, several for one that they were
    merged into.
    """

    symbol: Symbol
    axes: tuple[tuple[int, ...], ...]

    @classmethod
    def plain(cls, symbol: Symbol) -> Value:
        """Return the value whose axes are those of the symbol."""
        return cls(symbol, tuple((k,) for k in range(symbol.ndim)))

    @property
    def batch(self) -> int:
        """The axis in the file that the batch is, or is part of."""
        return next(k for k, own in enumerate(self.axes) if 0 in own)

    def shape(self, sizes: Sizes) -> list[Any]:
        """Return the sizes of the axes in the file, with `Size` for those that are not known."""
        return [math.prod(sizes.of(self.symbol, k) for k in own) for own in self.axes]

    def axis(self, axis: int, what: str) -> int:
        """Return the axis of the symbol that is one of the file, as a single one behind the batch."""
        own = self.axes[axis]
        if len(own) != 1 or own[0] == 0:
            raise UnsupportedError(f"{what} along the batch" if 0 in own else f"{what} along merged axes")
        return own[0]


def reshaped(symbol: Symbol, sizes: tuple[int | None, ...]) -> Symbol:
    """Return a symbol in another shape behind the batch; None for at most one size that is not known."""
    if symbol.shape[1:] == tuple(sizes) and list(sizes).count(None) <= 1:
        return symbol
    before = symbol.call.inputs if type(symbol.call.layer) is Reshape else None
    if isinstance(before, Symbol) and before.shape[1:] == tuple(sizes):
        return before
    if list(sizes).count(None) > 1:
        raise UnsupportedError("Reshape to several sizes that are not known")
    result: Symbol = Reshape([-1 if n is None else n for n in sizes])(symbol)
    return result


def permuted(symbol: Symbol, order: list[int]) -> Symbol:
    """Return a symbol with its axes behind the batch in another order, in which these are named."""
    if order == sorted(order):
        return symbol
    result: Symbol = Permute(order)(symbol)
    return result


def laid_out(value: Value) -> Value:
    """Return the value with a symbol whose axes are those in the file, but that the batch comes first.

    What is merged with the batch stays an axis of the symbol.
    """
    groups: list[list[tuple[int, ...]]] = [[(k,) for k in own] if 0 in own else [own] for own in value.axes]
    others = [own for group in groups for own in group if own != (0,)]
    symbol = permuted(value.symbol, [k for own in others for k in own])
    sizes = []
    for own in others:
        parts = [value.symbol.shape[k] for k in own]
        sizes.append(None if None in parts else math.prod(p for p in parts if p is not None))
    symbol = reshaped(symbol, tuple(sizes)) if any(len(own) != 1 for own in others) else symbol
    places = itertools.count(1)
    axes = tuple(tuple(0 if own == (0,) else next(places) for own in group) for group in groups)
    return Value(symbol, axes)


def unmerged(value: Value) -> Value:
    """Return a value of which no axis behind the batch is several of its symbol's."""
    return laid_out(value) if (0,) in value.axes and any(len(own) > 1 for own in value.axes) else value


def batch_first(value: Value) -> Symbol:
    """Return the symbol of a value with the batch first and the others in their order."""
    if (0,) not in value.axes:
        raise UnsupportedError("batch and steps merged into one axis")
    return laid_out(value).symbol


def widened(value: Value, count: int) -> Value:
    """Return a value of at least so many axes: those that it lacks come first, as NumPy has it."""
    return Value(value.symbol, ((),) * (count - len(value.axes)) + value.axes)


def in_axes(constant: Constant, value: Value) -> Constant:
    """Return a constant that is broadcast to a value in the file, as one that is broadcast to its symbol."""
    count = len(value.axes)
    wide = constant.reshape((1,) * (count - constant.ndim) + constant.shape)
    shape: list[int] = []  # of the constant with an axis for each of the symbol's
    places: list[int | None] = []  # which of them it is
    for k, own in enumerate(value.axes):
        if own == (0,) and wide.shape[k] != 1:
            if not (wide == wide.take([0], axis=k)).all():
                raise UnsupportedError("a constant that is another for each row of the batch")
            wide = wide.take([0], axis=k)
        size, parts = wide.shape[k], [value.symbol.shape[a] for a in own]
        if size == 1 or len(own) == 1:
            shape += [size] if len(own) == 1 else [1] * max(1, len(own))
        elif len(own) > 1 and None not in parts and math.prod(p or 1 for p in parts) == size:
            shape += [p or 1 for p in parts]
        else:
            raise UnsupportedError("a constant along an axis of size 1 or several merged")
        places += own or [None]
    split = wide.reshape(shape)
    order = [places.index(k) for k in range(value.symbol.ndim)]
    rest = [k for k, place in enumerate(places) if place is None]
    shaped = split.transpose([*order, *rest]).reshape([shape[k] for k in order])
    while shaped.ndim and shaped.shape[0] == 1:
        shaped = shaped[0]
    return np.array(shaped)
