"""Files of Keras: what Keras writes is read, what is written Keras reads, with equal outputs."""

import contextlib
import io
import json
import os
import struct
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_tools import NEAR, agree, made, some, with_random_weights

import lstmcore
from lstmcore import Input, Model, Sequential, layers, models
from lstmcore.interop.keras_files import archive, hdf5

h5py = pytest.importorskip("h5py")
pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras", minversion="3.0")


# --- generated architectures: each is a list of (class, arguments), for Keras and for us ---

recurrent = st.builds(
    lambda cls, units, more: (cls, {"units": units, "return_sequences": True} | more),
    st.sampled_from(["LSTM", "GRU", "SimpleRNN"]),
    st.integers(1, 5),
    st.sampled_from([{}, {"go_backwards": True}, {"use_bias": False}, {"activation": "relu"}, {"dropout": 0.2}]),
)
gated = st.builds(
    lambda cls, act: (cls, {"units": 3, "return_sequences": True, "recurrent_activation": act}),
    st.sampled_from(["LSTM", "GRU"]),
    st.sampled_from(["sigmoid", "hard_sigmoid"]),
)
plain = st.sampled_from(
    [
        ("GRU", {"units": 3, "return_sequences": True, "reset_after": False}),
        ("Dense", {"units": 4, "activation": "gelu"}),
        ("Dense", {"units": 2, "kernel_regularizer": "l2", "kernel_constraint": "max_norm"}),
        ("Conv1D", {"filters": 3, "kernel_size": 2, "padding": "causal", "activation": "relu"}),
        ("Conv1D", {"filters": 4, "kernel_size": 3, "padding": "same", "dilation_rate": 2}),
        ("MaxPooling1D", {"pool_size": 2, "padding": "same"}),
        ("AveragePooling1D", {"pool_size": 2, "padding": "same"}),
        ("BatchNormalization", {}),
        ("BatchNormalization", {"center": False}),
        ("LayerNormalization", {}),
        ("RMSNormalization", {}),
        ("UnitNormalization", {}),
        ("Dropout", {"rate": 0.3}),
        ("SpatialDropout1D", {"rate": 0.3}),
        ("GaussianNoise", {"stddev": 0.1}),
        ("GaussianDropout", {"rate": 0.1}),
        ("AlphaDropout", {"rate": 0.1}),
        ("Activation", {"activation": "softplus"}),
        ("LeakyReLU", {"negative_slope": 0.1}),
        ("ReLU", {"max_value": 1.0}),
        ("ELU", {}),
        ("PReLU", {"shared_axes": [1]}),
        ("Softmax", {}),
        ("Identity", {}),
        ("ZeroPadding1D", {"padding": 1}),
        ("UpSampling1D", {"size": 2}),
    ]
)
wrapped = st.builds(
    lambda cls, units, mode: ("Bidirectional", {"layer": (cls, {"units": units, "return_sequences": True}), **mode}),
    st.sampled_from(["LSTM", "GRU", "SimpleRNN"]),
    st.integers(1, 4),
    st.sampled_from([{}, {"merge_mode": "sum"}, {"merge_mode": "ave"}, {"merge_mode": "mul"}]),
)
distributed = st.just(("TimeDistributed", {"layer": ("Dense", {"units": 3, "activation": "tanh"})}))
cells = st.sampled_from(
    [
        ("RNN", {"cell": ("LSTMCell", {"units": 3}), "return_sequences": True}),
        ("RNN", {"cell": [("GRUCell", {"units": 3}), ("LSTMCell", {"units": 2})], "return_sequences": True}),
        ("RNN", {"cell": [("SimpleRNNCell", {"units": 3})], "return_sequences": True}),
    ]
)
ends = st.sampled_from(
    [
        [("LSTM", {"units": 3})],
        [("Bidirectional", {"layer": ("GRU", {"units": 2})})],
        [("GlobalAveragePooling1D", {})],
        [("GlobalMaxPooling1D", {})],
        [("Flatten", {}), ("Dense", {"units": 2})],
        [("GRU", {"units": 3}), ("RepeatVector", {"n": 2}), ("Reshape", {"target_shape": [6]})],
        [("Permute", {"dims": [2, 1]}), ("SimpleRNN", {"units": 2})],
    ]
)
chains = st.builds(
    lambda middle, end: [*middle, *end, ("Dense", {"units": 2, "activation": "sigmoid"})],
    st.lists(st.one_of(recurrent, gated, plain, wrapped, distributed, cells), min_size=1, max_size=4),
    ends,
)


