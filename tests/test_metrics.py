"""Metrics: their definitions, streaming over batches, weights, states, and what they refuse."""

import copy
import json
import math
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstmcore
from lstmcore import losses, metrics


def one_hot(labels, classes):
    return np.eye(classes)[labels]


# --- targets and outputs that suit each metric ---


def real(rng, n):
    return rng.standard_normal((n, 3)), rng.standard_normal((n, 3))


def positive(rng, n):
    return rng.uniform(0.1, 2, (n, 3)), rng.uniform(0.1, 2, (n, 3))


def binary(rng, n):
    # Rounded, so that outputs meet thresholds and one another.
    return rng.integers(0, 2, (n, 3)), rng.uniform(0, 1, (n, 3)).round(1)


def classes(rng, n):
    p = rng.uniform(0, 1, (n, 7))
    return one_hot(rng.integers(0, 7, n), 7), p / p.sum(-1, keepdims=True)


def sparse(rng, n):
    return rng.integers(0, 7, n), classes(rng, n)[1]


def ranked(rng, n):
    return rng.integers(0, 7, n), np.argsort(rng.uniform(0, 1, (n, 7)))


def whole(rng, n):
    return rng.integers(0, 3, (n, 3)), rng.integers(0, 3, (n, 3))


METRICS = {
    "mse": (metrics.MeanSquaredError, real),
    "rmse": (metrics.RootMeanSquaredError, real),
    "mae": (metrics.MeanAbsoluteError, real),
    "mape": (metrics.MeanAbsolutePercentageError, positive),
    "msle": (metrics.MeanSquaredLogarithmicError, positive),
    "logcosh": (metrics.LogCoshError, real),
    "cosine": (metrics.CosineSimilarity, real),
    "r2": (metrics.R2Score, real),
    "r2_weighted": (lambda: metrics.R2Score("variance_weighted_average"), real),
    "r2_each": (lambda: metrics.R2Score(None), real),
    "r2_adjusted": (lambda: metrics.R2Score(num_regressors=2), real),
    "bce": (metrics.BinaryCrossentropy, binary),
    "cce": (lambda: metrics.CategoricalCrossentropy(label_smoothing=0.1), classes),
    "sparse": (metrics.SparseCategoricalCrossentropy, sparse),
    "sparse_ignore": (lambda: metrics.SparseCategoricalCrossentropy(ignore_class=2), sparse),
    "kld": (metrics.KLDivergence, classes),
    "poisson": (metrics.Poisson, positive),
    "hinge": (metrics.Hinge, binary),
    "squared_hinge": (metrics.SquaredHinge, binary),
    "categorical_hinge": (metrics.CategoricalHinge, classes),
    "accuracy": (metrics.Accuracy, whole),
    "binary_accuracy": (lambda: metrics.BinaryAccuracy(threshold=0.3), binary),
    "categorical_accuracy": (metrics.CategoricalAccuracy, classes),
    "sparse_accuracy": (metrics.SparseCategoricalAccuracy, sparse),
    "top_k": (lambda: metrics.TopKCategoricalAccuracy(2), classes),
    "sorted_top_k": (lambda: metrics.SparseTopKCategoricalAccuracy(2, from_sorted_ids=True), ranked),
    "sparse_top_k": (lambda: metrics.SparseTopKCategoricalAccuracy(3), sparse),
    "precision": (metrics.Precision, binary),
    "precision_each": (lambda: metrics.Precision([0.8, 0.2, 0.5]), binary),
    "precision_top": (lambda: metrics.Precision(top_k=2, class_id=1), classes),
    "recall": (lambda: metrics.Recall(class_id=2), binary),
    "true_positives": (metrics.TruePositives, binary),
    "true_negatives": (metrics.TrueNegatives, binary),
    "false_positives": (lambda: metrics.FalsePositives(0.3), binary),
    "false_negatives": (metrics.FalseNegatives, binary),
    "auc": (metrics.AUC, binary),
    "auc_gain": (lambda: metrics.AUC(curve="prgain"), binary),
    "precision_at": (lambda: metrics.PrecisionAtRecall(0.6), binary),
    "recall_at": (lambda: metrics.RecallAtPrecision(0.5, 11), binary),
    "sensitivity_at": (lambda: metrics.SensitivityAtSpecificity(0.3, class_id=1), binary),
    "specificity_at": (lambda: metrics.SpecificityAtSensitivity(0.5, num_thresholds=1), binary),
    "auc_pr": (lambda: metrics.AUC(curve="PR"), binary),
    "auc_labels": (lambda: metrics.AUC(multi_label=True, label_weights=[1, 2, 3]), binary),
    "auc_minoring": (lambda: metrics.AUC(20, "PR", "minoring", label_weights=[1, 2, 3]), binary),
    "f1": (metrics.F1Score, classes),
    "f1_threshold": (lambda: metrics.F1Score("macro", 0.4), binary),
    "fbeta": (lambda: metrics.FBetaScore("weighted", 2.0), classes),
    "fbeta_micro": (lambda: metrics.FBetaScore("micro", 0.5, 0.5), binary),
}
cases = pytest.mark.parametrize("case", METRICS)


# --- for all of them ---


