"""Normalising layers: formulas, PyTorch's numbers, moving averages, masks, gradients by differences, streams."""

import functools
import itertools
import json

import numpy as np
import pytest
from layer_tools import assert_gradients_by_differences, by_differences, numbers, with_weights

from lstmcore import Sequential
from lstmcore.layers import LSTM, BatchNormalization, LayerNormalization, Masking, RMSNormalization, TimeDistributed
from lstmcore.saving import load_model

KINDS = {
    "batch": BatchNormalization,
    "batch, renormalised": functools.partial(BatchNormalization, renorm=True),
    "layer": LayerNormalization,
    "layer, rms_scaling": functools.partial(LayerNormalization, rms_scaling=True),
    "root mean square": RMSNormalization,
}
EACH = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
EPSILON = 1e-3  # Keras's


def normal(x, axes, epsilon=EPSILON):
    """The formula of both: axes are those that mean and variance are taken over."""
    mean = x.mean(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean(axis=axes, keepdims=True) + epsilon)


def assert_training_gradients(layer, x, **options):
    """By differences of the forward pass of training, whose moving averages do not matter."""

    def loss():
        return (layer(x, True, **options) * d).sum()

    d = numbers(*x.shape, seed=50)
    for variable in layer.variables:
        variable.gradient.fill(0)
    loss()
    pairs = [(x, layer.backward(d)), *((v, v.gradient) for v in layer.trainable_variables)]
    for array, got in pairs:
        # Differences leave step^2 = 1e-12 and 1e-16 / step = 1e-10 times derivatives of some hundreds.
        np.testing.assert_allclose(got, by_differences(loss, array), rtol=1e-6, atol=1e-7)


# --- batch normalisation ---


@pytest.mark.parametrize(("shape", "axis"), [((8, 3), -1), ((4, 5, 3), -1), ((4, 5, 3), 1), ((4, 2, 3, 2), -2)])
def test_batches_are_normalised(shape, axis):
    x = 3 * numbers(*shape) + 2
    layer = BatchNormalization(axis, dtype="float64")
    layer.ensure_built(shape)
    size = shape[axis]
    gamma, beta = numbers(size), numbers(size, seed=1)
    layer.set_weights([gamma, beta, np.zeros(size), np.ones(size)])
    others = tuple(a for a in range(len(shape)) if a != axis % len(shape))
    broad = [size if a == axis % len(shape) else 1 for a in range(len(shape))]
    want = normal(x, others) * gamma.reshape(broad) + beta.reshape(broad)
    np.testing.assert_allclose(layer(x, training=True), want, rtol=1e-12, atol=1e-12)
    mean, variance = x.mean(axis=others), x.var(axis=others)
    np.testing.assert_allclose(layer.get_weights()[2], 0.01 * mean, rtol=1e-12)
    np.testing.assert_allclose(layer.get_weights()[3], 0.99 + 0.01 * variance, rtol=1e-12)


def test_moving_averages_take_over_at_inference():
    x = 2 * numbers(50, 3) + 1
    layer = BatchNormalization(momentum=0.8, dtype="float64")
    layer(x)
    mean, variance = np.zeros(3), np.ones(3)
    for _ in range(4):
        layer(x, training=True)
        mean, variance = 0.8 * mean + 0.2 * x.mean(axis=0), 0.8 * variance + 0.2 * x.var(axis=0)
    np.testing.assert_allclose(layer.get_weights()[2:], [mean, variance], rtol=1e-12)
    np.testing.assert_allclose(layer(x), (x - mean) / np.sqrt(variance + EPSILON), rtol=1e-12)
    np.testing.assert_allclose(layer.get_weights()[2:], [mean, variance], rtol=1e-12)


