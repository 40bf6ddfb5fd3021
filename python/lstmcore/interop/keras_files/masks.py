"""Where a model of Keras's gives other outputs here, for a mask goes on that Keras ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ... import layers
from ..._warnings import warn
from ...layers import RNN, Bidirectional, Embedding, Masking, TimeDistributed
from ...layers.recurrent import Recurrent

_ENDS = (
    layers.Conv1D,
    layers.MaxPooling1D,
    layers.AveragePooling1D,
    layers.ZeroPadding1D,
    layers.UpSampling1D,
    layers.Cropping1D,
    layers.RMSNormalization,
)


def warn_of_masks(model: Any) -> None:
    """Warn where there are masks, and layers behind which Keras has none or another."""
    every = list(_within(model))
    if not any(isinstance(layer, Masking) or (isinstance(layer, Embedding) and layer.mask_zero) for layer in every):
        return
    ends = [layer.name for layer in every if isinstance(layer, _ENDS) or _turns_round(layer)]
    if ends:
        warn(
            f"{model.name}: outputs can differ from Keras's where there is padding: Keras ends the mask, or leaves it "
            f"in the order of the inputs, at {', '.join(ends)}, if it comes there"
        )


def _turns_round(layer: Any) -> bool:
    return isinstance(layer, (Recurrent, RNN)) and layer.go_backwards and layer.return_sequences


def _within(layer: Any) -> Iterator[Any]:
    yield layer
    inner: list[Any] = []
    if layer.is_model:
        inner = layer.layers
    elif isinstance(layer, TimeDistributed):
        inner = [layer.layer]
    elif isinstance(layer, Bidirectional):
        return  # it turns its own mask round, and back
    for one in inner:
        yield from _within(one)
