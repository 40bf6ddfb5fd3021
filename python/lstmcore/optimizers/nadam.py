"""Adam with Nesterov's momentum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._arguments import number
from .._signatures import in_order
from .optimizer import SHARED, Optimizer
from .rate import RateLike


class Nadam(Optimizer):
    """Nadam (Dozat 2016).

    With gradient g at step t, momenta ``u_t = beta_1 (1 - 0.96^t / 2)`` and their product P_t::

        m += (1 - beta_1) (g - m)             v += (1 - beta_2) (g^2 - v)
        n = u_(t+1) m / (1 - P_(t+1)) + (1 - u_t) g / (1 - P_t)
        w -= learning_rate n / (sqrt(v / (1 - beta_2^t)) + epsilon)

    >>> from lstmcore.optimizers import Nadam
    >>> Nadam(beta_1=0.95)
    Nadam(beta_1=0.95)

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
        self.beta_1 = number("Nadam: beta_1", beta_1, "[0, 1)")
        self.beta_2 = number("Nadam: beta_2", beta_2, "[0, 1)")
        self.epsilon = number("Nadam: epsilon", epsilon, "(0, inf)")
        self._product = 1.0

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the vectors that the rule keeps."""
        return "momentum", "velocity"

    def rule(self, learning_rate: float, step: int) -> tuple[str, Sequence[float]]:
        """Return the core's rule and its numbers; the product of the momenta grows by one."""
        now, then = (self.beta_1 * (1 - 0.5 * 0.96**t) for t in (step, step + 1))
        self._product *= now
        return "nadam", (
            learning_rate * then / (1 - self._product * then),
            learning_rate * (1 - now) / (1 - self._product),
            1 - self.beta_1,
            1 - self.beta_2,
            1 / (1 - self.beta_2**step),
            self.epsilon,
        )

    @property
    def numbers(self) -> dict[str, float]:
        """The product of the momenta."""
        return {"u_product": self._product}

    @numbers.setter
    def numbers(self, values: Mapping[str, float]) -> None:
        self._product = values["u_product"]
