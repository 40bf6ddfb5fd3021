"""Estimators and transformers of sequences keep scikit-learn's promises, and ours."""

import functools
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstmcore
from lstmcore import layers, optimizers
from lstmcore._random import generator

sklearn = pytest.importorskip("sklearn", "1.6")
from joblib import Parallel, delayed  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.decomposition import PCA  # noqa: E402
from sklearn.metrics import log_loss  # noqa: E402
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, RobustScaler, StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

from lstmcore.interop.sklearn.padding import Padding  # noqa: E402
from lstmcore.sklearn import (  # noqa: E402
    GRUClassifier,
    GRURegressor,
    LSTMClassifier,
    LSTMRegressor,
    SequenceClassifier,
    SequenceRegressor,
    SequenceScaler,
    WindowTransformer,
)

rng = np.random.default_rng(0)


def classes(shape, outputs, units=8):
    return lstmcore.Sequential([layers.MinGRU(units), layers.Dense(outputs, "softmax")])


def numbers(shape, outputs):
    return lstmcore.Sequential([layers.GRU(8), layers.Dense(outputs)])


class Named:
    """A function without its address, so that tests are called the same in every process."""

    def __init__(self, function):
        self.function = function

    def __call__(self, *args):
        return self.function(*args)

    def __repr__(self):
        return self.function.__name__


def traces(rows=24, shortest=3, longest=12, seed=0):
    """Return lists of sequences of two features, and whether the first of these rises or falls."""
    chance = np.random.default_rng(seed)
    lengths = chance.integers(shortest, longest + 1, rows)
    lengths[:2] = shortest, longest
    y = np.array(["up", "down"])[np.arange(rows) % 2]
    slopes = np.where(y == "up", 1, -1)
    first = [
        slope * np.linspace(0, 1, n) + 0.1 * chance.standard_normal(n) for slope, n in zip(slopes, lengths, strict=True)
    ]
    return [np.stack([f, chance.standard_normal(len(f))], axis=1) for f in first], y


# --- what scikit-learn checks of tables ---

BATCHES = {
    "check_sample_weight_equivalence_on_dense_data": "the steps are taken on batches drawn at random: rows that are "
    "left out or repeated make other batches than weights of 0 or 2 do"
}
EARLIER = "an answer depends on the rows before, which a subset has not, and another order has elsewhere"
TIME = {"check_methods_sample_order_invariance": EARLIER, "check_methods_subset_invariance": EARLIER}


def expected_failures(estimator):
    learns = hasattr(estimator, "predict")
    return (BATCHES if learns else {}) | (TIME if getattr(estimator, "window", None) else {})


@parametrize_with_checks(
    [
        LSTMClassifier(),
        GRUClassifier(window=3),
        LSTMRegressor(window=3),
        GRURegressor(),
        SequenceClassifier(build=Named(classes)),
        SequenceRegressor(build=Named(numbers), learning_rate_init=0.01),
        SequenceScaler(),
        SequenceScaler("min-max"),
        WindowTransformer(),
    ],
    expected_failed_checks=expected_failures,
)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


# --- lengths ---


@given(st.lists(st.integers(1, 9), min_size=1, max_size=7), st.sampled_from([LSTMClassifier, GRUClassifier]))
def test_the_answer_to_a_row_does_not_depend_on_padding(lengths, kind):
    model = fitted(kind)
    sequences = [rng.standard_normal((n, 2)) for n in lengths]
    together = model.predict_proba(sequences)
    for sequence, answer in zip(sequences, together, strict=True):
        np.testing.assert_array_equal(model.predict_proba([sequence])[0], answer)
        # The network by itself, on what has no padding and meets no mask. float32, a dozen sums.
        alone = model.model_.layers[-1](sequence[None].astype("float32"))[0]
        np.testing.assert_allclose(alone, answer, rtol=1e-5, atol=1e-6)


@functools.cache
def fitted(kind):
    return kind(units=(6, 5), bidirectional=True, max_iter=3, random_state=0).fit(*traces())


