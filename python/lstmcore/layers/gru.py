"""The GRU layer."""

from __future__ import annotations

from typing import Any

from .. import functional
from .._signatures import in_order
from .layer import Shape
from .recurrent import BOTH_KERNELS, CONSTRAINTS, INITIALIZERS, REGULARIZERS, RETURNS, Recurrent


class GRU(Recurrent):
    """Gated recurrent unit (Cho et al. 2014).

    >>> import numpy as np
    >>> from lstmcore.layers import GRU
    >>> GRU(8, return_sequences=True)(np.zeros((2, 5, 3), "float32")).shape
    (2, 5, 8)

    For every step, with ``W`` the kernel, ``R`` the recurrent kernel and two rows of biases::

        z = sigmoid(x W_z + b0_z + h R_z + b1_z)      r = sigmoid(x W_r + b0_r + h R_r + b1_r)
        hh = tanh(x W_h + b0_h + r (h R_h + b1_h))    h = z h + (1 - z) hh

    and without ``reset_after``, with one row, ``hh = tanh(x W_h + (r h) R_h + b_h)``.

    Inputs (batch, steps, features) give outputs (batch, units), or (batch, steps, units) with
    ``return_sequences``. Weights: ``kernel`` (features, 3*units), ``recurrent_kernel``
    (units, 3*units), ``bias`` (2, 3*units) or (3*units), gates in the order z, r, h. State: h.

    Parameters
    ----------
    units : width of the outputs.
    activation, recurrent_activation : of the candidate, and of the gates; as for `LSTM`.
    reset_after : where the reset gate acts; True is Keras's and cuDNN's form.
    layer_norm : normalise both products (Ba et al. 2016).
    clip : hold the sums that go into the activations between -clip and clip.
    **options : as for `LSTM`.

    Raises
    ------
    ValueError, TypeError
        An argument is not of its kind; the message names it.
    NotImplementedError
        An argument of Keras's that is not offered here.
    """

    pack = staticmethod(functional.pack_gru)
    quantized_weights = BOTH_KERNELS
    options: functional.GRUOptions

    @in_order(
        *(*INITIALIZERS, *REGULARIZERS, "activity_regularizer", *CONSTRAINTS, "seed"),
        *(*RETURNS, "reset_after", ("use_cudnn", "auto")),
    )
    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        *,
        reset_after: bool = True,
        layer_norm: bool = False,
        clip: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(units, **options)
        self.options = functional.GRUOptions(
            reset_after=reset_after,
            activation=activation,
            recurrent_activation=recurrent_activation,
            layer_norm=layer_norm,
            clip=clip,
        )

    def build(self, input_shape: Shape) -> None:
        """Create kernel, recurrent_kernel, bias and what the options call for."""
        super().build(input_shape)
        if self.options.layer_norm:
            self.add_weight("gain", (2, 3 * self.units), "ones")

    def _bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.options.reset_after else (3 * self.units,)
