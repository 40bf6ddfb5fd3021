"""The LSTM, equation by equation. Same names and order as src/cpp/kernels/cells/lstm.hpp."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._options import LSTMOptions, Zoneout
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


def layout(options: LSTMOptions) -> Layout:
    """Return what the arrays of the cell are."""
    gates = {
        "i": options.input_gate,
        "f": options.forget_gate and not options.coupled,
        "g": True,
        "o": options.output_gate,
    }
    extra = {
        "peephole": options.peepholes,
        "projection": options.projection,
        "gain": options.layer_norm,
        "cell_norm": options.layer_norm,
    }
    names = tuple(gate for gate, there in gates.items() if there)
    return Layout(
        gates=names,
        weights=("kernel", "recurrent_kernel", "bias", *(name for name, there in extra.items() if there)),
        widths=lambda w: (len(w["recurrent_kernel"]), w["kernel"].shape[1] // len(names)),
    )


class Saved(NamedTuple):
    """What the backward step needs of a step."""

    x: Array
    h_prev: Array
    c_prev: Array
    pre: dict[str, Array]  # what goes into the activations of the gates, by gate
    i: Array
    f: Array
    g: Array
    o: Array
    c: Array
    n: Array  # c, or its normalised form
    y: Array  # activation of n on its way to h
    m: Array  # o y, h before its projection
    norms: tuple[tuple[Array, Array], ...]  # of a, u and c: layer_norm's results


def activations(options: LSTMOptions) -> tuple[Any, Any, Any]:
    """Those of the gates, of the candidate g and of the cell state on its way to h."""
    output = options.output_activation
    if isinstance(output, bool):
        output = options.activation if output else "linear"
    return (
        activation(options.recurrent_activation, options.clip),
        activation(options.activation if options.input_activation else "linear", options.clip),
        activation(output),
    )


@step_of(layout)
def step(cell: Cell, x: Array, state: State) -> tuple[State, Saved]:
    """One step, with * for elementwise products with the dropout masks mx and mh of each gate::

    a = (x * mx) W    u = (h_prev * mh) R             with layer_norm: LN(a) gain_0, LN(u) gain_1
    i = s(a_i + u_i + b_i + p_i c_prev)               1 without input_gate
    f = s(a_f + u_f + b_f + p_f c_prev)               1 without forget_gate, 1 - i if coupled
    g = act(a_g + u_g + b_g)                          no act without input_activation
    c = f c_prev + i g
    o = s(a_o + u_o + b_o + p_o c)                    1 without output_gate
    n = c                                             with layer_norm: LN(c) cell_norm_0 + cell_norm_1
    m = o act(n)                                      with output_activation: that, or none
    h = m                                             with projection: m P

    With clip, s and act of i, f, g and o take their sums held between -clip and clip.
    """
    w, options = cell.w, cell.options
    s, act_g, act_c = activations(options)
    h_prev, c_prev = state
    norms: tuple[tuple[Array, Array], ...] = ()

    a = product(cell.matmul, x, cell.mx, w["kernel"])
    u = product(cell.matmul_h, h_prev, cell.mh, w["recurrent_kernel"])
    if options.layer_norm:
        norms = (layer_norm(a), layer_norm(u))
        a = norms[0][0] * w["gain"][0]
        u = norms[1][0] * w["gain"][1]
    sums = a + u + w["bias"] if "bias" in w else a + u
    gates = cell.layout.gates
    pre = dict(zip(gates, np.split(sums, len(gates), axis=1), strict=True))

    def gate(name: str, c: Array) -> Array:
        if name not in pre:
            return np.ones_like(c)
        if options.peepholes:
            pre[name] = pre[name] + w["peephole"]["ifo".index(name)] * c
        return np.asarray(s(pre[name]))

    i, f = gate("i", c_prev), gate("f", c_prev)
    if options.coupled:
        f = 1 - i
    g = act_g(pre["g"])
    c = f * c_prev + i * g
    o = gate("o", c)

    n = c
    if options.layer_norm:
        norms = (*norms, layer_norm(c))
        n = norms[2][0] * w["cell_norm"][0] + w["cell_norm"][1]
    y = act_c(n)
    m = o * y
    h = cell.matmul(m, w["projection"]) if options.projection else m
    kept = cell.rounded
    if (n_kept := kept(n)) is not n:
        y = act_c(n_kept)
    return (h, c), Saved(x, h_prev, kept(c_prev), pre, kept(i), kept(f), kept(g), kept(o), kept(c), n_kept, y, m, norms)


def step_backward(cell: Cell, saved: Saved, d_state: State, d: Weights) -> tuple[Array, State]:
    """The gradients of a step, with dpre those of what stands within s(...) and act(...)::

    dm = dh P^T       dP = m^T dh
    do = dm act(n)    dn = dm o act'(n)     dc += dn, through LN if there is one
    dpre_o = do s'(o)    dc += dpre_o p_o   dp_o = sum dpre_o c
    di = dc g    df = dc c_prev    dg = dc i    dc_prev = dc f         coupled: di -= df
    dpre_i = di s'(i)    dpre_f = df s'(f)    dpre_g = dg act'(g)
    dc_prev += dpre_i p_i + dpre_f p_f      dp_i = sum dpre_i c_prev   dp_f = sum dpre_f c_prev
    db = sum dpre    da = du = dpre, each through its LN if there is one
    dW = (x * mx)^T da    dx = (da W^T) * mx    dR = (h_prev * mh)^T du    dh_prev = (du R^T) * mh
    """
    w, options = cell.w, cell.options
    s, act_g, act_c = activations(options)
    x, h_prev, c_prev, pre, i, f, g, o, c, n, y, m, norms = saved
    dh, dc = d_state

    dm = dh
    if options.projection:
        d["projection"] += cell.matmul(m.T, dh)
        dm = cell.matmul(dh, w["projection"].T)
    do = dm * y
    dn = act_c.backward(n, y, dm * o)
    if options.layer_norm:
        d["cell_norm"][0] += (dn * norms[2][0]).sum(axis=0)
        d["cell_norm"][1] += dn.sum(axis=0)
        dn = layer_norm_backward(dn * w["cell_norm"][0], *norms[2])
    dc = dc + dn

    dpre_of = {"o": s.backward(pre["o"], o, do)} if "o" in pre else {}
    if options.peepholes and "o" in pre:
        d["peephole"][2] += (dpre_of["o"] * c).sum(axis=0)
        dc = dc + dpre_of["o"] * w["peephole"][2]

    di, df, dg = dc * g, dc * c_prev, dc * i
    dc_prev = dc * f
    if options.coupled:
        di = di - df
    dpre_of["g"] = act_g.backward(pre["g"], g, dg)
    for row, (gate, value, d_value) in enumerate((("i", i, di), ("f", f, df))):
        if gate in pre:
            dpre_of[gate] = s.backward(pre[gate], value, d_value)
            if options.peepholes:
                d["peephole"][row] += (dpre_of[gate] * c_prev).sum(axis=0)
                dc_prev = dc_prev + dpre_of[gate] * w["peephole"][row]

    dpre = cell.rounded(np.concatenate([dpre_of[gate] for gate in cell.layout.gates], axis=1))
    if "bias" in d:
        d["bias"] += dpre.sum(axis=0)
    da = du = dpre
    if options.layer_norm:
        d["gain"][0] += (da * norms[0][0]).sum(axis=0)
        d["gain"][1] += (du * norms[1][0]).sum(axis=0)
        da = layer_norm_backward(da * w["gain"][0], *norms[0])
        du = layer_norm_backward(du * w["gain"][1], *norms[1])
    dx = product_backward(cell.matmul, da, x, cell.mx, w["kernel"], d["kernel"])
    dh_prev = product_backward(cell.matmul_h, du, h_prev, cell.mh, w["recurrent_kernel"], d["recurrent_kernel"])
    return dx, (dh_prev, dc_prev)


def lstm(
    inputs: Array,
    weights: Sequence[Array],
    initial_state: Sequence[Array] | None = None,
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
    *,
    precision: str = "float32",
) -> Any:
    """`lstmcore.functional.lstm` in NumPy; see there for shapes, and `step` for the equations.

    ``checkpoint`` changes how much is kept, not what comes out: here it has no effect.
    ``precision`` is what `pack_lstm` is given: of the operands of all products, those of the backward pass too.
    In bfloat16 all that is kept for the backward pass, beside x and h, is rounded too.
    """
    batch, steps, _ = inputs.shape
    options = options or LSTMOptions()
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


def lstm_backward(
    cache: Cache,
    d_outputs: Array | None = None,
    d_state: Sequence[Array | None] | None = None,
    *,
    d_weights: Sequence[Array] | None = None,
    need_d_inputs: bool = True,
) -> Any:
    """`lstmcore.functional.lstm_backward` in NumPy; see `step_backward` for the equations."""
    return run_backward(cache, d_outputs, d_state, d_weights=d_weights, need_d_inputs=need_d_inputs)
