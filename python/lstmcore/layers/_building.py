"""How layers get their weights: once, whole or not at all, whoever asks first."""

from __future__ import annotations

import functools
import inspect
import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from .._arguments import ArgumentTypeError, shown
from .._ours import is_ours
from .._tree import map_shapes

# Held while weights are made or moved, so that threads which use a new model at once build it once.
building = threading.RLock()
if hasattr(os, "register_at_fork"):  # a child has none of the threads that may hold it
    os.register_at_fork(before=building.acquire, after_in_parent=building.release, after_in_child=building.release)


def built_once(build: Callable[..., None]) -> Callable[..., None]:
    """Return ``build`` such that it does nothing the second time and leaves nothing behind if it fails."""

    @functools.wraps(build)
    def once(self: Any, *shape: Any, **by_name: Any) -> None:
        with building:
            if self.built:
                return
            given = [*shape, *by_name.values()]
            input_shape: Any = given[0] if given else None
            if given and not _is_shape(input_shape, self.takes_several or self.may_take_several):
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


def _is_shape(value: Any, several: bool) -> bool:
    """Whether a value is a shape or, where there are several inputs, a list or a dict of shapes."""
    if several and isinstance(value, dict):
        return all(part is None or _is_shape(part, several) for part in value.values())
    if not isinstance(value, (tuple, list)):
        return False
    if several and any(isinstance(part, (tuple, list, dict)) for part in value):
        return all(part is None or _is_shape(part, several) for part in value)
    return all(n is None or (isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n >= 0) for n in value)


def any_batch(shape: Any) -> Any:
    """Return a shape with None for the batch; of several, each of them."""
    return map_shapes(lambda one: (None, *one[1:]), shape)


def refuse_hidden(layer: Any) -> None:
    """Refuse attributes of the user's that hide methods of a layer."""
    for name in vars(layer):
        method = getattr(type(layer), name, None)
        if inspect.isfunction(method) and is_ours(method):
            raise TypeError(
                f"{layer.name}: {name}: expected another name for an attribute, for a layer has a method of that name"
            )
