"""Saved models: whole, exact, continued bit for bit, and safe to load."""

import copy
import json
import os
import pickle
import re
import resource
import socket
import stat
import subprocess
import sys
import textwrap
import threading
import warnings

import numpy as np
import pytest
from layer_tools import set_values
from safetensors.numpy import save as pack

import lstmcore
from lstmcore import Sequential, callbacks, initializers, layers, models, optimizers, utils
from lstmcore._random import generator
from lstmcore.layers import (
    GRU,
    LSTM,
    RNN,
    SLSTM,
    BatchNormalization,
    Bidirectional,
    Conv1D,
    Dense,
    Embedding,
    GRUCell,
    Input,
    Layer,
    LayerNormalization,
    LSTMCell,
    MinGRU,
    MinLSTM,
    SimpleRNN,
)
from lstmcore.models import Model
from lstmcore.serialization import atomic, container, custom_object_scope, deserialize

X = np.random.default_rng(1).normal(size=(23, 5, 3)).astype("float32")
Y = np.random.default_rng(2).normal(size=(23, 2)).astype("float32")
TOKENS = np.random.default_rng(3).integers(0, 7, (23, 5))


def small(optimizer="adam", dtype="float32", units=4, **options):
    model = Sequential([LSTM(units, input_shape=(5, 3), dtype=dtype, **options), Dense(2, dtype=dtype)])
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


def noisy():
    return small(dropout=0.2, recurrent_dropout=0.3)


def state_of(model):
    """Everything that training to come depends on."""
    plain, arrays = model.training_state()
    return plain, {name: array.copy() for name, array in arrays.items()}, model.get_weights()


def same_state(a, b):
    (plain_a, arrays_a, weights_a), (plain_b, arrays_b, weights_b) = a, b
    return (
        plain_a == plain_b
        and arrays_a.keys() == arrays_b.keys()
        and all(same_bits(arrays_a[name], arrays_b[name]) for name in arrays_a)
        and all(map(same_bits, weights_a, weights_b))
    )


def same_bits(a, b):
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


class Scale(Layer):
    """A layer of a user's."""

    def __init__(self, start=1.0, **options):
        super().__init__(**options)
        self.start = start

    def build(self, input_shape):
        self.factor = self.add_weight(
            name="factor", shape=(input_shape[-1],), initializer=initializers.Constant(self.start)
        )

    def forward(self, inputs, training=False):
        self.inputs = inputs
        return inputs * self.factor.value

    def backward(self, d_outputs, need_d_inputs=True):
        self.factor.gradient += (d_outputs * self.inputs).reshape(-1, self.inputs.shape[-1]).sum(0)
        return d_outputs * self.factor.value


class Bare(Scale):
    """A layer that takes none of the arguments all layers have."""

    def __init__(self, start):
        super().__init__(start)


class Forecast(Model):
    """A model of a user's, of two inputs."""

    def __init__(self, units):
        super().__init__()
        self.embedding, self.text, self.numbers = Embedding(7, 3), LSTM(units), GRU(2)
        self.dense, self.units = Dense(1), units

    def forward(self, inputs, training=False):
        text = self.text(self.embedding(inputs["text"], training=training), training=training)
        return self.dense(
            np.concatenate([text, self.numbers(inputs["numbers"], training=training)], 1), training=training
        )

    def backward(self, d_outputs, need_d_inputs=True):
        d = self.dense.backward(d_outputs)
        self.embedding.backward(self.text.backward(np.ascontiguousarray(d[:, : self.units])), False)
        self.numbers.backward(np.ascontiguousarray(d[:, self.units :]), False)


def start_small(shape, dtype=None):
    """An initializer of a user's."""
    return np.full(shape, 0.01, dtype)


# --- what comes back ---