def chain(package, sequential, source, described, dtype="float32"):
    first = source((6, 3), dtype=dtype)
    described = [(cls, arguments | {"dtype": dtype}) for cls, arguments in described]
    return sequential([first, *(made(package, one) for one in described)])


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
@settings(max_examples=25, deadline=None)
@given(described=chains)
def test_chains_of_keras_come_in(keras, name, described, tmp_path_factory):
    folder = tmp_path_factory.mktemp("in")
    theirs = with_random_weights(chain(keras.layers, keras.Sequential, keras.Input, described))
    theirs.save(folder / name)
    theirs.save_weights(folder / "m.weights.h5")
    ours = models.load_model(folder / name)
    agree(ours, theirs, some())
    from_json = models.model_from_json(theirs.to_json())
    from_json.load_weights(folder / "m.weights.h5")
    agree(from_json, theirs, some())


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
@settings(max_examples=25, deadline=None)
@given(described=chains)
def test_chains_of_ours_go_out(keras, name, described, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    ours = with_random_weights(chain(layers, Sequential, Input, described))
    ours.save(folder / name)
    ours.save_weights(folder / "m.weights.h5")
    theirs = keras.models.load_model(folder / name)
    agree(ours, theirs, some())
    with_random_weights(theirs, seed=7).load_weights(folder / "m.weights.h5")
    agree(ours, theirs, some())
    agree(ours, models.load_model(folder / name), some(), {"rtol": 0, "atol": 0})


def test_float64_and_integers_for_embeddings(keras, tmp_path):
    described = [("Embedding", {"input_dim": 9, "output_dim": 3, "mask_zero": True}), ("LSTM", {"units": 4})]
    inputs = np.random.default_rng(0).integers(0, 9, (5, 7))
    for dtype in ("float32", "float64"):
        keras_layers = [made(keras.layers, (cls, arguments | {"dtype": dtype})) for cls, arguments in described]
        theirs = with_random_weights(keras.Sequential([keras.Input((7,), dtype="int32"), *keras_layers]))
        theirs.save(tmp_path / "m.keras")
        ours = models.load_model(tmp_path / "m.keras")
        assert ours.dtype == dtype
        agree(ours, theirs, inputs)
        ours.save(tmp_path / "n.keras")
        agree(ours, keras.models.load_model(tmp_path / "n.keras"), inputs)


# --- graphs ---


def encoder_and_decoder(package, source, model):
    past, future = source((6, 3), name="past"), source((4, 2), name="future")
    lstm = package.LSTM(5, return_sequences=True, return_state=True, name="encoder")
    encoded, *state = lstm(past)
    decoded = package.LSTM(5, return_sequences=True, name="decoder")(future, initial_state=state)
    context = package.Attention(use_scale=True, name="attention")([decoded, encoded])
    more = package.AdditiveAttention(name="additive")([decoded, encoded])
    merged = package.Concatenate(name="merged")([decoded, context, more])
    outputs = package.TimeDistributed(package.Dense(2, name="inner"), name="outputs")(merged)
    return model([past, future], {"forecast": outputs, "last": package.Dense(1, name="score")(state[0])})


def with_operators(package, source, model):
    x = source((6, 3), name="x")
    y = package.GRU(3, return_sequences=True, name="gru")(x)
    z = (y * 2.0 + x) / (1.5 - y) - 0.5
    w = abs(-z)[:, 1:] ** 2.0
    return model(x, package.Dense(2, name="dense")(w[:, -1]))


def with_attention_of_heads(package, source, model):
    x = source((6, 4), name="x")
    y = package.MultiHeadAttention(2, 3, name="heads")(x, x)
    y = package.LayerNormalization(name="normalised")(package.Add(name="sum")([x, y]))
    y = package.MultiHeadAttention(1, 2, value_dim=5, use_bias=False, name="causal")(y, y, use_causal_mask=True)
    y = package.Maximum(name="maximum")([y, package.Multiply(name="product")([y, y])])
    y = package.Subtract(name="difference")([y, package.Average(name="mean")([y, x])])
    return model(x, package.Dot(axes=(1, 1), name="dot")([y, x]))


def with_models_within(package, source, model, sequential):
    inner = source((3,), name="inner_input")
    block = model(inner, package.Dense(3, activation="tanh", name="inner_dense")(inner), name="block")
    chain = sequential([source((6, 3)), package.LSTM(3, return_sequences=True, name="in_chain")], name="chain")
    shared = package.Dense(3, name="shared")
    x = source((6, 3), name="x")
    last = package.GRU(3, name="gru")(chain(chain(x)))
    return model(x, shared(block(shared(block(last)))), name="outer")


GRAPHS = {
    "encoder and decoder": (encoder_and_decoder, [(6, 3), (4, 2)]),
    "operators": (with_operators, [(6, 3)]),
    "attention of heads": (with_attention_of_heads, [(6, 4)]),
    "models within": (with_models_within, [(6, 3)]),
}


def graph(name, package, source, model, sequential):
    build, shapes = GRAPHS[name]
    more = (sequential,) if build is with_models_within else ()
    inputs = [some((4, *shape), seed) for seed, shape in enumerate(shapes)]
    return with_random_weights(build(package, source, model, *more)), inputs if len(inputs) > 1 else inputs[0]


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_of_keras_come_in(keras, name, tmp_path):
    theirs, inputs = graph(name, keras.layers, keras.Input, keras.Model, keras.Sequential)
    theirs.save(tmp_path / "m.keras")
    ours = models.load_model(tmp_path / "m.keras")
    agree(ours, theirs, inputs)
    theirs.save_weights(tmp_path / "m.weights.h5")
    with_random_weights(ours, 3).load_weights(tmp_path / "m.weights.h5")
    agree(ours, theirs, inputs)


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_of_ours_go_out(keras, name, tmp_path):
    ours, inputs = graph(name, layers, Input, Model, Sequential)
    ours.save(tmp_path / "m.keras")
    theirs = keras.models.load_model(tmp_path / "m.keras")
    agree(ours, theirs, inputs)
    agree(models.load_model(tmp_path / "m.keras"), ours, inputs, {"rtol": 0, "atol": 0})
    ours.save_weights(tmp_path / "m.weights.h5")
    with_random_weights(theirs, 3).load_weights(tmp_path / "m.weights.h5")
    agree(ours, theirs, inputs)


# --- compile and training ---


def compiled_model(package, sequential, source, optimizer, loss, metrics):
    model = sequential([source((6, 3)), package.LSTM(4), package.Dense(1)])
    model.compile(optimizer, loss, metrics=metrics)
    return model


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_what_compile_was_told_comes_in_and_goes_out(keras, name, tmp_path):
    x, y = some(), np.ones((4, 1), "float32")
    schedule = keras.optimizers.schedules.ExponentialDecay(0.02, 10, 0.5)
    optimizer = keras.optimizers.SGD(schedule, momentum=0.9)
    theirs = compiled_model(
        keras.layers, keras.Sequential, keras.Input, optimizer, keras.losses.MeanSquaredError(reduction="sum"), ["mae"]
    )
    theirs.save(tmp_path / name)
    ours = models.load_model(tmp_path / name)
    np.testing.assert_allclose(ours.evaluate(x, y, verbose=0), theirs.evaluate(x, y, verbose=0), rtol=1e-5)
    ours.fit(x, y, epochs=3, verbose=0, shuffle=False)
    theirs.fit(x, y, epochs=3, verbose=0, shuffle=False)
    agree(ours, theirs, x, {"rtol": 1e-3, "atol": 1e-5})

    schedule = lstmcore.optimizers.schedules.ExponentialDecay(0.02, 10, 0.5)
    optimizer = lstmcore.optimizers.SGD(schedule, momentum=0.9)
    ours = compiled_model(
        layers, Sequential, Input, optimizer, lstmcore.losses.MeanSquaredError(reduction="sum"), ["mae"]
    )
    ours.save(tmp_path / name)
    theirs = keras.models.load_model(tmp_path / name)
    np.testing.assert_allclose(ours.evaluate(x, y, verbose=0), theirs.evaluate(x, y, verbose=0), rtol=1e-5)
    ours.fit(x, y, epochs=3, verbose=0, shuffle=False)
    theirs.fit(x, y, epochs=3, verbose=0, shuffle=False)
    agree(ours, theirs, x, {"rtol": 1e-3, "atol": 1e-5})


def test_training_goes_on_bit_for_bit_from_a_keras_file_of_ours(tmp_path):
    x, y = some(), np.ones((4, 1), "float32")
    ours = compiled_model(layers, Sequential, Input, "adam", "mse", [])
    ours.fit(x, y, epochs=2, verbose=0)
    ours.save(tmp_path / "m.keras")
    other = models.load_model(tmp_path / "m.keras")
    ours.fit(x, y, epochs=2, verbose=0)
    other.fit(x, y, epochs=2, verbose=0)
    agree(ours, other, x, {"rtol": 0, "atol": 0})


# --- files of Keras 2, which are written here as it wrote them ---


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def hard_sigmoid_of_keras_2(x):
    return np.clip(0.2 * x + 0.5, 0, 1)


def lstm_by_hand(x, kernel, recurrent, bias, gate=sigmoid):
    h = c = np.zeros((len(x), recurrent.shape[0]))
    for step in range(x.shape[1]):
        i, f, g, o = np.split(x[:, step] @ kernel + h @ recurrent + bias, 4, axis=1)
        c = gate(f) * c + gate(i) * np.tanh(g)
        h = gate(o) * np.tanh(c)
    return h


def gru_by_hand(x, kernel, recurrent, bias, reset_after):
    h = np.zeros((len(x), recurrent.shape[0]))
    for step in range(x.shape[1]):
        inputs, states = (bias, 0) if bias.ndim == 1 else bias
        xz, xr, xh = np.split(x[:, step] @ kernel + inputs, 3, axis=1)
        uz, ur, uh = np.split(recurrent, 3, axis=1)
        bz, br, bh = np.split(np.broadcast_to(states, kernel.shape[1:]), 3)
        z, r = sigmoid(xz + h @ uz + bz), sigmoid(xr + h @ ur + br)
        new = np.tanh(xh + r * (h @ uh + bh)) if reset_after else np.tanh(xh + (r * h) @ uh + bh)
        h = z * h + (1 - z) * new
    return h


def write_h5(path, config, weights, version="2.3.1", as_bytes=True, root=True, chunked=False):
    """Write weights, by layer and name, as Keras 2 did: texts in bytes, and lists of them in attributes."""
    with h5py.File(path, "w") as file:
        text = (lambda s: s.encode()) if as_bytes else str
        group = file.create_group("model_weights") if root else file
        if config is not None:
            file.attrs["model_config"] = text(json.dumps(config))
        group.attrs["keras_version"] = text(version)
        file.attrs["keras_version"] = text(version)
        names = np.array([name.encode() for name in weights])
        for k, part in enumerate([names[:1], names[1:]] if chunked else []):
            group.attrs[f"layer_names{k}"] = part
        if not chunked:
            group.attrs["layer_names"] = names
        for layer, arrays in weights.items():
            below = group.create_group(layer)
            below.attrs["weight_names"] = np.array([f"{layer}/{name}:0".encode() for name in arrays])
            for name, array in arrays.items():
                below.create_dataset(f"{layer}/{name}:0", data=array)


def old_layer(cls, name, **config):
    return {"class_name": cls, "config": {"name": name, "trainable": True} | config}


def old_chain(*parts, as_list=False):
    return {"class_name": "Sequential", "config": list(parts) if as_list else {"name": "s", "layers": list(parts)}}


OLD_LSTM = {
    "units": 3, "activation": "tanh", "recurrent_activation": "hard_sigmoid", "use_bias": True, "dtype": "float32",
    "kernel_initializer": {"class_name": "VarianceScaling", "config": {"scale": 1.0, "mode": "fan_avg",
                           "distribution": "uniform", "seed": None}},
    "recurrent_initializer": {"class_name": "Orthogonal", "config": {"gain": 1.0, "seed": None}},
    "bias_initializer": {"class_name": "Zeros", "config": {}}, "unit_forget_bias": True, "kernel_regularizer": None,
    "kernel_constraint": None, "dropout": 0.0, "recurrent_dropout": 0.0, "implementation": 1, "unroll": False,
    "return_sequences": False, "return_state": False, "go_backwards": False, "stateful": False, "time_major": False,
}  # fmt: skip


def weights_like(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(0, 0.8, shape).astype("float32") for shape in shapes]


@pytest.mark.parametrize("as_list", [False, True])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_an_lstm_of_keras_2_has_its_own_hard_sigmoid(as_list, as_bytes, tmp_path):
    w, u, b, v, d = weights_like((2, 12), (3, 12), (12,), (3, 1), (1,))
    config = old_chain(
        old_layer("LSTM", "lstm_1", batch_input_shape=[None, 5, 2], **OLD_LSTM),
        old_layer("Dense", "dense_1", units=1, activation="linear", use_bias=True),
        as_list=as_list,
    )
    weights = {
        "lstm_1": {"kernel": w, "recurrent_kernel": u, "bias": b},
        "dense_1": {"kernel": v, "bias": d},
    }
    write_h5(tmp_path / "old.h5", config, weights, as_bytes=as_bytes, chunked=as_bytes)
    x = some((4, 5, 2))
    expected = lstm_by_hand(x, w, u, b, hard_sigmoid_of_keras_2) @ v + d
    model = models.load_model(tmp_path / "old.h5")
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, **NEAR)
    # Its activation is one of ours, so that it goes into our files and comes back.
    model.save(tmp_path / "ours.safetensors")
    np.testing.assert_allclose(models.load_model(tmp_path / "ours.safetensors").predict(x, verbose=0), expected, **NEAR)


