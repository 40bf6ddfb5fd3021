"""What `fit` calls as it goes along, under Keras's names."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .trainer import Trainer

__all__ = ["Callback", "CallbackList", "History", "ProgbarLogger"]

Logs = dict[str, float]


class Callback:
    """Base of the callbacks: override the hooks you need.

    >>> from lstmcore.callbacks import Callback
    >>> class Stop(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         self.model.stop_training = logs["loss"] < 0.1

    Attributes
    ----------
    model : the model being trained.
    params : "epochs", "steps" and "verbose" of this call of `fit`.
    """

    def __init__(self) -> None:
        self.model: Trainer
        self.params: dict[str, Any] = {}

    def set_model(self, model: Trainer) -> None:
        """Tell which model is trained."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Tell the number of epochs and steps."""
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch, also when stopped early; not after an exception."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch, with its loss and metrics, and those of validation as ``val_…``."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch, counted from 0 in each epoch."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch, with the epoch's averages so far."""


class CallbackList(Callback):
    """Several callbacks as one."""

    def __init__(self, callbacks: Iterable[Callback], model: Trainer, params: dict[str, Any]) -> None:
        super().__init__()
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(f"callbacks: expected Callback objects, got {callback!r}")
            callback.set_params(params)
            callback.set_model(model)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Pass on."""
        for callback in self.callbacks:
            callback.on_train_begin(logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Pass on."""
        for callback in self.callbacks:
            callback.on_train_end(logs)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Pass on."""
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Pass on."""
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Pass on."""
        for callback in self.callbacks:
            callback.on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Pass on."""
        for callback in self.callbacks:
            callback.on_train_batch_end(batch, logs)


class History(Callback):
    """Records the loss and metrics of every epoch; `fit` returns one.

    Attributes
    ----------
    epoch : the epochs' numbers, from 0.
    history : name -> a value for each epoch, e.g. ``history["val_loss"]``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start afresh."""
        self.epoch, self.history = [], {}

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Record the epoch."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={values[-1]:.4g}" for name, values in self.history.items())
        return f"<History of {len(self.epoch)} epochs{': ' + last if last else ''}>"


class ProgbarLogger(Callback):
    """Shows the progress of `fit`: a bar on a terminal, a line for each epoch elsewhere."""

    def __init__(self, bar: bool) -> None:
        super().__init__()
        self.bar = bar
        self._tqdm: Any = None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Announce the epoch."""
        print(f"Epoch {epoch + 1}/{self.params['epochs']}")
        self._start = self._shown = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar, a few times a second: drawing it can take longer than a batch."""
        if not self.bar or time.perf_counter() - self._shown < 0.2:
            return
        if self._tqdm is None:
            from tqdm import tqdm  # here, because importing it takes longer than lstmcore itself

            self._tqdm = tqdm(
                total=self.params["steps"],
                bar_format="{n_fmt}/{total_fmt} {bar:30} {elapsed}{postfix}",
                ascii=" ━",
                leave=False,
                file=sys.stdout,
                mininterval=0,
            )
            self._tqdm.start_t = self._start
        self._tqdm.set_postfix_str(_format(logs), refresh=False)
        self._tqdm.update(batch + 1 - self._tqdm.n)
        self._shown = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Leave the epoch's line."""
        seconds, steps = time.perf_counter() - self._start, self.params["steps"]
        if self._tqdm is not None:
            self._tqdm.close()
            self._tqdm = None
        bar = " " + 30 * "━" if self.bar else ""
        milliseconds = 1000 * seconds / steps
        print(f"{steps}/{steps}{bar} - {seconds:.0f}s - {milliseconds:.3g}ms/step - {_format(logs)}")
        sys.stdout.flush()


def _format(logs: Logs | None) -> str:
    return " - ".join(
        f"{name}: {value:.4f}" if value > 1e-3 else f"{name}: {value:.4e}" for name, value in (logs or {}).items()
    )
