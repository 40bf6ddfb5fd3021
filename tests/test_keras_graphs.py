"""Generated graphs of layers through Keras's files, in and out: shared layers, states, models within, several ends."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_tools import agree, some, with_random_weights

from lstmcore import Input, Model, Sequential, layers, models

pytest.importorskip("h5py")
pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras", minversion="3.0")


class Library:
    """Keras, or ours."""

    def __init__(self, layers, source, model, sequential):
        self.layers, self.source, self.model, self.sequential = layers, source, model, sequential


OURS = Library(layers, Input, Model, Sequential)
STEPS, FEATURES = 6, 3

# What makes of arrays (batch, 6, 3) others of that shape. Each is called on the pool's arrays x, y and z, and gives the
# arrays that are added to the pool; ``k`` makes names different, ``o`` has the dtype.
MOVES = {}


def move(function):
    MOVES[function.__name__] = function
    return function


@move
def recurrent(lib, k, o, x, y, z):
    return [lib.layers.LSTM(FEATURES, return_sequences=True, name=f"lstm_{k}", **o)(x)]


@move
def shared(lib, k, o, x, y, z):
    layer = lib.layers.GRU(FEATURES, return_sequences=True, name=f"shared_{k}", **o)
    return [layer(x), layer(layer(y))]


@move
def states(lib, k, o, x, y, z):
    first, *state = lib.layers.LSTM(FEATURES, return_sequences=True, return_state=True, name=f"first_{k}", **o)(x)
    second = lib.layers.LSTM(FEATURES, return_sequences=True, name=f"second_{k}", **o)(y, initial_state=state)
    return [first, second]


@move
def state_of_a_gru(lib, k, o, x, y, z):
    _, state = lib.layers.GRU(FEATURES, return_state=True, reset_after=False, name=f"gru_{k}", **o)(x)
    simple = lib.layers.SimpleRNN(FEATURES, return_sequences=True, name=f"simple_{k}", **o)
    return [simple(y, initial_state=state), lib.layers.RepeatVector(STEPS, name=f"repeat_{k}", **o)(state)]


@move
def both_ways(lib, k, o, x, y, z):
    inner = lib.layers.LSTM(FEATURES, return_sequences=True, return_state=True, name=f"inner_{k}", **o)
    outputs, *state = lib.layers.Bidirectional(inner, merge_mode="sum", name=f"both_{k}", **o)(x)
    other = lib.layers.GRU(FEATURES, return_sequences=True, name=f"other_{k}", **o)
    mean = lib.layers.Bidirectional(other, merge_mode="ave", name=f"mean_{k}", **o)
    return [outputs, mean(y, initial_state=[state[0], state[2]])]


@move
def two_directions(lib, k, o, x, y, z):
    forth = lib.layers.GRU(FEATURES, return_sequences=True, name=f"forth_{k}", **o)
    back = lib.layers.SimpleRNN(FEATURES, return_sequences=True, go_backwards=True, name=f"back_{k}", **o)
    return [lib.layers.Bidirectional(forth, merge_mode="mul", backward_layer=back, name=f"two_{k}", **o)(x)]


@move
def cells(lib, k, o, x, y, z):
    parts = [lib.layers.LSTMCell(2, name=f"cell_a{k}", **o), lib.layers.GRUCell(FEATURES, name=f"cell_b{k}", **o)]
    return [lib.layers.RNN(parts, return_sequences=True, name=f"cells_{k}", **o)(x)]


@move
def merged(lib, k, o, x, y, z):
    mean = lib.layers.Average(name=f"average_{k}", **o)([x, y, z])
    both = lib.layers.Concatenate(name=f"both_{k}", **o)([mean, x])
    return [lib.layers.Dense(FEATURES, activation="tanh", name=f"dense_{k}", **o)(both)]


@move
def arithmetic(lib, k, o, x, y, z):
    return [(x - 2.0) * y / (z * z + 1.0), abs(-x) ** 2.0, x[:, -STEPS:]]


@move
def attention(lib, k, o, x, y, z):
    dot = lib.layers.Attention(use_scale=True, score_mode="dot", name=f"attention_{k}", **o)([x, y, z])
    added, _ = lib.layers.AdditiveAttention(name=f"additive_{k}", **o)([x, y], return_attention_scores=True)
    return [dot, added]


@move
def heads(lib, k, o, x, y, z):
    return [lib.layers.MultiHeadAttention(2, 2, value_dim=3, name=f"heads_{k}", **o)(x, y, z)]


@move
def convolution(lib, k, o, x, y, z):
    grouped = lib.layers.Conv1D(FEATURES, 2, padding="same", groups=3, name=f"conv_{k}", **o)(x)
    return [lib.layers.BatchNormalization(name=f"batch_{k}", **o)(grouped)]


@move
def normalised(lib, k, o, x, y, z):
    parts = [lib.layers.LayerNormalization(axis=[1, 2], name=f"layer_{k}", **o)(x)]
    return [*parts, lib.layers.UnitNormalization(name=f"unit_{k}", **o)(y)]


@move
def distributed(lib, k, o, x, y, z):
    inner = lib.sequential(
        [
            lib.source((FEATURES,), **o),
            lib.layers.Dense(4, name=f"in_{k}", **o),
            lib.layers.Dense(3, name=f"out_{k}", **o),
        ],
        name=f"chain_{k}",
    )
    return [lib.layers.TimeDistributed(inner, name=f"every_{k}", **o)(x)]


@move
def within(lib, k, o, x, y, z):
    a, b = (lib.source((STEPS, FEATURES), name=f"{name}_{k}", **o) for name in "ab")
    seen = lib.layers.GRU(FEATURES, return_sequences=True, name=f"within_{k}", **o)(a)
    inner = lib.model([a, b], [lib.layers.Add(name=f"sum_{k}", **o)([seen, b]), seen], name=f"inner_{k}")
    first, second = inner([x, y])
    again, _ = inner([second, z])
    return [first, again]


instructions = st.lists(
    st.tuples(st.sampled_from(sorted(MOVES)), st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)),
    min_size=1,
    max_size=5,
)


def drawn(lib, given, dtype):
    """Return the graph of some moves, with two inputs, and outputs by name or in a list."""
    o = {"dtype": dtype}
    inputs = [lib.source((STEPS, FEATURES), name=name, **o) for name in ("left", "right")]
    pool = list(inputs)
    for k, (name, *picks) in enumerate(given):
        pool += MOVES[name](lib, k, o, *(pool[pick % len(pool)] for pick in picks))
    ends = [
        lib.layers.Dense(2, name="score", **o)(lib.layers.LSTM(2, name="last", **o)(pool[-1])),
        lib.layers.GlobalMaxPooling1D(name="most", **o)(lib.layers.Add(name="all", **o)(pool)),
    ]
    return with_random_weights(lib.model(inputs, {"a": ends[0], "b": ends[1]} if len(given) % 2 else ends))


def inputs_for(dtype):
    return [some((4, STEPS, FEATURES), seed).astype(dtype) for seed in (1, 2)]


dtypes = st.sampled_from(["float32", "float64"])


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
@settings(max_examples=15, deadline=None)
@given(given=instructions, dtype=dtypes)
def test_graphs_of_keras_come_in(keras, name, given, dtype, tmp_path_factory):
    folder = tmp_path_factory.mktemp("in")
    theirs = drawn(Library(keras.layers, keras.Input, keras.Model, keras.Sequential), given, dtype)
    theirs.save(folder / name)
    theirs.save_weights(folder / "m.weights.h5")
    agree(models.load_model(folder / name), theirs, inputs_for(dtype))
    from_json = models.model_from_json(theirs.to_json())
    from_json.load_weights(folder / "m.weights.h5")
    agree(from_json, theirs, inputs_for(dtype))


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
@settings(max_examples=15, deadline=None)
@given(given=instructions, dtype=dtypes)
def test_graphs_of_ours_go_out(keras, name, given, dtype, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    ours = drawn(OURS, given, dtype)
    ours.save(folder / name)
    ours.save_weights(folder / "m.weights.h5")
    theirs = keras.models.load_model(folder / name)
    agree(ours, theirs, inputs_for(dtype))
    with_random_weights(theirs, seed=7).load_weights(folder / "m.weights.h5")
    agree(ours, theirs, inputs_for(dtype))
    again = models.load_model(folder / name)
    agree(ours, again, inputs_for(dtype), {"rtol": 0, "atol": 0})
    assert np.dtype(again.dtype) == dtype


# Beside these two, Keras's products of matrices of float64 are those of float32 on PyTorch's backend.
@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_float64_is_kept(keras, name, tmp_path):
    theirs = keras.Sequential([keras.Input((6, 3), dtype="float64"), getattr(keras.layers, name)(4, dtype="float64")])
    with_random_weights(theirs).save(tmp_path / "m.keras")
    ours = models.load_model(tmp_path / "m.keras")
    x = np.random.default_rng(0).normal(size=(4, 6, 3)).astype("float32").astype("float64")  # predict rounds to that
    agree(ours, theirs, x, {"rtol": 1e-12, "atol": 1e-14})
    ours.save(tmp_path / "n.h5")
    agree(keras.models.load_model(tmp_path / "n.h5"), ours, x, {"rtol": 1e-12, "atol": 1e-14})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("move", sorted(MOVES))
def test_every_part_of_graphs_both_ways(keras, move, dtype, tmp_path):
    theirs = drawn(Library(keras.layers, keras.Input, keras.Model, keras.Sequential), [(move, 0, 1, 0)], dtype)
    theirs.save(tmp_path / "m.keras")
    agree(models.load_model(tmp_path / "m.keras"), theirs, inputs_for(dtype))
    ours = drawn(OURS, [(move, 1, 0, 1)], dtype)
    ours.save(tmp_path / "n.keras")
    agree(keras.models.load_model(tmp_path / "n.keras"), ours, inputs_for(dtype))


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_outputs_of_models_within_are_outputs_of_the_whole(keras, name, tmp_path):
    def built(lib):
        a, b = (lib.source((3,), name=f"inner_{one}") for one in "ab")
        inner = lib.model([a, b], lib.layers.Dense(2, name="dense")(lib.layers.Add(name="sum")([a, b * 2.0])))
        c, d = (lib.source((3,), name=f"outer_{one}") for one in "cd")
        return with_random_weights(lib.model([c, d], [inner([c, d]), inner([d, c])]))

    inputs = [some((4, 3), 1), some((4, 3), 2)]
    theirs = built(Library(keras.layers, keras.Input, keras.Model, keras.Sequential))
    theirs.save(tmp_path / name)
    agree(models.load_model(tmp_path / name), theirs, inputs)
    ours = built(OURS)
    ours.save(tmp_path / name)
    agree(keras.models.load_model(tmp_path / name), ours, inputs)
    agree(models.load_model(tmp_path / name), ours, inputs)


def of_functions(keras):
    ops = keras.ops
    x = keras.Input((8, 5))
    y = keras.layers.LSTM(5, return_sequences=True)(x)
    weights = ops.softmax(keras.layers.Dense(1)(y), axis=1)
    parts = [ops.sum(weights * y, axis=1), ops.mean(y, axis=1), ops.max(y, axis=1), ops.min(y, axis=-2)]
    parts += [ops.prod(y[:, :2], axis=1), ops.sqrt(abs(y))[:, 0], ops.square(y)[:, 1], ops.clip(y, -0.1, 0.1)[:, 2]]
    parts += [ops.maximum(y, 0.0)[:, 3], ops.minimum(0.0, y)[:, 4], ops.maximum(x, y)[:, 5], ops.sin(y)[:, 6]]
    flat = ops.reshape(ops.transpose(y, (0, 2, 1)), (-1, 40))
    return keras.Model(x, [keras.layers.Concatenate()(parts), flat, ops.mean(y, axis=(1, 2), keepdims=True)])


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_functions_of_keras_ops_come_and_go(ending, tmp_path):
    keras = pytest.importorskip("keras")
    theirs = of_functions(keras)
    path, back = str(tmp_path / f"a.{ending}"), str(tmp_path / f"b.{ending}")
    theirs.save(path)
    x = np.random.default_rng(0).standard_normal((3, 8, 5)).astype("float32")
    want = [np.asarray(part.detach()) for part in theirs(x)]
    ours = models.load_model(path)
    ours.save(back)
    again = [np.asarray(part.detach()) for part in keras.models.load_model(back)(x)]
    for a, b, c in zip(ours.predict(x, verbose=0), want, again, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(c, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda ops, x: ops.sum(x), "Sum: expected axes behind the batch, got None"),
        (lambda ops, x: ops.sum(x, axis=0), "axis: expected one or several axes behind the batch, got 0"),
        (lambda ops, x: ops.max(x, axis=1, initial=3.0), "Max: initial: expected None, got 3.0"),
        (lambda ops, x: ops.reshape(x, (40, -1)), "Reshape: expected the batch, -1, first"),
        (lambda ops, x: ops.transpose(x), "Transpose: expected the batch to stay first, got None"),
    ],
)
def test_functions_across_the_batch_are_refused(make, text, tmp_path):
    keras = pytest.importorskip("keras")
    x = keras.Input((8, 5))
    path = str(tmp_path / "a.keras")
    keras.Model(x, make(keras.ops, x)).save(path)
    with pytest.raises(ValueError, match=text):
        models.load_model(path)


def test_all_operations_that_are_not_offered_are_named(tmp_path):
    keras = pytest.importorskip("keras")
    x = keras.Input((8, 5))
    path = str(tmp_path / "a.keras")
    keras.Model(x, keras.ops.cumsum(keras.ops.tan(x), axis=1)).save(path)
    with pytest.raises(
        ValueError, match=r"a\.keras: operations that are not offered, of which layers may be: Cumsum, Tan"
    ):
        models.load_model(path)
