"""`lstmcore.torch`: the numbers of `torch.nn`, whatever the arguments, and a module of PyTorch's in every other way."""

import copy
import gc
import io
import os
import pickle
import shutil
import subprocess
import sys
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_tools import with_threads

torch = pytest.importorskip("torch")

from torch.nn.utils import rnn  # noqa: E402

import lstmcore.torch as ours  # noqa: E402
from lstmcore import _core  # noqa: E402
from lstmcore._passes import Call  # noqa: E402
from lstmcore.interop.torch import batched, operator, passes  # noqa: E402

pytestmark = [
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
    pytest.mark.filterwarnings("ignore:dropout option adds dropout after all but last"),
]

# Rounding of some tens of terms, through some tens of steps, relative to the largest value.
TOLERANCE = {torch.float32: 3e-5, torch.float64: 1e-12}
SEQUENCES, CELLS = ("LSTM", "GRU", "RNN"), ("LSTMCell", "GRUCell", "RNNCell")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # its threads and ours would wait for each other's processors
    yield
    torch.set_num_threads(before)


def twins(kind, *arguments, dtype=torch.float32, seed=0, **options):
    """A module of PyTorch's and ours with equal weights."""
    torch.manual_seed(seed)
    theirs = getattr(torch.nn, kind)(*arguments, **options, dtype=dtype)
    mine = getattr(ours, kind)(*arguments, **options, dtype=dtype)
    mine.load_state_dict(theirs.state_dict())
    return theirs, mine


