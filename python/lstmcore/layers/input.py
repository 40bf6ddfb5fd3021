"""Where a model's inputs get their shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._arguments import shape as checked_shape
from .layer import Array, Layer


class InputLayer(Layer):
    """Passes its inputs on; as the first of a model, tells their shape."""

    def __init__(
        self,
        shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        batch_shape: Sequence[int | None] | None = None,
        **options: Any,
    ) -> None:
        if (shape is None) == (batch_shape is None):
            raise ValueError(f"Input: expected one of shape and batch_shape, got {shape!r} and {batch_shape!r}")
        if batch_shape is None and shape is not None:
            batch_shape = (batch_size, *checked_shape("Input: shape", shape))
        super().__init__(batch_input_shape=batch_shape, **options)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Refuse to be taken for data, as by a layer that is called on it."""
        raise NotImplementedError(
            f"{self.name}: is a layer, no array: graphs of layers (a layer called on Input(...), Model(inputs, "
            "outputs)) are not offered; put the layers into a Sequential([Input(...), ...]), or define a Model"
        )

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the inputs."""
        return inputs

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return the gradient as it came."""
        return d_outputs


def Input(  # noqa: N802 - Keras's name
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    dtype: Any = "float32",
) -> InputLayer:
    """Tell the shape of a model's inputs, without the batch.

    >>> from lstmcore import Input, Sequential, layers
    >>> model = Sequential([Input(shape=(12, 1)), layers.LSTM(4), layers.Dense(1)])
    >>> model.output_shape
    (None, 1)
    """
    return InputLayer(shape, batch_size, batch_shape, name=name, dtype=dtype)
