"""Matrix multiplication of the core against NumPy in float64."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstmcore
from lstmcore import _core

size = st.one_of(st.integers(0, 8), st.integers(1, 150))


@given(
    rows=size,
    depth=size,
    columns=size,
    layouts=st.tuples(*2 * [st.sampled_from(["C", "F", "sliced", "reversed"])]),
    bias=st.booleans(),
    accumulate=st.booleans(),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_products(rows, depth, columns, layouts, bias, accumulate, dtype, seed):
    rng = np.random.default_rng(seed)

    def matrix(n, m, layout):
        a = rng.standard_normal((n, m)).astype(dtype)
        if layout == "F":
            return np.asfortranarray(a)
        if layout == "sliced":
            return np.repeat(np.repeat(a, 2, 0), 3, 1)[::2, ::3]
        return a[::-1, ::-1] if layout == "reversed" else a

    a, b = matrix(rows, depth, layouts[0]), matrix(depth, columns, layouts[1])
    c = rng.standard_normal((rows, columns)).astype(dtype)
    v = rng.standard_normal(columns).astype(dtype) if bias else None
    c0 = c.copy()
    want = a.astype(float) @ b.astype(float) + (v.astype(float) if bias else 0) + (c if accumulate else 0)
    got = _core.matmul(a, b, v, c, accumulate)
    assert got is c
    # Rounding: at most one unit for each term and two more, of the sum of the terms' sizes (Higham 2002, 3.5).
    terms = np.abs(a).astype(float) @ np.abs(b) + (np.abs(v) if bias else 0) + (np.abs(c0) if accumulate else 0)
    assert (np.abs(got - want) <= (depth + 3) * np.finfo(dtype).eps * terms).all()


@pytest.mark.parametrize("depth", [511, 512, 513, 1024, 1025, 1300])
@pytest.mark.parametrize(("rows", "columns"), [(100, 70), (3, 700), (70, 3)])
def test_deep_products_with_either_side_transposed_on_threads(rows, depth, columns, set_threads):
    rng = np.random.default_rng(0)
    a, b, c = (rng.standard_normal(shape) for shape in ((rows, depth), (depth, columns), (rows, columns)))
    for left, right in itertools.product((a, np.asfortranarray(a)), (b, np.asfortranarray(b))):
        for bias, added in ((None, None), (c[0].copy(), None), (None, c)):
            want = a @ b + (0 if bias is None else bias) + (0 if added is None else added)
            results = []
            for threads in (1, 2, 3):
                set_threads(threads)
                out = None if added is None else added.copy()
                results.append(_core.matmul(left, right, bias, out, added is not None))
                np.testing.assert_allclose(results[-1], want, rtol=0, atol=1e-11)
                np.testing.assert_array_equal(results[-1], results[0])


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_product_of_no_terms_is_what_is_added_to_it(order):
    a, b, bias = np.zeros((3, 0), order=order), np.zeros((0, 70)), np.arange(70.0)
    before = np.full((3, 70), 5.0)
    np.testing.assert_array_equal(_core.matmul(a, b, None, before.copy()), np.zeros((3, 70)))
    np.testing.assert_array_equal(_core.matmul(a, b, bias, before.copy()), np.tile(bias, (3, 1)))
    np.testing.assert_array_equal(_core.matmul(a, b, None, before.copy(), True), before)


@given(
    count=st.integers(0, 9),
    rows=size,
    depth=size,
    columns=size,
    layouts=st.tuples(*2 * [st.sampled_from(["C", "transposed", "sliced", "reversed", "repeated"])]),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_stacks_of_products_are_the_products_of_each(count, rows, depth, columns, layouts, dtype, seed):
    rng = np.random.default_rng(seed)

    def matrices(n, m, layout):
        a = rng.standard_normal((count, n, m)).astype(dtype)
        if layout == "transposed":
            return a.swapaxes(1, 2).copy().swapaxes(1, 2)
        if layout == "sliced":
            return a.repeat(2, 0).repeat(3, 2)[::2, :, ::3]
        if layout == "repeated":
            return np.broadcast_to(a[:1], a.shape) if count else a
        return a[::-1, ::-1] if layout == "reversed" else a

    a, b = matrices(rows, depth, layouts[0]), matrices(depth, columns, layouts[1])
    bias, out = rng.standard_normal(columns).astype(dtype), rng.standard_normal((count, rows, columns)).astype(dtype)
    results = []
    for threads in (1, 2, 3):
        with lstmcore.threads(threads):
            added = _core.matmul(a, b, None, out.copy(), True)
            results.append([_core.matmul(a, b), _core.matmul(a, b, bias), added])
    for n in range(count):
        alone = [_core.matmul(a[n], b[n]), _core.matmul(a[n], b[n], bias)]
        for got in results:
            for one, whole in zip([*alone, _core.matmul(a[n], b[n], None, out[n].copy(), True)], got, strict=True):
                np.testing.assert_array_equal(whole[n], one)
    assert results[0][0].shape == (count, rows, columns)


def test_bad_matrices_are_refused():
    a, b = np.zeros((2, 3)), np.zeros((3, 4))
    for args, error, text in [
        ((a, b.astype("float32")), TypeError, "b: expected dtype float64, got float32"),
        ((a, a), ValueError, r"b: expected shape \(depth=3, columns\), got \(2, 3\)"),
        ((a[0], b), ValueError, r"a: expected shape \(rows, depth\), got \(3,\)"),
        ((a, b, np.zeros(3)), ValueError, r"bias: expected shape \(columns=4,\), got \(3,\)"),
        ((a, b, None, np.zeros((2, 5))), ValueError, r"out: expected shape \(rows=2, columns=4\), got \(2, 5\)"),
        ((a, b, None, None, True), ValueError, "accumulate=True needs an array"),
        ((np.stack([a, a]), np.stack([b])), ValueError, r"b: expected shape \(count=2, depth=3, columns\), got \(1, 3"),
        ((np.stack([a, a]), b), ValueError, r"b: expected shape \(count=2, depth=3, columns\), got \(3, 4\)"),
        ((np.stack([a, a]), _core.PackedMatrix(b)), ValueError, r"a: expected shape \(rows, depth\), got \(2, 2, 3\)"),
        ((a.astype(int), b), TypeError, "a: expected dtype float32 or float64, got int64"),
    ]:
        with pytest.raises(error, match=text):
            _core.matmul(*args)
    square = np.eye(3)
    with pytest.raises(ValueError, match="out: overlaps a in memory"):
        _core.matmul(square, square.copy(), None, square)
    out = np.zeros((3, 3))
    with pytest.raises(ValueError, match="out: overlaps bias in memory"):
        _core.matmul(square, square.copy(), out[0], out)
