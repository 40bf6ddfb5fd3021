"""Losses: their definitions, their gradients, weights and masks, stability, and what they refuse."""

import inspect
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_tools import by_differences

from lstmcore import losses
from lstmcore.losses import combine_weights

EPS = 1e-7


def softmax(z, axis=-1):
    e = np.exp(z - z.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def one_hot(labels, classes):
    return np.eye(classes)[labels]


# --- targets and outputs that suit each loss, and the loss of each sample as a formula ---


def real(rng, shape):
    return rng.standard_normal(shape), rng.standard_normal(shape)


def positive(rng, shape):
    return rng.uniform(0.1, 3, shape), rng.uniform(0.1, 3, shape)


def binary(rng, shape):
    return rng.integers(0, 2, shape).astype(float), rng.uniform(0.05, 0.95, shape)


def binary_logits(rng, shape):
    return rng.uniform(0, 1, shape), 3 * rng.standard_normal(shape)


def classes(rng, shape):
    return one_hot(rng.integers(0, shape[-1], shape[:-1]), shape[-1]), rng.uniform(0.05, 1, shape)


def class_logits(rng, shape):
    return softmax(rng.standard_normal(shape)), 3 * rng.standard_normal(shape)


def sparse(rng, shape):
    return rng.integers(0, shape[-1], shape[:-1]), rng.uniform(0.05, 1, shape)


def sparse_logits(rng, shape):
    return rng.integers(0, shape[-1], shape[:-1]), 3 * rng.standard_normal(shape)


def distributions(rng, shape):
    return softmax(rng.standard_normal(shape)), softmax(rng.standard_normal(shape))


def signs(rng, shape):
    return rng.choice([-1.0, 1.0], shape), 2 * rng.standard_normal(shape)


def normalised(p):
    return p / p.sum(-1, keepdims=True)


def bce(y, p):
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


def pick(values, labels):
    return np.take_along_axis(values, labels[..., None], -1)[..., 0]


def huber(e, d):
    return np.where(np.abs(e) <= d, e**2 / 2, d * np.abs(e) - d * d / 2)


def focal(y, p, gamma, alpha=None):
    weight = 1 if alpha is None else y * alpha + (1 - y) * (1 - alpha)
    return weight * (1 - (y * p + (1 - y) * (1 - p))) ** gamma * bce(y, p)


CASES = {
    "mse": (losses.MeanSquaredError(), real, lambda y, p: ((y - p) ** 2).mean(-1)),
    "mae": (losses.MeanAbsoluteError(), real, lambda y, p: np.abs(y - p).mean(-1)),
    "mape": (losses.MeanAbsolutePercentageError(), positive, lambda y, p: (100 * np.abs(y - p) / y).mean(-1)),
    "msle": (
        losses.MeanSquaredLogarithmicError(),
        positive,
        lambda y, p: ((np.log(1 + p) - np.log(1 + y)) ** 2).mean(-1),
    ),
    "huber": (losses.Huber(0.7), real, lambda y, p: huber(p - y, 0.7).mean(-1)),
    "log_cosh": (losses.LogCosh(), real, lambda y, p: np.log(np.cosh(p - y)).mean(-1)),
    "quantile": (losses.Quantile(0.2), real, lambda y, p: np.maximum(0.2 * (y - p), -0.8 * (y - p)).mean(-1)),
    "poisson": (losses.Poisson(), positive, lambda y, p: (p - y * np.log(p + EPS)).mean(-1)),
    "cosine": (
        losses.CosineSimilarity(),
        real,
        lambda y, p: -(y * p).sum(-1) / np.linalg.norm(y, axis=-1) / np.linalg.norm(p, axis=-1),
    ),
    "kld": (losses.KLDivergence(), distributions, lambda y, p: (y * np.log(y / p)).sum(-1)),
    "bce": (losses.BinaryCrossentropy(), binary, lambda y, p: bce(y, p).mean(-1)),
    "bce_smooth": (
        losses.BinaryCrossentropy(label_smoothing=0.2),
        binary,
        lambda y, p: bce(0.8 * y + 0.1, p).mean(-1),
    ),
    "bce_logits": (
        losses.BinaryCrossentropy(from_logits=True),
        binary_logits,
        lambda y, z: bce(y, sigmoid(z)).mean(-1),
    ),
    "cce": (losses.CategoricalCrossentropy(), classes, lambda y, p: -(y * np.log(normalised(p))).sum(-1)),
    "cce_smooth": (
        losses.CategoricalCrossentropy(label_smoothing=0.3),
        classes,
        lambda y, p: -((0.7 * y + 0.3 / y.shape[-1]) * np.log(normalised(p))).sum(-1),
    ),
    "cce_logits": (
        losses.CategoricalCrossentropy(from_logits=True),
        class_logits,
        lambda y, z: -(y * np.log(softmax(z))).sum(-1),
    ),
    "sparse": (losses.SparseCategoricalCrossentropy(), sparse, lambda y, p: -np.log(pick(normalised(p), y))),
    "sparse_logits": (
        losses.SparseCategoricalCrossentropy(from_logits=True),
        sparse_logits,
        lambda y, z: -np.log(pick(softmax(z), y)),
    ),
    "hinge": (losses.Hinge(), signs, lambda y, p: np.maximum(1 - y * p, 0).mean(-1)),
    "squared_hinge": (losses.SquaredHinge(), signs, lambda y, p: (np.maximum(1 - y * p, 0) ** 2).mean(-1)),
    "categorical_hinge": (
        losses.CategoricalHinge(),
        lambda rng, shape: (classes(rng, shape)[0], real(rng, shape)[1]),
        lambda y, p: np.maximum(((1 - y) * p).max(-1) - (y * p).sum(-1) + 1, 0),
    ),
    "focal": (losses.BinaryFocalCrossentropy(gamma=1.5), binary, lambda y, p: focal(y, p, 1.5).mean(-1)),
    "focal_balanced": (
        losses.BinaryFocalCrossentropy(True, 0.3, from_logits=True),
        binary_logits,
        lambda y, z: focal(y, sigmoid(z), 2, 0.3).mean(-1),
    ),
    "categorical_focal": (
        losses.CategoricalFocalCrossentropy(0.4, 1.5),
        classes,
        lambda y, p: -(0.4 * (1 - normalised(p)) ** 1.5 * y * np.log(normalised(p))).sum(-1),
    ),
    "focal_smooth": (
        losses.BinaryFocalCrossentropy(label_smoothing=0.2),
        binary,
        lambda y, p: focal(0.8 * y + 0.1, p, 2).mean(-1),
    ),
    "categorical_focal_classes": (
        losses.CategoricalFocalCrossentropy([0.25], 0.0, label_smoothing=0.3),
        classes,
        lambda y, p: -(0.25 * (0.7 * y + 0.3 / y.shape[-1]) * np.log(normalised(p))).sum(-1),
    ),
    "categorical_focal_logits": (
        losses.CategoricalFocalCrossentropy(from_logits=True),
        class_logits,
        lambda y, z: -(0.25 * (1 - softmax(z)) ** 2 * y * np.log(softmax(z))).sum(-1),
    ),
}
# Each finds its kinks and cuts nowhere near random data.
cases = pytest.mark.parametrize("case", CASES)
shapes = st.lists(st.integers(1, 4), min_size=1, max_size=2).flatmap(
    lambda front: st.integers(2, 4).map(lambda last: (*front, last))
)
reductions = st.sampled_from(["sum_over_batch_size", "mean", "sum", "mean_with_sample_weight"])


def again(loss, **options):
    """The same loss with other options."""
    return type(loss).from_config(loss.get_config() | options)


@cases
def test_loss_of_each_sample_is_its_definition(case):
    loss, draw, formula = CASES[case]
    for shape in [(5, 3), (2, 4, 3), (7, 2)]:
        y, p = draw(np.random.default_rng(1), shape)
        got = again(loss, reduction="none")(y, p)
        assert got.shape == shape[:-1]
        np.testing.assert_allclose(got, formula(y, p), rtol=1e-9, atol=1e-12)
        assert loss(y, p) == pytest.approx(formula(y, p).mean(), rel=1e-9)


@cases
@settings(max_examples=30)
@given(data=st.data())
def test_gradients_are_those_of_differences(case, data):
    loss, draw, _ = CASES[case]
    shape = data.draw(shapes, "shape")
    rng = np.random.default_rng(data.draw(st.integers(0, 10_000), "seed"))
    loss = again(loss, reduction=data.draw(reductions, "reduction"))
    y, p = draw(rng, shape)
    sample_weight = data.draw(st.sampled_from([None, rng.uniform(0, 2, shape[:-1]), rng.uniform(0, 2, shape[0])]))
    mask = data.draw(st.sampled_from([None, rng.random(shape[:-1]) < 0.7]))
    weights = combine_weights(shape[:-1], sample_weight, mask, loss.reduction)
    true = loss.targets(y, shape, np.float64)
    value, d = loss.value_and_gradient(true, p, weights)
    assert d.shape == shape
    assert d.dtype == p.dtype
    assert value == pytest.approx(loss.value(true, p, weights), rel=1e-12)
    if mask is None:
        assert value == pytest.approx(loss(y, p, sample_weight), rel=1e-12)
    # Differences of step 1e-6 are good to about 1e-12 times third derivatives and 1e-10 times the loss; MAPE and
    # crossentropies of small probabilities reach some hundreds.
    want = by_differences(lambda: loss.value(true, p, weights), p)
    np.testing.assert_allclose(d, want, rtol=1e-6, atol=2e-7)


@cases
def test_gradient_of_each_sample_is_that_of_its_own_loss(case):
    loss, draw, _ = CASES[case]
    y, p = draw(np.random.default_rng(2), (4, 3))
    true = loss.targets(y, p.shape, p.dtype)
    together = again(loss, reduction="sum").value_and_gradient(true, p)[1]
    np.testing.assert_allclose(loss.gradient(true, p), together, rtol=1e-12, atol=1e-15)


@cases
def test_float32_stays_float32_and_agrees_with_float64(case):
    loss, draw, _ = CASES[case]
    y, p = draw(np.random.default_rng(3), (6, 4))
    w = np.linspace(0, 2, 6)
    for weights in (None, w):
        value, d = loss.value_and_gradient(loss.targets(y, p.shape, p.dtype), p, weights)
        small = p.astype(np.float32)
        value32, d32 = loss.value_and_gradient(loss.targets(y, p.shape, np.float32), small, weights)
        assert d32.dtype == np.float32
        # A few operations, each rounding to 6e-8, on numbers some ten times the loss.
        assert value32 == pytest.approx(value, rel=2e-5)
        np.testing.assert_allclose(d32, d, rtol=1e-4, atol=1e-5 * np.abs(d).max())


# --- fused with the activation ---

FUSED = {
    "bce": (losses.BinaryCrossentropy(), sigmoid, binary_logits),
    "bce_smooth": (losses.BinaryCrossentropy(label_smoothing=0.1), sigmoid, binary_logits),
    "cce": (losses.CategoricalCrossentropy(), softmax, class_logits),
    "cce_smooth": (losses.CategoricalCrossentropy(label_smoothing=0.1), softmax, class_logits),
    "sparse": (losses.SparseCategoricalCrossentropy(), softmax, sparse_logits),
    "sparse_ignore": (losses.SparseCategoricalCrossentropy(ignore_class=1), softmax, sparse_logits),
}


@pytest.mark.parametrize("case", FUSED)
@settings(max_examples=30)
@given(data=st.data())
def test_fused_loss_is_that_of_the_logits(case, data):
    loss, activation, draw = FUSED[case]
    assert loss.fuses == activation.__name__
    shape = data.draw(shapes, "shape")
    rng = np.random.default_rng(data.draw(st.integers(0, 10_000), "seed"))
    loss = again(loss, reduction=data.draw(reductions, "reduction"))
    y, z = draw(rng, shape)
    weights = data.draw(st.sampled_from([None, rng.uniform(0.1, 2, shape[:-1])]))
    true = loss.targets(y, shape, np.float64)
    value, d = loss.value_and_gradient(true, activation(z), weights, z)
    assert value == pytest.approx(loss.value(true, activation(z), weights, z), rel=1e-12)
    from_logits = again(loss, from_logits=True)
    assert from_logits.fuses is None
    other, d_other = from_logits.value_and_gradient(true, z, weights)
    assert value == pytest.approx(other, rel=1e-9)
    np.testing.assert_allclose(d, d_other, rtol=1e-9, atol=1e-15)
    want = by_differences(lambda: loss.value(true, activation(z), weights, z), z)
    np.testing.assert_allclose(d, want, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_logit_is_too_large(dtype):
    z = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]], dtype)
    y = np.array([1, 1])
    p = softmax(z)
    with np.errstate(all="raise", under="ignore"):
        for loss, target in [
            (losses.SparseCategoricalCrossentropy, y),
            (losses.CategoricalCrossentropy, one_hot(y, 3).astype(dtype)),
        ]:
            for got, d in [
                loss().value_and_gradient(target, p, None, z),
                loss(from_logits=True).value_and_gradient(target, z),
            ]:
                assert got == (2e4 + 0) / 2
                np.testing.assert_array_equal(d, [[0.5, -0.5, 0], [0, 0, 0]])
        p = np.array([[1, 0, 0.5], [0, 1, 0.5]], dtype)
        half = np.array([[0, 1, 0.5], [0, 1, 0.5]], dtype)
        for got, d in [
            losses.BinaryCrossentropy().value_and_gradient(half, p, None, z),
            losses.BinaryCrossentropy(from_logits=True).value_and_gradient(half, z),
        ]:
            assert got == pytest.approx((2e4 + 2 * math.log(2)) / 6)
            np.testing.assert_allclose(d, np.array([[1, -1, 0], [0, 0, 0]]) / 6)
    focal = losses.BinaryFocalCrossentropy(from_logits=True).value_and_gradient(half, z)
    assert np.isfinite(focal[0])
    assert np.isfinite(focal[1]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_errors_do_not_overflow(dtype):
    y, p = np.zeros((1, 2), dtype), np.array([[1e4, -1e4]], dtype)
    value, d = losses.LogCosh().value_and_gradient(y, p)
    assert value == pytest.approx(1e4 - math.log(2))
    np.testing.assert_array_equal(d, [[0.5, -0.5]])
    assert losses.CosineSimilarity()(np.array([[1, 0]], dtype), np.array([[1e30, 1e30]], dtype)) == pytest.approx(
        -math.sqrt(0.5)
    )


# --- probabilities are cut as in Keras ---


def test_probabilities_are_cut_and_the_gradient_with_them():
    y, p = np.array([[1.0, 0.0, 1.0]]), np.array([[0.0, 1.0, 0.5]])
    value, d = losses.BinaryCrossentropy().value_and_gradient(y, p)
    assert value == pytest.approx((-2 * math.log(1e-7) + math.log(2)) / 3, rel=1e-6)
    np.testing.assert_allclose(d, [[0, 0, -2 / 3]])
    value, d = losses.CategoricalCrossentropy().value_and_gradient(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]))
    assert value == pytest.approx(-math.log(1e-7))
    np.testing.assert_array_equal(d, np.zeros((1, 2)))
    value, d = losses.SparseCategoricalCrossentropy().value_and_gradient(np.array([0]), np.array([[0.0, 1.0]]))
    assert value == pytest.approx(-math.log(1e-7))
    np.testing.assert_array_equal(d, np.zeros((1, 2)))
    value, d = losses.KLDivergence().value_and_gradient(np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]]))
    assert value == pytest.approx(-math.log(1e-7) + 1e-7 * math.log(1e-7))
    np.testing.assert_array_equal(d, np.zeros((1, 2)))
    value, d = losses.MeanSquaredLogarithmicError().value_and_gradient(np.array([[-1.0]]), np.array([[-2.0]]))
    assert (value, d) == (0, 0)
    assert losses.mape([[0.0]], [[1.0]]) == pytest.approx(100 / 1e-7)
    assert losses.CategoricalCrossentropy()([[1.0, 0.0]], [[0.0, 0.0]]) == pytest.approx(-math.log(1e-7))