@pytest.mark.parametrize(
    ("make", "data"),
    [
        (small, X),
        (
            lambda: Sequential([Conv1D(4, 2, input_shape=(5, 3)), BatchNormalization(), LayerNormalization(), LSTM(2)]),
            X,
        ),
        (lambda: small(dtype="float64"), X.astype("float64")),
        (lambda: Sequential([Input((5, 3)), GRU(4, return_sequences=True), SimpleRNN(3)]), X),
        (lambda: Sequential([Embedding(7, 4, mask_zero=True), Bidirectional(LSTM(3)), Dense(1)]), TOKENS),
        (lambda: Sequential([RNN([LSTMCell(4), GRUCell(3)], input_shape=(5, 3)), Dense(1, activation="tanh")]), X),
        (lambda: Sequential([Bidirectional(GRU(3), input_shape=(None, 3)), Dense(4), Dense(4)]), X),
        (lambda: Sequential([Bidirectional(MinGRU(3, return_sequences=True), input_shape=(None, 3)), MinLSTM(2)]), X),
        (lambda: Sequential([SLSTM(6, 3, exponential_forget=True, input_shape=(None, 3)), Dense(4)]), X),
    ],
)
def test_a_loaded_model_gives_the_same_bits(make, data, tmp_path):
    model = make()
    before = model.predict(data, verbose=0)
    model.save(tmp_path / "m.safetensors")
    loaded = models.load_model(tmp_path / "m.safetensors")
    assert same_bits(loaded.predict(data, verbose=0), before)
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in model.layers]
    assert [v.path for v in loaded.weights] == [v.path for v in model.weights]
    for copied in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), copy.copy(model)):
        assert same_bits(copied.predict(data, verbose=0), before)
        assert copied.weights[0].value is not model.weights[0].value


def test_a_loaded_model_is_compiled_or_not(tmp_path):
    path = tmp_path / "m.safetensors"
    model = small("rmsprop")
    model.fit(X, Y, verbose=0)
    expected = model.evaluate(X, Y, verbose=0)
    model.save(path)
    assert models.load_model(path).evaluate(X, Y, verbose=0) == expected
    for bare in (models.load_model(path, compile=False), copy.copy(bare_model(path, model))):
        with pytest.raises(ValueError, match="call compile"):
            bare.evaluate(X, Y)


def bare_model(path, model):
    model.save(path, include_optimizer=False)
    return models.load_model(path)


def test_a_model_without_weights_can_be_saved(tmp_path):
    model = Sequential([LSTM(4), Dense(1)])
    model.save(tmp_path / "m.safetensors")
    loaded = models.load_model(tmp_path / "m.safetensors")
    assert not loaded.built
    assert loaded.predict(X, verbose=0).shape == (23, 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_bit_of_a_weight_survives(dtype, tmp_path):
    model = small(dtype=dtype)
    integer = {"float32": "uint32", "float64": "uint64"}[dtype]
    bits = np.random.default_rng(5).integers(0, np.iinfo(integer).max, model.parameters.values.size, integer)
    bits[:4] = np.array([np.nan, np.inf, -0.0, 5e-324], dtype).view(integer)
    set_values(model.parameters, bits.view(dtype))
    model.save(tmp_path / "m.safetensors")
    model.save_weights(tmp_path / "w.safetensors")
    other = small(dtype=dtype)
    other.load_weights(tmp_path / "w.safetensors")
    for loaded in (models.load_model(tmp_path / "m.safetensors"), other, pickle.loads(pickle.dumps(model))):
        assert (loaded.parameters.values.view(integer) == bits).all()


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop", "adamw"])
@pytest.mark.parametrize("way", ["save", "pickle", "deepcopy"])
def test_training_continues_bit_for_bit_after_an_epoch(optimizer, way, tmp_path):
    def model():
        utils.set_random_seed(3)
        return small(optimizer, dropout=0.2, recurrent_dropout=0.3)

    whole = model()
    history = whole.fit(X, Y, epochs=4, batch_size=5, verbose=0).history
    part = model()
    part.fit(X, Y, epochs=2, batch_size=5, verbose=0)
    if way == "save":
        part.save(tmp_path / "m.safetensors")
        part = models.load_model(tmp_path / "m.safetensors")
    else:
        part = pickle.loads(pickle.dumps(part)) if way == "pickle" else copy.deepcopy(part)
    utils.set_random_seed(99)  # what the process draws otherwise does not matter
    rest = part.fit(X, Y, epochs=4, initial_epoch=2, batch_size=5, verbose=0).history
    assert rest == {name: values[2:] for name, values in history.items()}
    assert same_state(state_of(part), state_of(whole))


def test_a_model_saved_by_a_callback_in_mid_epoch_begins_a_new_fit(tmp_path):
    path = tmp_path / "m.safetensors"
    model = noisy()
    model.fit(X, Y, batch_size=5, verbose=0, callbacks=[callbacks.ModelCheckpoint(path, save_freq=2)])
    loaded = models.load_model(path)
    assert loaded.fit(X, Y, epochs=2, batch_size=5, verbose=0).epoch == [0, 1]


def test_loading_draws_no_random_numbers(tmp_path):
    small().save(tmp_path / "m.safetensors")
    utils.set_random_seed(1)
    expected = generator().random()
    utils.set_random_seed(1)
    models.load_model(tmp_path / "m.safetensors")
    assert generator().random() == expected


# --- weights ---


def test_weights_are_found_by_class_and_order(tmp_path):
    path = tmp_path / "w.safetensors"
    first, second = small(), small()
    assert first.layers[0].name != second.layers[0].name
    first.save_weights(path)
    second.load_weights(path)
    assert all(map(same_bits, first.get_weights(), second.get_weights()))
    first.set_weights([w + 1 for w in first.get_weights()])
    first.save(path)  # a whole model has weights too
    second.load_weights(path)
    assert all(map(same_bits, first.get_weights(), second.get_weights()))
    assert set(container.read(path).arrays) >= {"weights/lstm/recurrent_kernel", "weights/dense/bias"}


def test_weights_that_do_not_fit_change_nothing(tmp_path):
    path = tmp_path / "w.safetensors"
    small(units=5).save_weights(path)
    model = small()
    before = model.get_weights()
    with pytest.raises(
        ValueError, match=r"w\.safetensors: lstm/kernel: expected shape \(3, 16\), got \(3, 20\)"
    ) as info:
        model.load_weights(path)
    assert "dense/bias" not in str(info.value)
    assert all(map(same_bits, model.get_weights(), before))
    with pytest.warns(UserWarning, match="skipped: "):
        model.load_weights(path, skip_mismatch=True)
    assert same_bits(model.get_weights()[0], before[0])
    Sequential([LSTM(4, input_shape=(5, 3)), Dense(2), Dense(1)]).save_weights(path)
    with pytest.raises(ValueError, match="dense_1/kernel: in the file, not in the model"):
        model.load_weights(path)
    Sequential([LSTM(4, input_shape=(5, 3))]).save_weights(path)
    with pytest.raises(ValueError, match="dense/kernel: expected by the model, not in the file"):
        model.load_weights(path)
    for do in (model.load_weights, model.save_weights):
        model = Sequential([LSTM(4)])
        with pytest.raises(ValueError, match="has no weights yet"):
            getattr(model, do.__name__)(path)


def test_weights_that_are_no_numbers_change_nothing():
    model = small()
    before = model.get_weights()
    with pytest.raises(TypeError, match=r"weights\[4\]: expected numbers, got <U1: 'a' at \[0\]"):
        model.set_weights([w + 1 for w in before[:-1]] + [np.array(["a", "b"])])
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))


