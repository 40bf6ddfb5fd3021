"""Lower the learning rate when nothing improves."""

from __future__ import annotations

from typing import Any

from .._arguments import number, rate
from .callback import Logs
from .monitor_callback import ANY, MonitorCallback


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by a factor when a loss or metric has not improved for some epochs.

    >>> from lstmcore.callbacks import ReduceLROnPlateau
    >>> slower = ReduceLROnPlateau(factor=0.5, patience=2, min_lr=1e-5)

    Writes ``learning_rate``, that of the epoch, into the logs. It counts afresh in every `fit`.

    Parameters
    ----------
    monitor, mode, min_delta : what is watched, which way is better, and what counts as an improvement
        (an absolute difference).
    factor : from 0 to below 1.
    patience : epochs without improvement after which to act.
    verbose : 1 tells when it does.
    cooldown : epochs after acting that do not count.
    min_lr : the lowest learning rate.

    Raises
    ------
    ValueError
        ``factor`` is not in [0, 1).
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        rate("ReduceLROnPlateau: factor", factor)
        for name, value in (("patience", patience), ("cooldown", cooldown), ("min_lr", min_lr)):
            number(f"ReduceLROnPlateau: {name}", value, ANY)
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr
        self._reset()

    def _reset(self) -> None:
        self.wait = self.cooldown_counter = 0
        self.best = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start afresh."""
        self._reset()

    def in_cooldown(self) -> bool:
        """Return whether it has just acted."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare the epoch with the best, and act if that was too long ago."""
        logs = {} if logs is None else logs
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        current = self.monitored(logs)
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improves(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        old = float(self.model.optimizer.learning_rate)
        if old <= self.min_lr:
            return
        new = max(old * self.factor, self.min_lr)
        self.model.optimizer.learning_rate = new
        if self.verbose:
            self._say(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}.")
        self.cooldown_counter = self.cooldown
        self.wait = 0

    def get_state(self) -> dict[str, Any]:
        """Return the counters and the best value."""
        return {"wait": self.wait, "cooldown_counter": self.cooldown_counter, "best": self.best}

    def set_state(self, state: dict[str, Any]) -> None:
        """Carry on from there."""
        self.wait, self.cooldown_counter, self.best = state["wait"], state["cooldown_counter"], state["best"]