def test_training_does_not_depend_on_padding():
    x, y = traces(8)
    weights = np.ones(9)
    weights[-1] = 0  # a row that nothing is learnt from, but the longest of all
    answers = []
    for steps in (2, 60):
        more = [*x, np.ones((steps, 2))]
        model = GRUClassifier(optimizer=optimizers.SGD(0.1), max_iter=5, random_state=0)
        answers.append(model.fit(more, [*y, "up"], sample_weight=weights).predict_proba(x))
    np.testing.assert_allclose(*answers, rtol=1e-5)  # float32 sums over more steps, of zeros


@pytest.mark.parametrize("lengths", [[4, 4], [4, 2]])
def test_padding_is_what_masking_makes_of_it(lengths):
    x = np.full((2, 4, 3), np.inf, "float32")
    for row, n in zip(x, lengths, strict=True):
        row[:n] = 1
    ours, twin = Padding(np.inf), layers.Masking(np.inf)
    np.testing.assert_array_equal(ours.forward(x, training=True), twin.forward(x, training=True))
    np.testing.assert_array_equal(ours.backward(np.ones_like(x)), twin.backward(np.ones_like(x)))
    if lengths[1] == 4:
        assert ours.compute_mask(x) is None
    else:
        np.testing.assert_array_equal(ours.compute_mask(x), twin.compute_mask(x))


def test_a_list_of_equal_lengths_is_an_array():
    x = rng.standard_normal((10, 4, 3))
    y = x[:, -1, 0]
    one, other = LSTMRegressor(max_iter=2, random_state=0), LSTMRegressor(max_iter=2, random_state=0)
    as_objects = np.empty(10, object)
    as_objects[:] = list(x)
    np.testing.assert_array_equal(one.fit(x, y).predict(x), other.fit(list(x), y).predict(as_objects))
    np.testing.assert_array_equal(one.predict(x.tolist()), other.predict(tuple(x)))
    assert one.n_features_in_ == other.n_features_in_ == 3


def test_a_window_is_a_row_behind_those_before_it():
    table = rng.standard_normal((12, 2))
    y = table[:, 0] > 0
    by_window = LSTMClassifier(window=4, max_iter=3, random_state=0).fit(table, y)
    by_hand = [table[max(0, k - 3) : k + 1] for k in range(12)]
    same = LSTMClassifier(max_iter=3, random_state=0).fit(by_hand, y)
    np.testing.assert_array_equal(by_window.predict_proba(table), same.predict_proba(by_hand))


def test_a_row_of_a_table_is_a_sequence_of_one_feature():
    table = rng.standard_normal((9, 6))
    one = GRURegressor(max_iter=2, random_state=0).fit(table, table[:, 0])
    same = GRURegressor(max_iter=2, random_state=0).fit(table[:, :, None], table[:, 0])
    np.testing.assert_array_equal(one.predict(table), same.predict(table[:, :, None]))


# --- answers ---


def test_labels_are_those_given_and_probabilities_stand_in_their_order():
    x, y = traces(32)
    model = LSTMClassifier(units=8, learning_rate_init=0.02, max_iter=60, random_state=0).fit(x, y)
    assert model.classes_.tolist() == ["down", "up"]
    np.testing.assert_array_equal(model.predict(x), np.where(model.predict_proba(x)[:, 1] > 0.5, "up", "down"))
    new, answers = traces(32, seed=1)
    assert model.score(new, answers) == np.mean(model.predict(new) == answers) > 0.9
    assert model.loss_ == pytest.approx(model.loss_curve_[-1])
    assert model.n_iter_ == len(model.loss_curve_)


def test_numbers_come_in_the_shape_of_those_given():
    x, _ = traces()
    y = np.array([[s[0, 0], s[-1, 1]] for s in x])
    assert LSTMRegressor(max_iter=1).fit(x, y).predict(x).shape == (24, 2)
    assert LSTMRegressor(max_iter=1).fit(x, y[:, 0]).predict(x).shape == (24,)


def probabilities(x, y, sample_weight=None, **options):
    model = GRUClassifier(max_iter=3, random_state=0, **options)
    return model.fit(x, y, sample_weight=sample_weight).predict_proba(x)


