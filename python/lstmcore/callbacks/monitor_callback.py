"""What the callbacks have in common that watch one number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._arguments import among, number
from .._warnings import warn
from .callback import Callback, Logs

ANY = "[-inf, inf]"  # of numbers: infinity is a way to say never

# Parts of the names of what is to rise and to fall, for numbers that no metric of the model knows.
_RISING = ("acc", "auc", "precision", "recall", "f1", "r2")
_FALLING = ("loss", "error", "mse", "mae", "mape", "msle", "crossentropy", "perplexity")


class MonitorCallback(Callback):
    """Base of the callbacks that watch a loss or a metric for improvement.

    Parameters
    ----------
    monitor : its name in the logs, such as "val_loss".
    mode : "min" or "max", what an improvement is; "auto" asks the metric, or else goes by the name.
    baseline : what is to be beaten first, or None.
    min_delta : how much counts as an improvement.

    Attributes
    ----------
    best : the best value so far.

    Raises
    ------
    ValueError
        In the first epoch, if "auto" cannot tell which way is better; or if there is nothing of that name, neither in
        the logs nor among the model's metrics.

    Warns
    -----
    UserWarning
        When there is nothing of that name in the logs, with the names that there are, though the model has such a
        metric or ``mode`` is given; or an array.
    """

    def __init__(
        self, monitor: str = "val_loss", mode: str = "auto", baseline: float | None = None, min_delta: float = 0.0
    ) -> None:
        super().__init__()
        if not among(mode, ("auto", "min", "max")):
            warn(
                f"{type(self).__name__}: mode: expected 'auto', 'min' or 'max', got {mode!r}; 'auto' is used",
            )
            mode = "auto"
        if not isinstance(monitor, str):
            raise TypeError(f"{type(self).__name__}: monitor: expected a name, got {monitor!r}")
        self.monitor, self.mode = monitor, mode
        self.min_delta = abs(number(f"{type(self).__name__}: min_delta", min_delta, ANY))
        self.best = None if baseline is None else number(f"{type(self).__name__}: baseline", baseline, ANY)

    def improves(self, value: float, reference: float | None) -> bool:
        """Return whether a value is better than another by ``min_delta``; NaN never is."""
        rising = self._rising()
        if reference is None:
            reference = -math.inf if rising else math.inf
        return value - self.min_delta > reference if rising else value + self.min_delta < reference

    def _rising(self) -> bool:
        if self.mode != "auto":
            return self.mode == "max"
        name = self.monitor.removeprefix("val_")
        if name == "loss":
            return False
        direction = self._metrics().get(name)
        if direction is not None:
            return direction == "up"
        if name.endswith("_loss"):  # of an output, whatever that is called
            return False
        if any(part in name for part in _RISING):
            return True
        if any(part in name for part in _FALLING):
            return False
        raise ValueError(
            f"{type(self).__name__}: mode: cannot tell whether {self.monitor!r} is to rise or to fall; give mode='max' "
            "or mode='min'"
        )

    def _metrics(self) -> dict[str, str | None]:
        """Return the directions of the model's metrics by the names that they are reported with."""
        return {name: getattr(m, "direction", None) for name, m in self.model.reported_metrics.items()}

    def monitored(self, logs: Logs | None) -> Any:
        """Return the number in the logs, or None with a warning if it is not there or is an array."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            text = (
                f"{type(self).__name__}: monitor: there is no {self.monitor!r} in the logs; available are: "
                f"{', '.join(logs or {})}"
            )
            name = self.monitor.removeprefix("val_")
            if self.mode == "auto" and name != "loss" and name not in self._metrics():
                raise ValueError(f"{text}; if it is to come later, give mode='max' or mode='min'")
            warn(text)
        elif np.ndim(value):
            warn(f"{type(self).__name__}: monitor: expected a number as {self.monitor!r}, got {value!r}")
            return None
        return value