def test_moving_averages_are_not_trainable():
    layer = BatchNormalization(input_shape=(3,))
    model = Sequential([layer])
    names = ["gamma", "beta", "moving_mean", "moving_variance"]
    assert [v.name for v in layer.weights] == names
    assert [v.name for v in model.trainable_variables] == names[:2]
    assert model.parameters.values.size == 6
    assert [w.tolist() for w in layer.get_weights()] == [[1] * 3, [0] * 3, [0] * 3, [1] * 3]


def test_a_frozen_layer_runs_as_at_inference():
    layer = with_weights(BatchNormalization(dtype="float64"), 3)
    layer.moving_variance.assign([1, 2, 3])
    layer.trainable = False
    x, before = numbers(6, 3), layer.get_weights()
    np.testing.assert_array_equal(layer(x, training=True), layer(x))
    np.testing.assert_array_equal(layer.get_weights(), before)
    assert_training_gradients(layer, x)


def test_masked_steps_are_not_counted():
    mask = np.array([[1, 1, 0, 0], [0, 1, 1, 1], [0, 0, 0, 0]], bool)
    x = numbers(3, 4, 2)
    layer = BatchNormalization(dtype="float64")
    got = layer(x, True, mask=mask)
    mean, variance = x[mask].mean(axis=0), x[mask].var(axis=0)
    np.testing.assert_allclose(got, (x - mean) / np.sqrt(variance + EPSILON), rtol=1e-12)
    np.testing.assert_allclose(layer.get_weights()[2:], [0.01 * mean, 0.99 + 0.01 * variance], rtol=1e-12)
    np.testing.assert_array_equal(layer(x, mask=mask), layer(x))
    assert_training_gradients(with_weights(BatchNormalization(dtype="float64"), 2), x, mask=mask)
    x[~mask] = np.nan  # padding may hold anything
    np.testing.assert_array_equal(layer(x, True, mask=mask)[mask], got[mask])


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("filling", [np.nan, np.inf])
def test_gradients_do_not_depend_on_what_stands_in_padding(frozen, filling):
    mask = np.array([[1, 1, 0, 0], [0, 1, 1, 1]], bool)
    x, d, results = numbers(2, 4, 3), numbers(2, 4, 3) * mask[..., None], []
    layer = with_weights(BatchNormalization(dtype="float64", trainable=not frozen), 3, scale=0.1)
    layer.moving_variance.assign(np.ones(3))
    for value in (0.0, filling):
        x[~mask] = value
        for variable in layer.variables:
            variable.gradient.fill(0)
        with np.errstate(invalid="ignore"):
            layer(x, True, mask=mask)
            results.append([layer.backward(d), *(v.gradient.copy() for v in layer.variables)])
    for want, got in zip(*results, strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_batch_of_padding_leaves_the_moving_averages_alone():
    layer = with_weights(BatchNormalization(), 2)
    before = layer.get_weights()
    got = layer(numbers(3, 4, 2), True, mask=np.zeros((3, 4), bool))
    assert np.isfinite(got).all()
    assert np.isfinite(layer.backward(got)).all()
    np.testing.assert_array_equal(layer.get_weights(), before)


def test_masks_reach_the_layer_and_go_on():
    x = numbers(2, 6, 3)
    x[0, 4:] = 0
    layer = BatchNormalization(dtype="float64")
    model = Sequential([Masking(dtype="float64"), layer, LSTM(2, dtype="float64")])
    model(x, training=True)
    valid = np.concatenate([x[0, :4], x[1]])
    np.testing.assert_allclose(layer.get_weights()[2], 0.01 * valid.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(model(x)[0], model(x[:1, :4])[0], rtol=1e-12)


@pytest.mark.parametrize("options", [{}, {"center": False}, {"scale": False}, {"axis": 1}, {"epsilon": 0.5}], ids=str)
@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 3), (1, 3, 3)])
def test_gradients_of_batches_by_differences(shape, options):
    layer = with_weights(BatchNormalization(dtype="float64", **options), 3) if "axis" not in options else None
    if layer is None:
        layer = BatchNormalization(dtype="float64", **options)
        layer.ensure_built(shape)
    layer.moving_variance.assign(np.ones(3))
    assert_training_gradients(layer, numbers(*shape))


