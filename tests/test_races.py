"""Several threads with one model, and Ctrl-C at any moment: what must be done once is done once, what is taken is given
back.
"""

import itertools
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from layer_tools import numbers

import lstmcore
from lstmcore import Model, Sequential, layers
from lstmcore.callbacks import LambdaCallback
from lstmcore.layers._naming import automatic_name
from lstmcore.training.interrupts import DeferredInterrupt
from lstmcore.training.turns import Turns
from lstmcore.variables import Vectors

THREADS = 4


@pytest.fixture(autouse=True)
def often():
    """Threads change places at every few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(*functions):
    """Run functions in threads that begin together; return their results or exceptions."""
    barrier = threading.Barrier(len(functions))

    def run(function):
        barrier.wait()
        try:
            return function()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(functions)) as pool:
        return list(pool.map(run, functions))


class Own(Model):
    def __init__(self):
        super().__init__()
        self.parts = [layers.LSTM(4, return_sequences=True), layers.BatchNormalization(), layers.Dense(2)]

    def forward(self, inputs, training=False):
        for layer in self.parts:
            inputs = layer(inputs, training=training)
        return inputs


def chain():
    return Sequential([Sequential([layers.Bidirectional(layers.GRU(3, return_sequences=True))]), layers.Dense(2)])


def cells():
    return layers.RNN([layers.LSTMCell(3), layers.GRUCell(4)], return_sequences=True)


@pytest.mark.parametrize("make", [Own, chain, cells, lambda: layers.LSTM(3)], ids=["own", "chain", "cells", "layer"])
def test_threads_that_use_a_new_model_build_it_once(make):
    x = numbers(3, 5, 2, dtype="float32")
    count = sum(w.size for w in make_weights(make, x))
    for _ in range(20):
        model = make()
        calls = (
            [model.predict, model, model.predict_on_batch, model.predict][:THREADS]
            if isinstance(model, Model)
            else [model] * 4
        )
        results = at_once(*(lambda call=call: call(x) for call in calls))
        for result in results:
            assert isinstance(result, np.ndarray), result
        want = model(x)
        assert model.count_params() == count == len(np.concatenate([w.ravel() for w in model.get_weights()]))
        assert len({id(v) for v in model.variables}) == len(model.variables)
        for result in results:
            np.testing.assert_array_equal(result, want)


def make_weights(make, x):
    model = make()
    model(x)
    return model.get_weights()


def test_predictions_while_weights_move_into_other_vectors():
    model = Sequential([layers.Dense(64, kernel_initializer="ones", bias_initializer="ones", input_shape=(1,))])
    x, wrong = np.ones((1, 1), "float32"), []

    def move():
        for _ in range(60):
            model.add(layers.Identity())
            assert model.parameters.values.size == 128
            model.pop()

    def look():
        for _ in range(200):
            y = model.layers[0](x)
            if (y != 2).any():
                wrong.append(y)

    assert at_once(move, look, look) == [None] * 3
    assert not wrong


@pytest.mark.parametrize("kind", [layers.LSTM, layers.GRU, layers.SimpleRNN, layers.MinGRU, layers.SLSTM])
def test_packed_weights_are_those_of_the_last_change(kind):
    layer, twin, x = kind(8), kind(8), numbers(2, 3, 4, dtype="float32")
    layer(x)
    twin(x)
    shape = layer.variables[0].shape

    def change(k):
        for part in range(4):
            layer.variables[0].assign(np.full(shape, k / 8 + part / 64))

    def look():
        for _ in range(3):
            layer(x)

    for k in range(25):
        assert at_once(lambda k=k: change(k), look, look) == [None] * 3
        twin.set_weights(layer.get_weights())
        np.testing.assert_array_equal(layer(x), twin(x))


def test_a_version_is_that_of_one_state_of_one_vector():
    vectors = Vectors(np.zeros(3), np.zeros(3))
    seen = [[] for _ in range(THREADS)]

    def write(mine):
        for _ in range(300):
            before = vectors.version
            with vectors.writing() as values:
                values += 1
            assert vectors.version != before  # another may have written since, but never undone it
            mine.append(vectors.version)

    assert at_once(*(lambda mine=mine: write(mine) for mine in seen)) == [None] * THREADS
    assert Vectors(np.zeros(3), np.zeros(3)).version not in set(itertools.chain(*seen))


def test_names_of_layers_made_at_once_differ():
    for _ in range(10):
        lstmcore.utils.clear_session()
        results = at_once(*[lambda: [automatic_name("D") for _ in range(2000)]] * THREADS)
        assert len(set(itertools.chain(*results))) == 2000 * THREADS
    lstmcore.utils.clear_session()


# --- one at a time ---


def trained(**options):
    model = Sequential([layers.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse", **options)
    return model


X, Y = numbers(8, 2, dtype="float32"), numbers(8, 1, dtype="float32")


def test_of_fits_at_once_one_runs():
    for _ in range(30):
        model = trained()
        inside, most = [], []

        def look(*_, inside=inside, most=most):
            inside.append(0)
            most.append(len(inside))
            time.sleep(0)
            inside.pop()

        watch = LambdaCallback(on_train_batch_begin=look)
        results = at_once(
            *[lambda model=model, watch=watch: model.fit(X, Y, batch_size=1, verbose=0, callbacks=[watch])] * THREADS
        )
        errors = [r for r in results if isinstance(r, Exception)]
        assert len(errors) < THREADS
        assert max(most) == 1
        for error in errors:
            assert isinstance(error, RuntimeError), error
            assert "fit is running already" in str(error)
        assert model._progress is None
        model.fit(X, Y, verbose=0)


@pytest.mark.parametrize("method", ["evaluate", "train_on_batch", "test_on_batch", "fit"])
def test_while_a_model_is_trained_another_thread_cannot_train_or_evaluate_it(method):
    model, results = trained(metrics=["mae"]), []
    options = {"verbose": 0} if method in ("evaluate", "fit") else {}
    spread = LambdaCallback(
        on_epoch_end=lambda *_: results.extend(at_once(lambda: getattr(model, method)(X, Y, **options)))
    )
    plain = trained(metrics=["mae"])
    plain.set_weights(model.get_weights())
    want = plain.fit(X, Y, epochs=2, verbose=0, shuffle=False).history
    assert model.fit(X, Y, epochs=2, verbose=0, shuffle=False, callbacks=[spread]).history == want
    assert [type(r) for r in results] == [RuntimeError] * 2
    assert "is running" in str(results[0])
    assert model.predict(X).shape == (8, 1)


def test_a_callback_may_evaluate_and_take_steps_but_not_fit():
    model = trained()
    errors = []

    def inner(*_):
        model.evaluate(X, Y, verbose=0, callbacks=[LambdaCallback(on_test_end=lambda *_: model.test_on_batch(X, Y))])
        model.train_on_batch(X, Y)
        try:
            model.fit(X, Y, verbose=0)
        except RuntimeError as error:
            errors.append(str(error))

    model.fit(X, Y, epochs=2, verbose=0, callbacks=[LambdaCallback(on_epoch_end=inner)])
    assert len(errors) == 2
    assert "fit is running already" in errors[0]


def test_evaluations_at_once_do_not_mix():
    model = trained(metrics=["mae"])
    want = [model.evaluate(X[:k], Y[:k], verbose=0) for k in (2, 8)]
    for _ in range(20):
        results = at_once(
            *(lambda k=k: model.evaluate(X[:k], Y[:k], batch_size=1, verbose=0) for k in (2, 8)),
        )
        assert not all(isinstance(r, Exception) for r in results)
        for got, right in zip(results, want, strict=True):
            if isinstance(got, Exception):
                assert "running" in str(got)
            else:
                np.testing.assert_allclose(got, right, rtol=1e-6)


class PressedError(Exception):
    """As if a signal's handler had raised."""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers that send signals")
