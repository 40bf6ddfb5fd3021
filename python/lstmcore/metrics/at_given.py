"""The best of one rate among the thresholds at which another is at least what was asked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from .._arguments import integer, number
from .confusion import _Confusion, ratio


class _AtGiven(_Confusion):
    """Base of these: a subclass says which rate is `wanted` and which is `given`, each by a pair of counts: the first
    is divided by the sum of both.
    """

    direction = "up"
    gathers = ("true_positives", "false_positives", "true_negatives", "false_negatives")
    wanted: tuple[str, str]
    given: tuple[str, str]

    def __init__(
        self,
        argument: str,
        least: float,
        num_thresholds: int,
        class_id: int | None,
        name: str | None,
        dtype: DTypeLike | None,
    ) -> None:
        kind = type(self).__name__
        self.least = number(f"{kind}: {argument}", least, "[0, 1]")
        if not 1 <= integer(f"{kind}: num_thresholds", num_thresholds) <= 10**6:
            raise ValueError(f"{kind}: num_thresholds: expected from 1 to 1,000,000, got {num_thresholds!r}")
        self.num_thresholds = num_thresholds
        last = num_thresholds - 1
        super().__init__([k / last for k in range(num_thresholds)] if last else [0.5], None, class_id, name, dtype)
        if last:
            self.thresholds[-1] = np.inf  # nothing is above the last; as in Keras, outputs end at 1

    def result(self) -> float:
        """Return the best rate; 0 if the other is reached nowhere."""
        wanted, given = (
            ratio(getattr(self, part), getattr(self, part) + getattr(self, rest))
            for part, rest in (self.wanted, self.given)
        )
        return float(np.max(wanted, initial=0.0, where=given >= self.least))


_RECALL = ("true_positives", "false_negatives")  # sensitivity is another word for it
_PRECISION = ("true_positives", "false_positives")
_SPECIFICITY = ("true_negatives", "false_positives")


class PrecisionAtRecall(_AtGiven):
    """The best precision among the thresholds at which the recall is at least the given one; 0 if there is none.

    >>> from lstmcore.metrics import PrecisionAtRecall
    >>> PrecisionAtRecall(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
    0.5

    Parameters
    ----------
    recall : from 0 to 1.
    num_thresholds : evenly from 0 to 1; one is at 0.5. Outputs above a threshold are positive.
    class_id : look at that output only.
    name, dtype : as for `Metric`.
    """

    wanted, given = _PRECISION, _RECALL

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__("recall", recall, num_thresholds, class_id, name, dtype)


class RecallAtPrecision(_AtGiven):
    """The best recall among the thresholds at which the precision is at least the given one; 0 if there is none.

    >>> from lstmcore.metrics import RecallAtPrecision
    >>> RecallAtPrecision(0.8)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
    0.5

    Parameters
    ----------
    precision : from 0 to 1.
    num_thresholds, class_id, name, dtype : as for `PrecisionAtRecall`.
    """

    wanted, given = _RECALL, _PRECISION

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__("precision", precision, num_thresholds, class_id, name, dtype)


class SensitivityAtSpecificity(_AtGiven):
    """The best sensitivity, or recall, where the specificity, true / all negatives, is at least the given one.

    >>> from lstmcore.metrics import SensitivityAtSpecificity
    >>> SensitivityAtSpecificity(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
    0.5

    Parameters
    ----------
    specificity : from 0 to 1.
    num_thresholds, class_id, name, dtype : as for `PrecisionAtRecall`.
    """

    wanted, given = _RECALL, _SPECIFICITY

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__("specificity", specificity, num_thresholds, class_id, name, dtype)


class SpecificityAtSensitivity(_AtGiven):
    """The best specificity, true / all negatives, where the sensitivity, or recall, is at least the given one.

    >>> from lstmcore.metrics import SpecificityAtSensitivity
    >>> SpecificityAtSensitivity(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
    0.6666666666666666

    Parameters
    ----------
    sensitivity : from 0 to 1.
    num_thresholds, class_id, name, dtype : as for `PrecisionAtRecall`.
    """

    wanted, given = _SPECIFICITY, _RECALL

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__("sensitivity", sensitivity, num_thresholds, class_id, name, dtype)
