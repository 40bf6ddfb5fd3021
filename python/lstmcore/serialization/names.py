"""Names for the weights of a model that another model made the same way has too."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from ..variables import Variable


class LayerLike(Protocol):
    """What has variables, and layers within."""

    @property
    def weights(self) -> list[Variable]:
        """The variables, those of layers within too."""

    @property
    def sublayers(self) -> Sequence[LayerLike]:
        """The layers within."""


def named_variables(layers: Iterable[LayerLike]) -> dict[str, Variable]:
    """Return the variables of layers by name: "lstm/kernel", "dense_1/bias", "bidirectional/lstm_1/kernel".

    The names are of the layers' classes and, among those of a class, of their numbers, as in Keras's
    files: the layers' own names depend on what else the program has made before.
    """
    return dict(_walk(layers, ""))


def named_layers(layers: Iterable[LayerLike]) -> dict[str, Any]:
    """Return layers and those within them by the same names, which are those of their variables up to the last part."""
    found: dict[str, Any] = {}
    for path, layer in _paths(layers, ""):
        found[path] = layer
        found |= {f"{path}/{name}": within for name, within in named_layers(layer.sublayers).items()}
    return found


def _paths(layers: Iterable[LayerLike], prefix: str) -> Iterator[tuple[str, LayerLike]]:
    seen: Counter[str] = Counter()
    for layer in layers:
        yield prefix + _numbered(_snake(type(layer).__name__), seen), layer


def _walk(layers: Iterable[LayerLike], prefix: str) -> Iterator[tuple[str, Variable]]:
    for place, layer in _paths(layers, prefix):
        path = f"{place}/"
        within = {id(v) for sublayer in layer.sublayers for v in sublayer.weights}
        own: Counter[str] = Counter()
        for variable in layer.weights:
            if id(variable) not in within:
                yield path + _numbered(variable.name, own), variable
        yield from _walk(layer.sublayers, path)


def _numbered(name: str, seen: Counter[str]) -> str:
    count = seen[name]
    seen[name] += 1
    return f"{name}_{count}" if count else name


def _snake(name: str) -> str:
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()
