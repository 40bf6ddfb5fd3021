"""The activations that recurrent operators name, with their numbers."""

from __future__ import annotations

from typing import Any

from ....activations.piecewise import Affine, HardSigmoid, LeakyReLU, Threshold
from ....activations.smooth import ELU, ScaledTanh
from .errors import UnsupportedError
from .nodes import Node

_PLAIN = {"tanh": "tanh", "sigmoid": "sigmoid", "relu": "relu", "softsign": "softsign", "softplus": "softplus"}
_WITH_ALPHA = {
    "affine": 1.0,
    "leakyrelu": 0.01,
    "hardsigmoid": 0.2,
    "elu": 1.0,
    "scaledtanh": 1.0,
    "thresholdedrelu": 1.0,
}
_WITH_BETA = {"affine": 0.0, "hardsigmoid": 0.5, "scaledtanh": 1.0}

_WITH_NUMBERS: dict[str, Any] = {
    "affine": Affine,
    "leakyrelu": LeakyReLU,
    "hardsigmoid": HardSigmoid,
    "elu": ELU,
    "scaledtanh": ScaledTanh,
    "thresholdedrelu": Threshold,
}


def functions_of(node: Node, default: list[str]) -> list[Any]:
    """Return the activations, with the numbers that belong to each."""
    names = node.get("activations") or default
    if len(names) != len(default):
        raise ValueError(f"{node.operator}: activations: expected {len(default)} names, got {names}")
    alphas, betas = iter(node.get("activation_alpha", [])), iter(node.get("activation_beta", []))
    found: list[Any] = []
    for name in (name.lower() for name in names):
        alpha = next(alphas, _WITH_ALPHA[name]) if name in _WITH_ALPHA else None
        beta = next(betas, _WITH_BETA[name]) if name in _WITH_BETA else None
        found.append(_function(name, alpha, beta))
    return found


def _function(name: str, alpha: float | None, beta: float | None) -> Any:
    if name in _PLAIN:
        return _PLAIN[name]
    if name == "affine" and (alpha, beta) == (1, 0):
        return "linear"
    if name == "hardsigmoid" and alpha is not None and abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return "hard_sigmoid"
    if name == "elu" and alpha == 1:
        return "elu"
    if name not in _WITH_NUMBERS:
        raise UnsupportedError(f"activation {name}")
    return _WITH_NUMBERS[name](*(n for n in (alpha, beta) if n is not None))
