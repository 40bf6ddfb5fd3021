"""Layers whose weights are kept in int8: what they compute, in files and copies, and what is refused.

Expected values come from the definitions in NumPy, which `reference` has, and for weights alone from a
float32 layer with the numbers that the whole ones stand for.
"""

import copy
import os
import pickle

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_reduced_precision import assert_is_expected, numbers

import lstmcore
from lstmcore import Input, Model, Sequential, _core, layers, models, reference
from lstmcore._int8 import Int8

TINY = np.finfo("f4").tiny
BIG = np.finfo("f4").max


def product(x, matrix):
    (q, of_rows), (p, of_columns) = reference.int8(x, 1), reference.int8(matrix, 0)
    return (q @ p) * (of_rows * of_columns)


def floats_of(matrix, of_rows=False):
    """The numbers that whole ones stand for, by the definition."""
    flat = np.asarray(matrix, "f4")
    flat = flat if of_rows else flat.reshape(-1, flat.shape[-1])
    q, scale = reference.int8(flat, 1 if of_rows else 0)
    return (q.astype("f4") * scale).reshape(np.shape(matrix))


def filled(layer, shape, seed=0):
    """A layer with weights, biases too, that are about as large as they are after training."""
    layer.build(shape)
    rng = np.random.default_rng(seed)
    layer.set_weights(
        [numbers(rng, *w.shape) / np.float32(max(1, w.size // w.shape[-1]) ** 0.5) for w in layer.weights]
    )
    return layer


def by_weights_alone(layer):
    """Have a float32 layer compute with what whole numbers stand for."""
    for part in [layer, *layer.sublayers]:
        for variable in part.variables:
            if variable.name in part.quantized_weights:
                variable.assign(floats_of(variable.value, part.quantized_weights[variable.name]))
    return layer


# --- whole numbers and scales ---


@pytest.mark.parametrize("of_rows", [False, True])
@given(st.integers(0, 9), st.integers(1, 9), st.sampled_from([1e-30, 1e-3, 1.0, 1e30]), st.integers(0, 99))
def test_whole_numbers_are_their_definition(of_rows, rows, columns, size, seed):
    rng = np.random.default_rng(seed)
    matrix = numbers(rng, rows or 1, columns) * np.float32(size)
    matrix[rng.random(matrix.shape) < 0.2] = 0
    kept = Int8.of("w", matrix, of_rows)
    q, scale = reference.int8(matrix, 1 if of_rows else 0)
    assert kept.values.dtype == np.int8
    assert kept.scale.dtype == np.float32
    np.testing.assert_array_equal(kept.values, q)
    np.testing.assert_array_equal(kept.scale, scale.ravel())
    np.testing.assert_array_equal(kept.floats(), floats_of(matrix, of_rows))
    np.testing.assert_array_equal(kept.rows(np.array([0, 0])), kept.floats()[[0, 0]])


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=40))
@example([0.0, 0.0])
@example([BIG, -BIG, 1.0])
@example([float(TINY) * 126, float(TINY)])
@example([float(TINY) * 127, float(TINY), -float(TINY) * 63.5])
@example([1e-45, -1e-45])
@example([127.0, 0.5, 1.5, 2.5, -0.5])
def test_what_they_stand_for_gives_the_same_again(column):
    """Also in the core, which is given the floats: products with a row of one 1 say what it has made of them."""
    kept = Int8.of("w", np.array(column, "f4")[:, None], False)
    stands_for = kept.floats()
    assert np.isfinite(stands_for).all()
    again = Int8.of("w", stands_for, False)
    np.testing.assert_array_equal(again.values, kept.values)
    np.testing.assert_allclose(again.scale, kept.scale, rtol=2.0**-23)
    ones = np.eye(len(column), dtype="f4") * np.float32(127 if kept.scale < 1 else 1)  # a scale of 1, or one below it
    seen = _core.matmul(ones, _core.PackedMatrix(stands_for, "int8")).astype("f8") / ones.max()
    if kept.scale < 1e36:
        np.testing.assert_allclose(seen, stands_for, rtol=1e-6)


def test_columns_of_nothing_but_zeros_are_zeros():
    layer = filled(layers.Dense(3), (None, 4))
    layer.kernel.assign(np.array(layer.kernel) * [1, 0, 1])
    layer.quantize()
    assert layer.kernel.int8.scale[1] == 0
    x = numbers(np.random.default_rng(0), 5, 4)
    np.testing.assert_array_equal(layer(x)[:, 1], np.full(5, layer.bias.value[1]))
    np.testing.assert_array_equal(layer(np.zeros((2, 4), "f4")), np.tile(layer.bias.value, (2, 1)))


# --- what layers compute ---


@pytest.mark.parametrize(("batch", "steps"), [(1, 1), (5, 3)])
def test_dense_and_conv1d_are_their_definition(batch, steps):
    rng = np.random.default_rng(1)
    x = numbers(rng, batch, steps, 9) * np.float32(3)
    dense = filled(layers.Dense(7, activation="relu"), (None, None, 9))
    want = product(x.reshape(-1, 9), dense.kernel.value) + dense.bias.value
    dense.quantize("int8")
    got = dense(x)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got.reshape(-1, 7), np.maximum(want, 0), atol=1e-5, rtol=1e-5)

    conv = filled(layers.Conv1D(6, 2, padding="causal", groups=3), (None, None, 9))
    padded = np.concatenate([np.zeros((batch, 1, 9), "f4"), x], 1)
    windows = np.stack([padded[:, :-1], padded[:, 1:]], 2).reshape(-1, 2, 3, 3)
    want = np.concatenate(
        [
            product(windows[:, :, g].reshape(-1, 6), conv.kernel.value.reshape(6, 6)[:, 2 * g : 2 * g + 2])
            for g in range(3)
        ],
        1,
    )
    want += conv.bias.value
    conv.quantize("int8")
    np.testing.assert_allclose(conv(x).reshape(-1, 6), want, atol=1e-5, rtol=1e-5)


