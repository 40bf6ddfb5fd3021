"""Nested states taken apart into plain data, which JSON can hold, and arrays by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_ARRAY = "$array"  # the key of what stands for an array


def split(state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return a state's plain data and its arrays.

    >>> import numpy as np
    >>> from lstmcore.serialization.state import split
    >>> split({"steps": 3, "slots": {"m": np.zeros(2)}})
    ({'steps': 3, 'slots': {'m': {'$array': 'slots/m'}}}, {'slots/m': array([0., 0.])})

    Parameters
    ----------
    state : numbers, strings, None and arrays in dicts with names for keys, and in lists.
    """
    arrays: dict[str, Array] = {}

    def walk(value: Any, path: str) -> Any:
        if isinstance(value, np.ndarray):
            name = path
            while name in arrays:  # keys may have slashes in them
                name += "_"
            arrays[name] = value
            return {_ARRAY: name}
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, dict):
            return {str(key): walk(part, f"{path}/{key}") for key, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [walk(part, f"{path}/{k}") for k, part in enumerate(value)]
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        raise TypeError(f"{path}: expected numbers, strings and arrays in a state, got {type(value).__name__}")

    return {key: walk(value, key) for key, value in state.items()}, arrays


def join(plain: Any, arrays: Mapping[str, Array]) -> Any:
    """Return the state that `split` took apart."""
    if isinstance(plain, dict):
        if plain.keys() == {_ARRAY}:
            if plain[_ARRAY] not in arrays:
                raise ValueError(f"state: the array {plain[_ARRAY]!r} is missing")
            return arrays[plain[_ARRAY]]
        return {key: join(part, arrays) for key, part in plain.items()}
    if isinstance(plain, list):
        return [join(part, arrays) for part in plain]
    return plain
