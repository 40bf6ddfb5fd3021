"""Recurrent weights as PyTorch has them and as we do: gate orders, transposes, one bias or two. See docs/layouts.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._options import CellOptions, GRUOptions, LSTMOptions, RNNOptions

Array = NDArray[Any]

# What our cells are when they compute what PyTorch's do, under PyTorch's names.
OPTIONS: dict[str, CellOptions] = {
    "LSTM": LSTMOptions(),
    "LSTM_PROJECTED": LSTMOptions(projection=True),
    "GRU": GRUOptions(),
    "RNN_TANH": RNNOptions("tanh"),
    "RNN_RELU": RNNOptions("relu"),
}
# Where our gates stand among PyTorch's: z, r, h of r, z, n; the orders of LSTM are the same.
GATES = {"LSTM": (0, 1, 2, 3), "GRU": (1, 0, 2), "RNN": (0,)}


def reordered(kind: str, rows: Array) -> Array:
    """Exchange the blocks of the gates; done twice, nothing has changed."""
    if GATES[kind] == tuple(range(len(GATES[kind]))):
        return rows
    return np.concatenate([np.split(rows, len(GATES[kind]))[gate] for gate in GATES[kind]])


def recurrent_from_torch(kind: str, state: Mapping[str, Array], suffix: str) -> list[Array]:
    """Return the weights of one of our layers, in the order of its ``get_weights``.

    Parameters
    ----------
    kind : "LSTM", "GRU" or "RNN".
    state : PyTorch's arrays by name, as ``weight_ih_l0``.
    suffix : which layer and direction, as ``_l0`` or ``_l1_reverse``.

    Examples
    --------
    >>> import numpy as np
    >>> state = {"weight_ih_l0": np.array([[1], [2], [3]]), "weight_hh_l0": np.array([[4], [5], [6]])}
    >>> recurrent_from_torch("GRU", state, "_l0")
    [array([[2, 1, 3]]), array([[5, 4, 6]])]
    """
    weights = [reordered(kind, state[f"weight_{part}{suffix}"]).T for part in ("ih", "hh")]
    if f"bias_ih{suffix}" in state:
        inner, outer = (reordered(kind, state[f"bias_{part}{suffix}"]) for part in ("ih", "hh"))
        weights.append(np.stack([inner, outer]) if kind == "GRU" else inner + outer)
    if f"weight_hr{suffix}" in state:
        weights.append(state[f"weight_hr{suffix}"].T)
    return weights


def recurrent_to_torch(kind: str, weights: Sequence[Array], suffix: str) -> dict[str, Array]:
    """Return PyTorch's arrays by name: the way back from `recurrent_from_torch`.

    LSTM and RNN have their bias in ``bias_ih``, and zeros in ``bias_hh``.

    Examples
    --------
    >>> import numpy as np
    >>> recurrent_to_torch("GRU", [np.array([[2, 1, 3]]), np.array([[5, 4, 6]])], "_l0")["weight_hh_l0"].tolist()
    [[4], [5], [6]]
    """
    kernel, recurrent, *rest = weights
    state = {f"weight_ih{suffix}": reordered(kind, kernel.T), f"weight_hh{suffix}": reordered(kind, recurrent.T)}
    if rest and (kind == "GRU" or rest[0].ndim == 1):  # else a projection without a bias
        bias = rest.pop(0)
        inner, outer = bias if kind == "GRU" else (bias, np.zeros_like(bias))
        state |= {f"bias_ih{suffix}": reordered(kind, inner), f"bias_hh{suffix}": reordered(kind, outer)}
    if rest:
        state[f"weight_hr{suffix}"] = rest[0].T
    return state
