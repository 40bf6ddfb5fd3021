"""Bounds of what a file or a description may make the library allocate; and weights that are to be overwritten."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Bytes that a number takes with its gradient, while it is moved into the model's vectors.
_BYTES = 16


@dataclass
class _Bound:
    left: int  # numbers
    by: str
    zeros: bool


_bound: ContextVar[_Bound | None] = ContextVar("bound", default=None)


@contextlib.contextmanager
def placeholders(size: int) -> Iterator[None]:
    """Within the ``with`` block new weights are zeros, ``size`` numbers at most.

    So a file cannot make the library allocate more than the file itself holds, and loading one does
    not change what the random generator gives next.
    """
    token = _bound.set(_Bound(size, "than the file", True))
    try:
        yield
    finally:
        _bound.reset(token)


@contextlib.contextmanager
def bounded_by_memory() -> Iterator[None]:
    """Within the ``with`` block new weights are, together, no more than the machine has memory for."""
    token = _bound.set(_Bound(_memory() // _BYTES, "than this machine has memory for", False))
    try:
        yield
    finally:
        _bound.reset(token)


def placeholder(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """Return the zeros, or None if the weights are to have real initial values.

    Raises
    ------
    ValueError
        There would be more than may be.
    """
    bound = _bound.get()
    if bound is None:
        return None
    bound.left -= math.prod(shape)
    if bound.left < 0:
        raise ValueError(f"the model has more weights {bound.by}: no room for one of shape {shape}")
    return np.zeros(shape, dtype) if bound.zeros else None


def _memory() -> int:
    """Return the bytes of memory of the machine, or of the control group if that has fewer."""
    limits = [sys.maxsize]
    with contextlib.suppress(AttributeError, ValueError, OSError):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):  # not there, or "max"
            limits.append(int(Path(path).read_text()))
    return min(limits)
