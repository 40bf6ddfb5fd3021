"""minGRU, minLSTM and sLSTM of the reference: the numbers of the papers' equations, far tails, long sequences."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from problems import MIN_AND_SLSTM, Problem, gates, relative_errors

from lstmcore import functional, reference
from lstmcore._options import MinGRUOptions, MinLSTMOptions, SLSTMOptions

every_cell = pytest.mark.parametrize("options", MIN_AND_SLSTM.values(), ids=MIN_AND_SLSTM)
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def run_sums(options, sums, state=None, dtype="float64", **more):
    """The cell's results where the sums of its gates, (batch, steps, gates * units), are the inputs themselves."""
    columns = sums.shape[-1]
    weights = [np.eye(columns, dtype=dtype)]
    if options.cell == "slstm":
        weights.append(np.zeros((columns // 4 // options.heads, columns), dtype))
    return getattr(reference, options.cell)(np.asarray(sums, dtype), weights, state, options=options, **more)


def test_options_that_cannot_be_are_refused():
    for heads, error in [(0, ValueError), (-2, ValueError), (True, ValueError), (1.5, TypeError), ("2", TypeError)]:
        with pytest.raises(error, match="heads: expected a positive integer"):
            SLSTMOptions(heads=heads)
    with pytest.raises(TypeError, match="exponential_forget: expected True or False"):
        SLSTMOptions(exponential_forget=1)
    for options in (MinGRUOptions, MinLSTMOptions):
        with pytest.raises(TypeError, match="log_space: expected True or False"):
            options(log_space="yes")
    # Heads that do not divide the units have no recurrent kernel that fits.
    with pytest.raises(ValueError):
        reference.slstm(np.ones((1, 1, 2)), [np.ones((2, 20)), np.ones((2, 20))], options=SLSTMOptions(heads=2))


# By hand: one unit, one step, numbers one can follow. sigmoid(LN3) = 3/4, tanh(HALF) = 1/2.

LN3, HALF = np.log(3), np.arctanh(0.5)


def one_step(options, sums, *state):
    """All states of one unit after a step with these sums."""
    arrays = [np.full((1, 1), v, float) for v in state]
    _, new = run_sums(options, np.array([[sums]]), arrays if len(arrays) > 1 else arrays[0])
    return [v.item() for v in new] if len(arrays) > 1 else new.item()


def test_one_min_gru_step_by_hand():
    # z = 3/4, h = 2 before.
    assert one_step(MinGRUOptions(), [LN3, 0.5], 2) == pytest.approx(0.25 * 2 + 0.75 * 0.5, rel=1e-15)
    assert one_step(MinGRUOptions(), [LN3, -0.5], 2) == pytest.approx(0.25 * 2 - 0.75 * 0.5, rel=1e-15)
    log_space = MinGRUOptions(log_space=True)
    assert one_step(log_space, [LN3, 0.25], 2) == pytest.approx(0.25 * 2 + 0.75 * 0.75, rel=1e-15)
    assert one_step(log_space, [LN3, -LN3], 2) == pytest.approx(0.25 * 2 + 0.75 * 0.25, rel=1e-15)


def test_one_min_lstm_step_by_hand():
    # f = 3/4 and i = 1/2 are 3/5 and 2/5 of their sum.
    assert one_step(MinLSTMOptions(), [LN3, 0, -0.5], 2) == pytest.approx(0.6 * 2 - 0.4 * 0.5, rel=1e-15)
    log_space = MinLSTMOptions(log_space=True)
    assert one_step(log_space, [LN3, 0, 0.25], 2) == pytest.approx(0.6 * 2 + 0.4 * 0.75, rel=1e-15)
    assert one_step(log_space, [LN3, 0, -LN3], 2) == pytest.approx(0.6 * 2 + 0.4 * 0.25, rel=1e-15)


def test_one_slstm_step_by_hand():
    # Before: c = 2, n = 4, m = 0. z = 1/2, o = 3/4.
    # f = 3/4 and i = 3: m = log 3, so that i counts 1, and f 1/4. c = 2/4 + 1/2, n = 4/4 + 1.
    got = one_step(SLSTMOptions(), [LN3, LN3, HALF, LN3], 7, 2, 4, 0)
    assert got == pytest.approx([0.75 / 2, 1, 2, LN3], rel=1e-15)
    # f = 3/4 and i = 1/4, of m = log 2: m = log(3/2), so that f counts 1, and i 1/6.
    got = one_step(SLSTMOptions(), [-np.log(4), LN3, HALF, LN3], 7, 2, 4, np.log(2))
    c, n = 2 + 0.5 / 6, 4 + 1 / 6
    assert got == pytest.approx([0.75 * c / n, c, n, np.log(1.5)], rel=1e-15)
    # f = 3 and i = 1: m = log 3, so that f counts 1, and i 1/3.
    got = one_step(SLSTMOptions(exponential_forget=True), [0, LN3, HALF, LN3], 7, 2, 4, 0)
    c, n = 2 + 0.5 / 3, 4 + 1 / 3
    assert got == pytest.approx([0.75 * c / n, c, n, LN3], rel=1e-15)


@pytest.mark.parametrize("m", [-1e3, 0, 1e3])
@pytest.mark.parametrize("pre_i", [-1e3, 0.5, 1e3])
def test_an_slstm_that_remembers_nothing_takes_its_input_whole(pre_i, m):
    got = one_step(SLSTMOptions(), [pre_i, LN3, HALF, LN3], 0, 0, 0, m)
    assert got == pytest.approx([0.75 * 0.5, 0.5, 1, pre_i], rel=1e-15)


# The sLSTM without its stabiliser, in numbers of any exponent


def slstm_in_decimals(sums, exponential_forget):
    """The outputs, c = f c + i z, n = f n + i, h = o c / n, for a unit's sums (steps, 4) of i, f, z, o."""
    with localcontext() as context:
        context.prec = 40
        c = n = Decimal(0)
        outputs = []
        for pre in sums:
            i, f, z, o = (Decimal(float(v)) for v in pre)
            f = f.exp() if exponential_forget else 1 / (1 + (-f).exp())
            e = (-2 * abs(z)).exp()
            tanh_z = ((1 - e) / (1 + e)).copy_sign(z)
            c = f * c + i.exp() * tanh_z
            n = f * n + i.exp()
            outputs.append(float(c / n / (1 + (-o).exp())))
        return outputs


@pytest.mark.parametrize("exponential_forget", [False, True])
@pytest.mark.parametrize("sizes", [[1], [1, 1000], [1000]])
@every_dtype
def test_slstm_is_that_of_exact_exponentials(exponential_forget, sizes, dtype):
    rng = np.random.default_rng(0)
    units, steps = 5, 100
    sums = rng.choice([-1, 1], (1, steps, 4, units)) * rng.choice(sizes, (1, steps, 4, units))
    sums = sums + (rng.random(sums.shape) < 0.5) * 0.25  # exact in float32
    flat = sums.reshape(1, steps, 4 * units)
    y, state, cache = run_sums(SLSTMOptions(exponential_forget=exponential_forget), flat, dtype=dtype, training=True)
    want = np.stack([slstm_in_decimals(sums[0, :, :, unit], exponential_forget) for unit in range(units)], axis=1)
    # The exponents are differences of numbers of the size of m, which holds a sum over the forget gates.
    tolerance = 4 * np.finfo(dtype).eps * max(1, np.abs(state[3]).max())
    np.testing.assert_allclose(y[0], want, rtol=0, atol=tolerance)
    dx, _, _ = reference.slstm_backward(cache, np.ones_like(y))
    assert np.isfinite(dx).all()


# Gates far in the tails


@every_dtype
@pytest.mark.parametrize(
    ("pre_f", "pre_i", "f_part"),
    [
        (-1000, -1000, 0.5),
        (-1000, -1001, 1 / (1 + np.exp(-1))),
        (-1001, -1000, 1 / (1 + np.exp(1))),
        (1000, 1000, 0.5),
        (1000, -1000, 1),
        (-1000, 1000, 0),
        (-1000, 0, 0),
        (0, -1000, 1),
    ],
)
def test_shares_of_min_lstm_where_gates_underflow(pre_f, pre_i, f_part, dtype):
    sums = np.array([[[pre_f, pre_i, 0.5]]], dtype)
    y, _, cache = run_sums(MinLSTMOptions(), sums, np.full((1, 1), 2, dtype), dtype, training=True)
    assert y.item() == pytest.approx(f_part * 2 + (1 - f_part) * 0.5, rel=1e-6)
    dx, _, d_initial = reference.min_lstm_backward(cache, np.ones_like(y))
    # log s(v) has the slope 1 at -1000 and none at 1000; h_prev - hh = 3/2.
    slope = f_part * (1 - f_part) * 1.5
    want = [slope * (pre_f < 0), -slope * (pre_i < 0), 1 - f_part]
    np.testing.assert_allclose(dx.ravel(), want, rtol=1e-6, atol=1e-6)
    assert d_initial.item() == pytest.approx(f_part, rel=1e-6)


@every_dtype
def test_a_min_gru_whose_gate_is_shut_keeps_its_state(dtype):
    sums = np.array([[[-1000, 5]], [[1000, 5]]], dtype)
    y, _, cache = run_sums(MinGRUOptions(), sums, np.full((2, 1), 2, dtype), dtype, training=True)
    np.testing.assert_array_equal(y.ravel(), [2, 5])
    dx, _, d_initial = reference.min_gru_backward(cache, np.ones_like(y))
    np.testing.assert_array_equal(dx.reshape(2, 2), [[0, 0], [0, 1]])
    np.testing.assert_array_equal(d_initial.ravel(), [1, 0])


@every_dtype
@pytest.mark.parametrize("options", [MinGRUOptions(log_space=True), MinLSTMOptions(log_space=True)])
def test_candidates_in_log_space_are_positive_and_straight_above_zero(options, dtype):
    pre_h = np.array([-1000, -2, 0, 2, 1000])
    sums = np.zeros((5, 1, gates(options)))
    sums[:, 0, -1] = pre_h
    sums[:, 0, -2] = 1000  # the gate that lets the candidate in
    if options.cell == "min_lstm":
        sums[:, 0, 0] = -1000
    y, _, cache = run_sums(options, sums, dtype=dtype, training=True)
    np.testing.assert_allclose(y.ravel(), [0, 1 / (1 + np.exp(2)), 0.5, 2.5, 1000.5], rtol=1e-6)
    dx, _, _ = getattr(reference, f"{options.cell}_backward")(cache, np.ones_like(y))
    s = 1 / (1 + np.exp(2))
    np.testing.assert_allclose(dx[:, 0, -1], [0, s * (1 - s), 1, 1, 1], rtol=1e-6)


@every_dtype
@every_cell
def test_long_sequences_stay_finite(options, dtype):
    problem = Problem(2, 1000, 3, 4, dtype, options=options, state=False, scale=3.0)
    results = problem.run(reference)
    assert all(np.isfinite(array).all() for array in results.values())
    y = results["outputs"]
    assert y.dtype == dtype
    if options.cell == "slstm":  # c / n is a mean of values of tanh, but for rounding
        assert np.abs(y).max() <= 1 + 1e-5
    elif options.log_space:
        assert y.min() > 0


# The parallel form of the minimal cells (Feng et al. 2024, appendix B; Heinsen 2023)


def log_sigmoid(v):
    return -np.logaddexp(0, -v)


def parallel_outputs(problem):
    """log h = cumsum(log a) + logcumsumexp(log b - cumsum(log a)) of h = a h + b, all steps at once."""
    (W, b), (h0,) = problem.weights, problem.state
    *pre, pre_h = np.split(problem.x @ W + b, gates(problem.options), axis=2)
    if problem.cell == "min_gru":
        log_a, log_share = log_sigmoid(-pre[0]), log_sigmoid(pre[0])
    else:
        difference = log_sigmoid(pre[1]) - log_sigmoid(pre[0])
        log_a, log_share = log_sigmoid(-difference), log_sigmoid(difference)
    log_g = np.where(pre_h >= 0, np.log(np.maximum(pre_h, 0) + 0.5), log_sigmoid(pre_h))
    log_b = np.concatenate([np.log(h0)[:, np.newaxis], log_share + log_g], axis=1)
    sums = np.cumsum(np.concatenate([np.zeros_like(log_a[:, :1]), log_a], axis=1), axis=1)
    return np.exp(sums + np.logaddexp.accumulate(log_b - sums, axis=1))[:, 1:]


@pytest.mark.parametrize("options", [MinGRUOptions(log_space=True), MinLSTMOptions(log_space=True)])
@pytest.mark.parametrize("steps", [1, 7, 1000])
def test_steps_are_the_parallel_form(options, steps):
    problem = Problem(3, steps, 4, 5, "float64", options=options, scale=2.0)
    problem.state = [np.exp(v) for v in problem.state]
    # Logarithms of some thousands leave 1e-16 of themselves.
    np.testing.assert_allclose(problem.infer(reference)["outputs"], parallel_outputs(problem), rtol=1e-11)


# Heads


def test_heads_are_slstms_side_by_side():
    heads, width = 3, 2
    whole = Problem(4, 6, 5, heads * width, "float64", options=SLSTMOptions(heads=heads), seed=1)
    got = whole.run(reference)
    d_inputs = 0
    for head in range(heads):
        units = slice(head * width, (head + 1) * width)
        columns = np.arange(4 * heads * width).reshape(4, -1)[:, units].ravel()
        alone = Problem(4, 6, 5, width, "float64", cell="slstm")
        alone.x, alone.dy = whole.x, whole.dy[..., units]
        alone.weights = [w[..., columns] for w in whole.weights]
        alone.state, alone.d_state = ([v[:, units] for v in arrays] for arrays in (whole.state, whole.d_state))
        want = alone.run(reference)
        d_inputs = d_inputs + want.pop("d_inputs")
        of_weights = [f"d_{name}" for name in whole.weight_names]
        part = {name: got[name][..., columns if name in of_weights else units] for name in want}
        assert max(relative_errors(part, want).values()) < 1e-12
    np.testing.assert_allclose(got["d_inputs"], d_inputs, rtol=1e-12, atol=1e-12)


# PyTorch's gradients of the papers' equations


def min_gru_of_torch(torch, options, pre, state):
    z, hh = torch.sigmoid(pre[0]), g_of_torch(torch, options, pre[1])
    return [(1 - z) * state[0] + z * hh]


def min_lstm_of_torch(torch, options, pre, state):
    f, i, hh = torch.sigmoid(pre[0]), torch.sigmoid(pre[1]), g_of_torch(torch, options, pre[2])
    return [f / (f + i) * state[0] + i / (f + i) * hh]


def g_of_torch(torch, options, v):
    return torch.where(v >= 0, torch.relu(v) + 0.5, torch.sigmoid(v)) if options.log_space else v


def slstm_of_torch(torch, options, pre, state):
    """The step without stabiliser, its c and n brought to what they are with it."""
    pre_i, pre_f, pre_z, pre_o = pre
    _, c, n, m = state
    c, n = c * m.exp(), n * m.exp()
    f, i = torch.exp(pre_f) if options.exponential_forget else torch.sigmoid(pre_f), torch.exp(pre_i)
    m = torch.where(n == 0, pre_i, torch.maximum(f.log() + m, pre_i))
    c, n = f * c + i * torch.tanh(pre_z), f * n + i
    return [torch.sigmoid(pre_o) * c / n, c / m.exp(), n / m.exp(), m]


STEPS_OF_TORCH = {"min_gru": min_gru_of_torch, "min_lstm": min_lstm_of_torch, "slstm": slstm_of_torch}


def torch_results(torch, problem):
    """What `Problem.run` returns, from PyTorch; padding by lengths only."""
    options = problem.options

    def tensor(array):
        return torch.tensor(np.array(array), requires_grad=True)

    def dropped(v, mask, gate):
        return v if mask is None else v * torch.tensor(mask[gate] if mask.ndim == 3 else mask)

    x, weights = tensor(problem.x), {n: tensor(w) for n, w in zip(problem.weight_names, problem.weights, strict=True)}
    given = problem.state
    initial = [tensor(v) for v in given or [np.zeros_like(d) for d in problem.d_state]]
    kernels, biases = (weights[name].chunk(gates(options), dim=-1) for name in ("kernel", "bias"))
    if options.cell == "slstm":
        recurrent_kernels = weights["recurrent_kernel"].chunk(4, dim=1)
    state, outputs = initial, []
    for t in range(x.shape[1]):
        pre = [dropped(x[:, t], problem.dropout_mask, k) @ W + biases[k] for k, W in enumerate(kernels)]
        if options.cell == "slstm":
            for k, R in enumerate(recurrent_kernels):
                h = dropped(state[0], problem.recurrent_dropout_mask, k)
                blocks = zip(h.chunk(options.heads, dim=1), R.chunk(options.heads, dim=1), strict=True)
                pre[k] = pre[k] + torch.cat([h_block @ R_block for h_block, R_block in blocks], dim=1)
        new = STEPS_OF_TORCH[options.cell](torch, options, pre, state)
        valid = torch.tensor(np.asarray(problem.lengths)[:, np.newaxis] > t if problem.lengths is not None else True)
        state = [torch.where(valid, v, old) for v, old in zip(new, state, strict=True)]
        outputs.append(torch.where(valid, new[0], 0))
    y = torch.stack(outputs, dim=1)
    loss = (y * torch.tensor(problem.dy)).sum()
    loss = loss + sum((v * torch.tensor(d)).sum() for v, d in zip(state, problem.d_state, strict=True))
    loss.backward()

    results = {"outputs": y, "d_inputs": x.grad}
    results |= dict(zip(problem.state_names, state, strict=True))
    results |= {f"d_{name}": w.grad for name, w in weights.items()}
    if given:
        results |= {f"d_{name}": v.grad for name, v in zip(problem.state_names, initial, strict=True)}
    return {name: v.detach().numpy() for name, v in results.items()}


@pytest.mark.peer
@pytest.mark.parametrize("state", [True, False], ids=["state", "no state"])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"lengths": [3, 0, 8, 1]},
        {"dropout": "shared", "recurrent_dropout": "shared"},
        {"dropout": "per gate", "recurrent_dropout": "per gate", "lengths": [8, 5, 8, 1]},
    ],
    ids=["plain", "lengths", "dropout", "dropout per gate, lengths"],
)
@every_cell
def test_gradients_are_those_of_pytorch(options, more, state):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)  # its threads and ours would wait for each other's processors
    problem = Problem(4, 8, 3, 6, "float64", options=options, state=state, scale=1.5, **more)
    want = torch_results(torch, problem)
    # Rounding of 1e-16 over some tens of terms and steps, relative to the largest value.
    for name, error in relative_errors(problem.run(reference), want).items():
        assert error < 1e-12, name


