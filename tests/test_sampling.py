"""`decoders.sample` draws by the distribution that its arguments say."""

import numpy as np
import pytest

from lstmcore import decoders, utils
from lstmcore.decoders.sampling import distribution

RNG = np.random.default_rng(0)
P = RNG.dirichlet(np.full(7, 0.7), (3, 2))


def expected(p, temperature=1.0, top_k=None, top_p=None):
    """Of one row, a class after the other, from the definitions."""
    heated = [x ** (1 / temperature) for x in p]
    ranked = sorted(range(len(p)), key=lambda k: (-heated[k], k))[:top_k]
    total = sum(heated[k] for k in ranked)
    nucleus, reached = [], 0.0
    for k in ranked:
        nucleus.append(k)
        reached += heated[k] / total
        if top_p is not None and reached >= top_p:
            break
    total = sum(heated[k] for k in nucleus)
    return [heated[k] / total if k in nucleus else 0.0 for k in range(len(p))]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 0.5},
        {"temperature": 3.0},
        {"top_k": 3},
        {"top_k": 99},
        {"top_p": 0.6},
        {"top_p": 1.0},
        {"temperature": 1.7, "top_k": 5, "top_p": 0.8},
    ],
)
def test_the_distribution_is_that_of_the_definitions(options):
    every = {"temperature": 1.0, "top_k": None, "top_p": None} | options
    want = np.array([[expected(row, **options) for row in rows] for rows in P])
    np.testing.assert_allclose(distribution(P, **every, kind="probabilities"), want, rtol=1e-12, atol=0)
    np.testing.assert_allclose(distribution(np.log(P), **every, kind="log_probabilities"), want, rtol=1e-12, atol=0)
    np.testing.assert_allclose(distribution(np.log(P) + 50, **every, kind="logits"), want, rtol=1e-12, atol=0)


def test_draws_are_as_frequent_as_they_are_probable():
    p, n = P[0, 0], 20_000
    drawn = decoders.sample(np.broadcast_to(p, (n, 7)), kind="probabilities", seed=1)
    chi_squared = ((np.bincount(drawn, minlength=7) - n * p) ** 2 / (n * p)).sum()
    assert chi_squared < 27.9  # of six degrees of freedom, in 9,999 of 10,000 seeds


def test_what_is_not_possible_is_never_drawn():
    p = np.zeros((5000, 6))
    p[:, [1, 4]] = 1e-300, 1e-300
    drawn = decoders.sample(p, kind="probabilities", seed=0)
    assert {*drawn} == {1, 4}
    assert {*decoders.sample(np.broadcast_to(P[0, 0], (5000, 7)), top_k=2, kind="probabilities", seed=0)} == {
        *np.argsort(-P[0, 0])[:2]
    }


def test_without_heat_the_first_of_the_most_probable_is_taken():
    logits = np.array([[1.0, 3.0, 3.0], [0.0, -1.0, -np.inf]], "float32")
    for options in ({"temperature": 0}, {"top_k": 1}, {"top_p": 1e-9}):
        np.testing.assert_array_equal(decoders.sample(logits, **options), [1, 0])
    assert decoders.sample(logits, temperature=1e-300)[1] == 0  # of two that are equal it takes either
    assert decoders.sample(np.array([0.0, 9e9])).shape == ()


def test_the_same_seed_draws_the_same():
    first = decoders.sample(P, kind="probabilities", seed=3)
    assert first.shape == (3, 2)
    assert first.dtype == np.int64
    np.testing.assert_array_equal(decoders.sample(P, kind="probabilities", seed=3), first)
    many = np.broadcast_to(P, (50, 3, 2, 7))
    rng = np.random.default_rng(3)
    one, other = (decoders.sample(many, kind="probabilities", seed=rng) for _ in range(2))
    assert (one != other).any()  # a generator goes on
    drawn = []
    for _ in range(2):
        utils.set_random_seed(5)
        drawn.append(decoders.sample(many, kind="probabilities"))
    np.testing.assert_array_equal(*drawn)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((np.float64(1.0),), {}, r"inputs: expected floats of shape \(\.\.\., classes\), got float64 \(\)"),
        ((np.ones((2, 0)),), {}, r"inputs: .* got float64 \(2, 0\)"),
        ((np.ones((2, 3), int),), {}, r"inputs: .* got int64"),
        ((np.array([1.0, np.nan]),), {}, "inputs: expected numbers and a class that is possible"),
        ((np.array([1.0, np.inf]),), {}, "inputs: expected numbers"),
        ((np.array([[1.0, 2.0], [-np.inf, -np.inf]]),), {}, "inputs: expected numbers"),
        ((np.zeros(3),), {"kind": "probabilities"}, "inputs: expected numbers"),
        ((np.array([0.5, -0.1]),), {"kind": "probabilities"}, "inputs: expected probabilities from 0 on, got -0.1"),
        ((np.ones(3), -1.0), {}, r"temperature: expected a number in \[0, inf\), got -1"),
        ((np.ones(3),), {"top_k": 0}, "top_k: expected a positive integer"),
        ((np.ones(3),), {"top_p": 0.0}, r"top_p: expected a number in \(0, 1\]"),
        ((np.ones(3),), {"top_p": 1.5}, r"top_p: expected a number in \(0, 1\]"),
        ((np.ones(3),), {"kind": "odds"}, "kind: expected one of"),
        ((np.ones(3),), {"seed": -1}, "seed: expected an integer from 0"),
    ],
)
def test_what_cannot_be_drawn_from_is_refused(arguments, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        decoders.sample(*arguments, **options)


def test_a_class_that_is_not_possible_is_not_drawn_by_the_smallest_number_either():
    class Zero(np.random.Generator):
        def random(self, shape):
            return np.zeros(shape)

    assert decoders.sample(np.array([0.0, 1.0]), kind="probabilities", seed=Zero(np.random.PCG64())) == 1
