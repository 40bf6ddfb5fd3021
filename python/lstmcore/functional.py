"""Recurrent layers, attention, CTC and conditional random fields on plain arrays: arrays in, arrays out.

`lstmcore.reference` has the same functions with the same arguments, written in NumPy equation by
equation; the tests hold the two against each other.

What all recurrent layers take, beside inputs (batch, steps, inputs), weights and initial state:

- ``return_sequences``: return the output of every step, or of the last one.
- ``training``: also return what the backward pass needs. It refers to the inputs, which are large: leave them as
  they are until then. Everything else is copied, so what goes in, and what comes out, may be written to.
- ``out``: array to write the outputs into; features contiguous, overlapping no input.
- ``lengths`` (batch,): the steps of each row from its length on are padding; their outputs are zero.
  ``mask`` (batch, steps): True where a step counts, False where it is padding; its output repeats
  the one before it (zero before the first), or is zero with ``zero_output_for_mask``. Padding is
  never looked at, costs no time, and carries the state. A row without any steps gives zeros and keeps
  its state.
- ``go_backwards``: take the steps from the last to the first; outputs stand at their own steps.
- ``dropout_mask``: factors for the inputs, fixed over the steps: (batch, inputs) for all gates or
  (gates, batch, inputs); already scaled by 1 / (1 - rate). ``recurrent_dropout_mask`` the same for h
  on its way into the recurrent product, (batch, units) or (gates, batch, units); not of cells without one.
- ``zoneout``: a `Zoneout`.
- ``checkpoint``: with ``training``, keep the states only at every so many steps and compute the rest
  again in the backward pass: long sequences in little memory, for about a third more time.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._arguments import as_array, flag, integer, items, number, one_of, positive_integer, shown
from ._attention import AttentionCache, attention, attention_backward
from ._core import Cache, PackedWeights
from ._options import (
    CellOptions,
    GRUOptions,
    LSTMOptions,
    MinGRUOptions,
    MinLSTMOptions,
    RNNOptions,
    SLSTMOptions,
    Zoneout,
)
from ._passes import BackwardCall, Call, Checkpoints, run_backward, run_forward
from ._stepwise import StepwiseCache, StepwiseWeights
from .reference.crf import CRFGradients

__all__ = [
    "AttentionCache",
    "CRFGradients",
    "Cache",
    "Checkpoints",
    "GRUOptions",
    "LSTMOptions",
    "MinGRUOptions",
    "MinLSTMOptions",
    "PackedWeights",
    "RNNOptions",
    "SLSTMOptions",
    "StepwiseCache",
    "StepwiseWeights",
    "Zoneout",
    "attention",
    "attention_backward",
    "crf_decode",
    "crf_loss",
    "crf_loss_and_gradient",
    "crf_marginals",
    "ctc_loss",
    "ctc_loss_and_gradient",
    "gru",
    "gru_backward",
    "lstm",
    "lstm_backward",
    "min_gru",
    "min_gru_backward",
    "min_lstm",
    "min_lstm_backward",
    "pack_gru",
    "pack_lstm",
    "pack_min_gru",
    "pack_min_lstm",
    "pack_rnn",
    "pack_slstm",
    "rnn",
    "rnn_backward",
    "slstm",
    "slstm_backward",
]

Array: TypeAlias = NDArray[Any]
State: TypeAlias = tuple[Array, ...]
Packed: TypeAlias = PackedWeights | StepwiseWeights
Caches: TypeAlias = Cache | StepwiseCache | Checkpoints
Weights: TypeAlias = Sequence[ArrayLike] | Packed
_SomeOptions = TypeVar("_SomeOptions", bound=CellOptions)

_PLAIN: dict[type[Any], Any] = {
    kind: kind() for kind in (LSTMOptions, GRUOptions, RNNOptions, MinGRUOptions, MinLSTMOptions, SLSTMOptions)
}


# What the forward functions take beside inputs, weights and state is meant to be given by keyword. It is not
# keyword-only because CPython looks every such argument that is absent up in a dictionary: for a step of a
# stream that is 0.1 of 2.3 microseconds. For as little, one more call in Python, those of cells that are run step by
# step the most (LSTM, GRU, RNN) call the core themselves; the others do so by `_forward`.


# --- LSTM ---


def pack_lstm(
    weights: Weights,
    *,
    options: LSTMOptions | None = None,
    training: bool = False,
    zoneout: bool = False,
    precision: str = "float32",
    input_range: float | None = None,
) -> Packed:
    """Arrange the weights of an LSTM as its kernel reads them, once for many calls.

    >>> import numpy as np
    >>> from lstmcore import functional
    >>> rng = np.random.default_rng(0)
    >>> packed = functional.pack_lstm([rng.standard_normal((3, 20)), rng.standard_normal((5, 20))])
    >>> packed.inputs, packed.units, packed.dtype, packed.kernel
    (3, 5, 'float64', 'fused')

    Parameters
    ----------
    weights : kernel (inputs, gates*units), recurrent_kernel (units, gates*units) and, if there is
        one, bias (gates*units), float32 or float64, gates in the order i, f, g, o: what
        ``layers.LSTM(...).get_weights()`` returns. Then what the options call for: peephole
        (3, units), projection (units, outputs), gain (2, gates*units) and cell_norm (2, units);
        with a projection recurrent_kernel is (outputs, gates*units).
    options : variants of the cell.
    training : also arrange what the backward pass needs.
    zoneout : whether the weights will be used with zoneout.
    precision : of the operands of the products: "float32" (of float64 weights: as they are), "bfloat16" or "int8"; see
        Notes.
    input_range : with "int8", what every x is held to, from -input_range to it, with the scale of that instead of one
        of each row; None or 0 if they have those.

    Returns
    -------
    PackedWeights, a copy: later changes of the arrays do not reach it. Any number of threads may use
    it at once. Its ``kernel`` says which loop will run: "fused" for the plain cell, which applies
    the gates in registers, "staged" for every other. For activations that the core does not have, such as
    "softmax" and those of the user, StepwiseWeights: the loop runs in NumPy, which is slower.

    Raises
    ------
    ValueError, TypeError
        A shape or a dtype does not fit; the message names the argument.

    Notes
    -----
    Of narrow operands the sums, the gates and the states stay float32; what goes in and comes out is float32 too.
    "bfloat16" rounds weights, x and h to nearest even. "int8" takes for a number the nearest of 255 multiples of a
    scale: of weights, 1/127 of the largest in a column; of x and of an h that is not bounded by 1, 1/127 of the largest
    in a row of a step; of other h, 1/127. Sums of their products are exact, so they do not depend on their order. A
    row of x with NaN or an infinity has NaN for its gates; weights with them are refused.

    There are such kernels for the plain LSTM, GRU and SimpleRNN ("fused") and float32 weights, without dropout but of
    inputs, the same for all gates; with training=True in bfloat16, which on the way back rounds the gradients of the
    pre-activations too (int8 raises an error). All else is computed as ever, which the result's ``precision`` tells:
    "float32". AVX-512 BF16 and VNNI are used where the CPU has them; elsewhere operands are widened in registers. See
    docs/low_precision.md.

    >>> weights = [rng.standard_normal((3, 20)).astype("float32"), rng.standard_normal((5, 20)).astype("float32")]
    >>> functional.pack_lstm(weights, precision="int8").precision
    'int8'
    """
    return _pack(weights, LSTMOptions, options, training, zoneout, precision, input_range)


def lstm(
    inputs: ArrayLike,
    weights: Weights,
    initial_state: Sequence[ArrayLike] | None = None,
    options: LSTMOptions | None = None,
    return_sequences: bool = True,
    training: bool = False,
    out: Array | None = None,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    zero_output_for_mask: bool = False,
    go_backwards: bool = False,
    dropout_mask: ArrayLike | None = None,
    recurrent_dropout_mask: ArrayLike | None = None,
    zoneout: Zoneout | None = None,
    checkpoint: int | None = None,
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
    weights : (kernel, recurrent_kernel[, bias], ...) of the same dtype as `pack_lstm` describes
        them, or what it makes of them.
    initial_state : (h, c), (batch, outputs) and (batch, units); zeros by default.
    options : variants of the cell; not with packed weights, which have theirs.
    return_sequences, training, out, lengths, mask, zero_output_for_mask, go_backwards, dropout_mask,
    recurrent_dropout_mask, zoneout, checkpoint : see the top of this module.

    Returns
    -------
    outputs : (batch, steps, units), or (batch, units) without ``return_sequences``; with a
        projection its width instead of ``units``.
    state : (h, c) after the last step.
    cache : only with ``training``. It refers to ``inputs``: leave them unchanged until the backward
        pass. Besides them it holds 6 * units numbers for each row and step (layer normalisation adds
        2 * gates * units + 2).

    Raises
    ------
    ValueError, TypeError
        A shape or a dtype does not fit; the message names the argument, what was expected and what came.

    References
    ----------
    Hochreiter & Schmidhuber 1997, Neural Computation 9(8); Gers et al. 2000 (forget gate); Greff et
    al. 2017 (variants).
    """
    if initial_state is not None and not (type(initial_state) is tuple and len(initial_state) == 2):
        initial_state = _states("initial_state", initial_state, "lstm")
    if type(weights) is not PackedWeights or options is not None or zoneout is not None:
        weights = _prepared(weights, LSTMOptions, options, training, zoneout)
    in_core = checkpoint is None and type(weights) is PackedWeights
    forward: Any = _core.forward if in_core else functools.partial(_run, checkpoint)
    y, state, cache = forward(
        weights,
        inputs,
        initial_state,
        return_sequences,
        training,
        out,
        lengths,
        mask,
        zero_output_for_mask,
        go_backwards,
        dropout_mask,
        recurrent_dropout_mask,
        zoneout,
        False,
        "lstm",
    )
    return (y, state, cache) if training else (y, state)


