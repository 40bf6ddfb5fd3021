"""Arrays that go in and come out belong to the caller: they may be written to at any time, and nothing changes.

Of that, what a layer called with ``training=True`` keeps for `backward`, masks, initial states, weights that are
handed over, outputs; and the weights themselves, which can be looked at but only changed with `assign`.
"""

import numpy as np
import pytest
from layer_tools import numbers

import lstmcore
from lstmcore import Model, Sequential, activations, layers, losses, metrics, optimizers, regularizers
from lstmcore.callbacks import SwapEMAWeights
from lstmcore.initializers import Constant
from lstmcore.variables import Variable

X = (2, 4, 6)  # batch, steps, features
MASK = np.array([[True, True, True, False], [False, True, True, True]])


class WithCall(layers.Layer):
    def build(self, input_shape):
        self.scale = self.add_weight(name="scale", shape=input_shape[-1:])

    def call(self, inputs):
        return inputs * self.scale


KINDS = (layers.LSTM, layers.GRU, layers.SimpleRNN, layers.MinGRU, layers.MinLSTM, layers.SLSTM)
WITHOUT_RECURRENT_KERNEL = (layers.MinGRU, layers.MinLSTM)
RECURRENT = {
    f"{kind.__name__}, {text}": lambda kind=kind, options=options, **o: kind(6, **options, **o)
    for kind in KINDS
    for text, options in {
        "last": {},
        "all": {"return_sequences": True},
        "backwards": {"return_sequences": True, "go_backwards": True},
        "with state": {"return_state": True},
        "checkpointed": {"checkpoint": 2, "return_sequences": True},
        "dropped": {
            "dropout": 0.5,
            "recurrent_dropout": 0.0 if kind in WITHOUT_RECURRENT_KERNEL else 0.5,
            "zoneout": 0.2,
            "seed": 1,
        },
        "stateful": {"stateful": True},
    }.items()
}
EVERY = RECURRENT | {
    "LSTM, layer norm": lambda **o: layers.LSTM(6, layer_norm=True, projection=3, return_sequences=True, **o),
    "RNN": lambda **o: layers.RNN([layers.LSTMCell(3), layers.GRUCell(4)], return_sequences=True, **o),
    "Bidirectional": lambda **o: layers.Bidirectional(layers.LSTM(3, return_sequences=True), **o),
    "Bidirectional, sum": lambda **o: layers.Bidirectional(layers.GRU(3), merge_mode="sum", **o),
    "TimeDistributed": lambda **o: layers.TimeDistributed(layers.Dense(3, "relu"), **o),
    "TimeDistributed, flat": lambda **o: layers.TimeDistributed(layers.Flatten(), **o),
    "Residual": lambda **o: layers.Residual([layers.Dense(6, "tanh"), layers.Dropout(0.5, seed=1)], **o),
    "Dense": lambda **o: layers.Dense(3, "relu", **o),
    "Dense, linear": lambda **o: layers.Dense(3, **o),
    "Dense, gelu": lambda **o: layers.Dense(3, "gelu", **o),
    "Dense, softmax": lambda **o: layers.Dense(3, "softmax", **o),
    "Conv1D": lambda **o: layers.Conv1D(3, 2, activation="sigmoid", **o),
    "Conv1D, same": lambda **o: layers.Conv1D(3, 3, padding="same", strides=2, **o),
    "Conv1D, of one step": lambda **o: layers.Conv1D(3, 1, **o),
    "BatchNormalization": lambda **o: layers.BatchNormalization(**o),
    "BatchNormalization, frozen": lambda **o: layers.BatchNormalization(trainable=False, **o),
    "LayerNormalization": lambda **o: layers.LayerNormalization(**o),
    "RMSNormalization": lambda **o: layers.RMSNormalization(**o),
    "UnitNormalization": lambda **o: layers.UnitNormalization(**o),
    "Normalization": lambda **o: layers.Normalization(**o),
    "Normalization, given": lambda **o: layers.Normalization(mean=1.0, variance=4.0, **o),
    "Rescaling": lambda **o: layers.Rescaling(2.0, 1.0, **o),
    "PReLU": lambda **o: layers.PReLU(**o),
    "ReLU": lambda **o: layers.ReLU(**o),
    "LeakyReLU": lambda **o: layers.LeakyReLU(**o),
    "ELU": lambda **o: layers.ELU(**o),
    "Softmax": lambda **o: layers.Softmax(**o),
    "Activation": lambda **o: layers.Activation("tanh", **o),
    "Activation, linear": lambda **o: layers.Activation("linear", **o),
    "ActivityRegularization": lambda **o: layers.ActivityRegularization(0.1, 0.1, **o),
    "Identity": lambda **o: layers.Identity(**o),
    "InputLayer": lambda **o: layers.InputLayer(X[1:], **o),
    "Lambda": lambda **o: layers.Lambda(lambda x: x**2, **o),
    "Lambda, linear": lambda **o: layers.Lambda(lambda x: x, **o),
    "Layer with call": lambda **o: WithCall(**o),
    "Flatten": lambda **o: layers.Flatten(**o),
    "Reshape": lambda **o: layers.Reshape((8, 3), **o),
    "Permute": lambda **o: layers.Permute((2, 1), **o),
    "RepeatVector": lambda **o: Sequential([layers.Flatten(**o), layers.RepeatVector(3, **o)]),
    "Masking": lambda **o: layers.Masking(0.5, **o),
    "Dropout": lambda **o: layers.Dropout(0.5, seed=1, **o),
    "SpatialDropout1D": lambda **o: layers.SpatialDropout1D(0.5, seed=1, **o),
    "AlphaDropout": lambda **o: layers.AlphaDropout(0.5, seed=1, **o),
    "GaussianDropout": lambda **o: layers.GaussianDropout(0.5, seed=1, **o),
    "GaussianNoise": lambda **o: layers.GaussianNoise(0.5, seed=1, **o),
    "MaxPooling1D": lambda **o: layers.MaxPooling1D(2, **o),
    "AveragePooling1D": lambda **o: layers.AveragePooling1D(2, **o),
    "GlobalMaxPooling1D": lambda **o: layers.GlobalMaxPooling1D(**o),
    "GlobalAveragePooling1D": lambda **o: layers.GlobalAveragePooling1D(**o),
    "UpSampling1D": lambda **o: layers.UpSampling1D(2, **o),
    "ZeroPadding1D": lambda **o: layers.ZeroPadding1D(0, **o),
    "Cropping1D": lambda **o: layers.Cropping1D(0, **o),
    "Embedding": lambda **o: layers.Embedding(9, 3, **o),
    "Add": lambda **o: layers.Add(**o),
    "Concatenate": lambda **o: layers.Concatenate(**o),
    "Subtract": lambda **o: layers.Subtract(**o),
    "Multiply": lambda **o: layers.Multiply(**o),
    "Average": lambda **o: layers.Average(**o),
    "Maximum": lambda **o: layers.Maximum(**o),
    "Minimum": lambda **o: layers.Minimum(**o),
    "Divide": lambda **o: layers.Divide(**o),
    "Dot": lambda **o: layers.Dot(2, **o),
    "Matmul": lambda **o: layers.Matmul(**o),
    "Dot, normalize": lambda **o: layers.Dot((1, 1), normalize=True, **o),
    "Absolute": lambda **o: layers.Absolute(**o),
    "Negative": lambda **o: layers.Negative(**o),
    "NotEqual": lambda **o: layers.NotEqual(0, **o),
    "Reduction": lambda **o: layers.Reduction("sum", **o),
    "ArgMax": lambda **o: layers.ArgMax(**o),
    "Count": lambda **o: layers.Count(**o),
    "Size": lambda **o: layers.Size(**o),
    "Clip": lambda **o: layers.Clip(-9, 9, **o),
    "Elementwise": lambda **o: layers.Elementwise("erf", **o),
    "Compare": lambda **o: layers.Compare("less", 0.5, **o),
    "Where": lambda **o: layers.Where(**o),
    "Where, otherwise": lambda **o: layers.Where(otherwise=0.5, **o),
    "Cast": lambda **o: layers.Cast(**o),
    "Parameter": lambda **o: layers.Parameter([2, 3], **o),
    "SequenceMask": lambda **o: layers.SequenceMask(**o),
    "TakeStep": lambda **o: layers.TakeStep(**o),
    "Arithmetic, plus nothing": lambda **o: layers.Arithmetic("add", 0, **o),
    "Arithmetic": lambda **o: layers.Arithmetic("true_divide", 2.0, reverse=True, **o),
    "GetItem": lambda **o: layers.GetItem([slice(None), slice(1, None)], **o),
    "Attention": lambda **o: layers.Attention(use_scale=True, dropout=0.2, seed=1, **o),
    "Attention, concat": lambda **o: layers.Attention(score_mode="concat", **o),
    "AdditiveAttention": lambda **o: layers.AdditiveAttention(**o),
    "MultiHeadAttention": lambda **o: layers.MultiHeadAttention(2, 3, dropout=0.2, seed=1, **o),
    "Sequential": lambda **o: Sequential([layers.Dense(6, "relu", **o), layers.Flatten(**o), layers.Dense(2, **o)]),
    "Sequential of nothing": lambda **o: Sequential([layers.Activation("linear", **o)]),
}
NO_GRADIENT = ("NotEqual", "ArgMax", "Count", "Compare", "SequenceMask")  # whose outputs are no floating-point numbers
EACH = pytest.mark.parametrize("name", EVERY)


