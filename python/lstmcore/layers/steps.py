"""Steps by their numbers: how many of a row count, and one that is taken out of each."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._arguments import integer
from .._tree import leaves
from ._broadcasting import shapes_of
from .layer import Array, Layer


class _OfSteps(Layer):
    takes_several = True
    takes_integers = True

    def _shapes(self, input_shape: Any) -> tuple[Any, Any]:
        """Return the shapes of the sequences (batch, steps, ...) and of one integer a row."""
        sequences, numbers = shapes_of(self.name, input_shape, 2, 2)
        rows = {sequences[0], numbers[0]} - {None}
        if len(sequences) < 2 or len(numbers) != 1 or len(rows) > 1:
            raise ValueError(
                f"{self.name}: inputs: expected sequences (batch, steps, ...) and integers (batch,), "
                f"got {sequences} and {numbers}"
            )
        return sequences, numbers

    def _given(self, inputs: Any) -> tuple[Array, Array]:
        arrays = list(leaves(inputs))
        self._shapes([array.shape for array in arrays])
        sequences, numbers = arrays
        if numbers.dtype.kind not in "iu":
            raise TypeError(f"{self.name}: inputs[1]: expected integers, got {numbers.dtype}")
        return sequences, numbers.astype(np.int64)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Return None."""


class SequenceMask(_OfSteps):
    """A mask of sequences from their lengths: True for as many steps of each row as it has.

    >>> import numpy as np
    >>> from lstmcore.layers import SequenceMask
    >>> SequenceMask()([np.zeros((2, 3, 1)), np.array([1, 3])]).tolist()
    [[True, False, False], [True, True, True]]

    Inputs are the sequences (batch, steps, ...), of which the number of steps is taken, and integers (batch,).
    """

    def dtype_of_call(self, inputs: Any) -> np.dtype[Any]:
        """Return bool."""
        return np.dtype(bool)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (batch, steps)."""
        return tuple(self._shapes(input_shape)[0][:2])

    def forward(self, inputs: Any, training: bool = False) -> Array:
        """Return the mask."""
        sequences, lengths = self._given(inputs)
        steps = sequences.shape[1]
        if lengths.size and (lengths.min() < 0 or lengths.max() > steps):
            raise ValueError(
                f"{self.name}: inputs[1]: expected lengths from 0 to {steps}, got {lengths.min()} to {lengths.max()}"
            )
        return np.asarray(np.arange(steps) < lengths[:, None])

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> None:
        """Return nothing: a mask has no gradient."""


class TakeStep(_OfSteps):
    """One step of each sequence, whose number is given for each row; such as the last that counts.

    >>> import numpy as np
    >>> from lstmcore.layers import TakeStep
    >>> TakeStep()([np.array([[[1.0], [2.0]], [[3.0], [4.0]]]), np.array([1, 0])]).tolist()
    [[2.0], [3.0]]

    Inputs are sequences (batch, steps, ...) and integers (batch,); negative ones count from the end. A mask ends here.
    """

    def leaks(self, inputs: Any, mask: Any) -> str | None:
        """Return that places are counted from the end of the longest, if they are."""
        return "negative numbers count from the end of the longest" if (self._given(inputs)[1] < 0).any() else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of a step."""
        sequences, _ = self._shapes(input_shape)
        return (sequences[0], *sequences[2:])

    def forward(self, inputs: Any, training: bool = False) -> Array:
        """Return the steps."""
        sequences, places = self._given(inputs)
        steps = sequences.shape[1]
        if places.size and (places.min() < -steps or places.max() >= steps):
            raise ValueError(
                f"{self.name}: inputs[1]: expected steps from {-steps} to {steps - 1}, "
                f"got {places.min()} to {places.max()}"
            )
        if training:
            self._cache = (sequences.shape, places)
        return np.asarray(sequences[np.arange(len(places)), places])

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Any:
        """Return the gradient of the sequences: 0 but at those steps."""
        shape, places = self.kept()
        if not need_d_inputs:
            return None
        d = np.zeros(shape, d_outputs.dtype)
        d[np.arange(len(places)), places] = d_outputs
        return [d, None]


class Size(Layer):
    """The size of an axis, such as the number of steps, as a number for each row of the batch.

    >>> import numpy as np
    >>> from lstmcore.layers import Size
    >>> Size()(np.zeros((2, 5, 3))).tolist()
    [5.0, 5.0]

    Steps that a mask leaves out are counted; a mask ends here.

    Parameters
    ----------
    axis : the axis, not that of the batch.
    **options : ``name``, ``dtype`` as for every layer.
    """

    takes_integers = True

    def __init__(self, axis: int = 1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = integer("Size: axis", axis)

    def leaks(self, inputs: Any, mask: Any) -> str | None:
        """Return that padded steps are counted, if it is steps."""
        return "padded steps would be counted" if self.axis in (1, 1 - inputs.ndim) else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (batch,)."""
        ndim = len(input_shape)
        if not -ndim <= self.axis < ndim or self.axis % ndim == 0:
            raise ValueError(
                f"{self.name}: axis: expected one behind the batch of inputs of shape {tuple(input_shape)}, "
                f"got {self.axis}"
            )
        return (input_shape[0],)

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the size, for each row."""
        if training:
            self._cache = (inputs.shape, inputs.dtype.kind)
        return np.full(self.compute_output_shape(inputs.shape), inputs.shape[self.axis], self.dtype)

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return zeros: the size does not depend on the numbers."""
        shape, kind = self.kept()
        return np.zeros(shape, self.dtype) if need_d_inputs and kind == "f" else None

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Return None."""
