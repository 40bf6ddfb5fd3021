"""An activation by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import activations
from ..streaming import Stage
from .layer import Array, Layer, Shape


class Activation(Layer):
    """``activation(x)``

    >>> import numpy as np
    >>> from lstmcore.layers import Activation
    >>> Activation("relu")(np.array([[-1.0, 2.0]])).tolist()
    [[0.0, 2.0]]

    Parameters
    ----------
    activation : a name or a function of `activations`, or a function of the user's (see `activations.get`).
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    def __init__(self, activation: str | activations.Activation | Callable[..., Any] | None, **options: Any) -> None:
        super().__init__(**options)
        self.activation = activations.get(activation)

    def as_activation(self) -> activations.Activation:
        """Return the function, for another layer to apply."""
        return self.activation

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the function's value."""
        return self.activation.compute_output_shape(input_shape)

    @property
    def last_activation(self) -> activations.Activation | None:  # type: ignore[override]
        """The activation that the layer ends with, if it can leave it out."""
        return self.activation if self.activation.stepwise else None

    def forward(self, inputs: Array, training: bool = False, logits: bool = False) -> Array:
        """Return the outputs; ``logits`` leaves the activation out."""
        outputs = inputs if logits else self.activation.value(inputs)
        if training:
            self._cache = inputs if self.activation.needs_input else None, outputs
        return outputs

    def backward(self, d_outputs: Array, need_d_inputs: bool = True, logits: bool = False) -> Array | None:
        """Return the gradient of the inputs, if needed."""
        inputs, outputs = self.kept()
        if not need_d_inputs:
            return None
        return d_outputs if logits else self.activation.backward(inputs, outputs, d_outputs)

    def stream(self, batch_size: int, steps: int) -> Stage:
        """Return a `streaming.Stage`, which does for the next chunk of steps what the layer does for all."""
        if not self.activation.stepwise:
            raise ValueError(f"{self.name}: axis: only the last axis needs nothing but its own step; it cannot stream")
        return ActivationStage(self.activation.in_place, self)


class ActivationStage(Stage):
    """A function done in place, on a copy of the chunk, for inputs as a layer was built for."""

    def __init__(self, in_place: Callable[[Array], Array], layer: Layer) -> None:
        super().__init__(layer.output_shape[-1] or 1, layer.dtype)
        self.in_place = in_place

    def __call__(self, inputs: Array, out: Array | None = None) -> Array:
        """Return the outputs."""
        rows = self.rows(inputs, inputs.shape[2], out)
        rows.reshape(inputs.shape)[...] = inputs
        return self.activated(self.in_place, rows, inputs, out)
