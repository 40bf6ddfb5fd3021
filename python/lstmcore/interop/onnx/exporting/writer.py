"""A graph of ONNX while it is written: nodes, constants and names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..package import imported

Array = NDArray[Any]
OPSET = 17  # the first with LayerNormalization; of later ones nothing is needed
IR_VERSION = 8  # of the same release of ONNX


class Value(NamedTuple):
    """An array of the graph: its name there, and the shape and dtype that are known of it."""

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]


class Writer:
    """Collects the nodes and constants of a graph whose numbers are of a dtype.

    Parameters
    ----------
    dtype : float32 or float64.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.onnx = imported("export")
        self.dtype = dtype
        self.scope = ""  # the name of the layer that is written, which names begin with
        self.nodes: list[Any] = []
        self.constants: dict[str, Array] = {}
        self.mask_axes: dict[str, int] = {}  # of masks that are not (batch, steps)
        self.within_rows = False  # whether rows are steps of something longer: within TimeDistributed
        self._known: dict[tuple[Any, ...], str] = {}
        self._names: set[str] = set()

    def name(self, wanted: str) -> str:
        """Return a name that nothing has yet."""
        name, count = wanted, 0
        while name in self._names:
            count += 1
            name = f"{wanted}_{count}"
        self._names.add(name)
        return name

    def constant(self, array: Any, name: str = "constant") -> str:
        """Return the name of a constant; equal ones are written once."""
        array = np.array(array, order="C")  # keeps numbers without axes, as np.ascontiguousarray does not
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = self.name(f"{self.scope}/{name}")
            self.constants[self._known[key]] = array
        return self._known[key]

    def number(self, value: Any) -> str:
        """Return the name of a constant of the graph's dtype."""
        return self.constant(np.asarray(value, self.dtype))

    def integers(self, values: Sequence[int] | int) -> str:
        """Return the name of a constant of integers."""
        return self.constant(np.asarray(values, np.int64))

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output; return its name."""
        return self.add_several(operator, list(inputs), 1, **attributes)[0]

    def add_several(self, operator: str, inputs: list[str], outputs: int, **attributes: Any) -> list[str]:
        """Add a node; return the names of its outputs."""
        label = self.name(f"{self.scope}/{operator}")
        names = [self.name(f"{label}_output{k or ''}") for k in range(outputs)]
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, names, label, **attributes))
        return names

    # --- what many layers say ---

    def cast(self, name: str, dtype: Any) -> str:
        """Return the name of an array in another dtype."""
        return self.add("Cast", name, to=self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def squeeze(self, name: str, axis: int) -> str:
        """Return the name of an array without an axis."""
        return self.add("Squeeze", name, self.integers([axis]))

    def unsqueeze(self, name: str, *axes: int) -> str:
        """Return the name of an array with further axes of size 1."""
        return self.add("Unsqueeze", name, self.integers(axes))

    def transpose(self, name: str, *order: int) -> str:
        """Return the name of an array with its axes in another order."""
        return self.add("Transpose", name, perm=list(order))

    def size(self, name: str, axis: int) -> str:
        """Return the name of the size of an axis, (1,)."""
        return self.add("Slice", self.add("Shape", name), self.integers([axis]), self.integers([axis + 1]))

    def slice(self, name: str, axis: int, start: int, stop: int, step: int = 1) -> str:
        """Return the name of a part of an array along an axis."""
        ends = [self.integers([n]) for n in (start, stop, axis, step)]
        return self.add("Slice", name, *ends)

    def reversed(self, name: str, axis: int) -> str:
        """Return the name of an array with an axis from its end to its beginning."""
        return self.slice(name, axis, -1, np.iinfo(np.int64).min + 1, -1)

    def masked(self, name: str, mask: str, axes: int) -> str:
        """Return the name of an array of so many axes that is zero where a mask of its first ones is False."""
        own = self.axes_of(mask)
        wide = self.unsqueeze(mask, *range(own, axes)) if axes > own else mask
        return self.add("Where", wide, name, self.number(0))

    def axes_of(self, mask: str) -> int:
        """Return the number of axes of a mask."""
        return self.mask_axes.get(mask, 2)

    def mask(self, name: str, axes: int) -> str:
        """Return the name of a mask, of which it is said here how many axes it has."""
        self.mask_axes[name] = axes
        return name

    def both(self, mask: str, other: str | None) -> str:
        """Return the name of what is left in by two masks, the second of which may be none."""
        if other is None:
            return mask
        if self.axes_of(mask) != self.axes_of(other):
            raise NotImplementedError("masks of steps and of steps within steps together")
        return self.mask(self.add("And", mask, other), self.axes_of(mask))

    def any_within(self, mask: str) -> str:
        """Return the name of the mask (batch,) of the rows that have any step that counts."""
        if self.axes_of(mask) == 1:
            return mask
        axes = self.integers(range(1, self.axes_of(mask)))
        counts = self.add("ReduceSum", self.cast(mask, np.int64), axes, keepdims=0)
        return self.mask(self.add("Greater", counts, self.integers(0)), 1)

    def positions(self, mask: str) -> str:
        """Return the name of the steps 0, 1, … that a mask (batch, steps) is about, (steps,)."""
        count = self.squeeze(self.size(mask, 1), 0)
        return self.add("Range", self.integers(0), count, self.integers(1))
