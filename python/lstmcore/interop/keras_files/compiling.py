"""What `compile` was told, from Keras and to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._warnings import warn
from ...serialization import deserialize
from ...serialization.registry import find_class, find_function
from .configs_out import plain

_PLACES = ("optimizers", "losses", "metrics")
_TOLD = ("optimizer", "loss", "loss_weights", "metrics", "weighted_metrics")
# Of optimizers of Keras 2, and of how Keras keeps its numbers.
_OLD = {"lr": "learning_rate"}
_WITHOUT_EFFECT = {"jit_compile", "is_legacy_optimizer", "fn", "dtype"}
_NONE_ONLY = {"decay"}


def compile_as_told(model: Any, config: Any) -> None:
    """Compile a model as Keras's description says; where that cannot be, warn and leave it as it is."""
    if not isinstance(config, Mapping):
        return
    optimizer = config.get("optimizer", config.get("optimizer_config"))
    if optimizer is None:
        return
    told = dict(config) | {"optimizer": optimizer}
    if told.get("weighted_metrics") is None:
        told.pop("weighted_metrics", None)
    try:
        arguments = {name: _value(told[name]) for name in _TOLD if told.get(name) is not None}
        model.compile(**arguments)
    except (ValueError, TypeError, NotImplementedError) as error:
        warn(f"{model.name}: is not compiled as it was, for Keras's description is of something else: {error}")


def _value(data: Any) -> Any:
    if isinstance(data, str):
        return find_function(data) or data
    if isinstance(data, list):
        return [_value(one) for one in data]
    if not isinstance(data, Mapping):
        return data
    if not {"class_name", "config"} <= data.keys():
        return {name: _value(one) for name, one in data.items()}
    name, config = str(data["class_name"]).rpartition(">")[2], data["config"]
    if name == "__tuple__":
        return [_value(one) for one in data.get("items") or ()]
    if name == "function":
        return _value(config if isinstance(config, str) else config.get("name"))
    if name in ("MeanMetricWrapper", "LossFunctionWrapper") and "fn" in config:
        return _value(config["fn"])
    config = {_OLD.get(key, key): _value(one) for key, one in config.items() if key not in _WITHOUT_EFFECT}
    config = {key: one for key, one in config.items() if key not in _NONE_ONLY or one}
    modules = [f"lstmcore.{place}" for place in (*_PLACES, "optimizers")]
    found = next((module for module in modules if find_class(module, name) is not None), None)
    return deserialize({"module": found or "", "class_name": name, "config": config})


def of_compile(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `compile` was told, for Keras."""
    return {name: plain(value) for name, value in config.items()}


def of_training(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `compile` was told, for Keras's .h5 files, where the optimizer goes by another name."""
    told: dict[str, Any] = {"loss": None, "metrics": None, "weighted_metrics": None, "loss_weights": None}
    told |= of_compile(config)
    optimizer = told.pop("optimizer", "rmsprop")
    if isinstance(optimizer, str):
        optimizer = {"class_name": optimizer, "config": {}}
    return told | {"optimizer_config": optimizer}