@pytest.mark.parametrize("reset_after", [None, False, True])
def test_a_gru_of_keras_2_that_says_nothing_resets_before(reset_after, tmp_path):
    w, u, b = weights_like((2, 9), (3, 9), (2, 9) if reset_after else (9,))
    said = {} if reset_after is None else {"reset_after": reset_after}
    config = old_chain(old_layer("GRU", "gru_1", units=3, recurrent_activation="sigmoid",
                                 batch_input_shape=[None, 5, 2], **said))  # fmt: skip
    write_h5(tmp_path / "old.h5", config, {"gru_1": {"kernel": w, "recurrent_kernel": u, "bias": b}})
    x = some((4, 5, 2))
    expected = gru_by_hand(x, w, u, b, bool(reset_after))
    np.testing.assert_allclose(models.load_model(tmp_path / "old.h5").predict(x, verbose=0), expected, **NEAR)


def as_cudnn(array, gates):
    """What CuDNN keeps of a matrix of Keras's: each gate transposed in memory, in an array of the first shape."""
    parts = [np.ascontiguousarray(part.T).reshape(part.shape) for part in np.split(array, gates, axis=1)]
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("wrapped_in_bidirectional", [False, True])
def test_cudnn_lstm_and_gru(wrapped_in_bidirectional, tmp_path):
    x = some((4, 5, 2))
    w, u, b = weights_like((2, 12), (3, 12), (24,))
    lstm = {"kernel": as_cudnn(w, 4), "recurrent_kernel": as_cudnn(u, 4), "bias": b}
    expected = lstm_by_hand(x, w, u, b[:12] + b[12:])
    layer = old_layer("CuDNNLSTM", "rnn", units=3, batch_input_shape=[None, 5, 2], return_sequences=False)
    if wrapped_in_bidirectional:
        layer["config"].pop("batch_input_shape")
        layer = old_layer("Bidirectional", "both", layer=layer, merge_mode="concat", batch_input_shape=[None, 5, 2])
        lstm = {f"{side}/{name}": array for side in ("forward", "backward") for name, array in lstm.items()}
        expected = np.concatenate([expected, lstm_by_hand(x[:, ::-1], w, u, b[:12] + b[12:])], axis=1)
    write_h5(tmp_path / "lstm.h5", old_chain(layer), {layer["config"]["name"]: lstm})
    np.testing.assert_allclose(models.load_model(tmp_path / "lstm.h5").predict(x, verbose=0), expected, **NEAR)

    w, u, b = weights_like((2, 9), (3, 9), (18,))
    config = old_chain(old_layer("CuDNNGRU", "rnn", units=3, batch_input_shape=[None, 5, 2], return_sequences=False))
    gru = {"kernel": as_cudnn(w, 3), "recurrent_kernel": as_cudnn(u, 3), "bias": b}
    write_h5(tmp_path / "gru.h5", config, {"rnn": gru})
    expected = gru_by_hand(x, w, u, b.reshape(2, 9), True)
    np.testing.assert_allclose(models.load_model(tmp_path / "gru.h5").predict(x, verbose=0), expected, **NEAR)


