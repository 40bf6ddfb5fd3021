"""Data whose rows are not simply those of an array: sequences of different length, and arrays with a mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import _masks
from ..._arguments import ArgumentTypeError, not_within_itself, real_array, valid_steps
from ..._tree import leaves, map_leaves

Array = NDArray[Any]


class Rows:
    """What has rows, and gives some of them as an array with its mask."""

    shape: tuple[int | None, ...]

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, part: slice) -> Rows:
        raise NotImplementedError

    def rows(self, part: Any) -> Array:
        """Return the rows of a slice, or of these numbers, as an array that its mask goes with."""
        raise NotImplementedError


class Sequences(Rows):
    """Arrays of different length, with the same axes behind that.

    >>> import numpy as np
    >>> from lstmcore import _masks
    >>> from lstmcore.training.data.rows import Sequences
    >>> batch = Sequences([np.array([1, 2, 3]), np.array([4])]).rows(slice(2))
    >>> batch.tolist(), _masks.of(batch).tolist()
    ([[1, 2, 3], [4, 4, 4]], [[True, True, True], [True, False, False]])
    """

    def __init__(self, arrays: Sequence[Array]) -> None:
        self.arrays = list(arrays)
        self.lengths = np.array([len(array) for array in self.arrays])
        self.shape = (len(self.arrays), None, *self.arrays[0].shape[1:])

    def __len__(self) -> int:
        return len(self.arrays)

    def __getitem__(self, part: slice) -> Sequences:
        return Sequences(self.arrays[part])

    def rows(self, part: Any) -> Array:
        """Return sequences one below the other, as long as the longest, and where they are: the mask.

        Behind its end a sequence repeats its last step: a number that a function, or a loss, is known to take.
        """
        arrays = self.arrays[part] if isinstance(part, slice) else [self.arrays[k] for k in part]
        lengths = np.array([len(array) for array in arrays])
        result = np.empty((len(arrays), lengths.max(), *arrays[0].shape[1:]), np.result_type(*arrays))
        for row, array in zip(result, arrays, strict=True):
            row[: len(array)] = array
            row[len(array) :] = array[-1]
        return _masks.given(result, np.arange(result.shape[1]) < lengths[:, None], exact=True)


class Masked(Rows):
    """An array and its mask."""

    def __init__(self, array: Array, mask: Array) -> None:
        self.array, self.mask, self.shape = array, mask, array.shape

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, part: slice) -> Masked:
        return Masked(self.array[part], self.mask[part])

    def rows(self, part: Any) -> Array:
        """Return some of the rows."""
        return _masks.given(rows(self.array, part), np.asarray(self.mask[part]), exact=False)


def rows(data: Any, part: Any) -> Any:
    """Return the rows of a slice, or of these numbers, as an array; of None, None."""
    if data is None:
        return None
    if isinstance(data, Rows):
        return data.rows(part)
    # `take` is the faster, but it would first copy the whole of an array that is not contiguous.
    whole = type(part) is slice or not data.flags.c_contiguous
    return np.asarray(data[part] if whole else data.take(part, 0))


def differ(value: Any) -> bool:
    """Whether it is a list of arrays that can be sequences, and not all of one length."""
    if isinstance(value, np.ndarray):
        value = list(value) if value.dtype == object and value.ndim == 1 else None
    if not isinstance(value, list) or not value or not all(hasattr(part, "__array__") for part in value):
        return False
    shapes = [np.shape(part) for part in value]
    return all(shapes) and len({shape[0] for shape in shapes}) > 1


def as_sequences(name: str, value: Any) -> Sequences:
    """Return a list of arrays as sequences, or say which one does not fit."""
    arrays = [real_array(f"{name}[{k}]", part) for k, part in enumerate(value)]
    first = arrays[0]
    for k, array in enumerate(arrays):
        if array.shape[1:] != first.shape[1:]:
            like = ", ".join(["steps", *map(str, first.shape[1:])])
            raise ValueError(f"{name}[{k}]: expected shape ({like}) as {name}[0] has, got {array.shape}")
        if not len(array):
            raise ValueError(f"{name}[{k}]: expected at least one step, got shape {array.shape}; leave it out")
    return Sequences(arrays)


def gathered(name: str, value: Any, several: bool, known: Any = None) -> Any:
    """Return data with lists of arrays of different length as `Sequences`.

    Parameters
    ----------
    several : whether a list or dict is that of several inputs; in it, a list of arrays may be one of these.
    known : something for each input, in lists and dicts as they are said; None if they are not known.
    """
    if not isinstance(value, (list, tuple, dict, np.ndarray)):
        return value
    not_within_itself(name, value)
    if not several:
        if isinstance(value, dict):
            return {key: gathered(f"{name}[{key!r}]", part, False) for key, part in value.items()}
        if isinstance(value, list) and not value:
            raise ValueError(f"{name}: expected at least one row, got an empty list")
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):  # the one input, in a list
            value = value[0]
        return as_sequences(name, value) if _are_one(value) else value
    if not isinstance(known, (list, tuple, dict)) and _are_one(value):
        return as_sequences(name, value)
    return _each(name, value, known)


def _each(name: str, value: Any, known: Any) -> Any:
    if isinstance(value, dict):
        named = known if isinstance(known, dict) else {}
        return {key: _place(f"{name}[{key!r}]", part, named.get(str(key))) for key, part in value.items()}
    if not isinstance(value, (list, tuple)) or hasattr(value, "_fields"):
        return value
    fits = isinstance(known, (list, tuple)) and len(known) == len(value)
    places = known if fits else [None] * len(value)
    return type(value)(_place(f"{name}[{k}]", part, at) for k, (part, at) in enumerate(zip(value, places, strict=True)))


def _place(name: str, value: Any, known: Any) -> Any:
    """Return what is given for one of several inputs, or for some of them."""
    if differ(value):
        return as_sequences(name, value)
    one = known is not None and not isinstance(known, (list, tuple, dict))
    if one and isinstance(value, list) and value and all(isinstance(part, np.ndarray) for part in value):
        return real_array(name, value)
    return value if one else _each(name, value, known)


def _are_one(value: Any) -> bool:
    """Whether a list of arrays is one input in sequences of different length; floats in a row are no sequence."""
    if not differ(value):
        return False
    first = value[0]
    return np.ndim(first) > 1 or np.asarray(first).dtype.kind in "iub"


def masked(name: str, x: Any, mask: Any, lengths: Any) -> Any:
    """Return arrays with masks, or with the first ``lengths`` steps, where these are given."""
    prefix = name.removesuffix("x")
    given = "mask" if lengths is None else "lengths"
    if mask is None and lengths is None:
        return x
    if any(isinstance(part, Sequences) for part in leaves(x)):
        raise ValueError(f"{prefix}{given}: expected None for sequences of different length, whose ends are known")
    if lengths is not None:
        if not isinstance(x, np.ndarray) or x.ndim < 2:
            raise ValueError(f"{prefix}lengths: expected one x (rows, steps, ...), got {_masks.parts(x)!r:.60}")
        return Masked(x, valid_steps(prefix, len(x), x.shape[1], mask, lengths))
    if isinstance(mask, dict) and isinstance(x, dict) and mask.keys() <= x.keys():
        mask = {key: mask.get(key) for key in x}
    return _with_masks(x, _masks.fit_all(name, mask, x))


def _with_masks(x: Any, masks: Any) -> Any:
    if masks is None:
        return x
    if isinstance(x, dict):
        return {key: _with_masks(part, masks[key]) for key, part in x.items()}
    if isinstance(x, (list, tuple)):
        return [_with_masks(part, mask) for part, mask in zip(x, masks, strict=True)]
    return Masked(x, masks)


def lengths_of(x: Any) -> list[Array]:
    """Return the lengths of those inputs that are sequences of different length."""
    return [part.lengths for part in leaves(x) if isinstance(part, Sequences)]


def like_sequences(name: str, value: Any, lengths: Sequence[Array]) -> Any:
    """Return what is given for each step of inputs in sequences of these lengths as `Sequences`; else as it is."""
    if not lengths or not isinstance(value, (list, tuple)) or not differ(list(value)):
        return value
    own = [len(part) for part in value]
    if any(np.array_equal(own, those) for those in lengths):
        return as_sequences(name, value)
    wanted = lengths[0]
    if len(own) != len(wanted):
        raise ValueError(f"{name}: expected {len(wanted)} arrays, as many as x has sequences, got {len(own)}")
    k = int(np.flatnonzero(np.array(own) != wanted)[0])
    raise ArgumentTypeError(f"{name}[{k}]: expected {wanted[k]} steps as in x[{k}], got {own[k]}")


def all_rows(data: Any) -> Any:
    """Return what has rows as arrays, in their places."""
    return map_leaves(lambda part: part.rows(slice(None)) if isinstance(part, Rows) else part, data)


def apart(outputs: Any, mask: Any) -> Any:
    """Return outputs with those that have steps as `Sequences` of the steps that count."""
    marks = iter(_masks.for_each(outputs, mask))

    def of(output: Array) -> Any:
        its = next(marks)
        if its is None or its.ndim < 2:
            return output
        its = its.any(axis=tuple(range(2, its.ndim)))
        return Sequences([row[steps] for row, steps in zip(output, its, strict=True)])

    return map_leaves(of, outputs)


def together(batches: Sequence[Any]) -> Any:
    """Return the outputs for batches one after the other, as they are for one."""

    def of(parts: Sequence[Any]) -> Any:
        if any(isinstance(part, Sequences) for part in parts):
            return Sequences([row for part in parts for row in (part.arrays if isinstance(part, Sequences) else part)])
        return np.concatenate(parts)

    columns = zip(*(leaves(batch) for batch in batches), strict=True)
    return map_leaves(lambda _: of(next(columns)), batches[0])


def joined(batches: Sequence[Any]) -> Any:
    """Return the outputs for batches one after the other: `Sequences` as lists of arrays."""
    return map_leaves(lambda part: part.arrays if isinstance(part, Sequences) else part, together(batches))
