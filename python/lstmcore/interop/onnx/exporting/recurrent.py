"""LSTM, GRU and SimpleRNN, one way and both ways."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ....layers import GRU, LSTM, SimpleRNN
from .context import Context
from .functions import of_recurrent
from .writer import Array, Value, Writer

# Where our gates (i, f, g, o and z, r, h) stand in ONNX's order (i, o, f, g and z, r, h).
_LSTM_GATES, _OTHER_GATES = (0, 3, 1, 2), (0, 1, 2)


class Operands(NamedTuple):
    """The weights of one direction as ONNX has them, without its axis of directions, and the attributes.

    ``W`` (gates * units, features), ``R`` (gates * units, units), ``B`` (2 * gates * units) or None, ``P`` (3 * units)
    or None.
    """

    operator: str
    W: Array
    R: Array
    B: Array | None
    P: Array | None
    activations: list[Any]
    attributes: dict[str, Any]


def operands(layer: Any) -> Operands:
    """Return what ONNX's operator for a recurrent layer is given."""
    _refuse(layer)
    weights = {v.name.rpartition("/")[2]: v.value for v in layer.variables}
    options = layer.options
    order: tuple[int, ...]
    if isinstance(layer, LSTM):
        inner = options.activation if options.input_activation else "linear"
        outer = options.output_activation
        if isinstance(outer, bool):
            outer = options.activation if outer else "linear"
        functions = [options.recurrent_activation, inner, outer]
        attributes: dict[str, Any] = {"input_forget": 1} if options.coupled else {}
        order, operator = _LSTM_GATES, "LSTM"
    elif isinstance(layer, GRU):
        functions = [options.recurrent_activation, options.activation]
        attributes = {"linear_before_reset": int(options.reset_after)}
        order, operator = _OTHER_GATES, "GRU"
    else:
        functions, attributes, order, operator = [options.activation], {}, (0,), "RNN"
    if options.clip is not None:
        attributes["clip"] = options.clip
    full = len(order)

    def rows(matrix: Array) -> Array:
        """Return a matrix (anything, gates * units) with its gates in ONNX's order, as (gates * units, anything)."""
        gates = list(np.split(matrix, options.gates, axis=-1))
        if options.gates < full:  # coupled: of the forget gate, which is 1 - i, there is nothing
            gates.insert(1, np.zeros_like(gates[0]))
        return np.concatenate([gates[k] for k in order], axis=-1).T

    bias = weights.get("bias")
    B = None
    if bias is not None:
        pair = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
        B = rows(pair).T.reshape(-1)
    P = weights.get("peephole")
    if P is not None:  # i, f, o becomes i, o, f
        P = P[[0, 2, 1]].reshape(-1)
    return Operands(operator, rows(weights["kernel"]), rows(weights["recurrent_kernel"]), B, P, functions, attributes)


def _refuse(layer: Any) -> None:
    if type(layer) not in (LSTM, GRU, SimpleRNN):
        raise NotImplementedError(type(layer).__name__)
    options = layer.options
    for name in ("input_gate", "forget_gate", "output_gate"):
        if not getattr(options, name, True):
            raise NotImplementedError(f"{name}=False")
    for name in ("layer_norm", "projection"):
        if getattr(options, name, False):
            raise NotImplementedError(name)
    if layer._zones:
        raise NotImplementedError("zoneout")


class Masked(NamedTuple):
    """A sequence whose steps that count stand first in every row, and how to bring outputs back to their places.

    The recurrent operators know how many steps of a row count, not which: so that any mask can be said, those steps
    are moved to the front.
    """

    inputs: str
    lengths: str  # (batch,) int32
    some: str  # (batch, 1): rows that have a step that counts
    mask: str  # (batch, steps)

    @classmethod
    def of(cls, writer: Writer, inputs: str, mask: str) -> Masked:
        """Return the sequence for inputs (batch, steps, features) with a mask (batch, steps)."""
        counted = writer.cast(mask, np.int64)
        counts = writer.add("ReduceSum", counted, writer.integers([1]), keepdims=0)
        # Steps that count come first, each group in its order: the largest of (steps if it counts) - step first.
        steps = writer.size(mask, 1)
        key = writer.add("Sub", writer.add("Mul", counted, steps), writer.positions(mask))
        _, order = writer.add_several("TopK", [key, steps], 2, axis=1)
        wide = writer.add("Expand", writer.unsqueeze(order, 2), writer.add("Shape", inputs))
        some = writer.unsqueeze(writer.add("Greater", counts, writer.integers(0)), 1)
        moved = writer.add("GatherElements", inputs, wide, axis=1)
        return cls(moved, writer.cast(counts, np.int32), some, mask)

    def back(self, writer: Writer, outputs: str, reverse: bool, zero: bool) -> str:
        """Return outputs (batch, steps, units) at their own steps.

        A step that does not count repeats the output before it in the order of computation, or is zero with ``zero``
        and where there is none.
        """
        counted = writer.cast(self.mask, np.int64)
        last = writer.add("CumSum", counted, writer.integers(1), reverse=int(reverse))
        if reverse:  # the first step at or after this one that counts
            total = writer.add("ReduceSum", counted, writer.integers([1]), keepdims=1)
            place = writer.add("Sub", total, last)
        else:
            place = writer.add("Sub", last, writer.integers(1))
        top = writer.add("Sub", writer.size(self.mask, 1), writer.integers([1]))
        place = writer.add("Min", writer.add("Max", place, writer.integers(0)), top)
        shape = writer.add("Shape", outputs)
        wide = writer.add("Expand", writer.unsqueeze(place, 2), shape)
        gathered = writer.add("GatherElements", outputs, wide, axis=1)
        left_in = self.mask if zero else writer.add("Greater", last, writer.integers(0))
        return writer.masked(gathered, left_in, 3)


