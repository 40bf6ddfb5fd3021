"""The dtype of a model is that of its layers: what was given none takes it, what was given another is refused."""

import numpy as np
import pytest
from layer_tools import numbers

from lstmcore import Input, Model, Sequential, layers, models, reference

X, Y = numbers(4, 5, 3), numbers(4, 1)


class Own(Model):
    """Layers as attributes, in lists and dicts, and within others, all of them given no dtype, or ``inner``."""

    def __init__(self, inner=None, **options):
        super().__init__(**options)
        self.blocks = [layers.Bidirectional(layers.LSTM(3, return_sequences=True, dtype=inner)), layers.Dropout(0.0)]
        self.more = {"a": layers.Residual([layers.Dense(6), layers.TimeDistributed(layers.Dense(6, "tanh"))])}
        self.cells = layers.RNN([layers.GRUCell(4), layers.LSTMCell(3)])
        self.chain = Sequential([layers.LayerNormalization(), layers.Dense(1)])

    @property
    def order(self):
        return [*self.blocks, self.more["a"], self.cells, self.chain]

    def forward(self, inputs, training=False):
        for layer in self.order:
            inputs = layer(inputs, training=training)
        return inputs

    def backward(self, d_outputs, need_d_inputs=True):
        for layer in reversed(self.order):
            d_outputs = layer.backward(d_outputs)
        return d_outputs


def all_within(layer):
    return [layer, *(part for inner in layer.sublayers for part in all_within(inner))]


@pytest.mark.parametrize(
    ("options", "want"),
    [
        ({}, "float32"),
        ({"dtype": "float32"}, "float32"),
        ({"dtype": "float64"}, "float64"),
        ({"inner": "float64"}, "float64"),
        ({"inner": "float64", "dtype": "float64"}, "float64"),
    ],
)
def test_a_model_of_ones_own(options, want):
    model = Own(**options)
    assert {part.dtype.name for part in all_within(model)} == {want}
    assert model(X).dtype == want
    assert {v.dtype.name for v in model.variables} == {want}
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    assert model.parameters.values.dtype == want
    assert model.predict(X).dtype == want
    # The first call of a new model has all the digits too: it is not built from rounded inputs.
    twin = Own(**options)
    twin.build((None, 5, 3))
    twin.set_weights(model.get_weights())
    fresh = Own(**options)
    fresh.blocks[0].ensure_built((None, 5, 3))
    fresh.blocks[0].set_weights(model.blocks[0].get_weights())
    first = fresh.blocks[0](X.astype(want))
    np.testing.assert_array_equal(first, twin.blocks[0](X.astype(want)))


def test_the_first_prediction_of_a_model_of_float64_layers_is_not_rounded():
    class Line(Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1, kernel_initializer="ones", dtype="float64")

        def forward(self, inputs, training=False):
            return self.dense(inputs, training=training)

    x = np.full((2, 1), 1 / 3)
    for use in (Line().predict, Line(), Line().predict_on_batch):
        np.testing.assert_array_equal(use(x), x)


def test_numbers_are_those_of_double_precision():
    model = Sequential([layers.Bidirectional(layers.LSTM(3), dtype="float64", input_shape=(5, 3)), layers.Dense(1)])
    w = [0.5 * numbers(*a.shape, seed=k) for k, a in enumerate(model.get_weights())]
    model.set_weights(w)
    forward, _ = reference.lstm(X, w[:3])
    backward, _ = reference.lstm(X[:, ::-1], w[3:6])
    want = np.concatenate([forward[:, -1], backward[:, -1]], axis=1) @ w[6] + w[7]
    np.testing.assert_allclose(model.predict(X), want, rtol=1e-13)


WRAPPED = {
    "time distributed": lambda inner=None, **o: layers.TimeDistributed(layers.Dense(3, dtype=inner), **o),
    "residual": lambda inner=None, **o: layers.Residual([layers.Dense(3), layers.Dense(3, dtype=inner)], **o),
    "bidirectional": lambda inner=None, **o: layers.Bidirectional(layers.GRU(3, dtype=inner), **o),
    "two": lambda inner=None, **o: layers.Bidirectional(
        layers.GRU(3, dtype=inner), backward_layer=layers.LSTM(3, go_backwards=True, dtype=inner), **o
    ),
    "without a recurrent kernel": lambda inner=None, **o: layers.Bidirectional(layers.MinLSTM(3, dtype=inner), **o),
    "four states": lambda inner=None, **o: layers.Bidirectional(layers.SLSTM(3, dtype=inner), **o),
    "cells in both directions": lambda inner=None, **o: layers.Bidirectional(
        layers.RNN([layers.LSTMCell(3, dtype=inner), layers.GRUCell(3)]), **o
    ),
    "rnn": lambda inner=None, **o: layers.RNN([layers.GRUCell(3), layers.LSTMCell(3, dtype=inner)], **o),
    "nested": lambda inner=None, **o: layers.TimeDistributed(layers.TimeDistributed(layers.Dense(3, dtype=inner)), **o),
    "chain": lambda inner=None, **o: layers.TimeDistributed(Sequential([layers.Dense(3, dtype=inner)]), **o),
}


