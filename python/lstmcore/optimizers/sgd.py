"""Gradient descent, with or without momentum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._arguments import flag, number
from .._signatures import in_order
from .optimizer import SHARED, Optimizer
from .rate import RateLike


class SGD(Optimizer):
    """Stochastic gradient descent.

    With gradient g::

        w -= learning_rate g

    with momentum::

        m = momentum m - learning_rate g            w += m

    and with a look ahead (Nesterov 1983) ``w += momentum m - learning_rate g``.

    >>> from lstmcore.optimizers import SGD
    >>> SGD(0.1, momentum=0.9, clipnorm=1.0)
    SGD(learning_rate=0.1, momentum=0.9, clipnorm=1.0)

    Parameters
    ----------
    learning_rate : a number of at least 0, a schedule, or a function without arguments.
    momentum : in [0, 1].
    nesterov : look ahead.
    **options : those of `Optimizer`.
    """

    @in_order(*SHARED)
    def __init__(
        self,
        learning_rate: RateLike = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.momentum = number("SGD: momentum", momentum, "[0, 1]")
        self.nesterov = flag("SGD: nesterov", nesterov)

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the vectors that the rule keeps."""
        return ("momentum",) if self.momentum else ()

    def rule(self, learning_rate: float, step: int) -> tuple[str, Sequence[float]]:
        """Return the core's rule and its numbers."""
        if not self.momentum:
            return "sgd", (learning_rate,)
        return "nesterov" if self.nesterov else "momentum", (learning_rate, self.momentum)
