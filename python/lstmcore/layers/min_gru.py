"""The minGRU layer."""

from __future__ import annotations

from typing import Any

from .. import functional
from .minimal import Minimal


class MinGRU(Minimal):
    """A GRU whose gate and candidate see the inputs alone (Feng et al. 2024, "Were RNNs all we needed?").

    >>> import numpy as np
    >>> from lstmcore.layers import MinGRU
    >>> MinGRU(8, return_sequences=True)(np.zeros((2, 5, 3), "float32")).shape
    (2, 5, 8)

    For every step, with ``W`` the kernel::

        z = sigmoid(x W_z + b_z)      hh = g(x W_h + b_h)
        h = (1 - z) h + z hh

    ``g(v) = v`` or, with ``log_space``, ``v + 1/2`` where ``v >= 0`` and ``sigmoid(v)`` elsewhere. As no gate sees h,
    the products of many steps are computed side by side. For the same reason what one layer remembers cannot depend
    on what it has seen; in the paper two or more are stacked.

    Inputs (batch, steps, features) give outputs (batch, units), or (batch, steps, units) with
    ``return_sequences``. Weights: ``kernel`` (features, 2*units), ``bias`` (2*units), gates in the order z, h.
    State: h.

    Parameters
    ----------
    units : width of the outputs.
    log_space : keep the states positive, as the paper's parallel form in logarithms has them; an ``initial_state``
        should then be, too.
    **options : as for `LSTM`, but for those that begin with ``recurrent_``: there is no recurrent kernel.

    Raises
    ------
    ValueError, TypeError
        An argument is not of its kind; the message names it.
    NotImplementedError
        An argument of Keras's that is not offered here.
    """

    pack = staticmethod(functional.pack_min_gru)
    options_class = functional.MinGRUOptions

    def __init__(self, units: int, *, log_space: bool = False, **options: Any) -> None:
        super().__init__(units, log_space=log_space, **options)
