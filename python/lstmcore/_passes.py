"""The two passes, of the core or step by step in NumPy, and their arguments; and long sequences in little memory, by
keeping the states at every so many steps and computing the steps between them again (Chen et al. 2016, one level).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._arguments import valid_steps
from ._core import PackedWeights
from ._options import Zoneout
from ._stepwise import StepwiseCache, StepwiseWeights
from .reference.sequences import make_padding

Array = NDArray[Any]
Result = tuple[Any, Any, Any]


class Call(NamedTuple):
    """The arguments of the core's forward pass, in its order."""

    weights: PackedWeights | StepwiseWeights
    inputs: ArrayLike
    state: Sequence[ArrayLike | None] | None
    return_sequences: bool
    training: bool
    out: Array | None
    lengths: ArrayLike | None
    mask: ArrayLike | None
    zero_output_for_mask: bool
    go_backwards: bool
    dropout_mask: ArrayLike | None
    recurrent_dropout_mask: ArrayLike | None
    zoneout: Zoneout | None
    shared: bool = False  # of training: the outputs, not copies of them, are kept, so nobody may write to them
    cell: str | None = None  # whose weights they must be, if that is to be checked


class BackwardCall(NamedTuple):
    """The arguments of the core's backward pass, in its order."""

    cache: Any
    d_outputs: ArrayLike | None
    d_state: Sequence[ArrayLike | None] | None
    need_d_inputs: bool
    d_weights: list[Array]


def run_forward(call: Call, checkpoint: int | None = None) -> Result:
    """Return outputs, the last states and, with ``training``, what the backward pass needs."""
    if checkpoint is not None and call.training:
        return _checkpointed(call, checkpoint)
    return _forward(call)


def run_backward(call: BackwardCall) -> Result:
    """Return the gradients of inputs, weights and the first states, or None where no state was given."""
    if isinstance(call.cache, (Checkpoints, StepwiseCache)):
        return call.cache.backward(*call[1:])
    return _core.backward(*call)


def run_both_forward(first: Call, second: Call) -> tuple[Result, Result]:
    """Do what `run_forward` does for two calls, in the core side by side."""
    if isinstance(first.weights, PackedWeights) and isinstance(second.weights, PackedWeights):
        return _core.forward_both(first, second)
    return _forward(first), _forward(second)


def run_both_backward(first: BackwardCall, second: BackwardCall) -> tuple[Result, Result]:
    """Do what `run_backward` does for two calls, in the core side by side."""
    if isinstance(first.cache, _core.Cache) and isinstance(second.cache, _core.Cache):
        return _core.backward_both(first, second)
    return run_backward(first), run_backward(second)


def _forward(call: Call) -> Result:
    if isinstance(call.weights, PackedWeights):
        return _core.forward(*call)  # type: ignore[arg-type]
    stand_in = _all_padding(call)._replace(weights=call.weights.stand_in, shared=False)
    valid = _checked(stand_in, call)
    batch, steps = valid.shape
    zero = call.zero_output_for_mask or call.mask is None
    padding = make_padding(batch, steps, None, valid, zero, call.go_backwards)
    return call.weights.forward(call, padding, _forward(stand_in))


def _checked(all_padding: Call, call: Call) -> Array:
    """Return which steps (batch, steps) of a call are valid, after checking all of it and before writing anything."""
    # The core checks a call against the whole sequence; of padding alone it computes nothing. Without `out`: it stays
    # as it is until all else is known to be right.
    _forward(all_padding._replace(return_sequences=False, out=None))
    batch, steps, _ = np.shape(call.inputs)
    return valid_steps("", batch, steps, call.mask, call.lengths)


