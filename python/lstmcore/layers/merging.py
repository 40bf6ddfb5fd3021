"""Several arrays as one, number by number: sums, products, means, and what is largest or least."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from .. import _masks
from .._tree import leaves
from ._broadcasting import aligned, common, expanded, reduced, shapes_of, where
from ._several import Several
from .layer import Array


class Merging(Several):
    """Base of the layers that make one array of several, number by number.

    Behind the batch, sizes of 1 are spread out as in NumPy, and axes that an array has too few come behind the batch,
    as in Keras. A step of the result counts where it does in any of the inputs that have steps of their own, and where
    one of these has no mask, every step does; an input that is the same at every step says nothing of steps.
    """

    steps_apart = True
    _least = 1
    _most: ClassVar[int | None] = None

    def forward(self, inputs: Any, training: bool = False) -> Array:
        """Return the inputs, merged."""
        arrays = self._aligned(inputs)
        outputs, kept = self._merge(arrays)
        if training:
            self._cache = ([array.shape for array in leaves(inputs)], kept)
        return outputs

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Any:
        """Return the gradient of each input."""
        shapes, kept = self.kept()
        if not need_d_inputs:
            return None
        parts = self._split(d_outputs, kept, len(shapes))
        return [reduced(d, shape) for d, shape in zip(parts, shapes, strict=True)]

    def _aligned(self, inputs: Any) -> list[Array]:
        """Return the inputs with equal numbers of axes, after a check of their shapes."""
        arrays = list(leaves(inputs))
        axes = len(self.compute_output_shape([array.shape for array in arrays]))
        return [aligned(array, axes) for array in arrays]

    def _aligned_masks(self, inputs: Any, mask: Any) -> list[Array | None]:
        """Return the masks with the axes of the aligned inputs."""
        arrays = list(leaves(inputs))
        axes = max(array.ndim for array in arrays)
        masks = [None] * len(arrays) if mask is None else _masks.parts(mask)
        return [None if m is None else aligned(expanded(m, x.ndim), axes) for m, x in zip(masks, arrays, strict=True)]

    def _merge(self, arrays: list[Array]) -> tuple[Array, Any]:
        """Return what arrays with equal numbers of axes make, in an array of its own, and what `_split` needs."""
        raise NotImplementedError

    def _split(self, d_outputs: Array, kept: Any, count: int) -> Sequence[Array]:
        """Return the gradients of the arrays, each as large as the outputs."""
        raise NotImplementedError

    def compute_mask(self, inputs: Any, mask: Any = None) -> Array | None:
        """Return where any of the masks, one for each input with steps, is True; None if one of them is."""
        if mask is None:
            return None
        arrays = list(leaves(inputs))
        shape: Any = self.compute_output_shape([array.shape for array in arrays])
        masks = [
            m
            for m, array in zip(_masks.parts(mask), arrays, strict=True)
            if array.ndim == len(shape) and array.shape[1:2] == shape[1:2]
        ]
        if any(m is None for m in masks):
            return None
        axes = max(m.ndim for m in masks)
        together = functools.reduce(np.logical_or, (expanded(m, axes) for m in masks))
        return np.broadcast_to(together, shape[:axes])

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape that all have together."""
        return common(self.name, shapes_of(self.name, input_shape, self._least, self._most))


class Factors(Merging):
    """Base of products and quotients.

    A step that an input's mask leaves out is no factor: it counts as 1. Where the mask of the outputs leaves one out,
    it is 0.
    """

    def forward(self, inputs: Any, training: bool = False, mask: Any = None) -> Array:
        """Return what the factors make."""
        arrays, masks = self._aligned(inputs), self._aligned_masks(inputs, mask)
        factors = [where(m, x, 1) for m, x in zip(masks, arrays, strict=True)]
        outputs, kept = self._merge(factors)
        left = self.compute_mask(inputs, mask)
        if left is not None:
            left = expanded(left, outputs.ndim)
            outputs = where(left, outputs, 0)
        if training:
            self._cache = ([x.shape for x in leaves(inputs)], (kept, masks, left))
        return outputs

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Any:
        """Return the gradient of each input."""
        shapes, (kept, masks, left) = self.kept()
        if not need_d_inputs:
            return None
        parts = self._split(where(left, d_outputs, 0), kept, len(shapes))
        return [reduced(where(m, d, 0), shape) for m, d, shape in zip(masks, parts, shapes, strict=True)]


