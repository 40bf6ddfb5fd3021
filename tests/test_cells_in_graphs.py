"""Cells called on symbols, cells within recurrent layers of a graph, and stateful layers there."""

import os
import pickle

import numpy as np
import pytest
from graph_tools import assert_gradients_are_differences
from layer_tools import numbers

import lstmcore
from lstmcore import Input, Model, layers
from lstmcore.models import clone_model, load_model, model_from_json

F64 = {"dtype": "float64"}
BATCH, STEPS, WIDTH, UNITS = 4, 3, 2, 3


class Leaky(layers.Cell):
    """h' = tanh(x k + r h), with the gradient written by hand."""

    state_size = UNITS

    def build(self, input_shape):
        self.kernel = self.add_weight(name="kernel", shape=(input_shape[-1], UNITS))
        self.rate = self.add_weight(name="rate", shape=(UNITS,), initializer="ones")

    def forward(self, inputs, states):
        h = np.tanh(inputs @ self.kernel.value + self.rate.value * states[0])
        return h, [h], (inputs, states[0], h)

    def backward(self, saved, d_output, d_states):
        x, before, h = saved
        d = (d_output + d_states[0]) * (1 - h * h)
        self.kernel.gradient += x.T @ d
        self.rate.gradient += (d * before).sum(0)
        return d @ self.kernel.value.T, [d * self.rate.value]


CELLS = {
    "LSTMCell": lambda **o: layers.LSTMCell(UNITS, **o),
    "GRUCell": lambda **o: layers.GRUCell(UNITS, **o),
    "SimpleRNNCell": lambda **o: layers.SimpleRNNCell(UNITS, **o),
    "own": Leaky,
}
each_cell = pytest.mark.parametrize("name", CELLS)


def unrolled(cell, **options):
    """A model that calls a cell at each of the steps by hand, and returns its last output and states."""
    x = Input((STEPS, WIDTH), **options)
    states = [Input((UNITS,), **options) for _ in cell.state_sizes]
    given = list(states)
    for t in range(STEPS):
        output, given = cell(x[:, t], given)
    return Model([x, *states], [output, *given])


def data_for(model, dtype="float64"):
    return [numbers(BATCH, *shape[1:], seed=k, dtype=dtype) for k, shape in enumerate(model.input_shape)]


@each_cell
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_cell_step_by_step_is_the_layer_that_runs_it(name, dtype):
    model = unrolled(CELLS[name](dtype=dtype), dtype=dtype)
    x = data_for(model, dtype)
    rnn = layers.RNN(CELLS[name](dtype=dtype), return_state=True, dtype=dtype)
    rnn(x[0])
    rnn.set_weights(model.get_weights())
    for got, want in zip(model.predict(x, verbose=0), rnn(x[0], initial_state=x[1:]), strict=True):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want, rtol=1e-5 if dtype == "float32" else 1e-12)
    assert model.compute_output_shape([(7, *s[1:]) for s in model.input_shape]) == [
        (7, UNITS) for _ in model.output_shape
    ]


@each_cell
def test_gradients_of_a_cell_that_is_called_again_and_again_are_differences(name):
    model = unrolled(CELLS[name](**F64), **F64)
    assert_gradients_are_differences(model, data_for(model), 0)
    assert_gradients_are_differences(Model(model.input, model.output[0]), data_for(model), 1)
    assert_gradients_are_differences(Model(model.input, model.output[-1]), data_for(model), 2)