def test_weights_of_classes_are_weights_of_their_rows():
    x, y = traces(20)
    y[:9] = "up"
    ups = (y == "up").sum()
    by_hand = np.where(y == "up", 20 / (2 * ups), 20 / (2 * (20 - ups)))
    np.testing.assert_array_equal(probabilities(x, y, class_weight="balanced"), probabilities(x, y, by_hand))
    given_by_name = probabilities(x, y, class_weight={"up": 3.0, "down": 0.5})
    np.testing.assert_array_equal(given_by_name, probabilities(x, y, np.where(y == "up", 3.0, 0.5)))
    weighted = GRUClassifier(class_weight={"up": 3.0, "down": 0.5}, random_state=0)
    by_rows = GRUClassifier(random_state=0)
    for model in (weighted, by_rows):  # batches of one class, too
        weights = 3.0 if model is by_rows else 1.0
        model.partial_fit(x[:9], y[:9], classes=["down", "up"], sample_weight=np.full(9, weights))
    np.testing.assert_array_equal(weighted.predict_proba(x), by_rows.predict_proba(x))
    both = probabilities(x, y, by_hand, class_weight={"up": 3.0, "down": 0.5})
    np.testing.assert_array_equal(both, probabilities(x, y, by_hand * np.where(y == "up", 3.0, 0.5)))


# --- stopping ---


def test_what_is_kept_is_best_for_the_rows_held_out():
    table = np.random.default_rng(0).standard_normal((200, 2))
    y = np.random.default_rng(1).random(200) < 0.5  # nothing to be learnt but by heart
    model = GRUClassifier(window=3, early_stopping=True, learning_rate_init=0.02, n_iter_no_change=4, random_state=0)
    model.fit(table, y)
    losses = model.validation_loss_curve_
    assert len(losses) == model.n_iter_ == np.argmin(losses) + 1 + 4 < model.max_iter
    kept = log_loss(y[-20:], model.predict_proba(table)[-20:].astype(float))  # the last tenth
    assert kept == pytest.approx(min(losses), rel=1e-5)


def test_rows_held_out_are_drawn_in_the_shares_of_the_classes(monkeypatch):
    x, y = traces(40)
    y[:] = np.where(np.arange(40) % 4, "often", "seldom")
    seen = {}
    fit = lstmcore.Sequential.fit
    monkeypatch.setattr(lstmcore.Sequential, "fit", lambda self, **data: seen.update(data) or fit(self, **data))
    LSTMClassifier(early_stopping=True, validation_fraction=0.2, max_iter=1, random_state=0).fit(x, y)
    assert np.bincount(seen["y"]).tolist() == [24, 8]
    assert np.bincount(seen["validation_data"][1]).tolist() == [6, 2]


def test_training_ends_when_the_loss_does():
    x, y = traces()
    model = LSTMClassifier(tol=1e9, n_iter_no_change=3, random_state=0).fit(x, y)
    assert model.n_iter_ == 4  # one to begin with, and three that are not better by so much


# --- random numbers ---

NOISY = {"dropout": 0.2, "recurrent_dropout": 0.2, "early_stopping": True, "max_iter": 4}


def noisy(seed, x, y):
    return LSTMClassifier(**NOISY, random_state=seed).fit(x, y).predict_proba(x)


def test_the_same_random_state_gives_the_same_bits_and_leaves_others_alone():
    x, y = traces()
    lstmcore.utils.set_random_seed(5)
    first = noisy(3, x, y)
    drawn = generator().random()
    lstmcore.utils.set_random_seed(6)
    np.testing.assert_array_equal(noisy(3, x, y), first)
    assert (noisy(4, x, y) != first).any()
    lstmcore.utils.set_random_seed(5)
    assert generator().random() == drawn  # fit has drawn nothing
    for answer in Parallel(n_jobs=2, backend="threading")(delayed(noisy)(3, x, y) for _ in range(6)):
        np.testing.assert_array_equal(answer, first)


def test_a_block_that_draws_by_itself_ends():
    lstmcore.utils.set_random_seed(1)
    first, second = generator().random(2)
    lstmcore.utils.set_random_seed(1)
    assert generator().random() == first
    with lstmcore._random.drawing_from(1):
        assert generator().random() == first
        with pytest.raises(RuntimeError, match="out"), lstmcore._random.drawing_from(1):
            assert generator().random() == first
            raise RuntimeError("out")
        assert generator().random() == second
    assert generator().random() == second


