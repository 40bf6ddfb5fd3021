"""The same numbers as other libraries, given the same weights."""

import numpy as np
import pytest
from problems import Problem, relative_errors

from lstmcore import functional, reference
from lstmcore.functional import GRUOptions, LSTMOptions, RNNOptions

pytestmark = [
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
]

# As in test_kernels: rounding of some hundreds of terms, through some tens of steps, relative to the largest value.
TOLERANCE = {"float32": 3e-5, "float64": 1e-12}


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)  # its threads and ours would wait for each other's processors
    return torch


def reordered(array, order, axis=-1):
    """The gates of an array in another order."""
    gates = np.split(np.asarray(array), len(order), axis=axis)
    return np.concatenate([gates[k] for k in order], axis=axis)


def both_ways(**arguments):
    """The problems of two layers over the same inputs, one in each direction."""
    first, second = Problem(**arguments), Problem(**arguments | {"seed": 1, "go_backwards": True})
    second.x = first.x
    return [first, second]


def run(problems):
    """The results of all directions by name; those of the inputs and outputs are of all at once."""
    results = [p.run(functional) for p in problems]
    together = {
        "outputs": np.concatenate([r.pop("outputs") for r in results], axis=-1),
        "d_inputs": sum(r.pop("d_inputs") for r in results),
    }
    return together | {f"{name} {k}": value for k, r in enumerate(results) for name, value in r.items()}


# --- PyTorch ---

# Gates i, f, g, o as here, but r, z, n in the GRU. (An order of three that is its own inverse.)
TORCH_GATES = {"lstm": [0, 1, 2, 3], "gru": [1, 0, 2], "rnn": [0]}
OF_TORCH = {
    "lstm": LSTMOptions(),
    "lstm, projection": LSTMOptions(projection=True),
    "gru": GRUOptions(),
    "rnn": RNNOptions(),
    "rnn, relu": RNNOptions("relu"),
}
every_cell_of_torch = pytest.mark.parametrize("options", OF_TORCH.values(), ids=OF_TORCH)


def torch_module(torch, problems, dtype):
    """A module with the problems' weights, one direction each. Its second bias stays zero where there is but one."""
    p = problems[0]
    weights = [dict(zip(q.weight_names, q.weights, strict=True)) for q in problems]
    (inputs, _), (outputs, _) = p.weights[0].shape, p.weights[1].shape
    units = p.weights[0].shape[1] // p.options.gates
    keywords = {"batch_first": True, "bidirectional": len(problems) > 1, "dtype": getattr(torch, dtype)}
    if p.cell == "rnn":
        keywords["nonlinearity"] = p.options.activation
    if "projection" in p.weight_names:
        keywords["proj_size"] = outputs
    module = getattr(torch.nn, p.cell.upper())(inputs, units, **keywords)
    order = TORCH_GATES[p.cell]
    with torch.no_grad():
        for suffix, w in zip(("", "_reverse"), weights, strict=False):
            biases = w["bias"] if w["bias"].ndim == 2 else np.stack([w["bias"], np.zeros_like(w["bias"])])
            values = {
                "weight_ih_l0": reordered(w["kernel"], order).T,
                "weight_hh_l0": reordered(w["recurrent_kernel"], order).T,
                "bias_ih_l0": reordered(biases[0], order),
                "bias_hh_l0": reordered(biases[1], order),
            }
            if "projection" in w:
                values["weight_hr_l0"] = w["projection"].T
            for name, value in values.items():
                getattr(module, name + suffix).copy_(torch.tensor(value))
    return module


def torch_results(torch, problems, dtype):
    """What `run` returns, from PyTorch; lengths as a packed sequence."""
    p = problems[0]
    module = torch_module(torch, problems, dtype)

    def tensor(array):
        return torch.tensor(np.asarray(array).astype(dtype), requires_grad=True)

    x = tensor(p.x)
    states = [tensor(np.stack(arrays)) for arrays in zip(*(q.state for q in problems), strict=True)]
    state = tuple(states) if p.cell == "lstm" else states[0]
    if p.lengths is None:
        y, last = module(x, state)
    else:
        rnn = torch.nn.utils.rnn
        packed = rnn.pack_padded_sequence(x, torch.tensor(p.lengths), batch_first=True, enforce_sorted=False)
        y, last = module(packed, state)
        y, _ = rnn.pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])
    lasts = last if p.cell == "lstm" else (last,)
    loss = (y * tensor(np.concatenate([q.dy for q in problems], axis=-1))).sum()
    for k, q in enumerate(problems):
        loss = loss + sum((v[k] * tensor(d)).sum() for v, d in zip(lasts, q.d_state, strict=True))
    loss.backward()

    order = TORCH_GATES[p.cell]
    results = {"outputs": y, "d_inputs": x.grad}
    for k, (suffix, q) in enumerate(zip(("", "_reverse"), problems, strict=False)):
        gradient = {name: getattr(module, f"{name}{suffix}").grad for name in ("weight_ih_l0", "weight_hh_l0")}
        biases = [getattr(module, f"bias_{name}_l0{suffix}").grad for name in ("ih", "hh")]
        results |= {f"{name} {k}": v[k] for name, v in zip(q.state_names, lasts, strict=True)}
        results |= {f"d_{name} {k}": v.grad[k] for name, v in zip(q.state_names, states, strict=True)}
        results[f"d_kernel {k}"] = reordered(gradient["weight_ih_l0"].T, order)
        results[f"d_recurrent_kernel {k}"] = reordered(gradient["weight_hh_l0"].T, order)
        results[f"d_bias {k}"] = reordered(np.stack(biases) if q.cell == "gru" else biases[0], order)
        if "projection" in q.weight_names:
            results[f"d_projection {k}"] = getattr(module, f"weight_hr_l0{suffix}").grad.T
    return {name: np.asarray(v.detach()) if torch.is_tensor(v) else v for name, v in results.items()}


