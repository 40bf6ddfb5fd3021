"""The layers of all cells: the reference with the layer's weights, Keras's shapes, names and initial values."""

import numpy as np
import pytest
from layer_tools import assert_gradients_by_differences, numbers, with_weights
from problems import OPTIONS as OPTIONS_OF
from problems import possible_state

import lstmcore
from lstmcore import Sequential, reference
from lstmcore._options import ACTIVATIONS
from lstmcore.activations import piecewise, smooth
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
    SimpleRNN,
    SimpleRNNCell,
)

BATCH, STEPS, FEATURES, UNITS = 3, 6, 2, 4

KINDS = [LSTM, GRU, SimpleRNN, MinGRU, MinLSTM, SLSTM]
# What the same cells are in the reference.
CELL_OF = {LSTM: "lstm", GRU: "gru", SimpleRNN: "rnn", MinGRU: "min_gru", MinLSTM: "min_lstm", SLSTM: "slstm"}
WITH_ACTIVATIONS = {
    "lstm": (LSTM, {}),
    "gru": (GRU, {}),
    "gru reset before": (GRU, {"reset_after": False}),
    "rnn": (SimpleRNN, {}),
}
# Layer, and its arguments.
CASES = {
    **WITH_ACTIVATIONS,
    "min gru": (MinGRU, {}),
    "min lstm": (MinLSTM, {}),
    "slstm": (SLSTM, {}),
}
OPTIONS = {
    "lstm peepholes": (LSTM, {"peepholes": True}),
    "lstm no input gate": (LSTM, {"input_gate": False}),
    "lstm no forget gate": (LSTM, {"forget_gate": False}),
    "lstm no output gate": (LSTM, {"output_gate": False}),
    "lstm coupled": (LSTM, {"coupled": True}),
    "lstm no input activation": (LSTM, {"input_activation": False}),
    "lstm no output activation": (LSTM, {"output_activation": False}),
    "lstm output activation": (LSTM, {"output_activation": "softsign"}),
    "lstm three activations": (
        LSTM,
        {
            "activation": piecewise.LeakyReLU(0.3),
            "recurrent_activation": piecewise.HardSigmoid(0.3, 0.4),
            "output_activation": smooth.ScaledTanh(1.5, 0.5),
        },
    ),
    "lstm clip": (LSTM, {"clip": 0.5}),
    "lstm clip peepholes coupled": (LSTM, {"clip": 0.5, "peepholes": True, "coupled": True}),
    "lstm clip everything": (LSTM, {"clip": 0.4, "peepholes": True, "layer_norm": True, "projection": 3}),
    "gru threshold": (GRU, {"activation": piecewise.Threshold(0.1, 0.2)}),
    "gru clip": (GRU, {"clip": 0.5}),
    "gru clip reset before": (GRU, {"clip": 0.5, "reset_after": False, "activation": smooth.ELU(0.6)}),
    "gru clip layer norm": (GRU, {"clip": 0.5, "layer_norm": True}),
    "rnn clip": (SimpleRNN, {"clip": 0.5}),
    "rnn affine": (SimpleRNN, {"activation": piecewise.Affine(0.8, -0.2)}),
    "lstm layer norm": (LSTM, {"layer_norm": True}),
    "lstm projection": (LSTM, {"projection": 2}),
    "lstm peepholes coupled": (LSTM, {"peepholes": True, "coupled": True}),
    "lstm everything": (LSTM, {"peepholes": True, "layer_norm": True, "projection": 3}),
    "gru layer norm": (GRU, {"layer_norm": True}),
    "min gru log space": (MinGRU, {"log_space": True}),
    "min lstm log space": (MinLSTM, {"log_space": True}),
    "slstm heads": (SLSTM, {"heads": 2}),
    "slstm exponential forget": (SLSTM, {"exponential_forget": True, "heads": 4}),
}
NO_BIAS = {
    f"{name} no bias": (kind, options | {"use_bias": False}) for name, (kind, options) in (CASES | OPTIONS).items()
}
ACTIVATED = {
    f"{name} {activation}": (kind, {**options, "activation": activation})
    for name, (kind, options) in WITH_ACTIVATIONS.items()
    for activation in ACTIVATIONS
} | {
    f"{name} gates {activation}": (kind, {**options, "recurrent_activation": activation})
    for name, (kind, options) in WITH_ACTIVATIONS.items()
    if kind is not SimpleRNN
    for activation in ACTIVATIONS
}
ALL = CASES | OPTIONS | NO_BIAS | ACTIVATED


def each(cases):
    return pytest.mark.parametrize(("kind", "options"), list(cases.values()), ids=list(cases))


def reference_of(kind, options):
    """The reference's two functions, and the options they take for what the layer was given."""
    name = CELL_OF[kind]
    options = {k: v for k, v in options.items() if k != "use_bias"}
    if "projection" in options:
        options["projection"] = True
    return getattr(reference, name), getattr(reference, f"{name}_backward"), OPTIONS_OF[name](**options)


def states_for(layer, batch=BATCH, seed=9):
    return possible_state(
        layer.options, [numbers(batch, width, seed=seed + k) for k, width in enumerate(layer.state_size)]
    )


# --- against the reference ---


