"""Rows added to the rows that indices name: the gradient of an embedding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstmcore
from lstmcore import _core


@given(
    st.integers(1, 40),
    st.integers(0, 200),
    st.sampled_from([1, 3, 16, 17, 64, 130]),
    st.sampled_from(["float32", "float64"]),
    st.sampled_from(["int64", "int32", "uint8"]),
    st.integers(1, 2),
)
def test_sums_are_numpys(size, count, width, dtype, kind, threads):
    rng = np.random.default_rng([size, count, width])
    sums = rng.integers(-8, 8, (size, width)).astype(dtype)
    rows = rng.integers(-8, 8, (count, width)).astype(dtype)  # sums of whole numbers are exact in any order
    indices = rng.integers(0, size, count).astype(kind)
    want = sums.copy()
    np.add.at(want, indices, rows)
    with lstmcore.threads(threads):
        _core.add_rows(sums, indices, rows)
    np.testing.assert_array_equal(sums, want)


def test_bits_do_not_depend_on_threads():
    rng = np.random.default_rng(0)
    indices, rows = rng.integers(0, 50, 4000), rng.standard_normal((4000, 100), dtype="float32")
    results = []
    for threads in (1, 2):
        sums = np.zeros((50, 100), "float32")
        with lstmcore.threads(threads):
            _core.add_rows(sums, indices, rows)
        results.append(sums)
    np.testing.assert_array_equal(*results)


def test_unaligned_indices():
    """Wrong only under a sanitizer, on the processors whose vectors may be loaded from anywhere."""
    memory = np.zeros(8 * 3 + 1, np.uint8)
    indices = memory[1:].view(np.int64)
    indices[:] = [2, 0, 2]
    sums = np.zeros((3, 2))
    _core.add_rows(sums, indices, np.ones((3, 2)))
    np.testing.assert_array_equal(sums, [[1, 1], [0, 0], [2, 2]])


@pytest.mark.parametrize(
    ("indices", "rows", "error", "message"),
    [
        ([0, 5], np.ones((2, 3)), ValueError, "indices: expected numbers from 0 to 4, got 5"),
        ([-1, 0], np.ones((2, 3)), ValueError, "indices: expected numbers from 0 to 4, got -1"),
        ([0.0, 1.0], np.ones((2, 3)), TypeError, "indices: expected integers, got float64"),
        ([0], np.ones((2, 3)), ValueError, r"indices: expected shape \(rows=2,\), got \(1,\)"),
        ([0, 1], np.ones((2, 4)), ValueError, r"rows: expected shape \(rows, width=3\), got \(2, 4\)"),
        ([0, 1], np.ones((2, 3), "float32"), TypeError, "rows: expected dtype float64, got float32"),
    ],
)
def test_bad_input_is_named(indices, rows, error, message):
    sums = np.zeros((5, 3))
    with pytest.raises(error, match=message):
        _core.add_rows(sums, np.array(indices), rows)
    assert not sums.any()


def test_what_is_written_overlaps_nothing():
    sums = np.zeros((5, 3))
    with pytest.raises(ValueError, match="sums: overlaps rows"):
        _core.add_rows(sums, np.array([0, 1]), sums[1:3])
