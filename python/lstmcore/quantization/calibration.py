"""The ranges of what layers are given, over data."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .._arguments import ArgumentTypeError
from .._tree import leaves, rows_of
from ..layers import _quantized
from ..layers._typed import within
from ..layers.recurrent import Recurrent


def input_ranges(model: Any, x: Any) -> dict[int, float]:
    """Return the largest magnitude in what each layer that can be quantized is given for ``x``, by identity.

    An `Embedding`, which is given integers, has none.

    Raises
    ------
    ValueError
        There are NaN or infinities in ``x`` or in what a layer is given, or a layer is not run.
    """
    for k, part in enumerate(leaves(x)):
        # Of a source of batches, layers tell what they are given.
        if isinstance(part, np.ndarray) and part.dtype.kind == "f" and not np.isfinite(part).all():
            raise ValueError(f"calibrate: expected finite numbers, got NaN or infinities in array {k}")
    layers = [
        layer for layer in within(model) if _quantized.can_be(layer) and not any(layer.quantized_weights.values())
    ]
    found: dict[int, float] = {}
    before = model.state()
    try:
        with contextlib.ExitStack() as stack:
            for layer in layers:
                stack.enter_context(_watched(layer, found))
            outputs = model.predict(x, verbose=0)
    except (TypeError, ValueError) as error:
        raise (ArgumentTypeError if isinstance(error, TypeError) else ValueError)(f"calibrate: {error}") from error
    finally:
        model.load_state(before)
    if rows_of(outputs) == 0:
        raise ValueError("calibrate: expected at least one row, got none")
    for layer in layers:
        if id(layer) not in found:
            raise ValueError(f"calibrate: {layer.name} is not run, so there is no range of what it is given")
        if not np.isfinite(found[id(layer)]):
            raise ValueError(f"calibrate: {layer.name}: expected finite numbers, is given NaN or infinities")
    return found


@contextlib.contextmanager
def _watched(layer: Any, found: dict[int, float]) -> Iterator[None]:
    """Within the ``with`` block, note the largest magnitude of what a layer is given."""
    name = "prepare" if isinstance(layer, Recurrent) else "forward"  # which all ways of running it go through
    run: Callable[..., Any] = getattr(layer, name)

    def watched(inputs: Any, *arguments: Any, **options: Any) -> Any:
        largest = float(np.abs(inputs).max(initial=0.0))
        found[id(layer)] = float(np.maximum(found.get(id(layer), 0.0), largest))  # NaN if either is
        return run(inputs, *arguments, **options)

    layer.__dict__[name] = watched
    try:
        yield
    finally:
        del layer.__dict__[name]