def test_cosine_of_zero_is_zero():
    zero, one = np.zeros((1, 2)), np.ones((1, 2))
    for y, p in [(zero, one), (one, zero), (zero, zero)]:
        value, d = losses.CosineSimilarity().value_and_gradient(y, p)
        assert value == 0
        assert np.isfinite(d).all()


# --- numbers published by Keras in its documentation ---


def test_numbers_of_the_keras_documentation():
    close = {"abs": 1e-3}  # the three or four figures printed there
    y, p = [1, 2], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]]
    loss = losses.SparseCategoricalCrossentropy()
    assert loss(y, p) == pytest.approx(1.177, **close)
    assert loss(y, p, sample_weight=[0.3, 0.7]) == pytest.approx(0.814, **close)
    assert again(loss, reduction="sum")(y, p) == pytest.approx(2.354, **close)
    assert again(loss, reduction=None)(y, p) == pytest.approx([0.0513, 2.303], **close)
    assert losses.categorical_crossentropy([[0, 1, 0], [0, 0, 1]], p) == pytest.approx([0.0513, 2.303], **close)
    logits = losses.BinaryCrossentropy(from_logits=True)
    assert logits([0, 1, 0, 0], [-18.6, 0.51, 2.94, -12.8]) == pytest.approx(0.8654, **close)
    y, p = [[0, 1], [0, 0]], [[-18.6, 0.51], [2.94, -12.8]]
    assert logits(y, p) == pytest.approx(0.8654, **close)
    assert logits(y, p, sample_weight=[0.8, 0.2]) == pytest.approx(0.243, **close)
    assert again(logits, reduction="none")(y, p) == pytest.approx([0.235, 1.496], **close)
    p = [[0.6, 0.4], [0.4, 0.6]]
    assert losses.binary_crossentropy(y, p) == pytest.approx([0.916, 0.714], **close)
    assert losses.binary_focal_crossentropy(y, p, gamma=2) == pytest.approx([0.330, 0.206], **close)
    assert losses.Huber()(y, p) == pytest.approx(0.155, **close)
    p = [[0.05, 0.9, 0.05], [0.1, 0.85, 0.05]]
    got = losses.categorical_focal_crossentropy([[0, 1, 0], [0, 0, 1]], p)
    assert got == pytest.approx([2.63401289e-04, 6.75912094e-01], rel=1e-6)
    y, p = [[0.0, 1.0], [1.0, 1.0], [1.0, 1.0]], [[1.0, 0.0], [1.0, 1.0], [-1.0, -1.0]]
    assert losses.cosine_similarity(y, p) == pytest.approx([0, -1, 1])


