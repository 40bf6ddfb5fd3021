"""Graphs with several inputs and outputs, layers called twice and models within: saved, copied, cloned, tuned."""

import copy
import pickle

import numpy as np
import pytest

import lstmcore
from lstmcore import Input, Model, Sequential, layers, tuner, utils
from lstmcore.models import clone_model, load_model, model_from_json

RNG = np.random.default_rng(0)
X = {
    "past": RNG.normal(size=(8, 5, 3)).astype("float32"),
    "calendar": RNG.normal(size=(8, 2)).astype("float32"),
    "words": RNG.integers(1, 7, (8, 5)),
}
Y = {"p": RNG.normal(size=(8, 1)).astype("float32"), "q": RNG.integers(0, 3, (8, 5))}


def rich(units=4):
    past, calendar = Input((None, 3), name="past"), Input((2,), name="calendar")
    words = Input((None,), dtype="int32", name="words")
    seen = Input((None, 3), name="seen")
    both = [layers.LSTM(units, return_sequences=True, dropout=0.2)(seen), layers.Dense(units)(seen)]
    within = Model(seen, both, name="within")
    twice = layers.LSTM(units, name="twice", return_sequences=True)
    y, z = within(past)
    encoded, h, c = layers.LSTM(units, return_state=True, return_sequences=True)(y)
    told = twice(layers.Embedding(7, units, mask_zero=True)(words))
    decoded = layers.LSTM(units, name="decoder")(told, initial_state=[h, c])
    chain = Sequential([layers.Dense(4, "relu", kernel_regularizer="l2"), layers.BatchNormalization()], name="chain")
    p = layers.Dense(1, name="p")(layers.concatenate([chain(decoded), calendar, twice(encoded)[:, -1]]))
    q = layers.Dense(3, "softmax", name="q", activity_regularizer="l1")(z * 2 - encoded)
    return Model({"past": past, "calendar": calendar, "words": words}, {"p": p, "q": q}, name="rich")


def compiled(model):
    losses = {"p": "mse", "q": "sparse_categorical_crossentropy"}
    model.compile("adam", losses, metrics={"q": ["accuracy"]}, loss_weights={"p": 2.0, "q": 0.5})
    return model


def trained(model):
    compiled(model).fit(X, Y, epochs=2, verbose=0)
    return model


def loaded(model, path):
    model.save(path / "model.safetensors")
    return load_model(path / "model.safetensors")


def with_weights_of(model, other):
    other.set_weights(model.get_weights())
    return other


COPIES = {
    "file": loaded,
    "pickle": lambda model, _: pickle.loads(pickle.dumps(model)),
    "copy": lambda model, _: copy.copy(model),
    "deepcopy": lambda model, _: copy.deepcopy(model),
    "json": lambda model, _: with_weights_of(model, model_from_json(model.to_json())),
    "config": lambda model, _: with_weights_of(model, Model.from_config(model.get_config())),
    "clone": lambda model, _: with_weights_of(model, clone_model(model)),
    "clone on inputs": lambda model, _: with_weights_of(model, clone_model(model, input_tensors=rich().input)),
    "clone by layers": lambda model, _: with_weights_of(
        model, clone_model(model, clone_function=lambda layer: type(layer).from_config(layer.get_config()))
    ),
}


@pytest.mark.parametrize("state", [lambda model: model, compiled, trained], ids=["new", "compiled", "trained"])
@pytest.mark.parametrize("way", COPIES)
def test_a_copy_does_the_same_and_can_be_cut(way, state, tmp_path):
    model = state(rich())
    other = COPIES[way](model, tmp_path)
    assert type(other) is type(model)
    assert [layer.name for layer in other.layers] == [layer.name for layer in model.layers]
    assert other.get_config() == model.get_config()
    assert {name: s.shape for name, s in other.output.items()} == {"p": (None, 1), "q": (None, None, 3)}
    for one in (lambda m: m, lambda m: Model(m.input, {"d": m.get_layer("decoder").output, "p": m.output["p"]})):
        want = one(model).predict(X, verbose=0)
        for name, array in one(other).predict(X, verbose=0).items():
            np.testing.assert_array_equal(array, want[name])
    assert not any(a is b for a, b in zip(other.variables, model.variables, strict=True))


@pytest.mark.parametrize("state", [compiled, trained], ids=["compiled", "trained"])
@pytest.mark.parametrize("way", ["file", "pickle", "copy", "deepcopy"])
def test_a_copy_goes_on_training_as_the_model(way, state, tmp_path):
    model = state(rich())
    other = COPIES[way](model, tmp_path)
    histories = []
    for one in (model, other):
        utils.set_random_seed(5)
        histories.append(one.fit(X, Y, epochs=2, verbose=0).history)
    assert histories[0] == histories[1]
    assert "q_accuracy" in histories[0]


def test_a_clone_stands_on_the_symbols_that_it_is_given():
    a, b = Input((None, 3)), Input((2,))
    joined = layers.concatenate([layers.LSTM(2)(a), b])
    model = Model([a, b], layers.Dense(1)(joined))
    c, d = Input((None, 3)), Input((4,))
    narrow = layers.Dense(2)(d)
    twin = clone_model(model, input_tensors=[c, narrow])
    whole = Model([c, d], twin.output)
    twin.set_weights(model.get_weights())
    x, y = RNG.normal(size=(2, 5, 3)), RNG.normal(size=(2, 4))
    want = model.predict([x, Model(d, narrow).predict(y, verbose=0)], verbose=0)
    np.testing.assert_array_equal(whole.predict([x, y], verbose=0), want)
    with pytest.raises(
        ValueError, match=r"input_tensors: expected as many symbols as inputs, .*, got \(None, None, 3\)"
    ):
        clone_model(model, input_tensors=c)
    with pytest.raises(ValueError, match="input_tensors: expected as many"):
        clone_model(model, input_tensors=[d, c])


def test_a_subclass_is_made_from_its_own_config():
    class Own(Model):
        def __init__(self, units=2, **options):
            super().__init__(**options)
            self.dense = layers.Dense(units)

        def call(self, inputs):
            return self.dense(inputs)

    own = Own(3, name="mine")
    again = Own.from_config(own.get_config())
    assert (type(again), again.dense.units, again.name) == (Own, 3, "mine")


def test_graphs_with_several_inputs_are_tuned(tmp_path):
    def build(hp):
        units = hp.Int("units", 2, 8, step=2)
        model = rich(units)
        model.compile(lstmcore.optimizers.Adam(hp.Float("rate", 1e-3, 1e-1, sampling="log")), model_losses())
        return model

    def model_losses():
        return {"p": "mse", "q": "sparse_categorical_crossentropy"}

    search = tuner.RandomSearch(build, objective="val_loss", max_trials=3, seed=1, directory=tmp_path, project_name="t")
    search.search(X, Y, epochs=1, validation_data=(X, Y), verbose=0)
    best = search.get_best_models(1)[0]
    chosen = search.get_best_hyperparameters(1)[0]
    assert best.get_layer("decoder").units == chosen["units"]
    assert best.evaluate(X, Y, verbose=0, return_dict=True)["loss"] == pytest.approx(
        search.oracle.get_best_trials(1)[0].score, rel=1e-5
    )