@cases
@settings(max_examples=15)
@given(seed=st.integers(0, 9999), cuts=st.lists(st.integers(1, 10), min_size=1, max_size=3), weighted=st.booleans())
def test_batch_by_batch_is_all_at_once(case, seed, cuts, weighted):
    make, draw = METRICS[case]
    rng = np.random.default_rng(seed)
    n = sum(cuts) + 3
    y, p = draw(rng, n)
    w = rng.choice([0.0, 0.5, 1.0, 3.0], n) if weighted else None
    whole_, parts = make(), make()
    want = whole_(y, p, w)
    start = 0
    for size in [*cuts, 3]:
        rows = slice(start, start + size)
        parts.update_state(y[rows], p[rows], None if w is None else w[rows])
        start += size
    # Sums in another order.
    np.testing.assert_allclose(parts.result(), want, rtol=1e-9, atol=1e-12)
    assert isinstance(want, (float, np.ndarray))
    parts.reset_state()
    np.testing.assert_allclose(parts(y, p, w), want, rtol=1e-12, atol=1e-15)


@cases
def test_a_weight_of_two_is_the_sample_twice(case):
    make, draw = METRICS[case]
    y, p = draw(np.random.default_rng(1), 6)
    w = np.array([0, 1, 2, 0, 1, 3])
    times = np.repeat(np.arange(6), w)
    if case == "r2_adjusted":  # where the number of samples counts, whatever they weigh
        return
    np.testing.assert_allclose(make()(y, p, w), make()(y[times], p[times]), rtol=1e-9, atol=1e-12)


@cases
def test_what_weighs_nothing_may_be_nan(case):
    make, draw = METRICS[case]
    y, p = draw(np.random.default_rng(2), 5)
    w = np.array([1.0, 0.0, 1.0, 1.0, 0.5])
    want = make()(y, p, w)
    p = p.astype(float)
    p[1] = np.nan
    np.testing.assert_allclose(make()(y, p, w), want)


@cases
def test_states_are_kept_and_taken_up(case):
    make, draw = METRICS[case]
    rng = np.random.default_rng(3)
    (y1, p1), (y2, p2) = draw(rng, 5), draw(rng, 4)
    metric, other = make(), make()
    metric.update_state(y1, p1)
    state = metric.state()
    assert all(isinstance(v, (float, np.ndarray)) for v in state.values())
    metric.update_state(y2, p2)
    other.load_state(state)
    other.update_state(y2, p2)
    np.testing.assert_array_equal(other.result(), metric.result())
    fresh = make().state()
    other.load_state(fresh)
    assert other.state().keys() == fresh.keys()
    with pytest.raises(ValueError, match=r"state: expected .*got .*'nonsense'"):
        metric.load_state(state | {"nonsense": 1.0})
    wrong = {k: np.zeros((2, 3, 4)) for k in state}
    if fresh:
        with pytest.raises(ValueError, match=r"state: .*expected shape .*got \(2, 3, 4\)"):
            metric.load_state(wrong)
        with pytest.raises(ValueError, match="state: expected"):
            metric.load_state({})


@cases
def test_described_and_made_again(case):
    make, draw = METRICS[case]
    metric = make()
    again = metrics.deserialize(json.loads(json.dumps(metrics.serialize(metric))))
    assert type(again) is type(metric)
    assert again.name == metric.name
    y, p = draw(np.random.default_rng(4), 5)
    np.testing.assert_array_equal(again(y, p), metric(y, p))


@cases
def test_nothing_seen_is_zero(case):
    assert not np.any(METRICS[case][0]().result())


def test_directions():
    for name in (
        "accuracy",
        "auc",
        "cosine",
        "precision",
        "recall",
        "f1",
        "r2",
        "top_k",
        "true_positives",
        "recall_at",
    ):
        assert METRICS[name][0]().direction == "up"
    for name in ("mse", "rmse", "mae", "mape", "logcosh", "bce", "kld", "poisson", "hinge", "false_positives"):
        assert METRICS[name][0]().direction == "down"
    assert metrics.Mean().direction is None


# --- numbers published by Keras in its documentation ---


