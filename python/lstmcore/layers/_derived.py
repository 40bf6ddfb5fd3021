"""The passes of classes that define Keras's `call`: forward is the call, and backward is autograd's way back."""

from __future__ import annotations

import contextlib
import inspect
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._autograd import pullback
from .._tree import leaves, like, map_leaves, map_shapes, shapes
from ..graph import penalties
from ..graph.symbol import given as given_symbol
from ..variables import Variable
from ._metrics import undisturbed

Array = NDArray[Any]

# For (batch, steps, ...) where they are not known: what differs between two trials depends on them. Sizes that can be
# halved, or cut into three or four, as reshaping needs them.
_TRIALS = ((2, 12), (3, 24))

_OF_VARIABLES = ("value", "assign", "assign_add", "assign_sub", "numpy", "gradient")


class _Local(threading.local):
    weights: dict[int, Any] | None = None  # what stands for the variables within a call, by identity
    losses: list[Any] | None = None  # what a call in training adds to the loss


_local = _Local()


class _Kept(NamedTuple):
    """What a call in training keeps.

    Attributes
    ----------
    back : from the gradients of the outputs to those of arguments and weights.
    shapes : of the outputs.
    floats : the arguments, with True in the place of each array that has a gradient.
    variables : the weights.
    losses : how many of the outputs are what it added to the loss.
    """

    back: Any
    shapes: list[tuple[int, ...]]
    floats: Any
    variables: list[Variable]
    losses: int


def collected() -> list[Any] | None:
    """Return the list of what the call under way adds to the loss, whose gradient is derived too; None without one."""
    return _local.losses


# --- the call ---


def _read(self: Any, name: str) -> Any:
    """Return an attribute; within a call, what stands for a variable, also in a list or a dict."""
    value = object.__getattribute__(self, name)
    weights = _local.weights
    if weights is None or name in ("__dict__", "variables", "_arguments"):
        return value
    if isinstance(value, Variable):
        return weights.get(id(value), value)
    if isinstance(value, (list, tuple, dict)):
        parts = value.values() if isinstance(value, dict) else value
        if any(isinstance(part, Variable) for part in parts):
            return map_leaves(lambda part: weights.get(id(part), part), value)
    return value


@contextlib.contextmanager
def _within(variables: list[Variable], values: list[Any]) -> Iterator[None]:
    """Let values stand for variables, in this thread."""
    before, _local.weights = _local.weights, dict(zip(map(id, variables), values, strict=True))
    try:
        yield
    except AttributeError as error:
        if error.name in _OF_VARIABLES and type(error.obj).__name__ in ("ndarray", "ArrayBox"):
            raise AttributeError(f"{error}: within call, a weight that is trained is an array itself") from error
        raise
    finally:
        _local.weights = before


def _moving(layer: Any) -> list[Variable]:
    return [variable for variable in layer.variables if variable.trainable]


def _plain(layer: Any, call: Callable[..., Any], given: tuple[Any, Any]) -> Any:
    """Return what a call does, as arrays: floating-point numbers in the layer's dtype."""
    variables = _moving(layer)
    with _within(variables, [variable.value for variable in variables]):
        outputs = call(*given)
    return map_leaves(lambda part: _array(layer, part), outputs)


def _array(layer: Any, part: Any) -> Array:
    array = np.asarray(part)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{layer.name}: call: expected to return arrays of numbers, got {array.dtype}")
    # Integers stay what they are, of which floats have not all; the states of a cell are floats.
    dtype = layer.dtype if array.dtype.kind == "f" or layer.is_cell else array.dtype
    return array.astype(dtype, copy=not array.flags.writeable)  # a weight, or what is its own, may be read-only


