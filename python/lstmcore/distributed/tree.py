"""One order of summation for any number of processes: a fixed binary tree over the shards of a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .communicator import Communicator

Array = NDArray[Any]
T = TypeVar("T")
Node = tuple[int, int]  # the shards from the first to before the second


def cut(count: int, parts: int) -> list[int]:
    """Return where the parts of a row of so many begin and, at the end, ``count``: the first are the longer ones.

    >>> from lstmcore.distributed.tree import cut
    >>> cut(8, 3)
    [0, 3, 6, 8]
    """
    least, more = divmod(count, parts)
    return [k * least + min(k, more) for k in range(parts + 1)]


def halves(node: Node) -> tuple[Node, Node]:
    """Return the two nodes whose sum a node of several shards is: the first is a power of two, as large as can be."""
    first, last = node
    middle = first + (1 << (last - first - 1).bit_length() - 1)
    return (first, middle), (middle, last)


def nodes_within(first: int, last: int, shards: int) -> list[Node]:
    """Return the fewest nodes of the tree over all shards that make up those from ``first`` to before ``last``.

    >>> from lstmcore.distributed.tree import nodes_within
    >>> nodes_within(3, 8, 8)
    [(3, 4), (4, 8)]
    """

    def within(node: Node) -> list[Node]:
        if last <= node[0] or node[1] <= first:
            return []
        if first <= node[0] and node[1] <= last:
            return [node]
        return [part for half in halves(node) for part in within(half)]

    return within((0, shards))


def total(node: Node, known: Callable[[Node], bool], leaf: Callable[[Node], T], add: Callable[[T, T], T]) -> T:
    """Return the sum of a node in the order of the tree.

    Parameters
    ----------
    known, leaf : whether `leaf` returns the sum of a node, as that of a shard, or one that came as a whole.
    add : of two sums; may write over the first.
    """
    if known(node):
        return leaf(node)
    left, right = halves(node)
    first = total(left, known, leaf, add)  # in the order of the shards, also where a leaf is a pass through the model
    return add(first, total(right, known, leaf, add))


def added(left: Array, right: Array) -> Array:
    """Return the sum of two vectors, in the place of the first."""
    left += right
    return left


def sum_over_all(communicator: Communicator, sums: Sequence[Array], owners: Sequence[Sequence[Node]]) -> Array:
    """Return the sum over all shards of what every process has of its nodes, in the order of the tree.

    Each process adds up a piece of the vectors, and passes on what that came to: so a process sends as many numbers
    as a vector has, times one more than its nodes, less its own piece of each.

    Parameters
    ----------
    sums : of the nodes of this process, vectors of one length; one that is not used where it has no nodes.
    owners : the nodes of each process.
    """
    if communicator.size == 1 and len(sums) == 1:
        return sums[0]
    size, rank, count = communicator.size, communicator.rank, sums[0].size
    at, mine = cut(count, size), sums[: len(owners[rank])]
    nothing = sums[0][:0]
    received = communicator.exchange(
        [np.concatenate([nothing, *(vector[at[k] : at[k + 1]] for vector in mine)]) for k in range(size)]
    )
    length = at[rank + 1] - at[rank]
    known: dict[Node, Array] = {}
    for nodes, part in zip(owners, received, strict=True):
        known |= {node: part[k * length : (k + 1) * length] for k, node in enumerate(nodes)}
    whole = 0, max(node[1] for node in known)
    done = total(whole, known.__contains__, known.__getitem__, added)
    return np.concatenate(communicator.exchange([done] * size))
