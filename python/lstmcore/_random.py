"""The one source of randomness of the library: initial weights and shuffling draw from it."""

from __future__ import annotations

import numpy as np

_generator = np.random.default_rng()


def generator() -> np.random.Generator:
    """Return the process-wide generator."""
    return _generator


def seed(value: int) -> None:
    """Start the process-wide generator afresh."""
    global _generator
    _generator = np.random.default_rng(value)
