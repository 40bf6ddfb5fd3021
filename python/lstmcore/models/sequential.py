"""A chain of layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._arguments import ArgumentTypeError, flag, items, mapping, positive_integer, read_only
from .._tree import shapes
from ..activations import Activation
from ..graph.symbol import Symbol
from ..layers.embedding import Embedding
from ..layers.input import InputLayer
from ..layers.layer import Layer, Shape
from ..serialization import custom_object_scope, deserialize, serialize
from ..streaming import Stage, Stream
from ..variables import Variable
from .model import Model

Array = NDArray[Any]


class Sequential(Model):
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

    def __init__(self, layers: Iterable[Layer] | None = None, trainable: bool = True, name: str | None = None) -> None:
        self._layers: list[Layer] = []
        self._taken: set[str] = set()  # names that layers have been added with
        super().__init__(name=name)
        self._activities: dict[int, Array] = {}  # outputs that an activity regularizer waits for
        self._first = 0
        for layer in () if layers is None else items(f"{self.name}: layers", layers, "a list of layers"):
            self.add(layer)
        if not flag(f"{self.name}: trainable", trainable):
            self.trainable = False

    # --- layers ---

    def add(self, layer: Layer) -> None:
        """Append a layer, or an `Input`."""
        if isinstance(layer, Symbol) and isinstance(layer.call.layer, InputLayer):
            layer = layer.call.layer
        if not isinstance(layer, Layer):
            raise ArgumentTypeError(f"{self.name}: layer: expected a Layer, got {layer!r}")
        layer.claim(self.name)
        try:
            if layer.name in self._taken:
                raise ValueError(f"{self.name}: layer: expected a name of its own, got {layer.name!r} again")
            if all(isinstance(other, InputLayer) for other in self._layers):
                self.dtype, self.given_dtype = layer.dtype, layer.given_dtype
            else:
                layer.take_dtype(self.name, self.dtype)
            if self.built:
                self._output_shape = (None, *self._through(layer, self._output_shape)[1:])
        except BaseException:
            layer.owner = None
            raise
        self._layers.append(layer)
        self._taken.add(layer.name)
        if self.built:
            self.variables.extend(layer.variables)
            self._parameters = None
        elif self._layers[0].input_shape is not None:
            self.build(self._layers[0].input_shape)

    def pop(self, rebuild: bool = True) -> Layer:
        """Remove the last layer and return it."""
        if not self._layers:
            raise ValueError(f"{self.name}: has no layers")
        layer = self._layers.pop()
        self._taken.discard(layer.name)
        layer.owner = None
        self._parameters = None
        if self.built and self._layers and rebuild:
            self._output_shape = (None, *self._layers[-1].output_shape[1:])
            del self.variables[len(self.variables) - len(layer.variables) :]
        else:
            self.built, self.variables = False, []
        return layer

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
        for layer in self._layers:
            shape = self._through(layer, shape)
        self._output_shape: Shape = (None, *shape[1:])

    def _build_for(self, inputs: Any) -> None:
        self.build(shapes(inputs))

    def _gather(self, moved: Iterable[Variable] | None = None) -> None:
        super()._gather(moved)
        assert self._parameters is not None
        # No gradient has to go further back than to the first layer that has something to train.
        chosen = {id(v) for v in self._parameters.variables}
        first = (k for k, layer in enumerate(self._layers) if any(id(v) in chosen for v in layer.variables))
        self._first = next(first, len(self._layers))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the outputs for inputs of that shape, batch first."""
        shape = input_shape
        for layer in self._layers:
            shape = self._one(layer, layer.compute_output_shape(shape))
        return shape

    def _through(self, layer: Layer, shape: Any) -> Shape:
        """Return the shape of the outputs of a layer, which is built for inputs of a shape if it has no weights yet."""
        layer.ensure_built(shape)
        return self._one(layer, layer.compute_output_shape(shape))

    def _one(self, layer: Layer, shape: Any) -> Shape:
        """Return the shape of a layer's outputs, if it returns one array."""
        if isinstance(shape, (list, dict)) or (shape and isinstance(shape[0], (tuple, list))):
            raise ValueError(
                f"{self.name}: {layer.name} returns several arrays (return_state, or merge_mode=None); in a "
                "Sequential every layer returns one"
            )
        return shape  # type: ignore[no-any-return]

    # --- passes ---

    def convert(self, name: str, inputs: Any) -> Any:
        """Return inputs as the array that the first layer takes."""
        for layer in self._layers:
            if not isinstance(layer, InputLayer):
                return layer.convert(name, inputs)
        return super().convert(name, inputs)

    def _run(
        self, inputs: Any, training: bool, mask: Any, logits: bool, penalties: list[float] | None
    ) -> tuple[Array, Array | None]:
        """Pass a batch through the layers; return the outputs and the mask that has come with them.

        With ``logits`` the last layer leaves out its activation, `head`. The penalties of activity
        regularizers are added to ``penalties``.
        """
        if self.returned is not None:
            self.returned = None
        if training:
            self._activities = {}
        last = len(self._layers) - 1 if logits else -1
        for k, layer in enumerate(self._layers):
            if isinstance(layer, Sequential):
                outputs, mask = layer._run(inputs, training, mask, k == last, penalties)
            else:
                options: dict[str, Any] = {"logits": True} if k == last else {}
                outputs, mask = layer.forward_with_mask(inputs, training, mask, **options)
                if not isinstance(outputs, np.ndarray):
                    raise ValueError(
                        f"{self.name}: {layer.name} returns several arrays (return_state, or merge_mode=None); in a "
                        "Sequential every layer returns one"
                    )
            if layer.activity_regularizer is not None:
                shown = read_only(outputs)
                if penalties is not None:
                    penalties.append(layer.activity_regularizer(shown) / max(1, len(outputs)))
                if training:
                    self._activities[k] = shown
            inputs = outputs
        return inputs, mask

    def forward(
        self, inputs: Any, training: bool = False, mask: ArrayLike | None = None, logits: bool = False
    ) -> Array:
        """Pass a batch through the layers; with ``training``, keep what `backward` needs."""
        return self.run(inputs, training, mask, logits)[0]

    def forward_with_mask(
        self, inputs: Any, training: bool = False, mask: Any = None, logits: bool = False, **options: Any
    ) -> tuple[Array, Array | None]:
        """Return the outputs for a batch and their mask."""
        if options:
            raise TypeError(f"{self.name} got an unexpected argument {next(iter(options))!r}")
        return self._run(inputs, training, mask, logits, None)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Array | None:
        """Return the mask of the outputs, by passing a batch through the layers."""
        return self.run(self._accept(inputs), mask=mask)[1]

    def backward(self, d_outputs: Array, need_d_inputs: bool = True, logits: bool = False) -> Array | None:
        """Add to the gradients of all weights, from that of the outputs; return that of the inputs, if needed."""
        layers, first = self._layers, 0 if need_d_inputs else self._first
        gradient: Array | None = d_outputs
        for k in range(len(layers) - 1, first - 1, -1):
            layer = layers[k]
            if k in self._activities:
                regularizer, outputs = layer.activity_regularizer, self._activities.pop(k)
                assert regularizer is not None
                assert gradient is not None
                gradient = gradient + regularizer.gradient(outputs) / max(1, len(outputs))
            if gradient is None:
                raise ValueError(f"{layers[k + 1].name}: backward: expected the gradient of its inputs, got None")
            options = {"logits": True} if logits and k == len(layers) - 1 else {}
            gradient = layer.backward(gradient, need_d_inputs or k > first, **options)
        self._activities.clear()
        return gradient if need_d_inputs else None

    def _run_backward(self, d_outputs: Array, logits: bool) -> None:
        self.backward(d_outputs, need_d_inputs=False, logits=logits)

    @property
    def head(self) -> Activation | None:  # type: ignore[override]
        """The activation that the last layer ends with, if it can leave it out."""
        last = self._layers[-1] if self._layers else None
        # An activity regularizer looks at the outputs, and so needs their gradient.
        return None if last is None or last.activity_regularizer is not None else last.head

    # --- state ---

    def stream(self, batch_size: int = 1, steps: int = 1) -> Stream:
        """Return an object that runs the model a step, or a chunk of steps, at a time.

        Its outputs are bit for bit those of the whole sequence at once. A recurrent layer gives its
        output at every step, whether or not it has ``return_sequences``.

        Parameters
        ----------
        batch_size : rows of every step.
        steps : the most steps in a chunk.

        Raises
        ------
        NotImplementedError, ValueError
            A layer needs the whole sequence, as `layers.Bidirectional` does.
        """
        self._require_built()
        batch_size, steps = positive_integer("batch_size", batch_size), positive_integer("steps", steps)
        if batch_size * steps >= 2**31:
            raise ValueError(f"steps: expected fewer than 2**31, times batch_size, got {steps} times {batch_size}")
        layers = list(self._chain())
        assert self.input_shape is not None
        features = None if isinstance(layers[0], Embedding) else self.input_shape[-1]
        stages: list[Stage] = [layer.stream(batch_size, steps) for layer in layers]
        return Stream(stages, batch_size, steps, features, layers[0].convert)

    def _chain(self) -> Iterable[Layer]:
        for layer in self.layers:
            if isinstance(layer, Sequential):
                yield from layer._chain()
            else:
                yield layer

    # --- description ---

    def get_config(self) -> dict[str, Any]:
        """Return the name, the layers and the shape of the inputs as plain data, for `from_config`."""
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
