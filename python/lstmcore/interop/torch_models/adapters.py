"""Modules that stand between PyTorch's layouts and ours, so that layers can follow each other in a Sequential."""

from __future__ import annotations

from typing import Any

from .package import nn, torch


class ChannelsFirst(nn.Sequential):
    """Modules that take (batch, channels, steps), as Conv1d, among others that take (batch, steps, channels).

    >>> import torch
    >>> from lstmcore.torch import ChannelsFirst
    >>> model = torch.nn.Sequential(ChannelsFirst(torch.nn.Conv1d(3, 4, 2)), torch.nn.Linear(4, 5))
    >>> model(torch.zeros(1, 7, 3)).shape
    torch.Size([1, 6, 5])
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return (batch, steps, channels) from inputs of the same layout."""
        x = input.transpose(1, 2)
        for module in self:
            x = module(x)
        return x.transpose(1, 2)


class Outputs(nn.Module):
    """The outputs of an LSTM, GRU or RNN without its states: of every step or of the last.

    >>> import torch
    >>> from lstmcore.torch import Outputs
    >>> encoder = torch.nn.LSTM(3, 4, batch_first=True, bidirectional=True)
    >>> Outputs(encoder, return_sequences=False)(torch.zeros(2, 7, 3)).shape
    torch.Size([2, 8])

    Parameters
    ----------
    rnn : the recurrent module.
    return_sequences : whether to return the outputs of all steps. The last of a bidirectional module are those after
        each direction's last step: for the backward one, that is the first of the sequence.
    """

    def __init__(self, rnn: nn.Module, return_sequences: bool = True) -> None:
        super().__init__()
        self.rnn = rnn
        self.return_sequences = return_sequences
        self._ends = 2 if rnn.bidirectional else 1

    def forward(self, input: Any) -> Any:
        """Return (batch, steps, outputs), or what else the module's layout is, or (batch, outputs)."""
        outputs, last = self.rnn(input)
        if self.return_sequences:
            return outputs
        h = last[0] if isinstance(last, tuple) else last
        return torch.cat([h[-1]] if self._ends == 1 else [h[-2], h[-1]], dim=-1)

    def extra_repr(self) -> str:
        """Return what its ``repr`` says beside the module."""
        return f"return_sequences={self.return_sequences}"
