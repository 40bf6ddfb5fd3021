"""What a ``call`` that is drawn does beside making outputs: it adds to the loss, and shows arrays to metrics."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._tree import leaves, map_leaves
from ..graph import penalties
from ..graph.symbol import Symbol, draw
from ..variables import drawing, drawn
from ._naming import automatic_name
from .layer import Array, Layer, Shape


class Added(Layer):
    """Adds the sum of its inputs to the loss of the step under way, and passes them on."""

    adds_loss = True

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the inputs."""
        penalties.add(float(np.add.reduce(inputs, axis=None)))
        if training:
            self._cache = inputs.shape
        return inputs

    def backward(self, d_outputs: Array | None, need_d_inputs: bool = True) -> Array | None:
        """Return the gradient of the sum."""
        return np.ones(self.kept(), self.dtype)


class Observed(Layer):
    """Shows its inputs to a metric, and passes the first on."""

    takes_several = takes_integers = True

    def __init__(self, metric: Any, values: tuple[Any, ...], named: dict[str, Any], **options: Any) -> None:
        super().__init__(**options)
        self.metric, self.values, self.named = metric, values, named

    def forward(self, inputs: Any, training: bool = False) -> Array:
        """Return the first of the inputs."""
        at = iter(inputs)
        values, named = map_leaves(lambda part: next(at) if part is None else part, [list(self.values), self.named])
        self.metric.update_state(*values, **named)
        return np.asarray(inputs[0])

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return the shape of the first."""
        shape: Shape = input_shape[0]
        return shape

    def dtype_of_call(self, inputs: Any) -> np.dtype[Any]:
        """Return that of the first."""
        dtype: np.dtype[Any] = inputs[0].dtype
        return dtype

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """End it: nobody reads the outputs."""


def _beside(layer: Layer, inputs: Any) -> None:
    """Draw a call of which nothing is returned."""
    of = drawn()
    assert of is not None
    with drawing(None):
        of.beside.append(draw(layer, inputs))


def added(symbol: Symbol) -> None:
    """Draw that a symbol is added to the loss."""
    _beside(Added(name=automatic_name("add_loss"), dtype=symbol.dtype), symbol)


def observed(metric: Any, values: tuple[Any, ...], named: dict[str, Any]) -> None:
    """Draw that a metric sees symbols, among other values."""
    if drawn() is None:
        raise TypeError(
            f"{metric.name}: update_state: expected numbers, got a symbol, which has none; do it in the call of a layer"
        )
    symbols = [part for part in leaves([list(values), named]) if isinstance(part, Symbol)]
    left = map_leaves(lambda part: None if isinstance(part, Symbol) else part, [list(values), named])
    given = {name: value for name, value in left[1].items() if not (value is None and named[name] is None)}
    _beside(Observed(metric, tuple(left[0]), given, name=automatic_name("observed")), symbols)


Symbol.added = staticmethod(added)
Symbol.observed = staticmethod(observed)
