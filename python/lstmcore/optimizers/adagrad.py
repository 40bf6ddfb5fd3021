"""Gradients divided by the size of all that were before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._arguments import number
from .._signatures import in_order
from .optimizer import SHARED, Optimizer
from .rate import RateLike


class Adagrad(Optimizer):
    """Adagrad (Duchi et al. 2011), with Keras's defaults and epsilon.

    With gradient g, and v at first ``initial_accumulator_value``::

        v += g^2                              w -= learning_rate g / sqrt(v + epsilon)

    >>> from lstmcore.optimizers import Adagrad
    >>> Adagrad(0.1)
    Adagrad(learning_rate=0.1)

    Parameters
    ----------
    learning_rate : a number of at least 0, a schedule, or a function without arguments.
    initial_accumulator_value : a number of at least 0.
    epsilon : positive.
    **options : those of `Optimizer`.
    """

    @in_order(*SHARED)
    def __init__(
        self,
        learning_rate: RateLike = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.initial_accumulator_value = number(
            "Adagrad: initial_accumulator_value", initial_accumulator_value, "[0, inf)"
        )
        self.epsilon = number("Adagrad: epsilon", epsilon, "(0, inf)")

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the vectors that the rule keeps."""
        return ("accumulator",)

    @property
    def initial_slot_value(self) -> float:
        """What the vectors hold before the first step."""
        return self.initial_accumulator_value

    def rule(self, learning_rate: float, step: int) -> tuple[str, Sequence[float]]:
        """Return the core's rule and its numbers."""
        return "adagrad", (learning_rate, self.epsilon)