def lstm_backward(
    cache: Caches,
    d_outputs: ArrayLike | None = None,
    d_state: Sequence[ArrayLike | None] | None = None,
    *,
    d_weights: Sequence[Array] | None = None,
    need_d_inputs: bool = True,
) -> tuple[Array | None, tuple[Array, ...], State | None]:
    """Gradients of a loss with respect to all that `lstm` took, from those of what it returned.

    The vector-Jacobian product of `lstm`, by backpropagation through time.

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
    d_state : gradients of the last (h, c), in their shapes, each may be None.
    d_weights : arrays in the shapes of the weights to add the gradients to; new ones by default.
    need_d_inputs : whether to compute the gradient of the inputs.

    Returns
    -------
    d_inputs : (batch, steps, inputs), zero where there is padding, or None if not wanted.
    d_weights : (d_kernel, d_recurrent_kernel[, d_bias], ...), as the weights.
    d_initial_state : (d_h, d_c), or None where no initial state was given.

    Raises
    ------
    ValueError, TypeError
        A shape or a dtype does not fit; the message names the argument.
    """
    d_state = None if d_state is None else _states("d_state", d_state, "lstm")
    return _backward(cache, "lstm", d_outputs, d_state, d_weights, need_d_inputs)


# --- GRU ---


def pack_gru(
    weights: Weights,
    *,
    options: GRUOptions | None = None,
    training: bool = False,
    zoneout: bool = False,
    precision: str = "float32",
    input_range: float | None = None,
) -> Packed:
    """Arrange the weights of a GRU as its kernel reads them; see `pack_lstm`.

    Parameters
    ----------
    weights : kernel (inputs, 3*units), recurrent_kernel (units, 3*units) and, if there is one, bias:
        (2, 3*units), those of the input and of the recurrent product, or (3*units) without
        ``reset_after``; gates in the order z, r, h. With layer normalisation also gain (2, 3*units).
    options, training, zoneout, precision, input_range : as for `pack_lstm`.
    """
    return _pack(weights, GRUOptions, options, training, zoneout, precision, input_range)


