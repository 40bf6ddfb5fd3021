"""Cells, and a layer that runs any of them over a sequence."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from .._arguments import flag, float_array, items, reject_options, valid_steps
from .._passes import run_forward
from .._serialization import Configurable
from .gru import GRU
from .layer import Array, Layer, Shape
from .lstm import LSTM
from .recurrent import Recurrent, kept_states, states_to_keep
from .simple_rnn import SimpleRNN

# Arguments of our layers that a cell has no use for.
_OF_THE_RNN = (
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
      those of the weights to ``variable.gradient``. Needed only to train.

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
        return [self.state_size] if isinstance(self.state_size, int) else list(self.state_size)

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
        arrays = [float_array(f"{self.name}: states", s, self.dtype) for s in states]
        output, new_states, _ = self._step(x, arrays, training)
        return output, new_states

    def _check_features(self, shape: Shape) -> None:
        """Refuse inputs of another width than the cell was built for."""
        if self.input_shape is not None and shape[-1] != self.input_shape[-1]:
            raise ValueError(
                f"{self.name}: inputs: expected {self.input_shape[-1]} features, which the cell was built for, "
                f"got shape {shape}"
            )

    def _step(self, inputs: Array, states: list[Array], training: bool) -> Any:
        """Do a step as `forward` defines it."""
        return self.forward(inputs, states, **({"training": training} if self._takes_training else {}))

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
                raise TypeError(f"{kind} got an unexpected argument {name!r}; it belongs to RNN")
        base = {k: options[k] for k in ("name", "dtype", "trainable") if k in options}
        super().__init__(**base)
        self.layer = self.layer_class(units, **(options | {"name": self.name}))
        self._dropout_mask: Array | None = None
        self._recurrent_dropout_mask: Array | None = None
        self.units = self.layer.units
        self.state_size = self.layer.state_size
        self.output_size = self.layer.outputs

    @property
    def sublayers(self) -> list[Layer]:
        return [self.layer]

    def build(self, input_shape: Shape) -> None:
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
        activation: str | None = "tanh",
        recurrent_activation: str | None = "sigmoid",
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
        activation: str | None = "tanh",
        recurrent_activation: str | None = "sigmoid",
        **options: Any,
    ) -> None:
        super().__init__(units, activation=activation, recurrent_activation=recurrent_activation, **options)


class SimpleRNNCell(_LayerCell):
    """One step of a `SimpleRNN`: ``cell(inputs, [h])`` gives ``(h, [h])``. Takes the arguments of
    `SimpleRNN` that concern the cell; for those of dropout see `LSTMCell`.
    """

    layer_class = SimpleRNN

    def __init__(self, units: int, activation: str | None = "tanh", **options: Any) -> None:
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
                raise TypeError(f"StackedRNNCells: cells: expected cells, got {cell!r}")
        self.cells = list(cells)

    @property
    def state_size(self) -> list[int | Sequence[int]]:
        """Widths of the states, cell by cell."""
        return [cell.state_size for cell in self.cells]


class RNN(Layer):
    """Runs a cell, or several on top of each other, over a sequence.

    >>> import numpy as np
    >>> from lstmcore.layers import RNN, GRUCell
    >>> RNN(GRUCell(8), return_sequences=True)(np.zeros((2, 5, 3), "float32")).shape
    (2, 5, 8)

    Cells of ours run as the layers they belong to; those of the user step by step, in Python.

    Parameters
    ----------
    cell : a `Cell`, a list of cells, or `StackedRNNCells`.
    return_sequences, return_state, go_backwards, stateful, zero_output_for_mask : as for `LSTM`.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer; Keras's ``unroll`` is accepted
        and has no effect.
    """

    consumes_mask = True

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
        stack = (
            cell if isinstance(cell, StackedRNNCells) else StackedRNNCells([cell] if isinstance(cell, Cell) else cell)
        )
        self.cells = stack.cells
        options.setdefault("dtype", self.cells[0].dtype)
        super().__init__(**options)
        for one in self.cells:
            if one.dtype != self.dtype:
                raise ValueError(f"{self.name}: cell: expected dtype {self.dtype}, got {one.dtype} ({one.name})")
        self.return_sequences = flag("RNN: return_sequences", return_sequences)
        self.return_state = flag("RNN: return_state", return_state)
        self.go_backwards = flag("RNN: go_backwards", go_backwards)
        self.stateful = flag("RNN: stateful", stateful)
        self.zero_output_for_mask = flag("RNN: zero_output_for_mask", zero_output_for_mask)
        self.states: list[Array] | None = None
        self._runners: list[Recurrent | _CellRunner] = []
        for k, one in enumerate(self.cells):
            one.claim(self.name)
            last = k == len(self.cells) - 1
            runner = one.layer if isinstance(one, _LayerCell) else _CellRunner(one)
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
    def state_sizes(self) -> list[int]:
        """Widths of all states, cell by cell."""
        return [size for cell in self.cells for size in cell.state_sizes]

    def build(self, input_shape: Shape) -> None:
        """Create the weights of all cells."""
        if len(input_shape) != 3 or not input_shape[2]:
            raise ValueError(f"{self.name}: inputs: expected shape (batch, steps, features), got {input_shape}")
        features: int | None = input_shape[2]
        for cell in self.cells:
            cell.ensure_built((input_shape[0], features))
            features = cell.compute_output_shape((None, features))[1]
        self.variables = [v for cell in self.cells for v in cell.variables]

    def _initial_states(self, batch: int, given: Any) -> list[list[Any] | None]:
        states = given
        if states is None and self.stateful and self.states is not None:
            states = self.states
            if len(states[0]) != batch:
                raise ValueError(
                    f"{self.name}: inputs: expected a batch of {len(states[0])} rows, as this stateful layer has had "
                    f"before, got {batch}; reset_states() makes it forget"
                )
        if states is None:
            return [None] * len(self.cells)
        flat = self._flat("initial_state", states)
        result: list[list[Any] | None] = []
        for cell in self.cells:
            count = len(cell.state_sizes)
            result.append(flat[:count])
            flat = flat[count:]
        return result

    def _flat(self, argument: str, states: Sequence[Any]) -> list[Array]:
        """Return the states of all cells one after the other, whether or not they came in a list for each cell."""
        groups = items(f"{self.name}: {argument}", states, "a list of arrays")
        flat = [s for group in groups for s in (group if isinstance(group, (list, tuple)) else [group])]
        if len(flat) != len(self.state_sizes):
            raise ValueError(f"{self.name}: {argument}: expected {len(self.state_sizes)} arrays, got {len(flat)}")
        return [float_array(f"{self.name}: {argument}", s, self.dtype) for s in flat]

    def forward(
        self,
        inputs: Array,
        training: bool = False,
        initial_state: Sequence[Any] | None = None,
        mask: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
    ) -> Any:
        """Return the outputs, and with ``return_state`` the last states."""
        states: list[Array] = []
        outputs = inputs
        for runner, first in zip(self._runners, self._initial_states(len(inputs), initial_state), strict=True):
            outputs, last = runner.run(
                outputs, training, first, mask, lengths, zero_output_for_mask=self.zero_output_for_mask
            )
            states += last
        if self.stateful:
            self.states = [s.copy() for s in states]
        if self.go_backwards and self.return_sequences:
            outputs = outputs[:, ::-1]
        return (outputs, *states) if self.return_state else outputs

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Add to the gradients of the weights and return that of the inputs, if needed."""
        gradient: Array | None = d_outputs
        if self.go_backwards and self.return_sequences:
            gradient = d_outputs[:, ::-1]
        for k in range(len(self._runners) - 1, -1, -1):
            gradient = self._runners[k].run_backward(gradient, need_d_inputs or k > 0)
        return gradient

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, steps, width), or (batch, width)."""
        width = self.cells[-1].output_size or self.cells[-1].state_sizes[0]
        return (*input_shape[:2], width) if self.return_sequences else (input_shape[0], width)

    def compute_mask(self, inputs: Array, mask: Array | None) -> Array | None:
        """Pass the mask on with the steps."""
        if mask is None or not self.return_sequences:
            return None
        return mask[:, ::-1] if self.go_backwards else mask

    def state(self) -> dict[str, Any]:
        """Return where the cells' random masks are and, with ``stateful``, the states kept ("state/0", …)."""
        return super().state() | {f"state/{k}": s.copy() for k, s in enumerate(self.states or ())}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Set what `state` has returned."""
        states, rest = kept_states(self, state, self.state_sizes)
        super().load_state(rest)
        self.states = states

    def reset_states(self, states: Sequence[Any] | None = None) -> None:
        """Make a stateful layer begin with zeros again, or with ``states``, flat or in a list for each cell."""
        self.states = None if states is None else states_to_keep(self, self._flat("states", states), self.state_sizes)

    def reset_state(self) -> None:
        """Make a stateful layer begin with zeros again."""
        self.reset_states()


class _CellRunner:
    """Runs a user's cell step by step, with the padding that `functional` describes."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.return_sequences = self.go_backwards = False
        self._cache: Any = None

    def run(
        self,
        inputs: Array,
        training: bool,
        initial_state: list[Array] | None,
        mask: ArrayLike | None,
        lengths: ArrayLike | None,
        zero_output_for_mask: bool,
    ) -> tuple[Array, list[Array]]:
        if inputs.ndim != 3:
            raise ValueError(f"{self.cell.name}: inputs: expected shape (batch, steps, features), got {inputs.shape}")
        batch, steps, _ = inputs.shape
        if steps == 0:
            raise ValueError(f"{self.cell.name}: inputs: expected at least one step, got shape {inputs.shape}")
        self.cell._check_features(inputs.shape)
        valid = valid_steps(f"{self.cell.name}: ", batch, steps, mask, lengths)
        repeat = mask is not None and not zero_output_for_mask
        states = initial_state or [np.zeros((batch, n), self.cell.dtype) for n in self.cell.state_sizes]
        for k, (state, size) in enumerate(zip(states, self.cell.state_sizes, strict=True)):
            if state.shape != (batch, size):
                raise ValueError(
                    f"{self.cell.name}: initial_state[{k}]: expected shape {(batch, size)}, got {state.shape}"
                )
        width = self.cell.output_size or self.cell.state_sizes[0]
        outputs = np.zeros((batch, steps, width), self.cell.dtype)
        last = np.zeros((batch, width), self.cell.dtype)
        order = range(steps - 1, -1, -1) if self.go_backwards else range(steps)
        saved = []
        for t in order:
            now = valid[:, t, None]
            output, new_states, kept = self.cell._step(np.where(now, inputs[:, t], 0), states, training)
            if len(new_states) != len(states):
                raise ValueError(f"{self.cell.name}: forward: expected {len(states)} new states, got {len(new_states)}")
            states = [np.where(now, new, old) for new, old in zip(new_states, states, strict=True)]
            last = np.where(now, output, last)
            outputs[:, t] = last if repeat else np.where(now, output, 0)
            saved.append(kept)
        if training:
            self._cache = saved, valid, repeat, order, states
        return outputs if self.return_sequences else last, states

    def run_backward(self, d_outputs: Array | None, need_d_inputs: bool) -> Array | None:
        if self._cache is None or d_outputs is None:
            raise RuntimeError(f"{self.cell.name}: backward needs a forward pass with training=True before it")
        (saved, valid, repeat, order, states), self._cache = self._cache, None
        d_states = [np.zeros_like(s) for s in states]
        d_last = np.zeros_like(d_outputs[:, 0]) if self.return_sequences else d_outputs
        d_inputs: Array | None = None
        for t, kept in zip(reversed(order), reversed(saved), strict=True):
            now = valid[:, t, None]
            if self.return_sequences:
                d_last = d_last + d_outputs[:, t] if repeat else np.where(now, d_outputs[:, t], 0)
            none = [np.where(now, d, 0) for d in d_states]
            dx, d_prior = self.cell.backward(kept, np.where(now, d_last, 0), none)
            d_last = np.where(now, 0, d_last)
            d_states = [np.where(now, prior, d) for prior, d in zip(d_prior, d_states, strict=True)]
            if d_inputs is None:
                d_inputs = np.zeros((len(dx), len(order), dx.shape[1]), dx.dtype)
            d_inputs[:, t] = np.where(now, dx, 0)
        return d_inputs if need_d_inputs else None