@pytest.mark.parametrize("return_sequences", [True, False])
@each(ALL)
def test_outputs_states_and_gradients_are_the_reference(kind, options, return_sequences):
    layer = kind(UNITS, return_sequences=return_sequences, return_state=True, dtype="float64", **options)
    with_weights(layer, FEATURES)
    forward, backward, cell = reference_of(kind, options)
    x, initial = numbers(BATCH, STEPS, FEATURES), states_for(layer)
    many = len(initial) > 1
    want, want_state, cache = forward(
        x,
        layer.get_weights(),
        initial if many else initial[0],
        options=cell,
        return_sequences=return_sequences,
        training=True,
    )
    want_state = list(want_state) if many else [want_state]
    tolerance = {"rtol": 1e-11, "atol": 1e-12}  # of float64: 1e-16 over some tens of terms and the 6 steps
    for training in (False, True):
        outputs, *state = layer(x, training=training, initial_state=initial)
        for got, expected in zip([outputs, *state], [want, *want_state], strict=True):
            np.testing.assert_allclose(got, expected, **tolerance)

    d_outputs, d_state = numbers(*want.shape, seed=20), states_for(layer, seed=30)
    d_inputs, d_weights, d_initial = backward(cache, d_outputs, d_state if many else d_state[0])
    np.testing.assert_allclose(layer.backward(d_outputs, d_state=d_state), d_inputs, **tolerance)
    for variable, expected in zip(layer.variables, d_weights, strict=True):
        np.testing.assert_allclose(variable.gradient, expected, err_msg=variable.path, **tolerance)
    for got, expected in zip(layer.d_initial_state, d_initial if many else [d_initial], strict=True):
        np.testing.assert_allclose(got, expected, **tolerance)


@each(CASES | OPTIONS)
def test_float32_is_the_reference_to_its_rounding(kind, options):
    layer = with_weights(kind(UNITS, return_sequences=True, **options), FEATURES)
    forward, _, cell = reference_of(kind, options)
    x = numbers(BATCH, STEPS, FEATURES, dtype="float32")
    want, _ = forward(x.astype("float64"), [w.astype("float64") for w in layer.get_weights()], options=cell)
    got = layer(x)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, atol=1e-5)  # 6e-8 over some tens of terms and the 6 steps; outputs below 1


@pytest.mark.parametrize("return_sequences", [True, False])
@each(CASES | {"projection": (LSTM, {"projection": 2}), "backwards": (LSTM, {"go_backwards": True})})
def test_gradients_by_differences_initial_and_last_states_included(kind, options, return_sequences):
    layer = kind(3, return_sequences=return_sequences, return_state=True, dtype="float64", **options)
    with_weights(layer, FEATURES)
    assert_gradients_by_differences(layer, numbers(2, 4, FEATURES), states_for(layer, batch=2))


def test_the_gradient_of_a_last_state_may_be_all_there_is():
    layer = with_weights(LSTM(3, dtype="float64", return_state=True), FEATURES)
    x, initial, d_c = numbers(2, 4, FEATURES), states_for(layer, batch=2), numbers(2, 3, seed=7)
    layer(x, training=True, initial_state=initial)
    layer.backward(None, d_state=[None, d_c])
    step = 1e-6
    for k, state in enumerate(initial):
        for index in np.ndindex(state.shape):
            above, below = ([s.copy() for s in initial] for _ in range(2))
            above[k][index] += step
            below[k][index] -= step
            slope = ((layer(x, initial_state=above)[2] - layer(x, initial_state=below)[2]) * d_c).sum() / (2 * step)
            assert layer.d_initial_state[k][index] == pytest.approx(slope, rel=1e-6, abs=1e-9)


def test_there_is_no_gradient_of_an_initial_state_where_there_was_none():
    layer, x, d = LSTM(3), numbers(2, 4, FEATURES, dtype="float32"), np.ones((2, 3), "float32")
    layer(x, training=True, initial_state=[d, d])
    layer.backward(d)
    assert [g.shape for g in layer.d_initial_state] == [(2, 3), (2, 3)]
    layer(x, training=True)
    layer.backward(d)
    assert layer.d_initial_state is None


def test_gradients_add_up_until_they_are_cleared():
    layer = with_weights(GRU(3, dtype="float64"), FEATURES)
    x, d = numbers(2, 4, FEATURES), numbers(2, 3)
    layer(x, training=True)
    layer.backward(d)
    once = [v.gradient.copy() for v in layer.variables]
    layer(x, training=True)
    assert layer.backward(d, need_d_inputs=False) is None
    for variable, expected in zip(layer.variables, once, strict=True):
        np.testing.assert_allclose(variable.gradient, 2 * expected, rtol=1e-12)