# --- going on ---


def test_warm_start_goes_on_bit_for_bit():
    x, y = traces()
    twice = GRUClassifier(max_iter=3, warm_start=True, dropout=0.1, random_state=0).fit(x, y)
    whole = GRUClassifier(max_iter=6, dropout=0.1, random_state=0).fit(x, y)
    np.testing.assert_array_equal(twice.fit(x, y).predict_proba(x), whole.predict_proba(x))
    assert twice.n_iter_ == 6
    assert twice.loss_curve_ == whole.loss_curve_
    cold = GRUClassifier(max_iter=3, random_state=0).fit(x, y)
    assert cold.fit(x, y).n_iter_ == 3


@pytest.mark.parametrize("between", [lambda model: model, lambda model: pickle.loads(pickle.dumps(model))])
def test_partial_fit_passes_once_and_goes_on_after_a_pickle(between):
    x, y = traces()
    model = LSTMClassifier(dropout=0.1, random_state=0).partial_fit(x[:8], ["up"] * 8, classes=["down", "up"])
    model = between(model).partial_fit(x, y)
    assert model.n_iter_ == 2
    np.testing.assert_array_equal(model.predict_proba(x), passed_twice())
    numbers_of = GRURegressor(random_state=0).partial_fit(x, np.ones(24)).partial_fit(x, np.ones(24))
    whole = GRURegressor(max_iter=2, random_state=0).fit(x, np.ones(24))
    np.testing.assert_array_equal(numbers_of.predict(x), whole.predict(x))


@functools.cache
def passed_twice():
    x, y = traces()
    model = LSTMClassifier(dropout=0.1, random_state=0, max_iter=1, warm_start=True)
    model.partial_fit(x[:8], ["up"] * 8, classes=["down", "up"])
    return model.fit(x, [*y[:-1], "down"]).predict_proba(x)


def test_pickles_and_clones():
    x, y = traces()
    model = SequenceClassifier(build=functools.partial(classes, units=5), max_iter=2, random_state=0).fit(x, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(x), model.predict_proba(x))
    copy = clone(model)
    assert not hasattr(copy, "model_")
    assert {**copy.get_params(), "build": 0} == {**model.get_params(), "build": 0}
    np.testing.assert_array_equal(copy.fit(x, y).predict_proba(x), model.predict_proba(x))
    assert model.set_params(batch_size=4).batch_size == 4
    rate = optimizers.Adam(0.5)
    again = GRUClassifier(optimizer=rate, max_iter=1).fit(x, y)
    assert again.model_.optimizer is not rate  # which a clone would otherwise share


# --- with the tools of scikit-learn ---


def test_pipelines_in_a_grid_search_by_two_processes():
    x, y = traces(30)
    pipeline = make_pipeline(SequenceScaler(), LSTMClassifier(max_iter=40, learning_rate_init=0.02, random_state=0))
    search = GridSearchCV(
        pipeline, {"lstmclassifier__units": [2, 8], "sequencescaler__scaler": ["min-max"]}, cv=3, n_jobs=2
    )
    search.fit(x, y)
    assert search.best_score_ > 0.8
    one = GridSearchCV(pipeline, search.param_grid, cv=3).fit(x, y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], one.cv_results_["mean_test_score"])
    builds = {"build": [functools.partial(classes, units=n) for n in (3, 4)]}
    assert GridSearchCV(SequenceClassifier(build=classes, max_iter=2), builds, cv=2, n_jobs=2).fit(x, y).best_params_


def test_cross_validation_of_arrays_and_of_a_series():
    x = np.random.default_rng(0).standard_normal((60, 5, 1))
    scores = cross_val_score(GRURegressor(learning_rate_init=0.02, random_state=0), x, x[:, -1, 0], cv=3)
    assert scores.min() > 0.8
    series = np.sin(np.arange(160) / 4)[:, None]
    model = make_pipeline(WindowTransformer(8), LSTMRegressor(learning_rate_init=0.02, random_state=0))
    scores = cross_val_score(model, series[:-1], series[1:, 0], cv=TimeSeriesSplit(2))
    assert scores.min() > 0.8


# --- models of one's own ---


