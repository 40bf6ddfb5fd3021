"""The layers without recurrence: values worked out by hand, gradients by differences, noise from its seed, masks,
states, configs, errors.
"""

import json
import math

import numpy as np
import pytest
from layer_tools import assert_gradients_by_differences, by_differences, numbers

import lstmcore
from lstmcore import Model, Sequential, constraints, layers, regularizers
from lstmcore.layers import (
    GRU,
    LSTM,
    RNN,
    SLSTM,
    Activation,
    ActivityRegularization,
    Add,
    AlphaDropout,
    Bidirectional,
    Concatenate,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GaussianDropout,
    GaussianNoise,
    GRUCell,
    Identity,
    Layer,
    LeakyReLU,
    LSTMCell,
    Masking,
    MinGRU,
    Permute,
    PReLU,
    ReLU,
    RepeatVector,
    Reshape,
    Residual,
    SimpleRNN,
    Softmax,
    SpatialDropout1D,
    TimeDistributed,
    UnitNormalization,
)
from lstmcore.serialization import custom_object_scope, deserialize, serialize

BATCH, STEPS, FEATURES = 2, 4, 3
F64 = {"dtype": "float64"}


def seq(**options):
    """Of a recurrent layer that gives an output at every step."""
    return F64 | {"return_sequences": True} | options


REDUCTIONS = ("sum", "mean", "max", "min", "prod", "l1", "l2", "log_sum_exp", "sum_square")
LAYERS = {
    "activation": lambda: Activation("softplus", **F64),
    "activation, of outputs": lambda: Activation("tanh", **F64),
    "relu": lambda: ReLU(1.5, 0.1, 0.2, **F64),
    "leaky relu": lambda: LeakyReLU(**F64),
    "elu": lambda: layers.ELU(0.5, **F64),
    "prelu": lambda: PReLU(**F64),
    "prelu, shared": lambda: PReLU(shared_axes=[1], **F64),
    "softmax": lambda: Softmax(**F64),
    "softmax of the steps": lambda: Softmax(axis=1, **F64),
    "identity": lambda: Identity(**F64),
    "unit normalization": lambda: UnitNormalization(**F64),
    "unit normalization, axes": lambda: UnitNormalization(axis=[1, 2], **F64),
    "flatten": lambda: Flatten(**F64),
    "reshape": lambda: Reshape((-1, 2), **F64),
    "permute": lambda: Permute((2, 1), **F64),
    **{f"reduction, {kind}": lambda k=kind: layers.Reduction(k, **F64) for kind in REDUCTIONS},
    "reduction, kept": lambda: layers.Reduction("prod", [1, 2], True, **F64),
    "reduction of steps": lambda: layers.Reduction("max", 1, **F64),
    "clip": lambda: layers.Clip(-0.4, 0.7, **F64),
    "clip, below": lambda: layers.Clip(min_value=0, **F64),
    "dense, softmax": lambda: Dense(4, "softmax", **F64),
    "dense, gelu": lambda: Dense(4, "gelu", **F64),
    "dense, no bias": lambda: Dense(4, "elu", use_bias=False, **F64),
    "activity regularization": lambda: ActivityRegularization(0.1, 0.2, **F64),
    "time distributed": lambda: TimeDistributed(Dense(2, "silu", **F64)),
    "residual": lambda: Residual(LSTM(FEATURES, **seq())),
    "residual, several": lambda: Residual([GRU(5, **seq()), Dense(FEATURES, "tanh", **F64)]),
    "residual, projection": lambda: Residual(Bidirectional(SimpleRNN(4, **seq())), projection="auto"),
    "residual, nested": lambda: Residual([Residual(Dense(FEATURES, **F64)), TimeDistributed(Dense(FEATURES, **F64))]),
    "noise": lambda: GaussianNoise(0.1, **F64),
    "dropout": lambda: Dropout(0.5, noise_shape=(None, 1, 3), seed=3, **F64),
    "spatial dropout": lambda: SpatialDropout1D(0.5, seed=4, **F64),
    "gaussian dropout": lambda: GaussianDropout(0.5, **F64),
    "alpha dropout": lambda: AlphaDropout(0.5, **F64),
}
NOISE = {"noise", "dropout", "spatial dropout", "gaussian dropout", "alpha dropout"}


def ready(layer, *shape):
    layer.ensure_built((None, *(shape or (STEPS, FEATURES))))
    layer.set_weights([0.5 * numbers(*w.shape, seed=k) for k, w in enumerate(layer.get_weights())])
    return layer


def without_noise():
    return [pytest.param(make, id=name) for name, make in LAYERS.items() if name not in NOISE]


# --- for every layer ---


@pytest.mark.parametrize("make", without_noise())
def test_gradients_by_differences(make):
    layer = ready(make())
    assert_gradients_by_differences(layer, numbers(BATCH, STEPS, FEATURES))


@pytest.mark.parametrize("make", without_noise())
def test_gradients_of_weights_alone(make):
    layer, x = ready(make()), numbers(BATCH, STEPS, FEATURES)
    d = numbers(*layer(x, training=True).shape)
    layer.backward(d)
    want = [v.gradient.copy() for v in layer.variables]
    for v in layer.variables:
        v.gradient.fill(0)
    layer(x, training=True)
    layer.backward(d, need_d_inputs=False)
    for v, gradient in zip(layer.variables, want, strict=True):
        np.testing.assert_array_equal(v.gradient, gradient)


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_shapes_and_dtypes(make):
    layer = make()
    for dtype in ("float64", "float32"):
        config = layer.get_config() | {"dtype": dtype, "name": None}
        if "layer" in config:
            continue  # whose layers have a dtype of their own
        one = type(layer).from_config(config)
        one.ensure_built((None, STEPS, FEATURES))
        y = one(numbers(BATCH, STEPS, FEATURES), training=True)
        assert y.shape == one.compute_output_shape((BATCH, STEPS, FEATURES))
        assert one.output_shape == one.compute_output_shape((None, STEPS, FEATURES))
        assert y.dtype == dtype
        assert one.backward(y).dtype == dtype


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_a_layer_from_the_config_computes_the_same(make):
    layer, x = ready(make()), numbers(BATCH, STEPS, FEATURES)
    data = json.loads(json.dumps(serialize(layer)))
    twin = deserialize(data)
    assert type(twin) is type(layer)
    assert twin.get_config() == layer.get_config()
    ready(twin)
    assert [v.path for v in twin.variables] == [v.path for v in layer.variables]
    np.testing.assert_array_equal(twin(x), layer(x))


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_backward_needs_a_training_forward(make):
    layer, x = ready(make()), numbers(BATCH, STEPS, FEATURES)
    d = layer(x)
    if isinstance(layer, Permute) or (isinstance(layer, Identity) and not isinstance(layer, layers.noise.Noise)):
        return  # which need nothing of it
    with pytest.raises(RuntimeError, match="training=True"):
        layer.backward(d)
    layer(x, training=True)
    layer.backward(d)
    with pytest.raises(RuntimeError, match="training=True"):
        layer.backward(d)


