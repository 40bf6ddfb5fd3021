"""A connection past layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _masks
from .._arguments import ArgumentTypeError, among, items
from ..graph.drawing import Drawing, chain, shape_behind
from ..graph.symbol import given
from ..streaming import Chain, Stage
from .dense import Dense
from .layer import Array, Layer, Shape


class Residual(Layer):
    """``x + f(x)``, f a layer or several, one after the other: gradients pass deep stacks (He et al. 2016).

    >>> import numpy as np
    >>> from lstmcore.layers import LSTM, Residual
    >>> Residual(LSTM(3, return_sequences=True))(np.zeros((2, 7, 3), "float32")).shape
    (2, 7, 3)

    Weights: those of the layers, then the ``kernel`` (features, width) of the projection, if there is one.
    A mask reaches the layers and is passed on.

    Parameters
    ----------
    layer : a layer or a list of them. The outputs have the shape of the inputs; recurrent layers need
        ``return_sequences=True``.
    projection : None, or "auto" for ``x P + f(x)`` where f makes another number of features.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.

    Raises
    ------
    ValueError
        The outputs of the layers cannot be added to the inputs.
    """

    passes_are_fixed = "which would not be called; derive it from Layer"

    def __init__(self, layer: Layer | Sequence[Layer], projection: str | None = None, **options: Any) -> None:
        layers: list[Any] = [layer] if isinstance(layer, Layer) else items("Residual: layer", layer, "a list of layers")
        if not layers or not all(isinstance(one, Layer) for one in layers):
            raise ArgumentTypeError(f"Residual: layer: expected a layer or a list of them, got {layer!r}")
        if not among(projection, (None, "auto")):
            raise ValueError(f"Residual: projection: expected None or 'auto', got {projection!r}")
        super().__init__(**options)
        self.take_after(layers[0])
        self.layers: list[Layer] = []
        self._drawing: Drawing | None = None
        self.projection: Dense | None = None
        self._project = projection == "auto"
        for one in layers:
            if one.activity_regularizer is not None:
                raise ValueError(
                    f"{self.name}: layer: activity_regularizer is for the outputs of Residual: give it that"
                )
            self.adopt(one)
            self.layers.append(one)

    @property
    def sublayers(self) -> list[Layer]:
        """The layers, and the projection."""
        return [*self.layers, *([] if self.projection is None else [self.projection])]

    def build(self, input_shape: Shape) -> None:
        """Create the weights of the layers, and of the projection."""
        inputs = given(self.name, tuple(input_shape), self.dtype)
        self._drawing = chain(self.name, self.layers, inputs)
        shape = self._drawing.outputs.shape
        if self._project and len(shape) == len(input_shape) and shape[-1] is not None and shape[-1] != input_shape[-1]:
            self.projection = Dense(shape[-1], use_bias=False, dtype=self.policy_name, name="projection")
            self.adopt(self.projection)
            self.projection.ensure_built(input_shape)
        self.compute_output_shape(input_shape)
        self.variables = [v for layer in self.sublayers for v in layer.variables]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the layers' outputs, which is that of the inputs or of their projection."""
        shape: Shape = shape_behind(self.name, self.layers, input_shape)
        skip = input_shape if self.projection is None else self.projection.compute_output_shape(input_shape)
        if shape != skip:
            hint = "" if shape[:-1] != skip[:-1] else '; projection="auto" would make them so'
            raise ValueError(
                f"{self.name}: layer: expected outputs of the shape {skip} of the inputs, got {shape}{hint}"
            )
        return shape

    def forward(self, inputs: Array, training: bool = False, mask: ArrayLike | None = None) -> Array:
        """Return the sum."""
        own = None if mask is None else _masks.fit(self.name, mask, inputs.shape)
        return self.forward_with_mask(inputs, training, own)[0]

    def forward_with_mask(
        self, inputs: Array, training: bool = False, mask: Array | None = None, **options: Any
    ) -> tuple[Array, Array | None]:
        """Return the sum and its mask: that of the inputs or, if they have none, of the layers' outputs."""
        self.last_returned = None
        mask = _masks.unless_ended(self, mask)
        assert self._drawing is not None
        outputs, left, kept = self._drawing.run(inputs, training, mask)
        if training:
            self._cache = kept
        skip = inputs if self.projection is None else self.projection.forward(inputs, training)
        return outputs + skip, left if mask is None else mask

    def compute_mask(self, inputs: Any, mask: Any = None) -> Array | None:
        """Pass the mask on."""
        return self.forward_with_mask(self._accept(inputs), mask=mask)[1] if mask is None else mask

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Add to the gradients of the weights and return that of the inputs, if needed."""
        kept = self.kept()
        assert self._drawing is not None
        gradient = self._drawing.backward(d_outputs, kept, need_d_inputs)
        skip = d_outputs if self.projection is None else self.projection.backward(d_outputs, need_d_inputs)
        return None if gradient is None or skip is None else np.asarray(gradient + skip)

    def reset_states(self) -> None:
        """Make stateful layers begin with zeros again."""
        for layer in self.layers:
            layer.reset_states()

    def stream(self, batch_size: int, steps: int) -> Stage:
        """Return a `streaming.Stage`, which does for the next chunk of steps what the layer does for all."""
        stages = [layer.stream(batch_size, steps) for layer in self.layers]
        projection = None if self.projection is None else self.projection.stream(batch_size, steps)
        return _ResidualStage(stages, projection, batch_size, steps)


class _ResidualStage(Chain):
    def __init__(self, stages: list[Stage], projection: Stage | None, batch_size: int, steps: int) -> None:
        super().__init__(stages, batch_size, steps)
        self.projection = projection
        self.skip = np.zeros(batch_size * steps * self.width, self.dtype)

    def __call__(self, inputs: Array, out: Array | None = None) -> Array:
        outputs = super().__call__(inputs, out)
        skip = inputs
        if self.projection is not None:
            skip = self.projection(inputs, self.skip[: outputs.size].reshape(outputs.shape))
        return np.add(outputs, skip, out=outputs)
