"""A chain of layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .._arguments import ArgumentTypeError, flag, items, mapping
from .._tree import shapes
from ..graph.drawing import behind, shape_behind
from ..graph.symbol import Symbol
from ..graph.tracing import all_within
from ..layers.input import InputLayer
from ..layers.layer import Layer, Shape
from ..serialization import custom_object_scope, deserialize, serialize
from .planned import Planned, refuse_equal_names


class Sequential(Planned):
    """A chain of layers.

    >>> from lstmcore import Sequential
    >>> from lstmcore.layers import LSTM, Dense
    >>> model = Sequential([LSTM(8, input_shape=(12, 1)), Dense(1)])
    >>> model.count_params()
    329

    The weights exist as soon as the shape of the inputs is known: from the first layer's
    ``input_shape``, an `Input`, or the first data. Those of the whole model then live in one flat
    vector, ``parameters.values``, and their gradients in ``parameters.gradients``.

    A Sequential can be a layer of another one.

    Parameters
    ----------
    layers : the layers, in order; more can be added with `add`.
    trainable : whether `fit` moves the weights; takes effect when the model is compiled.
    name : "sequential" by default.
    """

    passes_are_fixed = "which a chain would not call; derive it from Model"

    def __init__(
        self, layers: Iterable[Layer | Symbol] | None = None, trainable: bool = True, name: str | None = None
    ) -> None:
        self._layers: list[Layer] = []
        self._taken: set[str] = set()  # names that layers have been added with
        self._known: set[int] = set()  # its variables, by identity
        self._brought: list[int] = []  # how many of them came with each layer
        super().__init__(name=name)
        for layer in () if layers is None else items(f"{self.name}: layers", layers, "a list of layers"):
            self.add(layer)
        if not flag(f"{self.name}: trainable", trainable):
            self.trainable = False

    # --- layers ---

    def add(self, layer: Layer | Symbol) -> None:
        """Append a layer, or an `Input`."""
        if isinstance(layer, Symbol) and isinstance(layer.call.layer, InputLayer):
            layer = layer.call.layer
        if not isinstance(layer, Layer):
            raise ArgumentTypeError(f"{self.name}: layer: expected a Layer, got {layer!r}")
        if layer is self or self in all_within(layer):
            raise ValueError(f"{self.name}: layer: expected another model, got itself")
        layer.refuse_owner(self.name)
        if layer.name in self._taken:
            raise ValueError(f"{self.name}: layer: expected a name of its own, got {layer.name!r} again")
        if all(isinstance(other, InputLayer) for other in self._layers):
            self.dtype, self.given_dtype = layer.dtype, layer.given_dtype
        else:
            layer.take_dtype(self.name, self.dtype)
        outputs = behind(self.name, layer, self.output) if self.built else None
        self._layers.append(layer)
        self._taken.add(layer.name)
        if self.built:
            self._end_with(outputs)
            self._take_up(layer)
        elif self._layers[0].input_shape is not None:
            self.build(self._layers[0].input_shape)

    def pop(self, rebuild: bool = True) -> Layer:
        """Remove the last layer and return it."""
        if not self._layers:
            raise ValueError(f"{self.name}: has no layers")
        layer = self._layers.pop()
        self._taken.discard(layer.name)
        if self.built and self._layers and rebuild and not isinstance(layer, InputLayer):
            call = self.output.call
            self._end_with(call.inputs)
            count = self._brought.pop()
            self._known.difference_update(map(id, self.variables[len(self.variables) - count :]))
            del self.variables[len(self.variables) - count :]
        else:
            self._parameters = None
            self.built, self.variables = False, []
        return layer

    def _end_with(self, outputs: Any) -> None:
        """End with other outputs than before."""
        self._draw(self.input, outputs)
        self._output_shape = (None, *outputs.shape[1:])
        self._parameters = None

    def _take_up(self, layer: Layer) -> None:
        """Have the variables of a layer that no layer before it has."""
        new = [v for v in layer.variables if id(v) not in self._known]
        self.variables.extend(new)
        self._known.update(map(id, new))
        self._brought.append(len(new))

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the `Input`."""
        return [layer for layer in self._layers if not isinstance(layer, InputLayer)]

    @property
    def sublayers(self) -> list[Layer]:
        """The layers, with the `Input`."""
        return self._layers

    @property
    def takes_several(self) -> bool:  # type: ignore[override]
        """Whether inputs are lists or dicts of arrays: if those of the first layer are."""
        return any(layer.takes_several for layer in self.layers[:1])

    def build(self, input_shape: Shape) -> None:
        """Create the weights for inputs of that shape, batch first."""
        if not self._layers:
            raise ValueError(f"{self.name}: has no layers; add some before using it")
        shape: Any = input_shape if self.takes_several else tuple(input_shape)
        first = self._layers[0]
        if isinstance(first, InputLayer):
            first.ensure_built(shape)
            inputs: Any = first.symbol
        else:
            inputs = self._sources(shape)
        outputs = inputs
        self.variables = []
        self._known.clear()
        self._brought.clear()
        for layer in self.layers:
            layer.refuse_owner(self.name)
            outputs = behind(self.name, layer, outputs)
            self._take_up(layer)
        self._draw(inputs, outputs)
        self._output_shape: Shape = (None, *outputs.shape[1:])

    def _build_for(self, inputs: Any, options: Mapping[str, Any] = {}) -> None:
        self.build(shapes(inputs))

    def _sources(self, shape: Any) -> Any:
        """Return symbols for inputs of these shapes."""

        def one(of: Any, name: str) -> Symbol:
            batch_shape = (None, *(None if n is None else int(n) for n in of[1:]))
            return InputLayer(batch_shape=batch_shape, dtype=self.dtype, name=name).symbol

        name = f"{self.name}_input"
        if isinstance(shape, dict):
            return {key: one(of, f"{name}_{key}") for key, of in shape.items()}
        if shape and isinstance(shape[0], (tuple, list)):
            return [one(of, f"{name}_{k}") for k, of in enumerate(shape)]
        return one(shape, name)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the outputs for inputs of that shape, batch first."""
        if self.built:
            return super().compute_output_shape(input_shape)  # type: ignore[no-any-return]
        return shape_behind(self.name, self._layers, input_shape)  # type: ignore[no-any-return]

    # --- passes ---

    def convert(self, name: str, inputs: Any) -> Any:
        """Return inputs as the array that the first layer takes."""
        for layer in self._layers:
            if not isinstance(layer, InputLayer):
                return layer.convert(name, inputs)
        return super().convert(name, inputs)

    # --- description ---

    def mapped(self, function: Callable[[Layer], Layer], inputs: Sequence[Symbol] | None = None) -> Sequential:
        """Return a chain of what a function returns for each layer, after an `Input` if that is given."""
        if inputs is not None and (len(inputs) != 1 or not isinstance(inputs[0].call.layer, InputLayer)):
            raise ValueError(f"{self.name}: input_tensors: expected one Input, for a chain, got {inputs}")
        before: list[Any] = [] if inputs is None else [inputs[0].call.layer]
        result = type(self)([*before, *(function(layer) for layer in self.layers)], name=self.name)
        if self.built and not result.built:
            assert self.input_shape is not None
            result.build(self.input_shape)
        return result

    def get_config(self) -> dict[str, Any]:
        """Return the name, the layers and the shape of the inputs as plain data, for `from_config`."""
        refuse_equal_names(self)  # one may have got another since
        return {
            "name": self.name,
            "trainable": self.trainable,
            "layers": [serialize(layer, f"{self.name}: {layer.name}") for layer in self._layers],
            "build_input_shape": list(self.input_shape) if self.built and isinstance(self.input_shape, tuple) else None,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Sequential:
        """Make a model from what `get_config` returned; its weights are new."""
        config = mapping(f"{cls.__name__}: config", config)
        if "layers" not in config:
            raise ValueError(f"{cls.__name__}: config: expected layers, got {', '.join(map(str, config)) or 'none'}")
        with custom_object_scope({} if custom_objects is None else custom_objects):
            layers = [
                deserialize(layer) for layer in items(f"{cls.__name__}: layers", config["layers"], "a list of layers")
            ]
        model = cls(layers, name=config.get("name"))
        if not config.get("trainable", True):
            model._trainable = False
        shape = config.get("build_input_shape")
        if shape is not None and layers and not model.built:
            model.build(tuple(shape))
        return model
