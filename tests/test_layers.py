"""The layers: initial weights as Keras makes them, passes as the reference computes them, errors that help."""

import inspect

import numpy as np
import pytest
from layer_tools import set_values

import lstmcore
from lstmcore import Input, Sequential, initializers, layers, losses, metrics, reference
from lstmcore.layers import LSTM, RNN, Conv1D, Dense


@pytest.fixture(autouse=True)
def _seed():
    lstmcore.utils.set_random_seed(3)


def numbers(*shape, dtype="float32"):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


# --- initial weights ---


def test_initial_lstm_weights_are_keras_defaults():
    layer = LSTM(64, input_shape=(None, 20))
    Sequential([layer])
    kernel, recurrent_kernel, bias = layer.get_weights()
    # Glorot's limit counts all four gates as fan-out; of 5,120 uniform numbers the largest comes this close to it.
    limit = np.sqrt(6 / (20 + 256))
    assert kernel.shape == (20, 256)
    assert 0.99 * limit < np.abs(kernel).max() <= limit * (1 + 1e-6)
    assert np.var(kernel) == pytest.approx(limit**2 / 3, rel=0.05)
    # The rows of the whole (units, 4*units) matrix are orthonormal, to float32 rounding.
    np.testing.assert_allclose(recurrent_kernel @ recurrent_kernel.T, np.eye(64), atol=2e-6)
    np.testing.assert_array_equal(bias, np.repeat([0, 1, 0, 0], 64))


def test_unit_forget_bias_leaves_the_other_gates_to_the_initializer():
    layer = LSTM(2, bias_initializer="ones", input_shape=(None, 1))
    Sequential([layer])
    assert (layer.get_weights()[2] == 1).all()
    layer = LSTM(2, unit_forget_bias=False, input_shape=(None, 1))
    Sequential([layer])
    assert (layer.get_weights()[2] == 0).all()


def test_orthogonal_matrices_of_any_aspect():
    for shape in [(3, 8), (8, 3), (5, 5)]:
        q = initializers.Orthogonal(seed=1)(shape, "float64")
        small = q @ q.T if shape[0] <= shape[1] else q.T @ q
        np.testing.assert_allclose(small, np.eye(min(shape)), atol=1e-14)


def test_seeded_initializers_repeat_and_others_follow_the_global_seed():
    assert (initializers.GlorotUniform(seed=5)((4, 4)) == initializers.GlorotUniform(seed=5)((4, 4))).all()
    lstmcore.utils.set_random_seed(9)
    first = initializers.GlorotUniform()((4, 4))
    assert (first != initializers.GlorotUniform()((4, 4))).any()
    lstmcore.utils.set_random_seed(9)
    assert (first == initializers.GlorotUniform()((4, 4))).all()


# --- passes ---


@pytest.mark.parametrize("return_sequences", [True, False])
def test_lstm_layer_is_the_reference(return_sequences):
    layer = LSTM(7, return_sequences=return_sequences, return_state=True, dtype="float64")
    x = numbers(3, 5, 4, dtype="float64")
    state = [numbers(3, 7, dtype="float64"), numbers(7, 3, dtype="float64").T]
    outputs, h, c = layer(x, initial_state=state)
    expected, (expected_h, expected_c) = reference.lstm(
        x, layer.get_weights(), state, return_sequences=return_sequences
    )
    for got, want in [(outputs, expected), (h, expected_h), (c, expected_c)]:
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("activation", [None, "tanh", "sigmoid", "relu"])
@pytest.mark.parametrize("shape", [(5, 3), (2, 4, 3)])
def test_dense_gradients_by_finite_differences(activation, shape):
    layer = Dense(6, activation=activation, dtype="float64")
    x = numbers(*shape, dtype="float64")
    weight = numbers(*shape[:-1], 6, dtype="float64")
    layer(x)
    layer.forward(x, training=True)
    dx = layer.backward(weight)

    def slope(array, index, write):
        step, values = 1e-6, []
        for sign in (1, -1):
            moved = array.copy()
            moved[index] += sign * step
            write(moved)
            values.append((layer.forward(inputs[0]) * weight).sum())
        write(array)
        return (values[0] - values[1]) / (2 * step)

    inputs = [x]
    for index in np.ndindex(x.shape):
        want = slope(x, index, lambda a: inputs.__setitem__(0, a))
        assert dx[index] == pytest.approx(want, rel=1e-6, abs=1e-8)
    for variable in layer.variables:
        for index in np.ndindex(variable.shape):
            want = slope(variable.numpy(), index, variable.assign)
            assert variable.gradient[index] == pytest.approx(want, rel=1e-6, abs=1e-8)


