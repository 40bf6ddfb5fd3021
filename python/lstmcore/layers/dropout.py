"""Numbers left out at random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _random
from .._arguments import number
from .layer import Array
from .noise import Noise, checked_noise_shape, drawn_shape


class Dropout(Noise):
    """In training, sets a share of the inputs to 0 and divides the others by what is left (Srivastava et al. 2014).

    >>> import numpy as np
    >>> from lstmcore.layers import Dropout
    >>> layer = Dropout(0.5, seed=1)
    >>> x = np.ones((2, 100), "float32")
    >>> np.unique(layer(x, training=True)).tolist(), np.unique(layer(x)).tolist()
    ([0.0, 2.0], [1.0])

    Parameters
    ----------
    rate : the share, from 0 to 1.
    noise_shape : the shape that is drawn, 1 along axes that share a decision and None for the size of the
        inputs: (None, 1, None) leaves features out of all steps.
    seed : of the random numbers; drawn from the global seed by default.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **options: Any
    ) -> None:
        super().__init__(seed, **options)
        kind = type(self).__name__
        self.rate = number(f"{kind}: rate", rate, "[0, 1]")
        self.noise_shape = checked_noise_shape(kind, noise_shape)
        self.silent = not self.rate

    def disturb(self, inputs: Array, rng: np.random.Generator) -> tuple[Array, Array | None]:
        """Return the outputs and the factors that make them."""
        shape = drawn_shape(self.name, self.noise_shape, inputs.shape)
        factors = np.zeros(shape, self.dtype) if self.rate == 1 else _random.dropout(rng, self.rate, shape, self.dtype)
        return inputs * factors, factors
