"""The table of a model's layers."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any
from unicodedata import combining, east_asian_width

import numpy as np

from .._html import html_table
from .._tree import leaves, map_leaves
from ..layers.layer import Layer
from ..training.trainer import Trainer
from ..variables import Variable

_NUMBERS = (2,)  # the columns that stand to the right
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
    rows = _table(model, layers, expand_nested, show_trainable)
    widths = [max(_width(text) for row in rows for text in row[k]) for k in range(len(rows[0]))]
    widths[0] += max(0, line_length - sum(widths) - 3 * len(widths) - 1)

    def line(left: str, middle: str, right: str, fill: str = "─") -> str:
        return left + middle.join(fill * (w + 2) for w in widths) + right

    print_fn(_title(model))
    print_fn(line("┌", "┬", "┐"))
    for k, row in enumerate(rows):
        for texts in itertools.zip_longest(*row, fillvalue=""):
            cells = []
            for j, (text, width) in enumerate(zip(texts, widths, strict=True)):
                space = " " * (width - _width(text))
                cells.append(space + text if j in _NUMBERS else text + space)
            print_fn(f"│ {' │ '.join(cells)} │")
        print_fn(line("├", "┼", "┤") if k < len(rows) - 1 else line("└", "┴", "┘"))
    for text in _sums(model):
        print_fn(f" {text}")


def html_summary(model: Any, layers: Iterable[Layer]) -> str:
    """Return the same for a notebook."""
    head, *rows = (["\n".join(lines) for lines in row] for row in _table(model, layers, False, False))
    return html_table(_title(model), head, rows, _sums(model), right=_NUMBERS)


def _title(model: Any) -> str:
    return f'Model: "{model.name}"'


def _table(model: Any, layers: Iterable[Layer], expand_nested: bool, show_trainable: bool) -> list[list[list[str]]]:
    """Return the titles and the rows: of each cell its lines."""
    graph = _Graph(model)
    head = ["Layer (type)", "Output Shape", "Param #", *(["Connected to"] if graph.connected else [])]
    rows = [[[title] for title in (*head, *(["Trainable"] if show_trainable else []))]]
    for layer, depth in _rows(layers, expand_nested):
        count = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
        said = [f"{depth * '  '}{layer.name}", f"({type(layer).__name__})"]
        name = _folded(said, depth * "  ") if graph.connected else [" ".join(said)]
        row = [name, _folded(_parts(graph.shapes.get(id(layer)) or _output_shape(layer))), [count]]
        if graph.connected:
            row.append(_folded(graph.connected.get(id(layer), ["-"])))
        if show_trainable:
            row.append(["-" if not layer.variables else "Y" if layer.trainable else "N"])
        rows.append(row)
    return rows


def _sums(model: Any) -> list[str]:
    moved_weights, kept_weights = _sizes(model.trainable_variables), _sizes(model.non_trainable_variables)
    optimizer = _optimizer_sizes(model)
    total = [sum(parts) for parts in zip(moved_weights, kept_weights, optimizer, strict=True)]
    return [
        f"{title} params: {number:,} ({_bytes(size)})"
        for title, (number, size) in (
            ("Total", total),
            ("Trainable", moved_weights),
            ("Non-trainable", kept_weights),
            ("Optimizer", optimizer),
        )
        if title != "Optimizer" or number
    ]


def _width(text: str) -> int:
    """Return the columns that a text takes on a terminal: two for a letter of East Asia, none for an accent alone."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _rows(layers: Iterable[Layer], expand_nested: bool, depth: int = 0) -> Iterable[tuple[Layer, int]]:
    for layer in layers:
        yield layer, depth
        if expand_nested and hasattr(layer, "layers"):
            yield from _rows(layer.layers, True, depth + 1)


class _Graph:
    """What the calls of a graph tell of its layers, by their identity.

    Attributes
    ----------
    connected : what every layer is called on; empty for a chain.
    shapes : of what its last call returns.
    """

    def __init__(self, model: Any) -> None:
        self.connected: dict[int, list[str]] = {}
        self.shapes: dict[int, Any] = {}
        drawing = getattr(model, "_drawing", None)
        if drawing is None or model.is_traced:  # what a ``call`` draws may be none of the model's layers
            return
        number: dict[int, int] = {}  # of a call among those of its layer
        count: Counter[int] = Counter()
        connected: dict[int, list[str]] = {}
        for call in drawing.plan.calls:
            number[call.number] = count[id(call.layer)]
            count[id(call.layer)] += 1
            connected.setdefault(id(call.layer), []).extend(
                f"{s.name}[{number.get(s.call.number, 0)}][{s.index}]," for s in call.sources
            )
            self.shapes[id(call.layer)] = map_leaves(lambda symbol: symbol.shape, call.outputs)
        calls = drawing.plan.calls
        read = Counter(symbol.call.number for call in calls for symbol in call.sources)
        forks = len(list(leaves(drawing.inputs))) > 1 or any(len(call.sources) > 1 for call in calls)
        if forks or max([*read.values(), *count.values()], default=0) > 1:
            self.connected = {key: [*names[:-1], names[-1][:-1]] for key, names in connected.items()}


def _parts(shape: Any) -> list[str]:
    """Return a shape, or several with the brackets of their lists and dicts, to be put into lines."""
    if not shape:
        return ["?"]
    if isinstance(shape, dict):
        left, right, several = "{", "}", [(f"{name}: ", part) for name, part in shape.items()]
    elif isinstance(shape[0], (tuple, list, dict)):
        left, right, several = "[", "]", [("", part) for part in shape]
    else:
        return [str(tuple(shape))]
    found: list[str] = []
    for name, part in several:
        first, *more = _parts(part)
        found += [name + first, *more]
        found[-1] += ","
    found[0] = left + found[0]
    found[-1] = found[-1][:-1] + right
    return found


def _folded(parts: Iterable[str], indent: str = "") -> list[str]:
    """Return what is said in lines that are not too long."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + 1 + len(part) <= _CELL:
            lines[-1] += f" {part}"
            continue
        for k in range(0, len(part), _CELL):
            lines.append((indent if lines else "") + part[k : k + _CELL])
    return lines


def _output_shape(layer: Layer) -> Any:
    try:
        return layer.output_shape if layer.built else None
    except (AttributeError, NotImplementedError):
        return None


def _sizes(variables: Iterable[Variable]) -> tuple[int, int]:
    counted = list(variables)
    return sum(v.size for v in counted), sum(v.nbytes for v in counted)


def _optimizer_sizes(model: Trainer) -> tuple[int, int]:
    if model.optimizer is None or not model.optimizer.iterations:
        return 0, 0
    # A number, such as that of the steps, is a parameter too, of four bytes as in Keras.
    state = [np.asarray(value) for value in model.optimizer.state().values()]
    return sum(a.size for a in state), sum(a.nbytes if a.ndim else 4 for a in state)


def _bytes(n: int) -> str:
    power = min(3, int(math.log(n, 1024))) if n else 0
    return f"{n / 1024**power:.2f} {('B', 'KB', 'MB', 'GB')[power]}"
