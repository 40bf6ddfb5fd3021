"""Weights to files, and from there to where they belong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .._arguments import mapping
from .._warnings import warn
from ..variables import Variable
from .container import Array
from .names import LayerLike, named_layers, named_variables

_SCALE = ".scale"  # behind the name of a weight that is kept in int8: its scales


def weights_of(layers: Iterable[LayerLike]) -> dict[str, Array]:
    """Return the values of layers' variables, by their names in files."""
    arrays: dict[str, Array] = {}
    for name, variable in named_variables(layers).items():
        kept = variable.int8
        arrays |= {name: variable.value} if kept is None else {name: kept.values, name + _SCALE: kept.scale}
    return with_prefix("weights/", arrays)


def modes_of(layers: Iterable[LayerLike]) -> dict[str, Any]:
    """Return how layers are quantized, of those that are, by their names in files: data of a file, if there are any."""
    found = {name: layer.quantization_mode for name, layer in named_layers(layers).items()}
    modes = {name: mode for name, mode in found.items() if mode is not None}
    return {"quantized": modes} if modes else {}


def quantize_as(where: str, layers: Iterable[LayerLike], data: Mapping[str, Any]) -> None:
    """Quantize layers as the data of a file tell."""
    modes = mapping(f"{where}: quantized", data.get("quantized", {}))
    known = named_layers(layers) if modes else {}
    for name, mode in modes.items():
        if name not in known:
            raise ValueError(f"{where}: quantized: {name}: expected a layer of the model")
        known[name].quantize_as(mode)


def with_prefix(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the arrays with ``prefix`` before their names."""
    return {prefix + name: array for name, array in arrays.items()}


def without_prefix(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return those of the arrays whose names begin with ``prefix``, without it."""
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}


def assign_all(
    where: str, variables: Mapping[str, Variable], weights: Mapping[str, Array], skip_mismatch: bool = False
) -> None:
    """Set variables to the arrays of the same names: all of them or, on an error, none.

    Parameters
    ----------
    where : the file's name, for the errors.
    variables, weights : by name.
    skip_mismatch : warn and leave alone what does not fit.

    Raises
    ------
    ValueError
        A name is missing or unknown, or a shape or dtype is another.
    """
    weights, kept = _apart(variables, weights)
    wrong = [f"{name}: expected by the model, not in the file" for name in variables if name not in weights]
    wrong += [f"{name}: in the file, not in the model" for name in weights if name not in variables]
    fitting: dict[str, Array] = {}
    for name, variable in variables.items():
        if name not in weights:
            continue
        array = weights[name]
        if array.shape != variable.shape:
            wrong.append(f"{name}: expected shape {variable.shape}, got {array.shape}")
        elif name in kept:
            wrong += _wrong(name, variable, array, kept[name])
            fitting[name] = array
        elif array.dtype.kind != variable.dtype.kind:
            wrong.append(f"{name}: expected {variable.dtype}, got {array.dtype}")
        else:
            fitting[name] = array
    if wrong:
        text = "; ".join(wrong[:5]) + (f"; and {len(wrong) - 5} more" if len(wrong) > 5 else "")
        if not skip_mismatch:
            raise ValueError(f"{where}: {text}")
        warn(f"{where}: skipped: {text}")
    for name, array in fitting.items():
        if name in kept:
            place = variables[name].place
            place.put(place.int8._replace(values=array, scale=kept[name]))
        else:
            variables[name].assign(array)


def _apart(
    variables: Mapping[str, Variable], weights: Mapping[str, Array]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return arrays without the scales of those that are for quantized variables, and these scales, by name.

    A quantized variable takes an array of floats too.
    """
    quantized = [name for name, v in variables.items() if v.int8 is not None]
    scales = {name: weights[name + _SCALE] for name in quantized if name + _SCALE in weights and name in weights}
    return {
        name: array
        for name, array in weights.items()
        if name.removesuffix(_SCALE) not in scales or not name.endswith(_SCALE)
    }, scales


def _wrong(name: str, variable: Variable, values: Array, scale: Array) -> list[str]:
    """Say what is wrong with whole numbers and scales for a quantized variable."""
    kept = variable.int8
    for what, array, like in ((name, values, kept.values), (name + _SCALE, scale, kept.scale)):
        if array.shape != like.shape or array.dtype != like.dtype:
            return [f"{what}: expected {like.dtype} of shape {like.shape}, got {array.dtype} of {array.shape}"]
    try:
        kept._replace(values=values, scale=scale).checked(name)
    except ValueError as error:
        return [str(error)]
    return []


def shape_from_json(shape: Any) -> Any:
    """Return a shape, or several of them in a list or dict, as it was before JSON made lists of all tuples.

    Raises
    ------
    ValueError
        It is no shape.
    """
    if isinstance(shape, dict):
        return {name: shape_from_json(part) for name, part in shape.items()}
    if isinstance(shape, (list, tuple)) and shape and all(isinstance(part, (list, tuple)) for part in shape):
        return [shape_from_json(part) for part in shape]
    if isinstance(shape, (list, tuple)) and all(n is None or (type(n) is int and n >= 0) for n in shape):
        return tuple(shape)
    raise ValueError(f"input_shape: expected sizes or None, got {shape!r}")
