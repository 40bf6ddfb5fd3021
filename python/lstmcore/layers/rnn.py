"""A layer that runs any cell over a sequence."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import ArrayLike

from .._arguments import flag, reject_options
from ..streaming import Stage
from ._stack import Stack
from .cell import Cell
from .cells import GRUCell as GRUCell  # old pickles look here for these
from .cells import LayerCell
from .cells import LSTMCell as LSTMCell
from .cells import SimpleRNNCell as SimpleRNNCell
from .layer import Array, Layer, Shape
from .recurrent import kept_states, states_to_keep
from .sequence_layer import SequenceLayer, flat_gradients, flat_states
from .stacked_rnn_cells import StackedRNNCells


class RNN(SequenceLayer):
    """Runs a cell, or several on top of each other, over a sequence.

    >>> import numpy as np
    >>> from lstmcore.layers import RNN, GRUCell
    >>> RNN(GRUCell(8), return_sequences=True)(np.zeros((2, 5, 3), "float32")).shape
    (2, 5, 8)

    Cells of ours run as the layers they belong to; those of the user step by step, in Python. The states of
    several cells stand in a list for each cell: ``[[h, c], [h]]`` for an LSTM and a GRU on top of it.

    Parameters
    ----------
    cell : a `Cell`, a list of cells, or `StackedRNNCells`.
    return_sequences, return_state, go_backwards, stateful, zero_output_for_mask : as for `LSTM`.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer; Keras's ``unroll`` is accepted
        and has no effect.
    """

    def __init__(
        self,
        cell: Cell | Sequence[Cell] | StackedRNNCells,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **options: Any,
    ) -> None:
        reject_options("RNN", {k: options.pop(k) for k in {"time_major"} & options.keys()}, {"time_major"})
        if not isinstance(cell, (Cell, StackedRNNCells, list, tuple)):
            raise ValueError(f"RNN: cell: expected a cell or a list of cells, got {cell!r}")
        self.stacked = not isinstance(cell, Cell)
        stack = (
            cell if isinstance(cell, StackedRNNCells) else StackedRNNCells([cell] if isinstance(cell, Cell) else cell)
        )
        self.cells = stack.cells
        super().__init__(**options)
        self.take_after(self.cells[0])
        self.return_sequences = flag("RNN: return_sequences", return_sequences)
        self.return_state = flag("RNN: return_state", return_state)
        self.go_backwards = flag("RNN: go_backwards", go_backwards)
        self.stateful = flag("RNN: stateful", stateful)
        self.zero_output_for_mask = flag("RNN: zero_output_for_mask", zero_output_for_mask)
        self.states: list[Array] | None = None
        self.d_initial_state: list[Any] | None = None
        self._begun: list[bool] = []  # which cells have said themselves what the last pass in training began with
        for one in self.cells:
            one.claim(self.name)
            self.pass_dtype_on(one)
        self._stack = Stack(self.cells, self.return_sequences, self.go_backwards)
        if not self.trainable:
            self.trainable = False  # the cells too

    @property
    def sublayers(self) -> list[Layer]:
        """The cells."""
        return list(self.cells)

    @property
    def keepers(self) -> list[Any]:
        """What holds what a call keeps: the layer, its cells, and what runs them."""
        return [*super().keepers, *self._stack.keepers]

    @property
    def outputs(self) -> int:
        """Width of the outputs."""
        return self._stack.outputs

    @property
    def state_sizes(self) -> list[int]:
        """Widths of all states, cell by cell."""
        return self._stack.state_sizes

    @property
    def state_size(self) -> list[Any]:
        """Widths of the states, of several cells nested as Keras nests them."""
        return [cell.state_size for cell in self.cells] if self.stacked else self.state_sizes

    @property
    def state_names(self) -> list[str]:
        """Names of all states, for messages."""
        return self._stack.state_names

    def build(self, input_shape: Shape) -> None:
        """Create the weights of all cells."""
        self._stack.build(input_shape[0], self._features(input_shape))
        self.variables = [v for cell in self.cells for v in cell.variables]

    # --- states ---

    def get_initial_state(self, batch_size: int) -> list[Any]:
        """Return the states that a call begins with where it is given none: what the cells say."""
        states: list[Array] = []
        for cell in self.cells:
            states += cell.initial_states(batch_size) or cell.zeros(batch_size)
        return self._nested(states)

    def _initial_states(self, batch: int, given: Any, training: bool) -> list[list[Array] | None]:
        """Return the states that each cell begins with, None for zeros."""
        states = given
        if states is None and self.stateful and self.states is not None:
            states = self.states
            if len(states[0]) != batch:
                raise ValueError(
                    f"{self.name}: inputs: expected a batch of {len(states[0])} rows, as this stateful layer has had "
                    f"before, got {batch}; reset_states() makes it forget"
                )
        first: list[Any] = (
            self._stack.by_cell(self._flat("initial_state", states)) if states is not None else self._own(batch)
        )
        if training:
            self._begun = [states is None and not self._begins and group is not None for group in first]
        return first

    @property
    def _begins(self) -> bool:
        """Whether a subclass says what a call begins with."""
        return type(self).get_initial_state is not RNN.get_initial_state

    def _own(self, batch: int) -> list[Any]:
        """Return the states that each cell begins with where none are given, None for zeros."""
        if self._begins:
            return self._stack.by_cell(self._flat("get_initial_state", self.get_initial_state(batch)))
        return self._stack.initial_states(batch)

    def _flat(self, argument: str, states: Any) -> list[Array]:
        """Return the states of all cells one after the other, whether or not they came in a list for each cell."""
        return flat_states(f"{self.name}: {argument}", states, self.state_names, self.dtype)

    def _nested(self, flat: Sequence[Any]) -> list[Any]:
        """Return what there is for each state as states are returned."""
        if not self.stacked:
            return list(flat)
        groups = zip(self.cells, self._stack.by_cell(flat), strict=True)
        return [group if cell.nests_states else group[0] for cell, group in groups]

    def states_in_graphs(self, states: Sequence[Any]) -> list[Any]:
        """Return symbols with the only state of a cell by itself, which among arrays is in a list."""
        if not self.stacked:
            return list(states)
        alone = [cell.nests_states and not isinstance(cell.state_size, (list, tuple)) for cell in self.cells]
        return [group[0] if one else group for one, group in zip(alone, states, strict=True)]

    # --- passes ---

    def run(
        self,
        inputs: Array,
        training: bool = False,
        initial_state: Any = None,
        mask: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
        zero_output_for_mask: bool | None = None,
    ) -> tuple[Array, list[Any]]:
        """Return outputs, each at its own step whatever the direction, and the last states."""
        self._features(inputs.shape)
        zero = self.zero_output_for_mask if zero_output_for_mask is None else zero_output_for_mask
        first = self._initial_states(len(inputs), initial_state, training)
        outputs, states = self._stack.run(inputs, training, first, mask, lengths, zero)
        if self.stateful:
            self.states = [s.copy() for s in states]
        return outputs, self._nested(states)

    def run_backward(
        self, d_outputs: Array | None, need_d_inputs: bool = True, d_state: Sequence[Any] | None = None
    ) -> Array | None:
        """Go back through `run`; `d_initial_state` is set where there was an initial state."""
        d_last: list[Any] = [None] * len(self.cells)
        if d_state is not None:
            d_flat = flat_gradients(f"{self.name}: d_state", d_state, self.state_names, self.dtype)
            d_last = self._stack.by_cell(d_flat)
        gradient, d_first = self._stack.run_backward(d_outputs, need_d_inputs, d_last)
        d_states: list[Any] = []
        for cell, d, begun in zip(self.cells, d_first, self._begun, strict=True):
            if d is not None and begun:
                cell.backward_initial_state(d)
            d_states += d or [None] * len(cell.state_sizes)
        self.d_initial_state = None if all(d is None for d in d_states) else self._nested(d_states)
        return gradient

    def forward(
        self,
        inputs: Array,
        training: bool = False,
        initial_state: Any = None,
        mask: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
    ) -> Any:
        """Return the outputs, and with ``return_state`` the last states."""
        outputs, states = self.run(inputs, training, initial_state, mask, lengths)
        if self.go_backwards and self.return_sequences:
            outputs = outputs[:, ::-1]
        return (outputs, *states) if self.return_state else outputs

    def backward(
        self, d_outputs: Array | None, need_d_inputs: bool = True, d_state: Sequence[Any] | None = None
    ) -> Array | None:
        """Add to the gradients of the weights and return that of the inputs, if needed.

        ``d_state`` are the gradients of the last states, flat or in a list for each cell, None for those that were
        not used; without gradients of the outputs, ``d_outputs`` is None.
        """
        if self.go_backwards and self.return_sequences and d_outputs is not None:
            d_outputs = d_outputs[:, ::-1]
        return self.run_backward(d_outputs, need_d_inputs, d_state)

    def compute_output_shape(self, input_shape: Shape) -> Any:
        """Return (batch, steps, width), or (batch, width); with ``return_state`` a tuple of that and of the states'."""
        batch, steps = input_shape[:2]
        shape = (batch, steps, self.outputs) if self.return_sequences else (batch, self.outputs)
        return (shape, *self._nested([(batch, n) for n in self.state_sizes])) if self.return_state else shape

    def compute_mask(self, inputs: Any, mask: Array | None = None) -> Array | None:
        """Pass the mask on with the steps."""
        if mask is None or not self.return_sequences:
            return None
        return mask[:, ::-1] if self.go_backwards else mask

    def in_reverse(self) -> RNN:
        """Return a new layer with the same arguments that goes the other way."""
        try:
            other: RNN = copy.copy(self)
        except TypeError as error:
            raise TypeError(f"{self.name}: cannot be made again: {error}; give a backward_layer") from None
        other.go_backwards = not self.go_backwards
        other._arguments = other._arguments | {"go_backwards": other.go_backwards}
        _copy_given_dtypes(self, other)
        other._stack.turn(other.go_backwards)
        for cell in other.cells:
            if isinstance(cell, LayerCell) and cell.layer.seed is not None:  # other masks than this one's
                cell.layer.reseed(cell.layer.seed + 1)
                cell._arguments = cell._arguments | {"seed": cell.layer.seed}
        return other

    def kernel_info(self) -> str:
        """Say what the cells run on."""
        return self._stack.kernel_info()

    def stream(self, batch_size: int, steps: int) -> Stage:
        """Return an object that runs the cells piece by piece; see `models.Sequential.stream`.

        A cell of the user's is used as it is: what changes its weights changes the stream.
        """
        if self.go_backwards:
            raise ValueError(f"{self.name}: go_backwards: needs the whole sequence, so it cannot be streamed")
        return self._stack.stream(batch_size, steps, lambda: self._own(batch_size))

    # --- state ---

    def state(self) -> dict[str, Any]:
        """Return where the cells' random masks are and, with ``stateful``, the states kept ("state/0", …)."""
        return super().state() | {f"state/{k}": s.copy() for k, s in enumerate(self.states or ())}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Set what `state` has returned."""
        states, rest = kept_states(self, state, self.state_sizes)
        super().load_state(rest)
        self.states = states

    def reset_states(self, states: Any = None) -> None:
        """Make a stateful layer begin anew, or with ``states``, flat or in a list for each cell."""
        self.states = None if states is None else self.states_to_keep(states)

    def states_to_keep(self, states: Any) -> list[Array]:
        """Return copies of the states that `reset_states` is given."""
        return states_to_keep(self, self._flat("states", states), self.state_sizes)


def _copy_given_dtypes(layer: Layer, other: Layer) -> None:
    """Let a copy have the dtypes that were given to a layer and those within: its own are all said in its arguments."""
    other.given_dtype = layer.given_dtype
    for one, its_copy in zip(layer.sublayers, other.sublayers, strict=True):
        _copy_given_dtypes(one, its_copy)
