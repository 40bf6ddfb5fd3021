"""A function as a layer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .._arguments import function as checked_function
from .._arguments import mapping
from .._arguments import shape as checked_shape
from .._tree import map_leaves
from ._derived import inferred_shape, tried
from .layer import Layer


class Lambda(Layer):
    """``function(x)``, with the gradient that autograd derives.

    >>> import autograd.numpy as np
    >>> from lstmcore import Input, Model, layers
    >>> layers.Lambda(lambda x: x**2)(np.array([[1.0, 3.0]])).tolist()
    [[1.0, 9.0]]
    >>> prices = Input((None, 4))
    >>> returns = layers.Lambda(lambda x: np.log(x[:, 1:] / x[:, :-1]))(prices)
    >>> model = Model(prices, layers.LSTM(8)(returns))

    A function that is trained through, or through which layers before it are, is written with `autograd.numpy` (the
    extra ``grad``); to predict, NumPy will do. It may have arguments ``mask`` and ``training``. What has weights is no
    function: write a `Layer` with ``call``.

    Parameters
    ----------
    function : of an array or, where the layer is called on a list or dict of arrays, of that.
    output_shape : of an output, without the batch; or a function of the shape of the inputs, batch first. By default
        the function is tried on zeros.
    mask : the mask of the outputs, or a function of inputs and mask that returns it. By default that of the inputs is
        passed on where the outputs have the same steps.
    arguments : further arguments of the function, by name.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.

    Notes
    -----
    Floating-point numbers come and go in the layer's dtype. Integers and booleans are given to the function as they are
    and stay what it makes of them; a layer behind that takes floats gets floats.

    A file has the function's name only, and no code: to load it, give ``custom_objects={name: function}`` or decorate
    the function with `utils.register_keras_serializable`. One without a name, a ``lambda``, cannot be saved.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Sequence[int | None] | Callable[..., Any] | None = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if isinstance(function, Layer):
            raise TypeError(f"Lambda: function: expected a function, got {function!r}, which needs no Lambda")
        self.function = checked_function("Lambda: function", function)
        self.arguments = {} if arguments is None else dict(mapping("Lambda: arguments", arguments))
        self._shape = output_shape
        if output_shape is not None and not callable(output_shape):
            self._shape = checked_shape("Lambda: output_shape", output_shape)
        self._mask = mask
        self.computes_mask = mask is not None
        parameters = _parameters(function)
        self._told = [name for name in ("mask", "training") if name in parameters and name not in self.arguments]
        self.consumes_mask = "mask" in self._told

    def call(self, inputs: Any, mask: Any = None, training: bool = False) -> Any:
        """Return what the function does."""
        told = {"mask": mask, "training": training}
        outputs = self.function(inputs, **self.arguments, **{name: told[name] for name in self._told})
        if self._shape is not None and hasattr(outputs, "shape"):
            self._refuse_other_shape(map_leaves(np.shape, inputs), outputs)
        return outputs

    def _refuse_other_shape(self, input_shape: Any, outputs: Any) -> None:
        """Refuse an array whose shape is not what was said."""
        said, got = self.compute_output_shape(input_shape), np.shape(outputs)
        if len(said) != len(got) or any(n not in (None, m) for n, m in zip(said[1:], got[1:], strict=True)):
            raise ValueError(
                f"{self.name}: output_shape: expected outputs of shape {said}, got {got} from the function"
            )

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask of the outputs."""
        if self._mask is None:
            return super().compute_mask(inputs, mask)
        return self._mask(inputs, mask) if callable(self._mask) else np.asarray(self._mask)

    def result_of_call(self, inputs: Any, options: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return the shape and the dtype of what a call on symbols returns."""
        return tried(self, inputs, options) if self._shape is None else super().result_of_call(inputs, options)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the outputs for inputs of that shape, batch first."""
        if self._shape is None:
            return inferred_shape(self, input_shape)
        if callable(self._shape):
            return tuple(self._shape(input_shape))
        first = input_shape
        while isinstance(first, (list, dict)) or (first and isinstance(first[0], (list, tuple))):
            first = next(iter(first.values() if isinstance(first, dict) else first))
        return (first[0], *self._shape)


def _parameters(function: Any) -> Mapping[str, Any]:
    try:
        return inspect.signature(function).parameters
    except ValueError:  # of a function that is not Python's
        return {}
