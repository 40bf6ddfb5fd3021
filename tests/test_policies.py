"""Dtype policies: names and meaning as in Keras, layers that read bfloat16 as the reference does."""

import copy
import pickle
import threading

import numpy as np
import pytest
from layer_tools import numbers

import lstmcore
from lstmcore import Input, Model, Sequential, config, dtype_policies, layers, mixed_precision, utils
from lstmcore.dtype_policies import DTypePolicy
from lstmcore.layers import GRU, LSTM, RNN, Bidirectional, Dense, GRUCell, LSTMCell

MIXED = "mixed_bfloat16"


@pytest.fixture(autouse=True)
def _policies_are_put_back():
    yield
    config.set_floatx("float32")
    mixed_precision.set_global_policy("float32")


@pytest.fixture
def keras():
    keras = pytest.importorskip("keras")
    yield keras
    keras.config.set_dtype_policy("float32")


# --- policies ---


@pytest.mark.parametrize("name", ["float32", "float64", MIXED])
def test_policies_are_those_of_keras(keras, name):
    ours, theirs = lstmcore.DTypePolicy(name), keras.DTypePolicy(name)
    for attribute in ("name", "variable_dtype", "compute_dtype", "quantization_mode"):
        assert getattr(ours, attribute) == getattr(theirs, attribute)
    assert repr(ours) == repr(theirs)
    assert dtype_policies.serialize(ours) == keras.dtype_policies.serialize(theirs)
    assert dtype_policies.get(keras.dtype_policies.serialize(theirs)) == ours
    layer, of_keras = LSTM(3, dtype=name), keras.layers.LSTM(3, dtype=name)
    for attribute in ("variable_dtype", "compute_dtype", "dtype"):
        assert getattr(layer, attribute) == getattr(of_keras, attribute)
    config.set_dtype_policy(ours)
    keras.config.set_dtype_policy(theirs)
    assert lstmcore.DTypePolicy() == ours
    assert keras.DTypePolicy() == theirs


@pytest.mark.parametrize("module", ["config", "dtype_policies", "mixed_precision"])
def test_their_modules_have_no_names_that_keras_has_not(keras, module):
    assert set(getattr(lstmcore, module).__all__) <= set(dir(getattr(keras, module)))


def test_policies_are_what_they_are_called():
    policy = DTypePolicy(MIXED)
    for same in (policy, MIXED, {"class_name": "DTypePolicy", "config": {"name": MIXED}}):
        assert dtype_policies.get(same) == policy
        assert LSTM(3, dtype=same).dtype_policy == policy
    assert dtype_policies.get(np.float64) == dtype_policies.get(np.dtype("f8")) == DTypePolicy("float64")
    assert DTypePolicy.from_config(policy.get_config()) == policy
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert len({policy, DTypePolicy(MIXED), DTypePolicy("float32")}) == 2
    assert policy != MIXED
    assert mixed_precision.Policy is dtype_policies.FloatDTypePolicy is lstmcore.DTypePolicy


