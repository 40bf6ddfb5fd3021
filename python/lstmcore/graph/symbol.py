"""What stands for an array while a graph of layers is drawn, and the calls that draw it."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, ClassVar

import numpy as np

from .._arguments import shown
from .._tree import leaves, map_shapes
from ..variables import drawing, drawn

_numbers = itertools.count()
_MANY = 256  # of a list, so many are looked at: what is symbols begins with one, and data may be long


class Symbol:
    """Stands for an array that a model will compute; `Input` and layers called on symbols return them.

    >>> from lstmcore import Input, layers
    >>> layers.LSTM(8)(Input((None, 3), name="prices")).shape
    (None, 8)

    Attributes
    ----------
    shape : batch first, None for sizes that are not known; in a ``call`` that looks at such a size, it becomes known.
    dtype : of its numbers.
    call : the call of a layer that it comes from.
    index : which of the arrays that the call returns.
    name : that of the layer.
    """

    __slots__ = ("_shape", "call", "dtype", "index")
    # What makes layers of operators: that of two sides, those of a sign, and that of a part; the layers set them.
    operated: ClassVar[Callable[[str, Any, Any], Any]]
    negated: ClassVar[Callable[[Any], Any]]
    absolute: ClassVar[Callable[[Any], Any]]
    item: ClassVar[Callable[[Any, Any], Any]]
    # What a ``call`` does beside making symbols: it adds to the loss, and shows them to metrics.
    added: ClassVar[Callable[[Any], None]]
    observed: ClassVar[Callable[[Any, tuple[Any, ...], dict[str, Any]], None]]

    def __init__(self, shape: tuple[int | None, ...], dtype: np.dtype[Any], call: Call, index: int = 0) -> None:
        self._shape, self.dtype, self.call, self.index = tuple(shape), dtype, call, index

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The sizes of the axes."""
        return self._shape if drawn() is None else Sizes(self._shape)

    @property
    def key(self) -> tuple[int, int]:
        """The same for all symbols that stand for the same array."""
        return self.call.number, self.index

    @property
    def name(self) -> str:
        """The name of the layer that it comes from."""
        return str(self.call.layer.name)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self._shape)

    def __repr__(self) -> str:
        return f"<Symbol shape={self._shape}, dtype={self.dtype}, of {self.name}>"

    def __add__(self, other: Any) -> Any:
        return Symbol.operated("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return Symbol.operated("add", other, self)

    def __sub__(self, other: Any) -> Any:
        return Symbol.operated("subtract", self, other)

    def __rsub__(self, other: Any) -> Any:
        return Symbol.operated("subtract", other, self)

    def __mul__(self, other: Any) -> Any:
        return Symbol.operated("multiply", self, other)

    def __rmul__(self, other: Any) -> Any:
        return Symbol.operated("multiply", other, self)

    def __truediv__(self, other: Any) -> Any:
        return Symbol.operated("true_divide", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return Symbol.operated("true_divide", other, self)

    def __pow__(self, other: Any) -> Any:
        return Symbol.operated("power", self, other)

    def __rpow__(self, other: Any) -> Any:
        return Symbol.operated("power", other, self)

    def __matmul__(self, other: Any) -> Any:
        return Symbol.operated("matmul", self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return Symbol.operated("matmul", other, self)

    def __neg__(self) -> Any:
        return Symbol.negated(self)

    def __abs__(self) -> Any:
        return Symbol.absolute(self)

    def __pos__(self) -> Any:
        return self

    def __getitem__(self, key: Any) -> Any:
        return Symbol.item(self, key)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """Take the operators of arrays that stand before a symbol; refuse NumPy's other functions."""
        if ufunc in _OPERATORS and method == "__call__" and len(inputs) == 2 and not options:
            return Symbol.operated(_OPERATORS[ufunc], *inputs)
        return self.__array__()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """Refuse to be taken for an array."""
        raise TypeError(
            f"{self!r}: stands for an array and has no numbers; what NumPy does with it is done by a layer: "
            "layers.Lambda(function)(x), layers.Activation, operators such as x * 2"
        )

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (int, float, np.generic, np.ndarray)):
            raise TypeError(f"{self!r}: == and != are not drawn; layers.NotEqual(number) says where it is another")
        return self is other

    __hash__ = object.__hash__

    def __getattr__(self, name: str) -> Any:
        """Say what to do instead of asking for what arrays have."""
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(
            f"{self!r}: stands for an array and has no {name!r}; layers.Lambda(function)(x) has arrays"
        )

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r}: has no numbers yet, so that nothing can depend on them; put it into a layer")

    def __float__(self) -> float:
        raise TypeError(f"{self!r}: has no numbers yet, so that it is no number; put what you do with it into a layer")

    __int__ = __index__ = __complex__ = __float__

    def __len__(self) -> int:
        raise TypeError(f"{self!r}: has no numbers yet; its shape is known")

    def __iter__(self) -> Any:
        raise TypeError(f"{self!r}: cannot be iterated over; put what you do with it into a layer")


def _not_drawn(sign: str) -> Any:
    def method(self: Symbol, other: Any) -> Any:
        raise TypeError(f"{self!r}: {sign} is not drawn; use layers.Lambda(function)(x)")

    return method


for _sign, _names in {
    "%": ("__mod__", "__rmod__"),
    "//": ("__floordiv__", "__rfloordiv__"),
    "<": ("__lt__",),
    "<=": ("__le__",),
    ">": ("__gt__",),
    ">=": ("__ge__",),
}.items():
    for _name in _names:
        setattr(Symbol, _name, _not_drawn(_sign))


_OPERATORS = {
    np.add: "add",
    np.subtract: "subtract",
    np.multiply: "multiply",
    np.true_divide: "true_divide",
    np.power: "power",
    np.matmul: "matmul",
}


class Sizes(tuple[Any, ...]):
    """The shape of a symbol, for a ``call`` that is drawn: of its sizes only the batch may be looked at and be None.

    What depends on another would be drawn for arrays of any size, so that it is asked for a drawing that knows it.
    What no array says yet, as of the symbols of a graph, is None there too.
    """

    __slots__ = ()

    def __getitem__(self, key: Any) -> Any:
        self._know(np.atleast_1d(np.arange(len(self))[key]))
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[Any]:
        return (self[k] for k in range(len(self)))

    __hash__ = tuple.__hash__

    def _know(self, axes: Iterable[int]) -> None:
        of = drawn()
        if of is None or of.sized:  # it is a shape as others, with None for what nobody knows
            return
        for k in axes:
            if k and super().__getitem__(k) is None:
                raise TypeError(
                    f"{of.name}: call: the size of axis {k} of {tuple.__repr__(self)} is not known while it is drawn"
                )


def _of_all(name: str) -> Any:
    def method(self: Sizes, *arguments: Any) -> Any:
        self._know(range(len(self)))
        return getattr(tuple, name)(self, *arguments)

    return method


_WHOLE = ("add", "contains", "eq", "ge", "gt", "le", "lt", "mul", "ne", "rmul")
for _name in (*(f"__{name}__" for name in _WHOLE), "count", "index"):
    setattr(Sizes, _name, _of_all(_name))


class Call:
    """A call of a layer on symbols.

    Attributes
    ----------
    layer : the layer.
    inputs : a symbol, or a list or dict of them.
    training : True or False if the call says so, None if it goes by the model.
    options : further arguments of the call; symbols, lists of them, or what they are.
    shape : of what the layer returns: one, or several in lists and dicts.
    dtype : of that: one, or one for each in lists and dicts.
    number : calls in the order in which they were made.
    """

    # Symbols hold their call, and calls the layer and what it is called on, but neither is held by what it makes: a
    # model is gone when nobody has it.
    __slots__ = ("__weakref__", "dtype", "inputs", "layer", "number", "options", "shape", "training")

    def __init__(
        self,
        layer: Any,
        inputs: Any,
        shape: Any,
        dtype: Any,
        training: bool | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.layer, self.inputs, self.training, self.options = layer, inputs, training, options or {}
        self.shape, self.dtype = shape, dtype
        self.number = next(_numbers)

    @property
    def outputs(self) -> Any:
        """The symbols of what the layer returns: one, or several in lists and dicts."""
        index, dtypes = itertools.count(), itertools.cycle(leaves(self.dtype))
        return map_shapes(lambda one: Symbol(one, next(dtypes), self, next(index)), self.shape)

    @property
    def sources(self) -> list[Symbol]:
        """The symbols that the layer is called on, those among the further arguments too."""
        return [s for s in leaves([self.inputs, self.options]) if isinstance(s, Symbol)]


def calls_of(symbols: Iterable[Symbol], given: Collection[tuple[int, int]] = ()) -> list[Call]:
    """Return the calls that symbols come from, in their order; not beyond the symbols whose keys are given."""
    calls: dict[int, Call] = {}
    todo = [symbol for symbol in symbols if symbol.key not in given]
    while todo:
        call = todo.pop().call
        if call.number not in calls:
            calls[call.number] = call
            todo += [symbol for symbol in call.sources if symbol.key not in given]
    return [calls[number] for number in sorted(calls)]


class Given:
    """Stands for the layer that what is given to a drawing would come from; of that there may be none."""

    passes_integers = False

    def __init__(self, name: str) -> None:
        self.name = name


def given(name: str, shape: Any, dtype: np.dtype[Any]) -> Any:
    """Return symbols of these shapes for what a drawing is given."""
    return Call(Given(name), [], shape, dtype).outputs


def among(value: Any, depth: int = 3) -> bool:
    """Whether there is a symbol among arguments of a call: in lists within lists, but not in what is plainly data."""
    if isinstance(value, Symbol):
        return True
    if not isinstance(value, (list, tuple, dict)) or not depth:
        return False
    parts = value.values() if isinstance(value, dict) else value
    return any(among(part, depth - 1) for part in itertools.islice(parts, _MANY))


def called(layer: Any, inputs: Any, training: Any, mask: Any, lengths: Any, options: dict[str, Any]) -> Any:
    """Return what a layer called on symbols returns: symbols."""
    of = drawn()
    if of is not None and of.built and not layer.built and layer.makes_weights:
        raise ValueError(
            f"{of.name}: call: {layer.name} has no weights, for it was not used when {of.name} got its own; call "
            f"{of.name} first with arguments by which it is used"
        )
    with drawing(None):  # a layer that is built, or tried to learn its shape, looks at its weights and all sizes
        outputs = _called(layer, inputs, training, mask, lengths, options)
    return outputs if of is not None else layer.as_in_graphs(outputs)


def _called(layer: Any, inputs: Any, training: Any, mask: Any, lengths: Any, options: dict[str, Any]) -> Any:
    for part in leaves(inputs):
        if not isinstance(part, Symbol) and not (part is None and layer.takes_none):
            raise TypeError(f"{layer.name}: inputs: expected symbols only, as Input gives them, got {shown(part)} too")
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
    if options and layer.is_model and not layer.is_traced:
        raise TypeError(f"{layer.name} got an unexpected argument {next(iter(options))!r}")
    if mask is not None:
        options["mask"] = mask
    floats = [s.dtype for s in leaves(inputs) if s is not None and s.dtype.kind == "f"]
    if floats and not layer.built:
        layer.take_dtype(floats[0].name if layer.owned_by is None else layer.owned_by, floats[0])
    if layer.is_model:
        inputs = layer.ordered(inputs)
    _refuse_unknown(layer, options)
    if mask is not None:
        layer.refuse_mask_of_call(mask, inputs)
    return draw(layer, inputs, None if training is None else bool(training), options)


def _refuse_unknown(layer: Any, options: dict[str, Any]) -> None:
    """Refuse further arguments that the layer does not take, which would else be told when the graph is run."""
    taken = inspect.signature(layer.forward).parameters
    if any(p.kind is p.VAR_KEYWORD for p in taken.values()):
        return
    known = {*taken, *inspect.signature(layer.forward_with_mask).parameters}
    for name in options:
        if name not in known:
            raise TypeError(f"{layer.name} got an unexpected argument {name!r}")


def draw(layer: Any, inputs: Any, training: bool | None = None, options: Any = None) -> Any:
    """Return symbols for what a layer returns for such inputs; it is built for them if it has no weights yet."""
    shape, dtype = layer.result_of_call(inputs, options or {})
    call = Call(layer, inputs, shape, dtype, training, options)
    layer.note_call(call)
    return call.outputs
