"""Targets and their weights: one array, or one for each of several outputs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ..._tree import leaves, map_leaves
from ..outputs import for_outputs
from .arrays import as_arrays, refuse_several
from .rows import Array, like_sequences


class Targets:
    """How the targets of a model come.

    >>> from lstmcore.training.data import Targets
    >>> Targets(["price", "sign"], needed=["price"])({"price": [2.5, 3.5]}, rows=2)
    [array([2.5, 3.5]), None]

    Parameters
    ----------
    outputs : the names of several outputs, in lists and dicts as these are; None if there is one.
    needed : those that have a loss; the others may have None.
    key : the name of the one output, which a dict is to have, if that is known.
    axes : how many axes the one output has, if that is known: targets have no more.

    Attributes
    ----------
    lengths : of inputs in sequences of different length, as which targets and weights may come.
    """

    lengths: Sequence[Array] = ()

    def __init__(
        self, outputs: Any = None, needed: Collection[str] = (), key: str | None = None, axes: int | None = None
    ) -> None:
        self.outputs, self.needed, self.key, self.axes = outputs, needed, key, axes

    def __call__(self, y: Any, rows: int, name: str = "y") -> Any:
        """Return the targets as an array or, for several outputs, as arrays or None in lists and dicts like these."""
        if self.outputs is None:
            y = self._sequences(name, y) if self.lengths else y
            several = isinstance(y, (list, tuple)) and len(y) > 1
            if several and all(isinstance(part, np.ndarray) and part.ndim >= (self.axes or np.inf) for part in y):
                refuse_several(name, len(y))
            return as_arrays(name, y, False, rows=rows, key=self.key)
        return self._each(name, y, rows, self.needed)

    def weights(self, sample_weight: Any, rows: int, name: str = "sample_weight") -> Any:
        """Return the weights of the samples: as targets; an array stands for that of all outputs."""
        if self.outputs is None:
            sample_weight = self._sequences(name, sample_weight) if self.lengths else sample_weight
            return as_arrays(name, sample_weight, False, rows=rows, key=self.key)
        parts = sample_weight if isinstance(sample_weight, (list, tuple)) else ()
        if isinstance(sample_weight, dict) or any(part is None or hasattr(part, "__len__") for part in parts):
            return self._each(name, sample_weight, rows)
        array = self._one(name, sample_weight, rows)
        return map_leaves(lambda _: array, self.outputs)

    def _each(self, name: str, value: Any, rows: int, needed: Collection[str] = ()) -> Any:
        arrays = []
        for key, part in zip(leaves(self.outputs), for_outputs(name, value, self.outputs), strict=True):
            where = f"{name}[{key!r}]"
            if part is None and key in needed:
                raise ValueError(f"{where}: expected an array, for that output has a loss; got none")
            arrays.append(None if part is None else self._one(where, part, rows))
        at = iter(arrays)
        return map_leaves(lambda _: next(at), self.outputs)

    def _sequences(self, where: str, value: Any) -> Any:
        if isinstance(value, dict) and len(value) == 1:
            return {key: like_sequences(where, part, self.lengths) for key, part in value.items()}
        return like_sequences(where, value, self.lengths)

    def _one(self, where: str, value: Any, rows: int) -> Any:
        array = as_arrays(where, self._sequences(where, value), False, rows=rows)
        if len(array) != rows:
            raise ValueError(f"{where}: expected {rows} rows as in x, got shape {array.shape}")
        return array
