"""Pooling: values of the windows and of PyTorch, gradients by differences, masks, errors that help."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_tools import assert_gradients_by_differences, numbers

from lstmcore import Sequential
from lstmcore.layers import (
    LSTM,
    AveragePooling1D,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    Masking,
    MaxPooling1D,
)

LOCAL = {MaxPooling1D: np.max, AveragePooling1D: np.mean}
GLOBAL = [GlobalMaxPooling1D, GlobalAveragePooling1D]


def windows(steps, size, strides, padding):
    """The steps of every window, those within the sequence."""
    if padding == "valid":
        return [range(t, t + size) for t in range(0, steps - size + 1, strides)]
    count = -(-steps // strides)
    before = max((count - 1) * strides + size - steps, 0) // 2
    starts = [t * strides - before for t in range(count)]
    return [range(max(0, t), min(steps, t + size)) for t in starts]


@settings(max_examples=100)
@given(
    kind=st.sampled_from(list(LOCAL)),
    steps=st.integers(1, 9),
    size=st.integers(1, 5),
    strides=st.one_of(st.none(), st.integers(1, 6)),
    padding=st.sampled_from(["valid", "same"]),
)
def test_every_window_by_itself(kind, steps, size, strides, padding):
    if padding == "valid" and size > steps:
        return
    layer = kind(size, strides, padding, dtype="float64")
    x = numbers(2, steps, 3)
    places = windows(steps, size, strides or size, padding)
    want = np.stack([LOCAL[kind](x[:, list(window)], axis=1) for window in places], axis=1)
    np.testing.assert_allclose(layer(x), want, rtol=1e-14)
    assert layer.compute_output_shape(x.shape) == want.shape
    assert layer.compute_output_shape((None, None, 3)) == (None, None, 3)
    assert_gradients_by_differences(layer, x)
    mask = np.random.default_rng(steps).random((2, steps)) < 0.3
    want = np.stack([mask[:, list(window)].any(axis=1) for window in places], axis=1)
    np.testing.assert_array_equal(layer.compute_mask(x, mask), want)
    assert layer.compute_mask(x, None) is None


@pytest.mark.peer
@pytest.mark.parametrize(("size", "strides", "steps"), [(2, 2, 8), (3, 1, 7), (3, 2, 9), (2, 3, 8)])
def test_values_and_gradients_are_those_of_pytorch(size, strides, steps):
    torch = pytest.importorskip("torch")
    # Few different values, so that some are equal.
    x = np.random.default_rng(size).integers(0, 3, (2, steps, 4)).astype("float32")
    for kind, peer in [
        (MaxPooling1D, torch.nn.functional.max_pool1d),
        (AveragePooling1D, torch.nn.functional.avg_pool1d),
    ]:
        layer = kind(size, strides)
        leaf = torch.tensor(x, requires_grad=True)
        want = peer(leaf.transpose(1, 2), size, strides).transpose(1, 2)
        got, d = layer(x, training=True), numbers(*want.shape, dtype="float32")
        want.backward(torch.tensor(d))
        np.testing.assert_allclose(got, want.detach().numpy(), rtol=1e-6)
        np.testing.assert_allclose(layer.backward(d), leaf.grad.numpy(), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("keepdims", [True, False])
def test_global_pooling(keepdims):
    x = numbers(3, 5, 2)
    for kind, function in zip(GLOBAL, [np.max, np.mean], strict=True):
        layer = kind(keepdims=keepdims, dtype="float64")
        np.testing.assert_allclose(layer(x), function(x, axis=1, keepdims=keepdims), rtol=1e-14)
        assert layer.compute_output_shape((None, None, 2)) == ((None, 1, 2) if keepdims else (None, 2))
        assert layer.compute_mask(x, np.ones((3, 5), bool)) is None
        assert_gradients_by_differences(layer, x)
        assert_gradients_by_differences(layer, x[:, :1])


def test_equal_values_share_the_gradient_of_the_global_maximum():
    layer = GlobalMaxPooling1D(dtype="float64")
    layer(np.reshape([2.0, 5, 5, 1], (1, 4, 1)), training=True)
    np.testing.assert_array_equal(layer.backward(np.array([[3.0]]))[0, :, 0], [0, 1.5, 1.5, 0])


@pytest.mark.parametrize("keepdims", [True, False])
def test_the_global_average_is_that_of_the_valid_steps(keepdims):
    mask = np.array([[1, 1, 0, 0], [0, 1, 0, 1], [1, 1, 1, 1], [0, 0, 0, 0]], bool)
    x = numbers(4, 4, 3)
    layer = GlobalAveragePooling1D(keepdims=keepdims, dtype="float64")
    want = np.stack([row[valid].mean(axis=0) if valid.any() else np.zeros(3) for row, valid in zip(x, mask)])  # noqa: B905
    np.testing.assert_allclose(layer(x, mask=mask).reshape(4, 3), want, rtol=1e-14)
    assert_gradients_by_differences(layer, x, mask=mask)
    # What stands in padding has no effect.
    x[~mask] = np.nan
    np.testing.assert_allclose(layer(x, True, mask=mask).reshape(4, 3), want, rtol=1e-14)
    assert not layer.backward(np.ones_like(layer(x)))[~mask].any()


def test_masks_reach_the_layers_behind():
    x = numbers(2, 6, 3)
    x[0, 4:] = 0
    model = Sequential([Masking(dtype="float64"), MaxPooling1D(2, dtype="float64"), LSTM(4, dtype="float64")])
    want = model(x)
    np.testing.assert_array_equal(model(x[:1, :4])[0], want[0])
    average = Sequential([Masking(dtype="float64"), GlobalAveragePooling1D(dtype="float64")])
    np.testing.assert_allclose(average(x)[0], x[0, :4].mean(axis=0), rtol=1e-14)


@pytest.mark.parametrize("layer", [*(k(3, 2, "same") for k in LOCAL), *(k() for k in GLOBAL)], ids=lambda x: x.name)
def test_inputs_of_any_layout(layer):
    x = numbers(3, 7, 4, dtype="float32")
    y = layer(x, training=True)
    d = numbers(*y.shape, dtype="float32")
    want = layer.backward(d)
    assert y.dtype == want.dtype == np.float32
    frozen = x.copy()
    frozen.flags.writeable = False
    for other in (np.asfortranarray(x), np.repeat(x, 2, axis=2)[..., ::2], frozen):
        np.testing.assert_allclose(layer(other, training=True), y, rtol=1e-6)
        np.testing.assert_allclose(layer.backward(np.asfortranarray(d)), want, rtol=1e-6)
    layer(x, training=True)
    assert layer.backward(d, need_d_inputs=False) is None
    empty = layer(x[:0], training=True)
    assert empty.shape == (0, *y.shape[1:])
    assert layer.backward(empty).shape == (0, 7, 4)


@pytest.mark.parametrize("layer", [*(k(3, 2, "same", name="p") for k in LOCAL), *(k(keepdims=True) for k in GLOBAL)])
def test_configuration_makes_an_equal_layer(layer):
    other = type(layer).from_config(layer.get_config())
    assert other.get_config() == layer.get_config()
    x = numbers(2, 5, 3, dtype="float32")
    np.testing.assert_array_equal(layer(x), other(x))


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: MaxPooling1D(0), ValueError, "MaxPooling1D: pool_size: expected a positive integer, got 0"),
        (lambda: AveragePooling1D(2, 0), ValueError, "AveragePooling1D: strides: expected a positive integer, got 0"),
        (lambda: MaxPooling1D(padding="causal"), ValueError, "padding: expected one of 'valid', 'same', got 'causal'"),
        (lambda: MaxPooling1D(data_format="channels_first"), NotImplementedError, "data_format: 'channels_first'"),
        (lambda: MaxPooling1D(3)(numbers(1, 2, 1)), ValueError, "at least 3 steps .* got 2"),
        (
            lambda: MaxPooling1D(3)(numbers(2, 1)),
            ValueError,
            r"expected shape \(batch, steps, features\), got \(2, 1\)",
        ),
        (lambda: GlobalMaxPooling1D()(numbers(2, 1)), ValueError, r"expected shape .* got \(2, 1\)"),
        (lambda: GlobalMaxPooling1D()(numbers(2, 1, 3)[:, :0]), ValueError, r"at least 1 step, .* got \(2, 0, 3\)"),
        (lambda: GlobalMaxPooling1D(keepdims=1), TypeError, "keepdims: expected True or False, got 1"),
        (
            lambda: GlobalAveragePooling1D()(numbers(2, 3, 1), mask=np.ones((3, 2), bool)),
            ValueError,
            r"mask: expected shape \(batch=2, steps=3\), got \(3, 2\)",
        ),
        (lambda: MaxPooling1D().backward(numbers(1, 2, 1)), RuntimeError, "training=True"),
        (lambda: MaxPooling1D().stream(1, 1), NotImplementedError, "cannot be run piece by piece"),
    ],
)
def test_wrong_arguments_are_named(make, error, text):
    with pytest.raises(error, match=text):
        make()