# --- values ---


def test_values_worked_out_by_hand():
    x = np.array([[[1.0, -2.0], [3.0, -4.0]]], "float32")
    assert ReLU()(x).tolist() == [[[1, 0], [3, 0]]]
    assert ReLU(max_value=2, negative_slope=0.5, threshold=1)(x).tolist() == [[[0, -1.5], [2, -2.5]]]
    np.testing.assert_array_equal(LeakyReLU()(x), np.float32([[[1, -0.6], [3, -1.2]]]))
    np.testing.assert_array_equal(LeakyReLU(alpha=0.5)(x), LeakyReLU(0.5)(x))
    prelu = PReLU(input_shape=(2, 2))
    assert prelu(x).tolist() == [[[1, 0], [3, 0]]]
    prelu.set_weights([np.array([[1.0, 2.0], [3.0, 4.0]])])
    assert prelu(x).tolist() == [[[1, -4], [3, -16]]]
    assert Flatten()(x).tolist() == [[1, -2, 3, -4]]
    assert Flatten()(np.float32([1, 2])).tolist() == [[1], [2]]
    assert Reshape((4,))(x).tolist() == [[1, -2, 3, -4]]
    assert Permute((2, 1))(x).tolist() == [[[1, 3], [-2, -4]]]
    assert Identity().forward(x) is x
    np.testing.assert_allclose(UnitNormalization()(x)[0, 1], [0.6, -0.8], rtol=1e-6)
    assert (UnitNormalization()(np.zeros((1, 2), "float32")) == 0).all()


def test_reductions_worked_out_by_hand():
    x = np.array([[[1.0, 2.0, 4.0], [0.0, 3.0, 0.0]]])
    wanted = {"sum": [7, 3], "mean": [7 / 3, 1], "max": [4, 3], "min": [1, 0], "prod": [8, 0], "l1": [7, 3]}
    wanted |= {"l2": [21**0.5, 3], "log_sum": np.log([7, 3]), "sum_square": [21, 9]}
    wanted["log_sum_exp"] = np.log([np.e + np.e**2 + np.e**4, 2 + np.e**3])
    for kind, want in wanted.items():
        np.testing.assert_allclose(layers.Reduction(kind, **F64)(x), [want], rtol=1e-14)
    np.testing.assert_array_equal(layers.Reduction("sum", [1, 2], True, **F64)(x), [[[10]]])
    # Numbers whose exponentials no float holds, and the logarithm of a sum.
    assert layers.Reduction("log_sum_exp", **F64)(np.full((1, 2), 1e4))[0] == 1e4 + np.log(2)
    layer = layers.Reduction("log_sum", **F64)
    layer(x, training=True)
    np.testing.assert_allclose(layer.backward(np.array([[1.0, 1.0]])), [[[1 / 7] * 3, [1 / 3] * 3]])
    layer = layers.Reduction("prod", **F64)
    layer(x, training=True)
    np.testing.assert_array_equal(layer.backward(np.array([[1.0, 1.0]])), [[[8, 4, 2], [0, 0, 0]]])
    layer = layers.Reduction("max", **F64)
    layer(np.array([[2.0, 2.0, 1.0]]), training=True)
    np.testing.assert_array_equal(layer.backward(np.array([1.0])), [[0.5, 0.5, 0]])


def test_places_of_the_largest():
    x = np.array([[[1.0, 4.0, 4.0], [7.0, 3.0, 0.0]]])
    assert layers.ArgMax()(x).tolist() == [[1, 0]]
    assert layers.ArgMax(1, keepdims=True)(x).tolist() == [[[1, 0, 0]]]
    symbol = layers.ArgMax()(layers.Input((2, 3)))
    assert (symbol.shape, symbol.dtype) == ((None, 2), np.int64)


def test_how_many_are_true():
    x = np.array([[[True, False], [True, True]], [[False, False], [False, True]]])
    assert layers.Count()(x).tolist() == [[1, 2], [0, 1]]
    assert layers.Count([1, 2])(x).tolist() == [3, 1]
    assert layers.Count(1, keepdims=True)(x).tolist() == [[[2, 1]], [[0, 1]]]
    words = layers.Input((4,), dtype="int64")
    last = layers.Count()(words) - 1
    assert (last.shape, last.dtype) == ((None,), np.int64)
    assert Model(words, last).predict(np.array([[5, 6, 0, 0], [1, 2, 3, 4]]), verbose=0).tolist() == [1, 3]


def test_sizes_of_axes():
    layer = layers.Size(**F64)
    assert layer(np.zeros((2, 5, 3)), training=True).tolist() == [5, 5]
    assert layer.backward(np.ones(2)).tolist() == np.zeros((2, 5, 3)).tolist()
    assert layers.Size(-1)(np.zeros((2, 5, 3))).tolist() == [3, 3]


def test_clipped_numbers_and_their_gradient():
    layer = layers.Clip(-1, 2, **F64)
    assert layer(np.array([[-3.0, -1, 0, 2, 5]]), training=True).tolist() == [[-1, -1, 0, 2, 2]]
    assert layer.backward(np.ones((1, 5))).tolist() == [[0, 1, 1, 1, 0]]  # as torch.clamp


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: layers.Reduction("median"), ValueError, "operation: expected one of sum, mean"),
        (lambda: layers.Reduction("sum", 0), ValueError, "axis: expected one or several axes behind the batch, got 0"),
        (lambda: layers.Reduction("sum", []), ValueError, "axis: expected one or several axes"),
        (lambda: layers.Reduction("sum", [1, 1]), ValueError, "axis: expected one or several axes"),
        (lambda: layers.Reduction("sum", 1.5), TypeError, "axis: expected an integer"),
        (lambda: layers.Reduction("sum", 3)(np.ones((2, 3))), ValueError, "axis: expected axes behind the batch"),
        (lambda: layers.Reduction("sum", -2)(np.ones((2, 3))), ValueError, "axis: expected axes behind the batch"),
        (lambda: layers.Reduction("max", 1)(np.ones((2, 0, 3))), ValueError, "inputs: expected numbers along"),
        (lambda: layers.ArgMax(0), ValueError, "axis: expected one or several axes behind the batch"),
        (lambda: layers.Count(0), ValueError, "axis: expected one or several axes behind the batch"),
        (lambda: layers.Size(0)(np.ones((2, 3))), ValueError, "axis: expected one behind the batch of inputs of shape"),
        (lambda: layers.Size(2)(np.ones((2, 3))), ValueError, "axis: expected one behind the batch of inputs of shape"),
        (lambda: layers.Clip(2, 1), ValueError, "max_value: expected at least min_value=2, got 1"),
        (lambda: layers.Clip("a"), TypeError, "min_value: expected a number"),
    ],
)
def test_reductions_name_what_is_wrong(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_repeat_vector():
    layer, x = RepeatVector(3, **F64), numbers(2, 5)
    y = layer(x, training=True)
    assert y.shape == layer.compute_output_shape((2, 5)) == (2, 3, 5)
    for step in range(3):
        np.testing.assert_array_equal(y[:, step], x)
    d = numbers(2, 3, 5)
    np.testing.assert_allclose(layer.backward(d), d[:, 0] + d[:, 1] + d[:, 2], rtol=1e-14)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "gelu", "relu6", "exponential"])
