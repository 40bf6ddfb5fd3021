"""Callbacks of Keras's that need services this library has not."""

from __future__ import annotations

from typing import Any

from .callback import Callback


class TensorBoard(Callback):
    """Not offered: `CSVLogger` writes the same numbers to a file that every program reads."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("TensorBoard is not offered; use CSVLogger, or a Callback of your own")


class RemoteMonitor(Callback):
    """Not offered: `CSVLogger` writes the same numbers to a file."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("RemoteMonitor is not offered; use CSVLogger, or a Callback of your own")


class OrbaxCheckpoint(Callback):
    """Not offered: `ModelCheckpoint` and `BackupAndRestore` save models and training."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("OrbaxCheckpoint is not offered; use ModelCheckpoint or BackupAndRestore")
