"""Layers whose weights are kept in int8."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from .. import _core
from .._arguments import number, shown
from .._int8 import MOST, Int8, Int8Place
from .._ours import is_ours
from ..variables import Place, Variable, Vectors
from ._building import building
from ._typed import within

INT8, WEIGHTS = "int8", "int8_weights"  # with products of int8, or of float32
MOST_RANGE = float(np.finfo(np.float32).max)


def mode_of(mode: Any, weights: Any) -> str:
    """Return the mode that arguments of ``quantize`` tell."""
    if mode != INT8:
        raise ValueError(f"mode: expected 'int8', got {shown(mode)}")
    if weights is not None and weights != INT8:
        raise ValueError(f"weights: expected None or 'int8', for products of float32, got {shown(weights)}")
    return INT8 if weights is None else WEIGHTS


def can_be(layer: Any) -> bool:
    """Whether a layer is of a class whose weights can be quantized."""
    # One of the user's may do with them whatever it likes.
    return bool(layer.quantized_weights) and is_ours(type(layer))


def places(layer: Any) -> list[tuple[Variable, Int8Place]]:
    """Return what is to be quantized of the variables of a layer, with the places they are to move to.

    Raises
    ------
    ValueError
        It is not of float32, or a weight is not finite.
    """
    if layer.dtype != np.float32:
        raise ValueError(f"{layer.name}: quantize: expected a layer of float32, got {layer.dtype}")
    return [
        (v, Int8Place(v.path, Int8.of(v.path, v.place.value, layer.quantized_weights[v.name])))
        for v in layer.variables
        if v.name in layer.quantized_weights
    ]


def move(moves: list[tuple[Variable, Any]]) -> None:
    """Have variables in other places."""
    for variable, place in moves:
        variable.place.vectors.left = True  # whoever has gathered them does so again
        variable.place = place


def restore(layer: Any, floats: Any) -> None:
    """Have the weights of a quantized layer in float32 again, as another like it has them."""
    values = zip(layer.variables, floats.variables, strict=True)
    move(
        [
            (v, Place(v.shape, Vectors(other.value.flatten(), np.zeros(v.size, v.dtype)), 0))
            for v, other in values
            if v.int8
        ]
    )
    layer.quantization_mode = layer.input_range = None


def quantize(layer: Any, mode: Any, weights: Any) -> None:
    """Quantize a layer, or all layers within it that can be, in place: all or, on an error, none."""
    how = mode_of(mode, weights)
    if layer.owned_by is not None:
        raise ValueError(f"{layer.name}: quantize: it is part of {layer.owned_by}; quantize that")
    with building:
        parts = [part for part in within(layer) if can_be(part)]
        if not parts:
            raise ValueError(
                f"{layer.name}: quantize: expected a layer with weights that can be int8, or one within, got a "
                f"{type(layer).__name__} without"
            )
        if not layer.built or not all(part.built for part in parts):
            raise ValueError(
                f"{layer.name}: quantize: has no weights yet; call it on data or give it an input_shape first"
            )
        for part in parts:
            if part.quantization_mode is not None:
                raise ValueError(f"{part.name}: quantize: is quantized already, as {part.quantization_mode!r}")
        moves = [one for part in parts for one in places(part)]
        move(moves)
        for part in parts:
            part.quantization_mode = how


def described(layer: Any) -> dict[str, Any]:
    """Return how a layer is quantized, as plain data."""
    return {"mode": layer.quantization_mode, "input_range": layer.input_range}


def quantize_as(layer: Any, how: Any) -> None:
    """Quantize a layer as `described` says of one."""
    known = isinstance(how, dict) and how.keys() == {"mode", "input_range"} and how["mode"] in (INT8, WEIGHTS)
    if not known or not can_be(layer) or not layer.built:
        raise ValueError(f"{layer.name}: quantized: expected a layer that can be, and a known mode, got {shown(how)}")
    limit = how["input_range"]
    if limit is not None:
        if how["mode"] == WEIGHTS:
            raise ValueError(
                f"{layer.name}: quantized: input_range: expected None with products of float32, got {limit}"
            )
        number(f"{layer.name}: quantized: input_range", limit, f"(0, {MOST_RANGE})")
    if layer.quantization_mode is None:
        move(places(layer))
        layer.quantization_mode, layer.input_range = how["mode"], limit


def refuse_training(layer: Any) -> NoReturn:
    """Raise for what a quantized layer cannot do."""
    raise ValueError(
        f"{layer.name}: training: is quantized, which is for inference: train the model before you quantize it"
    )


def operands(layer: Any, kernel: Variable, groups: int = 1) -> list[Any]:
    """Return the matrices (..., columns / groups) of a kernel as products take them: packed once if they are narrow."""
    place, precision = kernel.place, layer._precision
    if layer.quantization_mode is None and precision == "float32":
        return np.split(place.value.reshape(-1, kernel.shape[-1]), groups, axis=1)
    made_of = place.vectors.version, precision
    known: tuple[Any, list[Any]] | None = layer.__dict__.get("_operands")
    if known is None or known[0] != made_of:
        matrices = np.split(place.value.reshape(-1, kernel.shape[-1]), groups, axis=1)
        scale = None if layer.input_range is None else layer.input_range / MOST
        known = layer.__dict__["_operands"] = (
            made_of,
            [_core.PackedMatrix(np.ascontiguousarray(matrix), precision, scale) for matrix in matrices],
        )
    return known[1]