@each_cell
def test_models_that_call_cells_are_saved_told_and_copied(name, tmp_path):
    model = unrolled(CELLS[name]())
    x = data_for(model, "float32")
    want = model.predict(x, verbose=0)
    model.save(tmp_path / "model.safetensors")
    own = {"Leaky": Leaky}
    told = model_from_json(model.to_json(), custom_objects=own)
    with lstmcore.utils.custom_object_scope(own):
        twins = [
            told,
            clone_model(model),
            load_model(tmp_path / "model.safetensors"),
            pickle.loads(pickle.dumps(model)),
        ]
    for twin in twins:
        twin.set_weights(model.get_weights())
        assert len(twin.weights) == len(model.weights)
        for a, b in zip(twin.predict(x, verbose=0), want, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_decoder_trained_by_an_rnn_runs_step_by_step_with_the_same_weights():
    """Teacher forcing with the layer, one step at a time with its cell."""
    cell = layers.LSTMCell(UNITS)
    x = Input((None, WIDTH))
    y = layers.RNN(cell, return_sequences=True)(x)
    head = layers.Dense(WIDTH)
    model = Model(x, head(y))
    model.compile("adam", "mse")
    data = numbers(8, STEPS, WIDTH, dtype="float32")
    model.fit(data, data, epochs=2, verbose=0)
    x_t, h, c = Input((WIDTH,)), Input((UNITS,)), Input((UNITS,))
    output, new = cell(x_t, [h, c])
    step = Model([x_t, h, c], [head(output), *new])
    states = cell.get_initial_state(batch_size=8)
    for t in range(STEPS):
        prediction, *states = step.predict([data[:, t], *states], verbose=0)
        np.testing.assert_allclose(prediction, model.predict(data, verbose=0)[:, t], rtol=1e-5, atol=1e-6)


@each_cell
def test_gradients_of_a_cell_that_is_called_here_and_within_a_layer_are_differences(name):
    cell = CELLS[name](**F64)
    x, states = Input((STEPS, WIDTH), **F64), [Input((UNITS,), **F64) for _ in cell.state_sizes]
    rnn = layers.RNN(cell, return_state=True, **F64)
    _, *last = rnn(x, initial_state=states)
    output, _ = cell(x[:, 0] * 2.0, last)
    again, *_ = rnn(x[:, 1:])
    model = Model([x, *states], [output, again])
    assert_gradients_are_differences(model, data_for(model), 0)
    with pytest.raises(ValueError, match="is a layer of this model and of a model within"):
        model.to_json()


def test_dropout_of_a_cell_is_drawn_at_every_call_in_training_only():
    lstmcore.utils.set_random_seed(1)
    model = unrolled(layers.GRUCell(UNITS, dropout=0.5, recurrent_dropout=0.5, **F64), **F64)
    x = data_for(model)
    still = model(x)[0]
    np.testing.assert_array_equal(model(x)[0], still)
    assert not np.array_equal(model(x, training=True)[0], still)
    d = model.backward([np.ones_like(still), np.ones_like(still)])
    assert d[0].shape == x[0].shape
    one, h = Input((WIDTH,), **F64), Input((UNITS,), **F64)
    cell = layers.GRUCell(UNITS, dropout=0.5, **F64)
    twice = Model([one, h], [cell(one, [h])[0], cell(one, [h])[0]])
    first, second = twice([numbers(BATCH, WIDTH), numbers(BATCH, UNITS)], training=True)
    assert not np.array_equal(first, second)


@each_cell
def test_numbers_are_those_of_keras(name):
    if name == "own":
        pytest.skip("not a cell of Keras")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    ours = unrolled(CELLS[name]())
    cell = getattr(keras.layers, name)(UNITS)
    x = keras.Input((STEPS, WIDTH))
    states = given = [keras.Input((UNITS,)) for _ in ours.input[1:]]
    for t in range(STEPS):
        output, given = cell(x[:, t], given)
    theirs = keras.Model([x, *states], [output, *given])
    theirs.set_weights(ours.get_weights())
    data = data_for(ours, "float32")
    for a, b in zip(ours.predict(data, verbose=0), theirs.predict(data, verbose=0), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_what_is_no_state_is_told_when_the_cell_is_called():
    cell, x, h = layers.LSTMCell(UNITS, name="cell"), Input((WIDTH,)), Input((UNITS,))
    for inputs, states, error, text in (
        (x, [h], ValueError, r"cell: states: expected 2 symbols of shape \(None, 3\), \(None, 3\), got"),
        (x, [h, Input((UNITS + 1,))], ValueError, "cell: states: expected 2 symbols of shape"),
        (x, [h, np.zeros((2, UNITS))], TypeError, "cell: states: expected symbols for a graph, got an array"),
        (np.zeros((2, WIDTH)), [h, h], TypeError, "cell: inputs: expected symbols only"),
        (Input((STEPS, WIDTH)), [h, h], ValueError, r"cell: inputs: expected one symbol of shape \(batch, features\)"),
    ):
        with pytest.raises(error, match=text):
            cell(inputs, states)
    cell(x, [h, h])
    with pytest.raises(ValueError, match="cell: inputs: expected 2 features, which the cell was built for"):
        cell(Input((WIDTH + 1,)), [h, h])


# --- cells within layers ---


@each_cell
def test_a_cell_in_both_directions(name):
    x = Input((None, WIDTH), **F64)
    both = layers.Bidirectional(layers.RNN(CELLS[name](**F64), return_sequences=True, return_state=True), **F64)
    outputs, *states = both(x)
    again = layers.Bidirectional(layers.RNN(CELLS[name](**F64)), merge_mode="sum", **F64)
    model = Model(x, again(outputs * 0.5, initial_state=states))
    assert model.output_shape == (None, UNITS)
    data = numbers(BATCH, STEPS, WIDTH)
    assert_gradients_are_differences(model, data, 0)
    want, *last = both(data)
    np.testing.assert_array_equal(model(data), again(want * 0.5, initial_state=last))


# --- stateful ---

STATEFUL = {
    "LSTM": lambda **o: layers.LSTM(UNITS, **o),
    "GRU": lambda **o: layers.GRU(UNITS, **o),
    "RNN": lambda **o: layers.RNN([layers.GRUCell(2), layers.LSTMCell(UNITS)], **o),
    "own cell": lambda **o: layers.RNN(Leaky(), **o),
    "Bidirectional": lambda **o: layers.Bidirectional(layers.LSTM(UNITS, **o)),
}


@pytest.mark.parametrize("name", STATEFUL)
def test_a_stateful_layer_in_a_graph_goes_on_until_it_is_reset(name):
    layer = STATEFUL[name](stateful=True, return_sequences=True)
    x = Input(batch_shape=(BATCH, None, WIDTH))
    model = Model(x, layers.Dense(1)(layer(x) * 2.0))
    data = numbers(BATCH, 6, WIDTH, dtype="float32")
    fresh = model.predict(data, batch_size=BATCH, verbose=0)
    second = model.predict(data, batch_size=BATCH, verbose=0)
    assert not np.array_equal(fresh, second)
    model.reset_states()
    np.testing.assert_array_equal(model.predict(data, batch_size=BATCH, verbose=0), fresh)
    if name != "Bidirectional":  # whose way back begins anew with every piece
        layer.reset_states()
        pieces = [model.predict(data[:, k : k + 2], batch_size=BATCH, verbose=0) for k in range(0, 6, 2)]
        np.testing.assert_allclose(np.concatenate(pieces, axis=1), fresh, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", STATEFUL)
def test_a_stateful_graph_is_trained_as_the_same_sequential(name):
    data, y = numbers(BATCH, 6, WIDTH, dtype="float32"), numbers(BATCH, UNITS, dtype="float32")[:, :1]
    results = []
    for graph in (False, True):
        lstmcore.utils.set_random_seed(3)
        x, layer, head = Input(batch_shape=(BATCH, None, WIDTH)), STATEFUL[name](stateful=True), layers.Dense(1)
        model = Model(x, head(layer(x))) if graph else lstmcore.Sequential([x, layer, head])
        model.compile("adam", "mse")
        losses = []
        for _ in range(2):
            losses += model.fit(data, y, batch_size=BATCH, epochs=2, shuffle=False, verbose=0).history["loss"]
            model.reset_states()
        results.append([np.array(losses), *model.get_weights()])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_batch_of_another_length_is_told():
    x = Input(batch_shape=(BATCH, None, WIDTH))
    model = Model(x, layers.LSTM(UNITS, stateful=True)(x))
    model(numbers(BATCH, 6, WIDTH, dtype="float32"))
    with pytest.raises(ValueError, match="expected a batch of 4 rows"):
        model(numbers(BATCH - 1, 6, WIDTH, dtype="float32"))


class Stacked(Model):
    """Takes apart what a layer of several cells returns, as Keras's ``call`` has it: states in a list for each cell."""

    def __init__(self, rnn, count):
        super().__init__()
        self.rnn, self.count = rnn, count

    def call(self, inputs):
        _, [c], *_ = list(self.rnn(inputs))[self.count - 1 :]
        return c


@pytest.mark.parametrize("wrapper", ["none", "concat", "apart"])
def test_the_only_state_of_a_cell_stands_by_itself_in_a_graph(wrapper, tmp_path):
    """As in Keras, where layers return it in a list if they are called on arrays, or in a ``call``."""

    def shapes_of(states):
        return [shapes_of(s) if isinstance(s, list) else s.shape[1:] for s in states]

    cells = [layers.GRUCell(3, **F64), layers.LSTMCell(2, **F64), Leaky(**F64)]
    layer = layers.RNN(cells, return_state=True, return_sequences=True)
    if wrapper != "none":
        layer = layers.Bidirectional(layer, merge_mode="concat" if wrapper == "concat" else None)
    count, ways = 2 if wrapper == "apart" else 1, 1 if wrapper == "none" else 2
    x = Input((STEPS, WIDTH), dtype="float64")
    states = list(layer(x))[count:]
    assert shapes_of(states) == [(3,), [(2,), (2,)], (UNITS,)] * ways
    model = Model(x, [layer(x, initial_state=states)[0], layers.concatenate([states[0], states[-1]])])
    data = numbers(BATCH, STEPS, WIDTH)
    of_arrays = list(layer(data))[count:]
    assert shapes_of(of_arrays) == [[(3,)], [(2,), (2,)], (UNITS,)] * ways
    want = layer(data, initial_state=of_arrays)[0]
    np.testing.assert_array_equal(model.predict(data, verbose=0)[0], want)
    np.testing.assert_array_equal(Stacked(layer, count)(data), of_arrays[0][0])
    with lstmcore.utils.custom_object_scope({"Leaky": Leaky}):
        model.save(tmp_path / "model")
        np.testing.assert_array_equal(load_model(tmp_path / "model").predict(data, verbose=0)[0], want)
    assert_gradients_are_differences(model, data, seed=0)
