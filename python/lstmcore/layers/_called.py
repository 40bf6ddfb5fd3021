"""The passes of a class that defines Keras's ``call``: drawn over the layers within it or, without, autograd's."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from .._ours import is_ours
from . import _derived, _traced
from ._derived import is_derived

_APART = ("training", "mask", "lengths")  # arguments of every layer


def take_call(cls: Any, root: Any) -> None:
    """Make passes of ``call``, where a class defines that and no forward; ``root`` is the base of all layers."""
    own = "call" in cls.__dict__
    if not hasattr(cls, "call") or "forward" in cls.__dict__ or (is_derived(cls.forward) and not own):
        return
    if own and cls.passes_are_fixed is not None:
        raise TypeError(f"{cls.__name__}: defines call, {cls.passes_are_fixed}")
    if cls.forward is not cls._undefined_forward and not is_derived(cls.forward):
        # It would never be called, unless the forward that is inherited calls it.
        if own and "call" not in names_within(cls.forward):
            base = next(kind for kind in cls.__mro__ if is_ours(kind))
            raise TypeError(
                f"{cls.__name__}: define forward(inputs, training=False) instead of call, and backward(d_outputs, "
                f"need_d_inputs=True), which may call those of {base.__name__}; or derive it from Layer"
            )
        return
    parameters = inspect.signature(cls.call).parameters
    states = parameters.get("states")
    if states is not None and states.default is states.empty and not cls.is_cell and not cls.is_model:
        raise TypeError(f"{cls.__name__}: make it a layers.Cell, whose call(inputs, states) an RNN runs")
    if "further_masks" in parameters:
        raise TypeError(
            f"{cls.__name__}: call: expected another name for 'further_masks', which has a meaning of its own"
        )
    if "backward" in cls.__dict__:
        raise TypeError(f"{cls.__name__}: define forward instead of call, or no backward: that of a call is derived")
    if cls.is_cell:
        methods = _derived.of_cell(cls)
    elif cls.is_model:
        methods = {
            **_traced.PASSES,
            "is_traced": True,
            "takes_copies": False,
            "takes_none": True,
            "last_activation": None,
        }
        methods["keepers"] = property(_traced.keepers)
    else:
        methods = _of_layer(cls, root)
    if not cls.is_cell:
        methods["__call__"] = _with_arguments_of(cls.call, cls.__name__, root)
    for name, value in methods.items():
        setattr(cls, name, value)


def _of_layer(cls: Any, root: Any) -> dict[str, Any]:
    """Return methods that do as it is drawn if there are layers within, and as autograd says if not."""
    derived = _derived.of_layer(cls)
    methods = {name: value for name, value in derived.items() if not inspect.isfunction(value) or name[:2] == "__"}
    for name, drawn in (*_traced.PASSES.items(), *_traced.OF_LAYERS.items()):
        if name == "compute_output_shape" and name not in derived:
            continue  # the class says it itself
        methods[name] = _either(drawn, derived.get(name, getattr(cls, name)))
    if "compute_output_shape" in derived:
        methods["result_of_call"] = _unless_it_is_said(methods["result_of_call"], cls, root)
    finish, keepers = root._finish_build, root.keepers.fget

    def _finish_build(self: Any, input_shape: Any) -> None:
        if self.is_traced:
            self.built = False  # a build may have said that it is, before the layers within have weights
            _traced.draw_all(self, input_shape)
        finish(self, input_shape)

    methods["_finish_build"] = _finish_build
    methods["keepers"] = property(lambda self: _traced.keepers(self) if self.is_traced else keepers(self))
    methods["is_traced"] = property(lambda self: bool(self.sublayers))
    return methods


def _either(drawn: Callable[..., Any], derived: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(derived)
    def method(self: Any, *arguments: Any, **options: Any) -> Any:
        return (drawn if self.is_traced else derived)(self, *arguments, **options)

    return method


def _unless_it_is_said(result_of_call: Callable[..., Any], cls: Any, root: Any) -> Callable[..., Any]:
    """Return a ``result_of_call`` that leaves it to the ``compute_output_shape`` of a class derived from ``cls``."""

    @functools.wraps(result_of_call)
    def method(self: Any, inputs: Any, options: Any) -> Any:
        owner = next(kind for kind in type(self).__mro__ if "compute_output_shape" in kind.__dict__)
        return (result_of_call if owner is cls else root.result_of_call)(self, inputs, options)

    return method


def _with_arguments_of(call: Any, kind: str, root: Any) -> Any:
    """Return a ``__call__`` with the arguments of ``call``, in their order."""
    signature = inspect.signature(call)
    _, *parameters = signature.parameters.values()
    if not parameters or any(p.kind is p.VAR_POSITIONAL for p in parameters):
        raise TypeError(f"{kind}.call: expected inputs, and further arguments by name; got {signature}")
    itself, first, named = next(iter(signature.parameters)), parameters[0].name, {p.name for p in parameters}
    gather = next((p.name for p in parameters if p.kind is p.VAR_KEYWORD), None)

    @functools.wraps(call)
    def called(self: Any, *arguments: Any, **options: Any) -> Any:
        apart = {name: options.pop(name) for name in _APART if name in options and name not in named}
        bound = dict(signature.bind(self, *arguments, **options).arguments)
        bound |= bound.pop(gather, {}) if gather else {}
        del bound[itself]
        return root.__call__(self, bound.pop(first), **apart, **bound)

    return called


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
