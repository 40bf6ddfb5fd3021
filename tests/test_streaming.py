"""Streams: a model run piece by piece gives the bits of the whole, and allocates no more than it returns."""

import io
import pickle
import signal
import threading
import tracemalloc
import warnings

import numpy as np
import pytest
from layer_tools import Elman, numbers, set_values, with_weights

import lstmcore
from lstmcore import Input, Sequential, functional, streaming
from lstmcore.functional import pack_gru
from lstmcore.layers import (
    GRU,
    LSTM,
    RNN,
    SLSTM,
    Activation,
    BatchNormalization,
    Bidirectional,
    Conv1D,
    Dense,
    Embedding,
    GRUCell,
    Identity,
    LayerNormalization,
    LSTMCell,
    Masking,
    MinGRU,
    MinLSTM,
    PReLU,
    Residual,
    SimpleRNN,
    TimeDistributed,
)
from lstmcore.streaming import RecurrentStream

FEATURES, STEPS = 9, 40
EACH_STEP = {"return_sequences": True}


def lstm(units, dtype, **options):
    return LSTM(units, dtype=dtype, **EACH_STEP, **options)


MODELS = {
    "lstm, dense": lambda d: [lstm(70, d), Dense(3, dtype=d)],
    "lstm, lstm, dense, dense": lambda d: [
        lstm(40, d),
        lstm(30, d),
        Dense(8, "tanh", dtype=d),
        Dense(2, "relu", dtype=d),
    ],
    "gru": lambda d: [GRU(70, dtype=d, **EACH_STEP)],
    "gru reset before": lambda d: [GRU(70, reset_after=False, dtype=d, **EACH_STEP)],
    "rnn": lambda d: [SimpleRNN(70, dtype=d, **EACH_STEP)],
    "min gru": lambda d: [MinGRU(70, dtype=d, **EACH_STEP), MinGRU(20, log_space=True, dtype=d, **EACH_STEP)],
    "min lstm, zoneout": lambda d: [MinLSTM(70, zoneout=0.3, dtype=d, **EACH_STEP), Dense(2, dtype=d)],
    "slstm": lambda d: [SLSTM(70, dtype=d, **EACH_STEP)],
    "slstm, heads": lambda d: [SLSTM(70, 5, zoneout=0.2, exponential_forget=True, dtype=d, **EACH_STEP)],
    "embedding, lstm, dense": lambda d: [Embedding(11, 6, dtype=d), lstm(70, d), Dense(11, dtype=d)],
    "projection": lambda d: [lstm(70, d, projection=20), Dense(2, dtype=d)],
    "peepholes": lambda d: [lstm(70, d, peepholes=True)],
    "zoneout, mixed": lambda d: [lstm(70, d, zoneout=(0.1, 0.3)), GRU(20, zoneout=0.2, dtype=d, **EACH_STEP)],
    "layer norm": lambda d: [lstm(70, d, layer_norm=True), GRU(20, layer_norm=True, dtype=d, **EACH_STEP)],
    "dropout, off at inference": lambda d: [lstm(70, d, dropout=0.5, recurrent_dropout=0.5)],
    "relu": lambda d: [GRU(70, "relu", dtype=d, **EACH_STEP), SimpleRNN(9, None, dtype=d, **EACH_STEP)],
    "dense alone": lambda d: [Dense(5, dtype=d)],
    "identity last": lambda d: [GRU(7, dtype=d, **EACH_STEP), Identity(dtype=d)],
    "convolutions": lambda d: [
        Conv1D(6, 3, padding="causal", dilation_rate=2, activation="relu", dtype=d),
        Conv1D(5, 2, padding="causal", dtype=d),
    ],
    "all that remember": lambda d: [
        Conv1D(6, 4, padding="causal", dtype=d),
        Residual([lstm(8, d), Conv1D(6, 3, padding="causal", dtype=d)], dtype=d),
        TimeDistributed(Dense(5, "tanh", dtype=d), dtype=d),
        Residual(GRU(4, dtype=d, **EACH_STEP), projection="auto", dtype=d),
        SimpleRNN(3, dtype=d, **EACH_STEP),
    ],
    "groups, steps in Python, cells": lambda d: [
        Conv1D(6, 3, padding="causal", groups=3, activation="glu", dtype=d),
        LSTM(5, "gelu", dtype=d, **EACH_STEP),
        RNN([GRUCell(4, dtype=d), LSTMCell(3, "gelu", dtype=d)], **EACH_STEP),
    ],
    "none that remember": lambda d: [
        LayerNormalization(dtype=d),
        BatchNormalization(dtype=d),
        PReLU(shared_axes=[1], dtype=d),
        Activation("softmax", dtype=d),
    ],
}
each_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)


