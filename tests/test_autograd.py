"""Gradients that nobody writes: losses, activations, layers and cells in NumPy, by the package autograd."""

import sys
import threading

import autograd.numpy as np
import numpy as onp
import pytest
from layer_tools import Elman, by_differences, numbers

from lstmcore import Input, Model, Sequential, activations, layers, losses, metrics, utils
from lstmcore.layers import GRU, LSTM, RNN, Activation, Add, Cell, Dense, Layer, LSTMCell, SimpleRNN, StackedRNNCells
from lstmcore.models import load_model
from lstmcore.utils import check_gradients

MASK = onp.array([[True, True, False, False], [True, True, True, False]])


def without_autograd(monkeypatch):
    for name in ("autograd", "autograd.numpy", "autograd.core", "autograd.builtins"):
        monkeypatch.setitem(sys.modules, name, None)


# --- losses ---


def cubes(y_true, y_pred):
    return np.mean(np.abs(y_pred - y_true) ** 3, axis=-1)


class Cubes(losses.Loss):
    def call(self, y_true, y_pred):
        return cubes(y_true, y_pred)


@pytest.mark.parametrize(
    "given", [cubes, Cubes(), Cubes, lambda y, p: cubes(y, p)], ids=["def", "object", "class", "λ"]
)
@pytest.mark.parametrize("weights", [None, onp.array([[1.0, 0.0, 2.0, 0.5], [3.0, 1.0, 0.0, 1.0]])])
def test_a_loss_without_a_gradient_has_that_of_differences(given, weights):
    loss, y, p = losses.resolve(given), numbers(2, 4, 3), numbers(2, 4, 3, seed=1)
    value, d = loss.value_and_gradient(y, p, weights)
    each = onp.mean(onp.abs(p - y) ** 3, axis=-1)
    assert value == pytest.approx((each if weights is None else each * weights).mean(), rel=1e-14)
    onp.testing.assert_allclose(d, by_differences(lambda: loss.value(y, p, weights), p), rtol=1e-6, atol=1e-8)


SHAPES = {
    "a number": (lambda y, p: np.mean((p - y) ** 2), lambda y, p: ((p - y) ** 2).mean()),
    "outputs": (lambda y, p: (p - y) ** 2, lambda y, p: ((p - y) ** 2).mean()),
    "sequences": (
        lambda y, p: np.sqrt(np.sum((p - y) ** 2, axis=(1, 2))),
        lambda y, p: onp.sqrt(((p - y) ** 2).sum((1, 2))).mean(),
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_loss_may_be_any_array_whose_mean_is_meant(name):
    function, expected = SHAPES[name]
    loss, y, p = losses.resolve(function), numbers(2, 4, 3), numbers(2, 4, 3, seed=1)
    value, d = loss.value_and_gradient(y, p)
    assert value == pytest.approx(expected(y, p), rel=1e-14)
    onp.testing.assert_allclose(d, by_differences(lambda: expected(y, p), p), rtol=1e-6, atol=1e-9)


def test_weights_and_masks_of_losses_that_are_not_one_a_sample():
    y, p, rows = numbers(2, 4, 3), numbers(2, 4, 3, seed=1), onp.array([1.0, 3.0])
    steps = losses.combine_weights((2, 4), rows, MASK)
    each = losses.resolve(lambda y, p: np.mean((p - y) ** 2, axis=-1))
    outputs = losses.resolve(SHAPES["outputs"][0])
    for one, other in zip(each.value_and_gradient(y, p, steps), outputs.value_and_gradient(y, p, steps), strict=True):
        onp.testing.assert_allclose(one, other, rtol=1e-13)
    sequences = losses.resolve(SHAPES["sequences"][0])
    weights = losses.combine_weights((2, 4), rows, None)
    expected = (onp.sqrt(((p - y) ** 2).sum((1, 2))) * rows).mean()
    value, d = sequences.value_and_gradient(y, p, weights)
    assert value == pytest.approx(expected, rel=1e-14)
    assert sequences.value(y, p, weights) == value
    onp.testing.assert_allclose(d, by_differences(lambda: sequences.value(y, p, weights), p), rtol=1e-6, atol=1e-9)
    number = losses.resolve(SHAPES["a number"][0])
    for loss, wrong in ((number, steps), (number, weights), (sequences, steps)):
        for method in (loss.value, loss.value_and_gradient):
            with pytest.raises(ValueError, match=r"expected the loss of each sample, shape \(2, 4\), for sample weig"):
                method(y, p, wrong)


def test_what_is_masked_may_be_nan_in_the_targets():
    y, p = numbers(2, 4, 3), numbers(2, 4, 3, seed=1)
    weights = losses.combine_weights((2, 4), None, MASK)
    expected = losses.resolve(cubes).value_and_gradient(y, p, weights)
    y[~MASK] = onp.nan
    for one, other in zip(expected, losses.resolve(cubes).value_and_gradient(y, p, weights), strict=True):
        onp.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 1e-5), ("float64", 1e-12)])
