"""Conditional random fields: all paths enumerated, reference against kernel, what is impossible, what is refused."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_tools import by_differences

import lstmcore
from lstmcore import functional, reference


def problem(seed, batch=3, steps=4, tags=3, dtype="float64", forbidden=0.0):
    """Return emissions, labels, transitions, start, end and lengths; some of the scores are -inf."""
    rng = np.random.default_rng(seed)

    def scores(*shape):
        s = (2 * rng.standard_normal(shape)).astype(dtype)
        s[rng.random(shape) < forbidden] = -np.inf
        return s

    x = (3 * rng.standard_normal((batch, steps, tags))).astype(dtype)
    labels, lengths = rng.integers(0, tags, (batch, steps)), rng.integers(0, steps + 1, batch)
    return x, labels, scores(tags, tags), scores(tags), scores(tags), lengths


def paths_of(steps, tags):
    return list(itertools.product(range(tags), repeat=steps))


def score_of(path, x, transitions, start, end):
    """Return the score of a path, a term at a time."""
    score = start[path[0]] + end[path[-1]] + sum(x[t, k] for t, k in enumerate(path))
    return score + sum(transitions[i, j] for i, j in itertools.pairwise(path))


# --- the reference ---


@pytest.mark.parametrize("forbidden", [0.0, 0.3])
@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("tags", [1, 2, 3])
def test_reference_is_what_all_paths_say(tags, steps, forbidden):
    x, labels, a, start, end, _ = problem(tags + 10 * steps, 4, steps, tags, forbidden=forbidden)
    losses = reference.crf_loss(x, labels, a, start, end)
    marginals = reference.crf_marginals(x, a, start, end)
    best, scores = reference.crf_decode(x, a, start, end)
    for b in range(4):
        paths = paths_of(steps, tags)
        p = np.exp([score_of(path, x[b], a, start, end) for path in paths])
        own = p[paths.index(tuple(labels[b]))]
        np.testing.assert_allclose(losses[b], np.log(p.sum() / own) if own else np.inf, rtol=1e-12, atol=1e-14)
        if p.sum() == 0:
            assert np.isnan(marginals[b]).all()
            assert (best[b] == -1).all()
            assert scores[b] == -np.inf
            continue
        at = [
            [sum(q for q, path in zip(p, paths, strict=True) if path[t] == k) for k in range(tags)]
            for t in range(steps)
        ]
        np.testing.assert_allclose(marginals[b], np.array(at) / p.sum(), atol=1e-13)
        assert tuple(best[b]) == paths[int(np.argmax(p))]
        np.testing.assert_allclose(scores[b], np.log(p.max()), rtol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_reference_gradients_by_differences(seed):
    x, labels, a, start, end, lengths = problem(seed)
    for b in range(len(x)):
        row = x[b : b + 1], labels[b : b + 1], a, start, end, lengths[b : b + 1]
        _, gradients = reference.crf_loss_and_gradient(*row)
        for k, gradient in zip((0, 2, 3, 4), gradients, strict=True):
            want = by_differences(lambda row=row: reference.crf_loss(*row).sum(), row[k])
            np.testing.assert_allclose(gradient.reshape(want.shape), want, atol=1e-7)  # differences of losses of 10


# --- the kernel ---


@given(
    st.integers(0, 2**32),
    st.integers(0, 4),
    st.integers(0, 12),
    st.integers(1, 40),
    st.sampled_from(["float32", "float64"]),
    st.sampled_from([0.0, 0.1, 0.6]),
)
def test_kernel_is_the_reference(seed, batch, steps, tags, dtype, forbidden):
    x, labels, a, start, end, lengths = problem(seed, batch, steps, tags, dtype, forbidden)
    want, d_want = reference.crf_loss_and_gradient(x, labels, a, start, end, lengths)
    loss, gradients = functional.crf_loss_and_gradient(x, labels, a, start, end, lengths)
    # The sums are float64; results are rounded to float32, and what is observed is then taken away.
    tolerance = 1e-11 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(loss, want, rtol=tolerance, atol=tolerance)
    for got, expected in zip(gradients, d_want, strict=True):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, expected, atol=tolerance)
    np.testing.assert_array_equal(functional.crf_loss(x, labels, a, start, end, lengths), loss)
    marginals = functional.crf_marginals(x, a, start, end, lengths)
    np.testing.assert_allclose(marginals, reference.crf_marginals(x, a, start, end, lengths), atol=tolerance)
    paths, scores = functional.crf_decode(x, a, start, end, lengths)
    paths_want, scores_want = reference.crf_decode(x, a, start, end, lengths)
    np.testing.assert_array_equal(paths, paths_want)
    np.testing.assert_allclose(scores, scores_want, rtol=tolerance, atol=tolerance)
    assert paths.dtype == np.int64
    assert scores.dtype == dtype


def test_bits_do_not_depend_on_threads_or_on_the_other_rows():
    x, labels, a, start, end, lengths = problem(0, 13, 60, 17, "float32")
    found = []
    for threads in (1, 2, 3):
        with lstmcore.threads(threads):
            loss, gradients = functional.crf_loss_and_gradient(x, labels, a, start, end, lengths)
            found.append([loss, *gradients, *functional.crf_decode(x, a, start, end, lengths)])
    alone = [
        functional.crf_loss_and_gradient(x[b : b + 1], labels[b : b + 1], a, start, end, lengths[b : b + 1])
        for b in range(13)
    ]
    for one, two, three in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, three)
    np.testing.assert_array_equal(found[0][0], np.concatenate([loss for loss, _ in alone]))
    for k in range(4):
        np.testing.assert_array_equal(found[0][1 + k], np.concatenate([d[k] for _, d in alone]))


def test_any_strides_and_the_arrays_of_lists():
    x, labels, a, start, end, lengths = problem(3, 4, 6, 5)
    want = functional.crf_loss(x, labels, a, start, end, lengths)
    strided = np.zeros((6, 4, 10))[..., ::2].transpose(1, 0, 2)
    strided[...] = x
    got = functional.crf_loss(strided, labels[::1].astype("i4"), np.asfortranarray(a), start, end, lengths.tolist())
    np.testing.assert_array_equal(got, want)


def test_reductions():
    x, labels, a, start, end, lengths = problem(1)
    losses, rows = functional.crf_loss_and_gradient(x, labels, a, start, end, lengths)
    for reduction, factor in (("sum", 1.0), ("mean", 1 / 3)):
        loss, gradients = functional.crf_loss_and_gradient(x, labels, a, start, end, lengths, reduction=reduction)
        np.testing.assert_allclose(loss, losses.sum() * factor)
        assert functional.crf_loss(x, labels, a, start, end, lengths, reduction=reduction) == loss
        np.testing.assert_allclose(gradients.emissions, rows.emissions * factor)
        for got, each in zip(gradients[1:], rows[1:], strict=True):
            np.testing.assert_allclose(got, each.sum(0) * factor, atol=1e-15)


def test_start_and_end_are_zero_by_default():
    x, labels, a, *_ = problem(2)
    zeros = np.zeros(3)
    np.testing.assert_array_equal(functional.crf_loss(x, labels, a), functional.crf_loss(x, labels, a, zeros, zeros))


# --- far apart, impossible, not a number ---


@pytest.mark.parametrize("size", [1e3, 1e5])
def test_scores_far_apart_lose_nothing(size):
    # Tag 0 is ahead by far more than the exponents of a double, and leads nowhere.
    a = np.array([[0.0, -np.inf], [0.0, 0.0]])
    x = np.array([[[size, 0.0], [0.0, 0.0], [-2 * size, 0.0]]])
    # Of the paths 000, 100, 110, 111 only the last is not below e^-size.
    np.testing.assert_allclose(functional.crf_loss(x, [[1, 1, 1]], a), [0.0], atol=1e-12)
    np.testing.assert_allclose(functional.crf_loss(x, [[1, 1, 0]], a), [2 * size], rtol=1e-12)
    np.testing.assert_array_equal(functional.crf_marginals(x, a).round(12)[0], [[0, 1]] * 3)
    np.testing.assert_array_equal(functional.crf_decode(x, a)[0], [[1, 1, 1]])


@given(
    st.integers(0, 2**32), st.sampled_from([1, 30, 300, 1e4]), st.sampled_from([1, 30, 300, 1e4]), st.integers(1, 19)
)
def test_scores_of_any_size_are_the_reference(seed, size, size_of_transitions, tags):
    # Sums are of plain doubles, of numbers with exponents, or some of each.
    rng = np.random.default_rng(seed)
    x, a = size * rng.standard_normal((2, 9, tags)), size_of_transitions * rng.standard_normal((tags, tags))
    a[rng.random((tags, tags)) < 0.2] = rng.choice([-np.inf, -1e4, 0])
    labels = rng.integers(0, tags, (2, 9))
    want, d_want = reference.crf_loss_and_gradient(x, labels, a)
    loss, gradients = functional.crf_loss_and_gradient(x, labels, a)
    # Sums of nine scores of 1e5, in either way rounded to 1e-11.
    np.testing.assert_allclose(loss, want, rtol=1e-11, atol=1e-10 * max(1, size / 1e3, size_of_transitions / 1e3))
    for got, expected in zip(gradients, d_want, strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-9)


def test_far_apart_in_a_later_vector():
    # Of forty tags, all but the last lead nowhere, and are ahead by e^1000.
    tags = 40
    a = np.full((tags, tags), -np.inf)
    a[:-1, :-1] = a[-1, -1] = 0
    x = np.zeros((1, 3, tags))
    x[0, 0, :-1], x[0, 2, :-1] = 1000, -np.inf
    np.testing.assert_allclose(functional.crf_loss(x, [[tags - 1] * 3], a), [0], atol=1e-12)


def test_pairs_that_are_best_and_forbidden():
    # What is best by itself at either step would be e^1600 times as likely as all that is possible.
    a, x = np.array([[0.0, -np.inf], [0.0, 0.0]]), np.array([[[800.0, 0.0], [0.0, 800.0]]])
    want, d_want = reference.crf_loss_and_gradient(x, [[1, 1]], a)
    loss, gradients = functional.crf_loss_and_gradient(x, [[1, 1]], a)
    np.testing.assert_allclose(loss, want, atol=1e-12)
    a[0, 1] = -1500
    want, d_want = reference.crf_loss_and_gradient(x, [[0, 1]], a)
    loss, gradients = functional.crf_loss_and_gradient(x, [[0, 1]], a)
    np.testing.assert_allclose(loss, want, atol=1e-9)
    np.testing.assert_allclose(gradients.transitions, d_want.transitions, atol=1e-9)


def test_long_sequences_lose_nothing():
    x, labels, a, start, end, _ = problem(0, 1, 2000, 5)
    want, d_want = reference.crf_loss_and_gradient(x, labels, a, start, end)
    loss, gradients = functional.crf_loss_and_gradient(x, labels, a, start, end)
    np.testing.assert_allclose(loss, want, rtol=1e-12)
    np.testing.assert_allclose(gradients.emissions, d_want.emissions, atol=1e-9)  # logs of 1e4 to 1e-12
    np.testing.assert_allclose(gradients.transitions, d_want.transitions, atol=1e-6)  # of 2000 such


def test_where_no_path_is_possible():
    a = np.full((2, 2), -np.inf)
    x, labels = np.zeros((2, 2, 2)), [[0, 1], [0, 1]]
    loss, gradients = functional.crf_loss_and_gradient(x, labels, a, lengths=[2, 1])
    np.testing.assert_allclose(loss, [np.inf, np.log(2)])
    assert all(np.isnan(part[0]).all() and np.isfinite(part[1]).all() for part in gradients)
    paths, scores = functional.crf_decode(x, a, lengths=[2, 1])
    np.testing.assert_array_equal(paths, [[-1, -1], [0, 0]])
    np.testing.assert_array_equal(scores, [-np.inf, 0])
    assert np.isnan(functional.crf_marginals(x, a)[0]).all()


def test_labels_that_are_impossible_where_other_paths_are_not():
    a = np.array([[0.0, -np.inf], [0.0, 0.0]])
    loss, gradients = functional.crf_loss_and_gradient(np.zeros((1, 2, 2)), [[0, 1]], a)
    assert loss == np.inf
    assert all(np.isnan(part).all() for part in gradients)


@pytest.mark.parametrize("where", ["emissions", "transitions", "start", "end"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_one_score_that_is_no_number_makes_the_loss_nan(where, value):
    x, labels, a, start, end, _ = problem(4, 2, 3, 9)
    at = {"emissions": (x, (0, 1, 8)), "transitions": (a, (8, 8)), "start": (start, 8), "end": (end, 8)}[where]
    at[0][at[1]] = value
    loss, gradients = functional.crf_loss_and_gradient(x, np.zeros_like(labels), a, start, end)
    assert np.isnan(loss[0])
    assert np.isnan(gradients.emissions[0]).all()
    if where == "emissions":
        assert np.isfinite(loss[1])
        assert np.isfinite(gradients.emissions[1]).all()


def test_nan_is_never_the_best():
    x = np.array([[[np.nan, 0.0], [np.nan, 0.0], [0.0, np.nan]]])
    np.testing.assert_array_equal(functional.crf_decode(x, np.zeros((2, 2)))[0], [[1, 1, 0]])


def test_equal_scores_take_the_lower_tag():
    paths, _ = functional.crf_decode(np.zeros((1, 4, 11)), np.zeros((11, 11)))
    np.testing.assert_array_equal(paths, [[0, 0, 0, 0]])


def test_what_does_not_count_may_be_anything():
    x, labels, a, start, end, _ = problem(5, 2, 5, 4)
    lengths = [3, 0]
    want, d_want = functional.crf_loss_and_gradient(x, labels, a, start, end, lengths)
    best = functional.crf_decode(x, a, start, end, lengths)
    x[0, 3:], x[1], labels[0, 3:], labels[1] = np.nan, np.inf, -100, 99
    loss, gradients = functional.crf_loss_and_gradient(x, labels, a, start, end, lengths)
    np.testing.assert_array_equal(loss, want)
    assert loss[1] == 0
    for got, expected in zip(gradients, d_want, strict=True):
        np.testing.assert_array_equal(got, expected)
        assert (got[1] == 0).all()
    assert (gradients.emissions[0, 3:] == 0).all()
    paths, scores = functional.crf_decode(x, a, start, end, lengths)
    np.testing.assert_array_equal(paths, best[0])
    assert (paths[0, 3:] == 0).all()
    assert (paths[1] == 0).all()
    assert scores[1] == 0


@pytest.mark.parametrize("shape", [(0, 4, 3), (2, 0, 3), (0, 0, 1)])
def test_nothing_in_nothing_out(shape):
    loss, gradients = functional.crf_loss_and_gradient(
        np.zeros(shape), np.zeros(shape[:2], int), np.zeros(2 * shape[2:])
    )
    np.testing.assert_array_equal(loss, np.zeros(shape[0]))
    assert gradients.emissions.shape == shape
    assert gradients.transitions.shape == (shape[0], *2 * shape[2:])
    assert functional.crf_decode(np.zeros(shape), np.zeros(2 * shape[2:]))[0].shape == shape[:2]
    assert (
        functional.crf_loss(np.zeros(shape), np.zeros(shape[:2], int), np.zeros(2 * shape[2:]), reduction="mean") == 0
    )


# --- what is refused ---


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"emissions": np.zeros((2, 3))}, r"emissions: expected shape \(batch, steps, tags\), got \(2, 3\)"),
        ({"emissions": np.zeros((2, 3, 0))}, "emissions: expected at least one tag"),
        ({"emissions": np.zeros((2, 3, 4), int)}, "emissions: expected dtype float32 or float64, got int64"),
        ({"labels": np.zeros((2, 4), int)}, r"labels: expected shape \(batch=2, steps=3\), got \(2, 4\)"),
        ({"labels": np.zeros((2, 3))}, "labels: expected integers, got float64"),
        ({"labels": [[0, 1, 4], [0, 0, 0]]}, r"labels: expected numbers from 0 to 3 \(tags\), got 4 at \(0, 2\)"),
        ({"labels": [[0, 1, 3], [0, -1, 0]]}, r"labels: expected numbers from 0 to 3 \(tags\), got -1 at \(1, 1\)"),
        ({"transitions": np.zeros((4, 3))}, r"transitions: expected shape \(tags=4, tags=4\), got \(4, 3\)"),
        ({"transitions": np.zeros((4, 4), "f4")}, "transitions: expected dtype float64, got float32"),
        ({"start": np.zeros(3)}, r"start: expected shape \(tags=4,\), got \(3,\)"),
        ({"end": np.zeros((1, 4))}, r"end: expected shape \(tags=4,\), got \(1, 4\)"),
        ({"lengths": [3, 4]}, r"lengths: expected numbers from 0 to 3 \(steps\), got 4 at 1"),
        ({"lengths": [-1, 3]}, r"lengths: expected numbers from 0 to 3 \(steps\), got -1 at 0"),
        ({"reduction": "average"}, "reduction: expected one of 'none', 'mean', 'sum', got 'average'"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    arguments = {"emissions": np.zeros((2, 3, 4)), "labels": np.zeros((2, 3), int), "transitions": np.zeros((4, 4))}
    with pytest.raises((ValueError, TypeError), match=message):
        functional.crf_loss(**arguments | change)
    if change.keys() & {"labels", "reduction"}:
        return
    del arguments["labels"]
    for function in (functional.crf_decode, functional.crf_marginals):
        with pytest.raises((ValueError, TypeError), match=message):
            function(**arguments | change)
