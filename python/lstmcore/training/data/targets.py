"""Targets and their weights: one array, or one for each of several outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..._arguments import not_within_itself
from .arrays import as_arrays


class Targets:
    """How the targets of a model come.

    >>> from lstmcore.training.data import Targets
    >>> Targets(["price", "sign"], needed=["price"])([[2.5, 3.5], None], rows=2)
    [array([2.5, 3.5]), None]

    Parameters
    ----------
    names : of the outputs, if there are several; None if there is one.
    needed : those that have a loss; the others may have None.
    by_name : whether the outputs are a dict.
    """

    def __init__(self, names: Sequence[str] | None = None, needed: Sequence[str] = (), by_name: bool = False) -> None:
        self.names, self.needed, self.by_name = names, set(needed), by_name

    def __call__(self, y: Any, rows: int, name: str = "y") -> Any:
        """Return the targets as an array or, for several outputs, as arrays in their order, in a list or dict."""
        if self.names is None:
            return as_arrays(name, y, False, rows=rows)
        if not isinstance(y, (list, tuple, dict)):
            got = "one array" if hasattr(y, "__array__") else type(y).__name__
            raise ValueError(f"{name}: expected {self._said()}, in a list or a dict by name; got {got}")
        return self._each(name, y, rows, needed=self.needed)

    def weights(self, sample_weight: Any, rows: int, name: str = "sample_weight") -> Any:
        """Return the weights of the samples: as targets; an array stands for that of all outputs."""
        if self.names is None:
            return as_arrays(name, sample_weight, False, rows=rows)
        parts = sample_weight if isinstance(sample_weight, (list, tuple)) else ()
        if isinstance(sample_weight, dict) or any(part is None or hasattr(part, "__len__") for part in parts):
            return self._each(name, sample_weight, rows, needed=set())
        return self._in_places([self._one(name, sample_weight, rows)] * len(self.names))

    def _each(self, name: str, value: Any, rows: int, needed: set[str]) -> Any:
        assert self.names is not None
        not_within_itself(name, value)
        if isinstance(value, dict):
            wrong = [str(key) for key in value if key not in self.names]
            missing = [key for key in self.names if key in needed and value.get(key) is None]
            if wrong or missing:
                got = ", ".join(map(str, value)) or "none"
                raise ValueError(f"{name}: expected {self._said()}, got {got}")
            given = [value.get(key) for key in self.names]
        else:
            given = _flat(value)
            if len(given) != len(self.names):
                raise ValueError(f"{name}: expected {self._said()}, got {len(given)}")
        arrays = []
        for key, part in zip(self.names, given, strict=True):
            where = f"{name}[{key!r}]"
            if part is None and key in needed:
                raise ValueError(f"{where}: expected an array, for that output has a loss; got None")
            arrays.append(None if part is None else self._one(where, part, rows))
        return self._in_places(arrays)

    def _in_places(self, arrays: list[Any]) -> Any:
        return dict(zip(self.names or (), arrays, strict=True)) if self.by_name else arrays

    def _one(self, where: str, value: Any, rows: int) -> Any:
        array = as_arrays(where, value, False, rows=rows)
        if len(array) != rows:
            raise ValueError(f"{where}: expected {rows} rows as in x, got shape {array.shape}")
        return array

    def _said(self) -> str:
        assert self.names is not None
        return f"{len(self.names)} arrays, for the outputs {', '.join(self.names)}"


def _flat(value: Any) -> list[Any]:
    """Return what stands in a list, those of lists of arrays within too."""
    parts: list[Any] = []
    for part in value:
        within = isinstance(part, (list, tuple)) and any(hasattr(one, "__array__") for one in part)
        parts += _flat(part) if within else [part]
    return parts
