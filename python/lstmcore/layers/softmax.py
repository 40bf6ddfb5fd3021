"""Numbers as probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import activations
from .._arguments import as_array, axes_of
from ._normalization import mixes_steps
from .activation import Activation
from .layer import Array


class Softmax(Activation):
    """exp(x) / sum(exp(x)), the sum over one axis or several.

    >>> import numpy as np
    >>> from lstmcore.layers import Softmax
    >>> Softmax()(np.log([[1.0, 2.0, 5.0]])).round(3).tolist()
    [[0.125, 0.25, 0.625]]
    >>> Softmax()(np.log([[1.0, 2.0, 5.0]]), mask=np.array([[True, True, False]])).round(3).tolist()
    [[0.33..., 0.66..., 0.0]]

    A call may have a ``mask``, also as its second argument, of any shape that is broadcast to that of the inputs:
    where it is False, or a number up to 0.5, the output is 0. A mask of steps that comes with the inputs goes on; it is
    taken for that where it has their shape (weights of steps), and not where there are features behind the steps.

    Parameters
    ----------
    axis : an integer, or a list of them.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    consumes_mask = False  # not that of steps
    _second = "mask"

    decides = ("activation",)

    def __init__(self, axis: int | Sequence[int] = -1, **options: Any) -> None:
        super().__init__(activations.softmaxes.Softmax(axis), **options)

    def fit_mask(self, mask: Any, inputs: Array) -> Array:
        """Return a mask that a call was given, broadcast to the inputs."""
        array = as_array(f"{self.name}: mask", mask)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{self.name}: mask: expected bool or numbers, got {array.dtype}")
        array = array.view(np.uint8) != 0 if array.dtype == bool else array > 0.5
        behind = inputs.shape[inputs.ndim - array.ndim :]
        if array.ndim > inputs.ndim or any(n not in (1, m) for n, m in zip(array.shape, behind, strict=True)):
            raise ValueError(
                f"{self.name}: mask: expected what can be broadcast to inputs {inputs.shape}, got shape {array.shape}"
            )
        return np.broadcast_to(array, inputs.shape)

    def forward_with_mask(
        self, inputs: Array, training: bool = False, mask: Array | None = None, **options: Any
    ) -> tuple[Array, Array | None]:
        """Return the outputs and the mask of their steps."""
        if mask is None or mask.shape != inputs.shape:
            return super().forward_with_mask(inputs, training, mask, **options)
        return self.forward(inputs, training=training, mask=mask, **options), mask if mask.ndim == 2 else None

    def leaks(self, inputs: Any, mask: Any) -> str | None:
        """Return that steps are mixed, if they are."""
        return f"axis={self.activation.axis} mixes steps" if mixes_steps(self.activation.axis, inputs.ndim) else None

    def forward(
        self, inputs: Array, training: bool = False, logits: bool = False, mask: ArrayLike | None = None
    ) -> Array:
        """Return the outputs; ``logits`` leaves the activation out."""
        left_in = None if mask is None else self.fit_mask(mask, inputs)
        if left_in is not None:
            axes = axes_of(f"{self.name}: axis", self.activation.axis, inputs)
            nobody = ~left_in.any(axis=axes, keepdims=True)  # whose softmax is of all, and goes nowhere
            inputs = np.where(left_in | nobody, inputs, inputs.dtype.type(-np.inf))
        outputs = super().forward(inputs, training, logits)
        if training:
            self._cache = self._cache, left_in
        return outputs if logits or left_in is None else np.where(left_in, outputs, inputs.dtype.type(0))

    def backward(self, d_outputs: Array, need_d_inputs: bool = True, logits: bool = False) -> Array | None:
        """Return the gradient of the inputs, if needed."""
        self._cache, left_in = self.kept()
        d_inputs = super().backward(d_outputs, need_d_inputs, logits)
        return d_inputs if d_inputs is None or left_in is None else d_inputs * left_in