def test_an_interrupt_at_any_moment_leaves_a_model_that_can_be_trained():
    armed = []

    def press(number, frame):
        if armed:
            raise PressedError

    model, pressed = trained(), 0
    before, ours = signal.signal(signal.SIGALRM, press), signal.getsignal(signal.SIGINT)
    try:
        start = time.perf_counter()
        model.fit(X, Y, verbose=0)
        length = time.perf_counter() - start
        for k in range(1000):
            if pressed == 60:
                break
            caught = None
            armed.append(True)
            try:
                signal.setitimer(signal.ITIMER_REAL, max(1e-6, length * (k % 30) / 30))
                (model.fit if k % 3 else model.evaluate)(X, Y, verbose=0)
                armed.clear()
                length *= 0.95  # it was over before the signal came
            except PressedError as error:
                caught = error  # which keeps the frames of the call, as an interactive Python does
                pressed += 1
                length *= 1.02
            armed.clear()
            model.fit(X, Y, verbose=0)
            assert model._progress is None
            del caught
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.signal(signal.SIGINT, ours)
    assert pressed == 60


def test_ctrl_c_works_again_whatever_has_interrupted_a_fit():
    deferred = DeferredInterrupt()

    def interrupted():
        deferred.__enter__()
        raise PressedError  # as if from another signal, before the block has begun or while it ends

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(PressedError):
            interrupted()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        with DeferredInterrupt() as deferred:
            signal.raise_signal(signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                deferred.check()
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_turn_that_was_not_ended_is_over_with_its_lock():
    turns, model, first, second = Turns(), trained(), threading.Lock(), threading.Lock()
    with first:
        assert turns.take(first, model) is None
        with second:
            assert turns.take(second, model)[:2] == (first, threading.get_ident())
    third = threading.Lock()
    with third:
        assert turns.take(third, model) is None
    assert len(turns._taken) == 1


def test_labels_are_looked_at_and_used_as_they_were_when_they_came():
    labels, loss = np.array([0, 1]), lstmcore.losses.SparseCategoricalCrossentropy()
    taken = loss.targets(labels, (2, 3), np.dtype("float32"))
    labels[:] = 7  # by another thread, between the look and the use
    np.testing.assert_array_equal(taken, [0, 1])


def test_turns_within_a_long_one_leave_nothing_behind():
    turns, model, first = Turns(), trained(), threading.Lock()
    with first:
        assert turns.take(first, model) is None
        for _ in range(100):  # what a callback of fit does at every batch
            within = threading.Lock()
            with within:
                assert turns.take(within, model)[:2] == (first, threading.get_ident())
        assert len(turns._taken) <= 2
    again = threading.Lock()
    with again:
        assert turns.take(again, model) is None
        assert len(turns._taken) == 1
