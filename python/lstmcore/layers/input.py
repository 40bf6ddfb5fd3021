"""Where a model's inputs get their shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .._arguments import float_dtype, positive_integer, reject_options
from .._arguments import shape as checked_shape
from ..graph.symbol import Call, Symbol
from .layer import Array, Layer

_NO_FLOATS = {"bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64))}


class InputLayer(Layer):
    """Passes its inputs on; as the first of a model, tells their shape. Arguments are those of `Input`."""

    def __init__(
        self,
        shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        dtype: DTypeLike | None = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Sequence[int | None] | None = None,
        input_tensor: None = None,
        optional: bool = False,
        name: str | None = None,
        input_shape: Sequence[int | None] | None = None,
        batch_input_shape: Sequence[int | None] | None = None,
        **options: Any,
    ) -> None:
        refused = {"sparse": sparse, "ragged": ragged, "input_tensor": input_tensor, "optional": optional}
        reject_options("Input", refused, refused)
        shape, batch_shape = _one("shape", shape, input_shape), _one("batch_shape", batch_shape, batch_input_shape)
        if (shape is None) == (batch_shape is None):
            raise ValueError(f"Input: expected one of shape and batch_shape, got {shape!r} and {batch_shape!r}")
        if shape is not None:
            batch = None if batch_size is None else positive_integer("Input: batch_size", batch_size)
            batch_shape = (batch, *checked_shape("Input: shape", shape))
        elif batch_size is not None:
            raise ValueError(
                f"Input: expected one of batch_size and batch_shape, got {batch_size!r} and {batch_shape!r}"
            )
        self.batch_shape = checked_shape("Input: batch_shape", batch_shape)
        # Whole numbers go to layers, such as an Embedding, that take them, and say so themselves; bool is for masks.
        other = dtype in _NO_FLOATS or (isinstance(dtype, (type, np.dtype)) and np.dtype(dtype).kind in "iub")
        of_floats = None if other or dtype is None else float_dtype("dtype", dtype)
        super().__init__(batch_input_shape=self.batch_shape, name=name, dtype=of_floats, **options)
        self._kind = np.dtype(dtype) if other else self.dtype

    def _have(self, dtype: np.dtype[Any], mixed: bool) -> None:
        super()._have(dtype, False)  # there are no products

    @property
    def symbol(self) -> Symbol:
        """The symbol of the inputs; the same array for all who ask as long as anybody has it."""
        calls = self.calls_on_symbols
        call = calls[0] if calls else Call(self, [], self.batch_shape, self._kind)
        if not calls:
            self.note_call(call)
        return Symbol(self.batch_shape, self._kind, call)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal layer, as Keras does."""
        config = super().get_config()
        return {k: config[k] for k in ("name", "trainable", "dtype")} | {"batch_shape": list(self.batch_shape)}

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the inputs."""
        return inputs

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return the gradient as it came."""
        return d_outputs


def _one(name: str, value: Any, legacy: Any) -> Any:
    """Return an argument that Keras has had under two names."""
    if value is not None and legacy is not None:
        raise ValueError(f"Input: expected one of {name} and its older name, got {value!r} and {legacy!r}")
    return legacy if value is None else value


def Input(  # noqa: N802 - Keras's name
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: DTypeLike | None = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor: None = None,
    optional: bool = False,
    **options: Any,
) -> Symbol:
    """Tell the shape of a model's inputs: return a symbol, for layers to be called on and for `Sequential`.

    >>> from lstmcore import Input, Sequential, layers
    >>> model = Sequential([Input(shape=(12, 1)), layers.LSTM(4), layers.Dense(1)])
    >>> model.output_shape
    (None, 1)

    Parameters
    ----------
    shape : without the batch; None for sizes that are not known.
    batch_size : rows of every batch, if they are known.
    dtype : of the inputs: "float32", "float64", one of integers, or "bool" for masks.
    batch_shape : instead of both, with the batch first.
    name : of the layer.
    sparse, ragged, tensor, optional : not offered.
    **options : ``input_shape`` and ``batch_input_shape``, the older names of shape and batch_shape; ``trainable``.
    """
    return InputLayer(shape, batch_size, dtype, sparse, ragged, batch_shape, tensor, optional, name, **options).symbol