def test_a_large_mean_costs_no_digits():
    # The mean of numbers near 1000, added up in float32 in blocks, is good to about a unit in its last place, 6e-5.
    x = (1000 + numbers(5000, 40)).astype("float32")
    for layer, axes in [(BatchNormalization(), 0), (LayerNormalization(), 1)]:
        np.testing.assert_allclose(layer(x, training=True), normal(x.astype(float), axes), atol=5e-4)


@pytest.mark.peer
@pytest.mark.parametrize("shape", [(20, 6), (4, 9, 6)])
def test_batch_normalisation_is_that_of_pytorch(shape):
    torch = pytest.importorskip("torch")
    x, d = numbers(*shape, dtype="float32"), numbers(*shape, seed=1, dtype="float32")
    layer = BatchNormalization()
    layer.ensure_built(shape)
    gamma, beta = numbers(6), numbers(6, seed=1)
    layer.set_weights([gamma, beta, np.zeros(6), np.ones(6)])
    y = layer(x, training=True)
    leaves = [torch.tensor(a, dtype=torch.float32, requires_grad=True) for a in (x, gamma, beta)]
    want = torch.nn.functional.batch_norm(
        leaves[0].reshape(-1, 6), None, None, leaves[1], leaves[2], training=True, eps=EPSILON
    ).reshape(shape)
    want.backward(torch.tensor(d))
    np.testing.assert_allclose(y, want.detach().numpy(), rtol=1e-5, atol=1e-6)
    for got, leaf in zip([layer.backward(d), layer.gamma.gradient, layer.beta.gradient], leaves, strict=True):
        np.testing.assert_allclose(got, leaf.grad.numpy(), rtol=1e-5, atol=1e-5)


# --- batch renormalisation ---


class Renormalised:
    """Ioffe 2017, algorithm 1, with Keras's averages: of deviations, with epsilon in them."""

    def __init__(self, size, clipping, momentum=0.99, renorm_momentum=0.99):
        self.clipping, self.momentum, self.renorm_momentum = clipping, momentum, renorm_momentum
        self.moving_mean, self.moving_stddev = np.zeros(size), np.ones(size)
        self.mean, self.stddev = np.zeros(size), np.ones(size)

    def corrections(self, x):
        stddev = np.sqrt(x.var(axis=0) + EPSILON)
        average = np.maximum(self.stddev, np.sqrt(EPSILON))
        d_max = self.clipping.get("dmax", np.inf)
        r = np.minimum(np.maximum(stddev / average, self.clipping.get("rmin", 0)), self.clipping.get("rmax", np.inf))
        return r, np.minimum(np.maximum((x.mean(axis=0) - self.mean) / average, -d_max), d_max)

    def move(self, x):
        mean, stddev = x.mean(axis=0), np.sqrt(x.var(axis=0) + EPSILON)
        a, b = self.momentum, self.renorm_momentum
        self.moving_mean = a * self.moving_mean + (1 - a) * mean
        self.moving_stddev = a * self.moving_stddev + (1 - a) * stddev
        self.mean = b * self.mean + (1 - b) * mean
        self.stddev = b * self.stddev + (1 - b) * stddev

    def averages(self):
        variance = np.maximum(self.moving_stddev**2 - EPSILON, 0)
        return [self.moving_mean, variance, self.moving_stddev, self.mean, self.stddev]


CLIPPINGS = [{}, {"rmax": 1.5}, {"rmin": 1.2, "rmax": 2, "dmax": 0.3}, {"rmax": None, "dmax": 0.0}]


