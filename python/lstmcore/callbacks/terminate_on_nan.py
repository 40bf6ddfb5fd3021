"""Stop at the first loss that is no number."""

from __future__ import annotations

import math

from .._arguments import flag
from .callback import Callback, Logs


class TerminateOnNaN(Callback):
    """Stops training when the loss is NaN or infinite.

    Parameters
    ----------
    raise_error : raise RuntimeError instead, so that no callback's ``on_train_end`` is called.
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = flag("TerminateOnNaN: raise_error", raise_error)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Look at the loss."""
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(f"TerminateOnNaN: the loss is {loss} at batch {batch}")
        self._say(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True
