"""PyTorch's modules as our models, and ours as its modules, give the same outputs."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstmcore
from lstmcore import layers

torch = pytest.importorskip("torch")
nn = torch.nn
from lstmcore.torch import ChannelsFirst, Outputs, accelerate  # noqa: E402

pytestmark = [pytest.mark.peer, pytest.mark.once]

KINDS = ["LSTM", "GRU", "RNN"]
ACTIVATIONS = [
    *(nn.ReLU(), nn.ReLU6(), nn.Tanh(), nn.Sigmoid(), nn.LogSigmoid(), nn.SiLU(), nn.Mish(), nn.Softsign()),
    *(nn.GELU(), nn.GELU("tanh"), nn.ELU(0.7), nn.SELU(), nn.CELU(0.6), nn.LeakyReLU(0.2), nn.Tanhshrink()),
    *(
        nn.Hardsigmoid(),
        nn.Hardswish(),
        nn.Hardtanh(),
        nn.Hardtanh(0, 2),
        nn.Hardtanh(-0.5, 0.7),
        nn.Softshrink(0.3),
        nn.Hardshrink(0.4),
    ),
    *(nn.Softplus(), nn.Threshold(0.1, -0.5), nn.Softmax(-1), nn.LogSoftmax(-1), nn.GLU(-1)),
]


def assert_same(outputs, expected, factor=1):
    """Networks of some ten layers in float32 differ by the order of sums; LayerNorm divides by small deviations."""
    expected = expected.detach().numpy()
    assert outputs.dtype == expected.dtype
    # PyTorch's Softplus is linear above 20, which is 2e-9 off.
    tolerance = factor * (3e-4 if outputs.dtype == np.float32 else 1e-8)
    np.testing.assert_allclose(outputs, expected, rtol=tolerance, atol=tolerance)


def recurrent(draw, width, dtype, **options):
    kind = draw(st.sampled_from(KINDS))
    hidden = draw(st.integers(2, 7))
    if kind == "RNN":
        options["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    if kind == "LSTM" and draw(st.booleans()):
        options["proj_size"] = draw(st.integers(1, hidden - 1))
    module = getattr(nn, kind)(
        width,
        hidden,
        num_layers=draw(st.integers(1, 3)),
        bidirectional=draw(st.booleans()),
        bias=draw(st.booleans()),
        dtype=dtype,
        **options,
    )
    return module, (module.proj_size or hidden) * (1 + module.bidirectional)


def norm(module):
    """Give a BatchNorm1d statistics, as if it were trained."""
    for value in module.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.5, 1.5)
    return module


def convolution(draw, width, dtype):
    groups = draw(st.sampled_from([g for g in (1, 2, 3) if width % g == 0]))
    size, filters = draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    stride = draw(st.integers(1, 2))
    dilation = draw(st.integers(1, 2)) if stride == 1 else 1
    padding = draw(st.sampled_from([0, 1, 2, "same", "valid"] if stride == 1 else [0, 1, "valid"]))
    options = {"padding": padding, "stride": stride, "dilation": dilation, "groups": groups}
    return nn.Conv1d(width, filters, size, bias=draw(st.booleans()), dtype=dtype, **options), filters


def channels_first(draw, width, dtype):
    """Modules over (batch, channels, steps), and the number of channels behind them."""
    kind = draw(st.sampled_from(["conv", "causal", "norm", "pool", "prelu"]))
    if kind == "conv":
        module, width = convolution(draw, width, dtype)
        return [module], width
    if kind == "causal":
        return [nn.ConstantPad1d((4, 0), 0.0), nn.Conv1d(width, 3, 3, dilation=2, dtype=dtype)], 3
    if kind == "norm":
        return [norm(nn.BatchNorm1d(width, affine=draw(st.booleans()), dtype=dtype))], width
    if kind == "pool":
        return [nn.ZeroPad1d((1, 2)), draw(st.sampled_from([nn.MaxPool1d(2, 1), nn.AvgPool1d(2)]))], width
    return [nn.PReLU(draw(st.sampled_from([1, width])), dtype=dtype), nn.Dropout1d(0.4)], width


def vectors(draw, width, dtype):
    """Modules over the last axis."""
    kind = draw(st.sampled_from(["linear", "norm", "activation"]))
    if kind == "linear":
        out = draw(st.integers(1, 6))
        return [nn.Linear(width, out, bias=draw(st.booleans()), dtype=dtype), nn.Dropout(0.3)], out
    if kind == "norm":
        affine, bias = draw(st.booleans()), draw(st.booleans())
        return [nn.LayerNorm(width, eps=0.1, elementwise_affine=affine, bias=bias, dtype=dtype), nn.Identity()], width
    activation = draw(st.sampled_from(ACTIVATIONS))
    if isinstance(activation, nn.GLU):
        return [nn.Linear(width, 2 * width, dtype=dtype), activation], width
    return [activation], width


@st.composite
def networks(draw):
    """A network over (batch, steps, channels) and inputs."""
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    steps = draw(st.integers(24, 27))  # three times half, and five more for a window
    parts = []
    if draw(st.booleans()):
        x, width = torch.randint(0, 9, (3, steps)), 4
        parts.append(nn.Embedding(9, width, dtype=dtype))
    else:
        width = draw(st.integers(1, 6))
        x = torch.randn(3, steps, width, dtype=dtype)
        parts.append(nn.Linear(width, width, dtype=dtype))
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["recurrent", "channels", "vectors"]))
        if kind == "recurrent":
            module, width = recurrent(draw, width, dtype, batch_first=True)
            parts.append(Outputs(module))
        elif kind == "channels":
            modules, width = channels_first(draw, width, dtype)
            parts.append(ChannelsFirst(*modules))
        else:
            modules, width = vectors(draw, width, dtype)
            parts.append(nn.Sequential(*modules))
    end = draw(st.sampled_from(["none", "last", "mean", "most"]))
    if end == "last":
        module, width = recurrent(draw, width, dtype, batch_first=True)
        parts.append(Outputs(module, return_sequences=False))
    elif end != "none":
        pool = nn.AdaptiveAvgPool1d(1) if end == "mean" else nn.AdaptiveMaxPool1d(1)
        parts += [ChannelsFirst(pool), nn.Flatten(), norm(nn.BatchNorm1d(width, dtype=dtype)), nn.PReLU(dtype=dtype)]
    modules, width = vectors(draw, width, dtype)
    return nn.Sequential(*parts, *modules).eval(), x


@given(networks())
def test_generated_networks_from_torch_and_back(case):
    network, x = case
    ours = lstmcore.from_torch(network)
    expected = network(x)
    assert_same(ours.predict(x.numpy(), verbose=0), expected)
    again = lstmcore.to_torch(ours)
    assert_same(again(x).detach().numpy(), expected)
    assert_same(lstmcore.from_torch(again).predict(x.numpy(), verbose=0), expected)


@given(st.data(), st.sampled_from([torch.float32, torch.float64]), st.booleans())
def test_recurrent_modules_of_either_layout_with_a_head(data, dtype, batch_first):
    module, width = recurrent(data.draw, 3, dtype, batch_first=batch_first)
    head = nn.Sequential(nn.Linear(width, 4, dtype=dtype), nn.Tanh())
    x = torch.randn(2, 5, 3, dtype=dtype)
    outputs = module(x if batch_first else x.transpose(0, 1))[0]
    expected = head(outputs if batch_first else outputs.transpose(0, 1))
    ours = lstmcore.from_torch(nn.Sequential(module, head))
    assert_same(ours.predict(x.numpy(), verbose=0), expected)


@given(st.data(), st.sampled_from([torch.float32, torch.float64]))
def test_generated_networks_over_channels_first(data, dtype):
    """As PyTorch's users write them, (batch, channels, steps) all the way; Flatten orders by channels first."""
    width = data.draw(st.integers(1, 4))
    x = torch.randn(3, width, 24, dtype=dtype)
    modules = [norm(nn.BatchNorm1d(width, dtype=dtype))]
    for _ in range(data.draw(st.integers(1, 3))):
        more, width = channels_first(data.draw, width, dtype)
        modules += [*more, data.draw(st.sampled_from([nn.ReLU(), nn.Softmax(1), nn.LogSoftmax(dim=-2)]))]
    flat = nn.Sequential(*modules).eval()
    expected = flat(x).transpose(1, 2)
    shape = (24, x.shape[1])
    assert_same(lstmcore.from_torch(flat, shape).predict(x.transpose(1, 2).numpy(), verbose=0), expected)
    size = expected[0].numel()
    head = nn.Sequential(flat, nn.Flatten(), nn.Linear(size, 2, dtype=dtype), norm(nn.BatchNorm1d(2, dtype=dtype)))
    ours = lstmcore.from_torch(head.eval(), shape)
    assert_same(ours.predict(x.transpose(1, 2).numpy(), verbose=0), head(x))


