"""What operators on symbols stand for: ``a + b``, ``2 * a``, ``a[:, -1]``, … as layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import _masks
from .._arguments import ArgumentTypeError, among, flag, number, real_array
from .._attention import products
from ..graph.symbol import Symbol
from ..variables import Variable
from ._broadcasting import expanded, reduced, refuse_others, shapes_of, where
from ._naming import automatic_name
from ._several import Several
from .layer import Array, Layer
from .merging import Add, Factors, Multiply, Subtract

_FUNCTIONS: dict[str, Any] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "true_divide": np.true_divide,
    "power": np.power,
}
_SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "true_divide": "/", "power": "**", "matmul": "@"}
_OF_WHOLE = ("add", "subtract", "multiply")  # that make integers of integers, and are there for all numbers
_BATCH = "expected all of the batch, as in x[:, 0] and x[..., 0]"
_MOST = 10_000  # numbers in a constant, which configurations hold as text


class Arithmetic(Layer):
    """``x + c``, ``x - c``, ``x * c``, ``x / c`` or ``x ** c`` with a constant, which with ``reverse`` comes first.

    Operators on symbols make such layers. In a graph, outputs have the dtype of the inputs, which may be integers in
    sums, differences and products with integers.

    >>> import numpy as np
    >>> from lstmcore.layers import Arithmetic
    >>> Arithmetic("subtract", 1.0, reverse=True)(np.array([[0.25, 2.0]])).tolist()
    [[0.75, -1.0]]

    Where steps are left out by a mask, quotients and powers are 0, whatever stands there.

    Parameters
    ----------
    operation : "add", "subtract", "multiply", "true_divide" or "power".
    constant : a number, or an array that fits the inputs behind the batch as in NumPy.
    reverse : whether the constant comes first.
    **options : ``name``, ``dtype`` as for every layer.
    """

    keeps_dtype = True

    def __init__(self, operation: str, constant: Any, reverse: bool = False, **options: Any) -> None:
        if not among(operation, _FUNCTIONS):
            raise ValueError(f"Arithmetic: operation: expected one of {', '.join(_FUNCTIONS)}, got {operation!r}")
        super().__init__(**{"name": automatic_name(operation)} | options)
        self.operation, self.reverse = operation, flag("Arithmetic: reverse", reverse)
        self.constant = _constant(f"{self.name}: constant", constant)
        self._arguments = self._arguments | {"constant": self.constant.tolist()}
        if operation == "power" and self.reverse and (self.constant <= 0).any():
            raise ValueError(
                f"{self.name}: constant: expected positive numbers, to be raised to powers; got {constant}"
            )

    def shape_of_call(self, inputs: Any, options: Mapping[str, Any]) -> Any:
        """Return the shape of what a call on a symbol returns; refuse one of another kind."""
        shape = super().shape_of_call(inputs, options)
        whole = self.operation in _OF_WHOLE and self.constant.dtype.kind in "iu"
        if not (whole and inputs.dtype.kind in "iu"):
            refuse_others(self.name, self.dtype, inputs)
        return shape

    @property
    def steps_apart(self) -> bool:  # type: ignore[override]
        """Whether the constant is the same for all steps."""
        return self.constant.ndim < 2

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the inputs, spread out to that of the constant."""
        shape, own = tuple(input_shape), self.constant.shape
        if len(own) > len(shape) or (len(own) == len(shape) and len(own) and own[0] != 1):
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

    def forward(self, inputs: Array, training: bool = False, mask: Array | None = None) -> Array:
        """Return the result."""
        self.compute_output_shape(inputs.shape)
        left = None
        if mask is not None:
            own = _masks.fit(self.name, mask, inputs.shape)
            left = None if self.operation in _OF_WHOLE else expanded(own, inputs.ndim)
        inputs = where(left, inputs, 1)
        if inputs.dtype.kind in "iu" and self.constant.dtype.kind == "f":
            raise TypeError(f"{self.name}: inputs: expected {self.dtype}, for the constant is no integer; got integers")
        constant = self.constant.astype(inputs.dtype)
        sides = (constant, inputs) if self.reverse else (inputs, constant)
        outputs: Array = where(left, _FUNCTIONS[self.operation](*sides), 0)
        if training:
            self._cache = (inputs.shape, constant, None if self.operation in _OF_WHOLE else (inputs, outputs), left)
        return outputs

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return the gradient of the inputs; integers have none."""
        shape, constant, kept, left = self.kept()
        if not need_d_inputs or constant.dtype.kind != "f":
            return None
        inputs, outputs = kept or (None, None)
        d = where(left, d_outputs, 0)
        if self.operation == "subtract" and self.reverse:
            d = -d
        elif self.operation == "multiply":
            d = d * constant
        elif self.operation == "true_divide":
            d = -d * outputs / inputs if self.reverse else d / constant
        elif self.operation == "power":
            # x ** 0 is 1 everywhere, also at 0.
            slope = np.where(constant == 0, 0, constant - 1)
            d = d * outputs * np.log(constant) if self.reverse else d * (constant * inputs**slope)
        return reduced(np.asarray(d, d_outputs.dtype), shape)


def _constant(name: str, value: Any) -> Array:
    """Return a constant as an array of our own."""
    array = real_array(name, value)
    if array.dtype.kind == "b":
        raise ArgumentTypeError(f"{name}: expected numbers, got {array.dtype}")
    if isinstance(value, np.ndarray) and not value.flags.writeable:
        # As the value of a weight is, which would stay what it is now and never be trained.
        raise ValueError(f"{name}: expected an array of your own, got one that is read-only; give a copy")
    if array.size > _MOST:
        raise ValueError(f"{name}: expected at most {_MOST} numbers, got {array.size}; make it an Input")
    return np.array(array)


class Negative(Layer):
    """The inputs with the other sign; ``-x`` of a symbol makes one.

    >>> import numpy as np
    >>> from lstmcore.layers import Negative
    >>> Negative()(np.ones((1, 2))).tolist()
    [[-1.0, -1.0]]
    """

    keeps_dtype = True
    steps_apart = True

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the inputs with the other sign."""
        return np.negative(inputs)

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return the gradient with the other sign."""
        return np.negative(d_outputs)


class Absolute(Layer):
    """The inputs without their signs; ``abs(x)`` of a symbol makes one.

    >>> import numpy as np
    >>> from lstmcore.layers import Absolute
    >>> Absolute()(np.array([[-1.5, 2.0]])).tolist()
    [[1.5, 2.0]]
    """

    keeps_dtype = True
    steps_apart = True

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the inputs without their signs."""
        if training:
            self._cache = np.sign(inputs)
        return np.absolute(inputs)

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return the gradient with the signs of the inputs; at 0 it is 0."""
        signs = self.kept()
        return d_outputs * signs if need_d_inputs else None


class NotEqual(Layer):
    """Where the inputs differ from a value: what the ``compute_mask`` of an `Embedding` makes of a symbol.

    >>> import numpy as np
    >>> from lstmcore.layers import NotEqual
    >>> NotEqual(0)(np.array([[3.0, 0.0]])).tolist()
    [[True, False]]

    Parameters
    ----------
    value : the value.
    any_feature : whether to say it of each step instead, whose last axis has any number that differs.
    **options : ``name``, ``dtype`` as for every layer.
    """

    def __init__(self, value: float, any_feature: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.value = number("NotEqual: value", value, "[-inf, inf]")
        self.any_feature = flag("NotEqual: any_feature", any_feature)

    def dtype_of_call(self, inputs: Any) -> np.dtype[Any]:
        """Return bool."""
        return np.dtype(bool)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the inputs, or that of their steps."""
        return tuple(input_shape[:-1] if self.any_feature else input_shape)

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return where they differ."""
        differs = inputs != self.value
        return np.asarray(differs.any(axis=-1) if self.any_feature else differs)

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return nothing: what is true or false has no gradient."""
        return None

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask of the inputs, whose steps are those of the outputs."""
        return mask


class Divide(Factors):
    """The quotient of two arrays, number by number; ``a / b`` of two symbols makes one.

    >>> import numpy as np
    >>> from lstmcore.layers import Divide
    >>> Divide()([np.array([[1.0, 3.0]]), np.array([[2.0, 4.0]])]).tolist()
    [[0.5, 0.75]]

    Masks are as for `Multiply`.
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


