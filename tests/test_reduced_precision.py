"""Products of bfloat16 and int8 in the recurrent kernels: what they compute, and that nothing else changes.

Expected values are the reference's, in NumPy; test_reference_of_low_precision.py has what holds that. The h before a
step is taken from what the core returned: one that is rounded the other way is far from what was expected.
"""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from problems import weight_shapes

from lstmcore import _core, functional, reference
from lstmcore._options import GRUOptions, LSTMOptions, MinGRUOptions, RNNOptions, SLSTMOptions
from lstmcore.functional import Zoneout

CELLS = {
    "lstm": LSTMOptions(),
    "gru": GRUOptions(),
    "rnn": RNNOptions("tanh"),
    "rnn, relu": RNNOptions("relu"),
}
every_cell = pytest.mark.parametrize("cell", CELLS)
every_precision = pytest.mark.parametrize("precision", ["bfloat16", "int8"])
SETS = _core.config()["available_instruction_sets"]


def expected_step(cell, precision, x, h, c, weights):
    """What the reference makes of one step, in float64 but for what is rounded by definition."""
    function = getattr(reference, CELLS[cell].cell)
    x, weights = x[:, None].astype("f8"), [np.asarray(w, "f8") for w in weights]
    state = (h.astype("f8"), c.astype("f8")) if cell == "lstm" else h.astype("f8")
    with np.errstate(over="ignore"):
        y, last = function(x, weights, state, CELLS[cell], precision=precision)
    return y[:, 0], last[1] if cell == "lstm" else c


def numbers(rng, *shape):
    return rng.standard_normal(shape).astype("f4")


def made(cell, inputs, units, seed=0):
    """Weights whose products are about 1, relu's h among them, and their rng."""
    rng = np.random.default_rng(seed)
    shapes = weight_shapes(CELLS[cell], inputs, units, units).values()
    scales = 0.7 / np.sqrt(inputs), 0.7 / np.sqrt(units), 0.25
    return [numbers(rng, *shape) * np.float32(s) for shape, s in zip(shapes, scales, strict=True)], rng


def packed(cell, weights, precision):
    packed = _core.pack(CELLS[cell], weights, False, False, precision)
    assert packed.precision == precision
    return packed


def run(cell, x, weights, state=None, **arguments):
    """Outputs, and the state as a list."""
    function = getattr(functional, CELLS[cell].cell)
    if state is not None and cell != "lstm":
        (state,) = state
    y, last = function(x, weights, state, **arguments)
    return y, (list(last) if cell == "lstm" else [last])


def start(cell, rng, batch, units, size=0.5):
    return [numbers(rng, batch, units) * np.float32(size) for _ in range(2 if cell == "lstm" else 1)]


def assert_is_expected(cell, precision, x, weights, state, y, lengths=None, tolerance=4e-6):
    """Of float32: rounding of sums of a few hundred terms of about 1, and of the activations."""
    h, c = state[0], state[-1].astype("f8")
    for t in range(x.shape[1]):
        there = np.full(len(x), True) if lengths is None else t < np.asarray(lengths)
        want, c = expected_step(cell, precision, x[:, t], h, c, weights)
        h = y[:, t]
        np.testing.assert_allclose(h[there], want[there], atol=tolerance * max(1, np.abs(want).max()), rtol=tolerance)


def reversed_steps(x, lengths):
    return np.stack([np.concatenate([row[:n][::-1], row[n:]]) for row, n in zip(x, lengths, strict=True)])


# --- what they compute ---


