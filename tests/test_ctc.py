"""The CTC loss: brute force, reference against kernel, PyTorch, published numbers, training, what it refuses."""

import itertools
import math
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_tools import by_differences

import lstmcore
from lstmcore import _core, functional, losses, reference
from lstmcore.layers import LSTM, Dense, Input, Masking
from lstmcore.losses import CTC
from lstmcore.optimizers import Adam


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def softmax(x):
    return np.exp(log_softmax(x))


def problem(seed, batch=3, steps=7, classes=4, most=3, blank=0, dtype="float64"):
    """Return logits, labels with repeats among them, input lengths and label lengths."""
    rng = np.random.default_rng(seed)
    x = (3 * rng.standard_normal((batch, steps, classes))).astype(dtype)
    labels = rng.integers(0, classes - 1, (batch, most)) if classes > 1 else np.zeros((batch, most), int)
    labels += labels >= blank
    counts = rng.integers(0, most + 1, batch) if classes > 1 else np.zeros(batch, int)
    return x, labels, rng.integers(0, steps + 1, batch), counts


# --- the reference ---


def spelled(path, blank):
    return tuple(k for k, _ in itertools.groupby(path) if k != blank)


@pytest.mark.parametrize("blank", [0, 1, 2])
@pytest.mark.parametrize("steps", [0, 1, 2, 4, 5])
@pytest.mark.parametrize("labels", [(), (0,), (0, 0), (1, 0), (0, 1, 0), (1, 1, 0)])
def test_reference_is_the_sum_over_all_paths(labels, steps, blank):
    y = softmax(np.random.default_rng(steps).standard_normal((steps, 3)))
    labels = tuple(k + (k >= blank) for k in labels)
    paths = [path for path in itertools.product(range(3), repeat=steps) if spelled(path, blank) == labels]
    p = sum(np.prod([y[t, k] for t, k in enumerate(path)]) for path in paths)
    padded = np.array([[*labels, *[-7] * (3 - len(labels))]])
    loss = reference.ctc_loss(np.log(y)[None], padded, [steps], [len(labels)], blank=blank, from_logits=False)
    np.testing.assert_allclose(loss, [-np.log(p) if paths else np.inf], rtol=1e-13)


