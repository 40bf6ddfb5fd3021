"""Stop when nothing improves."""

from __future__ import annotations

from typing import Any

from .._arguments import flag, number
from .callback import Logs
from .monitor_callback import ANY, MonitorCallback


class EarlyStopping(MonitorCallback):
    """Stops training when a loss or metric has not improved for some epochs.

    >>> from lstmcore.callbacks import EarlyStopping
    >>> stop = EarlyStopping(patience=3, restore_best_weights=True)

    It counts afresh in every `fit`.

    Parameters
    ----------
    monitor, mode, min_delta : what is watched, which way is better, and what counts as an improvement.
    patience : epochs without improvement after which to stop; the first epoch never stops.
    verbose : 1 tells when it stops.
    baseline : the epochs are counted on until this value is beaten too.
    restore_best_weights : put the weights of the best epoch back at the end of training, whether or
        not it was stopped early.
    start_from_epoch : epochs to let pass before watching.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, baseline, min_delta)
        for name, value in (("patience", patience), ("start_from_epoch", start_from_epoch)):
            number(f"EarlyStopping: {name}", value, ANY)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights = flag("EarlyStopping: restore_best_weights", restore_best_weights)
        self.start_from_epoch = start_from_epoch
        self._reset()

    def _reset(self) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = None
        self.best_weights: list[Any] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start afresh."""
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare the epoch with the best, and stop if that was too long ago."""
        current = self.monitored(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        better = self.improves(current, self.best)
        if self.restore_best_weights and (better or self.best_weights is None):
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if better:
            self.best, self.best_epoch = current, epoch
            if self.baseline is None or self.improves(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Put the best weights back."""
        if self.stopped_epoch and self.verbose:
            self._say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                self._say(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)

    def get_state(self) -> dict[str, Any]:
        """Return the counters, the best value and the best weights."""
        return {name: getattr(self, name) for name in _STATE}

    def set_state(self, state: dict[str, Any]) -> None:
        """Carry on from there."""
        for name in _STATE:
            setattr(self, name, state[name])


_STATE = ("wait", "stopped_epoch", "best_epoch", "best", "best_weights")
