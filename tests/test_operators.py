"""Layers that make one array of several, and operators on symbols."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmcore import Input, Model, layers, models

F64 = {"dtype": "float64"}


def numbers(*shape, seed=0, dtype="float64"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


MERGING = {
    "Add": lambda a, b, c: a + b + c,
    "Multiply": lambda a, b, c: a * b * c,
    "Average": lambda a, b, c: (a + b + c) / 3,
    "Maximum": lambda a, b, c: np.maximum(np.maximum(a, b), c),
    "Minimum": lambda a, b, c: np.minimum(np.minimum(a, b), c),
}


def differences(function, arrays, k, step=1e-6):
    gradient = np.zeros_like(arrays[k])
    for index in np.ndindex(arrays[k].shape):
        values = []
        for sign in (1, -1):
            moved = [a.copy() for a in arrays]
            moved[k][index] += sign * step
            values.append(function(moved))
        gradient[index] = (values[0] - values[1]) / (2 * step)
    return gradient


def assert_gradients(layer, arrays):
    outputs = layer(arrays, training=True)
    to = numbers(*outputs.shape, seed=9)
    for k, gradient in enumerate(layer.backward(to)):
        expected = differences(lambda moved: (layer(moved) * to).sum(), arrays, k)
        np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", MERGING)
@pytest.mark.parametrize("shapes", [[(2, 3, 4)] * 3, [(2, 3, 4), (2, 1, 4), (2, 4)], [(2, 1), (2, 5), (2, 1)]])
def test_arrays_are_merged_number_by_number_and_spread_out(name, shapes):
    arrays = [numbers(*shape, seed=k) for k, shape in enumerate(shapes)]
    layer = getattr(layers, name)(**F64)
    whole = [a.reshape(a.shape[0], *(1,) * (max(map(len, shapes)) - a.ndim), *a.shape[1:]) for a in arrays]
    np.testing.assert_array_equal(layer(arrays), MERGING[name](*whole))
    np.testing.assert_array_equal(layer(dict(zip("abc", arrays, strict=True))), layer(arrays))
    np.testing.assert_array_equal(getattr(layers, name.lower())(arrays, **F64), layer(arrays))
    assert layer.compute_output_shape(shapes) == layer(arrays).shape
    assert_gradients(layer, arrays)


def test_differences_and_quotients():
    a, b = numbers(2, 3, 4), numbers(2, 1, 4, seed=1)
    np.testing.assert_array_equal(layers.subtract([a, b], **F64), a - b)
    np.testing.assert_array_equal(layers.Divide(**F64)([a, b]), a / b)
    assert_gradients(layers.Subtract(**F64), [a, b])
    assert_gradients(layers.Divide(**F64), [a, b])
    for kind in (layers.Subtract, layers.Divide):
        with pytest.raises(ValueError, match="inputs: expected 2 arrays, got 3"):
            kind(**F64)([a, a, a])


def test_products_with_zeros_have_gradients():
    arrays = [numbers(2, 3, seed=k) for k in range(3)]
    arrays[0][0, 0] = arrays[1][0, 0] = arrays[1][1, 1] = 0
    assert_gradients(layers.Multiply(**F64), arrays)


@pytest.mark.parametrize("name", ["Maximum", "Minimum"])
def test_of_two_that_are_equal_each_has_half_the_gradient_as_in_pytorch(name):
    torch = pytest.importorskip("torch")
    arrays = [np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 3.0, 2.0]]), np.array([[1.0, 3.0, 3.0]])]
    to = np.array([[1.0, 10.0, 100.0]])
    layer = getattr(layers, name)(**F64)
    layer(arrays, training=True)
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    function = getattr(torch, name.lower())
    (function(function(theirs[0], theirs[1]), theirs[2]) * torch.tensor(to)).sum().backward()
    for got, want in zip(layer.backward(to), theirs, strict=True):
        np.testing.assert_array_equal(got, want.grad.numpy())


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(
    ("first", "second", "axes", "rule"),
    [
        ((2, 3), (2, 3), 1, "bi,bi->b"),
        ((2, 3), (2, 3), -1, "bi,bi->b"),
        ((2, 5, 3), (2, 7, 3), (2, 2), "bij,bkj->bik"),
        ((2, 3, 5), (2, 7, 3), (1, 2), "bij,bki->bjk"),
        ((2, 3), (2, 7, 3), (1, 2), "bi,bki->bk"),
        ((2, 4, 3), (2, 3), (2, 1), "bki,bi->bk"),
        ((2, 4, 3, 2), (2, 3, 5), (2, 1), "bijk,bjl->bikl"),
    ],
)
def test_dot_is_the_sum_of_products_along_the_axes(first, second, axes, rule, normalize):
    a, b = numbers(*first), numbers(*second, seed=1)
    layer = layers.Dot(axes, normalize=normalize, **F64)
    one, other = a, b
    if normalize:
        pair = (axes, axes) if isinstance(axes, int) else axes
        one, other = (x / np.linalg.norm(x, axis=axis, keepdims=True) for x, axis in zip((a, b), pair, strict=True))
    expected = np.einsum(rule, one, other)
    expected = expected[:, None] if expected.ndim == 1 else expected
    np.testing.assert_allclose(layer([a, b]), expected, rtol=1e-12)
    np.testing.assert_array_equal(layers.dot([a, b], axes, normalize=normalize, **F64), layer([a, b]))
    assert layer.compute_output_shape([(None, *first[1:]), (None, *second[1:])]) == (None, *expected.shape[1:])
    assert_gradients(layer, [a, b])


@pytest.mark.peer
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("shapes", [((2, 3), (2, 3), 1), ((2, 5, 3), (2, 7, 3), 2), ((2, 4, 3, 2), (2, 3, 5), (2, 1))])
def test_dot_is_that_of_keras(monkeypatch, shapes, normalize):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    first, second, axes = shapes
    a, b = numbers(*first, dtype="float32"), numbers(*second, seed=1, dtype="float32")
    theirs = keras.layers.Dot(axes, normalize=normalize)([a, b])
    np.testing.assert_allclose(
        layers.Dot(axes, normalize=normalize)([a, b]), theirs.detach().numpy(), rtol=1e-5, atol=1e-6
    )


def test_shapes_that_do_not_fit_are_told_when_the_graph_is_drawn():
    a, b = Input((5, 4)), Input((6, 4))
    for merge in (layers.add, layers.multiply, layers.maximum, layers.average, layers.subtract):
        with pytest.raises(
            ValueError, match=r"inputs: expected shapes that fit each other, got \(None, 5, 4\), \(None, 6"
        ):
            merge([a, b])
    with pytest.raises(ValueError, match="expected shapes that fit along axis -1"):
        layers.concatenate([a, b])
    assert layers.concatenate([a, b], axis=1).shape == (None, 11, 4)
    with pytest.raises(ValueError, match="expected one size along the axes 1 and 1"):
        layers.dot([a, b], axes=1)
    with pytest.raises(ValueError, match="axes: expected an axis behind the batch, got 0"):
        layers.dot([a, b], axes=0)
    with pytest.raises(ValueError, match=r"expected 2 arrays, got 1"):
        layers.dot([a], axes=1)
    with pytest.raises(ValueError, match=r"expected a list of arrays, got one of shape \(None, 5, 4\)"):
        layers.add(a)
    with pytest.raises(ValueError, match="axes: expected one or two"):
        layers.Dot((1, 2, 3))


def test_masks_of_what_is_merged():
    mask, other = np.array([[True, False]]), np.array([[False, False]])
    x = numbers(1, 2, 3)
    for name in (*MERGING, "Subtract", "Divide"):
        layer = getattr(layers, name)(**F64)
        np.testing.assert_array_equal(layer.compute_mask([x, x], [mask, other]), mask)
        assert layer.compute_mask([x, x], [mask, None]) is None
    assert layers.Dot(2).compute_mask([x, x], [mask, mask]) is None


# --- operators ---

OPERATIONS = {
    "a + b": lambda a, b: a + b,
    "a - b": lambda a, b: a - b,
    "a * b": lambda a, b: a * b,
    "a / b": lambda a, b: a / b,
    "a + 2": lambda a, b: a + 2,
    "2 + a": lambda a, b: 2 + a,
    "a - 2": lambda a, b: a - 2,
    "2 - a": lambda a, b: 2 - a,
    "a * 2": lambda a, b: a * 2,
    "array * a": lambda a, b: np.arange(1.0, 4.0) * a,
    "a / 2": lambda a, b: a / 2,
    "2 / a": lambda a, b: 2 / a,
    "a ** 3": lambda a, b: a**3,
    "2 ** a": lambda a, b: 2.0**a,
    "-a": lambda a, b: -a,
    "+a": lambda a, b: +a,
    "steps": lambda a, b: a[:, 1:],
    "last": lambda a, b: a[:, -1],
    "features": lambda a, b: a[..., :2],
    "every second": lambda a, b: a[:, ::2, 1:],
    "new axis": lambda a, b: a[:, :, None, 1],
    "backwards": lambda a, b: a[:, ::-1],
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operator_on_symbols_is_that_on_arrays(name):
    a, b = Input((4, 3), **F64), Input((4, 3), **F64)
    outputs = OPERATIONS[name](a, b)
    model = Model([a, b], outputs if outputs is not a else layers.Identity(**F64)(a))
    arrays = [numbers(2, 4, 3), 2 + numbers(2, 4, 3, seed=1) ** 2]
    want = OPERATIONS[name](*arrays)
    np.testing.assert_allclose(model.predict(arrays, verbose=0), want, rtol=1e-14)
    assert outputs.shape == (None, *want.shape[1:])
    model.forward(arrays, training=True)
    to = numbers(*want.shape, seed=2)
    for k, gradient in enumerate(model.backward(to)):
        expected = differences(lambda moved: (OPERATIONS[name](*moved) * to).sum(), arrays, k)
        got = np.zeros_like(expected) if gradient is None else gradient
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-8)
    for other in (models.model_from_json(model.to_json()), models.clone_model(model)):
        np.testing.assert_array_equal(other.predict(arrays, verbose=0), model.predict(arrays, verbose=0))


def test_matrices_of_two_symbols_are_multiplied():
    a, b = Input((4, 3)), Input((3, 2))
    model = Model([a, b], a @ b)
    x, y = numbers(2, 4, 3, dtype="float32"), numbers(2, 3, 2, dtype="float32")
    np.testing.assert_allclose(model.predict([x, y], verbose=0), x @ y, rtol=1e-5, atol=1e-6)
    assert_gradients(layers.Matmul(**F64), [numbers(2, 4, 3), numbers(2, 3, 2)])


@given(st.data())
def test_random_expressions_have_the_gradients_of_differences(data):
    symbols = [Input((3,), **F64), Input((3,), **F64)]
    model_inputs, values = list(symbols), list(symbols)
    steps = []
    for _ in range(data.draw(st.integers(1, 6))):
        name = data.draw(st.sampled_from(["a + b", "a - b", "a * b", "a - 2", "2 - a", "a * 2", "-a", "array * a"]))
        i, j = (data.draw(st.integers(0, len(values) - 1)) for _ in "ab")
        steps.append((name, i, j))
        values.append(OPERATIONS[name](values[i], values[j]))
    model = Model(model_inputs, layers.Activation("tanh", **F64)(values[-1]))

    def run(arrays):
        found = list(arrays)
        for name, i, j in steps:
            found.append(OPERATIONS[name](found[i], found[j]))
        return np.tanh(found[-1])

    arrays = [numbers(2, 3) / 2, numbers(2, 3, seed=1) / 2]
    outputs = model.forward(arrays, training=True)
    np.testing.assert_allclose(outputs, run(arrays), rtol=1e-12, atol=1e-14)
    to = numbers(*outputs.shape, seed=2)
    for k, gradient in enumerate(model.backward(to)):
        expected = differences(lambda moved: (run(moved) * to).sum(), arrays, k)
        got = np.zeros_like(expected) if gradient is None else gradient
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_masks_go_through_operators():
    x = Input((4, 3))
    masked = layers.Masking()(x)
    lstm = layers.LSTM(2)
    data = numbers(2, 4, 3, dtype="float32")
    data[0, 2:] = 0
    for outputs, want in (
        (lstm(2 * masked + 1.0), lstm(2 * data + 1, mask=data.any(-1))),
        (lstm(masked[:, 1:]), lstm(data[:, 1:], mask=data[:, 1:].any(-1))),
        (lstm(masked - masked), lstm(0 * data, mask=data.any(-1))),
    ):
        np.testing.assert_array_equal(Model(x, outputs).predict(data, verbose=0), want)


@pytest.mark.parametrize(
    ("operate", "error", "text"),
    [
        (lambda a, b: a[0], IndexError, r"expected all of the batch, as in x\[:, 0\] and x\[\.\.\., 0\]; got x\[0\]"),
        (lambda a, b: a[1:], IndexError, r"expected all of the batch"),
        (lambda a, b: a[:, 9], IndexError, r"expected an axis with an index 9, got shape \(None, 4, 3\)"),
        (lambda a, b: a[:, 0, 0, 0], IndexError, "expected at least 4 axes"),
        (lambda a, b: a[:, True], TypeError, "expected integers, slices"),
        (lambda a, b: a[:, [0, 1]], TypeError, "expected integers, slices"),
        (lambda a, b: a + "1", TypeError, r"\+: expected a symbol, a number or an array, got '1'"),
        (lambda a, b: a + True, TypeError, r"\+: expected a symbol, a number or an array, got True"),
        (lambda a, b: a + np.ones((7, 4, 3)), ValueError, "expected a shape that fits behind the batch"),
        (lambda a, b: a * np.ones(2), ValueError, r"expected a shape that fits a constant of \(2,\)"),
        (lambda a, b: a + Input((3,)), ValueError, "expected symbols with as many axes"),
        (lambda a, b: a @ b, ValueError, r"expected shapes \(\.\.\., rows, depth\)"),
        (lambda a, b: a @ np.ones((3, 2)), TypeError, "@: expected a symbol, got array"),
        (lambda a, b: a**b, TypeError, "expected a number as the exponent"),
        (lambda a, b: (-1.0) ** a, ValueError, "expected positive numbers"),
        (lambda a, b: np.exp(a), TypeError, "stands for an array"),
        (lambda a, b: sum(x for x in a), TypeError, "cannot be iterated over"),
    ],
)
def test_what_cannot_be_operated_says_why(operate, error, text):
    with pytest.raises(error, match=text):
        operate(Input((4, 3)), Input((4, 3)))
