"""What operators on symbols stand for: ``a + b``, ``2 * a``, ``a[:, -1]``, … as layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _masks
from .._arguments import ArgumentTypeError, among, flag
from .._attention import products
from ..graph.symbol import Symbol
from ._broadcasting import reduced, shapes_of
from ._naming import automatic_name
from .layer import Array, Layer
from .merging import Add, Merging, Multiply, Subtract

_FUNCTIONS: dict[str, Any] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "true_divide": np.true_divide,
    "power": np.power,
}
_SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "true_divide": "/", "power": "**", "matmul": "@"}


class Arithmetic(Layer):
    """``x + c``, ``x - c``, ``x * c``, ``x / c`` or ``x ** c`` with a constant, which with ``reverse`` comes first.

    Operators on symbols make such layers.

    >>> import numpy as np
    >>> from lstmcore.layers import Arithmetic
    >>> Arithmetic("subtract", 1.0, reverse=True)(np.array([[0.25, 2.0]])).tolist()
    [[0.75, -1.0]]

    Parameters
    ----------
    operation : "add", "subtract", "multiply", "true_divide" or "power".
    constant : a number, or an array that fits the inputs behind the batch as in NumPy.
    reverse : whether the constant comes first.
    **options : ``name``, ``dtype`` as for every layer.
    """

    def __init__(self, operation: str, constant: Any, reverse: bool = False, **options: Any) -> None:
        if not among(operation, _FUNCTIONS):
            raise ValueError(f"Arithmetic: operation: expected one of {', '.join(_FUNCTIONS)}, got {operation!r}")
        super().__init__(**{"name": automatic_name(operation)} | options)
        self.operation, self.reverse = operation, flag("Arithmetic: reverse", reverse)
        self.constant = np.array(constant, np.float64)
        if operation == "power" and self.reverse and (self.constant <= 0).any():
            raise ValueError(
                f"{self.name}: constant: expected positive numbers, to be raised to powers; got {constant}"
            )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the inputs, spread out to that of the constant."""
        shape, own = tuple(input_shape), self.constant.shape
        if len(own) > len(shape) or (len(own) == len(shape) and own[0] != 1):
            raise ValueError(
                f"{self.name}: constant: expected a shape that fits behind the batch of {shape}, got {own}"
            )
        sizes = list(shape)
        for k in range(1, len(own) + 1):
            if own[-k] == 1:
                continue
            if sizes[-k] not in (1, None, own[-k]):
                raise ValueError(f"{self.name}: inputs: expected a shape that fits a constant of {own}, got {shape}")
            sizes[-k] = own[-k]
        return tuple(sizes)

    def _sides(self, inputs: Array) -> tuple[Array, Array]:
        constant = self.constant.astype(self.dtype)
        return (constant, inputs) if self.reverse else (inputs, constant)

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the result."""
        inputs = np.asarray(inputs, self.dtype)
        self.compute_output_shape(inputs.shape)
        outputs: Array = _FUNCTIONS[self.operation](*self._sides(inputs))
        if training:
            self._cache = (inputs, outputs)
        return outputs

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return the gradient of the inputs."""
        inputs, outputs = self.kept()
        if not need_d_inputs:
            return None
        constant = self.constant.astype(self.dtype)
        d = d_outputs
        if self.operation == "subtract" and self.reverse:
            d = -d
        elif self.operation == "multiply":
            d = d * constant
        elif self.operation == "true_divide":
            d = -d * outputs / inputs if self.reverse else d / constant
        elif self.operation == "power":
            d = d * outputs * np.log(constant) if self.reverse else d * constant * inputs ** (constant - 1)
        return reduced(np.asarray(d, d_outputs.dtype), inputs.shape)


