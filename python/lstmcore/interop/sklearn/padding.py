"""Where the sequences of a batch end."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...layers import Masking
from ...layers.layer import Array
from ...utils import register_keras_serializable

# What stands behind the end of the shorter sequences. Data that are infinite are refused, so that nothing else is it.
PADDING = np.inf


@register_keras_serializable(package="lstmcore")
class Padding(Masking):
    """Masks what `PADDING` stands in; batches without any go on as they are, for a mask takes time."""

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the inputs, zero where they are masked."""
        if _padded(inputs):
            return super().forward(inputs, training)
        if training:
            self._cache = np.ones(inputs.shape[:2], bool)
        return inputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return where a step counts, or None if all do."""
        if isinstance(inputs, np.ndarray) and not _padded(inputs):
            return mask
        return super().compute_mask(inputs, mask)


def _padded(inputs: Array) -> bool:
    return bool((inputs[:, -1, 0] == PADDING).any())  # padding is behind, and in all features