class Checkpoints:
    """What the backward pass needs of a forward pass: for each segment its call and the states it began with."""

    def __init__(self, call: Call, valid: Array, empty: Any) -> None:
        self.call = call
        self.valid = valid  # (batch, steps)
        self.empty = empty  # the core's cache of the same call, all of it padding
        self.segments: list[tuple[slice, Call]] = []
        self.repeats: Array | None = None  # (batch, steps) step whose output a masked step repeats, or -1

    @property
    def cell(self) -> str:
        """The cell's name."""
        return self.call.weights.cell

    @property
    def weight_count(self) -> int:
        """The number of weights."""
        return self.call.weights.weight_count

    @property
    def nbytes(self) -> int:
        """Bytes of the states kept."""
        return sum(np.asarray(s).nbytes for _, call in self.segments for s in call.state or () if s is not None)

    def backward(self, d_outputs: Any, d_state: Any, need_d_inputs: bool, d_weights: list[Array]) -> Result:
        """Do what the core's backward pass does."""
        # Of padding alone this checks its arguments against the whole sequence and makes what it returns.
        d_inputs, d_weights, *_ = run_backward(BackwardCall(self.empty, d_outputs, d_state, need_d_inputs, d_weights))
        if d_outputs is not None:
            d_outputs = np.asarray(d_outputs)
        if d_outputs is not None and not self.call.return_sequences:  # the output was the last h
            last = np.where(self.valid.any(axis=1, keepdims=True), d_outputs, 0).astype(d_outputs.dtype)
            dh, *rest = d_state or (None,) * len(_core.cells[self.cell])
            d_state = (last if dh is None else last + np.asarray(dh), *rest)
            d_outputs = None
        if d_outputs is not None and self.repeats is not None:
            d_outputs = _fold(d_outputs, self.repeats)
        for steps, call in reversed(self.segments):
            *_, cache = _forward(call._replace(training=True, shared=True))
            part = None if d_outputs is None else d_outputs[:, steps]
            dx, d_weights, d_state = run_backward(BackwardCall(cache, part, d_state, need_d_inputs, d_weights))
            if need_d_inputs:
                d_inputs[:, steps] = dx
        has_state = self.call.state is not None and any(s is not None for s in self.call.state)
        return d_inputs, d_weights, d_state if has_state else None


def _checkpointed(call: Call, every: int) -> Result:
    """Do what the core's forward pass does for training, keeping only the states at every so many steps."""
    if call.zoneout is not None:
        raise ValueError("zoneout: its masks are numbered by the steps of the whole sequence; not with checkpoint")
    valid = _checked(_all_padding(call), call)
    steps = valid.shape[1]
    inputs = _features_contiguous(np.asarray(call.inputs))
    call = call._replace(
        inputs=inputs,
        shared=False,
        dropout_mask=_contiguous(call.dropout_mask),
        recurrent_dropout_mask=_contiguous(call.recurrent_dropout_mask),
    )
    outputs, state, empty = _forward(_all_padding(call))
    call = call._replace(  # the caller may write to theirs before the backward pass
        dropout_mask=_copy(call.dropout_mask), recurrent_dropout_mask=_copy(call.recurrent_dropout_mask)
    )
    kept = Checkpoints(call, valid, empty)
    if call.return_sequences and call.mask is not None and not call.zero_output_for_mask:
        kept.repeats = _repeats(valid, call.go_backwards)
    mask = None if call.lengths is None and call.mask is None else valid
    starts = range(0, steps, every)
    for start in reversed(starts) if call.go_backwards else starts:
        part = slice(start, min(steps, start + every))
        segment = call._replace(
            inputs=inputs[:, part],
            state=state,
            training=False,
            out=None,
            lengths=None,
            mask=None if mask is None else mask[:, part],
            zero_output_for_mask=True,
        )
        kept.segments.append((part, segment))
        where = outputs[:, part] if call.return_sequences else None
        _, state, _ = _forward(segment._replace(out=where))
    if not call.return_sequences:
        outputs[...] = np.where(valid.any(axis=1, keepdims=True), state[0], 0)
    elif kept.repeats is not None:
        rows, at = np.nonzero(~valid)
        source = kept.repeats[rows, at]
        outputs[rows, at] = np.where(source[:, None] >= 0, outputs[rows, source], 0)
    return outputs, state, kept


def _all_padding(call: Call) -> Call:
    """Return the call with rows of no steps."""
    try:
        batch = len(call.inputs)  # type: ignore[arg-type]
    except TypeError:  # of no rows, which the core refuses
        batch = 0
    return call._replace(lengths=np.zeros(batch, np.int64), mask=None)


def _copy(array: ArrayLike | None) -> Array | None:
    return None if array is None else np.array(array)


def _contiguous(array: ArrayLike | None) -> Array | None:
    return None if array is None else np.ascontiguousarray(array)


def _features_contiguous(inputs: Array) -> Array:
    """Return the inputs as the core takes them, copied here if need be: not again in both passes of each segment."""
    return inputs if inputs.strides[-1] == inputs.itemsize else np.ascontiguousarray(inputs)


def _repeats(valid: Array, go_backwards: bool) -> Array:
    """Return for each step the last valid one up to it, in the order of processing, or -1."""
    none = valid.shape[1] if go_backwards else -1
    steps = np.where(valid, np.arange(valid.shape[1]), none)
    if go_backwards:
        found = np.minimum.accumulate(steps[:, ::-1], axis=1)[:, ::-1]
        return np.where(found == none, -1, found)
    return np.maximum.accumulate(steps, axis=1)


def _fold(d_outputs: Array, repeats: Array) -> Array:
    """Add the gradients of repeated outputs to those of the steps they repeat."""
    folded = np.zeros_like(d_outputs)
    rows, at = np.nonzero(repeats >= 0)
    np.add.at(folded, (rows, repeats[rows, at]), d_outputs[rows, at])
    return folded
