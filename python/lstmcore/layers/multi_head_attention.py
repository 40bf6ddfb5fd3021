"""Attention of several heads, each with projections of its own."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import _core, _masks, constraints, initializers, regularizers
from .._arguments import as_array, flag, integers, positive_integer, rate, reject_options
from .._arguments import seed as seed_or_none
from .._attention import dot_scores, dot_scores_backward, keys_left_in, weigh_backward
from ..variables import Variable
from ._attention_layer import AttentionLayer, attention_shape
from .layer import Array, Shape

_NOT_OFFERED = {"activity_regularizer", "use_gate"}


class _Projection(NamedTuple):
    """A product over the last axes of what it is applied to, in the precision of the layer that asks."""

    kernel: Variable
    bias: Variable | None

    def __call__(self, layer: MultiHeadAttention, rows: Array) -> Array:
        """Return (rows, columns)."""
        kernel, bias = self.kernel.value.reshape(rows.shape[1], -1), None
        if self.bias is not None:
            bias = self.bias.value.reshape(-1)
        return _core.matmul(rows, kernel, bias, precision=layer._precision)

    def backward(self, layer: MultiHeadAttention, rows: Array, d_outputs: Array) -> Array:
        """Add to the gradients of the weights and return that of the rows."""
        precision, gradient = layer._precision, self.kernel.gradient.reshape(rows.shape[1], -1)
        _core.matmul(rows.T, d_outputs, None, gradient, True, precision)
        if self.bias is not None:
            self.bias.gradient += d_outputs.sum(axis=0).reshape(self.bias.shape)
        return _core.matmul(d_outputs, self.kernel.value.reshape(rows.shape[1], -1).T, precision=precision)


class MultiHeadAttention(AttentionLayer):
    """``concat(heads) W_o + b_o``, head n the attention of ``q W_q[n]`` to ``v W_v[n]`` by ``k W_k[n]``.

    >>> import numpy as np
    >>> from lstmcore.layers import MultiHeadAttention
    >>> query, value = np.zeros((2, 5, 4), "float32"), np.zeros((2, 7, 3), "float32")
    >>> MultiHeadAttention(num_heads=2, key_dim=8)(query, value).shape
    (2, 5, 4)

    The scores of a head are ``q k^T / sqrt(key_dim)`` (Vaswani et al. 2017).

    A call takes ``query`` (batch, queries, features), ``value`` (batch, keys, features) and ``key``, (batch, keys,
    features), by default the value; or a list of them. `forward` takes the list, and `backward` returns one of
    gradients. By name it takes

    - ``query_mask``, ``value_mask``, ``key_mask`` (batch, steps): by default those that go with the arrays. No query
      sees a key where the value's or the key's is False; what a query that does not count gets is the output's bias.
      The query's goes on.
    - ``attention_mask``, (batch, queries, keys), or (batch, heads, queries, keys), or what is broadcast to it: whether
      a query sees a key.
    - ``use_causal_mask=True``: query t sees the keys up to t.
    - ``return_attention_scores=True``: the call returns (outputs, scores), the scores (batch, heads, queries, keys),
      before dropout, and `backward` takes their gradient as ``d_scores``.

    Where all keys of a query are left out, each has the same weight (see `functional.attention`; Keras's backends
    differ there).

    Weights: ``query/kernel`` (features, num_heads, key_dim), ``query/bias`` (num_heads, key_dim), the same for ``key``
    and, of ``value_dim``, for ``value``; ``attention_output/kernel`` (num_heads, value_dim, *output_shape),
    ``attention_output/bias`` (*output_shape).

    Parameters
    ----------
    num_heads : how many there are.
    key_dim : width of a head's queries and keys.
    value_dim : width of a head's values; key_dim by default.
    dropout : the share of the scores that is left out in training.
    use_bias : whether the projections have biases.
    output_shape : what becomes of a step, an integer or several; by default the query's features.
    attention_axes : None or 1, the steps.
    sliding_window : None, or the number of steps below which a query sees a key, on either side.
    flash_attention : has no effect.
    kernel_initializer, bias_initializer : names or callables.
    kernel_regularizer, bias_regularizer : penalties on the weights.
    activity_regularizer : is not offered.
    kernel_constraint, bias_constraint : are put upon the weights after every step.
    use_gate : is not offered.
    seed : of the dropout; drawn from the global seed by default.
    **options : ``name``, ``dtype`` as for every layer.

    Raises
    ------
    ValueError, TypeError
        An argument is not of its kind, or the inputs do not fit each other; the message names it.
    NotImplementedError
        An argument that is not offered is set.
    """

    not_in_config = ("flash_attention",)

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | Sequence[int] | None = None,
        attention_axes: int | Sequence[int] | None = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: str | Callable[..., Array] = "glorot_uniform",
        bias_initializer: str | Callable[..., Array] = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        kind = "MultiHeadAttention"
        reject_options(kind, {"activity_regularizer": activity_regularizer, "use_gate": use_gate}, _NOT_OFFERED)
        super().__init__(**options)
        self.num_heads = positive_integer(f"{kind}: num_heads", num_heads)
        self.key_dim = positive_integer(f"{kind}: key_dim", key_dim)
        self.value_dim = self.key_dim if value_dim is None else positive_integer(f"{kind}: value_dim", value_dim)
        self.dropout = rate(f"{kind}: dropout", dropout)
        self.use_bias = flag(f"{kind}: use_bias", use_bias)
        self._features: tuple[int, ...] | None = None
        if output_shape is not None:
            sizes = [output_shape] if not isinstance(output_shape, Sequence) else output_shape
            self._features = tuple(positive_integer(f"{kind}: output_shape", n) for n in sizes)
        if attention_axes is not None:
            axes = (attention_axes,) if isinstance(attention_axes, int) else attention_axes
            if integers(f"{kind}: attention_axes", axes) not in ((1,), (-2,)):
                raise NotImplementedError(f"{kind}: attention_axes: expected None or 1, got {attention_axes!r}")
        self.sliding_window = (
            None if sliding_window is None else positive_integer(f"{kind}: sliding_window", sliding_window)
        )
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.seed = seed_or_none(f"{kind}: seed", seed)

    def build(self, input_shape: Any) -> None:
        """Create the weights for the shapes of the inputs in a list."""
        output_shape = self.compute_output_shape(input_shape)
        query, value, key = (shape[-1] for shape in (*input_shape, input_shape[1])[:3])
        heads = self.num_heads
        if None in (query, value, key):
            raise ValueError(f"{self.name}: inputs: expected known numbers of features, got shapes {input_shape}")
        self.query_dense = self._projection("query", (query,), (heads, self.key_dim), "key_dim")
        self.key_dense = self._projection("key", (key,), (heads, self.key_dim), "key_dim")
        self.value_dense = self._projection("value", (value,), (heads, self.value_dim), "value_dim")
        self.output_dense = self._projection(
            "attention_output", (heads, self.value_dim), output_shape[2:], "output_shape"
        )

    def _projection(self, name: str, inputs: tuple[int, ...], outputs: Any, offered: str) -> _Projection:
        kernel = self.add_weight(
            f"{name}/kernel",
            (*inputs, *outputs),
            self.kernel_initializer,
            offered=offered,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if not self.use_bias:
            return _Projection(kernel, None)
        bias = self.add_weight(
            f"{name}/bias",
            outputs,
            self.bias_initializer,
            offered=offered,
            regularizer=self.bias_regularizer,
            constraint=self.bias_constraint,
        )
        return _Projection(kernel, bias)

    def __call__(  # type: ignore[override]  # Keras's arguments, of which the first may be a list
        self,
        query: Any,
        value: Any = None,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: Any = None,
        use_causal_mask: bool = False,
        **options: Any,
    ) -> Any:
        """Return the outputs for a batch, or (outputs, scores).

        ``mask``, a list of masks, stands for the three of them, as in calls of other layers.
        """
        if value is None and not isinstance(query, (list, tuple)):
            raise TypeError(f"{self.name}: value: expected an array, got None")
        inputs = list(query) if value is None else [query, value, *([] if key is None else [key])]
        own = {
            "query_mask": query_mask,
            "value_mask": value_mask,
            "key_mask": key_mask,
            "attention_mask": attention_mask,
            "return_attention_scores": return_attention_scores,
            "use_causal_mask": use_causal_mask,
        }
        options |= {name: value for name, value in own.items() if value is not None and value is not False}
        return super().__call__(inputs, training=training, **options)

    def forward_with_mask(
        self,
        inputs: Any,
        training: bool = False,
        mask: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        **options: Any,
    ) -> tuple[Any, Any]:
        """Return what `forward` does and its mask; masks that are given stand for those that go with the inputs."""
        given = self._steps_masks([query_mask, value_mask, key_mask], inputs)
        if any(own is not None for own in given):
            _masks.give(given)
            pairs = itertools.zip_longest(given, [] if mask is None else mask)
            mask = [one if own is None else own for own, one in pairs]
        return super().forward_with_mask(inputs, training, mask, **options)

    def forward(
        self,
        inputs: Any,
        training: bool = False,
        mask: Any = None,
        attention_mask: Array | None = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """Return the outputs, (batch, queries, *output_shape), or (outputs, scores)."""
        output_shape = self.compute_output_shape([array.shape for array in inputs])
        batch, queries = inputs[0].shape[:2]
        rows = [array.reshape(-1, array.shape[-1]) for array in inputs]
        query, value, key = (
            self._heads(projection(self, part), array.shape)
            for projection, part, array in zip(
                (self.query_dense, self.value_dense, self.key_dense),
                (*rows, rows[1]),
                (*inputs, inputs[1]),
                strict=False,
            )
        )
        scores, products = dot_scores(query, key, precision=self._precision)
        causal = flag(f"{self.name}: use_causal_mask", use_causal_mask)
        query_mask, *masks = self._steps_masks([None] if mask is None else mask, inputs)
        keys_masks = [m for m in masks if m is not None]
        left_in = keys_left_in(
            scores.shape,
            None if attention_mask is None else self._fit_attention_mask(attention_mask, scores.shape),
            np.logical_and.reduce(keys_masks) if keys_masks else None,
            causal,
            self.sliding_window,
        )
        attended, weighing = self._weigh(scores, value, left_in, query_mask, training, 1 / math.sqrt(self.key_dim))
        joined = self._rows(attended)
        outputs = self.output_dense(self, joined).reshape(batch, queries, *output_shape[2:])
        if training:
            self._cache = [array.shape for array in inputs], rows, products, weighing, joined
        if flag(f"{self.name}: return_attention_scores", return_attention_scores):
            return outputs, weighing.scores
        return outputs

    def backward(self, d_outputs: Array | None, need_d_inputs: bool = True, d_scores: Array | None = None) -> Any:
        """Add to the gradients of the weights and return those of the inputs in a list, if needed."""
        shapes, rows, products, weighing, joined = self.kept()
        d_attended = None
        if d_outputs is not None:
            d_joined = self.output_dense.backward(
                self, joined, d_outputs.reshape(len(joined), math.prod(d_outputs.shape[2:]))
            )
            d_attended = self._heads(d_joined, d_outputs.shape)
        d_sums, d_value = weigh_backward(weighing, d_attended, d_scores)
        d_query, d_key, _ = dot_scores_backward(products, d_sums)
        query, value, key = (*rows, rows[1])[:3]
        d_rows = [
            None if d is None else projection.backward(self, part, self._rows(d))
            for projection, part, d in (
                (self.query_dense, query, d_query),
                (self.value_dense, value, d_value),
                (self.key_dense, key, d_key),
            )
        ]
        if not need_d_inputs:
            return None
        if len(rows) == 2:
            *_, d_values, d_keys = d_rows
            d_rows[1:] = [d_keys if d_values is None else d_values + d_keys]
        return [None if d is None else d.reshape(shape) for d, shape in zip(d_rows, shapes, strict=True)]

    def _heads(self, rows: Array, shape: tuple[int, ...]) -> Array:
        """Return (batch, heads, steps, width) for (batch * steps, heads * width), of an array (batch, steps, ...)."""
        heads = rows.reshape(*shape[:2], self.num_heads, rows.shape[1] // self.num_heads).swapaxes(1, 2)
        return np.ascontiguousarray(heads)  # which the products of both passes read as they are

    def _rows(self, heads: Array) -> Array:
        """Return (batch * steps, heads * width) for (batch, heads, steps, width)."""
        batch, count, steps, width = heads.shape
        return heads.swapaxes(1, 2).reshape(batch * steps, count * width)

    def _fit_attention_mask(self, given: Any, shape: tuple[int, ...]) -> Array:
        mask = as_array(f"{self.name}: attention_mask", given)
        if mask.dtype != bool:
            raise TypeError(f"{self.name}: attention_mask: expected bool, got {mask.dtype}")
        by_head = mask[:, None] if mask.ndim == 3 else mask
        try:
            np.broadcast_to(by_head, shape)
        except ValueError:
            raise ValueError(
                f"{self.name}: attention_mask: expected shape {(shape[0], *shape[2:])} or {shape}, got {mask.shape}"
            ) from None
        return by_head

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return (batch, queries, *output_shape) for the shapes of the inputs."""
        attention_shape(self.name, input_shape, same_features=False)
        query = input_shape[0]
        if self.built:
            for name, shape, projection in zip(
                ("query", "value", "key"),
                (*input_shape, input_shape[1])[:3],
                (self.query_dense, self.value_dense, self.key_dense),
                strict=True,
            ):
                if shape[-1] != projection.kernel.shape[0]:
                    raise ValueError(
                        f"{self.name}: {name}: expected {projection.kernel.shape[0]} features, got shape {shape}"
                    )
        return (*query[:2], *((query[2],) if self._features is None else self._features))

    def _scores_shape(self, input_shape: Any) -> Shape:
        """Return (batch, heads, queries, keys) for the shapes of the inputs."""
        batch, queries, keys = super()._scores_shape(input_shape)
        return batch, self.num_heads, queries, keys
