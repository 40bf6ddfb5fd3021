"""Names that are told apart."""

from __future__ import annotations

from collections.abc import Collection


def free_name(name: str, taken: Collection[str]) -> str:
    """Return a name or, if it is taken, the first of "name_1", "name_2", … that is not.

    >>> from lstmcore._names import free_name
    >>> free_name("mae", ["loss", "mae"])
    'mae_1'
    """
    free, k = name, 0
    while free in taken:
        k += 1
        free = f"{name}_{k}"
    return free
