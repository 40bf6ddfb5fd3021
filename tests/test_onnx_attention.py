"""Attention in ONNX files: what our layers write runs elsewhere and comes back, and so does what PyTorch writes."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from test_onnx_files import assert_equal_outputs, exported, reference, runtime, shaken  # noqa: E402

from lstmcore import Input, Model, Sequential, layers, models  # noqa: E402

pytestmark = [pytest.mark.peer, pytest.mark.once, pytest.mark.filterwarnings("ignore")]

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 5, 4)).astype("float32")
WORDS = np.array([[1, 2, 3, 4, 5], [6, 7, 0, 0, 0], [0, 0, 3, 4, 0]])
SEEN = RNG.random((3, 5, 5)) > 0.4


def heads(**options):
    return layers.MultiHeadAttention(2, 3, **options)


ATTENTION = {
    "dot": lambda x, y: layers.Attention(use_scale=True)([y, x]),
    "three": lambda x, y: layers.Attention()([y, x, y], return_attention_scores=True),
    "concat": lambda x, y: layers.Attention(score_mode="concat", use_scale=True)([y, y]),
    "additive": lambda x, y: layers.AdditiveAttention()([y, x]),
    "no scale": lambda x, y: layers.AdditiveAttention(use_scale=False)([y, x]),
    "heads": lambda x, y: heads()(y, x),
    "widths": lambda x, y: heads(value_dim=5, output_shape=(2, 3), use_bias=False)(
        y, x, y, return_attention_scores=True
    ),
    "cosines": lambda x, y: layers.Dot((2, 2), normalize=True)([y, x]),
    "with a vector": lambda x, y: layers.Dot((2, 1))([y, layers.GlobalMaxPooling1D()(x)]),
    "of vectors": lambda x, y: layers.Dot(1)([layers.GlobalMaxPooling1D()(x), layers.GlobalMaxPooling1D()(y)]),
}
# What other steps a step sees: here the file comes back only where there is a number of steps.
NEAR = {
    "causal": lambda x, y: layers.Attention()([y, x], use_causal_mask=True),
    "window": lambda x, y: heads(sliding_window=2)(y, x, use_causal_mask=True),
}


@pytest.mark.parametrize("name", ATTENTION | NEAR)
@pytest.mark.parametrize("steps", [5, None])
def test_attention_runs_elsewhere_and_comes_back(name, steps, tmp_path):
    x = Input((steps, 4))
    model = shaken(Model(x, (ATTENTION | NEAR)[name](x, layers.LSTM(4, return_sequences=True)(x))))
    path, want = exported(model, tmp_path), model.predict(X, verbose=0)
    assert_equal_outputs(runtime(path, X), want)
    assert_equal_outputs(reference(path, X), want)
    if name in NEAR and steps is None:
        with pytest.raises(NotImplementedError, match="numbers up to a size that is not known"):
            models.load_model(path)
        return
    got = models.load_model(path).predict(X, verbose=0)
    assert_equal_outputs(got if isinstance(got, list) else [got], want)


@pytest.mark.parametrize("kind", [layers.Attention, layers.AdditiveAttention, heads])
def test_masks_into_attention(kind, tmp_path):
    words = Input((None,))
    y = layers.GRU(4, return_sequences=True)(layers.Embedding(9, 4, mask_zero=True)(words))
    attended = kind()(y, y) if kind is heads else kind()([y, y])
    model = shaken(Model(words, [layers.LSTM(3)(attended), layers.GlobalAveragePooling1D()(attended)]))
    path, want = exported(model, tmp_path), model.predict(WORDS, verbose=0)
    assert_equal_outputs(runtime(path, WORDS), want)
    assert_equal_outputs(models.load_model(path).predict(WORDS, verbose=0), want)


def test_which_query_sees_which_key_as_an_input(tmp_path):
    x, seen = Input((5, 4)), Input((5, 5), dtype="bool")
    model = shaken(Model([x, seen], heads()(x, x, attention_mask=seen)))
    path, want = exported(model, tmp_path), model.predict([X, SEEN], verbose=0)
    assert_equal_outputs(runtime(path, X, SEEN), want)
    assert_equal_outputs([models.load_model(path).predict([X, SEEN], verbose=0)], want)


# --- masks that end, as those of Keras's layers do ---

ENDING = {
    "convolution": lambda: layers.Conv1D(4, 3, padding="same"),
    "pooling": lambda: layers.MaxPooling1D(2),
    "dense": lambda: layers.Dense(4),
    "recurrent": lambda: layers.LSTM(4, return_sequences=True),
    "each step": lambda: layers.TimeDistributed(layers.Dense(3)),
    "residual": lambda: layers.Residual([layers.Dense(4)]),
    "model": lambda: Sequential([Input((None, 4)), layers.Dense(4)]),
}


@pytest.mark.parametrize("name", ENDING)
def test_a_mask_that_ends_at_a_layer_ends_in_the_file(name, tmp_path):
    model = shaken(Sequential([Input((8,)), layers.Embedding(9, 4, mask_zero=True), ENDING[name](), layers.LSTM(4)]))
    words = np.pad(WORDS, ((0, 0), (0, 3)))
    going_on = model.predict(words, verbose=0)
    model.layers[1].ends_mask = True
    want = model.predict(words, verbose=0)
    x = model.layers[0].embeddings.numpy()[words]
    for layer in model.layers[1:]:
        x = layer(x)
    np.testing.assert_allclose(want, x, rtol=1e-5, atol=1e-6)
    assert np.abs(want - going_on).max() > 1e-3
    assert_equal_outputs(runtime(exported(model, tmp_path), words), want)


@pytest.mark.parametrize("both", [False, True])
def test_a_mask_that_a_layer_passes_on_unused(both, tmp_path):
    cell = layers.LSTM(4, return_sequences=True, go_backwards=not both)
    layer = layers.Bidirectional(cell) if both else cell
    model = shaken(Sequential([Input((5,)), layers.Embedding(9, 4, mask_zero=True), layer, layers.LSTM(3)]))
    used = model.predict(WORDS, verbose=0)
    layer.uses_mask = False
    want = model.predict(WORDS, verbose=0)
    assert np.abs(want - used).max() > 1e-3
    assert_equal_outputs(runtime(exported(model, tmp_path), WORDS), want)


# --- what PyTorch writes ---


def of_torch(make, x, path, dynamic, batch=0):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    module = make(torch).eval()
    axes = {"dynamic_axes": {"x": {0: "a", 1: "b"}}} if dynamic else {}
    torch.backends.mha.set_fastpath_enabled(False)  # one operator, which this exporter does not write
    try:
        torch.onnx.export(module, (torch.from_numpy(x),), path, dynamo=False, input_names=["x"], **axes)
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    want = module(torch.from_numpy(x)).detach().numpy()
    return want.swapaxes(0, 1) if batch else want


def with_heads(batch_first, mask):
    def make(torch):
        class Heads(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.rnn = torch.nn.LSTM(4, 6, batch_first=batch_first)
                self.attention = torch.nn.MultiheadAttention(6, 2, batch_first=batch_first)
                self.linear = torch.nn.Linear(6, 2)

            def forward(self, x):
                y = self.rnn(x)[0]
                seen = torch.triu(torch.ones(5, 5), 1).bool() if mask else None
                return self.linear(y + self.attention(y, y, y, need_weights=False, attn_mask=seen)[0])

        return Heads()

    return make


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize(("dynamic", "mask"), [(False, False), (True, False), (False, True)])
def test_multi_head_attention_of_torch(batch_first, dynamic, mask, tmp_path):
    path, x = str(tmp_path / "m.onnx"), X if batch_first else np.ascontiguousarray(X.swapaxes(0, 1))
    want = of_torch(with_heads(batch_first, mask), x, path, dynamic, batch=not batch_first)
    assert_equal_outputs([models.load_model(path).predict(X, verbose=0)], want)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dynamic", [False, True])
def test_scaled_dot_product_attention_of_torch(causal, dynamic, tmp_path):
    def make(torch):
        class Scaled(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.rnn, self.qkv = torch.nn.GRU(4, 6, batch_first=True), torch.nn.Linear(6, 18)

            def forward(self, x):
                y = self.qkv(self.rnn(x)[0])
                parts = [p.view(x.shape[0], x.shape[1], 2, 3).transpose(1, 2) for p in y.split(6, -1)]
                o = torch.nn.functional.scaled_dot_product_attention(*parts, is_causal=causal)
                return o.transpose(1, 2).flatten(2)

        return Scaled()

    path = str(tmp_path / "m.onnx")
    want = of_torch(make, X, path, dynamic)
    if causal:
        with pytest.raises(NotImplementedError, match="Trilu"):
            models.load_model(path)
        return
    assert_equal_outputs([models.load_model(path).predict(X, verbose=0)], want)


# --- steps by their numbers ---


def test_counts_and_sizes_run_elsewhere_and_come_back(tmp_path):
    words = Input((None,), dtype="int64")
    x = layers.LSTM(3, return_sequences=True)(layers.Embedding(9, 4, mask_zero=True)(words))
    last = layers.TakeStep()([x, layers.Count()(words) - 1])
    of_true = layers.Cast(dtype="float32")(layers.Count()(layers.Compare("greater", 3)(words)))
    whole = layers.Add()([layers.Reshape((1, 1))(layers.Size()(x)), x])
    model = shaken(Model(words, [last, of_true, whole]))
    path, want = exported(model, tmp_path), model.predict(WORDS, verbose=0)
    assert_equal_outputs(runtime(path, WORDS), want)
    assert_equal_outputs(models.load_model(path).predict(WORDS, verbose=0), want)


def test_what_is_known_of_the_data(tmp_path):
    chain = [layers.Rescaling(0.5, [1.0, 2, 3, 4]), layers.Normalization(), layers.LSTM(3, return_sequences=True)]
    chain += [layers.UnitNormalization(), layers.Normalization(mean=[1.0, 2, 3], variance=[4.0, 1, 9], invert=True)]
    model = shaken(Sequential([Input((None, 4)), *chain]))
    path, want = exported(model, tmp_path), model.predict(X, verbose=0)
    assert_equal_outputs(runtime(path, X), want)
    assert_equal_outputs(reference(path, X), want)
    assert_equal_outputs([models.load_model(path).predict(X, verbose=0)], want)
    exported(model, tmp_path, states=True)
