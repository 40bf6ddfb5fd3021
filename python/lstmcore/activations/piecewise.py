"""Activations made of straight lines and parabolas."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._arguments import number
from .base import Array, Elementwise


class Linear(Elementwise):
    """x"""

    name = "linear"
    needs_input = False
    core_numbers = ()

    def value(self, x: Array) -> Any:
        """Return the inputs."""
        return x

    def backward(self, x: Any, y: Array, dy: Array) -> Array:
        """Return the gradient as it came."""
        return dy

    def in_place(self, x: Array) -> Array:
        """Return the inputs."""
        return x


class Affine(Elementwise):
    """alpha * x + beta"""

    name = "affine"
    needs_input = False
    core_numbers = ("alpha", "beta")

    def __init__(self, alpha: float = 1.0, beta: float = 0.0) -> None:
        self.alpha, self.beta = number("affine: alpha", alpha), number("affine: beta", beta)

    def value(self, x: Array) -> Any:
        """Return the function's value."""
        return x * x.dtype.type(self.alpha) + x.dtype.type(self.beta)

    def slope(self, x: Any, y: Array) -> Any:
        """Return the derivative."""
        return y.dtype.type(self.alpha)


class ReLU(Elementwise):
    """x above a threshold, up to a largest value, and ``negative_slope * (x - threshold)`` below."""

    name = "relu"

    def __init__(self, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> None:
        self.negative_slope = number(f"{self.name}: negative_slope", negative_slope, "[0, inf)")
        self.max_value = None if max_value is None else number(f"{self.name}: max_value", max_value, "[0, inf)")
        self.threshold = number(f"{self.name}: threshold", threshold, "[0, inf)")
        self.plain = not self.negative_slope and self.max_value is None and not self.threshold
        self.needs_input = not self.plain

    @property
    def in_core(self) -> Any:
        """The core's name for it and two numbers, if it has it."""
        if self.plain:
            return "relu", 0.0, 0.0
        if self.max_value is not None or (self.negative_slope and self.threshold):
            return None
        return ("leaky_relu", self.negative_slope, 0.0) if self.negative_slope else ("threshold", self.threshold, 0.0)

    def value(self, x: Array) -> Any:
        """Return the function's value."""
        if self.plain:
            return np.maximum(x, 0)
        # Without a slope not even infinity gets below zero.
        below = self.negative_slope * (x - self.threshold) if self.negative_slope else x.dtype.type(0)
        y = np.where(x > self.threshold, x, below)
        return y if self.max_value is None else np.minimum(y, self.max_value)

    def slope(self, x: Any, y: Array) -> Any:
        """Return the derivative, at the corners that of the flatter side."""
        if self.plain:
            return y > 0
        slope = np.where(x > self.threshold, y.dtype.type(1), y.dtype.type(self.negative_slope))
        return slope if self.max_value is None else slope * (x < self.max_value)

    def in_place(self, x: Array) -> Array:
        """Write the function's value over ``x``."""
        return np.maximum(x, 0, out=x) if self.plain else super().in_place(x)


class ReLU6(ReLU):
    """min(max(x, 0), 6)"""

    name = "relu6"

    def __init__(self) -> None:
        super().__init__(max_value=6.0)


class LeakyReLU(ReLU):
    """x above 0, ``negative_slope * x`` below (Maas et al. 2013)."""

    name = "leaky_relu"

    def __init__(self, negative_slope: float = 0.2) -> None:
        super().__init__(negative_slope)


class Threshold(Elementwise):
    """x above a threshold, a default value elsewhere."""

    name = "threshold"
    core_numbers = ("threshold", "default_value")

    def __init__(self, threshold: float = 0.0, default_value: float = 0.0) -> None:
        self.threshold = number("threshold: threshold", threshold)
        self.default_value = number("threshold: default_value", default_value)

    def value(self, x: Array) -> Any:
        """Return the function's value."""
        return np.where(x <= self.threshold, x.dtype.type(self.default_value), x)

    def slope(self, x: Any, y: Array) -> Any:
        """Return the derivative."""
        return ~np.asarray(x <= self.threshold)


class HardSigmoid(Elementwise):
    """min(max(alpha * x + beta, 0), 1) with an alpha of 1/6, that of Keras 2 was 0.2, and a beta of 1/2."""

    name = "hard_sigmoid"
    needs_input = False
    core_numbers = ("alpha", "beta")

    def __init__(self, alpha: float = 1 / 6, beta: float = 0.5) -> None:
        self.alpha = number(f"{self.name}: alpha", alpha)
        self.beta = number(f"{self.name}: beta", beta)

    def value(self, x: Array) -> Any:
        """Return the function's value."""
        if (self.alpha, self.beta) == (1 / 6, 0.5):
            return np.clip(x + 3, 0, 6) / 6
        return np.clip(x * x.dtype.type(self.alpha) + x.dtype.type(self.beta), 0, 1)

    def slope(self, x: Any, y: Array) -> Any:
        """Return the derivative."""
        return ((y > 0) & (y < 1)) * y.dtype.type(self.alpha)


class HardSiLU(Elementwise):
    """x times `hard_sigmoid` of x (Howard et al. 2019)."""

    name = "hard_silu"

    def value(self, x: Array) -> Any:
        """Return the function's value."""
        return x * (np.clip(x + 3, 0, 6) / 6)

    def slope(self, x: Any, y: Array) -> Any:
        """Return the derivative."""
        inner = np.clip(x, -3, 3)
        return np.where(x == inner, (2 * inner + 3) / 6, x > 0)


class HardTanh(Elementwise):
    """min(max(x, -1), 1)"""

    name = "hard_tanh"
    needs_input = False

    def value(self, x: Array) -> Any:
        """Return the function's value."""
        return np.clip(x, -1, 1)

    def slope(self, x: Any, y: Array) -> Any:
        """Return the derivative."""
        return np.asarray(np.abs(y) < 1)


class SoftShrink(Elementwise):
    """x brought nearer to zero by a threshold."""

    name = "soft_shrink"
    needs_input = False

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = number("soft_shrink: threshold", threshold, "[0, inf)")

    def value(self, x: Array) -> Any:
        """Return the function's value."""
        return x - np.clip(x, -self.threshold, self.threshold)

    def slope(self, x: Any, y: Array) -> Any:
        """Return the derivative."""
        return np.asarray(y != 0)


class HardShrink(Elementwise):
    """x where it is further from zero than a threshold, zero elsewhere."""

    name = "hard_shrink"

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = number("hard_shrink: threshold", threshold, "[0, inf)")

    def value(self, x: Array) -> Any:
        """Return the function's value."""
        return np.where(np.abs(x) > self.threshold, x, x.dtype.type(0))

    def slope(self, x: Any, y: Array) -> Any:
        """Return the derivative."""
        return np.asarray(np.abs(x) > self.threshold)


class SparsePlus(Elementwise):
    """0 up to -1, x from 1 on, and (x + 1)^2 / 4 between."""

    name = "sparse_plus"

    def value(self, x: Array) -> Any:
        """Return the function's value."""
        inner = np.clip(x, -1, 1)
        return np.where(x > 1, x, (inner + 1) ** 2 / 4)

    def slope(self, x: Any, y: Array) -> Any:
        """Return the derivative."""
        return (np.clip(x, -1, 1) + 1) / 2


class SparseSigmoid(Elementwise):
    """min(max(x + 1, 0), 2) / 2"""

    name = "sparse_sigmoid"
    needs_input = False

    def value(self, x: Array) -> Any:
        """Return the function's value."""
        return np.clip(x + 1, 0, 2) / 2

    def slope(self, x: Any, y: Array) -> Any:
        """Return the derivative."""
        return ((y > 0) & (y < 1)) * y.dtype.type(0.5)


linear = Linear()
affine = Affine()
relu = ReLU()
relu6 = ReLU6()
leaky_relu = LeakyReLU()
threshold = Threshold()
hard_sigmoid = HardSigmoid()
hard_silu = HardSiLU()
hard_tanh = HardTanh()
soft_shrink = SoftShrink()
hard_shrink = HardShrink()
sparse_plus = SparsePlus()
sparse_sigmoid = SparseSigmoid()
