"""Recurrent cells with clip and activations of their own, beside the equations differentiated by PyTorch."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch.nn import functional as F  # noqa: E402, N812

from lstmcore import functional, models  # noqa: E402
from lstmcore._options import ACTIVATIONS, GRUOptions, LSTMOptions, RNNOptions  # noqa: E402
from lstmcore.activations import get as get_activation  # noqa: E402
from lstmcore.activations import piecewise, smooth  # noqa: E402
from lstmcore.layers import GRU, LSTM, Bidirectional, GRUCell, Input, LSTMCell, SimpleRNN  # noqa: E402
from lstmcore.serialization import deserialize, serialize  # noqa: E402

pytestmark = pytest.mark.peer

STATES = {"lstm": 2, "gru": 1, "rnn": 1}
# float64: 1e-16 over some tens of terms and 6 steps. float32: the same with 6e-8.
TOLERANCE = {"float64": 1e-12, "float32": 3e-5}

# What an activation is in PyTorch, from the name that the core has for it and its two numbers.
IN_TORCH = {
    "tanh": lambda x, a, b: torch.tanh(x),
    "sigmoid": lambda x, a, b: torch.sigmoid(x),
    "hard_sigmoid": lambda x, a, b: torch.clamp(a * x + b, 0, 1),
    "relu": lambda x, a, b: F.relu(x),
    "linear": lambda x, a, b: x,
    "softsign": lambda x, a, b: F.softsign(x),
    "softplus": lambda x, a, b: F.softplus(x, threshold=1000),
    "elu": lambda x, a, b: F.elu(x, a),
    "leaky_relu": lambda x, a, b: F.leaky_relu(x, a),
    "threshold": lambda x, a, b: F.threshold(x, a, b),
    "affine": lambda x, a, b: a * x + b,
    "scaled_tanh": lambda x, a, b: a * torch.tanh(b * x),
}


def in_torch(activation, x):
    kind, alpha, beta = get_activation(activation).in_core
    return IN_TORCH[kind](x, alpha, beta)


def step_in_torch(options, x, states, weights):
    """One step, from the equations."""
    kernel, recurrent, bias, *peephole = weights
    h, *rest = states
    limit = np.inf if options.clip is None else options.clip

    def act(activation, pre):
        return in_torch(activation, torch.clamp(pre, -limit, limit))

    if options.cell == "rnn":
        return [act(options.activation, x @ kernel + h @ recurrent + bias)]
    if options.cell == "gru":
        units = h.shape[1]
        first, second = (bias[0], bias[1]) if options.reset_after else (bias, torch.zeros_like(bias))
        a_z, a_r, a_h = torch.split(x @ kernel + first, units, dim=1)
        u_z, u_r, u_h = torch.split(h @ recurrent + second, units, dim=1)
        z, r = act(options.recurrent_activation, a_z + u_z), act(options.recurrent_activation, a_r + u_r)
        if not options.reset_after:
            u_h = (r * h) @ recurrent[:, 2 * units :]
        hh = act(options.activation, a_h + (r * u_h if options.reset_after else u_h))
        return [z * h + (1 - z) * hh]
    (c,) = rest
    parts = list(torch.split(x @ kernel + h @ recurrent + bias, c.shape[1], dim=1))
    p = peephole[0] if peephole else torch.zeros(3, c.shape[1], dtype=c.dtype)
    i = act(options.recurrent_activation, parts.pop(0) + p[0] * c)
    f = 1 - i if options.coupled else act(options.recurrent_activation, parts.pop(0) + p[1] * c)
    g = act(options.activation if options.input_activation else "linear", parts.pop(0))
    new = f * c + i * g
    o = act(options.recurrent_activation, parts.pop(0) + p[2] * new)
    output = options.output_activation
    if isinstance(output, bool):
        output = options.activation if output else "linear"
    return [o * in_torch(output, new), new]


def problem(options, batch, steps, features, units, seed, dtype):
    """Inputs, weights, initial states, gradients of outputs and last states, as NumPy's arrays."""
    rng = np.random.default_rng(seed)
    columns = options.gates * units
    shapes = [(features, columns), (units, columns), (columns,)]
    if getattr(options, "reset_after", False):
        shapes[2] = (2, columns)
    if getattr(options, "peepholes", False):
        shapes.append((3, units))
    weights = [(0.3 * rng.standard_normal(shape)).astype(dtype) for shape in shapes]
    x = rng.standard_normal((batch, steps, features)).astype(dtype)
    states, d_states = (
        [(scale * rng.standard_normal((batch, units))).astype(dtype) for _ in range(STATES[options.cell])]
        for scale in (0.3, 1)
    )
    return x, weights, states, rng.standard_normal((batch, steps, units)).astype(dtype), d_states