def test_dense_is_its_activation_of_a_product(name):
    layer = ready(Dense(4, name, **F64), FEATURES)
    x = numbers(5, FEATURES)
    kernel, bias = layer.get_weights()
    np.testing.assert_allclose(layer(x), lstmcore.activations.get(name)(x @ kernel + bias), rtol=1e-13, atol=1e-15)


def test_time_distributed_is_the_layer_at_every_step():
    for inner, shape in (
        (Dense(2, "softmax", **F64), (BATCH, STEPS, FEATURES)),
        (LSTM(2, **F64), (BATCH, STEPS, 5, FEATURES)),
        (Flatten(**F64), (BATCH, STEPS, 5, FEATURES)),
    ):
        layer, x = TimeDistributed(inner), numbers(*shape)
        y = layer(x)
        assert y.shape == layer.compute_output_shape(shape)
        for step in range(STEPS):
            # Products of other numbers of rows are summed in another order.
            np.testing.assert_allclose(y[:, step], inner(x[:, step]), rtol=1e-12, atol=1e-14)
    words = TimeDistributed(Embedding(9, 2))
    assert words(np.ones((BATCH, STEPS, 5), int)).shape == (BATCH, STEPS, 5, 2)


def test_residual_adds_what_its_layers_make():
    inner = [GRU(5, **seq()), Dense(FEATURES, **F64)]
    layer, x = ready(Residual(inner)), numbers(BATCH, STEPS, FEATURES)
    np.testing.assert_array_equal(layer(x), x + inner[1](inner[0](x)))
    projected = ready(Residual(LSTM(5, **seq()), projection="auto"))
    assert [v.name for v in projected.variables] == ["kernel", "recurrent_kernel", "bias", "kernel"]
    want = x @ projected.get_weights()[3] + projected.layers[0](x)
    np.testing.assert_allclose(projected(x), want, rtol=1e-13)
    assert projected.output_shape == (None, STEPS, 5)
    # Where the widths agree there is nothing to project.
    assert ready(Residual(LSTM(FEATURES, **seq()), projection="auto")).projection is None


@pytest.mark.peer
def test_layers_against_torch():
    torch = pytest.importorskip("torch")
    x = numbers(BATCH, STEPS, FEATURES)
    pairs = [
        (PReLU(alpha_initializer="ones", shared_axes=[1], **F64), torch.nn.PReLU(FEATURES, init=1.0)),
        (Softmax(axis=1, **F64), torch.nn.Softmax(1)),
        (UnitNormalization(**F64), lambda t: torch.nn.functional.normalize(t, dim=-1)),
        (Permute((2, 1), **F64), lambda t: t.permute(0, 2, 1)),
    ]
    for ours, theirs in pairs:
        if isinstance(theirs, torch.nn.PReLU):
            theirs = theirs.double()
            inputs = torch.tensor(x.transpose(0, 2, 1).copy(), requires_grad=True)  # channels first
            want = theirs(inputs).transpose(1, 2)
        else:
            inputs = torch.tensor(x, requires_grad=True)
            want = theirs(inputs)
        got = ours(x, training=True)
        np.testing.assert_allclose(got, want.detach().numpy(), rtol=1e-12)
        d = numbers(*got.shape)
        want.backward(torch.tensor(d))
        gradient = inputs.grad.numpy()
        want_d = gradient.transpose(0, 2, 1) if isinstance(ours, PReLU) else gradient
        np.testing.assert_allclose(ours.backward(d), want_d, rtol=1e-11, atol=1e-14)
        if isinstance(ours, PReLU):
            np.testing.assert_allclose(ours.alpha.gradient[0], theirs.weight.grad.numpy(), rtol=1e-12)


# --- several inputs ---


def test_several_inputs_in_one():
    a, b = numbers(2, 4, 3), numbers(2, 4, 5)
    layer = Concatenate(**F64)
    np.testing.assert_array_equal(layer([a, b], training=True), np.concatenate([a, b], -1))
    assert layer.compute_output_shape([(None, 4, 3), (None, 4, 5)]) == layer.output_shape == (None, 4, 8)
    d = numbers(2, 4, 8)
    first, second = layer.backward(d)
    np.testing.assert_array_equal(first, d[..., :3])
    np.testing.assert_array_equal(second, d[..., 3:])
    steps = Concatenate(axis=1, **F64)
    assert steps({"a": a, "b": a}).shape == (2, 8, 3)
    assert steps.output_shape == (None, 8, 3)
    total = Add(**F64)
    np.testing.assert_array_equal(total([a, a, a], training=True), a + a + a)
    assert total.output_shape == (None, 4, 3)
    for gradient in total.backward(a):
        np.testing.assert_array_equal(gradient, a)
    with pytest.raises(ValueError, match=r"inputs: expected shapes that fit each other, got \(2, 4, 3\), \(2, 4, 5\)"):
        total([a, b])
    with pytest.raises(TypeError, match="inputs: expected a list or a dict of arrays, got ndarray"):
        total(a)
    with pytest.raises(TypeError, match=r"inputs\[1\]: expected float64, got complex128"):
        total([a, a.astype(complex)])


# --- noise ---

ONES = np.ones((200, 10, 100))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_dropout_leaves_out_and_scales(rate):
    y = Dropout(rate, seed=1, **F64)(ONES, training=True)
    np.testing.assert_array_equal(np.unique(y), [0, 1 / (1 - rate)])
    # 200,000 draws: four standard deviations of their share.
    assert abs(np.mean(y == 0) - rate) < 4 * np.sqrt(rate * (1 - rate) / 2e5)
    assert abs(y.mean() - 1) < 4 * np.sqrt(rate / (1 - rate) / 2e5)
    assert (y[:, 0] != y[:, 1]).any()


def test_dropout_of_nothing_and_of_everything():
    assert Dropout(0)(ONES, training=True) is not None
    np.testing.assert_array_equal(Dropout(0, **F64)(ONES, training=True), ONES)
    assert not Dropout(1.0)(ONES.astype("float32"), training=True).any()
    layer = Dropout(0.0, **F64)
    layer(ONES, training=True)
    np.testing.assert_array_equal(layer.backward(ONES), ONES)


