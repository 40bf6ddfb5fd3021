"""Activations made of exponentials, right to the last digits in their tails."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _core
from .._arguments import flag, number
from .base import Array, Elementwise
from .erf import erfc

# For self-normalising networks (Klambauer et al. 2017): mean 0 and variance 1 are a fixed point.
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805


def _softplus(x: Array) -> Array:
    """Return log(1 + exp(x)), of which exp is taken of no positive number."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


class Tanh(Elementwise):
    """tanh(x)"""

    name = "tanh"
    needs_input = False
    core_numbers = ()

    def value(self, x: Array) -> Any:
        """Return the function's value."""
        return _core.tanh(x)

    def slope(self, x: Any, y: Array) -> Any:
        """Return the derivative."""
        return 1 - y * y

    def in_place(self, x: Array) -> Array:
        """Write the function's value over ``x``."""
        _core.tanh(x, x)
        return x


class Sigmoid(Elementwise):
    """1 / (1 + exp(-x))"""

    name = "sigmoid"
    needs_input = False
    core_numbers = ()

    def value(self, x: Array) -> Any:
        """Return the function's value."""
        return _core.sigmoid(x)

    def slope(self, x: Any, y: Array) -> Any:
        """Return the derivative."""
        return y * (1 - y)

    def in_place(self, x: Array) -> Array:
        """Write the function's value over ``x``."""
        _core.sigmoid(x, x)
        return x


class ScaledTanh(Elementwise):
    """alpha * tanh(beta * x), by default with the numbers of LeCun et al. (1998), which leave 1 and -1 as they are."""

    name = "scaled_tanh"
    needs_input = False
    core_numbers = ("alpha", "beta")

    def __init__(self, alpha: float = 1.7159, beta: float = 2 / 3) -> None:
        self.alpha, self.beta = number("scaled_tanh: alpha", alpha), number("scaled_tanh: beta", beta)

    def value(self, x: Array) -> Any:
        """Return the function's value."""
        return x.dtype.type(self.alpha) * _core.tanh(x.dtype.type(self.beta) * x)

    def slope(self, x: Any, y: Array) -> Any:
        """Return the derivative."""
        if not self.alpha:
            return np.zeros_like(y)
        t = y / y.dtype.type(self.alpha)
        return y.dtype.type(self.alpha * self.beta) * (1 - t * t)


class LogSigmoid(Elementwise):
    """log(1 / (1 + exp(-x)))"""

    name = "log_sigmoid"

    def value(self, x: Array) -> Any:
        """Return the function's value."""
        return -_softplus(-x)

    def slope(self, x: Any, y: Array) -> Any:
        """Return the derivative."""
        return _core.sigmoid(-x)


class SiLU(Elementwise):
    """x sigmoid(x) (Ramachandran et al. 2017), also known as swish."""

    name = "silu"

    def value(self, x: Array) -> Any:
        """Return the function's value."""
        return x * _core.sigmoid(x)

    def slope(self, x: Any, y: Array) -> Any:
        """Return the derivative."""
        s = _core.sigmoid(x)
        return s * (1 + x * _core.sigmoid(-x))


class Softplus(Elementwise):
    """log(1 + exp(x))"""

    name = "softplus"
    core_numbers = ()

    def value(self, x: Array) -> Any:
        """Return the function's value."""
        return _softplus(x)

    def slope(self, x: Any, y: Array) -> Any:
        """Return the derivative."""
        return _core.sigmoid(x)


class Softsign(Elementwise):
    """x / (1 + abs(x))"""

    name = "softsign"
    core_numbers = ()

    def value(self, x: Array) -> Any:
        """Return the function's value."""
        return x / (1 + np.abs(x))

    def slope(self, x: Any, y: Array) -> Any:
        """Return the derivative."""
        return (1 + np.abs(x)) ** -2


class Exponential(Elementwise):
    """exp(x)"""

    name = "exponential"
    needs_input = False

    def value(self, x: Array) -> Any:
        """Return the function's value."""
        return np.exp(x)

    def slope(self, x: Any, y: Array) -> Any:
        """Return the derivative."""
        return y


class ELU(Elementwise):
    """x above 0, ``alpha * (exp(x) - 1)`` below (Clevert et al. 2016)."""

    name = "elu"
    core_numbers: tuple[str, ...] | None = ("alpha",)

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = number("elu: alpha", alpha)

    def value(self, x: Array) -> Any:
        """Return the function's value."""
        return np.where(x > 0, x, self.alpha * np.expm1(np.minimum(x, 0)))

    def slope(self, x: Any, y: Array) -> Any:
        """Return the derivative."""
        return np.where(x > 0, x.dtype.type(1), self.alpha * np.exp(np.minimum(x, 0)))


