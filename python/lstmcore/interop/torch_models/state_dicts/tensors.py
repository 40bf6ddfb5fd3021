"""Storages and the tensors that look into them."""

import math
import zipfile
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Array = NDArray[Any]

# By the names of PyTorch's classes of storages.
TYPES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


class Storages:
    """The storages of an archive, each read when a tensor first looks into it."""

    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        self._archive = archive
        self._folder = folder
        names = archive.namelist()
        order = archive.read(f"{folder}/byteorder") if f"{folder}/byteorder" in names else b"little"
        if order not in (b"little", b"big"):
            raise ValueError(f"byteorder: expected little or big, found {order[:20]!r}")
        self._order = "<" if order == b"little" else ">"
        self._read: dict[tuple[str, str], Array] = {}

    def __call__(self, kind: str, key: str, size: int) -> Array:
        """Return the storage of that key: one dimension, read only."""
        if (kind, key) not in self._read:
            # Every type of a storage that is not its own would be another copy of it.
            if any(other == key for _, other in self._read):
                raise ValueError(f"storage {key}: of two types")
            self._read[kind, key] = self._array(kind, key)
        array = self._read[kind, key]
        if array.size != size:
            raise ValueError(f"storage {key}: {size} elements by the pickle, {array.size} in the file")
        return array

    def _array(self, kind: str, key: str) -> Array:
        member = f"{self._folder}/data/{key}"
        try:
            data = self._archive.read(member)
        except KeyError:
            raise ValueError(f"storage {key}: there is no member {member}") from None
        try:
            return elements(data, TYPES[kind], self._order)
        except ValueError as error:
            raise ValueError(f"storage {key}: {len(data)} bytes are no whole number of elements of {kind}") from error


def elements(data: bytes, kind: str, order: str = "<") -> Array:
    """Return the numbers that bytes are, read only; bfloat16, which NumPy does not have, as float32.

    >>> elements(bytes([0x80, 0x3F, 0, 0xC0]), "bfloat16")
    array([ 1., -2.], dtype=float32)
    """
    array = np.frombuffer(data, order + ("u2" if kind == "bfloat16" else kind))
    if kind == "bfloat16":  # the upper half of a float32
        array = (array.astype("u4") << 16).view("f4")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    array.flags.writeable = False
    return array


def tensor(storage: Array, offset: Any, shape: Any, strides: Any) -> Array:
    """Return a view of a storage, none of whose elements lies beyond it."""
    for what, value in (("sizes", shape), ("strides", strides), ("offset", (offset,))):
        if not isinstance(value, tuple) or not all(type(number) is int and 0 <= number < 2**62 for number in value):
            raise ValueError(f"tensor: {what}: expected a tuple of integers of at least 0")
    if not isinstance(storage, np.ndarray) or storage.ndim != 1:
        raise ValueError(f"tensor: expected a storage to look into, found a {type(storage).__name__}")
    if len(shape) != len(strides) or len(shape) > 32:
        raise ValueError(f"tensor: {len(shape)} sizes and {len(strides)} strides")
    # Strides of 0 would make a large tensor out of a small storage.
    if math.prod(shape) > storage.size:
        raise ValueError(
            f"tensor: shape {shape} has more elements than its storage of {storage.size}, as an expanded one has: "
            "save it with .contiguous()"
        )
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True) if 0 not in shape)
    if math.prod(shape) and last >= storage.size:
        raise ValueError(f"tensor: element {last} of a storage of {storage.size}")
    if not math.prod(shape):
        return np.zeros(shape, storage.dtype)
    return as_strided(storage[offset:], shape, [stride * storage.itemsize for stride in strides], writeable=False)
