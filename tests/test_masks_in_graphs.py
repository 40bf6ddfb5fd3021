"""Masks that are symbols, given to layers by hand in a graph, do what masks do that go along by themselves."""

import os

import numpy as np
import pytest
from graph_tools import assert_gradients_are_differences, several
from hypothesis import given
from hypothesis import strategies as st
from layer_tools import numbers

from lstmcore import Input, Model, layers
from lstmcore.models import load_model, model_from_json

F64 = {"dtype": "float64"}
BATCH, STEPS, WIDTH = 3, 5, 3
RECURRENT = {
    "LSTM": lambda **o: layers.LSTM(WIDTH, **o, **F64),
    "GRU, go_backwards": lambda **o: layers.GRU(WIDTH, go_backwards=True, **o, **F64),
    "Bidirectional": lambda **o: layers.Bidirectional(layers.SimpleRNN(WIDTH, **o), **F64),
    "RNN": lambda **o: layers.RNN([layers.GRUCell(2), layers.LSTMCell(WIDTH)], **o, **F64),
    "Bidirectional RNN": lambda **o: layers.Bidirectional(layers.RNN(layers.LSTMCell(WIDTH), **o), **F64),
}
each = pytest.mark.parametrize("name", RECURRENT)


def any_mask(seed):
    mask = np.random.default_rng(seed).random((BATCH, STEPS)) < 0.7
    mask[:, 0] |= ~mask.any(1)
    return mask


def masked(seed):
    """Sequences whose padding is zero, and their mask."""
    mask = any_mask(seed)
    return np.where(mask[..., None], numbers(BATCH, STEPS, WIDTH, seed=seed), 0), mask


@each
@pytest.mark.parametrize("sequences", [False, True])
def test_a_mask_as_an_input_is_the_mask_that_goes_along(name, sequences):
    layer = RECURRENT[name](return_sequences=sequences)
    x, mask = Input((None, WIDTH), **F64), Input((None,), dtype="bool")
    by_hand = Model([x, mask], layer(x, mask=mask))
    along = Model(x, layer(layers.Masking(**F64)(x)))
    for seed in range(3):
        data, its = masked(seed)
        want = layer(data, mask=its)
        np.testing.assert_array_equal(by_hand([data, its]), want)
        np.testing.assert_array_equal(along(data), want)
        np.testing.assert_array_equal(by_hand.predict([data, its], verbose=0), along.predict(data, verbose=0))
        # and on the way back
        d = numbers(*want.shape, seed=seed + 9)
        found = []
        for model, given_to_it in ((by_hand, [data, its]), (along, data)):
            model(given_to_it, training=True)
            model.parameters.vectors.gradients.fill(0)
            gradient = several(model.backward(d))[0]
            found.append([gradient * its[..., None], *(v.gradient.copy() for v in layer.variables)])
        for a, b in zip(*found, strict=True):
            np.testing.assert_array_equal(a, b)


@each
@given(seed=st.integers(0, 2**32 - 1))
def test_gradients_with_a_mask_as_an_input_are_differences(name, seed):
    x, mask = Input((None, WIDTH), **F64), Input((None,), dtype="bool")
    first = RECURRENT[name](return_sequences=True)(x, mask=mask)
    second = layers.LSTM(2, **F64)(first * 2.0, mask=mask)
    model = Model([x, mask], second)
    assert_gradients_are_differences(model, [numbers(BATCH, STEPS, WIDTH, seed=seed), any_mask(seed)], seed)


def test_the_mask_of_an_embedding_can_be_asked_for():
    ids = Input((None,), dtype="int32")
    embedding, lstm = layers.Embedding(9, WIDTH, mask_zero=True, **F64), layers.LSTM(2, return_sequences=True, **F64)
    mask = embedding.compute_mask(ids)
    assert (mask.dtype, mask.shape) == (bool, (None, None))
    # What comes of arithmetic in between keeps the mask here; where it is lost, it is given again.
    y = lstm(layers.Concatenate(**F64)([embedding(ids), embedding(ids)])[:, :, WIDTH:], mask=mask)
    model = Model(ids, y)
    data = np.array([[1, 2, 0, 0, 0], [3, 4, 5, 0, 0], [8, 0, 2, 1, 0]])
    np.testing.assert_array_equal(model(data), lstm(embedding(data)))
    assert_gradients_are_differences(model, data, 0)
    assert layers.Embedding(9, 2).compute_mask(ids) is None
    with pytest.raises(TypeError, match="mask: expected none beside a symbol"):
        embedding.compute_mask(ids, mask)


def test_the_mask_of_masking_can_be_asked_for_sliced_and_returned():
    x = Input((STEPS, WIDTH), **F64)
    mask = layers.Masking(7.0, **F64).compute_mask(x)
    assert (mask.dtype, mask.shape) == (bool, (None, STEPS))
    lstm = layers.LSTM(2, **F64)
    model = Model(x, [lstm(x[:, 1:], mask=mask[:, 1:]), mask])
    data, its = masked(0)
    data[~its] = 7
    got, left = model(data)
    np.testing.assert_array_equal(left, its)
    np.testing.assert_array_equal(got, lstm(data[:, 1:], mask=its[:, 1:]))


