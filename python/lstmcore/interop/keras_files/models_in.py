"""Models from Keras's descriptions of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...models import Functional, Model, Sequential
from .configs import MODELS, Description, Reader
from .graphs import symbols
from .masks import refuse_differences


def is_description(value: Any) -> bool:
    """Whether something is a model as Keras describes it, in any of its versions; ours have modules of lstmcore."""
    if not isinstance(value, Mapping):
        return False
    module = str(value.get("module") or "")
    if module:
        return module.partition(".")[0] in ("keras", "tf_keras", "tensorflow")
    return value.get("class_name") in MODELS


def model_of(description: Description, keras_version: str | None = None) -> Any:
    """Return the model of a description; its weights are new.

    Raises
    ------
    ValueError
        It is of no model, or has layers that are not offered; all of their classes are said.
    """
    if not is_description(description) or description.get("class_name") not in MODELS:
        kind = description.get("class_name") if isinstance(description, Mapping) else description
        raise ValueError(f"expected a Sequential or a functional model of Keras, got {str(kind)[:100]}")
    version = keras_version or str(description.get("keras_version") or "")
    legacy = version.startswith(("1.", "2.")) or not (version or description.get("module"))

    def made(one: Description) -> Any:
        return _sequential(one, reader) if one["class_name"] == "Sequential" else _functional(one, reader)

    reader = Reader(legacy, made)
    reader.refuse_unknown(description)
    model = made(description)
    shape = (description.get("build_config") or {}).get("input_shape")
    if not model.built and shape:
        model.build(tuple(shape))
    refuse_differences(model)
    return model


def _sequential(description: Description, reader: Reader) -> Model:
    config = description["config"]
    if isinstance(config, list):
        config = {"layers": config}
    model = Sequential([reader.layer(one) for one in config["layers"]], name=config.get("name"))
    shape = config.get("build_input_shape")
    if not model.built and shape:
        model.build(tuple(shape))
    return _finished(model, config)


def _functional(description: Description, reader: Reader) -> Model:
    config = description["config"]
    missing = [key for key in ("layers", "input_layers", "output_layers") if key not in config]
    if missing:
        raise ValueError(f"{description['class_name']}: config: expected {', '.join(missing)} too")
    inputs, outputs = symbols(config, reader)
    return _finished(Functional(inputs, outputs, name=config.get("name")), config)


def _finished(model: Model, config: Mapping[str, Any]) -> Model:
    if config.get("trainable") is False:
        model._trainable = False
    return model
