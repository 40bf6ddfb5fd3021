"""What one thread at a time may do with a model, and with the layers that models share."""

from __future__ import annotations

import contextlib
import functools
import threading
import weakref
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar, cast

from ..layers.input import InputLayer

F = TypeVar("F", bound=Callable[..., Any])
Turn = tuple[threading.Lock, int, Callable[[], Any]]  # with the thread that holds the lock, and who knows the model


class Turns:
    """Who is at it, with which model, and since before whom.

    A turn lasts as long as its lock is held by a ``with`` statement, which not even an exception from a signal can
    leave held; and the list's operations are whole, whatever other threads do.
    """

    def __init__(self) -> None:
        self._taken: list[Turn] = []  # first come first

    def take(self, lock: threading.Lock, model: Any) -> Turn | None:
        """Take a turn with a lock that the caller holds; return the one that it is within, or that is in its way.

        That is another one of the model; or one of another thread with a model that has a layer of this one.
        """
        mine = lock, threading.get_ident(), weakref.ref(model)
        while (last := self._taken[-1:]) and not last[0][0].locked():  # turns within the first one's, which are over
            self._remove(last[0])
        self._taken.append(mine)
        if self._taken[0] is mine:  # and nobody removes it, for its lock is held
            return None
        return self._before(mine, model)

    def of_others(self, model: Any) -> Turn | None:
        """Return a turn of another thread with the model, or with one that has a layer of it."""
        return self._before(None, model) if self._taken else None

    def _before(self, mine: Turn | None, model: Any) -> Turn | None:
        thread = threading.get_ident()
        for turn in self._taken[:]:
            if turn is mine:
                break
            if not turn[0].locked():
                self._remove(turn)
                continue
            other, elsewhere = turn[2](), turn[1] != thread
            if other is model:
                if elsewhere or mine is not None:
                    return turn
            elif elsewhere and other is not None and _share_layers(model, other):
                return turn
        return None

    def _remove(self, turn: Turn) -> None:
        with contextlib.suppress(ValueError):  # another thread has removed it
            self._taken.remove(turn)


def _share_layers(model: Any, other: Any) -> bool:
    def parts(of: Any) -> set[int]:
        return {id(part) for part in of.keepers if not isinstance(part, InputLayer)}

    return not parts(model).isdisjoint(parts(other))


_turns = Turns()


def in_turn(within: bool) -> Callable[[F], F]:
    """Return a decorator for methods of which one at a time may run; ``within`` another of the same thread, or not."""

    def decorate(method: F) -> F:
        @functools.wraps(method)
        def alone(self: Any, *arguments: Any, **options: Any) -> Any:
            lock = threading.Lock()
            with lock:
                turn = _turns.take(lock, self)
                if turn is None:
                    if self._progress is not None:  # what a `fit` that was interrupted may have left
                        self._progress = None
                elif turn[2]() is self and not within:
                    raise RuntimeError(
                        f"{self.name}: fit is running already, in another thread or around a callback, or evaluate is"
                    )
                elif turn[1] != threading.get_ident():
                    _refuse(self, turn[2]())
                return method(self, *arguments, **options)

        return cast(F, alone)

    return decorate


def refuse_while_trained(model: Any) -> None:
    """Refuse while another thread trains or evaluates the model, or one that has a layer of it."""
    if (turn := _turns.of_others(model)) is not None:
        _refuse(model, turn[2]())


def _refuse(model: Any, other: Any) -> NoReturn:
    if other is model:
        raise RuntimeError(f"{model.name}: fit or evaluate is running in another thread")
    name = getattr(other, "name", "a model that is gone")
    raise RuntimeError(f"{model.name}: has layers of {name}, which another thread trains or evaluates at the moment")