def model_of(make, dtype="float32", seed=0, features=FEATURES):
    lstmcore.utils.set_random_seed(seed)
    layers = make(dtype)
    if not isinstance(layers[0], Embedding):
        layers = [Input(shape=(None, features), dtype=dtype), *layers]
    model = Sequential(layers)
    model.build((None, None) if isinstance(layers[0], Embedding) else (None, None, features))
    return model


def inputs_for(model, batch, steps=STEPS, seed=0):
    if isinstance(model.layers[0], Embedding):
        return np.random.default_rng(seed).integers(0, 11, (batch, steps))
    return numbers(batch, steps, model.input_shape[-1], seed=seed, dtype=model.dtype)


# --- the bits of the whole ---


@each_model
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [1, 3, 7])
@pytest.mark.parametrize("threads", [1, 2])
def test_steps_and_chunks_give_the_bits_of_the_whole(make, dtype, batch, threads, set_threads):
    set_threads(threads)
    model = model_of(make, dtype)
    x = inputs_for(model, batch)
    whole = model(x)
    stream = model.stream(batch)
    for t in range(STEPS):
        np.testing.assert_array_equal(stream(x[:, t]), whole[:, t])
    chunks = model.stream(batch, steps=16)
    at = 0
    for steps in (1, 5, 16, 2, 16):
        np.testing.assert_array_equal(chunks(x[:, at : at + steps]), whole[:, at : at + steps])
        at += steps
    assert at == STEPS
    assert whole.dtype == dtype


@pytest.mark.parametrize("batch", [1, 16])
def test_a_large_layer_gives_the_bits_of_the_whole_whatever_the_threads(batch, set_threads):
    """Large enough for the threads to share the work: pass_threads in runtime/cost.cpp decides."""
    model = model_of(lambda d: [lstm(300, d), GRU(300, dtype=d, **EACH_STEP), Dense(30, dtype=d)], features=60)
    x = inputs_for(model, batch, steps=12)
    set_threads(1)
    whole = model(x)
    for threads in (1, 2, 3):
        set_threads(threads)
        stream = model.stream(batch, steps=5)
        got = [stream(x[:, a:b]) for a, b in [(0, 1), (1, 6), (6, 10), (10, 12)]]
        np.testing.assert_array_equal(np.concatenate(got, axis=1), whole)


def test_every_step_has_an_output_whether_or_not_the_layer_returns_sequences():
    model = Sequential([LSTM(5, input_shape=(None, FEATURES)), Dense(2)])
    x = inputs_for(model, 2, steps=6)
    stream = model.stream(2)
    for t in range(6):
        np.testing.assert_array_equal(stream(x[:, t]), model(x[:, : t + 1]))


def test_inputs_of_any_layout_and_float_type():
    model = model_of(MODELS["lstm, dense"])
    x = inputs_for(model, 3)
    whole, stream = model(x), model.stream(3, steps=8)
    wide = np.zeros((3, 8, 2 * FEATURES), "float64")
    wide[..., ::2] = x[:, :8]
    np.testing.assert_array_equal(stream(wide[..., ::2]), whole[:, :8])
    np.testing.assert_array_equal(stream(np.asfortranarray(x[:, 8:16])), whole[:, 8:16])
    np.testing.assert_array_equal(stream(x[:, 16].tolist()), whole[:, 16])


def test_shapes_of_what_goes_in_come_out():
    model = model_of(MODELS["lstm, dense"])
    one, two = model.stream(), model.stream(2, steps=4)
    x = inputs_for(model, 2)
    assert one(x[0, 0]).shape == (3,)
    assert one(x[:1, 0]).shape == (1, 3)
    assert one(x[:1, :1]).shape == (1, 1, 3)
    assert one.step(x[0, 0]).shape == (3,)
    assert two(x[:, 0]).shape == (2, 3)
    assert two(x[:, :4]).shape == (2, 4, 3)
    assert repr(two) == "<Stream of 2 layers, batch_size=2, steps<=4, features=9>"

    words = model_of(MODELS["embedding, lstm, dense"])
    one, two = words.stream(), words.stream(2, steps=4)
    assert one(4).shape == (11,)
    assert one([4]).shape == (1, 11)
    assert one([[4]]).shape == (1, 1, 11)
    assert two([4, 5]).shape == (2, 11)
    assert two([[4, 5, 6], [1, 2, 3]]).shape == (2, 3, 11)


