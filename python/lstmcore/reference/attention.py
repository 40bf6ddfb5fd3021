"""Attention by products (Vaswani et al. 2017), from the equations."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .activations import Array, softmax, softmax_backward
from .low_precision import Matmul, of_bfloat16


class Cache(NamedTuple):
    """What `attention_backward` needs."""

    query: Array
    value: Array
    key: Array | None
    scale: float
    scale_given: bool
    left_in: Array
    query_mask: Array
    factors: Array
    scores: Array
    product: Matmul


def attention(
    query: Array,
    value: Array,
    key: Array | None = None,
    mask: Array | None = None,
    scale: float | None = None,
    query_mask: Array | None = None,
    value_mask: Array | None = None,
    causal: bool = False,
    dropout_mask: Array | None = None,
    training: bool = False,
    precision: str = "float32",
) -> Any:
    """Return y and p, for q, v and k (v by default)::

        s = scale q k^T, -inf where a key is left out, 0 where all are    p = softmax(s)    y = (p * dropout_mask) v

    with y zero where ``query_mask`` is False; see `lstmcore.functional.attention` for the shapes. With "bfloat16" the
    operands of all products are rounded to it.
    """
    product = of_bfloat16(np.matmul) if precision == "bfloat16" else np.matmul
    k = value if key is None else key
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    s = query.dtype.type(factor) * product(query, k.swapaxes(-1, -2))
    left_in = np.ones(s.shape, bool)
    if mask is not None:
        left_in &= mask
    if value_mask is not None:
        left_in &= _along(value_mask, s.ndim - 1)[..., None, :]
    if causal:
        queries, keys = s.shape[-2:]
        left_in &= np.arange(keys) <= np.arange(queries)[:, None]
    query_mask = np.ones(s.shape[:-1], bool) if query_mask is None else _along(query_mask, s.ndim - 1)
    factors = np.ones_like(s) if dropout_mask is None else dropout_mask
    any_left = left_in.any(axis=-1, keepdims=True)
    p = softmax(np.where(left_in, s, np.where(any_left, s.dtype.type(-np.inf), s.dtype.type(0))))
    y = product(p * factors, value) * query_mask[..., None]
    if not training:
        return y, p
    return y, p, Cache(query, value, key, factor, scale is not None, left_in, query_mask, factors, p, product)


def attention_backward(cache: Cache, d_outputs: Array, d_scores: Array | None = None) -> tuple[Any, ...]:
    """Return the gradients of query, value, key (None where there is none) and scale.

    ::

        da = dy v^T             dp = da * dropout_mask + d_scores        ds = p (dp - sum(dp p)), 0 where left out
        dv = (p * dropout_mask)^T dy    dq = (scale ds) k    dk = (scale ds)^T q    d_scale = sum(ds * q k^T)

    A scale that was not given has None.
    """
    q, v, key, scale, scale_given, left_in, query_mask, factors, p, product = cache
    k = v if key is None else key
    dy = d_outputs * query_mask[..., None]
    dp = product(dy, v.swapaxes(-1, -2)) * factors + (0 if d_scores is None else d_scores)
    ds = softmax_backward(p, p, dp) * left_in
    dv = product((p * factors).swapaxes(-1, -2), dy)
    d_scale = (ds * product(q, k.swapaxes(-1, -2))).sum() if scale_given else None
    ds = q.dtype.type(scale) * ds
    dq, dk = product(ds, k), product(ds.swapaxes(-1, -2), q)
    return (dq, dv + dk, None, d_scale) if key is None else (dq, dv, dk, d_scale)


def _along(mask: Array, axes: int) -> Array:
    """Return a mask (batch, steps) with as many axes, those of the heads between."""
    return mask.reshape(mask.shape[0], *(1,) * (axes - 2), mask.shape[1])
