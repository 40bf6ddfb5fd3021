"""Chains of random layers in float64: gradients against differences, padding against its absence, bits, files."""

import pickle

import numpy as np
from layer_tools import by_differences

from lstmcore import Sequential, _core, layers

STEPS, FEATURES = 6, 3
F64 = {"dtype": "float64"}


# The smooth ones, half of which the core does not have.
SMOOTH = ("tanh", "sigmoid", "softsign", "gelu", "mish", "log_sigmoid", "tanh_shrink", "softmax")


WITH_ACTIVATIONS = (layers.LSTM, layers.GRU, layers.SimpleRNN)
RECURRENT = (*WITH_ACTIVATIONS, layers.MinGRU, layers.MinLSTM, layers.SLSTM)


def recurrent(rng, features):
    """A recurrent layer with any of its options that have no random numbers."""
    kind = RECURRENT[rng.integers(len(RECURRENT))]
    others = {"activation": str(rng.choice(SMOOTH))} if kind in WITH_ACTIVATIONS and rng.random() < 0.3 else {}
    if kind in (layers.LSTM, layers.GRU) and rng.random() < 0.2:
        others["recurrent_activation"] = str(rng.choice(SMOOTH))
    return kind(
        int(rng.integers(1, 6)),
        return_sequences=True,
        go_backwards=bool(rng.random() < 0.2),
        use_bias=bool(rng.random() < 0.8),
        checkpoint=int(rng.integers(1, 5)) if rng.random() < 0.2 else None,
        **others,
        **F64,
    )


def bidirectional(rng, features):
    kind = RECURRENT[rng.integers(len(RECURRENT))]
    merge = ["sum", "mul", "ave", "concat"][rng.integers(4)]
    inner = (
        kind(int(rng.integers(1, 5)), return_sequences=True, **F64) if rng.random() < 0.6 else stacked(rng, features)
    )
    return layers.Bidirectional(inner, merge_mode=merge)


def stacked(rng, features):
    cells = [layers.LSTMCell(3, **F64), layers.GRUCell(2, **F64), layers.SimpleRNNCell(4, **F64)]
    chosen = [cells[k] for k in rng.permutation(3)[: rng.integers(1, 4)]]
    return layers.RNN(chosen if len(chosen) > 1 else chosen[0], return_sequences=True, **F64)


def dense(rng, features):
    activation = [None, "tanh", "sigmoid", "softmax", "gelu", "swish", "softplus"][rng.integers(7)]
    return layers.Dense(int(rng.integers(1, 6)), activation, **F64)


def convolution(rng, features):
    padding = ["same", "causal"][rng.integers(2)]
    groups = features if rng.random() < 0.3 else 1
    filters, size = groups * int(rng.integers(1, 4)), int(rng.integers(1, 4))
    return layers.Conv1D(filters, size, padding=padding, groups=groups, dilation_rate=int(rng.integers(1, 3)), **F64)


def normalised(rng, features):
    return [layers.LayerNormalization, layers.UnitNormalization, layers.RMSNormalization][rng.integers(3)](**F64)


def within(rng, features):
    return layers.TimeDistributed(layers.Dense(int(rng.integers(1, 4)), "tanh", **F64))


def residual(rng, features):
    return layers.Residual([layers.Dense(features, "tanh", **F64)], **F64)


KINDS = (recurrent, recurrent, bidirectional, stacked, dense, convolution, normalised, within, residual)


def chain_of(rng, masking=False):
    """A built model of a few layers, all of which keep the steps, with random numbers in all its weights."""
    parts = [layers.Masking(0.0, **F64)] if masking else []
    features = FEATURES
    for _ in range(rng.integers(1, 4)):
        parts.append(KINDS[rng.integers(len(KINDS))](rng, features))
        features = parts[-1].compute_output_shape((None, None, features))[-1]
    model = Sequential(parts)
    model.build((None, None, FEATURES))
    model.set_weights([0.5 * rng.standard_normal(w.shape) for w in model.get_weights()])
    return model


def gradients(rng):
    """The gradient of the inputs and of some weights is that of differences."""
    model = chain_of(rng)
    x = rng.standard_normal((2, STEPS, FEATURES))
    weight = rng.standard_normal(model(x).shape)

    def loss():
        return float((weight * model(x)).sum())

    model(x, training=True)
    model.parameters.gradients.fill(0)
    d_x = model.backward(weight)
    scale = 1 + np.abs(d_x).max()
    np.testing.assert_allclose(d_x, by_differences(loss, x), rtol=1e-5, atol=1e-6 * scale)
    for variable in model.trainable_variables:
        # One direction in each weight: a sum over all its numbers.
        direction, value = rng.standard_normal(variable.shape), variable.numpy()
        step = 1e-6
        variable.assign(value + step * direction)
        above = loss()
        variable.assign(value - step * direction)
        slope = (above - loss()) / (2 * step)
        variable.assign(value)
        got = float((variable.gradient * direction).sum())
        assert abs(got - slope) <= 1e-6 * scale + 1e-5 * abs(slope), f"{variable.path}: {got} {slope}"