def takes_several(name):
    return name in ("Add", "Concatenate") or "Attention" in name


def made(name, dtype="float64"):
    """A layer with random weights, and inputs for it."""
    layer = EVERY[name](dtype=dtype)
    if name == "Embedding":
        x = np.arange(8).reshape(2, 4)
    elif name == "Matmul":
        x = [numbers(*X, dtype=dtype), numbers(X[0], X[2], X[1], seed=1, dtype=dtype)]
    elif name in ("SequenceMask", "TakeStep"):
        x = [numbers(*X, dtype=dtype), np.arange(X[0]) + 1]
    elif name.startswith("Where"):
        x = [numbers(*X) > 0, *(numbers(*X, seed=k, dtype=dtype) for k in range(1, 2 + (name == "Where")))]
    elif layer.takes_several:
        x = [numbers(*X, dtype=dtype), numbers(*X, seed=1, dtype=dtype)]
    else:
        x = numbers(*X, dtype=dtype)
    layer(x)
    layer.set_weights([numbers(*w.shape, seed=k) ** 2 for k, w in enumerate(layer.get_weights())])
    layer.reset_states()
    return layer, x


def arrays(value):
    if isinstance(value, (list, tuple)):
        return [a for part in value for a in arrays(part)]
    return [value] if isinstance(value, np.ndarray) else []