def test_a_compiled_model_keeps_its_optimizer_and_loss():
    def build(shape, outputs):
        model = numbers(shape, outputs)
        model.compile(optimizers.SGD(0.25), "mae")
        return model

    x, _ = traces()
    y = np.full(24, 2.0)
    model = SequenceRegressor(build=build, max_iter=1, batch_size=24, random_state=0).fit(x, y)
    assert model.model_.optimizer.learning_rate == 0.25
    assert model.loss_ == pytest.approx(2, abs=0.7)  # of answers near 0; their squares are near 4


def test_a_graph_of_layers_gets_the_mask_and_can_be_pickled():
    def build(shape, outputs):
        steps = layers.Input(shape)
        both = layers.Concatenate()([layers.GRU(5)(steps), layers.GlobalAveragePooling1D()(steps)])
        return lstmcore.Model(steps, layers.Dense(outputs, "softmax")(both))

    x, y = traces()
    model = SequenceClassifier(build=build, max_iter=2, random_state=0).fit(x, y)
    np.testing.assert_array_equal(model.predict_proba(x)[3], model.predict_proba(x[3:4])[0])
    copy = pickle.loads(pickle.dumps(model.set_params(build=None)))
    np.testing.assert_array_equal(copy.predict_proba(x), model.predict_proba(x))


@pytest.mark.parametrize("lengths", [[4, 4, 4], [4, 3, 4]])
def test_build_is_told_how_long_sequences_are_if_they_are_all_the_same(lengths):
    told = []

    def build(shape, outputs):
        told.append((shape, outputs))
        return classes(shape, outputs)

    SequenceClassifier(build=build, max_iter=1).fit([np.ones((n, 2)) for n in lengths], ["a", "b", "c"])
    assert told == [((4 if lengths[1] == 4 else None, 2), 3)]


# --- transformers ---


@pytest.mark.parametrize(
    ("scaler", "twin"),
    [("standard", StandardScaler()), ("min-max", MinMaxScaler()), (RobustScaler(), RobustScaler())],
)
def test_features_are_scaled_over_all_steps(scaler, twin):
    x, _ = traces()
    steps = np.concatenate(x)
    made = SequenceScaler(scaler).fit(x)
    scaled = made.transform(x)
    assert [s.shape for s in scaled] == [s.shape for s in x]
    np.testing.assert_allclose(np.concatenate(scaled), twin.fit_transform(steps), rtol=1e-12)
    np.testing.assert_allclose(np.concatenate(made.inverse_transform(scaled)), steps, rtol=1e-12, atol=1e-15)
    array = np.stack([s[:3] for s in x])
    np.testing.assert_array_equal(made.transform(array), np.stack([s[:3] for s in scaled]))


def test_scales_are_learnt_piece_by_piece():
    x, _ = traces()
    made = SequenceScaler().partial_fit(x[:5]).partial_fit(x[5:])
    np.testing.assert_allclose(made.scaler_.mean_, np.concatenate(x).mean(axis=0), rtol=1e-12)


@given(st.integers(1, 12), st.integers(1, 6), st.integers(1, 3))
def test_windows_end_with_their_rows(rows, window, columns):
    table = rng.standard_normal((rows, columns))
    before = [table[max(0, k - window + 1) : k + 1] for k in range(rows)]
    short = WindowTransformer(window, "short").fit_transform(table)
    for one, other in zip(short, before, strict=True):
        np.testing.assert_array_equal(one, other)
    repeated = [np.concatenate([table[:1]] * (window - len(b)) + [b]) for b in before]
    np.testing.assert_array_equal(WindowTransformer(window).fit_transform(table), repeated)
    if rows >= window:
        whole = WindowTransformer(window, "drop").fit(table)
        np.testing.assert_array_equal(whole.transform(table), [b for b in before if len(b) == window])
        np.testing.assert_array_equal(whole.transform(table)[:, -1], whole.align(table))


# --- what does not fit ---

GOOD = rng.standard_normal((6, 4, 2))
LABELS = ["a", "b"] * 3


