"""What a recurrent cell can be told to do otherwise. What follows from it for its weights, the core says."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from . import _core, activations
from ._arguments import flag, number, positive_integer, shown

__all__ = [
    "ACTIVATIONS",
    "ACTIVATION_FIELDS",
    "GRUOptions",
    "LSTMOptions",
    "MinGRUOptions",
    "MinLSTMOptions",
    "RNNOptions",
    "SLSTMOptions",
    "Zoneout",
]

ACTIVATIONS = _core.activations  # those that the core has
ACTIVATION_FIELDS = ("activation", "recurrent_activation", "output_activation")


def _check_activation(owner: object, name: str) -> None:
    """Replace an activation given in any of Keras's ways by its name or, if it has none, its object."""
    try:
        chosen = activations.get(getattr(owner, name))
    except ValueError as error:
        raise ValueError(f"{name}: {str(error).removeprefix('activation: ')}") from None
    object.__setattr__(owner, name, activations.plain_name(chosen) or chosen)


def _check_clip(owner: Any) -> None:
    if owner.clip is not None:
        object.__setattr__(owner, "clip", number("clip", owner.clip, "(0, inf)"))


def _check_flags(owner: object, *names: str) -> None:
    for name in names:
        flag(name, getattr(owner, name))


class CellOptions:
    """What the options of all cells know of themselves."""

    cell: ClassVar[str]

    @functools.cached_property
    def gates(self) -> int:
        """The number of gates that have weights."""
        return _core.describe(self)[0]

    @functools.cached_property
    def weight_names(self) -> tuple[str, ...]:
        """The weights in their order, with the bias, which may be left out."""
        return _core.describe(self)[1]

    @functools.cached_property
    def foreign_activations(self) -> tuple[str, ...]:
        """Names of the activations that the core does not have."""
        chosen = [getattr(self, name, "linear") for name in ACTIVATION_FIELDS]
        chosen = [a for a in chosen if not isinstance(a, bool)]
        foreign = [
            a for a in chosen if (a not in ACTIVATIONS if isinstance(a, str) else not getattr(a, "in_core", None))
        ]
        names = [a if isinstance(a, str) else getattr(a, "name", None) for a in foreign]
        for activation, name in zip(foreign, names, strict=True):
            if not isinstance(name, str):  # the options were changed after they were made
                raise TypeError(f"options: activation: expected the name of an activation, got {shown(activation)}")
        return tuple(dict.fromkeys(name for name in names if name is not None))


@dataclass(frozen=True)
class RNNOptions(CellOptions):
    """Of `rnn`: ``h = activation(x W + h R + b)``.

    Parameters
    ----------
    activation : any of `activations`, by its name or as an object.
    clip : the sum that goes into it is held between -clip and clip; None: it is not.
    """

    activation: Any = "tanh"
    clip: float | None = None

    cell: ClassVar[str] = "rnn"

    def __post_init__(self) -> None:
        _check_activation(self, "activation")
        _check_clip(self)


@dataclass(frozen=True)
class GRUOptions(CellOptions):
    """Of `gru`.

    Parameters
    ----------
    reset_after : apply the reset gate after the recurrent product (Keras, cuDNN; two biases) or
        before it (Cho et al. 2014; one bias).
    activation, recurrent_activation : any of `activations`, by its name or as an object.
    layer_norm : normalise both products (Ba et al. 2016), with a gain for each; needs ``reset_after``.
    clip : the sums that go into the activations are held between -clip and clip; None: they are not.
    """

    reset_after: bool = True
    activation: Any = "tanh"
    recurrent_activation: Any = "sigmoid"
    layer_norm: bool = False
    clip: float | None = None

    cell: ClassVar[str] = "gru"

    def __post_init__(self) -> None:
        _check_flags(self, "reset_after", "layer_norm")
        _check_activation(self, "activation")
        _check_activation(self, "recurrent_activation")
        _check_clip(self)
        if self.layer_norm and not self.reset_after:
            raise ValueError("layer_norm: needs reset_after=True")


