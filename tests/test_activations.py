"""tanh and sigmoid of the core: close to the rounded truth everywhere, right at the edges. The other activations: as
defined, in the tails too, with their derivatives.
"""

import json
import math

import numpy as np
import pytest
from layer_tools import assert_gradients_by_differences, numbers, with_weights

from lstmcore import Sequential, _core, activations
from lstmcore.activations.erf import erfc
from lstmcore.layers import GRU, LSTM, Activation, Conv1D, Dense, LeakyReLU, PReLU, ReLU, Residual, Softmax
from lstmcore.serialization import deserialize, serialize

# Units in the last place. Measured maxima over the points below: float32 tanh 1.87, sigmoid 2.22 with AVX-512 and AVX2;
# without fused multiply-adds (baseline) 2.3 and 2.6; float64 within the same.
FUSED = _core.config()["instruction_set"] != "baseline"
LIMITS = {"tanh": 2.1 if FUSED else 2.6, "sigmoid": 2.3 if FUSED else 2.9}


def points(dtype):
    rng = np.random.default_rng(0)
    largest = 89.0 if dtype == "float32" else 710.0
    binades = np.exp2(rng.uniform(-40, np.log2(largest), 200_000)) * rng.choice([-1, 1], 200_000)
    return np.concatenate([np.linspace(-20, 20, 400_001), np.linspace(-largest, largest, 200_001), binades]).astype(
        dtype
    )


def exact(name, x):
    x = x.astype(np.longdouble)  # 64 bits of mantissa where float64 has 53
    if name == "tanh":
        return np.tanh(x)
    return np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_error_in_units_of_the_last_place(name, dtype):
    x = points(dtype)
    want = exact(name, x)
    normal = np.abs(want) >= np.finfo(dtype).tiny
    got = getattr(_core, name)(x)
    ulp = np.spacing(np.abs(want[normal]).astype(dtype)).astype(np.longdouble)
    error = np.abs(got[normal] - want[normal]) / ulp
    assert error.max() <= LIMITS[name], (x[normal][error.argmax()], error.max())
    assert (np.abs(got[~normal]) <= np.finfo(dtype).tiny).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_edges(dtype):
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e30, -1e30, 1e-30, -1e-30, 20, -20], dtype)
    tanh = _core.tanh(x)
    near_one = np.tanh(x[-2])
    want = [0, 0, 1, -1, np.nan, 1, -1, 1e-30, -1e-30, near_one, -near_one]
    np.testing.assert_array_equal(tanh, np.array(want, dtype))
    assert not np.signbit(tanh[0])
    assert np.signbit(tanh[1])
    sigmoid = _core.sigmoid(x)
    np.testing.assert_array_equal(sigmoid[:9], np.array([0.5, 0.5, 1, 0, np.nan, 1, 0, 0.5, 0.5], dtype))


def test_lengths_that_are_no_multiple_of_a_vector():
    x = np.random.default_rng(0).standard_normal(67).astype("float32")
    for n in range(68):
        np.testing.assert_array_equal(_core.tanh(x[:n]), _core.tanh(x)[:n])


# --- the functions, as their definitions say, in float64 ---


def logistic(x):
    return 1 / (1 + np.exp(-x))


def normal_distribution(x):
    return np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x.ravel()]).reshape(x.shape)


ALPHA, SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946  # Klambauer et al. 2017


def sparsemax(x):
    """By halving the interval in which the threshold lies that leaves a sum of 1."""
    low, high = x.min(-1, keepdims=True) - 1, x.max(-1, keepdims=True)
    for _ in range(100):
        middle = (low + high) / 2
        above = np.maximum(x - middle, 0).sum(-1, keepdims=True) > 1
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.maximum(x - low, 0)


