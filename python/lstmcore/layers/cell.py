"""One step of a recurrent layer, as the user defines it."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from .._arguments import batch_rows, flag, float_array, positive_integer
from .._tree import leaves
from ..graph import symbol
from ..graph.symbol import Symbol
from .layer import Array, Layer, Shape
from .sequence_layer import flat_states


class Cell(Layer):
    """One step of a recurrent layer, to be defined by the user and run by `RNN`.

    A subclass sets ``state_size`` (a width or a list of them) and, if it differs from the first of
    these, ``output_size``; creates its weights in ``build`` with `add_weight`; and defines either

    - ``call(inputs, states)`` -> ``(output, new_states)``, as for Keras, written with `autograd.numpy`, which the
      gradient comes from (the extra ``grad``); within, weights are arrays; or

    - ``forward(inputs, states)`` -> ``(output, new_states, saved)``: one step, (batch, features) and
      states (batch, width) each; ``saved`` is whatever ``backward`` needs. If it has an argument
      ``training``, it is told whether this is training;
    - ``backward(saved, d_output, d_states)`` -> ``(d_inputs, d_prior_states)``: the gradients, adding
      those of the weights to ``variable.gradient``. Needed only to train;
    - if the states do not begin with zeros, ``get_initial_state(batch_size)``; and if those are to be learned,
      ``backward_initial_state(d_states)``, which adds to the gradients of the weights they are made of.

    >>> import autograd.numpy as np
    >>> from lstmcore import layers
    >>> class Leaky(layers.Cell):
    ...     state_size = 3
    ...     def build(self, input_shape):
    ...         self.rate = self.add_weight(name="rate", shape=(3,), initializer="zeros")
    ...     def call(self, inputs, states):
    ...         part = 1 / (1 + np.exp(-self.rate))
    ...         h = part * inputs + (1 - part) * states[0]
    ...         return h, [h]
    >>> layers.RNN(Leaky())(np.ones((1, 4, 3), "float32"))
    array([[0.9375, 0.9375, 0.9375]], dtype=float32)

    The same without autograd, where nothing is learned:

    >>> class Mixed(layers.Cell):
    ...     state_size = 3
    ...     def forward(self, inputs, states):
    ...         h = (inputs + states[0]) / 2
    ...         return h, [h], None
    ...     def backward(self, saved, d_output, d_states):
    ...         half = (d_output + d_states[0]) / 2
    ...         return half, [half]
    >>> layers.RNN(Mixed())(np.ones((1, 4, 3), "float32"))
    array([[0.9375, 0.9375, 0.9375]], dtype=float32)
    """

    state_size: int | Sequence[int]
    output_size: int | None = None
    is_cell = True
    _takes_training = False
    _optional_arguments: ClassVar[dict[str, str]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._takes_training = "training" in inspect.signature(cls.forward).parameters

    def forward(self, inputs: Array, states: list[Array]) -> Any:  # type: ignore[override]
        """Return output, new states and what `backward` needs."""
        raise NotImplementedError(f"{self.name}: a cell defines forward(inputs, states), or call(inputs, states)")

    _undefined_forward: ClassVar[Any] = forward

    def backward(self, saved: Any, d_output: Array, d_states: list[Array]) -> Any:  # type: ignore[override]
        """Return the gradients of inputs and prior states."""
        raise NotImplementedError(
            f"{self.name}: to train with this cell, define its backward(saved, d_output, d_states)"
        )

    @property
    def state_sizes(self) -> list[int]:
        """Widths of the states."""
        if not hasattr(self, "state_size"):
            raise NotImplementedError(f"{self.name}: a cell sets state_size, the width of its state or a list of them")
        sizes = self.state_size if isinstance(self.state_size, (list, tuple)) else [self.state_size]
        return [positive_integer(f"{self.name}: state_size", size) for size in sizes]

    def __call__(  # type: ignore[override]
        self, inputs: Any, states: Any, training: bool | None = False
    ) -> Any:
        """Return the output and the new states of one step.

        Parameters
        ----------
        inputs : (batch, features), an array or a symbol.
        states : an array (batch, width) or a list of them; or symbols.
        training : True or False; None is False, and in a graph what its model runs with.
        """
        if symbol.among([inputs, states]):
            whether = None if training is False else training
            return symbol.called(self, inputs, whether, None, None, {"states": states})
        training = training is not None and flag(f"{self.name}: training", training)
        x = float_array(f"{self.name}: inputs", inputs, self.dtype)
        if x.ndim != 2:
            raise ValueError(f"{self.name}: inputs: expected shape (batch, features), got {x.shape}")
        self.ensure_built(x.shape)
        self._check_features(x.shape)
        arrays = flat_states(f"{self.name}: states", states, self.state_names, self.dtype)
        output, new_states, _ = self._step(x, arrays, training)
        return output, new_states

    # --- in graphs ---

    def shape_of_call(self, inputs: Any, options: Mapping[str, Any]) -> Any:
        """Return the shapes of output and new states of a call on symbols, with the weights made for it."""
        if not isinstance(inputs, Symbol) or inputs.ndim != 2:
            raise ValueError(f"{self.name}: inputs: expected one symbol of shape (batch, features), got {inputs!r}")
        given = list(leaves(options["states"]))
        due = [(inputs.shape[0], width) for width in self.state_sizes]
        if not all(isinstance(s, Symbol) for s in given) or [s.shape[1:] for s in given] != [one[1:] for one in due]:
            raise ValueError(
                f"{self.name}: states: expected {len(due)} symbols of shape {', '.join(map(str, due))}, got "
                f"{', '.join(map(repr, given)) or 'none'}"
            )
        shape = super().shape_of_call(inputs, options)
        self._check_features(inputs.shape)
        return shape

    def shape_returned(self, input_shape: Any, options: Mapping[str, Any]) -> Any:
        """Return the shape of the output and, in a list, those of the new states."""
        return self.compute_output_shape(input_shape), [(input_shape[0], width) for width in self.state_sizes]

    def forward_with_mask(  # type: ignore[override]
        self, inputs: Array, training: bool = False, mask: Any = None, states: Any = None
    ) -> tuple[Any, Any]:
        """Return output and new states of a step in a graph, and which rows count."""
        arrays = flat_states(f"{self.name}: states", states, self.state_names, self.dtype)
        output, new_states, saved = self._step(inputs, arrays, training)
        if training:
            self._cache = saved, output, new_states
        return (output, list(new_states)), mask

    def backward_of_call(
        self, d_outputs: list[Array | None], need_d_inputs: bool, given: Collection[str], **options: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Go back through a step in a graph."""
        saved, output, new_states = self.kept()
        d, *d_states = (
            np.zeros_like(array) if d is None else d.copy()
            for d, array in zip(d_outputs, (output, *new_states), strict=True)
        )
        d_inputs, d_prior = self._step_back(saved, d, d_states)
        return d_inputs, {"states": d_prior}

    # --- states ---

    def get_initial_state(self, batch_size: int) -> Any:
        """Return the states to begin with: an array (batch, width), or a list of them if there are several."""
        states = self.zeros(batch_size)
        return states if isinstance(self.state_size, (list, tuple)) else states[0]

    def zeros(self, batch_size: int) -> list[Array]:
        """Return states of zeros."""
        rows = batch_rows(f"{self.name}: get_initial_state", batch_size)
        return [np.zeros((rows, width), self.dtype) for width in self.state_sizes]

    def backward_initial_state(self, d_states: list[Array]) -> None:
        """Take the gradients of what `get_initial_state` has returned: of constants, by default."""

    def initial_states(self, batch_size: int) -> list[Array] | None:
        """Return what `get_initial_state` does as a list of arrays, checked; None for zeros."""
        if type(self).get_initial_state is Cell.get_initial_state:
            return None
        where = f"{self.name}: get_initial_state"
        states = flat_states(where, self.get_initial_state(batch_size), self.state_names, self.dtype)
        for k, (state, width) in enumerate(zip(states, self.state_sizes, strict=True)):
            if state.shape != (batch_size, width):
                raise ValueError(f"{where}: expected state {k} of shape {(batch_size, width)}, got {state.shape}")
        return states

    @property
    def state_names(self) -> Sequence[str]:
        """Names of the states, for messages."""
        return [str(k) for k in range(len(self.state_sizes))]

    @property
    def nests_states(self) -> bool:
        """Whether the states stand in a list where those of several cells are."""
        return isinstance(self.state_size, (list, tuple))

    def _check_features(self, shape: Shape) -> None:
        """Refuse inputs of another width than the cell was built for."""
        if self.input_shape is not None and shape[-1] != self.input_shape[-1]:
            raise ValueError(
                f"{self.name}: inputs: expected {self.input_shape[-1]} features, which the cell was built for, "
                f"got shape {shape}"
            )

    def _step(self, inputs: Array, states: list[Array], training: bool) -> Any:
        """Do a step as `forward` defines it, which may write over what it gets; refuse what is no result of one."""
        options = {"training": training} if self._takes_training else {}
        result = self.forward(inputs.copy(), [state.copy() for state in states], **options)
        self._check_pair("forward", "(output, new_states, saved)", 3, result)
        sizes = self.state_sizes
        if len(result[1]) != len(sizes):
            raise ValueError(f"{self.name}: forward: expected {len(sizes)} new states, got {len(result[1])}")
        self._check_shape("forward: output", result[0], (len(inputs), self.output_size or sizes[0]))
        for k, (state, size) in enumerate(zip(result[1], sizes, strict=True)):
            self._check_shape(f"forward: new state {k}", state, (len(inputs), size))
        return result

    def _step_back(self, saved: Any, d_output: Array, d_states: list[Array]) -> Any:
        """Go back through a step as `backward` defines it; refuse what it returns if it is something else."""
        result = self.backward(saved, d_output, d_states)
        self._check_pair("backward", "(d_inputs, d_prior_states)", 2, result)
        if len(result[1]) != len(d_states):
            raise ValueError(
                f"{self.name}: backward: expected {len(d_states)} gradients of prior states, got {len(result[1])}"
            )
        features = () if self.input_shape is None else self.input_shape[-1:]
        self._check_shape("backward: d_inputs", result[0], (len(d_output), *features))
        for k, (given, prior) in enumerate(zip(result[1], d_states, strict=True)):
            self._check_shape(f"backward: gradient of prior state {k}", given, prior.shape)
        return result

    def _check_pair(self, method: str, what: str, count: int, result: Any) -> None:
        """Refuse what is no tuple of that many, states in a list second."""
        if not isinstance(result, (tuple, list)) or len(result) != count:
            got = f"{len(result)} values" if isinstance(result, (tuple, list)) else type(result).__name__
            raise ValueError(f"{self.name}: {method}: expected to return {what}, got {got}")
        if not isinstance(result[1], (tuple, list)):
            raise ValueError(
                f"{self.name}: {method}: expected to return {what}, the second a list of arrays, got "
                f"{type(result[1]).__name__}"
            )

    def _check_shape(self, what: str, array: Any, shape: tuple[Any, ...]) -> None:
        if np.shape(array) != shape:
            raise ValueError(f"{self.name}: {what}: expected shape {shape}, got {np.shape(array)}")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, width)."""
        return (input_shape[0], self.output_size or self.state_sizes[0])
