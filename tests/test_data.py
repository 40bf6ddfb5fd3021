"""Data come as arrays, generators, iterables or data sets: the batches are the same, and what is wrong is named."""

import numpy as np
import pytest

import lstmcore
from lstmcore import Model, Sequential, layers, utils
from lstmcore.callbacks import Callback

ROWS, STEPS, FEATURES = 20, 5, 2
X = np.random.default_rng(0).standard_normal((ROWS, STEPS, FEATURES)).astype("float32")
Y = X.sum((1, 2))[:, None] / 10


def make(**compile_options):
    lstmcore.utils.set_random_seed(1)
    model = Sequential([layers.LSTM(3, input_shape=(None, FEATURES)), layers.Dense(1, name="outputs")])
    model.compile(**{"optimizer": "adam", "loss": "mse", **compile_options})
    return model


def batches(size=4, x=X, y=Y):
    return [(x[k : k + size], y[k : k + size]) for k in range(0, len(x), size)]


class Seen(Callback):
    """The targets of every batch, epoch by epoch."""

    def set_model(self, model):
        super().set_model(model)
        self.epochs, step = [], model._train_step
        model._train_step = lambda x, y, weight: self.epochs[-1].append(np.ravel(y)) or step(x, y, weight)

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs.append([])


class Numbered(utils.PyDataset):
    def __init__(self, parts):
        super().__init__()
        self.parts, self.ended = parts, 0

    def __len__(self):
        return len(self.parts)

    def __getitem__(self, index):
        return self.parts[index]

    def on_epoch_end(self):
        self.ended += 1


class Anew:
    """An iterable that can be gone through again and does not know its length."""

    def __init__(self, parts):
        self.parts = parts

    def __iter__(self):
        return iter(self.parts)


class Unsure(Anew):
    """Has a length, but cannot tell it: as PyTorch's and TensorFlow's loaders of streams do."""

    def __len__(self):
        raise TypeError("object of type 'Stream' has no len()")


def trained(x, y=None, **options):
    model = make()
    history = model.fit(x, y, shuffle=False, verbose=0, **options)
    return model.parameters.values.copy(), history.history["loss"]


# --- the same numbers whatever the data come as ---


@pytest.mark.parametrize(
    "data",
    [
        lambda: Anew(batches()),
        lambda: Unsure(batches()),
        lambda: Numbered(batches()),
        lambda: Anew([[x.tolist(), y.tolist()] for x, y in batches()]),
        lambda: Anew([(x.astype("float64"), y.astype("float64")) for x, y in batches()]),
    ],
    ids=["iterable", "unsure", "data set", "lists", "float64"],
)
def test_batches_of_any_kind_train_as_arrays_do(data):
    want, losses = trained(X, Y, batch_size=4, epochs=3)
    got, same = trained(data(), epochs=3)
    np.testing.assert_array_equal(got, want)
    assert same == losses


@pytest.mark.peer
@pytest.mark.parametrize("streamed", [False, True])
def test_loaders_of_pytorch_train_as_arrays_do(streamed):
    torch = pytest.importorskip("torch")
    from torch.utils.data import DataLoader, IterableDataset, TensorDataset

    rows = TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))

    class Stream(IterableDataset):
        def __iter__(self):
            return iter(rows[k] for k in range(ROWS))

    loader = DataLoader(Stream() if streamed else rows, batch_size=4)
    want, losses = trained(X, Y, batch_size=4, epochs=3, validation_data=(X, Y), validation_batch_size=4)
    got, same = trained(loader, epochs=3, validation_data=loader)
    np.testing.assert_array_equal(got, want)
    assert same == losses
    assert make().evaluate(loader, verbose=0) == make().evaluate(X, Y, batch_size=4, verbose=0)
    np.testing.assert_array_equal(make().predict(loader), make().predict(X))


def test_a_generator_trains_as_arrays_do():
    want, losses = trained(X, Y, batch_size=4, epochs=3)
    got, same = trained((b for _ in range(3) for b in batches()), epochs=3, steps_per_epoch=5)
    np.testing.assert_array_equal(got, want)
    assert same == losses