# --- state ---


@each_model
def test_reset_begins_a_new_sequence(make):
    model = model_of(make)
    x = inputs_for(model, 3)
    stream = model.stream(3, steps=10)
    first = stream(x[:, :10])
    stream(x[:, 10:17])
    stream.reset()
    np.testing.assert_array_equal(stream(x[:, :10]), first)


def through_pickle(state):
    return pickle.loads(pickle.dumps(state))


def through_a_file(state):
    file = io.BytesIO()
    np.savez(file, *state)
    file.seek(0)
    with np.load(file) as arrays:
        return [arrays[name] for name in arrays.files]


@each_model
@pytest.mark.parametrize("saved", [list, through_pickle, through_a_file])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_whole_state_goes_from_stream_to_stream(make, saved, dtype):
    model = model_of(make, dtype)
    x = inputs_for(model, 3)
    whole, stream, other = model(x), model.stream(3, steps=7), model.stream(3, steps=STEPS)
    other(inputs_for(model, 3, seed=1))
    for at in range(0, 21, 7):
        stream(x[:, at : at + 7])
    state = stream.state
    stream(x[:, 21:25])  # what was read is a copy
    other.state = saved(state)
    np.testing.assert_array_equal(other(x[:, 21:]), whole[:, 21:])
    stream.state = state
    for array in state:
        array[...] = np.nan  # what was set was copied
    for at in range(21, 39, 3):
        np.testing.assert_array_equal(stream(x[:, at : at + 3]), whole[:, at : at + 3])


def test_the_state_is_that_of_every_layer_that_remembers():
    model = model_of(MODELS["all that remember"])
    x, stream = inputs_for(model, 3), model.stream(3, steps=STEPS)
    shapes = [(3, 3, 9), (3, 8), (3, 8), (3, 2, 8), (3, 4), (3, 3)]  # before, h, c, before, h, h
    assert [s.shape for s in stream.state] == shapes
    assert not any(s.any() for s in stream.state)
    stream(x)
    np.testing.assert_array_equal(stream.state[0], x[:, -3:])
    np.testing.assert_array_equal(stream.state[-1], model(x)[:, -1])
    assert model_of(MODELS["none that remember"]).stream().state == []


def test_the_state_of_a_stream_is_set_whole_or_not_at_all():
    model = model_of(MODELS["all that remember"])
    x, stream = inputs_for(model, 3), model.stream(3, steps=STEPS)
    stream(x)
    before = stream.state
    zeros = [np.zeros_like(s) for s in before]
    for state, error, text in [
        (zeros[:-1], ValueError, "state: expected 6 arrays, got 5"),
        ([*zeros, zeros[0]], ValueError, "state: expected 6 arrays, got 7"),
        ([*zeros[:-1], np.zeros((3, 4), "float32")], ValueError, r"state\[5\]: expected shape \(3, 3\), got \(3, 4\)"),
        ([*zeros[:-1], np.zeros((3, 3), complex)], TypeError, r"state\[5\]: expected float32, got complex128"),
        ([*zeros[:-1], None], TypeError, r"state\[5\]: expected float32, got object"),
    ]:
        with pytest.raises(error, match=text):
            stream.state = state
        for now, then in zip(stream.state, before, strict=True):
            np.testing.assert_array_equal(now, then)


def test_the_state_of_a_layers_stream_is_set_whole_or_not_at_all():
    layer = LSTM(4)
    x, initial = numbers(2, 5, 3, dtype="float32"), [numbers(2, 4, seed=k) for k in range(2)]
    want = layer(x, initial_state=initial)
    stream = layer.stream(2, 5)
    assert isinstance(stream, RecurrentStream)
    stream.state = initial
    np.testing.assert_array_equal(stream(x)[:, -1], want)
    before = stream.state
    with pytest.raises(ValueError, match=r"state\[1\]: expected shape \(2, 4\), got \(2, 5\)"):
        stream.state = [initial[0], np.zeros((2, 5))]
    with pytest.raises(ValueError, match="state: expected 2 arrays, got 1"):
        stream.state = initial[:1]
    for now, then in zip(stream.state, before, strict=True):
        np.testing.assert_array_equal(now, then)
    stream.reset()
    assert not any(s.any() for s in stream.state)