def spoil(*values):
    for array in arrays(values):
        array[...] = 1 if array.dtype.kind in "iub" else 1e6


def backward(layer, outputs):
    """The gradients of weights and inputs for random gradients of the outputs."""
    outputs = arrays(outputs)
    d = [numbers(*part.shape, seed=50 + k) for k, part in enumerate(outputs)]
    kept = [part.copy() for part in d]
    for v in layer.variables:
        v.gradient.fill(0)
    d_inputs = layer.backward(d[0], d_state=d[1:]) if len(d) > 1 else layer.backward(d[0])
    for before, after in zip(kept, d, strict=True):
        np.testing.assert_array_equal(before, after)
    return [a.copy() for a in arrays(d_inputs)] + [v.gradient.copy() for v in layer.variables]


def assert_equal(left, right):
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        np.testing.assert_array_equal(a, b)


def options_of(layer, name):
    mask = [MASK.copy(), MASK.copy()] if layer.takes_several else MASK.copy()
    options = {"mask": mask} if layer.consumes_mask else {}
    if name in RECURRENT:
        options["initial_state"] = [numbers(2, n, seed=9) for n in layer.state_size]
    return options


def test_the_table_has_every_layer():
    kinds = {
        kind.__name__
        for kind in vars(layers).values()
        if isinstance(kind, type) and issubclass(kind, layers.Layer) and not issubclass(kind, layers.Cell)
    }
    seen = set()
    for make in EVERY.values():
        layer = make(dtype="float32")
        seen |= {type(part).__name__ for part in (layer, *layer.sublayers)}
    assert kinds - {"Layer", "CRF"} <= seen  # tags have no gradients; for them, see test_crf.py


@EACH
def test_what_is_kept_for_backward_is_the_layers_own(name):
    if name in NO_GRADIENT:
        pytest.skip("what is no floating-point number has no gradient")
    results = []
    for spoils in (False, True):
        layer, x = made(name)
        options = options_of(layer, name)
        outputs = layer(x, training=True, **options)
        if spoils:
            spoil(x, outputs, *options.values())
        results.append(backward(layer, outputs))
    assert_equal(*results)


@EACH
@pytest.mark.parametrize("training", [False, True])
def test_outputs_are_the_callers_and_inputs_are_left_alone(name, training):
    layer, x = made(name)
    before = [a.copy() for a in arrays(x)]
    options = options_of(layer, name)
    outputs = layer(x, training=training, **options)
    assert_equal(before, arrays(x))
    spoil(outputs)
    assert_equal(before, arrays(x))
    twin, again = made(name)
    twin(again, training=training, **options_of(layer, name))  # for the random numbers, which go on
    if name != "BatchNormalization" or not training:
        weights = layer.get_weights()
        assert_equal(weights, twin.get_weights())
    assert_equal(arrays(layer(x, training=training)), arrays(twin(again, training=training)))


@EACH
def test_predictions_are_the_callers(name):
    layer, x = made(name)
    if layer.takes_several or "with state" in name or "Bidirectional, none" in name:
        pytest.skip("not the first layer of a chain of its own")
    model = layer if isinstance(layer, Sequential) else Sequential([layer])
    for predict in (model, model.predict, model.predict_on_batch):
        before = x.copy()
        model.reset_states()
        spoil(predict(x))
        np.testing.assert_array_equal(x, before)
        empty = predict(x[:0]) if name not in RECURRENT else None
        assert empty is None or len(empty) == 0


class Towers(Model):
    """A model that does what it likes with what its layers return."""

    def __init__(self):
        super().__init__(dtype="float64")
        self.hidden = layers.Dense(5, "tanh")
        self.flat = layers.Reshape((-1,))
        self.last = layers.Dense(1)

    def forward(self, inputs, training=False):
        hidden = self.hidden(inputs, training=training)
        hidden *= 2
        return self.last(self.flat(hidden, training=training), training)

    def backward(self, d_outputs, need_d_inputs=True):
        return self.hidden.backward(2 * self.flat.backward(self.last.backward(d_outputs)), need_d_inputs)


def test_a_model_of_ones_own_may_write_to_what_its_layers_return():
    lstmcore.utils.set_random_seed(0)
    model, x = Towers(), numbers(*X)
    model(x)
    for v in model.variables:
        v.gradient.fill(0)
    outputs = model(x, training=True)
    given = x.copy()
    spoil(x, outputs)
    d_inputs = model.backward(np.ones_like(outputs))
    w, b, v, c = model.get_weights()
    t = np.tanh(given @ w + b)
    dt = 2 * v.reshape(1, 4, 5) * (1 - t**2)
    np.testing.assert_allclose(d_inputs, dt @ w.T, rtol=1e-12)
    np.testing.assert_allclose(model.hidden.kernel.gradient, np.einsum("nti,ntu->iu", given, dt), rtol=1e-12)
    np.testing.assert_allclose(model.last.kernel.gradient, 2 * t.reshape(2, -1).sum(0)[:, None], rtol=1e-12)
    np.testing.assert_array_equal(c, 0)


