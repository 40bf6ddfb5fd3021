"""Layers from the descriptions that Keras gives of them, in any of its versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ... import activations, layers
from ..._not_offered import keras_names
from ...activations.piecewise import HardSigmoid
from ...layers.layer import Layer
from ...serialization.registry import UnknownClassError, find_class, find_function
from . import functions
from .arguments import NAMES, dtype_of, said_otherwise, within_bounds
from .masks import as_in_keras

Description = Mapping[str, Any]

MODELS = ("Sequential", "Functional", "Model")
_WITHIN = ("layer", "forward_layer", "backward_layer", "cell", "cells")
_KINDS = {"initializer": "initializers", "regularizer": "regularizers", "constraint": "constraints"}


class Reader:
    """Makes layers of descriptions.

    Attributes
    ----------
    legacy : whether they are of Keras 2 or 1, which differ in what some names mean.
    model : makes a model of its description.
    """

    def __init__(self, legacy: bool, model: Callable[[Description], Any]) -> None:
        self.legacy, self.model = legacy, model

    def refuse_unknown(self, description: Description) -> None:
        """Refuse a description with classes that are not known; each is said once."""
        missing = sorted({_said(one) for one in _all_layers(description) if not self._is_known(one)})
        if missing:
            raise UnknownClassError(
                f"no layers of lstmcore for {', '.join(missing)}; if they are yours, pass custom_objects="
                "{name: class}, of classes derived from lstmcore's layers"
            )

    def _is_known(self, description: Description) -> bool:
        name = _name(description)
        if name in MODELS or is_operation(description):
            return True
        if name == "Lambda":
            _function_of(description)
            return True
        return _custom(description) is not None or _ours(name) is not None

    def layer(self, description: Description) -> Any:
        """Return the layer, or model, of a description."""
        name = _name(description)
        custom = _custom(description)
        config = dict(_config(description))
        if custom is not None:
            policy = dtype_of(config.pop("dtype", None))
            return custom.from_config(config | ({"dtype": policy} if policy == "mixed_bfloat16" else {}))
        if name in MODELS:
            return self.model(description)
        where = f"{config.get('name', name)}"
        if name == "Lambda":
            config |= {"function": _function_of(description)}
            if config.pop("mask", None) is not None:
                raise ValueError(f"{where}: mask: expected none, got that of a Lambda, which the file has as code")
            for option in ("function_type", "output_shape_type", "module", "output_shape_module"):
                config.pop(option, None)
        if name == "Bidirectional":
            config |= {key: _without(before, config[key]) for key, before in _SIDES.items() if config.get(key)}
        config = within_bounds(where, config)
        arguments = {key: self._argument(where, key, value) for key, value in config.items()}
        arguments = said_otherwise(name, arguments, self.legacy)
        try:
            return as_in_keras(_ours(name)(**arguments))
        except TypeError as error:
            raise ValueError(f"{where}: {error}") from None

    def _argument(self, where: str, key: str, value: Any) -> Any:
        if key == "dtype":
            return dtype_of(value)
        if key == "cell" and isinstance(value, dict) and _name(value) == "StackedRNNCells":
            return [self.layer(cell) for cell in _config(value)["cells"]]
        if key in _WITHIN and isinstance(value, (dict, list)):
            return [self.layer(one) for one in value] if isinstance(value, list) else self.layer(value)
        if key.endswith("activation"):
            return self._activation(f"{where}: {key}", value)
        kind = _KINDS.get(key.rpartition("_")[2])
        if kind is not None and isinstance(value, dict):
            return _object(f"{where}: {key}", kind, value)
        if isinstance(value, list):
            return tuple(value)
        return value

    def _activation(self, where: str, value: Any) -> Any:
        if isinstance(value, dict):
            name, config = _name(value), value.get("config")
            if name == "function":
                value = config if isinstance(config, str) else (config or {}).get("name")
            elif _ours(name) is not None:  # a layer that is nothing but an activation
                return activations.get(self.layer(value))
            else:
                value = value.get("registered_name") or name
        if value is None:
            return None
        if not isinstance(value, str):
            raise ValueError(f"{where}: expected the name of an activation, got {str(value)[:100]}")
        if (function := find_function(value)) is not None:
            return function
        if self.legacy and value == "hard_sigmoid":
            return HardSigmoid(0.2)
        return value


_SIDES = {"layer": "forward_", "backward_layer": "backward_"}


def _without(before: str, description: Any) -> Any:
    """Return the description of a layer with the name that it had before `Bidirectional` put something before it."""
    config = dict(_config(description))
    return {**description, "config": config | {"name": str(config.get("name")).removeprefix(before)}}


def _object(where: str, kind: str, description: Description) -> Any:
    """Return an initializer or its like."""
    name = _name(description)
    cls = find_class(f"lstmcore.{kind}", name)
    if cls is None:
        raise UnknownClassError(f"{where}: expected one of {kind} of lstmcore, got {name!r}")
    config = dict(description.get("config") or {})
    config.pop("dtype", None)
    distribution = {"normal": "truncated_normal"}
    if name == "VarianceScaling" and config.get("distribution") in distribution:
        config["distribution"] = distribution[config["distribution"]]
    return cls.from_config(config)


# Operations that Keras makes masks by, but for Concatenate, which is a layer too.
OF_MASKS = {"Any", "ConvertToTensor", "ExpandDims", "LogicalOr", "NotEqual", "OnesLike", "ZerosLike"}


def is_operation(description: Description) -> bool:
    """Whether a description is of an operation on tensors, which Keras puts among the layers."""
    module, config = str(description.get("module") or ""), description.get("config")
    if module.startswith(("keras.src.ops", "keras.ops")) or _name(description) in ("TFOpLambda", "SlicingOpLambda"):
        return True
    if module or not isinstance(config, dict):
        return False
    # An .h5 file says no modules, but every layer says more than its name, and whether it is trained.
    if _name(description) in functions.NAMES and "trainable" not in config and config.get("dtype") is None:
        return True
    return config.keys() == {"name"} or _name(description) in OF_MASKS


def _all_layers(description: Description) -> Iterator[Description]:
    """Return the descriptions of a layer and all within it."""
    todo: list[Any] = [description]
    while todo:
        one = todo.pop()
        yield one
        config = one.get("config")
        if isinstance(config, list):  # a Sequential of Keras 1
            todo += config
        if not isinstance(config, dict):
            continue
        parts = config.get("layers") if _name(one) in MODELS else None
        todo += [part for part in parts or () if isinstance(part, dict)]
        for key in _WITHIN:
            part = config.get(key)
            parts = part if isinstance(part, list) else [part]
            todo += [p for p in parts if isinstance(p, dict) and "class_name" in p]


def _name(description: Any) -> str:
    if not isinstance(description, Mapping) or not isinstance(description.get("class_name"), str):
        raise ValueError(f"expected the description of a layer, got {str(description)[:100]}")
    return str(description["class_name"])


def _config(description: Description) -> Description:
    config = description.get("config")
    if not isinstance(config, dict):
        raise ValueError(f"{_name(description)}: config: expected a dict, got {str(config)[:100]}")
    return config


def _said(description: Description) -> str:
    return str(description.get("registered_name") or _name(description))[:100]


def _custom(description: Description) -> Any:
    """Return the class of the user's for a description; None if there is none."""
    for name in (description.get("registered_name"), _name(description)):
        found = find_class("", str(name)) if name else None
        if found is not None:
            if not (isinstance(found, type) and issubclass(found, Layer)):
                raise ValueError(f"custom_objects: {name}: expected a class of lstmcore's layers, got {found!r}")
            return found
    return None


_OF_KERAS = frozenset(keras_names.NAMES["layers"].split()) - {"Layer"}


def _ours(name: str) -> Any:
    cls = getattr(layers, NAMES.get(name, name), None) if name in NAMES or name in _OF_KERAS else None
    return cls if isinstance(cls, type) else None


def _function_of(description: Description) -> Any:
    """Return the function of a Lambda, which the user has to give: what the file has is code."""
    config = _config(description)
    given = config.get("function")
    names = [str(config.get("name"))]
    if isinstance(given, dict):
        inner = given.get("config")
        names += [str(n) for n in (given.get("registered_name"), inner if isinstance(inner, str) else None) if n]
    elif isinstance(given, str):
        names.append(given)
    for name in names:
        if (function := find_function(name)) is not None:
            return function
    raise ValueError(
        f"{names[0]}: a Lambda, whose function the file has as code, which is not run; pass custom_objects="
        f"{{{names[-1]!r}: function}}"
    )
