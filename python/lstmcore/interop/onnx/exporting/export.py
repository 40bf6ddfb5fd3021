"""From a model to a file: its calls in their order, each in ONNX's operators."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .... import layers
from ...._arguments import flag
from ...._arguments import path as checked_path
from ...._tree import leaves, map_leaves
from ....graph.drawing import Drawing
from ....graph.symbol import Symbol
from ....serialization import atomic
from . import masks
from .context import Context
from .registry import OF_NUMBERS, STEPWISE, USING, options_of, writer_of
from .writer import IR_VERSION, OPSET, Value, Writer

_LARGEST = 2**31 - 1  # bytes of a file of protocol buffers


def export(model: Any, filepath: Any, states: bool = False, lengths: bool = False) -> None:
    """Write a model to an ONNX file; see `models.Model.export`."""
    where = checked_path("filepath", filepath)
    if os.path.splitext(where)[1].lower() != ".onnx":
        raise ValueError(f"filepath: expected a name that ends in .onnx, the format that is written, got {where!r}")
    content = serialized(model, flag("states", states), flag("lengths", lengths))
    atomic.write(where, content)


def serialized(model: Any, states: bool, lengths: bool) -> bytes:
    """Return the content of the file."""
    drawing = getattr(model, "drawing", None) or model.drawn()
    if drawing is None:
        raise NotImplementedError(f"{model.name}: export: expected a model whose layers are drawn, not one with passes")
    proto = _Exporter(model, drawing, states, lengths).proto()
    content: bytes = proto.SerializeToString()
    return content


class _Exporter:
    def __init__(self, model: Any, drawing: Drawing, states: bool, lengths: bool) -> None:
        self.model, self.drawing, self.with_states, self.with_lengths = model, drawing, states, lengths
        self.writer = Writer(model.dtype)
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        self.last_states: list[Value] = []
        self.missing: list[str] = []

    def proto(self) -> Any:
        """Return the model as the package onnx has it, checked."""
        given = [self._input(symbol) for symbol in leaves(self.drawing.inputs)]
        marks: list[Any] = [None] * len(given)
        if self.with_lengths:
            marks = self._masks_of_lengths(given)
        names, _ = self._draw(self.drawing, given, marks)
        self._refuse_missing()
        said = list(leaves(self.drawing.names))
        for wanted, name, symbol in zip(said, leaves(names), leaves(self.drawing.outputs), strict=True):
            own = self.writer.name(wanted.replace("/", "_"))
            self.writer.nodes.append(self.writer.onnx.helper.make_node("Identity", [name], [own], f"{own}/Identity"))
            self.outputs.append(Value(own, symbol.shape, symbol.dtype))
        return self._assembled()

    def _input(self, symbol: Symbol) -> Value:
        readers = [call for call in self.drawing.plan.calls if symbol.key in {s.key for s in call.sources}]
        whole = bool(readers) and all(isinstance(call.layer, layers.Embedding) for call in readers)
        value = Value(self.writer.name(symbol.name), symbol.shape, np.dtype(np.int64) if whole else symbol.dtype)
        self.inputs.append(value)
        return value

    def _masks_of_lengths(self, given: list[Value]) -> list[Any]:
        writer = self.writer
        if len(given) != 1 or len(given[0].shape) < 2:
            raise ValueError(f"{self.model.name}: lengths: expected one input (batch, steps, …), got {len(given)}")
        lengths = Value(writer.name("lengths"), (given[0].shape[0],), np.dtype(np.int64))
        self.inputs.append(lengths)
        count = writer.squeeze(writer.size(given[0].name, 1), 0)
        steps = writer.add("Range", writer.integers(0), count, writer.integers(1))
        return [writer.add("Less", steps, writer.unsqueeze(lengths.name, 1))]

    # --- calls ---

    def _draw(self, drawing: Drawing, given: list[Value], said_masks: Any) -> tuple[Any, Any]:
        values: dict[Any, Value] = {}
        marks: dict[Any, Any] = {}
        each = said_masks if isinstance(said_masks, list) else [said_masks] * len(given)
        for symbol, value, mask in zip(leaves(drawing.inputs), given, each, strict=True):
            values[symbol.key], marks[symbol.key] = value, mask
        for call in drawing.plan.calls:
            options = {
                name: map_leaves(lambda s: values[s.key] if isinstance(s, Symbol) else s, option)
                for name, option in call.options.items()
            }
            inputs = map_leaves(lambda s: values[s.key] if isinstance(s, Symbol) else s, call.inputs)
            flowing = [marks[s.key] for s in leaves(call.inputs) if isinstance(s, Symbol)]
            own: Any = flowing if any(m is not None for m in flowing) else None
            if isinstance(call.inputs, Symbol):
                own = flowing[0]
            if (said := options.pop("mask", None)) is not None:
                several = said if isinstance(said, list) else [said]
                names = [None if m is None else self.writer.mask(m.name, len(m.shape)) for m in several]
                own = names[0] if isinstance(said, Value) else names
            names, left = self._write(call.layer, inputs, own, options, call.shape)
            symbols = list(leaves(call.outputs))
            parts = list(leaves(names))
            kept = list(left) if isinstance(left, (list, tuple)) else [left] * len(symbols)
            for symbol, name, mask in zip(symbols, parts, kept, strict=True):
                values[symbol.key] = Value(name, symbol.shape, symbol.dtype)
                marks[symbol.key] = mask
        names = [values[s.key].name for s in leaves(drawing.outputs)]
        left = [marks[s.key] for s in leaves(drawing.outputs)]
        return (names[0], left[0]) if isinstance(drawing.outputs, Symbol) else (names, left)

    def _write(self, layer: Any, inputs: Any, mask: Any, options: dict[str, Any], shape: Any) -> tuple[Any, Any]:
        outer, self.writer.scope = self.writer.scope, layer.name
        mask = None if layer.ends_mask else mask
        context: Context | None = None
        try:
            write = writer_of(layer)
            own = masks.given(self.writer, layer, inputs, mask, OF_NUMBERS)
            context = Context(
                self.writer,
                layer,
                inputs,
                own,
                options,
                shape,
                self._write,
                self._draw,
                self._states if self.with_states else None,
            )
            if unknown := set(options) - options_of(layer):
                raise NotImplementedError(f"{', '.join(sorted(unknown))} of a call")
            if mask is not None and not layer.uses_mask and not isinstance(layer, USING):
                raise NotImplementedError("a mask with uses_mask=False")
            if self.with_states and not layer.is_model and not isinstance(layer, STEPWISE):
                raise NotImplementedError(f"states: {type(layer).__name__} sees more than one step")
            result: tuple[Any, Any] = masks.left(self.writer, inputs, mask, write(context))
        except NotImplementedError as error:
            self.missing.append(f"{layer.name}: {error}")
            dead = _dead(shape)
            result = dead, None
        finally:
            self.writer.scope = outer
        if self.with_states and context is not None and context.last_states:
            self._end_states(layer, context.last_states)
        return result

    def _refuse_missing(self) -> None:
        if self.missing:
            raise NotImplementedError(
                f"{self.model.name}: export: what ONNX's operators do not say, or we do not say in them: "
                + "; ".join(dict.fromkeys(self.missing))
            )

    # --- states ---

    def _states(self, layer: Any, widths: list[int]) -> list[str]:
        names = []
        for kind, width in zip(layer.state_names, widths, strict=True):
            value = Value(self.writer.name(f"{layer.name}_{kind}"), (None, width), self.writer.dtype)
            if not value.name.endswith(f"{layer.name}_{kind}"):
                raise NotImplementedError("states of a layer that is called more than once")
            self.inputs.append(value)
            names.append(value.name)
        return names

    def _end_states(self, layer: Any, last: list[str]) -> None:
        for kind, name, width in zip(layer.state_names, last, layer.state_sizes, strict=True):
            own = self.writer.name(f"{layer.name}_{kind}_next")
            self.writer.nodes.append(self.writer.onnx.helper.make_node("Identity", [name], [own], f"{own}/Identity"))
            self.last_states.append(Value(own, (None, width), self.writer.dtype))

    # --- the whole ---

    def _assembled(self) -> Any:
        onnx, writer = self.writer.onnx, self.writer
        if sum(array.nbytes for array in writer.constants.values()) > _LARGEST:
            raise ValueError(f"{self.model.name}: export: expected at most 2 GB of weights, as fit into one file")
        tensors = [onnx.numpy_helper.from_array(array, name) for name, array in writer.constants.items()]
        graph = onnx.helper.make_graph(
            writer.nodes,
            self.model.name,
            [self._information(value) for value in self.inputs],
            [self._information(value) for value in [*self.outputs, *self.last_states]],
            tensors,
        )
        proto = onnx.helper.make_model(
            graph,
            producer_name="lstmcore",
            opset_imports=[onnx.helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        onnx.checker.check_model(proto, full_check=True)
        return proto

    def _information(self, value: Value) -> Any:
        helper = self.writer.onnx.helper
        # The batch is any; a size that is not known is named by its axis, so that it may differ from call to call.
        sizes = ["batch", *(f"{value.name}_{k}" if n is None else int(n) for k, n in enumerate(value.shape) if k)]
        if sizes[1:2] == [f"{value.name}_1"]:
            sizes[1] = "steps" if len(self.inputs) == 1 or value in self.inputs[:1] else f"{value.name}_steps"
        return helper.make_tensor_value_info(value.name, helper.np_dtype_to_tensor_dtype(value.dtype), sizes)


def _dead(shape: Any) -> Any:
    """Return empty names in the place of outputs, so that the rest can be looked at."""
    if isinstance(shape, dict):
        return {key: _dead(part) for key, part in shape.items()}
    if shape and shape[0] is not None and not isinstance(shape[0], (int, np.integer)):
        return [_dead(part) for part in shape]
    return ""