def padding(rng):
    """Rows of different length give what each gives alone, whatever stands in their padding."""
    model = chain_of(rng, masking=True)
    if any(getattr(layer, "go_backwards", False) for layer in model.layers):
        return  # what comes out is reversed: the steps of a row alone stand elsewhere
    lengths = rng.integers(1, STEPS + 1, 3)
    x = rng.standard_normal((3, STEPS, FEATURES))
    for row, length in enumerate(lengths):
        x[row, length:] = 0
    whole = model(x)
    for row, length in enumerate(lengths):
        alone = model(x[row : row + 1, :length])
        np.testing.assert_allclose(whole[row, :length], alone[0], rtol=1e-9, atol=1e-11)


def groups(rng):
    """A convolution in groups is one of its own for each of them."""
    count, into, out, size = (int(n) for n in rng.integers(1, 4, 4))
    options = {"padding": str(rng.choice(["valid", "same", "causal"])), "activation": "tanh", **F64}
    options["strides"] = int(rng.integers(1, 3))
    whole = layers.Conv1D(count * out, size, groups=count, **options)
    x = rng.standard_normal((2, STEPS, count * into))
    whole.build(x.shape)
    kernel, bias = (rng.standard_normal(w.shape) for w in whole.get_weights())
    whole.set_weights([kernel, bias])
    y = whole(x, training=True)
    d = rng.standard_normal(y.shape)
    d_x = whole.backward(d)
    for k in range(count):
        ins, outs = slice(k * into, (k + 1) * into), slice(k * out, (k + 1) * out)
        part = layers.Conv1D(out, size, **options)
        part.build((2, STEPS, into))
        part.set_weights([kernel[..., outs], bias[outs]])
        close = {"rtol": 1e-10, "atol": 1e-12}
        np.testing.assert_allclose(y[..., outs], part(x[..., ins], training=True), **close)
        np.testing.assert_allclose(d_x[..., ins], part.backward(d[..., outs]), **close)
        for own, of_part in zip(whole.variables, part.variables, strict=True):
            np.testing.assert_allclose(own.gradient[..., outs], of_part.gradient, **close)


def bits(rng):
    """Rows and threads do not change bits; a copy and a restored configuration have the same."""
    model = chain_of(rng)
    x = rng.standard_normal((int(rng.integers(1, 20)), STEPS, FEATURES))
    before = _core.get_num_threads()
    try:
        _core.set_num_threads(1)
        one = model(x)
        _core.set_num_threads(2)
        np.testing.assert_array_equal(model(x), one)
    finally:
        _core.set_num_threads(before)
    row = int(rng.integers(len(x)))
    if not any(isinstance(layer, (layers.Dense, layers.TimeDistributed)) for layer in model.layers):
        np.testing.assert_array_equal(model(x[row : row + 1]), one[row : row + 1])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model))(x), one)
    twin = Sequential.from_config(model.get_config())
    twin.build((None, None, FEATURES))
    twin.set_weights(model.get_weights())
    np.testing.assert_array_equal(twin(x), one)


def streams(rng):
    """A stream in chunks of any size, taken over by another stream on its way, gives the bits of the whole."""
    parts = []
    for _ in range(rng.integers(1, 4)):
        kind = RECURRENT[rng.integers(len(RECURRENT))]
        options = {"activation": "gelu"} if kind in WITH_ACTIVATIONS and rng.random() < 0.3 else {}
        parts.append(kind(int(rng.integers(1, 20)), return_sequences=True, **options))
        if rng.random() < 0.2:
            parts.append(layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], return_sequences=True))
        if rng.random() < 0.5:
            parts.append(layers.Conv1D(int(rng.integers(1, 5)), int(rng.integers(1, 4)), padding="causal"))
        if rng.random() < 0.5:
            parts.append(layers.Dense(int(rng.integers(1, 5)), "tanh"))
    model = Sequential(parts)
    model.build((None, None, FEATURES))
    batch, steps = int(rng.integers(1, 4)), int(rng.integers(1, 12))
    x = rng.standard_normal((batch, steps, FEATURES)).astype("float32")
    stream, got, at = model.stream(batch, 4), [], 0
    while at < steps:
        size = min(int(rng.integers(1, 5)), steps - at)
        shape = (batch, size, model.output_shape[-1])
        out = [None, np.empty(shape, "float32"), np.empty(shape[::-1], "float32").T][rng.integers(3)]
        got.append(stream(x[:, at : at + size], out))
        assert out is None or got[-1] is out
        at += size
        if rng.random() < 0.3:
            state, stream = stream.state, model.stream(batch, 4)
            stream.state = state
    np.testing.assert_array_equal(np.concatenate(got, axis=1), model(x))


CASES = (gradients, gradients, padding, padding, groups, bits, streams)


def case(rng):
    CASES[rng.integers(len(CASES))](rng)