@pytest.mark.parametrize(
    ("options", "X", "y", "text"),
    [
        ({}, [np.ones((3, 2)), np.ones((3, 4))], ["a", "b"], r"X: expected sequences of 2 features .* got 4 in X\[1\]"),
        ({}, [np.ones((3, 2)), np.ones((0, 2))], ["a", "b"], r"at least one step, got shape \(0, 2\) at X\[1\]"),
        ({}, [[[1, 2], [3, 4]], [[1, 2], [3]]], ["a", "b"], r"got steps unlike each other at X\[1\]"),
        ({}, [np.ones((3, 2)), "text"], ["a", "b"], r"expected arrays of shape \(steps, features\)"),
        ({}, [np.ones((3, 2)), np.full((3, 2), np.inf)], ["a", "b"], r"X\[1\] contains infinity"),
        ({}, [np.ones((3, 2)), np.full((3, 2), 1e300)], ["a", "b"], "too large for dtype"),
        ({}, np.ones((2, 0, 3)), ["a", "b"], r"at least one step and one feature, got shape \(2, 0, 3\)"),
        ({}, np.full((2, 3, 1), np.nan), ["a", "b"], "X contains NaN"),
        ({}, np.ones((2, 3, 1, 1)), ["a", "b"], "dim 4"),
        ({}, None, LABELS, "X: expected a 3-D array, .* got NoneType"),
        ({}, "text", LABELS, "X: expected a 3-D array, .* got str"),
        ({}, {"x": GOOD}, LABELS, "X: expected a 3-D array, .* got dict"),
        ({}, iter(GOOD), LABELS, "X: expected a 3-D array, .* got "),
        ({}, [], LABELS, "X: expected at least one sequence"),
        ({}, GOOD, None, "requires y to be passed"),
        ({"early_stopping": "val_loss"}, GOOD, LABELS, "early_stopping: expected"),
        ({}, GOOD, LABELS[:-1], "inconsistent numbers of samples"),
        ({"window": 3}, GOOD, LABELS, "window: expected None for sequences, got 3"),
        ({"window": 0}, GOOD[:, 0], LABELS, "window: expected a positive integer, got 0"),
        ({"max_iter": 0}, GOOD, LABELS, "max_iter: expected a positive integer, got 0"),
        ({"tol": -1}, GOOD, LABELS, "tol: expected"),
        ({"early_stopping": True, "validation_fraction": 1}, GOOD, LABELS, "validation_fraction: expected"),
        ({"learning_rate_init": 0}, GOOD, LABELS, "learning_rate_init: expected"),
        ({"units": (3, 0)}, GOOD, LABELS, "units: expected"),
        ({"units": ()}, GOOD, LABELS, "units: expected at least one"),
        ({"bidirectional": "yes"}, GOOD, LABELS, "bidirectional: expected True or False, got 'yes'"),
        ({"warm_start": 3}, GOOD, LABELS, "warm_start: expected True or False, got 3"),
        ({"class_weight": {"a": -1.0, "b": 1.0}}, GOOD, LABELS, r"class_weight: expected finite weights .*'a': -1.0"),
        ({"class_weight": {"a": 0, "b": 0}}, GOOD, LABELS, "class_weight: .* not all of them zero"),
        ({"optimizer": "best"}, GOOD, LABELS, "best"),
    ],
)
def test_what_does_not_fit_is_named(options, X, y, text):
    with pytest.raises(ValueError, match=text):
        LSTMClassifier(**options).fit(X, y)


def test_what_does_not_fit_what_was_fitted_is_named():
    model = LSTMClassifier(max_iter=1).fit(GOOD, LABELS)
    with pytest.raises(ValueError, match="X has 3 features, but LSTMClassifier is expecting 2 features"):
        model.predict(np.ones((2, 4, 3)))
    for nothing, text in (
        (None, "X: expected a 3-D array, .* got NoneType"),
        ([], "X: expected at least one sequence"),
    ):
        with pytest.raises(ValueError, match=text):
            model.predict(nothing)
    with pytest.raises(ValueError, match="X: expected 2 features a step as in those fitted to, got 1: without window"):
        model.predict(np.ones((4, 2)))
    with pytest.raises(ValueError, match=r"y: expected labels among the classes \['a' 'b'\], got \['c'\]"):
        model.partial_fit(GOOD, ["a", "c"] * 3)
    with pytest.raises(ValueError, match="classes: expected those of the first call"):
        model.partial_fit(GOOD, LABELS, classes=["a", "b", "c"])
    with pytest.raises(ValueError, match="classes: expected all labels there will be"):
        LSTMClassifier().partial_fit(GOOD, LABELS)
    with pytest.raises(ValueError, match="class_weight: expected a dict or None for partial_fit, got 'balanced'"):
        LSTMClassifier(class_weight="balanced").partial_fit(GOOD, LABELS, classes=["a", "b"])
    with pytest.raises(ValueError, match="sample_weight: expected weights from 0 on, not all of them zero"):
        model.fit(GOOD, LABELS, sample_weight=np.zeros(6))
    with pytest.raises(ValueError, match="y: expected 1 outputs as before, got 2"):
        GRURegressor(max_iter=1).fit(GOOD, np.ones(6)).partial_fit(GOOD, np.ones((6, 2)))