def flat(value):
    """The tensors of a result in their order."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, rnn.PackedSequence):
        return [value.data]
    return [t for part in value for t in flat(part)]


def everything(module, input, hx=None, seed=1):
    """Outputs, states, and the gradients of inputs, states and weights of a loss that needs all of them."""
    leaves = [
        t.detach().clone().requires_grad_() for t in [getattr(input, "data", input), *flat(() if hx is None else hx)]
    ]
    x, *states = leaves
    if isinstance(input, rnn.PackedSequence):
        x = input._replace(data=x)
    else:
        x = x.view(input.shape)
    hx = None if hx is None else tuple(states) if isinstance(hx, tuple) else states[0]
    module.zero_grad()
    torch.manual_seed(seed)
    results = flat(module(x) if hx is None else module(x, hx))
    sum((t * torch.linspace(-1, 1, t.numel(), dtype=t.dtype).view(t.shape)).sin().sum() for t in results).backward()
    return [*results, *(t.grad for t in leaves), *(p.grad for p in module.parameters())]


def assert_close(got, want):
    assert len(got) == len(want)
    for a, b in zip(got, want, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            limit = TOLERANCE[a.dtype] * max(1, b.abs().max())
            assert (a - b).abs().max() <= limit


def normal(*shape, dtype):
    return torch.randn(shape, dtype=dtype)


@st.composite
def sequence_modules(draw):
    kind = draw(st.sampled_from(SEQUENCES))
    units = draw(st.integers(2, 20))
    options = {
        "num_layers": draw(st.integers(1, 3)),
        "bias": draw(st.booleans()),
        "batch_first": draw(st.booleans()),
        "bidirectional": draw(st.booleans()),
        "dropout": draw(st.sampled_from([0.0, 0.0, 0.4])),
        "dtype": draw(st.sampled_from(list(TOLERANCE))),
        "seed": draw(st.integers(0, 99)),
    }
    if kind == "LSTM":
        options["proj_size"] = draw(st.sampled_from([0, 0, 1, units - 1]))
    if kind == "RNN":
        options["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    return twins(kind, draw(st.integers(1, 9)), units, **options)


def states_for(module, *batch):
    count = module.num_layers * (1 + module.bidirectional)
    dtype = module.weight_ih_l0.dtype
    h = normal(count, *batch, module.proj_size or module.hidden_size, dtype=dtype)
    return (h, normal(count, *batch, module.hidden_size, dtype=dtype)) if module.mode == "LSTM" else h


# --- the numbers ---


@given(sequence_modules(), st.integers(1, 7), st.integers(1, 9), st.booleans(), st.booleans())
def test_outputs_states_and_gradients_are_those_of_torch(pair, batch, steps, batched, with_states):
    theirs, mine = pair
    shape = ((batch, steps) if theirs.batch_first else (steps, batch)) if batched else (steps,)
    x = normal(*shape, theirs.input_size, dtype=theirs.weight_ih_l0.dtype)
    hx = states_for(theirs, *([batch] if batched else [])) if with_states else None
    assert_close(everything(mine, x, hx), everything(theirs, x, hx))
    for module in pair:
        module.eval()
    with torch.no_grad():
        for _ in range(2):  # packs weights, then has them
            assert_close(flat(mine(x, hx)), flat(theirs(x, hx)))
    with torch.inference_mode():
        assert_close(flat(mine(x, hx)), flat(theirs(x, hx)))


@given(sequence_modules(), st.lists(st.integers(1, 9), min_size=1, max_size=6), st.booleans(), st.booleans())
def test_packed_sequences_are_those_of_torch(pair, lengths, enforce_sorted, with_states):
    theirs, mine = pair
    if enforce_sorted:
        lengths = sorted(lengths, reverse=True)
    rows = [normal(n, theirs.input_size, dtype=theirs.weight_ih_l0.dtype) for n in lengths]
    x = rnn.pack_sequence(rows, enforce_sorted=enforce_sorted)
    hx = states_for(theirs, len(rows)) if with_states else None
    assert_close(everything(mine, x, hx), everything(theirs, x, hx))
    got, want = mine(x, hx)[0], theirs(x, hx)[0]
    assert type(got) is rnn.PackedSequence
    for name in ("batch_sizes", "sorted_indices", "unsorted_indices"):
        a, b = getattr(got, name), getattr(want, name)
        assert (a is None and b is None) or torch.equal(a, b)


@pytest.mark.parametrize("sizes", [[2, 3], [3, 1, 1, 1], []])
def test_what_is_no_packed_sequence_is_the_error_of_torch(sizes):
    x = rnn.PackedSequence(torch.ones(4, 3), torch.tensor(sizes, dtype=torch.int64))
    assert_equal_errors(twins("LSTM", 3, 4), x, None)


@given(sequence_modules(), st.integers(1, 40), st.integers(1, 9))
def test_bits_do_not_depend_on_threads(pair, batch, steps):
    _, mine = pair
    mine.batch_first = True
    x = normal(batch, steps, mine.input_size, dtype=mine.weight_ih_l0.dtype)
    one, two = with_threads(lambda: everything(mine, x))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@given(
    st.sampled_from(CELLS),
    st.integers(1, 9),
    st.integers(1, 20),
    st.sampled_from([(), (1,), (5,)]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(list(TOLERANCE)),
)
def test_cells_are_those_of_torch(kind, inputs, units, batch, bias, with_states, dtype):
    theirs, mine = twins(kind, inputs, units, bias=bias, dtype=dtype)
    x, hx = normal(*batch, inputs, dtype=dtype), None
    if with_states:
        hx = normal(*batch, units, dtype=dtype)
        hx = (hx, normal(*batch, units, dtype=dtype)) if kind == "LSTMCell" else hx
    assert_close(everything(mine, x, hx), everything(theirs, x, hx))
    with torch.no_grad():
        assert_close(flat(mine(x, hx)), flat(theirs(x, hx)))


def test_inputs_of_any_strides_and_those_that_need_no_gradient():
    theirs, mine = twins("LSTM", 4, 6, batch_first=True)
    x = torch.randn(4, 9, 3).permute(2, 1, 0)
    assert_close(flat(mine(x)), flat(theirs(x)))
    assert_close(flat(mine(x.expand(3, 9, 4))), flat(theirs(x.expand(3, 9, 4))))
    for module in (theirs, mine):
        module.weight_ih_l0.requires_grad_(False)
        module(x)[0].sum().backward()
    assert mine.weight_ih_l0.grad is None
    assert_close([mine.weight_hh_l0.grad], [theirs.weight_hh_l0.grad])


@pytest.mark.parametrize(
    ("input", "hx"),
    [
        (torch.zeros(5, 2, 4), None),
        (torch.zeros(2, 5, 2, 3), None),
        (torch.zeros(5, 2, 3), (torch.zeros(1, 1, 4), torch.zeros(1, 2, 4))),
        (torch.zeros(5, 2, 3), (torch.zeros(2, 4), torch.zeros(2, 4))),
        (torch.zeros(5, 3), (torch.zeros(1, 1, 4), torch.zeros(1, 1, 4))),
        (torch.zeros(5, 2, 3, dtype=torch.float64), None),
        (torch.zeros(0, 2, 3), None),
    ],
)
def test_what_does_not_fit_is_the_error_of_torch(input, hx):
    assert_equal_errors(twins("LSTM", 3, 4), input, hx)


def test_a_tuple_of_states_is_that_of_an_lstm_only():
    assert_equal_errors(twins("GRU", 3, 4), torch.zeros(5, 2, 3), (torch.zeros(1, 2, 4),))
    assert_equal_errors(twins("GRUCell", 3, 4), torch.zeros(2, 3), (torch.zeros(2, 4),))
    assert_equal_errors(twins("LSTMCell", 3, 4), torch.zeros(2, 3), torch.zeros(2, 4))
    theirs, mine = twins("LSTM", 3, 4)
    x, hx = torch.randn(5, 2, 3), [torch.randn(1, 2, 4), torch.randn(1, 2, 4)]  # a list will do
    assert_close(flat(mine(x, hx)), flat(theirs(x, hx)))


def assert_equal_errors(pair, input, hx):
    theirs, mine = pair
    with pytest.raises(Exception) as want:
        theirs(input, hx)
    with pytest.raises(type(want.value)) as got:
        mine(input, hx)
    assert str(got.value) == str(want.value)


# --- autograd ---


def test_gradients_of_gradients_say_what_to_use():
    mine = ours.LSTM(3, 4)
    x = torch.randn(5, 2, 3, requires_grad=True)
    (d_x,) = torch.autograd.grad(mine(x)[0].sum(), x, create_graph=True)
    assert_close([d_x.detach()], [torch.autograd.grad(mine(x)[0].sum(), x)[0]])
    told = r"gradients of gradients are not offered.*restore\(model\)"
    with pytest.raises(RuntimeError, match=told):
        d_x.sum().backward()
    gradients = torch.autograd.grad(mine(x.detach())[0].sum(), list(mine.parameters()), create_graph=True)
    with pytest.raises(RuntimeError, match=told):
        sum(d.square().sum() for d in gradients).backward()


def test_a_graph_that_is_kept_can_be_gone_back_twice():
    theirs, mine = twins("GRU", 3, 4)
    x = torch.randn(5, 2, 3)
    for module in (theirs, mine):
        loss = module(x)[0].sin().sum()
        loss.backward(retain_graph=True)
        loss.backward()
    assert_close([p.grad for p in mine.parameters()], [p.grad for p in theirs.parameters()])


@pytest.mark.parametrize("kind", [*SEQUENCES, *CELLS, "Linear"])
def test_gradients_of_several_vectors_at_once(kind):
    sizes = (300, 200) if kind == "Linear" else (3, 4)  # of which the product is ours
    x = torch.randn(80, sizes[0]) if kind == "Linear" else torch.randn(2, 3) if kind in CELLS else torch.randn(5, 2, 3)
    vectors = found = None
    for module in twins(kind, *sizes):
        leaf = x.clone().requires_grad_()
        y = flat(module(leaf))[0]
        vectors = torch.randn(3, *y.shape) if vectors is None else vectors
        wanted, found = found, []
        for options in ({"retain_graph": True}, {"create_graph": True}):
            inputs = [leaf, *module.parameters()]
            found += torch.autograd.grad(y, inputs, vectors, is_grads_batched=True, **options)
    assert_close([t.detach() for t in found], [t.detach() for t in wanted])
    assert not batched._calls


@pytest.mark.parametrize("which", ["inputs", "outputs"])
def test_writing_to_what_the_backward_pass_needs_is_an_error(which):
    x = torch.randn(5, 2, 3)
    y, _ = ours.LSTM(3, 4)(x)
    loss = y.sum()
    with torch.no_grad():
        (x if which == "inputs" else y).add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "num_layers": 2}, {"bias": False}])
@pytest.mark.parametrize("kind", [*SEQUENCES, *CELLS, "projected"])
def test_writing_to_weights_is_an_error_where_torch_needs_them(kind, options):
    if kind in CELLS:
        options = {name: value for name, value in options.items() if name == "bias"}
    if kind == "projected":
        kind, options = "LSTM", options | {"proj_size": 2}
    names = [name for name, _ in twins(kind, 3, 4, **options)[0].named_parameters() if name.startswith("weight")]
    for name in names:
        for module in twins(kind, 3, 4, **options):
            x = torch.ones(5, 3, requires_grad=True) if kind in CELLS else torch.ones(5, 2, 3, requires_grad=True)
            state = torch.zeros(5, 4, requires_grad=True)
            given = [(state, state) if kind == "LSTMCell" else state] if kind in CELLS else []
            loss = flat(module(x, *given))[0].sum()
            with torch.no_grad():
                module.get_parameter(name).mul_(2)
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                loss.backward()


def test_the_operator_names_what_it_is_not_given_right():
    x, weights = torch.zeros(5, 2, 3), [torch.zeros(16, 3), torch.zeros(16, 4)]
    with pytest.raises(ValueError, match=r"mode: expected one of LSTM, .* got 'lstm'"):
        torch.ops.lstmcore.recurrent(x, None, None, weights, "lstm", False, False, False)
    with pytest.raises(ValueError, match=r"weights: expected 4 tensors for each .* got 2"):
        torch.ops.lstmcore.recurrent(x, None, None, weights, "LSTM", True, False, False)


@pytest.mark.parametrize("kind", [*SEQUENCES, *CELLS])
def test_states_and_biases_that_are_written_to_change_no_gradient(kind):
    is_cell, found = kind in CELLS, []
    for module, writes in zip(twins(kind, 3, 4), (False, True), strict=True):
        x = torch.linspace(-1, 1, 30).view(5, 2, 3)
        states = [torch.linspace(-1, 1, 8).view((2, 4) if is_cell else (1, 2, 4)).clone() for _ in range(2)]
        hx = tuple(states) if kind.startswith("LSTM") else states[0]
        results = flat(module(x[0] if is_cell else x, hx))
        loss = sum((t * torch.linspace(-1, 1, t.numel()).view(t.shape)).sum() for t in results)
        if writes:
            for t in [*states, *results[not is_cell :]]:
                t.data.fill_(100)  # which autograd does not see
            for name, parameter in module.named_parameters():
                if name.startswith("bias"):
                    parameter.detach().fill_(100)
        found.append(torch.autograd.grad(loss, list(module.parameters())))
    assert_close(*found)


def test_what_the_backward_pass_has_used_is_kept_by_no_loss():
    module, x = ours.LSTM(3, 4), torch.randn(5, 2, 3)
    y, _ = module(x)
    node, loss = y.grad_fn, y.sum()
    assert node.caches
    loss.backward(retain_graph=True)
    assert node.caches
    loss.backward()
    assert node.caches is None
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        loss.backward()


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_checkpoints_of_activations(use_reentrant):
    from torch.utils.checkpoint import checkpoint

    found = []
    for module in twins("LSTM", 3, 4):
        x = torch.linspace(-1, 1, 30).view(5, 2, 3).requires_grad_()
        y, _ = checkpoint(module, x, use_reentrant=use_reentrant)
        y.sin().sum().backward()
        found.append([y, x.grad, *(p.grad for p in module.parameters())])
    assert_close(*found)


def test_tensors_saved_elsewhere():
    found = []
    for module in twins("GRU", 3, 4):
        x = torch.linspace(-1, 1, 30).view(5, 2, 3).requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(lambda t: t.numpy(force=True).copy(), torch.from_numpy):
            y, _ = module(x)
        y.sin().sum().backward()
        found.append([y, x.grad, *(p.grad for p in module.parameters())])
    assert_close(*found)


def test_negated_views_and_forward_mode_are_left_to_torch():
    theirs, mine = twins("LSTM", 3, 4)
    x = torch.randn(5, 2, 3, dtype=torch.complex64).conj().imag
    assert x.is_neg()
    assert_close(flat(mine(x)), flat(theirs(x)))
    with torch.no_grad():
        assert_close(flat(mine(x)), flat(theirs(x)))


def test_nothing_is_kept_when_the_results_are_gone():
    module, x = ours.LSTM(3, 4, bidirectional=True), torch.randn(5, 2, 3, requires_grad=True)
    module(x)
    gc.collect()
    gc.disable()
    try:
        y, _ = module(x)
        node, memory = weakref.ref(y.grad_fn), weakref.ref(y)
        del y, _
        assert node() is None
        assert memory() is None
    finally:
        gc.enable()


def test_outputs_are_not_copied(monkeypatch):
    module, x = ours.LSTM(3, 4, batch_first=True), torch.randn(2, 5, 3)
    seen = []
    monkeypatch.setattr(passes, "forward", lambda *call: seen.append(Call(*call)) or _core.forward(*call))
    y, _ = module(x)
    assert np.shares_memory(seen[0].inputs, x.numpy())
    assert np.shares_memory(seen[0].out, y.detach().numpy())


# --- weights that change ---


def changes():
    def optimizer(module):
        for p in module.parameters():
            p.grad = torch.ones_like(p)
        torch.optim.SGD(module.parameters(), 0.1).step()

    def through_data(module):
        for p in module.parameters():
            p.data.add_(0.1)

    def new_data(module):
        for p in module.parameters():
            p.data = p.data + 0.1

    def transposed(module):
        module.weight_hh_l0.data = module.weight_hh_l0.data.t()

    def load(module):
        module.load_state_dict({k: v + 0.1 for k, v in module.state_dict().items()})

    def parameter(module):
        module.weight_hh_l0 = torch.nn.Parameter(module.weight_hh_l0.detach() + 0.1)

    return [optimizer, through_data, new_data, transposed, load, parameter]


@pytest.mark.parametrize("steps", [1, 300])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("change", changes(), ids=lambda f: f.__name__)
def test_new_values_of_weights_are_seen(change, training, steps):
    theirs, mine = twins("RNN", 3, 4)  # whose recurrent weights are square
    x = torch.randn(steps, 2, 3)
    for module in (theirs, mine):
        module.train(training)
        with torch.set_grad_enabled(training):
            module(x)
        change(module)
    with torch.set_grad_enabled(training):
        assert_close(flat(mine(x)), flat(theirs(x)))


def test_functional_call_and_parametrizations():
    theirs, mine = twins("LSTM", 3, 4)
    x = torch.randn(5, 2, 3)
    weights = {k: (v.detach() + 0.1).requires_grad_() for k, v in theirs.named_parameters()}
    assert_close(
        flat(torch.func.functional_call(mine, weights, x)), flat(torch.func.functional_call(theirs, weights, x))
    )
    for module in (theirs, mine):
        torch.nn.utils.parametrizations.weight_norm(module, "weight_hh_l0")
    assert_close(everything(mine, x), everything(theirs, x))


# --- a module like others ---


def test_copies_pickles_and_saved_modules():
    module, x = ours.LSTM(3, 4).eval(), torch.randn(5, 2, 3)
    with torch.no_grad():
        want = flat(module(x))
        file = io.BytesIO()
        torch.save(module, file)
        file.seek(0)
        for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module)), torch.load(file, weights_only=False)):
            assert type(other) is ours.LSTM
            assert other.weight_ih_l0 is not module.weight_ih_l0
            assert_close(flat(other(x)), want)
            other.weight_ih_l0.zero_()
            assert_close(flat(module(x)), want)
    cell = ours.GRUCell(3, 4)
    assert torch.equal(copy.deepcopy(cell)(x[0]), cell(x[0]))


def test_hooks_run():
    module, calls = ours.GRU(3, 4), []
    module.register_forward_pre_hook(lambda *_: calls.append("before"))
    module.register_forward_hook(lambda *_: calls.append("after"))
    module.register_full_backward_hook(lambda *_: calls.append("backward"))
    module.weight_ih_l0.register_hook(lambda _: calls.append("gradient"))
    module(torch.randn(5, 2, 3, requires_grad=True))[0].sum().backward()
    assert sorted(calls) == ["after", "backward", "before", "gradient"]


def test_autocast_other_types_and_transforms_are_left_to_torch():
    theirs, mine = twins("LSTM", 3, 4)
    x = torch.randn(5, 2, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert mine(x)[0].dtype == theirs(x)[0].dtype
    low = copy.deepcopy(mine).to(torch.bfloat16)
    assert low(x.bfloat16())[0].dtype == torch.bfloat16
    got, want = (torch.func.grad(lambda v, m=m: m(v)[0].sum())(x) for m in (mine, theirs))
    assert_close([got], [want])
    traced = torch.jit.trace(mine.eval(), x)
    assert_close(flat(traced(x + 1)), flat(theirs.eval()(x + 1)))
    assert mine.to("meta")(x.to("meta"))[0].device.type == "meta"


class Rows(torch.utils.data.Dataset):
    def __init__(self):
        self.module = ours.LSTM(3, 4).eval()

    def __len__(self):
        return 4

    def __getitem__(self, k):
        with torch.no_grad():
            return self.module(torch.full((5, 3), float(k)))[0]


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_of_a_data_loader(context):
    rows = Rows()
    want = torch.stack([rows[k] for k in range(4)])
    loader = torch.utils.data.DataLoader(rows, batch_size=2, num_workers=1, multiprocessing_context=context, timeout=60)
    assert torch.equal(torch.cat(list(loader)), want)


DISTRIBUTED = """
import copy
import torch
import lstmcore.torch

