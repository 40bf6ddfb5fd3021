"""What stands for the arrays of a file: constants, sizes that nobody knows yet, and symbols of our layers.

Our layers have the batch first, ONNX's operators have it where they like. So a value is a symbol, batch first, and how
the axes in the file are made of those of the symbol: transpositions are then no layers.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...._tree import leaves, map_leaves
from ....graph.symbol import Symbol
from ....layers import Permute, Reshape

Constant = NDArray[Any]
_numbers = itertools.count()  # of sizes


class UnsupportedError(NotImplementedError):
    """Something of a node that our layers do not say."""


class OtherBatchError(Exception):
    """An input of the file has its batch along another axis than was thought."""

    def __init__(self, axis: int, value: Value) -> None:
        super().__init__(f"batch expected along axis {axis}")
        self.axis, self.value = axis, value


class Size:
    """The size of an axis that is not known, or what is computed of such.

    Products of sizes are followed, as reshaping asks which they are; all else that is computed is a size of its own.
    """

    def __init__(self, factors: tuple[int, ...] | None = None, times: int = 1) -> None:
        self.factors = (next(_numbers),) if factors is None else factors
        self.times = times

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Size) and (self.factors, self.times) == (other.factors, other.times)

    def __hash__(self) -> int:
        return hash((self.factors, self.times))

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Size):
            return Size(tuple(sorted(self.factors + other.factors)), self.times * other.times)
        return Size(self.factors, self.times * int(other)) if other == int(other) and other > 0 else Size()

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        if isinstance(other, Size):
            left = Counter(self.factors)
            left.subtract(other.factors)
            if min(left.values()) < 0 or self.times % other.times:
                return Size()
            rest = tuple(sorted(left.elements()))
            return Size(rest, self.times // other.times) if rest else self.times // other.times
        if other == int(other) and other > 0 and self.times % int(other) == 0:
            return Size(self.factors, self.times // int(other))
        return Size()

    def _of(self, other: Any) -> Size:
        return Size()

    __add__ = __radd__ = __sub__ = __rsub__ = __truediv__ = __rfloordiv__ = __rtruediv__ = _of

    def __repr__(self) -> str:
        return "?"


BATCH = Size()


class Numbers(NamedTuple):
    """The numbers 0, 1, … up to a size that is not known; in a constant, one stands for all."""

    size: Size


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


class Sizes:
    """Gives the size of an unknown axis the same object each time, so that it can be followed.

    ``rows`` is the number of rows of the batch that a file was written for, which it may have computed with; our models
    take any number. None if it is open there too.
    """

    def __init__(self) -> None:
        self._known: dict[Any, Size] = {}
        self._with_steps: dict[Size, Symbol] = {}
        self.rows: int | None = None

    def of(self, symbol: Symbol, axis: int) -> Any:
        """Return the size of an axis."""
        if axis == 0:
            return BATCH
        size = symbol.shape[axis]
        if size is not None:
            return size
        key = (symbol.key, axis)
        if key not in self._known:
            self._known[key] = self._inherited(symbol, axis) or Size()
            if axis == 1:
                self._with_steps.setdefault(self._known[key], symbol)
        return self._known[key]

    def symbol(self, steps: Any) -> Symbol | None:
        """Return a symbol of so many steps; None if there is none."""
        return self._with_steps.get(steps)

    def _inherited(self, symbol: Symbol, axis: int) -> Size | None:
        """Return the size of an axis of what goes into a layer if that of what comes out is always the same."""
        call = symbol.call
        given = {self.of(s, k): s for s in leaves(call.inputs) for k, n in enumerate(s.shape) if k and n is None}
        found = []
        for first in (1009, 2003):  # any two sizes tell: what is made of one by counting differs from it
            said = {size: first + 2 * k for k, size in enumerate(given)}

            def with_sizes(s: Symbol, said: dict[Any, int] = said) -> tuple[Any, ...]:
                return (None, *(said[self.of(s, k)] if n is None else n for k, n in enumerate(s.shape) if k))

            try:
                shape = call.layer.shape_returned(map_leaves(with_sizes, call.inputs), call.options)
            except ValueError:
                return None
            if shape and not (shape[0] is None or isinstance(shape[0], int)):
                shape = shape[symbol.index]
            found.append(next((size for size, n in said.items() if n == shape[axis]), None))
        return found[0] if found[0] == found[1] else None


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
    """Return the value with a symbol whose axes are those in the file, but that the batch comes first."""
    at = value.batch
    if value.axes[at] != (0,):
        raise UnsupportedError("batch and steps merged into one axis")
    others = [own for k, own in enumerate(value.axes) if k != at]
    symbol = permuted(value.symbol, [k for own in others for k in own])
    sizes = []
    for own in others:
        parts = [value.symbol.shape[k] for k in own]
        sizes.append(None if None in parts else math.prod(p for p in parts if p is not None))
    symbol = reshaped(symbol, tuple(sizes)) if any(len(own) != 1 for own in others) else symbol
    places = [k if k < at else k - 1 for k in range(len(value.axes))]
    return Value(symbol, tuple((0,) if k == at else (places[k] + 1,) for k in range(len(value.axes))))


def unmerged(value: Value) -> Value:
    """Return a value of which no axis behind the batch is several of its symbol's."""
    return laid_out(value) if (0,) in value.axes and any(len(own) > 1 for own in value.axes) else value


def batch_first(value: Value) -> Symbol:
    """Return the symbol of a value with the batch first and the others in their order."""
    return laid_out(value).symbol


def widened(value: Value, count: int) -> Value:
    """Return a value of at least so many axes: those that it lacks come first, as NumPy has it."""
    return Value(value.symbol, ((),) * (count - len(value.axes)) + value.axes)


def in_axes(constant: Constant, value: Value) -> Constant:
    """Return a constant that is broadcast to a value in the file, as one that is broadcast to its symbol."""
    count = len(value.axes)
    wide = constant.reshape((1,) * (count - constant.ndim) + constant.shape)
    places: list[int | None] = [None] * value.symbol.ndim
    for k, own in enumerate(value.axes):
        if own == (0,) and wide.shape[k] != 1:
            if not (wide == wide.take([0], axis=k)).all():
                raise UnsupportedError("a constant that is another for each row of the batch")
            wide = wide.take([0], axis=k)
        if len(own) != 1 and wide.shape[k] != 1:
            raise UnsupportedError("a constant along an axis of size 1 or several merged")
        for axis in own[:1]:
            places[axis] = k
    order = [k for k in places if k is not None]
    rest = [k for k in range(count) if k not in order]
    moved = wide.transpose([*order, *rest]).reshape([wide.shape[k] for k in order])
    sizes = iter(moved.shape)
    shaped = moved.reshape([1 if k is None else next(sizes) for k in places])
    while shaped.ndim and shaped.shape[0] == 1:
        shaped = shaped[0]
    return np.array(shaped)
