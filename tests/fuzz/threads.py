"""One object and several threads: every thread gets the right numbers or an error that says why not."""

import sys
import threading

import numpy as np

from lstmcore import Sequential
from lstmcore.layers import GRU, LSTM, SLSTM, Bidirectional, Dense, MinGRU

SWITCH = 1e-6  # seconds between changes of the thread that runs Python: as often as can be


def at_once(*tasks):
    """Run functions side by side, all begun at the same moment; return what each returned, or its exception."""
    results = [None] * len(tasks)
    gate = threading.Barrier(len(tasks))

    def run(k, task):
        gate.wait()
        try:
            results[k] = task()
        except Exception as error:
            results[k] = error

    threads = [threading.Thread(target=run, args=item) for item in enumerate(tasks)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive(), "a thread hangs"
    finally:
        sys.setswitchinterval(before)
    return results


def make(rng, shape=None):
    kind = rng.integers(5)
    options = {} if shape is None else {"input_shape": shape}
    simple = [LSTM(5, **options), GRU(6, **options), SLSTM(6, 3, **options), MinGRU(5, **options)]
    first = [*simple, Bidirectional(LSTM(3), **options)][kind]
    return Sequential([first, Dense(2)])


def first_use(rng):
    """The first use of a model, which makes its weights, from several threads."""
    model, x = make(rng), rng.standard_normal((3, 4, 2)).astype("float32")
    results = at_once(*[lambda: model.predict(x, verbose=0)] * 3, lambda: model(x))
    for result in results:
        assert isinstance(result, np.ndarray), repr(result)
        np.testing.assert_array_equal(result, results[0])
    np.testing.assert_array_equal(model(x), results[0])


def two_fits(rng):
    """Two fits at once: one trains, the other is refused; or one comes after the other."""
    model, x = make(rng, (4, 2)), rng.standard_normal((8, 4, 2)).astype("float32")
    model.compile("sgd", "mse")
    y = np.ones((8, 2), "float32")
    results = at_once(*[lambda: model.fit(x, y, epochs=2, verbose=0)] * 3)
    refused = [r for r in results if isinstance(r, Exception)]
    assert len(refused) < 3, results
    assert all(isinstance(r, RuntimeError) for r in refused), results
    model.fit(x, y, verbose=0)  # nothing is left "in training"


def one_stream(rng):
    """A stream that several threads use: each call gets its numbers or RuntimeError; afterwards it is free."""
    model = Sequential([LSTM(4, return_sequences=True, input_shape=(None, 2)), Dense(2)])
    stream, x = model.stream(), rng.standard_normal((1, 2)).astype("float32")
    results = at_once(*[lambda: [stream(x) for _ in range(20)]] * 3)
    assert all(isinstance(r, (list, RuntimeError)) for r in results), results
    stream.reset()
    np.testing.assert_array_equal(stream(x), model(x[:, None])[:, 0])


def new_weights(rng):
    """Weights set while another thread predicts: afterwards all results are those of the new ones."""
    model, x = make(rng, (4, 2)), rng.standard_normal((3, 4, 2)).astype("float32")
    weights = [w + 1 for w in model.get_weights()]
    results = at_once(lambda: [model(x) for _ in range(10)], lambda: model.set_weights(weights))
    for result in results:
        assert not isinstance(result, Exception), repr(result)
    twin = Sequential.from_config(model.get_config())
    twin.set_weights(weights)
    np.testing.assert_array_equal(model(x), twin(x))


KINDS = (first_use, two_fits, one_stream, new_weights)


def case(rng):
    KINDS[rng.integers(len(KINDS))](rng)