def test_vectors():
    parts = nn.Linear(3, 4), norm(nn.BatchNorm1d(4)), nn.ReLU(), nn.Linear(4, 2), nn.Softmax(dim=1)
    network = nn.Sequential(*parts).eval()
    ours = lstmcore.from_torch(network)
    assert ours.input_shape == (None, 3)
    x = torch.randn(5, 3)
    assert_same(ours.predict(x.numpy(), verbose=0), network(x))
    steps = nn.Sequential(nn.Flatten(), nn.Linear(6, 2))
    x = torch.randn(5, 2, 3)
    assert_same(lstmcore.from_torch(steps, (2, 3)).predict(x.numpy(), verbose=0), steps(x))


def test_batch_normalization_goes_on_with_its_averages():
    """One step of training of each: PyTorch's momentum is the other part of ours. Its average has n / (n - 1) times
    the variance of the batch, ours the variance itself."""
    module = norm(nn.BatchNorm1d(3, momentum=0.3))
    ours = lstmcore.from_torch(module)
    mean, variance = module.running_mean.numpy().copy(), module.running_var.numpy().copy()
    x = torch.randn(8, 3)
    module.train()(x)
    ours.layers[0](x.numpy(), training=True)
    own_mean, own_variance = ours.get_weights()[2:]
    np.testing.assert_allclose(own_mean, module.running_mean.numpy(), rtol=1e-5)
    assert not np.allclose(own_mean, mean)
    added = module.running_var.numpy() - 0.7 * variance
    np.testing.assert_allclose(own_variance - 0.7 * variance, added * 7 / 8, rtol=1e-4)


