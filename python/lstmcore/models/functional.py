"""A model that is a graph of layers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from .._arguments import ArgumentTypeError, as_array, flag, float_array, mapping, shown, whole_array
from .._tree import in_places, leaves, map_leaves
from ..graph.plan import Plan
from ..graph.symbol import Symbol
from ..graph.tracing import all_within
from ..layers.input import InputLayer
from ..layers.layer import Layer, Shape
from ..serialization import custom_object_scope, deserialize, serialize
from ..serialization.models import Savable
from .model import Model
from .order import in_order
from .planned import Planned, refuse_equal_names

Array = NDArray[Any]


class Functional(Planned):
    """A model that is a graph of layers: what ``Model(inputs, outputs)`` returns.

    >>> from lstmcore import Input, Model, layers
    >>> past, calendar = Input((24, 7)), Input((3,))
    >>> state = layers.LSTM(16)(past)
    >>> forecast = layers.Dense(1)(layers.Concatenate()([state, calendar]))
    >>> model = Model([past, calendar], forecast)
    >>> model.output_shape
    (None, 1)

    Parameters
    ----------
    inputs : a symbol, as `Input` returns them or as a layer does, or a list or dict of them.
    outputs : a symbol, or a list or dict of them.
    name, trainable : as for every model.
    """

    passes_are_fixed = "which a graph would not call; derive it from Model"
    not_in_config = ("inputs", "outputs")
    _all_layers: list[Layer]

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, trainable: bool = True) -> None:
        self._arguments = {}  # symbols are no matter of copies
        super().__init__(name=name)
        for argument, value in (("inputs", inputs), ("outputs", outputs)):
            found = list(leaves(value))
            for part in found:
                if not isinstance(part, Symbol):
                    maker = "Input(shape)" if argument == "inputs" else "a layer called on symbols"
                    raise ArgumentTypeError(
                        f"{self.name}: {argument}: expected symbols, got {shown(part)}; {maker} makes one"
                    )
            if not found:
                raise ValueError(f"{self.name}: {argument}: expected at least one symbol, got none")
        sources = list(leaves(inputs))
        if len({s.key for s in sources}) < len(sources):
            raise ValueError(f"{self.name}: inputs: expected each symbol once, got one again")
        self._draw(_alone(_as_lists(inputs)), _alone(_as_lists(outputs)))
        ordered = in_order(self._plan.calls, self.inputs, self.output)
        self.__dict__["_all_layers"] = ordered  # which are not to take the dtype of the first
        refuse_equal_names(self)
        self._finish()
        if not flag(f"{self.name}: trainable", trainable):
            self.trainable = False

    def _finish(self) -> None:
        for layer in self._all_layers:
            if isinstance(layer, InputLayer):
                layer.ensure_built(layer.batch_shape)
        dtypes = {layer.dtype for layer in self._all_layers if layer.variables}
        if len(dtypes) > 1:
            said = ", ".join(f"{layer.name} {layer.dtype}" for layer in self._all_layers if layer.variables)
            raise ValueError(f"{self.name}: dtype: expected the same for all layers, got {said}")
        floats = [s.dtype for s in self.outputs if s.dtype.kind == "f"]
        self.dtype = next(iter(dtypes), floats[0] if floats else self.dtype)
        self.input_shape = map_leaves(lambda s: s.shape, self.input)
        self._output_shape = map_leaves(lambda s: s.shape, self.output)
        self.variables = self._distinct()
        self.built = True

    # --- layers ---

    @property
    def layers(self) -> list[Layer]:
        """The layers, those of the inputs too, in Keras's order: by depth."""
        return list(self.__dict__.get("_all_layers", ()))

    @property
    def takes_several(self) -> bool:  # type: ignore[override]
        """Whether inputs are a list or a dict of arrays."""
        return not isinstance(self.input, Symbol)

    @property
    def input_key(self) -> str | None:
        """The name of the only input, which a dict of data is to have."""
        return None if self.takes_several else self.inputs[0].name

    @property
    def input_symbols(self) -> Any:
        """The symbol of each input, in lists and dicts as they are said."""
        return self.input

    @property
    def _plan(self) -> Plan:
        return self.drawing.plan

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs."""
        return [s.name for s in self.inputs]

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs: of the layers that make them, or the keys of a dict."""
        return list(leaves(self.drawing.names))

    def build(self, input_shape: Shape) -> None:
        """Do nothing: a graph has its weights when it is made."""

    def get_build_config(self) -> dict[str, Any] | None:
        """Return nothing to tell: a graph has its weights when it is made."""
        return {"input_shape": None}

    def build_from_config(self, config: Mapping[str, Any]) -> None:
        """Do nothing: a graph has its weights when it is made."""

    # --- passes ---

    def convert(self, name: str, inputs: Any) -> Any:
        """Return inputs as the graph takes them: an array, or arrays in the order of the inputs."""
        only = self.input
        if isinstance(only, Symbol):
            return self._one(name, only, inputs)
        return self._each(name, self._in_places(name, inputs))

    def in_order(self, inputs: Any) -> Any:
        """Return several inputs in the order in which `convert` does."""
        return self._in_places(f"{self.name}: inputs", inputs) if self.takes_several else inputs

    def convert_ordered(self, inputs: Any) -> Any:
        """Return what a call in a graph gives as the graph takes it."""
        name = f"{self.name}: inputs"
        return self.convert(name, inputs) if isinstance(self.input, Symbol) else self._each(name, inputs)

    def _each(self, name: str, given: Sequence[Any]) -> list[Any]:
        return [self._one(f"{name}: {s.name}", s, value) for s, value in zip(self.inputs, given, strict=True)]

    def _in_places(self, name: str, inputs: Any, structure: Any = None) -> list[Any]:
        """Return what was given for each of several inputs."""
        parts = self.input.values() if isinstance(self.input, dict) else self.input
        if any(isinstance(part, (list, dict)) for part in parts):
            found = in_places(inputs, self.input)
            if found is None or any(part is None for part in found):
                said = map_leaves(lambda s: s.name, self.input)
                raise ValueError(f"{name}: expected arrays as the inputs are said: {said}")
            return found
        keys = list(self.input) if isinstance(self.input, dict) else self.input_names
        if isinstance(inputs, Mapping):
            inputs = {str(key): part for key, part in inputs.items()}  # as those of the model are
            if set(inputs) != set(keys):
                raise ValueError(f"{name}: expected {', '.join(map(str, keys))}, got {', '.join(map(str, inputs))}")
            return [inputs[key] for key in keys]
        given = list(leaves(inputs)) if isinstance(inputs, (list, tuple)) else [inputs]
        if len(given) != len(self.inputs):
            raise ValueError(
                f"{name}: expected {len(self.inputs)} arrays, for {', '.join(map(str, keys))}, got {len(given)}"
            )
        return given

    def fit_mask(self, mask: Any, inputs: Any) -> Any:
        """Return the masks that a call was given, one for each input or None, after checking that they fit."""
        if isinstance(mask, (list, tuple, dict)) and not isinstance(self.input, Symbol):
            found = in_places(mask, self.input)
            if found is None:
                said = map_leaves(lambda s: s.name, self.input)
                raise ValueError(f"{self.name}: mask: expected masks or None as the inputs are said: {said}")
            mask = found
        return super().fit_mask(mask, inputs)

    def ordered(self, inputs: Any) -> Any:
        """Return the symbols of a call in the order of the inputs: a dict may have another."""
        flat = isinstance(inputs, list) and len(inputs) == len(self.inputs)
        if isinstance(self.input, Symbol) or (flat and all(isinstance(part, Symbol) for part in inputs)):
            return inputs  # they are in order already
        return self._in_places(f"{self.name}: inputs", inputs)

    def _one(self, name: str, symbol: Symbol, value: Any) -> Array:
        if symbol.dtype.kind in "iu":
            array = whole_array(name, value)
        elif symbol.dtype.kind == "b":
            array = as_array(name, value)
            if array.dtype != bool:
                raise ArgumentTypeError(f"{name}: expected bool, got {array.dtype}")
        elif (reader := self._plan.converter(symbol)) is not None:
            array = reader.convert(name, value)
        else:
            array = float_array(name, value, self.dtype)
        shape, wanted = array.shape, symbol.shape
        fits = shape[1:] == wanted[1:] or (
            len(shape) == len(wanted) and all(n in (None, m) for n, m in zip(wanted[1:], shape[1:], strict=True))
        )
        if not (fits and shape):
            raise ValueError(f"{name}: expected shape {wanted}, got {shape}")
        return array

    # --- description ---

    def get_config(self) -> dict[str, Any]:
        """Return the layers and their calls as plain data, for `from_config`."""
        refuse_equal_names(self)  # one may have got another since
        within = {id(inner) for layer in self._all_layers for inner in all_within(layer)}
        for layer in self._all_layers:
            if id(layer) in within:
                raise ValueError(
                    f"{self.name}: {layer.name} is a layer of this model and of a model within, which cannot be told "
                    "by a configuration; call the model within, or its layers, but not both"
                )
        layers = [serialize(layer, f"{self.name}: {layer.name}") for layer in self._own_layers()]
        return {"name": self.name, "trainable": self.trainable, "layers": layers, **self._described()}

    def _own_layers(self) -> list[Layer]:
        return [layer for layer in self._all_layers if not isinstance(layer, InputLayer)]

    def _described(self) -> dict[str, Any]:
        """Return the calls as plain data, layers by their number."""
        number = {id(layer): k for k, layer in enumerate(self._own_layers())}
        slots = {s.key: k for s, k in zip(self.inputs, self._plan.inputs, strict=True)}
        for call, step in zip(self._plan.calls, self._plan.steps, strict=True):
            for s, k in zip(leaves(call.outputs), step.outputs, strict=True):
                slots.setdefault(s.key, k)

        def placed(value: Any) -> Any:
            return map_leaves(lambda s: {"slot": slots[s.key]} if isinstance(s, Symbol) else s, value)

        def described(s: Symbol) -> dict[str, Any]:
            return {"name": s.name, "shape": list(s.shape), "dtype": s.dtype.name, "slot": slots[s.key]}

        return {
            "sources": [described(s) for s in self.inputs],
            "calls": [
                {
                    "layer": number[id(call.layer)],
                    "inputs": placed(call.inputs),
                    "training": call.training,
                    "options": serialize(placed(call.options), f"{self.name}: {call.layer.name}"),
                    "outputs": step.outputs,
                }
                for call, step in zip(self._plan.calls, self._plan.steps, strict=True)
            ],
            "inputs": placed(self.input),
            "outputs": placed(self.output),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Make a model from what `get_config` returned; its weights are new."""
        config = mapping(f"{cls.__name__}: config", config)
        missing = [key for key in ("sources", "layers", "calls", "inputs", "outputs") if key not in config]
        if missing:
            raise ValueError(f"{cls.__name__}: config: expected {', '.join(missing)} too")
        with custom_object_scope({} if custom_objects is None else custom_objects):
            layers = [deserialize(layer) for layer in config["layers"]]
        try:
            own = {name: deserialize(value) for name, value in config.get("arguments", {}).items()}
            takes_name = "name" in (known := inspect.signature(cls.__init__).parameters) or any(
                p.kind is p.VAR_KEYWORD for p in known.values()
            )
            model = cls(*_drawn(config, layers), **({"name": config.get("name")} if takes_name else {}) | own)
        except (KeyError, IndexError, TypeError) as error:
            raise ValueError(f"{cls.__name__}: config: expected what get_config returns, got {error!r}") from error
        if not config.get("trainable", True):
            model._trainable = False
        return model

    def mapped(self, function: Callable[[Layer], Layer], inputs: Sequence[Symbol] | None = None) -> Functional:
        """Return the same graph of what a function returns for each layer; the inputs are new, or those given."""
        if inputs is not None and [s.ndim for s in inputs] != [s.ndim for s in self.inputs]:
            expected, got = (", ".join(str(s.shape) for s in of) for of in (self.inputs, inputs))
            raise ValueError(f"{self.name}: input_tensors: expected as many symbols as inputs, {expected}, got {got}")
        layers = [function(layer) for layer in self._own_layers()]
        return type(self)(*_drawn(self._described(), layers, inputs), name=self.name)


Savable.of_graph = Model.of_graph = Functional


def _drawn(config: Mapping[str, Any], layers: list[Any], inputs: Sequence[Symbol] | None = None) -> tuple[Any, Any]:
    """Return the symbols of inputs and outputs, by calling layers as a configuration says, on new inputs or given."""
    at: dict[int, Symbol] = {}

    def put(value: Any) -> Any:
        if isinstance(value, dict) and value.keys() == {"slot"} and isinstance(value["slot"], int):  # and no name
            return at[int(value["slot"])]
        if isinstance(value, dict):
            return {name: put(part) for name, part in value.items()}
        return [put(part) for part in value] if isinstance(value, (list, tuple)) else value

    for k, one in enumerate(config["sources"]):
        if inputs is None:
            source = InputLayer(batch_shape=tuple(one["shape"]), dtype=one["dtype"], name=one["name"]).symbol
        else:
            source = inputs[k]
        at[int(one["slot"])] = source
    for call in config["calls"]:
        given = {} if call["training"] is None else {"training": call["training"]}
        outputs = layers[call["layer"]](put(call["inputs"]), **given, **put(call["options"]))
        at |= {slot: s for slot, s in zip(call["outputs"], leaves(outputs), strict=True) if slot >= 0}
    return put(config["inputs"]), put(config["outputs"])


def _as_lists(value: Any) -> Any:
    """Return symbols in lists and dicts, without tuples, which are shapes elsewhere."""
    if isinstance(value, dict):
        return {str(name): _as_lists(part) for name, part in value.items()}
    return [_as_lists(part) for part in value] if isinstance(value, (list, tuple)) else value


def _alone(value: Any) -> Any:
    """Return what is in a list of one, as Keras does, or the value itself."""
    return _alone(value[0]) if isinstance(value, list) and len(value) == 1 else value
