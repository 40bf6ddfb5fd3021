"""From PyTorch's weights to the core's and, of gradients, back: gates, layout, the two biases. And packed weights kept.

PyTorch has ``weight_ih`` (gates*units, inputs), ``weight_hh`` (gates*units, outputs), two biases (gates*units,) and,
with a projection, ``weight_hr`` (outputs, units); gates i, f, g, o or r, z, n. The core has them transposed, one bias
or, for a GRU, its two as rows, and gates i, f, g, o or z, r, n. It packs transposes as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ... import _core
from ..._core import PackedWeights
from ..torch_models.layouts import OPTIONS

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


def pack(mode: Mode, weights: Sequence[Any], training: bool) -> PackedWeights:
    """Return the weights of a layer and direction, arrays in PyTorch's layout, as the kernels read them."""
    w_ih, w_hh, *rest = weights
    if mode.name == "GRU":
        arrays = [_swapped(w_ih).T, _swapped(w_hh).T]
        if mode.bias:
            arrays.append(np.stack([_swapped(b) for b in rest]))
    else:
        arrays = [w_ih.T, w_hh.T]
        if mode.bias:
            arrays.append(rest[0] + rest[1])
        if mode.name == "LSTM_PROJECTED":
            arrays.append(rest[-1].T)
    return _core.pack(OPTIONS[mode.name], arrays, training, False)


def gradients(mode: Mode, arrays: Sequence[Any], contiguous: bool) -> list[Tensor]:
    """Return the gradients of PyTorch's weights, of those that the core has made.

    Contiguous, they can be a parameter's gradient as they are. Those that are added to many others first, as of the
    steps of a cell, may be views instead: only their sum is then copied.
    """
    is_gru = mode.name == "GRU"
    swapped = arrays[0].shape[1] // 3 if is_gru else 0
    turned = _core.transpose if contiguous or is_gru else _view
    kernel, recurrent, *rest = arrays
    d_weights = [turned(kernel, swapped), turned(recurrent, swapped)]
    if mode.bias:
        # Of an LSTM the core has their sum, so both have its gradient; hooks may write to either.
        d_weights += [_swapped(row) for row in rest[0]] if is_gru else [rest[0], rest[0].copy()]
    if mode.name == "LSTM_PROJECTED":
        d_weights.append(turned(rest[-1], 0))
    return [torch.from_numpy(d) for d in d_weights]


def _view(matrix: Any, _: int) -> Any:
    return matrix.T


def _swapped(w: Any) -> Any:
    """Return the gates r, z, n as z, r, n, and the other way round."""
    units = len(w) // 3
    return np.concatenate((w[units : 2 * units], w[:units], w[2 * units :]))


class _Kept(NamedTuple):
    key: list[Any]
    snapshot: _core.Snapshot  # which keeps the addresses in `key` from being used again
    packed: tuple[PackedWeights, ...]


class Packed:
    """Packed weights of a module's layers, kept from call to call.

    PyTorch counts writes to a tensor, but not those by way of ``.data``, of NumPy or of another process. So values are
    compared, which costs a look at all of them and a copy.
    """

    def __init__(self) -> None:
        self._kept: dict[int, _Kept] = {}

    def get(
        self, layer: int, mode: Mode, weights: Sequence[Tensor], training: bool, rows: int
    ) -> tuple[PackedWeights, ...]:
        """Return those of a layer, one for each direction, for a call of so many rows and steps."""
        if training and rows >= _ROWS_THAT_REPAY_PACKING:
            return pack_directions(mode, weights, training)
        # Where the numbers are and how they lie, which `.data = ` changes; their values, the snapshot sees.
        key = [(w.data_ptr(), w.dtype, w.shape, w.stride()) for w in weights]
        kept = self._kept.get(layer)
        if kept is not None and kept.key == key and training <= kept.packed[0].training and kept.snapshot.is_current():
            return kept.packed
        if not all(w.is_contiguous() for w in weights):
            return pack_directions(mode, weights, training)
        # Before they are packed: a write in between is then seen by the next call.
        snapshot = _core.Snapshot([w.detach().numpy() for w in weights])
        packed = pack_directions(mode, weights, training)
        self._kept[layer] = _Kept(key, snapshot, packed)
        return packed


def pack_directions(mode: Mode, weights: Sequence[Tensor], training: bool) -> tuple[PackedWeights, ...]:
    """Return the weights of a layer packed, for each direction."""
    count = mode.weights
    arrays = [w.detach().numpy() for w in weights]
    try:
        return tuple([pack(mode, arrays[k : k + count], training) for k in range(0, len(arrays), count)])
    except ValueError as error:
        shapes = ", ".join(str(a.shape) for a in arrays)
        raise ValueError(
            f"weights of {mode.name}: expected weight_ih, weight_hh and biases of as many rows as there are gates and "
            f"units, got shapes {shapes}"
        ) from error
