"""A callback from functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._signatures import did_you_mean
from .callback import HOOKS, Callback

Hook = Callable[..., Any]


class LambdaCallback(Callback):
    """Calls the functions it is given.

    >>> from lstmcore.callbacks import LambdaCallback
    >>> show = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))

    Parameters
    ----------
    on_epoch_begin, on_epoch_end : called with the epoch and the logs.
    on_train_begin, on_train_end : called with the logs.
    on_train_batch_begin, on_train_batch_end : called with the batch and the logs.
    **hooks : functions for any other hook of `Callback`.
    """

    def __init__(
        self,
        on_epoch_begin: Hook | None = None,
        on_epoch_end: Hook | None = None,
        on_train_begin: Hook | None = None,
        on_train_end: Hook | None = None,
        on_train_batch_begin: Hook | None = None,
        on_train_batch_end: Hook | None = None,
        **hooks: Hook | None,
    ) -> None:
        super().__init__()
        hooks |= {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
        }
        for name, function in hooks.items():
            if name not in (known := (*HOOKS, "on_batch_begin", "on_batch_end")):
                raise TypeError(f"LambdaCallback got an unexpected argument {name!r}{did_you_mean(name, known)}")
            if function is not None and not callable(function):
                raise TypeError(f"LambdaCallback: {name}: expected a function, got {function!r}")
            if function is not None:
                setattr(self, name, function)