# --- weights, masks, reductions ---


def test_reductions():
    y, p = np.zeros((2, 2)), np.array([[1.0, 3.0], [0.0, 2.0]])  # losses 5 and 2
    w = [1.0, 3.0]
    for reduction, plain, weighted in [
        ("sum_over_batch_size", 3.5, 5.5),
        ("mean", 3.5, 5.5),
        ("sum", 7, 11),
        ("mean_with_sample_weight", 3.5, 11 / 4),
    ]:
        loss = losses.MeanSquaredError(reduction)
        assert loss(y, p) == plain
        assert loss(y, p, w) == weighted
    for none in ("none", None):
        np.testing.assert_array_equal(losses.MeanSquaredError(none)(y, p), [5, 2])
        np.testing.assert_array_equal(losses.MeanSquaredError(none)(y, p, w), [5, 6])
    with pytest.raises(ValueError, match="reduction: expected one that leaves a number to train with, got 'none'"):
        losses.MeanSquaredError("none").value_and_gradient(y, p)
    with pytest.raises(ValueError, match="MeanSquaredError: reduction: expected one of sum_over_batch_size"):
        losses.MeanSquaredError("avg")


@given(
    st.integers(1, 4), st.integers(1, 5), st.sampled_from([None, "row", "step"]), st.booleans(), st.integers(0, 9999)
)
def test_weights_of_keras(batch, steps, kind, masked, seed):
    """Keras 3: the mask becomes total / valid where it is true, and multiplies the sample weights."""
    rng = np.random.default_rng(seed)
    row = None if kind is None else rng.uniform(0, 2, (batch,) if kind == "row" else (batch, steps))
    mask = rng.random((batch, steps)) < 0.6 if masked else None
    for reduction in ("sum_over_batch_size", "sum"):
        got = combine_weights((batch, steps), row, mask, reduction)
        if kind is None and not masked:
            assert got is None
            continue
        want = np.ones((batch, steps)) if row is None else np.array(row).reshape(batch, -1) * np.ones((1, steps))
        if masked:
            want = want * mask
            if reduction == "sum_over_batch_size" and mask.any():
                want = want * mask.size / mask.sum()
        np.testing.assert_allclose(got, want, rtol=1e-15)


