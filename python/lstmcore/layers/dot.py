"""Products of vectors and matrices, row by row of the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._arguments import ArgumentTypeError, flag, integer
from .._attention import products
from ._broadcasting import shapes_of
from ._several import Several
from .layer import Array

_LEAST = 1e-7  # length that is divided by, as in Keras


class Dot(Several):
    """The sums, along an axis, of the products of two arrays, row by row of the batch.

    >>> import numpy as np
    >>> from lstmcore.layers import Dot
    >>> Dot(axes=1)([np.ones((2, 3)), np.ones((2, 3))]).tolist()
    [[3.0], [3.0]]
    >>> Dot(axes=(2, 2))([np.ones((2, 5, 3)), np.ones((2, 7, 3))]).shape
    (2, 5, 7)

    A mask ends here: `Attention` knows which steps count.

    Parameters
    ----------
    axes : the axis of each that is summed over; one number for both, or a pair. Not 0, the batch.
    normalize : divide by the lengths along that axis first: the cosines of the angles.
    **options : ``name``, ``dtype`` as for every layer.
    """

    supports_masking = False  # sums over steps have none, and products of steps no mask of one axis

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **options: Any) -> None:
        super().__init__(**options)
        if isinstance(axes, (list, tuple)):
            if len(axes) != 2:
                raise ValueError(f"Dot: axes: expected one or two, got {axes!r}")
            self.axes = [integer("Dot: axes", axis) for axis in axes]
        elif isinstance(axes, (int, np.integer)) and not isinstance(axes, bool):
            self.axes = [int(axes)] * 2
        else:
            raise ArgumentTypeError(f"Dot: axes: expected an integer or a pair of them, got {axes!r}")
        self.normalize = flag("Dot: normalize", normalize)

    def _axes(self, shapes: list[Any]) -> list[int]:
        found = []
        for axis, shape in zip(self.axes, shapes, strict=True):
            place = axis + len(shape) if axis < 0 else axis
            if not 0 < place < len(shape):
                raise ValueError(
                    f"{self.name}: axes: expected an axis behind the batch, got {axis} for inputs of shape {shape}"
                )
            found.append(place)
        sizes = [shape[place] for shape, place in zip(shapes, found, strict=True)]
        batches = {shape[0] for shape in shapes} - {None}
        if (None not in sizes and sizes[0] != sizes[1]) or len(batches) > 1:
            raise ValueError(
                f"{self.name}: inputs: expected one size along the axes {found[0]} and {found[1]}, got shapes "
                f"{shapes[0]} and {shapes[1]}"
            )
        return found

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the first without its axis and of the second without its axis and the batch."""
        first, second = shapes = shapes_of(self.name, input_shape, 2, 2)
        a, b = self._axes(shapes)
        shape = (*first[:a], *first[a + 1 :], *second[1:b], *second[b + 1 :])
        return shape if len(shape) > 1 else (*shape, 1)

    def forward(self, inputs: Any, training: bool = False) -> Array:
        """Return the products."""
        given = list(inputs.values() if isinstance(inputs, dict) else inputs)
        shapes = shapes_of(self.name, [array.shape for array in given], 2, 2)
        places, rows, lengths = self._axes(shapes), [], []
        for array, place in zip(given, places, strict=True):
            moved = np.moveaxis(np.asarray(array, self.dtype), place, -1)
            flat = moved.reshape(len(moved), -1, moved.shape[-1]) if moved.size else moved.reshape(_flat(moved.shape))
            length = None
            if self.normalize:
                length = np.maximum(np.sqrt((flat * flat).sum(-1, keepdims=True)), flat.dtype.type(_LEAST))
                flat = flat / length
            rows.append(flat)
            lengths.append(length)
        outputs = products(rows[0], rows[1].swapaxes(-1, -2))
        if training:
            self._cache = (shapes, places, rows, lengths)
        return outputs.reshape(self.compute_output_shape(shapes))

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Any:
        """Return the gradients of both."""
        shapes, places, rows, lengths = self.kept()
        if not need_d_inputs:
            return None
        d = d_outputs.reshape(len(d_outputs), rows[0].shape[1], rows[1].shape[1])
        found = []
        for k, of_other in enumerate((products(d, rows[1]), products(d.swapaxes(-1, -2), rows[0]))):
            gradient = of_other
            if lengths[k] is not None:  # of x / |x|
                along = (gradient * rows[k]).sum(-1, keepdims=True)
                gradient = (
                    np.where(lengths[k] > gradient.dtype.type(_LEAST), gradient - rows[k] * along, gradient)
                    / lengths[k]
                )
            shape = list(shapes[k])
            shape.append(shape.pop(places[k]))
            found.append(np.moveaxis(gradient.reshape(shape), -1, places[k]))
        return found


def _flat(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], int(np.prod(shape[1:-1], dtype=int)), shape[-1])


def dot(inputs: Any, axes: int | Sequence[int] = -1, **options: Any) -> Any:
    """Return the products of two arrays or symbols, row by row of the batch: `Dot` in one call.

    >>> import numpy as np
    >>> from lstmcore import layers
    >>> layers.dot([np.ones((2, 3)), np.ones((2, 3))], axes=1).tolist()
    [[3.0], [3.0]]

    Parameters
    ----------
    inputs : a list, tuple or dict of two arrays, or of symbols.
    axes, **options : those of `Dot`.
    """
    return Dot(axes=axes, **options)(inputs)