# --- Keras's shapes, names and initial values ---


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (LSTM(3), {"kernel": (2, 12), "recurrent_kernel": (3, 12), "bias": (12,)}),
        (LSTM(3, use_bias=False), {"kernel": (2, 12), "recurrent_kernel": (3, 12)}),
        (LSTM(3, coupled=True), {"kernel": (2, 9), "recurrent_kernel": (3, 9), "bias": (9,)}),
        (LSTM(3, output_gate=False), {"kernel": (2, 9), "recurrent_kernel": (3, 9), "bias": (9,)}),
        (
            LSTM(3, peepholes=True),
            {"kernel": (2, 12), "recurrent_kernel": (3, 12), "bias": (12,), "peephole": (3, 3)},
        ),
        (
            LSTM(3, projection=2),
            {"kernel": (2, 12), "recurrent_kernel": (2, 12), "bias": (12,), "projection": (3, 2)},
        ),
        (
            LSTM(3, layer_norm=True),
            {"kernel": (2, 12), "recurrent_kernel": (3, 12), "bias": (12,), "gain": (2, 12), "cell_norm": (2, 3)},
        ),
        (GRU(3), {"kernel": (2, 9), "recurrent_kernel": (3, 9), "bias": (2, 9)}),
        (GRU(3, reset_after=False), {"kernel": (2, 9), "recurrent_kernel": (3, 9), "bias": (9,)}),
        (GRU(3, use_bias=False), {"kernel": (2, 9), "recurrent_kernel": (3, 9)}),
        (GRU(3, layer_norm=True), {"kernel": (2, 9), "recurrent_kernel": (3, 9), "bias": (2, 9), "gain": (2, 9)}),
        (SimpleRNN(3), {"kernel": (2, 3), "recurrent_kernel": (3, 3), "bias": (3,)}),
        (SimpleRNN(3, use_bias=False), {"kernel": (2, 3), "recurrent_kernel": (3, 3)}),
        (MinGRU(3), {"kernel": (2, 6), "bias": (6,)}),
        (MinGRU(3, use_bias=False), {"kernel": (2, 6)}),
        (MinLSTM(3), {"kernel": (2, 9), "bias": (9,)}),
        (SLSTM(6), {"kernel": (2, 24), "recurrent_kernel": (6, 24), "bias": (24,)}),
        (SLSTM(6, 3), {"kernel": (2, 24), "recurrent_kernel": (2, 24), "bias": (24,)}),
    ],
)
def test_names_shapes_and_order_of_the_weights(layer, shapes):
    layer.ensure_built((None, None, 2))
    assert {v.path.removeprefix(f"{layer.name}/"): v.shape for v in layer.weights} == shapes
    assert [v.name for v in layer.weights] == list(shapes)
    assert [w.shape for w in layer.get_weights()] == list(shapes.values())
    assert layer.count_params() == sum(int(np.prod(shape)) for shape in shapes.values())


@pytest.mark.parametrize("make", [LSTM, GRU, SimpleRNN, SLSTM])
def test_weights_are_attributes_once_there_are_any(make):
    layer = make(3)
    for name in ("kernel", "recurrent_kernel", "bias"):
        with pytest.raises(AttributeError, match=f"has no {name} before it is built"):
            getattr(layer, name)
    layer.build((None, None, 2))
    assert [layer.kernel, layer.recurrent_kernel, layer.bias] == layer.variables
    layer = make(3, use_bias=False, input_shape=(None, 2))
    assert layer.bias is None


def test_what_a_cell_has_not_is_no_attribute():
    for layer in (MinGRU(3), MinLSTM(3, input_shape=(None, 2))):
        with pytest.raises(AttributeError, match=r"has no recurrent_kernel$"):
            _ = layer.recurrent_kernel


def test_parameter_counts_are_those_that_keras_prints():
    model = Sequential([GRU(50, return_sequences=True, input_shape=(12, 1)), SimpleRNN(50), Dense(1)])
    # 3 units (inputs + units + 2) with the two biases of a GRU, units (inputs + units + 1) for a simple layer.
    assert [layer.count_params() for layer in model.layers] == [7950, 5050, 51]


@pytest.mark.parametrize(("kind", "gates"), [(GRU, 3), (SimpleRNN, 1)])
def test_initial_values_are_keras_defaults(kind, gates):
    lstmcore.utils.set_random_seed(3)
    layer = kind(64)
    layer.ensure_built((None, None, 20))
    kernel, recurrent_kernel, bias = layer.get_weights()
    # Glorot's limit counts all gates as fan-out; of 1,280 uniform numbers or more the largest comes this close to it.
    limit = np.sqrt(6 / (20 + gates * 64))
    assert 0.99 * limit < np.abs(kernel).max() <= limit * (1 + 1e-6)
    assert np.var(kernel) == pytest.approx(limit**2 / 3, rel=0.1)
    # The rows of the whole matrix are orthonormal, to float32 rounding.
    np.testing.assert_allclose(recurrent_kernel @ recurrent_kernel.T, np.eye(64), atol=2e-6)
    assert not bias.any()


def test_the_forget_gate_starts_open_wherever_it_stands():
    def bias(**options):
        layer = LSTM(2, **options)
        layer.ensure_built((None, None, 1))
        return layer.get_weights()[2].tolist()

    assert bias() == [0, 0, 1, 1, 0, 0, 0, 0]
    assert bias(input_gate=False) == [1, 1, 0, 0, 0, 0]
    assert bias(output_gate=False) == [0, 0, 1, 1, 0, 0]
    assert bias(forget_gate=False) == [0] * 6
    assert bias(coupled=True) == [0] * 6
    assert bias(unit_forget_bias=False) == [0] * 8
    assert bias(bias_initializer="ones", unit_forget_bias=False) == [1] * 8


def test_the_forget_gate_of_an_slstm_starts_open():
    def bias(**options):
        layer = SLSTM(2, **options)
        layer.ensure_built((None, None, 1))
        return layer.get_weights()[2].tolist()

    assert bias() == [0, 0, 1, 1, 0, 0, 0, 0]
    assert bias(heads=2, bias_initializer="ones", unit_forget_bias=False) == [1] * 8
    assert bias(unit_forget_bias=False) == [0] * 8
    assert bias(exponential_forget=True) == [0] * 8  # exp(0) = 1


