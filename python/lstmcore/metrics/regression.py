"""Metrics of the distance between targets and outputs: the losses' means, and more."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .. import losses
from .._arguments import among, integer
from .._warnings import warn
from ..losses.weights import combine_weights, without_masked
from .mean import Mean, MeanMetricWrapper
from .metric import Metric, pair

Array = NDArray[Any]


class MeanSquaredError(MeanMetricWrapper):
    """The mean of (y_pred - y_true)².

    >>> from lstmcore.metrics import MeanSquaredError
    >>> MeanSquaredError()([[0, 1], [0, 0]], [[1, 1], [0, 0]])
    0.25
    """

    def __init__(self, name: str = "mean_squared_error", dtype: DTypeLike | None = None) -> None:
        super().__init__(losses.mean_squared_error, name, dtype)


class RootMeanSquaredError(MeanSquaredError):
    """The root of the mean of (y_pred - y_true)² over all samples.

    >>> from lstmcore.metrics import RootMeanSquaredError
    >>> RootMeanSquaredError()([[0, 1], [0, 0]], [[1, 1], [0, 0]])
    0.5
    """

    def __init__(self, name: str = "root_mean_squared_error", dtype: DTypeLike | None = None) -> None:
        super().__init__(name, dtype)

    def update_state(  # type: ignore[override]
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Take in a batch; as in Keras, weights may be those of single outputs too."""
        true, pred = pair(y_true, y_pred)
        Mean.update_state(self, np.square(np.subtract(pred, true, dtype=np.float64)), sample_weight)

    def result(self) -> float:
        """Return the root."""
        return math.sqrt(super().result())


class MeanAbsoluteError(MeanMetricWrapper):
    """The mean of |y_pred - y_true|.

    >>> from lstmcore.metrics import MeanAbsoluteError
    >>> MeanAbsoluteError()([[0, 1], [0, 0]], [[1, 1], [0, 0]], sample_weight=[1, 0])
    0.5
    """

    def __init__(self, name: str = "mean_absolute_error", dtype: DTypeLike | None = None) -> None:
        super().__init__(losses.mean_absolute_error, name, dtype)


class MeanAbsolutePercentageError(MeanMetricWrapper):
    """The mean of 100 |y_pred - y_true| / |y_true|.

    >>> from lstmcore.metrics import MeanAbsolutePercentageError
    >>> MeanAbsolutePercentageError()([[2.0, 4.0]], [[1.0, 5.0]])
    37.5
    """

    def __init__(self, name: str = "mean_absolute_percentage_error", dtype: DTypeLike | None = None) -> None:
        super().__init__(losses.mean_absolute_percentage_error, name, dtype)


class MeanSquaredLogarithmicError(MeanMetricWrapper):
    """The mean of (log(1 + y_pred) - log(1 + y_true))².

    >>> from lstmcore.metrics import MeanSquaredLogarithmicError
    >>> round(MeanSquaredLogarithmicError()([[0, 1], [0, 0]], [[1, 1], [0, 0]]), 6)
    0.120113
    """

    def __init__(self, name: str = "mean_squared_logarithmic_error", dtype: DTypeLike | None = None) -> None:
        super().__init__(losses.mean_squared_logarithmic_error, name, dtype)


class LogCoshError(MeanMetricWrapper):
    """The mean of log(cosh(y_pred - y_true)).

    >>> from lstmcore.metrics import LogCoshError
    >>> round(LogCoshError()([[0, 1], [0, 0]], [[1, 1], [0, 0]]), 6)
    0.108445
    """

    def __init__(self, name: str = "logcosh", dtype: DTypeLike | None = None) -> None:
        super().__init__(losses.log_cosh, name, dtype)


def cosine_similarity(y_true: ArrayLike, y_pred: ArrayLike, axis: int = -1) -> Array:
    """Return the cosine of the angle between each target and its output.

    >>> from lstmcore import metrics
    >>> metrics.cosine_similarity([[0.0, 1.0]], [[0.0, 5.0]])
    array([1.])
    """
    return -losses.cosine_similarity(y_true, y_pred, axis)


