"""Descriptions of layers and models as Keras reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ... import layers
from ..._tree import map_leaves
from ...graph.symbol import Symbol
from ...layers import (
    RNN,
    Arithmetic,
    Bidirectional,
    Embedding,
    GetItem,
    InputLayer,
    MultiHeadAttention,
    TimeDistributed,
)
from ...models import Functional, Sequential

Config = dict[str, Any]

# What only our layers have, by the value with which they are Keras's.
_OURS: dict[str, Any] = {
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
_OUR_ACTIVATIONS = ("affine", "scaled_tanh")
# What older versions of Keras 3 do not know, by its default.
_NEW: dict[str, Any] = {
    "renorm": False,
    "renorm_clipping": None,
    "renorm_momentum": 0.99,
    "rms_scaling": False,
    "sliding_window": None,
    "use_gate": False,
    "input_axes": None,
    "output_axes": None,
    "flash_attention": None,
    "activity_regularizer": None,
}
_HERE_ONLY = {"checkpoint", "input_shape", "batch_input_shape", "input_length", "weights"}
_KERAS = {
    "Activation", "ActivityRegularization", "Add", "AdditiveAttention", "AlphaDropout", "Attention", "Average",
    "AveragePooling1D", "BatchNormalization", "Bidirectional", "Concatenate", "Conv1D", "Cropping1D", "Dense", "Dot",
    "Dropout", "ELU", "Embedding", "Flatten", "GRU", "GRUCell", "GaussianDropout", "GaussianNoise",
    "GlobalAveragePooling1D", "GlobalMaxPooling1D", "Identity", "InputLayer", "LSTM", "LSTMCell", "Lambda",
    "LayerNormalization", "LeakyReLU", "Masking", "MaxPooling1D", "Maximum", "Minimum", "MultiHeadAttention",
    "Multiply", "PReLU", "Permute", "RMSNormalization", "RNN", "ReLU", "RepeatVector", "Reshape", "SimpleRNN",
    "SimpleRNNCell", "Softmax", "SpatialDropout1D", "Subtract", "TimeDistributed", "UnitNormalization",
    "UpSampling1D", "ZeroPadding1D",
}  # fmt: skip
_OPERATIONS = {"Divide": "TrueDivide", "Matmul": "Matmul", "Negative": "Negative", "Absolute": "Absolute"}
_ARITHMETIC = {
    "add": "Add",
    "subtract": "Subtract",
    "multiply": "Multiply",
    "true_divide": "TrueDivide",
    "power": "Power",
}


def described(module: str, name: str, config: Config) -> Config:
    """Return a description in Keras's form."""
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


def of_model(model: Any) -> Config:
    """Return the description of a model.

    Raises
    ------
    ValueError
        Keras has no layers for some of its; all are said.
    """
    refused = sorted(_refused(model))
    if refused:
        raise ValueError(
            f"{model.name}: Keras has nothing that is {', '.join(refused)}; a file named .safetensors takes every model"
        )
    return _of_model(model)


def _of_model(model: Any) -> Config:
    return _of_chain(model) if isinstance(model, Sequential) else _of_graph(model)


# --- what Keras does not have ---


def _refused(layer: Any, in_graph: bool = False) -> set[str]:
    """Return what is said of everything in a model that has no counterpart."""
    kind = type(layer)
    if layer.is_model:
        if kind not in (Sequential, Functional):
            return {f"{layer.name} ({kind.__name__})"}
        return {said for one in layer.layers for said in _refused(one, kind is Functional)}
    operation = kind in (Arithmetic, GetItem) or kind.__name__ in _OPERATIONS
    if (operation and in_graph and kind.__module__.startswith("lstmcore.")) or kind is InputLayer:
        return set()
    if kind.__name__ not in _KERAS or getattr(layers, kind.__name__, None) is not kind:
        return {f"{layer.name} ({kind.__name__})"}
    config = layer.get_config()
    found = {f"{layer.name} ({key}={config[key]!r})" for key, plain in _OURS.items() if config.get(key, plain) != plain}
    found |= {
        f"{layer.name} ({key} {value['class_name']})"
        for key, value in config.items()
        if key.endswith("activation") and isinstance(value, dict) and value["class_name"] != "function"
    }
    found |= {
        f"{layer.name} ({key}={value!r})"
        for key, value in config.items()
        if key.endswith("activation") and value in _OUR_ACTIVATIONS
    }
    inner = {Bidirectional: ("forward_layer", "backward_layer"), TimeDistributed: ("layer",)}.get(kind, ())
    within = layer.cells if kind is RNN else [getattr(layer, name) for name in inner]
    return found | {said for one in within for said in _refused(one)}


