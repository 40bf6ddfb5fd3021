"""What was given for each output of a model: losses, metrics, weights, targets."""

from __future__ import annotations

from typing import Any

from .._arguments import not_within_itself, shown
from .._tree import in_places, leaves


def refuse_key(name: str, value: dict[Any, Any], key: str | None) -> None:
    """Refuse a dict for a single input or output that names another."""
    if key is not None and (unknown := [str(one) for one in value if one != key]):
        raise ValueError(f"{name}: expected the name {key!r} in a dict, got {', '.join(map(repr, unknown))}")


def for_one_output(name: str, value: Any, key: str | None = None) -> Any:
    """Return what `compile` was given for the one output, which may stand in a list, or in a dict by its name."""
    not_within_itself(name, value)
    if _is_dict(value):
        refuse_key(name, value, key)
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        if len(value) != 1:
            raise ValueError(f"{name}: expected one, for there is one output; got {len(value)}")
        return for_one_output(name, value[0])
    return value


def for_outputs(name: str, value: Any, outputs: Any) -> list[Any]:
    """Return what was given for each of several outputs, None for those that a dict has not.

    >>> from lstmcore.training.outputs import for_outputs
    >>> for_outputs("loss", {"sign": "bce"}, ["price", "sign"])
    [None, 'bce']

    Parameters
    ----------
    name : of the argument, for errors.
    value : lists and dicts as the outputs are; or a list in the order of the outputs; or a dict by their names.
    outputs : the names, in lists and dicts as the outputs are.
    """
    not_within_itself(name, value)
    names = list(leaves(outputs))
    said = ", ".join(names)
    if isinstance(value, (list, tuple)) or _is_dict(value):
        if (found := in_places(value, outputs)) is not None:
            return found
        if len(value) == len(names) and isinstance(value, (list, tuple)):
            return list(value)
    elif len(names) == 1:
        return [value]
    if _is_dict(value):
        if unknown := [str(key) for key in value if key not in names]:
            raise ValueError(f"{name}: expected names of outputs, {said}; got {', '.join(unknown)}")
        return [value.get(key) for key in names]
    if not isinstance(value, (list, tuple)):
        got = "one array" if hasattr(value, "__array__") else shown(value)
        raise ValueError(f"{name}: expected a list for the {len(names)} outputs, {said}, or a dict; got {got}")
    raise ValueError(f"{name}: expected {len(names)}, one for each output, {said}; got {len(value)}")


def metrics_of_output(name: str, value: Any) -> list[Any]:
    """Return the list of metrics of an output, from a list that may have lists within, or one identifier."""
    nested = isinstance(value, (list, tuple)) or _is_dict(value)
    return [] if value is None else metrics_for_one_output(name, value) if nested else [value]


def metrics_for_one_output(name: str, value: Any, key: str | None = None) -> list[Any]:
    """Return a list of metrics, which may stand in a list or a dict for the one output."""
    if value is None:
        return []
    not_within_itself(name, value)
    if not isinstance(value, (list, tuple)) and not _is_dict(value):
        raise ValueError(f"{name}: expected a list, got {value!r}")
    if isinstance(value, dict):
        refuse_key(name, value, key)
    parts = value.values() if isinstance(value, dict) else value
    return [metric for part in parts for metric in ([part] if part is None else metrics_of_output(name, part))]


def _is_dict(value: Any) -> bool:
    """Whether it is a dict by outputs, and not the configuration of an object."""
    return isinstance(value, dict) and "class_name" not in value
