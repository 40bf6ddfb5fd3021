"""Windows over a time series, without copying it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from .. import _random
from .._arguments import as_array, flag, integer, positive_integer

Array = NDArray[Any]


class TimeseriesDataset:
    """The windows of a time series in batches; made by `timeseries_dataset_from_array`.

    Each iteration is an epoch; with ``shuffle`` each has an order of its own, which depends on the
    seed and the number of the epoch alone. `fit` tells that number, so that training that was
    interrupted goes on with the order it would have had.

    Attributes
    ----------
    epochs : the number of the epoch that the next iteration gives; set it to repeat one.
    steps : the number of batches, as ``len()`` says.
    """

    def __init__(
        self, windows: Array, targets: Array | None, batch_size: int | None, shuffle: bool, seed: int | None
    ) -> None:
        self._windows, self._targets = windows, targets  # views, one row for each window
        self.batch_size, self.shuffle, self.seed = batch_size, shuffle, seed
        # What iteration uses where no seed was given; `fit` then draws from the model's own stream.
        self._seed = int(_random.generator().integers(2**32)) if seed is None and shuffle else seed or 0
        self.epochs = 0

    @property
    def steps(self) -> int:
        """The number of batches."""
        return -(-len(self._windows) // (self.batch_size or 1))

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Any]:
        number, self.epochs = self.epochs, self.epochs + 1
        return self._batches(_nth(self._seed, number) if self.shuffle else None)

    def epoch(self, stream: _random.Stream | None = None) -> Iterator[Any]:
        """Return the batches of the next epoch of ``stream``, which is the model's; without one, in time's order.

        One call of the stream is used up, so that the number of its calls is that of the epoch.
        """
        if stream is None or not self.shuffle:
            return self._batches(None)
        rng = stream.next()
        return self._batches(rng if self.seed is None else _nth(self.seed, stream.calls - 1))

    def _batches(self, rng: np.random.Generator | None) -> Iterator[Any]:
        order = None if rng is None else rng.permutation(len(self._windows))
        if self.batch_size is None:
            for k in range(len(self._windows)) if order is None else order:
                yield self._at(k)
            return
        for start in range(0, len(self._windows), self.batch_size):
            part = slice(start, start + self.batch_size)
            yield self._at(part if order is None else order[part])

    def _at(self, where: Any) -> Any:
        # A slice gives views of the series itself, an array of indices copies its rows alone.
        return self._windows[where] if self._targets is None else (self._windows[where], self._targets[where])

    def __repr__(self) -> str:
        return f"<TimeseriesDataset of {len(self._windows)} windows in {self.steps} batches>"


def _nth(seed: int, number: int) -> np.random.Generator:
    stream = _random.Stream(seed)
    stream.calls = number
    return stream.next()


def timeseries_dataset_from_array(
    data: ArrayLike,
    targets: ArrayLike | None,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
) -> TimeseriesDataset:
    """Return batches of windows over a time series for `fit`, `evaluate`, `predict` or a loop.

    >>> import numpy as np
    >>> from lstmcore.utils import timeseries_dataset_from_array
    >>> series = np.arange(6.0)
    >>> for x, y in timeseries_dataset_from_array(series, series[3:], sequence_length=3, batch_size=2):
    ...     print(x.tolist(), y)
    [[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]] [3. 4.]
    [[2.0, 3.0, 4.0]] [5.]

    Window i takes ``data[i], data[i + sampling_rate], …``, ``sequence_length`` values of them, and
    its target is ``targets[i]``: to predict the value after a window, give targets that begin that
    much later, as above. The series is not copied, however much the windows overlap.

    Parameters
    ----------
    data : the series, time on the first axis.
    targets : one for each window that begins at that time, or None for windows alone.
    sequence_length : the number of values in a window.
    sequence_stride : how far apart windows begin.
    sampling_rate : how far apart the values in a window are.
    batch_size : the number of windows in a batch; None gives one at a time, without that axis.
    shuffle : whether to give the windows in random order, another one each time.
    seed : decides the orders; None draws it.
    start_index, end_index : use ``data[start_index:end_index]`` alone, and the targets of those times.

    Raises
    ------
    ValueError
        An argument is out of range, no window fits, or there are too few targets.
    """
    series = as_array("data", data)
    if not series.ndim:
        raise ValueError(f"data: expected time on the first axis, got {data!r}")
    length = positive_integer("sequence_length", sequence_length)
    stride = _below("sequence_stride", sequence_stride, len(series))
    rate = _below("sampling_rate", sampling_rate, len(series))
    batch_size = None if batch_size is None else positive_integer("batch_size", batch_size)
    if seed is not None and integer("seed", seed) < 0:
        raise ValueError(f"seed: expected an integer from 0 to 2**63 - 1, got {seed!r}")
    start = 0 if start_index is None else integer("start_index", start_index)
    if not 0 <= start < max(1, len(series)):
        raise ValueError(f"start_index: expected 0 to {len(series) - 1} (data has {len(series)}), got {start_index}")
    # As in Keras, end_index must lie within the data; None, not the length, takes all of it.
    end = len(series) if end_index is None else integer("end_index", end_index)
    if end_index is not None and not start < end < len(series):
        raise ValueError(
            f"end_index: expected {start + 1} to {len(series) - 1} (start_index={start}, data has {len(series)}), "
            f"got {end_index}"
        )

    span = (length - 1) * rate + 1
    count = end - start - span + 1
    answers = None if targets is None else as_array("targets", targets)
    if answers is not None:
        if not answers.ndim:
            raise ValueError(f"targets: expected one for each window, got {targets!r}")
        # Keras looks at the length of all targets here, though it then takes those from start_index on.
        count = min(count, len(answers))
        if 0 < count > len(answers[start:end]):
            raise ValueError(f"targets: expected {start + count} (start_index={start}), got {len(answers)}")
    if count < 1:
        had = "" if answers is None else f" and {len(answers)} targets"
        raise ValueError(
            f"sequence_length: no window of {length} values, {rate} apart, fits into {end - start} values{had}"
        )
    # (windows, features …, span) -> (windows, length, features …): still a view, and read-only.
    windows = np.moveaxis(sliding_window_view(series[start:end], span, axis=0)[:count:stride, ..., ::rate], -1, 1)
    chosen = None if answers is None else answers[start:end][:count:stride]
    return TimeseriesDataset(windows, chosen, batch_size, flag("shuffle", shuffle), seed)


def _below(name: str, value: Any, length: int) -> int:
    number = positive_integer(name, value)
    if number >= length:
        raise ValueError(f"{name}: expected less than the {length} values of the data, got {number}")
    return number
