"""Steps of the user's own, ``train_step`` and its kind: what they must not be, what they are given and return."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .. import _masks
from ..layers._called import names_within
from .measures import Logs

# What Keras's training calls and ours does not, and what does the same.
_NEVER_CALLED = {
    "compute_loss": "define a losses.Loss with call and gradient, and give it to compile,",
    "compute_metrics": "give compile a metrics.Metric, or define train_step and test_step,",
    "make_train_function": "define train_step",
    "make_test_function": "define test_step",
    "make_predict_function": "define predict_step",
}
_OF_AUTOMATIC_GRADIENTS = ("GradientTape", "value_and_grad", "zero_grad", "apply_gradients", "scale_loss", "autograd")


def refuse_what_is_not_called(cls: type) -> None:
    """Refuse classes that Keras would train otherwise."""
    for name, substitute in _NEVER_CALLED.items():
        if name in cls.__dict__:
            raise TypeError(f"{cls.__name__}.{name}: would never be called; {substitute} instead")
    derived = [n for n in names_within(cls.__dict__.get("train_step")) if n in _OF_AUTOMATIC_GRADIENTS]
    if derived:
        raise TypeError(
            f"{cls.__name__}.train_step: uses {', '.join(derived)}, but gradients are not derived automatically: "
            "call super().train_step(data), which takes a step with forward and backward, or take it yourself with "
            "self.backward(gradient) and self.optimizer.step(self.parameters)"
        )


def logs_of(owner: str, method: str, step: Callable[[Any], Any], data: tuple[Any, ...]) -> Logs:
    """Return what a step returns for a batch, which it may write over; ``owner`` and ``method`` are for errors."""
    logs = step(_masks.copied(data))
    if not isinstance(logs, Mapping):
        raise ValueError(
            f"{owner}: {method}: expected it to return a dict of numbers by name, as super().{method}(data) does, got "
            f"{logs!r}"
        )
    return dict(logs)
