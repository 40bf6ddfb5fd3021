"""Padding reaches neither loss, nor gradients, nor moving statistics: rows of a batch give what each gives alone.

A model of every kind of layer that speech takes, in float64, so that a leak is told from rounding.
"""

import numpy as np
import pytest
from layer_tools import numbers

from lstmcore import Sequential, losses
from lstmcore.layers import (
    GRU,
    LSTM,
    SLSTM,
    Activation,
    BatchNormalization,
    Bidirectional,
    Conv1D,
    Dense,
    Dropout,
    LayerNormalization,
    Masking,
    MinGRU,
    MinLSTM,
    Residual,
    TimeDistributed,
)

FEATURES, CLASSES = 3, 4
LENGTHS = np.array([12, 7, 9, 1, 4])

# Rounding: sums of some hundred products of numbers near one, in another order.
CLOSE = {"rtol": 1e-10, "atol": 1e-12}


def norm(**options):
    return BatchNormalization(momentum=0.9, dtype="float64", **options)


def conv(size, **options):
    return Conv1D(5, size, activation="relu", bias_initializer="ones", dtype="float64", **options)


# Each with the factor that its strides divide the steps by. Biases are not zero and normalised zeros neither, so that
# padding is no longer zero where the second convolution looks at it.
MODELS = {
    "guide": (2, lambda: [conv(5, strides=2, padding="same"), norm(), conv(3, padding="same"), norm(), both()]),
    "causal": (2, lambda: [conv(4, strides=2, padding="causal"), norm(), conv(3, padding="causal"), norm(), one()]),
    "dilated": (1, lambda: [conv(3, padding="same", dilation_rate=2), norm(), conv(3, padding="causal"), one()]),
    "strides twice": (4, lambda: [conv(3, strides=2, padding="same"), conv(4, strides=2, padding="same"), both()]),
    "recurrent first": (1, lambda: [one(), norm(), conv(3, padding="same"), Dropout(0.0, dtype="float64"), both()]),
    "within": (1, lambda: [within(), Residual([conv3(), norm()], dtype="float64"), both()]),
    "layers": (1, lambda: [LayerNormalization(dtype="float64"), conv(3, padding="same"), GRU(4, **sequences())]),
    "minimal": (1, lambda: [minimal(), norm(), conv(3, padding="same"), norm(), minimal()]),
    "slstm": (1, lambda: [conv(3, padding="causal"), norm(), Bidirectional(SLSTM(4, 2, **sequences()))]),
    "convolutions": (1, lambda: [conv(3, padding="same"), norm(), Activation("relu", dtype="float64"), norm()]),
}


def sequences():
    return {"return_sequences": True, "dtype": "float64"}


def both():
    return Bidirectional(LSTM(4, **sequences()))


def one():
    return LSTM(5, **sequences())


def minimal():
    return Bidirectional(MinLSTM(4, **sequences()), backward_layer=MinGRU(3, go_backwards=True, **sequences()))


def conv3():
    return Conv1D(5, 3, padding="same", bias_initializer="ones", dtype="float64")


def within():
    vectors = Sequential([Dense(5, bias_initializer="ones", dtype="float64"), norm()])
    return TimeDistributed(vectors, dtype="float64")


def make(name, seed=0, frozen=False):
    factor, layers = MODELS[name]
    model = Sequential([*layers(), Dense(CLASSES, dtype="float64")])
    model.build((None, None, FEATURES))
    model.set_weights(
        [
            np.abs(w) if v.path.endswith("variance") else w
            for v, w in zip(
                model.variables,
                (0.5 * numbers(*v.shape, seed=seed + k) + 0.5 for k, v in enumerate(model.variables)),
                strict=True,
            )
        ]
    )
    if frozen:
        for layer in model.layers:
            freeze(layer)
    return factor, model


def freeze(layer):
    for inner in layer.sublayers:
        freeze(inner)
    if isinstance(layer, BatchNormalization):
        layer.trainable = False


def pad(rows, steps, filling=0.0):
    padded = np.full((len(rows), steps, rows[0].shape[1]), filling)
    for own, row in zip(padded, rows, strict=True):
        own[: len(row)] = row
    return padded


