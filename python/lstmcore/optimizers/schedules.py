"""Learning rates that follow the number of the step, under Keras's names."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

from .. import _not_offered
from .._arguments import flag, items, number
from ..serialization import Configurable

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
]


class LearningRateSchedule(Configurable):
    """A learning rate for every step: define ``__call__(step)``, steps counted from 0.

    >>> from lstmcore.optimizers import SGD, schedules
    >>> class Halving(schedules.LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.5**step
    >>> SGD(Halving()).learning_rate
    1.0
    """

    def __call__(self, step: int) -> float:
        """Return the learning rate of that step."""
        raise NotImplementedError(f"{type(self).__name__}: define __call__(step)")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self._arguments.items())})"


class ExponentialDecay(LearningRateSchedule):
    """``initial_learning_rate * decay_rate ** (step / decay_steps)``; with ``staircase`` the exponent is whole.

    >>> from lstmcore.optimizers.schedules import ExponentialDecay
    >>> rate = ExponentialDecay(0.1, decay_steps=100, decay_rate=0.5)
    >>> rate(0), rate(200)
    (0.1, 0.025)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        self.initial_learning_rate = number(
            "ExponentialDecay: initial_learning_rate", initial_learning_rate, "[0, inf)"
        )
        self.decay_steps = number("ExponentialDecay: decay_steps", decay_steps, "(0, inf)")
        self.decay_rate = number("ExponentialDecay: decay_rate", decay_rate, "[0, inf)")
        self.staircase = flag("ExponentialDecay: staircase", staircase)
        self.name = name

    def __call__(self, step: float) -> float:
        """Return the learning rate of that step."""
        step = number("step", step, "[0, inf)")
        part = step / self.decay_steps
        return self.initial_learning_rate * _power(self.decay_rate, math.floor(part) if self.staircase else part)


class InverseTimeDecay(LearningRateSchedule):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``; with ``staircase`` the quotient is whole.

    >>> from lstmcore.optimizers.schedules import InverseTimeDecay
    >>> InverseTimeDecay(0.1, decay_steps=10, decay_rate=1.0)(10)
    0.05
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        self.initial_learning_rate = number(
            "InverseTimeDecay: initial_learning_rate", initial_learning_rate, "[0, inf)"
        )
        self.decay_steps = number("InverseTimeDecay: decay_steps", decay_steps, "(0, inf)")
        self.decay_rate = number("InverseTimeDecay: decay_rate", decay_rate, "[0, inf)")
        self.staircase = flag("InverseTimeDecay: staircase", staircase)
        self.name = name

    def __call__(self, step: float) -> float:
        """Return the learning rate of that step."""
        step = number("step", step, "[0, inf)")
        part = step / self.decay_steps
        return self.initial_learning_rate / (1 + self.decay_rate * (math.floor(part) if self.staircase else part))


class PiecewiseConstantDecay(LearningRateSchedule):
    """``values[0]`` up to and including step ``boundaries[0]``, then ``values[1]``, and so on.

    >>> from lstmcore.optimizers.schedules import PiecewiseConstantDecay
    >>> rate = PiecewiseConstantDecay([100, 200], [1.0, 0.5, 0.1])
    >>> rate(100), rate(101), rate(1000)
    (1.0, 0.5, 0.1)
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant") -> None:
        where = "PiecewiseConstantDecay"
        self.boundaries = [
            number(f"{where}: boundaries", b) for b in items(f"{where}: boundaries", boundaries, "a list of numbers")
        ]
        rates = items(f"{where}: values", values, "a list of numbers")
        self.values = [number(f"{where}: values", v, "[0, inf)") for v in rates]
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                f"{where}: values: expected {len(self.boundaries) + 1} for these boundaries, got {len(self.values)}"
            )
        if any(a >= b for a, b in zip(self.boundaries, self.boundaries[1:], strict=False)):
            raise ValueError(f"{where}: boundaries: expected numbers that grow, got {self.boundaries}")
        self.name = name

    def __call__(self, step: float) -> float:
        """Return the learning rate of that step."""
        step = number("step", step, "[0, inf)")
        return self.values[bisect.bisect_left(self.boundaries, step)]


class PolynomialDecay(LearningRateSchedule):
    """``(initial - end) * (1 - step / decay_steps) ** power + end``, and ``end`` from ``decay_steps`` on.

    With ``cycle``, ``decay_steps`` is multiplied with the smallest number that makes it reach the
    step, so that the rate rises again after every ``decay_steps``.

    >>> from lstmcore.optimizers.schedules import PolynomialDecay
    >>> rate = PolynomialDecay(0.2, decay_steps=100, end_learning_rate=0.1)
    >>> round(rate(50), 6), rate(500)
    (0.15, 0.1)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        self.initial_learning_rate = number("PolynomialDecay: initial_learning_rate", initial_learning_rate, "[0, inf)")
        self.decay_steps = number("PolynomialDecay: decay_steps", decay_steps, "(0, inf)")
        self.end_learning_rate = number("PolynomialDecay: end_learning_rate", end_learning_rate, "[0, inf)")
        self.power = number("PolynomialDecay: power", power, "[0, inf)")
        self.cycle = flag("PolynomialDecay: cycle", cycle)
        self.name = name

    def __call__(self, step: float) -> float:
        """Return the learning rate of that step."""
        step = number("step", step, "[0, inf)")
        part = step / self.decay_steps
        part = part / max(1, math.ceil(part)) if self.cycle else min(part, 1.0)
        height: float = (1 - part) ** self.power
        return (self.initial_learning_rate - self.end_learning_rate) * height + self.end_learning_rate


class CosineDecay(LearningRateSchedule):
    """Half a cosine from ``initial_learning_rate`` down to ``alpha`` of it in ``decay_steps``.

    (Loshchilov & Hutter 2017.) With ``warmup_target``, the rate first rises in a line from
    ``initial_learning_rate`` to it in ``warmup_steps`` (Goyal et al. 2017); the cosine begins there.

    >>> from lstmcore.optimizers.schedules import CosineDecay
    >>> rate = CosineDecay(0.0, decay_steps=100, warmup_target=0.1, warmup_steps=10)
    >>> rate(5), rate(10), round(rate(60), 6), rate(110)
    (0.05, 0.1, 0.05, 0.0)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        self.initial_learning_rate = number("CosineDecay: initial_learning_rate", initial_learning_rate, "[0, inf)")
        self.decay_steps = number("CosineDecay: decay_steps", decay_steps, "(0, inf)")
        self.alpha = number("CosineDecay: alpha", alpha)
        self.warmup_target = (
            None if warmup_target is None else number("CosineDecay: warmup_target", warmup_target, "[0, inf)")
        )
        self.warmup_steps = number("CosineDecay: warmup_steps", warmup_steps, "[0, inf)")
        self.name = name

    def __call__(self, step: float) -> float:
        """Return the learning rate of that step."""
        step = number("step", step, "[0, inf)")
        low, top, cooling = self.initial_learning_rate, self.warmup_target, step - self.warmup_steps
        if top is None:
            top, cooling = low, float(step)
        if cooling < 0:
            return low + (top - low) * step / self.warmup_steps
        return top * _cosine(min(cooling / self.decay_steps, 1.0), 1.0, self.alpha)


class CosineDecayRestarts(LearningRateSchedule):
    """`CosineDecay` that starts again: SGDR (Loshchilov & Hutter 2017).

    The first cosine takes ``first_decay_steps``, each other ``t_mul`` times as long as the one
    before and begins ``m_mul`` times as high.

    >>> from lstmcore.optimizers.schedules import CosineDecayRestarts
    >>> rate = CosineDecayRestarts(0.1, first_decay_steps=10, m_mul=0.5)
    >>> rate(0), round(rate(5), 6), rate(10), round(rate(20), 6), rate(30)
    (0.1, 0.05, 0.05, 0.025, 0.025)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        self.initial_learning_rate = number(
            "CosineDecayRestarts: initial_learning_rate", initial_learning_rate, "[0, inf)"
        )
        self.first_decay_steps = number("CosineDecayRestarts: first_decay_steps", first_decay_steps, "(0, inf)")
        self.t_mul = number("CosineDecayRestarts: t_mul", t_mul, "[1, inf)")
        self.m_mul = number("CosineDecayRestarts: m_mul", m_mul, "[0, inf)")
        self.alpha = number("CosineDecayRestarts: alpha", alpha)
        self.name = name

    def __call__(self, step: float) -> float:
        """Return the learning rate of that step."""
        step = number("step", step, "[0, inf)")
        part = step / self.first_decay_steps
        if self.t_mul == 1:
            restarts = math.floor(part)
            part -= restarts
        else:
            # The n-th restart is at 1 + t + … + t^(n-1) = (t^n - 1) / (t - 1) first periods. Rounding
            # must not put it a step late: what is added is less than a step of a billion of them.
            restarts = math.floor(math.log1p(part * (self.t_mul - 1)) / math.log(self.t_mul) + 1e-9)
            period = self.t_mul**restarts
            part = (part - (period - 1) / (self.t_mul - 1)) / period
        return self.initial_learning_rate * _cosine(part, _power(self.m_mul, restarts), self.alpha)


def _cosine(part: float, height: float, alpha: float) -> float:
    return (1 - alpha) * 0.5 * height * (1 + math.cos(math.pi * part)) + alpha


def _power(base: float, exponent: float) -> float:
    """Return a power of a number from 0 on: infinity where it is too large for a float."""
    try:
        return float(base**exponent)
    except OverflowError:
        return math.inf


_not_offered.answer_for(__name__)
