"""Whose a layer's weights are, when they are made, and that what changes them is seen."""

import numpy as np
import pytest
from layer_tools import numbers

from lstmcore import Model, Sequential, layers
from lstmcore.layers import (
    GRU,
    LSTM,
    RNN,
    SLSTM,
    Bidirectional,
    Dense,
    Embedding,
    GRUCell,
    LSTMCell,
    MinGRU,
    MinLSTM,
    Residual,
    SimpleRNN,
    SimpleRNNCell,
)


def variables_of(make):
    layer = make()
    layer(numbers(2, 4, 3, dtype="float64"))
    return range(len(layer.variables))


LAYERS = {
    "lstm": lambda: LSTM(4, dtype="float64"),
    "gru": lambda: GRU(4, dtype="float64"),
    "rnn": lambda: SimpleRNN(4, dtype="float64"),
    "min gru": lambda: MinGRU(4, dtype="float64"),
    "min lstm": lambda: MinLSTM(4, dtype="float64"),
    "slstm": lambda: SLSTM(4, 2, dtype="float64"),
    "bidirectional": lambda: Bidirectional(LSTM(4, dtype="float64")),
    "cells": lambda: RNN([GRUCell(4, dtype="float64"), LSTMCell(3, dtype="float64")]),
}


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_each_changed_weight_changes_the_outputs_of_a_layer_alone(make):
    x = numbers(2, 4, 3, dtype="float64")
    for k in variables_of(make):
        layer, twin = make(), make()
        layer(x)
        twin(x)
        layer.variables[k].assign(layer.variables[k].numpy() + 0.5)
        twin.set_weights(layer.get_weights())
        np.testing.assert_array_equal(layer(x), twin(x))
        layer.variables[k].assign(layer.variables[k].numpy() - 1)
        assert (layer(x) != twin(x)).any()


def test_a_layer_or_cell_has_one_owner():
    layer = LSTM(4, name="mine")
    Bidirectional(layer, name="both")
    with pytest.raises(ValueError, match=r"mine belongs to both"):
        Sequential([layer])
    with pytest.raises(ValueError, match="in use"):
        Bidirectional(layer)
    cell = GRUCell(4, name="cell")
    with pytest.raises(ValueError, match="cell belongs to"):
        RNN([cell, cell])
    with pytest.raises(ValueError, match="cell belongs to"):
        RNN(cell)


def test_building_twice_is_building_once():
    layer = LSTM(2)
    layer.build((None, None, 3))
    before = layer.get_weights()
    layer.build((None, None, 3))
    layer(numbers(1, 2, 3))
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_layer_that_could_not_be_built_has_no_weights():
    layer = Embedding(10, 4, weights=np.zeros((10, 5)))
    with pytest.raises(ValueError, match=r"expected shape \(10, 4\), got \(10, 5\)"):
        layer(np.zeros((1, 2), int))
    assert not layer.built
    assert layer.weights == []


def test_layers_that_return_several_arrays_do_not_fit_a_chain():
    for chain in (lambda layer: Sequential([layer, Dense(3)]), lambda layer: Residual([layer, Dense(3)])):
        for layer in (
            lambda: LSTM(3, return_sequences=True, return_state=True),
            lambda: Bidirectional(LSTM(3), merge_mode=None),
        ):
            with pytest.raises(ValueError, match="returns several arrays"):
                chain(layer())(numbers(1, 2, 3))
            with pytest.raises(ValueError, match="returns several arrays"):
                chain(layer()).compute_output_shape((1, 2, 3))


def test_automatic_names_are_those_of_keras():
    names = [layer.name for layer in (GRUCell(2), LSTMCell(2), SimpleRNNCell(2), SimpleRNN(2), Bidirectional(LSTM(2)))]
    assert [n.rstrip("_0123456789") for n in names] == [
        "gru_cell",
        "lstm_cell",
        "simple_rnn_cell",
        "simple_rnn",
        "bidirectional",
    ]


def test_kept_states_are_copies():
    layer = LSTM(3, stateful=True, return_state=True)
    x = numbers(2, 4, 3)
    _, h, c = layer(x)
    twin = [h.copy(), c.copy()]
    h[...] = 100
    _, again, _ = layer(x)
    layer.reset_states(twin)
    twin[0][...] = -100
    np.testing.assert_array_equal(layer(x)[1], again)
    with pytest.raises(ValueError, match=r"states\[1\]: expected shape \(batch, 3\), got \(2, 4\)"):
        layer.reset_states([numbers(2, 3), numbers(2, 4)])


class Scattered(Model):
    """Layers in every place where a program may put them, some of them only after the place was made."""

    def __init__(self):
        super().__init__()
        self.order = [layers.Dense(3)]
        self.order.append(layers.Dense(4))
        self.named = {}
        self.named["a"] = layers.Dense(3)
        self.pairs = [("b", layers.Dense(2)), ("c", 5)]
        self.same = self.order[0]
        self.block = Nest()

    def chain(self):
        return [*self.order, self.named["a"], self.pairs[0][1], self.block]

    def forward(self, inputs, training=False):
        for layer in self.chain():
            inputs = layer(inputs, training=training)
        return inputs

    def backward(self, d_outputs, need_d_inputs=True):
        for layer in reversed(self.chain()):
            d_outputs = layer.backward(d_outputs)
        return d_outputs


class Nest(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.within = {"x": [layers.Dense(2)]}
        self.again = self.within["x"][0]

    def build(self, input_shape):
        self.again.ensure_built(input_shape)

    def forward(self, inputs, training=False):
        return self.again(inputs, training=training)

    def backward(self, d_outputs, need_d_inputs=True):
        return self.again.backward(d_outputs)


def test_no_layer_of_a_model_is_left_out_of_training():
    model = Scattered()
    model.compile("sgd", "mse")
    x, y = numbers(6, 3), numbers(6, 2)
    model(x)
    assert len(model.layers) == 5
    assert model.count_params() == 12 + 16 + 15 + 8 + 6 == model.parameters.values.size
    before = model.get_weights()
    model.train_on_batch(x, y)
    assert len(before) == 10
    assert all((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))
    inner = model.block.again
    with pytest.raises(ValueError, match="belongs to"):
        Sequential([layers.Bidirectional(LSTM(2)).forward_layer])
    np.testing.assert_array_equal(Sequential([inner])(x[:, :2]), inner(x[:, :2]))


def test_a_layer_that_was_replaced_is_no_longer_part_of_a_model():
    model = Scattered()
    model.order = [layers.Dense(5)]
    model.same = model.order[0]
    model(numbers(6, 3))
    assert model.count_params() == 20 + 18 + 8 + 6