def run(options, x, weights, states, d_outputs, d_states):
    """What the core makes of it: outputs and all gradients."""
    alone = options.cell != "lstm"
    outputs, last, cache = getattr(functional, options.cell)(
        x, weights, states[0] if alone else states, options=options, training=True
    )
    backward = getattr(functional, f"{options.cell}_backward")
    dx, dw, d0 = backward(cache, d_outputs, d_states[0] if alone else d_states)
    return [outputs, *([last] if alone else last), dx, *dw, *([d0] if alone else d0)]


def run_in_torch(options, x, weights, states, d_outputs, d_states):
    leaves = [torch.tensor(np.asarray(a, "float64"), requires_grad=True) for a in (x, *weights, *states)]
    tensors, own = leaves[1 : 1 + len(weights)], list(leaves[1 + len(weights) :])
    outputs = []
    for t in range(x.shape[1]):
        own = step_in_torch(options, leaves[0][:, t], own, tensors)
        outputs.append(own[0])
    outputs = torch.stack(outputs, 1)
    loss = (outputs * torch.tensor(d_outputs)).sum()
    loss = loss + sum((s * torch.tensor(d)).sum() for s, d in zip(own, d_states, strict=True))
    gradients = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
    return [a.detach().numpy() for a in (outputs, *own, *gradients)]


numbers = st.floats(-0.75, 1.25).filter(lambda a: abs(a) > 0.05)
activations = st.one_of(
    st.sampled_from([*ACTIVATIONS]),
    st.builds(
        lambda kind, *numbers: kind(*numbers),
        st.sampled_from([piecewise.Affine, piecewise.HardSigmoid, piecewise.Threshold, smooth.ScaledTanh]),
        numbers,
        numbers,
    ),
    st.builds(smooth.ELU, numbers),
    st.builds(piecewise.LeakyReLU, st.floats(0.01, 1)),
)
clips = st.one_of(st.none(), st.floats(0.1, 3))
cells = st.one_of(
    st.builds(RNNOptions, activations, clips),
    st.builds(GRUOptions, st.booleans(), activations, activations, clip=clips),
    st.builds(
        LSTMOptions,
        activations,
        activations,
        peepholes=st.booleans(),
        coupled=st.booleans(),
        input_activation=st.booleans(),
        output_activation=st.one_of(st.booleans(), activations),
        clip=clips,
    ),
)
sizes = st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 5), st.integers(1, 35))


@given(options=cells, dims=sizes, seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from(["float32", "float64"]))
def test_outputs_and_gradients_are_those_of_autograd(options, dims, seed, dtype):
    given = problem(options, *dims, seed, dtype)
    got, want = run(options, *given), run_in_torch(options, *given)
    forward = 1 + STATES[options.cell]
    size = max(1, *(np.abs(v).max() for v in want))
    # In float32 a number may lie on the other side of a kink than in float64, where slopes differ.
    for a, b in zip(got[: forward if dtype == "float32" else None], want, strict=dtype == "float64"):
        assert a.dtype == dtype
        assert np.abs(a - b).max() <= TOLERANCE[dtype] * size


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_clip_beyond_every_sum_and_the_numbers_of_a_name_change_nothing(cell):
    kind = {"lstm": LSTMOptions, "gru": GRUOptions, "rnn": RNNOptions}[cell]
    given = problem(kind(), 4, 6, 3, 20, 2, "float64")
    size = max(np.abs(v).max() for v in run(kind(), *given))
    for a, b in zip(run(kind(), *given), run(kind(clip=1e30), *given), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13 * size)
    for name in ACTIVATIONS:
        # Of the class's own defaults, and of the core's.
        same = type(get_activation(name))()
        for a, b in zip(run(kind(activation=name), *given), run(kind(activation=same), *given), strict=True):
            np.testing.assert_array_equal(a, b)


def test_nan_and_infinity_are_clipped_or_passed_on():
    # A sum of 1 times the input, which the activation sees.
    weights = [np.ones((1, 1)), np.zeros((1, 1))]
    x = np.array([np.nan, np.inf, -np.inf, 3.0])[:, None, None]
    for name in ACTIVATIONS:
        y = functional.rnn(x, weights, options=RNNOptions(name, clip=2.0))[0].ravel()
        want = functional.rnn(np.array([2.0, -2.0])[:, None, None], weights, options=RNNOptions(name))[0].ravel()
        assert np.isnan(y[0])
        np.testing.assert_array_equal(y[1:], [want[0], want[1], want[0]])


# --- layers ---

