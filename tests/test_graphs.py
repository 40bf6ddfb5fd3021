"""Models of inputs and outputs: what a graph of layers computes, and how it is trained, saved and cut."""

import copy
import pickle
import random

import numpy as np
import pytest
from graph_tools import assert_gradients_are_differences
from hypothesis import given
from hypothesis import strategies as st

import lstmcore
from lstmcore import Input, Model, Sequential, layers, metrics
from lstmcore.models import clone_model, load_model, model_from_json

BATCH, STEPS, WIDTH = 3, 4, 3


def numbers(*shape, seed=0, dtype="float32"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


# --- any graph ---


@st.composite
def graphs(draw):
    """Layers on one another's outputs, some called more than once; all values are (batch, steps, width)."""
    kind = {"dtype": "float64"}
    values = [Input((None, WIDTH), dtype="float64"), Input((None, WIDTH), dtype="float64")]
    inputs = list(values)
    shared = [
        layers.LSTM(WIDTH, return_sequences=True, **kind),
        layers.Dense(WIDTH, "tanh", **kind),
        layers.Bidirectional(layers.GRU(WIDTH, return_sequences=True), merge_mode="sum", **kind),
        layers.RNN([layers.GRUCell(2), layers.LSTMCell(WIDTH)], return_sequences=True, **kind),
        Sequential([layers.Dense(4, "tanh", **kind), layers.SimpleRNN(WIDTH, return_sequences=True, **kind)]),
    ]
    seen = Input((None, WIDTH), dtype="float64")
    within = Model(seen, layers.Add(**kind)([seen, layers.Dense(WIDTH, "sigmoid", **kind)(seen)]))
    shared += [within, within.layers[1]]
    for _ in range(draw(st.integers(1, 7))):
        x = draw(st.sampled_from(values))
        what = draw(st.sampled_from(["shared", "new", "add", "concatenate", "states", "directions"]))
        if what == "shared":
            values.append(draw(st.sampled_from(shared))(x))
        elif what == "new":
            values.append(layers.LSTM(WIDTH, return_sequences=True, **kind)(x))
        elif what == "add":
            values.append(layers.Add(**kind)([x, draw(st.sampled_from(values))]))
        elif what == "concatenate":
            both = layers.Concatenate(**kind)([draw(st.sampled_from(values)), x])
            values.append(layers.Dense(WIDTH, "tanh", **kind)(both))
        elif what == "states":
            outputs, *states = layers.LSTM(WIDTH, return_state=True, return_sequences=True, **kind)(x)
            y = layers.LSTM(WIDTH, return_sequences=True, **kind)(draw(st.sampled_from(values)), initial_state=states)
            values += [y, outputs] if draw(st.booleans()) else [y]
        else:
            encoder = layers.Bidirectional(layers.GRU(WIDTH, return_state=True), **kind)
            _, first, second = encoder(x)
            decoder = layers.Bidirectional(layers.GRU(WIDTH, return_sequences=True), merge_mode="ave", **kind)
            values.append(decoder(draw(st.sampled_from(values)), initial_state=[first, second]))
    made = values[2:]
    outputs = draw(st.lists(st.sampled_from(made), min_size=1, max_size=3, unique_by=id))
    return Model(inputs, outputs)


def two_inputs(seed):
    return [numbers(BATCH, STEPS, WIDTH, seed=[seed, k], dtype="float64") for k in range(2)]


@given(graphs(), st.integers(0, 2**32 - 1))
def test_gradients_of_any_graph_are_differences(model, seed):
    assert_gradients_are_differences(model, two_inputs(seed), seed)


def test_gradients_of_a_layer_that_is_called_here_and_in_a_model_within_are_differences():
    x, unused, within = (Input((None, WIDTH), dtype="float64") for _ in range(3))
    dense = layers.Dense(WIDTH, "tanh")
    inner = Model(within, layers.Add()([within, dense(within)]))
    assert_gradients_are_differences(Model([x, unused], dense(inner(dense(x)))), two_inputs(0), 0)


@given(graphs())
def test_any_graph_can_be_described_and_copied(model):
    inner = {id(one) for layer in model.layers if isinstance(layer, Model) for one in layer.layers}
    if any(id(layer) in inner for layer in model.layers):
        with pytest.raises(ValueError, match="a layer of this model and of a model within"):
            model.to_json()
        return
    x = [numbers(BATCH, STEPS, WIDTH, seed=k, dtype="float64") for k in range(2)]
    want = model.predict(x, verbose=0)
    twin = model_from_json(model.to_json())
    twin.set_weights(model.get_weights())
    for other in (twin, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        got = other.predict(x, verbose=0)
        for a, b in zip(got, want, strict=True) if isinstance(want, list) else [(got, want)]:
            np.testing.assert_array_equal(a, b)
        assert [type(layer) for layer in other.layers] == [type(layer) for layer in model.layers]


# --- a chain ---


def chain():
    return [
        layers.Embedding(9, 6, mask_zero=True),
        layers.LSTM(5, return_sequences=True, dropout=0.2, activity_regularizer="l2", seed=1),
        layers.Bidirectional(layers.GRU(4, kernel_regularizer="l2")),
        layers.Dense(3, "softmax"),
    ]


def test_a_chain_as_a_graph_trains_with_the_bits_of_a_sequential():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 9, (32, 7)), rng.integers(0, 3, 32)
    results = []
    for make in ("sequential", "graph"):
        lstmcore.utils.set_random_seed(3)
        if make == "graph":
            first = value = Input((None,), dtype="int32")
            for layer in chain():
                value = layer(value)
            model = Model(first, value)
        else:
            model = Sequential([Input((None,), dtype="int32"), *chain()])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        history = model.fit(x, y, batch_size=8, epochs=3, verbose=0, shuffle=False).history
        results.append((history, model.get_weights(), model.predict(x, verbose=0), model.evaluate(x, y, verbose=0)))
    (history, weights, outputs, scores), (other, more, others, more_scores) = results
    assert history == other
    assert scores == more_scores
    np.testing.assert_array_equal(outputs, others)
    for a, b in zip(weights, more, strict=True):
        np.testing.assert_array_equal(a, b)


# --- several inputs, shared layers, models within ---


def encoder_decoder(units=6):
    past, future = Input((None, 4), name="past"), Input((None, 3), name="future")
    _, *state = layers.LSTM(units, return_state=True, name="encoder")(past)
    outputs, _, _ = layers.LSTM(units, return_sequences=True, return_state=True, name="decoder")(
        future, initial_state=state
    )
    return Model([past, future], layers.Dense(2, "softmax", name="head")(outputs), name="translator")


def test_an_encoder_and_decoder_are_cut_out_of_a_trained_model_loaded_from_a_file(tmp_path):
    model = encoder_decoder()
    model.compile("adam", "categorical_crossentropy")
    x = {"past": numbers(16, 5, 4), "future": numbers(16, 6, 3, seed=1)}
    y = np.eye(2, dtype="float32")[np.random.default_rng(0).integers(0, 2, (16, 6))]
    losses = model.fit(x, y, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors")
    assert [layer.name for layer in loaded.layers] == ["past", "future", "encoder", "decoder", "head"]
    encoder = Model(loaded.input[0], loaded.layers[2].output[1:])
    states = [Input((6,)), Input((6,))]
    outputs, *_ = loaded.get_layer("decoder")(loaded.input[1], initial_state=states)
    decoder = Model([loaded.input[1], *states], loaded.get_layer("head")(outputs))
    got = decoder.predict([x["future"], *encoder.predict(x["past"], verbose=0)], verbose=0)
    np.testing.assert_array_equal(got, model.predict(x, verbose=0))
    # and go on with the weights of the model they were cut out of
    loaded.fit(x, y, verbose=0)
    again = decoder.predict([x["future"], *encoder.predict(x["past"], verbose=0)], verbose=0)
    np.testing.assert_array_equal(again, loaded.predict(x, verbose=0))
    assert not np.array_equal(again, got)


def test_a_layer_called_twice_has_its_weights_once_and_both_gradients():
    left, right = Input((5, 4)), Input((5, 4))
    tower = layers.LSTM(3)
    model = Model([left, right], layers.Concatenate()([tower(left), tower(right)]))
    assert len(model.trainable_weights) == 3
    assert model.count_params() == tower.count_params()
    x, d = [numbers(2, 5, 4, seed=k) for k in range(2)], numbers(2, 6, seed=7)
    model(x, training=True)
    model.parameters.vectors.gradients.fill(0)
    model.backward(d)
    got = [v.gradient.copy() for v in model.variables]
    alone = layers.LSTM(3)
    alone.build((None, 5, 4))
    alone.set_weights(tower.get_weights())
    for v in alone.variables:
        v.gradient[...] = 0
    for part, slope in zip(x, (d[:, :3], d[:, 3:]), strict=True):
        alone(part, training=True)
        alone.backward(np.ascontiguousarray(slope))
    for ours, theirs in zip(got, alone.variables, strict=True):
        np.testing.assert_allclose(ours, theirs.gradient, rtol=1e-5, atol=1e-6)


def test_a_stateful_layer_called_twice_goes_on_from_its_last_call():
    x = Input(batch_shape=(2, 3, 4))
    layer = layers.GRU(4, return_sequences=True, stateful=True)
    model = Model(x, layer(layer(x)))
    data = numbers(2, 3, 4)
    model(data, training=True)
    want = [s.copy() for s in layer.states]
    model.backward(numbers(2, 3, 4, seed=1))
    for a, b in zip(layer.states, want, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_layers_that_are_not_trained_stay_and_gradients_end_there():
    x = Input((5, 4))
    base = Sequential([layers.LSTM(3)])
    base.trainable = False
    model = Model(x, layers.Dense(1)(base(x, training=False)))
    model.compile("sgd", "mse")
    before = base.get_weights()
    model.fit(numbers(8, 5, 4), numbers(8, 1), verbose=0)
    for a, b in zip(before, base.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_is_called_without_training_cannot_be_trained():
    x = Input((5, 4))
    model = Model(x, layers.Dense(1)(layers.LSTM(3, name="base")(x, training=False)))
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="base: is called with training=False"):
        model.train_on_batch(numbers(8, 5, 4), numbers(8, 1))


def test_a_view_that_is_trained_in_between_leaves_the_optimizer_its_state():
    def trained(looks):
        lstmcore.utils.set_random_seed(5)
        x = Input((5, 4))
        model = Model(x, layers.Dense(1)(layers.LSTM(3)(x)))
        model.compile("adam", "mse")
        for step in range(6):
            model.train_on_batch(numbers(8, 5, 4, seed=step), numbers(8, 1, seed=step + 9))
            if looks:
                view = Model(model.input, model.layers[1].output)
                view.compile("sgd", "mse")
                view.predict(numbers(2, 5, 4), verbose=0)
        return model.get_weights()

    for a, b in zip(trained(True), trained(False), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_sequential_of_the_layers_of_a_graph():
    x = Input((5, 4))
    model = Model(x, layers.Dense(1)(layers.LSTM(3)(x)))
    cut = Sequential([*model.layers[:-1], layers.Dense(2)])
    data = numbers(2, 5, 4)
    np.testing.assert_array_equal(cut.layers[0](data), Model(x, model.layers[1].output).predict(data, verbose=0))
    assert cut.output_shape == (None, 2)


def test_several_outputs_come_as_they_were_said():
    x = Input((5, 4))
    a, b = layers.LSTM(3)(x), layers.GRU(2)(x)
    data = numbers(70, 5, 4)
    by_name = Model(x, {"a": a, "b": b}).predict(data, verbose=0)
    in_list = Model(x, [a, b]).predict(data, verbose=0)
    np.testing.assert_array_equal(by_name["a"], in_list[0])
    np.testing.assert_array_equal(by_name["b"], in_list[1])
    assert in_list[1].shape == (70, 2)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda: (inner := layers.LSTM(2, dtype="float64"), layers.TimeDistributed(inner)),
        lambda: (inner := Sequential([layers.LSTM(2, dtype="float64")]), layers.TimeDistributed(inner)),
        lambda: (inner := layers.LayerNormalization(dtype="float64"), layers.TimeDistributed(inner)),
        lambda: (
            both := layers.TimeDistributed(layers.Bidirectional(layers.GRU(2, dtype="float64"))),
            both.layer.forward_layer,
        )[::-1],
        lambda: (inner := layers.Dense(3, dtype="float64"), layers.TimeDistributed(layers.Residual([inner]))),
    ],
)
def test_a_layer_within_another_may_be_called_too(wrapped):
    inner, outer = wrapped()
    documents, sentence = Input((2, 4, 3), dtype="float64"), Input((4, 3), dtype="float64")
    parts = [layers.Flatten()(outer(documents)), layers.Flatten()(inner(sentence)), layers.Flatten()(inner(sentence))]
    model = Model([documents, sentence], layers.concatenate(parts))
    rng = np.random.default_rng(3)
    x = [rng.standard_normal((3, 2, 4, 3)), rng.standard_normal((3, 4, 3))]
    assert_gradients_are_differences(model, x, 4)
    with pytest.raises(ValueError, match="which cannot be told by a configuration"):
        model.get_config()


def test_training_of_a_call_is_what_the_call_says():
    x = Input((50,))
    always = Model(x, layers.Dropout(0.5, seed=1)(x, training=True))
    never = Model(x, layers.Dropout(0.5, seed=1)(x, training=False))
    ones = np.ones((4, 50), "float32")
    assert set(np.unique(always.predict(ones, verbose=0))) == {0, 2}
    np.testing.assert_array_equal(never(ones, training=True), ones)


class Remembering(layers.Layer):
    """Keeps small things for the way back, of which two calls may have the same."""

    def forward(self, inputs, training=False, mask=None):
        self.mask, self.positive = mask, bool(inputs.sum() > 0)
        return inputs * self._factor()

    def backward(self, d_outputs, need_d_inputs=True):
        return d_outputs * self._factor()

    def _factor(self):
        factor = 2.0 if self.positive else 5.0
        return np.float32(factor if self.mask is None else factor * self.mask[:, :, None])


def test_a_shared_layer_has_what_each_call_has_kept_whatever_the_others_have():
    i, j = Input((4, 2)), Input((4, 2))
    shared = Remembering()
    dense = layers.Dense(2, use_bias=False, kernel_initializer="identity")
    model = Model([i, j], [shared(dense(i)), shared(layers.Masking()(dense(j)))])
    model.compile(lstmcore.optimizers.SGD(0.0), ["mse", "mse"])
    ones, zeros = np.ones((2, 4, 2), "float32"), np.zeros((2, 4, 2), "float32")
    padded = ones.copy()
    padded[:, 2:] = 0
    for x in ([ones, -padded], [-ones, padded], [ones, -padded], [ones, padded], [-ones, -padded], [ones, -padded]):
        model.train_on_batch(x, [zeros, zeros])
        got = dense.kernel.gradient.copy()
        np.testing.assert_allclose(got, _alone(dense, x), rtol=1e-5)


def _alone(dense, x):
    """The gradient of the kernel, where each call has a layer of its own."""
    i, j = Input((4, 2)), Input((4, 2))
    model = Model([i, j], [Remembering()(dense(i)), Remembering()(layers.Masking()(dense(j)))])
    model.compile(lstmcore.optimizers.SGD(0.0), ["mse", "mse"])
    zeros = np.zeros((2, 4, 2), "float32")
    model.train_on_batch(x, [zeros, zeros])
    return dense.kernel.gradient.copy()


def test_inputs_that_an_embedding_and_others_read():
    i = Input((4,))
    embedding = layers.Embedding(9, 3)
    ids = np.array([[1, 2, 3, 0]])
    for outputs in ([embedding(i), i * 2.5], [i * 2.5, embedding(i)]):
        parts = Model(i, outputs)(ids)
        scaled = next(part for part in parts if part.ndim == 2)
        np.testing.assert_array_equal(scaled, [[2.5, 5, 7.5, 0]])
    joined = Model(i, [embedding(i), layers.concatenate([i, i])])(ids)[1]
    np.testing.assert_array_equal(joined, np.tile(ids, 2))


def test_an_input_of_integers_takes_whole_numbers():
    i = Input((3,), dtype="int32")
    model = Model(i, i * 2)
    np.testing.assert_array_equal(model(np.array([[1.0, 2.0, 3.0]])), [[2, 4, 6]])
    with pytest.raises(TypeError, match="expected integers, got float64"):
        model(np.array([[1.5, 2.7, 3.0]]))


def test_a_model_with_call_and_operators_may_be_called_twice():
    class Squares(Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.dense = layers.Dense(2, dtype="float64")

        def call(self, inputs):
            return self.dense(inputs) ** 2 + inputs

    i = Input((2,), dtype="float64")
    squares = Squares(dtype="float64")
    assert_gradients_are_differences(Model(i, squares(squares(i))), np.random.default_rng(0).normal(size=(3, 2)), 5)


class Counting(Model):
    """A model of a graph whose class has a step of its own, as in Keras's guides."""

    steps = 0

    def train_step(self, data):
        self.steps += 1
        return super().train_step(data)


class Forecaster(Model):
    """One that draws its graph itself."""

    def __init__(self, units=3, **options):
        inputs = Input((4, 2))
        super().__init__(inputs=inputs, outputs=layers.Dense(1)(layers.LSTM(units)(inputs)), **options)
        self.units = units

    def get_config(self):
        return {"units": self.units, "name": self.name}


class Undescribed(Model):
    """One that draws its graph itself, and leaves it to us to describe it."""

    def __init__(self, units=3, **options):
        inputs = Input((4, 2))
        super().__init__(inputs, layers.Dense(1)(layers.LSTM(units)(inputs)), **options)


class Factor(Model):
    """One that does something to the symbols that it is given."""

    def __init__(self, inputs, outputs, factor=2.0, **options):
        super().__init__(inputs, outputs * factor, **options)


class Annealed(Model):
    """One with an argument of its own beside the graph."""

    def __init__(self, inputs, outputs, alpha=0.5):
        super().__init__(inputs, outputs)
        self.alpha = alpha


class Tracked(Model):
    """One that hands all arguments on, as in Keras's guides."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.tracker = metrics.Mean(name="tracked")


@pytest.mark.parametrize("kind", [Annealed, Tracked])
def test_arguments_beside_the_graph_are_kept(kind, tmp_path):
    inputs = Input((4, 2))
    model = kind(inputs, layers.Dense(2)(inputs), **({"alpha": 0.1} if kind is Annealed else {"name": "mine"}))
    x = np.ones((3, 4, 2), "float32")
    model.save(tmp_path / "m.safetensors")
    loaded = load_model(tmp_path / "m.safetensors", custom_objects={kind.__name__: kind})
    for other in (loaded, copy.deepcopy(model), pickle.loads(pickle.dumps(model)), clone_model(model)):
        assert isinstance(other, kind)
        assert getattr(other, "alpha", 0.1) == 0.1
        assert (kind is Annealed) != (other.name == "mine")
    np.testing.assert_array_equal(loaded(x), model(x))


def test_a_graph_made_of_symbols_that_its_class_changes_cannot_be_described(tmp_path):
    inputs = Input((4, 2))
    model = Factor(inputs, layers.Dense(2)(inputs), 3.0, name="mine")
    for described in (model.get_config, lambda: copy.deepcopy(model), lambda: model.save(tmp_path / "m.safetensors")):
        with pytest.raises(TypeError, match="mine: is made of other symbols than its class is given"):
            described()
    with pytest.raises(NotImplementedError, match="clone_function"):
        clone_model(model, clone_function=lambda layer: layer)


@pytest.mark.parametrize("kind", [Counting, Forecaster, Undescribed])
def test_a_class_of_ones_own_may_be_a_graph(kind, tmp_path):
    inputs = Input((4, 2))
    graph = [inputs, layers.Dense(1)(layers.LSTM(3)(inputs))] if kind is Counting else [5]
    model = kind(*graph, name="mine")
    assert isinstance(model, kind)
    assert isinstance(model, Model)
    assert (model.name, type(model).__name__) == ("mine", kind.__name__)
    assert [type(layer).__name__ for layer in model.layers] == ["InputLayer", "LSTM", "Dense"]
    plain = Model(model.input, model.output)
    x, y = np.ones((6, 4, 2), "float32"), np.zeros((6, 1), "float32")
    np.testing.assert_array_equal(model.predict(x, verbose=0), plain.predict(x, verbose=0))
    model.compile("sgd", "mse")
    model.fit(x, y, epochs=2, batch_size=3, verbose=0)
    assert getattr(model, "steps", 4) == 4
    model.save(tmp_path / "mine.safetensors")
    loaded = load_model(tmp_path / "mine.safetensors", custom_objects={kind.__name__: kind})
    for other in (loaded, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert isinstance(other, kind)
        np.testing.assert_array_equal(other.predict(x, verbose=0), model.predict(x, verbose=0))
    assert isinstance(clone_model(model), kind)


def test_a_class_with_passes_is_no_graph():
    inputs = Input((4, 2))
    for name, more in (("call", {}), ("forward", {"backward": lambda self, d, need_d_inputs=True: d})):
        own = type("Own", (Model,), {name: lambda self, inputs, training=False: inputs} | more)
        with pytest.raises(TypeError, match=rf"Own: inputs, outputs: expected none, for {name} says what it does"):
            own(inputs, inputs)


def test_what_cannot_be_told_by_a_configuration():
    x, inside = Input((3,)), Input((3,))
    inner = Model(inside, layers.Dense(3, name="both")(inside))
    middle = Sequential([x, inner])
    model = Model(x, layers.add([middle(x), inner(x)]))
    model.compile("sgd", "mse")
    model.train_on_batch(numbers(4, 3), numbers(4, 3, seed=1))
    for told in (model.get_config, model.to_json, lambda: copy.deepcopy(model)):
        with pytest.raises(ValueError, match="is a layer of this model and of a model within"):
            told()


def test_a_model_within_takes_its_inputs_by_name():
    a, b = Input((3,)), Input((3,))
    inner = Model({"a": a, "b": b}, a - b)
    p, q = Input((3,)), Input((3,))
    x, y = numbers(2, 3), numbers(2, 3, seed=1)
    model = Model([p, q], inner({"b": q, "a": p}))
    np.testing.assert_array_equal(model.predict([x, y], verbose=0), x - y)
    with pytest.raises(ValueError, match="expected a, b, got a, c"):
        inner({"a": p, "c": q})


def test_outputs_share_no_memory_with_one_another():
    x = Input((3,))
    h = layers.Dense(2)(x)
    model, data = Model(x, [h, h, layers.Dropout(0.5)(h)]), numbers(2, 3)
    for outputs in (model(data), model.predict(data, verbose=0), model.predict_on_batch(data)):
        kept = outputs[1].copy()
        outputs[0][...] = 7
        np.testing.assert_array_equal(outputs[1], kept)
        np.testing.assert_array_equal(outputs[2], kept)


def test_inputs_may_be_nested_as_outputs_may():
    a, b, c = Input((3,)), Input((3,)), Input((3,))
    x, y, z = (numbers(5, 3, seed=k) for k in range(3))
    for said, data in (([a, [b, c]], [x, [y, z]]), ({"p": a, "q": [b, {"r": c}]}, {"p": x, "q": [y, {"r": z}]})):
        model = Model(said, layers.add([layers.subtract([a, b]), c]))
        np.testing.assert_allclose(model.predict(data, verbose=0), x - y + z, rtol=1e-6)
        np.testing.assert_array_equal(model(data), model.predict(data, verbose=0, batch_size=2))
        model.compile("sgd", "mse")
        assert len(model.fit(data, x, verbose=0).history["loss"]) == 1
        with pytest.raises(ValueError, match="expected arrays as the inputs are said"):
            model.predict_on_batch([x, y, z])


def test_masks_go_from_layer_to_layer():
    x = Input((5, 4))
    layer = layers.LSTM(3)
    with pytest.raises(TypeError, match="mask: expected a symbol"):
        layer(x, mask=np.ones((2, 5), bool))
    masked = layers.Masking()(x)
    model = Model(x, layer(masked))
    data = numbers(2, 5, 4)
    data[0, 3:] = 0
    np.testing.assert_array_equal(model.predict(data, verbose=0), layer(data, mask=(data != 0).any(-1)))


# --- bad input ---


def test_what_cannot_be_a_graph_is_told():
    x, other = Input((5, 4), name="x"), Input((5, 4), name="other")
    y = layers.Add(name="sum")([x, other])
    with pytest.raises(ValueError, match="inputs: expected all that the outputs are made from, but other"):
        Model(x, y)
    with pytest.raises(TypeError, match="inputs: expected symbols, got array"):
        Model(np.zeros((2, 5, 4)), y)
    with pytest.raises(ValueError, match="expected each symbol once"):
        Model([x, x], y)
    one, two = layers.Dense(2, name="same"), layers.Dense(2, name="same")
    with pytest.raises(ValueError, match="a name of its own for every layer, got 'same' again"):
        Model(x, two(one(x)))
    with pytest.raises(TypeError, match="expected arrays only, or symbols only"):
        layers.LSTM(3)(np.zeros((2, 5, 4), "float32"), initial_state=[Input((3,)), Input((3,))])
    with pytest.raises(TypeError, match="initial_state: expected symbols for a graph, got an array"):
        layers.LSTM(3)(x, initial_state=[np.zeros((2, 3)), np.zeros((2, 3))])
    with pytest.raises(TypeError, match="stands for an array and has no numbers"):
        np.tanh(x)
    with pytest.raises(TypeError, match="has no numbers yet"):
        bool(x)
    with pytest.raises(TypeError, match="unexpected argument 'initial_state'"):
        Model(x, layers.LSTM(3)(x))(other, initial_state=[Input((3,)), Input((3,))])
    with pytest.raises(ValueError, match=r"lstm_?\d*: inputs: expected"):
        layers.LSTM(3)(layers.Dense(2)(layers.LSTM(3)(x)))
    model = Model([x, other], y)
    with pytest.raises(ValueError, match="expected 2 arrays, for x, other, got 1"):
        model.predict([np.zeros((2, 5, 4))], verbose=0)
    with pytest.raises(ValueError, match="expected x, other, got x, y"):
        model.predict({"x": np.zeros((2, 5, 4)), "y": np.zeros((2, 5, 4))}, verbose=0)
    with pytest.raises(ValueError, match=r"other: expected shape \(None, 5, 4\), got \(2, 6, 4\)"):
        model.predict([np.zeros((2, 5, 4)), np.zeros((2, 6, 4))], verbose=0)
    with pytest.raises(ValueError, match=r"x\[1\]: expected 2 rows as in x\[0\], got shape \(3, 5, 4\)"):
        model.predict([np.zeros((2, 5, 4)), np.zeros((3, 5, 4))], verbose=0)
    with pytest.raises(TypeError, match=r"x\[0\]: expected an array, got <Symbol"):
        model.predict([x, np.zeros((2, 5, 4))], verbose=0)
    for kind in (float, int, complex):
        with pytest.raises(TypeError, match="has no numbers yet, so that it is no number"):
            kind(x)
    with pytest.raises(ValueError, match=r"cell: initial_state: c: expected shape \(2, 3\), got \(2, 4\)"):
        layers.LSTM(3, name="cell")(np.zeros((2, 5, 4), "float32"), initial_state=[np.zeros((2, 3)), np.zeros((2, 4))])
    # What was given is not printed without end.
    for wrong in (lambda: Model(np.zeros((9, 99)), y), lambda: layers.add([x, np.zeros((9, 99))])):
        with pytest.raises(TypeError) as told:
            wrong()
        assert len(str(told.value)) < 400


def test_clones_have_weights_of_their_own():
    model = encoder_decoder()
    twin = clone_model(model)
    assert [v.shape for v in twin.variables] == [v.shape for v in model.variables]
    assert not any(a is b for a, b in zip(twin.variables, model.variables, strict=True))


# --- Keras ---


@pytest.fixture
def keras(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras")


def assert_losses_are_those_of_keras(keras, ours, theirs, x, y, loss, options=None, sample_weight=None):
    """Hold 50 steps on the same data from the same weights against Keras, number by number and name by name."""
    assert [type(layer).__name__ for layer in ours.layers] == [type(layer).__name__ for layer in theirs.layers]
    ours.set_weights(theirs.get_weights())
    for model, optimizers in ((ours, lstmcore.optimizers), (theirs, keras.optimizers)):
        model.compile(optimizers.Adam(0.01), loss, **(options or {}))
    for _ in range(50):
        got, want = (model.train_on_batch(x, y, sample_weight, return_dict=True) for model in (ours, theirs))
        assert got.keys() == want.keys()
        for name, value in want.items():
            assert float(got[name]) == pytest.approx(float(value), abs=1e-4), name


@pytest.mark.peer
def test_an_encoder_decoder_trains_as_that_of_keras(keras):
    past, future = keras.Input((None, 4), name="past"), keras.Input((None, 3), name="future")
    _, h, c = keras.layers.LSTM(6, return_state=True)(past)
    outputs, _, _ = keras.layers.LSTM(6, return_sequences=True, return_state=True)(future, initial_state=[h, c])
    theirs = keras.Model([past, future], keras.layers.Dense(2, activation="softmax")(outputs))
    x = [numbers(16, 5, 4), numbers(16, 6, 3, seed=1)]
    y = np.eye(2, dtype="float32")[np.random.default_rng(0).integers(0, 2, (16, 6))]
    assert_losses_are_those_of_keras(keras, encoder_decoder(), theirs, x, y, "categorical_crossentropy")


def drawn(module, seed):
    """Return a model, the same for both libraries, whose layers have been called in a random order."""
    rng, kinds = random.Random(seed), module.layers
    inputs = [module.Input((4, 3), name=f"input{k}") for k in range(rng.randint(1, 3))]
    values, shared = list(inputs), [kinds.Dense(3, name=f"shared{k}") for k in range(2)]
    for k in range(rng.randint(2, 9)):
        x, other = rng.choice(values), rng.choice(values)
        what = rng.choice(["new", "shared", "add", "states"])
        if what == "new":
            values.append(kinds.Dense(3, name=f"new{k}")(x))
        elif what == "shared":
            values.append(rng.choice(shared)(x))
        elif what == "add":
            values.append(kinds.Add(name=f"add{k}")([x, other]))
        else:
            outputs, *states = kinds.LSTM(3, return_sequences=True, return_state=True, name=f"from{k}")(x)
            values.append(kinds.LSTM(3, return_sequences=True, name=f"to{k}")(other, initial_state=states))
            values += rng.choice([[], [outputs]])
    made = values[len(inputs) :]
    outputs = rng.sample(made, rng.randint(2, min(4, len(made))))
    names = rng.sample("abcdz", len(outputs))
    return module.Model(inputs, rng.choice([outputs, dict(zip(names, outputs, strict=True))]))


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(40))
def test_layers_and_weights_are_in_the_order_of_keras(keras, seed):
    ours, theirs = drawn(lstmcore, seed), drawn(keras, seed)
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    assert [v.shape for v in ours.weights] == [tuple(v.shape) for v in theirs.weights]


def test_layers_are_in_the_order_of_the_outputs_whatever_was_called_first():
    x = Input((5, 3), name="x")
    last = layers.Dense(1, name="last")(x)
    deep = layers.Dense(1, name="deep")(layers.LSTM(2, name="lstm")(x))
    first = layers.Dense(1, name="first")(x)
    assert [layer.name for layer in Model(x, [first, deep, last]).layers] == ["x", "lstm", "first", "deep", "last"]
    by_name = Model(x, {"c": last, "b": deep, "a": first})
    assert [layer.name for layer in by_name.layers] == ["x", "lstm", "first", "deep", "last"]
    assert by_name.output_names == ["c", "b", "a"]


class Distance(layers.Layer):
    """|a - b|"""

    takes_several = True

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def forward(self, inputs, training=False):
        difference = inputs[0] - inputs[1]
        self._cache = np.sign(difference)
        return np.abs(difference)

    def backward(self, d_outputs, need_d_inputs=True):
        d = d_outputs * self.kept()
        return [d, -d]


@pytest.mark.peer
@pytest.mark.parametrize("merge", ["distance", "concatenate"])
def test_a_siamese_model_trains_as_that_of_keras(keras, merge):
    class KerasDistance(keras.layers.Layer):
        def call(self, inputs):
            return keras.ops.abs(inputs[0] - inputs[1])

    KerasDistance.__name__ = "Distance"

    def made(module, distance):
        kinds = module.layers
        left, right = module.Input((None, 4), name="left"), module.Input((None, 4), name="right")
        tower = kinds.LSTM(6, name="tower")
        merged = (distance if merge == "distance" else kinds.Concatenate)()([tower(left), tower(right)])
        return module.Model([left, right], kinds.Dense(1, activation="sigmoid")(merged))

    x = {"left": numbers(16, 5, 4), "right": numbers(16, 5, 4, seed=1)}
    y = (np.random.default_rng(0).random((16, 1)) < 0.5).astype("float32")
    ours, theirs = made(lstmcore, Distance), made(keras, KerasDistance)
    assert len(ours.trainable_weights) == 5
    assert_losses_are_those_of_keras(keras, ours, theirs, x, y, "binary_crossentropy", {"metrics": ["accuracy"]})


@pytest.mark.peer
@pytest.mark.parametrize("by_name", [False, True])
def test_a_model_with_two_outputs_trains_as_that_of_keras(keras, by_name):
    def made(module):
        kinds = module.layers
        words = module.Input((None,), dtype="int32", name="words")
        masked = kinds.Embedding(9, 5, mask_zero=True)(words)
        steps = kinds.LSTM(6, return_sequences=True)(masked)
        tags = kinds.Dense(3, activation="softmax", name="tags")(steps)
        mood = kinds.Dense(1, activation="sigmoid", name="mood")(kinds.GRU(4)(steps))
        return module.Model(words, {"tags": tags, "mood": mood} if by_name else [tags, mood])

    rng = np.random.default_rng(0)
    x = rng.integers(1, 9, (16, 7)).astype("int32")
    x[np.arange(7) >= rng.integers(2, 8, 16)[:, None]] = 0
    targets = {"tags": rng.integers(0, 3, (16, 7)), "mood": rng.integers(0, 2, (16, 1)).astype("float32")}
    weights = {"tags": rng.random((16, 7)).astype("float32"), "mood": rng.random(16).astype("float32")}
    y, sample_weight = (part if by_name else list(part.values()) for part in (targets, weights))
    loss = {"tags": "sparse_categorical_crossentropy", "mood": "binary_crossentropy"}
    options = {
        "loss_weights": {"tags": 0.5, "mood": 2.0},
        "metrics": {"tags": ["accuracy"], "mood": ["accuracy", "mse"]},
        "weighted_metrics": {"tags": [], "mood": ["mse", "mae"]},
    }
    assert_losses_are_those_of_keras(keras, made(lstmcore), made(keras), x, y, loss, options, sample_weight)


@pytest.mark.peer
@pytest.mark.parametrize("kind", ["dot", "scaled", "concat", "additive", "heads"])
def test_a_model_with_attention_trains_as_that_of_keras(keras, kind):
    def made(module):
        kinds = module.layers
        words = module.Input((None,), dtype="int32", name="words")
        future = module.Input((6, 3), name="future")
        known = kinds.Bidirectional(kinds.LSTM(4, return_sequences=True))(kinds.Embedding(9, 5, mask_zero=True)(words))
        asked = kinds.GRU(8, return_sequences=True)(future)
        if kind == "heads":
            found = kinds.MultiHeadAttention(2, 4)(asked, known)
        elif kind == "additive":
            found = kinds.AdditiveAttention()([asked, known])
        else:
            options = {"use_scale": kind == "scaled", "score_mode": "concat" if kind == "concat" else "dot"}
            found = kinds.Attention(**options)([asked, known])
        both = kinds.Concatenate()([asked, found])
        return module.Model([words, future], kinds.Dense(2, activation="softmax")(both))

    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 9, (16, 7)).astype("int32")
    tokens[np.arange(7) >= rng.integers(2, 8, 16)[:, None]] = 0
    y = np.eye(2, dtype="float32")[rng.integers(0, 2, (16, 6))]
    ours, theirs = made(lstmcore), made(keras)
    assert_losses_are_those_of_keras(keras, ours, theirs, [tokens, numbers(16, 6, 3)], y, "categorical_crossentropy")


def test_a_model_whose_layers_have_got_one_name_is_not_saved(tmp_path):
    i = Input((3,))
    graph = Model(i, layers.Dense(1, name="b")(layers.Dense(2, name="a")(i)))
    chain = Sequential([layers.Dense(2, name="a", input_shape=(3,)), layers.Dense(1, name="b")])
    for model in (graph, chain):
        model.get_layer("a").name = "b"
        with pytest.raises(ValueError, match="expected a name of its own for every layer, got 'b' again"):
            model.save(tmp_path / "model.safetensors")
        assert not (tmp_path / "model.safetensors").exists()
        model.layers[-1].name = "c"
        model.save(tmp_path / "model.safetensors")
        load_model(tmp_path / "model.safetensors")
        (tmp_path / "model.safetensors").unlink()


def test_keys_of_inputs_and_outputs_may_be_numbers():
    i, j = Input((3,)), Input((3,))
    dense = layers.Dense(1, kernel_initializer="ones")
    model = Model({0: i, 1: j}, {0: dense(i), 1: dense(layers.subtract([i, j]))})
    x, y = np.arange(6.0).reshape(2, 3), np.ones((2, 3))
    outputs = model.predict({1: y, 0: x}, verbose=0)
    np.testing.assert_allclose(list(outputs.values()), [x.sum(1, keepdims=True), (x - y).sum(1, keepdims=True)])
    model.compile("sgd", "mse")
    value = model.evaluate({0: x, 1: y}, {0: outputs["0"] + 1, 1: outputs["1"] + 2}, verbose=0)
    np.testing.assert_allclose(value, [5, 1, 4])


def test_two_targets_for_one_output_are_refused():
    """Also where there are as many rows as targets, which might be one array in pieces."""
    i = Input((3,))
    model = Model(i, layers.Dense(1)(i))
    model.compile("sgd", "mse")
    x, y = np.ones((2, 3)), np.ones((2, 1))
    for use in (model.train_on_batch, model.test_on_batch, model.fit, model.evaluate):
        with pytest.raises(ValueError, match="y: expected one array, for the model has one output; got a list of 2"):
            use(x, [y, y])
        use(x, [y])
    model.train_on_batch(x, [np.ones(1), np.ones(1)])  # the rows of one