def test_masked_mean_is_over_what_is_left():
    y, p = np.zeros((2, 3, 1)), np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])[..., None]
    mask = np.array([[True, True, False], [True, False, False]])
    loss = losses.MeanSquaredError()
    value, d = loss.value_and_gradient(y, p, combine_weights((2, 3), None, mask))
    assert value == pytest.approx((1 + 4 + 16) / 3)
    np.testing.assert_allclose(d[..., 0], 2 * p[..., 0] * mask / 3)
    value, d = loss.value_and_gradient(y, p, combine_weights((2, 3), None, ~np.ones_like(mask)))
    assert value == 0
    assert not d.any()


@cases
def test_what_weighs_nothing_may_be_nan(case):
    loss, draw, _ = CASES[case]
    y, p = draw(np.random.default_rng(4), (3, 4))
    true, w = loss.targets(y, p.shape, p.dtype), np.array([1.0, 0.0, 2.0])
    want, d_want = loss.value_and_gradient(true, p, w)
    p[1] = np.nan
    value, d = loss.value_and_gradient(true, p, w)
    assert value == pytest.approx(want, rel=1e-12)
    np.testing.assert_allclose(d, d_want, rtol=1e-12)
    assert not d[1].any()
    assert loss(y, p, w) == pytest.approx(want, rel=1e-12)


def test_nan_targets_are_let_through():
    assert math.isnan(losses.MeanSquaredError()([[np.nan]], [[1.0]]))
    assert math.isnan(losses.BinaryCrossentropy()([[np.nan]], [[0.5]]))


@pytest.mark.parametrize(
    ("shape", "weight", "mask", "message"),
    [
        ((4,), np.ones(3), None, r"sample_weight: expected the shape of the losses, \(4,\), .*got \(3,\)"),
        ((4, 5), np.ones(5), None, r"sample_weight: expected the shape of the losses, \(4, 5\), .*got \(5,\)"),
        ((4,), np.ones((4, 5)), None, r"sample_weight: .*got \(4, 5\)"),
        ((4, 5), None, np.ones((4, 2), bool), r"mask: expected the shape of the losses, \(4, 5\), .*got \(4, 2\)"),
    ],
)
def test_weights_that_do_not_fit(shape, weight, mask, message):
    with pytest.raises(ValueError, match=message):
        combine_weights(shape, weight, mask)