def gru(
    inputs: ArrayLike,
    weights: Weights,
    initial_state: ArrayLike | None = None,
    options: GRUOptions | None = None,
    return_sequences: bool = True,
    training: bool = False,
    out: Array | None = None,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    zero_output_for_mask: bool = False,
    go_backwards: bool = False,
    dropout_mask: ArrayLike | None = None,
    recurrent_dropout_mask: ArrayLike | None = None,
    zoneout: Zoneout | None = None,
    checkpoint: int | None = None,
) -> Any:
    """Run a GRU over a batch of sequences.

    For every step, with two rows of biases (``reset_after``, Keras's and cuDNN's form)::

        z = sigmoid(x W_z + b0_z + h R_z + b1_z)      r = sigmoid(x W_r + b0_r + h R_r + b1_r)
        hh = tanh(x W_h + b0_h + r (h R_h + b1_h))    h = z h + (1 - z) hh

    and without ``reset_after``, with one (Cho et al. 2014)::

        hh = tanh(x W_h + (r h) R_h + b_h)

    >>> import numpy as np
    >>> from lstmcore import functional
    >>> x = np.ones((2, 7, 3), "float32")
    >>> weights = [np.full((3, 15), 0.1, "float32"), np.full((5, 15), 0.1, "float32")]
    >>> outputs, h = functional.gru(x, weights)
    >>> outputs.shape, h.shape
    ((2, 7, 5), (2, 5))

    Parameters
    ----------
    inputs : (batch, steps, inputs) float32 or float64, any strides. ``batch`` may be 0.
    weights : (kernel, recurrent_kernel[, bias], ...) as `pack_gru` describes them, or what it makes
        of them.
    initial_state : (batch, units); zeros by default.
    options : variants of the cell; not with packed weights, which have theirs.
    return_sequences, training, out, lengths, mask, zero_output_for_mask, go_backwards, dropout_mask,
    recurrent_dropout_mask, zoneout, checkpoint : see the top of this module.

    Returns
    -------
    outputs : (batch, steps, units), or (batch, units) without ``return_sequences``.
    state : h after the last step, (batch, units).
    cache : only with ``training``; see `lstm`. It holds 5 * units numbers for each row and step
        (4 without ``reset_after``).

    Raises
    ------
    ValueError, TypeError
        A shape or a dtype does not fit; the message names the argument, what was expected and what came.

    References
    ----------
    Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder".
    """
    if type(weights) is not PackedWeights or options is not None or zoneout is not None:
        weights = _prepared(weights, GRUOptions, options, training, zoneout)
    in_core = checkpoint is None and type(weights) is PackedWeights
    forward: Any = _core.forward if in_core else functools.partial(_run, checkpoint)
    y, (h,), cache = forward(
        weights,
        inputs,
        None if initial_state is None else (initial_state,),
        return_sequences,
        training,
        out,
        lengths,
        mask,
        zero_output_for_mask,
        go_backwards,
        dropout_mask,
        recurrent_dropout_mask,
        zoneout,
        False,
        "gru",
    )
    return (y, h, cache) if training else (y, h)


def gru_backward(
    cache: Caches,
    d_outputs: ArrayLike | None = None,
    d_state: ArrayLike | None = None,
    *,
    d_weights: Sequence[Array] | None = None,
    need_d_inputs: bool = True,
) -> tuple[Array | None, tuple[Array, ...], Array | None]:
    """Gradients of a loss with respect to all that `gru` took; see `lstm_backward`.

    ``d_state`` and the last value returned are of h alone, (batch, units).
    """
    return _backward_of_h(cache, "gru", d_outputs, d_state, d_weights, need_d_inputs)


# --- RNN ---


def pack_rnn(
    weights: Weights,
    *,
    options: RNNOptions | None = None,
    training: bool = False,
    zoneout: bool = False,
    precision: str = "float32",
    input_range: float | None = None,
) -> Packed:
    """Arrange the weights of a simple RNN as its kernel reads them; see `pack_lstm`.

    Parameters
    ----------
    weights : kernel (inputs, units), recurrent_kernel (units, units) and, if there is one, bias
        (units).
    options, training, zoneout, precision, input_range : as for `pack_lstm`.
    """
    return _pack(weights, RNNOptions, options, training, zoneout, precision, input_range)


def rnn(
    inputs: ArrayLike,
    weights: Weights,
    initial_state: ArrayLike | None = None,
    options: RNNOptions | None = None,
    return_sequences: bool = True,
    training: bool = False,
    out: Array | None = None,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    zero_output_for_mask: bool = False,
    go_backwards: bool = False,
    dropout_mask: ArrayLike | None = None,
    recurrent_dropout_mask: ArrayLike | None = None,
    zoneout: Zoneout | None = None,
    checkpoint: int | None = None,
) -> Any:
    """Run a simple recurrent network (Elman 1990) over a batch of sequences.

    For every step::

        h = tanh(x W + h R + b)          or another activation

    >>> import numpy as np
    >>> from lstmcore import functional
    >>> x = np.ones((2, 7, 3), "float32")
    >>> weights = [np.full((3, 5), 0.1, "float32"), np.full((5, 5), 0.1, "float32")]
    >>> outputs, h = functional.rnn(x, weights, options=functional.RNNOptions(activation="relu"))
    >>> outputs.shape, h.shape
    ((2, 7, 5), (2, 5))

    Parameters, returns and errors are those of `gru`; weights as `pack_rnn` describes them. With
    ``training`` the cache holds 2 * units numbers for each row and step.
    """
    if type(weights) is not PackedWeights or options is not None or zoneout is not None:
        weights = _prepared(weights, RNNOptions, options, training, zoneout)
    in_core = checkpoint is None and type(weights) is PackedWeights
    forward: Any = _core.forward if in_core else functools.partial(_run, checkpoint)
    y, (h,), cache = forward(
        weights,
        inputs,
        None if initial_state is None else (initial_state,),
        return_sequences,
        training,
        out,
        lengths,
        mask,
        zero_output_for_mask,
        go_backwards,
        dropout_mask,
        recurrent_dropout_mask,
        zoneout,
        False,
        "rnn",
    )
    return (y, h, cache) if training else (y, h)


