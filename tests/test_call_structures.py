"""What goes into and comes out of a ``call``: lists, dicts and tuples, with None in the place of what is left out."""

import numpy as np
import pytest
from layer_tools import numbers

from lstmcore import Input, Model, layers


class Sum(layers.Layer):
    """Layers within; the second input may be None, alone or in a list of inputs."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dense = layers.Dense(2, kernel_initializer="ones")

    def call(self, inputs):
        a, b = inputs
        return self.dense(a) if b is None else self.dense(a) + 2 * self.dense(b)


class Plain(layers.Layer):
    """The same without layers within: autograd's."""

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[0][-1], 2), initializer="ones")
        super().build(input_shape)

    def call(self, inputs):
        a, b = inputs
        return a @ self.kernel if b is None else a @ self.kernel + 2 * (b @ self.kernel)


class Outer(Model):
    """Calls a layer with and without the second of its inputs."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.last = inner, layers.Dense(1, kernel_initializer="ones")

    def call(self, x):
        return self.last(self.inner([x, x]) + self.inner([x, None]))


class Masked(layers.Layer):
    """Counts the steps of each input that count."""

    def __init__(self, **options):
        super().__init__(**options)
        self.pool = layers.GlobalAveragePooling1D()

    def call(self, inputs):
        return [self.pool(part) for part in inputs.values() if part is not None]


@pytest.mark.parametrize("kind", [Sum, Plain])
@pytest.mark.parametrize("first", [True, False])
def test_an_input_may_be_none(kind, first):
    x = numbers(4, 5, 3)
    total = x.sum(-1, keepdims=True) * np.ones(2)
    layer = kind()
    calls = [([x, x], 3 * total), ([x, None], total)]
    for inputs, expected in calls if first else calls[::-1]:
        np.testing.assert_allclose(layer(inputs), expected, rtol=1e-5, atol=1e-5)
    # Back: the gradient of the sum of the outputs.
    layer([x, None], training=True)
    d, none = layer.backward(np.ones((4, 5, 2), "float32"))
    np.testing.assert_allclose(d, np.full((4, 5, 3), 2.0))
    assert none is None


@pytest.mark.parametrize("kind", [Sum, Plain])
def test_an_input_of_a_symbol_may_be_none(kind):
    x = numbers(4, 5, 3)
    total = x.sum(-1, keepdims=True)
    i = Input((5, 3))
    np.testing.assert_allclose(Model(i, kind()([i, None])).predict(x, verbose=0), total * np.ones(2), rtol=1e-4)
    model = Outer(kind())
    np.testing.assert_allclose(model(x), 8 * total, rtol=1e-4, atol=1e-4)
    model.compile("sgd", "mse")
    kernel = np.concatenate([w.ravel() for w in model.inner.get_weights()])
    model.train_on_batch(x, np.zeros((4, 5, 1)))
    assert not np.array_equal(np.concatenate([w.ravel() for w in model.inner.get_weights()]), kernel)


def test_masks_beside_an_input_that_is_none():
    x, mask = numbers(4, 5, 3), np.arange(5) < np.array([[2], [5], [1], [3]])
    means = (x * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    layer = Masked()
    for mask_of_b in (mask, None):
        expected = x.mean(1) if mask_of_b is None else means
        (only,) = layer({"a": None, "b": x}, mask={"a": None, "b": mask_of_b})
        np.testing.assert_allclose(only, expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="a: mask: expected None for an input that is None"):
        layer({"a": None, "b": x}, mask={"a": mask, "b": None})


def test_a_mask_of_nothing_but_none_is_none():
    x, i = numbers(4, 5, 3), Input((5, 3))
    layer = Sum()
    expected = layer([x, x])
    np.testing.assert_array_equal(layer([x, x], mask=[None, None]), expected)
    np.testing.assert_allclose(Model(i, layer([i, i], mask=[None, None])).predict(x), expected, rtol=1e-6)


class OfDict(Model):
    """Several inputs in a dict."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dense = layers.Dense(3, kernel_initializer="ones")

    def call(self, x):
        return self.dense(x["a"]) + x["b"]


class OfList(OfDict):
    """Several inputs in a list."""

    def call(self, x):
        return self.dense(x[0]) + x[1]


class Two(OfDict):
    """Several outputs."""

    def call(self, x):
        return self.dense(x), x


@pytest.mark.parametrize(
    "call",
    [lambda i: OfDict()({"a": i, "b": i}), lambda i: OfList()([i, i]), lambda i: layers.add(list(Two()(i)))],
    ids=["dict", "list", "two outputs"],
)
def test_several_inputs_and_outputs_within_a_graph_that_is_called(call):
    x, i, j = numbers(2, 5, 3), Input((5, 3)), Input((5, 3))
    model = Model(j, Model(i, call(i))(j))
    np.testing.assert_allclose(model.predict(x, verbose=0), x.sum(-1, keepdims=True) + x, rtol=1e-5, atol=1e-5)
