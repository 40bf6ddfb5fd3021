"""What a class derived from one of ours defines is called everywhere, or refused: no fast way goes around it."""

import warnings

import numpy as np
import pytest
from layer_tools import numbers

from lstmcore import Model, Sequential, layers, losses
from lstmcore.layers import (
    GRU,
    LSTM,
    RNN,
    SLSTM,
    Bidirectional,
    Conv1D,
    Dense,
    GlobalAveragePooling1D,
    LSTMCell,
    MinGRU,
    SimpleRNN,
)

MASK = np.array([[True, True, False, False], [True, True, True, False]])
X = numbers(2, 4, 3).astype("float32")


def without_mask(base):
    class Mine(base):
        def forward(self, inputs, training=False):
            return super().forward(inputs, training)

    return Mine


MASKED = {
    "LSTM": lambda kind: kind(LSTM)(3),
    "GRU": lambda kind: kind(GRU)(3),
    "SimpleRNN": lambda kind: kind(SimpleRNN)(3),
    "MinGRU": lambda kind: kind(MinGRU)(3),
    "SLSTM": lambda kind: kind(SLSTM)(3),
    "RNN": lambda kind: kind(RNN)(LSTMCell(3)),
    "Bidirectional": lambda kind: kind(Bidirectional)(LSTM(3)),
    "GlobalAveragePooling1D": lambda kind: kind(GlobalAveragePooling1D)(),
    "Conv1D": lambda kind: kind(Conv1D)(3, 2),
}