DEFINED = {
    "linear": lambda x: x,
    "affine": lambda x: x,
    "scaled_tanh": lambda x: 1.7159 * np.tanh(2 / 3 * x),
    "relu": lambda x: np.where(x > 0, x, 0),
    "relu6": lambda x: np.minimum(np.maximum(x, 0), 6),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "elu": lambda x: np.where(x > 0, x, np.exp(x) - 1),
    "selu": lambda x: SCALE * np.where(x > 0, x, ALPHA * (np.exp(x) - 1)),
    "celu": lambda x: np.maximum(0, x) + np.minimum(0, np.exp(x) - 1),
    "gelu": lambda x: x * normal_distribution(x),
    "silu": lambda x: x * logistic(x),
    "swish": lambda x: x * logistic(x),
    "mish": lambda x: x * np.tanh(np.log(1 + np.exp(x))),
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "squareplus": lambda x: (x + np.sqrt(x * x + 4)) / 2,
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
    "log_softmax": lambda x: np.log(np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
    "sparsemax": sparsemax,
    "glu": lambda x: x[:, :3] * logistic(x[:, 3:]),
    "sigmoid": logistic,
    "log_sigmoid": lambda x: np.log(logistic(x)),
    "hard_sigmoid": lambda x: np.minimum(np.maximum(x + 3, 0), 6) / 6,
    "hard_silu": lambda x: x * np.minimum(np.maximum(x + 3, 0), 6) / 6,
    "hard_swish": lambda x: x * np.minimum(np.maximum(x + 3, 0), 6) / 6,
    "tanh": np.tanh,
    "hard_tanh": lambda x: np.minimum(np.maximum(x, -1), 1),
    "tanh_shrink": lambda x: x - np.tanh(x),
    "soft_shrink": lambda x: np.where(x > 0.5, x - 0.5, np.where(x < -0.5, x + 0.5, 0)),
    "hard_shrink": lambda x: np.where(np.abs(x) > 0.5, x, 0),
    "threshold": lambda x: np.where(x > 0, x, 0),
    "exponential": np.exp,
    "sparse_plus": lambda x: np.where(x <= -1, 0, np.where(x >= 1, x, (x + 1) ** 2 / 4)),
    "sparse_sigmoid": lambda x: np.where(x <= -1, 0, np.where(x >= 1, 1, (x + 1) / 2)),
}
each_name = pytest.mark.parametrize("name", DEFINED)
# Away from the corners at 0, ±0.5, ±1, ±3 and 6, where there are two slopes.
X = np.array(
    [
        [-9.0, -5.3, -2.9, -1.7, -1.1, -1.4],
        [-0.9, -0.6, -0.4, -0.1, 0.1, 0.25],
        [0.3, 0.7, 1.2, 2.9, 5.3, 4.9],
        [6.2, 3.1, 9, 4.4, 2, 8.6],
    ]
)
OTHERS = {
    "relu": {"negative_slope": 0.1, "max_value": 4.0, "threshold": 1.0},
    "leaky_relu": {"negative_slope": 0.05},
    "elu": {"alpha": 0.5},
    "affine": {"alpha": -0.5, "beta": 0.75},
    "scaled_tanh": {"alpha": -0.5, "beta": 0.75},
    "hard_sigmoid": {"alpha": 0.25, "beta": 0.4},
    "celu": {"alpha": 2.0},
    "gelu": {"approximate": True},
    "squareplus": {"b": 1.0},
    "soft_shrink": {"threshold": 0.2},
    "hard_shrink": {"threshold": 0.2},
    "threshold": {"threshold": 1.5, "default_value": -7.0},
    "softmax": {"axis": 0},
    "log_softmax": {"axis": [0, 1]},
    "sparsemax": {"axis": 0},
    "glu": {"axis": 0},
}
CASES = [(name, {}) for name in DEFINED] + list(OTHERS.items())


def test_every_name_is_tested():
    assert set(activations._BY_NAME) == set(DEFINED)
    assert set(activations.__all__) >= set(DEFINED)


@each_name
def test_the_value_is_what_the_definition_says(name):
    activation = activations.get(name)
    assert activation.name in (name, {"swish": "silu", "hard_swish": "hard_silu"}.get(name))
    # Rounding: an exponential of some units in the last place, and differences from 1.
    np.testing.assert_allclose(activation(X), DEFINED[name](X), rtol=1e-13, atol=1e-15)
    single = activation(X.astype("float32"))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, DEFINED[name](X), rtol=2e-6, atol=1e-7)
    place = X.astype("float32")
    np.testing.assert_array_equal(activation.in_place(place), single)
    assert activation.compute_output_shape(X.shape) == single.shape


