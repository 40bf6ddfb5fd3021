"""Normalisation of every sample, or step, by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import constraints, initializers, regularizers
from .._arguments import flag
from ._normalization import add_gamma_and_beta
from ._row_normalization import _RowNormalization
from .layer import Array


class LayerNormalization(_RowNormalization):
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta``, mean and variance over the features.

    >>> import numpy as np
    >>> from lstmcore.layers import LayerNormalization
    >>> LayerNormalization()(np.array([[1, 3], [50, 70]], "float32")).round(2)
    array([[-1.,  1.],
           [-1.,  1.]], dtype=float32)

    Weights: ``gamma``, ``beta``, of the sizes of the axes.

    Parameters
    ----------
    axis : that of the features, or several: mean and variance are taken over all of them.
    epsilon : is added to the (biased) variance.
    center, scale : whether there is beta, and gamma.
    beta_initializer, gamma_initializer : names or callables.
    beta_regularizer, gamma_regularizer : add penalties to the loss.
    beta_constraint, gamma_constraint : are put upon the weights after every step.
    rms_scaling : ``gamma * x / sqrt(variance + epsilon)``, with gamma always and beta never: what Keras models made
        with this argument do. For the root mean square itself there is `RMSNormalization`.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.

    Raises
    ------
    ValueError, TypeError
        An argument is not of its kind; the message names it.

    References
    ----------
    Ba, Kiros and Hinton, Layer Normalization, arXiv:1607.06450, 2016.
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: str | Callable[..., Array] = "zeros",
        gamma_initializer: str | Callable[..., Array] = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        *,
        rms_scaling: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(axis, epsilon, **options)
        self.center = flag("LayerNormalization: center", center)
        self.scale = flag("LayerNormalization: scale", scale)
        self.rms_scaling = flag("LayerNormalization: rms_scaling", rms_scaling)
        self.subtracts_mean = not self.rms_scaling
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)

    def _add_vectors(self, shape: tuple[int, ...]) -> None:
        scale, center = self.scale or self.rms_scaling, self.center and not self.rms_scaling
        self.gamma, self.beta = add_gamma_and_beta(self, shape, scale, center)
