"""Numbers in another range."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._arguments import float_array
from .layer import Array, Layer


class Rescaling(Layer):
    """``x * scale + offset``.

    >>> import numpy as np
    >>> from lstmcore.layers import Rescaling
    >>> Rescaling(1 / 255)(np.array([[0, 51, 255]])).round(2).tolist()
    [[0.0, 0.2..., 1.0]]

    Parameters
    ----------
    scale, offset : a number, or as many as there are features; of more axes, they are broadcast to the inputs.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    def __init__(self, scale: ArrayLike, offset: ArrayLike = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.scale = float_array("Rescaling: scale", scale, self.dtype).copy()
        self.offset = float_array("Rescaling: offset", offset, self.dtype).copy()

    @property
    def steps_apart(self) -> bool:  # type: ignore[override]
        """Whether a step of the outputs depends on that step of the inputs alone, as no other is told apart."""
        return max(self.scale.ndim, self.offset.ndim) < 2

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal layer, as plain data."""
        return super().get_config() | {"scale": self.scale.tolist(), "offset": self.offset.tolist()}

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the inputs in their new range."""
        for name in ("scale", "offset"):
            shape = getattr(self, name).shape
            own = inputs.shape[inputs.ndim - len(shape) :]
            if len(shape) > inputs.ndim or any(n not in (1, m) for n, m in zip(shape, own, strict=True)):
                raise ValueError(f"{self.name}: {name}: expected a shape that fits inputs {inputs.shape}, got {shape}")
        return np.asarray(inputs * self.scale + self.offset, inputs.dtype)

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return the gradient of the inputs, if needed."""
        return d_outputs * self.scale if need_d_inputs else None
