"""Descriptions of layers, and of what else is plain data here, as Keras reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...layers import RNN, Bidirectional, Embedding, TimeDistributed
from .counterparts import OURS

Config = dict[str, Any]

_SCHEDULES = ("CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay", "PiecewiseConstantDecay",
              "PolynomialDecay")  # fmt: skip
_MODULES = {("keras.optimizers", name): "keras.optimizers.schedules" for name in _SCHEDULES}

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
_HERE_ONLY = {"checkpoint", "ends_mask", "uses_mask", "input_shape", "batch_input_shape", "input_length", "weights"}


def described(module: str, name: str, config: Config) -> Config:
    """Return a description in Keras's form."""
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


def of_layer(layer: Any, of_model: Callable[[Any], Config]) -> Config:
    """Return the description of a layer, or of a model within it or in its place, which ``of_model`` describes."""
    if layer.is_model:
        return of_model(layer)
    config = layer.get_config()
    if isinstance(layer, Bidirectional):
        for key, one, before in (
            ("layer", layer.forward_layer, "forward_"),
            ("backward_layer", layer.backward_layer, "backward_"),
        ):
            config[key] = of_layer(one, of_model)
            # Keras puts it before the name again.
            config[key]["config"]["name"] = config[key]["config"]["name"].removeprefix(before)
    elif isinstance(layer, TimeDistributed):
        config["layer"] = of_layer(layer.layer, of_model)
    elif isinstance(layer, RNN):
        cells = [of_layer(cell, of_model) for cell in layer.cells]
        config["cell"] = described("keras.layers", "StackedRNNCells", {"cells": cells}) if layer.stacked else cells[0]
    said = {key: plain(value) for key, value in config.items() if key not in _HERE_ONLY | OURS.keys()}
    said = {key: value for key, value in said.items() if key not in _NEW or value != _NEW[key]}
    said["name"] = str(config["name"]).rpartition("/")[2]
    if not isinstance(layer, Embedding):
        said.pop("input_dim", None)
    if type(layer).__name__ in ("SpatialDropout1D", "InputLayer"):
        said.pop("trainable", None)
    return described("keras.layers", type(layer).__name__, said)


def plain(value: Any) -> Any:
    """Return plain data with Keras's modules in the places of ours."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    if "registered_name" in value and "class_name" in value:
        return value  # it is Keras's already
    if value.keys() >= {"class_name", "config"}:
        if value["class_name"] == "function":
            name = value["config"]["name"]
            return {"module": "builtins", "class_name": "function", "config": name, "registered_name": name}
        module = str(value["module"]).replace("lstmcore", "keras", 1)
        config = {key: plain(one) for key, one in value["config"].items()}
        config = {key: one for key, one in config.items() if (key, one) != ("seed", None)}
        config = {key: one for key, one in config.items() if key not in _NEW or one != _NEW[key]}
        return described(_MODULES.get((module, value["class_name"]), module), value["class_name"], config)
    return {key: plain(one) for key, one in value.items()}
