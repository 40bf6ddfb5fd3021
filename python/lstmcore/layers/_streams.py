"""Streams of recurrent layers that the core's stream does not know: of cells in Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..streaming import Stage, written
from .layer import Array

Run = Callable[[Array, list[Array]], tuple[Array, list[Array]]]


class ChunkStream(Stage):
    """Keeps the states between calls of a function of a chunk and the states before it.

    Parameters
    ----------
    run : takes a chunk (batch, steps, features) and the states, and returns outputs and new states.
    start : returns the states to begin with.
    width, dtype : of the outputs.
    """

    def __init__(self, run: Run, start: Callable[[], list[Array]], width: int, dtype: np.dtype[Any]) -> None:
        super().__init__(width, dtype)
        self._run, self._start = run, start
        self._state = start()

    def __call__(self, inputs: Array, out: Array | None = None) -> Array:
        """Return the outputs of the next chunk, (batch, steps, width): in ``out`` or in a new array."""
        outputs, self._state = self._run(inputs, self._state)
        return written(outputs, out)

    @property
    def state(self) -> list[Array]:
        """Copies of the states; to set it, arrays of their shapes."""
        return [state.copy() for state in self._state]

    @state.setter
    def state(self, values: Sequence[ArrayLike]) -> None:
        self.load(states_like(self._state, values))

    def load(self, state: Sequence[Array]) -> None:
        """Go on from these states, which fit."""
        self._state = [s.copy() for s in state]

    def reset(self) -> None:
        """Begin again."""
        self._state = self._start()


def states_like(states: Sequence[Array], values: Sequence[ArrayLike]) -> list[Array]:
    """Return the states that a stream is told as arrays, after checking their shapes."""
    if len(values) != len(states):
        raise ValueError(f"state: expected {len(states)} arrays, got {len(values)}")
    for k, (own, value) in enumerate(zip(states, values, strict=True)):
        if np.shape(value) != own.shape:
            raise ValueError(f"state[{k}]: expected shape {own.shape}, got {np.shape(value)}")
    return [np.asarray(value, own.dtype) for own, value in zip(states, values, strict=True)]
