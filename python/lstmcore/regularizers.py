"""Penalties on weights or outputs, under Keras's names, with their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core, _not_offered
from ._arguments import among, number, real_array
from .serialization import Configurable
from .serialization.identifiers import plain, resolve

__all__ = ["L1", "L1L2", "L2", "OrthogonalRegularizer", "Regularizer", "get"]

Array = NDArray[Any]


class Regularizer(Configurable):
    """A penalty: define ``__call__(x)``, a number, and ``gradient(x)``, an array of the shape of x.

    >>> import numpy as np
    >>> from lstmcore.regularizers import Regularizer
    >>> class Sum(Regularizer):
    ...     def __call__(self, x):
    ...         return float(np.sum(x))
    ...     def gradient(self, x):
    ...         return np.ones_like(x)
    >>> Sum()(np.ones((2, 3)))
    6.0
    """

    def __call__(self, x: ArrayLike) -> float:
        """Return the penalty."""
        raise NotImplementedError(f"{type(self).__name__}: define __call__(x)")

    def gradient(self, x: ArrayLike) -> Array:
        """Return the derivative of the penalty with respect to x."""
        raise NotImplementedError(f"{type(self).__name__}: define gradient(x); training needs it")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self._arguments.items())})"


class L1L2(Regularizer):
    """``l1 * sum(|x|) + l2 * sum(x^2)``.

    By name, "l1_l2", both factors are 0.01.

    >>> from lstmcore.regularizers import L1L2
    >>> L1L2(l1=0.5, l2=0.25)([1.0, -2.0])
    2.75

    Parameters
    ----------
    l1, l2 : factors of at least 0.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        kind = type(self).__name__
        self.l1 = number(f"{kind}: l1", 0.0 if l1 is None else l1, "[0, inf)")
        self.l2 = number(f"{kind}: l2", 0.0 if l2 is None else l2, "[0, inf)")

    def __call__(self, x: ArrayLike) -> float:
        """Return the penalty, summed in float64."""
        array = _floats(x)
        penalty = self.l1 * float(np.abs(array).sum(dtype=np.float64)) if self.l1 else 0.0
        return penalty + (self.l2 * _core.sum_of_squares(array) if self.l2 else 0.0)

    def gradient(self, x: ArrayLike) -> Array:
        """Return ``l1 * sign(x) + 2 * l2 * x``."""
        array = _floats(x)
        slope: Array = 2 * self.l2 * array
        return slope + self.l1 * np.sign(array) if self.l1 else slope


class L1(L1L2):
    """``l1 * sum(|x|)``, which makes weights sparse.

    >>> from lstmcore.regularizers import L1
    >>> L1(0.5)([1.0, -2.0])
    1.5

    Parameters
    ----------
    l1 : a factor of at least 0.
    """

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=0.01 if l1 is None else l1)


class L2(L1L2):
    """``l2 * sum(x^2)``, which keeps weights small.

    >>> from lstmcore.regularizers import L2
    >>> L2(0.25)([1.0, -2.0])
    1.25

    Parameters
    ----------
    l2 : a factor of at least 0.
    """

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=0.01 if l2 is None else l2)


class OrthogonalRegularizer(Regularizer):
    """``factor`` times the mean, over pairs of rows, of the size of the cosine of their angle.

    >>> import numpy as np
    >>> from lstmcore.regularizers import OrthogonalRegularizer
    >>> OrthogonalRegularizer(factor=1.0)(np.array([[1.0, 0.0], [1.0, 1.0]])).__round__(4)
    0.7071

    Parameters
    ----------
    factor : at least 0.
    mode : "rows" or "columns".

    Raises
    ------
    ValueError
        An argument is outside its range, or what it is called with is no matrix.
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = number("OrthogonalRegularizer: factor", factor, "[0, inf)")
        if not among(mode, ("rows", "columns")):
            raise ValueError(f"OrthogonalRegularizer: mode: expected 'rows' or 'columns', got {mode!r}")
        self.mode = mode

    def _parts(self, x: ArrayLike) -> tuple[Array, Array, Array, float]:
        """Return the lengths of the rows, the rows made one long, their products, the factor of each pair."""
        matrix = _floats(x)
        if matrix.ndim != 2:
            raise ValueError(f"OrthogonalRegularizer: x: expected a matrix, got shape {matrix.shape}")
        rows = matrix if self.mode == "rows" else matrix.T
        lengths = np.sqrt(np.sum(rows**2, axis=1, keepdims=True))
        lengths = np.maximum(lengths, 1e-12)  # a row of zeros stays one
        units = rows / lengths
        products = _core.matmul(units, units.T)  # NumPy's wakes threads that then spin beside ours
        np.fill_diagonal(products, 0)
        pairs = len(rows) * (len(rows) - 1) / 2
        return lengths, units, products, self.factor / pairs if pairs else 0.0

    def __call__(self, x: ArrayLike) -> float:
        """Return the penalty."""
        _, _, products, factor = self._parts(x)
        return factor * 0.5 * float(np.abs(products).sum(dtype=np.float64))

    def gradient(self, x: ArrayLike) -> Array:
        """Return the derivative: with unit rows u, ``factor / pairs`` times that of ``sum_(j<k) |u_j . u_k|``."""
        lengths, units, products, factor = self._parts(x)
        towards = _core.matmul(factor * np.sign(products), units)
        along = np.sum(towards * units, axis=1, keepdims=True)
        slope: Array = (towards - along * units) / lengths  # what turns a row, not what stretches it
        return slope if self.mode == "rows" else slope.T


def _floats(x: ArrayLike) -> Array:
    array = real_array("x", x)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer  # Keras's other names

_KNOWN: dict[str, type[Regularizer]] = {
    "l1": L1,
    "l2": L2,
    "l1_l2": L1L2,
    "orthogonal_regularizer": OrthogonalRegularizer,
}


def get(identifier: str | dict[str, Any] | Regularizer | None) -> Regularizer | None:
    """Return the regularizer of that name, or from its description, or the one given; None for None.

    >>> from lstmcore import regularizers
    >>> regularizers.get("l2")
    L2()

    Raises
    ------
    ValueError
        There is none of that name; the message lists those there are.
    TypeError
        It is something else, such as a function: training needs the gradient too.
    """
    if identifier is None:
        return None
    if isinstance(identifier, str) and plain(identifier) == "l1l2":
        return L1L2(0.01, 0.01)
    return resolve("regularizer", identifier, Regularizer, _KNOWN)


_not_offered.answer_for(__name__)
