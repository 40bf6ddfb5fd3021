"""The core's two passes over one layer, all its directions, from tensors to tensors that share memory with arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..._core import Cache, PackedWeights
from ..._passes import BackwardCall, Call, run_backward, run_both_backward, run_both_forward, run_forward
from .weights import Mode, gradients


class Layer(NamedTuple):
    """One layer of a module, and how a call runs it."""

    mode: Mode
    batch_first: bool = False  # of the inputs
    outputs_batch_first: bool = False
    lengths: Any = None  # (batch,) int64, or None
    is_step: bool = False  # of a cell, which is called many times over


def run(
    layer: Layer, packed: Sequence[PackedWeights], x: Tensor, h: Tensor | None, c: Tensor | None, training: bool
) -> tuple[tuple[Tensor, ...], list[Cache]]:
    """Return outputs and the last h and, of an LSTM, c, each (directions, batch, width); and what `go_back` needs.

    Arrays are those of tensors without a gradient: a cache holds its arrays, and these hold their tensors, which must
    not hold the node of the graph that holds the cache.
    """
    inputs = x.detach().numpy()
    batch, steps = inputs.shape[:2] if layer.batch_first else inputs.shape[1::-1]
    width = packed[0].outputs
    shape = (batch, steps) if layer.outputs_batch_first else (steps, batch)
    outputs = x.new_empty((*shape, width * len(packed)))
    y = outputs.detach().numpy()
    if not layer.batch_first:
        inputs = inputs.swapaxes(0, 1)
    if not layer.outputs_batch_first:
        y = y.swapaxes(0, 1)
    states = _states(h, c, len(packed))
    none = None, None, None  # masks of dropout, zoneout

    def call(k: int, out: Any) -> Call:
        # `shared`: the backward pass looks at the outputs themselves; that nobody has written to them, autograd checks.
        return Call(
            packed[k], inputs, states[k], True, training, out, layer.lengths, None, True, k == 1, *none, training
        )

    if len(packed) == 1:
        _, last, cache = run_forward(call(0, y))
        return (outputs, *[torch.from_numpy(s[None]) for s in last]), [cache]
    one, other = run_both_forward(call(0, y[..., :width]), call(1, y[..., width:]))
    (_, last, cache), (_, other_last, other_cache) = one, other
    pairs = zip(last, other_last, strict=True)
    return (outputs, *(torch.from_numpy(np.stack(pair)) for pair in pairs)), [cache, other_cache]


def go_back(
    layer: Layer, caches: Sequence[Cache], d_outputs: Tensor | None, d_last: Sequence[Tensor | None], need_d_x: bool
) -> tuple[Tensor | None, list[Tensor | None], list[Tensor]]:
    """Return the gradients of x, of the first states (None where none were given) and of the weights."""
    d_y = None
    if d_outputs is not None:
        d_y = d_outputs.detach().numpy()
        if not layer.outputs_batch_first:
            d_y = d_y.swapaxes(0, 1)
    d_h, d_c = d_last if len(d_last) == 2 else (*d_last, None)
    d_states = _states(d_h, d_c, len(caches), len(d_last))
    no_states: list[Tensor | None] = [None] * len(d_last)
    d_initial: list[Tensor | None]
    if len(caches) == 1:
        d_x, d_weights, d_first = run_backward(BackwardCall(caches[0], d_y, d_states[0], need_d_x, []))
        d_initial = no_states if d_first is None else [torch.from_numpy(d[None]) for d in d_first]
        return _gradient_of_x(layer, d_x), d_initial, gradients(layer.mode, d_weights, not layer.is_step)
    parts: Any = (None, None) if d_y is None else np.split(d_y, 2, axis=-1)
    one, other = run_both_backward(
        BackwardCall(caches[0], parts[0], d_states[0], need_d_x, []),
        BackwardCall(caches[1], parts[1], d_states[1], need_d_x, []),
    )
    if need_d_x:
        one[0][...] += other[0]
    d_initial = no_states
    if one[2] is not None:
        d_initial = [torch.from_numpy(np.stack(pair)) for pair in zip(one[2], other[2], strict=True)]
    d_weights = gradients(layer.mode, one[1], True) + gradients(layer.mode, other[1], True)
    return _gradient_of_x(layer, one[0]), d_initial, d_weights


def _gradient_of_x(layer: Layer, d_x: Any) -> Tensor | None:
    if d_x is None:
        return None
    return torch.from_numpy(d_x if layer.batch_first else d_x.swapaxes(0, 1))


def _states(h: Tensor | None, c: Tensor | None, directions: int, count: int = 0) -> list[Any]:
    """Return the states of each direction as arrays; `count` says how many there are, where some are absent."""
    if h is None and c is None:
        return [None] * directions
    given = [None if s is None else s.detach().numpy() for s in (h, c)]
    given = given[:count] if count else [s for s in given if s is not None]
    return [tuple(None if s is None else s[k] for s in given) for k in range(directions)]