def test_the_value_with_arguments():
    x = np.array([-2.0, 0.5, 1.0, 3.0, 5.0])
    assert activations.relu(x, negative_slope=0.5, max_value=4, threshold=1).tolist() == [-1.5, -0.25, 0, 3, 4]
    assert activations.relu([-10, -5, 0, 5, 10], threshold=5).tolist() == [0, 0, 0, 0, 10]  # Keras's example
    np.testing.assert_allclose(activations.elu(x, 0.5)[0], 0.5 * (math.exp(-2) - 1))
    np.testing.assert_allclose(activations.celu(x, alpha=4)[0], 4 * (math.exp(-0.5) - 1))
    np.testing.assert_allclose(activations.threshold(x, 0.7, 9).tolist(), [9, 9, 1, 3, 5])
    inner = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    np.testing.assert_allclose(activations.gelu(x, approximate=True), 0.5 * x * (1 + np.tanh(inner)), rtol=1e-12)
    np.testing.assert_allclose(activations.softmax(X, axis=0).sum(0), 1)
    np.testing.assert_allclose(activations.softmax(X, axis=(0, 1)).sum(), 1)
    assert activations.relu(np.array([-np.inf, np.inf]), max_value=2).tolist() == [0, 2]


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_the_derivative_is_that_of_the_value(name, arguments):
    activation = type(activations.get(name))(**arguments)
    x, dy, step = X.copy(), numbers(*activation(X).shape), 1e-6
    want = np.empty_like(x)
    for index in np.ndindex(x.shape):
        value = x[index]
        x[index] = value + step
        above = (activation.value(x) * dy).sum()
        x[index] = value - step
        want[index] = (above - (activation.value(x) * dy).sum()) / (2 * step)
        x[index] = value
    y = activation.value(x)
    # Central differences: step^2 = 1e-12 of the third derivative, and rounding of sums over the step.
    np.testing.assert_allclose(activation.backward(x, y, dy), want, rtol=1e-7, atol=1e-9 * np.abs(y).sum())
    if not activation.needs_input:
        np.testing.assert_array_equal(activation.backward(None, y, dy), activation.backward(x, y, dy))
    single = activation.backward(x.astype("float32"), y.astype("float32"), dy.astype("float32"))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, want, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_far_out_nothing_overflows(name, arguments, dtype):
    if name == "exponential":
        return  # which is meant to
    activation = type(activations.get(name))(**arguments)
    x = np.array([[-1e30, -700.0, -100.0, -40.0], [40.0, 100.0, 700.0, 1e30]], dtype)
    y = activation(x)
    assert np.isfinite(y).all()
    assert np.isfinite(activation.backward(x, y, np.ones_like(y))).all()


# Values far below zero from their expansions: exp(x), x exp(x), ... to first order, exact in float64 at x = -30.
TAILS = {
    "softplus": (math.exp(-30), math.exp(-30)),
    "silu": (-30 * math.exp(-30), -29 * math.exp(-30)),
    "mish": (-30 * math.exp(-30), -29 * math.exp(-30)),
    "sigmoid": (math.exp(-30), math.exp(-30)),
    "elu": (math.exp(-30) - 1, math.exp(-30)),
    "gelu": (
        -15 * math.erfc(30 / math.sqrt(2)),
        0.5 * math.erfc(30 / math.sqrt(2)) - 30 * math.exp(-450) / math.sqrt(2 * math.pi),
    ),
    "squareplus": (2 / (30 + math.sqrt(904)), 2 / (30 + math.sqrt(904)) / math.sqrt(904)),
}