@pytest.mark.parametrize("options", [{}, {"center": False}, {"scale": False}], ids=str)
@pytest.mark.parametrize("clipping", [None, *CLIPPINGS], ids=str)
def test_batches_are_renormalised(clipping, options):
    layer = BatchNormalization(
        renorm=True, renorm_clipping=clipping, momentum=0.8, renorm_momentum=0.6, dtype="float64", **options
    )
    layer.ensure_built((None, 4))
    gamma = np.ones(4) if layer.gamma is None else numbers(4)
    beta = np.zeros(4) if layer.beta is None else numbers(4, seed=1)
    for variable, value in ((layer.gamma, gamma), (layer.beta, beta)):
        if variable is not None:
            variable.assign(value)
    given = {k: v for k, v in (clipping or {}).items() if v is not None}
    by_hand, d_outputs = Renormalised(4, given, 0.8, 0.6), numbers(9, 4, seed=2)
    for step in range(5):
        x = 3 * numbers(9, 4, seed=step) + 1
        r, d = by_hand.corrections(x)
        np.testing.assert_allclose(layer(x, training=True), (normal(x, 0) * r + d) * gamma + beta, rtol=1e-11)
        by_hand.move(x)
        np.testing.assert_allclose([v.value for v in layer.non_trainable_variables], by_hand.averages(), rtol=1e-12)
        for variable in layer.variables:
            variable.gradient.fill(0)
        d_inputs = layer.backward(d_outputs)
        # r and d are constants to the gradient: differences of the rest of the formula.
        pairs = [(x, d_inputs)]
        pairs += [] if layer.gamma is None else [(gamma, layer.gamma.gradient)]
        pairs += [] if layer.beta is None else [(beta, layer.beta.gradient)]
        for array, got in pairs:

            def loss(x=x, r=r, d=d):
                return (((normal(x, 0) * r + d) * gamma + beta) * d_outputs).sum()

            want = by_differences(loss, array)
            np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)
    mean, variance = by_hand.averages()[:2]
    np.testing.assert_allclose(layer(x), (x - mean) / np.sqrt(variance + EPSILON) * gamma + beta, rtol=1e-11)


def test_renormalisation_counts_no_masked_steps():
    mask = np.array([[1, 1, 0, 0], [0, 1, 1, 1], [0, 0, 0, 0]], bool)
    x, layer = numbers(3, 4, 2), BatchNormalization(renorm=True, dtype="float64")
    by_hand = Renormalised(2, {})
    r, d = by_hand.corrections(x[mask])
    by_hand.move(x[mask])
    mean, deviation = x[mask].mean(axis=0), np.sqrt(x[mask].var(axis=0) + EPSILON)
    np.testing.assert_allclose(layer(x, True, mask=mask), (x - mean) / deviation * r + d, rtol=1e-12)
    np.testing.assert_allclose([v.value for v in layer.non_trainable_variables], by_hand.averages(), rtol=1e-12)
    before = layer.get_weights()
    assert np.isfinite(layer(x, True, mask=np.zeros_like(mask))).all()
    np.testing.assert_array_equal(layer.get_weights(), before)


