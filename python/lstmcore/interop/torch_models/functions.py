"""The activations that PyTorch has modules for, and ours."""

from __future__ import annotations

from typing import Any

from ... import activations as ours
from ...activations import piecewise, smooth, softmaxes
from .weights import ConversionError

# PyTorch's class, ours, and what PyTorch's options are called here.
_SAME: list[tuple[str, type[ours.Activation], dict[str, str]]] = [
    ("Tanh", smooth.Tanh, {}),
    ("Sigmoid", smooth.Sigmoid, {}),
    ("LogSigmoid", smooth.LogSigmoid, {}),
    ("SiLU", smooth.SiLU, {}),
    ("Mish", smooth.Mish, {}),
    ("Softsign", smooth.Softsign, {}),
    ("Tanhshrink", smooth.TanhShrink, {}),
    ("ELU", smooth.ELU, {"alpha": "alpha"}),
    ("CELU", smooth.CELU, {"alpha": "alpha"}),
    ("SELU", smooth.SELU, {}),
    ("ReLU", piecewise.ReLU, {}),
    ("ReLU6", piecewise.ReLU6, {}),
    ("LeakyReLU", piecewise.LeakyReLU, {"negative_slope": "negative_slope"}),
    ("Threshold", piecewise.Threshold, {"threshold": "threshold", "value": "default_value"}),
    ("Hardsigmoid", piecewise.HardSigmoid, {}),
    ("Hardswish", piecewise.HardSiLU, {}),
    ("Softshrink", piecewise.SoftShrink, {"lambd": "threshold"}),
    ("Hardshrink", piecewise.HardShrink, {"lambd": "threshold"}),
    ("GELU", smooth.GELU, {}),
    ("Softplus", smooth.Softplus, {}),
    ("Hardtanh", piecewise.HardTanh, {}),
]
_FROM_TORCH = {theirs: (kind, options) for theirs, kind, options in _SAME}
_TO_TORCH = {kind: (theirs, options) for theirs, kind, options in _SAME}
# Of one axis, which is not the same there as here.
_ALONG = {"Softmax": softmaxes.Softmax, "LogSoftmax": softmaxes.LogSoftmax, "GLU": softmaxes.GLU}
KINDS = {*_FROM_TORCH, *_ALONG}


def from_module(module: Any, place: tuple[int, int] | None) -> ours.Activation:
    """Return our activation for a module of PyTorch.

    Parameters
    ----------
    module : its class is one of `KINDS`.
    place : the axis of the channels in what it is given there, and how many axes that has; None if that is not known.
    """
    kind = type(module).__name__
    if kind in _ALONG:
        if place is not None and module.dim not in (place[0], place[0] - place[1]):
            raise ConversionError(f"{kind} with dim={module.dim}; expected the axis of the channels, here {place[0]}")
        return _ALONG[kind]()
    if kind == "GELU":
        return smooth.GELU(approximate=module.approximate == "tanh")
    # Above its threshold it is the input; from 20 on that makes no difference that single precision has.
    if kind == "Softplus" and (module.beta != 1 or module.threshold < 20):
        raise ConversionError(f"Softplus with beta={module.beta} and threshold={module.threshold}")
    if kind == "Hardtanh" and module.min_val == 0:
        return piecewise.ReLU(max_value=module.max_val)
    own, options = _FROM_TORCH[kind]
    return own(**{here: getattr(module, there) for there, here in options.items()})


def to_module(activation: ours.Activation) -> tuple[str, dict[str, Any]] | None:
    """Return the class of PyTorch's module for an activation of ours, and its options; None where nothing is to do."""
    kind = type(activation)
    if kind is piecewise.Linear:
        return None
    if isinstance(activation, piecewise.ReLU) and kind is not piecewise.ReLU6:
        return _rectifier(activation)
    if isinstance(activation, smooth.GELU):
        return "GELU", {"approximate": "tanh" if activation.approximate else "none"}
    if kind in _ALONG.values() and isinstance(activation.axis, int):
        return kind.__name__, {"dim": activation.axis}
    if kind in _TO_TORCH and not (isinstance(activation, piecewise.HardSigmoid) and activation.alpha != 1 / 6):
        theirs, options = _TO_TORCH[kind]
        return theirs, {there: getattr(activation, here) for there, here in options.items()}
    raise ConversionError(f"PyTorch has no activation {activation.name} with {activation.get_config()}")


def _rectifier(activation: piecewise.ReLU) -> tuple[str, dict[str, Any]]:
    slope, most, threshold = activation.negative_slope, activation.max_value, activation.threshold
    if threshold or (slope and most is not None):
        raise ConversionError(f"PyTorch has no activation {activation.name} with {activation.get_config()}")
    if most is not None:
        return "Hardtanh", {"min_val": 0.0, "max_val": most}
    return ("LeakyReLU", {"negative_slope": slope}) if slope else ("ReLU", {})
