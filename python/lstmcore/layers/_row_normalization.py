"""Normalisation of every sample, or step, by itself: what the layers that do so share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from .._arguments import integer, number
from ..streaming import Stage
from ..variables import Variable
from ._normalization import axes_of, column_sums, from_rows, mixes_steps, sizes_of, to_rows
from .layer import Array, Layer, Shape

_Vectors: TypeAlias = tuple[Array | None, Array | None]  # gamma and beta, where there are such


class _RowNormalization(Layer):
    """``gamma * n + beta``, n the inputs divided by a measure of how far from zero, or from their mean, they are.

    A subclass says which: `measures_from_mean` whether it is the distance from the mean, `subtracts_mean` whether what
    is divided is the difference from it too. It makes its gamma and beta in `_add_vectors`.
    """

    measures_from_mean = True
    subtracts_mean = True
    gamma: Variable | None = None
    beta: Variable | None = None

    def __init__(self, axis: int | Sequence[int], epsilon: float, **options: Any) -> None:
        super().__init__(**options)
        kind = type(self).__name__
        axes = axis if isinstance(axis, (list, tuple)) else (axis,)
        self.axis = [integer(f"{kind}: axis", a) for a in axes]
        self.epsilon = number(f"{kind}: epsilon", epsilon, "[0, inf)")

    def build(self, input_shape: Shape) -> None:
        """Create gamma and beta."""
        self._sizes = sizes_of(self.name, input_shape, axes_of(self.name, self.axis, input_shape))
        self._add_vectors(self._sizes)

    def _add_vectors(self, shape: tuple[int, ...]) -> None:
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape as it came."""
        axes_of(self.name, self.axis, input_shape)
        return input_shape

    def leaks(self, inputs: Any, mask: Any) -> str | None:
        """Return that steps are mixed, if they are."""
        return f"axis={self.axis} mixes steps" if mixes_steps(self.axis, inputs.ndim) else None

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the inputs, normalised."""
        axes = axes_of(self.name, self.axis, inputs.shape)
        if tuple(inputs.shape[a] for a in axes) != self._sizes:
            raise ValueError(
                f"{self.name}: inputs: expected sizes {self._sizes} of axes {self.axis}, got shape {inputs.shape}"
            )
        rows = to_rows(inputs, axes)
        normal, outputs = np.empty_like(rows), np.empty_like(rows)
        inverse, mean = self._normalise(rows, self._vectors(), normal, outputs)
        if training:
            # What is left of the mean in n, if it is measured from but not subtracted.
            self._cache = normal, inverse, None if mean is None or self.subtracts_mean else mean * inverse
        return from_rows(outputs, inputs.shape, axes)

    def _vectors(self) -> _Vectors:
        gamma, beta = (None if v is None else v.value.reshape(-1) for v in (self.gamma, self.beta))
        return gamma, beta

    def _normalise(
        self, rows: Array, gamma_beta: _Vectors, normal: Array, outputs: Array
    ) -> tuple[Array, Array | None]:
        """Write n, of every row, and gamma n + beta; return what was multiplied by, and the mean, (rows, 1) each."""
        gamma, beta = gamma_beta
        size, mean, numerator = rows.shape[1], None, rows
        if self.measures_from_mean:
            mean = np.add.reduce(rows, -1, keepdims=True)
            mean /= size
            numerator = np.subtract(rows, mean, out=normal)
        # Of the differences: the mean of the squares less that of the mean loses all digits where the mean is large.
        variance = np.add.reduce(np.square(numerator, out=outputs), -1, keepdims=True)
        variance /= size
        variance += self.epsilon
        inverse = np.divide(1, np.sqrt(variance, out=variance), out=variance)
        np.multiply(numerator if self.subtracts_mean else rows, inverse, out=normal)
        np.multiply(normal, 1 if gamma is None else gamma, out=outputs)
        if beta is not None:
            np.add(outputs, beta, out=outputs)
        return np.asarray(inverse), mean

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Add to the gradients of gamma and beta and return that of the inputs, if needed."""
        normal, inverse, rest = self.kept()
        axes = axes_of(self.name, self.axis, d_outputs.shape)
        d_rows = to_rows(d_outputs, axes)
        #   dgamma = sum dy n    dbeta = sum dy
        d_normal = d_rows
        if self.beta is not None:
            self.beta.gradient += column_sums(d_rows).reshape(self._sizes)
        if self.gamma is not None:
            self.gamma.gradient += column_sums(d_rows * normal).reshape(self._sizes)
            d_normal = d_rows * self.gamma.value.reshape(-1)
        if not need_d_inputs:
            return None
        # dn = dy gamma    dx = (dn - mean(dn) - (n - rest) mean(dn n)) / deviation, where the mean was subtracted the
        # one of dn, where it was not but was measured from a rest, mean(x) / deviation, that the deviation knows not.
        d_inputs = d_normal * normal
        along = d_inputs.mean(-1, keepdims=True)
        np.multiply(normal, along, out=d_inputs)
        if self.subtracts_mean:
            d_inputs += d_normal.mean(-1, keepdims=True)
        if rest is not None:
            d_inputs -= rest * along
        np.subtract(d_normal, d_inputs, out=d_inputs)
        d_inputs *= inverse
        return from_rows(d_inputs, d_outputs.shape, axes)

    def stream(self, batch_size: int, steps: int) -> Stage:
        """Return a `streaming.Stage`, which does for the next chunk of steps what the layer does for all."""
        if self.axis not in ([-1], [2]):
            raise ValueError(f"{self.name}: axis: a stream needs that of the features, -1, got {self.axis}")
        return _RowNormalizationStage(self, batch_size, steps)


class _RowNormalizationStage(Stage):
    def __init__(self, layer: _RowNormalization, batch_size: int, steps: int) -> None:
        super().__init__(layer._sizes[0], layer.dtype)
        gamma, beta = layer._vectors()
        self.normalise = layer._normalise
        self.gamma_beta = None if gamma is None else gamma.copy(), None if beta is None else beta.copy()
        self.copies, self.normal = np.zeros((2, batch_size * steps, self.width), layer.dtype)

    def __call__(self, inputs: Array, out: Array | None = None) -> Array:
        count = inputs.shape[0] * inputs.shape[1]
        rows, normal, outputs = self.copies[:count], self.normal[:count], self.new(inputs, out)
        rows.reshape(inputs.shape)[...] = inputs
        self.normalise(rows, self.gamma_beta, normal, outputs.reshape(count, self.width))
        return outputs