def test_weights_may_change_their_precision(tmp_path):
    single, double = small(), small(dtype="float64")
    single.save_weights(tmp_path / "w.safetensors")
    double.load_weights(tmp_path / "w.safetensors")
    assert all(np.array_equal(a, b) for a, b in zip(single.get_weights(), double.get_weights(), strict=True))


# --- architecture and copies ---


def test_json_has_the_layers_and_not_the_weights():
    model = noisy()
    text = model.to_json(indent=1)
    other = models.model_from_json(text)
    assert json.loads(text)["class_name"] == "Sequential"
    assert [w.shape for w in other.get_weights()] == [w.shape for w in model.get_weights()]
    assert not same_bits(other.get_weights()[0], model.get_weights()[0])
    assert other.layers[0].recurrent_dropout == 0.3
    for wrong in ("", "[" * 10**5, "7", '{"class_name": "Dense", "config": {"units": 1}, "module": "lstmcore.layers"}'):
        with pytest.raises(ValueError, match="json_string: "):
            models.model_from_json(wrong)


def test_a_clone_has_new_weights():
    model = small()
    other = models.clone_model(model)
    assert [layer.name for layer in other.layers] == [layer.name for layer in model.layers]
    assert not same_bits(other.get_weights()[0], model.get_weights()[0])
    assert other.optimizer is None
    wider = models.clone_model(model, clone_function=lambda layer: type(layer)(layer.units + 1))
    assert wider.count_params() == small(units=5).count_params() + 6
    x = Input(model.input_shape[1:])
    placed = models.clone_model(model, input_tensors=x)
    assert placed.input.key == x.key
    assert placed.count_params() == model.count_params()
    for wrong, error, text in (
        (X, TypeError, "clone_model: input_tensors: expected symbols, as Input gives them, got"),
        ([x, x], ValueError, "input_tensors: expected one Input, for a chain"),
    ):
        with pytest.raises(error, match=text):
            models.clone_model(model, input_tensors=wrong)
    with pytest.raises(NotImplementedError, match="clone_model: call_function is not offered"):
        models.clone_model(model, call_function=print)
    model.add(Scale())
    assert isinstance(models.clone_model(model).layers[-1], Scale)


