"""Attention: on arrays, against the reference, which is held against differences; as layers; in graphs."""

import copy
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_tools import by_differences, numbers

import lstmcore
from lstmcore import Input, Model, Sequential, _masks, functional, layers, reference
from lstmcore.models import clone_model, load_model, model_from_json

# Rounding: sums of some tens of products of numbers near one, and gradients that go through three of them.
CLOSE = {"float32": {"rtol": 1e-4, "atol": 1e-4}, "float64": {"rtol": 1e-11, "atol": 1e-11}}


def assert_all_close(got, want, **close):
    assert len(got) == len(want)
    for a, b in zip(got, want, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a, b, **close)


def assert_same_bits(got, want):
    assert len(got) == len(want)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b)


# --- on arrays ---


@st.composite
def problems(draw, most=70):
    """Arguments of `attention`, gradients of what it returns, and the number of threads."""
    size = st.one_of(st.integers(1, 4), st.integers(1, most))
    batch = draw(st.integers(0, 4))
    lead = (batch, *draw(st.sampled_from([(), (), (1,), (3,), (2, 2), (0,)])))
    queries, keys, features, width = draw(st.one_of(st.just(0), size)), draw(size), draw(size), draw(size)
    dtype, rng = draw(st.sampled_from(["float32", "float64"])), np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def array(*shape):
        a = rng.standard_normal(shape).astype(dtype)
        layout = draw(st.sampled_from(["C", "C", "transposed", "sliced", "reversed", "read-only"]))
        if layout == "transposed":
            return a.swapaxes(-1, -2).copy().swapaxes(-1, -2)
        if layout == "sliced":
            return a.repeat(2, -1)[..., ::2]
        if layout == "reversed":
            return a[:, ::-1]
        a.setflags(write=layout == "C")
        return a

    options = {"causal": draw(st.booleans())}
    same = features == width and draw(st.booleans())
    key = None if same else array(*lead, keys, features)
    if draw(st.booleans()):
        options["scale"] = draw(st.sampled_from([1.0, 0.3, -0.5, 0.0]))
    if draw(st.booleans()):
        of_scores = (*lead, queries, keys)
        shape = draw(st.sampled_from([of_scores, of_scores[-2:], (keys,), (batch, *(1,) * len(lead), keys), (1, 1)]))
        options["mask"] = rng.random(shape) < 0.7
    if draw(st.booleans()):
        options["value_mask"] = rng.random((batch, keys)) < 0.6
    if draw(st.booleans()):
        options["query_mask"] = rng.random((batch, queries)) < 0.6
    if draw(st.booleans()):
        options["dropout_mask"] = (2 * (rng.random((*lead, queries, keys)) < 0.5)).astype(dtype)
    d_scores = array(*lead, queries, keys) if draw(st.booleans()) else None
    arrays = array(*lead, queries, features), array(*lead, keys, width), key
    return arrays, options, (array(*lead, queries, width), d_scores)


@given(problems())
def test_the_core_is_the_reference(problem):
    arrays, options, gradients = problem
    outputs, scores, cache = reference.attention(*arrays, training=True, **options)
    want = [outputs, scores, *reference.attention_backward(cache, *gradients)]
    results = []
    for threads in (1, 2):
        with lstmcore.threads(threads):
            outputs, scores, cache = functional.attention(*arrays, training=True, **options)
            results.append([outputs, scores, *functional.attention_backward(cache, *gradients)])
            assert_same_bits(functional.attention(*arrays, **options), [outputs, scores])
    assert [a.dtype for a in results[0][:4]] == 4 * [arrays[0].dtype]
    assert_all_close(results[0], want, **CLOSE[arrays[0].dtype.name])
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_of_the_reference_are_differences(keyed, masked):
    query, value = numbers(2, 3, 4, 2), numbers(2, 3, 5, 2, seed=1)
    key, scale = numbers(2, 3, 5, 2, seed=2) if keyed else None, np.array(0.7)
    rng, options = np.random.default_rng(0), {}
    if masked:
        options = {"mask": rng.random((4, 5)) < 0.8, "query_mask": rng.random((2, 4)) < 0.7, "causal": True}
        options |= {"value_mask": rng.random((2, 5)) < 0.6, "dropout_mask": 2.0 * (rng.random((2, 3, 4, 5)) < 0.5)}
    outputs, scores, cache = reference.attention(query, value, key, scale=0.7, training=True, **options)
    d_outputs, d_scores = numbers(*outputs.shape), numbers(*scores.shape)

    def loss():
        y, p = reference.attention(query, value, key, scale=float(scale), **options)
        return (y * d_outputs).sum() + (p * d_scores).sum()

    gradients = reference.attention_backward(cache, d_outputs, d_scores)
    for gradient, array in zip(gradients, (query, value, key, scale), strict=True):
        if array is not None:
            np.testing.assert_allclose(gradient, by_differences(loss, array), rtol=1e-6, atol=1e-8)


