"""What every layer is: hyper-parameters, variables, and one pass each way."""

from __future__ import annotations

import functools
import inspect
import itertools
import math
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .. import _random, constraints, regularizers
from .._arguments import (
    ArgumentTypeError,
    as_array,
    flag,
    float_array,
    float_dtype,
    items,
    mapping,
    named,
    positive_integer,
    real_array,
    reject_options,
    shown,
    valid_steps,
    whole_number,
)
from .._arguments import shape as checked_shape
from .._placeholders import placeholder
from .._tree import copies, leaves, shapes
from ..activations import Activation
from ..initializers import GlorotUniform
from ..initializers import get as get_initializer
from ..serialization import Configurable
from ..serialization.layers import reduce_layer
from ..streaming import Stage
from ..variables import Variable
from . import _masks

Array = NDArray[Any]
Shape = tuple[int | None, ...]

_WITHOUT_EFFECT = {"autocast", "aggregation", "overwrite_with_gradient"}

_ANY_NUMBER, _ANY_NAME = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
_names: dict[str, Iterator[int]] = {}  # counts the layers of each class

# Held while weights are made or moved, so that threads which use a new model at once build it once.
building = threading.RLock()
if hasattr(os, "register_at_fork"):  # a child has none of the threads that may hold it
    os.register_at_fork(before=building.acquire, after_in_parent=building.release, after_in_child=building.release)


Build = Callable[..., None]


def _built_once(build: Build) -> Build:
    """Return ``build`` such that it does nothing the second time and leaves nothing behind if it fails."""

    @functools.wraps(build)
    def once(self: Layer, *shape: Any, **by_name: Any) -> None:
        with building:
            if self.built:
                return
            given = [*shape, *by_name.values()]
            input_shape: Any = given[0] if given else None
            if given and not _is_shape(input_shape, self.takes_several):
                raise ArgumentTypeError(
                    f"{self.name}: input_shape: expected a tuple of integers and None, got {shown(input_shape)}"
                )
            before = list(self.variables)
            try:
                for layer in self.sublayers:
                    layer.take_dtype(self.name, self.dtype)
                build(self, *shape, **by_name)
                self._finish_build(input_shape)
            except BaseException:
                self.variables, self.built = before, False
                raise

    return once


