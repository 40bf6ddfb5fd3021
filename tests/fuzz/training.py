"""Data in any form, and callbacks: training and predicting give what plain arrays and plain loops over batches do."""

import os
import tempfile
import warnings
from fractions import Fraction

import numpy as np

from lstmcore import Sequential, callbacks, layers, optimizers
from lstmcore.utils import PyDataset

from .doors import error_of, is_ours, value_of

ROWS = 11


def model_of(rng):
    kinds = [layers.LSTM(3), layers.Bidirectional(layers.GRU(2)), layers.RNN(layers.SimpleRNNCell(3))]
    kinds += [layers.SLSTM(4, 2), layers.Bidirectional(layers.MinLSTM(3))]
    model = Sequential([layers.Input((4, 2)), kinds[rng.integers(len(kinds))], layers.Dense(1)])
    model.set_weights([0.5 * rng.standard_normal(w.shape) for w in model.get_weights()])
    model.compile(["sgd", "adam"][rng.integers(2)], "mse", metrics=["mae"])
    return model


def twin_of(model):
    twin = Sequential.from_config(model.get_config())
    twin.set_weights(model.get_weights())
    twin.compile(type(model.optimizer)(), "mse", metrics=["mae"])
    return twin


class Batches(PyDataset):
    """The batches of a list by their numbers."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


def dressed(rng, array):
    """The same numbers, which float32 holds, in another form."""
    objects = np.vectorize(lambda n: Fraction(float(n)), otypes=[object])(array)
    forms = [array, array.tolist(), array.astype("f8"), array.astype(">f4"), objects, np.asfortranarray(array)]
    forms += [list(array), [array] if rng.random() < 0.5 else array[::-1][::-1], np.repeat(array, 2, axis=0)[::2]]
    return forms[rng.integers(len(forms))]


def batches_of(x, y, weight, size):
    return [
        (x[k : k + size], y[k : k + size], *(() if weight is None else (weight[k : k + size],)))
        for k in range(0, len(x), size)
    ]


def given_as(rng, x, y, weight, size):
    """The data as the arguments of `fit`."""
    kind = rng.integers(4)
    batches = batches_of(x, y, weight, size)
    if kind == 0:
        return {"x": Batches(batches), "shuffle": False}
    if kind == 1:
        return {"x": (batch for _ in range(2) for batch in batches), "steps_per_epoch": len(batches)}
    given = {"x": dressed(rng, x), "y": dressed(rng, y), "batch_size": size, "shuffle": False}
    return given if weight is None else given | {"sample_weight": dressed(rng, weight)}


def data_of(rng):
    x = rng.integers(-8, 9, (ROWS, 4, 2)).astype("f4") / 4
    y = rng.integers(-8, 9, (ROWS, 1)).astype("f4") / 4
    weight = rng.integers(1, 5, ROWS).astype("f4") / 4 if rng.random() < 0.4 else None
    return x, y, weight, int(rng.integers(1, ROWS + 2))


def forms(rng):
    """Two epochs of data in any form are as many steps on batches of plain arrays."""
    x, y, weight, size = data_of(rng)
    model = model_of(rng)
    twin = twin_of(model)
    history = model.fit(**given_as(rng, x, y, weight, size), epochs=2, verbose=0).history
    losses, rows = [], []
    for batch in 2 * batches_of(x, y, weight, size):
        twin.reset_metrics()
        losses.append(twin.train_on_batch(*batch, return_dict=True)["loss"])
        rows.append(len(batch[0]))
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    half = len(rows) // 2
    want = [np.average(losses[part], weights=rows[part]) for part in (slice(half), slice(half, None))]
    np.testing.assert_allclose(history["loss"], want, rtol=1e-5)
    # The numbers by hand: no step of training is taken any more.
    out = model(x)
    error = (out - y).astype("f8")[:, 0] ** 2 * (1 if weight is None else weight)
    got = model.evaluate(dressed(rng, x), dressed(rng, y), size, sample_weight=weight, verbose=0, return_dict=True)
    np.testing.assert_allclose(got["loss"], error.mean(), rtol=1e-5, atol=1e-7)
    given = [Batches(batches_of(x, y, None, size)), dressed(rng, x)][rng.integers(2)]
    np.testing.assert_allclose(model.predict(given, size, verbose=0), out, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.predict_on_batch(dressed(rng, x)), out, rtol=1e-5, atol=1e-6)


def orders(rng):
    """Shuffled in any way, each row is seen once in an epoch: without steps the loss is that of all rows."""
    x, y, weight, size = data_of(rng)
    model = model_of(rng)
    model.compile(optimizers.SGD(0.0), "mse")
    want = model.evaluate(x, y, sample_weight=weight, verbose=0)
    shuffle = [True, False, "batch"][rng.integers(3)]
    options = {"batch_size": size, "shuffle": shuffle, "sample_weight": weight, "epochs": 3, "verbose": 0}
    np.testing.assert_allclose(model.fit(dressed(rng, x), dressed(rng, y), **options).history["loss"], want, rtol=1e-5)


def wrong(rng):
    """One argument that is anything at all: taken, or refused by us before anything is changed."""
    x, y, weight, size = data_of(rng)
    model = model_of(rng)
    method = [model.fit, model.evaluate, model.predict, model.train_on_batch, model.test_on_batch][rng.integers(5)]
    given = {"x": x} if method == model.predict else {"x": x, "y": y, "sample_weight": weight}
    if method in (model.fit, model.evaluate, model.predict):
        given |= {"batch_size": size, "verbose": 0}
    others = {"callbacks", "validation_data", "class_weight", "epochs", "steps_per_epoch", "initial_epoch", "shuffle"}
    names = [*given, *sorted(others if method == model.fit else ())]
    name = str(rng.choice(names))
    short = [x[: rng.integers(ROWS)], y[: rng.integers(ROWS)], x[:, :, :1], x[0], (x, y), [x, y], {"a": x}, iter([x])]
    value = short[rng.integers(len(short))] if rng.random() < 0.5 else value_of(rng)
    if name in ("epochs", "steps_per_epoch", "verbose") and isinstance(value, (int, float)) and value > 3:
        return  # it would take long
    before = model.get_weights()
    error = error_of(lambda: method(**given | {name: value}))
    if error is not None:
        assert is_ours(error), f"{method.__name__}({name}=...): {type(error).__name__}: {error}"
        # Of what only gives its batches one by one nothing can be seen before it is used.
        if hasattr(value, "__getitem__") or not hasattr(value, "__iter__"):
            for a, b in zip(before, model.get_weights(), strict=True):
                np.testing.assert_array_equal(a, b)
    model.set_weights(before)
    model.fit(x, y, verbose=0)  # nothing is left behind


class Count(callbacks.Callback):
    """The names of the hooks, in the order of their calls."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __getattribute__(self, name):
        if name.startswith("on_") and name not in ("on_batch_begin", "on_batch_end"):
            return lambda *_, **__: self.calls.append(name)
        return super().__getattribute__(name)


