"""Which classes and functions descriptions can name: ours, those registered, those of a ``with`` block."""

from __future__ import annotations

import contextlib
import importlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

from .._arguments import mapping

# Where what a description names may have to be imported first. Nothing else that data names ever is.
OURS = frozenset(
    f"lstmcore.{name}"
    for name in (
        "activations",
        "constraints",
        "initializers",
        "layers",
        "losses",
        "metrics",
        "models",
        "optimizers",
        "regularizers",
        "tuner",
    )
)

# (module, class name) -> class: ours, and those registered by name (module "").
_classes: dict[tuple[str, str], Any] = {}
_functions: dict[str, Callable[..., Any]] = {}

# While it holds a dict: what is described that only the user knows.
_collected: ContextVar[dict[str, Any] | None] = ContextVar("collected", default=None)
_scope: ContextVar[Mapping[str, Any]] = ContextVar("custom_objects", default={})  # noqa: B039 - never written to


class UnknownClassError(ValueError):
    """A description is of a class that nobody has named."""


def add_ours(cls: type) -> None:
    """Make a class of the library known, by its name in its package."""
    _classes[_package(cls), cls.__name__] = cls


def add_class(name: str, cls: type) -> None:
    """Make a class of the user's known by a name."""
    _classes["", name] = cls


def add_function(name: str, function: Callable[..., Any]) -> None:
    """Make a function of the user's known by a name."""
    _functions[name] = function


def _package(cls: type) -> str:
    return ".".join(cls.__module__.split(".")[:2])


def class_name(cls: type) -> tuple[str, str]:
    """Return the module and the name by which a class is described; one made of a class of the user's, as that."""
    cls = vars(cls).get("described_as", cls)
    name = next((n for (module, n), known in _classes.items() if known is cls and not module), None)
    if name is not None:
        return "", name
    if _classes.get((_package(cls), cls.__name__)) is cls:
        return _package(cls), cls.__name__
    _collect(cls.__name__, cls)
    return "", cls.__name__


def function_name(function: Any) -> str | None:
    """Return the name by which a function is described; None if it has none, as a lambda."""
    name = next((n for n, known in _functions.items() if known is function), None)
    if name is not None:
        return name
    objects = _collected.get()
    name = str(function.__name__)
    if objects is None:
        return None if name == "<lambda>" else name
    # In a copy, functions of one name, as all lambdas are, are told apart by a number.
    numbered = (name if k == 0 else f"{name} {k}" for k in itertools.count())
    free = next(n for n in numbered if objects.get(n, function) is function)
    objects[free] = function
    return free


def _collect(name: str, value: Any) -> None:
    objects = _collected.get()
    if objects is None:
        return
    if objects.setdefault(name, value) is not value:
        raise TypeError(f"{value!r} cannot be copied beside {objects[name]!r}, which has the same name")


def find_class(module: str, name: str) -> Any:
    """Return the class that a description names; None if it is unknown."""
    return _scope.get().get(name) or _known(module, name)


def _known(module: str, name: str) -> Any:
    if (module, name) not in _classes and module in OURS:
        importlib.import_module(module)
    return _classes.get((module, name))


def find_function(name: str) -> Any:
    """Return the function that a description names; None if it is unknown."""
    return _scope.get().get(name) or _functions.get(name)


def is_name_of_ours(name: str) -> bool:
    """Whether a public class of the library has that name, in whatever module."""
    return any(_known(module, name) and name in importlib.import_module(module).__all__ for module in OURS)


@contextlib.contextmanager
def collected_objects() -> Iterator[dict[str, Any]]:
    """Within the ``with`` block, collect the user's classes and functions that `serialize` meets, by name."""
    objects: dict[str, Any] = {}
    token = _collected.set(objects)
    try:
        yield objects
    finally:
        _collected.reset(token)


@contextlib.contextmanager
def custom_object_scope(custom_objects: Mapping[str, Any]) -> Iterator[None]:
    """Within the ``with`` block, `deserialize` knows these classes by these names."""
    token = _scope.set({**_scope.get(), **mapping("custom_objects", custom_objects)})
    try:
        yield
    finally:
        _scope.reset(token)