def test_modules_on_our_kernels_are_converted_too():
    network = nn.Sequential(nn.GRU(3, 4, batch_first=True))
    accelerate(network, verbose=False)
    x = torch.randn(2, 5, 3)
    assert_same(lstmcore.from_torch(network).predict(x.numpy(), verbose=0), network(x)[0])


def test_frozen_parameters_stay_frozen():
    network = nn.Sequential(nn.Embedding(5, 3).requires_grad_(False), nn.Linear(3, 2))
    ours = lstmcore.from_torch(network)
    assert [layer.trainable for layer in ours.layers] == [False, True]
    assert [p.requires_grad for p in lstmcore.to_torch(ours).parameters()] == [False, True, True]


class Own(nn.Linear):
    pass


def hooked():
    module = nn.Linear(2, 2)
    module.register_forward_hook(lambda *_: None)
    return module


def replaced():
    module = nn.Linear(2, 2)
    module.forward = lambda x: x
    return module


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (lambda: nn.Bilinear(2, 2, 2), r"module\.1: Bilinear: cannot be converted"),
        (lambda: Own(2, 2), r"module\.1: Own: no module of torch"),
        (lambda: nn.Linear(2, 2, dtype=torch.float64), "weights of float32, float64"),
        (lambda: nn.Linear(2, 2).half(), "weights of float16, float32"),
        (lambda: nn.Linear(2, 2, dtype=torch.complex64), "weights of complex64, float32"),
        (hooked, "Linear: has hooks"),
        (replaced, "a forward of its own"),
        (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)), "ParametrizedLinear: no module"),
        (lambda: nn.Softmax(0), "Softmax with dim=0"),
        (lambda: nn.Softmax(), "Softmax with dim=None"),
        (lambda: nn.Softplus(beta=2), "beta=2"),
        (lambda: nn.Softplus(threshold=2), "threshold=2"),
        (lambda: nn.RMSNorm((3, 2)), "more than the last axis"),
        (lambda: nn.RMSNorm(2, elementwise_affine=False), "elementwise_affine=False"),
        (lambda: nn.RReLU(), "RReLU: cannot be converted"),
        (lambda: nn.LayerNorm((3, 2)), "more than the last axis"),
        (lambda: nn.BatchNorm1d(2, track_running_stats=False), "track_running_stats"),
        (lambda: nn.BatchNorm1d(2, momentum=None), "momentum=None"),
        (lambda: nn.Flatten(0), "start_dim=0"),
        (lambda: nn.Embedding(3, 2), r"takes \(batch, steps\) of indices"),
        (lambda: nn.LSTMCell(2, 2), "LSTMCell: cannot be converted"),
    ],
)
def test_what_cannot_be_converted_is_named(part, message):
    with pytest.raises(NotImplementedError, match=message):
        lstmcore.from_torch(nn.Sequential(nn.Linear(2, 2), part(), nn.Linear(2, 2)))


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (lambda: nn.Conv1d(2, 2, 3, padding=1, padding_mode="circular"), "padding_mode='circular'"),
        (lambda: nn.Conv1d(2, 2, 3, stride=2, dilation=2), "stride=2 and dilation=2"),
        (lambda: nn.ConstantPad1d(1, 2.0), "value=2.0"),
        (lambda: nn.ZeroPad1d(-1), r"padding=\(-1, -1\)"),
        (lambda: nn.MaxPool1d(2, padding=1), "padding=1"),
        (lambda: nn.MaxPool1d(2, dilation=2), "dilation=2"),
        (lambda: nn.AvgPool1d(2, ceil_mode=True), "ceil_mode=True"),
        (lambda: nn.MaxPool1d(2, return_indices=True), "return_indices=True"),
        (lambda: nn.AdaptiveAvgPool1d(2), "more than one step"),
        (lambda: nn.Embedding(3, 2, max_norm=1.0), "max_norm"),
        (lambda: nn.Linear(2, 2), r"Linear: takes .*gives \(batch, channels, steps\).*ChannelsFirst goes between"),
        (lambda: nn.LSTM(2, 2, batch_first=True), "LSTM: takes .*ChannelsFirst"),
        (lambda: nn.LayerNorm(2), "LayerNorm: takes"),
        (lambda: ChannelsFirst(nn.Conv1d(2, 2, 1)), "ChannelsFirst: takes"),
    ],
)
def test_what_cannot_be_converted_among_channels_first_is_named(part, message):
    with pytest.raises(NotImplementedError, match=message):
        lstmcore.from_torch(nn.Sequential(nn.Conv1d(2, 2, 1), part()))


