"""Normalisation of every sample, or step, by its root mean square."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._row_normalization import _RowNormalization


class RMSNormalization(_RowNormalization):
    """``scale * x / sqrt(mean(x²) + epsilon)``, the mean over the features.

    >>> import numpy as np
    >>> from lstmcore.layers import RMSNormalization
    >>> RMSNormalization()(np.array([[1.0, 7.0], [10.0, 70.0]])).round(2)
    array([[0.2, 1.4],
           [0.2, 1.4]], dtype=float32)

    Weights: ``scale``, of the sizes of the axes.

    Parameters
    ----------
    axis : that of the features, or several: the mean is taken over all of them.
    epsilon : is added to the mean of the squares.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.

    Raises
    ------
    ValueError, TypeError
        An argument is not of its kind; the message names it.

    References
    ----------
    Zhang and Sennrich, Root Mean Square Layer Normalization, NeurIPS 2019.
    """

    measures_from_mean = False
    subtracts_mean = False

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **options: Any) -> None:
        super().__init__(axis, epsilon, **options)

    def _add_vectors(self, shape: tuple[int, ...]) -> None:
        self.scale = self.gamma = self.add_weight("scale", shape, "ones", offered="axis")
