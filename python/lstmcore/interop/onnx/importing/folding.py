"""Operators on constants and on sizes, done at once in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..package import imported
from .values import Constant, Numbers, Size, UnsupportedError, counted

_MOST_AXES = 16  # of a constant that is computed
_MOST = 1 << 22  # numbers that a constant may have which the file does not hold, but asks to be made


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
    if len(sizes) > _MOST_AXES or any(n < 0 for n in sizes) or math.prod(sizes) > _MOST:
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
    axes = list(range(len(starts))) if given[2] is None else [counted(int(n), count) for n in np.ravel(given[2])]
    steps = [1] * len(starts) if given[3] is None else [int(n) for n in np.ravel(given[3])]
    return starts, ends, axes, steps


def _cast(node: Node) -> Constant:
    if node.inputs[0].dtype == object:
        return np.array(node.inputs[0])
    return np.asarray(node.inputs[0].astype(imported("load_model").helper.tensor_dtype_to_np_dtype(node.get("to"))))


def _reshape(node: Node) -> Constant:
    target = node.inputs[1] if len(node.inputs) > 1 else np.asarray(node.get("shape"))
    data = node.inputs[0]
    kept = not node.get("allowzero", 0)
    shape = [data.shape[k] if kept and not isinstance(n, Size) and n == 0 else n for k, n in enumerate(target.tolist())]
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
    if a.dtype.kind not in "iu" or b.dtype.kind not in "iu":
        return np.asarray(a // b if a.dtype == object else a / b)
    if not b.all():
        raise ValueError("Div: expected no division of integers by zero")
    rounded = abs(a) // abs(b)  # towards zero
    return np.asarray(np.where((a < 0) == (b < 0), rounded, -rounded))


def _product(node: Node) -> Constant:
    axes = node.axes()
    return np.asarray(
        np.prod(node.inputs[0], None if axes is None else tuple(axes), keepdims=bool(node.get("keepdims", 1)))
    )


def _range(node: Node) -> Constant:
    start, limit, delta = (value.reshape(-1)[0] for value in node.inputs)
    if isinstance(limit, Size):
        if isinstance(start, Size) or start != 0 or delta != 1:
            raise UnsupportedError("Range to a size that is not known")
        numbers = np.empty(1, object)
        numbers[0] = Numbers(limit)
        return numbers
    bounded([abs(int((limit - start) // delta)) + 1])
    return np.arange(start, limit, delta)


def _grown(size: int, *arrays: Constant) -> None:
    """Refuse a result of many more numbers than it is made of, and so than the file holds."""
    if size > max(_MOST, sum(a.size for a in arrays)):
        raise ValueError(f"expected a constant of at most {_MOST} numbers, got {size}")


def _together(*arrays: Constant) -> None:
    """Refuse arrays whose numbers, spread out to a common shape, are many more than the file holds."""
    _grown(math.prod(np.broadcast_shapes(*(a.shape for a in arrays))), *arrays)


def _of_two(function: Callable[[Constant, Constant], Any]) -> Callable[[Node], Constant]:
    def result(node: Node) -> Constant:
        a, b = node.inputs
        _together(a, b)
        return np.asarray(function(a, b))

    return result


def _equal(node: Node) -> Constant:
    a, b = node.inputs
    _together(a, b)
    for one, other in np.broadcast(a, b):
        unknown = isinstance(one, Size) + isinstance(other, Size)
        # A size is at least 0, whatever it is.
        if (unknown == 2 and one is not other) or (unknown == 1 and (one if isinstance(other, Size) else other) >= 0):
            raise UnsupportedError("Equal of sizes that are not known")
    return np.asarray(a == b, bool)


def _compared(function: Callable[[Constant, Constant], Any]) -> Callable[[Node], Constant]:
    def result(node: Node) -> Constant:
        if any(array.dtype == object for array in node.inputs):
            raise UnsupportedError(f"{node.operator} of sizes that are not known")
        return _of_two(function)(node)

    return result


def _where(node: Node) -> Constant:
    _together(*node.inputs)
    return np.asarray(np.where(*node.inputs))


def _concat(node: Node) -> Constant:
    _grown(sum(a.size for a in node.inputs), *{id(a): a for a in node.inputs}.values())
    return np.concatenate(node.inputs, node.get("axis"))


def _matmul(node: Node) -> Constant:
    a, b = node.inputs
    size = math.prod(np.broadcast_shapes(a.shape[:-2], b.shape[:-2])) * math.prod((*a.shape[-2:-1], *b.shape[-1:]))
    _grown(size, a, b)
    return np.asarray(a @ b)


def _gemm(node: Node) -> Constant:
    a, b = (m.T if node.get(name, 0) else m for m, name in zip(node.inputs[:2], ("transA", "transB"), strict=True))
    product = a.dtype.type(node.get("alpha", 1.0)) * _matmul(Node("MatMul", {}, [a, b], [], node.opset))
    return (
        product if len(node.inputs) < 3 else np.asarray(product + a.dtype.type(node.get("beta", 1.0)) * node.inputs[2])
    )


def _gather(node: Node) -> Constant:
    data, indices, axis = node.inputs[0], node.inputs[1].astype(np.int64), node.get("axis", 0)
    size = indices.size * (data.size // max(1, data.shape[axis]))
    _grown(size, data)
    return np.asarray(np.take(data, indices, axis))


_FUNCTIONS: dict[str, Callable[[Node], Any]] = {
    "Identity": lambda n: n.inputs[0],
    "Cast": _cast,
    "Reshape": _reshape,
    "Transpose": lambda n: np.transpose(n.inputs[0], n.get("perm")),
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Concat": _concat,
    "Slice": _slice,
    "Gather": _gather,
    "Shape": lambda n: np.array(n.inputs[0].shape, np.int64),
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
    "Tile": _tile,
    "Range": _range,
    "Add": _of_two(np.add),
    "Sub": _of_two(np.subtract),
    "Mul": _of_two(np.multiply),
    "Div": _divide,
    "Neg": lambda n: -n.inputs[0],
    "Sqrt": lambda n: np.sqrt(n.inputs[0]),
    "Equal": _equal,
    "Less": _compared(np.less),
    "LessOrEqual": _compared(np.less_equal),
    "Greater": _compared(np.greater),
    "GreaterOrEqual": _compared(np.greater_equal),
    "Not": lambda n: ~n.inputs[0],
    "Where": _where,
    "And": _of_two(np.logical_and),
    "Or": _of_two(np.logical_or),
    "ReduceProd": _product,
    "MatMul": _matmul,
    "Gemm": _gemm,
}

OPERATORS = (*_FUNCTIONS, "Split")


def folded(node: Node) -> list[Constant]:
    """Return the outputs of an operator of constants.

    Raises
    ------
    UnsupportedError
        It is not known here.
    """
    objects = [array for array in node.inputs if array is not None and array.dtype == object]
    counts = any(isinstance(n, Numbers) for array in objects for n in array.flat)
    if counts and node.operator not in ("Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Shape"):
        raise UnsupportedError(f"{node.operator} of numbers up to a size that is not known")
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
