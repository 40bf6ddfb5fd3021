"""Functions of `keras.ops` with arguments of their own, such as sums along axes, as layers, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ... import layers
from ...graph.symbol import Symbol

Config = Mapping[str, Any]

_REDUCTIONS = {"Sum": "sum", "Mean": "mean", "Max": "max", "Min": "min", "Prod": "prod"}
_ELEMENTWISE = {name.capitalize(): name for name in ("ceil", "cos", "floor", "log", "sign", "sin", "sqrt")}


def _reduction(name: str, config: Config) -> Callable[..., Any]:
    axis = config.get("axis")
    if axis is None:
        raise ValueError(f"{config.get('name')}: {name}: expected axes behind the batch, got None, which is all")
    return lambda x: layers.Reduction(_REDUCTIONS[name], axis, bool(config.get("keepdims")), dtype=x.dtype.name)(x)


def _elementwise(name: str, config: Config) -> Callable[..., Any]:
    return lambda x: layers.Elementwise(_ELEMENTWISE[name], dtype=x.dtype.name)(x)


def _clip(name: str, config: Config) -> Callable[..., Any]:
    return lambda x: layers.Clip(config.get("x_min"), config.get("x_max"), dtype=x.dtype.name)(x)


def _extreme(name: str, config: Config) -> Callable[..., Any]:
    def apply(first: Any, second: Any) -> Any:
        given = [part for part in (first, second) if isinstance(part, Symbol)]
        if len(given) == 2:
            return getattr(layers, name)(dtype=first.dtype.name)(given)
        limit = second if given[0] is first else first
        limits = {"min_value" if name == "Maximum" else "max_value": limit}
        return layers.Clip(**limits, dtype=given[0].dtype.name)(given[0])

    return apply


def _reshape(name: str, config: Config) -> Callable[..., Any]:
    batch, *sizes = config["newshape"]
    if batch not in (-1, None):
        raise ValueError(f"{config.get('name')}: {name}: expected the batch, -1, first, got {config['newshape']}")
    return lambda x: layers.Reshape(sizes, dtype=x.dtype.name)(x)


def _transpose(name: str, config: Config) -> Callable[..., Any]:
    axes = config.get("axes") or [None]
    if axes[0] != 0:
        raise ValueError(f"{config.get('name')}: {name}: expected the batch to stay first, got {config.get('axes')}")
    return lambda x: layers.Permute(axes[1:], dtype=x.dtype.name)(x)


def _softmax(name: str, config: Config) -> Callable[..., Any]:
    return lambda x: layers.Softmax(config.get("axis", -1), dtype=x.dtype.name)(x)


def _square(name: str, config: Config) -> Callable[..., Any]:
    return lambda x: x**2


# Each with the arguments that it may have beside its name; None in others says nothing.
_FUNCTIONS: dict[str, tuple[Callable[[str, Config], Callable[..., Any]], set[str]]] = {
    **dict.fromkeys(_REDUCTIONS, (_reduction, {"axis", "keepdims"})),
    **dict.fromkeys(_ELEMENTWISE, (_elementwise, set())),
    **dict.fromkeys(("Maximum", "Minimum"), (_extreme, set())),
    "Clip": (_clip, {"x_min", "x_max"}),
    "Reshape": (_reshape, {"newshape"}),
    "Transpose": (_transpose, {"axes"}),
    "Softmax": (_softmax, {"axis"}),
    "Square": (_square, set()),
}
NAMES = frozenset(_FUNCTIONS)


def function(name: str, config: Config) -> Callable[..., Any]:
    """Return what a function does with symbols."""
    make, known = _FUNCTIONS[name]
    for key, value in config.items():
        if key not in known | {"name"} and value is not None:
            raise ValueError(f"{config.get('name')}: {name}: {key}: expected None, got {str(value)[:100]}")
    return make(name, config)


def described_as(layer: Any) -> tuple[str, dict[str, Any]] | None:
    """Return the function that a layer is, and its arguments; None for a layer that is none."""
    kind = type(layer).__name__
    if kind == "Reduction":
        names = {own: name for name, own in _REDUCTIONS.items()}
        axis = layer.axis[0] if len(layer.axis) == 1 else layer.axis
        arguments = {"axis": axis, "keepdims": layer.keepdims}
        return (names[layer.operation], arguments) if layer.operation in names else None
    if kind == "Elementwise":
        name = str(layer.function).capitalize()
        return (name, {}) if name in _ELEMENTWISE else None
    if kind == "Clip":
        limits = (layer.min_value, layer.max_value)
        if None not in limits:
            return "Clip", {"x_min": limits[0], "x_max": limits[1]}
        return ("Minimum" if limits[0] is None else "Maximum"), {}
    if not layer.ends_mask:
        return None
    if kind == "Reshape":
        return "Reshape", {"newshape": [-1, *layer.target_shape]}
    if kind == "Permute":
        return "Transpose", {"axes": [0, *layer.dims]}
    if kind == "Softmax" and isinstance(layer.activation.axis, int):
        return "Softmax", {"axis": layer.activation.axis}
    return (kind, {}) if kind in ("Maximum", "Minimum") else None
