"""What is known where a layer is written: its inputs, their masks, what it may return."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .writer import Value, Writer


@dataclass
class Context:
    """A call of a layer, in names of the graph.

    Attributes
    ----------
    writer : the graph.
    layer : the layer.
    inputs : a value, or a list or dict of them.
    mask : the name of the mask (batch, steps) of the inputs, or a list of such; None where all steps count.
    options : further arguments of the call, with values for symbols.
    shape : of what the call returns.
    write : called with a layer, its inputs, mask and options, and the shape of its outputs, writes a layer within.
    draw : called with a drawing, values and masks, writes a model within.
    states : called with a recurrent layer and the widths of its states, where these are to be inputs of the graph;
        returns their names.
    last_states : the names of its last states.
    """

    writer: Writer
    layer: Any
    inputs: Any
    mask: Any
    options: dict[str, Any]
    shape: Any
    write: Callable[..., tuple[Any, Any]]
    draw: Callable[..., tuple[Any, Any]]
    states: Callable[[Any, list[int]], list[str]] | None = None
    last_states: list[str] = field(default_factory=list)

    @property
    def x(self) -> str:
        """The name of the only input."""
        return str(self.inputs.name)

    @property
    def axes(self) -> int:
        """The number of axes of the only input."""
        return len(self.inputs.shape)

    def parts(self) -> list[Value]:
        """The inputs, one after the other."""
        given = self.inputs.values() if isinstance(self.inputs, dict) else self.inputs
        return list(given) if not isinstance(self.inputs, Value) else [self.inputs]

    def aligned(self) -> list[str]:
        """The names of the inputs with equal numbers of axes: those that some lack stand behind the batch."""
        parts = self.parts()
        most = max(len(part.shape) for part in parts)
        names = []
        for part in parts:
            missing = most - len(part.shape)
            names.append(self.writer.unsqueeze(part.name, *range(1, 1 + missing)) if missing else part.name)
        return names
