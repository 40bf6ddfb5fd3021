"""Optimizers: each step is that of Keras's equations; clipping, decay, averages and accumulation around it."""

import copy
import itertools
import json
import math
import os
import pickle

import numpy as np
import pytest
from layer_tools import set_values

import lstmcore
from lstmcore import _core, optimizers
from lstmcore.layers import LSTM, Dense
from lstmcore.optimizers import SGD, Adagrad, Adam, AdamW, Lion, Nadam, RMSprop, schedules
from lstmcore.utils import custom_object_scope
from lstmcore.variables import Parameters, Variable

SHAPES = {"kernel": (9, 20), "recurrent_kernel": (5, 20), "bias": (20,), "gain": (3,)}


def parameters(dtype="float64", shapes=SHAPES, constraint=None):
    rng = np.random.default_rng(1)
    variables = [
        Variable(f"lstm/{k}", rng.standard_normal(s).astype(dtype), constraint=constraint) for k, s in shapes.items()
    ]
    return Parameters(variables, dtype)


def gradients(step, like):
    """Gradients of ordinary size, some of them zero, the same numbers in every dtype."""
    rng = np.random.default_rng(100 + step)
    g = (rng.standard_normal(like.values.size) * (1 + step % 3)).astype("float32")
    g[rng.random(g.size) < 0.1] = 0
    return g


def run(optimizer, p, steps=7):
    for step in range(steps):
        if not optimizer.accumulating:
            p.gradients.fill(0)
        p.gradients += gradients(step, p)
        optimizer.step(p)
    return p.values


# --- the equations, in NumPy, from the papers in Keras's form ---


def sgd(w, g, s, t, lr, momentum=0.0, nesterov=False):
    if not momentum:
        return w - lr * g
    s["m"] = momentum * s.get("m", 0) - lr * g
    return w + (momentum * s["m"] - lr * g if nesterov else s["m"])


def adam(w, g, s, t, lr, beta_1=0.9, beta_2=0.999, epsilon=1e-7, amsgrad=False):
    s["m"] = beta_1 * s.get("m", 0) + (1 - beta_1) * g
    s["v"] = beta_2 * s.get("v", 0) + (1 - beta_2) * g**2
    s["u"] = np.maximum(s.get("u", 0), s["v"]) if amsgrad else s["v"]
    alpha = lr * math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    return w - alpha * s["m"] / (np.sqrt(s["u"]) + epsilon)


