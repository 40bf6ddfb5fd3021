"""Graphs that are run piece by piece."""

import numpy as np
import pytest
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
    a, b, x = Model(x, y).stream(1, 4), chain.stream(1, 4), numbers(1, 4, 3)
    np.testing.assert_array_equal(a(x), b(x))
    np.testing.assert_array_equal(a(x[0, 0]), b(x[0, 0]))


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
        (lambda x: layers.Attention(name="look")([x, x]), "look: a Attention of several inputs"),
        (lambda x: layers.concatenate([x, x], axis=1), "of several inputs cannot be run"),
    ],
)
def test_what_cannot_be_streamed_is_named(build, text):
    x = Input((None, 3))
    with pytest.raises((NotImplementedError, ValueError), match=text):
        Model(x, build(x)).stream()


class Drawn(Model):
    def __init__(self):
        super().__init__()
        self.lstm, self.dense = layers.LSTM(4, return_sequences=True), layers.Dense(2)

    def call(self, inputs):
        return self.dense(self.lstm(inputs)), inputs * 2.0


def test_models_within_and_models_with_call_are_streamed():
    x, data = Input((None, 3)), numbers(1, 4, 3)
    within = Model(x, layers.LSTM(3, return_sequences=True)(x))
    outer, chain = Model(x, layers.Dense(2)(within(x))), Sequential([x, within, layers.Dense(2)])
    for model in (outer, chain):
        stream = model.stream()
        np.testing.assert_array_equal([stream(data[0, t]) for t in range(4)], model.predict(data, verbose=0)[0])
    drawn = Drawn()
    whole = drawn(data)
    stream = drawn.stream()
    for t in range(4):
        for got, want in zip(stream(data[:, t]), whole, strict=True):
            np.testing.assert_array_equal(got, want[:, t])


def test_outputs_are_written_where_it_is_said():
    model, x = both_towers(), data(2, 5)
    stream, other = model.stream(2, 5), model.stream(2, 5)
    out = {"p": np.empty((2, 5, 2), "float32"), "q": [np.empty((2, 5, 3), "float32")]}
    returned, want = stream(x, out), other(x)
    assert returned["p"] is out["p"]
    np.testing.assert_array_equal(out["p"], want["p"])
    np.testing.assert_array_equal(out["q"][0], want["q"][0])
    with pytest.raises(ValueError, match=r"out: expected arrays of shape \(2, 5, 2\), \(2, 5, 3\)"):
        stream(x, {"p": out["p"], "q": [out["p"]]})


def test_inputs_that_do_not_fit():
    model = both_towers()
    stream, x = model.stream(2, 3), data(2, 3)
    for wrong, text in (
        ({"a": x["a"]}, "expected 3 arrays, for a, b, words"),
        (
            {**x, "a": x["a"][:, :, :2]},
            r"inputs: a: expected a step \(2, 3\) or a chunk \(2, 1 to 3, 3\), got",
        ),
        ({**x, "b": x["b"][:, :2]}, "expected as many steps of each, got 3, 2, 3"),
        (cut(data(2, 4), slice(None)), "expected a step"),
        (cut(data(1, 3), slice(None)), "expected a step"),
    ):
        with pytest.raises(ValueError, match=text):
            stream(wrong)
    vector = Input((3,))
    with pytest.raises(NotImplementedError, match=r"expected sequences \(batch, steps, features\)"):
        Model(vector, layers.Dense(2)(vector)).stream()
    with pytest.raises(ValueError, match="batch_size: expected a positive integer"):
        model.stream(0)
