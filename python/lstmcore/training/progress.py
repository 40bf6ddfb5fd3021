"""How far `fit` has come, so that it can go on from there in another process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ..callbacks import CallbackList
from ..metrics import Metric
from .data import Feed, Source
from .measures import Logs, Measures


class Trained(Protocol):
    """What the loop of `fit` asks of a model."""

    name: str
    stop_training: bool

    def reset_metrics(self) -> None:
        """Forget what metrics have seen."""


class Progress:
    """Where `fit` is.

    Attributes
    ----------
    epoch : the one under way.
    begun : whether its ``on_epoch_begin`` is done.
    step : its batches that are trained on.
    logs : its results, once all its batches are done; None before.
    ended : whether its ``on_epoch_end`` has come.
    given : what the last step of the user's own returned in it; None without one.
    """

    def __init__(
        self,
        epoch: int,
        model: Trained,
        measures: Measures,
        own_metrics: Callable[[], Sequence[Metric]],
        logs_of: Callable[[Logs | None], Logs],
        feed: Feed,
        validation: Source | None,
        hooks: CallbackList,
    ) -> None:
        self.begin(epoch)
        self._model, self._measures, self._own_metrics, self._logs_of = model, measures, own_metrics, logs_of
        self._feed, self._validation, self._hooks = feed, validation, hooks

    def begin(self, epoch: int) -> None:
        """Begin an epoch."""
        self.epoch, self.step, self.begun, self.ended = epoch, 0, False, False
        self.logs: Logs | None = None
        self.given: Logs | None = None

    def report(self) -> Logs:
        """Return the loss and the metrics of the epoch so far, or what a step of the user's own gave."""
        return self._logs_of(self.given)

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "begun": self.begun,
            "ended": self.ended,
            "stop": self._model.stop_training,
            "logs": self.logs,
            "data": self._feed.position(self.step if self.logs is None else 0),
            "validation": None if self._validation is None else [self._validation.kind, self._validation.position()],
            # While an epoch is validated, the metrics hold the validation's numbers.
            "measures": self._measures.state() if self.logs is None else None,
            "metrics": [metric.state() for metric in self._own_metrics()] if self.logs is None else [],
            "given": self.given,
            "callbacks": self._hooks.get_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from where `state` was taken; the model and its optimizer have been restored already."""
        self._hooks.set_state(state["callbacks"])
        self.epoch, self.step, self.begun, self.logs = state["epoch"], state["step"], state["begun"], state["logs"]
        self._feed.seek(state["data"])
        if self._validation is not None and state["validation"] is not None:
            kind, position = state["validation"]
            if kind == self._validation.kind:
                self._validation.seek(position)
        if state["measures"] is not None:
            self._measures.load_state(state["measures"])
            for metric, part in zip(self._own_metrics(), state["metrics"], strict=True):
                metric.load_state(part)
        self.given = state["given"]
        self._model.stop_training = state["stop"]
        if state["ended"]:
            self.begin(self.epoch + 1)
