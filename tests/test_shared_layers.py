"""Models that have layers in common: what one trains, the others have, and no training disturbs another."""

import pickle
import random
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_tools import numbers

import lstmcore
from lstmcore import Input, Model, Sequential, layers, optimizers
from lstmcore.callbacks import LambdaCallback

X, Y, Z = (numbers(*shape, dtype="float32") for shape in ((12, 5, 3), (12, 1), (12, 2)))


def two_heads():
    """Two models on one tower."""
    lstmcore.utils.set_random_seed(2)
    x = Input((5, 3))
    state = layers.LSTM(4, name="tower")(x)
    return Model(x, layers.Dense(1)(state), name="one"), Model(x, layers.Dense(2)(state), name="other")


def compiled(*optimizers):
    models = two_heads()
    for model, optimizer in zip(models, optimizers, strict=True):
        model.compile(optimizer, "mse")
    return models


def assert_same(left, right):
    for a, b in zip(left, right, strict=True):
        np.testing.assert_array_equal(a, b)


def test_models_trained_in_turns_move_the_same_weights_with_their_own_optimizers():
    # By hand: both models' weights in one, with an optimizer for each, whose slots are those of its model only.
    one, other = compiled("adam", "rmsprop")
    tower = one.layers[1]
    assert tower is other.layers[1]
    states = []
    for _ in range(4):
        one.train_on_batch(X, Y)
        other.train_on_batch(X, Z)
        states.append(tower.get_weights())
    # the same, each from the other's weights, in models that share nothing
    apart = [Sequential([Input((5, 3)), layers.LSTM(4), layers.Dense(n)]) for n in (1, 2)]
    for model, optimizer, twin in zip(apart, ("adam", "rmsprop"), two_heads(), strict=True):
        model.compile(optimizer, "mse")
        model.set_weights(twin.get_weights())
    first, second = apart
    for want in states:
        first.train_on_batch(X, Y)
        second.layers[0].set_weights(first.layers[0].get_weights())
        second.train_on_batch(X, Z)
        first.layers[0].set_weights(second.layers[0].get_weights())
        assert_same(first.layers[0].get_weights(), want)


def test_looks_at_one_model_leave_the_training_of_the_other_its_bits():
    def trained(looks):
        one, other = compiled("adam", "adam")
        for _ in range(5):
            one.train_on_batch(X, Y)
            if looks:
                other.evaluate(X, Z, verbose=0)
                other.predict(X, verbose=0)
                pickle.loads(pickle.dumps(other)).train_on_batch(X, Z)
                assert other.parameters.values.size == other.count_params()
        return one.get_weights()

    assert_same(trained(True), trained(False))


@pytest.mark.parametrize("frozen", [False, True])
def test_gradients_that_are_summed_up_are_not_mixed_with_those_of_another_model(frozen):
    def trained(between):
        one, other = two_heads()
        one.compile(optimizers.SGD(0.1, gradient_accumulation_steps=3), "mse")
        if frozen:  # in the other, which goes through it all the same
            first, second = layers.Dense(3), other
            other = Model(x := Input((5, 3)), second(first(x)))
            second.trainable = False
        other.compile(optimizers.SGD(0.0), "mse")
        for _ in range(6):
            one.train_on_batch(X, Y)
            if between:
                other.train_on_batch(X, 5 * Z)
        return one.get_weights()

    assert_same(trained(True), trained(False))


def test_what_is_trained_is_settled_when_a_model_is_compiled_whoever_has_had_the_weights_since():
    judge = Sequential([Input((3,)), layers.Dense(4, "tanh"), layers.Dense(1, "sigmoid")])
    judge.compile("adam", "bce")
    maker = Sequential([Input((2,)), layers.Dense(3)])
    judge.trainable = False  # in the model that is compiled now
    both = Sequential([maker, judge])
    both.compile("adam", "bce")
    real, noise, yes = X[:, 0], Z, np.ones((12, 1), "float32")
    for _ in range(3):
        before = judge.get_weights()
        both.train_on_batch(noise, yes)
        assert_same(judge.get_weights(), before)
        made = maker.get_weights()
        judge.train_on_batch(real, yes)
        assert_same(maker.get_weights(), made)
        assert not np.array_equal(judge.get_weights()[0], before[0])


