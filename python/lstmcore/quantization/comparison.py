"""What a model in int8 does otherwise than the model that it was made of."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._tree import leaves, map_leaves, rows_of
from ..graph.drawing import Drawing
from ..layers._typed import within
from ..serialization.models import require_model
from .copies import quantize

_ROWS = 256  # that are computed at a time: all that layers return is kept for them


@dataclass(frozen=True)
class Error:
    """How far what a layer or a model returns is from float32's.

    Attributes
    ----------
    name : the layer's, or "outputs".
    kept : "int8", "int8_weights", or "" where no weights of it are quantized.
    largest, rms : the largest difference, and the root of the mean squared one.
    relative : ``rms`` over the root of the mean square of float32's.
    """

    name: str
    kept: str
    largest: float
    rms: float
    relative: float


@dataclass(frozen=True)
class Measure:
    """The loss, or a metric, of both models.

    Attributes
    ----------
    name : of the loss or metric.
    float32, other : its values.
    """

    name: str
    float32: float
    other: float

    @property
    def change(self) -> float:
        """How much greater the other one is."""
        return self.other - self.float32


@dataclass(frozen=True, repr=False)
class Comparison:
    """The result of `compare`, which prints as tables.

    Attributes
    ----------
    layers : an `Error` for what each call of a layer returns, in the order of the calls; none of a model with passes
        of its own.
    outputs : an `Error` of all outputs together.
    measures : a `Measure` for the loss and each metric, if there were targets.
    """

    layers: list[Error]
    outputs: Error
    measures: list[Measure]

    def _tables(self) -> Iterator[list[list[str]]]:
        yield [
            ["layer", "kept as", "max error", "RMS error", "relative"],
            *(
                [e.name, e.kept or "float32", f"{e.largest:.3g}", f"{e.rms:.3g}", f"{e.relative:.3%}"]
                for e in (*self.layers, self.outputs)
            ),
        ]
        if self.measures:
            rows = [[m.name, f"{m.float32:.6g}", f"{m.other:.6g}", f"{m.change:+.3g}"] for m in self.measures]
            yield [["measure", "float32", "other", "change"], *rows]

    def __repr__(self) -> str:
        return "\n\n".join("\n".join(_lines(table)) for table in self._tables())

    def _repr_html_(self) -> str:
        def row(cells: Sequence[str], tag: str) -> str:
            return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"

        return "".join(
            f"<table>{row(head, 'th')}{''.join(row(cells, 'td') for cells in rows)}</table>"
            for head, *rows in self._tables()
        )


def compare(model: Any, x: Any, y: Any = None, other: Any = None) -> Comparison:
    """Return how far a model in int8 is from the model that it was made of.

    >>> import numpy as np
    >>> from lstmcore import Sequential, layers, quantization
    >>> model = Sequential([layers.LSTM(8, input_shape=(None, 3)), layers.Dense(1)])
    >>> found = quantization.compare(model, np.ones((4, 5, 3)))
    >>> found.outputs.relative < 0.05
    True
    >>> [error.kept for error in found.layers]
    ['int8', 'int8']

    Errors of layers are those of what they return within the model, so that those of the layers before are in them.

    Parameters
    ----------
    model : the one in float32.
    x, y : inputs and, for the loss and the metrics of a compiled model, targets.
    other : a quantized copy of it; by default, what `quantize` makes.

    Raises
    ------
    ValueError, TypeError
        The model is quantized itself, the other one is not one like it, or an argument does not fit.
    """
    require_model(model)
    if any(layer.quantization_mode is not None for layer in within(model)):
        raise ValueError(
            f"{model.name}: compare: expected a model in float32, got a quantized one, whose float32 weights are gone; "
            "give it as other, beside the model that it was made of"
        )
    if other is None:
        other = quantize(model)
    require_model(other)
    kinds = [type(layer) for layer in within(model)], [type(layer) for layer in within(other)]
    shapes = [v.shape for v in model.weights], [v.shape for v in other.weights]
    if [k.__name__ for k in kinds[0]] != [k.__name__ for k in kinds[1]] or shapes[0] != shapes[1]:
        raise ValueError(f"other: expected a copy of {model.name}, got {other.name}, with other layers or weights")
    states = model.state(), other.state()
    try:
        errors = _errors(model, other, x)
    finally:
        model.load_state(states[0])
        other.load_state(states[1])
    return Comparison(errors[:-1], errors[-1], [] if y is None else _measures(model, other, x, y))


def _measures(model: Any, other: Any, x: Any, y: Any) -> list[Measure]:
    if model.optimizer is None or model.loss is None:
        raise ValueError("y: expected a model that is compiled with a loss, to measure that; or None")
    if other.optimizer is None or other.loss is None:
        other.compile(**model._recipe | {"optimizer": "rmsprop"})  # a loss that is a function was not copied
    values = [one.evaluate(x, y, verbose=0, return_dict=True) for one in (model, other)]
    return [Measure(name, float(value), float(values[1][name])) for name, value in values[0].items()]


def _errors(model: Any, other: Any, x: Any) -> list[Error]:
    """Return the errors of what all calls return, and that of the outputs."""
    watched, others = _Watched(model), _Watched(other)
    sums = [_Sums() for _ in range(len(watched.names) + 1)]
    inputs = model._inputs(x)
    if rows_of(inputs) == 0:
        raise ValueError("x: expected at least one row, got none")
    for begin in range(0, rows_of(inputs), _ROWS):
        batch = _rows(inputs, begin)
        model.reset_states()
        other.reset_states()
        ours, theirs = watched(batch), others(batch)
        for sum_, one, two in zip(sums, ours, theirs, strict=True):
            for a, b in zip(one, two, strict=True):
                sum_.add(a, b)
    return [
        sum_.error(name, kept)
        for sum_, name, kept in zip(sums, [*watched.names, "outputs"], [*others.kept, _kept(other)], strict=True)
    ]


def _rows(inputs: Any, begin: int) -> Any:
    return map_leaves(lambda array: None if array is None else array[begin : begin + _ROWS], inputs)


class _Watched:
    """A model that returns what every call within returns, and the outputs."""

    def __init__(self, model: Any) -> None:
        drawing = model.drawn()
        self.model, self.names, self.kept = model, list[str](), list[str]()
        self._drawing: Drawing | None = None
        self._counts = list[int]()
        if drawing is not None:
            calls = [call for call in drawing.plan.calls if any(s.dtype.kind == "f" for s in leaves(call.outputs))]
            self.names = [call.layer.name for call in calls]
            self.kept = [_kept(call.layer) for call in calls]
            symbols = [[s for s in leaves(call.outputs) if s.dtype.kind == "f"] for call in calls]
            symbols.append(list(leaves(drawing.outputs)))
            self._counts = [len(part) for part in symbols]
            self._drawing = Drawing(model.name, drawing.inputs, [s for part in symbols for s in part])

    def __call__(self, inputs: Any) -> list[list[Any]]:
        if self._drawing is None:
            return [list(leaves(self.model.run(inputs)[0]))]
        values, ends = self._drawing.run(inputs, False, None)[0], np.cumsum(self._counts)
        return [values[end - count : end] for end, count in zip(ends, self._counts, strict=True)]


def _kept(layer: Any) -> str:
    """Return how a layer, or layers within, are quantized; "" if not."""
    modes = {part.quantization_mode for part in within(layer)} - {None}
    return ", ".join(sorted(modes))


class _Sums:
    """Sums over the numbers that two models return."""

    def __init__(self) -> None:
        self.count, self.largest, self.squares, self.of_float32 = 0, 0.0, 0.0, 0.0

    def add(self, float32: Any, other: Any) -> None:
        want, got = np.asarray(float32, np.float64), np.asarray(other, np.float64)
        apart = got - want
        self.count += apart.size
        # Where both are NaN, or the same infinity, there is no difference.
        apart = np.where((want == got) | (np.isnan(want) & np.isnan(got)), 0.0, apart)
        self.largest = float(np.maximum(self.largest, np.abs(apart).max(initial=0.0)))
        self.squares += float(np.square(apart).sum())
        self.of_float32 += float(np.square(want[np.isfinite(want)]).sum())

    def error(self, name: str, kept: str) -> Error:
        rms, size = np.sqrt(self.squares / max(1, self.count)), np.sqrt(self.of_float32 / max(1, self.count))
        relative = rms / size if size else np.inf if rms else 0.0
        return Error(name, kept, self.largest, float(rms), float(relative))


def _lines(table: list[list[str]]) -> Iterator[str]:
    """Yield the lines of a table, names to the left and numbers to the right."""
    widths = [max(len(row[k]) for row in table) for k in range(len(table[0]))]
    for row in table:
        yield "  ".join(
            cell.ljust(w) if k == 0 else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
