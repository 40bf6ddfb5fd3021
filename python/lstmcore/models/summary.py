"""The table of a model's layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..layers.layer import Layer
from ..training.trainer import Trainer
from ..variables import Variable


def print_summary(
    model: Trainer,
    layers: Iterable[Layer],
    line_length: int,
    print_fn: Callable[[str], Any],
    expand_nested: bool,
    show_trainable: bool,
) -> None:
    """Print the layers of a model with their output shapes and numbers of weights, and the sums."""
    rows = [["Layer (type)", "Output Shape", "Param #", *(["Trainable"] if show_trainable else [])]]
    for layer, depth in _rows(layers, expand_nested):
        count = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
        shape = str(_output_shape(layer) or "?")
        moved = ["-" if not layer.variables else "Y" if layer.trainable else "N"] if show_trainable else []
        rows.append([f"{depth * '  '}{layer.name} ({type(layer).__name__})", shape, count, *moved])
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    widths[0] += max(0, line_length - sum(widths) - 3 * len(widths) - 1)

    def line(left: str, middle: str, right: str, fill: str = "─") -> str:
        return left + middle.join(fill * (w + 2) for w in widths) + right

    print_fn(f'Model: "{model.name}"')
    print_fn(line("┌", "┬", "┐"))
    for k, row in enumerate(rows):
        cells = [
            f"{text:>{w}}" if j == 2 else f"{text:{w}}" for j, (text, w) in enumerate(zip(row, widths, strict=True))
        ]
        print_fn(f"│ {' │ '.join(cells)} │")
        print_fn(line("├", "┼", "┤") if k < len(rows) - 1 else line("└", "┴", "┘"))
    moved_weights, kept_weights = _sizes(model.trainable_variables), _sizes(model.non_trainable_variables)
    optimizer = _optimizer_sizes(model)
    total = [sum(parts) for parts in zip(moved_weights, kept_weights, optimizer, strict=True)]
    for title, (number, size) in (
        ("Total", total),
        ("Trainable", moved_weights),
        ("Non-trainable", kept_weights),
        ("Optimizer", optimizer),
    ):
        if title != "Optimizer" or number:
            print_fn(f" {title} params: {number:,} ({_bytes(size)})")


def _rows(layers: Iterable[Layer], expand_nested: bool, depth: int = 0) -> Iterable[tuple[Layer, int]]:
    for layer in layers:
        yield layer, depth
        if expand_nested and hasattr(layer, "layers"):
            yield from _rows(layer.layers, True, depth + 1)


def _output_shape(layer: Layer) -> Any:
    try:
        return layer.output_shape if layer.built else None
    except (AttributeError, NotImplementedError):
        return None


def _sizes(variables: Iterable[Variable]) -> tuple[int, int]:
    counted = list(variables)
    return sum(v.size for v in counted), sum(v.size * v.dtype.itemsize for v in counted)


def _optimizer_sizes(model: Trainer) -> tuple[int, int]:
    if model.optimizer is None or not model.optimizer.iterations:
        return 0, 0
    # A number, such as that of the steps, is a parameter too, of four bytes as in Keras.
    state = [np.asarray(value) for value in model.optimizer.state().values()]
    return sum(a.size for a in state), sum(a.nbytes if a.ndim else 4 for a in state)


def _bytes(n: int) -> str:
    power = min(3, int(math.log(n, 1024))) if n else 0
    return f"{n / 1024**power:.2f} {('B', 'KB', 'MB', 'GB')[power]}"
