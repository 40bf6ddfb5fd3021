"""Which modules of PyTorch do what a layer of ours does."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import layers
from . import functions
from .adapters import ChannelsFirst, Outputs
from .package import nn, torch
from .weights import ConversionError, directions, mode_of, state_of

Shape = tuple[int | None, ...]
Made = list[tuple[str, nn.Module]]


def written(layer: Any, shape: Shape) -> Made:
    """Return the modules for a layer, with what is to stand behind its name in theirs.

    Parameters
    ----------
    layer : built.
    shape : of its inputs, with the batch.
    """
    writer = _WRITERS.get(type(layer))
    if writer is None:
        raise ConversionError(f"PyTorch has no module for {type(layer).__name__}")
    return writer(layer, shape)


def _loaded(module: nn.Module, layer: Any) -> nn.Module:
    """Give a module the weights of a layer; those that only the module has are such that they do nothing."""
    state = {name: torch.from_numpy(np.array(value, order="C")) for name, value in state_of(layer).items()}
    module.load_state_dict({**module.state_dict(), **state})
    return module if layer.trainable else module.requires_grad_(False)


def _dtype(layer: Any) -> torch.dtype:
    return getattr(torch, np.dtype(layer.dtype).name)  # type: ignore[no-any-return]


def _with_activation(module: nn.Module, activation: Any) -> Made:
    return [("", module), *(("_activation", part) for _, part in _activation(activation))]


def _activation(activation: Any) -> Made:
    found = functions.to_module(activation)
    return [] if found is None else [("", getattr(nn, found[0])(**found[1]))]


def _recurrent(layer: Any, shape: Shape) -> Made:
    ways = [one for one, _ in directions(layer)]
    first = ways[0]
    mode = mode_of(first)
    for option in ("return_state", "go_backwards", "stateful"):
        if getattr(first, option):  # of the two in a Bidirectional, the second goes backwards
            raise ConversionError(f"with {option}=True, which PyTorch's modules do not have")
    if any(way._zones for way in ways):
        raise ConversionError("PyTorch has no zoneout")
    if len({way.use_bias for way in ways}) > 1:
        raise ConversionError("PyTorch has no Bidirectional of a layer with a bias and one without")
    if first.outputs == first.units and mode == "LSTM_PROJECTED":
        raise ConversionError("PyTorch has no projection to as many as units")
    if any(way.dropout or way.recurrent_dropout for way in ways):
        warnings.warn(f"to_torch: {layer.name}: PyTorch has no dropout within recurrent layers", stacklevel=2)
    options: dict[str, Any] = {"nonlinearity": first.options.activation} if mode.startswith("RNN") else {}
    if mode == "LSTM_PROJECTED":
        options["proj_size"] = first.outputs
    module = getattr(nn, mode.partition("_")[0])(
        shape[-1],
        first.units,
        bias=first.use_bias,
        batch_first=True,
        bidirectional=len(ways) == 2,
        dtype=_dtype(first),
        **options,
    )
    return [("", Outputs(_loaded(module, layer), first.return_sequences))]


def _dense(layer: Any, shape: Shape) -> Made:
    module = nn.Linear(shape[-1] or 0, layer.units, bias=layer.use_bias, dtype=_dtype(layer))
    return _with_activation(_loaded(module, layer), layer.activation)


def _embedding(layer: Any, shape: Shape) -> Made:
    if layer.mask_zero:
        raise ConversionError("with mask_zero=True: PyTorch's modules know no masks")
    return [("", _loaded(nn.Embedding(layer.input_dim, layer.output_dim, dtype=_dtype(layer)), layer))]


def _conv1d(layer: Any, shape: Shape) -> Made:
    if layer.padding == "same" and layer.strides > 1:
        raise ConversionError('with padding="same" and strides: where its windows lie depends on the number of steps')
    module = nn.Conv1d(
        shape[-1] or 0,
        layer.filters,
        layer.kernel_size,
        stride=layer.strides,
        padding="same" if layer.padding == "same" else 0,
        dilation=layer.dilation_rate,
        groups=layer.groups,
        bias=layer.use_bias,
        dtype=_dtype(layer),
    )
    parts = [_loaded(module, layer)]
    if layer.padding == "causal":
        parts.insert(0, nn.ZeroPad1d(((layer.kernel_size - 1) * layer.dilation_rate, 0)))
    return _with_activation(ChannelsFirst(*parts), layer.activation)


def _batch_normalization(layer: Any, shape: Shape) -> Made:
    if layer.renorm or layer.axis not in (-1, len(shape) - 1) or len(shape) > 3:
        raise ConversionError("PyTorch has a BatchNorm1d without renorm, of the last axis of two or three")
    affine = layer.center or layer.scale
    module = nn.BatchNorm1d(
        shape[-1] or 0, eps=layer.epsilon, momentum=1 - layer.momentum, affine=affine, dtype=_dtype(layer)
    )
    return [("", _channels_first(_loaded(module, layer), shape))]


def _layer_normalization(layer: Any, shape: Shape) -> Made:
    if layer.rms_scaling or layer.axis not in (-1, len(shape) - 1, (-1,), [-1]):
        raise ConversionError("PyTorch has a LayerNorm of the last axes, without rms_scaling")
    affine = layer.center or layer.scale
    module = nn.LayerNorm(
        shape[-1] or 0, eps=layer.epsilon, elementwise_affine=affine, bias=layer.center, dtype=_dtype(layer)
    )
    return [("", _loaded(module, layer))]


def _rms_normalization(layer: Any, shape: Shape) -> Made:
    if layer.axis not in (-1, len(shape) - 1, (-1,), [-1]):
        raise ConversionError("PyTorch has an RMSNorm of the last axes")
    module = nn.RMSNorm(shape[-1] or 0, eps=layer.epsilon, dtype=_dtype(layer))
    return [("", _loaded(module, layer))]


def _clip(layer: Any, shape: Shape) -> Made:
    if layer.min_value is None or layer.max_value is None:
        raise ConversionError("PyTorch has a Hardtanh with both limits")
    return [("", nn.Hardtanh(layer.min_value, layer.max_value))]


def _prelu(layer: Any, shape: Shape) -> Made:
    alphas = layer.alpha.shape
    if any(n != 1 for n in alphas[:-1]):
        raise ConversionError("with an alpha for every step; PyTorch has them for channels: shared_axes=[1]")
    module = _loaded(nn.PReLU(alphas[-1], dtype=_dtype(layer)), layer)
    return [("", _channels_first(module, shape))]


def _channels_first(module: nn.Module, shape: Shape) -> nn.Module:
    return ChannelsFirst(module) if len(shape) == 3 else module


def _dropout(layer: Any, shape: Shape) -> Made:
    kind = nn.AlphaDropout if isinstance(layer, layers.AlphaDropout) else nn.Dropout
    if layer.noise_shape is not None:
        raise ConversionError(f"PyTorch has no {kind.__name__} with noise_shape")
    return [("", kind(layer.rate))]


def _zero_padding(layer: Any, shape: Shape) -> Made:
    return [("", ChannelsFirst(nn.ZeroPad1d(tuple(layer.padding))))]


def _pooling(layer: Any, shape: Shape) -> Made:
    if layer.padding != "valid":
        raise ConversionError(f"with padding={layer.padding!r}: where its windows lie depends on the number of steps")
    kind = nn.MaxPool1d if isinstance(layer, layers.MaxPooling1D) else nn.AvgPool1d
    return [("", ChannelsFirst(kind(layer.pool_size, layer.strides)))]


def _pooling_of_all(layer: Any, shape: Shape) -> Made:
    kind = nn.AdaptiveMaxPool1d if isinstance(layer, layers.GlobalMaxPooling1D) else nn.AdaptiveAvgPool1d
    return [("", ChannelsFirst(kind(1))), *([] if layer.keepdims else [("_flat", nn.Flatten())])]


def _time_distributed(layer: Any, shape: Shape) -> Made:
    activation = getattr(layer.layer, "activation", None)
    if type(layer.layer) not in _STEPWISE or (activation is not None and not activation.stepwise):
        raise ConversionError(f"TimeDistributed of {type(layer.layer).__name__}")
    return written(layer.layer, (shape[0], *shape[2:]))


# What PyTorch's modules do to the last axis, whatever there is before it.
_STEPWISE = (layers.Dense, layers.Dropout, layers.Activation, layers.ReLU, layers.LeakyReLU, layers.ELU)
_WRITERS: dict[type, Callable[[Any, Shape], Made]] = {
    **dict.fromkeys((layers.LSTM, layers.GRU, layers.SimpleRNN, layers.Bidirectional), _recurrent),
    **dict.fromkeys(
        (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.ELU, layers.Softmax),
        lambda layer, shape: _activation(layer.activation),
    ),
    **dict.fromkeys((layers.MaxPooling1D, layers.AveragePooling1D), _pooling),
    **dict.fromkeys((layers.GlobalMaxPooling1D, layers.GlobalAveragePooling1D), _pooling_of_all),
    layers.Dense: _dense,
    layers.Embedding: _embedding,
    layers.Conv1D: _conv1d,
    layers.BatchNormalization: _batch_normalization,
    layers.LayerNormalization: _layer_normalization,
    layers.PReLU: _prelu,
    layers.RMSNormalization: _rms_normalization,
    layers.Clip: _clip,
    layers.Dropout: _dropout,
    layers.AlphaDropout: _dropout,
    layers.SpatialDropout1D: lambda layer, shape: [("", ChannelsFirst(nn.Dropout1d(layer.rate)))],
    layers.ZeroPadding1D: _zero_padding,
    layers.Flatten: lambda layer, shape: [("", nn.Flatten())],
    layers.Identity: lambda layer, shape: [],
    layers.TimeDistributed: _time_distributed,
}
