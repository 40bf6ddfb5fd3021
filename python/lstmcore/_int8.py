"""Numbers kept as whole numbers from -127 to 127 and a scale of each column, or of each row."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .variables import Vectors

Array = NDArray[Any]

MOST = 127
_SMALLEST = np.finfo(np.float32).tiny  # below it scales are 0, as in the core
# 127 times a scale is to be finite, also when it is rounded.
_LARGEST = np.nextafter(np.finfo(np.float32).max / np.float32(MOST), np.float32(0))


class Int8(NamedTuple):
    """A matrix of whole numbers, and the scales that they are to be multiplied by.

    Attributes
    ----------
    values : int8, of the shape of what they stand for.
    scale : float32: of each column, which are those of the last axis, or of each row.
    of_rows : whether it is of each row.
    """

    values: Array
    scale: Array
    of_rows: bool

    @classmethod
    def of(cls, name: str, array: Array, of_rows: bool) -> Int8:
        """Return what is nearest to float32 numbers: the largest of each column, or row, becomes 127 or -127.

        Where all are zero, or the scale would be no normal number, the numbers and their scale are zero.

        Raises
        ------
        ValueError
            There are infinities or NaN among them.
        """
        array = np.asarray(array, np.float32)
        finite = np.isfinite(array)
        if not finite.all():
            at = tuple(int(n) for n in np.argwhere(~finite)[0])
            raise ValueError(f"{name}: expected finite numbers to quantize, got {array[at]} at {at}")
        matrix = array if of_rows else array.reshape(-1, array.shape[-1])
        axis = 1 if of_rows else 0
        scale = np.abs(matrix).max(axis, initial=0) / np.float32(MOST)
        scale = np.minimum(np.where(scale < _SMALLEST, np.float32(0), scale), _LARGEST)
        divisor = np.expand_dims(np.where(scale > 0, scale, np.float32(np.inf)), axis)
        values = np.clip(np.rint(matrix / divisor), -MOST, MOST).astype(np.int8)
        return cls(values.reshape(array.shape), scale, of_rows)

    def floats(self) -> Array:
        """Return the float32 numbers that these stand for."""
        return self.values * (self.scale[:, None] if self.of_rows else self.scale)

    def rows(self, indices: Array) -> Array:
        """Return the rows of some indices, which are within the bounds, as float32 numbers."""
        taken = self.values.take(indices, axis=0, mode="clip")
        if self.of_rows:
            return taken * self.scale.take(indices, mode="clip")[..., None]
        return taken * self.scale

    def checked(self, name: str) -> Int8:
        """Return itself, as numbers that `of` may have made.

        Raises
        ------
        ValueError
            A value is -128, or a scale is negative or not finite.
        """
        if self.values.size and self.values.min() < -MOST:
            raise ValueError(f"{name}: expected whole numbers from -127 to 127, got -128 among them")
        wrong = self.scale[~((self.scale >= 0) & (self.scale <= _LARGEST))]
        if wrong.size:
            raise ValueError(f"{name}.scale: expected finite numbers from 0 on, got {wrong[0]} among them")
        return self


class Int8Place:
    """Where a variable is that is kept in int8; as `variables.Place`, but its float32 numbers are made anew."""

    __slots__ = ("int8", "path", "vectors")

    def __init__(self, path: str, int8: Int8) -> None:
        self.path, self.int8 = path, int8
        self.vectors = Vectors(np.empty(0, np.float32), np.empty(0, np.float32))

    @property
    def value(self) -> Array:
        """The numbers that it stands for, read-only."""
        value = self.int8.floats()
        value.flags.writeable = False
        return value

    @property
    def gradient(self) -> Array:
        """There is none."""
        raise ValueError(f"{self.path}: is quantized and has no gradient: train the model before you quantize it")

    def write(self, value: Array) -> None:
        """Set what is nearest to the value, and with it the version."""
        self.put(Int8.of(self.path, value, self.int8.of_rows))

    def put(self, int8: Int8) -> None:
        """Set the whole numbers and scales, and with it the version."""
        with self.vectors.writing():
            self.int8 = int8
