"""Which file is read by what."""

from typing import Any

from numpy.typing import NDArray

from ...._arguments import path as path_like
from .archive import read_archive
from .entries import state_dict_in
from .tensors import elements

Array = NDArray[Any]

# By the names of safetensors.
_SAFETENSORS = {"F64": "f8", "F32": "f4", "F16": "f2", "BF16": "bfloat16", "BOOL": "?"}
_SAFETENSORS |= {f"{letter}{8 * size}": f"{letter.lower()}{size}" for letter in "IU" for size in (1, 2, 4, 8)}


def read(path: Any, key: str | None = None) -> dict[str, Array]:
    """Read a state dict from a ``.pt``, ``.pth``, ``.bin``, ``.ckpt`` or ``.safetensors`` file.

    Parameters
    ----------
    path : name of the file.
    key : as `state_dict_in` has it.

    Returns
    -------
    dict of str to array : views of one another where the file's tensors share memory.

    Raises
    ------
    ValueError
        The file is damaged, too old, or holds anything but tensors, numbers, strings and what they stand in.
    """
    name = path_like("path", path)
    if name.endswith(".safetensors"):
        return state_dict_in(name, _read_safetensors(name), key)
    if not name.endswith((".pt", ".pth", ".bin", ".ckpt")):
        raise ValueError(f"path: expected the name of a .pt, .pth, .bin, .ckpt or .safetensors file, got {name!r}")
    return state_dict_in(name, read_archive(name), key)


def _read_safetensors(name: str) -> dict[str, Array]:
    import safetensors

    with open(name, "rb") as file:
        data = file.read()
    try:
        entries = safetensors.deserialize(data)  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise ValueError(f"{name}: not a sound safetensors file: {error}") from None
    unknown = sorted({entry["dtype"] for _, entry in entries} - _SAFETENSORS.keys())
    if unknown:
        raise ValueError(f"{name}: tensors of {', '.join(unknown)}, which NumPy does not have")
    return {key: elements(one["data"], _SAFETENSORS[one["dtype"]]).reshape(one["shape"]) for key, one in entries}
