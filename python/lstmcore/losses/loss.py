"""What every loss is: a number to make small, and its gradient."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .._arguments import among, as_array, float_dtype, named, real_array
from .._autograd import applied, is_traced, pullback, untraced
from ..serialization import Configurable
from .targets import Shape, aligned
from .weights import REDUCTIONS, combine_weights, factor, in_shape, total, without_masked

Array = NDArray[Any]


class Loss(Configurable):
    """Base of the losses. A subclass defines `call`, written with `autograd.numpy`, or `call` and `gradient`.

    In training both get read-only arrays, which the layers go on using.

    >>> import autograd.numpy as np
    >>> from lstmcore.losses import Loss
    >>> class Cubic(Loss):
    ...     def call(self, y_true, y_pred):
    ...         return np.mean(np.abs(y_pred - y_true) ** 3, axis=-1)
    >>> Cubic().gradient(np.zeros((1, 2)), np.array([[1.0, 2.0]]))
    array([[1.5, 6. ]])

    With a gradient of its own, NumPy will do, and the package autograd, the extra ``grad``, is not needed.

    >>> class Quartic(Loss):
    ...     def call(self, y_true, y_pred):
    ...         return np.mean((y_pred - y_true) ** 4, axis=-1)
    ...
    ...     def gradient(self, y_true, y_pred):
    ...         return 4 * (y_pred - y_true) ** 3 / y_pred.shape[-1]
    >>> Quartic()([[0.0, 0.0]], [[1.0, 2.0]])
    8.5

    Parameters
    ----------
    reduction : how the samples' losses become one number. "sum_over_batch_size" and "mean" divide their sum, each
        times its weight, by their number; "mean_with_sample_weight" by the sum of the weights; "sum" does not
        divide; "none" and None leave an array.
    name : the class's name in small letters by default.
    dtype : "float32" or "float64" to compute in; that of the outputs by default.
    """

    # What is known of the derivatives by the targets, within a ``call`` that makes these too: "symmetric" in both,
    # "linear" in the targets, "labels" have none, or nothing.
    by_targets: ClassVar[str] = ""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.__module__.startswith("lstmcore."):
            return
        base: type[Loss] = next(kind for kind in cls.__mro__ if kind.__module__.startswith("lstmcore."))
        names = ("__call__", "call", "gradient", "value_and_gradient")
        own = [name for name in names if getattr(cls, name) is not getattr(base, name)]  # also what a mixin has
        if "__call__" in own:
            raise TypeError(f"{cls.__name__}: define call and gradient, of each sample, instead of __call__")
        if "call" in own and "gradient" not in own and cls.gradient.__module__.startswith("lstmcore."):
            cls.gradient = Loss.gradient  # type: ignore[method-assign]  # one of ours is not that of another call
        if "call" in own or "gradient" in own:
            cls.by_targets = ""
        if ("call" in own or "gradient" in own) and "value_and_gradient" not in own:  # what is derived from them only
            cls.value, cls.value_and_gradient = Loss.value, Loss.value_and_gradient  # type: ignore[method-assign]
            cls.fuses = None  # type: ignore[assignment]

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: DTypeLike | None = None
    ) -> None:
        kind = type(self).__name__
        if not among(reduction, (*REDUCTIONS, None)):
            raise ValueError(f"{kind}: reduction: expected one of {', '.join(REDUCTIONS)} or None, got {reduction!r}")
        self.reduction = "none" if reduction is None else reduction
        self.name = named(kind, name, snake_case(kind))
        self.dtype = None if dtype is None else float_dtype(f"{kind}: dtype", dtype)

    # --- to be defined by the losses ---

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return the loss of each sample, of the outputs' shape without the last axis.

        One without a `gradient` may return another array too, whose mean is the loss, or a number. Sample weights
        and masks then need what it returns to have the samples' shape, or an axis more.
        """
        raise NotImplementedError

    def gradient(self, y_true: Array, y_pred: Array) -> Array:
        """Return the derivatives of each sample's loss by that sample's outputs, in the outputs' shape.

        By default they are those of the sum of what `call` returns, by autograd.
        """
        losses, back = self._traced(y_true, y_pred)
        slopes: Array = back([np.ones_like(losses)])[0]
        return slopes

    # --- for losses that need more than that ---

    @property
    def fuses(self) -> str | None:
        """The activation, "softmax" or "sigmoid", whose gradient the loss can take together with its own."""
        return None

    def targets(self, y: ArrayLike, y_pred_shape: Shape, dtype: DTypeLike, name: str = "y") -> Array:
        """Return targets as the loss takes them, for outputs of that shape and dtype; errors begin with ``name``.

        What they say is left as it is: metrics can be given them too.
        """
        return aligned(name, y, y_pred_shape).astype(dtype, copy=False)

    def counts(self, y_true: Array) -> Array | None:
        """Return True for each sample whose label counts; None if all do."""
        return None

    def with_mask(self, y_true: Array, mask: Array | None) -> tuple[Any, Array | None]:
        """Return the targets as `value_and_gradient` takes them, and the mask that is left to weigh the samples.

        A loss of whole sequences takes from it how long they are, and leaves none.
        """
        return y_true, mask

    def samples(self, y_pred_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the samples' losses."""
        return y_pred_shape[:-1]

    def rows(self, y_true: Any, y_pred: Array) -> int:
        """Return how many rows of a batch its loss is to count for in the mean over several batches."""
        return len(y_pred)

    def divisor(self, y_true: Any, y_pred: Array, weights: Array | None, left: Array | None) -> float:
        """Return what the loss of a part of a batch is divided by, in units that are those of all parts.

        With it the losses of parts are put together: the sum of loss times divisor, divided by the sum of divisors, or
        by one with the reduction "sum". A model with ``shards`` asks for it.

        Parameters
        ----------
        y_true, y_pred, weights : as `value_and_gradient` takes them.
        left : the mask that `with_mask` left.
        """
        if self.reduction == "sum":
            return 1.0
        if self.reduction == "mean_with_sample_weight" and weights is not None:
            return float(np.add.reduce(weights, axis=None))
        if left is not None:
            return float(np.count_nonzero(left))
        return float(self.rows(y_true, y_pred))

    # --- the same for all ---

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        """Return the loss: a float, or with the reduction "none" an array."""
        true, losses = self.per_sample(y_true, y_pred)
        if is_traced(losses) and is_traced(sample_weight):
            return self._weighed(losses, sample_weight, self.counts(true))
        weights = combine_weights(losses.shape, sample_weight, self.counts(true), self.reduction)
        if is_traced(losses):
            if self.reduction != "none":
                return (losses * factor(self.reduction, losses.shape, weights, losses.dtype)).sum()
            return losses if weights is None else losses * weights
        if self.reduction == "none":
            return losses if weights is None else without_masked(losses * weights.astype(losses.dtype), weights)
        return total(losses, factor(self.reduction, losses.shape, weights, losses.dtype))

    def _weighed(self, losses: Any, weight: Any, counts: Array | None) -> Any:
        """Return the loss for weights that a ``call`` of the user's makes, or is given: they have a gradient too."""
        if weight.ndim == losses.ndim + 1 and weight.shape[-1] == 1:
            weight = weight[..., 0]
        ones = combine_weights(losses.shape, np.ones(weight.shape), counts, self.reduction)
        assert ones is not None
        weights = weight.reshape(weight.shape + (1,) * (losses.ndim - weight.ndim)) * ones.astype(losses.dtype)
        if self.reduction == "none":
            return losses * weights
        if self.reduction == "mean_with_sample_weight":
            return (losses * weights).sum() / weights.sum()
        return (losses * weights).sum() * factor(self.reduction, losses.shape, None, losses.dtype)

    def per_sample(self, y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
        """Return the targets as the loss takes them, and the loss of each sample."""
        if is_traced(y_pred) or is_traced(y_true):
            return self._per_sample_traced(y_true, y_pred)
        pred = real_array("y_pred", y_pred)
        if pred.ndim == 0:
            raise ValueError("y_pred: expected an array, got a number")
        if pred.shape[-1] == 0:
            raise ValueError(f"y_pred: expected at least one number along the last axis, got shape {pred.shape}")
        # Integers are as exact in float64 as they can be; anything else is computed as it comes.
        dtype = self.dtype or (pred.dtype if pred.dtype in (np.float32, np.float64) else np.dtype(np.float64))
        pred = pred.astype(dtype, copy=False)
        if pred.ndim == 1 and np.shape(as_array("y_true", y_true))[1:] == (1,):
            pred = pred[:, None]  # as in Keras, a column of targets makes one of the outputs
        true = self.targets(y_true, pred.shape, dtype, "y_true")
        return true, self._called(true, pred)

    def _per_sample_traced(self, y_true: Any, y_pred: Any) -> tuple[Array, Any]:
        """Return the same where there is what stands for outputs, or for targets, in a ``call`` of the user's."""
        if not is_traced(y_pred):
            y_pred = real_array("y_pred", y_pred)
        true = self.targets(untraced(y_true), y_pred.shape, y_pred.dtype, "y_true")

        def back(outputs: Array, given: Any, losses: Array, d_losses: Array) -> Array:
            slopes: Array = d_losses[..., None] * self.gradient(true, outputs)
            return slopes

        def back_to_targets(outputs: Array, given: Any, losses: Array, d_losses: Array) -> Array:
            return np.reshape(d_losses[..., None] * self.gradient_by_targets(true, outputs), np.shape(given))

        if is_traced(y_true) and self.by_targets != "labels":
            if self.derives and np.shape(y_true) == np.shape(true):
                return true, self.call(y_true, y_pred)
            if not self.by_targets:
                raise TypeError(
                    f"{self.name}: y_true: has no derivatives by the targets, which are an argument of the call, or "
                    "made in it; write this loss with autograd.numpy there"
                )
        else:
            y_true = None
        return true, applied(lambda outputs, given: self.call(true, outputs), [back, back_to_targets], y_pred, y_true)

    def gradient_by_targets(self, y_true: Array, y_pred: Array) -> Array:
        """Return the derivatives of each sample's loss by that sample's targets, as `by_targets` knows them."""
        return self.gradient(y_pred, y_true)

    def _called(self, y_true: Array, y_pred: Array) -> Array:
        """Return what `call` does, which may be the user's, as an array of numbers."""
        return real_array(f"{self.name}: call", self.call(y_true, y_pred))

    def value(self, y_true: Array, y_pred: Array, weights: Array | None = None, logits: Array | None = None) -> float:
        """Return what `value_and_gradient` does without the gradient."""
        losses = self._called(y_true, y_pred)
        return total(losses, self._factor(losses.shape, in_shape(self.name, weights, losses.shape), losses.dtype))

    def value_and_gradient(
        self, y_true: Array, y_pred: Array, weights: Array | None = None, logits: Array | None = None
    ) -> tuple[float, Array]:
        """Return the loss of a batch and its gradient; nothing is checked here.

        Parameters
        ----------
        y_true : what `targets` returned, and `with_mask` then.
        y_pred : the outputs.
        weights : of the samples, as `combine_weights` makes them from weights and mask.
        logits : what the outputs are the activation of, if that is the one that the loss `fuses`. The value is then
            taken from them, and the gradient is theirs.
        """
        if self.derives:
            return self._derived(y_true, y_pred, weights)
        scale = self._factor(y_pred.shape[:-1], weights, y_pred.dtype)
        losses = self._called(y_true, y_pred)
        if losses.shape != y_pred.shape[:-1]:
            raise ValueError(
                f"{self.name}: expected the loss of each sample, shape {y_pred.shape[:-1]}, got shape {losses.shape}; "
                "to train with it, take the mean over the last axis alone, and gradient likewise: of each sample's loss"
            )
        slopes = self.gradient(y_true, y_pred)
        across = scale if isinstance(scale, float) else scale[..., None]
        return total(losses, scale), without_masked(np.asarray(slopes * across, y_pred.dtype), across)

    @property
    def derives(self) -> bool:
        """Whether the gradient is that of `call`, by autograd, and not its own."""
        return type(self).gradient is Loss.gradient

    def _derived(self, y_true: Array, y_pred: Array, weights: Array | None) -> tuple[float, Array]:
        """Return the loss of a batch and its gradient by autograd."""
        losses, back = self._traced(y_true, y_pred)
        scale = self._factor(losses.shape, in_shape(self.name, weights, losses.shape), y_pred.dtype)
        gradient = np.array(back([np.broadcast_to(scale, losses.shape)])[0])
        if weights is not None:  # where a sample does not count, a target may be NaN
            np.copyto(gradient, 0, where=(weights == 0)[..., None] & np.isnan(gradient))
        return total(losses, scale), gradient

    def _traced(self, y_true: Array, y_pred: Array) -> tuple[Array, Any]:
        """Return what `call` does, and the way back."""
        where = f"{self.name}: call"
        (losses,), back = pullback(lambda outputs: [self.call(y_true, outputs[0])], [y_pred], where)
        return real_array(where, losses), back

    def _factor(self, shape: tuple[int, ...], weights: Array | None, dtype: np.dtype[Any]) -> float | Array:
        if self.reduction == "none":
            raise ValueError(f"{self.name}: reduction: expected one that leaves a number to train with, got 'none'")
        return factor(self.reduction, shape, weights, dtype)

    def __repr__(self) -> str:
        given = ", ".join(f"{k}={v!r}" for k, v in getattr(self, "_arguments", {}).items())
        return f"{type(self).__name__}({given})"


def snake_case(name: str) -> str:
    """Return a class's name in small letters: MeanSquaredError is mean_squared_error."""
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()
