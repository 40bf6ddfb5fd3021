"""Preparation of sequences, under the names of Keras 2."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _random
from .._arguments import as_array, flag, integer, positive_integer
from ..utils.padding import pad_sequences
from ..utils.py_dataset import PyDataset

__all__ = ["TimeseriesGenerator", "pad_sequences"]


class TimeseriesGenerator(PyDataset):
    """Batches of the values before each time, with the target of that time.

    `utils.timeseries_dataset_from_array` is its successor: it does not copy, and when it shuffles
    it gives every window once.

    >>> import numpy as np
    >>> from lstmcore.preprocessing.sequence import TimeseriesGenerator
    >>> series = np.arange(5.0)
    >>> x, y = TimeseriesGenerator(series, series, length=3)[0]
    >>> x.tolist(), y.tolist()
    ([[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]], [3.0, 4.0])

    Parameters
    ----------
    data, targets : of the same length, time on the first axis.
    length : how far a window reaches back: the target of time t goes with ``data[t - length : t]``.
    sampling_rate : how far apart the values taken of those are.
    stride : how far apart the targets are.
    start_index, end_index : the first and the last time to use, both included; by default all.
    shuffle : whether to draw the times of each batch at random, with replacement.
    reverse : whether to give the latest value first.
    batch_size : the number of windows in a batch.
    **options : those of `utils.PyDataset`.
    """

    def __init__(
        self,
        data: ArrayLike,
        targets: ArrayLike,
        length: int,
        sampling_rate: int = 1,
        stride: int = 1,
        start_index: int = 0,
        end_index: int | None = None,
        shuffle: bool = False,
        reverse: bool = False,
        batch_size: int = 128,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.data, self.targets = as_array("data", data), as_array("targets", targets)
        for name, array in (("data", self.data), ("targets", self.targets)):
            if not array.ndim:
                raise ValueError(f"{name}: expected time on the first axis, got {array!r}")
        if len(self.data) != len(self.targets):
            raise ValueError(f"targets: expected {len(self.data)}, as many as data, got {len(self.targets)}")
        self.length = positive_integer("length", length)
        self.sampling_rate = positive_integer("sampling_rate", sampling_rate)
        self.stride = positive_integer("stride", stride)
        self.batch_size = positive_integer("batch_size", batch_size)
        self.shuffle, self.reverse = flag("shuffle", shuffle), flag("reverse", reverse)
        self.start_index = integer("start_index", start_index) + self.length
        self.end_index = len(self.data) - 1 if end_index is None else integer("end_index", end_index)
        if not self.length <= self.start_index <= self.end_index < len(self.data):
            raise ValueError(
                f"start_index, end_index: expected a target between {self.length} (length) and {len(self.data) - 1}, "
                f"got those from {self.start_index} (start_index + length) to {self.end_index}"
            )

    def __len__(self) -> int:
        times = self.end_index - self.start_index + 1
        return -(-times // (self.batch_size * self.stride))

    def __getitem__(self, index: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the windows and the targets of a batch."""
        if not 0 <= index < len(self):
            raise IndexError(f"index: expected 0 to {len(self) - 1}, got {index}")
        if self.shuffle:
            times = _random.generator().integers(self.start_index, self.end_index + 1, size=self.batch_size)
        else:
            first = self.start_index + self.batch_size * self.stride * index
            times = np.arange(first, min(first + self.batch_size * self.stride, self.end_index + 1), self.stride)
        x = self.data[times[:, None] + np.arange(-self.length, 0, self.sampling_rate)]
        return (x[:, ::-1] if self.reverse else x), self.targets[times]
