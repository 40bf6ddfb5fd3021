"""A call of one of Keras's layers: what it computes and of which tensors, or why it is left to Keras."""

from __future__ import annotations

import inspect
from typing import Any

import keras

from ..._options import ACTIVATIONS, CellOptions, GRUOptions, LSTMOptions, RNNOptions
from .passes import Operands, Problem

LAYERS = (keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN)
_DTYPES = ("float32", "float64")


def _takes_inputs_alone(function: Any) -> bool:
    _, *others = inspect.signature(function).parameters.values()
    return all(p.default is not p.empty for p in others)


# Keras's own functions, since others may have equal names; without those that a layer could not call.
_KNOWN = {
    function: name
    for name in ACTIVATIONS
    if (function := getattr(keras.activations, name, None)) and _takes_inputs_alone(function)
}


class LeftToKerasError(Exception):
    """A call that our kernels would not compute as Keras does; it says why."""


def described(
    layer: Any, sequences: Any, initial_state: Any, mask: Any, training: Any, begins_with_state: bool
) -> tuple[Problem, Operands]:
    """Return what the loop of a layer computes, of the arguments of Keras's ``inner_loop``."""
    cell = layer.cell
    states = initial_state if isinstance(initial_state, (list, tuple)) else [initial_state]
    if isinstance(mask, (list, tuple)):  # where states came as inputs, each has one, of which only the first says steps
        mask = mask[0]
    tensor = keras.ops.convert_to_tensor
    weights = tuple(tensor(w) for w in (cell.kernel, cell.recurrent_kernel, cell.bias) if w is not None)
    _check_dtypes(cell, {"inputs": [sequences], "states": states, "weights": weights})
    _check_shapes(cell, sequences, states)
    _check_mask(layer, sequences, mask)
    problem = Problem(
        _options(cell),
        layer.return_sequences,
        layer.go_backwards,
        layer.zero_output_for_mask,
        begins_with_state,
    )
    dropout, recurrent_dropout = _dropout(cell, sequences, states[0]) if training else (None, None)
    if mask is not None:
        mask = keras.ops.cast(mask, "bool")
    h, c = states if len(states) == 2 else (*states, None)
    return problem, Operands(sequences, h, c, mask, dropout, recurrent_dropout, weights)


def _options(cell: Any) -> CellOptions:
    kind = type(cell)
    if kind is keras.layers.LSTMCell:
        return LSTMOptions(_activation(cell, "activation"), _activation(cell, "recurrent_activation"))
    if kind is keras.layers.GRUCell:
        names = _activation(cell, "activation"), _activation(cell, "recurrent_activation")
        return GRUOptions(cell.reset_after, *names)
    if kind is keras.layers.SimpleRNNCell:
        return RNNOptions(_activation(cell, "activation"))
    raise LeftToKerasError(f"a cell of class {kind.__name__}, which may compute something else")


def _activation(cell: Any, name: str) -> str:
    """Return the core's name of an activation."""
    chosen = getattr(cell, name)
    for known, ours in _KNOWN.items():
        if chosen is known:
            return ours
    raise LeftToKerasError(f"{name}: no kernel has {getattr(chosen, '__name__', type(chosen).__name__)}")


def _check_dtypes(cell: Any, given: dict[str, Any]) -> None:
    if cell.compute_dtype not in _DTYPES or cell.variable_dtype != cell.compute_dtype:
        raise LeftToKerasError(f"dtype policy {cell.dtype_policy.name}: the kernels have float32 and float64")
    for what, tensors in given.items():
        for dtype in (keras.backend.standardize_dtype(t.dtype) for t in tensors):
            if dtype != cell.compute_dtype:
                raise LeftToKerasError(f"{what} of {dtype} in a layer of {cell.compute_dtype}")


def _check_shapes(cell: Any, sequences: Any, states: Any) -> None:
    """Leave to Keras what does not fit, if only to say so, and what it makes fit, as states of one row for all."""
    batch, _, features = sequences.shape
    if features != cell.kernel.shape[0]:
        raise LeftToKerasError(f"inputs of {features} features, not {cell.kernel.shape[0]}")
    for state in states:
        if tuple(state.shape) != (batch, cell.units):
            raise LeftToKerasError(f"initial states of shape {tuple(state.shape)}, not (batch, units)")


def _check_mask(layer: Any, sequences: Any, mask: Any) -> None:
    if sequences.shape[1] == 0:
        raise LeftToKerasError("inputs without steps")
    if mask is None:
        return
    if layer.unroll:
        raise LeftToKerasError("unroll with a mask, which each of Keras's backends takes in its own way")
    if tuple(mask.shape) != tuple(sequences.shape[:2]):
        raise LeftToKerasError(f"a mask of shape {tuple(mask.shape)}, not (batch, steps)")


def _dropout(cell: Any, sequences: Any, h: Any) -> tuple[Any, Any]:
    """Return the factors that Keras has drawn for this call, so that its random numbers are those of any other call."""
    if cell.dropout == 1 or cell.recurrent_dropout == 1:
        raise LeftToKerasError("dropout of everything")
    masks = cell.get_dropout_mask(sequences[:, 0, :]), cell.get_recurrent_dropout_mask(h)
    dropout, recurrent = (keras.ops.stack(m) if isinstance(m, (list, tuple)) else m for m in masks)
    return dropout, recurrent
