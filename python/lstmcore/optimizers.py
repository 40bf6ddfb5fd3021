"""Optimizers, under Keras's names: one pass over the flat vectors, in the core."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._arguments import reject_options
from .variables import Parameters

__all__ = ["Adam", "get"]

_NOT_OFFERED = {
    "amsgrad",
    "weight_decay",
    "clipnorm",
    "clipvalue",
    "global_clipnorm",
    "use_ema",
    "loss_scale_factor",
    "gradient_accumulation_steps",
}


class Adam:
    """Adam (Kingma & Ba 2015), with Keras's defaults and epsilon.

    With gradient g at step t::

        m += (1 - beta_1) (g - m)             v += (1 - beta_2) (g^2 - v)
        w -= learning_rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon)

    >>> from lstmcore.optimizers import Adam
    >>> Adam(learning_rate=0.01)
    Adam(learning_rate=0.01, beta_1=0.9, beta_2=0.999, epsilon=1e-07)

    Parameters
    ----------
    learning_rate : positive; may be changed between steps.
    beta_1, beta_2 : in [0, 1).
    epsilon : positive.

    Raises
    ------
    ValueError
        A number is outside its range.
    NotImplementedError
        An argument of Keras's that is not offered here.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        name: str = "adam",
        **options: Any,
    ) -> None:
        reject_options("Adam", options, _NOT_OFFERED)
        if not learning_rate >= 0 or not math.isfinite(learning_rate):
            raise ValueError(f"Adam: learning_rate: expected a number of at least 0, got {learning_rate!r}")
        for key, value in (("beta_1", beta_1), ("beta_2", beta_2)):
            if not 0 <= value < 1:
                raise ValueError(f"Adam: {key}: expected a number in [0, 1), got {value!r}")
        if not epsilon > 0:
            raise ValueError(f"Adam: epsilon: expected a positive number, got {epsilon!r}")
        self.learning_rate = float(learning_rate)
        self.beta_1, self.beta_2, self.epsilon = float(beta_1), float(beta_2), float(epsilon)
        self.name = name
        self.iterations = 0
        self._m: NDArray[Any] | None = None
        self._v: NDArray[Any] | None = None

    def step(self, parameters: Parameters) -> None:
        """Move the parameters by their gradients."""
        if self._m is None or self._v is None:
            self._m, self._v = np.zeros_like(parameters.values), np.zeros_like(parameters.values)
        if self._m.size != parameters.values.size:
            raise ValueError(f"Adam: was used with {self._m.size} parameters, got {parameters.values.size}")
        t = self.iterations + 1
        alpha = self.learning_rate * math.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        _core.adam(
            parameters.values, parameters.gradients, self._m, self._v, alpha, self.beta_1, self.beta_2, self.epsilon
        )
        parameters.version += 1
        self.iterations = t

    def __repr__(self) -> str:
        return (
            f"Adam(learning_rate={self.learning_rate:g}, beta_1={self.beta_1:g}, "
            f"beta_2={self.beta_2:g}, epsilon={self.epsilon:g})"
        )


def get(identifier: str | Adam) -> Adam:
    """Return a new optimizer of that name, or the one given."""
    if isinstance(identifier, Adam):
        return identifier
    if isinstance(identifier, str) and identifier.lower() == "adam":
        return Adam()
    raise NotImplementedError(f"optimizer: {identifier!r} is not offered; use 'adam' or an Adam")
