"""The GRU, equation by equation. Same names and order as src/cpp/kernels/cells/gru.hpp."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._options import GRUOptions, Zoneout
from .activations import Array
from .activations import get as activation
from .sequences import (
    Cache,
    Cell,
    Layout,
    State,
    Weights,
    layer_norm,
    layer_norm_backward,
    make_cell,
    make_padding,
    product,
    product_backward,
    run,
    run_backward,
    step_of,
)


def layout(options: GRUOptions) -> Layout:
    """Return what the arrays of the cell are."""
    extra = ("gain",) if options.layer_norm else ()
    return Layout(
        gates=("z", "r", "h"),
        weights=("kernel", "recurrent_kernel", "bias", *extra),
        widths=lambda w: (w["kernel"].shape[1] // 3,),
    )


class Saved(NamedTuple):
    """What the backward step needs of a step."""

    x: Array
    h_prev: Array
    pre: tuple[Array, Array, Array]  # what goes into the activations of z, r and hh
    z: Array
    r: Array
    hh: Array
    u_h: Array  # the recurrent product of the candidate
    norms: tuple[tuple[Array, Array], ...]  # of a and u: layer_norm's results


@step_of(layout)
def step(cell: Cell, x: Array, state: State) -> tuple[State, Saved]:
    """One step, with * for elementwise products with the dropout masks mx and mh of each gate.

    With ``reset_after``::

        a = (x * mx) W + b_0    u = (h_prev * mh) R + b_1     with layer_norm: LN of the products, times gain
        z = s(a_z + u_z)    r = s(a_r + u_r)    hh = act(a_h + r u_h)
        h = z h_prev + (1 - z) hh

    Without::

        a = (x * mx) W + b      u = (h_prev * mh) R for z and r, (r h_prev * mh) R for h
        z = s(a_z + u_z)    r = s(a_r + u_r)    hh = act(a_h + u_h)
        h = z h_prev + (1 - z) hh

    With clip, s and act take their sums held between -clip and clip.
    """
    w, options = cell.w, cell.options
    s, act = activation(options.recurrent_activation, options.clip), activation(options.activation, options.clip)
    W, R, mx, mh = w["kernel"], w["recurrent_kernel"], cell.mx, cell.mh
    (h_prev,) = state
    units = h_prev.shape[1]
    norms: tuple[tuple[Array, Array], ...] = ()

    a = product(cell.matmul, x, mx, W)
    if options.reset_after:
        u = product(cell.matmul_h, h_prev, mh, R)
        if options.layer_norm:
            norms = (layer_norm(a), layer_norm(u))
            a = norms[0][0] * w["gain"][0]
            u = norms[1][0] * w["gain"][1]
        if "bias" in w:
            a = a + w["bias"][0]
            u = u + w["bias"][1]
        a_z, a_r, a_h = np.split(a, 3, axis=1)
        u_z, u_r, u_h = np.split(u, 3, axis=1)
        pre_z, pre_r = a_z + u_z, a_r + u_r
        z, r = s(pre_z), s(pre_r)
        pre_h = a_h + r * u_h
    else:
        if "bias" in w:
            a = a + w["bias"]
        a_z, a_r, a_h = np.split(a, 3, axis=1)
        u_z, u_r = np.split(product(cell.matmul_h, h_prev, mh[:2], R[:, : 2 * units]), 2, axis=1)
        pre_z, pre_r = a_z + u_z, a_r + u_r
        z, r = s(pre_z), s(pre_r)
        u_h = product(cell.matmul_h, r * h_prev, mh[2:], R[:, 2 * units :])
        pre_h = a_h + u_h
    hh = act(pre_h)
    h = z * h_prev + (1 - z) * hh
    kept = cell.rounded
    return (h,), Saved(x, h_prev, (pre_z, pre_r, pre_h), kept(z), kept(r), kept(hh), kept(u_h), norms)


def step_backward(cell: Cell, saved: Saved, d_state: State, d: Weights) -> tuple[Array, State]:
    """The gradients of a step, with dpre those of what stands within s(...) and act(...)::

        dz = dh (h_prev - hh)    dhh = dh (1 - z)    dh_prev = dh z
        dpre_z = dz s'(z)        dpre_h = dhh act'(hh)

    With ``reset_after``::

        dr = dpre_h u_h          dpre_r = dr s'(r)
        da = dpre_z, dpre_r, dpre_h    du = dpre_z, dpre_r, dpre_h r    each through its LN if there is one
        db_0 = sum da    db_1 = sum du    dR = (h_prev * mh)^T du    dh_prev += (du R^T) * mh

    Without, v = r h_prev::

        dv = (dpre_h R_h^T) * mh_h     dR_h = (v * mh_h)^T dpre_h
        dr = dv h_prev    dh_prev += dv r    dpre_r = dr s'(r)
        dR_zr = (h_prev * mh)^T dpre_zr      dh_prev += (dpre_zr R_zr^T) * mh
        da = dpre    db = sum dpre

    Then ``dW = (x * mx)^T da    dx = (da W^T) * mx``.
    """
    w, options = cell.w, cell.options
    s, act = activation(options.recurrent_activation, options.clip), activation(options.activation, options.clip)
    W, R, mx, mh = w["kernel"], w["recurrent_kernel"], cell.mx, cell.mh
    dW, dR = d["kernel"], d["recurrent_kernel"]
    x, h_prev, (pre_z, pre_r, pre_h), z, r, hh, u_h, norms = saved
    units = h_prev.shape[1]
    (dh,) = d_state

    dz, dhh = dh * (h_prev - hh), dh * (1 - z)
    dh_prev = dh * z
    dpre_z, dpre_h = s.backward(pre_z, z, dz), act.backward(pre_h, hh, dhh)
    if options.reset_after:
        dr = dpre_h * u_h
        dpre_r = s.backward(pre_r, r, dr)
        da = cell.rounded(np.concatenate([dpre_z, dpre_r, dpre_h], axis=1))
        du = cell.rounded(np.concatenate([dpre_z, dpre_r, dpre_h * r], axis=1))
        if "bias" in d:
            d["bias"][0] += da.sum(axis=0)
            d["bias"][1] += du.sum(axis=0)
        if options.layer_norm:
            d["gain"][0] += (da * norms[0][0]).sum(axis=0)
            d["gain"][1] += (du * norms[1][0]).sum(axis=0)
            da = layer_norm_backward(da * w["gain"][0], *norms[0])
            du = layer_norm_backward(du * w["gain"][1], *norms[1])
        dh_prev = dh_prev + product_backward(cell.matmul_h, du, h_prev, mh, R, dR)
    else:
        dv = product_backward(cell.matmul_h, dpre_h, r * h_prev, mh[2:], R[:, 2 * units :], dR[:, 2 * units :])
        dr = dv * h_prev
        dh_prev = dh_prev + dv * r
        dpre_r = s.backward(pre_r, r, dr)
        dpre_zr = np.concatenate([dpre_z, dpre_r], axis=1)
        dh_prev = dh_prev + product_backward(
            cell.matmul_h, dpre_zr, h_prev, mh[:2], R[:, : 2 * units], dR[:, : 2 * units]
        )
        da = cell.rounded(np.concatenate([dpre_zr, dpre_h], axis=1))
        if "bias" in d:
            d["bias"] += da.sum(axis=0)
    dx = product_backward(cell.matmul, da, x, mx, W, dW)
    return dx, (dh_prev,)


def gru(
    inputs: Array,
    weights: Sequence[Array],
    initial_state: Array | None = None,
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
    *,
    precision: str = "float32",
) -> Any:
    """`lstmcore.functional.gru` in NumPy; see there for shapes, and `step` for the equations.

    ``checkpoint`` changes how much is kept, not what comes out: here it has no effect.
    ``precision`` is what `pack_gru` is given: of the operands of all products, those of the backward pass too.
    In bfloat16 all that is kept for the backward pass, beside x and h, is rounded too.
    """
    batch, steps, _ = inputs.shape
    options = options or GRUOptions()
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


def gru_backward(
    cache: Cache,
    d_outputs: Array | None = None,
    d_state: Array | None = None,
    *,
    d_weights: Sequence[Array] | None = None,
    need_d_inputs: bool = True,
) -> Any:
    """`lstmcore.functional.gru_backward` in NumPy; see `step_backward` for the equations."""
    d_inputs, gradients, d_initial = run_backward(
        cache, d_outputs, (d_state,), d_weights=d_weights, need_d_inputs=need_d_inputs
    )
    return d_inputs, gradients, None if d_initial is None else d_initial[0]
