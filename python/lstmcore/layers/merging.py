"""Several arrays as one: the first layer of a model with several inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _masks
from .._arguments import integer
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
        if not inputs:
            raise ValueError(f"{self.name}: inputs: expected at least one array, got none")
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


class Concatenate(Layer):
    """Puts a list of arrays side by side; the first layer of a model with several inputs.

    >>> import numpy as np
    >>> from lstmcore.layers import Concatenate
    >>> Concatenate()([np.ones((1, 2)), np.zeros((1, 3))]).shape
    (1, 5)

    Masks stand side by side as their inputs do, and where an input has none, all its steps count. Along the last axis,
    a step counts where it does in any of them.

    Parameters
    ----------
    axis : along which they may differ in size.
    **options : ``name``, ``dtype`` as for every layer.
    """

    takes_several = True

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = integer("Concatenate: axis", axis)

    def forward(self, inputs: Any, training: bool = False) -> Array:
        """Return them in one array."""
        arrays = list(inputs.values() if isinstance(inputs, dict) else inputs)
        try:
            outputs = np.concatenate(arrays, axis=self.axis)
        except ValueError:
            shapes = ", ".join(str(a.shape) for a in arrays)
            raise ValueError(
                f"{self.name}: inputs: expected shapes that fit along axis {self.axis}, got {shapes}"
            ) from None
        if training:
            self._cache = np.cumsum([a.shape[self.axis] for a in arrays[:-1]])
        return outputs

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Any:
        """Return the gradient of each of them."""
        ends = self.kept()
        return np.split(d_outputs, ends, axis=self.axis) if need_d_inputs else None

    def compute_mask(self, inputs: Any, mask: Any = None) -> Array | None:
        """Return the mask of all together, from one for each input, or None."""
        masks = _masks.parts(mask)
        if all(m is None for m in masks):
            return None
        whole = [
            np.ones(x.shape, bool)
            if m is None
            else np.broadcast_to(m.reshape(m.shape + (1,) * (x.ndim - m.ndim)), x.shape)
            for x, m in zip(_masks.parts(inputs), masks, strict=True)
        ]
        return np.asarray(np.concatenate(whole, self.axis).any(axis=-1))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of all together."""
        shapes = list(input_shape.values() if isinstance(input_shape, dict) else input_shape)
        sizes = [shape[self.axis] for shape in shapes]
        whole = list(shapes[0])
        whole[self.axis] = None if None in sizes else sum(sizes)
        return tuple(whole)


def add(inputs: Any, **options: Any) -> Array:
    """Return the sum of a list of arrays: `Add` in one call.

    >>> import numpy as np
    >>> from lstmcore import layers
    >>> layers.add([np.ones((1, 2)), np.ones((1, 2))]).tolist()
    [[2.0, 2.0]]

    Parameters
    ----------
    inputs : a list, tuple or dict of arrays of one shape.
    **options : those of `Add`.
    """
    outputs: Array = Add(**options)(inputs)
    return outputs


def concatenate(inputs: Any, axis: int = -1, **options: Any) -> Array:
    """Return a list of arrays side by side: `Concatenate` in one call.

    >>> import numpy as np
    >>> from lstmcore import layers
    >>> layers.concatenate([np.ones((1, 2)), np.zeros((1, 3))]).shape
    (1, 5)

    Parameters
    ----------
    inputs : a list, tuple or dict of arrays that differ in size along the axis only.
    axis, **options : those of `Concatenate`.
    """
    outputs: Array = Concatenate(axis=axis, **options)(inputs)
    return outputs
