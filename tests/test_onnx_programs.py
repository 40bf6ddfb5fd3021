"""Programs of PyTorch as its two exporters write them: a model loaded from the file returns what PyTorch returns."""

import numpy as np
import pytest

pytest.importorskip("onnx")
torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")  # without which neither exporter runs

from lstmcore import models  # noqa: E402

pytestmark = [
    pytest.mark.peer,
    pytest.mark.once,
    pytest.mark.filterwarnings("ignore"),
]
nn, F = torch.nn, torch.nn.functional


class Program(nn.Module):
    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *x):
        return self.function(self, *x)


def lstm(features=3, units=5, **options):
    return nn.LSTM(features, units, **{"batch_first": True} | options)


def of_outputs(function, **parts):
    """A program whose function is given what an LSTM makes of the inputs."""
    return Program(lambda self, x: function(self, self.rnn(x)[0]), rnn=lstm(), **parts)


def of_cell(cell):
    def function(self, x):
        state = (torch.zeros(len(x), 5), torch.zeros(len(x), 5)) if cell is nn.LSTMCell else torch.zeros(len(x), 5)
        outputs = []
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
            outputs.append(state[0] if cell is nn.LSTMCell else state)
        return torch.stack(outputs, 1)

    return Program(function, cell=cell(3, 5))


def learned_states():
    program = Program(
        lambda self, x: self.rnn(x, (self.h.expand(-1, len(x), -1).contiguous(), self.c.repeat(1, len(x), 1)))[0],
        rnn=lstm(bidirectional=True),
    )
    program.h, program.c = (nn.Parameter(torch.randn(2, 1, 5)) for _ in "hc")
    return program


def by_rows(self, o):
    batch, steps, units = o.shape
    return torch.log_softmax(self.linear(o.contiguous().view(batch * steps, units)), 1).view(batch, steps, 2)


def padded(self, x):
    parts = [F.pad(x.transpose(1, 2), (2, 1), mode=mode) for mode in ("replicate", "constant")]
    return self.rnn(torch.cat(parts, 1).transpose(1, 2))[0]


def normalised(self, o):
    return torch.cat([o.std(1), o.var(1), o.var(1, unbiased=False), F.normalize(o[:, -1], dim=-1)], -1)


def functions(self, o):
    shapes = [F.gelu(o), F.logsigmoid(o), F.hardshrink(o, 0.1), F.softshrink(o, 0.1), torch.sin(o), torch.cos(o)]
    return torch.cat([*shapes, torch.erf(o), torch.sqrt(o.abs() + 1), torch.log(o**2 + 1), 1 / (o + 2)], -1)


def pooled(self, o):
    o = o.transpose(1, 2)
    return F.max_pool1d(o, 3, 2, padding=1), F.avg_pool1d(o, 3, 1, padding=1)


def attention(self, words):
    o = self.rnn(self.embedding(words))[0]
    scores = self.linear(o).squeeze(-1).masked_fill(words == 0, -1e9)
    return (torch.softmax(scores, 1).unsqueeze(-1) * o).sum(1)


def of_lengths(function, **parts):
    return Program(lambda self, x, n: function(self, self.rnn(x)[0], n), rnn=lstm(), **parts)


def mean_of_steps(self, o, n):
    mask = (torch.arange(o.size(1))[None, :] < n[:, None]).float().unsqueeze(-1)
    return (o * mask).sum(1) / mask.sum(1)


def last_of_words(self, words):
    last = (words != 0).sum(1) - 1
    return self.rnn(self.embedding(words))[0].gather(1, last.view(-1, 1, 1).expand(-1, 1, 5)).squeeze(1)


def norms():
    return nn.Sequential(nn.GroupNorm(2, 8), nn.InstanceNorm1d(8, affine=True))


def by_channels(self, x):
    padded = F.pad(x.transpose(1, 2), (2, 1), mode="reflect") + F.pad(x.transpose(1, 2), (2, 1), mode="circular")
    return self.rnn(self.norm(self.conv(padded)).transpose(1, 2))[0]


