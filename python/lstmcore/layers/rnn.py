"""Cells, and a layer that runs any of them over a sequence."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from .._arguments import ArgumentTypeError, flag, float_array, positive_integer, reject_options
from .._passes import run_forward
from ..serialization import Configurable
from ..streaming import Chain, Stage
from ._cell_runner import CellRunner
from .gru import GRU
from .layer import Array, Layer, Shape
from .lstm import LSTM
from .recurrent import Recurrent, kept_states, states_to_keep
from .sequence_layer import SequenceLayer, flat_states
from .simple_rnn import SimpleRNN

# Arguments of our layers that a cell has no use for.
_OF_THE_RNN = (
    "unroll",
    "return_sequences",
    "return_state",
    "go_backwards",
    "stateful",
    "zero_output_for_mask",
    "activity_regularizer",
)


class Cell(Layer):
    """One step of a recurrent layer, to be defined by the user and run by `RNN`.

    A subclass sets ``state_size`` (a width or a list of them) and, if it differs from the first of
    these, ``output_size``; creates its weights in ``build`` with `add_weight`; and defines

    - ``forward(inputs, states)`` -> ``(output, new_states, saved)``: one step, (batch, features) and
      states (batch, width) each; ``saved`` is whatever ``backward`` needs. If it has an argument
      ``training``, it is told whether this is training;
    - ``backward(saved, d_output, d_states)`` -> ``(d_inputs, d_prior_states)``: the gradients, adding
      those of the weights to ``variable.gradient``. Needed only to train;
    - if the states do not begin with zeros, ``get_initial_state(batch_size)``; and if those are to be learned,
      ``backward_initial_state(d_states)``, which adds to the gradients of the weights they are made of.

    >>> import numpy as np
    >>> from lstmcore import layers
    >>> class Average(layers.Cell):
    ...     state_size = 3
    ...     def forward(self, inputs, states):
    ...         h = (inputs + states[0]) / 2
    ...         return h, [h], None
    ...     def backward(self, saved, d_output, d_states):
    ...         half = (d_output + d_states[0]) / 2
    ...         return half, [half]
    >>> layers.RNN(Average())(np.ones((1, 4, 3), "float32"))
    array([[0.9375, 0.9375, 0.9375]], dtype=float32)
    """

    state_size: int | Sequence[int]
    output_size: int | None = None
    _takes_training = False
    _optional_arguments: ClassVar[dict[str, str]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._takes_training = "training" in inspect.signature(cls.forward).parameters

    def forward(self, inputs: Array, states: list[Array]) -> Any:  # type: ignore[override]
        """Return output, new states and what `backward` needs."""
        raise NotImplementedError(f"{self.name}: a cell defines forward(inputs, states)")

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
        self, inputs: ArrayLike, states: Sequence[ArrayLike], training: bool | None = False
    ) -> Any:
        """Return the output and the new states of one step."""
        training = training is not None and flag(f"{self.name}: training", training)
        x = float_array(f"{self.name}: inputs", inputs, self.dtype)
        if x.ndim != 2:
            raise ValueError(f"{self.name}: inputs: expected shape (batch, features), got {x.shape}")
        self.ensure_built(x.shape)
        self._check_features(x.shape)
        arrays = flat_states(f"{self.name}: states", states, self.state_names, self.dtype)
        output, new_states, _ = self._step(x, arrays, training)
        return output, new_states

    def get_initial_state(self, batch_size: int) -> Any:
        """Return the states to begin with: an array (batch, width), or a list of them if there are several."""
        states = self.zeros(batch_size)
        return states if isinstance(self.state_size, (list, tuple)) else states[0]

    def zeros(self, batch_size: int) -> list[Array]:
        """Return states of zeros."""
        return [np.zeros((batch_size, width), self.dtype) for width in self.state_sizes]

    def backward_initial_state(self, d_states: list[Array]) -> None:
        """Take the gradients of what `get_initial_state` has returned: of constants, by default."""

    def initial_states(self, batch_size: int) -> list[Array] | None:
        """Return what `get_initial_state` does as a list of arrays, checked; None for zeros."""
        if type(self).get_initial_state in (Cell.get_initial_state, _LayerCell.get_initial_state):
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


class _LayerCell(Cell):
    """One step of a layer of ours. In an `RNN` the layer runs by itself, at full speed."""

    layer_class: type[Recurrent]

    def __init__(self, units: int, **options: Any) -> None:
        kind = type(self).__name__
        for name in _OF_THE_RNN:
            if name in options:
                raise ArgumentTypeError(f"{kind} got an unexpected argument {name!r}; it belongs to RNN")
        base = {k: options[k] for k in ("name", "dtype", "trainable") if k in options}
        super().__init__(**base)
        self.layer = self.layer_class(units, **(options | {"name": self.name}))
        self._dropout_mask: Array | None = None
        self._recurrent_dropout_mask: Array | None = None
        self.units = self.layer.units
        sizes = self.layer.state_sizes
        self.state_size = sizes if len(sizes) > 1 else sizes[0]
        self.output_size = self.layer.outputs

    @property
    def state_names(self) -> Sequence[str]:
        """Names of the states."""
        return self.layer.state_names

    nests_states = True  # Keras's cells do, even where they have one state

    def get_initial_state(self, batch_size: int) -> list[Array]:
        """Return the states to begin with, zeros."""
        return self.zeros(batch_size)

    def has_own_step(self) -> bool:
        """Whether a subclass has defined another step than the layer's."""
        return type(self).forward is not _LayerCell.forward

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal cell, those left out with their defaults, as plain data."""
        config = super().get_config()
        if not type(self).__module__.startswith("lstmcore."):
            return config
        return {k: v for k, v in self.layer.get_config().items() if k not in _OF_THE_RNN} | config

    @property
    def sublayers(self) -> list[Layer]:
        return [self.layer]

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) < 2:
            raise ValueError(f"{self.name}: input_shape: expected (batch, features), got {input_shape}")
        self.layer.ensure_built((input_shape[0], None, input_shape[-1]))
        self.variables = self.layer.variables

    def forward(self, inputs: Array, states: list[Array], training: bool = False) -> Any:  # type: ignore[override]
        call = self.layer.prepare(inputs[:, None], False, states)
        if training:  # with noise, but without what a backward pass would need: that is an RNN's
            mask, recurrent_mask, zoneout = self._noise(len(inputs), inputs.shape[1])
            call = call._replace(dropout_mask=mask, recurrent_dropout_mask=recurrent_mask, zoneout=zoneout)
        # An RNN may have told the layer otherwise.
        call = call._replace(return_sequences=False, go_backwards=False)
        output, new_states = self.layer.finish(run_forward(call), False)
        return output, new_states, None

    def _noise(self, batch: int, features: int) -> tuple[Any, Any, Any]:
        """Return the dropout masks, drawn once and then kept, and the zoneout of this step."""
        layer = self.layer
        for mask in (self._dropout_mask, self._recurrent_dropout_mask):
            if mask is not None and mask.shape[-2] != batch:
                raise ValueError(
                    f"{self.name}: inputs: expected {mask.shape[-2]} rows, for which the dropout masks were drawn, got "
                    f"{batch}; reset_dropout_mask() and reset_recurrent_dropout_mask() make it draw others"
                )
        missing = (layer.dropout and self._dropout_mask is None) or (
            layer.recurrent_dropout and self._recurrent_dropout_mask is None
        )
        zoneout = None
        if missing or layer.zoneout:
            mask, recurrent_mask, zoneout = layer.noise(batch, features, True)
            if self._dropout_mask is None:
                self._dropout_mask = mask
            if self._recurrent_dropout_mask is None:
                self._recurrent_dropout_mask = recurrent_mask
        return self._dropout_mask, self._recurrent_dropout_mask, zoneout

    def reset_dropout_mask(self) -> None:
        """Draw another mask for the inputs at the next step in training."""
        self._dropout_mask = None

    def reset_recurrent_dropout_mask(self) -> None:
        """Draw another mask for the state at the next step in training."""
        self._recurrent_dropout_mask = None


class LSTMCell(_LayerCell):
    """One step of an `LSTM`: ``cell(inputs, [h, c])`` gives ``(h, [h, c])``.

    >>> import numpy as np
    >>> from lstmcore.layers import RNN, LSTMCell
    >>> RNN([LSTMCell(8), LSTMCell(4)])(np.zeros((2, 5, 3), "float32")).shape
    (2, 4)

    Takes the arguments of `LSTM` that concern the cell.

    Called by itself with ``training=True`` it draws the masks of ``dropout`` and ``recurrent_dropout``
    at the first step and keeps them for those that follow; `reset_dropout_mask` and
    `reset_recurrent_dropout_mask`, before the next batch, make it draw others. Those of ``zoneout``
    are drawn at every step. In an `RNN` all are drawn for every batch.
    """

    layer_class = LSTM

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        **options: Any,
    ) -> None:
        super().__init__(units, activation=activation, recurrent_activation=recurrent_activation, **options)


class GRUCell(_LayerCell):
    """One step of a `GRU`: ``cell(inputs, [h])`` gives ``(h, [h])``. Takes the arguments of `GRU` that
    concern the cell; for those of dropout see `LSTMCell`.
    """

    layer_class = GRU

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        **options: Any,
    ) -> None:
        super().__init__(units, activation=activation, recurrent_activation=recurrent_activation, **options)


class SimpleRNNCell(_LayerCell):
    """One step of a `SimpleRNN`: ``cell(inputs, [h])`` gives ``(h, [h])``. Takes the arguments of
    `SimpleRNN` that concern the cell; for those of dropout see `LSTMCell`.
    """

    layer_class = SimpleRNN

    def __init__(self, units: int, activation: Any = "tanh", **options: Any) -> None:
        super().__init__(units, activation=activation, **options)


class StackedRNNCells(Configurable):
    """Cells on top of each other: the output of one is the input of the next.

    >>> from lstmcore.layers import RNN, GRUCell, StackedRNNCells
    >>> len(RNN(StackedRNNCells([GRUCell(8), GRUCell(4)])).cells)
    2
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        if not isinstance(cells, (list, tuple)):
            raise TypeError(f"StackedRNNCells: cells: expected a list of cells, got {cells!r}")
        if not cells:
            raise ValueError("StackedRNNCells: cells: expected at least one")
        for cell in cells:
            if not isinstance(cell, Cell):
                raise ValueError(f"StackedRNNCells: cells: expected cells, got {cell!r}")
            if not hasattr(cell, "state_size"):
                raise ValueError(
                    f"{cell.name}: state_size: expected the width of the states, or a list of them, to be set by the "
                    "class or its __init__"
                )
            _ = cell.state_sizes  # refuses what is no width
        self.cells = list(cells)

    @property
    def state_size(self) -> list[int | Sequence[int]]:
        """Widths of the states, cell by cell."""
        return [cell.state_size for cell in self.cells]


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
        options.setdefault("dtype", self.cells[0].given_dtype)
        super().__init__(**options)
        self.return_sequences = flag("RNN: return_sequences", return_sequences)
        self.return_state = flag("RNN: return_state", return_state)
        self.go_backwards = flag("RNN: go_backwards", go_backwards)
        self.stateful = flag("RNN: stateful", stateful)
        self.zero_output_for_mask = flag("RNN: zero_output_for_mask", zero_output_for_mask)
        self.states: list[Array] | None = None
        self.d_initial_state: list[Any] | None = None
        self._begun: list[bool] = []  # which cells have said themselves what the last pass in training began with
        self._runners: list[Recurrent | CellRunner] = []
        for k, one in enumerate(self.cells):
            one.claim(self.name)
            one.take_dtype(self.name, self.dtype)
            last = k == len(self.cells) - 1
            runner = one.layer if isinstance(one, _LayerCell) and not one.has_own_step() else CellRunner(one)
            # All but the last feed the next one; a masked step of theirs is never looked at.
            runner.return_sequences = self.return_sequences or not last
            runner.go_backwards = self.go_backwards
            self._runners.append(runner)
        if not self.trainable:
            self.trainable = False  # the cells too

    @property
    def sublayers(self) -> list[Layer]:
        """The cells."""
        return list(self.cells)

    @property
    def outputs(self) -> int:
        """Width of the outputs."""
        last = self.cells[-1]
        return int(last.output_size or last.state_sizes[0])

    @property
    def state_sizes(self) -> list[int]:
        """Widths of all states, cell by cell."""
        return [size for cell in self.cells for size in cell.state_sizes]

    @property
    def state_size(self) -> list[Any]:
        """Widths of the states, of several cells nested as Keras nests them."""
        return [cell.state_size for cell in self.cells] if self.stacked else self.state_sizes

    @property
    def state_names(self) -> list[str]:
        """Names of all states, for messages."""
        return [f"{name} of {cell.name}" for cell in self.cells for name in cell.state_names]

    def build(self, input_shape: Shape) -> None:
        """Create the weights of all cells."""
        features: int | None = self._features(input_shape)
        for cell in self.cells:
            cell.ensure_built((input_shape[0], features))
            features = cell.compute_output_shape((None, features))[1]
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
            self._by_cell(self._flat("initial_state", states)) if states is not None else self._own(batch)
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
            return self._by_cell(self._flat("get_initial_state", self.get_initial_state(batch)))
        return [cell.initial_states(batch) for cell in self.cells]

    def _flat(self, argument: str, states: Any) -> list[Array]:
        """Return the states of all cells one after the other, whether or not they came in a list for each cell."""
        return flat_states(f"{self.name}: {argument}", states, self.state_names, self.dtype)

    def _by_cell(self, flat: Sequence[Any]) -> list[list[Any]]:
        """Return what there is for each state in a list for each cell."""
        left, groups = list(flat), []
        for cell in self.cells:
            count = len(cell.state_sizes)
            groups.append(left[:count])
            left = left[count:]
        return groups

    def _nested(self, flat: Sequence[Any]) -> list[Any]:
        """Return what there is for each state as states are returned."""
        if not self.stacked:
            return list(flat)
        groups = zip(self.cells, self._by_cell(flat), strict=True)
        return [group if cell.nests_states else group[0] for cell, group in groups]

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
        states: list[Array] = []
        outputs = inputs
        zero = self.zero_output_for_mask if zero_output_for_mask is None else zero_output_for_mask
        first = self._initial_states(len(inputs), initial_state, training)
        for runner, start in zip(self._runners, first, strict=True):
            outputs, last = runner.run(outputs, training, start, mask, lengths, zero_output_for_mask=zero)
            states += last
        if self.stateful:
            self.states = [s.copy() for s in states]
        return outputs, self._nested(states)

    def run_backward(self, d_outputs: Array | None, need_d_inputs: bool = True) -> Array | None:
        """Go back through `run`; `d_initial_state` is set where there was an initial state."""
        gradient = d_outputs
        d_states: list[Any] = []
        for k in range(len(self._runners) - 1, -1, -1):
            runner = self._runners[k]
            gradient = runner.run_backward(gradient, need_d_inputs or k > 0)
            d_first: list[Any] | None = runner.d_initial_state
            if d_first is not None and self._begun[k]:
                self.cells[k].backward_initial_state(d_first)
            d_states = [*(d_first or [None] * len(self.cells[k].state_sizes)), *d_states]
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

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Add to the gradients of the weights and return that of the inputs, if needed."""
        reverse = self.go_backwards and self.return_sequences
        return self.run_backward(d_outputs[:, ::-1] if reverse else d_outputs, need_d_inputs)

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
        for cell, runner in zip(other.cells, other._runners, strict=True):
            runner.go_backwards = other.go_backwards
            if isinstance(cell, _LayerCell) and cell.layer.seed is not None:  # other masks than this one's
                cell.layer.reseed(cell.layer.seed + 1)
                cell._arguments = cell._arguments | {"seed": cell.layer.seed}
        return other

    def kernel_info(self) -> str:
        """Say what the cells run on."""
        return "; ".join(runner.kernel_info() for runner in self._runners)

    def stream(self, batch_size: int, steps: int) -> Stage:
        """Return an object that runs the cells piece by piece; see `models.Sequential.stream`.

        A cell of the user's is used as it is: what changes its weights changes the stream.
        """
        if self.go_backwards:
            raise ValueError(f"{self.name}: go_backwards: needs the whole sequence, so it cannot be streamed")
        stages: list[Stage] = []
        first = self._own(batch_size)
        for k, (cell, runner) in enumerate(zip(self.cells, self._runners, strict=True)):

            def start(k: int = k, cell: Cell = cell) -> list[Array]:
                return self._own(batch_size)[k] or cell.zeros(batch_size)

            if isinstance(runner, Recurrent) and first[k] is None:
                stages.append(runner.stream(batch_size, steps))
            else:
                stages.append(runner.stream_from(start))
        return Chain(stages, batch_size, steps)

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