def test_windows_train_as_arrays_do():
    series = np.random.default_rng(1).standard_normal((30, FEATURES)).astype("float32")
    windows = np.stack([series[k : k + STEPS] for k in range(30 - STEPS)])
    targets = series[STEPS:, :1]
    data = utils.timeseries_dataset_from_array(series, targets, STEPS, batch_size=4)
    want, _ = trained(windows, targets, batch_size=4, epochs=2)
    np.testing.assert_array_equal(trained(data, epochs=2)[0], want)
    model = make()
    shuffled = utils.timeseries_dataset_from_array(series, targets, STEPS, batch_size=4, shuffle=True)
    seen = Seen()
    model.fit(shuffled, epochs=2, callbacks=[seen], verbose=0)
    first, second = (np.concatenate(epoch) for epoch in seen.epochs)
    assert (first != second).any()
    np.testing.assert_array_equal(np.sort(first), np.sort(targets[:, 0]))


def test_evaluate_and_predict_take_any_kind():
    model = make(metrics=["mae"])
    want = model.evaluate(X, Y, batch_size=4, verbose=0)
    outputs = model.predict(X, batch_size=4)
    for data in (Anew(batches()), Numbered(batches()), (b for b in batches())):
        assert model.evaluate(data, verbose=0) == want
    for data in (
        Anew(batches()),
        Numbered(batches()),
        (b for b in batches()),
        (x for x, _ in batches()),
        ((x,) for x, _ in batches()),
    ):
        np.testing.assert_array_equal(model.predict(data), outputs)
    np.testing.assert_array_equal(model.predict(Anew(batches()), steps=2), outputs[:8])
    assert model.evaluate(Anew(batches()), steps=2, verbose=0) == model.evaluate(X[:8], Y[:8], batch_size=4, verbose=0)


def test_integers_and_float64_are_converted_as_keras_does():
    whole = np.random.default_rng(3).integers(-3, 4, X.shape)
    want = make().predict(whole.astype("float32"))
    for kind in ("int64", "int8", "uint8", "float64", "float16", "bool"):
        values = np.abs(whole) if kind == "uint8" else whole
        got = make().predict(values.astype(kind))
        assert got.dtype == np.float32
        if kind not in ("bool", "uint8"):
            np.testing.assert_array_equal(got, want)


def test_one_input_or_target_in_a_list_or_dict_is_that_input():
    want, _ = trained(X, Y, epochs=2)
    for x, y in (([X], [Y]), ({"inputs": X}, {"outputs": Y}), (X.tolist(), Y.tolist())):
        np.testing.assert_array_equal(trained(x, y, epochs=2)[0], want)


def test_the_data_are_not_copied():
    huge = np.broadcast_to(X[:1], (10**9, STEPS, FEATURES))  # 40 GB if anybody copied it
    targets = np.broadcast_to(Y[:1], (10**9, 1))
    make().fit(huge, targets, batch_size=32, steps_per_epoch=2, shuffle=False, verbose=0)
    make().evaluate(huge, targets, batch_size=32, steps=2, verbose=0)