@pytest.mark.parametrize("heads", [1, 2, 8])
def test_the_recurrent_kernel_of_each_head_of_an_slstm_starts_with_orthonormal_rows(heads):
    layer = SLSTM(16, heads)
    layer.ensure_built((None, None, 1))
    width = 16 // heads
    by_gate_and_head = layer.recurrent_kernel.value.reshape(width, 4, heads, width)
    of_heads = [by_gate_and_head[:, :, k].reshape(width, 4 * width) for k in range(heads)]
    for kernel in of_heads:
        np.testing.assert_allclose(kernel @ kernel.T, np.eye(width), atol=2e-6)
    assert len({kernel.tobytes() for kernel in of_heads}) == heads


def test_a_new_layer_with_options_is_the_plain_one():
    """Peepholes start at 0, gains at 1, the shift of the cell state at 0."""
    layer = LSTM(3, peepholes=True, layer_norm=True, projection=2)
    layer.ensure_built((None, None, 2))
    weights = {v.name: v.numpy() for v in layer.weights}
    assert not weights["peephole"].any()
    assert (weights["gain"] == 1).all()
    assert weights["cell_norm"].tolist() == [[1, 1, 1], [0, 0, 0]]
    assert 0 < np.abs(weights["projection"]).max() <= np.sqrt(6 / 5)
    layer = GRU(3, layer_norm=True)
    layer.ensure_built((None, None, 2))
    assert (layer.get_weights()[3] == 1).all()


def test_initializers_are_used_where_they_are_named():
    def constant(value):
        return lambda shape, dtype: np.full(shape, value, dtype)

    layer = GRU(2, kernel_initializer=constant(2), recurrent_initializer=constant(3), bias_initializer="ones")
    layer.ensure_built((None, None, 1))
    assert [set(w.ravel().tolist()) for w in layer.get_weights()] == [{2.0}, {3.0}, {1.0}]


# --- what comes back ---


@each(CASES | {"lstm projection": (LSTM, {"projection": 3})})
def test_shapes_of_outputs_and_states(kind, options):
    width = options.get("projection", UNITS)
    states = [(BATCH, width), *[(BATCH, UNITS)] * {LSTM: 1, SLSTM: 3}.get(kind, 0)]
    x = numbers(BATCH, STEPS, FEATURES, dtype="float32")
    last = kind(UNITS, **options)
    assert last(x).shape == (BATCH, width)
    assert last.compute_output_shape((None, STEPS, FEATURES)) == (None, width)
    every = kind(UNITS, return_sequences=True, return_state=True, **options)
    outputs, *state = every(x)
    assert outputs.shape == (BATCH, STEPS, width)
    assert [s.shape for s in state] == states
    of_states = tuple((None, shape[1]) for shape in states)
    assert every.compute_output_shape((None, None, FEATURES)) == ((None, None, width), *of_states)
    np.testing.assert_array_equal(state[0], outputs[:, -1])
    assert every.state_size == [shape[1] for shape in states]


@each(CASES)
def test_go_backwards_is_the_reversed_input_in_the_order_of_processing(kind, options):
    forwards = with_weights(kind(UNITS, return_sequences=True, return_state=True, **options), FEATURES)
    backwards = kind(UNITS, return_sequences=True, return_state=True, go_backwards=True, **options)
    backwards.ensure_built((None, None, FEATURES))
    backwards.set_weights(forwards.get_weights())
    x = numbers(BATCH, STEPS, FEATURES, dtype="float32")
    for got, want in zip(backwards(x), forwards(x[:, ::-1]), strict=True):
        np.testing.assert_array_equal(got, want)
    assert (
        backwards.compute_mask(x, np.eye(BATCH, STEPS, dtype=bool)).tolist() == np.eye(BATCH, STEPS)[:, ::-1].tolist()
    )


@pytest.mark.parametrize("kind", [GRU, SimpleRNN, MinGRU, MinLSTM])
def test_one_state_may_come_bare_or_in_a_list(kind):
    layer, x, h = kind(UNITS), numbers(BATCH, STEPS, FEATURES, dtype="float32"), numbers(BATCH, UNITS, dtype="float32")
    np.testing.assert_array_equal(layer(x, initial_state=h), layer(x, initial_state=[h]))
    assert (layer(x, initial_state=h) != layer(x)).any()


@each(CASES | OPTIONS)
def test_kernel_info_says_what_runs(kind, options):
    layer = kind(UNITS, dtype="float64", **options)
    with pytest.raises(ValueError, match="no weights yet"):
        layer.kernel_info()
    layer.ensure_built((None, None, FEATURES))
    name, kernel, dtype, isa = layer.kernel_info().replace(": ", ", ").split(", ")
    assert name == CELL_OF[kind]
    # The plain LSTM and the GRU with reset_after have a loop of their own, as do all the others but what slopes that
    # are saved are for.
    plain = options == {} or (kind not in (LSTM, GRU) and options.keys().isdisjoint({"clip", "activation"}))
    assert (kernel == "fused kernel") == plain, kernel
    assert dtype == "float64"
    assert isa == lstmcore._core.config()["instruction_set"]


# --- stateful ---


class _Step(lstmcore.layers.Cell):
    """A cell of the user's: a leaky sum."""

    state_size = FEATURES

    def forward(self, inputs, states):
        h = 0.5 * states[0] + inputs
        return h, [h], None