def test_embeddings_are_their_definition():
    layer = filled(layers.Embedding(20, 5), (None, None))
    want = floats_of(layer.embeddings.value, of_rows=True)
    layer.quantize()
    tokens = np.array([[3, 0, 19], [4, 4, 1]])
    np.testing.assert_array_equal(layer(tokens), want[tokens])
    with pytest.raises(ValueError, match="expected integers from 0 to 19, got 20"):
        layer(np.array([[20]]))


@pytest.mark.parametrize(("kind", "cell"), [(layers.LSTM, "lstm"), (layers.GRU, "gru"), (layers.SimpleRNN, "rnn")])
def test_recurrent_layers_are_their_definition(kind, cell):
    layer = filled(kind(24, return_sequences=True), (None, None, 10))
    weights, rng = layer.get_weights(), np.random.default_rng(2)
    layer.quantize("int8")
    x, start = numbers(rng, 3, 4, 10), [np.zeros((3, 24), "f4")] * 2
    assert layer.kernel_info().split(", ")[:2] == [f"{cell}: fused kernel", "int8"]
    assert_is_expected(cell, "int8", x, weights, start, layer(x))


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: layers.LSTM(6, peepholes=True), (4, 7)),
        (lambda: layers.LSTM(6, projection=3, layer_norm=True), (4, 7)),
        (lambda: layers.GRU(6, activation="gelu"), (4, 7)),
        (lambda: layers.SimpleRNN(6), (4, 7)),
        (lambda: layers.Bidirectional(layers.GRU(6, reset_after=False)), (4, 7)),
        (lambda: layers.TimeDistributed(layers.Dense(5)), (4, 7)),
        (lambda: layers.RNN(layers.LSTMCell(6)), (4, 7)),
        (lambda: layers.Conv1D(6, 3, strides=2), (4, 7)),
    ],
)
def test_weights_alone_are_a_float32_layer_with_rounded_weights(make, shape):
    lstmcore.utils.set_random_seed(0)
    layer = make()
    layer.build((None, *shape))
    floats = make()
    floats.build((None, *shape))
    floats.set_weights(layer.get_weights())
    leaves = [floats, *floats.sublayers, *(p for s in floats.sublayers for p in s.sublayers)]
    for leaf in leaves:
        for variable in leaf.variables:
            if variable.name in leaf.quantized_weights:
                variable.assign(floats_of(variable.value))
    layer.quantize("int8", weights="int8")
    x = numbers(np.random.default_rng(3), 3, *shape)
    assert [w.int8 is not None for w in layer.weights].count(True) >= 1
    np.testing.assert_allclose(layer(x), floats(x), rtol=1e-6, atol=1e-7)
    with pytest.raises(ValueError, match="is quantized, which is for inference"):
        layer(x, training=True)


