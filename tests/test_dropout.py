"""Dropout and zoneout: Keras's masks, drawn once a call, the same for the same seed, and none at inference."""

import numpy as np
import pytest
from layer_tools import numbers, with_weights
from problems import has_recurrent_kernel, possible_zoneout

import lstmcore
from lstmcore import Sequential, _random, functional, reference
from lstmcore._options import (
    GRUOptions,
    LSTMOptions,
    MinGRUOptions,
    MinLSTMOptions,
    RNNOptions,
    SLSTMOptions,
    Zoneout,
)
from lstmcore.layers import GRU, LSTM, SLSTM, Bidirectional, Dense, MinGRU, MinLSTM, SimpleRNN

BATCH, STEPS, FEATURES, UNITS = 5, 7, 6, 4

KINDS = {
    "lstm": (LSTM, {}, LSTMOptions()),
    "lstm coupled": (LSTM, {"coupled": True}, LSTMOptions(coupled=True)),
    "lstm projection": (LSTM, {"projection": 3}, LSTMOptions(projection=True)),
    "gru": (GRU, {}, GRUOptions()),
    "gru reset before": (GRU, {"reset_after": False}, GRUOptions(reset_after=False)),
    "rnn": (SimpleRNN, {}, RNNOptions()),
    "min gru": (MinGRU, {}, MinGRUOptions()),
    "min lstm": (MinLSTM, {"log_space": True}, MinLSTMOptions(log_space=True)),
    "slstm": (SLSTM, {"heads": 2}, SLSTMOptions(heads=2)),
}
NOISE = {
    "dropout": {"dropout": 0.4},
    "recurrent dropout": {"recurrent_dropout": 0.3},
    "both": {"dropout": 0.4, "recurrent_dropout": 0.3},
    "zoneout": {"zoneout": 0.3},
    "all": {"dropout": 0.4, "recurrent_dropout": 0.3, "zoneout": 0.2},
}
EVERY = {
    f"{name}, {text}": (*case, noise)
    for name, case in KINDS.items()
    for text, noise in NOISE.items()
    if has_recurrent_kernel(case[2]) or "recurrent_dropout" not in noise
}
each_with_noise = pytest.mark.parametrize(("kind", "options", "cell", "noise"), list(EVERY.values()), ids=list(EVERY))


# --- the masks themselves, seen through layers that pass them on ---


def inputs_shown(rate, recurrent_rate=0.0, rows=40, width=100, steps=3, **options):
    """Outputs of a layer that gives out its inputs of ones as they come, in training: the mask of the inputs."""
    layer = SimpleRNN(
        width, activation=None, dropout=rate, recurrent_dropout=recurrent_rate, return_sequences=True, **options
    )
    x = np.ones((rows, steps, width), "float32")
    layer.ensure_built(x.shape)
    layer.set_weights([np.eye(width), np.zeros((width, width)), np.zeros(width)])
    return layer, x


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.9])
def test_inputs_are_dropped_and_scaled_and_fixed_over_the_steps(rate):
    layer, x = inputs_shown(rate, seed=1)
    shown = layer(x, training=True)
    np.testing.assert_array_equal(np.unique(shown), np.float32([0, 1 / (1 - rate)]))
    assert (shown == shown[:, :1]).all()
    # 4,000 draws: three standard deviations of their share.
    assert abs(np.mean(shown[:, 0] == 0) - rate) < 3 * np.sqrt(rate * (1 - rate) / 4000)
    assert shown.mean() == pytest.approx(1, abs=3 * np.sqrt(rate / (1 - rate) / 4000))
    # Neither rows nor features share their draws.
    assert len(np.unique(shown[:, 0], axis=0)) == 40
    assert len(np.unique(shown[:, 0], axis=1).T) > 90  # at a rate of 0.1 two of 40 rows may look the same by chance


def test_the_state_is_dropped_on_its_way_back_and_fixed_over_the_steps():
    """h = h_before * mask, from ones: 1, m, m^2, m^3 are the outputs."""
    width, rate = 100, 0.5
    layer = SimpleRNN(width, activation=None, recurrent_dropout=rate, return_sequences=True, seed=1)
    x = np.zeros((40, 4, width), "float32")
    layer.ensure_built(x.shape)
    layer.set_weights([np.eye(width), np.eye(width), np.zeros(width)])
    shown = layer(x, training=True, initial_state=np.ones((40, width), "float32"))
    mask = shown[:, 0]
    assert set(np.unique(mask)) == {0, 2}
    assert abs(np.mean(mask == 0) - rate) < 3 * np.sqrt(rate * (1 - rate) / 4000)
    for t in range(4):
        np.testing.assert_array_equal(shown[:, t], mask ** (t + 1))


