"""Whether a backward pass is the derivative of its forward pass."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import losses
from .._arguments import number, positive_integer
from .._arguments import seed as checked_seed
from .._tree import leaves, map_leaves
from ..layers.layer import Layer
from ..optimizers import SGD
from ..serialization.precision import copy_in_float64

Array = NDArray[Any]

_ROUNDING = 16 * np.finfo(np.float64).eps  # of a value that is a sum of many numbers, relative to it


@dataclasses.dataclass(frozen=True)
class GradientError:
    """How far the gradient of one variable, or of one input, is from differences.

    Attributes
    ----------
    name : of the variable, or "inputs" and its like.
    absolute : the largest difference.
    relative : the largest difference in relation to the larger of both numbers; where these are small, to a
        thousandth of the variable's largest or to what rounding can make.
    index : of the number whose relative difference is the largest.
    gradient, difference : what the backward pass and the differences say it is.
    checked, size : how many of its numbers were looked at, of how many.
    """

    name: str
    absolute: float
    relative: float
    index: tuple[int, ...]
    gradient: float
    difference: float
    checked: int
    size: int


class GradientReport:
    """What `check_gradients` has found: printed, it is a table.

    Attributes
    ----------
    errors : a `GradientError` for each variable and each input.
    tolerance : what their ``relative`` may be.
    """

    def __init__(self, errors: list[GradientError], tolerance: float) -> None:
        self.errors, self.tolerance = errors, tolerance

    @property
    def worst(self) -> GradientError:
        """The one with the largest relative difference."""
        return max(self.errors, key=lambda error: error.relative if error.relative == error.relative else np.inf)

    @property
    def ok(self) -> bool:
        """Whether all are within the tolerance."""
        return all(error.relative <= self.tolerance for error in self.errors)

    def raise_if_wrong(self) -> None:
        """Raise AssertionError, with the table, unless all is well."""
        if not self.ok:
            raise AssertionError(f"gradients: expected those of the differences, got\n{self!r}")

    def __repr__(self) -> str:
        head = ("", "absolute", "relative", "at", "backward", "differences", "checked")
        rows = [
            (
                e.name,
                f"{e.absolute:.1e}",
                f"{e.relative:.1e}{'' if e.relative <= self.tolerance else ' !'}",
                str(list(e.index)),
                f"{e.gradient:.6g}",
                f"{e.difference:.6g}",
                f"{e.checked} of {e.size}",
            )
            for e in self.errors
        ]
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
        ]
        worst = self.worst
        verdict = "all within" if self.ok else f"{worst.name}{list(worst.index)} is not within"
        return "\n".join([*lines, f"{verdict} the tolerance, {self.tolerance:g}"])


class _Problem(NamedTuple):
    """A number that depends on arrays, and its gradient by a backward pass.

    Attributes
    ----------
    value : computes the number from the arrays as they are now.
    magnitude : of the numbers that the number is a sum of; rounding goes by that.
    places : for each array its name, what it is at first, what sets it, and its gradient.
    """

    value: Callable[[], float]
    magnitude: float
    places: Sequence[tuple[str, Array, Callable[[Array], Any], Array]]


def check_gradients(
    target: Any,
    x: Any,
    y: Any = None,
    *,
    step: float = 1e-5,
    tolerance: float = 1e-5,
    samples: int = 20,
    seed: int = 0,
    **options: Any,
) -> GradientReport:
    """Compare the gradients of a model, a layer or a loss with differences of its values, in float64.

    >>> import numpy as np
    >>> from lstmcore import layers, utils
    >>> class Scale(layers.Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight(name="factor", shape=(input_shape[-1],), initializer="ones")
    ...     def forward(self, inputs, training=False):
    ...         self.inputs = inputs
    ...         return inputs * self.factor.value
    ...     def backward(self, d_outputs, need_d_inputs=True):
    ...         self.factor.gradient += (d_outputs * self.inputs).mean(0)  # where the sum should be
    ...         return d_outputs * self.factor.value
    >>> report = utils.check_gradients(Scale(name="scale"), np.array([[1.0, 2.0], [3.0, 5.0]]))
    >>> report.ok, report.worst.name, round(report.worst.gradient / report.worst.difference, 6)
    (False, 'scale/factor', 0.5)
    >>> utils.check_gradients("mse", np.zeros((4, 2)), np.ones((4, 2))).ok
    True

    Dropout, noise and states that are kept are the same each time; what is given is not changed, for all is done with
    a copy. Where a function has a kink, as relu at 0, differences across it are neither slope: let no number be there.

    Parameters
    ----------
    target : a compiled model, whose loss is differentiated, with penalties; a layer or a model, whose outputs are
        summed with random weights; or a loss.
    x : inputs; for a loss the targets.
    y : the targets, for a model's loss; for a loss the outputs; None else.
    step : how far each number is moved to both sides. The third power of it is about the precision of float64: less
        makes rounding worse, more makes curves look straight.
    tolerance : what the relative difference may be.
    samples : how many numbers of each array are looked at: the one with the largest gradient, and others at random.
    seed : of these, and of the weights of outputs.
    **options : of the call, such as ``mask``; for a model's loss, ``sample_weight``.

    Returns
    -------
    GradientReport
        Whether it is ``ok``, the ``worst`` variable, and all of them in a table.
    """
    step, tolerance = number("step", step, "(0, inf)"), number("tolerance", tolerance, "(0, inf)")
    positive_integer("samples", samples)
    random = np.random.default_rng(checked_seed("seed", seed))
    if not isinstance(target, Layer):
        problem = _of_loss(target, x, y)
    elif y is None:
        problem = _of_outputs(target, x, random, options)
    else:
        problem = _of_model(target, x, y, options)
    rounding = _ROUNDING * problem.magnitude / step / tolerance
    errors = [_compared(problem.value, *place, step, samples, rounding, random) for place in problem.places]
    if not errors:
        raise ValueError(f"target: expected something with gradients, got {target!r}")
    return GradientReport(errors, tolerance)


def _compared(
    value: Callable[[], float],
    name: str,
    base: Array,
    put: Callable[[Array], Any],
    gradient: Array,
    step: float,
    samples: int,
    rounding: float,
    random: np.random.Generator,
) -> GradientError:
    """Return how far the gradient of one array is from differences."""
    if gradient.shape != base.shape:
        raise ValueError(f"{name}: expected a gradient of shape {base.shape}, got {gradient.shape}")
    flat = gradient.reshape(-1)
    chosen = random.permutation(base.size)[:samples]
    if base.size > samples:
        chosen[0] = np.abs(flat).argmax()
    differences = np.empty(len(chosen))
    for k, at in enumerate(chosen):
        ends = []
        for moved in (step, -step):
            array = base.copy()
            array.flat[at] += moved
            put(array)
            ends.append(value())
        differences[k] = (ends[0] - ends[1]) / (2 * step)
    put(base)
    absolute = np.abs(flat[chosen] - differences)
    size = np.maximum(np.abs(flat[chosen]), np.abs(differences))
    relative = absolute / np.maximum(size, max(1e-3 * size.max(initial=0), rounding, np.finfo(np.float64).tiny))
    relative[np.isnan(relative)] = np.inf
    if not len(chosen):
        return GradientError(name, 0.0, 0.0, (), 0.0, 0.0, 0, 0)
    worst = int(relative.argmax())
    index = tuple(int(k) for k in np.unravel_index(chosen[worst], base.shape))
    numbers = float(absolute.max()), float(relative[worst])
    return GradientError(
        name, *numbers, index, float(flat[chosen[worst]]), float(differences[worst]), len(chosen), base.size
    )


# --- what is differentiated ---


def _of_loss(target: Any, y_true: Any, y_pred: Any) -> _Problem:
    loss = losses.resolve(target)
    if y_pred is None:
        raise ValueError("y: expected the outputs, for a loss of targets x and outputs y, got None")
    outputs = np.array(y_pred, np.float64)
    true, _ = loss.with_mask(loss.targets(y_true, outputs.shape, outputs.dtype, "x"), None)
    value, gradient = loss.value_and_gradient(true, outputs.copy())
    here = [outputs]

    def put(array: Array) -> None:
        here[0] = array

    places = [("y_pred", outputs, put, np.array(gradient))]
    return _Problem(lambda: loss.value(true, here[0].copy()), abs(value), places)


def _of_model(target: Any, x: Any, y: Any, options: dict[str, Any]) -> _Problem:
    if not target.is_model or target.loss is None:
        raise ValueError(f"y: expected None for {target.name}, which is no compiled model, got {type(y).__name__}")
    model, compiled = copy_in_float64(target)
    if compiled is None:
        raise ValueError(f"{target.name}: has a loss that cannot be copied; give the loss a name, or make it a class")
    model.compile(**{**compiled, "optimizer": SGD(0.0), "metrics": None, "weighted_metrics": None})
    again = _repeatable(model, lambda: model.train_on_batch(x, y, return_dict=True, **options)["loss"])
    value = again()
    return _Problem(again, abs(value), _places(model))


def _of_outputs(target: Layer, x: Any, random: np.random.Generator, options: dict[str, Any]) -> _Problem:
    layer, _ = copy_in_float64(target)
    inputs = map_leaves(_own, layer.convert(f"{target.name}: x", x))
    options = {name: map_leaves(_own, value) for name, value in options.items()}
    call = _repeatable(layer, lambda: list(leaves(layer(inputs, training=True, **options))))
    outputs = call()
    weights = [random.standard_normal(part.shape) for part in outputs]
    for variable in layer.variables:
        variable.gradient = np.zeros(variable.shape)
    call()
    given = [name for name, value in options.items() if any(map(_is_float, leaves(value)))]
    d_inputs, d_options = layer.backward_of_call([w.copy() for w in weights], True, given)
    places = _places(layer)
    for name, arrays, gradients in [("inputs", inputs, d_inputs), *((k, options[k], d_options[k]) for k in given)]:
        parts, found = list(leaves(arrays)), list(leaves(gradients))
        for k, part in enumerate(parts):
            if gradients is not None and found[k] is not None and _is_float(part):
                own = name if len(parts) == 1 else f"{name}[{k}]"
                places.append((own, part.copy(), _writer(part), np.array(found[k])))
    magnitude = sum(float(np.abs(w * part).sum()) for w, part in zip(weights, outputs, strict=True))

    def value() -> float:
        return sum(float(np.sum(w * part)) for w, part in zip(weights, call(), strict=True))

    return _Problem(value, magnitude, places)


def _own(value: Any) -> Any:
    """Return an array of our own, of float64 if it is of floats."""
    array = np.array(value)
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _writer(array: Array) -> Callable[[Array], None]:
    def put(values: Array) -> None:
        array[...] = values

    return put


def _places(layer: Layer) -> list[tuple[str, Array, Callable[[Array], Any], Array]]:
    """Return the variables that are trained, with the gradients they have now."""
    return [(v.path, v.numpy(), v.assign, v.gradient.copy()) for v in layer.trainable_variables]


def _repeatable(layer: Any, run: Callable[[], Any]) -> Callable[[], Any]:
    """Return what runs a pass as often as one likes, with the same random numbers, states and averages each time."""
    run()  # has the weights made, and the first random numbers drawn
    state, kept = layer.state(), [(v, v.numpy()) for v in layer.non_trainable_variables]

    def again() -> Any:
        layer.load_state(state)
        for variable, value in kept:
            variable.assign(value)
        return run()

    return again
