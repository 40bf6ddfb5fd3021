"""PyTorch's recurrent modules and Linear on our kernels: the same constructors, attributes, ``state_dict`` and results.

And `Outputs` and `ChannelsFirst`, with which they and others can follow each other in an ``nn.Sequential``.

>>> import torch
>>> import lstmcore.torch
>>> model = torch.nn.ModuleDict({"encoder": torch.nn.LSTM(3, 4), "head": torch.nn.Linear(4, 2)})
>>> print(lstmcore.torch.accelerate(model, verbose=False))
replaced encoder: LSTM
replaced head: Linear
"""

from .interop.torch import GRU, LSTM, RNN, GRUCell, Linear, LSTMCell, Report, RNNCell, accelerate, restore
from .interop.torch_models.adapters import ChannelsFirst, Outputs

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "ChannelsFirst",
    "GRUCell",
    "LSTMCell",
    "Linear",
    "Outputs",
    "RNNCell",
    "Report",
    "accelerate",
    "restore",
]