class Divide(Merging):
    """The quotient of two arrays, number by number; ``a / b`` of two symbols makes one.

    >>> import numpy as np
    >>> from lstmcore.layers import Divide
    >>> Divide()([np.array([[1.0, 3.0]]), np.array([[2.0, 4.0]])]).tolist()
    [[0.5, 0.75]]
    """

    _least = _most = 2

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"name": automatic_name("true_divide")} | options)

    def _merge(self, arrays: list[Array]) -> tuple[Array, Any]:
        outputs = arrays[0] / arrays[1]
        return outputs, (arrays[1], outputs)

    def _split(self, d_outputs: Array, kept: Any, count: int) -> Sequence[Array]:
        second, outputs = kept
        d = d_outputs / second
        return [d, -d * outputs]


class Matmul(Layer):
    """The products of the matrices in two arrays (..., rows, depth) and (..., depth, columns), batch by batch.

    ``a @ b`` of two symbols makes one.

    >>> import numpy as np
    >>> from lstmcore.layers import Matmul
    >>> Matmul()([np.ones((2, 5, 3)), np.ones((2, 3, 4))]).shape
    (2, 5, 4)
    """

    takes_several = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (..., rows, columns)."""
        first, second = shapes_of(self.name, input_shape, 2, 2)
        fits = len(first) == len(second) > 2 and (first[-1] == second[-2] or None in (first[-1], second[-2]))
        if not fits or any(m != n and None not in (m, n) for m, n in zip(first[:-2], second[:-2], strict=True)):
            raise ValueError(
                f"{self.name}: inputs: expected shapes (..., rows, depth) and (..., depth, columns) with the batch "
                f"first, got {first} and {second}; multiply with a Dense layer's kernel, or with layers.Dot"
            )
        return (*(n if m is None else m for m, n in zip(first[:-1], (*second[:-2], None), strict=True)), second[-1])

    def forward(self, inputs: Any, training: bool = False) -> Array:
        """Return the products."""
        first, second = inputs.values() if isinstance(inputs, dict) else inputs
        self.compute_output_shape([first.shape, second.shape])
        if training:
            self._cache = (first, second)
        return products(first, second)

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Any:
        """Return the gradients of both."""
        first, second = self.kept()
        if not need_d_inputs:
            return None
        return [products(d_outputs, second.swapaxes(-1, -2)), products(first.swapaxes(-1, -2), d_outputs)]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask of the first, whose rows the products have."""
        return _masks.parts(mask)[0] if mask is not None else None


