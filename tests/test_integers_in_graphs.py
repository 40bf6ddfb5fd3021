"""Integers stay what they are on the way through functions and a user's ``call``, and become floats where these go."""

import autograd.numpy as anp
import numpy as np
import pytest

from lstmcore import Input, Model, Sequential, layers

BIG = 2**24 + 1  # which float32 has not
DTYPES = ("int32", "int64", "uint8", "bool", "float32", "float64")
X = {
    dtype: np.array([[BIG, 3, 0], [1, 2, BIG + 2]], "int64").astype(dtype) if dtype != "uint8" else
    np.array([[250, 3, 0], [1, 2, 7]], "uint8")
    for dtype in DTYPES
}  # fmt: skip
FUNCTIONS = {
    "integers of integers": lambda x: x[:, ::-1],
    "booleans": lambda x: x > 2,
    "floats": lambda x: x / 3,
    "a product": lambda x: x * 2,
}


class Called(layers.Layer):
    def __init__(self, function, **options):
        super().__init__(**options)
        self.function = function

    def call(self, inputs):
        return self.function(inputs)


class Within(Called):
    """The same with a layer within, so that the call is drawn."""

    def __init__(self, function, **options):
        super().__init__(function, **options)
        self.inner = layers.Lambda(function)

    def call(self, inputs):
        return self.inner(inputs)


def sequential(layer, dtype):
    return Sequential([Input((3,), dtype=dtype), layer])


def undeclared(layer, dtype):
    return Sequential([layer])


def graph(layer, dtype):
    x = Input((3,), dtype=dtype)
    return Model(x, layer(x))


def nested(layer, dtype):
    x = Input((3,), dtype=dtype)
    return Model(x, graph(layer, dtype)(x))


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", [layers.Lambda, Called, Within])
def test_a_call_gives_what_numpy_does(kind, dtype, function):
    x = X[dtype]
    for make in (None, sequential, undeclared, graph, nested):
        layer = kind(function, dtype="float64" if dtype == "float64" else None)
        expected = function(x)
        if expected.dtype.kind == "f":
            expected = expected.astype(layer.dtype)
        model = layer if make is None else make(layer, dtype)
        for found in (model(x), model(x, training=True), *([] if make is None else [model.predict(x, verbose=0)])):
            assert found.dtype == expected.dtype, make
            np.testing.assert_array_equal(found, expected)
        if make in (sequential, graph, nested):
            assert model.outputs[0].dtype == expected.dtype


def test_the_trial_is_on_zeros_of_the_symbols_dtype():
    table = np.arange(12.0).reshape(4, 3)
    ids = Input((5,), dtype="int32")
    rows = layers.Lambda(lambda x: table[x])(ids)
    assert (rows.shape, rows.dtype) == ((None, 5, 3), np.float32)
    x = np.array([[0, 3, 1, 2, 3]], "int32")
    for model in (Model(ids, rows), Sequential([Input((5,), dtype="int32"), layers.Lambda(lambda x: table[x])])):
        np.testing.assert_array_equal(model.predict(x, verbose=0), table[x])
        assert model.compute_output_shape((7, 5)) == (7, 5, 3)


def test_each_of_several_outputs_has_its_dtype():
    ids = Input((3,), dtype="int64")
    parts = layers.Lambda(lambda x: {"same": x, "half": x / 2, "sign": x > 0})(ids)
    assert {name: part.dtype.name for name, part in parts.items()} == {
        "same": "int64", "half": "float32", "sign": "bool",
    }  # fmt: skip
    found = Model(ids, parts).predict(X["int64"], verbose=0)
    np.testing.assert_array_equal(found["same"], X["int64"])
    np.testing.assert_array_equal(found["half"], (X["int64"] / 2).astype("float32"))
    np.testing.assert_array_equal(found["sign"], X["int64"] > 0)


