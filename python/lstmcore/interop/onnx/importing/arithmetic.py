"""Operators of numbers on constants and on sizes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import UnsupportedError
from .nodes import MOST, Node
from .sizes import Size
from .values import Constant


def grown(size: int, *arrays: Constant) -> None:
    """Refuse a result of many more numbers than it is made of, and so than the file holds."""
    if size > max(MOST, sum(a.size for a in arrays)):
        raise ValueError(f"expected a constant of at most {MOST} numbers, got {size}")


def together(*arrays: Constant) -> None:
    """Refuse arrays whose numbers, spread out to a common shape, are many more than the file holds."""
    grown(math.prod(np.broadcast_shapes(*(a.shape for a in arrays))), *arrays)


def of_two(function: Callable[[Constant, Constant], Any]) -> Callable[[Node], Constant]:
    """Return an operator of two arrays, which are spread out to a common shape."""

    def result(node: Node) -> Constant:
        a, b = node.inputs
        together(a, b)
        return np.asarray(function(a, b))

    return result


def of_numbers(function: Callable[..., Any]) -> Callable[[Node], Constant]:
    """Return an operator of arrays in which all numbers are known."""

    def result(node: Node) -> Constant:
        if any(array.dtype == object for array in node.inputs):
            raise UnsupportedError(f"{node.operator} of sizes that are not known")
        together(*node.inputs)
        with np.errstate(all="ignore"):
            return np.asarray(function(*node.inputs))

    return result


def equal(node: Node) -> Constant:
    """Return where numbers are equal."""
    a, b = node.inputs
    together(a, b)
    for one, other in np.broadcast(a, b):
        unknown = isinstance(one, Size) + isinstance(other, Size)
        # A size is at least 0, whatever it is.
        if (unknown == 2 and one is not other) or (unknown == 1 and (one if isinstance(other, Size) else other) >= 0):
            raise UnsupportedError("Equal of sizes that are not known")
    return np.asarray(a == b, bool)


def compared(function: Callable[[Constant, Constant], Any]) -> Callable[[Node], Constant]:
    """Return an operator that compares numbers."""

    def result(node: Node) -> Constant:
        if any(array.dtype == object for array in node.inputs):
            raise UnsupportedError(f"{node.operator} of sizes that are not known")
        return of_two(function)(node)

    return result


def where(node: Node) -> Constant:
    """Return numbers of one array where a condition is true, and of another elsewhere."""
    together(*node.inputs)
    return np.asarray(np.where(*node.inputs))


def divide(node: Node) -> Constant:
    """Return quotients, of integers towards zero."""
    a, b = node.inputs
    if object in (a.dtype, b.dtype):
        real = any(isinstance(n, Size) and n.real for array in (a, b) for n in array.flat)
        return np.asarray(a / b if real else a // b)
    if a.dtype.kind not in "iu" or b.dtype.kind not in "iu":
        return np.asarray(a / b)
    if not b.all():
        raise ValueError("Div: expected no division of integers by zero")
    rounded = abs(a) // abs(b)  # towards zero
    return np.asarray(np.where((a < 0) == (b < 0), rounded, -rounded))


def remainder(node: Node) -> Constant:
    """Return what is left over by a division: with the sign of the divisor, or with ``fmod`` of the dividend."""
    if any(array.dtype.kind in "iu" and not array.all() for array in node.inputs[1:]):
        raise ValueError("Mod: expected no division of integers by zero")
    return of_numbers(np.fmod if node.get("fmod", 0) else np.mod)(node)


def matmul(node: Node) -> Constant:
    """Return products of matrices."""
    a, b = node.inputs
    size = math.prod(np.broadcast_shapes(a.shape[:-2], b.shape[:-2])) * math.prod((*a.shape[-2:-1], *b.shape[-1:]))
    grown(size, a, b)
    return np.asarray(a @ b)


def gemm(node: Node) -> Constant:
    """Return a product of matrices and a sum."""
    a, b = (m.T if node.get(name, 0) else m for m, name in zip(node.inputs[:2], ("transA", "transB"), strict=True))
    product = a.dtype.type(node.get("alpha", 1.0)) * matmul(Node("MatMul", {}, [a, b], [], node.opset))
    return (
        product if len(node.inputs) < 3 else np.asarray(product + a.dtype.type(node.get("beta", 1.0)) * node.inputs[2])
    )
