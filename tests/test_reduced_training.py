"""bfloat16 in training: gradients are their definition, computed in NumPy, and the same bits whoever computes them.

The operands of every product are rounded: x, h and the weights as in inference (test_reduced_precision.py), and on the
way back the gradients of the pre-activations. What is kept for the way back beside x and h is rounded too: gates,
candidates, c, and a GRU's share of h in the candidate. All else is float32. What is computed in float32 here and in
float64 there is now and then rounded the other way, so that arrays are compared as a whole: one in some thousands of
numbers differs by 1/256, which is a tenth of what the rounding of all of them makes.
"""

import numpy as np
import pytest
from test_reduced_precision import CELLS, assert_the_same_on_every_set_with_fma, made, numbers, run, start

from lstmcore import _core, functional
from lstmcore._options import LSTMOptions, RNNOptions
from lstmcore.functional import Zoneout
from lstmcore.reference import bfloat16

every_cell = pytest.mark.parametrize("cell", CELLS)


def packed(cell, weights, zoneout=False):
    packed = _core.pack(CELLS[cell], weights, True, zoneout, "bfloat16")
    assert (packed.precision, packed.training) == ("bfloat16", True)
    return packed


def backward(cell, *arguments, **named):
    d_inputs, d_weights, d_state = getattr(functional, f"{CELLS[cell].cell}_backward")(*arguments, **named)
    return d_inputs, d_weights, list(d_state) if cell == "lstm" else [d_state]


def train(cell, x, weights, state, d_outputs, d_last, **arguments):
    """Outputs and gradients: of the inputs, the weights and the state."""
    function = getattr(functional, CELLS[cell].cell)
    given, of_last = (state, d_last) if cell == "lstm" else (state[0], d_last[0])
    y, _, cache = function(x, weights, given, training=True, **arguments)
    return y, *backward(cell, cache, d_outputs, of_last)


# --- the definition: of each cell a step forward and back ---


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_step(a, u, h, c, first):
    i, f, g, o = np.split(a + u, 4, 1)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    c_next = f * c + i * g
    # c is as it is where it comes from the caller
    before = c if first else bfloat16(c)
    i, f, g, o, tanh_c = *(bfloat16(gate) for gate in (i, f, g, o)), np.tanh(bfloat16(c_next))

    def back(dh, dc):
        dc = dc + dh * o * (1 - tanh_c**2)
        d = [dc * g * i * (1 - i), dc * before * f * (1 - f), dc * i * (1 - g**2), dh * tanh_c * o * (1 - o)]
        d = np.concatenate(d, 1)
        return d, d, 0, dc * f

    return c_next, back


def gru_step(a, u, h, c, first):
    (az, ar, ah), (uz, ur, uh) = np.split(a, 3, 1), np.split(u, 3, 1)
    z, r = sigmoid(az + uz), sigmoid(ar + ur)
    hh = np.tanh(ah + r * uh)
    z, r, hh, uh = (bfloat16(kept) for kept in (z, r, hh, uh))

    def back(dh, dc):
        da = dh * (1 - z) * (1 - hh**2)
        dz, dr = dh * (h - hh) * z * (1 - z), da * uh * r * (1 - r)
        return np.concatenate([dz, dr, da], 1), np.concatenate([dz, dr, da * r], 1), dh * z, dc

    return c, back


def rnn_step(a, u, h, c, first):
    y = bfloat16(np.tanh(a + u))

    def back(dh, dc):
        d = dh * (1 - y**2)
        return d, d, 0, dc

    return c, back


def relu_step(a, u, h, c, first):
    def back(dh, dc):
        d = dh * (a + u > 0)
        return d, d, 0, dc

    return c, back


STEPS = {"lstm": lstm_step, "gru": gru_step, "rnn": rnn_step, "rnn, relu": relu_step}


def expected(cell, x, weights, state, y, d_outputs, d_last, lengths):
    kernel, recurrent, bias = bfloat16(weights[0]), bfloat16(weights[1]), weights[2].astype("f8")
    steps, backs = x.shape[1], []
    c = state[-1].astype("f8")
    h = [state[0], *(y[:, t] for t in range(steps))]
    of_a, of_u = bias if cell == "gru" else (bias, 0 * bias)
    for t in range(steps):
        a, u = bfloat16(x[:, t]) @ kernel + of_a, bfloat16(h[t]) @ recurrent + of_u
        c_next, back = STEPS[cell](a, u, h[t].astype("f8"), c, t == 0)
        c = np.where((t < lengths)[:, None], c_next, c)
        backs.append(back)
    dh, dc = d_last[0].astype("f8"), d_last[-1].astype("f8")
    dx, d_kernel, d_recurrent, d_bias = np.zeros(x.shape), 0, 0, 0
    for t in reversed(range(steps)):
        there = (t < lengths)[:, None]
        da, du, carried, dc_prev = backs[t](dh + d_outputs[:, t], dc)
        da, du = (np.where(there, bfloat16(d), 0) for d in (da, du))
        dx[:, t] = da @ kernel.T
        d_kernel = d_kernel + bfloat16(x[:, t]).T @ da
        d_recurrent = d_recurrent + bfloat16(h[t]).T @ du
        d_bias = d_bias + (np.stack([da.sum(0), du.sum(0)]) if cell == "gru" else da.sum(0))
        dh, dc = np.where(there, du @ recurrent.T + carried, dh), np.where(there, dc_prev, dc)
    return dx, (d_kernel, d_recurrent, d_bias), [dh, dc] if cell == "lstm" else [dh]


