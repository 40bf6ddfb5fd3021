"""The simple recurrent layer."""

from __future__ import annotations

from typing import Any

from .. import functional
from .._signatures import in_order
from .recurrent import BOTH_KERNELS, CONSTRAINTS, INITIALIZERS, REGULARIZERS, RETURNS, Recurrent


class SimpleRNN(Recurrent):
    """A layer that feeds its output back (Elman 1990): ``h = activation(x W + h R + b)``.

    >>> import numpy as np
    >>> from lstmcore.layers import SimpleRNN
    >>> SimpleRNN(8)(np.zeros((2, 5, 3), "float32")).shape
    (2, 8)

    Inputs (batch, steps, features) give outputs (batch, units), or (batch, steps, units) with
    ``return_sequences``. Weights: ``kernel`` (features, units), ``recurrent_kernel``
    (units, units), ``bias`` (units). State: h.

    Parameters
    ----------
    units : width of the outputs.
    activation : as for `LSTM`.
    clip : hold the sum that goes into it between -clip and clip.
    **options : as for `LSTM`.

    Raises
    ------
    ValueError, TypeError
        An argument is not of its kind; the message names it.
    NotImplementedError
        An argument of Keras's that is not offered here.
    """

    pack = staticmethod(functional.pack_rnn)
    quantized_weights = BOTH_KERNELS
    options: functional.RNNOptions

    @in_order(*INITIALIZERS, *REGULARIZERS, "activity_regularizer", *CONSTRAINTS, *RETURNS, "seed")
    def __init__(self, units: int, activation: Any = "tanh", *, clip: float | None = None, **options: Any) -> None:
        super().__init__(units, **options)
        self.options = functional.RNNOptions(activation=activation, clip=clip)