def test_several_inputs():
    class Two(Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = layers.Dense(1), layers.Dense(1)

        def forward(self, inputs, training=False):
            left, right = inputs.values() if isinstance(inputs, dict) else inputs
            return self.a(left, training) + self.b(right, training)

        def backward(self, d_outputs, need_d_inputs=True):
            return [self.a.backward(d_outputs, need_d_inputs), self.b.backward(d_outputs, need_d_inputs)]

    left, right = X[:, 0], X[:, 1]
    weights = []
    for x in ([left, right], (left, right), {"left": left, "right": right}):
        lstmcore.utils.set_random_seed(4)
        model = Two()
        model.compile("sgd", "mse")
        model.fit(x, Y, epochs=2, verbose=0)
        assert model.predict(x).shape == (ROWS, 1)
        weights.append(model.parameters.values)
    np.testing.assert_array_equal(weights[1], weights[0])
    np.testing.assert_array_equal(weights[2], weights[0])
    with pytest.raises(ValueError, match=r"x: expected 20 rows|expected 20 rows as in x"):
        model.fit([left, right[:7]], Y, verbose=0)


# --- epochs ---


def test_steps_per_epoch_goes_on_where_the_epoch_before_stopped():
    seen = Seen()
    with pytest.warns(UserWarning, match="Your input ran out of data"):  # of the five batches, one is left
        make().fit(X, Y, batch_size=4, epochs=4, steps_per_epoch=2, shuffle=False, callbacks=[seen], verbose=0)
    assert [len(epoch) for epoch in seen.epochs] == [2, 2, 1, 2]
    want = [y[:, 0] for _, y in batches()]
    for got, part in zip([part for epoch in seen.epochs for part in epoch], [*want, *want[:2]], strict=True):
        np.testing.assert_array_equal(got, part)


def test_steps_without_a_batch_size_take_all_rows():
    # As in Keras: 20 rows in 3 steps are 7 + 7 + 6.
    seen = []

    class Rows(Callback):
        def on_predict_batch_end(self, batch, logs=None):
            seen.append(len(logs["outputs"]))

    model, other = make(), make()
    model.set_weights(other.get_weights())
    assert len(model.predict(X, steps=3, callbacks=Rows())) == ROWS
    assert seen == [7, 7, 6]
    np.testing.assert_allclose(model.evaluate(X, Y, steps=3), model.evaluate(X, Y), rtol=1e-6)  # rounding of sums
    options = {"shuffle": False, "epochs": 2, "verbose": 0, "validation_split": 0.25}
    by_steps = model.fit(X, Y, steps_per_epoch=3, validation_steps=2, **options)
    by_size = other.fit(X, Y, batch_size=5, validation_batch_size=3, **options)
    assert by_steps.history == by_size.history


def test_batches_of_a_data_set_are_shuffled():
    data, seen = Numbered(batches()), Seen()
    make().fit(data, epochs=3, callbacks=[seen], verbose=0)
    assert data.ended == 3
    first, second = (np.concatenate(epoch) for epoch in seen.epochs[:2])
    assert (first != second).any()
    for epoch in seen.epochs:
        assert sorted(part[0] for part in epoch) == sorted(y[0, 0] for _, y in batches())
        np.testing.assert_array_equal(np.sort(np.concatenate(epoch)), np.sort(Y[:, 0]))


def test_shuffling_within_batches_keeps_the_batches():
    seen = Seen()
    make().fit(X, Y, batch_size=4, shuffle="batch", callbacks=[seen], verbose=0)
    for part, (_, y) in zip(seen.epochs[0], batches(), strict=True):
        np.testing.assert_array_equal(np.sort(part), np.sort(y[:, 0]))
    assert (np.concatenate(seen.epochs[0]) != Y[:, 0]).any()


def test_a_generator_that_ends_early_warns_and_ends_training_cleanly():
    calls = []

    class Ends(Callback):
        def on_epoch_end(self, epoch, logs=None):
            calls.append(epoch)

        def on_train_end(self, logs=None):
            calls.append("end")

    with pytest.warns(UserWarning, match="Your input ran out of data; interrupting training"):
        history = make().fit(iter(batches()), epochs=3, steps_per_epoch=4, callbacks=[Ends()], verbose=0)
    assert calls == [0, 1, "end"]
    assert len(history.history["loss"]) == 2
    calls.clear()
    with pytest.warns(UserWarning, match="Your input ran out of data"):
        make().fit(iter(batches()), epochs=3, callbacks=[Ends()], verbose=0)
    assert calls == [0, "end"]


def test_validation_split_takes_the_last_rows_unshuffled():
    seen = Seen()
    model = make(optimizer=lstmcore.optimizers.SGD(0.0))
    history = model.fit(X, Y, validation_split=0.25, callbacks=[seen], verbose=0)
    np.testing.assert_array_equal(np.sort(np.concatenate(seen.epochs[0])), np.sort(Y[:15, 0]))
    assert history.history["val_loss"][0] == pytest.approx(np.mean((model.predict(X[15:]) - Y[15:]) ** 2), rel=1e-5)


@pytest.mark.parametrize(
    "data",
    [
        lambda: (X[:8], Y[:8]),
        lambda: [X[:8], Y[:8]],
        lambda: (X[:8], Y[:8], np.ones(8)),
        lambda: Anew(batches(x=X[:8], y=Y[:8])),
        lambda: Numbered(batches(x=X[:8], y=Y[:8])),
    ],
)
def test_validation_data_of_any_kind(data):
    model = make(optimizer=lstmcore.optimizers.SGD(0.0))
    history = model.fit(X, Y, epochs=2, validation_data=data(), verbose=0)
    want = np.mean((model.predict(X[:8]) - Y[:8]) ** 2)
    assert history.history["val_loss"] == pytest.approx([want, want], rel=1e-5)


def test_validation_frequency_and_steps():
    model = make(optimizer=lstmcore.optimizers.SGD(0.0))
    options = {"validation_data": (X, Y), "validation_batch_size": 4, "validation_steps": 2, "verbose": 0}
    history = model.fit(X, Y, epochs=5, validation_freq=2, **options)
    want = np.mean((model.predict(X[:8]) - Y[:8]) ** 2)  # the same rows every time
    assert history.history["val_loss"] == pytest.approx([want, want], rel=1e-5)
    assert len(model.fit(X, Y, epochs=5, validation_freq=[1, 4, 9], **options).history["val_loss"]) == 2


# --- bad input ---


def changing():
    yield X[:4], Y[:4]
    yield X[:4, :, :1], Y[:4]


def without_targets():
    yield X[:4], Y[:4]
    yield (X[:4],)


class Endless:
    """Gives batches by number, and does not say how many."""

    def __getitem__(self, index):
        return X[:4], Y[:4]


def of_four():
    yield X[:4], Y[:4], None, None


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"x": None}, ValueError, "x: expected data, got None"),
        ({"y": None}, ValueError, "y: expected targets, got None"),
        ({"x": X[:0], "y": Y[:0]}, ValueError, "x: expected at least one row, got none"),
        ({"x": iter([]), "y": None}, ValueError, "x: expected at least one batch in epoch 1, got none"),
        ({"x": Anew([]), "y": None}, ValueError, "x: expected at least one batch in epoch 1, got none"),
        ({"x": iter([(X[:0], Y[:0])]), "y": None}, ValueError, "x: expected at least one row in every batch, got none"),
        ({"x": Endless(), "y": None}, TypeError, r"x: expected a data set with len\(data\) or num_batches, got <"),
        ({"x": Numbered([]), "y": None}, ValueError, "x: expected at least one batch, got none"),
        ({"x": iter(batches())}, ValueError, r"y: expected None, for x \(list_iterator\) gives it"),
        (
            {"x": Numbered(batches()), "y": None, "sample_weight": np.ones(4)},
            ValueError,
            r"sample_weight: expected None, for x \(Numbered\)",
        ),
        ({"x": changing(), "y": None}, ValueError, r"batch 1 of epoch 1: .*features.*\(4, 5, 1\)|batch 1 of epoch 1"),
        ({"x": without_targets(), "y": None}, ValueError, "batch 1 of epoch 1: y: expected targets with every batch"),
        ({"x": of_four(), "y": None}, ValueError, r"x: expected x, \(x,\), \(x, y\) or .* got 4 values"),
        ({"x": [[1.0, 2.0], [3.0]]}, ValueError, "x: expected an array, got lists of different lengths.*pad_sequences"),
        ({"x": np.array([["a"] * 5] * 20)}, TypeError, "x: expected numbers, got <U1"),
        (
            {"x": np.array([[None] * 5] * 20)},
            TypeError,
            r"x: expected numbers, got object: None at \[0, 0\] is no real",
        ),
        ({"x": X.astype(complex)}, TypeError, "x: expected numbers, got complex64|x: expected numbers, got complex128"),
        ({"x": 3.0}, ValueError, "x: expected a batch, got a number"),
        ({"x": "text"}, TypeError, "x: expected numbers, got <U4"),
        ({"x": type("Sparse", (), {"toarray": None})()}, TypeError, "the sparse Sparse; use its toarray"),
        ({"x": {}}, ValueError, "x: expected arrays, got an empty dict"),
        ({"x": {"a": X, "b": X}}, ValueError, "x: expected one array, .* got a dict of 2: a, b"),
        ({"x": iter(batches()), "y": None, "validation_split": 0.2}, ValueError, "validation_split: expected arrays"),
        ({"validation_split": 0.999}, ValueError, "validation_split: .* got 0.999 of 20 rows"),
        ({"validation_split": 0.01, "x": X[:1], "y": Y[:1]}, ValueError, "validation_split: .* of 1 rows"),
        ({"validation_data": (X, Y, None, None)}, ValueError, "validation_data: expected a pair .* got 4 values"),
        ({"validation_data": (X[:0], Y[:0])}, ValueError, "validation_data: x: expected at least one row"),
        (
            {"validation_data": (X, Y[:7])},
            ValueError,
            r"validation_data: y: expected 20 rows as in x, got shape \(7, 1\)",
        ),
        ({"validation_data": (X, None)}, ValueError, "validation_data: y: expected targets, got None"),
        ({"validation_freq": 0}, ValueError, "validation_freq: expected a positive integer, got 0"),
        ({"validation_steps": 0}, ValueError, "validation_steps: expected a positive integer, got 0"),
        ({"validation_batch_size": 0}, ValueError, "validation_batch_size: expected a positive integer, got 0"),
        ({"steps_per_epoch": 0}, ValueError, "steps_per_epoch: expected a positive integer, got 0"),
        ({"steps_per_epoch": 2.5}, ValueError, "steps_per_epoch: expected a positive integer, got 2.5"),
        ({"initial_epoch": -1}, ValueError, "initial_epoch: expected an integer from 0 on, got -1"),
        ({"shuffle": "yes"}, TypeError, "shuffle: expected True, False or 'batch', got 'yes'"),
        ({"sample_weight": np.ones(7)}, ValueError, r"sample_weight: expected 20 rows as in x, got shape \(7,\)"),
        ({"sample_weight": np.ones((ROWS, 3))}, ValueError, "sample_weight: expected the shape of the losses"),
        ({"class_weight": {0: 1.0}, "sample_weight": np.ones(ROWS)}, ValueError, "class_weight: expected None beside"),
        ({"class_weight": [1.0, 2.0]}, TypeError, "class_weight: expected a dict of class -> weight"),
        ({"class_weight": {}}, ValueError, "class_weight: expected a weight for at least one class"),
        ({"y": np.array(["a"] * ROWS)}, TypeError, "y: expected numbers, got <U1"),
        ({"y": [Y, Y, Y]}, ValueError, "y: .* the model has one output; got a list of 3 arrays"),
        ({"y": (Y, np.ones((ROWS, 2)))}, ValueError, "y: .* the model has one output; got a list of 2 arrays"),
        ({"y": {"a": Y, "b": Y}}, ValueError, "y: .* the model has one output; got a dict of 2: a, b"),
        ({"x": [X, X]}, ValueError, "x: .* the model has one input; got a list of 2 arrays"),
        ({"sample_weight": [Y[:, 0], Y[:, 0]]}, ValueError, "sample_weight: .* one output; got a list of 2 arrays"),
        ({"validation_data": (X, [Y, Y])}, ValueError, "validation_data: y: .* one output; got a list of 2 arrays"),
        ({"x": iter([(X, [Y, Y])]), "y": None}, ValueError, "x: y: .* got a list of 2 arrays"),
    ],
)
def test_bad_data_are_named(options, error, text):
    model = make()
    before = model.get_weights()
    with pytest.raises(error, match=text):
        model.fit(**{"x": X, "y": Y, "verbose": 0, **options})
    if "batch 1" not in text:
        for got, want in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(got, want)
    model.fit(X, Y, verbose=0)  # and the model can go on


