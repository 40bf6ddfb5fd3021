"""Pooling over all steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _masks
from .._arguments import channels_last, flag
from .layer import Array, Layer, Shape


class _GlobalPooling1D(Layer):
    """Sequences to single vectors."""

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **options: Any) -> None:
        super().__init__(**options)
        channels_last(f"{type(self).__name__}: data_format", data_format)
        self.keepdims = flag(f"{type(self).__name__}: keepdims", keepdims)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, features), or (batch, 1, features)."""
        if len(input_shape) != 3 or input_shape[1] == 0:
            raise ValueError(
                f"{self.name}: inputs: expected shape (batch, at least 1 step, features), got {input_shape}"
            )
        batch, _, features = input_shape
        return (batch, 1, features) if self.keepdims else (batch, features)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Array | None:
        """Return None: there are no steps any more."""
        return None


class GlobalMaxPooling1D(_GlobalPooling1D):
    """The largest value of every feature of all steps.

    >>> import numpy as np
    >>> from lstmcore.layers import GlobalMaxPooling1D
    >>> GlobalMaxPooling1D()(np.array([[[1, 6], [5, 2]]], "float32"))
    array([[5., 6.]], dtype=float32)

    A mask has no effect and ends, with a warning, as in Keras. Equal values share the gradient.

    Parameters
    ----------
    data_format : "channels_last".
    keepdims : whether the outputs have a single step, or none.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    supports_masking = False
    _cache: tuple[Array, Array] | None = None

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the largest values, (batch, features), or (batch, 1, features)."""
        shape = self.compute_output_shape(inputs.shape)
        largest = np.maximum.reduce(inputs, 1, keepdims=True)
        if training:
            self._cache = inputs, largest
        return np.asarray(largest.reshape(shape))  # type: ignore[arg-type]

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return the gradient of the inputs, if needed."""
        inputs, largest = self.kept()
        if not need_d_inputs:
            return None
        chosen = inputs == largest
        shares = d_outputs.reshape(largest.shape) / np.maximum(chosen.sum(1, keepdims=True), 1)
        return np.asarray(chosen * shares.astype(d_outputs.dtype))


class GlobalAveragePooling1D(_GlobalPooling1D):
    """The mean of every feature over all steps.

    >>> import numpy as np
    >>> from lstmcore.layers import GlobalAveragePooling1D
    >>> GlobalAveragePooling1D()(np.array([[[1, 6], [5, 2]]], "float32"))
    array([[3., 4.]], dtype=float32)

    With a mask (batch, steps), which may be the second argument of a call, the mean is that of the valid steps, and
    zero where there are none.

    Parameters
    ----------
    data_format : "channels_last".
    keepdims : whether the outputs have a single step, or none.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    _second = "mask"

    def forward(self, inputs: Array, training: bool = False, mask: Array | None = None) -> Array:
        """Return the means, (batch, features), or (batch, 1, features)."""
        shape = self.compute_output_shape(inputs.shape)
        if mask is None:
            means = np.add.reduce(inputs, 1) / inputs.shape[1]
        else:
            mask = _masks.fit(self.name, mask, inputs.shape[:2], 2)
            # What stands in padding has no effect, be it NaN.
            means = np.add.reduce(inputs, 1, where=mask[..., None]) / self._counts(mask)[:, 0]
        if training:
            self._cache = inputs.shape, mask
        return np.asarray(means.reshape(shape))

    def _counts(self, mask: Array) -> Array:
        """The number of valid steps, (batch, 1, 1), and 1 for none."""
        return np.asarray(np.maximum(mask.sum(1), 1), self.dtype)[:, None, None]

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return the gradient of the inputs, if needed."""
        shape, mask = self.kept()
        if not need_d_inputs:
            return None
        d_means = d_outputs.reshape(shape[0], 1, shape[2])
        if mask is None:
            return np.repeat(d_means / shape[1], shape[1], axis=1)
        return np.asarray(d_means / self._counts(mask) * mask[..., None])
