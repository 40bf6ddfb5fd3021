"""Quantized copies of models, of which layers may stay as they are, and how far they are from what they were made of.

Expected errors are computed here from what models return.
"""

import copy
import pickle
import warnings

import numpy as np
import pytest
from test_reduced_precision import numbers

import lstmcore
from lstmcore import Input, Model, Sequential, functional, layers, quantization


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return numbers(rng, 300, 6, 5), numbers(rng, 300, 2)


@pytest.fixture
def model(data):
    lstmcore.utils.set_random_seed(0)
    parts = [
        layers.Bidirectional(layers.LSTM(8, return_sequences=True), input_shape=(None, 5), name="both"),
        layers.GRU(7, name="gru"),
        layers.Dropout(0.5, name="drop"),
        layers.Dense(6, activation="relu", kernel_regularizer="l2", name="hidden"),
        layers.Dense(2, name="end"),
    ]
    model = Sequential(parts, name="m")
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(*data, verbose=0)
    return model


def relative(got, want):
    return np.sqrt(np.square(got.astype("f8") - want).mean() / np.square(want.astype("f8")).mean())


def test_a_copy_is_quantized_and_the_model_stays_as_it_is(model, data):
    x, y = data
    before, weights = model.predict(x, verbose=0), model.get_weights()
    small = lstmcore.quantize(model)
    assert small is not model
    assert all(layer.quantization_mode is None for layer in model.layers)
    assert [v.int8 is not None for v in small.weights].count(True) == 2 * 2 + 2 + 2
    np.testing.assert_array_equal(model.predict(x, verbose=0), before)
    for one, other in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)
    model.fit(x, y, verbose=0)  # and can still be trained
    assert lstmcore.quantize(model, weights="int8").layers[1].quantization_mode == "int8_weights"
    in_place = Sequential.from_config(model.get_config())
    in_place.set_weights(model.get_weights())
    in_place.quantize("int8")
    np.testing.assert_array_equal(in_place.predict(x, verbose=0), lstmcore.quantize(model).predict(x, verbose=0))


def test_the_loss_has_the_penalties_of_quantized_weights(model, data):
    x, y = data
    small = lstmcore.quantize(model)
    penalty = 0.01 * np.square(small.get_layer("hidden").kernel.value).sum()
    assert penalty > 0.01
    want = np.square(small.predict(x, verbose=0) - y).mean() + penalty
    np.testing.assert_allclose(small.evaluate(x, y, verbose=0)[0], want, rtol=1e-5)


def test_errors_are_those_of_what_layers_return(model, data):
    x, y = data
    small = lstmcore.quantize(model)
    found = quantization.compare(model, x, y, other=small)
    assert [error.name for error in found.layers] == ["both", "gru", "drop", "hidden", "end"]
    assert [error.kept for error in found.layers] == ["int8", "int8", "", "int8", "int8"]
    ours, theirs = x, x
    for layer, other, error in zip(model.layers, small.layers, found.layers, strict=True):
        ours, theirs = layer(ours), other(theirs)
        apart = theirs.astype("f8") - ours
        assert error.largest == np.abs(apart).max()
        np.testing.assert_allclose(error.rms, np.sqrt(np.square(apart).mean()), rtol=1e-9)
        np.testing.assert_allclose(error.relative, relative(theirs, ours), rtol=1e-9)
    assert (found.outputs.largest, found.outputs.rms) == (found.layers[-1].largest, found.layers[-1].rms)
    want, got = (dict(one.evaluate(x, y, verbose=0, return_dict=True)) for one in (model, small))
    assert {m.name: (m.float32, m.other, m.change) for m in found.measures} == {
        name: (want[name], got[name], got[name] - want[name]) for name in ("loss", "mae")
    }
    assert quantization.compare(model, x) == quantization.Comparison(found.layers, found.outputs, [])


