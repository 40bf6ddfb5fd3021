"""Where the weights of layers stand in the files of Keras 3: ``layers/bidirectional/forward_layer/cell/vars/0``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...layers import RNN, Bidirectional, MultiHeadAttention, TimeDistributed
from ...layers.recurrent import Recurrent
from ...variables import Variable

_DENSE = {"query": "query_dense", "key": "key_dense", "value": "value_dense", "attention_output": "output_dense"}


Names = Mapping[str, str]


def places(layers: Iterable[Any], names: Names) -> dict[str, Variable]:
    """Return the variables of the layers of a model by the paths that Keras's files have for them.

    Parameters
    ----------
    layers : in their order, by which layers of one class are counted.
    names : those of layers in a file by their paths, as `names_of` returns them. Where layers of one class have in
        the model just the names that they have in the file, and these were given to them, they are found by these.
    """
    return {
        f"{path}/vars/{k}": variable
        for path, own in _in_turn(layers, "layers", names)
        for k, variable in enumerate(own)
    }


def names_of(layers: Iterable[Any], prefix: str = "layers") -> dict[str, str]:
    """Return the names of the layers of a model, and of models within, by their paths."""
    names: dict[str, str] = {}
    for path, layer in _numbered(layers, prefix, {}):
        names[path] = str(layer.name).rpartition("/")[2]
        names |= names_of(layer.layers, f"{path}/layers") if layer.is_model else {}
    return names


def _in_turn(layers: Iterable[Any], prefix: str, names: Names) -> Iterator[tuple[str, list[Variable]]]:
    for path, layer in _numbered(layers, prefix, names):
        yield from _of(layer, path, names)


def _numbered(layers: Iterable[Any], prefix: str, names: Names) -> Iterator[tuple[str, Any]]:
    of_class: dict[str, list[Any]] = {}
    for layer in layers:
        of_class.setdefault(_snake(type(layer).__name__), []).append(layer)
    for kind, same in of_class.items():
        paths = [f"{prefix}/{kind}_{k}" if k else f"{prefix}/{kind}" for k in range(len(same))]
        yield from zip(paths, _by_names(same, kind, [names.get(path) for path in paths]), strict=True)


def _by_names(layers: list[Any], kind: str, stored: list[str | None]) -> list[Any]:
    """Return the layers in the order of their names in a file, or as they are if these names say nothing."""
    own = {str(layer.name).rpartition("/")[2]: layer for layer in layers}
    if own.keys() != set(stored) or len(own) < len(layers):
        return layers
    moved = [name for name, other in zip(own, stored, strict=True) if name != other]
    # Names that are counted depend on what else was made before.
    if any(re.fullmatch(rf"{kind}(_\d+)?", name) for name in moved):
        return layers
    return [own[str(name)] for name in stored]


def _of(layer: Any, path: str, names: Names) -> Iterator[tuple[str, list[Variable]]]:
    if layer.is_model:
        yield from _in_turn(layer.layers, f"{path}/layers", names)
    elif isinstance(layer, Bidirectional):
        yield from _of(layer.forward_layer, f"{path}/forward_layer", names)
        yield from _of(layer.backward_layer, f"{path}/backward_layer", names)
    elif isinstance(layer, TimeDistributed):
        yield from _of(layer.layer, f"{path}/layer", names)
    elif isinstance(layer, RNN) and layer.stacked:
        yield from _in_turn(layer.cells, f"{path}/cell/cells", {})
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
