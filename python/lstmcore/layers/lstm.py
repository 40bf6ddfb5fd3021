"""The LSTM layer."""

from __future__ import annotations

from typing import Any

from .. import _core, functional
from .._arguments import flag, positive_integer
from .._signatures import in_order
from ..initializers import Ones
from .layer import Array, Shape
from .recurrent import BOTH_KERNELS, CONSTRAINTS, INITIALIZERS, REGULARIZERS, RETURNS, Recurrent


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber 1997) with a forget gate (Gers et al. 2000).

    >>> import numpy as np
    >>> from lstmcore.layers import LSTM
    >>> LSTM(8, return_sequences=True)(np.zeros((2, 5, 3), "float32")).shape
    (2, 5, 8)

    For every step, with ``W`` the kernel and ``R`` the recurrent kernel::

        i = sigmoid(x W_i + h R_i + b_i)      f = sigmoid(x W_f + h R_f + b_f)
        g = tanh(x W_g + h R_g + b_g)         o = sigmoid(x W_o + h R_o + b_o)
        c = f c + i g                         h = o tanh(c)

    Inputs (batch, steps, features) give outputs (batch, units), or (batch, steps, units) with
    ``return_sequences``. Weights: ``kernel`` (features, 4*units), ``recurrent_kernel``
    (units, 4*units), ``bias`` (4*units), gates in the order i, f, g, o. States: h, c.

    Parameters
    ----------
    units : width of the outputs.
    activation, recurrent_activation : of candidate and output, and of the gates; any of `activations`, by
        name or as an object, or a function (see `activations.get`). "tanh", "sigmoid", "hard_sigmoid", "relu",
        "linear", "softsign", "softplus", "elu", "leaky_relu", "threshold", "affine" and "scaled_tanh", with any
        numbers of theirs, are in the core; with others the layer runs step by step in NumPy, which is slower.
        `kernel_info` says which.
    output_activation : of the cell state on its way to the output: True for that of the candidate, False for none,
        or one of its own.
    unit_forget_bias : start the bias of the forget gate at 1.
    clip : hold the sums that go into the activations of gates and candidate between -clip and clip.
    peepholes, input_gate, forget_gate, output_gate, coupled, input_activation, layer_norm : variants; see
        `functional.LSTMOptions`. Dropped gates have no columns in the weights.
    projection : project h to this width, smaller than ``units`` (Sak et al. 2014).
    **options : ``use_bias``, ``kernel_initializer``, ``recurrent_initializer``, ``bias_initializer``, the same
        with ``_regularizer`` and ``_constraint`` (``kernel_``, ``recurrent_``, ``bias_``), ``dropout``,
        ``recurrent_dropout``, ``zoneout``, ``seed``, ``return_sequences``, ``return_state``,
        ``go_backwards``, ``stateful``, ``zero_output_for_mask``, ``checkpoint`` as
        `recurrent.Recurrent` describes them; ``name``, ``dtype``, ``input_shape`` as for every
        layer; Keras's ``use_cudnn``, ``unroll`` and ``implementation`` are accepted and have no effect.

    Raises
    ------
    ValueError, TypeError
        An argument is not of its kind; the message names it.
    NotImplementedError
        An argument of Keras's that is not offered here.
    """

    state_names = zoneout_names = _core.cells["lstm"]
    pack = staticmethod(functional.pack_lstm)
    quantized_weights = BOTH_KERNELS
    options: functional.LSTMOptions

    @in_order(
        *(*INITIALIZERS, "unit_forget_bias", *REGULARIZERS, "activity_regularizer", *CONSTRAINTS, "seed"),
        *(*RETURNS, ("use_cudnn", "auto")),
    )
    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        *,
        unit_forget_bias: bool = True,
        peepholes: bool = False,
        input_gate: bool = True,
        forget_gate: bool = True,
        output_gate: bool = True,
        coupled: bool = False,
        input_activation: bool = True,
        output_activation: Any = True,
        clip: float | None = None,
        layer_norm: bool = False,
        projection: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(units, **options)
        self.unit_forget_bias = flag("LSTM: unit_forget_bias", unit_forget_bias)
        self.projection = None if projection is None else positive_integer("LSTM: projection", projection)
        if self.projection is not None and self.projection > self.units:
            raise ValueError(f"LSTM: projection: expected at most units={self.units}, got {projection}")
        self.options = functional.LSTMOptions(
            activation=activation,
            recurrent_activation=recurrent_activation,
            peepholes=peepholes,
            input_gate=input_gate,
            forget_gate=forget_gate,
            output_gate=output_gate,
            coupled=coupled,
            input_activation=input_activation,
            output_activation=output_activation,
            projection=projection is not None,
            layer_norm=layer_norm,
            clip=clip,
        )

    @property
    def outputs(self) -> int:
        """Width of the outputs."""
        return self.projection or self.units

    def build(self, input_shape: Shape) -> None:
        """Create kernel, recurrent_kernel, bias and what the options call for."""
        super().build(input_shape)
        if self.options.peepholes:
            self.add_weight("peephole", (3, self.units), "zeros")
        if self.projection is not None:
            self.add_weight("projection", (self.units, self.projection), "glorot_uniform")
        if self.options.layer_norm:
            self.add_weight("gain", (2, self.options.gates * self.units), "ones")
            self.add_weight("cell_norm", (2, self.units), _one_and_zero)

    def _initial_bias(self, shape: tuple[int, ...], dtype: Any) -> Array:
        bias = super()._initial_bias(shape, dtype)
        if self.unit_forget_bias and self.options.forget_gate and not self.options.coupled:
            first = self.units if self.options.input_gate else 0  # i, if there is one, stands before f
            bias[first : first + self.units] = 1
        return bias


def _one_and_zero(shape: tuple[int, ...], dtype: Any) -> Array:
    values = Ones()(shape, dtype)
    values[1] = 0
    return values
