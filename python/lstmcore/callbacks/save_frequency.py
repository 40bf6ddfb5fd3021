"""When to save."""

from __future__ import annotations

from typing import Any

from .._arguments import positive_integer


class SaveFrequency:
    """Counts batches, over the ends of epochs, and tells when as many have passed as are to lie between two saves.

    Parameters
    ----------
    owner : whose argument it is, for the error.
    save_freq : "epoch" or a number of batches.
    """

    def __init__(self, owner: str, save_freq: str | int) -> None:
        self.batches = None if isinstance(save_freq, str) and save_freq == "epoch" else _number(owner, save_freq)
        self.seen = 0

    def due(self) -> bool:
        """Count a batch; return whether to save after it."""
        if self.batches is None:
            return False
        self.seen += 1
        if self.seen < self.batches:
            return False
        self.seen = 0
        return True


def _number(owner: str, save_freq: Any) -> int:
    try:
        return positive_integer(f"{owner}: save_freq", save_freq)
    except (TypeError, ValueError):
        raise ValueError(f"{owner}: save_freq: expected 'epoch' or a number of batches, got {save_freq!r}") from None
