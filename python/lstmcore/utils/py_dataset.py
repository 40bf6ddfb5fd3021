"""Data that a program makes batch by batch."""

from __future__ import annotations

from typing import Any

from .._arguments import flag, integer, positive_integer


class PyDataset:
    """Base of data sets that make each batch on demand: define ``__len__`` and ``__getitem__``.

    >>> import numpy as np
    >>> from lstmcore.utils import PyDataset
    >>> class Squares(PyDataset):
    ...     def __len__(self):
    ...         return 10  # batches
    ...     def __getitem__(self, index):
    ...         x = np.random.default_rng(index).standard_normal((32, 5, 1)).astype("float32")
    ...         return x, (x**2).sum(1)

    A batch is ``(x, y)`` or ``(x, y, sample_weight)``; to predict, ``(x,)`` or ``x`` is enough.
    An endless data set defines `num_batches` as None and is used with ``steps_per_epoch``.

    Parameters
    ----------
    workers, use_multiprocessing, max_queue_size : accepted for Keras's sake and without effect:
        batches are made by the thread that trains, in order.
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        self.workers = integer("workers", workers)
        self.use_multiprocessing = flag("use_multiprocessing", use_multiprocessing)
        self.max_queue_size = positive_integer("max_queue_size", max_queue_size)

    def __getitem__(self, index: int) -> Any:
        """Return the batch of that number, from 0."""
        raise NotImplementedError(f"{type(self).__name__}: __getitem__(self, index) is to be defined")

    @property
    def num_batches(self) -> int | None:
        """The number of batches, None if there is no end to them."""
        if not hasattr(self, "__len__"):
            raise NotImplementedError(f"{type(self).__name__}: __len__(self) is to be defined")
        return len(self)

    def on_epoch_begin(self) -> None:
        """Called before every epoch."""

    def on_epoch_end(self) -> None:
        """Called after every epoch."""


Sequence = PyDataset  # Keras's older name
