"""Masks that Keras's MultiHeadAttention takes off its inputs, so that who comes later finds none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...layers import AdditiveAttention, Attention, MultiHeadAttention
from ...layers.merging import Factors
from .flow import Met

# Others that take masks get them as arguments that were noted when the graph was drawn.
_LOOK = (AdditiveAttention, Attention, Factors, MultiHeadAttention)


def uncertain(calls: Sequence[Met]) -> Iterator[str]:
    """Return the names of layers that get a mask in Keras or not, by which of them is called first."""
    taken: dict[int, set[int]] = {}  # calls that take the mask off a tensor
    for k, met in enumerate(calls):
        if isinstance(met.layer, MultiHeadAttention):
            for stream in met.inputs:
                if stream.masked:
                    taken.setdefault(stream.number, set()).add(k)
    lost: set[int] = set()
    for k, met in enumerate(calls):
        numbers = {stream.number for stream in met.inputs if stream.masked}
        if any(number in lost or taken.get(number, set()) - {k} for number in numbers):
            if isinstance(met.layer, _LOOK):
                yield met.layer.name
            if met.output.masked and not any(stream.number == met.output.number for stream in met.inputs):
                lost.add(met.output.number)
