"""Padding: masked steps carry the state, give what Keras says, and reach neither weights nor losses."""

import numpy as np
import pytest
from layer_tools import assert_gradients_by_differences, by_differences, numbers, with_weights

import lstmcore
from lstmcore import Sequential, losses
from lstmcore.layers import GRU, LSTM, SLSTM, Dense, Embedding, Masking, MinGRU, MinLSTM, SimpleRNN

LAYERS = {
    "lstm": lambda **o: LSTM(4, **o),
    "lstm projection": lambda **o: LSTM(4, projection=2, **o),
    "lstm layer norm": lambda **o: LSTM(4, layer_norm=True, **o),
    "gru": lambda **o: GRU(4, **o),
    "gru reset before": lambda **o: GRU(4, reset_after=False, **o),
    "rnn": lambda **o: SimpleRNN(4, **o),
    "min gru": lambda **o: MinGRU(4, **o),
    "min lstm": lambda **o: MinLSTM(4, log_space=True, **o),
    "slstm": lambda **o: SLSTM(4, 2, **o),
}
each_layer = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)


# --- by hand: h = x + h/2, with numbers that floating point holds exactly ---

X = np.array([[1, 2, 4, 8]], "float32")[..., None]
MASK = np.array([[False, True, False, True]])


def halving(**options):
    """A layer of one unit that adds each input to half of what it had."""
    layer = SimpleRNN(1, activation="linear", use_bias=False, **options)
    layer.ensure_built((None, None, 1))
    layer.set_weights([[[1.0]], [[0.5]]])
    return layer


def row(array):
    return array[0].ravel().tolist()


def test_a_masked_step_carries_the_state_and_repeats_the_output():
    outputs, state = halving(return_sequences=True, return_state=True)(X, mask=MASK)
    assert row(outputs) == [0, 2, 2, 9]  # nothing yet; 2; again; 8 + 2/2
    assert row(state) == [9]
    assert row(halving(return_sequences=True)(X)) == [1, 2.5, 5.25, 10.625]


def test_before_the_first_valid_step_the_output_is_zero_whatever_the_initial_state():
    outputs, state = halving(return_sequences=True, return_state=True)(X, mask=MASK, initial_state=[[4.0]])
    assert row(outputs) == [0, 4, 4, 10]  # 2 + 4/2; 8 + 4/2
    assert row(state) == [10]


def test_zero_output_for_mask():
    outputs, state = halving(return_sequences=True, return_state=True, zero_output_for_mask=True)(
        X, mask=MASK, initial_state=[[4.0]]
    )
    assert row(outputs) == [0, 4, 0, 10]
    assert row(state) == [10]


def test_the_last_output_is_that_of_the_last_valid_step():
    mask = np.array([[True, True, False, False]])
    assert row(halving()(X, mask=mask)) == [2.5]
    assert row(halving()(X, mask=mask, initial_state=[[4.0]])) == [3.5]  # 1 + 4/2 = 3, 2 + 3/2
    assert row(halving(zero_output_for_mask=True)(X, mask=mask)) == [2.5]


def test_a_row_without_a_valid_step_gives_zeros_and_keeps_its_state():
    mask = np.zeros((1, 4), bool)
    for options in ({}, {"zero_output_for_mask": True}, {"go_backwards": True}):
        outputs, state = halving(return_sequences=True, return_state=True, **options)(
            X, mask=mask, initial_state=[[4.0]]
        )
        assert row(outputs) == [0, 0, 0, 0]
        assert row(state) == [4]
        last, state = halving(return_state=True, **options)(X, mask=mask, initial_state=[[4.0]])
        assert row(last) == [0]
        assert row(state) == [4]


def test_go_backwards_reverses_the_mask_too():
    layer = halving(return_sequences=True, return_state=True, go_backwards=True)
    outputs, state = layer(X, mask=MASK, initial_state=[[4.0]])
    # In the order of processing: 8 + 4/2; again; 2 + 10/2; again.
    assert row(outputs) == [10, 10, 7, 7]
    assert row(state) == [7]
    assert row(layer.compute_mask(X, MASK)) == [True, False, True, False]
    # Padding on the right is then what comes first.
    right = np.array([[True, True, False, False]])
    outputs, state = layer(X, mask=right, initial_state=[[4.0]])
    assert row(outputs) == [0, 0, 4, 3]  # 2 + 4/2; 1 + 4/2
    assert row(halving(go_backwards=True)(X, mask=right, initial_state=[[4.0]])) == [3]


def test_lengths_are_a_mask_on_the_right_whose_outputs_are_zero():
    outputs, state = halving(return_sequences=True, return_state=True)(X, lengths=[2])
    assert row(outputs) == [1, 2.5, 0, 0]
    assert row(state) == [2.5]


