"""Operators on constants and on sizes, done at once in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..package import imported
from .values import Constant, Size, UnsupportedError

_MOST = 1 << 24  # numbers that a constant may have which the file does not hold, but asks to be made


def _axes(node: Node, index: int = 1) -> list[int] | None:
    """Return the axes of an operator that has them as an attribute or, in later opsets, as an input."""
    if "axes" in node.attributes:
        return list(node.attributes["axes"])
    given = node.constants[index] if len(node.constants) > index else None
    return None if given is None else [int(k) for k in np.ravel(given)]


class Node:
    """An operator with its attributes and, as far as they are constants, its inputs."""

    def __init__(
        self, operator: str, attributes: dict[str, Any], inputs: list[Any], outputs: list[str], opset: int
    ) -> None:
        self.operator, self.attributes, self.inputs, self.outputs = operator, attributes, inputs, outputs
        self.opset = opset

    @property
    def constants(self) -> list[Constant | None]:
        """The inputs that are constants, None for others."""
        return [value if isinstance(value, np.ndarray) else None for value in self.inputs]

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute."""
        return self.attributes.get(name, default)

    def axes(self, index: int = 1) -> list[int] | None:
        """Return the axes, which are an attribute or, in later opsets, an input."""
        return _axes(self, index)

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
    if any(n < 0 for n in sizes) or math.prod(sizes) > _MOST:
        raise ValueError(f"expected a constant of at most {_MOST} numbers, got shape {sizes}")
    return sizes


def _slice(node: Node) -> Constant:
    data = node.inputs[0]
    starts, ends, axes, steps = slices(node, data.ndim)
    key: list[Any] = [slice(None)] * data.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        key[axis] = part(start, end, step)
    return np.array(data[tuple(key)])


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
    axes = list(range(len(starts))) if given[2] is None else [int(n) % count for n in np.ravel(given[2])]
    steps = [1] * len(starts) if given[3] is None else [int(n) for n in np.ravel(given[3])]
    return starts, ends, axes, steps


def _cast(node: Node) -> Constant:
    if node.inputs[0].dtype == object:
        return np.array(node.inputs[0])
    return np.asarray(node.inputs[0].astype(imported("load_model").helper.tensor_dtype_to_np_dtype(node.get("to"))))


def _reshape(node: Node) -> Constant:
    target = node.inputs[1] if len(node.inputs) > 1 else np.asarray(node.get("shape"))
    data = node.inputs[0]
    shape = [data.shape[k] if n == 0 else n for k, n in enumerate(target.tolist())]
    return np.asarray(data.reshape([1 if isinstance(n, Size) else n for n in shape]))


def _squeeze(node: Node) -> Constant:
    axes = _axes(node)
    return np.asarray(np.squeeze(node.inputs[0], None if axes is None else tuple(axes)))


def _unsqueeze(node: Node) -> Constant:
    return np.asarray(np.expand_dims(node.inputs[0], tuple(_axes(node) or ())))


def _constant_of_shape(node: Node) -> Constant:
    value = node.get("value", np.zeros(1, np.float32))
    return np.full(bounded(node.inputs[0]), value.reshape(-1)[0], value.dtype)


def _expand(node: Node) -> Constant:
    shape = np.broadcast_shapes(node.inputs[0].shape, bounded(node.inputs[1]))
    bounded(shape)
    return np.array(np.broadcast_to(node.inputs[0], shape))


def _tile(node: Node) -> Constant:
    times = bounded(node.inputs[1])
    bounded([a * b for a, b in zip(node.inputs[0].shape, times, strict=True)])
    return np.tile(node.inputs[0], times)


def _divide(node: Node) -> Constant:
    a, b = node.inputs
    return np.asarray(a // b if a.dtype.kind in "iuO" else a / b)


def _product(node: Node) -> Constant:
    axes = node.axes()
    return np.asarray(
        np.prod(node.inputs[0], None if axes is None else tuple(axes), keepdims=bool(node.get("keepdims", 1)))
    )


def _range(node: Node) -> Constant:
    start, limit, delta = (value.reshape(-1)[0] for value in node.inputs)
    if isinstance(limit, Size):
        raise UnsupportedError("Range to a size that is not known")
    bounded([abs(int((limit - start) // delta)) + 1])
    return np.arange(start, limit, delta)


_FUNCTIONS: dict[str, Callable[[Node], Any]] = {
    "Identity": lambda n: n.inputs[0],
    "Cast": _cast,
    "Reshape": _reshape,
    "Transpose": lambda n: np.transpose(n.inputs[0], n.get("perm")),
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Concat": lambda n: np.concatenate(n.inputs, n.get("axis")),
    "Slice": _slice,
    "Gather": lambda n: np.take(n.inputs[0], n.inputs[1].astype(np.int64), n.get("axis", 0)),
    "Shape": lambda n: np.array(n.inputs[0].shape, np.int64),
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
    "Tile": _tile,
    "Range": _range,
    "Add": lambda n: n.inputs[0] + n.inputs[1],
    "Sub": lambda n: n.inputs[0] - n.inputs[1],
    "Mul": lambda n: n.inputs[0] * n.inputs[1],
    "Div": _divide,
    "Neg": lambda n: -n.inputs[0],
    "Sqrt": lambda n: np.sqrt(n.inputs[0]),
    "Equal": lambda n: np.asarray(n.inputs[0] == n.inputs[1], bool),
    "Not": lambda n: ~n.inputs[0],
    "Where": lambda n: np.where(*n.inputs),
    "And": lambda n: n.inputs[0] & n.inputs[1],
    "Or": lambda n: n.inputs[0] | n.inputs[1],
    "ReduceProd": _product,
    "MatMul": lambda n: n.inputs[0] @ n.inputs[1],
}


def folded(node: Node) -> list[Constant]:
    """Return the outputs of an operator of constants.

    Raises
    ------
    UnsupportedError
        It is not known here.
    """
    if node.operator in _FUNCTIONS:
        try:
            return [np.asarray(_FUNCTIONS[node.operator](node))]
        except (TypeError, IndexError, AttributeError) as error:
            raise ValueError(f"{node.operator}: expected inputs that fit together ({error})") from error
    if node.operator == "Split":
        sizes = node.constant(1, "split") if node.get("split") is None else node.get("split")
        if sizes is None:
            each = -(-node.inputs[0].shape[node.get("axis", 0)] // len(node.outputs))
            sizes = [each] * len(node.outputs)
        ends = np.cumsum(sizes)[:-1]
        return list(np.split(node.inputs[0], ends, axis=node.get("axis", 0)))
    raise UnsupportedError(f"{node.operator} of constants")