STATEFUL = {
    "lstm": lambda **o: LSTM(UNITS, **o),
    "lstm projection": lambda **o: LSTM(UNITS, projection=2, **o),
    "gru": lambda **o: GRU(UNITS, **o),
    "gru reset before": lambda **o: GRU(UNITS, reset_after=False, **o),
    "rnn": lambda **o: SimpleRNN(UNITS, **o),
    "min gru": lambda **o: MinGRU(UNITS, **o),
    "min lstm": lambda **o: MinLSTM(UNITS, log_space=True, **o),
    "slstm": lambda **o: SLSTM(UNITS, 2, **o),
    "cells": lambda **o: RNN([LSTMCell(UNITS), GRUCell(3), SimpleRNNCell(2)], **o),
    "a cell of the user's": lambda **o: RNN(_Step(), **o),
}


@pytest.mark.parametrize("make", STATEFUL.values(), ids=STATEFUL)
def test_a_sequence_in_pieces_is_the_whole(make):
    plain, stateful = make(return_sequences=True), make(return_sequences=True, stateful=True)
    x = numbers(BATCH, 20, FEATURES, dtype="float32")
    whole = plain(x)
    stateful.ensure_built(x.shape)
    stateful.set_weights(plain.get_weights())
    for _ in range(2):
        pieces = [stateful(x[:, a:b]) for a, b in [(0, 1), (1, 9), (9, 12), (12, 20)]]
        np.testing.assert_array_equal(np.concatenate(pieces, axis=1), whole)
        stateful.reset_states()
    stateful(x)
    with pytest.raises(ValueError, match=r"expected a batch of 3 rows.*got 2; reset_states\(\) makes it forget"):
        stateful(x[:2])
    stateful.reset_state()
    np.testing.assert_array_equal(stateful(x[:2]), plain(x[:2]))


@pytest.mark.parametrize(("kind", "names"), [(LSTM, "h, c"), (SLSTM, "h, c, n, m"), (MinGRU, "h")])
def test_a_stateful_layer_can_be_told_its_state(kind, names):
    layer, plain = kind(UNITS, stateful=True), kind(UNITS)
    x, states = numbers(BATCH, STEPS, FEATURES, dtype="float32"), states_for(layer)
    layer(x)
    plain.ensure_built(x.shape)
    plain.set_weights(layer.get_weights())
    layer.reset_states(states)
    np.testing.assert_array_equal(layer(x), plain(x, initial_state=states))
    with pytest.raises(ValueError, match=f"expected the states {names}, got {len(states) + 1} arrays"):
        layer.reset_states([*states, states[0]])


def test_stacked_cells_can_be_told_their_states():
    layer, plain = RNN([LSTMCell(UNITS), GRUCell(3)], stateful=True), RNN([LSTMCell(UNITS), GRUCell(3)])
    x = numbers(BATCH, STEPS, FEATURES, dtype="float32")
    states = [numbers(BATCH, width, seed=k) for k, width in enumerate((UNITS, UNITS, 3))]
    layer(x)
    plain.ensure_built(x.shape)
    plain.set_weights(layer.get_weights())
    want = plain(x, initial_state=states)
    for given in (states, [states[:2], states[2]], [states[:2], states[2:]]):
        layer.reset_states(given)
        np.testing.assert_array_equal(layer(x), want)
    kept = [s.copy() for s in layer.states]
    with pytest.raises(ValueError, match=r"states: expected the states .*, got 2 arrays"):
        layer.reset_states(states[:2])
    with pytest.raises(ValueError, match=r"states\[2\]: expected shape \(batch, 3\), got \(2, 3\)"):
        layer.reset_states([*states[:2], states[2][:2]])
    with pytest.raises(TypeError, match="states: expected float32, got complex128"):
        layer.reset_states([s.astype(complex) for s in states])
    for now, before in zip(layer.states, kept, strict=True):
        np.testing.assert_array_equal(now, before)
    layer.reset_state()
    np.testing.assert_array_equal(layer(x), plain(x))


@pytest.mark.parametrize("make", STATEFUL.values(), ids=STATEFUL)
def test_only_a_stateful_layer_takes_states(make):
    layer = make(name="it")
    x = numbers(BATCH, STEPS, FEATURES, dtype="float32")
    before = layer(x)
    widths = layer.state_sizes if isinstance(layer, RNN) else layer.state_size
    with pytest.raises(ValueError, match="it: states: expected a layer with stateful=True; this one keeps no states"):
        layer.reset_states([numbers(BATCH, width, dtype="float32") for width in widths])
    layer.reset_states()  # as a model does for all its layers
    np.testing.assert_array_equal(layer(x), before)


def test_padding_carries_the_state_over_to_the_next_batch():
    layer, plain = GRU(UNITS, stateful=True), GRU(UNITS)
    x, z = (numbers(2, STEPS, FEATURES, dtype="float32", seed=k) for k in range(2))
    mask = np.ones((2, STEPS), bool)
    mask[0, 2:] = False
    mask[1] = False
    layer(x, mask=mask)
    plain.ensure_built(x.shape)
    plain.set_weights(layer.get_weights())
    got = layer(z)
    np.testing.assert_array_equal(got[:1], plain(np.concatenate([x[:1, :2], z[:1]], axis=1)))
    np.testing.assert_array_equal(got[1:], plain(z[1:]))


