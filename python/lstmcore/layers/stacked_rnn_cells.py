"""Cells on top of each other."""

from __future__ import annotations

from collections.abc import Sequence

from ..serialization import Configurable
from .cell import Cell


class StackedRNNCells(Configurable):
    """Cells on top of each other: the output of one is the input of the next.

    >>> from lstmcore.layers import RNN, GRUCell, StackedRNNCells
    >>> len(RNN(StackedRNNCells([GRUCell(8), GRUCell(4)])).cells)
    2
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        if not isinstance(cells, (list, tuple)):
            raise TypeError(f"StackedRNNCells: cells: expected a list of cells, got {cells!r}")
        if not cells:
            raise ValueError("StackedRNNCells: cells: expected at least one")
        for cell in cells:
            if not isinstance(cell, Cell):
                raise ValueError(f"StackedRNNCells: cells: expected cells, got {cell!r}")
            if not hasattr(cell, "state_size"):
                raise ValueError(
                    f"{cell.name}: state_size: expected the width of the states, or a list of them, to be set by the "
                    "class or its __init__"
                )
            _ = cell.state_sizes  # refuses what is no width
        self.cells = list(cells)

    @property
    def state_size(self) -> list[int | Sequence[int]]:
        """Widths of the states, cell by cell."""
        return [cell.state_size for cell in self.cells]
