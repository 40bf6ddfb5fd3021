"""The order of layers in graphs with masks, which Keras makes by operations of the graph, and what hangs on it."""

import os
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_tools import with_random_weights

from lstmcore import Input, Model, layers, models

pytest.importorskip("h5py")
pytestmark = [pytest.mark.once, pytest.mark.filterwarnings("ignore")]  # both say where masks end

STEPS, FEATURES = 5, 4
PARTS = {}


def part(function):
    PARTS[function.__name__] = function
    return function


@pytest.fixture(scope="module")
def keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras", minversion="3.0")


@part
def masking(package, inner, k, x, y):
    return [package.Masking(name=f"masking_{k}")(x)]


@part
def dense(package, inner, k, x, y):
    return [package.Dense(FEATURES, name=f"dense_{k}")(x)]


@part
def shared(package, inner, k, x, y):
    layer = package.Dense(FEATURES, name=f"shared_{k}")
    return [layer(x), layer(layer(y))]


@part
def recurrent(package, inner, k, x, y):
    return [package.LSTM(FEATURES, return_sequences=True, name=f"lstm_{k}")(x)]


@part
def states(package, inner, k, x, y):
    first, *state = package.LSTM(FEATURES, return_sequences=True, return_state=True, name=f"first_{k}")(x)
    return [first, package.LSTM(FEATURES, return_sequences=True, name=f"second_{k}")(y, initial_state=state)]


@part
def both_ways(package, inner, k, x, y):
    lstm = package.LSTM(FEATURES, return_sequences=True, name=f"inner_{k}")
    return [package.Bidirectional(lstm, merge_mode="sum", name=f"both_{k}")(x)]


@part
def side_by_side(package, inner, k, x, y):
    both = package.Concatenate(name=f"both_{k}")([x, y])
    return [package.Dense(FEATURES, name=f"of_both_{k}")(both)]


@part
def behind_each_other(package, inner, k, x, y):
    long = package.Concatenate(axis=1, name=f"long_{k}")([x, y])
    return [package.RepeatVector(STEPS, name=f"again_{k}")(package.LSTM(FEATURES, name=f"of_long_{k}")(long))]


@part
def merged(package, inner, k, x, y):
    return [package.Add(name=f"sum_{k}")([x, y, x]), package.Multiply(name=f"product_{k}")([y, x])]


@part
def attention(package, inner, k, x, y):
    return [package.Attention(name=f"attention_{k}")([x, y])]


@part
def heads(package, inner, k, x, y):
    return [package.MultiHeadAttention(2, 2, name=f"heads_{k}")(x, y)]


@part
def convolution(package, inner, k, x, y):
    return [package.Conv1D(FEATURES, 2, padding="causal", name=f"conv_{k}")(x)]


@part
def passed_on(package, inner, k, x, y):
    every = package.TimeDistributed(package.Dense(FEATURES, name=f"in_{k}"), name=f"every_{k}")(x)
    return [package.BatchNormalization(name=f"batch_{k}")(every), package.Softmax(name=f"softmax_{k}")(y)]


@part
def operators(package, inner, k, x, y):
    return [x * 2.0, x[:, -STEPS:]]  # beside these, ours are layers, which may have masks


@part
def within(package, inner, k, x, y):
    return [inner(package.Dense(FEATURES, name=f"within_{k}"), k)(x)]


def graph(package, source, model, drawn, embedded):
    """Return a model whose layers of one class have weights of one shape, so that any order of them fits."""

    def inner(layer, k):
        inside = source((STEPS, FEATURES), name=f"inside_{k}")
        return model(inside, layer(inside), name=f"model_{k}")

    tokens, other = source((STEPS,), dtype="int32", name="tokens"), source((STEPS, FEATURES), name="other")
    pool = [package.Embedding(9, FEATURES, mask_zero=embedded, name="embedding")(tokens), other]
    for k, (name, *picks) in enumerate(drawn):
        pool += PARTS[name](package, inner, k, *(pool[pick % len(pool)] for pick in picks))
    ends = [package.LSTM(FEATURES, name=f"end_{k}")(one) for k, one in enumerate(pool[-3:])]
    return with_random_weights(model([tokens, other], ends))


