"""State dicts of PyTorch into layers of ours, by names: for modules whose ``forward`` is the user's own."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import layers
from .state_dicts import read
from .torch_weights import recurrent_from_torch

Array = NDArray[Any]

_RECURRENT = {layers.LSTM: "LSTM", layers.GRU: "GRU", layers.SimpleRNN: "RNN"}
_PLAIN = {
    layers.Dense: ("weight", "bias"),
    layers.Embedding: ("weight",),
    layers.LayerNormalization: ("weight", "bias"),
}


def from_state_dict(source: Any, names: Mapping[str, Any]) -> None:
    """Give layers the weights of a state dict of PyTorch: all of them, or none and an error.

    Parameters
    ----------
    source : a dict of names and arrays, or the name of a ``.pt``, ``.pth`` or ``.safetensors`` file.
    names : for each name of a module in the state dict, our built layer; a list of them for ``num_layers``.

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
    given = source if isinstance(source, Mapping) else read(source)
    state = {
        key: np.asarray(value.detach().cpu() if hasattr(value, "detach") else value) for key, value in given.items()
    }
    weights: list[tuple[layers.Layer, list[Array]]] = []
    used: set[str] = set()
    for name, value in names.items():
        chain = list(value) if isinstance(value, Sequence) else [value]
        own = {key[len(name) + 1 :]: array for key, array in state.items() if key.startswith(f"{name}.")}
        taken: set[str] = set()
        for depth, layer in enumerate(chain):
            weights.append((layer, _weights(name, layer, own, depth, taken)))
        used |= {f"{name}.{key}" for key in taken}
    if left := sorted(state.keys() - used):
        raise ValueError(f"names: nothing takes {', '.join(left)}")
    for layer, values in weights:
        expected, got = [w.shape for w in layer.get_weights()], [w.shape for w in values]
        if expected != got:
            raise ValueError(f"names: {layer!r}: expected weights of shapes {expected}, got {got}")
    for layer, values in weights:
        layer.set_weights(values)


def _weights(name: str, layer: layers.Layer, own: dict[str, Array], depth: int, taken: set[str]) -> list[Array]:
    inner = layer.forward_layer if isinstance(layer, layers.Bidirectional) else layer
    kind = _RECURRENT.get(type(inner))
    options = inner.get_config()
    if kind is None and type(layer) in _PLAIN:
        keys = [key for key in _PLAIN[type(layer)] if key in own]
        taken.update(keys)
        return [own[key].T if isinstance(layer, layers.Dense) else own[key] for key in keys]
    if kind is None or options.get("projection") or options.get("layer_norm") or not options.get("reset_after", True):
        raise NotImplementedError(f"names: {name}: PyTorch has no module with the weights of {layer!r}")
    suffixes = [f"_l{depth}", *([f"_l{depth}_reverse"] if inner is not layer else [])]
    values: list[Array] = []
    for suffix in suffixes:
        try:
            values += recurrent_from_torch(kind, own, suffix)
        except KeyError as error:
            raise ValueError(f"names: {name}: the state dict has no {name}.{error.args[0]}") from None
        taken |= {f"{what}{suffix}" for what in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")} & own.keys()
    return values