@every_cell
@every_precision
@given(
    st.integers(1, 13),
    st.integers(1, 4),
    st.one_of(st.integers(1, 9), st.integers(10, 150)),
    st.one_of(st.integers(1, 9), st.integers(10, 150), st.just(50)),
    st.booleans(),
    st.sampled_from([0.0, 0.5, 3.0]),
    st.integers(0, 99),
)
@example(2, 2, 1100, 40, False, 0.5, 0)
@example(9, 2, 1100, 1040, True, 0.5, 0)
@example(1, 30, 600, 70, False, 3.0, 0)
def test_steps_are_their_definition(cell, precision, batch, steps, inputs, units, ragged, size, seed):
    weights, rng = made(cell, inputs, units, seed)
    x = numbers(rng, batch, steps, inputs)
    state = start(cell, rng, batch, units, size)
    lengths = rng.integers(0, steps + 1, batch) if ragged else None
    p = packed(cell, weights, precision)
    y, last = run(cell, x, p, state, lengths=lengths)
    assert y.dtype == np.float32
    assert_is_expected(cell, precision, x, weights, state, y, lengths)
    full = np.full(batch, steps) if lengths is None else lengths
    back, back_last = run(cell, reversed_steps(x, full), p, state, lengths=lengths, go_backwards=True)
    for row, length in enumerate(full):
        np.testing.assert_array_equal(reversed_steps(back, full)[row, :length], y[row, :length])
    np.testing.assert_array_equal(back_last, last)
    final, _ = run(cell, x, p, state, lengths=lengths, return_sequences=False)
    np.testing.assert_array_equal(final[full > 0], last[0][full > 0])


@every_cell
@every_precision
def test_biases_and_both_layouts_of_matrices(cell, precision):
    weights, rng = made(cell, 21, 37)
    x = numbers(rng, 3, 4, 21)
    want, _ = run(cell, x, packed(cell, weights, precision))
    transposed = [np.asfortranarray(w) for w in weights[:2]]
    got, _ = run(cell, x, packed(cell, [*transposed, weights[2]], precision))
    np.testing.assert_array_equal(got, want)
    zero, _ = run(cell, x, packed(cell, [*weights[:2], np.zeros_like(weights[2])], precision))
    none, _ = run(cell, x, packed(cell, weights[:2], precision))
    np.testing.assert_array_equal(none, zero)


@every_precision
def test_large_numbers_where_nothing_bounds_h(precision):
    weights, rng = made("rnn, relu", 7, 20)
    x = numbers(rng, 3, 5, 7) * np.float32(1e6)
    state = [np.abs(numbers(rng, 3, 20)) * np.float32(1e6)]
    y, _ = run("rnn, relu", x, packed("rnn, relu", weights, precision), state)
    assert np.abs(y).max() > 1e5
    assert_is_expected("rnn, relu", precision, x, weights, state, y)


@pytest.mark.parametrize("batch", [1, 7, 13])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_given_scale_of_all_rows_of_x(cell, batch):
    """Numbers are multiples of it, cut off at 127 of them. With a column of that size a row has it as its own scale."""
    weights, rng = made(cell, 22, 50)
    x, state, scale = numbers(rng, batch, 5, 22), start(cell, rng, batch, 50), np.float32(1 / 64)
    assert (np.abs(x) > 127 * scale).any()
    weights[0][0] = 0
    p = _core.pack(CELLS[cell], weights, False, False, "int8", scale)
    assert p.row_scale == scale
    assert packed(cell, weights, "int8").row_scale is None
    x[..., 0] = 0
    y, _ = run(cell, x, p, state)
    x = np.clip(x, -127 * scale, 127 * scale)
    x[..., 0] = 127 * scale
    assert_is_expected(cell, "int8", x, weights, state, y)


@every_cell
def test_columns_and_rows_of_zeros(cell):
    weights, rng = made(cell, 5, 18)
    weights[0][:, ::3] = 0
    weights[1][:, 1::2] = 0
    x = numbers(rng, 3, 4, 5)
    x[1] = 0
    x[2, 2] = 1e-40  # as good as zero
    state = [np.zeros_like(s) for s in start(cell, rng, 3, 18)]
    y, _ = run(cell, x, packed(cell, weights, "int8"), state)
    assert_is_expected(cell, "int8", np.where(np.abs(x) < 1e-38, 0, x), weights, state, y)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