@pytest.mark.parametrize(
    ("dtype", "text"),
    [
        ("float16", r"got 'float16': its range .*; use 'mixed_bfloat16'"),
        (np.float16, "got float16: its range"),
        ("mixed_float16", "got 'mixed_float16': its range"),
        ("bfloat16", r"got 'bfloat16': variables .* are float32 .*'mixed_bfloat16'"),
        ("int8_from_float32", "got 'int8_from_float32'"),
        ("Mixed_bfloat16", "got 'Mixed_bfloat16'"),
        ("int32", "got int32"),
        (3, "got 3"),
        ({"class_name": "DTypePolicyMap", "config": {}}, "configuration of a DTypePolicy, got "),
        ({"class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}, "got 'mixed_float16'"),
    ],
)
def test_policies_that_there_are_not(dtype, text):
    text = rf"dtype: expected .*{text}"
    for make in (lambda: LSTM(3, dtype=dtype), lambda: Dense(3, dtype=dtype), lambda: RNN(GRUCell(3), dtype=dtype)):
        with pytest.raises(ValueError, match=text):
            make()
    with pytest.raises(ValueError, match=text.replace("dtype:", "identifier:")):
        dtype_policies.get(dtype)
    with pytest.raises(ValueError, match="expected"):
        config.set_dtype_policy(dtype)
    assert config.dtype_policy().name == "float32"


def test_bad_input_of_the_functions():
    with pytest.raises(TypeError, match=r"policy: expected float32, .* or a DTypePolicy, got None"):
        mixed_precision.set_global_policy(None)
    with pytest.raises(TypeError, match=r"name: expected .*, got 3"):
        DTypePolicy(3)
    with pytest.raises(ValueError, match="value: expected 'float32' or 'float64', got 'float16': its range"):
        config.set_floatx("float16")
    with pytest.raises(TypeError, match="value: expected 'float32' or 'float64', got 16"):
        config.set_floatx(16)
    with pytest.raises(TypeError, match="dtype_policy: expected a DTypePolicy, got 'float32'"):
        dtype_policies.serialize("float32")
    with pytest.raises(ValueError, match="dtype: expected float32 or float64, got 'mixed_bfloat16'"):
        Input((3,), dtype=MIXED)


# --- the global one ---


def of_both(keras, first, then):
    """What policies are in ours and in Keras after the same calls, in this thread and in another."""
    found = []
    for package in (lstmcore, keras):
        package.utils.clear_session()
        package.config.set_floatx("float32")
        first(package)
        here = package.layers.Dense(2).dtype_policy.name
        there = []
        thread = threading.Thread(target=lambda p=package, t=there: t.append(p.layers.Dense(2).dtype_policy.name))
        thread.start()
        thread.join()
        then(package)
        found.append((here, *there, package.layers.Dense(2).dtype_policy.name, package.config.floatx()))
        package.config.set_floatx("float32")
        package.utils.clear_session()
    return found


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (lambda p: p.mixed_precision.set_global_policy(MIXED), lambda p: p.utils.clear_session()),
        (lambda p: p.config.set_floatx("float64"), lambda p: p.config.set_floatx("float32")),
        (lambda p: p.config.dtype_policy(), lambda p: p.config.set_floatx("float64")),
        (lambda p: p.config.set_dtype_policy("float64"), lambda p: p.mixed_precision.set_dtype_policy(MIXED)),
        (lambda p: p.config.set_floatx("float64"), lambda p: p.utils.clear_session()),
    ],
)
def test_the_global_policy_goes_by_keras(keras, first, then):
    ours, theirs = of_both(keras, first, then)
    assert ours == theirs


def test_layers_have_the_global_policy_where_they_are_given_none():
    mixed_precision.set_global_policy(MIXED)
    assert mixed_precision.global_policy() == config.dtype_policy() == DTypePolicy(MIXED)
    model = Sequential([Input((5, 3)), Bidirectional(LSTM(4)), Dense(1, dtype="float32")])
    within = model.layers[0].forward_layer
    assert [one.compute_dtype for one in (model.layers[0], within, model.layers[1])] == [
        "bfloat16",
        "bfloat16",
        "float32",
    ]
    mixed_precision.set_global_policy("float32")
    assert model.layers[0].compute_dtype == "bfloat16"
    for again in (models_again(model), copy.copy(model), pickle.loads(pickle.dumps(model))):
        assert [layer.dtype_policy.name for layer in again.layers] == [MIXED, "float32"]
        assert again.layers[0].forward_layer.dtype_policy.name == MIXED


def models_again(model):
    return lstmcore.models.model_from_json(model.to_json())


def test_the_global_policy_may_be_float64():
    config.set_dtype_policy("float64")
    model = Sequential([Input((5, 3)), LSTM(4), Dense(1)])
    assert model.predict(np.zeros((2, 5, 3)), verbose=0).dtype == np.float64
    graph_input = Input((5, 3))
    assert Model(graph_input, GRU(4)(graph_input)).dtype == np.float64