def test_streams_of_one_model_do_not_know_of_each_other():
    model = model_of(MODELS["gru"])
    x, z = inputs_for(model, 1), inputs_for(model, 1, seed=1)
    one, other = model.stream(), model.stream()
    for t in range(10):
        a, b = one(x[:, t]), other(z[:, t])
        np.testing.assert_array_equal(a, model(x)[:, t])
        np.testing.assert_array_equal(b, model(z)[:, t])


@each_model
def test_later_training_does_not_reach_a_stream(make):
    model = model_of(make)
    x = inputs_for(model, 2)
    before, stream = model(x), model.stream(2)
    for t in range(10):
        np.testing.assert_array_equal(stream(x[:, t]), before[:, t])
    model.compile(lstmcore.optimizers.Adam(learning_rate=0.1), "mse")
    model.train_on_batch(x, np.ones_like(before))
    assert (model(x) != before).any()
    for t in range(10, 20):
        np.testing.assert_array_equal(stream(x[:, t]), before[:, t])
    set_values(model.parameters, 0)
    np.testing.assert_array_equal(stream(x[:, 20]), before[:, 20])


# --- threads ---


class Paused(streaming.Stage):
    """A stage that waits, in the middle of a call, until it is told to go on."""

    def __init__(self):
        super().__init__(3, "float32")
        self.entered, self.go_on = threading.Event(), threading.Event()

    def __call__(self, inputs, out=None):
        self.entered.set()
        assert self.go_on.wait(10)
        return inputs


def while_paused(paused, run, check):
    """Run in another thread; check what happens meanwhile."""
    other = threading.Thread(target=run)
    other.start()
    try:
        assert paused.entered.wait(10)
        check()
    finally:
        paused.go_on.set()
        other.join()


def test_a_stream_is_of_one_thread_at_a_time():
    paused, x = Paused(), np.ones((1, 3), "float32")
    stream = streaming.Stream([paused], 1, 1, 3, lambda name, inputs: inputs)

    def refused():
        for use in (lambda: stream(x), stream.reset, lambda: stream.state, lambda: setattr(stream, "state", [])):
            with pytest.raises(RuntimeError, match=r"^Stream: is in use by another thread; make a stream for each"):
                use()

    while_paused(paused, lambda: stream(x), refused)
    stream.reset()
    np.testing.assert_array_equal(stream(x), x)


def test_a_stream_of_a_layer_is_of_one_thread_at_a_time():
    layer = with_weights(LSTM(4, return_sequences=True), FEATURES)
    paused, x = Paused(), numbers(1, 1, FEATURES, dtype="float32")
    stream, alone = layer.stream(1, 1), layer.stream(1, 1)

    class SlowInputs:
        def __array__(self, dtype=None, copy=None):
            return paused(x)

    def refused():
        ones = [np.ones((1, 4))] * 2
        for use in (lambda: stream(x), stream.reset, lambda: stream.state, lambda: setattr(stream, "state", ones)):
            with pytest.raises(RuntimeError, match="RecurrentStream: is in use by another thread"):
                use()

    while_paused(paused, lambda: stream(SlowInputs()), refused)
    alone(x)
    np.testing.assert_array_equal(stream(x), alone(x))  # those that were refused have left no trace


def test_an_error_leaves_the_stream_free():
    stream = with_weights(LSTM(2), 3).stream(1, 1)
    for _ in range(2):
        with pytest.raises(ValueError, match="inputs: expected shape"):
            stream(np.ones((2, 1, 3), "float32"))
    stream(np.ones((1, 1, 3), "float32"))


