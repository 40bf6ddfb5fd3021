"""Graphs of layers from Keras's descriptions: which layer is called on what."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ... import layers
from ...graph.symbol import Symbol
from ...layers import RNN, Bidirectional, InputLayer
from ...layers.recurrent import Recurrent
from ...models import Functional
from .configs import Description, Reader, is_operation
from .graph_masks import Masks
from .operations import not_offered, operation
from .references import Node, Tensor, node_of, structure, tensors


def symbols(config: Mapping[str, Any], reader: Reader) -> tuple[Any, Any]:
    """Return the inputs and the outputs of the graph that a configuration describes, as symbols."""
    described = {_key(one): one for one in config["layers"]}
    if len(described) < len(config["layers"]):
        raise ValueError("layers: expected a name of its own for each")
    nodes: dict[tuple[str, int], Node] = {}
    at: dict[Tensor, Symbol] = {}
    made: dict[str, Any] = {}
    masks = Masks(described, nodes)
    operations = [one for name, one in described.items() if is_operation(one) and not masks.is_of_masks(name)]
    if names := not_offered(operations):
        raise ValueError(f"operations that are not offered, of which layers may be: {names}")
    for name, one in described.items():
        if not masks.is_of_masks(name):
            made[name] = operation(one) if is_operation(one) else reader.layer(one)
        layer = made.get(name)
        if isinstance(layer, InputLayer):
            layer.ensure_built(layer.batch_shape)
            at[Tensor(name, 0, 0)] = layer.symbol
            continue
        # The calls of a model within are counted from 1 in Keras 2, where 0 is the one that drew it.
        first = int(reader.legacy and getattr(layer, "is_model", False))
        for k, node in enumerate(one.get("inbound_nodes") or ()):
            nodes[name, first + k] = node_of(node)
    for key in _in_order(nodes):
        if masks.is_of_masks(key[0]):
            continue
        layer, node = made[key[0]], nodes[key]
        if not reader.legacy:
            node = Node(node.arguments, masks.options(layer, node, at))
        outputs = _called(layer, node, at, reader.legacy)
        masks.note(layer, key, node)
        if is_operation(described[key[0]]):  # it has made a layer, whose name another may have in the file
            name, k = key
            outputs.call.layer.name = f"{name}_call_{k}" if k else name
            outputs.call.layer.ends_mask = True  # for Keras, an operation knows no masks
        for k, symbol in enumerate(outputs if isinstance(outputs, (list, tuple)) else [outputs]):
            at[Tensor(*key, k)] = symbol
    within = set() if reader.legacy else {name for name, layer in made.items() if isinstance(layer, Functional)}
    inputs, outputs = (_put(_ends(structure(config[part]), within), at) for part in ("input_layers", "output_layers"))
    return inputs, outputs


def _ends(value: Any, within: Collection[str]) -> Any:
    """Return the references to inputs or outputs with the calls of models within counted from 0.

    Keras 3 counts them from 1 there, though from 0 in the arguments of calls.
    """
    from_zero = {tensor.layer for tensor in tensors(value) if tensor.layer not in within or not tensor.node}

    def one(part: Any) -> Any:
        if isinstance(part, Tensor):
            return part if part.layer in from_zero else part._replace(node=part.node - 1)
        if isinstance(part, dict):
            return {name: one(inner) for name, inner in part.items()}
        return [one(inner) for inner in part]

    return one(value)


def _key(description: Description) -> str:
    name = description.get("name", (description.get("config") or {}).get("name"))
    if not isinstance(name, str):
        raise ValueError(f"layers: expected a name for each, got {str(name)[:100]}")
    return name


def _in_order(nodes: Mapping[tuple[str, int], Node]) -> Iterator[tuple[str, int]]:
    """Return the calls such that each comes after those that it is made from."""
    waits = {key: {t[:2] for t in tensors([*node]) if t[:2] in nodes} for key, node in nodes.items()}
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


def _put(value: Any, at: Mapping[Tensor, Symbol]) -> Any:
    """Return a structure with symbols in the places of references."""
    if isinstance(value, Tensor):
        if value not in at:
            raise ValueError(
                f"layers: output {value.output} of call {value.node} of {value.layer[:100]} is not made, or by an "
                "operation that is offered for masks only"
            )
        return at[value]
    if isinstance(value, dict):
        return {name: _put(part, at) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_put(part, at) for part in value)
    return value


def _called(layer: Any, node: Node, at: Mapping[Tensor, Symbol], legacy: bool) -> Any:
    arguments, options = _put(node.arguments, at), _put(node.options, at)
    if not isinstance(layer, layers.Layer):
        return layer(*arguments, *options.values())
    # "training" is there also if nobody has said it, and Keras 3 goes by the model even if somebody has.
    if not (legacy and options.get("training")):
        options.pop("training", None)
    options = {k: v for k, v in options.items() if v is not None and k != "name"}
    if isinstance(layer, (Recurrent, RNN, Bidirectional)) and isinstance(arguments[0], list):
        (arguments[0], *states) = arguments[0]
        if states:
            options["initial_state"] = states
    return layer(*arguments, **options)