def test_gradients_of_repeated_outputs_belong_to_the_step_they_repeat():
    layer = halving(return_sequences=True)
    layer(X, training=True, mask=MASK)
    d_inputs = layer.backward(np.array([[1, 2, 4, 8]], "float32")[..., None])
    # Step 3 alone has 8. Step 1 has 2, the 4 of the step that repeats it, and half of the 8.
    assert row(d_inputs) == [0, 10, 0, 8]
    kernel, recurrent_kernel = layer.variables
    assert kernel.gradient.item() == 10 * 2 + 8 * 8
    assert recurrent_kernel.gradient.item() == 8 * 2  # of step 3, whose state before was 2


def test_gradients_of_a_masked_row_are_zero():
    layer = halving()
    layer(X, training=True, mask=np.zeros((1, 4), bool))
    assert row(layer.backward(np.ones((1, 1), "float32"))) == [0, 0, 0, 0]
    assert all(v.gradient.item() == 0 for v in layer.variables)


# --- every layer ---


def ragged_mask(batch, steps):
    """Rows padded on the left, on the right, with holes, not at all, and one that is nothing but padding."""
    mask = np.random.default_rng(2).random((batch, steps)) < 0.6
    mask[0], mask[1] = np.arange(steps) > 2, np.arange(steps) < 4
    mask[2], mask[3] = True, False
    return mask


@each_layer
@pytest.mark.parametrize("go_backwards", [False, True])
def test_a_padded_row_is_the_row_alone(make, go_backwards):
    layer = with_weights(
        make(return_sequences=True, return_state=True, go_backwards=go_backwards, dtype="float64"), features=2
    )
    x, mask = numbers(7, 9, 2), ragged_mask(7, 9)
    d = numbers(7, 9, layer.outputs, seed=3)
    x[~mask] = np.nan  # never looked at
    outputs, *states = layer(x, training=True, mask=mask)
    d_inputs = layer.backward(d)
    gradients = [v.gradient.copy() for v in layer.variables]
    for v in layer.variables:
        v.gradient.fill(0)
    for k in range(7):
        valid = mask[k]
        assert not d_inputs[k, ~valid].any()
        if not valid.any():
            assert not outputs[k].any()
            assert not any(s[k].any() for s in states)
            continue
        alone, *alone_states = layer(x[k : k + 1, valid], training=True)
        order = valid[::-1] if go_backwards else valid
        np.testing.assert_array_equal(outputs[k, order], alone[0])
        for got, want in zip(states, alone_states, strict=True):
            np.testing.assert_array_equal(got[k], want[0])
        # Each valid step has its own gradient and those of the steps after it that repeat it.
        which = np.cumsum(order) - 1
        d_alone = np.zeros_like(alone)
        np.add.at(d_alone[0], which[which >= 0], d[k, which >= 0])
        np.testing.assert_allclose(d_inputs[k, valid], layer.backward(d_alone)[0], rtol=1e-10, atol=1e-12)
    for v, want in zip(layer.variables, gradients, strict=True):
        # Rounding: 1e-16 for each of the 40 valid steps or so.
        np.testing.assert_allclose(v.gradient, want, rtol=1e-10, atol=1e-12, err_msg=v.path)


@each_layer
@pytest.mark.parametrize(
    "options", [{}, {"return_sequences": False}, {"zero_output_for_mask": True}, {"go_backwards": True}], ids=str
)
def test_gradients_with_a_mask_by_differences(make, options):
    layer = make(**{"return_sequences": True, "return_state": True, "dtype": "float64"} | options)
    with_weights(layer, features=2)
    initial = [numbers(5, width, seed=8) for width in layer.state_size]
    assert_gradients_by_differences(layer, numbers(5, 6, 2), initial, mask=ragged_mask(5, 6))


# --- where masks come from ---


def test_masking_finds_the_steps_whose_features_are_all_the_value():
    x = np.array([[[0, 0], [0, 1], [-1, -1], [2, 3]]], "float32")
    zero, minus_one = Masking(), Masking(mask_value=-1)
    assert zero.compute_mask(x, None).tolist() == [[False, True, True, True]]
    assert minus_one.compute_mask(x, None).tolist() == [[True, True, False, True]]
    np.testing.assert_array_equal(zero(x), x)
    assert minus_one(x, training=True).tolist() == [[[0, 0], [0, 1], [0, 0], [2, 3]]]
    assert minus_one.backward(np.ones_like(x)).tolist() == [[[1, 1], [1, 1], [0, 0], [1, 1]]]
    assert minus_one.compute_output_shape((None, 4, 2)) == (None, 4, 2)
    with pytest.raises(ValueError, match=r"expected shape \(batch, steps, features\), got \(4, 2\)"):
        zero(x[0])


