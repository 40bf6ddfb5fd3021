"""The one source of randomness of the library: initial weights, shuffling and masks draw from it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import NDArray

_generator: np.random.Generator | None = None
_shard: ContextVar[int] = ContextVar("lstmcore shard", default=0)
_own: ContextVar[np.random.Generator | None] = ContextVar("lstmcore generator", default=None)


def generator() -> np.random.Generator:
    """Return the process-wide generator, or that of the `drawing_from` block that this thread is in."""
    global _generator
    if (own := _own.get()) is not None:
        return own
    if _generator is None:  # made late, for NumPy imports its generators late, and who only predicts needs none
        _generator = np.random.default_rng()
    return _generator


@contextlib.contextmanager
def drawing_from(seed: int) -> Iterator[None]:
    """Within the ``with`` block, draw from a generator of the block's own; other threads and the outside don't."""
    before = _own.set(np.random.default_rng(seed))
    try:
        yield
    finally:
        _own.reset(before)


@contextlib.contextmanager
def shard(number: int) -> Iterator[None]:
    """Within the ``with`` block, layers' masks are those of that part of the batch; of part 0, those of a whole one."""
    before = _shard.set(number)
    try:
        yield
    finally:
        _shard.reset(before)


def seed(value: int) -> None:
    """Start the process-wide generator afresh."""
    global _generator
    _generator = np.random.default_rng(value)


class Stream:
    """The random masks of a layer: a generator for each call, from a seed and the number of the call.

    Philox (Salmon et al. 2011) is counter-based, so a call's masks depend on nothing else.

    Parameters
    ----------
    seed : None until the first call.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed
        self.calls = 0

    def next(self, seed: int | None = None) -> np.random.Generator:
        """Return the generator of the next call; ``seed`` or the global seed decides the first, if nothing has yet."""
        if self.seed is None:
            self.seed = int(generator().integers(2**32)) if seed is None else int(seed)
        self.calls += 1
        key = (self.calls << 64) + self.seed % 2**64
        # Parts of a batch have the same key and counters of their own: the highest 64 of the 256 bits.
        return np.random.Generator(np.random.Philox(key=key, counter=_shard.get() << 192))


def dropout(rng: np.random.Generator, rate: float, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return factors that are 0 with probability ``rate`` and 1 / (1 - rate) otherwise."""
    kept = rng.random(shape, np.float32) >= np.float32(rate)
    return np.multiply(kept, 1 / (1 - rate), dtype=dtype)