@pytest.mark.parametrize("name", MASKED)
def test_a_mask_that_forward_does_not_take_is_refused_or_ended_with_a_warning(name):
    layer = MASKED[name](without_mask)
    layer(X)
    with pytest.raises(ValueError, match="mask: the forward of Mine takes no mask; give it an argument mask"):
        layer(X, mask=MASK)
    with pytest.raises(ValueError, match="lengths: the forward of Mine takes no mask"):
        layer(X, lengths=[2, 3])
    model = Sequential([layers.Masking(input_shape=(4, 3)), MASKED[name](without_mask)])
    with pytest.warns(UserWarning, match="the forward of Mine takes no mask, so that padding is taken for data"):
        model.predict(X, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MASKED[name](lambda base: base)(X, mask=MASK)


LOSSES = {name: kind for name, kind in vars(losses).items() if isinstance(kind, type) and issubclass(kind, losses.Loss)}
del LOSSES["Loss"], LOSSES["LossFunctionWrapper"]


def model_for(loss):
    model = Sequential([Dense(3, "softmax", input_shape=(4, 3))])
    model.compile("sgd", loss)
    return model


@pytest.mark.parametrize("name", LOSSES)
def test_call_and_gradient_of_a_loss_of_ones_own_are_those_that_count(name):
    y = np.zeros((2, 4, 3), "float32")
    y[..., 1] = 1
    if "Sparse" in name:
        y = y.argmax(-1)
    if name == "CTC":
        y = np.array([[1, 2], [2, 1]])
    calls = []

    class Mine(LOSSES[name]):
        def call(self, y_true, y_pred):
            calls.append("call")
            return np.full(y_pred.shape[:-1], 2.0, y_pred.dtype)

        def gradient(self, y_true, y_pred):
            calls.append("gradient")
            return np.zeros_like(y_pred)

    if name in ("CTC", "CRF"):
        Mine.targets = lambda self, y, shape, dtype, name="y": np.zeros(shape[:-1])
        Mine.rows = lambda self, y_true, y_pred: len(y_pred)
    model = model_for(Mine())
    before = model.get_weights()
    assert model.evaluate(X, y, verbose=0) == 2.0
    assert model.train_on_batch(X, y) == 2.0
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert calls.count("call") >= 2
    assert calls.count("gradient") == 1


def test_a_loss_of_ones_own_without_a_gradient_of_its_own_is_not_trained_with_anothers():
    class Mine(losses.MeanSquaredError):
        def call(self, y_true, y_pred):
            return np.abs(y_true - y_pred).mean(-1)

    model, y = model_for(Mine()), np.zeros((2, 4, 3), "float32")
    assert model.evaluate(X, y, verbose=0) == pytest.approx(1 / 3, rel=1e-6)
    slopes = Mine().gradient(y[0], np.array(X[0]))  # not those of the squares
    np.testing.assert_allclose(slopes, np.sign(X[0]) / 3, rtol=1e-6)
    with pytest.raises(TypeError, match="Other: define call and gradient, of each sample, instead of __call__"):
        type("Other", (losses.MeanSquaredError,), {"__call__": lambda self, y, p: 0.0})


@pytest.mark.parametrize("returned", [lambda y, p: np.mean((p - y) ** 2), lambda y, p: (p - y) ** 2, lambda y, p: 1.0])
def test_a_loss_that_is_not_one_of_each_sample_is_not_trained_with(returned):
    def loss(y_true, y_pred):
        return returned(y_true, y_pred)

    loss.gradient = lambda y, p: p - y
    model, y = model_for(loss), np.zeros((2, 4, 3), "float32")
    model.evaluate(X, y, verbose=0)  # as in Keras: their mean
    with pytest.raises(ValueError, match=r"loss: expected the loss of each sample, shape \(2, 4\), got shape"):
        model.train_on_batch(X, y)


class Twice(LSTM):
    def forward(self, inputs, training=False, **options):
        return super().forward(inputs, training, **options) * 2


class TwiceDense(Dense):
    def forward(self, inputs, training=False):
        return 2 * super().forward(inputs, training)

    def backward(self, d_outputs, need_d_inputs=True):
        return super().backward(2 * d_outputs, need_d_inputs)


def test_streams_do_not_go_around_a_forward_of_ones_own():
    for layer in (Twice(3, return_sequences=True, input_shape=(None, 3)), TwiceDense(3, input_shape=(None, 3))):
        model = Sequential([layer])
        with pytest.raises(NotImplementedError, match="cannot be run piece by piece; define stream beside forward"):
            model.stream()


def test_wrappers_that_would_go_around_it_refuse():
    for make in (lambda: Bidirectional(Twice(3)), lambda: Bidirectional(LSTM(3), backward_layer=Twice(3))):
        with pytest.raises(ValueError, match="Twice has a forward of its own, which would not be called"):
            make()
    for base in (layers.TimeDistributed, layers.Residual, Sequential):
        for method in ("forward", "backward", "compute_mask"):
            with pytest.raises(TypeError, match=f"Mine: defines {method}, which .*; derive it from (Layer|Model)"):
                type("Mine", (base,), {method: lambda self, inputs, training=False: inputs})
    twice = Twice(3, return_sequences=True, dtype="float64")
    for wrapped in (layers.TimeDistributed(twice), layers.Residual(Twice(3, return_sequences=True, dtype="float64"))):
        x = numbers(2, 5, 4, 3) if isinstance(wrapped, layers.TimeDistributed) else numbers(2, 4, 3)
        outputs = wrapped(x)
        inner = wrapped.sublayers[0]
        plain = LSTM(3, return_sequences=True, dtype="float64")
        plain.build((None, None, 3))
        plain.set_weights(inner.get_weights())
        want = plain(x.reshape(-1, 4, 3)).reshape(x.shape)
        np.testing.assert_array_equal(outputs, 2 * want if x.ndim == 4 else x + 2 * want)


def test_a_forward_that_cannot_leave_out_the_activation_is_not_asked_to():
    y = np.zeros((2, 4, 3), "float32")
    y[..., 1] = 1
    model = Sequential([TwiceDense(3, "softmax", input_shape=(4, 3))])
    model.compile("sgd", "categorical_crossentropy")
    p = 2 * Sequential([d := Dense(3, "softmax", input_shape=(4, 3))]).predict(X, verbose=0)
    model.set_weights(d.get_weights())
    want = -np.log(p[..., 1] / p.sum(-1)).mean()
    assert model.train_on_batch(X, y) == pytest.approx(want, rel=1e-5)


def test_a_layers_activation_may_be_changed_and_the_loss_follows():
    from lstmcore import activations

    y = np.zeros((2, 4, 3), "float32")
    y[..., 1] = 1
    model = model_for("categorical_crossentropy")
    model.layers[-1].activation = activations.get("sigmoid")
    p = model.predict(X, verbose=0)
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-(X @ model.get_weights()[0] + model.get_weights()[1]))), rtol=1e-5)
    want = -np.log(p[..., 1] / p.sum(-1)).mean()
    assert model.evaluate(X, y, verbose=0) == pytest.approx(want, rel=1e-5)