class CosineSimilarity(MeanMetricWrapper):
    """The mean of the cosine of the angle between target and output.

    >>> from lstmcore.metrics import CosineSimilarity
    >>> round(CosineSimilarity()([[0.0, 1.0], [1.0, 1.0]], [[1.0, 0.0], [1.0, 1.0]]), 6)
    0.5
    """

    direction = "up"

    def __init__(self, name: str = "cosine_similarity", dtype: DTypeLike | None = None, axis: int = -1) -> None:
        super().__init__(cosine_similarity, name, dtype, axis=axis)


class R2Score(Metric):
    """1 - Σ (y_true - y_pred)² / Σ (y_true - mean)²: the part of the targets' variance that is explained.

    >>> from lstmcore.metrics import R2Score
    >>> round(R2Score()([[1], [4], [3]], [[2], [4], [4]]), 6)
    0.571429

    Each output along the last axis has a score of its own. For targets that are all the same it is 1 if they are met
    and 0 if not.

    Parameters
    ----------
    class_aggregation : "uniform_average" of the outputs' scores, "variance_weighted_average", or None for an array.
    num_regressors : for the adjusted score, the number of independent variables; 0 for the plain one. It is adjusted by
        the number of samples; Keras takes that of all their outputs.
    name, dtype : as for `Metric`.
    """

    direction = "up"
    num_samples: float
    count: Array | None
    mean: Array | None
    squares: Array | None
    residual: Array | None

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        if not among(class_aggregation, (None, "uniform_average", "variance_weighted_average")):
            raise ValueError(
                "R2Score: class_aggregation: expected 'uniform_average', 'variance_weighted_average' or None, "
                f"got {class_aggregation!r}"
            )
        if integer("R2Score: num_regressors", num_regressors) < 0:
            raise ValueError(f"R2Score: num_regressors: expected at least 0, got {num_regressors!r}")
        self.class_aggregation, self.num_regressors = class_aggregation, num_regressors
        super().__init__(name=name, dtype=dtype)

    def initial_state(self) -> dict[str, Any]:
        """Return no samples; the first batch tells how many outputs there are."""
        return {"num_samples": 0.0, "count": None, "mean": None, "squares": None, "residual": None}

    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Take in a batch."""
        true, pred = pair(y_true, y_pred)
        weights = combine_weights(true.shape[:-1], 1.0 if sample_weight is None else sample_weight, None)
        assert weights is not None
        outputs: int = true.shape[-1]
        w = np.broadcast_to(weights.reshape(-1, 1), (weights.size, outputs))
        y = true.reshape(w.shape).astype(np.float64)
        residual = without_masked(w * (y - pred.reshape(w.shape)) ** 2, w).sum(0)
        # Squares about the mean, batch by batch (Chan, Golub & LeVeque 1979): sums of squares would lose them where
        # the mean is large.
        y = np.where(w == 0, 0, y)
        count = w.sum(0)
        mean = (w * y).sum(0) / np.where(count == 0, 1, count)
        squares = (w * (y - mean) ** 2).sum(0)
        self.num_samples += weights.size
        if self.count is None or self.mean is None or self.squares is None or self.residual is None:
            self.count, self.mean, self.squares, self.residual = count, mean, squares, residual
            return
        if len(self.count) != len(count):
            raise ValueError(f"{self.name}: y_pred: expected {len(self.count)} outputs, got {len(count)}")
        together = self.count + count
        part = count / np.where(together == 0, 1, together)
        away = mean - self.mean
        self.squares = self.squares + squares + away**2 * self.count * part
        self.mean = self.mean + away * part
        self.count, self.residual = together, self.residual + residual

    def result(self) -> Any:
        """Return the score: a float, or an array if there is no aggregation."""
        if self.squares is None or self.residual is None:
            return 0.0
        varied = self.squares != 0
        scores = np.where(varied, 1 - self.residual / np.where(varied, self.squares, 1), self.residual == 0)
        score: Any = scores
        if self.class_aggregation == "uniform_average":
            score = float(scores.mean())
        elif self.class_aggregation == "variance_weighted_average":
            score = float((scores * self.squares).sum() / (self.squares.sum() or 1))
        if self.num_regressors:
            free = self.num_samples - self.num_regressors - 1
            if free <= 0:
                warn(f"{self.name}: too few samples for an adjusted score; the plain one is reported")
            else:
                score = 1 - (1 - score) * (self.num_samples - 1) / free
        return score
