"""Lists of arrays of different length: what is done with them gives what each gives alone, or is refused by name."""

import functools
import operator

import numpy as np
import pytest
from layer_tools import numbers

import lstmcore
from lstmcore import Input, Model, Sequential, _masks, _random, layers, losses
from lstmcore.layers import GRU, LSTM, Conv1D, Dense, Embedding
from lstmcore.training.data import source

pytestmark = pytest.mark.once  # what the kernels do with a mask is tested elsewhere

LENGTHS = [5, 12, 7, 9, 3, 4, 7]
XS = [numbers(n, 4) for n in LENGTHS]
YS = [numbers(n, 2, seed=1) for n in LENGTHS]
ENDS = numbers(len(XS), 2)
MASK = np.arange(12) < np.array(LENGTHS)[:, None]


def padded(arrays, filling=0.0):
    result = np.full((len(arrays), 12, *arrays[0].shape[1:]), filling, arrays[0].dtype)
    for row, array in zip(result, arrays, strict=True):
        row[: len(array)] = array
    return result


X, Y = padded(XS, 7.0), padded(YS)


@pytest.fixture(autouse=True)
def in_double():
    lstmcore.config.set_dtype_policy("float64")
    yield
    lstmcore.config.set_dtype_policy("float32")


def chain(*parts):
    return lambda: Sequential([Input((None, 4)), *(part() for part in parts)])


def graph(function):
    def make():
        x = Input((None, 4))
        return Model(x, function(x))

    return make


def with_weights(model):
    model.set_weights([np.abs(numbers(*w.shape, seed=k)) for k, w in enumerate(model.get_weights())])
    return model


def tagger(**options):
    model = Sequential([Input((None, 4)), GRU(3, return_sequences=True), Dense(2)])
    model.compile("sgd", **{"loss": "mse", "metrics": ["mae"]} | options)
    return with_weights(model)


def steps(layer, *sizes, **options):
    return lambda: layer(*sizes, return_sequences=True, **options)


def same(padding="same", size=3, **options):
    return lambda: Conv1D(3, size, padding=padding, bias_initializer="ones", **options)


EXACT = {
    "convolutions": chain(same(), same()),
    "valid": chain(same("valid")),
    "strided causal": chain(same("causal", strides=2)),
    "dilated": chain(same("causal", dilation_rate=2)),
    "norms": chain(layers.BatchNormalization, layers.LayerNormalization, layers.Softmax, layers.UnitNormalization),
    "pooling": chain(
        lambda: layers.MaxPooling1D(2, padding="same"), lambda: layers.AveragePooling1D(2, padding="same")
    ),
    "average": chain(layers.GlobalAveragePooling1D),
    "cropped": chain(lambda: layers.Cropping1D((1, 0)), steps(LSTM, 3)),
    "more steps": chain(lambda: layers.UpSampling1D(2), steps(LSTM, 3)),
    "both ways": chain(
        lambda: layers.Bidirectional(LSTM(3, return_sequences=True)), lambda: layers.Bidirectional(GRU(2))
    ),
    "backwards": chain(steps(GRU, 3, go_backwards=True), steps(LSTM, 2)),
    "minimal": chain(steps(layers.MinLSTM, 3), lambda: layers.MinGRU(2)),
    "exponential": chain(steps(layers.SLSTM, 4, 2)),
    "cells": chain(lambda: layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], return_sequences=True)),
    "residual": chain(lambda: layers.Residual(Conv1D(4, 3, padding="same")), lambda: LSTM(2)),
    "within": chain(lambda: layers.TimeDistributed(Dense(3)), steps(layers.SimpleRNN, 2)),
    "attention": graph(lambda x: layers.MultiHeadAttention(2, 3)(x, x)),
    "additive attention": graph(lambda x: layers.AdditiveAttention()([x, x])),
    "last": graph(lambda x: steps(LSTM, 3)()(x)[:, -1]),
    "reversed": graph(lambda x: steps(LSTM, 3)()(x[:, ::-1])),
    "later": graph(lambda x: LSTM(3)(x[:, 1:])),
    "one after the other": graph(lambda x: LSTM(3)(layers.Concatenate(axis=1)([x, x * 2.0]))),
    "decoder": graph(lambda x: layers.RepeatVector(3)(LSTM(3)(x))),
}


def alone(model, xs):
    return [model.predict(x[None], verbose=0)[0] for x in xs]


def check(found, wanted):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", EXACT)
def test_outputs_are_those_of_each_alone(name):
    model = with_weights(EXACT[name]())
    found = model.predict(XS, batch_size=4, verbose=0)
    assert isinstance(found, list) == (model.output_shape[1] is None)
    check(found, alone(model, XS))
    check(model.predict_on_batch(XS), found)