def test_gates_share_the_mask_of_the_inputs_unless_there_is_recurrent_dropout():
    """An LSTM of four units, linear throughout, of which unit k shows gate k and has ones for the others.

    With one input of 1 and a cell state of 1 before: c = f c + i g, h = o c.
    """
    shown = {}
    for recurrent_rate in (0.0, 0.5):
        layer = LSTM(4, None, None, dropout=0.5, recurrent_dropout=recurrent_rate, unit_forget_bias=False, seed=2)
        kernel, bias = np.zeros((1, 4, 4)), np.ones((4, 4))
        bias[1] = 0  # f: nothing is kept
        for gate in range(4):
            kernel[0, gate, gate], bias[gate, gate] = 1, 0
        bias[0, 1] = 0  # unit 1 shows f: nothing comes in
        layer.ensure_built((None, None, 1))
        layer.set_weights([kernel.reshape(1, 16), np.zeros((4, 16)), bias.ravel()])
        x, state = np.ones((200, 1, 1), "float32"), [np.zeros((200, 4), "float32"), np.ones((200, 4), "float32")]
        assert (layer(x, initial_state=state) == 1).all()
        shown[recurrent_rate] = layer(x, training=True, initial_state=state)
        assert set(np.unique(shown[recurrent_rate])) == {0, 2}
    assert (shown[0.0] == shown[0.0][:, :1]).all()
    for gate in range(4):
        for other in range(gate):
            # Two independent masks agree in half of 200 places: three standard deviations are 21.
            assert abs(np.sum(shown[0.5][:, gate] == shown[0.5][:, other]) - 100) < 22


def test_units_are_zoned_out_anew_at_every_step():
    """h = x = t: a unit that kept its value shows the step before."""
    layer = SimpleRNN(100, activation=None, zoneout=0.25, return_sequences=True, seed=1)
    x = np.broadcast_to(np.arange(1.0, 5.0, dtype="float32")[:, None], (40, 4, 100))
    layer.ensure_built(x.shape)
    layer.set_weights([np.eye(100), np.zeros((100, 100)), np.zeros(100)])
    shown = layer(x, training=True)
    kept = shown == np.concatenate([np.zeros((40, 1, 100)), shown[:, :-1]], axis=1)
    np.testing.assert_array_equal(shown[~kept], x[~kept])
    for t in range(4):  # 4,000 draws: three standard deviations
        assert abs(kept[:, t].mean() - 0.25) < 3 * np.sqrt(0.25 * 0.75 / 4000)
    assert (kept[:, 0] != kept[:, 1]).any()
    # At inference the state is mixed instead: 3/4 of the new and 1/4 of the old.
    want = np.array([0.75, 1.6875, 2.671875, 3.66796875])
    np.testing.assert_array_equal(layer(x)[0, :, 0], want)


# --- against the reference, with masks drawn in the same way ---


def drawn(layer, seed, call=1):
    """What the layer draws in its call-th call: keyword arguments of the functions."""
    stream = _random.Stream(seed)
    for _ in range(call):
        rng = stream.next()
    noise, gates = {}, ()
    if layer.recurrent_dropout:
        gates = (layer.options.gates,)
    if layer.dropout:
        noise["dropout_mask"] = _random.dropout(rng, layer.dropout, (*gates, BATCH, FEATURES), layer.dtype)
    if layer.recurrent_dropout:
        shape = (*gates, BATCH, layer.outputs)
        noise["recurrent_dropout_mask"] = _random.dropout(rng, layer.recurrent_dropout, shape, layer.dtype)
    if layer.zoneout:
        zoneout = Zoneout(layer.zoneout, layer.zoneout, seed=int(rng.integers(2**32)))
        noise["zoneout"] = possible_zoneout(layer.options, zoneout)
    return noise


@each_with_noise
def test_training_is_the_function_with_the_masks_drawn(kind, options, cell, noise):
    layer = with_weights(kind(UNITS, return_sequences=True, dtype="float64", seed=8, **noise, **options), FEATURES)
    x, d = numbers(BATCH, STEPS, FEATURES), numbers(BATCH, STEPS, layer.outputs, seed=1)
    for call in (1, 2):
        for v in layer.variables:
            v.gradient.fill(0)
        got = layer(x, training=True)
        got_d = layer.backward(d)
        for module, tolerance in ((functional, {"rtol": 0}), (reference, {"rtol": 1e-11, "atol": 1e-12})):
            want, _, cache = getattr(module, cell.cell)(
                x, layer.get_weights(), options=cell, training=True, **drawn(layer, 8, call)
            )
            want_d, gradients, _ = getattr(module, f"{cell.cell}_backward")(cache, d)
            np.testing.assert_allclose(got, want, **tolerance)
            np.testing.assert_allclose(got_d, want_d, **tolerance)
            for v, want_gradient in zip(layer.variables, gradients, strict=True):
                np.testing.assert_allclose(v.gradient, want_gradient, err_msg=v.path, **tolerance)


