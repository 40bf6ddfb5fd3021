"""Wrong backward passes are found, and right ones are not called wrong."""

import numpy as np
import pytest
from layer_tools import Elman, numbers
from test_arrays_of_the_caller import EVERY, NO_GRADIENT, made

from lstmcore import Input, Model, Sequential, layers, losses, regularizers, utils
from lstmcore.layers import GRU, LSTM, RNN, Add, BatchNormalization, Dense, Dropout, Layer

X = numbers(4, 3)


class Affine(Layer):
    """``(x s + b)²`` with a fault in its backward pass."""

    def __init__(self, fault="none", **options):
        super().__init__(**options)
        self.fault = fault

    def build(self, input_shape):
        self.s = self.add_weight(name="s", shape=input_shape[-1:], initializer="ones")
        self.b = self.add_weight(name="b", shape=input_shape[-1:], initializer="ones")

    def forward(self, inputs, training=False):
        self.inputs, sums = inputs, inputs * self.s.value + self.b.value
        self._cache = sums
        return sums**2

    def backward(self, d_outputs, need_d_inputs=True):
        d = 2 * self._cache * d_outputs
        d_s, d_b, d_inputs = (d * self.inputs).sum(0), d.sum(0), d * self.s.value
        if self.fault == "factor":
            d_s *= 1.001
        if self.fault == "one":
            d_b[1] += 0.01
        if self.fault == "sign":
            d_inputs = -d_inputs
        if self.fault == "nan":
            d_s[2] = np.nan
        if self.fault != "forgotten":
            self.b.gradient += d_b
        self.s.gradient += d_s
        return d_inputs


@pytest.mark.parametrize(
    ("fault", "name", "index"),
    [
        ("factor", "affine/s", None),
        ("one", "affine/b", (1,)),
        ("sign", "inputs", None),
        ("forgotten", "affine/b", None),
        ("nan", "affine/s", (2,)),
    ],
)
@pytest.mark.parametrize("within", ["layer", "sequential", "graph"])
def test_a_wrong_backward_pass_is_found_and_named(fault, name, index, within):
    target = Affine(fault, name="affine")
    if within == "sequential":
        target = Sequential([target])
    if within == "graph":
        inputs = Input((3,))
        target = Model(inputs, target(inputs))
    report = utils.check_gradients(target, X)
    assert not report.ok
    wrong = [error.name for error in report.errors if not error.relative <= report.tolerance]
    assert wrong == [name]
    assert report.worst.name == name
    assert index is None or report.worst.index == index
    assert f"{name}{list(report.worst.index)} is not within the tolerance" in repr(report)
    with pytest.raises(AssertionError, match=name):
        report.raise_if_wrong()


def test_what_is_reported_are_the_derivatives():
    report = utils.check_gradients(Affine("factor", name="affine"), X, samples=100)
    s, b, inputs = report.errors
    assert (s.name, b.name, inputs.name) == ("affine/s", "affine/b", "inputs")
    assert (s.checked, s.size, inputs.checked, inputs.size) == (3, 3, 12, 12)
    weights = np.random.default_rng(0).standard_normal(X.shape)  # of the outputs, as the seed 0 gives them
    derivative = (2 * (X + 1) * weights * X).sum(0)[s.index]
    assert s.difference == pytest.approx(derivative, rel=1e-8)
    assert s.gradient == pytest.approx(1.001 * derivative, rel=1e-12)
    assert s.relative == pytest.approx(0.001 / 1.001, rel=1e-4)
    few = utils.check_gradients(Affine(), X, samples=5).errors
    assert [error.checked for error in few] == [3, 3, 5]
    utils.check_gradients(Affine("factor"), X, tolerance=0.01).raise_if_wrong()


@pytest.mark.parametrize("name", [n for n in EVERY if n not in NO_GRADIENT])
def test_every_layer_is_right(name):
    layer, x = made(name, "float32")
    before = layer.get_weights()
    utils.check_gradients(layer, x, samples=5).raise_if_wrong()
    for one, other in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert layer.dtype == np.float32


