"""Seeds: for every source of random numbers, or for what a block makes."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np

from .. import _random


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Give what is made and trained within a ``with`` block a seed of its own, and leave all else alone.

    Weights, shuffling, dropout and noise are then those of the seed, whatever has been drawn before, and what is drawn
    after the block or in other threads does not change. Python's and NumPy's own random numbers are not touched.

    >>> import numpy as np
    >>> from lstmcore import Sequential, layers, utils
    >>> def weights():
    ...     with utils.seeded(7):
    ...         return Sequential([layers.LSTM(8, input_shape=(12, 1))]).get_weights()[0]
    >>> bool((weights() == weights()).all())
    True
    """
    with _random.drawing_from(_checked(seed)):
        yield


def set_random_seed(seed: int) -> None:
    """Seed Python's, NumPy's and lstmcore's random numbers.

    The same seed gives the same weights, the same shuffling and, bit for bit, the same training,
    whatever the number of threads.

    >>> import lstmcore
    >>> lstmcore.utils.set_random_seed(7)
    """
    seed = _checked(seed)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - for programs that use it
    _random.seed(seed)


def _checked(seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise ValueError(f"seed: expected an integer from 0 to 2**32 - 1, got {seed!r}")
    return int(seed)