@pytest.mark.parametrize("seed", range(5))
def test_reference_gradient_by_differences(seed):
    x, labels, steps, counts = problem(seed)
    counts = np.minimum(counts, steps // 2)  # feasible, repeats or not
    _, gradient = reference.ctc_loss_and_gradient(x, labels, steps, counts)
    want = by_differences(lambda: reference.ctc_loss(x, labels, steps, counts).sum(), x)
    np.testing.assert_allclose(gradient, want, rtol=1e-6, atol=1e-8)  # differences of 1e-6 of losses of 10


# --- the kernel ---


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_published_cost(dtype):
    # baidu-research/warp-ctc, tests/test_cpu.cpp: small_test, which expects 2.46286 to float32.
    x = np.array([[[0.1, 0.6, 0.1, 0.1, 0.1], [0.1, 0.1, 0.6, 0.1, 0.1]]], dtype)
    np.testing.assert_allclose(functional.ctc_loss(x, [[1, 2]]), [2.46286], atol=1e-5)


@given(
    st.integers(0, 2**32),
    st.integers(0, 4),
    st.integers(0, 20),
    st.integers(1, 20),
    st.integers(0, 12),
    st.integers(0, 19),
    st.sampled_from(["float32", "float64"]),
    st.booleans(),
    st.booleans(),
)
def test_kernel_is_the_reference(seed, batch, steps, classes, most, blank, dtype, from_logits, zero_infinity):
    blank %= classes
    x, labels, input_lengths, label_lengths = problem(seed, batch, steps, classes, most, blank, dtype)
    if not from_logits:
        x = log_softmax(x)
    options = {"blank": blank, "from_logits": from_logits, "zero_infinity": zero_infinity}
    want, d_want = reference.ctc_loss_and_gradient(x, labels, input_lengths, label_lengths, **options)
    results = []
    for threads in (1, 2):
        with lstmcore.threads(threads):
            results.append(functional.ctc_loss_and_gradient(x, labels, input_lengths, label_lengths, **options))
            loss = functional.ctc_loss(x, labels, input_lengths, label_lengths, **options)
    (loss_1, d_1), (loss_2, d_2) = results
    np.testing.assert_array_equal(loss_1, loss_2)
    np.testing.assert_array_equal(d_1, d_2)
    np.testing.assert_array_equal(loss, loss_1)
    assert loss_1.dtype == d_1.dtype == x.dtype
    # The sums are float64; results are rounded to float32, the parts of a class subtracted one by one.
    tolerance = 1e-11 if dtype == "float64" else 2e-6
    np.testing.assert_allclose(loss_1, want, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(d_1, d_want, atol=tolerance)


def test_bits_do_not_depend_on_threads():
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((9, 150, 40), "float32"), rng.integers(1, 40, (9, 30))
    steps, counts = rng.integers(60, 151, 9), rng.integers(0, 31, 9)
    results = []
    for threads in (1, 2, 3):
        with lstmcore.threads(threads):
            results.append(functional.ctc_loss_and_gradient(x, labels, steps, counts))
    for loss, gradient in results[1:]:
        np.testing.assert_array_equal(loss, results[0][0])
        np.testing.assert_array_equal(gradient, results[0][1])


def long_problem(steps, labels, classes):
    """All classes as likely everywhere: ways to spell different labels are ways to choose 2 for each of the steps."""
    x = np.zeros((1, steps, classes))
    loss = steps * math.log(classes) - math.log(math.comb(steps + labels, 2 * labels))
    return x, np.arange(1, labels + 1)[np.newaxis], loss


@pytest.mark.parametrize(("labels", "classes"), [(1, 2), (2, 3), (40, 60), (300, 1000)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_long_sequences_lose_nothing(labels, classes, dtype):
    # Their probabilities, and the parts of it from either end, are far beyond any double.
    x, y, want = long_problem(2000, labels, classes)
    loss, gradient = functional.ctc_loss_and_gradient(x.astype(dtype), y)
    np.testing.assert_allclose(loss, want, rtol=1e-11 if dtype == "float64" else 2e-7)
    np.testing.assert_array_equal(functional.ctc_loss(x.astype(dtype), y), loss)
    # Of every step all paths are somewhere, as many from one end as from the other.
    np.testing.assert_allclose(gradient.sum(-1), 0, atol=1e-10 if dtype == "float64" else 1e-5)
    np.testing.assert_allclose(gradient[0, ::-1, 0], gradient[0, :, 0], atol=1e-10 if dtype == "float64" else 1e-5)


def test_the_gradient_of_a_long_sequence_counts_its_paths():
    # One label: a path is where it begins and where it ends.
    steps = 2000
    x, y, _ = long_problem(steps, 1, 3)
    t = np.arange(steps)
    share = (t + 1) * (steps - t) / (steps * (steps + 1) / 2)  # of the paths that are at the label
    want = 1 / 3 - np.stack([1 - share, share, 0 * share], axis=-1)
    np.testing.assert_allclose(functional.ctc_loss_and_gradient(x, y)[1][0], want, atol=1e-11)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("certainty", [10.0, 50.0, 1000.0])
def test_a_network_sure_of_its_blanks_loses_nothing(certainty, dtype):
    # Each label is e^-certainty as likely as a blank, and 40 of them are needed: far beyond any double.
    rng = np.random.default_rng(1)
    x = rng.standard_normal((1, 120, 6)).astype(dtype)
    x[:, :, 0] += certainty
    labels = rng.integers(1, 6, (1, 40))
    want, d_want = reference.ctc_loss_and_gradient(x, labels, [120], [40])
    loss, gradient = functional.ctc_loss_and_gradient(x, labels)
    np.testing.assert_allclose(loss, want, rtol=1e-12 if dtype == "float64" else 1e-6)
    np.testing.assert_allclose(gradient, d_want, atol=1e-9 if dtype == "float64" else 1e-6)


def test_only_just_feasible_and_only_just_not():
    x = np.random.default_rng(0).standard_normal((2, 5, 4))
    labels = np.array([[1, 1, 2, 3], [1, 1, 2, 2]])  # need 5 steps and 6
    loss, gradient = functional.ctc_loss_and_gradient(x, labels)
    path = [1, 0, 1, 2, 3]
    np.testing.assert_allclose(loss, [-log_softmax(x[0])[np.arange(5), path].sum(), np.inf])
    assert np.isnan(gradient[1]).all()
    loss, gradient = functional.ctc_loss_and_gradient(x, labels, zero_infinity=True)
    assert loss[1] == 0
    assert not gradient[1].any()


def test_impossible_classes():
    x = np.zeros((3, 4, 3))
    x[0, :, 1] = -np.inf  # the label cannot be anywhere
    x[1, :2, 1] = -np.inf  # in the first steps
    x[2, 1, 2] = np.nan
    labels = [[1], [1], [1]]
    loss, gradient = functional.ctc_loss_and_gradient(x, labels)
    want, d_want = reference.ctc_loss_and_gradient(x[1:2], labels[1:2], [4], [1])
    np.testing.assert_allclose(loss, [np.inf, want[0], np.nan])
    np.testing.assert_allclose(gradient[1], d_want[0], atol=1e-14)
    assert np.isnan(functional.ctc_loss(x, labels, zero_infinity=True)[2])


@pytest.mark.parametrize("from_logits", [False, True])
def test_one_nan_on_the_way_makes_the_loss_nan(from_logits):
    rng, labels = np.random.default_rng(0), [[1, 2, 1]]
    for steps in (3, 4, 9, 20):  # the first is the only path, and has no blank
        x = rng.dirichlet(np.ones(4), (1, steps))
        for t in range(steps):
            for c in range(4) if from_logits else (0, 1, 2):  # class 3 is on no path
                spoilt = np.log(x) if from_logits else x.copy()
                spoilt[0, t, c] = np.nan
                loss, gradient = functional.ctc_loss_and_gradient(spoilt, labels, blank=0, from_logits=from_logits)
                assert np.isnan(loss).all()
                assert np.isnan(gradient).all()
                assert np.isnan(functional.ctc_loss(spoilt, labels, blank=0, from_logits=from_logits)).all()
                # A path's certainty ends elsewhere: what is nowhere possible hides nothing.
                if not from_logits:
                    spoilt[0, t] = np.where(np.isnan(spoilt[0, t]), np.nan, 0)
                    assert np.isnan(functional.ctc_loss(spoilt, labels, blank=0, from_logits=False)).all()


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gradient_of_reductions(reduction):
    x, labels, _, _ = problem(3, steps=8)
    counts = [0, 2, 3]
    loss, gradient = functional.ctc_loss_and_gradient(x, labels, None, counts, reduction=reduction)
    rows = functional.ctc_loss(x, labels, None, counts)
    np.testing.assert_allclose(loss, rows.sum() if reduction == "sum" else (rows / [1, 2, 3]).mean(), rtol=1e-14)
    want = by_differences(lambda: functional.ctc_loss(x, labels, None, counts, reduction=reduction), x)
    np.testing.assert_allclose(gradient, want, rtol=1e-6, atol=1e-8)


def test_views_are_taken_as_they_are():
    x, labels, steps, counts = problem(1, batch=4, steps=9)
    time_major = np.ascontiguousarray(x.transpose(1, 0, 2)).transpose(1, 0, 2)
    want = functional.ctc_loss_and_gradient(x, labels, steps, counts)
    for view in (time_major, np.asfortranarray(x), x[::-1].copy()[::-1]):
        got = functional.ctc_loss_and_gradient(view, labels.astype("uint8"), steps.astype("int32"), counts)
        for a, b in zip(got, want, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"inputs": np.zeros((2, 5, 4), int)}, TypeError, "inputs: expected dtype float32 or float64, got int64"),
        ({"inputs": np.zeros((2, 5))}, ValueError, r"inputs: expected shape \(batch, steps, classes\), got \(2, 5\)"),
        ({"labels": [[1, 2]]}, ValueError, r"labels: expected shape \(batch=2, max_labels\), got \(1, 2\)"),
        ({"labels": [1, 2]}, ValueError, r"labels: expected shape \(batch=2, max_labels\), got \(2,\)"),
        ({"labels": [[1.0, 2.0], [1.0, 2.0]]}, TypeError, "labels: expected integers, got float64"),
        (
            {"labels": [[1, 2], [1, 4]]},
            ValueError,
            r"labels: expected numbers from 0 to 3 \(classes\), got 4 at \(1, 1",
        ),
        ({"labels": [[1, 2], [-1, 2]]}, ValueError, r"labels: expected numbers from 0 to 3 \(classes\), got -1 at"),
        ({"labels": [[1, 0], [1, 2]]}, ValueError, r"labels: expected no blank \(0\) among them, got one at \(0, 1\)"),
        ({"input_lengths": [5, 6]}, ValueError, r"input_lengths: expected numbers from 0 to 5 \(steps\), got 6 at 1"),
        ({"input_lengths": [-1, 5]}, ValueError, "input_lengths: expected numbers from 0 to 5"),
        ({"input_lengths": [5.0, 5.0]}, TypeError, "input_lengths: expected integers, got float64"),
        ({"input_lengths": [5]}, ValueError, r"input_lengths: expected shape \(batch=2,\), got \(1,\)"),
        ({"label_lengths": [2, 3]}, ValueError, r"label_lengths: expected numbers from 0 to 2 \(max_labels\), got 3"),
        ({"label_lengths": [2, -1]}, ValueError, "label_lengths: expected numbers from 0 to 2"),
        ({"label_lengths": [[2, 1]]}, ValueError, r"label_lengths: expected shape \(batch=2,\), got \(1, 2\)"),
        ({"blank": 4}, ValueError, "blank: expected a class from 0 to 3, got 4"),
        ({"blank": -1}, ValueError, "blank: expected a class from 0 to 3, got -1"),
        ({"blank": 0.0}, TypeError, "blank: expected an integer, got 0.0"),
        ({"from_logits": 1}, TypeError, "from_logits: expected True or False, got 1"),
        ({"zero_infinity": None}, TypeError, "zero_infinity: expected True or False, got None"),
        ({"reduction": "median"}, ValueError, "reduction: expected one of 'none', 'mean', 'sum', got 'median'"),
    ],
)
def test_bad_input_is_named(changes, error, message):
    arguments = {"inputs": np.zeros((2, 5, 4)), "labels": [[1, 2], [3, 1]], "reduction": "mean", **changes}
    with pytest.raises(error, match=message):
        functional.ctc_loss(**arguments)
    with pytest.raises(error, match=message):
        functional.ctc_loss_and_gradient(**arguments)


def test_what_does_not_count_may_be_anything():
    x = np.random.default_rng(0).standard_normal((2, 5, 4))
    want = functional.ctc_loss(x, [[1, 2], [3, 1]], [4, 3], [1, 2])
    x[0, 4:], x[1, 3:] = np.nan, np.inf
    loss, gradient = functional.ctc_loss_and_gradient(x, [[1, -99], [3, 1]], [4, 3], [1, 2])
    np.testing.assert_array_equal(loss, want)
    assert not gradient[0, 4:].any()
    assert not gradient[1, 3:].any()


def test_a_row_without_steps_spells_nothing_whatever_the_row_before():
    x = np.random.default_rng(0).standard_normal((3, 5, 4))
    with lstmcore.threads(1):
        loss = functional.ctc_loss(x, [[1, 2], [1, 2], [1, 2]], [5, 0, 0], [2, 0, 1])
    np.testing.assert_array_equal(loss[1:], [0, np.inf])


def test_nothing_in_nothing_out():
    loss, gradient = functional.ctc_loss_and_gradient(np.zeros((0, 5, 4)), np.zeros((0, 2), int))
    assert loss.shape == (0,)
    assert gradient.shape == (0, 5, 4)
    loss, gradient = functional.ctc_loss_and_gradient(np.zeros((2, 0, 4)), np.zeros((2, 0), int))
    np.testing.assert_array_equal(loss, [0, 0])
    assert functional.ctc_loss(np.zeros((0, 5, 4)), np.zeros((0, 2), int), reduction="mean") == 0
    with pytest.raises(ValueError, match="blank: expected a class from 0 to -1"):
        functional.ctc_loss(np.zeros((2, 3, 0)), np.zeros((2, 0), int))


# --- PyTorch ---


@pytest.mark.peer
@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("zero_infinity", [True, False])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pytorch_agrees(dtype, reduction, zero_infinity, from_logits):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    x, labels = rng.standard_normal((6, 30, 8)).astype(dtype), rng.integers(0, 7, (6, 10))
    steps, counts = rng.integers(25, 31, 6), rng.integers(1, 11, 6)
    if zero_infinity:
        steps[2], counts[2] = 6, 9  # infeasible
    if not from_logits:
        x = log_softmax(x)
    z = torch.tensor(x.transpose(1, 0, 2).copy(), requires_grad=True)
    loss = torch.nn.functional.ctc_loss(
        torch.log_softmax(z, -1) if from_logits else z,
        torch.tensor(labels),
        torch.tensor(steps),
        torch.tensor(counts),
        blank=7,
        reduction=reduction,
        zero_infinity=zero_infinity,
    )
    loss.sum().backward()
    got, gradient = functional.ctc_loss_and_gradient(
        x, labels, steps, counts, blank=7, from_logits=from_logits, zero_infinity=zero_infinity, reduction=reduction
    )
    tolerance = 1e-11 if dtype == "float64" else 2e-5  # PyTorch sums logarithms of 100, in float32
    np.testing.assert_allclose(got, loss.detach().numpy(), rtol=tolerance)
    np.testing.assert_allclose(gradient, z.grad.numpy().transpose(1, 0, 2), atol=tolerance)


# --- the loss of models ---


def test_padding_says_how_many_labels():
    x, labels, _, _ = problem(4, classes=5, blank=4)
    padded = np.where(np.arange(3) < np.array([[1], [3], [0]]), labels, -1)
    want = functional.ctc_loss(x, labels, None, [1, 3, 0], blank=4)
    np.testing.assert_array_equal(CTC(blank=4, padding=-1, reduction="none")(padded, x), want)
    np.testing.assert_array_equal(
        CTC(blank=4, reduction="none")(np.where(padded < 0, 4, padded).astype("float32"), x), want
    )
    given_lengths = CTC(blank=4, reduction="none")(labels, x, input_lengths=[7, 6, 5], label_lengths=[1, 3, 0])
    np.testing.assert_array_equal(given_lengths, functional.ctc_loss(x, labels, [7, 6, 5], [1, 3, 0], blank=4))


def test_reductions_and_weights():
    x, labels, _, _ = problem(4)
    rows = losses.ctc(labels, x)
    np.testing.assert_allclose(CTC()(labels, x), rows.mean())
    np.testing.assert_allclose(CTC("sum")(labels, x, [1, 0, 2]), rows @ [1, 0, 2])
    np.testing.assert_allclose(CTC("mean_with_sample_weight")(labels, x, [1, 0, 2]), rows @ [1, 0, 2] / 3)
    with pytest.raises(ValueError, match="sample_weight: expected the shape of the losses"):
        CTC()(labels, x, np.ones((3, 7)))


@pytest.mark.parametrize("weights", [None, np.array([1.0, 0.0, 2.0])])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("how", ["logits", "probabilities", "softmax"])
def test_gradient_by_differences(how, masked, weights):
    x, labels, _, _ = problem(9, steps=8)
    x /= 3  # differences by probabilities near zero would be coarse
    labels[0, 1:] = 0
    mask = np.arange(8) < np.array([[8], [7], [8]]) if masked else None
    loss = CTC(from_logits=how == "logits")
    y = x if how == "logits" else softmax(x)
    true, left = loss.with_mask(loss.targets(labels, y.shape, y.dtype), mask)
    assert left is None
    if how == "softmax":
        _, gradient = loss.value_and_gradient(true, y, weights, x)
        want = by_differences(lambda: loss.value(true, softmax(x), weights, x), x)
    else:
        value, gradient = loss.value_and_gradient(true, y, weights)
        assert value == loss.value(true, y, weights)
        want = by_differences(lambda: loss.value(true, y, weights), y)
    np.testing.assert_allclose(gradient, want, rtol=1e-5, atol=1e-7)


# --- labels that are too many for their steps ---


def infeasible():
    """Return logits of five rows of four steps, and labels: rows 1 (too many) and 3 (too many blanks) have no path."""
    x = np.random.default_rng(0).standard_normal((5, 4, 4))
    return x, np.array([[1, 2, 0, 0, 0], [1, 2, 3, 1, 2], [1, 2, 3, 1, 0], [1, 1, 1, 0, 0], [1, 1, 0, 0, 0]])


@pytest.mark.parametrize("how", ["logits", "probabilities", "softmax"])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("weights", [None, np.array([1.0, 5.0, 2.0, 0.0, 0.5])])
def test_rows_without_a_path_are_as_if_they_were_not_there(how, reduction, weights):
    x, labels = infeasible()
    y, logits = (x, None) if how == "logits" else (softmax(x), x if how == "softmax" else None)
    left = [0, 2, 4]

    def loss():
        return CTC(reduction, from_logits=how == "logits")

    fewer = (labels[left], y[left], None if weights is None else weights[left], None if logits is None else x[left])
    want, slopes = loss().value_and_gradient(*fewer)
    ctc = loss()
    with pytest.warns(UserWarning, match=r"ctc: row 1 of the batch .* need 5 steps, .* and 4 .* here 2 of 5, are left"):
        value, gradient = ctc.value_and_gradient(labels, y, weights, logits)
    np.testing.assert_allclose(value, want, rtol=1e-14)
    np.testing.assert_allclose(gradient[left], slopes, rtol=1e-12, atol=1e-15)
    assert not gradient[[1, 3]].any()
    np.testing.assert_allclose(ctc.value(labels, y, weights, logits), want, rtol=1e-14)  # told of once
    if logits is None:
        np.testing.assert_allclose(ctc(labels, y, weights), loss()(labels[left], y[left], fewer[2]), rtol=1e-14)
    assert ctc.rows(labels, y) == 3


@pytest.mark.filterwarnings("ignore:ctc. the outputs look like probabilities")
def test_the_loss_of_a_row_without_a_path_is_infinite_or_zero():
    x, labels = infeasible()
    for from_logits in (True, False):
        y = x if from_logits else softmax(x)
        assert (CTC("none", from_logits=from_logits)(labels, y) == np.inf).tolist() == [False, True, False, True, False]
        loss = CTC(from_logits=from_logits, zero_infinity=True)
        value, gradient = loss.value_and_gradient(labels, y)
        rows = CTC("none", from_logits=from_logits)(labels, y)
        np.testing.assert_allclose(value, rows[[0, 2, 4]].sum() / 5, rtol=1e-14)  # they count, as in PyTorch
        assert not gradient[[1, 3]].any()
        assert gradient[[0, 2, 4]].any(axis=(1, 2)).all()


def test_lengths_and_masks_say_what_has_a_path():
    x, labels = infeasible()
    rows = CTC("none")(labels, x, input_lengths=[4, 4, 3, 4, 2])
    assert np.isfinite(rows).tolist() == [True, False, False, False, False]
    with pytest.warns(UserWarning, match="row 1 of the batch has"):
        assert CTC()(labels, x, input_lengths=[4, 4, 3, 4, 2]) == pytest.approx(rows[0])
    with pytest.warns(UserWarning, match=r"row 2 of the batch has 4 labels \(.*\), which need 4 steps, .* and 3 steps"):
        CTC()(labels, x, input_lengths=[4, 4, 3, 4, 4], label_lengths=[2, 1, 4, 1, 2])
    true, _ = CTC().with_mask(labels, np.arange(4) < np.array([[4], [4], [3], [4], [2]]))
    with pytest.warns(UserWarning, match="row 1 of the batch has"):
        assert CTC().value(true, x) == pytest.approx(rows[0])
    with pytest.warns(UserWarning, match=r"row 0 of the batch has 2 labels \(.*\), which need 3 steps, .* and 2 steps"):
        assert CTC()([[1, 1]], x[:1, :2]) == 0  # there is none left


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([[1, 0, 2]], r"y_true: expected padding \(0\) behind the labels only, got some among them in row 0"),
        ([[0, 0, 2]], "padding='post'"),
        ([[1, 2, 4]], r"y_true: expected labels from 0 to 3 other than the blank \(0\), got 4 at \(0, 2\)"),
        ([[-1, 2, 0]], "got -1 at"),
        ([[1.5, 0, 0]], r"y_true: expected whole numbers \(class labels\), got 1.5"),
        ([[1], [2]], r"y_true: expected shape \(batch=1, max_labels\), got \(2, 1\)"),
        ([1], r"y_true: expected shape \(batch=1, max_labels\), got \(1,\)"),
    ],
)
def test_bad_labels_are_named(labels, message):
    with pytest.raises(ValueError, match=message):
        CTC()(labels, np.zeros((1, 5, 4)))