def test_changed_weights_change_the_outputs():
    layer, x = LSTM(4), numbers(2, 3, 2)
    layer(x)
    new = [numbers(*w.shape) for w in layer.get_weights()]
    layer.set_weights(new)
    expected, _ = reference.lstm(x.astype("float64"), [w.astype("float64") for w in new], return_sequences=False)
    np.testing.assert_allclose(layer(x), expected, atol=1e-6)
    layer.weights[2].assign(np.zeros(16))
    assert (layer(x) != expected).all()


def test_other_float_types_are_converted():
    layer = LSTM(4)
    x = numbers(2, 3, 2)
    assert layer(x.astype("float64")).dtype == np.float32
    assert layer(x.astype("float16")).dtype == np.float32


# --- models ---


def test_parameter_counts_and_shapes():
    model = Sequential([Input(shape=(12, 1)), LSTM(50, return_sequences=True), LSTM(50), Dense(1)])
    # 4 units (inputs + units + 1) for an LSTM: the numbers Keras prints for the same model.
    assert [layer.count_params() for layer in model.layers] == [10400, 20200, 51]
    assert model.count_params() == 30651
    assert model.input_shape == (None, 12, 1)
    assert model.output_shape == (None, 1)
    assert [v.path.split("/")[1] for v in model.weights] == 2 * ["kernel", "recurrent_kernel", "bias"] + [
        "kernel",
        "bias",
    ]


def test_weights_are_views_of_one_vector():
    model = Sequential([LSTM(3, input_shape=(None, 2)), Dense(2)])
    before = model.get_weights()
    set_values(model.parameters, 2 * model.parameters.values)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(new, 2 * old)


def test_summary_and_reprs(capsys):
    model = Sequential([LSTM(50, input_shape=(12, 1), name="first"), Dense(1, name="last")], name="forecast")
    model.summary()
    out = capsys.readouterr().out
    for text in ('Model: "forecast"', "first (LSTM)", "(None, 50)", "10,400", "Total params: 10,451 (40.82 KB)"):
        assert text in out
    assert len({len(line) for line in out.splitlines() if line[0] in "┌├└│"}) == 1
    assert repr(model) == "<Sequential name=forecast, layers=[first, last]>"
    assert repr(model.layers[0]) == "<LSTM name=first, built>"
    assert repr(model.weights[0]) == "<Variable first/kernel shape=(1, 200) dtype=float32>"


def test_a_model_without_a_shape_is_built_by_its_first_data():
    model = Sequential([LSTM(3), Dense(2)])
    with pytest.raises(ValueError, match="no weights yet"):
        model.count_params()
    assert model(numbers(4, 5, 2)).shape == (4, 2)
    assert model.count_params() == 4 * 3 * (2 + 3 + 1) + 8


def test_layers_can_be_added_and_removed():
    model = Sequential()
    model.add(LSTM(3, input_shape=(4, 2)))
    model.add(Dense(5))
    assert model.output_shape == (None, 5)
    assert isinstance(model.pop(), Dense)
    assert model.layers == [model.get_layer(index=0)]
    assert model.output_shape == (None, 3)
    assert model.count_params() == 4 * 3 * (2 + 3 + 1)


def test_a_layer_used_before_keeps_its_weights_in_a_model():
    layer, x = LSTM(4, return_sequences=True), numbers(2, 3, 2)
    before = layer(x)
    model = Sequential([layer])
    np.testing.assert_array_equal(model(x), before)
    set_values(model.parameters, 0)
    assert not model(x).any()


