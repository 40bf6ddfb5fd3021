"""Weights are packed as they lie, row-major or transposed, with the same bits in every result."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import MIN_AND_SLSTM, weight_shapes

from lstmcore import _core
from lstmcore._options import GRUOptions, LSTMOptions, RNNOptions

CELLS = {
    "lstm": LSTMOptions(),
    "lstm, staged": LSTMOptions(peepholes=True, projection=True, layer_norm=True),
    "gru": GRUOptions(),
    "gru, reset before": GRUOptions(reset_after=False),
    "rnn": RNNOptions("tanh"),
    **MIN_AND_SLSTM,
}
# What a matrix can be: row-major, transposed, neither, a row or a number that is repeated.
LAYOUTS = {
    "transposed": np.asfortranarray,
    "apart": lambda a: np.repeat(np.repeat(a, 2, 0), 3, 1)[::2, ::3],
    "reversed": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "rows apart": lambda a: np.pad(a, ((0, 0), (0, 3)))[:, : a.shape[1]],
    "columns apart": lambda a: np.pad(a, ((0, 5), (0, 0))).copy("F")[: a.shape[0]],
}


def results(options, weights, x):
    """Outputs, last states and all gradients."""
    packed = _core.pack(options, weights, True, False)
    y, states, cache = _core.forward(
        packed, x, None, True, True, None, None, None, False, False, None, None, None, False, None
    )
    d_x, d_weights, _ = _core.backward(cache, np.cos(y), None, True, [])
    return [y, *states, d_x, *d_weights]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("cell", CELLS)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(["f4", "f8"]))
def test_bits_do_not_depend_on_the_layout_of_weights(cell, layout, inputs, units, dtype):
    options = CELLS[cell]
    units += units % getattr(options, "heads", 1)
    rng = np.random.default_rng(0)
    shapes = weight_shapes(options, inputs, units, max(1, units // 2) if "staged" in cell else units)
    weights = [rng.standard_normal(shape).astype(dtype) / 4 for shape in shapes.values()]
    x = rng.standard_normal((3, 4, inputs)).astype(dtype)
    want = results(options, weights, x)
    got = results(options, [LAYOUTS[layout](w) if w.ndim == 2 else w for w in weights], x)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b)


def test_repeated_numbers_are_weights_too():
    x = np.ones((2, 3, 4), "f4")
    rows = [np.full((1, 20), 0.1, "f4"), np.full((1, 20), 0.2, "f4")]
    given = [np.broadcast_to(row, (n, 20)) for row, n in zip(rows, (4, 5), strict=True)]
    want = results(LSTMOptions(), [np.ascontiguousarray(w) for w in given], x)
    for a, b in zip(results(LSTMOptions(), given, x), want, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises((MemoryError, ValueError)):
        _core.pack(LSTMOptions(), [np.broadcast_to(rows[0][:, :4], (1 << 58, 4)), np.zeros((1, 4), "f4")], True, False)