def drawn_from_a_pool(rng):
    """Models with one output or several, of layers from one pool, in each of which some are frozen."""
    x = Input((5, 3))
    pool = [
        layers.LSTM(3, return_sequences=True, name="lstm"),
        layers.Dense(3, "tanh", name="dense"),
        Sequential([Input((5, 3)), layers.Dense(3, "tanh"), layers.GRU(3, return_sequences=True)], name="chain"),
    ]
    models = []
    for k in range(3):
        values = [x]
        for _ in range(rng.randint(1, 4)):
            values.append(rng.choice(pool)(values[-1]))
        model = Model(x, rng.sample(values[1:], rng.randint(1, len(values) - 1)), name=f"model{k}")
        for layer in pool:
            layer.trainable = rng.random() < 0.8
        kinds = [optimizers.Adam(0.01), optimizers.SGD(0.05, 0.9), optimizers.SGD(0.05, gradient_accumulation_steps=3)]
        model.compile(rng.choice(kinds), "mse")
        models.append(model)
    for layer in pool:
        layer.trainable = True
    return models, pool


@given(st.integers(0, 2**32 - 1))
def test_whatever_is_done_beside_it_a_training_in_turns_has_its_bits(seed):
    def trained(looks):
        lstmcore.utils.set_random_seed(1)
        rng, own = random.Random(seed), random.Random(seed + 1)
        models, pool = drawn_from_a_pool(rng)

        def targets(model):
            count = len(model.outputs)
            return X if count == 1 else [X] * count

        def look(model):
            what = own.choice(["predict", "evaluate", "gather", "pass", "compile"])
            if what == "predict":
                model.predict(X, verbose=0)
            elif what == "evaluate":
                model.evaluate(X, targets(model), verbose=0)
            elif what == "gather":
                assert model.parameters.values.ndim == 1
            elif what == "pass":
                model(X, training=True)
            else:
                Sequential([own.choice(pool), layers.Dense(1)]).compile("adam", "mse")

        losses = []
        for _ in range(12):
            model = rng.choice(models)
            losses.append(model.train_on_batch(X, targets(model)))
            for _ in range(own.randint(0, 3) if looks else 0):
                look(own.choice(models))
        return losses, [w.tobytes() for layer in pool if layer.built for w in layer.get_weights()]

    assert trained(True) == trained(False)