def test_a_stateful_model_goes_on_from_batch_to_batch():
    rows, batches, steps = 4, 3, 5
    lstmcore.utils.set_random_seed(1)
    plain = Sequential([LSTM(UNITS, return_sequences=True, input_shape=(None, FEATURES)), GRU(3), Dense(1)])
    model = Sequential(
        [
            LSTM(UNITS, return_sequences=True, stateful=True, batch_input_shape=(rows, steps, FEATURES)),
            GRU(3, stateful=True),
            Dense(1),
        ]
    )
    model.set_weights(plain.get_weights())
    # Row k of each batch goes on where row k of the batch before ended.
    long = numbers(rows, batches * steps, FEATURES, dtype="float32")
    x = np.concatenate(np.split(long, batches, axis=1))
    y = numbers(rows * batches, 1, dtype="float32")
    want = np.concatenate([plain(long[:, : steps * (k + 1)]) for k in range(batches)])

    np.testing.assert_array_equal(model.predict(x, batch_size=rows), want)
    assert (model.predict(x, batch_size=rows) != want).any()  # it goes on
    model.reset_states()
    np.testing.assert_array_equal(model.predict(x, batch_size=rows), want)

    model.reset_states()
    # With a learning rate of zero the loss of the first epoch is that of the long sequences.
    model.compile(lstmcore.optimizers.Adam(learning_rate=0.0), "mse")
    history = model.fit(x, y, batch_size=rows, epochs=2, shuffle=False, verbose=0)
    assert history.history["loss"][0] == pytest.approx(np.mean((want - y) ** 2), rel=1e-6)
    twice = np.concatenate([plain(np.concatenate([long, long[:, : steps * (k + 1)]], 1)) for k in range(batches)])
    assert history.history["loss"][1] == pytest.approx(np.mean((twice - y) ** 2), rel=1e-6)
    with pytest.raises(ValueError, match="expected a batch of 4 rows"):
        model.predict(x[:6], batch_size=rows)


def test_the_gradient_stops_where_a_batch_begins():
    """Truncated backpropagation: the states of the batch before are numbers, not functions of the weights."""
    layer, plain = (with_weights(LSTM(3, stateful=stateful, dtype="float64"), FEATURES) for stateful in (True, False))
    x, d = numbers(2, 8, FEATURES), numbers(2, 3)
    layer(x[:, :5], training=True)
    state = [s.copy() for s in layer.states]
    layer(x[:, 5:], training=True)
    got = layer.backward(d)
    plain(x[:, 5:], state, training=True)
    np.testing.assert_array_equal(got, plain.backward(d))
    for a, b in zip(layer.variables, plain.variables, strict=True):
        np.testing.assert_array_equal(a.gradient, b.gradient)


# --- bad input ---


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: LSTM(2, activation="swash"), ValueError, "activation: expected one of .*tanh, .*, got 'swash'"),
        (lambda: GRU(2, recurrent_activation="Gelu"), ValueError, "recurrent_activation: .* got 'Gelu'"),
        (lambda: SimpleRNN(2, 3), ValueError, "activation: expected a name, a function or None, got 3"),
        (lambda: SimpleRNN(2, recurrent_activation="tanh"), TypeError, "recurrent_activation"),
        (lambda: GRU(2, unit_forget_bias=True), TypeError, "unit_forget_bias"),
        (lambda: LSTM(2, reset_after=True), TypeError, "reset_after"),
        (lambda: LSTM(2, peepholes=1), TypeError, "peepholes: expected True or False, got 1"),
        (lambda: LSTM(2, coupled=True, input_gate=False), ValueError, "coupled: .* needs input_gate=True"),
        (lambda: GRU(2, reset_after=False, layer_norm=True), ValueError, "layer_norm: needs reset_after=True"),
        (lambda: LSTM(2, projection=3), ValueError, "projection: expected at most units=2, got 3"),
        (lambda: LSTM(2, projection=0), ValueError, "projection: expected a positive integer, got 0"),
        (lambda: GRU(2, projection=1), TypeError, "projection"),
        (lambda: LSTM(2, dropout=1.0), ValueError, r"LSTM: dropout: expected a number in \[0, 1\), got 1.0"),
        (lambda: LSTM(2, recurrent_dropout=-0.1), ValueError, r"recurrent_dropout: .* got -0.1"),
        (lambda: GRU(2, dropout="half"), TypeError, "GRU: dropout: .* got 'half'"),
        (lambda: GRU(2, dropout=float("nan")), ValueError, "dropout: .* got nan"),
        (lambda: LSTM(2, zoneout=1.5), ValueError, "zoneout: .* got 1.5"),
        (lambda: LSTM(2, zoneout=(0.1, 0.1, 0.1)), ValueError, "zoneout: expected a number or one for each of h, c"),
        (lambda: GRU(2, zoneout=(0.1, 0.1)), ValueError, "zoneout: expected a number, the rate of h, got"),
        (lambda: GRU(2, seed=-1), ValueError, "seed: expected an integer from 0 on, got -1"),
        (lambda: GRU(2, seed=1.5), ValueError, "seed: .* got 1.5"),
        (lambda: LSTM(2, checkpoint=0), ValueError, "checkpoint: expected a positive integer, got 0"),
        (lambda: LSTM(2, kernel_regularizer="l3"), ValueError, "got 'l3'"),
        (lambda: GRU(2, recurrent_constraint="odd"), ValueError, "got 'odd'"),
        (lambda: SimpleRNN(2, time_major=True), NotImplementedError, "SimpleRNN: time_major=True"),
        (lambda: SimpleRNN(0), ValueError, "SimpleRNN: units: expected a positive integer, got 0"),
        (lambda: GRU(2.5), TypeError, "GRU: units: expected a positive integer, got 2.5"),
        (lambda: MinGRU(2, log_space=1), TypeError, "log_space: expected True or False, got 1"),
        (lambda: MinGRU(2, activation="tanh"), ValueError, "MinGRU: activation: is fixed, but for log_space"),
        (lambda: MinLSTM(2, unit_forget_bias=True), TypeError, "unit_forget_bias"),
        (lambda: MinLSTM(2, log_spice=True), TypeError, "'log_spice'; did you mean 'log_space'"),
        (lambda: MinLSTM(2, zoneout=(0.1, 0.1)), ValueError, "zoneout: expected a number, the rate of h, got"),
        (lambda: SLSTM(2, zoneout=(0.1, 0.1)), ValueError, r"SLSTM: zoneout: .* h, as c, n and m .* got \(0.1, 0.1\)"),
        (lambda: SLSTM(2, zoneout=1.0), ValueError, "SLSTM: zoneout: .* got 1.0"),
        (lambda: SLSTM(2, activation="tanh"), TypeError, "SLSTM got an unexpected argument 'activation'"),
        (
            lambda: SLSTM(2, exponential_forget="yes"),
            TypeError,
            "exponential_forget: expected True or False, got 'yes'",
        ),
        (lambda: SLSTM(2, unit_forget_bias=1), TypeError, "SLSTM: unit_forget_bias: expected True or False, got 1"),
    ],
)
def test_wrong_arguments_are_named(make, error, text):
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize("kind", [MinGRU, MinLSTM])
def test_what_is_of_a_recurrent_kernel_is_refused_where_there_is_none(kind):
    for name, value in {
        "recurrent_dropout": 0.1,
        "recurrent_initializer": "orthogonal",
        "recurrent_regularizer": "l2",
        "recurrent_constraint": "non_neg",
    }.items():
        with pytest.raises(ValueError, match=f"{kind.__name__}: {name}: expected none, .* without a recurrent kernel"):
            kind(2, **{name: value})
    kind(2, recurrent_dropout=0.0, recurrent_regularizer=None)  # as a configuration of Keras's has them
    assert not [name for name in kind(2).get_config() if name.startswith("recurrent_")]


