"""A weight as an input of other layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import constraints, initializers, regularizers
from .._arguments import integers
from .layer import Array, Layer, Shape


class Parameter(Layer):
    """A learned array that is the same for every row of the batch, such as a state that a recurrent layer begins with.

    >>> import numpy as np
    >>> from lstmcore.layers import Parameter
    >>> Parameter([2], initializer="ones")(np.zeros((3, 5))).tolist()
    [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]

    Of the inputs it takes the number of rows. A mask ends here.

    Weights: ``value``, of the shape.

    Parameters
    ----------
    shape : of the array, without the batch.
    initializer, regularizer, constraint : names or objects.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    takes_integers = True

    def __init__(
        self,
        shape: Sequence[int],
        initializer: str | Callable[..., Array] = "zeros",
        regularizer: Any = None,
        constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.shape = list(integers("Parameter: shape", shape))
        if min(self.shape, default=1) < 1:
            raise ValueError(f"Parameter: shape: expected positive integers, got {shape}")
        self.initializer = initializers.get(initializer)
        self.regularizer = regularizers.get(regularizer)
        self.constraint = constraints.get(constraint)

    def build(self, input_shape: Shape) -> None:
        """Create the array."""
        self.value = self.add_weight(
            "value",
            self.shape,
            self.initializer,
            offered="shape",
            regularizer=self.regularizer,
            constraint=self.constraint,
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, *shape)."""
        return (input_shape[0], *self.shape)

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the array for each row."""
        if training:
            self._cache = (inputs.shape, inputs.dtype.kind)
        return np.repeat(self.value.value[None], len(inputs), axis=0)

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Add the gradient of the array; the inputs have none but zeros."""
        shape, kind = self.kept()
        self.value.gradient += d_outputs.sum(axis=0)
        return np.zeros(shape, self.dtype) if need_d_inputs and kind == "f" else None

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Return None."""
