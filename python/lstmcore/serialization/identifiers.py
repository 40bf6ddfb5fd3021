"""Objects by Keras's identifiers: what the ``get`` functions of the modules have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from .objects import Configurable, deserialize
from .registry import UnknownClassError

C = TypeVar("C", bound=Configurable)


def plain(name: str) -> str:
    """Return a name without case and underscores: Keras spells "GlorotUniform" also "glorot_uniform"."""
    return name.replace("_", "").lower()


def resolve(argument: str, identifier: Any, kind: type[C], known: Mapping[str, type[C]]) -> C:
    """Return the object that a name, a class, a description or the object itself stands for.

    Parameters
    ----------
    argument : what the errors call it.
    identifier : a name, as Keras spells it or of a class registered by the user; a dict
        {"class_name", "config"}; a class; or an object, which is returned as it is.
    kind : what the object must be.
    known : the classes by their names.

    Raises
    ------
    ValueError
        There is none of that name; or it is, or describes, something else.
    """
    if isinstance(identifier, kind):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, kind):
        return identifier()
    if isinstance(identifier, str):
        identifier = {"class_name": identifier, "config": {}}
    if isinstance(identifier, dict) and isinstance(identifier.get("class_name"), str):
        found = _described(argument, identifier, known)
        if isinstance(found, kind):
            return found
        raise ValueError(f"{argument}: expected an object of the kind {kind.__name__}, got {found!r}")
    raise ValueError(
        f"{argument}: expected a name (such as {next(iter(known))!r}), a dict with class_name and config, or an "
        f"object of the kind {kind.__name__}, got {identifier!r}"
    )


def _described(argument: str, data: Mapping[str, Any], known: Mapping[str, type[Configurable]]) -> Any:
    name, config = data["class_name"], data.get("config", {})
    if str(data.get("module") or "keras").partition(".")[0] in ("keras", "lstmcore"):
        cls = {plain(k): v for k, v in known.items()}.get(plain(name))
        if cls is not None:
            return cls.from_config(config)
    try:
        return deserialize({"module": data.get("module"), "class_name": name, "config": config})
    except UnknownClassError:
        raise ValueError(f"{argument}: expected one of {', '.join(known)}, got {name!r}") from None
