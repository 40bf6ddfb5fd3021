"""Arrays in lists, tuples and dicts: what layers and models with several inputs take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


def leaves(value: Any) -> Iterator[Any]:
    """Yield the arrays in ``value``, which may be one itself."""
    if isinstance(value, dict):
        for part in value.values():
            yield from leaves(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from leaves(part)
    else:
        yield value


def named_leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the arrays in ``value`` with what messages call them: "x", "x[1]", "x['a']"."""
    if isinstance(value, (dict, list, tuple)):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from named_leaves(f"{name}[{key!r}]", part)
    else:
        yield name, value


def all_of(kind: type[T], value: Any, above: tuple[int, ...] = ()) -> list[T]:
    """Return what is of a class in lists, tuples and dicts, or is the value itself; of what is within itself, once."""
    if isinstance(value, kind):
        return [value]
    if not isinstance(value, (list, tuple, dict)) or id(value) in above:
        return []
    above = (*above, id(value))
    parts = value.values() if isinstance(value, dict) else value
    return [found for part in parts for found in all_of(kind, part, above)]


def like(value: Any, parts: list[Any]) -> Any:
    """Return parts in a list, a tuple or a named tuple, as ``value`` is one."""
    return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)


def map_leaves(function: Callable[[Any], Any], value: Any) -> Any:
    """Return ``value`` with ``function`` of each array in its place."""
    if isinstance(value, dict):
        return {name: map_leaves(function, part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return like(value, [map_leaves(function, part) for part in value])
    return function(value)


def map_shapes(function: Callable[[Any], Any], shape: Any) -> Any:
    """Return ``function`` of a shape; of the shapes of several arrays, in lists, tuples and dicts, in their places.

    In these there may be None for an array that is left out.
    """
    if shape is None:
        return None
    if isinstance(shape, dict):
        return {name: map_shapes(function, part) for name, part in shape.items()}
    if any(isinstance(part, (list, tuple, dict)) for part in shape):
        return like(shape, [map_shapes(function, part) for part in shape])
    return function(shape)


def in_places(value: Any, structure: Any) -> list[Any] | None:
    """Return what ``value`` has at the places of the leaves of ``structure``, in their order.

    That is None where a dict lacks a key or there is None for a whole list or dict; and None altogether if ``value`` is
    not built like ``structure``.

    >>> from lstmcore._tree import in_places
    >>> in_places({"b": [1, [2, 3]]}, {"a": "x", "b": ["y", "z"]})
    [None, 1, [2, 3]]
    """
    if not isinstance(structure, (list, tuple, dict)):
        return [value]
    if value is None:
        return [None for _ in leaves(structure)]
    if isinstance(structure, dict):
        if not isinstance(value, dict):
            return None
        if value.keys() - structure.keys():  # a model has the keys of a dict as text
            value = {str(name): part for name, part in value.items()}
        if value.keys() - structure.keys():
            return None
        pairs = [(value.get(name), part) for name, part in structure.items()]
    elif not isinstance(value, (list, tuple)) or len(value) != len(structure):
        return None
    else:
        pairs = list(zip(value, structure, strict=True))
    found: list[Any] = []
    for part, where in pairs:
        inner = in_places(part, where)
        if inner is None:
            return None
        found += inner
    return found


def copies(value: Any) -> Any:
    """Return ``value`` with copies of the arrays in it."""
    return map_leaves(lambda part: part.copy() if isinstance(part, np.ndarray) else part, value)


def shapes(value: Any) -> Any:
    """Return the shape of an array or symbol, or the shapes of several in their places; None where there is none."""
    return map_leaves(lambda part: None if part is None else tuple(part.shape), value)


def rows_of(value: Any) -> int:
    """Return the number of rows of the first array in ``value``."""
    if isinstance(value, np.ndarray):  # at every step
        return len(value)
    return len(next(part for part in leaves(value) if part is not None))
