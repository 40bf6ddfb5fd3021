"""Cells on top of each other, each with what runs it over a sequence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import ArrayLike

from ..streaming import Chain, Stage
from ._cell_runner import CellRunner
from .cell import Cell
from .cells import LayerCell
from .layer import Array, Shape
from .recurrent import Recurrent


class Stack:
    """Runs cells of one direction, the outputs of one being the inputs of the next.

    This is the one place that goes through the cells of an `RNN` in their order. It is no plan of a graph: all cells
    have the mask of the sequence, or its ``lengths``, at its own steps in either direction, and a call says of each
    whether it is given states. As a plan that is longer, and doubles what a small step costs.

    Parameters
    ----------
    cells : from the lowest on.
    return_sequences, go_backwards : as for `RNN`.
    """

    def __init__(self, cells: Sequence[Cell], return_sequences: bool, go_backwards: bool) -> None:
        self.cells = list(cells)
        self.runners: list[Recurrent | CellRunner] = []
        for k, cell in enumerate(cells):
            runner = cell.layer if isinstance(cell, LayerCell) and not cell.has_own_step() else CellRunner(cell)
            # All but the last feed the next one; a masked step of theirs is never looked at.
            runner.return_sequences = return_sequences or k < len(cells) - 1
            self.runners.append(runner)
        self.turn(go_backwards)

    def turn(self, go_backwards: bool) -> None:
        """Go this way from now on."""
        for runner in self.runners:
            runner.go_backwards = go_backwards

    @property
    def keepers(self) -> list[Any]:
        """What keeps something of a call and is no layer."""
        return [runner for runner in self.runners if isinstance(runner, CellRunner)]

    @property
    def outputs(self) -> int:
        """Width of the outputs."""
        last = self.cells[-1]
        return int(last.output_size or last.state_sizes[0])

    def build(self, batch: int | None, features: int) -> None:
        """Create the weights of all cells."""
        shape: Shape = (batch, features)
        for cell in self.cells:
            cell.ensure_built(shape)
            shape = (batch, cell.compute_output_shape((None, shape[1]))[1])

    # --- states: all in a row, or in a list for each cell ---

    @property
    def state_sizes(self) -> list[int]:
        """Widths of all states, cell by cell."""
        return [size for cell in self.cells for size in cell.state_sizes]

    @property
    def state_names(self) -> list[str]:
        """Names of all states, for messages."""
        return [f"{name} of {cell.name}" for cell in self.cells for name in cell.state_names]

    def by_cell(self, flat: Sequence[Any]) -> list[list[Any]]:
        """Return what there is for each state in a list for each cell."""
        left, groups = list(flat), []
        for cell in self.cells:
            count = len(cell.state_sizes)
            groups.append(left[:count])
            left = left[count:]
        return groups

    def initial_states(self, batch: int) -> list[list[Array] | None]:
        """Return for each cell what it says that its states begin with, None for zeros."""
        return [cell.initial_states(batch) for cell in self.cells]

    # --- passes ---

    def run(
        self,
        inputs: Array,
        training: bool,
        first: Sequence[list[Array] | None],
        mask: ArrayLike | None,
        lengths: ArrayLike | None,
        zero_output_for_mask: bool,
    ) -> tuple[Array, list[Array]]:
        """Return outputs, each at its own step whatever the direction, and all last states."""
        states: list[Array] = []
        outputs = inputs
        for runner, start in zip(self.runners, first, strict=True):
            outputs, last = runner.run(
                outputs, training, start, mask, lengths, zero_output_for_mask=zero_output_for_mask
            )
            states += last
        return outputs, states

    def run_backward(
        self, d_outputs: Array | None, need_d_inputs: bool, d_last: Sequence[Any]
    ) -> tuple[Array | None, list[list[Any] | None]]:
        """Return the gradient of the inputs, if needed, and of each cell's first states, if it was given any."""
        gradient = d_outputs
        d_first: list[list[Any] | None] = []
        for k in reversed(range(len(self.runners))):
            runner = self.runners[k]
            gradient = runner.run_backward(gradient, need_d_inputs or k > 0, d_last[k])
            d_first.insert(0, runner.d_initial_state)
        return gradient, d_first

    def stream(self, batch_size: int, steps: int, first: Callable[[], Sequence[list[Array] | None]]) -> Stage:
        """Return an object that runs the cells piece by piece, from the states that ``first`` returns for each."""

        def stage(k: int, told: bool) -> Stage:
            cell, runner = self.cells[k], self.runners[k]
            if isinstance(runner, Recurrent) and not told:
                return runner.stream(batch_size, steps)
            return runner.stream_from(lambda: first()[k] or cell.zeros(batch_size))

        return Chain([stage(k, start is not None) for k, start in enumerate(first())], batch_size, steps)

    def kernel_info(self) -> str:
        """Say what the cells run on."""
        return "; ".join(runner.kernel_info() for runner in self.runners)
