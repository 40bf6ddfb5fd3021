"""The operations by which Keras makes the masks of a graph: they stand in it as layers do, and deepen what they read.

What is masked where is Keras's too: a layer that passes a mask on here may end it there.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

from .. import layers
from .._ours import is_ours
from .._tree import leaves, map_leaves
from ..graph.symbol import Call, Symbol
from ..layers import RNN, Bidirectional, Embedding, Masking
from ..layers.merging import Merging
from ..layers.recurrent import Recurrent
from .keras_masks import ENDS, OPERATIONS
from .nodes import Node

# Those that get the mask of their inputs as an argument; attention looks at it where it is called.
_TAKES = (
    layers.BatchNormalization,
    layers.GlobalAveragePooling1D,
    layers.Lambda,
    layers.Softmax,
    layers.TimeDistributed,
    RNN,
    Bidirectional,
    Recurrent,
)


class Mask(NamedTuple):
    """A mask: what makes it, and its number of axes."""

    node: Node
    ndim: int


class Masks:
    """Follows the masks of a graph, call by call; ``nodes`` has those of the calls so far."""

    def __init__(self, nodes: Mapping[int, Node]) -> None:
        self.nodes = nodes
        self.of: dict[tuple[int, int], Mask] = {}  # of symbols by their keys

    def arguments(self, call: Call) -> dict[str, list[Node]]:
        """Return the masks that a call gets as arguments without its saying so."""
        if not _takes(call.layer) or _symbols(call.options):
            return {}
        return {"mask": [self.of[s.key].node for s in _symbols(call.inputs) if s.key in self.of]}

    def note(self, call: Call) -> None:
        """Remember the mask of what a call returns: of outputs and states, the outputs alone have one."""
        mask = self._returned(call)
        if mask is not None:
            self.of[next(leaves(call.outputs)).key] = mask

    def _returned(self, call: Call) -> Mask | None:
        layer, inputs = call.layer, _symbols(call.inputs)
        source = self.nodes.get(inputs[0].call.number) if inputs else None
        if layer.is_model or type(layer) in OPERATIONS or source is None:
            return None
        if isinstance(layer, Masking):
            return _made(_made(Mask(source, inputs[0].ndim)), ndim=inputs[0].ndim - 1)
        if isinstance(layer, Embedding) and layer.mask_zero:
            return _made(Mask(source, inputs[0].ndim))
        masks = self._given(call, inputs)
        if not any(masks) or type(layer) in ENDS or layer.ends_mask or not layer.supports_masking:
            return None
        return self._passed_on(layer, inputs, masks)

    def _given(self, call: Call, inputs: list[Symbol]) -> list[Mask | None]:
        own = call.options.get("mask")
        if own is None:
            return [self.of.get(s.key) for s in inputs]
        given = map_leaves(lambda s: Mask(self.nodes[s.call.number], s.ndim) if isinstance(s, Symbol) else None, own)
        return given if isinstance(given, list) else [given]

    def _passed_on(self, layer: Any, inputs: list[Symbol], masks: list[Mask | None]) -> Mask | None:
        first = masks[0]
        if isinstance(layer, (Recurrent, RNN, Bidirectional)):
            return first if layer.return_sequences else None
        if isinstance(layer, layers.Concatenate):
            return self._side_by_side(inputs, masks)
        if isinstance(layer, Merging):
            found = [mask for mask in masks if mask is not None]
            return functools.reduce(_made, found) if len(found) == len(masks) else None
        if isinstance(layer, (layers.Attention, layers.AdditiveAttention)):
            return first and _made(first)
        return None if isinstance(layer, layers.GlobalAveragePooling1D) else first

    def _side_by_side(self, inputs: list[Symbol], masks: list[Mask | None]) -> Mask:
        whole = []
        for s, mask in zip(inputs, masks, strict=True):
            if mask is None or mask.ndim < s.ndim:
                like = _made(Mask(self.nodes[s.call.number], s.ndim))
                whole.append(like if mask is None else _made(_made(mask), like))
            else:
                whole.append(mask)
        return _made(_made(*whole), ndim=inputs[0].ndim - 1)


def _made(*of: Mask, ndim: int | None = None) -> Mask:
    """Return what an operation makes of masks, or of what masks are made of."""
    return Mask(Node(None, [one.node for one in of]), max(one.ndim for one in of) if ndim is None else ndim)


def _takes(layer: Any) -> bool:
    """Whether Keras's layer has an argument for a mask."""
    return layer.is_model or isinstance(layer, _TAKES) or (layer.consumes_mask and not is_ours(type(layer)))


def _symbols(arguments: Any) -> list[Symbol]:
    """Return the symbols among arguments, which may have None and arrays beside them."""
    return [part for part in leaves(arguments) if isinstance(part, Symbol)]
