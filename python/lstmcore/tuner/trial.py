"""One set of hyper-parameters, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .hyperparameters import HyperParameters

if TYPE_CHECKING:
    import optuna


class FailedTrialError(Exception):
    """Raise this in ``build`` or ``fit`` to give up a trial without another attempt."""


class DuplicateError(Exception):
    """The values are those of an earlier trial."""


@dataclass
class Trial:
    """A trial of a tuner.

    Attributes
    ----------
    trial_id : its number, as a string.
    hyperparameters : its `HyperParameters`.
    status : "RUNNING", "COMPLETED" or "FAILED".
    score : the objective, None if there is none.
    best_step : the epoch, from 0, that the score and the weights are of.
    metrics : what else was measured then.
    message : why it failed.
    pruned : whether it was stopped because others did better.
    """

    trial_id: str
    hyperparameters: HyperParameters
    status: str = "RUNNING"
    score: float | None = None
    best_step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    message: str | None = None
    pruned: bool = False
    input_shape: list[int | None] | None = None  # of its models, for one that is built by its first data
    reported: int = field(default=0, repr=False)  # epochs that Optuna has heard of
    live: optuna.Trial | None = field(default=None, repr=False)  # while it is running here

    def summary(self) -> None:
        """Print the hyper-parameters and the score."""
        print(f"\nTrial {self.trial_id} summary")
        print("Hyperparameters:")
        for name, value in self.hyperparameters.values.items():
            print(f"{name}: {value}")
        if not self.hyperparameters.values:
            print("default configuration")
        if self.score is not None:
            print(f"Score: {self.score}")
        if self.message is not None:
            print(self.message)
