"""Sizes of axes that nobody knows yet, what is computed of them, and how they become numbers again."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any, NamedTuple

from .... import layers
from ...._tree import leaves, map_leaves
from ....graph.symbol import Symbol
from .errors import UnsupportedError

_numbers = itertools.count()


class _Factor:
    """A size by itself: that of an axis, or what an operation has made of others."""

    def __init__(self, made: tuple[Any, ...] | None = None) -> None:
        self.number, self.made = next(_numbers), made

    def __lt__(self, other: _Factor) -> bool:
        return self.number < other.number


class Size:
    """The size of an axis that is not known, or what is computed of such.

    Products of sizes are followed, as reshaping asks which they are; all else that is computed is a size of its own.

    Parameters
    ----------
    factors, times : the sizes, and the number, that it is the product of; by default a new one.
    real : whether it is a float, whose quotients are not rounded.
    """

    def __init__(self, factors: tuple[_Factor, ...] | None = None, times: int = 1, real: bool = False) -> None:
        self.factors = (_Factor(),) if factors is None else factors
        self.times, self.real = times, real

    @classmethod
    def made(cls, *how: Any, real: bool = False) -> Size:
        """Return what an operation makes: its name, and what it is done to."""
        return cls((_Factor(how),), 1, real)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Size) and (self.factors, self.times) == (other.factors, other.times)

    def __hash__(self) -> int:
        return hash((self.factors, self.times))

    def cast(self, real: bool) -> Size:
        """Return it as a float or an integer, where what an operation of floats has made is rounded."""
        rounded = self.real and not real and any(factor.made for factor in self.factors)
        return Size() if rounded else Size(self.factors, self.times, real)

    def _becomes_real(self, other: Any) -> bool:
        return self.real or (other.real if isinstance(other, Size) else other != int(other))

    def _of(self, operation: str, first: Any, second: Any) -> Size:
        return Size.made(operation, first, second, real=self._becomes_real(second if first is self else first))

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Size):
            factors = tuple(sorted(self.factors + other.factors))
            return Size(factors, self.times * other.times, self._becomes_real(other))
        if other == int(other) and other > 0:
            return Size(self.factors, self.times * int(other), self.real)
        return self._of("multiply", self, other)

    __rmul__ = __mul__

    def _divided(self, other: Any) -> Any:
        """Return the quotient if nothing is left over, None if that is not known."""
        if isinstance(other, Size):
            left = Counter(self.factors)
            left.subtract(other.factors)
            if min(left.values()) < 0 or self.times % other.times:
                return None
            rest = tuple(sorted(left.elements()))
            return Size(rest, self.times // other.times, self.real) if rest else self.times // other.times
        if other == int(other) and other > 0 and self.times % int(other) == 0:
            return Size(self.factors, self.times // int(other), self.real)
        return None

    def __truediv__(self, other: Any) -> Any:
        exact = self._divided(other)
        return self._of("true_divide", self, other) if exact is None else exact

    def __floordiv__(self, other: Any) -> Any:
        exact = self._divided(other)
        return Size() if exact is None else exact

    def __rfloordiv__(self, other: Any) -> Size:
        return Size()

    def __rtruediv__(self, other: Any) -> Size:
        return self._of("true_divide", other, self)

    def __add__(self, other: Any) -> Size:
        return self._of("add", self, other)

    def __radd__(self, other: Any) -> Size:
        return self._of("add", other, self)

    def __sub__(self, other: Any) -> Size:
        return self._of("subtract", self, other)

    def __rsub__(self, other: Any) -> Size:
        return self._of("subtract", other, self)

    def sqrt(self) -> Size:
        """Return the root, for which NumPy asks in an array of objects."""
        return Size.made("sqrt", self, real=True)

    def __repr__(self) -> str:
        return "?"


BATCH = Size()


class Numbers(NamedTuple):
    """The numbers 0, 1, … up to a size that is not known; in a constant, one stands for all."""

    size: Size


class Sizes:
    """Gives the size of an unknown axis the same object each time, so that it can be followed.

    ``rows`` is the number of rows of the batch that a file was written for, which it may have computed with; our models
    take any number. None if it is open there too.
    """

    def __init__(self) -> None:
        self._known: dict[Any, Size] = {}
        self._with_steps: dict[Size, Symbol] = {}
        self._axes: dict[_Factor, tuple[Symbol, int]] = {}  # where a size can be asked for
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
            self._before(symbol)
            self._known[key] = found = self._inherited(symbol, axis) or Size()
            self._axes.setdefault(found.factors[0], (symbol, axis))
            if axis == 1:
                self._with_steps.setdefault(found, symbol)
        return self._known[key]

    def say(self, symbol: Symbol, axis: int, size: Any) -> None:
        """Say which size an axis has that is not known."""
        if isinstance(size, Size):
            self._known[symbol.key, axis] = size

    def _before(self, symbol: Symbol) -> None:
        """Find the sizes of all that a symbol is made of, from the inputs on: a long way is no deep recursion."""
        way, todo, seen = [], [symbol], {symbol.key}
        while todo:
            for source in todo.pop().call.sources:
                unknown = [k for k, n in enumerate(source.shape) if k and n is None]
                if source.key not in seen and any((source.key, k) not in self._known for k in unknown):
                    seen.add(source.key)
                    way.append((source, unknown))
                    todo.append(source)
        for source, unknown in reversed(way):
            for k in unknown:
                self.of(source, k)

    def symbol(self, steps: Any) -> Symbol | None:
        """Return a symbol of so many steps; None if there is none."""
        return self._with_steps.get(steps)

    def axis(self, size: Any) -> tuple[Symbol, int] | None:
        """Return a symbol, and which of its axes has a size; None if there is none."""
        plain = isinstance(size, Size) and size.times == 1 and len(size.factors) == 1
        return self._axes.get(size.factors[0]) if plain else None

    def number(self, size: Any, dtype: Any) -> Any:
        """Return a size, or what is computed of sizes, as a symbol of a number for each row."""
        if not isinstance(size, Size):
            return float(size)
        parts = [self._number(factor, dtype) for factor in size.factors]
        result = parts[0] if len(parts) == 1 else layers.Multiply(dtype=dtype)(parts)
        return result if size.times == 1 else result * float(size.times)

    def _number(self, factor: _Factor, dtype: Any) -> Any:
        if factor.made is None:
            if factor not in self._axes:
                what = "the number of rows" if factor is BATCH.factors[0] else "sizes that are not known"
                raise UnsupportedError(f"{what} among the numbers")
            symbol, axis = self._axes[factor]
            return layers.Size(axis, dtype=dtype)(symbol)
        operation, *operands = factor.made
        sides = [self.number(one, dtype) for one in operands]
        if operation == "sqrt":
            return layers.Elementwise("sqrt", dtype=dtype)(sides[0])
        first, second = sides
        return {
            "add": lambda: first + second,
            "subtract": lambda: first - second,
            "multiply": lambda: first * second,
            "true_divide": lambda: first / second,
        }[operation]()

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
