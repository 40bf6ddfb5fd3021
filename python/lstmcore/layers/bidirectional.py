"""A recurrent layer in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._arguments import among, items
from .._passes import run_both_backward, run_both_forward
from .._tree import copies
from ..serialization import serialize
from .layer import Array, Layer, Shape
from .recurrent import Recurrent
from .rnn import RNN
from .sequence_layer import SequenceLayer

_MERGE_MODES = ("concat", "sum", "mul", "ave", None)


class Bidirectional(SequenceLayer):
    """Runs a recurrent layer over the steps forwards and a second one backwards (Schuster & Paliwal 1997).

    >>> import numpy as np
    >>> from lstmcore.layers import LSTM, Bidirectional
    >>> Bidirectional(LSTM(8, return_sequences=True))(np.zeros((2, 5, 3), "float32")).shape
    (2, 5, 16)

    The outputs of both stand at their own steps. With two threads or more the directions run side by
    side. Weights: those of the forward layer, then those of the backward layer. Masked steps give zero.

    Parameters
    ----------
    layer : the forward layer, an `RNN` or the layer of a cell, as `LSTM` or `GRU`, that has not been used yet. With
        ``go_backwards=True`` it needs a ``backward_layer`` that goes forwards; the steps of all
        outputs are then in reversed order, as they are in Keras.
    merge_mode : how the outputs are put together: "concat", "sum", "mul", "ave", or None for a list
        of both.
    backward_layer : a layer of its own for the other direction; by default one with the same arguments.
    weights : initial weights, as `get_weights` returns them.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.

    Raises
    ------
    ValueError, TypeError
        The layers do not go together, or the merge mode is unknown.
    """

    not_in_config = ("weights",)

    def __init__(
        self,
        layer: Recurrent | RNN,
        merge_mode: str | None = "concat",
        weights: Sequence[ArrayLike] | None = None,
        backward_layer: Recurrent | RNN | None = None,
        **options: Any,
    ) -> None:
        for name, given in (("layer", layer), ("backward_layer", backward_layer)):
            if name == "backward_layer" and given is None:
                continue
            if not isinstance(given, (Recurrent, RNN)):
                raise ValueError(f"Bidirectional: {name}: expected a recurrent layer, got {given!r}")
            for method in ("forward", "backward"):
                if not getattr(type(given), method).__module__.startswith("lstmcore."):
                    raise ValueError(
                        f"Bidirectional: {name}: {type(given).__name__} has a {method} of its own, which would not be "
                        "called; make it a layers.Cell within an RNN"
                    )
            if given.variables or given.owned_by:
                raise ValueError(f"Bidirectional: {name}: expected a new layer, got {given.name}, which is in use")
            if isinstance(given, Recurrent) and given.checkpoint is not None:
                raise ValueError(f"Bidirectional: {name}: checkpoint is not offered in both directions")
        if not among(merge_mode, _MERGE_MODES):
            raise ValueError(f"Bidirectional: merge_mode: expected one of {_MERGE_MODES}, got {merge_mode!r}")
        if backward_layer is None:
            if layer.go_backwards:
                raise ValueError(
                    "Bidirectional: layer: expected go_backwards=False, got True; only with a backward_layer that goes "
                    "forwards may it go backwards"
                )
            backward_layer = layer.in_reverse()
        else:
            if backward_layer.go_backwards == layer.go_backwards:
                raise ValueError(
                    f"Bidirectional: backward_layer: expected go_backwards={not layer.go_backwards}, "
                    f"got {backward_layer.go_backwards} as in layer"
                )
            for name in ("return_sequences", "return_state", "stateful", "dtype"):
                ours, theirs = getattr(layer, name), getattr(backward_layer, name)
                if ours != theirs:
                    raise ValueError(f"Bidirectional: backward_layer: expected {name}={ours} as in layer, got {theirs}")
            if merge_mode not in ("concat", None) and layer.outputs != backward_layer.outputs:
                raise ValueError(
                    f"Bidirectional: merge_mode: {merge_mode!r} needs outputs of one width, got {layer.outputs} and "
                    f"{backward_layer.outputs}"
                )
        if "input_shape" not in options and "batch_input_shape" not in options and layer.input_shape is not None:
            options["batch_input_shape"] = layer.input_shape
        super().__init__(**options)
        self.take_after(layer)
        penalty = layer.activity_regularizer
        if penalty is not None or backward_layer.activity_regularizer is not None:
            # The model adds it for our outputs, which are those of both layers if they stand side by side.
            same = merge_mode in ("concat", None) and serialize(backward_layer.activity_regularizer) == serialize(
                penalty
            )
            if not same or self.activity_regularizer is not None:
                raise ValueError(
                    "Bidirectional: layer: activity_regularizer: give it to Bidirectional, for the merged outputs"
                )
            self.activity_regularizer = penalty
        self.forward_layer, self.backward_layer = layer, backward_layer
        self.merge_mode = merge_mode
        self._initial = copies(weights)
        self._given_names = {"layer": layer.name, "backward_layer": backward_layer.name}
        layer.name, backward_layer.name = f"forward_{layer.name}", f"backward_{layer.name}"
        self.adopt(layer)
        self.adopt(backward_layer)

    @property
    def sublayers(self) -> list[Layer]:
        """The forward and the backward layer."""
        return [self.forward_layer, self.backward_layer]

    @property
    def return_sequences(self) -> bool:
        """Whether there is an output for every step."""
        return self.forward_layer.return_sequences

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal layer, as plain data."""
        config = super().get_config()
        for argument, name in self._given_names.items():
            if config.get(argument) is not None:
                config[argument]["config"]["name"] = name
        return config

    @property
    def state_sizes(self) -> list[int]:
        """Widths of the states, the forward layer's first."""
        return [*self.forward_layer.state_sizes, *self.backward_layer.state_sizes]

    def build(self, input_shape: Shape) -> None:
        """Create the weights of both layers."""
        self.forward_layer.ensure_built(input_shape)
        self.backward_layer.ensure_built(input_shape)
        self.variables = [*self.forward_layer.variables, *self.backward_layer.variables]
        if self._initial is not None:
            self.built = True
            self.set_weights(self._initial)
            self._initial = None

    def forward(
        self,
        inputs: Array,
        training: bool = False,
        initial_state: Sequence[ArrayLike] | None = None,
        mask: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
    ) -> Any:
        """Return the merged outputs; with ``return_state`` of the layers, also their last states."""
        first, second = self.forward_layer, self.backward_layer
        split = [None, None] if initial_state is None else self._split("initial_state", initial_state)
        parts: list[Array | None] = [None, None]
        whole = None
        if self.merge_mode == "concat":
            shape = inputs.shape[:2] if self.return_sequences else inputs.shape[:1]
            whole = np.empty((*shape, first.outputs + second.outputs), self.dtype)
            parts = [whole[..., : first.outputs], whole[..., first.outputs :]]
        zero = self.return_sequences
        if isinstance(first, Recurrent) and isinstance(second, Recurrent):
            one, other = run_both_forward(
                first.prepare(inputs, training, split[0], mask, lengths, zero, parts[0]),
                second.prepare(inputs, training, split[1], mask, lengths, zero, parts[1]),
            )
            (a, states), (b, more_states) = first.finish(one, training), second.finish(other, training)
            if whole is not None and training and self.return_sequences:  # each layer keeps its part of them
                whole.flags.writeable = False
                whole = whole.view()
        else:
            a, states = first.run(inputs, training, split[0], mask, lengths, zero)
            b, more_states = second.run(inputs, training, split[1], mask, lengths, zero)
            if whole is not None:
                whole[..., : first.outputs], whole[..., first.outputs :] = a, b
        if training and self.merge_mode == "mul":
            self._cache = a, b
        outputs: Any
        if whole is not None:
            outputs = whole
        elif self.merge_mode is None:
            outputs = [a, b]
        elif self.merge_mode == "mul":
            outputs = a * b
        else:
            outputs = a + b if self.merge_mode == "sum" else (a + b) / self.dtype.type(2)
        if self._reversed:
            outputs = [part[:, ::-1] for part in outputs] if self.merge_mode is None else outputs[:, ::-1]
        if first.return_state:
            both = outputs if isinstance(outputs, list) else [outputs]
            outputs = (*both, *states, *more_states)
        return copies(outputs) if training and self.takes_copies else outputs

    def _split(self, argument: str, states: Sequence[ArrayLike]) -> list[Any]:
        """Return the states of the forward and those of the backward layer."""
        states = items(f"{self.name}: {argument}", states, "a list of arrays")
        layers = (self.forward_layer, self.backward_layer)
        # In a list for each cell, where they are several, or one after the other.
        for of_first, of_second in (
            [len(layer.state_size) for layer in layers],
            [len(layer.state_sizes) for layer in layers],
        ):
            if len(states) == of_first + of_second:
                return [states[:of_first], states[of_first:]]
        count = sum(len(layer.state_sizes) for layer in layers)
        raise ValueError(
            f"{self.name}: {argument}: expected {count} arrays, those of the forward and those of the backward "
            f"layer, got {len(states)}"
        )

    @property
    def _arrays_out(self) -> int:
        return 2 if self.merge_mode is None else 1

    @property
    def _reversed(self) -> bool:
        """Whether the outputs are in the order of the forward layer, which goes backwards."""
        return self.return_sequences and self.forward_layer.go_backwards

    def backward(
        self, d_outputs: Any, need_d_inputs: bool = True, d_state: Sequence[Any] | None = None
    ) -> Array | None:
        """Add to the gradients of the weights and return that of the inputs, if needed.

        Parameters
        ----------
        d_outputs : gradient of the merged outputs; two for ``merge_mode=None``. None, also one of two, where the
            outputs were not used.
        need_d_inputs : whether the gradient of the inputs is wanted.
        d_state : gradients of the last states, those of the forward layer and then those of the backward layer, None
            for those that were not used.
        """
        d_states = [None, None] if d_state is None else self._split("d_state", d_state)
        parts = self._gradients_of_parts(d_outputs)
        first, second = self.forward_layer, self.backward_layer
        if isinstance(first, Recurrent) and isinstance(second, Recurrent):
            results = run_both_backward(
                first.prepare_backward(parts[0], need_d_inputs, d_states[0]),
                second.prepare_backward(parts[1], need_d_inputs, d_states[1]),
            )
            gradient, other = first.finish_backward(results[0]), second.finish_backward(results[1])
        else:
            gradient = first.run_backward(parts[0], need_d_inputs, d_states[0])
            other = second.run_backward(parts[1], need_d_inputs, d_states[1])
        if gradient is not None and other is not None:
            gradient += other
        return gradient

    @property
    def d_initial_state(self) -> list[Any] | None:
        """The gradients of the initial states, after `backward`, in the order of these; None if none were given."""
        one, other = self.forward_layer.d_initial_state, self.backward_layer.d_initial_state
        return None if one is None or other is None else [*one, *other]

    def _gradients_of_parts(self, d_outputs: Any) -> list[Array | None]:
        """Return the gradients of the outputs of both layers from those of the merged ones."""
        product = self.kept() if self.merge_mode == "mul" else None
        if self.merge_mode is None:
            both = [None, None] if d_outputs is None else list(d_outputs)
            return [d if d is None or not self._reversed else d[:, ::-1] for d in both]
        if d_outputs is None:
            return [None, None]
        if self._reversed:
            d_outputs = d_outputs[:, ::-1]
        if self.merge_mode == "concat":
            width = self.forward_layer.outputs
            return [d_outputs[..., :width], d_outputs[..., width:]]
        if product is not None:
            a, b = product
            return [d_outputs * b, d_outputs * a]
        part = d_outputs if self.merge_mode == "sum" else d_outputs / self.dtype.type(2)
        return [part, part]

    def compute_output_shape(self, input_shape: Shape) -> Any:
        """Return the shape of the merged outputs, a list of two for ``merge_mode=None``.

        With ``return_state`` of the layers, a tuple: the shapes of all that is returned.
        """
        first: Any = self.forward_layer.compute_output_shape(input_shape)
        second: Any = self.backward_layer.compute_output_shape(input_shape)
        states: tuple[Any, ...] = ()
        if self.forward_layer.return_state:
            (first, *more), (second, *others) = first, second
            states = (*more, *others)
        if self.merge_mode is None:
            return (first, second, *states) if states else [first, second]
        if self.merge_mode == "concat":
            first = (*first[:-1], first[-1] + second[-1])
        return (first, *states) if states else first

    def states_in_graphs(self, states: Sequence[Any]) -> list[Any]:
        """Return the states of both layers, or symbols of these, as Keras's graphs have them."""
        half = len(states) // 2
        both = self.forward_layer.states_in_graphs(states[:half]), self.backward_layer.states_in_graphs(states[half:])
        return [*both[0], *both[1]]

    def compute_mask(self, inputs: Any, mask: Array | None = None) -> Array | None:
        """Pass the mask on with the steps."""
        if mask is None or not self.return_sequences:
            return None
        return mask[:, ::-1] if self._reversed else mask

    def reset_states(self, states: Any = None) -> None:
        """Make stateful layers begin with zeros again, or with ``states``: the forward layer's, then the other's."""
        first, second = self.forward_layer, self.backward_layer
        if states is None:
            first.reset_states()
            second.reset_states()
            return
        one, other = self._split("states", states)
        # Both are checked before either is set.
        kept, more = first.states_to_keep(one), second.states_to_keep(other)
        if len(kept[0]) != len(more[0]):
            raise ValueError(
                f"{self.name}: states: expected as many rows for both directions, got {len(kept[0])} and {len(more[0])}"
            )
        first.states, second.states = kept, more

    def kernel_info(self) -> str:
        """Say which kernels the layers run on."""
        return f"{self.forward_layer.kernel_info()}; backwards {self.backward_layer.kernel_info()}"

    def stream(self, batch_size: int, steps: int) -> Any:
        """Raise: the backward direction begins at the end."""
        raise ValueError(f"{self.name}: the backward direction begins at the end, so it cannot be streamed")