def test_compute_mask_of_a_class_beside_the_layer_counts():
    class Makes:
        def compute_mask(self, inputs, mask=None):
            return (inputs != 0).any(-1)

    class Mine(Makes, Dense):
        pass

    model = Sequential([Mine(3, input_shape=(4, 3)), LSTM(2)])
    x = np.where(MASK[..., None], X, 0)
    plain = LSTM(2)
    hidden = model.layers[0](x)
    plain(hidden)
    plain.set_weights(model.layers[1].get_weights())
    np.testing.assert_array_equal(model(x), plain(hidden, mask=MASK))


EAGER = {
    "Dense": lambda: Dense(3, "tanh"),
    "Conv1D": lambda: Conv1D(2, 2, padding="same"),
    "Activation": lambda: layers.Activation("relu"),
    "Dropout": lambda: layers.Dropout(0.3),
    "BatchNormalization": layers.BatchNormalization,
    "LayerNormalization": layers.LayerNormalization,
    "AveragePooling1D": layers.AveragePooling1D,
    "Flatten": layers.Flatten,
    "Reshape": lambda: layers.Reshape((3, 4)),
    "Identity": layers.Identity,
    "ZeroPadding1D": layers.ZeroPadding1D,
    "GlobalMaxPooling1D": layers.GlobalMaxPooling1D,
    "LSTM": lambda: LSTM(3, return_sequences=True),
    "TimeDistributed": lambda: layers.TimeDistributed(Dense(2)),
    "Residual": lambda: layers.Residual(Dense(3)),
    "Sequential": lambda: Sequential([Dense(2)]),
}


@pytest.mark.parametrize("name", EAGER)
def test_gradients_that_do_not_fit_what_was_returned_are_refused(name):
    layer = EAGER[name]()
    outputs = layer(X, training=True)
    for shape in ((1, *outputs.shape[1:]), (*outputs.shape[:-1], 1), (*outputs.shape, 1)):
        outputs = layer(X, training=True)
        with pytest.raises(ValueError, match=r"d_outputs: expected shape \(2, .*, got \("):
            layer.backward(np.ones(shape, "float32"))
    layer(X, training=True)
    with pytest.raises(ValueError, match=r"d_outputs: expected shape \(2, .*, got list"):
        layer.backward(outputs.tolist())
    layer(X, training=True)
    with pytest.raises(TypeError, match="d_outputs: expected dtype float32, got float64"):
        layer.backward(outputs.astype("float64"))
    layer(X, training=True)
    layer.backward(outputs)


@pytest.mark.parametrize("name", EAGER)
def test_what_a_call_has_returned_does_not_count_in_later_passes(name):
    model = layer = EAGER[name]()
    layer(np.concatenate([X, X, X]), training=True)  # of more rows, and no way back
    if not isinstance(layer, Sequential):
        model = Sequential([layer])
        model.build((None, 4, 3))
    for outer in (model, Sequential([model])):
        outer.compile("sgd", "mse")
        outer.train_on_batch(X, np.zeros(outer(X).shape, "float32"))
        layer(np.concatenate([X, X, X]), training=True)


def test_nor_does_what_a_model_of_ones_own_has_returned():
    model = Hand()
    model(np.concatenate([X, X]), training=True)
    outer = Sequential([model])
    outer.build((None, 4, 3))
    outer.compile("sgd", "mse")
    outer.train_on_batch(X, np.zeros((2, 4, 1), "float32"))


class Hand(Model):
    """Takes its steps by hand."""

    def __init__(self):
        super().__init__()
        self.dense = Dense(1)

    def forward(self, inputs, training=False):
        return self.dense(inputs, training=training)

    def backward(self, d_outputs, need_d_inputs=True):
        return self.dense.backward(d_outputs, need_d_inputs)


class ByHand(Hand):
    def train_step(self, data):
        x, y = data
        outputs = self(x, training=True)
        self.backward(2 * (outputs - y) / outputs.size)
        self.optimizer.step(self.parameters)
        return {"loss": float(((outputs - y) ** 2).mean())}


def test_steps_that_are_taken_by_hand_begin_with_gradients_of_zero():
    x, y = numbers(8, 3).astype("float32"), numbers(8, 1, seed=1).astype("float32")
    models = Hand(), ByHand()
    for model in models:
        model(x)
        model.compile("sgd", "mse")
    models[1].set_weights(models[0].get_weights())
    histories = [model.fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0).history for model in models]
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    assert len(histories[1]["loss"]) == 3


