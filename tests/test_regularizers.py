"""Regularizers: Keras's formulas, and gradients that are their derivatives."""

import numpy as np
import pytest

from lstmcore import regularizers, serialization
from lstmcore.regularizers import L1, L1L2, L2, OrthogonalRegularizer, Regularizer

ALL = [
    L1(0.3),
    L2(0.2),
    L1L2(0.3, 0.2),
    L1L2(),
    OrthogonalRegularizer(0.5),
    OrthogonalRegularizer(0.5, mode="columns"),
]


def weights(shape=(4, 3), dtype="float64"):
    return np.random.default_rng(3).standard_normal(shape).astype(dtype)


def cosines(w):
    """The mean over pairs of rows of |cosine|, pair by pair."""
    pairs = [(j, k) for j in range(len(w)) for k in range(j)]
    return np.mean([abs(w[j] @ w[k]) / np.linalg.norm(w[j]) / np.linalg.norm(w[k]) for j, k in pairs])


def test_penalties_are_those_of_the_formulas():
    w = weights()
    for regularizer, want in [
        (L1(0.3), 0.3 * np.abs(w).sum()),
        (L2(0.2), 0.2 * (w**2).sum()),
        (L1L2(0.3, 0.2), 0.3 * np.abs(w).sum() + 0.2 * (w**2).sum()),
        (L1L2(), 0.0),
        (OrthogonalRegularizer(0.5), 0.5 * cosines(w)),
        (OrthogonalRegularizer(0.5, mode="columns"), 0.5 * cosines(w.T)),
    ]:
        got = regularizer(w)
        assert isinstance(got, float)
        assert got == pytest.approx(want, rel=1e-12), regularizer
        assert regularizer(w.astype("float32")) == pytest.approx(want, rel=1e-6)
    assert OrthogonalRegularizer()(np.eye(3)) == 0
    assert OrthogonalRegularizer()(np.ones((1, 3))) == 0  # no pairs
    assert L2(0.5)([[1, 2], [3, 4]]) == 15


@pytest.mark.parametrize("regularizer", ALL, ids=repr)
def test_gradients_are_the_derivatives(regularizer):
    w = weights()
    step = 1e-6
    want = np.zeros_like(w)
    for at in np.ndindex(w.shape):
        there, back = w.copy(), w.copy()
        there[at] += step
        back[at] -= step
        want[at] = (regularizer(there) - regularizer(back)) / (2 * step)
    got = regularizer.gradient(w)
    assert got.dtype == w.dtype
    np.testing.assert_allclose(got, want, atol=1e-9)  # of the difference: rounding 1e-16 over a step of 1e-6
    single = regularizer.gradient(w.astype("float32"))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, got, atol=1e-6)


def test_weights_of_zero_have_no_gradient():
    for regularizer in ALL:
        assert (regularizer.gradient(np.zeros((3, 2), "float32")) == 0).all()


def test_any_memory_layout_will_do():
    w = weights((6, 8))
    for regularizer in ALL:
        assert regularizer(w[::2, ::-1]) == pytest.approx(regularizer(w[::2, ::-1].copy()), rel=1e-14)


def test_names_are_kerass():
    for name, want in [("l1", L1(0.01)), ("L2", L2(0.01)), ("l1_l2", L1L2(0.01, 0.01)), ("L1L2", L1L2(0.01, 0.01))]:
        got = regularizers.get(name)
        assert (type(got), got.l1, got.l2) == (type(want), want.l1, want.l2)
    assert isinstance(regularizers.get("orthogonal_regularizer"), OrthogonalRegularizer)
    assert isinstance(regularizers.get("OrthogonalRegularizer"), OrthogonalRegularizer)
    assert regularizers.l2(0.5).l2 == 0.5
    assert regularizers.get(None) is None
    assert regularizers.get(ALL[0]) is ALL[0]
    assert isinstance(regularizers.get(L2), L2)
    assert regularizers.get({"class_name": "L1", "config": {"l1": 0.5}}).l1 == 0.5


@pytest.mark.parametrize("regularizer", ALL, ids=repr)
def test_a_regularizer_comes_back_from_its_description(regularizer):
    again = regularizers.get(serialization.serialize(regularizer))
    assert type(again) is type(regularizer)
    assert again(weights()) == regularizer(weights())


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: L1(-1), ValueError, r"L1: l1: expected a number in \[0, inf\), got -1"),
        (lambda: L2(float("nan")), ValueError, "L2: l2: expected a number"),
        (lambda: L1L2(l2="much"), TypeError, "L1L2: l2: expected a number"),
        (lambda: OrthogonalRegularizer(mode="all"), ValueError, "mode: expected 'rows' or 'columns', got 'all'"),
        (lambda: OrthogonalRegularizer()(np.zeros(3)), ValueError, r"x: expected a matrix, got shape \(3,\)"),
        (lambda: regularizers.get("l3"), ValueError, "regularizer: expected one of l1, l2, l1_l2, .*, got 'l3'"),
        (lambda: regularizers.get(np.sum), ValueError, "regularizer: expected a name"),
        (lambda: Regularizer()(np.zeros(3)), NotImplementedError, "define __call__"),
        (lambda: Regularizer().gradient(np.zeros(3)), NotImplementedError, "define gradient"),
    ],
)
def test_wrong_arguments_are_named(make, error, text):
    with pytest.raises(error, match=text):
        make()
