"""What depends on whether numbers are larger, less or equal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._arguments import ArgumentTypeError, among, flag, number
from .._tree import leaves
from ._broadcasting import aligned, common, reduced, shapes_of
from ._naming import automatic_name
from .layer import Array, Layer

_COMPARED: dict[str, Any] = {
    "equal": np.equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "and": np.logical_and,
    "or": np.logical_or,
}


class Compare(Layer):
    """Where numbers are larger, less or equal: of two arrays, or of one and a number.

    >>> import numpy as np
    >>> from lstmcore.layers import Compare
    >>> Compare("less", 2)(np.array([[1.0, 2.0]])).tolist()
    [[True, False]]
    >>> Compare("equal")([np.array([[1.0, 2.0]]), np.array([[1.0, 3.0]])]).tolist()
    [[True, False]]

    Behind the batch, sizes of 1 are spread out as in NumPy. There is no gradient of what is true or false; a mask ends
    here.

    Parameters
    ----------
    operation : "equal", "less", "less_equal", "greater", "greater_equal"; "and" and "or" of what is true or false.
    constant : the number, or an array that fits behind the batch, that comes second; None where there are two arrays.
    invert : whether to say where it is not so.
    **options : ``name``, ``dtype`` as for every layer.
    """

    takes_integers = True
    may_take_several = True

    def __init__(self, operation: str, constant: Any = None, invert: bool = False, **options: Any) -> None:
        if not among(operation, _COMPARED):
            raise ValueError(f"Compare: operation: expected one of {', '.join(_COMPARED)}, got {operation!r}")
        super().__init__(**{"name": automatic_name(operation)} | options)
        self.operation = operation
        self.invert = flag("Compare: invert", invert)
        self.constant = None if constant is None else np.array(constant)
        if self.constant is not None and self.constant.dtype.kind not in "fiub":
            raise ArgumentTypeError(f"{self.name}: constant: expected numbers, got {constant!r}")
        self._arguments = self._arguments | {"constant": None if self.constant is None else self.constant.tolist()}

    def dtype_of_call(self, inputs: Any) -> np.dtype[Any]:
        """Return bool."""
        return np.dtype(bool)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape that both have together."""
        if self.constant is None:
            return common(self.name, shapes_of(self.name, input_shape, 2, 2))
        given = tuple(input_shape)
        if self.constant.ndim >= max(1, len(given)):
            raise ValueError(
                f"{self.name}: constant: expected a shape that fits behind the batch of {given}, "
                f"got {self.constant.shape}"
            )
        return common(self.name, [given, (given[0], *self.constant.shape)])

    def forward(self, inputs: Any, training: bool = False) -> Array:
        """Return where it is so."""
        arrays = [inputs] if self.constant is not None else list(leaves(inputs))
        shape: Any = self.compute_output_shape(arrays[0].shape if len(arrays) == 1 else [a.shape for a in arrays])
        sides = [aligned(array, len(shape)) for array in arrays]
        if self.constant is not None:
            sides.append(self.constant)
        found = np.asarray(_COMPARED[self.operation](*sides))
        return ~found if self.invert else found

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> None:
        """Return nothing: what is true or false has no gradient."""

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Return None."""


class Where(Layer):
    """Of two arrays, the numbers of the first where a condition is true, and of the second elsewhere.

    >>> import numpy as np
    >>> from lstmcore.layers import Where
    >>> Where()([np.array([[True, False]]), np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])]).tolist()
    [[1.0, 4.0]]
    >>> Where(otherwise=0)([np.array([[True, False]]), np.array([[1.0, 2.0]])]).tolist()
    [[1.0, 0.0]]

    Behind the batch, sizes of 1 are spread out as in NumPy. A mask ends here.

    Parameters
    ----------
    otherwise : the number that stands for the second array; None if it is given.
    **options : ``name``, ``dtype`` as for every layer.
    """

    takes_several = True
    takes_integers = True

    def __init__(self, otherwise: float | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.otherwise = None if otherwise is None else number("Where: otherwise", otherwise, "[-inf, inf]")

    def shape_of_call(self, inputs: Any, options: Mapping[str, Any]) -> Any:
        """Return the shape of what a call on symbols returns; refuse a condition that is none, and other dtypes."""
        condition, *others = leaves(inputs)
        if condition.dtype.kind != "b":
            raise ArgumentTypeError(f"{self.name}: inputs[0]: expected bool, got {condition!r}")
        for symbol in others:
            if symbol.dtype != self.dtype:
                raise ArgumentTypeError(f"{self.name}: inputs: expected {self.dtype}, got {symbol!r}")
        return super().shape_of_call(inputs, options)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape that all have together."""
        count = 3 if self.otherwise is None else 2
        return common(self.name, shapes_of(self.name, input_shape, count, count))

    def forward(self, inputs: Any, training: bool = False) -> Array:
        """Return what is chosen."""
        arrays = list(leaves(inputs))
        shape = self.compute_output_shape([array.shape for array in arrays])
        condition, first, *second = (aligned(array, len(shape)) for array in arrays)
        if condition.dtype != bool:
            raise ArgumentTypeError(f"{self.name}: inputs[0]: expected bool, got {condition.dtype}")
        other = second[0] if second else np.asarray(self.otherwise, self.dtype)
        if training:
            self._cache = (condition, [array.shape for array in arrays])
        return np.asarray(np.where(condition, first, other), self.dtype)

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Any:
        """Return the gradients of both arrays; the condition has none."""
        condition, shapes = self.kept()
        if not need_d_inputs:
            return None
        zero = d_outputs.dtype.type(0)
        parts = [np.where(condition, d_outputs, zero), np.where(condition, zero, d_outputs)]
        return [None, *(reduced(d, shape) for d, shape in zip(parts, shapes[1:], strict=False))]

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Return None."""


class Cast(Layer):
    """Numbers of the layer's dtype: 1 and 0 of what is true and false, and floats of integers.

    >>> import numpy as np
    >>> from lstmcore.layers import Cast
    >>> Cast(dtype="float32")(np.array([[True, False]])).tolist()
    [[1.0, 0.0]]

    A mask ends here: what it said of steps, these numbers are to say.

    Parameters
    ----------
    **options : ``name``, ``dtype`` as for every layer.
    """

    takes_integers = True

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the numbers."""
        if training:
            self._cache = inputs.dtype.kind
        return np.array(inputs, self.dtype)

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return the gradient as it came; integers have none."""
        return d_outputs if self.kept() == "f" and need_d_inputs else None

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Return None."""
