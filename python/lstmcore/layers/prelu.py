"""The leaky rectified linear unit whose slopes are learned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import constraints, initializers, regularizers
from .._arguments import integers
from ..streaming import Stage
from .activation import ActivationStage
from .layer import Array, Layer, Shape


class PReLU(Layer):
    """x above 0, ``alpha * x`` below, with an alpha for each feature of each step (He et al. 2015).

    >>> import numpy as np
    >>> from lstmcore.layers import PReLU
    >>> PReLU(alpha_initializer="ones", shared_axes=[1])(np.full((1, 2, 1), -3.0)).tolist()
    [[[-3.0], [-3.0]]]

    Weights: ``alpha``, in the shape of a sample, 1 along the shared axes.

    Parameters
    ----------
    alpha_initializer, alpha_regularizer, alpha_constraint : names or objects.
    shared_axes : axes along which there is one alpha, counted with the batch as 0: [1] for the steps.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    def __init__(
        self,
        alpha_initializer: str | Callable[..., Array] = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        self.shared_axes = [] if shared_axes is None else list(integers("PReLU: shared_axes", shared_axes))

    def build(self, input_shape: Shape) -> None:
        """Create the alphas."""
        shape = [1 if axis in self.shared_axes else n for axis, n in enumerate(input_shape)][1:]
        wrong = [axis for axis in self.shared_axes if not 1 <= axis < len(input_shape)]
        if wrong:
            raise ValueError(
                f"{self.name}: shared_axes: expected axes from 1 to {len(input_shape) - 1}, got {self.shared_axes}"
            )
        if None in shape:
            raise ValueError(
                f"{self.name}: shared_axes: expected all axes of unknown size, inputs are {input_shape}, "
                f"got {self.shared_axes}"
            )
        self.alpha = self.add_weight(
            "alpha",
            shape,
            self.alpha_initializer,
            offered="inputs",
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the outputs."""
        sample, alphas = inputs.shape[1:], self.alpha.shape
        if len(sample) != len(alphas) or any(a not in (1, n) for a, n in zip(alphas, sample, strict=True)):
            raise ValueError(f"{self.name}: inputs: expected what fits alpha {alphas}, got shape {inputs.shape}")
        if training:
            self._cache = inputs
        return np.where(inputs > 0, inputs, self.alpha.value * inputs)

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Add to the gradient of the alphas and return that of the inputs, if needed."""
        inputs = self.kept()
        above = inputs > 0
        d_alpha = np.where(above, 0, d_outputs * inputs)
        self.alpha.gradient += d_alpha.sum((0, *self.shared_axes), keepdims=True)[0]
        return np.where(above, d_outputs, self.alpha.value * d_outputs) if need_d_inputs else None

    def stream(self, batch_size: int, steps: int) -> Stage:
        """Return a `streaming.Stage`, which does for the next chunk of steps what the layer does for all."""
        if self.alpha.shape[0] != 1:
            raise ValueError(f"{self.name}: shared_axes: a stream has no numbered steps; stream with shared_axes=[1]")
        alpha = self.alpha.numpy()

        def in_place(x: Array) -> Array:
            x *= np.where(x > 0, x.dtype.type(1), alpha)
            return x

        return ActivationStage(in_place, self)
