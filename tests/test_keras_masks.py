"""Masks in Keras's files: outputs are Keras's also where there is padding, or the model is refused."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_tools import agree, made, some, with_random_weights

from lstmcore import Input, Model, Sequential, layers, models
from lstmcore.interop.keras_files.masks import as_in_keras, differences
from lstmcore.models.keras_masks import OPERATIONS

pytest.importorskip("h5py")
pytestmark = [pytest.mark.once, pytest.mark.filterwarnings("ignore")]  # both say where masks end


@pytest.fixture(scope="module")
def keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras", minversion="3.0")


# Rows of integers, 0 where they are padding: behind, and in the first row everywhere but at one step.
ROWS = np.where(np.arange(6) < [[1], [6], [3], [4], [2]], np.random.default_rng(0).integers(1, 9, (5, 6)), 0)

middle = st.sampled_from(
    [
        ("LSTM", {"units": 3, "return_sequences": True}),
        ("GRU", {"units": 2, "return_sequences": True, "reset_after": False}),
        ("SimpleRNN", {"units": 3, "return_sequences": True, "zero_output_for_mask": True}),
        ("RNN", {"cell": [("GRUCell", {"units": 3}), ("LSTMCell", {"units": 2})], "return_sequences": True}),
        ("Bidirectional", {"layer": ("LSTM", {"units": 2, "return_sequences": True})}),
        ("Bidirectional", {"layer": ("GRU", {"units": 2, "return_sequences": True}), "merge_mode": "ave"}),
        ("Dense", {"units": 3, "activation": "tanh"}),
        ("Activation", {"activation": "softmax"}),
        ("Conv1D", {"filters": 3, "kernel_size": 2, "padding": "causal"}),
        ("Conv1D", {"filters": 3, "kernel_size": 3, "padding": "same"}),
        ("MaxPooling1D", {"pool_size": 2, "padding": "same"}),
        ("AveragePooling1D", {"pool_size": 2, "padding": "same"}),
        ("UpSampling1D", {"size": 2}),
        ("ZeroPadding1D", {"padding": 1}),
        ("Cropping1D", {"cropping": (0, 1)}),
        ("BatchNormalization", {}),
        ("LayerNormalization", {}),
        ("RMSNormalization", {}),
        ("UnitNormalization", {}),
        ("SpatialDropout1D", {"rate": 0.3}),
        ("Masking", {"mask_value": 0.0}),
        ("LeakyReLU", {}),
        ("PReLU", {"shared_axes": [1]}),
        ("Identity", {}),
        ("TimeDistributed", {"layer": ("Dense", {"units": 3})}),
        ("Permute", {"dims": [1, 2]}),
    ]
)
last = st.sampled_from(
    [
        ("LSTM", {"units": 3}),
        ("GRU", {"units": 3, "go_backwards": True}),
        ("Bidirectional", {"layer": ("SimpleRNN", {"units": 2})}),
        ("GlobalAveragePooling1D", {}),
        ("GlobalMaxPooling1D", {}),
    ]
)
chains = st.builds(lambda parts, end: [*parts, end], st.lists(middle, min_size=1, max_size=4), last)
EMBEDDING = ("Embedding", {"input_dim": 9, "output_dim": 3, "mask_zero": True})


def chain(package, sequential, source, described):
    return with_random_weights(
        sequential([source((6,), dtype="int32"), *(made(package, one) for one in [EMBEDDING, *described])])
    )


def save(model, path):
    """Save a model; one with other masks than Keras's is refused until its layers are told to have these."""
    if differences(model):
        with pytest.raises(ValueError, match=r"(ends_mask=True|uses_mask=False) on the layer does so here too"):
            model.save(path)
        for layer in [*model.layers, *(one for inner in model.layers if inner.is_model for one in inner.layers)]:
            layer.ends_mask = as_in_keras(layer).ends_mask or isinstance(layer, OPERATIONS)
            layer.uses_mask = layer.name != "decoder"
    model.save(path)


@settings(max_examples=40, deadline=None)
@given(described=chains)
def test_masks_of_chains_that_come_in_are_those_of_keras(keras, described, tmp_path_factory):
    path = tmp_path_factory.mktemp("in") / "m.keras"
    theirs = chain(keras.layers, keras.Sequential, keras.Input, described)
    theirs.save(path)
    ours = models.load_model(path)
    agree(ours, theirs, ROWS)
    # Where masks end is kept in our own files, and by Keras's form of it.
    for name in ("n.safetensors", "n.keras"):
        ours.save(path.with_name(name))
        agree(models.load_model(path.with_name(name)), ours, ROWS, {"rtol": 0, "atol": 0})


