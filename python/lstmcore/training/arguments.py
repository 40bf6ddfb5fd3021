"""Arguments of compile, fit, evaluate and predict, checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .._arguments import items, not_within_itself, positive_integer
from ..callbacks import Callback, CallbackList


def for_one_output(name: str, value: Any) -> Any:
    """Return what `compile` was given for the one output, which may stand in a list or a dict."""
    not_within_itself(name, value)
    if _is_dict(value):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        if len(value) != 1:
            raise ValueError(f"{name}: expected one, for there is one output; got {len(value)}")
        return for_one_output(name, value[0])
    return value


def for_outputs(name: str, value: Any, outputs: list[str], needed: bool = False) -> list[Any]:
    """Return what `compile` was given for each of several outputs.

    Parameters
    ----------
    name : of the argument, for errors.
    value : a list in the order of the outputs, or a dict by their names.
    outputs : the names.
    needed : whether a dict must have them all.
    """
    not_within_itself(name, value)
    said = ", ".join(outputs)
    if _is_dict(value):
        unknown = [str(key) for key in value if key not in outputs]
        if unknown:
            raise ValueError(f"{name}: expected names of outputs, {said}; got {', '.join(unknown)}")
        missing = [key for key in outputs if key not in value]
        if needed and missing:
            raise ValueError(
                f"{name}: expected one for each output, {said}; there is none for {', '.join(missing)} (None says that "
                "an output has none)"
            )
        return [value.get(key) for key in outputs]
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{name}: expected a list for the {len(outputs)} outputs, {said}, or a dict; got {value!r}")
    if len(value) != len(outputs):
        raise ValueError(f"{name}: expected {len(outputs)}, one for each output, {said}; got {len(value)}")
    return list(value)


def metrics_of_output(name: str, value: Any) -> list[Any]:
    """Return the list of metrics of an output, from a list that may have lists within, or one identifier."""
    nested = isinstance(value, (list, tuple)) or _is_dict(value)
    return [] if value is None else metrics_for_one_output(name, value) if nested else [value]


def metrics_for_one_output(name: str, value: Any) -> list[Any]:
    """Return a list of metrics, which may stand in a list or a dict for the one output."""
    if value is None:
        return []
    not_within_itself(name, value)
    if not isinstance(value, (list, tuple)) and not _is_dict(value):
        raise ValueError(f"{name}: expected a list, got {value!r}")
    parts = value.values() if isinstance(value, dict) else value
    return [metric for part in parts for metric in ([part] if part is None else metrics_of_output(name, part))]


def _is_dict(value: Any) -> bool:
    """Whether it is a dict by outputs, and not the configuration of an object."""
    return isinstance(value, dict) and "class_name" not in value


def steps_or_none(name: str, value: Any) -> int | None:
    """Return a number of steps or rows, from 1 on, or None."""
    return None if value is None else _positive(name, value)


def _positive(name: str, value: Any) -> int:
    try:
        return positive_integer(name, value)
    except TypeError as error:  # for Keras a wrong value, as any other
        raise ValueError(str(error)) from None


def check_verbose(verbose: Any) -> None:
    """Refuse what does not say how much to show."""
    if isinstance(verbose, np.ndarray) or verbose not in (0, 1, 2, "auto"):
        raise ValueError(f"verbose: expected 0, 1, 2 or 'auto', got {verbose!r}")


def callback_list(callbacks: Iterable[Callback] | Callback | None) -> list[Callback]:
    """Return the callbacks that were given."""
    if isinstance(callbacks, CallbackList):
        return callbacks.callbacks
    if callbacks is None or isinstance(callbacks, Callback):
        return [] if callbacks is None else [callbacks]
    return items("callbacks", callbacks, "Callback objects")


def frequency(value: Any) -> Callable[[int], bool]:
    """Return whether to validate in an epoch, counted from 1."""
    if isinstance(value, (list, tuple, set, range)):
        epochs = {_positive("validation_freq", epoch) for epoch in value}
        return lambda epoch: epoch in epochs
    every = _positive("validation_freq", value)
    return lambda epoch: epoch % every == 0
