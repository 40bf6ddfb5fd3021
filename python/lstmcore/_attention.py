"""Attention on arrays: what `functional` offers of it, and the parts that the layers are made of.

Products and softmaxes are the core's; bits do not depend on the number of threads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._arguments import as_array, flag, number, one_of

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Weighing:
    """The weights of the values, and what `weigh_backward` needs beside them.

    Attributes
    ----------
    value : (..., keys, width).
    scores : (..., queries, keys), what the softmax gives.
    scale : what went into the softmax was multiplied with it.
    left_in : False where a key is left out, as the core takes it; None if none is.
    query_mask : broadcast to the outputs, False where they are zero; None if none is.
    factors : broadcast to the scores: dropout; None for none.
    precision : of the products.
    """

    value: Array
    scores: Array
    scale: float
    left_in: Array | None
    query_mask: Array | None
    factors: Array | None
    precision: str

    @property
    def weights(self) -> Array:
        """The scores after dropout."""
        return self.scores if self.factors is None else np.asarray(self.scores * self.factors)


@dataclass(frozen=True, slots=True)
class DotScores:
    """What `dot_scores_backward` needs; products and scale only if that is to have a gradient."""

    query: Array
    key: Array
    products: Array | None
    scale: float
    precision: str


@dataclass(frozen=True, slots=True)
class AttentionCache:
    """What `attention_backward` needs, from ``attention(..., training=True)``; it refers to query, value and key."""

    dots: DotScores
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
    precision: str = "float32",
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
    scale : a number; by default 1 / sqrt(features), which has no gradient.
    query_mask : (batch, queries), False where the output is zero.
    value_mask : (batch, keys), False where no query sees the key.
    causal : whether query t sees the keys from 0 to t only.
    dropout_mask : broadcast to (batch, ..., queries, keys): factors for the scores.
    training : also return what the backward pass needs.
    precision : "bfloat16" rounds what products read to it, in both passes, of float32 arrays.

    Returns
    -------
    outputs : (batch, ..., queries, width).
    scores : (batch, ..., queries, keys), before dropout; those of every query add up to 1. A key that is left out has
        none, unless all are: then all have the same (Keras's backends but PyTorch), and no gradient goes through the
        scores.
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
    given_scale = None if scale is None else number("scale", scale)
    if one_of("precision", precision, ("float32", "bfloat16")) == "bfloat16" and q.dtype != np.float32:
        raise ValueError(f"precision: expected 'float32' with arrays of {q.dtype}, got 'bfloat16'")
    default_scale = 1 / math.sqrt(q.shape[-1]) if scale is None else 1.0
    shape = (*q.shape[:-1], k.shape[-2])
    factors = None if dropout_mask is None else _broadcast("dropout_mask", _floats("dropout_mask", dropout_mask), shape)
    if factors is not None and factors.dtype != q.dtype:
        raise TypeError(f"dropout_mask: expected {q.dtype}, as the query, got {factors.dtype}")
    left_in = keys_left_in(
        shape,
        None if mask is None else _broadcast("mask", _booleans("mask", mask), shape),
        None if value_mask is None else steps_mask("value_mask", value_mask, (shape[0], shape[-1])),
        flag("causal", causal),
    )
    queries = None if query_mask is None else steps_mask("query_mask", query_mask, (shape[0], shape[-2]))
    sums, dots = dot_scores(q, k, given_scale, precision)
    outputs, weighing = weigh(sums, v, left_in, queries, factors, default_scale, precision)
    if not flag("training", training):
        return outputs, weighing.scores
    return outputs, weighing.scores.copy(), AttentionCache(dots, weighing, key is not None)


def attention_backward(
    cache: AttentionCache, d_outputs: ArrayLike, d_scores: ArrayLike | None = None
) -> tuple[Array, Array, Array | None, float | None]:
    """Gradients of a loss with respect to what `attention` took, from those of what it returned.

    >>> import numpy as np
    >>> from lstmcore import functional
    >>> x = np.ones((2, 7, 3))
    >>> outputs, scores, cache = functional.attention(x, x, training=True)
    >>> d_query, d_value, _, _ = functional.attention_backward(cache, np.ones_like(outputs))
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
    d_scale : a number; None if no scale was given.

    Raises
    ------
    ValueError, TypeError
        A shape or a dtype does not fit; the message names the argument.
    """
    if not isinstance(cache, AttentionCache):
        raise TypeError(f"cache: expected what attention(..., training=True) returns, got {cache!r}")
    weighing, q = cache.weighing, cache.dots.query
    dy = _like("d_outputs", d_outputs, (*q.shape[:-1], weighing.value.shape[-1]), q.dtype)
    dp = None if d_scores is None else _like("d_scores", d_scores, weighing.scores.shape, q.dtype)
    ds, dv = weigh_backward(weighing, dy, dp)
    dq, dk, d_scale = dot_scores_backward(cache.dots, ds)
    assert dv is not None
    return (dq, dv, dk, d_scale) if cache.has_key else (dq, dv + dk, None, d_scale)


# --- the parts ---


def products(a: Array, b: Array, precision: str = "float32") -> Array:
    """Return the matrix products (..., rows, columns) of (..., rows, depth) and (..., depth, columns)."""
    return _core.matmul(_stack(a), _stack(b), precision=precision).reshape(*a.shape[:-1], b.shape[-1])


def _stack(matrices: Array) -> Array:
    """Return matrices (count, rows, columns) from (..., rows, columns)."""
    *lead, rows, columns = matrices.shape
    return matrices.reshape(math.prod(lead), rows, columns)


def dot_scores(
    query: Array, key: Array, scale: float | None = None, precision: str = "float32"
) -> tuple[Array, DotScores]:
    """Return ``scale q k^T``, or without a scale ``q k^T``, and what the backward pass needs."""
    found = products(query, key.swapaxes(-1, -2), precision)
    if scale is None:
        return found, DotScores(query, key, None, 1.0, precision)
    return found * scale, DotScores(query, key, found, scale, precision)


def dot_scores_backward(dots: DotScores, d_scores: Array) -> tuple[Array, Array, float | None]:
    """Return the gradients of query, key and, if one was given, scale, from that of the scores, which is written over.

    ::

        dq = scale ds k    dk = scale ds^T q    d_scale = sum(ds * q k^T)
    """
    d_scale = None
    if dots.products is not None:
        d_scale = float((d_scores * dots.products).sum())
        d_scores *= dots.scale
    d_query = products(d_scores, dots.key, dots.precision)
    return d_query, products(d_scores.swapaxes(-1, -2), dots.query, dots.precision), d_scale


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
    scores: Array,
    value: Array,
    left_in: Array | None,
    query_mask: Array | None,
    factors: Array | None,
    scale: float = 1.0,
    precision: str = "float32",
) -> tuple[Array, Weighing]:
    """Return the outputs for scores, of which scale times is what the softmax is of, and what the way back needs.

    The scores are written over.
    """
    masks = None if left_in is None else _mask_matrices(left_in, scores.shape)
    _core.softmax(_stack(scores), scale, masks)
    if query_mask is not None:
        batch, queries = query_mask.shape
        query_mask = query_mask.reshape(batch, *(1,) * (scores.ndim - 3), queries, 1)
    weighing = Weighing(value, scores, scale, masks, query_mask, factors, precision)
    outputs = products(weighing.weights, value, precision)
    if query_mask is not None:
        np.copyto(outputs, 0, where=~query_mask)
    return outputs, weighing


def _mask_matrices(left_in: Array, shape: tuple[int, ...]) -> Array:
    """Return a mask that is broadcast to scores as the core takes it: a matrix for all, for each row or for each."""
    left_in = left_in.reshape((1,) * (len(shape) - left_in.ndim) + left_in.shape)
    lead = left_in.shape[:-2] if math.prod(left_in.shape[1:-2]) == 1 else shape[:-2]
    return _stack(np.broadcast_to(left_in, (*lead, *shape[-2:])))


def weigh_backward(
    weighing: Weighing, d_outputs: Array | None, d_scores: Array | None = None
) -> tuple[Array, Array | None]:
    """Return the gradients of the scores that `weigh` took and of the values, from those of outputs and scores.

    None is no gradient.
    """
    if d_outputs is None:
        ds, d_value = np.zeros_like(weighing.scores), None
    else:
        dy = d_outputs if weighing.query_mask is None else d_outputs * weighing.query_mask
        d_value = products(weighing.weights.swapaxes(-1, -2), dy, weighing.precision)
        ds = products(dy, weighing.value.swapaxes(-1, -2), weighing.precision)  # that of the weights
        if weighing.factors is not None:
            ds *= weighing.factors
    if d_scores is not None:
        ds += d_scores
    _core.softmax_backward(_stack(ds), _stack(weighing.scores), weighing.scale, weighing.left_in)
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


def steps_mask(name: str, mask: ArrayLike, shape: tuple[int, ...]) -> Array:
    """Return a mask (batch, steps) as an array of booleans, checked."""
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
