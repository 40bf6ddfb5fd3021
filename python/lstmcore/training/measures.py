"""What is reported about a data set: the loss and the metrics, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._names import free_name
from ..metrics import Mean, Metric
from .objective import Objective

Logs = dict[str, Any]


class Measures:
    """The mean loss over the rows seen since `reset`, that of each of several outputs, and the metrics of all.

    Parameters
    ----------
    objectives : those of the outputs, which let their metrics see the batches; None for an output without.
    outputs : their names, which come before those of what is reported of each; None if there is one.

    Attributes
    ----------
    names : of what is reported, "loss" first; equal ones are told apart as in Keras.
    metrics : all of them: the mean loss and, if several outputs have one, each loss; then, output by output, the
        metrics and the weighted metrics.
    """

    def __init__(self, objectives: Sequence[Objective | None], outputs: Sequence[str] | None = None) -> None:
        self.loss = Mean("loss")
        asked = [(name, one) for name, one in zip(outputs or [""], objectives, strict=True) if one is not None]
        self.parts = [Mean(f"{name}_loss") for name, _ in asked] if len(asked) > 1 else []
        self.metrics: list[Metric] = [self.loss, *self.parts]
        self.names = [metric.name for metric in self.metrics]
        for output, objective in asked:
            prefix = f"{output}_" if len(objectives) > 1 else ""
            self.metrics += [*objective.metrics, *objective.weighted_metrics]
            for metric in objective.metrics:
                self.names.append(free_name(f"{prefix}{metric.name}", self.names))
            for metric in objective.weighted_metrics:
                taken = f"{prefix}{metric.name}" in self.names
                name = f"{prefix}weighted_{metric.name}" if taken else f"{prefix}{metric.name}"
                self.names.append(free_name(name, self.names))
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        for metric in self.metrics:
            metric.reset_state()

    def update(self, loss: float, parts: Sequence[float], rows: Sequence[int]) -> None:
        """Take in a batch: its loss, with all penalties, that of each output, and how many rows these count for."""
        self.loss.update_state(loss, rows[0])
        if self.parts:
            for mean, value, count in zip(self.parts, parts, rows, strict=True):
                mean.update_state(value, count)

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
