"""Penalties on weights or outputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._serialization import Configurable


class Regularizer(Configurable):
    """A penalty on an array: ``regularizer(x)`` and its ``gradient(x)``."""

    def __call__(self, x: Any) -> float:
        """Return the penalty."""
        raise NotImplementedError

    def gradient(self, x: Any) -> Any:
        """Return its gradient."""
        raise NotImplementedError


class L1L2(Regularizer):
    """l1 * sum(abs(x)) + l2 * sum(x^2)"""

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = l1 or 0.0, l2 or 0.0

    def __call__(self, x: Any) -> float:
        """Return the penalty."""
        return float(self.l1 * np.abs(x).sum() + self.l2 * np.square(x).sum())

    def gradient(self, x: Any) -> Any:
        """Return its gradient."""
        return self.l1 * np.sign(x) + 2 * self.l2 * x


def get(identifier: Any) -> Regularizer | None:
    """Return the regularizer of that name."""
    if identifier is None or isinstance(identifier, Regularizer):
        return identifier
    known = {"l2": L1L2(l2=0.01), "l1": L1L2(l1=0.01), "l1_l2": L1L2(0.01, 0.01)}
    if identifier not in known:
        raise ValueError(f"regularizer: expected one of {', '.join(known)}, got {identifier!r}")
    return known[identifier]
