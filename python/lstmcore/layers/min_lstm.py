"""The minLSTM layer."""

from __future__ import annotations

from typing import Any

from .. import functional
from .minimal import Minimal


class MinLSTM(Minimal):
    """An LSTM whose gates and candidate see the inputs alone (Feng et al. 2024, "Were RNNs all we needed?").

    >>> import numpy as np
    >>> from lstmcore.layers import MinLSTM
    >>> MinLSTM(8)(np.zeros((2, 5, 3), "float32")).shape
    (2, 8)

    For every step, with ``W`` the kernel::

        f = sigmoid(x W_f + b_f)      i = sigmoid(x W_i + b_i)      hh = g(x W_h + b_h)
        h = f / (f + i) h + i / (f + i) hh

    with the ``g`` of `MinGRU`, which see.

    Inputs (batch, steps, features) give outputs (batch, units), or (batch, steps, units) with
    ``return_sequences``. Weights: ``kernel`` (features, 3*units), ``bias`` (3*units), gates in the order f, i, h.
    State: h.

    Parameters
    ----------
    units : width of the outputs.
    log_space, **options : as for `MinGRU`.

    Raises
    ------
    ValueError, TypeError
        An argument is not of its kind; the message names it.
    NotImplementedError
        An argument of Keras's that is not offered here.
    """

    pack = staticmethod(functional.pack_min_lstm)
    options_class = functional.MinLSTMOptions

    def __init__(self, units: int, *, log_space: bool = False, **options: Any) -> None:
        super().__init__(units, log_space=log_space, **options)