def test_a_backward_that_returns_nothing_is_named():
    class Forgets(layers.Layer):
        def forward(self, inputs, training=False):
            return inputs * 2

        def backward(self, d_outputs, need_d_inputs=True):
            d_outputs * 2

    model = Sequential([Dense(3, input_shape=(3,)), Forgets(name="forgets"), Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="forgets: backward: expected the gradient of its inputs, got None"):
        model.train_on_batch(numbers(4, 3), numbers(4, 1))


class Wrapper(Bidirectional):
    def forward(self, inputs, training=False, initial_state=None, mask=None, lengths=None):
        outputs = super().forward(inputs, training, initial_state, mask, lengths)
        outputs *= 2
        return outputs

    def backward(self, d_outputs, need_d_inputs=True):
        return super().backward(2 * d_outputs, need_d_inputs)


def test_a_class_derived_from_bidirectional_may_write_to_what_that_returns():
    derived, plain = (
        kind(LSTM(3, return_sequences=True, dtype="float64"), dtype="float64") for kind in (Wrapper, Bidirectional)
    )
    x, d = numbers(2, 4, 3), numbers(2, 4, 6, seed=1)
    derived(x)
    plain(x)
    derived.set_weights(plain.get_weights())
    gradients = []
    for layer, factor in ((derived, 1), (plain, 2)):
        for v in layer.variables:
            v.gradient.fill(0)
        layer.forward(x, training=True)
        gradients.append([layer.backward(factor * d), *(v.gradient.copy() for v in layer.variables)])
    for a, b in zip(*gradients, strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_a_mixin_defines_counts_too():
    class Zero:
        def call(self, y_true, y_pred):
            return np.zeros(y_pred.shape[:-1], y_pred.dtype)

        def gradient(self, y_true, y_pred):
            return np.zeros_like(y_pred)

    class Mine(Zero, losses.MeanSquaredError):
        pass

    model, y = model_for(Mine()), np.ones((2, 4, 3), "float32")
    assert model.evaluate(X, y, verbose=0) == model.train_on_batch(X, y) == 0.0

    class Doubles:
        def forward(self, inputs, training=False):
            return 2 * super().forward(inputs, training)

    class Layer(Doubles, Dense):
        pass

    with pytest.raises(NotImplementedError, match="cannot be run piece by piece"):
        Sequential([Layer(3, input_shape=(None, 3))]).stream()
    assert Layer(3, "softmax").last_activation is None
    with pytest.raises(TypeError, match="defines forward, which would not be called"):
        type("Mine", (Doubles, layers.Residual), {})


def test_a_layer_of_ones_own_may_go_back_through_its_calls_in_any_order():
    class Queue(layers.Layer):
        def __init__(self):
            super().__init__()
            self.kept_inputs = []

        def forward(self, inputs, training=False):
            self.kept_inputs.append(inputs)
            return 2 * inputs

        def backward(self, d_outputs, need_d_inputs=True):
            self.kept_inputs.pop(0)
            return 2 * np.asarray(d_outputs)

    layer = Queue()
    layer(X[:1], training=True)
    layer(X, training=True)
    assert layer.backward(X[:1]).shape == X[:1].shape
    assert layer.backward(X.tolist()).shape == X.shape


@pytest.mark.parametrize(
    ("change", "warns"),
    [
        (lambda a: np.repeat(a, 2, 1), False),
        (lambda a: np.concatenate([np.ones_like(a[:, :1]), a], 1), False),
        (lambda a: a[:, ::-1], False),
        (lambda a: a[:, 1:], False),
        (lambda a: np.ones((len(a), 7, *a.shape[2:]), a.dtype), True),
    ],
)
def test_masks_that_are_changed_by_hand_with_their_arrays_are_not_lost(change, warns):
    class Mine(Model):
        def __init__(self):
            super().__init__()
            self.embedding, self.lstm = layers.Embedding(10, 3, mask_zero=True), LSTM(4)

        def forward(self, inputs, training=False):
            hidden = self.embedding(inputs)
            return self.lstm(change(hidden), mask=change(inputs != 0))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Mine()(np.array([[1, 2, 0, 0], [3, 1, 4, 0]]))
    assert [str(w.message).count("has reached neither") for w in caught] == [1] * warns
