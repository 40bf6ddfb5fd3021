"""The fully connected layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _core, activations
from .._arguments import flag, positive_integer, reject_options
from ..streaming import Stage
from .layer import Array, Layer, Shape

_NOT_OFFERED = {
    "kernel_regularizer",
    "bias_regularizer",
    "activity_regularizer",
    "kernel_constraint",
    "bias_constraint",
    "lora_rank",
    "lora_alpha",
    "quantization_config",
}


class Dense(Layer):
    """``activation(x W + b)`` over the last axis.

    >>> import numpy as np
    >>> from lstmcore.layers import Dense
    >>> Dense(4)(np.zeros((2, 7, 3), "float32")).shape
    (2, 7, 4)

    Weights: ``kernel`` (features, units), ``bias`` (units).

    Parameters
    ----------
    units : width of the outputs.
    activation : "linear" (or None), "tanh", "sigmoid" or "relu".
    use_bias : whether there is a bias.
    kernel_initializer, bias_initializer : names or callables.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.

    Raises
    ------
    ValueError, TypeError
        An argument is not of its kind; the message names it.
    """

    def __init__(
        self,
        units: int,
        activation: str | activations.Activation | None = None,
        use_bias: bool = True,
        kernel_initializer: str | Callable[..., Array] = "glorot_uniform",
        bias_initializer: str | Callable[..., Array] = "zeros",
        **options: Any,
    ) -> None:
        reject_options("Dense", {k: options.pop(k) for k in _NOT_OFFERED & options.keys()}, _NOT_OFFERED)
        super().__init__(**options)
        self.units = positive_integer("Dense: units", units)
        self.activation = activations.get(activation)
        self.use_bias = flag("Dense: use_bias", use_bias)
        self.kernel_initializer = kernel_initializer
        self.bias_initializer = bias_initializer
        self._cache: tuple[Array, Array] | None = None

    def build(self, input_shape: Shape) -> None:
        """Create kernel and bias."""
        self.kernel = self.add_weight("kernel", (self._features(input_shape), self.units), self.kernel_initializer)
        if self.use_bias:
            self.bias = self.add_weight("bias", (self.units,), self.bias_initializer)

    def _features(self, input_shape: Shape) -> int:
        if len(input_shape) < 2 or not input_shape[-1]:
            raise ValueError(f"{self.name}: inputs: expected shape (batch, ..., features), got {input_shape}")
        if self.built and input_shape[-1] != self.kernel.shape[0]:
            raise ValueError(f"{self.name}: inputs: expected {self.kernel.shape[0]} features, got shape {input_shape}")
        return input_shape[-1]

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the outputs, in the shape of the inputs but for the last axis."""
        features = self._features(inputs.shape)
        rows = inputs.reshape(-1, features)
        outputs = self.activation(_core.matmul(rows, self.kernel.value, self.bias.value if self.use_bias else None))
        if training:
            self._cache = rows, outputs
        return outputs.reshape(*inputs.shape[:-1], self.units)

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Add to the gradients of the weights and return that of the inputs, if needed."""
        if self._cache is None:
            raise RuntimeError(f"{self.name}: backward needs a forward pass with training=True before it")
        (rows, outputs), self._cache = self._cache, None
        d_rows = d_outputs.reshape(-1, self.units)
        if self.activation is not activations.linear:
            d_rows = d_rows * self.activation.derivative(outputs)
        _core.matmul(rows.T, d_rows, None, self.kernel.gradient, True)
        if self.use_bias:
            self.bias.gradient += d_rows.sum(0)
        if not need_d_inputs:
            return None
        return _core.matmul(d_rows, self.kernel.value.T).reshape(*d_outputs.shape[:-1], rows.shape[1])

    def stream(self, batch_size: int, steps: int) -> Stage:
        """Return a function that does for the next chunk of steps what the layer does for all."""
        return _DenseStage(self, batch_size, steps)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the inputs with ``units`` as the last axis."""
        self._features(input_shape)
        return (*input_shape[:-1], self.units)


class _DenseStage:
    def __init__(self, layer: Dense, batch_size: int, steps: int) -> None:
        self.kernel = _core.PackedMatrix(layer.kernel.value)
        self.bias = layer.bias.numpy() if layer.use_bias else None
        self.activation = layer.activation
        self.inputs = np.zeros((batch_size * steps, layer.kernel.shape[0]), layer.dtype)
        self.outputs = np.zeros((batch_size * steps, layer.units), layer.dtype)

    def __call__(self, inputs: Array) -> Array:
        batch, steps, features = inputs.shape
        rows, outputs = self.inputs[: batch * steps], self.outputs[: batch * steps]
        if inputs.flags.c_contiguous:
            rows = inputs.reshape(-1, features)
        else:  # a chunk of fewer steps than fit
            rows.reshape(inputs.shape)[...] = inputs
        _core.matmul(rows, self.kernel, self.bias, outputs)
        self.activation.in_place(outputs)
        return outputs.reshape(batch, steps, -1)

    def reset(self) -> None:
        pass
