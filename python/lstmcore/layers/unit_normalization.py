"""Vectors of length one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._arguments import axes_of
from ..activations.softmaxes import checked_axis
from ._normalization import mixes_steps
from .layer import Array, Layer


class UnitNormalization(Layer):
    """Divides by the Euclidean length, over one axis or several.

    >>> import numpy as np
    >>> from lstmcore.layers import UnitNormalization
    >>> UnitNormalization()(np.array([[3.0, 4.0]])).round(2)
    array([[0.6, 0.8]], dtype=float32)

    Parameters
    ----------
    axis : an integer, or a list of them.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    def __init__(self, axis: int | Sequence[int] = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = checked_axis("UnitNormalization", axis)

    def leaks(self, inputs: Any, mask: Any) -> str | None:
        """Return that steps are mixed, if they are."""
        return f"axis={self.axis} mixes steps" if mixes_steps(self.axis, inputs.ndim) else None

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the outputs."""
        axis = axes_of(f"{self.name}: axis", self.axis, inputs)
        length = np.sqrt(np.add.reduce(inputs * inputs, axis=axis, keepdims=True))
        length = np.maximum(length, inputs.dtype.type(1e-12))  # zeros stay zeros, as in Keras
        outputs: Array = inputs / length
        if training:
            self._cache = outputs, length
        return outputs

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return the gradient of the inputs: what of it is at right angles to them."""
        outputs, length = self.kept()
        along = np.add.reduce(d_outputs * outputs, axis=self.axis, keepdims=True)
        return np.asarray((d_outputs - outputs * along) / length)
