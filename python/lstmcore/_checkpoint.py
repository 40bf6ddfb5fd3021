"""Long sequences in little memory: the forward pass keeps the states at every so many steps, the
backward pass computes the steps between them again (Chen et al. 2016, one level).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Checkpoints:
    """What the backward pass needs: inputs, options and the state at the begin of each segment."""

    def __init__(self, call: Callable[..., Any], call_backward: Callable[..., Any], inputs: Array, weights: Any):
        self.call, self.call_backward = call, call_backward
        self.inputs, self.weights = inputs, weights
        self.segments: list[tuple[slice, Any, dict[str, Any]]] = []  # steps, state, options
        self.has_state = False
        self.return_sequences = False
        self.repeats: Array | None = None  # (batch, steps) step whose output a masked step repeats, or -1

    @property
    def nbytes(self) -> int:
        """Bytes of the states kept."""
        return sum(a.nbytes for _, state, _ in self.segments for a in _each(state))

    def backward(
        self,
        cache: Checkpoints,
        d_outputs: Array | None = None,
        d_state: Any = None,
        *,
        d_weights: Any = None,
        need_d_inputs: bool = True,
    ) -> Any:
        """Do what the cell's own backward function does."""
        d_inputs = np.zeros(self.inputs.shape, self.inputs.dtype) if need_d_inputs else None
        if d_outputs is not None and not self.return_sequences:
            d_last: Array | None = np.where(self._valid_rows()[:, None], d_outputs, 0).astype(self.inputs.dtype)
            d_outputs = None
        else:
            d_last = None
        if d_outputs is not None and self.repeats is not None:
            d_outputs = _fold(np.asarray(d_outputs), self.repeats)
        for steps, state, options in reversed(self.segments):
            _, _, kept = self.call(self.inputs[:, steps], self.weights, state, training=True, **options)
            if d_last is not None:  # the output was the last h
                parts = list(_each(d_state)) if d_state is not None else [None, None]
                parts[0] = d_last if parts[0] is None else parts[0] + d_last
                d_state = parts[0] if not isinstance(state, tuple) else tuple(parts)
                d_last = None
            part = None if d_outputs is None else d_outputs[:, steps]
            d_x, d_weights, d_state = self.call_backward(
                kept, part, d_state, d_weights=d_weights, need_d_inputs=need_d_inputs
            )
            if d_inputs is not None:
                d_inputs[:, steps] = d_x
        return d_inputs, tuple(d_weights), d_state if self.has_state else None

    def _valid_rows(self) -> Array:
        rows = np.zeros(len(self.inputs), bool)
        for steps, _, options in self.segments:
            if options.get("mask") is not None:
                rows |= np.asarray(options["mask"]).any(axis=1)
            elif options.get("lengths") is not None:
                rows |= np.asarray(options["lengths"]) > 0
            else:
                rows |= steps.stop > steps.start
        return rows


def checkpointed(call: Callable[..., Any], call_backward: Callable[..., Any], every: int) -> Callable[..., Any]:
    """Return a function like ``call`` (one of `lstmcore.functional`) that trains with checkpoints."""

    def run(
        inputs: Array,
        weights: Any,
        initial_state: Any = None,
        *,
        return_sequences: bool = True,
        training: bool = True,
        out: Array | None = None,
        lengths: Any = None,
        mask: Any = None,
        zero_output_for_mask: bool = False,
        go_backwards: bool = False,
        **options: Any,
    ) -> Any:
        if options.get("zoneout") is not None:
            raise ValueError("zoneout: its masks are numbered by the steps of the whole sequence; not with checkpoint")
        batch, steps, _ = inputs.shape
        kept = Checkpoints(call, call_backward, inputs, weights)
        kept.return_sequences, kept.has_state = return_sequences, initial_state is not None
        if lengths is not None:
            lengths = np.asarray(lengths)
        if mask is not None:
            mask = np.asarray(mask)
            if return_sequences and not zero_output_for_mask:
                kept.repeats = _repeats(mask, go_backwards)
        starts = range(0, steps, every)
        state, outputs, last = initial_state, None, None
        if return_sequences:
            outputs = np.empty((batch, steps, weights.outputs), inputs.dtype) if out is None else out
        for start in reversed(starts) if go_backwards else starts:
            part = slice(start, min(steps, start + every))
            here = dict(options, go_backwards=go_backwards, return_sequences=return_sequences)
            if lengths is not None:
                here["lengths"] = np.clip(lengths - start, 0, part.stop - start)
            if mask is not None:
                here |= {"mask": mask[:, part], "zero_output_for_mask": True}
            if state is None:
                state = _zeros(weights, batch, inputs.dtype)
            kept.segments.append((part, state, here))
            where = outputs[:, part] if outputs is not None else None
            _, state = call(inputs[:, part], weights, state, out=where, **here)
        last = state[0] if isinstance(state, tuple) else state
        if outputs is None:
            outputs = np.where(kept._valid_rows()[:, None], last, 0).astype(inputs.dtype)
            if out is not None:
                out[...] = outputs
                outputs = out
        elif kept.repeats is not None:
            rows, at = np.nonzero(~mask)
            source = kept.repeats[rows, at]
            outputs[rows, at] = np.where(source[:, None] >= 0, outputs[rows, source], 0)
        # Segments whose state was made up of zeros hand back a gradient that nobody asked for.
        return outputs, state, kept

    return run


def _each(state: Any) -> tuple[Any, ...]:
    return tuple(state) if isinstance(state, (tuple, list)) else (state,)


def _zeros(weights: Any, batch: int, dtype: Any) -> Any:
    h = np.zeros((batch, weights.outputs), dtype)
    return (h, np.zeros((batch, weights.units), dtype)) if weights.cell == "lstm" else h


def _repeats(mask: Array, go_backwards: bool) -> Array:
    """Return for each step the last valid one up to it, in the order of processing, or -1."""
    steps = np.where(mask, np.arange(mask.shape[1]), mask.shape[1] if go_backwards else -1)
    if go_backwards:
        found = np.minimum.accumulate(steps[:, ::-1], axis=1)[:, ::-1]
        return np.where(found == mask.shape[1], -1, found)
    return np.maximum.accumulate(steps, axis=1)


def _fold(d_outputs: Array, repeats: Array) -> Array:
    """Add the gradients of repeated outputs to those of the steps they repeat."""
    folded = np.zeros_like(d_outputs)
    rows, at = np.nonzero(repeats >= 0)
    np.add.at(folded, (rows, repeats[rows, at]), d_outputs[rows, at])
    return folded
