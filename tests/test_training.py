"""The training path: the steps are those of the equations, the loop those of Keras."""

import os
import pty
import signal
import subprocess
import sys

import numpy as np
import pytest

import lstmcore
from lstmcore import Sequential, reference
from lstmcore.callbacks import Callback
from lstmcore.layers import LSTM, Dense
from lstmcore.optimizers import Adam


def data(rows=37, steps=6, dtype="float32"):
    rng = np.random.default_rng(rows)
    x = rng.standard_normal((rows, steps, 2)).astype(dtype)
    return x, x.sum((1, 2), dtype=dtype)[:, None] / 10


def make(dtype="float32", seed=1, **compile_options):
    lstmcore.utils.set_random_seed(seed)
    model = Sequential([LSTM(5, return_sequences=True, input_shape=(None, 2), dtype=dtype)])
    model.add(LSTM(4, dtype=dtype))
    model.add(Dense(1, dtype=dtype))
    model.compile(**{"optimizer": "adam", "loss": "mse", **compile_options})
    return model


# --- the equations ---


def keras_adam(w, g, m, v, t, rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    """Keras's update, from its formula."""
    m[...] = beta_1 * m + (1 - beta_1) * g
    v[...] = beta_2 * v + (1 - beta_2) * g * g
    w -= rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (np.sqrt(v) + epsilon)


def reference_step(weights, x, y):
    """Loss and gradients of the model of `make`, with the NumPy reference only."""
    k1, r1, b1, k2, r2, b2, kd, bd = weights
    h1, _, cache1 = reference.lstm(x, [k1, r1, b1], training=True)
    h2, _, cache2 = reference.lstm(h1, [k2, r2, b2], return_sequences=False, training=True)
    error = h2 @ kd + bd - y
    d = 2 * error / error.size
    dh1, g2, _ = reference.lstm_backward(cache2, d @ kd.T)
    _, g1, _ = reference.lstm_backward(cache1, dh1)
    return np.mean(error**2), [*g1, *g2, h2.T @ d, d.sum(0)]


def test_training_steps_are_those_of_the_reference():
    model = make("float64")
    x, y = data(8, dtype="float64")
    weights = model.get_weights()
    moments = [(np.zeros_like(w), np.zeros_like(w)) for w in weights]
    for t in range(1, 6):
        want, gradients = reference_step(weights, x, y)
        for w, g, (m, v) in zip(weights, gradients, moments, strict=True):
            keras_adam(w, g, m, v, t)
        assert model.train_on_batch(x, y) == pytest.approx(want, rel=1e-10)
    for got, want in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_gradient_of_the_whole_model_by_finite_differences(loss):
    model = make("float64", loss=loss)
    x, y = data(5, dtype="float64")
    model.parameters.gradients.fill(0)
    model.backward(model.loss.value_and_gradient(y, model.forward(x, training=True))[1])
    flat, gradient, step = model.parameters.values, model.parameters.gradients, 1e-6
    for k in range(0, flat.size, 7):
        values = []
        for sign in (1, -2):
            flat[k] += sign * step
            model.parameters.version += 1
            values.append(model.loss(y, model.forward(x)))
        flat[k] += step
        # Central differences leave an error of about step^2, and rounding about 1e-16 / step.
        assert gradient[k] == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-6, abs=1e-9)


@pytest.mark.peer
def test_training_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    model = make("float64")
    x, y = data(8, dtype="float64")
    k1, r1, b1, k2, r2, b2, kd, bd = model.get_weights()
    tensors = [torch.tensor(a, requires_grad=True) for a in (k1.T, r1.T, b1, k2.T, r2.T, b2, kd, bd)]
    moments = [(np.zeros(t.shape), np.zeros(t.shape)) for t in tensors]
    for step in range(1, 4):
        h = torch.tensor(x)
        for k, units in ((0, 5), (3, 4)):
            zero = torch.zeros(8, units, dtype=torch.float64)
            bias = torch.zeros(4 * units, dtype=torch.float64)
            h = torch._VF.lstm(
                h,
                (zero[None], zero[None]),
                (*tensors[k : k + 2], tensors[k + 2], bias),
                True,
                1,
                0.0,
                True,
                False,
                True,
            )[0]
        loss = ((h[:, -1] @ tensors[6] + tensors[7] - torch.tensor(y)) ** 2).mean()
        gradients = torch.autograd.grad(loss, tensors)
        for t, g, (m, v) in zip(tensors, gradients, moments, strict=True):
            keras_adam(t.detach().numpy(), g.numpy(), m, v, step)
        assert model.train_on_batch(x, y) == pytest.approx(loss.item(), rel=1e-10)
    for got, want in zip(model.get_weights(), tensors, strict=True):
        want = want.detach().numpy()
        np.testing.assert_allclose(got, want if got.shape == want.shape else want.T, rtol=1e-9, atol=1e-12)


# --- the loop ---


