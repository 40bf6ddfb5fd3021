"""Recurrent layers on plain arrays: arrays in, arrays out, no objects to keep.

`lstmcore.reference` has the same functions with the same arguments, written in NumPy equation by
equation; the tests hold the two against each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._core import LSTMCache, LSTMWeights

__all__ = ["LSTMCache", "LSTMWeights", "lstm", "lstm_backward", "pack_lstm"]

Array: TypeAlias = NDArray[Any]
State: TypeAlias = tuple[Array, Array]
WeightGradients: TypeAlias = tuple[Array, Array, Array] | tuple[Array, Array]


def pack_lstm(weights: Sequence[ArrayLike], *, training: bool = False) -> LSTMWeights:
    """Arrange the weights of an LSTM as its kernel reads them, once for many calls.

    >>> import numpy as np
    >>> from lstmcore import functional
    >>> rng = np.random.default_rng(0)
    >>> packed = functional.pack_lstm([rng.standard_normal((3, 20)), rng.standard_normal((5, 20))])
    >>> packed.inputs, packed.units, packed.dtype
    (3, 5, 'float64')

    Parameters
    ----------
    weights : kernel (inputs, 4*units), recurrent_kernel (units, 4*units) and, if there is one,
        bias (4*units), float32 or float64, gates in the order i, f, g, o: what
        ``layers.LSTM(...).get_weights()`` returns.
    training : also arrange what the backward pass needs.

    Returns
    -------
    LSTMWeights, a copy: later changes of the arrays do not reach it. Any number of threads may use
    it at once.

    Raises
    ------
    ValueError, TypeError
        A shape or a dtype does not fit; the message names the argument.
    """
    if isinstance(weights, LSTMWeights):
        return weights
    if not 2 <= len(weights) <= 3:
        raise ValueError(f"weights: expected kernel, recurrent_kernel and at most a bias, got {len(weights)} arrays")
    return _core.lstm_pack(weights[0], weights[1], weights[2] if len(weights) == 3 else None, training)


@overload
def lstm(
    inputs: ArrayLike,
    weights: Sequence[ArrayLike] | LSTMWeights,
    initial_state: Sequence[ArrayLike] | None = None,
    *,
    return_sequences: bool = True,
    training: Literal[False] = False,
    out: Array | None = None,
) -> tuple[Array, State]: ...


@overload
def lstm(
    inputs: ArrayLike,
    weights: Sequence[ArrayLike] | LSTMWeights,
    initial_state: Sequence[ArrayLike] | None = None,
    *,
    return_sequences: bool = True,
    training: Literal[True],
    out: Array | None = None,
) -> tuple[Array, State, LSTMCache]: ...


def lstm(
    inputs: ArrayLike,
    weights: Sequence[ArrayLike] | LSTMWeights,
    initial_state: Sequence[ArrayLike] | None = None,
    *,
    return_sequences: bool = True,
    training: bool = False,
    out: Array | None = None,
) -> Any:
    """Run an LSTM over a batch of sequences.

    For every step, with ``x`` the input, ``W`` the kernel, ``R`` the recurrent kernel::

        i = sigmoid(x W_i + h R_i + b_i)      f = sigmoid(x W_f + h R_f + b_f)
        g = tanh(x W_g + h R_g + b_g)         o = sigmoid(x W_o + h R_o + b_o)
        c = f c + i g                         h = o tanh(c)

    >>> import numpy as np
    >>> from lstmcore import functional
    >>> x = np.ones((2, 7, 3), "float32")
    >>> weights = [np.full((3, 20), 0.1, "float32"), np.full((5, 20), 0.1, "float32")]
    >>> outputs, (h, c) = functional.lstm(x, weights)
    >>> outputs.shape, h.shape, bool((outputs[:, -1] == h).all())
    ((2, 7, 5), (2, 5), True)

    Parameters
    ----------
    inputs : (batch, steps, inputs) float32 or float64, any strides. ``batch`` may be 0.
    weights : (kernel, recurrent_kernel[, bias]) of the same dtype, or what `pack_lstm` makes of them.
    initial_state : (h, c), each (batch, units); zeros by default.
    return_sequences : return the output of every step, or of the last one.
    training : also return what `lstm_backward` needs.
    out : array to write the outputs into, C-contiguous and overlapping no input.

    Returns
    -------
    outputs : (batch, steps, units), or (batch, units) without ``return_sequences``.
    state : (h, c) after the last step, each (batch, units).
    cache : only with ``training``. It refers to ``inputs`` and ``outputs``: leave them unchanged
        until the backward pass. Besides them it holds 5 * units numbers for each row and step
        (6 without ``return_sequences``).

    Raises
    ------
    ValueError, TypeError
        A shape or a dtype does not fit; the message names the argument, what was expected and what came.

    References
    ----------
    Hochreiter & Schmidhuber 1997, Neural Computation 9(8); Gers et al. 2000 (forget gate).
    """
    if not isinstance(weights, LSTMWeights):
        weights = pack_lstm(weights, training=training)
    if initial_state is None:
        h, c = None, None
    else:
        h, c = _pair("initial_state", initial_state)
    result = _core.lstm(weights, inputs, h, c, return_sequences, training, out)
    if training:
        return result[0], (result[1], result[2]), result[3]
    return result[0], (result[1], result[2])


def lstm_backward(
    cache: LSTMCache,
    d_outputs: ArrayLike | None = None,
    d_state: Sequence[ArrayLike | None] | None = None,
    *,
    d_weights: Sequence[Array] | None = None,
    need_d_inputs: bool = True,
) -> tuple[Array | None, WeightGradients, State | None]:
    """Gradients of a loss with respect to all that `lstm` took, from those of what it returned.

    >>> import numpy as np
    >>> from lstmcore import functional
    >>> x = np.ones((2, 7, 3))
    >>> outputs, state, cache = functional.lstm(x, [np.full((3, 20), 0.1), np.full((5, 20), 0.1)], training=True)
    >>> d_inputs, (d_kernel, d_recurrent_kernel), _ = functional.lstm_backward(cache, np.ones_like(outputs))
    >>> d_inputs.shape, d_kernel.shape
    ((2, 7, 3), (3, 20))

    Parameters
    ----------
    cache : from ``lstm(..., training=True)``. May be used more than once.
    d_outputs : gradient of the outputs, in their shape; None for none.
    d_state : gradients of the last (h, c), each (batch, units) or None.
    d_weights : arrays in the shapes of the weights to add the gradients to; new ones by default.
    need_d_inputs : whether to compute the gradient of the inputs.

    Returns
    -------
    d_inputs : (batch, steps, inputs), or None if not wanted.
    d_weights : (d_kernel, d_recurrent_kernel[, d_bias]).
    d_initial_state : (d_h, d_c), or None where no initial state was given.

    Raises
    ------
    ValueError, TypeError
        A shape or a dtype does not fit; the message names the argument.
    """
    dh, dc = (None, None) if d_state is None else _pair("d_state", d_state)
    given: tuple[Array | None, ...] = (None, None, None)
    if d_weights is not None:
        expected = 3 if cache.has_bias else 2
        if len(d_weights) != expected:
            raise ValueError(f"d_weights: expected {expected} arrays, got {len(d_weights)}")
        given = (*d_weights, None)[:3]
    d_inputs, d_kernel, d_recurrent, d_bias, d_h0, d_c0 = _core.lstm_backward(
        cache, d_outputs, dh, dc, need_d_inputs, *given
    )
    gradients = (d_kernel, d_recurrent) if d_bias is None else (d_kernel, d_recurrent, d_bias)
    return d_inputs, gradients, None if d_h0 is None else (d_h0, d_c0)


def _pair(argument: str, state: Sequence[Any]) -> tuple[Any, Any]:
    if (isinstance(state, np.ndarray) and state.ndim == 2) or len(state) != 2:
        got = state.shape if isinstance(state, np.ndarray) else f"{len(state)} arrays"
        raise ValueError(f"{argument}: expected a pair (h, c), got {got}")
    return state[0], state[1]
