"""Normal noise added."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._arguments import number
from .layer import Array
from .noise import Noise


class GaussianNoise(Noise):
    """In training, adds normal random numbers.

    >>> import numpy as np
    >>> from lstmcore.layers import GaussianNoise
    >>> y = GaussianNoise(0.1, seed=1)(np.zeros((100, 100), "float32"), training=True)
    >>> round(float(y.std()), 2)
    0.1

    Parameters
    ----------
    stddev : their standard deviation, from 0 on.
    seed : of the random numbers; drawn from the global seed by default.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    def __init__(self, stddev: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(seed, **options)
        self.stddev = number("GaussianNoise: stddev", stddev, "[0, inf)")
        self.silent = not self.stddev

    def disturb(self, inputs: Array, rng: np.random.Generator) -> tuple[Array, Array | None]:
        """Return the outputs."""
        return inputs + self.stddev * rng.standard_normal(inputs.shape, self.dtype), None