@pytest.mark.parametrize(
    ("metric", "y", "p", "w", "want"),
    [
        (metrics.Accuracy(), [[1], [2], [3], [4]], [[0], [2], [3], [4]], None, 0.75),
        (metrics.Accuracy(), [[1], [2], [3], [4]], [[0], [2], [3], [4]], [1, 1, 0, 0], 0.5),
        (metrics.BinaryAccuracy(), [[1], [1], [0], [0]], [[0.98], [1], [0], [0.6]], None, 0.75),
        (metrics.BinaryAccuracy(), [[1], [1], [0], [0]], [[0.98], [1], [0], [0.6]], [1, 0, 0, 1], 0.5),
        (
            metrics.CategoricalAccuracy(),
            [[0, 0, 1], [0, 1, 0]],
            [[0.1, 0.9, 0.8], [0.05, 0.95, 0]],
            [0.7, 0.3],
            0.3,
        ),
        (metrics.SparseCategoricalAccuracy(), [[2], [1]], [[0.1, 0.6, 0.3], [0.05, 0.95, 0]], None, 0.5),
        (metrics.TopKCategoricalAccuracy(1), [[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]], None, 0.5),
        (metrics.SparseTopKCategoricalAccuracy(1), [2, 1], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]], [0.7, 0.3], 0.3),
        (metrics.Precision(), [0, 1, 1, 1], [1, 0, 1, 1], None, 2 / 3),
        (metrics.Precision(), [0, 1, 1, 1], [1, 0, 1, 1], [0, 0, 1, 0], 1),
        (metrics.Precision(top_k=2), [0, 0, 1, 1], [1, 1, 1, 1], None, 0),
        (metrics.Precision(top_k=4), [0, 0, 1, 1], [1, 1, 1, 1], None, 0.5),
        (metrics.Recall(), [0, 1, 1, 1], [1, 0, 1, 1], None, 2 / 3),
        (metrics.SparseTopKCategoricalAccuracy(1, from_sorted_ids=True), [2, 1], [[1, 0, 3], [1, 2, 3]], None, 0.5),
        (metrics.SensitivityAtSpecificity(0.5), [0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8], None, 0.5),
        (metrics.SensitivityAtSpecificity(0.5), [0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8], [1, 1, 2, 2, 1], 1 / 3),
        (metrics.SpecificityAtSensitivity(0.5), [0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8], None, 2 / 3),
        (metrics.SpecificityAtSensitivity(0.5), [0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8], [1, 1, 2, 2, 2], 0.5),
        (metrics.PrecisionAtRecall(0.5), [0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8], None, 0.5),
        (metrics.PrecisionAtRecall(0.5), [0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8], [2, 2, 2, 1, 1], 1 / 3),
        (metrics.RecallAtPrecision(0.8), [0, 0, 1, 1], [0, 0.5, 0.3, 0.9], None, 0.5),
        (metrics.RecallAtPrecision(0.8), [0, 0, 1, 1], [0, 0.5, 0.3, 0.9], [1, 0, 0, 1], 1),
        (metrics.AUC(3), [0, 0, 1, 1], [0, 0.5, 0.3, 0.9], None, 0.75),
        (metrics.AUC(3), [0, 0, 1, 1], [0, 0.5, 0.3, 0.9], [1, 0, 0, 1], 1),
        (metrics.MeanSquaredError(), [[0, 1], [0, 0]], [[1, 1], [0, 0]], None, 0.25),
        (metrics.RootMeanSquaredError(), [[0, 1], [0, 0]], [[1, 1], [0, 0]], [1, 0], 0.70710677),
        (metrics.MeanAbsolutePercentageError(), [[0, 1], [0, 0]], [[1, 1], [0, 0]], None, 250000000.0),
        (metrics.MeanSquaredLogarithmicError(), [[0, 1], [0, 0]], [[1, 1], [0, 0]], [1, 0], 0.24022643),
        (metrics.CosineSimilarity(axis=1), [[0.0, 1], [1, 1]], [[1.0, 0], [1, 1]], [0.3, 0.7], 0.6999999),
        (metrics.LogCoshError(), [[0, 1], [0, 0]], [[1, 1], [0, 0]], [1, 0], 0.21689045),
        (metrics.R2Score(), [[1], [4], [3]], [[2], [4], [4]], None, 0.57142854),
        (metrics.KLDivergence(), [[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]], [1, 0], 0.9162892),
        (metrics.Poisson(), [[0, 1], [0, 0]], [[1, 1], [0, 0]], None, 0.49999997),
        (metrics.BinaryCrossentropy(), [[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]], None, 0.81492424),
        (
            metrics.CategoricalCrossentropy(),
            [[0, 1, 0], [0, 0, 1]],
            [[0.05, 0.95, 0], [0.1, 0.8, 0.1]],
            [0.3, 0.7],
            1.6271976,
        ),
        (
            metrics.FBetaScore(beta=2.0, threshold=0.5),
            [[1, 1, 1], [1, 0, 0], [1, 1, 0]],
            [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]],
            None,
            [0.3846154, 0.90909094, 0.8333334],
        ),
        (
            metrics.F1Score(threshold=0.5),
            [[1, 1, 1], [1, 0, 0], [1, 1, 0]],
            [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]],
            None,
            [0.5, 0.8, 0.6666667],
        ),
    ],
)
def test_numbers_of_the_keras_documentation(metric, y, p, w, want):
    assert metric(y, p, w) == pytest.approx(want, rel=1e-6)  # printed there in float32


# --- means and sums ---


def test_mean_and_sum():
    mean, total = metrics.Mean(), metrics.Sum()
    for metric, want in [(mean, 4.0), (total, 16.0)]:
        assert metric([1, 3, 5, 7]) == want
        metric.reset_state()
        assert metric([1, 3, 5, 7], sample_weight=[1, 1, 0, 0]) == want / (2 if metric is mean else 4)
    mean.reset_state()
    for value, rows in [(1.0, 32), (np.float32(4.0), 16), (np.array(2.0), 2)]:
        mean.update_state(value, rows)
    assert mean.result() == (32 + 64 + 4) / 50
    assert mean.state() == {"total": 100.0, "count": 50}
    with pytest.raises(TypeError, match="values: expected numbers"):
        mean.update_state(["a"])


def test_mean_over_steps_is_one_number_for_each_sample():
    # As in Keras: a sample of 2 steps counts as much as one of 4; within a batch, steps that are masked do not count.
    mean = metrics.Mean()
    mean.update_state(np.ones((3, 4)))
    mean.update_state(np.zeros((3, 2)))
    assert mean.result() == 0.5
    mean.reset_state()
    mean.update_state([[1.0, 2.0], [3.0, 9.0]], sample_weight=[[1, 1], [1, 0]])
    assert mean.result() == 2
    mean.reset_state()
    mean.update_state([[1.0, 2.0], [3.0, 9.0]], sample_weight=[1, 3])
    assert mean.result() == (1.5 + 3 * 6) / 4


@pytest.mark.parametrize(
    ("metric", "function"),
    [
        (metrics.BinaryAccuracy, lambda y, p: (p > 0.5) == y),
        (metrics.Accuracy, lambda y, p: p == y),
        (metrics.RootMeanSquaredError, lambda y, p: (p - y) ** 2),
    ],
)
@pytest.mark.parametrize("shape", [(5, 3), (2, 4, 3), (5, 1)])
def test_single_outputs_may_have_weights(metric, function, shape):
    rng = np.random.default_rng(0)
    y, p, w = rng.integers(0, 2, shape), rng.integers(0, 2, shape), rng.uniform(0, 2, shape)
    w[-1] = 0
    want = np.sum(w * function(y, p)) / np.sum(w)  # as Keras has it
    if metric is metrics.RootMeanSquaredError:
        want = np.sqrt(want)
    assert metric()(y, p, w) == pytest.approx(want, rel=1e-12)
    assert metric()(y, p, w[..., 0]) == pytest.approx(metric()(y, p, np.repeat(w[..., :1], shape[-1], -1)), rel=1e-12)


