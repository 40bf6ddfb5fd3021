"""Save the model as training goes along."""

from __future__ import annotations

import os
from typing import Any

from .._arguments import flag, path
from .._screen import show
from ..serialization.endings import check_ending
from .callback import Logs
from .monitor_callback import MonitorCallback
from .save_frequency import SaveFrequency


class ModelCheckpoint(MonitorCallback):
    """Saves the model, or its weights, after every epoch or every so many batches.

    >>> from lstmcore.callbacks import ModelCheckpoint
    >>> best = ModelCheckpoint("best.safetensors", save_best_only=True)
    >>> every = ModelCheckpoint("{epoch:02d}-{val_loss:.2f}.safetensors")

    The file is a safetensors file, as of `Model.save`, which says what its name may be.

    Parameters
    ----------
    filepath : where to; ``{epoch}``, counted from 1, ``{batch}`` and whatever is in the logs may stand
        in it. Folders are made.
    monitor, mode : what is watched, and which way is better.
    verbose : 1 tells about it.
    save_best_only : save only when the epoch is better than all before.
    save_weights_only : save the weights alone.
    save_freq : "epoch", or a number of batches.
    initial_value_threshold : with ``save_best_only``, what is to be beaten first.

    Raises
    ------
    ValueError
        ``filepath`` ends in the name of another format.
    KeyError
        ``filepath`` names something that is not in the logs.
    OSError
        The file cannot be written; the old one is whole.
    """

    only_reports = True

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, initial_value_threshold)
        self.filepath = path("ModelCheckpoint: filepath", filepath)
        check_ending("ModelCheckpoint: filepath", self.filepath)
        self.verbose = verbose
        self.save_best_only = flag("ModelCheckpoint: save_best_only", save_best_only)
        self.save_weights_only = flag("ModelCheckpoint: save_weights_only", save_weights_only)
        self.save_freq = save_freq
        self._frequency = SaveFrequency("ModelCheckpoint", save_freq)
        self._epoch = 0

    def listens(self, hook: str) -> bool:
        """Return whether a hook does anything: batches are counted only if their number matters."""
        return super().listens(hook) and not (hook == "on_train_batch_end" and self._frequency.batches is None)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Note the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Save, if it is time."""
        if self._frequency.due():
            self._save(self._epoch, logs or {}, {"batch": batch + 1})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save, if it is to be after every epoch."""
        if self._frequency.batches is None:
            self._save(epoch, logs or {}, {})

    def _save(self, epoch: int, logs: Logs, batch: dict[str, int]) -> None:
        try:
            path = self.filepath.format(**{"epoch": epoch + 1, **batch, **logs})
        except KeyError as error:
            raise KeyError(
                f"ModelCheckpoint: filepath: {self.filepath!r} has {error}, which is not in the logs; available are: "
                f"epoch, {', '.join([*batch, *logs])}"
            ) from None
        if self.save_best_only and not self._is_best(epoch, logs, path):
            return
        if self.verbose and not self.save_best_only:
            show(f"\nEpoch {epoch + 1}: saving model to {path}")
        folder = os.path.dirname(path)
        if folder:
            os.makedirs(folder, exist_ok=True)
        (self.model.save_weights if self.save_weights_only else self.model.save)(path, overwrite=True)

    def _is_best(self, epoch: int, logs: Logs, path: str) -> bool:
        current = self.monitored(logs)
        if current is None:
            return True
        best = "None" if self.best is None else f"{self.best:.5f}"
        better = self.improves(current, self.best)
        if self.verbose and better:
            show(f"\nEpoch {epoch + 1}: {self.monitor} improved from {best} to {current:.5f}, saving model to {path}")
        elif self.verbose:
            show(f"\nEpoch {epoch + 1}: {self.monitor} did not improve from {best}")
        if better:
            self.best = current
        return better

    def get_state(self) -> dict[str, Any]:
        """Return the best value and the batches since the last save."""
        return {"best": self.best, "epoch": self._epoch, "seen": self._frequency.seen}

    def set_state(self, state: dict[str, Any]) -> None:
        """Carry on from there."""
        self.best, self._epoch, self._frequency.seen = state["best"], state["epoch"], state["seen"]
