"""Metrics of probabilities, and of margins: the losses' means."""

from __future__ import annotations

from numpy.typing import DTypeLike

from .. import losses
from .mean import MeanMetricWrapper


class BinaryCrossentropy(MeanMetricWrapper):
    """The mean of `losses.BinaryCrossentropy`.

    >>> from lstmcore.metrics import BinaryCrossentropy
    >>> round(BinaryCrossentropy()([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]]), 5)
    0.81492
    """

    def __init__(
        self,
        name: str = "binary_crossentropy",
        dtype: DTypeLike | None = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            losses.binary_crossentropy, name, dtype, from_logits=from_logits, label_smoothing=label_smoothing
        )


class CategoricalCrossentropy(MeanMetricWrapper):
    """The mean of `losses.CategoricalCrossentropy`.

    >>> from lstmcore.metrics import CategoricalCrossentropy
    >>> round(CategoricalCrossentropy()([[0, 1, 0], [0, 0, 1]], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]]), 5)
    1.17694
    """

    def __init__(
        self,
        name: str = "categorical_crossentropy",
        dtype: DTypeLike | None = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None:
        super().__init__(
            losses.categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """The mean of `losses.SparseCategoricalCrossentropy`.

    >>> from lstmcore.metrics import SparseCategoricalCrossentropy
    >>> round(SparseCategoricalCrossentropy()([1, 2], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]]), 5)
    1.17694
    """

    def __init__(
        self,
        name: str = "sparse_categorical_crossentropy",
        dtype: DTypeLike | None = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(
            losses.sparse_categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )


class KLDivergence(MeanMetricWrapper):
    """The mean of `losses.KLDivergence`.

    >>> from lstmcore.metrics import KLDivergence
    >>> round(KLDivergence()([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]]), 5)
    0.45814
    """

    def __init__(self, name: str = "kl_divergence", dtype: DTypeLike | None = None) -> None:
        super().__init__(losses.kl_divergence, name, dtype)


class Poisson(MeanMetricWrapper):
    """The mean of `losses.Poisson`.

    >>> from lstmcore.metrics import Poisson
    >>> round(Poisson()([[0, 1], [0, 0]], [[1, 1], [0, 0]]), 5)
    0.5
    """

    def __init__(self, name: str = "poisson", dtype: DTypeLike | None = None) -> None:
        super().__init__(losses.poisson, name, dtype)


class Hinge(MeanMetricWrapper):
    """The mean of `losses.Hinge`.

    >>> from lstmcore.metrics import Hinge
    >>> Hinge()([[0, 1]], [[-0.5, 3.0]])
    0.25
    """

    def __init__(self, name: str = "hinge", dtype: DTypeLike | None = None) -> None:
        super().__init__(losses.hinge, name, dtype)


class SquaredHinge(MeanMetricWrapper):
    """The mean of `losses.SquaredHinge`.

    >>> from lstmcore.metrics import SquaredHinge
    >>> SquaredHinge()([[0, 1]], [[-0.5, 3.0]])
    0.125
    """

    def __init__(self, name: str = "squared_hinge", dtype: DTypeLike | None = None) -> None:
        super().__init__(losses.squared_hinge, name, dtype)


class CategoricalHinge(MeanMetricWrapper):
    """The mean of `losses.CategoricalHinge`.

    >>> from lstmcore.metrics import CategoricalHinge
    >>> CategoricalHinge()([[0, 1, 0]], [[0.5, 1.0, -1.0]])
    0.5
    """

    def __init__(self, name: str = "categorical_hinge", dtype: DTypeLike | None = None) -> None:
        super().__init__(losses.categorical_hinge, name, dtype)
