"""What layers keep for the way back, where they are called more than once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_MISSING = object()


class Kept:
    """What is kept of one pass in training.

    A layer keeps what its `backward` needs in attributes of its own, a call overwriting those of the one before. Where
    a layer is called several times, the attributes that any of the calls has set are put by, and back for the way back,
    in the reverse order; those that are no matter of calls, as the states of a stateful layer, are then as they were.
    """

    def __init__(self) -> None:
        self._stack: list[list[tuple[Any, dict[str, Any]]]] = []
        self._attributes: list[tuple[Any, dict[str, Any]]] = []
        self._set: dict[int, set[str]] = {}  # the attributes of each object that any of the calls has set
        self.added: set[int] = set()  # steps that have added to the loss, by identity
        self.activities: dict[int, list[Array]] = {}  # outputs that activity regularizers wait for, by step

    def before(self, layer: Any) -> None:
        """Note what is there before a call."""
        self._attributes = [(part, dict(vars(part))) for part in layer.keepers]

    def after(self, layer: Any) -> None:
        """Put by what a call has set: also in layers that it has made."""
        before = {id(part): was for part, was in self._attributes}
        put_by = []
        for part in layer.keepers:
            was, has = before.get(id(part), {}), dict(vars(part))
            self._set.setdefault(id(part), set()).update(k for k, v in has.items() if was.get(k, _MISSING) is not v)
            put_by.append((part, has))  # all: what this call has left as it was, another may set
        self._stack.append(put_by)
        self._attributes = []

    @contextlib.contextmanager
    def latest(self) -> Iterator[None]:
        """Within, a layer has what the latest of the calls that are not gone back through has kept."""
        put_by = [(part, {k: v for k, v in has.items() if k in self._set[id(part)]}) for part, has in self._stack.pop()]
        now = [{name: vars(part).get(name, _MISSING) for name in names} for part, names in put_by]
        for part, names in put_by:
            vars(part).update(names)
        try:
            yield
        finally:
            for (part, names), latest in zip(put_by, now, strict=True):
                for name, value in names.items():
                    if vars(part).get(name) is value and latest[name] is not _MISSING:
                        vars(part)[name] = latest[name]

    def with_penalty(self, step: Any, d_outputs: list[Array | None]) -> list[Array | None]:
        """Return gradients of a step's outputs with those of the penalty on them."""
        outputs = self.activities.pop(id(step), None)
        if outputs is None:
            return d_outputs
        gradients = [step.layer.activity_regularizer.gradient(part) / max(1, len(part)) for part in outputs]
        return [np.asarray(g if d is None else d + g) for d, g in zip(d_outputs, gradients, strict=True)]