def test_a_graph_of_tf_keras_with_states_models_within_and_operators(tmp_path):
    w, u, b, w2, u2, v, d = weights_like((2, 12), (3, 12), (12,), (2, 12), (3, 12), (3, 3), (3,))
    lstm = OLD_LSTM | {"recurrent_activation": "sigmoid"}
    inner = {"name": "inner", "layers": [
        old_layer("InputLayer", "i", batch_input_shape=[None, 3], dtype="float32", sparse=False, ragged=False)
        | {"name": "i", "inbound_nodes": []},
        old_layer("Dense", "d", units=3) | {"name": "d", "inbound_nodes": [[["i", 0, 0, {}]]]},
    ], "input_layers": [["i", 0, 0]], "output_layers": [["d", 0, 0]]}  # fmt: skip
    config = {"class_name": "Functional", "config": {"name": "outer", "layers": [
        old_layer("InputLayer", "x", batch_input_shape=[None, 5, 2], dtype="float32", sparse=False, ragged=False)
        | {"name": "x", "inbound_nodes": []},
        old_layer("LSTM", "one", **lstm | {"return_state": True})
        | {"name": "one", "inbound_nodes": [[["x", 0, 0, {}]]]},
        old_layer("LSTM", "two", **lstm | {"use_bias": False}) | {"name": "two", "inbound_nodes": [
            [["x", 0, 0, {}], ["one", 0, 1, {}], ["one", 0, 2, {}]]]},
        {"class_name": "Functional", "config": inner, "name": "inner", "inbound_nodes": [
            [["two", 0, 0, {}]], [["inner", 1, 0, {}]]]},
        old_layer("TFOpLambda", "tf.math.multiply", function="math.multiply")
        | {"name": "tf.math.multiply", "inbound_nodes": [["inner", 2, 0, {"y": 2.0, "name": None}]]},
    ], "input_layers": [["x", 0, 0]], "output_layers": [["tf.math.multiply", 0, 0]]}}  # fmt: skip
    weights = {
        "x": {}, "one": {"kernel": w, "recurrent_kernel": u, "bias": b},
        "two": {"kernel": w2, "recurrent_kernel": u2}, "inner": {"kernel": v, "bias": d}, "tf.math.multiply": {},
    }  # fmt: skip
    write_h5(tmp_path / "old.h5", config, weights, version="2.11.0", as_bytes=False)
    x = some((4, 5, 2)).astype("float64")

    def lstm_with_states(x, kernel, recurrent, bias, h, c):
        for step in range(x.shape[1]):
            i, f, g, o = np.split(x[:, step] @ kernel + h @ recurrent + bias, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        return h, c

    zeros = np.zeros((4, 3))
    h, _ = lstm_with_states(x, w2, u2, 0, *lstm_with_states(x, w, u, b, zeros, zeros))
    expected = 2 * ((h @ v + d) @ v + d)
    model = models.load_model(tmp_path / "old.h5")
    np.testing.assert_allclose(model.predict(x.astype("float32"), verbose=0), expected, **NEAR)
    assert (
        models.model_from_json(json.dumps(config | {"keras_version": "2.11.0"})).count_params() == model.count_params()
    )


def test_weights_alone_of_keras_2_are_found_by_name_or_by_order(tmp_path):
    w, b, v, d = weights_like((3, 4), (4,), (4, 2), (2,))
    model = Sequential([Input((3,)), layers.Dense(4, name="a"), layers.Dropout(0.1), layers.Dense(2, name="b")])
    weights = {"a": {"kernel": w, "bias": b}, "b": {"kernel": v, "bias": d}, "dropout": {}}
    for names in (weights, dict(zip(("dense_7", "dense_8"), list(weights.values())[:2], strict=True))):
        write_h5(tmp_path / "w.h5", None, names, root=False)
        with_random_weights(model).load_weights(tmp_path / "w.h5")
        for own, array in zip(model.get_weights(), (w, b, v, d), strict=True):
            np.testing.assert_array_equal(own, array)


def test_files_of_keras_2_are_to_us_what_they_are_to_keras_3(keras, tmp_path):
    """Of what it still reads: it gives hard_sigmoid its new slope, and knows neither time_major nor CuDNNLSTM."""
    w, u, b, w2, u2, b2, v, d = weights_like((2, 12), (3, 12), (12,), (3, 6), (2, 6), (2, 6), (2, 1), (1,))
    lstm = OLD_LSTM | {"recurrent_activation": "sigmoid", "return_sequences": True}
    lstm.pop("time_major")
    gru = {"units": 2, "recurrent_activation": "sigmoid", "reset_after": True, "go_backwards": True}
    config = old_chain(
        old_layer("InputLayer", "x", batch_input_shape=[None, 5, 2], dtype="float32", sparse=False, ragged=False),
        old_layer("LSTM", "lstm_1", **lstm),
        old_layer("GRU", "gru_1", **gru),
        old_layer("Dense", "dense_1", units=1, activation="linear", use_bias=True),
    )
    weights = {
        "lstm_1": {"kernel": w, "recurrent_kernel": u, "bias": b},
        "gru_1": {"kernel": w2, "recurrent_kernel": u2, "bias": b2},
        "dense_1": {"kernel": v, "bias": d},
    }
    write_h5(tmp_path / "old.h5", config, weights, version="2.11.0", as_bytes=False)
    theirs = keras.models.load_model(tmp_path / "old.h5", compile=False)
    agree(models.load_model(tmp_path / "old.h5"), theirs, some((4, 5, 2)))


def test_alias_and_old_names_of_arguments(tmp_path):
    config = old_chain(
        old_layer("BatchNormalizationV1", "bn", axis=[2], fused=None, batch_input_shape=[None, 5, 2]),
        old_layer("LeakyReLU", "leaky", alpha=0.25),
        old_layer("GlobalAvgPool1D", "mean"),
    )
    model = models.model_from_json(json.dumps(config | {"keras_version": "2.2.4"}))
    assert model.layers[1].activation.negative_slope == 0.25
    assert model.output_shape == (None, 2)


# --- what cannot be read or written ---


def a_keras_file(tmp_path, name="m.keras"):
    model = Sequential([Input((6, 3)), layers.LSTM(4), layers.Dense(1)])
    model.save(tmp_path / name)
    return model, tmp_path / name


def parts_of(path):
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def put_together(path, parts, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return path


def with_config(path, change):
    parts = parts_of(path)
    config = json.loads(parts["config.json"])
    change(config)
    return put_together(path, parts | {"config.json": json.dumps(config)})


def with_h5(path, change):
    """Write a .keras file anew with another HDF5 file in it."""
    parts = parts_of(path)
    stream = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(stream, "r+") as file:
        change(file)
    return put_together(path, parts | {"model.weights.h5": stream.getvalue()})


def test_a_file_that_is_cut_anywhere_is_refused(tmp_path):
    for name in ("m.keras", "m.h5"):
        _, path = a_keras_file(tmp_path, name)
        content = path.read_bytes()
        for end in np.linspace(8, len(content) - 1, 60).astype(int):
            path.write_bytes(content[:end])
            with pytest.raises(ValueError, match=name):
                models.load_model(path)


@pytest.mark.parametrize("seed", range(5))
def test_a_file_with_other_bytes_gives_a_model_or_a_valueerror(seed, tmp_path):
    rng = np.random.default_rng(seed)
    _, path = a_keras_file(tmp_path, ("m.keras", "m.h5")[seed % 2])
    content = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(40):
        other = content.copy()
        at = rng.integers(0, len(content), 3)
        other[at] = rng.integers(0, 256, 3)
        path.write_bytes(other.tobytes())
        with contextlib.suppress(ValueError):
            models.load_model(path)


def test_zip_bombs_are_refused_before_they_are_unpacked(tmp_path):
    _, path = a_keras_file(tmp_path)
    parts = parts_of(path) | {"model.weights.h5": b"\x89HDF\r\n\x1a\n" + bytes(64 << 20)}
    put_together(path, parts, zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match=r"m\.keras: expected at most \d+ bytes when unpacked"):
        models.load_model(path)


HOSTILE_H5 = {
    "an external link": (lambda f: f.__setitem__("layers/x", h5py.ExternalLink("/etc/passwd", "/")), "ExternalLink"),
    "a soft link": (lambda f: f.__setitem__("layers/x", h5py.SoftLink("/layers/dense")), "SoftLink"),
    "a circle": (lambda f: f.__setitem__("layers/x", f["layers"]), "once"),
    "a dataset twice": (lambda f: f.__setitem__("layers/x", f["layers/dense/vars/0"]), "once"),
    "a type": (lambda f: f.__setitem__("layers/x", np.dtype("f4")), "expected a group or a dataset"),
    "references": (lambda f: f.create_dataset("layers/x", data=f.ref, dtype=h5py.ref_dtype), "expected numbers"),
    "texts": (lambda f: f.create_dataset("layers/x", data=["a", "b"]), "expected numbers"),
    "an external dataset": (
        lambda f: f.create_dataset("layers/x", (8,), "u1", external=[("/etc/passwd", 0, 8)]),
        "external",
    ),
    "a virtual dataset": (
        lambda f: f.create_virtual_dataset("layers/x", _virtual()),
        "virtual",
    ),
    "a bomb of nothing": (lambda f: f.create_dataset("layers/x", (1 << 40,), "f4", chunks=(1 << 10,)), "size of the"),
    "a compressed bomb": (
        lambda f: f.create_dataset("layers/x", data=np.zeros(1 << 24, "f4"), compression="gzip"),
        "size of the file",
    ),
    "one weight too many": (lambda f: f.create_dataset("layers/dense/vars/2", data=np.ones(3)), "not in the model"),
    "one too few": (lambda f: f.__delitem__("layers/dense/vars/1"), "(not in|than) the file"),
    "another shape": (
        lambda f: (
            f.__delitem__("layers/dense/vars/1"),
            f.create_dataset("layers/dense/vars/1", data=np.ones(3, "f4")),
        ),
        "expected shape",
    ),
}


def _virtual():
    layout = h5py.VirtualLayout((8,), "u1")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (8,))
    return layout


@pytest.mark.parametrize("kind", HOSTILE_H5)
def test_hdf5_that_points_elsewhere_or_does_not_fit_is_refused(kind, tmp_path):
    change, said = HOSTILE_H5[kind]
    model, path = a_keras_file(tmp_path)
    with_h5(path, change)
    with pytest.raises(ValueError, match=rf"m\.keras: .*{said}"):
        models.load_model(path)
    before = model.get_weights()
    with pytest.raises(ValueError, match=said):
        model.load_weights(path)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def texts_in_attributes(folder):
    """Return the path of a file of texts, and the bytes where it says how long and where the longest is."""
    with h5py.File(folder / "texts.h5", "w") as file:
        file.attrs["model_config"] = "x" * 54321
        names = file.create_group("model_weights").attrs
        names.create("layer_names", ["y"] * 1000, dtype=h5py.string_dtype())
    content = (folder / "texts.h5").read_bytes()
    at = content.find(struct.pack("<I", 54321))
    while not any(content[at + 4 : at + 8]):  # in the heap, where lengths have eight bytes
        at = content.find(struct.pack("<I", 54321), at + 1)
    return folder / "texts.h5", content, content[at : at + 16]


def test_texts_that_are_said_to_be_longer_than_the_file_are_refused(tmp_path):
    """HDF5 would make room for them, and of each name in a list a text of its own."""
    path, content, reference = texts_in_attributes(tmp_path)
    path.write_bytes(content.replace(reference, struct.pack("<I", 0xF0000000) + reference[4:]))
    with pytest.raises(ValueError, match=r"texts\.h5: .*model_config: expected .* larger than the file"):
        models.load_model(path)
    begin = content.index(b"layer_names\0")
    at = content.index(struct.pack("<I", 1), begin + 48)
    many = content[:at] + reference * 1000 + content[at + 16_000 :]
    path.write_bytes(many)
    with pytest.raises(ValueError, match=r"texts\.h5: .*layer_names: expected .* larger than the file"):
        models.load_model(path)


def test_attributes_of_other_types_are_not_read(tmp_path):
    """HDF5 may not survive it."""
    path, content, _ = texts_in_attributes(tmp_path)
    path.write_bytes(content.replace(b"\x19\x01", b"\x19\x00"))
    with pytest.raises(ValueError, match=r"texts\.h5: .*expected a text or a list of texts"):
        models.load_model(path)


def test_many_parts_of_a_zip_file_take_no_time(tmp_path):
    _, path = a_keras_file(tmp_path)
    put_together(path, parts_of(path) | {f"assets/{k}": b"" for k in range(30_000)})
    began = time.process_time()
    models.load_model(path)
    assert time.process_time() - began < 5  # it is 0.2 s; a comparison of each with each would be a minute


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_kinds_of_compression_whose_blocks_have_no_bound_are_refused(kind, tmp_path):
    _, path = a_keras_file(tmp_path)
    put_together(path, parts_of(path), kind)
    with pytest.raises(ValueError, match=r"m\.keras: .*: expected a part stored or deflated"):
        models.load_model(path)


def test_a_deflated_part_with_other_bytes_is_refused(tmp_path):
    _, path = a_keras_file(tmp_path)
    put_together(path, parts_of(path), zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    content[content.index(b"model.weights.h5") + 40] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"m\.keras: not a whole ZIP file"):
        models.load_model(path)


def test_a_save_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    for name in ("m.keras", "m.h5", "m.weights.h5"):
        model, _ = a_keras_file(tmp_path)
        save = model.save_weights if "weights" in name else model.save
        save(tmp_path / name)
        content = (tmp_path / name).read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("no space left")))
            patch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("no space left")))
            with pytest.raises(OSError, match="no space left"):
                save(tmp_path / name)
        assert (tmp_path / name).read_bytes() == content
        assert {part.name for part in tmp_path.iterdir()} <= {"m.keras", "m.h5", "m.weights.h5"}


