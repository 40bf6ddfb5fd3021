"""Rows that are steps of something longer: what looks at whole rows is done at every step, by TimeDistributed."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from ....graph.symbol import Symbol
from ....layers import Input, TimeDistributed
from . import operators
from .errors import UnsupportedError
from .nodes import Node
from .sizes import BATCH, Size, Sizes
from .values import OtherBatchError, Value, permuted


def made(walk: Any, node: Node, readers: Counter[str], bias: Any) -> list[Any]:
    """Return what an operator makes; of a batch merged with steps, at every step where it cannot be done at once."""
    try:
        return operators.made(walk, node, readers, bias)
    except (UnsupportedError, OtherBatchError):
        symbolic = [value for value in node.inputs if value is not None and not isinstance(value, np.ndarray)]
        if len(symbolic) != 1 or not isinstance(symbolic[0], Value) or len(_merged(symbolic[0])) < 2:
            raise
        return _at_every_step(walk, node, readers, bias, symbolic[0])


def _merged(value: Value) -> tuple[int, ...]:
    """Return the axes of the symbol that the batch in the file is made of."""
    return value.axes[value.batch]


def _at_every_step(walk: Any, node: Node, readers: Counter[str], bias: Any, value: Value) -> list[Any]:
    own = _merged(value)
    steps = [k for k in own if k]
    others = [k for axes in value.axes if 0 not in axes for k in axes]
    symbol = permuted(value.symbol, steps + others)
    inner: Symbol = Input(batch_shape=(None, *(value.symbol.shape[k] for k in others)), dtype=str(symbol.dtype))
    places = {k: place + 1 for place, k in enumerate(others)}
    rows = Value(inner, tuple((0,) if 0 in axes else tuple(places[k] for k in axes) for axes in value.axes))
    count = math.prod(walk.sizes.of(value.symbol, k) for k in steps)
    inputs = [rows if one is value else _of_rows(one, BATCH * count) for one in node.inputs]
    again = Node(node.operator, node.attributes, inputs, node.outputs, node.opset)
    again.shared = node.shared

    before, walk.sizes = walk.sizes, Sizes()
    if before.rows is not None and not isinstance(count, Size):
        walk.sizes.rows = before.rows * count
    for k, place in places.items():
        walk.sizes.say(inner, place, before.of(value.symbol, k))
    try:
        results = operators.made(walk, again, readers, bias)
    except OtherBatchError as other:
        raise OtherBatchError(other.axis, value) from None
    finally:
        walk.sizes = before

    batch = tuple(steps.index(k) + 1 if k else 0 for k in own)
    found: dict[Any, Symbol] = {inner.key: symbol}
    outputs: list[Any] = []
    for name, result in zip(node.outputs, results, strict=False):
        if not readers[name]:
            result = None
        if result is not None and not isinstance(result, Value):
            raise UnsupportedError("of a batch merged with steps")
        if result is not None and result.symbol.key not in found:
            if len(found) > 1:
                raise UnsupportedError("several outputs for a batch merged with steps")
            found[result.symbol.key] = _distributed(walk, inner, result.symbol, len(steps))(symbol)
        outputs.append(None if result is None else _with_steps(found[result.symbol.key], result.axes, batch))
    return outputs


def _of_rows(constant: Any, whole: Any) -> Any:
    """Return a constant in whose sizes the rows are the batch."""
    if not isinstance(constant, np.ndarray) or constant.dtype != object:
        return constant
    rest = [n for n in constant.flat if isinstance(n, Size) and n != whole]
    if any(factor.made or factor in BATCH.factors for n in rest for factor in n.factors):
        raise UnsupportedError("sizes that are computed of a batch merged with steps")
    sizes = [BATCH if isinstance(n, Size) and n == whole else n for n in constant.flat]
    result = np.empty(constant.shape, object)
    result.reshape(-1)[:] = sizes
    return result


def _distributed(walk: Any, inner: Symbol, outputs: Symbol, count: int) -> Any:
    """Return the layer, or the model of several, that makes outputs of rows, at every step of so many axes of steps."""
    alone = outputs.call.inputs is inner and not outputs.call.options and outputs.call.outputs is outputs
    layer: Any = outputs.call.layer if alone else walk.model_of(inner, outputs)
    for _ in range(count):
        layer = TimeDistributed(layer, dtype=layer.dtype)
    return layer


def _with_steps(symbol: Symbol, axes: tuple[tuple[int, ...], ...], batch: tuple[int, ...]) -> Value:
    """Return the value of a symbol with steps where ``axes`` are those of its rows."""
    more = len(batch) - 1
    return Value(symbol, tuple(tuple(b for k in own for b in ((k + more,) if k else batch)) for own in axes))
