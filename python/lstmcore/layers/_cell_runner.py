"""A cell of the user's over a sequence, step by step in Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._arguments import check_sequences, valid_steps
from ._streams import ChunkStream
from .layer import Array


class CellRunner:
    """Runs a user's cell step by step, with the padding that `functional` describes."""

    def __init__(self, cell: Any) -> None:
        self.cell = cell
        self.return_sequences = self.go_backwards = False
        self.d_initial_state: list[Array] | None = None
        self._cache: Any = None

    def run(
        self,
        inputs: Array,
        training: bool,
        initial_state: list[Array] | None,
        mask: ArrayLike | None,
        lengths: ArrayLike | None,
        zero_output_for_mask: bool,
    ) -> tuple[Array, list[Array]]:
        check_sequences(self.cell.name, inputs.shape)
        batch, steps, _ = inputs.shape
        if steps == 0:
            raise ValueError(f"{self.cell.name}: inputs: expected at least one step, got shape {inputs.shape}")
        self.cell._check_features(inputs.shape)
        valid = valid_steps(f"{self.cell.name}: ", batch, steps, mask, lengths)
        repeat = mask is not None and not zero_output_for_mask
        states = initial_state or self.cell.zeros(batch)
        for k, (state, size) in enumerate(zip(states, self.cell.state_sizes, strict=True)):
            if state.shape != (batch, size):
                raise ValueError(
                    f"{self.cell.name}: initial_state[{k}]: expected shape {(batch, size)}, got {state.shape}"
                )
        width = self.cell.output_size or self.cell.state_sizes[0]
        outputs = np.zeros((batch, steps, width), self.cell.dtype)
        last = np.zeros((batch, width), self.cell.dtype)
        order = range(steps - 1, -1, -1) if self.go_backwards else range(steps)
        saved = []
        for t in order:
            now = valid[:, t, None]
            output, new_states, kept = self.cell._step(np.where(now, inputs[:, t], 0), states, training)
            states = [np.where(now, new, old) for new, old in zip(new_states, states, strict=True)]
            last = np.where(now, output, last)
            outputs[:, t] = last if repeat else np.where(now, output, 0)
            saved.append(kept)
        if training:
            self._cache = saved, valid, repeat, order, states, initial_state is not None
        return outputs if self.return_sequences else last, states

    def run_backward(
        self, d_outputs: Array | None, need_d_inputs: bool, d_state: Sequence[Array | None] | None = None
    ) -> Array | None:
        if self._cache is None:
            raise RuntimeError(f"{self.cell.name}: backward needs a forward pass with training=True before it")
        given = self._gradients_of_states(self._cache[4], d_state)
        (saved, valid, repeat, order, states, told), self._cache = self._cache, None
        d_states = [np.zeros_like(s) if d is None else d for s, d in zip(states, given, strict=True)]
        if d_outputs is None:  # of which nothing was used
            steps = (len(order),) if self.return_sequences else ()
            width = self.cell.output_size or self.cell.state_sizes[0]
            d_outputs = np.zeros((len(valid), *steps, width), self.cell.dtype)
        d_last = np.zeros_like(d_outputs[:, 0]) if self.return_sequences else d_outputs
        d_inputs: Array | None = None
        for t, kept in zip(reversed(order), reversed(saved), strict=True):
            now = valid[:, t, None]
            if self.return_sequences:
                d_last = d_last + d_outputs[:, t] if repeat else np.where(now, d_outputs[:, t], 0)
            none = [np.where(now, d, 0) for d in d_states]
            dx, d_prior = self.cell._step_back(kept, np.where(now, d_last, 0), none)
            d_last = np.where(now, 0, d_last)
            d_states = [np.where(now, prior, d) for prior, d in zip(d_prior, d_states, strict=True)]
            if d_inputs is None:
                d_inputs = np.zeros((len(dx), len(order), dx.shape[1]), dx.dtype)
            d_inputs[:, t] = np.where(now, dx, 0)
        self.d_initial_state = d_states if told else None
        return d_inputs if need_d_inputs else None

    def _gradients_of_states(self, states: list[Array], given: Sequence[Array | None] | None) -> Sequence[Array | None]:
        """Return the gradient of each of the last states, None for those that were not used."""
        if given is None:
            return [None] * len(states)
        if len(given) != len(states):
            raise ValueError(f"{self.cell.name}: d_state: expected {len(states)} arrays, got {len(given)}")
        for k, (d, state) in enumerate(zip(given, states, strict=True)):
            if d is not None and d.shape != state.shape:
                raise ValueError(f"{self.cell.name}: d_state[{k}]: expected shape {state.shape}, got {d.shape}")
        return given

    def stream_from(self, start: Callable[[], list[Array]]) -> ChunkStream:
        """Return a stream that begins with given states."""

        def run(inputs: Array, states: list[Array]) -> tuple[Array, list[Array]]:
            outputs = []
            for t in range(inputs.shape[1]):
                output, states, _ = self.cell._step(inputs[:, t], states, False)
                outputs.append(output)
            return np.stack(outputs, axis=1).astype(self.cell.dtype, copy=False), list(states)

        width = self.cell.output_size or self.cell.state_sizes[0]
        return ChunkStream(run, start, width, self.cell.dtype)

    def kernel_info(self) -> str:
        """Say what the cell runs on."""
        return f"{self.cell.name}: step by step in Python, {self.cell.dtype.name}"