@pytest.mark.parametrize("call", ["train_on_batch", "test_on_batch"])
def test_targets_of_several_outputs_are_named_for_a_batch_too(call):
    for x, y, text in (
        (X, [Y, np.ones((ROWS, 2))], "y: .* the model has one output; got a list of 2 arrays"),
        ([X, X], Y, "x: .* the model has one input; got a list of 2 arrays"),
        (X, {"a": Y, "b": Y}, "y: .* one output; got a dict of 2"),
    ):
        with pytest.raises(ValueError, match=text):
            getattr(make(), call)(x, y)
    rows = [list(y) for y in Y]  # an array in pieces is one array
    assert getattr(make(), call)(list(X), rows) == getattr(make(), call)(X, Y)


def test_a_validation_generator_that_has_ended_is_named():
    with pytest.raises(ValueError, match=r"validation_data: x: expected at least one batch.*a generator gives"):
        make().fit(X, Y, epochs=2, validation_data=iter(batches()), verbose=0)
    history = make().fit(X, Y, epochs=2, validation_data=iter(batches()), validation_steps=2, verbose=0)
    assert len(history.history["val_loss"]) == 2


def test_nan_targets_warn():
    y = Y.copy()
    y[3] = np.nan
    with pytest.warns(RuntimeWarning, match="the loss is nan"):
        make().fit(X, y, verbose=0)
