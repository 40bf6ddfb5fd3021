"""Functions as layers."""

import copy
import json

import autograd.numpy as np
import numpy as onp
import pytest
from layer_tools import by_differences, numbers

import lstmcore
from lstmcore import Input, Model, Sequential, layers, models, utils
from lstmcore.layers import LSTM, Add, Dense, Lambda, Masking, Residual, TimeDistributed
from lstmcore.serialization import register

MASK = onp.array([[True, True, True, False], [True, True, False, False]])


def returns(prices, scale=1.0):
    return scale * np.log(prices[:, 1:] / prices[:, :-1])


@register("tests")
def doubled(x):
    return 2 * x


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda x: np.tanh(x) * x, (2, 4, 3)),
        (lambda x: x[:, ::-1], (2, 4, 3)),
        (lambda x: np.mean(x, axis=1), (2, 3)),
        (lambda x: np.concatenate([x, x**2], axis=-1), (2, 4, 6)),
        (lambda x: np.where(x > 0, x, 0.1 * x), (2, 4, 3)),
        (lambda x: np.einsum("bsf,btf->bst", x, x), (2, 4, 4)),
        (lambda x: x, (2, 4, 3)),
        (lambda x: np.ones((len(x), 2)), (2, 2)),
    ],
)
def test_values_are_the_functions_and_gradients_those_of_differences(function, shape):
    layer, x = Lambda(function, dtype="float64"), numbers(2, 4, 3)
    y = layer(x, training=True)
    onp.testing.assert_array_equal(y, function(x))
    onp.testing.assert_array_equal(layer(x), y)
    assert y.shape == shape
    d = numbers(*shape, seed=1)
    layer(x, training=True)
    expected = by_differences(lambda: (function(x) * d).sum(), x)
    onp.testing.assert_allclose(layer.backward(d), expected, rtol=1e-6, atol=1e-8)
    assert layer.compute_output_shape((None, 4, 3)) == (None, *shape[1:])


def test_arguments_stand_in_the_order_of_keras():
    x = onp.abs(numbers(2, 5, 3)) + 1
    layer = Lambda(returns, (4, 3), lambda inputs, mask: MASK, {"scale": 2.0}, name="returns", dtype="float64")
    onp.testing.assert_allclose(layer(x), 2 * onp.log(x[:, 1:] / x[:, :-1]), rtol=1e-14)
    assert layer.name == "returns"
    assert layer.compute_mask(x, None) is MASK
    assert layer.compute_output_shape((None, 5, 3)) == (None, 4, 3)


def test_a_function_is_told_of_training_and_masks_if_it_asks():
    seen = []

    def told(x, mask=None, training=None):
        seen.append((training, mask))
        return x

    layer, x = Lambda(told), numbers(2, 4, 3, dtype="float32")
    layer(x)
    layer(x, mask=MASK, training=True)
    assert seen[0] == (False, None)
    assert seen[1][0] is True
    onp.testing.assert_array_equal(seen[1][1], MASK)
    assert Lambda(lambda x, training: x * training)(x, training=True).sum() != 0
    assert Lambda(lambda x, training: x * training, arguments={"training": 0})(x, training=True).sum() == 0


def test_shapes_of_outputs():
    assert Lambda(returns)(Input((None, 3))).shape == (None, None, 3)
    assert Lambda(lambda x: x[:, 30])(Input((31, 2))).shape == (None, 2)
    tried = Lambda(lambda x: x[:, 30], name="tried")
    with pytest.raises(
        ValueError, match=r"tried: call: on zeros of shape \(2, 12, 2\) it raises IndexError.*output_shape="
    ):
        tried(Input((None, 2)))
    for output_shape in ((2,), [2], lambda shape: (shape[0], shape[2])):
        assert Lambda(lambda x: x[:, 30], output_shape)(Input((None, 2))).shape == (None, 2)
    for output_shape in ((3,), (3, None), lambda shape: (shape[0], 7)):
        other = Lambda(lambda x: x[:, 0], output_shape, name="other")
        with pytest.raises(ValueError, match=r"other: output_shape: expected outputs of shape .*, got \(5, 2\) from"):
            other(numbers(5, 4, 2))
    for several in (lambda z: [z, 2 * z], lambda z: {"a": z, "b": 2 * z}):
        assert len(Lambda(several, output_shape=lambda s: [s, s])(numbers(2, 5, 3))) == 2
    a, b = Input((2,)), Input((2,))
    assert Lambda(lambda parts: parts[0], (2,))([a, b]).shape == (None, 2)
    assert Lambda(lambda parts: parts["a"] * parts["b"])({"a": a, "b": b}).shape == (None, 2)
    both = Lambda(lambda x: (x, np.sum(x, axis=1)))(a)
    assert [s.shape for s in both] == [(None, 2), (None,)]


