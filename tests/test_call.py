"""Keras's ``call``: models and layers of the user's whose backward pass nobody writes."""

import copy
import pickle
import threading
from typing import Any, NamedTuple

import numpy as np
import pytest
from layer_tools import numbers

import lstmcore
from lstmcore import Input, Model, Sequential, layers, metrics, models
from lstmcore.utils import check_gradients


class Classifier(Model):
    """Tokens, a mask, dropout that goes by ``training``."""

    def __init__(self, classes=3, **options):
        super().__init__(**options)
        self.embedding = layers.Embedding(20, 4, mask_zero=True)
        self.lstm = layers.LSTM(5)
        self.dropout = layers.Dropout(0.4, seed=3)
        self.dense = layers.Dense(classes, activation="softmax")

    def call(self, inputs, training=None):
        x = self.lstm(self.embedding(inputs))
        return self.dense(self.dropout(x, training=training))


class Towers(Model):
    """Several inputs and outputs, a layer that is called twice."""

    def __init__(self, **options):
        super().__init__(**options)
        self.tower = layers.GRU(4)
        self.price, self.sign = layers.Dense(1), layers.Dense(1, activation="sigmoid")

    def call(self, inputs):
        both = layers.concatenate([self.tower(inputs["a"]), self.tower(inputs["b"])])
        return {"price": self.price(both), "sign": self.sign(both)}


class Gate(layers.Layer):
    """A layer made of layers, with a second argument that is an array."""

    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = units
        self.first, self.second = layers.Dense(units, dtype=self.dtype), layers.Dense(units, dtype=self.dtype)

    def call(self, query, values, training=None):
        return layers.add([self.first(query), self.second(values)])


TOKENS = np.random.default_rng(0).integers(0, 20, (12, 7))
TOKENS[:, 5:] = 0
CLASSES = np.random.default_rng(1).integers(0, 3, 12)


def as_chain(model):
    chain = Sequential(
        [
            layers.Embedding(20, 4, mask_zero=True),
            layers.LSTM(5),
            layers.Dropout(0.4, seed=3),
            layers.Dense(3, activation="softmax"),
        ]
    )
    chain.build((None, 7))
    chain.set_weights(model.get_weights())
    return chain


def test_a_model_with_call_has_the_bits_of_the_chain_masks_and_dropout_too():
    model = Classifier()
    model(TOKENS)
    chain = as_chain(model)
    np.testing.assert_array_equal(model.predict(TOKENS, verbose=0), chain.predict(TOKENS, verbose=0))
    results = []
    for one in (model, chain):
        one.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        history = one.fit(TOKENS, CLASSES, epochs=4, batch_size=5, shuffle=False, verbose=0).history
        results.append((history, one.get_weights(), one.evaluate(TOKENS, CLASSES, verbose=0)))
    assert results[0][0] == results[1][0]
    assert results[0][2] == results[1][2]
    for a, b in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_padding_does_not_matter_within_a_subclass():
    model = Classifier()
    np.testing.assert_array_equal(model(TOKENS), model(TOKENS[:, :5]))
    bare = as_chain(model)
    bare.layers[0].mask_zero = False
    assert not np.allclose(bare(TOKENS), model(TOKENS))


def test_call_is_drawn_once_for_a_structure():
    drawn = []

    class Counting(Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, inputs):
            drawn.append(inputs.shape)
            return self.dense(inputs)

    model = Counting()
    model.compile("sgd", "mse")
    model.fit(numbers(20, 4, 3), numbers(20, 4, 2), verbose=0, epochs=3)
    model.predict(numbers(3, 9, 3), verbose=0)
    assert drawn == [(None, None, 3)]
    model(numbers(3, 3))
    assert drawn[1:] == [(None, 3)]


def test_call_may_go_over_the_steps_whose_number_it_then_knows():
    class Sums(Model):
        def __init__(self):
            super().__init__()
            self.cut = [layers.Cropping1D((k, 4 - k)) for k in range(5)]
            self.dense = layers.Dense(2)

        def call(self, inputs):
            parts = [self.dense(self.cut[k](inputs)) for k in range(inputs.shape[1])]
            return layers.add(parts)

    model = Sums()
    x = numbers(3, 5, 2)
    expected = model(x)
    np.testing.assert_allclose(expected, model.dense(x).sum(1, keepdims=True), rtol=1e-5)


