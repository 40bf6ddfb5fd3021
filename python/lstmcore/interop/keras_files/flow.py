"""Where masks can come to in a model, told by its layers alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ... import layers
from ..._tree import leaves
from ...layers import RNN, Bidirectional, Embedding, Masking
from ...layers.recurrent import Recurrent
from ...models import Functional

_ATTENTION = (layers.Attention, layers.AdditiveAttention, layers.MultiHeadAttention)
# What these return outside training is, in Keras, the very tensor that they are given.
_SAME = (
    layers.ActivityRegularization,
    layers.AlphaDropout,
    layers.Dropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.SpatialDropout1D,
)


class Stream(NamedTuple):
    """A tensor: whether it may have a mask, and a number that is the same for those that are one."""

    masked: bool
    number: int


class Met(NamedTuple):
    """A call of a layer: what it gets, of which shapes, if they are known, with which options, and what it returns."""

    layer: Any
    inputs: list[Stream]
    shapes: list[Any]
    options: Mapping[str, Any]
    output: Stream

    @property
    def masked(self) -> bool:
        """Whether any of the inputs may have a mask."""
        return any(stream.masked for stream in self.inputs)


def met_masks(model: Any) -> list[Met]:
    """Return the calls of all layers of a model, whose inputs have no mask, and of the models within."""
    walk = _Walk()
    count = len(list(leaves(model.input))) if isinstance(model, Functional) else 1
    walk.through(model, [walk.new(False) for _ in range(count)], [], {})
    return walk.calls


def makes_mask(layer: Any) -> bool:
    """Whether a layer makes a mask of its inputs."""
    return isinstance(layer, Masking) or (isinstance(layer, Embedding) and layer.mask_zero)


def masks_go_by_the_first(layer: Any) -> bool:
    """Whether the mask of the outputs is that of the first input alone."""
    return isinstance(layer, _ATTENTION)


def passes_on(layer: Any, masked: Sequence[bool]) -> bool:
    """Whether the outputs of a layer may have a mask, from whether its inputs may."""
    if layer.is_model:
        return any(masked)
    if makes_mask(layer):
        return True
    if not any(masked) or layer.ends_mask or not layer.supports_masking:
        return False
    if isinstance(layer, (Recurrent, RNN, Bidirectional)):
        return bool(layer.return_sequences)
    if isinstance(layer, layers.GlobalAveragePooling1D):
        return False
    return masked[0] if masks_go_by_the_first(layer) else True


class _Walk:
    """Goes through the layers of models in the order in which they are called."""

    def __init__(self) -> None:
        self.calls: list[Met] = []
        self.numbers: Iterator[int] = itertools.count()

    def new(self, masked: bool) -> Stream:
        return Stream(masked, next(self.numbers))

    def through(self, layer: Any, inputs: list[Stream], shapes: list[Any], options: Mapping[str, Any]) -> list[Stream]:
        """Return what a layer or model makes of inputs; write down the calls."""
        if layer.is_model:
            return self._graph(layer, inputs) if isinstance(layer, Functional) else self._chain(layer, inputs)
        left = passes_on(layer, [stream.masked for stream in inputs])
        output = inputs[0] if isinstance(layer, _SAME) and inputs[0].masked == left else self.new(left)
        self.calls.append(Met(layer, inputs, shapes, options, output))
        return [output]

    def _chain(self, model: Any, inputs: list[Stream]) -> list[Stream]:
        for layer in model.layers:
            inputs = self.through(layer, inputs, [], {})
        return inputs

    def _graph(self, model: Any, inputs: list[Stream]) -> list[Stream]:
        at = dict(zip((symbol.key for symbol in model.inputs), inputs, strict=False))
        for call in model.drawing.plan.calls:
            given = list(leaves(call.inputs))
            streams = [at[symbol.key] for symbol in given]
            if call.options.get("mask") is not None:
                streams = [Stream(True, stream.number) for stream in streams]
            left = self.through(call.layer, streams, [symbol.shape for symbol in given], call.options)
            # Of outputs and states, the outputs alone have a mask.
            for symbol, stream in itertools.zip_longest(leaves(call.outputs), left):
                at[symbol.key] = stream or self.new(False)
        return [at[symbol.key] for symbol in leaves(model.output)]
