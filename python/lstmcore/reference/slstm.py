"""The sLSTM, equation by equation. Same names and order as src/cpp/kernels/cells/slstm.hpp."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._options import SLSTMOptions, Zoneout
from .activations import Array, sigmoid, softplus
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


def layout(options: SLSTMOptions) -> Layout:
    """Return what the arrays of the cell are."""
    return Layout(
        gates=("i", "f", "z", "o"),
        weights=("kernel", "recurrent_kernel", "bias"),
        widths=lambda w: (w["kernel"].shape[1] // 4,) * 4,
    )


class Saved(NamedTuple):
    """What the backward step needs of a step."""

    x: Array
    h_prev: Array
    c_prev: Array
    n_prev: Array
    pre_f: Array  # what goes into the forget gate
    keeps: Array  # whether m is that of the step before, with log f, and not that of the input gate
    i: Array  # i'
    f: Array  # f'
    z: Array
    o: Array
    c: Array
    n: Array
    h: Array


def of_head(v: Array, heads: int, head: int) -> Array:
    """A head's columns of every gate, side by side, of v (rows, 4 units)."""
    width = v.shape[1] // (4 * heads)
    return np.asarray(v.reshape(len(v), 4, heads, width)[:, :, head].reshape(len(v), 4 * width))


def each_head(cell: Cell, h: Array) -> list[tuple[Array, Array, Array]]:
    """For each head its h, its masks and its part of R: it sees no other's h, not even times zero."""
    heads, R = cell.options.heads, cell.w["recurrent_kernel"]
    masks = np.broadcast_to(cell.mh, (len(cell.mh), *np.broadcast_shapes(cell.mh.shape[1:], (1, h.shape[1]))))
    h_by_head, masks_by_head = np.split(h, heads, axis=1), np.split(masks, heads, axis=2)
    return [(h_by_head[k], masks_by_head[k], of_head(R, heads, k)) for k in range(heads)]


@step_of(layout)
def step(cell: Cell, x: Array, state: State) -> tuple[State, Saved]:
    """One step (Beck et al. 2024), with * for elementwise products with the dropout masks mx and mh of each gate::

    a = (x * mx) W + (h_prev * mh) R + b          R block-diagonal, a block for each head
    log f = log s(a_f)                            with exponential_forget: a_f
    m = max(log f + m_prev, a_i)                  a_i where c_prev = n_prev = 0: there is nothing to forget
    i' = exp(a_i - m)                             1 where m = a_i, be it infinite
    f' = exp(log f + m_prev - m)                  0 where c_prev = n_prev = 0
    z = tanh(a_z)
    o = s(a_o)
    c = f' c_prev + i' z
    n = f' n_prev + i'
    h = o c / n
    """
    w, options = cell.w, cell.options
    h_prev, c_prev, n_prev, m_prev = state
    a = product(cell.matmul, x, cell.mx, w["kernel"])
    by_head = [product(cell.matmul, *of_it).reshape(len(x), 4, of_it[0].shape[1]) for of_it in each_head(cell, h_prev)]
    a = a + np.stack(by_head, axis=2).reshape(a.shape)
    pre_i, pre_f, pre_z, pre_o = np.split(a + w["bias"] if "bias" in w else a, 4, axis=1)
    log_f = pre_f if options.exponential_forget else -softplus(-pre_f)
    kept = log_f + m_prev
    nothing = (c_prev == 0) & (n_prev == 0)  # has the weight exp(-inf), whatever m_prev is
    lead = np.where(nothing, -np.inf, kept - pre_i)
    keeps, lesser = lead >= 0, np.exp(-np.abs(lead))
    i, f = np.where(keeps, lesser, 1), np.where(keeps, 1, lesser)
    m = np.where(nothing, pre_i, np.maximum(kept, pre_i))
    z, o = np.tanh(pre_z), sigmoid(pre_o)
    c = f * c_prev + i * z
    n = f * n_prev + i
    h = o * c / n
    return (h, c, n, m), Saved(x, h_prev, c_prev, n_prev, pre_f, keeps, i, f, z, o, c, n, h)


