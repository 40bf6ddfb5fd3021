"""The leaky rectified linear unit."""

from __future__ import annotations

from typing import Any

from .. import activations
from .activation import Activation


class LeakyReLU(Activation):
    """x above 0, ``negative_slope * x`` below (Maas et al. 2013).

    >>> import numpy as np
    >>> from lstmcore.layers import LeakyReLU
    >>> LeakyReLU(0.5)(np.array([[-2.0, 2.0]])).tolist()
    [[-1.0, 2.0]]

    Parameters
    ----------
    negative_slope : a number from 0 on; ``alpha`` is its old name.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    decides = ("activation",)

    def __init__(self, negative_slope: float = 0.3, **options: Any) -> None:
        super().__init__(activations.piecewise.LeakyReLU(options.pop("alpha", negative_slope)), **options)
