"""The training loop: compile, fit, evaluate, predict."""

from __future__ import annotations

import math
import signal
import sys
import threading
import types
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _random, losses, optimizers
from ._arguments import positive_integer, reject_options, target_array
from .callbacks import Callback, CallbackList, History, ProgbarLogger
from .variables import Parameters

Array = NDArray[Any]
Logs = dict[str, float]

_COMPILE_WITHOUT_EFFECT = {"run_eagerly", "jit_compile", "steps_per_execution", "auto_scale_loss"}
_FIT_NOT_OFFERED = {
    "class_weight",
    "sample_weight",
    "initial_epoch",
    "steps_per_epoch",
    "validation_steps",
    "validation_batch_size",
    "validation_freq",
}


class _Averages:
    """Loss and metrics averaged over the rows seen so far."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.sums = [0.0] * len(names)
        self.rows = 0

    def add(self, values: Sequence[float], rows: int) -> None:
        self.sums = [s + v * rows for s, v in zip(self.sums, values, strict=True)]
        self.rows += rows

    def logs(self, prefix: str = "") -> Logs:
        return {prefix + name: s / self.rows for name, s in zip(self.names, self.sums, strict=True)}


class _DeferredInterrupt:
    """Within a ``with`` block, Ctrl-C waits until `check` is called, so that no step is left half done.

    A second Ctrl-C does not wait.
    """

    def __enter__(self) -> _DeferredInterrupt:
        self._pressed = False
        # Only the main thread receives signals, and only Python's own handler is ours to replace.
        self._ours = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if self._ours:
            signal.signal(signal.SIGINT, self._press)
        return self

    def _press(self, number: int, frame: types.FrameType | None) -> None:
        if self._pressed:
            raise KeyboardInterrupt
        self._pressed = True

    def check(self) -> None:
        if self._pressed:
            raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        if self._ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


class Trainer:
    """What a model has that can be trained; `models.Sequential` is one."""

    # Provided by the model.
    name: str
    parameters: Parameters | None

    def __init__(self) -> None:
        self.optimizer: optimizers.Adam | None = None
        self.loss: losses.Loss | None = None
        self.metrics: list[losses.Loss] = []
        self.history: History | None = None
        self.stop_training = False

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of weights and outputs."""
        raise NotImplementedError

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs of that shape, batch first."""
        raise NotImplementedError

    def convert(self, name: str, inputs: ArrayLike) -> Array:
        """Return inputs as the array that the model takes."""
        raise NotImplementedError

    def run(self, inputs: Array, training: bool = False, mask: Array | None = None) -> tuple[Array, Array | None]:
        """Return the outputs for a batch, and their mask."""
        raise NotImplementedError

    def backward(self, d_outputs: Array) -> None:
        """Add to the gradients of all weights, from that of the outputs."""
        raise NotImplementedError

    def compile(
        self,
        optimizer: str | optimizers.Adam = "rmsprop",
        loss: str | losses.Loss | None = None,
        metrics: Iterable[str | losses.Loss] | None = None,
        **options: Any,
    ) -> None:
        """Choose how to train.

        Parameters
        ----------
        optimizer : "adam" or an optimizer. (The default is Keras's, which is not offered.)
        loss : "mse", "mae" or a `losses.Loss`.
        metrics : more of these to report.
        **options : Keras's ``run_eagerly``, ``jit_compile``, ``steps_per_execution`` and
            ``auto_scale_loss`` are accepted and have no effect.
        """
        left = {k: v for k, v in options.items() if k not in _COMPILE_WITHOUT_EFFECT}
        reject_options("compile", left, {"loss_weights", "weighted_metrics"})
        new_loss = None if loss is None else losses.get(loss)
        if isinstance(metrics, str):
            raise TypeError(f"metrics: expected a list, got {metrics!r}")
        new_metrics = [losses.get(m) for m in metrics or ()]
        self.optimizer, self.loss, self.metrics = optimizers.get(optimizer), new_loss, new_metrics

    def _compiled(self) -> tuple[optimizers.Adam, losses.Loss]:
        if self.optimizer is None or self.loss is None:
            raise RuntimeError(f"{self.name}: call compile(optimizer, loss) before training or evaluating")
        return self.optimizer, self.loss

    @property
    def metrics_names(self) -> list[str]:
        """The names of what is reported, the loss first."""
        return ["loss", *(m.name for m in self.metrics)]

    # --- one batch ---

    def _train_step(self, x: Array, y: Array) -> list[float]:
        optimizer, loss = self._compiled()
        parameters = self.parameters
        assert parameters is not None
        parameters.gradients.fill(0)
        outputs, mask = self.run(x, training=True)
        values = self._values(y, outputs, mask)
        self.backward(loss.gradient(y, outputs, mask))
        optimizer.step(parameters)
        return values

    def _values(self, y: Array, outputs: Array, mask: Array | None) -> list[float]:
        _, loss = self._compiled()
        if y.shape != outputs.shape:
            raise ValueError(f"y: expected shape {outputs.shape} (that of the model's outputs), got {y.shape}")
        return [loss(y, outputs, mask), *(m(y, outputs, mask) for m in self.metrics)]

    def train_on_batch(self, x: ArrayLike, y: ArrayLike, return_dict: bool = False) -> Any:
        """Take one step on a batch; return the loss before it, with the metrics if there are any."""
        self._compiled()
        return self._report(self._train_step(*self._data(x, y)), return_dict)

    def test_on_batch(self, x: ArrayLike, y: ArrayLike, return_dict: bool = False) -> Any:
        """Return the loss of a batch, with the metrics if there are any."""
        self._compiled()
        inputs, targets = self._data(x, y)
        return self._report(self._values(targets, *self.run(inputs)), return_dict)

    def predict_on_batch(self, x: ArrayLike) -> Array:
        """Return the outputs for a batch."""
        return self.run(self._inputs(x))[0]

    def _report(self, values: Sequence[float], return_dict: bool) -> Any:
        if return_dict:
            return dict(zip(self.metrics_names, values, strict=True))
        return values[0] if len(values) == 1 else list(values)

    # --- data ---

    def _inputs(self, x: ArrayLike, name: str = "x") -> Array:
        array = self.convert(name, x)
        if array.ndim == 0:
            raise ValueError(f"{name}: expected a batch, got a number")
        if self.parameters is None:
            self.build(array.shape)
        return array

    def _data(self, x: ArrayLike, y: ArrayLike, prefix: str = "") -> tuple[Array, Array]:
        inputs = self._inputs(x, f"{prefix}x")
        targets = target_array(f"{prefix}y", y, self.dtype)
        if targets.ndim == 1:  # as in Keras, one number for each row is a column
            targets = targets[:, None]
        if targets.ndim == 0 or len(targets) != len(inputs):
            raise ValueError(f"{prefix}y: expected {len(inputs)} rows as in {prefix}x, got shape {targets.shape}")
        return inputs, targets

    # --- whole data sets ---

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Iterable[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: tuple[ArrayLike, ArrayLike] | None = None,
        shuffle: bool = True,
        **options: Any,
    ) -> History:
        """Train.

        Parameters
        ----------
        x, y : inputs and targets, one row each a sample.
        batch_size : rows in a step, 32 by default; the last of an epoch may be smaller.
        epochs : passes over the data.
        verbose : 0 silent; 1 a progress bar on a terminal, a line an epoch elsewhere; 2 a line an
            epoch; "auto" is 1.
        callbacks : `callbacks.Callback` objects.
        validation_split : part of the data, from its end, to validate on instead of training.
        validation_data : (x, y) to validate on; goes before ``validation_split``.
        shuffle : take the rows in a new random order in every epoch.

        Returns
        -------
        History, also kept as ``model.history``.

        Raises
        ------
        ValueError, TypeError
            An argument does not fit; the message names it.
        KeyboardInterrupt
            After Ctrl-C, once the step under way is whole; the model is as after that step.

        Warns
        -----
        RuntimeWarning
            Once, when the loss stops being finite.
        """
        reject_options("fit", options, _FIT_NOT_OFFERED)
        self._compiled()
        batch_size = 32 if batch_size is None else positive_integer("batch_size", batch_size)
        epochs = positive_integer("epochs", epochs)
        if verbose not in (0, 1, 2, "auto"):
            raise ValueError(f"verbose: expected 0, 1, 2 or 'auto', got {verbose!r}")
        inputs, targets = self._data(x, y)
        validation = None
        if validation_data is not None:
            if len(validation_data) != 2:
                raise ValueError(f"validation_data: expected a pair (x, y), got {len(validation_data)} values")
            validation = self._data(*validation_data, prefix="validation_data: ")
        elif validation_split:
            if not 0 < validation_split < 1:
                raise ValueError(f"validation_split: expected a number in [0, 1), got {validation_split!r}")
            rows = int(len(inputs) * (1 - validation_split))
            validation = inputs[rows:], targets[rows:]
            inputs, targets = inputs[:rows], targets[:rows]
        if not len(inputs) or (validation is not None and not len(validation[0])):
            raise ValueError("x: expected at least one row to train on, and one to validate on, got none")

        steps = math.ceil(len(inputs) / batch_size)
        history = self.history = History()
        loggers = [ProgbarLogger(bar=verbose != 2 and sys.stdout.isatty())] if verbose else []
        hooks = CallbackList(
            [history, *(callbacks or ()), *loggers],
            self,
            {"epochs": epochs, "steps": steps, "verbose": verbose},
        )
        self.stop_training = False
        finite = True
        logs: Logs = {}
        hooks.on_train_begin()
        with _DeferredInterrupt() as interrupt:
            for epoch in range(epochs):
                hooks.on_epoch_begin(epoch)
                order = _random.generator().permutation(len(inputs)) if shuffle else None
                averages = _Averages(self.metrics_names)
                for step in range(steps):
                    hooks.on_train_batch_begin(step)
                    part = slice(step * batch_size, (step + 1) * batch_size)
                    batch = part if order is None else order[part]
                    values = self._train_step(inputs[batch], targets[batch])
                    if finite and not math.isfinite(values[0]):
                        finite = False
                        warnings.warn(
                            f"{self.name}: the loss is {values[0]} at step {step} of epoch {epoch + 1}; look for NaN "
                            "in the data, or lower the learning rate",
                            RuntimeWarning,
                            stacklevel=2,
                        )
                    averages.add(values, len(targets[batch]))
                    logs = averages.logs()
                    hooks.on_train_batch_end(step, logs)
                    interrupt.check()
                if validation is not None:
                    logs |= self._evaluate(*validation, batch_size).logs("val_")
                hooks.on_epoch_end(epoch, logs)
                interrupt.check()
                if self.stop_training:
                    break
        hooks.on_train_end(logs)
        return history

    def _evaluate(self, inputs: Array, targets: Array, batch_size: int) -> _Averages:
        averages = _Averages(self.metrics_names)
        for start in range(0, len(inputs), batch_size):
            part = slice(start, start + batch_size)
            averages.add(self._values(targets[part], *self.run(inputs[part])), len(targets[part]))
        return averages

    def evaluate(
        self,
        x: ArrayLike,
        y: ArrayLike,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        return_dict: bool = False,
    ) -> Any:
        """Return the loss over a data set; with metrics, a list with the loss first, or a dict."""
        self._compiled()
        batch_size = 32 if batch_size is None else positive_integer("batch_size", batch_size)
        inputs, targets = self._data(x, y)
        if not len(inputs):
            raise ValueError("x: expected at least one row, got none")
        logs = self._evaluate(inputs, targets, batch_size).logs()
        if verbose in (1, 2) or (verbose == "auto" and sys.stdout.isatty()):
            print(" - ".join(f"{name}: {value:.4f}" for name, value in logs.items()))
        return self._report(list(logs.values()), return_dict)

    def predict(self, x: ArrayLike, batch_size: int | None = None, verbose: int | str = "auto") -> Array:
        """Return the outputs for every row of ``x``.

        The rows are taken ``batch_size`` (32 by default) at a time; the result does not depend on
        it. ``verbose`` is accepted for Keras's sake: there is nothing to report.
        """
        batch_size = 32 if batch_size is None else positive_integer("batch_size", batch_size)
        inputs = self._inputs(x)
        parts = [self.run(inputs[k : k + batch_size])[0] for k in range(0, max(1, len(inputs)), batch_size)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
