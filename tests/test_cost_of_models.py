"""Models cost what is in them: making a chain takes time in proportion to its layers, a model is gone with its last
name, and a description does not get more memory than there is.
"""

import gc
import json
import sys
import weakref

import numpy as np
import pytest
from layer_tools import numbers

from lstmcore import Model, Sequential, _placeholders, layers, models
from lstmcore.callbacks import Callback, EarlyStopping

X, Y = numbers(8, 4, 2, dtype="float32"), numbers(8, 1, dtype="float32")


class Own(Model):
    def __init__(self):
        super().__init__()
        self.parts = [layers.LSTM(3), layers.Dense(1)]

    def forward(self, inputs, training=False):
        for layer in self.parts:
            inputs = layer(inputs, training=training)
        return inputs

    def backward(self, d_outputs, need_d_inputs=True):
        for layer in reversed(self.parts):
            d_outputs = layer.backward(d_outputs)
        return d_outputs


def rich():
    return Sequential(
        [
            layers.Conv1D(3, 2, input_shape=(4, 2)),
            layers.Residual(layers.Dense(3, kernel_constraint="unit_norm")),
            layers.Bidirectional(layers.GRU(2, return_sequences=True, stateful=True)),
            layers.TimeDistributed(layers.BatchNormalization()),
            Sequential([layers.RNN([layers.LSTMCell(2), layers.GRUCell(2)], return_sequences=True), layers.LSTM(3)]),
            layers.Dense(1, kernel_regularizer="l2", activity_regularizer="l2"),
        ]
    )


def compiled(model):
    model.compile("adam", "mse", metrics=["mae"])
    return model


class Watch(Callback):
    pass


def fitted(model):
    history = compiled(model).fit(
        X, Y, epochs=2, validation_data=(X, Y), callbacks=[Watch(), EarlyStopping()], verbose=0
    )
    assert history.model is model
    model.evaluate(X, Y, verbose=0)
    model.predict(X)
    model.train_on_batch(X, Y)
    return model