def test_a_layer_may_be_part_of_several_models_and_is_trained_by_whoever_trains():
    model = Sequential([LSTM(4, input_shape=(3, 2), name="shared"), Dense(1)], name="first")
    other = Sequential([*model.layers[:-1], Dense(2)], name="second")
    x = numbers(5, 3, 2)
    for trained, width in ((model, 1), (other, 2), (model, 1)):
        trained.compile("sgd", "mse")
        before = model.layers[0].get_weights()
        trained.train_on_batch(x, np.ones((5, width)))
        assert all((a != b).any() for a, b in zip(before, model.layers[0].get_weights(), strict=True))
        np.testing.assert_array_equal(other.predict(x, verbose=0), other.layers[1](model.layers[0](x)))
    with pytest.raises(ValueError, match="expected a name of its own, got 'shared' again"):
        model.add(model.layers[0])
    with pytest.raises(ValueError, match="expected another model, got itself"):
        model.add(model)


# --- bad input ---


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: LSTM(0), ValueError, "units: expected a positive integer, got 0"),
        (lambda: LSTM(2.5), TypeError, "units: expected a positive integer, got 2.5"),
        (lambda: LSTM("8"), TypeError, "units: expected a positive integer, got '8'"),
        (lambda: LSTM(2, kernel_regularizer="l3"), ValueError, "got 'l3'"),
        (lambda: LSTM(2, time_major=True), NotImplementedError, "time_major=True"),
        (lambda: LSTM(2, activation="swash"), ValueError, "activation: .* got 'swash'"),
        (lambda: LSTM(2, no_such_thing=1), TypeError, "no_such_thing"),
        (lambda: LSTM(2, dtype="int32"), TypeError, "float32, float64 or mixed_bfloat16, got int32"),
        (lambda: Dense(2, activation="swash"), ValueError, "got 'swash'"),
        (lambda: Sequential([LSTM(2, kernel_initializer="ortho", input_shape=(3, 1))]), ValueError, "got 'ortho'"),
        (lambda: Sequential([LSTM(2, input_shape=(3,))]), ValueError, r"\(batch, steps, features\), got \(None, 3\)"),
        (lambda: Sequential([LSTM(2**61, input_shape=(3, 1))]), ValueError, "units: .* overflows"),
        (lambda: Sequential([LSTM(2**46, input_shape=(3, 1))]), MemoryError, "units: no memory for a kernel"),
        (lambda: Sequential([LSTM(2, name="a"), Dense(1, name="a")]), ValueError, "got 'a' again"),
        (lambda: Sequential([LSTM(2), Dense(1, dtype="float64")]), ValueError, "expected dtype float32, got float64"),
        (lambda: Sequential(["lstm"]), TypeError, "expected a Layer, got 'lstm'"),
        (lambda: Input(), ValueError, "one of shape and batch_shape"),
        (lambda: lstmcore.utils.set_random_seed(-1), ValueError, "seed: .* got -1"),
        (lambda: Dense(2, dtype=1.5), TypeError, "dtype: expected float32, float64 or mixed_bfloat16, got 1.5"),
        (lambda: Dense(2, name=7), TypeError, "Dense: name: expected a string, got 7"),
        (lambda: Dense(2, input_shape=4), TypeError, "Dense: input_shape: expected a tuple .* got 4"),
        (lambda: Dense(2, input_shape="ab"), TypeError, "Dense: input_shape: expected a tuple .* got 'ab'"),
        (lambda: Dense(2, input_shape=(-3,)), ValueError, "Dense: input_shape: .* positive integer, got -3"),
        (lambda: Dense(2, batch_input_shape=3), TypeError, "Dense: batch_input_shape: expected a tuple .* got 3"),
        (lambda: Dense(2, input_dim=0), ValueError, "Dense: input_dim: expected a positive integer, got 0"),
        (lambda: Input(4), TypeError, "Input: shape: expected a tuple .* got 4"),
        (lambda: Dense(2, kernel_initializer=0)(np.zeros((1, 2))), ValueError, "initializer: expected a name .* got 0"),
        (lambda: RNN(3), ValueError, "RNN: cell: expected a cell or a list of cells, got 3"),
        (lambda: layers.Masking("a"), TypeError, "Masking: mask_value: expected a number .* got 'a'"),
        (lambda: layers.Masking(np.nan), ValueError, "Masking: mask_value: .* got nan"),
        (lambda: layers.Permute(1.5), TypeError, "Permute: dims: expected an integer or several, got 1.5"),
        (lambda: layers.PReLU(shared_axes="a"), TypeError, "PReLU: shared_axes: .* got 'a'"),
        (lambda: layers.Concatenate(None), TypeError, "Concatenate: axis: expected an integer, got None"),
    ],
)
def test_wrong_arguments_are_named(make, error, text):
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize(
    ("made", "order"),
    [
        (Conv1D, "bias_initializer kernel_regularizer bias_regularizer activity_regularizer kernel_constraint"),
        (RNN, "cell return_sequences return_state go_backwards stateful unroll zero_output_for_mask"),
        (losses.SparseCategoricalCrossentropy, "from_logits ignore_class reduction axis name dtype"),
        (metrics.SparseCategoricalCrossentropy, "name dtype from_logits ignore_class axis"),
    ],
)
def test_arguments_stand_in_the_order_of_keras(made, order):
    assert order in " ".join(inspect.signature(made).parameters)


