"""A layer at every step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _masks
from .._arguments import ArgumentTypeError, real_array
from ..activations import Activation
from ..graph.symbol import given
from ..streaming import Stage
from .layer import Array, Layer, Shape


class TimeDistributed(Layer):
    """Applies a layer to every step by itself, with the same weights; to all of them at once.

    >>> import numpy as np
    >>> from lstmcore.layers import Dense, TimeDistributed
    >>> TimeDistributed(Dense(4))(np.zeros((2, 7, 3), "float32")).shape
    (2, 7, 4)

    Weights: those of the layer. A mask (batch, steps) goes on, and so does one of the steps within each step (batch,
    steps, inner steps), which the layer gets. Where the layer ends that, as an LSTM of the words of every sentence
    does, a step counts where any of its own does. A layer that makes a mask, or has layers within that do, makes one
    here.

    Parameters
    ----------
    layer : the layer; its inputs are those of this one without the second axis.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    passes_are_fixed = "which would not be called; derive it from Layer"

    def __init__(self, layer: Layer, **options: Any) -> None:
        if not isinstance(layer, Layer):
            raise ArgumentTypeError(f"TimeDistributed: layer: expected a layer, got {layer!r}")
        super().__init__(**options)
        self.take_after(layer)
        self.adopt(layer)
        self.layer = layer
        self.consumes_mask = layer.consumes_mask
        if self.activity_regularizer is None:
            self.activity_regularizer = layer.activity_regularizer

    @property
    def sublayers(self) -> list[Layer]:
        """The layer."""
        return [self.layer]

    def _inner(self, shape: Shape) -> Shape:
        if len(shape) < 3:
            raise ValueError(f"{self.name}: inputs: expected shape (batch, steps, ...), got {shape}")
        return (shape[0], *shape[2:])

    @property
    def last_activation(self) -> Activation | None:  # type: ignore[override]
        """The activation that the layer ends with, if it can leave it out."""
        return self.layer.last_activation

    def build(self, input_shape: Shape) -> None:
        """Create the weights of the layer."""
        self.layer.ensure_built(self._inner(input_shape))
        self.variables = self.layer.variables

    def convert(self, name: str, inputs: Any) -> Any:
        """Return inputs as the layer takes them at every step."""
        array = real_array(name, inputs)
        if array.ndim < 3:
            return self.layer.convert(name, array)
        rows = array.reshape(array.shape[0] * array.shape[1], *array.shape[2:])
        return self.layer.convert(name, rows).reshape(array.shape)

    def forward(
        self, inputs: Array, training: bool = False, mask: ArrayLike | None = None, logits: bool = False
    ) -> Array:
        """Return the outputs; ``logits`` leaves out the activation the layer ends with."""
        own = None if mask is None else _masks.fit(self.name, mask, inputs.shape)
        return self.forward_with_mask(inputs, training, own, **({"logits": True} if logits else {}))[0]

    def forward_with_mask(
        self, inputs: Array, training: bool = False, mask: Array | None = None, **options: Any
    ) -> tuple[Array, Array | None]:
        """Return the outputs and their mask."""
        self.last_returned = None
        mask = _masks.unless_ended(self, mask)
        self._inner(inputs.shape)
        batch, steps, *inner = inputs.shape
        rows, own = inputs.reshape(batch * steps, *inner), None
        if mask is not None:
            _masks.check(self.name, mask, inputs.shape)
            own = mask.reshape(batch * steps, *mask.shape[2:])
            if own.ndim == 1 and rows.ndim > 2:  # all of a step that does not count
                own = _masks.steps_of(own, rows.shape[1])
        with _masks.rows():
            outputs, left = self.layer.forward_with_mask(rows, training, own, **options)
        if not isinstance(outputs, np.ndarray):
            raise ValueError(f"{self.name}: layer: expected one that returns one array, got {self.layer.name}")
        if left is None and mask is not None:  # the layer is a model of the user's
            left = mask.any(axis=tuple(range(2, mask.ndim))) if mask.ndim > 2 else mask
        elif left is own:
            left = mask
        elif left is not None:
            left = left.reshape(batch, steps, *left.shape[1:])
        return outputs.reshape(batch, steps, *outputs.shape[1:]), left

    def compute_mask(self, inputs: Any, mask: Any = None) -> Array | None:
        """Return what the layer makes of a mask, at every step."""
        return self.forward_with_mask(self._accept(inputs), mask=mask)[1]

    def backward(self, d_outputs: Array, need_d_inputs: bool = True, logits: bool = False) -> Array | None:
        """Add to the gradients of the weights and return that of the inputs, if needed."""
        batch, steps, *inner = d_outputs.shape
        options = {"logits": True} if logits else {}
        d_inputs = self.layer.backward(d_outputs.reshape(batch * steps, *inner), need_d_inputs, **options)
        return None if d_inputs is None else d_inputs.reshape(batch, steps, *d_inputs.shape[1:])

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the layer's outputs, with the steps behind the batch."""
        batch, *inner = self.layer.compute_output_shape(self._inner(input_shape))
        return (batch, input_shape[1], *inner)

    @property
    def takes_integers(self) -> bool:  # type: ignore[override]
        """Whether the layer takes integers as they are."""
        return self.layer.takes_integers

    def result_of_call(self, inputs: Any, options: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return the shape and the dtype of what a call on a symbol returns."""
        self.ensure_built(inputs.shape)
        (batch, *inner), dtype = self.layer.result_of_call(
            given(self.name, self._inner(inputs.shape), inputs.dtype), {}
        )
        return (batch, inputs.shape[1], *inner), dtype

    def reset_states(self) -> None:
        """Make a stateful layer begin with zeros again."""
        self.layer.reset_states()

    def stream(self, batch_size: int, steps: int) -> Stage:
        """Return a `streaming.Stage`, which does for the next chunk of steps what the layer does for all."""
        # A chunk is (batch, steps, features): the layer takes vectors, so it has no steps of its own.
        return self.layer.stream(batch_size, steps)