class Matmul(Several):
    """The products of the matrices in two arrays (..., rows, depth) and (..., depth, columns), batch by batch.

    ``a @ b`` of two symbols makes one. A mask ends here.

    >>> import numpy as np
    >>> from lstmcore.layers import Matmul
    >>> Matmul()([np.ones((2, 5, 3)), np.ones((2, 3, 4))]).shape
    (2, 5, 4)
    """

    supports_masking = False  # of the second, steps are summed over

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


class GetItem(Layer):
    """A part of the inputs behind the batch; ``x[:, -1]`` of a symbol makes one.

    >>> import numpy as np
    >>> from lstmcore.layers import GetItem
    >>> GetItem([{"slice": [None, None, None]}, -1])(np.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [2.0, 4.0]

    Where all steps or a slice of them are taken, their mask goes with them. One step is a vector a row, and has none.
    In a graph, the part has the dtype of the inputs, which may be integers or a mask.

    Parameters
    ----------
    key : one for each axis, the batch first: ``{"slice": [start, stop, step]}``, an integer, "ellipsis" or "newaxis".
    **options : ``name``, ``dtype`` as for every layer.
    """

    keeps_dtype = True

    def __init__(self, key: Any, **options: Any) -> None:
        super().__init__(**{"name": automatic_name("get_item")} | options)
        if not isinstance(key, (list, tuple)):
            raise TypeError(f"GetItem: key: expected a list of what stands in the brackets, got {type(key).__name__}")
        self.key = [_part_of_key(part) for part in key]
        self._arguments = self._arguments | {"key": [_described(part) for part in self.key]}
        if not self.key or self.key[0] not in (slice(None), Ellipsis):
            raise IndexError(f"{self.name}: key: {_BATCH}, got {_said(self.key)}")

    @property
    def steps_apart(self) -> bool:  # type: ignore[override]
        """Whether steps are taken whole, and slices of what is behind them."""
        if not all(part is Ellipsis or isinstance(part, slice) for part in self.key):
            return False
        at = next((k for k, part in enumerate(self.key) if part is Ellipsis), None)
        before = self.key if at is None else self.key[:at]
        if any(part != slice(None) for part in before[:2]):
            return False
        return at is None or len(before) > 1 or len(self.key) - at <= 2

    def leaks(self, inputs: Any, mask: Any) -> str | None:
        """Return that steps are counted from the end of the longest sequence, if they are."""
        key = [part for part in self._whole(inputs.ndim) if part is not None][1]
        if isinstance(key, slice):
            ends = [n for n in (key.start, key.stop) if n is not None]
            from_end = any(n < 0 for n in ends) or (key.step is not None and key.step < -1)
            return "a slice from the end begins at that of the longest" if from_end else None
        if key >= 0:
            return f"not all may have a step {key}" if key and not mask[:, key : key + 1].all() else None
        # What a recurrent layer returns last is repeated behind the end.
        last = inputs.shape[1] - 1 - np.argmax(mask[:, ::-1], axis=1)
        same = key == -1 and np.array_equal(inputs[:, -1], inputs[np.arange(len(inputs)), last])
        return None if same else f"step {key} is that of the longest; a recurrent layer can return its last output only"

    def _whole(self, axes: int) -> list[Any]:
        """Return the key with a part for every axis."""
        taken = sum(part is not None and part is not Ellipsis for part in self.key)
        if taken > axes:
            raise IndexError(f"{self.name}: inputs: expected at least {taken} axes for {_said(self.key)}, got {axes}")
        found: list[Any] = []
        for part in self.key:
            found += [slice(None)] * (axes - taken) if part is Ellipsis else [part]
        found += [slice(None)] * (axes - sum(part is not None for part in found))
        if found[0] != slice(None):
            raise IndexError(f"{self.name}: inputs: {_said(self.key)} takes rows of inputs with {axes} axes: {_BATCH}")
        return found

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
        if mask is None:
            return None
        key: list[Any] = []
        axes = 0  # of the mask, that the key has come past
        for part in self._whole(inputs.ndim):
            if axes < mask.ndim or (part is None and axes == mask.ndim == 1):
                key.append(part)
            axes += part is not None
        left: Array = mask[tuple(key)]
        return None if left.ndim == 1 < mask.ndim else left