@pytest.mark.parametrize(
    "make",
    [
        lambda: LSTM(4, dropout=0.5, kernel_initializer=start_small),
        lambda: Bidirectional(GRU(3, return_sequences=True)),
        lambda: MinLSTM(4, dropout=0.5),
        lambda: Bidirectional(SLSTM(4, 2, recurrent_dropout=0.5)),
        lambda: RNN([LSTMCell(4), GRUCell(3)]),
        lambda: Scale(2.0),
        lambda: Bare(2.0),
    ],
)
@pytest.mark.parametrize("built", [True, False])
def test_layers_can_be_copied(make, built):
    layer = make()
    if built:
        layer(X, training=True)  # has drawn masks
    for other in (copy.copy(layer), copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert other.name == layer.name
        assert all(map(same_bits, other.get_weights(), layer.get_weights()))
        assert all(np.array_equal(value, layer.state()[name]) for name, value in other.state().items())
        if built:
            same = copy.copy(layer)
            assert same_bits(other(X, training=True), same(X, training=True))
        Sequential([other])  # belongs to nobody


def test_a_weight_is_not_copied_without_its_layer():
    model = small()
    for how in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"/kernel: cannot be copied or pickled by itself; copy its layer"):
            how(model.weights[0])


@pytest.mark.parametrize(
    ("module", "name", "found"),
    [
        ("layers.layer", "Layer", Layer),
        ("layers.rnn", "Cell", layers.Cell),
        ("layers.rnn", "GRUCell", GRUCell),
        ("layers.rnn", "LSTMCell", LSTMCell),
        ("layers.rnn", "RNN", RNN),
        ("layers.rnn", "SimpleRNNCell", layers.SimpleRNNCell),
        ("layers.rnn", "StackedRNNCells", layers.StackedRNNCells),
        ("saving.layers", "_from_bytes", Dense(1).__reduce__()[0]),
        ("saving.models", "_from_bytes", Sequential().__reduce__()[0]),
        ("saving.models", "load_model", models.load_model),
    ],
)
def test_older_pickles_find_what_they_name(module, name, found):
    assert pickle.loads(f"clstmcore.{module}\n{name}\n.".encode()) is found


def test_users_classes_and_functions(tmp_path):
    path = tmp_path / "m.safetensors"
    model = Sequential([LSTM(4, input_shape=(5, 3), kernel_initializer=start_small), Scale(2.0)])
    expected = model.predict(X, verbose=0)
    model.save(path)
    with pytest.raises(ValueError, match=r"m\.safetensors: class_name: '(Scale|start_small)' is unknown"):
        models.load_model(path)
    loaded = models.load_model(path, custom_objects={"Scale": Scale, "start_small": start_small})
    assert same_bits(loaded.predict(X, verbose=0), expected)
    assert same_bits(copy.copy(model).predict(X, verbose=0), expected)
    with pytest.raises(ValueError, match="expected a class with from_config"):
        models.load_model(path, custom_objects={"Scale": print, "start_small": start_small})
    local = Sequential(
        [LSTM(4, input_shape=(5, 3), kernel_initializer=lambda shape, dtype=None: np.ones(shape, dtype))]
    )
    assert same_bits(copy.copy(local).get_weights()[0], local.get_weights()[0])
    with pytest.raises(TypeError, match=r"kernel_initializer: .* cannot be saved; name it"):
        local.save(path)
    assert same_bits(
        models.load_model(path, {"Scale": Scale, "start_small": start_small}).get_weights()[0], loaded.get_weights()[0]
    )


def test_models_of_users(tmp_path):
    path = tmp_path / "m.safetensors"
    data = {"text": TOKENS, "numbers": X}
    model = Forecast(3)
    model.compile("adam", "mse")
    model.fit(data, Y[:, :1], verbose=0)
    expected = model.predict(data, verbose=0)
    model.save(path)
    loaded = models.load_model(path, custom_objects={"Forecast": Forecast})
    other = Forecast(3)
    with pytest.raises(ValueError, match="has no weights yet"):
        other.load_weights(path)
    other.predict(data, verbose=0)
    other.load_weights(path)
    for again in (loaded, other, copy.copy(model), pickle.loads(pickle.dumps(model))):
        assert same_bits(again.predict(data, verbose=0), expected)
    assert same_state(state_of(loaded), state_of(model))
    assert models.clone_model(model).count_params() == model.count_params()


