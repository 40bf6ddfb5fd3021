"""Which file is read by what."""

from typing import Any

from numpy.typing import NDArray

from ...._arguments import path as path_like
from .archive import read_archive
from .entries import state_dict_in

Array = NDArray[Any]


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
    from safetensors.numpy import load_file

    try:
        return dict(load_file(name))
    except safetensors.SafetensorError as error:
        raise ValueError(f"{name}: not a sound safetensors file: {error}") from None
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{name}: a tensor of a type that NumPy does not have: {error}") from None