def _part_of_key(part: Any) -> Any:
    if isinstance(part, dict) and part.keys() == {"slice"}:
        return slice(*part["slice"])
    if isinstance(part, str) and part in ("ellipsis", "newaxis"):
        return Ellipsis if part == "ellipsis" else None
    if isinstance(part, slice) or part is Ellipsis or part is None:
        return part
    if isinstance(part, (int, np.integer)) and not isinstance(part, (bool, np.bool_)):
        return int(part)
    raise ArgumentTypeError(
        f"key: expected integers, slices, ... and None behind the batch, got {part!r}; a Lambda takes other parts"
    )


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
        if isinstance(side, Variable):
            raise TypeError(
                f"{sign}: {side.path} is a weight, which would not be trained here; put it, and what it does, into a "
                "layer of its own, without layers within"
            )
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


def negated(symbol: Symbol) -> Any:
    """Return the symbol of another with the other sign."""
    return Negative()(symbol)


def absolute(symbol: Symbol) -> Any:
    """Return the symbol of another without its sign."""
    return Absolute()(symbol)


def mask_of(name: str, layer: NotEqual, inputs: Symbol, mask: Any) -> Any:
    """Return the symbol of the mask that a layer of that name makes of a symbol."""
    if mask is not None:
        raise TypeError(f"{name}: mask: expected none beside a symbol, got {mask!r}; call the layer, and it goes along")
    return layer(inputs)


def item(symbol: Symbol, key: Any) -> Any:
    """Return the symbol of a part of another."""
    return GetItem(key if isinstance(key, tuple) else (key,))(symbol)


Symbol.operated = staticmethod(operated)
Symbol.negated = staticmethod(negated)
Symbol.absolute = staticmethod(absolute)
Symbol.item = staticmethod(item)