class RungError(Exception):
    pass


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers on this system")
@pytest.mark.parametrize("make", [lambda m: m.stream(), lambda m: m.layers[0].stream(1, 1)], ids=["model", "layer"])
def test_a_stream_that_a_signal_interrupts_is_free_again(make):
    def ring(number, frame):
        raise RungError

    model = model_of(lambda d: [GRU(3, dtype=d, **EACH_STEP), Dense(2, dtype=d)])
    stream, x = make(model), np.ones((1, 1, FEATURES), "float32")
    before = signal.signal(signal.SIGALRM, ring)
    rung = 0
    try:
        for k in range(300):
            try:
                signal.setitimer(signal.ITIMER_REAL, 2e-5 + 1e-6 * (k % 97))
                for _ in range(10000):
                    stream(x)
                    stream.state = stream.state
                    stream.reset()
            except RungError:
                rung += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            stream(x)  # RuntimeError if it had remained in use
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert rung > 250


# --- memory ---


@pytest.mark.parametrize(
    ("make", "batch", "steps"),
    [
        (lambda d: [lstm(256, d), Dense(1, dtype=d)], 1, 1),
        (lambda d: [lstm(256, d), lstm(256, d, projection=64), Dense(8, dtype=d)], 1, 1),
        (lambda d: [GRU(256, dtype=d, **EACH_STEP), SimpleRNN(256, dtype=d, **EACH_STEP)], 1, 1),
        (lambda d: [lstm(256, d, layer_norm=True, zoneout=0.1)], 1, 1),
        (lambda d: [Embedding(11, 256, dtype=d), GRU(256, dtype=d, **EACH_STEP)], 1, 1),
        (lambda d: [lstm(256, d), Dense(256, dtype=d)], 8, 1),
        (lambda d: [lstm(256, d), Dense(256, dtype=d)], 8, 4),
    ],
)
def test_no_array_is_allocated_where_the_outputs_have_a_place(make, batch, steps):
    model = model_of(make)
    x = inputs_for(model, batch, steps=200)
    stream = model.stream(batch, steps)
    out = np.empty((batch, steps, model.output_shape[-1]), "float32")
    chunks = [np.ascontiguousarray(x[:, t : t + steps]) for t in range(0, 200, steps)]
    tracemalloc.start()
    try:
        for _ in range(2):  # in the first round Python makes objects that stay
            begin = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            for chunk in chunks:
                stream(chunk, out)
        end, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Views and other small objects come and go; one row of 256 float32 is 1 kB, the outputs of a batch of 8 are 8.
    assert peak - begin < 2000
    assert end - begin < 1000


@each_model
def test_what_a_call_returns_is_the_callers(make):
    model = model_of(make)
    x = inputs_for(model, 2)
    whole, stream, chunks = model(x), model.stream(2), model.stream(2, steps=8)
    kept = [stream(x[:, t]) for t in range(STEPS)]
    np.testing.assert_array_equal(np.stack(kept, axis=1), whole)
    parts = [chunks(x[:, t : t + 8]) for t in range(0, STEPS, 8)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)
    for array in kept + parts:
        assert not np.shares_memory(array, x)
        array.fill(np.nan)
    stream.reset()
    for t in range(3):
        y = stream(x[:, t])
        np.testing.assert_array_equal(y, whole[:, t])
        y.fill(np.nan)  # and writing to them changes nothing


@each_model
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_outputs_go_where_they_are_told_to(make, dtype):
    model = model_of(make, dtype)
    x = inputs_for(model, 2)
    whole, stream, chunks = model(x), model.stream(2), model.stream(2, steps=8)
    got, parts = np.full((2, *whole.shape), np.nan, dtype)
    for t in range(STEPS):
        place = got[:, t]  # not contiguous
        assert stream(x[:, t], out=place) is place
    for t in range(0, STEPS, 8):
        block = np.full((2, 8, whole.shape[2]), np.nan, dtype)
        assert chunks(x[:, t : t + 8], out=block) is block
        parts[:, t : t + 8] = block
    np.testing.assert_array_equal(got, whole)
    np.testing.assert_array_equal(parts, whole)


