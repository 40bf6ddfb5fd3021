"""Attention on arrays: what `functional` offers of it, and the parts that the layers are made of.

Products go through the core, so that bits do not depend on the number of threads; the softmax is NumPy's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._arguments import as_array, flag, number

Array = NDArray[Any]

# The score of a key that a mask leaves out: e to the difference from any score that may occur is 0.
_LEFT_OUT = -1e9


@dataclass(frozen=True, slots=True)
class Weighing:
    """The weights of the values, and what `weigh_backward` needs beside them.

    Attributes
    ----------
    value : (..., keys, width).
    scores : (..., queries, keys), what the softmax gives.
    left_in : broadcast to the scores, False where a key is left out; None if none is.
    query_mask : broadcast to the outputs, False where they are zero; None if none is.
    factors : broadcast to the scores: dropout; None for none.
    """

    value: Array
    scores: Array
    left_in: Array | None
    query_mask: Array | None
    factors: Array | None

    @property
    def weights(self) -> Array:
        """The scores after dropout."""
        return self.scores if self.factors is None else np.asarray(self.scores * self.factors)


@dataclass(frozen=True, slots=True)
class DotScores:
    """What `dot_scores_backward` needs."""

    query: Array
    key: Array
    scale: float


@dataclass(frozen=True, slots=True)
class AttentionCache:
    """What `attention_backward` needs, from ``attention(..., training=True)``; it refers to query, value and key."""

    scores: DotScores
    weighing: Weighing
    has_key: bool


# --- for the user ---


def attention(
    query: ArrayLike,
    value: ArrayLike,
    key: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    scale: float | None = None,
    query_mask: ArrayLike | None = None,
    value_mask: ArrayLike | None = None,
    causal: bool = False,
    dropout_mask: ArrayLike | None = None,
    training: bool = False,
) -> Any:
    """Return means of values, weighted by how well their keys go with each query.

    ::

        scores = softmax(scale q k^T)      outputs = (scores * dropout_mask) v

    >>> import numpy as np
    >>> from lstmcore import functional
    >>> query, value = np.array([[[9.0, 0.0]]]), np.array([[[9.0, 0.0], [0.0, 9.0]]])
    >>> outputs, scores = functional.attention(query, value)
    >>> outputs.round(3).tolist(), scores.round(3).tolist()
    ([[[9.0, 0.0]]], [[[1.0, 0.0]]])

    Parameters
    ----------
    query : (batch, queries, features), float32 or float64, or with more axes after the batch, such as that of heads.
    value : (batch, keys, width), with as many axes, and at least one key.
    key : (batch, keys, features); by default the values.
    mask : broadcast to (batch, ..., queries, keys): False where a query does not see a key.
    scale : 1 / sqrt(features) by default.
    query_mask : (batch, queries), False where the output is zero.
    value_mask : (batch, keys), False where no query sees the key.
    causal : whether query t sees the keys from 0 to t only.
    dropout_mask : broadcast to (batch, ..., queries, keys): factors for the scores.
    training : also return what the backward pass needs.

    Returns
    -------
    outputs : (batch, ..., queries, width).
    scores : (batch, ..., queries, keys), before dropout; those of every query add up to 1. A key that is left out has
        none, unless all are: then, as if a large number was taken from each score, all have the same (Keras's
        backends but PyTorch), and no gradient goes through the scores.
    cache : only with ``training``; leave query, value, key and dropout_mask as they are until the backward pass.

    Raises
    ------
    ValueError, TypeError
        A shape or a dtype does not fit; the message names the argument.

    References
    ----------
    Vaswani et al. 2017, Attention is all you need.
    """
    q, v = _floats("query", query), _floats("value", value)
    k = v if key is None else _floats("key", key)
    _check(q, v, k, "value" if key is None else "key")
    factor = 1 / math.sqrt(q.shape[-1]) if scale is None else number("scale", scale)
    shape = (*q.shape[:-1], k.shape[-2])
    factors = None if dropout_mask is None else _broadcast("dropout_mask", _floats("dropout_mask", dropout_mask), shape)
    if factors is not None and factors.dtype != q.dtype:
        raise TypeError(f"dropout_mask: expected {q.dtype}, as the query, got {factors.dtype}")
    left_in = keys_left_in(
        shape,
        None if mask is None else _broadcast("mask", _booleans("mask", mask), shape),
        None if value_mask is None else _steps_mask("value_mask", value_mask, (shape[0], shape[-1])),
        flag("causal", causal),
    )
    queries = None if query_mask is None else _steps_mask("query_mask", query_mask, (shape[0], shape[-2]))
    sums, dots = dot_scores(q, k, factor)
    outputs, weighing = weigh(sums, v, left_in, queries, factors)
    if not flag("training", training):
        return outputs, weighing.scores
    return outputs, weighing.scores.copy(), AttentionCache(dots, weighing, key is not None)


def attention_backward(
    cache: AttentionCache, d_outputs: ArrayLike, d_scores: ArrayLike | None = None
) -> tuple[Array, Array, Array | None, float]:
    """Gradients of a loss with respect to what `attention` took, from those of what it returned.

    >>> import numpy as np
    >>> from lstmcore import functional
    >>> x = np.ones((2, 7, 3))
    >>> outputs, scores, cache = functional.attention(x, x, training=True)
    >>> d_query, d_value, _, d_scale = functional.attention_backward(cache, np.ones_like(outputs))
    >>> d_query.shape, d_value.shape
    ((2, 7, 3), (2, 7, 3))

    Parameters
    ----------
    cache : from ``attention(..., training=True)``. May be used more than once.
    d_outputs : gradient of the outputs, in their shape.
    d_scores : gradient of the scores, in their shape; None for none.

    Returns
    -------
    d_query, d_value, d_key : in the shapes of the arrays; without a key its gradient is part of the values', and None.
    d_scale : a number.

    Raises
    ------
    ValueError, TypeError
        A shape or a dtype does not fit; the message names the argument.
    """
    if not isinstance(cache, AttentionCache):
        raise TypeError(f"cache: expected what attention(..., training=True) returns, got {cache!r}")
    weighing, q = cache.weighing, cache.scores.query
    dy = _like("d_outputs", d_outputs, (*q.shape[:-1], weighing.value.shape[-1]), q.dtype)
    dp = None if d_scores is None else _like("d_scores", d_scores, weighing.scores.shape, q.dtype)
    ds, dv = weigh_backward(weighing, dy, dp)
    dq, dk, d_scale = dot_scores_backward(cache.scores, ds)
    return (dq, dv, dk, d_scale) if cache.has_key else (dq, dv + dk, None, d_scale)


# --- the parts ---


def products(a: Array, b: Array) -> Array:
    """Return the matrix products (..., rows, columns) of (..., rows, depth) and (..., depth, columns)."""
    out = np.empty((*a.shape[:-1], b.shape[-1]), a.dtype)
    for place in np.ndindex(a.shape[:-2]):
        _core.matmul(a[place], b[place], None, out[place])
    return out


def dot_scores(query: Array, key: Array, scale: float) -> tuple[Array, DotScores]:
    """Return ``scale q k^T``, and what the backward pass needs."""
    scores = products(query, key.swapaxes(-1, -2))
    scores *= scale
    return scores, DotScores(query, key, scale)


def dot_scores_backward(dots: DotScores, d_scores: Array) -> tuple[Array, Array, float]:
    """Return the gradients of query, key and scale: ``scale ds k``, ``scale ds^T q`` and ``sum(ds * q k^T)``."""
    d_query = products(d_scores, dots.key)
    d_scale = float((dots.query * d_query).sum())  # the same sum, in another order, without q k^T
    d_query *= dots.scale
    d_key = products(d_scores.swapaxes(-1, -2), dots.query)
    d_key *= dots.scale
    return d_query, d_key, d_scale


def keys_left_in(
    shape: tuple[int, ...], mask: Array | None, value_mask: Array | None, causal: bool, window: int | None = None
) -> Array | None:
    """Return where a query sees a key, broadcast to scores of that shape; None if all see all.

    With a window, it sees those that are less than so many steps away.
    """
    parts = [] if mask is None else [mask]
    if value_mask is not None:
        parts.append(value_mask.reshape(shape[0], *(1,) * (len(shape) - 2), shape[-1]))
    ahead = np.arange(shape[-1]) - np.arange(shape[-2])[:, None]
    if causal:
        parts.append(ahead <= 0)
    if window is not None:
        parts.append(np.abs(ahead) < window)
    seen: Array | None = None
    for part in parts:
        seen = part if seen is None else seen & part
    return seen


def weigh(
    scores: Array, value: Array, left_in: Array | None, query_mask: Array | None, factors: Array | None
) -> tuple[Array, Weighing]:
    """Return the outputs for scores before the softmax, which are written over, and what the backward pass needs."""
    if left_in is not None:
        np.copyto(scores, scores.dtype.type(_LEFT_OUT), where=~left_in)
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    if query_mask is not None:
        batch, queries = query_mask.shape
        query_mask = query_mask.reshape(batch, *(1,) * (scores.ndim - 3), queries, 1)
    weighing = Weighing(value, scores, left_in, query_mask, factors)
    outputs = products(weighing.weights, value)
    if query_mask is not None:
        np.copyto(outputs, 0, where=~query_mask)
    return outputs, weighing


def weigh_backward(weighing: Weighing, d_outputs: Array, d_scores: Array | None = None) -> tuple[Array, Array]:
    """Return the gradients of the scores before the softmax, and of the values."""
    p, dy = weighing.scores, d_outputs
    if weighing.query_mask is not None:
        dy = dy * weighing.query_mask
    d_value = products(weighing.weights.swapaxes(-1, -2), dy)
    ds = products(dy, weighing.value.swapaxes(-1, -2))  # first that of the weights, then that of the softmax
    if weighing.factors is not None:
        ds *= weighing.factors
    if d_scores is not None:
        ds += d_scores
    ds -= (ds * p).sum(axis=-1, keepdims=True)
    ds *= p
    if weighing.left_in is not None:
        ds *= weighing.left_in
    return ds, d_value


# --- checks ---


def _floats(name: str, value: ArrayLike) -> Array:
    array = as_array(name, value)
    if array.dtype not in (np.float32, np.float64):
        raise TypeError(f"{name}: expected float32 or float64, got {array.dtype}")
    return array


def _booleans(name: str, value: ArrayLike) -> Array:
    array = as_array(name, value)
    if array.dtype != bool:
        raise TypeError(f"{name}: expected bool, got {array.dtype}")
    return array


def _check(q: Array, v: Array, k: Array, key: str) -> None:
    for name, array in (("value", v), ("key", k)):
        if array.dtype != q.dtype:
            raise TypeError(f"{name}: expected {q.dtype}, as the query, got {array.dtype}")
    if q.ndim < 3 or not q.shape[-1]:
        raise ValueError(f"query: expected shape (batch, queries, features), got {q.shape}")
    if v.ndim != q.ndim or v.shape[:-2] != q.shape[:-2] or not v.shape[-2]:
        lead = ", ".join(map(str, q.shape[:-2]))
        raise ValueError(f"value: expected shape ({lead}, keys, width) with at least one key, got {v.shape}")
    expected = (*v.shape[:-1], q.shape[-1])
    if k.shape != expected:
        raise ValueError(f"{key}: expected shape {expected}, got {k.shape}")


def _broadcast(name: str, array: Array, shape: tuple[int, ...]) -> Array:
    try:
        np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(f"{name}: expected a shape that is broadcast to {shape}, got {array.shape}") from None
    return array


def _steps_mask(name: str, mask: ArrayLike, shape: tuple[int, int]) -> Array:
    array = _booleans(name, mask)
    if array.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")
    return array


def _like(name: str, value: ArrayLike, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    array = _floats(name, value)
    if array.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")
    if array.dtype != dtype:
        raise TypeError(f"{name}: expected {dtype}, got {array.dtype}")
    return array