REFUSED = {
    "softmax: .* axis=1 mixes steps": chain(lambda: layers.Softmax(axis=1)),
    "unit_normalization: .* axis=1 mixes steps": chain(lambda: layers.UnitNormalization(axis=1)),
    "conv1d: .* strides=2 windows begin elsewhere": chain(same(strides=2)),
    "max_pooling1d: .* windows begin elsewhere": chain(lambda: layers.MaxPooling1D(3, padding="same")),
    "max_pooling1d: .* steps, MaxPooling1D makes": chain(lambda: layers.MaxPooling1D(2)),
    "global_max_pooling1d: .* ends the mask": chain(layers.GlobalMaxPooling1D),
    "zero_padding1d: .* by itself, ": chain(layers.ZeroPadding1D, lambda: LSTM(2)),
    "cropping1d: .* by itself, ": chain(layers.Cropping1D, lambda: LSTM(2)),
    "reshape: .* ends the mask": chain(lambda: layers.Reshape((-1, 2))),
    "a slice from the end": graph(lambda x: LSTM(2)(x[:, :-1])),
    "step -1 is that of the longest": graph(lambda x: same("causal")()(x)[:, -1]),
    "not all may have a step 4": graph(lambda x: x[:, 4]),
    "size: .* padded steps would be counted": graph(lambda x: layers.Size()(x)),
    "dot: .* ends the mask": graph(lambda x: layers.Dot(axes=1)([x, x])),
    "bn: .* uses_mask": graph(lambda x: unused(layers.BatchNormalization(name="bn"))(x)),
    "dense: .* activity_regularizer": chain(lambda: Dense(2, activity_regularizer="l2")),
}


def unused(layer):
    layer.uses_mask = False
    return layer


@pytest.mark.parametrize("message", REFUSED)
def test_what_would_take_padding_for_data_is_refused(message):
    lstmcore.utils.clear_session()
    model = REFUSED[message]()
    for call in (lambda: model.predict(XS, verbose=0), lambda: model(XS)):
        with pytest.raises(ValueError, match=message):
            call()
    model.predict(XS[0][None], verbose=0)  # one length is no matter


def test_gradients_are_the_sum_of_those_of_each_alone():
    moves = []
    for parts in ([XS], [[x] for x in XS]):
        total = 0.0
        for xs in parts:
            model = tagger(loss=losses.MeanSquaredError(reduction="sum"))
            before = model.parameters.values.copy()
            ys = [YS[next(k for k, x in enumerate(XS) if x is one)] for one in xs]
            if len(xs) > 1:
                model.train_on_batch(xs, ys)
            else:
                model.train_on_batch(xs[0][None], ys[0][None])
            total = total + model.parameters.values - before
        moves.append(total)
    np.testing.assert_allclose(moves[0], moves[1], rtol=1e-10, atol=1e-12)


WEIGHTS = [np.abs(numbers(n)) for n in LENGTHS]


@pytest.mark.parametrize(
    ("lists", "arrays"),
    [
        ({}, {}),
        ({"validation_split": 0.4}, {}),
        ({"sample_weight": ENDS[:, 0] ** 2}, {}),
        ({"sample_weight": WEIGHTS}, {"sample_weight": padded(WEIGHTS)}),
        ({"shuffle": "batch"}, {}),
    ],
)
def test_training_is_that_on_arrays_with_a_mask(lists, arrays):
    seen = []
    for x, y, options in (
        (XS, YS, lists),
        (X, Y, lists | arrays | {"lengths": LENGTHS}),
        (X, Y, lists | arrays | {"mask": MASK}),
    ):
        lstmcore.utils.set_random_seed(1)
        model = tagger()
        history = model.fit(x, y, **{"shuffle": False, "batch_size": 3, "epochs": 2, "verbose": 0} | options).history
        seen.append(([*history.values()], model.parameters.values.copy()))
    for other in seen[1:]:
        np.testing.assert_allclose(other[0], seen[0][0], rtol=1e-12)
        np.testing.assert_allclose(other[1], seen[0][1], rtol=1e-12)


