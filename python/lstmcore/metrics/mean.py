"""Means and sums over batches, of values and of what a function makes of targets and outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .. import losses
from .._arguments import real_array
from ..losses.functions import LossFunction
from ..losses.loss import Loss
from ..losses.weights import combine_weights, without_masked
from .metric import Metric

Array = NDArray[Any]


def _weighted(values: Array, sample_weight: ArrayLike | None) -> tuple[float, float]:
    """Return the sum of values, each times its weight, and the sum of weights."""
    if sample_weight is None:
        return float(np.add.reduce(values, axis=None, dtype=np.float64)), float(values.size)
    weights = combine_weights(values.shape, sample_weight, None)
    assert weights is not None
    weighted = without_masked(np.asarray(values * weights), weights)
    return float(np.add.reduce(weighted, axis=None)), float(np.add.reduce(weights, axis=None))


class Sum(Metric):
    """The sum of values, each times its weight.

    >>> from lstmcore.metrics import Sum
    >>> metric = Sum()
    >>> metric.update_state([1, 3, 5, 7], sample_weight=[1, 1, 0, 0])
    >>> metric.result()
    4.0
    """

    total: float

    def __init__(self, name: str | None = None, dtype: DTypeLike | None = None) -> None:
        super().__init__(name=name, dtype=dtype)

    def initial_state(self) -> dict[str, Any]:
        """Return the sum of nothing."""
        return {"total": 0.0}

    def update_state(self, values: ArrayLike, sample_weight: ArrayLike | None = None) -> None:  # type: ignore[override]
        """Take in values."""
        self.total += _weighted(real_array("values", values), sample_weight)[0]

    def __call__(self, values: ArrayLike, sample_weight: ArrayLike | None = None) -> float:  # type: ignore[override]
        """Take in values and return the result so far."""
        self.update_state(values, sample_weight)
        return self.result()

    def result(self) -> float:
        """Return the sum."""
        return self.total


class Mean(Metric):
    """The mean of values, each counted as often as its weight says; 0 before the first.

    >>> from lstmcore.metrics import Mean
    >>> metric = Mean()
    >>> metric.update_state([1, 3, 5, 7], sample_weight=[1, 1, 0, 0])
    >>> metric.result()
    2.0
    >>> metric.update_state(5.0, 2)  # a mean over two more
    >>> metric.result()
    3.5

    Of values with several axes, the first is that of the samples, and a sample's value is the mean over the others.
    With weights for these, as those of steps, each value counts by itself, whatever length a batch is padded to.
    """

    total: float
    count: float

    def __init__(self, name: str | None = None, dtype: DTypeLike | None = None) -> None:
        super().__init__(name=name, dtype=dtype)

    def initial_state(self) -> dict[str, Any]:
        """Return the sum and the weight of nothing."""
        return {"total": 0.0, "count": 0.0}

    def update_state(self, values: ArrayLike, sample_weight: ArrayLike | None = None) -> None:  # type: ignore[override]
        """Take in values."""
        if type(values) is float and (sample_weight is None or type(sample_weight) is int):
            weight = 1 if sample_weight is None else sample_weight
            self.total += values * weight
            self.count += weight
            return
        array = real_array("values", values)
        total, count = _weighted(array, sample_weight)
        # By weights of its own each value counts, however many are beside it in a sample: padding changes nothing.
        apart = sample_weight is not None and np.ndim(sample_weight) > 1
        share = array.shape[0] / array.size if array.ndim > 1 and array.size and not apart else 1.0
        self.total += total * share
        self.count += count * share

    def __call__(self, values: ArrayLike, sample_weight: ArrayLike | None = None) -> float:  # type: ignore[override]
        """Take in values and return the result so far."""
        self.update_state(values, sample_weight)
        return self.result()

    def result(self) -> float:
        """Return the mean."""
        return self.total / self.count if self.count else 0.0


class MeanMetricWrapper(Mean):
    """The mean of what a function makes of each sample.

    >>> import numpy as np
    >>> from lstmcore.metrics import MeanMetricWrapper
    >>> def within(y_true, y_pred, tolerance=1.0):
    ...     return np.mean(np.abs(y_true - y_pred) <= tolerance, axis=-1)
    >>> metric = MeanMetricWrapper(within, tolerance=2.0)
    >>> metric([[1.0], [2.0]], [[2.5], [9.0]])
    0.5

    Parameters
    ----------
    fn : a function of ``y_true`` and ``y_pred`` that returns a value for each sample; or a loss.
    name : the function's by default.
    dtype : as for `Metric`.
    **options : further arguments of the function.
    """

    def __init__(self, fn: Any, name: str | None = None, dtype: DTypeLike | None = None, **options: Any) -> None:
        if isinstance(fn, LossFunction):
            self.fn: Any = fn.loss_class(**options)
        elif isinstance(fn, Loss) or callable(fn):
            self.fn = fn
        else:
            raise TypeError(f"MeanMetricWrapper: fn: expected a function or a Loss, got {fn!r}")
        self.options = options
        if isinstance(self.fn, Loss):
            self.direction = "down"
        of_fn = getattr(fn, "name", None) or getattr(fn, "__name__", None)
        super().__init__(of_fn if name is None else name, dtype)

    def update_state(  # type: ignore[override]
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Take in a batch."""
        pred = real_array("y_pred", y_pred)
        if pred.ndim == 1:  # as in Keras, one number for each row is a column
            pred = pred[:, None]
        if isinstance(self.fn, Loss):
            true, values = self.fn.per_sample(y_true, pred)
            counts = self.fn.counts(true)
            if counts is not None:
                sample_weight = combine_weights(values.shape, sample_weight, counts, "sum")
        else:
            true = real_array("y_true", y_true)
            if true.ndim == 1 and pred.shape[1:] == (1,):
                true = true[:, None]
            values = real_array("fn", self.fn(true, pred, **self.options))
        super().update_state(values, sample_weight)

    __call__ = Metric.__call__  # type: ignore[assignment]

    @classmethod
    def from_config(cls, config: Any) -> Any:
        """Make a metric from what `get_config` returned."""
        if isinstance(config.get("fn"), str):
            config = {**config, "fn": losses.FUNCTIONS[config["fn"]]}
        return super().from_config(config)