def step(model, factor, rows, d_rows, steps=None, filling=0.0):
    """One pass each way of a batch that is padded to ``steps``, its loss the sum of outputs weighted by ``d_rows``.

    Returns outputs of every row, the loss, gradients of weights and of the inputs of every row, moving statistics.
    """
    steps = steps or max(map(len, rows))
    steps = -(-steps // factor) * factor
    x = pad(rows, steps, filling)
    mask = np.arange(steps) < np.array([len(row) for row in rows])[:, None]
    before = model.get_weights()
    for v in model.variables:
        v.gradient.fill(0)
    outputs, out_mask = model.run(x, True, mask)
    loss = losses.MeanSquaredError(reduction="sum")
    weights = losses.combine_weights(outputs.shape[:-1], None, out_mask, loss.reduction)
    targets = pad([d[: -(-len(row) // factor)] for d, row in zip(d_rows, rows, strict=True)], outputs.shape[1])
    value, gradient = loss.value_and_gradient(targets, outputs, weights)
    d_inputs = model.backward(gradient)
    moved = [v.value.copy() for v in model.variables if "moving" in v.path]
    gradients = [v.gradient.copy() for v in model.variables]
    model.set_weights(before)
    counts = [int(m.sum()) for m in out_mask]
    assert counts == [-(-len(row) // factor) for row in rows]
    assert not d_inputs[~mask].any()
    return (
        [o[:n] for o, n in zip(outputs, counts, strict=True)],
        value,
        gradients,
        [d[: len(row)] for d, row in zip(d_inputs, rows, strict=True)],
        moved,
    )


def rows_and_targets(lengths):
    rows = [numbers(n, FEATURES, seed=k) for k, n in enumerate(lengths)]
    return rows, [numbers(n, CLASSES, seed=50 + k) for k, n in enumerate(lengths)]


def assert_same(got, want, **tolerance):
    for a, b in zip(got, want, strict=True):
        if isinstance(a, list):
            assert_same(a, b, **tolerance)
        else:
            np.testing.assert_allclose(a, b, **tolerance)


@pytest.mark.parametrize("name", MODELS)
def test_rows_of_a_padded_batch_give_what_each_gives_alone(name):
    # Statistics of a batch are of all of its rows together: here, batch normalisation has learnt them before.
    factor, model = make(name, frozen=True)
    rows, targets = rows_and_targets(LENGTHS)
    outputs, value, gradients, d_inputs, _ = step(model, factor, rows, targets, steps=16)
    alone = [step(model, factor, [row], [target]) for row, target in zip(rows, targets, strict=True)]
    assert_same(outputs, [a[0][0] for a in alone], **CLOSE)
    assert value == pytest.approx(sum(a[1] for a in alone), rel=1e-12)
    assert_same(gradients, [sum(a[2][k] for a in alone) for k in range(len(gradients))], **CLOSE)
    assert_same(d_inputs, [a[3][0] for a in alone], **CLOSE)


@pytest.mark.parametrize("name", MODELS)
def test_padding_all_rows_changes_nothing_of_a_training_step(name):
    factor, model = make(name)
    rows, targets = rows_and_targets([8, 8, 8])
    assert_same(step(model, factor, rows, targets, 20), step(model, factor, rows, targets), **CLOSE)


@pytest.mark.parametrize("name", MODELS)
def test_what_stands_in_padding_does_not_matter(name):
    factor, model = make(name)
    rows, targets = rows_and_targets(LENGTHS)
    want = step(model, factor, rows, targets, 12)
    assert_same(step(model, factor, rows, targets, 12, 1000.0), want, rtol=0)  # the same bits
    assert_same(step(model, factor, rows, targets, 20, -1000.0), want, **CLOSE)


@pytest.mark.parametrize("name", MODELS)
def test_ctc_of_a_padded_batch_is_the_sum_of_that_of_its_rows(name):
    factor, model = make(name, frozen=True)
    rows, _ = rows_and_targets([12, 16, 9])
    labels = [[1, 2, 3], [2, 2], [1]]
    ctc = losses.CTC(reduction="sum")

    def run(rows, labels, steps):
        x, mask = pad(rows, steps, 5.0), np.arange(steps) < np.array([len(row) for row in rows])[:, None]
        for v in model.variables:
            v.gradient.fill(0)
        outputs, out_mask = model.run(x, True, mask)
        targets = ctc.targets([row + [0] * (4 - len(row)) for row in labels], outputs.shape, outputs.dtype)
        taken, left = ctc.with_mask(targets, out_mask)
        assert left is None
        value, gradient = ctc.value_and_gradient(taken, outputs)
        assert not gradient[~out_mask].any()
        d_inputs = model.backward(gradient)
        assert not d_inputs[~mask].any()
        return (
            value,
            [v.gradient.copy() for v in model.variables],
            [d[: len(row)] for d, row in zip(d_inputs, rows, strict=True)],
        )

    value, gradients, d_inputs = run(rows, labels, 24)
    whole = [-(-len(row) // factor) * factor for row in rows]
    alone = [run([row], [own], n) for row, own, n in zip(rows, labels, whole, strict=True)]
    assert np.isfinite(value)
    assert value == pytest.approx(sum(a[0] for a in alone), rel=1e-12)
    assert_same(gradients, [sum(a[1][k] for a in alone) for k in range(len(gradients))], **CLOSE)
    assert_same(d_inputs, [a[2][0] for a in alone], **CLOSE)


def test_moving_statistics_are_those_of_the_real_frames():
    factor, model = make("guide")
    convolution, normalization = model.layers[:2]
    rows, targets = rows_and_targets(LENGTHS)
    even = [row for row in rows if len(row) % factor == 0]
    before = normalization.moving_mean.value.copy(), normalization.moving_variance.value.copy()
    *_, moved = step(model, factor, even, [targets[k] for k, row in enumerate(rows) if len(row) % factor == 0], 30)
    frames = np.concatenate([convolution(row[None])[0] for row in even])
    for got, old, new in zip(moved, before, (frames.mean(0), frames.var(0)), strict=False):
        np.testing.assert_allclose(got, 0.9 * old + 0.1 * new, **CLOSE)


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
def test_left_padding_reaches_no_convolution_either(padding):
    layer = conv(3, padding=padding)
    row = numbers(1, 6, FEATURES)
    want = layer(row)
    x = np.concatenate([np.full((1, 4, FEATURES), 9.0), row], axis=1)
    mask = np.arange(10)[None] >= 4
    counted = layer.compute_mask(x, mask)
    np.testing.assert_allclose(layer(x, mask=mask)[counted], want[0], **CLOSE)


def test_whole_windows_of_a_row_are_those_it_has_alone():
    layer = conv(3, padding="valid", strides=2)
    rows, _ = rows_and_targets([9, 4, 3])
    x, mask = pad(rows, 11, 7.0), np.arange(11) < np.array([[9], [4], [3]])
    outputs, counted = layer(x, mask=mask), layer.compute_mask(x, mask)
    for own, valid, row in zip(outputs, counted, rows, strict=True):
        np.testing.assert_allclose(own[valid], layer(row[None])[0], **CLOSE)


def test_fit_finds_the_mask_and_trains_as_without_padding():
    def fitted(x, y):
        _, model = make("guide")
        layers = [Masking(-5.0, dtype="float64", input_shape=(None, FEATURES)), *MODELS["guide"][1]()]
        trained = Sequential([*layers, Dense(CLASSES, dtype="float64")])
        trained.set_weights(model.get_weights())
        trained.compile("adam", "mse")
        history = trained.fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0)
        return history.history["loss"], trained.get_weights()

    x, y = numbers(8, 10, FEATURES), numbers(8, 5, CLASSES, seed=1)
    padded = np.concatenate([x, np.full((8, 6, FEATURES), -5.0)], axis=1), np.concatenate([y, y[:, :3] + 9], axis=1)
    assert_same(fitted(*padded), fitted(x, y), rtol=1e-8, atol=1e-10)  # Adam divides by small gradients
