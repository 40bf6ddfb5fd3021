"""The kernels against the reference, over shapes, options, layouts, dtypes and threads."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from problems import LAYOUTS, Problem, assert_same_bits, relative_errors

from lstmcore import _core, functional, reference

# float64: rounding of 1e-16 over a few hundred terms, carried through some tens of steps. float32: the same with 6e-8.
# Both relative to the largest value of the array.
TOLERANCE = {"float32": 3e-5, "float64": 1e-12}

sizes = st.one_of(st.integers(1, 9), st.integers(1, 70))


@given(
    batch=st.one_of(st.integers(0, 9), st.integers(1, 50)),
    steps=st.integers(1, 14),
    inputs=sizes,
    units=st.one_of(sizes, st.integers(60, 140)),
    dtype=st.sampled_from(["float32", "float64"]),
    bias=st.booleans(),
    state=st.booleans(),
    sequences=st.booleans(),
    layout=st.sampled_from(LAYOUTS),
    threads=st.sampled_from([1, 2, 3]),
    seed=st.integers(0, 2**32 - 1),
)
@example(1, 30, 5, 16, "float32", True, True, True, "contiguous", 1, 0)  # projected ahead, in chunks
@example(3, 200, 40, 260, "float32", True, True, True, "time-major", 2, 0)  # shared by units, several panels
@example(600, 2, 3, 7, "float64", True, True, False, "contiguous", 2, 0)  # more rows than a depth block
@example(260, 3, 600, 50, "float32", True, True, True, "contiguous", 1, 0)  # pieces, and groups of tiles
@example(32, 40, 20, 130, "float64", False, True, True, "reversed", 2, 0)  # several chunks backward
def test_forward_and_backward_are_the_reference(
    batch, steps, inputs, units, dtype, bias, state, sequences, layout, threads, seed
):
    p = Problem(batch, steps, inputs, units, dtype, seed, bias, state, sequences, layout)
    before = _core.get_num_threads()
    _core.set_num_threads(threads)
    try:
        got = p.run(functional)
    finally:
        _core.set_num_threads(before)
    want = p.run(reference, "float64")
    for name, error in relative_errors(got, want).items():
        assert error < TOLERANCE[dtype], name
    assert all(a.dtype == dtype for a in got.values())


@pytest.mark.parametrize("sequences", [True, False])
def test_training_and_inference_give_the_same_bits(sequences):
    p = Problem(9, 20, 6, 37, sequences=sequences)
    y, (h, c) = functional.lstm(p.x, p.weights, p.state, return_sequences=sequences)
    trained = p.run(functional)
    assert_same_bits({"outputs": y, "h": h, "c": c}, {k: trained[k] for k in ("outputs", "h", "c")})
    np.testing.assert_array_equal(h, y[:, -1] if sequences else y)


def test_packed_weights_are_the_weights():
    p = Problem(3, 4, 5, 6)
    packed = functional.pack_lstm(p.weights)
    np.testing.assert_array_equal(functional.lstm(p.x, packed)[0], functional.lstm(p.x, p.weights)[0])
    assert functional.pack_lstm(packed) is packed
    assert (packed.inputs, packed.units, packed.has_bias, packed.training, packed.dtype) == (
        5,
        6,
        True,
        False,
        "float32",
    )


def test_writes_into_out():
    p = Problem(3, 4, 5, 6)
    for sequences, shape in ((True, (3, 4, 6)), (False, (3, 6))):
        out = np.full(shape, np.nan, "float32")
        y, _ = functional.lstm(p.x, p.weights, return_sequences=sequences, out=out)
        assert y is out
        np.testing.assert_array_equal(out, functional.lstm(p.x, p.weights, return_sequences=sequences)[0])


def test_gradients_are_added_and_the_cache_can_be_used_again():
    p = Problem(5, 7, 3, 20, "float64")
    _, _, cache = functional.lstm(p.x, p.weights, p.state, training=True)
    first = functional.lstm_backward(cache, p.dy)
    held = [np.ones_like(g) for g in first[1]]
    second = functional.lstm_backward(cache, p.dy, d_weights=held)
    np.testing.assert_array_equal(first[0], second[0])
    for new, old, given_array in zip(second[1], first[1], held, strict=True):
        assert new is given_array
        np.testing.assert_allclose(new, old + 1, rtol=1e-12, atol=1e-13)


def test_gradients_left_out_are_zero():
    p = Problem(4, 5, 3, 6, "float64")
    zeros = [np.zeros((4, 6)), np.zeros((4, 6))]
    _, _, cache = functional.lstm(p.x, p.weights, p.state, training=True)
    for less, more in [((p.dy,), (p.dy, zeros)), ((None, p.d_state), (np.zeros_like(p.dy), p.d_state))]:
        a, b = functional.lstm_backward(cache, *less), functional.lstm_backward(cache, *more)
        np.testing.assert_array_equal(a[0], b[0])
    assert functional.lstm_backward(cache, p.dy, need_d_inputs=False)[0] is None
    one_sided = functional.lstm_backward(cache, None, (None, p.d_state[1]))
    np.testing.assert_array_equal(one_sided[0], functional.lstm_backward(cache, None, (zeros[0], p.d_state[1]))[0])


def test_the_cache_holds_what_it_says():
    p = Problem(4, 5, 3, 6)
    _, _, cache = functional.lstm(p.x, p.weights, training=True)
    assert cache.nbytes == 4 * (5 * 6) * (4 * 5)  # gates and c: 5 numbers a unit, row and step
    _, _, cache = functional.lstm(p.x, p.weights, return_sequences=False, training=True)
    assert cache.nbytes == 4 * (6 * 6) * (4 * 5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_with_nan_or_inf_spoils_only_itself(bad):
    p = Problem(9, 6, 4, 20)
    clean, _ = functional.lstm(p.x, p.weights)
    x = p.x.copy()
    x[4, 2, 1] = bad
    y, _ = functional.lstm(x, p.weights)
    others = np.arange(9) != 4
    np.testing.assert_array_equal(y[others], clean[others])
    np.testing.assert_array_equal(y[4, :2], clean[4, :2])
    assert np.isnan(y[4, 2:]).all() if np.isnan(bad) else not np.isnan(y[others]).any()


def test_a_state_that_decays_to_nothing_stays_finite():
    # Gates shut and a tiny state: the products run into denormals, which are flushed to zero.
    units = 16
    weights = [
        np.zeros((1, 4 * units), "float32"),
        np.zeros((units, 4 * units), "float32"),
        np.full(4 * units, -5, "float32"),
    ]
    state = [np.full((2, units), 1e-37, "float32"), np.full((2, units), 1e-37, "float32")]
    _, (h, c) = functional.lstm(np.zeros((2, 50, 1), "float32"), weights, state)
    _, (want_h, want_c) = reference.lstm(
        np.zeros((2, 50, 1)), [w.astype(float) for w in weights], [s.astype(float) for s in state]
    )
    np.testing.assert_allclose(c, want_c, rtol=1e-5, atol=1e-37)
    np.testing.assert_allclose(h, want_h, rtol=1e-5, atol=1e-37)
