"""The NumPy reference: its gradients are those of its forward pass, in float64."""

import inspect

import numpy as np
import pytest
from problems import Problem

from lstmcore import functional, reference


@pytest.mark.parametrize("name", ["lstm", "lstm_backward"])
def test_reference_and_functional_take_the_same_arguments(name):
    ours, theirs = (inspect.signature(getattr(m, name)).parameters for m in (functional, reference))
    assert [(p.name, p.kind, p.default) for p in ours.values()] == [
        (p.name, p.kind, p.default) for p in theirs.values()
    ]


@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_gradients_by_finite_differences(bias, sequences):
    p = Problem(2, 4, 3, 5, "float64", seed=1, bias=bias, sequences=sequences)
    got = p.run(reference)

    def loss():
        y, (h, c) = reference.lstm(p.x, p.weights, p.state, return_sequences=p.sequences)
        return (y * p.dy).sum() + (h * p.d_state[0]).sum() + (c * p.d_state[1]).sum()

    arrays = {"d_inputs": p.x, "d_kernel": p.weights[0], "d_recurrent": p.weights[1]}
    arrays |= {"d_h": p.state[0], "d_c": p.state[1]} | ({"d_bias": p.weights[2]} if bias else {})
    step = 1e-6
    for name, array in arrays.items():
        for index in np.ndindex(array.shape):
            old, losses = array[index], []
            for sign in (1, -1):
                array[index] = old + sign * step
                losses.append(loss())
            array[index] = old
            # Central differences: step^2 from the cubic term, 1e-15 / step from rounding.
            assert got[name][index] == pytest.approx((losses[0] - losses[1]) / (2 * step), rel=1e-6, abs=1e-8)


def test_no_state_is_a_zero_state():
    p = Problem(2, 3, 4, 5, "float64")
    zeros = [np.zeros((2, 5)), np.zeros((2, 5))]
    for a, b in zip(reference.lstm(p.x, p.weights), reference.lstm(p.x, p.weights, zeros), strict=True):
        np.testing.assert_array_equal(a, b)


def test_one_step_by_hand():
    # One unit, one input, numbers one can follow: i = f = o = sigmoid(ln 3) = 3/4, g = tanh(artanh(1/2)) = 1/2.
    kernel = np.array([[np.log(3), np.log(3), np.arctanh(0.5), np.log(3)]])
    y, (h, c) = reference.lstm(np.ones((1, 1, 1)), [kernel, np.zeros((1, 4))], [np.zeros((1, 1)), np.full((1, 1), 2.0)])
    assert c.item() == pytest.approx(0.75 * 2 + 0.75 * 0.5, rel=1e-15)
    assert y.item() == h.item() == pytest.approx(0.75 * np.tanh(1.875), rel=1e-15)


def test_sigmoid_tails():
    np.testing.assert_allclose(
        reference.sigmoid(np.array([-1000.0, -700, 0, 700])), [0, np.exp(-700.0), 0.5, 1], rtol=1e-15
    )
