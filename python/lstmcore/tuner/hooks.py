"""What a tuner calls in the course of a search, and what calls it in training."""

from __future__ import annotations

import math
from typing import Any

from ..callbacks import Callback
from .trial import Trial

# What Keras Tuner calls and this one does not, so that a definition would have no effect.
_UNCALLED = {
    "save_model": "the weights of a trial's best epoch are kept by themselves; write more in on_epoch_end",
    "get_state": "the search is kept in Optuna's storage: see oracle.study",
    "set_state": "the search is kept in Optuna's storage: see oracle.study",
    "pre_create_trial": "on_trial_begin(trial) is called for each trial",
    "_build_and_fit_model": "define run_trial(trial, *fit_args, **fit_kwargs)",
    "_populate_space": "what proposes the values is an Optuna sampler, which _sampler(seed) returns",
}


class Hooks:
    """Methods for subclasses of `Tuner` to define; none does anything by itself."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, instead in _UNCALLED.items():
            if name in vars(cls):
                raise TypeError(f"{cls.__name__}: {name}: is not called by this tuner; {instead}")

    def on_search_begin(self) -> None:
        """Called when a search begins or goes on."""

    def on_search_end(self) -> None:
        """Called when a search has come to its end."""

    def on_trial_begin(self, trial: Trial) -> None:
        """Called before a trial; one whose values turn out to have been tried before has no end."""

    def on_trial_end(self, trial: Trial) -> None:
        """Called after a trial, with its outcome."""

    def on_epoch_begin(self, trial: Trial, model: Any, epoch: int, logs: Any = None) -> None:
        """Called before every epoch of a trial's training."""

    def on_epoch_end(self, trial: Trial, model: Any, epoch: int, logs: Any = None) -> None:
        """Called after every epoch of a trial's training."""

    def on_batch_begin(self, trial: Trial, model: Any, batch: int, logs: Any = None) -> None:
        """Called before every batch of a trial's training."""

    def on_batch_end(self, trial: Trial, model: Any, batch: int, logs: Any = None) -> None:
        """Called after every batch of a trial's training."""


def watching(tuner: Any, trial: Trial) -> BestEpoch:
    """Return a callback for the training of a trial; batches are only looked at where somebody wants to know."""
    names = ("on_batch_begin", "on_batch_end")
    each = any(getattr(type(tuner), name) is not getattr(Hooks, name) for name in names)
    return (_EachBatch if each else BestEpoch)(tuner, trial)


class BestEpoch(Callback):
    """Keeps the weights of a trial's best epoch, whichever execution it is of."""

    def __init__(self, tuner: Any, trial: Trial) -> None:
        super().__init__()
        self.model: Any
        self.tuner, self.trial = tuner, trial
        self._best: float | None = None
        self._weights: Any = None

    def begin(self) -> None:
        """Before an execution."""
        self._weights = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Tell the tuner."""
        self.tuner.on_epoch_begin(self.trial, self.model, epoch, dict(logs or {}))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Remember the weights if they are better than those of every epoch before."""
        objective = self.tuner.oracle.objective
        value = (logs or {}).get(objective.name)
        # An objective that is measured after `fit` has no best epoch: the last one counts.
        if value is None or self._best is None or objective.better(value, self._best):
            self._best = value if value is None or not math.isnan(value) else None
            self._weights = self.model.get_weights()
        self.tuner.on_epoch_end(self.trial, self.model, epoch, dict(logs or {}))

    def end(self) -> None:
        """After an execution: write them, once, as the file is only of use when the trial is done."""
        if self._weights is None:
            return
        shape = getattr(self.model, "input_shape", None)
        self.trial.input_shape = list(shape) if isinstance(shape, tuple) else None
        path = self.tuner._weights_file(self.trial)
        path.parent.mkdir(parents=True, exist_ok=True)
        now = self.model.get_weights()
        self.model.set_weights(self._weights)
        self.model.save_weights(path)
        self.model.set_weights(now)


class _EachBatch(BestEpoch):
    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Tell the tuner."""
        self.tuner.on_batch_begin(self.trial, self.model, batch, dict(logs or {}))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Tell the tuner."""
        self.tuner.on_batch_end(self.trial, self.model, batch, dict(logs or {}))