@pytest.mark.parametrize("make", [Towers, Classifier])
def test_models_with_call_are_saved_and_copied(make, tmp_path):
    model = make()
    if make is Towers:
        x, y = {"a": numbers(6, 4, 2), "b": numbers(6, 4, 2)}, {"price": numbers(6, 1), "sign": np.ones((6, 1))}
        model.compile("adam", {"price": "mse", "sign": "binary_crossentropy"}, metrics={"sign": ["accuracy"]})
    else:
        x, y = TOKENS, CLASSES
        model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x, y, verbose=0)
    outputs = model.predict(x, verbose=0)
    model.save(tmp_path / "model.safetensors")
    with lstmcore.utils.custom_object_scope({make.__name__: make}):
        loaded = models.load_model(tmp_path / "model.safetensors")
    for other in (loaded, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        again = other.predict(x, verbose=0)
        for one, two in zip(*([v.values() if make is Towers else [v] for v in (outputs, again)]), strict=True):
            np.testing.assert_array_equal(one, two)
    assert loaded.train_on_batch(x, y) == model.train_on_batch(x, y)


def test_several_outputs_train_from_the_first_data_on():
    model = Towers()
    model.compile("sgd", {"price": "mse", "sign": "binary_crossentropy"}, loss_weights={"sign": 0.5})
    x, y = {"a": numbers(6, 4, 2), "b": numbers(6, 4, 2)}, {"price": numbers(6, 1), "sign": np.ones((6, 1))}
    logs = model.fit(x, y, verbose=0, validation_data=(x, y)).history
    assert set(logs) == {n for k in ("loss", "price_loss", "sign_loss") for n in (k, f"val_{k}")}
    with pytest.raises(ValueError, match=r"y\[.sign.\]: expected an array, for that output has a loss; got none"):
        model.fit(x, {"price": numbers(6, 1)}, verbose=0)


def differences(function, array, step=1e-6):
    gradient = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        moved = [array.copy(), array.copy()]
        moved[0][index] += step
        moved[1][index] -= step
        gradient[index] = (function(moved[0]) - function(moved[1])) / (2 * step)
    return gradient


def test_a_layer_with_call_has_the_gradients_of_differences_in_a_graph_that_calls_it_twice():
    q, v = Input((3,), dtype="float64"), Input((3,), dtype="float64")
    gate = Gate(3, dtype="float64")
    model = Model([q, v], gate(gate(q, v), values=v))
    assert gate.count_params() == 24
    a, b, to = numbers(2, 3, dtype="float64"), numbers(2, 3, dtype="float64"), numbers(2, 3, dtype="float64")

    def objective(a, b):
        return (model.predict([a, b], verbose=0) * to).sum()

    model.compile("sgd", "mse")
    model.parameters.vectors.gradients.fill(0)
    model.forward([a, b], training=True)
    d_a, d_b = model.backward(to)
    np.testing.assert_allclose(d_a, differences(lambda m: objective(m, b), a), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(d_b, differences(lambda m: objective(a, m), b), rtol=1e-7, atol=1e-9)
    for variable in gate.variables:
        value, gradient = variable.numpy(), variable.gradient.copy()

        def of(moved, variable=variable):
            variable.assign(moved)
            return objective(a, b)

        np.testing.assert_allclose(gradient, differences(of, value), rtol=1e-7, atol=1e-9)
        variable.assign(value)
    clone = type(model).from_config(model.get_config(), {"Gate": Gate})
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone.predict([a, b], verbose=0), model.predict([a, b], verbose=0))


def test_a_mask_can_be_looked_at_in_call():
    class Masked(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.lstm = layers.LSTM(4)

        def call(self, inputs, mask=None):
            return self.lstm(inputs, mask=mask)

    layer, x = Masked(), numbers(2, 5, 3)
    mask = np.arange(5) < np.array([[3], [5]])
    np.testing.assert_array_equal(layer(x, mask=mask), layer.lstm(x, mask=mask))
    np.testing.assert_array_equal(layer(x), layer.lstm(x))
    x[0, 3:] = 0
    model = Sequential([layers.Masking(), layer])
    np.testing.assert_array_equal(model(x), layer.lstm(x, mask=mask))


def test_training_of_a_call_that_branches():
    class Noisy(Model):
        def __init__(self):
            super().__init__()
            self.dense, self.other = layers.Dense(2), layers.Dense(2)

        def call(self, inputs, training=False):
            return self.dense(inputs) if training else self.other(self.dense(inputs))

    model, x = Noisy(), numbers(2, 3)
    np.testing.assert_array_equal(model(x), model.other(model.dense(x)))
    np.testing.assert_array_equal(model(x, training=True), model.dense(x))


def test_a_call_may_return_a_tuple():
    class Pair(Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = layers.Dense(2, name="first"), layers.Dense(1, name="second")

        def call(self, inputs):
            return self.first(inputs), self.second(inputs)

    model, x = Pair(), numbers(4, 3)
    model.compile("sgd", ["mse", "mae"], metrics=[["mae"], []])
    logs = model.fit(x, (numbers(4, 2), numbers(4, 1)), verbose=0).history
    assert set(logs) == {"loss", "first_loss", "second_loss", "first_mae"}
    assert [part.shape for part in model.predict(x, verbose=0)] == [(4, 2), (4, 1)]


class Pair(NamedTuple):
    price: Any
    sign: Any


def test_a_call_may_return_a_named_tuple():
    model, x = failing(lambda self, x: Pair(self.dense(x), 2 * self.dense(x)))(), numbers(4, 3)
    outputs = model(x)
    assert isinstance(outputs, Pair)
    np.testing.assert_array_equal(outputs.sign, 2 * outputs.price)
    np.testing.assert_allclose(model.predict(x, batch_size=3, verbose=0).sign, outputs.sign, rtol=1e-6)
    assert model.compute_output_shape((7, 3)) == Pair(*(part.shape for part in model(numbers(7, 3))))
    function = layers.Lambda(lambda x: Pair(x, x > 0))
    drawn, found = function(Input((3,))), function(x)
    assert isinstance(drawn, Pair)
    assert isinstance(found, Pair)
    assert (drawn.sign.dtype, drawn.sign.shape, found.sign.dtype) == (bool, (None, 3), bool)


def test_arguments_that_are_no_arrays_are_told_apart():
    class Least(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.same = layers.Identity()

        def call(self, inputs, keep=None, mask=None):
            return self.same(inputs) * float(min(keep))

    layer, x = Least(), np.ones((2, 3), "float32")
    assert [float(layer(x, keep={k})[0, 0]) for k in (2, 3, 4)] == [2, 3, 4]
    pair = [x, 2 * x]

    class Joined(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.join = layers.Concatenate(axis=1)

        def call(self, inputs, mask=None):
            return self.join(inputs)

    three = [part[:, :, None] for part in pair]
    mask = [np.array([[True, True, False]] * 2), None]
    np.testing.assert_array_equal(Joined()(three, mask=mask), np.concatenate(three, axis=1))


# --- bad input ---


def test_a_model_within_itself_says_so():
    class Within(Model):
        def __init__(self):
            super().__init__()
            self.parts = [Sequential([self])]

    with pytest.raises(ValueError, match="Within: parts: expected layers, got one that the model is within"):
        Within()
    with pytest.raises(RecursionError, match=r"^failing.*: call: calls itself, or what calls it, without end$"):
        failing(lambda self, x: self(self.dense(x)))()(numbers(2, 2))


def failing(call, build=None, base=Model):
    class Failing(base):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

    Failing.call = call
    return type("Failing", (Failing,), {"call": call})


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda self, x: layers.Dense(2)(self.dense(x)), ValueError, "none of its attributes"),
        (lambda self, x: np.tanh(self.dense(x)), TypeError, "stands for an array"),
        (lambda self, x: self.dense(x) if x else x, TypeError, "has no numbers yet"),
        (lambda self, x: 5.0, TypeError, "call: expected it to return what layers return"),
        (lambda self, x: self.dense(x) * (2 * self.dense.bias), TypeError, "value of dense.*/bias while it is drawn"),
        (lambda self, x: self.dense(x) + self.dense.bias.numpy(), TypeError, "value of dense.*/bias while"),
        (lambda self, x, y: self.dense(x), TypeError, "y"),
    ],
)
def test_a_call_that_cannot_be_drawn_says_why(call, error, text):
    with pytest.raises(error, match=text):
        failing(call)()(numbers(2, 3))


def test_layers_that_call_does_not_use_stay_without_weights(tmp_path):
    class Some(Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.dense, self.spare = layers.Dense(2), layers.Dense(3, name="spare")

        def call(self, inputs):
            return self.dense(inputs)

    model, x, y = Some(), numbers(4, 3), numbers(4, 2)
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="call does not use spare; what has no weights is not trained"):
        model.fit(x, y, verbose=0)
    assert [v.path.rpartition("/")[2] for v in model.weights] == ["kernel", "bias"]
    assert not model.spare.built
    assert "spare" in [layer.name for layer in model.layers]
    model.summary(print_fn=lambda line: None)
    model.save(tmp_path / "some.safetensors")
    with pytest.warns(UserWarning, match="does not use spare"):
        again = models.load_model(tmp_path / "some.safetensors", custom_objects={"Some": Some})
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize("sizes", [(5, 2), (3, 3), (1, 4)])
def test_a_call_that_looks_at_sizes_is_drawn_for_each(sizes):
    def cropped(self, x):
        return self.dense(x["a"])[:, : x["b"].shape[1]]

    def told(self, x):
        _, steps, _ = self.dense(x["a"]).shape
        return self.dense(x["a"]) * (2.0 if steps == 1 or x["a"].shape[1:] == x["b"].shape[1:] else 3.0)

    a, b = numbers(2, sizes[0], 3), numbers(2, sizes[1], 3)
    for call in (cropped, told):
        model = failing(call)()
        model({"a": numbers(2, 7, 3), "b": numbers(2, 6, 3)})  # of other sizes
        dense = model.dense(a)
        want = dense[:, : sizes[1]] if call is cropped else dense * (3 if sizes == (5, 2) else 2)
        np.testing.assert_array_equal(model({"a": a, "b": b}), want)
        assert model.compute_mask is not None


def test_the_batch_is_no_size_that_is_known():
    seen = []

    def look(self, x):
        seen.append((x.shape[0], x.shape[-1], len(x.shape), x.ndim))
        return self.dense(x)

    model = failing(look)()
    for steps in (2, 5, 9):
        model(numbers(4, steps, 3))
    assert seen == [(None, 3, 3, 3)] * len(seen)
    assert len(seen) <= 2  # for prediction and training, whatever the steps


@pytest.mark.parametrize("change", ["set", "append", "pop", "none"])
def test_layers_of_a_drawn_call_stay(change):
    class Stack(Model):
        def __init__(self):
            super().__init__()
            self.stack, self.head = [layers.Dense(3), layers.Dense(4)], layers.Dense(2)

        def call(self, inputs):
            for layer in self.stack:
                inputs = layer(inputs)
            return inputs if self.head is None else self.head(inputs)

    model, x = Stack(), numbers(5, 3)
    model.head = layers.Dense(1)  # before there are weights
    assert model(x).shape == (5, 1)
    model.head = model.head
    changes = {
        "set": lambda: setattr(model, "head", layers.Dense(2)),
        "append": lambda: model.stack.append(layers.Dense(2)),
        "pop": lambda: model.stack.pop(),
        "none": lambda: setattr(model, "head", None),
    }
    with pytest.raises(ValueError, match=r"stack\w*: (head|stack): expected the layers that were there when its call"):
        changes[change]()
        model.predict(x, verbose=0)


def test_a_number_cannot_be_added_to_the_loss_while_a_call_is_drawn():
    class Adding(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.dense = layers.Dense(2)

        def call(self, inputs):
            self.add_loss(0.5)
            return self.dense(inputs)

    with pytest.raises(TypeError, match=r"adding.*: call: add_loss: would add what it is now"):
        Adding()(numbers(2, 3))


class Beside(layers.Layer):
    """Adds to the loss and measures, with layers within."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dense = layers.Dense(3, dtype=self.dtype)
        self.seen, self.far = metrics.Mean("seen"), [metrics.MeanSquaredError("far")]

    def call(self, inputs):
        outputs = self.dense(inputs)
        self.add_loss([outputs * outputs * 0.5, outputs[:, 0]])
        self.seen.update_state(outputs)
        self.far[0].update_state(inputs, y_pred=outputs, sample_weight=None)
        return outputs


class ModelBeside(Model):
    """The same as a model."""

    def __init__(self, inner, **options):
        super().__init__(**options)
        self.inner, self.last = inner, layers.Dense(3, dtype=inner.dtype)

    def call(self, inputs):
        outputs = self.inner(inputs)
        self.add_loss(outputs * 0.25)
        return self.last(outputs)


@pytest.mark.parametrize("times", [1, 2])
def test_what_a_drawn_call_adds_to_the_loss_and_shows_to_metrics(times):
    """As in Keras: sums are added, at every call, and have gradients."""
    layer = Beside(dtype="float64")
    x = Input((3,), dtype="float64")
    outputs = x
    for _ in range(times):
        outputs = layer(outputs)
    model = Model(x, layers.Dense(2, dtype="float64")(outputs))
    data, y = numbers(4, 3), numbers(4, 2, seed=1)
    model.compile("sgd", "mse")
    assert check_gradients(model, data, y).ok
    now, value, seen, far = data, np.square(model(data) - y).mean(), [], []
    for _ in range(times):
        before, now = now, now @ layer.dense.kernel.value + layer.dense.bias.value
        value += 0.5 * np.square(now).sum() + now[:, 0].sum()
        seen.append(now.mean())
        far.append(np.square(now - before).mean())
    want = {"loss": value, "seen": np.mean(seen), "far": np.mean(far)}
    assert model.evaluate(data, y, verbose=0, return_dict=True) == pytest.approx(want)
    assert model.train_on_batch(data, y, return_dict=True) == pytest.approx(want)
    assert set(model.fit(data, y, validation_split=0.5, verbose=0).history) == {*want, *(f"val_{n}" for n in want)}


def test_a_model_of_ones_own_adds_to_its_loss_and_learns_by_that_alone():
    model = ModelBeside(Beside(dtype="float64"))
    data = numbers(4, 3)
    model.compile("sgd")
    assert model.predict(data, verbose=0).shape == (4, 3)
    h = model.inner.dense(data)
    kernel = model.inner.dense.get_weights()[0]
    value = 0.5 * np.square(h).sum() + h[:, 0].sum() + 0.25 * h.sum()
    assert model.train_on_batch(data)[0] == pytest.approx(value)
    gradient = data.T @ (h + 0.25 + np.eye(3)[0])
    np.testing.assert_allclose(model.inner.dense.get_weights()[0], kernel - 0.01 * gradient, rtol=1e-9)
    y = model.predict(data, verbose=0)
    stream = Model(x := Input((3,), dtype="float64"), model(x))
    np.testing.assert_array_equal(stream.predict(data, verbose=0), y)
    summed = []
    model.summary(print_fn=summed.append)
    assert "add_loss" not in "".join(summed)
    stepwise = ModelBeside(Beside())
    sequence = numbers(2, 5, 3, dtype="float32")
    want = stepwise.predict(sequence, verbose=0)
    np.testing.assert_allclose(stepwise.stream(batch_size=2, steps=5)(sequence), want, rtol=1e-5, atol=1e-6)
    chain = Sequential([Input((5, 3)), stepwise])
    np.testing.assert_allclose(chain.stream(batch_size=2, steps=5)(sequence), want, rtol=1e-5, atol=1e-6)


def test_a_metric_outside_a_call_refuses_symbols():
    with pytest.raises(TypeError, match=r"seen: update_state: expected numbers, got a symbol"):
        metrics.Mean("seen").update_state(Input((3,)))


def test_a_model_is_built_by_a_call_with_further_arguments():
    class Cropped(Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, inputs, like=None):
            return self.dense(inputs)[:, : like.shape[1]]

    model = Cropped()
    x = numbers(2, 5, 3)
    np.testing.assert_array_equal(model(x, like=x[:, :2]), model.dense(x)[:, :2])


def test_masks_of_further_arguments_go_along():
    class Attended(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.attention = layers.Attention()

        def call(self, query, value, more=None):
            values = value if more is None else layers.concatenate([value, more[0]], axis=1)
            return self.attention([query, values], return_attention_scores=True)[1]

    ids = np.array([[1, 2, 3, 0, 0], [4, 0, 0, 0, 0]])
    embedding = layers.Embedding(9, 4, mask_zero=True)
    seen = ids != 0
    i = Input((5,))
    symbol = embedding(i)
    layer = Attended()
    for scores in (
        layer(embedding(ids), embedding(ids)),
        layer(embedding(ids), value=embedding(ids)),
        Model(i, layer(symbol, symbol))(ids),
        Model(i, layer(symbol, value=symbol))(ids),
    ):
        assert not scores[~np.broadcast_to(seen[:, None], scores.shape)].any()
        np.testing.assert_allclose(scores.sum(-1), 1, 1e-6)
    both = layer(embedding(ids), embedding(ids), more=[embedding(ids)])
    assert not both[~np.broadcast_to(np.tile(seen, 2)[:, None], both.shape)].any()
    bare = layer(embedding(ids), np.asarray(embedding(ids)).copy())
    assert bare.all()


def test_a_call_may_need_to_know_the_steps(tmp_path):
    class Flat(Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.flat, self.dense = layers.Flatten(), layers.Dense(1)

        def call(self, inputs):
            return self.dense(self.flat(inputs))

    class Steps(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.lstm = layers.LSTM(2, return_sequences=True)

        def call(self, inputs):
            return self.lstm(inputs)

    model, x, y = Flat(), numbers(4, 5, 3), numbers(4, 1)
    np.testing.assert_array_equal(model(x), model.dense(x.reshape(4, 15)))
    model.compile("sgd", "mse")
    model.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match=r"dense.*: inputs: expected 15 features, got shape \(None, 12\)"):
        model(x[:, :4])
    i = Input((5, 3))
    steps = Steps()(i)
    assert steps.shape == (None, 5, 2)
    assert Model(i, layers.Dense(1)(layers.Flatten()(steps)))(x).shape == (4, 1)
    assert Steps()(Input((None, 3))).shape == (None, None, 2)


def test_a_model_may_have_several_arguments(tmp_path):
    class Two(Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.lstm, self.dense = layers.LSTM(3), layers.Dense(1)

        def call(self, sequence, meta, scale=1.0):
            return self.dense(layers.concatenate([self.lstm(sequence), meta])) * scale

    model, x, meta = Two(), numbers(4, 5, 3), numbers(4, 2)
    outputs = model(x, meta, 2.0)
    np.testing.assert_array_equal(outputs, 2 * model.dense(np.concatenate([model.lstm(x), meta], axis=1)))
    model.save(tmp_path / "two.safetensors")
    again = models.load_model(tmp_path / "two.safetensors", custom_objects={"Two": Two})
    np.testing.assert_array_equal(again(x, meta), model(x, meta))


def test_an_argument_named_states_makes_no_cell():
    class Ordinary(layers.Layer):
        def call(self, inputs, states=None):
            return 2 * inputs

    x = numbers(2, 3).astype("float32")
    np.testing.assert_array_equal(Ordinary()(x), 2 * x)
    with pytest.raises(TypeError, match=r"make it a layers\.Cell"):
        type("Mine", (layers.Layer,), {"call": lambda self, inputs, states: (inputs, states)})


class Perhaps(layers.Layer):
    """Uses one of its layers only with a further argument."""

    def __init__(self, **options):
        super().__init__(**options)
        self.left, self.right = layers.Dense(2), layers.Dense(2, name="right")

    def call(self, inputs, other=None):
        return self.left(inputs) if other is None else self.left(inputs) + self.right(other)


@pytest.mark.filterwarnings("ignore:.* call does not use right")
def test_layers_do_not_get_weights_behind_the_back_of_their_owner():
    x = numbers(4, 3)
    layer, i = Perhaps(name="perhaps"), Input((3,))
    layer(x)
    message = (
        "perhaps: call: right has no weights, for it was not used when perhaps got its own; call perhaps first with"
    )
    for again in (lambda: layer(x, other=x), lambda: layer(i, other=i), lambda: layer(x, other=x)):
        with pytest.raises(ValueError, match=message):
            again()
    assert not layer.right.built
    whole = Perhaps()
    whole(x, other=x)
    np.testing.assert_array_equal(whole(x), whole.left(x))
    assert len(whole.get_weights()) == 4

    class Either(Model):
        def __init__(self):
            super().__init__()
            self.u, self.v = layers.Dense(2), layers.Dense(2)

        def call(self, inputs):
            return self.u(inputs["u"]) + self.v(inputs["v"]) if "v" in inputs else self.u(inputs["u"])

    model = Either()
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="does not use"):
        model.fit({"u": x}, x[:, :2], verbose=0)
    with pytest.raises(ValueError, match="has no weights, for it was not used when"):
        model.fit({"u": x, "v": x}, x[:, :2], verbose=0)


def test_sizes_that_nobody_knows_are_none_in_a_graph():
    class Scaled(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.dense = layers.Dense(2)

        def call(self, inputs):
            batch, steps, features = inputs.shape
            assert batch is None
            longer = inputs.shape + (1,)  # noqa: RUF005 - that is what is tested
            assert longer[1] == steps
            number = 1.0 if steps is None or inputs.shape[1] != steps else float(steps)
            return self.dense(inputs) * (number if inputs.shape != (None, 3, features) else 30.0)

    i = Input((None, 4))
    layer = Scaled()
    model = Model(i, layer(i))
    assert model.output_shape == (None, None, 2)
    assert layer.compute_output_shape((None, None, 4)) == (None, None, 2)
    for steps, factor in ((2, 2), (3, 30), (5, 5)):
        x = numbers(3, steps, 4)
        np.testing.assert_array_equal(model(x), layer.dense(x) * np.float32(factor))
    with pytest.raises(NotImplementedError, match=r"scaled.*: call: goes by the number of steps"):
        model.stream()
    alone = failing(lambda self, x: self.dense(x) / x.shape[1])()
    alone(numbers(2, 5, 3))
    with pytest.raises(NotImplementedError, match=r"failing\w*: call: goes by the number of steps"):
        alone.stream()
    further = failing(lambda self, x, y: self.dense(x) + self.dense(y))()
    further(numbers(2, 5, 3), numbers(2, 5, 3))
    with pytest.raises(NotImplementedError, match=r"failing\w*: was called with further arguments \(y\)"):
        further.stream()


def test_names_of_arguments_with_a_meaning_of_their_own():
    def call(self, inputs, further_masks=None):
        return inputs

    with pytest.raises(TypeError, match="Mine: call: expected another name for 'further_masks'"):
        type("Mine", (layers.Layer,), {"call": call})


@pytest.mark.parametrize("within", [False, True])
def test_an_argument_may_be_called_logits(within):
    """Which is the name of what goes into a last activation, where layers of the library hand that to a loss."""
    pytest.importorskip("autograd")

    class Endpoint(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = layers.Dense(2, kernel_initializer="ones") if within else None

        def call(self, inputs, logits=None):
            inner = self.inner
            return (inputs if inner is None else inner(inputs)) * 2.0 + logits

    a, b = Input((2,)), Input((2,))
    model = Model([a, b], layers.Dense(2, activation="softmax")(Endpoint()(a, logits=b)))
    chain = Model([a, b], Endpoint()(a, b))
    x, y = numbers(4, 2), numbers(4, 2)
    sums = x.sum(1, keepdims=True) if within else x
    np.testing.assert_allclose(chain.predict([x, y], verbose=0), sums * 2 + y, rtol=1e-5, atol=1e-6)
    for one, loss in ((model, "categorical_crossentropy"), (chain, "mse")):
        one.compile("sgd", loss)
        one.fit([x, y], np.eye(2, dtype="float32")[[0, 1, 0, 1]], verbose=0)
    assert check_gradients(chain, [x, y]).ok


@pytest.mark.parametrize("name", ["head", "heads", "owner", "returned", "note", "calls", "logits", "metric", "rows"])
@pytest.mark.parametrize("base", [layers.Layer, Model])
def test_attributes_of_the_users_have_the_names_that_they_like(base, name):
    class Own(base):
        def __init__(self, value):
            super().__init__()
            setattr(self, name, value)
            self.dense = layers.Dense(2)

        def call(self, inputs):
            value = getattr(self, name)
            return self.dense(value(inputs) if callable(value) else inputs * value)

    x = numbers(4, 3)
    for value in (layers.Dense(3), 3.0):
        model = Sequential([Own(value)])
        model.compile("sgd", "mse")
        model.fit(x, x[:, :2], verbose=0)
        assert model.predict(x, verbose=0).shape == (4, 2)
        assert getattr(model.layers[0], name) is value


@pytest.mark.parametrize("name", ["convert", "state", "kept", "forward"])
def test_attributes_that_hide_methods_are_refused(name):
    model = failing(lambda self, x: self.dense(x))()
    setattr(model, name, 3.0)
    with pytest.raises(TypeError, match=f"failing.*: {name}: expected another name for an attribute"):
        model.build((None, 3))


def test_attributes_may_be_set_while_others_call():
    model = failing(lambda self, x: self.dense(x))()
    x = numbers(2, 3)
    want = model(x)
    errors = []

    def run():
        try:
            for _ in range(200):
                np.testing.assert_array_equal(model(x), want)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for k in range(2000):
        setattr(model, f"note{k}", k)
    for thread in threads:
        thread.join()
    assert not errors


def test_a_weight_beside_layers_is_refused():
    class Scaled(Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)
            self.scale = self.add_weight(shape=(1,), initializer="ones", name="scale")

        def call(self, inputs):
            return self.dense(inputs) * self.scale

    with pytest.raises(TypeError, match=r"\*: .*/scale is a weight, which would not be trained here; put it"):
        Scaled()(numbers(2, 3))


class Positions(layers.Layer):
    """Embeddings of tokens and of their places, these being constants or made of the tokens by a layer."""

    def __init__(self, constant, **options):
        super().__init__(**options)
        self.constant, self.tokens, self.places = constant, layers.Embedding(9, 4), layers.Embedding(5, 4)

    def call(self, x):
        if self.constant:
            return self.tokens(x) + self.places(np.arange(0, x.shape[-1]))
        places = layers.Lambda(lambda x: np.broadcast_to(np.arange(x.shape[1]), x.shape))(x)
        return self.tokens(x) + self.places(places)


def test_a_layer_within_is_not_called_on_constants_and_the_error_says_how():
    x = np.random.default_rng(0).integers(0, 9, (3, 5))
    for given in (x, Input((5,), dtype="int32")):
        with pytest.raises(TypeError, match=r"calls embedding\S* on numbers .*layers\.Lambda\(lambda x"):
            Positions(constant=True)(given)
    layer = Positions(constant=False)
    outputs = layer(x)
    tokens, places = layer.get_weights()
    np.testing.assert_allclose(outputs, tokens[x] + places[np.arange(5)], rtol=1e-6)


class SaysBuilt(layers.Layer):
    """Has a build that only says so, as Keras's does, and perhaps a weight beside the layer within."""

    def __init__(self, own=False, **options):
        super().__init__(**options)
        self.dense, self.own = layers.Dense(2, kernel_initializer="ones"), own

    def build(self, input_shape):
        if self.own:
            self.scale = self.add_weight(shape=(2,), initializer="ones", name="scale")
        self.built = True

    def call(self, inputs):
        return self.dense(inputs) * self.scale if self.own else self.dense(inputs)


def test_a_build_may_say_that_the_layer_is_built():
    x, i = numbers(4, 3), Input((3,))
    expected = x.sum(-1, keepdims=True) * np.ones(2)
    layer = SaysBuilt()
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-6)
    assert layer.built
    assert len(layer.weights) == 2
    np.testing.assert_allclose(Model(i, SaysBuilt()(i)).predict(x), expected, rtol=1e-5, atol=1e-6)
    for use in (lambda: SaysBuilt(own=True)(x), lambda: SaysBuilt(own=True)(i)):
        with pytest.raises(TypeError, match=r"/scale is a weight, which would not be trained here; put it"):
            use()


def test_a_model_may_make_its_layers_when_it_is_built():
    class Late(Model):
        shapes = ()

        def build(self, input_shape):
            self.shapes = (*self.shapes, input_shape)
            self.lstm = layers.LSTM(input_shape[-1], return_sequences=True)
            self.dense = layers.Dense(1)
            super().build(input_shape)

        def call(self, inputs):
            return self.dense(self.lstm(inputs)[:, -1])

    x, y = numbers(4, 5, 3), numbers(4, 1)
    fitted, told = Late(), Late()
    fitted.compile("sgd", "mse")
    fitted.fit(x, y, verbose=0)
    told.build((None, 5, 3))
    for model in (fitted, told):
        assert model(x).shape == (4, 1)
        assert [v.path.rpartition("/")[2] for v in model.weights] == [
            "kernel",
            "recurrent_kernel",
            "bias",
            "kernel",
            "bias",
        ]
        assert model.shapes == ((None, 5, 3),)


def test_states_of_a_batch_that_is_not_known():
    def begun(self, x):
        return layers.GRU(2)(x, initial_state=layers.GRU(2).get_initial_state(x.shape[0]))

    with pytest.raises(ValueError, match=r"gru.*: get_initial_state: batch_size: expected a number, got None"):
        failing(begun)()(numbers(2, 5, 3))


def test_layers_may_look_at_their_weights_while_a_call_is_drawn():
    class Own(layers.Layer):
        """Has its shape found by trial, which reads the weight."""

        def build(self, input_shape):
            self.factor = self.add_weight(shape=(3,), initializer="ones", name="factor")
            self.factor.assign(2 * self.factor)

        def call(self, inputs):
            return inputs * self.factor

    model, x = failing(lambda self, x: self.dense(self.own(x)))(), numbers(2, 3)
    model.own = Own()
    np.testing.assert_array_equal(model(x), model.dense(2 * x))


def test_classes_whose_call_would_not_be_called_are_refused():
    with pytest.raises(TypeError, match="defines call, which a chain would not call"):
        type("Mine", (Sequential,), {"call": lambda self, x: x})
    with pytest.raises(TypeError, match="expected inputs"):
        type("Mine", (Model,), {"call": lambda self: 0})
