"""Adam with the greatest gradient in the place of the mean square."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._arguments import number
from .._signatures import in_order
from .optimizer import SHARED, Optimizer
from .rate import RateLike


class Adamax(Optimizer):
    """Adamax (Kingma & Ba 2015, section 7.1).

    With gradient g at step t::

        m += (1 - beta_1) (g - m)             u = max(beta_2 u, |g|)
        w -= learning_rate / (1 - beta_1^t) m / (u + epsilon)

    >>> from lstmcore.optimizers import Adamax
    >>> Adamax(0.002)
    Adamax(learning_rate=0.002)

    Parameters
    ----------
    learning_rate : a number of at least 0, a schedule, or a function without arguments.
    beta_1, beta_2 : in [0, 1).
    epsilon : positive.
    **options : those of `Optimizer`.
    """

    @in_order(*SHARED)
    def __init__(
        self,
        learning_rate: RateLike = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1 = number("Adamax: beta_1", beta_1, "[0, 1)")
        self.beta_2 = number("Adamax: beta_2", beta_2, "[0, 1)")
        self.epsilon = number("Adamax: epsilon", epsilon, "(0, inf)")

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the vectors that the rule keeps."""
        return "momentum", "norm"

    def rule(self, learning_rate: float, step: int) -> tuple[str, Sequence[float]]:
        """Return the core's rule and its numbers."""
        alpha = learning_rate / (1 - self.beta_1**step)
        return "adamax", (alpha, 1 - self.beta_1, self.beta_2, self.epsilon)