def adamax(w, g, s, t, lr, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    s["m"] = beta_1 * s.get("m", 0) + (1 - beta_1) * g
    s["u"] = np.maximum(beta_2 * s.get("u", 0), np.abs(g))
    return w - lr * s["m"] / ((1 - beta_1**t) * (s["u"] + epsilon))


def nadam(w, g, s, t, lr, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    def momentum(k):
        return beta_1 * (1 - 0.5 * 0.96**k)

    product = math.prod(momentum(k) for k in range(1, t + 1))
    s["m"] = beta_1 * s.get("m", 0) + (1 - beta_1) * g
    s["v"] = beta_2 * s.get("v", 0) + (1 - beta_2) * g**2
    m_hat = momentum(t + 1) * s["m"] / (1 - product * momentum(t + 1)) + (1 - momentum(t)) * g / (1 - product)
    return w - lr * m_hat / (np.sqrt(s["v"] / (1 - beta_2**t)) + epsilon)


def rmsprop(w, g, s, t, lr, rho=0.9, momentum=0.0, epsilon=1e-7, centered=False):
    s["v"] = rho * s.get("v", 0) + (1 - rho) * g**2
    s["a"] = rho * s.get("a", 0) + (1 - rho) * g
    s["m"] = momentum * s.get("m", 0) + lr * g / np.sqrt(s["v"] - centered * s["a"] ** 2 + epsilon)
    return w - s["m"]


def adagrad(w, g, s, t, lr, initial_accumulator_value=0.1, epsilon=1e-7):
    s["v"] = s.get("v", initial_accumulator_value) + g**2
    return w - lr * g / np.sqrt(s["v"] + epsilon)


def adadelta(w, g, s, t, lr, rho=0.95, epsilon=1e-7):
    s["v"] = rho * s.get("v", 0) + (1 - rho) * g**2
    d = np.sqrt(s.get("u", np.zeros(())) + epsilon) * g / np.sqrt(s["v"] + epsilon)
    s["u"] = rho * s.get("u", 0) + (1 - rho) * d**2
    return w - lr * d


def lion(w, g, s, t, lr, beta_1=0.9, beta_2=0.99):
    m = s.get("m", np.zeros(()))
    s["m"] = beta_2 * m + (1 - beta_2) * g
    return w - lr * np.sign(beta_1 * m + (1 - beta_1) * g)


RULES = [
    ("SGD", sgd, 0.01, {}),
    ("SGD", sgd, 0.01, {"momentum": 0.8}),
    ("SGD", sgd, 0.01, {"momentum": 0.8, "nesterov": True}),
    ("Adam", adam, 0.001, {}),
    ("Adam", adam, 0.001, {"amsgrad": True, "beta_1": 0.5, "beta_2": 0.7, "epsilon": 1e-3}),
    ("Adamax", adamax, 0.001, {"beta_2": 0.9}),
    ("Nadam", nadam, 0.001, {}),
    ("RMSprop", rmsprop, 0.001, {}),
    ("RMSprop", rmsprop, 0.001, {"momentum": 0.8, "rho": 0.7}),
    ("RMSprop", rmsprop, 0.001, {"centered": True}),
    ("RMSprop", rmsprop, 0.001, {"centered": True, "momentum": 0.8}),
    ("Adagrad", adagrad, 0.001, {}),
    ("Adadelta", adadelta, 0.001, {}),
    ("Lion", lion, 0.001, {}),
]
each_rule = pytest.mark.parametrize(
    ("name", "equation", "rate", "options"), RULES, ids=[f"{n}-{'-'.join(o) or 'default'}" for n, _, _, o in RULES]
)


@each_rule
def test_steps_are_those_of_the_equations_with_kerass_defaults(name, equation, rate, options):
    p = parameters()
    w, s = p.values.copy(), {}
    for t in range(1, 8):
        w = equation(w, gradients(t - 1, p).astype("float64"), s, t, rate, **options)
    got = run(getattr(optimizers, name)(**options), p)
    np.testing.assert_allclose(got, w, rtol=1e-12, atol=1e-14)  # the same sums, rounded otherwise


@each_rule
def test_float32_steps_are_close_to_float64_steps(name, equation, rate, options):
    # Lion's steps have one size: where its momentum is all but zero the sign may differ, not here.
    double, single = (run(getattr(optimizers, name)(**options), parameters(d)) for d in ("float64", "float32"))
    assert single.dtype == np.float32
    start = parameters().values
    # Seven steps, each the rounding of w and of the step itself; a centered v loses digits in v - a^2.
    tolerance = 2e-6 + np.abs(double - start) * (1e-3 if "centered" in options else 1e-5)
    assert (np.abs(single - double) <= tolerance).all()


@each_rule
def test_bits_do_not_depend_on_threads(name, equation, rate, options, set_threads):
    shapes = {"kernel": (601, 601)}
    results = []
    for threads in (1, 2):
        set_threads(threads)
        p = parameters("float32", shapes)
        optimizer = getattr(optimizers, name)(**options, global_clipnorm=1.0, weight_decay=0.1)
        results.append(run(optimizer, p, 3).tobytes())
    assert results[0] == results[1]


def test_a_gradient_that_is_not_a_number_reaches_the_weight():
    for name, _, _, options in RULES:
        for clip in ({}, {"clipvalue": 1.0}, {"clipnorm": 1.0}, {"global_clipnorm": 1.0}):
            p = parameters()
            p.gradients[3] = np.nan
            getattr(optimizers, name)(**options, **clip).step(p)
            assert np.isnan(p.values[3]), (name, clip)


# --- around the rule ---


def variable_slices(p):
    ends = np.cumsum([v.size for v in p.variables])
    return [slice(e - v.size, e) for e, v in zip(ends, p.variables, strict=True)]


def test_clipping_is_of_elements_of_variables_or_of_all():
    p = parameters()
    g = gradients(1, p).astype("float64")
    start = p.values.copy()
    norms = [np.linalg.norm(g[part]) for part in variable_slices(p)]
    limit = float(np.median(norms))  # clips some of the variables, and not the others
    by_variable = np.concatenate(
        [g[part] * min(1, limit / n) for part, n in zip(variable_slices(p), norms, strict=True)]
    )
    for options, clipped in [
        ({"clipvalue": 0.3}, np.clip(g, -0.3, 0.3)),
        ({"clipnorm": limit}, by_variable),
        ({"global_clipnorm": 2.5}, g * 2.5 / np.linalg.norm(g)),
        ({"global_clipnorm": 1e6}, g),
    ]:
        set_values(p, start)
        p.gradients[...] = g
        SGD(0.1, **options).step(p)
        np.testing.assert_allclose(p.values, start - 0.1 * clipped, rtol=1e-13, atol=1e-15, err_msg=str(options))


def test_the_norm_of_float32_is_summed_in_float64():
    # 1e25 squared is beyond float32, and so is its share of 1e-25 below it.
    x = np.array([3, -4, 0, 0, 0, 0, 0, 0, 12], "float32")
    for factor in (1e25, 1e-25):
        np.testing.assert_allclose(_core.sum_of_squares(x * np.float32(factor)), 169 * factor**2, rtol=1e-6)


def test_weight_decay_comes_before_the_step_and_leaves_out_what_is_excluded():
    for excluded in ({}, {"var_names": ["bias", "recurrent"]}, {"var_list": [2, 3]}):
        p = parameters()
        optimizer = AdamW(0.01, weight_decay=0.2)
        if excluded:
            chosen = [p.variables[k] for k in excluded.get("var_list", [])]
            optimizer.exclude_from_weight_decay(chosen, excluded.get("var_names"))
        decayed = np.ones(p.values.size)
        for k, part in enumerate(variable_slices(p)):
            name = p.variables[k].name
            if k in excluded.get("var_list", []) or any(text in name for text in excluded.get("var_names", [])):
                decayed[part] = 0
        w, s = p.values.copy(), {}
        for t in range(1, 8):
            w = adam(w - w * 0.2 * 0.01 * decayed, gradients(t - 1, p).astype("float64"), s, t, 0.01)
        np.testing.assert_allclose(run(optimizer, p), w, rtol=1e-12, atol=1e-14)


def test_small_weight_decay_is_not_lost_in_float32():
    # As a factor, 1 - 1e-6 is 1 - 1.013e-6 in float32. Here each weight is rounded by itself, half a
    # unit up or down, which over 1000 of them leaves 0.1 % of the decay.
    p = parameters("float32", {"kernel": (1000,)})
    set_values(p, np.random.default_rng(1).uniform(1, 2, 1000))
    start = p.values.astype("float64")
    SGD(0.01, weight_decay=1e-4).step(p)
    assert (start - p.values).sum() / start.sum() == pytest.approx(1e-6, rel=3e-3)


def test_a_model_without_trainable_weights_takes_steps_too():
    optimizer = Adam(global_clipnorm=1.0)
    optimizer.step(Parameters([], "float32"))
    assert optimizer.iterations == 1


def test_accumulated_gradients_move_once_by_their_mean():
    p, q = parameters(), parameters()
    accumulating = Adam(0.1, gradient_accumulation_steps=3, clipnorm=2.0)
    whole = Adam(0.1, clipnorm=2.0)
    versions = [p.version]
    for step in range(7):
        before = p.values.copy()
        assert accumulating.accumulating == (step % 3 != 0)
        if not accumulating.accumulating:
            p.gradients.fill(0)
            q.gradients.fill(0)
        p.gradients += gradients(step, p)
        q.gradients += gradients(step, p).astype("float64") / 3
        accumulating.step(p)
        versions.append(p.version)
        if step % 3 == 2:
            whole.step(q)
            np.testing.assert_allclose(p.values, q.values, rtol=1e-12)
        else:
            assert (p.values == before).all()
        assert accumulating.iterations == (step + 1) // 3
    assert [new != old for old, new in itertools.pairwise(versions)] == [False, False, True] * 2 + [False]


def test_moving_average_is_kerass_and_takes_the_weights_place():
    for frequency in (None, 3):
        p = parameters()
        optimizer = SGD(0.1, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=frequency)
        w, average = p.values.copy(), None
        for step in range(7):
            w = w - 0.1 * gradients(step, p).astype("float64")
            average = w if average is None else 0.8 * average + 0.2 * w
            if frequency and (step + 1) % frequency == 0:
                w = average
        np.testing.assert_allclose(run(optimizer, p), w, rtol=1e-12, atol=1e-14)
        version = p.version
        optimizer.finalize(p)
        np.testing.assert_allclose(p.values, average, rtol=1e-12, atol=1e-14)
        assert p.version != version
    p = parameters()
    plain = SGD(0.1)
    run(plain, p)
    before = p.values.copy()
    plain.finalize(p)
    assert (p.values == before).all()


def test_constraints_hold_after_every_step():
    p = parameters(constraint=lambda w: np.maximum(w, 0))
    version = p.version
    run(SGD(0.1), p, 1)
    want = np.maximum(parameters().values - 0.1 * gradients(0, p).astype("float64"), 0)
    np.testing.assert_allclose(p.values, want, rtol=1e-12, atol=1e-14)
    assert (p.values >= 0).all()
    assert p.version != version


def test_constraints_hold_while_gradients_are_summed_up():
    p = parameters(constraint=lambda w: np.maximum(w, 0))
    start = p.values.copy()
    version, optimizer = p.version, SGD(0.1, gradient_accumulation_steps=2)
    run(optimizer, p, 1)
    assert (start < 0).any()
    np.testing.assert_array_equal(p.values, np.maximum(start, 0))
    assert p.version != version  # whoever keeps something made from the weights is to know
    np.testing.assert_array_equal(p.gradients, gradients(0, p))


class Box:
    """Stands for a variable of another library."""

    def __init__(self, value):
        self.value = value

    def numpy(self):
        return self.value


def test_the_learning_rate_can_be_assigned_to():
    optimizer = SGD(0.1)
    assert isinstance(optimizer.learning_rate, float)
    optimizer.learning_rate.assign(optimizer.learning_rate / 2)
    assert type(optimizer.learning_rate.value) is float
    assert optimizer.learning_rate.value == optimizer.learning_rate
    assert optimizer.learning_rate == optimizer.lr == optimizer.learning_rate.numpy() == 0.05
    optimizer.lr = 0.2
    assert optimizer.learning_rate == 0.2
    optimizer.lr.assign(Box(np.float32(0.25)))
    assert optimizer.learning_rate == 0.25
    p = parameters()
    start = p.values.copy()
    run(optimizer, p, 1)
    np.testing.assert_allclose(p.values, start - 0.25 * gradients(0, p), rtol=1e-12)
    assert type(copy.deepcopy(optimizer.learning_rate)) is type(pickle.loads(pickle.dumps(optimizer.lr))) is float
    assert json.dumps(optimizer.learning_rate) == repr(optimizer.learning_rate) == "0.25"
    with pytest.raises(ValueError, match="SGD: learning_rate: expected a number"):
        optimizer.learning_rate.assign(-1)
    with pytest.raises(TypeError, match="was made with the schedule"):
        SGD(schedules.ExponentialDecay(1.0, 2, 0.5)).learning_rate.assign(0.1)


@pytest.mark.parametrize("value", [Box(np.float64(0.25)), Box(np.array([0.25])), np.array(0.25), np.float32(0.25)])
def test_the_learning_rate_may_be_another_librarys_number(value):
    for optimizer in (SGD(value), Adam(learning_rate=value)):
        assert optimizer.learning_rate == 0.25
        assert type(optimizer).from_config(optimizer.get_config()).learning_rate == 0.25


def rate_of_the_users():
    return 0.5


def test_a_function_is_asked_for_the_learning_rate_in_every_step():
    rates = iter([0.5, 0.25])
    optimizer, p = SGD(lambda: next(rates)), parameters()
    want = p.values - 0.5 * gradients(0, p) - 0.25 * gradients(1, p)
    run(optimizer, p, 2)
    np.testing.assert_allclose(p.values, want, rtol=1e-12)
    assert "learning_rate" not in optimizer.state()
    with pytest.raises(TypeError, match="cannot be set to a number"):
        optimizer.learning_rate = 0.1
    optimizer.learning_rate = rate_of_the_users
    assert optimizer.learning_rate == 0.5
    with pytest.raises(ValueError, match=r"learning_rate: expected a function without arguments, got .*Schedule"):
        SGD(lambda step: 0.1)
    for wrong in (lambda: "a", lambda: -1.0):
        with pytest.raises((TypeError, ValueError), match=r"learning_rate\(\): expected a number in \[0, inf\)"):
            SGD(wrong).step(p)
    with custom_object_scope({"rate_of_the_users": rate_of_the_users}):
        again = SGD.from_config(SGD(rate_of_the_users).get_config())
    assert again.learning_rate == 0.5


def test_learning_rate_can_be_changed_and_a_schedule_cannot():
    p = parameters()
    start, optimizer = p.values.copy(), SGD(0.1)
    run(optimizer, p, 1)
    optimizer.learning_rate = 0.5
    assert optimizer.learning_rate == 0.5
    p.gradients[...] = gradients(1, p)
    optimizer.step(p)
    want = start - 0.1 * gradients(0, p).astype("float64") - 0.5 * gradients(1, p).astype("float64")
    np.testing.assert_allclose(p.values, want, rtol=1e-12, atol=1e-14)

    p = parameters()
    optimizer = SGD(schedules.PiecewiseConstantDecay([0], [0.1, 0.5]))
    run(optimizer, p, 2)
    np.testing.assert_allclose(p.values, want, rtol=1e-12, atol=1e-14)
    with pytest.raises(TypeError, match="learning_rate: was made with the schedule PiecewiseConstantDecay"):
        optimizer.learning_rate = 0.1
    optimizer.learning_rate = schedules.ExponentialDecay(1.0, 2, 0.5)
    assert optimizer.learning_rate == 0.5


# --- saving ---


@each_rule
@pytest.mark.parametrize("stop", [0, 2, 3])
def test_training_continues_from_a_state_bit_for_bit(name, equation, rate, options, stop):
    options = options | {"use_ema": True, "gradient_accumulation_steps": 2, "ema_overwrite_frequency": 2}
    p, q = parameters("float32"), parameters("float32")
    first = getattr(optimizers, name)(**options)
    run(first, p, stop)
    first.learning_rate = 0.02
    second = type(first).from_config(json.loads(json.dumps(first.get_config())))
    assert second.learning_rate == 0.02
    set_values(q, p.values)
    second.load_state({k: np.asarray(v) for k, v in first.state().items()}, q)
    assert second.iterations == first.iterations
    assert second.accumulating == first.accumulating
    for step in range(stop, 7):
        for optimizer, r in ((first, p), (second, q)):
            if not optimizer.accumulating:
                r.gradients.fill(0)
            r.gradients += gradients(step, p)
            optimizer.step(r)
    assert p.values.tobytes() == q.values.tobytes()
    assert first.state().keys() == second.state().keys()


def test_state_is_a_copy_and_a_wrong_one_is_refused_whole():
    p = parameters()
    optimizer = Adam(0.1)
    run(optimizer, p, 2)
    state = optimizer.state()
    assert state.keys() == {"iterations", "learning_rate", "momentum", "velocity"}
    before = {k: np.copy(v) for k, v in state.items()}
    optimizer.step(p)
    for k, v in state.items():
        np.testing.assert_array_equal(v, before[k])
    now = optimizer.state()
    for change, text in [
        ({"momentum": np.zeros(3)}, r"state: momentum: expected shape \(303,\), got \(3,\)"),
        ({"extra": 1}, "state: expected iterations, learning_rate, momentum, velocity, got extra, iterations"),
        ({"iterations": -1}, "iterations: expected a number of at least 0, got -1"),
        ({"learning_rate": float("nan")}, "state: learning_rate: expected a number"),
    ]:
        with pytest.raises(ValueError, match=text):
            optimizer.load_state(state | change, p)
        for k, v in optimizer.state().items():
            np.testing.assert_array_equal(v, now[k])
    del state["velocity"]
    with pytest.raises(ValueError, match="got iterations, learning_rate, momentum"):
        optimizer.load_state(state, p)


def test_configs_make_equal_optimizers():
    p = parameters()
    optimizer = AdamW(
        schedules.CosineDecay(0.1, 10, warmup_target=0.2, warmup_steps=3), weight_decay=0.1, clipnorm=0.5, name="mine"
    )
    optimizer.exclude_from_weight_decay(var_list=p.variables[:1], var_names=["bias"])
    again = optimizers.get(json.loads(json.dumps(lstmcore.serialization.serialize(optimizer))))
    assert isinstance(again, AdamW)
    assert again.name == "mine"
    assert run(optimizer, p).tobytes() == run(again, parameters()).tobytes()
    config = {"class_name": "RMSprop", "config": {"learning_rate": 0.5, "centered": True}}  # as Keras writes it
    got = optimizers.get(config)
    assert isinstance(got, RMSprop)
    assert (got.learning_rate, got.centered, got.name) == (0.5, True, "rmsprop")
    assert copy.deepcopy(got).learning_rate == 0.5


# --- in a model ---


@pytest.mark.parametrize("name", ["sgd", "RMSprop", "adam", "AdamW", "adamax", "nadam", "adagrad", "adadelta", "lion"])
def test_models_train_with_every_optimizer_by_name(name):
    lstmcore.utils.set_random_seed(1)
    model = lstmcore.Sequential([LSTM(4, input_shape=(None, 2)), Dense(1)])
    model.compile(name, "mse")
    rng = np.random.default_rng(1)
    x = rng.standard_normal((64, 5, 2)).astype("float32")
    losses = model.fit(x, x[:, -1, :1], epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_the_same_optimizer_refuses_another_model():
    optimizer = Adam()
    run(optimizer, parameters(), 1)
    with pytest.raises(ValueError, match="Adam: has been used with variables of other shapes"):
        optimizer.step(parameters(shapes={"kernel": (3, 4)}))


# --- other libraries ---

TORCH = [
    (SGD(0.1), "SGD", {"lr": 0.1}),
    # torch adds epsilon elsewhere: with one that vanishes the definitions are the same
    (Adam(0.1, epsilon=1e-30), "Adam", {"lr": 0.1, "eps": 1e-30}),
    (AdamW(0.1, weight_decay=0.3, epsilon=1e-30), "AdamW", {"lr": 0.1, "weight_decay": 0.3, "eps": 1e-30}),
    (optimizers.Adamax(0.1, epsilon=1e-30), "Adamax", {"lr": 0.1, "eps": 1e-30}),
    (RMSprop(0.1, rho=0.8, epsilon=1e-30), "RMSprop", {"lr": 0.1, "alpha": 0.8, "eps": 1e-30}),
    (Adagrad(0.1, epsilon=1e-30), "Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.1, "eps": 1e-30}),
    (optimizers.Adadelta(0.1), "Adadelta", {"lr": 0.1, "rho": 0.95, "eps": 1e-7}),
    (Nadam(0.1), "NAdam", {"lr": 0.1, "eps": 1e-7, "momentum_decay": 1.0}),  # Keras's momenta: 0.96^t
]


@pytest.mark.peer
@pytest.mark.parametrize(("optimizer", "name", "options"), TORCH, ids=[name for _, name, _ in TORCH])
def test_steps_are_torchs_where_the_definitions_coincide(optimizer, name, options):
    torch = pytest.importorskip("torch")
    p = parameters()
    w = torch.tensor(p.values.copy(), requires_grad=True)
    other = getattr(torch.optim, name)([w], **options)
    for step in range(7):
        g = gradients(step, p).astype("float64")
        g[g == 0] = 1.0  # 0 / 0 without an epsilon
        w.grad = torch.tensor(g)
        other.step()
        p.gradients[...] = g
        optimizer.step(p)
    tolerance = 1e-8 if name == "NAdam" else 1e-13  # NAdam keeps the product of its momenta in float32
    np.testing.assert_allclose(p.values, w.detach().numpy(), rtol=1e-11, atol=tolerance)


@pytest.mark.peer
@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"clipnorm": 0.5},
        {"global_clipnorm": 0.7, "weight_decay": 0.1},
        {"clipvalue": 0.1},
        {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 2},
        {"gradient_accumulation_steps": 3, "use_ema": True, "ema_overwrite_frequency": 2, "clipnorm": 0.3},
    ],
    ids=lambda extra: "-".join(extra) or "plain",
)
def test_steps_are_kerass(extra):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    for name, _, rate, options in RULES:
        p = parameters()
        ours = getattr(optimizers, name)(**options, **extra)
        theirs = getattr(keras.optimizers, name)(**options, **extra)
        assert ours.learning_rate == pytest.approx(float(theirs.learning_rate)) == rate
        variables = [keras.Variable(v.numpy(), dtype="float64", name=v.name) for v in p.variables]
        for step in range(7):
            g = gradients(step, p).astype("float64")
            parts = [g[part].reshape(v.shape) for part, v in zip(variable_slices(p), p.variables, strict=True)]
            theirs.apply([keras.ops.convert_to_tensor(part) for part in parts], variables)
            if not ours.accumulating:
                p.gradients.fill(0)
            p.gradients += g
            ours.step(p)
        ours.finalize(p)
        theirs.finalize_variable_values(variables)
        for v, other in zip(p.variables, variables, strict=True):
            # Keras keeps its learning rate and some factors in float32.
            np.testing.assert_allclose(
                v.value, keras.ops.convert_to_numpy(other), rtol=1e-6, atol=2e-7, err_msg=f"{name} {options}"
            )


# --- bad input ---


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: SGD(-1), ValueError, r"SGD: learning_rate: expected a number in \[0, inf\), got -1"),
        (lambda: Adam("fast"), ValueError, "Adam: learning_rate: expected a number in .*, got 'fast'"),
        (lambda: SGD(momentum=1.5), ValueError, r"SGD: momentum: expected a number in \[0, 1\], got 1.5"),
        (lambda: SGD(nesterov=1), TypeError, "SGD: nesterov: expected True or False, got 1"),
        (lambda: Adam(beta_2=1.0), ValueError, r"Adam: beta_2: expected a number in \[0, 1\), got 1.0"),
        (lambda: Adam(epsilon=0), ValueError, r"Adam: epsilon: expected a number in \(0, inf\), got 0"),
        (lambda: AdamW(weight_decay=None), TypeError, "AdamW: weight_decay: expected a number"),
        (lambda: RMSprop(rho=True), TypeError, "RMSprop: rho: expected a number"),
        (lambda: Adagrad(initial_accumulator_value=-1), ValueError, "Adagrad: initial_accumulator_value"),
        (lambda: Lion(beta_1=0), ValueError, r"Lion: beta_1: expected a number in \(0, 1\], got 0"),
        (lambda: Adam(clipnorm=0), ValueError, r"Adam: clipnorm: expected a number in \(0, inf\), got 0"),
        (
            lambda: Adam(clipnorm=1.0, clipvalue=2.0),
            ValueError,
            "Adam: clipvalue: expected None where clipnorm is given, got 2.0",
        ),
        (lambda: SGD(use_ema=True, ema_momentum=2), ValueError, r"ema_momentum: expected a number in \[0, 1\]"),
        (lambda: SGD(ema_overwrite_frequency=0.5), TypeError, "ema_overwrite_frequency: expected a positive integer"),
        (lambda: SGD(gradient_accumulation_steps=1), ValueError, "gradient_accumulation_steps: .* at least 2, got 1"),
        (lambda: SGD(gradient_accumulation_steps=0), ValueError, "gradient_accumulation_steps: .*, got 0"),
        (lambda: SGD(loss_scale_factor=8.0), NotImplementedError, "SGD: loss_scale_factor=8.0 is not offered"),
        (lambda: SGD(lr=0.1), TypeError, "SGD got an unexpected argument 'lr'"),
        (lambda: optimizers.get("sgdd"), ValueError, "optimizer: expected one of sgd, rmsprop, adam, .*, got 'sgdd'"),
        (lambda: optimizers.get(0.1), ValueError, r"optimizer: expected a name \(such as 'sgd'\), .*, got 0.1"),
        (lambda: optimizers.get(None), ValueError, "optimizer: expected a name"),
        (lambda: SGD().exclude_from_weight_decay(var_names="bias"), TypeError, "var_names: expected a list of"),
    ],
)
def test_wrong_arguments_are_named(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_excluding_comes_before_the_first_step_and_decay_is_no_longer():
    optimizer = AdamW()
    run(optimizer, parameters(), 1)
    with pytest.raises(ValueError, match="call it before the first step"):
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    with pytest.warns(UserWarning, match="SGD: decay has no effect"):
        SGD(decay=1e-6)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"rule": "sgdd"}, ValueError, "rule: expected one of sgd, momentum, .*, got 'sgdd'"),
        ({"numbers": [1.0]}, ValueError, "numbers: momentum takes 2, got 1"),
        ({"slots": []}, ValueError, "slots: momentum takes 1, got 0"),
        ({"slots": [np.zeros(4)]}, ValueError, r"slots: expected shape \(size=5,\), got \(4,\)"),
        ({"slots": [[0.0] * 5]}, TypeError, "slots: expected an array to write into, got list"),
        ({"gradients": np.zeros(5, "float32")}, TypeError, "gradients: expected dtype float64, got float32"),
        ({"gradients": np.zeros(6)}, ValueError, r"gradients: expected shape \(size=5,\), got \(6,\)"),
        ({"parameters": np.zeros(5, int)}, TypeError, "parameters: expected dtype float32 or float64, got int64"),
        ({"parameters": np.zeros((5, 1))}, ValueError, r"parameters: expected shape \(size,\), got \(5, 1\)"),
        ({"parameters": np.zeros(10)[::2]}, ValueError, "parameters: expected a C-contiguous array"),
        ({"parameters": np.broadcast_to(0.0, 5)}, ValueError, "parameters: expected a writeable array"),
    ],
)
def test_the_core_checks_what_it_is_given(change, error, text):
    arguments = {
        "rule": "momentum",
        "parameters": np.zeros(5),
        "gradients": np.zeros(5),
        "slots": [np.zeros(5)],
        "numbers": [0.1, 0.9],
    }
    _core.optimizer_step(**arguments)
    with pytest.raises(error, match=text):
        _core.optimizer_step(**(arguments | change))


