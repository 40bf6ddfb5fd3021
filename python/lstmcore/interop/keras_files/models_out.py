"""Descriptions of models as Keras reads them."""

from __future__ import annotations

from typing import Any

from ..._tree import leaves, map_leaves
from ...graph.symbol import Symbol
from ...models import Functional, Sequential
from .configs_out import Config, described, of_layer
from .counterparts import refused
from .masks import differences
from .operations_out import arguments, of_call


def of_model(model: Any) -> Config:
    """Return the description of a model.

    Raises
    ------
    ValueError
        Keras has no layers for some of its; all are said.
    """
    found = sorted(refused(model)) or differences(model)
    if found:
        raise ValueError(
            f"{model.name}: Keras has nothing that is {', '.join(found)}; a file named .safetensors takes every model"
        )
    return _of_model(model)


def _of_model(model: Any) -> Config:
    return _of_chain(model) if isinstance(model, Sequential) else _of_graph(model)


def _of_chain(model: Any) -> Config:
    given = [of_layer(layer, _of_model) for layer in model.layers]
    if model.built:
        first = model.inputs[0]
        given.insert(0, _input(f"{_name(model)}_input", first.shape, first.dtype.name))
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
        given_by_position, options = arguments(call, reference)
        if name not in given:
            given[name] = of_call(call.layer, _of_model) | {"name": name, "inbound_nodes": []}
        nodes = given[name]["inbound_nodes"]
        for k, symbol in enumerate(leaves(call.outputs)):
            histories.setdefault(symbol.key, [name, len(nodes), k])
        nodes.append({"args": given_by_position, "kwargs": options})

    def end(symbol: Any) -> list[Any]:
        name, node, k = histories[symbol.key]
        # Here, and not in the arguments of calls, Keras counts the calls of a graph within from 1.
        return [name, node + isinstance(symbol.call.layer, Functional), k]

    ends = {
        part: map_leaves(end, value) for part, value in (("input_layers", model.input), ("output_layers", model.output))
    }
    config = {"name": _name(model), "trainable": model.trainable, "layers": list(given.values())} | ends
    return described("keras.src.models.functional", "Functional", config) | {"registered_name": "Functional"}
