"""What is reported about a data set: the loss and the metrics, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..metrics import Mean, Metric
from .objective import Objective

Logs = dict[str, Any]


class Measures:
    """The mean loss over the rows seen since `reset`, and the metrics of all outputs.

    Parameters
    ----------
    objectives : those of the outputs, which let their metrics see the batches.

    Attributes
    ----------
    names : of what is reported, "loss" first; equal ones are told apart as in Keras.
    metrics : all of them: the mean loss, the metrics, and the weighted metrics.
    """

    def __init__(self, objectives: Sequence[Objective]) -> None:
        self.loss = Mean("loss")
        self.metrics: list[Metric] = [self.loss]
        self.names = ["loss"]
        for objective in objectives:
            self.metrics += [*objective.metrics, *objective.weighted_metrics]
            self.names += [metric.name for metric in objective.metrics]
            for metric in objective.weighted_metrics:
                base = metric.name if metric.name not in self.names else f"weighted_{metric.name}"
                same = sum(name == base or name.startswith(f"{base}_") for name in self.names)
                self.names.append(base if base not in self.names else f"{base}_{same}")
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        for metric in self.metrics:
            metric.reset_state()

    def update(self, loss: float, rows: int) -> None:
        """Take in the loss of a batch, with all penalties, for so many rows."""
        self.loss.update_state(loss, rows)

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
