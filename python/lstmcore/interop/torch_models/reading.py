"""PyTorch's modules as our models: all of a module, or an error that names everything that cannot be converted."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from ... import models
from ..._arguments import shown
from ..._placeholders import placeholders
from .beginnings import beginning, dtype_of
from .flow import FIRST, LAST, Flow
from .readers import READERS
from .weights import ConversionError

_CONTAINERS = ("Sequential", "ChannelsFirst")
# Where the classes are that compute what their names say: PyTorch's, those on our kernels, and those between layouts.
_HOMES = ("torch.nn.modules.", "lstmcore.interop.torch.modules", "lstmcore.interop.torch_models.adapters")


def from_torch(module: Any, input_shape: Sequence[int | None] | None = None) -> models.Sequential:
    """Return a model of ours with the weights of a module of PyTorch, and its outputs.

    Inputs and outputs are (batch, steps, channels) whatever ``batch_first`` says and for ``Conv1d`` too, or
    (batch, channels) where nothing in the module takes sequences. A recurrent module gives its outputs at all steps to
    the next; within `lstmcore.torch.Outputs`, also those of the last step. LSTM and RNN have two biases there and
    their sum here. The dtype is that of the parameters, float32 without any.

    Parameters
    ----------
    module : ``nn.LSTM``, ``GRU``, ``RNN``, ``Linear``, ``Embedding``, ``Conv1d``, ``BatchNorm1d``, ``LayerNorm``,
        ``PReLU``, ``Dropout``, an activation, ``Flatten``, zero padding and pooling over steps, or ``nn.Sequential`` of
        these, nested or not. Of a module with a ``forward`` of its own, put the parts into an ``nn.Sequential``, or
        take the weights only (`from_state_dict`).
    input_shape : of one input here, batch left out; needed where the module does not say it, as before ``Flatten``.

    Raises
    ------
    NotImplementedError
        There are modules, classes derived from one, or options that are not converted: all of them are said.
    ValueError
        Nothing says how wide the inputs are, or the parts do not fit each other.

    Examples
    --------
    >>> import lstmcore
    >>> from torch import nn
    >>> tagger = nn.Sequential(nn.Embedding(50, 8), nn.LSTM(8, 16, bidirectional=True), nn.Linear(32, 5))
    >>> lstmcore.from_torch(tagger).output_shape
    (None, None, 5)
    """
    if not hasattr(module, "_forward_pre_hooks"):
        raise TypeError(f"module: expected a torch.nn.Module, got {shown(module)}")
    without = [name for name, value in module.state_dict(keep_vars=True).items() if _has_no_numbers(value)]
    if without:
        raise ValueError(
            f"module: {', '.join(without)}: no numbers there yet (meta device, or lazy); give it some first"
        )
    problems: list[str] = []
    dtype = dtype_of(module)
    try:
        flow = Flow(*beginning(module, input_shape), dtype)
    except ValueError:  # what is not converted may be the reason, and is said first
        lost = Flow(LAST, LAST, (None,), dtype)
        lost.lose()
        _read(lost, "module", module, problems, set())
        if problems:
            raise NotImplementedError("; ".join(problems)) from None
        raise
    # Ours are no more: what would be drawn for them is not needed, and the random generator stays where it is.
    with placeholders(sum(value.numel() for value in module.state_dict().values())):
        _read(flow, "module", module, problems, set())
    if problems:
        raise NotImplementedError("; ".join(problems))
    return flow.model


def _has_no_numbers(value: Any) -> bool:
    return type(value).__name__.startswith("Uninitialized") or value.is_meta


def _read(flow: Flow, name: str, module: Any, problems: list[str], seen: set[int]) -> None:
    try:
        kind = _kind(module)
        if kind in _CONTAINERS:
            if kind == "ChannelsFirst":
                flow.needs((LAST,))
                flow.becomes(FIRST)
            for key, part in module._modules.items():  # named_children leaves out what is there twice
                _read(flow, f"{name}.{key}", part, problems, seen)
            if kind == "ChannelsFirst":
                flow.needs((FIRST,))
                flow.becomes(LAST)
        else:
            _read_one(flow, name, module, kind, seen)
    except ConversionError as reason:
        problems.append(f"{name}: {type(module).__name__}: {reason}")
        flow.lose()


def _read_one(flow: Flow, name: str, module: Any, kind: str, seen: set[int]) -> None:
    parameters = {id(parameter) for parameter in module.parameters()}
    if parameters & seen:
        text = f"from_torch: {name}: {kind} shares parameters with a module before it; here each has its own"
        warnings.warn(text, stacklevel=2)
    seen |= parameters
    try:
        READERS[kind](flow, module)
    except ValueError as error:
        raise ValueError(f"{name}: {kind}: {error}") from None


def _kind(module: Any) -> str:
    """Return the name of a class whose meaning is known, if nothing of this object's own changes it."""
    kind = type(module).__name__
    if not type(module).__module__.startswith(_HOMES):
        raise ConversionError("no module of torch.nn's own; convert those in it one by one, or use from_state_dict")
    if module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module):
        raise ConversionError("has hooks or a forward of its own, whose work would be lost")
    if kind == "Outputs":
        _kind(module.rnn)
    if kind not in _CONTAINERS and kind not in READERS:
        raise ConversionError("cannot be converted")
    return kind
