"""Arrays that change between calls, or during one: results are those of quiet arrays, or an error; never a crash."""

import contextlib
import sys
import threading

import numpy as np
from problems import assert_same_bits

from lstmcore import Sequential, _core, decoders, functional, layers

from .calls import problem_of
from .doors import error_of
from .masks import recurrent

SWITCH = 1e-6  # seconds between changes of the thread that runs Python: as often as can be


def spoil(rng, array):
    """Do to an array what NumPy's users do."""
    kind = rng.integers(6)
    if array.flags.writeable:
        array[...] = [np.nan, 7, 0][rng.integers(3)] if array.dtype.kind == "f" else rng.integers(0, 2)
        if kind == 0 and array.dtype.kind == "f":
            array *= 2
    if kind == 1 and array.flags.c_contiguous:
        array.shape = (array.size,)
    elif kind in (2, 3) and array.flags.owndata:
        with contextlib.suppress(ValueError):  # of an array that others look at
            array.resize((3 * array.size + 1000) * (kind - 2), refcheck=False)
    elif kind == 4 and array.flags.c_contiguous:
        array.shape = array.shape[::-1]
    elif kind == 5:
        array.dtype = np.dtype("u1") if array.flags.c_contiguous and array.ndim else array.dtype


def between(rng):
    """Whatever becomes of arrays after a call of a layer, and before the way back, the gradients are the same."""
    batch, steps = int(rng.integers(1, 4)), int(rng.integers(1, 6))
    x = rng.standard_normal((batch, steps, 3))
    others = {}
    kind = rng.integers(5)
    if kind == 0:
        layer = layers.Bidirectional(recurrent(rng, return_sequences=True))
    elif kind == 1:
        layer = layers.Conv1D(int(rng.integers(1, 4)), 2, padding="causal", activation="gelu", dtype="float64")
    elif kind == 2:
        chosen = [layers.Dense(3, "tanh", dtype="float64"), layers.BatchNormalization(dtype="float64")]
        chosen += [layers.LayerNormalization(dtype="float64"), layers.Softmax(dtype="float64")]
        chosen += [layers.GlobalMaxPooling1D(dtype="float64"), layers.Flatten(dtype="float64")]
        chosen += [layers.PReLU(dtype="float64"), layers.MaxPooling1D(1, dtype="float64")]
        layer = chosen[rng.integers(len(chosen))]
    elif kind == 3:
        layer = Sequential([recurrent(rng, return_sequences=True), layers.Dense(2, dtype="float64")])
    else:
        layer = layers.LSTM(3, return_sequences=True, dtype="float64")
        others = {"initial_state": [rng.standard_normal((batch, 3)) for _ in range(2)]}
    if kind != 1 and kind != 2:
        others["mask"] = rng.random((batch, steps)) < 0.7
    layer(x)
    before, results = layer.get_weights(), []
    for spoilt in (False, True):
        layer.set_weights(before)
        for variable in layer.variables:
            variable.gradient.fill(0)
        own = {name: [a.copy() for a in v] if isinstance(v, list) else v.copy() for name, v in others.items()}
        inputs = x.copy()
        y = layer(inputs, training=True, **own)
        d, copy = np.cos(np.arange(y.size).reshape(y.shape)), y.copy()
        if spoilt:
            for array in (inputs, y, *own.get("initial_state", ()), *([own["mask"]] if "mask" in own else ())):
                spoil(rng, array)
        d_x = layer.backward(d)
        results.append([copy, d_x.copy(), *(v.gradient.copy() for v in layer.variables)])
        spoil(rng, d)  # of which d_x may be a view
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def reshaped(rng):
    """Of functions on arrays, which refer to their inputs: the shape of these and of outputs is the caller's."""
    problem, _ = problem_of(rng)
    y, state, cache = problem.forward(functional, training=True)
    want = problem.gradients(*problem.backward(functional, cache))
    y, state, cache = problem.forward(functional, training=True)
    states = [state] if isinstance(state, np.ndarray) else list(state)
    masks = [m for m in (problem.mask, problem.lengths, problem.dropout_mask) if isinstance(m, np.ndarray)]
    for array in [problem.x, y, *states, *masks, *(problem.state or ())]:
        with contextlib.suppress(AttributeError):  # of one that is not contiguous
            array.shape = (array.size,)
    got = problem.gradients(*problem.backward(functional, cache))
    assert_same_bits(got, want)


