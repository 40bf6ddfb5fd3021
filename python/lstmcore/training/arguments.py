"""Arguments of compile, fit, evaluate and predict, checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .._arguments import items, positive_integer
from ..callbacks import Callback, CallbackList


def steps_or_none(name: str, value: Any) -> int | None:
    """Return a number of steps or rows, from 1 on, or None."""
    return None if value is None else _positive(name, value)


def _positive(name: str, value: Any) -> int:
    try:
        return positive_integer(name, value)
    except TypeError as error:  # for Keras a wrong value, as any other
        raise ValueError(str(error)) from None


def check_verbose(verbose: Any) -> None:
    """Refuse what does not say how much to show."""
    if isinstance(verbose, np.ndarray) or verbose not in (0, 1, 2, "auto"):
        raise ValueError(f"verbose: expected 0, 1, 2 or 'auto', got {verbose!r}")


def callback_list(callbacks: Iterable[Callback] | Callback | None) -> list[Callback]:
    """Return the callbacks that were given."""
    if isinstance(callbacks, CallbackList):
        return callbacks.callbacks
    if callbacks is None or isinstance(callbacks, Callback):
        return [] if callbacks is None else [callbacks]
    return items("callbacks", callbacks, "Callback objects")


def frequency(value: Any) -> Callable[[int], bool]:
    """Return whether to validate in an epoch, counted from 1."""
    if isinstance(value, (list, tuple, set, range)):
        epochs = {_positive("validation_freq", epoch) for epoch in value}
        return lambda epoch: epoch in epochs
    every = _positive("validation_freq", value)
    return lambda epoch: epoch % every == 0
