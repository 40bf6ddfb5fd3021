"""An operator of a file, and what several of them are told in the same way."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .errors import UnsupportedError
from .sizes import Size
from .values import Constant, counted

_MOST_AXES = 16  # of a constant that is computed
MOST = 1 << 22  # numbers that a constant may have which the file does not hold, but asks to be made


class Node:
    """An operator with its attributes and, as far as they are constants, its inputs."""

    def __init__(
        self, operator: str, attributes: dict[str, Any], inputs: list[Any], outputs: list[str], opset: int
    ) -> None:
        self.operator, self.attributes, self.inputs, self.outputs = operator, attributes, inputs, outputs
        self.opset = opset
        self.shared: dict[Any, Any] = {}  # layers by their weights

    @property
    def constants(self) -> list[Constant | None]:
        """The inputs that are constants, None for others."""
        return [value if isinstance(value, np.ndarray) else None for value in self.inputs]

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute."""
        return self.attributes.get(name, default)

    def axes(self, index: int = 1) -> list[int] | None:
        """Return the axes, which are an attribute or, in later opsets, an input."""
        if "axes" in self.attributes:
            return list(self.attributes["axes"])
        given = self.constants[index] if len(self.constants) > index else None
        return None if given is None else [int(k) for k in np.ravel(given)]

    def constant(self, index: int, name: str) -> Constant | None:
        """Return an input that is to be a constant, or None where it is left out."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if value is not None and not isinstance(value, np.ndarray):
            raise UnsupportedError(f"{name} that is computed")
        return value


def bounded(shape: Any) -> tuple[int, ...]:
    """Return a shape as numbers, with 1 for a size that is not known, whose constants are broadcast; refuse huge ones.

    A constant that is the same along the batch is one of a single row.
    """
    sizes = tuple(1 if isinstance(n, Size) else int(n) for n in np.ravel(shape))
    if len(sizes) > _MOST_AXES or any(n < 0 for n in sizes) or math.prod(sizes) > MOST:
        raise ValueError(f"expected a constant of at most {MOST} numbers, got shape {sizes}")
    return sizes


def part(start: int, end: int, step: int) -> slice:
    """Return the slice of numbers as ONNX gives them, where a large one says to the end."""
    if step > 0:
        return slice(start or None, None if end >= 2**31 - 1 else end, step if step > 1 else None)
    return slice(
        None if start in (-1, 2**63 - 1) or start >= 2**31 - 1 else start, None if end < -(2**31) + 1 else end, step
    )


def slices(node: Node, count: int) -> tuple[list[int], list[int], list[int], list[int]]:
    """Return starts, ends, axes and steps of a Slice."""
    if node.opset < 10:
        given: list[Any] = [node.get("starts"), node.get("ends"), node.get("axes"), None]
    else:
        given = [node.constant(k, name) for k, name in ((1, "starts"), (2, "ends"), (3, "axes"), (4, "steps"))]
    if any(isinstance(n, Size) for part in given if part is not None for n in np.ravel(part)):
        raise UnsupportedError("ends that are computed")
    starts, ends = ([int(n) for n in np.ravel(part)] for part in given[:2])
    axes = list(range(len(starts))) if given[2] is None else [counted(int(n), count) for n in np.ravel(given[2])]
    steps = [1] * len(starts) if given[3] is None else [int(n) for n in np.ravel(given[3])]
    return starts, ends, axes, steps