def assert_is_that_of_torch(torch, problems, dtype):
    for name, error in relative_errors(run(problems), torch_results(torch, problems, dtype)).items():
        # In float32 an activation may lie on the other side of relu's kink than PyTorch's, and slopes differ there.
        if problems[0].options.activation == "relu" and dtype == "float32" and name.startswith("d_"):
            continue
        assert error < TOLERANCE[dtype], name


@every_cell_of_torch
@pytest.mark.parametrize("shape", [(1, 1, 1, 2), (3, 7, 5, 11), (16, 20, 33, 64), (32, 12, 1, 50)])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_cells_are_those_of_pytorch(torch, options, shape, dtype):
    assert_is_that_of_torch(torch, [Problem(*shape, dtype, options=options)], dtype)


# PyTorch has no rows without steps.
LENGTHS = {"no lengths": None, "lengths": [5, 9, 1, 9, 2, 7, 4]}
every_lengths = pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)


@every_cell_of_torch
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_lengths_are_packed_sequences_of_pytorch(torch, options, dtype):
    problem = Problem(7, 9, 5, 12, dtype, options=options, lengths=LENGTHS["lengths"])
    assert_is_that_of_torch(torch, [problem], dtype)


@every_cell_of_torch
@every_lengths
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_two_calls_are_a_bidirectional_layer_of_pytorch(torch, options, lengths, dtype):
    problems = both_ways(batch=7, steps=9, inputs=5, units=12, dtype=dtype, options=options, lengths=lengths)
    assert_is_that_of_torch(torch, problems, dtype)


# Root mean square errors of the arrays against theirs: 0.53 to 1.02 for the LSTM when last measured, which oneDNN
# computes for PyTorch; 0.95 to 1.28 for the GRU and 1.07 to 1.2 for the RNN. The largest are those of the gradients of
# recurrent kernels: here a sum over rows and steps begins anew after 128 terms, there at every step. Sums over units
# begin anew after 256 terms; after 128, 1 % slower, the LSTM's largest was 0.95. Where multiply-adds are not fused it
# is 1.06.
@pytest.mark.parametrize(("cell", "limit"), [("lstm", 1.1), ("gru", 1.6), ("rnn", 1.4)])
def test_float32_is_as_near_the_truth_as_that_of_pytorch(torch, cell, limit):
    shapes = [(4, 20, 8, 16), (32, 30, 64, 64), (8, 50, 100, 100), (16, 12, 1, 50), (5, 40, 256, 256)]
    ours, theirs = {}, {}
    for seed, shape in enumerate(shapes):
        problem = Problem(*shape, "float32", seed=seed, cell=cell)
        truth = problem.run(reference, "float64")
        of_torch = torch_results(torch, [problem], "float32")
        for sums, results in ((ours, run([problem])), (theirs, of_torch)):
            for name, value in results.items():
                value_64 = truth[name.removesuffix(" 0")]
                error = np.mean((value - value_64) ** 2) / np.mean(value_64**2)
                sums[name] = sums.get(name, 0) + error
    for name in ours:
        assert np.sqrt(ours[name] / theirs[name]) <= limit, (name, ours[name], theirs[name])


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_stacked_layers_are_those_of_pytorch(torch, cell):
    first = Problem(6, 9, 5, 12, "float64", cell=cell)
    second = Problem(6, 9, 12, 7, "float64", seed=1, cell=cell)
    first.state = second.state = None
    lower, upper = (torch_module(torch, [p], "float64") for p in (first, second))
    x = torch.tensor(first.x, requires_grad=True)
    y = upper(lower(x)[0])[0]
    (y * torch.tensor(second.dy)).sum().backward()

    second.x, _, cache = first.forward(functional, training=True)
    outputs, _, upper_cache = second.forward(functional, training=True)
    backward = getattr(functional, f"{cell}_backward")
    d_middle, (_, d_recurrent, _), _ = backward(upper_cache, second.dy)
    dx, (d_kernel, _, _), _ = backward(cache, d_middle)
    got = {"outputs": outputs, "d_inputs": dx, "d_kernel": d_kernel, "d_recurrent_kernel": d_recurrent}
    want = {
        "outputs": y.detach().numpy(),
        "d_inputs": x.grad.numpy(),
        "d_kernel": reordered(lower.weight_ih_l0.grad.numpy().T, TORCH_GATES[cell]),
        "d_recurrent_kernel": reordered(upper.weight_hh_l0.grad.numpy().T, TORCH_GATES[cell]),
    }
    for name, error in relative_errors(got, want).items():
        assert error < TOLERANCE["float64"], name


