"""What has weights, itself or in layers within, and is part of one thing only."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .. import constraints, regularizers
from .._arguments import flag, items, named, real_array, reject_options, whole_number
from .._placeholders import placeholder
from ..initializers import GlorotUniform
from ..initializers import get as get_initializer
from ..serialization import Configurable
from ..variables import Variable
from ._typed import Typed

Array = NDArray[Any]

_WITHOUT_EFFECT = {"autocast", "aggregation", "overwrite_with_gradient"}


class Weighted(Typed, Configurable):
    """What has weights. A layer is; what it is beside that, `Layer` says.

    Attributes
    ----------
    variables : the weights, those of layers within too.
    built : whether they have been made.
    owner : the model or layer it is part of, or None.
    """

    name: str
    variables: list[Variable]
    built: bool
    owned_by: str | None
    _trainable: bool

    @property
    def sublayers(self) -> list[Any]:
        """The layers within this one."""
        raise NotImplementedError

    @property
    def weights(self) -> list[Variable]:
        """The variables, in Keras's order."""
        return list(self.variables)

    def add_weight(
        self,
        *arguments: Any,
        name: str | None = None,
        shape: Sequence[int] | None = None,
        initializer: str | Callable[..., Array] | None = None,
        dtype: DTypeLike | None = None,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        offered: str = "units",
        **options: Any,
    ) -> Variable:
        """Create a variable, to be found in `variables` from then on.

        Parameters
        ----------
        *arguments : shape, initializer and dtype, as in Keras 3, or name, shape and initializer; all of them
            may also be given by name.
        name : of the variable within the layer.
        shape : of integers; () by default.
        initializer : a name or a callable, "glorot_uniform" by default.
        dtype : the layer's.
        trainable : whether `fit` moves it.
        regularizer, constraint : names, objects of `regularizers` and `constraints`, or None.
        offered : the argument of the layer to blame if no memory could hold the shape.
        **options : Keras's ``autocast``, ``aggregation`` and ``overwrite_with_gradient`` have no effect.
        """
        reject_options("add_weight", {k: v for k, v in options.items() if k not in _WITHOUT_EFFECT}, ())
        given: dict[str, Any] = {"name": name, "shape": shape, "initializer": initializer, "dtype": dtype}
        by_name = bool(arguments) and isinstance(arguments[0], str)
        order = ("name", "shape", "initializer", "dtype") if by_name else ("shape", "initializer", "dtype")
        if len(arguments) > len(order):
            raise TypeError(f"{self.name}: add_weight takes {', '.join(order)} by position, got {len(arguments)}")
        for argument, value in zip(order, arguments, strict=False):
            if given[argument] is not None:
                raise TypeError(f"{self.name}: add_weight got two values for {argument}")
            given[argument] = value
        name = named(self.name, given["name"], f"variable_{len(self.variables)}")
        sizes = items(
            f"{self.name}: {name}: shape", () if given["shape"] is None else given["shape"], "a list of integers"
        )
        shape = tuple(whole_number(f"{self.name}: {name}: shape", n) for n in sizes)
        if any(n < 0 for n in shape):
            raise ValueError(f"{self.name}: {name}: shape: expected integers from 0 on, got {shape}")
        if given["dtype"] is not None and not _is_dtype(given["dtype"], self.dtype):
            raise ValueError(f"{self.name}: {name}: expected the layer's dtype, {self.dtype}, got {given['dtype']}")
        if math.prod(map(float, shape)) * self.dtype.itemsize > 2.0**60:
            raise ValueError(f"{self.name}: {offered}: a {name} of shape {shape} overflows the address space")
        try:
            value = placeholder(shape, self.dtype)
            if value is None:
                make = get_initializer(given["initializer"]) or GlorotUniform()
                value = np.asarray(make(shape, dtype=self.dtype), self.dtype)
        except MemoryError as error:
            raise MemoryError(f"{self.name}: {offered}: no memory for a {name} of shape {shape}") from error
        if value.shape != shape:
            raise ValueError(f"{self.name}: {name}_initializer: expected shape {shape}, got {value.shape}")
        variable = Variable(
            f"{self.name}/{name}", value, trainable, regularizers.get(regularizer), constraints.get(constraint)
        )
        self.variables.append(variable)
        return variable

    @property
    def trainable(self) -> bool:
        """Whether `fit` moves the weights. A change takes effect when the model is compiled."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = flag(f"{self.name}: trainable", value)
        for layer in self.sublayers:
            layer.trainable = value

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables that `fit` moves, which are none that are quantized."""
        if not self.trainable:
            return []
        inner = {id(v): False for layer in self.sublayers for v in layer.variables}
        inner |= {id(v): True for layer in self.sublayers for v in layer.trainable_variables}
        return [v for v in self.variables if inner.get(id(v), v.trainable) and v.int8 is None]

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The variables that `fit` leaves to the layer itself."""
        moved = {id(v) for v in self.trainable_variables}
        return [v for v in self.variables if id(v) not in moved]

    trainable_weights = trainable_variables
    non_trainable_weights = non_trainable_variables

    def get_weights(self) -> list[Array]:
        """Return copies of the weights, in Keras's order and layout."""
        return [v.numpy() for v in self.variables]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Set the weights from arrays as `get_weights` returns them: all of them or, on an error, none."""
        if not self.built:
            raise ValueError(f"{self.name}: has no weights yet; call it on data or give it an input_shape")
        set_all(self.name, self.variables, weights)

    def count_params(self) -> int:
        """Return the number of numbers in the weights."""
        return sum(v.size for v in self.variables)

    def refuse_owner(self, other: str) -> None:
        """Refuse to be part of something else, if the layer is within another layer."""
        if self.owned_by is not None:
            raise ValueError(
                f"{other}: layer: {self.name} belongs to {self.owned_by}; make a new layer and give it the "
                "weights with get_weights and set_weights"
            )

    def claim(self, owner: str) -> None:
        """Make the layer part of another layer; it can be within one only."""
        self.refuse_owner(owner)
        self.owned_by = owner

    def adopt(self, layer: Any) -> None:
        """Make a layer part of this one, with its name behind this one's."""
        layer.claim(self.name)
        self.pass_dtype_on(layer)
        layer.name = f"{self.name}/{layer.name}"
        if not self.trainable:
            layer.trainable = False


def _is_dtype(value: Any, dtype: np.dtype[Any]) -> bool:
    try:
        return bool(np.dtype(value) == dtype)
    except (TypeError, ValueError):
        return False


def set_all(owner: str, variables: Sequence[Variable], weights: Sequence[ArrayLike]) -> None:
    """Assign arrays to variables after checking every shape."""
    given = items(f"{owner}: weights", weights, "a list of arrays")
    # Copies, for they may be values of the variables themselves.
    arrays = [np.array(real_array(f"{owner}: weights[{k}]", w)) for k, w in enumerate(given)]
    if len(arrays) != len(variables):
        raise ValueError(f"{owner}: weights: expected {len(variables)} arrays, got {len(arrays)}")
    for variable, array in zip(variables, arrays, strict=True):
        if array.shape != variable.shape:
            raise ValueError(f"{variable.path}: expected shape {variable.shape}, got {array.shape}")
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
