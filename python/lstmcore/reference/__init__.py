"""The same functions as `lstmcore.functional`, in NumPy, from the equations: slow and plain.

What the kernels are held against. Nothing here is used by the library itself.
"""

from .activations import sigmoid
from .lstm import lstm, lstm_backward

__all__ = ["lstm", "lstm_backward", "sigmoid"]