@each_with_noise
def test_inference_draws_nothing(kind, options, cell, noise):
    layer = with_weights(kind(UNITS, dtype="float64", **noise, **options), FEATURES)
    x = numbers(BATCH, STEPS, FEATURES)
    zoneout = possible_zoneout(cell, Zoneout(noise.get("zoneout", 0), noise.get("zoneout", 0)))
    want, _ = getattr(reference, cell.cell)(
        x, layer.get_weights(), options=cell, return_sequences=False, zoneout=zoneout
    )
    np.testing.assert_allclose(layer(x), want, rtol=1e-11, atol=1e-12)
    np.testing.assert_array_equal(layer(x), layer(x))
    assert (layer(x, training=True) != want).any()


def test_h_and_c_have_zoneout_rates_of_their_own():
    layer = with_weights(LSTM(UNITS, zoneout=(0.0, 0.5), dtype="float64", seed=3, return_state=True), FEATURES)
    x = numbers(BATCH, STEPS, FEATURES)
    rng = _random.Stream(3).next()
    for training, zoneout in ((False, Zoneout(0, 0.5)), (True, Zoneout(0, 0.5, seed=int(rng.integers(2**32))))):
        want, state = reference.lstm(x, layer.get_weights(), return_sequences=False, zoneout=zoneout)
        for a, b in zip(layer(x, training=training), (want, *state), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


def test_initial_states_and_padding_go_with_noise():
    layer = with_weights(GRU(UNITS, return_sequences=True, dtype="float64", seed=8, **NOISE["all"]), FEATURES)
    x, h, d = numbers(BATCH, STEPS, FEATURES), numbers(BATCH, UNITS), numbers(BATCH, STEPS, UNITS)
    mask = np.random.default_rng(0).random((BATCH, STEPS)) < 0.6
    got = layer(x, training=True, initial_state=h, mask=mask)
    want, _, cache = reference.gru(x, layer.get_weights(), h, mask=mask, training=True, **drawn(layer, 8))
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(layer.backward(d), reference.gru_backward(cache, d)[0], rtol=1e-11, atol=1e-12)


# --- seeds ---


def model_with_noise(seed=None):
    model = Sequential(
        [
            LSTM(
                UNITS,
                return_sequences=True,
                dropout=0.2,
                recurrent_dropout=0.2,
                input_shape=(None, FEATURES),
                seed=seed,
            ),
            Bidirectional(GRU(UNITS, return_sequences=True, dropout=0.2, seed=seed)),
            SimpleRNN(UNITS, zoneout=0.1, seed=seed),
            Dense(1),
        ]
    )
    model.compile("adam", "mse")
    return model


def test_every_call_draws_afresh_and_the_seed_begins_again():
    first, second, other = (GRU(UNITS, dropout=0.5, seed=seed) for seed in (7, 7, 8))
    x = numbers(BATCH, STEPS, FEATURES, dtype="float32")
    for layer in (first, second, other):
        with_weights(layer, FEATURES)
    runs = [first(x, training=True) for _ in range(3)]
    assert (runs[0] != runs[1]).any()
    assert (runs[1] != runs[2]).any()
    first(x)  # inference draws nothing and so changes nothing
    for want in runs:
        np.testing.assert_array_equal(second(x, training=True), want)
    assert (other(x, training=True) != runs[0]).any()
    first.reseed(7)
    np.testing.assert_array_equal(first(x, training=True), runs[0])


def test_the_global_seed_makes_training_repeat_whatever_the_threads(set_threads):
    x, y = numbers(64, 20, FEATURES, dtype="float32"), numbers(64, 1, dtype="float32")
    results = []
    for seed, threads in ((5, 1), (5, 2), (5, 3), (6, 1)):
        set_threads(threads)
        lstmcore.utils.set_random_seed(seed)
        model = model_with_noise()
        losses = model.fit(x, y, epochs=2, verbose=0).history["loss"]
        results.append((losses, model.parameters.values.copy()))
    for losses, values in results[1:3]:
        assert losses == results[0][0]
        np.testing.assert_array_equal(values, results[0][1])
    assert results[3][0] != results[0][0]


def test_layers_without_a_seed_draw_different_masks():
    lstmcore.utils.set_random_seed(1)
    shown = []
    for _ in range(2):
        layer, x = inputs_shown(0.5)
        shown.append(layer(x, training=True))
    assert (shown[0] != shown[1]).any()


def test_a_seed_of_its_own_does_not_depend_on_the_global_one():
    shown = []
    for seed in (1, 2):
        lstmcore.utils.set_random_seed(seed)
        layer, x = inputs_shown(0.5, seed=11)
        shown.append(layer(x, training=True))
    np.testing.assert_array_equal(*shown)
