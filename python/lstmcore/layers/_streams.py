"""Streams of recurrent layers that the core's stream does not know: of cells in Python, and one behind another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from .layer import Array

Run = Callable[[Array, list[Array]], tuple[Array, list[Array]]]


class StatefulStage(Protocol):
    """A `streaming.Stage` that keeps states."""

    state: Any

    def __call__(self, inputs: Array) -> Array:
        """Return the outputs of the next chunk."""
        ...

    def reset(self) -> None:
        """Forget what came before."""
        ...


class ChunkStream:
    """Keeps the states between calls of a function of a chunk and the states before it.

    Parameters
    ----------
    run : takes a chunk (batch, steps, features) and the states, and returns outputs and new states.
    start : returns the states to begin with.
    """

    def __init__(self, run: Run, start: Callable[[], list[Array]]) -> None:
        self._run, self._start = run, start
        self._state = start()

    def __call__(self, inputs: Array) -> Array:
        """Return the outputs of the next chunk, (batch, steps, width)."""
        outputs, self._state = self._run(inputs, self._state)
        return outputs

    @property
    def state(self) -> list[Array]:
        """The states; what the next call goes on from."""
        return list(self._state)

    @state.setter
    def state(self, values: Sequence[ArrayLike]) -> None:
        self._state = states_like(self._state, values)

    def reset(self) -> None:
        """Begin again."""
        self._state = self._start()


class ChainStream:
    """The streams of stacked cells, each of which takes what the one before it gives."""

    def __init__(self, stages: Sequence[StatefulStage]) -> None:
        self._stages = list(stages)

    def __call__(self, inputs: Array) -> Array:
        """Return the outputs of the next chunk, (batch, steps, width)."""
        for stage in self._stages:
            inputs = stage(inputs)
        return inputs

    @property
    def state(self) -> list[Array]:
        """The states of all cells, one after the other."""
        return [state for stage in self._stages for state in stage.state]

    @state.setter
    def state(self, values: Sequence[ArrayLike]) -> None:
        left = states_like(self.state, values)
        for stage in self._stages:
            count = len(stage.state)
            stage.state, left = left[:count], left[count:]

    def reset(self) -> None:
        """Begin again."""
        for stage in self._stages:
            stage.reset()


def states_like(states: Sequence[Array], values: Sequence[ArrayLike]) -> list[Array]:
    """Return copies of the states that a stream is told, after checking their shapes."""
    if len(values) != len(states):
        raise ValueError(f"state: expected {len(states)} arrays, got {len(values)}")
    for k, (own, value) in enumerate(zip(states, values, strict=True)):
        if np.shape(value) != own.shape:
            raise ValueError(f"state[{k}]: expected shape {own.shape}, got {np.shape(value)}")
    return [np.array(value, own.dtype) for own, value in zip(states, values, strict=True)]
