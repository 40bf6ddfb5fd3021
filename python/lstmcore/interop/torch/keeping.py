"""What a module of ours has beside PyTorch's: a way back to it, and packed weights, which are no part of its state."""

from __future__ import annotations

import copy
from typing import Any

import torch

from .weights import Packed


class StandsIn:
    """A module in the place of PyTorch's, the next in the order of its classes."""

    def left_to_torch(self, *given: Any) -> Any:
        """Return what PyTorch's module does; a tracer of torch.fx is not let into that either."""
        above: Any = super()
        if isinstance(given[0], torch.fx.Proxy):
            tracer = given[0].tracer
            arguments = tuple(a for a in given if a is not None)
            return tracer.create_proxy("call_module", tracer.path_of_module(self), arguments, {})
        return above.forward(*given)

    def __prepare_scriptable__(self) -> Any:
        """Return PyTorch's module, with the same parameters: `torch.jit.script` could not read ours."""
        *_, theirs = type(self).__bases__
        if not theirs.__module__.startswith("torch.nn."):  # a subclass of ours, whose code is to be read
            return self
        twin = copy.copy(self)
        twin.__class__ = theirs
        return twin


class KeepsPacked(StandsIn):
    """A module that keeps packed weights from call to call, and forgets them when it is copied."""

    _packed: Packed | None = None

    def packed(self) -> Packed:
        """Return where the packed weights are kept."""
        packed = self._packed
        if packed is None:
            packed = self.__dict__["_packed"] = Packed()
        return packed

    def __getstate__(self) -> Any:
        above: Any = super()
        state = dict(above.__getstate__() if hasattr(above, "__getstate__") else self.__dict__)
        state.pop("_packed", None)
        return state
