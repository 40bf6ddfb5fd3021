"""Normalisation of every sample, or step, by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from .. import constraints, regularizers
from .._arguments import flag, integer, number, reject_options
from ..streaming import Stage
from ._normalization import add_gamma_and_beta, axes_of, column_sums, from_rows, sizes_of, to_rows
from .layer import Array, Layer, Shape

_Vectors: TypeAlias = tuple[Array | None, Array | None]  # gamma and beta, where there are such


class LayerNormalization(Layer):
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta``, mean and variance over the features.

    >>> import numpy as np
    >>> from lstmcore.layers import LayerNormalization
    >>> LayerNormalization()(np.array([[1, 3], [50, 70]], "float32")).round(2)
    array([[-1.,  1.],
           [-1.,  1.]], dtype=float32)

    Weights: ``gamma``, ``beta``, of the sizes of the axes.

    Parameters
    ----------
    axis : that of the features, or several: mean and variance are taken over all of them.
    epsilon : is added to the (biased) variance.
    center, scale : whether there is beta, and gamma.
    beta_initializer, gamma_initializer : names or callables.
    beta_regularizer, gamma_regularizer : add penalties to the loss.
    beta_constraint, gamma_constraint : are put upon the weights after every step.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.

    Raises
    ------
    ValueError, TypeError
        An argument is not of its kind; the message names it.
    NotImplementedError
        ``rms_scaling`` is not offered.

    References
    ----------
    Ba, Kiros and Hinton, Layer Normalization, arXiv:1607.06450, 2016.
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: str | Callable[..., Array] = "zeros",
        gamma_initializer: str | Callable[..., Array] = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **options: Any,
    ) -> None:
        reject_options("LayerNormalization", {"rms_scaling": options.pop("rms_scaling", None)}, ("rms_scaling",))
        super().__init__(**options)
        axes = axis if isinstance(axis, (list, tuple)) else (axis,)
        self.axis = [integer("LayerNormalization: axis", a) for a in axes]
        self.epsilon = number("LayerNormalization: epsilon", epsilon, "[0, inf)")
        self.center = flag("LayerNormalization: center", center)
        self.scale = flag("LayerNormalization: scale", scale)
        self.beta_initializer, self.gamma_initializer = beta_initializer, gamma_initializer
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self._cache: tuple[Array, Array] | None = None

    def build(self, input_shape: Shape) -> None:
        """Create gamma and beta."""
        self._sizes = sizes_of(self.name, input_shape, axes_of(self.name, self.axis, input_shape))
        self.gamma, self.beta = add_gamma_and_beta(self, self._sizes)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape as it came."""
        axes_of(self.name, self.axis, input_shape)
        return input_shape

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the inputs, normalised."""
        axes = axes_of(self.name, self.axis, inputs.shape)
        if tuple(inputs.shape[a] for a in axes) != self._sizes:
            raise ValueError(
                f"{self.name}: inputs: expected sizes {self._sizes} of axes {self.axis}, got shape {inputs.shape}"
            )
        rows = to_rows(inputs, axes)
        normal, outputs = np.empty_like(rows), np.empty_like(rows)
        inverse = _normalise(rows, self.epsilon, self._vectors(), normal, outputs)
        if training:
            self._cache = normal, inverse
        return from_rows(outputs, inputs.shape, axes)

    def _vectors(self) -> _Vectors:
        gamma, beta = (None if v is None else v.value.reshape(-1) for v in (self.gamma, self.beta))
        return gamma, beta

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Add to the gradients of gamma and beta and return that of the inputs, if needed."""
        if self._cache is None:
            raise RuntimeError(f"{self.name}: backward needs a forward pass with training=True before it")
        (normal, inverse), self._cache = self._cache, None
        axes = axes_of(self.name, self.axis, d_outputs.shape)
        d_rows = to_rows(d_outputs, axes)
        # With n = (x - mean) / deviation:   dgamma = sum dy n    dbeta = sum dy
        d_normal = d_rows
        if self.beta is not None:
            self.beta.gradient += column_sums(d_rows).reshape(self._sizes)
        if self.gamma is not None:
            self.gamma.gradient += column_sums(d_rows * normal).reshape(self._sizes)
            d_normal = d_rows * self.gamma.value.reshape(-1)
        if not need_d_inputs:
            return None
        # dn = dy gamma    dx = (dn - mean(dn) - n mean(dn n)) / deviation
        d_inputs = d_normal * normal
        np.multiply(normal, d_inputs.mean(-1, keepdims=True), out=d_inputs)
        d_inputs += d_normal.mean(-1, keepdims=True)
        np.subtract(d_normal, d_inputs, out=d_inputs)
        d_inputs *= inverse
        return from_rows(d_inputs, d_outputs.shape, axes)

    def stream(self, batch_size: int, steps: int) -> Stage:
        """Return a function that does for the next chunk of steps what the layer does for all."""
        if self.axis not in ([-1], [2]):
            raise ValueError(f"{self.name}: axis: a stream needs that of the features, -1, got {self.axis}")
        return _LayerNormalizationStage(self, batch_size, steps)


def _normalise(rows: Array, epsilon: float, gamma_beta: _Vectors, normal: Array, outputs: Array) -> Array:
    """Write n = (x - mean) / deviation of every row, and gamma n + beta; return 1 / deviation, (rows, 1)."""
    gamma, beta = gamma_beta
    size = rows.shape[1]
    mean = np.add.reduce(rows, -1, keepdims=True)
    mean /= size
    np.subtract(rows, mean, out=normal)
    # Of the differences: the mean of the squares less that of the mean loses all digits where the mean is large.
    variance = np.add.reduce(np.square(normal, out=outputs), -1, keepdims=True)
    variance /= size
    variance += epsilon
    inverse = np.divide(1, np.sqrt(variance, out=variance), out=variance)
    np.multiply(normal, inverse, out=normal)
    np.multiply(normal, 1 if gamma is None else gamma, out=outputs)
    if beta is not None:
        np.add(outputs, beta, out=outputs)
    return np.asarray(inverse)


class _LayerNormalizationStage(Stage):
    def __init__(self, layer: LayerNormalization, batch_size: int, steps: int) -> None:
        super().__init__(layer._sizes[0], layer.dtype)
        self.epsilon = layer.epsilon
        gamma, beta = layer._vectors()
        self.gamma_beta = None if gamma is None else gamma.copy(), None if beta is None else beta.copy()
        self.rows, self.normal = np.zeros((2, batch_size * steps, self.width), layer.dtype)

    def __call__(self, inputs: Array, out: Array | None = None) -> Array:
        count = inputs.shape[0] * inputs.shape[1]
        rows, normal, outputs = self.rows[:count], self.normal[:count], self.new(inputs, out)
        rows.reshape(inputs.shape)[...] = inputs
        _normalise(rows, self.epsilon, self.gamma_beta, normal, outputs.reshape(count, self.width))
        return outputs