def test_weights_that_are_no_numbers():
    with pytest.raises(TypeError, match="sample_weight: expected numbers"):
        combine_weights((1,), ["a"], None)


# --- labels that do not count ---


def test_ignored_labels_are_as_if_not_there():
    z = np.random.default_rng(5).standard_normal((2, 4, 3))
    y = np.array([[0, 2, -1, 1], [-1, -1, 1, 0]])
    left = y != -1
    loss = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    plain = losses.SparseCategoricalCrossentropy(from_logits=True)
    want, d_want = plain.value_and_gradient(y[left], z[left])
    value, d = loss.value_and_gradient(y, z)
    assert value == pytest.approx(want)
    assert loss(y, z) == pytest.approx(want)
    np.testing.assert_allclose(d[left], d_want)
    assert not d[~left].any()
    # With a mask of the model's besides, the mean is over what both leave.
    mask = np.array([[True, True, True, False], [True, True, True, True]])
    both = left & mask
    want, d_want = plain.value_and_gradient(y[both], z[both])
    value, d = loss.value_and_gradient(y, z, combine_weights(mask.shape, None, mask))
    assert value == pytest.approx(want)
    np.testing.assert_allclose(d[both], d_want)
    assert not d[~both].any()
    probabilities = losses.SparseCategoricalCrossentropy(ignore_class=-1)
    assert probabilities(y, softmax(z)) == pytest.approx(plain(y[left], z[left]))
    np.testing.assert_array_equal(again(loss, reduction="none")(y, z)[~left], 0)


# --- other axes ---


@pytest.mark.parametrize(
    ("loss", "draw"),
    [
        (losses.BinaryCrossentropy, binary),
        (losses.CategoricalCrossentropy, classes),
        (losses.SparseCategoricalCrossentropy, sparse),
        (losses.CosineSimilarity, real),
    ],
)
def test_axis(loss, draw):
    y, p = draw(np.random.default_rng(6), (2, 4, 3))
    want, d_want = loss().value_and_gradient(y, p, np.ones((2, 4)))
    y_moved = np.moveaxis(y, -1, 1) if y.ndim == 3 else y
    other = loss(axis=1)
    moved = np.moveaxis(p, -1, 1).copy()
    true = other.targets(y_moved, moved.shape, moved.dtype)
    value, d = other.value_and_gradient(true, moved, np.ones((2, 4)))
    assert value == pytest.approx(want)
    assert other(y_moved, moved) == pytest.approx(want)
    assert other.value(true, moved) == pytest.approx(want)
    np.testing.assert_allclose(d, np.moveaxis(d_want, -1, 1))
    np.testing.assert_allclose(other.gradient(true, moved) / 8, d)


# --- quantiles ---


def test_quantile_loss_is_least_at_the_quantile():
    y = np.random.default_rng(7).exponential(size=(1001, 1))
    at = np.linspace(0, 4, 4001)
    for q in (0.1, 0.5, 0.9):
        values = [losses.Quantile(q)(y, np.full_like(y, a)) for a in at[::20]]
        assert at[::20][np.argmin(values)] == pytest.approx(np.quantile(y, q), abs=0.021)


def test_quantiles_side_by_side():
    loss = losses.Quantile([0.1, 0.5, 0.9])
    rng = np.random.default_rng(8)
    y, p = rng.standard_normal(6), rng.standard_normal((6, 3))
    want = np.mean([losses.Quantile(q)(y, p[:, [k]]) for k, q in enumerate([0.1, 0.5, 0.9])])
    for target in (y, y[:, None], np.repeat(y[:, None], 3, 1)):
        assert loss(target, p) == pytest.approx(want)
    true = loss.targets(y, p.shape, p.dtype)
    d = loss.value_and_gradient(true, p)[1]
    np.testing.assert_allclose(d, by_differences(lambda: loss.value(true, p), p), rtol=1e-6, atol=1e-9)
    steps = rng.standard_normal((2, 3, 3))
    assert loss(np.zeros((2, 3)), steps) == pytest.approx(loss(np.zeros((2, 3, 1)), steps))
    with pytest.raises(ValueError, match=r"y_pred: expected 3 outputs, one for each of q, got shape \(6, 2\)"):
        loss(y, p[:, :2])
    with pytest.raises(ValueError, match=r"y_true: expected shape \(6, 3\)"):
        loss(np.zeros((6, 2)), p)
    for q in (0, 1, 1.5, -0.1):
        with pytest.raises(ValueError, match="Quantile: q: expected"):
            losses.Quantile(q)
    with pytest.raises(TypeError, match="Quantile: q: expected a number"):
        losses.Quantile("median")


# --- shapes and bad input ---


@pytest.mark.parametrize(
    ("y", "p"), [((4,), (4, 1)), ((4, 1), (4,)), ((4, 3), (4, 3, 1)), ((4, 3, 1), (4, 3)), ((4, 1), (4, 1))]
)
def test_a_last_axis_of_one_comes_and_goes(y, p):
    loss = losses.MeanSquaredError()
    got = loss.targets(np.arange(math.prod(y)).reshape(y), p, np.float32)
    assert got.shape == p
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got.ravel(), np.arange(math.prod(y)))


