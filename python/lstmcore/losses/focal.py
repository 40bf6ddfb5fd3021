"""Focal losses: cross-entropies in which what is already right counts little (Lin et al. 2018, arXiv:1708.02002)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .. import _core
from .._arguments import flag, number
from .crossentropy import BinaryCrossentropy, CategoricalCrossentropy, _distribution, softmax
from .regression import EPSILON

Array = NDArray[Any]


class BinaryFocalCrossentropy(BinaryCrossentropy):
    """a (1 - p_t)^gamma times the binary cross-entropy, p_t = y p + (1 - y) (1 - p).

    >>> from lstmcore.losses import BinaryFocalCrossentropy
    >>> loss = BinaryFocalCrossentropy(gamma=2, reduction="none")
    >>> loss([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]]).round(3)
    array([0.33 , 0.206])

    Parameters
    ----------
    apply_class_balancing : whether a = alpha y + (1 - alpha) (1 - y), or 1.
    alpha : from 0 to 1.
    gamma : at least 0.
    from_logits, label_smoothing, axis : as for `BinaryCrossentropy`.
    """

    by_targets = ""

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)
        self.apply_class_balancing = flag("BinaryFocalCrossentropy: apply_class_balancing", apply_class_balancing)
        self.alpha = number("BinaryFocalCrossentropy: alpha", alpha, "[0, 1]")
        self.gamma = number("BinaryFocalCrossentropy: gamma", gamma, "[0, inf)")

    @property
    def fuses(self) -> str | None:
        """None: the factor needs the probabilities."""
        return None

    def _parts(self, y: Array, p: Array) -> tuple[Array, Array, Array, Array]:
        """Return the cut p, 1 - p_t, the cross-entropy and a."""
        cut = np.clip(p, EPSILON, 1 - EPSILON)
        entropy = -(y * np.log(cut) + (1 - y) * np.log(1 - cut))
        balance = y * self.alpha + (1 - y) * (1 - self.alpha) if self.apply_class_balancing else np.ones_like(y)
        return cut, 1 - (y * p + (1 - y) * (1 - p)), entropy, balance

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """a r^gamma b, r = 1 - p_t, b the cross-entropy"""
        p = _core.sigmoid(y_pred) if self.from_logits else y_pred
        _, r, entropy, a = self._parts(self.smoothed(y_true), p)
        return np.asarray(a * r**self.gamma * entropy)

    def slopes(self, y_true: Array, y_pred: Array, scale: float | Array) -> Array:
        """a (r^gamma b' - gamma r^(gamma - 1) (2 y - 1) b), b' = (p - y) / (p (1 - p)); from logits times p (1 - p)"""
        p = _core.sigmoid(y_pred) if self.from_logits else y_pred
        y = self.smoothed(y_true)
        cut, r, entropy, a = self._parts(y, p)
        slopes = r**self.gamma * (cut - y) / (cut * (1 - cut)) * (cut == p)
        if self.gamma:
            slopes -= self.gamma * r ** (self.gamma - 1) * (2 * y - 1) * entropy
        return np.asarray(a * slopes * (p * (1 - p) if self.from_logits else 1) * scale)


class CategoricalFocalCrossentropy(CategoricalCrossentropy):
    """-Σ alpha (1 - p)^gamma y log p.

    >>> from lstmcore.losses import CategoricalFocalCrossentropy
    >>> round(CategoricalFocalCrossentropy()([[0, 1, 0], [0, 0, 1]], [[0.05, 0.9, 0.05], [0.1, 0.85, 0.05]]), 6)
    0.338088

    Parameters
    ----------
    alpha : a weight, or one for each class.
    gamma : at least 0.
    from_logits, label_smoothing, axis : as for `CategoricalCrossentropy`.
    """

    by_targets = ""

    def __init__(
        self,
        alpha: float | Sequence[float] = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)
        alphas: Any = alpha if isinstance(alpha, (list, tuple)) or np.ndim(alpha) == 1 else [alpha]
        self.alpha = [number("CategoricalFocalCrossentropy: alpha", a, "[0, inf)") for a in alphas]
        if not self.alpha:
            raise ValueError("CategoricalFocalCrossentropy: alpha: expected a number, or one for each class, got none")
        self.gamma = number("CategoricalFocalCrossentropy: gamma", gamma, "[0, inf)")

    @property
    def fuses(self) -> str | None:
        """None: the factor needs the probabilities."""
        return None

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """-alpha (1 - p)^gamma y log p"""
        p = _distribution(softmax(y_pred) if self.from_logits else y_pred)[0]
        factors = np.asarray(self.alpha, p.dtype) * (1 - p) ** self.gamma
        return np.asarray(-factors * self.smoothed(y_true) * np.log(p))

    def slopes(self, y_true: Array, y_pred: Array, scale: float | Array) -> Array:
        """(g - Σ g p) / Σ y_pred with g = alpha y (gamma (1 - p)^(gamma - 1) log p - (1 - p)^gamma / p), zero where p
        was cut; from logits p (g - Σ g p)
        """
        p, inside, size = _distribution(softmax(y_pred) if self.from_logits else y_pred)
        g = -((1 - p) ** self.gamma) / p
        if self.gamma:
            g += self.gamma * (1 - p) ** (self.gamma - 1) * np.log(p)
        g *= np.asarray(self.alpha, p.dtype) * self.smoothed(y_true) * inside
        slopes = g - np.add.reduce(g * p, axis=-1, keepdims=True)
        return np.asarray(slopes * (p if self.from_logits else 1 / size) * scale)
