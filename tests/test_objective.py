"""What is asked of one output of a model: its loss, and the metrics beside it."""

import numpy as np
import pytest

from lstmcore import activations, losses
from lstmcore.training.measures import Measures
from lstmcore.training.objective import Objective
from lstmcore.training.objectives import Objectives

RNG = np.random.default_rng(5)
LOGITS = RNG.normal(size=(4, 3))
LABELS = np.array([2, 0, 1, 1])


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_a_loss_that_fuses_the_head_gives_the_gradient_of_what_goes_into_it():
    objective = Objective(
        losses.SparseCategoricalCrossentropy(), ["accuracy"], [], (None, 3), head=activations.get("softmax")
    )
    assert objective.takes_logits
    seen = objective.look(LOGITS, None, LABELS, None)
    p = softmax(LOGITS)
    np.testing.assert_allclose(seen.outputs, p, rtol=1e-14)
    value, gradient = objective.value_and_gradient(seen)
    assert value == pytest.approx(-np.log(p[np.arange(4), LABELS]).mean(), rel=1e-12)
    # d(-log softmax(z)[k]) / dz = softmax(z) - onehot(k), over four samples
    np.testing.assert_allclose(gradient, (p - np.eye(3)[LABELS]) / 4, rtol=1e-12)
    objective.update(seen)
    assert objective.metrics[0].result() == (p.argmax(-1) == LABELS).mean()


@pytest.mark.parametrize("head", [None, "sigmoid", "tanh"])
def test_a_loss_is_given_outputs_behind_any_other_head(head):
    objective = Objective(losses.MeanSquaredError(), [], [], (None, 3), head=activations.get(head) if head else None)
    assert not objective.takes_logits
    y = np.zeros((4, 3))
    seen = objective.look(LOGITS, None, y, None)
    assert seen.logits is None
    value, gradient = objective.value_and_gradient(seen)
    assert value == pytest.approx((LOGITS**2).mean(), rel=1e-12)
    np.testing.assert_allclose(gradient, 2 * LOGITS / 12, rtol=1e-12)


def test_steps_that_a_mask_leaves_out_count_for_nothing_in_loss_and_metrics():
    outputs = np.array([[[1.0], [5.0]], [[3.0], [np.nan]]])
    mask = np.array([[True, True], [True, False]])
    objective = Objective(losses.MeanSquaredError(), ["mae"], [], (None, None, 1))
    seen = objective.look(outputs, mask, np.zeros((2, 2, 1)), None)
    value, gradient = objective.value_and_gradient(seen)
    assert value == pytest.approx((1 + 25 + 9) / 3)
    np.testing.assert_allclose(gradient[..., 0], np.array([[2, 10], [6, 0]]) / 3)
    seen = objective.look(np.nan_to_num(outputs, nan=7.0), mask, np.zeros((2, 2, 1)), None)
    objective.update(seen)
    assert objective.metrics[0].result() == pytest.approx((1 + 5 + 3) / 3)


def test_sample_weights_go_to_the_loss_and_the_weighted_metrics_only():
    y, outputs, weights = np.zeros((2, 1)), np.array([[1.0], [3.0]]), np.array([1.0, 3.0])
    objective = Objective(losses.MeanSquaredError(), ["mae"], ["mae"], (None, 1))
    seen = objective.look(outputs, None, y, weights)
    assert objective.value(seen) == pytest.approx((1 * 1 + 3 * 9) / 2)  # Keras divides by the number of samples
    objective.update(seen)
    assert objective.metrics[0].result() == pytest.approx(2.0)
    assert objective.weighted_metrics[0].result() == pytest.approx((1 * 1 + 3 * 3) / 4)
    assert Measures([objective]).names == ["loss", "mae", "weighted_mae"]


def test_the_weight_of_a_loss_scales_its_part_of_the_sum_and_its_gradient_but_no_metric():
    y, outputs = np.zeros((2, 1), "float32"), np.array([[1.0], [3.0]], "float32")
    for names, result in ((None, outputs), (["a"], [outputs])):
        both = Objectives.of({"loss": "mse", "loss_weights": [0.25], "metrics": ["mae"]}, names, [(None, 1)])
        seen = both.look(result, None, [y] if names else y, None)
        value, parts, gradient = both.values_and_gradient(seen)
        assert (value, parts) == both.values(seen) == (0.25 * 5, [5.0])
        gradient = gradient[0] if names else gradient
        np.testing.assert_array_equal(gradient, np.array([[0.25], [0.75]], "float32"))
        assert gradient.dtype == np.float32
        both.update(seen)
        assert both.each[0].metrics[0].result() == 2.0


def test_objectives_of_several_outputs_are_measured_together_and_apart():
    first = Objective(losses.MeanSquaredError(), ["mae"], [], (None, 1))
    second = Objective(losses.BinaryCrossentropy(), ["accuracy"], [], (None, 1), head=activations.get("sigmoid"))
    measures = Measures([first, second], ["p", "q"])
    assert measures.names == ["loss", "p_loss", "q_loss", "p_mae", "q_accuracy"]
    seen = first.look(np.array([[2.0], [4.0]]), None, np.zeros((2, 1)), None)
    also = second.look(np.array([[1.0], [1.0]]), None, np.array([[1.0], [0.0]]), None)
    parts = [first.value(seen), second.value(also)]
    measures.update(sum(parts), 0.0, parts, [first.rows(seen), second.rows(also)])
    first.update(seen)
    second.update(also)
    # log(1 + exp(-1)) for the label 1, and log(1 + exp(1)) for the label 0
    expected = (np.log1p(np.exp(-1.0)) + np.log1p(np.exp(1.0))) / 2
    assert measures.logs() == {
        "loss": pytest.approx(10 + expected),
        "p_loss": 10.0,
        "q_loss": pytest.approx(expected),
        "p_mae": 3.0,
        "q_accuracy": 0.5,
    }
    measures.reset()
    assert measures.logs()["p_mae"] == 0
