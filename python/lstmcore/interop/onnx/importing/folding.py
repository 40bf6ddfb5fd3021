"""Operators on constants and on sizes, done at once in NumPy."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..package import imported
from . import arithmetic
from .errors import UnsupportedError
from .nodes import Node, bounded, part, slices
from .sizes import Numbers, Size
from .values import Constant


def _slice(node: Node) -> Constant:
    data = node.inputs[0]
    starts, ends, axes, steps = slices(node, data.ndim)
    key: list[Any] = [slice(None)] * data.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        key[axis] = part(start, end, step)
    return np.array(data[tuple(key)])


def _cast(node: Node) -> Constant:
    target = np.dtype(imported("load_model").helper.tensor_dtype_to_np_dtype(node.get("to")))
    if node.inputs[0].dtype != object:
        return np.asarray(node.inputs[0].astype(target))
    cast = np.array(node.inputs[0])
    for place, one in np.ndenumerate(cast):
        if isinstance(one, Size):
            cast[place] = one.cast(target.kind == "f")
    return cast


def _reshape(node: Node) -> Constant:
    target = node.inputs[1] if len(node.inputs) > 1 else np.asarray(node.get("shape"))
    data = node.inputs[0]
    kept = not node.get("allowzero", 0)
    shape = [data.shape[k] if kept and not isinstance(n, Size) and n == 0 else n for k, n in enumerate(target.tolist())]
    return np.asarray(data.reshape([1 if isinstance(n, Size) else n for n in shape]))


def _squeeze(node: Node) -> Constant:
    axes = node.axes()
    return np.asarray(np.squeeze(node.inputs[0], None if axes is None else tuple(axes)))


def _unsqueeze(node: Node) -> Constant:
    return np.asarray(np.expand_dims(node.inputs[0], tuple(node.axes() or ())))


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


def _concat(node: Node) -> Constant:
    arithmetic.grown(sum(a.size for a in node.inputs), *{id(a): a for a in node.inputs}.values())
    return np.concatenate(node.inputs, node.get("axis"))


def _gather(node: Node) -> Constant:
    data, indices, axis = node.inputs[0], node.inputs[1].astype(np.int64), node.get("axis", 0)
    size = indices.size * (data.size // max(1, data.shape[axis]))
    arithmetic.grown(size, data)
    return np.asarray(np.take(data, indices, axis))


_OF_NUMBERS: dict[str, Callable[..., Any]] = {
    "Abs": np.abs,
    "Exp": np.exp,
    "Log": np.log,
    "Sin": np.sin,
    "Cos": np.cos,
    "Tanh": np.tanh,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Round": np.rint,
    "Sign": np.sign,
    "Reciprocal": lambda x: (1 / x).astype(x.dtype),
    "Pow": lambda x, y: np.power(x, y).astype(x.dtype),
    "Max": lambda *arrays: functools.reduce(np.maximum, arrays),
    "Min": lambda *arrays: functools.reduce(np.minimum, arrays),
}
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
    "Add": arithmetic.of_two(np.add),
    "Sub": arithmetic.of_two(np.subtract),
    "Mul": arithmetic.of_two(np.multiply),
    "Div": arithmetic.divide,
    "Neg": lambda n: -n.inputs[0],
    "Sqrt": lambda n: np.sqrt(n.inputs[0]),
    **{kind: arithmetic.of_numbers(function) for kind, function in _OF_NUMBERS.items()},
    "Mod": arithmetic.remainder,
    "Equal": arithmetic.equal,
    "Less": arithmetic.compared(np.less),
    "LessOrEqual": arithmetic.compared(np.less_equal),
    "Greater": arithmetic.compared(np.greater),
    "GreaterOrEqual": arithmetic.compared(np.greater_equal),
    "Not": lambda n: ~n.inputs[0],
    "Where": arithmetic.where,
    "And": arithmetic.of_two(np.logical_and),
    "Or": arithmetic.of_two(np.logical_or),
    "ReduceProd": _product,
    "MatMul": arithmetic.matmul,
    "Gemm": arithmetic.gemm,
}

OPERATORS = (*_FUNCTIONS, "Split")


def _known(result: Constant, objects: list[Constant]) -> Constant:
    """Return an array as one of numbers if no size that is not known is left in it."""
    if result.dtype != object or any(isinstance(n, (Size, Numbers)) for n in result.flat):
        return result
    real = any(isinstance(n, Size) and n.real for array in objects for n in array.flat)
    return result.astype(np.float32 if real else np.int64)


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
            return [_known(np.asarray(_FUNCTIONS[node.operator](node)), objects)]
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