def family():
    """Every class of torch.nn: one object of those that are converted and the shape of an input, None for others."""
    sequences, vectors = (2, 6, 4), (2, 4)
    first = (2, 4, 6)
    made = {
        **{name: (getattr(nn, name)(4, 3, batch_first=True), sequences) for name in KINDS},
        "Linear": (nn.Linear(4, 3), sequences),
        "LayerNorm": (nn.LayerNorm(4), sequences),
        "RMSNorm": (nn.RMSNorm(4), sequences),
        "Embedding": (nn.Embedding(5, 4, padding_idx=0), None),
        "Conv1d": (nn.Conv1d(4, 3, 2), first),
        "BatchNorm1d": (nn.BatchNorm1d(4), vectors),
        "PReLU": (nn.PReLU(4), vectors),
        "MaxPool1d": (nn.MaxPool1d(2), first),
        "AvgPool1d": (nn.AvgPool1d(2), first),
        "AdaptiveMaxPool1d": (nn.AdaptiveMaxPool1d(1), first),
        "AdaptiveAvgPool1d": (nn.AdaptiveAvgPool1d(1), first),
        "ZeroPad1d": (nn.ZeroPad1d(2), first),
        "ConstantPad1d": (nn.ConstantPad1d(2, 0.0), first),
        "Flatten": (nn.Flatten(), vectors),
        "Sequential": (nn.Sequential(nn.Linear(4, 3)), vectors),
        "Dropout1d": (nn.Dropout1d(0.5), first),
        **{name: (getattr(nn, name)(0.5), sequences) for name in ("Dropout", "AlphaDropout")},
        **{type(a).__name__: (a, sequences) for a in ACTIVATIONS},
        "Identity": (nn.Identity(), sequences),
    }
    names = [name for name in dir(nn) if isinstance(getattr(nn, name), type)]
    return {name: made.get(name) for name in names if issubclass(getattr(nn, name), nn.Module)}


FAMILY = family()


@pytest.mark.parametrize("name", [name for name, given in FAMILY.items() if given])
def test_every_module_that_is_converted_has_equal_outputs(name):
    module, shape = FAMILY[name]
    first = shape == (2, 4, 6)
    given = None if shape is None else (4,) if len(shape) == 2 else (None, 4)
    model = lstmcore.from_torch(norm(module).eval(), given)
    x = torch.randint(5, (2, 3)) if shape is None else torch.linspace(-3, 3, int(np.prod(shape))).reshape(shape)
    there = module(x)
    there = there[0] if isinstance(there, tuple) else there
    if first:
        x, there = x.swapaxes(1, 2), there.swapaxes(1, 2)
    assert_same(model.predict(x.numpy(), verbose=0), there)