@dataclass(frozen=True)
class LSTMOptions(CellOptions):
    """Of `lstm`: the variants of Greff et al. 2017, projection and layer normalisation.

    Parameters
    ----------
    activation, recurrent_activation : any of `activations`, by its name or as an object.
    peepholes : gates i and f see the cell state before, o the one after (Gers & Schmidhuber 2000).
    input_gate, forget_gate, output_gate : False drops that gate: it is 1 (NIG, NFG, NOG).
    coupled : f = 1 - i (CIFG).
    input_activation : False leaves out the activation of the candidate (NIAF).
    output_activation : that of the cell state on its way to the output: True for the candidate's, False for none
        (NOAF), or one of its own.
    projection : h is projected to fewer units (Sak et al. 2014; PyTorch's proj_size).
    layer_norm : normalise both products and the cell state (Ba et al. 2016), with gains.
    clip : the sums that go into the activations of the gates and the candidate are held between -clip and clip, the
        cell state is not (ONNX's ``clip``, as ONNX Runtime has it); None: nor are they.
    """

    activation: Any = "tanh"
    recurrent_activation: Any = "sigmoid"
    peepholes: bool = False
    input_gate: bool = True
    forget_gate: bool = True
    output_gate: bool = True
    coupled: bool = False
    input_activation: bool = True
    output_activation: Any = True
    projection: bool = False
    layer_norm: bool = False
    clip: float | None = None

    cell: ClassVar[str] = "lstm"

    def __post_init__(self) -> None:
        _check_flags(
            self,
            "peepholes",
            "input_gate",
            "forget_gate",
            "output_gate",
            "coupled",
            "input_activation",
            "projection",
            "layer_norm",
        )
        _check_activation(self, "activation")
        _check_activation(self, "recurrent_activation")
        if self.output_activation is None:
            raise TypeError(
                "output_activation: expected an activation, True for that of the candidate or False for none"
            )
        if not isinstance(self.output_activation, bool):
            _check_activation(self, "output_activation")
        _check_clip(self)
        if self.coupled and not (self.input_gate and self.forget_gate):
            raise ValueError("coupled: the forget gate is 1 - i, so it needs input_gate=True and forget_gate=True")


@dataclass(frozen=True)
class MinGRUOptions(CellOptions):
    """Of `min_gru`.

    Parameters
    ----------
    log_space : keep the candidate, and so the states, positive (Feng et al. 2024, appendix B).
    """

    log_space: bool = False

    cell: ClassVar[str] = "min_gru"

    def __post_init__(self) -> None:
        _check_flags(self, "log_space")


@dataclass(frozen=True)
class MinLSTMOptions(CellOptions):
    """Of `min_lstm`.

    Parameters
    ----------
    log_space : keep the candidate, and so the states, positive (Feng et al. 2024, appendix B).
    """

    log_space: bool = False

    cell: ClassVar[str] = "min_lstm"

    def __post_init__(self) -> None:
        _check_flags(self, "log_space")


@dataclass(frozen=True)
class SLSTMOptions(CellOptions):
    """Of `slstm` (Beck et al. 2024).

    Parameters
    ----------
    heads : parts of the units that do not see one another's h; it must divide the units.
    exponential_forget : the forget gate is an exponential, as the input gate is, instead of a sigmoid.
    """

    heads: int = 1
    exponential_forget: bool = False

    cell: ClassVar[str] = "slstm"

    def __post_init__(self) -> None:
        object.__setattr__(self, "heads", positive_integer("heads", self.heads))
        _check_flags(self, "exponential_forget")


@dataclass(frozen=True)
class Zoneout:
    """Units that keep their state for a step (Krueger et al. 2017).

    Parameters
    ----------
    h, c : the rates, from 0 to 1; ``c`` is the LSTM's cell state. Cells whose state is h alone have no use for it.
    seed : of the random masks, 0 to 2**32 - 1, or None to mix by the rates instead, which is what
        inference does.
    """

    h: float = 0.0
    c: float = 0.0
    seed: int | None = None

    def __post_init__(self) -> None:
        for name in ("h", "c"):
            value: Any = getattr(self, name)
            number = not isinstance(value, bool) and isinstance(value, (int, float, np.integer, np.floating))
            if not number or not 0 <= value <= 1:
                raise ValueError(f"zoneout: {name}: expected a number from 0 to 1, got {value!r}")
        if self.seed is not None and (isinstance(self.seed, bool) or not isinstance(self.seed, (int, np.integer))):
            raise TypeError(f"zoneout: seed: expected an integer or None, got {self.seed!r}")
        if self.seed is not None and not 0 <= self.seed < 2**32:
            raise ValueError(f"zoneout: seed: expected an integer from 0 to 2**32 - 1, got {self.seed!r}")