@pytest.mark.parametrize(
    ("loss", "y", "shape", "error", "message"),
    [
        ("mse", np.ones(3), (4, 1), ValueError, r"y: expected shape \(4, 1\), that of the outputs, got \(3,\)"),
        ("mse", np.ones((4, 1)), (4, 3), ValueError, r"y: expected shape \(4, 3\), .*got \(4, 1\)"),
        ("mse", np.ones(4), (4, 4), ValueError, r"y: expected shape \(4, 4\), .*got \(4,\)"),
        ("mae", np.ones((4, 4)), (4, 1), ValueError, r"y: expected shape \(4, 1\), .*got \(4, 4\)"),
        ("mse", np.ones((2, 3, 1)), (2, 1), ValueError, r"y: expected shape \(2, 1\), .*got \(2, 3, 1\)"),
        ("mse", np.array(["a"]), (1, 1), TypeError, "y: expected numbers, got <U1"),
        ("mse", np.array([None]), (1, 1), TypeError, "y: expected numbers, got object"),
        ("mse", np.ones((1, 1), complex), (1, 1), TypeError, "y: expected numbers, got complex128"),
        ("bce", [[0.0], [2.0]], (2, 1), ValueError, "y: expected numbers from 0 to 1, got 2"),
        ("bce", [[-1], [1]], (2, 1), ValueError, "y: expected numbers from 0 to 1, got -1"),
        ("bce", [0, 1], (2, 3), ValueError, "for labels of several classes use sparse_categorical_crossentropy"),
        (
            "categorical_crossentropy",
            [1, 2],
            (2, 3),
            ValueError,
            r"y: expected shape \(2, 3\).*got \(2,\); for integer labels use sparse_categorical_crossentropy",
        ),
        (
            "sparse_categorical_crossentropy",
            [0, 3],
            (2, 3),
            ValueError,
            r"y: expected class labels from 0 to 2 \(the outputs have 3 classes\), got 3",
        ),
        ("sparse_categorical_crossentropy", [0, -1], (2, 3), ValueError, "y: expected class labels .* got -1"),
        ("sparse_categorical_crossentropy", [0, 2**63], (2, 3), ValueError, "y: expected .* got 9223372036854775808"),
        ("sparse_categorical_crossentropy", [0.0, 0.5], (2, 3), ValueError, "y: expected whole numbers .* got 0.5"),
        ("sparse_categorical_crossentropy", [0.0, np.nan], (2, 3), ValueError, "y: expected whole numbers .* got nan"),
        ("sparse_categorical_crossentropy", ["a", "b"], (2, 3), TypeError, "y: expected whole numbers .* got <U1"),
        ("sparse_categorical_crossentropy", [0, 1], (2, 1), ValueError, "for outputs of one unit use binary_cross"),
        (
            "sparse_categorical_crossentropy",
            np.eye(3),
            (3, 3),
            ValueError,
            r"y: expected class labels of shape \(3,\), got shape \(3, 3\); for one-hot targets use categorical_cross",
        ),
    ],
)
def test_targets_that_do_not_fit(loss, y, shape, error, message):
    with pytest.raises(error, match=message):
        losses.resolve(loss).targets(y, shape, np.float32)


@pytest.mark.parametrize(
    "loss",
    [
        losses.BinaryCrossentropy(label_smoothing=0.2),
        losses.CategoricalCrossentropy(label_smoothing=0.2),
        losses.Hinge(),
    ],
)
def test_targets_still_say_what_they_said(loss):
    """So that metrics can be given what the loss was given."""
    np.testing.assert_array_equal(loss.targets([[0, 1]], (1, 2), np.float32), [[0, 1]])


def test_targets_are_named_as_the_caller_says():
    with pytest.raises(ValueError, match=r"^validation_data: y: expected shape"):
        losses.resolve("mse").targets(np.ones(3), (4, 1), np.float32, "validation_data: y")
    with pytest.raises(ValueError, match=r"^y_true: expected shape"):
        losses.mse(np.ones(3), np.ones((4, 1)))


def test_shapes_with_unknown_sizes():
    loss = losses.resolve("mse")
    assert loss.targets(np.ones((2, 5)), (None, 5), np.float32).shape == (2, 5)
    with pytest.raises(ValueError, match=r"y: expected shape \(None, 5\)"):
        loss.targets(np.ones((2, 4)), (None, 5), np.float32)
    assert losses.resolve("sparse_categorical_crossentropy").targets([0, 1], (None, 3), np.float32).shape == (2,)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64", "float32", "float64", "bool"])
def test_labels_of_any_type(dtype):
    y = np.array([[0], [1], [1]]).astype(dtype)
    got = losses.resolve("sparse_categorical_crossentropy").targets(y, (3, 2), np.float32)
    np.testing.assert_array_equal(got, [0, 1, 1])
    assert got.dtype == np.intp


def test_one_class_is_warned_of():
    with pytest.warns(SyntaxWarning, match="use binary_crossentropy"):
        losses.categorical_crossentropy([[1.0]], [[1.0]])