def test_scores_are_shares_of_the_keys_that_are_seen():
    query, value = numbers(2, 5, 3), numbers(2, 7, 3, seed=1)
    value_mask = np.array([[True] * 7, [True, True, False, True, False, False, False]])
    outputs, scores = functional.attention(query, value, value_mask=value_mask, causal=True)
    np.testing.assert_allclose(scores.sum(-1), 1, rtol=1e-12)
    seen = value_mask[:, None] & np.tri(5, 7, dtype=bool)
    assert (scores[~np.broadcast_to(seen, scores.shape)] == 0).all()
    assert (scores[np.broadcast_to(seen, scores.shape)] > 0).all()
    np.testing.assert_allclose(outputs, scores @ value, rtol=1e-12)


def test_where_all_keys_are_left_out_all_have_the_same_weight_and_there_is_no_gradient_of_scores():
    query, value, key = numbers(1, 2, 3), numbers(1, 4, 3, seed=1), numbers(1, 4, 3, seed=2)
    mask = np.array([[[False] * 4, [True] * 4]])
    outputs, scores, cache = functional.attention(query, value, key, mask, scale=0.5, training=True)
    np.testing.assert_array_equal(scores[0, 0], 0.25)
    np.testing.assert_allclose(outputs[0, 0], value[0].mean(0), rtol=1e-12)
    d_query, d_value, d_key, _ = functional.attention_backward(cache, np.ones_like(outputs), numbers(1, 2, 4))
    assert (d_query[0, 0] == 0).all()
    assert (d_query[0, 1] != 0).all()
    alone = functional.attention(query[:, 1:], value, key, scale=0.5, training=True)[2]
    d_key_alone = functional.attention_backward(alone, np.ones((1, 1, 3)), numbers(1, 2, 4)[:, 1:])[2]
    np.testing.assert_allclose(d_key, d_key_alone, rtol=1e-12)
    assert (d_value != 0).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1.0, 1e5, 1e15])
def test_a_key_that_is_left_out_has_no_weight_however_low_the_others_score(size, dtype):
    query = np.array([[[-size], [size]]], dtype)
    key, value = np.array([[[size], [2 * size], [1.0]]], dtype), np.array([[[7.0], [8.0], [100.0]]], dtype)
    mask = np.array([[True, True, False]])
    for module in (functional, reference):
        outputs, scores = module.attention(query, value, key, value_mask=mask)
        assert not scores[..., 2].any()
        np.testing.assert_allclose(scores.sum(-1), 1, 1e-6)
        if size > 1:
            np.testing.assert_array_equal(outputs[..., 0], [[7, 8]])
    outputs, _ = functional.attention(query[:, :1], value, key, causal=True)
    np.testing.assert_array_equal(outputs, [[[7]]])
    weights = layers.Softmax(dtype=dtype)(np.array([[-(size**2), 0.0]], dtype), mask=np.array([[True, False]]))
    np.testing.assert_array_equal(weights, [[1, 0]])


def test_additive_attention_takes_arrays_in_any_order():
    layer, x = layers.AdditiveAttention(dtype="float64"), numbers(3, 4, 5, seed=1).astype("float64")
    want = layer([x, x])
    for ordered in (np.asfortranarray(x), x.transpose(0, 2, 1).copy().transpose(0, 2, 1), x.repeat(2, 1)[:, ::2]):
        np.testing.assert_array_equal(layer([ordered, ordered]), want)


def test_numbers_in_the_padding_make_no_difference():
    query, value, mask = numbers(2, 3, 4), numbers(2, 5, 4, seed=1), np.array([[True] * 5, [True, False] * 2 + [False]])
    results = []
    for filling in (0, 1e6):
        v = np.where(mask[..., None], value, filling)
        y, p, cache = functional.attention(query, v, value_mask=mask, training=True)
        results.append([y, p, *functional.attention_backward(cache, numbers(*y.shape))[:2]])
    assert_same_bits(*results)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"query": np.ones((2, 3))}, ValueError, r"query: expected shape \(batch, queries, features\), got \(2, 3\)"),
        ({"query": np.ones((2, 3, 0))}, ValueError, r"query: expected shape .*, got \(2, 3, 0\)"),
        ({"query": np.ones((2, 3, 4), int)}, TypeError, "query: expected float32 or float64, got int64"),
        ({"query": [[1.0], [1.0, 2.0]]}, ValueError, "query: "),
        ({"value": np.ones((2, 0, 4))}, ValueError, r"value: expected shape \(2, keys, width\) with at least one key"),
        ({"value": np.ones((3, 5, 4))}, ValueError, r"value: expected shape \(2, keys, width\) .*, got \(3, 5, 4\)"),
        ({"value": np.ones((2, 5, 4), "float32")}, TypeError, "value: expected float64, as the query, got float32"),
        ({"key": None, "value": np.ones((2, 5, 7))}, ValueError, r"value: expected shape \(2, 5, 4\), got \(2, 5, 7\)"),
        ({"key": np.ones((2, 6, 4))}, ValueError, r"key: expected shape \(2, 5, 4\), got \(2, 6, 4\)"),
        ({"mask": np.ones((3, 4), bool)}, ValueError, r"mask: expected a shape that is broadcast to \(2, 3, 5\)"),
        ({"mask": np.ones((3, 5))}, TypeError, "mask: expected bool, got float64"),
        ({"scale": "1"}, TypeError, "scale"),
        ({"query_mask": np.ones((2, 5), bool)}, ValueError, r"query_mask: expected shape \(2, 3\), got \(2, 5\)"),
        ({"value_mask": np.ones((2, 3), bool)}, ValueError, r"value_mask: expected shape \(2, 5\), got \(2, 3\)"),
        ({"causal": 1}, TypeError, "causal"),
        ({"dropout_mask": np.ones((2, 3, 5), "float32")}, TypeError, "dropout_mask: expected float64, as the query"),
        ({"dropout_mask": np.ones((2, 3, 4))}, ValueError, "dropout_mask: expected a shape that is broadcast to"),
        ({"training": "yes"}, TypeError, "training"),
    ],
)
def test_wrong_arguments_of_attention_are_refused_by_name(change, error, text):
    right = {"query": np.ones((2, 3, 4)), "value": np.ones((2, 5, 6)), "key": np.ones((2, 5, 4))}
    functional.attention(**right)
    with pytest.raises(error, match=f"^{text}"):
        functional.attention(**right | change)


