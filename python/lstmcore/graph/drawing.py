"""A model as it was drawn: from symbols to symbols, in the lists and dicts that they were said in."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .._names import free_name
from .._tree import in_places, leaves, map_leaves
from ..activations import Activation
from .kept import Kept
from .plan import Plan
from .symbol import Symbol, draw


class Drawing:
    """A way from symbols to symbols, and its passes over arrays.

    Parameters
    ----------
    name : of the model, for errors.
    inputs, outputs : a symbol, or a list or dict of them.
    beside : symbols that are made too, for what their layers do beside that.
    """

    def __init__(self, name: str, inputs: Any, outputs: Any, beside: Iterable[Symbol] = ()) -> None:
        self.name, self.inputs, self.outputs, self.beside = name, inputs, outputs, list(beside)
        self.given = inputs  # as they are given to the model, without further arguments of a call
        self._one = isinstance(outputs, Symbol)
        self._plan: Plan | None = None
        self._moved: set[int] | None = None

    @property
    def plan(self) -> Plan:
        """The steps; made when they are first asked for, as a chain grows layer by layer."""
        if self._plan is None:
            self._plan = Plan(self.name, list(leaves(self.inputs)), list(leaves(self.outputs)), self.beside)
            self._plan.move(self._moved)
        return self._plan

    def of_outputs(self) -> Drawing:
        """Return the same without what is done beside making the outputs."""
        if not self.beside:
            return self
        drawing = Drawing(self.name, self.inputs, self.outputs)
        drawing.given = self.given
        return drawing

    @functools.cached_property
    def names(self) -> Any:
        """The names of the outputs in their places: of the layers that make them, or the keys of a dict.

        Of two outputs of one layer, the second has a "_1" behind it; outputs in lists and dicts within have the way
        there before the name: "1/dense".
        """
        return _names(self.outputs, (), set())

    def move(self, variables: Iterable[Any]) -> None:
        """Note which variables are to be trained."""
        self._moved = {id(variable) for variable in variables}
        if self._plan is not None:
            self._plan.move(self._moved)

    def run(
        self, inputs: Any, training: bool, mask: Any, logits: bool | Sequence[bool] = False
    ) -> tuple[Any, Any, Kept | None]:
        """Return the outputs for arrays, their masks and, with ``training``, what `backward` needs."""
        single = isinstance(inputs, np.ndarray)
        arrays = [inputs] if single else list(leaves(inputs))
        masks = [None] * len(arrays) if mask is None else [mask] if single else list(leaves(mask))
        plan = self._plan or self.plan
        outputs, left, kept = plan.run(arrays, training, masks, logits)
        if self._one:
            return outputs[0], left[0], kept
        return self._as_said(outputs), self._as_said(left) if any(m is not None for m in left) else None, kept

    def _as_said(self, values: list[Any]) -> Any:
        at = iter(values)
        return map_leaves(lambda _: next(at), self.outputs)

    def backward(self, d_outputs: Any, kept: Kept, need_d_inputs: bool, logits: bool | Sequence[bool] = False) -> Any:
        """Add to the gradients of all weights; return those of the inputs, if needed: one, or a list of them."""
        d = [d_outputs] if self._one else self._of_outputs(d_outputs)
        gradients = self.plan.run_backward(d, kept, need_d_inputs, logits)
        if not need_d_inputs:
            return None
        return gradients[0] if isinstance(self.inputs, Symbol) else gradients

    def _of_outputs(self, d_outputs: Any) -> list[Any]:
        """Return the gradients of the outputs, one after the other."""
        count = len(self.plan.outputs)
        found = in_places(d_outputs, self.outputs)
        if found is None and isinstance(d_outputs, (list, tuple)) and len(d_outputs) == count:
            found = list(d_outputs)
        if found is None:
            got = f"{len(d_outputs)}" if isinstance(d_outputs, (list, tuple, dict)) else type(d_outputs).__name__
            raise ValueError(f"{self.name}: d_outputs: expected {count} arrays, as there are outputs, got {got}")
        return found

    @property
    def last_activations(self) -> list[Activation | None]:
        """For each output, the activation that the layer of it ends with, if it can leave that out."""
        # An activity regularizer looks at the outputs, and so needs their gradient.
        return [
            None if last is None or last.layer.activity_regularizer is not None else last.layer.last_activation
            for last in self.plan.lasts
        ]


def chain(name: str, layers: Iterable[Any], inputs: Symbol) -> Drawing:
    """Return the drawing of layers one after the other, with the weights made for such inputs."""
    outputs = inputs
    for layer in layers:
        outputs = behind(name, layer, outputs)
    return Drawing(name, inputs, outputs)


def behind(name: str, layer: Any, inputs: Any) -> Symbol:
    """Return the symbol of what a layer of a chain returns; it is built for such inputs if it has no weights yet."""
    outputs = draw(layer, inputs)
    _one_array(name, layer, map_leaves(lambda symbol: symbol.shape, outputs))
    return outputs  # type: ignore[no-any-return]


def shape_behind(name: str, layers: Iterable[Any], shape: Any) -> Any:
    """Return the shape behind layers one after the other, without the weights made for it."""
    for layer in layers:
        shape = layer.compute_output_shape(shape)
        _one_array(name, layer, shape)
    return shape


def _one_array(name: str, layer: Any, shape: Any) -> None:
    """Refuse a layer of a chain that returns several arrays."""
    if isinstance(shape, (list, dict)) or (shape and isinstance(shape[0], (tuple, list))):
        raise ValueError(
            f"{name}: {layer.name} returns several arrays (return_state, or merge_mode=None); in a chain of layers, as "
            "of a Sequential, every layer returns one"
        )


def _names(outputs: Any, path: tuple[Any, ...], taken: set[str]) -> Any:
    """Return the names of outputs in their places, as Keras calls their losses."""
    if isinstance(outputs, dict):
        return {key: _names(part, (*path, key), taken) for key, part in outputs.items()}
    if isinstance(outputs, (list, tuple)):
        return [_names(part, (*path, k), taken) for k, part in enumerate(outputs)]
    own = path[-1] if path and isinstance(path[-1], str) else outputs.name
    name = free_name("/".join(map(str, (*path[:-1], own))), taken)
    taken.add(name)
    return name