def test_a_blank_that_is_not_the_padding_is_no_label():
    with pytest.raises(ValueError, match=r"other than the blank \(0\), got 0 at \(0, 1\)"):
        CTC(padding=-1)([[1, 0, -1]], np.zeros((1, 5, 4)))


def test_bad_outputs_are_named():
    labels = [[1, 2]]
    with pytest.raises(ValueError, match=r"y_pred: expected shape \(batch, steps, classes\), got \(1, 5\)"):
        CTC()(labels, np.zeros((1, 5)))
    with pytest.raises(ValueError, match="ctc: blank: expected a class from 0 to 3"):
        CTC(blank=4)(labels, np.zeros((1, 5, 4)))
    with pytest.raises(ValueError, match="y_pred: expected probabilities, got -1; say from_logits=True"):
        CTC(from_logits=False)(labels, np.full((1, 5, 4), -1.0))
    with pytest.raises(
        ValueError, match=r"y_pred: expected probabilities that add up to 1, got a sum of 4 at \(0, 0\)"
    ):
        CTC(from_logits=False)(labels, np.ones((1, 5, 4)))
    with pytest.raises(ValueError, match="CTC: blank: expected a class, from 0 on, got -1"):
        CTC(blank=-1)


def test_probabilities_for_logits_are_warned_of_once():
    loss, y = CTC(), softmax(np.random.default_rng(0).standard_normal((2, 5, 4)))
    with pytest.warns(UserWarning, match="ctc: the outputs look like probabilities, where logits are expected"):
        loss([[1], [2]], y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss([[1], [2]], y)


def test_masks_with_holes_are_refused():
    for mask in ([[True, False, True]], [[False, True, True]]):
        with pytest.raises(ValueError, match=r"ctc: mask: expected padding behind the steps only, got .* in row 0"):
            CTC().with_mask(np.array([[1]]), np.array(mask))


def test_described_and_made_again():
    loss = CTC(blank=3, padding=-1, zero_infinity=True)
    for again in (losses.get(losses.serialize(loss)), pickle.loads(pickle.dumps(loss))):
        assert (again.blank, again.padding, again.zero_infinity, again.from_logits) == (3, -1, True, True)
    assert isinstance(losses.resolve("ctc"), CTC)
    assert isinstance(losses.get("CTC"), CTC)


# --- training ---


def spoken(rows=64, steps=12):
    """Return noisy one-hot "sounds", each of 2 or 3 steps, padded with zeros; and the labels."""
    rng = np.random.default_rng(0)
    x, y = np.zeros((rows, steps, 3), "float32"), np.zeros((rows, 4), int)
    for b in range(rows):
        t = 0
        for s in range(rng.integers(1, 5)):
            y[b, s] = rng.integers(1, 4)
            length = rng.integers(2, 4)
            x[b, t : t + length, y[b, s] - 1] = 1 + 0.1 * rng.standard_normal(min(length, steps - t))
            t += length
            if t > steps - 3:
                break
    return x, y


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_training_lowers_the_loss(activation):
    lstmcore.utils.set_random_seed(1)
    x, y = spoken()
    model = lstmcore.Sequential(
        [Input((12, 3)), Masking(), LSTM(16, return_sequences=True), Dense(4, activation=activation)]
    )
    model.compile(Adam(0.02), CTC(from_logits=activation is None, zero_infinity=True))
    history = model.fit(x, y, epochs=25, batch_size=16, verbose=0, validation_data=(x, y))
    assert history.history["loss"][-1] < 0.3 * history.history["loss"][0]
    # What the loss is told are the lengths: those of the mask.
    y_pred, lengths = model.predict(x, verbose=0), (x != 0).any(-1).sum(1)
    want = CTC(from_logits=activation is None, zero_infinity=True)(y, y_pred, input_lengths=lengths)
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), want, rtol=1e-4)
    assert np.isfinite(model.train_on_batch(x[:8], y[:8], sample_weight=np.arange(8.0)))


