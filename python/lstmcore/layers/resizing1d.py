"""More steps, or fewer: repeated, padded with zeros, cut off."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _masks
from .._arguments import channels_last, check_sequences, positive_integer, two_integers
from .layer import Array, Layer, Shape


class _Resizing1D(Layer):
    """Changes the number of steps (batch, steps, features)."""

    def _steps(self, steps: int) -> int:
        raise NotImplementedError

    def _mask(self, mask: Array) -> Array:
        raise NotImplementedError

    def compute_mask(self, inputs: Any, mask: Any = None) -> Array | None:
        """Return the mask, changed as the steps are."""
        return None if mask is None else self._mask(_masks.fit(self.name, mask, np.shape(inputs)[:2], 2))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape with another number of steps."""
        check_sequences(self.name, input_shape)
        batch, steps, features = input_shape
        return batch, None if steps is None else self._steps(steps), features


class UpSampling1D(_Resizing1D):
    """Every step several times.

    >>> import numpy as np
    >>> from lstmcore.layers import UpSampling1D
    >>> UpSampling1D(2)(np.array([[[1], [5]]], "float32"))[0, :, 0]
    array([1., 1., 5., 5.], dtype=float32)

    Parameters
    ----------
    size : how often each step is repeated.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    def __init__(self, size: int = 2, **options: Any) -> None:
        super().__init__(**options)
        self.size = positive_integer("UpSampling1D: size", size)

    def _steps(self, steps: int) -> int:
        return steps * self.size

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the steps, repeated."""
        self.compute_output_shape(inputs.shape)
        return np.repeat(inputs, self.size, axis=1)

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return the gradient of the inputs: the sums of those of the repeated steps."""
        batch, steps, features = d_outputs.shape
        return np.asarray(d_outputs.reshape(batch, steps // self.size, self.size, features).sum(2))

    def _mask(self, mask: Array) -> Array:
        return np.repeat(mask, self.size, axis=1)


class ZeroPadding1D(_Resizing1D):
    """Steps of zeros before and behind.

    >>> import numpy as np
    >>> from lstmcore.layers import ZeroPadding1D
    >>> ZeroPadding1D((2, 1))(np.array([[[1], [5]]], "float32"))[0, :, 0]
    array([0., 0., 1., 5., 0.], dtype=float32)

    Where there is a mask, the new steps do not count.

    Parameters
    ----------
    padding : number of steps at each end, or (before, behind).
    data_format : "channels_last".
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    def __init__(self, padding: int | tuple[int, int] = 1, data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.padding = two_integers("ZeroPadding1D: padding", padding)
        channels_last("ZeroPadding1D: data_format", data_format)

    def _steps(self, steps: int) -> int:
        return steps + sum(self.padding)

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the padded steps."""
        self.compute_output_shape(inputs.shape)
        return np.pad(inputs, ((0, 0), self.padding, (0, 0)))

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return the gradient of the inputs."""
        return d_outputs[:, self.padding[0] : d_outputs.shape[1] - self.padding[1]]

    def _mask(self, mask: Array) -> Array:
        return np.pad(mask, ((0, 0), self.padding))


class Cropping1D(_Resizing1D):
    """Without the first and the last steps.

    >>> import numpy as np
    >>> from lstmcore.layers import Cropping1D
    >>> Cropping1D((0, 2))(np.array([[[1], [5], [4], [2]]], "float32"))[0, :, 0]
    array([1., 5.], dtype=float32)

    Parameters
    ----------
    cropping : number of steps cut off at each end, or (before, behind).
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    def __init__(self, cropping: int | tuple[int, int] = 1, **options: Any) -> None:
        super().__init__(**options)
        self.cropping = two_integers("Cropping1D: cropping", cropping)

    def _steps(self, steps: int) -> int:
        if steps <= sum(self.cropping):
            raise ValueError(f"{self.name}: inputs: expected more than {sum(self.cropping)} steps, got {steps}")
        return steps - sum(self.cropping)

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the steps that are left."""
        self.compute_output_shape(inputs.shape)
        return inputs[:, self.cropping[0] : inputs.shape[1] - self.cropping[1]]

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return the gradient of the inputs."""
        return np.pad(d_outputs, ((0, 0), self.cropping, (0, 0)))

    def _mask(self, mask: Array) -> Array:
        return mask[:, self.cropping[0] : mask.shape[1] - self.cropping[1]]
