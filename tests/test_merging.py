"""Layers that make one array of several: numbers, shapes, masks and gradients, held against Keras and differences."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_tools import numbers

from lstmcore import Input, Model, Sequential, _masks, layers
from lstmcore.layers import Add, Average, Concatenate, Dot, Maximum, Minimum, Multiply, Subtract
from lstmcore.models import clone_model, model_from_json

MASK = np.array([[True, True, True, False], [True, False, True, True]])
OTHER = np.array([[True, False, True, False], [True, True, True, True]])

# What each does with any number of arrays, said in NumPy.
PLAIN = {
    Add: sum,
    Average: lambda arrays: sum(arrays) / len(arrays),
    Maximum: lambda arrays: np.max(np.broadcast_arrays(*arrays), axis=0),
    Minimum: lambda arrays: np.min(np.broadcast_arrays(*arrays), axis=0),
    Multiply: lambda arrays: np.prod(np.broadcast_arrays(*arrays), axis=0),
    Subtract: lambda arrays: arrays[0] - arrays[1],
}


@pytest.fixture(name="keras")
def keras_on_pytorch():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras")


def assert_gradients_are_differences(layer, x, mask=None, seed=0):
    """The gradients of the inputs, along a random direction of each, against central differences."""
    rng = np.random.default_rng(seed)
    options = {} if mask is None else {"mask": mask}
    d = rng.normal(size=layer(x, training=True, **options).shape)
    for k, gradient in enumerate(layer.backward(d)):
        assert gradient.shape == x[k].shape
        to = rng.normal(size=x[k].shape)

        def loss(step, k=k, to=to):
            return (layer([v + step * to if j == k else v for j, v in enumerate(x)], **options) * d).sum()

        want = (loss(1e-5) - loss(-1e-5)) / 2e-5
        assert (gradient * to).sum() == pytest.approx(want, rel=1e-6, abs=1e-8)


# --- numbers and gradients ---


@st.composite
def shapes_that_fit(draw, count):
    """Shapes that can be broadcast to one, batch first; some lack the axes behind the batch."""
    whole = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    found = []
    for _ in range(count):
        sizes = [draw(st.sampled_from([1, n])) for n in whole]
        found.append((3, *sizes[draw(st.integers(0, len(sizes) - 1)) :]))
    return found


@given(st.data(), st.sampled_from(list(PLAIN)), st.integers(0, 2**32 - 1))
def test_any_shapes_that_fit_are_merged_as_numpy_does_with_axes_behind_the_batch(data, kind, seed):
    count = 2 if kind is Subtract else data.draw(st.integers(1, 4))
    shapes = data.draw(shapes_that_fit(count))
    x = [numbers(*shape, seed=[seed, k]) for k, shape in enumerate(shapes)]
    axes = max(map(len, shapes))
    spread = [a.reshape(a.shape[0], *[1] * (axes - a.ndim), *a.shape[1:]) for a in x]
    layer = kind(dtype="float64")
    got = layer(x)
    np.testing.assert_allclose(got, PLAIN[kind](spread), rtol=1e-12)
    assert layer.compute_output_shape(shapes) == got.shape
    assert layer.compute_output_shape([(None, *shape[1:]) for shape in shapes]) == (None, *got.shape[1:])
    assert_gradients_are_differences(layer, x, seed=seed)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", list(PLAIN))
def test_lists_tuples_and_dicts_are_the_same_in_both_dtypes(kind, dtype):
    x = [numbers(2, 4, 3, seed=k, dtype=dtype) for k in range(2)]
    layer = kind(dtype=dtype)
    want = layer(x)
    assert want.dtype == dtype
    np.testing.assert_array_equal(layer(tuple(x)), want)
    np.testing.assert_array_equal(layer(dict(zip("ab", x, strict=True))), want)
    function = getattr(layers, kind.__name__.lower())
    np.testing.assert_array_equal(function(x, dtype=dtype), want)
    symbols = [Input((4, 3), dtype=dtype), Input((4, 3), dtype=dtype)]
    np.testing.assert_array_equal(Model(symbols, function(symbols)).predict(x, verbose=0), want)
    by_name = dict(zip("ab", symbols, strict=True))
    model = Model(by_name, function(by_name))
    np.testing.assert_array_equal(model.predict(dict(zip("ab", x, strict=True)), verbose=0), want)


def test_factors_that_are_zero_have_gradients():
    x = [numbers(2, 3, seed=k) for k in range(3)]
    x[0][0, 0] = x[1][0, 0] = x[1][1, 1] = 0
    assert_gradients_are_differences(Multiply(dtype="float64"), x)


def test_what_is_equal_shares_the_gradient_as_in_pytorch():
    torch = pytest.importorskip("torch")
    x = [np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([[1.0, 2.0, 5.0, 1.0]]), np.array([[1.0, 0.0, 5.0, 4.0]])]
    for kind, function in ((Maximum, torch.maximum), (Minimum, torch.minimum)):
        leaves = [torch.tensor(a, requires_grad=True) for a in x]
        function(function(leaves[0], leaves[1]), leaves[2]).sum().backward()
        layer = kind(dtype="float64")
        layer(x, training=True)
        for ours, theirs in zip(layer.backward(np.ones((1, 4))), leaves, strict=True):
            np.testing.assert_array_equal(ours, theirs.grad.numpy())


@given(st.data(), st.booleans(), st.integers(0, 2**32 - 1))
def test_dots_along_any_axes_are_those_of_einsum(data, normalize, seed):
    axes, shapes = [], []
    for _ in range(2):
        shape = [3, *data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))]
        axis = data.draw(st.integers(1, len(shape) - 1))
        shape[axis] = 4
        axes.append(data.draw(st.sampled_from([axis, axis - len(shape)])))
        shapes.append(tuple(shape))
    x = [numbers(*shape, seed=[seed, k]) for k, shape in enumerate(shapes)]
    layer = Dot(axes, normalize=normalize, dtype="float64")
    got = layer(x)
    scaled = x
    if normalize:
        scaled = [a / np.linalg.norm(a, axis=k, keepdims=True) for a, k in zip(x, axes, strict=True)]
    first, second = (["b", *names[: a.ndim - 1]] for a, names in zip(x, ("cdef", "ghij"), strict=True))
    first[axes[0]] = second[axes[1]] = "k"
    left = [name for name in (*first, *second[1:]) if name != "k"]
    want = np.einsum(f"{''.join(first)},{''.join(second)}->{''.join(left)}", *scaled)
    np.testing.assert_allclose(got, want.reshape(got.shape), rtol=1e-10, atol=1e-12)
    assert got.ndim == max(2, len(left))
    assert layer.compute_output_shape([(None, *shape[1:]) for shape in shapes]) == (None, *got.shape[1:])
    assert_gradients_are_differences(layer, x, seed=seed)


def test_what_has_no_length_is_divided_by_the_least():
    x = [np.zeros((2, 3)), numbers(2, 3)]
    layer = Dot(1, normalize=True, dtype="float64")
    assert not layer(x, training=True).any()
    first, second = layer.backward(np.ones((2, 1)))
    np.testing.assert_allclose(first, 1e7 * x[1] / np.linalg.norm(x[1], axis=1, keepdims=True))
    assert not second.any()


def test_batches_without_rows():
    x = [np.zeros((0, 4, 3)), np.zeros((0, 4, 3))]
    for layer in (Add(), Multiply(), Maximum(), Average(), Subtract(), Concatenate(1), Dot(2)):
        y = layer(x, training=True)
        assert len(y) == 0
        for d in layer.backward(y):
            assert d.shape == (0, 4, 3)


# --- against Keras ---


@pytest.mark.parametrize("kind", [Add, Average, Maximum, Minimum, Multiply, Subtract])
def test_numbers_shapes_and_masks_are_those_of_keras(keras, kind):
    theirs = getattr(keras.layers, kind.__name__)()
    for shapes in ([(2, 4, 3), (2, 4, 3)], [(2, 4, 3), (2, 3)], [(2, 1, 3), (2, 4, 1)], [(2, 3), (2, 4, 5, 3)]):
        x = [numbers(*shape, seed=k, dtype="float32") for k, shape in enumerate(shapes)]
        want = keras.ops.convert_to_numpy(getattr(keras.layers, kind.__name__)()(x))
        np.testing.assert_allclose(kind()(x), want, rtol=1e-6)
    x = [numbers(2, 4, 3, seed=k, dtype="float32") for k in range(2)]
    for masks in ([MASK, OTHER], [MASK, None], [None, OTHER]):
        given_to_keras = []
        for a, m in zip(x, masks, strict=True):
            tensor = keras.ops.convert_to_tensor(a)
            if m is not None:
                keras.src.backend.set_keras_mask(tensor, keras.ops.convert_to_tensor(m))
            given_to_keras.append(tensor)
        want = theirs(given_to_keras)
        got = kind()(x, mask=masks)
        np.testing.assert_allclose(got, keras.ops.convert_to_numpy(want), rtol=1e-6)
        left, want_left = _masks.of(got), keras.src.backend.get_keras_mask(want)
        assert (left is None) == (want_left is None)
        assert left is None or (left == keras.ops.convert_to_numpy(want_left)).all()


@pytest.mark.parametrize("axes", [1, 2, -1, (2, 1), (1, -1), [2, -2]])
@pytest.mark.parametrize("normalize", [False, True])
def test_dots_are_those_of_keras(keras, axes, normalize):
    x = [numbers(2, 4, 4, seed=k, dtype="float32") for k in range(2)]
    want = keras.ops.convert_to_numpy(keras.layers.Dot(axes, normalize=normalize)(x))
    np.testing.assert_allclose(Dot(axes, normalize=normalize)(x), want, rtol=1e-5, atol=1e-6)


def test_names_and_arguments_are_those_of_keras(keras):
    import inspect

    for name in ["Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract"]:
        for one in (name, name.lower()):
            ours, theirs = (inspect.signature(getattr(module, one)).parameters for module in (layers, keras.layers))
            named, gathered = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.VAR_KEYWORD
            taken = [(p.name, p.default) for p in ours.values() if p.kind is named]
            assert taken == [(p.name, p.default) for p in theirs.values() if p.kind is named]
            # A layer shows those that all layers take by name.
            assert any(p.kind is gathered for p in ours.values()) == (one != name)


# --- masks ---


@pytest.mark.parametrize("kind", list(PLAIN))
@pytest.mark.parametrize("masks", [[MASK, OTHER], [MASK, None], [None, OTHER]])
def test_gradients_with_masks_are_differences(kind, masks):
    x = [numbers(2, 4, 3, seed=k) for k in range(2)]
    assert_gradients_are_differences(kind(dtype="float64"), x, masks)


@pytest.mark.parametrize("kind", [Maximum, Minimum, Multiply, layers.Divide])
def test_what_stands_where_no_step_counts_goes_nowhere(kind):
    x = [numbers(2, 4, 3, seed=k) for k in range(2)]
    layer = kind(dtype="float64")
    want = layer(x, training=True, mask=[MASK, OTHER])
    d = numbers(2, 4, 3, seed=5) * (MASK | OTHER)[..., None]
    want_d = layer.backward(d)
    x[0][~MASK], x[1][~OTHER] = np.nan, np.inf
    got = layer(x, training=True, mask=[MASK, OTHER])
    np.testing.assert_array_equal(got[MASK | OTHER], want[MASK | OTHER])
    for a, b in zip(layer.backward(d), want_d, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_vector_for_all_steps_leaves_the_mask_of_the_steps():
    sequence, vector = numbers(2, 4, 3), numbers(2, 3, seed=1)
    for kind in PLAIN:
        for x, masks in (
            ([sequence, vector], [MASK, None]),
            ([sequence, vector], [MASK, np.array([True, False])]),
            ([sequence, vector[:, None]], [MASK, None]),
        ):
            np.testing.assert_array_equal(_masks.of(kind()(x, mask=masks)), MASK)
        assert _masks.of(kind()([vector, sequence], mask=[np.array([True, False]), None])) is None


def test_masks_of_steps_within_steps():
    x = [numbers(2, 4, 3, 5, seed=k) for k in range(2)]
    words = np.broadcast_to(MASK[..., None], (2, 4, 3)) & [True, True, False]
    np.testing.assert_array_equal(_masks.of(Add()(x, mask=[words, OTHER])), words | OTHER[..., None])
    np.testing.assert_array_equal(_masks.of(Concatenate(1)(x, mask=[MASK, OTHER])), np.concatenate([MASK, OTHER], 1))
    ids = [np.arange(8.0).reshape(2, 4)] * 2
    np.testing.assert_array_equal(_masks.of(Concatenate(1)(ids, mask=[MASK, OTHER])), np.concatenate([MASK, OTHER], 1))


def test_a_mask_that_ends_at_a_dot_is_told():
    x = [numbers(2, 4, 3, seed=k) for k in range(2)]
    with pytest.warns(UserWarning, match="a Dot ends the mask of its inputs"):
        assert _masks.of(Dot(2)(x, mask=[MASK, None])) is None


# --- in graphs ---


def test_shapes_with_sizes_that_are_not_known():
    a, b, c = Input((None, 3)), Input((5, 1)), Input((3,))
    assert layers.add([a, b]).shape == (None, 5, 3)
    assert layers.multiply([a, c]).shape == (None, None, 3)
    assert layers.concatenate([a, Input((4, 3))], axis=1).shape == (None, None, 3)
    assert layers.concatenate([a, Input((None, 2))]).shape == (None, None, 5)
    assert layers.dot([a, Input((None, 3))], axes=2).shape == (None, None, None)
    assert layers.average([Input(batch_shape=(2, 4, 3)), a]).shape == (2, 4, 3)
    model = Model([a, b], layers.add([a, b]))
    assert model.predict([np.zeros((2, 5, 3)), np.zeros((2, 5, 1))], verbose=0).shape == (2, 5, 3)
    with pytest.raises(ValueError, match=r"add\w*: inputs: expected shapes that fit .* \(2, 4, 3\), \(2, 5, 1\)"):
        model.predict([np.zeros((2, 4, 3)), np.zeros((2, 5, 1))], verbose=0)


def test_tokens_are_put_side_by_side_as_integers():
    start, ids = Input((1,), dtype="int32"), Input((None,), dtype="int32")
    whole = layers.concatenate([start, ids], axis=1)
    assert whole.dtype == np.int32
    x = [np.full((3, 1), 2**24 + 1), np.full((3, 4), 7)]
    np.testing.assert_array_equal(Model([start, ids], whole).predict(x, verbose=0), np.concatenate(x, axis=1))


@pytest.mark.parametrize("kind", [*PLAIN, Concatenate, lambda: Dot((2, -1), normalize=True)])
def test_models_with_them_are_saved_cloned_and_told(kind, tmp_path):
    a, b = Input((4, 3)), Input((4, 3))
    model = Model([a, b], layers.Dense(2)(kind()([layers.Dense(3)(a), b])))
    x = [numbers(2, 4, 3, seed=k, dtype="float32") for k in range(2)]
    want = model.predict(x, verbose=0)
    for twin in (clone_model(model), model_from_json(model.to_json())):
        twin.set_weights(model.get_weights())
        np.testing.assert_array_equal(twin.predict(x, verbose=0), want)
        assert [layer.name for layer in twin.layers] == [layer.name for layer in model.layers]


# --- what does not fit ---


@pytest.mark.parametrize(
    ("make", "shapes", "text"),
    [
        (
            Add,
            [(4, 3), (5, 3)],
            r"add\w*: inputs: expected shapes that fit each other, got \(None, 4, 3\), \(None, 5, 3\)",
        ),
        (Multiply, [(4, 3), (2,)], "expected shapes that fit each other"),
        (Subtract, [(3,)] * 3, r"subtract\w*: inputs: expected 2 arrays, got 3"),
        (Subtract, [(3,)], "expected 2 arrays, got 1"),
        (layers.Divide, [(3,)] * 3, "expected 2 arrays, got 3"),
        (lambda: Dot(1), [(3,)], "expected 2 arrays, got 1"),
        (lambda: Dot(1), [(3,), (4,)], r"one size along the axes 1 and 1, got shapes \(None, 3\) and \(None, 4\)"),
        (lambda: Dot(0), [(3,), (3,)], "axes: expected an axis behind the batch, got 0"),
        (lambda: Dot(2), [(3,), (3,)], "axes: expected an axis behind the batch, got 2"),
        (Concatenate, [(4, 3), (5, 3)], r"expected shapes that fit along axis -1, got \(None, 4, 3\), \(None, 5, 3\)"),
        (Concatenate, [(4, 3), (3,)], "expected shapes that fit along axis -1"),
        (lambda: Concatenate(3), [(4, 3), (4, 3)], "expected shapes that fit along axis 3"),
    ],
)
def test_shapes_that_do_not_fit_are_told_when_a_layer_is_called(make, shapes, text):
    with pytest.raises(ValueError, match=text):
        make()([Input(shape) for shape in shapes])
    with pytest.raises(ValueError, match=text.replace("None", "2")):
        make()([np.zeros((2, *shape)) for shape in shapes])


def test_batches_of_different_length_and_single_inputs_are_refused():
    with pytest.raises(ValueError, match=r"expected shapes that fit each other, got \(2, 3\), \(1, 3\)"):
        Add()([np.zeros((2, 3)), np.zeros((1, 3))])
    for kind in (Add, Average, Multiply, Maximum, Minimum, Concatenate):
        with pytest.raises(ValueError, match=r"inputs: expected a list of arrays, got one of shape \(None, 3\)"):
            kind()(Input((3,)))
        with pytest.raises(TypeError, match="inputs: expected a list or a dict of arrays, got ndarray"):
            kind()(np.zeros((2, 3)))
        with pytest.raises(ValueError, match="expected at least 1 array, got none"):
            kind()([])
        np.testing.assert_array_equal(kind()([np.ones((2, 3))]), np.ones((2, 3)))
    with pytest.raises(TypeError, match=r"expected float32, got <Symbol shape=.*, dtype=int32"):
        Add()([Input((3,), dtype="int32"), Input((3,), dtype="int32")])
    with pytest.raises(TypeError, match=r"expected float32, got <Symbol shape=.*, dtype=float64"):
        Concatenate()([Input((3,)), Input((3,), dtype="float64")])
    for axes, error in ((None, TypeError), ("1", TypeError), ((1, 2, 3), ValueError), (1.0, TypeError)):
        with pytest.raises(error, match="Dot: axes: expected"):
            Dot(axes)


def test_a_sequential_may_begin_with_one():
    model = Sequential([Multiply(), layers.Dense(1)])
    x = [numbers(8, 3, seed=k, dtype="float32") for k in range(2)]
    model.compile("sgd", "mse")
    model.fit(x, numbers(8, 1), verbose=0)
    assert model.predict(x, verbose=0).shape == (8, 1)
