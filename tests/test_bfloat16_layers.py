"""Layers of mixed_bfloat16 compute what the reference does with rounded operands, whatever runs them."""

import numpy as np
import pytest
from layer_tools import numbers, with_weights

from lstmcore import Input, Sequential, layers, reference, utils
from lstmcore.dtype_policies import DTypePolicy
from lstmcore.layers import GRU, LSTM, RNN, Bidirectional, Dense, GRUCell, LSTMCell, MinGRU, SimpleRNN

MIXED = "mixed_bfloat16"

# --- recurrent layers ---

LAYERS = {
    "lstm": (LSTM, "lstm"),
    "gru": (GRU, "gru"),
    "rnn": (SimpleRNN, "rnn"),
}
every_layer = pytest.mark.parametrize("kind", LAYERS)


def made(kind, dtype, seed=0, **options):
    cls, _ = LAYERS[kind]
    return with_weights(cls(6, return_sequences=True, dtype=dtype, **options), 5, seed, 0.4)


def x_of(batch=3, steps=4, features=5):
    return numbers(batch, steps, features, dtype="float32")


def expected(kind, layer, x):
    """Of the reference, whose h after a step is near enough to be rounded as the core's, with these seeds."""
    function = getattr(reference, LAYERS[kind][1])
    weights = [w.astype("f8") for w in layer.get_weights()]
    return function(x.astype("f8"), weights, None, layer.options, precision="bfloat16")[0]


@every_layer
def test_recurrent_layers_read_bfloat16(kind):
    x, layer = x_of(), made(kind, MIXED)
    got = layer(x)
    assert (got.dtype, layer.dtype) == (np.float32, np.float32)
    np.testing.assert_allclose(got, expected(kind, layer, x), atol=2e-6)
    exact = made(kind, "float32")(x)
    assert 1e-4 < np.abs(got - exact).max() < 0.05
    assert "fused kernel, bfloat16" in layer.kernel_info()


@every_layer
def test_whatever_runs_the_layer_computes_the_same(kind, set_threads):
    x, layer = x_of(3, 6), made(kind, MIXED)
    want = layer(x)
    for threads in (1, 2, 3):
        set_threads(threads)
        np.testing.assert_array_equal(layer(x), want)
    np.testing.assert_array_equal(layer(x[1:2]), want[1:2])
    model = Sequential([Input((6, 5)), layer])
    np.testing.assert_array_equal(model.predict(x, verbose=0), want)
    stream = model.stream(batch_size=3)
    np.testing.assert_array_equal(np.stack([stream(x[:, t]) for t in range(6)], 1), want)
    stateful = made(kind, MIXED, stateful=True)
    np.testing.assert_array_equal(np.concatenate([stateful(x[:, :2]), stateful(x[:, 2:])], 1), want)
    both = Bidirectional(LAYERS[kind][0](6, return_sequences=True), dtype=MIXED)
    both.build((None, None, 5))
    both.set_weights(2 * layer.get_weights())
    np.testing.assert_array_equal(both(x)[..., :6], want)
    np.testing.assert_array_equal(both(x[:, ::-1])[:, ::-1, 6:], want)
    cell = {"lstm": LSTMCell, "gru": GRUCell, "rnn": layers.SimpleRNNCell}[kind]
    for cells in (RNN(cell(6, dtype=MIXED), return_sequences=True), RNN([cell(6)], True, dtype=MIXED)):
        cells.build((None, None, 5))
        cells.set_weights(layer.get_weights())
        np.testing.assert_array_equal(cells(x), want)
        assert "fused kernel, bfloat16" in cells.kernel_info()
    alone = cell(6, dtype=MIXED)
    alone.build((None, 5))
    alone.set_weights(layer.get_weights())
    zeros = [np.zeros((3, 6), "f4")] * (2 if kind == "lstm" else 1)
    np.testing.assert_array_equal(alone(x[:, 0], zeros)[0], want[:, 0])


@every_layer
@pytest.mark.parametrize("options", [{}, {"zoneout": 0.2}, {"dropout": 0.3}, {"recurrent_dropout": 0.3}], ids=str)
def test_inference_is_the_same_before_and_after_training_passes(kind, options):
    x, layer = x_of(), made(kind, MIXED, **options)
    want = layer(x)
    layer(x, training=True)
    np.testing.assert_array_equal(layer(x), want)
    layer.set_weights([0.5 * w for w in layer.get_weights()])
    assert np.abs(layer(x) - want).max() > 0.01


