"""Recurrent layers take every activation, by name or as an object; those the core does not have run in NumPy."""

import copy
import json

import numpy as np
import pytest
from layer_tools import assert_gradients_by_differences, by_differences, numbers, with_weights

from lstmcore import Sequential, activations, functional, reference
from lstmcore._options import ACTIVATIONS, GRUOptions, LSTMOptions, RNNOptions, Zoneout
from lstmcore.activations import piecewise
from lstmcore.layers import GRU, LSTM, RNN, Bidirectional, Dense, GRUCell, LSTMCell, SimpleRNN, SimpleRNNCell
from lstmcore.optimizers import Adam
from lstmcore.reference.activations import ACTIVATIONS as IN_THE_REFERENCE
from lstmcore.serialization import deserialize, serialize

BATCH, STEPS, FEATURES, UNITS = 4, 6, 3, 5
MASK = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 1], [0, 1, 0, 1, 1, 0], [0] * 6], bool)
NAMES = [name for name in IN_THE_REFERENCE if hasattr(activations, name)]  # glu halves the width: of no use in a cell
KINDS = {"lstm": LSTM, "gru": GRU, "rnn": SimpleRNN}


def tanh(x):
    """A function of the user's that the core has under another name."""
    return np.tanh(x)


tanh.backward = lambda x, y, dy: dy * (1 - y * y)


def logistic(x):
    return 1 / (1 + np.exp(-x))


logistic.backward = lambda x, y, dy: dy * y * (1 - y)


class Cube(activations.Activation):
    name = "cube"

    def value(self, x):
        return x**3

    def backward(self, x, y, dy):
        return 3 * x**2 * dy


# --- every activation against the reference, whose derivatives are checked by differences ---


