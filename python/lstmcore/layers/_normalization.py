"""What the normalising layers share: arrays as matrices, gamma and beta."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._arguments import integers
from ..variables import Variable
from .layer import Array, Layer, Shape

# Rows added up one after the other before their sum joins the rest: long sums lose less this way.
_BLOCK = 128


def mixes_steps(axis: Any, ndim: int) -> bool:
    """Whether an axis, or one of several, of inputs (batch, steps, ...) is that of the steps."""
    return any(one in (1, 1 - ndim) for one in (axis if isinstance(axis, (list, tuple)) else [axis]))


def axes_of(name: str, axis: Any, input_shape: Shape) -> tuple[int, ...]:
    """Return an axis, or axes, of inputs as increasing numbers from 0."""
    axes = integers(f"{name}: axis", axis)
    dimensions = len(input_shape)
    if any(not -dimensions <= a < dimensions for a in axes):
        raise ValueError(f"{name}: axis: expected axes of inputs of shape {input_shape}, got {axis}")
    result = tuple(sorted(a % dimensions for a in axes))
    if len(set(result)) < len(result):
        raise ValueError(f"{name}: axis: expected different axes, got {axis}")
    return result


def sizes_of(name: str, input_shape: Shape, axes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the sizes of axes of inputs; they must be known, and not 0."""
    sizes = tuple(n for a in axes if (n := input_shape[a]))
    if len(sizes) < len(axes):
        raise ValueError(f"{name}: inputs: expected known sizes, none of them 0, of the axes {axes}, got {input_shape}")
    return sizes


def to_rows(array: Array, axes: tuple[int, ...]) -> Array:
    """Return a matrix of an array: its columns are the elements of ``axes``, its rows those of the others."""
    moved = np.moveaxis(array, axes, range(-len(axes), 0))
    return np.ascontiguousarray(moved).reshape(-1, math.prod(array.shape[a] for a in axes))


def from_rows(rows: Array, shape: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    """Undo `to_rows` of an array of that shape."""
    others = [n for a, n in enumerate(shape) if a not in axes]
    moved = rows.reshape((*others, *(shape[a] for a in axes)))
    return np.moveaxis(moved, range(-len(axes), 0), axes)


def column_sums(rows: Array) -> Array:
    """Return the sum of every column."""
    whole = len(rows) // _BLOCK * _BLOCK
    sums = np.add.reduce(rows[whole:], 0)
    if whole:
        sums += np.add.reduce(np.add.reduce(rows[:whole].reshape(-1, _BLOCK, rows.shape[1]), 1), 0)
    return np.asarray(sums)


def add_gamma_and_beta(
    layer: Layer, shape: tuple[int, ...], scale: bool, center: bool
) -> tuple[Variable | None, Variable | None]:
    """Create a layer's gamma, if ``scale``, and beta, if ``center``."""

    def add(name: str) -> Variable:
        initializer, regularizer, constraint = (
            getattr(layer, f"{name}_{what}") for what in ("initializer", "regularizer", "constraint")
        )
        return layer.add_weight(
            name, shape, initializer, offered="axis", regularizer=regularizer, constraint=constraint
        )

    return add("gamma") if scale else None, add("beta") if center else None
