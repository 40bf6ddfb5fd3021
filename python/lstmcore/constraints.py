"""What weights are held to."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._serialization import Configurable


class Constraint(Configurable):
    """``constraint(w)`` returns w as it may be."""

    def __call__(self, w: Any) -> Any:
        """Return w as it may be."""
        raise NotImplementedError


class NonNeg(Constraint):
    """Nothing below zero."""

    def __call__(self, w: Any) -> Any:
        """Return w as it may be."""
        return np.maximum(w, 0)


def get(identifier: Any) -> Constraint | None:
    """Return the constraint of that name."""
    if identifier is None or isinstance(identifier, Constraint):
        return identifier
    if identifier != "non_neg":
        raise ValueError(f"constraint: expected one of non_neg, got {identifier!r}")
    return NonNeg()
