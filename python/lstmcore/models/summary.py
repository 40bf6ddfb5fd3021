"""The table of a model's layers."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .._tree import leaves
from ..layers.layer import Layer
from ..training.trainer import Trainer
from ..variables import Variable

_CELL = 34  # characters in a line of a cell that lists what a layer is connected to, or several shapes


def print_summary(
    model: Any,
    layers: Iterable[Layer],
    line_length: int,
    print_fn: Callable[[str], Any],
    expand_nested: bool,
    show_trainable: bool,
) -> None:
    """Print the layers of a model with their output shapes and numbers of weights, and the sums.

    Of a graph that is no chain, also what every layer is called on: ``name[call][output]``, as Keras counts them.
    """
    connected = connections(model)
    head = ["Layer (type)", "Output Shape", "Param #", *(["Connected to"] if connected else [])]
    rows = [[[title] for title in (*head, *(["Trainable"] if show_trainable else []))]]
    for layer, depth in _rows(layers, expand_nested):
        count = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
        row = [[f"{depth * '  '}{layer.name} ({type(layer).__name__})"], _shape_lines(layer), [count]]
        if connected:
            row.append(_folded(connected.get(id(layer), ["-"] if not depth else [""])))
        if show_trainable:
            row.append(["-" if not layer.variables else "Y" if layer.trainable else "N"])
        rows.append(row)
    widths = [max(len(text) for row in rows for text in row[k]) for k in range(len(rows[0]))]
    widths[0] += max(0, line_length - sum(widths) - 3 * len(widths) - 1)

    def line(left: str, middle: str, right: str, fill: str = "─") -> str:
        return left + middle.join(fill * (w + 2) for w in widths) + right

    print_fn(f'Model: "{model.name}"')
    print_fn(line("┌", "┬", "┐"))
    for k, row in enumerate(rows):
        for texts in itertools.zip_longest(*row, fillvalue=""):
            cells = [
                f"{text:>{w}}" if j == 2 else f"{text:{w}}"
                for j, (text, w) in enumerate(zip(texts, widths, strict=True))
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


def connections(model: Any) -> dict[int, list[str]]:
    """Return, by the identity of a layer, what it is called on in a graph that is no chain; nothing for others."""
    drawing = getattr(model, "_drawing", None)
    if drawing is None:
        return {}
    calls = drawing.plan.calls
    own = [call.layer for call in calls]
    straight = all(len(call.sources) == 1 for call in calls) and len(set(map(id, own))) == len(own)
    read = [symbol.key for call in calls for symbol in call.sources]
    if straight and len(set(read)) == len(read) and len(list(leaves(drawing.outputs))) == 1:
        return {}
    number: dict[int, int] = {}  # of a call among those of its layer
    count: Counter[int] = Counter()
    for call in calls:
        number[call.number] = count[id(call.layer)]
        count[id(call.layer)] += 1
    found: dict[int, list[str]] = {}
    for call in calls:
        found.setdefault(id(call.layer), []).extend(
            f"{s.name}[{number.get(s.call.number, 0)}][{s.index}]" for s in call.sources
        )
    return found


def _shape_lines(layer: Layer) -> list[str]:
    shape = _output_shape(layer)
    several = list(_each_shape(shape)) if shape else []
    if len(several) < 2:
        return [str(shape or "?")]
    return _folded([str(one) for one in several])


def _each_shape(shape: Any) -> Iterable[Any]:
    if isinstance(shape, dict):
        shape = list(shape.values())
    if shape and isinstance(shape[0], (tuple, list, dict)):
        for part in shape:
            yield from _each_shape(part)
    else:
        yield tuple(shape)


def _folded(parts: Sequence[str]) -> list[str]:
    """Return what stands in a list in lines that are not too long."""
    lines = [""]
    for k, part in enumerate(parts):
        text = part + ("," if k < len(parts) - 1 else "")
        if lines[-1] and len(lines[-1]) + 1 + len(text) > _CELL:
            lines.append(text)
        else:
            lines[-1] += f" {text}" if lines[-1] else text
    return lines


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
