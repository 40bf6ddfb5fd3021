"""Checks of arguments, each naming the argument, what was expected and what came."""

from __future__ import annotations

import operator
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]


def positive_integer(name: str, value: Any) -> int:
    """Return ``value`` as an int, or raise TypeError or ValueError."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: expected a positive integer, got {value!r}") from None
    if isinstance(value, bool) or number < 1:
        raise ValueError(f"{name}: expected a positive integer, got {value!r}")
    return number


def float_dtype(name: str, dtype: DTypeLike) -> np.dtype[Any]:
    """Return float32 or float64, or raise."""
    result = np.dtype(dtype)
    if result not in (np.float32, np.float64):
        raise TypeError(f"{name}: expected float32 or float64, got {result}")
    return result


def float_array(name: str, value: Any, dtype: np.dtype[Any]) -> Array:
    """Return ``value`` as an array of ``dtype``; other float types are converted, the rest refused."""
    array = np.asarray(value)
    if array.dtype == dtype:
        return array
    if array.dtype.kind != "f":
        hint = f"; convert it with .astype({dtype.name!r})" if array.dtype.kind in "iub" else ""
        raise TypeError(f"{name}: expected {dtype.name}, got {array.dtype}{hint}")
    return array.astype(dtype)


def target_array(name: str, value: Any, dtype: np.dtype[Any]) -> Array:
    """Return targets as an array of ``dtype``; integers and booleans are converted too."""
    array = np.asarray(value)
    return array.astype(dtype) if array.dtype.kind in "iub" else float_array(name, array, dtype)


def reject_options(where: str, options: dict[str, Any], offered_by_keras: Collection[str]) -> None:
    """Refuse options left over: those Keras has and we do not, unless unset, and unknown ones."""
    for name, value in options.items():
        if name not in offered_by_keras:
            raise TypeError(f"{where} got an unexpected argument {name!r}")
        if value is not None and not (np.isscalar(value) and not value):
            raise NotImplementedError(f"{where}: {name}={value!r} is not offered")


def rate(name: str, value: Any) -> float:
    """Return ``value`` as a float in [0, 1), or raise TypeError or ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name}: expected a number in [0, 1), got {value!r}")
    if not 0 <= value < 1:
        raise ValueError(f"{name}: expected a number in [0, 1), got {value!r}")
    return float(value)
