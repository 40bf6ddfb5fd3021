"""What weights are made to be after every step, under Keras's names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _not_offered
from ._arguments import integers, number, real_array
from .serialization import Configurable
from .serialization.identifiers import resolve

__all__ = ["Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "get"]

Array = NDArray[Any]

_EPSILON = 1e-7  # Keras's, so that a norm of zero divides nothing


class Constraint(Configurable):
    """Define ``__call__(w)``: it returns the weights that w is replaced by.

    >>> import numpy as np
    >>> from lstmcore.constraints import Constraint
    >>> class Centered(Constraint):
    ...     def __call__(self, w):
    ...         return w - w.mean()
    >>> Centered()(np.array([1.0, 3.0]))
    array([-1.,  1.])
    """

    def __call__(self, w: Array) -> Array:
        """Return the weights that take the place of w."""
        raise NotImplementedError(f"{type(self).__name__}: define __call__(w)")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self._arguments.items())})"


class NonNeg(Constraint):
    """No weight below zero.

    >>> import numpy as np
    >>> from lstmcore.constraints import NonNeg
    >>> NonNeg()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    def __call__(self, w: Array) -> Array:
        """Return w with zeros for what is negative."""
        w = real_array("w", w)
        return np.maximum(w, np.zeros((), w.dtype))


class MinMaxNorm(Constraint):
    """Norms, along ``axis``, moved by ``rate`` towards the nearest between ``min_value`` and ``max_value``.

    >>> import numpy as np
    >>> from lstmcore.constraints import MinMaxNorm
    >>> MinMaxNorm(max_value=1.0, rate=0.5)(np.array([[3.0], [4.0]])).round(4)
    array([[1.8],
           [2.4]])

    Parameters
    ----------
    min_value, max_value : of at least 0.
    rate : in [0, 1]; with 1, the norms are between the two after each step.
    axis : along which a norm is taken: 0, the inputs of each unit, or several axes.
    """

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: int | Sequence[int] = 0,
    ) -> None:
        kind = type(self).__name__
        self.min_value = number(f"{kind}: min_value", min_value, "[0, inf)")
        self.max_value = number(f"{kind}: max_value", max_value, f"[{self.min_value}, inf)")
        self.rate = number(f"{kind}: rate", rate, "[0, 1]")
        self.axis = _axes(f"{kind}: axis", axis)

    def __call__(self, w: Array) -> Array:
        """Return w with the norms moved."""
        w = real_array("w", w)
        norms = _norms(type(self).__name__, w, self.axis)
        wanted = self.rate * np.clip(norms, self.min_value, self.max_value) + (1 - self.rate) * norms
        moved: Array = w * (wanted / (_EPSILON + norms))
        return moved


class MaxNorm(MinMaxNorm):
    """No norm, along ``axis``, above ``max_value`` (Srivastava et al. 2014).

    >>> import numpy as np
    >>> from lstmcore.constraints import MaxNorm
    >>> MaxNorm(1.0)(np.array([[3.0, 0.3], [4.0, 0.4]])).round(4)
    array([[0.6, 0.3],
           [0.8, 0.4]])

    Parameters
    ----------
    max_value : of at least 0.
    axis : along which a norm is taken: 0, the inputs of each unit, or several axes.
    """

    def __init__(self, max_value: float = 2, axis: int | Sequence[int] = 0) -> None:
        super().__init__(max_value=max_value, axis=axis)


class UnitNorm(Constraint):
    """Every norm, along ``axis``, one.

    >>> import numpy as np
    >>> from lstmcore.constraints import UnitNorm
    >>> UnitNorm()(np.array([[3.0, 0.3], [4.0, 0.4]])).round(4)
    array([[0.6, 0.6],
           [0.8, 0.8]])

    Parameters
    ----------
    axis : along which a norm is taken: 0, the inputs of each unit, or several axes.
    """

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        self.axis = _axes("UnitNorm: axis", axis)

    def __call__(self, w: Array) -> Array:
        """Return w divided by its norms."""
        w = real_array("w", w)
        divided: Array = w / (_EPSILON + _norms("UnitNorm", w, self.axis))
        return divided


def _axes(name: str, axis: int | Sequence[int]) -> int | tuple[int, ...]:
    axes = integers(name, axis)
    if not axes:
        raise ValueError(f"{name}: expected an integer or several, got none")
    return axes if isinstance(axis, Sequence) else axes[0]


def _norms(kind: str, w: Array, axis: int | tuple[int, ...]) -> Array:
    try:
        return np.asarray(np.sqrt(np.sum(np.square(w), axis=axis, keepdims=True)))
    except ValueError:
        raise ValueError(f"{kind}: axis: expected axes of a weight of shape {w.shape}, got {axis}") from None


max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm  # Keras's other names

_KNOWN: dict[str, type[Constraint]] = {
    "max_norm": MaxNorm,
    "min_max_norm": MinMaxNorm,
    "non_neg": NonNeg,
    "unit_norm": UnitNorm,
}


def get(
    identifier: str | dict[str, Any] | Callable[[Array], Array] | None,
) -> Callable[[Array], Array] | None:
    """Return the constraint of that name, or from its description, or the one given; None for None.

    >>> from lstmcore import constraints
    >>> constraints.get("non_neg")
    NonNeg()

    Raises
    ------
    ValueError
        There is none of that name; the message lists those there are.
    TypeError
        It is something else.
    """
    if identifier is None or (callable(identifier) and not isinstance(identifier, type)):
        return identifier
    return resolve("constraint", identifier, Constraint, _KNOWN)


_not_offered.answer_for(__name__)
