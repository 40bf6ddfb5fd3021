"""Optimizers, under Keras's names and with its formulas; the steps themselves are taken in the core."""

from __future__ import annotations

from typing import Any

from .. import _not_offered
from ..serialization.identifiers import resolve
from . import schedules
from .adadelta import Adadelta
from .adagrad import Adagrad
from .adam import Adam, AdamW
from .adamax import Adamax
from .lion import Lion
from .nadam import Nadam
from .optimizer import Optimizer
from .rmsprop import RMSprop
from .sgd import SGD

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "get",
    "schedules",
]

_KNOWN: dict[str, type[Optimizer]] = {
    cls.__name__.lower(): cls for cls in (SGD, RMSprop, Adam, AdamW, Adamax, Nadam, Adagrad, Adadelta, Lion)
}


def get(identifier: str | dict[str, Any] | Optimizer) -> Optimizer:
    """Return a new optimizer of that name, with default arguments, or from its description, or the one given.

    >>> from lstmcore import optimizers
    >>> optimizers.get("rmsprop")
    RMSprop()

    Raises
    ------
    ValueError
        There is none of that name, and the message lists those there are; or it is something else.
    """
    return resolve("optimizer", identifier, Optimizer, _KNOWN)


_not_offered.answer_for(__name__)
