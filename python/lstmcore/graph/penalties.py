"""What comes to the loss of a step beside those of the outputs: what layers add, and penalties on what they return."""

from __future__ import annotations

import threading
from typing import Any


class _Local(threading.local):
    found: list[Any] | None = None


_local = _Local()


class Collected:
    """Within the ``with`` block, what is added in this thread goes to a list.

    >>> from lstmcore.graph import penalties
    >>> with penalties.Collected() as found:
    ...     penalties.add(0.5)
    >>> found
    [0.5]
    """

    __slots__ = ("_before",)

    def __enter__(self) -> list[Any]:
        found: list[Any] = []
        self._before, _local.found = _local.found, found
        return found

    def __exit__(self, *error: object) -> None:
        _local.found = self._before


def found_so_far() -> list[Any] | None:
    """Return what has been added in this step; None where nobody asks: not of training or evaluation."""
    return _local.found


def add(value: Any) -> None:
    """Add to the loss of the step under way, if there is one."""
    if _local.found is not None:
        _local.found.append(value)
