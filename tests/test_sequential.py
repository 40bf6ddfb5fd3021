"""A Sequential keeps, nests, freezes and describes its layers; a Model of one's own trains as well."""

import numpy as np
import pytest
from layer_tools import set_values

import lstmcore
from lstmcore import Input, Model, Sequential, layers, optimizers

X = np.random.default_rng(0).standard_normal((16, 6, 2)).astype("float32")
Y = X.sum((1, 2))[:, None] / 10


def seeded(make):
    lstmcore.utils.set_random_seed(7)
    return make()


class Stack(Model):
    """LSTM, LSTM, Dense, by hand."""

    def __init__(self):
        super().__init__()
        self.rnn = [layers.LSTM(4, return_sequences=True), layers.LSTM(3)]
        self.out = layers.Dense(1)

    def forward(self, inputs, training=False):
        for layer in self.rnn:
            inputs = layer(inputs, training=training)
        return self.out(inputs, training=training)

    def backward(self, d_outputs, need_d_inputs=True):
        d = self.out.backward(d_outputs)
        d = self.rnn[1].backward(d)
        return self.rnn[0].backward(d, need_d_inputs)


def chain():
    return Sequential([layers.LSTM(4, return_sequences=True), layers.LSTM(3), layers.Dense(1)])


def nested():
    encoder = Sequential([layers.LSTM(4, return_sequences=True), layers.LSTM(3)])
    return Sequential([encoder, layers.Dense(1)])


def test_nested_and_subclassed_models_train_as_a_chain_does():
    results = []
    for make in (chain, nested, Stack):
        model = seeded(make)
        model.compile("adam", "mse", metrics=["mae"])
        history = model.fit(X, Y, epochs=3, batch_size=5, validation_split=0.25, verbose=0)
        results.append((history.history, model.parameters.values.copy(), model.predict(X)))
    for history, values, outputs in results[1:]:
        assert history == results[0][0]
        np.testing.assert_array_equal(values, results[0][1])
        np.testing.assert_array_equal(outputs, results[0][2])


def test_a_model_of_ones_own_can_be_a_layer():
    def train(first):
        model = Sequential([first, layers.Dense(2)])
        model.compile("adam", "mse")
        model.fit(X, np.repeat(Y, 2, axis=1), verbose=0)
        return model

    model, same = seeded(lambda: train(Stack())), seeded(lambda: train(chain()))
    np.testing.assert_array_equal(model.predict(X), same.predict(X))
    assert model.output_shape == (None, 2)


def test_a_nested_model_can_be_trained_by_itself_too():
    encoder = Sequential([layers.LSTM(3, input_shape=(None, 2))])
    encoder.compile("sgd", "mse")
    outer = Sequential([encoder, layers.Dense(1)])
    outer.compile("sgd", "mse")
    for _ in range(2):
        before = encoder.get_weights()
        outer.train_on_batch(X, Y)
        middle = encoder.get_weights()
        encoder.train_on_batch(X, np.zeros((16, 3)))
        after = encoder.get_weights()
        assert all((a != b).any() for a, b in zip(before, middle, strict=True))
        assert all((a != b).any() for a, b in zip(middle, after, strict=True))
        np.testing.assert_array_equal(outer.predict(X), outer.layers[1](encoder.predict(X)))


def test_masks_go_through_nested_models():
    tokens = np.array([[3, 1, 0, 0], [2, 2, 2, 0]])

    def embedding():
        return layers.Embedding(5, 3, mask_zero=True)

    makers = (
        lambda: Sequential([embedding(), layers.LSTM(4), layers.Dense(1)]),
        lambda: Sequential([Sequential([embedding()]), layers.LSTM(4), layers.Dense(1)]),
        lambda: Sequential([Sequential([embedding(), layers.LSTM(4)]), layers.Dense(1)]),
    )
    flat, *others = (seeded(lambda make=make: make()(tokens)) for make in makers)
    for got in others:
        np.testing.assert_array_equal(got, flat)


def test_frozen_layers_stay_and_the_others_move():
    model = seeded(chain)
    model.build((None, None, 2))
    model.layers[0].trainable = False
    model.compile("adam", "mse")
    assert model.parameters.values.size == sum(v.size for v in model.trainable_variables)
    before = model.get_weights()
    model.fit(X, Y, epochs=2, verbose=0)
    moved = [(a != b).any() for a, b in zip(before, model.get_weights(), strict=True)]
    assert moved == [False, False, False, True, True, True, True, True]
    model.layers[0].trainable = True
    model.fit(X, Y, verbose=0)  # without compile nothing changes
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    assert (model.get_weights()[0] != before[0]).any()


