"""Keras's ``call``: what a class of the user's does with symbols, drawn once for each structure of its inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .. import variables
from .._random import Stream
from .._tree import in_places, leaves, map_leaves
from .drawing import Drawing
from .symbol import Symbol, calls_of
from .symbol import given as given_symbol

_MOST = 64  # drawings that are kept
_ENDLESS = "calls itself, or what calls it, without end"
OTHER_LAYERS = "expected the layers that were there when its call was drawn; make another model of those and these"


class Tracing:
    """The drawings of a ``call``, and its passes over arrays.

    A drawing is made for each structure of the inputs: lists and dicts, numbers of axes, features, and whether there is
    a mask. Sizes of other axes are unknown in it; where ``call`` computes with them, they are part of the structure.

    Parameters
    ----------
    call : a function of the layer, the inputs and further arguments.
    names : of its arguments, those of ``training`` and ``mask`` among them if it has any.

    Attributes
    ----------
    sized : whether what it does depends on sizes, of which each has a drawing.
    """

    def __init__(self, call: Callable[..., Any], names: Sequence[str]) -> None:
        self.call = call
        self._trains, self._masked = "training" in names, "mask" in names
        self.sized = False
        self._held: dict[str, list[Any]] | None = None  # the layers that there were when it was first drawn
        self._drawings: dict[Any, Drawing] = {}
        self._moved: list[Any] | None = None
        # Of the random numbers of layers that ``call`` makes, by kind and number: in every drawing they go on.
        self.streams: dict[str, Stream] = {}

    @property
    def drawings(self) -> list[Drawing]:
        """All that there are; the latest last."""
        return list(self._drawings.values())

    def of(
        self,
        layer: Any,
        inputs: Any,
        training: bool,
        mask: Any = None,
        options: Mapping[str, Any] = {},
        sized: bool = False,
    ) -> Drawing:
        """Return the drawing for arrays or symbols like these; ``sized``: with all sizes that are known."""
        self._refuse_others(layer)
        given = [inputs, dict(options), mask if self._masked else None]
        trains = training if self._trains else None
        if not (sized or self.sized):
            try:
                return self._found(layer, given, trains, sized=False)
            except Exception:
                if not any(len(part.shape) > 2 for part in leaves(given) if _is_data(part)):
                    raise
            # A size that was left open may be what a layer has to know, or the call; or else it fails again.
            drawing = self._found(layer, given, trains, sized=True)
            self.sized = True
            return drawing
        return self._found(layer, given, trains, sized=True)

    def _found(self, layer: Any, given: list[Any], training: bool | None, sized: bool) -> Drawing:
        key = (_structure(given, sized), training, sized)
        drawing = self._drawings.get(key)
        if drawing is None:
            drawing = self._draw(layer, given, training, sized)
            if len(self._drawings) >= _MOST:
                self._drawings.pop(next(iter(self._drawings)), None)
            self._drawings[key] = drawing
        return drawing

    def _draw(self, layer: Any, given: list[Any], training: bool | None, sized: bool) -> Drawing:
        def symbol(part: Any) -> Any:
            if not _is_data(part):
                return part
            return given_symbol(layer.name, _sizes(part, sized), part.dtype)

        inputs, options, mask = (map_leaves(symbol, part) for part in given)
        arguments = dict(options)
        if self._trains:
            arguments["training"] = training
        if self._masked:
            arguments["mask"] = mask
        beside: list[Symbol] = []
        with variables.drawing(variables.Drawn(layer.name, layer.built, sized, beside)):
            try:
                outputs = self.call(layer, inputs, **arguments)
            except RecursionError as error:
                if str(error).endswith(_ENDLESS):
                    raise
                raise RecursionError(f"{layer.name}: call: {_ENDLESS}") from None
        found = list(leaves(outputs))
        if not found or not all(isinstance(part, Symbol) for part in found):
            got = next((part for part in found if not isinstance(part, Symbol)), outputs)
            raise TypeError(
                f"{layer.name}: call: expected it to return what layers return that are called on its inputs, got "
                f"{type(got).__name__}"
            )
        inner = {id(v) for part in layer.sublayers for v in part.variables}
        if any(v.trainable and id(v) not in inner for v in layer.variables):
            raise ValueError(
                f"{layer.name}: call: has weights of its own beside layers within, which no gradient would reach; put "
                "what it does with them into a layer of its own"
            )
        known = {id(part) for part in all_within(layer)}
        calls = [call for call in calls_of([*found, *beside]) if call.sources]
        for call in calls:
            if call.layer.variables and id(call.layer) not in known and call.layer is not layer:
                raise ValueError(
                    f"{layer.name}: call: uses {call.layer.name}, which is none of its attributes; make layers in "
                    "__init__ or build, and keep them as attributes"
                )
        self._lend_streams(layer, [call.layer for call in calls if id(call.layer) not in known])
        if self._held is None:
            self._held = layer.held_layers
        symbols = [part for part in leaves([inputs, options, mask]) if _is_symbol(part)]
        drawing = Drawing(layer.name, symbols, outputs, beside)
        drawing.given = inputs
        if self._moved is not None:
            drawing.move(self._moved)
        return drawing

    def _lend_streams(self, layer: Any, made: Iterable[Any]) -> None:
        """Let layers that ``call`` has made draw from the streams of those that it has made before."""
        held = {id(layer), *(id(part) for within in layer.sublayers for part in within.keepers)}
        parts = {id(part): part for one in made if one is not layer for part in one.keepers if id(part) not in held}
        count: Counter[str] = Counter()
        for part in parts.values():
            kind = type(part).__name__
            name = f"{kind}/{count[kind]}"
            count[kind] += 1
            part._random = self.streams.setdefault(name, part._random or Stream())

    def set_streams(self, streams: Mapping[str, Stream]) -> None:
        """Go on with random numbers from there, also in drawings that are still to be made."""
        for name in {**self.streams, **streams}:
            own, other = self.streams.setdefault(name, Stream()), streams.get(name, Stream())
            own.seed, own.calls = other.seed, other.calls

    def _refuse_others(self, layer: Any) -> None:
        """Refuse to go on with drawings of other layers than there are now."""
        for name, held in (self._held or {}).items():
            if layer.layers_at(name) != held:
                raise ValueError(f"{layer.name}: {name}: {OTHER_LAYERS}")

    def move(self, variables: Iterable[Any]) -> None:
        """Note which variables are to be trained."""
        self._moved = list(variables)
        for drawing in self._drawings.values():
            drawing.move(self._moved)

    def run(
        self,
        layer: Any,
        inputs: Any,
        training: bool,
        mask: Any,
        logits: bool | Sequence[bool] = False,
        options: Mapping[str, Any] = {},
        further_masks: Mapping[str, Any] = {},
    ) -> tuple[Any, Any, Any]:
        """Return the outputs for arrays, their masks, and what `backward` needs.

        ``further_masks`` are those of further arguments.
        """
        drawing = self.of(layer, inputs, training, mask, options)
        arrays = [part for part in leaves([inputs, dict(options)]) if _is_data(part)]
        masks = _masks_of_data(inputs, mask)
        if self._masked and mask is not None:
            arrays += [part for part in leaves(mask) if part is not None]
        for name, value in options.items():
            own = [part for part in leaves(value) if _is_data(part)]
            known = list(leaves(further_masks.get(name)))
            masks += known if len(known) == len(own) else [None] * len(own)
        masks += [None] * (len(arrays) - len(masks))
        outputs, left, kept = drawing.run(arrays, training, masks, logits)
        return outputs, left, (drawing, kept, inputs, options)


def back(cache: Any, d_outputs: Any, need_d_inputs: bool, logits: bool | Sequence[bool] = False) -> tuple[Any, Any]:
    """Return the gradients of the inputs and of the further arguments, of what `Tracing.run` kept."""
    drawing, kept, inputs, options = cache
    gradients = drawing.backward(d_outputs, kept, need_d_inputs, logits)
    if not need_d_inputs:
        return None, {}
    at = iter(gradients)
    d_inputs = map_leaves(lambda part: next(at) if _is_data(part) else None, inputs)
    return d_inputs, {
        name: map_leaves(lambda part: next(at) if _is_data(part) else None, value) for name, value in options.items()
    }


def all_within(layer: Any) -> Iterator[Any]:
    """Yield the layers within a layer, and those within these."""
    for inner in layer.sublayers:
        yield inner
        yield from all_within(inner)


def _is_data(part: Any) -> bool:
    return isinstance(part, (np.ndarray, Symbol))


def _masks_of_data(inputs: Any, mask: Any) -> list[Any]:
    """Return the mask of each array among the inputs, where there may be None beside them."""
    each = in_places(mask, inputs)
    masks = list(leaves(mask)) if each is None else each
    return [one for part, one in zip(leaves(inputs), masks, strict=True) if _is_data(part)]


def _is_symbol(part: Any) -> bool:
    return isinstance(part, Symbol)


def _sizes(part: Any, sized: bool) -> tuple[int | None, ...]:
    """Return the sizes that a drawing knows: not that of the batch, and of the others all or the last."""
    shape = tuple(part.shape)
    if sized:
        return (None, *shape[1:])
    return tuple(None if k < max(1, len(shape) - 1) else size for k, size in enumerate(shape))


def _structure(value: Any, sized: bool) -> Any:
    """Return what can be compared of inputs and arguments."""
    if isinstance(value, dict):
        return tuple((name, _structure(part, sized)) for name, part in value.items())
    if isinstance(value, (list, tuple)):
        return (type(value), *(_structure(part, sized) for part in value))
    if _is_data(value):
        return (_sizes(value, sized), value.dtype.kind)
    try:
        hash(value)
    except TypeError:
        return _Same(value)
    return type(value), value


class _Same:
    """Stands for an object that has no hash: equal to what stands for the same object, which it holds."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)
