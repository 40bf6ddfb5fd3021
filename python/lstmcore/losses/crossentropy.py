"""Cross-entropies of two classes, of several, and of integer labels.

From probabilities p, these are first put between 1e-7 and 1 - 1e-7, as Keras does, and the gradient is zero outside.
From logits z, or where the outputs are a softmax or sigmoid that the loss `fuses`, nothing is cut and nothing
overflows: the gradient by z is p - y.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .. import _core
from .._arguments import flag, integer, number, real_array
from .._warnings import warn
from .elementwise import Elementwise
from .regression import EPSILON
from .targets import Shape, labels, matching, probabilities
from .weights import combine_weights

Array = NDArray[Any]

# Probabilities above this are exact to rounding; below, float32 runs out of exponents and logits are asked.
_SMALL = 1e-30


class BinaryCrossentropy(Elementwise):
    """-(y log p + (1 - y) log(1 - p)), of independent yes-or-no outputs.

    >>> from lstmcore.losses import BinaryCrossentropy
    >>> round(BinaryCrossentropy()([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]]), 4)
    0.8149
    >>> BinaryCrossentropy(from_logits=True)([[1.0]], [[-10000.0]])
    10000.0

    Parameters
    ----------
    from_logits : the outputs are logits z, p = sigmoid(z).
    label_smoothing : s in [0, 1]: y (1 - s) + s/2 stands in the place of y.
    axis : along which the mean of a sample's outputs is taken.

    Raises
    ------
    ValueError
        Labels are not between 0 and 1.
    """

    by_targets = "linear"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        kind = type(self).__name__
        self.from_logits = flag(f"{kind}: from_logits", from_logits)
        self.label_smoothing = number(f"{kind}: label_smoothing", label_smoothing, "[0, 1]")
        self.axis = integer(f"{kind}: axis", axis)

    @property
    def fuses(self) -> str | None:
        """Return "sigmoid", unless the outputs are logits."""
        return None if self.from_logits else "sigmoid"

    def targets(self, y: ArrayLike, y_pred_shape: Shape, dtype: DTypeLike, name: str = "y") -> Array:
        """Return targets as the loss takes them, for outputs of that shape and dtype; errors begin with ``name``."""
        self._check_axis(y_pred_shape)
        y, hint = real_array(name, y), ""
        if y_pred_shape[-1] not in (1, None) and y.ndim < len(y_pred_shape):
            hint = "; for labels of several classes use sparse_categorical_crossentropy"
        return probabilities(name, y, y_pred_shape, np.dtype(dtype), hint)

    def smoothed(self, y_true: Array) -> Array:
        """y (1 - s) + s/2"""
        s = self.label_smoothing
        return y_true * (1 - s) + s / 2 if s else y_true

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """-(y log p + (1 - y) log(1 - p))"""
        if self.from_logits:
            return self.terms_of_logits(y_true, y_pred, y_pred)
        y, p = self.smoothed(y_true), np.clip(y_pred, EPSILON, 1 - EPSILON)
        return np.asarray(-(y * np.log(p) + (1 - y) * np.log(1 - p)))

    def slopes(self, y_true: Array, y_pred: Array, scale: float | Array) -> Array:
        """(p - y) / (p (1 - p)), zero where p was cut"""
        if self.from_logits:
            return self.slopes_of_logits(y_true, _core.sigmoid(y_pred), scale)
        p = np.clip(y_pred, EPSILON, 1 - EPSILON)
        return np.asarray((p - self.smoothed(y_true)) / (p * (1 - p)) * (p == y_pred) * scale)

    def terms_of_logits(self, y_true: Array, y_pred: Array, logits: Array) -> Array:
        """max(z, 0) - z y + log(1 + exp(-|z|))"""
        return np.asarray(np.maximum(logits, 0) - logits * self.smoothed(y_true) + np.log1p(np.exp(-np.abs(logits))))

    def slopes_of_logits(self, y_true: Array, y_pred: Array, scale: float | Array) -> Array:
        """p - y"""
        return np.asarray((y_pred - self.smoothed(y_true)) * scale)


class CategoricalCrossentropy(Elementwise):
    """-Σ y log p over the classes, y one-hot or probabilities.

    >>> from lstmcore.losses import CategoricalCrossentropy
    >>> round(CategoricalCrossentropy()([[0, 1, 0], [0, 0, 1]], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]]), 4)
    1.1769

    Parameters
    ----------
    from_logits : the outputs are logits z, p = softmax(z). Otherwise they are divided by their sum.
    label_smoothing : s in [0, 1]: y (1 - s) + s / classes stands in the place of y.
    axis : of the classes.
    """

    by_targets = "linear"

    averages = False

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        kind = type(self).__name__
        self.from_logits = flag(f"{kind}: from_logits", from_logits)
        self.label_smoothing = number(f"{kind}: label_smoothing", label_smoothing, "[0, 1]")
        self.axis = integer(f"{kind}: axis", axis)

    @property
    def fuses(self) -> str | None:
        """Return "softmax", unless the outputs are logits or the classes not on the last axis."""
        return None if self.from_logits or self.axis != -1 else "softmax"

    def targets(self, y: ArrayLike, y_pred_shape: Shape, dtype: DTypeLike, name: str = "y") -> Array:
        """Return targets as the loss takes them, for outputs of that shape and dtype; errors begin with ``name``."""
        self._check_axis(y_pred_shape)
        if y_pred_shape[self.axis] == 1:
            warn(
                f"{self.name}: the outputs have one class, whose probability is always 1; use binary_crossentropy",
                SyntaxWarning,
            )
        hint = "; for integer labels use sparse_categorical_crossentropy"
        return matching(name, y, y_pred_shape, np.dtype(dtype), hint)

    def smoothed(self, y_true: Array) -> Array:
        """y (1 - s) + s / classes"""
        s = self.label_smoothing
        return y_true * (1 - s) + s / y_true.shape[-1] if s else y_true

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """-y log p"""
        log_p = log_softmax(y_pred) if self.from_logits else np.log(_distribution(y_pred)[0])
        return np.asarray(-self.smoothed(y_true) * log_p)

    def slopes(self, y_true: Array, y_pred: Array, scale: float | Array) -> Array:
        """(g - Σ g p) / Σ y_pred, g = -y / p, zero where p was cut"""
        if self.from_logits:
            return self.slopes_of_logits(y_true, softmax(y_pred), scale)
        p, inside, size = _distribution(y_pred)
        g = -self.smoothed(y_true) / p * inside
        return np.asarray((g - np.add.reduce(g * p, axis=-1, keepdims=True)) / size * scale)

    def terms_of_logits(self, y_true: Array, y_pred: Array, logits: Array) -> Array:
        """-y log p, p the outputs as long as they are no smaller than they can be exact"""
        if y_pred.size and np.minimum.reduce(y_pred, axis=None) > _SMALL:
            return np.asarray(-self.smoothed(y_true) * np.log(y_pred))
        return np.asarray(-self.smoothed(y_true) * log_softmax(logits))

    def slopes_of_logits(self, y_true: Array, y_pred: Array, scale: float | Array) -> Array:
        """p Σ y - y"""
        y = self.smoothed(y_true)
        return np.asarray((y_pred * np.add.reduce(y, axis=-1, keepdims=True) - y) * scale)


class SparseCategoricalCrossentropy(Elementwise):
    """-log p of the class that the label names.

    >>> from lstmcore.losses import SparseCategoricalCrossentropy
    >>> round(SparseCategoricalCrossentropy()([1, 2], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]]), 4)
    1.1769

    Parameters
    ----------
    from_logits : the outputs are logits z, p = softmax(z). Otherwise they are divided by their sum.
    ignore_class : a label that does not count; it may lie outside the classes. The mean is over the others.
    axis : of the classes.

    Raises
    ------
    ValueError
        Labels are not whole numbers from 0 to the number of classes, or of a wrong shape.
    """

    by_targets = "labels"

    averages = False

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        kind = type(self).__name__
        self.from_logits = flag(f"{kind}: from_logits", from_logits)
        self.ignore_class = None if ignore_class is None else integer(f"{kind}: ignore_class", ignore_class)
        self.axis = integer(f"{kind}: axis", axis)

    @property
    def fuses(self) -> str | None:
        """Return "softmax", unless the outputs are logits or the classes not on the last axis."""
        return None if self.from_logits or self.axis != -1 else "softmax"

    def targets(self, y: ArrayLike, y_pred_shape: Shape, dtype: DTypeLike, name: str = "y") -> Array:
        """Return labels as the loss takes them, for outputs of that shape; errors begin with ``name``."""
        self._check_axis(y_pred_shape)
        shape = list(y_pred_shape)
        shape.append(shape.pop(self.axis))
        return labels(name, y, tuple(shape), self.ignore_class)

    def counts(self, y_true: Array) -> Array | None:
        """Return False for each label that is ``ignore_class``."""
        return None if self.ignore_class is None else y_true != self.ignore_class

    def value(self, y_true: Array, y_pred: Array, weights: Array | None = None, logits: Array | None = None) -> float:
        """Return what `value_and_gradient` does without the gradient."""
        return super().value(y_true, y_pred, self._without_ignored(y_true, weights), logits)

    def value_and_gradient(
        self, y_true: Array, y_pred: Array, weights: Array | None = None, logits: Array | None = None
    ) -> tuple[float, Array]:
        """Return the loss of a batch and its gradient; see `Loss.value_and_gradient`."""
        return super().value_and_gradient(y_true, y_pred, self._without_ignored(y_true, weights), logits)

    def divisor(self, y_true: Array, y_pred: Array, weights: Array | None, left: Array | None) -> float:
        """Return what `Loss.divisor` does, of what is not ignored."""
        counts = self.counts(y_true)
        if counts is not None:
            left = counts if left is None else np.broadcast_to(left, counts.shape) & counts
        return super().divisor(y_true, y_pred, self._without_ignored(y_true, weights), left)

    def _without_ignored(self, y_true: Array, weights: Array | None) -> Array | None:
        counts = self.counts(y_true)
        if counts is None:
            return weights
        if weights is None:
            return combine_weights(y_true.shape, None, counts, self.reduction)
        if self.reduction not in ("mean", "sum_over_batch_size"):
            return np.asarray(weights * counts)
        # A mask has scaled the weights for a mean over what it leaves; of that, this leaves less.
        left = np.broadcast_to(weights != 0, counts.shape)
        before, after = int(np.count_nonzero(left)), int(np.count_nonzero(left & counts))
        return np.asarray(weights * counts * (before / max(1, after)))

    def _picks(self, y_true: Array, y_pred: Array) -> Array:
        """Return where in the flattened outputs the labels' classes stand; those ignored get class 0."""
        classes = y_pred.shape[-1]
        flat = y_true.ravel()
        if self.ignore_class is not None:
            flat = np.where(flat == self.ignore_class, 0, flat)
        return np.asarray(np.arange(0, y_pred.size, classes) + flat)

    def _pick(self, values: Array, y_true: Array) -> Array:
        picked = values.ravel().take(self._picks(y_true, values)).reshape(*y_true.shape, 1)
        if self.ignore_class is not None:
            picked[y_true == self.ignore_class] = 1  # whose logarithm is 0
        return picked

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """-log p of the label"""
        if self.from_logits:
            return self._surprise(y_true, y_pred)
        return -np.log(self._pick(_distribution(y_pred)[0], y_true))

    def _surprise(self, y_true: Array, logits: Array) -> Array:
        terms = -self._pick(log_softmax(logits), y_true)
        if self.ignore_class is not None:
            terms[y_true == self.ignore_class] = 0
        return terms

    def slopes(self, y_true: Array, y_pred: Array, scale: float | Array) -> Array:
        """(Σ g p - g) / Σ y_pred with g = 1 / p at the label and 0 elsewhere, and where p was cut"""
        if self.from_logits:
            return self.slopes_of_logits(y_true, softmax(y_pred), scale)
        p, inside, size = _distribution(y_pred)
        g = np.zeros(p.shape, p.dtype)  # in C order, to be written through a flat view
        at = self._picks(y_true, y_pred)
        g.reshape(-1)[at] = (inside / p).ravel().take(at)
        slopes = (np.add.reduce(g * p, axis=-1, keepdims=True) - g) / size * scale
        return self._zero_ignored(np.asarray(slopes), y_true)

    def terms_of_logits(self, y_true: Array, y_pred: Array, logits: Array) -> Array:
        """-log p of the label, p the output as long as it is no smaller than it can be exact"""
        picked = self._pick(y_pred, y_true)
        if picked.size and np.minimum.reduce(picked, axis=None) > _SMALL:
            return -np.log(picked)
        return self._surprise(y_true, logits)

    def slopes_of_logits(self, y_true: Array, y_pred: Array, scale: float | Array) -> Array:
        """p - 1 at the label, p elsewhere"""
        slopes = np.multiply(y_pred, scale, order="C")
        flat = slopes.reshape(-1)
        flat[self._picks(y_true, y_pred)] -= scale if isinstance(scale, float) else scale.ravel()
        return self._zero_ignored(slopes, y_true)

    def _zero_ignored(self, slopes: Array, y_true: Array) -> Array:
        if self.ignore_class is not None:
            slopes[y_true == self.ignore_class] = 0
        return slopes


def softmax(z: Array) -> Array:
    """exp(z) / Σ exp(z) over the last axis"""
    e = np.exp(z - np.maximum.reduce(z, axis=-1, keepdims=True))
    return np.asarray(e / np.add.reduce(e, axis=-1, keepdims=True))


def log_softmax(z: Array) -> Array:
    """z - log Σ exp(z) over the last axis"""
    z = z - np.maximum.reduce(z, axis=-1, keepdims=True)
    return np.asarray(z - np.log(np.add.reduce(np.exp(z), axis=-1, keepdims=True)))


def _distribution(y_pred: Array) -> tuple[Array, Array, Array]:
    """Return probabilities divided by their sum and cut, where they were not cut, and the sum."""
    size = np.add.reduce(y_pred, axis=-1, keepdims=True)
    size = np.where(size == 0, 1, size)
    p = y_pred / size
    cut = np.clip(p, EPSILON, 1 - EPSILON)
    return cut, cut == p, size