def run(
    context: Context, layer: Any, given: list[str] | None, masked: Masked | None, zero: bool
) -> tuple[str, list[str]]:
    """Write one direction; return the outputs (each at its own step) and the last states."""
    writer = context.writer
    what = operands(layer)
    x = context.x if masked is None else masked.inputs
    names = [writer.transpose(x, 1, 0, 2)]
    names += [writer.constant(part[None], name) for part, name in ((what.W, "W"), (what.R, "R"))]
    names += ["" if what.B is None else writer.constant(what.B[None], "B"), "" if masked is None else masked.lengths]
    initial = [] if given is None else given
    names += [writer.unsqueeze(state, 0) for state in initial]
    if what.P is not None:
        names += [""] * (7 - len(names)) + [writer.constant(what.P[None], "P")]
    while not names[-1]:
        names.pop()
    count = 1 + len(layer.state_sizes)
    sequence, *last = writer.add_several(
        what.operator,
        names,
        count,
        hidden_size=layer.units,
        direction="reverse" if layer.go_backwards else "forward",
        **of_recurrent(what.activations),
        **what.attributes,
    )
    states = [writer.squeeze(state, 0) for state in last]
    if masked is not None:  # a row of padding alone keeps its states
        others = initial or [writer.number(0)] * len(states)
        states = [writer.add("Where", masked.some, s, o) for s, o in zip(states, others, strict=True)]
    if not layer.return_sequences:
        outputs = states[0]
        if masked is not None and initial:
            outputs = writer.add("Where", masked.some, outputs, writer.number(0))
        return outputs, states
    outputs = writer.transpose(writer.squeeze(sequence, 1), 1, 0, 2)
    if masked is not None:
        outputs = masked.back(writer, outputs, layer.go_backwards, zero)
    return outputs, states


def recurrent(context: Context) -> tuple[Any, Any]:
    """Write a layer of one direction."""
    layer, writer = context.layer, context.writer
    masked = Masked.of(writer, context.x, context.mask) if context.mask is not None and layer.uses_mask else None
    given = _initial(context, layer)
    outputs, states = run(context, layer, given, masked, layer.zero_output_for_mask)
    context.last_states = states
    mask = context.mask if layer.return_sequences else None
    if layer.go_backwards and layer.return_sequences:
        outputs = writer.reversed(outputs, 1)
        mask = None if mask is None else writer.reversed(mask, 1)
    return ((outputs, *states), (mask, *[None] * len(states))) if layer.return_state else (outputs, mask)


def bidirectional(context: Context) -> tuple[Any, Any]:
    """Write a layer of both directions: two operators, for they may differ in all but their inputs."""
    layer, writer = context.layer, context.writer
    first, second = layer.forward_layer, layer.backward_layer
    if context.states is not None:
        raise NotImplementedError("states: the backward direction begins at the end, so it cannot be streamed")
    masked = Masked.of(writer, context.x, context.mask) if context.mask is not None and layer.uses_mask else None
    given: Any = _initial(context, layer)
    count = len(first.state_sizes)
    a, states = run(context, first, None if given is None else given[:count], masked, True)
    b, others = run(context, second, None if given is None else given[count:], masked, True)
    mask = context.mask if layer.return_sequences else None
    parts = [a, b]
    if layer.return_sequences and first.go_backwards:
        parts = [writer.reversed(part, 1) for part in parts]
        mask = None if mask is None else writer.reversed(mask, 1)
    if layer.merge_mode == "concat":
        parts = [writer.add("Concat", *parts, axis=-1)]
    elif layer.merge_mode == "mul":
        parts = [writer.add("Mul", *parts)]
    elif layer.merge_mode is not None:
        parts = [writer.add("Add", *parts)]
        if layer.merge_mode == "ave":
            parts = [writer.add("Mul", parts[0], writer.number(0.5))]
    if first.return_state:
        parts += [*states, *others]
    masks = [mask if k < (2 if layer.merge_mode is None else 1) else None for k in range(len(parts))]
    return (parts[0], masks[0]) if len(parts) == 1 else (parts, masks)


def _initial(context: Context, layer: Any) -> list[str] | None:
    """Return the names of the states that a call begins with; None for zeros."""
    if context.states is not None:
        if layer.go_backwards:
            raise NotImplementedError("states: go_backwards=True begins at the end, so it cannot be streamed")
        return context.states(layer, layer.state_sizes)
    given = context.options.get("initial_state")
    if given is None:
        return None
    return [given.name] if isinstance(given, Value) else [value.name for value in given]
