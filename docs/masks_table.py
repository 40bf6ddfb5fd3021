"""The table of docs/masks.md, from the layers themselves: `python docs/masks_table.py` writes it anew."""

from __future__ import annotations

import functools
import pathlib
import warnings
from collections.abc import Callable, Iterator

import numpy as np

from lstmcore import layers

PAGE = pathlib.Path(__file__).with_name("masks.md")
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"

# Rows of four steps, the last of the first one padding; in documents, three sentences of four words.
MASK = np.array([[True, True, True, False], [True, True, True, True]])
WORDS = np.stack([MASK, MASK, MASK & [[False], [True]]], axis=1)
STEPS = np.random.default_rng(0).standard_normal((2, 4, 3)).astype("float32")
DOCUMENTS = np.random.default_rng(1).standard_normal((2, 3, 4, 3)).astype("float32")
INTEGERS = np.where(MASK, [[3, 1, 2, 4], [1, 4, 2, 3]], 0)

Make = Callable[[], layers.Layer]

# What is no layer by itself, and layers whose arguments, or inputs, are not those of the others.
_NOT_LAYERS = {"Cell", "GRUCell", "LSTMCell", "Layer", "SimpleRNNCell", "StackedRNNCells"}
_OTHERS: dict[str, Make] = {
    "Activation": lambda: layers.Activation("relu"),
    "Compare": lambda: layers.Compare("less", 0.5),
    "Elementwise": lambda: layers.Elementwise("erf"),
    "Parameter": lambda: layers.Parameter([2]),
    "AlphaDropout": lambda: layers.AlphaDropout(0.5),
    "Arithmetic": lambda: layers.Arithmetic("true_divide", 1.0, reverse=True),
    "CRF": lambda: layers.CRF(3),
    "Conv1D": lambda: layers.Conv1D(2, 2),
    "Dense": lambda: layers.Dense(2),
    "Dot": lambda: layers.Dot(2),
    "Dropout": lambda: layers.Dropout(0.5),
    "Embedding": lambda: layers.Embedding(5, 3),
    "GaussianDropout": lambda: layers.GaussianDropout(0.5),
    "GaussianNoise": lambda: layers.GaussianNoise(0.5),
    "GetItem": lambda: layers.GetItem([slice(None), slice(1, None)]),
    "InputLayer": lambda: layers.InputLayer((4, 3)),
    "Lambda": lambda: layers.Lambda(lambda x: x**2),
    "MultiHeadAttention": lambda: layers.MultiHeadAttention(2, 2),
    "NotEqual": lambda: layers.NotEqual(0),
    "Reduction": lambda: layers.Reduction("sum"),
    "Permute": lambda: layers.Permute((2, 1)),
    "RepeatVector": lambda: layers.RepeatVector(2),
    "Rescaling": lambda: layers.Rescaling(2.0),
    "Reshape": lambda: layers.Reshape((12,)),
    "SpatialDropout1D": lambda: layers.SpatialDropout1D(0.5),
}
_VARIANTS: dict[str, dict[str, Make]] = {
    "Bidirectional": {
        "Bidirectional": lambda: layers.Bidirectional(layers.LSTM(2)),
        "Bidirectional, return_sequences": lambda: layers.Bidirectional(layers.LSTM(2, return_sequences=True)),
    },
    "Embedding": {
        "Embedding": lambda: layers.Embedding(5, 3),
        "Embedding, mask_zero": lambda: layers.Embedding(5, 3, mask_zero=True),
    },
    "RNN": {
        "RNN": lambda: layers.RNN(layers.GRUCell(2)),
        "RNN, return_sequences": lambda: layers.RNN(layers.GRUCell(2), return_sequences=True),
    },
    "Residual": {"Residual of Dense": lambda: layers.Residual(layers.Dense(3))},
    "TimeDistributed": {
        "TimeDistributed of Dense": lambda: layers.TimeDistributed(layers.Dense(2)),
        "TimeDistributed of LSTM": lambda: layers.TimeDistributed(layers.LSTM(2)),
        "TimeDistributed of Masking": lambda: layers.TimeDistributed(layers.Masking()),
    },
}
for _kind in (layers.GRU, layers.LSTM, layers.MinGRU, layers.MinLSTM, layers.SimpleRNN, layers.SLSTM):
    _name = _kind.__name__
    _VARIANTS[_name] = {
        _name: functools.partial(_kind, 2),
        f"{_name}, return_sequences": functools.partial(_kind, 2, return_sequences=True),
        f"{_name}, return_sequences, go_backwards": functools.partial(
            _kind, 2, return_sequences=True, go_backwards=True
        ),
    }


def cases() -> Iterator[tuple[str, Make]]:
    """Yield the name of every layer, with the arguments that matter, and what makes one."""
    kinds = {kind.__name__: kind for name in layers.__all__ if isinstance(kind := getattr(layers, name), type)}
    for name in sorted(kinds.keys() - _NOT_LAYERS, key=str.lower):
        yield from _VARIANTS.get(name, {name: _OTHERS.get(name, kinds[name])}).items()


def inputs_for(name: str, layer: layers.Layer) -> tuple[object, object]:
    """Return inputs for a layer, and their mask."""
    if name == "Matmul":
        return [STEPS, STEPS.transpose(0, 2, 1).copy()], [MASK, None]
    if name in ("SequenceMask", "TakeStep"):
        return [STEPS, np.array([3, 2])], [MASK, None]
    if name == "Where":
        return [STEPS > 0, STEPS, STEPS], [MASK, MASK, MASK]
    if layer.takes_several:
        return [STEPS, STEPS], [MASK, MASK[::-1]]
    if name == "RepeatVector":
        return STEPS[:, 0], MASK[:, 3]
    if name.startswith("Embedding"):
        return INTEGERS, MASK
    if name in ("TimeDistributed of LSTM", "TimeDistributed of Masking"):
        return DOCUMENTS, WORDS
    return STEPS, MASK


def fate(layer: layers.Layer, inputs: object, mask: object) -> tuple[str, str]:
    """Say whether a layer takes a mask, and what becomes of it."""
    layer(inputs)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _, left = layer.forward_with_mask(inputs, False, mask)
    given = mask[0] if isinstance(mask, list) else mask
    if left is None:
        what = "ends it, with a warning" if caught else "ends it: one vector a row"
    elif isinstance(mask, list):
        what = "passes on that of the query" if (left == given).all() else "passes on what they make together"
    elif left.ndim < given.ndim:
        what = "passes on the steps that have any"
    elif left.shape == given.shape and (left == given).all():
        what = "passes it on"
    else:
        what = "passes it on with the steps"
    if layer.forward_with_mask(inputs, False)[1] is not None:
        what = "makes one" if what == "passes it on" else what
    return ("yes" if layer.consumes_mask else ""), what


def table() -> str:
    """Return the table."""
    rows = [["layer", "takes the mask", "what becomes of it"], ["---", "---", "---"]]
    for name, make in cases():
        layer = make()
        rows.append([f"`{name}`", *fate(layer, *inputs_for(name, layer))])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def page() -> str:
    """Return the page as it should be."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
