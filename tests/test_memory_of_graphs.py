"""What a graph holds: in training no more than a chain of the same layers, in inference what is still to be read."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest
from layer_tools import numbers

from lstmcore import Input, Model, Sequential, layers

ROWS, STEPS, WIDTH = 16, 50, 64
SIZE = ROWS * STEPS * WIDTH * 4  # bytes of what goes from layer to layer
X, Y = numbers(ROWS, STEPS, WIDTH, dtype="float32"), numbers(ROWS, STEPS, 1, dtype="float32")


def chain():
    return [
        *(layers.LSTM(WIDTH, return_sequences=True) for _ in range(3)),
        layers.Dense(WIDTH, "tanh"),
        layers.Dropout(0.1),
        layers.GRU(WIDTH, return_sequences=True, activity_regularizer="l2"),
        layers.Dense(1),
    ]


def sequential():
    return Sequential([Input((STEPS, WIDTH)), *chain()])


def graph():
    first = value = Input((STEPS, WIDTH))
    for layer in chain():
        value = layer(value)
    return Model(first, value)


def nested():
    first = Input((STEPS, WIDTH))
    inner = Sequential(chain())
    return Model(first, inner(first))


def two_outputs():
    """The chain, and an output that costs nothing."""
    first = value = Input((STEPS, WIDTH))
    for layer in chain():
        value = layer(value)
    return Model(first, [value, layers.Reshape((STEPS, 1))(value)])


def peak(function):
    """Return the most bytes that a function holds at a time beside what was there before."""
    function()  # makes what is made once
    gc.collect()
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("make", [graph, nested, two_outputs])
def test_a_step_of_training_holds_no_more_than_a_chain(make):
    def step(model):
        several = model.several_outputs is not None
        model.compile("adam", "mse")
        return peak(lambda: model.train_on_batch(X, [Y, Y] if several else Y))

    assert step(make()) < step(sequential()) + SIZE / 8


@pytest.mark.parametrize("make", [graph, nested, two_outputs])
def test_a_prediction_holds_no_more_than_a_chain(make):
    def look(model):
        return peak(lambda: model.predict_on_batch(X))

    assert look(make()) < look(sequential()) + SIZE / 8


def test_after_a_step_nothing_is_kept_but_weights():
    model = two_outputs()
    model.compile("sgd", "mse")
    model.train_on_batch(X, [Y, Y])
    gc.collect()
    tracemalloc.start()
    try:
        model.train_on_batch(X, [Y, Y])
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < SIZE / 8
    finally:
        tracemalloc.stop()


# --- in inference ---


class Watched(layers.Layer):
    """Returns new arrays, and notes which of all such arrays are alive when it is called."""

    made = []  # noqa: RUF012

    def __init__(self, outputs=1, **options):
        super().__init__(**options)
        self.outputs = outputs

    def compute_output_shape(self, input_shape):
        shape = input_shape[0] if isinstance(input_shape, list) else input_shape
        return shape if self.outputs == 1 else [shape] * self.outputs

    def forward(self, inputs, training=False):
        self.alive = {name for name, array in self.made if array() is not None}
        first = inputs[0] if isinstance(inputs, list) else inputs
        results = []
        for k in range(self.outputs):
            result = np.array(first) + 1
            self.made.append((f"{self.name}{k if self.outputs > 1 else ''}", weakref.ref(result)))
            results.append(result)
        return results[0] if self.outputs == 1 else results


class Both(Watched):
    takes_several = True


@pytest.fixture
def watched():
    Watched.made.clear()
    return Watched


def test_inference_frees_an_array_after_its_last_use(watched):
    x = Input((3,))
    a = watched(name="a")(x)
    b, _, c = watched(3, name="b")(a)
    d = watched(name="d")(b)
    e = watched(name="e")(d)
    f = Both(name="f")([e, c])
    g = watched(name="g")(f)
    h = watched(name="h")(g)
    model = Model(x, [h, e])
    model.predict_on_batch(numbers(2, 3, dtype="float32"))
    alive = {layer.name: layer.alive for layer in model.layers if isinstance(layer, Watched)}
    assert alive == {
        "a": set(),
        "b": {"a"},
        "d": {"b0", "b2"},
        "e": {"d", "b2"},
        "f": {"e", "b2"},
        "g": {"f", "e"},
        "h": {"g", "e"},
    }


def test_inference_frees_what_goes_through_models_within(watched):
    x, seen = Input((3,)), Input((3,))
    within = Model(seen, watched(name="in2")(watched(name="in1")(watched(name="in0")(seen))))
    chained = Sequential([watched(name=f"chain{k}") for k in range(3)])
    model = Model(x, watched(name="last")(chained(within(watched(name="first")(x)))))
    model.predict_on_batch(numbers(2, 3, dtype="float32"))
    alive = {layer.name: layer.alive for layer in model.keepers if isinstance(layer, Watched)}
    # what a model within is given is held by whoever has called it
    assert alive == {
        "first": set(),
        "in0": {"first"},
        "in1": {"first", "in0"},
        "in2": {"first", "in1"},
        "chain0": {"in2"},
        "chain1": {"in2", "chain0"},
        "chain2": {"in2", "chain1"},
        "last": {"chain2"},
    }


def test_frozen_layers_hold_nothing_after_a_step():
    x = Input((4, 3))
    inner = Sequential([layers.Dense(3), layers.GRU(3, return_sequences=True)])
    frozen = [layers.Dense(3), layers.LSTM(3, return_sequences=True), inner]
    y = x
    for layer in frozen:
        layer.trainable = False
        y = layer(y)
    model = Model(x, layers.Dense(1)(y))
    model.compile("sgd", "mse")
    model.train_on_batch(np.ones((2, 4, 3)), np.ones((2, 4, 1)))
    for layer in (*frozen, *inner.layers):
        assert layer._cache is None
    assert inner._kept is None