def test_all_unknown_layers_are_said_once(tmp_path):
    _, path = a_keras_file(tmp_path)

    def change(config):
        other = {"module": "keras.layers", "class_name": "Conv2D", "config": {"name": "c"}, "registered_name": None}
        mine = {
            "module": None,
            "class_name": "Mine",
            "config": {"name": "m", "trainable": True},
            "registered_name": "my>Mine",
        }
        config["config"]["layers"] += [other, other, mine]

    with pytest.raises(ValueError, match=r"m\.keras: no layers of lstmcore for Conv2D, my>Mine; "):
        models.load_model(with_config(path, change))


class Scale(layers.Layer):
    """One of the user's."""

    def __init__(self, factor, **options):
        super().__init__(**options)
        self.factor = factor

    def forward(self, inputs, training=False):
        return inputs * self.factor


def test_layers_of_ones_own_come_with_custom_objects(tmp_path):
    model, path = a_keras_file(tmp_path)
    mine = {
        "module": None,
        "class_name": "Scale",
        "config": {"name": "m", "factor": 2.0},
        "registered_name": "my>Scale",
    }
    with_config(path, lambda config: config["config"]["layers"].append(mine))
    for name in ("Scale", "my>Scale"):
        loaded = models.load_model(path, custom_objects={name: Scale}, compile=False)
        np.testing.assert_array_equal(loaded.predict(some(), verbose=0), 2 * model.predict(some(), verbose=0))
    with pytest.raises(ValueError, match="expected a class of lstmcore's layers"):
        models.load_model(path, custom_objects={"Scale": dict})


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_a_lambda_is_refused_unless_its_function_is_given(keras, name, tmp_path):
    kept = keras.layers.Lambda(lambda x: 3 * x, name="triple", output_shape=(2,))
    theirs = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), kept])
    theirs.save(tmp_path / name)
    with pytest.raises(ValueError, match="triple: a Lambda, whose function the file has as code, which is not run"):
        models.load_model(tmp_path / name)
    x = some((4, 3))
    agree(models.load_model(tmp_path / name, custom_objects={"triple": lambda x: 3 * x}), theirs, x)


