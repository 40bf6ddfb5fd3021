"""Many trials for few epochs, the best of them for more."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .._arguments import positive_integer
from .oracle import import_optuna
from .trial import Trial
from .tuner import Tuner

if TYPE_CHECKING:
    import optuna


class Hyperband(Tuner):
    """Draws values at random and stops a trial as soon as too many others did better after as many epochs.

    ::

        tuner = Hyperband(build_model, objective="val_loss", max_epochs=27, directory="results")
        tuner.search(x, y, validation_split=0.2)

    A trial is trained once, up to the epoch where it is stopped; Keras Tuner stops all and takes up
    the best again, in rounds. With several executions, the first decides whether there are others.

    Parameters
    ----------
    hypermodel, objective, seed, … : as in `Tuner`.
    max_epochs : the number of epochs of a trial that is never stopped; `fit`'s ``epochs`` is that.
    factor : one trial in so many goes on, to so many times the epochs.
    hyperband_iterations : how often to go through all brackets: an iteration begins as many trials
        as Keras Tuner's does.
    **options : as in `Tuner`.

    References
    ----------
    Li, L., Jamieson, K., DeSalvo, G., Rostamizadeh, A. & Talwalkar, A. (2018), Hyperband: a novel
    bandit-based approach to hyperparameter optimization, JMLR 18.
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_epochs: int = 100,
        factor: int = 3,
        hyperband_iterations: int = 1,
        seed: int | None = None,
        hyperparameters: Any = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        **options: Any,
    ) -> None:
        self.max_epochs, self.factor = positive_integer("max_epochs", max_epochs), positive_integer("factor", factor)
        if self.factor < 2:
            raise ValueError(f"factor: expected 2 at least, got {factor}")
        iterations = positive_integer("hyperband_iterations", hyperband_iterations)
        super().__init__(
            hypermodel,
            objective,
            iterations * _trials(self.max_epochs, self.factor),
            seed=seed,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
            **options,
        )

    def _sampler(self, seed: int | None) -> optuna.samplers.BaseSampler:
        sampler: optuna.samplers.BaseSampler = import_optuna().samplers.RandomSampler(seed=seed)
        return sampler

    def _pruner(self) -> optuna.pruners.BasePruner:
        pruner: optuna.pruners.BasePruner = import_optuna().pruners.HyperbandPruner(
            min_resource=1, max_resource=self.max_epochs, reduction_factor=self.factor
        )
        return pruner

    def run_trial(self, trial: Trial, *fit_args: Any, **fit_kwargs: Any) -> Any:
        """Train for ``max_epochs``."""
        self._reporting: Any = None  # the model of the first execution
        return super().run_trial(trial, *fit_args, **{**fit_kwargs, "epochs": self.max_epochs})

    def on_epoch_end(self, trial: Trial, model: Any, epoch: int, logs: Any = None) -> None:
        """Report the objective and stop if the trial is to end here."""
        value = logs.get(self.oracle.objective.name)
        if self._reporting is None:
            self._reporting = model
        # A second attempt comes to epochs that were reported before.
        if model is not self._reporting or trial.live is None or value is None or epoch < trial.reported:
            return
        trial.reported = epoch + 1
        if not math.isnan(value):
            trial.live.report(value, step=epoch + 1)
        if epoch + 1 < self.max_epochs and trial.live.should_prune():
            trial.pruned = model.stop_training = True


def _trials(max_epochs: int, factor: int) -> int:
    """Return how many trials an iteration of Keras Tuner begins: the first rounds of all brackets together."""
    brackets = 0
    while factor**brackets <= max_epochs:
        brackets += 1
    last = brackets + (factor ** (brackets - 1) != max_epochs)  # ceil(1 + log(max_epochs, factor))
    return sum(-(-last * factor**bracket // (bracket + 1)) for bracket in range(brackets))