@pytest.mark.parametrize("kind", [layers.Lambda, Called, Within])
@pytest.mark.parametrize("dtype", ["int32", "int64", None])
def test_ids_reach_an_embedding_with_all_digits(kind, dtype):
    ids = np.array([[BIG, BIG + 2, 3], [BIG - 1, 5, 4], [1, BIG + 1, 2]], dtype or "int64")

    def last(x):  # of floats, the odd ones would be even
        return x % 4

    def head():
        return [layers.Embedding(4, 2), layers.Flatten(), layers.Dense(1)]

    x = Input((3,), **({} if dtype is None else {"dtype": dtype}))
    y = kind(last)(x)
    for layer in head():
        y = layer(y)
    plain = Sequential([Input((3,)), *head()])
    weights = plain.get_weights()
    plain.compile("sgd", "mse")
    plain.fit(ids % 4, np.arange(3.0), epochs=3, batch_size=2, shuffle=False, verbose=0)
    for model in (Model(x, y), Sequential([kind(last), *head()])):
        model.predict(ids, verbose=0)
        model.set_weights(weights)
        model.compile("sgd", "mse")
        model.fit(ids, np.arange(3.0), epochs=3, batch_size=2, shuffle=False, verbose=0)
        np.testing.assert_array_equal(model.predict(ids, verbose=0), plain.predict(ids % 4, verbose=0))
        for found, expected in zip(model.get_weights(), plain.get_weights(), strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", [layers.Lambda, Called, Within])
def test_what_takes_floats_gets_them(kind):
    """A comparison or a choice of columns, between layers that are trained."""
    x = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    inputs = Input((4,))
    first = layers.Dense(3)
    hidden = first(inputs)
    positive = kind(lambda h: h > 0)(hidden)
    assert positive.dtype == bool
    gated = layers.Multiply()([hidden, positive])
    second = layers.Dense(2)
    model = Model(inputs, [second(positive), gated])
    made, relu = model.predict(x, verbose=0)
    h = x @ first.kernel.numpy() + first.bias.numpy()
    np.testing.assert_allclose(relu, np.maximum(h, 0), rtol=1e-5)
    np.testing.assert_allclose(made, (h > 0) @ second.kernel.numpy() + second.bias.numpy(), rtol=1e-5)
    model.compile("sgd", "mse")
    before = [w.copy() for w in model.get_weights()]
    model.fit(x, [np.ones((6, 2)), np.ones((6, 3))], epochs=1, verbose=0)
    assert all((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))


def test_integers_go_into_a_model_whose_inputs_are_nested():
    a, b = Input((2,)), Input((2,))
    nested = Model([[a], b], [layers.Dense(1)(a), layers.Dense(1)(b)])
    ids, x = Input((2,), dtype="int32"), Input((2,))
    model = Model([ids, x], nested([[layers.Lambda(lambda x: x * 2)(ids)], x]))
    given = [np.array([[1, 2]], "int32"), np.array([[0.5, 1.5]], "float32")]
    for found, expected in zip(model(given), nested([[given[0] * 2.0], given[1]]), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_integers_go_into_layers_of_floats_as_such():
    x = np.array([[[1], [2], [3]], [[0], [5], [7]]], "int32")
    for layer in (layers.LSTM(2), layers.Dense(2), layers.Conv1D(2, 2), layers.LayerNormalization(), layers.ReLU()):
        inputs = Input((3, 1), dtype="int32")
        model = Model(inputs, layer(layers.Permute((1, 2))(inputs)))
        np.testing.assert_array_equal(model.predict(x, verbose=0), layer(x.astype("float32")))


def test_a_loss_of_integers_is_that_of_the_numbers():
    for dtype in ("int32", "bool", "uint8"):
        model = sequential(layers.Lambda(lambda x: x), dtype)
        model.compile("sgd", "mse", metrics=["mae"])
        x = np.array([[0, 1, 1], [1, 0, 1]], dtype)
        y = np.array([[0.5, 1, 1], [1, 1, 1]])
        loss, mae = model.evaluate(x, y, verbose=0)
        np.testing.assert_allclose([loss, mae], [np.mean((x - y) ** 2), np.mean(np.abs(x - y))], rtol=1e-6)


def test_a_function_of_autograd_is_trained_beside_integers():
    table = np.array([0.5, -1.0, 2.0])

    class Scaled(layers.Layer):
        def build(self, input_shape):
            self.table = self.add_weight(name="table", shape=(3,), initializer="zeros")

        def call(self, inputs):
            return anp.sum(self.table[inputs], axis=1, keepdims=True)

    ids = np.random.default_rng(0).integers(0, 3, (64, 5))
    x = Input((5,), dtype="int64")
    model = Model(x, Scaled()(x))
    model.compile("sgd", "mse")
    model.optimizer.learning_rate = 0.05
    model.fit(ids, table[ids].sum(1, keepdims=True), epochs=60, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], table, atol=0.01)


def test_no_gradient_goes_through_integers():
    x = np.array([[0.6, 1.7]], "float32")
    first = layers.Dense(2)
    model = Sequential([Input((2,)), first, layers.Lambda(lambda h: h.astype(int) + h[:, :1])])
    whole = Sequential([first, layers.Lambda(lambda h: h.astype(int))])
    for each, moves in ((model, True), (whole, False)):
        each.predict(x, verbose=0)
        each.compile("sgd", "mse")
        before = first.kernel.numpy()
        each.fit(x, np.ones((1, 2)) * 5, epochs=1, verbose=0)
        assert (first.kernel.numpy() != before).any() == moves


def test_shapes_are_told_in_the_structure_and_for_the_dtypes_of_inputs_and_outputs():
    table = np.arange(5)

    class Both(Model):
        def __init__(self):
            super().__init__()
            self.embedding, self.dense = layers.Embedding(5, 3), layers.Dense(2)

        def call(self, inputs):
            vectors = self.embedding(layers.Lambda(lambda ids: table[ids])(inputs["ids"]))
            return {"vectors": vectors, "rest": [self.dense(inputs["numbers"]), layers.Flatten()(vectors)]}

    called = Both()
    called({"ids": np.zeros((2, 4), int), "numbers": np.zeros((2, 6))})
    ids, given = Input((None,), dtype="int64", name="ids"), Input((6,), name="numbers")
    graph = Model({"ids": ids, "numbers": given}, called({"ids": ids, "numbers": given}))
    for model in (called, graph):
        for batch in (None, 7):
            for shape in ({"ids": (batch, 4), "numbers": (batch, 6)}, {"numbers": [batch, 6], "ids": [batch, 4]}):
                assert model.compute_output_shape(shape) == {
                    "vectors": (batch, 4, 3),
                    "rest": [(batch, 2), (batch, 12)],
                }


@pytest.mark.parametrize("dtype", ["int64", None])
def test_integers_at_every_step_and_out_of_models_within(dtype):
    table = np.arange(6.0).reshape(3, 2)
    ids = np.array([[[0, 2], [1, 1], [2, 0]]])
    inputs = Input((3, 2), **({} if dtype is None else {"dtype": dtype}))
    steps = layers.TimeDistributed(layers.Lambda(lambda x: x % 2))(inputs)
    assert steps.dtype == (dtype or "float32")
    dense = layers.Dense(2)
    np.testing.assert_array_equal(Model(inputs, dense(steps)).predict(ids, verbose=0), dense(ids % 2.0))
    within = Model(inputs, steps)
    outer = Input((3, 2), **({} if dtype is None else {"dtype": dtype}))
    np.testing.assert_array_equal(Model(outer, dense(within(outer))).predict(ids, verbose=0), dense(ids % 2.0))
    if dtype is not None:
        found = layers.TimeDistributed(layers.Lambda(lambda x: table[x]))(inputs)
        assert (found.shape, found.dtype) == ((None, 3, 2, 2), np.float32)
        np.testing.assert_array_equal(Model(inputs, found).predict(ids, verbose=0), table[ids])