def test_hostile_configurations_are_refused_by_the_name_of_the_file(tmp_path):
    _, path = a_keras_file(tmp_path)
    layers_of = lambda config: config["config"]["layers"]  # noqa: E731
    changes = {
        "more weights than the file": lambda c: layers_of(c)[1]["config"].update(units=1 << 30),
        "expected shape": lambda c: (
            layers_of(c)[2]["config"].update(units=0) or layers_of(c)[1]["config"].update(units=3)
        ),
        "activation": lambda c: layers_of(c)[2]["config"].update(
            activation={"class_name": "os.system", "config": "ls"}
        ),
        "time_major": lambda c: layers_of(c)[1]["config"].update(time_major=True),
        "expected a Sequential or a functional model": lambda c: c.update(class_name="Dense"),
        "unexpected": lambda c: layers_of(c)[2]["config"].update(nonsense=1),
    }
    content = path.read_bytes()
    for said, change in changes.items():
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"m\.keras: ") as caught:
            models.load_model(with_config(path, change))
        assert said in str(caught.value) or said == "expected shape"
    path.write_bytes(content)
    put_together(path, parts_of(path) | {"config.json": "[" * 100_000})
    with pytest.raises(ValueError, match=r"m\.keras: config\.json: not valid JSON"):
        models.load_model(path)


