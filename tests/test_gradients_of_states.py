"""States that go into recurrent layers and come out of them have gradients."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmcore.layers import GRU, LSTM, RNN, SLSTM, Bidirectional, Cell, GRUCell, LSTMCell, MinGRU, SimpleRNN

BATCH, STEPS, FEATURES = 3, 4, 2


class Leaky(Cell):
    """A cell of the user's with two states, whose output is neither of them."""

    state_size = (3, 2)
    output_size = 5

    def build(self, input_shape):
        self.kernel = self.add_weight("kernel", (input_shape[-1] + 3, 3), "glorot_uniform")
        self.other = self.add_weight("other", (3, 2), "glorot_uniform")

    def forward(self, inputs, states):
        both = np.concatenate([inputs, states[0]], axis=1)
        a = np.tanh(both @ self.kernel.value)
        b = 0.5 * states[1] + a @ self.other.value
        return np.concatenate([a, b * b], axis=1), [a, b], (both, a, b)

    def backward(self, saved, d_output, d_states):
        both, a, b = saved
        d_b = d_states[1] + 2 * b * d_output[:, 3:]
        d_a = (d_states[0] + d_output[:, :3] + d_b @ self.other.value.T) * (1 - a * a)
        self.other.gradient += a.T @ d_b
        self.kernel.gradient += both.T @ d_a
        d_both = d_a @ self.kernel.value.T
        return d_both[:, :-3], [d_both[:, -3:], 0.5 * d_b]


ONE_WAY = {
    "LSTM": lambda **o: LSTM(4, **o),
    "GRU": lambda **o: GRU(4, **o),
    "SimpleRNN": lambda **o: SimpleRNN(3, **o),
    "MinGRU": lambda **o: MinGRU(3, **o),
    "SLSTM": lambda **o: SLSTM(4, **o),
    "RNN": lambda **o: RNN(GRUCell(4), **o),
    "RNN of several": lambda **o: RNN([LSTMCell(3), GRUCell(2)], **o),
    "RNN of the user's": lambda **o: RNN(Leaky(), **o),
}


def nested(layer, flat):
    """The states of an RNN of several cells as it returns and takes them: in a list for each cell that has several."""
    if isinstance(layer, Bidirectional):
        half = len(flat) // 2
        return nested(layer.forward_layer, flat[:half]) + nested(layer.backward_layer, flat[half:])
    return layer._nested(flat) if isinstance(layer, RNN) else list(flat)


def flatten(states):
    return [s for part in states for s in (part if isinstance(part, (list, tuple)) else [part])]


def sizes(layer):
    if isinstance(layer, Bidirectional):
        return [*layer.forward_layer.state_sizes, *layer.backward_layer.state_sizes]
    return layer.state_sizes


@st.composite
def layers(draw):
    kind, both = draw(st.sampled_from(sorted(ONE_WAY))), draw(st.booleans())
    options = {"return_state": True, "return_sequences": draw(st.booleans()), "dtype": "float64"}
    if not both:
        return ONE_WAY[kind](**options, go_backwards=draw(st.booleans()))
    merge = draw(st.sampled_from(["concat", "sum", "ave", "mul", None]))
    if draw(st.booleans()):
        return Bidirectional(ONE_WAY[kind](**options), merge_mode=merge)
    first = ONE_WAY[kind](**options, go_backwards=True)
    return Bidirectional(first, merge_mode=merge, backward_layer=ONE_WAY[kind](**options))