def test_embedding_looks_up_rows_and_adds_up_their_gradients():
    layer = Embedding(5, 3, weights=np.arange(15).reshape(5, 3), dtype="float64")
    x = np.array([[4, 1], [1, 1]])
    np.testing.assert_array_equal(layer(x, training=True), np.arange(15.0).reshape(5, 3)[x])
    d = numbers(2, 2, 3)
    assert layer.backward(d) is None
    want = np.zeros((5, 3))
    want[4], want[1] = d[0, 0], d[0, 1] + d[1, 0] + d[1, 1]
    np.testing.assert_allclose(layer.embeddings.gradient, want, rtol=1e-14)
    np.testing.assert_array_equal(layer(x.astype("float32")), layer(x))  # whole numbers, as Keras takes them
    assert layer.compute_output_shape((None, 7)) == (None, 7, 3)
    assert layer.compute_mask(x, None) is None
    assert Embedding(5, 3, mask_zero=True).compute_mask(np.array([[0, 2]]), None).tolist() == [[False, True]]


def test_initial_embeddings_are_keras_defaults():
    lstmcore.utils.set_random_seed(0)
    layer = Embedding(1000, 16)
    assert layer(np.zeros((2, 3), int)).shape == (2, 3, 16)
    (values,) = layer.get_weights()
    assert values.shape == (1000, 16)
    assert 0.0499 < np.abs(values).max() <= 0.05
    assert layer.count_params() == 16000
    assert layer.weights[0].path == f"{layer.name}/embeddings"


@pytest.mark.parametrize(
    ("inputs", "error", "text"),
    [
        ([[0, 5]], ValueError, "inputs: expected integers from 0 to 4, got 5"),
        ([[-1, 2]], ValueError, "inputs: expected integers from 0 to 4, got -1"),
        ([[0.5]], TypeError, "inputs: expected integers, got float64"),
        ([["a"]], TypeError, "inputs: expected integers, got <U1"),
        ([[np.nan]], TypeError, "inputs: expected integers"),
    ],
)
def test_what_embedding_cannot_look_up_is_named(inputs, error, text):
    with pytest.raises(error, match=text):
        Embedding(5, 3)(inputs)


# --- through a stack ---


def sequence_model(first, dtype="float64"):
    return Sequential([*first, LSTM(4, return_sequences=True, dtype=dtype), Dense(2, dtype=dtype)])


def last_model(first, dtype="float64"):
    return Sequential(
        [
            *first,
            LSTM(4, return_sequences=True, dtype=dtype),
            GRU(3, return_sequences=True, go_backwards=True, dtype=dtype),
            LSTM(3, dtype=dtype),
            Dense(2, dtype=dtype),
        ]
    )


def fronts():
    """What tells padding from data: Masking before numbers, Embedding before integers."""
    rng = np.random.default_rng(0)
    return {
        "masking": (lambda: [Masking(-9.0, dtype="float64")], rng.standard_normal((6, 5, 2)), -9.0),
        "embedding": (lambda: [Embedding(7, 3, mask_zero=True, dtype="float64")], rng.integers(1, 7, (6, 5)), 0),
    }


def padded(array, where, value):
    """Five steps in nine, with the padding on the left, on the right or between them."""
    steps = {"none": range(5), "left": range(4, 9), "right": range(5), "between": (0, 2, 3, 6, 8)}[where]
    whole = np.full((len(array), 5 if where == "none" else 9, *array.shape[2:]), value, array.dtype)
    whole[:, list(steps)] = array
    return whole


@pytest.mark.parametrize("kind", [sequence_model, last_model])
@pytest.mark.parametrize("front", ["masking", "embedding"])
def test_training_does_not_depend_on_where_the_padding_stands(front, kind):
    make_front, x, value = fronts()[front]
    y = numbers(6, 5, 2) if kind is sequence_model else numbers(6, 2)
    results = {}
    for where in ("none", "left", "right", "between"):
        lstmcore.utils.set_random_seed(4)
        model = kind(make_front())
        model.compile(lstmcore.optimizers.Adam(learning_rate=0.05), "mse", metrics=["mae"])
        # At masked steps the targets are nonsense.
        targets = padded(y, where, np.nan) if kind is sequence_model else y
        history = model.fit(padded(x, where, value), targets, batch_size=4, epochs=5, shuffle=False, verbose=0)
        results[where] = (
            model.get_weights(),
            history.history,
            model.evaluate(padded(x, where, value), targets, verbose=0),
        )
    weights, history, evaluated = results["none"]
    assert np.ptp(history["loss"]) > 0.01  # it has learnt something
    for where in ("left", "right", "between"):
        got_weights, got_history, got_evaluated = results[where]
        # The kernels sum the same numbers in another order: 1e-16, which ten steps of Adam let grow.
        for got, want in zip(got_weights, weights, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-10, err_msg=where)
        np.testing.assert_allclose(got_history["loss"], history["loss"], rtol=1e-9)
        np.testing.assert_allclose(got_history["mae"], history["mae"], rtol=1e-9)
        np.testing.assert_allclose(got_evaluated, evaluated, rtol=1e-9)


