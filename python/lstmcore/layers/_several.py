"""Layers of several arrays that are floats together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._broadcasting import refuse_others
from .layer import Layer


class Several(Layer):
    """Base of layers that make one array of floats of several arrays."""

    takes_several = True

    def shape_of_call(self, inputs: Any, options: Mapping[str, Any]) -> Any:
        """Return the shape of what a call on symbols returns; refuse those of another dtype."""
        shape = super().shape_of_call(inputs, options)
        refuse_others(self.name, self.dtype, inputs)
        return shape
