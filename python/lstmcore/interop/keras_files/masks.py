"""Masks as Keras has them: which of its layers end one, and where masks go otherwise here than there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ... import layers
from ...layers import RNN, Bidirectional, TimeDistributed
from ...layers.merging import Merging
from ...layers.recurrent import Recurrent
from ...models.keras_masks import ENDS, OPERATIONS
from .attention_masks import uncertain
from .flow import Met, makes_mask, met_masks


def as_in_keras(layer: Any) -> Any:
    """Return a layer that ends masks where Keras's layer of this name does."""
    if type(layer) in ENDS:
        if layer.consumes_mask and isinstance(layer, layers.Lambda):
            raise ValueError(f"{layer.name}: a Lambda whose function takes a mask is not offered; derive a layer")
        layer.ends_mask = True
    return layer


def differences(model: Any) -> list[str]:
    """Return what is said of each layer that a mask may come to and that does something else with it in Keras."""
    calls = met_masks(model)
    found = [said for met in calls if (said := _difference(met))]
    if names := ", ".join(dict.fromkeys(uncertain(calls))):
        found.append(f"{names} (Keras's MultiHeadAttention takes the mask off what others are called on too)")
    return list(dict.fromkeys(found))


def refuse_differences(model: Any) -> None:
    """Refuse a model of Keras's whose outputs would be others where there is padding."""
    if found := differences(model):
        raise ValueError(f"{model.name}: Keras has masks that are not offered: {', '.join(found)}")


def _difference(met: Met) -> str | None:
    layer = met.layer
    if isinstance(layer, TimeDistributed):
        inner = list(_within(layer.layer))
        if any(makes_mask(one) for one in inner) or (met.masked and not all(map(_passes, inner))):
            return f"{layer.name} (a mask in TimeDistributed)"
    if not met.masked:
        return None
    said = None
    if type(layer) in ENDS + OPERATIONS and not layer.ends_mask and layer.supports_masking:
        said = "Keras ends the mask; ends_mask=True on the layer does so here too"
    elif isinstance(layer, (Recurrent, RNN)) and layer.go_backwards and layer.return_sequences:
        said = "go_backwards: Keras leaves the mask as it is"
    elif getattr(layer, "zero_output_for_mask", False) and not layer.return_sequences:
        said = "zero_output_for_mask without return_sequences"
    elif isinstance(layer, (Recurrent, RNN, Bidirectional)) and layer.uses_mask != (
        met.options.get("initial_state") is None or met.options.get("mask") is not None
    ):
        said = "Keras leaves it unused with an initial_state; uses_mask=False on the layer does so here too"
    elif isinstance(layer, Merging) and not layer.ends_mask and _differ(met.shapes):
        said = "Keras ends the mask where inputs have other shapes"
    return said and f"{layer.name} ({said})"


def _differ(shapes: Sequence[Any]) -> bool:
    """Whether inputs that are merged differ in their axes or steps."""
    return len({(len(shape), shape[1:2]) for shape in shapes}) > 1


def _passes(layer: Any) -> bool:
    return not (layer.consumes_mask or layer.ends_mask) and layer.supports_masking


def _within(layer: Any) -> Iterator[Any]:
    inner: Sequence[Any] = ()
    if layer.is_model:
        inner = layer.layers
    elif isinstance(layer, TimeDistributed):
        inner = [layer.layer]
    elif not isinstance(layer, Bidirectional):
        yield layer
        return
    else:
        yield layer
    for one in inner:
        yield from _within(one)
