"""Go on after an interruption."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from .._arguments import flag, path
from .._warnings import warn
from ..serialization import atomic
from ..serialization.backups import backup_training, restore_training
from .callback import Callback, Logs
from .save_frequency import SaveFrequency


class BackupAndRestore(Callback):
    """Lets the same program, started again after it was killed, go on as if it never had been.

    >>> from lstmcore.callbacks import BackupAndRestore
    >>> backup = BackupAndRestore("backup", save_freq=100)

    As training goes along, everything it depends on is written to one file in ``backup_dir``: weights,
    optimizer, random state, the place in the epoch, and the states of the other callbacks. If `fit`
    finds such a file it continues at that very step: the weights, the history and the decisions of
    the other callbacks are bit for bit those of a training that was never interrupted. When training
    has ended the file is removed.

    Parameters
    ----------
    backup_dir : a folder for this training alone; it is made.
    save_freq : "epoch", or a number of batches.
    double_checkpoint : keep the backup before the last too, ``training.previous.safetensors``, to go on from it, with
        a warning, if the last cannot be read.
    delete_checkpoint : whether to remove the files at the end; if not, the next `fit` goes on from them.
    save_before_preemption : accepted for Keras's sake, without effect.

    Raises
    ------
    ValueError
        The file is not of a model with these weights and this optimizer, or is not whole; the model
        is as it was.
    OSError
        The file cannot be read or written; the last backup is whole.
    """

    rank = 2  # the states of all others are part of the backup

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
        save_before_preemption: bool = False,
    ) -> None:
        super().__init__()
        if not path("BackupAndRestore: backup_dir", backup_dir):
            raise ValueError("BackupAndRestore: backup_dir: expected the name of a folder, got ''")
        self.backup_dir = Path(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = flag("BackupAndRestore: double_checkpoint", double_checkpoint)
        self.delete_checkpoint = flag("BackupAndRestore: delete_checkpoint", delete_checkpoint)
        self._frequency = SaveFrequency("BackupAndRestore", save_freq)

    @property
    def path(self) -> Path:
        """The file."""
        return self.backup_dir / "training.safetensors"

    @property
    def previous_path(self) -> Path:
        """That of the backup before the last."""
        return self.backup_dir / "training.previous.safetensors"

    def listens(self, hook: str) -> bool:
        """Return whether a hook does anything: batches are counted only if their number matters."""
        return super().listens(hook) and not (hook == "on_train_batch_end" and self._frequency.batches is None)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Restore the model and its training, if there is a backup."""
        self._frequency.seen = 0
        candidates = (self.path, self.previous_path) if self.double_checkpoint else (self.path,)
        files = [file for file in candidates if file.exists()]
        for file in files:
            try:
                restore_training(self.model, file)
                break
            except (OSError, ValueError) as error:
                if file is files[-1]:
                    raise
                warn(f"BackupAndRestore: {error}; goes on from {files[-1]}")

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Write the backup, if it is time."""
        if self._frequency.due():
            self._save()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the backup, if it is to be after every epoch."""
        if self._frequency.batches is None:
            self._save()

    def _save(self) -> None:
        if not self.is_first:
            return
        self.backup_dir.mkdir(parents=True, exist_ok=True)
        if self.double_checkpoint:
            with contextlib.suppress(FileNotFoundError):  # until there is one
                os.replace(self.path, self.previous_path)
        backup_training(self.model, self.path)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Remove the file, and the folder if it is empty then."""
        if self.delete_checkpoint and self.is_first:
            atomic.remove(self.path)
            self.previous_path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self.backup_dir.rmdir()

    def get_state(self) -> dict[str, Any]:
        """Return the batches since the last backup."""
        return {"seen": self._frequency.seen}

    def set_state(self, state: dict[str, Any]) -> None:
        """Carry on from there."""
        self._frequency.seen = state["seen"]