X, WORDS, LENGTHS, STATES = "x", "words", "lengths", "states"
PROGRAMS = {
    "rnn": (lambda: Program(lambda s, x: s.rnn(x)[0], rnn=nn.RNN(3, 5, 2, batch_first=True, bidirectional=True)), [X]),
    "LSTMCell": (lambda: of_cell(nn.LSTMCell), [X]),
    "GRUCell": (lambda: of_cell(nn.GRUCell), [X]),
    "RNNCell": (lambda: of_cell(nn.RNNCell), [X]),
    "learned states": (learned_states, [X]),
    "states": (lambda: Program(lambda s, x, h: s.rnn(x, h), rnn=nn.GRU(3, 5, 2, batch_first=True)), [X, STATES]),
    "rows": (lambda: of_outputs(by_rows, linear=nn.Linear(5, 2)), [X]),
    "directions": (
        lambda: Program(lambda s, x: s.rnn(x)[0][..., :5] + s.rnn(x)[0][..., 5:], rnn=lstm(bidirectional=True)),
        [X],
    ),
    "layers of states": (
        lambda: Program(
            lambda s, x: s.rnn(x)[1].view(2, 2, x.size(0), 5)[-1].transpose(0, 1).reshape(x.size(0), -1),
            rnn=nn.GRU(3, 5, 2, batch_first=True, bidirectional=True),
        ),
        [X],
    ),
    "functions": (lambda: of_outputs(functions), [X]),
    "padding": (lambda: Program(padded, rnn=lstm(6)), [X]),
    "pooling": (lambda: of_outputs(pooled), [X]),
    "masked attention": (
        lambda: Program(attention, embedding=nn.Embedding(9, 3), rnn=lstm(), linear=nn.Linear(5, 1)),
        [WORDS],
    ),
    "gathered": (
        lambda: of_lengths(lambda s, o, n: o.gather(1, (n - 1).view(-1, 1, 1).expand(-1, 1, o.size(2))).squeeze(1)),
        [X, LENGTHS],
    ),
    "mean of steps": (lambda: of_lengths(mean_of_steps), [X, LENGTHS]),
    "where": (lambda: of_outputs(lambda s, o: torch.where(o > 0, o, 0.1 * o)), [X]),
    "statistics": (lambda: of_outputs(normalised), [X]),
    "repeated": (lambda: of_outputs(lambda s, o: s.back(o[:, -1:].repeat(1, o.shape[1], 1))[0], back=lstm(5)), [X]),
    "spread": (
        lambda: Program(lambda s, x: s.rnn(torch.cat([x, x[:, :1].expand(-1, x.size(1), -1)], 2))[0], rnn=lstm(6)),
        [X],
    ),
    "one hot": (lambda: Program(lambda s, x: s.rnn(F.one_hot(x, 9).float())[0], rnn=lstm(9)), [WORDS]),
    "counted words": (lambda: Program(last_of_words, embedding=nn.Embedding(9, 3), rnn=lstm()), [WORDS]),
    "channels": (lambda: Program(by_channels, conv=nn.Conv1d(3, 8, 3, padding=1), norm=norms(), rnn=lstm(8)), [X]),
    "no numbers": (
        lambda: of_outputs(lambda s, o: torch.nan_to_num(o / (o - o), 0.5, 2.0, -2.0) * o.mean(1, True)),
        [X],
    ),
    "flat rows": (
        lambda: of_outputs(lambda s, o: s.linear(o).flatten(0, 1).view(o.shape[0], -1, 2), linear=nn.Linear(5, 2)),
        [X],
    ),
}


def inputs_of(kinds):
    torch.manual_seed(0)
    made = {
        X: torch.randn(4, 7, 3),
        WORDS: torch.randint(1, 9, (4, 7)) * (torch.arange(7) < torch.tensor([[7], [5], [3], [6]])),
        LENGTHS: torch.tensor([7, 5, 3, 2]),
        STATES: torch.randn(2, 4, 5),
    }
    return [made[kind] for kind in kinds]


