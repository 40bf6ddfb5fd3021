"""Batches for training, evaluation and prediction, whatever the data come as."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..._tables import is_table
from ..._tree import map_leaves, rows_of
from .arrays import Arrays, as_arrays
from .batches import Iterable, Numbered, Streamed, batch
from .feed import Feed
from .rows import all_rows, apart, gathered, joined, lengths_of, masked, rows, together
from .source import Batch, Source, warn_of_the_end
from .targets import Targets

__all__ = [
    "Arrays",
    "Batch",
    "Feed",
    "Source",
    "Targets",
    "all_rows",
    "apart",
    "as_arrays",
    "gathered",
    "joined",
    "lengths_of",
    "masked",
    "rows",
    "rows_of",
    "source",
    "together",
    "warn_of_the_end",
]


def _holds_batches(x: Any) -> bool:
    """Whether ``x`` is a data set that gives batches, and no array."""
    if isinstance(x, (list, tuple, dict, str, bytes)) or hasattr(x, "__array__") or is_table(x):
        return False
    return any(hasattr(x, name) for name in ("__iter__", "__next__", "__getitem__"))


def source(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    targets: Callable[[Any], Targets] = lambda inputs: Targets(),
    batch_size: int | None = None,
    steps: int | None = None,
    shuffle: bool | str = False,
    several: bool = False,
    dimensions: int | None = None,
    key: str | None = None,
    known: Any = None,
    needs_targets: bool = True,
    prefix: str = "",
    mask: Any = None,
    lengths: Any = None,
) -> Source:
    """Return the source of batches for what `fit` and its kind were given.

    Parameters
    ----------
    x : arrays, or lists of arrays of different length (in lists or dicts for several inputs); or a generator, an
        iterable, or a data set with ``data[k]`` and ``len(data)``, of batches x, (x,), (x, y) or (x, y, sample_weight).
    y, sample_weight : arrays, or None if ``x`` gives them.
    targets : how the targets come, told by inputs; one array by default.
    batch_size, steps, shuffle : how arrays are cut.
    several, dimensions, key : see `as_arrays`.
    known : something for each input, in lists and dicts as they are said, if that is known.
    needs_targets : whether ``y`` must be there; what is predicted, and what learns by what layers add to the loss, has
        no use for it.
    prefix : goes before the names in errors.
    mask, lengths : of arrays, which steps count.
    """
    if x is None:
        raise ValueError(f"{prefix}x: expected data, got None")
    if hasattr(x, "toarray"):
        raise TypeError(f"{prefix}x: expected an array, got the sparse {type(x).__name__}; use its toarray()")
    if _holds_batches(x):
        for name, value in (("y", y), ("sample_weight", sample_weight), ("mask", mask), ("lengths", lengths)):
            if value is not None:
                raise ValueError(
                    f"{prefix}{name}: expected None, for x ({type(x).__name__}) gives it with every batch; got "
                    f"{type(value).__name__}"
                )
        made = functools.partial(batch, f"{prefix}x", several, key, known, targets if needs_targets else None)
        if hasattr(x, "epoch") and hasattr(x, "steps"):
            return Streamed(x, made, f"{prefix}x")
        if hasattr(x, "__getitem__"):
            return Numbered(x, made, bool(shuffle), f"{prefix}x")
        return Iterable(x, made, f"{prefix}x")
    if y is None and needs_targets:
        raise ValueError(f"{prefix}y: expected targets, got None")
    x = as_arrays(f"{prefix}x", gathered(f"{prefix}x", x, several, known), several, dimensions, key=key)
    x = masked(f"{prefix}x", x, mask, lengths)
    count = rows_of(x)
    if not needs_targets:
        y = sample_weight = None
    if y is not None or sample_weight is not None:
        shape = targets(map_leaves(lambda part: rows(part, slice(1)), x))
        shape.lengths = lengths_of(x)
        y = None if y is None else shape(y, count, f"{prefix}y")
        if sample_weight is not None:
            sample_weight = shape.weights(sample_weight, count, f"{prefix}sample_weight")
    return Arrays(x, y, sample_weight, batch_size, steps, shuffle, prefix)
