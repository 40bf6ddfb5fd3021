"""The same numbers as other libraries, given the same weights."""

import numpy as np
import pytest
from problems import Problem, relative_errors

from lstmcore import functional, reference

pytestmark = pytest.mark.peer


def torch_results(torch, problem, dtype):
    """What `Problem.run` returns, from PyTorch. Its second bias stays zero."""
    tensor = lambda a: torch.tensor(np.asarray(a).astype(dtype), requires_grad=True)  # noqa: E731
    kernel, recurrent, bias = problem.weights
    module = torch.nn.LSTM(*kernel.shape[:1], recurrent.shape[0], batch_first=True, dtype=getattr(torch, dtype))
    with torch.no_grad():
        module.weight_ih_l0.copy_(torch.tensor(kernel.T))
        module.weight_hh_l0.copy_(torch.tensor(recurrent.T))
        module.bias_ih_l0.copy_(torch.tensor(bias))
        module.bias_hh_l0.zero_()
    x, h0, c0 = tensor(problem.x), tensor(problem.state[0][None]), tensor(problem.state[1][None])
    y, (h, c) = module(x, (h0, c0))
    loss = (y * torch.tensor(problem.dy.astype(dtype))).sum()
    loss = loss + (h[0] * torch.tensor(problem.d_state[0].astype(dtype))).sum()
    loss = loss + (c[0] * torch.tensor(problem.d_state[1].astype(dtype))).sum()
    loss.backward()
    results = {
        "outputs": y,
        "h": h[0],
        "c": c[0],
        "d_inputs": x.grad,
        "d_kernel": module.weight_ih_l0.grad.T,
        "d_recurrent": module.weight_hh_l0.grad.T,
        "d_bias": module.bias_ih_l0.grad,
        "d_h": h0.grad[0],
        "d_c": c0.grad[0],
    }
    return {name: value.detach().numpy() for name, value in results.items()}


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 7, 5, 11), (16, 20, 33, 64), (32, 12, 1, 50)])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 3e-5), ("float64", 1e-12)])
def test_lstm_is_that_of_pytorch(shape, dtype, tolerance):
    torch = pytest.importorskip("torch")
    problem = Problem(*shape, dtype)
    for name, error in relative_errors(problem.run(functional), torch_results(torch, problem, dtype)).items():
        assert error < tolerance, name


def test_float32_is_as_near_the_truth_as_that_of_pytorch():
    torch = pytest.importorskip("torch")
    ours, theirs = {}, {}
    for seed, shape in enumerate(
        [(4, 20, 8, 16), (32, 30, 64, 64), (8, 50, 100, 100), (16, 12, 1, 50), (5, 40, 256, 256)] * 3
    ):
        problem = Problem(*shape, "float32", seed=seed)
        truth = problem.run(reference, "float64")
        for sums, results in ((ours, problem.run(functional)), (theirs, torch_results(torch, problem, "float32"))):
            for name, value in truth.items():
                error = np.mean((results[name] - value) ** 2) / np.mean(value**2)
                sums[name] = sums.get(name, 0) + error
    # Root mean square error over fifteen problems, against theirs: 0.57 to 0.95 of it when last measured.
    for name in ours:
        assert np.sqrt(ours[name] / theirs[name]) <= 1, (name, ours[name], theirs[name])


def test_stacked_layers_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    first, second = Problem(6, 9, 5, 12, "float64"), Problem(6, 9, 12, 7, "float64", seed=1)
    module = torch.nn.LSTM(5, 12, batch_first=True, dtype=torch.float64)
    upper = torch.nn.LSTM(12, 7, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        for layer, (kernel, recurrent, bias) in ((module, first.weights), (upper, second.weights)):
            layer.weight_ih_l0.copy_(torch.tensor(kernel.T))
            layer.weight_hh_l0.copy_(torch.tensor(recurrent.T))
            layer.bias_ih_l0.copy_(torch.tensor(bias))
            layer.bias_hh_l0.zero_()
    x = torch.tensor(first.x, requires_grad=True)
    y = upper(module(x)[0])[0]
    (y * torch.tensor(second.dy)).sum().backward()

    middle, _, cache = functional.lstm(first.x, first.weights, training=True)
    outputs, _, upper_cache = functional.lstm(middle, second.weights, training=True)
    d_middle, (_, d_recurrent, _), _ = functional.lstm_backward(upper_cache, second.dy)
    dx, (d_kernel, _, _), _ = functional.lstm_backward(cache, d_middle)
    for got, want in [
        (outputs, y.detach()),
        (dx, x.grad),
        (d_kernel, module.weight_ih_l0.grad.T),
        (d_recurrent, upper.weight_hh_l0.grad.T),
    ]:
        np.testing.assert_allclose(got, want.numpy(), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 7, 5, 11), (8, 6, 20, 33)])
def test_lstm_is_that_of_the_onnx_reference(shape):
    onnx = pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    problem = Problem(*shape, "float64")
    units = shape[3]
    order = np.concatenate([np.arange(units) + g * units for g in (0, 3, 1, 2)])  # ONNX keeps its gates as i, o, f, c
    kernel, recurrent, bias = problem.weights
    feeds = {
        "X": problem.x.transpose(1, 0, 2),
        "W": kernel.T[order][None],
        "R": recurrent.T[order][None],
        "B": np.concatenate([bias[order], np.zeros(4 * units)])[None],
        "h0": problem.state[0][None],
        "c0": problem.state[1][None],
    }
    node = onnx.helper.make_node("LSTM", ["X", "W", "R", "B", "", "h0", "c0"], ["Y", "Y_h", "Y_c"], hidden_size=units)
    value = lambda name: onnx.helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, None)  # noqa: E731
    graph = onnx.helper.make_graph([node], "lstm", [value(k) for k in feeds], [value(k) for k in ("Y", "Y_h", "Y_c")])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 22)])
    y, h, c = ReferenceEvaluator(model).run(None, feeds)
    outputs, state = functional.lstm(problem.x, problem.weights, problem.state)
    np.testing.assert_allclose(outputs, y[:, 0].transpose(1, 0, 2), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(state[0], h[0], rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(state[1], c[0], rtol=1e-11, atol=1e-13)