def test_arrays_handed_over_are_copied():
    values = np.ones((9, 3))
    embedding, constant = layers.Embedding(9, 3, weights=values), Constant(values)
    dense = layers.Dense(3, input_shape=(9,))
    dense.build((None, 9))
    dense.set_weights([values, np.ones(3)])
    bias = np.ones(3)
    dense.bias.assign(bias)
    states = [np.ones((2, 6)), np.ones((2, 6))]
    lstm = layers.LSTM(6, stateful=True, dtype="float64")
    lstm.reset_states(states)
    spoil(values, bias, states)
    embedding(np.zeros((1, 1), int))
    for array in (*dense.get_weights(), *embedding.get_weights(), constant((9, 3)), *lstm.states):
        assert (array == 1).all()
    spoil(dense.get_weights(), dense.kernel.numpy(), np.asarray(dense.kernel))
    assert (dense.get_weights()[0] == 1).all()


def test_weights_can_be_set_from_each_other():
    layer = layers.Bidirectional(layers.SimpleRNN(3))
    layer.build((None, None, 2))
    before = layer.get_weights()
    layer.set_weights([v.value for v in (*layer.variables[3:], *layer.variables[:3])])
    assert_equal(layer.get_weights(), [*before[3:], *before[:3]])
    kernel = layer.variables[0]
    kernel.assign(kernel.value[::-1])
    np.testing.assert_array_equal(kernel.value, before[3][::-1])


# --- metrics, losses, training ---


@pytest.mark.parametrize("name", sorted(metrics._CLASSES))
def test_a_metric_is_of_the_numbers_that_it_was_given(name):
    kind, rng = metrics._CLASSES[name], np.random.default_rng(0)
    sequences = name == "CharacterErrorRate" or "Tag" in name
    p = rng.random((6, 5, 3) if sequences else (6, 3))
    p /= p.sum(-1, keepdims=True)
    y = rng.integers(1, 3, (6, 5 if "Tag" in name else 2)) if sequences else np.eye(3)[rng.integers(0, 3, 6)]
    if "Sparse" in name:
        y = y.argmax(1)
    if name in ("Mean", "Sum"):
        y, p = p, np.ones(6)
    results = []
    for spoils in (False, True):
        metric = kind(0.5) if "At" in name else kind(3) if "Tag" in name else kind()
        given = [y.copy(), p.copy()]
        for _ in range(2):
            metric.update_state(*given)
        state = metric.state()
        if spoils:
            spoil(given)
        results.append(np.array(metric.result()))
        if spoils:
            spoil(*(a for a in state.values() if isinstance(a, np.ndarray)))
            np.testing.assert_array_equal(np.array(metric.result()), results[1])
    np.testing.assert_array_equal(*results)


def test_nothing_of_the_data_is_kept_once_training_is_over():
    x, y, w = numbers(8, 5, 2), np.eye(3)[np.arange(8) % 3], np.ones(8)
    model = Sequential([layers.LSTM(4, input_shape=(5, 2), stateful=True), layers.Dense(3, "softmax")])
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy", "auc"])
    history = model.fit(x, y, sample_weight=w, batch_size=4, validation_data=(x, y), epochs=2, verbose=0)
    given = [x.copy(), y.copy(), w.copy()]
    kept = model.get_weights(), dict(history.history), [metric.result() for metric in model.metrics], model.state()
    spoil(x, y, w)
    assert_equal(kept[0], model.get_weights())
    assert kept[1] == history.history
    assert kept[2] == [metric.result() for metric in model.metrics]
    assert_equal(list(kept[3].values()), list(model.state().values()))
    spoil(list(kept[3].values()))
    again = model.predict(given[0], batch_size=4)
    assert np.isfinite(again).all()


def test_a_chain_in_training_copies_nothing_between_its_layers(monkeypatch):
    def never(*_):
        raise AssertionError("copied")

    model = Sequential([layers.Conv1D(3, 2, input_shape=(5, 2)), layers.LSTM(4), Sequential([layers.Dense(1)])])
    model.compile("adam", "mse")
    monkeypatch.setattr("lstmcore.layers._calls.copies", never)
    model.fit(numbers(8, 5, 2), numbers(8, 1), verbose=0)
    model.train_on_batch(numbers(8, 5, 2), numbers(8, 1))
    assert np.shares_memory(*kept_and_passed_on(model))


def kept_and_passed_on(model):
    """What the last layer keeps of its inputs, and what the layer before it has returned."""
    returned = []
    lstm = model.layers[1]
    forward = lstm.forward
    lstm.forward = lambda *arguments, **options: returned.append(forward(*arguments, **options)) or returned[-1]
    model.forward(numbers(8, 5, 2, dtype="float32"), training=True)
    return model.layers[2].layers[0].kept()[0], returned[0]


# --- weights ---


