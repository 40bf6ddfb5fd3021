"""The minLSTM, equation by equation. Same names and order as src/cpp/kernels/cells/min_lstm.hpp."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._options import MinLSTMOptions, Zoneout
from .activations import POSITIVE, Array, sigmoid, softplus
from .activations import get as activation
from .sequences import (
    Cache,
    Cell,
    Layout,
    State,
    Weights,
    make_cell,
    make_padding,
    product,
    product_backward,
    run,
    run_backward,
    step_of,
)


def layout(options: MinLSTMOptions) -> Layout:
    """Return what the arrays of the cell are."""
    return Layout(("f", "i", "h"), ("kernel", "bias"), lambda w: (w["kernel"].shape[1] // 3,))


class Saved(NamedTuple):
    """What the backward step needs of a step."""

    x: Array
    h_prev: Array
    pre_h: Array  # what goes into g
    f: Array
    i: Array
    f_part: Array  # f'
    i_part: Array  # i'
    hh: Array


@step_of(layout)
def step(cell: Cell, x: Array, state: State) -> tuple[State, Saved]:
    """One step (Feng et al. 2024), with * for the elementwise product with the dropout masks mx of each gate::

    a = (x * mx) W + b
    f = s(a_f)    i = s(a_i)    hh = g(a_h)       g(v) = v
    f' = f / (f + i)    i' = i / (f + i)          with log_space: g(v) = v + 1/2 where v >= 0, s(v) elsewhere
    h = f' h_prev + i' hh

    Where both gates vanish, their logarithms do not: f' = s(log f - log i), i' = s(log i - log f).
    """
    w, g = cell.w, POSITIVE if cell.options.log_space else activation("linear")
    (h_prev,) = state
    a = product(cell.matmul, x, cell.mx, w["kernel"])
    pre_f, pre_i, pre_h = np.split(a + w["bias"] if "bias" in w else a, 3, axis=1)
    f, i, hh = sigmoid(pre_f), sigmoid(pre_i), g(pre_h)
    log_f_to_i = softplus(-pre_i) - softplus(-pre_f)
    f_part, i_part = sigmoid(log_f_to_i), sigmoid(-log_f_to_i)
    h = f_part * h_prev + i_part * hh
    return (h,), Saved(x, h_prev, pre_h, f, i, f_part, i_part, hh)


def step_backward(cell: Cell, saved: Saved, d_state: State, d: Weights) -> tuple[Array, State]:
    """The gradients of a step, with dpre those of what stands within s(...) and g(...)::

    dhh = dh i'    dh_prev = dh f'
    d(log f - log i) = dh (h_prev - hh) f' i'              f' + i' is 1
    dpre_f = d(log f - log i) (1 - f)    dpre_i = -d(log f - log i) (1 - i)    dpre_h = dhh g'(hh)
    db = sum dpre    dW = (x * mx)^T dpre    dx = (dpre W^T) * mx
    """
    w, g = cell.w, POSITIVE if cell.options.log_space else activation("linear")
    x, h_prev, pre_h, f, i, f_part, i_part, hh = saved
    (dh,) = d_state
    dhh = dh * i_part
    d_log = dh * (h_prev - hh) * f_part * i_part
    dpre = np.concatenate([d_log * (1 - f), -d_log * (1 - i), g.backward(pre_h, hh, dhh)], axis=1)
    if "bias" in d:
        d["bias"] += dpre.sum(axis=0)
    dx = product_backward(cell.matmul, dpre, x, cell.mx, w["kernel"], d["kernel"])
    return dx, (dh * f_part,)


def min_lstm(
    inputs: Array,
    weights: Sequence[Array],
    initial_state: Array | None = None,
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
    """`lstmcore.functional.min_lstm` in NumPy; see there for shapes, and `step` for the equations.

    ``checkpoint`` changes how much is kept, not what comes out: here it has no effect.
    """
    batch, steps, _ = inputs.shape
    options = options or MinLSTMOptions()
    cell = make_cell(step, step_backward, weights, options, dropout_mask, None, inputs.dtype)
    padding = make_padding(batch, steps, lengths, mask, zero_output_for_mask, go_backwards)
    outputs, (h,), *cache = run(
        cell,
        inputs,
        None if initial_state is None else (initial_state,),
        padding,
        zoneout,
        return_sequences=return_sequences,
        training=training,
        out=out,
    )
    return outputs, h, *cache


def min_lstm_backward(
    cache: Cache,
    d_outputs: Array | None = None,
    d_state: Array | None = None,
    *,
    d_weights: Sequence[Array] | None = None,
    need_d_inputs: bool = True,
) -> Any:
    """`lstmcore.functional.min_lstm_backward` in NumPy; see `step_backward` for the equations."""
    d_inputs, gradients, d_initial = run_backward(
        cache, d_outputs, (d_state,), d_weights=d_weights, need_d_inputs=need_d_inputs
    )
    return d_inputs, gradients, None if d_initial is None else d_initial[0]