def test_history_averages_rows_and_validates_on_the_last():
    x, y = data(37)
    model = make(metrics=["mae"], optimizer=Adam(learning_rate=0.0))
    history = model.fit(x, y, epochs=2, batch_size=8, validation_split=0.2, verbose=0)
    # With a learning rate of zero every epoch sees the same model: the averages are over exactly these rows.
    rows = int(37 * 0.8)
    predicted = model.predict(x)
    for prefix, part in (("", slice(None, rows)), ("val_", slice(rows, None))):
        error = predicted[part] - y[part]
        np.testing.assert_allclose(history.history[prefix + "loss"], 2 * [np.mean(error**2)], rtol=1e-5)
        np.testing.assert_allclose(history.history[prefix + "mae"], 2 * [np.mean(np.abs(error))], rtol=1e-5)
    assert history.epoch == [0, 1]
    assert history is model.history


def test_evaluate_and_predict_do_not_depend_on_the_batch_size():
    x, y = data(37)
    model = make(metrics=["mae"])
    whole = model.predict(x, batch_size=64)
    np.testing.assert_array_equal(model.predict(x, batch_size=5), whole)
    assert whole.shape == (37, 1)
    loss, mae = model.evaluate(x, y, batch_size=5, verbose=0)
    assert loss == pytest.approx(np.mean((whole - y) ** 2), rel=1e-5)
    assert model.evaluate(x, y, return_dict=True, verbose=0) == pytest.approx({"loss": loss, "mae": mae})
    assert model.predict(x[:0]).shape == (0, 1)


def test_the_same_seed_gives_the_same_bits_whatever_the_threads():
    x, y = data(100, steps=20)
    results = []
    for threads in (1, 2, 2):
        with lstmcore.threads(threads):
            model = make(seed=5)
            history = model.fit(x, y, epochs=3, verbose=0)
            results.append((history.history["loss"], model.parameters.values.copy()))
    for losses, values in results[1:]:
        assert losses == results[0][0]
        np.testing.assert_array_equal(values, results[0][1])
    other = make(seed=6)
    other.fit(x, y, epochs=3, verbose=0)
    assert (other.parameters.values != results[0][1]).any()


def test_shuffle_takes_every_row_once():
    x, y = data(10)
    seen = []
    model = make()
    step = model._train_step
    model._train_step = lambda x, y, weight: seen.append(y[:, 0]) or step(x, y, weight)
    model.fit(x, y, epochs=2, batch_size=4, verbose=0)
    first, second = np.concatenate(seen[:3]), np.concatenate(seen[3:])
    assert (first != second).any()
    for rows in (first, second):
        np.testing.assert_array_equal(np.sort(rows), np.sort(y[:, 0]))
    seen.clear()
    model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    np.testing.assert_array_equal(np.concatenate(seen), y[:, 0])


def test_callbacks_are_called_and_can_stop():
    class Record(Callback):
        def __init__(self):
            super().__init__()
            self.calls = []

        def on_train_begin(self, logs=None):
            self.calls.append("begin")

        def on_train_batch_end(self, batch, logs=None):
            self.calls.append(batch)

        def on_epoch_end(self, epoch, logs=None):
            assert set(logs) == {"loss", "val_loss"}
            self.model.stop_training = epoch == 1

        def on_train_end(self, logs=None):
            self.calls.append("end")

    record = Record()
    x, y = data(10)
    history = make().fit(x, y, epochs=9, batch_size=5, validation_data=(x, y), callbacks=[record], verbose=0)
    assert record.calls == ["begin", 0, 1, 0, 1, "end"]
    assert record.params["epochs"] == 9
    assert len(history.history["loss"]) == 2


def test_a_loss_that_is_not_finite_warns_once():
    x, y = data(64)
    x[3] = np.nan
    with pytest.warns(RuntimeWarning, match="the loss is nan") as record:
        make().fit(x, y, epochs=3, batch_size=8, verbose=0)
    assert len(record) == 1


