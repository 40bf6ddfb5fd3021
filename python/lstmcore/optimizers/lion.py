"""Steps of one size, in the direction of the momentum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._arguments import number
from .._signatures import in_order
from .optimizer import SHARED, Optimizer
from .rate import RateLike


class Lion(Optimizer):
    """Lion (Chen et al. 2023).

    With gradient g::

        w -= learning_rate sign(beta_1 m + (1 - beta_1) g)
        m += (1 - beta_2) (g - m)

    >>> from lstmcore.optimizers import Lion
    >>> Lion(1e-4, weight_decay=0.01)
    Lion(learning_rate=0.0001, weight_decay=0.01)

    Parameters
    ----------
    learning_rate : a number of at least 0, a schedule, or a function without arguments.
    beta_1 : in (0, 1].
    beta_2 : in [0, 1].
    **options : those of `Optimizer`.
    """

    @in_order(*SHARED)
    def __init__(
        self,
        learning_rate: RateLike = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1 = number("Lion: beta_1", beta_1, "(0, 1]")
        self.beta_2 = number("Lion: beta_2", beta_2, "[0, 1]")

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the vectors that the rule keeps."""
        return ("momentum",)

    def rule(self, learning_rate: float, step: int) -> tuple[str, Sequence[float]]:
        """Return the core's rule and its numbers."""
        return "lion", (learning_rate, 1 - self.beta_1, 1 - self.beta_2)