class Layer(Configurable):
    """Base of the layers. A subclass defines `forward` and, to be trained, `backward`; `build` if it has
    weights, and `compute_output_shape` if its outputs have another shape than its inputs. A `forward` that has
    an argument ``mask`` gets the mask of the inputs, and `compute_mask` says what becomes of it. Models and calls
    give `forward` copies, which it may write over.

    >>> import numpy as np
    >>> from lstmcore import Sequential, layers
    >>> class Scale(layers.Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight(name="factor", shape=(input_shape[-1],), initializer="ones")
    ...     def forward(self, inputs, training=False):
    ...         self.inputs = inputs
    ...         return inputs * self.factor.value
    ...     def backward(self, d_outputs, need_d_inputs=True):
    ...         self.factor.gradient += (d_outputs * self.inputs).sum(0)
    ...         return d_outputs * self.factor.value
    >>> model = Sequential([Scale(input_shape=(3,)), layers.Dense(1)])
    >>> model.compile("adam", "mse")
    >>> model.fit(np.ones((8, 3)), np.ones(8), epochs=1, verbose=0).epoch
    [0]

    Parameters
    ----------
    name : "lstm", "lstm_1", … by default.
    dtype : "float32" or "float64"; by default that of the model or layer it becomes part of, or "float32".
    trainable : whether `fit` moves the weights; takes effect when the model is compiled.
    activity_regularizer : adds a penalty on the outputs, divided by the rows of the batch, to the loss; a
        name or a `regularizers.Regularizer`.
    input_shape, batch_input_shape : shape of an input, without or with the batch; makes the
        layer, as the first of a model, know its weights' shapes at once. ``input_dim=n`` is (n,).
    """

    # Of arguments that a subclass may leave out of its methods; those of a cell are others.
    _optional_arguments: ClassVar[dict[str, str]] = {"forward": "training", "backward": "need_d_inputs"}
    _second: ClassVar[str] = "training"  # what a call takes second: that, or "mask" where Keras has it there
    _takes_lengths: ClassVar[bool] = False

    def __init__(
        self,
        *,
        name: str | None = None,
        dtype: DTypeLike | None = None,
        trainable: bool = True,
        activity_regularizer: Any = None,
        input_shape: Sequence[int | None] | None = None,
        batch_input_shape: Sequence[int | None] | None = None,
        input_dim: int | None = None,
        **options: Any,
    ) -> None:
        kind = type(self).__name__
        reject_options(kind, {k: v for k, v in options.items() if k != "autocast"}, (), type(self))
        self.name = named(kind, name, "") or _automatic_name(kind)
        self.given_dtype = None if dtype is None else float_dtype("dtype", dtype)
        self.dtype: np.dtype[Any] = self.given_dtype or np.dtype(np.float32)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self._trainable = flag(f"{kind}: trainable", trainable)
        self._random: _random.Stream | None = None  # of the layer's masks and noise, once it has drawn some
        self._cache: Any = None  # what `forward` has kept for `backward`
        self.variables: list[Variable] = []
        self.owner: str | None = None  # the model or layer it is part of
        self.input_shape: Shape | None = None
        if batch_input_shape is not None:
            self.input_shape = checked_shape(f"{kind}: batch_input_shape", batch_input_shape)
        elif input_shape is not None:
            self.input_shape = (None, *checked_shape(f"{kind}: input_shape", input_shape))
        elif input_dim is not None:
            self.input_shape = (None, positive_integer(f"{kind}: input_dim", input_dim))
        self.built = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # Unless it defines forward too, or one that it inherits calls it, call would never be called.
        if "call" in cls.__dict__ and "forward" not in cls.__dict__ and "call" not in names_within(cls.forward):
            cell = "states" in inspect.signature(cls.__dict__["call"]).parameters
            raise TypeError(
                f"{cls.__name__}: "
                + (
                    "make it a layers.Cell and define forward(inputs, states), which returns (output, new_states, "
                    "saved), instead of call, and backward(saved, d_output, d_states)"
                    if cell
                    else "define forward(inputs, training=False) instead of call, and "
                    "backward(d_outputs, need_d_inputs=True)"
                )
                + ": gradients are not derived automatically"
            )
        if "build" in cls.__dict__:
            cls.build = _built_once(cls.__dict__["build"])  # type: ignore[method-assign]
        if "forward" in cls.__dict__:
            arguments = inspect.signature(cls.forward).parameters
            cls._takes_lengths = "lengths" in arguments
            cls.takes_copies = not _is_ours(cls)
            if "consumes_mask" not in cls.__dict__:
                consumed, any_name = cls.consumes_mask, any(p.kind is _ANY_NAME for p in arguments.values())
                cls.consumes_mask = "mask" in arguments or (consumed and any_name)
                base: Any = cls.__mro__[1]
                cls.loses_mask = consumed and not cls.consumes_mask and _is_ours(base.forward)
            if list(arguments)[2:3] == ["mask"]:
                cls._second = "mask"
        if not _is_ours(cls):
            cls._follow_own_passes()
        elif "backward" in cls.__dict__:
            cls.backward = _checked(cls.__dict__["backward"])  # type: ignore[method-assign]
        cls.computes_mask = cls.compute_mask is not Layer.compute_mask
        for method, argument in cls._optional_arguments.items():
            if method in cls.__dict__:
                setattr(cls, method, _taking(argument, cls.__dict__[method]))

    @classmethod
    def _follow_own_passes(cls) -> None:
        """See to it that passes that a class of the user's defines are not gone around."""
        base: Any = next(kind for kind in cls.__mro__ if _is_ours(kind))
        names = ("forward", "backward", "compute_mask", "forward_with_mask")
        own = [name for name in names if getattr(cls, name) is not getattr(base, name)]  # also what a mixin has
        if own and cls.passes_are_fixed is not None:
            raise TypeError(f"{cls.__name__}: defines {', '.join(own)}, {cls.passes_are_fixed}")
        if "forward" in own and cls.stream is base.stream:
            cls.stream = Layer.stream  # type: ignore[method-assign]
        for name in ("forward", "backward"):
            if name in own:
                parameters = inspect.signature(getattr(cls, name)).parameters
                if "logits" not in parameters and not any(p.kind is _ANY_NAME for p in parameters.values()):
                    cls.head = None

    # --- to be defined by the layers ---

    @_built_once
    def build(self, input_shape: Shape) -> None:
        """Create the variables for inputs of that shape, batch first; done once."""
        self._finish_build(input_shape)

    def forward(self, inputs: Array, training: bool = False) -> Any:
        """Return the outputs; with ``training``, keep what `backward` needs."""
        raise NotImplementedError(f"{self.name}: a layer defines forward(inputs, training=False)")

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Add to the gradients of the variables and return that of the inputs, if needed."""
        raise NotImplementedError(
            f"{self.name}: to train with this layer, define its backward(d_outputs, need_d_inputs=True)"
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the outputs for inputs of that shape, batch first; by default the same."""
        return input_shape

    def as_activation(self) -> Any:
        """Return the function that the layer is, where it is given as the activation of another."""
        raise ValueError(
            f"activation: expected a name, a function or None, got {self!r}: put it behind the layer instead"
        )

    # --- for layers that need more than that ---

    consumes_mask = False  # whether `forward` takes a mask: told by its arguments
    supports_masking = True  # whether the outputs have a mask where the inputs have one
    computes_mask = False  # whether `compute_mask` is its own: told by its being defined
    told_of_mask = False  # whether there has been a warning that a mask ends here
    loses_mask = False  # whether `forward` takes no mask where that of the class it is derived from does
    passes_are_fixed: str | None = None  # why a class derived from this one cannot have passes of its own, if it cannot
    returned: Any = None  # shape and dtype of what a call with training=True has returned, and the cache it has left
    takes_copies = False  # whether `forward` gets its own copy of inputs, to write over: that of a class of the user's
    takes_several = False  # whether inputs are a list, tuple or dict of arrays

    # The activation that the layer ends with, if it can leave it out: `forward` with ``logits=True`` then
    # returns what goes into it, and `backward` with ``logits=True`` takes the gradient of that.
    head: Activation | None = None

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask (batch, steps) of the outputs: True where a step counts, None if all do.

        A layer that does not define it passes the mask on, unless its outputs have other steps or fewer axes.
        """
        return mask if self.supports_masking else None

    forward_with_mask = _masks.forward_with_mask

    def fit_mask(self, mask: Any, inputs: Any) -> Any:
        """Return a mask that a call was given, after checking that it fits the inputs."""
        return _masks.fit_all(self.name, mask, inputs)

    def convert(self, name: str, inputs: Any) -> Any:
        """Return inputs as the array, or the arrays, that `forward` takes."""
        if self.takes_several:
            if isinstance(inputs, dict):
                return {k: float_array(f"{name}: {k}", v, self.dtype) for k, v in inputs.items()}
            if isinstance(inputs, (list, tuple)):
                return [float_array(f"{name}[{k}]", v, self.dtype) for k, v in enumerate(inputs)]
            raise TypeError(f"{name}: expected a list or a dict of arrays, got {type(inputs).__name__}")
        return float_array(name, inputs, self.dtype)

    def reset_states(self) -> None:
        """Forget what was kept from earlier batches."""

    def stream(self, batch_size: int, steps: int) -> Stage:
        """Return a `streaming.Stage`, which does for the next chunk of steps what the layer does for all."""
        kind = type(self)
        own = "" if kind.stream is not Layer.stream or _is_ours(kind) else "; define stream beside forward"
        raise NotImplementedError(f"{self.name}: a {kind.__name__} cannot be run piece by piece{own}")

    # --- the same for all ---

    def kept(self) -> Any:
        """Return, once, what `forward` has kept in ``self._cache``."""
        cache, self._cache = self._cache, None
        if cache is None:
            raise RuntimeError(f"{self.name}: backward needs a forward pass with training=True before it")
        return cache

    def state(self) -> dict[str, Any]:
        """Return all that training depends on beside the weights: integers and arrays by name.

        That is where the layer's random numbers are, and the states that a stateful layer keeps; those of
        `sublayers` with the number of the layer before the name ("0/random").
        """
        state: dict[str, Any] = {}
        if self._random is not None:
            state["random"] = np.array([self._random.seed % 2**64, self._random.calls], np.uint64)
        for k, layer in enumerate(self.sublayers):
            state |= {f"{k}/{name}": value for name, value in layer.state().items()}
        return state

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Set what `state` has returned: all of it or, on an error, nothing.

        Raises
        ------
        ValueError
            It is not this layer's.
        """
        parts: list[dict[str, Any]] = [{} for _ in self.sublayers]
        own: dict[str, Any] = {}
        for name, value in mapping(f"{self.name}: state", state).items():
            head, slash, tail = name.partition("/")
            if slash and head.isdigit() and int(head) < len(parts):
                parts[int(head)][tail] = value
            else:
                own[name] = value
        stream = None
        if "random" in own:
            numbers = as_array(f"{self.name}: random", own.pop("random"))
            if numbers.shape != (2,) or numbers.dtype.kind not in "iu" or (numbers < 0).any():
                raise ValueError(f"{self.name}: random: expected two integers from 0 on, got {numbers!r}")
            stream = _random.Stream(int(numbers[0]))
            stream.calls = int(numbers[1])
        if own:
            raise ValueError(f"{self.name}: state: expected that of a {type(self).__name__}, got {', '.join(own)} too")
        before = [layer.state() for layer in self.sublayers]
        try:
            for layer, part in zip(self.sublayers, parts, strict=True):
                layer.load_state(part)
        except BaseException:
            for layer, part in zip(self.sublayers, before, strict=True):
                layer.load_state(part)
            raise
        self._random = stream

    def ensure_built(self, input_shape: Shape) -> None:
        """Build once; afterwards do nothing."""
        if not self.built:
            self.build(input_shape)
        elif self.input_shape is None:  # built without a shape, as an Embedding can be
            self.input_shape = _any_batch(input_shape)

    def _finish_build(self, input_shape: Any) -> None:
        """Take up the variables of layers within, and remember the shape."""
        known = {id(v) for v in self.variables}
        for layer in self.sublayers:
            if not layer.built and type(layer).build is not Layer.build:
                raise ValueError(
                    f"{self.name}: build: {layer.name} has no weights yet; in build, call its ensure_built(input_shape)"
                )
            self.variables += [v for v in layer.variables if id(v) not in known]
        for variable in self.variables:
            if variable.dtype != self.dtype:
                raise ValueError(
                    f"{self.name}: build: expected weights of dtype {self.dtype}, got {variable.path} of "
                    f"{variable.dtype}; make layers within with dtype=self.dtype"
                )
        if input_shape is not None:
            self.input_shape = _any_batch(input_shape)
        self.built = True

    def claim(self, owner: str) -> None:
        """Make the layer part of a model or of another layer; it can be part of one only."""
        if self.owner is not None:
            # Its weights are part of that model's flat vector and cannot be part of another.
            raise ValueError(
                f"{owner}: layer: {self.name} belongs to {self.owner}; make a new layer and give it the "
                "weights with get_weights and set_weights"
            )
        self.owner = owner

    def adopt(self, layer: Layer) -> None:
        """Make a layer part of this one, with its name behind this one's."""
        layer.claim(self.name)
        layer.take_dtype(self.name, self.dtype)
        layer.name = f"{self.name}/{layer.name}"
        if not self.trainable:
            layer.trainable = False

    def take_dtype(self, owner: str, dtype: np.dtype[Any]) -> None:
        """Take the dtype of what the layer is part of, unless it was given one of its own.

        Raises
        ------
        ValueError
            It was given another, or has weights of another; so does a layer within.
        """
        if self.dtype != dtype and (self.given_dtype is not None or self.variables):
            raise ValueError(
                f"{owner}: layer: expected dtype {dtype}, got {self.dtype} ({self.name}); give both the same or neither"
            )
        for layer in self.sublayers:
            layer.take_dtype(self.name, dtype)
        self.dtype = dtype

    def __call__(
        self, inputs: Any, training: Any = False, mask: Any = None, lengths: ArrayLike | None = None, **options: Any
    ) -> Any:
        """Return the outputs for a batch.

        Whatever the layer keeps for `backward` is its own: arrays that go in and come out may be written to. It keeps
        that of one call: several threads may call it at a time, but one with ``training``.

        Parameters
        ----------
        inputs : an array, or several for layers that take several.
        training : True or False; Keras's None is False.
        mask : (batch, steps), True where a step counts; by default the one that goes with the inputs, if a layer
            called before has made it.
        lengths : (batch,), how many steps of each row count, instead of a mask.
        **options : further arguments of `forward`.
        """
        if self._second == "mask" and not isinstance(training, (bool, np.bool_, type(None))):
            if mask is not None:
                raise TypeError(f"{self.name} got two values for mask")
            training, mask = False, training
        training = training is not None and flag(f"{self.name}: training", training)
        by_hand = mask is not None or lengths is not None
        if by_hand and self.loses_mask:
            raise ValueError(
                f"{self.name}: {'mask' if lengths is None else 'lengths'}: the forward of {type(self).__name__} takes "
                "no mask; give it an argument mask"
            )
        if not by_hand:
            mask = _masks.of(inputs)
        arrays = self._accept(inputs)
        if mask is not None and by_hand:
            mask = self.fit_mask(mask, arrays)
            _masks.give(mask)
        if training:
            arrays, options = copies(arrays), copies(options)
        if lengths is None:
            outputs, mask = self.forward_with_mask(arrays, training, mask, **options)
        else:
            if not isinstance(arrays, np.ndarray) or arrays.ndim < 2:
                raise ValueError(f"{self.name}: lengths: expected inputs (batch, steps, ...), got {shapes(arrays)}")
            mask = valid_steps(f"{self.name}: ", arrays.shape[0], arrays.shape[1], mask, lengths)
            _masks.give(mask)
            if self._takes_lengths:
                own = copies(arrays) if self.takes_copies else arrays
                outputs = self.forward(own, training=training, **options | {"lengths": lengths})
                mask = _masks.after(self, arrays, outputs, mask)
            else:
                outputs, mask = self.forward_with_mask(arrays, training, mask, **options)
        outputs = own_outputs(outputs, None if training else arrays)
        if training:
            self.returned = (outputs.shape, outputs.dtype, self._cache) if isinstance(outputs, np.ndarray) else None
        return _masks.attach(self.name, inputs, outputs, mask, by_hand)

    def _accept(self, inputs: Any) -> Any:
        """Return the inputs of a call as arrays, and have the weights they need."""
        arrays = self.convert(f"{self.name}: inputs", inputs)
        if not self.built:
            self.build(shapes(arrays))
        return arrays

    def add_weight(
        self,
        *arguments: Any,
        name: str | None = None,
        shape: Sequence[int] | None = None,
        initializer: str | Callable[..., Array] | None = None,
        dtype: DTypeLike | None = None,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        offered: str = "units",
        **options: Any,
    ) -> Variable:
        """Create a variable, to be found in `variables` from then on.

        Parameters
        ----------
        *arguments : shape, initializer and dtype, as in Keras 3, or name, shape and initializer; all of them
            may also be given by name.
        name : of the variable within the layer.
        shape : of integers; () by default.
        initializer : a name or a callable, "glorot_uniform" by default.
        dtype : the layer's.
        trainable : whether `fit` moves it.
        regularizer, constraint : names, objects of `regularizers` and `constraints`, or None.
        offered : the argument of the layer to blame if no memory could hold the shape.
        **options : Keras's ``autocast``, ``aggregation`` and ``overwrite_with_gradient`` have no effect.
        """
        reject_options("add_weight", {k: v for k, v in options.items() if k not in _WITHOUT_EFFECT}, ())
        given: dict[str, Any] = {"name": name, "shape": shape, "initializer": initializer, "dtype": dtype}
        by_name = bool(arguments) and isinstance(arguments[0], str)
        order = ("name", "shape", "initializer", "dtype") if by_name else ("shape", "initializer", "dtype")
        if len(arguments) > len(order):
            raise TypeError(f"{self.name}: add_weight takes {', '.join(order)} by position, got {len(arguments)}")
        for argument, value in zip(order, arguments, strict=False):
            if given[argument] is not None:
                raise TypeError(f"{self.name}: add_weight got two values for {argument}")
            given[argument] = value
        name = named(self.name, given["name"], f"variable_{len(self.variables)}")
        sizes = items(
            f"{self.name}: {name}: shape", () if given["shape"] is None else given["shape"], "a list of integers"
        )
        shape = tuple(whole_number(f"{self.name}: {name}: shape", n) for n in sizes)
        if any(n < 0 for n in shape):
            raise ValueError(f"{self.name}: {name}: shape: expected integers from 0 on, got {shape}")
        if given["dtype"] is not None and not _is_dtype(given["dtype"], self.dtype):
            raise ValueError(f"{self.name}: {name}: expected the layer's dtype, {self.dtype}, got {given['dtype']}")
        if math.prod(map(float, shape)) * self.dtype.itemsize > 2.0**60:
            raise ValueError(f"{self.name}: {offered}: a {name} of shape {shape} overflows the address space")
        try:
            value = placeholder(shape, self.dtype)
            if value is None:
                make = get_initializer(given["initializer"]) or GlorotUniform()
                value = np.asarray(make(shape, dtype=self.dtype), self.dtype)
        except MemoryError as error:
            raise MemoryError(f"{self.name}: {offered}: no memory for a {name} of shape {shape}") from error
        if value.shape != shape:
            raise ValueError(f"{self.name}: {name}_initializer: expected shape {shape}, got {value.shape}")
        variable = Variable(
            f"{self.name}/{name}", value, trainable, regularizers.get(regularizer), constraints.get(constraint)
        )
        self.variables.append(variable)
        return variable

    @property
    def weights(self) -> list[Variable]:
        """The variables, in Keras's order."""
        return list(self.variables)

    @property
    def sublayers(self) -> list[Layer]:
        """The layers within this one: its attributes that are layers, or lists, tuples and dicts with layers."""
        found: dict[int, Layer] = {}
        for name, value in vars(self).items():
            if name != "_arguments":
                found |= {id(layer): layer for layer in layers_in(value)}
        return list(found.values())

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
        inner = {id(v): False for layer in self.sublayers for v in layer.variables}
        inner |= {id(v): True for layer in self.sublayers for v in layer.trainable_variables}
        return [v for v in self.variables if inner.get(id(v), v.trainable)]

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The variables that `fit` leaves to the layer itself."""
        moved = {id(v) for v in self.trainable_variables}
        return [v for v in self.variables if id(v) not in moved]

    trainable_weights = trainable_variables
    non_trainable_weights = non_trainable_variables

    @property
    def output_shape(self) -> Shape:
        """The shape of the outputs for inputs of `input_shape`."""
        if self.input_shape is None:
            raise AttributeError(f"{self.name}: has no output_shape before it is built")
        return self.compute_output_shape(self.input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal layer, as plain data."""
        own = {"name": self.name.removeprefix(f"{self.owner}/"), "trainable": self.trainable, "dtype": self.dtype.name}
        return super().get_config() | own

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Layer:
        """Make a layer from what `get_config` returned."""
        # A layer of a user's may not take the arguments that all layers have.
        config = mapping(f"{cls.__name__}: config", config)
        taken = inspect.signature(cls.__init__).parameters
        by_name = any(p.kind is p.VAR_KEYWORD for p in taken.values())
        own = {k: config[k] for k in ("name", "trainable", "dtype") if k in config and not (by_name or k in taken)}
        layer = super().from_config({k: v for k, v in config.items() if k not in own})
        layer.name = own.get("name", layer.name)
        if "dtype" in own:
            layer.dtype = layer.given_dtype = float_dtype("dtype", own["dtype"])
        if "trainable" in own:
            layer.trainable = own["trainable"]
        return layer

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

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Refuse to be taken for data, as by a layer that is called on it."""
        raise NotImplementedError(
            f"{self.name}: is a layer, no array: graphs of layers (a layer called on Input(...), Model(inputs, "
            "outputs)) are not offered; put the layers into a Sequential([Input(...), ...]), or define a Model"
        )

    def __reduce__(self) -> Any:
        """Pickle and copy the arguments, the weights and the random state."""
        return reduce_layer(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}{', built' if self.built else ''}>"


def _is_dtype(value: Any, dtype: np.dtype[Any]) -> bool:
    try:
        return bool(np.dtype(value) == dtype)
    except (TypeError, ValueError):
        return False


def set_all(owner: str, variables: Sequence[Variable], weights: Sequence[ArrayLike]) -> None:
    """Assign arrays to variables after checking every shape."""
    given = items(f"{owner}: weights", weights, "a list of arrays")
    # Copies, for they may be values of the variables themselves.
    arrays = [np.array(real_array(f"{owner}: weights[{k}]", w)) for k, w in enumerate(given)]
    if len(arrays) != len(variables):
        raise ValueError(f"{owner}: weights: expected {len(variables)} arrays, got {len(arrays)}")
    for variable, array in zip(variables, arrays, strict=True):
        if array.shape != variable.shape:
            raise ValueError(f"{variable.path}: expected shape {variable.shape}, got {array.shape}")
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def names_within(function: Any) -> list[str]:
    """Return the names that the code of a function, and of functions within it, uses; each once."""
    names: list[str] = []
    codes: list[Any] = [getattr(inspect.unwrap(function), "__code__", None)] if callable(function) else []
    while codes:
        code = codes.pop()
        if inspect.iscode(code):
            names += code.co_names
            codes += code.co_consts
    return list(dict.fromkeys(names))


def layers_in(value: Any) -> list[Layer]:
    """Return a layer in a list, and the layers in lists, tuples and dicts; of what is within itself those above it."""
    return _layers_in(value, ())


def _layers_in(value: Any, above: tuple[int, ...]) -> list[Layer]:
    if isinstance(value, Layer):
        return [value]
    if not isinstance(value, (list, tuple, dict)) or id(value) in above:
        return []
    above = (*above, id(value))
    parts = value.values() if isinstance(value, dict) else value
    return [layer for part in parts for layer in _layers_in(part, above)]


def own_outputs(outputs: Any, inputs: Any) -> Any:
    """Return outputs that share no memory with the inputs; without inputs, nor with anything else: copies."""
    if inputs is None:
        return copies(outputs)
    if isinstance(outputs, (tuple, list)):
        return type(outputs)(own_outputs(part, inputs) for part in outputs)
    shared = isinstance(outputs, np.ndarray) and any(np.may_share_memory(outputs, array) for array in leaves(inputs))
    return outputs.copy() if shared else outputs


def _is_ours(value: Any) -> bool:
    """Whether a class or a function is the library's, not the user's."""
    return bool(value.__module__.startswith("lstmcore."))


def _checked(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Return a ``backward`` that refuses gradients of outputs that do not fit what a call has returned."""

    @functools.wraps(backward)
    def checked(self: Layer, *arguments: Any, **options: Any) -> Any:
        if self.returned is not None:
            (shape, dtype, cache), self.returned = self.returned, None
            given = arguments[0] if arguments else options.get("d_outputs")
            if given is not None and cache is self._cache:  # not that of a forward without a call
                got = given.shape if isinstance(given, np.ndarray) else type(given).__name__
                if got != shape:
                    raise ValueError(f"{self.name}: d_outputs: expected shape {shape}, got {got}")
                if given.dtype != dtype:
                    raise TypeError(f"{self.name}: d_outputs: expected dtype {dtype}, got {given.dtype}")
        return backward(self, *arguments, **options)

    return checked


