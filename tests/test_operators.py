"""Operators on symbols: what they compute, and that the layers they make are layers as all others."""

import copy
import functools
import operator
import os
import pickle
import re

import numpy as np
import pytest
from graph_tools import assert_gradients_are_differences
from hypothesis import assume, given
from hypothesis import strategies as st
from layer_tools import numbers

import lstmcore
from lstmcore import Input, Model, layers
from lstmcore._masks import of as mask_of
from lstmcore.models import clone_model, load_model, model_from_json

BATCH, STEPS, WIDTH = 3, 4, 3
MASK = np.array([[True, True, True, False], [True, False, False, False], [True, True, True, True]])


def double(shape=(STEPS, WIDTH), **options):
    return Input(shape, dtype="float64", **options)


# --- any expression ---


@st.composite
def constants(draw):
    """A number, or an array that fits (steps, width)."""
    shape = draw(st.sampled_from([None, (), (WIDTH,), (STEPS, 1), (1, STEPS, WIDTH)]))
    value = numbers(*(shape or ()), seed=draw(st.integers(0, 99))) + 2
    return float(value) if shape is None else draw(st.sampled_from([2, -1, 0.5])) if shape == () else value


def side_by_side(parts, axis):
    return np.concatenate(parts, axis) if isinstance(parts[0], np.ndarray) else layers.concatenate(parts, axis)


def largest(a, b):
    return np.maximum(a, b) if isinstance(a, np.ndarray) else layers.maximum([a, b])


# Each of symbols as of arrays, so that NumPy says what it should be. What is raised to a power, or divided by, is
# positive; all results have the shape of what goes in.
UNARY = {
    "negative": operator.neg,
    "absolute": abs,
    "positive": lambda a: +a * 1,
    "square": lambda a: a**2,
    "root": lambda a: (a * a + 1.0) ** 0.5,
    "nothing": lambda a: a**0,
    "exponent": lambda a: 2.0 ** (a / 4),
    "reciprocal": lambda a: 1 / (a * a + 1),
    "all": lambda a: a[...],
    "back and forth": lambda a: a[:, ::-1],
    "last": lambda a: a - a[:, -1:],
    "columns": lambda a: a[..., 1:2] * a[:, :, :1] + a,
    "new axis": lambda a: a - a[:, :, None, 0] / 2,
    "other steps": lambda a: side_by_side([a[:, 1::2], a[:, ::2]], 1),
}
BINARY = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": lambda a, b: a / (b * b + 1),
    "matmul": lambda a, b: a @ b[:, :WIDTH],
    "maximum": largest,
    "concatenate": lambda a, b: side_by_side([a, b], -1)[..., 1 : WIDTH + 1],
}


@st.composite
def expressions(draw):
    """A model of operators, with a layer that has weights and is shared, and the steps that say the same of arrays."""
    symbols = [double(), double()]
    shared = layers.Dense(WIDTH, "tanh", dtype="float64")
    values, steps = list(symbols), []
    for _ in range(draw(st.integers(1, 8))):
        i, j = (draw(st.integers(0, len(values) - 1)) for _ in range(2))
        kind = draw(st.sampled_from(["unary", "binary", "constant", "constant first", "dense"]))
        if kind == "unary":
            function = UNARY[draw(st.sampled_from(sorted(UNARY)))]
            step = functools.partial(lambda f, i, v: f(v[i]), function, i)
        elif kind == "binary":
            step = functools.partial(
                lambda f, i, j, v: f(v[i], v[j]), BINARY[draw(st.sampled_from(sorted(BINARY)))], i, j
            )
        elif kind == "dense":
            step = functools.partial(lambda i, v: shared(v[i]), i)
        else:
            function = draw(st.sampled_from([operator.add, operator.sub, operator.mul]))
            c = draw(constants())
            step = functools.partial(lambda f, i, c, v: f(v[i], c), function, i, c)
            if kind == "constant first":
                step = functools.partial(lambda f, i, c, v: f(c, v[i]), function, i, c)
        steps.append(step)
        values.append(step(values))
    return Model(symbols, values[-1]), steps


@given(expressions(), st.integers(0, 2**32 - 1))
def test_any_expression_is_what_numpy_makes_of_it(expression, seed):
    model, steps = expression
    values = [numbers(BATCH, STEPS, WIDTH, seed=[seed, k]) for k in range(2)]
    got = model.predict(values, verbose=0)
    for step in steps:
        values.append(step(values))
    assume(np.abs(values[-1]).max() < 1e100)
    np.testing.assert_allclose(got, values[-1], rtol=1e-9, atol=1e-12)
    assert model.output_shape == (None, *got.shape[1:])


