"""Layers as plain data: what get_config says, through JSON, makes a layer that computes the same."""

import json

import numpy as np
import pytest
from layer_tools import numbers, with_weights

from lstmcore import layers, metrics, optimizers
from lstmcore.initializers import Orthogonal
from lstmcore.layers import (
    GRU,
    LSTM,
    RNN,
    SLSTM,
    Bidirectional,
    Cell,
    GRUCell,
    LSTMCell,
    MinGRU,
    MinLSTM,
    SimpleRNN,
    SimpleRNNCell,
    StackedRNNCells,
)
from lstmcore.serialization import custom_object_scope, deserialize, serialize

BATCH, STEPS, FEATURES = 2, 5, 3

LAYERS = {
    "lstm": lambda: LSTM(4),
    "lstm, positions": lambda: LSTM(4, "relu", "hard_sigmoid"),
    "lstm, arguments": lambda: LSTM(
        4,
        None,
        name="mine",
        dtype="float64",
        use_bias=False,
        unit_forget_bias=False,
        kernel_initializer=Orthogonal(gain=0.5, seed=3),
        dropout=0.1,
        recurrent_dropout=0.2,
        zoneout=(0.1, 0.2),
        seed=5,
        return_sequences=True,
        go_backwards=True,
        checkpoint=None,
        trainable=False,
        input_shape=(None, FEATURES),
    ),
    "lstm, variants": lambda: LSTM(4, peepholes=True, coupled=True, layer_norm=True, projection=2),
    "gru": lambda: GRU(4, return_state=True),
    "gru, reset before": lambda: GRU(np.int64(4), activation=None, reset_after=False, stateful=np.bool_(True)),
    "simple rnn": lambda: SimpleRNN(4, "relu", zero_output_for_mask=True),
    "min gru": lambda: MinGRU(4, log_space=np.bool_(True), dropout=0.1, return_sequences=True),
    "min lstm": lambda: MinLSTM(4, kernel_regularizer="l2", zoneout=0.1),
    "slstm": lambda: SLSTM(4, np.int64(2), exponential_forget=True, recurrent_dropout=0.1, stateful=True),
    "bidirectional, slstm": lambda: Bidirectional(SLSTM(4, 2, unit_forget_bias=False), "sum"),
    "bidirectional": lambda: Bidirectional(LSTM(3, seed=1, dropout=0.5)),
    "bidirectional, names": lambda: Bidirectional(GRU(3, name="inner"), "mul", name="outer", trainable=False),
    "bidirectional, two layers": lambda: Bidirectional(
        LSTM(3, return_sequences=True),
        merge_mode=None,
        backward_layer=GRU(2, name="back", return_sequences=True, go_backwards=True),
    ),
    "bidirectional, backward first": lambda: Bidirectional(
        SimpleRNN(3, return_sequences=True, go_backwards=True),
        "ave",
        backward_layer=SimpleRNN(3, return_sequences=True),
    ),
    "cell": lambda: RNN(LSTMCell(4, "relu", recurrent_activation="hard_sigmoid", dropout=0.1)),
    "cells": lambda: RNN([LSTMCell(4), GRUCell(3, reset_after=False), SimpleRNNCell(2, None)], return_sequences=True),
    "stacked cells": lambda: RNN(
        StackedRNNCells([GRUCell(4, name="low"), LSTMCell(3, projection=2)]), stateful=True, return_state=True
    ),
}


def through_json(thing):
    return type(thing).from_config(json.loads(json.dumps(thing.get_config())))


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_a_layer_from_the_config_computes_the_same(make):
    layer = with_weights(make(), FEATURES)
    twin = through_json(layer)
    assert type(twin) is type(layer)
    assert twin.get_config() == layer.get_config()
    twin.ensure_built((None, None, FEATURES))
    assert [v.path for v in twin.variables] == [v.path for v in layer.variables]
    twin.set_weights(layer.get_weights())
    assert [v.path for v in twin.trainable_variables] == [v.path for v in layer.trainable_variables]
    x = numbers(BATCH, STEPS, FEATURES, dtype=layer.dtype)
    mask = np.arange(STEPS) < np.array([[2], [5]])
    for call in ({}, {"mask": mask}):
        for got, want in zip(results(twin, x, **call), results(layer, x, **call), strict=True):
            np.testing.assert_array_equal(got, want)


def results(layer, x, **call):
    """All arrays that a layer returns, as a list."""
    return flat(layer(x, **call))


def flat(result):
    return [a for part in result for a in flat(part)] if isinstance(result, (list, tuple)) else [result]


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_a_layer_within_other_data(make):
    layer = make()
    twin = deserialize(json.loads(json.dumps(serialize({"layers": [layer]}))))["layers"][0]
    assert type(twin) is type(layer)
    assert twin.get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("cell", "config"),
    [
        (LSTMCell(4, dropout=0.1, name="a"), {"units": 4, "dropout": 0.1, "name": "a"}),
        (LSTMCell(4, "relu", "sigmoid"), {"activation": "relu", "recurrent_activation": "sigmoid"}),
        (GRUCell(3, reset_after=False, dtype="float64"), {"reset_after": False, "dtype": "float64"}),
        (SimpleRNNCell(2, "relu", trainable=False), {"activation": "relu", "trainable": False}),
    ],
)
def test_cells_describe_themselves(cell, config):
    got = cell.get_config()
    assert {k: got[k] for k in config} == config
    assert "arguments" not in got
    twin = through_json(cell)
    assert twin.get_config() == got
    x, states = numbers(BATCH, FEATURES, dtype=cell.dtype), [numbers(BATCH, n) for n in cell.state_sizes]
    want, _ = cell(x, states)
    twin.ensure_built(x.shape)
    twin.set_weights(cell.get_weights())
    np.testing.assert_array_equal(twin(x, states)[0], want)


