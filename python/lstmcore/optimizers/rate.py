"""The learning rate as an optimizer gives it: a number that can be assigned to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .schedules import LearningRateSchedule

RateLike = float | LearningRateSchedule | Callable[[], float]  # what optimizers take


class Rate(float):
    """The learning rate that an optimizer has at the time: a float, with what Keras's variables offer.

    >>> from lstmcore.optimizers import SGD
    >>> optimizer = SGD(0.1)
    >>> optimizer.learning_rate.assign(optimizer.learning_rate / 2)
    >>> optimizer.learning_rate
    0.05

    `assign` changes that of the optimizer; a number that was got before stays what it is.
    """

    _optimizer: Any

    @classmethod
    def of(cls, optimizer: Any, value: float) -> Rate:
        """Return a rate that knows whose it is."""
        rate = cls(value)
        rate._optimizer = optimizer
        return rate

    def assign(self, value: Any) -> None:
        """Set the optimizer's learning rate."""
        self._optimizer.learning_rate = value

    @property
    def value(self) -> float:
        """The number alone."""
        return float(self)

    def numpy(self) -> np.float64:
        """Return the number as NumPy's."""
        return np.float64(self)

    def __reduce__(self) -> Any:
        # Kept or sent elsewhere, it is a number and nothing else.
        return float, (float(self),)
