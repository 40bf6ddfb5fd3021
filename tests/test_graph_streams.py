"""Graphs that are run piece by piece."""

import numpy as np
import pytest
from graph_tools import Own
from hypothesis import given
from hypothesis import strategies as st

from lstmcore import Input, Model, Sequential, layers


def numbers(*shape, seed=0, dtype="float32"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def both_towers():
    a, b, words = Input((None, 3), name="a"), Input((None, 3), name="b"), Input((None,), dtype="int32", name="words")
    tower = layers.LSTM(4, return_sequences=True)
    within = Sequential([layers.Dense(4, "tanh"), layers.GRU(4, return_sequences=True)])
    told = layers.Embedding(9, 4)(words)
    merged = layers.add([tower(a), 2 * tower(b), within(told)])
    wide = layers.concatenate([merged, told])
    return Model({"a": a, "b": b, "words": words}, {"p": layers.Dense(2)(wide), "q": [layers.SimpleRNN(3)(merged)]})


def data(batch, steps):
    return {
        "a": numbers(batch, steps, 3),
        "b": numbers(batch, steps, 3, seed=1),
        "words": np.random.default_rng(2).integers(0, 9, (batch, steps)),
    }


def cut(x, part):
    return {name: value[:, part] for name, value in x.items()}


@given(st.data())
def test_chunks_of_any_size_have_the_bits_of_the_whole(drawn):
    model, x = both_towers(), data(2, 9)
    whole = model.predict(x, verbose=0)
    stream, at, parts = model.stream(2, 9), 0, []
    while at < 9:
        size = drawn.draw(st.integers(1, 9 - at))
        parts.append(stream(cut(x, slice(at, at + size))))
        at += size
    np.testing.assert_array_equal(np.concatenate([part["p"] for part in parts], axis=1), whole["p"])
    np.testing.assert_array_equal(parts[-1]["q"][0][:, -1], whole["q"][0])


def test_steps_states_and_beginning_again():
    model, x = both_towers(), data(2, 5)
    stream = model.stream(2)
    steps = [stream(cut(x, t)) for t in range(5)]
    assert steps[0]["p"].shape == (2, 2)
    np.testing.assert_array_equal(np.stack([s["p"] for s in steps], 1), model.predict(x, verbose=0)["p"])
    other = model.stream(2)
    other.state = stream.state
    np.testing.assert_array_equal(other(cut(x, 0))["p"], stream(cut(x, 0))["p"])
    stream.reset()
    np.testing.assert_array_equal(stream(cut(x, 0))["p"], steps[0]["p"])
    assert len(stream.state) == 2 + 2 + 1 + 1  # of the tower twice, of the model within, and of the last layer
    with pytest.raises(ValueError, match="state: expected 6 arrays, got 1"):
        stream.state = [np.zeros(3)]
    kept = stream.state
    with pytest.raises(ValueError, match=r"state\[5\]: expected shape \(2, 3\), got \(2, 4\)"):
        stream.state = [*[np.ones_like(s) for s in kept[:5]], np.zeros((2, 4))]
    for before, after in zip(kept, stream.state, strict=True):
        np.testing.assert_array_equal(before, after)
    assert repr(stream).startswith("<GraphStream of functional")


def test_a_stream_of_a_chain_drawn_as_a_graph_is_that_of_the_chain():
    chain = Sequential([Input((None, 3)), layers.LSTM(4, return_sequences=True), layers.Conv1D(2, 3, padding="causal")])
    x = Input((None, 3))
    y = x
    for layer in chain.layers:
        y = layer(y)
    graph, stream, x = Model(x, y).stream(1, 4), chain.stream(1, 4), numbers(1, 4, 3)
    assert repr(graph) == repr(stream) == "<Stream of 2 layers, batch_size=1, steps<=4, features=3>"
    np.testing.assert_array_equal(graph(x), stream(x))
    np.testing.assert_array_equal(graph(x[0, 0]), stream(x[0, 0]))
    graph.state = stream.state
    out = np.zeros((1, 2), "float32")
    assert graph(x[:, 0], out) is out
    np.testing.assert_array_equal(out, stream(x[:, 0]))


class Gate(layers.Layer):
    """Of several inputs, with steps that are apart; writes over what it is given."""

    takes_several = steps_apart = True

    def forward(self, inputs, training=False):
        inputs[0] *= inputs[1]
        return inputs[0]

    def compute_output_shape(self, input_shape):
        return input_shape[0]


class Drawn(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.first, self.second = layers.LSTM(3, return_sequences=True), layers.LSTM(3, return_sequences=True)

    def call(self, inputs, beside=None):
        return self.first(inputs) + self.second(inputs if beside is None else beside)


class DrawnModel(Model):
    def __init__(self):
        super().__init__()
        self.within = Drawn()
        self.drop = layers.Dropout(0.5)

    def call(self, inputs, training=False):
        return self.drop(self.within(inputs["x"], beside=inputs["z"]), training=training)


def inner(width=3):
    x = Input((None, width))
    return Model(x, layers.add([x, layers.GRU(width, return_sequences=True)(x)]))


def vectors():
    x = Input((3,))
    return Model(x, layers.Dense(4, "tanh")(layers.concatenate([x, layers.Dense(2)(x)])))


def shared(layer, width=1):
    """A layer without weights that is called with other features than those that it was first called with."""
    return lambda x: layers.concatenate([layer(x), layer(layers.Dense(width)(x))])


BUILDS = {
    "the inputs": lambda x: x,
    "operators": lambda x: 1 - x * layers.Dense(3)(x) / (2 + layers.Dense(1, "sigmoid")(x)) ** 2 + np.arange(3.0),
    "merging": lambda x: layers.maximum([x, layers.minimum([layers.Dense(3)(x), layers.average([x, 2 * x])])]),
    "part of the features": lambda x: x[..., 1:] - x[..., :2],
    "part of the features alone": lambda x: x[..., :2],
    "part of the features by all axes": lambda x: x[:, :, 1:] - x[:, ..., :2] * x[:, :, ..., 1:],
    "last states": lambda x: layers.concatenate([layers.LSTM(3)(x), layers.GRU(2)(x)]),
    "shared dropout": shared(layers.Dropout(0.5)),
    "shared activation": shared(layers.Activation("tanh"), 5),
    "a graph": lambda x: inner()(x),
    "a graph twice": lambda x: (lambda one: one(x) + one(one(x)))(inner()),
    "a graph in a chain": lambda x: Sequential([inner(), layers.Dense(2)])(x),
    "a graph in Residual": lambda x: layers.Residual([inner()])(x),
    "a graph at every step": lambda x: layers.TimeDistributed(vectors())(x),
    "a layer with call": lambda x: Drawn()(x),
    "a layer with call and an argument": lambda x: Drawn()(x, beside=layers.Dense(2)(x)),
    "a layer of the user's": lambda x: Gate()([x, x]) + x,
    "convolution": lambda x: x + layers.Conv1D(3, 3, padding="causal", dilation_rate=2)(x),
    "normalisation": lambda x: layers.LayerNormalization()(x) + layers.BatchNormalization()(x),
    "cells": lambda x: layers.RNN([layers.LSTMCell(3), layers.GRUCell(3)], return_sequences=True)(x) + x,
}


@pytest.mark.parametrize("part", [lambda x: x[:, 1:, :], lambda x: x[..., 1:, :], lambda x: x[:, 1:]])
def test_a_part_of_the_steps_has_no_stream(part):
    i = Input((4, 3))
    with pytest.raises(NotImplementedError, match="a GetItem cannot be run piece by piece"):
        Model(i, layers.Dense(1)(part(i))).stream()


@pytest.mark.parametrize("name", BUILDS)
def test_steps_and_chunks_have_the_bits_of_the_whole(name):
    x, data = Input((None, 3)), numbers(2, 6, 3)
    model, before = Model(x, BUILDS[name](x)), data.copy()
    whole = model.predict(data, verbose=0)
    stream = model.stream(2, 4)
    steps = np.stack([stream(data[:, t]) for t in range(6)], axis=1)
    stream.reset()
    chunks = np.concatenate([stream(data[:, :4]), stream(data[:, 4:])], axis=1)
    stream.reset()
    out = np.zeros_like(chunks[:, :4])
    stream(data[:, :4], out)
    for got in (steps, chunks):
        np.testing.assert_array_equal(got if whole.ndim == 3 else got[:, -1], whole)
    np.testing.assert_array_equal(out, chunks[:, :4])
    np.testing.assert_array_equal(data, before)
    assert not np.may_share_memory(stream(data[:, :4]), data)


@st.composite
def graphs(draw):
    """Layers on one another's outputs, some called more than once; all values are (batch, steps, 3)."""
    values = [Input((None, 3)), Input((None, 3))]
    inputs = list(values)
    often = [
        layers.LSTM(3, return_sequences=True),
        layers.Conv1D(3, 2, padding="causal"),
        inner(),
        Sequential([layers.Dense(4, "tanh"), layers.GRU(3, return_sequences=True)]),
        Drawn(),
        layers.Residual(layers.SimpleRNN(3, return_sequences=True)),
        layers.Activation("tanh"),
    ]
    for _ in range(draw(st.integers(1, 8))):
        x, other = draw(st.sampled_from(values)), draw(st.sampled_from(values))
        what = draw(st.sampled_from(["often", "new", "sum", "product", "side by side"]))
        if what == "often":
            values.append(draw(st.sampled_from(often))(x))
        elif what == "new":
            values.append(layers.MinGRU(3, return_sequences=True)(x))
        elif what == "sum":
            values.append(x + other)
        elif what == "product":
            values.append(layers.multiply([x, 1 - other]))
        else:
            values.append(layers.Dense(3)(layers.concatenate([x, other])))
    outputs = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))
    return Model(inputs, outputs if len(outputs) > 1 else outputs[0])


