"""What can be trained: compile, fit, evaluate, predict."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _random, losses, optimizers
from ._arguments import flag, items, positive_integer, rate, real_array
from ._class_weights import ClassWeights
from ._data import Arrays, Batch, Feed, Source, rows_of, source
from ._loop import Loop
from ._measures import Measures
from ._progress import Progress
from ._serialization import deserialize, serialize
from ._state import join, split
from .activations import Activation
from .callbacks import Callback, CallbackList, History, ProgbarLogger
from .layers.layer import Layer
from .variables import Parameters, Variable

Array = NDArray[Any]

_COMPILE_WITHOUT_EFFECT = {"run_eagerly", "jit_compile", "steps_per_execution", "auto_scale_loss"}


class Trainer(Layer):
    """A layer that is a whole model: it has a loss and an optimizer and can be trained."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.parameters: Parameters | None = None
        self.optimizer: optimizers.Optimizer | None = None
        self.loss: losses.Loss | None = None
        self.history: History | None = None
        self.stop_training = False
        self._recipe: dict[str, Any] = {}  # the arguments of compile
        self._measures: Measures | None = None
        self._regularized: list[Variable] = []
        self._shuffle_stream: _random.Stream | None = None
        self._progress: Progress | None = None  # of the fit under way
        self._resume: dict[str, Any] | None = None  # where the next fit is to go on

    # --- provided by the model ---

    def run(
        self,
        inputs: Any,
        training: bool = False,
        mask: Array | None = None,
        logits: bool = False,
        penalties: list[float] | None = None,
    ) -> tuple[Array, Array | None]:
        """Return the outputs for a batch, and their mask.

        With ``logits``, the outputs are what goes into the activation `head`. Activity regularizers
        add theirs to ``penalties``.
        """
        raise NotImplementedError

    def _run_backward(self, d_outputs: Array, logits: bool) -> None:
        """Add to the gradients of all weights, from that of the outputs, or of what `head` is applied to."""
        raise NotImplementedError

    def _build_for(self, inputs: Any) -> None:
        """Create the weights for inputs like these."""
        raise NotImplementedError

    def _gather(self) -> None:
        """Put the weights to be trained into flat vectors."""
        raise NotImplementedError

    # --- compile ---

    def compile(
        self,
        optimizer: str | dict[str, Any] | optimizers.Optimizer = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        **options: Any,
    ) -> None:
        """Choose how to train. Changes of ``trainable`` take effect here.

        Parameters
        ----------
        optimizer : a name, such as "adam", or an `optimizers.Optimizer`.
        loss : a name, such as "mse", a `losses.Loss`, or a function with a ``gradient``.
        loss_weights : None or 1: there is one output.
        metrics : names, `metrics.Metric` objects or functions, to report beside the loss. A list, or
            a list or dict of lists for the one output.
        weighted_metrics : more of them, which sample weights and class weights apply to.
        **options : Keras's ``run_eagerly``, ``jit_compile``, ``steps_per_execution`` and
            ``auto_scale_loss`` are accepted and have no effect.

        Raises
        ------
        ValueError, TypeError
            An argument does not fit; the message names it.
        """
        for name in options:
            if name not in _COMPILE_WITHOUT_EFFECT:
                raise TypeError(f"compile got an unexpected argument {name!r}")
        if _one("loss_weights", loss_weights) not in (None, 1):
            raise NotImplementedError(
                f"compile: loss_weights={loss_weights!r} is not offered: with one output, scale the learning rate"
            )
        recipe = {
            "optimizer": optimizers.get(optimizer),
            "loss": _one("loss", loss),
            "metrics": _flat("metrics", metrics),
            "weighted_metrics": _flat("weighted_metrics", weighted_metrics),
        }
        new_loss = None if recipe["loss"] is None else losses.get(recipe["loss"])
        measures = None
        if self.built and new_loss is not None:
            measures = Measures(recipe["metrics"], recipe["weighted_metrics"], new_loss, self.output_shape)
        self._recipe, self.optimizer, self.loss, self._measures = recipe, recipe["optimizer"], new_loss, measures
        if self.parameters is not None and not _same(self.parameters.variables, self.trainable_variables):
            self._gather()

    def compile_config(self) -> dict[str, Any] | None:
        """Return the arguments of `compile` as plain data; None if it was not called.

        A function of yours as loss or metric is not data: there is a warning, and None.
        """
        if not self._recipe:
            return None
        try:
            return {name: serialize(value, name) for name, value in self._recipe.items()}
        except TypeError as error:
            warnings.warn(f"{self.name}: compile's arguments are not kept: {error}", UserWarning, stacklevel=2)
            return None

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Compile as `compile_config` told."""
        self.compile(**{name: deserialize(value) for name, value in config.items()})

    def _ready(self) -> tuple[optimizers.Optimizer, losses.Loss, Parameters, Measures]:
        """Return what a step needs, brought up to date."""
        optimizer, loss, parameters = self.optimizer, self.loss, self.parameters
        if optimizer is None or loss is None:
            self._refuse_uncompiled()
        assert parameters is not None
        if parameters.variables and parameters.variables[0].parameters is not parameters:
            self._gather()  # another model, which has this one as a layer, has taken the weights over
            parameters = self.parameters
            assert parameters is not None
        if self._measures is None:
            self._measures = Measures(
                self._recipe["metrics"], self._recipe["weighted_metrics"], loss, self.output_shape
            )
        return optimizer, loss, parameters, self._measures

    def _refuse_uncompiled(self) -> NoReturn:
        raise RuntimeError(f"{self.name}: call compile(optimizer, loss) before training or evaluating")

    def _require_compiled(self) -> None:
        if self.optimizer is None or self.loss is None:
            self._refuse_uncompiled()

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """The shape of the outputs, batch first."""
        raise NotImplementedError

    @property
    def metrics(self) -> list[Any]:
        """The mean loss, and the metrics that `compile` was given; there once the model has its weights."""
        return [] if self._measures is None else self._measures.metrics

    @property
    def metrics_names(self) -> list[str]:
        """The names of what is reported, the loss first."""
        if self._measures is not None:
            return self._measures.names
        given = [*self._recipe.get("metrics", ()), *self._recipe.get("weighted_metrics", ())]
        return ["loss", *(m if isinstance(m, str) else getattr(m, "name", None) or m.__name__ for m in given)]

    def reset_metrics(self) -> None:
        """Forget what metrics have seen."""
        if self._measures is not None:
            self._measures.reset()

    # --- one batch ---

    def _head(self, loss: losses.Loss) -> Activation | None:
        """Return the activation that the loss takes the inputs of, if there is one."""
        if loss.fuses is None:
            return None
        head = self.head
        return head if head is not None and head.name == loss.fuses else None

    def _pass(
        self, loss: losses.Loss, x: Any, y: Array, sample_weight: Array | None, training: bool, name: str
    ) -> tuple[Array, tuple[Any, Array, Array | None, Array | None], Array | None, list[float]]:
        """Run a batch; return the targets, what the loss takes, the mask and the penalties on outputs."""
        head = self._head(loss)
        penalties: list[float] = []
        z, mask = self.run(x, training, None, head is not None, penalties)
        outputs = z if head is None else head(z)
        targets = loss.targets(y, outputs.shape, outputs.dtype, name)
        true, left = loss.with_mask(targets, mask)
        weights = None
        if left is not None or sample_weight is not None:
            weights = losses.combine_weights(loss.samples(outputs.shape), sample_weight, left, loss.reduction)
        return targets, (true, outputs, weights, None if head is None else z), mask, penalties

    def _train_step(self, x: Any, y: Array, sample_weight: Array | None = None) -> float:
        """Take a step; return the loss before it."""
        optimizer, loss, parameters, measures = self._ready()
        if not optimizer.accumulating:
            parameters.gradients.fill(0)
        targets, taken, mask, penalties = self._pass(loss, x, y, sample_weight, True, "y")
        _, outputs, _, logits = taken
        value, gradient = loss.value_and_gradient(*taken)
        self._run_backward(gradient, logits is not None)
        for variable in self._regularized:
            penalties.append(variable.regularizer(variable.value))
            variable.gradient += variable.regularizer.gradient(variable.value)
        if penalties:
            value += sum(penalties)
        optimizer.step(parameters)
        measures.update(value, targets, outputs, sample_weight, mask)
        return value

    def _test_step(self, x: Any, y: Array, sample_weight: Array | None = None, name: str = "y") -> float:
        """Return the loss for a batch."""
        _, loss, _, measures = self._ready()
        targets, taken, mask, penalties = self._pass(loss, x, y, sample_weight, False, name)
        penalties += [v.regularizer(v.value) for v in self._regularized]
        value = loss.value(*taken) + sum(penalties)
        measures.update(value, targets, taken[1], sample_weight, mask)
        return value

    def train_on_batch(
        self,
        x: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Take one step on a batch; return the loss before it, with the metrics if there are any.

        Parameters
        ----------
        x, y, sample_weight : one row each a sample; ``sample_weight`` may be (batch, steps) where the
            outputs have steps.
        class_weight : class -> weight, instead of ``sample_weight``.
        return_dict : return the numbers by name.
        """
        return self._on_batch(True, x, y, sample_weight, class_weight, return_dict)

    def test_on_batch(
        self,
        x: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Return the loss of a batch, with the metrics if there are any."""
        return self._on_batch(False, x, y, sample_weight, None, return_dict)

    def _on_batch(
        self,
        training: bool,
        x: Any,
        y: ArrayLike | None,
        sample_weight: ArrayLike | None,
        class_weight: Mapping[int, float] | None,
        return_dict: bool,
    ) -> Any:
        self._require_compiled()
        if y is None:
            raise ValueError("y: expected targets, got None")
        inputs, targets = self._inputs(x), real_array("y", y)
        if targets.ndim == 0 or len(targets) != rows_of(inputs):
            raise ValueError(f"y: expected {rows_of(inputs)} rows as in x, got shape {targets.shape}")
        weight = None if sample_weight is None else real_array("sample_weight", sample_weight)
        if class_weight is not None:
            if weight is not None:
                raise ValueError("class_weight: expected None beside a sample_weight; multiply them yourself")
            weight = ClassWeights(class_weight)(targets, len(self.output_shape))
        step = self._train_step if training else self._test_step
        if self._progress is not None:  # called by a callback: what fit reports is not to change
            with self._own_measures():
                step(inputs, targets, weight)
                return self._report(return_dict)
        self.reset_metrics()
        step(inputs, targets, weight)
        return self._report(return_dict)

    def predict_on_batch(self, x: Any) -> Array:
        """Return the outputs for a batch."""
        return self.run(self._inputs(x))[0]

    def _report(self, return_dict: bool) -> Any:
        assert self._measures is not None
        if flag("return_dict", return_dict):
            return self._measures.logs()
        values = self._measures.values()
        return values[0] if len(values) == 1 else values

    @contextlib.contextmanager
    def _own_measures(self) -> Iterator[None]:
        """Within the ``with`` block, count afresh; then put back what `fit` has counted so far."""
        measures = self._measures
        before = measures.state() if measures is not None and self._progress is not None else None
        self.reset_metrics()
        try:
            yield
        finally:
            if measures is not None and before is not None:
                measures.load_state(before)

    # --- data ---

    def _inputs(self, x: Any, name: str = "x") -> Any:
        array = self.convert(name, x)
        if isinstance(array, np.ndarray) and array.ndim == 0:
            raise ValueError(f"{name}: expected a batch, got a number")
        if self.parameters is None:
            self._build_for(array)
        return array

    def _source(self, x: Any, y: Any = None, sample_weight: Any = None, prefix: str = "", **options: Any) -> Source:
        """Return the source of batches for data, with the model built for them."""
        several = self.takes_several
        dimensions = len(self.input_shape) if self.built and self.input_shape else None
        made = source(x, y, sample_weight, several=several, dimensions=dimensions, prefix=prefix, **options)
        if not self.built or isinstance(made, Arrays):  # what makes its batches anew is not to do so for nothing
            self._inputs(made.first()[0], f"{prefix}x")
        return made

    @property
    def _shuffle(self) -> _random.Stream:
        """Decides the order of the rows; its seed comes from the global one."""
        if self._shuffle_stream is None:
            self._shuffle_stream = _random.Stream(int(_random.generator().integers(2**32)))
        return self._shuffle_stream

    # --- whole data sets ---

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Iterable[Callback] | Callback | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
    ) -> History:
        """Train.

        Parameters
        ----------
        x : inputs: arrays, one row a sample; or batches (x, y) or (x, y, sample_weight) from a
            generator, an iterable, or a data set with ``data[k]`` and ``len(data)``.
        y : targets, unless ``x`` gives them.
        batch_size : rows in a step; the last of an epoch may have fewer. By default 32, or, with
            ``steps_per_epoch``, what makes an epoch a pass over the arrays.
        epochs : the epoch to stop before; counted from ``initial_epoch``.
        verbose : 0 silent; 1 a progress bar on a terminal, a line an epoch elsewhere; 2 a line an
            epoch; "auto" is 1.
        callbacks : `callbacks.Callback` objects.
        validation_split : part of the data, from its end, to validate on instead of training.
        validation_data : (x, y), (x, y, sample_weight) or a source of batches to validate on; goes
            before ``validation_split``.
        shuffle : take the rows, or the batches of a data set, in a new random order in every epoch;
            "batch" changes the order within each batch only. Generators keep theirs.
        class_weight : class -> weight of its samples in the loss.
        sample_weight : weights of the samples, or (samples, steps).
        initial_epoch : number of the first epoch.
        steps_per_epoch : batches of an epoch; the next one goes on behind them. By default, all.
        validation_steps : batches to validate on, from the first on; by default, all.
        validation_batch_size : ``batch_size`` by default, and without that as it goes by
            ``validation_steps``.
        validation_freq : validate in every so many epochs, or in those listed, counted from 1.

        Returns
        -------
        History, also kept as ``model.history``.

        Raises
        ------
        ValueError, TypeError
            An argument does not fit; the message names it.
        RuntimeError
            `compile` was not called, or `fit` is running already.
        KeyboardInterrupt
            After Ctrl-C, once the step under way is whole; the model is as after that step.

        Warns
        -----
        RuntimeWarning
            Once, when the loss stops being finite.
        UserWarning
            When there are fewer batches than ``steps_per_epoch`` and ``epochs`` ask for: the epoch ends, and
            with a generator the training.

        Notes
        -----
        An exception, from a callback for instance, leaves the model as after the last whole step.
        """
        self._require_compiled()
        if self._progress is not None:
            raise RuntimeError(f"{self.name}: fit is running already, in another thread or around a callback")
        batch_size = _steps("batch_size", batch_size)
        epochs = positive_integer("epochs", epochs)
        if isinstance(initial_epoch, bool) or not isinstance(initial_epoch, (int, np.integer)) or initial_epoch < 0:
            raise ValueError(f"initial_epoch: expected an integer from 0 on, got {initial_epoch!r}")
        steps_per_epoch = _steps("steps_per_epoch", steps_per_epoch)
        validation_steps = _steps("validation_steps", validation_steps)
        validation_batch_size = _steps("validation_batch_size", validation_batch_size) or batch_size
        validates = _frequency(validation_freq)
        _check_verbose(verbose)
        if not (isinstance(shuffle, (bool, np.bool_)) or (isinstance(shuffle, str) and shuffle == "batch")):
            raise TypeError(f"shuffle: expected True, False or 'batch', got {shuffle!r}")
        classes = None if class_weight is None else ClassWeights(class_weight)
        if classes is not None and sample_weight is not None:
            raise ValueError("class_weight: expected None beside a sample_weight; multiply them yourself")

        data = self._source(x, y, sample_weight, batch_size=batch_size, steps=steps_per_epoch, shuffle=shuffle)
        validation: Source | None = None
        if validation_data is not None:
            parts = validation_data if isinstance(validation_data, (tuple, list)) else (validation_data,)
            if not 1 <= len(parts) <= 3 or (len(parts) == 1 and parts is validation_data):
                raise ValueError(
                    "validation_data: expected a pair (x, y), (x, y, sample_weight) or a source of batches, got "
                    f"{len(parts)} values"
                )
            x_val, y_val, weight_val = (*parts, None, None)[:3]
            validation = self._source(
                x_val,
                y_val,
                weight_val,
                prefix="validation_data: ",
                batch_size=validation_batch_size,
                steps=validation_steps,
            )
        elif share := rate("validation_split", 0.0 if validation_split is None else validation_split):
            if not isinstance(data, Arrays):
                raise ValueError(
                    f"validation_split: expected arrays to split, got {type(x).__name__}; use validation_data"
                )
            data, validation = data.split(share, validation_batch_size, validation_steps)

        feed = Feed(data, self._shuffle, steps_per_epoch)
        history = self.history = History()
        bar = ProgbarLogger(bar=verbose != 2 and sys.stdout.isatty()) if verbose else None
        params = {"epochs": epochs, "steps": steps_per_epoch or data.steps, "verbose": verbose}
        hooks = CallbackList([history, *_callbacks(callbacks), *([bar] if bar else [])], self, params)
        optimizer, _, _, measures = self._ready()
        loop = Loop(self, measures, feed, validation, validation_steps, validates, classes, hooks, bar, epochs)
        self.stop_training = False
        self._resume = None
        progress = self._progress = Progress(initial_epoch, self, measures, feed, validation, hooks)
        try:
            hooks.on_train_begin()
            if self._resume is not None:  # a callback has restored the state of a training that was interrupted
                progress.restore(self._resume)
                self._resume = None
                if bar and progress.begun:
                    bar.on_epoch_begin(progress.epoch)
            logs = loop.run(progress)
            optimizer.finalize(self._ready()[2])
        finally:
            self._progress = None
        hooks.on_train_end(logs)
        return history

    def _take_step(self, batch: Batch, classes: ClassWeights | None) -> float:
        x, y, weight = batch
        if y is None:
            raise ValueError("y: expected targets with every batch of x, got None")
        if classes is not None:
            if weight is not None:
                raise ValueError("class_weight: expected None for data with a sample_weight")
            weight = classes(y, len(self.output_shape))
        return self._train_step(self.convert("x", x), y, weight)

    def _evaluate(self, data: Source, steps: int | None, hooks: CallbackList | None, prefix: str = "") -> None:
        """Let the measures see a data set."""
        batch_begin = hooks is not None and hooks.listens("on_test_batch_begin")
        batch_end = hooks is not None and hooks.listens("on_test_batch_end")
        if hooks is not None:
            hooks.on_test_begin()
        step = -1
        for step, (x, y, weight) in enumerate(data.steps_of(steps)):
            if y is None:
                raise ValueError(f"{prefix}y: expected targets with every batch of x, got None")
            if batch_begin:
                hooks.on_test_batch_begin(step)  # type: ignore[union-attr]
            self._test_step(self.convert(f"{prefix}x", x), y, weight, f"{prefix}y")
            if batch_end:
                hooks.on_test_batch_end(step, self._measures.logs())  # type: ignore[union-attr]
        if step < 0:
            raise ValueError(f"{prefix}x: expected at least one batch, got none: a generator gives its batches once")
        if hooks is not None:
            hooks.on_test_end(self._measures.logs())  # type: ignore[union-attr]

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Iterable[Callback] | Callback | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Return the loss over a data set; with metrics, a list with the loss first, or a dict.

        Parameters
        ----------
        x, y, sample_weight, batch_size : as for `fit`.
        verbose : 0 silent; 1 and 2 show a line with the result; "auto" does on a terminal.
        steps : the most batches to take.
        callbacks : their ``on_test_…`` hooks are called.
        return_dict : return the numbers by name.
        """
        self._require_compiled()
        _check_verbose(verbose)
        steps = _steps("steps", steps)
        batch_size = _steps("batch_size", batch_size)
        data = self._source(x, y, sample_weight, batch_size=batch_size, steps=steps)
        self._ready()
        with self._own_measures():
            self._evaluate(data, steps, self._hooks_for(data, steps, verbose, callbacks))
            return self._report(return_dict)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Iterable[Callback] | Callback | None = None,
    ) -> Array:
        """Return the outputs for every row of ``x``.

        Arrays are taken ``batch_size`` rows at a time, by default 32 or all in ``steps``; the result
        does not depend on it. From a source of batches the inputs are used and the targets, if there are any, are not.
        At most ``steps`` batches are taken. Several threads may predict with one model at a time.
        """
        _check_verbose(verbose)
        steps = _steps("steps", steps)
        batch_size = _steps("batch_size", batch_size)
        if isinstance(x, np.ndarray) and x.ndim and len(x) == 0:
            return self.run(self._inputs(x))[0]
        data = self._source(x, batch_size=batch_size, steps=steps, needs_targets=False)
        hooks = self._hooks_for(data, steps, verbose, callbacks)
        if hooks is not None:
            hooks.on_predict_begin()
        parts = []
        for step, (inputs, _, _) in enumerate(data.steps_of(steps)):
            if hooks is not None:
                hooks.on_predict_batch_begin(step)
            parts.append(self.run(self.convert("x", inputs))[0])
            if hooks is not None:
                hooks.on_predict_batch_end(step, {"outputs": parts[-1]})
        if not parts:
            raise ValueError("x: expected at least one batch, got none: a generator gives its batches once")
        if hooks is not None:
            hooks.on_predict_end()
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _hooks_for(
        self, data: Source, steps: int | None, verbose: int | str, callbacks: Iterable[Callback] | Callback | None
    ) -> CallbackList | None:
        """Return the callbacks of `evaluate` or `predict`; None if nobody listens."""
        given = _callbacks(callbacks)
        shows = sys.stdout.isatty() if verbose == "auto" else bool(verbose)
        if shows:
            given = [*given, ProgbarLogger(bar=verbose != 2 and sys.stdout.isatty())]
        if not given:
            return None
        limit = data.steps if steps is None else steps if data.steps is None else min(steps, data.steps)
        return CallbackList(given, self, {"steps": limit, "verbose": verbose})

    # --- state ---

    def training_state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return all that training depends on beside the weights: plain data, and arrays by name.

        That is the optimizer's state, the layers' random numbers and states, the order of the rows,
        and, while `fit` is running, how far it is: a state taken by a callback, in the middle of an
        epoch or at its end, is one from which training goes on bit for bit. Of the arrays, some may
        be the model's own: copy or write them before the next step.
        """
        state: dict[str, Any] = {
            "layers": self.state(),
            "optimizer": None if self.optimizer is None else self.optimizer.state(),
            "shuffle": None if self._shuffle_stream is None else [self._shuffle.seed, self._shuffle.calls],
            "progress": None if self._progress is None else self._progress.state(),
        }
        return split(state)

    def load_training_state(self, plain: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        """Set what `training_state` has returned; the weights are the caller's to restore.

        Called within `fit`, by a callback's ``on_train_begin``, it makes that `fit` go on where the
        state was taken: with the same data, the rest of that epoch is the same. Data that cannot be
        rewound, a generator's, have to begin anew: what had been seen of them is left out.

        Raises
        ------
        ValueError, TypeError
            The state is not of such a model.
        """
        state = join(plain, arrays)
        self.load_state(state["layers"])
        if state["optimizer"] is not None and self.optimizer is not None and self.parameters is not None:
            self.optimizer.load_state(state["optimizer"], self.parameters)
        if state["shuffle"] is None:
            self._shuffle_stream = None
        else:
            # The same object as before: a `fit` under way draws from it.
            stream = self._shuffle_stream = self._shuffle_stream or _random.Stream(0)
            stream.seed, stream.calls = map(int, state["shuffle"])
        if self._progress is not None:
            self._resume = state["progress"]


def _one(name: str, value: Any) -> Any:
    """Return what `compile` was given for the one output, which may stand in a list or a dict."""
    if isinstance(value, dict) and "class_name" not in value:
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        if len(value) != 1:
            raise ValueError(f"{name}: expected one, for there is one output; got {len(value)}")
        return _one(name, value[0])
    return value


def _flat(name: str, value: Any) -> list[Any]:
    """Return a list of metrics, which may stand in a list or a dict for the one output."""
    if value is None:
        return []
    if not isinstance(value, (list, tuple, dict)) or (isinstance(value, dict) and "class_name" in value):
        raise TypeError(f"{name}: expected a list, got {value!r}")
    if isinstance(value, dict):
        value = list(value.values())
    result: list[Any] = []
    if any(part is value for part in value):
        raise ValueError(f"{name}: expected a list, got one that contains itself")
    for part in value:
        nested = isinstance(part, (list, tuple)) or (isinstance(part, dict) and "class_name" not in part)
        result += _flat(name, part) if nested else [part]
    return result


def _steps(name: str, value: Any) -> int | None:
    return None if value is None else positive_integer(name, value)


def _check_verbose(verbose: Any) -> None:
    if isinstance(verbose, np.ndarray) or verbose not in (0, 1, 2, "auto"):
        raise ValueError(f"verbose: expected 0, 1, 2 or 'auto', got {verbose!r}")


def _callbacks(callbacks: Iterable[Callback] | Callback | None) -> list[Callback]:
    if isinstance(callbacks, CallbackList):
        return callbacks.callbacks
    if callbacks is None or isinstance(callbacks, Callback):
        return [] if callbacks is None else [callbacks]
    return items("callbacks", callbacks, "Callback objects")


def _frequency(value: Any) -> Callable[[int], bool]:
    """Return whether to validate in an epoch, counted from 1."""
    if isinstance(value, (list, tuple, set, range)):
        epochs = {positive_integer("validation_freq", epoch) for epoch in value}
        return lambda epoch: epoch in epochs
    every = positive_integer("validation_freq", value)
    return lambda epoch: epoch % every == 0


def _same(left: Sequence[Variable], right: Sequence[Variable]) -> bool:
    return len(left) == len(right) and all(a is b for a, b in zip(left, right, strict=True))
