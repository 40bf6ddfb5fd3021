"""Gradients divided by their recent size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._arguments import flag, number
from .._signatures import in_order
from .optimizer import SHARED, Optimizer
from .rate import RateLike


class RMSprop(Optimizer):
    """RMSprop (Tieleman & Hinton 2012), with Keras's defaults and epsilon.

    With gradient g::

        v += (1 - rho) (g^2 - v)              d = learning_rate g / sqrt(v + epsilon)
        w -= d

    ``centered``: ``a += (1 - rho) (g - a)``, and the variance ``v - a^2`` in the place of v.
    With momentum: ``m = momentum m + d`` and ``w -= m``.

    >>> from lstmcore.optimizers import RMSprop
    >>> RMSprop(momentum=0.9, centered=True)
    RMSprop(momentum=0.9, centered=True)

    Parameters
    ----------
    learning_rate : a number of at least 0, a schedule, or a function without arguments.
    rho : in [0, 1).
    momentum : in [0, 1].
    epsilon : positive.
    centered : divide by the standard deviation.
    **options : those of `Optimizer`.
    """

    @in_order(*SHARED)
    def __init__(
        self,
        learning_rate: RateLike = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.rho = number("RMSprop: rho", rho, "[0, 1)")
        self.momentum = number("RMSprop: momentum", momentum, "[0, 1]")
        self.epsilon = number("RMSprop: epsilon", epsilon, "(0, inf)")
        self.centered = flag("RMSprop: centered", centered)

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the vectors that the rule keeps."""
        names = ["velocity"]
        if self.centered:
            names.append("average_gradient")
        if self.momentum:
            names.append("momentum")
        return tuple(names)

    def rule(self, learning_rate: float, step: int) -> tuple[str, Sequence[float]]:
        """Return the core's rule and its numbers."""
        name = "rmsprop" + "_centered" * self.centered + "_momentum" * bool(self.momentum)
        return name, (learning_rate, 1 - self.rho, self.epsilon, self.momentum)