MADE = {
    "lstm": lambda: LSTM(4, "elu", clip=0.5, output_activation=smooth.ScaledTanh(1.5, 0.5), input_shape=(None, 3)),
    "gru": lambda: GRU(4, piecewise.Affine(0.5, 0.1), clip=2, input_shape=(None, 3)),
    "rnn": lambda: SimpleRNN(4, piecewise.Threshold(0.1), clip=2.5, input_shape=(None, 3)),
    "both": lambda: Bidirectional(LSTM(4, clip=0.5, output_activation="softplus"), input_shape=(None, 3)),
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_a_layer_is_described_and_saved_with_them(make, tmp_path):
    x = np.random.default_rng(0).standard_normal((2, 5, 3)).astype("f")
    layer = make()
    want = layer(x)
    again = deserialize(json.loads(json.dumps(serialize(layer))))
    again.ensure_built(x.shape)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(x), want)
    model = models.Sequential([make()])
    model.save(str(tmp_path / "model.safetensors"))
    loaded = models.load_model(str(tmp_path / "model.safetensors"))
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_cells_take_them_too():
    x = np.random.default_rng(0).standard_normal((2, 3)).astype("f")
    for cell, layer, options in (
        (LSTMCell, LSTM, {"clip": 0.5, "output_activation": "elu"}),
        (GRUCell, GRU, {"clip": 0.5, "activation": "scaled_tanh"}),
    ):
        one, whole = cell(4, **options), layer(4, **options)
        whole.ensure_built((2, 1, 3))
        one.ensure_built((2, 3))
        one.set_weights(whole.get_weights())
        states = [np.zeros((2, 4), "f") for _ in whole.state_sizes]
        np.testing.assert_array_equal(one(x, states)[0], whole(x[:, None]))


@pytest.mark.parametrize(
    ("make", "kernel"),
    [
        (lambda: LSTM(4), "fused"),
        (lambda: LSTM(4, output_activation="tanh"), "fused"),
        (lambda: LSTM(4, clip=1.0), "staged"),
        (lambda: LSTM(4, output_activation=piecewise.LeakyReLU(0.1)), "staged"),
        (lambda: GRU(4), "fused"),
        (lambda: GRU(4, smooth.ELU(0.3)), "staged"),
        (lambda: SimpleRNN(4, "relu"), "fused"),
        (lambda: SimpleRNN(4, piecewise.HardSigmoid(0.2)), "fused"),
        (lambda: SimpleRNN(4, "softplus"), "staged"),
        (lambda: SimpleRNN(4, clip=3), "staged"),
    ],
)
def test_kernel_info_says_which_loop_runs_them(make, kernel):
    layer = make()
    layer.ensure_built((None, None, 3))
    assert f"{kernel} kernel" in layer.kernel_info()


def test_what_is_derived_from_ours_is_not_taken_for_it():
    class Doubled(smooth.ELU):
        name = "elu"

        def value(self, x):
            return 2 * super().value(x)

        def backward(self, x, y, dy):
            return 2 * super().backward(x, y, dy)

    layer = SimpleRNN(4, Doubled())
    layer.ensure_built((None, None, 3))
    assert "in NumPy" in layer.kernel_info()


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: LSTM(4, clip=0), ValueError, r"clip: expected a number in \(0, inf\), got 0"),
        (lambda: GRU(4, clip=-1.0), ValueError, r"clip: expected a number in \(0, inf\), got -1.0"),
        (lambda: SimpleRNN(4, clip=float("nan")), ValueError, "clip: expected a number"),
        (lambda: LSTM(4, clip=True), TypeError, "clip: expected a number"),
        (lambda: LSTM(4, output_activation="swash"), ValueError, "output_activation: expected one of .* got 'swash'"),
        (lambda: LSTM(4, output_activation=None), TypeError, "output_activation: expected an activation, True"),
        (lambda: GRU(4, output_activation="tanh"), TypeError, "output_activation"),
    ],
)
def test_wrong_ones_are_named(make, kind, text):
    with pytest.raises(kind, match=text):
        make()


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: LSTM(4, clip=0.5), "clip=0.5"),
        (lambda: LSTM(4, output_activation="relu"), "output_activation='relu'"),
        (lambda: GRU(4, "scaled_tanh"), "activation='scaled_tanh'"),
        (lambda: SimpleRNN(4, piecewise.Affine(0.5)), "activation Affine"),
    ],
)
def test_keras_files_cannot_say_them(make, what, tmp_path):
    pytest.importorskip("h5py")
    model = models.Sequential([Input((None, 3)), make()])
    with pytest.raises((NotImplementedError, ValueError), match=what):
        model.save(str(tmp_path / "model.keras"))