def test_the_averages_of_renormalisation_begin_where_the_moving_ones_do_and_are_saved(tmp_path):
    layer = BatchNormalization(
        renorm=True, moving_mean_initializer="random_normal", moving_variance_initializer="random_uniform"
    )
    layer.moving_variance_initializer = lambda shape, dtype=None: np.linspace(1, 2, *shape)
    model = Sequential([layer])
    model(numbers(3, 4))
    mean, variance, stddev, renorm_mean, renorm_stddev = layer.get_weights()[2:]
    names = ["moving_mean", "moving_variance", "moving_stddev", "renorm_mean", "renorm_stddev"]
    assert [v.name for v in layer.weights][2:] == names
    np.testing.assert_array_equal(renorm_mean, mean)
    np.testing.assert_array_equal([stddev, renorm_stddev], [np.sqrt(variance)] * 2)
    model(numbers(3, 4), training=True)
    layer.moving_variance_initializer = "ones"
    model.save(tmp_path / "model.safetensors")
    twin = load_model(tmp_path / "model.safetensors")
    for _ in range(2):
        np.testing.assert_array_equal(twin(numbers(3, 4), training=True), model(numbers(3, 4), training=True))
    for got, want in zip(twin.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(got, want)


# --- layer normalisation ---


@pytest.mark.parametrize(("shape", "axis"), [((4, 6), -1), ((2, 3, 5), -1), ((2, 3, 5), 1), ((2, 3, 5), [1, 2])])
def test_samples_are_normalised(shape, axis):
    x = 3 * numbers(*shape) + 2
    layer = LayerNormalization(axis, dtype="float64")
    layer.ensure_built(shape)
    axes = tuple(a % len(shape) for a in np.atleast_1d(axis))
    sizes = tuple(shape[a] for a in axes)
    gamma, beta = numbers(*sizes), numbers(*sizes, seed=1)
    layer.set_weights([gamma, beta])
    broad = [shape[a] if a in axes else 1 for a in range(len(shape))]
    want = normal(x, axes) * gamma.reshape(broad) + beta.reshape(broad)
    np.testing.assert_allclose(layer(x), want, rtol=1e-12, atol=1e-12)
    assert layer.compute_output_shape((None, *shape[1:])) == (None, *shape[1:])
    assert_gradients_by_differences(layer, x)


@pytest.mark.parametrize("options", [{"center": False}, {"scale": False}, {"center": False, "scale": False}], ids=str)
def test_gradients_without_gamma_and_beta(options):
    layer = with_weights(LayerNormalization(dtype="float64", **options), 4)
    assert len(layer.weights) == 2 - len(options)
    assert_gradients_by_differences(layer, numbers(2, 3, 4))


@pytest.mark.peer
def test_layer_normalisation_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    x, d = numbers(3, 4, 6, dtype="float32"), numbers(3, 4, 6, seed=1, dtype="float32")
    layer = with_weights(LayerNormalization(), 6)
    y = layer(x, training=True)
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, *layer.get_weights())]
    want = torch.nn.functional.layer_norm(leaves[0], (6,), leaves[1], leaves[2], EPSILON)
    want.backward(torch.tensor(d))
    np.testing.assert_allclose(y, want.detach().numpy(), rtol=1e-5, atol=1e-6)
    for got, leaf in zip([layer.backward(d), layer.gamma.gradient, layer.beta.gradient], leaves, strict=True):
        np.testing.assert_allclose(got, leaf.grad.numpy(), rtol=1e-5, atol=1e-5)


# --- by the root mean square ---


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((4, 6), -1), ((2, 3, 5), -1), ((2, 3, 5), 1), ((2, 3, 5), [1, 2]), ((2, 3, 5), [-1, 0]), ((2, 3, 4, 2), [1, 3])],
)
@pytest.mark.parametrize("kind", [RMSNormalization, functools.partial(LayerNormalization, rms_scaling=True)])
def test_samples_are_divided(kind, shape, axis):
    x = 3 * numbers(*shape) + 2
    layer = kind(axis, epsilon=0.01, dtype="float64")
    layer.ensure_built(shape)
    axes = tuple(sorted(a % len(shape) for a in np.atleast_1d(axis)))
    (gamma,) = layer.get_weights()
    assert gamma.tolist() == np.ones([shape[a] for a in axes]).tolist()
    gamma = numbers(*gamma.shape)
    layer.set_weights([gamma])
    # Keras's rms_scaling divides by the deviation from the mean, and subtracts no mean.
    mean = 0 if kind is RMSNormalization else x.mean(axis=axes, keepdims=True)
    divided = x / np.sqrt(((x - mean) ** 2).mean(axis=axes, keepdims=True) + 0.01)
    want = divided * gamma.reshape([shape[a] if a in axes else 1 for a in range(len(shape))])
    np.testing.assert_allclose(layer(x), want, rtol=1e-12)
    assert layer.compute_output_shape((None, *shape[1:])) == (None, *shape[1:])
    assert_gradients_by_differences(layer, x)


