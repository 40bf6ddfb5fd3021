"""The order of the layers of a graph: Keras's, in which its files count layers of one class and weights stand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .._tree import leaves
from ..graph.symbol import Call, Symbol
from ..layers.input import InputLayer
from ..layers.layer import Layer
from .mask_nodes import Masks
from .nodes import Node


def in_order(calls: Iterable[Call], inputs: Sequence[Symbol], outputs: Any) -> list[Layer]:
    """Return the layers as Keras lists them: the deepest first, those of one depth as one meets them on the way.

    The way leads from the outputs, those of a dict by its keys in order, back to the inputs. Operations that make
    masks are steps of it, as in Keras.
    """
    nodes = _nodes(calls, inputs)
    met, behind = _way([nodes[s.call.number] for s in _by_keys(outputs) if s.call.number in nodes])
    owners: dict[int, Any] = {}
    depth: dict[int, int] = {}  # of layers: steps to the outputs
    below: dict[int, int] = {}  # the same of nodes
    for node in reversed(behind):
        owners[id(node.owner)] = node.owner
        at_least = max(below.get(id(node), 0), depth.get(id(node.owner), 0))
        depth[id(node.owner)] = at_least
        for source in node.sources:
            below[id(source)] = max(below.get(id(source), 0), at_least + 1)
    unused = [s.call.layer for s in inputs if isinstance(s.call.layer, InputLayer)]
    owners |= {id(layer): layer for layer in unused if id(layer) not in owners}
    layers = [owner for owner in owners.values() if isinstance(owner, Layer)]
    return sorted(layers, key=lambda layer: (-depth.get(id(layer), 0), met.get(id(layer), -1)))


def _nodes(calls: Iterable[Call], inputs: Sequence[Symbol]) -> dict[int, Node]:
    """Return the nodes of calls by their numbers."""
    nodes = {s.call.number: Node(s.call.layer) for s in inputs if isinstance(s.call.layer, InputLayer)}
    masks = Masks(nodes)
    for call in calls:
        named = call.options | masks.arguments(call)
        found = [*leaves(call.inputs), *(part for name in sorted(named) for part in leaves(named[name]))]
        sources = [nodes.get(one.call.number) if isinstance(one, Symbol) else one for one in found]
        nodes[call.number] = Node(call.layer, [one for one in sources if isinstance(one, Node)])
        masks.note(call)
    return nodes


def _way(ends: Sequence[Node]) -> tuple[dict[int, int], list[Node]]:
    """Return owners by identity, numbered as they are met, and the nodes, each behind all that it is made from."""
    met: dict[int, int] = {}
    behind: list[Node] = []
    seen: set[int] = set()
    todo = [(node, False) for node in reversed(ends)]
    while todo:
        node, done = todo.pop()
        if done:
            behind.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            met.setdefault(id(node.owner), len(met))
            todo += [(node, True), *((source, False) for source in reversed(node.sources))]
    return met, behind


def _by_keys(outputs: Any) -> list[Any]:
    """Return the symbols of outputs, those of a dict by its keys in order."""
    if isinstance(outputs, dict):
        return [s for key in sorted(outputs) for s in _by_keys(outputs[key])]
    return [s for part in outputs for s in _by_keys(part)] if isinstance(outputs, list) else [outputs]
