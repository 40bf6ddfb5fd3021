"""What our operators on symbols make, as the operations on tensors that Keras puts among the layers of a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..._tree import map_leaves
from ...layers import Arithmetic, Clip, GetItem, MultiHeadAttention, NotEqual
from .configs_out import Config, described, of_layer
from .functions import described_as
from .operations import ACTIVATIONS, activation_operation, is_made_by_operators

_OPERATIONS = {"Divide": "TrueDivide", "Matmul": "Matmul", "Negative": "Negative", "Absolute": "Absolute"}
_ARITHMETIC = {
    "add": "Add",
    "subtract": "Subtract",
    "multiply": "Multiply",
    "true_divide": "TrueDivide",
    "power": "Power",
}


def of_call(layer: Any, of_model: Callable[[Any], Config]) -> Config:
    """Return the description of what is called in a graph: of a layer, or of an operation on tensors."""
    if not is_made_by_operators(layer):
        return of_layer(layer, of_model)
    if (activation := activation_operation(layer)) is not None:
        return described("keras.src.ops.nn", activation, {"name": layer.name} | ACTIVATIONS[activation])
    if (function := described_as(layer)) is not None:
        where = "keras.src.ops.nn" if function[0] == "Softmax" else "keras.src.ops.numpy"
        return described(where, function[0], {"name": layer.name} | function[1])
    kind = type(layer).__name__
    name = _ARITHMETIC[layer.operation] if isinstance(layer, Arithmetic) else _OPERATIONS.get(kind, kind)
    return described("keras.src.ops.numpy", name, {"name": layer.name})


def arguments(call: Any, reference: Callable[[Any], Any]) -> tuple[list[Any], Mapping[str, Any]]:
    """Return what a call gets by position and by name."""
    layer, inputs = call.layer, map_leaves(reference, call.inputs)
    options = {name: map_leaves(reference, value) for name, value in call.options.items()}
    if call.training is not None:
        options["training"] = call.training
    if isinstance(layer, Arithmetic):
        sides = [layer.constant.tolist(), inputs] if layer.reverse else [inputs, layer.constant.tolist()]
        return sides, {}
    if isinstance(layer, GetItem):
        return [inputs, _key(layer.get_config()["key"])], {}
    if isinstance(layer, Clip) and None in (layer.min_value, layer.max_value):
        return [inputs, layer.max_value if layer.min_value is None else layer.min_value], {}
    if isinstance(layer, NotEqual):
        return [inputs, layer.value], {}
    if isinstance(layer, MultiHeadAttention) or is_made_by_operators(layer):
        return (inputs if isinstance(inputs, list) else [inputs]), options
    return [inputs], options


def _key(parts: list[Any]) -> list[Any]:
    def one(part: Any) -> Any:
        if isinstance(part, dict):
            ends = dict(zip(("start", "stop", "step"), part["slice"], strict=True))
            return {"class_name": "__slice__", "config": ends}
        return {"class_name": "__ellipsis__", "config": {}} if part == "ellipsis" else part

    return [None if part == "newaxis" else one(part) for part in parts]