def test_the_binary_accuracy_of_every_output():
    got = metrics.binary_accuracy([[1, 0], [1, 1]], [[0.6, 0.6], [0.2, 0.9]])
    assert got.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("weights", [None, [1.0, 1.0, 1.0, 1.0], [2.0, 0.5, 1.0, 0.0]])
def test_a_class_to_ignore_is_not_counted(weights):
    # Keras agrees where there are weights; without any it divides by all, and so by another number than with ones.
    y, p = np.array([0, 1, 2, 1]), np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.3, 0.3, 0.4]])
    w = np.ones(4) if weights is None else np.array(weights)
    counted = y != 1
    want = np.sum((w * -np.log(p[range(4), y]))[counted]) / np.sum(w[counted])
    got = metrics.SparseCategoricalCrossentropy(ignore_class=1)(y, p, weights)
    assert got == pytest.approx(want)
    if weights is None:
        assert got == pytest.approx(losses.SparseCategoricalCrossentropy(ignore_class=1)(y, p))


def test_one_axis_is_a_column():
    y, p = np.array([1, 0, 1, 1]), np.array([0.9, 0.2, 0.3, 0.8])
    for shape in [(4,), (4, 1)]:
        metric = metrics.BinaryAccuracy()
        metric.update_state(y, p.reshape(shape), [1, 1, 2, 0])
        assert metric.result() == 0.5
        assert metric.count == 4
        assert metrics.MeanAbsoluteError()(y, p.reshape(shape)) == pytest.approx((0.1 + 0.2 + 0.7 + 0.2) / 4)


# --- accuracies ---


def test_top_k_counts_ties_and_not_nan():
    p = np.array([[0.3, 0.3, 0.2, 0.2], [np.nan, 0.1, 0.2, 0.7]])
    assert list(metrics.sparse_top_k_categorical_accuracy([1, 3], p, k=1)) == [1, 0]
    assert list(metrics.sparse_top_k_categorical_accuracy([2, 3], p, k=2)) == [0, 1]
    assert list(metrics.sparse_top_k_categorical_accuracy([3, 0], p, k=3)) == [1, 0]
    steps = np.random.default_rng(0).standard_normal((2, 3, 5))
    got = metrics.sparse_top_k_categorical_accuracy(np.ones((2, 3)), steps, k=2)
    np.testing.assert_array_equal(got, (np.argsort(-steps)[..., :2] == 1).any(-1))


# --- confusion matrices and areas ---


def compared(y, p, w, t):
    """True positives, false positives, true negatives, false negatives above a threshold, by comparing."""
    above, true = p > t, y != 0
    return [
        (w * (above & true)).sum(),
        (w * (above & ~true)).sum(),
        (w * (~above & ~true)).sum(),
        (w * (~above & true)).sum(),
    ]


@settings(max_examples=100)
@given(st.integers(0, 9999), st.lists(st.sampled_from(np.linspace(0, 1, 11).tolist()), min_size=1, max_size=5))
def test_histograms_count_as_comparisons_do(seed, thresholds):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 30))
    dtype = rng.choice(["float32", "float64"])
    y, p, w = rng.integers(0, 2, (n, 2)), rng.uniform(-0.2, 1.2, (n, 2)).round(1).astype(dtype), rng.uniform(0, 2, n)
    p[rng.random(p.shape) < 0.1] = np.nan
    kinds = [metrics.TruePositives, metrics.FalsePositives, metrics.TrueNegatives, metrics.FalseNegatives]
    want = np.array([compared(y, p, w[:, None], p.dtype.type(t)) for t in thresholds])
    for k, kind in enumerate(kinds):
        got = kind(thresholds)(y, p, w)
        np.testing.assert_allclose(got, want[:, k] if len(thresholds) > 1 else want[0, k], atol=1e-12)


def keras_auc(y, p, w, thresholds, curve, method):
    """The definitions, threshold by threshold."""
    tp, fp, tn, fn = np.array([compared(y, p, w, t) for t in thresholds]).T

    def over(a, b):
        return np.array([i / j if j else 0.0 for i, j in zip(a, b, strict=True)])

    if curve == "PR" and method == "interpolation":
        area = 0.0
        for k in range(len(tp) - 1):
            dtp, dp = tp[k] - tp[k + 1], tp[k] + fp[k] - tp[k + 1] - fp[k + 1]
            slope = dtp / dp if dp > 1e-12 else 0.0
            a, b = tp[k] + fp[k], tp[k + 1] + fp[k + 1]
            intercept = tp[k + 1] - slope * b
            area += slope * (dtp + (intercept * math.log(a / b) if a > 0 and b > 0 else 0)) / (tp[k + 1] + fn[k + 1])
        return area
    recall = over(tp, tp + fn)
    x, h = (over(fp, fp + tn), recall) if curve == "ROC" else (recall, over(tp, tp + fp))
    if curve == "PRGAIN":  # Flach & Kull 2015: (rate - share) / ((1 - share) rate), share that of the positives
        share = (tp + fn) / (tp + fp + tn + fn)
        found = tp > 0
        x, h = (np.where(found, (r - share) / ((1 - share) * np.where(found, r, 1)), k) for k, r in enumerate((x, h)))
        x = np.maximum(x, 0)
    heights = {"interpolation": (h[:-1] + h[1:]) / 2, "minoring": np.minimum(h[:-1], h[1:])}.get(
        method, np.maximum(h[:-1], h[1:])
    )
    return ((x[:-1] - x[1:]) * heights).sum()


