"""Ctrl-C at any moment: KeyboardInterrupt or nothing comes of it, and what was under way is whole and usable."""

import os
import signal
import tempfile
from pathlib import Path

import numpy as np

from lstmcore import Sequential, models
from lstmcore.layers import LSTM, Dense


def pressed(after, body):
    """Call ``body``, with Ctrl-C after so many seconds if it takes as long."""
    handler = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, after)
            body()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGALRM, handler)


def make():
    model = Sequential([LSTM(8, input_shape=(5, 2), return_sequences=True), LSTM(4), Dense(1)])
    model.compile("adam", "mse")
    return model


def training(rng):
    """The model is as after some whole step: another one that is trained as far has the same bits."""
    x, y = rng.standard_normal((24, 5, 2)).astype("float32"), rng.standard_normal((24, 1)).astype("float32")
    model = make()
    twin = Sequential.from_config(model.get_config())
    twin.set_weights(model.get_weights())
    twin.compile("adam", "mse")
    options = {"batch_size": 4, "shuffle": False, "verbose": 0, "epochs": 40}
    pressed(float(rng.uniform(1e-4, 2e-2)), lambda: model.fit(x, y, **options))
    steps = int(model.optimizer.iterations)
    for k in range(steps):
        part = slice(4 * (k % 6), 4 * (k % 6) + 4)
        twin.train_on_batch(x[part], y[part])
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    model.fit(x, y, epochs=1, verbose=0)


def streaming(rng):
    """A stream is free again, and after a reset gives what it gave."""
    model = Sequential([LSTM(4, return_sequences=True, input_shape=(None, 2)), Dense(1)])
    stream, x = model.stream(), rng.standard_normal((1, 2)).astype("float32")
    want = stream(x)
    for _ in range(20):
        pressed(float(rng.uniform(1e-5, 1e-3)), lambda: [stream(x) for _ in range(1000)])
        stream.reset()
        np.testing.assert_array_equal(stream(x), want)


def predicting(rng):
    model, x = make(), rng.standard_normal((64, 5, 2)).astype("float32")
    want = model.predict(x, verbose=0)
    pressed(float(rng.uniform(1e-5, 5e-3)), lambda: [model.predict(x, batch_size=8, verbose=0) for _ in range(50)])
    np.testing.assert_array_equal(model.predict(x, verbose=0), want)


def building(rng):
    """A model whose first use was interrupted is built by the second."""
    x = rng.standard_normal((3, 5, 2)).astype("float32")
    model = Sequential([LSTM(8, return_sequences=True), LSTM(4), Dense(1)])
    pressed(float(rng.uniform(1e-5, 2e-3)), lambda: model.predict(x, verbose=0))
    model.predict(x, verbose=0)
    assert [w.shape for w in model.get_weights()] == [w.shape for w in make().get_weights()]


def saving(rng):
    """The file is the old one or the new one, and nothing lies beside it that stays."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "m.safetensors")
        model = make()
        old, new = model.get_weights(), [w + 1 for w in model.get_weights()]
        model.save(path)
        model.set_weights(new)
        pressed(float(rng.uniform(1e-5, 3e-3)), lambda: model.save(path))
        got = models.load_model(path).get_weights()
        assert any(all(np.array_equal(a, b) for a, b in zip(got, want, strict=True)) for want in (old, new))
        model.save(path)
        assert len(list(Path(folder).iterdir())) <= 2


CASES = (training, streaming, predicting, building, saving)


def case(rng):
    CASES[rng.integers(len(CASES))](rng)
