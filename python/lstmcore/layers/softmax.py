"""Numbers as probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import activations
from .activation import Activation


class Softmax(Activation):
    """exp(x) / sum(exp(x)), the sum over one axis or several. (Keras's argument ``mask`` is not offered.)

    >>> import numpy as np
    >>> from lstmcore.layers import Softmax
    >>> Softmax()(np.log([[1.0, 2.0, 5.0]])).round(3).tolist()
    [[0.125, 0.25, 0.625]]

    Parameters
    ----------
    axis : an integer, or a list of them.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    def __init__(self, axis: int | Sequence[int] = -1, **options: Any) -> None:
        super().__init__(activations.softmaxes.Softmax(axis), **options)
