"""The fully connected layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .. import _core, activations, constraints, initializers, regularizers
from .._arguments import flag, positive_integer, reject_options
from ..streaming import Stage
from ._quantized import operands, refuse_training
from .layer import Array, Layer, Shape

_NOT_OFFERED = {"lora_rank", "lora_alpha", "quantization_config"}


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
    activation : a name or a function of `activations`; None is "linear".
    use_bias : whether there is a bias.
    kernel_initializer, bias_initializer : names or callables.
    kernel_regularizer, bias_regularizer : penalties on the weights: names or `regularizers.Regularizer`.
    kernel_constraint, bias_constraint : what the weights are held to: names or `constraints.Constraint`.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.

    Raises
    ------
    ValueError, TypeError
        An argument is not of its kind; the message names it.
    """

    quantized_weights: ClassVar[dict[str, bool]] = {"kernel": False}
    narrow_products = True

    def __init__(
        self,
        units: int,
        activation: str | activations.Activation | Callable[..., Any] | None = None,
        use_bias: bool = True,
        kernel_initializer: str | Callable[..., Array] = "glorot_uniform",
        bias_initializer: str | Callable[..., Array] = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        reject_options("Dense", {k: options.pop(k) for k in _NOT_OFFERED & options.keys()}, _NOT_OFFERED)
        super().__init__(activity_regularizer=activity_regularizer, **options)
        self.units = positive_integer("Dense: units", units)
        self.activation = activations.get(activation)
        self.use_bias = flag("Dense: use_bias", use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    @property
    def last_activation(self) -> activations.Activation | None:  # type: ignore[override]
        """The activation that the layer ends with, if it can leave it out."""
        return self.activation if self.activation.stepwise else None

    def build(self, input_shape: Shape) -> None:
        """Create kernel and bias."""
        self.kernel = self.add_weight(
            "kernel",
            (self._features(input_shape), self.units),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                "bias",
                (self.units,),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def _features(self, input_shape: Shape) -> int:
        if len(input_shape) < 2 or not input_shape[-1]:
            raise ValueError(f"{self.name}: inputs: expected shape (batch, ..., features), got {input_shape}")
        if self.built and input_shape[-1] != self.kernel.shape[0]:
            raise ValueError(f"{self.name}: inputs: expected {self.kernel.shape[0]} features, got shape {input_shape}")
        return input_shape[-1]

    def forward(self, inputs: Array, training: bool = False, logits: bool = False) -> Array:
        """Return the outputs, of the inputs' shape but for the last axis; ``logits`` leaves out the activation."""
        if training and self.quantization_mode is not None:
            refuse_training(self)
        shape = inputs.shape
        if len(shape) < 2 or shape[-1] != self.kernel.shape[0]:
            self._features(shape)
        rows = inputs if len(shape) == 2 else inputs.reshape(-1, shape[-1])
        plain = self.quantization_mode is None and not self._mixed
        kernel = self.kernel.place.value if plain else operands(self, self.kernel)[0]
        sums = _core.matmul(rows, kernel, None if self.bias is None else self.bias.place.value)
        if len(shape) > 2:
            sums = sums.reshape(*shape[:-1], self.units)
        activation = activations.linear if logits else self.activation
        if training and activation.needs_input:
            outputs = activation.value(sums)
            self._cache = rows, sums, outputs
        else:
            outputs = activation.in_place(sums)
            if training:
                self._cache = rows, None, outputs
        return outputs

    def backward(self, d_outputs: Array, need_d_inputs: bool = True, logits: bool = False) -> Array | None:
        """Add to the gradients of the weights and return that of the inputs, if needed."""
        rows, sums, outputs = self.kept()
        d_sums = d_outputs if logits else self.activation.backward(sums, outputs, d_outputs)
        shape = d_sums.shape
        d_rows = d_sums if len(shape) == 2 else d_sums.reshape(-1, self.units)
        precision = "bfloat16" if self._mixed else "float32"
        _core.matmul(rows.T, d_rows, None, self.kernel.place.gradient, True, precision)
        if self.bias is not None:
            d_bias = self.bias.place.gradient
            d_bias += np.add.reduce(d_rows, axis=0)
        if not need_d_inputs:
            return None
        d_inputs = _core.matmul(d_rows, self.kernel.place.value.T, None, None, False, precision)
        return d_inputs if len(shape) == 2 else d_inputs.reshape(*shape[:-1], rows.shape[1])

    def stream(self, batch_size: int, steps: int) -> Stage:
        """Return a `streaming.Stage`, which does for the next chunk of steps what the layer does for all."""
        if not self.activation.stepwise:
            raise ValueError(f"{self.name}: activation: one of another axis than the last cannot stream")
        return _DenseStage(self)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the inputs with ``units`` as the last axis, or what the activation makes of it."""
        self._features(input_shape)
        return self.activation.compute_output_shape((*input_shape[:-1], self.units))


class _DenseStage(Stage):
    def __init__(self, layer: Dense) -> None:
        super().__init__(layer.output_shape[-1] or layer.units, layer.dtype)
        self.units = layer.units
        (kernel,) = operands(layer, layer.kernel)
        self.kernel = kernel if isinstance(kernel, _core.PackedMatrix) else _core.PackedMatrix(kernel)
        self.bias = None if layer.bias is None else layer.bias.numpy()
        self.activation = layer.activation

    def __call__(self, inputs: Array, out: Array | None = None) -> Array:
        rows = self.rows(inputs, self.units, out)
        _core.matmul(inputs.reshape(-1, inputs.shape[2]), self.kernel, self.bias, rows)
        return self.activated(self.activation.in_place, rows, inputs, out)