def gradients(model, x, y):
    """Loss and gradients of a batch, without a step."""
    model.parameters.gradients.fill(0)
    outputs, mask = model.run(x, training=True)
    weights = losses.combine_weights(outputs.shape[:-1], None, mask)
    loss, gradient = model.loss.value_and_gradient(y, outputs, weights)
    model.backward(gradient)
    return loss, model.parameters.gradients.copy()


@pytest.mark.parametrize("front", ["masking", "embedding"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_rows_of_different_lengths_weigh_as_keras_weighs_them(front, side):
    """The last output: a row each. Sequences: every valid step the same, whatever its row."""
    make_front, x, value = fronts()[front]
    lengths = [5, 1, 3, 4, 2, 5]
    valid = np.arange(5) < np.array(lengths)[:, None]
    if side == "left":
        valid = valid[:, ::-1]
    x = x.copy()
    x[~valid] = value
    for kind, y in ((last_model, numbers(6, 2)), (sequence_model, numbers(6, 5, 2))):
        lstmcore.utils.set_random_seed(4)
        model = kind(make_front())
        model(x)
        model.compile("adam", "mse")
        loss, gradient = gradients(model, x, y)
        shares = [n / sum(lengths) if kind is sequence_model else 1 / 6 for n in lengths]
        alone = [
            gradients(model, x[k : k + 1, valid[k]], y[k : k + 1, valid[k]] if kind is sequence_model else y[k : k + 1])
            for k in range(6)
        ]
        assert loss == pytest.approx(sum(share * a for share, (a, _) in zip(shares, alone, strict=True)), rel=1e-12)
        want = sum(share * g for share, (_, g) in zip(shares, alone, strict=True))
        np.testing.assert_allclose(gradient, want, rtol=1e-9, atol=1e-13)


def test_the_gradient_of_a_masked_model_by_differences():
    make_front, x, value = fronts()["embedding"]
    model = sequence_model(make_front())
    x, y = padded(x, "between", value), numbers(6, 9, 2)
    model(x)
    model.compile("adam", "mse")
    _, gradient = gradients(model, x, y)

    def loss():
        outputs, mask = model.run(x)
        return model.loss.value(y, outputs, losses.combine_weights(outputs.shape[:-1], None, mask))

    np.testing.assert_allclose(gradient, by_differences(loss, model.parameters), rtol=1e-6, atol=1e-9)


def test_a_mask_can_be_given_to_a_model():
    model, masked = (Sequential([*front, LSTM(4), Dense(1)]) for front in ([], [Masking(5.0)]))
    x = numbers(3, 6, 2, dtype="float32")
    x[:, :2] = 5
    mask = np.arange(6) > 1
    want = masked(x)
    model(x)
    model.set_weights(masked.get_weights())
    np.testing.assert_array_equal(model(x, mask=np.tile(mask, (3, 1))), want)
    np.testing.assert_array_equal(model(x[:, 2:]), want)
    assert (model(x) != want).any()


def test_a_mask_ends_where_there_is_one_output_for_all_steps():
    x = np.array([[1, 2, 0]])
    for last, there in ((LSTM(3, return_sequences=True), True), (LSTM(3), False)):
        model = Sequential([Embedding(5, 2, mask_zero=True), last, Dense(2)])
        model(x)
        _, mask = model.run(x)
        assert (mask is not None) == there
    assert GRU(2).compute_mask(x, None) is None


def test_masked_losses_are_means_over_what_is_left():
    y, p = np.array([[[1.0], [2.0], [9.0]]]), np.array([[[3.0], [2.5], [0.0]]])
    mask = np.array([[True, True, False]])
    weights, none = (losses.combine_weights((1, 3), None, m) for m in (mask, np.zeros_like(mask)))
    for name, value, slopes in (
        ("mse", (4 + 0.25) / 2, [2, 0.5, 0]),  # 2 error / 2
        ("mae", (2 + 0.5) / 2, [0.5, 0.5, 0]),
    ):
        loss = losses.resolve(name)
        got, gradient = loss.value_and_gradient(y, p, weights)
        assert got == loss.value(y, p, weights) == pytest.approx(value)
        assert gradient.ravel().tolist() == pytest.approx(slopes)
        got, gradient = loss.value_and_gradient(y, p, none)
        assert got == 0
        assert not gradient.any()
    with pytest.raises(ValueError, match=r"mask: expected the shape of the losses, \(1, 3\),.* got \(1, 2\)"):
        losses.combine_weights((1, 3), None, mask[:, :2])
