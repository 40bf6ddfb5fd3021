"""Numbers kept between two."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._arguments import number
from .layer import Array, Layer


class Clip(Layer):
    """The inputs, no smaller than one number and no larger than another.

    >>> import numpy as np
    >>> from lstmcore.layers import Clip
    >>> Clip(-1, 2)(np.array([[-3.0, 0.5, 4.0]])).tolist()
    [[-1.0, 0.5, 2.0]]

    The gradient is that of the inputs from ``min_value`` to ``max_value``, and 0 outside.

    Parameters
    ----------
    min_value, max_value : the numbers; None for no limit.
    **options : ``name``, ``dtype`` as for every layer.
    """

    steps_apart = True

    def __init__(self, min_value: float | None = None, max_value: float | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.min_value = None if min_value is None else number("Clip: min_value", min_value, "[-inf, inf]")
        self.max_value = None if max_value is None else number("Clip: max_value", max_value, "[-inf, inf]")
        low, high = self._limits()
        if low > high:
            raise ValueError(f"Clip: max_value: expected at least min_value={min_value}, got {max_value}")

    def _limits(self) -> tuple[float, float]:
        low = -np.inf if self.min_value is None else self.min_value
        return low, np.inf if self.max_value is None else self.max_value

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the numbers within the limits."""
        low, high = self._limits()
        if training:
            self._cache = (inputs >= low) & (inputs <= high)
        return np.clip(inputs, inputs.dtype.type(low), inputs.dtype.type(high))

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return the gradient of the inputs, if needed."""
        within = self.kept()
        return np.where(within, d_outputs, d_outputs.dtype.type(0)) if need_d_inputs else None
