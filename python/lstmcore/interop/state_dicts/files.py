"""Which file is read by what."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._arguments import path as path_like
from .archive import read_archive

Array = NDArray[Any]


def read(path: Any) -> dict[str, Array]:
    """Read a state dict from a ``.pt``, ``.pth`` or ``.safetensors`` file.

    Returns
    -------
    dict of str to array : views of one another where the file's tensors share memory.

    Raises
    ------
    ValueError : the file is damaged, too old, or holds anything but named tensors.
    """
    name = path_like("path", path)
    if name.endswith(".safetensors"):
        return _read_safetensors(name)
    if not name.endswith((".pt", ".pth")):
        raise ValueError(f"path: expected the name of a .pt, .pth or .safetensors file, got {name!r}")
    state = read_archive(name)
    # Training programs often save {"model": state_dict, "epoch": …}: which of the entries is meant is theirs to say.
    if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
        raise ValueError(f"{name}: expected a dict of names and tensors, found {type(state).__name__}")
    others = [key for key, value in state.items() if not isinstance(value, np.ndarray)]
    if others:
        raise ValueError(
            f"{name}: expected tensors only, found something else under {', '.join(map(repr, others[:5]))}"
        )
    return state


def _read_safetensors(name: str) -> dict[str, Array]:
    import safetensors
    from safetensors.numpy import load_file

    try:
        return dict(load_file(name))
    except safetensors.SafetensorError as error:
        raise ValueError(f"{name}: not a sound safetensors file: {error}") from None
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{name}: a tensor of a type that NumPy does not have: {error}") from None
