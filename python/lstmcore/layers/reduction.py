"""What numbers along axes have together, and where the largest of them stands."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .._arguments import among, flag, integer
from ._naming import automatic_name
from .layer import Array, Layer, Shape

# Each takes inputs whose last axis is the one to reduce, which stays with size 1.
_FORWARD: dict[str, Callable[[Array], Any]] = {
    "sum": lambda x: x.sum(-1, keepdims=True),
    "mean": lambda x: x.mean(-1, keepdims=True),
    "max": lambda x: x.max(-1, keepdims=True),
    "min": lambda x: x.min(-1, keepdims=True),
    "prod": lambda x: x.prod(-1, keepdims=True),
    "l1": lambda x: np.abs(x).sum(-1, keepdims=True),
    "l2": lambda x: np.sqrt(np.square(x).sum(-1, keepdims=True)),
    "log_sum": lambda x: np.log(x.sum(-1, keepdims=True)),
    "log_sum_exp": lambda x: _log_sum_exp(x),
    "sum_square": lambda x: np.square(x).sum(-1, keepdims=True),
}
_SLOPES: dict[str, Callable[[Array, Array], Any]] = {
    "sum": lambda x, y: np.ones_like(x),
    "mean": lambda x, y: np.full_like(x, 1 / x.shape[-1]),
    "max": lambda x, y: _shares(x, y),
    "min": lambda x, y: _shares(x, y),
    "prod": lambda x, y: _products_of_others(x),
    "l1": lambda x, y: np.sign(x),
    "l2": lambda x, y: np.divide(x, y, out=np.zeros_like(x), where=y != 0),
    "log_sum": lambda x, y: np.broadcast_to(1 / x.sum(-1, keepdims=True), x.shape),
    "log_sum_exp": lambda x, y: np.exp(x - y),
    "sum_square": lambda x, y: 2 * x,
}


def _log_sum_exp(x: Array) -> Array:
    largest = x.max(-1, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0)
    return np.asarray(largest + np.log(np.exp(x - largest).sum(-1, keepdims=True)))


def _shares(x: Array, y: Array) -> Array:
    chosen = (x == y).astype(x.dtype)
    return np.asarray(chosen / np.maximum(chosen.sum(-1, keepdims=True), 1))


def _products_of_others(x: Array) -> Array:
    """Return for each number the product of all others, of which some may be 0."""
    ones = np.ones_like(x[..., :1])
    before = np.cumprod(np.concatenate([ones, x[..., :-1]], -1), -1)
    behind = np.cumprod(np.concatenate([ones, x[..., :0:-1]], -1), -1)[..., ::-1]
    return np.asarray(before * behind)


class _AlongAxes(Layer):
    """A layer of numbers along axes behind the batch; a mask ends here."""

    supports_masking = False

    def _axes(self, axis: Any) -> list[int]:
        given = list(axis) if isinstance(axis, (list, tuple)) else [axis]
        axes = [integer(f"{self.name}: axis", k) for k in given]
        if not axes or len(set(axes)) < len(axes) or 0 in axes:
            raise ValueError(f"{self.name}: axis: expected one or several axes behind the batch, got {axis}")
        return axes

    def _counted(self, axes: list[int], shape: Shape) -> list[int]:
        """Return axes from 0 on in inputs of a shape."""
        ndim = len(shape)
        found = [k % ndim for k in axes if -ndim <= k < ndim]
        if len(found) < len(axes) or 0 in found or len(set(found)) < len(found):
            raise ValueError(
                f"{self.name}: axis: expected axes behind the batch of inputs of shape {shape}, got {axes}"
            )
        if any(shape[k] == 0 for k in found):
            raise ValueError(f"{self.name}: inputs: expected numbers along axes {axes}, got shape {shape}")
        return found

    def _without(self, axes: list[int], shape: Shape, keepdims: bool) -> Shape:
        gone = self._counted(axes, shape)
        kept = [1 if k in gone else n for k, n in enumerate(shape)]
        return tuple(n for k, n in enumerate(kept) if keepdims or k not in gone)


class Reduction(_AlongAxes):
    """The sum, or what else is said, of the numbers along one or several axes.

    >>> import numpy as np
    >>> from lstmcore.layers import Reduction
    >>> Reduction("sum", -1)(np.array([[1.0, 2.0, 4.0]])).tolist()
    [7.0]

    Of equal numbers that are the largest, each has the same share of the gradient. A mask ends here and has no effect,
    with a warning; `GlobalAveragePooling1D` has means of steps that count.

    Parameters
    ----------
    operation : "sum", "mean", "max", "min", "prod", "l1" (of what is without signs), "l2" (root of the sum of squares),
        "log_sum", "log_sum_exp" or "sum_square", which are the ``Reduce`` operators of ONNX.
    axis : the axis or axes, not that of the batch.
    keepdims : whether they stay with size 1.
    **options : ``name``, ``dtype`` as for every layer.
    """

    def __init__(self, operation: str, axis: int | list[int] = -1, keepdims: bool = False, **options: Any) -> None:
        if not among(operation, _FORWARD):
            raise ValueError(f"Reduction: operation: expected one of {', '.join(_FORWARD)}, got {operation!r}")
        super().__init__(**{"name": automatic_name(operation)} | options)
        self.operation, self.axis = operation, self._axes(axis)
        self.keepdims = flag(f"{self.name}: keepdims", keepdims)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape without the axes, or with size 1 along them."""
        return self._without(self.axis, tuple(input_shape), self.keepdims)

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the results."""
        shape = self.compute_output_shape(inputs.shape)
        gone = self._counted(self.axis, inputs.shape)
        last = _to_the_end(inputs, gone)
        outputs = np.asarray(_FORWARD[self.operation](last), inputs.dtype)
        if training:
            self._cache = (inputs.shape, gone, last, outputs)
        return outputs.reshape(shape)  # type: ignore[arg-type]

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return the gradient of the inputs, if needed."""
        shape, gone, last, outputs = self.kept()
        if not need_d_inputs:
            return None
        d = d_outputs.reshape(outputs.shape) * _SLOPES[self.operation](last, outputs)
        return _from_the_end(np.asarray(d, d_outputs.dtype), gone, shape)