@example(0x3F808000, 1)  # halfway, to the even one below
@example(0x3F818000, 2)  # and above
@example(0x3F80FFFF, 1)
@example(0x7F7FFFFF, 1)  # no finite bfloat16 is so large
@example(0x7F800000, 1)
@example(0xFF800000, 3)
@example(0x7F800001, 2)  # no number, though its upper half alone is infinity
@example(0xFFFFFFFF, 1)
def test_rounding_to_bfloat16(bits, place):
    x = np.array([bits], "u4").view("f4")
    if 0 < abs(x) < 1e-37:
        x[:] = 0  # denormals are zero in our kernels
    # 1 times x alone: the sum is x rounded, of inputs and of weights
    one_hot = np.zeros((1, 1, 6), "f4")
    one_hot[..., place] = 1
    kernel = np.zeros((6, 3), "f4")
    kernel[place] = x
    linear = RNNOptions("linear")
    none = np.zeros((3, 3), "f4")
    of_weights, _ = functional.rnn(one_hot, _core.pack(linear, [kernel, none], False, False, "bfloat16"))
    with np.errstate(invalid="ignore"):
        of_inputs, _ = functional.rnn(
            one_hot * 0 + np.where(one_hot > 0, x, 0),
            _core.pack(
                linear, [np.where(kernel == x, 1, 0).astype("f4") + (kernel != kernel), none], False, False, "bfloat16"
            ),
        )
    with np.errstate(over="ignore", invalid="ignore"):
        want = np.full(3, reference.bfloat16(x))
    np.testing.assert_array_equal(of_weights[0, 0], want)
    np.testing.assert_array_equal(of_inputs[0, 0], want)


@every_cell
@every_precision
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("units", [5, 50])
def test_what_is_no_finite_number_stays_in_its_row(cell, precision, value, units):
    weights, rng = made(cell, 6, units)
    x = numbers(rng, 9, 5, 6)
    p = packed(cell, weights, precision)
    clean, _ = run(cell, x, p)
    x[3, 2, 4] = value
    y, _ = run(cell, x, p)
    rest = np.arange(9) != 3
    np.testing.assert_array_equal(y[rest], clean[rest])
    np.testing.assert_array_equal(y[3, :2], clean[3, :2])
    if precision == "int8" or np.isnan(value):
        assert np.isnan(y[3, 2:]).all()  # an infinite row has no scale: never a finite number in its place


# --- that nothing else changes ---


