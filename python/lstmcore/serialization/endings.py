"""What the end of a file's name promises."""

from __future__ import annotations

import os

from .._warnings import warn

_OURS = ".safetensors"
_KERAS = (".keras", ".h5", ".hdf5")  # so that programs written for Keras run


def check_ending(name: str, path: str) -> None:
    """Refuse the name of a file to be written that says another format, or one that nobody knows.

    Raises
    ------
    ValueError
        It ends in something else than ".safetensors", what Keras writes, or nothing at all.
    """
    ending = os.path.splitext(path)[1]
    if ending and ending.lower() not in (_OURS, *_KERAS):
        raise ValueError(f"{name}: expected a name that ends in {_OURS}, the format that is written, got {path!r}")


def warn_of_ending(name: str, path: str) -> None:
    """Warn that a file with the name of one of Keras's is none."""
    ending = os.path.splitext(path)[1]
    if ending.lower() in _KERAS:
        # The same text for all files of a kind: Python then says it once.
        warn(
            f"{name}: a file named {ending} is written as a safetensors file, which Keras and readers of HDF5 cannot "
            f"read; better name it {_OURS}",
        )