def _traced(layer: Any, call: Callable[..., Any], given: tuple[Any, Any]) -> tuple[Any, _Kept]:
    """Return what a call does, and what the way back needs."""
    variables = _moving(layer)
    floats = map_leaves(_is_float, given)
    own = [part for part in leaves(given) if _is_float(part)]
    structure: Any = None
    added = 0

    def run(arrays: list[Any]) -> list[Any]:
        nonlocal structure, added
        at = iter(arrays)
        arguments = map_leaves(lambda part: next(at) if _is_float(part) else part, given)
        before, _local.losses = _local.losses, []
        try:
            with _within(variables, list(at)):
                outputs = call(*arguments)
            losses = _local.losses
        finally:
            _local.losses = before
        structure, added = map_leaves(lambda _: None, outputs), len(losses)
        return [*leaves(outputs), *losses]

    results, back = pullback(run, [*own, *(variable.place.value for variable in variables)], f"{layer.name}: call")
    at = iter(results)
    outputs = map_leaves(lambda _: _array(layer, next(at)), structure)
    for value in at:
        if np.ndim(value):
            raise ValueError(f"{layer.name}: add_loss: expected a number, got an array of shape {np.shape(value)}")
        penalties.add(float(value))
    return outputs, _Kept(back, [np.shape(part) for part in results], floats, variables, added)


def _is_float(part: Any) -> bool:
    return isinstance(part, np.ndarray) and part.dtype.kind == "f"


def _way_back(layer: Any, kept: _Kept, d_outputs: list[Any]) -> Any:
    """Add to the gradients of the weights; return those of the arguments, None for what has none."""
    count = len(kept.shapes) - kept.losses
    if len(d_outputs) != count:
        raise ValueError(f"{layer.name}: d_outputs: expected {count} arrays, got {len(d_outputs)}")
    d_outputs = [*d_outputs, *[np.ones((), layer.dtype)] * kept.losses]
    for d, shape in zip(d_outputs, kept.shapes, strict=True):
        if d is not None and np.shape(d) != shape:
            raise ValueError(f"{layer.name}: d_outputs: expected shape {shape}, got {np.shape(d)}")
    at = iter(kept.back(d_outputs))
    gradients = map_leaves(lambda has_one: next(at) if has_one else None, kept.floats)
    for variable, gradient in zip(kept.variables, at, strict=True):
        variable.gradient += gradient
    return gradients


def _refuse_layers_within(cell: Any) -> None:
    """Refuse a cell whose call goes through layers, whose passes are not autograd's."""
    if cell.sublayers:
        names = ", ".join(inner.name for inner in cell.sublayers)
        raise NotImplementedError(
            f"{cell.name}: call: expected a cell without layers within, got one with {names}; define forward and "
            "backward"
        )


# --- of layers ---


def of_layer(cls: Any) -> dict[str, Any]:
    """Return the methods of a layer whose class defines ``call``."""
    parameters = inspect.signature(cls.call).parameters
    tells_training = _takes("training", parameters)

    def forward(self: Any, inputs: Any, training: bool = False, **options: Any) -> Any:
        told = {"training": training} if tells_training else {}

        def call(own: Any, further: dict[str, Any]) -> Any:
            return self.call(own, **further, **told)

        if not training:
            return _plain(self, call, (inputs, options))
        outputs, self._cache = _traced(self, call, (inputs, options))
        return outputs

    methods = {
        "forward": _like_call(forward, parameters),
        "backward": _backward,
        "backward_of_call": _backward_of_call,
        "may_take_several": True,
        "takes_integers": True,
        "takes_none": True,
        "_second": _second(parameters),
        "__getattribute__": _read,
    }
    owner = next(kind for kind in cls.__mro__ if "compute_output_shape" in kind.__dict__)
    if "_undefined_forward" in owner.__dict__:  # the base, which says the shape of the inputs
        methods["compute_output_shape"] = inferred_shape
        methods["result_of_call"] = tried
    return methods


