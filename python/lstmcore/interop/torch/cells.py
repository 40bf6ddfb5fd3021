"""`torch.nn`'s cells, which run one step, on our kernels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .calls import is_ours, is_traced, run_layer
from .keeping import KeepsPacked
from .passes import Layer
from .weights import MODES


class _Cell(KeepsPacked):
    """The forward pass of cells, before PyTorch's own in the order of their classes."""

    def forward(self: Any, input: Any, hx: Any = None) -> Any:
        """Return what PyTorch's cell does: the next h, or of an LSTM the pair (h, c)."""
        result = self._ours(input, hx)
        return self.left_to_torch(input, hx) if result is None else result

    def _ours(self: Any, input: Any, hx: Any) -> Any:
        """Return the result, or None where PyTorch has to do it, if only to say what is wrong."""
        states = hx if isinstance(hx, tuple) else (hx,)
        mode = MODES.get((self._mode(), self.bias))
        if mode is None or not isinstance(input, Tensor) or len(states) > 2:
            return None
        if hx is not None and isinstance(hx, tuple) != mode.has_c:
            return None
        if hx is not None and not all(isinstance(s, Tensor) for s in states):
            return None
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")[: mode.weights]
        parameters = self._parameters
        try:
            weights = [parameters[name] for name in names]
        except KeyError:  # computed from others: weight_norm, parametrizations
            weights = [getattr(self, name) for name in names]
        traced = is_traced()
        if not is_ours(traced, (input, *states, *weights)):
            return None
        shape = input.shape[:-1]
        if input.dim() not in (1, 2) or input.shape[-1] != self.input_size or 0 in shape:
            return None
        if hx is not None and [s.shape for s in states] != [(*shape, self.hidden_size)] * (1 + mode.has_c):
            return None
        given = [input, *states, None][:3]
        if traced:  # the operator is one of sequences
            given = [None if t is None else t.reshape(1, -1, t.shape[-1]) for t in given]
            _, *last = run_layer(Layer(mode), self.packed(), 0, given, weights, True)
            last = [s.view(*shape, self.hidden_size) for s in last]
        elif shape:
            last = list(run_layer(_STEPS[mode], self.packed(), 0, given, weights, False))
        else:
            given = [None if t is None else t[None] for t in given]
            last = [s[0] for s in run_layer(_STEPS[mode], self.packed(), 0, given, weights, False)]
        return tuple(last) if mode.has_c else last[0]


_STEPS = {mode: Layer(mode, is_step=True) for mode in MODES.values()}


class LSTMCell(_Cell, torch.nn.LSTMCell):
    """`torch.nn.LSTMCell` on our kernels.

    >>> import torch
    >>> from lstmcore.torch import LSTMCell
    >>> h, c = LSTMCell(3, 4)(torch.zeros(2, 3))
    >>> h.shape
    torch.Size([2, 4])
    """

    def _mode(self) -> str:
        return "LSTM"


class GRUCell(_Cell, torch.nn.GRUCell):
    """`torch.nn.GRUCell` on our kernels.

    >>> import torch
    >>> from lstmcore.torch import GRUCell
    >>> GRUCell(3, 4)(torch.zeros(2, 3)).shape
    torch.Size([2, 4])
    """

    def _mode(self) -> str:
        return "GRU"


class RNNCell(_Cell, torch.nn.RNNCell):
    """`torch.nn.RNNCell` on our kernels.

    >>> import torch
    >>> from lstmcore.torch import RNNCell
    >>> RNNCell(3, 4, nonlinearity="relu")(torch.zeros(2, 3)).shape
    torch.Size([2, 4])
    """

    def _mode(self: Any) -> str:
        return f"RNN_{self.nonlinearity}".upper() if self.nonlinearity in ("tanh", "relu") else "none of ours"