@every_layer
@pytest.mark.parametrize("options", [{}, {"dropout": 0.4}, {"recurrent_dropout": 0.4}], ids=str)
def test_training_goes_on(kind, options):
    """Its outputs and gradients are near those of float32, whatever its products read."""
    x, results = x_of(), []
    for dtype in (MIXED, "float32"):
        utils.set_random_seed(0)
        layer = made(kind, dtype, **options)
        y = layer(x, training=True)
        dx = layer.backward(np.ones_like(y))
        results.append([y, dx, *(v.gradient.copy() for v in layer.variables)])
        assert all(v.dtype == np.float32 for v in layer.variables)
    for got, want in zip(*results, strict=True):
        assert np.abs(got - want).max() <= 0.03 * np.abs(want).max()
    said = made(kind, MIXED, **options).kernel_info()
    assert said.count("(in training float32, for its recurrent_dropout)") == ("recurrent_dropout" in options)


@every_layer
def test_training_is_that_of_the_reference(kind):
    """But for numbers that float32 and float64 round to two sides: one of them makes as much as is allowed."""
    x, layer = x_of(4, 5), made(kind, MIXED)
    y, d, dx, gradients = passes(layer, x)
    np.testing.assert_array_equal(y, layer(x))
    name, weights = LAYERS[kind][1], [w.astype("f8") for w in layer.get_weights()]
    _, _, cache = getattr(reference, name)(
        x.astype("f8"), weights, None, layer.options, True, True, precision="bfloat16"
    )
    dx_, gradients_, _ = getattr(reference, f"{name}_backward")(cache, d.astype("f8"))
    for got, want in zip((dx, *gradients), (dx_, *gradients_), strict=True):
        apart = np.linalg.norm(got - want) / np.linalg.norm(want)
        assert apart < 1e-3


@pytest.mark.once
@every_layer
@pytest.mark.parametrize("backwards", [False, True])
def test_dropout_of_inputs_is_before_they_are_rounded(kind, backwards):
    """As if the inputs had been dropped before the layer."""
    x, d = x_of(4, 5), numbers(4, 5, 6, seed=9, dtype="float32")
    layer, masks = made(kind, MIXED, dropout=0.4, go_backwards=backwards), []
    noise = layer.noise
    layer.noise = lambda *arguments: masks.append(noise(*arguments)) or masks[-1]
    y = layer(x, training=True)
    dx = layer.backward(d)
    gradients = [v.gradient.copy() for v in layer.variables]
    ((mask, _, _),) = masks
    assert 0 < (mask == 0).mean() < 1
    plain = made(kind, MIXED, go_backwards=backwards)
    np.testing.assert_array_equal(plain(x * mask[:, None], training=True), y)
    np.testing.assert_array_equal(plain.backward(d) * mask[:, None], dx)
    for got, variable in zip(gradients, plain.variables, strict=True):
        np.testing.assert_array_equal(got, variable.gradient)


@pytest.mark.once
@pytest.mark.parametrize(
    ("make", "other"),
    [
        (lambda **o: GRU(4, return_sequences=True, dropout=0.4, seed=1, **o), {"checkpoint": 2}),
        (lambda **o: Bidirectional(GRU(4, return_sequences=True, dropout=0.4, seed=1), **o), {"dtype": "float32"}),
    ],
)
def test_dropout_of_both_directions_and_of_pieces(make, other):
    x, found = x_of(4, 6), []
    for options in ({"dtype": MIXED}, {"dtype": MIXED} | other):
        utils.set_random_seed(0)
        layer = make(**options)
        y = layer(x, training=True)
        found.append([y, layer.backward(np.ones_like(y)), *(v.gradient for v in layer.variables)])
        assert "in training" not in layer.kernel_info()
    for got, want in zip(*found, strict=True):
        assert np.abs(got - want).max() <= 0.03 * np.abs(want).max()


