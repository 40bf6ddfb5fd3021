"""How much each sample's loss counts: sample weights, masks and reductions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._arguments import real_array

Array = NDArray[Any]

REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none")


def combine_weights(
    shape: tuple[int, ...],
    sample_weight: ArrayLike | None,
    mask: ArrayLike | None,
    reduction: str | None = "sum_over_batch_size",
    name: str = "sample_weight",
) -> Array | None:
    """Return a weight for each sample's loss, or None if all weigh the same.

    >>> from lstmcore.losses import combine_weights
    >>> combine_weights((2, 3), [1.0, 0.5], None)
    array([[1. , 1. , 1. ],
           [0.5, 0.5, 0.5]])
    >>> combine_weights((1, 4), None, [[True, True, True, False]])  # the mean is over the three that count
    array([[1.33333333, 1.33333333, 1.33333333, 0.        ]])

    Parameters
    ----------
    shape : of the samples' losses: (batch,), or (batch, steps), …: that of the outputs without the last axis.
    sample_weight : of that shape, or of its first axes: one weight then serves all that follow.
    mask : the same for True where a sample counts.
    reduction : with one that divides by the number of samples, what the mask leaves weighs so much more that
        the mean is over what it leaves.
    name : of the sample weights, in errors.

    Raises
    ------
    ValueError
        A shape does not fit.
    TypeError
        Not numbers.

    Notes
    -----
    As Keras 3's ``reduce_weighted_values``: with sample weights the mean is still divided by the number of samples,
    not by the sum of weights; "mean_with_sample_weight" does that.
    """
    weights = None if sample_weight is None else _spread(name, sample_weight, shape)
    if mask is None:
        return weights
    valid = _spread("mask", mask, shape)
    if reduction in ("mean", "sum_over_batch_size"):
        left = float(np.add.reduce(valid, axis=None))
        valid = valid * (valid.size / left if left else 0.0)
    return valid if weights is None else weights * valid


def _spread(name: str, value: ArrayLike, shape: tuple[int, ...]) -> Array:
    """Return float64 numbers in that shape, from one of its first axes, or with an axis of one too many."""
    array = real_array(name, value)
    if array.ndim == len(shape) + 1 and array.shape[-1] == 1:
        array = array[..., 0]
    first = shape[: array.ndim]
    if len(first) < array.ndim or any(n not in (m, 1) for n, m in zip(array.shape, first, strict=True)):
        raise ValueError(f"{name}: expected the shape of the losses, {shape}, or of its first axes, got {array.shape}")
    array = array.reshape(array.shape + (1,) * (len(shape) - array.ndim))
    return np.broadcast_to(array.astype(np.float64), shape)


def in_shape(name: str, weights: Array | None, shape: tuple[int, ...]) -> Array | None:
    """Return the samples' weights for losses of another shape: of each output, or of whole sequences.

    Raises
    ------
    ValueError
        There is no one weight for each loss.
    """
    if weights is None or weights.shape == shape:
        return weights
    if shape[: weights.ndim] == weights.shape:
        return np.broadcast_to(weights.reshape(weights.shape + (1,) * (len(shape) - weights.ndim)), shape)
    rows = weights.reshape(*weights.shape[: len(shape)], -1)
    if shape and rows.shape[:-1] == shape and (rows == rows[..., :1]).all():
        first: Array = rows[..., 0]
        return first
    raise ValueError(
        f"{name}: expected the loss of each sample, shape {weights.shape}, for sample weights or a mask to be applied, "
        f"got shape {shape}"
    )


def factor(reduction: str | None, shape: tuple[int, ...], weights: Array | None, dtype: np.dtype[Any]) -> float | Array:
    """Return what a sample's loss is multiplied by in the total: one number, or an array of ``dtype``."""
    if weights is None:
        return 1.0 if reduction == "sum" else 1 / max(1, math.prod(shape))
    if reduction == "mean_with_sample_weight":
        divisor = float(np.add.reduce(np.broadcast_to(weights, shape), axis=None)) or 1.0
    else:
        divisor = 1.0 if reduction == "sum" else max(1, math.prod(shape))
    return np.asarray(weights / divisor, dtype)


def total(losses: Array, scale: float | Array) -> float:
    """Return the sum of losses times their factors. A factor of zero takes out even NaN."""
    if isinstance(scale, float):
        return float(np.add.reduce(losses, axis=None)) * scale
    return float(np.add.reduce(without_masked(losses * scale, scale), axis=None))


def without_masked(values: Array, scale: float | Array) -> Array:
    """Put zeros, in place, where a factor is zero: there a target may be anything, even NaN."""
    if not isinstance(scale, float):
        values = np.asarray(values)  # that of a single sample is a number
        np.copyto(values, 0, where=scale == 0)
    return values
