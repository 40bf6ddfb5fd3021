"""The shards of one batch in one process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _masks, _random
from .._tree import rows_of
from ..layers._traced import tracing_of
from .tree import cut, total

Array = NDArray[Any]


class Report(NamedTuple):
    """What all processes are told of a shard.

    Attributes
    ----------
    value, penalty, parts : the loss without the weights' penalties, that of the layers, and the loss of each output.
    rows : of the shard; of each output, how many its loss counts for are in ``counted``.
    divisors : what the losses of the outputs are divided by.
    seen : what the metrics are to see, if there are any.
    changed : the numbers of the statistics that the shard has changed.
    """

    value: float
    penalty: float
    parts: list[float]
    rows: int
    counted: list[int]
    divisors: list[float]
    seen: Any
    changed: list[int]


class Shards:
    """The shards of a batch that this process computes, each as if it were a batch.

    Every one begins with the moving statistics and the random numbers that the batch began with; the masks differ, for
    their random numbers know which shard it is.

    Parameters
    ----------
    count : how many shards all processes have together; none is without rows.
    """

    def __init__(self, model: Any, objectives: Any, count: int) -> None:
        self.model, self.objectives, self.count = model, objectives, count
        self.reports: list[Report] = []
        self._parameters = model.parameters
        moved = {id(v) for v in self._parameters.variables}
        self._statistics = [v for v in model.variables if not v.trainable and id(v) not in moved and v.int8 is None]
        self._before = [v.numpy() for v in self._statistics]
        self._calls = {id(stream): stream.calls for stream in self._streams()}

    def learn(self, shard: int, x: Any, y: Any, sample_weight: Any) -> Array:
        """Return gradients and moving statistics of a shard, in one vector, each times what it counts."""
        gradients = self._parameters.vectors.gradients
        gradients.fill(0)
        for variable, value in zip(self._statistics, self._before, strict=True):
            variable.assign(value)
        for stream in self._streams():  # those that this batch is the first to draw from begin at zero
            stream.calls = self._calls.get(id(stream), 0)
        x, y, sample_weight = self._part(shard, x, y, sample_weight)
        with _random.shard(shard):
            report = self._reported(x, self.model._learn(self.objectives, x, y, sample_weight))
        # A shard that is the whole batch is taken as it is.
        counts, rows = (1.0, 1) if self.count == 1 else (report.divisors[0], report.rows)
        weighed = [np.multiply(gradients, counts, dtype=gradients.dtype)]
        weighed += [np.multiply(v.value.reshape(-1), rows, dtype=gradients.dtype) for v in self._statistics]
        return np.concatenate(weighed) if self._statistics else weighed[0]

    def judge(self, shard: int, x: Any, y: Any, sample_weight: Any, name: str) -> None:
        """Take note of what there is to say of a shard, without learning from it."""
        x, y, sample_weight = self._part(shard, x, y, sample_weight)
        self._reported(x, self.model._judge(self.objectives, x, y, sample_weight, name))

    def settle(self, vector: Array, before: Array | None, divisor: float, reports: Sequence[Report]) -> None:
        """Set gradients and moving statistics to what the vectors of all shards have come to.

        ``before`` are gradients of earlier batches, which those of this one are added to.
        """
        rows = sum(report.rows for report in reports)
        if self.count == 1:
            divisor, rows = 1.0, 1
        changed = {k for report in reports for k in report.changed}
        gradients = self._parameters.vectors.gradients
        at = gradients.size
        np.divide(vector[:at], divisor, out=gradients, dtype=gradients.dtype, casting="same_kind")
        if before is not None:
            gradients += before
        for k, variable in enumerate(self._statistics):
            part = vector[at : at + variable.size].reshape(variable.shape)
            variable.assign(np.divide(part, rows, dtype=part.dtype) if k in changed else self._before[k])
            at += variable.size

    def _streams(self) -> list[Any]:
        found = []
        for part in self.model.keepers:
            found += [part._random, *(tracing_of(part).streams.values() if part.is_traced else ())]
        return [stream for stream in found if stream is not None]

    def _part(self, shard: int, *data: Any) -> list[Any]:
        at = cut(rows_of(data[0]), self.count)
        rows = slice(at[shard], at[shard + 1])
        x, *others = (_masks.cut(one, rows) for one in data)
        return [self.model._converted("x", x), *others]

    def _reported(self, x: Any, learned: Any) -> Report:
        value, parts, penalties, seen = learned
        objectives = self.objectives
        penalty = float(sum(penalties))
        rows = rows_of(x)
        counted, divisors = objectives.rows(seen) or [rows], objectives.divisors(seen) or [float(rows)]
        if penalty and any(objectives.sums):
            raise NotImplementedError(
                f"{self.model.name}: loss: expected a mean over the batch beside penalties of layers, got the "
                "reduction 'sum': which of the shards' penalties would count is not said"
            )
        measured = seen if objectives.measures else None
        changed = [k for k, v in enumerate(self._statistics) if not np.array_equal(v.value, self._before[k], True)]
        self.reports.append(Report(value + penalty, penalty, parts, rows, counted, divisors, measured, changed))
        return self.reports[-1]


def combined(reports: Sequence[Report], objectives: Any) -> tuple[float, float, list[float], list[int], float]:
    """Return loss, penalty, each output's loss and rows, and what gradients are divided by, of all shards together."""
    sums = objectives.sums or [False]
    divisors = [1.0 if is_sum else _sum([r.divisors[k] for r in reports]) or 1.0 for k, is_sum in enumerate(sums)]
    first = divisors[0]
    for report in reports:
        if any(
            abs(d / whole - report.divisors[0] / first) > 1e-9
            for d, whole in zip(report.divisors, divisors, strict=True)
        ):
            raise NotImplementedError(
                "distribute: expected all outputs' losses to be means over the same rows and steps, or sums; masks, "
                "weights or reductions of the outputs differ"
            )
    whole = sum(r.rows for r in reports)
    if any(r.penalty for r in reports) and any(abs(r.divisors[0] / first - r.rows / whole) > 1e-9 for r in reports):
        raise NotImplementedError(
            "distribute: expected a loss that is a mean over rows beside penalties of layers, which are; got masks or "
            "weights that leave out steps of it, of some shards more than of others"
        )
    rows = [sum(r.counted[k] for r in reports) for k in range(len(sums))]
    parts = [_sum([r.parts[k] * r.divisors[k] for r in reports]) / divisors[k] for k in range(len(reports[0].parts))]
    value = _sum([r.value * r.divisors[0] for r in reports]) / first
    penalty = _sum([r.penalty * r.divisors[0] for r in reports]) / first
    return value, penalty, parts, rows, first


def _sum(numbers: Sequence[float]) -> float:
    """Return the sum in the order of the tree."""

    def number(node: tuple[int, int]) -> float:
        return float(numbers[node[0]])

    return total((0, len(numbers)), lambda node: node[1] - node[0] == 1, number, float.__add__)
