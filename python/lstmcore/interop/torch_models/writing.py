"""Our models as modules of PyTorch: all of a model, or an error that names everything that cannot be converted."""

from __future__ import annotations

from typing import Any

from ...models import Functional, Sequential


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
        PyTorch's equations, Bidirectional, Dense, Embedding, Conv1D, BatchNormalization, LayerNormalization,
        RMSNormalization, PReLU, Clip, activations, dropout, Flatten, zero padding and pooling, and TimeDistributed
        where it changes nothing.

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
    # PyTorch takes seconds to import, and this module is imported when somebody asks for the function's name.
    from .chains import sequential

    problems: list[str] = []
    module = sequential(model, "", problems)
    if problems:
        raise NotImplementedError(f"model: {'; '.join(problems)}")
    return module.eval()