class SELU(ELU):
    """`elu` with the alpha and the scale that keep mean 0 and variance 1 (Klambauer et al. 2017)."""

    name = "selu"
    core_numbers = None  # the core has no scale beside alpha

    def __init__(self) -> None:
        super().__init__(SELU_ALPHA)

    def value(self, x: Array) -> Any:
        """Return the function's value."""
        return SELU_SCALE * super().value(x)

    def slope(self, x: Any, y: Array) -> Any:
        """Return the derivative."""
        return SELU_SCALE * super().slope(x, y)


class CELU(Elementwise):
    """x above 0, ``alpha * (exp(x / alpha) - 1)`` below (Barron 2017)."""

    name = "celu"

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = number("celu: alpha", alpha)
        if not self.alpha:
            raise ValueError("celu: alpha: expected a number other than 0")

    def value(self, x: Array) -> Any:
        """Return the function's value."""
        return np.where(x > 0, x, self.alpha * np.expm1(np.minimum(x, 0) / self.alpha))

    def slope(self, x: Any, y: Array) -> Any:
        """Return the derivative."""
        return np.where(x > 0, x.dtype.type(1), np.exp(np.minimum(x, 0) / self.alpha))


class GELU(Elementwise):
    """x times the normal distribution function at x, or Hendrycks & Gimpel's (2016) approximation of it."""

    name = "gelu"

    def __init__(self, approximate: bool = False) -> None:
        self.approximate = flag("gelu: approximate", approximate)

    def _argument(self, x: Array) -> tuple[Array, Array]:
        """Return u and du/dx of the approximation, (1 + tanh(u / 2)) / 2 = sigmoid(u)."""
        x = np.clip(x, -40, 40)  # where sigmoid(u) is 0 or 1 in either precision, and u does not overflow
        a = 2 * math.sqrt(2 / math.pi)
        return a * x * (1 + 0.044715 * x * x), a * (1 + 0.134145 * x * x)

    def value(self, x: Array) -> Any:
        """Return the function's value."""
        if self.approximate:
            return x * _core.sigmoid(self._argument(x)[0])
        return 0.5 * x * erfc(-math.sqrt(0.5) * x)

    def slope(self, x: Any, y: Array) -> Any:
        """Return the derivative."""
        if self.approximate:
            u, du = self._argument(x)
            s = _core.sigmoid(u)
            return s * (1 + x * _core.sigmoid(-u) * du)
        z = np.clip(x, -40, 40)  # where the density is 0 in either precision, and its square does not overflow
        return 0.5 * erfc(-math.sqrt(0.5) * x) + z * np.exp(-0.5 * z * z) * (1 / math.sqrt(2 * math.pi))


class Mish(Elementwise):
    """x tanh(softplus(x)) (Misra 2019)."""

    name = "mish"

    def value(self, x: Array) -> Any:
        """Return the function's value."""
        return x * _core.tanh(_softplus(x))

    def slope(self, x: Any, y: Array) -> Any:
        """Return the derivative."""
        t = _core.tanh(_softplus(x))
        return t + x * (1 - t * t) * _core.sigmoid(x)


class TanhShrink(Elementwise):
    """x - tanh(x)"""

    name = "tanh_shrink"

    def value(self, x: Array) -> Any:
        """Return the function's value."""
        return x - _core.tanh(x)

    def slope(self, x: Any, y: Array) -> Any:
        """Return the derivative."""
        return _core.tanh(x) ** 2


class Squareplus(Elementwise):
    """(x + sqrt(x^2 + b)) / 2 (Barron 2021)."""

    name = "squareplus"

    def __init__(self, b: float = 4.0) -> None:
        self.b = number("squareplus: b", b, "[0, inf)")

    def value(self, x: Array) -> Any:
        """Return the function's value."""
        large = np.abs(x) + np.hypot(x, x.dtype.type(math.sqrt(self.b)))
        # (x + r)(r - x) = b for r = sqrt(x^2 + b): no difference of large numbers below zero.
        return np.where(x > 0, large / 2, self.b / 2 / np.maximum(large, np.finfo(x.dtype).tiny))

    def slope(self, x: Any, y: Array) -> Any:
        """Return the derivative."""
        return y / np.maximum(np.hypot(x, x.dtype.type(math.sqrt(self.b))), np.finfo(x.dtype).tiny)


tanh = Tanh()
scaled_tanh = ScaledTanh()
sigmoid = Sigmoid()
log_sigmoid = LogSigmoid()
silu = SiLU()
softplus = Softplus()
softsign = Softsign()
exponential = Exponential()
elu = ELU()
selu = SELU()
celu = CELU()
gelu = GELU()
mish = Mish()
tanh_shrink = TanhShrink()
squareplus = Squareplus()