@settings(max_examples=40, deadline=None)
@given(described=chains)
def test_masks_of_chains_that_go_out_are_ours_or_they_are_refused(keras, described, tmp_path_factory):
    path = tmp_path_factory.mktemp("out") / "m.keras"
    ours = chain(layers, Sequential, Input, described)
    save(ours, path)
    agree(ours, keras.models.load_model(path), ROWS)


def operators(package, source, model):
    x = source((6,), dtype="int32", name="x")
    y = made(package, EMBEDDING)(x)
    z = package.LSTM(3, return_sequences=True, name="lstm")(y * 2.0 - y)
    return model(x, package.GRU(2, name="gru")(package.Concatenate(name="both")([z, y])[:, 1:]))


def masked_pair(package, source):
    x, other = source((6,), dtype="int32", name="x"), source((6, 3), name="other")
    return x, other, made(package, EMBEDDING)(x), package.Masking(name="masking")(other)


def merged(package, source, model):
    x, other, y, z = masked_pair(package, source)
    parts = [
        package.Multiply(name="product")([y, z]),
        package.Maximum(name="maximum")([y, z]),
        package.Add(name="sum")([y, z]),
        package.Add(name="half")([y, other]),
        package.Multiply(name="factor")([y, other]),
    ]
    ends = [package.LSTM(2, name=f"lstm_{k}")(part) for k, part in enumerate(parts)]
    whole = package.Concatenate(name="all")([y, other])
    along = package.Concatenate(axis=1, name="along")([y, z])
    return model([x, other], [*ends, package.GRU(2, name="a")(whole), package.GRU(2, name="b")(along)])


def attention(package, source, model):
    x, other, y, z = masked_pair(package, source)
    parts = [
        package.Attention(name="dot")([y, z]),
        package.AdditiveAttention(name="additive")([z, y]),
    ]
    return model([x, other], [package.LSTM(2, name=f"lstm_{k}")(part) for k, part in enumerate(parts)])


def heads(package, source, model):
    x, other = source((6,), dtype="int32", name="x"), source((6, 3), name="other")
    y = package.MultiHeadAttention(2, 2, name="heads")(made(package, EMBEDDING)(x), package.Masking(name="m")(other))
    z = package.MultiHeadAttention(1, 2, name="self")(y, y, use_causal_mask=True)
    return model([x, other], package.LSTM(2, name="lstm")(z))


def block(package, source, model):
    x = source((6,), dtype="int32", name="x")
    y = made(package, EMBEDDING)(x)
    y = package.Add(name="sum")([y, package.MultiHeadAttention(2, 2, name="heads")(y, y)])
    y = package.LayerNormalization(name="normalised")(y)
    return model(x, [package.GlobalAveragePooling1D(name="mean")(y), package.LSTM(2, name="lstm")(y)])


def given(package, source, model):
    x, mask = source((6,), dtype="int32", name="x"), source((6,), dtype="bool", name="mask")
    y = package.LSTM(3, return_sequences=True, name="one")(made(package, EMBEDDING)(x), mask=mask)
    return model([x, mask], package.GRU(2, name="two")(y))


def copied_mask(package, source, model):
    x = source((6,), dtype="int32", name="x")
    embedding = made(package, EMBEDDING)
    embedded = embedding(x)
    encoded = package.LSTM(3, return_sequences=True, name="one")(package.Conv1D(3, 1, name="conv")(embedded))
    return model(x, package.GRU(2, name="two")(encoded, mask=embedding.compute_mask(x)))


def states(package, source, model):
    x, other = source((6,), dtype="int32", name="x"), source((6, 3), name="other")
    embedded = made(package, EMBEDDING)(x)
    encoded, *state = package.LSTM(3, return_sequences=True, return_state=True, name="encoder")(embedded)
    both, *more = package.Bidirectional(package.GRU(3, return_sequences=True, return_state=True), name="both")(encoded)
    decoded = package.LSTM(3, name="decoder")(package.Masking(name="masking")(other), initial_state=state)
    return model([x, other], [decoded, package.GRU(2, name="last")(both), *more])


