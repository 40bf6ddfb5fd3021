"""Files of named tensors as NumPy arrays: nothing in a file is run, and PyTorch need not be there."""

from .files import read

__all__ = ["read"]
