"""What values a hyper-parameter may have, and how Optuna is asked for one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .._arguments import among, flag, integer, items, number
from ..serialization import Configurable

if TYPE_CHECKING:
    import optuna

# Parents' names and the values that make a hyper-parameter one of the model's.
Conditions = Sequence[tuple[str, Sequence[Any]]]

_SAMPLINGS = ("linear", "log", "reverse_log")


class Space(Configurable):
    """Base of the kinds of hyper-parameters.

    Attributes
    ----------
    name : what the program calls it.
    conditions : when there is such a hyper-parameter: always, if empty.
    default : the value outside a search.
    """

    default: Any

    def __init__(self, name: str, conditions: Conditions = ()) -> None:
        if not isinstance(name, str) or not name:
            raise TypeError(f"name: expected a string, got {name!r}")
        self.name = name
        self.conditions = tuple((parent, tuple(values)) for parent, values in conditions)

    @property
    def key(self) -> str:
        """The name by which Optuna knows it: the conditions are part of it."""
        return self.name + "".join(f" [{parent} in {list(values)}]" for parent, values in self.conditions)

    def draw(self, trial: optuna.Trial) -> Any:
        """Return a value for the trial."""
        raise NotImplementedError


class Fixed(Space):
    """One value."""

    def __init__(self, name: str, value: Any, conditions: Conditions = ()) -> None:
        super().__init__(name, conditions)
        if not isinstance(value, (bool, int, float, str)):
            raise TypeError(f"{name}: value: expected a number, a string or a bool, got {value!r}")
        self.default = value

    def draw(self, trial: optuna.Trial) -> Any:
        """Return the value."""
        return self.default


class Choice(Space):
    """One of some values."""

    def __init__(
        self,
        name: str,
        values: Sequence[Any],
        ordered: bool | None = None,
        default: Any = None,
        conditions: Conditions = (),
    ) -> None:
        super().__init__(name, conditions)
        self.values = items(f"{name}: values", values, "a list of values")
        if not self.values:
            raise ValueError(f"{name}: values: expected one at least, got none")
        kinds = {type(value) for value in self.values}
        if len(kinds) != 1 or not kinds <= {bool, int, float, str}:
            raise TypeError(f"{name}: values: expected numbers, strings or bools of one type, got {values!r}")
        if ordered is not None and flag(f"{name}: ordered", ordered) and kinds <= {bool, str}:
            raise ValueError(f"{name}: ordered: expected False for values that are no numbers, got {ordered!r}")
        if default is not None and not (isinstance(default, (bool, int, float, str)) and default in self.values):
            raise ValueError(f"{name}: default: expected one of {self.values}, got {default!r}")
        self.default = self.values[0] if default is None else default

    def draw(self, trial: optuna.Trial) -> Any:
        """Return one of the values."""
        return trial.suggest_categorical(self.key, self.values)


class Boolean(Choice):
    """True or False."""

    def __init__(self, name: str, default: bool = False, conditions: Conditions = ()) -> None:
        super().__init__(name, [True, False], default=flag(f"{name}: default", default), conditions=conditions)


class _Number(Space):
    def __init__(
        self, name: str, low: Any, high: Any, step: Any, sampling: str | None, default: Any, conditions: Conditions
    ) -> None:
        super().__init__(name, conditions)
        self.low, self.high, self.step = low, high, step
        self.sampling = "linear" if sampling is None else sampling
        if not among(self.sampling, _SAMPLINGS):
            raise ValueError(f"{name}: sampling: expected one of {_SAMPLINGS}, got {sampling!r}")
        logarithmic = self.sampling != "linear"
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise ValueError(f"{name}: max_value: expected no less than min_value={low}, got {high}")
        if logarithmic and low <= 0:
            raise ValueError(f"{name}: min_value: expected more than 0 for sampling={sampling!r}, got {low}")
        if step is not None and not step > (1 if logarithmic else 0):
            raise ValueError(f"{name}: step: expected more than {1 if logarithmic else 0}, got {step}")
        self.default = low if default is None else default

    @property
    def count(self) -> int:
        """The number of values, where there is a step."""
        steps: float
        if self.sampling == "linear":
            steps = (self.high - self.low) / self.step
        else:
            steps = math.log(self.high / self.low) / math.log(self.step)
        return math.floor(steps + 1e-9) + 1  # 0.5 / 0.1 and log(1000) / log(10) are a little less than they should


class Int(_Number):
    """A whole number from ``min_value`` to ``max_value``, both included."""

    def __init__(
        self,
        name: str,
        min_value: int,
        max_value: int,
        step: int | None = None,
        sampling: str | None = "linear",
        default: int | None = None,
        conditions: Conditions = (),
    ) -> None:
        low, high = _whole(name, "min_value", min_value), _whole(name, "max_value", max_value)
        step = None if step is None else _whole(name, "step", step)
        super().__init__(name, low, high, step, sampling, default, conditions)
        if self.sampling == "linear" and step is None:
            self.step = 1

    def draw(self, trial: optuna.Trial) -> int:
        """Return a number."""
        if self.sampling == "linear":
            value = trial.suggest_int(self.key, self.low, self.low + (self.count - 1) * self.step, step=self.step)
        elif self.step is None:
            value = trial.suggest_int(self.key, self.low, self.high, log=True)
        else:
            value = self.low * self.step ** trial.suggest_int(self.key, 0, self.count - 1)
        return int(self.high + self.low - value if self.sampling == "reverse_log" else value)


class Float(_Number):
    """A number from ``min_value`` to ``max_value``."""

    def __init__(
        self,
        name: str,
        min_value: float,
        max_value: float,
        step: float | None = None,
        sampling: str | None = "linear",
        default: float | None = None,
        conditions: Conditions = (),
    ) -> None:
        super().__init__(
            name,
            number(f"{name}: min_value", min_value),
            number(f"{name}: max_value", max_value),
            None if step is None else number(f"{name}: step", step),
            sampling,
            default,
            conditions,
        )

    def draw(self, trial: optuna.Trial) -> float:
        """Return a number."""
        if self.step is not None:
            k = trial.suggest_int(self.key, 0, self.count - 1)
            value = self.low + k * self.step if self.sampling == "linear" else self.low * self.step**k
            value = float(f"{value:.12g}")  # 0.3, not 0.30000000000000004
        else:
            value = trial.suggest_float(self.key, self.low, self.high, log=self.sampling != "linear")
        return float(self.high + self.low - value if self.sampling == "reverse_log" else value)


def _whole(name: str, argument: str, value: Any) -> int:
    return integer(f"{name}: {argument}", int(value) if isinstance(value, float) and value.is_integer() else value)
