"""What is done to the classes that are derived from a layer, and what is refused in them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from .._ours import is_ours
from ._building import built_once
from ._called import take_call
from ._derived import is_derived

_ANY_NUMBER, _ANY_NAME = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD


def adapt(cls: Any, root: Any) -> None:
    """Make the methods that a class defines those of a layer; ``root`` is the base of all layers."""
    take_call(cls, root)
    if "build" in cls.__dict__:
        cls.build = built_once(cls.__dict__["build"])
    if "forward" in cls.__dict__:
        arguments = inspect.signature(cls.forward).parameters
        cls._takes_lengths = "lengths" in arguments
        cls.takes_copies = not is_ours(cls) or is_derived(cls.forward)
        if "consumes_mask" not in cls.__dict__:
            consumed, any_name = cls.consumes_mask, any(p.kind is _ANY_NAME for p in arguments.values())
            cls.consumes_mask = "mask" in arguments or (consumed and any_name)
            base: Any = cls.__mro__[1]
            cls.loses_mask = consumed and not cls.consumes_mask and is_ours(base.forward)
        if list(arguments)[2:3] == ["mask"]:
            cls._second = "mask"
    if not is_ours(cls):
        _follow_own_passes(cls, root)
    elif "backward" in cls.__dict__:
        cls.backward = _checked(cls.__dict__["backward"])
    cls.computes_mask = cls.compute_mask is not root.compute_mask
    for method, argument in cls._optional_arguments.items():
        if method in cls.__dict__:
            setattr(cls, method, _taking(argument, cls.__dict__[method]))


def _follow_own_passes(cls: Any, root: Any) -> None:
    """See to it that passes that a class of the user's defines are not gone around."""
    base: Any = next(kind for kind in cls.__mro__ if is_ours(kind))
    names = ("forward", "backward", "compute_mask", "forward_with_mask")
    own = [name for name in names if getattr(cls, name) is not getattr(base, name)]  # also what a mixin has
    if own and cls.passes_are_fixed is not None:
        raise TypeError(f"{cls.__name__}: defines {', '.join(own)}, {cls.passes_are_fixed}")
    if "forward" in own and cls.stream is base.stream and not cls.is_model:  # one knows itself what it does
        cls.stream = root.stream
    if "forward" in own and not any("steps_apart" in vars(kind) for kind in cls.__mro__ if not is_ours(kind)):
        cls.steps_apart = False
    for name in ("forward", "backward"):
        if name in own:
            parameters = inspect.signature(getattr(cls, name)).parameters
            takes_logits = "logits" in parameters or any(p.kind is _ANY_NAME for p in parameters.values())
            if is_derived(getattr(cls, name)) or not takes_logits:  # in a ``call``, that is an argument of its own
                cls.last_activation = None


def _checked(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Return a ``backward`` that refuses gradients of outputs that do not fit what a call has returned."""

    @functools.wraps(backward)
    def checked(self: Any, *arguments: Any, **options: Any) -> Any:
        if self.last_returned is not None:
            (shape, dtype, cache), self.last_returned = self.last_returned, None
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
