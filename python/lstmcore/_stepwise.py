"""Cells with activations that the core does not have: the reference's loop over the steps, in NumPy, with the
library's activations and the core's matrix product.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core, activations
from ._options import ACTIVATION_FIELDS
from .activations import Activation
from .reference import sequences
from .reference.gru import step as gru_step
from .reference.gru import step_backward as gru_step_backward
from .reference.lstm import step as lstm_step
from .reference.lstm import step_backward as lstm_step_backward
from .reference.rnn import step as rnn_step
from .reference.rnn import step_backward as rnn_step_backward

Array = NDArray[Any]
Options = Any

_STEPS: dict[str, tuple[Any, Any]] = {
    "lstm": (lstm_step, lstm_step_backward),
    "gru": (gru_step, gru_step_backward),
    "rnn": (rnn_step, rnn_step_backward),
}


class StepwiseWeights:
    """Plays the part of `_core.PackedWeights`."""

    kernel = "stepwise"

    def __init__(self, options: Options, weights: list[Any], training: bool, zoneout: bool) -> None:
        # The same weights with activations that the core has: it checks them, and calls of no steps.
        plain = {name: "linear" for name in ACTIVATION_FIELDS if not isinstance(getattr(options, name, False), bool)}
        self.stand_in = _core.pack(dataclasses.replace(options, **plain), weights, training, zoneout)
        self.foreign = " and ".join(options.foreign_activations)
        self.weights = [np.array(w) for w in weights]
        dtype = self.weights[0].dtype
        checked = {name: _Checked(name, getattr(options, name)) for name in plain}
        for activation in checked.values():
            activation.try_out(np.zeros((1, self.stand_in.units), dtype), training)
        self.options = dataclasses.replace(options)
        for name, activation in checked.items():
            object.__setattr__(self.options, name, activation)

    def __getattr__(self, name: str) -> Any:
        """What does not depend on the activations."""
        return getattr(self.stand_in, name)

    def forward(self, call: Any, padding: sequences.Padding, checked: tuple[Any, ...]) -> tuple[Any, Any, Any]:
        """Do what the core's forward pass does; ``checked`` is what that returns if all steps are padding."""
        outputs, first, empty = checked  # the states given, or zeros
        if not padding.valid.any():
            return outputs, first, StepwiseCache(self, empty, None) if call.training else None
        x = np.asarray(call.inputs)
        x_mask, h_mask = (None if m is None else np.array(m) for m in (call.dropout_mask, call.recurrent_dropout_mask))
        steps = _STEPS[self.cell]
        cell = sequences.make_cell(*steps, self.weights, self.options, x_mask, h_mask, x.dtype, _core.matmul)
        with np.errstate(all="ignore"):  # as the core does: infinities and NaN stand in the results
            result, state, *cache = sequences.run(
                cell,
                x,
                first,
                padding,
                call.zoneout,
                return_sequences=call.return_sequences,
                training=call.training,
                out=outputs,
            )
        return result, state, StepwiseCache(self, empty, cache[0]) if call.training else None


class StepwiseCache:
    """What the backward pass needs of a forward pass; ``empty`` is the core's cache of the same call, all padding."""

    def __init__(self, weights: StepwiseWeights, empty: Any, cache: sequences.Cache | None) -> None:
        self.cell = weights.cell
        self.weight_count = weights.weight_count
        self.empty = empty
        self.cache = cache

    def backward(self, d_outputs: Any, d_state: Any, need_d_inputs: bool, d_weights: list[Array]) -> Any:
        """Do what the core's backward pass does."""
        # Of padding alone it checks its arguments and makes what it returns.
        d_inputs, d_weights, d_initial = _core.backward(self.empty, d_outputs, d_state, need_d_inputs, d_weights)
        if self.cache is None:
            return d_inputs, d_weights, d_initial
        with np.errstate(all="ignore"):
            d_x, _, d_first = sequences.run_backward(
                self.cache, d_outputs, d_state, d_weights=d_weights, need_d_inputs=need_d_inputs
            )
        return d_x, d_weights, None if d_initial is None else d_first


class _Checked:
    """An activation that must keep shape and dtype, as `reference.activations` has them."""

    def __init__(self, argument: str, activation: str | Activation) -> None:
        self.argument = argument
        self.activation = activations.get(activation)

    def __call__(self, x: Array) -> Array:
        """Return the function's value."""
        return self._like(x, self.activation.value(x.copy()), "the shape of its inputs")  # it may write over them

    def backward(self, x: Array, y: Array, dy: Array) -> Array:
        """Return the gradient of the inputs."""
        return self._like(x, self.activation.backward(x, y, dy), "a gradient of the shape of its inputs")

    def try_out(self, x: Array, training: bool) -> None:
        """Raise now if the function cannot do what it is for."""
        y = self(x)
        if training:
            self.backward(x, y, np.ones_like(y))

    def _like(self, x: Array, value: Any, what: str) -> Array:
        array = np.asarray(value)
        if array.shape != x.shape or array.dtype.kind not in "fiub":
            raise ValueError(
                f"{self.argument}: expected a function that returns {what}, {x.shape}; {self.activation.name} returned "
                f"{array.dtype} of shape {array.shape}"
            )
        return array.astype(x.dtype, copy=False)