@pytest.mark.parametrize("name", TAILS)
def test_small_values_in_the_tail_keep_their_digits(name):
    x = np.array([-30.0])
    y = activations.get(name)(x)
    value, slope = TAILS[name]
    # erfc has some units in the last place; its derivative, a difference of nearly equal numbers, 30^2 times that.
    np.testing.assert_allclose(y, [value], rtol=2e-14 * 30)
    np.testing.assert_allclose(activations.get(name).backward(x, y, np.ones(1)), [slope], rtol=1e-11)


def test_log_sigmoid_above_zero_keeps_its_digits():
    np.testing.assert_allclose(activations.log_sigmoid(np.array([30.0])), [-math.exp(-30)], rtol=1e-12)


@pytest.mark.parametrize(("dtype", "limit"), [("float64", 8), ("float32", 10)])
def test_erfc_in_units_of_the_last_place(dtype, limit):
    """Measured maxima: 7.0 and 8.9, in the tail, where erfc falls by its own size over 1 / (2 x)."""
    x = np.concatenate([np.linspace(-6, 9, 20_001), np.linspace(9, 26, 1_001), np.logspace(-30, -1, 500)]).astype(dtype)
    want = np.array([math.erfc(v) for v in x.astype("float64")])
    normal = want > np.finfo(dtype).tiny
    error = np.abs(erfc(x).astype("float64") - want)[normal] / np.spacing(want[normal].astype(dtype))
    assert error.max() < limit
    np.testing.assert_array_equal(erfc(np.array([np.inf, -np.inf, 0, np.nan], dtype)), np.array([0, 2, 1, np.nan]))


@pytest.mark.peer
@each_name
def test_the_values_and_derivatives_are_those_of_torch(name):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    theirs = {
        "linear": lambda x: x,
        "affine": lambda x: x,
        "scaled_tanh": lambda x: 1.7159 * torch.tanh(2 / 3 * x),
        "leaky_relu": lambda x: functional.leaky_relu(x, 0.2),
        "hard_silu": functional.hardswish,
        "hard_swish": functional.hardswish,
        "hard_sigmoid": functional.hardsigmoid,
        "hard_tanh": functional.hardtanh,
        "hard_shrink": functional.hardshrink,
        "soft_shrink": functional.softshrink,
        "tanh_shrink": functional.tanhshrink,
        "log_sigmoid": functional.logsigmoid,
        "swish": functional.silu,
        "softmax": lambda x: torch.softmax(x, -1),
        "log_softmax": lambda x: torch.log_softmax(x, -1),
        "threshold": lambda x: functional.threshold(x, 0, 0),
        "exponential": torch.exp,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
    }
    if name in ("squareplus", "sparse_plus", "sparse_sigmoid", "sparsemax"):
        pytest.skip("PyTorch has none")
    x = torch.tensor(X, requires_grad=True)
    y = theirs.get(name, getattr(functional, name, None))(x)
    dy = numbers(*y.shape)
    y.backward(torch.tensor(dy))
    ours = activations.get(name)(X)
    np.testing.assert_allclose(ours, y.detach().numpy(), rtol=1e-12, atol=1e-15)
    # PyTorch multiplies by a sixth of float32 in the derivative of hard_sigmoid.
    rtol = 1e-7 if name == "hard_sigmoid" else 1e-11
    np.testing.assert_allclose(activations.get(name).backward(X, ours, dy), x.grad.numpy(), rtol=rtol, atol=1e-14)


# --- how they are named and given ---


def test_whole_numbers_and_lists_are_taken_as_float32():
    y = activations.relu([-1, 2])
    assert y.dtype == np.float32
    assert y.tolist() == [0, 2]


