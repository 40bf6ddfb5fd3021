"""Conv1D: values of the equation and of PyTorch, gradients by differences, streams bit for bit, errors that help."""

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_tools import assert_gradients_by_differences, by_differences, numbers, with_weights

from lstmcore import Sequential, reference
from lstmcore.layers import LSTM, Conv1D, Cropping1D, UpSampling1D, ZeroPadding1D

PADDINGS = ["valid", "same", "causal"]
OPTIONS = [
    {"strides": s, "dilation_rate": d, "padding": p}
    for p, (s, d) in itertools.product(PADDINGS, [(1, 1), (2, 1), (3, 1), (1, 2), (1, 3)])
]
each_option = pytest.mark.parametrize("options", OPTIONS, ids=lambda o: " ".join(map(str, o.values())))


def fits(kernel_size, dilation_rate, padding, steps):
    return padding != "valid" or (kernel_size - 1) * dilation_rate < steps


def output_and_gradients(layer, x, d):
    for variable in layer.variables:
        variable.gradient.fill(0)
    y = layer(x, training=True)
    return [y, layer.backward(d(y)), *(v.gradient.copy() for v in layer.variables)]


# --- values ---


@settings(max_examples=150)
@given(
    batch=st.integers(1, 3),
    steps=st.integers(1, 12),
    channels=st.integers(1, 3),
    filters=st.integers(1, 3),
    kernel_size=st.integers(1, 6),
    options=st.sampled_from(OPTIONS),
    bias=st.booleans(),
    groups=st.integers(1, 4),
)
def test_layer_is_the_reference(batch, steps, channels, filters, kernel_size, options, bias, groups):
    if not fits(kernel_size, options["dilation_rate"], options["padding"], steps):
        return
    options, channels, filters = {**options, "groups": groups}, channels * groups, filters * groups
    layer = with_weights(Conv1D(filters, kernel_size, use_bias=bias, dtype="float64", **options), channels)
    x = numbers(batch, steps, channels)
    y, dx, *d_weights = output_and_gradients(layer, x, lambda y: numbers(*y.shape))
    kernel, *b = layer.get_weights()
    np.testing.assert_allclose(y, reference.conv1d(x, kernel, *b, **options), rtol=1e-12, atol=1e-13)
    want = reference.conv1d_backward(x, kernel, numbers(*y.shape), **options)
    for got, expected in zip([dx, *d_weights], want[: 2 + bias], strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
    assert y.shape == layer.compute_output_shape(x.shape)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("options", OPTIONS[::3], ids=str)
def test_gradients_of_the_reference_by_differences(options, groups):
    options = {**options, "groups": groups}
    x, kernel, bias = numbers(2, 7, 2 * groups), numbers(3, 2, 2 * groups), numbers(2 * groups)
    d = numbers(*reference.conv1d(x, kernel, bias, **options).shape)
    got = reference.conv1d_backward(x, kernel, d, **options)
    for array, gradient in zip([x, kernel, bias], got, strict=True):
        # The output is linear in each: what is left is rounding, 1e-16 / step of some tens.
        want = by_differences(lambda: (reference.conv1d(x, kernel, bias, **options) * d).sum(), array)
        np.testing.assert_allclose(gradient, want, atol=1e-8)


def test_known_values():
    layer = Conv1D(1, 3, dtype="float64", input_shape=(None, 1))
    Sequential([layer])
    layer.set_weights([np.reshape([1.0, 10, 100], (3, 1, 1)), [0.5]])
    x = np.reshape([1.0, 2, 3, 4, 5], (1, 5, 1))
    outputs = {"valid": [321.5, 432.5, 543.5]}
    np.testing.assert_array_equal(layer(x)[0, :, 0], outputs["valid"])
    for padding, want in {"causal": [100, 210, 321, 432, 543], "same": [210, 321, 432, 543, 54]}.items():
        other = Conv1D(1, 3, padding=padding, use_bias=False, dtype="float64")
        other(x)
        other.set_weights(layer.get_weights()[:1])
        np.testing.assert_array_equal(other(x)[0, :, 0], want)


def test_same_pads_as_tensorflow_does():
    # https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2: with 13 steps, a filter of 6 and strides of
    # 5, one step of padding before and two behind.
    layer = Conv1D(1, 6, strides=5, padding="same", use_bias=False, kernel_initializer="ones", dtype="float64")
    x = np.arange(1.0, 14).reshape(1, 13, 1)
    np.testing.assert_array_equal(layer(x)[0, :, 0], [15, 45, 46])  # of 1 to 5, 5 to 10, 10 to 13


@pytest.mark.peer
@pytest.mark.parametrize("groups", [1, 2, 6])
@each_option
def test_values_and_gradients_are_those_of_pytorch(options, groups):
    torch = pytest.importorskip("torch")
    kernel_size, steps = 4, 13
    layer = with_weights(Conv1D(12, kernel_size, groups=groups, dtype="float64", **options), 6)
    x = numbers(2, steps, 6)
    y, *gradients = output_and_gradients(layer, x, lambda y: numbers(*y.shape))
    before, behind = reference.convolution._padding(steps, kernel_size, **options)
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, *layer.get_weights())]
    padded = torch.nn.functional.pad(leaves[0].transpose(1, 2), (before, behind))
    want = torch.nn.functional.conv1d(
        padded, leaves[1].permute(2, 1, 0), leaves[2], options["strides"], 0, options["dilation_rate"], groups
    ).transpose(1, 2)
    want.backward(torch.tensor(numbers(*y.shape)))
    np.testing.assert_allclose(y, want.detach().numpy(), rtol=1e-12, atol=1e-13)
    for got, leaf in zip(gradients, leaves, strict=True):
        np.testing.assert_allclose(got, leaf.grad.numpy(), rtol=1e-12, atol=1e-12)