def observers(rng):
    """Callbacks that look on change no bit; each hook is called when it should be; what they write is what was."""
    x, y, weight, size = data_of(rng)
    model = model_of(rng)
    twin = twin_of(model)
    steps, epochs = -(-ROWS // size), int(rng.integers(1, 4))
    options = {"batch_size": size, "epochs": epochs, "shuffle": False, "verbose": 0, "sample_weight": weight}
    count = Count()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "log.csv")
        log = callbacks.CSVLogger(path)
        others = [
            callbacks.ModelCheckpoint(os.path.join(folder, "m.safetensors"), monitor="loss"),
            callbacks.EarlyStopping("loss", patience=99),
            callbacks.ReduceLROnPlateau("loss", patience=99),
            callbacks.TerminateOnNaN(),
            callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.clear()),
            callbacks.BackupAndRestore(os.path.join(folder, "backup"), save_freq=int(rng.integers(1, 4))),
        ]
        chosen = [others[k] for k in rng.permutation(len(others))[: rng.integers(len(others) + 1)]]
        history = model.fit(x, y, callbacks=[log, *chosen, count], **options).history
        with open(path) as file:
            names, *lines = [line.split(",") for line in file.read().split()]
    twin.fit(x, y, **options)
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    batch = ["on_train_batch_begin", "on_train_batch_end"]
    epoch = ["on_epoch_begin", *steps * batch, "on_epoch_end"]
    assert count.calls == ["on_train_begin", *epochs * epoch, "on_train_end"], count.calls
    if callbacks.LambdaCallback not in map(type, chosen):  # which empties what History is told
        for name in ("loss", "mae"):
            np.testing.assert_array_equal([float(line[names.index(name)]) for line in lines], history[name])


CASES = (forms, forms, orders, wrong, wrong, observers)


def case(rng):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        CASES[rng.integers(len(CASES))](rng)