@pytest.mark.parametrize("curve", ["ROC", "PR", "PRGAIN"])
@pytest.mark.parametrize("method", ["interpolation", "majoring", "minoring"])
def test_auc_is_its_definition(curve, method):
    rng = np.random.default_rng(5)
    for n in (20, 300):
        y = rng.integers(0, 2, n)
        p = np.clip(0.3 * y + rng.uniform(0, 0.7, n), 0, 1).round(2)
        w = rng.uniform(0.1, 2, n)
        even = [-1e-7, *np.arange(1, 49) / 49, 1 + 1e-7]
        got = metrics.AUC(50, curve, method)(y, p, w)
        assert got == pytest.approx(keras_auc(y, p, w, even, curve, method), rel=1e-9)
        own = [0.9, 0.1, 0.33]
        got = metrics.AUC(curve=curve, summation_method=method, thresholds=own)(y, p, w)
        assert got == pytest.approx(keras_auc(y, p, w, [-1e-7, *sorted(own), 1 + 1e-7], curve, method), rel=1e-9)


def test_roc_auc_comes_close_to_the_share_of_pairs_in_order():
    rng = np.random.default_rng(6)
    y = rng.integers(0, 2, 2000)
    p = np.clip(0.5 + 0.15 * (2 * y - 1) + 0.15 * rng.standard_normal(2000), 0, 1)
    pairs = np.subtract.outer(p[y == 1], p[y == 0])
    exact = (pairs > 0).mean() + (pairs == 0).mean() / 2
    assert metrics.AUC(2000)(y, p) == pytest.approx(exact, abs=1e-3)
    logits = np.log(np.clip(p, 1e-6, 1 - 1e-6) / (1 - np.clip(p, 1e-6, 1 - 1e-6)))
    assert metrics.AUC(2000, from_logits=True)(y, logits) == pytest.approx(exact, abs=1e-3)
    low, high = (metrics.AUC(50, summation_method=m)(y, p) for m in ("minoring", "majoring"))
    assert low < exact < high


@pytest.mark.parametrize("curve", ["ROC", "PR", "PRGAIN"])
def test_areas_of_one_kind_of_samples_are_numbers(curve):
    for y in ([0, 0, 0], [1, 1, 1]):
        assert math.isfinite(metrics.AUC(curve=curve)(y, [0.1, 0.5, 0.9]))


GIVEN = {  # which is wanted, which is given, each from tp, fp, tn, fn
    metrics.PrecisionAtRecall: ((0, 1), (0, 3)),
    metrics.RecallAtPrecision: ((0, 3), (0, 1)),
    metrics.SensitivityAtSpecificity: ((0, 3), (2, 1)),
    metrics.SpecificityAtSensitivity: ((2, 1), (0, 3)),
}


@pytest.mark.parametrize("kind", GIVEN)
@pytest.mark.parametrize("thresholds", [1, 2, 5, 11, 200])
def test_rates_at_a_given_rate_are_their_definitions(kind, thresholds):
    rng = np.random.default_rng(thresholds)
    for least in (0, 0.25, 0.5, 0.9, 1):
        y, p, w = rng.integers(0, 2, 40), rng.uniform(-0.2, 1.2, 40).round(1), rng.uniform(0.1, 2, 40)
        best = 0
        for t in np.arange(thresholds) / (thresholds - 1) if thresholds > 1 else [0.5]:
            counts = compared(y, np.clip(p, 0, 1), w, t)
            wanted, given = (
                counts[a] / (counts[a] + counts[b]) if counts[a] + counts[b] else 0 for a, b in GIVEN[kind]
            )
            best = max(best, wanted if given >= least else 0)
        metric = kind(least, thresholds)
        for part in (slice(7), slice(7, None)):
            metric.update_state(y[part], p[part], w[part])
        assert metric.result() == pytest.approx(best, rel=1e-9)
        several = kind(least, thresholds, class_id=1)
        assert several(np.stack([1 - y, y], 1), np.stack([0 * p, p], 1), w) == pytest.approx(best, rel=1e-9)


def test_auc_of_several_labels():
    rng = np.random.default_rng(7)
    y, p = rng.integers(0, 2, (40, 3)), rng.uniform(0, 1, (40, 3))
    each = [metrics.AUC()(y[:, k], p[:, k]) for k in range(3)]
    assert metrics.AUC(multi_label=True)(y, p) == pytest.approx(np.mean(each))
    assert metrics.AUC(multi_label=True, num_labels=3, label_weights=[1, 0, 3])(y, p) == pytest.approx(
        (each[0] + 3 * each[2]) / 4
    )
    assert metrics.AUC()(y, p) == pytest.approx(metrics.AUC()(y.ravel(), p.ravel()))
    metric = metrics.AUC(multi_label=True)
    metric.update_state(y, p)
    with pytest.raises(ValueError, match="auc: y_pred: expected 3 labels, got 2"):
        metric.update_state(y[:, :2], p[:, :2])


def test_memory_of_auc_does_not_grow_with_thresholds():
    n = 100_000
    rng = np.random.default_rng(8)
    y, p = rng.integers(0, 2, n), rng.uniform(0, 1, n)
    metric = metrics.AUC(1000)
    tracemalloc.start()
    metric.update_state(y, p)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * n  # bytes; a table of 1000 thresholds would take 1000 a sample at least


