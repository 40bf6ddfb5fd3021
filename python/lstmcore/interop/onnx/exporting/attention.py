"""Layers of attention: scores, their softmax over the keys, and the means of the values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ....layers import AdditiveAttention
from .context import Context

OPTIONS = {"use_causal_mask", "return_attention_scores", "attention_mask"}  # of calls
_LEAST = 1e-7  # length that is divided by, as in Keras


def attention(context: Context) -> tuple[Any, Any]:
    """Write one head: its scores are products of queries and keys, or sums over the features of what is added up."""
    layer, writer = context.layer, context.writer
    query, value, *rest = (part.name for part in context.parts())
    key = rest[0] if rest else value
    additive = isinstance(layer, AdditiveAttention)
    if not additive and layer.score_mode == "dot":
        scores = writer.add("MatMul", query, writer.transpose(key, 0, 2, 1))
        if layer.scale is not None:
            scores = writer.add("Mul", scores, writer.number(layer.scale.numpy()))
    else:
        sums = writer.add("Add", writer.unsqueeze(query, 2), writer.unsqueeze(key, 1))
        if not additive and layer.scale is not None:
            sums = writer.add("Mul", sums, writer.number(layer.scale.numpy()))
        weights = layer.scale if additive else layer.concat_score_weight
        sums = writer.add("Tanh", sums)
        if weights is not None:
            sums = writer.add("Mul", sums, writer.constant(weights.numpy().astype(writer.dtype), "scale"))
        scores = writer.add("ReduceSum", sums, writer.integers([-1]), keepdims=0)
    masks = _masks(context)[:2]  # that of the key has no effect
    left_in = [] if masks[1] is None else [writer.unsqueeze(masks[1], 1)]
    if context.options.get("use_causal_mask"):
        left_in.append(_near(context, None))
    weights = _weights(context, scores, left_in)
    outputs = writer.add("MatMul", weights, value)
    if masks[0] is not None:
        outputs = writer.masked(outputs, masks[0], 3)
    return _returned(context, outputs, weights, masks[0])


def multi_head_attention(context: Context) -> tuple[Any, Any]:
    """Write heads as an axis behind the batch."""
    layer, writer = context.layer, context.writer
    query, value, *rest = (part.name for part in context.parts())
    query, value, key = (
        _heads(context, projection, name, name_of)
        for projection, name, name_of in (
            (layer.query_dense, query, "query"),
            (layer.value_dense, value, "value"),
            (layer.key_dense, rest[0] if rest else value, "key"),
        )
    )
    products = writer.add("MatMul", query, writer.transpose(key, 0, 1, 3, 2))
    scores = writer.add("Mul", products, writer.number(1 / math.sqrt(layer.key_dim)))
    masks = _masks(context)
    left_in = [writer.unsqueeze(mask, 1, 2) for mask in masks[1:] if mask is not None]
    if (given := context.options.get("attention_mask")) is not None:
        if not hasattr(given, "name") or given.dtype != bool:
            raise NotImplementedError("attention_mask other than a symbol of bool")
        left_in.append(writer.unsqueeze(given.name, 1) if len(given.shape) == 3 else given.name)
    if context.options.get("use_causal_mask"):
        left_in.append(_near(context, None))
    if layer.sliding_window is not None:
        left_in.append(_near(context, layer.sliding_window))
    weights = _weights(context, scores, left_in)
    attended = writer.add("MatMul", weights, value)
    if masks[0] is not None:
        attended = writer.add("Where", writer.unsqueeze(masks[0], 1, 3), attended, writer.number(0))
    width = layer.num_heads * layer.value_dim
    joined = writer.add("Reshape", writer.transpose(attended, 0, 2, 1, 3), writer.integers([0, 0, width]))
    outputs = _projected(context, layer.output_dense, joined, width, "attention_output")
    sizes = layer.output_dense.kernel.shape[2:]
    if len(sizes) > 1:
        outputs = writer.add("Reshape", outputs, writer.integers([0, 0, *sizes]))
    return _returned(context, outputs, weights, masks[0])


def dot(context: Context) -> tuple[str, Any]:
    """Write sums of products along an axis of each of two arrays."""
    layer, writer = context.layer, context.writer
    parts = context.parts()
    places = layer._axes([part.shape for part in parts])
    sides = []
    for part, place in zip(parts, places, strict=True):
        axes = len(part.shape)
        if axes > 3:
            raise NotImplementedError(f"Dot of {axes} axes")
        name = writer.unsqueeze(part.name, 1) if axes == 2 else part.name
        if axes == 3 and place == 1:
            name = writer.transpose(name, 0, 2, 1)
        if layer.normalize:
            length = writer.add("ReduceL2", name, axes=[-1], keepdims=1)
            name = writer.add("Div", name, writer.add("Max", length, writer.number(_LEAST)))
        sides.append(name)
    products = writer.add("MatMul", sides[0], writer.transpose(sides[1], 0, 2, 1))
    gone = [axis for axis, part in zip((1, 2), parts, strict=True) if len(part.shape) == 2]
    if len(gone) == 2:
        gone = [1]  # a number a row keeps an axis
    return (writer.add("Squeeze", products, writer.integers(gone)) if gone else products), None


def _masks(context: Context) -> list[Any]:
    masks = context.mask if isinstance(context.mask, list) else [context.mask] * len(context.parts())
    return list(masks) + [None] * (2 - len(masks))


def _heads(context: Context, projection: Any, name: str, of: str) -> str:
    """Return (batch, heads, steps, width) of an array (batch, steps, features)."""
    writer, kernel = context.writer, projection.kernel.numpy()
    heads, width = kernel.shape[1:]
    rows = _projected(context, projection, name, kernel.shape[0], of)
    return writer.transpose(writer.add("Reshape", rows, writer.integers([0, 0, heads, width])), 0, 2, 1, 3)


def _projected(context: Context, projection: Any, name: str, rows: int, of: str) -> str:
    writer = context.writer
    sums = writer.add("MatMul", name, writer.constant(projection.kernel.numpy().reshape(rows, -1), f"{of}_kernel"))
    if projection.bias is None:
        return sums
    return writer.add("Add", sums, writer.constant(projection.bias.numpy().reshape(-1), f"{of}_bias"))


def _near(context: Context, window: int | None) -> str:
    """Return where a key is not behind a query, or with a window where it is near, (queries, keys)."""
    writer, (query, value, *_) = context.writer, context.parts()
    queries, keys = (writer.positions(part.name) for part in (query, value))
    apart = writer.add("Sub", writer.unsqueeze(queries, 1), keys)
    if window is None:
        return writer.add("GreaterOrEqual", apart, writer.integers(0))
    return writer.add("Less", writer.add("Abs", apart), writer.integers(window))


def _weights(context: Context, scores: str, left_in: list[str]) -> str:
    """Return the softmax over the keys that are left in; where none is, all have the same weight."""
    writer = context.writer
    if left_in:
        whole = left_in[0]
        for other in left_in[1:]:
            whole = writer.add("And", whole, other)
        scores = writer.add("Where", whole, scores, writer.number(np.finfo(writer.dtype).min))
    return writer.add("Softmax", scores, axis=-1)


def _returned(context: Context, outputs: str, weights: str, mask: Any) -> tuple[Any, Any]:
    if context.options.get("return_attention_scores"):
        return [outputs, weights], [mask, None]
    return outputs, mask