def test_options_without_products_of_int8_compute_in_float32_and_say_so():
    layer = filled(layers.LSTM(6, peepholes=True), (None, None, 3))
    layer.quantize("int8")
    assert "float32 (no int8 for these options)" in layer.kernel_info()
    alone = filled(layers.LSTM(6), (None, None, 3))
    alone.quantize("int8", weights="int8")
    assert "fused kernel, float32, weights kept in int8" in alone.kernel_info()
    foreign = filled(layers.GRU(6, activation="gelu"), (None, None, 3))
    foreign.quantize("int8")
    assert foreign(np.ones((2, 3, 3), "f4")).shape == (2, 6)


def test_inputs_of_any_size_are_scaled_row_by_row():
    layer = filled(layers.SimpleRNN(8, activation="relu"), (None, None, 5))
    layer.quantize()
    x = np.abs(numbers(np.random.default_rng(0), 4, 3, 5)) * np.float32([[[1e6]], [[1.0]], [[1e-6]], [[0.0]]])
    rows = layer(x)
    assert np.isfinite(rows).all()
    for k in range(4):
        np.testing.assert_array_equal(layer(x[k : k + 1])[0], rows[k])


# --- models ---


def chain():
    return [
        layers.Embedding(30, 12, input_shape=(None,), name="e"),
        layers.Conv1D(10, 3, padding="causal", name="c"),
        layers.LSTM(9, return_sequences=True, name="l"),
        layers.BatchNormalization(name="b"),
        layers.GRU(8, return_sequences=True, name="g"),
        layers.TimeDistributed(layers.Dense(4), name="t"),
        layers.Dense(2, name="d"),
    ]


def tokens(batch=3, steps=6):
    return np.random.default_rng(5).integers(0, 30, (batch, steps))


@pytest.fixture
def model():
    lstmcore.utils.set_random_seed(1)
    model = Sequential(chain(), name="m")
    model.compile("adam", "mse", metrics=["mae"])
    return model


def test_models_are_quantized_in_place(model):
    x, y = tokens(8), np.zeros((8, 6, 2), "f4")
    model.fit(x, y, verbose=0)
    want, before = model.predict(x, verbose=0), model.evaluate(x, y, verbose=0)
    model.quantize("int8")
    got = model.predict(x, verbose=0)
    assert 0 < np.abs(got - want).max() < 0.05 * np.abs(want).max()
    assert [layer.quantization_mode for layer in model.layers] == ["int8"] * 3 + [None, "int8", None, "int8"]
    assert model.layers[5].layer.quantization_mode == "int8"
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), before, rtol=0.05)
    assert not any(v.int8 is not None for v in model.trainable_variables)
    assert sum(v.size for v in model.weights) == model.count_params()
    lines = []
    model.summary(print_fn=lines.append)
    (total,) = (line for line in lines if "Total" in line)
    assert f"{sum(v.nbytes for v in model.weights) / 1024:.2f} KB" in total


