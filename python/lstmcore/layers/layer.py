"""What every layer is: hyper-parameters, variables, and one pass each way."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .. import _random
from .._arguments import flag, float_array, float_dtype, reject_options
from .._serialization import Configurable
from ..initializers import get as get_initializer
from ..streaming import Stage
from ..variables import Variable

Array = NDArray[Any]
Shape = tuple[int | None, ...]

_names: Counter[str] = Counter()


class Layer(Configurable):
    """Base of the layers. A subclass defines ``build``, ``forward``, ``backward`` and
    ``compute_output_shape``.

    Parameters
    ----------
    name : "lstm", "lstm_1", … by default.
    dtype : "float32" or "float64".
    trainable : whether `fit` moves the weights; takes effect when the model is compiled.
    activity_regularizer : adds a penalty on the outputs to the loss.
    input_shape, batch_input_shape : shape of an input, without or with the batch; makes the
        layer, as the first of a model, know its weights' shapes at once.
    """

    def __init__(
        self,
        *,
        name: str | None = None,
        dtype: DTypeLike = "float32",
        trainable: bool = True,
        activity_regularizer: Any = None,
        input_shape: Sequence[int | None] | None = None,
        batch_input_shape: Sequence[int | None] | None = None,
        **options: Any,
    ) -> None:
        kind = type(self).__name__
        reject_options(kind, options, ())
        self.name = name or _automatic_name(type(self).__name__)
        self.dtype = float_dtype("dtype", dtype)
        self.activity_regularizer = activity_regularizer
        self._trainable = flag(f"{kind}: trainable", trainable)
        self._random: _random.Stream | None = None  # of the layer's masks and noise, once it has drawn some
        self.variables: list[Variable] = []
        self.owner: str | None = None  # the model or layer it is part of
        self.input_shape: Shape | None = None
        if batch_input_shape is not None:
            self.input_shape = tuple(batch_input_shape)
        elif input_shape is not None:
            self.input_shape = (None, *input_shape)
        self.built = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "build" in cls.__dict__:
            cls.build = _built_once(cls.__dict__["build"])  # type: ignore[assignment, method-assign]

    # --- to be defined by the layers ---

    def build(self, input_shape: Shape) -> None:
        """Create the variables for inputs of that shape, batch first; done once."""
        self.input_shape = (None, *input_shape[1:])
        self.built = True

    def forward(self, inputs: Array, training: bool = False) -> Any:
        """Return the outputs; with ``training``, keep what `backward` needs."""
        raise NotImplementedError

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Add to the gradients of the variables and return that of the inputs, if needed."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the outputs for inputs of that shape, batch first."""
        raise NotImplementedError

    # --- for layers that need more than that ---

    consumes_mask = False  # whether `forward` takes a mask

    def compute_mask(self, inputs: Array, mask: Array | None) -> Array | None:
        """Return the mask (batch, steps) of the outputs: True where a step counts, None if all do."""
        return mask

    def convert(self, name: str, inputs: ArrayLike) -> Array:
        """Return inputs as the array that `forward` takes."""
        return float_array(name, inputs, self.dtype)

    def reset_states(self) -> None:
        """Forget what was kept from earlier batches."""

    def stream(self, batch_size: int, steps: int) -> Stage:
        """Return a function that does for the next chunk of steps what the layer does for all."""
        raise NotImplementedError(f"{self.name}: a {type(self).__name__} cannot be run piece by piece")

    # --- the same for all ---

    def ensure_built(self, input_shape: Shape) -> None:
        """Build once; afterwards do nothing."""
        if not self.built:
            self.build(input_shape)

    def claim(self, owner: str) -> None:
        """Make the layer part of a model or of another layer; it can be part of one only."""
        if self.owner is not None:
            # Its weights are part of that model's flat vector and cannot be part of another.
            raise ValueError(
                f"{owner}: layer: {self.name} belongs to {self.owner}; make a new layer and give it the "
                "weights with get_weights and set_weights"
            )
        self.owner = owner

    def __call__(self, inputs: ArrayLike, training: bool | None = False, **options: Any) -> Any:
        """Return the outputs for a batch. For ``training`` Keras's None is False."""
        training = training is not None and flag(f"{self.name}: training", training)
        array = self.convert(f"{self.name}: inputs", inputs)
        self.ensure_built(array.shape)
        return self.forward(array, training, **options)

    def add_weight(
        self,
        name: str,
        shape: tuple[int, ...],
        initializer: str | Callable[..., Array] = "glorot_uniform",
        offered: str = "units",
        *,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
    ) -> Variable:
        """Create a variable. A shape no memory could hold is an error of the argument ``offered``."""
        if float(np.prod([float(n) for n in shape])) * self.dtype.itemsize > 2.0**60:
            raise ValueError(f"{self.name}: {offered}: a {name} of shape {shape} overflows the address space")
        try:
            value = np.asarray(get_initializer(initializer)(shape, dtype=self.dtype), self.dtype)
        except MemoryError as error:
            raise MemoryError(f"{self.name}: {offered}: no memory for a {name} of shape {shape}") from error
        if value.shape != shape:
            raise ValueError(f"{self.name}: {name}_initializer: expected shape {shape}, got {value.shape}")
        variable = Variable(f"{self.name}/{name}", value, trainable, regularizer, constraint)
        self.variables.append(variable)
        return variable

    @property
    def weights(self) -> list[Variable]:
        """The variables, in Keras's order."""
        return self.variables

    @property
    def sublayers(self) -> list[Layer]:
        """The layers that this one is made of; its variables are then theirs."""
        return []

    @property
    def trainable(self) -> bool:
        """Whether `fit` moves the weights. A change takes effect when the model is compiled."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = flag(f"{self.name}: trainable", value)
        for layer in self.sublayers:
            layer.trainable = value

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables that `fit` moves."""
        if not self.trainable:
            return []
        if self.sublayers:
            return [v for layer in self.sublayers for v in layer.trainable_variables]
        return [v for v in self.variables if v.trainable]

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The variables that `fit` leaves to the layer itself."""
        moved = {id(v) for v in self.trainable_variables}
        return [v for v in self.variables if id(v) not in moved]

    trainable_weights = trainable_variables
    non_trainable_weights = non_trainable_variables

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal layer, as plain data."""
        return super().get_config() | {"name": self.name, "trainable": self.trainable, "dtype": self.dtype.name}

    def next_random(self, seed: int | None = None) -> np.random.Generator:
        """Return the generator of this call's masks or noise; ``seed`` or the global seed decides the first."""
        if self._random is None:
            self._random = _random.Stream(int(_random.generator().integers(2**32)) if seed is None else int(seed))
        return self._random.next()

    def get_weights(self) -> list[Array]:
        """Return copies of the weights, in Keras's order and layout."""
        return [v.numpy() for v in self.variables]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Set the weights from arrays as `get_weights` returns them: all of them or, on an error, none."""
        if not self.built:
            raise ValueError(f"{self.name}: has no weights yet; call it on data or give it an input_shape")
        set_all(self.name, self.variables, weights)

    def count_params(self) -> int:
        """Return the number of numbers in the weights."""
        return sum(v.size for v in self.variables)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}{', built' if self.built else ''}>"


def set_all(owner: str, variables: Sequence[Variable], weights: Sequence[ArrayLike]) -> None:
    """Assign arrays to variables after checking every shape."""
    arrays = [np.asarray(w) for w in weights]
    if len(arrays) != len(variables):
        raise ValueError(f"{owner}: weights: expected {len(variables)} arrays, got {len(arrays)}")
    for variable, array in zip(variables, arrays, strict=True):
        if array.shape != variable.shape:
            raise ValueError(f"{variable.path}: expected shape {variable.shape}, got {array.shape}")
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def _built_once(build: Callable[[Any, Shape], None]) -> Callable[[Any, Shape], None]:
    """Return ``build`` such that it does nothing the second time and leaves nothing behind if it fails."""

    @functools.wraps(build)
    def once(self: Layer, input_shape: Shape) -> None:
        if self.built:
            return
        before = list(self.variables)
        try:
            build(self, input_shape)
        except BaseException:
            self.variables, self.built = before, False
            raise
        self.input_shape = (None, *input_shape[1:])
        self.built = True

    return once


def _automatic_name(class_name: str) -> str:
    base = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", class_name)
    base = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", base).lower()
    _names[base] += 1
    return base if _names[base] == 1 else f"{base}_{_names[base] - 1}"