@pytest.mark.parametrize("kind", KINDS)
def test_flags_are_true_or_false(kind):
    names = ["use_bias", "return_sequences", "return_state", "go_backwards", "stateful", "zero_output_for_mask"]
    for name in [*names, "trainable"]:
        for wrong in ("yes", 1, 0, None, np.array([True])):
            with pytest.raises(TypeError, match=f"{kind.__name__}: {name}: expected True or False, got "):
                kind(2, **{name: wrong})
        assert getattr(kind(2, **{name: np.bool_(True)}), name) is True
    layer, x = kind(2, name="it"), numbers(1, 2, 3, dtype="float32")
    with pytest.raises(TypeError, match="it: training: expected True or False, got 'yes'"):
        layer(x, training="yes")
    with pytest.raises(TypeError, match="it: trainable: expected True or False, got 1"):
        layer.trainable = 1
    np.testing.assert_array_equal(layer(x, training=None), layer(x))  # Keras's default


def test_flags_of_single_layers_are_true_or_false():
    for make, name in (
        (lambda flag: LSTM(2, unit_forget_bias=flag), "LSTM: unit_forget_bias"),
        (lambda flag: LSTM(2, peepholes=flag), "peepholes"),
        (lambda flag: GRU(2, reset_after=flag), "reset_after"),
        (lambda flag: Dense(2, use_bias=flag), "Dense: use_bias"),
        (lambda flag: Embedding(3, 2, mask_zero=flag), "Embedding: mask_zero"),
    ):
        for wrong in ("no", 1, None):
            with pytest.raises(TypeError, match=f"^{name}: expected True or False, got {wrong!r}"):
                make(wrong)
        make(np.bool_(True))


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_without_effect_are_accepted(kind):
    kind(2, unroll=True, time_major=False, kernel_regularizer=None, dropout=0.0, recurrent_dropout=0, zoneout=0.0)
    if kind is not SimpleRNN:
        kind(2, use_cudnn="auto", implementation=2)


def test_wrong_calls_are_named():
    layer, x, h = LSTM(2), numbers(3, 4, 5, dtype="float32"), np.zeros((3, 2), "float32")
    with pytest.raises(ValueError, match=r"initial_state: expected the states h, c, got 1 arrays"):
        layer(x, initial_state=[h])
    with pytest.raises(ValueError, match=r"initial_state.*expected shape"):
        layer(x, initial_state=[h, h[:2]])
    with pytest.raises(TypeError, match="initial_state: expected float32, got complex64"):
        layer(x, initial_state=[h, h.astype("complex64")])
    with pytest.raises(ValueError, match=r"expected shape \(batch, steps, features\), got \(3, 5\)"):
        layer(x[:, 0])
    with pytest.raises(ValueError, match="lengths or a mask, not both"):
        layer(x, mask=np.ones((3, 4), bool), lengths=np.full(3, 4))
    with pytest.raises(ValueError, match=r"mask: expected shape \(batch=3, steps=4\), got \(3, 5\)"):
        layer(x, mask=np.ones((3, 5), bool))
    layer(x, training=True)
    layer.backward(h)
    with pytest.raises(RuntimeError, match="training=True"):
        layer.backward(h)


# --- calls and configurations as Keras has them ---