def test_comparisons_print_as_tables(model, data):
    found = quantization.compare(model, *data)
    lines = repr(found).splitlines()
    assert lines[0].split() == ["layer", "kept", "as", "max", "error", "RMS", "error", "relative"]
    assert lines[3].split()[:2] == ["drop", "float32"]
    assert lines[6].split()[:3] == ["outputs", "int8", f"{found.outputs.largest:.3g}"]
    assert [line.split()[0] for line in lines[8:]] == ["measure", "loss", "mae"]
    page = found._repr_html_()
    assert page.count("<table>") == 2
    assert f"<td>{found.outputs.relative:.3%}</td>" in page
    odd = quantization.Comparison([], quantization.Error("<a&b>", "int8", 0, 0, 0), [])
    assert "<td>&lt;a&amp;b&gt;</td>" in odd._repr_html_()


def test_graphs_and_classes_are_compared():
    class Own(Model):
        def __init__(self):
            super().__init__(name="own")
            self.first, self.last = layers.LSTM(4, name="first"), layers.Dense(2, name="last")

        def call(self, inputs):
            return {"a": self.last(self.first(inputs)), "b": inputs[:, 0]}

    class Passes(Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def forward(self, inputs, training=False):
            return self.dense(inputs, training=training)

    rng = np.random.default_rng(0)
    x = numbers(rng, 5, 4, 3)
    own, passes = Own(), Passes()
    own(x), passes(x)
    found = quantization.compare(own, x)
    assert [e.name for e in found.layers if e.kept] == ["first", "last"]
    assert found.outputs.relative > 0
    found = quantization.compare(passes, x)
    assert found.layers == []
    np.testing.assert_allclose(found.outputs.relative, relative(lstmcore.quantize(passes)(x), passes(x)), rtol=1e-9)
    a, b = Input((None, 3), name="a"), Input((None, 3), name="b")
    shared = layers.GRU(4, name="shared", stateful=True)
    graph = Model({"a": a, "b": b}, layers.concatenate([shared(a), layers.LSTM(2)(b)]))
    given = {"a": x, "b": x[::-1]}
    first = quantization.compare(graph, given)
    small = lstmcore.quantize(graph)
    assert quantization.compare(graph, given, other=small) == first  # whatever states it has kept
    assert shared.states is None
    assert small.get_layer("shared").states is None


def in_int8(model, names):
    """A copy of which the layers of these names are quantized, each by itself."""
    copied = copy.deepcopy(model)
    for name in names:
        copied.get_layer(name).quantize("int8")
    return copied


def test_tolerance_keeps_what_is_furthest_off_in_float32():
    lstmcore.utils.set_random_seed(1)
    parts = [
        layers.LSTM(12, return_sequences=True, input_shape=(None, 5), name="a"),
        layers.GRU(7, name="b"),
        layers.Dense(6, activation="relu", name="c"),
        layers.Dense(2, name="d"),
    ]
    model, x, names = Sequential(parts, name="m"), numbers(np.random.default_rng(0), 50, 6, 5), "abcd"
    want = model.predict(x, verbose=0)

    def error(in_them):
        return relative(in_int8(model, in_them).predict(x, verbose=0), want)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small = lstmcore.quantize(model, tolerance=error(names) * 1.0001, x=x)
    assert all(layer.quantization_mode == "int8" for layer in small.layers)

    worst = sorted(names, key=lambda name: -error([name]))
    tolerance = 1.0001 * error(worst[2:])
    assert error(worst[1:]) > tolerance  # it is the second that brings it within
    said = f"m: tolerance: stay in float32, by how far off each is alone: {worst[0]}, {worst[1]}$"
    with pytest.warns(UserWarning, match=said):
        small = lstmcore.quantize(model, tolerance=tolerance, x=x)
    for layer in small.layers:
        assert layer.quantization_mode == (None if layer.name in worst[:2] else "int8")
    np.testing.assert_array_equal(small.predict(x, verbose=0), in_int8(model, worst[2:]).predict(x, verbose=0))
    for name in worst[:2]:
        for one, other in zip(small.get_layer(name).weights, model.get_layer(name).weights, strict=True):
            np.testing.assert_array_equal(one.value, other.value)
    again = pickle.loads(pickle.dumps(small))
    assert [layer.quantization_mode for layer in again.layers] == [layer.quantization_mode for layer in small.layers]
    np.testing.assert_array_equal(again.predict(x, verbose=0), small.predict(x, verbose=0))


def test_a_tolerance_of_nothing_keeps_all_and_one_of_the_loss_is_its_increase(model, data):
    x, y = data
    with pytest.warns(UserWarning, match="stay in float32"):
        same = lstmcore.quantize(model, tolerance=0, x=x)
    np.testing.assert_array_equal(same.predict(x, verbose=0), model.predict(x, verbose=0))
    same.compile("sgd", "mse")
    same.fit(x, y, verbose=0)  # nothing of it is quantized
    before = model.evaluate(x, y, verbose=0)[0]
    after = lstmcore.quantize(model).evaluate(x, y, verbose=0)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lstmcore.quantize(model, tolerance=abs(after - before) / before * 1.01, x=x, y=y)


# --- ranges that are found on data ---


def with_range(layer, size):
    """A layer that does with the range in a further column what another does that has no such column."""
    kernel, *rest = layer.get_weights()
    zeros = np.zeros((*kernel.shape[:-2], 1, kernel.shape[-1]), "f4")
    wider = type(layer).from_config(layer.get_config() | {"name": "wider"})
    wider.build((None, None, kernel.shape[-2] + 1))
    wider.set_weights([np.concatenate([kernel, zeros], -2), *rest])
    wider.quantize("int8")
    return lambda x: wider(np.concatenate([np.clip(x, -size, size), np.full((*x.shape[:-1], 1), size, "f4")], -1))


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Dense(5),
        lambda: layers.Conv1D(6, 3),
        lambda: layers.LSTM(20, return_sequences=True),
        lambda: layers.GRU(20),
        lambda: layers.SimpleRNN(7, activation="relu"),
    ],
)
@pytest.mark.parametrize("batch", [1, 40])
def test_inputs_are_held_to_the_range_of_the_data_and_scaled_by_it(make, batch):
    """Sums are exact, so bits are those of rows whose largest number is the range, which nothing is multiplied by."""
    lstmcore.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    seen, x = numbers(rng, 30, 6, 9), 2 * numbers(rng, batch, 6, 9)
    x[0, 0], x[-1, -1] = 0, 1e6
    model = Sequential([make()])
    model.build((None, 6, 9))
    small = lstmcore.quantize(model, calibrate=seen)
    size = float(np.abs(seen).max())
    assert small.layers[0].input_range == size
    want = with_range(model.layers[0], size)(x)
    np.testing.assert_array_equal(small.predict(x, verbose=0), want)
    assert not np.array_equal(lstmcore.quantize(model).predict(x, verbose=0), want)
    again = pickle.loads(pickle.dumps(small))
    np.testing.assert_array_equal(again.predict(x, verbose=0), want)
    x[-1, 2, 3] = np.nan
    got = small.predict(x, verbose=0)
    np.testing.assert_array_equal(got[:-1], want[:-1])
    assert np.isnan(got[-1]).any()