@pytest.mark.parametrize("module", [reference, functional], ids=["reference", "functional"])
@pytest.mark.parametrize("exponential", [False, True])
def test_states_of_zeros_have_gradients_too(module, exponential):
    # h is smooth there, though m jumps: a first state that is learnt begins with zeros.
    options = SLSTMOptions(heads=2, exponential_forget=exponential)
    p = Problem(3, 4, 2, 4, "float64", seed=3, options=options)
    m = p.state[3]  # what it is must tell in the gradients of c and n

    def total(c, n):
        return module.slstm(p.x, p.weights, (p.state[0], c, n, m), options=options)[0].sum()

    zeros = np.zeros((3, 4))
    first = (p.state[0], zeros, zeros, m)
    y, last, cache = module.slstm(p.x, p.weights, first, options=options, training=True)
    for got, want in zip(last, reference.slstm(p.x, p.weights, first, options=options)[1], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
    _, _, (_, dc, dn, dm) = module.slstm_backward(cache, np.ones_like(y))
    assert np.abs(dc).min() > 0
    assert np.abs(dn).min() > 0
    np.testing.assert_allclose(dm, 0, atol=1e-12)  # any m before nothing is as good
    step = 1e-6
    for row in range(3):
        for unit in range(4):
            one = np.zeros((3, 4))
            one[row, unit] = step
            by_c = (total(one, zeros) - total(-one, zeros)) / (2 * step)
            by_n = (4 * total(zeros, one) - 3 * total(zeros, zeros) - total(zeros, 2 * one)) / (2 * step)  # n >= 0
            assert dc[row, unit] == pytest.approx(by_c, rel=1e-5, abs=1e-8)
            assert dn[row, unit] == pytest.approx(by_n, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("cell", ["min_gru", "min_lstm"])
@every_dtype
def test_candidates_a_little_below_zero_have_the_slope_of_the_sigmoid(cell, dtype):
    # g rounds to 1/2 on both sides of the kink, where its slope goes from 1/4 to 1.
    options = MinGRUOptions(log_space=True) if cell == "min_gru" else MinLSTMOptions(log_space=True)
    x = np.array([-1e-9, -1e-30, 0, 1e-30] if dtype == "float32" else [-1e-17, -1e-300, 0, 1e-300], dtype)
    weights = [np.array([[0, 1] if cell == "min_gru" else [0, 0, 1]], dtype)]
    y, _, cache = getattr(functional, cell)(x[:, None, None], weights, options=options, training=True)
    d_inputs, _, _ = getattr(functional, f"{cell}_backward")(cache, np.ones_like(y))
    # Half of h is the candidate.
    np.testing.assert_allclose(y.ravel(), 0.25, rtol=2 * np.finfo(dtype).eps)
    np.testing.assert_allclose(d_inputs.ravel(), [0.125, 0.125, 0.5, 0.5], rtol=1e-6)
