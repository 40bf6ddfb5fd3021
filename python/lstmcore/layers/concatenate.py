"""Arrays side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _masks
from .._arguments import integer
from ._broadcasting import shapes_of
from .layer import Array, Layer


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
        shapes = shapes_of(self.name, input_shape)
        axes = {len(shape) for shape in shapes}
        place = self.axis + len(shapes[0]) if self.axis < 0 else self.axis
        fits = len(axes) == 1 and 0 <= place < len(shapes[0])
        whole: list[int | None] = []
        for k, sizes in enumerate(zip(*shapes, strict=False)):
            known = set(sizes) - {None}
            fits = fits and (k == place or len(known) < 2)
            whole.append(next(iter(known), None))
        if not fits:
            raise ValueError(
                f"{self.name}: inputs: expected shapes that fit along axis {self.axis}, got "
                f"{', '.join(map(str, shapes))}"
            )
        along = [shape[place] for shape in shapes]
        whole[place] = None if None in along else sum(n for n in along if n is not None)
        return tuple(whole)


def concatenate(inputs: Any, axis: int = -1, **options: Any) -> Any:
    """Return a list of arrays or symbols side by side: `Concatenate` in one call.

    >>> import numpy as np
    >>> from lstmcore import layers
    >>> layers.concatenate([np.ones((1, 2)), np.zeros((1, 3))]).shape
    (1, 5)

    Parameters
    ----------
    inputs : a list, tuple or dict of arrays that differ in size along the axis only, or of symbols.
    axis, **options : those of `Concatenate`.
    """
    return Concatenate(axis=axis, **options)(inputs)
