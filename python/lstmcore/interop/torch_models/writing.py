"""Our models as modules of PyTorch: the whole of a model, or an error that names everything that cannot be converted."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from ...layers import InputLayer
from ...models import Functional, Sequential
from .weights import Unknown


def to_torch(model: Any) -> Any:
    """Return an ``nn.Sequential`` of PyTorch with the weights of a model, and its outputs.

    It takes and returns what the model does, (batch, steps, channels) or (batch, channels), as tensors; indices as
    integers. Its parts are of ``torch.nn``, and where these return states beside outputs or take the channels first, of
    `lstmcore.torch.Outputs` and `lstmcore.torch.ChannelsFirst` with one within; they have the names of the layers.
    It is in evaluation mode; ``train()`` goes on from there, with PyTorch's dropout. What a model is trained with
    (optimizer, penalties, constraints) stays behind, and so do ``dropout`` and ``recurrent_dropout`` of recurrent
    layers, which PyTorch does not have.

    Parameters
    ----------
    model : a built Sequential or a functional model that is a chain, nested or not, of LSTM, GRU and SimpleRNN with
        PyTorch's equations, Bidirectional, Dense, Embedding, Conv1D, BatchNormalization, LayerNormalization, PReLU,
        activations, dropout, Flatten, zero padding and pooling, and TimeDistributed where it changes nothing.

    Raises
    ------
    NotImplementedError
        There are layers or options that PyTorch's modules do not have: all of them are said.
    ImportError
        PyTorch is not there.

    Examples
    --------
    >>> import lstmcore
    >>> model = lstmcore.Sequential([lstmcore.Input((None, 3)), lstmcore.layers.GRU(4, name="encoder")])
    >>> lstmcore.to_torch(model)
    Sequential(
      (encoder): Outputs(
        return_sequences=False
        (rnn): GRU(3, 4, batch_first=True)
      )
    )
    """
    if not isinstance(model, (Sequential, Functional)):
        raise TypeError(f"model: expected a Sequential or a functional model, got {model!r}")
    if not model.built:
        raise ValueError(f"model: expected one that has its weights; give {model.name} an Input or build() it")
    if find_spec("torch") is None:
        raise ImportError("to_torch needs PyTorch: pip install 'lstmcore[torch]'")
    problems: list[str] = []
    module = _written(model, "", problems)
    if problems:
        raise NotImplementedError(f"model: {'; '.join(problems)}")
    return module.eval()


def _written(model: Any, place: str, problems: list[str]) -> Any:
    from torch import nn

    from .writers import written

    parts: dict[str, Any] = {}
    try:
        for layer, shape in _chain(model):
            try:
                if layer.is_model:
                    made = [("", _written(layer, f"{place}{layer.name}: ", problems))]
                else:
                    made = written(layer, shape)
                for suffix, module in made:
                    parts[_free(nn, parts, layer.name + suffix)] = module
            except Unknown as reason:
                problems.append(f"{place}{layer.name}: {reason}")
    except Unknown as reason:
        problems.append(f"{place}{model.name}: {reason}")
    made_of = nn.Sequential()
    for name, module in parts.items():
        made_of.add_module(name, module)
    return made_of


def _chain(model: Any) -> Iterator[tuple[Any, tuple[int | None, ...]]]:
    """Each layer of a model with the shape of its inputs."""
    drawing = model.drawing
    symbol = drawing.inputs
    if isinstance(symbol, list) and len(symbol) == 1:
        (symbol,) = symbol
    for call in drawing.plan.calls:
        if isinstance(call.layer, InputLayer):
            continue
        if getattr(call.inputs, "key", None) != symbol.key or call.options:
            raise Unknown("no chain of layers, each of which takes what the one before it returns")
        yield call.layer, tuple(call.inputs.shape)
        symbol = call.outputs
    if getattr(drawing.outputs, "key", None) != symbol.key:
        raise Unknown("no chain of layers")


def _free(nn: Any, parts: dict[str, Any], name: str) -> str:
    """Return a name that a submodule may have and no other has."""
    name = name.replace(".", "_")
    while not name or name in parts or hasattr(nn.Sequential(), name):
        name += "_"
    return name