@pytest.mark.filterwarnings("ignore:.*deprecated:FutureWarning")
def test_every_module_that_is_not_converted_is_refused_by_name():
    refused = [name for name, given in FAMILY.items() if not given]
    assert len(refused) > 80
    for name in refused:
        module = getattr(nn, name).__new__(getattr(nn, name))
        nn.Module.__init__(module)
        with pytest.raises(NotImplementedError, match=rf"module\.0: {name}: (cannot be converted|no module of torch)"):
            lstmcore.from_torch(nn.Sequential(module, nn.Linear(2, 2)))
        with pytest.raises(NotImplementedError, match=f"module: {name}: "):
            lstmcore.from_torch(module)


@pytest.mark.parametrize("dim", [1, -2])
def test_softmax_over_the_steps(dim):
    attention = nn.Sequential(nn.Linear(3, 4), nn.Softmax(dim))
    x = torch.randn(2, 5, 3)
    assert_same(lstmcore.from_torch(attention, (None, 3)).predict(x.numpy(), verbose=0), attention(x))
    inner = nn.Sequential(nn.Conv1d(3, 4, 1), nn.Softmax(2 if dim == 1 else -1))
    x = torch.randn(2, 3, 5)
    assert_same(lstmcore.from_torch(inner).predict(x.numpy().swapaxes(1, 2), verbose=0), inner(x).swapaxes(1, 2))


def test_modules_without_numbers_are_refused():
    for module in (nn.LazyLinear(3), nn.Linear(2, 3, device="meta"), nn.Sequential(nn.LSTM(2, 3, device="meta"))):
        with pytest.raises(ValueError, match=r"weight.*: no numbers there yet"):
            lstmcore.from_torch(module)


def test_everything_that_cannot_be_converted_is_said_at_once():
    network = nn.Sequential(
        nn.Linear(2, 2), nn.Bilinear(2, 2, 2), nn.Sequential(Own(2, 2), nn.Linear(2, 3)), nn.Softmax(1), nn.RReLU()
    )
    with pytest.raises(NotImplementedError) as error:
        lstmcore.from_torch(network)
    places = [part.partition(":")[0] for part in str(error.value).split("; ") if part.startswith("module")]
    assert places == ["module.1", "module.2.0", "module.4"]


def test_the_random_generator_stays_where_it_is():
    draws = []
    for module in (None, nn.LSTM(3, 4)):
        lstmcore.utils.set_random_seed(1)
        if module is not None:
            lstmcore.from_torch(module)
        dense = layers.Dense(3)
        dense(np.zeros((1, 3), "float32"))
        draws.append(dense.get_weights()[0])
    np.testing.assert_array_equal(*draws)


def test_what_is_there_twice():
    act, linear, tied = nn.Tanh(), nn.Linear(2, 2), nn.Linear(2, 2)
    tied.weight = linear.weight
    x = torch.randn(3, 2)
    for network, place in [(nn.Sequential(act, linear, act), None), (nn.Sequential(linear, act, linear), "module.2")]:
        with nothing_or_warning(place):
            ours = lstmcore.from_torch(network)
        assert_same(ours.predict(x.numpy(), verbose=0), network(x))
    with nothing_or_warning("module.1"):
        lstmcore.from_torch(nn.Sequential(linear, tied))


def nothing_or_warning(place):
    if place is None:
        return contextlib.nullcontext()
    return pytest.warns(UserWarning, match=f"{place}: Linear shares parameters with a module before it")


def test_a_layer_called_twice_is_one_module():
    inputs = lstmcore.Input((4,))
    dense = layers.Dense(4, activation="tanh")
    model = lstmcore.Model(inputs, dense(dense(inputs)))
    module = lstmcore.to_torch(model)
    assert len(list(module.parameters())) == 2
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    assert_same(model.predict(x, verbose=0), module(torch.from_numpy(x)))


def test_layouts_are_not_mixed():
    with pytest.raises(NotImplementedError, match=r"LSTM: takes \(batch, steps, channels\).*gives \(steps, batch"):
        lstmcore.from_torch(nn.Sequential(nn.LSTM(2, 2), nn.LSTM(2, 2, batch_first=True)))