def test_wrong_arguments_of_the_way_back_are_refused_by_name():
    outputs, scores, cache = functional.attention(np.ones((2, 3, 4)), np.ones((2, 5, 4)), training=True)
    for arguments, error, text in [
        ((None, outputs), TypeError, "cache: expected what attention"),
        ((cache, outputs[1:]), ValueError, r"d_outputs: expected shape \(2, 3, 4\), got \(1, 3, 4\)"),
        ((cache, outputs.astype("float32")), TypeError, "d_outputs: expected float64, got float32"),
        ((cache, outputs, scores[..., 1:]), ValueError, r"d_scores: expected shape \(2, 3, 5\), got \(2, 3, 4\)"),
    ]:
        with pytest.raises(error, match=f"^{text}"):
            functional.attention_backward(*arguments)


def test_a_cache_may_be_used_again_and_is_not_changed_by_what_was_returned():
    query, value = numbers(2, 3, 4), numbers(2, 5, 4, seed=1)
    outputs, scores, cache = functional.attention(query, value, scale=0.5, training=True)
    d = numbers(*outputs.shape), numbers(*scores.shape)
    want = [a for a in functional.attention_backward(cache, *d) if a is not None]
    outputs[...], scores[...] = 9, 9
    assert_same_bits([a for a in functional.attention_backward(cache, *d) if a is not None], want)


# --- layers ---

EVERY = {
    "Attention": lambda **o: layers.Attention(**o),
    "Attention, scale": lambda **o: layers.Attention(use_scale=True, **o),
    "Attention, concat": lambda **o: layers.Attention(score_mode="concat", **o),
    "Attention, concat, scale": lambda **o: layers.Attention(True, "concat", **o),
    "AdditiveAttention": lambda **o: layers.AdditiveAttention(**o),
    "AdditiveAttention, no scale": lambda **o: layers.AdditiveAttention(use_scale=False, **o),
    "MultiHeadAttention": lambda **o: layers.MultiHeadAttention(2, 3, **o),
    "MultiHeadAttention, value_dim": lambda **o: layers.MultiHeadAttention(3, 2, 5, output_shape=7, **o),
    "MultiHeadAttention, no bias": lambda **o: layers.MultiHeadAttention(
        1, 2, use_bias=False, output_shape=(2, 3), **o
    ),
    "MultiHeadAttention, window": lambda **o: layers.MultiHeadAttention(2, 3, sliding_window=2, **o),
}
each_layer = pytest.mark.parametrize("name", EVERY)
QUERY_MASK, VALUE_MASK = np.arange(4) < np.array([[2], [4], [3]]), np.arange(5) < np.array([[5], [1], [3]])


def made(name, count=2, dtype="float64", **options):
    """A layer with numbers in its weights, and inputs for it."""
    x = [numbers(3, steps, 4, seed=seed, dtype=dtype) for seed, steps in enumerate((4, 5, 5))][:count]
    layer = EVERY[name](dtype=dtype, **options)
    layer.build([a.shape for a in x])
    layer.set_weights([0.5 * numbers(*w.shape, seed=k) for k, w in enumerate(layer.get_weights())])
    for v in layer.variables:
        v.gradient.fill(0)
    return layer, x


@each_layer
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_of_layers_are_differences(name, count, masked):
    layer, x = made(name, count)
    options = {"return_attention_scores": True, "use_causal_mask": masked}
    if masked:
        options["mask"] = [QUERY_MASK, VALUE_MASK, None][:count]
    outputs, scores = layer(x, training=True, **options)
    d_outputs, d_scores = numbers(*outputs.shape, seed=7), numbers(*scores.shape, seed=8)

    def loss():
        y, p = layer(x, **options)
        return (y * d_outputs).sum() + (p * d_scores).sum()

    for gradient, array in zip(layer.backward(d_outputs, d_scores=d_scores), x, strict=True):
        np.testing.assert_allclose(gradient, by_differences(loss, array), rtol=1e-6, atol=1e-7)
    for v in layer.variables:
        np.testing.assert_allclose(v.gradient, by_differences(loss, v), rtol=1e-6, atol=1e-7, err_msg=v.path)


