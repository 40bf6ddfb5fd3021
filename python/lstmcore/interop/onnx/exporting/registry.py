"""Which function writes which layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .... import layers
from . import attention, conditions, merging, recurrent, sequences, vectors, within
from .context import Context

# In training alone.
_NOTHING = (
    layers.Dropout,
    layers.SpatialDropout1D,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.AlphaDropout,
    layers.ActivityRegularization,
    layers.Identity,
)
_ACTIVATIONS = (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.ELU, layers.Softmax)
_ELEMENTWISE = (
    layers.Add,
    layers.Subtract,
    layers.Multiply,
    layers.Divide,
    layers.Maximum,
    layers.Minimum,
    layers.Average,
)

_WRITERS: dict[type, Callable[[Context], tuple[Any, Any]]] = {
    **dict.fromkeys(_NOTHING, vectors.identity),
    **dict.fromkeys(_ACTIVATIONS, vectors.activation),
    **dict.fromkeys(_ELEMENTWISE, merging.elementwise),
    **dict.fromkeys((layers.LSTM, layers.GRU, layers.SimpleRNN), recurrent.recurrent),
    **dict.fromkeys((layers.MaxPooling1D, layers.AveragePooling1D), sequences.pooling),
    **dict.fromkeys((layers.Attention, layers.AdditiveAttention), attention.attention),
    layers.MultiHeadAttention: attention.multi_head_attention,
    layers.Dot: attention.dot,
    layers.Rescaling: vectors.rescaling,
    layers.Normalization: vectors.normalization,
    layers.UnitNormalization: vectors.unit_normalization,
    layers.Count: conditions.count,
    layers.Size: conditions.size,
    layers.Bidirectional: recurrent.bidirectional,
    layers.Conv1D: sequences.conv1d,
    layers.GlobalMaxPooling1D: sequences.global_max,
    layers.GlobalAveragePooling1D: sequences.global_average,
    layers.Masking: sequences.masking,
    layers.Embedding: sequences.embedding,
    layers.ZeroPadding1D: sequences.zero_padding,
    layers.Cropping1D: sequences.cropping,
    layers.UpSampling1D: sequences.up_sampling,
    layers.RepeatVector: sequences.repeat,
    layers.Dense: vectors.dense,
    layers.PReLU: vectors.prelu,
    layers.BatchNormalization: vectors.batch_normalization,
    layers.LayerNormalization: vectors.layer_normalization,
    layers.RMSNormalization: vectors.row_normalization,
    layers.Flatten: vectors.flatten,
    layers.Reshape: vectors.reshape,
    layers.Permute: vectors.permute,
    layers.Reduction: vectors.reduction,
    layers.ArgMax: vectors.arg_max,
    layers.Clip: vectors.clip,
    layers.Concatenate: merging.concatenate,
    layers.Arithmetic: merging.arithmetic,
    layers.Negative: merging.negative,
    layers.Absolute: merging.absolute,
    layers.NotEqual: conditions.not_equal,
    layers.Compare: conditions.compare,
    layers.Where: conditions.where,
    layers.Cast: conditions.cast,
    layers.Elementwise: conditions.elementwise,
    layers.Parameter: conditions.parameter,
    layers.SequenceMask: conditions.sequence_mask,
    layers.TakeStep: conditions.take_step,
    layers.Matmul: merging.matmul,
    layers.GetItem: merging.item,
    layers.TimeDistributed: within.time_distributed,
    layers.Residual: within.residual,
}
# What is made of single numbers, or of the last axis alone.
OF_NUMBERS = (
    *_NOTHING,
    *_ACTIVATIONS,
    *(layers.Dense, layers.LayerNormalization, layers.RMSNormalization, layers.UnitNormalization),
    *(layers.Rescaling, layers.Normalization, layers.Negative, layers.Absolute, layers.Clip, layers.Elementwise),
    *(layers.BatchNormalization, layers.PReLU, layers.Arithmetic),
)
USING = (layers.LSTM, layers.GRU, layers.SimpleRNN, layers.Bidirectional)  # a mask, unless they are told not to
# What is made of single steps, which a stream of pieces can do without knowing the others.
STEPWISE = (
    *_NOTHING,
    *_ACTIVATIONS,
    *_ELEMENTWISE,
    *(layers.LSTM, layers.GRU, layers.SimpleRNN, layers.Embedding, layers.Masking, layers.Dense),
    *(layers.BatchNormalization, layers.LayerNormalization, layers.RMSNormalization, layers.Concatenate),
    *(layers.Arithmetic, layers.Negative, layers.Absolute, layers.Clip, layers.TimeDistributed),
    *(layers.Rescaling, layers.Normalization, layers.UnitNormalization),
    *(layers.Elementwise, layers.Compare, layers.Where, layers.Cast, layers.Residual),
)


def writer_of(layer: Any) -> Callable[[Context], tuple[Any, Any]]:
    """Return the function that writes a layer; one of a class of the user's is known by its own class alone."""
    if layer.is_model and getattr(layer, "_drawing", None) is not None:
        return within.model
    if type(layer) not in _WRITERS:
        raise NotImplementedError(type(layer).__name__)
    return _WRITERS[type(layer)]


def options_of(layer: Any) -> set[str]:
    """Return the arguments that a call of a layer may have."""
    kinds = (layers.Attention, layers.MultiHeadAttention)
    return attention.OPTIONS if isinstance(layer, kinds) else {"initial_state"}