@pytest.mark.parametrize(
    "make",
    [
        lambda: LSTM(UNITS),
        lambda: GRU(UNITS),
        lambda: SimpleRNN(UNITS),
        lambda: MinGRU(UNITS),
        lambda: MinLSTM(UNITS),
        lambda: SLSTM(UNITS),
        lambda: RNN(LSTMCell(UNITS)),
        lambda: RNN([GRUCell(UNITS), LSTMCell(2)]),
        lambda: Bidirectional(GRU(UNITS)),
    ],
)
def test_a_call_takes_sequences_initial_state_mask_and_training_in_that_order(make):
    layer = make()
    x = numbers(BATCH, STEPS, FEATURES, dtype="float32")
    mask = np.arange(STEPS) < np.arange(1, BATCH + 1)[:, None]
    layer(x)
    both = isinstance(layer, Bidirectional)
    state = [np.zeros((BATCH, UNITS), "float32")] * 2 if both else layer.get_initial_state(BATCH)
    ones = [[s + 1 for s in part] if isinstance(part, list) else part + 1 for part in state]
    want = layer(x, initial_state=ones, mask=mask)
    assert (want != layer(x, mask=mask)).any()
    np.testing.assert_array_equal(layer(sequences=x, initial_state=ones, mask=mask), want)
    np.testing.assert_array_equal(layer(x, ones, mask), want)
    np.testing.assert_array_equal(layer(x, ones, mask, True), want)
    np.testing.assert_array_equal(layer(x, None, mask, False), layer(x, mask=mask))
    for value in (True, False, np.True_):
        with pytest.raises(
            ValueError,
            match=rf"initial_state: expected the states, got {value}; .* by name: layer\(x, training={value}",
        ):
            layer(x, value)


@pytest.mark.parametrize(
    ("layer", "cell", "own"),
    [
        (LSTM, LSTMCell, {"recurrent_activation": "sigmoid", "unit_forget_bias": True}),
        (GRU, GRUCell, {"recurrent_activation": "sigmoid", "reset_after": True}),
        (SimpleRNN, SimpleRNNCell, {}),
    ],
)
def test_a_configuration_has_the_defaults_of_what_was_not_given(layer, cell, own):
    shared: dict = {  # as those of Keras 3.15
        "units": 3,
        "activation": "tanh",
        "use_bias": True,
        "kernel_initializer": "glorot_uniform",
        "recurrent_initializer": "orthogonal",
        "bias_initializer": "zeros",
        "dropout": 0.0,
        "recurrent_dropout": 0.0,
        "seed": None,
        "trainable": True,
        "dtype": "float32",
    } | own
    shared |= {f"{w}_{kind}": None for w in ("kernel", "recurrent", "bias") for kind in ("regularizer", "constraint")}
    flags = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask")
    of_layer = shared | dict.fromkeys(flags, False) | {"activity_regularizer": None}
    for made, expected in ((layer(3), of_layer), (cell(3), shared)):
        config = made.get_config()
        assert expected.items() <= config.items()
        again = type(made).from_config(config)
        assert again.get_config() == config
    assert not set(flags) & set(cell(3).get_config())
    changed = layer(3, activation="relu", return_sequences=True, seed=5).get_config()
    assert (changed["activation"], changed["return_sequences"], changed["seed"]) == ("relu", True, 5)
    assert RNN(cell(3)).get_config().items() >= dict.fromkeys(flags, False).items()


@pytest.mark.parametrize(
    ("layer", "own"),
    [
        (MinGRU(3), {"log_space": False}),
        (MinLSTM(3), {"log_space": False}),
        (SLSTM(3), {"heads": 1, "exponential_forget": False, "unit_forget_bias": True, "recurrent_dropout": 0.0}),
    ],
)
def test_a_configuration_of_cells_that_keras_has_not_has_their_defaults(layer, own):
    config = layer.get_config()
    assert ({"units": 3, "use_bias": True, "dropout": 0.0, "zoneout": 0.0, "stateful": False} | own).items() <= (
        config.items()
    )
    assert type(layer).from_config(config).get_config() == config
    changed = type(layer)(3, **{name: not value for name, value in own.items() if isinstance(value, bool)})
    assert vars(type(layer).from_config(changed.get_config()).options) == vars(changed.options)


def test_a_class_of_the_users_knows_its_own_defaults_only():
    class Relu(LSTM):
        def __init__(self, units, slope=0.5, **options):
            super().__init__(units, activation="relu", **options)

    layer = Relu(3, seed=1)
    config = layer.get_config()
    assert config["slope"] == 0.5
    assert "kernel_initializer" not in config
    assert Relu.from_config({k: v for k, v in config.items() if k != "activation"}).options.activation == "relu"


@pytest.mark.parametrize("kind", [LSTM, GRU, lambda n: RNN(LSTMCell(n))])
def test_states_in_a_list_with_the_inputs_are_told_where_they_belong(kind):
    x, h = np.ones((2, 4, 3), "float32"), np.zeros((2, 2), "float32")
    with pytest.raises(ValueError, match=r"inputs: expected one array, got a list of them; .* initial_state"):
        kind(2)([x, h, h])
    np.testing.assert_array_equal(kind(2)([x[0], x[1]]).shape, (2, 2))  # a list of rows is an array


@pytest.mark.parametrize("name", ["activation", "recurrent_activation"])
def test_the_activations_of_minimal_cells_are_fixed(name):
    with pytest.raises(ValueError, match=f"^MinGRU: {name}: is fixed, but for log_space; got 'tanh'$"):
        MinGRU(2, **{name: "tanh"})
