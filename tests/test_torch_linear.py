"""`lstmcore.torch.Linear`: the numbers of `torch.nn.Linear`, and its ways with whatever it is given."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_tools import with_threads

torch = pytest.importorskip("torch")

import lstmcore.torch as ours  # noqa: E402
from lstmcore import _core  # noqa: E402
from lstmcore.interop.torch import linear  # noqa: E402

pytestmark = pytest.mark.peer
# Rounding of sums of some tens to hundreds of terms, relative to the largest value.
TOLERANCE = {torch.float32: 3e-5, torch.float64: 1e-12}


@pytest.fixture
def always(monkeypatch):
    """Products of any size but none are ours."""
    monkeypatch.setattr(linear, "_LEAST_WORK", 1)


@pytest.fixture
def products(monkeypatch):
    """A list that gets an element for each product that is ours."""
    found = []
    monkeypatch.setattr(linear, "_product", lambda *given: found.append(given) or torch.zeros(1))
    return found


def twins(*arguments, **options):
    torch.manual_seed(0)
    theirs = torch.nn.Linear(*arguments, **options)
    mine = ours.Linear(*arguments, **options)
    mine.load_state_dict(theirs.state_dict())
    return theirs, mine


def assert_close(got, want):
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    assert (got - want).abs().max() <= TOLERANCE[got.dtype] * max(1, want.abs().max())


def everything(module, x):
    x = x.detach().requires_grad_()
    module.zero_grad()
    y = module(x)
    (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)).sin().sum().backward()
    return [y.detach(), x.grad, *(p.grad for p in module.parameters())]


@pytest.mark.usefixtures("always")
@given(
    st.lists(st.integers(1, 6), max_size=3),
    st.integers(1, 40),
    st.integers(1, 40),
    st.booleans(),
    st.sampled_from(list(TOLERANCE)),
)
def test_outputs_and_gradients_are_those_of_torch(shape, inputs, outputs, bias, dtype):
    theirs, mine = twins(inputs, outputs, bias=bias, dtype=dtype)
    x = torch.randn(*shape, inputs, dtype=dtype)
    for got, want in zip(everything(mine, x), everything(theirs, x), strict=True):
        assert_close(got, want)
    with torch.inference_mode():
        assert_close(mine(x), theirs(x))


@pytest.mark.usefixtures("always")
def test_inputs_and_gradients_of_any_strides_and_those_not_asked_for():
    theirs, mine = twins(4, 6)
    x = torch.randn(4, 9, 3).permute(2, 1, 0)
    for module in (theirs, mine):
        module.weight.requires_grad_(False)
        module.zero_grad()
        module(x).sum().backward()  # the gradient of the outputs is one number, repeated
    assert mine.weight.grad is None
    assert_close(mine.bias.grad, theirs.bias.grad)
    assert_close(mine(x.expand(3, 9, 4)), theirs(x.expand(3, 9, 4)))


@pytest.mark.usefixtures("always")
def test_gradients_of_gradients_are_those_of_torch():
    found = []
    for module in twins(5, 3):
        x = torch.linspace(-1, 1, 20).view(4, 5).requires_grad_()
        (d_x,) = torch.autograd.grad(module(x).tanh().sum(), x, create_graph=True)
        d_x.square().sum().backward()
        found.append([x.grad, module.weight.grad, module.bias.grad])
    for got, want in zip(*found, strict=True):
        assert_close(got, want)


@pytest.mark.usefixtures("always")
def test_writing_to_inputs_before_the_backward_pass_is_an_error():
    _, mine = twins(3, 4)
    x = torch.randn(2, 3)
    y = mine(x)
    x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.usefixtures("always")
def test_bits_do_not_depend_on_threads():
    _, mine = twins(70, 90)
    x = torch.randn(50, 70)
    one, two = with_threads(lambda: everything(mine, x))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_large_products_are_ours_and_small_ones_those_of_torch(products):
    module = ours.Linear(64, 1024)
    with torch.no_grad():
        module(torch.zeros(63, 64))
        assert not products
        module(torch.zeros(8, 8, 64))
    assert len(products) == 1


@pytest.mark.usefixtures("always")
def test_what_is_left_to_torch(products):
    theirs, mine = twins(3, 4)
    x = torch.randn(2, 3)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert mine(x).dtype == torch.bfloat16
    assert torch.equal(copy.deepcopy(mine).bfloat16()(x.bfloat16()), copy.deepcopy(theirs).bfloat16()(x.bfloat16()))
    torch.testing.assert_close(torch.func.vmap(mine)(x), theirs(x))
    _, tangent = torch.func.jvp(mine, (x,), (torch.ones(2, 3),))
    torch.testing.assert_close(tangent, theirs.weight.sum(1).expand(2, 4))
    with torch.autograd.forward_ad.dual_level():
        mine(torch.autograd.forward_ad.make_dual(x, x))
    assert mine(torch.zeros(0, 3)).shape == (0, 4)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        mine(torch.zeros(2, 5))
    program = torch.export.export(mine, (x,))
    assert "aten.linear" in str(program.graph)
    assert not products


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 20), st.sampled_from(["f4", "f8"]))
def test_the_cores_transpose_is_that_of_numpy(rows, columns, swapped, dtype):
    import numpy as np

    swapped = min(swapped, columns // 2)
    a = np.random.default_rng(0).standard_normal((rows, columns + 3)).astype(dtype)[:, 1 : columns + 1]
    want = np.concatenate((a[:, swapped : 2 * swapped], a[:, :swapped], a[:, 2 * swapped :]), 1).T
    np.testing.assert_array_equal(_core.transpose(a, swapped), want)


def test_a_snapshot_sees_every_write():
    import numpy as np

    arrays = [np.zeros((2, 3), "f4"), np.zeros(4), np.zeros(0)]
    snapshot = _core.Snapshot(arrays)
    assert snapshot.is_current()
    arrays[1][3] = np.nan
    assert not snapshot.is_current()
    assert _core.Snapshot(arrays).is_current()
    with pytest.raises(ValueError, match=r"arrays\[0\]: expected a C-contiguous array"):
        _core.Snapshot([np.zeros((2, 3)).T])