def test_every_layer_has_the_range_of_what_it_is_given(data):
    x = data[0]
    parts = [
        layers.Conv1D(4, 3, padding="same", activation="relu", input_shape=(None, 5), name="c"),
        layers.Bidirectional(layers.LSTM(4, return_sequences=True), name="b"),
        layers.TimeDistributed(layers.Dense(3), name="t"),
        layers.RNN([layers.GRUCell(4), layers.LSTMCell(3)], name="r"),
        layers.Dense(2, name="d"),
    ]
    model = Sequential(parts)
    small = lstmcore.quantize(model, calibrate=x)
    given, ranges = x, [layer.input_range for layer in small.layers]
    for layer, found in zip(model.layers, ranges, strict=True):
        size = float(np.abs(given).max())
        if found is None:
            one = small.get_layer(layer.name)
            within = {"b": [*one.sublayers], "t": [*one.sublayers], "r": [c.layer for c in getattr(one, "cells", [])]}
            assert within[layer.name][0].input_range == size
            assert all(part.input_range for part in within[layer.name])
        else:
            assert found == size
        given = layer(given)
    assert small.get_layer("d").quantization == {"mode": "int8", "input_range": ranges[-1]}
    assert (
        small.layers[1]
        .kernel_info()
        .startswith(f"lstm: fused kernel, int8 with inputs up to {small.layers[1].forward_layer.input_range:.4g}, ")
    )
    assert not any("forward" in vars(layer) or "prepare" in vars(layer) for layer in small.layers)
    assert quantization.compare(model, x, other=small).outputs.relative < 0.2
    with pytest.warns(UserWarning, match="stay in float32"):
        kept = lstmcore.quantize(model, calibrate=x, tolerance=0.003, x=x)
    modes = {
        layer.name: (layer.quantization_mode, layer.input_range is None)
        for layer in kept.layers
        if layer.quantized_weights
    }
    assert set(modes.values()) <= {(None, True), ("int8", False)}