def assert_close(got, want, tolerance=2e-4):
    assert got.shape == want.shape
    assert np.linalg.norm(got - want) <= tolerance * np.linalg.norm(want) + 1e-12


SHAPES = [
    # batch, steps, inputs, units
    (1, 1, 1, 1),
    (3, 4, 5, 7),
    (7, 3, 33, 50),
    (13, 5, 21, 64),
    (2, 9, 70, 131),
    (33, 40, 6, 17),  # chunks of an odd number of rows
    (5, 2, 530, 520),  # sums in pieces
]


def problem(cell, batch, steps, inputs, units, ragged=False, seed=0):
    weights, rng = made(cell, inputs, units, seed)
    x, state = numbers(rng, batch, steps, inputs), start(cell, rng, batch, units)
    d_outputs, d_last = numbers(rng, batch, steps, units), start(cell, rng, batch, units)
    lengths = rng.integers(0, steps + 1, batch) if ragged else np.full(batch, steps)
    lengths[0] = steps
    d_outputs[np.arange(steps) >= lengths[:, None]] = 0
    return weights, x, state, d_outputs, d_last, lengths


@every_cell
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_their_definition(cell, shape, ragged):
    weights, x, state, d_outputs, d_last, lengths = problem(cell, *shape, ragged)
    p = packed(cell, weights)
    y, d_inputs, d_weights, d_state = train(cell, x, p, state, d_outputs, d_last, lengths=lengths if ragged else None)
    inference, _ = run(cell, x, _core.pack(CELLS[cell], weights, False, False, "bfloat16"), state, lengths=lengths)
    np.testing.assert_array_equal(y, inference)
    want = expected(cell, x, weights, state, y, d_outputs, d_last, lengths)
    assert_close(d_inputs, want[0])
    for got, this in zip((*d_weights, *d_state), (*want[1], *want[2]), strict=True):
        assert got.dtype == np.float32
        assert_close(got, this)


@every_cell
def test_the_rounding_of_each_operand_is_seen(cell):
    """Gradients in full precision are further off: the test above tells them from these."""
    weights, x, state, d_outputs, d_last, _ = problem(cell, 13, 5, 21, 64)
    _, d_inputs, d_weights, _ = train(cell, x, packed(cell, weights), state, d_outputs, d_last)
    full = _core.pack(CELLS[cell], weights, True, False)
    _, of_inputs, of_weights, _ = train(cell, x, full, state, d_outputs, d_last)
    for got, want in zip((d_inputs, *d_weights), (of_inputs, *of_weights), strict=True):
        assert_close(got, want, 0.1)
        with pytest.raises(AssertionError):
            assert_close(got, want, 4e-4)


@every_cell
@pytest.mark.parametrize("shape", [(6, 4, 5, 18), (2, 3, 9, 33), (40, 30, 3, 20)])
def test_what_is_left_out_and_what_is_added_to(cell, shape):
    weights, x, state, d_outputs, _, _ = problem(cell, *shape)
    p = packed(cell, weights)
    function, given = getattr(functional, CELLS[cell].cell), state if cell == "lstm" else state[0]
    cache = function(x, p, given, training=True)[2]
    d_inputs, d_weights, _ = backward(cell, cache, d_outputs)
    none, again, _ = backward(cell, cache, d_outputs, need_d_inputs=False)
    assert none is None
    for a, b in zip(d_weights, again, strict=True):
        np.testing.assert_array_equal(a, b)
    sums = [np.full_like(w, 0.5) for w in d_weights]
    backward(cell, cache, d_outputs, d_weights=sums)
    for got, want in zip(sums, d_weights, strict=True):
        np.testing.assert_allclose(got, want + 0.5, rtol=1e-5, atol=1e-5 * np.abs(want).max())
    # reversed rows, read backwards
    backwards = function(x[:, ::-1], p, given, training=True, go_backwards=True)[2]
    of_reversed, same, _ = backward(cell, backwards, d_outputs[:, ::-1])
    np.testing.assert_array_equal(of_reversed[:, ::-1], d_inputs)
    for a, b in zip(d_weights, same, strict=True):
        np.testing.assert_array_equal(a, b)
    # a bias takes no part in the other gradients but by what it adds
    without = _core.pack(CELLS[cell], weights[:2], True, False, "bfloat16")
    zero = packed(cell, [*weights[:2], np.zeros_like(weights[2])])
    want, got = (backward(cell, function(x, w, given, training=True)[2], d_outputs) for w in (zero, without))
    np.testing.assert_array_equal(got[0], want[0])
    np.testing.assert_array_equal(got[1][1], want[1][1])