def test_arguments_without_effect_are_accepted():
    LSTM(2, use_cudnn="auto", unroll=True, implementation=2, time_major=False, dropout=0.0)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.BatchNormalization(), (2, 5, 0)),
        (layers.LayerNormalization(), (2, 5, 0)),
        (layers.Conv1D(4, 3), (2, 5, 0)),
        (layers.Flatten(), ()),
    ],
)
def test_inputs_without_features_are_refused(layer, shape):
    with pytest.raises(ValueError, match="inputs: expected"):
        layer(np.zeros(shape, "float32"))


def test_inputs_that_do_not_fit_what_came_before_are_refused():
    layer = layers.PReLU()
    layer(np.zeros((2, 5, 3), "float32"))
    for shape in [(2, 1, 3), (2, 5, 4), (5, 3)]:  # NumPy would broadcast the first and the last
        with pytest.raises(ValueError, match=r"inputs: expected what fits alpha \(5, 3\)"):
            layer(np.zeros(shape, "float32"))
    with pytest.raises(ValueError, match=r"inputs: expected shapes that fit along axis -1, got \(2, 3\), \(4, 3\)"):
        layers.Concatenate()([np.zeros((2, 3)), np.zeros((4, 3))])


def test_an_array_is_an_initializer():
    layer = Dense(2, kernel_initializer=np.array([[1.0, 2.0], [3.0, 4.0]]))
    np.testing.assert_array_equal(layer(np.eye(2)), [[1, 2], [3, 4]])


@pytest.mark.parametrize("layer", [Dense(2), LSTM(2), layers.Embedding(5, 2), layers.Dropout(0.5)])
def test_lists_of_different_lengths_are_refused(layer):
    with pytest.raises(ValueError, match="inputs: expected an array, got lists of different lengths"):
        layer([[1, 2], [3]])


@pytest.mark.parametrize("bad", [np.full((2, 3, 1), None), np.zeros((2, 3, 1), complex), np.array([[["a"]]])])
def test_inputs_that_are_not_numbers_are_refused(bad):
    with pytest.raises(TypeError, match=r"inputs: expected float32, got"):
        LSTM(2)(bad)


def test_wrong_widths_are_refused_after_building():
    layer, dense = LSTM(2), Dense(3)
    layer(numbers(1, 2, 3))
    with pytest.raises(ValueError, match=r"inputs: expected shape \(batch, steps, inputs=3\), got \(1, 2, 4\)"):
        layer(numbers(1, 2, 4))
    dense(numbers(1, 2))
    with pytest.raises(ValueError, match=r"expected 2 features, got shape \(1, 4\)"):
        dense(numbers(1, 4))


def test_set_weights_is_all_or_nothing():
    layer = LSTM(2)
    with pytest.raises(ValueError, match="has no weights yet"):
        layer.set_weights([])
    layer(numbers(1, 2, 3))
    before = layer.get_weights()
    with pytest.raises(ValueError, match=r"bias: expected shape \(8,\), got \(7,\)"):
        layer.set_weights([before[0] + 1, before[1] + 1, np.zeros(7)])
    with pytest.raises(ValueError, match="expected 3 arrays, got 2"):
        layer.set_weights(before[:2])
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_backward_needs_a_training_forward():
    layer = LSTM(2)
    layer(numbers(1, 2, 3))
    with pytest.raises(RuntimeError, match="training=True"):
        layer.backward(numbers(1, 2))
