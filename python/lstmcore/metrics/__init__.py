"""Metrics, under Keras's names: what is watched over batches, besides the loss.

A class gathers over batches; a function of the same name in small letters returns a value for each sample. `get` finds
either by name, and `resolve` also what "accuracy" means for a loss and a shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .. import _not_offered
from .. import losses as _losses
from .. import serialization as _serialization
from .._names import free_name
from ..losses import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from ..losses.functions import ALIASES
from ..losses.loss import snake_case
from .accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from .at_given import PrecisionAtRecall, RecallAtPrecision, SensitivityAtSpecificity, SpecificityAtSensitivity
from .auc import AUC
from .confusion import FalseNegatives, FalsePositives, Precision, Recall, TrueNegatives, TruePositives
from .edit_distance import CharacterErrorRate, Edits, character_error_rate, edit_distance, word_error_rate
from .f_score import F1Score, FBetaScore
from .mean import Mean, MeanMetricWrapper, Sum
from .metric import Metric
from .probabilistic import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    Hinge,
    KLDivergence,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from .regression import (
    CosineSimilarity,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    R2Score,
    RootMeanSquaredError,
    cosine_similarity,
)
from .tagging import TagF1Score, TagPrecision, TagRecall

__all__ = [
    "AUC",
    "BCE",
    "KLD",
    "MAE",
    "MAPE",
    "MSE",
    "MSLE",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CharacterErrorRate",
    "CosineSimilarity",
    "Edits",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "Poisson",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "SquaredHinge",
    "Sum",
    "TagF1Score",
    "TagPrecision",
    "TagRecall",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "bce",
    "binary_accuracy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "character_error_rate",
    "cosine_similarity",
    "deserialize",
    "edit_distance",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "kld",
    "log_cosh",
    "mae",
    "mape",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "mse",
    "msle",
    "poisson",
    "resolve",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
    "unique",
    "word_error_rate",
]

mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
bce = BCE = binary_crossentropy
kld = KLD = kullback_leibler_divergence = kl_divergence
logcosh = log_cosh

_CLASSES: dict[str, type[Metric]] = {
    name: value
    for name, value in globals().items()
    if isinstance(value, type) and issubclass(value, Metric) and value not in (Metric, MeanMetricWrapper)
}
_BY_NAME: dict[str, type[Metric]] = _CLASSES | {snake_case(name): c for name, c in _CLASSES.items()}
_BY_NAME |= {
    "rmse": RootMeanSquaredError,
    "RMSE": RootMeanSquaredError,
    "r2": R2Score,
    "f1": F1Score,
    "cer": CharacterErrorRate,
}
_BY_NAME |= {alias: _BY_NAME[function.name] for alias, function in ALIASES.items() if function.name in _BY_NAME}
# A function given as a metric is the class of the same name.
_FUNCTIONS = (
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    top_k_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    cosine_similarity,
    character_error_rate,
)
_ACCURACIES = {
    "binary": BinaryAccuracy,
    "sparse": SparseCategoricalAccuracy,
    "categorical": CategoricalAccuracy,
}
_CROSSENTROPIES = {
    "binary": BinaryCrossentropy,
    "sparse": SparseCategoricalCrossentropy,
    "categorical": CategoricalCrossentropy,
}


def get(identifier: Any) -> Metric:
    """Return the metric that a name, a class, a function, a loss or a config stands for; a `Metric` as it is.

    >>> from lstmcore import metrics
    >>> metrics.get("mse")
    <MeanSquaredError name=mse>
    >>> metrics.get("AUC").name
    'AUC'

    A metric got by name is called as it was asked for. A function of the user's, from ``y_true`` and ``y_pred`` to a
    value for each sample, becomes a `MeanMetricWrapper`, as a loss does.

    Raises
    ------
    ValueError
        The name is unknown, and those known are listed; or it is none of these.
    """
    if isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, str):
        if identifier in _BY_NAME:
            return _BY_NAME[identifier](name=identifier)
        try:
            return MeanMetricWrapper(_losses.resolve(identifier), identifier)
        except ValueError:
            names = ", ".join(sorted(name for name in _BY_NAME if name.islower()))
            raise ValueError(
                f"metrics: expected one of {names}, the name of a class or a loss, or a Metric, got {identifier!r}"
            ) from None
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if isinstance(identifier, type) and issubclass(identifier, Metric):
        return identifier()
    if isinstance(identifier, type) and issubclass(identifier, _losses.Loss):
        return MeanMetricWrapper(identifier())
    if callable(identifier):
        ours = any(identifier is function for function in _FUNCTIONS)
        return _BY_NAME[identifier.__name__]() if ours else MeanMetricWrapper(identifier)
    raise ValueError(f"metrics: expected a name, a Metric or a function, got {identifier!r}")


_WHOLE = {"accuracy": "accuracy", "acc": "accuracy", "crossentropy": "crossentropy", "ce": "crossentropy"}


def resolve(
    identifier: Any,
    loss: _losses.Loss | None = None,
    output_shape: tuple[int | None, ...] | None = None,
    y_shape: tuple[int | None, ...] | None = None,
) -> Metric:
    """Return what `get` does, and for "accuracy", "acc", "crossentropy" and "ce" the kind that fits.

    Outputs of one unit are binary. Several are sparse if the labels lack the classes' axis, or it is of one, and
    categorical otherwise; where ``y_shape`` is not known, the loss decides. With the loss "crf" they are labels.

    >>> from lstmcore import losses, metrics
    >>> metrics.resolve("acc", losses.SparseCategoricalCrossentropy(), (None, 10))
    <SparseCategoricalAccuracy name=acc>
    """
    word = identifier.lower() if isinstance(identifier, str) else ""
    if word not in _WHOLE:
        return get(identifier)
    if isinstance(loss, _losses.CRF):  # the outputs are tags themselves
        if word in ("accuracy", "acc"):
            return Accuracy(name=identifier)
        raise ValueError(f"metrics: {identifier!r} is of probabilities, where layers.CRF returns tags")
    if output_shape is None:
        raise ValueError(f"metrics: {identifier!r} depends on the shape of the outputs, which is not known yet")
    if output_shape[-1] == 1:
        kind = "binary"
    elif y_shape is not None:
        kind = "sparse" if len(y_shape) < len(output_shape) or y_shape[-1] == 1 else "categorical"
    elif loss is None:
        raise ValueError(
            f"metrics: {identifier!r} depends on the loss, and there is none; say 'categorical_{_WHOLE[word]}' or "
            f"'sparse_categorical_{_WHOLE[word]}'"
        )
    else:
        kind = "sparse" if isinstance(loss, _losses.SparseCategoricalCrossentropy) else "categorical"
    metric: Metric
    if word in ("accuracy", "acc"):
        metric = _ACCURACIES[kind](name=identifier)
    else:
        metric = _CROSSENTROPIES[kind](name=identifier, from_logits=getattr(loss, "from_logits", False))
    return metric


def unique(metrics: Iterable[Metric]) -> list[Metric]:
    """Give metrics of the same name new ones, and return them: "accuracy", "accuracy_1", …"""
    result: list[Metric] = []
    taken: set[str] = set()
    for metric in metrics:
        metric.name = free_name(metric.name, taken)
        taken.add(metric.name)
        result.append(metric)
    return result


def serialize(metric: Metric) -> Any:
    """Return a metric as plain data."""
    return _serialization.serialize(metric, "metric")


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Metric:
    """Return the metric that `serialize` made plain data of; a config of Keras's own will do."""
    name = config.get("class_name") if isinstance(config, Mapping) else None
    if isinstance(name, str) and name in {**_CLASSES, "MeanMetricWrapper": None}:
        config = {**config, "module": __name__}
    try:
        metric = _serialization.deserialize(config, custom_objects)
    except _serialization.UnknownClassError as error:
        raise ValueError(f"metrics: expected the config of a Metric, got {name!r} ({error})") from None
    if not isinstance(metric, (Metric, str)):
        raise ValueError(f"metrics: expected the config of a Metric, with class_name and config, got {config!r}")
    return get(metric)


_not_offered.answer_for(__name__)
