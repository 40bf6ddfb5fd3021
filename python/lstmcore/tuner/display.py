"""What a search prints as it goes along."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from .. import _screen
from .._html import html_table
from .oracle import Oracle
from .trial import Trial

_WIDTH = 18
_SHOWN = 10  # trials in a notebook


class Display:
    """Tells of each trial as it begins and ends, unless ``verbose`` is 0."""

    def __init__(self, oracle: Oracle) -> None:
        self.oracle, self.verbose = oracle, 1
        self._bar: Any = None
        self._search = self._trial = time.monotonic()

    @contextlib.contextmanager
    def of_search(self, verbose: Any) -> Iterator[None]:
        """Count the time of a search, and in a notebook with widgets, where it has a place of its own, show a bar."""
        self.verbose = 1 if verbose == "auto" else int(verbose)
        self._search = time.monotonic()
        if self.verbose and _screen.has_widgets():
            self._bar = _screen.bar(self.oracle.max_trials, desc="trials", initial=len(self.oracle.trials))
        try:
            yield
        finally:
            if self._bar is not None:
                self._bar.close()
                self._bar = None

    def begin_trial(self, trial: Trial) -> None:
        """Tell which values are tried."""
        self._trial = time.monotonic()
        if not self.verbose:
            return
        best = self.oracle.get_best_trials()
        known = best[0].hyperparameters.values if best else None
        print(f"\nSearch: Running Trial #{len(self.oracle.trials)}\n")
        if not trial.hyperparameters.values:
            print("default configuration\n")
            return
        rows = [("Value", "Best Value So Far", "Hyperparameter")]
        for name, value in trial.hyperparameters.values.items():
            rows.append((_text(value), "?" if known is None else _text(known.get(name)), name))
        print("\n".join(f"{value:{_WIDTH}}|{other:{_WIDTH}}|{name}" for value, other, name in rows), end="\n\n")

    def end_trial(self, trial: Trial) -> None:
        """Tell what came of it, and what is best so far."""
        if not self.verbose:
            return
        outcome = "Failed" if trial.status == "FAILED" else "Pruned" if trial.pruned else "Complete"
        print(f"\nTrial {len(self.oracle.trials)} {outcome} [{_duration(time.monotonic() - self._trial)}]")
        name, best = self.oracle.objective.name, self.oracle.get_best_trials()
        if self._bar is not None:
            if best:
                self._bar.set_postfix_str(f"best {name}: {_text(best[0].score)}", refresh=False)
            self._bar.update(len(self.oracle.trials) - self._bar.n)
        if trial.score is not None:
            print(f"{name}: {trial.score}")
        print(f"\nBest {name} So Far: {best[0].score if best else None}")
        print(f"Total elapsed time: {_duration(time.monotonic() - self._search)}", flush=True)


def html_trials(oracle: Oracle, title: str) -> str:
    """Return the best trials for a notebook, the best first."""
    best = oracle.get_best_trials(_SHOWN)
    names = list(dict.fromkeys(name for trial in best for name in trial.hyperparameters.values))
    rows = []
    for trial in best:
        values = trial.hyperparameters.values
        tried = (_text(values[name]) if name in values else "" for name in names)
        rows.append([trial.trial_id, "" if trial.score is None else _text(trial.score), *tried])
    below = [f"the best {len(best)} of {len(oracle.trials)} trials"]
    return html_table(title, ["trial", oracle.objective.name, *names], rows, below, right=range(2 + len(names)))


def _text(value: Any) -> str:
    text = f"{value:.5g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)
    return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}h {minutes:02d}m {rest:02d}s"
