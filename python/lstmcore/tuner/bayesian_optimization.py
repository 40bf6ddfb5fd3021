"""Values where a model of the trials so far expects improvement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._arguments import positive_integer
from .oracle import import_optuna
from .tuner import Tuner

if TYPE_CHECKING:
    import optuna


class BayesianOptimization(Tuner):
    """Tries values that a model of the trials so far holds promising.

    The model is Optuna's tree-structured Parzen estimator; Keras Tuner's is a Gaussian process.

    ::

        tuner = BayesianOptimization(build_model, objective="val_loss", max_trials=50, directory="results")
        tuner.search(x, y, epochs=10, validation_split=0.2)

    Parameters
    ----------
    hypermodel, objective, max_trials, seed, … : as in `Tuner`.
    num_initial_points : how many trials to draw at random first; 10 by default.
    alpha, beta : of the Gaussian process: accepted and without effect.
    **options : as in `Tuner`.

    References
    ----------
    Bergstra, J., Bardenet, R., Bengio, Y. & Kégl, B. (2011), Algorithms for hyper-parameter
    optimization, NIPS 24.
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int = 10,
        num_initial_points: int | None = None,
        alpha: float = 1e-4,
        beta: float = 2.6,
        seed: int | None = None,
        hyperparameters: Any = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        **options: Any,
    ) -> None:
        self.num_initial_points = positive_integer(
            "num_initial_points", 10 if num_initial_points is None else num_initial_points
        )
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
        sampler: optuna.samplers.BaseSampler = import_optuna().samplers.TPESampler(
            seed=seed, n_startup_trials=self.num_initial_points
        )
        return sampler