@every_cell
@pytest.mark.parametrize("shape", [(3, 5, 9, 70), (13, 5, 3, 33), (70, 30, 5, 17)])
def test_bits_do_not_depend_on_threads(cell, shape, set_threads):
    weights, *arrays, lengths = problem(cell, *shape, ragged=True)
    x, *rest = arrays

    def flat(threads):
        set_threads(threads)
        y, d_inputs, d_weights, d_state = train(cell, x, packed(cell, weights), *rest, lengths=lengths)
        return [y, d_inputs, *d_weights, *d_state]

    want = flat(1)
    for threads in (2, 3):
        for a, b in zip(flat(threads), want, strict=True):
            np.testing.assert_array_equal(a, b)


@every_cell
def test_rows_of_a_batch_do_not_depend_on_one_another(cell):
    weights, x, state, d_outputs, d_last, _ = problem(cell, 13, 5, 9, 33)
    p = packed(cell, weights)
    _, d_inputs, _, d_state = train(cell, x, p, state, d_outputs, d_last)
    for row in (slice(4, 5), slice(2, 9)):
        parts = [a[row] for a in (x, d_outputs)], [[a[row] for a in b] for b in (state, d_last)]
        _, alone, _, of_state = train(cell, parts[0][0], p, parts[1][0], parts[0][1], parts[1][1])
        np.testing.assert_array_equal(alone, d_inputs[row])
        for a, b in zip(of_state, d_state, strict=True):
            np.testing.assert_array_equal(a, b[row])


@every_cell
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_stays_in_its_row(cell, value):
    weights, x, state, d_outputs, d_last, _ = problem(cell, 9, 3, 5, 33)
    p = packed(cell, weights)
    _, want, _, _ = train(cell, x, p, state, d_outputs, d_last)
    d_outputs[4, 1, 7] = value
    _, got, d_weights, _ = train(cell, x, p, state, d_outputs, d_last)
    rest = np.arange(9) != 4
    np.testing.assert_array_equal(got[rest], want[rest])
    np.testing.assert_array_equal(got[4, 2], want[4, 2])
    assert not np.isfinite(got[4, 0]).all()
    assert not np.isfinite(d_weights[0]).all()


def test_random_zoneout_of_a_simple_cell():
    """The same masks as in full precision: with others, gradients are far off."""
    rng = np.random.default_rng(0)
    weights = [rng.integers(-1, 2, s).astype("f4") for s in ((5, 8), (8, 8), (8,))]
    x, d_outputs = (rng.integers(-2, 3, s).astype("f4") for s in ((3, 4, 5), (3, 4, 8)))
    found = []
    for precision in ("float32", "bfloat16"):
        p = _core.pack(RNNOptions("linear"), weights, True, True, precision)
        assert p.precision == precision
        y, _, cache = functional.rnn(x / 64, p, training=True, zoneout=Zoneout(0.5, seed=3))
        found.append([y, *functional.rnn_backward(cache, d_outputs)[:2]])
    (y, dx, dw), (y_, dx_, dw_) = found
    for a, b in zip((y, dx, *dw), (y_, dx_, *dw_), strict=True):
        np.testing.assert_allclose(b, a, rtol=0.02, atol=0.02 * np.abs(a).max())


BITS = """
import zlib
import numpy as np
from test_reduced_training import CELLS, packed, problem, train
bits = 0
for cell in CELLS:
    for shape in ((1, 4, 33, 70), (7, 3, 5, 50), (13, 2, 600, 24), (33, 30, 3, 17), (2, 2, 20, 530)):
        weights, *arrays, lengths = problem(cell, *shape, ragged=True)
        y, d_inputs, d_weights, d_state = train(cell, arrays[0], packed(cell, weights), *arrays[1:], lengths=lengths)
        for array in (y, d_inputs, *d_weights, *d_state):
            assert np.isfinite(array).all()
            bits = zlib.crc32(array.tobytes(), bits)
print(bits)
"""


def test_bits_do_not_depend_on_the_instruction_set_where_there_is_fma():
    assert_the_same_on_every_set_with_fma(BITS)


def test_other_cells_and_types_are_full():
    weights, _ = made("lstm", 6, 20)
    assert _core.pack(LSTMOptions(), [w.astype("f8") for w in weights], True, False, "bfloat16").precision == "float32"
    peepholes = [*weights, np.zeros((3, 20), "f4")]
    assert _core.pack(LSTMOptions(peepholes=True), peepholes, True, False, "bfloat16").precision == "float32"
    assert _core.pack(LSTMOptions(), weights, True, True, "bfloat16").precision == "float32"
    with pytest.raises(ValueError, match=r"^dropout_mask: expected one for all gates, of shape \(batch, inputs\)"):
        functional.lstm(
            np.ones((2, 3, 6), "f4"), packed("lstm", weights), training=True, dropout_mask=np.ones((4, 2, 6), "f4")
        )