def _taking(argument: str, method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that takes ``argument``, second or by name, which ``method`` may leave out."""
    parameters = list(inspect.signature(method).parameters.values())
    needed = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty]
    any_number, any_name = (any(p.kind is kind for p in parameters) for kind in (_ANY_NUMBER, _ANY_NAME))
    if any(p.name == argument for p in parameters) or (any_number and any_name) or len(needed) > 2:
        return method

    @functools.wraps(method)
    def taking(self: Any, first: Any, /, *second: Any, **options: Any) -> Any:
        by_name = (options.pop(argument),) if argument in options else ()
        return method(self, first, *((*second, *by_name) if any_number else ()), **options)

    return taking


def _is_shape(value: Any, several: bool) -> bool:
    """Whether a value is a shape or, where there are several inputs, a list or a dict of shapes."""
    if several and isinstance(value, dict):
        return all(_is_shape(part, several) for part in value.values())
    if not isinstance(value, (tuple, list)):
        return False
    if several and any(isinstance(part, (tuple, list, dict)) for part in value):
        return all(_is_shape(part, several) for part in value)
    return all(n is None or (isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n >= 0) for n in value)


def _any_batch(shape: Any) -> Any:
    """Return a shape with None for the batch; of several, each of them."""
    if isinstance(shape, dict):
        return {k: _any_batch(s) for k, s in shape.items()}
    if shape and not isinstance(shape[0], (int, np.integer, type(None))):
        return [_any_batch(s) for s in shape]
    return (None, *shape[1:])


def _automatic_name(class_name: str) -> str:
    base = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", class_name)
    base = re.sub(r"([a-z])([A-Z])", r"\1_\2", base).lower()
    number = next(_names.setdefault(base, itertools.count()))
    return f"{base}_{number}" if number else base