@each_layer
def test_a_batch_without_rows(name):
    layer, x = made(name, 3)
    outputs = layer([a[:0] for a in x], training=True)
    assert outputs.shape == (0, *layer([a[:1] for a in x]).shape[1:])
    layer([a[:0] for a in x], training=True)
    assert [d.shape for d in layer.backward(outputs)] == [a[:0].shape for a in x]
    assert all((v.gradient == 0).all() for v in layer.variables)


@each_layer
def test_bits_of_layers_do_not_depend_on_threads(name):
    results = []
    for threads in (1, 2):
        layer, x = made(name, 3, "float32", dropout=0.3, seed=4)
        with lstmcore.threads(threads):
            outputs, scores = layer(x, training=True, return_attention_scores=True)
            results.append([outputs, scores, *layer.backward(outputs), *(v.gradient.copy() for v in layer.variables)])
    assert_same_bits(*results)


@each_layer
def test_dropout_is_of_the_seed_and_of_training_only(name):
    layer, x = made(name, dropout=0.4, seed=3)
    first, second = layer(x, training=True), layer(x, training=True)
    assert (first != second).any()
    again = made(name, dropout=0.4, seed=3)[0]
    np.testing.assert_array_equal(again(x, training=True), first)
    state = again.state()
    np.testing.assert_array_equal(again(x, training=True), second)
    again.load_state(state)
    np.testing.assert_array_equal(again(x, training=True), second)
    np.testing.assert_array_equal(layer(x), made(name)[0](x))


def test_dropout_leaves_a_share_of_the_scores_out_and_makes_up_for_it():
    layer, x = layers.Attention(dropout=0.25, seed=0), [np.zeros((40, 30, 2)), np.ones((40, 50, 2))]
    outputs, scores = layer(x, training=True, return_attention_scores=True)
    assert set(np.unique(scores)) == {0, np.float32(np.float32(1 / 50) * np.float32(4 / 3))}
    assert (scores == 0).mean() == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / scores.size))  # of 60,000
    np.testing.assert_allclose(outputs, scores.sum(-1, keepdims=True).repeat(2, -1), rtol=1e-5)
    # Those of several heads are returned as they were before it, as by Keras.
    layer = layers.MultiHeadAttention(2, 3, dropout=0.5, seed=0)
    scores = layer(*x, training=True, return_attention_scores=True)[1]
    np.testing.assert_allclose(scores, 1 / 50, rtol=1e-6)


@pytest.mark.parametrize("name", EVERY)
def test_gradients_with_dropout_are_differences(name):
    layer, x = made(name, 3, dropout=0.4, seed=3)
    state = layer.state()
    outputs, scores = layer(x, training=True, return_attention_scores=True)
    d_outputs, d_scores = numbers(*outputs.shape, seed=7), numbers(*scores.shape, seed=8)
    gradients = layer.backward(d_outputs, d_scores=d_scores)

    def loss():
        layer.load_state(state)
        y, p = layer(x, training=True, return_attention_scores=True)
        return (y * d_outputs).sum() + (p * d_scores).sum()

    for gradient, array in zip(gradients, x, strict=True):
        np.testing.assert_allclose(gradient, by_differences(loss, array), rtol=1e-6, atol=1e-7)


@each_layer
def test_numbers_in_the_padding_of_a_layer_make_no_difference(name):
    results = []
    for filling in (0, 1e3):
        layer, (query, value) = made(name)
        value = np.where(VALUE_MASK[..., None], value, filling)
        y, p = layer([query, value], mask=[QUERY_MASK, VALUE_MASK], return_attention_scores=True)
        results.append([y[QUERY_MASK], p])
    if "window" in name:  # a query that sees padding only gets a mean of it
        results = [[r[0][:1]] for r in results]
    assert_same_bits(*results)


def test_the_mask_of_the_query_makes_outputs_zero_and_goes_on():
    for name in ("Attention", "AdditiveAttention"):
        layer, x = made(name)
        outputs = layer(x, [QUERY_MASK, None])
        assert (outputs[~QUERY_MASK] == 0).all()
        np.testing.assert_array_equal(outputs[QUERY_MASK], layer(x)[QUERY_MASK])
        np.testing.assert_array_equal(_masks.of(outputs), QUERY_MASK)
    layer, x = made("MultiHeadAttention")
    outputs, scores = layer(*x, query_mask=QUERY_MASK, return_attention_scores=True)
    np.testing.assert_array_equal(outputs[~QUERY_MASK], np.broadcast_to(layer.output_dense.bias.value, (3, 4)))
    np.testing.assert_array_equal(_masks.of(outputs), QUERY_MASK)
    assert _masks.of(scores) is None


