"""Layers and models as copies of another dtype."""

from __future__ import annotations

from typing import Any

from .objects import deserialize, serialize
from .registry import collected_objects, custom_object_scope


def copy_in_float64(layer: Any) -> tuple[Any, Any]:
    """Return a layer or model that computes in float64, with the same weights and random state.

    Beside it, for a compiled model, the arguments of its `compile`; or None.
    """
    with collected_objects() as objects:
        description = serialize(layer)
        build = layer.get_build_config() if layer.is_model else None
        compiled = layer.compile_config() if layer.is_model else None
    with custom_object_scope(objects):
        copy = deserialize(_in_float64(description))
        if layer.built and not copy.built:
            if layer.is_model:
                copy.build_from_config(_in_float64(build))
            else:
                copy.ensure_built(layer.input_shape)
        given = None if compiled is None else {name: deserialize(value) for name, value in compiled.items()}
    if layer.built:
        copy.set_weights(layer.get_weights())
    copy.load_state(layer.state())
    return copy, given


_FLOAT32 = ("float32", "mixed_bfloat16")


def _in_float64(data: Any) -> Any:
    """Return a description in which every dtype that is float32, or a policy with such variables, is float64."""
    if isinstance(data, dict):
        return {k: "float64" if k == "dtype" and v in _FLOAT32 else _in_float64(v) for k, v in data.items()}
    return [_in_float64(part) for part in data] if isinstance(data, (list, tuple)) else data