@given(expressions(), st.integers(0, 2**32 - 1))
def test_gradients_of_any_expression_are_differences(expression, seed):
    model, _ = expression
    x = [numbers(BATCH, STEPS, WIDTH, seed=[seed, k]) for k in range(2)]
    y = model(x)
    assume(np.abs(y).max() < 1e2)  # of differences of larger numbers, too few digits are left
    assert_gradients_are_differences(model, x, seed)


@given(expressions())
def test_any_expression_is_saved_cloned_and_copied_with_its_names(expression):
    model, _ = expression
    x = [numbers(BATCH, STEPS, WIDTH, seed=k) for k in range(2)]
    want = model.predict(x, verbose=0)
    told, cloned = model_from_json(model.to_json()), clone_model(model)
    for twin in (told, cloned):
        twin.set_weights(model.get_weights())
    for other in (told, cloned, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(other.predict(x, verbose=0), want)
        assert [layer.name for layer in other.layers] == [layer.name for layer in model.layers]


# --- slices ---


@st.composite
def keys(draw):
    """A key, the batch whole: integers, slices, None and ... for the axes behind it."""

    def part():
        bound = st.one_of(st.none(), st.integers(-6, 6))
        return draw(
            st.one_of(
                st.integers(-2, 1),
                st.none(),
                st.builds(slice, bound, bound, st.sampled_from([None, 1, 2, -1, -2])),
            )
        )

    parts = [part() for _ in range(draw(st.integers(0, 4)))]
    while sum(p is not None for p in parts) > 2:
        parts.pop()
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), Ellipsis)
    return (slice(None), *parts)


@given(keys(), st.integers(0, 99))
def test_any_part_behind_the_batch_is_that_of_numpy(key, seed):
    x = numbers(BATCH, STEPS, WIDTH, seed=seed)
    symbol = double()
    part = symbol[key]
    model = Model(symbol, part)
    np.testing.assert_array_equal(model(x), x[key])
    assert part.shape == (None, *x[key].shape[1:])
    assert double((None, WIDTH))[key].ndim == part.ndim
    d = numbers(*x[key].shape, seed=seed + 1)
    model(x, training=True)
    want = np.zeros_like(x)
    want[key] = d
    np.testing.assert_array_equal(model.backward(d), want)
    np.testing.assert_array_equal(model_from_json(model.to_json()).predict(x, verbose=0), x[key])


@given(keys(), st.integers(0, 99))
def test_the_mask_of_a_part_is_that_of_its_steps(key, seed):
    """A step that counts is one that is not zero, in the part as in the whole."""
    x = np.abs(numbers(BATCH, STEPS, WIDTH, seed=seed)) + 1
    x[~MASK] = 0
    symbol = double()
    part = layers.Masking(dtype="float64")(symbol)[key]
    got = Model(symbol, part)(x)
    left = mask_of(got)
    if len(key) > 1 and isinstance(key[1], int) and None not in key:
        assert left is None
    if left is not None and left.size and got.size:
        counted = (got != 0).reshape(*left.shape, -1)
        np.testing.assert_array_equal(counted.all(-1) & counted.any(-1), left)


def test_a_slice_of_steps_has_their_mask_and_one_step_none():
    x = numbers(BATCH, STEPS, WIDTH)
    symbol = double()
    masked = layers.Masking(dtype="float64")(symbol)
    x[~MASK] = 0
    for key, want in (
        ((slice(None), slice(1, None)), MASK[:, 1:]),
        ((slice(None), slice(None, None, -1)), MASK[:, ::-1]),
        ((Ellipsis, slice(1)), MASK),
        ((slice(None), slice(None), 0), MASK),
        ((slice(None), None), MASK[:, None]),
        ((slice(None), -1), None),
    ):
        got = mask_of(Model(symbol, masked[key])(x))
        assert got is want is None or (got == want).all()


def test_a_layer_behind_a_slice_skips_the_padding():
    x = numbers(BATCH, STEPS, WIDTH)
    x[~MASK] = 0
    symbol = double()
    lstm = layers.LSTM(2, dtype="float64")
    model = Model(symbol, lstm(layers.Masking(dtype="float64")(symbol)[:, 1:] + 1.0))
    np.testing.assert_array_equal(model(x), lstm(x[:, 1:] + 1, mask=MASK[:, 1:]))


# --- names, dtypes, masks ---


