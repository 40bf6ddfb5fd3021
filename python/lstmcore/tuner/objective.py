"""What makes one trial better than another."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from .. import metrics
from ..callbacks import History

# The names that `compile` takes for one metric or another, as the loss and the outputs are.
_CHOSEN_BY_COMPILE = {"acc": "accuracy", "ce": "categorical_crossentropy", "crossentropy": "categorical_crossentropy"}


@dataclass(frozen=True)
class Objective:
    """The name of a loss or metric as `fit` logs it, such as "val_loss", and "min" or "max".

    >>> from lstmcore.tuner import Objective
    >>> Objective("val_accuracy", "max").better(0.9, 0.8)
    True
    """

    name: str
    direction: str

    def __post_init__(self) -> None:
        if self.direction not in ("min", "max"):
            raise ValueError(f"direction: expected 'min' or 'max', got {self.direction!r}")

    def better(self, a: float, b: float) -> bool:
        """Return whether a is better than b."""
        return a > b if self.direction == "max" else a < b

    def best(self, results: Any, where: str) -> tuple[dict[str, float], int]:
        """Return the metrics of a trial and the epoch, from 0, that they are of.

        Parameters
        ----------
        results : a `History`, whose best epoch counts; a dict of metrics; a number; or a list of
            these, one for each execution, over which the metrics are averaged.
        where : the function whose results they are, for errors.
        """
        if isinstance(results, (list, tuple)) and results:
            parts = [self.best(result, where) for result in results]
            averages = {name: fmean(values[name] for values, _ in parts) for name in parts[0][0]}
            return averages, int(fmean(epoch for _, epoch in parts))
        if isinstance(results, (int, float, np.integer, np.floating)):
            return {self.name: float(results)}, 0
        table: Any = results.history if isinstance(results, History) else results
        if not isinstance(table, Mapping):
            raise TypeError(f"{where}: expected a History, a dict, a number or a list of these, got {results!r}")
        if self.name not in table:
            raise ValueError(f"objective: expected one of {sorted(table)}, got {self.name!r}")
        if not isinstance(results, History):
            return {name: float(value) for name, value in table.items()}, 0
        values = np.asarray(table[self.name], float)
        if values.ndim > 1:
            raise ValueError(f"objective: expected a number for every epoch, got {self.name!r} as an array")
        if np.isnan(values).all():
            epoch = 0
        else:
            epoch = int(np.nanargmax(values) if self.direction == "max" else np.nanargmin(values))
        columns = {name: column for name, column in table.items() if len(column) == len(values)}
        return {name: float(column[epoch]) for name, column in columns.items() if not np.ndim(column[epoch])}, epoch


def get(objective: str | Objective | None) -> Objective:
    """Return an `Objective` for one or for a name whose direction is known; None stands for what a function returns."""
    if objective is None:
        return Objective("default_objective", "min")
    if isinstance(objective, Objective):
        return objective
    if not isinstance(objective, str):
        raise TypeError(f"objective: expected a name or an Objective, got {objective!r}")
    name = re.sub(r"_\d+$", "", objective.removeprefix("val_"))
    if name == "loss" or name.endswith("_loss"):
        return Objective(objective, "min")
    try:
        name = _CHOSEN_BY_COMPILE.get(name, name)
        direction = {"up": "max", "down": "min"}[str(getattr(metrics.get(name), "direction", None))]
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"objective: whether {objective!r} is to be small or large is not known; "
            f"give Objective({objective!r}, 'min') or 'max'"
        ) from None
    return Objective(objective, direction)
