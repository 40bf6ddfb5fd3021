"""Conditional random fields: a label for every step, and what stands beside it (Lafferty et al. 2001)."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .. import _core
from .._arguments import ArgumentTypeError, real_array
from .._chains import Chains, joined, parted, steps_of
from .loss import Loss
from .targets import Shape
from .weights import total, without_masked

Array = NDArray[Any]

_SOURCE = "a Sequential or a graph that is trained with it ends with a layers.CRF, which is called once"


class CRF(Loss):
    """-ln of the probability of a row's labels among all paths: the loss of models that end with `layers.CRF`.

    >>> import numpy as np
    >>> from lstmcore import layers, losses
    >>> layer = layers.CRF(2)
    >>> emissions = np.log([[[0.6, 0.4], [0.3, 0.7]]]).astype("float32")
    >>> round(float(np.exp(-losses.CRF()([[0, 1]], layer(emissions, logits=True)))), 5)  # 0.6 times 0.7
    0.42

    Targets are (batch, steps) integers; where the mask is False they may be anything. There is one loss for a row, not
    divided by its steps, and one sample weight. A row without any steps has a loss of 0, and counts.

    In training, the layer gives all that the loss depends on; called by hand, ``layer(emissions, logits=True)`` does.
    For plain arrays there is `functional.crf_loss`.

    Parameters
    ----------
    reduction, name, dtype : as for `Loss`.

    Raises
    ------
    ValueError, TypeError
        Labels are beyond the tags, or forbidden by the constraints of the layer; the outputs are not those of one.
    """

    by_targets = "labels"

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    @property
    def fuses(self) -> str | None:
        """Return "crf", what `layers.CRF` ends with."""
        return "crf"

    def targets(self, y: ArrayLike, y_pred_shape: Shape, dtype: DTypeLike, name: str = "y") -> Array:
        """Return labels as integers; errors begin with ``name``."""
        steps = y_pred_shape[1] if len(y_pred_shape) == 2 else steps_of(y_pred_shape)  # type: ignore[arg-type]
        if steps is None and len(y_pred_shape) != 2:
            raise ValueError(
                f"y_pred: {self.name}: expected what layers.CRF returns, got shape {y_pred_shape}; {_SOURCE}"
            )
        labels = real_array(name, y, "whole numbers (tags)").copy()  # another thread may change them meanwhile
        if labels.ndim == 3 and labels.shape[-1] == 1:
            labels = labels[..., 0]
        if labels.ndim != 2 or y_pred_shape[0] not in (None, len(labels)) or steps not in (None, labels.shape[1]):
            hint = "" if len(y_pred_shape) == 2 else f", for outputs of shape {y_pred_shape}; {_SOURCE}"
            raise ValueError(
                f"{name}: expected shape (batch={y_pred_shape[0]}, steps={steps}), got {np.shape(y)}{hint}"
            )
        if labels.dtype.kind == "b":
            raise ArgumentTypeError(f"{name}: expected whole numbers (tags), got {labels.dtype}")
        if labels.dtype.kind == "f":
            # What is no whole number, or too large for one, may stand where there is padding: it is no tag.
            whole = (labels == np.floor(labels)) & (np.abs(labels) < 2.0**62)
            labels = np.where(whole, labels, -1)
        return labels.astype(np.int64, copy=False)

    def with_mask(self, y_true: Array, mask: Array | None) -> tuple[Any, Array | None]:
        """Return the targets and no mask: the layer says how many steps of a row count."""
        return y_true, None

    def samples(self, y_pred_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (batch,): there is one loss for a row."""
        return y_pred_shape[:1]

    # --- values ---

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return the loss of each row."""
        losses: Array = self._run(y_true, y_pred, gradient=False)[0]
        return losses

    def gradient(self, y_true: Array, y_pred: Array) -> Array:
        """Return the derivatives of each row's loss by that row's scores."""
        slopes: Array = self._run(y_true, y_pred, gradient=True)[1]
        return slopes

    def value(self, y_true: Array, y_pred: Array, weights: Array | None = None, logits: Array | None = None) -> float:
        """Return what `value_and_gradient` does without the gradient."""
        scale = self._factor(y_pred.shape[:1], weights, np.dtype(np.float64))
        losses = self._run(y_true, y_pred if logits is None else logits, gradient=False, scale=scale)[0]
        return total(without_masked(losses, scale), scale)

    def value_and_gradient(
        self, y_true: Array, y_pred: Array, weights: Array | None = None, logits: Array | None = None
    ) -> tuple[float, Array]:
        """Return the loss of a batch and its gradient; see `Loss.value_and_gradient`."""
        scale = self._factor(y_pred.shape[:1], weights, np.dtype(np.float64))
        losses, slopes = self._run(y_true, y_pred if logits is None else logits, gradient=True, scale=scale)
        return total(without_masked(losses, scale), scale), slopes

    def _run(self, y_true: Array, y_pred: Array, gradient: bool, scale: float | Array = 1.0) -> tuple[Array, Any]:
        if steps_of(y_pred.shape) is None:
            raise ValueError(
                f"y_pred: {self.name}: expected what layers.CRF returns, got shape {y_pred.shape}; {_SOURCE}"
            )
        chains = parted(y_pred)
        if not len(y_pred):
            return np.zeros(0, y_pred.dtype), np.zeros_like(y_pred) if gradient else None
        emissions, (transitions, start, end) = chains.emissions, (part[0] for part in chains[1:4])
        scales = np.full(len(y_pred), scale) if isinstance(scale, float) else scale
        lengths = chains.lengths.astype(np.int64)
        losses, d = _core.crf(
            emissions, y_true, transitions, start, end, lengths, gradient, scales.astype(y_pred.dtype)
        )
        infinite = np.flatnonzero((losses == np.inf) & (scales != 0))
        if infinite.size:
            self._refuse_forbidden(y_true, chains, infinite)
        return losses, joined(d[0], d[1], d[2], d[3], 0) if gradient else None

    def _refuse_forbidden(self, labels: Array, chains: Chains, rows: Array) -> None:
        """Refuse labels that have what constraints forbid."""
        for row in map(int, rows):
            path = labels[row, : int(chains.lengths[row])].tolist()
            what = []
            if chains.start[row, path[0]] == -np.inf:
                what.append(f"tag {path[0]} first")
            what += [
                f"tag {j} behind {i} at step {t}"
                for t, (i, j) in enumerate(itertools.pairwise(path), 1)
                if chains.transitions[row, i, j] == -np.inf
            ]
            if chains.end[row, path[-1]] == -np.inf:
                what.append(f"tag {path[-1]} last")
            if what:
                raise ValueError(
                    f"y: row {row} of the batch has {what[0]}, which the constraints of the layer forbid; it has {path}"
                )
