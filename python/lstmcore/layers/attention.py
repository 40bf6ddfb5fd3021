"""Attention: for every step of one sequence, a mean of the steps of another."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from .. import _masks, _random
from .._arguments import flag, one_of, rate
from .._arguments import seed as seed_or_none
from .._attention import dot_scores, dot_scores_backward, keys_left_in, weigh, weigh_backward
from ._additive_scores import additive_scores, additive_scores_backward
from .layer import Array, Layer, Shape


class Attending(Layer):
    """Base of the layers of attention: calls on symbols may return scores, which have gradients."""

    takes_several = True

    def shape_of_call(self, inputs: Any, options: Mapping[str, Any]) -> Any:
        """Return the shape, or with scores the shapes, of what a call on symbols returns."""
        shape = super().shape_of_call(inputs, options)
        if not options.get("return_attention_scores"):
            return shape
        query, value = inputs[0].shape, inputs[1].shape
        return shape, (query[0], *self._heads_shape, query[1], value[1])

    @property
    def _heads_shape(self) -> tuple[int, ...]:
        """The axes of the scores between the batch and the queries."""
        return ()

    def backward_of_call(
        self, d_outputs: list[Array | None], need_d_inputs: bool, given: Collection[str], **options: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Go back through a call in a graph, with the gradients of outputs and scores."""
        layer: Any = self
        d, d_scores = (*d_outputs, None)[:2]
        if d is None:
            d = np.zeros(layer.compute_output_shape(self._cache[0]), self.dtype)
        return layer.backward(d, need_d_inputs, d_scores), {}


class Attention(Attending):
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
    it then returns (outputs, scores), and `backward` takes the scores' gradient as ``d_scores``.

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

    takes_several = True
    _second = "mask"

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

    def convert(self, name: str, inputs: Any) -> list[Array]:
        """Return the inputs as a list of arrays."""
        if not isinstance(inputs, (list, tuple)) or len(inputs) not in (2, 3):
            got = f"{len(inputs)} of them" if isinstance(inputs, (list, tuple)) else type(inputs).__name__
            raise ValueError(f"{name}: expected a list [query, value] or [query, value, key], got {got}")
        arrays: list[Array] = super().convert(name, inputs)
        return arrays

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
        query_mask, value_mask = (None, None) if mask is None else mask[:2]
        scores, cache = self._scores(query, keys[0] if keys else value)
        causal = flag(f"{self.name}: use_causal_mask", use_causal_mask)
        left_in = keys_left_in(scores.shape, None, value_mask, causal)
        factors = None
        if training and self.dropout:
            factors = _random.dropout(self.next_random(self.seed), self.dropout, scores.shape, self.dtype)
        outputs, weighing = weigh(scores, value, left_in, query_mask, factors)
        if training:
            self._cache = [array.shape for array in inputs], cache, weighing
        if flag(f"{self.name}: return_attention_scores", return_attention_scores):
            return outputs, weighing.weights
        return outputs

    def backward(self, d_outputs: Array, need_d_inputs: bool = True, d_scores: Array | None = None) -> Any:
        """Add to the gradients of the weights and return those of the inputs in a list, if needed."""
        shapes, cache, weighing = self.kept()
        if d_scores is not None and weighing.factors is not None:
            d_scores = d_scores * weighing.factors  # the scores that are returned are those after dropout
        d_sums, d_value = weigh_backward(weighing, d_outputs, d_scores)
        d_query, d_key = self._scores_backward(cache, d_sums)
        if not need_d_inputs:
            return None
        return [d_query, d_value + d_key] if len(shapes) == 2 else [d_query, d_value, d_key]

    def _scores(self, query: Array, key: Array) -> tuple[Array, Any]:
        """Return what goes into the softmax, and what `_scores_backward` needs."""
        scale = 1.0 if self.scale is None else float(self.scale.value)
        if self.concat_score_weight is None:
            return dot_scores(query, key, scale)
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

    def compute_mask(self, inputs: Any, mask: Any = None) -> Array | None:
        """Return the mask of the query."""
        return None if mask is None else _masks.parts(mask)[0]

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return (batch, queries, width) for the shapes of the inputs."""
        return attention_shape(self.name, input_shape, same_features=True)


def attention_shape(name: str, input_shape: Any, same_features: bool) -> Shape:
    """Return the shape of the queries with the width of the values, after a check of the inputs' shapes.

    ``same_features`` says that queries and keys are of one width.
    """
    if isinstance(input_shape, dict) or len(input_shape) not in (2, 3) or not all(map(_is_shape, input_shape)):
        raise ValueError(
            f"{name}: inputs: expected [query, value] or [query, value, key], each (batch, steps, features), "
            f"got shapes {input_shape}"
        )
    query, value, key = (*input_shape, input_shape[1])[:3]
    if not _agree(query[0], value[0]) or value[1] == 0:
        raise ValueError(
            f"{name}: value: expected shape (batch={query[0]}, keys, width) with at least one key, got {value}"
        )
    features = query[2] if same_features else key[2]
    if not (_agree(value[0], key[0]) and _agree(value[1], key[1]) and _agree(features, key[2])):
        which = "key" if len(input_shape) == 3 else "value"
        raise ValueError(f"{name}: {which}: expected shape {(*value[:2], features)}, got {key}")
    return (*query[:2], value[2])


def _is_shape(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 3 and value[2] != 0


def _agree(one: int | None, other: int | None) -> bool:
    return one is None or other is None or one == other