class GetItem(Layer):
    """A part of the inputs behind the batch; ``x[:, -1]`` of a symbol makes one.

    >>> import numpy as np
    >>> from lstmcore.layers import GetItem
    >>> GetItem([{"slice": [None, None, None]}, -1])(np.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [2.0, 4.0]

    Where all steps or a slice of them are taken, their mask goes with them.

    Parameters
    ----------
    key : one for each axis, the batch first: ``{"slice": [start, stop, step]}``, an integer, "ellipsis" or "newaxis".
    **options : ``name``, ``dtype`` as for every layer.
    """

    def __init__(self, key: Any, **options: Any) -> None:
        super().__init__(**{"name": automatic_name("get_item")} | options)
        self.key = [_part_of_key(part) for part in key]
        self._arguments = self._arguments | {"key": [_described(part) for part in self.key]}
        if not self.key or self.key[0] not in (slice(None), Ellipsis):
            raise IndexError(
                f"{self.name}: key: expected all of the batch, as in x[:, 0] and x[..., 0]; got {_said(self.key)}"
            )

    def _whole(self, axes: int) -> list[Any]:
        """Return the key with a part for every axis."""
        taken = sum(part is not None and part is not Ellipsis for part in self.key)
        if taken > axes:
            raise IndexError(f"{self.name}: inputs: expected at least {taken} axes for {_said(self.key)}, got {axes}")
        found: list[Any] = []
        for part in self.key:
            found += [slice(None)] * (axes - taken) if part is Ellipsis else [part]
        return found + [slice(None)] * (axes - sum(part is not None for part in found))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the part."""
        sizes = iter(input_shape)
        shape: list[int | None] = []
        for part in self._whole(len(input_shape)):
            if part is None:
                shape.append(1)
                continue
            size = next(sizes)
            if isinstance(part, slice):
                shape.append(size if part == slice(None) else None if size is None else len(range(*part.indices(size))))
            elif size is not None and not -size <= part < size:
                raise IndexError(f"{self.name}: inputs: expected an axis with an index {part}, got shape {input_shape}")
        return tuple(shape)

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the part."""
        key = tuple(self._whole(inputs.ndim))
        self.compute_output_shape(inputs.shape)
        if training:
            self._cache = (inputs.shape, key)
        return np.ascontiguousarray(inputs[key])

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return the gradient of the inputs: 0 where they were left out."""
        shape, key = self.kept()
        if not need_d_inputs:
            return None
        d_inputs = np.zeros(shape, d_outputs.dtype)
        d_inputs[key] = d_outputs
        return d_inputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> Array | None:
        """Return the mask of the steps that are left, if there are steps left."""
        if mask is None or mask.ndim != 2:
            return None
        _, steps, *others = self._whole(inputs.ndim)
        return mask[:, steps] if isinstance(steps, slice) and others else None


def _part_of_key(part: Any) -> Any:
    if isinstance(part, dict) and part.keys() == {"slice"}:
        return slice(*part["slice"])
    if part in ("ellipsis", "newaxis"):
        return Ellipsis if part == "ellipsis" else None
    if isinstance(part, slice) or part is Ellipsis or part is None:
        return part
    if isinstance(part, (int, np.integer)) and not isinstance(part, (bool, np.bool_)):
        return int(part)
    raise ArgumentTypeError(f"key: expected integers, slices, ... and None, got {part!r}")


def _described(part: Any) -> Any:
    if isinstance(part, slice):
        return {"slice": [None if n is None else int(n) for n in (part.start, part.stop, part.step)]}
    return "ellipsis" if part is Ellipsis else "newaxis" if part is None else part


def _said(key: list[Any]) -> str:
    def one(part: Any) -> str:
        if not isinstance(part, slice):
            return "..." if part is Ellipsis else str(part)
        ends = ["" if n is None else str(n) for n in (part.start, part.stop, part.step)]
        return ":".join(ends if ends[2] else ends[:2])

    return f"x[{', '.join(map(one, key))}]"


_MERGING: dict[str, type[Layer]] = {"add": Add, "subtract": Subtract, "multiply": Multiply, "true_divide": Divide}


# --- of symbols ---


def operated(operation: str, first: Any, second: Any) -> Any:
    """Return the symbol of an operation on two symbols, or on a symbol and a constant."""
    sign = _SIGNS[operation]
    for side in (first, second):
        number = isinstance(side, (int, float, np.number)) and not isinstance(side, bool)
        array = isinstance(side, np.ndarray) and side.dtype.kind in "fiu"
        if not (isinstance(side, Symbol) or ((number or array) and operation != "matmul")):
            raise TypeError(
                f"{sign}: expected a symbol{', a number or an array' * (operation != 'matmul')}, got {side!r}"
            )
    if not isinstance(first, Symbol):
        return Arithmetic(operation, first, reverse=True)(second)
    if not isinstance(second, Symbol):
        return Arithmetic(operation, second)(first)
    if operation == "power":
        raise TypeError(f"**: expected a number as the exponent, got {second!r}")
    if first.ndim != second.ndim:
        raise ValueError(
            f"{sign}: expected symbols with as many axes, got {first!r} and {second!r}; layers.add and its kind put "
            "those that are missing behind the batch"
        )
    if operation == "matmul":
        return Matmul()([first, second])
    return _MERGING[operation]()([first, second])


def item(symbol: Symbol, key: Any) -> Any:
    """Return the symbol of a part of another."""
    return GetItem(key if isinstance(key, tuple) else (key,))(symbol)


Symbol.operated = staticmethod(operated)
Symbol.item = staticmethod(item)
