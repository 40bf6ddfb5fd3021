"""The way back through functions that have none of their own: the only place that knows the package autograd."""

from __future__ import annotations

import functools
import importlib
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# What autograd counts nested traces with is one number for all threads.
_tracing = threading.RLock()
if hasattr(os, "register_at_fork"):  # a child has none of the threads that may hold it
    os.register_at_fork(before=_tracing.acquire, after_in_parent=_tracing.release, after_in_child=_tracing.release)

_ADVICE = "write it with autograd.numpy in place of numpy (import autograd.numpy as np), and write into no array"


def pullback(
    function: Callable[[list[Any]], Sequence[Any]], arrays: Sequence[Array], where: str
) -> tuple[list[Any], Callable[[Sequence[Any]], list[Array]]]:
    """Return what a function makes of arrays, and the way back.

    >>> import autograd.numpy as np
    >>> from lstmcore._autograd import pullback
    >>> results, back = pullback(lambda arrays: [np.sum(arrays[0] ** 2)], [np.array([1.0, 3.0])], "square")
    >>> float(results[0]), back([1.0])
    (10.0, [array([2., 6.])])

    Parameters
    ----------
    function : from a list of arrays to a list of arrays or numbers; it is run once, with what stands for the arrays.
    arrays : of floating-point numbers, which nobody may write to until the way back is done.
    where : what errors begin with.

    Returns
    -------
    The results; and a function from the gradients of these, None for one that was not used, to those of the arrays, in
    their shapes and dtypes.

    Raises
    ------
    ImportError
        There is no autograd.
    TypeError
        The function does what autograd cannot follow.
    """
    make_vjp, make_tuple = _of_autograd("core", where).make_vjp, _of_autograd("builtins", where).tuple

    def traced(given: Any) -> Any:
        parts = function([given[k] for k in range(len(arrays))])
        for part in parts:
            if isinstance(part, np.ndarray) and part.dtype == object:
                raise TypeError(f"{where}: has no gradient that autograd could follow; {_ADVICE}")
        # One more, so that there is a way back even where no result depends on the arrays.
        return make_tuple([*parts, given[len(arrays)]])

    with _tracing:
        try:
            vjp, results = make_vjp(traced, [*arrays, np.zeros(())])
        except (TypeError, ValueError, AttributeError, NotImplementedError) as error:
            if not any(word in str(error) for word in ("ArrayBox", "VJP of", "truth value")):
                raise
            raise TypeError(f"{where}: has no gradient that autograd could follow ({error}); {_ADVICE}") from error

    def back(gradients: Sequence[Any]) -> list[Array]:
        given = [
            np.zeros_like(result) if d is None or dtype.kind != "f" else np.asarray(d, dtype)  # integers have none
            for result, dtype, d in zip(results[:-1], map(np.result_type, results[:-1]), gradients, strict=True)
        ]
        found = vjp((*given, np.zeros(())))
        return [np.asarray(d, array.dtype) for d, array in zip(found, arrays, strict=False)]

    return list(results[:-1]), back


def is_traced(value: Any) -> bool:
    """Whether a value stands for an array in a function whose gradient is being derived."""
    tracer = sys.modules.get("autograd.tracer")  # without which nothing does
    return tracer is not None and bool(tracer.isbox(value))


def untraced(value: Any) -> Any:
    """Return the array that a value stands for, or the value."""
    while is_traced(value):
        value = value._value
    return value


def applied(forward: Callable[..., Array], backwards: Sequence[Callable[..., Array]], *xs: Any) -> Any:
    """Return what ``forward`` makes of what stands for arrays; a way back is dx of all x, of y and of dy."""
    return _applied()(forward, backwards, *xs)


@functools.cache
def _applied() -> Any:
    extend = _of_autograd("extend", "activation or loss")

    def apply(forward: Any, backwards: Any, *xs: Array) -> Array:
        result: Array = forward(*xs)
        return result

    def way_back(k: int) -> Any:
        return lambda y, forward, backwards, *xs: lambda dy: backwards[k](*xs, y, dy)

    primitive = extend.primitive(apply)
    extend.defvjp(primitive, way_back(0), way_back(1), argnums=(2, 3))
    return primitive


def _of_autograd(part: str, where: str) -> Any:
    try:
        importlib.import_module("autograd.numpy")  # which tells autograd of arrays
        return importlib.import_module(f"autograd.{part}")
    except ImportError:
        raise ImportError(
            f'{where}: has no gradient of its own, and needs the package autograd: pip install "lstmcore[grad]"; or '
            "write the backward pass"
        ) from None
