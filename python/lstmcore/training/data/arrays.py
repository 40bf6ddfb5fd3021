"""Batches cut from arrays that are whole in memory, or mapped into it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ... import _random
from ..._arguments import not_within_itself, real_array
from ..._tree import leaves, map_leaves, named_leaves, rows_of
from ..outputs import refuse_key
from .on_demand import OnDemand
from .rows import Rows, lengths_of
from .rows import rows as rows_at
from .source import Batch, Source

Array = NDArray[Any]
_SORTED = 16  # batches among whose sequences those of similar length are found


def as_arrays(
    name: str,
    value: Any,
    several: bool,
    dimensions: int | None = None,
    rows: int | None = None,
    key: str | None = None,
) -> Any:
    """Return data as an array, or as arrays in the lists and dicts that they came in.

    ``several`` says whether a list of arrays is several inputs, and not one array in pieces;
    ``dimensions`` and ``rows`` are what one array is expected to have, and ``key`` its name in a dict, where those are
    known.
    """
    if isinstance(value, Rows):
        return value
    if isinstance(value, dict):
        not_within_itself(name, value)
        if not value:
            raise ValueError(f"{name}: expected arrays, got an empty dict")
        if not several and len(value) > 1:
            raise ValueError(
                f"{name}: expected one array, for the model has one {_end(name)}; got a dict of {len(value)}: "
                f"{', '.join(map(str, value))}"
            )
        if not several and key is not None:
            refuse_key(name, value, key)
        arrays = {key: as_arrays(f"{name}[{key!r}]", part, several) for key, part in value.items()}
        return arrays if several else next(iter(arrays.values()))
    if isinstance(value, (list, tuple)) and value and all(_is_whole(part, several) for part in value):
        if several:
            return type(value)(as_arrays(f"{name}[{k}]", part, several) for k, part in enumerate(value))
        one = dimensions is None and isinstance(value[0], np.ndarray) and len(value[0]) == rows
        if len(value) == 1 and (one or np.ndim(value[0]) == dimensions):  # in a list, as Keras allows
            value = value[0]
        else:
            whole = all(np.ndim(part) == dimensions or len(part) == rows for part in value)
            if whole and 1 < len(value) != rows:  # each could be all of the data
                refuse_several(name, len(value))
    array = real_array(name, value)
    if array.ndim == 0:
        raise ValueError(f"{name}: expected a batch, got a number")
    return array


def refuse_several(name: str, count: int) -> NoReturn:
    """Refuse a list of arrays where there is to be one."""
    raise ValueError(f"{name}: expected one array, for the model has one {_end(name)}; got a list of {count} arrays")


def _is_whole(part: Any, several: bool) -> bool:
    """Whether it is an array with rows or, of several inputs, a list or dict of some."""
    if isinstance(part, Rows):
        return True
    if hasattr(part, "__array__"):
        return bool(np.ndim(part))
    if not several or not part:
        return False
    if isinstance(part, dict):
        return all(_is_whole(inner, True) for inner in part.values())
    return isinstance(part, (list, tuple)) and all(_is_whole(inner, True) for inner in part)


def _end(name: str) -> str:
    return "output" if name.endswith(("y", "sample_weight")) else "input"


class Arrays(Source):
    """Arrays of one length, cut into batches; the data are never copied as a whole.

    Parameters
    ----------
    x, y, sample_weight : arrays, or lists and dicts of them; all but ``x`` may be or hold None.
    batch_size : rows of a batch; the last may have fewer. None: as many as make ``steps`` batches of
        all rows or, if that is None too, 32.
    shuffle : whether every epoch takes the rows in an order of its own; "batch" changes the order
        only within each batch.
    prefix : goes before the names in errors.
    """

    kind = "arrays"

    def __init__(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        batch_size: int | None = None,
        steps: int | None = None,
        shuffle: bool | str = False,
        prefix: str = "",
    ) -> None:
        self.x, self.y, self.sample_weight = x, y, sample_weight
        self.rows = rows_of(x)
        self.on_demand = False  # whether batches are `OnDemand`, for processes each of which takes its own of them
        self._cut = batch_size, steps
        self.batch_size = batch_size or (-(-self.rows // steps) if steps else 32)
        self.shuffle = shuffle
        (like, _), *_ = named_leaves("x", x)
        for argument, value in (("x", x), ("y", y), ("sample_weight", sample_weight)):
            for name, array in named_leaves(argument, value):
                if array is not None and len(array) != self.rows:
                    raise ValueError(f"{prefix}{name}: expected {self.rows} rows as in {like}, got shape {array.shape}")
        if not self.rows:
            raise ValueError(f"{prefix}x: expected at least one row, got none")
        self.steps = -(-self.rows // self.batch_size)

    def split(self, share: float, batch_size: int | None, steps: int | None) -> tuple[Arrays, Arrays]:
        """Return the data without a share of their rows, the last, and those, cut by ``batch_size`` or ``steps``."""
        rows = int(self.rows * (1 - share))
        if not 0 < rows < self.rows:
            raise ValueError(
                f"validation_split: expected to leave at least one row to train on and one to validate on, got "
                f"{share!r} of {self.rows} rows"
            )

        def part(which: slice, size: int | None, count: int | None, shuffle: bool | str) -> Arrays:
            data = (self.x, self.y, self.sample_weight)
            x, y, weight = (map_leaves(lambda v: None if v is None else v[which], a) for a in data)
            made = Arrays(x, y, weight, size, count, shuffle)
            made.on_demand = self.on_demand
            return made

        return part(slice(rows), *self._cut, self.shuffle), part(slice(rows, None), batch_size, steps, False)

    def _order(self, stream: _random.Stream | None) -> Array | None:
        if not self.shuffle or stream is None:
            return None
        rng = stream.next()
        if self.shuffle == "batch":
            starts = range(0, self.rows, self.batch_size)
            return np.concatenate([s + rng.permutation(min(self.batch_size, self.rows - s)) for s in starts])
        order = rng.permutation(self.rows)
        return order if self._lengths is None else self._alike(order, rng)

    @property
    def masked(self) -> bool:
        """Whether there are inputs with masks."""
        return any(isinstance(part, Rows) for part in leaves(self.x))

    @property
    def _lengths(self) -> Array | None:
        """Return how long the sequences are, of several inputs the longest; None if they are of one length."""
        found = lengths_of(self.x)
        return np.max(found, axis=0) if found else None

    def _alike(self, order: Array, rng: np.random.Generator) -> Array:
        """Return an order in which sequences of similar length make a batch.

        Only those of some ten batches that chance has put together are sorted, so that batches differ between epochs.
        """
        lengths, size = self._lengths, self.batch_size
        assert lengths is not None
        for start in range(0, self.rows, _SORTED * size):
            part = order[start : start + _SORTED * size]
            order[start : start + _SORTED * size] = part[np.argsort(lengths[part], kind="stable")]
        whole = self.rows // size * size
        batches = order[:whole].reshape(-1, size)
        return np.concatenate([batches[rng.permutation(len(batches))].reshape(-1), order[whole:]])

    def epoch(self, stream: _random.Stream | None, skip: int = 0) -> Iterator[Batch]:
        """Return the batches of a pass over the data, without the first ``skip``."""
        order = self._order(stream)
        return self._batches(order, range(skip * self.batch_size, self.rows, self.batch_size))

    def _batches(self, order: Array | None, starts: range) -> Iterator[Batch]:
        size, x, y, weight = self.batch_size, self.x, self.y, self.sample_weight
        single = isinstance(x, np.ndarray)
        take = OnDemand.of if self.on_demand else rows_at
        for start in starts:
            part = slice(start, start + size) if order is None else order[start : start + size]
            yield (
                take(x, part) if single else map_leaves(lambda array: take(array, part), x),  # noqa: B023
                map_leaves(lambda array: take(array, part), y),  # noqa: B023
                map_leaves(lambda array: take(array, part), weight),  # noqa: B023
            )

    def first(self) -> Batch:
        """Return the first row."""
        on_demand, self.on_demand = self.on_demand, False
        try:
            return next(self._batches(None, range(1)))
        finally:
            self.on_demand = on_demand
