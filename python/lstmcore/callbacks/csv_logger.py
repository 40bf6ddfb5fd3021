"""The losses and metrics of every epoch, in a file."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np

from .._arguments import flag, path, string
from .._warnings import warn
from ..serialization import atomic
from .callback import Callback, Logs

_MISSING = "NA"


class CSVLogger(Callback):
    """Writes the loss and metrics of every epoch to a CSV file: "epoch", then the others by name.

    >>> from lstmcore.callbacks import CSVLogger
    >>> logger = CSVLogger("training.csv")

    What an epoch has not, because it was not validated for instance, is "NA" in its row. What a later epoch is the
    first to have gets a column of its own, with "NA" in the rows before. When `BackupAndRestore` resumes training,
    rows written after the backup are taken back.

    Parameters
    ----------
    filename : the file.
    separator : between the columns: one character.
    append : go on with a file that exists, and with its columns, instead of overwriting it.

    Raises
    ------
    ValueError
        The file to be appended to does not begin with the column "epoch".

    Warns
    -----
    UserWarning
        When what is written to is no file but a pipe or a terminal, and a column would have to be added.
    """

    only_reports = True

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename = Path(path("CSVLogger: filename", filename))
        self.separator = string("CSVLogger: separator", separator)
        if len(separator) != 1 or separator in '\r\n"':
            raise ValueError(f"CSVLogger: separator: expected one character between columns, got {separator!r}")
        self.append = flag("CSVLogger: append", append)
        self._file: IO[str] | None = None
        self._columns: list[str] = []  # of the file, behind "epoch"
        self._rows = 0  # of the file, the header among them
        self._keep: int | None = None  # rows of the file written before an interruption

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget the last training."""
        self._close()
        self._keep = None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Open the file, if this is the first epoch."""
        self._open()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write a row, and a header or new columns if it needs them."""
        logs = logs or {}
        file = self._open()
        if not self._rows:
            self._columns = sorted(logs)
            self._append(file, ["epoch", *self._columns])
        elif new := sorted(set(logs) - set(self._columns)):
            file = self._widen(new)
        self._append(file, [epoch, *(_text(logs.get(key, _MISSING)) for key in self._columns)])
        file.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close the file."""
        self._open()
        self._close()

    def _append(self, file: IO[str], row: list[Any]) -> None:
        csv.writer(file, delimiter=self.separator).writerow(row)
        self._rows += 1

    def _open(self) -> IO[str]:
        # Not before the first epoch: a training that is resumed must not lose the rows it has.
        if self._file is None:
            goes_on = self.append or self._keep is not None
            rows = self._read() if goes_on else []
            if self._keep is not None and len(rows) > self._keep:
                rows = rows[: self._keep]
                self._rewrite(rows)
            if rows and rows[0][0].lstrip("\ufeff") != "epoch":
                raise ValueError(
                    f"CSVLogger: filename: expected a file that begins with the column 'epoch', its columns separated "
                    f"by {self.separator!r}, to go on with; got {rows[0][0][:50]!r} in {self.filename}"
                )
            self._columns, self._rows = rows[0][1:] if rows else [], len(rows)
            self._file = self._opened("a" if goes_on else "w")
            self._keep = None
        return self._file

    def _opened(self, mode: str) -> IO[str]:
        # Whatever bytes are in a file of somebody else's stay what they are.
        return self.filename.open(mode, newline="", encoding="utf-8", errors="surrogateescape")

    def _read(self) -> list[list[str]]:
        if not self.filename.is_file():
            return []
        with self._opened("r") as file:
            text = file.read()
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=self.separator) if row]
        if rows and not text.endswith("\n"):  # the next row is not to go on with the last line
            self._rewrite(rows)
        return rows

    def _rewrite(self, rows: list[list[str]]) -> None:
        text = io.StringIO()
        csv.writer(text, delimiter=self.separator).writerows(rows)
        atomic.write(self.filename, text.getvalue().encode("utf-8", "surrogateescape"))

    def _widen(self, new: list[str]) -> IO[str]:
        """Give the file columns that its rows so far have not, and return it."""
        if not self.filename.is_file():
            warn(f"CSVLogger: {', '.join(new)}: not written, for {self.filename} is no file with a header to change")
            return self._open()
        self._close()
        rows = self._read()
        self._columns = [*rows[0][1:], *new]
        missing = [_MISSING] * len(new)
        self._rewrite([rows[0] + new, *(row + missing for row in rows[1:])])
        self._file = self._opened("a")
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def get_state(self) -> dict[str, Any]:
        """Return the number of rows of the file."""
        return {"rows": self._keep if self._file is None else self._rows}

    def set_state(self, state: dict[str, Any]) -> None:
        """Carry on after the rows there were."""
        self._close()
        self._keep = state.get("rows", sys.maxsize)  # that of an older version does not say: all of them


def _text(value: Any) -> Any:
    if isinstance(value, str) or not isinstance(value, Iterable) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value
    return f'"[{", ".join(map(str, value))}]"'
