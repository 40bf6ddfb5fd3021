"""A model that is a graph of layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arguments import ArgumentTypeError, flag, float_array, mapping, real_array
from .._tree import leaves, map_leaves
from ..activations import Activation
from ..graph.kept import Kept
from ..graph.plan import Plan
from ..graph.symbol import Symbol
from ..layers import _masks
from ..layers.input import InputLayer
from ..layers.layer import Layer, Shape
from ..serialization import custom_object_scope, deserialize, serialize
from ..variables import Variable
from .model import Model

Array = NDArray[Any]


class Functional(Model):
    """A model that is a graph of layers: what ``Model(inputs, outputs)`` returns.

    >>> from lstmcore import Input, Model, layers
    >>> past, calendar = Input((24, 7)), Input((3,))
    >>> state = layers.LSTM(16)(past)
    >>> forecast = layers.Dense(1)(layers.Concatenate()([state, calendar]))
    >>> model = Model([past, calendar], forecast)
    >>> model.output_shape
    (None, 1)

    Layers belong to no one: those of another model can be part of it, and are trained by whoever trains.

    Parameters
    ----------
    inputs : a symbol, as `Input` returns them or as a layer does, or a list or dict of them.
    outputs : a symbol, or a list or dict of them.
    name, trainable : as for every model.
    """

    passes_are_fixed = "which a graph would not call; derive it from Model"
    not_in_config = ("inputs", "outputs")

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, trainable: bool = True) -> None:
        self._arguments = {}  # symbols are no matter of copies
        super().__init__(name=name)
        for argument, value in (("inputs", inputs), ("outputs", outputs)):
            found = list(leaves(value))
            for part in found:
                if not isinstance(part, Symbol):
                    maker = "Input(shape)" if argument == "inputs" else "a layer called on symbols"
                    raise ArgumentTypeError(
                        f"{self.name}: {argument}: expected symbols, got {part!r}; {maker} makes one"
                    )
            if not found:
                raise ValueError(f"{self.name}: {argument}: expected at least one symbol, got none")
        sources = list(leaves(inputs))
        if len({id(s) for s in sources}) < len(sources):
            raise ValueError(f"{self.name}: inputs: expected each symbol once, got one again")
        self._kept: Kept | None = None
        self.inputs, self.outputs = sources, list(leaves(outputs))
        self._inputs_as, self._outputs_as = _as_lists(inputs), _as_lists(outputs)
        self._plan = Plan(self.name, self.inputs, self.outputs)
        self._all_layers = self._in_order()
        names = [layer.name for layer in self._all_layers]
        for own in names:
            if names.count(own) > 1:
                raise ValueError(f"{self.name}: expected a name of its own for every layer, got {own!r} again")
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
        self.input_shape = map_leaves(lambda s: s.shape, self._inputs_as)
        self._output_shape = map_leaves(lambda s: s.shape, self._outputs_as)
        self.variables = self._distinct()
        self.built = True

    def _claim(self, layers: list[Layer]) -> None:
        """Do nothing: layers of a graph may be part of other models."""

    def _distinct(self) -> list[Variable]:
        return list({id(v): v for layer in self._all_layers for v in layer.variables}.values())

    def _in_order(self) -> list[Layer]:
        """Return the layers by depth, those of the inputs first, as Keras lists them."""
        given = {id(s) for s in self.inputs}
        depth: dict[int, int] = {}  # of calls: steps to the outputs
        for call in reversed(self._plan.calls):
            below = depth.setdefault(call.number, 0)
            for s in call.sources:
                if id(s) not in given:
                    depth[s.call.number] = max(depth.get(s.call.number, 0), below + 1)
        first = [s.call.layer for s in self.inputs]
        at: dict[int, int] = {}
        layers: dict[int, Layer] = {}
        for call in self._plan.calls:
            layers[id(call.layer)] = call.layer
            at[id(call.layer)] = max(at.get(id(call.layer), 0), depth[call.number])
        deepest = max(at.values(), default=0) + 1
        inputs: dict[int, int] = {}
        for k, s in enumerate(self.inputs):
            readers = [depth[c.number] for c in self._plan.calls if any(x is s for x in c.sources)]
            inputs[k] = max(readers, default=deepest - 1) + 1
        marked: list[tuple[int, int, Layer]] = []
        for k, layer in enumerate(first):
            if isinstance(layer, InputLayer):
                marked.append((-inputs[k], -1, layer))
        marked += [(-at[key], 0, layer) for key, layer in layers.items()]
        return [layer for _, _, layer in sorted(marked, key=lambda entry: entry[:2])]

    # --- layers ---

    @property
    def layers(self) -> list[Layer]:
        """The layers, those of the inputs too, in Keras's order: by depth."""
        return list(self.__dict__.get("_all_layers", ()))

    @property
    def takes_several(self) -> bool:  # type: ignore[override]
        """Whether inputs are a list or a dict of arrays."""
        return not isinstance(self._inputs_as, Symbol)

    @property
    def input(self) -> Any:
        """The symbols that it is given, as they were."""
        return self._inputs_as

    @property
    def output(self) -> Any:
        """The symbols that it returns, as they were."""
        return self._outputs_as

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs."""
        return [s.name for s in self.inputs]

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs: of the layers that make them, or the keys of a dict."""
        if isinstance(self._outputs_as, dict):
            return list(map(str, self._outputs_as))
        return [s.name for s in self.outputs]

    def build(self, input_shape: Shape) -> None:
        """Do nothing: a graph has its weights when it is made."""

    def get_build_config(self) -> dict[str, Any] | None:
        """Return nothing to tell: a graph has its weights when it is made."""
        return {"input_shape": None}

    def build_from_config(self, config: Mapping[str, Any]) -> None:
        """Do nothing: a graph has its weights when it is made."""

    def _gather(self, moved: Iterable[Variable] | None = None) -> None:
        super()._gather(moved)
        assert self._parameters is not None
        self._plan.move({id(v) for v in self._parameters.variables})

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the outputs for inputs of that shape, batch first."""
        slots: list[Any] = [None] * (self._plan.size + 1)
        for slot, shape in zip(self._plan.inputs, _shapes(input_shape, len(self.inputs)), strict=True):
            slots[slot] = shape
        for step in self._plan.steps:
            given = map_leaves(lambda s: slots[s], step.inputs)
            for slot, shape in zip(
                step.outputs, _flat(step.layer.output_shape_of_call(given, step.options)), strict=True
            ):
                slots[slot] = shape
        at = iter([slots[s] for s in self._plan.outputs])
        return map_leaves(lambda _: next(at), self._outputs_as)

    # --- passes ---

    def convert(self, name: str, inputs: Any) -> Any:
        """Return inputs as the graph takes them: an array, or arrays in the order of the inputs."""
        if isinstance(self._inputs_as, Symbol):
            return self._one(name, self.inputs[0], inputs)
        given = self._in_places(name, inputs)
        return [self._one(f"{name}: {s.name}", s, value) for s, value in zip(self.inputs, given, strict=True)]

    def _in_places(self, name: str, inputs: Any) -> list[Any]:
        """Return what was given for each of several inputs."""
        keys = list(self._inputs_as) if isinstance(self._inputs_as, dict) else self.input_names
        if isinstance(inputs, Mapping):
            if set(inputs) != set(keys):
                raise ValueError(f"{name}: expected {', '.join(map(str, keys))}, got {', '.join(map(str, inputs))}")
            return [inputs[key] for key in keys]
        given = list(leaves(inputs)) if isinstance(inputs, (list, tuple)) else [inputs]
        if len(given) != len(self.inputs):
            raise ValueError(
                f"{name}: expected {len(self.inputs)} arrays, for {', '.join(map(str, keys))}, got {len(given)}"
            )
        return given

    def _one(self, name: str, symbol: Symbol, value: Any) -> Array:
        readers = [c for c in self._plan.calls if c.inputs is symbol]
        if symbol.dtype.kind in "iub":
            array = real_array(name, value)
        elif readers:
            array = readers[0].layer.convert(name, value)
        else:
            array = float_array(name, value, self.dtype)
        shape = np.shape(array)
        if len(shape) != symbol.ndim or any(
            n is not None and n != m for n, m in zip(symbol.shape[1:], shape[1:], strict=True)
        ):
            raise ValueError(f"{name}: expected shape {symbol.shape}, got {shape}")
        return array

    def _run(
        self, inputs: Any, training: bool, mask: Any, logits: bool, penalties: list[float] | None
    ) -> tuple[Any, Any]:
        if self.returned is not None:
            self.returned = None
        arrays = list(leaves(inputs)) if self.takes_several else [inputs]
        masks = [None] * len(arrays) if mask is None else _masks.parts(mask)
        outputs, left, kept = self._plan.run(arrays, training, masks, logits, penalties)
        if training:
            self._kept = kept
        return self._as_said(outputs), self._as_said(left) if any(m is not None for m in left) else None

    def _as_said(self, values: list[Any]) -> Any:
        at = iter(values)
        return map_leaves(lambda _: next(at), self._outputs_as)

    def forward(self, inputs: Any, training: bool = False, mask: Any = None, logits: bool = False) -> Any:
        """Pass a batch through the graph; with ``training``, keep what `backward` needs."""
        return self.run(inputs, training, mask, logits)[0]

    def forward_with_mask(
        self, inputs: Any, training: bool = False, mask: Any = None, logits: bool = False, **options: Any
    ) -> tuple[Any, Any]:
        """Return the outputs for a batch and their masks."""
        if options:
            raise TypeError(f"{self.name} got an unexpected argument {next(iter(options))!r}")
        return self._run(inputs, training, mask, logits, None)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask of the outputs, by passing a batch through the graph."""
        return self.run(self._accept(inputs), mask=mask)[1]

    def backward(self, d_outputs: Any, need_d_inputs: bool = True, logits: bool = False) -> Any:
        """Add to the gradients of all weights, from those of the outputs; return those of the inputs, if needed."""
        kept, self._kept = self._kept, None
        if kept is None:
            raise RuntimeError(f"{self.name}: backward needs a forward pass with training=True before it")
        d = [d_outputs] if isinstance(self._outputs_as, Symbol) else list(leaves(d_outputs))
        gradients = self._plan.run_backward(d, kept, need_d_inputs, logits)
        if not need_d_inputs:
            return None
        return gradients if self.takes_several else gradients[0]

    def _run_backward(self, d_outputs: Array, logits: bool) -> None:
        self.backward(d_outputs, need_d_inputs=False, logits=logits)

    @property
    def head(self) -> Activation | None:  # type: ignore[override]
        """The activation that the layer of the only output ends with, if it can leave it out."""
        last = self._plan.last
        # An activity regularizer looks at the outputs, and so needs their gradient.
        return None if last is None or last.layer.activity_regularizer is not None else last.layer.head

    def stream(self, batch_size: int = 1, steps: int = 1) -> Any:
        """Raise: a graph is not run piece by piece."""
        raise NotImplementedError(f"{self.name}: a graph cannot be streamed; make a Sequential of its layers")

    # --- description ---

    def get_config(self) -> dict[str, Any]:
        """Return the layers and their calls as plain data, for `from_config`."""
        within = {id(inner) for layer in self._all_layers for inner in _all_within(layer)}
        for layer in self._all_layers:
            if id(layer) in within:
                raise ValueError(
                    f"{self.name}: {layer.name} is a layer of this model and of a model within, which cannot be told "
                    "by a configuration; call the model within, or its layers, but not both"
                )
        layers = [layer for layer in self._all_layers if not isinstance(layer, InputLayer)]
        number = {id(layer): k for k, layer in enumerate(layers)}
        slots = {id(s): k for s, k in zip(self.inputs, self._plan.inputs, strict=True)}
        for call, step in zip(self._plan.calls, self._plan.steps, strict=True):
            for s, k in zip(leaves(call.outputs), step.outputs, strict=True):
                slots.setdefault(id(s), k)

        def placed(value: Any) -> Any:
            return map_leaves(lambda s: {"slot": slots[id(s)]} if isinstance(s, Symbol) else s, value)

        def described(s: Symbol) -> dict[str, Any]:
            return {"name": s.name, "shape": list(s.shape), "dtype": s.dtype.name, "slot": slots[id(s)]}

        return {
            "name": self.name,
            "trainable": self.trainable,
            "sources": [described(s) for s in self.inputs],
            "layers": [serialize(layer, f"{self.name}: {layer.name}") for layer in layers],
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
            "inputs": placed(self._inputs_as),
            "outputs": placed(self._outputs_as),
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
        at: dict[int, Symbol] = {}

        def put(value: Any) -> Any:
            if isinstance(value, dict) and value.keys() == {"slot"}:
                return at[int(value["slot"])]
            if isinstance(value, dict):
                return {name: put(part) for name, part in value.items()}
            return [put(part) for part in value] if isinstance(value, (list, tuple)) else value

        try:
            for one in config["sources"]:
                layer = InputLayer(batch_shape=tuple(one["shape"]), dtype=one["dtype"], name=one["name"])
                at[int(one["slot"])] = layer.symbol
            for call in config["calls"]:
                given = {} if call["training"] is None else {"training": call["training"]}
                outputs = layers[call["layer"]](put(call["inputs"]), **given, **put(call["options"]))
                at |= {slot: s for slot, s in zip(call["outputs"], leaves(outputs), strict=True) if slot >= 0}
            model = Functional(put(config["inputs"]), put(config["outputs"]), name=config.get("name"))
        except (KeyError, IndexError, TypeError) as error:
            raise ValueError(f"{cls.__name__}: config: expected what get_config returns, got {error!r}") from error
        if not config.get("trainable", True):
            model._trainable = False
        return model


Model.of_graph = Functional


def _as_lists(value: Any) -> Any:
    """Return symbols in lists and dicts, without tuples, which are shapes elsewhere."""
    if isinstance(value, dict):
        return {str(name): _as_lists(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):  # of one, that one, as for Keras
        return _as_lists(value[0]) if len(value) == 1 else [_as_lists(part) for part in value]
    return value


def _all_within(layer: Layer) -> Iterable[Layer]:
    for inner in layer.sublayers:
        yield inner
        yield from _all_within(inner)


def _shapes(shape: Any, count: int) -> list[Any]:
    """Return a list of shapes from one, or from a list or dict of them."""
    if isinstance(shape, dict):
        return list(shape.values())
    if count == 1 and not (shape and isinstance(shape[0], (tuple, list))):
        return [tuple(shape)]
    return [tuple(one) for one in shape]


def _flat(shape: Any) -> list[Any]:
    if isinstance(shape, dict):
        return [one for part in shape.values() for one in _flat(part)]
    if shape and shape[0] is not None and not isinstance(shape[0], (int, np.integer)):
        return [one for part in shape for one in _flat(part)]
    return [shape]
