"""Scores of attention from sums of queries and keys (Bahdanau et al. 2015)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .. import _core
from .layer import Array


class Cache(NamedTuple):
    """What `additive_scores_backward` needs."""

    query: Array
    key: Array
    tanh: Array
    weights: Array
    scale: float | None


def additive_scores(query: Array, key: Array, weights: Array, scale: float | None = None) -> tuple[Array, Cache]:
    """Return the sums over the features of ``weights * tanh(scale (q + k))``, (batch, queries, keys), and the rest.

    ``weights`` are one for each feature; without a scale it is 1. There are batch * queries * keys * features numbers
    on the way.
    """
    tanh = np.add(query[:, :, None], key[:, None], order="C")
    if scale is not None:
        tanh *= scale
    _core.tanh(tanh, tanh)
    scores = _core.matmul(tanh.reshape(-1, len(weights)), weights[:, None])
    return scores.reshape(tanh.shape[:-1]), Cache(query, key, tanh, weights, scale)


def additive_scores_backward(cache: Cache, d_scores: Array) -> tuple[Array, Array, Array, float | None]:
    """Return the gradients of query, key, weights and, if there is one, scale."""
    query, key, tanh, weights, scale = cache
    d_weights = _core.matmul(tanh.reshape(-1, len(weights)).T, d_scores.reshape(-1, 1))[:, 0]
    d = tanh * tanh
    np.subtract(1, d, out=d)
    d *= d_scores[..., None]
    d *= weights
    d_query, d_key, d_scale = d.sum(axis=2), d.sum(axis=1), None
    if scale is not None:
        d_scale = float((d_query * query).sum() + (d_key * key).sum())
        d_query *= scale
        d_key *= scale
    return d_query, d_key, d_weights, d_scale
