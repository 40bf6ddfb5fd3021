"""Weights of the rows of a batch from weights of the classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._arguments import real_array

Array = NDArray[Any]


class ClassWeights:
    """Weights for labels: class -> weight, 1 for the others.

    >>> from lstmcore.training.class_weights import ClassWeights
    >>> weights = ClassWeights({0: 1.0, 1: 5.0})
    >>> weights([1, 0, 2], 3)
    array([5., 1., 1.])
    >>> weights([[0.0, 1.0], [1.0, 0.0]], 2)
    array([5., 1.])
    """

    def __init__(self, weights: Mapping[int, float]) -> None:
        if not isinstance(weights, Mapping):
            raise TypeError(f"class_weight: expected a dict of class -> weight, got {weights!r}")
        try:
            pairs = sorted((int(label), float(weight)) for label, weight in weights.items())
        except (TypeError, ValueError):
            raise TypeError(f"class_weight: expected a dict of class -> weight, got {weights!r}") from None
        if not pairs:
            raise ValueError("class_weight: expected a weight for at least one class, got none")
        self._classes = np.array([label for label, _ in pairs])
        self._weights = np.array([weight for _, weight in pairs])

    def __call__(self, y: ArrayLike, dimensions: int) -> Array:
        """Return the weights for targets: labels, or one-hot in as many ``dimensions`` as the outputs have."""
        labels = real_array("y", y)
        if labels.ndim > 1 and labels.ndim >= dimensions:
            if labels.shape[-1] == 1:
                labels = labels[..., 0]
            else:
                if labels.size and not (labels.min() >= 0 and labels.max() <= 1):
                    raise ValueError(
                        "class_weight: expected a label for each sample, or one-hot targets, got "
                        f"{labels.min()} to {labels.max()}; give sample_weight instead"
                    )
                labels = labels.argmax(-1)
        labels = np.rint(labels).astype(np.int64)
        at = np.minimum(np.searchsorted(self._classes, labels), len(self._classes) - 1)
        return np.where(self._classes[at] == labels, self._weights[at], 1.0)