def test_a_model_learns_with_a_loss_of_ones_own_as_with_ours(dtype, rtol):
    x, y = numbers(16, 4, 3, dtype=dtype), numbers(16, 4, 1)
    x[:4, 2:] = 0
    results = []
    for loss in ("mse", lambda y, p: np.mean(np.square(p - y), axis=-1)):
        utils.set_random_seed(1)
        masking = layers.Masking(0.0, input_shape=(4, 3), dtype=dtype)
        model = Sequential([masking, LSTM(4, return_sequences=True), Dense(1)])
        model.compile("adam", loss, metrics=["mae"])
        model.fit(x, y, epochs=2, verbose=0, sample_weight=onp.arange(16.0))
        assert {w.dtype for w in model.get_weights()} == {onp.dtype(dtype)}
        results.append([*model.get_weights(), model.evaluate(x, y, verbose=0)])
    for one, other in zip(*results, strict=True):
        onp.testing.assert_allclose(one, other, rtol=rtol, atol=rtol)


NAMES = [name for name in losses.FUNCTIONS if name not in ("crf", "ctc")]


@pytest.mark.parametrize("name", NAMES)
def test_losses_of_ours_within_one_of_ones_own(name):
    function, p = losses.FUNCTIONS[name], 0.1 + 0.8 * onp.random.default_rng(0).random((4, 3))
    y = onp.array([0, 1, 2, 0]) if "sparse" in name else onp.random.default_rng(1).random((4, 3))
    whole = losses.get(function.loss_class)

    def mine(y_true, y_pred):
        return 2 * function(y_true, y_pred) + whole(y_true, y_pred) + np.sum(y_pred**2, axis=-1)

    loss = losses.resolve(mine)
    loss.targets = whole.targets
    true = loss.targets(y, p.shape, p.dtype)
    value, d = loss.value_and_gradient(true, p)
    assert value == pytest.approx(3 * whole(y, p) + (p**2).sum(-1).mean(), rel=1e-14)
    expected = by_differences(lambda: 3 * whole(y, p) + (p**2).sum(-1).mean(), p)
    onp.testing.assert_allclose(d, expected, rtol=1e-6, atol=1e-8)


class Endpoint(layers.Layer):
    """As the guides of Keras have it: adds a loss of ours, of targets that are an input, and measures."""

    def __init__(self, loss, metric="mse", **options):
        super().__init__(**options)
        self.loss_fn, self.seen = losses.get(loss), metrics.get(metric)

    def call(self, targets, logits, sample_weight=None):
        self.add_loss(self.loss_fn(targets, logits, sample_weight))
        self.seen.update_state(targets, logits)
        return logits * 1


class Losses(layers.Layer):
    """Returns the losses of samples."""

    def __init__(self, loss, **options):
        super().__init__(**options)
        self.loss_fn = loss

    def call(self, targets, outputs, weights=None):
        return np.reshape(self.loss_fn(targets, outputs, weights), (-1, 1))


def endpoint_of(layer, shape, weighted, dtype="float64"):
    y, p, w = (Input(one, dtype=dtype) for one in (shape, shape, ()))
    return Model([y, p, w], layer(y, p, w) if weighted else layer(y, p)) if weighted else Model([y, p], layer(y, p))


BY_TARGETS = [
    "mse",
    "mae",
    "msle",
    "huber",
    "log_cosh",
    "cosine_similarity",
    "poisson",
    "bce",
    "categorical_crossentropy",
]


@pytest.mark.parametrize("name", BY_TARGETS)
@pytest.mark.parametrize("reduction", ["none", "sum_over_batch_size", "sum", "mean_with_sample_weight"])
def test_losses_of_ours_within_a_call_have_gradients_by_targets_and_weights(name, reduction):
    random = onp.random.default_rng(0)
    y, p = 0.1 + 0.8 * random.random((2, 4, 3))
    given = [y, p, random.random(4)]
    for weighted in (False, True):
        loss = losses.get(name).loss_class(reduction=reduction)
        layer = Losses(loss, dtype="float64")
        arrays = given[: 2 + weighted]
        want = onp.reshape(loss(*arrays), (-1, 1))
        onp.testing.assert_allclose(layer(*arrays), want, rtol=1e-14)
        onp.testing.assert_allclose(layer(*arrays, training=True), want, rtol=1e-14)
        assert check_gradients(endpoint_of(layer, (3,), weighted), arrays).ok


