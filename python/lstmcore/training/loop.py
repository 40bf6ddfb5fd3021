"""The loop of `fit`: epochs of steps, validation, callbacks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from .._warnings import warn
from ..callbacks import CallbackList, ProgbarLogger
from .data import Arrays, Batch, Feed, warn_of_the_end
from .interrupts import DeferredInterrupt
from .measures import Logs
from .progress import Progress, Trained

# Seconds between two looks of the progress bar; computing what it shows costs more than a small step.
_REFRESH = 0.2


@dataclass
class Loop:
    """One call of `fit`.

    Attributes
    ----------
    take_step : trains on a batch; returns the loss, and what a step of the user's own returned.
    validate : returns the loss and the metrics of the validation; None if there is none.
    bar : the progress bar, which is one of ``hooks``, or None.
    validates : whether to validate in an epoch, counted from 1.
    """

    model: Trained
    feed: Feed
    take_step: Callable[[Batch], tuple[float, Logs | None]]
    validate: Callable[[], Logs] | None
    validates: Callable[[int], bool]
    hooks: CallbackList
    bar: ProgbarLogger | None
    epochs: int

    def run(self, progress: Progress) -> Logs:
        """Train; return what the last epoch reported."""
        self._finite = True
        others = [c for c in self.hooks.callbacks if c is not self.bar]
        self._batch_begin = self.hooks.listens("on_train_batch_begin")
        self._batch_end = any(c.listens("on_train_batch_end") for c in others)
        logs: Logs = {}
        with DeferredInterrupt() as interrupt:
            for epoch in range(progress.epoch, self.epochs):
                if self.model.stop_training:  # in the epoch before, or in the one that was resumed
                    break
                if not progress.begun and self.feed.finished:
                    warn_of_the_end()
                    break
                if not progress.begun:
                    progress.begin(epoch)
                    self.model.reset_metrics()
                    self.hooks.on_epoch_begin(epoch)
                    progress.begun = True
                if progress.logs is None:
                    self._train(progress, interrupt)
                    progress.logs = progress.report()
                logs = dict(progress.logs)
                if self.validate is not None and self.validates(epoch + 1):
                    logs |= {f"val_{name}": value for name, value in self.validate().items()}
                    interrupt.check()
                progress.begun, progress.ended = False, True
                self.hooks.on_epoch_end(epoch, logs)
                interrupt.check()
        return logs

    def _train(self, progress: Progress, interrupt: DeferredInterrupt) -> None:
        model, hooks = self.model, self.hooks
        batch_begin, batch_end, bar = self._batch_begin, self._batch_end, self.bar
        shown = time.perf_counter()
        for batch in self.feed.epoch():
            step = progress.step
            if batch_begin:
                hooks.on_train_batch_begin(step)
            value, progress.given = self._step(batch, progress)
            progress.step = step + 1
            if self._finite and not math.isfinite(value):
                self._finite = False
                warn(
                    f"{model.name}: the loss is {value} at step {step + 1} of epoch {progress.epoch + 1}; "
                    "look for NaN in the data, or lower the learning rate",
                    RuntimeWarning,
                )
            if batch_end:
                hooks.on_train_batch_end(step, progress.report())
            elif bar is not None:
                if bar.bar:
                    now = time.perf_counter()
                    if now - shown >= _REFRESH:
                        shown = now
                        bar.on_train_batch_end(step, progress.report())
                elif bar.listens("on_train_batch_end"):
                    bar.on_train_batch_end(step)
            interrupt.check()
            if model.stop_training:
                break
        if not progress.step:
            raise ValueError(f"x: expected at least one batch in epoch {progress.epoch + 1}, got none")

    def _step(self, batch: Batch, progress: Progress) -> tuple[float, Logs | None]:
        if isinstance(self.feed.source, Arrays):
            return self.take_step(batch)
        try:
            return self.take_step(batch)
        except (TypeError, ValueError) as error:
            # The data came in pieces: say which one it was.
            if type(error) not in (TypeError, ValueError):
                raise
            raise type(error)(f"batch {progress.step} of epoch {progress.epoch + 1}: {error}") from error
