"""A layer at every step."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..streaming import Stage
from .layer import Array, Layer, Shape


class TimeDistributed(Layer):
    """Applies a layer to every step by itself, with the same weights; to all of them at once.

    >>> import numpy as np
    >>> from lstmcore.layers import Dense, TimeDistributed
    >>> TimeDistributed(Dense(4))(np.zeros((2, 7, 3), "float32")).shape
    (2, 7, 4)

    Weights: those of the layer. A mask is passed on; a layer on vectors that takes one (`BatchNormalization`)
    is told which of them count.

    Parameters
    ----------
    layer : the layer; its inputs are those of this one without the second axis.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    def __init__(self, layer: Layer, **options: Any) -> None:
        if not isinstance(layer, Layer):
            raise TypeError(f"TimeDistributed: layer: expected a layer, got {layer!r}")
        super().__init__(**{"dtype": layer.given_dtype} | options)
        self.adopt(layer)
        self.layer = layer
        self.head = layer.head
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

    def build(self, input_shape: Shape) -> None:
        """Create the weights of the layer."""
        self.layer.ensure_built(self._inner(input_shape))
        self.variables = self.layer.variables

    def convert(self, name: str, inputs: Any) -> Any:
        """Return inputs as the layer takes them."""
        return self.layer.convert(name, inputs)

    def forward(self, inputs: Array, training: bool = False, mask: Array | None = None, logits: bool = False) -> Array:
        """Return the outputs; ``logits`` leaves out the activation the layer ends with."""
        batch, *inner = self._inner(inputs.shape)
        steps = inputs.shape[1]
        options: dict[str, Any] = {"logits": True} if logits else {}
        if mask is not None and self.consumes_mask and inputs.ndim == 3:
            options["mask"] = np.asarray(mask, bool).reshape(batch * steps)
        outputs = self.layer.forward(inputs.reshape(batch * steps, *inner), training, **options)
        return outputs.reshape(batch, steps, *outputs.shape[1:])  # type: ignore[no-any-return]

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

    def reset_states(self) -> None:
        """Make a stateful layer begin with zeros again."""
        self.layer.reset_states()

    def stream(self, batch_size: int, steps: int) -> Stage:
        """Return a function that does for the next chunk of steps what the layer does for all."""
        # A chunk is (batch, steps, features): the layer takes vectors, so it has no steps of its own.
        return self.layer.stream(batch_size, steps)
