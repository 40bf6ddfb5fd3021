"""Connectionist temporal classification: labels in order, but at no steps in particular (Graves et al. 2006)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .. import _core
from .._arguments import flag, integer, integer_array, prefix_lengths, real_array
from .._warnings import warn
from .loss import Loss
from .regression import EPSILON
from .targets import Shape
from .weights import combine_weights, total, without_masked

Array = NDArray[Any]

# Float32 sums of tens of thousands of probabilities are nearer to 1 than this.
_NEAR_ONE = 1e-3


class Sequences(NamedTuple):
    """Labels and how many of them and of the steps count; None: those that are no padding, and all."""

    labels: Array
    input_lengths: Array | None
    label_lengths: Array | None


class CTC(Loss):
    """-ln of the probability of a row's labels, wherever in its steps they stand: see `functional.ctc_loss`.

    >>> from lstmcore.losses import CTC
    >>> logits = [[[1.0, 6.0, 1.0], [1.0, 1.0, 6.0]]]
    >>> round(CTC()([[1, 2, 0]], logits), 5)  # 0 is the blank, and fills up
    0.02677

    Targets are (batch, max_labels) integers with padding behind, outputs (batch, steps, classes). In training the mask
    that reaches the loss says how many steps of a row count. There is one loss for a row, and one sample weight.

    Labels need a step each, and one more for the blank between any two that are equal. A row with fewer steps has no
    path: its own loss, as the reduction "none" leaves it, is infinite. A sum or mean leaves such rows out, as if they
    were not in the batch: they are not counted, and have no gradient. The first is told of in a warning.

    Parameters
    ----------
    reduction, name, dtype : as for `Loss`.
    blank : the class that stands for no label.
    padding : what rows of labels are filled up with; the blank by default.
    from_logits : the outputs are logits, as Keras has it. False: they are probabilities, of a softmax best, whose
        gradient is then taken together with that of the loss; others are first put above 1e-7.
    zero_infinity : rows without a path have a loss of 0 instead, and count, as in PyTorch; nothing is told.

    Raises
    ------
    ValueError
        Labels are beyond the classes, blank, or have padding among them; a mask has padding that is not behind the
        steps; outputs are no probabilities where they should be. (A warning tells of the reverse, once.)
    """

    by_targets = "labels"

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: DTypeLike | None = None,
        blank: int = 0,
        padding: int | None = None,
        from_logits: bool = True,
        zero_infinity: bool = False,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.blank = integer("CTC: blank", blank)
        if self.blank < 0:
            raise ValueError(f"CTC: blank: expected a class, from 0 on, got {blank!r}")
        self.padding = self.blank if padding is None else integer("CTC: padding", padding)
        self.from_logits = flag("CTC: from_logits", from_logits)
        self.zero_infinity = flag("CTC: zero_infinity", zero_infinity)
        self._looked_at_outputs = False
        self._told_of_rows = False

    @property
    def fuses(self) -> str | None:
        """Return "softmax", unless the outputs are logits."""
        return None if self.from_logits else "softmax"

    # --- targets, lengths, weights ---

    def targets(self, y: ArrayLike, y_pred_shape: Shape, dtype: DTypeLike, name: str = "y") -> Array:
        """Return labels as integers; errors begin with ``name``."""
        labels = self._whole(y, y_pred_shape, name)
        counts = self._label_lengths(labels)
        wrong = np.argwhere((labels != self.padding) != (np.arange(labels.shape[1]) < counts[:, None]))
        if wrong.size:
            hint = "blanks have no place among labels" if self.padding == self.blank else "the labels come first"
            raise ValueError(
                f"{name}: expected padding ({self.padding}) behind the labels only, got some among them in row "
                f"{wrong[0][0]}; {hint}, and pad_sequences takes padding='post'"
            )
        self._check_range(labels, counts, y_pred_shape[2], name)
        return labels

    def with_mask(self, y_true: Array, mask: Array | None) -> tuple[Any, Array | None]:
        """Return the targets with the lengths that the mask says, and no mask."""
        if mask is None:
            return y_true, None
        return Sequences(y_true, prefix_lengths(self.name, mask), None), None

    def samples(self, y_pred_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (batch,): there is one loss for a row."""
        return y_pred_shape[:1]

    def _whole(self, y: ArrayLike, y_pred_shape: Shape, name: str) -> Array:
        if len(y_pred_shape) != 3:
            raise ValueError(f"y_pred: expected shape (batch, steps, classes), got {y_pred_shape}")
        if y_pred_shape[2] is not None and self.blank >= y_pred_shape[2]:
            raise ValueError(
                f"{self.name}: blank: expected a class from 0 to {y_pred_shape[2] - 1}, for the outputs have "
                f"{y_pred_shape[2]}, got {self.blank}"
            )
        labels = real_array(name, y, "whole numbers (class labels)")
        if labels.dtype.kind == "b":
            raise TypeError(f"{name}: expected whole numbers (class labels), got {labels.dtype}")
        if labels.ndim != 2 or y_pred_shape[0] not in (None, len(labels)):
            raise ValueError(f"{name}: expected shape (batch={y_pred_shape[0]}, max_labels), got {labels.shape}")
        if labels.dtype.kind == "f":
            # What is too large for an integer is no class either.
            wrong = np.flatnonzero(~((labels == np.floor(labels)) & (np.abs(labels) < 2.0**62)))
            if wrong.size:
                raise ValueError(f"{name}: expected whole numbers (class labels), got {labels.flat[wrong[0]]!s}")
        return labels.astype(np.int64, copy=False)

    def _label_lengths(self, labels: Array) -> Array:
        return np.asarray(np.count_nonzero(labels != self.padding, axis=1))

    def _check_range(self, labels: Array, counts: Array, classes: int | None, name: str) -> None:
        counted = np.arange(labels.shape[1]) < counts[:, None]
        beyond = (labels < 0) | (labels >= (np.iinfo(np.int64).max if classes is None else classes))
        wrong = np.argwhere(counted & (beyond | (labels == self.blank)))
        if wrong.size:
            expected = f"labels from 0 to {'' if classes is None else classes - 1} other than the blank ({self.blank})"
            raise ValueError(
                f"{name}: expected {expected}, got {labels[tuple(wrong[0])]} at {tuple(map(int, wrong[0]))}"
            )

    # --- values ---

    def __call__(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        input_lengths: ArrayLike | None = None,
        label_lengths: ArrayLike | None = None,
    ) -> Any:
        """Return the loss: a float, or with the reduction "none" an array.

        Parameters
        ----------
        y_true, y_pred, sample_weight : labels, outputs, and a weight for each row.
        input_lengths : (batch,) how many steps of each row count; all by default.
        label_lengths : (batch,) how many labels; by default those that are no padding.
        """
        pred = real_array("y_pred", y_pred)
        dtype = self.dtype or (pred.dtype if pred.dtype in (np.float32, np.float64) else np.dtype(np.float64))
        pred = pred.astype(dtype, copy=False)
        if label_lengths is None:
            labels = self.targets(y_true, pred.shape, dtype, "y_true")
        else:
            labels = self._whole(y_true, pred.shape, "y_true")
        given = {"input_lengths": input_lengths, "label_lengths": label_lengths}
        lengths = [None if n is None else integer_array(name, n) for name, n in given.items()]
        sequences = Sequences(labels, *lengths)
        losses = self.call(sequences, pred)
        fitting = None if self.reduction == "none" else self._fitting(sequences, pred)
        weights = combine_weights(losses.shape, sample_weight, fitting, self.reduction)
        if weights is not None:
            without_masked(losses, weights)  # infinity times zero is none
        if self.reduction == "none":
            return losses if weights is None else losses * weights.astype(losses.dtype)
        return total(losses, self._factor(losses.shape, weights, losses.dtype))

    def rows(self, y_true: Any, y_pred: Array) -> int:
        """Return how many rows the loss is a mean over: those that have a path."""
        fitting = self._fitting(y_true, y_pred)
        return len(y_pred) if fitting is None else int(np.count_nonzero(fitting))

    def divisor(self, y_true: Any, y_pred: Array, weights: Array | None, left: Array | None) -> float:
        """Return what `Loss.divisor` does, of the rows that have a path."""
        fitting = self._fitting(y_true, y_pred)
        if fitting is not None and weights is not None:
            weights = weights * fitting
        return super().divisor(y_true, y_pred, weights, None)

    def call(self, y_true: Any, y_pred: Array) -> Array:
        """Return the loss of each row."""
        losses: Array = self._run(y_true, y_pred, None, gradient=False)[0]
        return losses

    def gradient(self, y_true: Any, y_pred: Array) -> Array:
        """Return the derivatives of each row's loss by that row's outputs."""
        d_outputs: Array = self._run(y_true, y_pred, None, gradient=True)[1]
        return d_outputs

    def value(self, y_true: Any, y_pred: Array, weights: Array | None = None, logits: Array | None = None) -> float:
        """Return what `value_and_gradient` does without the gradient."""
        scale = self._scale(y_true, y_pred, weights)
        losses = self._run(y_true, y_pred, logits, gradient=False)[0]
        return total(without_masked(losses, scale), scale)

    def value_and_gradient(
        self, y_true: Any, y_pred: Array, weights: Array | None = None, logits: Array | None = None
    ) -> tuple[float, Array]:
        """Return the loss of a batch and its gradient; see `Loss.value_and_gradient`."""
        scale = self._scale(y_true, y_pred, weights)
        losses, d_outputs = self._run(y_true, y_pred, logits, gradient=True, scale=scale)
        return total(without_masked(losses, scale), scale), d_outputs

    def _scale(self, y_true: Any, y_pred: Array, weights: Array | None) -> float | Array:
        fitting = self._fitting(y_true, y_pred)
        if fitting is not None:
            weights = combine_weights(y_pred.shape[:1], weights, fitting, self.reduction)
        return self._factor(y_pred.shape[:1], weights, y_pred.dtype)

    def _fitting(self, y_true: Any, y_pred: Array) -> Array | None:
        """Return True for each row that has steps enough for its labels; None if all have, or are to count."""
        labels, steps, counts = y_true if isinstance(y_true, Sequences) else Sequences(y_true, None, None)
        available = np.asarray(y_pred.shape[1] if steps is None else steps)
        most = labels.shape[1]
        if self.zero_infinity or not len(labels) or available.min() >= 2 * most - 1:
            return None
        if counts is None:
            counts = self._label_lengths(labels)
        equal = (labels[:, 1:] == labels[:, :-1]) & (np.arange(1, most) < counts[:, None])
        needed = counts + np.count_nonzero(equal, axis=1)
        fitting = np.asarray(available >= needed)
        if fitting.all():
            return None
        if not self._told_of_rows:
            self._told_of_rows = True
            row = int(fitting.argmin())
            first = ", ".join(map(str, labels[row, : min(8, counts[row])])) + (", …" if counts[row] > 8 else "")
            # Of the batch, for rows are shuffled; by its labels it is found among all.
            warn(
                f"{self.name}: row {row} of the batch has {counts[row]} labels ({first}), which need {needed[row]} "
                "steps, with a blank between any two that are equal, and "
                f"{np.broadcast_to(available, fitting.shape)[row]} steps; such rows, here "
                f"{np.count_nonzero(~fitting)} of {len(fitting)}, are left out",
            )
        return fitting

    def _run(
        self, y_true: Any, y_pred: Array, logits: Array | None, gradient: bool, scale: float | Array = 1.0
    ) -> tuple[Array, Any]:
        labels, steps, counts = y_true if isinstance(y_true, Sequences) else Sequences(y_true, None, None)
        if counts is None:
            counts = self._label_lengths(labels)
        from_logits = self.from_logits or logits is not None
        inputs = y_pred if logits is None else logits
        probabilities = inputs
        if not from_logits:
            _check_probabilities(inputs, steps)
            probabilities = np.maximum(inputs, EPSILON)
            inputs = np.log(probabilities)
        elif logits is None and not self._looked_at_outputs and y_pred.size:
            self._looked_at_outputs = True
            if _are_probabilities(y_pred):
                warn(
                    f"{self.name}: the outputs look like probabilities, where logits are expected; leave out the "
                    "softmax, or say from_logits=False",
                )
        scales = np.full(len(inputs), scale, inputs.dtype) if isinstance(scale, float) else scale
        losses, slopes = _core.ctc(
            inputs, labels, steps, counts, self.blank, from_logits, self.zero_infinity and from_logits, gradient, scales
        )
        if gradient and not from_logits:
            # The core's are p s - (part of p) s; by the probabilities themselves they are -(part of p) s / p.
            across = scales[:, None, None]
            slopes = (slopes / probabilities - across) * (probabilities == y_pred)
            slopes[(across == 0).ravel()] = 0
            if steps is not None:
                slopes[np.arange(slopes.shape[1]) >= steps[:, None]] = 0
        if self.zero_infinity and not from_logits:
            infinite = losses == np.inf
            losses[infinite] = 0
            if gradient:
                slopes[infinite] = 0
        return losses, slopes


def _check_probabilities(p: Array, lengths: Array | None) -> None:
    """Refuse outputs that are negative or do not add up to 1 at steps that count; NaN is for the loss to show."""
    low, sums = np.minimum.reduce(p, axis=-1), np.add.reduce(p, axis=-1)
    counted = np.ones(low.shape, bool) if lengths is None else np.arange(p.shape[1]) < lengths[:, None]
    if (counted & (low < 0)).any():
        raise ValueError(
            f"y_pred: expected probabilities, got {float(low[counted].min()):g}; "
            "say from_logits=True if they are logits"
        )
    wrong = np.argwhere(counted & (np.abs(sums - 1) > _NEAR_ONE))
    if wrong.size:
        at = tuple(map(int, wrong[0]))
        raise ValueError(
            f"y_pred: expected probabilities that add up to 1, got a sum of {float(sums[at]):g} at {at}; say "
            "from_logits=True if they are logits"
        )


def _are_probabilities(y: Array) -> bool:
    return bool(
        np.minimum.reduce(y, axis=None) >= 0 and np.abs(np.add.reduce(y, axis=-1) - 1).max(initial=0.0) < _NEAR_ONE
    )