def test_dropout_draws_once_along_axes_of_one():
    steps = Dropout(0.5, noise_shape=(None, 1, None), seed=1, **F64)(ONES, training=True)
    assert (steps == steps[:, :1]).all()
    assert (steps[:, :, 0] != steps[:, :, 1]).any()
    np.testing.assert_array_equal(SpatialDropout1D(0.5, seed=1, **F64)(ONES, training=True), steps)
    rows = Dropout(0.5, noise_shape=[1, 10, 100], seed=1, **F64)(ONES, training=True)
    assert (rows == rows[:1]).all()


def test_gaussian_noise_and_dropout_have_their_moments():
    x = np.full_like(ONES, 3.0)
    y = GaussianNoise(0.5, seed=1, **F64)(x, training=True) - x
    z = GaussianDropout(0.2, seed=1, **F64)(x, training=True) / x
    for values, mean, deviation in ((y, 0, 0.5), (z, 1, 0.5)):  # sqrt(0.2 / 0.8) = 0.5
        # 200,000 draws: four standard deviations of the mean, and of the standard deviation.
        assert abs(values.mean() - mean) < 4 * deviation / np.sqrt(2e5)
        assert abs(values.std() - deviation) < 4 * deviation / np.sqrt(4e5)


def test_alpha_dropout_keeps_mean_and_variance():
    x = numbers(500, 400)
    y = AlphaDropout(0.3, seed=1, **F64)(x, training=True)
    # 200,000 numbers; what is dropped has a value of its own, so the variance spreads more than that of normal numbers.
    assert abs(y.mean()) < 0.01
    assert abs(y.std() - 1) < 0.01
    _, counts = np.unique(y, return_counts=True)
    assert abs(counts.max() / y.size - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 2e5)


@pytest.mark.parametrize("name", sorted(NOISE))
def test_noise_follows_its_seed_and_is_silent_at_inference(name):
    config = LAYERS[name]().get_config() | {"seed": 7}
    kind, x = type(LAYERS[name]()), numbers(BATCH, STEPS, FEATURES)
    first, second = kind.from_config(config), kind.from_config(config)
    other = kind.from_config(config | {"seed": 8})
    runs = [first(x, training=True) for _ in range(3)]
    assert first.forward(x) is x  # and draws nothing
    for run in runs:
        np.testing.assert_array_equal(second(x, training=True), run)
    assert any((other(x, training=True) != run).any() for run in runs)
    assert any((runs[0] != run).any() for run in runs[1:])
    again = kind.from_config(config | {"seed": None})
    lstmcore.utils.set_random_seed(5)
    want = again(x, training=True)
    again = kind.from_config(config | {"seed": None})
    lstmcore.utils.set_random_seed(5)
    np.testing.assert_array_equal(again(x, training=True), want)


@pytest.mark.parametrize("name", sorted(NOISE))
def test_the_gradient_passes_as_the_inputs_did(name):
    """Of what is linear in the inputs, the same numbers drawn again: y(x + d) - y(x) is the gradient of sum(d y)."""
    layer, x, d = LAYERS[name](), numbers(BATCH, STEPS, FEATURES), numbers(BATCH, STEPS, FEATURES, seed=1)
    layer(x, training=True)
    state = layer.state()
    y = layer(x, training=True)
    gradient = layer.backward(np.ones_like(x))
    layer.load_state(state)
    np.testing.assert_allclose(layer(x + d, training=True) - y, d * gradient, rtol=1e-9, atol=1e-12)


# --- masks ---

MASK = np.array([[True, True, False, False], [True, True, True, True]])


@pytest.mark.parametrize("name", LAYERS)
def test_masks_pass_layers_that_keep_the_steps(name):
    layer, x = ready(LAYERS[name]()), numbers(BATCH, STEPS, FEATURES)
    got = layer.compute_mask(x, MASK)
    if name in ("flatten", "reshape", "permute") or name.startswith("reduction"):
        assert got is None
    else:
        assert got is MASK
    assert layer.compute_mask(x, None) is None


def test_a_mask_reaches_the_layers_of_a_residual():
    inner = LSTM(FEATURES, **seq())
    layer, x = ready(Residual([Dense(FEATURES, **F64), inner])), numbers(BATCH, STEPS, FEATURES)
    dense = layer.layers[0]
    np.testing.assert_array_equal(layer(x, mask=MASK), x + inner(dense(x), mask=MASK))
    assert_gradients_by_differences(layer, x, mask=MASK)


def test_masked_steps_do_not_matter_after_simple_layers():
    def outputs(x):
        model = Sequential(
            [Masking(9.0, **F64), Dropout(0.3, **F64), ReLU(**F64), Residual(GRU(2, **seq())), LSTM(3, **F64)]
        )
        model.build((None, STEPS, 2))
        model.set_weights([0.5 * numbers(*w.shape, seed=k) for k, w in enumerate(model.get_weights())])
        return model(x)

    x = numbers(BATCH, STEPS, 2)
    x[0, 2:] = 9
    np.testing.assert_allclose(outputs(x)[0], outputs(x[:, :2])[0], rtol=1e-12)


# --- heads ---


@pytest.mark.parametrize(
    "make",
    [
        lambda: Dense(4, "softmax", **F64),
        lambda: Dense(4, "gelu", use_bias=False, **F64),
        lambda: Activation("sigmoid", **F64),
        lambda: Softmax(**F64),
        lambda: TimeDistributed(Dense(4, "softmax", **F64)),
    ],
)
def test_the_head_can_be_left_out(make):
    layer, x = ready(make()), numbers(BATCH, STEPS, FEATURES)
    y = layer(x, training=True)
    d = numbers(*y.shape)
    want_d = layer.backward(d)
    want = [v.gradient.copy() for v in layer.variables]
    for v in layer.variables:
        v.gradient.fill(0)
    z = layer.forward(x, True, logits=True)
    np.testing.assert_allclose(layer.last_activation(z), y, rtol=1e-14)
    d_inputs = layer.backward(layer.last_activation.backward(z, y, d), logits=True)
    np.testing.assert_allclose(d_inputs, want_d, rtol=1e-12, atol=1e-15)
    for v, gradient in zip(layer.variables, want, strict=True):
        np.testing.assert_allclose(v.gradient, gradient, rtol=1e-12, atol=1e-15)


def test_layers_without_a_head():
    for layer in (Softmax(axis=1), LSTM(2), Flatten(), TimeDistributed(LSTM(2)), Residual(Dense(2, "softmax"))):
        assert layer.last_activation is None


