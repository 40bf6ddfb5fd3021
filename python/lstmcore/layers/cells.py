"""One step of each layer of ours."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from inspect import Parameter
from typing import Any

from .._arguments import ArgumentTypeError
from .._passes import run_forward
from .._signatures import in_order, signature_of
from .cell import Cell
from .gru import GRU
from .layer import Array, Layer, Shape
from .lstm import LSTM
from .recurrent import CONSTRAINTS, INITIALIZERS, REGULARIZERS, Recurrent
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


class LayerCell(Cell):
    """One step of a layer of ours. In an `RNN` the layer runs by itself, at full speed."""

    layer_class: type[Recurrent]

    @classmethod
    def further_arguments(cls) -> dict[str, Parameter | None]:
        """Return the arguments of the layer that concern the cell, and None for those that do not."""
        layer = signature_of(cls.layer_class).parameters.values()
        return {p.name: p for p in layer if p.kind is not p.VAR_KEYWORD} | dict.fromkeys((*_OF_THE_RNN, "use_cudnn"))

    def __init__(self, units: int, **options: Any) -> None:
        kind = type(self).__name__
        for name in _OF_THE_RNN:
            if name in options:
                raise ArgumentTypeError(f"{kind} got an unexpected argument {name!r}; it belongs to RNN")
        base = {k: options[k] for k in ("name", "dtype", "trainable") if k in options}
        super().__init__(**base)
        self.layer = self.layer_class(units, **(options | {"name": self.name}))
        self.layer.given_dtype = None  # it is the cell's that counts
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

    def initial_states(self, batch_size: int) -> list[Array] | None:
        """Return what a subclass says the states begin with; None for zeros."""
        own = type(self).get_initial_state is not LayerCell.get_initial_state
        return super().initial_states(batch_size) if own else None

    def has_own_step(self) -> bool:
        """Whether a subclass has defined another step than the layer's."""
        return type(self).forward is not LayerCell.forward

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal cell, those left out with their defaults, as plain data."""
        config = super().get_config()
        if not type(self).__module__.startswith("lstmcore."):
            return config
        return {k: v for k, v in self.layer.get_config().items() if k not in _OF_THE_RNN} | config

    @property
    def sublayers(self) -> list[Layer]:
        """The layer."""
        return [self.layer]

    def build(self, input_shape: Shape) -> None:
        """Create the weights of the layer."""
        if len(input_shape) < 2:
            raise ValueError(f"{self.name}: input_shape: expected (batch, features), got {input_shape}")
        self.layer.ensure_built((input_shape[0], None, input_shape[-1]))
        self.variables = self.layer.variables

    def forward(self, inputs: Array, states: list[Array], training: bool = False) -> Any:  # type: ignore[override]
        """Return output and new states of the layer's step, and nothing for `backward`."""
        call = self.layer.prepare(inputs[:, None], False, states)
        if training:  # with noise, but without what a backward pass would need: that is an RNN's
            mask, recurrent_mask, zoneout = self._noise(len(inputs), inputs.shape[1])
            call = call._replace(dropout_mask=mask, recurrent_dropout_mask=recurrent_mask, zoneout=zoneout)
            if recurrent_mask is not None:
                call = call._replace(weights=self.layer.packed_weights(False, True))
        # An RNN may have told the layer otherwise.
        call = call._replace(return_sequences=False, go_backwards=False)
        output, new_states = self.layer.finish(run_forward(call), False)
        return output, new_states, None

    def forward_with_mask(  # type: ignore[override]
        self, inputs: Array, training: bool = False, mask: Any = None, states: Any = None
    ) -> tuple[Any, Any]:
        """Return output and new states of a step in a graph, whose random masks are its own, and which rows count."""
        if self.has_own_step():
            return super().forward_with_mask(inputs, training, mask, states)
        call = self.layer.prepare(inputs[:, None], training, states)
        # An RNN may have told the layer otherwise.
        call = call._replace(return_sequences=False, go_backwards=False)
        return self.layer.finish(run_forward(call), training), mask

    def backward_of_call(
        self, d_outputs: list[Array | None], need_d_inputs: bool, given: Collection[str], **options: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Go back through a step in a graph."""
        if self.has_own_step():
            return super().backward_of_call(d_outputs, need_d_inputs, given, **options)
        d_inputs = self.layer.run_backward(d_outputs[0], need_d_inputs, d_outputs[1:])
        return None if d_inputs is None else d_inputs[:, 0], {"states": self.layer.d_initial_state}

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


class LSTMCell(LayerCell):
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

    @in_order(*INITIALIZERS, "unit_forget_bias", *REGULARIZERS, *CONSTRAINTS, "seed")
    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        **options: Any,
    ) -> None:
        super().__init__(units, activation=activation, recurrent_activation=recurrent_activation, **options)


class GRUCell(LayerCell):
    """One step of a `GRU`: ``cell(inputs, [h])`` gives ``(h, [h])``. Takes the arguments of `GRU` that
    concern the cell; for those of dropout see `LSTMCell`.
    """

    layer_class = GRU

    @in_order(*INITIALIZERS, *REGULARIZERS, *CONSTRAINTS, "reset_after", "seed")
    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        **options: Any,
    ) -> None:
        super().__init__(units, activation=activation, recurrent_activation=recurrent_activation, **options)


class SimpleRNNCell(LayerCell):
    """One step of a `SimpleRNN`: ``cell(inputs, [h])`` gives ``(h, [h])``. Takes the arguments of
    `SimpleRNN` that concern the cell; for those of dropout see `LSTMCell`.
    """

    layer_class = SimpleRNN

    @in_order(*INITIALIZERS, *REGULARIZERS, *CONSTRAINTS, "seed")
    def __init__(self, units: int, activation: Any = "tanh", **options: Any) -> None:
        super().__init__(units, activation=activation, **options)
