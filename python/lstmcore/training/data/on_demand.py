"""Batches of which each process reads its own rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .rows import rows

Array = NDArray[Any]


class OnDemand:
    """Rows of an array, of which those are read that a slice of this takes; a mask goes with them."""

    def __init__(self, data: Any, which: Any) -> None:
        self._data, self._which = data, which
        self._count = len(range(len(data))[which]) if isinstance(which, slice) else len(which)

    @classmethod
    def of(cls, data: Any, which: Any) -> OnDemand | None:
        """Return rows of an array, None of None; ``which`` is a slice without a step or an array of their numbers."""
        return None if data is None else cls(data, which)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, part: slice) -> Array:
        which = self._which
        if isinstance(which, slice):
            start, stop, _ = part.indices(self._count)
            which = slice(which.start + start, which.start + stop)
        else:
            which = which[part]
        taken: Array = rows(self._data, which)
        return taken

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self[:], dtype)
