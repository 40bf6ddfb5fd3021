"""The base of all models: layers with one flat vector of weights, which can be trained."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import _masks, _screen
from .._arguments import flag, function, integer, number_arrays, positive_integer, shown
from .._tree import copies, in_places, leaves, map_leaves, shapes
from .._warnings import warn
from ..activations import Activation
from ..graph.drawing import Drawing
from ..graph.symbol import Symbol, given
from ..graph.tracing import OTHER_LAYERS
from ..layers import _traced
from ..layers._building import any_batch
from ..layers._derived import stand_ins
from ..layers._metrics import metrics_in, undisturbed
from ..layers.layer import Layer, Shape, layers_in
from ..serialization import Configurable, custom_object_scope, serialize
from ..serialization.models import Savable
from ..streaming import Source
from ..training.trainer import Trainer
from ..variables import Parameters, Variable
from .streams import LOOKS_AT_SIZES, streamed
from .summary import html_summary, print_summary

Array = NDArray[Any]


class Model(Savable, Trainer):
    """Base of the models. A subclass makes layers, keeps them as attributes, and defines ``call`` or two passes.

    >>> import numpy as np
    >>> from lstmcore import Model, layers
    >>> class Forecast(Model):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.lstm = layers.LSTM(8)
    ...         self.dense = layers.Dense(1)
    ...
    ...     def forward(self, inputs, training=False):
    ...         return self.dense(self.lstm(inputs, training=training), training=training)
    ...
    ...     def backward(self, d_outputs, need_d_inputs=True):
    ...         return self.lstm.backward(self.dense.backward(d_outputs), need_d_inputs)
    >>> model = Forecast()
    >>> model.compile("adam", "mse")
    >>> history = model.fit(np.zeros((32, 12, 1)), np.zeros((32, 1)), verbose=0)
    >>> [layer.name for layer in model.layers][0].startswith("lstm")
    True

    The weights of all layers, also of those in lists and dicts, live in one flat vector,
    ``parameters.values``, and their gradients in ``parameters.gradients``. They exist once the model
    has seen data, or been built for a shape. What can be seen of them is read-only: `Variable.assign` and
    `set_weights` set them. Inputs may be a list or dict of arrays. Masks go from layer to layer where these are
    called on one another's outputs, and into the loss.

    Several threads may call a model and `predict` at a time; one trains or evaluates it.

    Parameters
    ----------
    name : that of the class by default.
    trainable : whether `fit` moves the weights; takes effect when the model is compiled.
    dtype : "float32", "float64" or "mixed_bfloat16", for the layers too, but for those that were given one of their
        own, which must have the same variables. By default that of the first layer.

    A subclass that defines Keras's ``call`` over its layers needs no passes: it is drawn once for each structure of the
    inputs, and may have several outputs.
    """

    takes_several = True
    is_model = True

    @property
    def made_by_data(self) -> bool:  # type: ignore[override]
        """Whether it shows by the first data what outputs there are."""
        return self.is_traced

    of_graph: ClassVar[type[Model]]  # the class of models of inputs and outputs
    _in_build = False  # whether the build of a class that defines it is under way
    _drawing: Drawing | None = None  # of a chain, a graph, or a ``call``; None if there are passes of its own
    _inputs_as: Any = None  # True for each, as the inputs that built it were said
    _built_for: Any = None  # shapes and dtypes of the inputs that built it, if they were more than a shape

    def __new__(cls, *graph: Any, **options: Any) -> Any:
        """Return a `Functional` for ``Model(inputs, outputs)``."""
        if cls is Model and (graph or "inputs" in options or "outputs" in options):
            return super().__new__(Model.of_graph, *graph, **options)
        return super().__new__(cls, *graph, **options)

    def __init__(self, *graph: Any, inputs: Any = None, outputs: Any = None, **options: Any) -> None:
        if graph or inputs is not None or outputs is not None:
            kind: Any = type(self)
            self.__class__ = _of_graph(kind)
            named = {name: value for name, value in (("inputs", inputs), ("outputs", outputs)) if value is not None}
            arguments = self._arguments
            Model.of_graph.__init__(self, *graph, **named, **options)
            self._arguments = arguments if _has_own_init(kind) else self._arguments
            return
        super().__init__(**options)
        self._settle_dtype()  # of layers that were there before

    # --- layers ---

    def __setattr__(self, name: str, value: Any) -> None:
        """Take note of the layers and metrics among the attributes."""
        if metrics_in(name, value):
            self._look_again()
        layers = layers_in(value) if name != "_arguments" else []
        if layers and self.is_traced and self.__dict__.get("built") and layers != layers_in(self.__dict__.get(name)):
            raise ValueError(f"{self.name}: {name}: {OTHER_LAYERS}")
        for layer in layers:
            if layer is self or any(part is self for part in layer.keepers):
                raise ValueError(f"{type(self).__name__}: {name}: expected layers, got one that the model is within")
            layer.refuse_owner(self.__dict__.get("name", type(self).__name__))
        super().__setattr__(name, value)
        if layers and "given_dtype" in self.__dict__:
            self._settle_dtype()

    def _settle_dtype(self) -> None:
        """Give the layers the model's dtype; if it was given none, it has that of its first layer."""
        layers = self.layers
        if self.given_dtype is None and layers and not self.built:
            self.dtype = layers[0].dtype
        for layer in layers:
            self.pass_dtype_on(layer)

    @property
    def layers(self) -> list[Layer]:
        """The layers: the attributes that are layers, or lists, tuples and dicts with layers."""
        return super().sublayers

    @property
    def sublayers(self) -> list[Layer]:
        """The layers that the model is made of."""
        return self.layers

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return a layer by its name or its index."""
        layers = self.layers
        if index is not None:
            if not -len(layers) <= integer("index", index) < len(layers):
                raise ValueError(f"index: expected one of {len(layers)} layers, got {index}")
            return layers[index]
        for layer in layers:
            if isinstance(name, str) and layer.name == name:
                return layer
        raise ValueError(f"name: expected one of {[layer.name for layer in layers]}, got {name!r}")

    # --- weights ---

    def build(self, input_shape: Shape) -> None:
        """Create the weights for inputs of that shape, batch first, by passing zeros through the model."""
        if self._in_build:  # of a class that defines it, and calls this one
            return
        with self._own_build():
            self._build_for(np.zeros((1, *(n or 1 for n in input_shape[1:])), self.dtype))

    @contextlib.contextmanager
    def _own_build(self) -> Iterator[None]:
        self._in_build = True
        try:
            yield
        finally:
            self._in_build = False

    def _build_for(self, inputs: Any, options: Mapping[str, Any] = {}) -> None:
        """Create the weights for inputs like these, by passing a row of them through the model."""
        if type(self).build is not Model.build and not self._in_build:
            with self._own_build():
                self.build(any_batch(shapes(inputs)))
            self.built = False  # there are layers, but not their weights
        layers = self.layers
        if not layers:
            raise ValueError(f"{self.name}: has no layers; keep them as attributes")
        self._settle_dtype()
        for layer in layers:
            layer.refuse_owner(self.name)
            if not self.is_traced and layer.activity_regularizer is not None:
                raise ValueError(
                    f"{self.name}: {layer.name}: activity_regularizer: is not offered in a class with its own forward"
                )
        if self.is_traced:
            _traced.draw(self, inputs, False, options)
            self._drawing = drawing = _traced.draw(self, inputs, True, options)
            self._output_shape: Any = any_batch(map_leaves(lambda symbol: symbol.shape, drawing.outputs))
        else:
            with undisturbed(self.keepers):
                outputs = self.forward(copies(map_leaves(lambda a: a[:1], inputs)))
            self._output_shape = (None, *outputs.shape[1:])
            self.reset_states()
        missing = ", ".join(
            layer.name for layer in layers if not layer.built and (layer.makes_weights or not self.is_traced)
        )
        if missing and not self.is_traced:
            raise ValueError(f"{self.name}: forward does not use {missing}; call every layer, as layer(x)")
        if missing:
            warn(f"{self.name}: call does not use {missing}; what has no weights is not trained")
        self.input_shape = (None, *inputs.shape[1:]) if hasattr(inputs, "shape") else None
        self._inputs_as = map_leaves(lambda _: True, inputs)
        self._built_for = _described([inputs, dict(options)] if options else [inputs])
        self.variables = [v for layer in layers for v in layer.variables]
        self.built = True

    def get_build_config(self) -> dict[str, Any] | None:
        """Return the inputs that the weights were made for, as plain data; None if there are no weights."""
        return super().get_build_config() if self._built_for is None else {"arguments": self._built_for}

    def build_from_config(self, config: Mapping[str, Any]) -> None:
        """Make the weights for inputs as `get_build_config` told."""
        if "arguments" in config:
            self._build_for(*_zeros(config["arguments"]))
        else:
            super().build_from_config(config)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the outputs for inputs of that shape, batch first, by passing zeros through the model.

        Of several inputs or outputs, the shapes are in lists and dicts as they are.
        """
        if self.is_traced:
            inputs = stand_ins(self, input_shape)
            known = None if self._built_for is None else _zeros(self._built_for)[0]
            parts = in_places(inputs, known)
            if known is not None and parts is not None and all(isinstance(part, Symbol) for part in parts):
                at = iter(parts)
                inputs = map_leaves(lambda like: given(self.name, next(at).shape, like.dtype), known)
            return self.result_of_call(inputs, {})[0]
        before = self.state()
        with undisturbed(self.keepers):
            outputs = self.forward(np.zeros((1, *(n or 1 for n in input_shape[1:])), self.dtype))
        self.reset_states()
        self.load_state(before)
        return (input_shape[0], *outputs.shape[1:])

    def reset_states(self) -> None:
        """Make stateful layers begin with zeros again."""
        for layer in self.sublayers:
            layer.reset_states()

    reset_state = reset_states

    def _gather(self, moved: Iterable[Variable] | None = None) -> None:
        # What an optimizer moves stands in one vector, everything else by itself.
        dtypes = {layer.dtype for layer in self.layers if layer.variables}
        if len(dtypes) > 1:
            names = ", ".join(f"{layer.name} {layer.dtype}" for layer in self.layers)
            raise ValueError(f"{self.name}: dtype: expected the same for all layers, got {names}")
        self.dtype = next(iter(dtypes), self.dtype)
        self.variables = list({id(v): v for layer in self.sublayers for v in layer.variables}.values())
        # What is quantized is not moved, and stands in no vector of floats.
        chosen = {id(v) for v in (self.trainable_variables if moved is None else moved) if v.int8 is None}
        own = [v for v in self.variables if id(v) in chosen]
        for variable in self.variables:
            if id(variable) not in chosen and variable.int8 is None:
                Parameters([variable], self.dtype)
        self._parameters = Parameters(own, self.dtype)
        # Those within go by what this model trains, whatever they were compiled to train themselves.
        for part in self.keepers:
            drawing, tracing = getattr(part, "_drawing", None), getattr(part, "_tracing", None)
            if drawing is not None:
                drawing.move(own)
            if tracing is not None:
                tracing.move(own)
        # The penalties of what is quantized go on being part of the loss.
        kept = [v for v in self.variables if v.int8 is not None and v.trainable]
        self._regularized = [v for v in (*own, *kept) if v.regularizer is not None]

    @property
    def output_shape(self) -> Any:
        """The shape of the outputs; of several, in a list or dict."""
        self._require_built()
        return self._output_shape

    @property
    def input_symbols(self) -> Any:
        """Something for each input, in lists and dicts as they are said; None if they are not known."""
        return self._inputs_as

    @property
    def several_outputs(self) -> Any:
        """The names of the outputs, in lists and dicts as these are; None if there is one."""
        names = None if self._drawing is None else self._drawing.names
        return None if isinstance(names, str) else names

    @property
    def output_shapes(self) -> list[Any]:
        """The shapes of the outputs, one after the other."""
        return [self.output_shape] if self._drawing is None else [s.shape for s in leaves(self._drawing.outputs)]

    @property
    def last_activations(self) -> list[Activation | None]:
        """For each output, the activation that the layer of it ends with, if it can leave that out."""
        if self._drawing is None:
            return [self.last_activation]
        found = self._drawing.last_activations
        if self.is_traced:  # what ends otherwise in training than outside of it has none that can be left out
            others = self.drawn().last_activations  # type: ignore[union-attr]
            return [one if one is other else None for one, other in zip(found, others, strict=True)]
        return found

    def _require_built(self) -> None:
        if not self.built:
            raise ValueError(f"{self.name}: has no weights yet; call it on data or give its first layer an input_shape")

    def count_params(self) -> int:
        """Return the number of numbers in the weights."""
        self._require_built()
        return sum(v.size for v in self.variables)

    # --- passes ---

    def forward_with_mask(
        self, inputs: Any, training: bool = False, mask: Any = None, logits: bool = False, **options: Any
    ) -> tuple[Any, Any]:
        """Return the outputs for a batch and their mask."""
        if options:
            raise TypeError(f"{self.name} got an unexpected argument {next(iter(options))!r}")
        return self.run(inputs, training, mask, logits)

    def ordered(self, inputs: Any) -> Any:
        """Return the symbols of a call as the model takes them."""
        return inputs

    def _accept(self, inputs: Any) -> Any:
        return self._inputs(inputs, f"{self.name}: inputs", build=not self.is_traced)  # by all arguments of the call

    def run(
        self,
        inputs: Any,
        training: bool = False,
        mask: Any = None,
        logits: bool | Sequence[bool] = False,
    ) -> tuple[Any, Any]:
        """Return the outputs for a batch, and their mask.

        In a subclass of your own, masks go from layer to layer as `forward` calls them, and come from the mask of the
        inputs or from layers that make one. A `forward` that takes ``mask`` gets that of the inputs.
        """
        return self._run(inputs, training, None if mask is None else self.fit_mask(mask, inputs), logits)

    def _run(self, inputs: Any, training: bool, mask: Any, logits: bool | Sequence[bool]) -> tuple[Any, Any]:
        if self.last_returned is not None:
            self.last_returned = None
        if self.is_traced:
            return self.forward_with_mask(inputs, training, mask, logits)  # type: ignore[arg-type]
        options: dict[str, Any] = {"mask": copies(mask)} if self.consumes_mask and mask is not None else {}
        with _masks.watched(self):
            own = _masks.private(self.name, inputs, mask, by_hand=self.consumes_mask)
            outputs = self.forward(own, training=training, **options)
            if not isinstance(outputs, np.ndarray):
                raise TypeError(f"{self.name}: forward: expected to return one array, got {type(outputs).__name__}")
            left = _masks.seen(outputs)
        if left is None and self.computes_mask and (said := self.compute_mask(inputs, mask)) is not None:
            left = _masks.fit(f"{self.name}: compute_mask", said, outputs.shape)
        return outputs, left

    def drawn(self) -> Drawing | None:
        """Return what a built model does outside of training, as symbols; None if it has passes of its own.

        ``call`` may do something else in training, and with inputs of other shapes than those that it was built for.
        """
        if self._drawing is None or not self.is_traced:
            return self._drawing
        inputs, *options = _zeros(self._built_for)
        return _traced.draw(self, inputs, False, *options).of_outputs()

    def _run_backward(self, d_outputs: Any, logits: bool | Sequence[bool]) -> None:
        # A backward of the user's takes no logits, for it has no last activation.
        options: dict[str, Any] = {"logits": logits} if self._drawing is not None else {}
        self.backward(d_outputs, need_d_inputs=False, **options)

    def convert(self, name: str, inputs: Any) -> Any:
        """Return inputs as arrays; floating-point numbers in the model's dtype, integers as they are."""
        return number_arrays(name, inputs, self.dtype, self.takes_none)

    # --- piece by piece ---

    def stream(self, batch_size: int = 1, steps: int = 1) -> Any:
        """Return an object that runs the model a step, or a chunk of steps, at a time.

        Its outputs are bit for bit those of the whole sequences at once. A recurrent layer gives its output at every
        step, whether or not it has ``return_sequences``. A model with several inputs or outputs takes and returns them
        as it does itself, in lists and dicts; an input without steps, (batch, features), comes anew with every step.

        Parameters
        ----------
        batch_size : rows of every step.
        steps : the most steps in a chunk.

        Returns
        -------
        A `streaming.Stream`, or its like for several inputs or outputs.

        Raises
        ------
        NotImplementedError, ValueError
            A layer needs the whole sequence, as `layers.Bidirectional` does, or the states of another one; the message
            names it. Or the model has passes of its own.
        """
        self._require_built()
        batch_size, steps = positive_integer("batch_size", batch_size), positive_integer("steps", steps)
        if batch_size * steps >= 2**31:
            raise ValueError(f"steps: expected fewer than 2**31, times batch_size, got {steps} times {batch_size}")
        drawing = self._drawing
        if drawing is None:
            raise NotImplementedError(
                f"{self.name}: has passes of its own and cannot be run piece by piece; define stream beside forward"
            )
        if self.is_traced:
            inputs, *more = _zeros(self._built_for)
            if more:
                raise NotImplementedError(
                    f"{self.name}: was called with further arguments ({', '.join(more[0])}), which a stream has not"
                )
            drawn = _traced.draw(self, inputs, False)
            if _traced.tracing_of(self).sized:
                raise NotImplementedError(f"{self.name}: {LOOKS_AT_SIZES}")
            drawing = Drawing(self.name, drawn.given, drawn.outputs)
        structure = drawing.inputs
        stream = streamed(drawing, batch_size, steps, lambda name, given: self._in_places(name, given, structure))
        stream.source = Source(self, batch_size, steps)
        return stream

    def _in_places(self, name: str, inputs: Any, structure: Any) -> list[Any]:
        """Return what was given for each of several inputs."""
        found = in_places(inputs, structure)
        if found is None or any(part is None for part in found):
            count = len(list(leaves(structure)))
            raise ValueError(f"{name}: expected {count} arrays, as the model takes them, got {shown(inputs)}")
        return found

    # --- description ---

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Make a model from what `get_config` returned, that of a graph by ``Model`` itself; its weights are new.

        ``custom_objects`` are classes and functions of yours that are part of it, by name.
        """
        if cls is Model:
            return Model.of_graph.from_config(config, custom_objects)
        if "calls" in config and "sources" in config:
            kind: Any = cls
            return Model.of_graph.from_config.__func__(_of_graph(kind), config, custom_objects)  # type: ignore[attr-defined]
        with custom_object_scope({} if custom_objects is None else custom_objects):
            return super().from_config(config)

    def mapped(self, function: Callable[[Layer], Layer], inputs: Sequence[Symbol] | None = None) -> Model:
        """Return the same model of what a function returns for each layer; of chains and graphs only."""
        raise NotImplementedError(
            f"{self.name}: clone_function, input_tensors: are for chains and graphs of layers, not for a subclass"
        )

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Print the layers with their output shapes and numbers of weights.

        Parameters
        ----------
        line_length : of the table, at least.
        print_fn : is given each line; by default it is printed, in ASCII where standard output has no more.
        expand_nested : also show the layers of models that are layers of this one.
        show_trainable : also show which layers `fit` moves.
        positions, layer_range : accepted for Keras's sake; have no effect.
        """
        width = 70 if line_length is None else positive_integer("line_length", line_length)
        show = _screen.show if print_fn is None else function("print_fn", print_fn)
        nested, trainable = flag("expand_nested", expand_nested), flag("show_trainable", show_trainable)
        print_summary(self, self.layers, width, show, nested, trainable)

    def _repr_html_(self) -> str:
        return html_summary(self, self.layers)

    def __repr__(self) -> str:
        layers = ", ".join(layer.name for layer in self.layers)
        return f"<{type(self).__name__} name={self.name}, layers=[{layers}]>"


