"""What every layer is: hyper-parameters, variables, and one pass each way."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .. import _masks, _random, regularizers
from .._arguments import (
    flag,
    float_array,
    mapping,
    named,
    number,
    number_arrays,
    positive_integer,
    reject_options,
)
from .._arguments import shape as checked_shape
from .._ours import is_ours
from .._policy import DTypePolicy, policy_of
from .._signatures import arguments_before
from .._tree import all_of, leaves, map_leaves, shapes
from .._warnings import warn
from ..activations import Activation
from ..graph import penalties
from ..graph.symbol import Symbol
from ..serialization.layers import reduce_layer
from ..streaming import Stage
from ..variables import Variable, drawn
from . import _calls, _derived, _quantized, _state
from ._building import any_batch, built_once, refuse_hidden
from ._naming import automatic_name
from ._subclasses import adapt
from ._weighted import Weighted

Array = NDArray[Any]
Shape = tuple[int | None, ...]

_OF_ALL = {"name", "dtype", "trainable", "activity_regularizer", "input_shape", "batch_input_shape", "input_dim"}
_OF_MASKS = ("ends_mask", "uses_mask")  # no arguments, but part of the configuration where they are changed


class Layer(Weighted):
    """Base of the layers. A subclass defines either ``call``, in `autograd.numpy`, or `forward` and `backward`.

    With Keras's ``call(inputs)``, which may have arguments ``training`` and ``mask`` and others, the gradient is
    autograd's (the extra ``grad``). `build` makes the weights, if there are any; within ``call`` those that are trained
    are arrays.

    >>> import autograd.numpy as np
    >>> from lstmcore import Sequential, layers
    >>> class Gate(layers.Layer):
    ...     def build(self, input_shape):
    ...         self.kernel = self.add_weight(name="kernel", shape=(input_shape[-1],))
    ...     def call(self, inputs):
    ...         return inputs * np.tanh(inputs * self.kernel)
    >>> model = Sequential([Gate(input_shape=(3,)), layers.Dense(1)])
    >>> model.compile("adam", "mse")
    >>> model.fit(np.ones((8, 3)), np.ones(8), epochs=1, verbose=0).epoch
    [0]

    With `forward` and `backward`, plain NumPy will do, and it can be faster; `utils.check_gradients` finds mistakes.
    `compute_output_shape` is then to be defined too if the outputs have another shape than the inputs. A `forward` that
    has an argument ``mask`` gets the mask of the inputs, and `compute_mask` says what becomes of it. Models and calls
    give it copies, which it may write over.

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
    dtype : "float32", "float64", or "mixed_bfloat16" for float32 with products that read bfloat16, as a name or a
        `DTypePolicy`; by default that of the model or layer it becomes part of, or that of
        `config.set_dtype_policy`, which is "float32" if nothing is set.
    trainable : whether `fit` moves the weights; takes effect when the model is compiled.
    activity_regularizer : adds a penalty on the outputs, divided by the rows of the batch, to the loss; a
        name or a `regularizers.Regularizer`.
    input_shape, batch_input_shape : shape of an input, without or with the batch; makes the
        layer, as the first of a model, know its weights' shapes at once. ``input_dim=n`` is (n,).

    Attributes
    ----------
    ends_mask : whether padding is data to the layer and ends its mask, as at many of Keras's layers; False.
    uses_mask : whether `forward` gets the mask of the inputs if it takes one, or it only goes on or ends; True.
    """

    # Of arguments that a subclass may leave out of its methods; those of a cell are others.
    _optional_arguments: ClassVar[dict[str, str]] = {"forward": "training", "backward": "need_d_inputs"}
    _second: ClassVar[str] = "training"  # what a call takes second: that, or "mask" or another where Keras has it there
    _takes_lengths: ClassVar[bool] = False

    def __init__(
        self,
        *,
        name: str | None = None,
        dtype: DTypeLike | DTypePolicy | Mapping[str, Any] | None = None,
        trainable: bool = True,
        activity_regularizer: Any = None,
        input_shape: Sequence[int | None] | None = None,
        batch_input_shape: Sequence[int | None] | None = None,
        input_dim: int | None = None,
        **options: Any,
    ) -> None:
        kind = type(self).__name__
        reject_options(kind, {k: v for k, v in options.items() if k != "autocast"}, (), type(self))
        self.name = named(kind, name, "") or automatic_name(kind)
        policy = policy_of("dtype", dtype)
        self.given_dtype, self._passes_policy_on = (None, False) if dtype is None else (policy, True)
        self._follow(policy)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self._trainable = flag(f"{kind}: trainable", trainable)
        self._random: _random.Stream | None = None  # of the layer's masks and noise, once it has drawn some
        self._cache: Any = None  # what `forward` has kept for `backward`
        self.variables: list[Variable] = []
        self.owned_by: str | None = None  # the layer it is within
        self.input_shape: Shape | None = None
        if batch_input_shape is not None:
            self.input_shape = checked_shape(f"{kind}: batch_input_shape", batch_input_shape)
        elif input_shape is not None:
            self.input_shape = (None, *checked_shape(f"{kind}: input_shape", input_shape))
        elif input_dim is not None:
            self.input_shape = (None, positive_integer(f"{kind}: input_dim", input_dim))
        self.built = False
        self._calls: list[Any] = []  # on symbols

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        adapt(cls, Layer)

    # --- to be defined by the layers ---

    @built_once
    def build(self, input_shape: Shape) -> None:
        """Create the variables for inputs of that shape, batch first; done once."""
        self._finish_build(input_shape)

    def forward(self, inputs: Array, training: bool = False) -> Any:
        """Return the outputs; with ``training``, keep what `backward` needs."""
        raise NotImplementedError(f"{self.name}: a layer defines forward(inputs, training=False), or call")

    # What makes passes of the ``call`` of a class that defines one and inherits this forward.
    _undefined_forward: ClassVar[Any] = forward

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Add to the gradients of the variables and return that of the inputs, if needed."""
        raise NotImplementedError(
            f"{self.name}: to train with this layer, define its backward(d_outputs, need_d_inputs=True)"
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the outputs for inputs of that shape, batch first; by default the same."""
        return input_shape

    def add_loss(self, loss: Any) -> None:
        """Add to the loss of the step that the layer is run in; `forward` or ``call`` does it, at every call.

        A layer with passes of its own sees to the gradient of that in its `backward`; that of a ``call`` is derived.

        >>> import numpy as np
        >>> from lstmcore import Sequential, layers
        >>> class Small(layers.Layer):
        ...     def forward(self, inputs, training=False):
        ...         self.add_loss(0.1 * np.square(inputs).mean())
        ...         self._cache = inputs
        ...         return inputs
        ...
        ...     def backward(self, d_outputs, need_d_inputs=True):
        ...         inputs = self.kept()
        ...         return d_outputs + 0.2 * inputs / inputs.size
        >>> model = Sequential([Small(input_shape=(2,))])
        >>> model.compile("sgd", "mse")
        >>> round(model.evaluate(np.ones((4, 2)), np.ones((4, 2)), verbose=0), 6)
        0.1

        Parameters
        ----------
        loss : a number, or a list of them; in a ``call`` over layers what a layer returns, whose sum is added.
        """
        if (of := drawn()) is not None:
            for part in leaves(loss):
                if not isinstance(part, Symbol):
                    raise TypeError(
                        f"{of.name}: call: add_loss: would add what it is now to every loss to come; give it what "
                        "layers return that are called on the inputs, or do it in a layer's call without layers within"
                    )
                Symbol.added(part)
            return
        losses = _derived.collected()
        for part in leaves(loss):
            if losses is not None:
                losses.append(part)
                continue
            if np.ndim(part):
                raise ValueError(f"{self.name}: add_loss: expected a number, got an array of shape {np.shape(part)}")
            penalties.add(float(number(f"{self.name}: add_loss: loss", part)))

    def as_activation(self) -> Any:
        """Return the function that the layer is, where it is given as the activation of another."""
        raise ValueError(
            f"activation: expected a name, a function or None, got {self!r}: put it behind the layer instead"
        )

    # --- for layers that need more than that ---

    consumes_mask = False  # whether `forward` takes a mask: told by its arguments
    supports_masking = True  # whether the outputs have a mask where the inputs have one
    ends_mask = False  # whether a mask of the inputs is left unused and ends, as at many of Keras's layers
    uses_mask = True  # whether `forward` gets the mask, if it takes one; if not, it is only passed on or ended
    computes_mask = False  # whether `compute_mask` is its own: told by its being defined
    told_of_mask = False  # whether there has been a warning that a mask ends here
    loses_mask = False  # whether `forward` takes no mask where that of the class it is derived from does
    passes_are_fixed: str | None = None  # why a class derived from this one cannot have passes of its own, if it cannot
    last_returned: Any = (
        None  # shape and dtype of what a call with training=True has returned, and the cache it has left
    )
    takes_copies = False  # whether `forward` gets its own copy of inputs, to write over: that of a class of the user's
    is_model = False
    steps_apart = False  # whether a step of what `forward` returns depends on that step of the inputs alone
    adds_loss = False  # whether it adds to the loss by itself, whatever becomes of its outputs
    is_cell = False  # whether it is one step, which others run
    is_traced = False  # whether its passes are those of what its ``call`` draws
    takes_several = False  # whether inputs are a list, tuple or dict of arrays
    takes_none = False  # whether there may be None in the place of some of several inputs
    takes_integers = False  # whether integers and booleans are taken as they are
    keeps_dtype = False  # whether in a graph outputs have the dtype of the inputs, which may be integers
    may_take_several = False  # whether they are that if a list or a dict of arrays is given

    # Of the weights that can be quantized, whether there is a scale of each row instead of each column.
    quantized_weights: ClassVar[Mapping[str, bool]] = {}

    # The activation that the layer ends with, if it can leave it out: `forward` with ``logits=True`` then
    # returns what goes into it, and `backward` with ``logits=True`` takes the gradient of that.
    last_activation: Activation | None = None

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
        if self.takes_integers:
            return number_arrays(name, inputs, self.dtype, self.takes_none)
        if self.takes_several or (self.may_take_several and _are_arrays(inputs)):
            if isinstance(inputs, dict):
                return {k: float_array(f"{name}: {k}", v, self.dtype) for k, v in inputs.items()}
            if isinstance(inputs, (list, tuple)):
                return [float_array(f"{name}[{k}]", v, self.dtype) for k, v in enumerate(inputs)]
            raise TypeError(f"{name}: expected a list or a dict of arrays, got {type(inputs).__name__}")
        return float_array(name, inputs, self.dtype)

    def leaks(self, inputs: Any, mask: Any) -> str | None:
        """Return why padding would reach the steps that count in spite of the mask; None if it does not.

        Sequences of different length, in a list of arrays, are refused then. `Lambda` and layers of your own are
        taken to treat every step by itself, unless they say so here.
        """
        return None

    def convert_ordered(self, inputs: Any) -> Any:
        """Return what a call in a graph gives as `forward` takes it; of a model, in the order of its inputs."""
        return self.convert(f"{self.name}: inputs", inputs)

    def reset_states(self) -> None:
        """Forget what was kept from earlier batches."""

    def stream(self, batch_size: int, steps: int) -> Stage:
        """Return a `streaming.Stage`, which does for the next chunk of steps what the layer does for all."""
        kind = type(self)
        own = "" if kind.stream is not Layer.stream or is_ours(kind) else "; define stream beside forward"
        raise NotImplementedError(f"{self.name}: a {kind.__name__} cannot be run piece by piece{own}")

    # --- in graphs ---

    @property
    def passes_integers(self) -> bool:
        """Whether it may return integers where floats are what it was drawn for, as it is given integers."""
        return self.takes_integers or self.is_model

    @property
    def calls_on_symbols(self) -> list[Any]:
        """The calls of the layer on symbols, of all graphs that there are."""
        found = [call() for call in self.__dict__.get("_calls", ())]
        return [call for call in found if call is not None]

    def result_of_call(self, inputs: Any, options: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return the shape and the dtype of what a call on symbols returns; of several arrays, all of them."""
        return self.shape_of_call(inputs, options), self.dtype_of_call(inputs)

    def shape_of_call(self, inputs: Any, options: Mapping[str, Any]) -> Any:
        """Return the shape, or the shapes, of what a call on symbols returns, with the weights made for it."""
        given = map_leaves(lambda symbol: symbol.shape, inputs)
        self.ensure_built(given)
        return self.shape_returned(given, options)

    def shape_returned(self, input_shape: Any, options: Mapping[str, Any]) -> Any:
        """Return the shape, or the shapes, of all that a call in a graph returns, with its further arguments."""
        return self.compute_output_shape(input_shape)

    def as_in_graphs(self, outputs: Any) -> Any:
        """Return symbols that a call has made as Keras's graphs have them, if other than arrays."""
        return outputs

    def refuse_mask_of_call(self, mask: Any, inputs: Any) -> None:
        """Refuse symbols for a mask that `fit_mask` would not take."""
        if type(self).fit_mask is Layer.fit_mask:
            _masks.fit_symbols(self.name, mask, inputs)

    def dtype_of_call(self, inputs: Any) -> np.dtype[Any]:
        """Return the dtype of what a call on symbols returns."""
        dtype: np.dtype[Any] = inputs.dtype if self.keeps_dtype else self.dtype
        return dtype

    def note_call(self, call: Any) -> None:
        """Remember a call on symbols as long as anybody has what it returned."""
        known = self.__dict__.get("_calls", ())  # which a class of the user's may not have made
        self.__dict__["_calls"] = [*(one for one in known if one() is not None), weakref.ref(call)]

    @property
    def input(self) -> Any:
        """The symbols that the layer was first called on."""
        return self._first_call().inputs

    @property
    def output(self) -> Any:
        """The symbols that the layer's first call on symbols returned."""
        return self._first_call().outputs

    def _first_call(self) -> Any:
        calls = self.calls_on_symbols
        if not calls:
            raise AttributeError(f"{self.name}: has no input and output before it is called on symbols, as Input gives")
        return calls[0]

    @property
    def keepers(self) -> list[Any]:
        """The objects whose attributes hold what a call keeps for the way back: the layer, and those within."""
        return [self, *(part for layer in self.sublayers for part in layer.keepers)]

    def backward_of_call(
        self, d_outputs: list[Array | None], need_d_inputs: bool, given: Collection[str], **options: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Go back through a call in a graph.

        Parameters
        ----------
        d_outputs : gradients of what the call has returned, one after the other; None for what was not used.
        need_d_inputs : whether the gradient of the inputs is wanted.
        given : names of further arguments of the call that have gradients.

        Returns
        -------
        The gradient of the inputs, as `backward` returns it, and those of the further arguments by name.
        """
        names = [name for name in given if name != "mask"]
        if names:
            raise NotImplementedError(f"{self.name}: {names[0]}: has no gradient; define backward_of_call")
        own = [d.copy() if d is not None and self.takes_copies else d for d in d_outputs]
        return self.backward(own[0] if len(own) == 1 else own, need_d_inputs, **options), {}  # type: ignore[arg-type]

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
        return _state.state_of(self, self._random)

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Set what `state` has returned: all of it or, on an error, nothing.

        Raises
        ------
        ValueError
            It is not this layer's.
        """
        self._random = _state.load_state(self, state)

    @property
    def makes_weights(self) -> bool:
        """Whether building it may make weights, its own or those of layers within."""
        return type(self).build is not Layer.build or bool(self.sublayers)

    def ensure_built(self, input_shape: Shape) -> None:
        """Build once; afterwards do nothing."""
        if not self.built:
            self.build(input_shape)
        elif self.input_shape is None:  # built without a shape, as an Embedding can be
            self.input_shape = any_batch(input_shape)

    def _finish_build(self, input_shape: Any) -> None:
        """Take up the variables of layers within, and remember the shape."""
        refuse_hidden(self)
        known = {id(v) for v in self.variables}
        for layer in self.sublayers:
            missing = not layer.built and not self.is_model  # which sees to it itself
            if missing and layer.makes_weights and self.is_traced:
                warn(f"{self.name}: call does not use {layer.name}; what has no weights is not trained")
            elif missing and type(layer).build is not Layer.build:
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
            self.input_shape = any_batch(input_shape)
        self.built = True

    def __call__(
        self, inputs: Any, training: Any = None, mask: Any = None, lengths: ArrayLike | None = None, **options: Any
    ) -> Any:
        """Return the outputs for a batch.

        Whatever the layer keeps for `backward` is its own: arrays that go in and come out may be written to. It keeps
        that of one call: several threads may call it at a time, but one with ``training``.

        Parameters
        ----------
        inputs : an array, or several for layers that take several; or a symbol of a graph, or several.
        training : True or False; None is False, and in a graph what its model runs with.
        mask : (batch, steps), True where a step counts; by default the one that goes with the inputs, if a layer
            called before has made it.
        lengths : (batch,), how many steps of each row count, instead of a mask.
        **options : further arguments of `forward`.
        """
        return _calls.call(self, inputs, training, mask, lengths, options)

    def _accept(self, inputs: Any) -> Any:
        """Return the inputs of a call as arrays, and have the weights they need."""
        arrays = self.convert(f"{self.name}: inputs", inputs)
        if not self.built:
            self.build(shapes(arrays))
        return arrays

    @property
    def sublayers(self) -> list[Layer]:
        """The layers within this one: its attributes that are layers, or lists, tuples and dicts with layers."""
        return list({id(layer): layer for layers in self.held_layers.values() for layer in layers}.values())

    @property
    def held_layers(self) -> dict[str, list[Layer]]:
        """The layers within this one by the attributes that hold them."""
        held = {name: layers_in(value) for name, value in list(vars(self).items()) if name != "_arguments"}
        return {name: layers for name, layers in held.items() if layers}

    def layers_at(self, name: str) -> list[Layer]:
        """Return the layers that an attribute holds."""
        return layers_in(vars(self).get(name))

    @property
    def output_shape(self) -> Shape:
        """The shape of the outputs for inputs of `input_shape`."""
        if self.input_shape is None:
            raise AttributeError(f"{self.name}: has no output_shape before it is built")
        return self.compute_output_shape(self.input_shape)

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        # Those that every layer has are described where they are given.
        own = arguments_before(Layer, cls)
        return {k: v for k, v in super()._defaults().items() if k in own or k not in _OF_ALL}

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal layer, as plain data."""
        own = {
            "name": self.name.removeprefix(f"{self.owned_by}/"),
            "trainable": self.trainable,
            "dtype": self.policy_name,
        }
        of_masks = {k: getattr(self, k) for k in _OF_MASKS if getattr(self, k) != getattr(Layer, k)}
        return super().get_config() | own | of_masks

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Layer:
        """Make a layer from what `get_config` returned."""
        # A layer of a user's may not take the arguments that all layers have.
        config = dict(mapping(f"{cls.__name__}: config", config))
        of_masks = {k: flag(f"{cls.__name__}: {k}", config.pop(k)) for k in _OF_MASKS if k in config}
        taken = inspect.signature(cls.__init__).parameters
        by_name = any(p.kind is p.VAR_KEYWORD for p in taken.values())
        own = {k: config[k] for k in ("name", "trainable", "dtype") if k in config and not (by_name or k in taken)}
        layer = super().from_config({k: v for k, v in config.items() if k not in own})
        layer.name = own.get("name", layer.name)
        if "dtype" in own:
            layer.given_dtype, layer._passes_policy_on = policy_of("dtype", own["dtype"]), True
            layer._follow(layer.given_dtype)
        if "trainable" in own:
            layer.trainable = own["trainable"]
        for k, value in of_masks.items():
            setattr(layer, k, value)
        return layer

    def quantize(self, mode: str = "int8", weights: str | None = None) -> None:
        """Keep the weights in int8, in place, for inference: those of the layer, or of all layers within that can be.

        `LSTM`, `GRU`, `SimpleRNN`, `Dense`, `Conv1D` and `Embedding` can; other layers stay as they are. Kernels become
        whole numbers from -127 to 127 times a scale of each column, embeddings those of each row; everything else
        stays float32. What is quantized cannot be trained.

        >>> import numpy as np
        >>> from lstmcore.layers import Dense
        >>> layer = Dense(4)
        >>> layer.build((None, 8))
        >>> layer.quantize("int8")
        >>> layer.kernel.int8.values.dtype
        dtype('int8')

        Parameters
        ----------
        mode : "int8".
        weights : None for products of int8, whose other operand is rounded too, at every row with a scale of its own;
            "int8" for products of float32.

        Raises
        ------
        ValueError
            An argument is another; there is nothing that can be quantized; there are no weights yet, or infinities or
            NaN among them, or they are float64, or quantized already; or the layer is part of another.
        """
        _quantized.quantize(self, mode, weights)

    @property
    def quantization(self) -> dict[str, Any] | None:
        """How the layer itself is quantized, as plain data; None if it is not."""
        return None if self.quantization_mode is None else _quantized.described(self)

    @quantization.setter
    def quantization(self, how: Any) -> None:
        # As a file says, which has the weights too.
        _quantized.quantize_as(self, how)

    def next_random(self, seed: int | None = None) -> np.random.Generator:
        """Return the generator of this call's masks or noise; ``seed`` or the global seed decides the first."""
        if self._random is None:
            self._random = _random.Stream()
        return self._random.next(seed)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Refuse to be taken for data, as by a layer that is called on it."""
        raise TypeError(
            f"{self.name}: is a layer, no array; call a layer on what another returns, layer(other(x)), with arrays or "
            "with symbols as Input gives them, or put the layers into a Sequential"
        )

    def __reduce__(self) -> Any:
        """Pickle and copy the arguments, the weights and the random state."""
        return reduce_layer(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}{', built' if self.built else ''}>"


def _are_arrays(value: Any) -> bool:
    """Whether a value is a dict, or a list of nothing but arrays."""
    return isinstance(value, dict) or (
        isinstance(value, (list, tuple)) and bool(value) and all(isinstance(part, np.ndarray) for part in value)
    )


def layers_in(value: Any) -> list[Layer]:
    """Return a layer in a list, and the layers in lists, tuples and dicts; of what is within itself those above it."""
    return all_of(Layer, value)
