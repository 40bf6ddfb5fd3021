"""The steps of a graph in their order, and the two ways through them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arguments import read_only
from .._masks import for_each, parts
from .._ours import is_ours
from .._tree import leaves, map_leaves
from .kept import Kept
from .penalties import add, found_so_far
from .symbol import Call, Symbol, calls_of

Array = NDArray[Any]
Key = tuple[int, int]


class Step:
    """A call of a layer as part of a plan: where it reads and writes.

    Attributes
    ----------
    inputs, options : those of the call, with slots for symbols.
    source : the slot of the inputs, if they are one array.
    target : the slot of what the layer returns, if that is one array.
    outputs : slots of what the layer returns, one after the other.
    reads : all slots that it reads.
    done : slots that nobody reads after it.
    repeated : whether the layer, or one within, is called more than once in the plan.
    moves : whether there is anything to train in the layer.
    penal : whether there are penalties on outputs of layers within, which have gradients of their own.
    converts : whether what it reads may be integers where the layer takes floats.
    plain : whether one array goes in and one comes out, and nothing else is to be seen to.
    """

    def __init__(self, call: Call, slots: dict[Key, int], given: set[Key], repeated: bool) -> None:
        def place(value: Any) -> Any:
            return Slot(slots[value.key]) if isinstance(value, Symbol) else value

        self.layer: Any = call.layer
        self.training = call.training
        self.inputs = map_leaves(place, call.inputs)
        self.options = {name: map_leaves(place, value) for name, value in call.options.items()}
        # What is given to the plan is not made in it, though a call may return it beside what is.
        self.outputs = [-1 if symbol.key in given else slots[symbol.key] for symbol in leaves(call.outputs)]
        self.source = int(self.inputs) if isinstance(self.inputs, Slot) else None
        self.target = self.outputs[0] if isinstance(call.outputs, Symbol) else None
        self.reads = [slots[symbol.key] for symbol in call.sources]
        self.done: list[int] = []
        self.repeated = repeated
        self.moves = True
        self.penal = self.layer.adds_loss or (
            (self.layer.is_model or self.layer.is_traced)
            and self.training is not False
            and any(_adds(part) for part in self.layer.keepers[1:])
        )
        self.converts = (
            is_ours(type(self.layer))
            and not self.layer.takes_integers
            and all(dtype.kind == "f" for dtype in leaves(call.dtype))
            and any(s.dtype.kind != "f" or s.call.layer.passes_integers for s in leaves(call.inputs))
        )
        own = self.layer.takes_copies or not is_ours(type(self.layer).backward_of_call)
        special = repeated or self.penal or own or bool(self.options) or self.training is False
        self.plain = self.source is not None and self.target is not None and self.target >= 0 and not special


def _adds(part: Any) -> bool:
    """Whether a part of a layer adds to the loss by what a plan knows of it."""
    return getattr(part, "activity_regularizer", None) is not None or getattr(part, "adds_loss", False)


class Slot(int):
    """Where a value stands; a number of its own kind, for options may be numbers too."""


class Plan:
    """What a graph does, from its inputs to its outputs.

    Parameters
    ----------
    name : of the model, for errors.
    inputs, outputs : the symbols.
    beside : more of them, which are made and not returned.
    """

    def __init__(self, name: str, inputs: list[Symbol], outputs: list[Symbol], beside: Sequence[Symbol] = ()) -> None:
        given = {symbol.key for symbol in inputs}
        order = calls_of([*outputs, *beside], given)
        for call in order:
            if not call.sources:
                raise ValueError(
                    f"{name}: inputs: expected all that the outputs are made from, but {call.layer.name}, shape "
                    f"{call.shape}, is not among them"
                )
        made = [s for call in order for s in leaves(call.outputs) if s.key not in given]
        slots = {symbol.key: k for k, symbol in enumerate([*inputs, *made])}
        # A layer may also be called here and in a model within.
        keepers = {id(call.layer): {id(part) for part in call.layer.keepers} for call in order}
        count = Counter(part for call in order for part in keepers[id(call.layer)])
        self.name, self.calls, self.size = name, order, len(slots)
        self.steps = [
            Step(call, slots, given, any(count[part] > 1 for part in keepers[id(call.layer)])) for call in order
        ]
        self.inputs = [slots[symbol.key] for symbol in inputs]
        self.outputs = [slots[symbol.key] for symbol in outputs]
        left = {*self.outputs, -1}
        for step in reversed(self.steps):
            step.done = [slot for slot in {*step.reads, *step.outputs} if slot not in left]
            left |= {*step.reads, *step.outputs}
        self._readers: dict[Key, list[Call]] = {}
        for call in order:
            if isinstance(call.inputs, Symbol):
                self._readers.setdefault(call.inputs.key, []).append(call)
        read = Counter(s.key for call in order for s in call.sources)
        self._converts = {
            key: calls[0].layer
            for key, calls in self._readers.items()
            if len(calls) == read[key] and len({type(call.layer).convert for call in calls}) == 1
        }
        self.lasts = [self._last(slot) for slot in self.outputs]
        self.move(None)

    @property
    def layers(self) -> list[Any]:
        """The layers, each once, in the order of their first calls."""
        return list({id(step.layer): step.layer for step in self.steps}.values())

    def _last(self, slot: int) -> Step | None:
        """Return the step that makes an output alone, if nobody reads that; it may leave its activation out."""
        made = [step for step in self.steps if step.target == slot]
        read = any(slot in step.reads for step in self.steps)
        return None if read or self.outputs.count(slot) > 1 or not made or made[0].repeated else made[0]

    def readers(self, symbol: Symbol) -> list[Call]:
        """Return the calls on a symbol alone, in their order."""
        return self._readers.get(symbol.key, [])

    def converter(self, symbol: Symbol) -> Any:
        """Return the layer that makes of data what all take that are called on a symbol; None if there is none."""
        return self._converts.get(symbol.key)

    def _leaving(self, logits: bool | Sequence[bool]) -> list[Step | None]:
        """Return the steps that are to leave their activations out."""
        if logits is False:
            return []
        said = [logits] if isinstance(logits, bool) else logits
        found = [last for last, left_out in zip(self.lasts, said, strict=True) if left_out]
        if None in found:
            raise ValueError(f"{self.name}: expected the layer of an output to be the same whatever the inputs")
        return found

    def move(self, chosen: set[int] | None) -> None:
        """Note which variables, by identity, are to be trained: gradients go back as far as these need them."""
        slots: set[int] = set()
        for step in self.steps:
            step.moves = any(chosen is None or id(v) in chosen for v in step.layer.variables)
            if step.moves or slots & set(step.reads):
                slots |= set(step.outputs)
        self.wanted = slots

    # --- forward ---

    def run(
        self, inputs: list[Array], training: bool, masks: Sequence[Any], logits: bool | Sequence[bool]
    ) -> tuple[list[Array], list[Any], Kept | None]:
        """Return the outputs, their masks and, with ``training``, what the way back needs.

        With ``logits``, of outputs for which it says so, what goes into the last activation.
        """
        values: list[Any] = [None] * (self.size + 1)
        marks: list[Any] = [None] * (self.size + 1)
        for slot, value, mask in zip(self.inputs, inputs, masks, strict=True):
            values[slot], marks[slot] = value, mask
        kept = Kept() if training else None
        leaving, found = self._leaving(logits), found_so_far()
        added = len(found) if found else 0
        for step in self.steps:
            layer, source, target = step.layer, step.source, step.target
            if source is not None:
                x, mask = values[source], marks[source]
            else:
                x, mask = _at(step.inputs, values), _masks_at(step.inputs, marks)
            if step.converts:
                x = layer.convert_ordered(x)
            options = {}
            if step.options:
                options = {name: _at(value, values) for name, value in step.options.items()}
                if (given := options.pop("mask", None)) is not None:
                    if isinstance(given, list):  # of several inputs, those that are given; the others' flow
                        flowing = [None] * len(given) if mask is None else parts(mask)
                        given = [f if g is None else g for g, f in zip(given, flowing, strict=False)]
                    mask = layer.fit_mask(given, x)
                if layer.is_traced:
                    options["further_masks"] = {name: _masks_at(step.options[name], marks) for name in options}
            trains = training if step.training is None else step.training
            if kept is not None and step.repeated:
                kept.before(layer)
            if step in leaving:
                options["logits"] = True
            outputs, mask = layer.forward_with_mask(x, trains, mask, **options)
            if kept is not None and step.repeated and trains:
                kept.after(layer)
            if found and len(found) > added:
                added = len(found)
                if kept is not None:
                    kept.added.add(id(step))
            if target is None:
                _put(step, outputs, mask, values, marks)
            elif isinstance(outputs, np.ndarray):
                values[target], marks[target] = outputs, mask
            else:
                raise ValueError(
                    f"{layer.name}: expected it to return one array, as its compute_output_shape says, got "
                    f"{type(outputs).__name__}"
                )
            del outputs  # of which this loop is not to hold what nobody reads
            if layer.activity_regularizer is not None:
                shown = [read_only(values[slot]) for slot in step.outputs]
                if found is not None:
                    for part in shown:
                        add(layer.activity_regularizer(part) / max(1, len(part)))
                    added = len(found)
                if kept is not None:
                    kept.activities[id(step)] = shown
                del shown
            for slot in step.done:
                values[slot] = marks[slot] = None
        return [values[s] for s in self.outputs], [marks[s] for s in self.outputs], kept

    # --- backward ---

    def run_backward(
        self, d_outputs: Iterable[Array | None], kept: Kept, need_d_inputs: bool, logits: bool | Sequence[bool]
    ) -> list[Any]:
        """Add to the gradients of all weights, from those of the outputs; return those of the inputs.

        That of an input is None where no output depends on it.
        """
        gradients: list[Any] = [None] * (self.size + 1)
        for slot, given in zip(self.outputs, d_outputs, strict=True):
            _add(gradients, slot, given)
        leaving = self._leaving(logits)
        inputs = set(self.inputs)
        for step in reversed(self.steps):
            if (
                step.plain and not kept.activities and not kept.added
            ):  # most are, and small models spend their time here
                self._back_plainly(step, need_d_inputs, step in leaving, gradients)
                continue
            d: list[Any] = [gradients[slot] if slot >= 0 else None for slot in step.outputs]
            for slot in step.outputs:
                if slot not in inputs:
                    gradients[slot] = None
            if kept.activities:
                d = kept.with_penalty(step, d)
            needs = need_d_inputs or not self.wanted.isdisjoint(step.reads)
            has_loss = step.penal or id(step) in kept.added
            goes = (step.moves or needs) and (has_loss or any(part is not None for part in d))
            if goes and step.training is False:
                raise ValueError(
                    f"{step.layer.name}: is called with training=False, and keeps nothing to go back with; set its "
                    "trainable to False too, and that of all layers before it"
                )
            if step.repeated and step.training is not False:
                with kept.latest():
                    if goes:
                        self._back(step, d, needs, step in leaving, gradients)
                    else:
                        _forget(step.layer)
            elif goes:
                self._back(step, d, needs, step in leaving, gradients)
            else:
                _forget(step.layer)
        return [gradients[slot] for slot in self.inputs]

    def _back_plainly(self, step: Step, need_d_inputs: bool, leaves_out: bool, gradients: list[Any]) -> None:
        source, target = step.source, step.outputs[0]
        d, gradients[target] = gradients[target], None
        needs = need_d_inputs or source in self.wanted
        if d is None or not (step.moves or needs):
            _forget(step.layer)
            return
        d_inputs = step.layer.backward(d, needs, logits=True) if leaves_out else step.layer.backward(d, needs)
        if d_inputs is None and source in self.wanted:
            raise ValueError(f"{step.layer.name}: backward: expected the gradient of its inputs, got None")
        _add(gradients, source, d_inputs)

    def _back(self, step: Step, d: list[Any], needs: bool, leaves_out: bool, gradients: list[Any]) -> None:
        """Go back through a step, adding to the gradients of what it reads."""
        options = {"logits": True} if leaves_out else {}
        d_inputs, d_options = step.layer.backward_of_call(d, needs, step.options.keys(), **options)
        if d_inputs is None and not self.wanted.isdisjoint(leaves(step.inputs)):
            raise ValueError(f"{step.layer.name}: backward: expected the gradient of its inputs, got None")
        for slot, part in zip(leaves(step.inputs), _as_many(step.inputs, d_inputs), strict=True):
            if slot is not None:
                _add(gradients, slot, part)
        for name, value in d_options.items():
            for slot, part in zip(leaves(step.options[name]), leaves(value), strict=True):
                if isinstance(slot, Slot):
                    _add(gradients, slot, part)


def _put(step: Step, outputs: Any, mask: Any, values: list[Any], marks: list[Any]) -> None:
    """Put several arrays that a layer has returned, and their masks, where they belong."""
    several = list(leaves(outputs))
    if len(several) != len(step.outputs):
        raise ValueError(
            f"{step.layer.name}: expected it to return {len(step.outputs)} arrays, as its compute_output_shape says, "
            f"got {len(several)}"
        )
    for slot, part, mark in zip(step.outputs, several, for_each(outputs, mask), strict=True):
        values[slot], marks[slot] = part, mark


def _forget(layer: Any) -> None:
    """Let go of what a layer keeps for a way back that is not taken: a frozen one would hold it until its next call."""
    for part in layer.keepers:
        for name in ("_cache", "_kept"):
            if vars(part).get(name) is not None:
                vars(part)[name] = None


def _at(value: Any, values: list[Any]) -> Any:
    return map_leaves(lambda part: values[part] if isinstance(part, Slot) else part, value)


def _masks_at(inputs: Any, marks: list[Any]) -> Any:
    found = map_leaves(lambda part: marks[part] if isinstance(part, Slot) else None, inputs)
    return found if any(mark is not None for mark in parts(found)) else None


def _as_many(inputs: Any, d_inputs: Any) -> list[Any]:
    """Return the gradient of each input; None for all of none."""
    count = len(list(leaves(inputs)))
    if d_inputs is None:
        return [None] * count
    return list(leaves(d_inputs))


def _add(gradients: list[Any], slot: Any, d: Any) -> None:
    # The second makes a sum of its own: what a layer has returned may be another's too.
    if d is not None:
        gradients[slot] = d if gradients[slot] is None else gradients[slot] + d