def rnn_backward(
    cache: Caches,
    d_outputs: ArrayLike | None = None,
    d_state: ArrayLike | None = None,
    *,
    d_weights: Sequence[Array] | None = None,
    need_d_inputs: bool = True,
) -> tuple[Array | None, tuple[Array, ...], Array | None]:
    """Gradients of a loss with respect to all that `rnn` took; see `lstm_backward`.

    ``d_state`` and the last value returned are of h alone, (batch, units).
    """
    return _backward_of_h(cache, "rnn", d_outputs, d_state, d_weights, need_d_inputs)


# --- minGRU ---


def pack_min_gru(
    weights: Weights,
    *,
    options: MinGRUOptions | None = None,
    training: bool = False,
    zoneout: bool = False,
    precision: str = "float32",
) -> Packed:
    """Arrange the weights of a minGRU as its kernel reads them; see `pack_lstm`.

    Parameters
    ----------
    weights : kernel (inputs, 2*units) and, if there is one, bias (2*units); gates in the order z, h.
    options, training, zoneout : as for `pack_lstm`.
    precision : as for `pack_lstm`; products are in float32 whatever it is.
    """
    return _pack(weights, MinGRUOptions, options, training, zoneout, precision)


def min_gru(
    inputs: ArrayLike,
    weights: Weights,
    initial_state: ArrayLike | None = None,
    options: MinGRUOptions | None = None,
    return_sequences: bool = True,
    training: bool = False,
    out: Array | None = None,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    zero_output_for_mask: bool = False,
    go_backwards: bool = False,
    dropout_mask: ArrayLike | None = None,
    zoneout: Zoneout | None = None,
    checkpoint: int | None = None,
) -> Any:
    """Run a minGRU over a batch of sequences.

    For every step::

        z = sigmoid(x W_z + b_z)      hh = g(x W_h + b_h)
        h = (1 - z) h + z hh

    ``g(v) = v`` or, with ``log_space``, ``v + 1/2`` where ``v >= 0`` and ``sigmoid(v)`` elsewhere, which keeps states
    positive that begin so. (``1 - z`` weighs the state before, where in `gru` it weighs the candidate.)

    No gate sees ``h``: the products of many steps are computed side by side, and what is left is taken step by step.
    So the results are those of the plain loop, bit for bit, however many steps go together.

    >>> import numpy as np
    >>> from lstmcore import functional
    >>> x = np.ones((2, 7, 3), "float32")
    >>> outputs, h = functional.min_gru(x, [np.full((3, 10), 0.1, "float32"), np.zeros(10, "float32")])
    >>> outputs.shape, h.shape
    ((2, 7, 5), (2, 5))

    Parameters
    ----------
    inputs : (batch, steps, inputs) float32 or float64, any strides. ``batch`` may be 0.
    weights : (kernel[, bias]) as `pack_min_gru` describes them, or what it makes of them.
    initial_state : (batch, units); zeros by default. With ``log_space`` they are meant to be positive.
    options : variants of the cell; not with packed weights, which have theirs.
    return_sequences, training, out, lengths, mask, zero_output_for_mask, go_backwards, dropout_mask,
    zoneout, checkpoint : see the top of this module.

    Returns
    -------
    outputs : (batch, steps, units), or (batch, units) without ``return_sequences``.
    state : h after the last step, (batch, units).
    cache : only with ``training``; see `lstm`. It holds 3 * units numbers for each row and step.

    Raises
    ------
    ValueError, TypeError
        A shape or a dtype does not fit; the message names the argument, what was expected and what came.

    References
    ----------
    Feng et al. 2024, "Were RNNs all we needed?", arXiv:2410.01201.
    """
    packed = _prepared(weights, MinGRUOptions, options, training, zoneout)
    call = Call(
        weights=packed,
        inputs=inputs,
        state=_alone(initial_state),
        return_sequences=return_sequences,
        training=training,
        out=out,
        lengths=lengths,
        mask=mask,
        zero_output_for_mask=zero_output_for_mask,
        go_backwards=go_backwards,
        dropout_mask=dropout_mask,
        recurrent_dropout_mask=None,
        zoneout=zoneout,
    )
    return _forward(call, checkpoint)


def min_gru_backward(
    cache: Caches,
    d_outputs: ArrayLike | None = None,
    d_state: ArrayLike | None = None,
    *,
    d_weights: Sequence[Array] | None = None,
    need_d_inputs: bool = True,
) -> tuple[Array | None, tuple[Array, ...], Array | None]:
    """Gradients of a loss with respect to all that `min_gru` took; see `lstm_backward`.

    ``d_state`` and the last value returned are of h alone, (batch, units).
    """
    return _backward_of_h(cache, "min_gru", d_outputs, d_state, d_weights, need_d_inputs)


# --- minLSTM ---


def pack_min_lstm(
    weights: Weights,
    *,
    options: MinLSTMOptions | None = None,
    training: bool = False,
    zoneout: bool = False,
    precision: str = "float32",
) -> Packed:
    """Arrange the weights of a minLSTM as its kernel reads them; see `pack_lstm`.

    Parameters
    ----------
    weights : kernel (inputs, 3*units) and, if there is one, bias (3*units); gates in the order f, i, h.
    options, training, zoneout : as for `pack_lstm`.
    precision : as for `pack_lstm`; products are in float32 whatever it is.
    """
    return _pack(weights, MinLSTMOptions, options, training, zoneout, precision)