def step_backward(cell: Cell, saved: Saved, d_state: State, d: Weights) -> tuple[Array, State]:
    """The gradients of a step, with dpre those of the sums a::

    do = dh c / n    dc += dh o / n    dn -= dh h / n
    df' = dc c_prev + dn n_prev    di' = dc z + dn    dz = dc i'
    dc_prev = dc f'    dn_prev = dn f'

    Where m = log f + m_prev, and f' = 1::

        dpre_i = di' i'    d(log f + m_prev) = dm - dpre_i

    Where m = a_i, and i' = 1::

        d(log f + m_prev) = df' f'    dpre_i = dm - d(log f + m_prev)

    Then::

        dm_prev = d(log f + m_prev)    dpre_f = d(log f + m_prev) (1 - s(a_f))     no s' with exponential_forget
        dpre_z = dz (1 - z^2)          dpre_o = do o (1 - o)                       db = sum dpre
        dW = (x * mx)^T dpre    dx = (dpre W^T) * mx    dR = (h_prev * mh)^T dpre    dh_prev = (dpre R^T) * mh
    """
    w, options = cell.w, cell.options
    x, h_prev, c_prev, n_prev, pre_f, keeps, i, f, z, o, c, n, h = saved
    dh, dc, dn, dm = d_state

    do = dh * c / n
    dc, dn = dc + dh * o / n, dn - dh * h / n
    df, di, dz = dc * c_prev + dn * n_prev, dc * z + dn, dc * i
    d_kept = np.where(keeps, dm - di * i, df * f)
    dpre_i = np.where(keeps, di * i, dm - df * f)
    dpre_f = d_kept if options.exponential_forget else d_kept * sigmoid(-pre_f)
    dpre = np.concatenate([dpre_i, dpre_f, dz * (1 - z**2), do * o * (1 - o)], axis=1)

    if "bias" in d:
        d["bias"] += dpre.sum(axis=0)
    dx = product_backward(cell.matmul, dpre, x, cell.mx, w["kernel"], d["kernel"])
    dh_prev, dR = [], []
    for head, (h_k, masks, R) in enumerate(each_head(cell, h_prev)):
        dR.append(np.zeros_like(R))
        dh_prev.append(product_backward(cell.matmul, of_head(dpre, options.heads, head), h_k, masks, R, dR[-1]))
    by_gate = [dR_k.reshape(len(dR_k), 4, len(dR_k)) for dR_k in dR]
    d["recurrent_kernel"] += np.stack(by_gate, axis=2).reshape(d["recurrent_kernel"].shape)
    return dx, (np.concatenate(dh_prev, axis=1), dc * f, dn * f, d_kept)


def slstm(
    inputs: Array,
    weights: Sequence[Array],
    initial_state: Sequence[Array] | None = None,
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
    """`lstmcore.functional.slstm` in NumPy; see there for shapes, and `step` for the equations.

    ``checkpoint`` changes how much is kept, not what comes out: here it has no effect.
    """
    if zoneout is not None and zoneout.c:
        raise ValueError(f"zoneout: c: expected 0, as c, n and m of an sLSTM belong together, got {zoneout.c!r}")
    batch, steps, _ = inputs.shape
    options = options or SLSTMOptions()
    cell = make_cell(step, step_backward, weights, options, dropout_mask, recurrent_dropout_mask, inputs.dtype)
    padding = make_padding(batch, steps, lengths, mask, zero_output_for_mask, go_backwards)
    return run(
        cell,
        inputs,
        initial_state,
        padding,
        zoneout,
        return_sequences=return_sequences,
        training=training,
        out=out,
    )


def slstm_backward(
    cache: Cache,
    d_outputs: Array | None = None,
    d_state: Sequence[Array | None] | None = None,
    *,
    d_weights: Sequence[Array] | None = None,
    need_d_inputs: bool = True,
) -> Any:
    """`lstmcore.functional.slstm_backward` in NumPy; see `step_backward` for the equations."""
    return run_backward(cache, d_outputs, d_state, d_weights=d_weights, need_d_inputs=need_d_inputs)
