"""Steps of a model whose batches are cut into shards, which several processes compute."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from .._arguments import positive_integer, shown
from .._tree import rows_of
from ..training.data import together
from .agreement import agree, refuse
from .communicator import Alone, Communicator
from .shards import Report, Shards, combined
from .tree import added, cut, nodes_within, sum_over_all, total


class Distribution:
    """Takes a model's steps in shards: every batch is cut into as many pieces, whatever the number of processes.

    The gradient of a shard is computed as if it were a batch of its own, and what it is a mean over decides how much
    it counts. The sums follow one binary tree over the shards, so that they have the same bits on any number of
    processes, each of which computes a run of shards.

    Parameters
    ----------
    shards : pieces of a batch; at least as many as there are processes.
    communicator : connects the processes; by default there is one.
    """

    def __init__(self, shards: int = 8, communicator: Communicator | None = None) -> None:
        self.shards = positive_integer("shards", shards)
        if communicator is not None and not isinstance(communicator, Communicator):
            raise TypeError(f"communicator: expected a distributed.Communicator or None, got {shown(communicator)}")
        self.communicator = Alone() if communicator is None else communicator
        if self.communicator.size > self.shards:
            raise ValueError(
                f"shards: expected at least one for each of the {self.communicator.size} processes, got {shards}"
            )

    @property
    def is_first(self) -> bool:
        """Whether this is the process that prints, saves and logs."""
        return self.communicator.rank == 0

    def begin(self, model: Any, *data: Any, training: bool = True) -> None:
        """Refuse what would not be the same in all processes; all of them call it when they begin.

        Parameters
        ----------
        data : the sources of batches, the one that is trained on first; None for one that is not there.
        training : whether steps are to be taken.
        """
        if training:
            with self._together():
                refuse(model, data[0], self.shards)
        agree(self.communicator, model, data, self.shards)

    def end(self) -> None:
        """Wait until the first process has written what it writes at the end of a training."""
        self.communicator.barrier()

    # --- steps ---

    def train(self, model: Any, x: Any, y: Any, sample_weight: Any) -> float:
        """Take a step on a batch, of which this process computes its shards; return the loss before it."""
        optimizer, parameters, objectives, _ = model._ready()
        work = Shards(model, objectives, min(self.shards, rows_of(x)))
        optimizer.begin(parameters)
        before = parameters.gradients.copy() if optimizer.accumulating else None
        rank, owners = self.communicator.rank, self._owners(work.count)
        with self._together() as told:
            # Who has no shards of a batch that is too small for all takes a look at the first: masks are drawn then.
            sums = [
                total(node, _is_shard, lambda one: work.learn(one[0], x, y, sample_weight), added)
                for node in owners[rank] or [(0, 1)]
            ]
            told += work.reports if owners[rank] else []
        value, penalty, parts, rows, divisor = combined(told, objectives)
        vector = sum_over_all(self.communicator, sums, owners)
        work.settle(vector, before, divisor, told)
        added_by_weights = 0.0
        for variable in model._regularized:
            added_by_weights += float(variable.regularizer(variable.value))
            variable.gradient += variable.regularizer.gradient(variable.value)
        optimizer.step(parameters)
        return self._measured(model, told, value + added_by_weights, penalty + added_by_weights, parts, rows)

    def test(self, model: Any, x: Any, y: Any, sample_weight: Any, name: str) -> float:
        """Return the loss for a batch, of which this process computes its shards."""
        _, _, objectives, _ = model._ready()
        work = Shards(model, objectives, min(self.shards, rows_of(x)))
        with self._together() as told:
            for node in self._owners(work.count)[self.communicator.rank]:
                for shard in range(*node):
                    work.judge(shard, x, y, sample_weight, name)
            told += work.reports
        value, penalty, parts, rows, _ = combined(told, objectives)
        of_weights = float(sum(v.regularizer(v.value) for v in model._regularized))
        return self._measured(model, told, value + of_weights, penalty + of_weights, parts, rows)

    def outputs(self, predict: Callable[[Any, slice], Any], x: Any) -> Any:
        """Return the outputs for a batch, of which this process computes its rows."""
        size, rows = self.communicator.size, rows_of(x)
        if size == 1 or not rows:
            return predict(x, slice(rows))
        at = cut(rows, size)
        own = slice(at[self.communicator.rank], at[self.communicator.rank + 1])
        with self._together() as told:
            if own.start < own.stop:
                told.append(predict(x, own))
        return together(told)

    def _owners(self, count: int) -> list[Any]:
        """Return the nodes of the tree over so many shards that each process computes."""
        at = cut(count, self.communicator.size)
        return [nodes_within(first, last, count) for first, last in itertools.pairwise(at)]

    @contextlib.contextmanager
    def _together(self) -> Iterator[list[Any]]:
        """Give a list for what this process has to tell; after the block, it is what all have, in their order.

        An exception in the block of one process is one in all.
        """
        told: list[Any] = []
        failed: Exception | None = None
        try:
            yield told
        except Exception as error:
            failed = error
        what = None if failed is None else f"{type(failed).__name__}: {failed}"
        answers = self.communicator.gather((what, told))
        if failed is not None:
            raise failed
        for rank, (message, _) in enumerate(answers):
            if message is not None:
                raise RuntimeError(f"process {rank} of {self.communicator.size}: {message}")
        told[:] = [one for _, of_one in answers for one in of_one]

    def _measured(
        self, model: Any, told: list[Report], value: float, penalty: float, parts: list[float], rows: list[int]
    ) -> float:
        """Let the measures take in a batch: the metrics all shards of it, in their order."""
        _, _, objectives, measures = model._ready()
        measures.update(value, penalty, parts, rows)
        for report in told:
            if report.seen is not None:
                objectives.update(report.seen)
        return value

    def __repr__(self) -> str:
        return f"<{type(self).__name__} shards={self.shards}, processes={self.communicator.size}>"


def _is_shard(node: tuple[int, int]) -> bool:
    return node[1] - node[0] == 1
