"""What a module of ours has beside PyTorch's: the packed weights, which are no part of its state."""

from __future__ import annotations

from typing import Any

from .weights import Packed


class KeepsPacked:
    """A module that keeps packed weights from call to call, and forgets them when it is copied."""

    _packed: Packed | None = None

    def packed(self) -> Packed:
        """Return where the packed weights are kept."""
        packed = self._packed
        if packed is None:
            packed = self.__dict__["_packed"] = Packed()
        return packed

    def __getstate__(self) -> Any:
        above: Any = super()
        state = dict(above.__getstate__() if hasattr(above, "__getstate__") else self.__dict__)
        state.pop("_packed", None)
        return state