def min_lstm(
    inputs: ArrayLike,
    weights: Weights,
    initial_state: ArrayLike | None = None,
    options: MinLSTMOptions | None = None,
    return_sequences: bool = True,
    training: bool = False,
    out: Array | None = None,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    zero_output_for_mask: bool = False,
    go_backwards: bool = False,
    dropout_mask: ArrayLike | None = None,
    zoneout: Zoneout | None = None,
    checkpoint: int | None = None,
) -> Any:
    """Run a minLSTM over a batch of sequences.

    For every step::

        f = sigmoid(x W_f + b_f)      i = sigmoid(x W_i + b_i)      hh = g(x W_h + b_h)
        h = f / (f + i) h + i / (f + i) hh

    with the ``g`` of `min_gru`, whose remark on the order of steps holds here too. Where both gates vanish, their
    shares are those of their logarithms.

    >>> import numpy as np
    >>> from lstmcore import functional
    >>> x = np.ones((2, 7, 3), "float32")
    >>> options = functional.MinLSTMOptions(log_space=True)
    >>> outputs, h = functional.min_lstm(x, [np.full((3, 15), -0.1, "float32")], options=options)
    >>> outputs.shape, bool((outputs > 0).all())
    ((2, 7, 5), True)

    Parameters, returns and errors are those of `min_gru`; weights as `pack_min_lstm` describes them. With
    ``training`` the cache holds 4 * units numbers for each row and step.

    References
    ----------
    Feng et al. 2024, "Were RNNs all we needed?", arXiv:2410.01201.
    """
    packed = _prepared(weights, MinLSTMOptions, options, training, zoneout)
    call = Call(
        weights=packed,
        inputs=inputs,
        state=_alone(initial_state),
        return_sequences=return_sequences,
        training=training,
        out=out,
        lengths=lengths,
        mask=mask,
        zero_output_for_mask=zero_output_for_mask,
        go_backwards=go_backwards,
        dropout_mask=dropout_mask,
        recurrent_dropout_mask=None,
        zoneout=zoneout,
    )
    return _forward(call, checkpoint)


def min_lstm_backward(
    cache: Caches,
    d_outputs: ArrayLike | None = None,
    d_state: ArrayLike | None = None,
    *,
    d_weights: Sequence[Array] | None = None,
    need_d_inputs: bool = True,
) -> tuple[Array | None, tuple[Array, ...], Array | None]:
    """Gradients of a loss with respect to all that `min_lstm` took; see `lstm_backward`.

    ``d_state`` and the last value returned are of h alone, (batch, units).
    """
    return _backward_of_h(cache, "min_lstm", d_outputs, d_state, d_weights, need_d_inputs)


# --- sLSTM ---


def pack_slstm(
    weights: Weights,
    *,
    options: SLSTMOptions | None = None,
    training: bool = False,
    zoneout: bool = False,
    precision: str = "float32",
) -> Packed:
    """Arrange the weights of an sLSTM as its kernel reads them; see `pack_lstm`.

    Parameters
    ----------
    weights : kernel (inputs, 4*units), recurrent_kernel (units/heads, 4*units) and, if there is one, bias
        (4*units); gates in the order i, f, z, o. In the recurrent kernel each unit's columns have a row for
        each unit of its own head.
    options, training, zoneout : as for `pack_lstm`.
    precision : as for `pack_lstm`; products are in float32 whatever it is.
    """
    return _pack(weights, SLSTMOptions, options, training, zoneout, precision)


def slstm(
    inputs: ArrayLike,
    weights: Weights,
    initial_state: Sequence[ArrayLike] | None = None,
    options: SLSTMOptions | None = None,
    return_sequences: bool = True,
    training: bool = False,
    out: Array | None = None,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    zero_output_for_mask: bool = False,
    go_backwards: bool = False,
    dropout_mask: ArrayLike | None = None,
    recurrent_dropout_mask: ArrayLike | None = None,
    zoneout: Zoneout | None = None,
    checkpoint: int | None = None,
) -> Any:
    """Run an sLSTM over a batch of sequences: an LSTM whose input gate has no bound, and which divides by what it adds.

    For every step::

        i = exp(x W_i + h R_i + b_i)      f = sigmoid(x W_f + h R_f + b_f)      exp with exponential_forget
        z = tanh(x W_z + h R_z + b_z)     o = sigmoid(x W_o + h R_o + b_o)
        c = f c + i z                     n = f n + i                           h = o c / n

    with ``R`` block-diagonal, a block for each head. So that nothing overflows, c and n are kept without their
    common factor exp(m)::

        m = max(log f + m, log i)         i' = exp(log i - m)                   f' = exp(log f + m_before - m)
        c = f' c + i' z                   n = f' n + i'                         h = o c / n

    Where c and n are 0, as at the beginning, there is nothing to forget: f' = 0 and m = log i.

    >>> import numpy as np
    >>> from lstmcore import functional
    >>> x = np.ones((2, 7, 3), "float32")
    >>> weights = [np.full((3, 24), 0.1, "float32"), np.full((3, 24), 0.1, "float32")]
    >>> outputs, (h, c, n, m) = functional.slstm(x, weights, options=functional.SLSTMOptions(heads=2))
    >>> outputs.shape, n.shape
    ((2, 7, 6), (2, 6))

    Parameters
    ----------
    inputs : (batch, steps, inputs) float32 or float64, any strides. ``batch`` may be 0.
    weights : (kernel, recurrent_kernel[, bias]) as `pack_slstm` describes them, or what it makes of them.
    initial_state : (h, c, n, m), each (batch, units), n not below 0 and 0 only where c is; zeros by default.
    options : variants of the cell; not with packed weights, which have theirs.
    return_sequences, training, out, lengths, mask, zero_output_for_mask, go_backwards, dropout_mask,
    recurrent_dropout_mask, checkpoint : see the top of this module.
    zoneout : of h alone: c, n and m have a factor in common, so none can keep its value without the others.

    Returns
    -------
    outputs : (batch, steps, units), or (batch, units) without ``return_sequences``.
    state : (h, c, n, m) after the last step.
    cache : only with ``training``; see `lstm`. It holds 9 * units numbers for each row and step.

    Raises
    ------
    ValueError, TypeError
        A shape or a dtype does not fit, or the heads do not divide the units; the message names the argument, what
        was expected and what came.

    References
    ----------
    Beck et al. 2024, "xLSTM: Extended long short-term memory", arXiv:2405.04517.
    """
    packed = _prepared(weights, SLSTMOptions, options, training, zoneout)
    state = None if initial_state is None else _states("initial_state", initial_state, "slstm")
    call = Call(
        weights=packed,
        inputs=inputs,
        state=state,
        return_sequences=return_sequences,
        training=training,
        out=out,
        lengths=lengths,
        mask=mask,
        zero_output_for_mask=zero_output_for_mask,
        go_backwards=go_backwards,
        dropout_mask=dropout_mask,
        recurrent_dropout_mask=recurrent_dropout_mask,
        zoneout=zoneout,
    )
    return _forward(call, checkpoint)