def test_a_callback_may_train_another_model_on_the_same_layers():
    one, other = compiled("adam", "adam")
    more = LambdaCallback(on_epoch_end=lambda *_: other.fit(X, Z, verbose=0))
    losses = one.fit(X, Y, epochs=30, callbacks=[more], verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert other.optimizer.iterations == 30


def elsewhere(function):
    """Return what a function returns, or raises, in another thread."""
    results = []

    def run():
        try:
            results.append(function())
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results[0]


@pytest.mark.parametrize("method", ["compile", "fit", "evaluate", "train_on_batch", "test_on_batch", "parameters"])
@pytest.mark.parametrize("nested", [False, True])
def test_while_a_model_is_trained_another_thread_cannot_train_one_that_shares_layers(method, nested):
    one, other = compiled("sgd", "sgd")
    if nested:
        x = Input((5, 3))
        other = Model(x, other(x), name="outer")
        other.compile("sgd", "mse")
    results = []

    def act():
        if method == "parameters":
            return other.parameters
        if method == "compile":
            return other.compile("sgd", "mse")
        return getattr(other, method)(X, Z)

    def try_it(*_):
        results.append(elsewhere(act))
        assert elsewhere(lambda: other.predict(X, verbose=0)).shape == (12, 2)

    twin = compiled("sgd", "sgd")[0]
    want = twin.fit(X, Y, batch_size=4, verbose=0, shuffle=False).history
    got = one.fit(X, Y, batch_size=4, verbose=0, shuffle=False, callbacks=[LambdaCallback(on_train_batch_end=try_it)])
    assert got.history == want
    assert_same(one.get_weights(), twin.get_weights())
    assert len(results) == 3
    for error in results:
        assert isinstance(error, RuntimeError)
        assert f"{other.name}: has layers of one, which another thread trains or evaluates" in str(error)
    assert not isinstance(elsewhere(act), Exception)


def test_models_that_share_only_an_input_are_trained_at_a_time():
    x = Input((5, 3))
    one, other = (Model(x, layers.Dense(1)(layers.LSTM(4)(x))) for _ in range(2))
    for model in (one, other):
        model.compile("sgd", "mse")
    results = []
    within = LambdaCallback(on_epoch_end=lambda *_: results.append(elsewhere(lambda: other.train_on_batch(X, Y))))
    one.fit(X, Y, verbose=0, callbacks=[within])
    assert isinstance(results[0], float)


def test_while_a_model_is_trained_another_thread_cannot_compile_it():
    one, _ = compiled("sgd", "sgd")
    results = []
    again = LambdaCallback(on_epoch_end=lambda *_: results.append(elsewhere(lambda: one.compile("adam", "mse"))))
    one.fit(X, Y, verbose=0, callbacks=[again])
    assert isinstance(results[0], RuntimeError)
    assert isinstance(one.optimizer, optimizers.SGD)


def test_threads_that_train_models_on_the_same_layers_at_once_take_turns_or_are_refused():
    one, other = compiled("adam", "adam")
    start, results = threading.Barrier(2), []

    def train(model, y):
        start.wait()
        for _ in range(200):
            try:
                results.append(model.train_on_batch(X, y))
            except RuntimeError as error:
                results.append(str(error))

    threads = [threading.Thread(target=train, args=(model, y)) for model, y in ((one, Y), (other, Z))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    losses = [result for result in results if isinstance(result, float)]
    assert len(results) == 400
    assert all("has layers of" in result for result in results if isinstance(result, str))
    assert losses
    assert np.isfinite(losses).all()
    assert one.optimizer.iterations + other.optimizer.iterations == len(losses)


# --- chains that change ---


def test_chains_on_one_layer_grow_and_shrink_without_the_other():
    shared = layers.LSTM(4)
    one = Sequential([Input((5, 3)), shared, layers.Dense(1)])
    other = Sequential([Input((5, 3)), shared, layers.Dense(2)])
    for model, y in ((one, Y), (other, Z)):
        model.compile("adam", "mse")
        model.fit(X, y, verbose=0)
    before = one.get_weights()
    other.pop()
    other.add(layers.Dense(3))
    assert_same(one.get_weights(), before)
    other.compile("adam", "mse")
    other.fit(X, numbers(12, 3, dtype="float32"), verbose=0)
    assert_same(one.get_weights()[:3], shared.get_weights())
    assert not np.array_equal(shared.get_weights()[0], before[0])
    one.fit(X, Y, verbose=0)
    assert other.pop().units == 3
    assert other.pop() is shared
    one.fit(X, Y, verbose=0)
    assert one.output_shape == (None, 1)


def test_a_chain_of_the_layers_of_another_and_a_chain_with_another_inside():
    base = Sequential([Input((5, 3)), layers.LSTM(4, return_sequences=True), layers.LSTM(3)])
    longer = Sequential([*base.layers, layers.Dense(1)])
    around = Sequential([base, layers.Dense(1)])
    for model in (longer, around):
        model.compile("adam", "mse")
        assert len(model.trainable_weights) == 8
    for model in (longer, around, longer):
        before = base.get_weights()
        model.fit(X, Y, verbose=0)
        assert not np.array_equal(base.get_weights()[0], before[0])
        assert_same(model.get_weights()[:6], base.get_weights())
    np.testing.assert_array_equal(around.predict(X, verbose=0), around.layers[1](base.predict(X, verbose=0)))


def test_trainable_takes_effect_when_compiled():
    model = Sequential([layers.Dense(2, input_shape=(3,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.layers[0].trainable = False
    x, before = np.ones((4, 3)), model.layers[0].get_weights()[0]
    model.train_on_batch(x, np.ones(4))
    moved = model.layers[0].get_weights()[0]
    assert (moved != before).any()
    model.compile("sgd", "mse")
    model.train_on_batch(x, np.ones(4))
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], moved)


@pytest.mark.parametrize("kind", ["chain", "graph", "call"])
def test_what_a_model_within_was_compiled_to_train_is_no_matter(kind):
    x, y = numbers(4, 3, dtype="float32"), numbers(4, 1, dtype="float32")
    first = layers.Dense(3, "tanh")
    inner = Sequential([layers.Input((3,)), first, layers.Dense(2)])
    first.trainable = False
    inner.compile("sgd", "mse")
    inner.train_on_batch(x, numbers(4, 2, dtype="float32"))
    first.trainable = True

    class Outer(Model):
        def __init__(self):
            super().__init__()
            self.inner, self.dense = inner, layers.Dense(1)

        def call(self, inputs):
            return self.dense(self.inner(inputs))

    if kind == "chain":
        outer = Sequential([inner, layers.Dense(1)])
    elif kind == "graph":
        source = layers.Input((3,))
        outer = Model(source, layers.Dense(1)(inner(source)))
    else:
        outer = Outer()
    outer.compile("sgd", "mse")
    before = first.get_weights()[0]
    outer.train_on_batch(x, y)
    assert (first.get_weights()[0] != before).any()


def test_frozen_layers_called_with_training_false_within_a_model_within():
    source, frozen = layers.Input((3,)), layers.Dense(3)
    frozen.trainable = False
    inner = Model(source, layers.Dense(2)(frozen(source, training=False)))
    outer = Model(source, layers.Dense(1)(inner(source)))
    outer.compile("sgd", "mse")
    x, before = numbers(4, 3, dtype="float32"), inner.layers[-1].get_weights()[0]
    outer.train_on_batch(x, numbers(4, 1, dtype="float32"))
    assert (inner.layers[-1].get_weights()[0] != before).any()
