"""Values at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .oracle import import_optuna
from .tuner import Tuner

if TYPE_CHECKING:
    import optuna


class RandomSearch(Tuner):
    """Tries values drawn at random; none of them twice, so that a small space comes to an end.

    ::

        tuner = RandomSearch(build_model, objective="val_loss", max_trials=20, directory="results")
        tuner.search(x, y, epochs=10, validation_split=0.2)
        model = tuner.get_best_models()[0]

    The arguments are those of `Tuner`.

    Bergstra, J. & Bengio, Y. (2012), Random search for hyper-parameter optimization, JMLR 13.
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int = 10,
        seed: int | None = None,
        hyperparameters: Any = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        **options: Any,
    ) -> None:
        super().__init__(
            hypermodel,
            objective,
            max_trials,
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
