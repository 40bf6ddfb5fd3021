"""Learning-rate schedules: the formulas that Keras documents, step by step."""

import json
import math

import numpy as np
import pytest

from lstmcore import serialization
from lstmcore.optimizers import SGD, schedules
from lstmcore.optimizers.schedules import (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    LearningRateSchedule,
    PiecewiseConstantDecay,
    PolynomialDecay,
)


def cosine(part, alpha, height=1.0):
    return (1 - alpha) * 0.5 * height * (1 + math.cos(math.pi * part)) + alpha


def restarts(step, first, t_mul, m_mul, alpha):
    """Counts the periods one by one."""
    height = 1.0
    while step >= first:
        step, first, height = step - first, first * t_mul, height * m_mul
    return cosine(step / first, alpha, height)


FORMULAS = [
    (ExponentialDecay(0.1, 7, 0.5), lambda t: 0.1 * 0.5 ** (t / 7)),
    (ExponentialDecay(0.1, 7, 0.5, staircase=True), lambda t: 0.1 * 0.5 ** (t // 7)),
    (InverseTimeDecay(0.1, 7, 0.5), lambda t: 0.1 / (1 + 0.5 * t / 7)),
    (InverseTimeDecay(0.1, 7, 0.5, staircase=True), lambda t: 0.1 / (1 + 0.5 * (t // 7))),
    (PiecewiseConstantDecay([3, 10], [0.3, 0.2, 0.1]), lambda t: 0.3 if t <= 3 else 0.2 if t <= 10 else 0.1),
    (PolynomialDecay(0.1, 10), lambda t: (0.1 - 1e-4) * (1 - min(t, 10) / 10) + 1e-4),
    (PolynomialDecay(0.1, 10, 0.01, power=2.0), lambda t: 0.09 * (1 - min(t, 10) / 10) ** 2 + 0.01),
    (
        PolynomialDecay(0.1, 10, 0.01, cycle=True),
        lambda t: 0.09 * (1 - t / (10 * max(1, math.ceil(t / 10)))) + 0.01,
    ),
    (CosineDecay(0.1, 10, alpha=0.1), lambda t: 0.1 * cosine(min(t, 10) / 10, 0.1)),
    (
        CosineDecay(0.01, 10, alpha=0.1, warmup_target=0.2, warmup_steps=5),
        lambda t: 0.01 + 0.19 * t / 5 if t < 5 else 0.2 * cosine(min(t - 5, 10) / 10, 0.1),
    ),
    (CosineDecayRestarts(0.1, 5), lambda t: 0.1 * restarts(t, 5, 2.0, 1.0, 0.0)),
    (CosineDecayRestarts(0.1, 5, 1.0, 0.5, 0.1), lambda t: 0.1 * restarts(t, 5, 1.0, 0.5, 0.1)),
    (CosineDecayRestarts(0.1, 4, 5.0, 0.9, 0.1), lambda t: 0.1 * restarts(t, 4, 5.0, 0.9, 0.1)),
]


@pytest.mark.parametrize(("schedule", "formula"), FORMULAS, ids=lambda x: type(x).__name__)
def test_rates_are_those_of_the_formulas(schedule, formula):
    # Up to 1000 steps: restarts at powers of t_mul, where a logarithm rounded down would be a step late.
    for step in range(1000):
        assert schedule(step) == pytest.approx(formula(step), rel=1e-9, abs=1e-12), step


@pytest.mark.parametrize(("schedule", "formula"), FORMULAS, ids=lambda x: type(x).__name__)
def test_a_schedule_comes_back_from_its_description(schedule, formula):
    optimizer = SGD.from_config(json.loads(json.dumps(SGD(schedule).get_config())))
    optimizer._calls = 6
    assert optimizer.learning_rate == schedule(6)


def test_a_schedule_of_ones_own_is_asked_for_every_step():
    class Ramp(LearningRateSchedule):
        def __init__(self, slope):
            self.slope = slope

        def __call__(self, step):
            return np.float32(self.slope * (step + 1))

    optimizer = SGD(Ramp(0.5), gradient_accumulation_steps=2)
    assert optimizer.learning_rate == 0.5
    optimizer._calls = 3  # as in Keras, batches count, not moves of the weights
    assert optimizer.learning_rate == 2.0
    assert isinstance(optimizer.learning_rate, float)
    config = SGD(Ramp(0.5)).get_config()
    with serialization.custom_object_scope({"Ramp": Ramp}):
        assert SGD.from_config(config).learning_rate == 0.5
    with pytest.raises(ValueError, match="'Ramp' is unknown"):
        SGD.from_config(config)
    with pytest.raises(NotImplementedError, match="define __call__"):
        LearningRateSchedule()(0)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: ExponentialDecay(0.1, 0, 0.5), ValueError, r"ExponentialDecay: decay_steps: .* \(0, inf\), got 0"),
        (lambda: InverseTimeDecay(-1, 5, 0.5), ValueError, "InverseTimeDecay: initial_learning_rate: .*, got -1"),
        (lambda: ExponentialDecay(0.1, 5, "x"), TypeError, "ExponentialDecay: decay_rate: .*, got 'x'"),
        (lambda: PolynomialDecay(0.1, 5, cycle=1), TypeError, "PolynomialDecay: cycle: expected True or False, got 1"),
        (lambda: CosineDecay(0.1, 5, warmup_steps=-1), ValueError, "CosineDecay: warmup_steps: .*, got -1"),
        (lambda: CosineDecayRestarts(0.1, 5, t_mul=0.5), ValueError, r"t_mul: expected a number in \[1, inf\)"),
        (lambda: PiecewiseConstantDecay([1, 2], [0.1, 0.2]), ValueError, "values: expected 3 for .*, got 2"),
        (lambda: PiecewiseConstantDecay([2, 2], [1, 2, 3]), ValueError, "boundaries: expected numbers that grow"),
        (lambda: SGD(CosineDecay), ValueError, "SGD: learning_rate: expected a number in"),
    ],
)
def test_wrong_arguments_are_named(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_all_schedules_are_offered():
    assert len({type(s) for s, _ in FORMULAS} | {LearningRateSchedule}) == len(schedules.__all__)
