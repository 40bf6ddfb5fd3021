"""PyTorch's recurrent modules and Linear on our kernels: the same constructors, attributes, ``state_dict`` and results.

>>> import torch
>>> import lstmcore.torch
>>> model = torch.nn.ModuleDict({"encoder": torch.nn.LSTM(3, 4), "head": torch.nn.Linear(4, 2)})
>>> print(lstmcore.torch.accelerate(model, verbose=False))
replaced encoder: LSTM
replaced head: Linear
"""

from .interop.torch import GRU, LSTM, RNN, GRUCell, Linear, LSTMCell, Report, RNNCell, accelerate, restore

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "Linear", "RNNCell", "Report", "accelerate", "restore"]