@pytest.mark.parametrize(
    ("network", "shape", "message"),
    [
        (nn.Sequential(nn.ReLU()), None, "input_shape: expected the shape of an input"),
        (nn.Sequential(nn.Flatten(), nn.Linear(2, 2)), None, "input_shape"),
        (nn.Sequential(nn.Conv1d(2, 2, 1), nn.Flatten()), None, "Flatten: input_shape: expected"),
        (nn.Sequential(nn.LSTM(2, 2)), (5, 3), r"input_shape: expected \(None, 2\).*got \(5, 3\)"),
        (nn.Sequential(nn.LSTM(2, 2)), (2,), "input_shape: expected"),
        (nn.Sequential(nn.Linear(2, 3), nn.Linear(2, 2)), None, r"module\.1: Linear: takes 2 channels.*gives 3"),
        (nn.Sequential(nn.Linear(2, 3), nn.LeakyReLU(-1)), None, r"^module\.1: LeakyReLU: .*negative_slope"),
    ],
)
def test_parts_that_do_not_fit_are_named(network, shape, message):
    with pytest.raises(ValueError, match=message):
        lstmcore.from_torch(network, shape)


def test_what_is_no_module_is_refused():
    with pytest.raises(TypeError, match=r"module: expected a torch\.nn\.Module, got 3"):
        lstmcore.from_torch(3)


# --- ours to PyTorch's ---


def sequence_of(*parts, shape=(9, 4), dtype="float32"):
    return lstmcore.Sequential([lstmcore.Input(shape), *parts])


@st.composite
def own_networks(draw):
    """A network of ours, with options that PyTorch's modules do not have themselves."""
    dtype = draw(st.sampled_from(["float32", "float64"]))
    options = {"dtype": dtype}

    def one(kind, sequences=True):
        units, bias = draw(st.integers(1, 5)), draw(st.booleans())
        both = draw(st.booleans())
        layer = kind(units, use_bias=bias, return_sequences=sequences, **options)
        return layers.Bidirectional(layer, **options) if both else layer

    filters = draw(st.integers(1, 3))
    choices = {
        "lstm": lambda: one(layers.LSTM),
        "gru": lambda: one(layers.GRU),
        "rnn": lambda: one(layers.SimpleRNN),
        "conv": lambda: layers.Conv1D(
            2 * filters,
            draw(st.integers(1, 3)),
            padding=draw(st.sampled_from(["valid", "same", "causal"])),
            dilation_rate=draw(st.integers(1, 2)),
            activation=draw(st.sampled_from([None, "relu", "softmax", "hard_sigmoid"])),
            use_bias=draw(st.booleans()),
            **options,
        ),
        "dense": lambda: layers.Dense(3, activation=draw(st.sampled_from([None, "gelu", "log_softmax"])), **options),
        "steps": lambda: layers.TimeDistributed(layers.Dense(3, activation="relu", **options), **options),
        "batch": lambda: layers.BatchNormalization(
            center=draw(st.booleans()), scale=draw(st.booleans()), momentum=0.8, **options
        ),
        "layer": lambda: layers.LayerNormalization(
            center=draw(st.booleans()), scale=draw(st.booleans()), epsilon=0.1, **options
        ),
        "prelu": lambda: layers.PReLU(shared_axes=[1], **options),
        "pad": lambda: layers.ZeroPadding1D((2, 1), **options),
        "pool": lambda: draw(st.sampled_from([layers.MaxPooling1D, layers.AveragePooling1D]))(2, 1, **options),
        "nested": lambda: lstmcore.Sequential([layers.Dense(2, **options), layers.LeakyReLU(0.1, **options)]),
        "dropout": lambda: draw(st.sampled_from([layers.Dropout, layers.SpatialDropout1D]))(0.5, **options),
    }
    parts = [choices[kind]() for kind in draw(st.lists(st.sampled_from(sorted(choices)), min_size=1, max_size=4))]
    ends = [
        [],
        [layers.Flatten(**options)],
        [layers.GlobalAveragePooling1D(**options), layers.BatchNormalization(**options)],
        [layers.GlobalMaxPooling1D(keepdims=True, **options)],
        [one(layers.LSTM, sequences=False), layers.PReLU(**options)],
    ]
    first = layers.Dense(4, **options)  # for a dtype to go by
    model = lstmcore.Sequential([lstmcore.Input((20, 4)), first, *parts, *draw(st.sampled_from(ends))])
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    model.set_weights([rng.uniform(0.1, 0.9, w.shape).astype(dtype) for w in model.get_weights()])
    return model, rng.normal(size=(3, 20, 4)).astype(dtype)


@given(own_networks())
def test_generated_networks_to_torch_and_back(case):
    model, x = case
    module = lstmcore.to_torch(model)
    expected = module(torch.from_numpy(x))
    assert_same(model.predict(x, verbose=0), expected)
    assert_same(lstmcore.from_torch(module, (20, 4)).predict(x, verbose=0), expected)


