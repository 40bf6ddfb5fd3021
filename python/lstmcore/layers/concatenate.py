"""Arrays side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import _masks
from .._arguments import integer
from .._tree import leaves
from ._broadcasting import refuse_others, shapes_of
from .layer import Array, Layer


class Concatenate(Layer):
    """Puts a list of arrays side by side; the first layer of a model with several inputs.

    >>> import numpy as np
    >>> from lstmcore.layers import Concatenate
    >>> Concatenate()([np.ones((1, 2)), np.zeros((1, 3))]).shape
    (1, 5)

    In a graph they are of floating-point numbers of one dtype, or of integers, as tokens are.

    Masks stand side by side as their inputs do, and where an input has none, all its steps count. Along an axis that
    the masks have not, as the last, a step counts where it does in any of them.

    Parameters
    ----------
    axis : along which they may differ in size.
    **options : ``name``, ``dtype`` as for every layer.
    """

    takes_several = True

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = integer("Concatenate: axis", axis)

    def shape_of_call(self, inputs: Any, options: Mapping[str, Any]) -> Any:
        """Return the shape of what a call on symbols returns; refuse those of different kinds."""
        shape = super().shape_of_call(inputs, options)
        kinds = {symbol.dtype.kind for symbol in leaves(inputs)}
        if not (kinds <= {"i", "u"} or kinds == {"b"}):
            refuse_others(self.name, self.dtype, inputs)
        return shape

    def dtype_of_call(self, inputs: Any) -> np.dtype[Any]:
        """Return the dtype of what a call on symbols returns: that of the inputs."""
        return np.result_type(*(symbol.dtype for symbol in leaves(inputs)))

    @property
    def steps_apart(self) -> bool:  # type: ignore[override]
        """Whether features are put side by side."""
        return self.axis in (-1, 2)

    def forward(self, inputs: Any, training: bool = False) -> Array:
        """Return them in one array."""
        arrays = list(leaves(inputs))
        self.compute_output_shape([array.shape for array in arrays])
        if training:
            self._cache = np.cumsum([array.shape[self.axis] for array in arrays[:-1]])
        return np.concatenate(arrays, axis=self.axis)

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Any:
        """Return the gradient of each of them."""
        ends = self.kept()
        return np.split(d_outputs, ends, axis=self.axis) if need_d_inputs else None

    def compute_mask(self, inputs: Any, mask: Any = None) -> Array | None:
        """Return the mask of all together, from one for each input, or None."""
        masks, arrays = _masks.parts(mask), list(leaves(inputs))
        if all(m is None for m in masks):
            return None
        axis = self.axis % arrays[0].ndim
        axes = max(m.ndim for m in masks if m is not None)
        whole = [
            np.ones(x.shape[:axes], bool)
            if m is None
            else np.broadcast_to(m.reshape(m.shape + (1,) * (axes - m.ndim)), x.shape[:axes])
            for x, m in zip(arrays, masks, strict=True)
        ]
        return np.concatenate(whole, axis) if axis < axes else np.asarray(np.logical_or.reduce(whole))

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