# --- layers within others ---


def x_of(batch=3, steps=4, features=5):
    return numbers(batch, steps, features, dtype="float32")


def test_layers_within_have_the_policy_of_what_was_given_one():
    given = [
        Bidirectional(GRU(4), dtype=MIXED).forward_layer,
        Bidirectional(GRU(4, dtype=MIXED)).backward_layer,
        RNN([GRUCell(4), LSTMCell(4)], dtype=MIXED).cells[1].layer,
        layers.TimeDistributed(Dense(3), dtype=MIXED).layer,
        layers.TimeDistributed(Sequential([Dense(3)]), dtype=MIXED).layer.layers[0],
    ]
    assert [layer.compute_dtype for layer in given] == ["bfloat16"] * len(given)
    kept = [
        Bidirectional(GRU(4, dtype="float32"), dtype=MIXED).forward_layer,
        Sequential([GRU(4, dtype=MIXED, return_sequences=True), GRU(4)]).layers[1],
        RNN([GRUCell(4, dtype=MIXED), LSTMCell(4)]).cells[1].layer,
        Bidirectional(GRU(4, dtype=MIXED), backward_layer=GRU(4, go_backwards=True)).backward_layer,
    ]
    assert [layer.compute_dtype for layer in kept] == ["float32"] * len(kept)
    with pytest.raises(ValueError, match="expected dtype float64, got float32"):
        RNN(GRUCell(4, dtype=MIXED), dtype="float64")

    class Two(Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.first, self.second = GRU(4, return_sequences=True), GRU(2, dtype="float32")

        def call(self, inputs):
            return self.second(self.first(inputs))

    model = Two(dtype=MIXED)
    assert (model.first.compute_dtype, model.second.compute_dtype) == ("bfloat16", "float32")
    assert model(x_of()).dtype == np.float32


# --- saved, loaded, described ---


@pytest.fixture
def model():
    return Sequential([Input((4, 5)), Bidirectional(LSTM(3, dtype=MIXED)), Dense(2, dtype=MIXED)])


@pytest.mark.parametrize("file", ["m.safetensors", "m.keras", "m.h5"])
def test_models_are_saved_with_their_policies(model, file, tmp_path):
    if not file.endswith("safetensors"):
        pytest.importorskip("h5py")
    model.save(tmp_path / file)
    loaded = lstmcore.models.load_model(tmp_path / file)
    assert [layer.dtype_policy.name for layer in loaded.layers] == [MIXED, MIXED]
    assert loaded.layers[0].forward_layer.dtype_policy.name == MIXED
    np.testing.assert_array_equal(loaded.predict(x_of(), verbose=0), model.predict(x_of(), verbose=0))


@pytest.mark.parametrize("file", ["m.keras", "m.h5"])
def test_policies_go_to_keras_and_come_back(keras, model, file, tmp_path):
    model.save(tmp_path / file)
    theirs = keras.models.load_model(tmp_path / file, compile=False)
    assert [layer.dtype_policy.name for layer in theirs.layers] == [MIXED, MIXED]
    got = np.asarray(theirs.predict(x_of(), verbose=0), "f4")
    np.testing.assert_allclose(got, model.predict(x_of(), verbose=0), atol=0.03)  # Keras's cells are of bfloat16
    theirs.save(tmp_path / f"again_{file}")
    again = lstmcore.models.load_model(tmp_path / f"again_{file}")
    assert [layer.dtype_policy.name for layer in again.layers] == [MIXED, MIXED]
    np.testing.assert_array_equal(again.predict(x_of(), verbose=0), model.predict(x_of(), verbose=0))


class Own(layers.Layer):
    """One of the user's."""

    def forward(self, inputs, training=False):
        return inputs


def test_layers_of_the_users_keep_their_policies(keras, tmp_path):
    Sequential([Input((4, 5)), Own(dtype=MIXED)]).save(tmp_path / "m.safetensors")

    class Theirs(keras.layers.Layer):
        def call(self, inputs):
            return inputs

    keras.Sequential([keras.Input((4, 5)), Theirs(dtype=MIXED), Theirs()]).save(tmp_path / "m.keras")
    for file, name, count in (("m.safetensors", "Own", 1), ("m.keras", "Theirs", 2)):
        loaded = lstmcore.models.load_model(tmp_path / file, custom_objects={name: Own})
        assert [layer.dtype_policy.name for layer in loaded.layers] == [MIXED, "float32"][:count]


@pytest.mark.parametrize("file", ["m.keras", "m.h5"])
def test_files_of_mixed_float16_become_float32(keras, file, tmp_path):
    theirs = keras.Sequential([keras.Input((4, 5)), keras.layers.GRU(3, dtype="mixed_float16")])
    theirs.save(tmp_path / file)
    loaded = lstmcore.models.load_model(tmp_path / file)
    assert loaded.layers[0].dtype_policy.name == "float32"
    weights = [np.asarray(w, "f4") for w in theirs.get_weights()]
    for got, want in zip(loaded.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(got, want)


def test_gradients_are_checked_in_float64(model):
    model.compile("sgd", "mse")
    assert utils.check_gradients(model, x_of(), np.zeros((3, 2), "f4")).ok


def test_training_lowers_the_loss_under_the_global_policy():
    mixed_precision.set_global_policy(MIXED)
    utils.set_random_seed(0)
    model = Sequential([Input((4, 5)), GRU(8), Dense(1)])
    model.compile(lstmcore.optimizers.Adam(0.03), "mse")
    x = numbers(64, 4, 5, dtype="float32")
    history = model.fit(x, x[:, -1, 0], epochs=15, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]
    assert all(v.dtype == np.float32 for v in model.variables)


# --- set when there are weights ---


class Called(Model):
    """One of the user's."""

    def __init__(self, **options):
        super().__init__(**options)
        self.within, self.end = Bidirectional(LSTM(3)), Dense(2)

    def call(self, inputs):
        return self.end(self.within(inputs))


def chain():
    cells = RNN([LSTMCell(3), GRUCell(4)], return_sequences=True)
    return Sequential([Input((4, 5)), cells, layers.TimeDistributed(Dense(3)), Sequential([GRU(3)]), Dense(2)])


def graph():
    inputs = Input((4, 5))
    return Model(inputs, Dense(2)(Bidirectional(GRU(3))(inputs)))


def called():
    model = Called()
    model(x_of())
    return model


@pytest.mark.once
@pytest.mark.parametrize("make", [chain, graph, called])
@pytest.mark.parametrize("again", [None, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_policy_that_is_set_is_that_of_all_layers_within_and_is_kept(make, again, tmp_path):
    """Also of a copy, whose layers were all given the policy that they had."""
    model = make()
    before = model.predict(x_of(), verbose=0)
    if again is not None:
        model = again(model)
    model.dtype_policy = MIXED
    got, said = model.predict(x_of(), verbose=0), model.kernel_info()
    assert "kernel, float32" not in said
    assert "Dense: float32" not in said
    assert np.abs(got - before).max() > 0
    model.save(tmp_path / "m.safetensors")
    loaded = lstmcore.models.load_model(tmp_path / "m.safetensors", custom_objects={"Called": Called})
    for other in (loaded, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.kernel_info() == said
        np.testing.assert_array_equal(other.predict(x_of(), verbose=0), got)
    loaded.dtype_policy = "float32"
    np.testing.assert_array_equal(loaded.predict(x_of(), verbose=0), before)


@pytest.mark.once
def test_a_policy_of_other_variables_is_refused_by_all_layers_within():
    model = chain()
    model.dtype_policy = MIXED
    with pytest.raises(ValueError, match=r"dtype_policy: expected one of variables of float32, as .* got 'float64'"):
        model.dtype_policy = "float64"
    assert model.layers[-1].dtype_policy.name == model.layers[0].cells[1].dtype_policy.name == MIXED