# --- ONNX ---

# Gates i, o, f, c, and peepholes i, o, f; the other cells as here. The evaluator ignores sequence_lens, knows no
# other activations than the usual ones and no gradients.
ONNX_GATES = {"lstm": [0, 3, 1, 2], "gru": [0, 1, 2], "rnn": [0]}
OF_ONNX = {
    "lstm": LSTMOptions(),
    "lstm, peepholes": LSTMOptions(peepholes=True),
    "gru, linear before reset": GRUOptions(),
    "gru": GRUOptions(reset_after=False),
    "rnn": RNNOptions(),
}


def onnx_results(onnx, problems):
    """Outputs and states as `run` returns them, from ONNX's reference evaluator."""
    from onnx.reference import ReferenceEvaluator

    p = problems[0]
    order = ONNX_GATES[p.cell]

    def of_each(make):
        return np.stack([make(q, dict(zip(q.weight_names, q.weights, strict=True))) for q in problems])

    def biases(_, w):
        both = w["bias"] if w["bias"].ndim == 2 else np.stack([w["bias"], np.zeros_like(w["bias"])])
        return reordered(both, order).ravel()

    feeds = {
        "X": p.x.transpose(1, 0, 2),
        "W": of_each(lambda _, w: reordered(w["kernel"], order).T),
        "R": of_each(lambda _, w: reordered(w["recurrent_kernel"], order).T),
    }
    if "bias" in p.weight_names:
        feeds["B"] = of_each(biases)
    if p.state is not None:
        feeds |= {f"initial_{name}": of_each(lambda q, _, k=k: q.state[k]) for k, name in enumerate(p.state_names)}
    if "peephole" in p.weight_names:
        feeds["P"] = of_each(lambda _, w: w["peephole"][[0, 2, 1]].ravel())

    inputs = ["X", "W", "R", "B", "sequence_lens", "initial_h"] + ["initial_c", "P"] * (p.cell == "lstm")
    outputs = ["Y", "Y_h", "Y_c"][: 1 + len(p.state_names)]
    attributes = {"hidden_size": p.d_state[0].shape[1]}
    attributes["direction"] = (
        "bidirectional" if len(problems) > 1 else "reverse" if p.call["go_backwards"] else "forward"
    )
    if p.cell == "gru":
        attributes["linear_before_reset"] = int(p.options.reset_after)
    node = onnx.helper.make_node(p.cell.upper(), [n if n in feeds else "" for n in inputs], outputs, **attributes)
    values = [
        [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.DOUBLE, None) for n in ns] for ns in (feeds, outputs)
    ]
    graph = onnx.helper.make_graph([node], p.cell, *values)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 22)])
    y, *states = ReferenceEvaluator(model).run(None, feeds)
    results = {"outputs": np.concatenate(list(y.transpose(1, 2, 0, 3)), axis=-1)}
    for name, state in zip(p.state_names, states, strict=True):
        results |= {f"{name} {k}": v for k, v in enumerate(state)}
    return results


@pytest.mark.parametrize("options", OF_ONNX.values(), ids=OF_ONNX)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("given", [True, False], ids=["bias and state", "neither"])
def test_cells_are_those_of_the_onnx_reference(options, direction, given):
    onnx = pytest.importorskip("onnx")
    for batch, steps, inputs, units in [(1, 1, 1, 1), (3, 7, 5, 11), (8, 6, 20, 33)]:
        sizes = {"batch": batch, "steps": steps, "inputs": inputs, "units": units}
        arguments = sizes | {"dtype": "float64", "options": options, "bias": given, "state": given}
        if direction == "bidirectional":
            problems = both_ways(**arguments)
        else:
            problems = [Problem(**arguments, go_backwards=direction == "reverse")]
        want = onnx_results(onnx, problems)
        got = run(problems)
        for name, error in relative_errors({name: got[name] for name in want}, want).items():
            assert error < TOLERANCE["float64"], name