# --- R² ---


def test_r2_does_not_lose_a_small_variance_on_a_large_mean():
    rng = np.random.default_rng(9)
    y = 1e8 + rng.standard_normal((100, 1))
    p = y + 0.5 * rng.standard_normal((100, 1))
    want = 1 - ((y - p) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    metric = metrics.R2Score()
    for k in range(0, 100, 7):
        metric.update_state(y[k : k + 7], p[k : k + 7])
    assert metric.result() == pytest.approx(want, rel=1e-6)


def test_r2_of_constants():
    assert metrics.R2Score()([[1.0], [1.0]], [[1.0], [1.0]]) == 1
    assert metrics.R2Score()([[1.0], [1.0]], [[1.0], [2.0]]) == 0


def test_r2_adjusted():
    rng = np.random.default_rng(10)
    y = rng.standard_normal((10, 1))
    p = y + 0.1 * rng.standard_normal((10, 1))
    plain = metrics.R2Score()(y, p)
    assert metrics.R2Score(num_regressors=3)(y, p) == pytest.approx(1 - (1 - plain) * 9 / 6)
    with pytest.warns(UserWarning, match="too few samples"):
        assert metrics.R2Score(num_regressors=9)(y, p) == plain


# --- sequences ---


@pytest.mark.parametrize("case", ["mse", "bce", "precision", "auc", "r2", "f1_threshold"])
def test_steps_with_a_mask_are_those_that_are_left(case):
    make, draw = METRICS[case]
    y, p = draw(np.random.default_rng(11), 12)
    y, p = y.reshape(4, 3, 3), p.reshape(4, 3, 3)
    mask = np.array([[1, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 0]], bool)
    np.testing.assert_allclose(make()(y, p, mask), make()(y[mask], p[mask]), rtol=1e-9)


# --- names ---


def test_get():
    assert metrics.get("mse").name == "mse"
    assert type(metrics.get("MeanSquaredError")) is metrics.MeanSquaredError
    assert type(metrics.get("auc")) is metrics.AUC
    assert type(metrics.get("f1_score")) is metrics.F1Score
    assert type(metrics.get("bce")) is metrics.BinaryCrossentropy
    assert type(metrics.get(metrics.AUC)) is metrics.AUC
    metric = metrics.Recall()
    assert metrics.get(metric) is metric
    assert metrics.get({"class_name": "AUC", "config": {"curve": "PR"}}).curve == "PR"
    assert type(metrics.get(metrics.binary_accuracy)) is metrics.BinaryAccuracy
    assert metrics.get("mse") is not metrics.get("mse")
    with pytest.raises(ValueError, match=r"metrics: expected one of .*accuracy.* got 'acuracy'"):
        metrics.get("acuracy")
    with pytest.raises(ValueError, match="metrics: expected a name, a Metric or a function, got 3"):
        metrics.get(3)
    with pytest.raises(ValueError, match="metrics: expected the config of a Metric"):
        metrics.get({"class_name": "Huber", "module": "lstmcore.losses", "config": {}})


@pytest.mark.parametrize(
    ("identifier", "name"),
    [
        (losses.Huber(2.0), "huber_loss"),
        (losses.Huber, "huber_loss"),
        (losses.huber, "huber"),
        ("huber", "huber"),
        (losses.mse, "mean_squared_error"),
        (losses.Quantile(0.9, name="p90"), "p90"),
    ],
)
def test_losses_are_metrics(identifier, name):
    metric = metrics.get(identifier)
    assert metric.name == name
    assert metric.direction == "down"
    y, p = real(np.random.default_rng(12), 5)
    w = np.arange(5.0)
    loss = losses.resolve(identifier)
    each = type(loss).from_config(loss.get_config() | {"reduction": "none"})(y, p)
    assert metric(y, p, w) == pytest.approx((each * w).sum() / w.sum())
    again = metrics.deserialize(metrics.serialize(metric))
    assert again.name == name
    assert again(y, p, w) == metric.result()


def test_metrics_of_the_users():
    def bias(y_true, y_pred):
        return np.mean(y_pred - y_true, axis=-1)

    metric = metrics.get(bias)
    assert (metric.name, metric.direction) == ("bias", None)
    assert metric([1.0, 2.0], [[2.0], [5.0]]) == 2
    with pytest.raises(TypeError, match=r"fn: .*cannot be saved"):
        metrics.serialize(metrics.get(lambda y_true, y_pred: y_pred))
    with pytest.raises(TypeError, match="MeanMetricWrapper: fn: expected a function or a Loss, got 3"):
        metrics.MeanMetricWrapper(3)
    with_options = metrics.MeanMetricWrapper(losses.binary_crossentropy, from_logits=True)
    assert with_options([[1.0]], [[0.0]]) == pytest.approx(math.log(2))
    again = metrics.deserialize(metrics.serialize(with_options))
    assert again([[1.0]], [[0.0]]) == pytest.approx(math.log(2))


@pytest.mark.parametrize(
    ("loss", "output_shape", "y_shape", "kind"),
    [
        ("bce", (None, 1), None, "Binary"),
        ("mse", (None, 1), None, "Binary"),
        ("sparse_categorical_crossentropy", (None, 5), None, "SparseCategorical"),
        ("categorical_crossentropy", (None, 5), None, "Categorical"),
        ("categorical_crossentropy", (None, 7, 5), (None, 7, 5), "Categorical"),
        ("mse", (None, 5), (None,), "SparseCategorical"),
        ("mse", (None, 5), (None, 1), "SparseCategorical"),
        ("mse", (None, 7, 5), (None, 7), "SparseCategorical"),
    ],
)
def test_accuracy_is_of_the_kind_that_fits(loss, output_shape, y_shape, kind):
    for name in ("accuracy", "acc", "Accuracy"):
        metric = metrics.resolve(name, losses.resolve(loss), output_shape, y_shape)
        assert type(metric).__name__ == f"{kind}Accuracy"
        assert metric.name == name
    for name in ("crossentropy", "ce"):
        metric = metrics.resolve(name, losses.resolve(loss), output_shape, y_shape)
        assert type(metric).__name__ == f"{kind}Crossentropy"
        assert metric.name == name
    assert metrics.resolve("mae", losses.resolve(loss), output_shape).name == "mae"


def test_crossentropy_of_logits_where_the_loss_has_them():
    metric = metrics.resolve("crossentropy", losses.BinaryCrossentropy(from_logits=True), (None, 1))
    assert metric([[1.0]], [[0.0]]) == pytest.approx(math.log(2))
    with pytest.raises(ValueError, match="'accuracy' depends on the shape of the outputs"):
        metrics.resolve("accuracy", losses.resolve("mse"), None)


def test_unique_names():
    names = [
        m.name for m in metrics.unique([metrics.get("mse"), metrics.get("mse"), metrics.AUC(), metrics.get("mse")])
    ]
    assert names == ["mse", "mse_1", "auc", "mse_2"]


def test_default_names_are_those_of_keras():
    for kind, name in [
        (metrics.AUC, "auc"),
        (metrics.LogCoshError, "logcosh"),
        (metrics.FBetaScore, "fbeta_score"),
        (metrics.F1Score, "f1_score"),
        (metrics.R2Score, "r2_score"),
        (metrics.Precision, "precision"),
        (metrics.TruePositives, "true_positives"),
        (metrics.TopKCategoricalAccuracy, "top_k_categorical_accuracy"),
        (metrics.Mean, "mean"),
    ]:
        assert kind().name == name


# --- bad input ---


@pytest.mark.parametrize(
    ("metric", "y", "p", "message"),
    [
        ("mse", np.ones((4, 1)), np.ones((4, 3)), r"y_true: expected shape \(4, 3\).*got \(4, 1\)"),
        ("binary_accuracy", np.ones((4, 4)), np.ones((4, 1)), r"y_true: expected shape \(4, 1\).*got \(4, 4\)"),
        ("categorical_accuracy", [1, 2], np.ones((2, 3)), "for integer labels use sparse_categorical_accuracy"),
        ("sparse_categorical_accuracy", np.eye(3), np.ones((3, 3)), "for one-hot targets use categorical_accuracy"),
        ("sparse_top_k_categorical_accuracy", [3], np.ones((1, 3)), "y_true: expected class labels from 0 to 2, got 3"),
        ("precision", [1, 2], np.ones((2, 3)), "make them one-hot with utils.to_categorical"),
        ("auc", [1, 2], np.ones((2, 3)), "make them one-hot with utils.to_categorical"),
        ("r2_score", np.ones((2, 1)), np.ones((2, 3)), r"y_true: expected shape \(2, 3\)"),
        ("f1_score", [1, 2], np.ones((2, 3)), "make them one-hot"),
    ],
)
def test_targets_that_do_not_fit(metric, y, p, message):
    with pytest.raises(ValueError, match=message):
        metrics.get(metric)(y, p)


@pytest.mark.parametrize("metric", ["mse", "binary_accuracy", "precision", "auc", "r2_score", "f1_score"])
def test_weights_that_do_not_fit(metric):
    with pytest.raises(ValueError, match=r"sample_weight: expected .*got \(3,\)"):
        metrics.get(metric)(np.ones((4, 2)), np.ones((4, 2)), np.ones(3))
    with pytest.raises(TypeError, match="y_pred: expected numbers"):
        metrics.get(metric)(np.ones((1, 1)), [["a"]])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: metrics.AUC(1), ValueError, "AUC: num_thresholds: expected from 2 to 1,000,000, got 1"),
        (lambda: metrics.AUC(curve="RPC"), ValueError, "AUC: curve: expected 'ROC', 'PR' or 'PRGAIN', got 'RPC'"),
        (lambda: metrics.PrecisionAtRecall(1.5), ValueError, r"PrecisionAtRecall: recall: .* in \[0, 1\], got 1.5"),
        (lambda: metrics.RecallAtPrecision("a"), TypeError, "RecallAtPrecision: precision: .* got 'a'"),
        (lambda: metrics.SensitivityAtSpecificity(0.5, 0), ValueError, "num_thresholds: expected from 1 to .* got 0"),
        (lambda: metrics.SpecificityAtSensitivity(0.5, 2.5), TypeError, "num_thresholds: expected an integer, got 2.5"),
        (lambda: metrics.AUC(summation_method="sum"), ValueError, "AUC: summation_method: expected"),
        (lambda: metrics.AUC(num_labels=3), ValueError, "AUC: num_labels: is for multi_label=True"),
        (lambda: metrics.AUC(thresholds=[2.0]), ValueError, "AUC: thresholds: expected a number in .0, 1., got 2"),
        (lambda: metrics.Precision(1.5), ValueError, "Precision: thresholds: expected a number in .0, 1."),
        (lambda: metrics.Recall(top_k=0), ValueError, "Recall: top_k: expected a positive integer, got 0"),
        (lambda: metrics.Recall(class_id=3)(np.ones((1, 2)), np.ones((1, 2))), ValueError, "class_id: expected 0 to 1"),
        (lambda: metrics.F1Score("mean"), ValueError, "F1Score: average: expected 'micro'"),
        (lambda: metrics.FBetaScore(beta=0.0), ValueError, "FBetaScore: beta: expected a positive number, got 0"),
        (lambda: metrics.R2Score("mean"), ValueError, "R2Score: class_aggregation: expected"),
        (lambda: metrics.BinaryAccuracy(threshold=2), ValueError, "BinaryAccuracy: threshold: .*got 2"),
        (lambda: metrics.TopKCategoricalAccuracy(0), ValueError, "TopKCategoricalAccuracy: k: expected"),
        (lambda: metrics.AUC(label_weights=[1, 2])(np.ones((1, 3)), np.ones((1, 3))), ValueError, "label_weights: exp"),
        (lambda: metrics.Mean(dtype="int8"), TypeError, "Mean: dtype: expected float32 or float64, got int8"),
    ],
)
def test_arguments_that_do_not_fit(make, error, message):
    with pytest.raises(error, match=message):
        make()