def test_layers_are_named_as_in_keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    made = []
    for library in (keras, lstmcore):
        library.utils.clear_session()
        a, b = library.Input((4, 4)), library.Input((4, 4))
        y = (a + b) * 2.0 - b / a + (1.0 - a) ** 2 @ b + -a
        y = library.layers.Add()([y, a[:, :, None, 0] * 1.0])
        model = library.Model([a, b], y[:, -1])
        made.append([one.name for one in (model.operations if library is keras else model.layers)][2:])
    assert sorted(made[0]) == sorted(made[1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_is_that_of_the_symbol(dtype):
    a = Input((STEPS, WIDTH), dtype=dtype)
    x = numbers(BATCH, STEPS, WIDTH, dtype=dtype)
    for make in (
        lambda a: a + 1,
        lambda a: np.float64(2) * a,
        lambda a: np.ones(WIDTH) - a,
        lambda a: a / np.arange(1, WIDTH + 1),
        lambda a: np.float32(0.1) + a,
        lambda a: a**2.0,
        lambda a: -a,
        lambda a: a[:, 1],
    ):
        made = make(a)
        assert made.dtype == dtype
        got = Model(a, made).predict(x, verbose=0)
        assert got.dtype == dtype
        np.testing.assert_allclose(got, make(x).astype(dtype), rtol=1e-6)


def test_constants_come_back_from_files_with_all_their_digits(tmp_path):
    a = double()
    constants = [np.pi, np.float32(0.1), np.array([1e-300, np.nan, -np.inf]), np.arange(3), 2**40]
    y = a
    for c in constants:
        y = y + c
    model = Model(a, y)
    model.save(tmp_path / "model.safetensors")
    again = load_model(tmp_path / "model.safetensors")
    x = numbers(BATCH, STEPS, WIDTH)
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_a_constant_is_the_models_own():
    a, c = double(), np.ones(WIDTH)
    model = Model(a, a * c)
    c[...] = 7
    x = numbers(BATCH, STEPS, WIDTH)
    np.testing.assert_array_equal(model.predict(x, verbose=0), x)
    np.testing.assert_array_equal(model_from_json(model.to_json()).predict(x, verbose=0), x)


def test_integers_stay_integers():
    ids = Input((None,), dtype="int64")
    big = 2**53 + 1
    x = np.array([[big, 3, 0], [1, 2, 3]])
    for make in (lambda a: a + 1, lambda a: 2 - a, lambda a: 3 * a, lambda a: -a, lambda a: a[:, 1:]):
        assert make(ids).dtype == np.int64
        np.testing.assert_array_equal(Model(ids, make(ids)).predict(x, verbose=0), make(x))
    embedding = layers.Embedding(6, 2, dtype="float64")
    model = Model(ids, layers.LSTM(2, dtype="float64")(embedding(ids[:, :-1] + 1)))
    tokens = np.array([[0, 3, 4], [1, 2, 3]])
    np.testing.assert_array_equal(model.layers[-1](embedding(tokens[:, :-1] + 1)), model(tokens))
    assert_gradients_are_differences(model, tokens, 0)
    for wrong in (lambda: ids + 0.5, lambda: ids / 2, lambda: ids**2, lambda: ids + ids, lambda: ids @ ids):
        with pytest.raises((TypeError, ValueError), match="expected"):
            wrong()


@pytest.mark.parametrize("make", [lambda a: 1 / a, lambda a: a**-1, lambda a: a / a])
def test_what_is_infinite_in_the_padding_goes_nowhere(make):
    symbol = double()
    masked = layers.Masking(dtype="float64")(symbol)
    lstm = layers.LSTM(2, dtype="float64")
    model = Model(symbol, lstm(layers.Dense(2, dtype="float64")(make(masked))))
    x = np.abs(numbers(BATCH, STEPS, WIDTH)) + 0.5
    x[~MASK] = 0
    y = model(x, training=True)
    assert np.isfinite(y).all()
    model.parameters.vectors.gradients.fill(0)
    d = model.backward(np.ones_like(y))
    assert np.isfinite(model.parameters.vectors.gradients).all()
    assert np.isfinite(d).all()
    assert not d[~MASK].any()


# --- what is refused ---


A, B, VECTOR = double(name="a"), double(name="b"), double((WIDTH,), name="vector")


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: A + "x", TypeError, r"\+: expected a symbol, a number or an array, got 'x'"),
        (lambda: A + None, TypeError, r"\+: expected a symbol, a number or an array, got None"),
        (lambda: A * layers.Dense(3), TypeError, r"\*: expected a symbol, a number or an array, got <Dense"),
        (lambda: A**B, TypeError, r"\*\*: expected a number as the exponent"),
        (lambda: (-2.0) ** A, ValueError, "expected positive numbers"),
        (lambda: A + VECTOR, ValueError, r"\+: expected symbols with as many axes"),
        (
            lambda: A + double((STEPS, 2)),
            ValueError,
            r"expected shapes that fit each other, got \(None, 4, 3\), \(None, 4, 2",
        ),
        (lambda: A @ B, ValueError, r"matmul\w*: inputs: expected shapes .* got \(None, 4, 3\) and \(None, 4, 3\)"),
        (lambda: VECTOR @ VECTOR, ValueError, "layers.Dot"),
        (lambda: A @ np.ones((3, 3)), TypeError, "@: expected a symbol, got"),
        (lambda: A + np.ones((3, 4, 3)), ValueError, r"fits behind the batch of \(None, 4, 3\), got \(3, 4, 3\)"),
        (lambda: A * np.ones(2), ValueError, r"fits a constant of \(2,\), got \(None, 4, 3\)"),
        (lambda: A + np.ones(20_000), ValueError, "expected at most 10000 numbers, got 20000; make it an Input"),
        (lambda: A + np.ones(3, complex), TypeError, "expected a symbol, a number or an array"),
        (lambda: A[0], IndexError, r"expected all of the batch, as in x\[:, 0\] and x\[..., 0\], got x\[0\]"),
        (lambda: A[1:], IndexError, r"got x\[1:\]"),
        (lambda: A[None], IndexError, r"got x\[None\]"),
        (lambda: A[..., 0, :, :], IndexError, "expected all of the batch"),
        (lambda: A[:, 4], IndexError, r"expected an axis with an index 4, got shape \(None, 4, 3\)"),
        (lambda: A[:, 0, 0, 0], IndexError, r"expected at least 4 axes for x\[:, 0, 0, 0\], got 3"),
        (lambda: A[:, [0, 1]], TypeError, r"expected integers, slices, ... and None behind the batch, got \[0, 1\]"),
        (lambda: A[:, np.array([True, False])], TypeError, "expected integers, slices"),
        (lambda: A[:, 1.0], TypeError, "expected integers, slices"),
        (lambda: A[:, True], TypeError, "expected integers, slices"),
    ],
)
def test_what_is_no_operation_of_symbols_is_told(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_a_weight_is_no_constant():
    dense = layers.Dense(3, dtype="float64")
    y = dense(A)
    for make in (lambda w: y * w, lambda w: w.value * y, lambda w: y + w.value[0], lambda w: w * y):
        with pytest.raises(
            (TypeError, ValueError), match=r"expected an array of your own|is a weight, which would not be trained here"
        ):
            make(dense.kernel)


def test_functions_of_numpy_say_that_symbols_have_no_numbers():
    with pytest.raises(TypeError, match="cannot be iterated over"):
        sum(a for a in A)
    for make in (np.tanh, np.sum, lambda a: np.add(a, 1, where=False), lambda a: np.maximum(a, 0)):
        with pytest.raises(TypeError, match="stands for an array and has no numbers"):
            make(A)


@pytest.mark.parametrize(
    ("sign", "operation"),
    [
        ("%", lambda x: x % 2),
        ("%", lambda x: 2 % x),
        ("//", lambda x: x // 2),
        ("//", lambda x: 2 // x),
        ("<", lambda x: x < 1),
        ("<=", lambda x: x <= 1),
        (">", lambda x: x > 1),
        (">=", lambda x: x >= 1),
    ],
)
def test_operators_that_are_not_drawn_name_what_to_use(sign, operation):
    with pytest.raises(TypeError, match=rf"^<Symbol .* {re.escape(sign)} is not drawn; use layers.Lambda"):
        operation(Input((3,)))


def test_what_arrays_have_and_symbols_have_not_names_what_to_use():
    symbol = Input((3,))
    with pytest.raises(AttributeError, match=r"^<Symbol .*has no 'sum'; layers.Lambda\(function\)\(x\) has arrays"):
        symbol.sum()
    assert not hasattr(symbol, "numpy")
    assert not hasattr(symbol, "__len_hint__")


def test_an_input_that_is_none_is_named():
    a, b = Input((3,)), Input((2,))
    model = Model([a, b], layers.Dense(1)(layers.concatenate([a, b])))
    with pytest.raises(ValueError, match=r"x: expected an array each, got None in place 1"):
        model.predict([np.zeros((4, 3)), None], verbose=0)
