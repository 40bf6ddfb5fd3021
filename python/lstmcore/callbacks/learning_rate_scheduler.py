"""A learning rate for each epoch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from .callback import Callback, Logs


class LearningRateScheduler(Callback):
    """Asks a function for the learning rate at the beginning of every epoch.

    >>> from lstmcore.callbacks import LearningRateScheduler
    >>> halve = LearningRateScheduler(lambda epoch, lr: lr / 2 if epoch % 10 == 9 else lr)

    Writes ``learning_rate``, that of the epoch, into the logs.

    Parameters
    ----------
    schedule : ``schedule(epoch, learning_rate)``, or ``schedule(epoch)``, the epoch counted from 0;
        returns the learning rate.
    verbose : 1 tells about every epoch.

    Raises
    ------
    ValueError
        The function returned something else than a number.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        if not callable(schedule):
            raise TypeError(f"LearningRateScheduler: schedule: expected a function, got {schedule!r}")
        self.schedule, self.verbose = schedule, verbose
        self._takes_rate = _takes_two(schedule)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Set the epoch's learning rate."""
        optimizer = self.model.optimizer
        rate: Any = self.schedule(epoch, float(optimizer.learning_rate)) if self._takes_rate else self.schedule(epoch)
        if isinstance(rate, bool) or not isinstance(rate, (int, float, np.integer, np.floating)):
            raise ValueError(f"LearningRateScheduler: schedule: expected it to return a number, got {rate!r}")
        optimizer.learning_rate = float(rate)
        if self.verbose:
            self._say(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Report the learning rate."""
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


def _takes_two(schedule: Callable[..., float]) -> bool:
    try:
        inspect.signature(schedule).bind(0, 0.1)
    except TypeError:
        return False
    except ValueError:  # a function of C that does not say
        return True
    return True
