"""The simple recurrent layer, equation by equation. Same names and order as src/cpp/kernels/cells/rnn.hpp."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from numpy.typing import ArrayLike

from .._options import RNNOptions, Zoneout
from .activations import Array
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


def layout(options: RNNOptions) -> Layout:
    """Return what the arrays of the cell are."""
    return Layout(("h",), ("kernel", "recurrent_kernel", "bias"), lambda w: (w["kernel"].shape[1],))


class Saved(NamedTuple):
    """What the backward step needs of a step."""

    x: Array
    h_prev: Array
    pre: Array  # what goes into the activation
    h: Array


@step_of(layout)
def step(cell: Cell, x: Array, state: State) -> tuple[State, Saved]:
    """One step, with * for elementwise products with the dropout masks mx and mh::

    h = act((x * mx) W + (h_prev * mh) R + b)         of the sum held between -clip and clip, with clip
    """
    w, act = cell.w, activation(cell.options.activation, cell.options.clip)
    (h_prev,) = state
    a = product(cell.matmul, x, cell.mx, w["kernel"])
    u = product(cell.matmul_h, h_prev, cell.mh, w["recurrent_kernel"])
    pre = a + u + w["bias"] if "bias" in w else a + u
    h = act(pre)
    return (h,), Saved(x, h_prev, pre, cell.rounded(h))


def step_backward(cell: Cell, saved: Saved, d_state: State, d: Weights) -> tuple[Array, State]:
    """The gradients of a step::

    dpre = dh act'(h)    db = sum dpre
    dW = (x * mx)^T dpre    dx = (dpre W^T) * mx    dR = (h_prev * mh)^T dpre    dh_prev = (dpre R^T) * mh
    """
    w, act = cell.w, activation(cell.options.activation, cell.options.clip)
    x, h_prev, pre, h = saved
    (dh,) = d_state
    dpre = cell.rounded(act.backward(pre, h, dh))
    if "bias" in d:
        d["bias"] += dpre.sum(axis=0)
    dx = product_backward(cell.matmul, dpre, x, cell.mx, w["kernel"], d["kernel"])
    dh_prev = product_backward(cell.matmul_h, dpre, h_prev, cell.mh, w["recurrent_kernel"], d["recurrent_kernel"])
    return dx, (dh_prev,)


def rnn(
    inputs: Array,
    weights: Sequence[Array],
    initial_state: Array | None = None,
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
    *,
    precision: str = "float32",
) -> Any:
    """`lstmcore.functional.rnn` in NumPy; see there for shapes, and `step` for the equations.

    ``checkpoint`` changes how much is kept, not what comes out: here it has no effect.
    ``precision`` is what `pack_rnn` is given: of the operands of all products, those of the backward pass too.
    In bfloat16 all that is kept for the backward pass, beside x and h, is rounded too.
    """
    batch, steps, _ = inputs.shape
    options = options or RNNOptions()
    cell = make_cell(
        step,
        step_backward,
        weights,
        options,
        dropout_mask,
        recurrent_dropout_mask,
        inputs.dtype,
        precision=precision,
        training=training,
    )
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


def rnn_backward(
    cache: Cache,
    d_outputs: Array | None = None,
    d_state: Array | None = None,
    *,
    d_weights: Sequence[Array] | None = None,
    need_d_inputs: bool = True,
) -> Any:
    """`lstmcore.functional.rnn_backward` in NumPy; see `step_backward` for the equations."""
    d_inputs, gradients, d_initial = run_backward(
        cache, d_outputs, (d_state,), d_weights=d_weights, need_d_inputs=need_d_inputs
    )
    return d_inputs, gradients, None if d_initial is None else d_initial[0]
