"""Operations on tensors, which Keras puts among the layers of a graph, as our operators on symbols."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

from ... import layers
from ...graph.symbol import Symbol
from . import functions
from .configs import Description

_OPERATORS: dict[str, Callable[..., Any]] = {
    "Add": operator.add,
    "Subtract": operator.sub,
    "Multiply": operator.mul,
    "Divide": operator.truediv,
    "TrueDivide": operator.truediv,
    "Power": operator.pow,
    "Matmul": operator.matmul,
    "Negative": operator.neg,
    "Absolute": operator.abs,
    "Abs": operator.abs,
    "GetItem": operator.getitem,
    "__operators__.add": operator.add,
    "math.add": operator.add,
    "math.subtract": operator.sub,
    "math.multiply": operator.mul,
    "math.truediv": operator.truediv,
    "math.divide": operator.truediv,
    "math.negative": operator.neg,
    "math.abs": operator.abs,
    "__operators__.getitem": operator.getitem,
}
# Activations, with the arguments without which they are ours.
ACTIVATIONS: dict[str, dict[str, Any]] = {
    "Elu": {"alpha": 1.0},
    "Gelu": {"approximate": False},
    "Relu": {},
    "Selu": {},
    "Sigmoid": {},
    "Silu": {},
    "Softplus": {},
    "Softsign": {},
    "Tanh": {},
}
_MERGING = ("Add", "Subtract", "Multiply")
_OPERATOR_LAYERS = ("Absolute", "Arithmetic", "Divide", "GetItem", "Matmul", "Negative")


def _name(description: Description) -> str:
    name = str(description["class_name"])
    if name in ("TFOpLambda", "SlicingOpLambda"):
        return str((description.get("config") or {}).get("function"))
    return name


def not_offered(descriptions: Iterable[Description]) -> str:
    """Return the names of the operations among descriptions that are not offered, as a text."""
    names = {_name(one)[:100] for one in descriptions} - _OPERATORS.keys() - ACTIVATIONS.keys() - functions.NAMES
    return ", ".join(sorted(names))


def operation(description: Description) -> Callable[..., Any]:
    """Return what an operation does with symbols."""
    config = description.get("config") or {}
    name = _name(description)
    if name in _OPERATORS:
        return _applied(name, _OPERATORS[name])
    if name in ACTIVATIONS:
        if any(config.get(key, value) != value for key, value in ACTIVATIONS[name].items()):
            raise ValueError(f"{config.get('name')}: {name}: expected {ACTIVATIONS[name]}, got {str(config)[:100]}")
        return lambda x: layers.Activation(name.lower(), dtype=x.dtype.name)(x)
    return functions.function(name, config)


def _applied(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    count = 1 if function in (operator.neg, operator.abs) else 2

    def apply(*arguments: Any) -> Any:
        if len(arguments) < count or any(part is not None for part in arguments[count:]):
            raise ValueError(f"{name}: expected {count} arguments, got {len(arguments)}")
        first, second = arguments[0], arguments[1] if count == 2 else None
        if not any(isinstance(part, Symbol) for part in (first, second)):
            raise ValueError(f"{name}: expected a tensor, got none")
        if function is operator.getitem:
            key = tuple(second) if isinstance(second, list) else second
            return first[key]
        return function(first) if count == 1 else function(first, second)

    return apply


def is_made_by_operators(layer: Any) -> bool:
    """Whether a layer is one that operators on symbols make, or stands for an operation of Keras's."""
    name = type(layer).__name__
    if not type(layer).__module__.startswith("lstmcore."):
        return False
    if name == "NotEqual":
        return not layer.any_feature
    if name in _OPERATOR_LAYERS or functions.described_as(layer) is not None:
        return True
    return layer.ends_mask and (name in _MERGING or activation_operation(layer) is not None)


def activation_operation(layer: Any) -> str | None:
    """Return the name of the operation that is this layer of one activation, if there is one."""
    if not isinstance(layer, layers.Activation):
        return None
    return {name.lower(): name for name in ACTIVATIONS}.get(getattr(layer.activation, "name", ""))