def test_it_stands_in_models_of_both_kinds():
    x = {"a": numbers(4, 6, 3), "b": numbers(4, 2)}
    a, b = Input((None, 3), name="a"), Input((2,), name="b")
    steps = Lambda(lambda x: x[:, 1:] - x[:, :-1])(a)
    gate = Lambda(lambda parts: parts[0] / (1 + np.exp(-parts[1])))
    state = gate([LSTM(2)(steps), b])
    graph = Model({"a": a, "b": b}, Dense(1)(Add()([state, gate([state, state])])))
    utils.check_gradients(graph, x).raise_if_wrong()
    chain = Sequential(
        [
            Lambda(lambda x: x**2, input_shape=(6, 3)),
            TimeDistributed(Lambda(lambda x: np.sin(x) * x)),
            Residual(Lambda(lambda x: x**3)),
            LSTM(2),
            Lambda(lambda x: x * 2),
        ]
    )
    assert chain.output_shape == (None, 2)
    utils.check_gradients(chain, x["a"]).raise_if_wrong()
    for model, inputs in ((graph, x), (chain, x["a"])):
        model.compile("adam", "mse")
        model.fit(inputs, onp.ones((4, 1)) if model is graph else onp.ones((4, 2)), verbose=0)
        for twin in (copy.deepcopy(model), models.clone_model(model)):
            twin.set_weights(model.get_weights())
            onp.testing.assert_array_equal(twin.predict(inputs, verbose=0), model.predict(inputs, verbose=0))


def test_masks():
    x = numbers(2, 4, 3, dtype="float32")
    x[~MASK] = 0
    for layer, expected in (
        (Lambda(lambda x: 2 * x), MASK),
        (Lambda(lambda x: x[:, 1:], mask=lambda inputs, mask: mask[:, 1:]), MASK[:, 1:]),
        (Lambda(lambda x: x, mask=~MASK), ~MASK),
    ):
        onp.testing.assert_array_equal(layer.forward_with_mask(x, False, MASK)[1], expected)
    with pytest.warns(UserWarning, match="a Lambda ends the mask of its inputs"):
        assert Lambda(lambda x: x[:, 1:]).forward_with_mask(x, False, MASK)[1] is None
    with pytest.raises(ValueError, match=r"compute_mask: mask: expected shape \(batch=2, steps=3\), got \(2, 4\)"):
        Lambda(lambda x: x[:, 1:], mask=MASK).forward_with_mask(x)
    model = Sequential([Masking(input_shape=(4, 3)), Lambda(lambda x: x + 1), LSTM(2)])
    lengths = MASK.sum(1)
    alone = [model.layers[2](x[k : k + 1, :n] + 1) for k, n in enumerate(lengths)]
    onp.testing.assert_allclose(model.predict(x, verbose=0), onp.concatenate(alone), rtol=1e-5, atol=1e-6)


def test_a_function_may_write_over_its_inputs():
    def written(x):
        x *= 2
        return x

    x = numbers(2, 3, dtype="float32")
    before = x.copy()
    for training in (False, True):
        onp.testing.assert_array_equal(Lambda(written)(x, training=training), 2 * before)
        onp.testing.assert_array_equal(Sequential([Lambda(written)]).predict(x, verbose=0), 2 * before)
    onp.testing.assert_array_equal(x, before)


# --- Keras ---