@given(graphs(), st.data())
def test_streams_of_any_graph_have_the_bits_of_the_whole(model, drawn):
    data = [numbers(2, 7, 3), numbers(2, 7, 3, seed=1)]
    whole = model.predict(data, verbose=0)
    stream, other = model.stream(2, 7), model.stream(2, 7)
    at, parts = 0, []
    while at < 7:
        size = drawn.draw(st.integers(1, 7 - at))
        parts.append(stream([x[:, at : at + size] for x in data]))
        at += size
        stream, other = other, stream  # which goes on from where that one is
        stream.state = other.state
    if isinstance(whole, np.ndarray):
        whole, parts = [whole], [[part] for part in parts]
    for k, want in enumerate(whole):
        np.testing.assert_array_equal(np.concatenate([part[k] for part in parts], axis=1), want)


def test_integers_reach_the_embeddings_of_models_within():
    words, tokens = Input((None,), dtype="int32"), np.random.default_rng(0).integers(0, 9, (2, 6))
    table = layers.Embedding(9, 3)
    within = Input((None,), dtype="int32")
    for one in (Model(within, table(within) + 1), Sequential([layers.Embedding(9, 3), layers.Dense(2)])):
        for model in (Model(words, [one(words), table(words)]), Model(words, one(words)), Sequential([one])):
            whole = model.predict(tokens, verbose=0)
            stream = model.stream(2, 6)
            for got in (stream(tokens), stream(tokens.astype("float32"))):
                for a, b in zip(*([v] if isinstance(v, np.ndarray) else v for v in (got, whole)), strict=True):
                    np.testing.assert_array_equal(a, b)
            step = stream(tokens[:, 0])
            assert (step if isinstance(step, np.ndarray) else step[0]).ndim == 2
    with pytest.raises(NotImplementedError, match=r"add\w*: of integers, those alone can"):
        Model(words, [table(words), table(words + 0)]).stream()
    with pytest.raises(NotImplementedError, match=r"of integers, those alone"):
        Model(words, table(words + 0)).stream()
    with pytest.raises(NotImplementedError, match="outputs: integers as they came in"):
        Model(words, [words, table(words)]).stream()