@pytest.mark.parametrize("make", WRAPPED.values(), ids=WRAPPED)
def test_layers_within_layers(make):
    x = numbers(2, 4, 5, 3) if make is WRAPPED["nested"] else X
    for options in ({"dtype": "float64"}, {"dtype": "float64", "inner": "float64"}):
        layer = make(**options)
        assert {part.dtype.name for part in all_within(layer)} == {"float64"}
        assert layer(x).dtype == "float64"
        assert {v.dtype.name for v in layer.variables} == {"float64"}
    assert make().dtype == "float32"
    for owner, inner in (("float64", "float32"), ("float32", "float64")):
        with pytest.raises(ValueError, match=f"layer: expected dtype {owner}, got {inner} "):
            make(dtype=owner, inner=inner)
    chain = Sequential([layers.Identity(dtype="float64"), make()])
    assert {part.dtype.name for part in all_within(chain)} == {"float64"}


@pytest.mark.parametrize("name", ["time distributed", "bidirectional", "two", "cells in both directions", "chain"])
def test_a_wrapper_has_the_dtype_of_what_it_wraps(name):
    layer = WRAPPED[name](inner="float64")
    assert {part.dtype.name for part in all_within(layer)} == {"float64"}
    with pytest.raises(ValueError, match="expected dtype float32, got float64"):
        Sequential([layers.Identity(dtype="float32"), layer])


def test_a_chain_has_the_dtype_of_its_first_layer():
    model = Sequential([Input((5, 3)), layers.LSTM(3, dtype="float64"), layers.Dense(1)])
    assert model.dtype == model.layers[1].dtype == np.float64
    assert model.predict(X).dtype == np.float64
    with pytest.raises(ValueError, match=r"layer: expected dtype float32, got float64 \(last\); give both the same"):
        Sequential([layers.LSTM(3), layers.Dense(1, dtype="float64", name="last")])


class Block(layers.Layer):
    """A layer of a user's, of layers; those made in ``build`` know nothing of its dtype."""

    def __init__(self, late=False, late_dtype=None, **options):
        super().__init__(**options)
        self.late, self.late_dtype = late, late_dtype
        self.dense = layers.Dense(3)

    def build(self, input_shape):
        self.dense.ensure_built(input_shape)
        self.scale = self.add_weight(name="scale", shape=(3,), initializer="ones")
        if self.late:
            self.second = layers.Dense(3, dtype=self.late_dtype)
            self.second.ensure_built(input_shape)

    def forward(self, inputs, training=False):
        return self.dense(inputs, training=training) * self.scale.value


def test_a_layer_of_a_users():
    block = Block(dtype="float64")
    assert block(X).dtype == np.float64
    assert {v.dtype.name for v in block.variables} == {"float64"}
    assert Sequential([layers.Identity(dtype="float64"), Block()])(X).dtype == np.float64
    assert Block(late=True, late_dtype="float64", dtype="float64")(X).dtype == np.float64
    with pytest.raises(ValueError, match=r"build: expected weights of dtype float64, got dense\S*/kernel of float32"):
        Block(late=True, dtype="float64")(X)


def test_weights_of_another_dtype_are_not_converted():
    layer = layers.Dense(3)
    layer(X.astype("float32"))
    with pytest.raises(ValueError, match="expected dtype float64, got float32"):
        Sequential([layers.Identity(dtype="float64"), layer])
    assert Sequential([layer]).dtype == np.float32


def test_what_is_wrong_is_said_when_the_layer_is_set():
    with pytest.raises(ValueError, match=r"own\S*: layer: expected dtype float64, got float32"):
        Own(inner="float32", dtype="float64")


def test_dtypes_come_back_from_files_and_copies(tmp_path):
    model = Sequential([layers.Bidirectional(layers.LSTM(2), dtype="float64", input_shape=(5, 3)), layers.Dense(1)])
    want = model.predict(X)
    model.save(tmp_path / "m.safetensors")
    for again in (models.load_model(tmp_path / "m.safetensors"), models.clone_model(model)):
        again.set_weights(model.get_weights())
        assert {part.dtype.name for part in all_within(again)} == {"float64"}
        np.testing.assert_array_equal(again.predict(X), want)