def test_the_module_is_saved_and_loaded_by_torch(tmp_path):
    def tagger():
        encoder = layers.Bidirectional(layers.LSTM(3), name="encoder")
        return sequence_of(encoder, layers.Dense(2, activation="softmax", name="head"))

    module, other = lstmcore.to_torch(tagger()), lstmcore.to_torch(tagger())
    assert not module.training
    assert [name for name, _ in module.named_children()] == ["encoder", "head", "head_activation"]
    torch.save(module.state_dict(), tmp_path / "a.pt")
    other.load_state_dict(torch.load(tmp_path / "a.pt", weights_only=True))
    x = torch.randn(2, 9, 4)
    torch.testing.assert_close(other(x), module(x))


def test_the_module_can_be_compiled_exported_and_trained():
    module = lstmcore.to_torch(sequence_of(layers.Conv1D(3, 2), layers.GRU(3), layers.Dense(1)))
    x = torch.randn(2, 9, 4)
    exported = torch.export.export(module, (x,)).module()
    torch.testing.assert_close(exported(x), module(x))
    module.train()(x).sum().backward()
    assert all(p.grad is not None and p.is_leaf for p in module.parameters())


def test_the_module_runs_on_our_kernels():
    model = sequence_of(layers.LSTM(4, return_sequences=True), layers.Bidirectional(layers.GRU(3)))
    module = lstmcore.to_torch(model)
    assert len(accelerate(module, verbose=False).replaced) == 2
    x = torch.randn(2, 9, 4)
    assert_same(model.predict(x.numpy(), verbose=0), module(x))


def test_the_model_and_the_module_share_no_memory():
    model = sequence_of(layers.Dense(2), shape=(4,))
    module = lstmcore.to_torch(model)
    before = model.get_weights()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(7)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    ours = lstmcore.from_torch(module)
    with torch.no_grad():
        module[0].weight.zero_()
    assert (ours.get_weights()[0] == 7).all()


def test_a_chain_in_the_functional_way():
    inputs = lstmcore.Input((5, 3))
    outputs = layers.Dense(2)(layers.LSTM(4)(inputs))
    model = lstmcore.Model(inputs, outputs)
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    assert_same(model.predict(x, verbose=0), lstmcore.to_torch(model)(torch.from_numpy(x)))
    branched = lstmcore.Model(inputs, layers.Concatenate()([outputs, layers.Dense(1)(outputs)]))
    states = layers.LSTM(4, return_state=True)(inputs)
    stateful = lstmcore.Model(inputs, layers.LSTM(4)(inputs, initial_state=states[1:]))
    two = lstmcore.Model([inputs, inputs_of := lstmcore.Input((5, 3))], layers.Add()([inputs, inputs_of]))
    for model in (branched, stateful, two, lstmcore.Model(inputs, states)):
        with pytest.raises(NotImplementedError, match=r"no chain|return_state=True"):
            lstmcore.to_torch(model)


def test_names_of_layers_that_modules_cannot_have():
    parts = [layers.Dense(2, name=name) for name in ("a.b", "training", "append", "a_b")]
    module = lstmcore.to_torch(sequence_of(*parts))
    assert [name for name, _ in module.named_children()] == ["a_b", "training_", "append_", "a_b_"]
    assert module(torch.ones(1, 9, 4)).shape == (1, 9, 2)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: layers.GRU(2, reset_after=False), "reset_after=False"),
        (lambda: layers.LSTM(2, peepholes=True), "peepholes=True"),
        (lambda: layers.LSTM(2, activation="relu"), "activation='relu'"),
        (lambda: layers.LSTM(2, activation="gelu"), "no LSTM|no activation"),
        (
            lambda: layers.TimeDistributed(layers.Activation(lstmcore.activations.get("softmax").__class__(axis=1))),
            "TimeDistributed of Activation",
        ),
        (lambda: layers.LSTM(2, projection=2), "projection to as many as units"),
        (lambda: layers.LSTM(2, zoneout=0.1), "zoneout"),
        (lambda: layers.LSTM(2, go_backwards=True), "go_backwards=True"),
        (lambda: layers.Bidirectional(layers.LSTM(2), merge_mode="sum"), "merge_mode='sum'"),
        (
            lambda: layers.Bidirectional(layers.LSTM(2), backward_layer=layers.LSTM(3, go_backwards=True)),
            "two different",
        ),
        (
            lambda: layers.Bidirectional(
                layers.LSTM(2), backward_layer=layers.LSTM(2, use_bias=False, go_backwards=True)
            ),
            "one without",
        ),
        (lambda: layers.Masking(), "no module for Masking"),
        (lambda: layers.GaussianNoise(0.1), "no module for GaussianNoise"),
        (lambda: layers.Conv1D(2, 3, strides=2, padding="same"), "same"),
        (lambda: layers.MaxPooling1D(2, padding="same"), "same"),
        (lambda: layers.BatchNormalization(axis=1), "last axis"),
        (lambda: layers.LayerNormalization(axis=[1, 2]), "last axes"),
        (lambda: layers.LayerNormalization(rms_scaling=True), "rms_scaling"),
        (lambda: layers.PReLU(), "alpha for every step"),
        (lambda: layers.Dropout(0.1, noise_shape=(None, 1, None)), "noise_shape"),
        (lambda: layers.TimeDistributed(layers.LSTM(2)), "TimeDistributed of LSTM"),
        (lambda: layers.Dense(2, activation="sparsemax"), "no activation sparsemax"),
        (lambda: layers.ReLU(threshold=0.5), "no activation relu with"),
    ],
)
def test_what_torch_does_not_have_is_named(layer, message):
    made = layer()
    shape = (3, 9, 4) if isinstance(made, layers.TimeDistributed) and "LSTM" in message else (9, 4)
    model = sequence_of(made, shape=shape)
    with pytest.raises(NotImplementedError, match=rf"model: {model.layers[0].name}: .*{message}"):
        lstmcore.to_torch(model)


