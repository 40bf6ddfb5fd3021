"""What every activation is: a function, and the way of a gradient back through it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._arguments import real_array
from .._autograd import applied, is_traced, pullback
from .._signatures import ShownByObjects
from ..serialization import Configurable

Array = NDArray[Any]


class Activation(Configurable):
    """A function of arrays, its derivative, and the function done in place.

    A subclass defines ``name``, `value` and `backward`. What it can be told otherwise are the arguments of
    its constructor; they may also be given in a call: ``elu(x, alpha=0.5)``.

    >>> import numpy as np
    >>> from lstmcore import activations, layers
    >>> class Cube(activations.Activation):
    ...     name = "cube"
    ...     def value(self, x):
    ...         return x**3
    ...     def backward(self, x, y, dy):
    ...         return 3 * x**2 * dy
    >>> layers.Activation(Cube())(np.array([[1.0, 2.0]])).tolist()
    [[1.0, 8.0]]

    Attributes
    ----------
    name : as Keras has it.
    needs_input : whether `backward` looks at ``x``; if not, it may be None.
    axis : the axis, or axes, along which it looks at more than one number; -1 also if at none.
    core_numbers : the attributes that are the numbers the core takes, if it has a function of this name; else None.
    """

    name: str
    needs_input = True
    axis: int | tuple[int, ...] = -1

    core_numbers: tuple[str, ...] | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not cls.__module__.startswith("lstmcore."):
            cls.in_core = None  # type: ignore[assignment]
            for method in ("value", "backward"):
                if method in cls.__dict__:
                    setattr(cls, method, _of_copies(cls.__dict__[method]))

    def __init__(self) -> None:
        """Take no arguments: those that do say so."""

    def value(self, x: Array) -> Array:
        """Return the function's value, in an array of its own or in ``x`` itself."""
        raise NotImplementedError

    def backward(self, x: Any, y: Array, dy: Array) -> Array:
        """Return the gradient of the inputs, from them, the outputs and the gradient of these."""
        raise NotImplementedError(f"{self.name}: has no derivative; to train, define its backward(x, y, dy)")

    def in_place(self, x: Array) -> Array:
        """Write the function's value over ``x``, and return where it is: ``x``, or the part of it that is needed."""
        x[...] = self.value(x)
        return x

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the value for inputs of that shape; by default the same."""
        return shape

    @property
    def in_core(self) -> tuple[str, float, float] | None:
        """The core's name for it, and two numbers; None if the core does not have it, as it has none of a user's."""
        if self.core_numbers is None:
            return None
        alpha, beta = ([getattr(self, name) for name in self.core_numbers] + [0.0, 0.0])[:2]
        return self.name, alpha, beta

    @property
    def stepwise(self) -> bool:
        """Whether it looks at no more than a vector along the last axis at once, as layers of single steps do."""
        return self.axis in (-1, (-1,))

    def __call__(self, x: ArrayLike, *arguments: Any, **options: Any) -> Array:
        """Return the function's value; of float32 for numbers of no float type."""
        if is_traced(x):  # in a function of the user's, a layer's call or a loss
            own = type(self)(*arguments, **options) if arguments or options else self
            return applied(lambda values: own.value(values.copy()), [own.backward], x)  # type: ignore[no-any-return]
        array = real_array("x", x)
        if array.dtype.kind != "f":
            array = array.astype(np.float32)
        if arguments or options:
            return type(self)(*arguments, **options).value(array)
        return self.value(array)

    __signature__ = ShownByObjects(__call__, type, but=("function",))

    def __repr__(self) -> str:
        return f"<activation {self.name}>"


def _of_copies(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of the user's such that it may write over the arrays it gets, which layers keep."""

    @functools.wraps(function)
    def of_copies(*arguments: Any, **options: Any) -> Any:
        def own(value: Any) -> Any:
            return value.copy() if isinstance(value, np.ndarray) else value

        return function(*map(own, arguments), **{name: own(value) for name, value in options.items()})

    return of_copies


class Elementwise(Activation):
    """An activation of each number by itself; a subclass defines its `slope`."""

    def slope(self, x: Any, y: Array) -> Any:
        """Return the derivative, from the input and the output."""
        raise NotImplementedError

    def backward(self, x: Any, y: Array, dy: Array) -> Array:
        """Return the gradient of the inputs."""
        dx: Array = dy * self.slope(x, y)
        return dx


class Function(Activation):
    """A function of the user's, whose derivative is its attribute ``backward`` or, without one, autograd's."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)

    def value(self, x: Array) -> Array:
        """Return the function's value."""
        value = np.asarray(_of_copies(self.function)(x))
        # A number in float64, as of a function of NumPy's, would make the outputs float64 from here on.
        return value.astype(x.dtype) if value.dtype.kind == "f" and value.dtype != x.dtype else value

    def backward(self, x: Any, y: Array, dy: Array) -> Array:
        """Return the gradient of the inputs."""
        if hasattr(self.function, "backward"):
            return np.asarray(_of_copies(self.function.backward)(x, y, dy))
        _, back = pullback(lambda arrays: [self.function(arrays[0])], [x], self.name)
        return back([dy])[0]