def test_ranges_of_nothing_are_rows_own_scales_and_bad_data_are_refused(model, data):
    x = data[0]
    plain = Sequential([layers.Dense(2, input_shape=(5,))])
    rows = x[:, 0]
    small = lstmcore.quantize(plain, calibrate=np.zeros_like(rows))
    assert small.layers[0].input_range is None
    np.testing.assert_array_equal(small.predict(rows, verbose=0), lstmcore.quantize(plain).predict(rows, verbose=0))
    for value in (np.nan, np.inf):
        bad = x.copy()
        bad[3, 2, 1] = value
        with pytest.raises(ValueError, match="calibrate: expected finite numbers, got NaN or infinities in array 0"):
            lstmcore.quantize(model, calibrate=bad)
    with pytest.raises(ValueError, match="expected shape"):
        lstmcore.quantize(model, calibrate=x[..., :4])
    with pytest.raises(ValueError, match="calibrate: expected at least one row, got none"):
        lstmcore.quantize(model, calibrate=x[:0])
    with pytest.raises(ValueError, match="calibrate: expected None with weights='int8'"):
        lstmcore.quantize(model, calibrate=x, weights="int8")
    model.get_layer("hidden").bias.assign(np.full(6, np.inf, "f4"))
    with pytest.raises(ValueError, match="calibrate: end: expected finite numbers, is given NaN or infinities"):
        lstmcore.quantize(model, calibrate=x)
    weights = [np.ones((3, 8), "f4"), np.ones((2, 8), "f4")]
    for bad, message in ((-1.0, "input_range: expected a number"), (np.nan, "input_range: expected a number")):
        with pytest.raises(ValueError, match=message):
            functional.pack_lstm(weights, precision="int8", input_range=bad)
    with pytest.raises(ValueError, match=r"input_range: expected None with another precision than 'int8', got 1\.0"):
        functional.pack_lstm(weights, input_range=1.0)
    with pytest.raises(ValueError, match="input_range: packed weights have theirs"):
        functional.pack_lstm(functional.pack_lstm(weights), input_range=1.0)


