"""All numbers of a sample in a row."""

from __future__ import annotations

from typing import Any

from .._arguments import among
from .reshape import Reshape


class Flatten(Reshape):
    """Puts all numbers of a sample in a row. A mask ends here.

    >>> import numpy as np
    >>> from lstmcore.layers import Flatten
    >>> Flatten()(np.zeros((3, 4, 5), "float32")).shape
    (3, 20)

    Parameters
    ----------
    data_format : None or "channels_last".
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.
    """

    decides = ("target_shape",)

    def __init__(self, data_format: str | None = None, **options: Any) -> None:
        if not among(data_format, (None, "channels_last")):
            raise ValueError(f"Flatten: data_format: expected None or 'channels_last', got {data_format!r}")
        super().__init__((-1,), **options)
