"""Graphs that are run piece by piece."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._arguments import float_array, items
from .._tree import in_places, leaves, map_leaves
from ..graph.drawing import Drawing
from ..graph.plan import Slot, Step
from ..graph.symbol import Symbol
from ..streaming import Stage, Stages, written

Array = NDArray[Any]


class GraphStream:
    """A graph that takes sequences piece by piece; made by ``model.stream()``.

    >>> import numpy as np
    >>> from lstmcore import Input, Model, layers
    >>> x = Input((None, 2))
    >>> model = Model(x, layers.concatenate([layers.LSTM(3, return_sequences=True)(x), layers.Dense(2)(x)]))
    >>> stream, data = model.stream(), np.ones((1, 5, 2), "float32")
    >>> steps = [stream(data[:, t]) for t in range(5)]
    >>> bool((np.stack(steps, axis=1) == model(data)).all())
    True

    Inputs and outputs are as those of the model, in lists and dicts; a layer that is called twice has a state for each
    call. Otherwise as `streaming.Stream`: weights are those of the moment when it is made, `state` is all that it
    remembers, and one thread at a time may use it.

    Parameters
    ----------
    drawing : of the model.
    batch_size, steps : the rows of every chunk, and the most steps of one.
    """

    def __init__(self, drawing: Drawing, batch_size: int, steps: int) -> None:
        self._graph = _Graph(drawing, batch_size, steps)
        self._drawing, self._batch, self._steps = drawing, batch_size, steps
        self._inputs = [_Entrance(symbol, drawing) for symbol in leaves(drawing.inputs)]
        self._exclusive = _core.exclusive("Stream")

    def __call__(self, inputs: Any, out: Any = None) -> Any:
        """Return the outputs of the next step, (batch, features), or chunk, (batch, steps, features).

        With a batch of one, a step may also be (features,) alone. ``out`` are arrays to write the outputs into instead
        of new ones, as the model's outputs stand in lists and dicts.
        """
        given = in_places(inputs, self._drawing.given)
        if given is None or any(part is None for part in given):
            said = ", ".join(entrance.name for entrance in self._inputs)
            raise ValueError(f"inputs: expected {len(self._inputs)} arrays, for {said}, as the model takes them")
        pairs = [e.chunk(part, self._batch, self._steps) for e, part in zip(self._inputs, given, strict=True)]
        kinds = {axes for _, axes in pairs}
        if len({chunk.shape[1] for chunk, _ in pairs}) > 1 or len(kinds) > 1:
            said = ", ".join(str(chunk.shape[1]) for chunk, _ in pairs)
            raise ValueError(f"inputs: expected as many steps of each, got {said}")
        (axes,) = kinds
        outputs = self._exclusive(self._graph.run, [chunk for chunk, _ in pairs])
        outputs = outputs if axes == 3 else [part[:, 0] if axes == 2 else part[0, 0] for part in outputs]
        places = [None] * len(outputs) if out is None else self._places(out, outputs)
        pairs_of = zip(outputs, places, strict=True)
        at = iter([np.array(part) if place is None else written(part, place) for part, place in pairs_of])
        return map_leaves(lambda _: next(at), self._drawing.outputs)

    def _places(self, out: Any, outputs: list[Array]) -> list[Any]:
        """Return the arrays to write into, after a check."""
        found = in_places(out, self._drawing.outputs)
        shapes = [part.shape for part in outputs]
        if found is None or any(
            not isinstance(place, np.ndarray) or place.shape != part.shape or place.dtype != part.dtype
            for place, part in zip(found, outputs, strict=True)
        ):
            raise ValueError(f"out: expected arrays of shape {', '.join(map(str, shapes))} and the model's dtype")
        if not all(place.flags.writeable for place in found):
            raise ValueError("out: expected writeable arrays, got a read-only one")
        return found

    step = __call__

    @property
    def state(self) -> list[Array]:
        """All that it remembers, as copies; set, it goes on from there: with all arrays or, on an error, none."""
        return self._exclusive(self._graph.memory)  # type: ignore[no-any-return]

    @state.setter
    def state(self, values: Any) -> None:
        own, values = self.state, items("state", values, "a list of arrays")
        if len(values) != len(own):
            raise ValueError(f"state: expected {len(own)} arrays, got {len(values)}")
        arrays = [float_array(f"state[{k}]", v, o.dtype) for k, (o, v) in enumerate(zip(own, values, strict=True))]
        for k, (o, array) in enumerate(zip(own, arrays, strict=True)):
            if array.shape != o.shape:
                raise ValueError(f"state[{k}]: expected shape {o.shape}, got {array.shape}")
        self._exclusive(self._graph.load, arrays)

    def reset(self) -> None:
        """Forget what came before: begin new sequences."""
        self._exclusive(self._graph.reset)

    def __repr__(self) -> str:
        return f"<GraphStream of {self._drawing.name}, batch_size={self._batch}, steps<={self._steps}>"


class _Entrance:
    """One of the inputs: what fits, and how it becomes a chunk."""

    def __init__(self, symbol: Symbol, drawing: Drawing) -> None:
        readers = drawing.plan.readers(symbol)
        self.name = symbol.name
        # A model takes whole sequences only; a layer says what a step of it must be.
        self._reader, self._dtype = next((r for r in readers if not r.is_model), None), symbol.dtype
        self._tokens = symbol.ndim == 2
        if symbol.ndim not in (2, 3) or (self._tokens and getattr(self._reader, "input_dim", None) is None):
            raise NotImplementedError(
                f"{drawing.name}: {symbol.name}: expected sequences (batch, steps, features), or tokens (batch, steps) "
                f"for an Embedding, to be run piece by piece; it has shape {symbol.shape}"
            )
        self._features = 1 if self._tokens else symbol.shape[2]

    def chunk(self, value: Any, batch: int, steps: int) -> tuple[Array, int]:
        """Return (batch, steps, features), and how many axes it came with: 3 for a chunk, 2 or 1 for a step."""
        name = f"inputs: {self.name}"
        array = float_array(name, value, self._dtype) if self._reader is None else self._reader.convert(name, value)
        array = array[..., None] if self._tokens else array
        alone = array.ndim == 1 and batch == 1
        chunk = array[None, None] if alone else array[:, None] if array.ndim == 2 else array
        if (
            chunk.ndim != 3
            or chunk.shape[0] != batch
            or chunk.shape[2] != self._features
            or not 1 <= chunk.shape[1] <= steps
        ):
            last = "" if self._tokens else f", {self._features}"
            raise ValueError(
                f"{name}: expected a step ({batch}{last}) or a chunk ({batch}, 1 to {steps}{last}), got "
                f"{np.shape(value)}"
            )
        return chunk, array.ndim


class _Graph(Stages):
    """The steps of a plan, each with a stage of its own."""

    def __init__(self, drawing: Drawing, batch: int, steps: int) -> None:
        self._plan = drawing.plan
        self._runs: list[tuple[Step, Any]] = []
        used = {slot for step in self._plan.steps for slot in step.reads} | set(self._plan.outputs)
        for call, step in zip(self._plan.calls, self._plan.steps, strict=True):
            if len({symbol.ndim for symbol in call.sources}) > 1:
                shapes = ", ".join(str(symbol.shape) for symbol in call.sources)
                raise NotImplementedError(
                    f"{drawing.name}: {step.layer.name}: cannot be run piece by piece on sequences together with what "
                    f"is known at their end, shapes {shapes}"
                )
            self._runs.append((step, _runner(drawing.name, step, used, batch, steps)))
        self._stages = [runner for _, runner in self._runs if isinstance(runner, (Stage, _Graph))]

    def run(self, chunks: Sequence[Array]) -> list[Array]:
        """Return the outputs for a chunk of each input."""
        values: list[Any] = [None] * (self._plan.size + 1)
        for slot, chunk in zip(self._plan.inputs, chunks, strict=True):
            values[slot] = chunk
        for step, runner in self._runs:
            if step.source is not None:
                x = values[step.source]
            else:
                x = map_leaves(lambda part: values[part] if isinstance(part, Slot) else part, step.inputs)
            outputs = runner(x) if not isinstance(runner, _Graph) else runner.run(list(leaves(x)))
            if isinstance(outputs, list):
                for slot, part in zip(step.outputs, outputs, strict=True):
                    values[slot] = part
            else:
                values[step.outputs[0]] = outputs
        return [values[slot] for slot in self._plan.outputs]


def _runner(model: str, step: Step, used: set[int], batch: int, steps: int) -> Any:
    """Return what does for a chunk what a layer does for all."""
    layer = step.layer
    if step.options:
        raise NotImplementedError(
            f"{model}: {layer.name}: {next(iter(step.options))}: what comes from the end of another sequence cannot be "
            "given piece by piece; make a model of each part, and set the state of its stream"
        )
    if used.intersection(step.outputs[1:]) and not layer.is_model:
        raise NotImplementedError(
            f"{model}: {layer.name}: return_state: its last states are not known piece by piece; look at the "
            "stream's state"
        )
    if layer.is_model and layer._drawing is not None and not layer.is_traced:
        return _Graph(layer._drawing, batch, steps)
    if layer.is_model:
        raise NotImplementedError(
            f"{model}: {layer.name}: a model of a class of your own within another cannot be run piece by piece; call "
            "its layers, or make it a Model of inputs and outputs"
        )
    if layer.steps_apart:
        return layer.forward
    if step.source is None:
        raise NotImplementedError(
            f"{model}: {layer.name}: a {type(layer).__name__} of several inputs cannot be run piece by piece"
        )
    return layer.stream(batch, steps)
