"""Steps of a compiled model on single batches."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .. import _masks
from .._arguments import as_array, flag, real_array
from .._tree import leaves, map_leaves, rows_of
from ..graph.penalties import Collected
from ..layers._building import building
from ..layers._calls import own_outputs
from .class_weights import ClassWeights
from .compiled import Compiled
from .data import all_rows, apart, as_arrays, gathered, joined, lengths_of, masked
from .measures import Logs
from .objective import Seen
from .objectives import Objectives
from .own_steps import logs_of, refuse_what_is_not_called
from .progress import Progress
from .turns import in_turn

# The loss without the weights' penalties, each output's, the layers' penalties, and what objectives have seen.
Learned = tuple[float, list[float], list[Any], list[Seen]]


class Stepping(Compiled):
    """A model that can be compiled, and takes steps on batches."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._progress: Progress | None = None  # of the fit under way

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        refuse_what_is_not_called(cls)

    # --- of the library's own ---

    def _run_with_mask(self, x: Any, training: bool = False, logits: Any = False) -> tuple[Any, Any]:
        """Return the outputs for a batch and their mask; padding of ours is to reach nothing."""
        mask = _masks.of_data(x)
        if mask is None:
            return self.run(x, training, None, logits)
        if not _masks.is_exact(x):
            return self._run(x, training, mask, logits)
        with _masks.strict():
            return self._run(x, training, mask, logits)

    def _train_step(self, x: Any, y: Any, sample_weight: Any = None) -> float:
        """Take a step; return the loss before it."""
        if self.distribution is not None:
            return float(self.distribution.train(self, x, y, sample_weight))
        optimizer, parameters, objectives, measures = self._ready()
        optimizer.begin(parameters)
        value, parts, penalties, seen = self._learn(objectives, x, y, sample_weight)
        for variable in self._regularized:
            penalties.append(variable.regularizer(variable.value))
            variable.gradient += variable.regularizer.gradient(variable.value)
        penalty = float(sum(penalties)) if penalties else 0.0
        value += penalty
        optimizer.step(parameters)
        measures.update(value, penalty, parts, objectives.rows(seen) or [rows_of(x)])
        objectives.update(seen)
        return value

    def _learn(self, objectives: Objectives, x: Any, y: Any, sample_weight: Any) -> Learned:
        """Add the gradients of a batch, without those of the weights' penalties, to what there is."""
        logits = objectives.logits
        with Collected() as penalties:
            result, mask = self._run_with_mask(x, True, logits)
        seen = objectives.look(result, mask, y, sample_weight)
        value, parts, gradient = objectives.values_and_gradient(seen)
        if not objectives.has_loss:
            self._refuse_no_loss(penalties)
            gradient = map_leaves(np.zeros_like, result)
        self._run_backward(gradient, logits)
        return value, parts, penalties, seen

    def _test_step(self, x: Any, y: Any, sample_weight: Any = None, name: str = "y") -> float:
        """Return the loss for a batch."""
        if self.distribution is not None:
            return float(self.distribution.test(self, x, y, sample_weight, name))
        _, _, objectives, measures = self._ready()
        value, parts, penalties, seen = self._judge(objectives, x, y, sample_weight, name)
        penalties += [v.regularizer(v.value) for v in self._regularized]
        penalty = float(sum(penalties))
        value += penalty
        measures.update(value, penalty, parts, objectives.rows(seen) or [rows_of(x)])
        objectives.update(seen)
        return value

    def _judge(self, objectives: Objectives, x: Any, y: Any, sample_weight: Any, name: str) -> Learned:
        """Return what there is to say of a batch."""
        with Collected() as penalties:
            result, mask = self._run_with_mask(x, False, objectives.logits)
        seen = objectives.look(result, mask, y, sample_weight, name)
        value, parts = objectives.values(seen)
        if not objectives.has_loss:
            self._refuse_no_loss(penalties)
        return value, parts, penalties, seen

    def _refuse_no_loss(self, penalties: list[Any]) -> None:
        """Refuse a step of a model that has no loss, and to which nothing is added in its place."""
        if not penalties and not self._regularized:
            raise ValueError(
                f"{self.name}: loss: expected one in compile, or a layer that adds to it with add_loss; got neither"
            )

    def _refuse_no_targets(self, y: Any, prefix: str = "", of: str = "") -> None:
        """Refuse None for targets where a loss or a metric is to see some."""
        if y is None and self.needs_targets:
            raise ValueError(f"{prefix}y: expected targets{of}, got None")

    # --- that a subclass may define ---

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
        return self._measured()

    def test_step(self, data: tuple[Any, ...]) -> Logs:
        """Evaluate a batch; return the means of loss and metrics so far, by name: as `train_step`, for `evaluate`."""
        self._test_step(*self._unpacked(data))
        return self._measured()

    def predict_step(self, data: tuple[Any, ...]) -> Any:
        """Return the outputs for a batch, ``data`` its inputs in a tuple: as `train_step`, for `predict`."""
        x = self._inputs(data[0] if isinstance(data, tuple) else data)
        outputs, mask = self._run_with_mask(x)
        return _masks.attach(self.name, x, outputs, mask)

    def _unpacked(self, data: tuple[Any, ...]) -> tuple[Any, Any, Any]:
        if not isinstance(data, (tuple, list)) or not 2 <= len(data) <= 3:
            got = f"{len(data)} values" if isinstance(data, (tuple, list)) else type(data).__name__
            raise ValueError(f"data: expected (x, y) or (x, y, sample_weight), got {got}")
        x, y, weight = (*data, None)[:3]
        x = self._inputs(x)
        if y is None:
            self._refuse_no_targets(y)
            return x, None, None
        if self.several_outputs is None:
            return x, as_array("y", y), None if weight is None else real_array("sample_weight", weight)
        targets, rows = self._targets(), rows_of(x)
        return x, targets(y, rows), None if weight is None else targets.weights(weight, rows)

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
            optimizer, parameters, _, _ = self._ready()
            optimizer.begin(parameters)  # for steps that are taken by hand
        data = (x, y) if weight is None else (x, y, weight)
        return logs_of(self.name, method, getattr(self, method), data)

    def _given(self, name: str, x: Any) -> Any:
        """Return inputs as a step takes them; of those that processes share, each converts its own rows."""
        return x if self.distribution is not None else self._converted(name, x)

    def _defines(self, method: str) -> bool:
        """Whether a subclass, or the object itself, has a method of its own of that name."""
        return getattr(getattr(self, method), "__func__", None) is not getattr(Stepping, method)

    def _logs(self, given: Logs | None) -> Logs:
        """Return what has been seen since the measures were reset, ``given`` being what the last own step returned."""
        return self._measured() if given is None else dict(given)

    @in_turn(within=True)
    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
        *,
        mask: Any = None,
        lengths: Any = None,
    ) -> Any:
        """Take one step on a batch; return the loss before it, with the metrics if there are any.

        Parameters
        ----------
        x, y, sample_weight : one row each a sample; ``sample_weight`` may be (batch, steps) where the
            outputs have steps. For several outputs, lists or dicts as for `fit`.
        class_weight : class -> weight, instead of ``sample_weight``.
        return_dict : return the numbers by name.
        mask, lengths : which steps of ``x`` count, as for `fit`.
        """
        return self._on_batch(True, self._with_ends(x, mask, lengths), y, sample_weight, class_weight, return_dict)

    @in_turn(within=True)
    def test_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        return_dict: bool = False,
        *,
        mask: Any = None,
        lengths: Any = None,
    ) -> Any:
        """Return the loss of a batch, with the metrics if there are any."""
        return self._on_batch(False, self._with_ends(x, mask, lengths), y, sample_weight, None, return_dict)

    def _on_batch(
        self,
        training: bool,
        x: Any,
        y: Any,
        sample_weight: Any,
        class_weight: Mapping[int, float] | None,
        return_dict: bool,
    ) -> Any:
        self._require_compiled()
        inputs = self._inputs(x)
        self._refuse_no_targets(y)
        rows = rows_of(inputs)
        shape = self._targets()
        if type(x) is not np.ndarray:
            shape.lengths = lengths_of(x)
        targets = None if y is None else shape(y, rows)
        if type(targets) is not np.ndarray:
            targets = all_rows(targets)
        if isinstance(targets, np.ndarray) and len(targets) != rows:
            raise ValueError(f"y: expected {rows} rows as in x, got shape {targets.shape}")
        weight: Any = sample_weight
        if isinstance(sample_weight, (list, tuple, dict)) or shape.outputs is not None:
            weight = None if sample_weight is None else all_rows(shape.weights(sample_weight, rows))
        elif sample_weight is not None:
            weight = real_array("sample_weight", sample_weight)
        if class_weight is not None:
            if weight is not None:
                raise ValueError("class_weight: expected None beside a sample_weight; multiply them yourself")
            if targets is None:
                raise ValueError("class_weight: expected None without targets")
            weight = self._class_weights(class_weight)(targets, len(self.output_shape))
        if self._measures is None:  # which a step of the user's own may not need, but its report does
            self._ready()
        if self._progress is not None:  # called by a callback: what fit reports is not to change
            with self._own_measures():
                return self._report(self._logs(self._step(inputs, targets, weight, training)), return_dict)
        self.reset_metrics()
        return self._report(self._logs(self._step(inputs, targets, weight, training)), return_dict)

    def _class_weights(self, class_weight: Mapping[int, float]) -> ClassWeights:
        if self.several_outputs is not None:
            raise ValueError(
                "class_weight: expected None for a model with several outputs; give a sample_weight for each"
            )
        return ClassWeights(class_weight)

    def predict_on_batch(self, x: Any, *, mask: Any = None, lengths: Any = None) -> Any:
        """Return the outputs for a batch; arguments are those of `predict`."""
        inputs = self._inputs(self._with_ends(x, mask, lengths))
        ragged = _masks.is_exact(inputs)
        outputs = self._outputs(inputs, ragged)
        return joined([outputs]) if ragged else own_outputs(outputs, inputs)

    def _outputs(self, x: Any, ragged: bool = False) -> Any:
        """Return the outputs for a batch, those for steps of ``ragged`` inputs as `Sequences`."""
        if self.distribution is not None:
            return self.distribution.outputs(functools.partial(self._outputs_of_rows, ragged=ragged), x)
        return self._outputs_of_all(x, ragged)

    def _outputs_of_rows(self, x: Any, rows: slice, ragged: bool) -> Any:
        return self._outputs_of_all(self._converted("x", _masks.cut(x, rows)), ragged)

    def _outputs_of_all(self, x: Any, ragged: bool) -> Any:
        if not self._defines("predict_step"):
            result, mask = self._run_with_mask(x)
            return apart(result, mask) if ragged else result
        outputs: Any = self.predict_step(_masks.copied((x,)))
        several = self.several_outputs is not None
        if not all(isinstance(part, np.ndarray) and part.ndim for part in (leaves(outputs) if several else [outputs])):
            raise ValueError(f"{self.name}: predict_step: expected it to return an array of outputs, got {outputs!r}")
        if not ragged:
            return outputs
        for part, shape in zip(leaves(outputs), self.output_shapes, strict=True):
            if len(shape) > 2 and shape[1] is None and _masks.of(part) is None:
                raise ValueError(
                    f"{self.name}: predict_step: expected outputs that their mask goes with, as those of "
                    "super().predict_step(data), for inputs of different length"
                )
        return apart(outputs, _masks.of(outputs))

    def _report(self, logs: Logs, return_dict: bool) -> Any:
        if flag("return_dict", return_dict):
            return logs
        if len(logs) == 1:
            return next(iter(logs.values()))
        names = self.metrics_names
        if list(logs) != names:  # from a step of the user's own
            names = [name for name in names if name in logs]
            names += sorted(logs.keys() - set(names))
            logs = {name: logs[name] for name in names}
        return list(logs.values())

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

    def _gathered(self, x: Any, name: str = "x") -> Any:
        """Return data of a batch as arrays, or as sequences of different length."""
        x = gathered(name, x, self.takes_several, self.input_symbols)
        if isinstance(x, (list, tuple, dict)) and not self.takes_several:
            x = as_arrays(name, x, False, self._axes, key=self.input_key)  # one input in a list, as in `fit`
        return x

    def _with_ends(self, x: Any, mask: Any, lengths: Any) -> Any:
        """Return data of a batch, and which steps count."""
        if type(x) is np.ndarray and mask is None and lengths is None:
            return x
        x = self._gathered(x)
        return masked("x", x if self.takes_several else as_arrays("x", x, False), mask, lengths)

    def _inputs(self, x: Any, name: str = "x", build: bool = True) -> Any:
        if type(x) is not np.ndarray:
            x = all_rows(self._gathered(x, name))
        array = self._converted(name, x)
        if isinstance(array, np.ndarray) and array.ndim == 0:
            raise ValueError(f"{name}: expected a batch, got a number")
        if build and not self.built:
            with building:
                if not self.built:
                    self._build_for(array)
        return array

    def _converted(self, name: str, x: Any) -> Any:
        """Return a batch as the passes take it, with its masks."""
        arrays = self.convert(name, x)
        return arrays if arrays is x or _masks.of(x) is None else _masks.kept(self.in_order(x), arrays)

    @property
    def _axes(self) -> int | None:
        """How many axes an input has, if that is known."""
        return len(self.input_shape) if self.built and self.input_shape else None
