"""Adam and its kin that decays weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .._arguments import flag, number
from .._signatures import in_order
from .optimizer import SHARED, Optimizer
from .rate import RateLike


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015), with Keras's defaults and epsilon.

    With gradient g at step t::

        m += (1 - beta_1) (g - m)             v += (1 - beta_2) (g^2 - v)
        w -= learning_rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon)

    and with ``amsgrad`` (Reddi et al. 2018) the greatest v so far in the place of v.

    >>> from lstmcore.optimizers import Adam
    >>> Adam(learning_rate=0.01)
    Adam(learning_rate=0.01)

    Parameters
    ----------
    learning_rate : a number of at least 0, a schedule, or a function without arguments.
    beta_1, beta_2 : in [0, 1).
    epsilon : positive.
    amsgrad : never let v become smaller.
    **options : those of `Optimizer`.
    """

    @in_order(*SHARED)
    def __init__(
        self,
        learning_rate: RateLike = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        kind = type(self).__name__
        self.beta_1 = number(f"{kind}: beta_1", beta_1, "[0, 1)")
        self.beta_2 = number(f"{kind}: beta_2", beta_2, "[0, 1)")
        self.epsilon = number(f"{kind}: epsilon", epsilon, "(0, inf)")
        self.amsgrad = flag(f"{kind}: amsgrad", amsgrad)

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the vectors that the rule keeps."""
        return ("momentum", "velocity", "velocity_hat") if self.amsgrad else ("momentum", "velocity")

    def rule(self, learning_rate: float, step: int) -> tuple[str, Sequence[float]]:
        """Return the core's rule and its numbers."""
        alpha = learning_rate * math.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step)
        return "amsgrad" if self.amsgrad else "adam", (alpha, 1 - self.beta_1, 1 - self.beta_2, self.epsilon)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019): `Adam` with a default of 0.004 for it.

    Before each of Adam's steps::

        w -= learning_rate weight_decay w

    >>> from lstmcore.optimizers import AdamW
    >>> optimizer = AdamW(weight_decay=0.01)
    >>> optimizer.exclude_from_weight_decay(var_names=["bias"])

    Parameters
    ----------
    weight_decay : a number of at least 0.
    learning_rate, beta_1, beta_2, epsilon, amsgrad, **options : as in `Adam`.
    """

    @in_order(*SHARED[1:])
    def __init__(
        self,
        learning_rate: RateLike = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **options: Any,
    ) -> None:
        number("AdamW: weight_decay", weight_decay, "[0, inf)")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **options)