# --- peers ---


@pytest.mark.peer
def test_scores_of_scikit_learn():
    sk = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(13)
    w = rng.uniform(0.5, 2, 200)
    y, p = rng.integers(0, 2, 200), rng.uniform(0, 1, 200)
    p = np.clip(p + 0.3 * y, 0, 1)
    assert metrics.Precision()(y, p, w) == pytest.approx(sk.precision_score(y, p > 0.5, sample_weight=w))
    assert metrics.Recall()(y, p, w) == pytest.approx(sk.recall_score(y, p > 0.5, sample_weight=w))
    assert metrics.AUC(5000)(y, p, w) == pytest.approx(sk.roc_auc_score(y, p, sample_weight=w), abs=1e-3)
    labels, scores = rng.integers(0, 4, 200), rng.uniform(0, 1, (200, 4))
    found = scores.argmax(1)
    for average in (None, "micro", "macro", "weighted"):
        want = sk.f1_score(labels, found, average=average, sample_weight=w)
        # 1e-7 is added to each denominator.
        np.testing.assert_allclose(metrics.F1Score(average)(one_hot(labels, 4), scores, w), want, rtol=1e-5)
    assert metrics.SparseTopKCategoricalAccuracy(2)(labels, scores) == sk.top_k_accuracy_score(labels, scores, k=2)
    y, p = real(rng, 50)
    for ours, theirs in [
        (None, "raw_values"),
        ("uniform_average", "uniform_average"),
        ("variance_weighted_average", "variance_weighted"),
    ]:
        np.testing.assert_allclose(
            metrics.R2Score(ours)(y, p, w[:50]), sk.r2_score(y, p, sample_weight=w[:50], multioutput=theirs)
        )


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: metrics.Precision(class_id=1.5), "Precision: class_id: expected an integer, got 1.5"),
        (lambda: metrics.AUC(num_thresholds="a"), "AUC: num_thresholds: expected an integer, got 'a'"),
        (lambda: metrics.AUC(thresholds=["a"]), "AUC: thresholds: expected a number .* got 'a'"),
        (lambda: metrics.R2Score(num_regressors=None), "R2Score: num_regressors: expected an integer, got None"),
    ],
)
def test_arguments_that_are_no_numbers_are_named(make, text):
    with pytest.raises(TypeError, match=text):
        make()


