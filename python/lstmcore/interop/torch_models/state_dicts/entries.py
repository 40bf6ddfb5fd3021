"""Which part of what was saved is the state dict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_NAMED_AT_MOST = 10  # entries in a message


def state_dict_in(where: str, contents: Any, key: str | None = None) -> dict[str, Array]:
    """Return the names and arrays in what a training program saved.

    Parameters
    ----------
    where : what to call it in errors.
    contents : a state dict, or a dict in which it stands beside other things.
    key : under which name; without it, the one entry that is a state dict.

    Examples
    --------
    >>> import numpy as np
    >>> state_dict_in("x.pt", {"epoch": 3, "model": {"head.bias": np.zeros(2)}})
    {'head.bias': array([0., 0.])}
    """
    if key is not None:
        if not isinstance(contents, Mapping) or key not in contents:
            entries = _listed(contents) if isinstance(contents, Mapping) and contents else "no entries"
            raise ValueError(f"key: expected one of {where}: {entries}; got {key!r}")
        where, contents = f"{where}: {key!r}", contents[key]
    if not isinstance(contents, Mapping):
        raise ValueError(f"{where}: expected a dict of names and tensors, found {type(contents).__name__}")
    if _is_state_dict(contents):
        return {name: _array(value) for name, value in contents.items()}
    others = [name for name, value in contents.items() if not isinstance(name, str) or not _is_tensor(value)]
    fitting = [
        name for name, value in contents.items() if isinstance(value, Mapping) and value and _is_state_dict(value)
    ]
    if key is not None or not fitting:
        raise ValueError(f"{where}: expected names and tensors only, found something else under {_listed(others)}")
    if len(fitting) > 1:
        raise ValueError(f"key: {where} has several state dicts: expected one of {_listed(fitting)}, got None")
    return {name: _array(value) for name, value in contents[fitting[0]].items()}


def _is_tensor(value: Any) -> bool:
    return isinstance(value, np.ndarray) or hasattr(value, "detach")


def _is_state_dict(value: Mapping[Any, Any]) -> bool:
    return all(isinstance(name, str) and _is_tensor(entry) for name, entry in value.items())


def _array(value: Any) -> Array:
    if hasattr(value, "detach"):
        tensor = value.detach().cpu()
        return np.asarray(tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor)
    return np.asarray(value)


def _listed(names: Iterable[Any]) -> str:
    every = [repr(name) for name in names]
    more = f" and {len(every) - _NAMED_AT_MOST} more" if len(every) > _NAMED_AT_MOST else ""
    return ", ".join(every[:_NAMED_AT_MOST]) + more
