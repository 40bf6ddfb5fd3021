"""The weights of a layer of ours under the names that the module of PyTorch has for them, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import layers
from .layouts import OPTIONS, recurrent_from_torch, recurrent_to_torch

Array = NDArray[Any]

# Of each layer, in the order of its weights: our name, PyTorch's, and the order of PyTorch's axes among ours.
_PLAIN: dict[type, tuple[tuple[str, str, tuple[int, ...] | None], ...]] = {
    layers.Dense: (("kernel", "weight", (1, 0)), ("bias", "bias", None)),
    layers.Embedding: (("embeddings", "weight", None),),
    layers.LayerNormalization: (("gamma", "weight", None), ("beta", "bias", None)),
    layers.RMSNormalization: (("scale", "weight", None),),
    layers.BatchNormalization: (
        ("gamma", "weight", None),
        ("beta", "bias", None),
        ("moving_mean", "running_mean", None),
        ("moving_variance", "running_var", None),
    ),
    layers.Conv1D: (("kernel", "weight", (2, 1, 0)), ("bias", "bias", None)),
}
# Of a module, but no weight of ours: how many batches there were, which counts only without a momentum.
COUNTER = "num_batches_tracked"


class ConversionError(NotImplementedError):
    """There is no module of PyTorch for a layer; the message is the reason."""


def mode_of(layer: Any) -> str:
    """Return what PyTorch calls a recurrent layer's cell, as "LSTM" or "RNN_RELU"."""
    if type(layer) in (layers.LSTM, layers.GRU, layers.SimpleRNN):
        for mode, options in OPTIONS.items():
            if layer.options == options:
                return mode
        raise ConversionError(f"PyTorch has no {type(layer).__name__} with {layer.options}")
    raise ConversionError(f"PyTorch has no module for {type(layer).__name__}")


def directions(layer: Any) -> list[tuple[Any, str]]:
    """Return the recurrent layers that a module of PyTorch's would have in one, with their suffixes."""
    if not isinstance(layer, layers.Bidirectional):
        return [(layer, "")]
    forward: Any
    backward: Any
    forward, backward = layer.forward_layer, layer.backward_layer
    if mode_of(forward) != mode_of(backward) or forward.units != backward.units:
        raise ConversionError("PyTorch has no Bidirectional of two different layers")
    if layer.merge_mode != "concat":
        raise ConversionError(f"PyTorch has no Bidirectional with merge_mode={layer.merge_mode!r}")
    return [(forward, ""), (backward, "_reverse")]


def state_of(layer: Any, depth: int = 0) -> dict[str, Array]:
    """Return the weights of a built layer as they are in the state dict of PyTorch's module.

    Parameters
    ----------
    layer : of ours.
    depth : which of the ``num_layers`` of a recurrent module it is.

    Raises
    ------
    ConversionError
        PyTorch has no such module.
    """
    inner = _within(layer)
    if type(inner) in _PLAIN:
        own = _by_name(inner)
        state = {theirs: _turned(own[ours], axes) for ours, theirs, axes in _PLAIN[type(inner)] if ours in own}
        if len(state) < len(own):
            more = own.keys() - {ours for ours, _, _ in _PLAIN[type(inner)]}
            raise ConversionError(f"PyTorch's module has no {', '.join(sorted(more))}")
        return state
    if isinstance(inner, layers.PReLU):
        return {"weight": inner.get_weights()[0].reshape(-1)}
    state = {}
    for one, direction in directions(inner):
        kind = mode_of(one).partition("_")[0]
        state |= recurrent_to_torch(kind, one.get_weights(), f"_l{depth}{direction}")
    return state


def fill(layer: Any, state: Mapping[str, Array], depth: int = 0) -> None:
    """Give a built layer the weights in a state dict that has all the names and shapes of `state_of`."""
    inner = _within(layer)
    if type(inner) in _PLAIN:
        own = _by_name(inner)
        inner.set_weights([_turned(state[theirs], axes) for ours, theirs, axes in _PLAIN[type(inner)] if ours in own])
    elif isinstance(inner, layers.PReLU):
        inner.set_weights([state["weight"].reshape(inner.alpha.shape)])
    else:
        for one, direction in directions(inner):
            kind = mode_of(one).partition("_")[0]
            one.set_weights(recurrent_from_torch(kind, state, f"_l{depth}{direction}"))


def _within(layer: Any) -> Any:
    return layer.layer if isinstance(layer, layers.TimeDistributed) else layer


def _by_name(layer: Any) -> dict[str, Array]:
    return {variable.name.rpartition("/")[2]: variable.numpy() for variable in layer.variables}


def _turned(array: Array, axes: tuple[int, ...] | None) -> Array:
    """Return an array with its axes in that order, which here is also the way back."""
    return array if axes is None else np.transpose(array, axes)
