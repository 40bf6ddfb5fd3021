"""Features brought to mean 0 and variance 1 by what is known of the data before training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._arguments import ArgumentTypeError, flag, float_array, integers
from ._normalization import axes_of, sizes_of
from .layer import Array, Layer, Shape

_LEAST = 1e-7  # Keras's epsilon: no deviation that is divided by is smaller


class Normalization(Layer):
    """``(x - mean) / sqrt(variance)`` with the mean and variance of the data, which `adapt` finds out before training.

    >>> import numpy as np
    >>> from lstmcore.layers import Normalization
    >>> layer = Normalization()
    >>> layer.adapt(np.array([[0.0, 7.0], [2.0, 9.0]]))
    >>> layer(np.array([[0.0, 9.0]])).tolist()
    [[-1.0, 1.0]]

    Weights: ``mean``, ``variance`` and ``count``, which Keras's files have and nothing uses; none is trained. With
    ``mean`` and ``variance`` as arguments there are none.

    Parameters
    ----------
    axis : that of the features, or several: each of their elements has a mean and a variance. None for one of all.
    mean, variance : numbers, or arrays in the shape of these axes; both, or neither.
    invert : whether to compute ``x * sqrt(variance) + mean`` instead.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.

    Raises
    ------
    ValueError, TypeError
        An argument is not of its kind; the message names it.
    """

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: ArrayLike | None = None,
        variance: ArrayLike | None = None,
        invert: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.axis = () if axis is None else integers("Normalization: axis", axis)
        self.invert = flag("Normalization: invert", invert)
        if (mean is None) != (variance is None):
            which, other = ("mean", "variance") if mean is None else ("variance", "mean")
            raise ValueError(f"Normalization: {which}: expected numbers as for {other}, got None")
        self._given: list[Array] = []
        if mean is not None and variance is not None:
            self._given = [
                float_array(f"Normalization: {name}", value, self.dtype).copy()
                for name, value in (("mean", mean), ("variance", variance))
            ]
            of_mean, of_variance = self._given
            if of_mean.shape != of_variance.shape or of_mean.ndim > len(self.axis):
                raise ValueError(
                    f"Normalization: mean: expected the shape of variance, {of_variance.shape}, of at most "
                    f"{len(self.axis)} axes, got {of_mean.shape}"
                )
            for name, value, least in (("mean", of_mean, -np.inf), ("variance", of_variance, 0)):
                if not (np.isfinite(value) & (value >= least)).all():
                    kind = "finite numbers" if name == "mean" else "finite numbers from 0 on"
                    raise ValueError(f"Normalization: {name}: expected {kind}, got {value}")

    @property
    def steps_apart(self) -> bool:  # type: ignore[override]
        """Whether a step of the outputs depends on that step of the inputs alone, as no other is told apart."""
        return self.axis in ((), (-1,))

    @property
    def mean(self) -> Array:
        """Of the data, in a shape that is broadcast to inputs."""
        return self._broadcast(0)

    @property
    def variance(self) -> Array:
        """Of the data, in a shape that is broadcast to inputs."""
        return self._broadcast(1)

    def _broadcast(self, which: int) -> Array:
        if not self.built:
            raise ValueError(f"{self.name}: has no mean and variance yet; call adapt, or give them")
        value = self._given[which] if self._given else self.variables[which].value
        return np.broadcast_to(value, self._sizes).reshape(self._shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal layer, as plain data."""
        given = [value.tolist() for value in self._given] or [None, None]
        return super().get_config() | {"mean": given[0], "variance": given[1]}

    def build(self, input_shape: Shape) -> None:
        """Create what `adapt` finds out."""
        self._axes = axes_of(self.name, self.axis, input_shape)
        self._sizes = sizes_of(self.name, input_shape, self._axes)
        self._shape = tuple(n if a in self._axes and n else 1 for a, n in enumerate(input_shape))
        for value in self._given:
            try:
                np.broadcast_to(value, self._sizes)
            except ValueError:
                raise ValueError(
                    f"{self.name}: mean: expected a shape that fits {self._sizes} of inputs {input_shape}, "
                    f"got {value.shape}"
                ) from None
        if not self._given:
            self.add_weight("mean", self._sizes, "zeros", trainable=False)
            self.add_weight("variance", self._sizes, "ones", trainable=False)
            self.add_weight("count", (), "zeros", trainable=False)

    def adapt(self, data: ArrayLike | Iterable[ArrayLike]) -> None:
        """Find out mean and variance of data: an array, or an iterable of batches, as a list or a generator.

        Of a batch (x, y) x is looked at. What was found out before is forgotten.

        >>> import numpy as np
        >>> from lstmcore import layers
        >>> layer = layers.Normalization()
        >>> layer.adapt(np.array([[1.0, 10.0], [3.0, 30.0]]))
        >>> layer(np.array([[1.0, 20.0]])).tolist()
        [[-1.0, 0.0]]

        Raises
        ------
        ValueError
            The data are none, do not fit each other, or are not finite. What was found out before is still there.
        """
        if self._given:
            raise ValueError(f"{self.name}: adapt: mean and variance are given already")
        batches = [data] if isinstance(data, np.ndarray) else data
        if isinstance(data, (str, bytes)) or not isinstance(batches, Iterable):
            kind = type(data).__name__
            raise ArgumentTypeError(f"{self.name}: data: expected an array or an iterable of batches, got {kind}")
        count, mean, squares = 0, np.zeros(()), np.zeros(())
        for batch in batches:
            x = np.asarray(
                float_array(f"{self.name}: data", batch[0] if isinstance(batch, tuple) else batch, np.dtype("f8"))
            )
            if not x.size:
                continue
            self._check_batch(x)
            self.ensure_built((None, *x.shape[1:]))
            if x.ndim != len(self._shape) or tuple(x.shape[a] for a in self._axes) != self._sizes:
                raise ValueError(f"{self.name}: data: expected sizes {self._sizes} of axes {self._axes}, got {x.shape}")
            others = tuple(a for a in range(x.ndim) if a not in self._axes)
            rows = math.prod(x.shape[a] for a in others)
            with np.errstate(over="ignore", invalid="ignore"):  # which is told below
                away = x.mean(axis=others) - mean
                squares = squares + x.var(axis=others) * rows + np.square(away) * (count * rows / (count + rows))
            count += rows
            mean = mean + away * (rows / count)
        if not count:
            raise ValueError(f"{self.name}: data: expected at least one batch with numbers, got none")
        with np.errstate(over="ignore"):
            found = [value.astype(self.dtype) for value in (mean, squares / count)]
        if not all(np.isfinite(value).all() for value in found):
            raise ValueError(
                f"{self.name}: data: expected numbers whose mean and variance {self.dtype} holds, got mean {mean} and "
                f"variance {squares / count}"
            )
        for variable, value in zip(self.variables, found, strict=False):
            variable.assign(value)

    def _check_batch(self, x: Array) -> None:
        if x.ndim < 2 and self.axis:
            raise ValueError(
                f"{self.name}: data: expected batches of at least two axes, got one of shape {x.shape}; a list is one "
                "of batches: of a single batch, give an array, np.array(data)"
            )
        finite = np.isfinite(x)
        if not finite.all():
            place = tuple(np.argwhere(~finite)[0].tolist())
            raise ValueError(f"{self.name}: data: expected finite numbers, got {x[place]} at {place} of a batch")

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the inputs, normalised, or with ``invert`` as they were before."""
        self._check(inputs.shape)
        deviation = self._deviation()
        return np.asarray(inputs * deviation + self.mean if self.invert else (inputs - self.mean) / deviation)

    def _check(self, shape: tuple[int, ...]) -> None:
        if len(shape) != len(self._shape) or tuple(shape[a] for a in self._axes) != self._sizes:
            raise ValueError(f"{self.name}: inputs: expected sizes {self._sizes} of axes {self._axes}, got {shape}")

    def _deviation(self) -> Array:
        return np.asarray(np.maximum(np.sqrt(self.variance), self.dtype.type(_LEAST)))

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return the gradient of the inputs, if needed."""
        if not need_d_inputs:
            return None
        return np.asarray(d_outputs * self._deviation() if self.invert else d_outputs / self._deviation())