def assert_loads(path, program, inputs):
    want = program(*inputs)
    want = want if isinstance(want, tuple) else (want,)
    ours = [x.numpy() if x.ndim != 3 or x.shape[0] == 4 else x.numpy().swapaxes(0, 1) for x in inputs]
    model = models.load_model(path)
    got = model.predict(ours if len(ours) > 1 else ours[0], verbose=0)
    got = got if isinstance(got, list) else [got]
    for a, b in zip(got, want, strict=True):
        b = b.detach().numpy()
        b = b if b.shape[0] == 4 else b.swapaxes(0, 1)  # states have the batch second
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=3e-5, atol=3e-6)


AXES = {X: {0: "batch", 1: "steps"}, WORDS: {0: "batch", 1: "steps"}, LENGTHS: {0: "batch"}, STATES: {1: "batch"}}


def exported(program, inputs, kinds, path, dynamo, dynamic):
    names = [f"x{k}" for k in range(len(inputs))]
    options = {}
    if dynamic and dynamo:
        options["dynamic_shapes"] = {"x": tuple(dict.fromkeys(AXES[kind], torch.export.Dim.AUTO) for kind in kinds)}
    elif dynamic:
        options["dynamic_axes"] = {name: AXES[kind] for name, kind in zip(names, kinds, strict=True)}
    if dynamo:
        options |= {"verbose": False, "external_data": False}
    torch.onnx.export(program, tuple(inputs), path, dynamo=dynamo, input_names=names, **options)


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("dynamic", [False, True])
def test_programs_by_tracing(name, dynamic, tmp_path):
    make, kinds = PROGRAMS[name]
    torch.manual_seed(1)
    program, inputs, path = make().eval(), inputs_of(kinds), str(tmp_path / "m.onnx")
    exported(program, inputs, kinds, path, False, dynamic)
    assert_loads(path, program, inputs)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("dynamic", [False, True])
def test_programs_by_dynamo(name, dynamic, tmp_path):
    make, kinds = PROGRAMS[name]
    torch.manual_seed(1)
    program, inputs, path = make().eval(), inputs_of(kinds), str(tmp_path / "m.onnx")
    exported(program, inputs, kinds, path, True, dynamic)
    assert_loads(path, program, inputs)


@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_packed_sequences(in_order, dynamic, cell, bidirectional, tmp_path):
    def function(self, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=in_order)
        outputs, states = self.rnn(packed)
        outputs, _ = nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True, total_length=x.shape[1])
        return self.linear(outputs), (states[0] if cell is nn.LSTM else states)[-1]

    width = 10 if bidirectional else 5
    program = Program(
        function, rnn=cell(3, 5, batch_first=True, bidirectional=bidirectional), linear=nn.Linear(width, 2)
    ).eval()
    x, lengths = torch.randn(4, 7, 3), torch.tensor([7, 5, 3, 2] if in_order else [3, 7, 2, 5])
    path = str(tmp_path / "m.onnx")
    exported(program, [x, lengths], [X, LENGTHS], path, False, dynamic)
    assert_loads(path, program, [x, lengths])
    with pytest.raises(ValueError, match=r"sequence_mask.*expected lengths from 0 to 7, got 2 to 8"):
        models.load_model(path).predict([x.numpy(), np.array([8, 5, 3, 2])], verbose=0)


@pytest.mark.parametrize("dynamic", [False, True])
def test_outputs_row_by_row_have_their_batch_back(dynamic, tmp_path):
    program = of_outputs(lambda s, o: s.linear(o.reshape(-1, 5)), linear=nn.Linear(5, 2)).eval()
    (x,), path = inputs_of([X]), str(tmp_path / "m.onnx")
    exported(program, [x], [X], path, False, dynamic)
    got = models.load_model(path).predict(x.numpy(), verbose=0)
    np.testing.assert_allclose(got.reshape(28, 2), program(x).detach().numpy(), rtol=3e-5, atol=3e-6)
    assert got.shape == (4, 7, 2)


def test_what_cells_have_in_common_stays_one_layer(tmp_path):
    program, (x,), path = of_cell(nn.RNNCell).eval(), inputs_of([X]), str(tmp_path / "m.onnx")
    exported(program, [x], [X], path, False, False)
    assert models.load_model(path).count_params() == sum(p.numel() for p in program.parameters())
