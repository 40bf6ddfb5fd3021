"""Objects as plain data: what JSON can hold, and back. Nothing in the data is ever executed."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from .._arguments import mapping
from .._ours import is_ours
from .._signatures import Shown, refuse_misspelt, signature_of
from . import registry
from .registry import UnknownClassError, custom_object_scope

C = TypeVar("C", bound="Configurable")
F = TypeVar("F")

_FUNCTION = "function"  # the class name that stands for a function given by its name


class Configurable:
    """Remembers the arguments it was made with, so that it can be described and made again.

    A subclass need not do anything; where an argument is no plain data and no `Configurable`, it
    leaves it out with `not_in_config` or overrides `get_config`.
    """

    not_in_config: tuple[str, ...] = ()
    _arguments: dict[str, Any]
    __signature__ = Shown()

    def __new__(cls: type[C], *args: Any, **kwargs: Any) -> C:
        """Keep the arguments."""
        self = super().__new__(cls)
        try:
            self._arguments = _arguments(signature_of(cls), args, kwargs)
        except TypeError:  # other errors in the arguments are for __init__ to raise, and copies are made without any
            refuse_misspelt(cls.__name__, inspect.signature(cls), kwargs)
        return self

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.__module__.startswith("lstmcore.") and not cls.__name__.startswith("_"):
            registry.add_ours(cls)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal object, those left out with their defaults, as plain data."""
        config = {}
        for name, value in self._defaults().items():
            with contextlib.suppress(TypeError):  # what cannot be plain data is the default again
                config[name] = serialize(value)
        config |= {k: serialize(v, f"{type(self).__name__}: {k}") for k, v in self._arguments.items()}
        return {k: v for k, v in config.items() if k not in self.not_in_config}

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        """Return the defaults of the arguments, those of bases that they are passed on to included."""
        # A constructor of the user's may give its base some of these itself; a class may also have none.
        if inspect.isfunction(cls.__init__) and not is_ours(cls.__init__):
            return defaults_of(cls.__init__)
        return {name: p.default for name, p in signature_of(cls).parameters.items() if p.default is not p.empty}

    @classmethod
    def from_config(cls: type[C], config: Mapping[str, Any]) -> C:
        """Make an object from what `get_config` returned."""
        config = mapping(f"{cls.__name__}: config", config)
        return cls(**{str(k): deserialize(v) for k, v in config.items()})


def _arguments(signature: inspect.Signature, args: Any, kwargs: Any) -> dict[str, Any]:
    bound = signature.bind(*args, **kwargs)
    result = {}
    for name, value in bound.arguments.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            result.update(value)
        elif not _equal(value, signature.parameters[name].default):  # a default is one, said or not
            result[name] = value
    return result


def _equal(value: Any, other: Any) -> bool:
    plain = type(value) is type(other) and isinstance(value, (bool, int, float, str))
    return value is other or (plain and bool(value == other))


def defaults_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the defaults of the arguments of a function."""
    return {p.name: p.default for p in inspect.signature(function).parameters.values() if p.default is not p.empty}


def serialize(value: Any, where: str = "value") -> Any:
    """Return plain data for a value: numbers, strings, lists, dicts, and a dict for each `Configurable`.

    A function of the user's is given by its name, and `deserialize` has to be told what it is.

    Raises
    ------
    TypeError
        The value is something else, such as a lambda.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Configurable):
        module, name = registry.class_name(type(value))
        return {"module": module, "class_name": name, "config": value.get_config()}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return np.dtype(value).name
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [serialize(v, where) for v in value]
    if isinstance(value, dict):
        return {str(k): serialize(v, where) for k, v in value.items()}
    if hasattr(value, "name") and getattr(value, "serialized_by_name", False):
        return value.name
    if inspect.isfunction(value) and (known_as := registry.function_name(value)) is not None:
        return {"module": "", "class_name": _FUNCTION, "config": {"name": known_as}}
    raise TypeError(f"{where}: {value!r} cannot be saved; name it, or make it a class with get_config")


def deserialize(data: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the value that `serialize` made plain data of.

    Classes are looked up by name among those of lstmcore, those registered with
    `utils.register_keras_serializable`, and ``custom_objects``.

    Raises
    ------
    ValueError
        A class is unknown, or the data is not of that form.
    """
    if custom_objects is not None:
        with custom_object_scope(custom_objects):
            return deserialize(data)
    try:
        return _deserialized(data)
    except RecursionError:
        raise ValueError("config: expected plain data, got lists or dicts that are nested too deeply") from None


def _deserialized(data: Any) -> Any:
    if isinstance(data, list):
        return [deserialize(v) for v in data]
    if isinstance(data, dict) and "class_name" in data and "config" in data:
        name, config, module = str(data["class_name"]), data["config"], str(data.get("module") or "")
        found = registry.find_class(module, name)
        if found is None and _is_keras(module, name):
            raise UnknownClassError(
                f"class_name: {name!r} is described as Keras does, which models.model_from_json reads for whole "
                "models, and models.load_model in their files"
            )
        if not isinstance(config, dict):
            raise ValueError(f"{name}: config: expected a dict, got {config!r}")
        if name == _FUNCTION:
            name = str(config.get("name"))
            return _known(name, registry.find_function(name))
        cls = _known(name, found)
        if not hasattr(cls, "from_config"):
            raise ValueError(f"class_name: {name!r}: expected a class with from_config, got {cls!r}")
        return cls.from_config(config)
    if isinstance(data, dict):
        return {k: deserialize(v) for k, v in data.items()}
    return data


def _is_keras(module: str, name: str) -> bool:
    # Keras 2 gives no modules; what is ours has one.
    ours = name == "Functional" or registry.is_name_of_ours(name)
    return module.partition(".")[0] in ("keras", "tf_keras", "tensorflow") or (not module and ours)


def _known(name: str, value: Any) -> Any:
    if value is None:
        raise UnknownClassError(
            f"class_name: {name!r} is unknown; if it is yours, pass it as custom_objects={{{name!r}: ...}} or "
            "register it with utils.register_keras_serializable"
        )
    return value


def register(package: str = "Custom", name: str | None = None) -> Callable[[F], F]:
    """Return a decorator that makes a class or function known to `deserialize` as "package>name"."""
    for argument, given in (("package", package), ("name", name)):
        if not isinstance(given, str) and not (given is None and argument == "name"):
            raise TypeError(f"register_keras_serializable: {argument}: expected a string, got {given!r}")

    def decorate(value: F) -> F:
        known_as = f"{package}>{name or getattr(value, '__name__', value)}"
        if isinstance(value, type) and issubclass(value, Configurable):
            registry.add_class(known_as, value)
        elif inspect.isfunction(value):
            registry.add_function(known_as, value)
        else:
            raise TypeError(
                f"register_keras_serializable: expected a class of lstmcore's kinds or a function, got {value!r}"
            )
        return value

    return decorate