def test_rms_scaling_has_a_gamma_and_no_beta():
    for options in ({}, {"scale": False}, {"center": False}):
        layer = LayerNormalization(rms_scaling=True, gamma_initializer="zeros", **options)
        assert not layer(numbers(2, 3)).any()
        assert [v.name for v in layer.weights] == ["gamma"]


@pytest.mark.peer
def test_root_mean_square_normalisation_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    x, d = numbers(3, 4, 6, dtype="float32"), numbers(3, 4, 6, seed=1, dtype="float32")
    layer = with_weights(RMSNormalization(), 6)
    assert [v.name for v in layer.weights] == ["scale"]
    y = layer(x, training=True)
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, layer.scale.numpy())]
    want = torch.nn.functional.rms_norm(leaves[0], (6,), leaves[1], 1e-6)
    want.backward(torch.tensor(d))
    np.testing.assert_allclose(y, want.detach().numpy(), rtol=1e-5, atol=1e-6)
    for got, leaf in zip([layer.backward(d), layer.scale.gradient], leaves, strict=True):
        np.testing.assert_allclose(got, leaf.grad.numpy(), rtol=1e-5, atol=1e-5)


# --- all ---


@EACH
@pytest.mark.parametrize("features", [1, 9, 300])
def test_a_stream_gives_the_bits_of_the_whole(kind, features):
    for options in [{}] if kind is RMSNormalization else [{}, {"center": False}, {"scale": False}]:
        layer = kind(**options)
        model = Sequential([layer])
        x = numbers(3, 20, features, dtype="float32")
        model(x, training=True)
        layer.set_weights([w + 0.1 * np.abs(numbers(*w.shape)) for w in layer.get_weights()])
        want = model(x)
        stream = model.stream(3, 4)
        for _ in range(2):
            cuts = [0, 1, 5, 8, 12, 13, 16, 20]
            parts = [stream(x[:, a:b]).copy() for a, b in itertools.pairwise(cuts)]
            np.testing.assert_array_equal(np.concatenate(parts, axis=1), want)
            stream.reset()


@EACH
def test_inputs_of_any_layout(kind):
    layer = with_weights(kind(dtype="float64"), 4)
    layer.momentum = layer.renorm_momentum = 1  # averages that stay
    x = numbers(3, 5, 4)
    y = layer(x, training=True)
    want = layer.backward(x)
    frozen = x.copy()
    frozen.flags.writeable = False
    for other in (np.asfortranarray(x), np.repeat(x, 2, axis=2)[..., ::2], frozen):
        np.testing.assert_array_equal(layer(other, training=True), y)
        np.testing.assert_array_equal(layer.backward(other), want)
    layer(x, training=True)
    assert layer.backward(x, need_d_inputs=False) is None
    assert layer(x[:0], training=True).shape == layer.backward(x[:0]).shape == (0, 5, 4)
    mask = np.ones((3, 5), bool)
    assert layer.compute_mask(x, mask) is mask