def test_what_build_makes_must_be_a_model_with_these_outputs():
    with pytest.raises(TypeError, match="build: expected a function, got 3"):
        SequenceClassifier(build=3).fit(GOOD, LABELS)
    with pytest.raises(TypeError, match="build: expected it to return a model, got int"):
        SequenceClassifier(build=lambda shape, outputs: 3).fit(GOOD, LABELS)
    with pytest.raises(ValueError, match=r"build: expected a model with outputs of shape \(None, 2\), got \(None, 1\)"):
        SequenceClassifier(build=lambda shape, outputs: classes(shape, 1)).fit(GOOD, LABELS)


def test_what_the_model_is_made_of_stays_when_training_goes_on():
    model = GRUClassifier(units=(3,), max_iter=1, warm_start=True, random_state=0).fit(GOOD, LABELS)
    for name, value in [("units", [4]), ("bidirectional", True), ("optimizer", "sgd")]:
        before = getattr(model, name)
        model.set_params(**{name: value})
        with pytest.raises(ValueError, match=f"{name}: expected .* of which the model that training goes on with"):
            model.fit(GOOD, LABELS)
        with pytest.raises(ValueError, match=f"{name}: expected .* got"):
            model.partial_fit(GOOD, LABELS)
        model.set_params(**{name: before})
    assert pickle.loads(pickle.dumps(model)).fit(GOOD, LABELS).n_iter_ == 2
    assert model.set_params(units=4, warm_start=False).fit(GOOD, LABELS).n_iter_ == 1


def test_a_learning_rate_that_is_changed_is_used_when_training_goes_on():
    model = GRURegressor(max_iter=1, warm_start=True, random_state=0, optimizer="sgd").fit(GOOD, GOOD[:, 0])
    for rate in (0.5, 1e-9):
        before = model.model_.get_weights()
        model.set_params(learning_rate_init=rate).fit(GOOD, GOOD[:, 0])
        far = max(np.abs(a - b).max() for a, b in zip(before, model.model_.get_weights(), strict=True))
        assert (far > 1e-2) == (rate == 0.5)
    with pytest.raises(ValueError, match="learning_rate_init: expected a number"):
        model.set_params(learning_rate_init=-1).fit(GOOD, GOOD[:, 0])


def test_transformers_name_what_does_not_fit():
    for scaler in (PCA(1), OneHotEncoder()):
        for sequences in (GOOD, list(GOOD)):
            with pytest.raises(ValueError, match=r"scaler: expected a transformer that keeps the columns .* got "):
                SequenceScaler(scaler).fit_transform(sequences)
    for scaler in (StandardScaler, 3):
        with pytest.raises(ValueError, match="scaler: expected 'standard', 'min-max' or a transformer, got "):
            SequenceScaler(scaler).fit(GOOD)
    with pytest.raises(ValueError, match="scaler: expected 'standard', 'min-max' or a transformer, got 'mean'"):
        SequenceScaler("mean").fit(GOOD)
    with pytest.raises(ValueError, match="first: expected one of 'repeat', 'short', 'drop', got 'zeros'"):
        WindowTransformer(first="zeros").fit(GOOD[:, 0])
    with pytest.raises(ValueError, match="X: expected at least 9 rows, one window, got 6"):
        WindowTransformer(9, "drop").fit_transform(GOOD[:, 0])


