"""A model that is a chain of layers as an ``nn.Sequential``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...layers import InputLayer
from .package import nn
from .weights import ConversionError
from .writers import written


def sequential(model: Any, place: str, problems: list[str]) -> nn.Sequential:
    """Return the modules for the layers of a model, under their names.

    Parameters
    ----------
    model : built.
    place : what stands before the names of its layers in problems.
    problems : reasons are added for the layers that have no module.
    """
    whole = nn.Sequential()
    known: dict[int, Any] = {}  # a layer that is called twice is one module in two places
    try:
        for layer, shape in _chain(model):
            try:
                inner = f"{place}{layer.name}: "
                if id(layer) not in known:
                    own = [("", sequential(layer, inner, problems))] if layer.is_model else written(layer, shape)
                    known[id(layer)] = own
                for suffix, module in known[id(layer)]:
                    whole.add_module(_free(whole, layer.name + suffix), module)
            except ConversionError as reason:
                problems.append(f"{place}{layer.name}: {reason}")
    except ConversionError as reason:
        problems.append(f"{place}{model.name}: {reason}")
    return whole


def _chain(model: Any) -> Iterator[tuple[Any, tuple[int | None, ...]]]:
    """Each layer of a model with the shape of its inputs."""
    drawing = model.drawing
    given = drawing.inputs
    if isinstance(given, list) and len(given) == 1:
        (given,) = given
    key = _key(given)
    for call in drawing.plan.calls:
        if isinstance(call.layer, InputLayer):
            continue
        if key is None or _key(call.inputs) != key or call.options:
            raise ConversionError("no chain of layers, each of which takes what the one before it returns, and no more")
        yield call.layer, tuple(call.inputs.shape)
        key = _key(call.outputs)
    if key is None or _key(drawing.outputs) != key:
        raise ConversionError("no chain of layers, the last of which returns the outputs")


def _key(symbol: Any) -> Any:
    """What tells a symbol from others; None of a list or dict of them."""
    return getattr(symbol, "key", None)


def _free(whole: nn.Sequential, name: str) -> str:
    """Return a name that a submodule may have and no other has."""
    name = name.replace(".", "_")
    while not name or hasattr(whole, name):
        name += "_"
    return name