def test_training_leaves_out_rows_without_a_path():
    x, y = spoken(6)
    y[2], y[5] = [1, 1, 1, 1], [2, 2, 0, 0]
    x[2], x[5] = 0, 0
    x[2, :5, 0], x[5, :1, 1] = 1, 1  # five steps for seven, one for three
    left = [0, 1, 3, 4]

    def train(rows, batch):
        lstmcore.utils.set_random_seed(1)
        model = lstmcore.Sequential([Input((12, 3)), Masking(), LSTM(4, return_sequences=True), Dense(4)])
        model.compile("sgd", CTC())
        history = model.fit(x[rows], y[rows], batch_size=batch, epochs=2, shuffle=False, verbose=0)
        return model, history.history["loss"], model.evaluate(x[rows], y[rows], batch_size=2, verbose=0)

    with pytest.warns(
        UserWarning, match=r"row 2 .* has 4 labels \(1, 1, 1, 1\), which need 7 steps, .* and 5 "
    ) as caught:
        with_them, losses_, value = train([0, 1, 2, 3, 4, 5], 3)  # batches of 2 and 2 that count; evaluated: 2, 1, 1
    assert len(caught) == 1
    without, wanted, wanted_value = train(left, 2)
    np.testing.assert_allclose(losses_, wanted, rtol=1e-5)
    np.testing.assert_allclose(value, wanted_value, rtol=1e-5)
    np.testing.assert_allclose(with_them.parameters.values, without.parameters.values, rtol=1e-4, atol=1e-6)


def test_a_hole_in_the_mask_stops_training():
    x, y = spoken(4)
    x[1, 1] = 0
    model = lstmcore.Sequential([Input((12, 3)), Masking(), LSTM(4, return_sequences=True), Dense(4)])
    model.compile("adam", CTC())
    with pytest.raises(ValueError, match="ctc: mask: expected padding behind the steps only"):
        model.fit(x, y, verbose=0)


def test_core_takes_its_scale_by_row():
    x, labels, steps, counts = problem(2, steps=9)
    _, gradient = functional.ctc_loss_and_gradient(x, labels, steps, counts)
    scale = np.array([0.5, 0.0, -2.0])
    _, scaled = _core.ctc(x, labels, steps, counts, 0, True, False, True, scale)
    np.testing.assert_allclose(scaled, gradient * scale[:, None, None], atol=1e-15)
