"""Scores of attention from sums of queries and keys (Bahdanau et al. 2015)."""

from __future__ import annotations

from typing import NamedTuple

from .. import _core
from .layer import Array


class Cache(NamedTuple):
    """What `additive_scores_backward` needs."""

    sums: Array
    tanh: Array
    weights: Array
    scale: float


def additive_scores(query: Array, key: Array, weights: Array, scale: float) -> tuple[Array, Cache]:
    """Return the sums over the features of ``weights * tanh(scale (q + k))``, (batch, queries, keys), and the rest.

    ``weights`` are one for each feature. There are batch * queries * keys * features numbers on the way.
    """
    sums = query[:, :, None] + key[:, None]
    tanh = _core.tanh(sums if scale == 1 else sums * sums.dtype.type(scale))
    scores = _core.matmul(tanh.reshape(-1, len(weights)), weights[:, None])
    return scores.reshape(tanh.shape[:-1]), Cache(sums, tanh, weights, scale)


def additive_scores_backward(cache: Cache, d_scores: Array) -> tuple[Array, Array, Array, float]:
    """Return the gradients of query, key, weights and scale."""
    sums, tanh, weights, scale = cache
    d_weights = _core.matmul(tanh.reshape(-1, len(weights)).T, d_scores.reshape(-1, 1))[:, 0]
    d = d_scores[..., None] * weights
    d *= 1 - tanh * tanh
    d_scale = float((d * sums).sum())
    d *= scale
    return d.sum(axis=2), d.sum(axis=1), d_weights, d_scale
