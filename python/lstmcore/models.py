"""Models, under Keras's names."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._arguments import float_array, positive_integer
from .layers.embedding import Embedding
from .layers.input import InputLayer
from .layers.layer import Layer, Shape, _automatic_name, set_all
from .streaming import Stream
from .trainer import Trainer
from .variables import Parameters, Variable

__all__ = ["Sequential"]

Array = NDArray[Any]


class Sequential(Trainer):
    """A chain of layers.

    >>> from lstmcore import Sequential
    >>> from lstmcore.layers import LSTM, Dense
    >>> model = Sequential([LSTM(8, input_shape=(12, 1)), Dense(1)])
    >>> model.count_params()
    329

    The weights exist as soon as the shape of the inputs is known: from the first layer's
    ``input_shape``, an `Input`, or the first data. Those of the whole model then live in one flat
    vector, ``parameters.values``, and their gradients in ``parameters.gradients``.

    Parameters
    ----------
    layers : the layers, in order; more can be added with `add`.
    name : "sequential" by default.
    """

    def __init__(self, layers: Iterable[Layer] | None = None, name: str | None = None) -> None:
        super().__init__()
        self.name = name or _automatic_name("Sequential")
        self.parameters: Parameters | None = None
        self._layers: list[Layer] = []
        for layer in layers or ():
            self.add(layer)

    # --- layers ---

    def add(self, layer: Layer) -> None:
        """Append a layer."""
        if not isinstance(layer, Layer):
            raise TypeError(f"{self.name}: layer: expected a Layer, got {layer!r}")
        layer.claim(self.name)
        try:
            if any(known.name == layer.name for known in self._layers):
                raise ValueError(f"{self.name}: layer: expected a name of its own, got {layer.name!r} again")
            if self._layers and layer.dtype != self.dtype:
                raise ValueError(f"{self.name}: layer: expected dtype {self.dtype}, got {layer.dtype} ({layer.name})")
        except ValueError:
            layer.owner = None
            raise
        self._layers.append(layer)
        shape = self._layers[0].input_shape
        if shape is not None:
            self.build(shape)

    def pop(self) -> Layer:
        """Remove the last layer and return it."""
        if not self._layers:
            raise ValueError(f"{self.name}: has no layers")
        layer = self._layers.pop()
        layer.owner = None
        if self.parameters is not None:
            self.parameters = None
            if self._layers:
                self.build(self._input_shape)
        return layer

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the `Input`."""
        return [layer for layer in self._layers if not isinstance(layer, InputLayer)]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return a layer by its name or its index."""
        if index is not None:
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(f"name: expected one of {[layer.name for layer in self.layers]}, got {name!r}")

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of weights and outputs."""
        return self._layers[0].dtype if self._layers else np.dtype("float32")

    @property
    def built(self) -> bool:
        """Whether the weights exist."""
        return self.parameters is not None

    def build(self, input_shape: Shape) -> None:
        """Create the weights for inputs of that shape, batch first."""
        if not self._layers:
            raise ValueError(f"{self.name}: has no layers; add some before using it")
        shape = tuple(input_shape)
        for layer in self._layers:
            layer.ensure_built(shape)
            shape = layer.compute_output_shape(shape)
        self._input_shape: Shape = (None, *input_shape[1:])
        self._output_shape: Shape = (None, *shape[1:])
        self._gather()

    def _gather(self) -> None:
        # What an optimizer moves stands in one vector, everything else by itself.
        moved = self.trainable_variables
        self.parameters = Parameters.gather(moved, self.dtype)
        for variable in self.non_trainable_variables:
            Parameters.gather([variable], self.dtype)

    @property
    def input_shape(self) -> Shape:
        """The shape of the inputs; None where any size will do."""
        self._require_built()
        return self._input_shape

    @property
    def output_shape(self) -> Shape:
        """The shape of the outputs."""
        self._require_built()
        return self._output_shape

    def _require_built(self) -> Parameters:
        if self.parameters is None:
            raise ValueError(f"{self.name}: has no weights yet; call it on data or give its first layer an input_shape")
        return self.parameters

    # --- weights ---

    @property
    def weights(self) -> list[Variable]:
        """All variables, layer by layer."""
        return [v for layer in self._layers for v in layer.weights]

    variables = weights

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables that `fit` moves."""
        return [v for layer in self._layers for v in layer.trainable_variables]

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The variables that `fit` leaves alone."""
        return [v for layer in self._layers for v in layer.non_trainable_variables]

    trainable_weights = trainable_variables
    non_trainable_weights = non_trainable_variables

    def get_weights(self) -> list[Array]:
        """Return copies of the weights, layer by layer in Keras's order and layout."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Set the weights from arrays as `get_weights` returns them: all of them or, on an error, none."""
        self._require_built()
        set_all(self.name, self.weights, weights)

    def count_params(self) -> int:
        """Return the number of numbers in the weights."""
        self._require_built()
        return sum(v.size for v in self.weights)

    # --- passes ---

    def convert(self, name: str, inputs: ArrayLike) -> Array:
        """Return inputs as the array that the first layer takes."""
        first = next((layer for layer in self._layers if not isinstance(layer, InputLayer)), None)
        return float_array(name, inputs, self.dtype) if first is None else first.convert(name, inputs)

    def __call__(self, inputs: ArrayLike, training: bool = False, mask: ArrayLike | None = None) -> Array:
        """Return the outputs for a batch; ``mask`` (batch, steps) is True where a step counts."""
        array = self.convert(f"{self.name}: inputs", inputs)
        if not self.built:
            self.build(array.shape)
        return self.run(array, training, None if mask is None else np.asarray(mask))[0]

    def run(self, inputs: Array, training: bool = False, mask: Array | None = None) -> tuple[Array, Array | None]:
        """Pass a batch through the layers; return the outputs and the mask that has come with them."""
        for layer in self._layers:
            options = {"mask": mask} if layer.consumes_mask and mask is not None else {}
            mask = layer.compute_mask(inputs, mask)
            outputs = layer.forward(inputs, training, **options)
            if not isinstance(outputs, np.ndarray):
                raise ValueError(
                    f"{self.name}: {layer.name} returns several arrays (return_state, or merge_mode=None); in a "
                    "Sequential every layer returns one"
                )
            inputs = outputs
        return inputs, mask

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Pass a batch through the layers; with ``training``, keep what `backward` needs."""
        return self.run(inputs, training)[0]

    def backward(self, d_outputs: Array) -> None:
        """Add to the gradients of all weights, from that of the outputs."""
        first = next((k for k, layer in enumerate(self._layers) if layer.variables), 0)
        gradient: Array | None = d_outputs
        for k in range(len(self._layers) - 1, first - 1, -1):
            assert gradient is not None
            gradient = self._layers[k].backward(gradient, need_d_inputs=k > first)

    # --- state ---

    def reset_states(self) -> None:
        """Make stateful layers begin with zeros again."""
        for layer in self._layers:
            layer.reset_states()

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
        layers = self.layers
        features = None if isinstance(layers[0], Embedding) else self._input_shape[-1]
        stages = [layer.stream(batch_size, steps) for layer in layers]
        return Stream(stages, batch_size, steps, features, layers[0].convert)

    # --- description ---

    def summary(self, line_length: int = 70, print_fn: Callable[[str], Any] = print) -> None:
        """Print the layers with their output shapes and numbers of weights."""
        rows = [("Layer (type)", "Output Shape", "Param #")]
        shape = self._input_shape if self.built else None
        for layer in self.layers:
            shape = layer.compute_output_shape(shape) if shape else None
            count = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
            rows.append((f"{layer.name} ({type(layer).__name__})", str(shape or "?"), count))
        widths = [max(len(row[k]) for row in rows) for k in range(3)]
        widths[0] += max(0, line_length - sum(widths) - 10)

        def line(left: str, middle: str, right: str, fill: str = "─") -> str:
            return left + middle.join(fill * (w + 2) for w in widths) + right

        print_fn(f'Model: "{self.name}"')
        print_fn(line("┌", "┬", "┐"))
        for k, (name, shape_text, count) in enumerate(rows):
            print_fn(f"│ {name:{widths[0]}} │ {shape_text:{widths[1]}} │ {count:>{widths[2]}} │")
            print_fn(line("├", "┼", "┤") if k < len(rows) - 1 else line("└", "┴", "┘"))
        total = sum(layer.count_params() for layer in self.layers)
        print_fn(f" Total params: {total:,} ({_bytes(total * self.dtype.itemsize)})")
        print_fn(f" Trainable params: {total:,} ({_bytes(total * self.dtype.itemsize)})")

    def __repr__(self) -> str:
        return f"<Sequential name={self.name}, layers=[{', '.join(layer.name for layer in self.layers)}]>"


def _bytes(n: int) -> str:
    power = min(3, int(math.log(n, 1024))) if n else 0
    return f"{n / 1024**power:.2f} {('B', 'KB', 'MB', 'GB')[power]}"