def test_a_model_with_call_streams_what_it_does_outside_of_training():
    model = DrawnModel()
    x, z = numbers(2, 5, 3), numbers(2, 5, 2, seed=1)
    whole = model({"x": x, "z": z})
    stream = model.stream(2)
    got = np.stack([stream({"x": x[:, t], "z": z[:, t]}) for t in range(5)], axis=1)
    np.testing.assert_array_equal(got, whole)
    with pytest.raises(ValueError, match="inputs: expected 2 arrays, as the model takes them"):
        stream({"x": x[:, 0]})
    a, b = Input((None, 3)), Input((None, 2))
    outer = Model([a, b], layers.Dense(1)(model({"x": a, "z": b})))
    stream = outer.stream(2)
    got = np.stack([stream([x[:, t], z[:, t]]) for t in range(5)], axis=1)
    np.testing.assert_array_equal(got, outer.predict([x, z], verbose=0))


def test_outputs_are_written_where_it_is_said():
    model, x = both_towers(), data(2, 5)
    stream, other = model.stream(2, 5), model.stream(2, 5)
    out = {"p": np.empty((2, 5, 2), "float32"), "q": [np.empty((2, 5, 3), "float32")]}
    returned, want = stream(x, out), other(x)
    assert returned["p"] is out["p"]
    np.testing.assert_array_equal(out["p"], want["p"])
    np.testing.assert_array_equal(out["q"][0], want["q"][0])
    before, (p, q) = stream.state, (out["p"], out["q"][0])
    shared = {**x, "a": np.zeros((2, 5, 3), "float32")}
    for wrong, inputs, error, text in (
        ({"p": p, "q": [p]}, x, ValueError, r"out: q/\w+: expected shape \(2, 5, 3\), got \(2, 5, 2\)"),
        ({"p": p, "q": [q.astype("float64")]}, x, TypeError, "expected dtype float32, got float64"),
        ({"p": p, "q": [None]}, x, TypeError, "expected an array to write into, got NoneType"),
        ({"p": p, "q": q}, x, ValueError, "out: expected arrays as the model returns them, got"),
        ({"p": p, "q": [shared["a"]]}, shared, ValueError, "overlaps inputs"),
    ):
        with pytest.raises(error, match=text):
            stream(inputs, wrong)
    for one, same in zip(stream.state, before, strict=True):
        np.testing.assert_array_equal(one, same)


