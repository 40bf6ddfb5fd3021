"""How often the outputs are right."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .._arguments import flag, number, positive_integer, real_array
from .mean import MeanMetricWrapper
from .metric import pair, require_outputs

Array = NDArray[Any]

_SPARSE = "; for integer labels use sparse_categorical_accuracy"


def _labels(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
    """Return class labels of the shape of the outputs without the last axis, and the outputs."""
    true, pred = real_array("y_true", y_true), real_array("y_pred", y_pred)
    require_outputs(pred)
    if true.ndim == pred.ndim and true.shape[-1] == 1:
        true = true[..., 0]
    if true.shape != pred.shape[:-1]:
        hint = "; for one-hot targets use categorical_accuracy" if true.shape == pred.shape else ""
        raise ValueError(
            f"y_true: expected class labels of shape {pred.shape[:-1]}, got shape {np.shape(y_true)}{hint}"
        )
    return true, pred


def accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return 1 for each output that equals its target, else 0."""
    true, pred = pair(y_true, y_pred)
    return np.asarray(true == pred, np.float64)


def binary_accuracy(y_true: ArrayLike, y_pred: ArrayLike, threshold: float = 0.5) -> Array:
    """Return 1 for each output that is on the right side of the threshold, else 0.

    >>> from lstmcore import metrics
    >>> metrics.binary_accuracy([1, 1, 0, 0], [0.98, 1, 0, 0.6])
    array([1., 1., 1., 0.])
    """
    true, pred = pair(y_true, y_pred, column=False)
    return np.asarray((pred > number("threshold", threshold)) == true, np.float64)


def categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return 1 for each sample whose largest output is at the largest target, else 0.

    >>> from lstmcore import metrics
    >>> metrics.categorical_accuracy([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]])
    array([0., 1.])
    """
    true, pred = pair(y_true, y_pred, _SPARSE)
    return np.asarray(true.argmax(-1) == pred.argmax(-1), np.float64)


def sparse_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return 1 for each sample whose largest output is at its label, else 0.

    >>> from lstmcore import metrics
    >>> metrics.sparse_categorical_accuracy([2, 1], [[0.1, 0.6, 0.3], [0.05, 0.95, 0]])
    array([0., 1.])
    """
    true, pred = _labels(y_true, y_pred)
    return np.asarray(true == pred.argmax(-1), np.float64)


def top_k_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike, k: int = 5) -> Array:
    """Return 1 for each sample with fewer than k outputs above that at the largest target, else 0."""
    true, pred = pair(y_true, y_pred, _SPARSE)
    return _top_k(true.argmax(-1), pred, k)


def sparse_top_k_categorical_accuracy(
    y_true: ArrayLike, y_pred: ArrayLike, k: int = 5, from_sorted_ids: bool = False
) -> Array:
    """Return 1 for each sample with fewer than k outputs above that at its label, else 0.

    With ``from_sorted_ids`` outputs are labels, the best first: 1 where the sample's is among the first k.
    """
    true, pred = _labels(y_true, y_pred)
    k = positive_integer("k", k)
    if flag("from_sorted_ids", from_sorted_ids):
        return np.asarray((pred[..., :k] == true[..., None]).any(-1), np.float64)
    if true.size and not (true.min() >= 0 and true.max() < pred.shape[-1]):
        wrong = true.min() if true.min() < 0 else true.max()
        raise ValueError(f"y_true: expected class labels from 0 to {pred.shape[-1] - 1}, got {wrong}")
    return _top_k(true.astype(np.intp), pred, k)


def _top_k(true: Array, pred: Array, k: int) -> Array:
    at_label = np.take_along_axis(pred, true[..., None], axis=-1)
    # "Not at most" rather than "above": where either is NaN, the label is not among the first.
    above = np.count_nonzero(~(pred <= at_label), axis=-1)
    return np.asarray(above < positive_integer("k", k), np.float64)


class Accuracy(MeanMetricWrapper):
    """How often outputs equal targets.

    >>> from lstmcore.metrics import Accuracy
    >>> Accuracy()([[1], [2], [3], [4]], [[0], [2], [3], [4]])
    0.75
    """

    direction = "up"

    def __init__(self, name: str = "accuracy", dtype: DTypeLike | None = None) -> None:
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(MeanMetricWrapper):
    """How often outputs are on the right side of a threshold.

    >>> from lstmcore.metrics import BinaryAccuracy
    >>> BinaryAccuracy()([[1], [1], [0], [0]], [[0.98], [1], [0], [0.6]], sample_weight=[1, 0, 0, 1])
    0.5

    Parameters
    ----------
    name, dtype : as for `Metric`.
    threshold : outputs above it are taken for 1; 0 is the one for logits.
    """

    direction = "up"

    def __init__(self, name: str = "binary_accuracy", dtype: DTypeLike | None = None, threshold: float = 0.5) -> None:
        super().__init__(
            binary_accuracy, name, dtype, threshold=number("BinaryAccuracy: threshold", threshold, "[0, 1]")
        )


class CategoricalAccuracy(MeanMetricWrapper):
    """How often the largest output is at the largest target, targets one-hot.

    >>> from lstmcore.metrics import CategoricalAccuracy
    >>> CategoricalAccuracy()([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]], sample_weight=[0.7, 0.3])
    0.3
    """

    direction = "up"

    def __init__(self, name: str = "categorical_accuracy", dtype: DTypeLike | None = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the largest output is at the label, labels integers.

    >>> from lstmcore.metrics import SparseCategoricalAccuracy
    >>> SparseCategoricalAccuracy()([[2], [1]], [[0.1, 0.6, 0.3], [0.05, 0.95, 0]])
    0.5
    """

    direction = "up"

    def __init__(self, name: str = "sparse_categorical_accuracy", dtype: DTypeLike | None = None) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the output at the largest target is among the k largest; ties are in its favour.

    >>> from lstmcore.metrics import TopKCategoricalAccuracy
    >>> TopKCategoricalAccuracy(k=1)([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]])
    0.5
    """

    direction = "up"

    def __init__(self, k: int = 5, name: str = "top_k_categorical_accuracy", dtype: DTypeLike | None = None) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=positive_integer("TopKCategoricalAccuracy: k", k))


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the output at the label is among the k largest; ties are in its favour.

    >>> from lstmcore.metrics import SparseTopKCategoricalAccuracy
    >>> SparseTopKCategoricalAccuracy(k=2)([2, 1], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]])
    1.0
    >>> SparseTopKCategoricalAccuracy(k=2, from_sorted_ids=True)([2, 1], [[1, 2, 0], [0, 2, 1]])
    0.5

    Parameters
    ----------
    k : how many.
    name, dtype : as for `Metric`.
    from_sorted_ids : outputs are not scores but labels, the best first, k of them or more.
    """

    direction = "up"

    def __init__(
        self,
        k: int = 5,
        name: str = "sparse_top_k_categorical_accuracy",
        dtype: DTypeLike | None = None,
        from_sorted_ids: bool = False,
    ) -> None:
        super().__init__(
            sparse_top_k_categorical_accuracy,
            name,
            dtype,
            k=positive_integer("SparseTopKCategoricalAccuracy: k", k),
            from_sorted_ids=flag("SparseTopKCategoricalAccuracy: from_sorted_ids", from_sorted_ids),
        )