def test_the_core_refuses_vectors_that_overlap():
    memory = np.zeros(12)
    a, b, c = memory[:4], memory[4:8], memory[8:]
    _core.optimizer_step("adam", a, b, [c, np.zeros(4)], [0.1] * 4)
    for parameters_, gradients_, slots, text in [
        (a, memory[3:7], [c, np.zeros(4)], "parameters: overlaps gradients"),
        (a, b, [memory[7:11], np.zeros(4)], "slots: overlaps gradients"),
        (a, b, [np.zeros(4), memory[2:6]], "slots: overlaps parameters"),
        (a, b, [c, c], "slots: overlaps another of them"),
    ]:
        with pytest.raises(ValueError, match=text):
            _core.optimizer_step("adam", parameters_, gradients_, slots, [0.1] * 4)


def test_sums_of_squares_are_summed_in_float64():
    rng = np.random.default_rng(1)
    for n in (0, 1, 7, 8, 1001):
        x = rng.standard_normal(n).astype("float32")
        assert _core.sum_of_squares(x) == pytest.approx(float(np.sum(x.astype("float64") ** 2)), rel=1e-14)
    large = np.full(2**25, 1, "float32")  # in float32 the sum would stop at 2^24
    assert _core.sum_of_squares(large) == 2**25
    assert _core.sum_of_squares(np.full((2, 3), 1e30, "float32")) == pytest.approx(6e60, rel=1e-6)
    with pytest.raises(TypeError, match="x: expected dtype float32 or float64, got int64"):
        _core.sum_of_squares(np.ones(3, int))


@pytest.mark.parametrize("kind", [SGD, Adam, optimizers.AdamW, optimizers.Lion])
def test_a_configuration_has_what_all_optimizers_take(kind):
    config = kind(clipnorm=2.0).get_config()
    assert config["clipnorm"] == 2
    assert config["weight_decay"] == (0.004 if kind is optimizers.AdamW else None)
    assert config["use_ema"] is False
    assert kind.from_config(config).get_config() == config

    class Own(kind):  # which says itself what a base gets
        def __init__(self, **options):
            super().__init__(weight_decay=0.1, **options)

    assert Own.from_config(Own(clipvalue=3.0).get_config()).clipvalue == 3
