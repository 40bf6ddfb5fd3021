"""A chain of layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._arguments import positive_integer
from .._serialization import custom_object_scope, deserialize, serialize
from ..activations import Activation
from ..layers.embedding import Embedding
from ..layers.input import InputLayer
from ..layers.layer import Layer, Shape
from ..streaming import Stage, Stream
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

    consumes_mask = True

    def __init__(self, layers: Iterable[Layer] | None = None, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(name=name)
        self._layers: list[Layer] = []
        self._activities: dict[int, Array] = {}  # outputs that an activity regularizer waits for
        self._first = 0
        if not isinstance(layers, (Iterable, type(None))):
            raise TypeError(f"{self.name}: layers: expected a list of layers, got {layers!r}")
        for layer in layers or ():
            self.add(layer)
        if not trainable:
            self.trainable = False

    # --- layers ---

    def add(self, layer: Layer) -> None:
        """Append a layer."""
        if not isinstance(layer, Layer):
            raise TypeError(f"{self.name}: layer: expected a Layer, got {layer!r}")
        layer.claim(self.name)
        known = [other for other in self._layers if not isinstance(other, InputLayer)]
        try:
            if any(other.name == layer.name for other in self._layers):
                raise ValueError(f"{self.name}: layer: expected a name of its own, got {layer.name!r} again")
            if known and layer.dtype != self.dtype:
                raise ValueError(f"{self.name}: layer: expected dtype {self.dtype}, got {layer.dtype} ({layer.name})")
        except ValueError:
            layer.owner = None
            raise
        if not known:
            self.dtype = layer.dtype
        self._layers.append(layer)
        shape = self._layers[0].input_shape
        if shape is not None:
            self._rebuild(shape)

    def pop(self, rebuild: bool = True) -> Layer:
        """Remove the last layer and return it."""
        if not self._layers:
            raise ValueError(f"{self.name}: has no layers")
        layer = self._layers.pop()
        layer.owner = None
        if self.built:
            shape, self.parameters, self.built, self.variables = self.input_shape, None, False, []
            if self._layers and shape is not None and rebuild:
                self._rebuild(shape)
        return layer

    def _rebuild(self, input_shape: Shape) -> None:
        self.built = False
        self.build(input_shape)

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
            layer.ensure_built(shape)
            shape = layer.compute_output_shape(shape)
        self._output_shape = (None, *shape[1:])
        self._gather()

    def _build_for(self, inputs: Any) -> None:
        self.build(_shapes(inputs))

    def _gather(self) -> None:
        super()._gather()
        # No gradient has to go further back than to the first layer that has something to train.
        moved = [k for k, layer in enumerate(self._layers) if layer.trainable_variables]
        self._first = moved[0] if moved else len(self._layers)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the outputs for inputs of that shape, batch first."""
        shape = input_shape
        for layer in self._layers:
            shape = layer.compute_output_shape(shape)
        return shape

    # --- passes ---

    def convert(self, name: str, inputs: Any) -> Any:
        """Return inputs as the array that the first layer takes."""
        for layer in self._layers:
            if not isinstance(layer, InputLayer):
                return layer.convert(name, inputs)
        return super().convert(name, inputs)

    def run(
        self,
        inputs: Any,
        training: bool = False,
        mask: Array | None = None,
        logits: bool = False,
        penalties: list[float] | None = None,
    ) -> tuple[Array, Array | None]:
        """Pass a batch through the layers; return the outputs and the mask that has come with them.

        With ``logits`` the last layer leaves out its activation, `head`. The penalties of activity
        regularizers are added to ``penalties``.
        """
        last = len(self._layers) - 1 if logits else -1
        for k, layer in enumerate(self._layers):
            options: dict[str, Any] = {"logits": True} if k == last else {}
            if isinstance(layer, Sequential):
                outputs, mask = layer.run(inputs, training, mask, k == last, penalties)
            else:
                if layer.consumes_mask and mask is not None:
                    options["mask"] = mask
                mask = layer.compute_mask(inputs, mask)
                outputs = layer.forward(inputs, training, **options)
                if not isinstance(outputs, np.ndarray):
                    raise ValueError(
                        f"{self.name}: {layer.name} returns several arrays (return_state, or merge_mode=None); in a "
                        "Sequential every layer returns one"
                    )
            if layer.activity_regularizer is not None:
                if penalties is not None:
                    penalties.append(layer.activity_regularizer(outputs) / max(1, len(outputs)))
                if training:
                    self._activities[k] = outputs
            inputs = outputs
        return inputs, mask

    def forward(
        self, inputs: Any, training: bool = False, mask: ArrayLike | None = None, logits: bool = False
    ) -> Array:
        """Pass a batch through the layers; with ``training``, keep what `backward` needs."""
        return self.run(inputs, training, None if mask is None else np.asarray(mask), logits)[0]

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
            assert gradient is not None
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
        with custom_object_scope(custom_objects or {}):
            layers = [deserialize(layer) for layer in config["layers"]]
        model = cls(layers, name=config.get("name"))
        if not config.get("trainable", True):
            model._trainable = False
        shape = config.get("build_input_shape")
        if shape is not None and layers and not model.built:
            model.build(tuple(shape))
        return model


def _shapes(inputs: Any) -> Any:
    if isinstance(inputs, dict):
        return {name: value.shape for name, value in inputs.items()}
    if isinstance(inputs, (list, tuple)):
        return [value.shape for value in inputs]
    return inputs.shape
