"""Weights: named views into one flat vector of parameters and one of gradients."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import threading
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ._arguments import real_array

Array = NDArray[Any]

_versions = itertools.count()


class Drawn(NamedTuple):
    """Whose ``call`` is being drawn.

    Attributes
    ----------
    name : of the layer or model.
    built : whether it has its weights.
    sized : whether all sizes are told that are known.
    beside : symbols of what it does beside making outputs.
    """

    name: str
    built: bool
    sized: bool
    beside: list[Any]


class _Local(threading.local):
    drawn: Drawn | None = None


_local = _Local()


def drawn() -> Drawn | None:
    """Return whose ``call`` this thread is in while it is drawn, if it is in one."""
    return _local.drawn


@contextlib.contextmanager
def drawing(of: Drawn | None) -> Iterator[None]:
    """Within the ``with`` block, refuse to give the values of weights, of which a ``call`` would make constants.

    With None, they may be asked for again.
    """
    before, _local.drawn = _local.drawn, of
    try:
        yield
    finally:
        _local.drawn = before


class Vectors:
    """A flat vector of values and one of gradients, which variables are views of.

    Attributes
    ----------
    values : the values, read-only: a write past `writing` would go unnoticed by whoever keeps something made from them.
    gradients : to be added to.
    version : a number that no other state of values has, here or elsewhere.
    left : whether a variable has moved on into other vectors, so that these are no longer the weights.
    """

    def __init__(self, values: Array, gradients: Array) -> None:
        self._memory = values
        self.values = _read_only(values)
        self.gradients = gradients
        self.version = next(_versions)
        self.left = False

    def writing(self) -> Vectors:
        """Give, by ``with vectors.writing() as values``, the values to write to; then they have another version."""
        return self

    def __enter__(self) -> Array:
        return self._memory

    def __exit__(self, *error: object) -> None:
        self.version = next(_versions)


class Parameters:
    """Variables that are moved together, and the flat vectors that hold them, one after the other.

    Their values and gradients are moved there. The variables know the vectors and not this object, so that nothing
    refers to itself.
    """

    def __init__(self, variables: Sequence[Variable], dtype: DTypeLike) -> None:
        self.variables = list(variables)
        empty = np.empty(0, dtype)
        values = np.concatenate([empty, *(v.place.value.reshape(-1) for v in self.variables)])
        self.vectors = Vectors(values, np.concatenate([empty, *(v.gradient.reshape(-1) for v in self.variables)]))
        offset = 0
        for variable in self.variables:
            variable.place.vectors.left = True
            variable.place = Place(variable.shape, self.vectors, offset)
            offset += variable.size

    @property
    def values(self) -> Array:
        """The values of all variables, read-only; `Variable.assign` sets those of one."""
        return self.vectors.values.view()

    @property
    def gradients(self) -> Array:
        """The gradients of all variables, to be written to."""
        return self.vectors.gradients.view()

    @gradients.setter
    def gradients(self, value: ArrayLike) -> None:
        _write(self.vectors.gradients, value, "gradients")

    @property
    def version(self) -> int:
        """A number that no other state of the values has."""
        return self.vectors.version

    @functools.cached_property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the variables: whoever keeps vectors beside these tells by them whether they fit."""
        return tuple(v.shape for v in self.variables)


class Place:
    """Where a variable is: in one attribute, so that no thread ever sees half of a move.

    For the passes, which ask for all of them at each step: nobody reshapes these arrays in place or hands them out.
    """

    __slots__ = ("_memory", "gradient", "value", "vectors")

    def __init__(self, shape: tuple[int, ...], vectors: Vectors, offset: int) -> None:
        part = slice(offset, offset + math.prod(shape))
        self.vectors = vectors
        self.value, self.gradient = vectors.values[part].reshape(shape), vectors.gradients[part].reshape(shape)
        self._memory = vectors._memory[part].reshape(shape)

    def write(self, value: Array) -> None:
        """Set the value, and with it the version of the vectors."""
        with self.vectors.writing():
            self._memory[...] = value


