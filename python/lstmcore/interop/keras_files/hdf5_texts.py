"""How long the texts of HDF5 attributes say they are: the library makes room for that, whatever is there.

An attribute with texts has, for each, its length, and where it is in a heap (HDF5 File Format Specification 3.0,
"The Attribute Message" and "Global Heap").
"""

from __future__ import annotations

from collections.abc import Iterator

_HEAP = b"GCOL\x01\0\0\0"  # with its version, so that no weights look like one
_REFERENCE = 16  # bytes: a length of 4, an address of 8, an index of 4


def check_heaps(content: bytes) -> None:
    """Refuse heaps that are not whole: the HDF5 library would look for their end for ever."""
    at = content.find(_HEAP)
    while at >= 0:
        end, part = at + _number(content, at + 8, 8), at + 16
        while part + 16 <= min(end, len(content)):
            index, length = _number(content, part, 2), _number(content, part + 8, 8)
            # Of an object the length is that of the text, padded to 8 bytes; of the free rest, that of all of it.
            step = length if not index else 16 + _padded(length)
            if step < 16 or part + step > end:
                raise ValueError("not a whole HDF5 file (a heap of texts does not fit together)")
            part += step
        if end > len(content):
            raise ValueError("not a whole HDF5 file (a heap of texts is cut)")
        at = content.find(_HEAP, max(part, at + 4))


def said_length(content: bytes, name: str, count: int) -> int:
    """Return the largest sum of the lengths of ``count`` texts that any attribute of that name says.

    Raises
    ------
    ValueError
        None is written in a way that HDF5 has for small attributes; or one is not whole.
    """
    found = [sum(_number(content, at + k * _REFERENCE, 4) for k in range(count)) for at in _data(content, name, count)]
    if not found:
        raise ValueError("expected an attribute as Keras writes it, got another kind")
    return max(found)


def _data(content: bytes, name: str, count: int) -> Iterator[int]:
    """Return where the data of attributes of that name begin."""
    text = name.encode() + b"\0"
    at = content.find(text)
    while at >= 0:
        for begin in (at - 8, at - 9):  # version, flags, sizes of the name, type and shape; then perhaps the encoding
            version = content[begin] if begin >= 0 else 0
            if version not in ((1, 2) if begin == at - 8 else (3,)) or _number(content, begin + 2, 2) < len(text):
                continue
            sizes = [_number(content, begin + offset, 2) for offset in (2, 4, 6)]
            *before, shape = (_padded(size) if version == 1 else size for size in sizes)
            data = at + sum(before) + shape
            if _count(content, data - shape) != count:
                continue
            if content[begin + 1] or data + count * _REFERENCE > len(content):
                raise ValueError("expected an attribute as Keras writes it, got one with a shared type, or cut")
            yield data
        at = content.find(text, at + 1)


def _count(content: bytes, at: int) -> int:
    """Return how many numbers the shape that is written there has; -1 for one of several axes."""
    version, axes = _number(content, at, 1), _number(content, at + 1, 1)
    if axes > 1:
        return -1
    return _number(content, at + (8 if version == 1 else 4), 8) if axes else 1


def _number(content: bytes, at: int, size: int) -> int:
    return int.from_bytes(content[at : at + size], "little")


def _padded(size: int) -> int:
    return -(-size // 8) * 8