class ArgMax(_AlongAxes):
    """Where along an axis the largest number stands, of equal ones the first; integers, which have no gradient.

    >>> import numpy as np
    >>> from lstmcore.layers import ArgMax
    >>> ArgMax()(np.array([[0.1, 0.7, 0.2]])).tolist()
    [1]

    A mask ends here, with a warning.

    Parameters
    ----------
    axis : the axis, not that of the batch.
    keepdims : whether it stays with size 1.
    **options : ``name``, ``dtype`` as for every layer.
    """

    def __init__(self, axis: int = -1, keepdims: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.axis = self._axes(axis)[0]
        self.keepdims = flag(f"{self.name}: keepdims", keepdims)

    def dtype_of_call(self, inputs: Any) -> np.dtype[Any]:
        """Return int64."""
        return np.dtype(np.int64)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape without the axis, or with size 1 along it."""
        return self._without([self.axis], tuple(input_shape), self.keepdims)

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the places."""
        self._counted([self.axis], inputs.shape)
        return np.asarray(np.argmax(inputs, self.axis, keepdims=self.keepdims))

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return nothing: a place has no gradient."""
        return None


class Count(_AlongAxes):
    """How many are true, or not 0, along one or several axes, such as the words of a row that are no padding; integers.

    >>> import numpy as np
    >>> from lstmcore.layers import Count
    >>> Count()(np.array([[5, 8, 0]])).tolist()
    [2]

    Counts have no gradient; a mask ends here, with a warning.

    Parameters
    ----------
    axis : the axis or axes, not that of the batch.
    keepdims : whether they stay with size 1.
    **options : ``name``, ``dtype`` as for every layer.
    """

    takes_integers = True

    def __init__(self, axis: int | list[int] = -1, keepdims: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.axis = self._axes(axis)
        self.keepdims = flag(f"{self.name}: keepdims", keepdims)

    def dtype_of_call(self, inputs: Any) -> np.dtype[Any]:
        """Return int64."""
        return np.dtype(np.int64)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape without the axes, or with size 1 along them."""
        return self._without(self.axis, tuple(input_shape), self.keepdims)

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the counts."""
        axes = tuple(self._counted(self.axis, inputs.shape))
        return np.asarray(np.count_nonzero(inputs, axes, keepdims=self.keepdims), np.int64)

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return nothing: a count has no gradient."""
        return None


def _to_the_end(x: Array, axes: list[int]) -> Array:
    """Return an array with some of its axes as one, the last."""
    rest = [k for k in range(x.ndim) if k not in axes]
    return x.transpose([*rest, *axes]).reshape([*(x.shape[k] for k in rest), math.prod(x.shape[k] for k in axes)])


def _from_the_end(x: Array, axes: list[int], shape: tuple[int, ...]) -> Array:
    """Return what `_to_the_end` has moved, in the shape that it had."""
    order = [*(k for k in range(len(shape)) if k not in axes), *axes]
    return x.reshape([shape[k] for k in order]).transpose(np.argsort(order))