def options_with(name):
    yield LSTMOptions(activation=name)
    yield LSTMOptions(recurrent_activation=name, peepholes=True, coupled=True)
    yield GRUOptions(activation=name)
    yield GRUOptions(reset_after=False, recurrent_activation=name)
    yield RNNOptions(name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_every_activation_is_the_references(name, dtype):
    rng = np.random.default_rng(0)
    for options in options_with(name):
        columns = options.gates * UNITS
        shapes = [(FEATURES, columns), (UNITS, columns)]
        shapes += [(2, columns) if options.cell == "gru" and options.reset_after else (columns,)]
        shapes += [(3, UNITS)] * ("peephole" in options.weight_names)
        weights = [(0.2 * rng.standard_normal(shape)).astype(dtype) for shape in shapes]
        x, h = (rng.standard_normal(shape).astype(dtype) for shape in ((BATCH, STEPS, FEATURES), (BATCH, UNITS)))
        state = (h, 0.5 * h) if options.cell == "lstm" else h
        call = {"options": options, "mask": MASK, "training": True}
        got, want = [], []
        for module, result in ((functional, got), (reference, want)):
            outputs, last, cache = getattr(module, options.cell)(x, weights, state, **call)
            backward = getattr(module, f"{options.cell}_backward")
            d_inputs, d_weights, d_state = backward(cache, np.ones_like(outputs), state)
            result += [outputs, d_inputs, *d_weights]
            for states in (last, d_state):
                result += states if options.cell == "lstm" else [states]
        size = max(np.abs(v).max() for v in want)
        for a, b in zip(got, want, strict=True):
            assert a.dtype == dtype
            # Rounding of 1e-16, or 6e-8, over some tens of terms and 6 steps.
            np.testing.assert_allclose(a, b, rtol=0, atol=(1e-12 if dtype == "float64" else 3e-5) * max(1, size))


def test_every_activation_is_tested():
    offered = {a.name for a in map(vars(activations).get, activations.__all__) if isinstance(a, activations.Activation)}
    assert offered - {"glu"} == set(NAMES)


# --- the loop in NumPy against the core's, by a function that both have ---

WAYS = {
    "last": {},
    "sequences": {"return_sequences": True, "return_state": True},
    "backwards": {"return_sequences": True, "go_backwards": True},
    "zeros for padding": {"return_sequences": True, "zero_output_for_mask": True},
    "dropout": {"dropout": 0.4, "recurrent_dropout": 0.3, "seed": 3},
    "dropout of the inputs": {"dropout": 0.4, "seed": 3},
    "zoneout": {"zoneout": 0.3, "seed": 3, "return_sequences": True},
    "no bias": {"use_bias": False},
    "checkpoint": {"checkpoint": 2, "return_sequences": True},
    "stateful": {"stateful": True},
}
VARIANTS = [
    (LSTM, {}),
    (LSTM, {"peepholes": True, "projection": 2, "layer_norm": True}),
    (GRU, {}),
    (GRU, {"reset_after": False}),
    (SimpleRNN, {}),
]


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_loop_in_numpy_is_the_kernel(kind, options, way):
    def make(activation, gates):
        more = {} if kind is SimpleRNN else {"recurrent_activation": gates}
        return kind(UNITS, activation=activation, dtype="float64", **more, **options, **way)

    core, numpy = make("tanh", "sigmoid"), make(tanh, logistic)
    with_weights(core, FEATURES)
    numpy.ensure_built((None, None, FEATURES))
    numpy.set_weights(core.get_weights())
    x = numbers(BATCH, STEPS, FEATURES)
    x[~MASK] = np.nan  # never looked at
    initial = [numbers(BATCH, width, seed=2) for width in core.state_sizes]
    for call in ({"mask": MASK}, {"lengths": [3, 0, 6, 1]}, {}):
        at = np.nan_to_num(x) if "mask" not in call else x
        for training in (True, False):
            results = [layer(at, initial, training=training, **call) for layer in (core, numpy)]
            for a, b in zip(*(r if isinstance(r, tuple) else (r,) for r in results), strict=True):
                np.testing.assert_allclose(b, a, rtol=1e-11, atol=1e-13)
            if training:
                outputs = results[0][0] if isinstance(results[0], tuple) else results[0]
                d = numbers(*outputs.shape, seed=1)
                gradients = [
                    [layer.backward(d), *layer.d_initial_state, *(v.gradient for v in layer.variables)]
                    for layer in (core, numpy)
                ]
                for a, b in zip(*gradients, strict=True):
                    np.testing.assert_allclose(b, a, rtol=1e-10, atol=1e-12)
    for a, b in zip(core.states or (), numpy.states or (), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("merge_mode", ["concat", "mul", None])
def test_both_directions(merge_mode):
    layers = [
        Bidirectional(LSTM(UNITS, activation, return_sequences=True, dtype="float64"), merge_mode)
        for activation in ("tanh", tanh)
    ]
    with_weights(layers[0], FEATURES)
    layers[1].ensure_built((None, None, FEATURES))
    layers[1].set_weights(layers[0].get_weights())
    x = numbers(BATCH, STEPS, FEATURES)
    results = []
    for layer in layers:
        outputs = layer(x, mask=MASK, training=True)
        d = np.ones_like(outputs)
        results.append([np.asarray(outputs), layer.backward(d), *(v.gradient for v in layer.variables)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-10, atol=1e-12)


def test_pieces_and_cells():
    x = numbers(1, STEPS, FEATURES)
    for kind, cell in ((LSTM, LSTMCell), (GRU, GRUCell), (SimpleRNN, SimpleRNNCell)):
        model = Sequential([kind(UNITS, "mish", return_sequences=True, input_shape=(None, FEATURES), dtype="float64")])
        whole = model(x)
        stream = model.stream(steps=2)
        pieces = [stream(x[:, :2]), stream(x[:, 2]), stream(x[:, 3:5]), stream(x[:, 5])]
        got = np.concatenate([piece.reshape(1, -1, UNITS) for piece in pieces], axis=1)
        np.testing.assert_allclose(got, whole, rtol=1e-12)
        stream.reset()
        np.testing.assert_allclose(stream(x[:, 0]), whole[:, 0], rtol=1e-12)
        layer = RNN(cell(UNITS, "mish", dtype="float64"), return_sequences=True)
        layer.ensure_built(x.shape)
        layer.set_weights(model.get_weights())
        np.testing.assert_array_equal(layer(x), whole)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_gradients_by_differences(kind):
    for activation in ("softmax", "gelu", Cube(), piecewise.LeakyReLU(0.3)):
        layer = with_weights(kind(3, activation, dtype="float64", return_state=True), FEATURES, scale=0.2)
        state = [numbers(2, 3, seed=k) for k in range(len(layer.state_sizes))]
        assert_gradients_by_differences(layer, numbers(2, 4, FEATURES), state)


# --- ways to name one ---


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_names_aliases_and_objects_are_one(kind):
    x = numbers(BATCH, STEPS, FEATURES, dtype="float32")
    for ways, name in (
        (("tanh", activations.tanh, activations.get("tanh")), "tanh"),
        ((None, "linear", activations.linear), "linear"),
        (("swish", "silu", activations.silu, activations.swish), "silu"),
    ):
        layers = [kind(UNITS, way) for way in ways]
        with_weights(layers[0], FEATURES)
        for layer in layers[1:]:
            layer.ensure_built(x.shape)
            layer.set_weights(layers[0].get_weights())
            np.testing.assert_array_equal(layer(x), layers[0](x))
        assert {layer.get_config()["activation"] for layer in layers} == {name}
        assert {layer.kernel_info() for layer in layers} == {layers[0].kernel_info()}


def test_kernel_info_says_where_it_runs():
    layer = LSTM(2, "gelu", "softmax", input_shape=(None, 3))
    layer.build((None, None, 3))
    assert layer.kernel_info() == "lstm: step by step in NumPy, for the core has no gelu and softmax, float32"
    for name in ACTIVATIONS:
        layer = LSTM(2, name)
        layer.build((None, None, 3))
        assert "kernel" in layer.kernel_info()


@pytest.mark.parametrize("activation", ["elu", piecewise.LeakyReLU(0.3), Cube(), tanh], ids=str)
def test_a_layer_is_copied_and_described_with_its_activation(activation):
    layer, x = LSTM(3, activation), numbers(2, 4, FEATURES, dtype="float32")
    want = layer(x)
    np.testing.assert_array_equal(copy.copy(layer)(x), want)
    config = json.loads(json.dumps(serialize(layer)))
    again = deserialize(config, {"Cube": Cube, "tanh": tanh})
    again.ensure_built(x.shape)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(x), want)


def test_a_model_trains_with_them():
    x = numbers(64, 5, 1, dtype="float32")
    y = x[:, :, 0].sum(1)
    model = Sequential([LSTM(8, "softplus", input_shape=(None, 1)), Dense(1)])
    model.compile(Adam(0.02), "mse")
    losses = model.fit(x, y, epochs=8, batch_size=16, verbose=0).history["loss"]
    assert losses[-1] < 0.7 * losses[0]


# --- what cannot be ---


@pytest.mark.parametrize(
    "make",
    [lambda f: LSTM(3, f), lambda f: GRU(3, recurrent_activation=f), lambda f: SimpleRNN(3, f)],
    ids=["LSTM", "GRU", "SimpleRNN"],
)
def test_a_function_without_a_derivative_has_that_of_autograd(make):
    def softsign(x):
        return x / (1 + np.abs(x))

    x = numbers(2, 4, FEATURES)
    layers = [make(softsign), make("softsign")]
    results = []
    for layer in layers:
        layer.take_dtype("test", np.dtype("float64"))
        layer.build(x.shape)
        layer.set_weights([numbers(*w.shape, seed=k) for k, w in enumerate(layer.get_weights())])
        y = layer(x, training=True)
        results.append([y, layer.backward(np.ones_like(y)), *(v.gradient for v in layer.variables)])
    for mine, ours in zip(*results, strict=True):
        np.testing.assert_allclose(mine, ours, rtol=1e-12, atol=1e-14)


def test_a_function_must_keep_the_shape():
    for wrong in (lambda x: x[:, :1], lambda x: x.sum(), lambda x: x.astype(str)):
        with pytest.raises(ValueError, match=r"^activation: expected a function that returns the shape of its inputs"):
            SimpleRNN(3, wrong)(numbers(2, 4, FEATURES, dtype="float32"))

    def square(x):
        return x * x

    square.backward = lambda x, y, dy: dy[:, :1]
    with pytest.raises(ValueError, match=r"^recurrent_activation: expected a function that returns a gradient"):
        GRU(3, recurrent_activation=square)(numbers(2, 4, FEATURES, dtype="float32"), training=True)


def test_a_function_may_write_over_what_it_is_given():
    def square(x):
        return x * x

    def in_place(x):
        x *= x
        return x

    square.backward = in_place.backward = lambda x, y, dy: 2 * x * dy
    layers = [with_weights(SimpleRNN(4, a, dtype="float64"), FEATURES, scale=0.3) for a in (square, in_place)]
    x = numbers(3, 5, FEATURES)
    for layer in layers:
        layer(x, training=True)
    np.testing.assert_allclose(*(layer.backward(np.ones((3, 4))) for layer in layers), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_wrong_arguments_are_refused_as_by_the_core(cell):
    options = {"lstm": LSTMOptions, "gru": GRUOptions, "rnn": RNNOptions}[cell]
    gates = options().gates
    bias = (2, gates * 2) if cell == "gru" else (gates * 2,)
    weights = [np.zeros(shape) for shape in ((3, gates * 2), (2, gates * 2), bias)]
    forward, backward = getattr(functional, cell), getattr(functional, f"{cell}_backward")
    x, h = np.zeros((2, 4, 3)), np.zeros((2, 3))
    for arguments in (
        {"inputs": np.zeros((2, 4, 5))},
        {"inputs": x.astype("float32")},
        {"weights": weights[:1]},
        {"initial_state": (h, h) if cell == "lstm" else h},
        {"lengths": [1, 9]},
        {"mask": np.ones((2, 3), bool)},
        {"mask": np.ones((2, 4), bool), "lengths": [1, 2]},
        {"out": np.zeros((2, 4, 3))},
        {"dropout_mask": np.ones((2, 9))},
        {"training": True, "zoneout": Zoneout(0.5)},
    ):
        errors = []
        for activation in ("tanh", "gelu"):
            with pytest.raises((ValueError, TypeError)) as error:
                forward(**{"inputs": x, "weights": weights, "options": options(activation=activation), **arguments})
            errors.append((error.type, str(error.value)))
        assert errors[0] == errors[1]
    errors = []
    for activation in ("tanh", "gelu"):
        *_, cache = forward(x, weights, options=options(activation=activation), training=True)
        with pytest.raises(ValueError, match="d_outputs: expected") as error:
            backward(cache, np.zeros((2, 4, 9)))
        errors.append(str(error.value))
        with pytest.raises(ValueError, match="cache: expected one of"):
            getattr(functional, "gru_backward" if cell != "gru" else "rnn_backward")(cache)
    assert errors[0] == errors[1]


def test_outputs_are_written_where_they_are_wanted():
    weights = [0.1 * numbers(3, 20), 0.1 * numbers(5, 20), numbers(20)]
    x, options = numbers(2, 4, 3), LSTMOptions("gelu")
    want, _ = functional.lstm(x, weights, options=options)
    out = np.full((4, 2, 5), np.nan).transpose(1, 0, 2)
    got, _ = functional.lstm(x, weights, options=options, out=out)
    assert got is out
    np.testing.assert_array_equal(out, want)
    packed = functional.pack_lstm(weights, options=options)
    before = packed.kernel, functional.lstm(x, packed)[0]
    for w in weights:
        w.fill(0)
    assert before[0] == "stepwise"
    np.testing.assert_array_equal(functional.lstm(x, packed)[0], before[1])


def test_what_was_given_and_returned_may_be_written_to_before_the_way_back():
    weights = [0.3 * numbers(3, 20), 0.3 * numbers(5, 20), numbers(20)]
    gradients = []
    for spoil in (False, True):
        arrays = [np.ones((2, 4), bool), numbers(2, 5), numbers(2, 5, seed=1), np.ones((2, 3)), np.ones((4, 2, 5))]
        mask, h, c, dropped, recurrent = arrays
        outputs, state, cache = functional.lstm(
            numbers(2, 4, 3),
            weights,
            (h, c),
            LSTMOptions("mish", "softmax"),
            mask=mask,
            dropout_mask=dropped,
            recurrent_dropout_mask=recurrent,
            training=True,
        )
        if spoil:
            for array in (*arrays, outputs, *state):
                array[...] = 0
        d_inputs, d_weights, d_state = functional.lstm_backward(cache, np.ones((2, 4, 5)))
        gradients.append([d_inputs, *d_weights, *d_state])
    for got, want in zip(*gradients, strict=True):
        np.testing.assert_array_equal(got, want)


def test_gradients_add_up_in_the_arrays_given():
    weights = [0.3 * numbers(3, 5), 0.3 * numbers(5, 5), numbers(5)]
    x = numbers(2, 4, 3)

    def loss():
        return functional.rnn(x, weights, options=RNNOptions("mish"))[0].sum()

    outputs, _, cache = functional.rnn(x, weights, options=RNNOptions("mish"), training=True)
    for round_ in (1, 2):  # a cache may be used more than once
        sums = [np.ones_like(w) for w in weights]
        for _ in range(round_):
            d_inputs, _, none = functional.rnn_backward(cache, np.ones_like(outputs), d_weights=sums)
        assert none is None
        for got, w in zip(sums, weights, strict=True):
            np.testing.assert_allclose(got, 1 + round_ * by_differences(loss, w), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(d_inputs, by_differences(loss, x), rtol=1e-6, atol=1e-8)
