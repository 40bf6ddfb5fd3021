"""`torch.nn`'s LSTM, GRU and RNN on our kernels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from .calls import is_ours, is_traced, run_layer
from .keeping import KeepsPacked
from .passes import Layer
from .weights import MODES


class _Recurrent(KeepsPacked):
    """The forward pass of modules that run sequences, before PyTorch's own in the order of their classes."""

    def forward(self: Any, input: Any, hx: Any = None) -> Any:
        """Return what PyTorch's module does: outputs, packed if the input is, and the last states."""
        result = self._ours(input, hx)
        return self.left_to_torch(input, hx) if result is None else result

    def _ours(self: Any, input: Any, hx: Any) -> Any:
        """Return the result, or None where PyTorch has to do it, if only to say what is wrong."""
        states = hx if isinstance(hx, tuple) else (hx,)
        traced = is_traced()
        if hx is not None and isinstance(hx, tuple) != (self.mode == "LSTM"):
            return None
        sequence = input.data if isinstance(input, PackedSequence) else input
        if not isinstance(sequence, Tensor) or len(states) > 2:
            return None
        if hx is not None and not all(isinstance(s, Tensor) for s in states):
            return None
        weights = self._weights()
        if not is_ours(traced, (sequence, *states, *weights)):
            return None
        if input is not sequence:
            return None if traced else self._packed_sequence(input, hx, weights)
        if sequence.dim() == 2:
            if hx is not None and any(s.dim() != 2 for s in states):
                return None
            outputs, last = self._padded(
                sequence.unsqueeze(1), _each(Tensor.unsqueeze, states, 1), weights, traced, batch_first=False
            )
            return (outputs.squeeze(1), self._shaped(_each(Tensor.squeeze, last, 1))) if last else None
        if sequence.dim() != 3:
            return None
        outputs, last = self._padded(sequence, states, weights, traced, self.batch_first)
        return (outputs, self._shaped(last)) if last else None

    def _weights(self: Any) -> list[Tensor]:
        parameters = self._parameters
        try:
            return [parameters[name] for name in self._flat_weights_names]
        except KeyError:  # computed from others: weight_norm, parametrizations
            return [getattr(self, name) for name in self._flat_weights_names]

    def _shaped(self: Any, last: Any) -> Any:
        return tuple(last) if self.mode == "LSTM" else last[0]

    def _packed_sequence(self: Any, input: PackedSequence, hx: Any, weights: list[Tensor]) -> Any:
        data, sizes, sorted_indices, unsorted_indices = input
        lengths = _lengths(data, sizes)
        if lengths is None:
            return None
        # The core takes padded rows; of padding it computes nothing.
        padded, _ = torch._VF._pad_packed_sequence(data, sizes, True, 0.0, len(sizes))
        if hx is not None:
            hx = self.permute_hidden(hx, sorted_indices)
        states = hx if isinstance(hx, tuple) else (hx,)
        outputs, last = self._padded(padded, states, weights, False, batch_first=True, lengths=lengths.numpy())
        if not last:
            return None
        again, _ = torch._VF._pack_padded_sequence(outputs, lengths, True)
        last = self.permute_hidden(self._shaped(last), unsorted_indices)
        return PackedSequence(again, sizes, sorted_indices, unsorted_indices), last

    def _padded(
        self: Any, x: Tensor, states: Any, weights: list[Tensor], traced: bool, batch_first: bool, lengths: Any = None
    ) -> Any:
        """Return outputs and a list of the last states, empty if shapes do not fit."""
        directions, layers = 2 if self.bidirectional else 1, self.num_layers
        mode = MODES["LSTM_PROJECTED" if self.proj_size else self.mode, self.bias]
        shape = x.shape
        batch, steps = (shape[0], shape[1]) if batch_first else (shape[1], shape[0])
        has_states = states[0] is not None
        if shape[2] != self.input_size or batch == 0 or steps == 0:
            return None, []
        if has_states:
            widths = (self.proj_size or self.hidden_size, self.hidden_size)[: 1 + mode.has_c]
            if [tuple(s.shape) for s in states] != [(layers * directions, batch, width) for width in widths]:
                return None, []
        drops = self.dropout > 0 and self.training
        count = mode.weights * directions
        packed = self.packed()
        parts: list[Any] = []
        inner_first = batch_first
        for k in range(layers):
            is_last = k == layers - 1
            h = c = None
            if has_states:
                first = slice(k * directions, (k + 1) * directions)
                h, c = (*(s if layers == 1 else s[first] for s in states), None)[:2]
            # PyTorch draws its masks with the steps first: so do we, and have the same ones.
            outputs_first = batch_first and (is_last or not drops)
            layer = Layer(mode, inner_first, outputs_first, lengths)
            x, *last = run_layer(layer, packed, k, (x, h, c), weights[k * count : (k + 1) * count], traced)
            parts.append(last)
            inner_first = outputs_first
            if drops and not is_last:
                x = _dropped(x, self.dropout, lengths)
        return x, parts[0] if layers == 1 else [torch.cat(pieces) for pieces in zip(*parts, strict=True)]


def _lengths(data: Tensor, sizes: Tensor) -> Tensor | None:
    """Return the lengths of the rows of a packed sequence, or None where it is none."""
    rows = sizes.numpy()
    if data.dim() != 2 or len(rows) == 0 or rows[-1] < 1 or rows.sum() != len(data) or (rows[1:] > rows[:-1]).any():
        return None
    return (sizes > torch.arange(int(rows[0]))[:, None]).sum(1)


def _dropped(x: Tensor, rate: float, lengths: Any) -> Tensor:
    """Return inputs, steps first, after dropout: with PyTorch's masks, which of a packed sequence have no padding."""
    if lengths is None:
        return torch.dropout(x, rate, True)
    data, sizes = torch._VF._pack_padded_sequence(x, torch.from_numpy(lengths), False)
    return torch._VF._pad_packed_sequence(torch.dropout(data, rate, True), sizes, False, 0.0, len(x))[0]  # type: ignore[no-any-return]


def _each(function: Any, states: Any, dim: int) -> tuple[Any, ...]:
    return tuple(None if s is None else function(s, dim) for s in states)


class LSTM(_Recurrent, torch.nn.LSTM):
    """`torch.nn.LSTM` on our kernels: the same arguments, attributes, ``state_dict`` and results.

    >>> import torch
    >>> from lstmcore.torch import LSTM
    >>> outputs, (h, c) = LSTM(3, 4, num_layers=2, batch_first=True)(torch.zeros(2, 5, 3))
    >>> outputs.shape, h.shape
    (torch.Size([2, 5, 4]), torch.Size([2, 2, 4]))
    """


class GRU(_Recurrent, torch.nn.GRU):
    """`torch.nn.GRU` on our kernels: the same arguments, attributes, ``state_dict`` and results.

    >>> import torch
    >>> from lstmcore.torch import GRU
    >>> outputs, h = GRU(3, 4, bidirectional=True)(torch.zeros(5, 2, 3))
    >>> outputs.shape, h.shape
    (torch.Size([5, 2, 8]), torch.Size([2, 2, 4]))
    """


class RNN(_Recurrent, torch.nn.RNN):
    """`torch.nn.RNN` on our kernels: the same arguments, attributes, ``state_dict`` and results.

    >>> import torch
    >>> from lstmcore.torch import RNN
    >>> RNN(3, 4, nonlinearity="relu")(torch.zeros(5, 2, 3))[0].shape
    torch.Size([5, 2, 4])
    """
