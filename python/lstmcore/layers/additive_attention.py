"""Attention by a sum of query and key."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._additive_scores import additive_scores, additive_scores_backward
from .attention import Attention
from .layer import Array


class AdditiveAttention(Attention):
    """Attention whose scores are ``sum(scale * tanh(q + k))``, the sum over the features (Bahdanau et al. 2015).

    >>> import numpy as np
    >>> from lstmcore.layers import AdditiveAttention
    >>> query, value = np.zeros((2, 5, 4), "float32"), np.zeros((2, 7, 4), "float32")
    >>> AdditiveAttention()([query, value]).shape
    (2, 5, 4)

    Inputs, masks and arguments of a call are those of `Attention`.

    Weights: ``scale`` (features) with ``use_scale``.

    Parameters
    ----------
    use_scale : whether each feature has a scale to be learnt; 1 otherwise.
    dropout : the share of the weights that is left out in training.
    seed : of the dropout; drawn from the global seed by default.
    **options : ``name``, ``dtype`` as for every layer.

    Raises
    ------
    ValueError, TypeError
        An argument is not of its kind, or the inputs do not fit each other; the message names it.
    """

    decides = ("score_mode",)

    def __init__(
        self, use_scale: bool = True, dropout: float = 0.0, *, seed: int | None = None, **options: Any
    ) -> None:
        super().__init__(use_scale=use_scale, score_mode="dot", dropout=dropout, seed=seed, **options)

    def build(self, input_shape: Any) -> None:
        """Create the scale."""
        self.compute_output_shape(input_shape)
        self.scale = self.add_weight("scale", (input_shape[0][-1],), "glorot_uniform") if self.use_scale else None

    def _scores(self, query: Array, key: Array) -> tuple[Array, Any]:
        ones = np.ones(query.shape[-1], self.dtype)
        return additive_scores(query, key, ones if self.scale is None else self.scale.value.copy())

    def _scores_backward(self, cache: Any, d_scores: Array) -> tuple[Array, Array]:
        d_query, d_key, d_weights, _ = additive_scores_backward(cache, d_scores)
        if self.scale is not None:
            self.scale.gradient += d_weights
        return d_query, d_key