class Positives(metrics.Metric):
    """Gathers in variables, as Keras's guides do."""

    def __init__(self, name="positives", **options):
        super().__init__(name=name, **options)
        self.count = self.add_variable(shape=(), initializer="zeros", name="count")
        self.by_column = self.add_weight((2,), name="by_column")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.count.assign_add(np.sum(np.asarray(y_true) > 0))
        self.by_column.assign_add(np.sum(np.asarray(y_true) > 0, axis=0))

    def result(self):
        return self.count


class Reset(Positives):
    def reset_state(self):
        self.count.assign(0)


@pytest.mark.parametrize("kind", [Positives, Reset])
def test_a_metric_may_gather_in_variables(kind):
    y = np.array([[1.0, -1.0], [2.0, 1.0], [0.0, 3.0]])
    metric = kind()
    assert [v.name for v in metric.variables] == ["count", "by_column"]
    assert float(metric(y, y)) == 4
    assert float(metric(y, y)) == 8
    state = metric.state()
    assert state["count"] == 8
    np.testing.assert_array_equal(state["by_column"], [4, 4])
    metric.reset_state()
    assert float(metric.result()) == 0
    other = kind()
    other.load_state(state)
    assert float(other.result()) == 8
    with pytest.raises(ValueError, match=r"positives: state: by_column: expected shape \(2,\), got \(3,\)"):
        other.load_state({"count": 1.0, "by_column": np.zeros(3)})
    assert float(other.result()) == 8
    with pytest.raises(ValueError, match="add_variable: name: 'count' is there already"):
        metric.add_variable(name="count")
    with pytest.raises(ValueError, match="add_variable: name: expected no '/' in it, got 'a/b'"):
        metric.add_variable(name="a/b")
    for copied in (copy.deepcopy(other), pickle.loads(pickle.dumps(other))):
        assert float(copied.result()) == 8
        copied.update_state(y, y)
        assert (float(copied.result()), float(other.result())) == (12, 8)
        assert copied.state()["count"] == 12
    model = lstmcore.Sequential([lstmcore.Input((2,)), lstmcore.layers.Dense(2)])
    model.compile("sgd", "mse", metrics=[kind()])
    history = model.fit(y, y, epochs=3, batch_size=2, verbose=0).history
    assert history["positives"] == [4.0] * 3
    assert all(isinstance(value, float) for value in history["positives"])
