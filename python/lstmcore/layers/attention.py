"""Attention: for every step of one sequence, a mean of the steps of another."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _masks
from .._arguments import flag, one_of, rate
from .._arguments import seed as seed_or_none
from .._attention import dot_scores, dot_scores_backward, keys_left_in, weigh_backward
from ._additive_scores import additive_scores, additive_scores_backward
from ._attention_layer import AttentionLayer, attention_shape
from .layer import Array, Shape


class Attention(AttentionLayer):
    """``softmax(scores) v``: for every query a mean of the values, weighted by how well their keys go with it.

    >>> import numpy as np
    >>> from lstmcore.layers import Attention
    >>> query, value = np.zeros((2, 5, 4), "float32"), np.zeros((2, 7, 4), "float32")
    >>> Attention()([query, value]).shape
    (2, 5, 4)
    >>> outputs, scores = Attention()([query, value], return_attention_scores=True)
    >>> scores.shape
    (2, 5, 7)

    The scores are ``scale q k^T`` (Luong et al. 2015), or with "concat" ``w sum(tanh(scale (q + k)))``, the sum over
    the features.

    Inputs: [query, value] or [query, value, key], of shapes (batch, queries, features), (batch, keys, width) and
    (batch, keys, features); the key by default is the value.

    Weights: ``scale`` () with ``use_scale``, ``concat_score_weight`` () with "concat".

    Masks: [query_mask, value_mask], each (batch, steps) or None. The output is zero where the query's is False; no
    query sees a key where the value's is. The query's goes on. Where all keys of a query are left out, each has the
    same weight, and the scores get no gradient (see `functional.attention`; in Keras that holds to the precision of
    float32).

    A call may have ``use_causal_mask=True``: query t then sees the keys up to t; and ``return_attention_scores=True``:
    it then returns (outputs, scores), the scores (batch, queries, keys) after dropout, and `backward` takes their
    gradient as ``d_scores``.

    Parameters
    ----------
    use_scale : whether there is a scale to be learnt, 1 at first.
    score_mode : "dot" or "concat".
    dropout : the share of the weights that is left out in training.
    seed : of the dropout; drawn from the global seed by default.
    **options : ``name``, ``dtype`` as for every layer.

    Raises
    ------
    ValueError, TypeError
        An argument is not of its kind, or the inputs do not fit each other; the message names it.
    """

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        kind = type(self).__name__
        self.use_scale = flag(f"{kind}: use_scale", use_scale)
        self.score_mode = one_of(f"{kind}: score_mode", score_mode, ("dot", "concat"))
        self.dropout = rate(f"{kind}: dropout", dropout)
        self.seed = seed_or_none(f"{kind}: seed", seed)

    def build(self, input_shape: Any) -> None:
        """Create the weights."""
        self.compute_output_shape(input_shape)
        self.scale = self.add_weight("scale", (), "ones") if self.use_scale else None
        self.concat_score_weight = None
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight("concat_score_weight", (), "ones")

    def __call__(  # type: ignore[override]  # Keras's arguments in Keras's order
        self,
        inputs: Any,
        mask: Any = None,
        training: Any = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
        **options: Any,
    ) -> Any:
        """Return the outputs for a batch, or (outputs, scores)."""
        own = {"return_attention_scores": return_attention_scores, "use_causal_mask": use_causal_mask}
        options |= {name: value for name, value in own.items() if value is not False}
        return super().__call__(inputs, training=training, mask=mask, **options)

    def fit_mask(self, mask: Any, inputs: Any) -> Any:
        """Return the masks that a call was given, after checking that they fit the inputs."""
        if isinstance(mask, (list, tuple)) and len(mask) == 2:
            inputs = inputs[:2]
        return _masks.fit_all(self.name, mask, inputs)

    def forward(
        self,
        inputs: Any,
        training: bool = False,
        mask: Any = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """Return the outputs, (batch, queries, width), or (outputs, scores)."""
        self.compute_output_shape([array.shape for array in inputs])
        query, value, *keys = inputs
        masks = [None, None] if mask is None else list(mask[:2])  # that of the key has no effect, as in Keras
        query_mask, value_mask = self._steps_masks(masks, inputs)
        scores, cache = self._scores(query, keys[0] if keys else value)
        left_in = keys_left_in(scores.shape, None, value_mask, flag(f"{self.name}: use_causal_mask", use_causal_mask))
        outputs, weighing = self._weigh(scores, value, left_in, query_mask, training)
        if training:
            self._cache = cache, weighing, len(inputs)
        if flag(f"{self.name}: return_attention_scores", return_attention_scores):
            return outputs, weighing.weights
        return outputs

    def backward(self, d_outputs: Array | None, need_d_inputs: bool = True, d_scores: Array | None = None) -> Any:
        """Add to the gradients of the weights and return those of the inputs in a list, if needed."""
        cache, weighing, count = self.kept()
        if d_scores is not None and weighing.factors is not None:
            d_scores = d_scores * weighing.factors  # the scores that are returned are those after dropout
        d_sums, d_value = weigh_backward(weighing, d_outputs, d_scores)
        d_query, d_key = self._scores_backward(cache, d_sums)
        if not need_d_inputs:
            return None
        if count == 3:
            return [d_query, d_value, d_key]
        return [d_query, d_key if d_value is None else d_value + d_key]

    def _scores(self, query: Array, key: Array) -> tuple[Array, Any]:
        """Return what goes into the softmax, and what `_scores_backward` needs."""
        scale = None if self.scale is None else float(self.scale.value)
        if self.concat_score_weight is None:
            return dot_scores(query, key, scale, self._precision)
        weights = np.full(query.shape[-1], self.concat_score_weight.value, self.dtype)
        return additive_scores(query, key, weights, scale)

    def _scores_backward(self, cache: Any, d_scores: Array) -> tuple[Array, Array]:
        """Add to the gradients of the weights and return those of query and key."""
        if self.concat_score_weight is None:
            d_query, d_key, d_scale = dot_scores_backward(cache, d_scores)
        else:
            d_query, d_key, d_weights, d_scale = additive_scores_backward(cache, d_scores)
            self.concat_score_weight.gradient += d_weights.sum()
        if self.scale is not None:
            self.scale.gradient += d_scale
        return d_query, d_key

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return (batch, queries, width) for the shapes of the inputs."""
        return attention_shape(self.name, input_shape, same_features=True)
