"""State dicts of PyTorch into layers of ours and out of them, by names: for modules with a ``forward`` of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._arguments import path as path_like
from .state_dicts import read, state_dict_in
from .weights import COUNTER, ConversionError, fill, state_of

Array = NDArray[Any]


def from_state_dict(source: Any, names: Mapping[str, Any], key: str | None = None) -> None:
    """Give layers the weights of a state dict of PyTorch: all of them, or none and an error.

    PyTorch need not be there, and nothing in a file is run. The layers' dtype stays theirs.

    Parameters
    ----------
    source : a dict of names and arrays, or the name of a ``.pt``, ``.pth``, ``.bin``, ``.ckpt`` or ``.safetensors``
        file; or a dict, or a file of one, in which the state dict stands beside other things.
    names : for each name of a module in the state dict, our built layer; a list of them for ``num_layers``. The name
        of a module that is the whole is "".
    key : where the state dict stands, as "model_state_dict"; without it, the one entry that is a state dict.

    Raises
    ------
    ValueError
        The state dict has not the names and shapes that the layers need, or others too: all of them are said. Or the
        file is damaged, or older than PyTorch 1.6.
    NotImplementedError
        PyTorch has no module with the weights of a layer.

    Examples
    --------
    >>> import numpy as np
    >>> import lstmcore
    >>> model = lstmcore.Sequential([lstmcore.Input((3,)), lstmcore.layers.Dense(2)])
    >>> state = {"head.weight": np.ones((2, 3), "float32"), "head.bias": np.zeros(2, "float32")}
    >>> lstmcore.from_state_dict(state, {"head": model.layers[0]})
    >>> model.predict(np.ones((1, 3), "float32"), verbose=0)
    array([[3., 3.]], dtype=float32)
    """
    if isinstance(source, Mapping):
        where, state = "source", state_dict_in("source", source, key)
    else:
        where, state = path_like("source", source), read(source, key)
    state = _unwrapped(state, names)
    unused = set(state)
    problems = []
    for prefix, depth, layer in _layers(names):
        for name, expected in _state(prefix, depth, layer).items():
            unused.discard(prefix + name)
            got = state.get(prefix + name)
            if got is None:
                problems.append(f"there is no {prefix}{name}")
            elif got.shape != expected.shape or got.dtype.kind != "f":
                problems.append(
                    f"{prefix}{name}: expected floats of shape {expected.shape}, got {got.dtype} {got.shape}"
                )
        unused.discard(prefix + COUNTER)
    if unused:
        problems.append(f"nothing in names takes {', '.join(sorted(unused))}")
    if problems:
        raise ValueError(f"{where}: {'; '.join(problems)}")
    for prefix, depth, layer in _layers(names):
        own = {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
        fill(layer, own, depth)


def to_state_dict(names: Mapping[str, Any]) -> dict[str, Array]:
    """Return the weights of layers as a state dict of PyTorch, of arrays; `from_state_dict` takes it back.

    Parameters
    ----------
    names : for each name of a module of PyTorch's, our built layer; a list of them for ``num_layers``.

    Returns
    -------
    dict of str to array : new ones; for ``load_state_dict`` as ``{k: torch.from_numpy(v) for k, v in ...}``, or for
        ``safetensors.numpy.save_file``.

    Raises
    ------
    NotImplementedError
        PyTorch has no module with the weights of a layer.

    Examples
    --------
    >>> import lstmcore
    >>> model = lstmcore.Sequential([lstmcore.Input((None, 3)), lstmcore.layers.LSTM(4)])
    >>> {name: value.shape for name, value in lstmcore.to_state_dict({"rnn": model.layers[0]}).items()}
    {'rnn.weight_ih_l0': (16, 3), 'rnn.weight_hh_l0': (16, 4), 'rnn.bias_ih_l0': (16,), 'rnn.bias_hh_l0': (16,)}
    """
    state: dict[str, Array] = {}
    for prefix, depth, layer in _layers(names):
        own = _state(prefix, depth, layer)
        state |= {prefix + name: np.array(value, order="C") for name, value in own.items()}
        if "running_mean" in own:
            state[prefix + COUNTER] = np.array(0)
    return state


def _unwrapped(state: dict[str, Array], names: Mapping[str, Any]) -> dict[str, Array]:
    """Return a state dict without what DDP and torch.compile put into its names, unless ``names`` has it too."""

    def without(wrapper: str, shorter: list[str]) -> dict[str, Array]:
        known = any(wrapper in str(name).split(".") for name in names)
        fits = not known and len(set(shorter)) == len(state)
        return dict(zip(shorter, state.values(), strict=True)) if fits else state

    # torch.compile's stands before the names of what it has compiled; that of DDP before all names.
    state = without("_orig_mod", [".".join(p for p in name.split(".") if p != "_orig_mod") for name in state])
    if all(name.startswith("module.") for name in state):
        state = without("module", [name.removeprefix("module.") for name in state])
    return state


def _layers(names: Mapping[str, Any]) -> Iterator[tuple[str, int, Any]]:
    """Each layer with what stands before its names, and which of the layers of its module it is."""
    if not isinstance(names, Mapping):
        raise TypeError(f"names: expected a dict of names and layers, got {type(names).__name__}")
    for name, value in names.items():
        for depth, layer in enumerate(value if isinstance(value, Sequence) else [value]):
            yield f"{name}." if name else "", depth, layer


def _state(prefix: str, depth: int, layer: Any) -> dict[str, Array]:
    if not getattr(layer, "built", False):
        raise ValueError(f"names: {prefix.rstrip('.')!r}: expected a layer that has its weights, got {layer!r}")
    try:
        return state_of(layer, depth)
    except ConversionError as reason:
        raise NotImplementedError(f"names: {prefix.rstrip('.')!r}: {reason}") from None
