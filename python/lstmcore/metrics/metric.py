"""What every metric is: numbers gathered over batches, and a result."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .. import initializers
from .._arguments import float_array, float_dtype, items, mapping, named, positive_integer, real_array
from .._autograd import untraced
from ..graph.symbol import Symbol
from ..losses.loss import snake_case
from ..losses.targets import aligned
from ..serialization import Configurable
from ..variables import Variable

Array = NDArray[Any]


class Gathered(Variable):
    """A variable of a metric, which is copied with it."""

    def __reduce__(self) -> Any:
        return Gathered, (self.path, self.numpy(), False)


class Metric(Configurable):
    """Base of the metrics. A subclass defines `update_state` and `result`, and what is gathered.

    That is what `initial_state` says:

    >>> import numpy as np
    >>> from lstmcore.metrics import Metric
    >>> class LargestError(Metric):
    ...     direction = "down"
    ...
    ...     def initial_state(self):
    ...         return {"largest": 0.0}
    ...
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.largest = max(self.largest, float(np.abs(np.subtract(y_pred, y_true)).max()))
    ...
    ...     def result(self):
    ...         return self.largest
    >>> metric = LargestError()
    >>> metric([[1.0]], [[1.5]]), metric([[2.0]], [[4.0]])
    (0.5, 2.0)
    >>> metric.state()
    {'largest': 2.0}

    Or it is in variables, as in Keras:

    >>> class Positives(Metric):
    ...     def __init__(self, name="positives", **options):
    ...         super().__init__(name=name, **options)
    ...         self.count = self.add_variable(shape=(), initializer="zeros", name="count")
    ...
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.count.assign_add(np.sum(np.asarray(y_true) > 0))
    ...
    ...     def result(self):
    ...         return self.count
    >>> float(Positives()([1, 0, 1], [0, 0, 1]))
    2.0

    Parameters
    ----------
    name : the class's name in small letters by default.
    dtype : accepted for Keras's sake; numbers are gathered in float64.

    Attributes
    ----------
    direction : "up" if more is better, "down" if less is, None if neither can be said.
    """

    direction: str | None = None
    made: ClassVar[int] = 0  # how many there have been: who looks for some need not do it again before there are more

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "update_state" in cls.__dict__:
            cls.update_state = _of_numbers(cls.__dict__["update_state"])  # type: ignore[method-assign]

    def __init__(self, dtype: DTypeLike | None = None, name: str | None = None) -> None:
        kind = type(self).__name__
        self.name = named(kind, name, snake_case(kind))
        self.dtype = None if dtype is None else float_dtype(f"{kind}: dtype", dtype)
        self.variables: list[Variable] = []
        Metric.made += 1
        Metric.reset_state(self)  # that of a subclass may set what it is still to make

    # --- to be defined by the metrics ---

    def initial_state(self) -> dict[str, Any]:
        """Return what is gathered, by the names of the attributes that hold it, as it is before the first batch.

        Floats and arrays of float64; None for an array whose shape the first batch decides. What this needs is to be
        set before ``super().__init__``. By default there are the `variables` only.
        """
        return {}

    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Take in a batch. Weights are of the shape of the outputs without the last axis, or of its first axes."""
        raise NotImplementedError

    def result(self) -> Any:
        """Return the metric over all that was taken in: a float, or for some an array."""
        raise NotImplementedError

    # --- the same for all ---

    def add_variable(
        self,
        shape: Sequence[int] = (),
        initializer: Any = "zeros",
        dtype: DTypeLike | None = None,
        aggregation: Any = None,
        name: str | None = None,
    ) -> Variable:
        """Return a new variable, which `reset_state` sets to zeros, and `state` and backups hold.

        Parameters
        ----------
        shape : of the variable; a number by default.
        initializer : of its first value: a name, such as "zeros", or a function of shape and dtype.
        dtype : accepted for Keras's sake; numbers are gathered in float64.
        aggregation : accepted for Keras's sake; has no effect.
        name : "variable" with a number by default.
        """
        called = named(f"{self.name}: add_variable", name, f"variable_{len(self.variables)}")
        if "/" in called:
            raise ValueError(f"{self.name}: add_variable: name: expected no '/' in it, got {called!r}")
        if called in {v.name for v in self.variables} | set(self.initial_state()):
            raise ValueError(f"{self.name}: add_variable: name: {called!r} is there already")
        where = f"{self.name}: add_variable: shape"
        sizes = [positive_integer(where, size) for size in items(where, shape, "a sequence of sizes")]
        make: Any = initializers.get("zeros" if initializer is None else initializer)
        value = np.asarray(make(tuple(sizes), dtype=np.float64), np.float64)
        self.variables.append(Gathered(f"{self.name}/{called}", value, trainable=False))
        return self.variables[-1]

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Any = "zeros",
        dtype: DTypeLike | None = None,
        name: str | None = None,
    ) -> Variable:
        """Return a new variable, as `add_variable`, with the arguments in the order that they have in Keras."""
        return self.add_variable(shape, initializer, dtype, name=name)

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        """Take in a batch and return the result so far."""
        self.update_state(y_true, y_pred, sample_weight)
        return self.result()

    def reset_state(self) -> None:
        """Forget all batches."""
        for name, value in self.initial_state().items():
            setattr(self, name, value)
        for variable in self.variables:
            variable.assign(np.zeros(variable.shape))

    def state(self) -> dict[str, Any]:
        """Return what was gathered, to be kept: floats and copies of arrays."""
        found = {name: getattr(self, name) for name in self.initial_state()}
        found |= {variable.name: variable.value for variable in self.variables}
        return {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in found.items() if v is not None}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what `state` returned: all of it or, on an error, nothing.

        Raises
        ------
        ValueError
            A name or a shape is not this metric's.
        """
        variables = {variable.name: variable for variable in self.variables}
        initial = self.initial_state() | {name: variable.value for name, variable in variables.items()}
        state = dict(mapping(f"{self.name}: state", state))
        needed = {name for name, value in initial.items() if value is not None}
        if not needed <= set(state) <= set(initial):
            raise ValueError(f"{self.name}: state: expected {sorted(initial)}, got {sorted(map(str, state))}")
        new = {
            name: None
            if name not in state
            else float_array(f"{self.name}: state: {name}", state[name], np.dtype(np.float64)).copy()
            for name in initial
        }
        for name, value in initial.items():
            given = new[name]
            if given is not None and value is not None and given.shape != np.shape(value):
                raise ValueError(f"{self.name}: state: {name}: expected shape {np.shape(value)}, got {given.shape}")
        for name, value in new.items():
            if name in variables and value is not None:
                variables[name].assign(value)
            else:
                setattr(self, name, value if value is None or value.ndim else float(value))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def _of_numbers(update_state: Callable[..., None]) -> Callable[..., None]:
    """Return an ``update_state`` that within a ``call`` whose gradient is derived is given the numbers of now."""

    @functools.wraps(update_state)
    def update(self: Any, *values: Any, **options: Any) -> None:
        for value in (*values, *options.values()):
            if isinstance(value, Symbol):
                Symbol.observed(self, values, options)
                return
            if hasattr(value, "_value"):  # most have not, and every step comes here
                values = tuple(map(untraced, values))
                options = {name: untraced(one) for name, one in options.items()}
                break
        update_state(self, *values, **options)

    return update


def require_outputs(y_pred: Array) -> None:
    """Refuse outputs that have no last axis, or nothing in it."""
    if y_pred.ndim == 0 or y_pred.shape[-1] == 0:
        raise ValueError(f"y_pred: expected at least one number along the last axis, got shape {y_pred.shape}")


def pair(y_true: ArrayLike, y_pred: ArrayLike, hint: str = "", column: bool = True) -> tuple[Array, Array]:
    """Return targets and outputs as arrays of one shape; nothing is broadcast.

    With ``column``, what has one axis is (batch, 1).
    """
    true, pred = real_array("y_true", y_true), real_array("y_pred", y_pred)
    if pred.ndim == 1 and column:
        pred = pred[:, None]
    require_outputs(pred)
    if true.shape != pred.shape:
        true = aligned("y_true", true, pred.shape)
        if true.shape != pred.shape:
            raise ValueError(f"y_true: expected shape {pred.shape}, that of y_pred, got {np.shape(y_true)}{hint}")
    return true, pred