class Variable:
    """A weight of a layer.

    >>> from lstmcore.layers import Dense
    >>> layer = Dense(2)
    >>> layer.build((None, 3))
    >>> layer.bias.assign([1, 2])
    >>> layer.bias.value
    array([1., 2.], dtype=float32)
    >>> 2 * layer.bias
    array([2., 4.], dtype=float32)

    Attributes
    ----------
    name, path : its own name, and with the layer's before it ("lstm/kernel").
    shape, dtype, size : of the weight.
    trainable : whether an optimizer may move it, if its layer's ``trainable`` allows.
    regularizer : adds a penalty to the loss, or None.
    constraint : is put upon the value after every step, or None.
    """

    def __init__(
        self, path: str, value: Array, trainable: bool = True, regularizer: Any = None, constraint: Any = None
    ) -> None:
        self.path = path
        self.trainable, self.regularizer, self.constraint = trainable, regularizer, constraint
        self.name = path.rpartition("/")[2]
        self.shape: tuple[int, ...] = value.shape
        self.dtype = value.dtype
        self.size = value.size
        # Where it is quantized, an `_int8.Int8Place`.
        self.place: Any = Place(self.shape, Vectors(value.flatten(), np.zeros(self.size, self.dtype)), 0)

    @property
    def int8(self) -> Any:
        """The whole numbers ``values`` and their ``scale``, if it is quantized; else None."""
        return getattr(self.place, "int8", None)

    @property
    def nbytes(self) -> int:
        """The bytes that it takes."""
        kept = self.int8
        return self.size * self.dtype.itemsize if kept is None else int(kept.values.nbytes + kept.scale.nbytes)

    @property
    def vectors(self) -> Vectors:
        """The flat vectors that it is a part of."""
        return self.place.vectors  # type: ignore[no-any-return]

    @property
    def value(self) -> Array:
        """The weight, read-only: a view of the flat vector. Set it with `assign`."""
        if _local.drawn is not None:
            raise TypeError(
                f"{_local.drawn.name}: call: asks for the value of {self.path} while it is drawn, which would stay "
                "what it is now; call the layer, or put what you do with its weight into a layer of its own"
            )
        value: Array = self.place.value
        return value.view()  # another each time: a caller may reshape it in place

    @property
    def gradient(self) -> Array:
        """The gradient, to be added to: a view of the flat vector."""
        gradient: Array = self.place.gradient
        return gradient.view()

    @gradient.setter
    def gradient(self, value: ArrayLike) -> None:
        _write(self.gradient, value, f"{self.path}: gradient")

    def assign(self, value: ArrayLike) -> None:
        """Set the value; the shape must be the same."""
        array = real_array(self.path, value, self.dtype.name)
        if array.shape != self.shape:
            raise ValueError(f"{self.path}: expected shape {self.shape}, got {array.shape}")
        self.place.write(array)

    def assign_add(self, value: ArrayLike) -> None:
        """Add to the value; the shape must be the same."""
        self.assign(self.value + real_array(self.path, value))

    def assign_sub(self, value: ArrayLike) -> None:
        """Subtract from the value; the shape must be the same."""
        self.assign(self.value - real_array(self.path, value))

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def T(self) -> Array:  # noqa: N802 - as arrays have it
        """The value with its axes reversed."""
        return self.value.T

    def __getitem__(self, key: Any) -> Any:
        return self.value[key]

    def __float__(self) -> float:
        return float(self.value)

    def numpy(self) -> Array:
        """Return a copy of the value."""
        return self.value.copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return a copy of the value, as ``dtype`` if given; with ``copy=False``, the read-only view itself."""
        if copy is False:
            if dtype is not None and np.dtype(dtype) != self.dtype:
                raise ValueError(f"{self.path}: copy: expected True or None, for {self.dtype} becomes {dtype}")
            return self.value
        return np.array(self.value, dtype=dtype)

    def __reduce__(self) -> Any:
        # A copy would no longer be a view of the flat vector that the optimizer moves.
        raise TypeError(f"{self.path}: cannot be copied or pickled by itself; copy its layer, or what numpy() returns")

    def __repr__(self) -> str:
        kept = "" if self.int8 is None else ", kept as int8"
        return f"<Variable {self.path} shape={self.shape} dtype={self.dtype}{kept}>"


def _operator(name: str) -> Any:
    def operate(self: Variable, *others: Any) -> Any:
        return getattr(self.value, name)(*(other.value if isinstance(other, Variable) else other for other in others))

    return operate


# Arithmetic with the values. Equality stays identity: variables are looked for in lists.
for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"):
    for _side in ("", "r"):
        setattr(Variable, f"__{_side}{_name}__", _operator(f"__{_side}{_name}__"))
for _name in ("neg", "pos", "abs"):
    setattr(Variable, f"__{_name}__", _operator(f"__{_name}__"))


def _read_only(array: Array) -> Array:
    """Return a view that cannot be made writeable again, nor can what it is a view of."""
    view = np.frombuffer(array.data.toreadonly(), array.dtype) if array.size else array[:0]
    view.flags.writeable = False
    return view


def _write(array: Array, value: ArrayLike, name: str) -> None:
    """Write into an array, for ``x.attribute += value`` and ``x.attribute = value``."""
    if np.shape(value) != array.shape:
        raise ValueError(f"{name}: expected shape {array.shape}, got {np.shape(value)}")
    array[...] = value