def test_functions_of_the_users():
    def square(x):
        return x * x

    layer, x = Activation(square, dtype="float64"), numbers(2, 3)
    np.testing.assert_array_equal(layer(x, training=True), x * x)
    np.testing.assert_allclose(layer.backward(x), 2 * x * x, rtol=1e-15)  # autograd's
    with pytest.raises(TypeError, match=r"Activation: activation: .* cannot be saved"):
        Activation(lambda x: x).get_config()
    square.backward = lambda x, y, dy: 3 * x * dy
    layer(x, training=True)
    np.testing.assert_array_equal(layer.backward(x), 3 * x * x)


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_activations_are_plain_data(name, arguments):
    activation = type(activations.get(name))(**arguments)
    twin = deserialize(json.loads(json.dumps(serialize(activation))))
    assert type(twin) is type(activation)
    np.testing.assert_array_equal(twin(X), activation(X))
    dense = Dense(2, activation=activation)
    assert Dense.from_config(json.loads(json.dumps(dense.get_config()))).activation.name == activation.name


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "sparsemax", "glu"])
def test_an_axis_that_is_not_there_is_named_and_one_without_elements_is_none(name):
    function = getattr(activations, name)
    for axis, shape in ((2, (2, 2)), (-3, (2, 2)), (-1, ())):
        with pytest.raises(
            ValueError, match=f"{name}: axis: expected one of the axes of inputs of shape .* got {axis}"
        ):
            function(np.ones(shape), axis=axis)
    assert function(np.ones((2, 0))).shape == (2, 0)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: activations.get("swash"), ValueError, "activation: expected one of affine, .* or None, got 'swash'"),
        (lambda: activations.get(3), ValueError, "activation: expected a name, a function or None, got 3"),
        (
            lambda: activations.relu([1.0], negative_slope=-1),
            ValueError,
            r"relu: negative_slope: .* \[0, inf\), got -1",
        ),
        (lambda: activations.relu([1.0], max_value="a"), TypeError, "relu: max_value: .* got 'a'"),
        (lambda: activations.relu([1.0], threshold=None), TypeError, "relu: threshold: .* got None"),
        (
            lambda: activations.elu([1.0], alpha=float("nan")),
            ValueError,
            "elu: alpha: expected a number in .*, got nan",
        ),
        (lambda: activations.celu([1.0], alpha=0), ValueError, "celu: alpha: .* other than 0"),
        (lambda: activations.gelu([1.0], approximate=1), TypeError, "gelu: approximate: .* True or False, got 1"),
        (lambda: activations.softmax([1.0], axis=0.5), TypeError, "softmax: axis: expected an integer .* got 0.5"),
        (lambda: activations.tanh([1.0], 3), TypeError, "takes 1 positional argument"),
    ],
)
def test_wrong_arguments_are_named(make, error, text):
    with pytest.raises(error, match=text):
        make()


# --- those of a whole axis, in layers ---


def test_sparsemax_of_known_numbers():
    x = np.array([[0.5, 0.2], [3.0, 1.0], [1.2, 1.0], [-np.inf, 7.0]])
    # Of both, t = (sum - 1) / 2; where the larger is one or more above, it alone stays.
    want = np.array([[0.65, 0.35], [1, 0], [0.6, 0.4], [0, 1]])
    np.testing.assert_allclose(activations.sparsemax(x), want, atol=1e-15)
    np.testing.assert_allclose(activations.sparsemax((x + 2.0**20).astype("float32")), want, atol=0.04)  # of its grid
    many = activations.sparsemax(numbers(3, 100_000, dtype="float32"))
    np.testing.assert_allclose(many.astype(float).sum(-1), 1, rtol=1e-5)


MAKES = {
    "Dense": lambda a: Dense(6, activation=a, dtype="float64"),
    "Conv1D": lambda a: Conv1D(6, 2, padding="causal", activation=a, dtype="float64"),
    "Conv1D in groups": lambda a: Conv1D(6, 2, padding="causal", groups=2, activation=a, dtype="float64"),
    "Activation": lambda a: Activation(a, dtype="float64"),
}
in_layers = pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)


