"""What a module of PyTorch's takes, as far as those in it say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .flow import FIRST, INDICES, LAST, TIME, VECTORS

_CHANNELS_FIRST = {
    *("Conv1d", "ZeroPad1d", "ConstantPad1d", "Dropout1d"),
    *("MaxPool1d", "AvgPool1d", "AdaptiveMaxPool1d", "AdaptiveAvgPool1d"),
}
_WIDTHS = {
    "Linear": "in_features",
    "Conv1d": "in_channels",
    "BatchNorm1d": "num_features",
    **dict.fromkeys(("LSTM", "GRU", "RNN"), "input_size"),
}


def beginning(module: Any, given: Sequence[int | None] | None) -> tuple[str, str, tuple[int | None, ...]]:
    """Return the layout of PyTorch's inputs, that of sequences made of indices, and the shape of an input of ours.

    Parameters
    ----------
    module : whose parts are asked one after the other.
    given : the shape, as the user has it.
    """
    demanded = width = None
    indices = False
    for part in _leaves(module):
        kind = type(part).__name__
        if kind == "Flatten":
            break
        if demanded is None:
            demanded = _demanded(part, kind, given is not None and len(given) == 2)
        if width is None and not indices:
            indices = kind == "Embedding"
            width = _width(part, kind)
    if indices:
        return INDICES, demanded if demanded in (LAST, TIME) else LAST, _agreed(given, (None,))
    if given is None and width is None:
        raise ValueError(
            "input_shape: expected the shape of an input, since no module before the first Flatten says how wide it is"
        )
    if demanded is None and (given is None or len(given) < 2):
        return VECTORS, LAST, _agreed(given, (width,))
    return demanded or LAST, LAST, _agreed(given, (None, width))


def dtype_of(module: Any) -> str:
    """Return the one dtype of a module's weights."""
    values = [v for v in module.state_dict().values() if v.is_floating_point() or v.is_complex()]
    floats = {str(value.dtype).removeprefix("torch.") for value in values}
    if len(floats) > 1 or not floats <= {"float32", "float64"}:
        raise NotImplementedError(f"module: weights of {', '.join(sorted(floats))}: expected float32 or float64 only")
    return floats.pop() if floats else "float32"


def _leaves(module: Any) -> Iterator[Any]:
    """The modules in one in their order, none of them an ``nn.Sequential``."""
    kind = type(module).__name__
    if kind != "Sequential":
        yield module.rnn if kind == "Outputs" else module
    if kind in ("Sequential", "ChannelsFirst"):
        for part in module._modules.values():
            yield from _leaves(part)


def _demanded(part: Any, kind: str, sequences: bool) -> str | None:
    if kind in _CHANNELS_FIRST or (kind == "BatchNorm1d" and sequences):
        return FIRST
    if kind in ("LSTM", "GRU", "RNN"):
        return LAST if part.batch_first else TIME
    return LAST if kind == "ChannelsFirst" else None


def _width(part: Any, kind: str) -> int | None:
    if kind in ("LayerNorm", "RMSNorm"):
        return int(part.normalized_shape[-1])
    return int(getattr(part, _WIDTHS[kind])) if kind in _WIDTHS else None


def _agreed(given: Sequence[int | None] | None, own: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """Return the shape that the user gives, if it does not contradict what the modules say."""
    if given is None:
        return own
    shape = tuple(given)
    if len(shape) != len(own) or any(None not in (a, b) and a != b for a, b in zip(shape, own, strict=True)):
        raise ValueError(f"input_shape: expected {own}, with any number for None, got {shape}")
    return shape
