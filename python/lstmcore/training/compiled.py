"""What `compile` makes of a model: one with an optimizer, a loss and metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from .. import losses, optimizers
from .._arguments import number
from .._warnings import warn
from ..layers._building import building
from ..layers.layer import Array, Layer
from ..metrics import Metric
from ..serialization import deserialize, serialize
from ..variables import Parameters, Variable
from .arguments import for_one_output, metrics_for_one_output
from .measures import Measures
from .objective import Objective

_WITHOUT_EFFECT = {"run_eagerly", "jit_compile", "steps_per_execution", "auto_scale_loss"}


class Compiled(Layer):
    """A layer that is a whole model, whose weights stand in flat vectors for an optimizer to move."""

    _has_metrics = False  # whether an attribute has ever been a metric: few models have any, and each step asks

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._parameters: Parameters | None = None
        self.optimizer: optimizers.Optimizer | None = None
        self.loss: losses.Loss | None = None
        self._recipe: dict[str, Any] = {}  # the arguments of compile
        self._objective: Objective | None = None
        self._measures: Measures | None = None
        self._regularized: list[Variable] = []

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

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """The shape of the outputs, batch first."""
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
            if name not in _WITHOUT_EFFECT:
                raise TypeError(f"compile got an unexpected argument {name!r}")
        if self.built and not isinstance(self.output_shape, tuple):
            raise NotImplementedError(
                f"{self.name}: compile: expected a model with one output, got {len(self.output_shape)}; train a Model "
                "of each output, which share the layers, or put the outputs side by side with Concatenate"
            )
        weight = for_one_output("loss_weights", loss_weights)
        if weight is not None and number("compile: loss_weights", weight) != 1:
            raise NotImplementedError(
                f"compile: loss_weights={loss_weights!r} is not offered: with one output, scale the learning rate"
            )
        recipe = {
            "optimizer": optimizers.get(optimizer),
            "loss": for_one_output("loss", loss),
            "metrics": metrics_for_one_output("metrics", metrics),
            "weighted_metrics": metrics_for_one_output("weighted_metrics", weighted_metrics),
        }
        new_loss = None if recipe["loss"] is None else losses.resolve(recipe["loss"])
        objective = measures = None
        if self.built and new_loss is not None:
            objective = Objective(new_loss, recipe["metrics"], recipe["weighted_metrics"], self.output_shape)
            measures = Measures([objective])
        self._recipe, self.optimizer, self.loss = recipe, recipe["optimizer"], new_loss
        self._objective, self._measures = objective, measures
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

    def _ready(self) -> tuple[optimizers.Optimizer, Parameters, Objective, Measures]:
        """Return what a step needs, brought up to date."""
        optimizer, loss, parameters = self.optimizer, self.loss, self.parameters
        if optimizer is None or loss is None:
            self._refuse_uncompiled()
        assert parameters is not None
        objective, measures, recipe = self._objective, self._measures, self._recipe
        if objective is None or measures is None:
            objective = Objective(loss, recipe["metrics"], recipe["weighted_metrics"], self.output_shape)
            measures = Measures([objective])
            self._objective, self._measures = objective, measures
        # Another last layer may have come since; few losses ask for it, and each step is here.
        objective.loss, objective.head = loss, None if loss.fuses is None else self.head
        return optimizer, parameters, objective, measures

    def _refuse_uncompiled(self) -> NoReturn:
        raise ValueError(f"{self.name}: call compile(optimizer, loss) before training or evaluating")

    def _require_compiled(self) -> None:
        if self.optimizer is None or self.loss is None:
            self._refuse_uncompiled()

    # --- metrics ---

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
        if not self._has_metrics and type(self).metrics is Compiled.metrics:
            return []
        compiled = () if self._measures is None else self._measures.metrics
        return _without(self.metrics, compiled)


def _without(metrics: Sequence[Any], known: Sequence[Any]) -> list[Any]:
    return [metric for metric in metrics if not any(metric is other for other in known)]


def _same(left: Sequence[Variable], right: Sequence[Variable]) -> bool:
    return len(left) == len(right) and all(a is b for a, b in zip(left, right, strict=True))
