"""Features left out at random."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._arguments import check_sequences
from .._signatures import in_order
from .dropout import Dropout
from .layer import Array


class SpatialDropout1D(Dropout):
    """`Dropout` of whole features: what is left out of a row is left out of all its steps (Tompson et al. 2015).

    >>> import numpy as np
    >>> from lstmcore.layers import SpatialDropout1D
    >>> y = SpatialDropout1D(0.5, seed=1)(np.ones((2, 7, 100), "float32"), training=True)
    >>> bool((y == y[:, :1]).all())
    True

    Parameters
    ----------
    rate : the share, from 0 to 1.
    seed : of the random numbers; drawn from the global seed by default.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    decides = ("noise_shape",)

    @in_order("name", "dtype")
    def __init__(self, rate: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(rate, (None, 1, None), seed, **options)

    def disturb(self, inputs: Array, rng: np.random.Generator) -> tuple[Array, Array | None]:
        """Return the outputs and the factors that make them."""
        check_sequences(self.name, inputs.shape)
        return super().disturb(inputs, rng)
