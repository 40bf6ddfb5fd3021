"""A penalty on what passes."""

from __future__ import annotations

from typing import Any

from .. import regularizers
from .identity import Identity


class ActivityRegularization(Identity):
    """Passes its inputs on and adds ``l1 * sum(abs(x)) + l2 * sum(x^2)``, divided by the rows, to the loss.

    >>> import numpy as np
    >>> from lstmcore.layers import ActivityRegularization
    >>> layer = ActivityRegularization(l1=0.5)
    >>> float(layer.activity_regularizer(layer(np.ones((1, 2), "float32"))))
    1.0

    Parameters
    ----------
    l1, l2 : factors of the two penalties.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    decides = ("activity_regularizer",)

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **options: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **options)
        self.l1, self.l2 = l1, l2
