"""Where the weights of layers stand in the files of Keras 3: ``layers/bidirectional/forward_layer/cell/vars/0``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from ...layers import RNN, Bidirectional, MultiHeadAttention, TimeDistributed
from ...layers.recurrent import Recurrent
from ...variables import Variable

_DENSE = {"query": "query_dense", "key": "key_dense", "value": "value_dense", "attention_output": "output_dense"}


def places(layers: Iterable[Any], prefix: str = "layers") -> dict[str, Variable]:
    """Return the variables of the layers of a model by the paths that Keras's files have for them."""
    return {f"{path}/vars/{k}": variable for path, own in _in_turn(layers, prefix) for k, variable in enumerate(own)}


def _in_turn(layers: Iterable[Any], prefix: str) -> Iterator[tuple[str, list[Variable]]]:
    for path, layer in _numbered(layers, prefix):
        yield from _of(layer, path)


def _numbered(layers: Iterable[Any], prefix: str) -> Iterator[tuple[str, Any]]:
    seen: Counter[str] = Counter()
    for layer in layers:
        name = _snake(type(layer).__name__)
        yield f"{prefix}/{name}_{seen[name]}" if seen[name] else f"{prefix}/{name}", layer
        seen[name] += 1


def _of(layer: Any, path: str) -> Iterator[tuple[str, list[Variable]]]:
    if layer.is_model:
        yield from _in_turn(layer.layers, f"{path}/layers")
    elif isinstance(layer, Bidirectional):
        yield from _of(layer.forward_layer, f"{path}/forward_layer")
        yield from _of(layer.backward_layer, f"{path}/backward_layer")
    elif isinstance(layer, TimeDistributed):
        yield from _of(layer.layer, f"{path}/layer")
    elif isinstance(layer, RNN) and layer.stacked:
        yield from _in_turn(layer.cells, f"{path}/cell/cells")
    elif isinstance(layer, (RNN, Recurrent)):
        yield f"{path}/cell", layer.variables
    elif isinstance(layer, MultiHeadAttention):
        parts: dict[str, list[Variable]] = {}
        for variable in layer.variables:
            part = variable.path.split("/")[-2]
            parts.setdefault(_DENSE.get(part, f"{part}_dense"), []).append(variable)
        for part, variables in parts.items():
            yield f"{path}/{part}", variables
    else:
        yield path, layer.variables


def _snake(name: str) -> str:
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