@given(layers(), st.integers(0, 2**32 - 1), st.sampled_from([None, "lengths", "mask"]), st.data())
def test_gradients_of_states_are_differences(layer, seed, padding, data):
    rng = np.random.default_rng(seed)
    layer.build((None, None, FEATURES))
    for v in layer.variables:
        v.assign(0.7 * rng.normal(size=v.shape))
    given = {}
    if padding == "lengths":
        given["lengths"] = rng.integers(0, STEPS + 1, BATCH)
    elif padding == "mask":
        given["mask"] = rng.random((BATCH, STEPS)) < 0.7
    # An sLSTM begins with a normaliser that is not negative.
    x = rng.normal(size=(BATCH, STEPS, FEATURES))
    first = [rng.uniform(0.2, 0.9, size=(BATCH, width)) for width in sizes(layer)]
    outputs = layer(x, initial_state=nested(layer, first), training=True, **given)
    several = 2 if isinstance(layer, Bidirectional) and layer.merge_mode is None else 1
    # Of what comes out, any part may be left unused.
    used = data.draw(st.lists(st.booleans(), min_size=several + len(first), max_size=several + len(first)))
    flat = [*outputs[:several], *flatten(outputs[several:])]
    d = [rng.normal(size=y.shape) if use else None for y, use in zip(flat, used, strict=True)]

    for v in layer.variables:
        v.gradient[...] = 0
    d_outputs = d[:several] if several == 2 else d[0]
    if several == 2 and d[0] is None and d[1] is None:
        d_outputs = None
    d_inputs = layer.backward(d_outputs, d_state=nested(layer, d[several:]))
    d_first = flatten(layer.d_initial_state)

    def loss(x, first):
        outputs = layer(x, initial_state=nested(layer, first), **given)
        flat = [*outputs[:several], *flatten(outputs[several:])]
        return sum((y * g).sum() for y, g in zip(flat, d, strict=True) if g is not None)

    def difference(change):
        step = 1e-5
        return (change(step) - change(-step)) / (2 * step)

    close = {"rel": 1e-5, "abs": 1e-7}
    to = rng.normal(size=x.shape)
    assert (d_inputs * to).sum() == pytest.approx(difference(lambda s: loss(x + s * to, first)), **close)
    for k in range(len(first)):
        to = rng.normal(size=first[k].shape)

        def moved(s, k=k, to=to):
            return loss(x, [f + s * to if j == k else f for j, f in enumerate(first)])

        assert (d_first[k] * to).sum() == pytest.approx(difference(moved), **close), k
    for v in layer.variables:
        before, to = v.numpy(), rng.normal(size=v.shape)

        def with_weight(s, v=v, before=before, to=to):
            v.assign(before + s * to)
            return loss(x, first)

        assert (v.gradient * to).sum() == pytest.approx(difference(with_weight), **close), v.path
        v.assign(before)


@pytest.mark.peer
def test_a_bidirectional_encoder_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    layer = Bidirectional(LSTM(5, return_state=True), dtype="float64")
    x = rng.normal(size=(4, 7, 3))
    _, *states = layer(x, training=True)
    d = [rng.normal(size=s.shape) for s in states]
    for v in layer.variables:
        v.gradient[...] = 0
    d_inputs = layer.backward(None, d_state=d)
    theirs = torch.nn.LSTM(3, 5, bidirectional=True, batch_first=True, dtype=torch.float64)
    weights = {}
    for direction, suffix in ((layer.forward_layer, ""), (layer.backward_layer, "_reverse")):
        kernel, recurrent, bias = (v.numpy() for v in direction.variables)
        weights |= {
            f"weight_ih_l0{suffix}": kernel.T,
            f"weight_hh_l0{suffix}": recurrent.T,
            f"bias_ih_l0{suffix}": bias,
        }
        weights[f"bias_hh_l0{suffix}"] = np.zeros_like(bias)
    theirs.load_state_dict({k: torch.tensor(np.ascontiguousarray(v)) for k, v in weights.items()})
    inputs = torch.tensor(x, requires_grad=True)
    _, (h, c) = theirs(inputs)
    (h * torch.tensor(np.stack(d[::2])) + c * torch.tensor(np.stack(d[1::2]))).sum().backward()
    np.testing.assert_allclose(d_inputs, inputs.grad.numpy(), rtol=1e-9, atol=1e-12)
    ours = [v.gradient for v in layer.variables]
    for k, name in enumerate(("weight_ih_l0", "weight_hh_l0", "bias_ih_l0")):
        for offset, suffix in ((0, ""), (3, "_reverse")):
            want = getattr(theirs, name + suffix).grad.numpy().T
            np.testing.assert_allclose(ours[offset + k], want, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "make", [lambda: Bidirectional(GRU(4, return_state=True)), lambda: RNN(Leaky(), return_state=True)]
)
def test_gradients_that_do_not_fit_are_refused(make):
    layer = make()
    x = np.zeros((2, 3, 2), "float32")
    layer(x, training=True)
    with pytest.raises(ValueError, match="d_state: expected"):
        layer.backward(None, d_state=[None])
    layer(x, training=True)
    with pytest.raises(ValueError, match=r"d_state.*expected (a )?shape"):
        layer.backward(None, d_state=[np.zeros((1, 1), "float32"), None])
