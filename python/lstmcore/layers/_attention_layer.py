"""What the layers of attention have in common: several inputs, their masks, and scores beside the outputs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from .. import _masks, _random
from .._arguments import flag
from .._attention import Weighing, steps_mask, weigh
from .layer import Array, Layer, Shape


class AttentionLayer(Layer):
    """Base of the layers of attention, called on [query, value] or [query, value, key].

    A call with ``return_attention_scores=True`` returns (outputs, scores), and `backward` takes the gradient of the
    scores as ``d_scores``.
    """

    takes_several = True
    consumes_mask = True
    narrow_products = True

    # What their constructors set.
    dropout: float
    seed: int | None

    def convert(self, name: str, inputs: Any) -> list[Array]:
        """Return the inputs as a list of arrays."""
        if not isinstance(inputs, (list, tuple)) or len(inputs) not in (2, 3):
            got = f"{len(inputs)} of them" if isinstance(inputs, (list, tuple)) else type(inputs).__name__
            raise ValueError(f"{name}: expected a list [query, value] or [query, value, key], got {got}")
        arrays: list[Array] = super().convert(name, inputs)
        return arrays

    def forward_with_mask(
        self, inputs: Any, training: bool = False, mask: Any = None, **options: Any
    ) -> tuple[Any, Any]:
        """Return what `forward` does and its mask: that of the query for the outputs, none for the scores."""
        outputs, left = super().forward_with_mask(inputs, training, mask, **options)
        return outputs, [left, None] if isinstance(outputs, tuple) and left is not None else left

    def _steps_masks(self, masks: Sequence[Any], inputs: Sequence[Array]) -> list[Array | None]:
        """Return masks of query, value and perhaps key, after checking that they are of their steps."""
        value = inputs[1]
        names, arrays = ("query_mask", "value_mask", "key_mask"), (inputs[0], value, value)
        return [
            None if mask is None else steps_mask(f"{self.name}: {name}", mask, array.shape[:2])
            for name, mask, array in zip(names, masks, arrays, strict=False)
        ]

    def _weigh(
        self,
        scores: Array,
        value: Array,
        left_in: Array | None,
        query_mask: Array | None,
        training: bool,
        scale: float = 1.0,
    ) -> tuple[Array, Weighing]:
        """Return the outputs for scores, with dropout in training, and what the way back needs."""
        factors = None
        if training and self.dropout:
            factors = _random.dropout(self.next_random(self.seed), self.dropout, scores.shape, self.dtype)
        return weigh(scores, value, left_in, query_mask, factors, scale, self._precision)

    def backward_of_call(
        self, d_outputs: list[Array | None], need_d_inputs: bool, given: Collection[str], **options: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Go back through a call in a graph, with the gradient of the scores if it has returned them."""
        layer: Any = self
        own = [d.copy() if d is not None and self.takes_copies else d for d in d_outputs]
        scores = {"d_scores": own[1]} if len(own) == 2 else {}
        return layer.backward(own[0], need_d_inputs, **scores, **options), {}

    def compute_mask(self, inputs: Any, mask: Any = None) -> Array | None:
        """Return the mask of the query."""
        return None if mask is None else _masks.parts(mask)[0]

    def shape_returned(self, input_shape: Any, options: Mapping[str, Any]) -> Any:
        """Return the shape of the outputs, or those of outputs and scores."""
        outputs = self.compute_output_shape(input_shape)
        if not flag(f"{self.name}: return_attention_scores", options.get("return_attention_scores", False)):
            return outputs
        return outputs, self._scores_shape(input_shape)

    def _scores_shape(self, input_shape: Any) -> Shape:
        """Return (batch, queries, keys) for the shapes of the inputs."""
        return (*input_shape[0][:2], input_shape[1][1])


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
