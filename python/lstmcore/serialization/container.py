"""Arrays and plain data as the bytes of a safetensors file, and back."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._arguments import shown
from . import atomic

Array = NDArray[Any]

FORMAT = 1  # raised when older versions of the library could misread what is written

_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}

# What people will try to load that is something else.
_OTHERS = {
    b"PK\x03\x04": "a ZIP file, as Keras and PyTorch write",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, as Keras writes",
    b"\x80\x02": "a pickle",
    b"\x80\x04": "a pickle",
}


# The one entry of the file's metadata; of several, safetensors would write another order every time.
_LONGEST = 1500  # characters of a message about a file
_ENTRY = "lstmcore"


class Container(NamedTuple):
    """Arrays by name, and plain data by name, which stands as JSON in the header of the file."""

    arrays: dict[str, Array]
    data: dict[str, Any]


def pack(container: Container) -> bytes:
    """Return the bytes of the file."""
    from safetensors.numpy import save

    arrays = {name: np.asarray(array, order="C") for name, array in container.arrays.items()}
    return save(arrays, {_ENTRY: json.dumps({"format": FORMAT, **container.data})})


def unpack(content: bytes, where: str) -> Container:
    """Return what `pack` made bytes of; no byte of it is believed.

    Parameters
    ----------
    content : the bytes.
    where : the file's name, for the errors.

    Raises
    ------
    ValueError
        They are something else, or not whole.
    """
    from safetensors import SafetensorError, deserialize

    try:
        entries = deserialize(content)  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        others = [kind for magic, kind in _OTHERS.items() if content.startswith(magic)]
        wrong = (
            f"expected a file that lstmcore has saved, got {others[0]}" if others else "not a whole safetensors file"
        )
        raise ValueError(f"{where}: {wrong}" if others else f"{where}: {wrong} ({shown(error)})") from None
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])  # deserialize has checked it
    text = (header.get("__metadata__") or {}).get(_ENTRY)
    if text is None:
        raise ValueError(f"{where}: a safetensors file, but none that lstmcore has saved")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: not valid JSON: {error}") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        found = data.get("format") if isinstance(data, dict) else data
        raise ValueError(f"{where}: expected format {FORMAT}, got {str(found)[:50]}; a newer lstmcore may read it")
    return Container({name: _array(entry, f"{where}: {name}") for name, entry in entries}, data)


def _array(entry: dict[str, Any], where: str) -> Array:
    if entry["dtype"] not in _DTYPES:
        raise ValueError(f"{where}: expected a dtype of NumPy's, got {entry['dtype']}")
    if entry["dtype"] == "BOOL":  # a byte of a file may be neither 0 nor 1
        flat: Array = np.frombuffer(entry["data"], np.uint8) != 0
    else:
        dtype = np.dtype(_DTYPES[entry["dtype"]])
        flat = np.frombuffer(entry["data"], dtype.newbyteorder("<")).astype(dtype)
    try:
        return flat.reshape(entry["shape"])
    except (ValueError, OverflowError, TypeError) as error:
        raise ValueError(f"{where}: shape {entry['shape']}: {error}") from None


def write(path: str | os.PathLike[str], container: Container) -> None:
    """Write the file, whole or not at all."""
    atomic.write(path, pack(container))


def content_of(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a file."""
    with open(path, "rb") as stream:  # not mapped: another program may cut the file meanwhile
        return stream.read()


def read(path: str | os.PathLike[str]) -> Container:
    """Read the file."""
    return unpack(content_of(path), os.fspath(path))


@contextlib.contextmanager
def errors_name(where: str) -> Iterator[None]:
    """Within the ``with`` block, make whatever goes wrong a ValueError whose message begins with the file's name."""
    # What a hostile or damaged file makes go wrong can be anything; the caller gets one kind of error, with the file.
    try:
        yield
    except Exception as error:
        text = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."  # it may quote all that is in the file
        raise ValueError(text if text.startswith(where) else f"{where}: {text}") from error
