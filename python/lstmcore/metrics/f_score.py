"""The harmonic mean of precision and recall."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .._arguments import among, number
from ..losses.regression import EPSILON
from .confusion import weights_of
from .metric import Metric, pair

Array = NDArray[Any]


class FBetaScore(Metric):
    """(1 + beta²) precision recall / (beta² precision + recall).

    >>> from lstmcore.metrics import FBetaScore
    >>> metric = FBetaScore(beta=2.0, threshold=0.5)
    >>> metric([[1, 1, 1], [1, 0, 0], [1, 1, 0]], [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]]).round(4)
    array([0.3846, 0.9091, 0.8333])

    Parameters
    ----------
    average : None for an array of one for each class along the last axis; "micro" counts all classes together,
        "macro" is the mean over classes, "weighted" the mean by how often each is true.
    beta : positive.
    threshold : outputs above it are positive; by default the largest of each sample is.
    name, dtype : as for `Metric`.
    """

    direction = "up"
    true_positives: Array | None
    false_positives: Array | None
    false_negatives: Array | None

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: DTypeLike | None = None,
    ) -> None:
        kind = type(self).__name__
        if not among(average, (None, "micro", "macro", "weighted")):
            raise ValueError(f"{kind}: average: expected 'micro', 'macro', 'weighted' or None, got {average!r}")
        self.average = average
        self.beta = number(f"{kind}: beta", beta, "[0, 1e100]")
        if not self.beta:
            raise ValueError(f"{kind}: beta: expected a positive number, got {beta!r}")
        self.threshold = None if threshold is None else number(f"{kind}: threshold", threshold, "[0, 1]")
        super().__init__(name=name, dtype=dtype)

    def initial_state(self) -> dict[str, Any]:
        """Return None: the first batch tells the number of classes."""
        return {"true_positives": None, "false_positives": None, "false_negatives": None}

    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Take in a batch: one-hot or 0 and 1 targets, outputs, weights."""
        true, pred = pair(y_true, y_pred, "; for integer labels, make them one-hot with utils.to_categorical")
        if self.threshold is None:
            # An output of zeros stands for no class.
            found = (pred >= pred.max(-1, keepdims=True)) & (np.abs(pred) > 1e-9)
        else:
            found = pred > self.threshold
        w = np.ones(true.shape) if sample_weight is None else weights_of(true, sample_weight)
        there = true.astype(np.float64)
        classes = true.shape[-1]
        if self.true_positives is not None and len(self.true_positives) != classes:
            raise ValueError(f"{self.name}: y_pred: expected {len(self.true_positives)} classes, got {classes}")
        new = {
            "true_positives": found * there * w,
            "false_positives": found * (1 - there) * w,
            "false_negatives": ~found * there * w,
        }
        for name, values in new.items():
            before = getattr(self, name)
            counts = values.reshape(-1, classes).sum(0)
            setattr(self, name, counts if before is None else before + counts)

    def result(self) -> Any:
        """Return the score: a float, or an array of one for each class if there is no average."""
        if self.true_positives is None or self.false_positives is None or self.false_negatives is None:
            return 0.0
        tp, fp, fn = self.true_positives, self.false_positives, self.false_negatives
        there = tp + fn
        if self.average == "micro":
            tp, fp, fn = tp.sum(), fp.sum(), fn.sum()
        # Keras's small number, so that scores without any positive are 0.
        precision, recall = tp / (tp + fp + EPSILON), tp / (tp + fn + EPSILON)
        square = self.beta**2
        score = (1 + square) * precision * recall / (square * precision + recall + EPSILON)
        if self.average is None:
            return score
        if self.average == "weighted":
            return float((score * there / (there.sum() + EPSILON)).sum())
        return float(np.mean(score))


class F1Score(FBetaScore):
    """2 precision recall / (precision + recall).

    >>> from lstmcore.metrics import F1Score
    >>> metric = F1Score(threshold=0.5)
    >>> metric([[1, 1, 1], [1, 0, 0], [1, 1, 0]], [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]]).round(4)
    array([0.5   , 0.8   , 0.6667])

    Parameters
    ----------
    average, threshold, name, dtype : as for `FBetaScore`.
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)
