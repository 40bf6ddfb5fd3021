"""Which trials there are and which comes next: a study of Optuna's."""

from __future__ import annotations

import os
import platform
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._arguments import flag, integer, positive_integer
from .hyperparameters import HyperParameters
from .objective import Objective
from .spaces import Space
from .trial import Trial

if TYPE_CHECKING:
    import optuna

_OUTCOME = ("score", "best_step", "metrics", "message", "pruned", "input_shape")  # of a Trial, kept beside Optuna's

# So many times in a row may the values proposed be those of an earlier trial before all count as tried.
_MAX_COLLISIONS = 20

_ATTEMPTS = 50  # to open a database that others are making the tables of


def import_optuna() -> Any:
    """Return Optuna, or tell how to have it."""
    try:
        import optuna
    except ImportError:
        raise ImportError('lstmcore.tuner searches with Optuna: pip install "lstmcore[tuner]"') from None
    return optuna


class Oracle:
    """The trials of a search, in Optuna's storage.

    Attributes
    ----------
    objective, max_trials : the tuner's.
    space : the hyper-parameters that the trials so far have asked for.
    study : the study, with everything that Optuna offers for it.
    """

    def __init__(
        self,
        objective: Objective,
        max_trials: int | None,
        sampler: Callable[[int | None], optuna.samplers.BaseSampler],
        pruner: optuna.pruners.BasePruner | None,
        seed: int | None,
        hyperparameters: HyperParameters | None,
        tune_new_entries: bool,
        allow_new_entries: bool,
        folder: Path,
        name: str,
        storage: Any,
        overwrite: bool,
    ) -> None:
        self.objective = objective
        self.max_trials = None if max_trials is None else positive_integer("max_trials", max_trials)
        if not isinstance(hyperparameters, (HyperParameters, type(None))):
            raise TypeError(f"hyperparameters: expected HyperParameters or None, got {hyperparameters!r}")
        if seed is not None and not 0 <= integer("seed", seed) < 2**32:
            raise ValueError(f"seed: expected an integer from 0 to 2**32 - 1 or None, got {seed!r}")
        self.hyperparameters = hyperparameters.copy() if hyperparameters is not None else HyperParameters()
        self.tune_new_entries = flag("tune_new_entries", tune_new_entries)
        self.allow_new_entries = flag("allow_new_entries", allow_new_entries)
        for argument, given in (("tune_new_entries", tune_new_entries), ("allow_new_entries", allow_new_entries)):
            if not given and hyperparameters is None:
                raise ValueError(f"{argument}: expected hyperparameters to be given too if it is False, got None")
        self._sampler, self._seed = sampler, seed
        self._optuna = import_optuna()
        self._collisions = 0
        self.space: dict[str, Space] = {}
        with _quiet(self._optuna):
            storage = _opened(self._optuna, storage)
            if storage is None:
                journal = self._optuna.storages.journal
                storage = journal.JournalStorage(journal.JournalFileBackend(str(folder / "journal.log")))
            elif overwrite:
                studies = self._optuna.get_all_study_names(storage)
                if name in studies:
                    self._optuna.delete_study(study_name=name, storage=storage)
            self.study: optuna.Study = self._optuna.create_study(
                storage=storage,
                study_name=name,
                direction="maximize" if objective.direction == "max" else "minimize",
                pruner=pruner or self._optuna.pruners.NopPruner(),
                sampler=sampler(seed),
                load_if_exists=True,
            )
        if self.study.direction.name.lower()[:3] != objective.direction:
            raise ValueError(
                f"objective: expected the direction of the search that {name!r} holds, "
                f"{self.study.direction.name.lower()}, got {objective}; overwrite=True starts it anew"
            )

    # --- trials that are done ---

    @property
    def trials(self) -> dict[str, Trial]:
        """The trials by their ``trial_id``, running ones included."""
        return {f"{t.number:04d}": self._trial(t) for t in self._counted()}

    def get_trial(self, trial_id: str) -> Trial:
        """Return the trial of that id."""
        trials = self.trials
        if trial_id not in trials:
            raise KeyError(f"trial_id: expected one of {list(trials)}, got {trial_id!r}")
        return trials[trial_id]

    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """Return the best trials that are done, the best first."""
        done = [t for t in self.trials.values() if t.status == "COMPLETED" and t.score is not None]
        sign = -1 if self.objective.direction == "max" else 1
        return sorted(done, key=lambda t: sign * (t.score or 0.0))[:num_trials]

    def remaining_trials(self) -> int | None:
        """Return how many of ``max_trials`` have not been begun; None without a limit."""
        return None if self.max_trials is None else max(0, self.max_trials - len(self._counted()))

    def failed_in_a_row(self) -> list[Trial]:
        """Return the trials that failed since the last that did not, by the order they were begun in."""
        failed: list[Trial] = []
        for trial in reversed(self.trials.values()):
            if trial.status == "COMPLETED":
                break
            failed += [trial] if trial.status == "FAILED" else []
        return failed[::-1]

    def _counted(self) -> list[optuna.trial.FrozenTrial]:
        # A failure has an outcome; what failed without one was not carried out.
        state = self._optuna.trial.TrialState
        trials = self.study.get_trials(deepcopy=False)
        return [t for t in trials if t.state != state.FAIL or "outcome" in t.user_attrs]

    def _trial(self, frozen: optuna.trial.FrozenTrial) -> Trial:
        hp = HyperParameters()
        outcome = dict(frozen.user_attrs.get("outcome", {}))
        hp.values = outcome.pop("values", None) or dict(frozen.user_attrs.get("values", {}))
        state = {"COMPLETE": "COMPLETED", "PRUNED": "COMPLETED", "FAIL": "FAILED"}.get(frozen.state.name, "RUNNING")
        return Trial(f"{frozen.number:04d}", hp, state, **outcome)

    # --- trials to be done ---

    def create_trial(self) -> Trial | None:
        """Begin a trial; None if there are to be no more."""
        states = self._optuna.trial.TrialState
        waiting = any(t.state == states.WAITING for t in self.study.get_trials(deepcopy=False))
        if self._collisions > _MAX_COLLISIONS or (self.remaining_trials() == 0 and not waiting):
            return None
        # Each trial draws with a seed of its own, so that a search that goes on does not begin from the start.
        self.study.sampler = self._sampler(self._seed_of(len(self.study.get_trials(deepcopy=False))))
        live = self.study.ask()
        self.study.sampler = self._sampler(self._seed_of(live.number))
        # Another worker may have begun the last one meanwhile: the lower numbers come first.
        before = sum(t.number < live.number for t in self._counted())
        if self.max_trials is not None and before >= self.max_trials:
            self.study.tell(live, state=states.FAIL)
            return None
        live.set_user_attr("worker", _worker())
        trial = Trial(f"{live.number:04d}", HyperParameters(), live=live)
        declared = {space.key for space in self.hyperparameters.space}

        def draw(space: Space) -> Any:
            if space.key not in declared:
                if not self.allow_new_entries:
                    raise ValueError(f"allow_new_entries: {space.name!r} is not among the hyperparameters given")
                if not self.tune_new_entries:
                    return space.default
            return space.draw(live)

        trial.hyperparameters = self.hyperparameters.drawing(draw)
        return trial

    def _seed_of(self, number: int) -> int | None:
        if self._seed is None:
            return None
        return int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])

    def is_duplicate(self, trial: Trial) -> bool:
        """Return whether an earlier trial has these values, and remember them as this one's."""
        assert trial.live is not None
        values = trial.hyperparameters.values
        trial.live.set_user_attr("values", values)
        return any(t.number < trial.live.number and t.user_attrs.get("values") == values for t in self._counted())

    def end_trial(self, trial: Trial) -> None:
        """Record what came of a trial: see its status."""
        assert trial.live is not None
        self._collisions = 0
        self.hyperparameters_seen(trial.hyperparameters)
        # At once: each attribute is a line in a file that is then forced to the disk.
        outcome = {name: getattr(trial, name) for name in _OUTCOME}
        trial.live.set_user_attr("outcome", {"values": trial.hyperparameters.values, **outcome})
        states = self._optuna.trial.TrialState
        if trial.status == "FAILED":
            self.study.tell(trial.live, state=states.FAIL)
        elif trial.pruned:
            self.study.tell(trial.live, state=states.PRUNED)
        else:
            self.study.tell(trial.live, trial.score)
        trial.live = None

    def discard_trial(self, trial: Trial, duplicate: bool = False) -> None:
        """Forget a trial that was not carried out; unless it was a duplicate, its values come again."""
        assert trial.live is not None
        self.study.tell(trial.live, state=self._optuna.trial.TrialState.FAIL)
        if duplicate:
            self._collisions += 1
        else:
            self.study.enqueue_trial(trial.live.params)
        trial.live = None

    def reclaim_trials(self) -> None:
        """Put the trials in line again that processes of this machine have left without an end."""
        states = self._optuna.trial.TrialState
        for frozen in self.study.get_trials(deepcopy=False, states=(states.RUNNING,)):
            worker = frozen.user_attrs.get("worker")
            if worker is not None and not _alive(worker):
                self.study.tell(frozen.number, state=states.FAIL)
                self.study.enqueue_trial(frozen.params)

    # --- the space ---

    def hyperparameters_seen(self, hp: HyperParameters) -> None:
        """Remember which hyper-parameters a trial has asked for."""
        self.space |= {space.key: space for space in hp.space}


def _opened(optuna: Any, storage: Any) -> Any:
    """Return a database given by its address, with its tables made; anything else as it is.

    Workers that start at the same time make them at the same time: a table that another has made meanwhile, or a row in
    it, is an error to the database, and there the next time.
    """
    if not isinstance(storage, str):
        return storage
    pause = random.SystemRandom()  # the seeds of the search, and the user's, are not for this
    for _ in range(_ATTEMPTS):
        try:
            return optuna.storages.get_storage(storage)
        except Exception as error:
            if type(error).__name__ != "IntegrityError" and not re.search("already exists|is locked", str(error)):
                raise
            time.sleep(pause.uniform(0, 0.05))
    return optuna.storages.get_storage(storage)


def _worker() -> str:
    return f"{platform.node()}:{os.getpid()}"


def _alive(worker: str) -> bool:
    node, _, process = worker.rpartition(":")
    if node != platform.node() or os.name != "posix":
        return True  # nobody here can tell
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Keep Optuna from telling of every study, and leave its settings as they were."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(before, optuna.logging.WARNING))
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
