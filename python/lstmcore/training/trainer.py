"""What can be trained: compile, fit, evaluate, predict."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _random, losses, optimizers
from .._arguments import as_array, flag, items, not_within_itself, number, positive_integer, rate, read_only, real_array
from .._tree import copies, map_leaves
from .._warnings import warn
from ..activations import Activation
from ..callbacks import Callback, CallbackList, History, ProgbarLogger
from ..layers._building import building
from ..layers._calls import own_outputs
from ..layers._subclasses import names_within
from ..layers.layer import Layer
from ..metrics import Metric
from ..serialization import deserialize, serialize
from ..serialization.state import join, split
from ..variables import Parameters, Variable
from .class_weights import ClassWeights
from .data import Arrays, Batch, Feed, Source, as_arrays, rows_of, source
from .loop import Loop
from .measures import Logs, Measures
from .progress import Progress
from .turns import Turns, in_turn

Array = NDArray[Any]

# What Keras's training calls and ours does not, and what does the same.
_NEVER_CALLED = {
    "compute_loss": "define a losses.Loss with call and gradient, and give it to compile,",
    "compute_metrics": "give compile a metrics.Metric, or define train_step and test_step,",
    "make_train_function": "define train_step",
    "make_test_function": "define test_step",
    "make_predict_function": "define predict_step",
}
_OF_AUTOMATIC_GRADIENTS = ("GradientTape", "value_and_grad", "zero_grad", "apply_gradients", "scale_loss", "autograd")

_COMPILE_WITHOUT_EFFECT = {"run_eagerly", "jit_compile", "steps_per_execution", "auto_scale_loss"}


class Trainer(Layer):
    """A layer that is a whole model: it has a loss and an optimizer and can be trained."""

    _has_metrics = False  # whether an attribute has ever been a metric: few models have any, and each step asks

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._parameters: Parameters | None = None
        self.optimizer: optimizers.Optimizer | None = None
        self.loss: losses.Loss | None = None
        self.history: History | None = None
        self.stop_training = self.stop_evaluating = self.stop_predicting = False
        self._recipe: dict[str, Any] = {}  # the arguments of compile
        self._measures: Measures | None = None
        self._regularized: list[Variable] = []
        self._shuffle_stream: _random.Stream | None = None
        self._turns = Turns()
        self._progress: Progress | None = None  # of the fit under way
        self._given: Logs | None = None  # what the last step of the user's own returned in the epoch under way
        # Where the fit under way is to go on, and what is to guard it when it does.
        self._resume: tuple[dict[str, Any], Callable[[Callable[[], None]], None]] | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, substitute in _NEVER_CALLED.items():
            if name in cls.__dict__:
                raise TypeError(f"{cls.__name__}.{name}: would never be called; {substitute} instead")
        derived = [n for n in names_within(cls.__dict__.get("train_step")) if n in _OF_AUTOMATIC_GRADIENTS]
        if derived:
            raise TypeError(
                f"{cls.__name__}.train_step: uses {', '.join(derived)}, but gradients are not derived automatically: "
                "call super().train_step(data), which takes a step with forward and backward, or take it yourself with "
                "self.backward(gradient) and self.optimizer.step(self.parameters)"
            )

    # --- provided by the model ---

    def run(
        self,
        inputs: Any,
        training: bool = False,
        mask: Any = None,
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

    def _gather(self, moved: Iterable[Variable] | None = None) -> None:
        """Put the weights to be trained, by default those that are trainable now, into flat vectors."""
        raise NotImplementedError

    @property
    def parameters(self) -> Parameters | None:
        """The weights that `fit` moves, in flat vectors; None before there are any weights."""
        gathered = self._parameters
        if self.built and (gathered is None or gathered.vectors.left):
            # New layers have come, or another model, which this one is a layer of or has as a layer, has taken weights.
            with building:
                if gathered is self._parameters:
                    self._gather()
                gathered = self._parameters
        return gathered

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
        weight = _one("loss_weights", loss_weights)
        if weight is not None and number("compile: loss_weights", weight) != 1:
            raise NotImplementedError(
                f"compile: loss_weights={loss_weights!r} is not offered: with one output, scale the learning rate"
            )
        recipe = {
            "optimizer": optimizers.get(optimizer),
            "loss": _one("loss", loss),
            "metrics": _flat("metrics", metrics),
            "weighted_metrics": _flat("weighted_metrics", weighted_metrics),
        }
        new_loss = None if recipe["loss"] is None else losses.resolve(recipe["loss"])
        measures = None
        if self.built and new_loss is not None:
            measures = Measures(recipe["metrics"], recipe["weighted_metrics"], new_loss, self.output_shape)
        self._recipe, self.optimizer, self.loss, self._measures = recipe, recipe["optimizer"], new_loss, measures
        if self.parameters is not None and not _same(self.parameters.variables, self.trainable_variables):
            with building:
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
            warn(f"{self.name}: compile's arguments are not kept: {error}")
            return None

    @property
    def moved_variables(self) -> list[Variable]:
        """The weights that `fit` moves: what was trainable when the model was compiled, whatever is now."""
        return [] if self.parameters is None else self.parameters.variables

    @moved_variables.setter
    def moved_variables(self, moved: Iterable[Variable]) -> None:
        with building:
            self._gather(moved)

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Compile as `compile_config` told."""
        self.compile(**{name: deserialize(value) for name, value in config.items()})

    def _ready(self) -> tuple[optimizers.Optimizer, losses.Loss, Parameters, Measures]:
        """Return what a step needs, brought up to date."""
        optimizer, loss, parameters = self.optimizer, self.loss, self.parameters
        if optimizer is None or loss is None:
            self._refuse_uncompiled()
        assert parameters is not None
        if self._measures is None:
            self._measures = Measures(
                self._recipe["metrics"], self._recipe["weighted_metrics"], loss, self.output_shape
            )
        return optimizer, loss, parameters, self._measures

    def _refuse_uncompiled(self) -> NoReturn:
        raise ValueError(f"{self.name}: call compile(optimizer, loss) before training or evaluating")

    def _require_compiled(self) -> None:
        if self.optimizer is None or self.loss is None:
            self._refuse_uncompiled()

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """The shape of the outputs, batch first."""
        raise NotImplementedError

    @property
    def metrics(self) -> list[Any]:
        """The mean loss and the metrics that `compile` was given, once there are weights; those that are attributes."""
        compiled = [] if self._measures is None else self._measures.metrics
        others = [value for value in vars(self).values() if isinstance(value, Metric)] if self._has_metrics else []
        return [*compiled, *_without(others, compiled)]

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
        for metric in self._own_metrics():
            metric.reset_state()

    def _own_metrics(self) -> list[Metric]:
        """Return the metrics that are none of `compile`'s: attributes, or what a subclass has as `metrics`."""
        if not self._has_metrics and type(self).metrics is Trainer.metrics:
            return []
        compiled = () if self._measures is None else self._measures.metrics
        return _without(self.metrics, compiled)

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
        # What looks at outputs and targets, a loss or a metric, may be the user's: they are the layers' and the data's.
        outputs = read_only(z if head is None else head(z))
        targets = map_leaves(read_only, loss.targets(y, outputs.shape, outputs.dtype, name))
        true, left = loss.with_mask(targets, mask)
        weights = None
        if left is not None or sample_weight is not None:
            weights = losses.combine_weights(loss.samples(outputs.shape), sample_weight, left, loss.reduction)
        return targets, (true, outputs, weights, None if head is None else z), mask, penalties

    def _train_step(self, x: Any, y: Array, sample_weight: Array | None = None) -> float:
        """Take a step; return the loss before it."""
        optimizer, loss, parameters, measures = self._ready()
        if not optimizer.accumulating:
            parameters.vectors.gradients.fill(0)
        targets, taken, mask, penalties = self._pass(loss, x, y, sample_weight, True, "y")
        true, outputs, _, logits = taken
        value, gradient = loss.value_and_gradient(*taken)
        self._run_backward(gradient, logits is not None)
        for variable in self._regularized:
            penalties.append(variable.regularizer(variable.value))
            variable.gradient += variable.regularizer.gradient(variable.value)
        if penalties:
            value += sum(penalties)
        optimizer.step(parameters)
        measures.update(value, loss.rows(true, outputs), targets, outputs, sample_weight, mask)
        return value

    def _test_step(self, x: Any, y: Array, sample_weight: Array | None = None, name: str = "y") -> float:
        """Return the loss for a batch."""
        _, loss, _, measures = self._ready()
        targets, taken, mask, penalties = self._pass(loss, x, y, sample_weight, False, name)
        penalties += [v.regularizer(v.value) for v in self._regularized]
        value = loss.value(*taken) + sum(penalties)
        measures.update(value, loss.rows(taken[0], taken[1]), targets, taken[1], sample_weight, mask)
        return value

    def train_step(self, data: tuple[Any, ...]) -> Logs:
        """Take a step on a batch; return the means of loss and metrics so far, by name.

        `fit` and `train_on_batch` call what a subclass defines here. It does something before or after
        ``super().train_step(data)``, or takes the step itself, with ``self.backward(gradient)`` and
        ``self.optimizer.step(self.parameters)``; the gradients of the weights are zero when it begins. What it returns
        for an epoch's last batch is reported.

        >>> import numpy as np
        >>> from lstmcore import Sequential, layers
        >>> class Noisy(Sequential):
        ...     def train_step(self, data):
        ...         x, y = data
        ...         logs = super().train_step((x + np.random.normal(0, 0.1, x.shape), y))
        ...         return {**logs, "rate": self.optimizer.learning_rate}
        >>> model = Noisy([layers.Dense(1, input_shape=(3,))])
        >>> model.compile("sgd", "mse")
        >>> sorted(model.fit(np.ones((8, 3)), np.ones(8), verbose=0).history)
        ['loss', 'rate']

        Parameters
        ----------
        data : (x, y), or (x, y, sample_weight).
        """
        self._train_step(*self._unpacked(data))
        assert self._measures is not None
        return self._measures.logs()

    def test_step(self, data: tuple[Any, ...]) -> Logs:
        """Evaluate a batch; return the means of loss and metrics so far, by name: as `train_step`, for `evaluate`."""
        self._test_step(*self._unpacked(data))
        assert self._measures is not None
        return self._measures.logs()

    def predict_step(self, data: tuple[Any, ...]) -> Array:
        """Return the outputs for a batch, ``data`` its inputs in a tuple: as `train_step`, for `predict`."""
        return self.run(self._inputs(data[0] if isinstance(data, tuple) else data))[0]

    def _unpacked(self, data: tuple[Any, ...]) -> tuple[Any, Array, Any]:
        if not isinstance(data, (tuple, list)) or not 2 <= len(data) <= 3:
            got = f"{len(data)} values" if isinstance(data, (tuple, list)) else type(data).__name__
            raise ValueError(f"data: expected (x, y) or (x, y, sample_weight), got {got}")
        x, y, weight = (*data, None)[:3]
        weight = None if weight is None else real_array("sample_weight", weight)
        return self._inputs(x), as_array("y", y), weight

    def _step(self, x: Any, y: Any, weight: Any, training: bool, name: str = "y") -> Logs | None:
        """Train or test on a batch; return what a step of the user's own returned."""
        method = "train_step" if training else "test_step"
        if not self._defines(method):
            if training:
                self._train_step(x, y, weight)
            else:
                self._test_step(x, y, weight, name)
            return None
        if training:
            optimizer, _, parameters, _ = self._ready()
            if not optimizer.accumulating:  # for steps that are taken by hand
                parameters.vectors.gradients.fill(0)
        data = (x, y) if weight is None else (x, y, weight)
        logs = getattr(self, method)(copies(data))  # the user's code may write over it
        if not isinstance(logs, Mapping):
            raise ValueError(
                f"{self.name}: {method}: expected it to return a dict of numbers by name, as super().{method}(data) "
                f"does, got {logs!r}"
            )
        return dict(logs)

    def _defines(self, method: str) -> bool:
        """Whether a subclass, or the object itself, has a method of its own of that name."""
        return getattr(getattr(self, method), "__func__", None) is not getattr(Trainer, method)

    def _logs(self, given: Logs | None) -> Logs:
        """Return what has been seen since the measures were reset, ``given`` being what the last own step returned."""
        assert self._measures is not None
        return self._measures.logs() if given is None else dict(given)

    @in_turn(within=True)
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

    @in_turn(within=True)
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
        inputs = self._inputs(x)
        rows = rows_of(inputs)
        targets = as_arrays("y", y, False, rows=rows)
        if len(targets) != rows:
            raise ValueError(f"y: expected {rows} rows as in x, got shape {targets.shape}")
        weight = sample_weight
        if isinstance(sample_weight, (list, tuple, dict)):
            weight = as_arrays("sample_weight", sample_weight, False, rows=rows)
        elif sample_weight is not None:
            weight = real_array("sample_weight", sample_weight)
        if class_weight is not None:
            if weight is not None:
                raise ValueError("class_weight: expected None beside a sample_weight; multiply them yourself")
            weight = ClassWeights(class_weight)(targets, len(self.output_shape))
        self._ready()
        if self._progress is not None:  # called by a callback: what fit reports is not to change
            with self._own_measures():
                return self._report(self._logs(self._step(inputs, targets, weight, training)), return_dict)
        self.reset_metrics()
        return self._report(self._logs(self._step(inputs, targets, weight, training)), return_dict)

    def predict_on_batch(self, x: Any) -> Array:
        """Return the outputs for a batch."""
        inputs = self._inputs(x)
        outputs: Array = own_outputs(self._outputs(inputs), inputs)
        return outputs

    def _outputs(self, x: Any) -> Array:
        if not self._defines("predict_step"):
            return self.run(x)[0]
        outputs: Any = self.predict_step(copies((x,)))
        if not isinstance(outputs, np.ndarray) or not outputs.ndim:
            raise ValueError(f"{self.name}: predict_step: expected it to return an array of outputs, got {outputs!r}")
        return outputs

    def _report(self, logs: Logs, return_dict: bool) -> Any:
        if flag("return_dict", return_dict):
            return logs
        names = self.metrics_names
        if list(logs) != names:  # from a step of the user's own
            names = [name for name in names if name in logs]
            names += sorted(logs.keys() - set(names))
        values = [logs[name] for name in names]
        return values[0] if len(values) == 1 else values

    @contextlib.contextmanager
    def _own_measures(self) -> Iterator[None]:
        """Within the ``with`` block, count afresh; then put back what `fit` has counted so far."""
        measures = self._measures if self._progress is not None else None
        before = None if measures is None else measures.state()
        own = [] if measures is None else [(metric, metric.state()) for metric in self._own_metrics()]
        self.reset_metrics()
        try:
            yield
        finally:
            if measures is not None and before is not None:
                measures.load_state(before)
            for metric, state in own:
                metric.load_state(state)

    # --- data ---

    def _inputs(self, x: Any, name: str = "x") -> Any:
        if isinstance(x, (list, tuple, dict)) and not self.takes_several:
            x = as_arrays(name, x, False, self._axes)  # one input in a list, as in `fit`
        array = self.convert(name, x)
        if isinstance(array, np.ndarray) and array.ndim == 0:
            raise ValueError(f"{name}: expected a batch, got a number")
        if not self.built:
            with building:
                if not self.built:
                    self._build_for(array)
        return array

    @property
    def _axes(self) -> int | None:
        """How many axes an input has, if that is known."""
        return len(self.input_shape) if self.built and self.input_shape else None

    def _source(self, x: Any, y: Any = None, sample_weight: Any = None, prefix: str = "", **options: Any) -> Source:
        """Return the source of batches for data, with the model built for them."""
        several, dimensions = self.takes_several, self._axes
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

    @in_turn(within=False)
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
        batch_size : of arrays, rows in a step; the last of an epoch may have fewer. By default 32, or, with
            ``steps_per_epoch``, what makes an epoch a pass over the arrays. Data that come in batches keep theirs.
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
            An argument does not fit, and the message names it; or `compile` was not called.
        RuntimeError
            `fit` is running already: one thread at a time trains or evaluates a model.
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
        An exception, from a callback for instance, leaves the model as after the last whole step. Arrays are not
        copied as a whole: leave them as they are until `fit` returns; nothing of them is kept then.
        """
        self._require_compiled()
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
        loop = Loop(self, feed, validation, validation_steps, validates, classes, hooks, bar, epochs)
        self.stop_training = False
        self._resume = None
        progress = self._progress = Progress(initial_epoch, self, measures, feed, validation, hooks)
        try:
            hooks.on_train_begin()
            if self._resume is not None:  # a callback has restored the state of a training that was interrupted
                (state, guard), self._resume = self._resume, None
                guard(functools.partial(progress.restore, state))
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
        x = self.convert("x", x)
        if not self._defines("train_step"):
            return self._train_step(x, y, weight)
        self._given = self._step(x, y, weight, training=True)
        return float(np.mean((self._given or {}).get("loss", 0.0)))

    def _evaluate(self, data: Source, steps: int | None, hooks: CallbackList | None, prefix: str = "") -> Logs:
        """Let the measures see a data set; return what is to be reported."""
        batch_begin = hooks is not None and hooks.listens("on_test_batch_begin")
        batch_end = hooks is not None and hooks.listens("on_test_batch_end")
        self.stop_evaluating = False
        if hooks is not None:
            hooks.on_test_begin()
        step, given = -1, None
        for step, (x, y, weight) in enumerate(data.steps_of(steps)):
            if y is None:
                raise ValueError(f"{prefix}y: expected targets with every batch of x, got None")
            if batch_begin:
                hooks.on_test_batch_begin(step)  # type: ignore[union-attr]
            given = self._step(self.convert(f"{prefix}x", x), y, weight, training=False, name=f"{prefix}y")
            if batch_end:
                hooks.on_test_batch_end(step, self._logs(given))  # type: ignore[union-attr]
            if self.stop_evaluating:
                break
        if step < 0:
            raise ValueError(f"{prefix}x: expected at least one batch, got none: a generator gives its batches once")
        logs = self._logs(given)
        if hooks is not None:
            hooks.on_test_end(logs)
        return logs

    @in_turn(within=True)
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
            logs = self._evaluate(data, steps, self._hooks_for(data, steps, verbose, callbacks))
            return self._report(logs, return_dict)

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
            return self.predict_on_batch(x)
        data = self._source(x, batch_size=batch_size, steps=steps, needs_targets=False)
        hooks = self._hooks_for(data, steps, verbose, callbacks)
        if hooks is not None:
            self.stop_predicting = False
            hooks.on_predict_begin()
        parts = []
        for step, (inputs, _, _) in enumerate(data.steps_of(steps)):
            if hooks is not None:
                hooks.on_predict_batch_begin(step)
            parts.append(self._outputs(self.convert("x", inputs)))
            if hooks is not None:
                hooks.on_predict_batch_end(step, {"outputs": parts[-1]})
                if self.stop_predicting:
                    break
        if not parts:
            raise ValueError("x: expected at least one batch, got none: a generator gives its batches once")
        if hooks is not None:
            hooks.on_predict_end()
        outputs: Array = own_outputs(parts[0], inputs) if len(parts) == 1 else np.concatenate(parts)
        return outputs

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

    def load_training_state(
        self,
        plain: Mapping[str, Any],
        arrays: Mapping[str, Array],
        guard: Callable[[Callable[[], None]], None] = lambda action: action(),
    ) -> None:
        """Set what `training_state` has returned: all or, on an error, nothing. Weights are the caller's to restore.

        Called within `fit`, by a callback's ``on_train_begin``, it makes that `fit` go on where the
        state was taken: with the same data, the rest of that epoch is the same. Data that cannot be
        rewound, a generator's, have to begin anew: what had been seen of them is left out.

        Parameters
        ----------
        plain, arrays : what `training_state` returned.
        guard : calls what then makes `fit` go on, and undoes what was restored if that raises, for the state
            may be that of a training with other metrics, data or callbacks.

        Raises
        ------
        ValueError, TypeError
            The state is not of such a model.
        """
        state = join(plain, arrays)
        shuffle = None if state["shuffle"] is None else list(map(int, state["shuffle"]))
        before = self.state()
        self.load_state(state["layers"])
        if state["optimizer"] is not None and self.optimizer is not None and self.parameters is not None:
            try:
                self.optimizer.load_state(state["optimizer"], self.parameters)
            except BaseException:
                self.load_state(before)
                raise
        if shuffle is None:
            self._shuffle_stream = None
        else:
            # The same object as before: a `fit` under way draws from it.
            stream = self._shuffle_stream = self._shuffle_stream or _random.Stream(0)
            stream.seed, stream.calls = shuffle
        if self._progress is not None:
            self._resume = None if state["progress"] is None else (state["progress"], guard)


def _one(name: str, value: Any) -> Any:
    """Return what `compile` was given for the one output, which may stand in a list or a dict."""
    not_within_itself(name, value)
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
    not_within_itself(name, value)
    if not isinstance(value, (list, tuple, dict)) or (isinstance(value, dict) and "class_name" in value):
        raise ValueError(f"{name}: expected a list, got {value!r}")
    if isinstance(value, dict):
        value = list(value.values())
    result: list[Any] = []
    for part in value:
        nested = isinstance(part, (list, tuple)) or (isinstance(part, dict) and "class_name" not in part)
        result += _flat(name, part) if nested else [part]
    return result


def _without(metrics: Sequence[Any], known: Sequence[Any]) -> list[Any]:
    return [metric for metric in metrics if not any(metric is other for other in known)]


def _steps(name: str, value: Any) -> int | None:
    return None if value is None else _positive(name, value)


def _positive(name: str, value: Any) -> int:
    try:
        return positive_integer(name, value)
    except TypeError as error:  # for Keras a wrong value, as any other
        raise ValueError(str(error)) from None


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
        epochs = {_positive("validation_freq", epoch) for epoch in value}
        return lambda epoch: epoch in epochs
    every = _positive("validation_freq", value)
    return lambda epoch: epoch % every == 0


def _same(left: Sequence[Variable], right: Sequence[Variable]) -> bool:
    return len(left) == len(right) and all(a is b for a, b in zip(left, right, strict=True))