def test_a_model_that_is_frozen_as_a_whole():
    model = Sequential([layers.Dense(1, input_shape=(2,))], trainable=False)
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(X[:, 0], Y, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    assert not model.trainable_variables


def lines_of(model, **options):
    lines = []
    model.summary(print_fn=lines.append, **options)
    return lines


def test_summary_counts_as_keras_does():
    model = Sequential([Input((6, 2)), layers.LSTM(4), layers.BatchNormalization(), layers.Dense(1)])
    # LSTM 4 * (2 * 4 + 4 * 4 + 4) = 112; normalisation 4 * 4, half of it averages; Dense 5.
    text = "\n".join(lines_of(model))
    assert " Total params: 133 " in text
    assert " Trainable params: 125 " in text
    assert " Non-trainable params: 8 " in text
    assert "Optimizer" not in text
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    text = "\n".join(lines_of(model))
    assert " Optimizer params: 252 " in text  # two slots, the number of steps and the learning rate
    assert " Total params: 385 " in text
    model.layers[0].trainable = False
    lines = lines_of(model, show_trainable=True)
    assert next(line for line in lines if "(LSTM)" in line).split("│")[-2].strip() == "N"
    assert next(line for line in lines if "(Dense)" in line).split("│")[-2].strip() == "Y"


def test_summary_can_look_into_nested_models():
    model = nested()
    model.build((None, 6, 2))
    assert not any("(LSTM)" in line for line in lines_of(model))
    assert sum("(LSTM)" in line for line in lines_of(model, expand_nested=True)) == 2
    assert "(None, 3)" in "\n".join(lines_of(model))
    assert "?" in "\n".join(lines_of(chain()))


def test_a_config_makes_an_equal_model():
    model = Sequential(
        [
            Input((6, 2)),
            Sequential([layers.LSTM(4, return_sequences=True, dropout=0.1)], name="inner"),
            layers.Bidirectional(layers.GRU(3)),
            layers.Dense(1, activation="sigmoid", kernel_regularizer="l2"),
        ],
        name="outer",
    )
    again = Sequential.from_config(model.get_config())
    assert again.name == "outer"
    assert again.get_config() == model.get_config()
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    late = Sequential([layers.LSTM(2)])
    late(X)
    assert Sequential.from_config(late.get_config()).built


def test_pop_and_add():
    model = Sequential([layers.LSTM(3, input_shape=(6, 2)), layers.Dense(1)])
    head = model.pop()
    assert model.output_shape == (None, 3)
    model.add(head)
    assert model.output_shape == (None, 1)
    assert model(X, training=True).shape == (16, 1)
    assert model(X, training=None).shape == (16, 1)


def test_models_that_are_not_offered_or_not_whole_say_so():
    with pytest.raises(TypeError, match=r"outputs: expected symbols, got None"):
        Model(inputs=Input((3,)), outputs=None)
    with pytest.raises(TypeError, match="outputs: expected symbols, got <Dense"):
        Model(Input((3,)), layers.Dense(1))
    with pytest.raises(TypeError, match="layers: expected a list of layers, got <"):
        Sequential(layers.LSTM(2))
    with pytest.raises(TypeError, match="index: expected an integer, got '0'"):
        Sequential([layers.Dense(2)]).get_layer(index="0")

    class Empty(Model):
        pass

    class Forgetful(Stack):
        def __init__(self):
            super().__init__()
            self.extra = layers.Dense(2, name="extra")

    class Listing(Stack):
        def forward(self, inputs, training=False):
            return [super().forward(inputs, training)]

    for kind, error, text in (
        (Empty, ValueError, "has no layers"),
        (Forgetful, ValueError, "forward does not use extra"),
        (Listing, (TypeError, AttributeError), "list"),
    ):
        model = kind()
        model.compile("sgd", "mse")
        with pytest.raises(error, match=text):
            model.fit(X, Y, verbose=0)


def test_activity_regularizers_add_a_penalty_and_its_gradient():
    def make(activity):
        lstmcore.utils.set_random_seed(2)
        model = Sequential(
            [
                layers.Dense(4, "tanh", dtype="float64", activity_regularizer=activity, input_shape=(2,)),
                layers.Dense(1, dtype="float64", activity_regularizer=activity),
            ]
        )
        model.compile(optimizers.SGD(1.0), "mse")
        return model

    from lstmcore.regularizers import L2

    x, y = X[:, 0].astype("float64"), Y.astype("float64")
    plain, penalised = make(None), make(L2(0.3))

    def loss(model):  # Keras's: the regularizer of the outputs, divided by the rows
        hidden = model.layers[0](x)
        outputs = model.layers[1](hidden)
        return np.mean((outputs - y) ** 2) + 0.3 * (np.sum(hidden**2) + np.sum(outputs**2)) / len(x)

    assert penalised.evaluate(x, y, verbose=0) == pytest.approx(loss(penalised), rel=1e-12)
    assert plain.evaluate(x, y, verbose=0) < loss(plain)
    before = penalised.parameters.values.copy()
    assert penalised.train_on_batch(x, y) == pytest.approx(loss(plain), rel=1e-12)  # the loss before the step
    gradient = before - penalised.parameters.values  # of SGD with a rate of 1
    values, step = plain.parameters.values, 1e-6
    for k in range(values.size):
        pair = []
        for sign in (1, -2):
            set_values(plain.parameters, values[k] + sign * step, k)
            pair.append(loss(plain))
        set_values(plain.parameters, values[k] + step, k)
        assert gradient[k] == pytest.approx((pair[0] - pair[1]) / (2 * step), rel=1e-6, abs=1e-9)


def test_weight_regularizers_add_to_the_loss_and_to_the_step():
    lstmcore.utils.set_random_seed(3)
    model = Sequential([layers.Dense(1, dtype="float64", kernel_regularizer="l2", input_shape=(2,))])
    model.compile(optimizers.SGD(0.1), "mse", metrics=["mse"])
    x, y = X[:, 0].astype("float64"), Y.astype("float64")
    kernel, bias = model.get_weights()
    error = x @ kernel + bias - y
    want = np.mean(error**2) + 0.01 * np.sum(kernel**2)
    assert model.test_on_batch(x, y) == pytest.approx([want, np.mean(error**2)], rel=1e-12)
    assert model.train_on_batch(x, y) == pytest.approx([want, np.mean(error**2)], rel=1e-12)
    gradient = 2 * x.T @ error / len(x) + 0.02 * kernel
    np.testing.assert_allclose(model.get_weights()[0], kernel - 0.1 * gradient, rtol=1e-12)
