"""Pooling over windows of steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import _masks
from .._arguments import channels_last, check_sequences, one_of, single_integer
from .._signatures import in_order
from ._windows import Windows
from .layer import Array, Layer, Shape


class _Pooling1D(Layer):
    """Windows over steps, one element of them all at a time."""

    @in_order("name")
    def __init__(
        self,
        pool_size: int | tuple[int] = 2,
        strides: int | tuple[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        kind = type(self).__name__
        self.pool_size = single_integer(f"{kind}: pool_size", pool_size)
        self.strides = self.pool_size if strides is None else single_integer(f"{kind}: strides", strides)
        self.padding = one_of(f"{kind}: padding", padding, ("valid", "same"))
        channels_last(f"{kind}: data_format", data_format)
        self._windows = Windows(self.pool_size, self.strides, self.padding)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, windows, features)."""
        check_sequences(self.name, input_shape)
        batch, steps, features = input_shape
        return batch, None if steps is None else self._windows.outputs(self.name, steps), features

    def leaks(self, inputs: Any, mask: Any) -> str | None:
        """Return that windows would lie otherwise in a padded sequence, if they would."""
        return self._windows.leaks(inputs.shape[1], mask)

    def compute_mask(self, inputs: Any, mask: Array | None = None) -> Array | None:
        """Return where a step of the window counts."""
        if mask is None:
            return None
        return self._any(_masks.fit(self.name, mask, np.shape(inputs)[:2], 2))

    def _any(self, mask: Array) -> Array:
        outputs = np.zeros((len(mask), self._windows.outputs(self.name, mask.shape[1])), bool)
        for own, theirs in self._elements(mask.shape[1]):
            outputs[:, own] |= mask[:, theirs]
        return outputs

    def _elements(self, steps: int) -> Iterator[tuple[slice, slice]]:
        """For the first, second, … element of windows, the windows that have it within the sequence, and its steps."""
        count, before, strides = self._windows.outputs(self.name, steps), self._windows.before(steps), self.strides
        for k in range(self.pool_size):
            first = max(0, -(-(before - k) // strides))
            last = min(count, (steps - 1 + before - k) // strides + 1)
            if first < last:
                begin = first * strides + k - before
                yield slice(first, last), slice(begin, begin + (last - first - 1) * strides + 1, strides)

    def _outputs(self, inputs: Array, fill: float) -> Array:
        batch, count, features = self.compute_output_shape(inputs.shape)
        return np.full((batch, count, features), fill, inputs.dtype)  # type: ignore[arg-type]


class MaxPooling1D(_Pooling1D):
    """The largest value of every feature in windows of steps.

    >>> import numpy as np
    >>> from lstmcore.layers import MaxPooling1D
    >>> MaxPooling1D(2)(np.array([[[1], [5], [4], [2], [3]]], "float32"))[0, :, 0]
    array([5., 4.], dtype=float32)

    A window leaves out the steps that a mask does, and an output counts where a step of its window does;
    those that do not are zero. The gradient goes to the first of equal values.

    Parameters
    ----------
    pool_size : steps of a window.
    strides : steps from one window to the next; ``pool_size`` by default.
    padding : "valid" (windows lie within the sequence) or "same" (steps divided by ``strides``, rounded
        up, windows; those at the ends may be shorter).
    data_format : "channels_last".
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.

    Raises
    ------
    ValueError, TypeError
        An argument is not of its kind, or the inputs are shorter than a window.
    """

    def forward(self, inputs: Array, training: bool = False, mask: Array | None = None) -> Array:
        """Return the largest values, (batch, windows, features)."""
        outputs, empty = self._outputs(inputs, -np.inf), None
        if mask is not None:
            mask = _masks.fit(self.name, mask, inputs.shape[:2], 2)
            inputs, empty = np.where(mask[..., None], inputs, inputs.dtype.type(-np.inf)), ~self._any(mask)
        for own, theirs in self._elements(inputs.shape[1]):
            np.maximum(outputs[:, own], inputs[:, theirs], out=outputs[:, own])
        if training:
            self._cache = inputs, outputs, empty
        return outputs if empty is None else np.where(empty[..., None], outputs.dtype.type(0), outputs)

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return the gradient of the inputs, if needed."""
        inputs, outputs, empty = self.kept()
        if not need_d_inputs:
            return None
        d_inputs: Array = np.zeros_like(inputs)
        left = np.array(d_outputs)  # of what no element has got so far
        if empty is not None:
            left[empty] = 0
        for own, theirs in self._elements(inputs.shape[1]):
            part = (inputs[:, theirs] == outputs[:, own]) * left[:, own]
            d_inputs[:, theirs] += part
            left[:, own] -= part
        return d_inputs


class AveragePooling1D(_Pooling1D):
    """The mean of every feature in windows of steps.

    >>> import numpy as np
    >>> from lstmcore.layers import AveragePooling1D
    >>> AveragePooling1D(2, padding="same")(np.array([[[1], [5], [4], [2], [3]]], "float32"))[0, :, 0]
    array([3., 3., 3.], dtype=float32)

    A window that reaches beyond the sequence has the mean of the steps within it. It leaves out the steps
    that a mask does, and an output counts where a step of its window does; those that do not are zero.

    Parameters
    ----------
    pool_size : steps of a window.
    strides : steps from one window to the next; ``pool_size`` by default.
    padding : "valid" (windows lie within the sequence) or "same" (steps divided by ``strides``, rounded
        up, windows; those at the ends may be shorter).
    data_format : "channels_last".
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.

    Raises
    ------
    ValueError, TypeError
        An argument is not of its kind, or the inputs are shorter than a window.
    """

    def forward(self, inputs: Array, training: bool = False, mask: Array | None = None) -> Array:
        """Return the means, (batch, windows, features)."""
        outputs = self._outputs(inputs, 0)
        if mask is not None:
            mask = _masks.fit(self.name, mask, inputs.shape[:2], 2)
            inputs = np.where(mask[..., None], inputs, inputs.dtype.type(0))
        for own, theirs in self._elements(inputs.shape[1]):
            outputs[:, own] += inputs[:, theirs]
        outputs /= self._sizes(inputs.shape, mask)
        if training:
            self._cache = inputs.shape, mask
        return outputs

    def _sizes(self, shape: tuple[int, ...], mask: Array | None) -> Array:
        """The number of steps of every window that count, (batch or 1, windows, 1), and 1 for none."""
        counts = np.ones((1, shape[1]), bool) if mask is None else mask
        sizes = np.zeros((len(counts), self._windows.outputs(self.name, shape[1]), 1), self.dtype)
        for own, theirs in self._elements(shape[1]):
            sizes[:, own, 0] += counts[:, theirs]
        return np.maximum(sizes, 1)

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return the gradient of the inputs, if needed."""
        shape, mask = self.kept()
        if not need_d_inputs:
            return None
        d_inputs = np.zeros(shape, self.dtype)
        shares = d_outputs / self._sizes(shape, mask)
        for own, theirs in self._elements(shape[1]):
            d_inputs[:, theirs] += shares[:, own]
        if mask is not None:
            d_inputs *= mask[..., None]
        return d_inputs