def test_float32_and_more_windows_than_a_chunk():
    layer = with_weights(Conv1D(20, 5, padding="same"), 7)
    x = numbers(4, 300, 7, dtype="float32")
    y, dx, d_kernel, d_bias = output_and_gradients(layer, x, lambda y: numbers(*y.shape, dtype="float32"))
    kernel, bias = (w.astype(float) for w in layer.get_weights())
    x, d = x.astype(float), numbers(*y.shape, dtype="float32").astype(float)
    want = [reference.conv1d(x, kernel, bias, padding="same"), *reference.conv1d_backward(x, kernel, d, padding="same")]
    # Rounding of sums of up to 1200 terms about 1 in size: sqrt(1200) * 6e-8 of their size of some tens.
    for got, expected in zip([y, dx, d_kernel, d_bias], want, strict=True):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


# --- gradients ---


@pytest.mark.parametrize("activation", [None, "tanh", "sigmoid"])
@pytest.mark.parametrize("kernel_size", [1, 3, 4])
@each_option
def test_gradients_by_differences(options, kernel_size, activation):
    for steps, groups in [(1, 1), (5, 2), (7, 1)]:
        if fits(kernel_size, options["dilation_rate"], options["padding"], steps):
            layer = Conv1D(2, kernel_size, activation=activation, groups=groups, dtype="float64", **options)
            assert_gradients_by_differences(with_weights(layer, 2), numbers(2, steps, 2))


def test_gradients_add_up_and_inputs_may_do_without():
    layer = with_weights(Conv1D(2, 3, dtype="float64"), 2)
    x, d = numbers(2, 5, 2), numbers(2, 3, 2)
    _, _, *once = output_and_gradients(layer, x, lambda y: d)
    layer(x, training=True)
    assert layer.backward(d, need_d_inputs=False) is None
    for variable, gradient in zip(layer.variables, once, strict=True):
        np.testing.assert_allclose(variable.gradient, 2 * gradient, rtol=1e-12)


def test_logits_leave_out_the_activation():
    x, d = numbers(2, 5, 3), numbers(2, 3, 4)
    layers = [with_weights(Conv1D(4, 3, activation=a, dtype="float64"), 3) for a in ("sigmoid", None)]
    assert layers[0].last_activation is layers[0].activation
    got, want = layers[0].forward(x, True, logits=True), layers[1].forward(x, True)
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(layers[0].backward(d, logits=True), layers[1].backward(d))
    for a, b in zip(layers[0].variables, layers[1].variables, strict=True):
        np.testing.assert_array_equal(a.gradient, b.gradient)


