"""The exponential linear unit."""

from __future__ import annotations

from typing import Any

from .. import activations
from .activation import Activation


class ELU(Activation):
    """x above 0, ``alpha * (exp(x) - 1)`` below (Clevert et al. 2016).

    >>> import numpy as np
    >>> from lstmcore.layers import ELU
    >>> ELU()(np.array([[-1.0, 2.0]])).round(2)
    array([[-0.63,  2.  ]], dtype=float32)

    Parameters
    ----------
    alpha : minus the value far below 0.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    decides = ("activation",)

    def __init__(self, alpha: float = 1.0, **options: Any) -> None:
        super().__init__(activations.smooth.ELU(alpha), **options)