def ways_to_write(model):
    v = model.layers[0].variables[0]
    p = model.parameters
    flag = "cannot set WRITEABLE flag"
    return [
        (lambda: v.value.__setitem__(..., 0), "read-only"),
        (lambda: v.value.fill(0), "read-only"),
        (lambda: np.copyto(v.value, 0), "read-only"),
        (lambda: np.add(v.value, 1, out=v.value), "read-only"),
        (lambda: exec("v.value += 1", {"v": v}), "read-only"),
        (lambda: exec("p.values *= 2", {"p": p}), "read-only"),
        (lambda: p.values.__setitem__(0, 1.0), "read-only"),
        (lambda: p.vectors.values.__setitem__(0, 1.0), "read-only"),
        (lambda: v.value.setflags(write=True), flag),
        (lambda: p.values.setflags(write=True), flag),
        (lambda: v.value.base.setflags(write=True), flag),
        (lambda: v.value.view(np.uint32).fill(0), "read-only"),
        (lambda: memoryview(v.value).cast("B").__setitem__(0, 1), "read-only"),
        (lambda: np.asarray(v.value).fill(0), "read-only"),
        (lambda: v.__array__(copy=False).fill(0), "read-only"),
        (lambda: setattr(v, "value", np.zeros(v.shape)), "no setter|can't set"),
        (lambda: setattr(p, "values", np.zeros(p.values.shape)), "no setter|can't set"),
        (
            lambda: setattr(v, "gradient", np.zeros(2)),
            r"lstm\S*/kernel: gradient: expected shape \(2, 12\), got \(2,\)",
        ),
        (lambda: setattr(p, "gradients", np.zeros(2)), r"gradients: expected shape \(.*\), got \(2,\)"),
    ]


@pytest.mark.parametrize("way", range(19))
@pytest.mark.parametrize("trainable", [True, False])
def test_a_weight_can_be_written_to_by_assign_alone(way, trainable):
    model = Sequential([layers.LSTM(3, trainable=trainable, input_shape=(None, 2)), layers.Dense(1)])
    x = numbers(2, 4, 2, dtype="float32")
    before = model(x)
    ways = ways_to_write(model)
    assert len(ways) == 19
    write, text = ways[way]
    with pytest.raises((ValueError, TypeError, AttributeError, BufferError), match=text):
        write()
    np.testing.assert_array_equal(model(x), before)
    weights = model.get_weights()
    model.layers[0].variables[0].assign(np.zeros((2, 12)))
    assert (model(x) != before).any()
    model.set_weights(weights)
    np.testing.assert_array_equal(model(x), before)


def test_a_variable_as_an_array():
    v = Variable("a/b", np.arange(3.0))
    copy = np.array(v)
    copy[0] = 9
    assert v.value[0] == 0
    assert np.asarray(v, "float32").dtype == np.float32
    assert np.shares_memory(v.__array__(copy=False), v.value)
    with pytest.raises(ValueError, match="a/b: copy: expected True or None, for float64 becomes float32"):
        v.__array__("float32", copy=False)
    assert not np.shares_memory(v.__array__(copy=True), v.value)
    assert Variable("a/empty", np.zeros((0, 3))).value.shape == (0, 3)


def test_gradients_are_added_to_and_set_in_place():
    model = Sequential([layers.Dense(1, input_shape=(2,), dtype="float64")])
    v, p = model.layers[0].kernel, model.parameters
    p.gradients.fill(0)
    v.gradient += 2
    v.gradient = v.gradient * 3
    np.testing.assert_array_equal(p.gradients, [6, 6, 0])
    p.gradients *= 2
    np.testing.assert_array_equal(v.gradient, [[12], [12]])
    p.gradients = np.ones(3)
    np.testing.assert_array_equal(v.gradient, 1)
    before = p.values.copy()
    optimizers.SGD(1.0).step(p)
    np.testing.assert_array_equal(p.values, before - 1)