def test_everything_that_torch_does_not_have_is_said_at_once():
    model = lstmcore.Sequential(
        [
            lstmcore.Input((5,)),
            layers.Embedding(4, 3, mask_zero=True, name="words"),
            lstmcore.Sequential([layers.GRU(2, reset_after=False, return_sequences=True, name="old")], name="inner"),
            layers.Dense(2),
            layers.GaussianNoise(0.1, name="noise"),
        ]
    )
    with pytest.raises(NotImplementedError) as error:
        lstmcore.to_torch(model)
    for place in ("words: ", "inner: old: ", "noise: "):
        assert place in str(error.value)


def test_what_is_no_built_model_is_refused():
    with pytest.raises(TypeError, match="model: expected a Sequential or a functional model, got"):
        lstmcore.to_torch(layers.Dense(2))
    with pytest.raises(ValueError, match="model: expected one that has its weights"):
        lstmcore.to_torch(lstmcore.Sequential([layers.Dense(2)]))


def test_dropout_within_recurrent_layers_is_left_behind_with_a_warning():
    model = sequence_of(layers.LSTM(2, dropout=0.1, name="lstm"))
    with pytest.warns(UserWarning, match="lstm: PyTorch has no dropout within"):
        lstmcore.to_torch(model)


@pytest.mark.parametrize(
    "variant",
    [
        {"clip": 1.0},
        {"output_activation": "relu"},
        {"output_activation": False},
        {"peepholes": True},
        {"coupled": True},
    ],
)
def test_equations_that_pytorch_does_not_have_are_refused(variant):
    model = lstmcore.Sequential([lstmcore.Input((5, 3)), lstmcore.layers.LSTM(4, name="odd", **variant)])
    with pytest.raises(NotImplementedError, match=rf"model: odd: PyTorch has no LSTM with .*{next(iter(variant))}="):
        lstmcore.to_torch(model)


def test_hooks_of_a_module_within_outputs_are_not_lost():
    module = torch.nn.LSTM(3, 4, batch_first=True)
    module.register_forward_pre_hook(lambda _, args: (5 * args[0],))
    with pytest.raises(NotImplementedError, match="has hooks"):
        lstmcore.from_torch(torch.nn.Sequential(lstmcore.torch.Outputs(module)))


def test_limits_and_normalization_by_the_root_go_to_torch():
    model = sequence_of(layers.RMSNormalization(epsilon=1e-3), layers.Clip(-0.7, 0.4), layers.AlphaDropout(0.2))
    model.layers[0].set_weights([np.array([0.5, -1.5, 2.0, 1.0], "float32")])
    module = lstmcore.to_torch(model)
    assert [type(part).__name__ for part in module] == ["RMSNorm", "Hardtanh", "AlphaDropout"]
    x = np.random.default_rng(0).standard_normal((2, 9, 4), "float32")
    assert_same(model.predict(x, verbose=0), module(torch.from_numpy(x)))
    with pytest.raises(NotImplementedError, match="Hardtanh with both limits"):
        lstmcore.to_torch(sequence_of(layers.Clip(max_value=1.0)))
