"""Layers as copies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._placeholders import placeholders
from . import container
from .container import Container
from .names import named_variables
from .objects import deserialize, serialize
from .registry import collected_objects, custom_object_scope
from .state import join, split
from .weights import assign_all, modes_of, quantize_as, shape_from_json, weights_of, without_prefix


def reduce_layer(layer: Any) -> tuple[Any, ...]:
    """Return what pickles and copies a layer: its arguments, its weights and its random state.

    The copy has weights of its own and belongs to no model.
    """
    with collected_objects() as objects:
        description = serialize(layer)
    plain, states = split({"state": layer.state()})
    arrays = weights_of([layer]) | states
    data = {"kind": "layer", "layer": description, "state": plain["state"], **modes_of([layer])}
    data["input_shape"] = layer.input_shape if layer.built else None
    return _from_bytes, (container.pack(Container(arrays, data)), objects)


def _from_bytes(content: bytes, objects: Mapping[str, Any]) -> Any:
    arrays, data = container.unpack(content, "pickled layer")
    weights = without_prefix("weights/", arrays)
    with custom_object_scope(objects), placeholders(sum(array.size for array in weights.values())):
        layer = deserialize(data["layer"])
        if data["input_shape"] is not None:
            layer.ensure_built(shape_from_json(data["input_shape"]))
    quantize_as("pickled layer", [layer], data)
    assign_all("pickled layer", named_variables([layer]), weights)
    layer.load_state(join(data["state"], arrays))
    return layer
