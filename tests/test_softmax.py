"""Softmaxes of rows in the core, there and back, against NumPy in float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstmcore
from lstmcore import _core

# Rounding: of an exponential, a sum of at most some hundred terms and a quotient, of numbers up to one.
CLOSE = {"float32": 2e-6, "float64": 1e-14}


def in_numpy(x, scale, left_in):
    x = np.where(left_in, scale * x.astype(float), -np.inf)
    x = np.where(left_in.any(-1, keepdims=True), x, 0)  # where nothing is left, all have the same
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@given(
    count=st.integers(0, 6),
    masks=st.sampled_from(["none", "one", "for each", "for two", "repeated rows", "sliced"]),
    rows=st.integers(0, 9),
    columns=st.one_of(st.integers(1, 8), st.integers(1, 300)),
    scale=st.sampled_from([1.0, 0.125, -2.0, 0.0]),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_there_and_back(count, masks, rows, columns, scale, dtype, seed):
    rng = np.random.default_rng(seed)
    if masks == "for two":
        count *= 2
    x, dy = (rng.standard_normal((count, rows, columns)).astype(dtype) for _ in range(2))
    number = {"one": 1, "for each": count, "for two": count // 2}.get(masks, count)
    left_in = rng.random((number, rows, columns)) < rng.choice([0.3, 0.8])
    if masks == "repeated rows":
        left_in = np.broadcast_to(left_in[:, :1] if rows else left_in, left_in.shape)
    elif masks == "sliced":
        left_in = left_in.repeat(2, 2)[:, :, ::2]
    given_mask = None if masks == "none" else np.where(left_in, 7, 0).astype("uint8").view(bool)
    all_in = np.ones((1, rows, columns), bool) if masks == "none" else left_in
    all_in = np.repeat(all_in, count // max(1, len(all_in)), 0) if count else all_in[:0]
    results = []
    for threads in (1, 2, 3):
        y, dx = x.copy(), dy.copy()
        with lstmcore.threads(threads):
            _core.softmax(y, scale, given_mask)
            _core.softmax_backward(dx, y, scale, given_mask)
        results.append((y, dx))
    want = in_numpy(x, scale, all_in)
    sums = (dy * want).sum(-1, keepdims=True)
    np.testing.assert_allclose(results[0][0], want, rtol=0, atol=CLOSE[dtype])
    back = np.where(all_in, scale * want * (dy - sums), 0)
    np.testing.assert_allclose(results[0][1], back, rtol=0, atol=20 * CLOSE[dtype])
    for y, dx in results[1:]:
        np.testing.assert_array_equal(y, results[0][0])
        np.testing.assert_array_equal(dx, results[0][1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_of_extremes(dtype):
    x = np.array([[[1e30, 1e30, -1e30], [-1e30, 0, 88.5], [1000, 999, -np.inf], [np.nan, 0, 1]]], dtype)
    y = x.copy()
    _core.softmax(y, 1.0, None)
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(y, in_numpy(x, 1.0, np.True_), rtol=0, atol=CLOSE[dtype])
    # What is left out may be anything.
    y = x.copy()
    _core.softmax(y, 1.0, ~np.isnan(x) & (x > 0))
    np.testing.assert_allclose(
        y[0], [[0.5, 0.5, 0], [0, 0, 1], [1 / (1 + 1 / np.e), 1 / (1 + np.e), 0], [0, 0, 1]], 1e-6
    )


def test_bad_arguments_are_refused():
    x, mask = np.ones((4, 2, 3)), np.ones((2, 2, 3), bool)
    for args, error, text in [
        ((x[0], 1.0, None), ValueError, r"x: expected shape \(count, rows, columns\), got \(2, 3\)"),
        ((x.astype(int), 1.0, None), TypeError, "x: expected dtype float32 or float64, got int64"),
        ((x.tolist(), 1.0, None), TypeError, "x: expected an array to write into, got list"),
        ((x[:, ::-1], 1.0, None), ValueError, "x: expected a C-contiguous array"),
        ((np.broadcast_to(x, x.shape), 1.0, None), ValueError, "x: expected a writeable array"),
        ((x, np.nan, None), ValueError, "scale: expected a number"),
        ((x, "1", None), TypeError, "scale: expected a number"),
        ((x, 1.0, mask.astype(int)), TypeError, "left_in: expected bool, got int64"),
        ((x, 1.0, mask[:, :1]), ValueError, r"left_in: expected shape \(count, rows=2, columns=3\), got \(2, 1, 3\)"),
        ((x, 1.0, np.ones((3, 2, 3), bool)), ValueError, "left_in: expected a count that divides 4, got 3"),
        ((x, 1.0, mask[:0]), ValueError, "left_in: expected a count that divides 4, got 0"),
    ]:
        with pytest.raises(error, match=text):
            _core.softmax(*args)
    for y, error, text in [
        (x[:2].copy(), ValueError, r"y: expected shape \(count=4, rows=2, columns=3\), got \(2, 2, 3\)"),
        (x.astype("float32"), TypeError, "y: expected dtype float64, got float32"),
        (x, ValueError, "x: overlaps y in memory"),
    ]:
        with pytest.raises(error, match=text):
            _core.softmax_backward(x, y, 1.0, None)