def test_the_loss_of_a_model_with_penalties_and_all():
    model = Sequential(
        [
            LSTM(3, return_sequences=True, dropout=0.3, kernel_regularizer="l2", input_shape=(None, 3)),
            BatchNormalization(),
            GRU(3, activity_regularizer=regularizers.L1(0.1)),
            Dropout(0.4),
            Affine(name="affine"),
            Dense(2, "softmax"),
        ]
    )
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    x, y, weights = numbers(6, 5, 3), np.eye(2)[[0, 1, 1, 0, 1, 0]], np.arange(6.0)
    model.fit(x, y, verbose=0)
    before = model.get_weights()
    utils.check_gradients(model, x, y).raise_if_wrong()
    utils.check_gradients(model, x, y, sample_weight=weights).raise_if_wrong()
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    model.layers[-2].fault = "factor"  # which a copy is not made with
    utils.check_gradients(model, x, y).raise_if_wrong()
    wrong = Sequential([Dense(3), Affine("one", name="affine"), Dense(2)])
    wrong.compile("adam", lambda y, p: np.mean((y - p) ** 2, axis=-1))
    assert utils.check_gradients(wrong, X, numbers(4, 2)).worst.name == "affine/b"


def test_several_inputs_and_outputs_states_and_masks():
    a, b = Input((None, 3)), Input((2,))
    outputs, *states = LSTM(2, return_sequences=True, return_state=True)(a, initial_state=[b, Dense(2)(b)])
    model = Model([a, b], [outputs, Add()(states)])
    report = utils.check_gradients(model, [numbers(2, 4, 3), numbers(2, 2)])
    report.raise_if_wrong()
    assert [error.name for error in report.errors][-2:] == ["inputs[0]", "inputs[1]"]
    mask = np.array([[True, True, False, False], [True, True, True, True]])
    initial = [numbers(2, 2), numbers(2, 2, seed=1)]
    report = utils.check_gradients(LSTM(2), numbers(2, 4, 3), mask=mask, initial_state=initial)
    report.raise_if_wrong()
    assert [error.name for error in report.errors][-2:] == ["initial_state[0]", "initial_state[1]"]
    utils.check_gradients(RNN(Elman(3)), numbers(2, 4, 3)).raise_if_wrong()


LOSSES = {
    name: kind()
    for name, kind in vars(losses).items()
    if isinstance(kind, type)
    and issubclass(kind, losses.Loss)
    and kind not in (losses.Loss, losses.LossFunctionWrapper, losses.CRF)  # that belongs to a layer: tests/test_crf.py
}


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_right(name):
    random = np.random.default_rng(0)
    y, p = random.random((4, 3)), 0.1 + 0.8 * random.random((4, 3))
    if "Sparse" in name:
        y = np.array([0, 2, 1, 0])
    if name == "CTC":
        y, p = np.array([[1, 2], [2, 1]]), random.random((2, 5, 3))
    utils.check_gradients(LOSSES[name], y, p).raise_if_wrong()


def test_a_wrong_loss_is_found():
    def squares(y_true, y_pred):
        return np.mean((y_pred - y_true) ** 2, axis=-1)

    squares.gradient = lambda y, p: p - y
    y, p = numbers(4, 3), numbers(4, 3, seed=1)
    report = utils.check_gradients(squares, y, p)
    assert report.worst.difference / report.worst.gradient == pytest.approx(2 / 3, rel=1e-6)
    assert report.worst.name == "y_pred"


def test_what_is_wrong_is_named():
    for target, arguments, error, text in (
        ("mse", (X,), ValueError, "y: expected the outputs, for a loss of targets x and outputs y, got None"),
        (Dense(2, name="dense"), (X, X), ValueError, "y: expected None for dense, which is no compiled model"),
        (Sequential([Dense(2)], name="model"), (X, X), ValueError, "y: expected None for model, which is no comp"),
        ("msee", (X, X), ValueError, "loss: expected one of"),
        (layers.Embedding(9, 2, trainable=False), (np.array([[1]]),), ValueError, "target: expected something with gr"),
    ):
        with pytest.raises(error, match=text):
            utils.check_gradients(target, *arguments)
    for options, text in (
        ({"step": 0}, r"step: expected a number in \(0, inf\), got 0"),
        ({"tolerance": -1}, r"tolerance: expected a number in \(0, inf\), got -1"),
        ({"samples": 0}, "samples: expected a positive integer, got 0"),
    ):
        with pytest.raises(ValueError, match=text):
            utils.check_gradients(Dense(2), X, **options)