def test_a_model_with_call_may_return_several():
    class Several(Model):
        def __init__(self):
            super().__init__()
            self.lstm, self.dense = layers.LSTM(4, return_sequences=True), layers.Dense(2)

        def call(self, inputs):
            return self.dense(self.lstm(inputs)), inputs * 2.0

    model, x = Several(), numbers(1, 4, 3)
    whole, stream = model(x), model.stream()
    for t in range(4):
        for got, want in zip(stream(x[:, t]), whole, strict=True):
            np.testing.assert_array_equal(got, want[:, t])


def test_inputs_without_steps_come_with_every_step():
    past, calendar = Input((None, 3), name="past"), Input((2,), name="calendar")
    forecast = layers.Dense(1)(layers.concatenate([layers.LSTM(4)(past), calendar]))
    model, x, days = Model([past, calendar], forecast), numbers(2, 5, 3), numbers(2, 5, 2)
    stream = model.stream(2, 5)
    chunk = stream([x, days])
    stream.reset()
    for t in range(5):
        want = model.predict([x[:, : t + 1], days[:, t]], verbose=0)
        np.testing.assert_array_equal(stream({"past": x[:, t], "calendar": days[:, t]}), want)
        np.testing.assert_array_equal(chunk[:, t], want)


def test_a_step_of_a_single_row_may_come_without_the_batch():
    a, b = Input((None, 3)), Input((None, 2))
    model = Model([a, b], layers.concatenate([a, b]))
    assert model.stream()([np.ones(3), np.ones(2)]).shape == (5,)
    one_in = Model(a, [a, layers.LSTM(2)(a)])
    assert [y.shape for y in one_in.stream()([1.0, 2.0, 3.0])] == [(3,), (2,)]


