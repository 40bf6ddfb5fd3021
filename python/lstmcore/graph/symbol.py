"""What stands for an array while a graph of layers is drawn, and the calls that draw it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from .._tree import leaves, map_leaves

_numbers = itertools.count()
_MANY = 256  # more inputs than a layer has; a longer list is one of numbers


class Symbol:
    """Stands for an array that a model will compute; `Input` and layers called on symbols return them.

    >>> from lstmcore import Input, layers
    >>> layers.LSTM(8)(Input((None, 3), name="prices")).shape
    (None, 8)

    Attributes
    ----------
    shape : batch first, None for sizes that are not known.
    dtype : of its numbers.
    call : the call of a layer that it comes from.
    name : that of the layer.
    """

    __slots__ = ("call", "dtype", "shape")

    def __init__(self, shape: tuple[int | None, ...], dtype: np.dtype[Any], call: Call) -> None:
        self.shape, self.dtype, self.call = tuple(shape), dtype, call

    @property
    def name(self) -> str:
        """The name of the layer that it comes from."""
        return str(self.call.layer.name)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def __repr__(self) -> str:
        return f"<Symbol shape={self.shape}, dtype={self.dtype}, of {self.name}>"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """Refuse to be taken for an array."""
        raise TypeError(f"{self!r}: stands for an array and has no numbers; put what you do with it into a layer")

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r}: has no numbers yet, so that nothing can depend on them; put it into a layer")

    def __len__(self) -> int:
        raise TypeError(f"{self!r}: has no numbers yet; its shape is known")

    def __iter__(self) -> Any:
        raise TypeError(f"{self!r}: cannot be iterated over; put what you do with it into a layer")


class Call:
    """A call of a layer on symbols.

    Attributes
    ----------
    layer : the layer.
    inputs : a symbol, or a list or dict of them.
    training : True or False if the call says so, None if it goes by the model.
    options : further arguments of the call; symbols, lists of them, or what they are.
    outputs : the symbols that it returns, as the layer returns arrays.
    number : calls in the order in which they were made.
    """

    __slots__ = ("inputs", "layer", "number", "options", "outputs", "training")

    def __init__(self, layer: Any, inputs: Any, training: bool | None, options: dict[str, Any]) -> None:
        self.layer, self.inputs, self.training, self.options = layer, inputs, training, options
        self.outputs: Any = None
        self.number = next(_numbers)

    @property
    def sources(self) -> list[Symbol]:
        """The symbols that the layer is called on, those among the further arguments too."""
        return [s for s in leaves([self.inputs, self.options]) if isinstance(s, Symbol)]


def among(value: Any, depth: int = 3) -> bool:
    """Whether there is a symbol among arguments of a call: in lists within lists, but not in what is plainly data."""
    if isinstance(value, Symbol):
        return True
    if not isinstance(value, (list, tuple, dict)) or not depth or len(value) > _MANY:
        return False
    return any(among(part, depth - 1) for part in (value.values() if isinstance(value, dict) else value))


def source(layer: Any, shape: tuple[int | None, ...], dtype: np.dtype[Any]) -> Symbol:
    """Return the symbol of what a graph is given."""
    call = Call(layer, [], None, {})
    call.outputs = Symbol(shape, dtype, call)
    layer.calls.append(call)
    return call.outputs  # type: ignore[no-any-return]


def called(layer: Any, inputs: Any, training: Any, mask: Any, lengths: Any, options: dict[str, Any]) -> Any:
    """Return what a layer called on symbols returns: symbols."""
    for part in leaves(inputs):
        if not isinstance(part, Symbol):
            raise TypeError(f"{layer.name}: inputs: expected symbols only, as Input gives them, got {part!r} too")
    if lengths is not None:
        raise ValueError(f"{layer.name}: lengths: expected none for a graph; give a mask, as of a Masking layer")
    if mask is not None and not among(mask):
        raise TypeError(f"{layer.name}: mask: expected a symbol for a graph, got {type(mask).__name__}")
    if training is not None and not isinstance(training, (bool, np.bool_)):
        raise TypeError(f"{layer.name}: training: expected True, False or None, got {training!r}")
    options = {name: value for name, value in options.items() if value is not None}
    for name, value in options.items():
        if isinstance(value, np.ndarray) or any(isinstance(part, np.ndarray) for part in leaves(value)):
            raise TypeError(f"{layer.name}: {name}: expected symbols for a graph, got an array; make it an Input")
    if options and layer.is_model:
        raise TypeError(f"{layer.name} got an unexpected argument {next(iter(options))!r}")
    if mask is not None:
        options["mask"] = mask
    shapes = map_leaves(lambda s: s.shape, inputs)
    floats = [s.dtype for s in leaves(inputs) if s.dtype.kind == "f"]
    if floats and not layer.built:
        layer.take_dtype(floats[0].name if layer.owner is None else layer.owner, floats[0])
    layer.ensure_built(shapes)
    call = Call(layer, inputs, None if training is None else bool(training), options)

    def symbol(shape: Any) -> Any:
        if isinstance(shape, dict):
            return {name: symbol(part) for name, part in shape.items()}
        if shape and (shape[0] is not None and not isinstance(shape[0], (int, np.integer))):
            return type(shape)(symbol(part) for part in shape)
        return Symbol(shape, layer.dtype, call)

    call.outputs = symbol(layer.output_shape_of_call(shapes, options))
    layer.calls.append(call)
    return call.outputs