# --- regularizers, constraints ---


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda **o: Dense(2, **o), ("kernel", "bias")),
        (lambda **o: LSTM(2, **o), ("kernel", "recurrent", "bias")),
        (lambda **o: GRU(2, reset_after=False, **o), ("kernel", "recurrent", "bias")),
        (lambda **o: SimpleRNN(2, **o), ("kernel", "recurrent", "bias")),
        (lambda **o: SLSTM(2, 2, **o), ("kernel", "recurrent", "bias")),
        (lambda **o: MinGRU(2, **o), ("kernel", "bias")),
        (lambda **o: RNN(LSTMCell(2, **o)), ("kernel", "recurrent", "bias")),
        (lambda **o: Bidirectional(GRU(2, **o)), ("kernel", "recurrent", "bias")),
        (lambda **o: TimeDistributed(Dense(2, **o)), ("kernel", "bias")),
        (lambda **o: Residual(SimpleRNN(3, return_sequences=True, **o)), ("kernel", "recurrent", "bias")),
        (lambda **o: PReLU(shared_axes=1, **o), ("alpha",)),
        (lambda **o: Embedding(5, 2, **o), ("embeddings",)),
    ],
)
def test_regularizers_and_constraints_reach_the_weights(make, names):
    for chosen in names:
        layer = make(**{f"{chosen}_regularizer": "l2", f"{chosen}_constraint": constraints.get("non_neg")})
        for one in (layer, deserialize(json.loads(json.dumps(serialize(layer))))):
            one.ensure_built((None, STEPS, FEATURES))
            for variable in one.variables:
                hit = variable.name.replace("_kernel", "") == chosen
                assert isinstance(variable.regularizer, regularizers.Regularizer) == hit
                assert isinstance(variable.constraint, constraints.Constraint) == hit
    plain = make()
    plain.ensure_built((None, STEPS, FEATURES))
    assert all(v.regularizer is None and v.constraint is None for v in plain.variables)


def test_activity_regularizers_are_kept_for_the_model():
    penalty = regularizers.L1L2(l1=1.0)
    for layer in (
        Dense(2, activity_regularizer=penalty),
        LSTM(2, activity_regularizer=penalty),
        Embedding(3, 2, activity_regularizer=penalty),
        RNN(GRUCell(2), activity_regularizer=penalty),
        # Those of layers within are for the same outputs.
        TimeDistributed(Dense(2, activity_regularizer=penalty)),
        Bidirectional(LSTM(2, activity_regularizer=penalty)),
        Bidirectional(LSTM(2), "sum", activity_regularizer=penalty),
    ):
        assert layer.activity_regularizer is penalty
    assert ActivityRegularization(l1=2.0, l2=3.0).activity_regularizer(np.array([[1.0, -2.0]])) == 2 * 3 + 3 * 5
    for make in (
        lambda: Bidirectional(LSTM(2, activity_regularizer="l2"), "sum"),
        lambda: Bidirectional(LSTM(2, activity_regularizer="l2"), activity_regularizer="l1"),
        lambda: Residual(Dense(2, activity_regularizer="l2")),
    ):
        with pytest.raises(ValueError, match="activity_regularizer"):
            make()
    with pytest.raises(TypeError, match="LSTMCell got an unexpected argument 'activity_regularizer'"):
        LSTMCell(2, activity_regularizer="l2")


def test_the_penalty_of_a_layer_at_every_step_counts():
    dense = Dense(3, kernel_initializer="ones", activity_regularizer=regularizers.L2(0.01))
    x = np.random.default_rng(0).standard_normal((2, 5, 4)).astype("float32")
    model = Sequential([TimeDistributed(dense, input_shape=(5, 4))])
    model.compile("sgd", "mse")
    outputs = x.sum(-1, keepdims=True) * np.ones(3)
    expected = (outputs**2).mean() + 0.01 * (outputs**2).sum() / 2
    assert model.evaluate(x, np.zeros((2, 5, 3)), verbose=0) == pytest.approx(expected, rel=1e-5)


# --- states ---

STATEFUL = {
    "dropout": lambda: Dropout(0.5, **F64),
    "lstm": lambda: LSTM(FEATURES, dropout=0.3, **seq(stateful=True)),
    "bidirectional": lambda: Bidirectional(GRU(2, recurrent_dropout=0.3, **seq(stateful=True))),
    "min gru": lambda: MinGRU(FEATURES, zoneout=0.3, **seq(stateful=True)),
    "slstm": lambda: SLSTM(FEATURES, recurrent_dropout=0.3, **seq(stateful=True)),
    "rnn": lambda: RNN([GRUCell(2, dropout=0.3, **F64), LSTMCell(2, zoneout=0.1, **F64)], stateful=True),
    "time distributed": lambda: TimeDistributed(Dropout(0.5, **F64)),
    "residual": lambda: Residual([LSTM(FEATURES, **seq(stateful=True)), GaussianNoise(1.0, **F64)]),
}


@pytest.mark.parametrize("make", STATEFUL.values(), ids=STATEFUL)
def test_a_layer_with_the_state_of_another_goes_on_as_that_does(make):
    layer, x = ready(make()), numbers(BATCH, STEPS, FEATURES)
    assert layer.state() == {}
    for _ in range(3):
        layer(x, training=True)
    state = layer.state()
    assert all(isinstance(v, np.ndarray) for v in state.values())
    kept = {k: v.copy() for k, v in state.items()}
    want = [layer(x, training=True) for _ in range(2)]
    for k, v in state.items():
        np.testing.assert_array_equal(v, kept[k])  # a copy: what the layer does next does not reach it
    twin = ready(make())
    twin.load_state(state)
    for k, v in twin.state().items():
        np.testing.assert_array_equal(v, kept[k])
        assert v.dtype == kept[k].dtype
    for one in want:
        np.testing.assert_array_equal(twin(x, training=True), one)
    twin.load_state({})
    assert twin.state() == {}


def test_states_of_other_layers_are_refused():
    layer = ready(LSTM(2, **seq(stateful=True)))
    for state, text in (
        ({"moments": np.zeros(2)}, "state: expected that of a LSTM, got moments too"),
        ({"0/random": np.zeros(2, int)}, "got 0/random too"),
        ({"random": np.zeros(3, int)}, "random: expected two integers"),
        ({"state/0": np.zeros((2, 2))}, "state: expected 2 arrays, got 1"),
        ({"state/0": np.zeros((2, 2)), "state/1": np.zeros((2, 3))}, r"states\[1\]: expected shape \(batch, 2\)"),
    ):
        with pytest.raises(ValueError, match=text):
            layer.load_state(state)
    with pytest.raises(ValueError, match="stateful=True"):
        LSTM(1).load_state({"state/0": np.zeros((2, 1)), "state/1": np.zeros((2, 1))})


def test_a_seed_beyond_64_bits_is_kept_as_it_is_used():
    layer, x = Dropout(0.5, seed=2**64 + 3, **F64), numbers(4, 5)
    layer(x, training=True)
    twin = Dropout(0.5, **F64)
    twin.load_state(layer.state())
    np.testing.assert_array_equal(twin(x, training=True), layer(x, training=True))