def slstm_backward(
    cache: Caches,
    d_outputs: ArrayLike | None = None,
    d_state: Sequence[ArrayLike | None] | None = None,
    *,
    d_weights: Sequence[Array] | None = None,
    need_d_inputs: bool = True,
) -> tuple[Array | None, tuple[Array, ...], State | None]:
    """Gradients of a loss with respect to all that `slstm` took; see `lstm_backward`.

    ``d_state`` and the last value returned are of (h, c, n, m).
    """
    d_state = None if d_state is None else _states("d_state", d_state, "slstm")
    return _backward(cache, "slstm", d_outputs, d_state, d_weights, need_d_inputs)


# --- connectionist temporal classification ---


def ctc_loss(
    inputs: ArrayLike,
    labels: ArrayLike,
    input_lengths: ArrayLike | None = None,
    label_lengths: ArrayLike | None = None,
    *,
    blank: int = 0,
    from_logits: bool = True,
    zero_infinity: bool = False,
    reduction: str = "none",
) -> Any:
    """Return how unlikely sequences of labels are, wherever in the steps they stand (Graves et al. 2006).

    A path names a class at every step, and spells the labels that are left when its repeats are merged and its blanks
    dropped. With ``y = softmax(inputs)``::

        loss = -ln p,   p = sum over the paths that spell the labels of the product over t of y[t, path[t]]

    >>> import numpy as np
    >>> from lstmcore import functional
    >>> logits = np.array([[[0.1, 0.6, 0.1, 0.1, 0.1], [0.1, 0.1, 0.6, 0.1, 0.1]]])
    >>> functional.ctc_loss(logits, [[1, 2]]).round(5)
    array([2.46286])

    Parameters
    ----------
    inputs : (batch, steps, classes) logits, float32 or float64. The sums are float64 either way.
    labels : (batch, max_labels) integers from 0 to classes - 1 and none of them ``blank``.
    input_lengths : (batch,) the steps of each row that count; all of them by default.
    label_lengths : (batch,) the labels of each row that count; all by default. The rest may be anything.
    blank : the class that stands for no label.
    from_logits : False where the inputs are log-probabilities already, as those of PyTorch's ``ctc_loss`` are.
        Those below -1e12 count as -inf.
    zero_infinity : make the loss zero where it is infinite: where the labels, and a blank between any two that are
        equal, are more than the steps.
    reduction : "none" for the loss of each row; "sum"; "mean", as in PyTorch: each row's loss is divided by the number
        of its labels (by 1 where it has none), then the mean over the rows is taken.

    Returns
    -------
    (batch,), or with a reduction a float.

    Raises
    ------
    ValueError, TypeError
        A shape, a dtype, a length or a label does not fit; the message names the argument.
    """
    return _ctc(
        inputs, labels, input_lengths, label_lengths, blank, from_logits, zero_infinity, reduction, gradient=False
    )[0]


def ctc_loss_and_gradient(
    inputs: ArrayLike,
    labels: ArrayLike,
    input_lengths: ArrayLike | None = None,
    label_lengths: ArrayLike | None = None,
    *,
    blank: int = 0,
    from_logits: bool = True,
    zero_infinity: bool = False,
    reduction: str = "none",
) -> tuple[Any, Array]:
    """Return the loss of `ctc_loss`, which see, and its gradient, for little more than the loss alone.

    ::

        d loss / d inputs[t, k] = y[t, k] - (part of p whose paths are in class k at step t) / p

    By log-probabilities it is the same, as in PyTorch: it is meant to go back through a log-softmax, which leaves it as
    it is.

    >>> import numpy as np
    >>> from lstmcore import functional
    >>> logits = np.array([[[0.1, 0.6, 0.1, 0.1, 0.1], [0.1, 0.1, 0.6, 0.1, 0.1]]])
    >>> loss, gradient = functional.ctc_loss_and_gradient(logits, [[1, 2]])
    >>> gradient.round(3)
    array([[[ 0.177, -0.708,  0.177,  0.177,  0.177],
            [ 0.177,  0.177, -0.708,  0.177,  0.177]]])

    Returns
    -------
    The loss, and (batch, steps, classes): the derivatives of each row's loss, or with a reduction those of the one
    number. They are zero at steps beyond a row's length. A row whose loss is infinite has none (NaN), or zeros with
    ``zero_infinity``.
    """
    return _ctc(
        inputs, labels, input_lengths, label_lengths, blank, from_logits, zero_infinity, reduction, gradient=True
    )


def _ctc(
    inputs: ArrayLike,
    labels: ArrayLike,
    input_lengths: ArrayLike | None,
    label_lengths: ArrayLike | None,
    blank: int,
    from_logits: bool,
    zero_infinity: bool,
    reduction: str,
    gradient: bool,
) -> tuple[Any, Any]:
    reduction = one_of("reduction", reduction, ("none", "mean", "sum"))
    x, labels = as_array("inputs", inputs), as_array("labels", labels)
    if label_lengths is not None:
        label_lengths = as_array("label_lengths", label_lengths)
    scale: Any = None
    if reduction == "mean" and x.ndim and labels.ndim:  # others are refused below
        counts = np.full(len(x), labels.shape[-1]) if label_lengths is None else label_lengths
        if counts.dtype.kind in "iu":
            scale = (1 / (np.maximum(counts, 1) * max(1, len(x)))).astype(x.dtype)
    losses, d_inputs = _core.ctc(
        x,
        labels,
        input_lengths,
        label_lengths,
        integer("blank", blank),
        flag("from_logits", from_logits),
        flag("zero_infinity", zero_infinity),
        gradient,
        scale,
    )
    if reduction == "none":
        return losses, d_inputs
    return float(np.add.reduce(losses if scale is None else losses * scale)), d_inputs


# --- conditional random fields ---


