"""What all optimizers have in common: everything but the rule that moves the parameters."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._arguments import (
    ArgumentTypeError,
    flag,
    float_array,
    integer,
    items,
    mapping,
    named,
    number,
    positive_integer,
    reject_options,
    shown,
    strings,
)
from .._warnings import warn
from ..serialization import Configurable, serialize
from ..variables import Parameters, Variable
from .rate import Rate, RateLike
from .schedules import LearningRateSchedule

Array = NDArray[Any]
T = TypeVar("T")
C = TypeVar("C", bound="Optimizer")


# The order by position of what all optimizers take behind what is their own, as in Keras.
SHARED = (
    *("weight_decay", "clipnorm", "clipvalue", "global_clipnorm"),
    *("use_ema", "ema_momentum", "ema_overwrite_frequency"),
    *("loss_scale_factor", "gradient_accumulation_steps", "name"),
)


class Optimizer(Configurable):
    """Base of the optimizers. A subclass defines ``slots`` and ``rule``.

    Parameters
    ----------
    learning_rate : a number of at least 0, or an object whose ``numpy()`` is one, which may be changed between steps; a
        `schedules.LearningRateSchedule`; or a function without arguments, asked in every step.
    weight_decay : before every step, the parameters lose ``weight_decay * learning_rate`` of
        themselves (Loshchilov & Hutter 2019).
    clipnorm : greatest norm of each variable's gradient; a longer one is shortened to it.
    global_clipnorm : greatest norm of all gradients together.
    clipvalue : greatest size of each element of the gradients. Of the three, one may be given.
    use_ema : keep a moving average of the parameters and put it in their place at the end of
        `fit`, and after every ``ema_overwrite_frequency`` steps if that is given.
    ema_momentum : share of the old average in the new one, in [0, 1].
    gradient_accumulation_steps : move the parameters only at every so many-th call, by the mean of
        the gradients since the last time.
    loss_scale_factor : only None, for there is nothing to scale in float32 and float64.
    name : by default that of the class, in lower case.

    Raises
    ------
    ValueError, TypeError
        An argument is outside its range or unknown; the message names it.
    NotImplementedError
        ``loss_scale_factor`` is given.
    """

    def __init__(
        self,
        learning_rate: RateLike,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        kind = type(self).__name__
        if options.pop("decay", None) is not None:
            warn(f"{kind}: decay has no effect; use a learning-rate schedule")
        reject_options(kind, options, (), type(self))
        reject_options(kind, {"loss_scale_factor": loss_scale_factor}, {"loss_scale_factor"})

        def optional(check: Callable[..., T], name: str, value: Any, *interval: str) -> T | None:
            return None if value is None else check(f"{kind}: {name}", value, *interval)

        self._learning_rate = self._checked_rate(learning_rate)
        if "learning_rate" in self._arguments:  # which may have been an object that is no plain data
            self._arguments["learning_rate"] = self._learning_rate
        self.weight_decay = optional(number, "weight_decay", weight_decay, "[0, inf)")
        self.clipnorm = optional(number, "clipnorm", clipnorm, "(0, inf)")
        self.clipvalue = optional(number, "clipvalue", clipvalue, "(0, inf)")
        self.global_clipnorm = optional(number, "global_clipnorm", global_clipnorm, "(0, inf)")
        given = [k for k in ("clipnorm", "clipvalue", "global_clipnorm") if getattr(self, k) is not None]
        if len(given) > 1:
            raise ValueError(
                f"{kind}: {given[1]}: expected None where {given[0]} is given, got {getattr(self, given[1])}"
            )
        self.use_ema = flag(f"{kind}: use_ema", use_ema)
        self.ema_momentum = number(f"{kind}: ema_momentum", ema_momentum, "[0, 1]")
        self.ema_overwrite_frequency = optional(positive_integer, "ema_overwrite_frequency", ema_overwrite_frequency)
        self.gradient_accumulation_steps = optional(
            positive_integer, "gradient_accumulation_steps", gradient_accumulation_steps
        )
        if self.gradient_accumulation_steps == 1:
            raise ValueError(f"{kind}: gradient_accumulation_steps: expected None or an integer of at least 2, got 1")
        self.name = named(kind, name, kind.lower())
        self._excluded: tuple[list[str], list[str]] = [], []  # names and paths, from weight decay
        self._calls = 0  # of step
        self._shapes: Sequence[tuple[int, ...]] | None = None  # of the variables, once there has been a step
        self._vectors: dict[str, Array] = {}  # the slots, and "average"
        self._sum: Array | None = None  # of the gradients of earlier batches, while they are summed up

    # --- to be defined by the optimizers ---

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the vectors that the rule keeps, in the core's order."""
        raise NotImplementedError(f"{type(self).__name__}: define slots and rule(learning_rate, step)")

    def rule(self, learning_rate: float, step: int) -> tuple[str, Sequence[float]]:
        """Return the core's rule (src/cpp/kernels/optimizers.hpp) and its numbers for a step, from 1 on."""
        raise NotImplementedError(f"{type(self).__name__}: define slots and rule(learning_rate, step)")

    @property
    def initial_slot_value(self) -> float:
        """What the vectors hold before the first step."""
        return 0.0

    # --- the learning rate and the count ---

    def _checked_rate(self, value: Any) -> float | Callable[..., float]:
        where = f"{type(self).__name__}: learning_rate"
        if isinstance(value, LearningRateSchedule):
            return value
        value = _plain(value)
        if callable(value) and not isinstance(value, type):
            if not _takes_nothing(value):
                raise ValueError(
                    f"{where}: expected a function without arguments, got {value!r}; a LearningRateSchedule is given "
                    "the number of the step"
                )
            return value  # type: ignore[no-any-return]
        try:
            return number(where, value, "[0, inf)")
        except TypeError as error:
            raise ValueError(f"{error}; a schedule or a function without arguments will do too") from None

    def _rate(self) -> float:
        rate = self._learning_rate
        if isinstance(rate, float):
            return rate
        if isinstance(rate, LearningRateSchedule):
            return float(rate(self._calls))
        return number(f"{type(self).__name__}: learning_rate()", _plain(rate()), "[0, inf)")

    @property
    def learning_rate(self) -> Rate:
        """The learning rate of the next step. It can be set, but not to a number where a schedule was given.

        ``optimizer.learning_rate.assign(0.01)`` sets it too, and ``lr`` is its older name.
        """
        return Rate.of(self, self._rate())

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        rate = self._checked_rate(value)
        if callable(self._learning_rate) and not callable(rate):
            raise TypeError(
                f"{type(self).__name__}: learning_rate: was made with the schedule {self._learning_rate!r} and cannot "
                f"be set to a number, got {value!r}"
            )
        self._learning_rate = rate

    lr = learning_rate

    @property
    def iterations(self) -> int:
        """How often the parameters have been moved."""
        return self._calls // (self.gradient_accumulation_steps or 1)

    @property
    def accumulating(self) -> bool:
        """Whether ``parameters.gradients`` hold gradients of earlier batches, which the next are to be added to."""
        return self._calls % (self.gradient_accumulation_steps or 1) != 0

    @property
    def average(self) -> Array | None:
        """The moving average of the parameters itself, no copy; None without ``use_ema`` or before the first step."""
        return self._vectors.get("average")

    def exclude_from_weight_decay(
        self, var_list: Iterable[Variable] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Leave variables alone: those in the list, and those with one of ``var_names`` as part of their name."""
        if isinstance(var_names, str):
            raise TypeError(f"var_names: expected a list of strings, got {var_names!r}")
        if self._shapes is not None:
            raise ValueError(f"{type(self).__name__}: exclude_from_weight_decay: call it before the first step")
        variables = items("var_list", var_list or (), "a list of variables")
        for variable in variables:
            if not isinstance(variable, Variable):
                raise ArgumentTypeError(f"var_list: expected a list of variables, got {shown(variable)} in it")
        self._excluded = strings("var_names", var_names or ()), [v.path for v in variables]

    # --- a step ---

    def begin(self, parameters: Parameters) -> None:
        """Set the gradients to what those of a batch are to be added to: zeros, or the sum of earlier batches.

        That is the optimizer's own, for other models may have used the gradients of the same layers since.
        """
        if self._sum is None:
            parameters.vectors.gradients.fill(0)
        else:
            parameters.vectors.gradients[...] = self._sum

    def step(self, parameters: Parameters) -> None:
        """Move the parameters by their gradients, or wait until enough of them are summed up.

        In Keras's order: clip the gradients, decay and move the parameters, average them, apply
        the variables' constraints. The gradients are left as they are, or clipped.
        """
        self._prepare(parameters)
        steps = self.gradient_accumulation_steps
        moves = steps is None or (self._calls + 1) % steps == 0
        if moves:
            with parameters.vectors.writing() as values:
                self._move(parameters, values)
        if self.use_ema:
            self._average(parameters)
        self._calls += 1
        self._sum = parameters.vectors.gradients.copy() if self.accumulating else None
        for variable in parameters.variables:  # as in Keras, also while gradients are only summed up
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable.value))

    def _prepare(self, parameters: Parameters) -> None:
        if self._shapes is parameters.shapes:
            return
        if self._shapes is None:
            self._vectors = {k: np.full_like(parameters.values, self.initial_slot_value) for k in self.slots}
            if self.use_ema:
                self._vectors["average"] = np.zeros_like(parameters.values)
        elif self._shapes != parameters.shapes:
            raise ValueError(
                f"{type(self).__name__}: has been used with variables of other shapes ({len(self._shapes)} variables, "
                f"this model has {len(parameters.shapes)}); make a new optimizer"
            )
        self._shapes = parameters.shapes

    def _move(self, parameters: Parameters, values: Array) -> None:
        gradients, variables = parameters.vectors.gradients, parameters.variables
        rate = self._rate()
        scale = 1 / (self.gradient_accumulation_steps or 1)
        if self.global_clipnorm is not None:
            scale *= _shortening(gradients, self.global_clipnorm / scale)
        if self.clipnorm is not None:
            for variable in variables:
                if (factor := _shortening(variable.gradient, self.clipnorm / scale)) < 1:
                    variable.gradient *= factor
        decay = (self.weight_decay or 0.0) * rate
        if decay and any(self._excluded):
            for variable in variables:
                if not self._is_excluded(variable):
                    variable.assign(variable.value - decay * variable.value)
            decay = 0.0
        rule, numbers = self.rule(rate, self.iterations + 1)
        slots = [self._vectors[name] for name in self.slots]
        limit = math.inf if self.clipvalue is None else self.clipvalue
        _core.optimizer_step(rule, values, gradients, slots, numbers, scale, limit, decay)

    def _is_excluded(self, variable: Variable) -> bool:
        names, paths = self._excluded
        return variable.path in paths or any(name in variable.name for name in names)

    def _average(self, parameters: Parameters) -> None:
        average = self._vectors["average"]
        momentum = self.ema_momentum if self.iterations else 0.0
        average *= momentum
        average += (1 - momentum) * parameters.values
        if self.ema_overwrite_frequency and (self.iterations + 1) % self.ema_overwrite_frequency == 0:
            self.finalize(parameters)

    def finalize(self, parameters: Parameters) -> None:
        """Put the moving average in the parameters' place, if there is one."""
        if "average" in self._vectors:
            with parameters.vectors.writing() as values:
                values[...] = self._vectors["average"]

    # --- saving ---

    @property
    def numbers(self) -> dict[str, float]:
        """What the rule keeps besides the slots, by name; set it to restore."""
        return {}

    @numbers.setter
    def numbers(self, values: Mapping[str, float]) -> None:
        pass

    def state(self) -> dict[str, Any]:
        """Return all that steps to come depend on, as numbers and copies of flat arrays."""
        state: dict[str, Any] = {"iterations": self._calls, **self.numbers}
        if isinstance(self._learning_rate, float):
            state["learning_rate"] = self._learning_rate
        if self._shapes is not None:
            state |= {name: vector.copy() for name, vector in self._vectors.items()}
        if self._sum is not None:
            state["gradients"] = self._sum.copy()
        return state

    def load_state(self, state: Mapping[str, Any], parameters: Parameters) -> None:
        """Continue from what `state` returned; on an error nothing is changed.

        Raises
        ------
        ValueError, TypeError
            The state is not that of such an optimizer with such parameters; the message says where.
        """
        where = f"{type(self).__name__}: state"
        state = mapping(where, state)
        calls = integer(f"{where}: iterations", state.get("iterations", 0))
        if calls < 0:
            raise ValueError(f"{where}: iterations: expected a number of at least 0, got {calls}")
        scalars = {"iterations", *self.numbers}
        if isinstance(self._learning_rate, float):
            scalars.add("learning_rate")
        vectors = {*self.slots, *(["average"] if self.use_ema else [])} if calls else set()
        summed = {"gradients"} if calls % (self.gradient_accumulation_steps or 1) else set()
        expected = scalars | vectors | summed
        if expected != set(state):
            raise ValueError(f"{where}: expected {', '.join(sorted(expected))}, got {', '.join(sorted(state))}")
        dtype = parameters.values.dtype
        arrays = {name: float_array(f"{where}: {name}", state[name], dtype).copy() for name in vectors | summed}
        for name, array in arrays.items():
            if array.shape != parameters.values.shape:
                raise ValueError(f"{where}: {name}: expected shape {parameters.values.shape}, got {array.shape}")
        values = {name: number(f"{where}: {name}", state[name]) for name in scalars}
        if "learning_rate" in values:
            self.learning_rate = values["learning_rate"]
        self.numbers = {name: values[name] for name in self.numbers}
        self._calls = calls
        self._shapes = parameters.shapes if calls else None
        self._vectors = {name: arrays[name] for name in (*self.slots, "average") if name in vectors}
        self._sum = arrays.get("gradients")
        if self._sum is not None:
            parameters.gradients[...] = self._sum

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal optimizer with its present learning rate, as plain data."""
        config = super().get_config() | {
            "name": self.name,
            "learning_rate": serialize(self._learning_rate, "learning_rate"),
        }
        if any(self._excluded):
            config["exclude_from_weight_decay"] = [list(names) for names in self._excluded]
        return config

    @classmethod
    def from_config(cls: type[C], config: Mapping[str, Any]) -> C:
        """Make an optimizer from what `get_config` returned."""
        arguments = dict(mapping(f"{cls.__name__}: config", config))
        names, paths = arguments.pop("exclude_from_weight_decay", ([], []))
        optimizer = super().from_config(arguments)
        optimizer._excluded = list(names), list(paths)
        return optimizer

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self._arguments.items())})"


def _plain(value: Any) -> Any:
    """Return the number in an array, or in another library's variable, of one element; anything else as it is."""
    if callable(getattr(value, "numpy", None)):
        value = value.numpy()
    array = np.asarray(value) if hasattr(value, "__array__") else None
    return value if array is None or array.size != 1 else array.item()


def _takes_nothing(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind()
    except TypeError:
        return False
    except ValueError:  # a function of C that does not say
        return True
    return True


def _shortening(gradients: Array, greatest: float) -> float:
    """Return the factor that makes the norm of gradients at most ``greatest``."""
    norm = math.sqrt(_core.sum_of_squares(gradients))
    return greatest / norm if norm > greatest else 1.0
