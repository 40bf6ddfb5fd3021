"""The sLSTM layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _core, functional
from .._arguments import flag, positive_integer
from .layer import Array
from .recurrent import Recurrent


class SLSTM(Recurrent):
    """An LSTM with an exponential input gate, a normaliser and heads (Beck et al. 2024, "xLSTM").

    >>> import numpy as np
    >>> from lstmcore.layers import SLSTM
    >>> SLSTM(8, heads=2, return_sequences=True)(np.zeros((2, 5, 3), "float32")).shape
    (2, 5, 8)

    For every step, with ``W`` the kernel and ``R`` the recurrent kernel::

        i = exp(x W_i + h R_i + b_i)      f = sigmoid(x W_f + h R_f + b_f)      exp with exponential_forget
        z = tanh(x W_z + h R_z + b_z)     o = sigmoid(x W_o + h R_o + b_o)
        c = f c + i z                     n = f n + i                           h = o c / n

    A unit can take in something new at any weight against all that it has gathered, which an LSTM cannot. c and n
    are kept without a common factor exp(m), so that nothing overflows; see `functional.slstm`.

    Inputs (batch, steps, features) give outputs (batch, units), or (batch, steps, units) with
    ``return_sequences``. Weights: ``kernel`` (features, 4*units), ``recurrent_kernel`` (units/heads, 4*units),
    ``bias`` (4*units), gates in the order i, f, z, o. States: h, c, n, m.

    Parameters
    ----------
    units : width of the outputs.
    heads : parts of the units that do not see one another's h; it must divide them. The recurrent product then
        takes 1/heads of the time and the weights. ``recurrent_initializer`` is asked for each head by itself.
    exponential_forget : the forget gate is an exponential, as the input gate is.
    unit_forget_bias : start the bias of a sigmoid forget gate at 1. (An exponential one keeps all at 0.)
    **options : as for `LSTM`, but ``zoneout`` is of h alone, a number.

    Raises
    ------
    ValueError, TypeError
        An argument is not of its kind, or the heads do not divide the units; the message names it.
    NotImplementedError
        An argument of Keras's that is not offered here.
    """

    state_names = _core.cells["slstm"]
    pack = staticmethod(functional.pack_slstm)
    options: functional.SLSTMOptions

    def __init__(
        self,
        units: int,
        heads: int = 1,
        *,
        exponential_forget: bool = False,
        unit_forget_bias: bool = True,
        zoneout: float = 0.0,
        **options: Any,
    ) -> None:
        if isinstance(zoneout, (list, tuple)):
            raise ValueError(
                "SLSTM: zoneout: expected a number, the rate of h, as c, n and m have a factor in common, so that none "
                f"can keep its value without the others; got {zoneout!r}"
            )
        super().__init__(units, zoneout=zoneout, **options)
        self.unit_forget_bias = flag("SLSTM: unit_forget_bias", unit_forget_bias)
        self.heads = positive_integer("SLSTM: heads", heads)
        if self.units % self.heads:
            raise ValueError(f"SLSTM: heads: expected a divisor of units={self.units}, got {self.heads}")
        self.options = functional.SLSTMOptions(heads=self.heads, exponential_forget=exponential_forget)

    def _recurrent_shape(self) -> tuple[int, ...]:
        return (self.units // self.heads, 4 * self.units)

    def _recurrent_initializer(self) -> Any:
        given, heads, width = self.recurrent_initializer, self.heads, self.units // self.heads
        if given is None or heads == 1:
            return given

        def by_head(shape: tuple[int, ...], dtype: Any) -> Array:
            parts = [np.reshape(given((width, 4 * width), dtype=dtype), (width, 4, width)) for _ in range(heads)]
            return np.stack(parts, axis=2).reshape(shape)  # columns by gate, then by head

        return by_head

    def _initial_bias(self, shape: tuple[int, ...], dtype: Any) -> Array:
        bias = super()._initial_bias(shape, dtype)
        if self.unit_forget_bias and not self.options.exponential_forget:
            bias[self.units : 2 * self.units] = 1
        return bias
