"""Areas under the curves that a threshold on the outputs draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .. import _core
from .._arguments import flag, float_array, integer, positive_integer
from ..losses.regression import EPSILON
from .confusion import counts_above, ratio, thresholds_of, weights_of
from .metric import Metric, pair

Array = NDArray[Any]


class AUC(Metric):
    """The area under a curve: ROC (recall over false positive rate), precision over recall, or their gains.

    >>> from lstmcore.metrics import AUC
    >>> metric = AUC(num_thresholds=3)  # at -1e-7, 0.5 and 1 + 1e-7
    >>> metric([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
    0.75

    The curve has a point at each of ``num_thresholds`` thresholds, evenly from 0 to 1, as in Keras; time and memory do
    not grow with samples times thresholds.

    Parameters
    ----------
    num_thresholds : from 2 to 1,000,000.
    curve : "ROC", "PR" or "PRGAIN": precision gain over recall gain (Flach & Kull 2015), each ``1 - odds * wrong /
        true positives``, odds those of being true, wrong the false positives or negatives. Without true positives the
        gains are 1 and 0, and a recall gain below 0 is 0, as in Keras.
    summation_method : "interpolation" (trapezes; for PR the interpolation of Davis & Goadrich 2006), "majoring" or
        "minoring": the higher or the lower end of each interval.
    name, dtype : as for `Metric`.
    thresholds : instead of ``num_thresholds``, those between the ends, from 0 to 1.
    multi_label : the mean of the areas of the outputs along the last axis, instead of one area for all together.
    num_labels : how many outputs, with ``multi_label``; the first batch tells otherwise.
    label_weights : weights of the outputs: of their areas with ``multi_label``, of their samples without.
    from_logits : the outputs are put through a sigmoid first.
    """

    direction = "up"
    true_positives: Array | None
    false_positives: Array | None
    true_negatives: Array | None
    false_negatives: Array | None

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: DTypeLike | None = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: ArrayLike | None = None,
        from_logits: bool = False,
    ) -> None:
        if str(curve).upper() not in ("ROC", "PR", "PRGAIN"):
            raise ValueError(f"AUC: curve: expected 'ROC', 'PR' or 'PRGAIN', got {curve!r}")
        if str(summation_method).lower() not in ("interpolation", "majoring", "minoring"):
            raise ValueError(
                f"AUC: summation_method: expected 'interpolation', 'majoring' or 'minoring', got {summation_method!r}"
            )
        self.curve, self.summation_method = str(curve).upper(), str(summation_method).lower()
        if thresholds is not None:
            between = sorted(thresholds_of("AUC", thresholds, 0.5))
        elif not 2 <= integer("AUC: num_thresholds", num_thresholds) <= 10**6:
            raise ValueError(f"AUC: num_thresholds: expected from 2 to 1,000,000, got {num_thresholds!r}")
        else:
            between = [k / (num_thresholds - 1) for k in range(1, num_thresholds - 1)]
        # The ends lie outside, so that 0 and 1 are in.
        self.thresholds = [-EPSILON, *between, 1 + EPSILON]
        self.num_thresholds = len(self.thresholds)
        self.multi_label = flag("AUC: multi_label", multi_label)
        if num_labels is not None and not self.multi_label:
            raise ValueError("AUC: num_labels: is for multi_label=True")
        self.num_labels = None if num_labels is None else positive_integer("AUC: num_labels", num_labels)
        self.label_weights = (
            None if label_weights is None else float_array("AUC: label_weights", label_weights, np.dtype(np.float64))
        )
        self.from_logits = flag("AUC: from_logits", from_logits)
        super().__init__(name=name, dtype=dtype)

    def initial_state(self) -> dict[str, Any]:
        """Return zeros (thresholds, labels), or None where the first batch tells the number of labels."""
        labels = self.num_labels if self.multi_label else 1
        names = ("true_positives", "false_positives", "true_negatives", "false_negatives")
        return {name: None if labels is None else np.zeros((self.num_thresholds, labels)) for name in names}

    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Take in a batch: targets that count as true unless they are 0, outputs, weights."""
        true, pred = pair(y_true, y_pred, "; for integer labels, make them one-hot with utils.to_categorical")
        if self.from_logits:
            pred = _core.sigmoid(pred if pred.dtype.kind == "f" else pred.astype(np.float64))
        weights = None if sample_weight is None else weights_of(true, sample_weight)
        columns = pred.shape[-1] if self.multi_label else 1
        if self.label_weights is not None:
            if self.label_weights.shape != pred.shape[-1:]:
                raise ValueError(
                    f"{self.name}: label_weights: expected {pred.shape[-1]}, one for each output, "
                    f"got shape {self.label_weights.shape}"
                )
            if not self.multi_label:
                weights = np.broadcast_to(self.label_weights, pred.shape) * (1 if weights is None else weights)
        pred = np.clip(pred, 0, 1)
        four = counts_above(true, pred, weights, np.asarray(self.thresholds), columns)
        if self.true_positives is not None and self.true_positives.shape != four[0].shape:
            raise ValueError(
                f"{self.name}: y_pred: expected {self.true_positives.shape[1]} labels, got {four[0].shape[1]}"
            )
        for name, counts in zip(self.initial_state(), four, strict=True):
            before = getattr(self, name)
            setattr(self, name, counts if before is None else before + counts)

    def result(self) -> float:
        """Return the area."""
        if self.true_positives is None or self.false_positives is None:
            return 0.0
        tp, fp, tn, fn = self.true_positives, self.false_positives, self.true_negatives, self.false_negatives
        assert tn is not None
        assert fn is not None
        if self.curve == "PR" and self.summation_method == "interpolation":
            areas = _interpolated(tp, fp, fn)
        else:
            if self.curve == "ROC":
                x, y = ratio(fp, fp + tn), ratio(tp, tp + fn)
            elif self.curve == "PR":
                x, y = ratio(tp, tp + fn), ratio(tp, tp + fp)
            else:
                odds = ratio(tp + fn, tn + fp)
                x = np.where(tp == 0, 0, np.maximum(1 - odds * ratio(fn, tp), 0))
                y = np.where(tp == 0, 1, 1 - odds * ratio(fp, tp))
            if self.summation_method == "interpolation":
                heights = (y[:-1] + y[1:]) / 2
            else:
                heights = (np.minimum if self.summation_method == "minoring" else np.maximum)(y[:-1], y[1:])
            areas = (x[:-1] - x[1:]) * heights
        of_labels = areas.sum(0)
        if self.label_weights is None or not self.multi_label:
            return float(of_labels.mean())
        return float(ratio((of_labels * self.label_weights).sum(), self.label_weights.sum()))


def _interpolated(tp: Array, fp: Array, fn: Array) -> Array:
    """Return the areas under precision over recall between thresholds, tp and p = tp + fp changing in proportion.

    With dtp = slope dp the precision is (intercept + slope p) / p, and its integral over dtp is
    slope (dtp + intercept log(p_a / p_b)); over recall, divided by the number of positives.
    """
    p = tp + fp
    dtp, dp = tp[:-1] - tp[1:], p[:-1] - p[1:]
    slope = ratio(dtp, dp)
    intercept = tp[1:] - slope * p[1:]
    both = (p[:-1] > 0) & (p[1:] > 0)
    growth = np.where(both, p[:-1], 1) / np.where(both, p[1:], 1)
    return ratio(slope * (dtp + intercept * np.log(growth)), tp[1:] + fn[1:])