@pytest.mark.parametrize("weights", [None, "int8"])
def test_files_and_copies_keep_every_bit(model, weights, tmp_path):
    x, full, path = tokens(), tmp_path / "full", tmp_path / "m.safetensors"
    model.fit(x, np.zeros((3, 6, 2), "f4"), verbose=0)
    model.save(full, include_optimizer=False)
    model.quantize("int8", weights=weights)
    want = model.predict(x, verbose=0)
    model.save(path)
    for other in (models.load_model(path), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(other.predict(x, verbose=0), want)
        assert other.layers[2].quantization_mode == model.layers[2].quantization_mode
        assert np.isfinite(other.evaluate(x, want, verbose=0)[0])
        with pytest.raises(ValueError, match="quantize: is quantized already"):
            other.quantize("int8")
    new = models.clone_model(model)
    assert all(v.int8 is None for v in new.weights)
    with pytest.raises(ValueError, match=r"in the file, not in the model"):
        new.load_weights(path)
    new.quantize("int8", weights=weights)
    new.load_weights(path)
    np.testing.assert_array_equal(new.predict(x, verbose=0), want)
    new.load_weights(full)  # floats are quantized as they come
    np.testing.assert_array_equal(new.predict(x, verbose=0), want)
    new.set_weights(model.get_weights())
    np.testing.assert_array_equal(new.layers[2].kernel.int8.values, model.layers[2].kernel.int8.values)
    layer = pickle.loads(pickle.dumps(model.layers[2]))
    np.testing.assert_array_equal(layer.kernel.int8.values, model.layers[2].kernel.int8.values)


def test_files_shrink(tmp_path):
    model = Sequential([layers.LSTM(128, input_shape=(None, 64)), layers.Dense(64)])
    model.save(tmp_path / "full")
    model.quantize()
    model.save(tmp_path / "small")
    assert os.path.getsize(tmp_path / "small") < 0.28 * os.path.getsize(tmp_path / "full")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("dense/kernel", np.full((3, 2), -128, "i1"), "expected whole numbers from -127 to 127"),
        ("dense/kernel", np.ones((3, 2), "i4"), "expected int8 of shape"),
        ("dense/kernel", np.ones((2, 3), "i1"), r"expected shape \(3, 2\), got \(2, 3\)"),
        ("dense/kernel.scale", np.ones(3, "f4"), r"expected float32 of shape \(2,\), got float32 of \(3,\)"),
        ("dense/kernel.scale", np.array([-1, 1], "f4"), "expected finite numbers from 0 on, got -1.0"),
        ("dense/kernel.scale", np.array([np.nan, 1], "f4"), "expected finite numbers from 0 on, got nan"),
        ("dense/kernel.scale", None, "expected float32, got int8"),
        ("quantized", {"dense_7": "int8"}, "quantized: dense_7: expected a layer of the model"),
        (
            "quantized",
            {"dense": "int3"},
            r"dense\w*: quantized: expected a layer that can be, and a known mode, got 'int3'",
        ),
        ("quantized", ["dense"], "quantized: expected a dict"),
    ],
)
def test_bad_files_change_nothing(name, value, message, tmp_path):
    from lstmcore.serialization import container

    model = Sequential([layers.Dense(2, input_shape=(3,))])
    model.quantize()
    model.save(tmp_path / "m")
    before, content = model.get_weights(), container.read(tmp_path / "m")
    if name == "quantized":
        content.data[name] = value
    elif value is None:
        del content.arrays[f"weights/{name}"]
    else:
        content.arrays[f"weights/{name}"] = value
    container.write(tmp_path / "m", container.Container(content.arrays, content.data | {"format": 1}))
    if name != "quantized":  # which is there already
        with pytest.raises(ValueError, match=message):
            model.load_weights(tmp_path / "m")
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match=message):
        models.load_model(tmp_path / "m")


@pytest.mark.parametrize("weights", [None, "int8"])
def test_streams_give_what_the_model_gives(model, weights):
    model.quantize("int8", weights=weights)
    x = tokens(2)
    stream = model.stream(batch_size=2)
    steps = np.stack([stream(x[:, t]) for t in range(x.shape[1])], axis=1)
    np.testing.assert_allclose(steps, model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)


def test_graphs_nested_models_and_shared_layers():
    lstmcore.utils.set_random_seed(2)
    shared = layers.LSTM(6, name="shared")
    within = Sequential([layers.Dense(5, input_shape=(12,)), layers.Dense(2)], name="within")

    class Own(Model):
        def __init__(self):
            super().__init__(name="own")
            self.layer = layers.Dense(3)

        def call(self, inputs):
            return self.layer(inputs) * 2

    a, b = Input((None, 4)), Input((None, 4))
    both = layers.concatenate([shared(a), shared(b)])
    graph = Model([a, b], Own()(within(both)))
    x = [numbers(np.random.default_rng(k), 3, 5, 4) for k in range(2)]
    want = graph.predict(x, verbose=0)
    graph.quantize("int8")
    modes = {layer.name: layer.quantization_mode for layer in (shared, *within.layers)}
    assert set(modes.values()) == {"int8"}
    assert 0 < np.abs(graph.predict(x, verbose=0) - want).max() < 0.05
    assert sum(v.int8 is not None for v in graph.weights) == 5
    np.testing.assert_array_equal(copy.deepcopy(graph).predict(x, verbose=0), graph.predict(x, verbose=0))


def test_layers_of_the_users_stay_as_they_are():
    class Turned(layers.Dense):
        def forward(self, inputs, training=False):
            return inputs @ self.kernel.value[::-1]

    model = Sequential([Turned(3, use_bias=False, input_shape=(3,)), layers.Dense(2)])
    model.quantize()
    assert [layer.quantization_mode for layer in model.layers] == [None, "int8"]
    with pytest.raises(ValueError, match="expected a layer with weights that can be int8"):
        Sequential([Turned(3, input_shape=(3,))]).quantize()


