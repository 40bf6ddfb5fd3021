"""Normalising layers: formulas, PyTorch's numbers, moving averages, masks, gradients by differences, streams."""

import itertools

import numpy as np
import pytest
from layer_tools import assert_gradients_by_differences, by_differences, numbers, with_weights

from lstmcore import Sequential
from lstmcore.layers import LSTM, BatchNormalization, LayerNormalization, Masking

BOTH = pytest.mark.parametrize("kind", [BatchNormalization, LayerNormalization])
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


# --- both ---


@BOTH
@pytest.mark.parametrize("features", [1, 9, 300])
def test_a_stream_gives_the_bits_of_the_whole(kind, features):
    for options in [{}, {"center": False}, {"scale": False}]:
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


@BOTH
def test_inputs_of_any_layout(kind):
    layer = with_weights(kind(dtype="float64"), 4)
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


@BOTH
def test_configuration_makes_an_equal_layer(kind):
    layer = kind(axis=1, epsilon=0.01, scale=False, beta_initializer="ones", name="n", dtype="float64")
    other = kind.from_config(layer.get_config())
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
        (lambda: LayerNormalization(rms_scaling=True), NotImplementedError, "rms_scaling=True"),
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


@BOTH
def test_streams_need_the_axis_of_the_features(kind):
    layer = kind(axis=1)
    layer(numbers(2, 3, 4))
    with pytest.raises(ValueError, match="axis: a stream needs that of the features, -1, got"):
        layer.stream(1, 1)