@functools.cache
def _of_graph(cls: Any) -> Any:
    """Return the class of graphs that does else what a class of the user's does, and is described as that."""
    own = [
        name for name in ("call", "forward", "backward") if getattr(cls, name, None) is not getattr(Model, name, None)
    ]
    if own or issubclass(cls, Model.of_graph):
        raise TypeError(
            f"{cls.__name__}: inputs, outputs: expected none, for {own[0] if own else cls.__name__} says what it does; "
            "Model(inputs, outputs) makes a model of a graph"
        )

    def from_config(_: Any, config: Any, custom_objects: Any = None) -> Any:
        return cls.from_config(config, custom_objects)

    names = {name: getattr(cls, name) for name in ("__module__", "__qualname__", "__doc__")}
    names |= {"described_as": cls, "from_config": classmethod(from_config)}
    if _has_own_init(cls):  # which draws the graph, and is to do so again
        names["mapped"] = Model.mapped
        if cls.get_config is Model.get_config:
            names["get_config"] = _config_of_arguments
    return type(cls.__name__, (cls, Model.of_graph), names)


def _has_own_init(cls: Any) -> bool:
    return cls.__init__ is not Model.__init__


def _config_of_arguments(self: Any) -> dict[str, Any]:
    """Return the arguments that the model was made with, and the graph if that is among them as it is."""
    graph = [part for value in self._arguments.values() for part in leaves(value) if isinstance(part, Symbol)]
    if not graph:
        return Configurable.get_config(self)
    own = {
        name: value for name, value in self._arguments.items() if not any(isinstance(p, Symbol) for p in leaves(value))
    }
    if [s.key for s in graph] != [s.key for s in (*self.inputs, *self.outputs)]:
        raise TypeError(
            f"{self.name}: is made of other symbols than its class is given, which no configuration tells; define "
            "get_config and from_config"
        )
    arguments = {name: serialize(value, f"{self.name}: {name}") for name, value in own.items() if name != "name"}
    return Model.of_graph.get_config(self) | {"arguments": arguments}


def _described(arguments: Any) -> Any:
    """Return shapes and dtypes of arrays in lists and dicts; what is no array as it is."""

    def described(part: Any) -> Any:
        shape = getattr(part, "shape", None)
        return part if shape is None else {"shape": [n or 1 for n in shape[1:]], "dtype": part.dtype.name}

    return map_leaves(described, arguments)


def _zeros(description: Any) -> Any:
    """Return a row of zeros, or several in a list or dict, of the shapes and dtypes described."""
    if not isinstance(description, (dict, list, tuple)):
        return description
    if isinstance(description, dict) and description.keys() == {"shape", "dtype"}:
        return np.zeros((1, *description["shape"]), description["dtype"])
    if isinstance(description, dict):
        return {name: _zeros(part) for name, part in description.items()}
    return [_zeros(part) for part in description]
