"""Constraints: the norms they promise."""

import numpy as np
import pytest

from lstmcore import constraints, serialization
from lstmcore.constraints import Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm

ALL = [MaxNorm(0.5), MaxNorm(0.5, axis=1), MinMaxNorm(0.5, 1.0, 0.7), NonNeg(), UnitNorm(), UnitNorm(axis=[0, 1])]


def weights(dtype="float64"):
    return np.random.default_rng(3).standard_normal((6, 4)).astype(dtype)


def test_norms_are_those_promised():
    w = weights()
    for axis in (0, 1, (0, 1), [0, 1]):
        axes = tuple(axis) if isinstance(axis, list) else axis
        norms = np.linalg.norm(w, axis=axes)
        middle = float(np.median(norms))
        for constraint, want in [
            (MaxNorm(middle, axis), np.minimum(norms, middle)),
            (UnitNorm(axis), np.ones_like(norms)),
            (MinMaxNorm(middle, middle * 1.1, axis=axis), np.clip(norms, middle, middle * 1.1)),
            (MinMaxNorm(0.0, middle, 0.25, axis), 0.25 * np.minimum(norms, middle) + 0.75 * norms),
        ]:
            got = constraint(w)
            # Keras's epsilon of 1e-7 beside a norm of about one
            np.testing.assert_allclose(np.linalg.norm(got, axis=axes), want, rtol=1e-6)
            factors = got / w
            np.testing.assert_allclose(factors, np.broadcast_to(factors.max(axes, keepdims=True), w.shape), rtol=1e-12)


def test_nonneg_leaves_what_is_positive():
    w = weights()
    assert (NonNeg()(w) == np.where(w > 0, w, 0)).all()


@pytest.mark.parametrize("constraint", ALL, ids=repr)
def test_dtype_stays_and_zeros_are_no_trouble(constraint):
    assert constraint(weights("float32")).dtype == np.float32
    assert constraint(weights()).dtype == np.float64
    assert (constraint(np.zeros((6, 4), "float32")) == 0).all()


@pytest.mark.parametrize("constraint", ALL, ids=repr)
def test_a_constraint_comes_back_from_its_description(constraint):
    again = constraints.get(serialization.serialize(constraint))
    assert type(again) is type(constraint)
    assert (again(weights()) == constraint(weights())).all()


def test_names_are_kerass():
    for name, kind in [("max_norm", MaxNorm), ("MinMaxNorm", MinMaxNorm), ("non_neg", NonNeg), ("UnitNorm", UnitNorm)]:
        assert type(constraints.get(name)) is kind
    assert constraints.get("max_norm").max_value == 2
    assert constraints.max_norm(3).max_value == 3
    assert constraints.get(None) is None
    assert constraints.get(np.abs) is np.abs
    assert isinstance(constraints.get(NonNeg), NonNeg)
    assert constraints.get({"class_name": "MaxNorm", "config": {"max_value": 3, "axis": 1}}).axis == 1


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: MaxNorm(-1), ValueError, r"MaxNorm: max_value: expected a number in \[0.0, inf\), got -1"),
        (
            lambda: MinMaxNorm(2.0, 1.0),
            ValueError,
            r"MinMaxNorm: max_value: expected a number in \[2.0, inf\), got 1.0",
        ),
        (lambda: MinMaxNorm(rate=2), ValueError, r"MinMaxNorm: rate: expected a number in \[0, 1\], got 2"),
        (lambda: UnitNorm("rows"), TypeError, "UnitNorm: axis: expected an integer or several, got 'rows'"),
        (lambda: constraints.get("maximum"), ValueError, "constraint: expected one of max_norm, .*, got 'maximum'"),
        (lambda: constraints.get(3), ValueError, "constraint: expected a name"),
        (lambda: Constraint()(np.zeros(3)), NotImplementedError, "define __call__"),
    ],
)
def test_wrong_arguments_are_named(make, error, text):
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize("constraint", [constraints.MaxNorm(axis=1), constraints.UnitNorm(axis=(0, 1))])
def test_axes_that_a_weight_does_not_have_are_named(constraint):
    with pytest.raises(ValueError, match=r"Norm: axis: expected axes of a weight of shape \(3,\), got"):
        constraint(np.ones(3))