def crf_loss(
    emissions: ArrayLike,
    labels: ArrayLike,
    transitions: ArrayLike,
    start: ArrayLike | None = None,
    end: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    *,
    reduction: str = "none",
) -> Any:
    """Return how unlikely labels are that have one tag for each step, in a linear chain (Lafferty et al. 2001).

    ::

        score(y) = start[y_0] + sum of emissions[t, y_t] + sum of transitions[y_t-1, y_t] + end[y_last]
        loss     = -ln p = ln Z - score(labels),   Z = sum over all paths of exp(score(path))

    >>> import numpy as np
    >>> from lstmcore import functional
    >>> emissions, transitions = np.log([[[0.6, 0.4], [0.3, 0.7]]]), np.zeros((2, 2))
    >>> np.exp(-functional.crf_loss(emissions, [[0, 1]], transitions)).round(5)  # 0.6 times 0.7
    array([0.42])

    Parameters
    ----------
    emissions : (batch, steps, tags) scores of each tag at each step, float32 or float64. The sums are float64 anyway.
    labels : (batch, steps) integers from 0 to tags - 1; those at steps that do not count may be anything.
    transitions : (tags, tags) score of the second tag behind the first.
    start, end : (tags,) score of the first tag, and of the last; 0 by default.
    lengths : (batch,) the steps of each row that count; all of them by default. A row without any has a loss of 0.
    reduction : "none" for the loss of each row; "sum"; "mean" over the rows.

    Scores of -inf, and those below -1e12, say that a thing is impossible. Where the labels are, the loss is inf. With a
    score that is NaN or above 1e12 it is NaN.

    Returns
    -------
    (batch,), or with a reduction a float.

    Raises
    ------
    ValueError, TypeError
        A shape, a dtype, a length or a label does not fit; the message names the argument.
    """
    return _crf(emissions, labels, transitions, start, end, lengths, reduction, gradient=False)[0]


def crf_loss_and_gradient(
    emissions: ArrayLike,
    labels: ArrayLike,
    transitions: ArrayLike,
    start: ArrayLike | None = None,
    end: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    *,
    reduction: str = "none",
) -> tuple[Any, CRFGradients]:
    """Return the loss of `crf_loss`, which see, and its gradient: what is expected minus what the labels have.

    >>> import numpy as np
    >>> from lstmcore import functional
    >>> emissions, transitions = np.log([[[0.6, 0.4], [0.3, 0.7]]]), np.zeros((2, 2))
    >>> loss, gradients = functional.crf_loss_and_gradient(emissions, [[0, 1]], transitions)
    >>> gradients.emissions.round(2)
    array([[[-0.4,  0.4],
            [ 0.3, -0.3]]])

    Returns
    -------
    The loss, and a `CRFGradients` (emissions, transitions, start, end): the derivatives of each row's loss, each with
    the batch first, or with a reduction those of the one number, of the arguments' shapes. They are zero at steps
    that do not count. A row whose loss is infinite has none (NaN).
    """
    return _crf(emissions, labels, transitions, start, end, lengths, reduction, gradient=True)


def crf_marginals(
    emissions: ArrayLike,
    transitions: ArrayLike,
    start: ArrayLike | None = None,
    end: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
) -> Array:
    """Return the probability of each tag at each step, over all paths.

    >>> import numpy as np
    >>> from lstmcore import functional
    >>> transitions = [[0.0, -np.inf], [0.0, 0.0]]  # no 1 behind a 0
    >>> functional.crf_marginals(np.zeros((1, 2, 2)), np.array(transitions)).round(3)
    array([[[0.333, 0.667],
            [0.667, 0.333]]])

    Parameters
    ----------
    emissions, transitions, start, end, lengths : as for `crf_loss`.

    Returns
    -------
    (batch, steps, tags): they add up to 1 at steps that count, and are 0 at others. NaN where no path is possible.
    """
    x, start, end = _crf_scores(emissions, start, end)
    marginals: Array = _core.crf(x, None, transitions, start, end, lengths, True)[1][0]
    return marginals


def crf_decode(
    emissions: ArrayLike,
    transitions: ArrayLike,
    start: ArrayLike | None = None,
    end: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
) -> tuple[Array, Array]:
    """Return the most likely path of each row, and its score (Viterbi 1967).

    >>> import numpy as np
    >>> from lstmcore import functional
    >>> transitions = [[0.0, -np.inf], [0.0, 0.0]]  # no 1 behind a 0
    >>> functional.crf_decode(np.array([[[1.0, 0.0], [0.0, 3.0]]]), np.array(transitions))
    (array([[1, 1]]), array([3.]))

    Parameters
    ----------
    emissions, transitions, start, end, lengths : as for `crf_loss`. NaN is never the best.

    Returns
    -------
    paths : (batch, steps) integers; 0 at steps that do not count. Of equal scores the lower tag wins, from the end on.
        Where no path is possible, all tags are -1.
    scores : (batch,) of the paths; -inf where none is possible.
    """
    x, start, end = _crf_scores(emissions, start, end)
    return _core.crf_decode(x, transitions, start, end, lengths)


def _crf_scores(
    emissions: ArrayLike, start: ArrayLike | None, end: ArrayLike | None
) -> tuple[Array, ArrayLike, ArrayLike]:
    """Return the arguments with zeros for what is absent."""
    x = as_array("emissions", emissions)
    absent = np.zeros(x.shape[-1:], x.dtype)
    return x, absent if start is None else start, absent if end is None else end


def _crf(
    emissions: ArrayLike,
    labels: ArrayLike,
    transitions: ArrayLike,
    start: ArrayLike | None,
    end: ArrayLike | None,
    lengths: ArrayLike | None,
    reduction: str,
    gradient: bool,
) -> tuple[Any, Any]:
    reduction = one_of("reduction", reduction, ("none", "mean", "sum"))
    x, start, end = _crf_scores(emissions, start, end)
    scale = None
    if reduction == "mean" and x.ndim:  # other emissions are refused below
        scale = np.full(len(x), 1 / max(1, len(x)), x.dtype)
    losses, d = _core.crf(x, as_array("labels", labels), transitions, start, end, lengths, gradient, scale)
    if reduction == "none":
        return losses, CRFGradients(*d) if gradient else None
    loss = float(np.add.reduce(losses if scale is None else losses * scale))
    if not gradient:
        return loss, None
    d_emissions, *others = d
    return loss, CRFGradients(d_emissions, *(np.add.reduce(part, axis=0) for part in others))


