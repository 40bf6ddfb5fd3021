"""Running layers piece by piece: a step or a chunk at a time, the state kept in between."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._arguments import positive_integer
from ._options import Zoneout

__all__ = ["RecurrentStream", "Stream"]

Array = NDArray[Any]


# Who uses a stream takes the one element of its list `_free` and puts it back: pop and append are atomic, and
# take 15 ns; a lock takes 75, which shows in a step of two microseconds.


def _in_use(stream: object) -> RuntimeError:
    return RuntimeError(f"{type(stream).__name__}: is in use by another thread; make a stream for each thread")


@contextlib.contextmanager
def _taken(stream: Stream | RecurrentStream) -> Iterator[None]:
    try:
        stream._free.pop()
    except IndexError:
        raise _in_use(stream) from None
    try:
        yield
    finally:
        stream._free.append(None)


class Stage(Protocol):
    """What `Stream` is made of: a function of a chunk (batch, steps, features) whose arrays exist already."""

    def __call__(self, inputs: Array) -> Array:
        """Return the outputs, (batch, steps, width), in an array that the next call overwrites."""
        ...

    def reset(self) -> None:
        """Forget what came before."""
        ...


class RecurrentStream:
    """A recurrent layer that keeps its state from chunk to chunk.

    Parameters
    ----------
    weights : from `functional.pack_lstm`, `pack_gru` or `pack_rnn`.
    batch_size : rows of every chunk.
    steps : the most steps of a chunk.
    zoneout : rates to mix by, if the layer was trained with zoneout.

    The outputs are bit for bit those of the whole sequence at once. One thread at a time may use it: a
    call, a reset or a setting of the state while another runs raises RuntimeError. Streams of the same
    weights may run side by side.
    """

    def __init__(
        self, weights: _core.PackedWeights, batch_size: int, steps: int, zoneout: Zoneout | None = None
    ) -> None:
        batch_size, steps = positive_integer("batch_size", batch_size), positive_integer("steps", steps)
        self._stream = _core.Stream(weights, batch_size, steps, zoneout)
        self._outputs: Array = self._stream.outputs
        self._steps = steps
        self._free = [None]

    def __call__(self, inputs: Array) -> Array:
        """Return the outputs, (batch, steps, width), in an array that the next call overwrites."""
        try:
            self._free.pop()
        except IndexError:
            raise _in_use(self) from None
        try:
            steps = self._stream.run(inputs)
        finally:
            self._free.append(None)
        return self._outputs if steps == self._steps else self._outputs[:, :steps]

    @property
    def state(self) -> list[Array]:
        """The states, h or h and c, as they are used: writing to them changes what comes next."""
        return list(self._stream.state)

    @state.setter
    def state(self, values: Sequence[ArrayLike]) -> None:
        states = self.state
        if len(values) != len(states):
            raise ValueError(f"state: expected {len(states)} arrays, got {len(values)}")
        for k, (own, value) in enumerate(zip(states, values, strict=True)):
            if np.shape(value) != own.shape:
                raise ValueError(f"state[{k}]: expected shape {own.shape}, got {np.shape(value)}")
        with _taken(self):
            for own, value in zip(states, values, strict=True):
                own[...] = value

    def reset(self) -> None:
        """Begin again with a state of zeros."""
        with _taken(self):
            for state in self.state:
                state.fill(0)


class Stream:
    """A model that takes a sequence piece by piece; made by ``model.stream()``.

    >>> import numpy as np
    >>> from lstmcore import Sequential, layers
    >>> model = Sequential([layers.LSTM(4, return_sequences=True, input_shape=(None, 2)), layers.Dense(1)])
    >>> stream = model.stream()
    >>> x = np.ones((1, 5, 2), "float32")
    >>> steps = [stream(x[:, t]).copy() for t in range(5)]
    >>> bool((np.stack(steps, axis=1) == model(x)).all())
    True

    All memory is allocated when it is made. What a call returns is overwritten by the next one. The
    weights are those of that moment: later training does not reach it. One thread at a time may use it:
    a call or a reset while another runs raises RuntimeError; several streams of a model may run side
    by side.

    Parameters
    ----------
    stages : one for each layer.
    batch_size, steps, features : the shape of the largest chunk; features None: a chunk is of integers,
        (batch, steps).
    convert : makes arrays of the inputs, or refuses them.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        batch_size: int,
        steps: int,
        features: int | None,
        convert: Callable[[str, ArrayLike], Array],
    ) -> None:
        self._stages = list(stages)
        self._shape = batch_size, steps, features or 1
        self._integers = features is None
        self._convert = convert
        self._free = [None]

    def __call__(self, inputs: ArrayLike) -> Array:
        """Return the outputs of the next step (batch, features) or chunk (batch, steps, features).

        With a batch of one, a step may also be (features,) alone. A model that begins with an
        `Embedding` takes integers: (batch,), (batch, steps), or one alone.
        """
        array = self._convert("inputs", inputs)
        if self._integers:
            array = array[..., None]
        batch, steps, features = self._shape
        shape = array.shape
        if shape == (features,) and batch == 1:
            chunk = array[None, None]
        elif array.ndim == 2:
            chunk = array[:, None]
        else:
            chunk = array
        if chunk.ndim != 3 or chunk.shape[0] != batch or chunk.shape[2] != features or not 1 <= chunk.shape[1] <= steps:
            raise ValueError(
                f"inputs: expected a step ({batch}, {features}) or a chunk ({batch}, 1 to {steps}, {features}), "
                f"got {shape}"
            )
        try:
            self._free.pop()
        except IndexError:
            raise _in_use(self) from None
        try:
            for stage in self._stages:
                chunk = stage(chunk)
        finally:
            self._free.append(None)
        return chunk if len(shape) == 3 else chunk[:, 0] if len(shape) == 2 else chunk[0, 0]

    step = __call__

    @property
    def states(self) -> list[list[Array]]:
        """The states of the recurrent layers, as they are used."""
        return [stage.state for stage in self._stages if isinstance(stage, RecurrentStream)]

    def reset(self) -> None:
        """Forget what came before: begin a new sequence."""
        with _taken(self):
            for stage in self._stages:
                stage.reset()

    def __repr__(self) -> str:
        batch, steps, features = self._shape
        return f"<Stream of {len(self._stages)} layers, batch_size={batch}, steps<={steps}, features={features}>"
