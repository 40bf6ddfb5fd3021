"""PyTorch's modules as our models give PyTorch's outputs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstmcore
from lstmcore.interop.torch_models import from_torch
from lstmcore.interop.torch_weights import recurrent_from_torch, recurrent_to_torch

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.peer


@given(st.data())
def test_generated_networks_give_the_outputs_of_torch(data):
    dtype = data.draw(st.sampled_from([torch.float32, torch.float64]))
    width, hidden, depth = (data.draw(st.integers(1, most)) for most in (6, 9, 3))
    both, bias = data.draw(st.booleans()), data.draw(st.booleans())
    kind = data.draw(st.sampled_from(["LSTM", "GRU", "RNN"]))
    options = {"num_layers": depth, "bidirectional": both, "bias": bias, "batch_first": True, "dtype": dtype}
    if kind == "RNN":
        options["nonlinearity"] = data.draw(st.sampled_from(["tanh", "relu"]))
    recurrent = getattr(nn, kind)(width, hidden, **options)
    out = hidden * (1 + both)
    tail = [nn.Linear(out, 5, bias=bias, dtype=dtype), nn.LayerNorm(5, dtype=dtype), nn.Tanh(), nn.Dropout(0.3)]
    head = nn.Sequential(nn.Sequential(*tail), nn.Linear(5, 2, dtype=dtype))
    x = torch.randn(3, data.draw(st.integers(1, 8)), width, dtype=dtype)
    expected = head.eval()(recurrent(x)[0]).detach().numpy()
    outputs = from_torch(nn.Sequential(recurrent, head)).predict(x.numpy(), verbose=0)
    assert outputs.dtype == expected.dtype
    tolerance = 2e-5 if dtype == torch.float32 else 1e-12  # after LayerNorm, which divides by small deviations
    np.testing.assert_allclose(outputs, expected, rtol=10 * tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_weights_go_to_torch_and_back(kind):
    module = getattr(nn, kind)(3, 4)
    ours = recurrent_from_torch(kind, {k: v.detach().numpy() for k, v in module.state_dict().items()}, "_l0")
    state = recurrent_to_torch(kind, ours, "_l0")
    other = getattr(nn, kind)(3, 4)
    other.load_state_dict({name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in state.items()})
    x = torch.randn(5, 2, 3)
    torch.testing.assert_close(other(x)[0], module(x)[0])


def test_what_cannot_be_converted_is_named():
    class Own(nn.Linear):
        pass

    for part, message in [
        (nn.Bilinear(2, 2, 2), r"module\.1: Bilinear"),
        (nn.LSTM(2, 4, proj_size=2), "proj_size=2"),
        (Own(2, 2), "Own is no module"),
        (nn.Linear(2, 2, dtype=torch.float64), "float32, float64"),
    ]:
        with pytest.raises(NotImplementedError, match=message):
            from_torch(nn.Sequential(nn.Linear(2, 2), part))


def own_module():
    module = nn.Module()
    module.words, module.rnn, module.head = nn.Embedding(7, 3), nn.GRU(3, 4, 2, bidirectional=True), nn.Linear(8, 2)
    parts = [lstmcore.layers.Bidirectional(lstmcore.layers.GRU(4, return_sequences=True)) for _ in range(2)]
    model = lstmcore.Sequential(
        [lstmcore.Input((None,)), lstmcore.layers.Embedding(7, 3), *parts, lstmcore.layers.Dense(2)]
    )
    return module, model, {"words": model.layers[0], "rnn": model.layers[1:3], "head": model.layers[3]}


def test_weights_by_name_from_a_file(tmp_path):
    module, model, names = own_module()
    torch.save(module.state_dict(), tmp_path / "a.pt")
    lstmcore.from_state_dict(tmp_path / "a.pt", names)
    x = torch.randint(0, 7, (5, 6))
    expected = module.head(module.rnn(module.words(x).transpose(0, 1))[0]).transpose(0, 1)
    np.testing.assert_allclose(model.predict(x.numpy(), verbose=0), expected.detach().numpy(), rtol=1e-5, atol=1e-5)


def test_a_state_dict_that_does_not_fit_changes_nothing():
    module, model, names = own_module()
    before = model.get_weights()
    whole = module.state_dict()
    short = {name: value for name, value in whole.items() if name != "rnn.weight_hh_l1_reverse"}
    for state, message in [
        ({**whole, "more": torch.ones(2)}, "nothing takes more"),
        (short, r"no rnn\.weight_hh_l1_reverse"),
        ({**whole, "head.weight": torch.ones(2, 9)}, "expected weights of shapes"),
    ]:
        with pytest.raises(ValueError, match=message):
            lstmcore.from_state_dict(state, names)
    for value, kept in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, kept)