def test_places_for_outputs_are_checked():
    model = model_of(lambda d: [lstm(9, d), Dense(9, dtype=d)])
    stream, layer = model.stream(2, steps=4), model.layers[0].stream(2, 4)
    x = inputs_for(model, 2, steps=4)
    locked = np.zeros((2, 4, 9), "float32")
    locked.flags.writeable = False
    before = stream.state, layer.state
    for out, error, text in [
        (np.zeros((2, 3, 9), "float32"), ValueError, r"out: expected shape \(.*4.*9\), got \(2, 3, 9\)"),
        (np.zeros((2, 4, 9)), TypeError, "out: expected dtype float32, got float64"),
        ([0.0], TypeError, "out: expected an array to write into, got list"),
        (locked, ValueError, "out: expected a writeable array, got a read-only one"),
        (x, ValueError, "out: overlaps inputs in memory"),
    ]:
        for one in (stream, layer):
            with pytest.raises(error, match=text):
                one(x, out)
    with pytest.raises(ValueError, match=r"out: expected shape \(2, 9\), got \(2, 1, 9\)"):
        stream(x[:, 0], np.zeros((2, 1, 9), "float32"))
    for then, one in zip(before, (stream, layer), strict=True):
        for a, b in zip(then, one.state, strict=True):
            np.testing.assert_array_equal(a, b)


def test_arrays_that_a_stream_has_returned_can_be_reshaped_in_place():
    model = model_of(MODELS["lstm, dense"])
    x = inputs_for(model, 3)
    whole, stream, layer = model(x), model.stream(3, steps=8), model.layers[0].stream(3, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy, that this is deprecated
        for at in range(0, STEPS, 8):
            y, h = stream(x[:, at : at + 8]), layer(x[:, at : at + 8])
            np.testing.assert_array_equal(y, whole[:, at : at + 8])
            y.shape, h.shape = (y.size,), (1, h.size)
    np.testing.assert_array_equal(layer.state[0], stream.state[0])


# --- bad input ---


def test_wrong_chunks_are_named():
    model = model_of(MODELS["lstm, dense"])
    stream, x = model.stream(2, steps=4), inputs_for(model, 2)
    wrong = [x[:1, 0], x[:, 0, :5], x[:, :5], x[:, :0], x[:1, :3], x[0, 0], x[None], 1.0]
    for chunk in wrong:
        with pytest.raises(ValueError, match=r"inputs: expected a step \(2, 9\) or a chunk \(2, 1 to 4, 9\), got \("):
            stream(chunk)
    # A refused chunk leaves no trace.
    np.testing.assert_array_equal(stream(x[:, :4]), model(x)[:, :4])
    words = model_of(MODELS["embedding, lstm, dense"]).stream()
    for bad in (11, -1):
        with pytest.raises(ValueError, match="inputs: expected integers from 0 to 10"):
            words(bad)


@pytest.mark.parametrize(
    ("layer", "error", "text"),
    [
        (lambda: Bidirectional(LSTM(2, **EACH_STEP), name="both"), ValueError, "both: .* cannot be streamed"),
        (lambda: GRU(2, go_backwards=True, name="back"), ValueError, "back: go_backwards: needs the whole sequence"),
        (lambda: Masking(), NotImplementedError, "a Masking cannot be run piece by piece"),
        (lambda: RNN(GRUCell(2), go_backwards=True, name="back"), ValueError, "back: go_backwards: needs the whole"),
    ],
)
def test_layers_that_need_the_whole_sequence_say_so(layer, error, text):
    model = Sequential([Input(shape=(None, 3)), layer()])
    with pytest.raises(error, match=text):
        model.stream()


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"batch_size": 0}, ValueError, "batch_size: expected a positive integer, got 0"),
        ({"steps": -1}, ValueError, "steps: expected a positive integer, got -1"),
        ({"steps": 1.5}, TypeError, "steps: expected a positive integer, got 1.5"),
    ],
)
def test_wrong_sizes_are_named(options, error, text):
    with pytest.raises(error, match=text):
        model_of(MODELS["gru"]).stream(**options)
    packed = pack_gru([np.zeros((3, 6)), np.zeros((2, 6))])
    with pytest.raises(error, match=text):
        RecurrentStream(packed, **{"batch_size": 1, "steps": 1} | options)


def test_sizes_beyond_all_memory_are_named():
    for make in (MODELS["gru"], MODELS["dense alone"]):
        for sizes in ({"steps": 10**30}, {"batch_size": 2**31}, {"batch_size": 2**16, "steps": 2**16}):
            with pytest.raises(ValueError, match=r"steps: expected (fewer|a positive integer below) .*, got"):
                model_of(make).stream(**sizes)


def test_a_model_without_weights_cannot_be_streamed():
    with pytest.raises(ValueError, match="has no weights yet"):
        Sequential([LSTM(2)]).stream()


