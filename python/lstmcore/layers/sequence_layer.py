"""What the layers that take a sequence step by step have in common: how they are called and told their states."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._arguments import as_array, check_sequences, float_array, items
from .._tree import leaves
from ..graph.symbol import Symbol
from .layer import Array, Layer, Shape


class SequenceLayer(Layer):
    """Base of the recurrent layers, `RNN` and `Bidirectional`.

    All take ``layer(sequences, initial_state, mask, training)``. Those that run in one direction have, for the
    one that runs them in both, ``run`` and ``run_backward``, ``outputs`` and ``state_sizes``.
    """

    consumes_mask = True

    def __call__(  # type: ignore[override]
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: ArrayLike | None = None,
        training: bool | None = None,
        **options: Any,
    ) -> Any:
        """Return the outputs for a batch.

        Parameters
        ----------
        sequences : (batch, steps, features).
        initial_state : the states to begin with; by default zeros or, of a stateful layer, the last ones.
        mask : (batch, steps), True where a step counts.
        training : True or False; None is False, and in a graph what its model runs with.
        **options : further arguments of `forward`, such as ``lengths``.
        """
        if isinstance(initial_state, (bool, np.bool_)):
            raise ValueError(
                f"{self.name}: initial_state: expected the states, got {initial_state}; training is given by name: "
                f"layer(x, training={initial_state})"
            )
        if isinstance(sequences, (list, tuple)) and getattr([*sequences, 0][0], "ndim", 0) == 3:
            raise ValueError(
                f"{self.name}: inputs: expected one array, got a list of them; states are given as initial_state"
            )
        given = {"initial_state": initial_state, "mask": mask}
        options |= {name: value for name, value in given.items() if value is not None}
        return super().__call__(sequences, training=training, **options)

    def shape_of_call(self, inputs: Any, options: Mapping[str, Any]) -> Any:
        """Return the shapes of what a call on symbols returns, with the weights made for it."""
        shape = super().shape_of_call(inputs, options)
        if self.input_shape is not None and inputs.shape[2] != self.input_shape[2]:
            raise ValueError(f"{self.name}: inputs: expected {self.input_shape[2]} features, got shape {inputs.shape}")
        if "initial_state" in options:
            layer: Any = self
            given = [np.shape(s) if not isinstance(s, Symbol) else s.shape for s in leaves(options["initial_state"])]
            due = [(inputs.shape[0], size) for size in layer.state_sizes]
            if len(given) != len(due) or any(
                len(one) != 2 or (None not in (one[1], other[1]) and one[1] != other[1])
                for one, other in zip(given, due, strict=True)
            ):
                raise ValueError(
                    f"{self.name}: initial_state: expected {len(due)} states of shape {', '.join(map(str, due))}, got "
                    f"{', '.join(map(str, given)) or 'none'}"
                )
        return shape

    def backward_of_call(
        self, d_outputs: list[Array | None], need_d_inputs: bool, given: Collection[str], **options: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Go back through a call in a graph, with the gradients of last and to those of first states."""
        layer: Any = self
        count, own = self._arrays_out, [d.copy() if d is not None and self.takes_copies else d for d in d_outputs]
        states = {"d_state": own[count:]} if any(d is not None for d in own[count:]) else {}
        d_inputs = layer.backward(own[0] if count == 1 else own[:count], need_d_inputs, **states, **options)
        return d_inputs, {"initial_state": layer.d_initial_state} if "initial_state" in given else {}

    def as_in_graphs(self, outputs: Any) -> Any:
        """Return symbols that a call has made as Keras's graphs have them: its states in other lists than arrays'."""
        count = self._arrays_out
        return (*outputs[:count], *self.states_in_graphs(outputs[count:])) if isinstance(outputs, tuple) else outputs

    def states_in_graphs(self, states: Sequence[Any]) -> list[Any]:
        """Return states as Keras's graphs have them."""
        return list(states)

    @property
    def _arrays_out(self) -> int:
        """How many arrays are returned, the states not counted."""
        return 1

    def _features(self, input_shape: Shape) -> int:
        """Return the number of features of inputs of that shape, or refuse them."""
        check_sequences(self.name, input_shape)
        if not input_shape[2]:
            raise ValueError(f"{self.name}: inputs: expected shape (batch, steps, features), got {input_shape}")
        return input_shape[2]

    def reset_states(self, states: Any = None) -> None:
        """Make a stateful layer begin anew, or with ``states``."""
        raise NotImplementedError

    def reset_state(self) -> None:
        """Make a stateful layer begin anew."""
        self.reset_states()


def flat_states(where: str, given: Any, names: Sequence[str], dtype: np.dtype[Any]) -> list[Array]:
    """Return states as a list of arrays: they may be nested in lists or, if there is one, come bare."""
    try:
        flat = _flat(where, given)
    except RecursionError:
        raise ValueError(f"{where}: expected the states {', '.join(names)}, got lists nested too deeply") from None
    if len(flat) != len(names):
        raise ValueError(f"{where}: expected the states {', '.join(names)}, got {len(flat)} arrays")
    return [float_array(where, s, dtype) for s in flat]


def flat_gradients(where: str, given: Any, names: Sequence[str], dtype: np.dtype[Any]) -> list[Array | None]:
    """Return gradients of states as a list, None for those that were not used; they may be nested as states are."""
    flat: list[Any] = []
    for part in items(where, given, "a list of arrays"):
        flat += part if isinstance(part, (list, tuple)) else [part]
    if len(flat) != len(names):
        raise ValueError(f"{where}: expected those of the states {', '.join(names)}, got {len(flat)} arrays")
    return [None if d is None else float_array(where, d, dtype) for d in flat]


def _flat(where: str, given: Any) -> list[Any]:
    if isinstance(given, (list, tuple)):
        try:
            array = np.asarray(given)
        except ValueError:  # arrays of different shapes
            array = np.empty(0, object)
        if array.dtype == object:
            return [state for part in given for state in _flat(where, part)]
    else:
        array = as_array(where, given)
    if array.ndim < 3:
        return [array]
    return list(array.reshape((math.prod(array.shape[:-2]), *array.shape[-2:])))