CHANGES = {
    "assign": lambda model, x, y: model.layers[0].variables[0].assign(model.layers[0].variables[0].numpy() + 1),
    "set_weights": lambda model, x, y: model.set_weights([w + 0.5 for w in model.get_weights()]),
    "a step": lambda model, x, y: model.train_on_batch(x, y),
    "fit": lambda model, x, y: model.fit(x, y, verbose=0),
    "the average": lambda model, x, y: model.optimizer.finalize(model.parameters),
    "the part of it": lambda model, x, y: model.layers[0].set_weights([w + 1 for w in model.layers[0].get_weights()]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_change_of_the_weights_is_seen(change, kind):
    def make():
        inner = Sequential([kind(4, kernel_constraint="unit_norm"), layers.BatchNormalization()])
        model = Sequential([layers.Bidirectional(kind(3, return_sequences=True), input_shape=(5, 2)), inner])
        model.add(layers.Dense(1))
        model.compile(optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5), "mse")
        return model

    x, y = numbers(6, 5, 2, dtype="float32"), numbers(6, 1, dtype="float32")
    model, twin = make(), make()
    model.train_on_batch(x, y)
    model.train_on_batch(x, y)
    before = model(x)  # with weights that are packed by now
    change(model, x, y)
    after = model(x)
    assert (after != before).any()
    twin.set_weights(model.get_weights())
    np.testing.assert_array_equal(after, twin(x))


def test_a_change_before_the_weights_move_into_a_model_is_seen():
    for changes in range(3):
        layer, twin, x = layers.LSTM(4, input_shape=(5, 2)), layers.LSTM(4), numbers(6, 5, 2, dtype="float32")
        twin(x)
        before = layer(x)
        for k in range(changes):
            layer.set_weights([w + k + 1 for w in layer.get_weights()])
        model = Sequential([layer])
        assert model.parameters.values.size == 112
        twin.set_weights(model.get_weights())
        np.testing.assert_array_equal(model(x), twin(x))
        assert (model(x) != before).any() == bool(changes)


def test_swapped_averages_are_seen():
    model = Sequential([layers.LSTM(4, input_shape=(5, 2)), layers.Dense(1)])
    model.compile(optimizers.SGD(0.5, use_ema=True), "mse")
    x, y = numbers(6, 5, 2, dtype="float32"), numbers(6, 1, dtype="float32")
    model.train_on_batch(x, y)
    model.train_on_batch(x, y)
    trained, average = model.predict(x), model.optimizer.average.copy()
    averaged = model.predict(x, callbacks=[SwapEMAWeights()])
    assert (averaged != trained).any()
    np.testing.assert_array_equal(model.predict(x), trained)
    with model.parameters.vectors.writing() as values:
        values[...] = average
    np.testing.assert_array_equal(model.predict(x), averaged)


# --- a model within a model ---


def nested():
    inner = Sequential([layers.Dense(3, "tanh", dtype="float64")], name="inner")
    outer = Sequential([layers.Dense(4, dtype="float64", input_shape=(2,)), inner, layers.Dense(1, dtype="float64")])
    for model in (inner, outer):
        model.compile(optimizers.SGD(0.1), "mse")
    return outer, inner


def test_models_that_share_layers_train_the_same_weights():
    outer, inner = nested()
    x, y, z = numbers(8, 2), numbers(8, 1), numbers(8, 4)
    steps = [(outer, x, y), (inner, z, numbers(8, 3)), (outer, x, y), (inner, z, numbers(8, 3)), (outer, x, y)]
    for model, inputs, targets in steps:
        whole, part = outer.get_weights(), inner.get_weights()
        model.train_on_batch(inputs, targets)
        assert all((a != b).any() for a, b in zip(part, inner.get_weights(), strict=True))
        if model is inner:
            assert_equal(whole[:2] + whole[4:], outer.get_weights()[:2] + outer.get_weights()[4:])
        np.testing.assert_array_equal(outer.parameters.values, np.concatenate([w.ravel() for w in outer.get_weights()]))
        np.testing.assert_array_equal(inner.parameters.values, np.concatenate([w.ravel() for w in inner.get_weights()]))
        np.testing.assert_array_equal(outer.get_weights()[2], inner.get_weights()[0])


def test_gradients_survive_a_move_into_other_vectors():
    outer, inner = nested()
    x = numbers(5, 2)
    outer(x, training=True)
    for v in outer.variables:
        v.gradient.fill(0)
    outer.backward(np.ones((5, 1)))
    want = [v.gradient.copy() for v in outer.variables]
    assert any(g.any() for g in want)
    np.testing.assert_array_equal(inner.parameters.gradients, np.concatenate([g.ravel() for g in want[2:4]]))
    np.testing.assert_array_equal(outer.parameters.gradients, np.concatenate([g.ravel() for g in want]))


# --- code of the user's that writes over what it is given ---


class Doubled(layers.Layer):
    def __init__(self, over, **options):
        super().__init__(**options)
        self.over = over

    def forward(self, inputs, training=False):
        return np.multiply(inputs, 2, out=inputs if self.over else None)

    def backward(self, d_outputs, need_d_inputs=True):
        return np.multiply(d_outputs, 2, out=d_outputs if self.over else None)


class Squared(activations.Activation):
    name = "squared"

    def __init__(self, over):
        super().__init__()
        self.over = over

    def value(self, x):
        return np.multiply(x, x, out=x if self.over else None)

    def backward(self, x, y, dy):
        return np.multiply(dy, 2 * x, out=dy if self.over else None)


def squared(over):
    def function(x):
        return np.multiply(x, x, out=x if over else None)

    function.backward = lambda x, y, dy: np.multiply(dy, 2 * x, out=dy if over else None)
    return function


class Centred(Model):
    def __init__(self, over):
        super().__init__()
        self.over, self.dense = over, layers.Dense(3)

    def forward(self, inputs, training=False):
        return self.dense(np.subtract(inputs, 1, out=inputs if self.over else None), training=training)

    def backward(self, d_outputs, need_d_inputs=True):
        return self.dense.backward(d_outputs, need_d_inputs)


class Mixing(layers.Cell):
    state_size = (3, 3)

    def __init__(self, over, **options):
        super().__init__(**options)
        self.over = over

    def forward(self, inputs, states):
        h, c = (out if self.over else None for out in states)
        x = np.multiply(inputs, 0.5, out=inputs if self.over else None)
        return np.add(states[0], x, out=h), [h if self.over else states[0] + x, np.subtract(states[1], x, out=c)], None

    def backward(self, saved, d_output, d_states):
        d = d_output + d_states[0]
        return (d - d_states[1]) / 2, [d, d_states[1]]


class Halved(Sequential):
    def __init__(self, over):
        super().__init__([layers.Dense(3, input_shape=(4, 3))])
        self.over = over

    def train_step(self, data):
        x, y = data
        x = np.multiply(x, 0.5, out=x if self.over else None)
        return super().train_step((x, np.add(y, 1, out=y if self.over else None)))

    def predict_step(self, data):
        return super().predict_step((np.multiply(data[0], 0.5, out=data[0] if self.over else None),))


def between(make):
    return lambda over: Sequential([layers.Dense(3, "sigmoid", input_shape=(4, 3)), make(over), layers.Dense(3)])


WRITERS = {
    "first layer": lambda over: Sequential([Doubled(over, input_shape=(4, 3)), layers.Dense(3)]),
    "layer": between(Doubled),
    "Residual": between(lambda over: layers.Residual(Doubled(over))),
    "TimeDistributed": between(lambda over: layers.TimeDistributed(Doubled(over))),
    "Activation": between(lambda over: layers.Activation(Squared(over))),
    "function": between(lambda over: layers.Activation(squared(over))),
    "Dense": between(lambda over: layers.Dense(3, activation=Squared(over))),
    "Conv1D": between(lambda over: layers.Conv1D(3, 2, padding="same", activation=Squared(over))),
    "LSTM": between(lambda over: layers.LSTM(3, return_sequences=True, activation=Squared(over))),
    "cell": between(lambda over: layers.RNN(Mixing(over), return_sequences=True)),
    "both directions": between(
        lambda over: layers.Bidirectional(layers.RNN(Mixing(over), return_sequences=True), merge_mode="sum")
    ),
    "model": Centred,
    "steps": Halved,
}


@pytest.mark.parametrize("name", WRITERS)
def test_code_of_the_users_may_write_over_what_it_works_on(name):
    """It gives what it does where it makes new arrays, and changes nobody else's."""
    x, y = numbers(5, 4, 3, dtype="float32"), numbers(5, 4, 3, dtype="float32")
    results = []
    for over in (False, True):
        model, own = WRITERS[name](over), x.copy()
        model(own)
        np.testing.assert_array_equal(own, x)
        model.set_weights([np.linspace(-1, 1, w.size).reshape(w.shape) for w in model.get_weights()])
        model.compile(optimizers.SGD(0.05), "mse")
        targets = y.copy()
        called, predicted = model(own), model.predict(own, verbose=0)
        model.fit(own, targets, batch_size=3, epochs=2, shuffle=False, verbose=0)
        model.train_on_batch(own, targets)
        np.testing.assert_array_equal(own, x)
        np.testing.assert_array_equal(targets, y)
        results.append([called, predicted, *model.get_weights()])
    for want, got in zip(*results, strict=True):
        assert np.isfinite(want).all()
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_layers_of_the_users_may_write_over_masks():
    def write(mask):
        np.logical_not(mask, out=mask)

    class Turned(layers.Layer):
        def forward(self, inputs, training=False, mask=None):
            write(mask)
            return inputs

    class TurnedModel(Model):
        def __init__(self):
            super().__init__()
            self.inner, self.last = Turned(), layers.LSTM(2)

        def forward(self, inputs, training=False, mask=None):
            write(mask)
            return self.last(self.inner(inputs, training=training), training=training)

    x, own = numbers(2, 4, 3, dtype="float32"), MASK.copy()
    model, layer = TurnedModel(), layers.LSTM(2)
    model(x, mask=own), layer(x)
    layer.set_weights(model.get_weights())
    want = layer(x, mask=MASK)
    np.testing.assert_array_equal(model(x, mask=own), want)
    np.testing.assert_array_equal(Sequential([Turned(), layer])(x, mask=own), want)
    np.testing.assert_array_equal(own, MASK)


def test_a_cell_may_write_over_its_states():
    """Also where steps are masked, come from the caller, or are a stream's."""
    x, state = numbers(2, 4, 3, dtype="float32"), [numbers(2, 3, dtype="float32"), numbers(2, 3, dtype="float32")]
    given, own = [s.copy() for s in state], x.copy()
    layer = layers.RNN(Mixing(True), return_sequences=True, return_state=True, zero_output_for_mask=True)
    outputs, h, c = layer(own, initial_state=given, mask=MASK)
    steps = np.cumsum(np.where(MASK[..., None], x / 2, 0), axis=1)
    np.testing.assert_allclose(outputs, np.where(MASK[..., None], state[0][:, None] + steps, 0), rtol=1e-6)
    np.testing.assert_allclose([h, c], [state[0] + steps[:, -1], state[1] - steps[:, -1]], rtol=1e-6)
    for a, b in zip([own, *given], [x, *state], strict=True):
        np.testing.assert_array_equal(a, b)
    Mixing(True)(own[:, 0], given)
    stream = Sequential([layers.RNN(Mixing(True), return_sequences=True, input_shape=(None, 3))]).stream(2, 4)
    np.testing.assert_allclose(stream(own), np.cumsum(x / 2, axis=1), rtol=1e-6)
    for a, b in zip([own, *given], [x, *state], strict=True):
        np.testing.assert_array_equal(a, b)


class Distance(losses.Loss):
    def call(self, y_true, y_pred):
        return np.square(y_pred - y_true).sum(-1)

    def gradient(self, y_true, y_pred):
        return 2 * (y_pred - y_true)


class OverOutputs(Distance):
    def call(self, y_true, y_pred):
        y_pred -= y_true
        return np.square(y_pred).sum(-1)


class OverTargets(Distance):
    def gradient(self, y_true, y_pred):
        y_true -= y_pred
        return -2 * y_true


class Penalty(regularizers.Regularizer):
    def __call__(self, values):
        values *= values
        return float(values.sum())


def over_targets(y_true, y_pred):
    y_true -= y_pred
    return np.abs(y_true).mean(-1)


@pytest.mark.parametrize("loss", [OverOutputs(), OverTargets(), "mse", "mae"])
def test_what_only_looks_at_the_data_cannot_write_to_them(loss):
    penalty = Penalty() if loss == "mae" else None
    metrics = [over_targets] if loss == "mse" else []
    model = Sequential([layers.Dense(3, "sigmoid", activity_regularizer=penalty, input_shape=(3,))])
    model.compile("sgd", loss, metrics=metrics)
    x, y = numbers(5, 3, dtype="float32"), numbers(5, 3, dtype="float32")
    targets = y.copy()
    for call in (model.train_on_batch, model.test_on_batch, model.fit, model.evaluate):
        if isinstance(loss, OverTargets) and call in (model.test_on_batch, model.evaluate):
            continue  # no gradient is asked for
        with pytest.raises(ValueError, match="read-only"):
            call(x, targets)
    np.testing.assert_array_equal(targets, y)


def test_metrics_may_reshape_what_they_look_at():
    def flat(y_true, y_pred):
        y_true.shape = y_pred.shape = (-1,)
        return np.abs(y_true - y_pred)

    def by_row(y_true, y_pred):
        return np.abs(y_true - y_pred).max(-1)

    model = Sequential([layers.Dense(3, "sigmoid", input_shape=(3,))])
    model.compile("sgd", "mse", metrics=[flat, by_row], weighted_metrics=[flat, by_row])
    x, y = numbers(5, 3, dtype="float32"), numbers(5, 3, dtype="float32")
    error = np.abs(model(x) - y)
    want = [np.square(error).mean(), *[error.mean(), error.max(-1).mean()] * 2]
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), want, rtol=1e-5)