def test_masks_go_with_the_arrays_and_those_that_are_given_stand_for_them():
    layer, (query, value) = made("MultiHeadAttention")
    padded = [np.where(m[..., None], x, 0) for x, m in ((query, QUERY_MASK), (value, VALUE_MASK))]
    query, value = (layers.Masking(dtype="float64")(x) for x in padded)
    want = layer(*padded, query_mask=QUERY_MASK, value_mask=VALUE_MASK)
    np.testing.assert_array_equal(layer(query, value), want)
    np.testing.assert_array_equal(layer([query, value]), want)
    other = VALUE_MASK[::-1].copy()
    got = layer(query, value, value_mask=other)
    np.testing.assert_array_equal(got, layer(*padded, query_mask=QUERY_MASK, value_mask=other))
    both = layer(*padded, value_mask=VALUE_MASK, key_mask=other)
    np.testing.assert_array_equal(both, layer(*padded, value_mask=VALUE_MASK & other))
    seen = np.broadcast_to(VALUE_MASK[:, None], (3, 4, 5))
    for mask in (seen, seen[:, None], VALUE_MASK[:, None, None]):
        np.testing.assert_array_equal(layer(*padded, attention_mask=mask), layer(*padded, value_mask=VALUE_MASK))


def test_a_window_is_of_so_many_steps_on_either_side():
    layer = layers.MultiHeadAttention(1, 2, sliding_window=2)
    scores = layer(numbers(1, 5, 3), numbers(1, 6, 3), return_attention_scores=True)[1][0, 0]
    np.testing.assert_array_equal(scores != 0, abs(np.subtract.outer(np.arange(5), np.arange(6))) < 2)


