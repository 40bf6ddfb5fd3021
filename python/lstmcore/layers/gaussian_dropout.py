"""Normal noise multiplied."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _arguments
from .layer import Array
from .noise import Noise


class GaussianDropout(Noise):
    """In training, multiplies by normal random numbers around 1 with the variance of `Dropout`'s factors.

    >>> import numpy as np
    >>> from lstmcore.layers import GaussianDropout
    >>> y = GaussianDropout(0.2, seed=1)(np.ones((100, 100), "float32"), training=True)
    >>> round(float(y.mean()), 1), round(float(y.std()), 1)
    (1.0, 0.5)

    Parameters
    ----------
    rate : as of `Dropout`, from 0 to below 1; the standard deviation is sqrt(rate / (1 - rate)).
    seed : of the random numbers; drawn from the global seed by default.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    def __init__(self, rate: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(seed, **options)
        self.rate = _arguments.rate("GaussianDropout: rate", rate)
        self.silent = not self.rate

    def disturb(self, inputs: Array, rng: np.random.Generator) -> tuple[Array, Array | None]:
        """Return the outputs and the factors that make them."""
        factors = 1 + math.sqrt(self.rate / (1 - self.rate)) * rng.standard_normal(inputs.shape, self.dtype)
        return inputs * factors, factors
