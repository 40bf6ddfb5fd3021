"""Running layers piece by piece: a step or a chunk at a time, the state kept in between."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import _core
from ._arguments import float_array, float_dtype, items, positive_integer, shown
from ._options import Zoneout
from ._ours import is_ours
from ._tree import all_of

__all__ = ["Chain", "RecurrentStream", "Stage", "Stream"]

Array = NDArray[Any]


class Remembering:
    """What remembers what came before, as a list of arrays."""

    def memory(self) -> list[Array]:
        """Return copies of all that it remembers."""
        return []

    def load(self, state: Sequence[Array]) -> None:
        """Remember what `memory` has returned; shapes and dtypes are right."""

    @property
    def state(self) -> list[Array]:
        """All that it remembers, as copies; set, it goes on from there.

        Either all arrays are set or, where one does not fit, none.
        """
        return self.memory()

    @state.setter
    def state(self, values: Sequence[ArrayLike]) -> None:
        own, values = self.memory(), items("state", values, "a list of arrays")
        if len(values) != len(own):
            raise ValueError(f"state: expected {len(own)} arrays, got {len(values)}")
        arrays = [float_array(f"state[{k}]", v, o.dtype) for k, (o, v) in enumerate(zip(own, values, strict=True))]
        for k, (o, array) in enumerate(zip(own, arrays, strict=True)):
            if array.shape != o.shape:
                raise ValueError(f"state[{k}]: expected shape {o.shape}, got {array.shape}")
        self.load(arrays)

    def reset(self) -> None:
        """Forget what came before."""

    # --- copies, which go on by themselves from the same state ---

    def apart(self) -> Mapping[int, Any]:
        """Return what a copy has instead of an object here, by the id of that; the object itself where it shares it."""
        packed = (_core.PackedMatrix, _core.PackedWeights)  # immutable
        return {id(part): part for kind in packed for part in all_of(kind, vars(self))}

    def __copy__(self) -> Any:
        return copy.deepcopy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        memo.update(self.apart())
        twin = memo[id(self)] = object.__new__(type(self))
        vars(twin).update({name: copy.deepcopy(value, memo) for name, value in vars(self).items()})
        return twin


class Together(Remembering):
    """Several that remember, as one."""

    _stages: Sequence[Remembering]

    def memory(self) -> list[Array]:
        """Return what all of them remember."""
        return [array for stage in self._stages for array in stage.memory()]

    def load(self, state: Sequence[Array]) -> None:
        """Set what all of them remember."""
        at = 0
        for stage in self._stages:
            count = len(stage.memory())
            stage.load(state[at : at + count])
            at += count

    def reset(self) -> None:
        """Make all of them forget."""
        for stage in self._stages:
            stage.reset()


class Stage(Remembering):
    """What a `Stream` is made of: a function of chunks (batch, steps, features) that may remember what came before.

    Parameters
    ----------
    width, dtype : of its outputs.

    One that remembers returns its `memory`, and sets it in `load`. A layer of your own returns one from its ``stream``,
    for `models.Sequential.stream`:

    >>> import numpy as np
    >>> from lstmcore.streaming import Stage
    >>> class Difference(Stage):
    ...     def __init__(self, batch_size, width):
    ...         super().__init__(width, "float32")
    ...         self.last = np.zeros((batch_size, 1, width), "float32")
    ...     def __call__(self, inputs, out=None):
    ...         outputs = self.new(inputs, out)
    ...         np.subtract(inputs, np.concatenate([self.last, inputs[:, :-1]], axis=1), out=outputs)
    ...         self.last[...] = inputs[:, -1:]
    ...         return outputs
    ...     def memory(self):
    ...         return [self.last.copy()]
    ...     def load(self, state):
    ...         self.last[...] = state[0]
    ...     def reset(self):
    ...         self.last[...] = 0
    >>> difference = Difference(1, 1)
    >>> difference(np.array([[[1], [3], [6]]], "float32")).ravel()
    array([1., 2., 3.], dtype=float32)
    """

    def __init__(self, width: int, dtype: DTypeLike) -> None:
        self.width, self.dtype = positive_integer("width", width), float_dtype("dtype", dtype)

    def __call__(self, inputs: Array, out: Array | None = None) -> Array:
        """Return the outputs, (batch, steps, width): in ``out``, which is C-contiguous, or in a new array."""
        raise NotImplementedError

    def new(self, inputs: Array, out: Array | None) -> Array:
        """Return ``out``, or a new array for the outputs of a chunk."""
        return np.empty((*inputs.shape[:2], self.width), self.dtype) if out is None else out

    def rows(self, inputs: Array, width: int, out: Array | None) -> Array:
        """Return room for what an activation is applied to, (batch * steps, width): that of the outputs if it fits."""
        count = inputs.shape[0] * inputs.shape[1]
        return np.empty((count, width), self.dtype) if out is None or width != self.width else out.reshape(count, width)

    def activated(self, in_place: Callable[[Array], Array], rows: Array, inputs: Array, out: Array | None) -> Array:
        """Return the outputs of an activation of `rows`; it may leave fewer features."""
        outputs = in_place(rows)
        if outputs is rows and out is not None:
            return out
        return written(outputs.reshape(*inputs.shape[:2], self.width), out)


def written(outputs: Array, out: Array | None) -> Array:
    """Return outputs, in ``out`` if it is given."""
    if out is None:
        return outputs
    out[...] = outputs
    return out


def _checked(stages: Any) -> list[Stage]:
    """Return stages as a list, of at least one, or raise."""
    found = items("stages", stages, "a list of stages")
    for k, stage in enumerate(found):
        if not isinstance(stage, Stage):
            raise TypeError(f"stages[{k}]: expected a Stage, got {shown(stage)}")
    if not found:
        raise ValueError("stages: expected at least one, got none")
    return found


class RecurrentStream(Stage):
    """A recurrent layer that keeps its state from chunk to chunk.

    >>> import numpy as np
    >>> from lstmcore import functional
    >>> from lstmcore.streaming import RecurrentStream
    >>> stream = RecurrentStream(functional.pack_rnn([np.ones((2, 3)), np.ones((3, 3))]), 1, 1)
    >>> stream(np.ones((1, 1, 2))).shape, len(stream.state)
    ((1, 1, 3), 1)

    Parameters
    ----------
    weights : from `functional.pack_lstm` or that of another cell.
    batch_size : rows of every chunk.
    steps : the most steps of a chunk.
    zoneout : rates to mix by, if the layer was trained with zoneout.

    The outputs are bit for bit those of the whole sequence at once. One thread at a time may use it: a
    call, a reset or a look at the state while another runs raises RuntimeError. Streams of the same
    weights may run side by side.
    """

    def __init__(
        self, weights: _core.PackedWeights, batch_size: int, steps: int, zoneout: Zoneout | None = None
    ) -> None:
        batch_size, steps = positive_integer("batch_size", batch_size), positive_integer("steps", steps)
        self._stream = _core.Stream(weights, batch_size, steps, zoneout)
        super().__init__(self._stream.width, self._stream.dtype)
        self._made_of = weights, batch_size, steps, zoneout

    def apart(self) -> Mapping[int, Any]:
        """Let a copy have a stream of its own in the core, of the same weights."""
        twin = _core.Stream(*self._made_of)
        twin.set_state(self._stream.state())
        return {**super().apart(), id(self._stream): twin}

    def __call__(self, inputs: ArrayLike, out: Array | None = None) -> Array:
        """Return the outputs, (batch, steps, width): in ``out``, features contiguous, or in a new array."""
        return self._stream.run(inputs, out)

    def memory(self) -> list[Array]:
        """Return copies of the states, h first."""
        return self._stream.state()

    def load(self, state: Sequence[Array]) -> None:
        """Set the states."""
        self._stream.set_state(state)

    def reset(self) -> None:
        """Begin again with a state of zeros."""
        self._stream.reset()


class Chain(Together, Stage):
    """Stages one after the other, and the memory between them."""

    _stages: list[Stage]

    def __init__(self, stages: Sequence[Stage], batch_size: int, steps: int) -> None:
        self._stages = _checked(stages)
        *first, self._last = self._stages
        super().__init__(self._last.width, self._last.dtype)
        batch_size, steps = positive_integer("batch_size", batch_size), positive_integer("steps", steps)
        self._memory = [np.zeros(batch_size * steps * stage.width, stage.dtype) for stage in first]
        self._set_steps(batch_size, steps)

    def _set_steps(self, batch: int, steps: int) -> None:
        between = [
            memory[: batch * steps * stage.width].reshape(batch, steps, stage.width)
            for stage, memory in zip(self._stages, self._memory, strict=False)
        ]
        self._first, self._steps = list(zip(self._stages, between, strict=False)), steps

    def __call__(self, inputs: Array, out: Array | None = None) -> Array:
        """Return the outputs of the last stage."""
        if inputs.shape[1] != self._steps:
            self._set_steps(*inputs.shape[:2])
        for stage, between in self._first:
            inputs = stage(inputs, between)
        return self._last(inputs, out)


class Entrance:
    """Where arrays come in: makes chunks (batch, steps, features) of steps and chunks, and refuses what is neither.

    Parameters
    ----------
    name : for errors.
    convert : makes arrays of what is given, or refuses it.
    batch_size, steps, features : the shape of the largest chunk; features None: integers, without an axis of features.
    """

    def __init__(
        self, name: str, convert: Callable[[str, Any], Array], batch_size: int, steps: int, features: int | None
    ) -> None:
        self.shape = batch_size, steps, features
        self._name, self.convert = name, convert
        self._step = (batch_size,) if features is None else (batch_size, features)
        self._axes = np.s_[:, None, None] if features is None else np.s_[:, None]

    def chunk(self, inputs: Any) -> tuple[Array, int]:
        """Return the chunk, and the axes that it came with: 3, of a step 2, of a step of a single row 1."""
        array = self.convert(self._name, inputs)
        if array.shape == self._step:
            return array[self._axes], 2
        batch, steps, features = self.shape
        last, given, integers = f" {features}", array.shape, features is None
        if integers:
            array, features, last = array[..., None], 1, ""
        if array.shape == (features,) and batch == 1:
            return array[None, None], 1
        chunk = array[:, None] if array.ndim == 2 else array
        if chunk.ndim != 3 or chunk.shape[0] != batch or chunk.shape[2] != features or not 1 <= chunk.shape[1] <= steps:
            more = "" if chunk.ndim != 3 or chunk.shape[1] <= steps else f"; stream(steps={chunk.shape[1]}) has room"
            raise ValueError(
                f"{self._name}: expected a step ({batch},{last}) or a chunk ({batch}, 1 to {steps}{last and ','}{last})"
                f", got {given}{more}"
            )
        return chunk, array.ndim


def as_it_came(outputs: Array, axes: int) -> Array:
    """Return outputs of a chunk with as many axes as its inputs came with."""
    result: Array = outputs if axes == 3 else outputs[:, 0] if axes == 2 else outputs[0, 0]
    return result


def check_place(
    name: str,
    out: Any,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    inputs: Sequence[Array],
    others: Sequence[Array] = (),
) -> None:
    """Refuse what outputs of that shape and dtype cannot be written into, beside other outputs."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"{name}: expected an array to write into, got {type(out).__name__}")
    if out.dtype != dtype:
        raise TypeError(f"{name}: expected dtype {dtype}, got {out.dtype}")
    if out.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {out.shape}")
    if not out.flags.writeable:
        raise ValueError(f"{name}: expected a writeable array, got a read-only one")
    for array in inputs:
        if np.may_share_memory(out, array):
            raise ValueError(f"{name}: overlaps inputs in memory")
    if any(np.may_share_memory(out, other) for other in others):
        raise ValueError(f"{name}: overlaps another output in memory")


