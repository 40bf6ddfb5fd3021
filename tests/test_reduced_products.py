"""Products with a matrix packed as bfloat16 or int8: what they compute, and the same bits whoever computes them."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_reduced_precision import numbers

from lstmcore import _core
from lstmcore.reference.low_precision import int8, products

every_precision = pytest.mark.parametrize("precision", ["bfloat16", "int8"])


@every_precision
@given(
    st.integers(0, 30),
    st.one_of(st.integers(0, 9), st.integers(10, 200)),
    st.one_of(st.integers(0, 9), st.integers(10, 200)),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.integers(1, 3),
)
@example(250, 33, 70, True, True, True, 2)
@example(5, 2100, 130, True, False, False, 1)
@example(3, 4100, 17, False, True, False, 3)
def test_products_are_their_definition(precision, rows, depth, columns, bias, transposed, accumulate, threads):
    rng = np.random.default_rng(rows + depth)
    a, b = numbers(rng, rows, depth), numbers(rng, depth, columns) / np.float32(max(1, depth) ** 0.5)
    extra = numbers(rng, columns) if bias else None
    before = _core.get_num_threads()
    _core.set_num_threads(threads)
    try:
        packed = _core.PackedMatrix(np.asfortranarray(b) if transposed else b, precision)
        assert packed.precision == precision
        start = numbers(rng, rows, columns)
        out = start.copy() if accumulate else None
        got = _core.matmul(np.asfortranarray(a) if transposed else a, packed, extra, out, accumulate)
    finally:
        _core.set_num_threads(before)
    product, _ = products(precision, None, np.matmul, False)
    want = product(a.astype("f8"), b.astype("f8")) if a.size and b.size else np.zeros((rows, columns))
    want = want + (0 if extra is None else extra) + (start if accumulate else 0)
    # a float32 is rounded when a block of the sum joins the others, and in them with bfloat16
    np.testing.assert_allclose(got, want, atol=1e-5, rtol=1e-5)
    for row in range(0, rows, 7):
        alone = _core.matmul(
            a[row : row + 1], packed, extra, start[row : row + 1].copy() if accumulate else None, accumulate
        )
        np.testing.assert_array_equal(alone[0], got[row])


@given(
    st.integers(0, 9),
    st.integers(0, 30),
    st.one_of(st.integers(0, 9), st.integers(10, 200)),
    st.one_of(st.integers(0, 9), st.integers(10, 200)),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.integers(1, 3),
)
@example(2, 30, 65, 150, True, True, True, 2)
@example(3, 5, 130, 70, True, False, False, 2)
def test_matrices_that_are_not_packed_before_make_the_same(
    count, rows, depth, columns, stack, transposed, accumulate, threads
):
    """One product or several at a time: each has the bits of that with a matrix that is packed."""
    rng = np.random.default_rng(rows + depth)
    a, b = numbers(rng, count, rows, depth), numbers(rng, count, depth, columns)
    if transposed:
        a, b = (np.ascontiguousarray(m.swapaxes(1, 2)).swapaxes(1, 2) for m in (a, b))
    start = numbers(rng, count, rows, columns)
    before = _core.get_num_threads()
    _core.set_num_threads(threads)
    try:
        if stack:
            got = _core.matmul(a, b, None, start.copy() if accumulate else None, accumulate, "bfloat16")
        else:
            got = [
                _core.matmul(a[k], b[k], None, start[k].copy() if accumulate else None, accumulate, "bfloat16")
                for k in range(count)
            ]
    finally:
        _core.set_num_threads(before)
    for k in range(count):
        packed = _core.PackedMatrix(b[k], "bfloat16")
        want = _core.matmul(a[k], packed, None, start[k].copy() if accumulate else None, accumulate)
        np.testing.assert_array_equal(got[k], want)


def test_bad_precisions_of_matrices():
    a = np.ones((2, 2), "f4")
    with pytest.raises(ValueError, match=r"^precision: expected 'float32' or 'bfloat16', got 'int8'; pack b"):
        _core.matmul(a, a, precision="int8")
    with pytest.raises(ValueError, match=r"^precision: expected 'float32', 'bfloat16' or 'int8', got 'float16'"):
        _core.matmul(a, a, precision="float16")
    with pytest.raises(ValueError, match=r"^precision: expected 'float32' beside a packed b"):
        _core.matmul(a, _core.PackedMatrix(a), precision="bfloat16")
    with pytest.raises(ValueError, match=r"^precision: expected 'float32' for products of float64, got 'bfloat16'"):
        _core.matmul(a.astype("f8"), a.astype("f8"), precision="bfloat16")


@every_precision
def test_bits_do_not_depend_on_threads(precision, set_threads):
    rng = np.random.default_rng(0)
    for rows, depth, columns in ((3, 700, 900), (300, 300, 130), (40, 1300, 1000)):
        a, b = numbers(rng, rows, depth), numbers(rng, depth, columns)
        packed = _core.PackedMatrix(b, precision)
        set_threads(1)
        want = _core.matmul(a, packed)
        for threads in (2, 3):
            set_threads(threads)
            np.testing.assert_array_equal(_core.matmul(a, packed), want)
            if precision == "bfloat16":
                np.testing.assert_array_equal(_core.matmul(a, b, precision=precision), want)


@every_precision
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_finite_number_stays_in_its_row(precision, value):
    rng = np.random.default_rng(0)
    a, packed = numbers(rng, 9, 21), _core.PackedMatrix(numbers(rng, 21, 40), precision)
    clean = _core.matmul(a, packed)
    a[4, 7] = value
    got = _core.matmul(a, packed)
    rest = np.arange(9) != 4
    np.testing.assert_array_equal(got[rest], clean[rest])
    assert not np.isfinite(got[4]).any()
    if precision == "int8":
        assert np.isnan(got[4]).all()


@given(st.integers(1, 9), st.integers(1, 600), st.integers(1, 70), st.sampled_from([1e-3, 1 / 127, 0.02, 3.0]))
def test_rows_of_a_given_scale(rows, depth, columns, scale):
    """Beyond 127 times the scale numbers are cut off."""
    rng = np.random.default_rng(depth)
    a, b = numbers(rng, rows, depth), numbers(rng, depth, columns)
    packed = _core.PackedMatrix(b, "int8", row_scale=scale)
    assert packed.row_scale == np.float32(scale)
    q, of_columns = int8(b, 0)
    p = np.clip(np.rint(a / np.float32(scale)).astype("f8"), -127, 127)
    want = (p @ q) * (np.float32(scale) * of_columns)
    np.testing.assert_allclose(_core.matmul(a, packed), want, rtol=1e-6, atol=1e-6 * np.abs(want).max())
    a[0, depth // 2] = np.nan
    assert np.isnan(_core.matmul(a, packed)[0]).all()


def test_bad_scales():
    b = np.ones((3, 4), "f4")
    for bad in (0, -1.0, np.inf, np.nan, 1e-40):
        with pytest.raises(ValueError, match="row_scale: expected a number from"):
            _core.PackedMatrix(b, "int8", bad)
    with pytest.raises(TypeError, match="row_scale: expected a number"):
        _core.PackedMatrix(b, "int8", "1")
    with pytest.raises(ValueError, match=r"^row_scale: expected None, for precision 'bfloat16', got 1\.0"):
        _core.PackedMatrix(b, "bfloat16", 1.0)
    assert _core.PackedMatrix(b, "int8").row_scale is None
    assert _core.PackedMatrix(b.astype("f8"), "int8", 1.0).row_scale is None


def test_float64_is_full_and_bad_input_is_refused():
    b = np.ones((4, 5))
    wide = _core.PackedMatrix(b, "bfloat16")
    assert wide.precision == "float32"
    np.testing.assert_array_equal(_core.matmul(np.ones((2, 4)), wide), np.full((2, 5), 4.0))
    assert _core.PackedMatrix(b.astype("f4")).precision == "float32"
    with pytest.raises(ValueError, match="precision: expected 'float32', 'bfloat16' or 'int8', got 'int4'"):
        _core.PackedMatrix(b, "int4")
    b[2, 3] = np.inf
    with pytest.raises(ValueError, match=r"^b: expected finite numbers.* in row 2, column 3"):
        _core.PackedMatrix(b.astype("f4"), "int8")
    packed = _core.PackedMatrix(b.astype("f4"), "bfloat16")
    with pytest.raises(TypeError, match="b: was packed from another dtype"):
        _core.matmul(np.ones((2, 4)), packed)
