"""Weights in the .h5 files of Keras 1 to 3: a group for each layer, with the weights in a list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...graph.tracing import all_within
from ...layers import GRU, LSTM, RNN, Bidirectional, TimeDistributed
from ...layers.cells import LayerCell
from ...variables import Variable
from .hdf5 import Array, Attributes, Contents, names

_GATES: dict[type, int] = {LSTM: 4, GRU: 3}


def variables_of(layer: Any) -> list[Variable]:
    """Return the weights of a layer or model in the order of these files: those that are trained first."""
    trained = {id(v) for v in layer.trainable_variables}
    # What is quantized is written as the floats that it stands for, in the order of a layer that is not.
    parts = [part for part in (layer, *all_within(layer)) if part.quantization_mode is not None and part.trainable]
    trained |= {id(v) for part in parts for v in part.variables if v.int8 is not None and v.trainable}
    return sorted(layer.variables, key=lambda v: id(v) not in trained)


def weights(contents: Contents, layers: Sequence[Any]) -> tuple[dict[str, Array], dict[str, Variable]]:
    """Return the arrays of a file and the variables of a model's layers, both by the same names.

    Layers are found by their names if the file has groups of just these, else by their order, as Keras does.
    """
    root = "model_weights" if "model_weights" in contents.attributes else ""
    listed = names(contents.attributes[root], "layer_names")
    if listed is None:
        raise ValueError("expected weights that Keras has saved, got an HDF5 file without layer_names")
    stored = {name: found for name in listed if (found := _stored(contents, root, name))}
    if len(set(listed)) < len(listed):
        raise ValueError("layer_names: expected each name once")
    wanted = {layer.name: layer for layer in layers if layer.variables}
    if stored.keys() != wanted.keys():
        if len(stored) != len(wanted):
            raise ValueError(
                f"expected weights of {len(wanted)} layers, got those of {len(stored)}: {', '.join(stored)[:200]}"
            )
        stored = dict(zip(wanted, stored.values(), strict=True))
    arrays: dict[str, Array] = {}
    variables: dict[str, Variable] = {}
    for name, layer in wanted.items():
        own = variables_of(layer)
        if len(own) != len(stored[name]):
            raise ValueError(f"{name}: expected {len(own)} weights, got {len(stored[name])}")
        values = {id(variable): array for variable, array in zip(own, stored[name], strict=True)}
        for cell in recurrent_within(layer):
            _from_cudnn(cell, values)
        arrays |= {f"{name}/{k}": values[id(variable)] for k, variable in enumerate(own)}
        variables |= {f"{name}/{k}": variable for k, variable in enumerate(own)}
    return arrays, variables


def _stored(contents: Contents, root: str, layer: str) -> list[Array]:
    group = f"{root}/{layer}" if root else layer
    if group not in contents.attributes:
        raise ValueError(f"{layer[:100]}: is among the layer_names, but not in the file")
    result = []
    for name in names(contents.attributes[group], "weight_names") or ():
        if f"{group}/{name}" not in contents.arrays:
            raise ValueError(f"{layer[:100]}: {name[:100]}: is among the weight_names, but not in the file")
        result.append(contents.arrays[f"{group}/{name}"])
    return result


def recurrent_within(layer: Any) -> Iterator[Any]:
    """Return the LSTM and GRU layers in a layer or model."""
    if layer.is_model:
        for one in layer.layers:
            yield from recurrent_within(one)
    elif isinstance(layer, Bidirectional):
        yield from recurrent_within(layer.forward_layer)
        yield from recurrent_within(layer.backward_layer)
    elif isinstance(layer, TimeDistributed):
        yield from recurrent_within(layer.layer)
    elif isinstance(layer, RNN):
        for cell in layer.cells:
            if isinstance(cell, LayerCell):
                yield from recurrent_within(cell.layer)
    elif type(layer) in _GATES:
        yield layer


def _from_cudnn(layer: Any, found: dict[int, Array]) -> None:
    """Put weights of CuDNNLSTM and CuDNNGRU, told by their bias, into the form of LSTM and GRU."""
    if len(layer.variables) != 3:
        return
    gates, units = _GATES[type(layer)], layer.units
    kernel, recurrent, bias = (found[id(variable)] for variable in layer.variables)
    if bias.shape != (2 * gates * units,):
        return
    for variable, array in zip(layer.variables, (kernel, recurrent), strict=False):
        if array.ndim != 2 or array.shape != variable.shape:
            raise ValueError(f"{variable.path}: expected shape {variable.shape}, got {array.shape}")
        # There the matrix of a gate is (units, inputs) in memory, whatever shape the file says.
        parts = [np.reshape(part, part.shape[::-1]).T for part in np.split(array, gates, axis=1)]
        found[id(variable)] = np.concatenate(parts, axis=1)
    both = bias.reshape(2, gates * units)
    found[id(layer.variables[2])] = both.sum(axis=0) if gates == 4 else both


def arrays_of(layers: Sequence[Any], root: str) -> tuple[dict[str, Array], dict[str, Attributes]]:
    """Return the arrays of a file, and the attributes of its groups."""
    before = f"{root}/" if root else ""
    arrays: dict[str, Array] = {}
    attributes: dict[str, Attributes] = {root: {"layer_names": [layer.name for layer in layers]}}
    for layer in layers:
        listed: list[str] = []
        for variable in variables_of(layer):
            name = _free(variable.path, listed)
            listed.append(name)
            arrays[f"{before}{layer.name}/{name}"] = variable.value
        attributes[f"{before}{layer.name}"] = {"weight_names": listed}
    # Keras looks for it also where it is empty.
    attributes[f"{before}top_level_model_weights"] = {"weight_names": []}
    return arrays, attributes


def _free(name: str, taken: Sequence[str]) -> str:
    k, free = 0, name
    while free in taken:
        k += 1
        free = f"{name}_{k}"
    return free
