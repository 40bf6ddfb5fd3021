"""Losses as functions: the loss of each sample, under Keras's names."""

from __future__ import annotations

import inspect
from operator import attrgetter
from typing import Any

from numpy.typing import ArrayLike, DTypeLike, NDArray

from .._signatures import ShownByObjects
from . import crossentropy, divergence, focal, margin, regression
from .connectionist import CTC
from .loss import Loss, snake_case
from .random_field import CRF

Array = NDArray[Any]


_OF_A_LOSS = ("reduction", "name", "dtype")  # arguments of a loss that mean nothing to a function


class LossFunction:
    """A loss class as a function that returns the loss of each sample.

    >>> from lstmcore import losses
    >>> losses.mean_squared_error([[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [0.0, 0.0]])
    array([0.5, 0. ])
    >>> losses.huber([[0.0]], [[3.0]], delta=2.0)
    array([4.])

    Further arguments are those of the class without ``reduction``, ``name`` and ``dtype``. Given to ``compile``, it
    stands for the class with its defaults.
    """

    serialized_by_name = True

    def __init__(self, loss_class: type[Loss]) -> None:
        self.loss_class = loss_class
        self.name = self.__name__ = snake_case(loss_class.__name__)

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, *args: Any, **options: Any) -> Array:
        """Return the loss of each sample: of the outputs' shape without the last axis."""
        taken = [name for name in inspect.signature(self).parameters if name not in ("y_true", "y_pred")]
        if len(args) > len(taken) or not options.keys().isdisjoint(_OF_A_LOSS):
            given = f"{2 + len(args)} by position, {', '.join(options) or 'none'} by name"
            raise TypeError(f"{self.name}: expected y_true, y_pred{', '.join(['', *taken])}; got {given}")
        return self.loss_class(*args, **options).per_sample(y_true, y_pred)[1]

    __signature__ = ShownByObjects(__call__, attrgetter("loss_class"), but=_OF_A_LOSS)

    def __reduce__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<loss function {self.name}>"


class LossFunctionWrapper(Loss):
    """A function of the user's, from ``y_true`` and ``y_pred`` to the loss of each sample, as a loss.

    To train with it, it is written with `autograd.numpy`, the extra ``grad``:

    >>> import autograd.numpy as np
    >>> from lstmcore.losses import LossFunctionWrapper
    >>> def quartic(y_true, y_pred):
    ...     return np.mean((y_pred - y_true) ** 4, axis=-1)
    >>> LossFunctionWrapper(quartic)([[0.0, 0.0]], [[1.0, 2.0]])
    8.5

    or has an attribute ``gradient``, a function of the same arguments that returns the derivatives of each sample's
    loss by that sample's outputs:

    >>> quartic.gradient = lambda y_true, y_pred: 4 * (y_pred - y_true) ** 3 / y_pred.shape[-1]

    Without that, it may also return another array, whose mean is the loss, or a number; see `Loss.call`.
    """

    def __init__(
        self,
        fn: Any,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: DTypeLike | None = None,
        **options: Any,
    ) -> None:
        if not callable(fn):
            raise TypeError(f"LossFunctionWrapper: fn: expected a function, got {fn!r}")
        super().__init__(getattr(fn, "__name__", None) if name is None else name, reduction, dtype)
        self.fn, self.options = fn, options

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return what the function returns."""
        losses: Array = self.fn(y_true, y_pred, **self.options)
        return losses

    @property
    def derives(self) -> bool:
        """Whether the gradient is autograd's."""
        own = type(self).gradient is not LossFunctionWrapper.gradient
        return super().derives if own else not hasattr(self.fn, "gradient")

    def gradient(self, y_true: Array, y_pred: Array) -> Array:
        """Return what its ``gradient`` returns or, if it has none, the derivatives by autograd."""
        if self.derives:
            return super().gradient(y_true, y_pred)
        slopes: Array = self.fn.gradient(y_true, y_pred, **self.options)
        if slopes.shape != y_pred.shape:
            raise ValueError(f"{self.name}.gradient: expected shape {y_pred.shape}, that of y_pred, got {slopes.shape}")
        return slopes


mean_squared_error = LossFunction(regression.MeanSquaredError)
mean_absolute_error = LossFunction(regression.MeanAbsoluteError)
mean_absolute_percentage_error = LossFunction(regression.MeanAbsolutePercentageError)
mean_squared_logarithmic_error = LossFunction(regression.MeanSquaredLogarithmicError)
huber = LossFunction(regression.Huber)
log_cosh = LossFunction(regression.LogCosh)
quantile = LossFunction(regression.Quantile)
poisson = LossFunction(regression.Poisson)
cosine_similarity = LossFunction(regression.CosineSimilarity)
kl_divergence = LossFunction(divergence.KLDivergence)
binary_crossentropy = LossFunction(crossentropy.BinaryCrossentropy)
categorical_crossentropy = LossFunction(crossentropy.CategoricalCrossentropy)
sparse_categorical_crossentropy = LossFunction(crossentropy.SparseCategoricalCrossentropy)
crf = LossFunction(CRF)
ctc = LossFunction(CTC)
binary_focal_crossentropy = LossFunction(focal.BinaryFocalCrossentropy)
categorical_focal_crossentropy = LossFunction(focal.CategoricalFocalCrossentropy)
hinge = LossFunction(margin.Hinge)
squared_hinge = LossFunction(margin.SquaredHinge)
categorical_hinge = LossFunction(margin.CategoricalHinge)

# Keras's short names. The names that a string may give a loss are these, those of the functions and of the classes.
ALIASES = {
    "mse": mean_squared_error,
    "mae": mean_absolute_error,
    "mape": mean_absolute_percentage_error,
    "msle": mean_squared_logarithmic_error,
    "bce": binary_crossentropy,
    "kld": kl_divergence,
    "logcosh": log_cosh,
    "huber_loss": huber,
    "kullback_leibler_divergence": kl_divergence,
    "pinball": quantile,
}
ALIASES |= {name.upper(): ALIASES[name] for name in ("mse", "mae", "mape", "msle", "bce", "kld")}
