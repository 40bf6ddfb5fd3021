"""The steps of a graph in their order, and the two ways through them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arguments import read_only
from .._tree import leaves, map_leaves
from ..layers import _masks
from .kept import Kept
from .symbol import Call, Symbol

Array = NDArray[Any]


class Step:
    """A call of a layer as part of a plan: where it reads and writes.

    Attributes
    ----------
    inputs, options : those of the call, with slots for symbols.
    outputs : slots of what the layer returns, one after the other.
    reads : all slots that it reads.
    done : slots that nobody reads after it.
    repeated : whether the layer, or one within, is called more than once in the plan.
    moves : whether there is anything to train in the layer.
    """

    def __init__(self, call: Call, slots: dict[int, int], given: set[int], repeated: bool) -> None:
        def place(value: Any) -> Any:
            return Slot(slots[id(value)]) if isinstance(value, Symbol) else value

        self.layer: Any = call.layer
        self.training = call.training
        self.inputs = map_leaves(place, call.inputs)
        self.options = {name: map_leaves(place, value) for name, value in call.options.items()}
        # What is given to the plan is not made in it, though a call may return it beside what is.
        self.outputs = [-1 if id(symbol) in given else slots[id(symbol)] for symbol in leaves(call.outputs)]
        self.reads = [slots[id(symbol)] for symbol in call.sources]
        self.done: list[int] = []
        self.repeated = repeated
        self.moves = True


class Slot(int):
    """Where a value stands; a number of its own kind, for options may be numbers too."""


class Plan:
    """What a graph does, from its inputs to its outputs.

    Parameters
    ----------
    name : of the model, for errors.
    inputs, outputs : the symbols.
    """

    def __init__(self, name: str, inputs: list[Symbol], outputs: list[Symbol]) -> None:
        given = {id(symbol) for symbol in inputs}
        calls: dict[int, Call] = {}
        todo = [symbol for symbol in outputs if id(symbol) not in given]
        while todo:
            symbol = todo.pop()
            if symbol.call.number in calls:
                continue
            if not symbol.call.sources:
                raise ValueError(
                    f"{name}: inputs: expected all that the outputs are made from, but {symbol.name}, shape "
                    f"{symbol.shape}, is not among them"
                )
            calls[symbol.call.number] = symbol.call
            todo += [s for s in symbol.call.sources if id(s) not in given]
        order = [calls[number] for number in sorted(calls)]
        made = [s for call in order for s in leaves(call.outputs) if id(s) not in given]
        slots = {id(symbol): k for k, symbol in enumerate([*inputs, *made])}
        # A layer may also be called here and in a model within.
        keepers = {id(call.layer): {id(part) for part in call.layer.keepers} for call in order}
        count = Counter(part for call in order for part in keepers[id(call.layer)])
        self.name, self.calls, self.size = name, order, len(slots)
        self.steps = [
            Step(call, slots, given, any(count[part] > 1 for part in keepers[id(call.layer)])) for call in order
        ]
        self.inputs = [slots[id(symbol)] for symbol in inputs]
        self.outputs = [slots[id(symbol)] for symbol in outputs]
        left = {*self.outputs, -1}
        for step in reversed(self.steps):
            step.done = [slot for slot in {*step.reads, *step.outputs} if slot not in left]
            left |= {*step.reads, *step.outputs}
        self.move(None)

    @property
    def layers(self) -> list[Any]:
        """The layers, each once, in the order of their first calls."""
        return list({id(step.layer): step.layer for step in self.steps}.values())

    @property
    def last(self) -> Step | None:
        """The step that makes the only output, if nobody else reads that; it may leave its activation out."""
        made = [step for step in self.steps if step.outputs == self.outputs]
        read = {slot for step in self.steps for slot in step.reads}
        if len(self.outputs) != 1 or not made or self.outputs[0] in read or made[0].repeated:
            return None
        return made[0]

    def move(self, chosen: set[int] | None) -> None:
        """Note which variables, by identity, are to be trained: gradients go back as far as these need them."""
        wanted: set[int] = set()
        for step in self.steps:
            step.moves = any(chosen is None or id(v) in chosen for v in step.layer.variables)
            if step.moves or wanted & set(step.reads):
                wanted |= set(step.outputs)
        self.wanted = wanted

    # --- forward ---

    def run(
        self, inputs: list[Array], training: bool, masks: list[Any], logits: bool, penalties: list[float] | None
    ) -> tuple[list[Array], list[Any], Kept | None]:
        """Return the outputs, their masks and, with ``training``, what the way back needs."""
        values: list[Any] = [None] * (self.size + 1)
        marks: list[Any] = [None] * (self.size + 1)
        for slot, value, mask in zip(self.inputs, inputs, masks, strict=True):
            values[slot], marks[slot] = value, mask
        kept = Kept() if training else None
        last = self.last if logits else None
        for step in self.steps:
            layer = step.layer
            x = self._at(step.inputs, values)
            mask, options = self._mask(step, x, marks), {}
            for name, value in step.options.items():
                if name != "mask":
                    options[name] = self._at(value, values)
                elif isinstance(given := self._at(value, values), np.ndarray) or given is not None:
                    mask = layer.fit_mask(given, x)
            trains = training if step.training is None else step.training
            if kept is not None and step.repeated:
                kept.before(layer)
            if layer.is_model:
                outputs, mask = layer._run(x, trains, mask, step is last, penalties)
            else:
                if step is last:
                    options["logits"] = True
                outputs, mask = layer.forward_with_mask(x, trains, mask, **options)
            parts = list(leaves(outputs))
            if len(parts) != len(step.outputs):
                raise ValueError(
                    f"{layer.name}: expected it to return {len(step.outputs)} arrays, as its compute_output_shape "
                    f"says, got {len(parts)}"
                )
            if kept is not None:
                if trains:
                    kept.after(step)
                kept.penalize(step, parts[0])
            if layer.activity_regularizer is not None and penalties is not None:
                penalties.append(layer.activity_regularizer(read_only(parts[0])) / max(1, len(parts[0])))
            for slot, part, mark in zip(step.outputs, parts, _masks.for_each(outputs, mask), strict=True):
                values[slot], marks[slot] = part, mark
            for slot in step.done:
                values[slot] = marks[slot] = None
        return [values[s] for s in self.outputs], [marks[s] for s in self.outputs], kept

    def _at(self, value: Any, values: list[Any]) -> Any:
        return map_leaves(lambda part: values[part] if isinstance(part, Slot) else part, value)

    def _mask(self, step: Step, x: Any, marks: list[Any]) -> Any:
        if isinstance(step.inputs, Slot):
            return marks[step.inputs]
        found = self._at(step.inputs, marks)
        return found if any(mark is not None for mark in _masks.parts(found)) else None

    # --- backward ---

    def run_backward(
        self, d_outputs: Iterable[Array | None], kept: Kept, need_d_inputs: bool, logits: bool
    ) -> list[Any]:
        """Add to the gradients of all weights, from those of the outputs; return those of the inputs.

        That of an input is None where no output depends on it.
        """
        gradients: list[Any] = [None] * (self.size + 1)
        for slot, given in zip(self.outputs, d_outputs, strict=True):
            _add(gradients, slot, given)
        last = self.last if logits else None
        inputs = set(self.inputs)
        for step in reversed(self.steps):
            d: list[Any] = [gradients[slot] if slot >= 0 else None for slot in step.outputs]
            for slot in step.outputs:
                if slot not in inputs:
                    gradients[slot] = None
            d[0] = kept.with_penalty(step, d[0])
            needs = need_d_inputs or not self.wanted.isdisjoint(step.reads)
            with kept.of(step):
                if (not step.moves and not needs) or all(part is None for part in d):
                    continue
                if step.training is False:
                    raise ValueError(
                        f"{step.layer.name}: is called with training=False, and keeps nothing to go back with; set its "
                        "trainable to False too, and that of all layers before it"
                    )
                options = {"logits": True} if step is last else {}
                d_inputs, d_options = step.layer.backward_of_call(d, needs, step.options.keys(), **options)
            for slot, part in zip(leaves(step.inputs), _as_many(step.inputs, d_inputs), strict=True):
                _add(gradients, slot, part)
            for name, value in d_options.items():
                for slot, part in zip(leaves(step.options[name]), leaves(value), strict=True):
                    if isinstance(slot, Slot):
                        _add(gradients, slot, part)
        return [gradients[slot] for slot in self.inputs]


def _as_many(inputs: Any, d_inputs: Any) -> list[Any]:
    """Return the gradient of each input; None for all of none."""
    count = len(list(leaves(inputs)))
    if d_inputs is None:
        return [None] * count
    return list(leaves(d_inputs))


def _add(gradients: list[Any], slot: int, d: Any) -> None:
    # The second makes a sum of its own: what a layer has returned may be another's too.
    if d is not None:
        gradients[slot] = d if gradients[slot] is None else gradients[slot] + d