# --- streams ---


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize(
    "make",
    [
        lambda: [Activation("softplus"), ReLU(2.0), Softmax(), Dropout(0.5), Identity(), PReLU(shared_axes=[1])],
        lambda: [TimeDistributed(Dense(4, "gelu")), LSTM(3, return_sequences=True), Dense(2, "softmax")],
        lambda: [Residual(LSTM(FEATURES, return_sequences=True)), GaussianNoise(0.3)],
        lambda: [Residual([GRU(5, return_sequences=True), Dense(2, "tanh")], projection="auto")],
        lambda: [Residual(MinGRU(FEATURES, return_sequences=True)), SLSTM(4, 2, return_sequences=True)],
        lambda: [Residual(Identity()), Residual(Residual(SimpleRNN(FEATURES, return_sequences=True)))],
    ],
)
def test_streams_are_bit_for_bit_the_whole(make, steps):
    model = Sequential(make())
    x = numbers(BATCH, 6, FEATURES, dtype="float32")
    model(x)
    model.set_weights([0.5 * numbers(*w.shape, seed=k) for k, w in enumerate(model.get_weights())])
    stream = model.stream(BATCH, steps=3)
    for _ in range(2):
        parts = [stream(x[:, t : t + steps]).copy() for t in range(0, 6, steps)]
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), model(x))
        stream.reset()


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Softmax(axis=1), ValueError, "axis: .* cannot stream"),
        (lambda: PReLU(), ValueError, "shared_axes: .*stream with"),
        (lambda: Flatten(), NotImplementedError, "cannot be run piece by piece"),
        (lambda: Residual(Bidirectional(LSTM(2, return_sequences=True)), "auto"), ValueError, "cannot be streamed"),
    ],
)
def test_layers_that_cannot_be_streamed_say_so(make, error, text):
    model = Sequential([make()])
    model(numbers(BATCH, STEPS, FEATURES, dtype="float32"))
    with pytest.raises(error, match=text):
        model.stream()


# --- in models ---


def test_an_autoencoder_of_simple_layers_by_differences():
    model = Sequential(
        [
            LSTM(4, **F64),
            RepeatVector(STEPS, **F64),
            Residual(GRU(4, **seq())),
            TimeDistributed(Dense(2, "tanh", **F64)),
            Permute((2, 1), **F64),
            Flatten(**F64),
            Reshape((STEPS, 2), **F64),
        ]
    )
    x = numbers(BATCH, STEPS, FEATURES)
    weight = numbers(BATCH, STEPS, 2)
    model(x)
    model.forward(x, training=True)
    model.backward(weight)

    def loss():
        return (model(x) * weight).sum()

    for v in model.weights:
        np.testing.assert_allclose(v.gradient, by_differences(loss, v), rtol=1e-6, atol=1e-9, err_msg=v.path)


