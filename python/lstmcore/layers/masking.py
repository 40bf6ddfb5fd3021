"""Padding told by its value."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _masks
from .._arguments import number
from ..graph.symbol import Symbol
from .layer import Array, Layer
from .operators import NotEqual, mask_of


class Masking(Layer):
    """Masks the steps whose features all have one value: the layers after this one skip them.

    >>> import numpy as np
    >>> from lstmcore import Sequential, layers
    >>> model = Sequential([layers.Masking(0.0), layers.LSTM(4)])
    >>> padded = np.zeros((1, 5, 2), "float32")
    >>> padded[:, :3] = 1
    >>> bool((model(padded) == model(padded[:, :3])).all())
    True

    Parameters
    ----------
    mask_value : the value of padding. (NaN never equals itself: use another.)
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    def __init__(self, mask_value: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.mask_value = number("Masking: mask_value", mask_value, "[-inf, inf]")

    def _mask(self, inputs: Array) -> Array:
        return np.asarray((inputs != self.mask_value).any(axis=-1))

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the inputs, zero where they are masked."""
        if inputs.ndim < (2 if _masks.within_rows() else 3):
            raise ValueError(f"{self.name}: inputs: expected shape (batch, steps, features), got {inputs.shape}")
        mask = self._mask(inputs)
        if training:
            self._cache = mask
        return np.where(mask[..., None], inputs, inputs.dtype.type(0))

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return the gradient of the inputs, zero where they are masked."""
        mask = self.kept()
        return np.where(mask[..., None], d_outputs, d_outputs.dtype.type(0))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return where a step has other values and, if there is a mask already, counts."""
        if isinstance(inputs, Symbol):
            return mask_of(self.name, NotEqual(self.mask_value, any_feature=True), inputs, mask)
        own = self._mask(inputs)
        return own if mask is None else own & mask.reshape(mask.shape + (1,) * (own.ndim - mask.ndim))
