"""What the cells share: products with dropout, layer normalisation, zoneout, padding, the loop over the steps.

A cell is two functions of one step, forward and backward, which know nothing of padding and zoneout::

    step(cell, x, state) -> new state, saved
    step_backward(cell, saved, d_state, d) -> dx, gradients of the state before

and the `Layout` of its arrays, which `step_of` adds to the first of the two. A state is a tuple: (h,), or h and what
else the cell carries along, as (h, c) of the LSTM. ``saved`` is what the cell wants back in the backward step. The
backward step adds to ``d``, the gradients of the weights by name.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from .._options import Zoneout
from .activations import Array
from .low_precision import bfloat16, products

State: TypeAlias = tuple[Array, ...]
Weights: TypeAlias = dict[str, Array]
Matmul: TypeAlias = Callable[[Array, Array], Array]

EPSILON = 1e-5  # of the layer normalisation


# What a cell says of its arrays


@dataclass(frozen=True)
class Layout:
    """What the arrays of a cell are, for its options."""

    gates: tuple[str, ...]  # those that have weights, in the order of the kernels' columns
    weights: tuple[str, ...]  # by name, in their order; the bias may be left out
    widths: Callable[[Weights], tuple[int, ...]]  # of the arrays of the state, h first


class Step:
    """A cell's step and, for given options, its layout."""

    def __init__(
        self, layout: Callable[[Any], Layout], function: Callable[[Cell, Array, State], tuple[State, Any]]
    ) -> None:
        functools.update_wrapper(self, function)
        self.layout, self.function = layout, function

    def __call__(self, cell: Cell, x: Array, state: State) -> tuple[State, Any]:
        """Return the new state and what the backward step needs."""
        return self.function(cell, x, state)


def step_of(layout: Callable[[Any], Layout]) -> Callable[[Callable[[Cell, Array, State], tuple[State, Any]]], Step]:
    """Decorate the step of a cell of that layout."""
    return functools.partial(Step, layout)


def name_weights(weights: Sequence[Array], layout: Layout) -> Weights:
    """The weights (or their gradients) of a cell by name, in their order; "bias" is there if there is one."""
    names = list(layout.weights)
    if len(weights) == len(names) - 1:
        names.remove("bias")
    if len(weights) != len(names):
        raise ValueError(f"weights: expected {', '.join(names)} (the bias may be left out), got {len(weights)} arrays")
    return dict(zip(names, weights, strict=True))


# Products, with a dropout mask for each gate


def gate_masks(mask: ArrayLike | None, gates: int, dtype: Any) -> Array:
    """(gates, batch, width), or (gates, 1, 1) of ones for no mask; one mask is that of all gates."""
    if mask is None:
        return np.ones((gates, 1, 1), dtype)
    mask = np.asarray(mask, dtype)
    return np.broadcast_to(mask, (gates, *mask.shape[-2:]))


def product(matmul: Matmul, x: Array, masks: Array, W: Array) -> Array:
    """a_g = (x * mask_g) W_g for every gate g, side by side as in W."""
    W_by_gate = np.split(W, len(masks), axis=1)
    return np.concatenate([matmul(x * mask, W_g) for mask, W_g in zip(masks, W_by_gate, strict=True)], axis=1)


def product_backward(matmul: Matmul, da: Array, x: Array, masks: Array, W: Array, dW: Array) -> Array:
    """Return dx = sum_g (da_g W_g^T) * mask_g; dW_g += (x * mask_g)^T da_g."""
    da_by_gate, W_by_gate, dW_by_gate = (np.split(v, len(masks), axis=1) for v in (da, W, dW))
    dx = np.zeros_like(x)
    for mask, da_g, W_g, dW_g in zip(masks, da_by_gate, W_by_gate, dW_by_gate, strict=True):
        dW_g += matmul((x * mask).T, da_g)
        dx += matmul(da_g, W_g.T) * mask
    return dx


# Layer normalisation


def layer_norm(v: Array) -> tuple[Array, Array]:
    """n = (v - mean) / deviation over the last axis, deviation = sqrt(variance + 1e-5); return n, deviation."""
    mean = v.mean(axis=-1, keepdims=True)
    deviation = np.sqrt(((v - mean) ** 2).mean(axis=-1, keepdims=True) + EPSILON)
    return np.asarray((v - mean) / deviation), np.asarray(deviation)


def layer_norm_backward(dn: Array, n: Array, deviation: Array) -> Array:
    """dv = (dn - mean(dn) - n mean(dn n)) / deviation"""
    mean_dn = dn.mean(axis=-1, keepdims=True)
    mean_dn_n = (dn * n).mean(axis=-1, keepdims=True)
    return np.asarray((dn - mean_dn - n * mean_dn_n) / deviation)


# Zoneout


