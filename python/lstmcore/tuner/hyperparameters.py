"""The hyper-parameters of a model that is being built."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .._arguments import mapping, string
from ..serialization import deserialize, serialize
from .spaces import Boolean, Choice, Fixed, Float, Int, Space


class HyperParameters:
    """Gives a value for each hyper-parameter that a program asks for, and remembers it.

    In a search the values are the tuner's; outside they are the defaults, or what `values` holds:

    >>> from lstmcore.tuner import HyperParameters
    >>> hp = HyperParameters()
    >>> hp.Int("units", 32, 256, step=32), hp.Choice("optimizer", ["adam", "sgd"])
    (32, 'adam')
    >>> hp.values
    {'units': 32, 'optimizer': 'adam'}

    One that was declared before, in the object given to a tuner as ``hyperparameters``, keeps that
    declaration, whatever the program asks for by the same name.

    Attributes
    ----------
    space : what was asked for, in order.
    values : name -> value, of those that are part of the model.
    """

    def __init__(self) -> None:
        self.space: list[Space] = []
        self.values: dict[str, Any] = {}
        self._draw: Callable[[Space], Any] = lambda space: space.default
        self._names: list[str] = []
        self._conditions: list[tuple[str, tuple[Any, ...]]] = []

    # --- the kinds ---

    def Int(  # noqa: N802 - Keras Tuner's name, as are those below
        self,
        name: str,
        min_value: int,
        max_value: int,
        step: int | None = None,
        sampling: str | None = "linear",
        default: int | None = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        """Return a whole number from ``min_value`` to ``max_value``, both included.

        Parameters
        ----------
        name : by which the same is meant wherever it is asked for.
        min_value, max_value : the range.
        step : the distance between values; with logarithmic sampling, their ratio.
        sampling : "linear"; "log" for values whose logarithm is uniform; "reverse_log" for more of
            the large ones.
        default : the value outside a search, ``min_value`` if None.
        parent_name, parent_values : as in `conditional_scope`.
        """
        with self._below(parent_name, parent_values):
            return self._value(
                Int(self._full(name), min_value, max_value, step, sampling, default, tuple(self._conditions))
            )

    def Float(  # noqa: N802
        self,
        name: str,
        min_value: float,
        max_value: float,
        step: float | None = None,
        sampling: str | None = "linear",
        default: float | None = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        """Return a number from ``min_value`` to ``max_value``; the arguments are those of `Int`."""
        with self._below(parent_name, parent_values):
            return self._value(
                Float(self._full(name), min_value, max_value, step, sampling, default, tuple(self._conditions))
            )

    def Choice(  # noqa: N802
        self,
        name: str,
        values: Sequence[Any],
        ordered: bool | None = None,
        default: Any = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        """Return one of ``values``: numbers, strings or bools, all of one type. ``ordered`` has no effect."""
        with self._below(parent_name, parent_values):
            return self._value(Choice(self._full(name), values, ordered, default, tuple(self._conditions)))

    def Boolean(  # noqa: N802
        self, name: str, default: bool = False, parent_name: str | None = None, parent_values: Any = None
    ) -> Any:
        """Return True or False."""
        with self._below(parent_name, parent_values):
            return self._value(Boolean(self._full(name), default, tuple(self._conditions)))

    def Fixed(  # noqa: N802
        self, name: str, value: Any, parent_name: str | None = None, parent_values: Any = None
    ) -> Any:
        """Return ``value``; declared beforehand, it keeps a hyper-parameter from being searched."""
        with self._below(parent_name, parent_values):
            return self._value(Fixed(self._full(name), value, tuple(self._conditions)))

    # --- names and conditions ---

    @contextlib.contextmanager
    def name_scope(self, name: str) -> Iterator[None]:
        """Within the ``with`` block, "name/" stands before the names."""
        self._names.append(string("name", name))
        try:
            yield
        finally:
            self._names.pop()

    @contextlib.contextmanager
    def conditional_scope(self, parent_name: str, parent_values: Any) -> Iterator[None]:
        """Within the ``with`` block, hyper-parameters exist if that of ``parent_name`` has one of the values.

        Otherwise asking for one returns None.
        """
        parent = self._full(parent_name)
        if all(space.name != parent for space in self.space) and parent not in self.values:
            raise ValueError(f"parent_name: expected one asked for before, got {parent!r}")
        values = parent_values if isinstance(parent_values, (list, tuple)) else [parent_values]
        self._conditions.append((parent, tuple(values)))
        try:
            yield
        finally:
            self._conditions.pop()

    def _below(self, parent: str | None, values: Any) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if parent is None else self.conditional_scope(parent, values)

    def _full(self, name: str) -> str:
        return "/".join([*self._names, string("name", name)])

    # --- values ---

    def _value(self, space: Space) -> Any:
        known = next((s for s in self.space if s.key == space.key), None)
        if known is None:
            self.space.append(space)
        return self._of(known or space)

    def _of(self, space: Space) -> Any:
        if any(self.values.get(parent) not in values for parent, values in space.conditions):
            return None
        if space.name not in self.values:
            self.values[space.name] = self._draw(space)
        return self.values[space.name]

    def get(self, name: str) -> Any:
        """Return the value of the hyper-parameter of that name."""
        name = self._full(name)
        if name not in self.values:
            declared = [space for space in self.space if space.name == name]
            if not declared:
                raise KeyError(f"name: expected one of {[space.name for space in self.space]}, got {name!r}")
            for space in declared:
                self._of(space)
            if name not in self.values:
                raise ValueError(f"name: {name!r} is no part of this model: {declared[0].key}")
        return self.values[name]

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    def __contains__(self, name: str) -> bool:
        try:
            self.get(name)
        except (KeyError, ValueError):
            return False
        return True

    def copy(self) -> HyperParameters:
        """Return an equal object that gives defaults from here on."""
        other = HyperParameters()
        other.space, other.values = list(self.space), dict(self.values)
        return other

    def drawing(self, draw: Callable[[Space], Any]) -> HyperParameters:
        """Return an object with the same declarations whose values are those that ``draw`` gives."""
        other = HyperParameters()
        other.space, other._draw = list(self.space), draw
        return other

    def get_config(self) -> dict[str, Any]:
        """Return declarations and values as plain data."""
        return {"space": serialize(self.space), "values": dict(self.values)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> HyperParameters:
        """Return the object that `get_config` described."""
        config = mapping("HyperParameters: config", config)
        for name in ("space", "values"):
            if name not in config:
                raise ValueError(f"HyperParameters: config: expected space and values, got no {name}")
        hp = cls()
        hp.space, hp.values = deserialize(list(config["space"])), dict(config["values"])
        return hp

    def __repr__(self) -> str:
        return f"<HyperParameters {self.values}>"