@every_cell
@every_precision
@pytest.mark.parametrize(
    "shape", [(1, 30, 20, 64), (3, 11, 7, 200), (3, 5, 20, 530), (20, 5, 20, 530), (70, 40, 3, 33)]
)
def test_bits_do_not_depend_on_threads_or_on_other_rows(cell, precision, shape, set_threads):
    batch, steps, inputs, units = shape
    weights, rng = made(cell, inputs, units)
    x, p = numbers(rng, batch, steps, inputs), packed(cell, weights, precision)
    state = start(cell, rng, batch, units)
    set_threads(1)
    want, want_last = run(cell, x, p, state)
    for threads in (2, 3):
        set_threads(threads)
        y, last = run(cell, x, p, state)
        np.testing.assert_array_equal(y, want)
        np.testing.assert_array_equal(last, want_last)
    for row in {0, batch // 2, batch - 1}:
        alone, _ = run(cell, x[row : row + 1], p, [s[row : row + 1] for s in state])
        np.testing.assert_array_equal(alone[0], want[row])


@every_cell
@every_precision
@given(st.integers(1, 3), st.integers(1, 70), st.integers(1, 70), st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_a_stream_gives_the_bits_of_the_whole(cell, precision, batch, inputs, units, chunks):
    weights, rng = made(cell, inputs, units)
    x, p = numbers(rng, batch, sum(chunks), inputs), packed(cell, weights, precision)
    state = start(cell, rng, batch, units)
    want, last = run(cell, x, p, state)
    stream = _core.Stream(p, batch, max(chunks), None)
    stream.set_state(state)
    ends = np.cumsum(chunks)
    got = [stream.run(x[:, end - n : end], None) for n, end in zip(chunks, ends, strict=True)]
    np.testing.assert_array_equal(np.concatenate(got, 1), want)
    for a, b in zip(stream.state(), last, strict=True):
        np.testing.assert_array_equal(a, b)


@every_precision
@given(st.integers(1, 40), st.integers(1, 40))
def test_quantized_weights_quantize_to_themselves(precision, inputs, units):
    weights, rng = made("lstm", inputs, units)
    if precision == "bfloat16":
        again = [reference.bfloat16(w) for w in weights[:2]]
    else:
        again = [(q * scale).astype("f4") for q, scale in (reference.int8(w, 0) for w in weights[:2])]
    x = numbers(rng, 2, 3, inputs)
    a, _ = run("lstm", x, packed("lstm", weights, precision))
    b, _ = run("lstm", x, packed("lstm", [*again, weights[2]], precision))
    # the numbers are the same; a scale is found again but for its last bit
    np.testing.assert_allclose(a, b, atol=0 if precision == "bfloat16" else 3e-7)


# Sums are the same on every set, and so are the activations where there is fma.
BITS = """
import zlib
import numpy as np
from test_reduced_precision import CELLS, made, numbers, packed, run
bits = 0
for cell in CELLS:
    for precision in ("bfloat16", "int8"):
        for batch, steps, inputs, units in ((1, 4, 33, 70), (7, 3, 5, 50), (13, 2, 1100, 24), (2, 2, 20, 1100)):
            weights, rng = made(cell, inputs, units)
            y, _ = run(cell, numbers(rng, batch, steps, inputs), packed(cell, weights, precision))
            assert np.isfinite(y).all()
            bits = zlib.crc32(y.tobytes(), bits)
print(bits)
"""


def assert_the_same_on_every_set_with_fma(program):
    """What a program prints."""
    sets = [name for name in SETS if name in ("avx2", "avx512", "avx512_bf16")]
    if len(sets) < 2:
        pytest.skip("this CPU has one such instruction set or none")
    found = {}
    for name in sets:
        environment = dict(
            os.environ, LSTMCORE_ISA=name, PYTHONPATH=os.pathsep.join([os.path.dirname(__file__), *sys.path])
        )
        ran = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False
        )
        assert ran.returncode == 0, ran.stderr
        found[name] = ran.stdout
    assert len(set(found.values())) == 1, found


def test_bits_do_not_depend_on_the_instruction_set_where_there_is_fma():
    assert_the_same_on_every_set_with_fma(BITS)


# --- where there are no such kernels, and bad input ---

FULL = {
    "peepholes": (LSTMOptions(peepholes=True), False, False),
    "gru, reset before": (GRUOptions(reset_after=False), False, False),
    "slstm": (SLSTMOptions(), False, False),
    "min_gru": (MinGRUOptions(), False, False),
    "zoneout": (LSTMOptions(), False, True),
}


@every_precision
@pytest.mark.parametrize(("options", "training", "zoneout"), FULL.values(), ids=FULL)
def test_what_has_no_such_kernel_is_computed_in_full_and_says_so(precision, options, training, zoneout):
    rng = np.random.default_rng(0)
    weights = [numbers(rng, *s) for s in weight_shapes(options, 6, 20, 20).values()]
    p = _core.pack(options, weights, training, zoneout, precision)
    assert p.precision == "float32"
    function, x = getattr(functional, options.cell), numbers(rng, 2, 3, 6)
    want = function(x, _core.pack(options, weights, training, zoneout))[0]
    np.testing.assert_array_equal(function(x, p)[0], want)


def test_float64_is_full_and_int8_for_inference():
    weights, _ = made("lstm", 6, 20)
    for precision in ("bfloat16", "int8"):
        wide = _core.pack(LSTMOptions(), [w.astype("f8") for w in weights], False, False, precision)
        assert (wide.precision, wide.dtype) == ("float32", "float64")
    assert _core.pack(LSTMOptions(), weights, False, False).precision == "float32"
    with pytest.raises(ValueError, match="precision: 'int8' is for inference, got training=True"):
        _core.pack(LSTMOptions(), weights, True, False, "int8")


@pytest.mark.parametrize("precision", ["float16", "int4", "", "INT8", "int8\0", None, 8, b"int8"])
def test_other_precisions(precision):
    weights, _ = made("lstm", 6, 20)
    error = ValueError if isinstance(precision, str) else TypeError
    with pytest.raises(error, match="precision: expected 'float32', 'bfloat16' or 'int8', got "):
        _core.pack(LSTMOptions(), weights, False, False, precision)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("place", "name"), [(0, "kernel"), (1, "recurrent_kernel")])
