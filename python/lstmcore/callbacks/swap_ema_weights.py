"""Evaluate with averaged weights."""

from __future__ import annotations

from typing import Any

from .._arguments import flag
from .callback import Callback, Logs


class SwapEMAWeights(Callback):
    """Evaluates and predicts with the moving average of the weights that an optimizer with ``use_ema`` keeps.

    Before, the weights and the average change places; afterwards they change back.

    Parameters
    ----------
    swap_on_epoch : leave the average in the model from the end of an epoch to the beginning of the
        next, for callbacks behind this one, such as `ModelCheckpoint`.

    Raises
    ------
    ValueError
        The optimizer keeps no average.
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = flag("SwapEMAWeights: swap_on_epoch", swap_on_epoch)
        self._swapped = False

    def _swap(self) -> None:
        optimizer = self.model.optimizer
        if not optimizer.use_ema:
            raise ValueError("SwapEMAWeights: expected an optimizer with use_ema=True")
        average = optimizer.average
        if average is None:  # no step has been taken
            return
        with self.model.parameters.vectors.writing() as values:
            values[...], average[...] = average.copy(), values.copy()
        self._swapped = not self._swapped

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Train with the weights."""
        if self._swapped:
            self._swap()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Leave the average in the model."""
        if self.swap_on_epoch and not self._swapped:
            self._swap()
            if epoch == self.params["epochs"] - 1:  # `fit` is about to put the average in the weights' place
                self.model.optimizer.average[...] = self.model.parameters.values

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Evaluate with the average."""
        if not self._swapped:
            self._swap()

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Go back to the weights."""
        if self._swapped:
            self._swap()

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Predict with the average."""
        self.on_test_begin()

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Go back to the weights."""
        self.on_test_end()

    def get_state(self) -> dict[str, Any]:
        """Return whether the weights and the average have changed places."""
        return {"swapped": self._swapped}

    def set_state(self, state: dict[str, Any]) -> None:
        """Carry on from there."""
        self._swapped = state["swapped"]
