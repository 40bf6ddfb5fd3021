"""The losses and metrics of every epoch, in a file."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np

from .._arguments import flag, path, string
from .callback import Callback, Logs


class CSVLogger(Callback):
    """Writes the loss and metrics of every epoch to a CSV file: "epoch", then the others by name.

    >>> from lstmcore.callbacks import CSVLogger
    >>> logger = CSVLogger("training.csv")

    What the first epoch has decides the columns; a later epoch without one of them has "NA" there.
    When `BackupAndRestore` resumes training, rows written after the backup are taken back.

    Parameters
    ----------
    filename : the file.
    separator : between the columns.
    append : go on with a file that exists instead of overwriting it.
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename = Path(path("CSVLogger: filename", filename))
        self.separator = string("CSVLogger: separator", separator)
        if len(separator) != 1 or separator in '\r\n"':
            raise ValueError(f"CSVLogger: separator: expected one character, no quote or line end, got {separator!r}")
        self.append = flag("CSVLogger: append", append)
        self._file: IO[str] | None = None
        self._keys: list[str] | None = None
        self._keep: int | None = None  # bytes of the file written before an interruption

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget the last training."""
        self._close()
        self._keys = self._keep = None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Open the file, if this is the first epoch."""
        self._open()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write a row."""
        logs = logs or {}
        file = self._open()
        writer = csv.writer(file, delimiter=self.separator)
        if self._keys is None:
            self._keys = sorted(logs)
            if file.tell() == 0:
                writer.writerow(["epoch", *self._keys])
        writer.writerow([epoch, *(_text(logs.get(key, "NA")) for key in self._keys)])
        file.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close the file."""
        self._open()
        self._close()

    def _open(self) -> IO[str]:
        # Not before the first epoch: a training that is resumed must not lose the rows it has.
        if self._file is None:
            goes_on = self.append or self._keep is not None
            self._file = self.filename.open("a" if goes_on else "w", newline="", encoding="utf-8")
            if self._keep is not None and self._file.tell() > self._keep:
                self._file.truncate(self._keep)
                self._file.seek(self._keep)
            self._keep = None
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def get_state(self) -> dict[str, Any]:
        """Return the columns and the size of the file."""
        return {"keys": self._keys, "size": self._keep if self._file is None else self._file.tell()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Carry on after the rows there were."""
        self._close()
        self._keys, self._keep = state["keys"], state["size"]
        if self._keep is not None and not self.filename.exists():
            self._keys = None  # somebody has taken the file away: begin with a header again


def _text(value: Any) -> Any:
    if isinstance(value, str) or not isinstance(value, Iterable) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value
    return f'"[{", ".join(map(str, value))}]"'
