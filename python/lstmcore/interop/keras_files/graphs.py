"""Graphs of layers from Keras's descriptions: which layer is called on what."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ... import layers
from ...graph.symbol import Symbol
from ...layers import RNN, Bidirectional, InputLayer
from ...layers.recurrent import Recurrent
from .configs import Description, Reader, is_operation

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
_ACTIVATIONS = {"Sigmoid", "Tanh", "Relu", "Softplus", "Silu", "Elu", "Selu", "Gelu", "Softsign"}
_REFERENCE, _SLICE = "__keras_tensor__", "__slice__"


class _Tensor(NamedTuple):
    """Which output of which call of which layer."""

    layer: str
    node: int
    output: int


class _Node(NamedTuple):
    arguments: list[Any]
    options: dict[str, Any]


def symbols(config: Mapping[str, Any], reader: Reader) -> tuple[Any, Any]:
    """Return the inputs and the outputs of the graph that a configuration describes, as symbols."""
    described = {_key(one): one for one in config["layers"]}
    if len(described) < len(config["layers"]):
        raise ValueError("layers: expected a name of its own for each")
    nodes: dict[tuple[str, int], _Node] = {}
    at: dict[_Tensor, Symbol] = {}
    made: dict[str, Callable[..., Any]] = {}
    for name, one in described.items():
        made[name] = _operation(one) if is_operation(one) else reader.layer(one)
        if isinstance(made[name], InputLayer):
            layer: Any = made[name]
            layer.ensure_built(layer.batch_shape)
            at[_Tensor(name, 0, 0)] = layer.symbol
            continue
        # The calls of a model within are counted from 1 in Keras 2, where 0 is the one that drew it.
        first = int(reader.legacy and getattr(made[name], "is_model", False))
        for k, node in enumerate(one.get("inbound_nodes") or ()):
            nodes[name, first + k] = _node(node)
    for key in _in_order(nodes):
        outputs = _called(made[key[0]], nodes[key], at)
        if is_operation(described[key[0]]):  # it has made a layer, whose name another may have in the file
            name, k = key
            outputs.call.layer.name = f"{name}_call_{k}" if k else name
        for k, symbol in enumerate(outputs if isinstance(outputs, (list, tuple)) else [outputs]):
            at[_Tensor(*key, k)] = symbol
    inputs, outputs = (_put(_structure(config[part]), at) for part in ("input_layers", "output_layers"))
    return inputs, outputs


def _key(description: Description) -> str:
    name = description.get("name", (description.get("config") or {}).get("name"))
    if not isinstance(name, str):
        raise ValueError(f"layers: expected a name for each, got {str(name)[:100]}")
    return name


def _in_order(nodes: Mapping[tuple[str, int], _Node]) -> Iterator[tuple[str, int]]:
    """Return the calls such that each comes after those that it is made from."""
    waits = {key: {t[:2] for t in _tensors([*node]) if t[:2] in nodes} for key, node in nodes.items()}
    feeds: dict[tuple[str, int], list[tuple[str, int]]] = {}
    for key, sources in waits.items():
        for source in sources:
            feeds.setdefault(source, []).append(key)
    left = {key: len(sources) for key, sources in waits.items()}
    ready = [key for key in nodes if not left[key]][::-1]
    done = 0
    while ready:
        key = ready.pop()
        yield key
        done += 1
        for other in feeds.get(key, ()):
            left[other] -= 1
            if not left[other]:
                ready.append(other)
    if done < len(nodes):
        circle = ", ".join(sorted({name for (name, _), count in left.items() if count}))
        raise ValueError(f"layers: expected a graph without circles, got one among {circle[:200]}")


def _tensors(value: Any) -> Iterator[_Tensor]:
    if isinstance(value, _Tensor):
        yield value
    elif isinstance(value, (list, tuple, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _tensors(part)


def _put(value: Any, at: Mapping[_Tensor, Symbol]) -> Any:
    """Return a structure with symbols in the places of references."""
    if isinstance(value, _Tensor):
        if value not in at:
            raise ValueError(f"layers: output {value.output} of call {value.node} of {value.layer[:100]} is not made")
        return at[value]
    if isinstance(value, dict):
        return {name: _put(part, at) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_put(part, at) for part in value)
    return value


def _called(layer: Any, node: _Node, at: Mapping[_Tensor, Symbol]) -> Any:
    arguments, options = _put(node.arguments, at), _put(node.options, at)
    if not isinstance(layer, layers.Layer):
        return layer(*arguments, *options.values())
    # "training" is there also if nobody has said it, and Keras goes by the model then.
    options = {k: v for k, v in options.items() if v is not None and k not in ("training", "name")}
    if isinstance(layer, (Recurrent, RNN, Bidirectional)) and isinstance(arguments[0], list):
        (arguments[0], *states) = arguments[0]
        if states:
            options["initial_state"] = states
    return layer(*arguments, **options)


# --- operations on tensors ---


def _operation(description: Description) -> Callable[..., Any]:
    config = description.get("config") or {}
    name = str(description["class_name"])
    if name in ("TFOpLambda", "SlicingOpLambda"):
        name = str(config.get("function"))
    if name in _OPERATORS:
        return _applied(name, _OPERATORS[name])
    if name in _ACTIVATIONS:
        return lambda x, *_: layers.Activation(name.lower())(x)
    raise ValueError(f"{config.get('name')}: the operation {name[:100]!r} is not offered; a layer may be")


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


# --- what stands in a description ---


def _node(node: Any) -> _Node:
    """Return the arguments of one call."""
    if isinstance(node, dict):
        return _Node(_plain(node.get("args") or []), _plain(node.get("kwargs") or {}))
    if not isinstance(node, list):
        raise ValueError(f"inbound_nodes: expected a list or a dict, got {str(node)[:100]}")
    if _is_old(node):
        node = [node]
    options: dict[str, Any] = {}
    found = [_old(one, options) for one in node]
    inputs: Any = found[0] if len(found) == 1 else found
    return _Node([inputs], options)


def _is_old(value: Any) -> bool:
    """Whether something is how Keras 2 refers to a tensor: [layer, call, index], and the options of the call."""
    return (
        isinstance(value, list)
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and all(isinstance(k, int) and not isinstance(k, bool) for k in value[1:3])
    )


def _old(value: Any, options: dict[str, Any]) -> Any:
    if not _is_old(value):
        raise ValueError(f"inbound_nodes: expected [layer, call, output, options], got {str(value)[:100]}")
    if len(value) == 4 and value[3]:
        options |= {name: _old_option(part) for name, part in dict(value[3]).items()}
    return _Tensor(value[0], value[1], value[2])


def _old_option(value: Any) -> Any:
    if _is_old(value) and value[1] >= 0:
        return _Tensor(value[0], value[1], value[2])
    if isinstance(value, list) and value and all(_is_old(part) for part in value):
        return [_old_option(part) for part in value]
    if isinstance(value, list):
        return [_old_option(part) for part in value]
    if isinstance(value, dict) and set(value) == {"start", "stop", "step"}:
        return slice(value["start"], value["stop"], value["step"])
    return value


def _plain(value: Any) -> Any:
    """Return arguments of Keras 3 with references in the places of what stands for tensors."""
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if not isinstance(value, dict):
        return value
    kind, config = value.get("class_name"), value.get("config")
    if kind == _REFERENCE and isinstance(config, dict):
        return _reference(config.get("keras_history"))
    if kind == _SLICE and isinstance(config, dict):
        return slice(*(config.get(part) for part in ("start", "stop", "step")))
    if kind == "__ellipsis__":
        return Ellipsis
    if kind is not None:
        raise ValueError(f"inbound_nodes: expected tensors and numbers, got {str(kind)[:100]}")
    return {name: _plain(part) for name, part in value.items()}


def _reference(history: Any) -> _Tensor:
    if not _is_old(history):
        raise ValueError(f"keras_history: expected [layer, call, output], got {str(history)[:100]}")
    return _Tensor(*history[:3])


def _structure(value: Any) -> Any:
    """Return the references in what describes inputs or outputs."""
    if _is_old(value):
        return _reference(value)
    if isinstance(value, list):
        return [_structure(part) for part in value]
    if isinstance(value, dict):
        return {name: _structure(part) for name, part in value.items()}
    raise ValueError(f"expected [layer, call, output], got {str(value)[:100]}")
