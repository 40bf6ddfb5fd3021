"""Progress on the screen."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from .. import _screen
from .callback import Callback, Logs


class ProgbarLogger(Callback):
    """Shows the progress of `fit`, `evaluate` or `predict`.

    Parameters
    ----------
    bar : a bar, for a terminal or a notebook; without it a line for each epoch. In the other two, the line when
        all is done. Validation within `fit` shows in the epoch's line only.
    """

    only_reports = True

    def __init__(self, bar: bool = True) -> None:
        super().__init__()
        self.bar = bar
        self._tqdm: Any = None
        self._fitting = False
        self._begin()

    def listens(self, hook: str) -> bool:
        """Return whether a hook shows anything: without a bar a batch does not, but those of unknown number count."""
        if hook.endswith("batch_end") and not self.bar and self.params.get("steps") is not None:
            return False
        return super().listens(hook)

    def _begin(self) -> None:
        self._start = self._shown = time.perf_counter()
        self._seen = 0

    def _advance(self, batch: int, logs: Logs | None) -> None:
        # A few times a second: drawing it can take longer than a batch.
        self._seen = batch + 1
        if not self.bar or time.perf_counter() - self._shown < 0.2:
            return
        if self._tqdm is None:
            self._tqdm = _screen.bar(self.params.get("steps"), since=self._start)
        self._tqdm.set_postfix_str(_format(logs), refresh=False)
        self._tqdm.update(self._seen - self._tqdm.n)
        self._shown = time.perf_counter()

    def _finish(self, logs: Logs | None) -> None:
        seconds, steps = time.perf_counter() - self._start, self.params.get("steps") or self._seen
        if self._tqdm is not None:
            self._tqdm.close()
            self._tqdm = None
        bar = " " + 30 * "━" if self.bar else ""
        milliseconds = 1000 * seconds / max(steps, 1)
        parts = [f"{steps}/{steps}{bar}", f"{seconds:.0f}s", f"{milliseconds:.3g}ms/step"]
        _screen.show(" - ".join([*parts, _format(logs)] if logs else parts))

    # --- in `fit` ---

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Leave validation to the epochs' lines."""
        self._fitting = True

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Announce the epoch."""
        print(f"Epoch {epoch + 1}/{self.params['epochs']}")
        self._begin()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar."""
        self._advance(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Leave the epoch's line."""
        self._finish(logs)

    # --- in `evaluate` ---

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Start the clock."""
        if not self._fitting:
            self._begin()

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar."""
        if not self._fitting:
            self._advance(batch, logs)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Leave a line with the loss and metrics."""
        if not self._fitting:
            self._finish(logs)

    # --- in `predict` ---

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Start the clock."""
        self._begin()

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar."""
        self._advance(batch, None)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Leave a line."""
        self._finish(None)


def _format(logs: Logs | None) -> str:
    # As in Keras, a metric that is an array, a value for each class, is shown as its mean.
    means = {name: float(np.mean(value)) for name, value in (logs or {}).items()}
    return " - ".join(f"{name}: {mean:{'.4f' if abs(mean) > 1e-3 else '.4e'}}" for name, mean in means.items())