def weights_of_one():
    return [np.zeros((1, 4)), np.zeros((1, 4))]


def test_streams_refuse_what_would_go_wrong_in_silence():
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal((40, 160)), rng.standard_normal((40, 160))]
    stream = streaming.RecurrentStream(functional.pack_lstm(weights), 1, 1)
    stream(stream(np.ones((1, 1, 40))))  # what it has returned is an array like any other
    with pytest.raises(ValueError, match="zoneout: the weights were packed without it"):
        streaming.RecurrentStream(functional.pack_lstm(weights), 1, 1, functional.Zoneout(0.5, 0.5))
    for weights in (None, [1.0], "lstm"):
        with pytest.raises(TypeError, match="weights: expected packed weights, got "):
            streaming.RecurrentStream(weights, 1, 1)
    with pytest.raises(ValueError, match=r"steps: expected a positive integer below 2\*\*63, got 1000000"):
        streaming.RecurrentStream(functional.pack_lstm(weights_of_one()), 1, 10**30)
    model = Sequential([Embedding(10, 4, mask_zero=True, input_shape=(None,)), LSTM(4)])
    with pytest.raises(ValueError, match="mask_zero: a stream has no padding"):
        model.stream()


# --- RNN ---

CELLS = {
    "lstm": lambda: LSTMCell(6),
    "gru reset before": lambda: GRUCell(6, reset_after=False),
    "stack": lambda: [LSTMCell(6), GRUCell(5), LSTMCell(4, activation="gelu")],
    "the user's": lambda: Elman(6),
    "stack with the user's": lambda: [GRUCell(6), Elman(5)],
}


@pytest.mark.parametrize("make", CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("batch", [1, 3])
def test_cells_in_pieces_are_the_whole(make, batch):
    model = Sequential([Input(shape=(None, FEATURES)), RNN(make(), return_sequences=True), Dense(2)])
    x = inputs_for(model, batch)
    whole = model(x)
    stream = model.stream(batch, steps=7)
    pieces = [stream(x[:, :7]).copy()]
    for t in range(7, 20):
        pieces.append(stream(x[:, t]).copy()[:, None])
    pieces.append(stream(x[:, 20:25]).copy())
    # A product of one row may add up in another order than one of many: 6e-8 over some tens of terms.
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole[:, :25], rtol=1e-5, atol=1e-6)
    layer, dense = model.layers
    one, other = layer.stream(batch, 20), layer.stream(batch, 20)
    one(x[:, :20])
    kept = one.state
    one(x[:, :3])  # what was read stays as it was
    other.state = kept
    np.testing.assert_allclose(dense(other(x[:, 20:25])), whole[:, 20:25], rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="state: expected"):
        other.state = kept[:-1]
    with pytest.raises(ValueError, match=r"state\[0\]: expected shape"):
        other.state = [kept[0][:, :-1], *kept[1:]]
    stream.reset()
    np.testing.assert_allclose(stream(x[:, 0]), whole[:, 0], rtol=1e-5, atol=1e-6)


def test_chunks_that_do_not_fit_are_told_the_shape_that_was_given():
    words = Sequential([Embedding(10, 3, input_shape=(None,)), LSTM(2)])
    numbers_ = Sequential([LSTM(2, input_shape=(None, 3))])
    for model, inputs, message in (
        (
            words,
            np.ones((1, 3), int),
            "a step (1,) or a chunk (1, 1 to 1), got (1, 3); stream(steps=3) has room",
        ),
        (words, np.ones(2, int), "expected a step (1,) or a chunk (1, 1 to 1), got (2,)"),
        (words, np.ones((1, 1, 2), int), "expected a step (1,) or a chunk (1, 1 to 1), got (1, 1, 2)"),
        (numbers_, np.ones((1, 5, 3)), "a chunk (1, 1 to 1, 3), got (1, 5, 3); stream(steps=5) has room"),
        (numbers_, np.ones((1, 2)), "expected a step (1, 3) or a chunk (1, 1 to 1, 3), got (1, 2)"),
    ):
        with pytest.raises(ValueError) as caught:
            model.stream()(inputs)
        assert str(caught.value).endswith(message)
    for wrong in (None, 1.0):
        with pytest.raises(TypeError, match=r"^state: expected a list of arrays, got"):
            numbers_.stream().state = wrong
