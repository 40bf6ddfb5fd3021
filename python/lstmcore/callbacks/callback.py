"""The base of the callbacks."""

from __future__ import annotations

from typing import Any, TypeVar

from .._signatures import Shown, refuse_misspelt, signature_of

C = TypeVar("C", bound="Callback")
Logs = dict[str, Any]

# Keras 1's names for two of the hooks, which the newer ones call unless they are overridden themselves.
_ALIASES = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}


class Callback:
    """Base of the callbacks: override the hooks you need.

    >>> from lstmcore.callbacks import Callback
    >>> class Stop(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         self.model.stop_training = logs["loss"] < 0.1

    A callback that remembers something from one hook to the next, and is to carry on where it was
    when `BackupAndRestore` resumes training, returns it from `get_state`.

    Attributes
    ----------
    model : the model being trained.
    params : "epochs", "steps" and "verbose" of this call of `fit`, `evaluate` or `predict`; "steps"
        is None if nobody knows yet.
    """

    only_reports = False  # to the world outside: of several processes, the first alone calls such a one
    rank = 0  # those of a higher rank are called after the others, because they look at what those have done

    __signature__ = Shown()

    def __new__(cls: type[C], *_: Any, **options: Any) -> C:
        """Refuse arguments that are misspelt, with what may have been meant."""
        refuse_misspelt(cls.__name__, signature_of(cls), options)
        return super().__new__(cls)

    def __init__(self) -> None:
        self.model: Any = None
        self.params: dict[str, Any] = {}

    def set_model(self, model: Any) -> None:
        """Tell which model is trained."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Tell the number of epochs and steps."""
        self.params = params

    def listens(self, hook: str) -> bool:
        """Return whether the hook of that name does anything; if not, it is never called."""
        return _overridden(self, hook) or (hook in _ALIASES and _overridden(self, _ALIASES[hook]))

    @property
    def is_first(self) -> bool:
        """Whether this is the process that prints and writes, if several train the model."""
        return bool(getattr(self.model, "is_first_process", True))

    def _say(self, text: str) -> None:
        if self.is_first:
            print(text)

    def get_state(self) -> dict[str, Any]:
        """Return what has to survive an interruption: plain data and arrays."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Carry on from what `get_state` returned; called after `on_train_begin`."""

    # --- training ---

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
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch, with the epoch's averages so far."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """The older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """The older name of `on_train_batch_end`."""

    # --- evaluating, and validating within `fit` ---

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before the first batch of `evaluate` or of a validation."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After the last batch of `evaluate` or of a validation, with the loss and metrics."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of `evaluate` or of a validation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of `evaluate` or of a validation, with the averages so far."""

    # --- predicting ---

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before the first batch of `predict`."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After the last batch of `predict`."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of `predict`."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of `predict`, with its "outputs"."""


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_") and name not in _ALIASES.values())


def _overridden(callback: Callback, hook: str) -> bool:
    # In a subclass, or by an attribute of the object itself.
    return getattr(getattr(callback, hook), "__func__", None) is not getattr(Callback, hook)