def within(package, source, model):
    x = source((6,), dtype="int32", name="x")
    inner = source((6, 3), name="inner_input")
    block = model(inner, package.Dense(3, name="inner_dense")(inner), name="block")
    ends = model(inner, package.Conv1D(3, 2, padding="causal", name="inner_conv")(inner), name="ends")
    y = made(package, EMBEDDING)(x)
    return model(x, [package.LSTM(2, name="a")(block(y)), package.LSTM(2, name="b")(ends(y))], name="outer")


BUILDS = (operators, merged, attention, heads, block, given, copied_mask, states, within)
GRAPHS = {build.__name__: build for build in BUILDS}


def inputs_of(model):
    other = some((5, 6, 3))
    other[0, 4:] = other[2, 1:] = 0
    if model.inputs[-1].name.startswith("mask"):
        return [ROWS, np.arange(6) < [[3], [2], [6], [1], [5]]]
    return [ROWS, other] if len(model.inputs) > 1 else ROWS


@pytest.mark.parametrize("name", GRAPHS)
def test_masks_in_graphs_that_come_in_are_those_of_keras(keras, name, tmp_path):
    theirs = with_random_weights(GRAPHS[name](keras.layers, keras.Input, keras.Model))
    theirs.save(tmp_path / "m.keras")
    ours = models.load_model(tmp_path / "m.keras")
    agree(ours, theirs, inputs_of(theirs))
    ours.save(tmp_path / "n.keras")
    agree(keras.models.load_model(tmp_path / "n.keras"), theirs, inputs_of(theirs))
    ours.save(tmp_path / "n.safetensors")
    agree(models.load_model(tmp_path / "n.safetensors"), ours, inputs_of(theirs), {"rtol": 0, "atol": 0})


@pytest.mark.parametrize("name", GRAPHS)
def test_masks_in_graphs_that_go_out_are_ours_or_they_are_refused(keras, name, tmp_path):
    ours = with_random_weights(GRAPHS[name](layers, Input, Model))
    save(ours, tmp_path / "m.keras")
    agree(ours, keras.models.load_model(tmp_path / "m.keras"), inputs_of(ours))


def test_what_keras_does_with_masks_that_is_not_offered_is_refused(keras, tmp_path):
    x = keras.Input((6,), dtype="int32", name="x")
    embedded = keras.layers.Embedding(9, 3, mask_zero=True)(x)
    reversed_ = keras.layers.LSTM(3, return_sequences=True, go_backwards=True, name="back")(embedded)
    zeros = keras.layers.LSTM(3, zero_output_for_mask=True, name="zeros")(embedded)
    first = keras.layers.MultiHeadAttention(1, 2, name="first")(embedded, embedded)
    second = keras.layers.MultiHeadAttention(1, 2, name="second")(first, embedded)
    texts = keras.Input((2, 6), dtype="int32", name="texts")
    sentences = keras.layers.Embedding(9, 3, mask_zero=True)(texts)
    summed = keras.layers.TimeDistributed(keras.layers.LSTM(2), name="each")(sentences)
    for inputs, outputs, said in (
        (x, reversed_, r"back \(go_backwards: Keras leaves the mask as it is\)"),
        (x, zeros, r"zeros \(zero_output_for_mask"),
        (x, second, r"first, second \(Keras's MultiHeadAttention takes the mask off"),
        (texts, summed, r"each \(a mask in TimeDistributed\)"),
    ):
        model = keras.Model(inputs, outputs)
        model.save(tmp_path / "m.keras")
        with pytest.raises(ValueError, match=rf"m\.keras: .*Keras has masks that are not offered: {said}"):
            models.load_model(tmp_path / "m.keras")
        with pytest.raises(ValueError, match="Keras has masks that are not offered"):
            models.model_from_json(model.to_json())


def test_where_masks_end_is_part_of_a_layer(tmp_path):
    layer = layers.Conv1D(2, 2)
    layer.ends_mask = True
    recurrent = layers.LSTM(2, return_sequences=True)
    recurrent.uses_mask = False
    model = Sequential([Input((4, 3)), layers.Masking(), layer, recurrent])
    for copy in (models.clone_model(model), models.model_from_json(model.to_json())):
        assert copy.layers[1].ends_mask
        assert not copy.layers[2].uses_mask
    assert "ends_mask" not in layers.Conv1D(2, 2).get_config()
    x = some((2, 4, 3))
    given, unused = np.array([[True, True, False, False], [True] * 4]), layers.LSTM(2, return_sequences=True)
    unused.uses_mask = False
    np.testing.assert_array_equal(unused(x, mask=given), unused(x))