def test_what_is_given_of_the_weights_may_be_reshaped_in_place():
    model = Sequential([layers.LSTM(3, input_shape=(None, 2)), layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = numbers(2, 4, 2, dtype="float32"), numbers(2, 1, dtype="float32")
    v, p = model.weights[0], model.parameters
    for array in (v.value, v.gradient, p.values, p.gradients):
        array.shape = (1, -1, 2)
        array.dtype = "int16"
    assert v.value.shape == v.gradient.shape == (2, 12)
    assert p.values.dtype == p.gradients.dtype == np.float32
    before = model(x)
    model.train_on_batch(x, y)
    assert (model(x) != before).all()


class TwiceLSTM(layers.LSTM):
    """A layer of the user's that writes over what the one it is derived from returns."""

    def forward(self, inputs, training=False, mask=None):
        outputs = super().forward(inputs, training, mask=mask)
        outputs *= 2
        return outputs

    def backward(self, d_outputs, need_d_inputs=True):
        return super().backward(2 * d_outputs, need_d_inputs)


SHARED = {
    "LSTM": lambda: layers.LSTM(5, return_sequences=True),
    "GRU": lambda: layers.GRU(5, return_sequences=True, go_backwards=True),
    "SimpleRNN": lambda: layers.SimpleRNN(5, return_sequences=True),
    "MinGRU": lambda: layers.MinGRU(5, return_sequences=True),
    "MinLSTM": lambda: layers.MinLSTM(5, return_sequences=True, go_backwards=True),
    "SLSTM": lambda: layers.SLSTM(5, return_sequences=True),
    "Bidirectional": lambda: layers.Bidirectional(layers.LSTM(5, return_sequences=True)),
}


@pytest.mark.parametrize("name", SHARED)
def test_outputs_that_backward_reads_cannot_be_written_to(name):
    x = numbers(2, 3, 4).astype("float32")
    layer = SHARED[name]()
    layer(x)
    outputs = layer.forward(x, training=True)
    with pytest.raises(ValueError, match="read-only"):
        outputs[...] = 0
    with pytest.raises(ValueError, match="WRITEABLE"):
        outputs.flags.writeable = True
    outputs.base.flags.writeable = True
    outputs.base.resize(1, refcheck=False)
    with pytest.raises(ValueError, match="outputs: their memory was given up between forward and backward"):
        layer.backward(np.ones((2, 3, 10 if name == "Bidirectional" else 5), "float32"))
    assert layer.forward(x).flags.writeable
    assert layer(x, training=True).flags.writeable


def test_a_layer_derived_from_ours_may_write_to_what_that_returns():
    lstmcore.utils.set_random_seed(0)
    derived = TwiceLSTM(5, return_sequences=True, dtype="float64")
    plain = layers.LSTM(5, return_sequences=True, dtype="float64")
    x, d = numbers(2, 3, 4), numbers(2, 3, 5, seed=1)
    for layer in (derived, plain):
        layer(x)
    derived.set_weights(plain.get_weights())
    for layer, factor in ((derived, 1), (plain, 2)):
        for v in layer.variables:
            v.gradient.fill(0)
        layer.forward(x, training=True)
        layer.d_inputs = layer.backward(factor * d)
    np.testing.assert_array_equal(derived.d_inputs, plain.d_inputs)
    for one, other in zip(derived.variables, plain.variables, strict=True):
        np.testing.assert_array_equal(one.gradient, other.gradient)