@pytest.mark.parametrize("groups", [1, 2])
def test_bits_do_not_depend_on_threads(set_threads, groups):
    layer = with_weights(Conv1D(40, 5, padding="same", groups=groups), 30)
    x = numbers(8, 90, 30, dtype="float32")
    results = []
    for threads in (1, 2, 3):
        set_threads(threads)
        results.append(output_and_gradients(layer, x, lambda y: numbers(*y.shape, dtype="float32")))
    for other in results[1:]:
        for got, want in zip(other, results[0], strict=True):
            np.testing.assert_array_equal(got, want)


# --- inputs of every kind ---


@pytest.mark.parametrize("groups", [1, 2])
@each_option
def test_inputs_of_any_layout(options, groups):
    layer = with_weights(Conv1D(6, 2, groups=groups, dtype="float64", **options), 4)
    x = numbers(3, 12, 4)
    want = output_and_gradients(layer, x, lambda y: numbers(*y.shape))
    frozen = x.copy()
    frozen.flags.writeable = False
    for other in (np.asfortranarray(x), np.repeat(x, 2, axis=2)[..., ::2], x[:, ::-1].copy()[:, ::-1], frozen):
        got = output_and_gradients(layer, other, lambda y: np.asfortranarray(numbers(*y.shape)))
        for a, b in zip(got, want, strict=True):
            np.testing.assert_array_equal(a, b)
    empty = layer(x[:0], training=True)
    assert empty.shape == (0, *want[0].shape[1:])
    assert layer.backward(empty).shape == (0, 12, 4)


def test_masks_go_on():
    mask = np.arange(8) < np.array([[8], [5], [0]])
    x = numbers(3, 8, 2)
    for options, want in [
        ({"padding": "same"}, mask),
        ({"padding": "causal", "strides": 3}, mask[:, [0, 3, 6]]),
        ({"padding": "same", "strides": 2}, mask[:, [0, 2, 4, 6]]),
        # Whole windows: those of 8, 5 and no steps.
        ({"padding": "valid"}, np.arange(6) < np.array([[6], [3], [0]])),
        ({"padding": "valid", "strides": 2}, np.arange(3) < np.array([[3], [2], [0]])),
        ({"padding": "valid", "dilation_rate": 2}, np.arange(4) < np.array([[4], [1], [0]])),
    ]:
        layer = Conv1D(2, 3, dtype="float64", **options)
        got = layer.compute_mask(x, mask)
        np.testing.assert_array_equal(got, want)
        assert got.shape[1] == layer(x).shape[1]
    assert layer.compute_mask(x, None) is None


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
@pytest.mark.parametrize(
    "options", [{}, {"strides": 2}, {"dilation_rate": 2}, {"strides": 3}, {"groups": 2, "dilation_rate": 2}], ids=str
)
def test_masked_steps_are_zeros(padding, options):
    mask = np.arange(12) < np.array([[12], [6], [0], [8]])
    mask[3] = mask[3, ::-1]
    layer = with_weights(Conv1D(4, 3, padding=padding, dtype="float64", **options), 2)
    x = numbers(4, 12, 2)
    want = layer(np.where(mask[..., None], x, 0))
    d = numbers(*want.shape, seed=1)
    assert_gradients_by_differences(layer, x, mask=mask)
    x[~mask] = np.nan  # padding may hold anything
    np.testing.assert_array_equal(layer(x, True, mask=mask), want)
    assert not layer.backward(d)[~mask].any()
    np.testing.assert_array_equal(layer(x[:1], mask=mask[:1]), layer(x[:1]))
    with pytest.raises(ValueError, match=r"mask: expected shape \(batch=4, steps=12\), got \(4, 11\)"):
        layer(x, mask=mask[:, 1:])


