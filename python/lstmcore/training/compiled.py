"""What `compile` makes of a model: one with an optimizer, a loss and metrics."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from .. import optimizers
from .._arguments import not_within_itself
from .._signatures import did_you_mean
from .._tree import leaves
from .._warnings import warn
from ..activations import Activation
from ..layers._building import building
from ..layers._metrics import metrics_of
from ..layers.layer import Layer
from ..metrics import Metric
from ..serialization import deserialize, serialize
from ..variables import Parameters, Variable
from .data import Targets
from .measures import Logs, Measures
from .objectives import Objectives, losses_for, weights_for
from .outputs import for_one_output, metrics_for_one_output
from .turns import refuse_while_trained

_WITHOUT_EFFECT = {"run_eagerly", "jit_compile", "steps_per_execution", "auto_scale_loss"}


class Compiled(Layer):
    """A layer that is a whole model, whose weights stand in flat vectors for an optimizer to move."""

    distribution: Any = None  # how steps are shared among processes, if they are
    made_by_data = False  # whether it shows by the first data what outputs there are
    _found_metrics: tuple[int, list[Metric]] | None = None  # those that are attributes, when so many had been made

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._parameters: Parameters | None = None
        self.optimizer: optimizers.Optimizer | None = None
        self.loss: Any = None  # a losses.Loss or, for several outputs, a list of them
        self._recipe: dict[str, Any] = {}  # the arguments of compile
        self._objectives: Objectives | None = None
        self._measures: Measures | None = None
        self._regularized: list[Variable] = []

    # --- provided by the model ---

    def run(
        self,
        inputs: Any,
        training: bool = False,
        mask: Any = None,
        logits: bool | Sequence[bool] = False,
    ) -> tuple[Any, Any]:
        """Return the outputs for a batch, and their masks.

        With ``logits``, the outputs are what goes into the `last_activation`; of several outputs, those for which it
        says so.
        """
        raise NotImplementedError

    def _run(self, inputs: Any, training: bool, mask: Any, logits: bool | Sequence[bool]) -> tuple[Any, Any]:
        """Do as `run`, with a mask that is known to fit."""
        raise NotImplementedError

    def _run_backward(self, d_outputs: Any, logits: bool | Sequence[bool]) -> None:
        """Add to the gradients of all weights, from those of the outputs, or what goes into the `last_activation`."""
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
                    refuse_while_trained(self)
                    # What is trained is settled by `compile`, whatever `trainable` says now.
                    self._gather(None if gathered is None else gathered.variables)
                gathered = self._parameters
        return gathered

    @property
    def output_shape(self) -> Any:
        """The shape of the outputs, batch first; for several, in a list or dict."""
        raise NotImplementedError

    @property
    def several_outputs(self) -> Any:
        """The names of the outputs, in lists and dicts as these are, if there are several; None if there is one."""
        return None

    @property
    def input_key(self) -> str | None:
        """The name of the only input, which a dict of data is to have; None if it may be any."""
        return None

    @property
    def input_symbols(self) -> Any:
        """Something for each input, in lists and dicts as they are said; None if they are not known."""
        return None

    def in_order(self, inputs: Any) -> Any:
        """Return several inputs in the order in which `convert` does."""
        return inputs

    @property
    def output_key(self) -> str | None:
        """The same of the only output."""
        return None

    @property
    def output_shapes(self) -> list[Any]:
        """The shapes of the outputs, one after the other."""
        return [self.output_shape]

    @property
    def last_activations(self) -> list[Activation | None]:
        """For each output, the activation that the layer of it ends with, if it can leave that out."""
        return [self.last_activation]

    # --- compile ---

    def compile(
        self,
        optimizer: str | dict[str, Any] | optimizers.Optimizer = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        distribute: Any = None,
        **options: Any,
    ) -> None:
        """Choose how to train. Changes of ``trainable`` take effect here.

        Parameters
        ----------
        optimizer : a name, such as "adam", or an `optimizers.Optimizer`.
        loss : a name, such as "mse", a `losses.Loss`, or a function of y_true and y_pred, written with
            `autograd.numpy` or with a ``gradient`` of its own. For several outputs, one for all, or a list of them in
            the order of the outputs, or a dict by their names; None, or none in a dict, for outputs that are not
            trained. Without any, what layers add with `add_loss` is learned by, and no targets are needed.
        loss_weights : of the losses in their sum, 1 by default: a number, or a list or dict for several outputs.
        metrics : names, `metrics.Metric` objects or functions, to report beside the loss: a list or, for several
            outputs, a list or dict of what each has, one or a list; one without a loss may have some too.
        weighted_metrics : more of them, which sample weights and class weights apply to.
        distribute : a `distributed.MPI`, to train on several processes; what `distribute` was called for by default.
        **options : Keras's ``run_eagerly``, ``jit_compile``, ``steps_per_execution`` and
            ``auto_scale_loss`` are accepted and have no effect.

        Raises
        ------
        ValueError, TypeError
            An argument does not fit; the message names it.
        RuntimeError
            Another thread trains or evaluates the model, or one that has a layer of it.

        Notes
        -----
        With several outputs, the loss that is reported is the sum with the weights; beside it there is each output's,
        without its weight, by the output's name: "price_loss", as there is "price_mae".
        """
        for name in options:
            if name not in _WITHOUT_EFFECT:
                known = [p for p in inspect.signature(self.compile).parameters if p != "options"]
                question = did_you_mean(name, (*known, *_WITHOUT_EFFECT))
                raise TypeError(f"compile got an unexpected argument {name!r}{question}")
        refuse_while_trained(self)
        if distribute is not None and not hasattr(distribute, "communicator"):
            raise TypeError(f"distribute: expected a distributed.MPI, got {distribute!r}")
        self._look_again()
        recipe: dict[str, Any] = {"optimizer": optimizers.get(optimizer)}
        asked = {"loss": loss, "metrics": metrics, "weighted_metrics": weighted_metrics}
        for name, value in asked.items():
            not_within_itself(name, value)
        outputs = self.several_outputs
        unknown = self.made_by_data and not self.built
        if outputs is None and not unknown:
            asked["loss"] = for_one_output("loss", loss, self.output_key)
            for name in ("metrics", "weighted_metrics"):
                asked[name] = metrics_for_one_output(name, asked[name], self.output_key)
        recipe |= asked
        if loss_weights is not None:
            recipe["loss_weights"] = loss_weights
        new_loss: Any = loss
        if not unknown:
            weights_for(loss_weights, outputs)
            chosen = losses_for(asked["loss"], outputs)
            new_loss = chosen[0] if outputs is None else None if all(one is None for one in chosen) else chosen
        made = self._make_objectives(recipe, new_loss) if self.built else (None, None)
        self._recipe, self.optimizer, self.loss = recipe, recipe["optimizer"], new_loss
        self._objectives, self._measures = made
        self.distribution = self.distribution if distribute is None else distribute
        if self.parameters is not None and not _same(self.parameters.variables, self.trainable_variables):
            with building:
                self._gather()

    def distribute(self, shards: int = 8, timeout: float = 600.0) -> None:
        """Train on all processes that ``mpiexec`` has started, bit for bit as in one with as many ``shards``.

        The same as ``compile(..., distribute=distributed.MPI(shards, timeout))``, before or after it.
        """
        from ..distributed import MPI  # here, for most models are not

        refuse_while_trained(self)
        self.distribution = MPI(shards, timeout)

    @property
    def is_first_process(self) -> bool:
        """Whether this is the process that prints, saves and logs."""
        return self.distribution is None or bool(self.distribution.is_first)

    def quantize(self, mode: str = "int8", weights: str | None = None) -> None:
        """Keep the weights in int8, in place, for inference; see `Layer.quantize`.

        A model that is compiled stays so, for `evaluate`; what its optimizer has remembered is gone.

        >>> import numpy as np
        >>> from lstmcore import Sequential, layers
        >>> model = Sequential([layers.LSTM(8, input_shape=(None, 3)), layers.Dense(1)])
        >>> model.quantize("int8")
        >>> model.predict(np.ones((2, 5, 3)), verbose=0).shape
        (2, 1)

        Parameters
        ----------
        mode, weights : as for `Layer.quantize`.

        Raises
        ------
        ValueError
            An argument, or the model, is none of those that can be quantized; then nothing is changed.
        RuntimeError
            Another thread trains or evaluates the model, or one that has a layer of it.
        """
        refuse_while_trained(self)
        super().quantize(mode, weights)
        if self._recipe:
            try:
                optimizer = deserialize(serialize(self.optimizer))
            except TypeError:  # of the user's, with functions: it has nothing to do any more
                optimizer = "rmsprop"
            self.compile(**self._recipe | {"optimizer": optimizer})

    def _make_objectives(self, recipe: Mapping[str, Any], loss: Any) -> tuple[Objectives, Measures]:
        outputs = self.several_outputs
        objectives = Objectives.of({**recipe, "loss": loss}, outputs, self.output_shapes)
        for objective, head in zip(objectives.each, self.last_activations, strict=True):
            if objective is not None:
                objective.refuse_head(head)
        return objectives, Measures(objectives.each, objectives.names, objectives.weights)

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

    def _ready(self) -> tuple[optimizers.Optimizer, Parameters, Objectives, Measures]:
        """Return what a step needs, brought up to date."""
        optimizer, parameters = self.optimizer, self.parameters
        if optimizer is None:
            self._refuse_uncompiled()
        assert parameters is not None
        objectives, measures = self._settled()
        if objectives.fuses:  # another last layer may have come since
            objectives.follow(self.last_activations)
        return optimizer, parameters, objectives, measures

    def _settled(self) -> tuple[Objectives, Measures]:
        """Return what is asked of the outputs, which may show by the first data only."""
        objectives, measures = self._objectives, self._measures
        if objectives is None or measures is None:
            objectives, measures = self._objectives, self._measures = self._make_objectives(self._recipe, self.loss)
        return objectives, measures

    def _refuse_uncompiled(self) -> NoReturn:
        raise ValueError(f"{self.name}: call compile(optimizer, loss) before training or evaluating")

    def _require_compiled(self) -> None:
        if self.optimizer is None:
            self._refuse_uncompiled()

    @property
    def needs_targets(self) -> bool:
        """Whether there is a loss or a metric of an output: else what layers add to the loss is all there is."""
        asked = (self._recipe.get(name) for name in ("loss", "metrics", "weighted_metrics"))
        return any(part is not None for part in leaves(list(asked)))

    def _targets(self) -> Targets:
        """Return how targets come."""
        outputs = self.several_outputs
        if outputs is None:
            return Targets(key=self.output_key, axes=len(self.output_shape) if self.built else None)
        each = self._settled()[0].each
        return Targets(outputs, [name for name, one in zip(leaves(outputs), each, strict=True) if one is not None])

    # --- metrics ---

    @property
    def metrics(self) -> list[Any]:
        """The mean loss and the metrics that `compile` was given, once there are weights; then attributes.

        These are the model's own, and those of the layers within; of models within their layers' alone, as in Keras.
        """
        compiled = [] if self._measures is None else self._measures.metrics
        return [*compiled, *_without(self._kept_metrics(), compiled)]

    @property
    def metrics_names(self) -> list[str]:
        """The names of what is reported, the loss first and metrics that are attributes last."""
        if self._measures is not None:
            return list(self.reported_metrics)
        own = [metric.name for metric in self._own_metrics()]
        kinds = () if self.several_outputs is not None else ("metrics", "weighted_metrics")
        given = [m for kind in kinds for m in metrics_for_one_output(kind, self._recipe.get(kind)) if m is not None]
        names = [m if isinstance(m, str) else getattr(m, "name", None) or m.__name__ for m in given]
        return list(dict.fromkeys(["loss", *names, *own]))

    @property
    def reported_metrics(self) -> dict[str, Any]:
        """The `metrics` by the names that they are reported with, such as "price_mae" for an output's "mae"."""
        if self._measures is None:
            return {metric.name: metric for metric in self._own_metrics()}
        return self._measures.reported(self._own_metrics())

    def _measured(self) -> Logs:
        """Return the loss and the metrics of what has been seen, those that are attributes too, by name."""
        assert self._measures is not None
        return self._measures.logs(self._own_metrics())

    def reset_metrics(self) -> None:
        """Forget what metrics have seen."""
        if self._measures is not None:
            self._measures.reset()
        for metric in self._own_metrics():
            metric.reset_state()

    def _own_metrics(self) -> list[Metric]:
        """Return the metrics that are none of `compile`'s: attributes, or what a subclass has as `metrics`."""
        known = self._found_metrics
        if known and not known[1] and known[0] == Metric.made and type(self).metrics is Compiled.metrics:
            return known[1]  # of most models, at every step
        found = self._kept_metrics() if type(self).metrics is Compiled.metrics else self.metrics
        return found and _without(found, () if self._measures is None else self._measures.metrics)

    def _kept_metrics(self) -> list[Metric]:
        """Return the metrics that are attributes of the model and of layers within."""
        known = self._found_metrics
        if known is None or known[0] != Metric.made:  # a look at all attributes, which no step is to take
            layers = [part for part in self.keepers if part is self or not getattr(part, "is_model", False)]
            known = self.__dict__["_found_metrics"] = Metric.made, metrics_of(layers)
        return known[1]

    def _look_again(self) -> None:
        """Look for metrics anew, for one that there was may have become an attribute."""
        self.__dict__["_found_metrics"] = None


def _without(metrics: Sequence[Any], known: Sequence[Any]) -> list[Any]:
    """Return those metrics that are not known, each once."""
    ids = {id(metric) for metric in known}
    return list({id(metric): metric for metric in metrics if id(metric) not in ids}.values())


def _same(left: Sequence[Variable], right: Sequence[Variable]) -> bool:
    return len(left) == len(right) and all(a is b for a, b in zip(left, right, strict=True))
