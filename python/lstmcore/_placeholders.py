"""Weights that are about to be overwritten need no random numbers, and no more memory than they are to have."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import NDArray

_left: ContextVar[list[int] | None] = ContextVar("left", default=None)


@contextlib.contextmanager
def placeholders(size: int) -> Iterator[None]:
    """Within the ``with`` block new weights are zeros, ``size`` numbers at most.

    So a file cannot make the library allocate more than the file itself holds, and loading one does
    not change what the random generator gives next.
    """
    token = _left.set([size])
    try:
        yield
    finally:
        _left.reset(token)


def placeholder(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """Return the zeros, or None if the weights are to have real initial values.

    Raises
    ------
    ValueError
        There would be more than were announced.
    """
    left = _left.get()
    if left is None:
        return None
    left[0] -= math.prod(shape)
    if left[0] < 0:
        raise ValueError(f"the model has more weights than the file: no room for one of shape {shape}")
    return np.zeros(shape, dtype)
