"""Which mask a layer is given, and which is left of it: of steps, of steps within steps, or of rows that are steps."""

from __future__ import annotations

from typing import Any

from .... import layers
from .writer import Value, Writer

# Those that make a mask of their own, also of rows; and those that leave alone how many axes one has.
_MAKING = (layers.Embedding, layers.Masking)
_SINGLE = (layers.TimeDistributed, layers.Residual)


def given(writer: Writer, layer: Any, inputs: Any, mask: Any, of_numbers: tuple[type, ...]) -> Any:
    """Return the mask that a layer is to be written with.

    Rows that are steps of something longer, `TimeDistributed`'s, count or do not: of steps within them, all or none.
    ``of_numbers`` are the layers of numbers by themselves, to which the axes of a mask are the same.
    """
    names = [m for m in (mask if isinstance(mask, list) else [mask]) if m is not None]
    if all(writer.axes_of(name) == 2 for name in names):
        return mask
    if isinstance(mask, str) and isinstance(inputs, Value):
        if writer.axes_of(mask) > 2:
            if isinstance(layer, (*_MAKING, *_SINGLE, *of_numbers)) or layer.is_model:
                return mask
        elif len(inputs.shape) > 2:
            steps = writer.add("Concat", writer.integers([1]), writer.size(inputs.name, 1), axis=0)
            return writer.add("Expand", writer.unsqueeze(mask, 1), steps)
        else:
            return mask if isinstance(layer, _MAKING) else None
    raise NotImplementedError("a mask of steps within steps")


def left(writer: Writer, inputs: Any, mask: Any, result: Any) -> Any:
    """Return what a layer is to return with the mask of its outputs: within rows one that ends is left as theirs."""
    outputs, own = result
    if own is None and writer.within_rows and isinstance(mask, str) and isinstance(inputs, Value):
        own = writer.any_within(mask)
    return outputs, own
