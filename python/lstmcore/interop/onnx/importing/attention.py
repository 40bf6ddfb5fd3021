"""Attention, which the newest opsets have as one operator: the products, the softmax and the means behind it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .conditions import where
from .errors import UnsupportedError
from .layers import softmax
from .nodes import Node
from .reshaping import reshape
from .shapes import elementwise, matmul
from .sizes import Size, Sizes
from .values import Value


def attention(node: Node, dtype: Any, sizes: Sizes) -> Value:
    """Return means of values, weighted by how well their keys go with each query."""
    query, key, value = node.inputs[:3]
    if any(one is not None for one in node.inputs[4:]) or any(node.outputs[1:]) or node.get("softcap", 0):
        raise UnsupportedError("with keys of the past, outputs of its own, or softcap")
    if not all(isinstance(one, Value) for one in (query, key, value)):
        raise UnsupportedError("of constants")
    flat = len(query.axes) == 3
    if flat:
        heads = [node.get("q_num_heads"), *[node.get("kv_num_heads")] * 2]
        query, key, value = (
            _of_heads(one, count, node, sizes) for one, count in zip((query, key, value), heads, strict=True)
        )
    width, steps = query.shape(sizes)[-1], (query.shape(sizes)[-2], key.shape(sizes)[-2])
    if query.shape(sizes)[1] != key.shape(sizes)[1] or isinstance(width, Size):
        raise UnsupportedError("heads that share keys")

    def made(operator: str, *inputs: Any) -> Node:
        return Node(operator, {"axis": -1} if operator == "Softmax" else {}, list(inputs), [], node.opset)

    keys = Value(key.symbol, (*key.axes[:-2], key.axes[-1], key.axes[-2]))
    scale = node.get("scale") or 1 / math.sqrt(width)
    products = matmul(made("MatMul", query, keys), dtype)
    scores = elementwise(made("Mul", products, np.asarray(scale, dtype)), dtype, sizes)
    never = np.asarray(-np.inf, dtype)
    if (mask := node.inputs[3] if len(node.inputs) > 3 else None) is not None:
        if (mask.symbol if isinstance(mask, Value) else mask).dtype.kind == "b":
            scores = where(made("Where", mask, scores, never), dtype)
        else:
            scores = elementwise(made("Add", scores, mask), dtype, sizes)
    if node.get("is_causal", 0):
        if any(isinstance(n, Size) for n in steps):
            raise UnsupportedError("is_causal of a number of steps that is not known")
        scores = where(made("Where", np.tril(np.ones(steps, bool)), scores, never), dtype)
    attended = matmul(made("MatMul", softmax(made("Softmax", scores), dtype), value), dtype)
    if not flat:
        return attended
    back = Value(attended.symbol, tuple(attended.axes[k] for k in (0, 2, 1, 3)))
    return reshape(made("Reshape", back, np.array([0, 0, -1])), sizes)


def _of_heads(value: Value, heads: int, node: Node, sizes: Sizes) -> Value:
    """Return (batch, heads, steps, width) of (batch, steps, heads * width)."""
    apart = reshape(Node("Reshape", {}, [value, np.array([0, 0, heads, -1])], [], node.opset), sizes)
    return Value(apart.symbol, tuple(apart.axes[k] for k in (0, 2, 1, 3)))
