"""True and false positives and negatives at thresholds, and what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .._arguments import integer, items, number, positive_integer, real_array
from ..losses.weights import combine_weights
from .metric import Metric, pair

Array = NDArray[Any]

Thresholds = float | Sequence[float] | None


def counts_above(
    true: Array, pred: Array, weights: Array | None, thresholds: Array, columns: int = 1
) -> tuple[Array, Array, Array, Array]:
    """Return true positives, false positives, true negatives, false negatives, each (thresholds, columns).

    ``true``, ``pred`` and ``weights`` are (samples, columns); thresholds in ascending order; a prediction is positive
    above a threshold. A histogram over the thresholds, added up from above, costs
    samples x log(thresholds) where comparing with each would cost their product.
    """
    ts = thresholds.astype(pred.dtype) if pred.dtype.kind == "f" else thresholds
    passed = np.searchsorted(ts, pred.ravel(), side="left")  # how many thresholds a prediction is above
    if pred.dtype.kind == "f":
        passed[np.isnan(pred.ravel())] = 0
    bins = len(ts) + 1
    if columns > 1:
        passed = passed.reshape(-1, columns) + bins * np.arange(columns)
    at = 2 * passed.ravel() + (true.ravel() != 0)
    w = None if weights is None else weights.ravel()
    histogram = np.bincount(at, w, minlength=2 * bins * columns).reshape(columns, bins, 2).astype(np.float64)
    positive = np.cumsum(histogram[:, ::-1], axis=1)[:, ::-1]  # (columns, bins, label): with at least so many passed
    everyone = positive[:, :1]
    positive = positive[:, 1:]
    negative = everyone - positive
    return positive[..., 1].T, positive[..., 0].T, negative[..., 0].T, negative[..., 1].T


def thresholds_of(where: str, thresholds: Thresholds, default: float) -> list[float]:
    """Return thresholds as a list of numbers from 0 to 1."""
    if thresholds is None:
        return [default]
    several = isinstance(thresholds, (list, tuple)) or np.ndim(thresholds) == 1
    found = items(f"{where}: thresholds", thresholds, "a list of numbers") if several else [thresholds]
    return [number(f"{where}: thresholds", t, "[0, 1]") for t in found]


class _Confusion(Metric):
    """Base of what is made of the four counts: a subclass says which it gathers."""

    gathers: tuple[str, ...]

    def __init__(
        self,
        thresholds: Thresholds = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        kind = type(self).__name__
        self.top_k = None if top_k is None else positive_integer(f"{kind}: top_k", top_k)
        self.class_id = None if class_id is None else integer(f"{kind}: class_id", class_id)
        # With top_k alone, all of the first k are positive.
        self.thresholds = thresholds_of(kind, thresholds, 0.5 if top_k is None else -np.inf)
        self._order = np.argsort(self.thresholds, kind="stable")
        super().__init__(name=name, dtype=dtype)

    def initial_state(self) -> dict[str, Any]:
        """Return zeros, one for each threshold."""
        return {name: np.zeros(len(self.thresholds)) for name in self.gathers}

    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Take in a batch: targets that count as true unless they are 0, outputs, weights."""
        y_pred = real_array("y_pred", y_pred)
        flat = y_pred.ndim == 1 and self.top_k is not None  # the classes of a single sample
        true, pred = pair(y_true, y_pred, _HINT, column=not flat)
        weights = None if sample_weight is None else weights_of(true, sample_weight)
        if self.top_k is not None:
            first = np.argsort(-pred.astype(np.float64), axis=-1, kind="stable")[..., : self.top_k]
            among = np.zeros(pred.shape, bool)
            np.put_along_axis(among, first, True, axis=-1)
            pred = np.where(among, pred, -np.inf)
        if self.class_id is not None:
            if not 0 <= self.class_id < pred.shape[-1]:
                raise ValueError(
                    f"{self.name}: class_id: expected 0 to {pred.shape[-1] - 1} for outputs of shape {pred.shape}, "
                    f"got {self.class_id!r}"
                )
            true, pred = true[..., self.class_id], pred[..., self.class_id]
            weights = None if weights is None else weights[..., self.class_id]
        four = counts_above(true, pred, weights, np.asarray(self.thresholds)[self._order])
        for name, counts in zip(_NAMES, four, strict=True):
            if name in self.gathers:
                getattr(self, name)[self._order] += counts[:, 0]

    def _result(self, values: Array) -> Any:
        return float(values[0]) if len(self.thresholds) == 1 else values


