"""Files of named tensors as NumPy arrays: nothing in a file is run, and PyTorch need not be there."""

from .entries import state_dict_in
from .files import read

__all__ = ["read", "state_dict_in"]