def test_what_is_frozen_stays_frozen(tmp_path):
    inner = Sequential([Bare(0.5), Dense(3)])
    model = Sequential([Input((5, 3)), inner, LSTM(4), Dense(1)])
    inner.layers[0].trainable = False
    model.layers[1].trainable = False
    model.compile(optimizers.Adam(clipnorm=1.0), "mse")
    model.fit(X, Y[:, :1], verbose=0)
    model.save(tmp_path / "m.safetensors")
    loaded = models.load_model(tmp_path / "m.safetensors", custom_objects={"Bare": Bare})
    assert [v.path for v in loaded.trainable_variables] == [v.path for v in model.trainable_variables]
    for again in (model, loaded):
        again.fit(X, Y[:, :1], shuffle=False, verbose=0)
    assert all(map(same_bits, loaded.get_weights(), model.get_weights()))


def test_registered_classes_need_no_naming(tmp_path):
    @lstmcore.saving.register_keras_serializable("tests")
    class Twice(Scale):
        pass

    @lstmcore.saving.register_keras_serializable("tests")
    def ones(shape, dtype=None):
        return np.ones(shape, dtype)

    model = Sequential([Twice(input_shape=(3,)), Dense(1, kernel_initializer=ones)])
    model.save(tmp_path / "m.safetensors")
    assert type(models.load_model(tmp_path / "m.safetensors").layers[0]) is Twice


# --- files ---


def test_names_and_overwriting(tmp_path):
    model = small()
    path = tmp_path / "m.safetensors"
    model.save(path)
    with pytest.raises(FileExistsError, match=r"m\.safetensors: exists; overwrite=True replaces it"):
        model.save(path, overwrite=False)
    models.save_model(model, path)
    link = tmp_path / "link.safetensors"
    link.symlink_to(path)
    model.save(link)
    assert link.is_symlink()
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError, match="got a folder"):
        model.save(tmp_path / "folder")
    with pytest.raises(FileNotFoundError):
        model.save(tmp_path / "missing" / "m.safetensors")
    with pytest.raises(FileNotFoundError):
        models.load_model(tmp_path / "missing.safetensors")
    assert sorted(os.listdir(tmp_path)) == ["folder", "link.safetensors", "m.safetensors"]


@pytest.mark.parametrize("ending", ["onnx", "pt", "pth", "pkl", "pb", "tflite", "npz", "json", "ckpt", "25", "h5x"])
def test_a_name_that_says_another_format_is_refused(ending, tmp_path):
    model = small()
    for name in (f"m.{ending}", f"m.safetensors.{ending.upper()}", "m."):
        path = str(tmp_path / name)
        for write in (model.save, model.save_weights, lambda path: models.save_model(model, path)):
            with pytest.raises(ValueError, match=rf"^filepath: .* ends in \.safetensors, .* got '.*{re.escape(name)}'"):
                write(path)
        with pytest.raises(ValueError, match=r"^ModelCheckpoint: filepath: .* ends in \.safetensors"):
            callbacks.ModelCheckpoint(path)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.weights.h5", "m.HDF5"])
def test_names_of_keras_promise_files_of_keras(name, tmp_path):
    pytest.importorskip("h5py")
    path, model = tmp_path / name, small()
    model.fit(X, Y, verbose=0, callbacks=[callbacks.ModelCheckpoint(path, save_weights_only="weights" in name)])
    begin = b"PK\x03\x04" if name == "m.keras" else b"\x89HDF\r\n\x1a\n"
    assert path.read_bytes().startswith(begin)
    other = small()
    other.load_weights(path)
    for one, same in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, same)
    if name == "m.keras":  # the others have no place for the state of training
        assert same_state(state_of(models.load_model(path)), state_of(model))


@pytest.mark.parametrize("name", ["m", "best{epoch}", ".hidden", "v1.2/m", "M.SAFETENSORS"])
def test_names_without_an_ending_promise_nothing(name, tmp_path):
    (tmp_path / "v1.2").mkdir()
    path = tmp_path / name.format(epoch=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        callbacks.ModelCheckpoint(tmp_path / name)
        small().save(path)
    assert path.exists()


KERAS_CONFIGS = {
    "a model of Keras 3": {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "s", "layers": []},
        "registered_name": None,
    },
    "a layer of Keras 3": {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {"batch_shape": [None, 5, 3]},
        "registered_name": None,
    },
    "a graph": {"module": "keras.src.models.functional", "class_name": "Functional", "config": {}},
    "a policy": {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}},
    "a model of Keras 1": {"class_name": "Sequential", "config": [{"class_name": "LSTM", "config": {"units": 4}}]},
    "a model of Keras 2": {"class_name": "Sequential", "config": {"layers": []}, "keras_version": "2.4.0"},
    "a layer of Keras 2": {"class_name": "LSTM", "config": {"units": 3}},
    "a graph of Keras 2": {"class_name": "Functional", "config": {"layers": []}},
}


