"""A vector as a sequence."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._arguments import positive_integer
from .layer import Array, Layer, Shape


class RepeatVector(Layer):
    """Makes a sequence of a vector repeated: between an encoder, which gives one, and a decoder.

    >>> import numpy as np
    >>> from lstmcore.layers import RepeatVector
    >>> RepeatVector(4)(np.zeros((3, 2), "float32")).shape
    (3, 4, 2)

    Parameters
    ----------
    n : how many times.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    supports_masking = False
    keeps_dtype = True

    def __init__(self, n: int, **options: Any) -> None:
        super().__init__(**options)
        self.n = positive_integer("RepeatVector: n", n)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, n, features)."""
        if len(input_shape) != 2:
            raise ValueError(f"{self.name}: inputs: expected shape (batch, features), got {input_shape}")
        return (input_shape[0], self.n, input_shape[1])

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the sequences."""
        self.compute_output_shape(inputs.shape)
        return np.repeat(inputs[:, None], self.n, axis=1)

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return the sum over the steps."""
        return np.asarray(d_outputs.sum(axis=1))
