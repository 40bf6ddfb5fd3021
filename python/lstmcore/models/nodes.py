"""Nodes of a graph as Keras draws it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Node:
    """A call of a layer, or an operation that makes a mask.

    Attributes
    ----------
    owner : the layer, which may have several nodes; an operation owns itself.
    sources : the nodes that its arguments come from, in the order of these.
    """

    __slots__ = ("owner", "sources")

    def __init__(self, owner: Any = None, sources: Sequence[Node] = ()) -> None:
        self.owner = self if owner is None else owner
        self.sources = list(sources)