# --- layers ---


def of_layer(layer: Any) -> Config:
    """Return the description of a layer, or of a model within another."""
    if layer.is_model:
        return _of_model(layer)
    config = layer.get_config()
    if isinstance(layer, Bidirectional):
        for key, one, before in (
            ("layer", layer.forward_layer, "forward_"),
            ("backward_layer", layer.backward_layer, "backward_"),
        ):
            config[key] = of_layer(one)
            # Keras puts it before the name again.
            config[key]["config"]["name"] = config[key]["config"]["name"].removeprefix(before)
    elif isinstance(layer, TimeDistributed):
        config["layer"] = of_layer(layer.layer)
    elif isinstance(layer, RNN):
        cells = [of_layer(cell) for cell in layer.cells]
        config["cell"] = described("keras.layers", "StackedRNNCells", {"cells": cells}) if layer.stacked else cells[0]
    plain = {key: _plain(value) for key, value in config.items() if key not in _HERE_ONLY | _OURS.keys()}
    plain = {key: value for key, value in plain.items() if key not in _NEW or value != _NEW[key]}
    plain["name"] = str(config["name"]).rpartition("/")[2]
    if not isinstance(layer, Embedding):
        plain.pop("input_dim", None)
    if type(layer).__name__ in ("SpatialDropout1D", "InputLayer"):
        plain.pop("trainable", None)
    return described("keras.layers", type(layer).__name__, plain)


