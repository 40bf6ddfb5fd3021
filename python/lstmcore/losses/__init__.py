"""Losses, under Keras's names: a number to make small, and its gradient.

A class is made with its options and called on targets and outputs; a function of the same name in small letters
returns the loss of each sample. `get` finds either by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import _not_offered
from .. import serialization as _serialization
from .connectionist import CTC
from .crossentropy import BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy
from .divergence import KLDivergence
from .focal import BinaryFocalCrossentropy, CategoricalFocalCrossentropy
from .functions import (
    ALIASES,
    LossFunction,
    LossFunctionWrapper,
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    cosine_similarity,
    crf,
    ctc,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    quantile,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from .loss import Loss
from .margin import CategoricalHinge, Hinge, SquaredHinge
from .random_field import CRF
from .regression import (
    CosineSimilarity,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Pinball,
    Poisson,
    Quantile,
)
from .weights import combine_weights

__all__ = [
    "BCE",
    "CRF",
    "CTC",
    "KLD",
    "MAE",
    "MAPE",
    "MSE",
    "MSLE",
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "LossFunctionWrapper",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Pinball",
    "Poisson",
    "Quantile",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "bce",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "combine_weights",
    "cosine_similarity",
    "crf",
    "ctc",
    "deserialize",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "kld",
    "kullback_leibler_divergence",
    "log_cosh",
    "logcosh",
    "mae",
    "mape",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "mse",
    "msle",
    "pinball",
    "poisson",
    "quantile",
    "resolve",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
]

mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
bce = BCE = binary_crossentropy
kld = KLD = kullback_leibler_divergence = kl_divergence
logcosh = log_cosh
pinball = quantile

# The functions by their full names.
FUNCTIONS = {f.name: f for f in map(globals().get, __all__) if isinstance(f, LossFunction)}
_FUNCTIONS: dict[str, LossFunction] = FUNCTIONS | ALIASES
_CLASSES: dict[str, type[Loss]] = {f.loss_class.__name__: f.loss_class for f in FUNCTIONS.values()}


def get(identifier: Any) -> Any:
    """Return the loss that a name, a class or a config stands for: a function for its name, a `Loss` for a class.

    >>> from lstmcore import losses
    >>> losses.get("mse")
    <loss function mean_squared_error>
    >>> losses.get("MeanSquaredError")
    MeanSquaredError()
    >>> losses.get({"class_name": "Huber", "config": {"delta": 2.0}})
    Huber(delta=2.0)

    A function returns the loss of each sample, an object their mean. A `Loss`, a function and None come back unchanged.

    Raises
    ------
    ValueError
        The name is unknown, and those known are listed; or it is none of these.
    """
    if isinstance(identifier, str):
        if identifier in _FUNCTIONS:
            return _FUNCTIONS[identifier]
        if identifier in _CLASSES:
            return _CLASSES[identifier]()
        names = ", ".join(sorted([*FUNCTIONS, *(a for a in ALIASES if a.islower())]))
        raise ValueError(f"loss: expected one of {names}, the name of a class, or a Loss, got {identifier!r}")
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if isinstance(identifier, type):
        if issubclass(identifier, Loss):
            return identifier()
    elif identifier is None or isinstance(identifier, Loss) or callable(identifier):
        return identifier
    raise ValueError(f"loss: expected a name, a Loss or a function, got {identifier!r}")


def resolve(identifier: Any) -> Loss:
    """Return what `get` does as a `Loss`: of a function, its mean.

    >>> from lstmcore import losses
    >>> losses.resolve("mse")
    MeanSquaredError()

    A function of the user's, from ``y_true`` and ``y_pred`` to the loss of each sample, becomes a
    `LossFunctionWrapper`.
    """
    loss = get(identifier)
    if isinstance(loss, Loss):
        return loss
    return loss.loss_class() if isinstance(loss, LossFunction) else LossFunctionWrapper(loss)


def serialize(loss: Loss | LossFunction) -> Any:
    """Return a loss as plain data: a dict, or the name of a function."""
    return _serialization.serialize(loss, "loss")


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the loss that `serialize` made plain data of; a config of Keras's own will do."""
    name = config.get("class_name") if isinstance(config, Mapping) else None
    if isinstance(name, str) and name in _CLASSES:
        config = {**config, "module": __name__}
    try:
        loss = _serialization.deserialize(config, custom_objects)
    except _serialization.UnknownClassError as error:
        raise ValueError(f"loss: expected the config of a Loss, got {name!r} ({error})") from None
    if not isinstance(loss, (Loss, str)):
        raise ValueError(f"loss: expected the config of a Loss, with class_name and config, got {config!r}")
    return get(loss)


_not_offered.answer_for(__name__)