def test_outputs_that_are_no_numbers():
    with pytest.raises(TypeError, match="y_pred: expected numbers"):
        losses.mse([["a"]], [["b"]])
    with pytest.raises(ValueError, match="y_pred: expected an array, got a number"):
        losses.mse(1.0, 1.0)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: losses.BinaryCrossentropy(label_smoothing=1.5),
            ValueError,
            r"label_smoothing: .* in \[0, 1\], got 1.5",
        ),
        (lambda: losses.BinaryCrossentropy(from_logits="yes"), TypeError, "from_logits: expected True or False"),
        (lambda: losses.CategoricalCrossentropy(label_smoothing="a"), TypeError, "label_smoothing: expected a number"),
        (lambda: losses.Huber(delta=-1), ValueError, r"Huber: delta: expected a number in \[0, inf\), got -1"),
        (lambda: losses.BinaryFocalCrossentropy(alpha=2), ValueError, r"alpha: expected a number in \[0, 1\]"),
        (lambda: losses.MeanSquaredError(dtype="int32"), TypeError, "dtype: expected float32 or float64, got int32"),
    ],
)
def test_arguments_that_do_not_fit(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_labels_of_zero_and_one_are_signs_to_a_hinge():
    p = [[0.5, -0.5]]
    assert losses.hinge([[0, 1]], p) == losses.hinge([[-1, 1]], p)
    assert losses.hinge([[1, 1]], p) == pytest.approx([1.0])


# --- names, configs, functions ---


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["mse", "MSE", "mean_squared_error", "MeanSquaredError"], losses.MeanSquaredError),
        (["mae", "MAE", "mean_absolute_error", "MeanAbsoluteError"], losses.MeanAbsoluteError),
        (["mape", "MAPE", "mean_absolute_percentage_error"], losses.MeanAbsolutePercentageError),
        (["msle", "MSLE", "mean_squared_logarithmic_error"], losses.MeanSquaredLogarithmicError),
        (["bce", "BCE", "binary_crossentropy"], losses.BinaryCrossentropy),
        (["kld", "KLD", "kl_divergence", "kullback_leibler_divergence"], losses.KLDivergence),
        (["huber", "Huber"], losses.Huber),
        (["log_cosh", "logcosh", "LogCosh"], losses.LogCosh),
        (["categorical_crossentropy"], losses.CategoricalCrossentropy),
        (["sparse_categorical_crossentropy"], losses.SparseCategoricalCrossentropy),
        (["cosine_similarity"], losses.CosineSimilarity),
        (["poisson"], losses.Poisson),
        (["hinge"], losses.Hinge),
        (["squared_hinge"], losses.SquaredHinge),
        (["categorical_hinge"], losses.CategoricalHinge),
        (["binary_focal_crossentropy"], losses.BinaryFocalCrossentropy),
        (["categorical_focal_crossentropy"], losses.CategoricalFocalCrossentropy),
        (["quantile", "pinball"], losses.Quantile),
    ],
)
def test_names(names, kind):
    for name in names:
        assert type(losses.resolve(name)) is kind
        if name == kind.__name__:
            assert type(losses.get(name)) is kind
        else:
            function = losses.get(name)
            assert function is getattr(losses, name)
            assert losses.get(function) is function
            assert type(losses.resolve(function)) is kind
            assert pickle.loads(pickle.dumps(function)) is function
    assert type(losses.get(kind)) is kind


def test_a_function_keeps_the_samples_apart_and_an_object_takes_their_mean():
    y, p = [[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [0.0, 0.0]]
    assert losses.get("mse")(y, p).tolist() == losses.deserialize("mse")(y, p).tolist() == [0.5, 0.0]
    assert losses.get("MeanSquaredError")(y, p) == losses.resolve("mse")(y, p) == 0.25
    assert losses.get(quartic) is quartic


def test_get():
    assert losses.get(None) is None
    loss = losses.Huber(2.0)
    assert losses.resolve(loss) is loss
    assert losses.get({"class_name": "Huber", "config": {"delta": 2.0}}).delta == 2
    with pytest.raises(ValueError, match=r"loss: expected one of .*mse.*got 'mean_square'"):
        losses.get("mean_square")
    for wrong in (3, [], int):
        with pytest.raises(ValueError, match="loss: expected a name, a Loss or a function, got"):
            losses.get(wrong)
    with pytest.raises(ValueError, match="loss: expected the config of a Loss"):
        losses.get({"a": 1})
    with pytest.raises(ValueError, match="loss: expected the config of a Loss"):
        losses.get({"class_name": "Dense", "module": "lstmcore.layers", "config": {"units": 1}})


@cases
def test_described_and_made_again(case):
    loss, draw, _ = CASES[case]
    again_ = losses.deserialize(json.loads(json.dumps(losses.serialize(loss))))
    assert type(again_) is type(loss)
    assert again_.get_config() == loss.get_config()
    y, p = draw(np.random.default_rng(9), (3, 4))
    assert again_(y, p) == loss(y, p)
    assert repr(again_) == repr(loss)


def test_functions_by_name():
    assert losses.serialize(losses.mse) == "mean_squared_error"
    assert losses.deserialize("mean_squared_error") is losses.mse
    assert losses.huber([[0.0]], [[3.0]], 2.0) == losses.huber([[0.0]], [[3.0]], delta=2.0) == [4.0]
    assert losses.mse.__name__ == "mean_squared_error"


def test_default_names_are_those_of_keras():
    assert losses.MeanSquaredError().name == "mean_squared_error"
    assert losses.KLDivergence().name == "kl_divergence"
    assert losses.Huber().name == "huber_loss"
    assert losses.SparseCategoricalCrossentropy().name == "sparse_categorical_crossentropy"
    assert losses.MeanSquaredError(name="mine").name == "mine"


def test_arguments_stand_in_the_order_of_keras():
    def names(kind):
        return list(inspect.signature(kind.__init__).parameters)[1:]

    end = ["reduction", "name", "dtype"]
    assert names(losses.MeanSquaredError) == end
    assert names(losses.Huber) == ["delta", *end]
    assert names(losses.BinaryCrossentropy) == ["from_logits", "label_smoothing", "axis", *end]
    assert names(losses.SparseCategoricalCrossentropy)[:2] == ["from_logits", "ignore_class"]
    assert names(losses.CosineSimilarity) == ["axis", *end]


# --- losses of the user's ---


def quartic(y_true, y_pred):
    return np.mean((y_pred - y_true) ** 4, axis=-1)


def test_functions_of_the_users():
    loss = losses.resolve(quartic)
    assert loss.name == "quartic"
    assert loss([[0.0, 0.0]], [[1.0, 2.0]]) == 8.5
    y, p = np.zeros((3, 2)), np.arange(6.0).reshape(3, 2)
    value, d = loss.value_and_gradient(y, p)  # autograd's
    assert value == pytest.approx(loss(y, p))
    np.testing.assert_allclose(d, by_differences(lambda: loss.value(y, p), p), rtol=1e-6, atol=1e-6)

    def with_gradient(y_true, y_pred):
        return quartic(y_true, y_pred)

    with_gradient.gradient = lambda y, p: 4 * (p - y) ** 3 / p.shape[-1]
    loss = losses.resolve(with_gradient)
    weights = np.array([1.0, 0.0, 2.0])
    value, d = loss.value_and_gradient(y, p, weights)
    assert value == pytest.approx(loss(y, p, weights))
    np.testing.assert_allclose(d, by_differences(lambda: loss.value(y, p, weights), p), rtol=1e-6, atol=1e-6)
    with_gradient.gradient = lambda y, p: p[0]
    with pytest.raises(ValueError, match=r"with_gradient\.gradient: expected shape \(3, 2\), .*got \(2,\)"):
        loss.value_and_gradient(y, p)


def test_subclasses_of_the_users():
    class Quartic(losses.Loss):
        def call(self, y_true, y_pred):
            return quartic(y_true, y_pred)

    loss = Quartic(reduction="sum")
    assert loss([[0.0], [0.0]], [[1.0], [2.0]]) == 17
    assert loss.name == "quartic"
    value, d = loss.value_and_gradient(np.zeros((2, 1)), np.array([[1.0], [2.0]]))
    assert value == 17
    assert d.tolist() == [[4.0], [32.0]]


# --- peers ---


@pytest.mark.peer
def test_values_and_gradients_of_pytorch():
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    rng = np.random.default_rng(10)
    labels = rng.integers(0, 4, 6)
    holes = np.where(np.arange(6) % 3 == 0, -100, labels)
    y, p = real(rng, (6, 4))
    yb, zb = binary_logits(rng, (6, 4))
    yc, zc = class_logits(rng, (6, 4))
    t = torch.tensor
    pairs = [
        (losses.MeanSquaredError(), y, p, lambda x: f.mse_loss(x, t(y))),
        (losses.MeanAbsoluteError(), y, p, lambda x: f.l1_loss(x, t(y))),
        (losses.Huber(0.7), y, p, lambda x: f.huber_loss(x, t(y), delta=0.7)),
        (
            losses.BinaryCrossentropy(from_logits=True),
            yb,
            zb,
            lambda x: f.binary_cross_entropy_with_logits(x, t(yb)),
        ),
        (losses.BinaryCrossentropy(), yb, sigmoid(zb), lambda x: f.binary_cross_entropy(x, t(yb))),
        (losses.CategoricalCrossentropy(from_logits=True), yc, zc, lambda x: f.cross_entropy(x, t(yc))),
        (
            losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
            one_hot(labels, 4),
            zc,
            lambda x: f.cross_entropy(x, t(labels), label_smoothing=0.1),
        ),
        (
            losses.SparseCategoricalCrossentropy(from_logits=True),
            labels,
            zc,
            lambda x: f.cross_entropy(x, t(labels)),
        ),
        (
            losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-100),
            holes,
            zc,
            lambda x: f.cross_entropy(x, t(holes)),
        ),
        (
            losses.KLDivergence(),
            softmax(y),
            softmax(p),
            lambda x: f.kl_div(x.log(), t(softmax(y)), reduction="batchmean"),
        ),
        (
            losses.Poisson(),
            np.abs(y),
            np.abs(p),
            lambda x: f.poisson_nll_loss(x, t(np.abs(y)), log_input=False, eps=1e-7),
        ),
        (losses.CosineSimilarity(), y, p, lambda x: -f.cosine_similarity(x, t(y)).mean()),
    ]
    for loss, true, pred, peer in pairs:
        x = torch.tensor(pred, requires_grad=True)
        want = peer(x)
        want.backward()
        value, d = loss.value_and_gradient(loss.targets(true, pred.shape, pred.dtype), pred)
        assert value == pytest.approx(want.item(), rel=1e-9), loss
        np.testing.assert_allclose(d, x.grad.numpy(), rtol=1e-9, atol=1e-12, err_msg=repr(loss))


