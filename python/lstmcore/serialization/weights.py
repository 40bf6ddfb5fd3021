"""Weights to files, and from there to where they belong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .._warnings import warn
from ..variables import Variable
from .container import Array
from .names import LayerLike, named_variables


def weights_of(layers: Iterable[LayerLike]) -> dict[str, Array]:
    """Return the values of layers' variables, by their names in files."""
    return with_prefix("weights/", {name: variable.value for name, variable in named_variables(layers).items()})


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
    wrong = [f"{name}: expected by the model, not in the file" for name in variables if name not in weights]
    wrong += [f"{name}: in the file, not in the model" for name in weights if name not in variables]
    fitting: dict[str, Array] = {}
    for name, variable in variables.items():
        if name not in weights:
            continue
        array = weights[name]
        if array.shape != variable.shape:
            wrong.append(f"{name}: expected shape {variable.shape}, got {array.shape}")
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
        variables[name].assign(array)


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
