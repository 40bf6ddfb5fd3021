"""Which layers of ours do what a module of PyTorch's does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import layers
from . import functions
from .flow import FIRST, INDICES, LAST, TIME, VECTORS, Flow
from .weights import ConversionError

_CHANNELS_LAST = (VECTORS, LAST, TIME)


def _recurrent(flow: Flow, module: Any, return_sequences: bool = True) -> None:
    kind = type(module).__name__
    flow.needs((LAST,) if module.batch_first else (TIME,), module.input_size)
    options: dict[str, Any] = {"use_bias": module.bias, "dtype": flow.dtype}
    if kind == "RNN":
        options["activation"] = module.nonlinearity
    if module.proj_size:
        options["projection"] = module.proj_size
    ours = {"LSTM": layers.LSTM, "GRU": layers.GRU, "RNN": layers.SimpleRNN}[kind]
    last = module.num_layers - 1
    for depth in range(module.num_layers):
        layer: Any = ours(module.hidden_size, return_sequences=return_sequences or depth < last, **options)
        if module.bidirectional:
            layer = layers.Bidirectional(layer, dtype=flow.dtype)
        flow.add(layer, module, depth)
        if module.dropout and depth < last:
            flow.add(layers.Dropout(module.dropout, dtype=flow.dtype))
    if not return_sequences:
        flow.becomes(VECTORS)


def _outputs(flow: Flow, module: Any) -> None:
    if type(module.rnn).__name__ not in ("LSTM", "GRU", "RNN"):
        raise ConversionError(f"of {type(module.rnn).__name__}")
    _recurrent(flow, module.rnn, module.return_sequences)


def _linear(flow: Flow, module: Any) -> None:
    flow.needs(_CHANNELS_LAST, module.in_features)
    flow.add(layers.Dense(module.out_features, use_bias=module.bias is not None, dtype=flow.dtype), module)


def _embedding(flow: Flow, module: Any) -> None:
    if module.max_norm is not None or module.scale_grad_by_freq:
        raise ConversionError("with max_norm or scale_grad_by_freq")
    flow.needs((INDICES,))
    flow.add(layers.Embedding(module.num_embeddings, module.embedding_dim, dtype=flow.dtype), module)
    flow.becomes(flow.sequences)


def _conv1d(flow: Flow, module: Any) -> None:
    (size,), (stride,), (dilation,) = module.kernel_size, module.stride, module.dilation
    if module.padding_mode != "zeros":
        raise ConversionError(f"with padding_mode={module.padding_mode!r}")
    if stride > 1 and dilation > 1:
        raise ConversionError(f"with stride={stride} and dilation={dilation}: one of them has to be 1")
    flow.needs((FIRST,), module.in_channels)
    before = (size - 1) * dilation
    padding = module.padding if isinstance(module.padding, str) else "valid"
    around = 0 if isinstance(module.padding, str) else module.padding[0]
    if 0 < 2 * around == before and stride == 1:
        padding, around = "same", 0
    if not around and padding == "valid" and before and flow.takes_back(layers.ZeroPadding1D, padding=(before, 0)):
        padding = "causal"
    if around:
        flow.add(layers.ZeroPadding1D(around, dtype=flow.dtype))
    layer = layers.Conv1D(
        module.out_channels,
        size,
        strides=stride,
        padding=padding,
        dilation_rate=dilation,
        groups=module.groups,
        use_bias=module.bias is not None,
        dtype=flow.dtype,
    )
    flow.add(layer, module)


def _batch_norm(flow: Flow, module: Any) -> None:
    if not module.track_running_stats or module.momentum is None:
        raise ConversionError("with track_running_stats=False or momentum=None")
    flow.needs((VECTORS, FIRST), module.num_features)
    layer = layers.BatchNormalization(
        momentum=1 - module.momentum,
        epsilon=module.eps,
        center=module.bias is not None,
        scale=module.weight is not None,
        dtype=flow.dtype,
    )
    flow.add(layer, module)


def _layer_norm(flow: Flow, module: Any) -> None:
    if len(module.normalized_shape) != 1:
        raise ConversionError("over more than the last axis")
    flow.needs(_CHANNELS_LAST, module.normalized_shape[0])
    center, scale = module.bias is not None, module.weight is not None
    flow.add(layers.LayerNormalization(epsilon=module.eps, center=center, scale=scale, dtype=flow.dtype), module)


def _rms_norm(flow: Flow, module: Any) -> None:
    if len(module.normalized_shape) != 1:
        raise ConversionError("over more than the last axis")
    if module.weight is None:
        raise ConversionError("with elementwise_affine=False")
    flow.needs(_CHANNELS_LAST, module.normalized_shape[0])
    epsilon = float(np.finfo(flow.dtype).eps) if module.eps is None else module.eps
    flow.add(layers.RMSNormalization(epsilon=epsilon, dtype=flow.dtype), module)


def _prelu(flow: Flow, module: Any) -> None:
    flow.needs((VECTORS, FIRST))
    axes = len(flow.shape)
    shared = list(range(1, axes)) if module.num_parameters == 1 else list(range(1, axes - 1))
    flow.add(layers.PReLU(shared_axes=shared, dtype=flow.dtype), module)


def _zero_padding(flow: Flow, module: Any) -> None:
    if getattr(module, "value", 0) != 0 or min(module.padding) < 0:
        raise ConversionError(f"with padding={module.padding} and value={getattr(module, 'value', 0)}")
    flow.needs((FIRST,))
    flow.add(layers.ZeroPadding1D(tuple(module.padding), dtype=flow.dtype))


def _pooling(flow: Flow, module: Any) -> None:
    plain = {"padding": 0, "dilation": 1, "ceil_mode": False, "return_indices": False}
    for option, value in plain.items():
        if _single(getattr(module, option, value)) != value:
            raise ConversionError(f"with {option}={getattr(module, option)}")
    flow.needs((FIRST,))
    ours = layers.MaxPooling1D if type(module).__name__ == "MaxPool1d" else layers.AveragePooling1D
    flow.add(ours(_single(module.kernel_size), _single(module.stride), dtype=flow.dtype))


def _pooling_of_all(flow: Flow, module: Any) -> None:
    if _single(module.output_size) != 1 or getattr(module, "return_indices", False):
        raise ConversionError("to more than one step, or with indices")
    flow.needs((FIRST,))
    maximum = type(module).__name__ == "AdaptiveMaxPool1d"
    ours = layers.GlobalMaxPooling1D if maximum else layers.GlobalAveragePooling1D
    flow.add(ours(keepdims=True, dtype=flow.dtype))


def _flatten(flow: Flow, module: Any) -> None:
    if (module.start_dim, module.end_dim) != (1, -1):
        raise ConversionError(f"with start_dim={module.start_dim}, end_dim={module.end_dim}")
    flow.needs((VECTORS, LAST, FIRST))
    if flow.layout in (LAST, FIRST):
        if None in flow.shape[1:]:
            raise ValueError("input_shape: expected (steps, channels) with a number of steps")
        if flow.layout == FIRST and flow.shape[1] != 1:
            flow.add(layers.Permute((2, 1), dtype=flow.dtype))
        flow.add(layers.Flatten(dtype=flow.dtype))
    flow.becomes(VECTORS)


def _dropout(flow: Flow, module: Any) -> None:
    flow.add(layers.Dropout(module.p, dtype=flow.dtype))


def _dropout1d(flow: Flow, module: Any) -> None:
    flow.needs((FIRST,))
    flow.add(layers.SpatialDropout1D(module.p, dtype=flow.dtype))


def _identity(flow: Flow, module: Any) -> None:
    """Add nothing."""


def _alpha_dropout(flow: Flow, module: Any) -> None:
    flow.add(layers.AlphaDropout(module.p, dtype=flow.dtype))


def _softmax(flow: Flow, module: Any) -> None:
    steps = {LAST: 1, FIRST: 2, TIME: 0}.get(flow.layout or "")
    if steps is not None and module.dim in (steps, steps - 3):
        flow.add(layers.Softmax(axis=1, dtype=flow.dtype))
    else:
        _activation(flow, module)


def _hardtanh(flow: Flow, module: Any) -> None:
    if module.min_val in (-1, 0) and (module.min_val == 0 or module.max_val == 1):
        _activation(flow, module)
    else:
        flow.add(layers.Clip(module.min_val, module.max_val, dtype=flow.dtype))


def _activation(flow: Flow, module: Any) -> None:
    flow.add(layers.Activation(functions.from_module(module, flow.place), dtype=flow.dtype))


def _single(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) else value


READERS: dict[str, Callable[[Flow, Any], None]] = {
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
    **dict.fromkeys(("ZeroPad1d", "ConstantPad1d"), _zero_padding),
    **dict.fromkeys(("MaxPool1d", "AvgPool1d"), _pooling),
    **dict.fromkeys(("AdaptiveMaxPool1d", "AdaptiveAvgPool1d"), _pooling_of_all),
    **dict.fromkeys(functions.KINDS, _activation),
    "Softmax": _softmax,
    "Hardtanh": _hardtanh,
    "Outputs": _outputs,
    "Linear": _linear,
    "Embedding": _embedding,
    "Conv1d": _conv1d,
    "BatchNorm1d": _batch_norm,
    "LayerNorm": _layer_norm,
    "RMSNorm": _rms_norm,
    "PReLU": _prelu,
    "Flatten": _flatten,
    "Dropout": _dropout,
    "Dropout1d": _dropout1d,
    "AlphaDropout": _alpha_dropout,
    "Identity": _identity,
}
