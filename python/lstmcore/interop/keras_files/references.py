"""Which tensor is meant where Keras describes the calls of a graph, in any of its versions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

_REFERENCE, _SLICE = "__keras_tensor__", "__slice__"


class Tensor(NamedTuple):
    """Which output of which call of which layer."""

    layer: str
    node: int
    output: int


class Node(NamedTuple):
    """The arguments of a call, with `Tensor` in the places of what others return."""

    arguments: list[Any]
    options: dict[str, Any]


def tensors(value: Any) -> Iterator[Tensor]:
    """Return the references in lists and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from tensors(part)


def node_of(node: Any) -> Node:
    """Return the arguments of one call."""
    if isinstance(node, dict):
        return Node(_plain(node.get("args") or []), _plain(node.get("kwargs") or {}))
    if not isinstance(node, list):
        raise ValueError(f"inbound_nodes: expected a list or a dict, got {str(node)[:100]}")
    if _is_old(node):
        node = [node]
    options: dict[str, Any] = {}
    found = [_old(one, options) for one in node]
    inputs: Any = found[0] if len(found) == 1 else found
    return Node([inputs], options)


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
    return Tensor(value[0], value[1], value[2])


def _old_option(value: Any) -> Any:
    if _is_old(value) and value[1] >= 0:
        return Tensor(value[0], value[1], value[2])
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


def _reference(history: Any) -> Tensor:
    if not _is_old(history):
        raise ValueError(f"keras_history: expected [layer, call, output], got {str(history)[:100]}")
    return Tensor(*history[:3])


def structure(value: Any) -> Any:
    """Return the references in what describes the inputs or the outputs of a model."""
    if _is_old(value):
        return _reference(value)
    if isinstance(value, list):
        return [structure(part) for part in value]
    if isinstance(value, dict):
        return {name: structure(part) for name, part in value.items()}
    raise ValueError(f"expected [layer, call, output], got {str(value)[:100]}")
