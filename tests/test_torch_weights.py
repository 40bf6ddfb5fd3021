"""Weights of PyTorch's modules by name, from dicts and files into layers and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstmcore
from lstmcore import layers
from lstmcore.interop.torch_models.layouts import recurrent_from_torch, recurrent_to_torch

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = [pytest.mark.peer, pytest.mark.once]


@given(st.data())
def test_recurrent_weights_go_there_and_back(data):
    kind = data.draw(st.sampled_from(["LSTM", "GRU", "RNN"]))
    options = {"bias": data.draw(st.booleans())}
    if kind == "LSTM":
        options["proj_size"] = data.draw(st.sampled_from([0, 2]))
    module, other = (getattr(nn, kind)(3, 4, **options) for _ in range(2))
    ours = recurrent_from_torch(kind, {k: v.detach().numpy() for k, v in module.state_dict().items()}, "_l0")
    state = recurrent_to_torch(kind, ours, "_l0")
    other.load_state_dict({name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in state.items()})
    x = torch.randn(5, 2, 3)
    torch.testing.assert_close(other(x)[0], module(x)[0])


class Tagger(nn.Module):
    """A module with a forward of its own."""

    def __init__(self):
        super().__init__()
        self.words, self.rnn, self.head = nn.Embedding(7, 3), nn.GRU(3, 4, 2, bidirectional=True), nn.Linear(6, 2)
        self.conv, self.norm = nn.Conv1d(8, 6, 3, padding=1, groups=2), nn.BatchNorm1d(6)
        self.scale, self.bend = nn.LayerNorm(6), nn.PReLU(6)
        for name in ("running_mean", "running_var"):
            getattr(self.norm, name).uniform_(0.5, 2)

    def forward(self, x):
        x = self.rnn(self.words(x).transpose(0, 1))[0].permute(1, 2, 0)
        return self.head(self.scale(self.bend(self.norm(self.conv(x))).transpose(1, 2)))


def ours():
    """The same of our layers, and the names of the modules that each stands for."""
    both = [layers.Bidirectional(layers.GRU(4, return_sequences=True)) for _ in range(2)]
    parts = {
        "words": layers.Embedding(7, 3),
        "rnn": both,
        "conv": layers.Conv1D(6, 3, padding="same", groups=2),
        "norm": layers.BatchNormalization(epsilon=1e-5),
        "bend": layers.PReLU(shared_axes=[1]),
        "scale": layers.LayerNormalization(epsilon=1e-5),
        "head": layers.TimeDistributed(layers.Dense(2)),
    }
    chain = [layer for part in parts.values() for layer in (part if isinstance(part, list) else [part])]
    return lstmcore.Sequential([lstmcore.Input((None,)), *chain]), parts


X = torch.randint(0, 7, (5, 6))


def assert_loaded(model, module):
    expected = module.eval()(X).detach().numpy()
    np.testing.assert_allclose(model.predict(X.numpy(), verbose=0), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("file", ["a.pt", "a.pth", "a.ckpt", "a.bin", "a.safetensors", None])
def test_weights_by_name(tmp_path, file):
    from safetensors.torch import save_file

    module, (model, names) = Tagger(), ours()
    state = module.state_dict()
    if file:
        (save_file if "safe" in file else torch.save)(state, tmp_path / file)
    lstmcore.from_state_dict(tmp_path / file if file else state, names)
    assert_loaded(model, module)


def test_weights_back_to_torch_by_name():
    module, (model, names) = Tagger(), ours()
    state = lstmcore.to_state_dict(names)
    module.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})  # strictly
    assert_loaded(model, module)
    other, other_names = ours()
    lstmcore.from_state_dict(state, other_names)
    assert_loaded(other, module)
    state["head.bias"][:] = 100
    assert_loaded(model, module)  # they are copies


def test_a_module_that_is_the_whole():
    module, model = nn.LSTM(3, 4), lstmcore.Sequential([lstmcore.Input((None, 3)), layers.LSTM(4)])
    lstmcore.from_state_dict(module.state_dict(), {"": model.layers[0]})
    np.testing.assert_array_equal(model.get_weights()[0], module.weight_ih_l0.detach().numpy().T)


@pytest.mark.parametrize("key", [None, "model_state_dict"])
def test_a_checkpoint_of_a_training_program(tmp_path, key):
    module, (model, names) = Tagger(), ours()
    optimizer = torch.optim.Adam(module.parameters())
    module(X).sum().backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 5)
    checkpoint = {"epoch": 3, "model_state_dict": module.state_dict(), "optimizer": optimizer.state_dict()}
    checkpoint |= {"loss": torch.tensor(0.5), "lr": schedule.state_dict(), "args": {"name": "x", "a": [1], "b": 0.25}}
    torch.save(checkpoint, tmp_path / "a.pt")
    lstmcore.from_state_dict(tmp_path / "a.pt", names, key=key)
    assert_loaded(model, module)
    lstmcore.from_state_dict(checkpoint, names, key=key)


def test_the_entry_of_a_checkpoint_is_asked_for(tmp_path):
    _, names = ours()
    state = Tagger().state_dict()
    path = tmp_path / "a.pt"
    torch.save({"model": state, "ema": state, "epoch": 3}, path)
    for key, message in [
        (None, "key: .*a.pt has several state dicts: expected one of 'model', 'ema'"),
        ("models", "key: expected one of .*a.pt: 'model', 'ema', 'epoch'; got 'models'"),
        ("epoch", "'epoch': expected a dict of names and tensors, found int"),
    ]:
        with pytest.raises(ValueError, match=message):
            lstmcore.from_state_dict(path, names, key=key)
    lstmcore.from_state_dict(path, names, key="ema")
    many = {f"entry{k}": k for k in range(12)}
    with pytest.raises(ValueError, match=r"found something else under 'entry0', .*'entry9' and 2 more"):
        lstmcore.from_state_dict(many, names)
    with pytest.raises(ValueError, match=r"source: 'a': expected names and tensors only, found .* under 'b'"):
        lstmcore.from_state_dict({"a": {"b": 1}}, names, key="a")


def test_a_state_dict_that_does_not_fit_changes_nothing():
    model, names = ours()
    before = model.get_weights()
    whole = Tagger().state_dict()
    short = {name: value for name, value in whole.items() if name != "rnn.weight_hh_l1_reverse"}
    wrong = {**short, "head.weight": torch.ones(2, 9), "more": torch.ones(2), "norm.running_var": torch.ones(6).int()}
    for state, messages in [
        ({**whole, "module.more": torch.ones(2)}, ["nothing in names takes module.more"]),
        (short, ["there is no rnn.weight_hh_l1_reverse"]),
        (
            wrong,
            [
                "there is no rnn.weight_hh_l1_reverse",
                "head.weight: expected floats of shape (2, 6), got float32 (2, 9)",
                "norm.running_var: expected floats of shape (6,), got int32 (6,)",
                "nothing in names takes more",
            ],
        ),
    ]:
        with pytest.raises(ValueError) as error:
            lstmcore.from_state_dict(state, names)
        for message in messages:
            assert message in str(error.value)
    for value, kept in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, kept)


@given(st.data())
def test_any_shape_but_the_right_one_is_refused(data):
    """Also those that could be broadcast, divided by the gates or transposed."""
    _, names = ours()
    state = lstmcore.to_state_dict(names)
    name = data.draw(st.sampled_from(sorted(name for name in state if "num_batches" not in name)))
    shape = tuple(data.draw(st.lists(st.sampled_from([0, 1, 2, 3, 4, 6, 8, 12, 24]), max_size=4)))
    if shape == state[name].shape:
        return
    state[name] = np.zeros(shape, "float32")
    with pytest.raises(ValueError, match=f"{name}: expected floats of shape"):
        lstmcore.from_state_dict(state, names)


def test_bfloat16_and_float16_come_as_the_layers_dtype():
    for kind in (torch.bfloat16, torch.float16):
        state = {"weight": torch.randn(2, 3).to(kind), "bias": torch.zeros(2).to(kind)}
        model = lstmcore.Sequential([lstmcore.Input((3,)), layers.Dense(2)])
        lstmcore.from_state_dict(state, {"": model.layers[0]})
        np.testing.assert_array_equal(model.get_weights()[0], state["weight"].float().numpy().T, strict=True)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: layers.GRU(2, reset_after=False), "'a': PyTorch has no GRU with .*reset_after=False"),
        (lambda: layers.LSTM(2, layer_norm=True), "'a': PyTorch has no LSTM with .*layer_norm=True"),
        (lambda: layers.Bidirectional(layers.LSTM(2), merge_mode="ave"), "'a': .*merge_mode='ave'"),
        (lambda: layers.BatchNormalization(renorm=True), "'a': PyTorch's module has no moving_stddev, renorm_mean"),
        (lambda: layers.MinGRU(2), "'a': PyTorch has no module for MinGRU"),
    ],
)
def test_a_layer_that_torch_does_not_have_is_refused(layer, message):
    made = layer()
    lstmcore.Sequential([lstmcore.Input((4, 3)), made])
    for call in (lambda: lstmcore.from_state_dict({}, {"a": made}), lambda: lstmcore.to_state_dict({"a": made})):
        with pytest.raises(NotImplementedError, match=message):
            call()


def test_names_of_something_else_are_refused():
    with pytest.raises(ValueError, match="names: 'a': expected a layer that has its weights, got"):
        lstmcore.from_state_dict({}, {"a": layers.Dense(2)})
    with pytest.raises(ValueError, match="names: 'a': expected a layer that has its weights, got 3"):
        lstmcore.to_state_dict({"a": 3})
    with pytest.raises(TypeError, match="names: expected a dict of names and layers, got list"):
        lstmcore.from_state_dict({}, [])
    with pytest.raises(TypeError, match="source"):
        lstmcore.from_state_dict(3, {})
