"""The core's two passes over one layer, all its directions, from tensors to tensors that share memory with arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..._core import Cache, PackedWeights, backward, forward
from ..._passes import BackwardCall, Call, run_both_backward, run_both_forward
from .weights import Mode, gradients

_NO_MASKS = None, None, None  # of dropout, zoneout


class Layer(NamedTuple):
    """One layer of a module, and how a call runs it."""

    mode: Mode
    batch_first: bool = False  # of the inputs
    outputs_batch_first: bool = False
    lengths: Any = None  # (batch,) int64, or None
    is_step: bool = False  # of a cell: inputs and states without an axis of steps and of directions


def run(
    layer: Layer, packed: Sequence[PackedWeights], x: Tensor, h: Tensor | None, c: Tensor | None, training: bool
) -> tuple[tuple[Tensor, ...], list[Cache]]:
    """Return outputs and the last h and, of an LSTM, c, each (directions, batch, width); and what `go_back` needs.

    Of a step only the states, each (batch, width).

    Memory is NumPy's: a cache holds its arrays, and those of a result that autograd knows would hold the node of the
    graph that holds the cache.
    """
    inputs, states = _array(x), None if h is None and c is None else _arrays(h, c)
    if layer.is_step:
        _, last, cache = forward(
            packed[0], inputs[:, None], states, False, training, None, None, None, True, False, *_NO_MASKS, False, None
        )
        return tuple([torch.from_numpy(s) for s in last]), [cache]
    width = packed[0].outputs
    if not layer.batch_first:
        inputs = inputs.swapaxes(0, 1)
    batch, steps, _ = inputs.shape
    shape = (batch, steps) if layer.outputs_batch_first else (steps, batch)
    y = np.empty((*shape, width * len(packed)), inputs.dtype)
    outputs = torch.from_numpy(y)
    if not layer.outputs_batch_first:
        y = y.swapaxes(0, 1)
    of_direction = _of_directions(states, len(packed))
    # `shared`: the backward pass looks at the outputs themselves; that nobody has written to them, autograd checks.
    rest = *_NO_MASKS, training, None
    if len(packed) == 1:
        _, last, cache = forward(
            packed[0], inputs, of_direction[0], True, training, y, layer.lengths, None, True, False, *rest
        )
        return (outputs, *[torch.from_numpy(s[None]) for s in last]), [cache]
    one, other = run_both_forward(
        *(
            Call(packed[k], inputs, of_direction[k], True, training, out, layer.lengths, None, True, k == 1, *rest)
            for k, out in enumerate((y[..., :width], y[..., width:]))
        )
    )
    (_, last, cache), (_, other_last, other_cache) = one, other
    pairs = zip(last, other_last, strict=True)
    return (outputs, *(torch.from_numpy(np.stack(pair)) for pair in pairs)), [cache, other_cache]


def go_back(
    layer: Layer, caches: Sequence[Cache], d_outputs: Tensor | None, d_last: Sequence[Tensor | None], need_d_x: bool
) -> tuple[Tensor | None, list[Tensor | None], list[Tensor]]:
    """Return the gradients of x, of the first states (None where none were given) and of the weights."""
    d_y = None
    if d_outputs is not None:
        d_y = _array(d_outputs)
        if not layer.outputs_batch_first:
            d_y = d_y.swapaxes(0, 1)
    d_states = _arrays(*d_last, keep_absent=True)
    d_initial: list[Tensor | None] = [None] * len(d_last)
    if layer.is_step:
        d_x, d_weights, d_first = backward(caches[0], d_y, d_states, need_d_x, [])
        if d_first is not None:
            d_initial = [torch.from_numpy(d) for d in d_first]
        d_inputs = None if d_x is None else torch.from_numpy(d_x[:, 0])
        return d_inputs, d_initial, gradients(layer.mode, d_weights, False)
    of_direction = _of_directions(d_states, len(caches))
    if len(caches) == 1:
        d_x, d_weights, d_first = backward(caches[0], d_y, of_direction[0], need_d_x, [])
        if d_first is not None:
            d_initial = [torch.from_numpy(d[None]) for d in d_first]
        return _gradient_of_x(layer, d_x), d_initial, gradients(layer.mode, d_weights, True)
    parts: Any = (None, None) if d_y is None else np.split(d_y, 2, axis=-1)
    one, other = run_both_backward(
        BackwardCall(caches[0], parts[0], of_direction[0], need_d_x, []),
        BackwardCall(caches[1], parts[1], of_direction[1], need_d_x, []),
    )
    if need_d_x:
        one[0][...] += other[0]
    if one[2] is not None:
        d_initial = [torch.from_numpy(np.stack(pair)) for pair in zip(one[2], other[2], strict=True)]
    all_gradients = gradients(layer.mode, one[1], True) + gradients(layer.mode, other[1], True)
    return _gradient_of_x(layer, one[0]), d_initial, all_gradients


def _gradient_of_x(layer: Layer, d_x: Any) -> Tensor | None:
    if d_x is None:
        return None
    return torch.from_numpy(d_x if layer.batch_first else d_x.swapaxes(0, 1))


def _arrays(*states: Tensor | None, keep_absent: bool = False) -> Any:
    """Return states as arrays, those that are there or, to keep their places, None for the others; None if none is."""
    arrays = [None if s is None else _array(s) for s in states if keep_absent or s is not None]
    return arrays if any([a is not None for a in arrays]) else None  # noqa: C419  a list is faster


def _array(t: Tensor) -> Any:
    return t.detach().numpy() if t.requires_grad else t.numpy()


def _of_directions(states: Any, count: int) -> list[Any]:
    """Return the states of each direction, of arrays (directions, batch, width)."""
    if states is None:
        return [None] * count
    return [[None if s is None else s[k] for s in states] for k in range(count)]
