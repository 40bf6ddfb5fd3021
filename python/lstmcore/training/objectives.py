"""What is asked of all outputs of a model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import losses
from .._arguments import number
from .._tree import leaves
from ..activations import Activation
from ..losses import Loss
from .objective import Objective, Seen
from .outputs import for_one_output, for_outputs, metrics_for_one_output, metrics_of_output

Array = NDArray[Any]


class Objectives:
    """An `Objective` for each output of a model, whose losses, times their weights, are summed.

    >>> from lstmcore.training.objectives import Objectives
    >>> both = Objectives.of({"loss": {"price": "mse", "sign": "bce"}, "loss_weights": [1.0, 0.5]},
    ...                      ["price", "sign"], [(None, 1), (None, 1)])
    >>> [objective.loss for objective in both.each]
    [MeanSquaredError(), BinaryCrossentropy()]

    Parameters
    ----------
    each : the objectives in the order of the outputs; None for an output that nothing is asked of.
    weights : of their losses.
    names : of the outputs, if there are several; None if there is one.

    Attributes
    ----------
    fuses : whether there is a loss that takes the gradient of a last activation together with its own.
    has_loss : whether there is any.
    logits : whether `look` is to be given what goes into the last activation; a list for several outputs, if it is to
        for any.
    """

    def __init__(
        self, each: Sequence[Objective | None], weights: Sequence[float] = (1.0,), names: list[str] | None = None
    ) -> None:
        self.each, self.weights, self.names = list(each), list(weights), names
        self.logits: bool | list[bool] = False
        self.fuses = any(one is not None and one.loss is not None and one.loss.fuses is not None for one in each)
        self._asked = [(k, objective) for k, objective in enumerate(self.each) if objective is not None]
        self._weights = [self.weights[k] for k, objective in self._asked if objective.loss is not None]
        self.has_loss = bool(self._weights)
        self._plain = self.names is None and self._weights == [1.0]  # as most are

    @classmethod
    def of(cls, recipe: Mapping[str, Any], outputs: Any, shapes: Sequence[Any]) -> Objectives:
        """Return those that the arguments of `compile` ask for.

        Parameters
        ----------
        recipe : "loss", "loss_weights", "metrics" and "weighted_metrics" as `compile` takes them.
        outputs : the names of several outputs, in lists and dicts as these are; None if there is one.
        shapes : of the outputs, one after the other.
        """
        names = None if outputs is None else list(leaves(outputs))
        chosen = losses_for(recipe.get("loss"), outputs)
        weights = weights_for(recipe.get("loss_weights"), outputs)
        metrics, weighted = (_metrics_for(key, recipe.get(key), outputs) for key in ("metrics", "weighted_metrics"))
        each: list[Objective | None] = []
        for k, (loss, shape) in enumerate(zip(chosen, shapes, strict=True)):
            asked = loss is not None or metrics[k] or weighted[k]
            with _of_output(names, k):
                each.append(Objective(loss, metrics[k], weighted[k], shape) if asked else None)
        measured = [m for one in each if one is not None for m in (*one.metrics, *one.weighted_metrics)]
        if len({id(metric) for metric in measured}) < len(measured):
            raise ValueError("metrics: expected an object of its own for each output, got one again")
        return cls(each, weights, names)

    def follow(self, heads: Sequence[Activation | None]) -> None:
        """Take note of the activations that the outputs end with, which change with a model's layers."""
        for k, objective in self._asked:
            objective.head = heads[k]
        left = [objective is not None and objective.takes_logits for objective in self.each]
        self.logits = left[0] if self.names is None else left if any(left) else False

    def look(self, result: Any, mask: Any, y: Any, sample_weight: Any, name: str = "y") -> list[Seen]:
        """Return what there is to see of a batch in each output: as `Objective.look`, for lists and dicts."""
        if self.names is None:
            return [objective.look(result, mask, y, sample_weight, name) for _, objective in self._asked]
        count = len(self.each)
        results, targets = list(leaves(result)), list(leaves(y))
        masks = [None] * count if mask is None else list(leaves(mask))
        weights = [None] * count if sample_weight is None else list(leaves(sample_weight))
        seen = []
        for k, objective in self._asked:
            where = f"[{self.names[k]!r}]"
            if targets[k] is None:
                what = "metrics" if objective.loss is None else "a loss"
                raise ValueError(f"{name}{where}: expected targets, for that output has {what}; got None")
            seen.append(objective.look(results[k], masks[k], targets[k], weights[k], name, where))
        return seen

    def values_and_gradient(self, seen: list[Seen]) -> tuple[float, list[float], Any]:
        """Return the sum of the losses, each loss without its weight, and the gradient of the sum.

        That is an array for one output, or None if it has no loss, and a list of arrays, or None, for several.
        """
        if self._plain:
            value, gradient = self._asked[0][1].value_and_gradient(seen[0])
            return value, [value], gradient
        values: list[float] = []
        gradients: list[Any] = [None] * len(self.each)
        for k, objective, what in self._with_loss(seen):
            value, gradient = objective.value_and_gradient(what)
            weight = self.weights[k]
            values.append(value)
            gradients[k] = gradient if weight == 1 else np.multiply(gradient, weight, dtype=gradient.dtype)
        return self._sum(values), values, gradients[0] if self.names is None else gradients

    def values(self, seen: list[Seen]) -> tuple[float, list[float]]:
        """Return the sum of the losses, and each loss without its weight."""
        values = [objective.value(what) for _, objective, what in self._with_loss(seen)]
        return self._sum(values), values

    def _sum(self, values: list[float]) -> float:
        if not values:
            return 0.0
        if len(values) == 1:
            return values[0] if self._weights[0] == 1 else self._weights[0] * values[0]
        return sum(weight * value for weight, value in zip(self._weights, values, strict=True))

    def _with_loss(self, seen: list[Seen]) -> list[tuple[int, Objective, Seen]]:
        """Return what there is of the outputs that have a loss, by their numbers."""
        every = zip(self._asked, seen, strict=True)
        return [(k, objective, what) for (k, objective), what in every if objective.loss is not None]

    def rows(self, seen: list[Seen]) -> list[int]:
        """Return how many rows the batch counts for in the mean of each loss."""
        if self._plain:
            return [self._asked[0][1].rows(seen[0])]
        return [objective.rows(what) for _, objective, what in self._with_loss(seen)]

    def divisors(self, seen: list[Seen]) -> list[float]:
        """Return what each loss is divided by; see `Loss.divisor`."""
        return [objective.divisor(what) for _, objective, what in self._with_loss(seen)]

    @property
    def sums(self) -> list[bool]:
        """Whether each loss is a sum over the batch, and no mean."""
        return [one.loss.reduction == "sum" for _, one in self._asked if one.loss is not None]

    @property
    def measures(self) -> bool:
        """Whether there are metrics to see the batches."""
        return any(one.metrics or one.weighted_metrics for _, one in self._asked)

    def update(self, seen: list[Seen]) -> None:
        """Let the metrics take in a batch."""
        for (_, objective), what in zip(self._asked, seen, strict=True):
            objective.update(what)