class Stream(Stage):
    """A model that takes a sequence piece by piece; made by ``model.stream()``.

    >>> import numpy as np
    >>> from lstmcore import Sequential, layers
    >>> model = Sequential([layers.LSTM(4, return_sequences=True, input_shape=(None, 2)), layers.Dense(1)])
    >>> stream = model.stream()
    >>> x = np.ones((1, 5, 2), "float32")
    >>> steps = [stream(x[:, t]) for t in range(5)]
    >>> bool((np.stack(steps, axis=1) == model(x)).all())
    True

    ``stream.state`` is all that it remembers, a list of arrays. Set on a stream of the same model, also in another
    process, it makes that one go on from there; `reset` makes it begin anew.

    >>> other = model.stream()
    >>> other.state = stream.state
    >>> bool((other(x[:, 0]) == stream(x[:, 0])).all())
    True

    ``copy.copy(stream)`` goes on from the same state by itself, and shares the weights. Pickled, a stream takes its
    model along, which nobody may have trained since; the state alone is smaller, and always at hand.

    What is between the layers is allocated when it is made; a call allocates what it returns, and nothing with
    ``out``. The weights are those of that moment: later training does not reach it. One thread at a time may use
    it: a call, a reset or a look at the state while another runs raises RuntimeError; several streams of a model
    may run side by side. A call that ends in an exception may have brought some of the layers a chunk further than
    others: `reset` it, or set a state from before.

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
        stages = _checked(stages)
        batch_size, steps = positive_integer("batch_size", batch_size), positive_integer("steps", steps)
        self._chain = stages[0] if len(stages) == 1 else Chain(stages, batch_size, steps)
        super().__init__(self._chain.width, self._chain.dtype)
        self._run = self._chain.__call__ if is_ours(type(stages[-1])) else self._run_and_copy
        self._layers = len(stages)
        self._entrance = Entrance("inputs", convert, batch_size, steps, features)
        self._exclusive = _core.exclusive("Stream")
        self.source: Source | None = None

    def __call__(self, inputs: ArrayLike, out: Array | None = None) -> Array:
        """Return the outputs of the next step (batch, features) or chunk (batch, steps, features), a new array.

        With a batch of one, a step may also be (features,) alone. A model that begins with an
        `Embedding` takes integers: (batch,), (batch, steps), or one alone. ``out`` is an array to write them
        into instead; it must not share memory with the inputs.
        """
        chunk, axes = self._entrance.chunk(inputs)
        if out is not None:
            return self._into(out, chunk, axes)
        return as_it_came(self._exclusive(self._run, chunk), axes)

    step = __call__

    def _run_and_copy(self, chunk: Array, out: Array | None = None) -> Array:
        """Run stages of which the last, a user's, may return an array that it keeps, whatever it was given."""
        outputs = self._chain(chunk, out)
        return outputs if outputs is out else written(outputs.copy(), out)

    def _into(self, out: Array, chunk: Array, axes: int) -> Array:
        """Write the outputs of a chunk, whose inputs came with so many axes, into ``out``."""
        expected = (*chunk.shape[: axes - 1], self.width)
        check_place("out", out, expected, self.dtype, [chunk])
        if out.flags.c_contiguous and out.flags.aligned:
            whole = out if axes == 3 else out[:, None] if axes == 2 else out[None, None]
            self._exclusive(self._run, chunk, whole)
        else:
            out[...] = self._exclusive(self._run, chunk).reshape(expected)
        return out

    def memory(self) -> list[Array]:
        """Return copies of all that the layers remember, which is what `state` is.

        >>> import numpy as np
        >>> from lstmcore import Sequential, layers
        >>> model = Sequential([layers.Conv1D(3, 2, padding="causal", input_shape=(None, 2)), layers.GRU(4)])
        >>> stream, other, x = model.stream(), model.stream(), np.ones((1, 2), "float32")
        >>> y = stream(x)
        >>> other.state = stream.state
        >>> bool((stream(x) == other(x)).all())
        True

        Arrays of any stream of the same model and batch size fit, also when they were saved in between.
        """
        return self._exclusive(self._chain.memory)  # type: ignore[no-any-return]

    def load(self, state: Sequence[Array]) -> None:
        """Set what `memory` has returned, unchecked."""
        self._exclusive(self._chain.load, state)

    def reset(self) -> None:
        """Forget what came before: begin a new sequence."""
        self._exclusive(self._chain.reset)

    def generate(
        self,
        prompt: ArrayLike,
        n: int,
        temperature: float = 1.0,
        *,
        top_k: int | None = None,
        top_p: float | None = None,
        kind: str = "probabilities",
        seed: int | np.random.Generator | None = None,
    ) -> Array:
        """Go on with ``n`` tokens behind a prompt, each drawn from what the model says behind those before.

        >>> from lstmcore import Sequential, layers
        >>> model = Sequential([layers.Embedding(5, 4, input_shape=(None,)), layers.LSTM(8, return_sequences=True)])
        >>> model.add(layers.Dense(5, activation="softmax"))
        >>> model.stream().generate([0, 3, 1], 6, temperature=0.8, seed=0).shape
        (6,)

        It begins where the stream is, with the state that it has: `reset` it for another text. Then it has read the
        prompt and all that was drawn but for the last token, which is the prompt to go on with.

        Parameters
        ----------
        prompt : tokens as integers, (batch, steps), or of one row (steps,); any number of steps from 1 on. A model that
            does not begin with an `Embedding` is given them one-hot.
        n : how many to draw.
        temperature, top_k, top_p, seed : as of `decoders.sample`. A generator as ``seed`` goes on from call to call.
        kind : what the model returns, as of `decoders.sample`: "logits" where there is no softmax at the end.

        Returns
        -------
        (batch, n) int64, or (n,) for a prompt (steps,).

        Raises
        ------
        ValueError, TypeError
            The prompt is no tokens, the model does not take them, or does not return probabilities of each.
        """
        from .decoders import generation  # here: most streams are of numbers

        batch, steps, features = self._entrance.shape
        tokens = generation.prompt_of(prompt, batch, self.width, one_hot=features is not None)
        if features not in (None, self.width):
            raise ValueError(
                f"generate: expected a model that takes tokens, or as many features as it returns, {self.width}, got "
                f"one of {features} features"
            )

        def run(chunk: Array) -> Array:
            given = chunk[..., None] if features is None else np.eye(features, dtype=self.dtype)[chunk]
            return self._run(given)

        drawn: Array = self._exclusive(
            generation.generated,
            run,
            tokens,
            positive_integer("n", n),
            steps,
            {"temperature": temperature, "top_k": top_k, "top_p": top_p, "kind": kind},
            seed,
        )
        return drawn if np.ndim(prompt) == 2 else drawn[0]

    # --- copies ---

    def apart(self) -> Mapping[int, Any]:
        """Let a copy be used beside this stream, and share what takes the inputs."""
        shared = {id(part): part for part in (self._entrance, self.source)}
        return {**super().apart(), **shared, id(self._exclusive): _core.exclusive("Stream")}

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self._exclusive(super().__deepcopy__, memo)

    def __reduce__(self) -> Any:
        if self.source is not None:
            return self.source.reduced(self)
        stages = self._chain._stages if isinstance(self._chain, Chain) and self._layers > 1 else [self._chain]
        return type(self), (stages, *self._entrance.shape, self._entrance.convert)

    def __repr__(self) -> str:
        batch, steps, features = self._entrance.shape
        return f"<Stream of {self._layers} layers, batch_size={batch}, steps<={steps}, features={features or 1}>"


class Source:
    """Which model a stream was made by: what it takes to make it again elsewhere.

    Parameters
    ----------
    model : the model.
    batch_size, steps : that it was made for.
    """

    def __init__(self, model: Any, batch_size: int, steps: int) -> None:
        self.model, self._sizes = model, (batch_size, steps)
        self._versions = self._now()

    def _now(self) -> list[int]:
        return [variable.place.vectors.version for variable in self.model.variables]

    def reduced(self, stream: Any) -> Any:
        """Return what pickles a stream: its model as it is for inference, and its state."""
        if self._now() != self._versions:
            raise RuntimeError(
                f"{self.model.name}: stream: cannot be pickled, for the model has been trained, compiled or given "
                "other weights since it was made; pickle its state and the model, or make another stream"
            )
        return _again, (self.model.for_inference(), *self._sizes, stream.state)


def _again(model: Any, batch_size: int, steps: int, state: list[Array]) -> Any:
    stream = model.stream(batch_size, steps)
    stream.state = state
    return stream
