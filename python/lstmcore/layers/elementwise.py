"""Functions of single numbers that are no activations: what models compute beside their layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .._arguments import among
from ..activations.erf import erf
from ._naming import automatic_name
from .layer import Array, Layer

# Each with its derivative, from the input and the output.
_FUNCTIONS: dict[str, tuple[Callable[[Array], Any], Callable[[Array, Array], Any]]] = {
    "erf": (erf, lambda x, y: 2 / math.sqrt(math.pi) * np.exp(-x * x)),
    "log": (np.log, lambda x, y: 1 / x),
    "sqrt": (np.sqrt, lambda x, y: 0.5 / y),
    "sin": (np.sin, lambda x, y: np.cos(x)),
    "cos": (np.cos, lambda x, y: -np.sin(x)),
    "sign": (np.sign, lambda x, y: np.zeros_like(x)),
    "floor": (np.floor, lambda x, y: np.zeros_like(x)),
    "ceil": (np.ceil, lambda x, y: np.zeros_like(x)),
    "round": (np.rint, lambda x, y: np.zeros_like(x)),
}


class Elementwise(Layer):
    """A function of every number by itself.

    >>> import numpy as np
    >>> from lstmcore.layers import Elementwise
    >>> Elementwise("sqrt")(np.array([[4.0, 9.0]])).tolist()
    [[2.0, 3.0]]

    Logarithms and roots of negative numbers are nan. Of halves, the even neighbour is the rounded one.

    Parameters
    ----------
    function : "erf" (the error function), "log", "sqrt", "sin", "cos", "sign", "floor", "ceil" or "round".
    **options : ``name``, ``dtype`` as for every layer.
    """

    steps_apart = True

    def __init__(self, function: str, **options: Any) -> None:
        if not among(function, _FUNCTIONS):
            raise ValueError(f"Elementwise: function: expected one of {', '.join(_FUNCTIONS)}, got {function!r}")
        super().__init__(**{"name": automatic_name(function)} | options)
        self.function = function

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the function's values."""
        with np.errstate(invalid="ignore", divide="ignore"):
            outputs = np.asarray(_FUNCTIONS[self.function][0](inputs), inputs.dtype)
        if training:
            self._cache = (inputs, outputs)
        return outputs

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return the gradient of the inputs, if needed."""
        inputs, outputs = self.kept()
        if not need_d_inputs:
            return None
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(d_outputs * _FUNCTIONS[self.function][1](inputs, outputs), d_outputs.dtype)