class CumulativeSum(layers.Add):
    """An Add whose steps are not apart."""

    def forward(self, inputs, training=False):
        return np.cumsum(inputs[0], axis=1)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda x: layers.Bidirectional(layers.LSTM(2, return_sequences=True), name="both")(x), "both"),
        (
            lambda x: layers.GlobalMaxPooling1D(name="pool")(x),
            "pool: a GlobalMaxPooling1D cannot be run",
        ),
        (
            lambda x: layers.LSTM(2)(x, initial_state=layers.LSTM(2, return_state=True)(x)[1:]),
            "piece by piece",
        ),
        (lambda x: layers.LSTM(2, return_state=True)(x)[1], "return_state: its last states"),
        (lambda x: layers.add([layers.LSTM(3)(x), x]), "together with what is known at their end"),
        (lambda x: layers.Attention(name="look")([x, x]), "look: Attention of several inputs"),
        (lambda x: layers.concatenate([x, x], axis=1), "of several inputs cannot be run"),
        (lambda x: layers.Dropout(0.5, name="drop")(x, training=True), "drop: training: .* without training=True"),
        (lambda x: Sequential([layers.Dropout(0.5)], name="inner")(x, training=True), "inner: training: "),
        (lambda x: layers.LSTM(2)(x, mask=layers.Masking().compute_mask(x)), r"not_equal\w*: "),
        (shared(Sequential([layers.Softmax()], name="within")), "within: inputs: .* as many features as at first"),
        (lambda x: x[:, -1], "a GetItem cannot be run piece by piece"),
        (lambda x: CumulativeSum()([x, x]), "CumulativeSum of several inputs .*; say steps_apart = True"),
        (
            lambda x: layers.TimeDistributed(layers.Embedding(9, 2), name="each")(x),
            r"each: inputs: .* more than \(batch",
        ),
    ],
)
def test_what_cannot_be_streamed_is_named(build, text):
    x = Input((None, 3))
    with pytest.raises((NotImplementedError, ValueError), match=text):
        Model(x, build(x)).stream()


def test_masks_that_are_given_and_passes_of_ones_own_are_refused():
    x, counts = Input((None, 3)), Input((None,), dtype="bool")
    with pytest.raises(NotImplementedError, match="masked: mask: a stream has no padding"):
        Model([x, counts], layers.LSTM(2, name="masked")(x, mask=counts)).stream()

    own = Own()
    with pytest.raises(ValueError, match="has no weights yet"):
        own.stream()
    own(np.ones((1, 2, 3)))
    with pytest.raises(NotImplementedError, match=r"has passes of its own .*; define stream beside forward"):
        own.stream()


def test_one_call_at_a_time():
    class Meddling(layers.Layer):
        steps_apart = True

        def forward(self, inputs, training=False):
            if streams:
                streams[0]([inputs, inputs])
            return inputs

    a, b, streams = Input((None, 3)), Input((None, 3)), []
    stream = Model([a, b], Meddling()(a + b)).stream()
    streams.append(stream)
    with pytest.raises(RuntimeError, match="Stream"):
        stream([np.ones((1, 3)), np.ones((1, 3))])
    streams.clear()
    assert stream([np.ones((1, 3)), np.ones((1, 3))]).tolist() == [[2.0, 2.0, 2.0]]


def test_inputs_that_do_not_fit():
    model = both_towers()
    stream, x = model.stream(2, 3), data(2, 3)
    for wrong, text in (
        ({"a": x["a"]}, "inputs: expected a, b, words, got a"),
        ([x["a"]], "inputs: expected 3 arrays, for a, b, words, got 1"),
        (
            {**x, "a": x["a"][:, :, :2]},
            r"inputs: a: expected a step \(2, 3\) or a chunk \(2, 1 to 3, 3\), got",
        ),
        ({**x, "b": x["b"][:, :2]}, r"as many steps of each, got shapes \(2, 3, 3\), \(2, 2, 3\), \(2, 3\)"),
        (cut(data(2, 4), slice(None)), "expected a step"),
        (cut(data(1, 3), slice(None)), "expected a step"),
    ):
        with pytest.raises(ValueError, match=text):
            stream(wrong)
    vector = Input((3,))
    unknown = Input((None, None))
    with pytest.raises(
        NotImplementedError, match=r"expected \(batch, steps, features\) or .* shape \(None, None, None\)"
    ):
        Model([vector, unknown], [layers.Dense(2)(vector), layers.Dropout(0.1)(unknown)]).stream()
    with pytest.raises(ValueError, match="batch_size: expected a positive integer"):
        model.stream(0)