def test_scores_and_outputs_are_those_of_arrays_with_a_mask():
    model = tagger()
    for options in ({"mask": MASK}, {"lengths": LENGTHS}):
        np.testing.assert_allclose(model.evaluate(X, Y, verbose=0, **options), model.evaluate(XS, YS, verbose=0))
        np.testing.assert_allclose(model.test_on_batch(X, Y, **options), model.test_on_batch(XS, YS))
        outputs = model.predict(X, verbose=0, **options)
        assert outputs.shape == (7, 12, 2)  # an array comes, an array goes
        np.testing.assert_array_equal(outputs, model(X, **options))
        np.testing.assert_array_equal(outputs, model.predict_on_batch(X, **options))
        check([row[:n] for row, n in zip(outputs, LENGTHS, strict=True)], model.predict(XS, verbose=0))
    assert model.evaluate(X, Y, verbose=0) != model.evaluate(XS, YS, verbose=0)
    called = model(XS)
    np.testing.assert_array_equal(_masks.of(called), MASK)


def test_classes_of_steps_have_weights():
    labels = [(np.arange(n) * 7 % 3 > 0).astype(int) for n in LENGTHS]
    scores = []
    for x, y, options in ((XS, labels, {}), (X, padded(labels, 1), {"mask": MASK})):
        model = tagger(loss="sparse_categorical_crossentropy", metrics=[])
        scores.append(
            model.fit(x, y, shuffle=False, verbose=0, class_weight={0: 0.5, 1: 3.0}, **options).history["loss"]
        )
    np.testing.assert_allclose(*scores)


def batches(lengths, seed, size=4, **options):
    data = source([numbers(n, 1) for n in lengths], np.arange(len(lengths)), batch_size=size, shuffle=True, **options)
    stream = _random.Stream(seed)
    return [[y.tolist() for _, y, _ in data.epoch(stream)] for _ in range(2)]


def test_batches_are_of_similar_length_in_an_order_that_a_seed_decides():
    lengths = np.random.default_rng(0).integers(1, 100, 90)
    first, second = batches(lengths, 3)
    assert batches(lengths, 3) == [first, second]
    assert batches(lengths, 4)[0] != first != second
    for epoch in (first, second):
        assert sorted(functools.reduce(operator.iadd, epoch, [])) == list(range(90))
        assert [len(batch) for batch in epoch] == [4] * 22 + [2]
        spread = [np.ptp(lengths[batch]) for batch in epoch]
        assert np.mean(spread) < 15  # of rows by chance it is 60
        longest = [lengths[batch].max() for batch in epoch]
        assert longest != sorted(longest)  # they do not come by their length
    data = source([numbers(n, 1) for n in lengths], np.arange(90), batch_size=4, shuffle=True)
    rest = [y.tolist() for _, y, _ in data.epoch(_random.Stream(3), skip=5)]
    assert rest == first[5:]


def test_several_inputs_of_which_some_are_lists():
    past, now = Input((None, 4), name="past"), Input((2,), name="now")
    steps = LSTM(3, return_sequences=True)(past)
    last = Dense(2)(layers.Concatenate()([LSTM(3)(steps), now]))
    model = with_weights(Model([past, now], [steps, last]))
    model.compile("sgd", "mse")
    targets = [[numbers(n, 3) for n in LENGTHS], ENDS]
    wanted = [model.predict([x[None], row[None]], verbose=0) for x, row in zip(XS, ENDS, strict=True)]
    for x in ([XS, ENDS], (XS, ENDS), {"now": ENDS, "past": XS}):
        tags, ends = model.predict(x, batch_size=3, verbose=0)
        check(tags, [one[0][0] for one in wanted])
        check(ends, [one[1][0] for one in wanted])
        check(model(x)[1], ends)
        assert np.isfinite(model.train_on_batch(x, targets)).all()
        with_weights(model)
        np.testing.assert_allclose(
            model.evaluate(x, targets, verbose=0)[1:],
            [
                np.mean([(a - b) ** 2 for a, b in zip(np.concatenate(t), np.concatenate(tags), strict=True)])
                for t in targets[:1]
            ]
            + [np.mean((ends - ENDS) ** 2)],
        )
    equal = [XS[2], XS[6]]
    check(model.predict([equal, ENDS[:2]], verbose=0)[1], model.predict([np.stack(equal), ENDS[:2]], verbose=0)[1])


class Own(Model):
    def __init__(self):
        super().__init__()
        self.rnn, self.dense = GRU(3, return_sequences=True), Dense(2)

    def call(self, inputs):
        return self.dense(self.rnn(inputs))

    def train_step(self, data):
        return super().train_step(data)

    def predict_step(self, data):
        return super().predict_step(data)


class WithoutMask(Own):
    def predict_step(self, data):
        return super().predict_step(data) * 1.0


