"""HDF5 files: read without believing them, and written; the only place that knows h5py."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...serialization.container import errors_name
from .archive import bound
from .hdf5_texts import check_heaps, said_length

Array = NDArray[Any]
Attributes = dict[str, Any]

MAGIC = b"\x89HDF\r\n\x1a\n"
_DEPTH = 64  # groups within groups; models within models are not as deep
_FILTERS = {1, 2, 3}  # deflate, shuffle, checksums: what the library has itself, without loading plugins
_READ = ("model_config", "training_config", "keras_version", "backend", "layer_names", "weight_names", "name")
_SKIPPED = ("optimizer", "optimizer_weights")  # of the root: states of another library's optimizers
_HEADER = 64000  # bytes of an attribute; HDF5 has room for 64 kB, and Keras numbers the rest


class Contents(NamedTuple):
    """What is in a file: arrays by path, and attributes of groups by path."""

    arrays: dict[str, Array]
    attributes: dict[str, Attributes]


def h5py() -> Any:
    """Return h5py, or raise ImportError with what to install."""
    try:
        import h5py
    except ImportError:
        raise ImportError('files of Keras need h5py: pip install "lstmcore[keras]"') from None
    return h5py


def read(content: bytes) -> Contents:
    """Return what is in an HDF5 file.

    Raises
    ------
    ValueError
        It is not whole, refers to other files or to itself, or would become much larger than it is.
    """
    library = h5py()
    check_heaps(content)
    try:
        file = library.File(io.BytesIO(content), "r")
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(f"not a whole HDF5 file ({error})") from None
    with file:
        return _Reader(library, content).read(file)


class _Reader:
    """Walks through a file once."""

    def __init__(self, library: Any, content: bytes) -> None:
        self.library, self.content = library, content
        self.most = self.left = bound(len(content))
        self.met: set[int] = set()  # addresses: what is linked twice would be read twice
        self.contents = Contents({}, {})

    def read(self, file: Any) -> Contents:
        for path, part in self._below(file, ""):
            if isinstance(part, self.library.Dataset):
                self.contents.arrays[path] = self._array(path, part)
            else:
                self.contents.attributes[path] = self._attributes(path, part)
        return self.contents

    def _below(self, root: Any, at: str) -> Iterator[tuple[str, Any]]:
        todo = [(at, root, 0)]
        while todo:
            path, group, depth = todo.pop()
            yield path, group
            if depth > _DEPTH:
                raise ValueError(f"{path[:100]}: expected groups at most {_DEPTH} deep")
            for name in group:
                if not depth and name in _SKIPPED:
                    continue
                below = f"{path}/{name}" if path else name
                part = self._part(group, name, below)
                if isinstance(part, self.library.Group):
                    todo.append((below, part, depth + 1))
                else:
                    yield below, part

    def _part(self, group: Any, name: str, path: str) -> Any:
        link = group.get(name, getlink=True)
        if not isinstance(link, self.library.HardLink):
            raise ValueError(f"{path}: expected what is in the file, got a {type(link).__name__} to something else")
        part = group[name]
        if not isinstance(part, (self.library.Group, self.library.Dataset)):
            raise ValueError(f"{path}: expected a group or a dataset, got a {type(part).__name__}")
        address = self.library.h5o.get_info(part.id).addr
        if address in self.met:
            raise ValueError(f"{path}: expected everything once, got a group or dataset again")
        self.met.add(address)
        return part

    def _array(self, path: str, dataset: Any) -> Array:
        made = dataset.id.get_create_plist()
        layouts = self.library.h5d
        if dataset.shape is None or dataset.dtype.kind not in "fiub" or dataset.dtype.itemsize > 8:
            raise ValueError(f"{path}: expected numbers, got {dataset.dtype}")
        if made.get_layout() not in (layouts.COMPACT, layouts.CONTIGUOUS, layouts.CHUNKED):
            raise ValueError(f"{path}: expected the numbers in the file, got a virtual dataset")
        if made.get_external_count():
            raise ValueError(f"{path}: expected the numbers in the file, got a dataset in an external one")
        filters = [made.get_filter(k)[0] for k in range(made.get_nfilters())]
        if not set(filters) <= _FILTERS:
            raise ValueError(f"{path}: expected none but HDF5's own filters, got those of numbers {filters}")
        numbers = _product(dataset.shape)
        chunk = _product(dataset.chunks) if dataset.chunks else 0
        self.left -= numbers * dataset.dtype.itemsize
        if self.left < 0 or chunk * dataset.dtype.itemsize > self.most:
            raise ValueError(
                f"{path}: a dataset of shape {dataset.shape} is more than expected for the size of the file"
            )
        if made.get_layout() == layouts.CONTIGUOUS and dataset.id.get_storage_size() < numbers * dataset.dtype.itemsize:
            raise ValueError(f"{path}: expected {numbers} numbers, got fewer in the file")
        array: Array = np.asarray(dataset[()])
        return array.astype(array.dtype.newbyteorder("="), copy=False)

    def _attributes(self, path: str, group: Any) -> Attributes:
        result: Attributes = {}
        for name in list(group.attrs):
            if name.rstrip("0123456789") in _READ:
                result[name] = self._attribute(f"{path}: {name}", group, name)
        return result

    def _attribute(self, where: str, group: Any, name: str) -> Any:
        identifier = self.library.h5a.open(group.id, name.encode())
        if 0 in (identifier.shape or ()):  # an empty list, which has numbers for its type
            return []
        if not isinstance(identifier.get_type(), self.library.h5t.TypeStringID):
            raise ValueError(f"{where}: expected a text or a list of texts, got {identifier.dtype}")
        count = _product(identifier.shape or ())
        size = count * identifier.dtype.itemsize
        if size <= self.most and identifier.dtype.kind == "O":  # each of a list may be the same long text
            with errors_name(where):
                size = said_length(self.content, name, count)
        if size > self.most:
            raise ValueError(f"{where}: expected a text or a list of texts, got one larger than the file")
        value = group.attrs[name]
        if isinstance(value, np.ndarray):
            if value.ndim != 1 or (value.size and value.dtype.kind not in "SUO"):
                raise ValueError(f"{where}: expected a list of texts, got {value.dtype} of shape {value.shape}")
            return [_text(where, one) for one in value]
        return _text(where, value)


def _product(sizes: tuple[int, ...]) -> int:
    result = 1
    for n in sizes:
        result *= int(n)
    return result


def _text(where: str, value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode()
    if not isinstance(value, str):
        raise ValueError(f"{where}: expected a text, got {type(value).__name__}")
    return str(value)


def names(attributes: Attributes, kind: str) -> list[str] | None:
    """Return a list of names, which Keras spreads over several attributes where it is long; None if there is none."""
    if kind in attributes:
        return list(attributes[kind])
    parts: list[list[str]] = []
    while f"{kind}{len(parts)}" in attributes:
        parts.append(attributes[f"{kind}{len(parts)}"])
    return [name for part in parts for name in part] if parts else None


def written(arrays: Mapping[str, Array], attributes: Mapping[str, Attributes]) -> bytes:
    """Return the bytes of a file with these arrays, and groups with these attributes; lists of texts are spread."""
    library = h5py()
    stream = io.BytesIO()
    # Without times in it, so that two files of one model are the same.
    with library.File(stream, "w", libver="earliest", track_order=False) as file:
        for path, own in attributes.items():
            group = file.require_group(path or "/")
            for name, value in own.items():
                if isinstance(value, list):
                    _spread(group, name, [text.encode() for text in value])
                else:
                    group.attrs[name] = value
        for path, array in arrays.items():
            file.create_dataset(path, data=array, track_times=False)
    return stream.getvalue()


def _spread(group: Any, name: str, texts: list[bytes]) -> None:
    array = np.asarray(texts) if texts else np.zeros(0, "S1")
    count = -(-array.nbytes // _HEADER) if array.nbytes > _HEADER else 1
    if count == 1:
        group.attrs[name] = array
        return
    for k, part in enumerate(np.array_split(array, count)):
        group.attrs[f"{name}{k}"] = part