def test_interrupt_leaves_the_model_after_a_whole_step():
    x, y = data(64)

    class Press(Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 2:
                signal.raise_signal(signal.SIGINT)

    model = make()
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=8, shuffle=False, callbacks=[Press()], verbose=0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    expected = make()
    for k in range(3):
        expected.train_on_batch(x[8 * k : 8 * k + 8], y[8 * k : 8 * k + 8])
    np.testing.assert_array_equal(model.parameters.values, expected.parameters.values)


def test_training_lowers_the_error_of_the_forecast():
    _, passengers = lstmcore.datasets.air_passengers.load_data()
    assert passengers.sum() == 40363  # the published series
    scaled = ((passengers - passengers.min()) / np.ptp(passengers))[:, None]
    x, y = np.stack([scaled[k : k + 12] for k in range(132)]), scaled[12:]
    lstmcore.utils.set_random_seed(0)
    model = Sequential([LSTM(50, input_shape=(12, 1), return_sequences=True), LSTM(50), Dense(1)])
    model.compile(optimizer=Adam(learning_rate=0.001), loss="mse")
    model.fit(x[:105], y[:105], epochs=100, validation_split=0.2, verbose=0)
    rmse = np.sqrt(np.mean((model.predict(x[105:]) - y[105:]) ** 2)) * np.ptp(passengers)
    # Keras and PyTorch reach 40 to 80 depending on the seed; a constant forecast (the training mean) 211.
    assert rmse < 100


# --- what fit shows ---


def test_lines_where_there_is_no_terminal(capsys):
    x, y = data(10)
    make().fit(x, y, epochs=2, validation_split=0.2, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Epoch 1/2"
    assert lines[1].startswith("1/1 - 0s - ")
    assert "ms/step - loss: 0." in lines[1]
    assert " - val_loss: 0." in lines[1]
    assert len(lines) == 4


def test_silence(capsys):
    x, y = data(10)
    model = make()
    model.fit(x, y, verbose=0)
    model.evaluate(x, y, verbose=0)
    model.predict(x)
    assert capsys.readouterr() == ("", "")


def test_a_bar_on_a_terminal():
    program = (
        "import numpy as np; from lstmcore import Sequential; from lstmcore.layers import LSTM;"
        "m = Sequential([LSTM(1)]); m.compile('adam', 'mse');"
        "m.fit(np.zeros((9, 2, 1), 'f'), np.zeros((9, 1), 'f'), batch_size=2, epochs=1)"
    )
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", program], stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 4096):
                shown += part
        except OSError:  # how Linux says that the other end has closed
            pass
    assert process.returncode == 0
    text = shown.decode()
    assert "Epoch 1/1" in text
    assert "5/5 ━━━" in text
    assert "loss: 0.0000e+00" in text


# --- bad input ---


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"batch_size": 0}, ValueError, "batch_size: expected a positive integer, got 0"),
        ({"batch_size": 2.0}, TypeError, "batch_size: expected a positive integer, got 2.0"),
        ({"epochs": -1}, ValueError, "epochs: expected a positive integer, got -1"),
        ({"verbose": 3}, ValueError, "verbose: .* got 3"),
        ({"validation_split": 1.5}, ValueError, r"validation_split: expected a number in \[0, 1\), got 1.5"),
        ({"validation_split": 0.99999}, ValueError, "at least one row to train on"),
        ({"validation_data": (1, 2, 3, 4)}, ValueError, "validation_data: expected a pair"),
        ({"validation_data": (np.zeros((3, 6, 2)), np.zeros(4))}, ValueError, "validation_data: y: expected 3 rows"),
        ({"no_such_thing": 1}, TypeError, "no_such_thing"),
        ({"callbacks": [print]}, TypeError, "callbacks: expected Callback objects"),
        ({"y": np.zeros(9)}, ValueError, r"y: expected 10 rows as in x, got shape \(9,\)"),
        ({"y": np.zeros((10, 2))}, ValueError, r"y: expected shape \(10, 1\).*got \(10, 2\)"),
        ({"y": np.array(["a"] * 10)}, TypeError, "y: expected numbers, got <U1"),
        ({"y": np.zeros(10, complex)}, TypeError, "y: expected numbers, got complex128"),
        ({"x": np.zeros((10, 6))}, ValueError, r"expected shape \(batch, steps, .*\), got \(10, 6\)"),
        ({"x": np.zeros((10, 0, 2))}, ValueError, r"steps > 0"),
        ({"x": np.zeros((10, 6, 3))}, ValueError, r"inputs=2\), got \(10, 6, 3\)"),
        ({"x": np.zeros((10, 6, 2), complex)}, TypeError, "x: expected numbers, got complex128"),
        ({"x": np.zeros((0, 6, 2)), "y": np.zeros((0, 1))}, ValueError, "at least one row"),
    ],
)
def test_wrong_arguments_of_fit_are_named(options, error, text):
    x, y = data(10)
    with pytest.raises(error, match=text):
        make().fit(**{"x": x, "y": y, "verbose": 0, **options})


def test_what_is_not_offered_says_so():
    model = make()
    with pytest.raises(ValueError, match="optimizer: expected one of sgd, rmsprop, adam"):
        model.compile("no_such_optimizer", loss="mse")
    with pytest.raises(ValueError, match="loss: expected one of .*, mse, .* got 'no_such_loss'"):
        model.compile("adam", "no_such_loss")
    with pytest.raises(NotImplementedError, match="loss_scale_factor="):
        Adam(loss_scale_factor=2.0)
    with pytest.raises(ValueError, match=r"beta_1: expected a number in \[0, 1\), got 1"):
        Adam(beta_1=1)
    with pytest.raises(ValueError, match="learning_rate"):
        Adam(learning_rate=float("nan"))
    lstmcore.utils.set_random_seed(0)
    model = Sequential([LSTM(2)])
    with pytest.raises(RuntimeError, match="call compile"):
        model.fit(*data(4), verbose=0)
    with pytest.raises(ValueError, match="has no layers"):
        Sequential()(np.zeros((1, 2, 3), "float32"))
