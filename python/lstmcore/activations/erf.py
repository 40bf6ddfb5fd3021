"""The complement of the error function, element by element.

By the rational approximations of W. J. Cody, "Rational Chebyshev approximations for the error function",
Mathematics of Computation 23 (1969), 631-637, with the coefficients of his program CALERF in SPECFUN: relative
errors of a few units in the last place of float64, in the tail too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Numerator and denominator, highest power first. erf(x) / x for |x| <= 0.46875, in x^2:
_SMALL = (
    (1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
# exp(x^2) erfc(x) for 0.46875 <= x <= 4, in x:
_MIDDLE = (
    (
        2.15311535474403846e-8,
        5.64188496988670089e-1,
        8.88314979438837594,
        6.61191906371416295e1,
        2.98635138197400131e2,
        8.81952221241769090e2,
        1.71204761263407058e3,
        2.05107837782607147e3,
        1.23033935479799725e3,
    ),
    (
        1.0,
        1.57449261107098347e1,
        1.17693950891312499e2,
        5.37181101862009858e2,
        1.62138957456669019e3,
        3.29079923573345963e3,
        4.36261909014324716e3,
        3.43936767414372164e3,
        1.23033935480374942e3,
    ),
)
# (1 / sqrt(pi) - x exp(x^2) erfc(x)) x^2 for x >= 4, in 1 / x^2:
_LARGE = (
    (
        1.63153871373020978e-2,
        3.05326634961232344e-1,
        3.60344899949804439e-1,
        1.25781726111229246e-1,
        1.60837851487422766e-2,
        6.58749161529837803e-4,
    ),
    (
        1.0,
        2.56852019228982242,
        1.87295284992346725,
        5.27905102951428412e-1,
        6.05183413124413191e-2,
        2.33520497626869185e-3,
    ),
)
_SQRT_PI_INVERSE = 5.6418958354775628695e-1
_ENDS = 0.46875, 4.0, 28.0  # of the ranges; erfc(28) is zero in float64


def _ratio(coefficients: Sequence[Sequence[float]], x: Array) -> Array:
    values = []
    for row in coefficients:
        value = x * row[0]
        for coefficient in row[1:-1]:
            value += coefficient
            value *= x
        value += row[-1]
        values.append(value)
    return np.asarray(values[0] / values[1])


def erfc(x: Array) -> Array:
    """Return 1 - erf(x), of the dtype of ``x``.

    >>> import numpy as np
    >>> from lstmcore.activations.erf import erfc
    >>> erfc(np.array([-1.0, 0.0, 1.0])).round(6)
    array([1.842701, 1.      , 0.157299])
    """
    small, middle, large = _ENDS
    a = np.minimum(np.abs(x), large)
    # exp(-a^2) with its argument in two parts, the first exact, so that rounding a^2 costs nothing.
    coarse = np.floor(a * 16) / 16
    scale = np.exp(-coarse * coarse) * np.exp((coarse - a) * (coarse + a))
    result = np.asarray(scale * _ratio(_MIDDLE, np.minimum(a, middle)))
    far = a > middle
    if far.any():
        b = a[far]
        inverse = 1 / (b * b)
        result[far] = scale[far] * (_SQRT_PI_INVERSE - inverse * _ratio(_LARGE, inverse)) / b
    result = np.asarray(np.where(x < 0, 2 - result, result))
    near = a <= small
    if near.any():
        b = x[near]
        result[near] = 1 - b * _ratio(_SMALL, b * b)
    return result


def erf(x: Array) -> Array:
    """Return the error function, of the dtype of ``x``, right to the last digits near 0 too.

    >>> import numpy as np
    >>> from lstmcore.activations.erf import erf
    >>> erf(np.array([-1.0, 0.0, 1.0])).round(6)
    array([-0.842701,  0.      ,  0.842701])
    """
    result = 1 - erfc(x)
    near = np.abs(x) <= _ENDS[0]
    if near.any():
        b = x[near]
        result[near] = b * _ratio(_SMALL, b * b)
    return result