@pytest.mark.peer
@pytest.mark.parametrize("kind", ["sample", "output"])
def test_a_model_with_functions_trains_as_that_of_keras(monkeypatch, kind):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")

    def made(of, ops):
        past = of.Input((None, 3))
        steps = of.layers.Lambda(lambda x: x[:, 1:] - x[:, :-1])(past)
        state = of.layers.Lambda(lambda x, scale: scale * ops.sin(x) * x, arguments={"scale": 2.0})(
            of.layers.LSTM(4)(steps)
        )
        model = of.Model(past, of.layers.Dense(2, activation=lambda x: x / (1 + ops.abs(x)))(state))

        def loss(y_true, y_pred):
            errors = ops.abs(y_true - y_pred) ** 3
            return errors if kind == "output" else ops.sum(errors, axis=-1)

        model.compile(of.optimizers.Adam(0.01), loss)
        return model

    ours, theirs = made(lstmcore, np), made(keras, keras.ops)
    ours.set_weights(theirs.get_weights())
    x, y, weights = numbers(16, 6, 3, dtype="float32"), numbers(16, 2, dtype="float32"), onp.arange(16.0) / 8
    if kind == "output":  # where Keras wants a weight for each
        weights = weights[:, None]
    for _ in range(50):
        one, other = (float(model.train_on_batch(x, y, sample_weight=weights)) for model in (ours, theirs))
        assert one == pytest.approx(other, abs=1e-4)


# --- files ---


def test_named_functions_are_saved_by_their_names(tmp_path):
    model = Sequential(
        [Lambda(returns, arguments={"scale": 3.0}, input_shape=(5, 1)), Lambda(doubled), LSTM(2), Dense(1)]
    )
    x = onp.exp(numbers(2, 5, 1, dtype="float32"))
    model.save(tmp_path / "model")
    assert b"def " not in (tmp_path / "model").read_bytes()
    twin = models.load_model(tmp_path / "model", custom_objects={"returns": returns})
    onp.testing.assert_array_equal(twin.predict(x, verbose=0), model.predict(x, verbose=0))
    twin = models.model_from_json(model.to_json(), custom_objects={"returns": returns})
    assert twin.layers[0].arguments == {"scale": 3.0}
    with pytest.raises(ValueError, match=r"'returns' is unknown; .* pass it as custom_objects=\{'returns'"):
        models.load_model(tmp_path / "model")


def test_lambdas_are_not_saved(tmp_path):
    model = Sequential([Lambda(lambda x: x, input_shape=(3,))])
    with pytest.raises(TypeError, match=r"Lambda: function: <function .*<lambda>.* cannot be saved; name it"):
        model.save(tmp_path / "model")
    with pytest.raises(TypeError, match="cannot be saved"):
        model.to_json()


def test_code_that_keras_has_saved_is_not_run():
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None, "closure": None}}
    with pytest.raises(ValueError, match="'Lambda' is described as Keras does, which"):
        Lambda.from_config({"function": {"module": "keras", "class_name": "Lambda", "config": {"function": code}}})
    with pytest.raises(ValueError, match="'__lambda__' is unknown"):
        Lambda.from_config({"function": code})
    described = json.loads(Sequential([Lambda(doubled)]).to_json())
    assert "tests>doubled" in json.dumps(described)


def test_what_is_wrong_is_named():
    for arguments, error, text in (
        ((3,), TypeError, "Lambda: function: expected a function, got 3"),
        ((doubled, 3), TypeError, "Lambda: output_shape: expected a tuple of integers and None, got 3"),
        ((doubled, None, None, [1]), TypeError, r"Lambda: arguments: expected a dict, got \[1\]"),
    ):
        with pytest.raises(error, match=text):
            Lambda(*arguments)
    with pytest.raises(TypeError, match="mine: call: expected to return arrays of numbers, got <U1"):
        Lambda(lambda x: onp.array(["a"]), name="mine")(numbers(2, 3))
    with pytest.raises(TypeError, match=r"Lambda: function: expected a function, got <Dense .*, which needs no Lambda"):
        Lambda(Dense(3))
    model = Sequential([Lambda(doubled, input_shape=(None, 3), name="mine")])
    with pytest.raises(NotImplementedError, match="mine: a Lambda cannot be run piece by piece"):
        model.stream()
    assert layers.Lambda is Lambda