# --- imports ---


@pytest.mark.parametrize(
    "program",
    [
        "import sys, lstmcore; assert 'sklearn' not in sys.modules",
        """
import sys
sys.modules["sklearn"] = None
try:
    import lstmcore.sklearn
except ImportError as error:
    assert str(error) == 'lstmcore.sklearn needs scikit-learn 1.6 or later: pip install "lstmcore[sklearn]"'
else:
    raise AssertionError
""",
        "import lstmcore; lstmcore.sklearn.LSTMClassifier(units=3)",
    ],
)
def test_scikit_learn_is_imported_when_it_is_needed(program):
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr


@pytest.fixture
def frame():
    pd = pytest.importorskip("pandas")
    made = np.random.default_rng(0)
    columns = {"a": made.standard_normal(12), "b": made.integers(0, 5, 12), "c": made.random(12) > 0.5}
    return pd.DataFrame(columns, index=pd.date_range("2026-01-01", periods=12))


@pytest.mark.parametrize("window", [None, 3])
def test_frames_are_their_numbers(frame, window):
    pd = pytest.importorskip("pandas")
    y = pd.Series(np.where(frame.a > 0, "up", "down"), index=frame.index)
    options = {"units": 2, "max_iter": 1, "random_state": 0, "window": window}
    fitted, numbers = LSTMClassifier(**options).fit(frame, y), frame.to_numpy("float32")
    assert fitted.feature_names_in_.tolist() == ["a", "b", "c"]
    want = LSTMClassifier(**options).fit(numbers, y.to_numpy()).predict_proba(numbers)
    np.testing.assert_array_equal(fitted.predict_proba(frame), want)
    with pytest.raises(ValueError, match="same order"):
        fitted.predict(frame[["b", "a", "c"]])


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_columns_of_a_list_of_frames_are_those_fitted_to(frame, kind):
    parts = [frame[:5], frame[5:]]
    if kind == "polars":
        parts = [pytest.importorskip("polars").from_pandas(part) for part in parts]
    model = LSTMRegressor(units=2, max_iter=1, random_state=0)
    want = clone(model).fit([part.to_numpy().astype("float32") for part in parts], [0, 1])
    model.fit(parts, [0, 1])
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(model.predict(parts), want.predict([p.to_numpy().astype("float32") for p in parts]))
    for other in ([parts[0][["b", "a", "c"]], parts[1]], [parts[0], parts[1][["b", "a", "c"]]]):
        with pytest.raises(ValueError, match="same order"):
            model.predict(other)
        with pytest.raises(ValueError, match="feature names should match"):
            SequenceScaler().fit([parts[0], parts[1][["c", "b", "a"]]])
    assert not hasattr(model.fit(np.zeros((2, 3, 4)), [0, 1]), "feature_names_in_")


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_tables_come_as_frames_and_sequences_as_they_are(frame, kind):
    package = pytest.importorskip(kind)
    scaler = SequenceScaler().set_output(transform=kind)
    scaled = clone(scaler).fit_transform(frame)
    assert isinstance(scaled, package.DataFrame)
    assert list(scaled.columns) == ["a", "b", "c"]
    want = StandardScaler().fit_transform(frame.to_numpy("float64"))
    np.testing.assert_allclose(scaled.to_numpy(), want, rtol=1e-12, atol=1e-12)
    sequences = np.arange(24.0).reshape(2, 3, 4)
    assert isinstance(scaler.fit_transform(sequences), np.ndarray)
    assert isinstance(scaler.fit_transform(list(sequences)), list)


def test_pipelines_that_are_told_of_frames(frame):
    pytest.importorskip("pandas")
    steps = StandardScaler(), WindowTransformer(3), SequenceScaler()
    want = make_pipeline(*steps).fit_transform(frame)
    with sklearn.config_context(transform_output="pandas"):
        np.testing.assert_array_equal(make_pipeline(*steps).fit_transform(frame), want)
    np.testing.assert_array_equal(make_pipeline(*steps).set_output(transform="pandas").fit_transform(frame), want)


def test_outputs_that_are_no_frames():
    with pytest.raises(ValueError, match="transform: expected one of"):
        SequenceScaler().set_output(transform="numpy")