def test_a_gelu_that_is_approximated_is_refused(keras, tmp_path):
    x = keras.Input((3,), name="x")
    for approximate in (False, True):
        theirs = keras.Model(x, keras.ops.gelu(x, approximate=approximate))
        theirs.save(tmp_path / "m.keras")
        if approximate:
            with pytest.raises(ValueError, match=r"m\.keras: gelu.*: expected {'approximate': False}"):
                models.load_model(tmp_path / "m.keras")
        else:
            agree(models.load_model(tmp_path / "m.keras"), theirs, some((4, 3)))


def test_a_cold_start_imports_no_more_than_it_needs(tmp_path):
    a_keras_file(tmp_path)
    code = (
        "import sys, numpy\nfrom lstmcore import models\n"
        "model = models.load_model('m.keras')\nmodel.predict(numpy.zeros((1, 6, 3), 'float32'), verbose=0)\n"
        "unneeded = {'numpy.random', 'scipy', 'torch', 'keras', 'tensorflow', 'sklearn', 'lstmcore.tuner', "
        "'lstmcore.audio', 'lstmcore.datasets', 'lstmcore.preprocessing', 'lstmcore.interop.torch'}\n"
        "assert not unneeded & sys.modules.keys(), unneeded & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=60)


def test_circles_in_graphs_are_refused():
    def part(name, source):
        return old_layer("Dense", name, units=2) | {"name": name, "inbound_nodes": [[[source, 0, 0, {}]]]}

    config = {"class_name": "Model", "config": {
        "name": "m", "layers": [part("a", "b"), part("b", "a")], "input_layers": [["a", 0, 0]],
        "output_layers": [["b", 0, 0]]}, "keras_version": "2.2.4"}  # fmt: skip
    with pytest.raises(ValueError, match="without circles, got one among a, b"):
        models.model_from_json(json.dumps(config))


def test_what_keras_has_not_is_refused_with_all_of_it(tmp_path):
    peepholes = layers.LSTM(4, peepholes=True, return_sequences=True, name="p")
    model = Sequential([Input((6, 3)), peepholes, layers.MinGRU(3, name="m")])
    with pytest.raises(ValueError, match=r"m \(MinGRU\), p \(peepholes=True\); a file named \.safetensors takes"):
        model.save(tmp_path / "m.keras")
    assert not (tmp_path / "m.keras").exists()


def test_names_say_what_is_written(tmp_path):
    model, _ = a_keras_file(tmp_path)
    with pytest.raises(ValueError, match=r"ends in \.keras for a model"):
        model.save(tmp_path / "m.weights.h5")
    with pytest.raises(ValueError, match=r"ends in \.weights\.h5"):
        model.save_weights(tmp_path / "m.keras")
    model.save_weights(tmp_path / "w.h5")
    with pytest.raises(ValueError, match="a file of weights alone"):
        models.load_model(tmp_path / "w.h5")
    assert archive.unpacked((tmp_path / "m.keras").read_bytes()).keys() >= {archive.CONFIG, archive.WEIGHTS}
    assert (tmp_path / "w.h5").read_bytes().startswith(hdf5.MAGIC)


def test_two_files_of_one_model_are_the_same(tmp_path):
    model, path = a_keras_file(tmp_path)
    content = path.read_bytes()
    model.save(path)
    assert path.read_bytes() == content


def test_without_h5py_the_extra_is_said(tmp_path):
    a_keras_file(tmp_path)
    code = (
        "import sys; sys.modules['h5py'] = None\n"
        "from lstmcore import Input, Sequential, layers, models\n"
        "model = Sequential([Input((3,)), layers.Dense(1)])\n"
        "for act in (lambda: models.load_model('m.keras'), lambda: model.save('n.keras'),\n"
        "            lambda: model.load_weights('m.keras'), lambda: model.save_weights('n.weights.h5')):\n"
        "    try:\n        act()\n    except ImportError as error:\n        assert 'lstmcore[keras]' in str(error)\n"
        "    else:\n        raise AssertionError\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr


def test_keras_and_h5py_are_imported_only_where_they_are_needed():
    code = "import sys, lstmcore\nassert not {'keras', 'h5py'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
