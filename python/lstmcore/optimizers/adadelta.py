"""Gradients divided by their recent size and multiplied with that of the recent steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._arguments import number
from .._signatures import in_order
from .optimizer import SHARED, Optimizer
from .rate import RateLike


class Adadelta(Optimizer):
    """Adadelta (Zeiler 2012), with Keras's defaults; the paper's learning rate is 1.

    With gradient g::

        v += (1 - rho) (g^2 - v)              d = sqrt(u + epsilon) / sqrt(v + epsilon) g
        u += (1 - rho) (d^2 - u)              w -= learning_rate d

    >>> from lstmcore.optimizers import Adadelta
    >>> Adadelta(1.0)
    Adadelta(learning_rate=1.0)

    Parameters
    ----------
    learning_rate : a number of at least 0, a schedule, or a function without arguments.
    rho : in [0, 1).
    epsilon : positive.
    **options : those of `Optimizer`.
    """

    @in_order(*SHARED)
    def __init__(
        self,
        learning_rate: RateLike = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.rho = number("Adadelta: rho", rho, "[0, 1)")
        self.epsilon = number("Adadelta: epsilon", epsilon, "(0, inf)")

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the vectors that the rule keeps."""
        return "accumulated_grad", "accumulated_delta_var"

    def rule(self, learning_rate: float, step: int) -> tuple[str, Sequence[float]]:
        """Return the core's rule and its numbers."""
        return "adadelta", (learning_rate, 1 - self.rho, self.epsilon)
