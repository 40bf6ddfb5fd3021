"""PyTorch's modules as our models: the whole of a module, or an error that names what cannot be converted."""

from typing import Any

from numpy.typing import NDArray

from .. import layers
from ..models import Sequential
from .torch_weights import recurrent_from_torch

Array = NDArray[Any]
Converted = list[tuple[layers.Layer, list[Array]]]

_ACTIVATIONS = {"ReLU": "relu", "Tanh": "tanh", "Sigmoid": "sigmoid", "SiLU": "silu", "ReLU6": "relu6"}


def from_torch(module: Any) -> Sequential:
    """Return a model of ours with the weights of a module of PyTorch, and its outputs.

    Inputs are (batch, steps, channels) whatever ``batch_first`` says; a recurrent layer gives its outputs at all steps.
    Of LSTM's and RNN's two biases ours is the sum; training goes on with one.

    Parameters
    ----------
    module : ``nn.LSTM``, ``GRU``, ``RNN``, ``Linear``, ``Embedding``, ``LayerNorm``, ``Dropout``, ``Identity``, an
        activation without options, or ``nn.Sequential`` of these, nested or not.

    Raises
    ------
    NotImplementedError : a module, a class derived from one, or an option that we do not convert, by its name.
    ValueError : there is nothing in it that has a width of inputs.
    """
    parts: Converted = []
    widths: list[tuple[int | None, ...]] = []
    kinds = set()
    for name, part in _flat("module", module):
        shape, converted = _converted(name, part)
        parts += converted
        if shape is not None:
            widths.append(shape)
        kinds |= {value.dtype.name for _, values in converted for value in values}
    if not widths:
        raise ValueError("module: expected at least one Linear, Embedding, LayerNorm or recurrent module")
    if len(kinds) > 1 or not kinds <= {"float32", "float64"}:
        raise NotImplementedError(f"module: parameters of {', '.join(sorted(kinds))}: expected float32 or float64 only")
    chain: list[Any] = [layers.Input(widths[0]), *(layer for layer, _ in parts)]
    model = Sequential(chain)
    model.set_weights([value for _, values in parts for value in values])
    return model


def _flat(name: str, module: Any) -> list[tuple[str, Any]]:
    if (type(module).__module__, type(module).__name__) != ("torch.nn.modules.container", "Sequential"):
        return [(name, module)]
    _refuse_hooks(name, module)
    return [pair for key, part in module.named_children() for pair in _flat(f"{name}.{key}", part)]


def _refuse_hooks(name: str, module: Any) -> None:
    if module._forward_hooks or module._forward_pre_hooks:
        raise NotImplementedError(f"{name}: {type(module).__name__} with hooks, whose work would be lost")


def _converted(name: str, module: Any) -> tuple[tuple[int | None, ...] | None, Converted]:
    """Return the shape of inputs, if the module knows it, and our layers with their weights."""
    kind = type(module).__name__
    if not type(module).__module__.startswith("torch.nn.modules."):
        raise NotImplementedError(f"{name}: {kind} is no module of torch.nn's own; convert those in it one by one")
    _refuse_hooks(name, module)
    layer: layers.Layer
    state = {key: value.detach().cpu().numpy() for key, value in module.state_dict().items()}
    dtype = next((value.dtype.name for value in state.values()), "float32")
    if kind in ("LSTM", "GRU", "RNN"):
        return (None, module.input_size), _recurrent(name, module, kind, state, dtype)
    if kind == "Linear":
        layer = layers.Dense(module.out_features, use_bias=module.bias is not None, dtype=dtype)
        return (module.in_features,), [(layer, [state["weight"].T, *([state["bias"]] if "bias" in state else [])])]
    if kind == "Embedding":
        if module.max_norm is not None or module.scale_grad_by_freq:
            raise NotImplementedError(f"{name}: Embedding with max_norm or scale_grad_by_freq")
        layer = layers.Embedding(module.num_embeddings, module.embedding_dim, dtype=dtype)
        return (None,), [(layer, [state["weight"]])]
    if kind == "LayerNorm":
        if len(module.normalized_shape) != 1:
            raise NotImplementedError(f"{name}: LayerNorm over more than the last axis")
        layer = layers.LayerNormalization(
            epsilon=module.eps, center="bias" in state, scale="weight" in state, dtype=dtype
        )
        return (module.normalized_shape[0],), [(layer, list(state.values()))]
    if kind == "Dropout":
        return None, [(layers.Dropout(module.p), [])]
    if kind == "Identity":
        return None, []
    if kind in _ACTIVATIONS:
        return None, [(layers.Activation(_ACTIVATIONS[kind]), [])]
    raise NotImplementedError(f"{name}: {kind} cannot be converted")


def _recurrent(name: str, module: Any, kind: str, state: dict[str, Array], dtype: str) -> Converted:
    if module.proj_size:
        raise NotImplementedError(f"{name}: {kind} with proj_size={module.proj_size}")
    options: dict[str, Any] = {"return_sequences": True, "use_bias": module.bias, "dtype": dtype}
    if kind == "RNN":
        options["activation"] = module.nonlinearity
    ours = {"LSTM": layers.LSTM, "GRU": layers.GRU, "RNN": layers.SimpleRNN}[kind]
    parts: Converted = []
    for depth in range(module.num_layers):
        layer: Any = ours(module.hidden_size, **options)
        weights = recurrent_from_torch(kind, state, f"_l{depth}")
        if module.bidirectional:
            layer = layers.Bidirectional(layer, dtype=dtype)
            weights += recurrent_from_torch(kind, state, f"_l{depth}_reverse")
        parts.append((layer, weights))
        if module.dropout and depth < module.num_layers - 1:
            parts.append((layers.Dropout(module.dropout, dtype=dtype), []))
    return parts