@pytest.mark.parametrize(
    ("loss", "y", "error", "text"),
    [
        (losses.CategoricalCrossentropy(axis=2), np.eye(3), ValueError, r"axis: .* shape \(3, 3\), got 2"),
        (losses.SparseCategoricalCrossentropy(axis=-3), [0, 1, 2], ValueError, r"axis: .* shape \(3, 3\), got -3"),
        (losses.BinaryCrossentropy(axis=2), np.eye(3), ValueError, r"axis: .* shape \(3, 3\), got 2"),
        (losses.CosineSimilarity(axis=2), np.eye(3), ValueError, r"axis: .* shape \(3, 3\), got 2"),
        (losses.MeanSquaredError(), [[1], [1, 2]], ValueError, "y_true: .* lists of different lengths"),
        (losses.BinaryCrossentropy(), [[1], [1, 0]], ValueError, "y_true: .* lists of different lengths"),
        (losses.SparseCategoricalCrossentropy(), [[1], [1, 0]], ValueError, "y_true: .* lists of different lengths"),
    ],
)
def test_axes_and_lists_that_do_not_fit_are_named(loss, y, error, text):
    with pytest.raises(error, match=text):
        loss(y, np.eye(3))


@pytest.mark.parametrize(
    "make",
    [
        lambda axis: losses.BinaryCrossentropy(axis=axis),
        lambda axis: losses.CategoricalCrossentropy(axis=axis),
        lambda axis: losses.SparseCategoricalCrossentropy(axis=axis),
        lambda axis: losses.SparseCategoricalCrossentropy(ignore_class=axis),
        lambda axis: losses.CosineSimilarity(axis=axis),
    ],
)
def test_axes_are_integers(make):
    with pytest.raises(TypeError, match=r": expected an integer, got 1\.5"):
        make(1.5)


def test_a_column_of_targets_makes_one_of_the_outputs():
    """As in Keras: outputs (batch,) then have a loss for each row."""
    y, p = np.array([[0.0], [1.0], [2.0]]), np.array([1.0, 1.0, 5.0])
    np.testing.assert_array_equal(losses.MeanSquaredError(reduction="none")(y, p), [1, 0, 9])
    assert losses.MeanSquaredError(reduction="sum")(y, p, sample_weight=[1, 1, 2]) == 19
