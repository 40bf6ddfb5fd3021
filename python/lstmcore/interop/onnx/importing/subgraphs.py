"""Graphs within a graph: the branch of a condition that is known, and loops of a number of rounds that is known."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import shapes
from .errors import UnsupportedError
from .nodes import Node
from .reading import array_of
from .values import Value

_MOST_NODES = 100_000  # of loops, in all their rounds


def branch(walk: Any, node: Node) -> list[Any]:
    """Return what the branch of a condition that is known makes."""
    condition = node.inputs[0]
    if not isinstance(condition, np.ndarray):
        raise UnsupportedError("a condition that is computed")
    graph = node.get("then_branch" if condition.reshape(-1)[0] else "else_branch")
    if graph is None:
        raise ValueError("expected a graph for each outcome of the condition")
    for tensor in graph.initializer:
        walk.values[tensor.name] = array_of(walk.where, tensor)
    walk.follow(graph)
    walk.orders.update({own: walk.orders.get(v.name) for own, v in zip(node.outputs, graph.output, strict=True)})
    return [walk.values[v.name] for v in graph.output]


def unrolled(walk: Any, node: Node) -> list[Any]:
    """Return what a loop makes that goes round a number of times that is known."""
    count, condition = node.constant(0, "a number of rounds"), node.constant(1, "a condition")
    if count is None or count.dtype == object or any(walk.orders.values()):
        raise UnsupportedError("a number of rounds that is not known")
    if node.get("body") is None:
        raise ValueError("body: expected a graph, got none")
    body, rounds = node.get("body"), int(count.reshape(-1)[0])
    if rounds * len(body.node) > _MOST_NODES:
        raise ValueError(f"Loop: expected at most {_MOST_NODES} operators in all rounds, got {rounds} rounds")
    carried, goes_on = list(node.inputs[2:]), condition is None or bool(condition.reshape(-1)[0])
    if len(body.input) != 2 + len(carried) or len(body.output) < 1 + len(carried):
        raise ValueError(f"Loop: expected a body of {2 + len(carried)} inputs, got {len(body.input)}")
    scanned: list[list[Any]] = [[] for _ in body.output[1 + len(carried) :]]
    own = {name for inner in body.node for name in inner.output}
    for k in range(rounds):
        if not goes_on:
            break
        for name in own:
            walk.values.pop(name, None)
        given = [np.array(k, np.int64), np.array(True), *carried]
        walk.values.update(zip((v.name for v in body.input), given, strict=True))
        walk.values.update({t.name: array_of(walk.where, t) for t in body.initializer})
        walk.follow(body)
        made = [walk.values[v.name] for v in body.output]
        if not isinstance(made[0], np.ndarray):
            raise UnsupportedError("a condition that is computed")
        goes_on, carried = bool(made[0].reshape(-1)[0]), made[1 : 1 + len(carried)]
        for parts, value in zip(scanned, made[1 + len(carried) :], strict=True):
            parts.append(value)
    return [*carried, *(_stacked(walk, node, parts) for parts in scanned)]


def _stacked(walk: Any, node: Node, parts: list[Any]) -> Any:
    """Return what the rounds of a loop have made, one after the other."""
    if not parts or not all(isinstance(value, Value) for value in parts):
        raise UnsupportedError("rounds that make constants")
    wide = [Value(value.symbol, ((), *value.axes)) for value in parts]
    return shapes.concat(Node("Concat", {"axis": 0}, wide, [], node.opset), walk.sizes)
