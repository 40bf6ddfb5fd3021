"""Vectors for integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from .. import _core, constraints, initializers, regularizers
from .._arguments import flag, float_array, positive_integer, real_array, reject_options
from .._tree import copies
from ..graph.symbol import Symbol
from ..streaming import Stage
from ._quantized import refuse_training
from .layer import Array, Layer, Shape
from .operators import NotEqual, mask_of

_NOT_OFFERED = {"lora_rank", "lora_alpha", "quantization_config"}


class Embedding(Layer):
    """A vector for each integer from 0 to ``input_dim - 1``.

    >>> import numpy as np
    >>> from lstmcore.layers import Embedding
    >>> Embedding(1000, 16)(np.array([[4, 7, 999]])).shape
    (1, 3, 16)

    Weights: ``embeddings`` (input_dim, output_dim). Integers may come as floats (4.0); a float that is no whole number
    is refused.

    Parameters
    ----------
    input_dim : number of different integers.
    output_dim : width of the vectors.
    embeddings_initializer : name or callable.
    embeddings_regularizer, embeddings_constraint : names, or objects of `regularizers` and `constraints`.
    mask_zero : whether 0 is padding: the layers after this one then skip those steps.
    weights : initial embeddings, instead of an initializer.
    input_length : Keras's old argument; has no effect.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.

    Raises
    ------
    ValueError, TypeError
        An input is not an integer in the range, or an argument not of its kind.
    """

    not_in_config = ("weights",)
    quantized_weights: ClassVar[dict[str, bool]] = {"embeddings": True}

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: str | Callable[..., Array] = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: ArrayLike | None = None,
        input_length: int | None = None,
        **options: Any,
    ) -> None:
        reject_options("Embedding", {k: options.pop(k) for k in _NOT_OFFERED & options.keys()}, _NOT_OFFERED)
        if input_length is not None and "input_shape" not in options and "batch_input_shape" not in options:
            options["input_shape"] = (input_length,)
        super().__init__(**options)
        self.input_dim = positive_integer("Embedding: input_dim", input_dim)
        self.output_dim = positive_integer("Embedding: output_dim", output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = flag("Embedding: mask_zero", mask_zero)
        self._initial = copies(weights)

    def build(self, input_shape: Shape | None = None) -> None:
        """Create the embeddings, which do not depend on the inputs' shape."""
        shape = (self.input_dim, self.output_dim)
        self.embeddings = self.add_weight(
            "embeddings",
            shape,
            self.embeddings_initializer,
            offered="input_dim",
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )
        if self._initial is not None:
            values = float_array(f"{self.name}: weights", self._initial, self.dtype)
            self.embeddings.assign(values[0] if values.ndim == 3 and len(values) == 1 else values)
            self._initial = None

    def convert(self, name: str, inputs: ArrayLike) -> Array:
        """Return inputs as integers; whole numbers of a float type are taken for what they are."""
        array = real_array(name, inputs, "integers")
        if array.dtype.kind == "f":
            wrong = array[~(np.abs(array) < 2.0**63) | (array != np.trunc(array))]
            if wrong.size:
                raise TypeError(f"{name}: expected integers, got {array.dtype} with {wrong.flat[0]} among them")
            array = array.astype(np.int64)
        if array.dtype.kind not in "iu":
            raise TypeError(f"{name}: expected integers, got {array.dtype}")
        return array

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the vectors, (..., output_dim)."""
        if inputs.dtype.kind not in "iu":
            inputs = self.convert(f"{self.name}: inputs", inputs)
        if inputs.size:
            low, high = inputs.min(), inputs.max()
            if low < 0 or high >= self.input_dim:
                got = low if low < 0 else high
                raise ValueError(f"{self.name}: inputs: expected integers from 0 to {self.input_dim - 1}, got {got}")
        if training:
            if self.quantization_mode is not None:
                refuse_training(self)
            self._cache = inputs
        if (kept := self.embeddings.int8) is not None:
            return kept.rows(inputs)  # type: ignore[no-any-return]
        return self.embeddings.value.take(inputs, axis=0, mode="clip")  # within the bounds, which saves checking them

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Add to the gradient of the embeddings; integers have none."""
        _core.add_rows(self.embeddings.gradient, self.kept().reshape(-1), d_outputs.reshape(-1, self.output_dim))
        return None

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return where the inputs are not zero, with ``mask_zero``, and where a mask of theirs lets them count."""
        if not self.mask_zero:
            return mask
        if isinstance(inputs, Symbol):
            return mask_of(self.name, NotEqual(0), inputs, mask)
        own: Array = np.asarray(inputs) != 0
        return own if mask is None else own & mask.reshape(mask.shape + (1,) * (own.ndim - mask.ndim))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the inputs with ``output_dim`` behind it."""
        return (*input_shape, self.output_dim)

    def stream(self, batch_size: int, steps: int) -> Stage:
        """Return a `streaming.Stage`, which does for the next chunk of steps what the layer does for all."""
        if self.mask_zero:
            raise ValueError(
                f"{self.name}: mask_zero: a stream has no padding; leave those steps out, stream without it"
            )
        return _EmbeddingStage(self)


class _EmbeddingStage(Stage):
    def __init__(self, layer: Embedding) -> None:
        super().__init__(layer.output_dim, layer.dtype)
        self.name, self.input_dim = layer.name, layer.input_dim
        self.kept = layer.embeddings.int8
        self.values = None if self.kept is not None else layer.embeddings.numpy()

    def __call__(self, inputs: Array, out: Array | None = None) -> Array:
        indices = inputs[..., 0]
        low, high = indices.min(), indices.max()
        if not 0 <= low <= high < self.input_dim:
            got = low if low < 0 else high
            raise ValueError(f"{self.name}: inputs: expected integers from 0 to {self.input_dim - 1}, got {got}")
        if self.values is not None:  # any other mode makes a copy first
            return np.take(self.values, indices, axis=0, out=out, mode="clip")
        rows: Array = self.kept.rows(indices)
        if out is None:
            return rows
        out[...] = rows
        return out

    def apart(self) -> Mapping[int, Any]:
        """Let copies share the vectors, which nobody writes to."""
        return {**super().apart(), id(self.values): self.values, id(self.kept): self.kept}