@each_layer
def test_layers_are_copied_pickled_and_told_by_their_configurations(name):
    layer, x = made(name, 3, dropout=0.3, seed=5)
    want = layer(x)
    config = layer.get_config()
    again = type(layer).from_config(config)
    assert again.get_config() == config
    again.build([a.shape for a in x])
    again.set_weights(layer.get_weights())
    for twin in (again, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        np.testing.assert_array_equal(twin(x), want)
        np.testing.assert_array_equal(twin(x, training=True), copy.deepcopy(layer)(x, training=True))


def test_the_arguments_are_keras_in_keras_order():
    x = [numbers(3, 4, 4), numbers(3, 5, 4), numbers(3, 5, 4)]
    attention = layers.Attention(True, "concat", 0.1, 3)
    assert (attention.use_scale, attention.score_mode, attention.dropout, attention.seed) == (True, "concat", 0.1, 3)
    attention = layers.Attention(dropout=0.5, seed=1)
    outputs, scores = attention(x, [QUERY_MASK, VALUE_MASK], True, True, True)
    assert scores.shape == (3, 4, 5)
    assert ((scores == 0) | (scores > 0)).all()
    assert (scores[0, 0, 1:] == 0).all()
    layer = layers.MultiHeadAttention(2, 3)
    whole = np.ones((3, 4, 5), bool)
    outputs, scores = layer(*x, QUERY_MASK, VALUE_MASK, VALUE_MASK, whole, True, False, True)
    same = layer(query=x[0], value=x[1], key=x[2], value_mask=VALUE_MASK, use_causal_mask=True, query_mask=QUERY_MASK)
    np.testing.assert_array_equal(outputs, same)
    assert scores.shape == (3, 2, 4, 5)


ONE, TWO = np.ones((2, 3, 4)), np.ones((2, 5, 4))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: layers.Attention(score_mode="general"), ValueError, "Attention: score_mode"),
        (lambda: layers.Attention(dropout=1.5), ValueError, "Attention: dropout"),
        (lambda: layers.Attention(use_scale=1), TypeError, "Attention: use_scale"),
        (lambda: layers.AdditiveAttention(use_scale="yes"), TypeError, "AdditiveAttention: use_scale"),
        (lambda: layers.Attention()(ONE), ValueError, "attention.*: inputs: expected a list .query, value. or"),
        (lambda: layers.Attention()([ONE]), ValueError, "attention.*: inputs: expected a list .*, got 1 of them"),
        (lambda: layers.Attention()([ONE, TWO[:1]]), ValueError, r"attention\S*: value: expected shape \(batch=2"),
        (lambda: layers.Attention()([ONE, TWO[..., 1:]]), ValueError, r"value: expected shape \(2, 5, 4\)"),
        (lambda: layers.Attention()([ONE, TWO, TWO[:, 1:]]), ValueError, r"key: expected shape \(2, 5, 4\)"),
        (lambda: layers.Attention()([ONE, TWO[:, :0]]), ValueError, "with at least one key"),
        (lambda: layers.Attention()([ONE[0], TWO]), ValueError, r"inputs: expected .* each \(batch, steps, features\)"),
        (lambda: layers.Attention()([ONE, TWO], [None, np.ones((2, 3), bool)]), ValueError, "mask: expected shape"),
        (lambda: layers.Attention()([ONE, TWO], np.ones((2, 3), bool)), ValueError, "mask: expected a list"),
        (lambda: layers.Attention()([ONE, TWO], use_causal_mask=1), TypeError, "use_causal_mask"),
        (lambda: layers.Attention()([ONE, TWO], return_attention_scores=1), TypeError, "return_attention_scores"),
        (
            lambda: layers.Attention()([ONE, TWO], [None, np.ones((2, 5, 4), bool)]),
            ValueError,
            r"value_mask: expected shape \(2, 5\), got \(2, 5, 4\)",
        ),
        (lambda: layers.MultiHeadAttention(0, 3), ValueError, "MultiHeadAttention: num_heads"),
        (lambda: layers.MultiHeadAttention(2, 2.5), TypeError, "MultiHeadAttention: key_dim"),
        (lambda: layers.MultiHeadAttention(2, 3, use_gate=True), NotImplementedError, "use_gate"),
        (
            lambda: layers.MultiHeadAttention(2, 3, activity_regularizer="l2"),
            NotImplementedError,
            "activity_regularizer",
        ),
        (lambda: layers.MultiHeadAttention(2, 3, attention_axes=(2, 3)), NotImplementedError, "attention_axes"),
        (lambda: layers.MultiHeadAttention(2, 3, sliding_window=0), ValueError, "sliding_window"),
        (lambda: layers.MultiHeadAttention(2, 3)(ONE), TypeError, "value: expected an array, got None"),
        (lambda: layers.MultiHeadAttention(2, 3)(ONE, TWO[:1]), ValueError, "value: expected shape"),
        (
            lambda: layers.MultiHeadAttention(2, 3)(ONE, TWO, query_mask=np.ones((2, 5), bool)),
            ValueError,
            r"query_mask: expected shape \(2, 3\), got \(2, 5\)",
        ),
        (
            lambda: layers.MultiHeadAttention(2, 3)(ONE, TWO, attention_mask=np.ones((2, 3, 5))),
            TypeError,
            "attention_mask: expected bool, got float64",
        ),
        (
            lambda: layers.MultiHeadAttention(2, 3)(ONE, TWO, attention_mask=np.ones((2, 5, 3), bool)),
            ValueError,
            r"attention_mask: expected shape \(2, 3, 5\) or \(2, 2, 3, 5\), got \(2, 5, 3\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_a_layer_is_called_with_the_features_it_was_built_for():
    layer = layers.MultiHeadAttention(2, 3)
    layer(ONE, TWO)
    with pytest.raises(ValueError, match=r"value: expected 4 features, got shape \(2, 5, 3\)"):
        layer(ONE, TWO[..., 1:])


def test_backward_needs_a_pass_in_training():
    for name in ("Attention", "MultiHeadAttention"):
        layer, x = made(name)
        with pytest.raises(RuntimeError, match="backward needs a forward pass with training=True"):
            layer.backward(layer(x))


# --- graphs ---

WIDTH = 3


@st.composite
def graphs(draw):
    """Attention of all kinds on one another's outputs and scores; values are (batch, steps, width)."""
    kind = {"dtype": "float64"}
    values = [Input((4, WIDTH), **kind), Input((4, WIDTH), **kind)]
    inputs, value, scores = list(values), st.sampled_from(values), []
    shared = [make(**kind) for make in (layers.Attention, layers.AdditiveAttention)]
    shared += [layers.Attention(True, "concat", **kind), layers.MultiHeadAttention(2, 2, **kind)]
    for _ in range(draw(st.integers(1, 5))):
        x = [draw(value) for _ in range(draw(st.integers(2, 3)))]
        layer = draw(st.sampled_from(shared))
        options = {"use_causal_mask": draw(st.booleans()), "return_attention_scores": draw(st.booleans())}
        if isinstance(layer, layers.MultiHeadAttention) and draw(st.booleans()):
            y = layer(*x, **options)
        else:
            y = layer(x, **options)
        if options["return_attention_scores"]:
            y, p = y
            scores.append(layers.Dense(WIDTH, **kind)(p))
            if p.ndim == 3:
                values.append(scores.pop())
        values.append(y if draw(st.booleans()) else layers.LSTM(WIDTH, return_sequences=True, **kind)(y))
    outputs = draw(st.lists(st.sampled_from([*values[2:], *scores]), min_size=1, max_size=3, unique_by=id))
    return Model(inputs, outputs)


def several(outputs):
    return outputs if isinstance(outputs, list) else [outputs]


@given(graphs(), st.integers(0, 2**32 - 1))
def test_gradients_of_any_graph_are_differences(model, seed):
    rng = np.random.default_rng(seed)
    for v in model.variables:
        v.assign(0.7 * rng.normal(size=v.shape))
    x = [rng.normal(size=(2, 4, WIDTH)) for _ in range(2)]
    d = [rng.normal(size=y.shape) for y in several(model(x, training=True))]
    model.parameters.vectors.gradients.fill(0)
    d_inputs = model.backward(d if len(d) > 1 else d[0])

    def loss():
        return sum((y * g).sum() for y, g in zip(several(model(x)), d, strict=True))

    def difference(array, put, step=1e-5):
        before, to = array.copy(), rng.normal(size=array.shape)
        found = []
        for sign in (1, -1):
            put(before + sign * step * to)
            found.append(loss())
        put(before)
        return to, (found[0] - found[1]) / (2 * step)

    for array, gradient in zip(x, d_inputs, strict=True):
        to, want = difference(array, lambda values, array=array: np.copyto(array, values))
        assert (0 if gradient is None else (gradient * to).sum()) == pytest.approx(want, rel=1e-5, abs=1e-6)
    for v in model.variables:
        to, want = difference(v.numpy(), v.assign)
        assert (v.gradient * to).sum() == pytest.approx(want, rel=1e-5, abs=1e-6), v.path


def translator():
    """An encoder, and a decoder that looks at what the encoder has returned; scores beside the outputs."""
    source, target = Input((None,), dtype="int32", name="source"), Input((None,), dtype="int32", name="target")
    encoded = layers.GRU(6, return_sequences=True)(layers.Embedding(9, 4, mask_zero=True)(source))
    decoded = layers.GRU(6, return_sequences=True)(layers.Embedding(9, 4, mask_zero=True)(target))
    context, scores = layers.Attention(name="look")([decoded, encoded], return_attention_scores=True)
    heads = layers.MultiHeadAttention(2, 3, name="heads")(decoded, encoded, use_causal_mask=True)
    joined = layers.Concatenate()([decoded, context, heads])
    return Model([source, target], layers.Dense(9, "softmax", name="words")(joined)), scores


def words(rows=12, steps=5, seed=0):
    rng = np.random.default_rng(seed)
    tokens = rng.integers(1, 9, (rows, steps))
    tokens[np.arange(steps) >= rng.integers(2, steps + 1, rows)[:, None]] = 0
    return tokens


def test_a_graph_is_trained_saved_loaded_and_copied(tmp_path):
    lstmcore.utils.set_random_seed(1)
    model, scores = translator()
    model.compile(lstmcore.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    x = [words(), words(seed=1)]
    losses = model.fit(x, x[1], epochs=15, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]
    want = model.predict(x, verbose=0)
    model.save(tmp_path / "model.safetensors")
    twins = [load_model(tmp_path / "model.safetensors"), clone_model(model), model_from_json(model.to_json())]
    for twin in twins[1:]:
        twin.set_weights(model.get_weights())
    for twin in (*twins, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(twin.predict(x, verbose=0), want)
        assert twin.get_layer("look").output[1].shape == (None, None, None)
    looked = Model(model.input, scores).predict(x, verbose=0)
    assert looked.shape == (12, 5, 5)
    assert (looked[np.broadcast_to(x[0][:, None] == 0, looked.shape)] == 0).all()
    assert model.compute_output_shape([(2, 7), (2, 3)]) == (2, 3, 9)
    assert Model(model.input, scores).compute_output_shape([(2, 7), (2, 3)]) == (2, 3, 7)


def test_masks_flow_through_graphs_as_through_calls():
    model, _ = translator()
    x = [words(), words(seed=1)]
    outputs, mask = model.run(x)
    np.testing.assert_array_equal(mask, x[1] != 0)

    def through(k):
        embedding = next(layer for layer in model.layers[2:] if layer.input.key == model.inputs[k].key)
        gru = next(
            layer for layer in model.layers if isinstance(layer, layers.GRU) and layer.input.key == embedding.output.key
        )
        return gru(embedding(x[k]))

    encoded, decoded = through(0), through(1)
    context = model.get_layer("look")([decoded, encoded])
    heads = model.get_layer("heads")(decoded, encoded, use_causal_mask=True)
    joined = layers.Concatenate()([decoded, context, heads])
    np.testing.assert_array_equal(model.get_layer("words")(joined), outputs)
    masked = Input((4, 4), dtype="float64")
    layer, (query, _) = made("AdditiveAttention")
    values = layers.Masking(dtype="float64")(masked)
    padded = np.where(QUERY_MASK[..., None], query, 0)
    got = Model(masked, layer([values, values])).predict(padded, verbose=0)
    np.testing.assert_array_equal(got, layer([padded, padded], [QUERY_MASK, QUERY_MASK]))


def test_scores_have_no_mask_though_their_shape_begins_like_it():
    tokens = Input((2,), dtype="int32")
    embedded = layers.Embedding(9, 4, mask_zero=True)(tokens)
    outputs, scores = layers.MultiHeadAttention(2, 3)(embedded, embedded, return_attention_scores=True)
    _, masks = Model(tokens, [outputs, scores]).run(np.array([[1, 0], [2, 3]]))
    assert masks[0].tolist() == [[True, False], [True, True]]
    assert masks[1] is None


def test_arguments_by_position_and_by_name_may_be_symbols():
    layer, (query, value, key) = made("MultiHeadAttention", 3)
    q, v, k = Input((4, 4), dtype="float64"), Input((5, 4), dtype="float64"), Input((5, 4), dtype="float64")
    sees, counts = Input((4, 5), dtype="bool"), Input((5,), dtype=bool)
    attention_mask = np.random.default_rng(0).random((3, 4, 5)) < 0.6
    np.testing.assert_array_equal(
        Model([q, v, k], layer(q, v, key=k)).predict([query, value, key], verbose=0), layer([query, value, key])
    )
    model = Model([q, v, sees, counts], layer(q, v, attention_mask=sees, value_mask=counts))
    want = layer(query, value, attention_mask=attention_mask, value_mask=VALUE_MASK)
    data = [query, value, attention_mask, VALUE_MASK]
    for twin in (model, pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(twin.predict(data, verbose=0), want)
    model.compile("sgd", "mse")
    model.fit(data, np.zeros((3, 4, 4)), verbose=0)
    assert (layer(query, value, attention_mask=attention_mask, value_mask=VALUE_MASK) != want).any()
    given = Input((5,), dtype=bool)
    attention, x = layers.Attention(dtype="float64"), [query, value]
    model = Model([q, v, given], attention([q, v], mask=[None, given]))
    np.testing.assert_array_equal(model.predict([*x, VALUE_MASK], verbose=0), attention(x, [None, VALUE_MASK]))
    with pytest.raises(TypeError, match="attention_mask: expected symbols for a graph, got an array"):
        layer(q, v, attention_mask=attention_mask)


def test_a_model_whose_only_output_is_scores_trains():
    q, v = Input((4, 4), dtype="float64"), Input((5, 4), dtype="float64")
    for layer in (layers.MultiHeadAttention(2, 3), layers.Attention(use_scale=True), layers.AdditiveAttention()):
        scores = layer([q, v], return_attention_scores=True)[1]
        model = Model([q, v], scores)
        before = model.get_weights()
        model.compile("sgd", "mse")
        x = [numbers(6, 4, 4), numbers(6, 5, 4)]
        model.fit(x, numbers(6, *scores.shape[1:]), verbose=0)
        moved = [(a != b).any() for a, b in zip(before, model.get_weights(), strict=True)]
        assert moved[0]
        if isinstance(layer, layers.MultiHeadAttention):
            assert not any(moved[4:])  # values and outputs, which the scores do not depend on


class Reader(Model):
    """A model of one's own with attention in it."""

    def __init__(self):
        super().__init__()
        self.embedding = layers.Embedding(9, 4, mask_zero=True)
        self.attention = layers.MultiHeadAttention(2, 3)
        self.last = layers.Dense(1)

    def forward(self, inputs, training=False):
        x = self.embedding(inputs, training=training)
        return self.last(self.attention(x, x, training=training), training=training)

    def backward(self, d_outputs, need_d_inputs=True):
        self.embedding.backward(sum(self.attention.backward(self.last.backward(d_outputs))), need_d_inputs=False)


def test_a_model_of_ones_own_and_a_model_within(recwarn):
    tokens = words()
    model = Reader()
    model.compile("adam", "mse")
    y = tokens[..., None] / 9
    losses = model.fit(tokens, y, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert not recwarn.list
    inner = Input((None, 4))
    block = Model(inner, layers.Add()([inner, layers.MultiHeadAttention(2, 3)(inner, inner)]))
    chain = Sequential([layers.Embedding(9, 4, mask_zero=True), block, layers.LSTM(3)])
    chain.compile("adam", "mse")
    chain.fit(tokens, np.zeros((12, 3)), verbose=0)
    longer = np.pad(tokens, ((0, 0), (0, 3)))
    np.testing.assert_allclose(chain.predict(longer, verbose=0), chain.predict(tokens, verbose=0), rtol=1e-5, atol=1e-6)


# --- bfloat16 ---


@pytest.mark.parametrize("shape", [(2, 19, 8), (1, 2, 3, 70)])
def test_products_of_bfloat16_are_those_of_the_reference(shape):
    """Far nearer to them than to those of float32; float32 and float64 are rounded to two sides now and then."""
    q, v, k = (numbers(*shape, seed=n, dtype="float32") for n in range(3))
    factors = (numbers(*shape[:-1], shape[-2], seed=3) > -1).astype("f4")
    d, found = numbers(*shape, seed=4, dtype="float32"), []
    for function, dtype, precision in (
        (functional, "f4", "bfloat16"),
        (reference, "f8", "bfloat16"),
        (functional, "f4", "float32"),
    ):
        given = [a.astype(dtype) for a in (q, v, k)]
        options = {"causal": True, "scale": 0.3, "dropout_mask": factors.astype(dtype), "precision": precision}
        outputs, scores, cache = function.attention(*given, training=True, **options)
        found.append([outputs, scores, *function.attention_backward(cache, d.astype(dtype))])
    for got, want, exact in zip(*found, strict=True):
        assert np.linalg.norm(got - want) < 0.2 * np.linalg.norm(got - exact)


def test_bad_precisions_of_attention():
    x = np.ones((1, 2, 3))
    with pytest.raises(ValueError, match=r"^precision: expected .*, got 'int8'"):
        functional.attention(x, x, precision="int8")
    with pytest.raises(ValueError, match=r"^precision: expected 'float32' with arrays of float64, got 'bfloat16'"):
        functional.attention(x, x, precision="bfloat16")
