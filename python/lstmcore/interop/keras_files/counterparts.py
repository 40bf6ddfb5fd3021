"""What in a model Keras has no counterpart of."""

from __future__ import annotations

from typing import Any

from ... import layers
from ...layers import RNN, Bidirectional, InputLayer, TimeDistributed
from ...models import Functional, Sequential
from ...models.keras_masks import ENDS
from .operations import is_made_by_operators

# What only our layers have, by the value with which they are Keras's.
OURS: dict[str, Any] = {
    "zoneout": 0.0,
    "peepholes": False,
    "input_gate": True,
    "forget_gate": True,
    "output_gate": True,
    "coupled": False,
    "input_activation": True,
    "output_activation": True,
    "clip": None,
    "layer_norm": False,
    "projection": None,
}
_ACTIVATIONS = ("affine", "scaled_tanh")
_KERAS = {
    "Activation", "ActivityRegularization", "Add", "AdditiveAttention", "AlphaDropout", "Attention", "Average",
    "AveragePooling1D", "BatchNormalization", "Bidirectional", "Concatenate", "Conv1D", "Cropping1D", "Dense", "Dot",
    "Dropout", "ELU", "Embedding", "Flatten", "GRU", "GRUCell", "GaussianDropout", "GaussianNoise",
    "GlobalAveragePooling1D", "GlobalMaxPooling1D", "Identity", "InputLayer", "LSTM", "LSTMCell", "Lambda",
    "LayerNormalization", "LeakyReLU", "Masking", "MaxPooling1D", "Maximum", "Minimum", "MultiHeadAttention",
    "Multiply", "PReLU", "Permute", "RMSNormalization", "RNN", "ReLU", "RepeatVector", "Reshape", "SimpleRNN",
    "SimpleRNNCell", "Softmax", "SpatialDropout1D", "Subtract", "TimeDistributed", "UnitNormalization",
    "Normalization", "Rescaling", "UpSampling1D", "ZeroPadding1D",
}  # fmt: skip


def refused(layer: Any, in_graph: bool = False) -> set[str]:
    """Return what is said of everything in a model that has no counterpart."""
    kind = type(layer)
    if layer.is_model:
        if kind not in (Sequential, Functional):
            return {f"{layer.name} ({kind.__name__})"}
        return {said for one in layer.layers for said in refused(one, kind is Functional)}
    if (in_graph and is_made_by_operators(layer)) or kind is InputLayer:
        return set()
    if kind.__name__ not in _KERAS or getattr(layers, kind.__name__, None) is not kind:
        return {f"{layer.name} ({kind.__name__})"}
    config = layer.get_config()
    found = {f"{layer.name} ({key}={config[key]!r})" for key, plain in OURS.items() if config.get(key, plain) != plain}
    found |= {
        f"{layer.name} ({key} {value['class_name']})"
        for key, value in config.items()
        if key.endswith("activation") and isinstance(value, dict) and value["class_name"] != "function"
    }
    found |= {
        f"{layer.name} ({key}={value!r})"
        for key, value in config.items()
        if key.endswith("activation") and value in _ACTIVATIONS
    }
    if layer.ends_mask and kind not in ENDS:
        found.add(f"{layer.name} (ends_mask=True)")
    inner = {Bidirectional: ("forward_layer", "backward_layer"), TimeDistributed: ("layer",)}.get(kind, ())
    within = layer.cells if kind is RNN else [getattr(layer, name) for name in inner]
    return found | {said for one in within for said in refused(one)}