# --- what they share ---


def _pack(
    weights: Weights,
    kind: type[_SomeOptions],
    options: _SomeOptions | None,
    training: bool,
    zoneout: bool,
    precision: str = "float32",
    input_range: float | None = None,
) -> Packed:
    if isinstance(weights, (PackedWeights, StepwiseWeights)):
        if weights.cell != kind.cell:
            raise ValueError(f"weights: expected weights packed for {kind.cell}, got those of {weights.cell}")
        if options is not None:
            raise ValueError("options: packed weights have theirs")
        if precision != "float32":
            raise ValueError("precision: packed weights have theirs")
        if input_range is not None:
            raise ValueError("input_range: packed weights have theirs")
        return weights
    training, zoneout = flag("training", training), flag("zoneout", zoneout)
    if options is None:
        options = _PLAIN[kind]
    elif not isinstance(options, kind):
        raise TypeError(f"options: expected {kind.__name__}, got {options!r}")
    elif not isinstance(options.cell, str) or options.cell != kind.cell:
        raise TypeError(f"options: cell: expected {kind.cell!r}, got {options.cell!r}")
    if not isinstance(weights, (list, Sequence)):  # a list is known at once, without asking the abstract class
        raise TypeError(f"weights: expected a sequence of arrays or packed weights, got {weights!r}")
    names = options.weight_names
    if not len(names) - 1 <= len(weights) <= len(names):
        bias = names.index("bias")
        before, after = (", ".join(part) for part in (names[:bias], names[bias + 1 :]))
        then = f", then {after}" if after else ""
        raise ValueError(f"weights: expected {before} and at most a bias{then}, got {len(weights)} arrays")
    if input_range is not None:
        number("input_range", input_range, "[0, inf)")
        if precision != "int8":
            raise ValueError(f"input_range: expected None with another precision than 'int8', got {shown(input_range)}")
    if options.foreign_activations:
        one_of("precision", precision, ("float32", "bfloat16", "int8"))
        return StepwiseWeights(options, list(weights), training, zoneout)
    return _core.pack(options, list(weights), training, zoneout, precision, input_range / 127 if input_range else None)


def _backward(
    cache: Caches,
    cell: str,
    d_outputs: ArrayLike | None,
    d_state: Sequence[ArrayLike | None] | None,
    d_weights: Sequence[Array] | None,
    need_d_inputs: bool,
) -> tuple[Array | None, tuple[Array, ...], Any]:
    if not isinstance(cache, (Cache, StepwiseCache, Checkpoints)):
        raise TypeError(f"cache: expected what {cell}(..., training=True) returns, got {cache!r}")
    if cache.cell != cell:
        raise ValueError(f"cache: expected one of {cell}, got one of {cache.cell}")
    gradients_of = [] if d_weights is None else items("d_weights", d_weights, "a list of arrays")
    if d_weights is not None and len(gradients_of) != cache.weight_count:
        raise ValueError(f"d_weights: expected {cache.weight_count} arrays, got {len(gradients_of)}")
    need_d_inputs = flag("need_d_inputs", need_d_inputs)
    d_inputs, gradients, d_initial = run_backward(BackwardCall(cache, d_outputs, d_state, need_d_inputs, gradients_of))
    return d_inputs, tuple(gradients), d_initial


def _backward_of_h(
    cache: Caches,
    cell: str,
    d_outputs: ArrayLike | None,
    d_state: ArrayLike | None,
    d_weights: Sequence[Array] | None,
    need_d_inputs: bool,
) -> tuple[Array | None, tuple[Array, ...], Array | None]:
    d_inputs, gradients, d_initial = _backward(cache, cell, d_outputs, _alone(d_state), d_weights, need_d_inputs)
    return d_inputs, gradients, None if d_initial is None else d_initial[0]


def _prepared(
    weights: Weights,
    kind: type[_SomeOptions],
    options: _SomeOptions | None,
    training: bool,
    zoneout: Zoneout | None,
) -> Packed:
    if zoneout is not None and not isinstance(zoneout, Zoneout):
        raise TypeError(f"zoneout: expected a Zoneout, got {zoneout!r}")
    return _pack(weights, kind, options, training, zoneout is not None)


def _forward(call: Call, checkpoint: int | None) -> Any:
    """Return what a forward function does, h by itself where it is all of the state."""
    y, state, cache = _run_checked(call, checkpoint)
    result = y, state if len(state) > 1 else state[0]
    return result if cache is None else (*result, cache)


def _run(checkpoint: int | None, *arguments: Any) -> Any:
    return _run_checked(Call(*arguments), checkpoint)


def _run_checked(call: Call, checkpoint: int | None) -> Any:
    for name in ("return_sequences", "training", "zero_output_for_mask", "go_backwards"):
        flag(name, getattr(call, name))
    return run_forward(call, None if checkpoint is None else positive_integer("checkpoint", checkpoint))


def _alone(h: Any) -> tuple[Any] | None:
    """Return the state of a cell that has no other than h."""
    return None if h is None else (h,)


def _states(argument: str, states: Sequence[Any], cell: str) -> tuple[Any, ...]:
    names = _core.cells[cell]
    expected = f"a {'pair' if len(names) == 2 else 'sequence'} ({', '.join(names)})"
    if not isinstance(states, (Sequence, np.ndarray)) or not getattr(states, "ndim", 1):
        raise TypeError(f"{argument}: expected {expected}, got {states!r}")
    if (isinstance(states, np.ndarray) and states.ndim == 2) or len(states) != len(names):
        got = states.shape if isinstance(states, np.ndarray) else f"{len(states)} arrays"
        raise ValueError(f"{argument}: expected {expected}, got {got}")
    return tuple(states)
