"""The two passes of one layer on NumPy arrays, whatever the backend: the core's, with what Keras's loops do otherwise.

Keras returns the outputs in the order in which the steps were taken, the core each at its own step. Of the steps that
a mask leaves out, Keras's backends return what they say in `Problem`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ... import _core
from ..._options import CellOptions
from ..._passes import BackwardCall, Call, run_backward, run_forward

Array = NDArray[Any]


class Problem(NamedTuple):
    """What a layer computes, without its numbers: a compiler may take it for a constant.

    Parameters
    ----------
    options : of the cell.
    return_sequences, go_backwards, zero_output_for_mask : Keras's.
    begins_with_state : whether the output of steps left out before the first valid one is the initial h, not zero.
    """

    options: CellOptions
    return_sequences: bool
    go_backwards: bool
    zero_output_for_mask: bool
    begins_with_state: bool


class Operands(NamedTuple):
    """The numbers of a call, tensors of any backend.

    Parameters
    ----------
    x : (batch, steps, inputs).
    h, c : (batch, units); ``c`` of an LSTM alone.
    mask : (batch, steps) bool, or None.
    dropout, recurrent_dropout : factors (batch, inputs) and (batch, units), or with an axis of the gates in front.
    weights : kernel, recurrent_kernel and, if there is one, bias.
    """

    x: Any
    h: Any
    c: Any
    mask: Any
    dropout: Any
    recurrent_dropout: Any
    weights: tuple[Any, ...]

    @property
    def states(self) -> tuple[Any, ...]:
        """The initial states that the cell has."""
        return (self.h,) if self.c is None else (self.h, self.c)


class Kept(NamedTuple):
    """What the backward pass needs."""

    problem: Problem
    mask: Array | None  # in the order of the steps taken
    cache: Any


def forward(problem: Problem, given: Operands, training: bool) -> tuple[Array, tuple[Array, ...], Kept]:
    """Return outputs, (batch, steps, units) or (batch, units), the last states, and what `backward` needs."""
    out = None
    if problem.return_sequences:  # one of ours: to its own, which it looks at again, the core lets nobody write
        out = _in_order(problem, np.empty((*given.x.shape[:2], given.h.shape[1]), given.x.dtype))
    outputs, last, cache = run_forward(
        Call(
            _core.pack(problem.options, list(given.weights), training, False),
            given.x,
            given.states,
            problem.return_sequences,
            training,
            out,
            None,
            given.mask,
            problem.zero_output_for_mask,
            problem.go_backwards,
            given.dropout,
            given.recurrent_dropout,
            None,
            training,
        )
    )
    outputs = _in_order(problem, outputs)
    mask = None if given.mask is None else _reversed(given.mask) if problem.go_backwards else given.mask
    kept = Kept(problem, mask, cache)
    zeroed, begun = _zeroed(kept), _begun(kept)
    if zeroed is not None:
        outputs = np.where(zeroed, outputs.dtype.type(0), outputs)
    if begun is not None:
        outputs = np.where(begun, given.h[:, None] if problem.return_sequences else given.h, outputs)
    return outputs, last, kept


def backward(
    kept: Kept, d_outputs: Array | None, d_states: tuple[Array | None, ...], need_d_x: bool
) -> tuple[Array | None, tuple[Array, ...], list[Array]]:
    """Return the gradients of x, of the initial states and of the weights, of those of outputs and last states."""
    d_begun = None
    if d_outputs is not None:
        zeroed, begun = _zeroed(kept), _begun(kept)
        if zeroed is not None:
            d_outputs = np.where(zeroed, d_outputs.dtype.type(0), d_outputs)
        if begun is not None:
            d_begun = np.where(begun, d_outputs, d_outputs.dtype.type(0))
        d_outputs = _in_order(kept.problem, d_outputs)
    d_last = None if all(d is None for d in d_states) else d_states
    d_x, d_weights, d_first = run_backward(BackwardCall(kept.cache, d_outputs, d_last, need_d_x, []))
    if d_begun is not None:
        d_h, *rest = d_first
        d_first = (d_h + (d_begun.sum(axis=1) if kept.problem.return_sequences else d_begun), *rest)
    return d_x, tuple(d_first), d_weights


def _zeroed(kept: Kept) -> Array | None:
    """Return the rows (batch, 1) whose only output is zero, since the last step taken is one that is left out."""
    if kept.mask is None or kept.problem.return_sequences or not kept.problem.zero_output_for_mask:
        return None  # the core does the rest
    return np.asarray(~kept.mask[:, -1:])


def _begun(kept: Kept) -> Array | None:
    """Return where the output is the initial h, (batch, steps, 1) or (batch, 1)."""
    problem, mask = kept.problem, kept.mask
    if mask is None or problem.zero_output_for_mask or not problem.begins_with_state:
        return None
    if not problem.return_sequences:
        return np.asarray(~mask.any(axis=1, keepdims=True))
    return ~np.maximum.accumulate(mask, axis=1)[..., None]


def _in_order(problem: Problem, outputs: Array) -> Array:
    """Return a view of outputs in the order of the steps taken where they stand at their own, or the other way."""
    return _reversed(outputs) if problem.return_sequences and problem.go_backwards else outputs


def _reversed(array: Array) -> Array:
    return array[:, ::-1]