def test_a_cell_called_by_itself_may_have_dropout():
    cell = GRUCell(6, dropout=0.5, seed=1, dtype=MIXED)
    ((h,),) = [cell(x_of()[:, 0], np.zeros((3, 6), "f4"), training=True)[1]]
    assert np.isfinite(h).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: MinGRU(6, dtype=MIXED),
        lambda: LSTM(6, peepholes=True, dtype=MIXED),
        lambda: LSTM(6, activation="softsign", dtype=MIXED),
        lambda: layers.SLSTM(6, dtype=MIXED),
        lambda: layers.MinLSTM(6, dtype=MIXED),
        lambda: GRU(6, activation="softmax", dtype=MIXED),
    ],
)
def test_what_has_no_such_kernel_is_computed_in_full_and_says_so(make):
    layer = with_weights(make(), 5)
    full = type(layer).from_config(layer.get_config() | {"dtype": "float32"})
    with_weights(full, 5)
    np.testing.assert_array_equal(layer(x_of()), full(x_of()))
    assert "bfloat16)" in layer.kernel_info() or "(no bfloat16" in layer.kernel_info() or "NumPy" in layer.kernel_info()
    assert "kernel, bfloat16" not in layer.kernel_info()


def test_policies_can_be_changed():
    x, layer = x_of(), made("lstm", "float32")
    exact = layer(x)
    layer.dtype_policy = MIXED
    np.testing.assert_array_equal(layer(x), made("lstm", MIXED)(x))
    layer.dtype_policy = DTypePolicy("float32")
    np.testing.assert_array_equal(layer(x), exact)
    with pytest.raises(ValueError, match=r"dtype_policy: expected one of variables of float32, .* got 'float64'"):
        layer.dtype_policy = "float64"
    both = Bidirectional(GRU(4))
    both.dtype_policy = MIXED
    assert both.backward_layer.compute_dtype == "bfloat16"


# --- other layers with kernels ---


def rounded(array):
    return reference.bfloat16(np.asarray(array, "f8"))


def passes(layer, inputs):
    """Outputs, and gradients by them of inputs and weights, of random numbers."""
    y = layer.forward(inputs, training=True)
    d = numbers(*y.shape, seed=9, dtype="float32")
    dx = layer.backward(d)
    return y, d, dx, [v.gradient.copy() for v in layer.variables]


@pytest.mark.parametrize("shape", [(7, 5), (3, 4, 5), (40, 300)])
def test_dense_reads_bfloat16_in_both_passes(shape):
    x, layer = numbers(*shape, dtype="float32"), with_weights(Dense(9, dtype=MIXED), shape[-1])
    y, d, dx, (dw, db) = passes(layer, x)
    w, b = layer.get_weights()
    rows, d_rows = rounded(x).reshape(-1, shape[-1]), rounded(d).reshape(-1, 9)
    np.testing.assert_allclose(y, rounded(x) @ rounded(w) + b, atol=2e-5)
    np.testing.assert_allclose(dx, rounded(d) @ rounded(w).T, atol=2e-5)
    np.testing.assert_allclose(dw, rows.T @ d_rows, atol=2e-5)
    np.testing.assert_allclose(db, d.reshape(-1, 9).sum(0), atol=2e-5)
    assert layer.kernel_info().startswith("Dense: bfloat16, ")


@pytest.mark.parametrize(
    "options", [{}, {"padding": "causal", "dilation_rate": 2}, {"groups": 2}, {"strides": 2}], ids=str
)
def test_convolution_reads_bfloat16_in_both_passes(options):
    x, layer = x_of(3, 9, 4), with_weights(layers.Conv1D(6, 3, dtype=MIXED, **options), 4)
    y, d, dx, (dw, _) = passes(layer, x)
    w, b = layer.get_weights()
    np.testing.assert_allclose(y, reference.conv1d(rounded(x), rounded(w), b, **options), atol=2e-5)
    dx_, dw_, _ = reference.conv1d_backward(rounded(x), rounded(w), rounded(d), **options)
    np.testing.assert_allclose(dx, dx_, atol=2e-5)
    np.testing.assert_allclose(dw, dw_, atol=2e-5)
    assert layer.kernel_info().startswith("Conv1D: bfloat16, ")


def nearer(got, want, exact):
    """Whether numbers are those of the rounding: far nearer to them than to what is not rounded.

    Not the same, for what is computed in float32 and in float64 is rounded to two sides now and then.
    """
    return np.linalg.norm(got - want) < 0.2 * np.linalg.norm(got - exact)


