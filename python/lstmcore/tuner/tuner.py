"""The search itself: trial after trial, each trained and measured."""

from __future__ import annotations

import copy
import math
import os
import shutil
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._arguments import ArgumentTypeError, flag, integer, positive_integer
from .._arguments import path as checked_path
from . import hypermodel as hypermodels
from . import objective as objectives
from .display import Display, html_trials
from .hooks import Hooks, watching
from .hypermodel import HyperModel
from .hyperparameters import HyperParameters
from .objective import Objective
from .oracle import Oracle, import_optuna
from .trial import DuplicateError, FailedTrialError, Trial

if TYPE_CHECKING:
    import optuna

# Arguments of Keras Tuner's, and what to do instead.
_NOT_TAKEN = {
    "oracle": "RandomSearch, BayesianOptimization and Hyperband have their own, which take its arguments",
    "distribution_strategy": "run the same program several times, with one storage= and project_name=",
    "tuner_id": "processes with one storage= and project_name= share a search without names",
    "logger": "define on_trial_end(trial) in a subclass",
}


class Tuner(Hooks):
    """Base of the tuners: `RandomSearch`, `BayesianOptimization`, `Hyperband`.

    Parameters
    ----------
    hypermodel : a function ``build(hp)`` that returns a compiled model, or a `HyperModel`. None for
        a subclass whose `run_trial` needs none.
    objective : the name of a loss or metric as `fit` logs it, or an `Objective`. None if trials
        return a number, which is then to be small.
    max_trials : how many sets of values to try.
    executions_per_trial : how many models to train for each; the score is the average.
    seed : decides the values tried, not the models' weights; None draws them anew each time.
    hyperparameters : a `HyperParameters` whose declarations go before those of the hypermodel.
    tune_new_entries : False leaves at their defaults those that ``hyperparameters`` has not.
    allow_new_entries : False makes asking for such a one an error.
    max_retries_per_trial : how often to try again when building or training raises an error, or the
        objective is NaN.
    max_consecutive_failed_trials : so many failures, one after the other, end the search.
    directory, project_name : where the search and the weights of its best epochs are kept; a search
        that is there already goes on.
    overwrite : whether to forget it instead.
    storage : the URL, or the storage, of a data base as Optuna takes them, to keep the search in
        instead: several processes with the same ``project_name`` then share its trials, and with a
        common ``directory`` the weights.
    max_model_size : a model with more numbers in its weights than this fails its trial.
    optimizer, loss, metrics : compile the models with these instead.
    **options : none; of Keras Tuner's further arguments the error says what to do instead.

    Attributes
    ----------
    oracle : the trials: ``oracle.get_best_trials(n)``, ``oracle.get_trial(trial_id)``, ``oracle.study``.
    """

    def __init__(
        self,
        hypermodel: HyperModel | Callable[[HyperParameters], Any] | None = None,
        objective: str | Objective | None = None,
        max_trials: int | None = None,
        *,
        executions_per_trial: int = 1,
        seed: int | None = None,
        hyperparameters: HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        directory: str | os.PathLike[str] | None = None,
        project_name: str | None = None,
        overwrite: bool = False,
        storage: Any = None,
        max_model_size: int | None = None,
        optimizer: Any = None,
        loss: Any = None,
        metrics: Any = None,
        **options: Any,
    ) -> None:
        for name in options:
            if name not in _NOT_TAKEN:
                raise ArgumentTypeError(f"{type(self).__name__} got an unexpected argument {name!r}")
            if options[name] is not None:
                raise NotImplementedError(f"{type(self).__name__}: {name}: is not offered; {_NOT_TAKEN[name]}")
        if hypermodel is None and type(self).run_trial is Tuner.run_trial:
            raise ValueError("hypermodel: expected a HyperModel or a function build(hp), got None")
        import_optuna()
        self.hypermodel = None if hypermodel is None else hypermodels.get(hypermodel)
        self.executions_per_trial = positive_integer("executions_per_trial", executions_per_trial)
        self.max_retries_per_trial = integer("max_retries_per_trial", max_retries_per_trial)
        if self.max_retries_per_trial < 0:
            raise ValueError(f"max_retries_per_trial: expected an integer from 0 on, got {max_retries_per_trial!r}")
        self.max_consecutive_failed_trials = positive_integer(
            "max_consecutive_failed_trials", max_consecutive_failed_trials
        )
        self.max_model_size = max_model_size
        compiled = {"optimizer": optimizer, "loss": loss, "metrics": metrics}
        self._compile = {name: value for name, value in compiled.items() if value is not None}
        self.directory = Path("." if directory is None else checked_path("directory", directory))
        self.project_name = project_name or "untitled_project"
        self.project_dir.mkdir(parents=True, exist_ok=True)
        if flag("overwrite", overwrite):
            # What is ours alone: somebody may keep other things there.
            for path in (*self.project_dir.glob("journal.log*"), *self.project_dir.glob("trial_*")):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.oracle = Oracle(
            objectives.get(objective),
            max_trials,
            self._sampler,
            self._pruner(),
            seed,
            hyperparameters,
            tune_new_entries,
            allow_new_entries,
            self.project_dir,
            self.project_name,
            storage,
            overwrite,
        )
        self._display = Display(self.oracle)

    # --- for the subclasses ---

    def _sampler(self, seed: int | None) -> optuna.samplers.BaseSampler:
        """Return what proposes the values."""
        raise NotImplementedError(f"{type(self).__name__}: use RandomSearch, BayesianOptimization or Hyperband")

    def _pruner(self) -> optuna.pruners.BasePruner | None:
        """Return what stops trials early, if anything does."""
        return None

    # --- the search ---

    def search(self, *fit_args: Any, **fit_kwargs: Any) -> None:
        """Carry out trials until there are ``max_trials``; the arguments are those of `fit`.

        A trial that raises an error is recorded and does not end the search, unless too many do; an
        interruption ends it, and that trial is carried out again when the search goes on.

        Raises
        ------
        RuntimeError
            ``max_consecutive_failed_trials`` have failed.
        ValueError, TypeError
            The objective is not among the metrics.
        """
        self.oracle.reclaim_trials()
        with self._display.of_search(fit_kwargs.get("verbose", 1)):
            self.on_search_begin()
            self._search(fit_args, fit_kwargs)
            self.on_search_end()

    def _search(self, fit_args: Any, fit_kwargs: Any) -> None:
        while (trial := self.oracle.create_trial()) is not None:
            try:
                self._carry_out(trial, fit_args, fit_kwargs)
            except BaseException:
                if trial.live is not None:
                    self.oracle.discard_trial(trial)
                raise
            failed = self.oracle.failed_in_a_row()
            if len(failed) >= self.max_consecutive_failed_trials:
                raise RuntimeError(
                    f"max_consecutive_failed_trials: {len(failed)} trials failed, the last with\n{failed[-1].message}"
                )

    def _carry_out(self, trial: Trial, fit_args: Any, fit_kwargs: Any) -> None:
        self.on_trial_begin(trial)
        for left in range(self.max_retries_per_trial, -1, -1):
            try:
                results = self.run_trial(trial, *fit_args, **fit_kwargs)
            except DuplicateError:
                self.oracle.discard_trial(trial, duplicate=True)
                return
            except Exception as error:
                trial.message = "".join(traceback.format_exception(error))
                if self._display.verbose:
                    print(trial.message)
                if isinstance(error, FailedTrialError):
                    break
            else:
                where = f"{type(self).__name__}: run_trial"
                trial.metrics, trial.best_step = self.oracle.objective.best(results, where)
                score = trial.metrics[self.oracle.objective.name]
                if not math.isnan(score):
                    trial.score, trial.status, trial.message = score, "COMPLETED", None
                    break
                trial.message = f"the objective {self.oracle.objective.name} is NaN"
            if left:
                print(f"Trial {trial.trial_id} failed, {left} attempts left")
        if trial.score is None:
            trial.status, trial.metrics = "FAILED", {}
        self.oracle.end_trial(trial)
        self._display.end_trial(trial)
        self.on_trial_end(trial)

    def run_trial(self, trial: Trial, *fit_args: Any, **fit_kwargs: Any) -> Any:
        """Build and train models with ``trial.hyperparameters``; return the history of each.

        A subclass may do something else and return a number, or a dict with the objective.
        """
        assert self.hypermodel is not None
        callbacks = list(fit_kwargs.pop("callbacks", None) or ())
        best = watching(self, trial)
        histories = []
        for execution in range(self.executions_per_trial):
            model = self._build(trial, announce=execution == 0)
            try:
                copies = copy.deepcopy(callbacks)
            except Exception as error:
                raise ValueError(f"callbacks: each execution needs copies, and copying failed: {error}") from error
            best.begin()
            results = self.hypermodel.fit(
                trial.hyperparameters, model, *fit_args, callbacks=[*copies, best], **fit_kwargs
            )
            best.end()
            histories.append(results)
            if trial.pruned:
                break
        return histories

    def _build(self, trial: Trial, announce: bool) -> Any:
        model = self._model(trial.hyperparameters)
        if announce:  # only now are its values known
            if self.oracle.is_duplicate(trial):
                raise DuplicateError
            self._display.begin_trial(trial)
        return model

    def _model(self, hp: HyperParameters) -> Any:
        assert self.hypermodel is not None
        # A hypermodel that is not tunable gets an object of its own, with the defaults.
        model = self.hypermodel.build(hp if getattr(self.hypermodel, "tunable", True) else HyperParameters())
        if not hasattr(model, "fit"):
            raise TypeError(f"hypermodel: expected build to return a model, got {model!r}")
        if self._compile:
            now = {"optimizer": model.optimizer, "loss": model.loss}
            model.compile(**{**now, **self._compile})
        if self.max_model_size is not None and model.built and model.count_params() > self.max_model_size:
            raise FailedTrialError(
                f"max_model_size: expected {self.max_model_size} parameters at most, got {model.count_params()}"
            )
        return model

    # --- results ---

    @property
    def project_dir(self) -> Path:
        """The folder of this search."""
        return self.directory / self.project_name

    @property
    def remaining_trials(self) -> int | None:
        """How many trials there are still to be begun."""
        return self.oracle.remaining_trials()

    def _weights_file(self, trial: Trial) -> Path:
        return self.project_dir / f"trial_{trial.trial_id}" / "best.weights.safetensors"

    def load_model(self, trial: Trial) -> Any:
        """Return the model of a trial with the weights of its best epoch."""
        model = self._model(trial.hyperparameters)
        if not model.built and trial.input_shape is not None:
            model.build(tuple(trial.input_shape))
        model.load_weights(self._weights_file(trial))
        return model

    def get_best_models(self, num_models: int = 1) -> list[Any]:
        """Return the models of the best trials, with the weights of their best epochs, the best first.

        Training anew with the best hyper-parameters and all the data is often better still.
        """
        return [self.load_model(trial) for trial in self.oracle.get_best_trials(num_models)]

    def get_best_hyperparameters(self, num_trials: int = 1) -> list[HyperParameters]:
        """Return the hyper-parameters of the best trials, the best first, to build models with."""
        return [trial.hyperparameters for trial in self.oracle.get_best_trials(num_trials)]

    def results_summary(self, num_trials: int = 10) -> None:
        """Print the best trials."""
        print("Results summary")
        print(f"Results in {self.project_dir}")
        print(f"Showing {num_trials} best trials")
        print(self.oracle.objective)
        for trial in self.oracle.get_best_trials(num_trials):
            trial.summary()

    def _repr_html_(self) -> str:
        return html_trials(self.oracle, f"{type(self).__name__}: {self.project_dir}")

    def search_space_summary(self, extended: bool = False) -> None:
        """Print the hyper-parameters known so far; before the search, those of a model with the defaults."""
        hp = self.oracle.hyperparameters.copy()
        if self.hypermodel is not None:
            self._model(hp)
        self.oracle.hyperparameters_seen(hp)
        print("Search space summary")
        print(f"Default search space size: {len(self.oracle.space)}")
        for space in self.oracle.space.values():
            print(f"{space.name} ({type(space).__name__})")
            print({name: value for name, value in vars(space).items() if name not in ("name", "_arguments")})
