"""Normalisation of features over the batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import _masks, constraints, initializers, regularizers
from .._arguments import flag, integer, number
from ..streaming import Stage
from ..variables import Variable
from ._normalization import add_gamma_and_beta, axes_of, column_sums, from_rows, sizes_of, to_rows
from .layer import Array, Layer, Shape


class BatchNormalization(Layer):
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta`` for every feature.

    >>> import numpy as np
    >>> from lstmcore.layers import BatchNormalization
    >>> x = np.array([[1.0, 50.0], [3.0, 70.0]], "float32")
    >>> BatchNormalization()(x, training=True).round(2)
    array([[-1., -1.],
           [ 1.,  1.]], dtype=float32)

    In training, mean and (biased) variance are those of the batch, and the moving averages go a little
    towards them, ``moving = moving * momentum + batch * (1 - momentum)``; otherwise, and always where
    ``trainable`` is False, they are the moving averages. With a mask (of the first axes of the inputs, at most all
    but the last), masked steps are normalised too but are not counted; a batch without any valid step leaves
    the moving averages alone.

    With ``renorm`` (Ioffe 2017) the outputs of training are those of averages too, for what makes batches differ
    from each other: ``gamma * (n * r + d) + beta``, n normalised by the batch, ``r = deviation of the batch /
    renorm_stddev`` and ``d = (mean of the batch - renorm_mean) / renorm_stddev``, both clipped and, on the way back,
    constants. Deviations are ``sqrt(variance + epsilon)``; their average is what ``moving_variance`` is made of.

    Weights: ``gamma``, ``beta``, ``moving_mean``, ``moving_variance`` and, with ``renorm``, ``moving_stddev``,
    ``renorm_mean``, ``renorm_stddev``, each of the size of ``axis``; only the first two are trainable.

    Parameters
    ----------
    axis : that of the features.
    momentum : of the moving averages.
    epsilon : is added to the variance.
    center, scale : whether there is beta, and gamma.
    beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer : names or
        callables.
    beta_regularizer, gamma_regularizer : add penalties to the loss.
    beta_constraint, gamma_constraint : are put upon the weights after every step.
    renorm : whether to use batch renormalisation.
    renorm_clipping : for it, a dict of bounds: "rmin" and "rmax" of r, "dmax" of the size of d; by default none.
    renorm_momentum : of the averages ``renorm_mean`` and ``renorm_stddev``.
    synchronized : has no effect: there is one replica.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.

    Raises
    ------
    ValueError, TypeError
        An argument is not of its kind; the message names it.

    References
    ----------
    Ioffe and Szegedy, Batch Normalization, ICML 2015. Ioffe, Batch Renormalization, NIPS 2017.
    """

    moving_stddev: Variable
    renorm_mean: Variable
    renorm_stddev: Variable

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: str | Callable[..., Array] = "zeros",
        gamma_initializer: str | Callable[..., Array] = "ones",
        moving_mean_initializer: str | Callable[..., Array] = "zeros",
        moving_variance_initializer: str | Callable[..., Array] = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: Mapping[str, float | None] | None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.axis = integer("BatchNormalization: axis", axis)
        self.momentum = number("BatchNormalization: momentum", momentum, "[0, 1]")
        self.epsilon = number("BatchNormalization: epsilon", epsilon, "[0, inf)")
        self.center = flag("BatchNormalization: center", center)
        self.scale = flag("BatchNormalization: scale", scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.renorm = flag("BatchNormalization: renorm", renorm)
        self.renorm_clipping = _clipping({} if renorm_clipping is None else renorm_clipping)
        self.renorm_momentum = number("BatchNormalization: renorm_momentum", renorm_momentum, "[0, 1]")
        self.synchronized = flag("BatchNormalization: synchronized", synchronized)

    def build(self, input_shape: Shape) -> None:
        """Create gamma, beta and the moving averages."""
        self._axes = axes_of(self.name, self.axis, input_shape)
        shape = sizes_of(self.name, input_shape, self._axes)
        self.gamma, self.beta = add_gamma_and_beta(self, shape, self.scale, self.center)
        self.moving_mean = self.add_weight("moving_mean", shape, self.moving_mean_initializer, trainable=False)
        self.moving_variance = self.add_weight(
            "moving_variance", shape, self.moving_variance_initializer, trainable=False
        )
        if self.renorm:
            # Keras's: they begin where the moving averages do.
            for name, initial in (
                ("moving_stddev", lambda *_, **__: np.sqrt(self.moving_variance.value)),
                ("renorm_mean", lambda *_, **__: self.moving_mean.value),
                ("renorm_stddev", lambda *_, **__: np.sqrt(self.moving_variance.value)),
            ):
                setattr(self, name, self.add_weight(name, shape, initial, trainable=False))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape as it came."""
        return input_shape

    def forward(self, inputs: Array, training: bool = False, mask: Array | None = None) -> Array:
        """Return the inputs, normalised; in training, move the averages."""
        rows = self._rows(inputs)
        if training and self.trainable:
            outputs = self._normalise_batch(rows, None if mask is None else self._valid(mask, inputs.shape))
        else:
            factor, shift = self._line()
            outputs = rows * factor
            outputs += shift
            if training:
                inverse = 1 / np.sqrt(self.moving_variance.value + self.epsilon)
                self._cache = rows - self.moving_mean.value, inverse, 0, mask, 1.0, 0.0
        return from_rows(outputs, inputs.shape, self._axes)

    def _normalise_batch(self, rows: Array, valid: Array | None) -> Array:
        counted = rows if valid is None else rows[valid]
        count = max(1, len(counted))
        mean = column_sums(counted) / count
        centred = rows - mean
        outputs = np.square(centred)
        variance = column_sums(outputs if valid is None else outputs[valid]) / count
        deviation = np.sqrt(variance + self.epsilon)
        inverse = 1 / deviation
        r, d = self._correction(mean, deviation) if self.renorm else (1.0, 0.0)
        if len(counted):
            self._move(mean, variance, deviation)
        self._cache = centred, inverse, count, valid, r, d
        gamma = 1.0 if self.gamma is None else self.gamma.value
        np.multiply(centred, inverse * (r * gamma), out=outputs)
        if self.renorm:
            outputs += d * gamma
        if self.beta is not None:
            outputs += self.beta.value
        return outputs

    def _correction(self, mean: Array, deviation: Array) -> tuple[Array, Array]:
        """Return r and d, by which n r + d is what the averages of renormalisation would make of the inputs."""
        average = np.maximum(self.renorm_stddev.value, np.sqrt(self.dtype.type(self.epsilon)))
        limits = self.renorm_clipping
        r = np.clip(deviation / average, limits["rmin"], limits["rmax"])
        d = np.clip((mean - self.renorm_mean.value) / average, -limits["dmax"], limits["dmax"])
        return r.astype(self.dtype), d.astype(self.dtype)

    def _move(self, mean: Array, variance: Array, deviation: Array) -> None:
        """Bring the averages a little towards those of a batch."""

        def move(average: Variable, value: Array, momentum: float) -> None:
            average.assign(average.value * momentum + value * (1 - momentum))

        move(self.moving_mean, mean, self.momentum)
        if not self.renorm:
            move(self.moving_variance, variance, self.momentum)
            return
        move(self.renorm_mean, mean, self.renorm_momentum)
        move(self.renorm_stddev, deviation, self.renorm_momentum)
        move(self.moving_stddev, deviation, self.momentum)
        self.moving_variance.assign(np.maximum(np.square(self.moving_stddev.value) - self.epsilon, 0))

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Add to the gradients of gamma and beta and return that of the inputs, if needed."""
        centred, inverse, count, valid, r, d = self.kept()
        d_rows = to_rows(d_outputs, self._axes)
        # With n = (x - mean) / deviation:   dgamma = sum dy (n r + d)    dbeta = sum dy    dn = dy gamma r
        product = d_rows * centred
        if valid is not None:
            product[d_rows == 0] = 0  # whatever stands in padding, be it NaN
        along, d_beta = column_sums(product) * inverse, column_sums(d_rows)  # sum dy n, sum dy
        if self.gamma is not None:
            self.gamma.gradient += along * r + d_beta * d if self.renorm else along
        if self.beta is not None:
            self.beta.gradient += d_beta
        if not need_d_inputs:
            return None
        # dx = gamma r / deviation (dy - (sum dy + n sum dy n) / count), the latter for the rows that were counted; none
        # were if mean and deviation came from the moving averages.
        factor = inverse * (r * (1.0 if self.gamma is None else self.gamma.value))
        d_inputs = d_rows * factor
        if count:
            correction = np.multiply(centred, factor * inverse * along / count, out=product)
            correction += factor * d_beta / count
            if valid is not None:
                correction[~valid] = 0
            d_inputs -= correction
        return from_rows(d_inputs, d_outputs.shape, self._axes)

    def _rows(self, inputs: Array) -> Array:
        shape, size = inputs.shape, self.moving_mean.size
        if not -len(shape) <= self.axis < len(shape) or shape[self.axis] != size:
            raise ValueError(f"{self.name}: inputs: expected {size} features in axis {self.axis}, got shape {shape}")
        self._axes = (self.axis % len(shape),)
        return to_rows(inputs, self._axes)

    def _valid(self, mask: Array, shape: tuple[int, ...]) -> Array:
        if self._axes != (len(shape) - 1,):
            raise ValueError(f"{self.name}: axis: expected -1 where there is a mask, got {self.axis}")
        valid = _masks.fit(self.name, mask, shape[:-1], min(2, len(shape) - 1))
        valid = valid.reshape(valid.shape + (1,) * (len(shape) - 1 - valid.ndim))
        return np.broadcast_to(valid, shape[:-1]).reshape(-1)

    def _line(self) -> tuple[Array, Array]:
        """The factor and the shift that inference multiplies by and adds."""
        factor = 1 / np.sqrt(self.moving_variance.value + self.epsilon)
        if self.gamma is not None:
            factor *= self.gamma.value
        shift = -self.moving_mean.value * factor
        if self.beta is not None:
            shift += self.beta.value
        return factor, shift

    def stream(self, batch_size: int, steps: int) -> Stage:
        """Return a `streaming.Stage`, which does for the next chunk of steps what the layer does for all."""
        if self._axes != (2,):
            raise ValueError(f"{self.name}: axis: a stream needs that of the features, -1, got {self.axis}")
        return _BatchNormalizationStage(self)


def _clipping(given: Mapping[str, float | None]) -> dict[str, float]:
    """Return Keras's ``renorm_clipping`` with all of its bounds."""
    where = "BatchNormalization: renorm_clipping"
    bounds = {"rmin": 0.0, "rmax": math.inf, "dmax": math.inf}
    if not isinstance(given, Mapping) or not set(given) <= set(bounds):
        raise ValueError(f"{where}: expected a dict of 'rmin', 'rmax' and 'dmax', got {given!r}")
    bounds |= {k: number(f"{where}: {k}", v, "[0, inf]") for k, v in given.items() if v is not None}
    if bounds["rmax"] < bounds["rmin"]:
        raise ValueError(f"{where}: rmax: expected at least rmin={bounds['rmin']}, got {bounds['rmax']}")
    return bounds


class _BatchNormalizationStage(Stage):
    def __init__(self, layer: BatchNormalization) -> None:
        self.factor, self.shift = layer._line()
        super().__init__(self.factor.size, layer.dtype)

    def __call__(self, inputs: Array, out: Array | None = None) -> Array:
        outputs = self.new(inputs, out)
        np.multiply(inputs, self.factor, out=outputs)
        np.add(outputs, self.shift, out=outputs)
        return outputs