def of_streams(rng):
    """What a stream returned, took and was given as `out` is the caller's own, to change between steps."""
    first = layers.Conv1D(2, 2, padding="causal", input_shape=(None, 3))
    model = Sequential([first, layers.LSTM(3, return_sequences=True), layers.Dense(2)])
    x = rng.standard_normal((2, 8, 3)).astype("f4")
    stream, want = model.stream(2, 2), model(x)
    for at in range(0, 8, 2):
        piece = x[:, at : at + 2].copy()
        out = np.empty((2, 2, 2), "f4") if rng.random() < 0.5 else None
        got = stream(piece, out)
        assert out is None or got is out
        np.testing.assert_array_equal(got, want[:, at : at + 2])
        state = stream.state
        spoil(rng, got)
        spoil(rng, piece)
        for array in state:
            spoil(rng, array)


def meanwhile(rng):
    """Another thread writes anything into the arrays of a call: it gets through or is refused; the next is right."""
    labels = rng.integers(1, 5, (4, 6)).astype([np.int32, np.int64][rng.integers(2)])
    lengths, times = np.full(4, 6), np.full(4, 20)
    scores = rng.standard_normal((4, 20, 5)).astype("f4")
    x, mask = rng.standard_normal((4, 20, 3)).astype("f4"), rng.random((4, 20)) < 0.7
    weights = [np.ones((3, 12), "f4"), np.ones((3, 12), "f4")]
    marks, table = rng.integers(0, 5, (4, 20)), rng.standard_normal((5, 5)).astype("f4")
    rows = rng.integers(0, 7, 50)
    embedding = layers.Embedding(7, 3)
    embedding(rows[:, None])

    def through_rows():
        table = np.zeros((7, 3), "f4")
        _core.add_rows(table, rows, np.ones((50, 3), "f4"))
        return table

    calls = [
        (lambda: functional.ctc_loss(scores, labels, times, lengths), (labels, lengths, times)),
        (lambda: functional.ctc_loss_and_gradient(scores, labels, times, lengths)[1], (labels, lengths, times)),
        (lambda: functional.crf_loss(scores, marks, table, lengths=times), (marks, times, table)),
        (lambda: functional.crf_decode(scores, table, lengths=times)[0], (times, table)),
        (lambda: functional.lstm(x, weights, mask=mask)[0], (mask, x)),
        (lambda: functional.lstm(x, weights, lengths=times)[0], (times,)),
        (lambda: embedding(rows), (rows,)),
        (lambda: decoders.greedy(scores, times), (times,)),
        (through_rows, (rows,)),
    ]
    call, arrays = calls[rng.integers(len(calls))]
    kept, want, stop = [a.copy() for a in arrays], call(), threading.Event()
    seed = int(rng.integers(2**31))

    def disturb():
        own = np.random.default_rng(seed)
        while not stop.is_set():
            array = arrays[own.integers(len(arrays))]
            values = [0, 1, -1, 2**31 - 1, 7] if array.dtype.kind == "i" else [0, 1, np.nan]
            (array.view("u1") if array.dtype == bool else array)[...] = (
                255 if array.dtype == bool else own.choice(values)
            )

    thread, before = threading.Thread(target=disturb), sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    try:
        thread.start()
        for _ in range(30):
            error_of(call)
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(before)
    for array, value in zip(arrays, kept, strict=True):
        array[...] = value
    got = call()
    if isinstance(want, np.ndarray):
        np.testing.assert_array_equal(got, want)


CASES = (between, between, reshaped, of_streams, meanwhile)


def case(rng):
    with np.errstate(all="ignore"):
        CASES[rng.integers(len(CASES))](rng)