# --- streams ---


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("dilation_rate", [1, 3])
@pytest.mark.parametrize(("kernel_size", "groups"), [(1, 1), (2, 1), (5, 1), (3, 2), (2, 10)])
def test_a_stream_gives_the_bits_of_the_whole(kernel_size, groups, dilation_rate, dtype):
    for batch, steps in [(1, 1), (3, 4), (2, 40)]:
        options = {"dilation_rate": dilation_rate, "groups": groups, "dtype": dtype}
        causal = Conv1D(70, kernel_size, padding="causal", activation="tanh", **options)
        model = Sequential([causal, LSTM(5, return_sequences=True, dtype=dtype)])
        x = numbers(batch, 40, 10, dtype=dtype)
        want = model(x)
        stream = model.stream(batch, steps)
        for _ in range(2):
            parts, begin, sizes = [], 0, itertools.cycle({1, steps, max(1, steps - 1)})
            while begin < 40:
                size = min(next(sizes), 40 - begin)
                parts.append(stream(x[:, begin : begin + size]).copy())
                begin += size
            np.testing.assert_array_equal(np.concatenate(parts, axis=1), want)
            stream.reset()


def test_a_stream_allocates_no_arrays():
    layer = with_weights(Conv1D(8, 400, padding="causal"), 50)
    stage, x = layer.stream(1, 1), numbers(1, 1, 50, dtype="float32")
    stage(x)
    tracemalloc.start()
    for _ in range(1000):
        stage(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000  # the steps it remembers are 80 kB


@pytest.mark.parametrize("options", [{}, {"padding": "same"}, {"padding": "causal", "strides": 2}])
def test_other_convolutions_cannot_be_streamed(options):
    with pytest.raises(ValueError, match=r"padding: a stream .* expected padding='causal' and strides=1, got"):
        with_weights(Conv1D(2, 3, **options), 2).stream(1, 1)


# --- more steps and fewer ---


@pytest.mark.parametrize(
    ("layer", "steps", "mask"),
    [
        (UpSampling1D(3, dtype="float64"), [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3], None),
        (ZeroPadding1D(1, dtype="float64"), [None, 0, 1, 2, 3, None], None),
        (ZeroPadding1D((0, 2), dtype="float64"), [0, 1, 2, 3, None, None], None),
        (Cropping1D(1, dtype="float64"), [1, 2], None),
        (Cropping1D((2, 0), dtype="float64"), [2, 3], None),
        (Cropping1D(0, dtype="float64"), [0, 1, 2, 3], None),
    ],
)
def test_steps_repeated_padded_and_cut_off(layer, steps, mask):
    x, valid = numbers(2, 4, 3), np.array([[1, 1, 1, 0], [0, 1, 1, 1]], bool)
    want = np.stack([np.zeros((2, 3)) if k is None else x[:, k] for k in steps], axis=1)
    np.testing.assert_array_equal(layer(x), want)
    assert layer.compute_output_shape((None, 4, 3)) == (None, len(steps), 3)
    assert layer.compute_output_shape((None, None, 3)) == (None, None, 3)
    want = np.stack([np.zeros(2, bool) if k is None else valid[:, k] for k in steps], axis=1)
    np.testing.assert_array_equal(layer.compute_mask(x, valid), want)
    assert layer.compute_mask(x, None) is None
    assert_gradients_by_differences(layer, x)
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


# --- configuration and bad input ---


def test_configuration_makes_an_equal_layer():
    options = {"groups": 2, "activation": "relu", "use_bias": False, "name": "c", "dtype": "float64"}
    layer = Conv1D(4, (3,), strides=[2], padding="SAME", **options)
    other = Conv1D.from_config(layer.get_config())
    assert other.get_config() == layer.get_config()
    assert (other.kernel_size, other.strides, other.padding, other.name) == (3, 2, "same", "c")
    x = numbers(1, 5, 2)
    layer(x), other(x)
    other.set_weights(layer.get_weights())
    np.testing.assert_array_equal(layer(x), other(x))


def test_initial_kernel_counts_the_kernel_size_as_keras_does():
    layer = with_weights(Conv1D(64, 5), 20)
    fresh = Conv1D(64, 5)
    fresh(numbers(1, 9, 20, dtype="float32"))
    limit = np.sqrt(6 / (5 * 20 + 5 * 64))
    kernel, bias = fresh.get_weights()
    assert kernel.shape == layer.kernel.shape == (5, 20, 64)
    assert 0.99 * limit < np.abs(kernel).max() <= limit * (1 + 1e-6)
    assert not bias.any()


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Conv1D(0, 3), ValueError, "Conv1D: filters: expected a positive integer, got 0"),
        (lambda: Conv1D(2, 0), ValueError, "Conv1D: kernel_size: expected a positive integer, got 0"),
        (lambda: Conv1D(2, (3, 3)), ValueError, r"kernel_size: expected a positive integer, got \(3, 3\)"),
        (lambda: Conv1D(2, 2.5), TypeError, "kernel_size: expected a positive integer, got 2.5"),
        (lambda: Conv1D(2, 3, strides=0), ValueError, "strides: expected a positive integer, got 0"),
        (lambda: Conv1D(2, 3, 2, dilation_rate=2), ValueError, "dilation_rate: expected 1 with strides=2, got 2"),
        (lambda: Conv1D(2, 3, padding="full"), ValueError, "padding: expected one of 'valid', 'same', 'causal'"),
        (lambda: Conv1D(2, 3, padding=1), TypeError, "padding: expected one of .* got 1"),
        (lambda: Conv1D(2, 3, groups=0), ValueError, "groups: expected a positive integer, got 0"),
        (lambda: Conv1D(2, 3, groups=3), ValueError, "groups: expected a divisor of filters=2, got 3"),
        (
            lambda: Conv1D(4, 3, groups=2)(numbers(1, 5, 3)),
            ValueError,
            "groups: expected a divisor of the 3 channels of inputs, got 2",
        ),
        (lambda: Conv1D(2, 3, data_format="channels_first"), NotImplementedError, "channels_first.* Permute"),
        (lambda: Conv1D(2, 3, data_format="NCW"), ValueError, "data_format: expected one of .* got 'NCW'"),
        (lambda: Conv1D(2, 3, lora_rank=4), NotImplementedError, "lora_rank=4"),
        (lambda: Conv1D(2, 3, activation="no such"), ValueError, "got 'no such'"),
        (lambda: Conv1D(2, 3, use_bias=1), TypeError, "use_bias: expected True or False, got 1"),
        (lambda: Conv1D(2**61, 3)(numbers(1, 5, 2)), ValueError, "filters: a kernel of shape .* overflows"),
        (lambda: Conv1D(2, 3)(numbers(5, 2)), ValueError, r"expected shape \(batch, steps, channels\), got \(5, 2\)"),
        (lambda: Conv1D(2, 6)(numbers(1, 5, 2)), ValueError, r"at least 6 steps \(padding='valid'\), got 5"),
        (lambda: Conv1D(2, 3, dilation_rate=3)(numbers(1, 5, 2)), ValueError, "at least 7 steps .* got 5"),
        (lambda: Conv1D(2, 3, padding="same")(numbers(1, 5, 2)[:, :0]), ValueError, "at least 1 step, got 0"),
        (lambda: Conv1D(2, 3, input_shape=(5, None)).build((None, 5, None)), ValueError, "known number of channels"),
        (lambda: with_weights(Conv1D(2, 3), 2)(numbers(1, 5, 3)), ValueError, r"channels=2\), got \(1, 5, 3\)"),
        (lambda: with_weights(Conv1D(2, 3), 2).backward(numbers(1, 3, 2)), RuntimeError, "training=True"),
        (lambda: UpSampling1D(0), ValueError, "size: expected a positive integer, got 0"),
        (lambda: ZeroPadding1D(-1), ValueError, "padding: expected an integer from 0 on, or two, got -1"),
        (lambda: ZeroPadding1D((1, 2, 3)), ValueError, "padding: expected an integer from 0 on, or two"),
        (lambda: Cropping1D(1.5), TypeError, "cropping: expected an integer, got 1.5"),
        (lambda: Cropping1D(2)(numbers(1, 4, 2)), ValueError, "expected more than 4 steps, got 4"),
        (
            lambda: UpSampling1D(2)(numbers(4, 2)),
            ValueError,
            r"expected shape \(batch, steps, features\), got \(4, 2\)",
        ),
    ],
)
def test_wrong_arguments_are_named(make, error, text):
    with pytest.raises(error, match=text):
        make()
