"""Models that are run piece by piece: chains of stages, and graphs of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._arguments import float_array, shown
from .._ours import is_ours
from .._tree import copies, in_places, leaves, map_leaves
from ..graph.drawing import Drawing
from ..graph.plan import Plan, Slot, Step
from ..graph.symbol import Call, Symbol
from ..layers._traced import drawing_within, tracing_of
from ..layers.embedding import Embedding
from ..layers.time_distributed import TimeDistributed
from ..streaming import Entrance, Remembering, Source, Stage, Stream, Together, as_it_came, check_place, written

Array = NDArray[Any]
Places = Callable[[str, Any], list[Any]]
LOOKS_AT_SIZES = "call: goes by the number of steps, which is not known piece by piece"


def streamed(drawing: Drawing, batch_size: int, steps: int, places: Places) -> Stream | GraphStream:
    """Return what runs a drawing piece by piece: a `Stream` if one array goes in and one comes out.

    Parameters
    ----------
    drawing : of the model.
    batch_size, steps : the rows of every chunk, and the most steps of one.
    places : returns what was given for each of several inputs, or raises.
    """
    inputs = [_Input(drawing, symbol) for symbol in leaves(drawing.inputs)]
    tokens = [one.tokens for one in inputs]
    single = isinstance(drawing.inputs, Symbol)
    if single and isinstance(drawing.outputs, Symbol):
        stages = _stages(drawing, tokens, batch_size, steps)
        return Stream(stages, batch_size, steps, inputs[0].features, inputs[0].convert)
    graph = _Graph(drawing, tokens, batch_size, steps)
    entrances = [Entrance(f"inputs: {i.name}", i.convert, batch_size, steps, i.features) for i in inputs]
    return GraphStream(drawing, graph, entrances, (lambda _, given: [given]) if single else places)


class GraphStream(Remembering):
    """A model with several inputs or outputs that takes sequences piece by piece; made by ``model.stream()``.

    >>> import numpy as np
    >>> from lstmcore import Input, Model, layers
    >>> past, calendar = Input((None, 2)), Input((None, 3))
    >>> both = layers.concatenate([layers.LSTM(4, return_sequences=True)(past), calendar])
    >>> model = Model([past, calendar], layers.Dense(1)(both))
    >>> stream, x, days = model.stream(), np.ones((1, 5, 2), "float32"), np.zeros((1, 5, 3), "float32")
    >>> steps = [stream([x[:, t], days[:, t]]) for t in range(5)]
    >>> bool((np.stack(steps, axis=1) == model([x, days])).all())
    True

    Inputs and outputs are as those of the model, in lists and dicts. A layer that is called twice has a state for each
    call. An input without steps, (batch, features), comes anew with every step. Otherwise as `streaming.Stream`:
    weights are those of the moment when it is made, `state` is all that it remembers, and one thread at a time may use
    it.

    Parameters
    ----------
    drawing : of the model.
    graph : what runs it.
    entrances : one for each input.
    places : returns what was given for each of several inputs, or raises.
    """

    def __init__(self, drawing: Drawing, graph: _Graph, entrances: list[Entrance], places: Places) -> None:
        self._drawing, self._graph, self._entrances, self._places = drawing, graph, entrances, places
        self._exclusive = _core.exclusive("Stream")
        self.source: Source | None = None

    def __call__(self, inputs: Any, out: Any = None) -> Any:
        """Return the outputs of the next step, (batch, features), or chunk, (batch, steps, features), as new arrays.

        With a batch of one, steps may also be (features,) alone. ``out`` are arrays to write the outputs into instead,
        in lists and dicts as the outputs are; they must not share memory with the inputs.
        """
        given = self._places("inputs", inputs)
        came = [entrance.chunk(part) for entrance, part in zip(self._entrances, given, strict=True)]
        chunks, axes = [chunk for chunk, _ in came], came[0][1]
        if any(chunk.shape[1] != chunks[0].shape[1] or ndim != axes for chunk, ndim in came):
            said = ", ".join(str(np.shape(part)) for part in given)
            raise ValueError(f"inputs: expected a step of each, or as many steps of each, got shapes {said}")
        places = None if out is None else self._checked(out, chunks, axes)
        outputs = [as_it_came(part, axes) for part in self._exclusive(self._graph.run, chunks)]
        at = iter(map(np.copy, outputs) if places is None else map(written, outputs, places))
        return map_leaves(lambda _: next(at), self._drawing.outputs)

    def _checked(self, out: Any, chunks: list[Array], axes: int) -> list[Any]:
        """Return the arrays to write into, one after the other, after a check."""
        places = in_places(out, self._drawing.outputs)
        if places is None:
            raise ValueError(f"out: expected arrays as the model returns them, got {shown(out)}")
        names, before = leaves(self._drawing.names), list[Array]()
        for name, symbol, place in zip(names, leaves(self._drawing.outputs), places, strict=True):
            shape = (*chunks[0].shape[: axes - 1], symbol.shape[-1])
            check_place(f"out: {name}", place, shape, symbol.dtype, chunks, before)
            before.append(place)
        return places

    step = __call__

    def memory(self) -> list[Array]:
        """Return copies of all that the layers remember, which is what `state` is."""
        return self._exclusive(self._graph.memory)  # type: ignore[no-any-return]

    def load(self, state: Sequence[Array]) -> None:
        """Set what `memory` has returned, unchecked."""
        self._exclusive(self._graph.load, state)

    def reset(self) -> None:
        """Forget what came before: begin new sequences."""
        self._exclusive(self._graph.reset)

    def apart(self) -> Mapping[int, Any]:
        """Let a copy be used beside this stream, and share what takes the inputs and says what the outputs are."""
        shared = [self._drawing, self._entrances, self._places, self.source]
        return {**{id(part): part for part in shared}, id(self._exclusive): _core.exclusive("Stream")}

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self._exclusive(super().__deepcopy__, memo)

    def __reduce__(self) -> Any:
        if self.source is None:
            raise TypeError("GraphStream: cannot be pickled unless model.stream() made it")
        return self.source.reduced(self)

    def __repr__(self) -> str:
        batch, steps, _ = self._entrances[0].shape
        return f"<GraphStream of {self._drawing.name}, batch_size={batch}, steps<={steps}>"


class _Input:
    """One of the inputs of a model: what its pieces are."""

    def __init__(self, drawing: Drawing, symbol: Symbol) -> None:
        readers = list(_readers(drawing, symbol))
        self.name, self._dtype = symbol.name, symbol.dtype
        self._reader = readers[0] if readers else None
        self.tokens = symbol.ndim < 3 and any(isinstance(reader, Embedding) for reader in readers)
        self._of, self._shape = drawing.name, symbol.shape

    @property
    def features(self) -> int | None:
        """How many there are at a step; None for integers."""
        if self.tokens:
            return None
        if len(self._shape) not in (2, 3) or self._shape[-1] is None:
            raise NotImplementedError(
                f"{self._of}: {self.name}: expected (batch, steps, features) or (batch, features), or integers for an "
                f"Embedding, to be run piece by piece; it has shape {self._shape}"
            )
        return self._shape[-1]

    def convert(self, name: str, value: Any) -> Array:
        """Return an array for the layer that reads it."""
        if self._reader is None:
            return float_array(name, value, self._dtype)
        return self._reader.convert(name, value)  # type: ignore[no-any-return]


def _readers(drawing: Drawing, symbol: Symbol) -> Iterator[Any]:
    """Yield the layers that take a symbol as their only array, also those in models within."""
    for call in drawing.plan.readers(symbol):
        layer = call.layer
        while isinstance(layer, TimeDistributed):
            layer = layer.layer
        within = drawing_within(layer, call)
        if within is None:
            yield layer
        else:
            yield from _readers(within, next(leaves(within.inputs)))


def _stages(drawing: Drawing, tokens: list[bool], batch: int, steps: int) -> list[Stage]:
    """Return stages, one after the other, for a drawing from one array to one array."""
    if not _is_chain(drawing.plan):
        return [_GraphStage(drawing, tokens, batch, steps)]
    stages: list[Stage] = []
    for call, _, within, own in _calls(drawing, tokens):
        stages += [_stage(call, batch, steps)] if within is None else _stages(within, own, batch, steps)
    return stages


def _is_chain(plan: Plan) -> bool:
    ends = [*plan.inputs, *(step.target for step in plan.steps)]
    return bool(plan.steps) and ends[-1:] == plan.outputs and ends[:-1] == [step.source for step in plan.steps]


def _stage(call: Call, batch: int, steps: int) -> Stage:
    layer = call.layer
    if layer.steps_apart:
        return _StepsApart(layer, call.outputs)
    stage = layer.stream(batch, steps)
    if not isinstance(stage, Stage):
        raise TypeError(f"{layer.name}: stream: expected to return a Stage, got {shown(stage)}")
    # A layer without weights may have been built for other features than those of this call.
    stage.width = next(leaves(call.outputs)).shape[-1] or stage.width
    return stage


class _StepsApart(Stage):
    """A layer that does at every step what it does for that step alone."""

    def __init__(self, layer: Any, outputs: Symbol) -> None:
        super().__init__(outputs.shape[-1] or 1, outputs.dtype)
        self._layer = copy.deepcopy(layer) if layer.variables else layer  # weights are those of this moment

    def __call__(self, inputs: Any, out: Array | None = None) -> Array:
        """Return the outputs of the next chunk."""
        layer = self._layer
        outputs = layer.forward(copies(inputs) if layer.takes_copies else inputs)
        if out is None and not is_ours(type(layer)):  # which may return an array that it keeps
            outputs = outputs.copy()
        return written(outputs, out)


class _Graph(Together):
    """The steps of a plan, each with a stage of its own."""

    def __init__(self, drawing: Drawing, tokens: list[bool], batch: int, steps: int) -> None:
        plan = drawing.plan
        self._size, self._sources, self._targets = plan.size, plan.inputs, plan.outputs
        self._runs = [
            (step, _stage(call, batch, steps) if within is None else _Graph(within, own, batch, steps))
            for call, step, within, own in _calls(drawing, tokens)
        ]
        self._stages = [runner for _, runner in self._runs]

    def apart(self) -> Mapping[int, Any]:
        """Let copies share the steps, which say where values stand."""
        return {**super().apart(), **{id(step): step for step, _ in self._runs}}

    def run(self, chunks: list[Array]) -> list[Array]:
        """Return the outputs for a chunk of each input."""
        values: list[Any] = [None] * (self._size + 1)
        for slot, chunk in zip(self._sources, chunks, strict=True):
            values[slot] = chunk
        for step, runner in self._runs:
            if isinstance(runner, _Graph):
                for slot, part in zip(step.outputs, runner.run([values[slot] for slot in step.reads]), strict=True):
                    values[slot] = part
            elif step.source is not None:
                values[step.outputs[0]] = runner(values[step.source])
            else:
                values[step.outputs[0]] = runner(
                    map_leaves(lambda part: values[part] if isinstance(part, Slot) else part, step.inputs)
                )
        return [values[slot] for slot in self._targets]


class _GraphStage(_Graph, Stage):
    """A graph from one array to one array."""

    def __init__(self, drawing: Drawing, tokens: list[bool], batch: int, steps: int) -> None:
        _Graph.__init__(self, drawing, tokens, batch, steps)
        Stage.__init__(self, drawing.outputs.shape[-1] or 1, drawing.outputs.dtype)

    def __call__(self, inputs: Array, out: Array | None = None) -> Array:
        """Return the outputs of the next chunk."""
        (outputs,) = self.run([inputs])
        return outputs.copy() if out is None and np.may_share_memory(outputs, inputs) else written(outputs, out)


def _calls(drawing: Drawing, tokens: list[bool]) -> Iterator[tuple[Call, Step, Drawing | None, list[bool]]]:
    """Yield the calls, what is drawn within, and which of what they read are tokens; refuse what cannot be streamed."""
    plan = drawing.plan
    given = {slot for slot, one in zip(plan.inputs, tokens, strict=True) if one}
    used = {slot for step in plan.steps for slot in step.reads} | set(plan.outputs)
    if given.intersection(plan.outputs):
        raise NotImplementedError(f"{drawing.name}: outputs: integers as they came in cannot be run piece by piece")
    for call, step in zip(plan.calls, plan.steps, strict=True):
        within, own = drawing_within(call.layer, call), [slot in given for slot in step.reads]
        alone = not used.intersection(step.outputs[1:])
        if call.layer.is_traced and tracing_of(call.layer).sized:
            raise NotImplementedError(f"{drawing.name}: {call.layer.name}: {LOOKS_AT_SIZES}")
        why = _why_not(call, step, within) or ("" if within is not None else _why_no_layer(call, step, own, alone))
        if why:
            raise NotImplementedError(f"{drawing.name}: {call.layer.name}: {why}")
        yield call, step, within, own


def _why_not(call: Call, step: Step, within: Drawing | None) -> str:
    """Return why a call cannot be run piece by piece, whatever is called; nothing if it can."""
    if step.training:
        return "training: a stream is for prediction; call it without training=True"
    if "mask" in step.options:
        return "mask: a stream has no padding; leave those steps out, and stream without it"
    if len({symbol.ndim for symbol in call.sources}) > 1 or max(s.ndim for s in leaves(call.outputs)) > 3:
        shapes = ", ".join(str(symbol.shape) for symbol in call.sources)
        return (
            f"inputs: cannot be run piece by piece on sequences together with what is known at their end, or with more "
            f"than (batch, steps, features), got shapes {shapes}"
        )
    # Its layers have stages for the features that it was drawn with.
    drawn = call.sources if within is None else list(leaves(within.inputs))
    if any(a.ndim > 2 and a.shape[-1] != b.shape[-1] for a, b in zip(call.sources, drawn, strict=True)):
        shapes = ", ".join(str(symbol.shape) for symbol in drawn)
        return f"inputs: to be run piece by piece, a model is to be called on as many features as at first, {shapes}"
    return ""


def _why_no_layer(call: Call, step: Step, tokens: list[bool], alone: bool) -> str:
    """Return the same of a layer; ``alone``: nobody reads more than the first of what it returns."""
    layer = call.layer
    if step.options:
        return (
            f"{next(iter(step.options))}: cannot be given piece by piece; make a model of each part, and set the state "
            "of its stream"
        )
    if not alone:
        return (
            "return_state: its last states are not known piece by piece; look at the stream's state, or make a model "
            "of each part"
        )
    whole = any(symbol.dtype.kind != "f" for symbol in leaves(call.outputs))
    if whole or isinstance(layer, Embedding) is not all(tokens) or any(tokens) is not all(tokens):
        return "of integers, those alone can be run piece by piece that an Embedding is given as they come in"
    if step.source is None and not layer.steps_apart:
        own = "" if is_ours(type(layer)) else "; say steps_apart = True if its steps do not depend on one another"
        return f"{type(layer).__name__} of several inputs cannot be run piece by piece{own}"
    return ""
