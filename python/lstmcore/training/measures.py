"""What is reported about a data set: the loss and the metrics, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import metrics as metrics_module
from .._arguments import read_only

if TYPE_CHECKING:
    from ..losses import Loss
    from ..metrics import Metric

Array = NDArray[Any]
Logs = dict[str, Any]


class Measures:
    """The mean loss over the rows seen since `reset`, and the metrics.

    Parameters
    ----------
    metrics, weighted : identifiers as `compile` takes them; sample weights go to the second only.
    loss, output_shape : decide what "accuracy" means.

    Attributes
    ----------
    names : of what is reported, "loss" first; equal ones are told apart as in Keras.
    metrics : all of them: the mean loss, the metrics, and the weighted metrics.
    """

    def __init__(
        self, metrics: Sequence[Any], weighted: Sequence[Any], loss: Loss, output_shape: tuple[int | None, ...]
    ) -> None:
        def resolve(identifiers: Sequence[Any]) -> list[Metric]:
            return [metrics_module.resolve(m, loss, output_shape) for m in identifiers]

        self._plain = metrics_module.unique(resolve(metrics))
        self._weighted = resolve(weighted)
        self.loss = metrics_module.Mean("loss")
        self.metrics: list[Metric] = [self.loss, *self._plain, *self._weighted]
        self.names = ["loss", *(m.name for m in self._plain)]
        for metric in self._weighted:
            base = metric.name if metric.name not in self.names else f"weighted_{metric.name}"
            same = sum(name == base or name.startswith(f"{base}_") for name in self.names)
            self.names.append(base if base not in self.names else f"{base}_{same}")
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        for metric in self.metrics:
            metric.reset_state()

    def update(
        self, loss: float, rows: int, y_true: Array, y_pred: Array, sample_weight: Array | None, mask: Array | None
    ) -> None:
        """Take in a batch: its loss, for so many rows, targets, outputs; a mask leaves out steps where it is False."""
        self.loss.update_state(loss, rows)
        if not self._plain and not self._weighted:
            return
        counts = None if mask is None else mask.astype(y_pred.dtype)
        for metric in self._plain:  # views, for one of the user's may reshape what it gets
            metric.update_state(y_true.view(), y_pred.view(), counts)
        if self._weighted:
            if sample_weight is not None and counts is not None:
                weight = np.asarray(sample_weight, y_pred.dtype)
                counts = counts * weight.reshape(weight.shape + (1,) * (counts.ndim - weight.ndim))
            elif sample_weight is not None:
                counts = read_only(sample_weight)
            for metric in self._weighted:
                metric.update_state(y_true.view(), y_pred.view(), counts)

    def logs(self) -> Logs:
        """Return the loss and the metrics of what was seen: floats, and arrays of those metrics that give some."""
        return {name: m.result() for name, m in zip(self.names, self.metrics, strict=True)}

    def state(self) -> dict[str, dict[str, Any]]:
        """Return what `load_state` needs to go on from here."""
        return {name: m.state() for name, m in zip(self.names, self.metrics, strict=True)}

    def load_state(self, state: dict[str, dict[str, Any]]) -> None:
        """Go on from a state: with all of it or, on an error, none."""
        if list(state) != self.names:
            raise ValueError(f"metrics: expected the state of {', '.join(self.names)}, got that of {', '.join(state)}")
        before = self.state()
        try:
            for metric, part in zip(self.metrics, state.values(), strict=True):
                metric.load_state(part)
        except BaseException:
            for metric, part in zip(self.metrics, before.values(), strict=True):
                metric.load_state(part)
            raise
