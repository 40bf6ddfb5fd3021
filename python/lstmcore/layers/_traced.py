"""Layers and models of the user's that define Keras's ``call``: their passes are those of what it draws."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from .._arguments import number_array
from .._tree import leaves, map_leaves, shapes
from ..graph import tracing
from ..graph.drawing import Drawing
from ..graph.symbol import Call
from ..graph.tracing import Tracing
from ._building import building
from ._derived import stand_ins


def tracing_of(layer: Any) -> Tracing:
    """Return the drawings of a layer's ``call``."""
    found: Tracing | None = layer.__dict__.get("_tracing")
    if found is None:
        kind = type(layer)
        found = layer.__dict__["_tracing"] = Tracing(kind.call, list(inspect.signature(kind.call).parameters))
    return found


def draw(layer: Any, inputs: Any, training: bool, options: Mapping[str, Any] = {}, sized: bool = False) -> Drawing:
    """Return the drawing for arrays or symbols like these."""
    return tracing_of(layer).of(layer, inputs, training, None, options, sized)


def drawing_within(layer: Any, call: Call) -> Drawing | None:
    """Return what a layer does outside of training in a call, if that is drawn: a model, or one with a ``call``."""
    if layer.is_traced:
        return draw(layer, call.inputs, False, call.options).of_outputs()
    return layer._drawing if layer.is_model else None


# --- the methods ---


def forward_with_mask(
    self: Any,
    inputs: Any,
    training: bool = False,
    mask: Any = None,
    logits: Any = False,
    /,  # a ``call`` may have an argument of its own called logits
    *,
    further_masks: Mapping[str, Any] = {},
    **options: Any,
) -> tuple[Any, Any]:
    """Return what ``call`` does for a batch, and its mask; ``further_masks`` are those of further arguments."""
    if self.last_returned is not None:
        self.last_returned = None
    options = {name: _converted(self, name, value) for name, value in options.items()}
    _ready(self, inputs, options)
    outputs, left, cache = tracing_of(self).run(self, inputs, training, mask, logits, options, further_masks)
    if training:
        self.__dict__["_cache"] = cache  # what is set as an attribute is searched for layers
    return outputs, left


def forward(self: Any, inputs: Any, training: bool = False, mask: Any = None, **options: Any) -> Any:
    """Return what ``call`` does for a batch; with ``training``, keep what `backward` needs."""
    return self.forward_with_mask(inputs, training, mask, **options)[0]


forward.is_call = True  # type: ignore[attr-defined]  # a class derived from that may define another ``call``


def backward(self: Any, d_outputs: Any, need_d_inputs: bool = True, logits: Any = False) -> Any:
    """Add to the gradients of all weights, from those of the outputs; return those of the inputs, if needed."""
    return tracing.back(self.kept(), d_outputs, need_d_inputs, logits)[0]


def backward_of_call(
    self: Any, d_outputs: list[Any], need_d_inputs: bool, given: Collection[str], **options: Any
) -> tuple[Any, dict[str, Any]]:
    """Go back through a call in a graph."""
    d = d_outputs[0] if len(d_outputs) == 1 else d_outputs
    d_inputs, d_options = tracing.back(self.kept(), d, need_d_inputs, **options)
    return d_inputs, {name: d_options[name] for name in given if name in d_options}


def compute_output_shape(self: Any, input_shape: Any) -> Any:
    """Return the shape of what ``call`` returns for inputs of that shape, batch first."""
    return result_of_call(self, stand_ins(self, input_shape), {})[0]


def result_of_call(self: Any, inputs: Any, options: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the shape and the dtype of what ``call`` returns for symbols."""
    options = {name: value for name, value in options.items() if name != "mask"}
    _ready(self, inputs, options)
    outputs = draw(self, inputs, False, options, sized=True).outputs
    batch = next(part for part in leaves(inputs) if part is not None).shape[0]  # which a drawing does not know
    shape = map_leaves(lambda made: (batch if made.shape[0] is None else made.shape[0], *made.shape[1:]), outputs)
    return shape, map_leaves(lambda made: made.dtype, outputs)


def _accept(self: Any, inputs: Any) -> Any:
    return self.convert(f"{self.name}: inputs", inputs)


def keepers(self: Any) -> list[Any]:
    """The objects whose attributes hold what a call keeps for the way back: also layers that ``call`` has made."""
    found = {id(self): self}
    drawn = [layer for drawing in tracing_of(self).drawings for layer in drawing.plan.layers]
    for layer in (*self.sublayers, *drawn):
        found |= {id(part): part for part in layer.keepers}
    return list(found.values())


PASSES = {
    method.__name__: method for method in (forward_with_mask, forward, backward, backward_of_call, result_of_call)
}
OF_LAYERS = {method.__name__: method for method in (compute_output_shape, _accept)}


# --- of arrays and shapes ---


def _ready(layer: Any, inputs: Any, options: Mapping[str, Any]) -> None:
    """Have the weights that ``call`` needs."""
    if layer.built:
        return
    if layer.is_model:
        with building:
            if not layer.built:
                layer._build_for(inputs, options)
    else:
        layer.__dict__["_example"] = inputs, options  # for shapes alone do not tell of further arguments
        try:
            layer.build(shapes(inputs))
        finally:
            del layer.__dict__["_example"]


def draw_all(layer: Any, input_shape: Any) -> None:
    inputs, options = layer.__dict__.get("_example", (None, {}))
    if inputs is None:
        inputs = stand_ins(layer, input_shape)
    for training in (True, False):
        draw(layer, inputs, training, options)


def _converted(layer: Any, name: str, value: Any) -> Any:
    """Return a further argument, which may be anything, with the arrays in it as the inputs are."""
    return map_leaves(
        lambda part: number_array(name, part, layer.dtype) if isinstance(part, np.ndarray) else part, value
    )