# --- what is refused ---


def test_training_is_refused_and_changes_nothing(model):
    x, y = tokens(), np.zeros((3, 6, 2), "f4")
    model.quantize()
    before = model.get_weights()
    for train in (model.fit, model.train_on_batch):
        with pytest.raises(ValueError, match="e: training: is quantized, which is for inference: train the model be"):
            train(x, y)
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="l/kernel: is quantized and has no gradient"):
        _ = model.layers[2].kernel.gradient
    model.compile("sgd", "mae")
    assert np.isfinite(model.evaluate(x, y, verbose=0))


def test_bad_arguments_are_refused_and_change_nothing():
    model = Sequential([layers.Dense(2, input_shape=(3,)), layers.Dense(2)])
    for mode in ("int4", "float8", None, 8):
        with pytest.raises(ValueError, match="mode: expected 'int8', got"):
            model.quantize(mode)
    with pytest.raises(ValueError, match="weights: expected None or 'int8', for products of float32, got 'int4'"):
        model.quantize("int8", weights="int4")
    with pytest.raises(ValueError, match="has no weights yet"):
        Sequential([layers.Dense(2)]).quantize()
    with pytest.raises(ValueError, match="has no weights yet"):
        layers.Dense(2).quantize()
    with pytest.raises(
        ValueError, match="expected a layer with weights that can be int8, or one within, got a Dropout"
    ):
        layers.Dropout(0.5).quantize()
    with pytest.raises(ValueError, match="expected a layer of float32, got float64"):
        Sequential([layers.Dense(2, input_shape=(3,), dtype="float64")]).quantize()
    both = layers.Bidirectional(layers.LSTM(2), input_shape=(4, 3))
    both.build((None, 4, 3))
    with pytest.raises(ValueError, match="it is part of bidirectional"):
        both.forward_layer.quantize()
    for value in (np.inf, np.nan):
        kernel = np.ones((2, 2), "f4")
        kernel[1, 0] = value
        model.layers[1].kernel.assign(kernel)
        with pytest.raises(ValueError, match=rf"kernel: expected finite numbers to quantize, got {value} at \(1, 0\)"):
            model.quantize()
        assert all(v.int8 is None for v in model.weights)
    model.layers[1].kernel.assign(np.ones((2, 2)))
    model.quantize()
    with pytest.raises(ValueError, match=r"expected finite numbers to quantize, got inf at \(0, 0\)"):
        model.layers[1].kernel.assign(np.full((2, 2), np.inf))


# --- elsewhere ---


def test_keras_reads_the_floats(model, tmp_path):
    pytest.importorskip("h5py")
    model.quantize("int8", weights="int8")
    want = model.predict(tokens(), verbose=0)
    for name in ("m.keras", "m.h5"):
        model.save(tmp_path / name)
        other = models.load_model(tmp_path / name)
        assert {layer.quantization_mode for layer in other.layers} == {None}
        np.testing.assert_allclose(other.predict(tokens(), verbose=0), want, rtol=1e-6, atol=1e-7)


def test_whole_numbers_are_those_of_keras():
    """Keras's scale is 127 over the largest number and 1e-7: ours is one over it, and whole numbers differ by it."""
    keras = pytest.importorskip("keras")
    ours = filled(layers.Dense(6), (None, 20))
    theirs = keras.layers.Dense(6)
    theirs.build((None, 20))
    theirs.set_weights(ours.get_weights())
    ours.quantize("int8")
    theirs.quantize("int8")
    q, scale = (keras.ops.convert_to_numpy(w) for w in (theirs._kernel, theirs.kernel_scale))
    np.testing.assert_allclose(1 / scale, ours.kernel.int8.scale, rtol=1e-5)
    apart = np.abs(q.astype(int) - ours.kernel.int8.values)
    assert apart.max() <= 1
    assert np.count_nonzero(apart) <= 1
    x = numbers(np.random.default_rng(0), 5, 20)
    np.testing.assert_allclose(ours(x), keras.ops.convert_to_numpy(theirs(x)), atol=1e-4)


def test_torch_gets_the_floats(model):
    torch = pytest.importorskip("torch")
    chosen = Sequential([layers.LSTM(6, input_shape=(None, 3)), layers.Dense(2)])
    chosen.quantize("int8", weights="int8")
    x = numbers(np.random.default_rng(0), 2, 5, 3)
    got = lstmcore.to_torch(chosen)(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(got, chosen.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