def test_bad_arguments_are_refused(model, data):
    x, y = data
    with pytest.raises(TypeError, match="model: expected a model, got"):
        lstmcore.quantize(layers.Dense(2))
    with pytest.raises(ValueError, match="mode: expected 'int8', got 'float8'"):
        lstmcore.quantize(model, "float8")
    with pytest.raises(ValueError, match="tolerance: expected a number beside x and y"):
        lstmcore.quantize(model, x=x)
    with pytest.raises(ValueError, match="x: expected inputs to measure the error with"):
        lstmcore.quantize(model, tolerance=0.1)
    with pytest.raises(ValueError, match=r"tolerance: expected a number in \[0, inf\), got -1"):
        lstmcore.quantize(model, tolerance=-1, x=x)
    bad = x.copy()
    bad[3, 2, 1] = np.nan
    with pytest.raises(ValueError, match="x: expected inputs that the model has finite outputs for, got NaN"):
        lstmcore.quantize(model, tolerance=0.1, x=bad)
    with pytest.raises(ValueError, match="x, y: expected data that the model has a finite loss for, got nan"):
        lstmcore.quantize(model, tolerance=0.1, x=bad, y=y)
    with pytest.raises(ValueError, match="expected shape"):
        lstmcore.quantize(model, tolerance=0.1, x=x[..., :4])
    small = lstmcore.quantize(model)
    with pytest.raises(ValueError, match="is quantized already"):
        lstmcore.quantize(small)
    with pytest.raises(ValueError, match="m: compare: expected a model in float32, got a quantized one"):
        quantization.compare(small, x)
    with pytest.raises(ValueError, match="other: expected a copy of m, got other, with other layers or weights"):
        quantization.compare(model, x, other=Sequential([layers.Dense(2, input_shape=(5,))], name="other"))
    with pytest.raises(ValueError, match="x: expected at least one row, got none"):
        quantization.compare(model, x[:0])
    plain = Sequential([layers.Dense(2, input_shape=(5,))])
    for measure in (quantization.compare, lambda *a: lstmcore.quantize(a[0], tolerance=1, x=a[1], y=a[2])):
        with pytest.raises(ValueError, match="y: expected a model that is compiled with a loss"):
            measure(plain, x[:, 0], y)


class Otherwise(Model):
    """Something else in training."""

    def __init__(self):
        super().__init__()
        self.first, self.end = layers.LSTM(4), layers.Dense(2, activation="softmax")

    def call(self, inputs, training=False):
        outputs = self.end(self.first(inputs, training=training))
        return outputs if training else outputs * 0.5


@pytest.mark.once
def test_models_with_a_call_are_compared_as_they_are_outside_of_training(data):
    model, x = Otherwise(), data[0][:40]
    want = model.predict(x, verbose=0)
    model.compile("adam", "mse")
    found = quantization.compare(model, x, data[1][:40])
    got = lstmcore.quantize(model).predict(x, verbose=0)
    assert [error.kept for error in found.layers] == ["int8", "int8", ""]
    np.testing.assert_allclose(found.outputs.largest, np.abs(got - want).max(), rtol=1e-6)
    np.testing.assert_allclose(found.outputs.relative, relative(got, want), rtol=1e-6)
    np.testing.assert_allclose(found.measures[0].float32, np.square(want - data[1][:40]).mean(), rtol=1e-6)


@pytest.mark.once
def test_the_loss_of_a_call_that_ends_otherwise_in_training_is_that_of_what_it_returns(data):
    model, x, y = Otherwise(), data[0][:40], np.arange(40) % 2
    p = model.predict(x, verbose=0)
    model.compile("adam", "sparse_categorical_crossentropy")
    want = -np.log((p / p.sum(1, keepdims=True))[np.arange(40), y]).mean()  # Keras, too, divides by the sum
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), want, rtol=1e-6)


@pytest.mark.once
def test_ranges_of_a_source_of_batches_are_those_of_its_rows(model, data):
    x = data[0][:64]
    want = [layer.input_range for layer in lstmcore.quantize(model, calibrate=x).layers]
    sources = (x[k : k + 16] for k in range(0, 64, 16)), [x], {"x": x}
    for source in sources:
        assert [layer.input_range for layer in lstmcore.quantize(model, calibrate=source).layers] == want
    rows = x.copy()
    rows[40, 1, 2] = np.nan
    with pytest.raises(ValueError, match=r"calibrate: .* expected finite numbers, is given NaN"):
        lstmcore.quantize(model, calibrate=(rows[k : k + 16] for k in range(0, 64, 16)))
    with pytest.raises(ValueError, match="calibrate: x: expected numbers"):
        lstmcore.quantize(model, calibrate="rows")
    inputs = Input((3,))
    both = Model(inputs, [layers.Dense(2)(inputs), layers.Dense(3)(inputs)])
    with pytest.raises(ValueError, match="calibrate: expected at least one row, got none"):
        lstmcore.quantize(both, calibrate=np.zeros((0, 3), "f4"))
