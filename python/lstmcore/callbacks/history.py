"""The losses and metrics of every epoch."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from .callback import Callback, Logs


class History(Callback):
    """Records the loss and metrics of every epoch; `fit` returns one.

    After an interruption that `BackupAndRestore` has bridged it holds the epochs before it too.

    Attributes
    ----------
    epoch : the epochs' numbers, from 0.
    history : name -> a value for each epoch, e.g. ``history["val_loss"]``.
    """

    rank = 1  # other callbacks write into the logs

    def __init__(self) -> None:
        super().__init__()
        self.epoch: list[int] = []
        self.history: dict[str, list[Any]] = {}

    @property
    def model(self) -> Any:
        """The model that was trained, as long as there is one; it keeps this object, so this does not keep it."""
        return None if self._model is None else self._model()

    @model.setter
    def model(self, value: Any) -> None:
        self._model = None if value is None else weakref.ref(value)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle and copy without the model."""
        return vars(self) | {"_model": None}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start afresh."""
        self.epoch, self.history = [], {}

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Record the epoch."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def get_state(self) -> dict[str, Any]:
        """Return what has been recorded."""
        return {"epoch": list(self.epoch), "history": {name: list(values) for name, values in self.history.items()}}

    def set_state(self, state: dict[str, Any]) -> None:
        """Carry on with what had been recorded."""
        self.epoch = list(state["epoch"])
        self.history = {name: list(values) for name, values in state["history"].items()}

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={np.mean(values[-1]):.4g}" for name, values in self.history.items())
        return f"<History of {len(self.epoch)} epochs{': ' + last if last else ''}>"
