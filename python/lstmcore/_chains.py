"""All that scores the tags of a batch, in one array: what `layers.CRF` gives to its loss, and gets the gradient of.

For every row, one below the other and all as wide as there are tags: the emissions of its steps, the transitions from
each tag, the scores of a first and of a last tag, and how many steps count. So the loss is a function of targets and
one array, as every other, and its gradient by the layer's weights goes back with that by the emissions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_BEYOND = 3  # start, end, lengths


class Chains(NamedTuple):
    """The parts of such an array, as views.

    Attributes
    ----------
    emissions : (batch, steps, tags)
    transitions : (batch, tags, tags), the same for all rows; of a gradient, each row's own.
    start, end : (batch, tags), the same.
    lengths : (batch,)
    """

    emissions: Array
    transitions: Array
    start: Array
    end: Array
    lengths: Array


def steps_of(shape: tuple[int, ...]) -> int | None:
    """Return how many steps an array of that shape has; None if it cannot be one."""
    if len(shape) != 3 or not 1 <= shape[2] <= shape[1] - _BEYOND:
        return None
    return shape[1] - shape[2] - _BEYOND


def parted(chains: Array) -> Chains:
    """Return the parts of an array of chains."""
    steps, tags = chains.shape[1] - chains.shape[2] - _BEYOND, chains.shape[2]
    behind = chains[:, steps:]
    return Chains(chains[:, :steps], behind[:, :tags], behind[:, tags], behind[:, tags + 1], behind[:, tags + 2, 0])


def joined(emissions: Array, transitions: Array, start: Array, end: Array, lengths: Array | int) -> Array:
    """Return an array of chains; what has no batch is the same for all rows."""
    batch, steps, tags = emissions.shape
    chains = np.zeros((batch, steps + tags + _BEYOND, tags), emissions.dtype)
    parts = parted(chains)
    for part, given in zip(parts, (emissions, transitions, start, end, lengths), strict=True):
        part[...] = given
    return chains
