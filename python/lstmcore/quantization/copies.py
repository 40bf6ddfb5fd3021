"""Models as quantized copies, of which layers may stay as they are."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._arguments import number
from .._tree import leaves
from .._warnings import warn
from ..layers import _quantized
from ..layers._typed import within
from ..serialization.models import require_model
from .calibration import input_ranges


def quantize(
    model: Any,
    mode: str = "int8",
    calibrate: Any = None,
    weights: str | None = None,
    tolerance: float | None = None,
    x: Any = None,
    y: Any = None,
) -> Any:
    """Return a copy of a model whose weights are kept in int8, for inference; see `layers.Layer.quantize`.

    >>> import numpy as np
    >>> import lstmcore
    >>> from lstmcore import Sequential, layers
    >>> model = Sequential([layers.LSTM(8, input_shape=(None, 3)), layers.Dense(1)])
    >>> small = lstmcore.quantize(model)
    >>> x = np.ones((2, 5, 3))
    >>> bool(abs(small.predict(x, verbose=0) - model.predict(x, verbose=0)).max() < 0.05)
    True

    Parameters
    ----------
    model : any model with weights.
    mode, weights : as for `layers.Layer.quantize`.
    calibrate : inputs, or a source of batches as `predict` takes it, by which the range of what every layer is given is
        found: it is then scaled by that, and held to it, instead of by a scale for each row. Where all of it is zero,
        and for what has products of float32, rows have their scales.
    tolerance : the largest error allowed. Without ``y`` it is that of the outputs for ``x``: the root of the mean
        squared error over that of the mean square. With ``y`` it is the increase of the loss over the loss. If the
        whole model in int8 is further off, layers stay as they are until it no longer is: first the one that is
        furthest off when it is quantized alone. A warning says which.
    x, y : inputs, and targets for a compiled model, to measure the error with.

    Raises
    ------
    ValueError, TypeError
        The model cannot be quantized, or an argument is another; the message says why.

    Warns
    -----
    UserWarning
        Layers stay as they are, for the sake of ``tolerance``.
    """
    require_model(model)
    _quantized.mode_of(mode, weights)
    if tolerance is None:
        if x is not None or y is not None:
            raise ValueError("tolerance: expected a number beside x and y, which are for it alone; got None")
    else:
        tolerance = number("tolerance", tolerance, "[0, inf)")
        if x is None:
            raise ValueError("x: expected inputs to measure the error with, as there is a tolerance; got None")
    if calibrate is not None and weights is not None:
        raise ValueError("calibrate: expected None with weights='int8', for products of float32 need no ranges")
    copied = copy.deepcopy(model)
    ranges = {} if calibrate is None else input_ranges(copied, calibrate)
    if tolerance is None:
        copied.quantize(mode, weights)
        _set_ranges(copied, ranges)
        return copied
    measured = _LossError(copied, x, y) if y is not None else _OutputError(copied, x)
    copied.quantize(mode, weights)
    _set_ranges(copied, ranges)
    kept = _keep(copied, tolerance, measured, _floats(model, copied))
    if kept:
        warn(f"{model.name}: tolerance: stay in float32, by how far off each is alone: {', '.join(kept)}")
    return copied


def _set_ranges(model: Any, ranges: Mapping[int, float]) -> None:
    least = 127 * float(np.finfo(np.float32).tiny)  # of which the scale is a normal number
    for layer in within(model):
        size = ranges.get(id(layer), 0.0)
        layer.input_range = size if size >= least else None


class _OutputError:
    """The relative error of a model's outputs, from those that it has now."""

    def __init__(self, model: Any, x: Any) -> None:
        self.x = x
        self.want = _outputs(model, x)
        if not np.isfinite(self.want).all():
            raise ValueError("x: expected inputs that the model has finite outputs for, got NaN or infinities")

    def __call__(self, model: Any) -> float:
        return _ratio(float(np.linalg.norm(_outputs(model, self.x) - self.want)), float(np.linalg.norm(self.want)))


class _LossError:
    """The relative increase of a model's loss, from what it is now."""

    def __init__(self, model: Any, x: Any, y: Any) -> None:
        self.x, self.y = x, y
        if model.optimizer is None or model.loss is None:
            raise ValueError("y: expected a model that is compiled with a loss, to measure that; or None")
        self.want = self._loss(model)
        if not np.isfinite(self.want):
            raise ValueError(f"x, y: expected data that the model has a finite loss for, got {self.want}")

    def __call__(self, model: Any) -> float:
        return _ratio(max(self._loss(model) - self.want, 0.0), abs(self.want))

    def _loss(self, model: Any) -> float:
        return float(model.evaluate(self.x, self.y, verbose=0, return_dict=True)["loss"])


def _outputs(model: Any, x: Any) -> Any:
    model.reset_states()
    return np.concatenate([np.ravel(part).astype(np.float64) for part in leaves(model.predict(x, verbose=0))])


def _ratio(error: float, size: float) -> float:
    """Return an error over a size; infinity where it is none, so that no tolerance allows it."""
    if np.isnan(error):
        return np.inf
    return error / size if size else np.inf if error else 0.0


def _floats(model: Any, copied: Any) -> dict[int, Any]:
    """Return what the quantized layers of a copy were before: those of the model, by identity."""
    return {id(one): other for one, other in zip(within(copied), within(model), strict=True)}


def _keep(copied: Any, tolerance: float, measured: Any, floats: dict[int, Any]) -> list[str]:
    """Take layers out of int8 until the error is within the tolerance; return their names."""
    if measured(copied) <= tolerance:
        return []
    parts = [part for part in within(copied) if part.quantization_mode is not None]
    before = {id(part): (part.quantization, [(v, v.place) for v in part.variables if v.int8]) for part in parts}
    for part in parts:
        _quantized.restore(part, floats[id(part)])

    def in_int8(part: Any) -> None:
        how, moves = before[id(part)]
        _quantized.move(moves)
        part.quantization_mode, part.input_range = how["mode"], how["input_range"]

    alone: dict[int, float] = {}
    for part in parts:
        in_int8(part)
        alone[id(part)] = measured(copied)
        _quantized.restore(part, floats[id(part)])
    for part in parts:
        in_int8(part)
    kept: list[str] = []
    for part in sorted(parts, key=lambda one: -alone[id(one)]):
        _quantized.restore(part, floats[id(part)])
        kept.append(part.name)
        if measured(copied) <= tolerance:
            break
    return kept
