"""Weights: named views into one flat vector of parameters and one of gradients."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._arguments import real_array

Array = NDArray[Any]


class Parameters:
    """The flat vectors that a model's trainable variables, or a single variable's, are views of.

    ``variables`` are those that the vectors hold, one after the other. ``version`` counts the
    changes of the values, so that whoever keeps something made from them knows when to make it
    again.
    """

    def __init__(self, dtype: np.dtype[Any], size: int = 0) -> None:
        self.values: Array = np.zeros(size, dtype)
        self.gradients: Array = np.zeros(size, dtype)
        self.variables: list[Variable] = []
        self.version = 0

    @classmethod
    def gather(cls, variables: Sequence[Variable], dtype: np.dtype[Any]) -> Parameters:
        """Move variables, with their values, into flat vectors of their own."""
        parameters = cls(dtype, sum(v.size for v in variables))
        offset = 0
        for variable in variables:
            value = variable.value
            variable._place(parameters, offset)
            variable.value[...] = value
            offset += variable.size
        parameters.variables = list(variables)
        return parameters

    @functools.cached_property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the variables: whoever keeps vectors beside these tells by them whether they fit."""
        return tuple(v.shape for v in self.variables)


class Variable:
    """A weight of a layer.

    Attributes
    ----------
    name, path : its own name, and with the layer's before it ("lstm/kernel").
    shape, dtype, size : of the weight.
    value, gradient : arrays, views into the flat vectors. Write with `assign`.
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
        self._place(Parameters(value.dtype, value.size), 0)
        self.parameters.variables = [self]
        self.value[...] = value

    def _place(self, parameters: Parameters, offset: int) -> None:
        self.parameters = parameters
        part = slice(offset, offset + self.size)
        self.value: Array = parameters.values[part].reshape(self.shape)
        self.gradient: Array = parameters.gradients[part].reshape(self.shape)

    def assign(self, value: ArrayLike) -> None:
        """Set the value; the shape must be the same."""
        array = real_array(self.path, value, self.dtype.name)
        if array.shape != self.shape:
            raise ValueError(f"{self.path}: expected shape {self.shape}, got {array.shape}")
        self.value[...] = array
        self.parameters.version += 1

    def numpy(self) -> Array:
        """Return a copy of the value."""
        return self.value.copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return a copy of the value, as ``dtype`` if given."""
        return np.array(self.value, dtype=dtype)

    def __reduce__(self) -> Any:
        # A copy would no longer be a view of the flat vector that the optimizer moves.
        raise TypeError(f"{self.path}: cannot be copied or pickled by itself; copy its layer, or what numpy() returns")

    def __repr__(self) -> str:
        return f"<Variable {self.path} shape={self.shape} dtype={self.dtype}>"