@pytest.mark.parametrize("words", [7, 300, 70_000])
@pytest.mark.parametrize(("rows", "width"), [(5, 3), (3000, 40)])  # few numbers, and too many to add one by one
def test_the_gradient_of_an_embedding_adds_up_rows(words, rows, width):
    rng = np.random.default_rng(0)
    # Some words once, some often: more than the rounds taken side by side.
    x = np.minimum(rng.geometric(0.05, (rows, 1)) - 1, words - 1) * (words // 300 or 1) % words
    layer, d = Embedding(words, width, **F64), numbers(rows, 1, width)
    layer(x, training=True)
    layer.embeddings.gradient[...] = 1
    layer.backward(d)
    want = np.ones((words, width))
    for k in range(rows):
        want[x[k, 0]] += d[k, 0]
    np.testing.assert_allclose(layer.embeddings.gradient, want, rtol=1e-12, atol=1e-12)


# --- layers of the user's ---


class Scale(Layer):
    """As short as they can be."""

    def build(self, input_shape):
        self.factor = self.add_weight(name="factor", shape=(input_shape[-1],), initializer="ones")

    def forward(self, inputs):
        self.inputs = inputs
        return inputs * self.factor.value

    def backward(self, d_outputs):
        self.factor.gradient += (d_outputs * self.inputs).sum(axis=tuple(range(d_outputs.ndim - 1)))
        return d_outputs * self.factor.value


def test_a_layer_of_the_users_is_a_few_lines():
    layer = ready(Scale(**F64))
    assert_gradients_by_differences(layer, numbers(BATCH, STEPS, FEATURES))
    assert layer.output_shape == (None, STEPS, FEATURES)
    assert layer.trainable_weights == layer.weights == layer.variables
    assert layer.non_trainable_weights == []
    model = Sequential([Scale(input_shape=(4,)), Dense(1)])
    model.compile("adam", "mse")
    losses = model.fit(numbers(64, 4), numbers(64, 4).sum(1), epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    with custom_object_scope({"Scale": Scale}):
        assert isinstance(deserialize(serialize(layer)), Scale)
    with pytest.raises(RuntimeError, match="training=True"):
        TimeDistributed(Dense(1)).backward(numbers(1, 2, 1))


class Gated(Layer):
    """x * sigmoid(dense(x)), with a layer within and a weight of its own."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dense = Dense(FEATURES, "sigmoid", dtype=self.dtype)
        self.noise = [Dropout(0.5, dtype=self.dtype)]

    def build(self, input_shape):
        self.scale = self.add_weight(name="scale", shape=(), initializer="ones")
        self.dense.ensure_built(input_shape)

    def forward(self, inputs, training=False):
        self.kept_inputs, self.gate = inputs, self.dense.forward(inputs, training)
        return self.scale.value * inputs * self.gate

    def backward(self, d_outputs):
        self.scale.gradient += (d_outputs * self.kept_inputs * self.gate).sum()
        scaled = self.scale.value * d_outputs
        return scaled * self.gate + self.dense.backward(scaled * self.kept_inputs)


def test_layers_within_a_layer_of_the_users_are_found():
    layer = ready(Gated(**F64))
    assert [v.name for v in layer.variables] == ["scale", "kernel", "bias"]
    assert_gradients_by_differences(layer, numbers(BATCH, STEPS, FEATURES))
    assert layer.trainable_variables == layer.variables
    layer.dense.trainable = False
    assert layer.trainable_variables == layer.variables[:1]
    layer.trainable = False
    assert layer.trainable_variables == []
    layer.noise[0](numbers(2, 3), training=True)
    assert list(layer.state()) == ["1/random"]

    class Forgetful(Gated):
        def build(self, input_shape):
            pass

    layer = Forgetful(**F64)
    with pytest.raises(ValueError, match=r"build: dense.* has no weights yet; in build, call its ensure_built"):
        layer(numbers(BATCH, FEATURES))
    assert not layer.built


def test_a_layer_is_told_what_to_define():
    class Nothing(Layer):
        pass

    class Forward(Layer):
        def forward(self, inputs, training=False):
            return inputs

    with pytest.raises(NotImplementedError, match=r"a layer defines forward\(inputs, training=False\)"):
        Nothing()(numbers(1, 2))
    layer = Forward(**F64)
    layer(numbers(1, 2), training=True)
    with pytest.raises(NotImplementedError, match="to train with this layer, define its backward"):
        layer.backward(numbers(1, 2))


def test_a_layer_may_end_a_mask():
    class Ends(Layer):
        def __init__(self):
            super().__init__()
            self.supports_masking = False

        def forward(self, inputs):
            return inputs

    assert Ends().compute_mask(None, MASK) is None


def test_weights_are_added_as_in_keras():
    layer = Layer(**F64)
    kernel = layer.add_weight(name="a", shape=(2, 3), initializer="ones", trainable=False)
    assert (kernel.name, kernel.path, kernel.shape, kernel.trainable) == ("a", f"{layer.name}/a", (2, 3), False)
    assert layer.add_weight((2, 3), "zeros", name="b").numpy().tolist() == np.zeros((2, 3)).tolist()
    assert layer.add_weight([4], "ones", "float64").name == "variable_2"
    assert layer.add_weight("c", (4,), "ones").numpy().tolist() == [1] * 4
    assert (
        layer.add_weight(shape=(3, 3), regularizer="l2", constraint="non_neg", autocast=False).regularizer is not None
    )
    assert layer.add_weight(name="scalar", initializer="zeros").shape == ()
    assert [v.name for v in layer.variables] == ["a", "b", "variable_2", "c", "variable_4", "scalar"]
    assert layer.non_trainable_weights == [kernel]
    for call, error, text in (
        (lambda: layer.add_weight("d", (2,), name="e"), TypeError, "two values for name"),
        (
            lambda: layer.add_weight((2,), "ones", "float64", 1),
            TypeError,
            "takes shape, initializer, dtype by position",
        ),
        (lambda: layer.add_weight((2,), "ones", "int32"), ValueError, "expected the layer's dtype, float64, got int32"),
        (lambda: layer.add_weight((2,), "ones", regularizer="odd"), ValueError, "odd"),
        (lambda: layer.add_weight((2,), "ones", colour="red"), TypeError, "colour"),
    ):
        with pytest.raises(error, match=text):
            call()


def test_the_dtype_none_is_float32_and_input_dim_a_shape():
    assert Dense(1, dtype=None).dtype == np.float32
    model = Sequential([Dense(3, input_dim=5), Dense(1, autocast=True)])
    assert model.input_shape == (None, 5)


def test_automatic_names_are_those_of_keras():
    names = {
        SpatialDropout1D(0.1): "spatial_dropout1d",
        PReLU(): "p_re_lu",
        ReLU(): "re_lu",
        LeakyReLU(): "leaky_re_lu",
    }
    names |= {layers.ELU(): "elu", TimeDistributed(Dense(1)): "time_distributed", RepeatVector(2): "repeat_vector"}
    for layer, name in names.items():
        assert layer.name.rstrip("_0123456789") == name


def test_names_of_layers_within():
    layer = ready(Residual([LSTM(3, return_sequences=True, name="up"), Dense(2, name="out")], "auto", name="skip"))
    assert [v.path for v in layer.variables] == [
        *(f"skip/up/{name}" for name in ("kernel", "recurrent_kernel", "bias")),
        "skip/out/kernel",
        "skip/out/bias",
        "skip/projection/kernel",
    ]
    assert [one["config"]["name"] for one in layer.get_config()["layer"]] == ["up", "out"]
    fixed = ready(Residual([LSTM(3, return_sequences=True), Dense(2)], "auto", trainable=False))
    assert fixed.trainable_variables == []
    assert TimeDistributed(Dense(2, name="in"), name="all").layer.name == "all/in"


# --- bad input ---


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Dropout(1.5), ValueError, r"Dropout: rate: expected a number in \[0, 1\], got 1.5"),
        (lambda: Dropout(-0.1), ValueError, "Dropout: rate: .* got -0.1"),
        (lambda: Dropout("half"), TypeError, "Dropout: rate: .* got 'half'"),
        (lambda: Dropout(0.5, noise_shape="abc"), TypeError, "Dropout: noise_shape: expected a list .* got 'abc'"),
        (lambda: Dropout(0.5, noise_shape=(0, 1)), ValueError, "noise_shape: expected a positive integer, got 0"),
        (lambda: Dropout(0.5, seed=-1), ValueError, "Dropout: seed: expected an integer from 0 on, got -1"),
        (lambda: SpatialDropout1D(2), ValueError, "SpatialDropout1D: rate: .* got 2"),
        (lambda: GaussianDropout(1), ValueError, r"GaussianDropout: rate: expected a number in \[0, 1\), got 1"),
        (lambda: AlphaDropout(1.0), ValueError, r"AlphaDropout: rate: .*\[0, 1\), got 1.0"),
        (lambda: GaussianNoise(-1), ValueError, r"GaussianNoise: stddev: expected a number in \[0, inf\), got -1"),
        (lambda: ReLU(max_value=-1), ValueError, r"relu: max_value: expected a number in \[0, inf\), got -1"),
        (lambda: ReLU(negative_slope=None), TypeError, "relu: negative_slope: .* got None"),
        (lambda: LeakyReLU(-0.3), ValueError, "leaky_relu: negative_slope: .* got -0.3"),
        (lambda: Activation("swash"), ValueError, "activation: expected one of .* got 'swash'"),
        (lambda: Softmax(axis="last"), TypeError, "softmax: axis: .* got 'last'"),
        (
            lambda: Reshape((-1, -1)),
            ValueError,
            r"target_shape: expected positive integers and at most one -1, got \(-1",
        ),
        (lambda: Reshape((0,)), ValueError, "target_shape: .* got"),
        (lambda: Reshape("ab"), TypeError, "target_shape: expected a list of integers, got 'ab'"),
        (lambda: Reshape(3), TypeError, "target_shape: expected a list of integers, got 3"),
        (lambda: Flatten("channels_first"), ValueError, "data_format: .* got 'channels_first'"),
        (lambda: Permute((1, 3)), ValueError, r"dims: expected the numbers from 1 on in some order, got \(1, 3\)"),
        (lambda: RepeatVector(0), ValueError, "RepeatVector: n: expected a positive integer, got 0"),
        (lambda: TimeDistributed("dense"), TypeError, "TimeDistributed: layer: expected a layer, got 'dense'"),
        (
            lambda: TimeDistributed(Dense(1, dtype="float32"), dtype="float64"),
            ValueError,
            "layer: expected dtype float64, got float32",
        ),
        (lambda: Residual([]), TypeError, r"Residual: layer: expected a layer or a list of them, got \[\]"),
        (lambda: Residual([Dense(1), 3]), TypeError, "Residual: layer: expected a layer"),
        (
            lambda: Residual(Dense(1), projection="always"),
            ValueError,
            "projection: expected None or 'auto', got 'always'",
        ),
        (
            lambda: Residual(Dense(1, dtype="float32"), dtype="float64"),
            ValueError,
            "layer: expected dtype float64, got float32",
        ),
        (lambda: Dense(2, kernel_regularizer="l9"), ValueError, "got 'l9'"),
        (lambda: Dense(2, lora_rank=3), NotImplementedError, "Dense: lora_rank=3 is not offered"),
    ],
)
def test_wrong_arguments_are_named(make, error, text):
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "text"),
    [
        (Reshape((5, 2)), (2, 4, 3), r"inputs: expected what fits target_shape \(5, 2\), got shape \(2, 4, 3\)"),
        (Reshape((-1, 5)), (2, 4, 3), "inputs: expected what fits"),
        (Permute((2, 1)), (2, 4), r"inputs: expected 3 axes as in dims, got shape \(2, 4\)"),
        (RepeatVector(2), (2, 4, 3), r"inputs: expected shape \(batch, features\), got \(2, 4, 3\)"),
        (TimeDistributed(Dense(2)), (2, 4), r"inputs: expected shape \(batch, steps, ...\), got \(2, 4\)"),
        (PReLU(shared_axes=[3]), (2, 4, 3), r"shared_axes: expected axes from 1 to 2, got \[3\]"),
        (
            Residual(Dense(4)),
            (2, 4, 3),
            r'layer: expected .* \(2, 4, 3\) of the inputs, got \(2, 4, 4\); projection="auto"',
        ),
        (
            Residual(LSTM(3)),
            (2, 4, 3),
            r"layer: expected outputs of the shape \(2, 4, 3\) of the inputs, got \(2, 3\)$",
        ),
        (Residual(LSTM(4), "auto"), (2, 4, 3), r"layer: expected outputs of the shape"),
    ],
)
def test_inputs_of_a_wrong_shape_are_named(layer, shape, text):
    with pytest.raises(ValueError, match=text):
        layer(numbers(*shape, dtype="float32"))


def test_noise_of_a_wrong_shape_is_named_when_it_is_drawn():
    x = numbers(2, 4, 3, dtype="float32")
    for layer in (Dropout(0.5, noise_shape=(1, 2, 3)), AlphaDropout(0.5, noise_shape=(None, 1))):
        assert layer.forward(x) is x
        with pytest.raises(ValueError, match=r"noise_shape: expected 1, None or the size of the inputs \(2, 4, 3\)"):
            layer(x, training=True)
    with pytest.raises(ValueError, match=r"inputs: expected shape \(batch, steps, features\), got \(8, 3\)"):
        SpatialDropout1D(0.5)(x.reshape(8, 3), training=True)


def test_slopes_of_steps_of_unknown_number_are_refused():
    with pytest.raises(
        ValueError, match=r"shared_axes: expected all axes of unknown size, inputs are \(None, None, 3\)"
    ):
        Sequential([PReLU(input_shape=(None, 3))])


def test_an_empty_batch_is_no_error():
    for layer in (Flatten(), Reshape((3, -1)), TimeDistributed(Dense(2)), Dropout(0.5), Residual(Dense(FEATURES))):
        assert len(layer(np.zeros((0, STEPS, FEATURES), "float32"), training=True)) == 0


def test_functions_of_single_numbers():
    x = np.array([[0.1, 0.5, 1.5, 2.5]])
    for name in ("log", "sqrt", "sin", "cos", "sign", "floor", "ceil"):
        np.testing.assert_allclose(layers.Elementwise(name, dtype="float64")(x), getattr(np, name)(x), rtol=1e-12)
    assert layers.Elementwise("round")(x).tolist() == [[0, 0, 2, 2]]
    x = np.array([-4.0, -0.5, -1e-9, 0, 1e-9, 0.4, 0.6, 5])
    np.testing.assert_allclose(
        layers.Elementwise("erf", dtype="float64")(x[None])[0], [math.erf(n) for n in x], rtol=1e-14
    )


def test_conditions():
    x = np.array([[1, 2, 3]])
    assert layers.Compare("less_equal", 2)(x).tolist() == [[True, True, False]]
    assert layers.Compare("equal", [1, 5, 3], invert=True)(x).tolist() == [[False, True, False]]
    a, b = (np.array([[p, q]]) for p, q in ((True, False), (True, True)))
    assert layers.Compare("and")([a, b]).tolist() == [[True, False]]
    assert layers.Compare("or")([a, b]).tolist() == [[True, True]]
    assert layers.Where(otherwise=-np.inf)([a, np.ones((1, 2))]).tolist() == [[1, -np.inf]]
    assert layers.Cast(dtype="float64")(x).dtype == np.float64


def test_what_conditions_take():
    with pytest.raises(ValueError, match="Compare: operation: expected one of equal"):
        layers.Compare("more")
    with pytest.raises(ValueError, match=r"constant: expected a shape that fits behind the batch of \(1, 2\)"):
        layers.Compare("less", np.zeros((3, 2)))(np.zeros((1, 2)))
    with pytest.raises(TypeError, match=r"inputs\[0\]: expected bool, got float32"):
        layers.Where()([np.zeros((1, 2), "float32")] * 3)
    with pytest.raises(ValueError, match="Parameter: shape: expected positive integers"):
        layers.Parameter([0])


def test_steps_by_their_numbers():
    x, n = np.arange(12.0).reshape(2, 3, 2), np.array([3, 0])
    assert layers.SequenceMask()([x, n]).tolist() == [[True] * 3, [False] * 3]
    assert layers.TakeStep()([x, np.array([-1, 0])]).tolist() == [[4, 5], [6, 7]]
    with pytest.raises(ValueError, match=r"inputs\[1\]: expected lengths from 0 to 3, got 0 to 4"):
        layers.SequenceMask()([x, np.array([4, 0])])
    with pytest.raises(ValueError, match=r"inputs\[1\]: expected steps from -3 to 2, got 0 to 3"):
        layers.TakeStep()([x, n])
    with pytest.raises(TypeError, match=r"inputs\[1\]: expected integers, got float32"):
        layers.TakeStep()([x, n * 1.0])


def test_a_parameter_is_learned():
    x = layers.Input((4, 3))
    model = Model(x, layers.GRU(2)(x, initial_state=layers.Parameter([2], name="begin")(x)))
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 4, 3)), np.ones((8, 2)), verbose=0)
    (begin,) = model.get_layer("begin").get_weights()
    assert begin.all()