@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray])
def test_int8_has_no_infinite_weights(value, place, name, layout):
    weights, _ = made("gru", 6, 20)
    weights[place][4, 17] = value
    with pytest.raises(ValueError, match=f"^{name}: expected finite numbers.* in row 4, column 17"):
        _core.pack(GRUOptions(), [layout(w) for w in weights], False, False, "int8")
    assert _core.pack(GRUOptions(), weights, False, False, "bfloat16").precision == "bfloat16"


@every_precision
@pytest.mark.parametrize(
    ("name", "shape", "text"),
    [
        ("dropout_mask", (4, 2, 6), r"expected one for all gates, of shape \(batch, inputs\), for weights of reduced"),
        ("recurrent_dropout_mask", (2, 6), "expected none, for weights of reduced precision"),
        ("recurrent_dropout_mask", (4, 2, 6), "expected none, for weights of reduced precision"),
    ],
)
def test_dropout_of_h_or_of_each_gate_is_for_full_precision(precision, name, shape, text):
    weights, _ = made("lstm", 6, 6)
    p = packed("lstm", weights, precision)
    with pytest.raises(ValueError, match=f"^{name}: {text}"):
        functional.lstm(np.ones((2, 3, 6), "f4"), p, **{name: np.ones(shape, "f4")})


@every_precision
def test_factors_of_inputs_are_multiplied_before_they_are_rounded(precision):
    rng = np.random.default_rng(0)
    weights, _ = made("lstm", 6, 6)
    p, x, factors = packed("lstm", weights, precision), numbers(rng, 2, 5, 12)[..., ::2], numbers(rng, 2, 6)
    before, out = x.copy(), np.zeros((2, 5, 6), "f4")
    for inputs in (x, x[:, ::-1].copy()[:, ::-1]):
        got, _ = functional.lstm(inputs, p, dropout_mask=factors, out=out)
        want, _ = functional.lstm(x * factors[:, None], p)
        np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(x, before)
    with pytest.raises(ValueError, match=r"dropout_mask: expected shape"):
        functional.lstm(x, p, dropout_mask=factors[:1])


@every_precision
def test_training_needs_weights_packed_for_it(precision):
    weights, _ = made("lstm", 6, 6)
    with pytest.raises(ValueError, match="training"):
        functional.lstm(np.ones((2, 3, 6), "f4"), packed("lstm", weights, precision), training=True)


@every_precision
def test_zoneout_of_a_simple_cell(precision):
    """Without a seed it mixes by the rates, in the kernel."""
    weights, rng = made("rnn", 6, 20)
    x = numbers(rng, 2, 1, 6)
    state = [numbers(rng, 2, 20)]
    p = _core.pack(RNNOptions("tanh"), weights, False, True, precision)
    assert p.precision == precision
    got = functional.rnn(x, p, state[0], zoneout=Zoneout(0.25))[0][:, 0]
    want = 0.25 * state[0] + 0.75 * expected_step("rnn", precision, x[:, 0], state[0], None, weights)[0]
    np.testing.assert_allclose(got, want, atol=4e-6)