@EACH
def test_configuration_makes_an_equal_layer(kind):
    options = {} if kind is RMSNormalization else {"scale": False, "beta_initializer": "ones"}
    layer = kind(axis=1, epsilon=0.01, name="n", dtype="float64", **options)
    other = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
    assert other.get_config() == layer.get_config()
    x = numbers(2, 5, 3)
    np.testing.assert_array_equal(layer(x, training=True), other(x, training=True))


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: BatchNormalization(axis=1.5), TypeError, "axis: expected an integer, got 1.5"),
        (lambda: BatchNormalization(axis=[1, 2]), TypeError, r"axis: expected an integer, got \[1, 2\]"),
        (lambda: BatchNormalization(momentum=1.5), ValueError, r"momentum: expected a number in \[0, 1\], got 1.5"),
        (lambda: BatchNormalization(epsilon=-1), ValueError, r"epsilon: expected a number in \[0, inf\), got -1"),
        (lambda: BatchNormalization(center=1), TypeError, "center: expected True or False, got 1"),
        (lambda: BatchNormalization(3)(numbers(2, 3)), ValueError, r"axis: expected axes .* \(2, 3\), got 3"),
        (lambda: BatchNormalization(1, input_shape=(None, 3)).build((None, None, 3)), ValueError, "known sizes"),
        (
            lambda: with_weights(BatchNormalization(), 3)(numbers(2, 4)),
            ValueError,
            r"expected 3 features in axis -1, got shape \(2, 4\)",
        ),
        (
            lambda: BatchNormalization()(numbers(2, 3, 4), True, mask=np.ones((3, 2), bool)),
            ValueError,
            r"mask: expected shape \(batch=2, steps=3\), got \(3, 2\)",
        ),
        (
            lambda: BatchNormalization(1)(numbers(2, 3, 4), True, mask=np.ones((2, 3), bool)),
            ValueError,
            "axis: expected -1 where there is a mask, got 1",
        ),
        (lambda: BatchNormalization().backward(numbers(2, 3)), RuntimeError, "training=True"),
        (lambda: LayerNormalization(axis="last"), TypeError, "axis: expected an integer, got 'last'"),
        (lambda: LayerNormalization(axis=[1, -1])(numbers(2, 3)), ValueError, r"different axes, got \[1, -1\]"),
        (lambda: LayerNormalization(axis=2)(numbers(2, 3)), ValueError, r"axis: expected axes .* got \[2\]"),
        (lambda: LayerNormalization(rms_scaling=1), TypeError, "rms_scaling: expected True or False, got 1"),
        (lambda: RMSNormalization(epsilon=-1.0), ValueError, "RMSNormalization: epsilon: .* got -1.0"),
        (lambda: BatchNormalization(renorm="yes"), TypeError, "renorm: expected True or False, got 'yes'"),
        (lambda: BatchNormalization(renorm_momentum=2), ValueError, r"renorm_momentum: .* in \[0, 1\], got 2"),
        (
            lambda: BatchNormalization(renorm=True, renorm_clipping={"max": 3}),
            ValueError,
            "renorm_clipping: expected a dict of 'rmin', 'rmax' and 'dmax', got {'max': 3}",
        ),
        (
            lambda: BatchNormalization(renorm=True, renorm_clipping={"rmin": 2, "rmax": 1}),
            ValueError,
            "renorm_clipping: rmax: expected at least rmin=2.0, got 1.0",
        ),
        (lambda: BatchNormalization(renorm_clipping={"dmax": -1}), ValueError, "renorm_clipping: dmax: .* got -1"),
        (
            lambda: with_weights(LayerNormalization(), 3)(numbers(2, 4)),
            ValueError,
            r"expected sizes \(3,\) of axes \[-1\], got shape \(2, 4\)",
        ),
        (lambda: LayerNormalization().backward(numbers(2, 3)), RuntimeError, "training=True"),
    ],
)
def test_wrong_arguments_are_named(make, error, text):
    with pytest.raises(error, match=text):
        make()


@EACH
def test_streams_need_the_axis_of_the_features(kind):
    layer = kind(axis=1)
    layer(numbers(2, 3, 4))
    with pytest.raises(ValueError, match="axis: a stream needs that of the features, -1, got"):
        layer.stream(1, 1)


def test_steps_are_normalised_together():
    x = np.arange(24.0).reshape(2, 4, 3)
    alone = BatchNormalization(dtype="float64")
    wrapped = TimeDistributed(BatchNormalization(dtype="float64"), dtype="float64")
    np.testing.assert_allclose(wrapped(x, training=True), alone(x, training=True), rtol=1e-12)
