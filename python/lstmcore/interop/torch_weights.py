"""The weights of one layer in PyTorch's layout and in ours: gate orders, transposes, one bias or two."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Where our gates stand among PyTorch's: z, r, h of r, z, n; the orders of LSTM are the same.
_GATES = {"LSTM": [0, 1, 2, 3], "GRU": [1, 0, 2], "RNN": [0]}


def reordered(kind: str, rows: Array) -> Array:
    """Exchange the blocks of the gates; done twice, nothing has changed."""
    return np.concatenate([np.split(rows, len(_GATES[kind]))[gate] for gate in _GATES[kind]])


def recurrent_from_torch(kind: str, state: Mapping[str, Array], suffix: str) -> list[Array]:
    """Return the weights of one of our layers, in the order of its ``get_weights``.

    Parameters
    ----------
    kind : "LSTM", "GRU" or "RNN".
    state : PyTorch's arrays by name, as ``weight_ih_l0``.
    suffix : which layer and direction, as ``_l0`` or ``_l1_reverse``.
    """
    weights = [reordered(kind, state[f"weight_{part}{suffix}"]).T for part in ("ih", "hh")]
    if f"bias_ih{suffix}" in state:
        inner, outer = (reordered(kind, state[f"bias_{part}{suffix}"]) for part in ("ih", "hh"))
        weights.append(np.stack([inner, outer]) if kind == "GRU" else inner + outer)
    return weights


def recurrent_to_torch(kind: str, weights: list[Array], suffix: str) -> dict[str, Array]:
    """The way back: LSTM and RNN have their bias in ``bias_ih``, and zeros in ``bias_hh``."""
    state = {f"weight_{part}{suffix}": reordered(kind, w.T) for part, w in zip(("ih", "hh"), weights, strict=False)}
    if len(weights) > 2:
        bias = weights[2] if kind == "GRU" else np.stack([weights[2], np.zeros_like(weights[2])])
        state |= {f"bias_{part}{suffix}": reordered(kind, row) for part, row in zip(("ih", "hh"), bias, strict=True)}
    return state