def test_classes_with_steps_of_their_own():
    model = Own()
    model.compile("sgd", "mse")
    model.fit(XS, YS, verbose=0)
    with_weights(model)
    twin = tagger()
    twin.set_weights(model.get_weights())
    np.testing.assert_allclose(model.train_on_batch(XS, YS), twin.train_on_batch(XS, YS)[0])
    check(model.predict(XS, verbose=0), twin.predict(XS, verbose=0))
    other = WithoutMask()
    other.build((None, None, 4))
    if other.output_shape[1] is None:
        with pytest.raises(ValueError, match="predict_step: expected outputs that their mask goes with"):
            other.predict(XS, verbose=0)


def test_generators_give_lists():
    def data():
        yield XS[:4], YS[:4]
        yield XS[4:], YS[4:]

    model, twin = tagger(), tagger()
    model.fit(data(), verbose=0)
    twin.fit(XS, YS, batch_size=4, shuffle=False, verbose=0)
    np.testing.assert_array_equal(model.parameters.values, twin.parameters.values)
    check(model.predict(data(), verbose=0), twin.predict(XS, verbose=0))


def test_words_are_lists_of_integers():
    words = [np.arange(n) % 5 for n in LENGTHS]
    model = Sequential([Embedding(5, 3), LSTM(2)])
    found = model.predict(words, verbose=0)
    check(found, alone(model, words))


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        ([*XS, np.zeros((0, 4))], None, {}, r"x\[7\]: expected at least one step, got shape \(0, 4\)"),
        ([*XS, np.zeros((3, 2))], None, {}, r"x\[7\]: expected shape \(steps, 4\) as x\[0\] has, got \(3, 2\)"),
        ([*XS, np.zeros(3)], None, {}, r"x\[7\]: expected shape \(steps, 4\)"),
        ([*XS[:-1], np.full((2, 4), "a")], None, {}, r"x\[6\]: expected numbers, got <U1"),
        ([], None, {}, "x: expected at least one row, got an empty list"),
        (XS, YS[::-1], {}, r"y\[0\]: expected 5 steps as in x\[0\], got 7"),
        (XS, YS[:3], {}, "y: expected 7 arrays, as many as x has sequences, got 3"),
        (XS, ENDS[:3], {}, "y: expected 7 rows as in x"),
        (XS, YS, {"lengths": LENGTHS}, "lengths: expected None for sequences of different length"),
        (XS, YS, {"mask": MASK}, "mask: expected None for sequences of different length"),
        (X, Y, {"lengths": [13, *LENGTHS[1:]]}, r"lengths: expected numbers from 0 to 12 \(steps\), got 13 at 0"),
        (X, Y, {"lengths": LENGTHS[1:]}, r"lengths: expected shape \(batch=7,\), got \(6,\)"),
        (X, Y, {"mask": MASK, "lengths": LENGTHS}, "mask: give lengths or a mask, not both"),
        (X, Y, {"mask": MASK[:, 1:]}, r"x: mask: expected shape \(batch=7, steps=12\), got \(7, 11\)"),
        (iter([(XS, YS)]), None, {"mask": MASK}, "mask: expected None, for x .* gives it with every batch"),
    ],
)
def test_what_does_not_fit_is_named(x, y, options, message):
    y = YS if y is None and isinstance(x, list) else y
    model = tagger()
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(x, y, verbose=0, **options)
    if isinstance(x, list) and y is YS:
        with pytest.raises((ValueError, TypeError), match=message):
            model.predict(x, verbose=0, **options)
        with pytest.raises((ValueError, TypeError), match=message):
            model.train_on_batch(x, y, **options)


def test_validation_has_a_mask_or_a_warning():
    model = tagger()
    with pytest.warns(UserWarning, match="validation_data: has no mask"):
        model.fit(X, Y, mask=MASK, validation_data=(X, Y), verbose=0)
    history = model.fit(X, Y, mask=MASK, validation_data=(XS, YS), verbose=0).history
    np.testing.assert_allclose(history["val_loss"][-1], model.evaluate(XS, YS, verbose=0)[0])


def test_mean_metrics_do_not_see_how_far_a_batch_is_padded():
    apart, together = lstmcore.metrics.MeanAbsoluteError(), lstmcore.metrics.MeanAbsoluteError()
    for x, y in zip(YS, X, strict=True):
        apart.update_state(x[None], y[None, : len(x), :2], np.ones((1, len(x))))
    together.update_state(Y, X[:, :, :2], MASK)
    wanted = np.abs(np.concatenate(YS) - np.concatenate(XS)[:, :2]).mean()
    np.testing.assert_allclose([apart.result(), together.result()], wanted)


def test_a_call_on_a_list_takes_no_mask():
    with pytest.raises(ValueError, match="lengths: expected None for inputs of different length"):
        tagger()(XS, lengths=LENGTHS)
