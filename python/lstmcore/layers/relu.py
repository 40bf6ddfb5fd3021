"""The rectified linear unit."""

from __future__ import annotations

from typing import Any

from .. import activations
from .activation import Activation


class ReLU(Activation):
    """x above ``threshold``, at most ``max_value``; ``negative_slope * (x - threshold)`` below.

    >>> import numpy as np
    >>> from lstmcore.layers import ReLU
    >>> ReLU(max_value=10, negative_slope=0.5)(np.array([[-10.0, -5.0, 0.0, 5.0, 20.0]])).tolist()
    [[-5.0, -2.5, 0.0, 5.0, 10.0]]

    Parameters
    ----------
    max_value, negative_slope, threshold : numbers from 0 on; without a ``max_value`` there is no limit.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    decides = ("activation",)

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **options: Any
    ) -> None:
        super().__init__(activations.piecewise.ReLU(negative_slope, max_value, threshold), **options)
