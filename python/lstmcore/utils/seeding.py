"""One seed for every source of random numbers."""

from __future__ import annotations

import random

import numpy as np

from .. import _random


def set_random_seed(seed: int) -> None:
    """Seed Python's, NumPy's and lstmcore's random numbers.

    The same seed gives the same weights, the same shuffling and, bit for bit, the same training,
    whatever the number of threads.

    >>> import lstmcore
    >>> lstmcore.utils.set_random_seed(7)
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise ValueError(f"seed: expected an integer from 0 to 2**32 - 1, got {seed!r}")
    random.seed(int(seed))
    np.random.seed(int(seed))  # noqa: NPY002 - for programs that use it
    _random.seed(int(seed))
