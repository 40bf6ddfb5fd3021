"""What one thread at a time may do with a model."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


class Turns:
    """Who is at it, and since before whom.

    A turn lasts as long as its lock is held by a ``with`` statement, which not even an exception from a signal can
    leave held; and the list's operations are whole, whatever other threads do.
    """

    def __init__(self) -> None:
        self._taken: list[tuple[threading.Lock, int]] = []  # locks, and the threads that hold them; first come first

    def take(self, lock: threading.Lock) -> int | None:
        """Take a turn with a lock that the caller holds; return whose turn it is if not this lock's: a thread."""
        mine = lock, threading.get_ident()
        while (last := self._taken[-1:]) and not last[0][0].locked():  # turns within the first one's, which are over
            self._remove(last[0])
        self._taken.append(mine)
        while True:  # nobody removes this one, for its lock is held
            first = self._taken[0]
            if first is mine:
                return None
            if first[0].locked():
                return first[1]
            self._remove(first)

    def _remove(self, turn: tuple[threading.Lock, int]) -> None:
        with contextlib.suppress(ValueError):  # another thread has removed it
            self._taken.remove(turn)


def in_turn(within: bool) -> Callable[[F], F]:
    """Return a decorator for methods of which one at a time may run; ``within`` another of the same thread, or not."""

    def decorate(method: F) -> F:
        @functools.wraps(method)
        def alone(self: Any, *arguments: Any, **options: Any) -> Any:
            lock = threading.Lock()
            with lock:
                thread = self._turns.take(lock)
                if thread is None:
                    if self._progress is not None:  # what a `fit` that was interrupted may have left
                        self._progress = None
                elif not within:
                    raise RuntimeError(
                        f"{self.name}: fit is running already, in another thread or around a callback, or evaluate is"
                    )
                elif thread != threading.get_ident():
                    raise RuntimeError(f"{self.name}: fit or evaluate is running in another thread")
                return method(self, *arguments, **options)

        return cast(F, alone)

    return decorate
