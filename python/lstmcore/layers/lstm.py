"""The LSTM layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import ArrayLike

from .. import functional
from .._arguments import float_array, positive_integer, reject_options
from ..initializers import get as get_initializer
from .layer import Array, Layer, Shape

# Arguments of Keras's that choose among its implementations: there is one here.
_WITHOUT_EFFECT = {"use_cudnn", "unroll", "implementation"}
_NOT_OFFERED = {
    "kernel_regularizer",
    "recurrent_regularizer",
    "bias_regularizer",
    "activity_regularizer",
    "kernel_constraint",
    "recurrent_constraint",
    "bias_constraint",
    "dropout",
    "recurrent_dropout",
    "seed",
    "go_backwards",
    "stateful",
    "time_major",
    "zero_output_for_mask",
}


class LSTM(Layer):
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
    (units, 4*units), ``bias`` (4*units), gates in the order i, f, g, o.

    Parameters
    ----------
    units : width of the outputs.
    activation, recurrent_activation : "tanh" and "sigmoid".
    use_bias : whether there is a bias.
    kernel_initializer, recurrent_initializer, bias_initializer : names or callables.
    unit_forget_bias : start the bias of the forget gate at 1.
    return_sequences : return the output of every step instead of the last.
    return_state : also return the last h and c, each (batch, units).
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer; Keras's ``use_cudnn``,
        ``unroll`` and ``implementation`` are accepted and have no effect.

    Raises
    ------
    ValueError, TypeError
        An argument is not of its kind; the message names it.
    NotImplementedError
        An argument of Keras's that is not offered here.
    """

    def __init__(
        self,
        units: int,
        activation: str = "tanh",
        recurrent_activation: str = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: str | Callable[..., Array] = "glorot_uniform",
        recurrent_initializer: str | Callable[..., Array] = "orthogonal",
        bias_initializer: str | Callable[..., Array] = "zeros",
        unit_forget_bias: bool = True,
        return_sequences: bool = False,
        return_state: bool = False,
        **options: Any,
    ) -> None:
        for name, value, offered in (
            ("activation", activation, "tanh"),
            ("recurrent_activation", recurrent_activation, "sigmoid"),
        ):
            if value != offered:
                raise NotImplementedError(f"LSTM: {name}={value!r} is not offered; use {offered!r}")
        reject_options("LSTM", {k: options.pop(k) for k in _NOT_OFFERED & options.keys()}, _NOT_OFFERED)
        super().__init__(**{k: v for k, v in options.items() if k not in _WITHOUT_EFFECT})
        self.units = positive_integer("LSTM: units", units)
        self.use_bias = use_bias
        self.kernel_initializer = kernel_initializer
        self.recurrent_initializer = recurrent_initializer
        self.bias_initializer = bias_initializer
        self.unit_forget_bias = unit_forget_bias
        self.return_sequences = return_sequences
        self.return_state = return_state
        self._packed: functional.LSTMWeights | None = None
        self._packed_version = -1
        self._cache: functional.LSTMCache | None = None

    def build(self, input_shape: Shape) -> None:
        """Create kernel, recurrent_kernel and bias."""
        features = self._features(input_shape)
        self.add_weight("kernel", (features, 4 * self.units), self.kernel_initializer)
        self.add_weight("recurrent_kernel", (self.units, 4 * self.units), self.recurrent_initializer)
        if self.use_bias:
            self.add_weight("bias", (4 * self.units,), self._initial_bias)

    def _features(self, input_shape: Shape) -> int:
        if len(input_shape) != 3 or not input_shape[2]:
            raise ValueError(f"{self.name}: inputs: expected shape (batch, steps, features), got {input_shape}")
        return input_shape[2]

    def _initial_bias(self, shape: tuple[int, ...], dtype: Any) -> Array:
        bias = get_initializer(self.bias_initializer)(shape, dtype=dtype)
        if self.unit_forget_bias:
            bias[self.units : 2 * self.units] = 1
        return bias

    def _weights(self, training: bool) -> functional.LSTMWeights:
        version = self.variables[0].parameters.version
        packed = self._packed
        if packed is None or version != self._packed_version or training > packed.training:
            packed = functional.pack_lstm([v.value for v in self.variables], training=training)
            self._packed, self._packed_version = packed, version
        return packed

    def forward(
        self, inputs: Array, training: bool = False, initial_state: Sequence[ArrayLike] | None = None
    ) -> Array | tuple[Array, Array, Array]:
        """Return the outputs, and with ``return_state`` h and c."""
        if initial_state is not None:
            initial_state = [float_array(f"{self.name}: initial_state", s, self.dtype) for s in initial_state]
        if training:
            outputs, state, self._cache = functional.lstm(
                inputs,
                self._weights(True),
                initial_state,
                return_sequences=self.return_sequences,
                training=True,
            )
        else:
            outputs, state = functional.lstm(
                inputs, self._weights(False), initial_state, return_sequences=self.return_sequences
            )
        return (outputs, *state) if self.return_state else outputs

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Add to the gradients of the weights and return that of the inputs, if needed."""
        if self._cache is None:
            raise RuntimeError(f"{self.name}: backward needs a forward pass with training=True before it")
        cache, self._cache = self._cache, None
        d_inputs, _, _ = functional.lstm_backward(
            cache, d_outputs, d_weights=[v.gradient for v in self.variables], need_d_inputs=need_d_inputs
        )
        return d_inputs

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, steps, units), or (batch, units)."""
        self._features(input_shape)
        return (*input_shape[:2], self.units) if self.return_sequences else (input_shape[0], self.units)
