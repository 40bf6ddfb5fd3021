"""Axes in another order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._arguments import integers
from .layer import Array, Layer, Shape


class Permute(Layer):
    """Puts the axes of each sample in another order. A mask ends here.

    >>> import numpy as np
    >>> from lstmcore.layers import Permute
    >>> Permute((2, 1))(np.zeros((3, 4, 5), "float32")).shape
    (3, 5, 4)

    Parameters
    ----------
    dims : the numbers of the axes, from 1 on, in their new order; the batch is 0 and stays first.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    supports_masking = False
    keeps_dtype = True

    def __init__(self, dims: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        self.dims = integers("Permute: dims", dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(f"Permute: dims: expected the numbers from 1 on in some order, got {dims!r}")

    def _check(self, shape: Shape) -> None:
        if len(shape) != len(self.dims) + 1:
            raise ValueError(f"{self.name}: inputs: expected {len(self.dims) + 1} axes as in dims, got shape {shape}")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape with its sizes in the new order."""
        self._check(input_shape)
        return (input_shape[0], *(input_shape[k] for k in self.dims))

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the inputs with their axes in the new order."""
        self._check(inputs.shape)
        return np.ascontiguousarray(inputs.transpose(0, *self.dims))

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return the gradient with its axes in the old order."""
        return np.ascontiguousarray(d_outputs.transpose(np.argsort((0, *self.dims))))