def _second(parameters: Any) -> str:
    """Return what ``call`` takes second, behind the inputs."""
    by_position = [p.name for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    return by_position[2] if len(by_position) > 2 else "training"


def _takes(name: str, parameters: Any) -> bool:
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _like_call(forward: Any, parameters: Any) -> Any:
    """Return a ``forward`` that says it takes what ``call`` does: by that it is known whether it takes a mask."""
    told = inspect.Parameter("training", inspect.Parameter.KEYWORD_ONLY, default=False)
    own = [p for p in parameters.values() if p.kind is not p.VAR_KEYWORD]
    more = [p for p in parameters.values() if p.kind is p.VAR_KEYWORD]
    forward.__signature__ = inspect.Signature([*own, *([] if "training" in parameters else [told]), *more])
    forward.is_call = True
    return forward


def is_derived(forward: Any) -> bool:
    """Whether a ``forward`` is a call."""
    return getattr(forward, "is_call", False)


def _backward(self: Any, d_outputs: Any, need_d_inputs: bool = True) -> Any:
    """Add to the gradients of the variables and return that of the inputs, if needed."""
    return _backward_of_call(self, list(leaves(d_outputs)), need_d_inputs, ())[0]


def _backward_of_call(
    self: Any, d_outputs: list[Any], need_d_inputs: bool, given: Collection[str]
) -> tuple[Any, dict[str, Any]]:
    """Go back through a call in a graph: to the inputs, and to further arguments that are arrays."""
    d_inputs, d_options = _way_back(self, self.kept(), d_outputs)
    return d_inputs if need_d_inputs else None, {name: d_options[name] for name in given if name != "mask"}


def inferred_shape(self: Any, input_shape: Any) -> Any:
    """Return the shape of the outputs for inputs of that shape, by calling the layer on zeros."""
    return tried(self, stand_ins(self, input_shape), {})[0]


def stand_ins(layer: Any, input_shape: Any) -> Any:
    """Return symbols of the layer's dtype for inputs of a shape, or of several."""
    return map_shapes(lambda shape: given_symbol(layer.name, tuple(shape), layer.dtype), input_shape)


def tried(self: Any, inputs: Any, options: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the shape and the dtype of what a call on symbols returns, by calling the layer on zeros like them."""
    input_shape = shapes(inputs)
    self.ensure_built(input_shape)
    further = {name: value for name, value in options.items() if name != "mask"}
    kept = [(v, v.numpy()) for v in self.variables if not v.trainable]
    found = []
    for sizes in _TRIALS:

        def zeros(part: Any, sizes: tuple[int, int] = sizes) -> Any:
            if not hasattr(part, "dtype"):  # an argument that is no array
                return part
            return np.zeros([sizes[min(k, 1)] if n is None else n for k, n in enumerate(part.shape)], part.dtype)

        arrays = map_leaves(zeros, inputs)
        try:
            with np.errstate(all="ignore"), undisturbed(self.keepers):
                found.append(self.forward(arrays, training=False, **map_leaves(zeros, further)))
        except NotImplementedError:
            raise
        except Exception as error:
            raise ValueError(
                f"{self.name}: call: on zeros of shape {shapes(arrays)} it raises {error!r}; for inputs "
                f"of shape {input_shape}, say the shape of the outputs with compute_output_shape, or output_shape="
            ) from error
        finally:
            for variable, value in kept:
                variable.assign(value)
    return _common(*(map_leaves(np.shape, outputs) for outputs in found)), map_leaves(np.result_type, found[0])


def _common(one: Any, other: Any) -> Any:
    """Return a shape, or several in their places, with None where two differ."""
    if isinstance(one, dict):
        return {name: _common(part, other[name]) for name, part in one.items()}
    if isinstance(one, (list, tuple)) and one and not isinstance(one[0], int):
        return like(one, [_common(*parts) for parts in zip(one, other, strict=True)])
    return tuple(n if n == m else None for n, m in zip(one, other, strict=True))


# --- of cells ---


def of_cell(cls: Any) -> dict[str, Any]:
    """Return the methods of a cell whose class defines ``call(inputs, states)``, as Keras has it."""
    parameters = inspect.signature(cls.call).parameters
    tells_training = _takes("training", parameters)

    def forward(self: Any, inputs: Array, states: list[Array], training: bool = False) -> Any:
        _refuse_layers_within(self)
        told = {"training": training} if tells_training else {}

        def call(own: Any, before: list[Any]) -> Any:
            result = self.call(own, before, **told)
            if not isinstance(result, (tuple, list)) or len(result) != 2:
                got = f"{len(result)} values" if isinstance(result, (tuple, list)) else type(result).__name__
                raise ValueError(f"{self.name}: call: expected to return (output, new_states), got {got}")
            output, states = result
            return output, list(states) if isinstance(states, (list, tuple)) else [states]

        if not training:
            return *_plain(self, call, (inputs, states)), None
        (output, new_states), kept = _traced(self, call, (inputs, states))
        return output, new_states, kept

    return {"forward": _like_call(forward, parameters), "backward": _step_back, "__getattribute__": _read}


def _step_back(self: Any, saved: _Kept, d_output: Array, d_states: list[Array]) -> Any:
    """Return the gradients of inputs and prior states."""
    return _way_back(self, saved, [d_output, *d_states])