torch.set_num_threads(1)
torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)


def trained(module):
    parallel, x = torch.nn.parallel.DistributedDataParallel(module), torch.linspace(-1, 1, 30).sin().view(5, 2, 3)
    optimizer = torch.optim.SGD(parallel.parameters(), 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        parallel(x)[0].sin().sum().backward()
        optimizer.step()
    return list(module.parameters())


theirs = torch.nn.LSTM(3, 4, num_layers=2)
mine = lstmcore.torch.LSTM(3, 4, num_layers=2)
before = theirs.state_dict()
mine.load_state_dict(copy.deepcopy(before))
wanted = trained(theirs)
print("started", flush=True)
for got, want in zip(trained(mine), wanted, strict=True):
    torch.testing.assert_close(got, want, rtol=3e-5, atol=3e-5)
torch.distributed.destroy_process_group()
print("trained")
"""


def test_distributed_data_parallel():
    if not torch.distributed.is_available():
        pytest.skip("this PyTorch has no torch.distributed")
    # In a process of its own: where a machine's network is shut off, gloo may wait without end.
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, "-c", DISTRIBUTED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as run:
        try:
            printed, _ = run.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            run.kill()
            printed, _ = run.communicate()
    if run.returncode and "started" not in printed:
        pytest.skip("gloo does not run PyTorch's own modules on this machine")
    assert printed.split() == ["started", "trained"]


# --- one operator ---


@pytest.mark.parametrize(("mode", "gates"), [("LSTM", 4), ("LSTM_PROJECTED", 4), ("GRU", 3), ("RNN_TANH", 1)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("with_states", [True, False])
def test_the_operator_is_what_torch_expects(mode, gates, bias, directions, with_states):
    width = 2 if mode == "LSTM_PROJECTED" else 4
    shapes = [(gates * 4, 3), (gates * 4, width), *[(gates * 4,)] * (2 * bias)]
    shapes += [(2, 4)] if mode == "LSTM_PROJECTED" else []
    weights = [torch.randn(s, requires_grad=True) for s in shapes * directions]
    x = torch.randn(5, 2, 3, requires_grad=True)
    h = torch.randn(directions, 2, width, requires_grad=True) if with_states else None
    c = torch.randn(directions, 2, 4, requires_grad=True) if with_states and mode.startswith("LSTM") else None
    torch.library.opcheck(operator.recurrent, (x, h, c, weights, mode, bias, False, False))


class Tagger(torch.nn.Module):
    def __init__(self, recurrent):
        super().__init__()
        self.recurrent, self.head = recurrent, torch.nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.recurrent(x)[0].tanh())


# PyTorch's compiler goes into recurrent modules only where it is told to; else it breaks its graph and calls them.
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
@pytest.mark.parametrize("kind", SEQUENCES)
def test_torch_compile(kind, backend, whole):
    if backend == "inductor" and not (shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("this machine has no C++ compiler for inductor")
    theirs, mine = twins(kind, 3, 4, bidirectional=True, num_layers=2, batch_first=True)
    theirs, mine = Tagger(theirs), Tagger(mine)
    mine.load_state_dict(theirs.state_dict())
    torch._dynamo.reset()
    with torch._dynamo.config.patch(allow_rnn=whole):
        compiled = torch.compile(mine, backend=backend, fullgraph=whole)
        for batch in (2, 3):
            x = torch.randn(batch, 5, 3)
            assert_close(everything(compiled, x), everything(theirs, x))


@pytest.mark.parametrize("kind", CELLS)
def test_torch_compile_of_cells(kind):
    theirs, mine = twins(kind, 3, 4)
    torch._dynamo.reset()
    compiled, x = torch.compile(mine, backend="aot_eager", fullgraph=True), torch.randn(2, 3)
    assert_close(everything(compiled, x), everything(theirs, x))


def test_torch_export():
    theirs, mine = twins("LSTM", 3, 8, batch_first=True)
    theirs, mine = Tagger(theirs), Tagger(mine)
    mine.load_state_dict(theirs.state_dict())
    dims = {0: torch.export.Dim("batch", min=2), 1: torch.export.Dim("steps", min=2)}
    program = torch.export.export(mine.eval(), (torch.randn(3, 5, 3),), dynamic_shapes=(dims,))
    assert sum(str(n.target) == "lstmcore.recurrent.default" for n in program.graph.nodes) == 1
    x = torch.randn(4, 7, 3)
    assert_close([program.module()(x)], [theirs(x)])


# --- accelerate ---


class Own(torch.nn.GRU):
    pass


def test_accelerate_keeps_what_a_model_is():
    model = torch.nn.Sequential(torch.nn.LSTM(3, 4, dropout=0.1), torch.nn.GRUCell(3, 4), torch.nn.RNN(3, 4))
    model.append(torch.nn.Linear(3, 4))
    model[2].weight_hh_l0 = torch.nn.Parameter(torch.zeros(4, 4))
    calls = []
    model[0].register_forward_hook(lambda *_: calls.append(1))
    before, modules = dict(model.named_parameters()), list(model)
    report = ours.accelerate(model, verbose=False)
    assert report.replaced == [("0", "LSTM"), ("1", "GRUCell"), ("2", "RNN"), ("3", "Linear")]
    assert report.kept == []
    assert list(model) == modules
    assert [type(m) for m in model] == [ours.LSTM, ours.GRUCell, ours.RNN, ours.Linear]
    assert all(p is before[name] for name, p in model.named_parameters())
    model[0](torch.zeros(5, 2, 3))
    assert calls == [1]
    assert ours.accelerate(model, verbose=False).replaced == []
    ours.restore(model)
    assert [type(m) for m in model] == [torch.nn.LSTM, torch.nn.GRUCell, torch.nn.RNN, torch.nn.Linear]
    model[0](torch.zeros(5, 2, 3))


def test_accelerate_says_what_it_keeps_and_why(capsys):
    model = torch.nn.ModuleDict(
        {
            "own": Own(3, 4),
            "low": torch.nn.LSTM(3, 4, dtype=torch.bfloat16),
            "elsewhere": torch.nn.LSTM(3, 4, device="meta"),
            "normed": torch.nn.utils.parametrizations.weight_norm(torch.nn.LSTM(3, 4), "weight_hh_l0"),
            "ready": ours.LSTM(3, 4),
        }
    )
    report = ours.accelerate(model)
    assert report.replaced == []
    assert [name for name, *_ in report.kept] == ["own", "low", "elsewhere", "normed", "ready"]
    words = ["subclass", "bfloat16", "meta", "parametrizations", "already"]
    for line, word in zip(capsys.readouterr().out.splitlines(), words, strict=True):
        assert word in line
    assert str(ours.accelerate(torch.nn.Conv1d(2, 2, 1), verbose=False)) == "no modules that could be replaced"
    with pytest.raises(TypeError, match=r"model: expected a torch\.nn\.Module, got 3"):
        ours.accelerate(3)


def test_a_program_learns_the_same(tmp_path):
    torch.manual_seed(0)
    model = Tagger(torch.nn.LSTM(3, 8, batch_first=True))
    x, y = torch.randn(8, 20, 3), torch.randn(8, 20, 2)

    def losses(model):
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        for _ in range(30):
            optimizer.zero_grad()
            loss = (model(x) - y).square().mean()
            loss.backward()
            optimizer.step()
            yield loss.item()

    other = copy.deepcopy(model)
    ours.accelerate(other, verbose=False)
    np.testing.assert_allclose(list(losses(other)), list(losses(model)), rtol=1e-4)


def test_importing_lstmcore_does_not_import_torch():
    program = "import sys, lstmcore; assert 'torch' not in sys.modules; lstmcore.torch; assert 'torch' in sys.modules"
    subprocess.run([sys.executable, "-c", program], env=dict(os.environ), check=True, timeout=120)


def test_without_torch_the_error_names_the_extra():
    program = "import sys; sys.modules['torch'] = None; import lstmcore.torch"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert "lstmcore.torch needs PyTorch: pip install" in run.stderr
    assert "lstmcore[torch]" in run.stderr


@pytest.mark.parametrize("kind", [*SEQUENCES, *CELLS, "Linear"])
def test_a_tracer_of_torch_fx_is_let_into_no_module(kind):
    graphs, found = [], []
    x = torch.randn(5, 2, 3) if kind in SEQUENCES else torch.randn(2, 3)
    for module in twins(kind, 3, 4):
        traced = torch.fx.symbolic_trace(torch.nn.Sequential(module))
        graphs.append(str(traced.graph))
        found.append(flat(traced(x)))
        assert traced.get_submodule("0") is module
    assert graphs[0] == graphs[1]
    assert_close(*found)


class Calls(torch.nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return self.module(x)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "LSTMCell", "RNNCell", "Linear"])
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_torch_script_is_that_of_torch(kind):
    _, mine = twins(kind, 3, 4)
    x = torch.randn(5, 2, 3) if kind in SEQUENCES else torch.randn(2, 3)
    want = flat(mine(x))
    script = torch.jit.script(Calls(mine))
    assert_close(flat(script(x)), want)
    assert type(mine) is getattr(ours, kind)
    parameters = [*mine.parameters()]
    with torch.no_grad():
        parameters[0].add_(1)  # which is that of both
    assert_close(flat(script(x)), flat(mine(x)))


def test_weights_that_do_not_fit_each_other_are_named():
    for kind, name, value in [
        ("LSTM", "weight_hh_l0", (4, 4)),
        ("GRU", "bias_ih_l0", (7,)),
        ("RNNCell", "bias_hh", (3,)),
    ]:
        module = getattr(ours, kind)(3, 4)
        setattr(module, name, torch.nn.Parameter(torch.zeros(value)))
        with pytest.raises(ValueError, match=rf"weight_ih, weight_hh and biases .* got shapes .*\({value[0]},"):
            module(torch.zeros(2, 3))


def test_a_nonlinearity_that_is_none_is_the_error_of_torch():
    with pytest.raises(RuntimeError, match="Unknown nonlinearity"):
        ours.RNNCell(3, 4, nonlinearity="x")(torch.zeros(2, 3))


def test_what_restore_leaves_is_told():
    model = torch.nn.ModuleDict({"a": torch.nn.GRU(3, 4), "b": torch.nn.GRU(3, 4)})
    ours.accelerate(model, verbose=False)
    torch.nn.utils.parametrizations.weight_norm(model["b"], "weight_hh_l0")
    with pytest.warns(UserWarning, match="restore: b is left as it is: its class, ParametrizedGRU"):
        ours.restore(model)
    assert type(model["a"]) is torch.nn.GRU


@pytest.mark.parametrize("call", [ours.accelerate, ours.restore])
def test_what_is_no_module_is_refused(call):
    for model, text in [(None, "None"), (torch.nn.LSTM, "<class 'torch.nn.modules.rnn.LSTM'>")]:
        with pytest.raises(TypeError, match=f"model: expected a torch.nn.Module, got {text}"):
            call(model)
