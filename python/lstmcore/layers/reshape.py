"""Another shape."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

from .layer import Array, Layer, Shape


class Reshape(Layer):
    """Gives each sample another shape. A mask ends here.

    >>> import numpy as np
    >>> from lstmcore.layers import Reshape
    >>> Reshape((-1, 2))(np.zeros((3, 6), "float32")).shape
    (3, 3, 2)

    Parameters
    ----------
    target_shape : the shape of a sample, without the batch; one size may be -1, whatever is left.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    supports_masking = False
    keeps_dtype = True

    def __init__(self, target_shape: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        try:
            self.target_shape = tuple(map(operator.index, target_shape))
        except TypeError:
            raise TypeError(f"Reshape: target_shape: expected a list of integers, got {target_shape!r}") from None
        if self.target_shape.count(-1) > 1 or any(n < -1 or n == 0 for n in self.target_shape):
            raise ValueError(
                f"Reshape: target_shape: expected positive integers and at most one -1, got {target_shape!r}"
            )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the batch and the target shape, with None for a size that is not known yet."""
        if not input_shape:
            raise ValueError(f"{self.name}: inputs: expected shape (batch, ...), got {input_shape}")
        sizes, target = input_shape[1:], self.target_shape
        if None in sizes:
            return (input_shape[0], *(None if n == -1 else n for n in target))
        numbers = math.prod(n for n in sizes if n is not None)
        given = math.prod(n for n in target if n != -1)
        if numbers % given if -1 in target else numbers != given:
            raise ValueError(f"{self.name}: inputs: expected what fits target_shape {target}, got shape {input_shape}")
        return (input_shape[0], *(numbers // given if n == -1 else n for n in target))

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the inputs in the other shape."""
        if training:
            self._cache = inputs.shape
        return inputs.reshape(self.compute_output_shape(inputs.shape))  # type: ignore[arg-type]

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return the gradient in the shape of the inputs."""
        return d_outputs.reshape(self.kept())