def philox(counter: Sequence[ArrayLike], key: tuple[int, int]) -> list[Array]:
    """Philox 4x32-10 (Salmon et al. 2011): four random words of 32 bits for every counter of four."""
    low = np.uint64(0xFFFFFFFF)
    x = [np.asarray(word, np.uint64) for word in counter]
    for n in range(10):
        keys = [np.uint64((k + n * step) % 2**32) for k, step in zip(key, (0x9E3779B9, 0xBB67AE85), strict=True)]
        a, b = x[0] * np.uint64(0xD2511F53), x[2] * np.uint64(0xCD9E8D57)
        x = [(b >> np.uint64(32)) ^ x[1] ^ keys[0], b & low, (a >> np.uint64(32)) ^ x[3] ^ keys[1], a & low]
    return x


def zoned_units(rate: float, seed: int, t: int, which: int, shape: tuple[int, ...]) -> Array:
    """Which units of which rows keep their state at step t; ``which`` is 0 for h, 1 for c.

    ::

        words of the units 4 k to 4 k + 3 = philox((k, row, t, which), (seed, 0))
        zoned where word < floor(rate 2^32)
    """
    batch, width = shape
    k, row = np.arange((width + 3) // 4), np.arange(batch)[:, np.newaxis]
    words = np.stack(np.broadcast_arrays(*philox((k, row, t, which), (seed, 0))), axis=-1)
    return np.asarray(words.reshape(batch, 4 * len(k))[:, :width] < np.uint64(int(rate * 2**32)))


def zone_out(zoneout: Zoneout | None, t: int, state: State, new: State) -> tuple[State, State]:
    """The new state, mixed with the one before if there is no seed, and for each the units that keep the one before."""
    nowhere = tuple(np.zeros(v.shape, bool) for v in new)
    if zoneout is None:
        return new, nowhere
    rates = (float(zoneout.h), float(zoneout.c), *[0.0] * len(new))[: len(new)]
    if zoneout.seed is None:
        mixed = [rate * old + (1 - rate) * v for rate, old, v in zip(rates, state, new, strict=True)]
        return tuple(mixed), nowhere
    zoned = [zoned_units(rate, zoneout.seed, t, k, new[k].shape) for k, rate in enumerate(rates)]
    return new, tuple(zoned)


# Padding


@dataclass(frozen=True)
class Padding:
    """Which steps of which rows are valid, in which order they are processed, and what the others give out."""

    valid: Array  # (batch, steps) bool
    order: list[int]
    zero: bool  # padding gives zeros, or else repeats the output of the valid step before

    def outputs(self, h: list[Array]) -> tuple[Array, Array]:
        """The outputs of all steps and the last ones, from the h after each step (by step, not by order)."""
        last = np.zeros_like(h[0])
        outputs = np.zeros((*self.valid.shape, h[0].shape[1]), h[0].dtype)
        for t in self.order:
            valid = self.valid[:, t, np.newaxis]
            last = np.where(valid, h[t], last)
            outputs[:, t] = np.where(valid, h[t], 0 if self.zero else last)
        return outputs, last

    def outputs_backward(self, d_outputs: Array, d_last: Array) -> Array:
        """The gradients of the h of the valid steps: their own and those of the outputs that repeat them."""
        dh = np.zeros_like(d_outputs)
        repeated = d_last
        for t in reversed(self.order):
            valid = self.valid[:, t, np.newaxis]
            if not self.zero:
                repeated = repeated + np.where(valid, 0, d_outputs[:, t])
            dh[:, t] = np.where(valid, d_outputs[:, t] + repeated, 0)
            repeated = np.where(valid, 0, repeated)
        return dh


def make_padding(
    batch: int,
    steps: int,
    lengths: ArrayLike | None,
    mask: ArrayLike | None,
    zero_output_for_mask: bool,
    go_backwards: bool,
) -> Padding:
    """`Padding` from the arguments of the cells' functions."""
    if lengths is not None and mask is not None:
        raise ValueError("lengths, mask: expected at most one of the two")
    valid = np.ones((batch, steps), bool)
    if lengths is not None:
        valid = np.arange(steps) < np.asarray(lengths)[:, np.newaxis]
    if mask is not None:
        valid = np.asarray(mask, bool)
    order = list(range(steps))
    return Padding(valid, order[::-1] if go_backwards else order, lengths is not None or zero_output_for_mask)


# The loop over the steps


@dataclass(frozen=True)
class Cell:
    """The two functions of a cell and what they need at every step."""

    step: Step
    step_backward: Callable[[Cell, Any, State, Weights], tuple[Array, State]]
    weights: list[Array]
    options: Any
    layout: Layout
    w: Weights  # the weights by name
    mx: Array  # dropout masks, (gates, batch, inputs)
    mh: Array  # recurrent dropout masks, (gates, batch, outputs), of cells with a recurrent kernel
    widths: tuple[int, ...]  # of the arrays of the state
    matmul: Matmul
    matmul_h: Matmul  # of h, which may be read otherwise than the inputs
    rounded: Callable[[Any], Array]  # what is kept for the backward pass, and the gradients of pre-activations


@dataclass(frozen=True)
class Cache:
    """What the backward pass needs of a forward pass."""

    cell: Cell
    padding: Padding
    saved: list[Any]  # by step: what the cell's backward step needs
    kept: list[State]  # by step, for each array of the state: which units kept their value, bool (batch, width)
    inputs_shape: tuple[int, ...]
    dtype: Any
    return_sequences: bool
    has_state: bool


def run(
    cell: Cell,
    inputs: Array,
    initial_state: Sequence[Array] | None,
    padding: Padding,
    zoneout: Zoneout | None,
    *,
    return_sequences: bool,
    training: bool,
    out: Array | None,
) -> Any:
    """Return outputs, the state after the last valid step and, with ``training``, the cache."""
    rates = () if zoneout is None else (zoneout.h, zoneout.c)[: len(cell.widths)]
    if training and zoneout is not None and zoneout.seed is None and any(rates):
        raise ValueError("zoneout: training needs a seed, got None")
    batch, steps, _ = inputs.shape
    dtype = inputs.dtype
    if initial_state is None:
        state: State = tuple(np.zeros((batch, width), dtype) for width in cell.widths)
    else:
        state = tuple(np.array(v, dtype) for v in initial_state)
    x = np.where(padding.valid[:, :, np.newaxis], inputs, np.zeros((), dtype))  # whatever stands in padding
    h: list[Any] = [None] * steps
    saved: list[Any] = [None] * steps
    kept: list[Any] = [None] * steps
    for t in padding.order:
        new, saved[t] = cell.step(cell, x[:, t], state)
        new, zoned = zone_out(zoneout, t, state, new)
        kept[t] = tuple(z | ~padding.valid[:, t, np.newaxis] for z in zoned)
        state = tuple(np.where(keep, old, v) for keep, old, v in zip(kept[t], state, new, strict=True))
        h[t] = state[0]
    outputs, last = padding.outputs(h)
    result = outputs if return_sequences else last
    if out is not None:
        out[...] = result
        result = out
    if not training:
        return result, state
    cache = Cache(cell, padding, saved, kept, inputs.shape, dtype, return_sequences, initial_state is not None)
    return result, state, cache


def run_backward(
    cache: Cache,
    d_outputs: Array | None,
    d_state: Sequence[Array | None] | None,
    *,
    d_weights: Sequence[Array] | None,
    need_d_inputs: bool,
) -> tuple[Array | None, tuple[Array, ...], State | None]:
    """Return the gradients of the inputs, the weights and the initial state, of a cell's forward pass."""
    cell, padding, dtype = cache.cell, cache.padding, cache.dtype
    batch, steps, _ = cache.inputs_shape
    if d_weights is None:
        d_weights = [np.zeros_like(v) for v in cell.weights]
    d = name_weights(d_weights, cell.layout)
    d_last = np.zeros((batch, cell.widths[0]), dtype)
    d_sequence = np.zeros((batch, steps, cell.widths[0]), dtype)
    if d_outputs is not None and cache.return_sequences:
        d_sequence = np.asarray(d_outputs, dtype)
    if d_outputs is not None and not cache.return_sequences:
        d_last = np.asarray(d_outputs, dtype)
    dh = padding.outputs_backward(d_sequence, d_last)
    d_new: State = tuple(np.zeros((batch, width), dtype) for width in cell.widths)
    if d_state is not None:
        d_new = tuple(zero if v is None else np.asarray(v, dtype) for zero, v in zip(d_new, d_state, strict=True))
    d_inputs = np.zeros(cache.inputs_shape, dtype)
    for t in reversed(padding.order):
        d_new = (d_new[0] + dh[:, t], *d_new[1:])
        # Units that kept their value hand the gradient on; the cell has the others.
        d_kept = [np.where(keep, v, 0) for keep, v in zip(cache.kept[t], d_new, strict=True)]
        d_cell = tuple(np.where(keep, 0, v) for keep, v in zip(cache.kept[t], d_new, strict=True))
        d_inputs[:, t], d_prev = cell.step_backward(cell, cache.saved[t], d_cell, d)
        d_new = tuple(a + b for a, b in zip(d_kept, d_prev, strict=True))
    return d_inputs if need_d_inputs else None, tuple(d.values()), d_new if cache.has_state else None


def make_cell(
    step: Step,
    step_backward: Callable[[Cell, Any, State, Weights], tuple[Array, State]],
    weights: Sequence[Array],
    options: Any,
    dropout_mask: ArrayLike | None,
    recurrent_dropout_mask: ArrayLike | None,
    dtype: Any,
    matmul: Matmul = np.matmul,
    precision: str = "float32",
    training: bool = False,
) -> Cell:
    """`Cell` from the arguments of the cells' functions."""
    layout = step.layout(options)
    w = name_weights(weights, layout)
    mx = gate_masks(dropout_mask, len(layout.gates), dtype)
    mh = gate_masks(recurrent_dropout_mask, len(layout.gates), dtype)
    both = products(precision, options, matmul, training)
    rounded = bfloat16 if precision == "bfloat16" else np.asarray
    return Cell(step, step_backward, list(weights), options, layout, w, mx, mh, layout.widths(w), *both, rounded)
