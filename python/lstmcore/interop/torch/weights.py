"""From PyTorch's weights to the core's and, of gradients, back: gates, layout, the two biases. And packed weights kept.

PyTorch has ``weight_ih`` (gates*units, inputs), ``weight_hh`` (gates*units, outputs), two biases (gates*units,) and,
with a projection, ``weight_hr`` (outputs, units); gates i, f, g, o or r, z, n. The core has them transposed, one bias
or, for a GRU, its two as rows, and gates i, f, g, o or z, r, n.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ... import _core
from ..._core import PackedWeights
from ..torch_models.layouts import GATES, OPTIONS

# From so many rows and steps on, packing anew is cheap beside a call in training, and no copies are kept.
_ROWS_THAT_REPAY_PACKING = 128


class Mode:
    """What a layer computes: the core's cell with its options, as PyTorch's ``mode`` and arguments say it.

    Parameters
    ----------
    name : "LSTM", "LSTM_PROJECTED", "GRU", "RNN_TANH" or "RNN_RELU".
    bias : whether there are biases.
    """

    def __init__(self, name: str, bias: bool) -> None:
        self.name, self.bias = name, bias
        self.weights = 2 + 2 * bias + (name == "LSTM_PROJECTED")  # how many a layer has for a direction
        self.has_c = name.startswith("LSTM")  # whether there is a state c beside h


# Made once: a step of a stream takes some microseconds.
MODES = {(name, bias): Mode(name, bias) for name in OPTIONS for bias in (True, False)}


def pack(mode: Mode, weights: Sequence[Tensor], training: bool) -> PackedWeights:
    """Return the weights of a layer and direction as the kernels read them."""
    w_ih, w_hh, *rest = (w.detach() for w in weights)
    if mode.name == "GRU":
        arrays = [_swapped(w_ih).t().contiguous(), _swapped(w_hh).t().contiguous()]
        if mode.bias:
            arrays.append(torch.stack([_swapped(b) for b in rest]))
    else:
        arrays = [w_ih.t().contiguous(), w_hh.t().contiguous()]
        if mode.bias:
            arrays.append(rest[0] + rest[1])
        if mode.name == "LSTM_PROJECTED":
            arrays.append(rest[-1].t().contiguous())
    return _core.pack(OPTIONS[mode.name], [a.numpy() for a in arrays], training, False)


def gradients(mode: Mode, arrays: Sequence[Any], contiguous: bool) -> list[Tensor]:
    """Return the gradients of PyTorch's weights, of those that the core has made.

    Contiguous, they can be a parameter's gradient as they are. Those that are added to many others first, as of the
    steps of a cell, are views instead: only their sum is then copied.
    """
    kernel, recurrent, *rest = (torch.from_numpy(a) for a in arrays)
    if mode.name == "GRU":
        d_weights = [_swapped(kernel, 1).t(), _swapped(recurrent, 1).t()]
        d_weights += [_swapped(row) for row in rest[0]] if mode.bias else []
    else:
        d_weights = [kernel.t(), recurrent.t()]
        if mode.bias:  # the core has their sum, so both have its gradient; hooks may write to either
            d_weights += [rest[0], rest[0].clone()]
        if mode.name == "LSTM_PROJECTED":
            d_weights.append(rest[-1].t())
    return [d.contiguous() for d in d_weights] if contiguous else d_weights


def _swapped(w: Tensor, dim: int = 0) -> Tensor:
    """Return the gates of a GRU in our order, and the other way round."""
    gates = w.chunk(3, dim)
    return torch.cat([gates[gate] for gate in GATES["GRU"]], dim)


class _Kept(NamedTuple):
    versions: list[tuple[int, int]]
    weights: list[Tensor]  # keep the addresses in `versions` from being used again
    copies: list[Tensor]
    packed: tuple[PackedWeights, ...]


class Packed:
    """Packed weights of a module's layers, kept from call to call.

    PyTorch counts writes to a tensor, but not those by way of ``.data``, of NumPy or of another process. So values are
    compared as well, which costs a look at all of them and a copy.
    """

    def __init__(self) -> None:
        self._kept: dict[int, _Kept] = {}

    def get(
        self, layer: int, mode: Mode, weights: Sequence[Tensor], training: bool, rows: int
    ) -> tuple[PackedWeights, ...]:
        """Return those of a layer, one for each direction, for a call of so many rows and steps."""
        repays = training and rows >= _ROWS_THAT_REPAY_PACKING
        if repays or weights[0].is_inference():  # PyTorch counts no writes to inference tensors
            return pack_directions(mode, weights, training)
        versions = [(w.data_ptr(), w._version) for w in weights]
        kept = self._kept.get(layer)
        fits = kept is not None and kept.versions == versions and training <= kept.packed[0].training
        if kept is not None and fits and all(map(torch.equal, kept.weights, kept.copies)):
            return kept.packed
        packed = pack_directions(mode, weights, training)
        own = [w.detach() for w in weights]
        self._kept[layer] = _Kept(versions, own, [w.clone() for w in own], packed)
        return packed


def pack_directions(mode: Mode, weights: Sequence[Tensor], training: bool) -> tuple[PackedWeights, ...]:
    """Return the weights of a layer packed, for each direction."""
    count = mode.weights
    return tuple(pack(mode, weights[k : k + count], training) for k in range(0, len(weights), count))
