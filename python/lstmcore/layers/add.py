"""The sum of several arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _masks
from .layer import Array, Layer


class Add(Layer):
    """The sum of a list of arrays of one shape; the first layer of a model with several inputs.

    >>> import numpy as np
    >>> from lstmcore.layers import Add
    >>> Add()([np.ones((1, 2)), np.ones((1, 2))]).tolist()
    [[2.0, 2.0]]

    A step of the sum counts where it does in any of them.
    """

    takes_several = True

    def forward(self, inputs: Any, training: bool = False) -> Array:
        """Return the sum."""
        first, *others = inputs.values() if isinstance(inputs, dict) else inputs
        outputs: Array = first.copy()
        for other in others:
            if other.shape != first.shape:
                raise ValueError(f"{self.name}: inputs: expected one shape, got {first.shape} and {other.shape}")
            outputs += other
        if training:
            self._cache = (len(others) + 1,)
        return outputs

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Any:
        """Return the gradient, once for each input."""
        (count,) = self.kept()
        return [d_outputs] * count if need_d_inputs else None

    def compute_mask(self, inputs: Any, mask: Any = None) -> Array | None:
        """Return where any of the masks, one for each input, is True; None if one of them is."""
        masks = _masks.parts(mask)
        return None if any(m is None for m in masks) else np.logical_or.reduce(masks)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape that all have."""
        return next(iter(input_shape.values() if isinstance(input_shape, dict) else input_shape))
