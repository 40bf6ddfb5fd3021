"""Modules of a model in place of PyTorch's own, and back."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import torch

from ..._arguments import shown
from .calls import DTYPES
from .cells import GRUCell, LSTMCell, RNNCell
from .linear import Linear
from .modules import GRU, LSTM, RNN

_OURS: dict[type[Any], type[Any]] = {
    torch.nn.LSTM: LSTM,
    torch.nn.GRU: GRU,
    torch.nn.RNN: RNN,
    torch.nn.LSTMCell: LSTMCell,
    torch.nn.GRUCell: GRUCell,
    torch.nn.RNNCell: RNNCell,
    torch.nn.Linear: Linear,
}
_THEIRS = {ours: theirs for theirs, ours in _OURS.items()}


@dataclass
class Report:
    """What `accelerate` has done.

    Parameters
    ----------
    replaced : names in the model and classes of the modules that run on our kernels now.
    kept : names, classes and the reasons of modules of these kinds that still are PyTorch's.
    """

    replaced: list[tuple[str, str]] = field(default_factory=list)
    kept: list[tuple[str, str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"replaced {name}: {kind}" for name, kind in self.replaced]
        lines += [f"kept {name}: {kind}: {why}" for name, kind, why in self.kept]
        return "\n".join(lines or ["no modules that could be replaced"])


def accelerate(model: torch.nn.Module, *, verbose: bool = True) -> Report:
    """Make a model's LSTM, GRU and RNN modules, their cells, and Linear, run on our kernels, in place.

    Modules stay the objects they are, with their parameters, hooks and names, and become of our classes. So optimizers,
    tied weights and checkpoints go on as before; `restore` undoes it.

    >>> import torch
    >>> import lstmcore.torch
    >>> class Own(torch.nn.GRU):
    ...     def forward(self, input, hx=None):
    ...         return super().forward(2 * input, hx)
    >>> model = torch.nn.Sequential(torch.nn.LSTM(3, 4), Own(4, 4))
    >>> report = lstmcore.torch.accelerate(model)
    replaced 0: LSTM
    kept 1: Own: a subclass of torch.nn.GRU, which may compute something else

    Parameters
    ----------
    model : any module, also one of these kinds by itself.
    verbose : print the report.

    Returns
    -------
    The report: which modules were replaced, and why others were not.
    """
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model: expected a torch.nn.Module, got {shown(model)}")
    report = Report()
    for name, module in model.named_modules():
        kind = type(module)
        place = name or "the model"
        if kind in _THEIRS:
            report.kept.append((place, kind.__name__, "runs on our kernels already"))
        elif isinstance(module, tuple(_OURS)):
            why = _reason(module)  # type: ignore[arg-type]
            if why is None:
                module.__class__ = _OURS[kind]
                report.replaced.append((place, kind.__name__))
            else:
                report.kept.append((place, kind.__name__, why))
    if verbose:
        print(report)
    return report


def restore(model: torch.nn.Module) -> None:
    """Make a model's modules PyTorch's own again, in place: what `accelerate` did, undone.

    >>> import torch
    >>> import lstmcore.torch
    >>> model = torch.nn.GRU(3, 4)
    >>> _ = lstmcore.torch.accelerate(model, verbose=False)
    >>> lstmcore.torch.restore(model)
    >>> type(model) is torch.nn.GRU
    True
    """
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model: expected a torch.nn.Module, got {shown(model)}")
    for name, module in model.named_modules():
        if type(module) in _THEIRS:
            module.__dict__.pop("_packed", None)
            module.__class__ = _THEIRS[type(module)]
        elif isinstance(module, tuple(_THEIRS)):
            text = (
                f"restore: {name or 'the model'} is left as it is: its class, {type(module).__name__}, is one derived"
            )
            warnings.warn(f"{text} from lstmcore.torch's, by you or by a parametrization", stacklevel=2)


def _reason(module: torch.nn.Module) -> str | None:
    """Return why a module of one of these kinds cannot be replaced, or None."""
    if type(module) not in _OURS:
        if torch.nn.utils.parametrize.is_parametrized(module):
            return "has parametrizations, which make it a class of its own"
        base = next(kind for kind in type(module).__mro__ if kind in _OURS)
        return f"a subclass of torch.nn.{base.__name__}, which may compute something else"
    if "forward" in vars(module):
        return "has a forward of its own, which would go on running"
    for name, parameter in module.named_parameters():
        if parameter.device.type != "cpu":
            return f"{name}: expected a parameter on the CPU, got one on {parameter.device}"
        if parameter.dtype not in DTYPES:
            return f"{name}: expected float32 or float64, got {str(parameter.dtype).removeprefix('torch.')}"
    return None