def passes_of_heads(x, weights, d, precision):
    """Outputs and gradients of attention of heads to x itself, in float64."""
    r = rounded if precision == "bfloat16" else np.asarray
    wq, bq, wk, bk, wv, bv, wo, bo = (w.astype("f8") for w in weights)
    q, k, v = (np.einsum("btf,fhk->bhtk", r(x), r(w)) + b[:, None] for w, b in ((wq, bq), (wk, bk), (wv, bv)))
    attended, _, cache = reference.attention(q, v, k, training=True, precision=precision)
    y = np.einsum("bhtk,hkf->btf", r(attended), r(wo)) + bo
    da = np.einsum("btf,hkf->bhtk", r(d), r(wo))
    gradients = [np.einsum("bhtk,btf->hkf", r(attended), r(d)), d.sum((0, 1))]
    dx, before = 0, []
    dq, dv, dk, _ = reference.attention_backward(cache, da)
    for dp, w in ((dq, wq), (dk, wk), (dv, wv)):
        before += [np.einsum("btf,bhtk->fhk", r(x), r(dp)), dp.sum((0, 2))]
        dx = dx + np.einsum("bhtk,fhk->btf", r(dp), r(w))
    return [y, dx, *before, *gradients]


def test_attention_of_heads_reads_bfloat16_in_both_passes():
    x = x_of(2, 17, 5)
    layer = layers.MultiHeadAttention(2, 3, dtype=MIXED)
    layer.build([x.shape, x.shape])
    layer.set_weights([0.5 * numbers(*w.shape, seed=k) for k, w in enumerate(layer.get_weights())])
    y, d, (dq, dv), gradients = passes(layer, [x, x])
    want, exact = (passes_of_heads(x, layer.get_weights(), d, p) for p in ("bfloat16", "float32"))
    for k, (got, *others) in enumerate(zip([y, dq + dv, *gradients], want, exact, strict=True)):
        if k in (5, 9):  # what is added to all scores of a row, and sums, are as they were
            np.testing.assert_allclose(got, others[0], atol=0.02)
        else:
            assert nearer(got, *others)
    assert layer.kernel_info().startswith("MultiHeadAttention: bfloat16, ")


@pytest.mark.parametrize("make", [layers.Attention, layers.AdditiveAttention])
def test_attention_reads_bfloat16_in_both_passes(make):
    query, value, key = numbers(2, 9, 6, dtype="float32"), x_of(2, 17, 7), numbers(2, 17, 6, seed=2, dtype="float32")
    found = {}
    for policy in (MIXED, "float32"):
        layer = make(use_scale=False, dtype=policy)
        layer.build([query.shape, value.shape, key.shape])
        y, d, dx, _ = passes(layer, [query, value, key])
        found[policy] = [y, *dx]
        if policy == MIXED:
            assert layer.kernel_info().startswith(f"{make.__name__}: bfloat16, ")
    if make is layers.Attention:
        q, v, k = (a.astype("f8") for a in (query, value, key))
        y, _, cache = reference.attention(q, v, k, scale=1.0, training=True, precision="bfloat16")
        dq, dv, dk, _ = reference.attention_backward(cache, d.astype("f8"))
        for got, want, exact in zip(found[MIXED], (y, dq, dv, dk), found["float32"], strict=True):
            assert nearer(got, want, exact)
    for got, exact in zip(found[MIXED], found["float32"], strict=True):
        assert 0 < np.abs(got - exact).max() < 0.05 * np.abs(exact).max()


@pytest.mark.parametrize(
    "make", [lambda: Dense(300, dtype=MIXED), lambda: layers.Conv1D(40, 3, padding="causal", dtype=MIXED)]
)
def test_bits_do_not_depend_on_threads_rows_or_streams(make, set_threads):
    x, layer = x_of(5, 8, 40), with_weights(make(), 40)
    want = layer(x)
    for threads in (1, 2, 3):
        set_threads(threads)
        np.testing.assert_array_equal(layer(x), want)
        np.testing.assert_array_equal(layer(x, training=True), want)
    np.testing.assert_array_equal(layer(x[2:3]), want[2:3])
    stream = Sequential([Input((8, 40)), layer]).stream(batch_size=5)
    np.testing.assert_array_equal(np.stack([stream(x[:, t]) for t in range(8)], 1), want)
    layer.set_weights([2 * w for w in layer.get_weights()])
    np.testing.assert_array_equal(layer(x), 2 * want)


def test_models_say_what_their_layers_read():
    model = Sequential([Input((8,)), layers.Embedding(9, 4, dtype=MIXED), GRU(3, dtype=MIXED), Dense(2)])
    inputs, embedding, gru, dense = model.kernel_info().split("; ")
    assert (inputs, dense) == ("InputLayer: float32", "Dense: float32")
    assert embedding == "Embedding: float32 (no bfloat16 in this layer)"
    assert gru.startswith("gru: fused kernel, bfloat16, ")
