"""What is reported about a data set: the loss and the metrics, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._names import free_name
from ..metrics import Mean, Metric
from ..variables import Variable
from .objective import Objective

Logs = dict[str, Any]


def plain_result(metric: Metric) -> Any:
    """Return what a metric has come to as a number or an array."""
    result = metric.result()
    if isinstance(result, Variable):
        return result.numpy() if result.ndim else float(result)
    return result


class _MeanLoss(Mean):
    """The mean of a loss, which is known to be a number."""

    def take(self, value: float, rows: int) -> None:
        """Take in a mean over so many rows."""
        self.total += float(value) * rows
        self.count += rows


class _Total(_MeanLoss):
    """The weighted sum of mean losses, and the mean of what comes to them beside: penalties.

    Losses of several outputs need not be means over the same rows, as one may leave some out.
    """

    def __init__(self, name: str, parts: Sequence[_MeanLoss], weights: Sequence[float]) -> None:
        super().__init__(name)
        self._parts, self._weights = parts, weights

    def result(self) -> float:
        """Return the sum."""
        losses = (weight * part.result() for weight, part in zip(self._weights, self._parts, strict=True))
        return sum(losses, super().result())


class Measures:
    """The mean loss over the rows seen since `reset`, that of each of several outputs, and the metrics of all.

    Parameters
    ----------
    objectives : those of the outputs, which let their metrics see the batches; None for an output without.
    outputs : their names, which come before those of what is reported of each; None if there is one.
    weights : of their losses in the sum; 1 by default.

    Attributes
    ----------
    names : of what is reported, "loss" first; equal ones are told apart as in Keras.
    metrics : all of them: the mean loss and, if several outputs have one, each loss; then, output by output, the
        metrics and the weighted metrics.
    """

    def __init__(
        self,
        objectives: Sequence[Objective | None],
        outputs: Sequence[str] | None = None,
        weights: Sequence[float] | None = None,
    ) -> None:
        asked = [(k, one) for k, one in enumerate(objectives) if one is not None]
        names = outputs or [""]
        of_loss = [k for k, objective in asked if objective.loss is not None]
        self.parts = [_MeanLoss(f"{names[k]}_loss") for k in of_loss] if len(of_loss) > 1 else []
        counts = weights or [1.0] * len(objectives)
        self.loss = _Total("loss", self.parts, [counts[k] for k in of_loss]) if self.parts else _MeanLoss("loss")
        self.metrics: list[Metric] = [self.loss, *self.parts]
        self.names = [metric.name for metric in self.metrics]
        # In a state outputs go by their numbers: names may be automatic, and others in the next model or process.
        self._kept_as = ["loss", *(f"{k}_loss" for k in of_loss[: len(self.parts)])]
        several = len(objectives) > 1
        for k, objective in asked:
            self.metrics += [*objective.metrics, *objective.weighted_metrics]
            self.names += _told_apart(objective, f"{names[k]}_" if several else "", self.names)
            self._kept_as += _told_apart(objective, f"{k}_" if several else "", self._kept_as)
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        for metric in self.metrics:
            metric.reset_state()

    def update(self, loss: float, penalty: float, parts: Sequence[float], rows: Sequence[int]) -> None:
        """Take in a batch.

        Parameters
        ----------
        loss, penalty : the whole of it, and what of that is of no output.
        parts, rows : the loss of each output, without its weight, and how many rows that is a mean over.
        """
        if not self.parts:
            self.loss.take(loss, rows[0])
            return
        self.loss.take(penalty, max(rows))
        for mean, value, count in zip(self.parts, parts, rows, strict=True):
            mean.take(value, count)

    def reported(self, others: Sequence[Metric] = ()) -> dict[str, Metric]:
        """Return the loss and the metrics by name, then the ``others``.

        Of these, names that are taken have a number behind them; one called "loss" stands behind the loss.
        """
        asked = dict(zip(self.names, self.metrics, strict=True))
        for metric in others:
            if metric.name != self.loss.name:
                asked[free_name(metric.name, asked)] = metric
        return asked

    def logs(self, others: Sequence[Metric] = ()) -> Logs:
        """Return what was seen: floats, and arrays of those metrics that give some."""
        asked = self.reported(others) if others else dict(zip(self.names, self.metrics, strict=True))
        return {name: plain_result(metric) for name, metric in asked.items()}

    def state(self) -> dict[str, dict[str, Any]]:
        """Return what `load_state` needs to go on from here."""
        return {name: m.state() for name, m in zip(self._kept_as, self.metrics, strict=True)}

    def load_state(self, state: dict[str, dict[str, Any]]) -> None:
        """Go on from a state: with all of it or, on an error, none."""
        if list(state) != self._kept_as:
            expected, got = ", ".join(self._kept_as), ", ".join(state)
            raise ValueError(f"metrics: expected the state of {expected}, got that of {got}")
        before = self.state()
        try:
            for metric, part in zip(self.metrics, state.values(), strict=True):
                metric.load_state(part)
        except BaseException:
            for metric, part in zip(self.metrics, before.values(), strict=True):
                metric.load_state(part)
            raise


def _told_apart(objective: Objective, prefix: str, taken: Sequence[str]) -> list[str]:
    """Return names for the metrics and the weighted metrics of an output, beside those that are taken."""
    names: list[str] = []
    for metric in objective.metrics:
        names.append(free_name(f"{prefix}{metric.name}", [*taken, *names]))
    for metric in objective.weighted_metrics:
        plain = f"{prefix}{metric.name}"
        same = plain in taken or plain in names
        names.append(free_name(f"{prefix}weighted_{metric.name}" if same else plain, [*taken, *names]))
    return names
