"""Dropout for self-normalising networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _arguments
from ..activations.smooth import SELU_ALPHA, SELU_SCALE
from .layer import Array
from .noise import Noise, checked_noise_shape, drawn_shape


class AlphaDropout(Noise):
    """In training, sets a share of the inputs to the lowest value of `selu` and rescales all so that mean 0 and
    variance 1 stay what they are (Klambauer et al. 2017).

    >>> import numpy as np
    >>> from lstmcore.layers import AlphaDropout
    >>> x = np.random.default_rng(0).standard_normal((100, 100))
    >>> y = AlphaDropout(0.2, seed=1, dtype="float64")(x, training=True)
    >>> bool(abs(y.mean()) < 0.03), bool(abs(y.std() - 1) < 0.03)
    (True, True)

    Parameters
    ----------
    rate : the share, from 0 to below 1.
    noise_shape, seed : as of `Dropout`.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **options: Any
    ) -> None:
        super().__init__(seed, **options)
        self.rate = _arguments.rate("AlphaDropout: rate", rate)
        self.noise_shape = checked_noise_shape("AlphaDropout", noise_shape)
        self.silent = not self.rate

    def disturb(self, inputs: Array, rng: np.random.Generator) -> tuple[Array, Array | None]:
        """Return the outputs and the factors of the inputs in them."""
        lowest = -SELU_ALPHA * SELU_SCALE
        a = ((1 - self.rate) * (1 + self.rate * lowest**2)) ** -0.5
        kept = rng.random(drawn_shape(self.name, self.noise_shape, inputs.shape), np.float32) >= self.rate
        factors = np.multiply(kept, a, dtype=self.dtype)
        return inputs * factors + np.where(kept, 0, a * lowest).astype(self.dtype) - a * lowest * self.rate, factors
