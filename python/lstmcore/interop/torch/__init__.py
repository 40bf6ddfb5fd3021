"""PyTorch: its recurrent modules on our kernels. What reads or writes its models' files does not live here."""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError("lstmcore.torch needs PyTorch: pip install 'lstmcore[torch]'") from error

from .accelerating import Report, accelerate, restore
from .cells import GRUCell, LSTMCell, RNNCell
from .linear import Linear
from .modules import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "Linear", "RNNCell", "Report", "accelerate", "restore"]