drawings = st.lists(
    st.tuples(st.sampled_from(sorted(PARTS)), st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=7
)


def same_weights(ours, theirs):
    assert [one.name for one in ours.layers if one.variables] == [one.name for one in theirs.layers if one.variables]
    for layer in (one for one in ours.layers if one.variables):
        for one, other in zip(layer.get_weights(), theirs.get_layer(layer.name).get_weights(), strict=True):
            np.testing.assert_array_equal(one, np.asarray(other), err_msg=layer.name)


@settings(max_examples=15, deadline=None)
@given(drawn=drawings, embedded=st.booleans())
def test_weights_find_their_layers(keras, drawn, embedded, tmp_path_factory):
    folder = tmp_path_factory.mktemp("order")
    theirs = graph(keras.layers, keras.Input, keras.Model, drawn, embedded)
    ours = graph(layers, Input, Model, drawn, embedded)
    for model in (theirs, ours):
        model.save_weights(folder / f"{model is ours}.weights.h5")
    ours.load_weights(folder / "False.weights.h5")
    same_weights(ours, theirs)
    with_random_weights(ours, seed=5)
    ours.set_weights([np.asarray(one) for one in theirs.get_weights()])
    same_weights(ours, theirs)
    theirs.load_weights(folder / "True.weights.h5")
    ours.load_weights(folder / "True.weights.h5")
    same_weights(ours, theirs)


def unless_masks_differ(function):
    try:
        return function()
    except ValueError as error:
        if not re.search(
            "masks that are not offered|offered for masks only|does so here too|takes the mask off", str(error)
        ):
            raise
        return None


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
@settings(max_examples=10, deadline=None)
@given(drawn=drawings, embedded=st.booleans())
def test_weights_of_whole_models_find_their_layers(keras, name, drawn, embedded, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    theirs = graph(keras.layers, keras.Input, keras.Model, drawn, embedded)
    theirs.save(folder / name)
    came_in = unless_masks_differ(lambda: models.load_model(folder / name))
    if came_in is not None:
        same_weights(came_in, theirs)
    ours = graph(layers, Input, Model, drawn, embedded)
    if unless_masks_differ(lambda: ours.save(folder / name) or True):
        same_weights(ours, keras.models.load_model(folder / name))


def pair(package, source, model, names):
    x = source((STEPS, FEATURES), name="x")
    return with_random_weights(model(x, [package.Dense(3, name=name)(x) for name in names]))


def test_layers_are_found_by_names_that_were_given_to_them(keras, tmp_path):
    theirs = pair(keras.layers, keras.Input, keras.Model, ["one", "two"])
    theirs.save_weights(tmp_path / "m.weights.h5")
    ours = pair(layers, Input, Model, ["two", "one"])
    ours.load_weights(tmp_path / "m.weights.h5")
    for name in ("one", "two"):
        kernel, _ = theirs.get_layer(name).get_weights()
        np.testing.assert_array_equal(ours.get_layer(name).get_weights()[0], kernel)


@pytest.mark.parametrize("names", [["dense_1", "dense"], ["three", "one"]])
def test_layers_of_other_or_counted_names_are_found_by_their_order(keras, names, tmp_path):
    pair(keras.layers, keras.Input, keras.Model, ["dense", "dense_1"]).save_weights(tmp_path / "m.weights.h5")
    theirs = pair(keras.layers, keras.Input, keras.Model, names)
    ours = pair(layers, Input, Model, names)
    for model in (theirs, ours):
        with_random_weights(model, seed=3).load_weights(tmp_path / "m.weights.h5")
    same_weights(ours, theirs)


def test_names_are_written_where_keras_has_them(keras, tmp_path):
    import h5py

    for package, source, model in ((layers, Input, Model), (keras.layers, keras.Input, keras.Model)):
        pair(package, source, model, ["one", "two"]).save_weights(tmp_path / "m.weights.h5")
        with h5py.File(tmp_path / "m.weights.h5") as file:
            assert file["layers/dense/vars"].attrs["name"] == "one"
            assert file["layers/dense_1/vars"].attrs["name"] == "two"
