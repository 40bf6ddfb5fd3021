"""Checks of arguments, each naming the argument, what was expected and what came."""

from __future__ import annotations

import operator
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

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


def number(name: str, value: Any, interval: str = "(-inf, inf)") -> float:
    """Return ``value`` as a float if it lies in the interval, written as "[0, 1)"; raise TypeError or ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name}: expected a number in {interval}, got {value!r}")
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    above = low <= value if interval[0] == "[" else low < value
    below = value <= high if interval[-1] == "]" else value < high
    if not (above and below):
        raise ValueError(f"{name}: expected a number in {interval}, got {value!r}")
    return float(value)


def flag(name: str, value: Any) -> bool:
    """Return ``value`` as a bool, or raise TypeError: numbers and strings are more likely a slip."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: expected True or False, got {value!r}")
    return bool(value)


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


def valid_steps(
    where: str, batch: int, steps: int, mask: ArrayLike | None, lengths: ArrayLike | None
) -> NDArray[np.bool_]:
    """Return (batch, steps), True where a step counts; errors are those of the core, with ``where`` before them."""
    if mask is not None and lengths is not None:
        raise ValueError(f"{where}mask: give lengths or a mask, not both")
    if lengths is not None:
        n = np.asarray(lengths)
        if n.size and n.dtype.kind not in "iu":
            raise TypeError(f"{where}lengths: expected integers, got {n.dtype}")
        if n.shape != (batch,):
            raise ValueError(f"{where}lengths: expected shape (batch={batch},), got {n.shape}")
        wrong = np.flatnonzero((n < 0) | (n > steps))
        if wrong.size:
            raise ValueError(
                f"{where}lengths: expected numbers from 0 to {steps} (steps), got {n[wrong[0]]} at {wrong[0]}"
            )
        return np.asarray(np.arange(steps) < n[:, None])
    if mask is None:
        return np.ones((batch, steps), bool)
    valid = np.array(mask)  # a copy: the backward pass needs it too
    if valid.dtype != bool:
        raise TypeError(f"{where}mask: expected bool, got {valid.dtype}")
    if valid.shape != (batch, steps):
        raise ValueError(f"{where}mask: expected shape (batch={batch}, steps={steps}), got {valid.shape}")
    return valid


def reject_options(where: str, options: dict[str, Any], offered_by_keras: Collection[str]) -> None:
    """Refuse options left over: those Keras has and we do not, unless unset, and unknown ones."""
    for name, value in options.items():
        if name not in offered_by_keras:
            raise TypeError(f"{where} got an unexpected argument {name!r}")
        if value is not None and not (np.isscalar(value) and not value):
            raise NotImplementedError(f"{where}: {name}={value!r} is not offered")


def rate(name: str, value: Any) -> float:
    """Return ``value`` as a float in [0, 1), or raise TypeError or ValueError."""
    if not _is_number(value):
        raise TypeError(f"{name}: expected a number in [0, 1), got {value!r}")
    if not 0 <= value < 1:
        raise ValueError(f"{name}: expected a number in [0, 1), got {value!r}")
    return float(value)


def seed(name: str, value: Any) -> int | None:
    """Return ``value`` as an int from 0 on, or None as it is, or raise ValueError."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise ValueError(f"{name}: expected an integer from 0 on, got {value!r}")
    return int(value)


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, (int, float, np.integer, np.floating))