def test_masks_for_several_inputs():
    a, b = Input((None, WIDTH), **F64), Input((None, WIDTH), **F64)
    m, n = Input((None,), dtype="bool"), Input((None,), dtype="bool")
    lstm = layers.LSTM(2, **F64)
    x = [numbers(BATCH, STEPS, WIDTH, seed=k) for k in range(2)]
    masks = [any_mask(1), any_mask(2)]
    for layer, axis in ((layers.Add(**F64), None), (layers.Multiply(**F64), None), (layers.Concatenate(1, **F64), 1)):
        model = Model([a, b, m, n], lstm(layer([a, b], mask=[m, n])))
        left = masks[0] | masks[1] if axis is None else np.concatenate(masks, 1)
        want = lstm(np.array(layer(x, mask=masks)), mask=left)
        np.testing.assert_array_equal(model([*x, *masks]), want)
        assert_gradients_are_differences(model, [*x, *masks], 0)
        one = Model([a, b, m], lstm(layer([a, b], mask=[m, None])))
        left = None if axis is None else np.concatenate([masks[0], np.ones_like(masks[0])], 1)
        want = lstm(np.array(layer(x, mask=[masks[0], None])), mask=left)
        np.testing.assert_array_equal(one([*x, masks[0]]), want)
    by_name = Model([a, b, m, n], layers.Add(**F64)({"a": a, "b": b}, mask={"a": m, "b": n}))
    np.testing.assert_array_equal(by_name([*x, *masks]), x[0] + x[1])


def test_a_model_with_a_mask_as_an_input_is_trained_saved_and_told(tmp_path):
    x, mask = Input((STEPS, WIDTH), name="x"), Input((STEPS,), dtype="bool", name="mask")
    model = Model([x, mask], layers.Dense(1)(layers.LSTM(4)(x, mask=mask)))
    model.compile("adam", "mse")
    data = {"x": numbers(16, STEPS, WIDTH, dtype="float32"), "mask": np.tile([True, True, True, False, True], (16, 1))}
    losses = model.fit(data, numbers(16, 1), epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "model.safetensors")
    want = model.predict(data, verbose=0)
    for twin in (load_model(tmp_path / "model.safetensors"), model_from_json(model.to_json())):
        twin.set_weights(model.get_weights())
        np.testing.assert_array_equal(twin.predict(data, verbose=0), want)
        assert twin.input[1].dtype == bool
    with pytest.raises(TypeError, match="mask: expected bool, got float64"):
        model.predict({"x": data["x"], "mask": np.ones((16, STEPS))}, verbose=0)


def test_numbers_are_those_of_keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    x, mask = Input((STEPS, WIDTH)), Input((STEPS,), dtype="bool")
    ours = Model([x, mask], layers.LSTM(4)(x, mask=mask))
    x, mask = keras.Input((STEPS, WIDTH)), keras.Input((STEPS,), dtype="bool")
    theirs = keras.Model([x, mask], keras.layers.LSTM(4)(x, mask=mask))
    theirs.set_weights(ours.get_weights())
    data = [numbers(BATCH, STEPS, WIDTH, dtype="float32"), any_mask(0)]
    np.testing.assert_allclose(ours.predict(data, verbose=0), theirs.predict(data, verbose=0), rtol=1e-5, atol=1e-6)


def test_what_is_no_mask_is_told_when_the_layer_is_called():
    x, lstm = Input((STEPS, WIDTH), name="x"), layers.LSTM(2, name="lstm")
    for wrong, error, text in (
        (Input((STEPS,)), TypeError, "lstm: mask: expected symbols of bool, got <Symbol .* dtype=float32"),
        (Input((STEPS + 1,), dtype="bool"), ValueError, r"lstm: mask: expected shape \(batch, 5\), got \(None, 6\)"),
        (Input((), dtype="bool"), ValueError, r"lstm: mask: expected shape \(batch, 5\), got \(None,\)"),
        (np.ones((2, STEPS), bool), TypeError, "lstm: mask: expected a symbol for a graph, got ndarray"),
    ):
        with pytest.raises(error, match=text):
            lstm(x, mask=wrong)
    add = layers.Add(name="add")
    with pytest.raises(ValueError, match="add: mask: expected a list with a mask or None for each of the 2 inputs"):
        add([x, x], mask=[Input((STEPS,), dtype="bool")])


def test_masks_of_inputs_in_dicts_and_of_nested_inputs():
    a, b = Input((4, 3), name="a"), Input((4, 3), name="b")
    tower = layers.LSTM(2)
    by_name, nested = (Model(said, layers.add([tower(a), tower(b)])) for said in ({"a": a, "b": b}, [[a], b]))
    x, y = (np.random.default_rng(k).normal(size=(2, 4, 3)).astype("float32") for k in (0, 1))
    mask = np.array([[True, True, False, False], [True] * 4])
    want = tower(x, mask=mask) + tower(y)
    np.testing.assert_array_equal(by_name({"b": y, "a": x}, mask={"b": None, "a": mask}), want)
    np.testing.assert_array_equal(nested([[x], y], mask=[[mask], None]), want)
    with pytest.raises(ValueError, match="mask: expected masks or None as the inputs are said"):
        by_name({"a": x, "b": y}, mask={"c": mask})
    p, q = Input((4, 3)), Input((4, 3))
    outer = Model([p, q], nested([[layers.Masking()(p)], q]))
    padded = np.where(mask[:, :, None], x, 0).astype("float32")
    np.testing.assert_array_equal(outer.predict([padded, y], verbose=0), want)