def _all(function: Any, arrays: list[Array]) -> Array:
    """Return a function of two arrays of the first and the second, of that and the third, …; in an array of its own."""
    outputs = arrays[0].copy() if len(arrays) == 1 else arrays[0]
    for other in arrays[1:]:
        outputs = function(outputs, other)
    return outputs


class Add(Merging):
    """The sum of a list of arrays.

    >>> import numpy as np
    >>> from lstmcore.layers import Add
    >>> Add()([np.ones((1, 2)), np.ones((1, 2))]).tolist()
    [[2.0, 2.0]]

    Behind the batch, sizes of 1 are spread out as in NumPy. A step of the sum counts where it does in any of them.
    """

    def _merge(self, arrays: list[Array]) -> tuple[Array, Any]:
        return _all(np.add, arrays), None

    def _split(self, d_outputs: Array, kept: Any, count: int) -> Sequence[Array]:
        return [d_outputs] * count


class Subtract(Merging):
    """The difference of two arrays.

    >>> import numpy as np
    >>> from lstmcore.layers import Subtract
    >>> Subtract()([np.ones((1, 2)), np.full((1, 2), 3.0)]).tolist()
    [[-2.0, -2.0]]

    Behind the batch, sizes of 1 are spread out as in NumPy.
    """

    _least = _most = 2

    def _merge(self, arrays: list[Array]) -> tuple[Array, Any]:
        return arrays[0] - arrays[1], None

    def _split(self, d_outputs: Array, kept: Any, count: int) -> Sequence[Array]:
        return [d_outputs, -d_outputs]


class Multiply(Factors):
    """The product of a list of arrays, number by number.

    >>> import numpy as np
    >>> from lstmcore.layers import Multiply
    >>> Multiply()([np.full((1, 2), 2.0), np.full((1, 2), 3.0)]).tolist()
    [[6.0, 6.0]]

    Behind the batch, sizes of 1 are spread out as in NumPy. A step that an input's mask leaves out is no factor: it
    counts as 1; where the mask of the product leaves one out, it is 0.
    """

    def _merge(self, arrays: list[Array]) -> tuple[Array, Any]:
        return _all(np.multiply, arrays), arrays

    def _split(self, d_outputs: Array, kept: Any, count: int) -> Sequence[Array]:
        parts = []
        for k in range(count):  # not divided by: there may be zeros
            part = d_outputs
            for other in (*kept[:k], *kept[k + 1 :]):
                part = part * other
            parts.append(part)
        return parts


class Average(Merging):
    """The mean of a list of arrays, number by number.

    >>> import numpy as np
    >>> from lstmcore.layers import Average
    >>> Average()([np.full((1, 2), 2.0), np.full((1, 2), 3.0)]).tolist()
    [[2.5, 2.5]]

    Behind the batch, sizes of 1 are spread out as in NumPy.
    """

    def _merge(self, arrays: list[Array]) -> tuple[Array, Any]:
        outputs = _all(np.add, arrays)
        outputs /= len(arrays)
        return outputs, None

    def _split(self, d_outputs: Array, kept: Any, count: int) -> Sequence[Array]:
        return [d_outputs / count] * count


class _Extreme(Merging):
    """What is largest or least of a list of arrays; where several are, each has its share of the gradient.

    A step that an input's mask leaves out is not looked at where another's counts.
    """

    _chooses: ClassVar[Any]

    def forward(self, inputs: Any, training: bool = False, mask: Any = None) -> Array:
        """Return what is chosen."""
        outputs, *others = self._aligned(inputs)
        counts, *masks = self._aligned_masks(inputs, mask)
        steps = []
        for other, its in zip(others, masks, strict=True):
            before, outputs = outputs, self._chooses(outputs, other)
            if training:
                # Each of two that are equal has half, as in PyTorch.
                half = (before == other) * 0.5
                first, second = (before == outputs) - half, (other == outputs) - half
            if counts is not None:
                outputs = np.where(counts, outputs, other)
                if training:
                    first, second = np.where(counts, first, 0), np.where(counts, second, 1)
            if its is not None:  # where neither counts, the first is as good as any
                outputs = np.where(its, outputs, before)
                if training:
                    first, second = np.where(its, first, 1), np.where(its, second, 0)
            if training:
                steps.append((first, second))
            counts = None if counts is None or its is None else counts | its
        if training:
            self._cache = ([x.shape for x in leaves(inputs)], steps)
        return outputs if others else outputs.copy()

    def _split(self, d_outputs: Array, kept: Any, count: int) -> Sequence[Array]:
        parts, d = [], d_outputs
        for first, second in reversed(kept):
            parts.append((d * second).astype(d.dtype, copy=False))
            d = (d * first).astype(d.dtype, copy=False)
        return [d, *reversed(parts)]