def _plain(value: Any) -> Any:
    """Return plain data with Keras's modules in the places of ours."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    if "registered_name" in value and "class_name" in value:
        return value  # it is Keras's already
    if value.keys() >= {"class_name", "config"}:
        if value["class_name"] == "function":
            name = value["config"]["name"]
            return {"module": "builtins", "class_name": "function", "config": name, "registered_name": name}
        module = str(value["module"]).replace("lstmcore", "keras", 1)
        config = {key: _plain(one) for key, one in value["config"].items()}
        config = {key: one for key, one in config.items() if (key, one) != ("seed", None)}
        config = {key: one for key, one in config.items() if key not in _NEW or one != _NEW[key]}
        return described(_MODULES.get((module, value["class_name"]), module), value["class_name"], config)
    return {key: _plain(one) for key, one in value.items()}


_SCHEDULES = ("CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay", "PiecewiseConstantDecay",
              "PolynomialDecay")  # fmt: skip
_MODULES = {("keras.optimizers", name): "keras.optimizers.schedules" for name in _SCHEDULES}


# --- models ---


def _of_chain(model: Any) -> Config:
    given = [of_layer(layer) for layer in model.layers]
    if model.built:
        first = model.inputs[0]
        given.insert(0, _input(f"{model.name}_input", first.shape, first.dtype.name))
    return described("keras", "Sequential", {"name": _name(model), "trainable": model.trainable, "layers": given})


def _name(model: Any) -> str:
    return str(model.name).rpartition("/")[2]


def _input(name: str, shape: Any, dtype: str) -> Config:
    return described("keras.layers", "InputLayer", {"batch_shape": list(shape), "dtype": dtype, "name": name})


def _of_graph(model: Any) -> Config:
    histories: dict[tuple[int, int], list[Any]] = {}
    given: dict[str, Config] = {}
    for symbol in model.inputs:
        name = symbol.name
        given[name] = _input(name, symbol.shape, symbol.dtype.name) | {"name": name, "inbound_nodes": []}
        histories[symbol.key] = [name, 0, 0]

    def reference(symbol: Any) -> Any:
        if not isinstance(symbol, Symbol):
            return symbol
        config = {"shape": list(symbol.shape), "dtype": symbol.dtype.name, "keras_history": histories[symbol.key]}
        return {"class_name": "__keras_tensor__", "config": config}

    for call in model.drawing.plan.calls:
        name = call.layer.name
        arguments, options = _arguments(call, reference)
        if name not in given:
            given[name] = _of_call(call.layer) | {"name": name, "inbound_nodes": []}
        nodes = given[name]["inbound_nodes"]
        for k, symbol in enumerate(_symbols(call.outputs)):
            histories.setdefault(symbol.key, [name, len(nodes), k])
        nodes.append({"args": arguments, "kwargs": options})
    ends = {
        part: map_leaves(lambda symbol: histories[symbol.key], value)
        for part, value in (("input_layers", model.input), ("output_layers", model.output))
    }
    config = {"name": _name(model), "trainable": model.trainable, "layers": list(given.values())} | ends
    return described("keras.src.models.functional", "Functional", config) | {"registered_name": "Functional"}


def _symbols(outputs: Any) -> list[Any]:
    if isinstance(outputs, Symbol):
        return [outputs]
    return [s for part in outputs for s in _symbols(part)]


def _of_call(layer: Any) -> Config:
    """Return the description of what is called in a graph: of a layer, or of an operation on tensors."""
    if isinstance(layer, Arithmetic):
        return described("keras.src.ops.numpy", _ARITHMETIC[layer.operation], {"name": layer.name})
    if isinstance(layer, GetItem) or type(layer).__name__ in _OPERATIONS:
        name = _OPERATIONS.get(type(layer).__name__, "GetItem")
        return described("keras.src.ops.numpy", name, {"name": layer.name})
    return of_layer(layer)


def _arguments(call: Any, reference: Callable[[Any], Any]) -> tuple[list[Any], Mapping[str, Any]]:
    """Return what a call gets by position and by name."""
    layer, inputs = call.layer, map_leaves(reference, call.inputs)
    options = {name: map_leaves(reference, value) for name, value in call.options.items()}
    if call.training is not None:
        options["training"] = call.training
    if isinstance(layer, Arithmetic):
        sides = [layer.constant.tolist(), inputs] if layer.reverse else [inputs, layer.constant.tolist()]
        return sides, {}
    if isinstance(layer, GetItem):
        return [inputs, _key(layer.get_config()["key"])], {}
    if isinstance(layer, MultiHeadAttention) or type(layer).__name__ in _OPERATIONS:
        return (inputs if isinstance(inputs, list) else [inputs]), options
    return [inputs], options


def _key(parts: list[Any]) -> list[Any]:
    def one(part: Any) -> Any:
        if isinstance(part, dict):
            ends = dict(zip(("start", "stop", "step"), part["slice"], strict=True))
            return {"class_name": "__slice__", "config": ends}
        return {"class_name": "__ellipsis__", "config": {}} if part == "ellipsis" else part

    return [None if part == "newaxis" else one(part) for part in parts]


def of_compile(config: Mapping[str, Any]) -> Config:
    """Return what `compile` was told, for Keras."""
    return {name: _plain(value) for name, value in config.items()}


def of_training(config: Mapping[str, Any]) -> Config:
    """Return what `compile` was told, for Keras's .h5 files, where the optimizer goes by another name."""
    told: Config = {"loss": None, "metrics": None, "weighted_metrics": None, "loss_weights": None}
    told |= of_compile(config)
    optimizer = told.pop("optimizer", "rmsprop")
    if isinstance(optimizer, str):
        optimizer = {"class_name": optimizer, "config": {}}
    return told | {"optimizer_config": optimizer}