def interrupted(model):
    class Break(Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        compiled(model).fit(X, Y, callbacks=[Break()], verbose=0)
    return model


def streamed(model):
    built = Sequential([layers.LSTM(3, input_shape=(4, 2)), layers.Dense(1)])
    built.stream()(X[:1, 0])
    return built


@pytest.mark.parametrize("make", [rich, Own], ids=["chain", "own"])
@pytest.mark.parametrize(
    "use",
    [
        lambda model: model,
        lambda model: model.predict(X) is None or model,
        compiled,
        fitted,
        interrupted,
        streamed,
        lambda model: Sequential([fitted(model)]) if isinstance(model, Sequential) else fitted(model),
        lambda model: models.clone_model(rich()),
        lambda model: models.model_from_json(rich().to_json()),
    ],
    ids=["new", "predicted", "compiled", "fitted", "interrupted", "streamed", "within", "cloned", "from JSON"],
)
def test_a_model_is_gone_with_its_last_name(make, use):
    gc.collect()
    gc.disable()
    try:
        model = use(make())
        last = [weakref.ref(model), *map(weakref.ref, model.layers), *map(weakref.ref, model.variables)]
        if model.built and model.parameters is not None:
            last.append(weakref.ref(model.parameters))
            last.append(weakref.ref(model.parameters.vectors))
        del model
        assert [ref() for ref in last] == [None] * len(last)
    finally:
        gc.enable()


def test_a_history_outlives_its_model():
    model = compiled(rich())
    history = model.fit(X, Y, verbose=0)
    assert history.model is model
    del model
    assert history.model is None
    assert len(history.history["loss"]) == 1


# --- time ---


def events(function):
    """How many functions are called and left: a measure of time that no other program disturbs."""
    count = 0

    def seen(*_):
        nonlocal count
        count += 1

    sys.setprofile(seen)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


def chain(length):
    return Sequential([layers.Dense(2, input_shape=(2,)), *(layers.Dense(2) for _ in range(length - 1))])


def added(length):
    model = Sequential()
    model.add(layers.Input((2,)))
    for _ in range(length):
        model.add(layers.Dense(2))
    return model


def taken_off(length):
    model = chain(length)
    while model.layers:
        model.pop()


@pytest.mark.parametrize("make", [chain, added, taken_off, lambda n: models.model_from_json(DESCRIBED[n])])
def test_a_chain_takes_time_in_proportion_to_its_layers(make):
    for n in (40, 80):
        DESCRIBED.setdefault(n, chain(n).to_json())
    fewer, more = events(lambda: make(40)), events(lambda: make(80))
    assert more < 2.1 * fewer


DESCRIBED = {}


def test_a_chain_that_grows_and_shrinks_is_the_one_made_at_once():
    grown = Sequential([layers.LSTM(4, return_sequences=True, input_shape=(4, 2))])
    values = []
    for layer in (layers.Dropout(0.5), layers.GRU(3), layers.Dense(2)):
        grown.add(layer)
        values.append((grown.output_shape, grown.count_params(), grown.parameters.values.size, grown(X).shape[1:]))
    assert values == [((None, 4, 4), 112, 112, (4, 4)), ((None, 3), 193, 193, (3,)), ((None, 2), 201, 201, (2,))]
    at_once = models.clone_model(grown)
    at_once.set_weights(grown.get_weights())
    np.testing.assert_array_equal(at_once(X), grown(X))
    last = grown.pop()
    assert (grown.output_shape, grown.count_params(), len(grown.variables)) == ((None, 3), 193, 6)
    assert last.owned_by is None
    grown.add(layers.Dense(5))
    assert grown(X).shape == (8, 5)
    grown.compile("sgd", "mse")
    before = grown.get_weights()
    grown.train_on_batch(X, numbers(8, 5, dtype="float32"))
    assert all((a != b).any() for a, b in zip(before, grown.get_weights(), strict=True))
    assert grown.parameters.values.size == 193 + 20


def test_a_layer_that_does_not_fit_is_not_added():
    model = Sequential([layers.LSTM(4, input_shape=(4, 2))])
    wrong = layers.GRU(3)
    with pytest.raises(ValueError, match=r"inputs: expected shape \(batch, steps, features\), got \(None, 4\)"):
        model.add(wrong)
    assert wrong.owned_by is None
    assert len(model.layers) == 1
    model.add(layers.Dense(1))
    assert model(X).shape == (8, 1)


# --- a step ---


def small_graph():
    inputs = layers.Input((4, 2))
    return Model(inputs, layers.Dense(1)(layers.LSTM(3)(layers.LSTM(3, return_sequences=True)(inputs))))


def small_chain():
    return Sequential([layers.LSTM(3, return_sequences=True, input_shape=(4, 2)), layers.LSTM(3), layers.Dense(1)])


@pytest.mark.once
@pytest.mark.parametrize("make", [small_chain, small_graph])
def test_a_step_of_a_small_model_calls_few_functions(make):
    # Small networks spend a good part of a step in Python: 0.3 microseconds a call. It was 184 and 205 when the
    # step was measured against the core's time; who adds calls to every step should know.
    model = make()
    model.compile("adam", "mse")
    for _ in range(3):
        model.train_on_batch(X, Y)
    calls = []

    def note(frame, event, _):
        if event == "call":
            calls.append(frame.f_code.co_qualname if hasattr(frame.f_code, "co_qualname") else frame.f_code.co_name)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        model.train_on_batch(X, Y)
    finally:
        sys.setprofile(before)
    assert len(calls) <= 205, sorted(calls)


# --- memory ---


def described(**changes):
    description = json.loads(
        Sequential([layers.Dense(2, input_shape=(2,))] + [layers.Dense(2) for _ in range(9)]).to_json()
    )
    for layer in description["config"]["layers"]:
        layer["config"].update(changes)
    return json.dumps(description)


@pytest.mark.parametrize("units", [10**9, 10**12, 10**15, 10**40])
def test_a_description_gets_no_more_memory_than_there_is(units, monkeypatch):
    description = described(units=units)
    monkeypatch.setattr(_placeholders, "_memory", lambda: 2**30)

    def never(*_, **options):
        raise AssertionError("allocated")

    monkeypatch.setattr("lstmcore.layers._weighted.get_initializer", lambda _: never)
    with pytest.raises(
        ValueError, match=r"^json_string: .*(than this machine has memory for|overflows the address|below 2.*63)"
    ):
        models.model_from_json(description)


def test_weights_are_counted_together(monkeypatch):
    # Nine kernels of 1,000 by 1,000 are 9 million numbers, of 16 bytes with their gradients and copies.
    small = described(units=1000)
    monkeypatch.setattr(_placeholders, "_memory", lambda: 100_000_000)
    with pytest.raises(ValueError, match=r"no room for one of shape \(1000, 1000\)"):
        models.model_from_json(small)
    monkeypatch.setattr(_placeholders, "_memory", lambda: 200_000_000)
    assert models.model_from_json(small).count_params() == 9 * 1_001_000 + 3000
    assert _placeholders._memory() > 0


def test_the_memory_of_this_machine_is_known():
    assert 2**28 < _placeholders._memory() <= sys.maxsize