def test_keras_positions_of_the_arguments_of_cells():
    cell = GRUCell(4, "relu", "hard_sigmoid")
    assert cell.layer.options.activation == "relu"
    assert cell.layer.options.recurrent_activation == "hard_sigmoid"
    assert SimpleRNNCell(4, None).layer.options.activation == "linear"
    with pytest.raises(TypeError):
        SimpleRNNCell(4, "tanh", "sigmoid")


def test_stacked_cells_describe_themselves():
    stack = StackedRNNCells([LSTMCell(4), GRUCell(3)])
    twin = through_json(stack)
    assert twin.get_config() == stack.get_config()
    assert [type(cell) for cell in twin.cells] == [LSTMCell, GRUCell]
    assert twin.state_size == stack.state_size


def test_the_layers_of_a_bidirectional_have_the_names_they_came_with():
    layer = Bidirectional(LSTM(3, name="inner"), name="outer")
    config = layer.get_config()
    assert config["layer"]["config"]["name"] == "inner"
    assert config["backward_layer"] is None
    again = through_json(through_json(layer))
    assert again.get_config() == config
    assert again.forward_layer.name == "outer/forward_inner"
    backward = GRU(3, name="back", go_backwards=True)
    config = Bidirectional(LSTM(3, name="inner"), backward_layer=backward, name="outer").get_config()
    assert config["backward_layer"]["config"]["name"] == "back"


def test_the_backward_layer_describes_itself():
    backward = Bidirectional(LSTM(3, seed=4, dropout=0.5)).backward_layer
    config = backward.get_config()
    assert config["go_backwards"] is True
    assert config["seed"] == 5
    assert LSTM.from_config(config).go_backwards


class Leaky(Cell):
    """A cell of the user's with an argument of its own."""

    def __init__(self, width, share=0.5, **options):
        super().__init__(**options)
        self.state_size, self.share = width, share

    def forward(self, inputs, states):
        h = self.share * states[0] + inputs
        return h, [h], None


def test_cells_of_the_users_are_looked_up_by_name():
    layer = RNN([GRUCell(3), Leaky(3, share=0.25)], name="both")
    x = numbers(BATCH, STEPS, FEATURES, dtype="float32")
    want = layer(x)
    data = json.loads(json.dumps(serialize(layer)))
    with pytest.raises(ValueError, match="class_name: 'Leaky' is unknown"):
        deserialize(data)
    with custom_object_scope({"Leaky": Leaky}):
        twin = deserialize(data)
    twin.ensure_built(x.shape)
    twin.set_weights(layer.get_weights())
    np.testing.assert_array_equal(twin(x), want)


# --- trainable ---


@pytest.mark.parametrize(
    "make",
    [
        lambda **o: Bidirectional(LSTM(3), **o),
        lambda **o: Bidirectional(LSTM(3), backward_layer=GRU(3, go_backwards=True), **o),
        lambda **o: RNN([LSTMCell(3), Leaky(3)], **o),
        lambda **o: RNN(StackedRNNCells([GRUCell(3), SimpleRNNCell(2)]), **o),
    ],
)
def test_trainable_is_passed_on_to_the_layers_within(make):
    fixed, free = make(trainable=False), make()
    for layer, trainable in ((fixed, False), (free, True)):
        layer.ensure_built((None, None, FEATURES))
        assert [part.trainable for part in layer.sublayers] == [trainable] * 2
        assert layer.trainable_variables == (layer.variables if trainable else [])
        assert layer.non_trainable_variables == ([] if trainable else layer.variables)
    fixed.trainable, free.trainable = True, False
    assert fixed.trainable_variables == fixed.variables
    assert [part.trainable for part in free.sublayers] == [False] * 2


def test_a_part_may_be_fixed_alone():
    layer = Bidirectional(LSTM(3, trainable=False))
    assert layer.trainable
    layer.ensure_built((None, None, FEATURES))
    assert layer.trainable_variables == []  # the backward layer is made like the forward layer
    layer = RNN([LSTMCell(3, trainable=False), GRUCell(2)])
    layer.ensure_built((None, None, FEATURES))
    assert layer.trainable_variables == layer.variables[3:]


def test_a_configuration_has_the_defaults_too():
    config = layers.Dense(3, use_bias=True).get_config()
    assert config["units"] == 3
    assert (config["activation"], config["use_bias"], config["kernel_initializer"]) == (None, True, "glorot_uniform")
    assert layers.Conv1D(2, 3).get_config()["dilation_rate"] == 1
    assert layers.BatchNormalization().get_config()["epsilon"] == 1e-3
    assert metrics.AUC().get_config()["num_thresholds"] == 200
    assert optimizers.Adam().get_config()["beta_2"] == 0.999


def test_defaults_that_are_no_plain_data_are_left_out():
    class Applied(layers.Layer):
        def __init__(self, function=np.tanh, factor=2, **options):
            super().__init__(**options)
            self.function, self.factor = function, factor

    assert "function" not in Applied().get_config()
    assert Applied().get_config()["factor"] == 2
    twin = Applied.from_config(Applied(factor=3).get_config())
    assert (twin.function, twin.factor) == (np.tanh, 3)
    assert "function" not in Applied(np.tanh).get_config()
    with pytest.raises(TypeError, match=r"Applied: function: .* cannot be saved"):
        Applied(np.sinh).get_config()
