"""Several callbacks as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .._arguments import items
from .._warnings import warn
from .callback import HOOKS, Callback, Logs


class CallbackList(Callback):
    """Several callbacks as one, called in their order.

    Only the hooks that a callback overrides are called, so that the others cost nothing: `listens`
    tells whether a hook has anyone to hear it.

    Parameters
    ----------
    callbacks : in the order in which they are called, within a rank.
    model, params : given to all of them.

    Raises
    ------
    TypeError
        One of them is no Callback.
    """

    def __init__(self, callbacks: Iterable[Callback], model: Any, params: dict[str, Any]) -> None:
        super().__init__()
        self.callbacks = items("callbacks", callbacks, "a list of Callback objects")
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(f"callbacks: expected Callback objects, got {callback!r}")
        self.set_params(params)
        self.set_model(model)
        order = sorted(self.callbacks, key=lambda callback: callback.rank)
        for hook in HOOKS:
            listeners = [getattr(callback, hook) for callback in order if _hears(callback, hook)]
            setattr(self, hook, (_numbered if "batch" in hook or "epoch" in hook else _plain)(listeners))

    def set_model(self, model: Any) -> None:
        """Tell all of them which model is trained."""
        super().set_model(model)
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        """Tell all of them the number of epochs and steps."""
        super().set_params(params)
        for callback in self.callbacks:
            callback.set_params(params)

    def listens(self, hook: str) -> bool:
        """Return whether any of them does anything in the hook of that name."""
        return any(_hears(callback, hook) for callback in self.callbacks)

    def _named(self) -> Iterator[tuple[str, Callback]]:
        # By class and, among those of a class, by number: what stays the same when a program is started again.
        seen: Counter[str] = Counter()
        for callback in self.callbacks:
            kind = type(callback).__name__
            yield f"{kind}_{seen[kind]}" if seen[kind] else kind, callback
            seen[kind] += 1

    def get_state(self) -> dict[str, Any]:
        """Return the states of those that have one, by their classes' names."""
        return {name: state for name, callback in self._named() if (state := callback.get_state())}

    def set_state(self, state: dict[str, Any]) -> None:
        """Give each its state back; warns of states that nobody takes."""
        left = dict(state)
        for name, callback in self._named():
            if name in left:
                callback.set_state(left.pop(name))
        if left:
            warn(
                f"callbacks: the interrupted training had {', '.join(left)}, which this one has not",
                RuntimeWarning,
            )


def _plain(listeners: list[Callable[..., None]]) -> Callable[..., None]:
    """Return a hook that calls those with the same logs."""
    if not listeners:
        return _nothing

    def call(logs: Logs | None = None) -> None:
        logs = {} if logs is None else logs
        for listener in listeners:
            listener(logs)

    return call


def _numbered(listeners: list[Callable[..., None]]) -> Callable[..., None]:
    """Return a hook that calls those with the number of the epoch or batch and the same logs."""
    if not listeners:
        return _nothing

    def call(number: int, logs: Logs | None = None) -> None:
        logs = {} if logs is None else logs
        for listener in listeners:
            listener(number, logs)

    return call


def _nothing(*_: object) -> None:
    pass


def _hears(callback: Callback, hook: str) -> bool:
    return callback.listens(hook) and (callback.is_first or not callback.only_reports)