_NAMES = ("true_positives", "false_positives", "true_negatives", "false_negatives")
_HINT = "; for integer labels, make them one-hot with utils.to_categorical"


def weights_of(true: Array, sample_weight: ArrayLike) -> Array:
    """Return weights in the shape of targets, from one for each sample or for each of its outputs."""
    array = real_array("sample_weight", sample_weight)
    shape = true.shape if array.shape == true.shape else true.shape[:-1]
    weights = combine_weights(shape, array, None)
    assert weights is not None
    return weights if shape == true.shape else np.broadcast_to(weights[..., None], true.shape)


class Precision(_Confusion):
    """True positives / all positives: how much of what was found is right; 0 if nothing was found.

    >>> from lstmcore.metrics import Precision
    >>> round(Precision()([0, 1, 1, 1], [1, 0, 1, 1]), 4)
    0.6667
    >>> Precision(top_k=2)([0, 0, 1, 1], [1, 1, 1, 1])
    0.0

    Parameters
    ----------
    thresholds : outputs above it are positive, 0.5 by default; 0 is the one for logits. A list gives a result for each.
    top_k : only a sample's k largest outputs can be positive; without thresholds all of them are.
    class_id : look at that output only.
    name, dtype : as for `Metric`.
    """

    direction = "up"
    gathers = ("true_positives", "false_positives")
    true_positives: Array
    false_positives: Array

    def result(self) -> Any:
        """Return the precision: a float, or an array of one for each threshold."""
        return self._result(ratio(self.true_positives, self.true_positives + self.false_positives))


class Recall(_Confusion):
    """True positives / all that are true: how much of what there is was found; 0 if there is nothing.

    >>> from lstmcore.metrics import Recall
    >>> round(Recall()([0, 1, 1, 1], [1, 0, 1, 1]), 4)
    0.6667

    Parameters
    ----------
    thresholds, top_k, class_id, name, dtype : as for `Precision`.
    """

    direction = "up"
    gathers = ("true_positives", "false_negatives")
    true_positives: Array
    false_negatives: Array

    def result(self) -> Any:
        """Return the recall: a float, or an array of one for each threshold."""
        return self._result(ratio(self.true_positives, self.true_positives + self.false_negatives))


class _Count(_Confusion):
    def __init__(self, thresholds: Thresholds = None, name: str | None = None, dtype: DTypeLike | None = None) -> None:
        super().__init__(thresholds, None, None, name, dtype)

    def result(self) -> Any:
        """Return the count, or the sum of weights: a float, or an array of one for each threshold."""
        return self._result(getattr(self, self.gathers[0]).copy())


class TruePositives(_Count):
    """How many were rightly called positive.

    >>> from lstmcore.metrics import TruePositives
    >>> TruePositives()([0, 1, 1, 1], [1, 0, 1, 1], sample_weight=[0, 0, 1, 0])
    1.0
    """

    direction = "up"
    gathers = ("true_positives",)


class TrueNegatives(_Count):
    """How many were rightly called negative.

    >>> from lstmcore.metrics import TrueNegatives
    >>> TrueNegatives()([0, 1, 0, 0], [1, 1, 0, 0])
    2.0
    """

    direction = "up"
    gathers = ("true_negatives",)


class FalsePositives(_Count):
    """How many were wrongly called positive.

    >>> from lstmcore.metrics import FalsePositives
    >>> FalsePositives(thresholds=[0.2, 0.8])([0, 1, 0, 0], [0.5, 1, 0, 0])
    array([1., 0.])
    """

    direction = "down"
    gathers = ("false_positives",)


class FalseNegatives(_Count):
    """How many were wrongly called negative.

    >>> from lstmcore.metrics import FalseNegatives
    >>> FalseNegatives()([0, 1, 1, 1], [0, 1, 0, 0])
    2.0
    """

    direction = "down"
    gathers = ("false_negatives",)


def ratio(above: Array, below: Array) -> Array:
    """Return a quotient, 0 where the denominator is."""
    return np.divide(above, below, out=np.zeros(np.broadcast_shapes(above.shape, below.shape)), where=below != 0)