@in_layers
def test_a_layer_that_ends_with_glu_is_half_as_wide(make):
    layer, x = with_weights(make("glu"), 6), numbers(2, 5, 6)
    linear = with_weights(make(None), 6)
    sums = linear(x)
    want = sums[..., :3] * logistic(sums[..., 3:])
    for training in (False, True):
        got = layer(x, training=training)
        np.testing.assert_allclose(got, want, rtol=1e-12)
        assert got.shape == layer.compute_output_shape(x.shape) == (2, 5, 3)
    assert layer.compute_output_shape((None, None, 6)) == (None, None, 3)
    assert_gradients_by_differences(layer, x)
    model = Sequential([make("glu"), LSTM(2, return_sequences=True, dtype="float64")])
    outputs = model(x)
    assert model.output_shape == (None, 5, 2)
    stream = model.stream(2, 2)
    parts = [stream(x[:, begin : begin + 2]).copy() for begin in (0, 2, 4)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), outputs)


@in_layers
@pytest.mark.parametrize("kind", ["Softmax", "Sparsemax", "GLU"])
def test_the_axis_is_one_of_the_outputs(make, kind):
    """The layer's own, of (batch, steps, units), however it computes its sums; no stream, no loss cuts it short."""
    activation = getattr(activations.softmaxes, kind)(1)
    layer, x = with_weights(make(activation), 6), numbers(2, 4, 6)
    sums = with_weights(make(None), 6)(x)
    turned = DEFINED[kind.lower()] if kind != "GLU" else lambda s: s[..., :2] * logistic(s[..., 2:])
    want = turned(sums.swapaxes(1, 2)).swapaxes(1, 2)
    np.testing.assert_allclose(layer(x), want, rtol=1e-12)
    assert layer.compute_output_shape(x.shape) == want.shape
    assert_gradients_by_differences(layer, x)
    assert layer.last_activation is None
    with pytest.raises(ValueError, match="axis"):
        layer.stream(1, 1)


@in_layers
def test_glu_needs_two_halves(make):
    odd = {"Dense": Dense(5, activation="glu"), "Conv1D": Conv1D(5, 1, activation="glu")}
    layer, x = odd.get(type(make("glu")).__name__, Activation("glu")), numbers(2, 4, 5)
    for call in (lambda: layer(x), lambda: layer.compute_output_shape(x.shape)):
        with pytest.raises(ValueError, match=r"glu: inputs: expected an even size of axis -1, got shape \(2, 4, 5\)"):
            call()


@pytest.mark.parametrize(
    ("layer", "by_hand"),
    [
        (LeakyReLU(0.25), lambda z: np.where(z > 0, z, 0.25 * z)),
        (ReLU(max_value=0.5), lambda z: np.clip(z, 0, 0.5)),
        (Softmax(), lambda z: np.exp(z) / np.exp(z).sum(-1, keepdims=True)),
        (Activation(LeakyReLU(0.5)), lambda z: np.where(z > 0, z, 0.5 * z)),
    ],
)
def test_a_layer_that_is_an_activation_may_be_given_as_one(layer, by_hand):
    x = numbers(3, 4, 2)
    dense = Dense(3, activation=layer, dtype="float64")
    z = dense(x) * 0 + x @ dense.kernel.value + dense.bias.value
    np.testing.assert_allclose(dense(x), by_hand(z), rtol=1e-12)
    for outer in (dense, Conv1D(3, 2, activation=layer, dtype="float64"), GRU(3, activation=layer, dtype="float64")):
        outer(x)
        assert_gradients_by_differences(outer, x)
        again = type(outer).from_config(json.loads(json.dumps(outer.get_config())))
        again.build(x.shape)
        again.set_weights(outer.get_weights())
        np.testing.assert_array_equal(again(x), outer(x))


@pytest.mark.parametrize("layer", [PReLU(), Dense(3, activation="relu"), Residual([Dense(2)])])
@pytest.mark.parametrize("outer", [Dense, LSTM, Activation])
def test_another_layer_is_no_activation(outer, layer):
    arguments = () if outer is Activation else (3,)
    with pytest.raises(ValueError, match=r"activation: expected a name, a function or None.*put it behind the layer"):
        outer(*arguments, activation=layer)
