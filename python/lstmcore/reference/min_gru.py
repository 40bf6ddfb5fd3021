"""The minGRU, equation by equation. Same names and order as src/cpp/kernels/cells/min_gru.hpp."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._options import MinGRUOptions, Zoneout
from .activations import POSITIVE, Array, sigmoid
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


def layout(options: MinGRUOptions) -> Layout:
    """Return what the arrays of the cell are."""
    return Layout(("z", "h"), ("kernel", "bias"), lambda w: (w["kernel"].shape[1] // 2,))


class Saved(NamedTuple):
    """What the backward step needs of a step."""

    x: Array
    h_prev: Array
    pre_h: Array  # what goes into g
    z: Array
    hh: Array


@step_of(layout)
def step(cell: Cell, x: Array, state: State) -> tuple[State, Saved]:
    """One step (Feng et al. 2024), with * for the elementwise product with the dropout masks mx of each gate::

    a = (x * mx) W + b
    z = s(a_z)    hh = g(a_h)                 g(v) = v
    h = (1 - z) h_prev + z hh                 with log_space: g(v) = v + 1/2 where v >= 0, s(v) elsewhere
    """
    w, g = cell.w, POSITIVE if cell.options.log_space else activation("linear")
    (h_prev,) = state
    a = product(cell.matmul, x, cell.mx, w["kernel"])
    pre_z, pre_h = np.split(a + w["bias"] if "bias" in w else a, 2, axis=1)
    z, hh = sigmoid(pre_z), g(pre_h)
    h = (1 - z) * h_prev + z * hh
    return (h,), Saved(x, h_prev, pre_h, z, hh)


def step_backward(cell: Cell, saved: Saved, d_state: State, d: Weights) -> tuple[Array, State]:
    """The gradients of a step, with dpre those of what stands within s(...) and g(...)::

    dz = dh (hh - h_prev)    dhh = dh z    dh_prev = dh (1 - z)
    dpre_z = dz z (1 - z)    dpre_h = dhh g'(hh)
    db = sum dpre    dW = (x * mx)^T dpre    dx = (dpre W^T) * mx
    """
    w, g = cell.w, POSITIVE if cell.options.log_space else activation("linear")
    x, h_prev, pre_h, z, hh = saved
    (dh,) = d_state
    dz, dhh = dh * (hh - h_prev), dh * z
    dpre = np.concatenate([dz * z * (1 - z), g.backward(pre_h, hh, dhh)], axis=1)
    if "bias" in d:
        d["bias"] += dpre.sum(axis=0)
    dx = product_backward(cell.matmul, dpre, x, cell.mx, w["kernel"], d["kernel"])
    return dx, (dh * (1 - z),)


def min_gru(
    inputs: Array,
    weights: Sequence[Array],
    initial_state: Array | None = None,
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
    """`lstmcore.functional.min_gru` in NumPy; see there for shapes, and `step` for the equations.

    ``checkpoint`` changes how much is kept, not what comes out: here it has no effect.
    """
    batch, steps, _ = inputs.shape
    options = options or MinGRUOptions()
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


def min_gru_backward(
    cache: Cache,
    d_outputs: Array | None = None,
    d_state: Array | None = None,
    *,
    d_weights: Sequence[Array] | None = None,
    need_d_inputs: bool = True,
) -> Any:
    """`lstmcore.functional.min_gru_backward` in NumPy; see `step_backward` for the equations."""
    d_inputs, gradients, d_initial = run_backward(
        cache, d_outputs, (d_state,), d_weights=d_weights, need_d_inputs=need_d_inputs
    )
    return d_inputs, gradients, None if d_initial is None else d_initial[0]