def losses_for(loss: Any, outputs: Any) -> list[Loss | None]:
    """Return the loss of each output: what is none of a list or dict is that of all of them."""
    if outputs is None:
        given, names = [for_one_output("loss", loss)], None
    else:
        names = list(leaves(outputs))
        each = isinstance(loss, (list, tuple)) or (isinstance(loss, dict) and "class_name" not in loss)
        given = for_outputs("loss", loss, outputs) if each else [loss] * len(names)
    chosen: list[Loss | None] = []
    for k, one in enumerate(given):
        with _of_output(names, k):
            chosen.append(None if one is None else losses.resolve(one))
    return chosen


def weights_for(weights: Any, outputs: Any) -> list[float]:
    """Return the weight of the loss of each output, 1 where none is given."""
    if outputs is None:
        where, given = ["loss_weights"], [for_one_output("loss_weights", weights)]
    else:
        where = [f"loss_weights[{name!r}]" for name in leaves(outputs)]
        given = [None] * len(where) if weights is None else for_outputs("loss_weights", weights, outputs)
    return [1.0 if one is None else number(name, one) for name, one in zip(where, given, strict=True)]


def _metrics_for(argument: str, value: Any, outputs: Any) -> list[list[Any]]:
    if outputs is None:
        return [metrics_of_output(argument, value)]
    count = len(list(leaves(outputs)))
    if value is None:
        return [[] for _ in range(count)]
    if count == 1 and isinstance(value, (list, tuple)):
        return [metrics_for_one_output(argument, value)]
    return [metrics_of_output(argument, one) for one in for_outputs(argument, value, outputs)]


@contextlib.contextmanager
def _of_output(names: list[str] | None, k: int) -> Iterator[None]:
    """Let errors tell which of several outputs they are about."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if names is not None:
            error.args = (f"{error}, for the output {names[k]}",)
        raise