@pytest.mark.parametrize("config", KERAS_CONFIGS.values(), ids=KERAS_CONFIGS)
def test_configurations_of_keras_are_called_so(config):
    text = f"class_name: '{config['class_name']}' is described as Keras does, which models.model_from_json reads"
    if config["class_name"] not in ("Sequential", "Functional"):
        with pytest.raises(ValueError, match="json_string: "):
            models.model_from_json(json.dumps(config))
    with pytest.raises(ValueError, match=text):
        Sequential.from_config({"name": "s", "layers": [config]})
    with pytest.raises(ValueError, match=text):
        LSTM.from_config({"units": 3, "dtype": config})
    twin = type("Mine", (Layer,), {})
    with custom_object_scope({config["class_name"]: twin}):  # whoever names it, knows it
        assert type(deserialize({**config, "config": {}})) is twin


def test_what_is_no_path_or_no_model_is_named():
    model = small()
    # A number would be that of an open file, which reading it would close.
    for call in (model.save, model.save_weights, model.load_weights, models.load_model):
        for wrong in (None, 1, b"name"):
            with pytest.raises(TypeError, match="filepath: expected a path, got"):
                call(wrong)
    with pytest.raises(TypeError, match="model: expected a model, got 3"):
        models.clone_model(3)


def test_permissions_are_those_of_any_file(tmp_path):
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    path = tmp_path / "m.safetensors"
    atomic.write(path, b"1")
    assert path.stat().st_mode == plain.stat().st_mode
    path.chmod(0o640)
    atomic.write(path, b"2")
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "m.safetensors"
    small().save(path)
    before = path.read_bytes()

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, -1))

    program = """
        import sys
        from lstmcore import Sequential, layers
        try:
            Sequential([layers.LSTM(64, input_shape=(5, 3))]).save(sys.argv[1])
        except OSError as error:
            print(type(error).__name__)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), path], preexec_fn=limit, capture_output=True, text=True
    )
    assert done.stdout == "OSError\n", done.stderr
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("length", [2, 100, 233, 234, 255])
def test_names_may_be_as_long_as_the_system_allows(tmp_path, length):
    for letter in ("m", "é"):
        path = tmp_path / (letter * (length // len(letter.encode())))
        atomic.write(path, b"1")
        atomic.write(path, b"2")
        assert path.read_bytes() == b"2"
    with pytest.raises(OSError, match="too long"):
        atomic.write(tmp_path / (256 * "m"), b"1")
    assert len(os.listdir(tmp_path)) == 2


def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path):
    model = small()
    model.save(tmp_path / "file")
    content = (tmp_path / "file").read_bytes()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        end = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
        try:
            model.save(tmp_path / name)
            assert os.read(end, 10**6) == content
        finally:
            os.close(end)
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)
    assert (tmp_path / "link").is_symlink()
    model.save(os.devnull)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        with pytest.raises(OSError, match="expected the name of a file, got a disk or a socket"):
            model.save(tmp_path / "socket")
    assert sorted(os.listdir(tmp_path)) == ["file", "link", "pipe", "socket"]


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="there are no names of descriptors")
def test_a_file_that_is_open_is_written_to_by_its_descriptor(tmp_path):
    with open(tmp_path / "file", "wb+", buffering=0) as file:
        link = tmp_path / "link"
        link.symlink_to(f"/proc/self/fd/{file.fileno()}")
        file.write(b"before ")
        for name in (f"/dev/fd/{file.fileno()}", link):
            atomic.write(name, b"content ")
        file.write(b"after")  # behind it, as it comes
        assert link.is_symlink()
    assert (tmp_path / "file").read_bytes() == b"before content content after"
    assert sorted(os.listdir(tmp_path)) == ["file", "link"]


def test_what_a_killed_process_left_is_removed_later(tmp_path):
    target = tmp_path / "m.safetensors"
    left, others = tmp_path / f".m.safetensors.{'0a' * 8}.tmp", tmp_path / ".m.safetensors.mine.tmp"
    for path in (left, others):
        path.write_bytes(b"half")
    atomic.write(target, b"1")
    assert left.exists()  # may be in use
    os.utime(left, (1, 1))
    os.utime(others, (1, 1))
    atomic.write(target, b"2")
    assert sorted(os.listdir(tmp_path)) == [others.name, target.name]


def test_savers_at_the_same_time_do_not_mix(tmp_path):
    path = tmp_path / "file"
    contents = [bytes([k]) * 50_000 for k in range(8)]

    def save(content):
        for _ in range(10):
            atomic.write(path, content)

    atomic.write(path, contents[0])
    threads = [threading.Thread(target=save, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    seen = 0
    while any(thread.is_alive() for thread in threads):
        assert path.read_bytes() in contents
        seen += 1
    assert seen
    assert os.listdir(tmp_path) == ["file"]


# --- damaged and hostile files ---


def parts(model):
    """The arrays and the data of a saved model, to be changed."""
    return container.unpack(pickle_bytes(model), "model")


def pickle_bytes(model):
    return model.__reduce__()[1][0]


def trained():
    model = noisy()
    model.fit(X, Y, batch_size=8, verbose=0)
    return model


def with_units(data, units):
    changed = copy.deepcopy(data)
    changed["model"]["config"]["layers"][-1]["config"]["units"] = units
    return changed


def with_input_shape(data, shape):
    changed = copy.deepcopy(data)
    changed["model"]["config"]["layers"][0]["config"]["input_shape"] = shape
    return changed


def raw(text):
    return {"lstmcore": text}


# Each changes the arrays and the data, or gives the metadata as they are to stand in the file.
HOSTILE = {
    "no metadata": lambda a, d: (a, None),
    "of another program": lambda a, d: (a, raw("") | {"format": "pt"}),
    "a newer format": lambda a, d: (a, d | {"format": 2}),
    "format of lists": lambda a, d: (a, d | {"format": [[1]]}),
    "bad JSON": lambda a, d: (a, raw("{")),
    "no object": lambda a, d: (a, raw("7")),
    "deep JSON": lambda a, d: (a, raw("[" * 10**6)),
    "deep classes": lambda a, d: (
        a,
        raw(
            '{"format": 1, "kind": "model", "model": '
            + '{"class_name": "Sequential", "module": "lstmcore.models", "config": {"layers": [' * 200
            + "]}}" * 200
            + "}"
        ),
    ),
    "no kind": lambda a, d: (a, {k: v for k, v in d.items() if k != "kind"}),
    "no model": lambda a, d: (a, {k: v for k, v in d.items() if k != "model"}),
    "a layer for a model": lambda a, d: (a, d | {"model": d["model"]["config"]["layers"][-1]}),
    "a number for a model": lambda a, d: (a, d | {"model": 17}),
    "code": lambda a, d: (a, d | {"model": {"class_name": "system", "module": "os", "config": {"command": "x"}}}),
    "a module of ours": lambda a, d: (a, d | {"model": {"class_name": "__import__", "module": "", "config": {}}}),
    "many units": lambda a, d: (a, with_units(d, 10**9)),
    "more units": lambda a, d: (a, with_units(d, 10**300)),
    "units of text": lambda a, d: (a, with_units(d, "x" * 100)),
    "units of lists": lambda a, d: (a, with_units(d, [[[]]])),
    "negative units": lambda a, d: (a, with_units(d, -1)),
    "a wrong input shape": lambda a, d: (a, with_input_shape(d, [5, -3])),
    "a huge input shape": lambda a, d: (a, with_input_shape(d, [5, 10**12])),
    "a strange input shape": lambda a, d: (a, with_input_shape(d, {"a": "b"})),
    "no config": lambda a, d: (a, d | {"model": d["model"] | {"config": None}}),
    "an unknown argument": lambda a, d: (a, d | {"model": d["model"] | {"config": {"evil": 1}}}),
    "a missing weight": lambda a, d: ({k: v for k, v in a.items() if k != "weights/dense/bias"}, d),
    "one weight more": lambda a, d: (a | {"weights/dense_9/bias": np.zeros(2, "float32")}, d),
    "another shape": lambda a, d: (a | {"weights/dense/bias": np.zeros(3, "float32")}, d),
    "another dtype": lambda a, d: (a | {"weights/dense/bias": np.zeros(2, "int32")}, d),
    "complex numbers": lambda a, d: (a | {"weights/dense/bias": np.zeros(2, "complex64")}, d),
    "a loss that is none": lambda a, d: (a, d | {"compile": d["compile"] | {"loss": "evil"}}),
    "an optimizer that is none": lambda a, d: (a, d | {"compile": d["compile"] | {"optimizer": 3}}),
    "a layer for an optimizer": lambda a, d: (
        a,
        d | {"compile": d["compile"] | {"optimizer": d["model"]["config"]["layers"][-1]}},
    ),
    "a metric of endless thresholds": lambda a, d: (
        a,
        d
        | {
            "compile": d["compile"]
            | {
                "metrics": [
                    {"module": "lstmcore.metrics", "class_name": "AUC", "config": {"num_thresholds": 10**11}},
                ]
            }
        },
    ),
    "a compile that is none": lambda a, d: (a, d | {"compile": [1]}),
    "training that is none": lambda a, d: (a, d | {"training": [1]}),
    "training with nothing": lambda a, d: (
        a,
        d | {"training": {"optimizer": {}, "layers": {}, "shuffle": "x", "progress": None}},
    ),
    "no states": lambda a, d: ({k: v for k, v in a.items() if not k.startswith("training/")}, d),
    "states of other shapes": lambda a, d: (
        {k: np.zeros(7, "float32") if k.startswith("training/") else v for k, v in a.items()},
        d,
    ),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_hostile_files_get_a_clear_error(how, tmp_path):
    arrays, data = HOSTILE[how](*parts(trained()))
    metadata = data if data is None or "lstmcore" in data else raw(json.dumps(data))
    path = tmp_path / "evil.safetensors"
    path.write_bytes(pack(arrays, metadata))
    with pytest.raises(ValueError, match=r"evil\.safetensors: "):
        models.load_model(path)


def test_a_model_always_gives_the_same_file():
    model = trained()
    assert len({pickle_bytes(model) for _ in range(8)}) == 1


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "not a whole safetensors file"),
        (b"\0", "not a whole safetensors file"),
        (b"\xff" * 100, "not a whole safetensors file"),
        (b"PK\x03\x04" + b"\0" * 50, "not a whole ZIP file"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 50, "not a whole HDF5 file"),
        (pickle.dumps(X), "a pickle"),
    ],
)
def test_other_files_are_recognised(content, text, tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    model = small()
    for load in (models.load_model, model.load_weights):
        with pytest.raises(ValueError, match=rf"m\.safetensors: .*{text}"):
            load(path)


def test_truncated_and_flipped_files_get_a_clear_error_or_load(tmp_path):
    path = tmp_path / "m.safetensors"
    model = trained()
    model.save(path)
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    random = np.random.default_rng(7)
    damaged = [whole[:n] for n in [*range(40), *random.integers(0, len(whole), 60)]]
    for k in range(600):
        # Mostly in the header, one to three bits or bytes.
        content = bytearray(whole)
        for place in random.integers(0, header if k % 5 else len(whole), random.integers(1, 4)):
            content[place] = random.integers(256) if k % 2 else content[place] ^ (1 << random.integers(8))
        damaged.append(bytes(content))
    errors = []
    weights = model.get_weights()
    for content in damaged:
        path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                models.load_model(path)
            except ValueError as error:
                errors.append(str(error))
            try:
                model.load_weights(path)
            except ValueError as error:
                errors.append(str(error))
                unchanged = all(map(same_bits, model.get_weights(), weights))
                assert unchanged
            else:
                model.set_weights(weights)
    assert len(errors) > 300
    assert all("m.safetensors: " in error for error in errors)


# --- for inference ---


def test_a_copy_for_inference_has_the_weights_and_no_training():
    model = Sequential([layers.Dense(64, input_shape=(32,)), layers.LayerNormalization(), layers.Dense(2)])
    model.compile("adam", "mse")
    x = np.random.default_rng(0).standard_normal((8, 32)).astype(np.float32)
    model.fit(x, np.ones((8, 2)), verbose=0)
    copy = model.for_inference()
    assert type(copy) is Sequential
    assert copy.optimizer is None
    np.testing.assert_array_equal(copy.predict(x, verbose=0), model.predict(x, verbose=0))
    size, whole = (len(pickle.dumps(one)) for one in (copy, model))
    assert size < 0.5 * whole  # Adam keeps two numbers for each weight
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(copy)).predict(x, verbose=0), model.predict(x, verbose=0))
    copy.set_weights([0 * w for w in copy.get_weights()])
    assert model.get_weights()[0].any()  # another's
    assert model.optimizer.iterations == 1


@pytest.mark.parametrize(
    ("ending", "hint"),
    [(".onnx", "model.export"), (".PT", "to_torch"), (".pkl", "pickle.dump"), (".json", "to_json"), (".tflite", None)],
)
def test_a_name_that_promises_what_is_not_written_says_what_does(tmp_path, ending, hint):
    model = Sequential([layers.Dense(1, input_shape=(2,))])
    for save in (model.save, model.save_weights):
        with pytest.raises(ValueError, match=r"expected a name that ends in \.safetensors, \.keras") as caught:
            save(tmp_path / f"model{ending}")
        assert hint in str(caught.value) if hint else str(caught.value).endswith("'")
    assert not list(tmp_path.iterdir())
