"""Batches that somebody else has made: generators, iterables, and data sets that give a batch by its number."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from ... import _random
from ..._tree import map_leaves, rows_of
from .arrays import as_arrays
from .rows import gathered, lengths_of
from .rows import rows as rows_at
from .source import Batch, Source
from .targets import Targets


def batch(
    name: str, several: bool, key: str | None, known: Any, targets: Callable[[Any], Targets] | None, given: Any
) -> Batch:
    """Return what a generator gave as x, y and sample_weight; without ``targets``, x only."""
    parts = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    if not 1 <= len(parts) <= 3:
        raise ValueError(
            f"{name}: expected x, (x,), (x, y) or (x, y, sample_weight) for every batch, got {len(parts)} values"
        )
    x, y, weight = (*parts, None, None)[:3]
    x = as_arrays(name, gathered(name, x, several, known), several, key=key)
    rows, lengths = rows_of(x), lengths_of(x)
    if not rows:
        raise ValueError(f"{name}: expected at least one row in every batch, got none")
    x = map_leaves(lambda part: rows_at(part, slice(None)), x)
    if targets is None or (y is None and weight is None):
        return x, None, None
    shape = targets(x)
    shape.lengths = lengths
    y = None if y is None else shape(y, rows, f"{name}: y")
    weight = None if weight is None else shape.weights(weight, rows, f"{name}: sample_weight")
    y, weight = (map_leaves(lambda part: rows_at(part, slice(None)), of) for of in (y, weight))
    return x, y, weight


class Iterable(Source):
    """Something that ``iter`` makes batches of: anew for every pass, or only once if it is a generator.

    ``made`` makes a batch of what it gives. ``position`` and ``seek`` of the data set are used, if it has them, to make
    a pass again; what was seen of a generator before training was interrupted is skipped.
    """

    def __init__(self, data: Any, made: Callable[[Any], Batch], name: str = "x") -> None:
        self.data, self.made, self.name = data, made, name
        self.once = hasattr(data, "__next__")
        if self.once:
            self.kind = "a generator"
        self.steps = None if self.once else self._count(data)
        if self.steps == 0:
            raise ValueError(f"{name}: expected at least one batch, got none")
        self._seen: list[Any] = []  # taken from a generator to look at, and not given yet
        self._given = 0

    def _count(self, data: Any) -> int | None:
        if not hasattr(data, "__len__"):
            return None
        try:
            return len(data)
        except TypeError:  # how loaders of PyTorch's and TensorFlow's say that they do not know
            return None

    def epoch(self, stream: _random.Stream | None, skip: int = 0) -> Iterator[Batch]:
        """Return the batches of a pass over the data, without the first ``skip``."""
        # A generator is used up by whoever goes through it, so it is never closed but left where it is.
        raw = self._from_generator() if self.once else iter(self.data)
        for _ in itertools.islice(raw, skip):
            pass
        return (self.made(given) for given in raw)

    def _from_generator(self) -> Iterator[Any]:
        while True:
            try:
                batch = self._seen.pop() if self._seen else next(self.data)
            except StopIteration:
                return
            self._given += 1
            yield batch

    def first(self) -> Batch:
        """Return the first batch."""
        if self.once:
            self._seen = self._seen or list(itertools.islice(self.data, 1))
            batches = iter(self._seen)
        else:
            position = self.position()
            batches = itertools.islice(self.data, 1)
        for given in batches:
            if not self.once:
                self.seek(position)
            return self.made(given)
        raise ValueError(f"{self.name}: expected at least one batch, got none")

    def position(self) -> Any:
        """Return that of the data set, if it has one, or the number of batches that a generator has given."""
        if self.once:
            return self._given
        return self.data.position() if hasattr(self.data, "position") else None

    def seek(self, position: Any) -> None:
        """Hand on to the data set, or leave out what a generator had given."""
        if self.once:
            for _ in itertools.islice(self._from_generator(), max(0, position - self._given)):
                pass
        elif position is not None and hasattr(self.data, "seek"):
            self.data.seek(position)


class Streamed(Iterable):
    """A data set that knows how to be a source: ``steps``, and ``epoch(stream)`` for the batches of a pass."""

    def epoch(self, stream: _random.Stream | None, skip: int = 0) -> Iterator[Batch]:
        """Return the batches of a pass over the data, without the first ``skip``."""
        raw = itertools.islice(self.data.epoch(stream), skip, None)
        return (self.made(given) for given in raw)

    def first(self) -> Batch:
        """Return the first batch."""
        for given in self.data.epoch(None):
            return self.made(given)
        raise ValueError(f"{self.name}: expected at least one batch, got none")


class Numbered(Iterable):
    """A data set that gives a batch by its number: ``data[k]``, ``len(data)``, and perhaps hooks as `PyDataset` has.

    ``shuffle`` takes the batches in a new random order in every epoch.
    """

    def __init__(self, data: Any, made: Callable[[Any], Batch], shuffle: bool, name: str = "x") -> None:
        super().__init__(data, made, name)
        self.shuffle = shuffle

    def _count(self, data: Any) -> int | None:
        if not hasattr(data, "num_batches") and not hasattr(data, "__len__"):
            raise TypeError(f"{self.name}: expected a data set with len(data) or num_batches, got {data!r}")
        count: int | None = data.num_batches if hasattr(data, "num_batches") else len(data)
        return count

    def epoch(self, stream: _random.Stream | None, skip: int = 0) -> Iterator[Batch]:
        """Return the batches of a pass over the data, without the first ``skip``."""
        steps = self.steps = self._count(self.data)  # it may change between epochs
        numbers: Any = itertools.count() if steps is None else range(steps)
        if self.shuffle and stream is not None and steps is not None:
            numbers = stream.next().permutation(steps).tolist()
        return (self.made(self.data[k]) for k in itertools.islice(numbers, skip, None))

    def first(self) -> Batch:
        """Return the first batch."""
        return self.made(self.data[0])

    def begin_epoch(self) -> None:
        """Tell the data set, if it wants to know."""
        if hasattr(self.data, "on_epoch_begin"):
            self.data.on_epoch_begin()

    def end_epoch(self) -> None:
        """Tell the data set, if it wants to know."""
        if hasattr(self.data, "on_epoch_end"):
            self.data.on_epoch_end()
