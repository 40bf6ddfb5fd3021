"""A data set in two parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _random
from .._arguments import as_array, flag
from .._arguments import seed as checked_seed


def split_dataset(
    dataset: Any,
    left_size: float | int | None = None,
    right_size: float | int | None = None,
    shuffle: bool = False,
    seed: int | None = None,
) -> tuple[Any, Any]:
    """Return the first and the last rows of arrays, as two data sets of the same structure.

    >>> import numpy as np
    >>> from lstmcore.utils import split_dataset
    >>> (x, y), (x_val, y_val) = split_dataset((np.arange(10), np.arange(10) ** 2), left_size=0.8)
    >>> x_val, y_val
    (array([8, 9]), array([64, 81]))

    Parameters
    ----------
    dataset : an array, or a tuple, list or dict of arrays with the same number of rows. (Keras
        returns data sets of TensorFlow; these are arrays: views, unless shuffled.)
    left_size, right_size : a number of rows, or a fraction between 0 and 1; one of them may be
        left out and is what the other leaves.
    shuffle : whether to choose the rows at random, ``seed`` deciding which.
    seed : None draws from the generator of `set_random_seed`.

    Raises
    ------
    ValueError
        The arrays differ in length, or a part would be empty or larger than the whole.
    """
    if isinstance(dataset, dict):
        arrays = {name: as_array(f"dataset[{name!r}]", array) for name, array in dataset.items()}
    elif isinstance(dataset, (tuple, list)):
        arrays = {k: as_array(f"dataset[{k}]", array) for k, array in enumerate(dataset)}
    else:
        arrays = {0: as_array("dataset", dataset)}
    rows = {array.shape[0] if array.ndim else 0 for array in arrays.values()}
    if len(rows) != 1 or rows == {0}:
        found = [array.shape for array in arrays.values()]
        raise ValueError(f"dataset: expected arrays with the same number of rows, at least one, got shapes {found}")
    total = rows.pop()
    left, right = _sizes(left_size, right_size, total)

    if flag("shuffle", shuffle):
        chosen = checked_seed("seed", seed)
        rng = _random.generator() if chosen is None else np.random.default_rng(chosen)
        order = rng.permutation(total)
        first, last = order[:left], order[total - right :]
        return _apply(dataset, arrays, lambda a: a[first]), _apply(dataset, arrays, lambda a: a[last])
    return _apply(dataset, arrays, lambda a: a[:left]), _apply(dataset, arrays, lambda a: a[total - right :])


def _apply(dataset: Any, arrays: dict[Any, Any], take: Callable[[Any], Any]) -> Any:
    if isinstance(dataset, dict):
        return {name: take(array) for name, array in arrays.items()}
    if isinstance(dataset, (tuple, list)):
        return type(dataset)(take(array) for array in arrays.values())
    return take(arrays[0])


def _sizes(left: float | int | None, right: float | int | None, total: int) -> tuple[int, int]:
    counts: list[int | None] = []
    for name, size in (("left_size", left), ("right_size", right)):
        if size is None:
            counts.append(None)
            continue
        if isinstance(size, bool) or not isinstance(size, (int, float, np.integer, np.floating)):
            raise TypeError(f"{name}: expected a number of rows, a fraction or None, got {size!r}")
        whole = isinstance(size, (int, np.integer))
        if not 0 < size < (total if whole else 1):
            raise ValueError(f"{name}: expected 1 to {total - 1} rows or a fraction between 0 and 1, got {size!r}")
        counts.append(int(size) if whole else round(size * total))
    first, last = counts
    if first is None and last is None:
        raise ValueError("left_size: expected a size for one of the parts at least, got None for both")
    if first is None:
        first = total - (last or 0)
    if last is None:
        last = total - first
    if first < 1 or last < 1 or first + last > total:
        raise ValueError(
            f"left_size, right_size: expected two parts of the {total} rows that are not empty and do not overlap, "
            f"got {first} and {last}"
        )
    return first, last
