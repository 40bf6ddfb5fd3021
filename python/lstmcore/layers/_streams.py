"""Streams of recurrent layers that the core's stream does not know: of cells in Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

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

    def memory(self) -> list[Array]:
        """Return copies of the states."""
        return [state.copy() for state in self._state]

    def load(self, state: Sequence[Array]) -> None:
        """Go on from these states, which fit."""
        self._state = [s.copy() for s in state]

    def reset(self) -> None:
        """Begin again."""
        self._state = self._start()
