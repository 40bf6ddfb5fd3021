"""What training on several processes asks of what connects them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Communicator:
    """Connects the processes of a training. All of them call the same methods in the same order.

    Attributes
    ----------
    rank : the number of this process, from 0 on.
    size : how many there are.
    """

    rank = 0
    size = 1

    def exchange(self, parts: Sequence[Array]) -> list[Array]:
        """Send each process the part of its number, one-dimensional and of one dtype; return what each has sent here.

        What comes from a process has a length of its own, a multiple of what the others' parts for here have.
        """
        raise NotImplementedError

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all processes, by their numbers."""
        raise NotImplementedError

    def broadcast(self, value: Any) -> Any:
        """Return the value of process 0."""
        return self.gather(value if self.rank == 0 else None)[0]

    def barrier(self) -> None:
        """Wait until all processes are here."""
        self.gather(None)


class Alone(Communicator):
    """The only process."""

    def exchange(self, parts: Sequence[Array]) -> list[Array]:
        """Return the part for this process."""
        return [np.asarray(part) for part in parts]

    def gather(self, value: Any) -> list[Any]:
        """Return the value."""
        return [value]
