"""The loss of several outputs is the sum of what each has, and its gradient is that of the sum."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_tools import numbers

from lstmcore import Input, Model, Sequential, layers, losses, optimizers
from lstmcore.models import clone_model

ROWS, STEPS = 4, 5
X = numbers(ROWS, STEPS, 3)
CLASS = np.array([0, 2, 1, 2])
ONE_HOT = np.eye(3)[CLASS]
REAL = {n: numbers(ROWS, n, seed=3) for n in (1, 3)}
YES = np.array([[1.0], [0.0], [0.0], [1.0]])
MANY = (numbers(ROWS, 3, seed=4) > 0).astype(float)

# what an output may end with, its width, its loss and targets: those that a loss fuses, and those that it does not
HEADS = {
    "softmax": ("softmax", 3, "categorical_crossentropy", ONE_HOT),
    "labels": ("softmax", 3, "sparse_categorical_crossentropy", CLASS),
    "focal": ("softmax", 3, "categorical_focal_crossentropy", ONE_HOT),
    "sigmoid": ("sigmoid", 1, "binary_crossentropy", YES),
    "sigmoids": ("sigmoid", 3, losses.BinaryCrossentropy(label_smoothing=0.1), MANY),
    "softmax, but squares": ("softmax", 3, "mse", ONE_HOT),
    "tanh": ("tanh", 3, "log_cosh", REAL[3]),
    "linear": (None, 1, "mse", REAL[1]),
    "logits": (None, 3, losses.CategoricalCrossentropy(from_logits=True), ONE_HOT),
}


def assert_gradients_are_differences(model, y, sample_weight=None):
    """Hold the gradients of a step that moves nothing against differences of the loss."""
    rng = np.random.default_rng(0)
    model.train_on_batch(X, y, sample_weight)
    gradients = [v.gradient.copy() for v in model.variables]
    for v, gradient in zip(model.variables, gradients, strict=True):
        before, to, step = v.numpy(), rng.normal(size=v.shape), 1e-5
        around = []
        for sign in (1, -1):
            v.assign(before + sign * step * to)
            around.append(model.test_on_batch(X, y, sample_weight, return_dict=True)["loss"])
        v.assign(before)
        difference = (around[0] - around[1]) / (2 * step)
        # what is left of the difference is of the order of the step's square, 1e-10, beside rounding
        assert (gradient * to).sum() == pytest.approx(difference, rel=1e-5, abs=1e-8), v.path


def standing(model, loss, **options):
    """Compiled with an optimizer that moves nothing."""
    model.compile(optimizers.SGD(0.0), loss, **options)
    return model


def made(kinds, regular=False):
    """A model with an output of each kind on one LSTM."""
    x = Input((STEPS, 3), dtype="float64")
    state = layers.LSTM(4, activity_regularizer="l2" if regular else None)(x)
    outputs = [
        layers.Dense(HEADS[k][1], HEADS[k][0], kernel_regularizer="l2" if regular else None)(state) for k in kinds
    ]
    return Model(x, outputs)


@given(st.lists(st.sampled_from(list(HEADS)), min_size=2, max_size=4), st.booleans(), st.randoms(use_true_random=False))
def test_gradients_of_any_outputs_are_differences(kinds, regular, random):
    model = made(kinds, regular)
    weights = [random.choice([0.0, 0.3, 1.0, -2.0]) for _ in kinds]
    losses = [HEADS[k][2] if random.random() < 0.8 else None for k in kinds]
    losses[0] = HEADS[kinds[0]][2]
    standing(model, losses, loss_weights=weights)
    sample_weight = random.choice([None, [random.choice([None, np.linspace(0.5, 2, ROWS)]) for _ in kinds]])
    assert_gradients_are_differences(model, [HEADS[k][3] for k in kinds], sample_weight)


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_a_head_whose_output_is_read_or_returned_twice_is_not_left_out(kind):
    activation, width, loss, y = HEADS[kind]
    x = Input((STEPS, 3), dtype="float64")
    state = layers.LSTM(4)(x)
    head = layers.Dense(width, activation)
    read = head(state)
    beside = layers.Dense(1)(read)
    once = layers.Dense(width, activation)(state)
    squares = REAL[width]
    for outputs, chosen, targets in (
        ([read, beside], [loss, "mse"], [y, REAL[1]]),
        ([once, once], [loss, "mse"], [y, squares]),
        ([head(layers.LSTM(4)(x)), head(state)], [loss, loss], [y, y]),
        ([layers.Add()([read, once]), once], ["mse", loss], [squares, y]),
    ):
        model = standing(clone_model(Model(x, outputs)), chosen)
        assert model.last_activations.count(None) == (1 if outputs[-1] is beside else 2)
        assert_gradients_are_differences(model, targets)
    # beside them, one that is neither is left out, and has the gradient all the same
    model = standing(Model(x, [read, beside, once]), [loss, "mse", loss])
    assert [one is None for one in model.last_activations] == [True, False, False]
    assert_gradients_are_differences(model, [y, REAL[1], y])


def test_a_head_with_an_activity_regularizer_is_not_left_out():
    x = Input((STEPS, 3), dtype="float64")
    state = layers.LSTM(4)(x)
    outputs = [layers.Dense(3, "softmax", activity_regularizer="l2")(state), layers.Dense(3, "softmax")(state)]
    model = standing(Model(x, outputs), "categorical_crossentropy")
    assert_gradients_are_differences(model, [ONE_HOT, ONE_HOT])


def test_heads_of_models_within():
    x = Input((STEPS, 3), dtype="float64")
    seen = Input((4,), dtype="float64")
    within = Model(
        seen,
        {
            "class": layers.Dense(3, "softmax")(seen),
            "rest": [layers.Dense(1, "sigmoid")(seen), layers.Dense(1, activity_regularizer="l2")(seen)],
        },
    )
    parts = within(layers.LSTM(4)(x))
    chain = Sequential([layers.Dense(5, "tanh"), layers.Dense(3, "softmax")])
    model = Model(x, [parts["class"], parts["rest"][0], chain(parts["rest"][1])])
    standing(model, ["categorical_crossentropy", "bce", "categorical_crossentropy"], loss_weights=[1, 2, 3])
    assert_gradients_are_differences(model, [ONE_HOT, YES, ONE_HOT])


def test_a_penalty_in_a_model_within_counts_although_no_loss_is_behind_it():
    x = Input((STEPS, 3), dtype="float64")
    seen = Input((4,), dtype="float64")
    within = Model(seen, [layers.Dense(3, "tanh", activity_regularizer="l2")(seen), layers.Dense(1)(seen)])
    unused, used = within(layers.LSTM(4)(x))

    def penal():
        return Sequential([layers.Dense(2, activity_regularizer="l2")])

    model = standing(Model(x, [used, unused, penal()(unused)]), ["mse", None, None])
    assert_gradients_are_differences(model, [REAL[1], None, None])
    only = Model(x, [layers.Dense(1)(layers.LSTM(4)(x)), penal()(layers.LSTM(4)(x))])
    assert_gradients_are_differences(standing(only, ["mse", None]), [REAL[1], None])


def test_a_penalty_on_the_outputs_of_a_layer_that_returns_several_counts_all():
    x = Input((STEPS, 3), dtype="float64")
    outputs, *states = layers.LSTM(4, return_sequences=True, return_state=True, activity_regularizer="l2")(x)
    model = standing(Model(x, [layers.Dense(1)(layers.LSTM(2)(outputs)), *states]), ["mse", None, None])
    assert_gradients_are_differences(model, [REAL[1], None, None])
    every = [*Model(x, [outputs, *states]).predict(X, verbose=0)]
    penalty = sum(0.01 * (part**2).sum() / ROWS for part in every)  # as Keras: each by the rows of the batch
    got = model.test_on_batch(X, [REAL[1], None, None])
    assert got == pytest.approx(((model.predict(X, verbose=0)[0] - REAL[1]) ** 2).mean() + penalty, rel=1e-12)


def test_an_output_without_a_loss_gets_no_gradient():
    model = standing(made(["softmax", "linear"]), ["categorical_crossentropy", None])
    model.train_on_batch(X, [ONE_HOT, None])
    head = model.layers[-1]
    assert head.units == 1
    assert not any(v.gradient.any() for v in head.variables)
    assert any(v.gradient.any() for v in model.layers[1].variables)


@pytest.mark.parametrize("weights", [[1, 1, 1], [0.5, 2, 3]])
def test_loss_and_gradients_are_sums_of_those_of_models_with_one_output(weights):
    kinds = ["softmax", "sigmoid", "tanh"]
    model = made(kinds)
    y = [HEADS[k][3] for k in kinds]
    sample_weight = [np.linspace(0.5, 2, ROWS), None, np.linspace(1, 3, ROWS)]
    standing(model, [HEADS[k][2] for k in kinds], loss_weights=weights)
    got = model.train_on_batch(X, y, sample_weight, return_dict=True)
    gradients = {v.path: v.gradient.copy() for v in model.variables}
    total, summed = 0.0, dict.fromkeys(gradients, 0.0)
    for k, (kind, weight) in enumerate(zip(kinds, weights, strict=True)):
        one = standing(Model(model.input, model.output[k]), HEADS[kind][2])
        value = one.train_on_batch(X, y[k], sample_weight[k])
        assert got[f"{model.output_names[k]}_loss"] == pytest.approx(value, rel=1e-12)
        total += weight * value
        for v in one.variables:
            summed[v.path] = summed[v.path] + weight * v.gradient
    assert got["loss"] == pytest.approx(total, rel=1e-12)
    for path, gradient in gradients.items():
        np.testing.assert_allclose(gradient, summed[path], rtol=1e-9, atol=1e-13, err_msg=path)


def test_the_masks_of_outputs_are_apart():
    words = np.array([[3, 1, 2, 0, 0], [1, 4, 0, 0, 0], [5, 1, 2, 3, 4], [2, 2, 2, 2, 0]])
    each, whole = numbers(4, 5, 1, seed=8), numbers(4, 5, 1, seed=9)
    x, series = Input((5,), dtype="int32"), Input((5, 2), dtype="float64")
    masked = layers.LSTM(3, return_sequences=True, dtype="float64")(
        layers.Embedding(6, 2, mask_zero=True, dtype="float64")(x)
    )
    outputs = {
        "words": layers.Dense(1, dtype="float64")(masked),
        "series": layers.Dense(1)(layers.LSTM(2, return_sequences=True)(series)),
    }
    model = standing(Model([x, series], outputs), "mse", metrics={"words": "mae", "series": "mae"})
    data = [words, numbers(4, 5, 2, seed=7)]
    got = model.test_on_batch(data, {"words": each, "series": whole}, return_dict=True)
    predicted = model.predict(data, verbose=0)
    counts = words != 0
    errors = {"words": (predicted["words"] - each)[counts], "series": (predicted["series"] - whole).ravel()}
    for name, error in errors.items():
        assert got[f"{name}_loss"] == pytest.approx((error**2).mean(), rel=1e-9)
        assert got[f"{name}_mae"] == pytest.approx(np.abs(error).mean(), rel=1e-6)


def test_the_sum_is_that_of_its_parts_where_one_output_leaves_out_rows():
    """Of the mean of each loss over all of its rows, whatever the batches; penalties are no part of any output."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    x = rng.normal(size=(7, 6, 3)).astype("float32")
    labels = np.array([[1, 2], [1, 1], [2, 0], [3, 3], [1, 3], [2, 2], [3, 0]])
    counts = np.array([6, 2, 6, 2, 5, 2, 4])  # two equal labels need three steps
    target = rng.normal(size=(7, 1)).astype("float32")
    kept = np.arange(6) < counts[:, None]
    inputs = Input((6, 3))
    masked = layers.Masking()(inputs)
    said = layers.Dense(4, name="said", kernel_regularizer="l2")(masked)
    level = layers.Dense(1, name="level")(layers.GlobalAveragePooling1D()(masked))
    for first, second in (("said", "level"), ("level", "said")):
        outputs = {"said": said, "level": level}
        model = Model(inputs, {name: outputs[name] for name in (first, second)})
        model.compile("sgd", {"said": losses.CTC(from_logits=True), "level": "mse"}, loss_weights={"level": 0.25})
        found = {}
        for batch in (7, 3, 2, 1):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found[batch] = model.evaluate(
                    np.where(kept[..., None], x, 0), {"said": labels, "level": target}, batch, 0, return_dict=True
                )
        scores = model.predict(np.where(kept[..., None], x, 0), verbose=0)
        logs = torch.log_softmax(torch.tensor(scores["said"]), -1).transpose(0, 1)
        rows = torch.nn.functional.ctc_loss(
            logs, torch.tensor(labels), torch.tensor(counts), torch.tensor((labels > 0).sum(1)), 0, "none"
        ).numpy()
        fits = np.isfinite(rows)
        assert fits.sum() == 4
        parts = {"said": rows[fits].mean(), "level": np.mean((scores["level"] - target) ** 2)}
        kernel = model.get_layer("said").kernel.numpy()
        for values in found.values():
            for name, value in parts.items():
                np.testing.assert_allclose(values[f"{name}_loss"], value, rtol=1e-5)
            total = parts["said"] + 0.25 * parts["level"] + 0.01 * np.sum(kernel**2)
            np.testing.assert_allclose(values["loss"], total, rtol=1e-5)