class Maximum(_Extreme):
    """The largest of a list of arrays, number by number.

    >>> import numpy as np
    >>> from lstmcore.layers import Maximum
    >>> Maximum()([np.array([[1.0, 5.0]]), np.array([[3.0, 4.0]])]).tolist()
    [[3.0, 5.0]]

    Behind the batch, sizes of 1 are spread out as in NumPy. A step that an input's mask leaves out is not looked
    at where another's counts. Each of two that are equal has half of the gradient.
    """

    _chooses = np.maximum


class Minimum(_Extreme):
    """The least of a list of arrays, number by number.

    >>> import numpy as np
    >>> from lstmcore.layers import Minimum
    >>> Minimum()([np.array([[1.0, 5.0]]), np.array([[3.0, 4.0]])]).tolist()
    [[1.0, 4.0]]

    Behind the batch, sizes of 1 are spread out as in NumPy. A step that an input's mask leaves out is not looked
    at where another's counts. Each of two that are equal has half of the gradient.
    """

    _chooses = np.minimum


def add(inputs: Any, **options: Any) -> Any:
    """Return the sum of a list of arrays or symbols: `Add` in one call.

    >>> import numpy as np
    >>> from lstmcore import layers
    >>> layers.add([np.ones((1, 2)), np.ones((1, 2))]).tolist()
    [[2.0, 2.0]]

    Parameters
    ----------
    inputs : a list, tuple or dict of arrays, or of symbols.
    **options : those of `Add`.
    """
    return Add(**options)(inputs)


def subtract(inputs: Any, **options: Any) -> Any:
    """Return the difference of two arrays or symbols: `Subtract` in one call.

    >>> import numpy as np
    >>> from lstmcore import layers
    >>> layers.subtract([np.ones((1, 2)), np.ones((1, 2))]).tolist()
    [[0.0, 0.0]]

    Parameters
    ----------
    inputs : a list, tuple or dict of two arrays, or of symbols.
    **options : those of `Subtract`.
    """
    return Subtract(**options)(inputs)


def multiply(inputs: Any, **options: Any) -> Any:
    """Return the product of a list of arrays or symbols: `Multiply` in one call.

    >>> import numpy as np
    >>> from lstmcore import layers
    >>> layers.multiply([np.full((1, 2), 2.0), np.full((1, 2), 3.0)]).tolist()
    [[6.0, 6.0]]

    Parameters
    ----------
    inputs : a list, tuple or dict of arrays, or of symbols.
    **options : those of `Multiply`.
    """
    return Multiply(**options)(inputs)


def average(inputs: Any, **options: Any) -> Any:
    """Return the mean of a list of arrays or symbols: `Average` in one call.

    >>> import numpy as np
    >>> from lstmcore import layers
    >>> layers.average([np.full((1, 2), 2.0), np.full((1, 2), 3.0)]).tolist()
    [[2.5, 2.5]]

    Parameters
    ----------
    inputs : a list, tuple or dict of arrays, or of symbols.
    **options : those of `Average`.
    """
    return Average(**options)(inputs)


def maximum(inputs: Any, **options: Any) -> Any:
    """Return the largest of a list of arrays or symbols, number by number: `Maximum` in one call.

    >>> import numpy as np
    >>> from lstmcore import layers
    >>> layers.maximum([np.array([[1.0, 5.0]]), np.array([[3.0, 4.0]])]).tolist()
    [[3.0, 5.0]]

    Parameters
    ----------
    inputs : a list, tuple or dict of arrays, or of symbols.
    **options : those of `Maximum`.
    """
    return Maximum(**options)(inputs)


def minimum(inputs: Any, **options: Any) -> Any:
    """Return the least of a list of arrays or symbols, number by number: `Minimum` in one call.

    >>> import numpy as np
    >>> from lstmcore import layers
    >>> layers.minimum([np.array([[1.0, 5.0]]), np.array([[3.0, 4.0]])]).tolist()
    [[1.0, 4.0]]

    Parameters
    ----------
    inputs : a list, tuple or dict of arrays, or of symbols.
    **options : those of `Minimum`.
    """
    return Minimum(**options)(inputs)
