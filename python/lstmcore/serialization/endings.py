"""What the end of a file's name promises, and how its content begins."""

from __future__ import annotations

import importlib
import os
from typing import Any

_OURS = ".safetensors"
_KERAS = (".keras", ".h5", ".hdf5")
# What writes the formats of others.
_OTHERS = {
    (".onnx",): "; model.export writes ONNX",
    (".pt", ".pth", ".bin", ".ckpt"): "; for PyTorch there are lstmcore.to_torch and lstmcore.to_state_dict",
    (".json",): "; model.to_json describes the layers",
    (".pkl", ".pickle"): "; pickle.dump writes a model too",
}
_KERAS_BEGIN = (b"PK\x03\x04", b"\x89HDF\r\n\x1a\n")  # ZIP and HDF5


def check_ending(name: str, path: str, weights: bool = False) -> None:
    """Refuse the name of a file to be written that says another format, or one that nobody knows.

    Parameters
    ----------
    name : the argument.
    path : the file's name.
    weights : whether the file is to have weights alone.

    Raises
    ------
    ValueError
        It ends in something else than ".safetensors", what Keras writes, or nothing at all.
    """
    ending = os.path.splitext(path)[1]
    if ending and ending.lower() not in (_OURS, *_KERAS):
        hint = next((hint for kinds, hint in _OTHERS.items() if ending.lower() in kinds), "")
        raise ValueError(f"{name}: expected a name that ends in {_OURS}, {', '.join(_KERAS)}, got {path!r}{hint}")
    if weights and keras_kind(path) == ".keras":
        raise ValueError(f"{name}: expected a name that ends in .weights.h5 or {_OURS} for weights alone, got {path!r}")


def keras_kind(path: str) -> str | None:
    """Return which file of Keras's a name promises: ".keras", ".weights.h5" or ".h5"; None if another."""
    lower = path.lower()
    kinds = {".keras": ".keras", ".weights.h5": ".weights.h5", ".h5": ".h5", ".hdf5": ".h5"}
    return next((kind for ending, kind in kinds.items() if lower.endswith(ending)), None)


def is_of_keras(content: bytes) -> bool:
    """Whether bytes begin as a file of Keras's does."""
    return content.startswith(_KERAS_BEGIN)


def keras_files() -> Any:
    """Return what reads and writes Keras's files, which needs all that models are made of and h5py."""
    return importlib.import_module("...interop.keras_files", __name__)