def test_what_has_no_derivatives_by_targets_within_a_call_says_so():
    y, p = numbers(4, 3), numbers(4, 3, seed=1)
    with pytest.raises(TypeError, match=r"kl_divergence: y_true: has no derivatives by the targets.*autograd\.numpy"):
        Losses(losses.KLDivergence(reduction="none"))(y, p, training=True)
    labels = onp.array([[0.0], [1.0], [2.0], [0.0]], "float32")  # which have none, and need none
    layer = Losses(losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none"))
    layer(labels, p, training=True)
    layer.backward(onp.ones((4, 1), "float32"))
    own = losses.LossFunctionWrapper(lambda y, p: np.mean((y - p) ** 2 * y, axis=-1), reduction="none")
    model = endpoint_of(Losses(own, dtype="float64"), (3,), False)
    assert check_gradients(model, [y.astype("float64"), p.astype("float64")]).ok


def test_a_model_learns_by_what_a_layer_adds_to_the_loss_alone():
    """With the loss of ours, of targets that come as an input, it learns what it learns by `compile` and targets."""
    x, y, weight = numbers(8, 3), (numbers(8, 1, seed=1) > 0).astype("float32"), onp.linspace(0, 1, 8, dtype="float32")
    models = []
    for adds in (True, False):
        given = [Input((3,), name="x"), Input((1,), name="y"), Input((), name="weight")]
        outputs = layers.Dense(1, kernel_initializer="ones")(given[0])
        if adds:
            outputs = Endpoint(losses.BinaryCrossentropy(from_logits=True))(given[1], outputs, given[2])
        models.append(Model(given if adds else given[0], outputs))
    one, other = models
    one.compile("sgd")
    other.compile("sgd", losses.BinaryCrossentropy(from_logits=True))
    got = one.fit({"x": x, "y": y, "weight": weight}, epochs=3, batch_size=4, shuffle=False, verbose=0).history
    want = other.fit(x, y, sample_weight=weight, epochs=3, batch_size=4, shuffle=False, verbose=0).history
    assert list(got) == ["loss", "mse"]
    onp.testing.assert_allclose(got["loss"], want["loss"], rtol=1e-5)
    onp.testing.assert_allclose(one.get_weights()[0], other.get_weights()[0], rtol=1e-5)
    scores = one.evaluate([x, y, weight], verbose=0)
    assert scores[0] == pytest.approx(other.evaluate(x, y, sample_weight=weight, verbose=0), rel=1e-5)
    data = [([x[:4], y[:4], weight[:4]],), ([x[4:], y[4:], weight[4:]],)]
    assert one.evaluate(iter(data), verbose=0) == pytest.approx(scores)
    assert one.test_on_batch([x, y, weight]) == pytest.approx(scores)
    one.train_on_batch([x, y, weight], y)  # of which nobody asks anything
    one.fit([x, y, weight], validation_split=0.5, verbose=0)
    with pytest.raises(ValueError, match=r"class_weight: expected None without targets"):
        one.fit([x, y, weight], class_weight={0: 1.0, 1: 2.0}, verbose=0)


class AddsSquares(layers.Layer):
    """With passes of its own."""

    def forward(self, inputs, training=False):
        self.add_loss(onp.square(inputs).sum())
        self._cache = inputs
        return inputs

    def backward(self, d_outputs, need_d_inputs=True):
        return d_outputs + 2 * self.kept()


@pytest.mark.parametrize("kind", ["chain", "graph", "two outputs", "by hand", "penalty"])
def test_without_a_loss_what_is_added_is_all(kind):
    class ByHand(Model):
        def __init__(self):
            super().__init__()
            self.first, self.last = layers.Dense(2, kernel_initializer="ones"), AddsSquares()

        def forward(self, inputs, training=False):
            return self.last(self.first(inputs, training=training), training=training)

        def backward(self, d_outputs, need_d_inputs=True):
            return self.first.backward(self.last.backward(d_outputs), need_d_inputs)

    x, dense = (
        Input((3,)),
        layers.Dense(2, kernel_initializer="ones", kernel_regularizer="l2" if kind == "penalty" else None),
    )
    model = {
        "chain": lambda: Sequential([dense, AddsSquares()]),
        "graph": lambda: Model(x, AddsSquares()(dense(x))),
        "two outputs": lambda: Model(x, [AddsSquares()(dense(x)), layers.Dense(1)(x)]),
        "by hand": ByHand,
        "penalty": lambda: Sequential([dense]),
    }[kind]()
    data = numbers(4, 3)
    model.compile("sgd")
    assert model.predict(data, verbose=0) is not None
    kernel = model.get_weights()[0]
    value = model.train_on_batch(data)
    if kind == "penalty":
        assert value == pytest.approx(0.01 * onp.square(kernel).sum(), rel=1e-5)
        gradient = 0.02 * kernel
    else:
        assert value == pytest.approx(onp.square(data @ kernel).sum(), rel=1e-5)
        gradient = 2 * data.T @ (data @ kernel)
    onp.testing.assert_allclose(model.get_weights()[0], kernel - 0.01 * gradient, rtol=1e-4)
    model.fit(data, verbose=0)
    model.fit(iter([data, data]), verbose=0)


def test_no_loss_at_all_is_told():
    model = Sequential([layers.Dense(1, input_shape=(3,))])
    model.compile("sgd")
    x, y = numbers(4, 3), numbers(4, 1)
    for step in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(
            ValueError, match=r"loss: expected one in compile, or a layer that adds to it .*got neither"
        ):
            step(x, y)
    model.compile("sgd", metrics=["mae"])
    with pytest.raises(ValueError, match=r"y: expected targets, got None"):
        model.evaluate(x)


# --- activations ---


def test_activations_of_ones_own_and_of_ours_within_them():
    x, d = numbers(4, 3), numbers(4, 5, seed=1)
    for function in (
        lambda x: x / (1 + np.abs(x)),
        lambda x: np.where(x > 0, x, np.exp(x) - 1),
        lambda x: activations.gelu(activations.relu(x, negative_slope=0.2)) * x,
        lambda x: activations.softmax(x),
    ):
        layer = Dense(5, function, dtype="float64")
        y = layer(x, training=True)
        layer.bias.assign(numbers(5))
        y = layer(x, training=True)
        d_x = layer.backward(d)
        onp.testing.assert_allclose(d_x, by_differences(lambda la=layer: (la(x) * d).sum(), x), rtol=1e-6, atol=1e-8)
        expected = by_differences(lambda la=layer: (la(x) * d).sum(), layer.kernel)
        onp.testing.assert_allclose(layer.kernel.gradient, expected, rtol=1e-6, atol=1e-8)
        assert y.dtype == d_x.dtype == onp.float64


def test_numbers_in_float64_do_not_make_outputs_that():
    for make in (lambda f: Dense(3, f), Activation, layers.Lambda):
        layer = make(lambda x: onp.float64(2) * np.tanh(x))
        x = numbers(2, 3, dtype="float32")
        assert layer(x).dtype == onp.float32
        y = layer(x, training=True)
        assert y.dtype == onp.float32
        assert layer.backward(y).dtype == onp.float32


# --- layers ---


class Attention(Layer):
    """Scaled products of queries, keys and values, all of the inputs."""

    def build(self, input_shape):
        width = input_shape[-1]
        self.query = self.add_weight(name="query", shape=(width, width))
        self.others = [self.add_weight(name=name, shape=(width, width)) for name in ("key", "value")]

    def call(self, inputs, mask=None):
        query = np.matmul(inputs, self.query)
        key, value = (inputs @ kernel for kernel in self.others)
        scores = np.einsum("bqd,bkd->bqk", query, key) / np.sqrt(inputs.shape[-1])
        if mask is not None:
            scores = np.where(mask[:, None, :], scores, -1e9)
        weights = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
        return (weights / np.sum(weights, axis=-1, keepdims=True)) @ value


@pytest.mark.peer
@pytest.mark.parametrize("mask", [None, MASK])
def test_a_layer_with_call_is_what_pytorch_makes_of_it(mask):
    torch = pytest.importorskip("torch")
    x, d = numbers(2, 4, 3), numbers(2, 4, 3, seed=1)
    layer = Attention(dtype="float64")
    layer(x)
    layer.set_weights([numbers(3, 3, seed=k) for k in range(3)])
    options = {} if mask is None else {"mask": mask}
    y = layer(x, training=True, **options)
    onp.testing.assert_array_equal(layer(x, **options), y)
    d_x = layer.backward(d)
    inputs, *kernels = (torch.tensor(a, requires_grad=True) for a in (x, *layer.get_weights()))
    query, key, value = (inputs @ kernel for kernel in kernels)
    scores = query @ key.transpose(1, 2) / 3**0.5
    if mask is not None:
        scores = scores.masked_fill(~torch.tensor(mask)[:, None, :], -1e9)
    theirs = torch.softmax(scores, -1) @ value
    theirs.backward(torch.tensor(d))
    onp.testing.assert_allclose(y, theirs.detach().numpy(), rtol=1e-12)
    onp.testing.assert_allclose(d_x, inputs.grad.numpy(), rtol=1e-10, atol=1e-14)
    for variable, kernel in zip(layer.variables, kernels, strict=True):
        onp.testing.assert_allclose(variable.gradient, kernel.grad.numpy(), rtol=1e-10, atol=1e-14)


def test_call_is_told_of_training_and_of_masks_if_it_asks():
    class Told(Layer):
        def call(self, inputs, training=None, mask=None):
            seen.append((training, mask))
            return inputs

    class Untold(Layer):
        def call(self, inputs):
            return inputs

    class Anything(Layer):
        def call(self, inputs, **options):
            seen.append((options["training"], options.get("mask")))
            return inputs

    x = numbers(2, 4, 3, dtype="float32")
    for kind in (Told, Anything):
        seen = []
        layer = kind()
        layer(x)
        layer(x, mask=MASK, training=True)
        assert seen[0] == (False, None)
        assert seen[1][0] is True
        assert layer.consumes_mask == (kind is Told)
        if kind is Told:
            onp.testing.assert_array_equal(seen[1][1], MASK)
    layer = Untold()
    _, mask = layer.forward_with_mask(x, False, MASK)
    assert not layer.consumes_mask
    onp.testing.assert_array_equal(mask, MASK)  # goes on

    class Later(Told):
        def call(self, inputs):
            return 2 * inputs

    assert not Later.consumes_mask
    onp.testing.assert_array_equal(Later()(x, training=True), 2 * x)


class Mixed(Layer):
    """Two inputs, further arguments, two outputs."""

    def build(self, input_shape):
        self.kernel = self.add_weight(name="kernel", shape=(input_shape[0][-1], 2))

    def call(self, inputs, scale=None):
        one, other = inputs
        y = one @ self.kernel + other
        return y if scale is None else y * scale, np.tanh(y)


def test_graphs_of_layers_with_call_have_the_gradients_of_differences():
    a, b, c = Input((3,), name="a"), Input((2,), name="b"), Input((2,), name="c")
    mixed = Mixed()
    first, second = mixed([a, b])
    third, unused = mixed([Add()([a, a]), second], scale=c)  # called again
    assert (first.shape, unused.shape) == ((None, 2), (None, 2))
    model = Model({"a": a, "b": b, "c": c}, Dense(2)(Add()([first, third])))
    x = {"a": numbers(5, 3), "b": numbers(5, 2), "c": numbers(5, 2, seed=1)}
    report = utils.check_gradients(model, x)
    report.raise_if_wrong()
    assert [error.name for error in report.errors][-3:] == ["inputs[0]", "inputs[1]", "inputs[2]"]
    model.compile("adam", "mse")
    utils.check_gradients(model, x, numbers(5, 2)).raise_if_wrong()
    one, other = (Model([a, b, c], out).predict(list(x.values()), verbose=0) for out in (first, third))
    onp.testing.assert_allclose(one, x["a"].astype("float32") @ mixed.get_weights()[0] + x["b"], rtol=1e-5, atol=1e-6)
    assert other.shape == (5, 2)


class Weighed(Layer):
    """Further inputs, the first of which may stand second as in Keras."""

    def call(self, query, value, others=()):
        return sum((np.tanh(query * other) for other in others), query * value)

    def compute_output_shape(self, input_shape):
        return input_shape


def test_further_inputs_stand_second_or_have_names():
    arrays = [numbers(5, 3, seed=k) for k in range(4)]
    query, value, *others = arrays
    expected = query * value + sum(onp.tanh(query * other) for other in others)
    layer = Weighed(dtype="float64")
    for y in (layer(query, value, others=others), layer(query, value=value, others=others, training=True)):
        onp.testing.assert_allclose(y, expected, rtol=1e-14)
    symbols = [Input((3,), dtype="float64") for _ in arrays]
    model = Model(symbols, Weighed()(symbols[0], symbols[1], others=symbols[2:]))
    onp.testing.assert_allclose(model(arrays), expected, rtol=1e-14)
    twin = type(model).from_config(model.get_config(), custom_objects={"Weighed": Weighed})
    onp.testing.assert_allclose(twin(arrays), expected, rtol=1e-14)
    report = utils.check_gradients(model, arrays)
    report.raise_if_wrong()
    assert len(report.errors) == 4
    with pytest.raises(TypeError, match="multiple values for argument 'value'"):
        layer(query, value, value=value)


def test_layers_with_call_stand_within_others_and_in_models_of_ones_own():
    class Doubles:
        def call(self, inputs):
            return 2 * inputs

    class Doubled(Doubles, Layer):
        pass

    class Forecast(Model):
        def __init__(self):
            super().__init__()
            self.doubled, self.attention, self.dense = Doubled(), Attention(), Dense(1)

        def forward(self, inputs, training=False):
            inputs = self.doubled(inputs, training=training)
            return self.dense(self.attention(inputs, training=training), training=training)

        def backward(self, d_outputs, need_d_inputs=True):
            return self.doubled.backward(self.attention.backward(self.dense.backward(d_outputs)), need_d_inputs)

    x = numbers(2, 4, 3)
    for target, inputs in (
        (Forecast(), x),
        (layers.TimeDistributed(Attention()), numbers(2, 3, 4, 3)),
        (layers.Bidirectional(RNN(ElmanCall(3))), x),
        (layers.Residual([Attention(), Doubled()]), x),
    ):
        utils.check_gradients(target, inputs).raise_if_wrong()
    model = Sequential([RNN(ElmanCall(3), return_sequences=True, input_shape=(None, 3)), Dense(2)])
    stream, row = model.stream(), x[:1].astype("float32")
    pieces = [stream(row[:, k : k + 1]) for k in range(4)]
    onp.testing.assert_allclose(onp.concatenate(pieces, axis=1), model.predict(row, verbose=0), rtol=1e-5, atol=1e-6)


def test_shapes_of_outputs_are_found_by_calling():
    class Ends(Layer):
        def call(self, inputs):
            return inputs[:, -1], np.reshape(inputs, (inputs.shape[0], -1, 2)), np.sum(inputs)[None]

    shapes = Ends().compute_output_shape((None, None, 6))
    assert shapes == ((None, 6), (None, None, 2), (1,))
    assert Ends().compute_output_shape((4, 5, 6)) == ((4, 6), (4, 15, 2), (1,))

    class Counted(Layer):
        def build(self, input_shape):
            self.count = self.add_weight(name="count", shape=(), initializer="zeros", trainable=False)

        def call(self, inputs):
            self.count.assign_add(1)
            return inputs

    layer = Counted()
    layer(Input((3,)))
    assert layer.count.value == 0

    class Fifth(Layer):
        def call(self, inputs):
            return inputs[:, 30]

    with pytest.raises(ValueError, match=r"fifth.*: call: on zeros of shape \(2, 12, 3\) it raises IndexError"):
        Fifth()(Input((None, 3)))

    class Said(Fifth):
        def compute_output_shape(self, input_shape):
            return (input_shape[0], input_shape[2])

    assert Said()(Input((None, 3))).shape == (None, 3)


def test_weights_that_are_not_trained_are_variables_within_call():
    class Centred(Layer):
        def build(self, input_shape):
            self.scale = self.add_weight(name="scale", shape=input_shape[-1:], initializer="ones")
            self.mean = self.add_weight(name="mean", shape=input_shape[-1:], initializer="zeros", trainable=False)

        def call(self, inputs, training=False):
            centred = (inputs - self.mean) * self.scale + self.mean * 0.1
            if training:
                self.mean.assign(0.9 * self.mean + 0.1 * onp.ones(3))
            return centred @ np.outer(self.mean, self.scale).T

    layer, x = Centred(), numbers(4, 3)
    layer(x)
    assert layer.mean.value.tolist() == [0, 0, 0]
    layer(x, training=True)
    onp.testing.assert_allclose(layer.mean.value, 0.1, rtol=1e-6)
    utils.check_gradients(layer, x).raise_if_wrong()
    assert [v.name for v in layer.trainable_variables] == ["scale"]


def test_a_model_with_such_layers_is_saved_loaded_and_trained_on(tmp_path):
    model = Sequential([Attention(input_shape=(4, 3)), GRU(3), Dense(1)])
    model.compile("adam", cubes)
    x, y = numbers(8, 4, 3, dtype="float32"), numbers(8, 1)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model")
    twin = load_model(tmp_path / "model", custom_objects={"Attention": Attention, "cubes": cubes})
    for each in (model, twin):
        each.fit(x, y, verbose=0, shuffle=False)
    for one, other in zip(model.get_weights(), twin.get_weights(), strict=True):
        onp.testing.assert_array_equal(one, other)


def test_threads_do_not_see_each_others_weights():
    def train(seed, results, begin=None):
        if begin is not None:
            begin.wait()
        layer = Attention(name=f"attention{seed}", dtype="float64")
        layer.build((None, 4, 3))
        layer.set_weights([numbers(3, 3, seed=seed + k) for k in range(3)])
        found = []
        for k in range(20):
            y = layer(numbers(2, 4, 3, seed=k), training=True)
            found += [y, layer.backward(y), layer.query.gradient.copy()]
        results[seed] = found

    alone, together, begin = {}, {}, threading.Barrier(4)
    for seed in range(4):
        train(seed, alone)
    threads = [threading.Thread(target=train, args=(seed, together, begin)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(4):
        for one, other in zip(alone[seed], together[seed], strict=True):
            onp.testing.assert_array_equal(one, other)


# --- cells ---


class ElmanCall(Cell):
    """`Elman` as Keras has it; its only state stands in no list."""

    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = self.state_size = units

    build = Elman.build

    def call(self, inputs, states):
        h = np.tanh(np.dot(inputs, self.w) + np.dot(states[0], self.r) + self.b)
        return h, h


class LSTMCall(Cell):
    """`LSTM`'s cell."""

    state_size = (3, 3)

    def build(self, input_shape):
        self.weights_of = {
            "kernel": self.add_weight(name="kernel", shape=(input_shape[-1], 12)),
            "recurrent_kernel": self.add_weight(name="recurrent_kernel", shape=(3, 12)),
            "bias": self.add_weight(name="bias", shape=(12,)),
        }

    def call(self, inputs, states, training=False):
        h, c = states
        z = inputs @ self.weights_of["kernel"] + h @ self.weights_of["recurrent_kernel"] + self.weights_of["bias"]
        i, f, g, o = np.split(z, 4, axis=1)
        c = activations.sigmoid(f) * c + activations.sigmoid(i) * np.tanh(g)
        h = activations.sigmoid(o) * np.tanh(c)
        return h, [h, c]


CELLS = {
    "Elman": (lambda: ElmanCall(3), lambda **o: SimpleRNN(3, **o)),
    "LSTM": (LSTMCall, lambda **o: LSTM(3, **o)),
}


@pytest.mark.parametrize("options", [{}, {"return_sequences": True, "go_backwards": True}], ids=["last", "backwards"])
@pytest.mark.parametrize("mask", [None, MASK], ids=["all", "mask"])
@pytest.mark.parametrize("name", CELLS)
def test_a_cell_with_call_is_the_layer(name, mask, options):
    cell, layer = CELLS[name]
    both = [RNN(cell(), dtype="float64", **options), layer(dtype="float64", **options)]
    x, results = numbers(2, 4, 3), []
    for each in both:
        each.build((None, None, 3))
        each.set_weights([numbers(*w.shape, seed=k) for k, w in enumerate(each.get_weights())])
        y = each(x, mask=mask, training=True)
        onp.testing.assert_allclose(each(x, mask=mask), y, rtol=1e-13)
        results.append([y, each.backward(numbers(*y.shape, seed=5)), *(v.gradient for v in each.variables)])
    for one, other in zip(*results, strict=True):
        onp.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13)


def test_cells_with_call_stand_beside_others():
    model = Sequential(
        [RNN([ElmanCall(3), LSTMCell(4)], return_sequences=True), RNN(StackedRNNCells([LSTMCall(), ElmanCall(2)]))]
    )
    utils.check_gradients(model, numbers(2, 4, 3)).raise_if_wrong()
    for initial in ([numbers(2, 3)], numbers(2, 3)):
        utils.check_gradients(RNN(ElmanCall(3)), numbers(2, 4, 3), initial_state=initial).raise_if_wrong()


def test_what_a_cell_returns_is_checked():
    def cell(returned):
        return type("Mine", (Cell,), {"state_size": 3, "call": lambda self, inputs, states: returned(inputs)})()

    x = numbers(2, 4, 3, dtype="float32")
    for returned, text in (
        (lambda x: x, r"mine.*: call: expected to return \(output, new_states\), got ndarray"),
        (lambda x: (x, [x, x]), r"mine.*: forward: expected 1 new states, got 2"),
        (lambda x: (x[:, :2], [x]), r"mine.*: forward: output: expected shape \(2, 3\), got \(2, 2\)"),
    ):
        with pytest.raises(ValueError, match=text):
            RNN(cell(returned))(x)


# --- what cannot be ---


def named_loss(function):
    def loss(y_true, y_pred):
        return function(y_pred)

    loss.__name__ = function.__name__
    return losses.resolve(loss)


def test_what_autograd_cannot_follow_is_told():
    def whole(x):
        return onp.concatenate([x, x], axis=-1)

    def written(x):
        y = np.tanh(x)
        y[:, 0] = 0
        return y

    def asked(x):
        return x if x > 0 else -x

    def numbers_of_python(x):
        return float(x[0, 0]) * np.ones((2, 3))

    x = numbers(2, 3, dtype="float32")
    for function in (whole, written, numbers_of_python):
        layer = layers.Lambda(function, name="mine")
        layer(x)
        with pytest.raises(TypeError, match=r"^mine: call: has no gradient that autograd could follow.*autograd.numpy"):
            layer(x, training=True)
        with pytest.raises(TypeError, match=rf"^{function.__name__}: call: has no gradient that autograd could follow"):
            named_loss(function).value_and_gradient(x, x)
    with pytest.raises(ValueError, match="truth value"):
        layers.Lambda(asked)(x)


def test_errors_of_the_users_are_left_as_they_are():
    def wrong(x):
        raise TypeError("my own")

    with pytest.raises(TypeError, match=r"^my own$"):
        layers.Lambda(wrong)(numbers(2, 3), training=True)


def test_a_weight_within_call_is_an_array():
    class Old(Layer):
        def build(self, input_shape):
            self.scale = self.add_weight(name="scale", shape=(3,))

        def call(self, inputs):
            return inputs * self.scale.value

    with pytest.raises(AttributeError, match="'value': within call, a weight that is trained is an array itself"):
        Old()(numbers(2, 3))


def test_classes_that_cannot_be_are_refused_when_defined():
    def call(self, inputs):
        return inputs

    with pytest.raises(TypeError, match="Mine: define forward instead of call, or no backward"):
        type("Mine", (Layer,), {"call": call, "backward": lambda self, d_outputs, need_d_inputs=True: d_outputs})
    with pytest.raises(TypeError, match=r"Mine: define forward.* instead of call, .* call those of Dense; or derive"):
        type("Mine", (Dense,), {"call": call})


def test_weights_of_ones_own_beside_layers_within_are_refused():
    class Both(Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.dense = Dense(3, name="inner")

        def build(self, input_shape):
            self.scale = self.add_weight(name="scale", shape=(3,))

        def call(self, inputs):
            return self.dense(inputs)

    with pytest.raises(ValueError, match=r"both.*: call: has weights of its own beside layers within"):
        Both()(numbers(2, 3))


def test_a_way_back_needs_the_way_there_and_gradients_that_fit():
    layer, x = Attention(dtype="float64"), numbers(2, 4, 3)
    layer(x)
    with pytest.raises(RuntimeError, match="backward needs a forward pass with training=True"):
        layer.backward(x)
    layer(x, training=True)
    with pytest.raises(ValueError, match=r"d_outputs: expected shape \(2, 4, 3\), got \(2, 3\)"):
        layer.backward(x[:, 0])


def test_without_autograd_the_extra_is_named_once_a_gradient_is_needed(monkeypatch):
    without_autograd(monkeypatch)
    x, y = numbers(2, 4, 3, dtype="float32"), numbers(2, 4, 3, dtype="float32")
    for make, loss in (
        (Attention, "mse"),
        (lambda: layers.Lambda(lambda x: x * x), "mse"),
        (lambda: RNN(ElmanCall(3), return_sequences=True), "mse"),
        (lambda: Dense(3, lambda x: x * x), "mse"),
        (lambda: LSTM(3, lambda x: x * x, return_sequences=True), "mse"),
        (lambda: Dense(3), cubes),
        (lambda: Dense(3), Cubes()),
    ):
        model = Sequential([make(), Dense(3)] if loss == "mse" else [make()])
        model.compile("sgd", loss)
        assert model.predict(x, verbose=0).shape == (2, 4, 3)
        model.evaluate(x, y, verbose=0)
        with pytest.raises(ImportError, match=r'needs the package autograd: pip install "lstmcore\[grad\]"'):
            model.train_on_batch(x, y)


def test_further_arrays_of_a_call_count_for_the_shape_also_in_models_within():
    class Gated(Layer):
        def call(self, inputs, gate=None):
            return inputs if gate is None else inputs[:, :1] * gate

    a, b = Input((3,)), Input((5,))
    layer = Gated()
    assert layer(a).shape == (None, 3)
    assert layer(a, gate=b).shape == (None, 5)
    inner = Model([a, b], Dense(2)(layer(a, gate=b)))
    c, d = Input((3,)), Input((5,))
    outer = Model([c, d], inner([c, d]))
    x = [numbers(4, 3, dtype="float32"), numbers(4, 5, dtype="float32")]
    assert (outer.predict(x, verbose=0) == inner.predict(x, verbose=0)).all()
    assert inner.compute_output_shape([(7, 3), (7, 5)]) == (7, 2)


def test_what_a_call_adds_to_the_loss_has_a_gradient():
    class Small(Layer):
        def build(self, input_shape):
            self.scale = self.add_weight(name="scale", shape=(input_shape[-1],), initializer="ones")

        def call(self, inputs):
            outputs = self.scale * inputs
            self.add_loss(0.3 * np.mean(outputs**2))
            return outputs

    x = numbers(4, 3)
    model = Sequential([Dense(3, input_shape=(3,), dtype="float64"), Small(dtype="float64"), Dense(1, dtype="float64")])
    model.compile("sgd", "mse")
    utils.check_gradients(model, x, numbers(4, 1)).raise_if_wrong()
    hidden = model.layers[1](model.layers[0](x))
    want = ((model.layers[2](hidden) - 1) ** 2).mean() + 0.3 * (hidden**2).mean()
    assert model.evaluate(x, np.ones((4, 1)), verbose=0) == pytest.approx(want)
    assert model.train_on_batch(x, np.ones((4, 1))) == pytest.approx(want)

    class Wrong(Layer):
        def call(self, inputs):
            self.add_loss(inputs)
            return inputs

    with pytest.raises(ValueError, match=r"add_loss: expected a number, got an array of shape \(4, 3\)"):
        Wrong(dtype="float64")(x, training=True)


class Adding(layers.Layer):
    """Adds the squares of its weight and of its inputs to the loss."""

    def build(self, input_shape):
        self.factor = self.add_weight(name="factor", shape=(input_shape[-1],), initializer="ones", dtype="float64")

    def call(self, inputs):
        self.add_loss(np.sum(self.factor**2) + np.mean(inputs**2))
        return inputs * self.factor


def added_where_no_loss_looks(kind):
    x = Input((3,), dtype="float64")
    adding, dense = Adding(dtype="float64"), layers.Dense(2, dtype="float64")
    if kind == "an output without a loss":
        return Model(x, {"p": adding(x), "q": dense(x)}), {"q": "mse"}
    if kind == "a model within":
        within = Model(x, [adding(x), dense(x)])
        y = Input((3,), dtype="float64")
        return Model(y, layers.Dense(1, dtype="float64")(within(y)[1])), "mse"
    before = layers.Dense(3, dtype="float64")(x)
    frozen = Adding(dtype="float64", trainable=False)
    return Model(x, {"p": frozen(before), "q": dense(x)}), {"q": "mse"}


@pytest.mark.parametrize("kind", ["an output without a loss", "a model within", "a layer before"])
def test_what_is_added_has_its_gradient_where_no_loss_looks_at_the_outputs(kind):
    model, loss = added_where_no_loss_looks(kind)
    model.compile("sgd", loss)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 3))
    y = {"q": rng.normal(size=(4, 2))} if isinstance(loss, dict) else rng.normal(size=(4, 1))
    model.train_on_batch(x, y)
    gradients = {}
    for v in model.trainable_variables:
        value, to = v.numpy(), rng.normal(size=v.shape)

        def moved(s, v=v, value=value, to=to):
            v.assign(value + s * to)
            return model.test_on_batch(x, y, return_dict=True)["loss"]

        gradients[id(v)] = (moved(1e-5) - moved(-1e-5)) / 2e-5, to
        v.assign(value)
    model.optimizer.learning_rate = 0.0
    model.train_on_batch(x, y)
    for v in model.trainable_variables:
        want, to = gradients[id(v)]
        assert (v.gradient * to).sum() == pytest.approx(want, rel=1e-5, abs=1e-8), v.path
